/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * client: connections that may send anything, and answers taken apart. Deadlines everywhere: a server that
 * hangs fails a test, it does not stop the suite. */
#include "tests/api/badinput/badinput.h"

#include "netstack/tls/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MS 30000

/* ---- bytes ---- */

/* push_wire: what TLS has to send; false: the other side is gone. */
static bool
push_raw(struct conn *c, struct str s)
{
	int64_t deadline = now_ms() + ANSWER_MS;

	while (s.n && now_ms() < deadline) {
		ssize_t n = send(c->fd, s.p, s.n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			s = str_sub(s, (size_t)n, SIZE_MAX);
			continue;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			break;
		/* Take what came: a server that answers early stops reading until it is read. */
		struct pollfd p = {c->fd, POLLOUT | POLLIN, 0};

		poll(&p, 1, 1000);
		if ((p.revents & POLLIN) && !(p.revents & POLLOUT) &&
			!conn_wait(c, now_ms() + 1000) && (c->eof || c->broken))
			break;
	}
	return s.n == 0;
}

static bool
push_wire(struct conn *c)
{
	struct str w = c->tls ? tls_wire(c->tls) : STR("");
	size_t n = w.n;
	bool ok = n == 0 || push_raw(c, w);

	if (c->tls && n)
		tls_wire_sent(c->tls, n);
	return ok;
}

static void
take_plain(struct conn *c)
{
	struct str r = tls_readable(c->tls);

	buf_str(&c->in, r);
	tls_consume(c->tls, r.n);
	c->eof = c->eof || tls_peer_closed(c->tls);
}

bool
conn_wait(struct conn *c, int64_t deadline_ms)
{
	static char bytes[16384]; /* one thread */
	bool shaken = c->tls == NULL || tls_established(c->tls);
	size_t had = c->in.len;

	while (!c->eof && !c->broken && c->in.len == had) {
		int64_t left = deadline_ms - now_ms();
		struct pollfd p = {c->fd, POLLIN, 0};

		if (left <= 0 || poll(&p, 1, (int)left) <= 0)
			return false;
		ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0) {
			c->eof = true;
			c->broken = n < 0;
			break;
		}
		if (c->tls == NULL) {
			buf_add(&c->in, bytes, (size_t)n);
			continue;
		}
		if (tls_feed(c->tls, bytes, (size_t)n) < 0)
			c->broken = true;
		take_plain(c);
		push_wire(c);
		if (!shaken && tls_established(c->tls))
			break;
	}
	return c->in.len > had;
}

struct conn *
conn_open(struct server *s, bool tls)
{
	struct conn *c = calloc(1, sizeof(*c));
	struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)s->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int64_t deadline = now_ms() + ANSWER_MS;
	int on = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(c->fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		conn_free(c);
		return NULL;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (!tls)
		return c;
	if (tls_client_new(s->tls, STR("127.0.0.1"), &c->tls) < 0 || !push_wire(c)) {
		conn_free(c);
		return NULL;
	}
	while (!tls_established(c->tls) && !c->eof && !c->broken && now_ms() < deadline)
		conn_wait(c, now_ms() + 100);
	if (!tls_established(c->tls)) {
		conn_free(c);
		return NULL;
	}
	return c;
}

void
conn_free(struct conn *c)
{
	if (c == NULL)
		return;
	tls_conn_free(c->tls);
	if (c->fd >= 0)
		close(c->fd);
	buf_release(&c->in);
	free(c);
}

bool
conn_send(struct conn *c, struct str bytes)
{
	if (c->tls == NULL)
		return push_raw(c, bytes);
	while (bytes.n) {
		struct str part = str_sub(bytes, 0, 16384);

		if (c->eof || c->broken || tls_write(c->tls, &part, 1) < 0 || !push_wire(c))
			return false;
		bytes = str_sub(bytes, part.n, SIZE_MAX);
	}
	return true;
}

/* ---- answers ---- */

struct str
answer_header(const struct answer *an, const char *name, size_t nth)
{
	struct str rest = an->head, line = STR_NONE, key = STR_NONE, value = STR_NONE;

	while (str_next(&rest, '\n', &line))
		if (str_cut(line, ':', &key, &value) && str_eq_nocase(key, str_c(name)) &&
			nth-- == 0)
			return str_trim(value);
	return STR_NONE;
}

/* more: at least n bytes of input. */
static bool
more(struct conn *c, size_t n, int64_t deadline)
{
	while (c->in.len < n)
		if (!conn_wait(c, deadline))
			return false;
	return true;
}

static bool
read_chunked(struct conn *c, struct buf *body, int64_t deadline)
{
	for (;;) {
		ptrdiff_t eol = -1;
		uint64_t n = 0;

		while ((eol = str_find(buf_view(&c->in), STR("\r\n"))) < 0)
			if (!conn_wait(c, deadline))
				return false;
		if (str_to_u64_hex(str_sub(buf_view(&c->in), 0, (size_t)eol), &n) != 0)
			return false;
		buf_consume(&c->in, (size_t)eol + 2);
		if (!more(c, (size_t)n + 2, deadline))
			return false;
		buf_str(body, str_sub(buf_view(&c->in), 0, (size_t)n));
		buf_consume(&c->in, (size_t)n + 2);
		if (n == 0)
			return true;
	}
}

