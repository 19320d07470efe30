/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * client_test: the client against our server and against bytes written by hand. */
#include "netstack/http/call.c"

#include "netstack/http/http.h"
#include "netstack/http/sockaddr.h"
#include "tests/unit/netstack/tls/pki.h"
#include "tests/unit/test.h"

#include <fcntl.h>

static struct loop *loop;
static struct http_server *server;
static struct http_client *client;
static struct http_addr bound;
static int requests;
static struct buf uploaded;

/* ---- the server's side ---- */

static void
on_body(struct http_req *r, int error, struct str body)
{
	buf_clear(&uploaded);
	buf_str(&uploaded, body);
	http_reply(r, error ? 400 : 200, STR("text/plain"), arena_fmt(r->arena, "%zu", body.n));
}

static void
tunnel_got(void *arg, struct str bytes)
{
	http_tunnel_write(*(struct http_tunnel **)arg, bytes);
}

static void
tunnel_closed_(void *arg, int error)
{
	(void)arg, (void)error;
}

static const struct http_tunnel_fns echo = {.data = tunnel_got, .closed = tunnel_closed_};
static struct http_tunnel *tunnel;

static void
on_request(void *arg, struct http_req *r)
{
	static char big[300000];

	(void)arg;
	requests++;
	if (str_eq(r->path, STR("/echo"))) {
		http_collect(r, 10 << 20, on_body);
	} else if (str_eq(r->path, STR("/hold"))) {
		http_on_abort(r, http_drop);
	} else if (str_eq(r->path, STR("/drop"))) {
		http_drop(r);
	} else if (str_eq(r->path, STR("/big"))) {
		http_begin(r, 200, STR("text/plain"), -1);
		for (int i = 0; i < 10; i++)
			http_write(r, str_from(big, sizeof(big)));
		http_end(r);
	} else if (str_eq(r->path, STR("/short"))) {
		http_begin(r, 200, STR("text/plain"), 10);
		http_write(r, STR("abc"));
		http_end(r);
	} else if (str_eq(r->path, STR("/upgrade"))) {
		CHECK_INT(http_upgrade(r, STR("echo"), &tunnel), 0);
		http_tunnel_start(tunnel, &echo, &tunnel);
	} else {
		struct str auth = http_headers_get(&r->headers, STR("Authorization"));
		http_set_header(r, STR("X-Host"), r->host);
		http_reply(r, 200, STR("text/plain"),
			arena_fmt(r->arena, STR_FMT " " STR_FMT " " STR_FMT, STR_ARG(r->method),
				STR_ARG(r->target),
				STR_ARG(r->peer && r->peer->cn.n ? r->peer->cn
						: auth.n         ? auth
								 : STR("-"))));
	}
}

static void
start(struct tls_ctx *tls)
{
	struct http_server_config cfg = {.tls = tls, .on_request = on_request};
	struct http_client_config cc = {0};
	struct http_addr any = {.ip = ip_v4(0x7f000001)};
	struct err e = {0};

	loop = loop_new(NULL, "test");
	cfg.loop = cc.loop = loop;
	CHECK_INT(http_listen(&any, false, &cfg.listen_fd, &bound, &e), 0);
	CHECK_INT(http_server_new(&cfg, &server), 0);
	CHECK_INT(http_client_new(&cc, &client), 0);
	requests = 0;
}

static void
stop(void)
{
	http_client_free(client);
	http_server_free(server);
	for (int i = 0; i < 3; i++)
		loop_turn(loop, 0);
	loop_free(loop);
	buf_release(&uploaded);
}

/* ---- results ---- */

struct result {
	int status, error, heads, ends, drains;
	struct buf body;
	char message[200], host[64];
	struct http_tunnel *tunnel;
	struct http_call *call;
	bool pause_at_once;
};

static void
got_head(void *arg, const struct http_response *resp)
{
	struct result *r = arg;

	r->heads++;
	r->status = resp->status;
	str_copy_c(http_headers_get(&resp->headers, STR("x-host")), r->host, sizeof(r->host));
	if (r->pause_at_once)
		http_call_pause(r->call, true);
}

static void
got_data(void *arg, struct str bytes)
{
	buf_str(&((struct result *)arg)->body, bytes);
}

static void
got_end(void *arg, const struct err *e)
{
	struct result *r = arg;

	r->ends++;
	r->error = e->code;
	str_copy_c(str_c(e->msg), r->message, sizeof(r->message));
}

