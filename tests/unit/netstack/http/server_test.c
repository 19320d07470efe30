/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * server_test: the server over loopback sockets: plain bytes as a client writes them, curl with TLS. */
#include "netstack/http/server.c"

#include "netstack/http/http.h"
#include "tests/unit/netstack/run.h"
#include "tests/unit/netstack/tls/pki.h"
#include "tests/unit/test.h"

#include <sys/socket.h>

static struct loop *loop;
static struct http_server *server;
static struct http_addr bound;
static struct http_req *held; /* a request the test ends itself */
static int aborts, drains, upgrades;
static struct buf seen; /* what a tunnel or a streamed body got */

static void
on_body(struct http_req *r, int error, struct str body)
{
	if (error == -EFBIG)
		http_reply(r, 413, STR("text/plain"), STR("too big"));
	else if (error)
		http_reply(r, 400, STR("text/plain"), STR("bad body"));
	else
		http_reply(r, 200, STR("text/plain"), body);
}

static void
stream_data(struct http_req *r, struct str bytes)
{
	(void)r;
	buf_str(&seen, bytes);
}

static void
stream_end(struct http_req *r, int error)
{
	http_reply(r, error ? 400 : 200, STR("text/plain"), arena_fmt(r->arena, "%zu", seen.len));
}

static const struct http_body_fns streams = {stream_data, stream_end};

static void
on_abort(struct http_req *r)
{
	aborts++;
	if (held == r)
		held = NULL;
	http_drop(r);
}

static void
on_drain(struct http_req *r)
{
	static char block[100000];

	if (++drains < 20)
		http_write(r, str_from(block, sizeof(block)));
	else
		http_end(r);
}

static void
tunnel_got(void *arg, struct str bytes)
{
	http_tunnel_write(*(struct http_tunnel **)arg, bytes);
}

static void
tunnel_over_(void *arg, int error)
{
	(void)arg, (void)error;
	upgrades++;
}

static const struct http_tunnel_fns echo = {.data = tunnel_got, .closed = tunnel_over_};
static struct http_tunnel *tunnel;

static void
on_request(void *arg, struct http_req *r)
{
	(void)arg;
	if (str_eq(r->path, STR("/echo"))) {
		http_collect(r, 1000, on_body);
	} else if (str_eq(r->path, STR("/stream"))) {
		buf_clear(&seen);
		http_stream_body(r, &streams);
	} else if (str_eq(r->path, STR("/hold"))) {
		http_on_abort(r, on_abort);
		held = r;
	} else if (str_eq(r->path, STR("/chunks"))) {
		http_set_header(r, STR("X-One"), STR("1"));
		http_set_header(r, STR("X-Bad"), STR("a\r\nInjected: yes"));
		http_begin(r, 200, STR("text/plain"), -1);
		http_write(r, STR("hello "));
		/* parts are one chunk */
		http_writev(
			r, (const struct str[]){STR("a rather long "), STR(""), STR("world")}, 3);
		http_end(r);
	} else if (str_eq(r->path, STR("/big"))) {
		drains = 0;
		http_on_drain(r, on_drain);
		http_on_abort(r, on_abort);
		http_begin(r, 200, STR("text/plain"), -1);
		on_drain(r);
	} else if (str_eq(r->path, STR("/upgrade"))) {
		CHECK_INT(http_upgrade(r, STR("echo"), &tunnel), 0);
		http_tunnel_start(tunnel, &echo, &tunnel);
	} else if (str_eq(r->path, STR("/who"))) {
		const struct tls_peer *p = r->peer;
		http_reply(r, p->state == TLS_PEER_INVALID ? 401 : 200, STR("text/plain"),
			arena_fmt(r->arena, STR_FMT "/" STR_FMT, STR_ARG(p->cn),
				STR_ARG(p->n_orgs ? p->orgs[0] : STR(""))));
	} else {
		http_reply(r, 404, STR("text/plain"), STR("none"));
	}
}

