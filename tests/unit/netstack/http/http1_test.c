/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * http1_test: heads and bodies on the wire, good and bad, at every cut. */
#include "netstack/http/http1.c"

#include "tests/unit/test.h"

/* head: what the parser says of a whole request: 0 or the status. */
static int
head(struct arena *a, struct str text, struct http1_head *h)
{
	size_t scanned = 0;
	ptrdiff_t end = http1_head_end(text, &scanned);

	if (end <= 0)
		return (int)end;
	return http1_request_parse(a, str_sub(text, 0, (size_t)end), h);
}

TEST(request_heads)
{
	static const struct {
		const char *text;
		int status;
	} rows[] = {
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		{"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		{"GET / HTTP/1.0\r\n\r\n", 0},
		{"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		{"GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		{"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		{"PATCH / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
			0},
		{"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\n\r\n", -400},
		{"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", -400},
		{"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", -400},
		{"GET / HTTP/1.1\nHost: a\n\n", -400},
		{"GET / HTTP/1.1\r\nHost: a\n\r\n\r\n", -400},
		{"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", -400},
		{"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", -400},
		{"GET /\r\nHost: a\r\n\r\n", -400},
		{"GET x HTTP/1.1\r\nHost: a\r\n\r\n", -400},
		{"GET * HTTP/1.1\r\nHost: a\r\n\r\n", -400},
		{"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", -400},
		{"GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n", -400},
		{"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", -400},
		{"GET / HTTP/2.0\r\nHost: a\r\n\r\n", -505},
		{"GET / HTTP/1.2\r\nHost: a\r\n\r\n", -505},
		{"GET / http/1.1\r\nHost: a\r\n\r\n", -400},
		{"GET / HTTP/1.1\r\nHost : a\r\n\r\n", -400},
		{"GET / HTTP/1.1\r\n Host: a\r\n\r\n", -400},
		{"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", -400},
		{"GET / HTTP/1.1\r\nHost: a\r\nX: b\x01\r\n\r\n", -400},
		{"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", -400},
		{"GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n", -400},
		{"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
			-400},
		{"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", -400},
		{"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5,5\r\n\r\n", -400},
		{"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n", -400},
		{"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", -400},
		{"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
			-400},
		{"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", -501},
		{"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", -501},
		{"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
			-400},
		{"PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", -400},
		{"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", -417},
	};
	struct arena *a = arena_new(0);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct http1_head h = {0};
		struct str text = str_c(rows[i].text);
		if (head(a, text, &h) != rows[i].status)
			printf("     row %zu: %s\n", i, rows[i].text);
		CHECK_INT(head(a, text, &h), rows[i].status);
		/* Every beginning of it is not yet a head, or refused. */
		for (size_t n = 0; n < text.n && rows[i].status == 0; n++)
			CHECK_INT(head(a, str_sub(text, 0, n), &h), 0);
		arena_clear(a);
	}
	arena_free(a);
}

TEST(limits_of_heads)
{
	struct arena *a = arena_new(0);
	struct http1_head h = {0};
	struct buf b = BUF_INIT;
	size_t scanned = 0;

	buf_cstr(&b, "GET /");
	for (int i = 0; i < HTTP_LINE_BYTES_MAX; i++)
		buf_char(&b, 'a');
	CHECK_INT(http1_head_end(buf_view(&b), &scanned), -ENAMETOOLONG);
	buf_cstr(&b, " HTTP/1.1\r\nHost: a\r\n\r\n");
	CHECK_INT(head(a, buf_view(&b), &h), -414);
	buf_clear(&b);
	buf_cstr(&b, "GET / HTTP/1.1\r\nHost: a\r\n");
	for (int i = 0; i < HTTP_HEADERS_MAX - 1; i++)
		buf_fmt(&b, "X-%d: y\r\n", i);
	size_t len = b.len;
	buf_cstr(&b, "\r\n");
	CHECK_INT(head(a, buf_view(&b), &h), 0);
	CHECK_INT(h.headers.n, HTTP_HEADERS_MAX);
	b.len = len;
	buf_cstr(&b, "One: more\r\n\r\n");
	CHECK_INT(head(a, buf_view(&b), &h), -431);
	buf_clear(&b);
	buf_cstr(&b, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
	scanned = 0;
	while (b.len < HTTP_HEAD_BYTES_MAX) {
		CHECK_INT(http1_head_end(buf_view(&b), &scanned), 0);
		for (int i = 0; i < 1000; i++)
			buf_char(&b, 'a');
	}
	CHECK_INT(http1_head_end(buf_view(&b), &scanned), -E2BIG);
	buf_release(&b);
	arena_free(a);
}

TEST(keep_alive_and_framing)
{
	struct arena *a = arena_new(0);
	struct http1_head h = {0};

	CHECK_INT(
		head(a, STR("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\nExpect: 100-Continue\r\n\r\n"),
			&h),
		0);
	CHECK(h.keep_alive && h.expect_continue);
	CHECK_INT(h.mode, HTTP1_LENGTH);
	CHECK_INT(h.length, 7);
	CHECK_INT(head(a, STR("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n"), &h), 0);
	CHECK(!h.keep_alive);
	CHECK_INT(head(a, STR("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), &h), 0);
	CHECK(h.keep_alive);
	CHECK_INT(head(a, STR("GET / HTTP/1.0\r\n\r\n"), &h), 0);
	CHECK(!h.keep_alive);
	arena_free(a);
}

/* body: all pieces of a body fed `step` bytes at a time. 0 done, 1 not done, -EPROTO. */
static int
body(enum http1_body_mode mode, uint64_t left, struct str text, size_t step, struct buf *out,
	size_t *ret_rest)
{
	struct http1_body b = {.mode = mode, .left = left, .done = mode == HTTP1_NONE};
	size_t at = 0;

	while (at < text.n && !b.done) {
		struct str in = str_sub(text, at, at + step), piece = STR_NONE;
		size_t before = in.n;
		int r = 0;
		while ((r = http1_body_next(&b, &in, &piece)) == 1)
			buf_str(out, piece);
		if (r < 0)
			return r;
		at += before - in.n;
	}
	*ret_rest = text.n - at;
	return b.done ? 0 : 1;
}

TEST(chunked_bodies)
{
	static const struct {
		const char *text, *body;
		int result, rest;
	} rows[] = {
		{"5\r\nhello\r\n0\r\n\r\nNEXT", "hello", 0, 4},
		{"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: z\r\n\r\n", "abcde", 0, 0},
		{"0A \r\n0123456789\r\n000\r\n\r\n", "0123456789", 0, 0},
		{"0\r\n\r\n", "", 0, 0},
		{"5\r\nhel", "hel", 1, 0},
		{"\r\n", "", -EPROTO, 0},
		{"x\r\n", "", -EPROTO, 0},
		{"5\nhello", "", -EPROTO, 0},
		{"5\r\nhello0\r\n", "", -EPROTO, 0},
		{"5\r\nhello\n0\r\n", "", -EPROTO, 0},
		{"-1\r\n", "", -EPROTO, 0},
		{"0x5\r\n", "", -EPROTO, 0},
		{"FFFFFFFFFFFFFFFF\r\n", "", -EPROTO, 0},
		{"0\r\nbad\x01\r\n\r\n", "", -EPROTO, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t step = 1; step < 40; step += 3) {
			struct buf out = BUF_INIT;
			size_t rest = 0;
			CHECK_INT(body(HTTP1_CHUNKED, 0, str_c(rows[i].text), step, &out, &rest),
				rows[i].result);
			if (rows[i].result >= 0) {
				CHECK_STR(buf_view(&out), rows[i].body);
				CHECK_INT(rest, rows[i].rest);
			}
			buf_release(&out);
		}
	}
}

TEST(bodies_with_a_length_and_to_the_end)
{
	struct buf out = BUF_INIT;
	size_t rest = 0;

	CHECK_INT(body(HTTP1_LENGTH, 5, STR("helloNEXT"), 3, &out, &rest), 0);
	CHECK_STR(buf_view(&out), "hello");
	CHECK_INT(rest, 4);
	buf_clear(&out);
	CHECK_INT(body(HTTP1_TO_EOF, 0, STR("all of it"), 4, &out, &rest), 1);
	CHECK_STR(buf_view(&out), "all of it");
	buf_release(&out);
}

TEST(trailers_without_end_are_refused)
{
	struct http1_body b = {.mode = HTTP1_CHUNKED};
	struct str in = STR_INIT("0\r\n"), piece = STR_NONE;
	int r = http1_body_next(&b, &in, &piece);

	for (int i = 0; i < 10000 && r == 0; i++) {
		in = STR("Name: value\r\n");
		r = http1_body_next(&b, &in, &piece);
	}
	CHECK_INT(r, -EPROTO);
}

TEST(response_heads)
{
	static const struct {
		const char *text;
		int result, status, mode;
	} rows[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", 0, 200, HTTP1_LENGTH},
		{"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 0, 200, HTTP1_NONE},
		{"HTTP/1.1 404 Not  Found\r\n\r\n", 0, 404, HTTP1_TO_EOF},
		{"HTTP/1.1 204 \r\n\r\n", 0, 204, HTTP1_NONE},
		{"HTTP/1.1 101 Up\r\nUpgrade: x\r\n\r\n", 0, 101, HTTP1_NONE},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 200, HTTP1_CHUNKED},
		{"HTTP/1.1 20 OK\r\n\r\n", -EPROTO, 0, 0},
		{"HTTP/1.1 2000 OK\r\n\r\n", -EPROTO, 0, 0},
		{"HTTP/1.1 999 OK\r\n\r\n", -EPROTO, 0, 0},
		{"HTTP/2 200 OK\r\n\r\n", -EPROTO, 0, 0},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", -EPROTO, 0, 0},
		{"SSH-2.0-x\r\n\r\n", -EPROTO, 0, 0},
	};
	struct arena *a = arena_new(0);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct http1_head h = {0};
		CHECK_INT(http1_response_parse(a, str_c(rows[i].text), false, &h), rows[i].result);
		CHECK_INT(h.status, rows[i].status);
		CHECK_INT(h.mode, rows[i].mode);
	}
	arena_free(a);
}