static void
got_drain(void *arg)
{
	((struct result *)arg)->drains++;
}

static void
raw_data(void *arg, struct str bytes)
{
	buf_str(&((struct result *)arg)->body, bytes);
}

static void
raw_closed(void *arg, int error)
{
	struct result *r = arg;

	r->ends++;
	r->error = error;
	r->tunnel = NULL;
}

static const struct http_tunnel_fns raw = {.data = raw_data, .closed = raw_closed};

static void
got_upgraded(void *arg, const struct http_response *resp, struct http_tunnel *t)
{
	struct result *r = arg;

	r->status = resp->status;
	r->tunnel = t;
	http_tunnel_start(t, &raw, r);
}

static const struct http_call_fns fns = {got_head, got_data, got_end, got_upgraded, got_drain};

#define UNTIL(cond)                                                                                \
	do {                                                                                       \
		int64_t limit_ = clock_mono_ns() + 10 * NS_PER_SEC;                                \
		while (!(cond) && clock_mono_ns() < limit_)                                        \
			loop_turn(loop, 2 * NS_PER_MS);                                            \
		CHECK(cond);                                                                       \
	} while (0)

static const char *
url_of(const char *scheme, const char *path)
{
	static char url[128];

	snprintf(url, sizeof(url), "%s://127.0.0.1:%u%s", scheme, bound.port, path);
	return url;
}

static void
run_call(struct http_call_spec *s, struct result *r)
{
	struct err e = {0};

	if (s->method.n == 0)
		s->method = STR("GET");
	int rc = http_call_start(client, s, &fns, r, &r->call, &e);
	CHECK_STR(e.msg, "");
	CHECK_INT(rc, 0);
	CHECK_INT(r->ends, 0);
	UNTIL(r->ends == 1);
}

static void
result_clear(struct result *r)
{
	buf_release(&r->body);
	*r = (struct result){0};
}

TEST(calls_share_a_connection)
{
	struct result r = {0};

	start(NULL);
	for (int i = 0; i < 5; i++) {
		struct http_call_spec s = {
			.url = str_c(url_of("http", "/a?b=c")), .bearer = STR_INIT("tok")};
		run_call(&s, &r);
		CHECK_INT(r.error, 0);
		CHECK_INT(r.status, 200);
		CHECK_STR(buf_view(&r.body), "GET /a?b=c Bearer tok");
		result_clear(&r);
	}
	CHECK_INT(http_server_conns(server), 1);
	http_client_close_idle(client);
	UNTIL(http_server_conns(server) == 0);
	stop();
}

TEST(bodies_go_out_whole_and_streamed)
{
	struct result r = {0};
	struct err e = {0};
	static char block[50000];

	start(NULL);
	struct http_call_spec s = {.method = STR_INIT("POST"),
		.url = str_c(url_of("http", "/echo")),
		.body = STR_INIT("hello")};
	run_call(&s, &r);
	CHECK_STR(buf_view(&uploaded), "hello");
	result_clear(&r);
	for (int length = 0; length < 2; length++) {
		s = (struct http_call_spec){.method = STR_INIT("PUT"),
			.url = str_c(url_of("http", "/echo")),
			.stream_body = true,
			.body_bytes = length ? 1000000 : -1};
		CHECK_INT(http_call_start(client, &s, &fns, &r, &r.call, &e), 0);
		for (int i = 0; i < 20; i++)
			http_call_write(r.call, str_from(block, sizeof(block)));
		http_call_write_end(r.call);
		UNTIL(r.ends == 1);
		CHECK_INT(r.error, 0);
		CHECK_STR(buf_view(&r.body), "1000000");
		CHECK_INT(uploaded.len, 1000000);
		result_clear(&r);
	}
	stop();
}

TEST(replies_stream_pause_and_resume)
{
	struct result r = {.pause_at_once = true};
	struct err e = {0};

	start(NULL);
	struct http_call_spec s = {.method = STR_INIT("GET"), .url = str_c(url_of("http", "/big"))};
	CHECK_INT(http_call_start(client, &s, &fns, &r, &r.call, &e), 0);
	UNTIL(r.heads == 1);
	for (int i = 0; i < 20; i++)
		loop_turn(loop, 0);
	CHECK_INT(r.body.len, 0);
	r.pause_at_once = false;
	http_call_pause(r.call, false);
	UNTIL(r.ends == 1);
	CHECK_INT(r.error, 0);
	CHECK_INT(r.body.len, 3000000);
	result_clear(&r);
	stop();
}