static void
start(struct tls_ctx *tls, const struct http_server_config *with)
{
	struct http_server_config cfg = with ? *with : (struct http_server_config){0};
	struct http_addr any = {.ip = ip_v4(0x7f000001)};
	struct err e = {0};

	loop = loop_new(NULL, "test");
	cfg.loop = loop;
	cfg.tls = tls;
	cfg.on_request = on_request;
	CHECK_INT(http_listen(&any, false, &cfg.listen_fd, &bound, &e), 0);
	CHECK_INT(http_server_new(&cfg, &server), 0);
	aborts = upgrades = 0;
	held = NULL;
}

static void
stop(void)
{
	http_server_free(server);
	for (int i = 0; i < 3; i++)
		loop_turn(loop, 0);
	loop_free(loop);
	buf_release(&seen);
}

static int
dial(void)
{
	struct sockaddr_storage sa;
	socklen_t n = http_sockaddr(&bound, &sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(connect(fd, (struct sockaddr *)&sa, n) == 0);
	return fd;
}

static void
put(int fd, const char *text)
{
	CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

/* until: turns the loop until the bytes got from fd hold `want` (NULL: until the end of the stream). */
static bool
until(int fd, struct buf *got, const char *want)
{
	int64_t limit = clock_mono_ns() + 10 * NS_PER_SEC;

	while (clock_mono_ns() < limit) {
		char bytes[2048];
		ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n > 0)
			buf_add(got, bytes, (size_t)n);
		if (want && str_find(buf_view(got), str_c(want)) >= 0)
			return true;
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return !want;
		if (n < 0)
			loop_turn(loop, 2 * NS_PER_MS);
	}
	return false;
}

#define UNTIL(cond)                                                                                \
	do {                                                                                       \
		int64_t limit_ = clock_mono_ns() + 10 * NS_PER_SEC;                                \
		while (!(cond) && clock_mono_ns() < limit_)                                        \
			loop_turn(loop, 2 * NS_PER_MS);                                            \
		CHECK(cond);                                                                       \
	} while (0)

TEST(requests_one_after_the_other_and_pipelined)
{
	struct buf got = BUF_INIT;

	start(NULL, NULL);
	int fd = dial();
	put(fd, "GET /x?a=1 HTTP/1.1\r\nHost: t\r\n\r\n");
	CHECK(until(fd, &got, "none"));
	CHECK(str_starts(buf_view(&got), STR("HTTP/1.1 404 Not Found\r\nDate: ")));
	CHECK(str_find(buf_view(&got), STR("\r\nContent-Length: 4\r\n")) > 0);
	buf_clear(&got);
	put(fd,
		"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\none"
		"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
		"HEAD /chunks HTTP/1.1\r\nHost: t\r\n\r\n"
		"GET /chunks HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
	CHECK(until(fd, &got, NULL));
	struct str all = buf_view(&got);
	CHECK(str_find(all, STR("\r\n\r\none")) > 0);
	CHECK(str_find(all, STR("\r\n\r\ntwo")) > 0);
	CHECK(str_find(all, STR("X-One: 1\r\n")) > 0);
	CHECK(str_find(all, STR("Injected")) < 0);
	CHECK(str_ends(all,
		STR("Connection: close\r\n\r\n6\r\nhello \r\n13\r\na rather long world\r\n0\r\n\r\n")));
	close(fd);
	UNTIL(http_server_conns(server) == 0);
	CHECK_INT(http_server_requests(server), 0);
	buf_release(&got);
	stop();
}

TEST(bad_requests_get_their_status_and_the_end)
{
	static const struct {
		const char *text, *status;
	} rows[] = {
		{"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
		{"GET / HTTP/1.1\n\n", "HTTP/1.1 400 "},
		{"\x16\x03\x01\x02\n\n", "HTTP/1.1 400 "},
		{"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n", "HTTP/1.1 501 "},
		{"PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n", "HTTP/1.1 413 "},
		{"PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
			"HTTP/1.1 400 "},
		{"GET / HTTP/3.0\r\nHost: a\r\n\r\n", "HTTP/1.1 505 "},
	};
	start(NULL, NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf got = BUF_INIT;
		int fd = dial();
		put(fd, rows[i].text);
		CHECK(until(fd, &got, NULL));
		if (!str_starts(buf_view(&got), str_c(rows[i].status)))
			printf("     %s -> " STR_FMT "\n", rows[i].text, STR_ARG(buf_view(&got)));
		CHECK(str_starts(buf_view(&got), str_c(rows[i].status)));
		close(fd);
		buf_release(&got);
	}
	UNTIL(http_server_conns(server) == 0);
	stop();
}

TEST(limits_of_lines_headers_and_bodies)
{
	struct buf got = BUF_INIT, req = BUF_INIT;

	start(NULL, NULL);
	int fd = dial();
	buf_cstr(&req, "GET /");
	for (int i = 0; i < 20000; i++)
		buf_char(&req, 'a');
	buf_char(&req, '\0');
	put(fd, req.data);
	CHECK(until(fd, &got, NULL));
	CHECK(str_starts(buf_view(&got), STR("HTTP/1.1 414 ")));
	close(fd);
	buf_clear(&got);
	buf_clear(&req);
	fd = dial();
	buf_cstr(&req, "GET / HTTP/1.1\r\nHost: a\r\n");
	for (int i = 0; i < 7000; i++)
		buf_cstr(&req, "X: 0123456789\r\n");
	buf_char(&req, '\0');
	put(fd, req.data);
	CHECK(until(fd, &got, NULL));
	CHECK(str_starts(buf_view(&got), STR("HTTP/1.1 431 ")));
	close(fd);
	/* A chunked body that grows beyond the handler's limit. */
	buf_clear(&got);
	fd = dial();
	put(fd, "PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n");
	buf_clear(&req);
	for (int i = 0; i < 1000; i++)
		buf_char(&req, 'b');
	buf_cstr(&req, "\r\n1\r\nx");
	buf_char(&req, '\0');
	put(fd, req.data);
	CHECK(until(fd, &got, NULL));
	CHECK(str_starts(buf_view(&got), STR("HTTP/1.1 413 ")));
	close(fd);
	buf_release(&got);
	buf_release(&req);
	stop();
}

TEST(expect_continue_is_answered_when_the_body_is_wanted)
{
	struct buf got = BUF_INIT;

	start(NULL, NULL);
	int fd = dial();
	put(fd, "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
	CHECK(until(fd, &got, "HTTP/1.1 100 Continue\r\n\r\n"));
	put(fd, "ok");
	CHECK(until(fd, &got, "\r\n\r\nok"));
	buf_clear(&got);
	put(fd, "PUT /none HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
	CHECK(until(fd, &got, NULL)); /* nobody wanted it: no 100, and the end */
	CHECK(str_starts(buf_view(&got), STR("HTTP/1.1 404 ")));
	close(fd);
	buf_release(&got);
	stop();
}

TEST(bodies_stream_and_unwanted_ones_are_dropped)
{
	struct buf got = BUF_INIT;

	start(NULL, NULL);
	int fd = dial();
	put(fd, "PUT /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n");
	UNTIL(seen.len == 4);
	put(fd, "2\r\nef\r\n0\r\n\r\n");
	CHECK(until(fd, &got, "\r\n\r\n6"));
	buf_clear(&got);
	put(fd, "PUT /none HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
	CHECK(until(fd, &got, "none"));
	put(fd, "loGET /chunks HTTP/1.1\r\nHost: a\r\n\r\n");
	CHECK(until(fd, &got, "world"));
	close(fd);
	buf_release(&got);
	stop();
}

TEST(handler_learns_that_the_client_is_gone)
{
	start(NULL, NULL);
	int fd = dial();
	put(fd, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
	UNTIL(held != NULL);
	close(fd);
	UNTIL(aborts == 1);
	CHECK_INT(http_server_requests(server), 0);
	/* And one that is ended later, by a reply nobody gets. */
	fd = dial();
	put(fd, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
	UNTIL(held != NULL);
	http_on_abort(held, NULL);
	close(fd);
	UNTIL(http_aborted(held));
	CHECK_INT(http_server_requests(server), 1);
	http_reply(held, 200, STR("text/plain"), STR("late"));
	CHECK_INT(http_server_requests(server), 0);
	stop();
}

TEST(writer_is_told_when_the_queue_has_drained)
{
	struct buf got = BUF_INIT;

	start(NULL, NULL);
	int fd = dial();
	put(fd, "GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	CHECK(until(fd, &got, NULL));
	CHECK_INT(drains, 20);
	CHECK(got.len > 19 * 100000);
	CHECK(str_ends(buf_view(&got), STR("0\r\n\r\n")));
	close(fd);
	buf_release(&got);
	stop();
}

TEST(upgrade_gives_a_raw_stream_both_ways)
{
	struct buf got = BUF_INIT;

	start(NULL, NULL);
	int fd = dial();
	/* Bytes right behind the head already belong to the stream. */
	put(fd, "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly");
	CHECK(until(fd, &got, "early"));
	CHECK(str_starts(
		buf_view(&got), STR("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n")));
	CHECK_INT(http_server_requests(server), 0);
	put(fd, "later");
	CHECK(until(fd, &got, "later"));
	shutdown(fd, SHUT_WR);
	CHECK(until(fd, &got, NULL));
	CHECK_INT(upgrades, 1);
	close(fd);
	buf_release(&got);
	stop();
}

TEST(deadlines_of_head_body_and_idleness)
{
	struct http_server_config cfg = {
		.idle_ns = 60 * NS_PER_MS, .head_ns = 60 * NS_PER_MS, .body_ns = 60 * NS_PER_MS};
	struct buf got = BUF_INIT;

	start(NULL, &cfg);
	int fd = dial();
	put(fd, "GET / HT");
	CHECK(until(fd, &got, NULL));
	CHECK(str_starts(buf_view(&got), STR("HTTP/1.1 408 ")));
	close(fd);
	buf_clear(&got);
	fd = dial();
	put(fd, "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
	CHECK(until(fd, &got, NULL));
	CHECK(str_starts(buf_view(&got), STR("HTTP/1.1 408 ")));
	close(fd);
	buf_clear(&got);
	fd = dial();
	put(fd, "GET /chunks HTTP/1.1\r\nHost: a\r\n\r\n");
	CHECK(until(fd, &got, NULL));
	CHECK(str_ends(buf_view(&got), STR("world\r\n0\r\n\r\n")));
	close(fd);
	UNTIL(http_server_conns(server) == 0);
	buf_release(&got);
	stop();
}

static void
stopped(void *arg)
{
	*(bool *)arg = true;
}

TEST(stop_waits_for_requests_under_way)
{
	struct buf got = BUF_INIT;
	bool done = false;

	start(NULL, NULL);
	int fd = dial(), idle = dial();
	put(fd, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
	UNTIL(held != NULL && http_server_conns(server) == 2);
	http_server_stop(server, stopped, &done);
	CHECK(until(idle, &got, NULL));
	CHECK_INT(got.len, 0);
	CHECK(!done);
	http_reply(held, 200, STR("text/plain"), STR("bye"));
	CHECK(until(fd, &got, NULL));
	CHECK(str_find(buf_view(&got), STR("Connection: close\r\n")) > 0);
	UNTIL(done);
	close(fd);
	close(idle);
	buf_release(&got);
	stop();
}

TEST(server_freed_with_everything_open)
{
	start(NULL, NULL);
	int fd[6];
	for (int i = 0; i < 6; i++)
		fd[i] = dial();
	put(fd[0], "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
	put(fd[1], "GET /");
	put(fd[2], "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
	put(fd[3], "GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	UNTIL(held != NULL && http_server_conns(server) >= 5);
	for (int i = 0; i < 3; i++)
		loop_turn(loop, 0);
	UNTIL(http_server_requests(server) == 2);
	stop();
	CHECK_INT(aborts, 1);
	for (int i = 0; i < 6; i++)
		close(fd[i]);
}

/* curl: its exit status while the loop turns; output in got. */
static int
curl(struct buf *got, const char *const *argv)
{
	int fd = -1, status = 0;
	pid_t pid = run_start(argv, &fd, NULL);

	CHECK(pid > 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	int64_t limit = clock_mono_ns() + 20 * NS_PER_SEC;
	while (clock_mono_ns() < limit) {
		char bytes[2048];
		ssize_t n = read(fd, bytes, sizeof(bytes));
		if (n > 0)
			buf_add(got, bytes, (size_t)n);
		if (n == 0)
			break;
		loop_turn(loop, NS_PER_MS);
	}
	close(fd);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define CURL(got, ...)                                                                             \
	curl((got), (const char *const[]){"curl", "-sS", "--max-time", "15", __VA_ARGS__, NULL})

static const char *
save(const char *name, const struct buf *b)
{
	static char path[8][256];
	static int at;
	char *p = path[at++ % 8];
	FILE *f = NULL;

	snprintf(p, 256, "%s/%s", TEST_TMP, name);
	f = fopen(p, "w");
	CHECK(f && fwrite(b->data, 1, b->len, f) == b->len);
	fclose(f);
	return p;
}

TEST(curl_over_tls_with_and_without_a_client_certificate)
{
	if (!run_have("curl"))
		SKIP("curl is not installed");
	struct pki_party ca = pki_make(&(struct pki_want){.cn = "ca", .ca = true}, NULL);
	struct pki_party other = pki_make(&(struct pki_want){.cn = "ca", .ca = true}, NULL);
	struct pki_party own = pki_make(
		&(struct pki_want){.cn = "s", .ips = {"127.0.0.1"}, .eku = X509_EKU_SERVER}, &ca);
	struct pki_party alice = pki_make(
		&(struct pki_want){.cn = "alice", .orgs = {"ops"}, .eku = X509_EKU_CLIENT}, &ca);
	struct pki_party mallory = pki_make(
		&(struct pki_want){.cn = "alice", .orgs = {"ops"}, .eku = X509_EKU_CLIENT}, &other);
	struct tls_pair pair = pki_pair(&own);
	struct tls_config cfg = {.server = true,
		.pairs = &pair,
		.n_pairs = 1,
		.ca_pem = buf_view(&ca.cert),
		.client_auth = TLS_CLIENT_OPTIONAL};
	struct tls_ctx *ctx = NULL;
	struct buf got = BUF_INIT, upload = BUF_INIT;
	char url[64], big[64];

	CHECK_INT(tls_ctx_new(&cfg, &ctx, NULL), 0);
	start(ctx, NULL);
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/who", bound.port);
	snprintf(big, sizeof(big), "https://127.0.0.1:%u/stream", bound.port);
	const char *cap = save("ca.pem", &ca.cert);
	CHECK_INT(CURL(&got, "--cacert", cap, url), 0);
	CHECK_STR(buf_view(&got), "/");
	buf_clear(&got);
	CHECK_INT(CURL(&got, "--cacert", cap, "--cert", save("a.pem", &alice.cert), "--key",
			  save("a.key", &alice.key_pem), url, url),
		0);
	CHECK_STR(buf_view(&got), "alice/opsalice/ops");
	buf_clear(&got);
	CHECK_INT(CURL(&got, "--cacert", cap, "-w", "%{http_code}", "--cert",
			  save("m.pem", &mallory.cert), "--key", save("m.key", &mallory.key_pem),
			  url),
		0);
	CHECK_STR(buf_view(&got), "/401");
	buf_clear(&got);
	for (int i = 0; i < 3000000; i++)
		buf_char(&upload, (char)i);
	CHECK_INT(CURL(&got, "--cacert", cap, "-T", save("upload", &upload), big), 0);
	CHECK_STR(buf_view(&got), "3000000");
	CHECK(str_eq(buf_view(&seen), buf_view(&upload)));
	buf_clear(&got);
	snprintf(big, sizeof(big), "https://127.0.0.1:%u/big", bound.port);
	CHECK_INT(CURL(&got, "--cacert", cap, big), 0);
	CHECK_INT(got.len, 19 * 100000);
	buf_clear(&got);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/who", bound.port);
	CHECK_INT(CURL(&got, url), 0);
	CHECK_STR(buf_view(&got), "Client sent an HTTP request to an HTTPS server.\n");
	stop();
	tls_ctx_unref(ctx);
	buf_release(&got);
	buf_release(&upload);
	struct pki_party *all[] = {&ca, &other, &own, &alice, &mallory};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		pki_free(all[i]);
}
