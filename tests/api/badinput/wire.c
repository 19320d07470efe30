/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * wire: what stands around a request: TLS, the request line, headers, the length of bodies, methods, media types.
 * After what cannot be understood the connection ends: bytes behind it are no request. */
#include "tests/api/badinput/badinput.h"

#include "base/rand.h"

#include <sys/socket.h>

#define CMS "api/v1/namespaces/default/configmaps"
#define BODY_MAX (3 * 1024 * 1024)

/* ---- heads ---- */

/* Sent as they are; http 0: the connection ends without an answer. */
static const struct {
	const char *what, *bytes;
	int http;
	bool goes_on; /* the connection */
} heads[] = {
	{"a good head", "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", 200, true},
	{"an absolute target", "GET https://x/livez HTTP/1.1\r\nHost: x\r\n\r\n", 200, true},
	{"two blank lines before it", "\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n", 200, true},
	{"HTTP/1.0", "GET /livez HTTP/1.0\r\n\r\n", 200, false},
	{"three blank lines before it", "\r\n\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n", 400,
		false},
	{"no version", "GET /livez\r\nHost: x\r\n\r\n", 400, false},
	{"no target", "GET HTTP/1.1\r\nHost: x\r\n\r\n", 400, false},
	{"words too many", "GET /livez x HTTP/1.1\r\nHost: x\r\n\r\n", 400, false},
	{"a target without slash", "GET livez HTTP/1.1\r\nHost: x\r\n\r\n", 400, false},
	{"a target of *", "GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400, false},
	{"a target with a blank of Unicode", "GET /liv\302\240ez HTTP/1.1\r\nHost: x\r\n\r\n", 400,
		false},
	{"a target with a fragment", "GET /livez#x HTTP/1.1\r\nHost: x\r\n\r\n", 400, false},
	{"a method that is no token", "G@T /livez HTTP/1.1\r\nHost: x\r\n\r\n", 400, false},
	{"HTTP/2.0 in plain text", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, false},
	{"HTTP/3.0", "GET /livez HTTP/3.0\r\nHost: x\r\n\r\n", 505, false},
	{"HTTP/1.9", "GET /livez HTTP/1.9\r\nHost: x\r\n\r\n", 505, false},
	{"a version in lower case", "GET /livez http/1.1\r\nHost: x\r\n\r\n", 400, false},
	{"no Host", "GET /livez HTTP/1.1\r\n\r\n", 400, false},
	{"two Hosts", "GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, false},
	{"a Host that is none", "GET /livez HTTP/1.1\r\nHost: x/y\r\n\r\n", 400, false},
	{"a header without colon", "GET /livez HTTP/1.1\r\nHost: x\r\nfrob\r\n\r\n", 400, false},
	{"a header without name", "GET /livez HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n", 400, false},
	{"a blank before the colon", "GET /livez HTTP/1.1\r\nHost : x\r\n\r\n", 400, false},
	{"a folded header", "GET /livez HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400, false},
	{"a control character in a header", "GET /livez HTTP/1.1\r\nHost: x\r\nA: \001\r\n\r\n",
		400, false},
	{"bare line feeds", "GET /livez HTTP/1.1\nHost: x\n\n", 400, false},
	{"a bare carriage return", "GET /livez HTTP/1.1\r\nHost: x\rA: b\r\n\r\n", 400, false},
	{"two lengths",
		"POST /" CMS
		" HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
		400, false},
	{"a length and chunks",
		"POST /" CMS
		" HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
		400, false},
	{"a negative length", "POST /" CMS " HTTP/1.1\r\nHost: x\r\nContent-Length: -2\r\n\r\n{}",
		400, false},
	{"a length with a plus",
		"POST /" CMS " HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}", 400, false},
	{"a hexadecimal length",
		"POST /" CMS " HTTP/1.1\r\nHost: x\r\nContent-Length: 0x2\r\n\r\n{}", 400, false},
	{"a length of 20 digits",
		"POST /" CMS
		" HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551618\r\n\r\n{}",
		400, false},
	{"a coding nobody knows",
		"POST /" CMS " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n{}", 501,
		false},
	{"chunks within a coding",
		"POST /" CMS
		" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		501, false},
	{"chunks of HTTP/1.0",
		"POST /" CMS " HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
		false},
	{"an expectation nobody knows",
		"POST /" CMS " HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nContent-Length: 2\r\n\r\n{}",
		417, false},
	{"a size of a chunk that is none",
		"POST /" CMS
		" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
		400, false},
	{"a chunk that is longer than its size",
		"POST /" CMS
		" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
		400, false},
	{"a chunk of 2^64 bytes",
		"POST /" CMS
		" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n{}",
		400, false},
	{"a chunk of 2^63 - 1 bytes",
		"POST /" CMS
		" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n{}",
		400, false},
	{"another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n", 400, false},
};

static void
check_head(struct server *s, const char *what, struct str bytes, int http, bool goes_on)
{
	struct arena *a = arena_new(0);
	struct conn *c = conn_open(s, true);
	struct answer an = {0}, next = {0};

	/* What stands behind it must not be served when the connection ends. */
	if (c) {
		conn_send(c, bytes);
		conn_send(c, STR("GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
	}
	conn_answer(a, c, false, &an);
	check(an.http == http, "%s: wanted %d, got %d " STR_FMT, what, http, an.http,
		STR_ARG(str_sub(an.body, 0, 200)));
	conn_answer(a, c, false, &next);
	check(goes_on ? next.http == 200 : next.http == 0 && next.closed, "%s: the connection %s",
		what, goes_on ? "ended" : "goes on");
	conn_free(c);
	arena_free(a);
}

/* ---- sizes ---- */

static struct str
head_of(struct arena *a, const char *path, const char *header, size_t n_headers)
{
	struct buf b;

	buf_init_arena(&b, a);
	buf_fmt(&b, "GET /livez%s HTTP/1.1\r\nHost: x\r\n", path);
	for (size_t i = 0; i < n_headers; i++)
		buf_fmt(&b, "X-%zu: %s\r\n", i, header);
	buf_cstr(&b, "\r\n");
	return buf_view(&b);
}

static void
check_sizes(struct server *s)
{
	struct arena *a = arena_new(0);
	const char *few = arena_cstr(a, repeated(a, "a", 16300)),
		   *many = arena_cstr(a, repeated(a, "a", 16500));
	struct answer an;

	check_head(s, "a request line of almost 16 KiB",
		head_of(a, arena_cstr(a, arena_fmt(a, "?x=%s", few)), "", 0), 200, true);
	check_head(s, "a request line of more than 16 KiB",
		head_of(a, arena_cstr(a, arena_fmt(a, "?x=%s", many)), "", 0), 414, false);
	check_head(s, "a request line without end", repeated(a, "a", 20000), 414, false);
	check_head(s, "127 headers more than Host", head_of(a, "", "v", 127), 200, true);
	check_head(s, "128 headers more than Host", head_of(a, "", "v", 128), 431, false);
	check_head(s, "headers of 48 KiB", head_of(a, "", few, 3), 200, true);
	check_head(s, "headers of more than 64 KiB", head_of(a, "", few, 5), 431, false);
	check_head(s, "one header of more than 64 KiB",
		head_of(a, "", arena_cstr(a, repeated(a, "a", 70000)), 1), 431, false);

	call(a, s,
		&(struct call){.method = "POST",
			.path = CMS,
			.body = nested(a, " ", "{}", "", BODY_MAX - 2)},
		&an);
	says(&an, 422, "Invalid", "name or generateName is required", "a body of 3 MiB");
	call(a, s,
		&(struct call){.method = "POST",
			.path = CMS,
			.body = nested(a, " ", "{}", "", BODY_MAX - 1)},
		&an);
	says(&an, 413, "RequestEntityTooLarge", "limit is 3145728", "a body of more than 3 MiB");
	arena_free(a);
}

/* check_chunked: a body without length is counted as it comes. */
static void
check_chunked(struct server *s)
{
	struct arena *a = arena_new(0);
	struct conn *c = conn_open(s, true);
	struct str part = repeated(a, " ", 65536);
	struct answer an;
	bool sent = true;

	conn_send(
		c, STR("POST /" CMS " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
	for (int i = 0; sent && i < 100; i++)
		sent = conn_send(c, STR("10000\r\n")) && conn_send(c, part) &&
			conn_send(c, STR("\r\n"));
	conn_answer(a, c, false, &an);
	says(&an, 413, "RequestEntityTooLarge", "limit is 3145728", "chunks of more than 3 MiB");
	conn_free(c);
	c = conn_open(s, true);
	conn_send(
		c, STR("POST /" CMS " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
	for (int i = 0; i < 20; i++) {
		conn_send(c, STR("1;"));
		conn_send(c, str_sub(part, 0, 8000));
		conn_send(c, STR("\r\n \r\n"));
	}
	conn_answer(a, c, false, &an);
	says(&an, 400, NULL, NULL, "extensions of chunks of more than 64 KiB");
	conn_free(c);
	arena_free(a);
}

/* check_cut: a client that ends in the middle of a request has asked for nothing. */
static void
check_cut(struct server *s)
{
	static const char *const cut[] = {"GET /livez HTT", "GET /livez HTTP/1.1\r\nHost: x\r\nA",
		"POST /" CMS " HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n"
		"{\"metadata\":{\"name\":\"cut\"}}",
		"POST /" CMS " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1b\r\n"
		"{\"metadata\":{\"name\":\"cut\"}}\r\n"};
	struct arena *a = arena_new(0);
	struct answer an;

	for (size_t i = 0; i < ARRAY_LEN(cut); i++) {
		struct conn *c = conn_open(s, true);

		conn_send(c, str_c(cut[i]));
		shutdown(c->fd, SHUT_WR);
		conn_answer(a, c, true, &an);
		check(an.closed && an.http / 100 != 2, "cut request %zu: %d", i, an.http);
		conn_free(c);
	}
	call(a, s, &(struct call){.method = "GET", .path = CMS "/cut"}, &an);
	says(&an, 404, "NotFound", "configmaps \"cut\" not found",
		"a body that did not come whole");
	arena_free(a);
}

/* ---- TLS ---- */

static void
check_plain(struct server *s)
{
	struct arena *a = arena_new(0);
	struct conn *c = conn_open(s, false);
	int64_t begin = now_ms();

	conn_send(c, STR("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"));
	while (!c->eof && !c->broken && now_ms() < begin + 10000)
		conn_wait(c, now_ms() + 100);
	check(str_find(buf_view(&c->in), STR("Client sent an HTTP request to an HTTPS server.")) >
			0,
		"plain HTTP on the TLS port: " STR_FMT, STR_ARG(buf_view(&c->in)));
	check(c->eof || c->broken, "plain HTTP on the TLS port: the connection stays");
	conn_free(c);
	arena_free(a);
}

static void
check_garbage(struct server *s)
{
	for (int i = 0; i < 50; i++) {
		struct conn *c = conn_open(s, false);
		int64_t begin = now_ms();
		char bytes[512];
		size_t n = (size_t)rand_below(sizeof(bytes) - 6) + 6;

		rand_bytes(bytes, n);
		if (i % 3 == 0) /* a record with a sound head, and nonsense in it */
			memcpy(bytes, "\x16\x03\x01\x00\x40", 5);
		if (i % 3 == 1) /* one that is too long */
			memcpy(bytes, "\x16\x03\x03\xff\xff", 5);
		conn_send(c, str_from(bytes, n));
		shutdown(c->fd, SHUT_WR);
		while (!c->eof && !c->broken && now_ms() < begin + 10000)
			conn_wait(c, now_ms() + 100);
		check(c->eof || c->broken, "garbage %d before TLS: the connection stays", i);
		conn_free(c);
	}
}

/* check_garbage_inside: nonsense where a record is to be, behind a good handshake. */
static void
check_garbage_inside(struct server *s)
{
	struct conn *c = conn_open(s, true);
	int64_t begin = now_ms();

	send(c->fd, "\x17\x03\x03\x00\x30 this was never encrypted by anybody, was it? no", 53,
		MSG_NOSIGNAL);
	while (!c->eof && !c->broken && now_ms() < begin + 10000)
		conn_wait(c, now_ms() + 100);
	check(c->eof || c->broken, "a record with a wrong seal: the connection stays");
	conn_free(c);
}

/* check_many: handshakes that are begun and left, connections that say nothing. */
static void
check_many(struct server *s)
{
	struct conn *quiet[200];
	int64_t begin = now_ms();

	for (size_t i = 0; i < ARRAY_LEN(quiet); i++) {
		quiet[i] = conn_open(s, false);
		if (quiet[i] && i % 2)
			conn_send(quiet[i], STR("\x16\x03\x01\x02\x00\x01"));
	}
	check(get_ok(s, "livez"), "200 quiet connections stop the others");
	check(now_ms() - begin < 10000, "200 quiet connections hold up the others for %lld ms",
		(long long)(now_ms() - begin));
	for (size_t i = 0; i < ARRAY_LEN(quiet); i++)
		conn_free(quiet[i]);
}

/* ---- methods, media types ---- */

#define CM "{\"metadata\":{\"name\":\"wire\"}}"
static const char unknown[] =
	"the body of the request was in an unknown format - accepted media types include: application/json, "
	"application/yaml, application/vnd.kubernetes.protobuf";
static const char not_allowed[] = "the server does not allow this method on the requested resource";

static const struct ask asks[] = {
	ASK("PUT", CMS, CM, 405, "MethodNotAllowed", not_allowed),
	ASK("PATCH", CMS, "{}", 405, "MethodNotAllowed", not_allowed,
		.type = "application/merge-patch+json"),
	ASK("POST", CMS "/wire", CM, 405, "MethodNotAllowed", not_allowed),
	ASK("POST", "version", CM, 405, "MethodNotAllowed", not_allowed),
	ASK("DELETE", "api/v1/bindings", NULL, 405, "MethodNotAllowed", not_allowed),
	ASK("DELETE", "api/v1/namespaces", NULL, 405, "MethodNotAllowed", not_allowed),
	ASK("PUT", "api/v1/namespaces/default/pods/p/log", NULL, 405, "MethodNotAllowed",
		not_allowed),
	ASK("GET", "api/v1/namespaces/default/pods/p/eviction", NULL, 405, "MethodNotAllowed",
		not_allowed),
	ASK("GET", "apis/authorization.k8s.io/v1/selfsubjectaccessreviews", NULL, 405,
		"MethodNotAllowed", not_allowed),
	ASK("GET", "api/v1/namespaces/default/frobs", NULL, 404, "NotFound",
		"the server could not find the requested resource"),
	ASK("GET", "api/v9/namespaces/default/configmaps", NULL, 404, "NotFound",
		"the server could not find the requested resource"),
	ASK("GET", "apis/none.example.com/v1/things", NULL, 404, "NotFound",
		"the server could not find the requested resource"),
	ASK("GET", "../../etc/passwd", NULL, 404, "NotFound",
		"the server could not find the requested resource"),
	ASK("GET", CMS "/..%2f..%2fsecrets", NULL, 404, "NotFound", NULL),
	ASK("GET", CMS "/a%00b", NULL, 400, "BadRequest", "the path of the request is malformed"),
	ASK("GET", CMS "/%zz", NULL, 400, NULL, NULL),
	ASK("POST", CMS, CM, 415, "UnsupportedMediaType", unknown, .type = "text/plain"),
	ASK("POST", CMS, CM, 415, "UnsupportedMediaType", unknown, .type = "frob"),
	ASK("POST", CMS, "\xa0", 415, "UnsupportedMediaType", unknown, .type = "application/cbor"),
	ASK("POST", CMS, "a=b", 415, "UnsupportedMediaType", unknown,
		.type = "application/x-www-form-urlencoded"),
	ASK("POST", CMS, CM, 415, "UnsupportedMediaType", unknown,
		.type = "application/json;charset"),
	ASK("PUT", CMS "/wire", CM, 415, "UnsupportedMediaType", unknown,
		.type = "application/merge-patch+json"),
	ASK("PATCH", CMS "/wire", "{}", 415, "UnsupportedMediaType", NULL,
		.type = "application/json"),
	ASK("PATCH", CMS "/wire", "{}", 415, "UnsupportedMediaType", NULL, .type = "text/plain"),
	ASK("DELETE", CMS "/wire", "{}", 415, "UnsupportedMediaType", unknown,
		.type = "text/plain"),
	ASK("GET", CMS, NULL, 406, "NotAcceptable",
		"application/json, application/yaml, application/vnd.kubernetes.protobuf",
		.headers = "Accept: text/html\r\n"),
	ASK("GET", CMS, NULL, 406, "NotAcceptable",
		"application/json, application/yaml, application/vnd.kubernetes.protobuf",
		.headers = "Accept: application/json;as=Frob;g=meta.k8s.io;v=v1\r\n"),
	ASK("GET", CMS, NULL, 406, "NotAcceptable",
		"application/json, application/yaml, application/vnd.kubernetes.protobuf",
		.headers = "Accept: application/json;as=Table;g=meta.k8s.io;v=v9\r\n"),
	/* the answer to a question is no row of a table */
	ASK("POST", "apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
		"{\"spec\":{\"nonResourceAttributes\":{\"path\":\"/\",\"verb\":\"get\"}}}", 406,
		"NotAcceptable", "application/json, application/yaml",
		.headers = "Accept: application/json;as=Table;v=v1;g=meta.k8s.io\r\n"),
};

void
group_wire(struct server *s)
{
	for (size_t i = 0; i < ARRAY_LEN(heads); i++)
		check_head(
			s, heads[i].what, str_c(heads[i].bytes), heads[i].http, heads[i].goes_on);
	check_head(s, "a NUL in the request line", STR("GET /liv\0ez HTTP/1.1\r\nHost: x\r\n\r\n"),
		400, false);
	check_head(s, "a NUL in a header", STR("GET /livez HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n"),
		400, false);
	check_sizes(s);
	check_chunked(s);
	check_cut(s);
	check_plain(s);
	check_garbage(s);
	check_garbage_inside(s);
	check_many(s);
	ask_all(s, asks, ARRAY_LEN(asks));
}