/* A write whose reply was lost may have been done: sent again it would overwrite what others wrote since. */
TEST(a_write_is_never_sent_twice)
{
	static const char *const methods[] = {"PUT", "DELETE", "POST", "PATCH"};

	start(NULL);
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct result r = {0};
		struct http_call_spec s = {
			.method = str_c(methods[i]), .url = str_c(url_of("http", "/drop"))};
		requests = 0;
		run_call(&s, &r);
		CHECK_INT(r.error, -ECONNRESET);
		CHECK_INT(requests, 1);
		result_clear(&r);
	}
	stop();
}

TEST(failures_are_told_once)
{
	struct result r = {0};

	start(NULL);
	struct http_call_spec s = {.url = str_c(url_of("http", "/drop"))};
	run_call(&s, &r);
	CHECK_INT(r.error, -ECONNRESET);
	CHECK_INT(requests, 2); /* safe: tried once more */
	result_clear(&r);
	s = (struct http_call_spec){
		.method = STR_INIT("POST"), .url = str_c(url_of("http", "/drop"))};
	requests = 0;
	run_call(&s, &r);
	CHECK_INT(r.error, -ECONNRESET);
	CHECK_INT(requests, 1);
	result_clear(&r);
	s = (struct http_call_spec){.url = str_c(url_of("http", "/short"))};
	run_call(&s, &r);
	CHECK_INT(r.error, -ECONNRESET);
	CHECK_STR(buf_view(&r.body), "abc");
	result_clear(&r);
	s = (struct http_call_spec){.url = STR_INIT("http://127.0.0.1:1/")};
	run_call(&s, &r);
	CHECK_INT(r.error, -ECONNREFUSED);
	result_clear(&r);
	s = (struct http_call_spec){.url = STR_INIT("http://name.test/")};
	run_call(&s, &r);
	CHECK_INT(r.error, -ENOENT);
	result_clear(&r);
	s = (struct http_call_spec){
		.url = str_c(url_of("http", "/hold")), .head_ns = 50 * NS_PER_MS};
	run_call(&s, &r);
	CHECK_INT(r.error, -ETIMEDOUT);
	result_clear(&r);
	s = (struct http_call_spec){
		.url = str_c(url_of("http", "/hold")), .total_ns = 50 * NS_PER_MS};
	run_call(&s, &r);
	CHECK_INT(r.error, -ETIMEDOUT);
	UNTIL(http_server_requests(server) == 0);
	result_clear(&r);
	stop();
}

TEST(cancelled_calls_say_nothing)
{
	struct result r = {0};
	struct err e = {0};

	start(NULL);
	struct http_call_spec s = {
		.method = STR_INIT("GET"), .url = str_c(url_of("http", "/hold"))};
	CHECK_INT(http_call_start(client, &s, &fns, &r, &r.call, &e), 0);
	http_call_cancel(r.call);
	CHECK_INT(http_call_start(client, &s, &fns, &r, &r.call, &e), 0);
	UNTIL(requests == 1);
	http_call_cancel(r.call);
	UNTIL(http_server_requests(server) == 0);
	CHECK_INT(http_call_start(client, &s, &fns, &r, &r.call, &e), 0);
	UNTIL(requests == 2);
	http_client_free(client); /* with a call under way */
	client = NULL;
	UNTIL(http_server_requests(server) == 0);
	CHECK_INT(r.ends, 0);
	stop();
}

TEST(upgrade_becomes_a_raw_stream)
{
	struct result r = {0};
	struct err e = {0};

	start(NULL);
	struct http_call_spec s = {.method = STR_INIT("GET"),
		.url = str_c(url_of("http", "/upgrade")),
		.upgrade = STR_INIT("echo")};
	CHECK_INT(http_call_start(client, &s, &fns, &r, &r.call, &e), 0);
	UNTIL(r.tunnel != NULL);
	CHECK_INT(r.status, 101);
	http_tunnel_write(r.tunnel, STR("ping"));
	UNTIL(r.body.len == 4);
	CHECK_STR(buf_view(&r.body), "ping");
	http_tunnel_shutdown(r.tunnel);
	UNTIL(r.ends == 1);
	CHECK_INT(r.error, 0);
	result_clear(&r);
	/* Not upgraded: an ordinary reply. */
	s.url = str_c(url_of("http", "/a"));
	run_call(&s, &r);
	CHECK_INT(r.status, 200);
	result_clear(&r);
	stop();
}

