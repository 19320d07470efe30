/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * message_test: header tables, URLs, query strings, media types, addresses. */
#include "netstack/http/media.c"
#include "netstack/http/message.c"
#include "netstack/http/url.c"
#include "tests/unit/test.h"

TEST(headers_are_found_in_any_case_and_repeated)
{
	const struct http_header v[] = {
		{STR_INIT("Accept"), STR_INIT("a, \"b,c\" ,, d")},
		{STR_INIT("X-Stream-Protocol-Version"), STR_INIT("v5")},
		{STR_INIT("x-stream-protocol-version"), STR_INIT("v4")},
		{STR_INIT("Connection"), STR_INIT("keep-alive, Upgrade")},
	};
	struct http_headers h = {v, ARRAY_LEN(v)};
	struct str got = STR_NONE, rest = v[0].value;
	size_t pos = 0;

	CHECK_STR(http_headers_get(&h, STR("X-STREAM-protocol-version")), "v5");
	CHECK(!str_is_set(http_headers_get(&h, STR("None"))));
	CHECK(http_headers_next(&h, STR("X-Stream-Protocol-Version"), &pos, &got));
	CHECK(http_headers_next(&h, STR("X-Stream-Protocol-Version"), &pos, &got));
	CHECK_STR(got, "v4");
	CHECK(!http_headers_next(&h, STR("X-Stream-Protocol-Version"), &pos, &got));
	CHECK(http_headers_has_token(&h, STR("connection"), STR("upgrade")));
	CHECK(!http_headers_has_token(&h, STR("connection"), STR("up")));
	CHECK(http_token_next(&rest, &got));
	CHECK_STR(got, "a");
	CHECK(http_token_next(&rest, &got));
	CHECK_STR(got, "\"b,c\"");
	CHECK(http_token_next(&rest, &got));
	CHECK_STR(got, "d");
	CHECK(!http_token_next(&rest, &got));
}