void
conn_answer(struct arena *a, struct conn *c, bool to_end, struct answer *ret)
{
	int64_t deadline = now_ms() + ANSWER_MS;
	ptrdiff_t end = -1;
	struct buf body;
	struct doc *d = NULL;
	int64_t length = 0, status = 0;

	*ret = (struct answer){0};
	buf_init_arena(&body, a);
	while (c && (end = str_find(buf_view(&c->in), STR("\r\n\r\n"))) < 0)
		if (!conn_wait(c, deadline))
			break;
	if (c == NULL || end < 0) {
		ret->closed = c == NULL || c->eof || c->broken;
		return;
	}
	ret->head = arena_str(a, str_sub(buf_view(&c->in), 0, (size_t)end + 2));
	buf_consume(&c->in, (size_t)end + 4);
	if (str_to_i64(str_sub(ret->head, 9, 12), &status) == 0)
		ret->http = (int)status;
	if (ret->http == 100) {
		conn_answer(a, c, to_end, ret);
		return;
	}
	if (str_eq_nocase(answer_header(ret, "Transfer-Encoding", 0), STR("chunked"))) {
		read_chunked(c, &body, deadline);
	} else if (str_to_i64(answer_header(ret, "Content-Length", 0), &length) == 0) {
		if (more(c, (size_t)length, deadline)) {
			buf_str(&body, str_sub(buf_view(&c->in), 0, (size_t)length));
			buf_consume(&c->in, (size_t)length);
		}
	}
	ret->body = buf_view(&body);
	if (ret->body.n && ret->body.p[0] == '{' &&
		doc_parse_json(a, ret->body, NULL, &d, NULL) == 0)
		ret->doc = d;
	ret->closed = str_eq_nocase(answer_header(ret, "Connection", 0), STR("close"));
	if (to_end) {
		conn_wait(c, now_ms() + (ret->closed ? 5000 : 50));
		ret->closed = c->eof || c->broken;
	}
}

struct str
answer_reason(const struct answer *an)
{
	struct str s = doc_get_str(an->doc, STR("reason"));

	return str_is_set(s) ? s : STR("");
}

struct str
answer_message(const struct answer *an)
{
	struct str s = doc_get_str(an->doc, STR("message"));

	return str_is_set(s) ? s : STR("");
}

void
call(struct arena *a, struct server *s, const struct call *c, struct answer *ret)
{
	struct buf b;

	buf_init_arena(&b, a);
	buf_fmt(&b,
		"%s /%s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n",
		c->method, c->path, c->type ? c->type : "application/json", c->body.n,
		c->headers ? c->headers : "");
	buf_str(&b, c->body);
	for (int again = 0; again < 2; again++) {
		if (s->conn == NULL)
			s->conn = conn_open(s, true);
		if (s->conn)
			conn_send(s->conn, buf_view(&b));
		conn_answer(a, s->conn, false, ret);
		if (ret->http == 0 || ret->closed) {
			conn_free(s->conn);
			s->conn = NULL;
		}
		if (ret->http || !ret->closed)
			break;
	}
}

bool
get_ok(struct server *s, const char *path)
{
	struct arena *a = arena_new(0);
	struct answer an;
	bool ok = false;

	call(a, s, &(struct call){.method = "GET", .path = path}, &an);
	ok = an.http == 200;
	arena_free(a);
	return ok;
}

bool
says(const struct answer *an, int http, const char *reason, const char *text, const char *fmt, ...)
{
	char name[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	return check(an->http == http && (!reason || str_eq_c(answer_reason(an), reason)) &&
			(!text ||
				str_find(an->doc && http >= 400 ? answer_message(an) : an->body,
					str_c(text)) >= 0),
		"%s: wanted %d %s '%s', got %d '" STR_FMT "'", name, http, reason ? reason : "",
		text ? text : "", an->http, STR_ARG(str_sub(an->body, 0, 600)));
}

void
ask_all(struct server *s, const struct ask *asks, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct ask *q = &asks[i];
		struct arena *a = arena_new(0);
		char name[256];
		struct answer an;

		snprintf(name, sizeof(name), "%s %.80s %.100s", q->method, q->path,
			q->body ? q->body : "");
		call(a, s,
			&(struct call){q->method, q->path, q->type, q->headers,
				str_c(q->body ? q->body : "")},
			&an);
		says(&an, q->http, q->reason, q->text, "%s", name);
		if (q->cause)
			cause_is(&an, q->cause, q->field, name);
		arena_free(a);
	}
}

bool
cause_is(const struct answer *an, const char *reason, const char *field, const char *name)
{
	DOC_EACH (c, doc_at(an->doc, "details.causes"))
		if (str_eq(doc_get_str(c, STR("field")), str_c(field)) &&
			str_starts(doc_get_str(c, STR("reason")), STR("FieldValue")) &&
			str_ends(doc_get_str(c, STR("reason")), str_c(reason)))
			return check(true, "%s", name);
	return check(false, "%s: no cause %s at %s: " STR_FMT, name, reason, field,
		STR_ARG(str_sub(an->body, 0, 600)));
}

struct str
repeated(struct arena *a, const char *text, size_t n)
{
	return nested(a, text, "", "", n);
}

struct str
nested(struct arena *a, const char *open, const char *middle, const char *close, size_t n)
{
	struct buf b;

	buf_init_arena(&b, a);
	for (size_t i = 0; i < n; i++)
		buf_cstr(&b, open);
	buf_cstr(&b, middle);
	for (size_t i = 0; i < n; i++)
		buf_cstr(&b, close);
	return buf_view(&b);
}