static struct http_resolve *asked;
static char asked_host[64];

static void
resolve_start(void *arg, struct str host, struct http_resolve *q)
{
	(void)arg;
	str_copy_c(host, asked_host, sizeof(asked_host));
	asked = q;
}

static void
resolve_cancel(void *arg, struct http_resolve *q)
{
	(void)arg;
	if (asked == q)
		asked = NULL;
}

TEST(names_are_resolved_and_addresses_tried_in_turn)
{
	struct result r = {0};
	struct err e = {0};
	char url[64];

	start(NULL);
	http_client_free(client);
	struct http_client_config cc = {
		.loop = loop, .resolver = {resolve_start, resolve_cancel, NULL}};
	CHECK_INT(http_client_new(&cc, &client), 0);
	snprintf(url, sizeof(url), "http://name.test:%u/x", bound.port);
	struct http_call_spec s = {.method = STR_INIT("GET"), .url = str_c(url)};
	CHECK_INT(http_call_start(client, &s, &fns, &r, &r.call, &e), 0);
	UNTIL(asked != NULL);
	CHECK_STR(asked_host, "name.test");
	/* Nobody listens on the first. */
	struct ip_addr ips[2] = {ip_v4(0x7f000009), ip_v4(0x7f000001)};
	http_resolved(asked, 0, ips, 2);
	UNTIL(r.ends == 1);
	CHECK_INT(r.error, 0);
	char host[64];
	snprintf(host, sizeof(host), "name.test:%u", bound.port);
	CHECK_STR(r.host, host);
	result_clear(&r);
	asked = NULL;
	http_client_close_idle(client);
	CHECK_INT(http_call_start(client, &s, &fns, &r, &r.call, &e), 0);
	UNTIL(asked != NULL);
	http_call_cancel(r.call);
	CHECK(asked == NULL);
	stop();
}

TEST(tls_with_client_certificate_and_other_name)
{
	struct pki_party ca = pki_make(&(struct pki_want){.cn = "ca", .ca = true}, NULL);
	struct pki_party own = pki_make(
		&(struct pki_want){.cn = "s", .dns = {"node-1"}, .eku = X509_EKU_SERVER}, &ca);
	struct pki_party me = pki_make(
		&(struct pki_want){.cn = "apiserver", .eku = X509_EKU_CLIENT}, &ca);
	struct tls_pair sp = pki_pair(&own), cp = pki_pair(&me);
	struct tls_config sc = {.server = true,
		.pairs = &sp,
		.n_pairs = 1,
		.ca_pem = buf_view(&ca.cert),
		.client_auth = TLS_CLIENT_REQUIRED};
	struct tls_config cc = {.pairs = &cp, .n_pairs = 1, .ca_pem = buf_view(&ca.cert)};
	struct tls_config blind = {.pairs = &cp, .n_pairs = 1, .insecure = true};
	struct tls_ctx *sctx = NULL, *cctx = NULL, *bctx = NULL;
	struct result r = {0};

	CHECK_INT(tls_ctx_new(&sc, &sctx, NULL), 0);
	CHECK_INT(tls_ctx_new(&cc, &cctx, NULL), 0);
	CHECK_INT(tls_ctx_new(&blind, &bctx, NULL), 0);
	start(sctx);
	struct http_call_spec s = {.url = str_c(url_of("https", "/x")), .tls = cctx};
	run_call(&s, &r);
	CHECK_INT(r.error, -EACCES);
	CHECK_STR(r.message, "certificate is not valid for '127.0.0.1'");
	result_clear(&r);
	s.verify_name = STR("node-1");
	/* Each call used to shake hands anew: what ended a reply counted as input that nobody wants. */
	for (int i = 0; i < 3; i++) {
		run_call(&s, &r);
		CHECK_STR(r.message, "");
		CHECK_STR(buf_view(&r.body), "GET /x apiserver");
		result_clear(&r);
		CHECK(client->conns && !client->conns->next);
	}
	/* By name, to a given address. */
	s = (struct http_call_spec){
		.url = STR_INIT("https://node-1/y"), .tls = cctx, .addr = &bound};
	run_call(&s, &r);
	CHECK_STR(buf_view(&r.body), "GET /y apiserver");
	CHECK_STR(r.host, "node-1");
	result_clear(&r);
	s = (struct http_call_spec){.url = str_c(url_of("https", "/z")), .tls = bctx};
	run_call(&s, &r);
	CHECK_STR(buf_view(&r.body), "GET /z apiserver");
	result_clear(&r);
	stop();
	tls_ctx_unref(sctx);
	tls_ctx_unref(cctx);
	tls_ctx_unref(bctx);
	pki_free(&ca);
	pki_free(&own);
	pki_free(&me);
}