TEST(urls)
{
	static const struct {
		const char *text, *host, *target;
		int port, tls, error;
	} rows[] = {
		{"https://10.0.0.1:6443/api?x=1", "10.0.0.1", "/api?x=1", 6443, 1, 0},
		{"http://[fd00::1]/", "fd00::1", "/", 80, 0, 0},
		{"HTTPS://Registry.test", "Registry.test", "", 443, 1, 0},
		{"https://h?q", "h", "?q", 443, 1, 0},
		{"https://h/a#frag", "h", "/a", 443, 1, 0},
		{"ftp://h/", "", "", 0, 0, -EINVAL},
		{"https://user@h/", "", "", 0, 0, -EINVAL},
		{"https://h:70000/", "", "", 0, 0, -EINVAL},
		{"https://h:/", "", "", 0, 0, -EINVAL},
		{"https:///x", "", "", 0, 0, -EINVAL},
		{"https://[::1/", "", "", 0, 0, -EINVAL},
		{"https://h/a b", "", "", 0, 0, -EINVAL},
		{"", "", "", 0, 0, -EINVAL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct http_url u = {0};
		CHECK_INT(http_url_parse(str_c(rows[i].text), &u), rows[i].error);
		if (rows[i].error)
			continue;
		CHECK_STR(u.host, rows[i].host);
		CHECK_STR(u.target, rows[i].target);
		CHECK_INT(u.port, rows[i].port);
		CHECK_INT(u.tls, rows[i].tls);
	}
}

TEST(percent_coding)
{
	struct arena *a = arena_new(0);
	struct str out = STR_NONE;
	struct buf b = BUF_INIT;

	CHECK_INT(http_url_decode(a, STR("a%2Fb+c"), false, &out), 0);
	CHECK_STR(out, "a/b+c");
	CHECK_INT(http_url_decode(a, STR("a%2fb+c"), true, &out), 0);
	CHECK_STR(out, "a/b c");
	CHECK_INT(http_url_decode(a, STR("%"), true, &out), -EINVAL);
	CHECK_INT(http_url_decode(a, STR("%4"), true, &out), -EINVAL);
	CHECK_INT(http_url_decode(a, STR("%zz"), true, &out), -EINVAL);
	CHECK_INT(http_url_decode(a, STR("%41"), true, &out), 0);
	CHECK_STR(out, "A");
	http_url_encode(&b, STR("a b/c=\xc3\xa4"), false);
	CHECK_STR(buf_view(&b), "a%20b%2Fc%3D%C3%A4");
	buf_clear(&b);
	http_url_encode(&b, STR("a b/c=d"), true);
	CHECK_STR(buf_view(&b), "a%20b/c=d");
	buf_release(&b);
	arena_free(a);
}

TEST(queries)
{
	struct arena *a = arena_new(0);
	struct str rest = STR_INIT("&command=sh&command=-c&&stdin=true&x&l=a%3Db%2Cc+d&bad=%q"), k,
		   v;
	struct str all = rest;

	CHECK_INT(http_query_next(a, &rest, &k, &v), 1);
	CHECK_STR(k, "command");
	CHECK_STR(v, "sh");
	CHECK_INT(http_query_next(a, &rest, &k, &v), 1);
	CHECK_STR(v, "-c");
	CHECK_INT(http_query_next(a, &rest, &k, &v), 1);
	CHECK_INT(http_query_next(a, &rest, &k, &v), 1);
	CHECK_STR(k, "x");
	CHECK_STR(v, "");
	CHECK_INT(http_query_next(a, &rest, &k, &v), 1);
	CHECK_STR(v, "a=b,c d");
	CHECK_INT(http_query_next(a, &rest, &k, &v), -EINVAL);
	CHECK_INT(http_query_next(a, &rest, &k, &v), 0);
	CHECK_STR(http_query_get(a, all, STR("stdin")), "true");
	CHECK(!str_is_set(http_query_get(a, all, STR("none"))));
	CHECK(!str_is_set(http_query_get(a, STR_NONE, STR("none"))));
	arena_free(a);
}

TEST(media_types)
{
	struct http_media m = {0};

	CHECK_INT(http_media_parse(STR("application/json; charset=\"utf-8\";q=0.25"), &m), 0);
	CHECK_STR(m.type, "application/json");
	CHECK_STR(http_media_param(&m, STR("Charset")), "utf-8");
	CHECK_INT(m.q, 250);
	CHECK(!str_is_set(http_media_param(&m, STR("q"))));
	static const char *const bad[] = {"", "x", "a/b;c", "a/b;q=2", "a/b;q=.5", "a/", "/b",
		"a/b c", "a/b;x=\"y\\z\"", "a/b;q=0.1234", "a/b;q=1.1"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_INT(http_media_parse(str_c(bad[i]), &m), -EINVAL);
}

TEST(accept_is_ordered_by_preference)
{
	struct arena *a = arena_new(0);
	const struct http_header v[] = {{STR_INIT("Accept"),
		STR_INIT(
			"*/*;q=0.1, application/json, text/*;q=0.5,text/plain;q=0.5, gone/x;q=0, ;;,"
			"application/json;as=Table;v=v1;g=meta.k8s.io")}};
	struct http_headers h = {v, 1}, none = {0};
	struct http_media *m = NULL;
	size_t n = 0;

	CHECK_INT(http_accept_parse(a, &h, &m, &n), 0);
	CHECK_INT(n, 5);
	CHECK_STR(http_media_param(&m[0], STR("as")), "Table");
	CHECK_STR(m[1].type, "application/json");
	CHECK_STR(m[2].type, "text/plain");
	CHECK_STR(m[3].type, "text/*");
	CHECK_STR(m[4].type, "*/*");
	CHECK(http_media_matches(&m[3], STR("text/html")));
	CHECK(!http_media_matches(&m[3], STR("texts/html")));
	CHECK(http_media_matches(&m[4], STR("a/b")));
	CHECK(http_media_matches(&m[1], STR("Application/JSON")));
	/* kubectl asks for OpenAPI version 2 by a name with an @: it was answered 406 */
	struct http_media openapi;
	CHECK_INT(
		http_media_parse(STR("application/com.github.proto-openapi.spec.v2@v1.0+protobuf"),
			&openapi),
		0);
	CHECK_INT(http_media_parse(STR("application/@"), &openapi), -EINVAL);
	CHECK_INT(http_accept_parse(a, &none, &m, &n), 0);
	CHECK_INT(n, 1);
	CHECK_STR(m[0].type, "*/*");
	arena_free(a);
}

TEST(addresses)
{
	struct http_addr a = {0};
	char text[HTTP_ADDR_TEXT];

	CHECK_INT(http_addr_parse(STR("10.1.2.3:80"), &a), 0);
	CHECK_INT(a.port, 80);
	CHECK_INT(http_addr_parse(STR("[fd00::2]:443"), &a), 0);
	CHECK_INT(http_addr_format(&a, text), 13);
	CHECK_STR(text, "[fd00::2]:443");
	CHECK(http_addr_parse(STR("10.1.2.3"), &a) < 0);
	CHECK(http_addr_parse(STR("host:80"), &a) < 0);
	CHECK(http_addr_parse(STR("fd00::2:80"), &a) < 0);
	CHECK(http_addr_parse(STR("[fd00::2]"), &a) < 0);
}

TEST(every_status_we_send_has_a_text)
{
	CHECK_STR(http_status_text(422), "Unprocessable Entity");
	CHECK_STR(http_status_text(799), "");
	for (size_t i = 1; i < ARRAY_LEN(status_texts); i++)
		CHECK(status_texts[i].status > status_texts[i - 1].status);
}
