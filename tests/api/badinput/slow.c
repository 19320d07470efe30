/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * slow: clients that stop in the middle: each is cut off after its time, while the other groups are served. They
 * are a process of their own, begun before the first group and judged after the last; the times are those of docs/limits.md. */
#include "tests/api/badinput/badinput.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define LARGE "api/v1/namespaces/large/configmaps"
#define LATE_MS 15000 /* the machine may be busy */
#define EARLY_MS 1000
#define READ_MS 135000 /* when the one that does not read looks at what came */

static int child, report = -1;

/* ---- the clients ---- */

struct slow {
	const char *what;
	bool tls;
	const char *bytes; /* sent at once */
	bool drips;        /* and one more each second */
	int64_t cut_ms;    /* when it is cut off */
	int http;          /* with which answer; 0: none */
	int first;         /* an answer that comes at once; 0: none */
};

static const struct slow clients[] = {
	{"a client that says nothing", false, "", false, 32000, 0, 0},
	{"half a record of the handshake", false, "\x16\x03\x01\x02", false, 32000, 0, 0},
	{"a client that says nothing inside TLS", true, "", false, 150000, 0, 0},
	{"half a request line", true, "GET /liv", false, 32000, 408, 0},
	{"half a head", true, "GET /livez HTTP/1.1\r\nHost: x\r\n", false, 32000, 408, 0},
	{"a head that drips", true, "GET /livez HTTP/1.1\r\nHost: ", true, 32000, 408, 0},
	{"half a body", true,
		"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n\r\n{",
		false, 60000, 408, 0},
	{"half a chunk", true,
		"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
		"chunked\r\n\r\n5\r\n{",
		false, 60000, 408, 0},
	{"no request after the first", true, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", false,
		150000, 0, 200},
};
#define N_CLIENTS ARRAY_LEN(clients)

static void
tell(bool ok, const char *fmt, ...)
{
	va_list ap;

	dprintf(report, "%s", ok ? "ok " : "");
	va_start(ap, fmt);
	vdprintf(report, fmt, ap);
	va_end(ap);
	dprintf(report, "\n");
}

static void
judge(const struct slow *w, struct conn *c, int64_t took)
{
	struct arena *a = arena_new(0);
	struct answer an;

	if (w->first) {
		conn_answer(a, c, false, &an);
		tell(an.http == w->first, "%s: the first answer is %d", w->what, an.http);
	}
	conn_answer(a, c, false, &an);
	tell(an.http == w->http, "%s: wanted %d, got %d", w->what, w->http, an.http);
	tell(took >= w->cut_ms - EARLY_MS && took <= w->cut_ms + LATE_MS,
		"%s: cut off after %lld ms, not %lld", w->what, (long long)took,
		(long long)w->cut_ms);
	arena_free(a);
}

/* check_reader: the list that nobody read is not there as a whole. */
static void
check_reader(struct conn *c)
{
	int64_t deadline = now_ms() + 30000;
	size_t n = 0;

	while (conn_wait(c, deadline)) {
		n += c->in.len;
		buf_clear(&c->in);
	}
	tell(c->eof || c->broken, "a list that is not read: the connection stays");
	tell(n > 0 && n < 24 << 20, "a list that is not read: %zu bytes came", n);
}

/* run: all clients at once, until the last of them has its end. What it tells first says that they are there. */
static void
run(struct server *s)
{
	struct conn *conns[N_CLIENTS], *reader = conn_open(s, true);
	int64_t begin[N_CLIENTS], drip = 0, start = now_ms();
	size_t left = 0;

	for (size_t i = 0; i < N_CLIENTS; i++) {
		conns[i] = conn_open(s, clients[i].tls);
		begin[i] = now_ms();
		if (conns[i])
			conn_send(conns[i], str_c(clients[i].bytes));
		left += conns[i] != NULL;
	}
	if (reader)
		conn_send(reader, STR("GET /" LARGE " HTTP/1.1\r\nHost: x\r\n\r\n"));
	tell(left == N_CLIENTS && reader, "%zu connections only", left);
	while ((left || reader) && now_ms() < start + 200000) {
		poll_wait(100);
		for (size_t i = 0; i < N_CLIENTS; i++) {
			struct conn *c = conns[i];

			if (c == NULL)
				continue;
			while (conn_wait(c, now_ms() + 1)) {}
			if (!c->eof && !c->broken && clients[i].drips && now_ms() > drip + 1000) {
				conn_send(c, STR("x"));
				drip = now_ms();
			}
			if (!c->eof && !c->broken)
				continue;
			judge(&clients[i], c, now_ms() - begin[i]);
			conn_free(c);
			conns[i] = NULL;
			left--;
		}
		if (reader && now_ms() > start + READ_MS) {
			check_reader(reader);
			conn_free(reader);
			reader = NULL;
		}
	}
	for (size_t i = 0; i < N_CLIENTS; i++)
		tell(conns[i] == NULL, "%s: still there after 200 s", clients[i].what);
}

/* ---- from outside ---- */

void
slow_start(struct server *s)
{
	int pipe_fds[2];

	fflush(stdout);
	make_large(s);
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return;
	conn_free(s->conn); /* it would be two processes' */
	s->conn = NULL;
	child = fork();
	if (child == 0) {
		report = pipe_fds[1];
		run(s);
		_exit(0);
	}
	close(pipe_fds[1]);
	report = pipe_fds[0];
	/* Until all are connected: the groups count descriptors. */
	poll(&(struct pollfd){report, POLLIN, 0}, 1, 30000);
}

void
slow_stop(void)
{
	if (child <= 0)
		return;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(report);
	child = 0;
}

void
group_slow(struct server *s)
{
	struct buf b = BUF_INIT;
	struct str rest = STR_NONE, line = STR_NONE;
	int64_t deadline = now_ms() + 240000, asked = 0;
	char bytes[4096];
	size_t n = 0;

	/* The others are served meanwhile. */
	for (bool end = child <= 0; !end && now_ms() < deadline;) {
		struct pollfd p = {report, POLLIN, 0};

		if (poll(&p, 1, 1000) > 0) {
			ssize_t got = read(report, bytes, sizeof(bytes));

			end = got <= 0;
			if (got > 0)
				buf_add(&b, bytes, (size_t)got);
		} else if (now_ms() > asked + 5000) {
			asked = now_ms();
			check(get_ok(s, "readyz"),
				"the server does not answer beside slow clients");
			check(now_ms() - asked < 5000, "an answer beside slow clients took %lld ms",
				(long long)(now_ms() - asked));
		}
	}
	rest = buf_view(&b);
	while (str_next(&rest, '\n', &line)) {
		if (line.n == 0)
			continue;
		check(str_starts(line, STR("ok ")), STR_FMT, STR_ARG(line));
		n++;
	}
	check(n >= 2 * N_CLIENTS, "slow clients told %zu results only", n);
	buf_release(&b);
	slow_stop();
}