struct fetched {
	int n, error, status;
	char body[64];
};

static void
fetched(void *arg, const struct err *e, const struct http_response *resp, struct str body)
{
	struct fetched *f = arg;

	f->n++;
	f->error = e->code;
	f->status = resp->status;
	str_copy_c(body, f->body, sizeof(f->body));
}

TEST(fetch_collects_up_to_a_limit)
{
	struct fetched f = {0};
	struct http_fetch *h = NULL;
	struct err e = {0};

	start(NULL);
	struct http_call_spec s = {.method = STR_INIT("GET"), .url = str_c(url_of("http", "/a"))};
	CHECK_INT(http_fetch(client, &s, 100, fetched, &f, &h, &e), 0);
	UNTIL(f.n == 1);
	CHECK_INT(f.status, 200);
	CHECK_STR(f.body, "GET /a -");
	CHECK_INT(http_fetch(client, &s, 3, fetched, &f, &h, &e), 0);
	UNTIL(f.n == 2);
	CHECK_INT(f.error, -EFBIG);
	CHECK_INT(http_fetch(client, &s, 3, fetched, &f, &h, &e), 0);
	http_fetch_cancel(h);
	stop();
	CHECK_INT(f.n, 2);
}

/* A server of bytes written by hand. */
TEST(odd_servers)
{
	static const struct {
		const char *bytes, *body;
		int error, status;
	} rows[] = {
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
			"ok", 0, 200},
		{"HTTP/1.0 200 OK\r\n\r\nto the end", "to the end", 0, 200},
		{"HTTP/1.1 204 No\r\n\r\n", "", 0, 204},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", "ab",
			0, 200},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "ab",
			-ECONNRESET, 200},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n", "", -EPROTO, 200},
		{"HTTP/1.1 101 Up\r\n\r\n", "", -EPROTO, 0},
		{"SSH-2.0-OpenSSH\r\n\r\n", "", -EPROTO, 0},
		{"", "", -ECONNRESET, 0},
	};
	struct http_addr any = {.ip = ip_v4(0x7f000001)}, at = {0};
	struct err e = {0};
	int lfd = -1;

	start(NULL);
	CHECK_INT(http_listen(&any, false, &lfd, &at, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct result r = {0};
		char url[64];
		int fd = -1;
		snprintf(url, sizeof(url), "http://127.0.0.1:%u/", at.port);
		struct http_call_spec s = {.method = STR_INIT("POST"), .url = str_c(url)};
		CHECK_INT(http_call_start(client, &s, &fns, &r, &r.call, &e), 0);
		UNTIL(fd >= 0 || (fd = accept(lfd, NULL, NULL)) >= 0);
		char in[512];
		ssize_t got = 0;
		UNTIL(got > 0 || (got = recv(fd, in, sizeof(in), MSG_DONTWAIT)) > 0);
		CHECK(write(fd, rows[i].bytes, strlen(rows[i].bytes)) >= 0);
		shutdown(fd, SHUT_WR);
		UNTIL(r.ends == 1);
		CHECK_INT(r.error, rows[i].error);
		CHECK_INT(r.status, rows[i].status);
		CHECK_STR(buf_view(&r.body), rows[i].body);
		close(fd);
		result_clear(&r);
	}
	close(lfd);
	stop();
}

/* It is what Endpoints name: no other machine would find a loopback address. */
TEST(a_machine_knows_from_where_it_reaches_others)
{
	for (uint8_t family = 4; family <= 6; family += 2) {
		struct ip_addr ip = {0};
		int rc = http_own_ip(family, &ip);
		CHECK(rc == 0 || rc == -ENETUNREACH || rc == -EAFNOSUPPORT || rc == -EHOSTUNREACH);
		CHECK_INT(ip.family, rc == 0 ? family : 0);
		CHECK(rc < 0 || !ip_is_loopback(&ip));
	}
}
