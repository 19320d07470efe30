/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * call: one request to another server and its reply; contracts in client.h.
 * Place in the flow: http_call_start -> client.c (a connection) -> here -> the caller's functions.
 * Invariants: `end` (or `upgraded`) runs exactly once, never within http_call_start, not after a
 * cancel; a call's memory lives until the end of the turn. A request is sent a second time only when
 * that cannot have an effect twice.
 * Source: RFC 9112 sections 6 and 9; RFC 9110 section 9.2.1 (safe methods). */
#include "netstack/http/client_int.h"
#include "netstack/http/server.h"
#include "netstack/http/tunnel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- life ------------------------------------------------------------------------------------------ */

static void
call_release(void *p)
{
	struct http_call *c = p;

	buf_release(&c->request);
	tls_ctx_unref(c->tls);
	arena_free(c->arena);
	free(c);
}

/* call_forget: nothing will run for it any more. */
static void
call_forget(struct http_call *c)
{
	struct http_client *cl = c->client;

	c->state = CALL_OVER;
	if (c->prev)
		c->prev->next = c->next;
	else
		cl->calls = c->next;
	if (c->next)
		c->next->prev = c->prev;
	loop_timer_cancel(&c->timer);
	loop_defer_cancel(&c->work);
	if (c->resolving && cl->cfg.resolver.cancel)
		cl->cfg.resolver.cancel(cl->cfg.resolver.arg, &c->resolve);
	c->resolving = false;
	loop_free_later(cl->loop, call_release, c);
}

void
http_call_cancel(struct http_call *c)
{
	if (c->state == CALL_OVER)
		return;
	if (c->conn)
		http_link_drop(c->conn);
	c->conn = NULL;
	call_forget(c);
}

static void
call_end(struct http_call *c, const struct err *e)
{
	call_forget(c);
	if (c->fns->end)
		c->fns->end(c->arg, e);
}

void
http_call_fail(struct http_call *c, const struct err *e)
{
	struct err kept = *e;

	if (c->state == CALL_OVER)
		return;
	if (c->conn)
		http_link_drop(c->conn);
	c->conn = NULL;
	call_end(c, &kept);
}

static void
call_fail(struct http_call *c, int code, const char *text)
{
	struct err e = {0};

	err_set(&e, code, R_UNKNOWN, "%s '" STR_FMT "'", text, STR_ARG(c->url.host));
	http_call_fail(c, &e);
}

/* is_safe: done twice it is as if done once, whatever others do between: a PUT that had its effect would
 * overwrite theirs when it is sent again. */
static bool
is_safe(struct str method)
{
	static const struct str methods[] = {
		STR_INIT("GET"), STR_INIT("HEAD"), STR_INIT("OPTIONS"), STR_INIT("TRACE")};
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (str_eq(methods[i], method))
			return true;
	return false;
}

void
http_call_broken(struct http_call *c, const struct err *e)
{
	bool pooled = c->conn == NULL && !c->retried && !c->head_seen;

	/* A server may close an idle connection just as we use it. */
	if (pooled && c->state == CALL_HEAD && c->sent_any && !c->stream_body &&
		is_safe(c->method)) {
		c->retried = true;
		c->start_ns = loop_now_ns(c->client->loop);
		http_call_connect(c);
		return;
	}
	http_call_fail(c, e);
}

/* ---- time ------------------------------------------------------------------------------------------- */

static int64_t
earlier(int64_t a, int64_t b)
{
	return a == 0 ? b : b == 0 ? a : a < b ? a : b;
}

static int64_t
call_deadline(const struct http_call *c)
{
	int64_t at = c->total_at_ns;

	if (c->state == CALL_RESOLVE || c->state == CALL_CONNECT)
		at = earlier(at, c->connect_at_ns);
	if (c->state <= CALL_HEAD)
		at = earlier(at, c->head_at_ns);
	if (c->state == CALL_BODY && c->stall_ns && !c->paused)
		at = earlier(at, c->conn->wire->read_ns + c->stall_ns);
	return at;
}

void
http_call_timer(struct http_call *c)
{
	int64_t at = call_deadline(c);

	if (at && (!loop_timer_is_set(&c->timer) || c->timer.at_ns > at))
		loop_timer_set(c->client->loop, &c->timer, at);
}

static void
call_on_timer(struct loop_timer *t)
{
	struct http_call *c = t->arg;
	int64_t at = call_deadline(c);

	if (at == 0)
		return;
	if (at > loop_now_ns(c->client->loop)) {
		loop_timer_set(c->client->loop, t, at);
		return;
	}
	if (c->state == CALL_CONNECT && c->next_addr < c->n_addrs && at != c->total_at_ns &&
		at != c->head_at_ns) {
		/* This address had its share: the next one. */
		struct link_conn *l = c->conn;
		c->conn = NULL;
		l->call = NULL;
		http_link_drop(l);
		err_set(&c->connect_error, -ETIMEDOUT, R_UNKNOWN, "timed out connecting");
		struct http_addr rest[ADDRS_MAX];
		size_t n = c->n_addrs - c->next_addr;
		memcpy(rest, c->addrs + c->next_addr, n * sizeof(rest[0]));
		memcpy(c->addrs, rest, n * sizeof(rest[0]));
		c->n_addrs = n;
		c->retried = true;
		http_call_connect(c);
		return;
	}
	call_fail(c, -ETIMEDOUT,
		c->state == CALL_RESOLVE           ? "timed out looking up"
			: c->state == CALL_CONNECT ? "timed out connecting to"
			: c->state == CALL_HEAD    ? "timed out waiting for the reply of"
						   : "timed out reading the reply of");
}

/* ---- the request ------------------------------------------------------------------------------------ */

static bool
ours(struct str name)
{
	return str_eq_nocase(name, STR("Content-Length")) ||
		str_eq_nocase(name, STR("Transfer-Encoding")) ||
		str_eq_nocase(name, STR("Connection")) || str_eq_nocase(name, STR("Upgrade"));
}

static void
header_line(struct buf *b, struct str name, struct str value)
{
	buf_str(b, name);
	buf_str(b, STR(": "));
	buf_str(b, value);
	buf_str(b, STR("\r\n"));
}

static void
host_line(struct http_call *c, struct buf *b)
{
	bool v6 = str_find_char(c->url.host, ':') >= 0;

	buf_fmt(b, v6 ? "Host: [" STR_FMT "]" : "Host: " STR_FMT, STR_ARG(c->url.host));
	if (c->url.port != (c->url.tls ? 443 : 80))
		buf_fmt(b, ":%u", c->url.port);
	buf_str(b, STR("\r\n"));
}

/* request_write: the head, and the body when it is here. 0, -EINVAL a header that cannot be sent. */
static int
request_write(struct http_call *c, const struct http_call_spec *s)
{
	struct buf *b = &c->request;
	bool host = false;

	buf_str(b, c->method);
	buf_char(b, ' ');
	if (c->url.target.n == 0 || c->url.target.p[0] != '/')
		buf_char(b, '/');
	buf_str(b, c->url.target);
	buf_str(b, STR(" HTTP/1.1\r\n"));
	for (size_t i = 0; i < s->n_headers; i++)
		host |= str_eq_nocase(s->headers[i].name, STR("Host"));
	if (!host)
		host_line(c, b);
	for (size_t i = 0; i < s->n_headers; i++) {
		if (!http1_token_ok(s->headers[i].name) || !http1_value_ok(s->headers[i].value))
			return -EINVAL;
		if (!ours(s->headers[i].name))
			header_line(b, s->headers[i].name, s->headers[i].value);
	}
	if (s->bearer.n > 0) {
		if (!http1_value_ok(s->bearer))
			return -EINVAL;
		buf_str(b, STR("Authorization: Bearer "));
		buf_str(b, s->bearer);
		buf_str(b, STR("\r\n"));
	}
	if (s->upgrade.n > 0) {
		if (!http1_value_ok(s->upgrade))
			return -EINVAL;
		buf_str(b, STR("Connection: Upgrade\r\n"));
		header_line(b, STR("Upgrade"), s->upgrade);
	} else if (s->fresh) {
		buf_str(b, STR("Connection: close\r\n"));
	}
	c->chunked = s->stream_body && s->body_bytes < 0;
	if (c->chunked)
		buf_str(b, STR("Transfer-Encoding: chunked\r\n"));
	else if (s->stream_body)
		buf_fmt(b, "Content-Length: %lld\r\n", (long long)s->body_bytes);
	else if (s->body.n > 0 || str_eq(c->method, STR("POST")) || str_eq(c->method, STR("PUT")) ||
		str_eq(c->method, STR("PATCH")))
		buf_fmt(b, "Content-Length: %zu\r\n", s->body.n);
	buf_str(b, STR("\r\n"));
	if (!s->stream_body)
		buf_str(b, s->body);
	return b->failed ? -ENOMEM : 0;
}

static void
call_start(struct loop_work *w)
{
	struct http_call *c = w->arg;

	if (c->state == CALL_WAIT)
		http_call_connect(c);
}

static int
call_fill(struct http_call *c, const struct http_call_spec *s, struct err *e)
{
	struct arena *a = c->arena;
	int64_t now = loop_now_ns(c->client->loop);

	int r = http_url_parse(arena_str(a, s->url), &c->url);
	if (r < 0)
		return err_set(
			e, -EINVAL, R_BAD_REQUEST, "malformed URL '" STR_FMT "'", STR_ARG(s->url));
	if (!http1_token_ok(s->method))
		return err_set(e, -EINVAL, R_BAD_REQUEST, "malformed method");
	if (c->url.tls && !s->tls)
		return err_set(e, -EINVAL, R_BAD_REQUEST, "https without a TLS context");
	c->method = arena_str(a, s->method);
	c->head_method = str_eq(s->method, STR("HEAD"));
	c->verify = s->verify_name.n > 0 ? arena_str(a, s->verify_name) : c->url.host;
	c->upgrade = arena_str(a, s->upgrade);
	c->tls = c->url.tls ? tls_ctx_ref(s->tls) : NULL;
	c->stream_body = s->stream_body;
	c->fresh = s->fresh || s->upgrade.n > 0;
	c->start_ns = now;
	c->head_at_ns = s->head_ns ? now + s->head_ns : 0;
	c->total_at_ns = s->total_ns ? now + s->total_ns : 0;
	c->stall_ns = s->stall_ns;
	char addr[HTTP_ADDR_TEXT] = "";
	if (s->addr) {
		c->addrs[c->n_addrs++] = *s->addr;
		http_addr_format(s->addr, addr);
	}
	c->key = arena_fmt(a, "%p|" STR_FMT "|%u|" STR_FMT "|%s", (void *)c->tls,
		STR_ARG(c->url.host), c->url.port, STR_ARG(c->verify), addr);
	r = request_write(c, s);
	if (r == -ENOMEM || arena_failed(a))
		return err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	return r < 0 ? err_set(e, r, R_BAD_REQUEST, "malformed request header") : 0;
}

int
http_call_start(struct http_client *cl, const struct http_call_spec *spec,
	const struct http_call_fns *fns, void *arg, struct http_call **ret, struct err *e)
{
	struct http_call *c = calloc(1, sizeof(*c));

	if (!c)
		return err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	c->client = cl;
	c->fns = fns;
	c->arg = arg;
	c->arena = arena_new(0);
	int r = c->arena ? call_fill(c, spec, e) : err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	if (r < 0) {
		call_release(c);
		return r;
	}
	c->timer = (struct loop_timer){.fn = call_on_timer, .arg = c};
	c->work = (struct loop_work){.fn = call_start, .arg = c};
	c->next = cl->calls;
	if (c->next)
		c->next->prev = c;
	cl->calls = c;
	loop_defer(cl->loop, &c->work);
	http_call_timer(c);
	if (ret)
		*ret = c;
	return 0;
}

void
http_call_ready(struct http_call *c)
{
	struct str all = buf_view(&c->request);

	c->state = CALL_HEAD;
	c->scanned = 0;
	c->sent_any = true;
	http_wire_write(c->conn->wire, &all, 1);
	if (c->stream_body)
		buf_release(&c->request);
	c->resp.peer = c->conn->wire->tls ? tls_conn_peer(c->conn->wire->tls) : NULL;
	c->resp.remote = c->conn->remote;
	http_wire_pause(c->conn->wire, c->paused, true);
	http_call_timer(c);
	if (c->stream_body && c->fns->drain)
		c->fns->drain(c->arg);
}

static size_t
body_out(struct http_call *c, const struct str *parts, size_t n)
{
	if (c->state == CALL_OVER)
		return 0;
	if (c->conn && c->state >= CALL_HEAD) {
		size_t queued = http_wire_write(c->conn->wire, parts, n);
		if (queued > HTTP_QUEUE_LOW)
			c->above = true;
		return queued;
	}
	for (size_t i = 0; i < n; i++)
		buf_str(&c->request, parts[i]);
	return c->request.len;
}

size_t
http_call_write(struct http_call *c, struct str bytes)
{
	char size[24];

	BUG_ON(!c->stream_body || c->body_ended);
	if (bytes.n == 0)
		return body_out(c, NULL, 0);
	int n = snprintf(size, sizeof(size), "%zx\r\n", bytes.n);
	struct str parts[3] = {str_from(size, (size_t)n), bytes, STR_INIT("\r\n")};
	return c->chunked ? body_out(c, parts, 3) : body_out(c, parts + 1, 1);
}

void
http_call_write_end(struct http_call *c)
{
	static const struct str last = STR_INIT("0\r\n\r\n");

	c->body_ended = true;
	if (c->chunked)
		body_out(c, &last, 1);
}

void
http_call_sent(struct http_call *c)
{
	if (c->above && http_wire_queued(c->conn->wire) <= HTTP_QUEUE_LOW) {
		c->above = false;
		if (c->fns->drain && !c->body_ended)
			c->fns->drain(c->arg);
	}
}

void
http_call_pause(struct http_call *c, bool paused)
{
	c->paused = paused;
	if (c->conn && c->state >= CALL_HEAD && c->state != CALL_OVER) {
		c->conn->wire->read_ns = loop_now_ns(c->client->loop);
		http_wire_pause(c->conn->wire, paused, false);
		http_call_timer(c);
	}
}

/* ---- the reply -------------------------------------------------------------------------------------- */

static void
reply_over(struct http_call *c)
{
	struct link_conn *l = c->conn;
	struct err none = {0};
	bool keep = c->keep_alive && !c->fresh && (!c->stream_body || c->body_ended);

	c->conn = NULL;
	l->call = NULL;
	/* The peer's names must outlive `end`: the connection's memory lasts until the turn's. */
	http_link_release(l, keep);
	call_end(c, &none);
}

/* upgraded: 101: the wire becomes a tunnel. */
static void
reply_upgraded(struct http_call *c)
{
	struct http_tunnel *t = NULL;
	struct link_conn *l = c->conn;

	if (!c->fns->upgraded || c->upgrade.n == 0) {
		call_fail(c, -EPROTO, "unexpected upgrade by");
		return;
	}
	if (c->fns->head)
		c->fns->head(c->arg, &c->resp);
	if (c->state == CALL_OVER)
		return;
	c->conn = NULL;
	l->call = NULL;
	struct http_wire *w = http_link_detach(l);
	int r = http_tunnel_new(w, &t);
	call_forget(c);
	if (r < 0) {
		struct err e = {0};
		err_errno(&e, r, "upgrading");
		c->fns->end(c->arg, &e);
		return;
	}
	c->fns->upgraded(c->arg, &c->resp, t);
}

/* read_head: takes heads off *in. False: more is needed, or the call is over. */
static bool
read_head(struct http_call *c, struct str *in)
{
	struct http1_head h = {0};
	ptrdiff_t end = http1_head_end(*in, &c->scanned);

	if (end == 0)
		return false;
	struct str text = end > 0 ? arena_str(c->arena, str_sub(*in, 0, (size_t)end)) : STR_NONE;
	if (end < 0 || !str_is_set(text) ||
		http1_response_parse(c->arena, text, c->head_method, &h) < 0) {
		call_fail(c, -EPROTO, "malformed reply of");
		return false;
	}
	*in = str_sub(*in, (size_t)end, SIZE_MAX);
	c->scanned = 0;
	c->resp.status = h.status;
	c->resp.headers = h.headers;
	if (h.status == 101) {
		reply_upgraded(c);
		return false;
	}
	if (h.status < 200)
		return true; /* 100 Continue and the like */
	c->head_seen = true;
	c->keep_alive = h.keep_alive;
	c->body = http1_body_of(&h);
	c->state = CALL_BODY;
	http_call_timer(c);
	if (c->fns->head)
		c->fns->head(c->arg, &c->resp);
	return c->state != CALL_OVER;
}

size_t
http_call_data(struct http_call *c, struct str bytes)
{
	struct str in = bytes, piece = STR_NONE;

	while (c->state == CALL_HEAD)
		if (!read_head(c, &in))
			return bytes.n - in.n;
	while (!c->body.done && !c->paused) {
		int r = http1_body_next(&c->body, &in, &piece);
		if (r < 0) {
			call_fail(c, -EPROTO, "malformed body of");
			return bytes.n;
		}
		if (r == 0)
			break;
		if (c->fns->data)
			c->fns->data(c->arg, piece);
		if (c->state == CALL_OVER)
			return bytes.n;
	}
	if (c->body.done && !c->paused) {
		/* What is behind the end belongs to no call: such a connection is not used again. */
		if (in.n > 0)
			c->keep_alive = false;
		reply_over(c);
		return bytes.n;
	}
	return bytes.n - in.n;
}

void
http_call_eof(struct http_call *c)
{
	struct link_conn *l = c->conn;

	if (c->state == CALL_BODY && c->body.mode == HTTP1_TO_EOF) {
		c->body.done = true;
		c->keep_alive = false;
		reply_over(c);
		return;
	}
	struct err e = {0};
	err_set(&e, -ECONNRESET, R_UNKNOWN, "'" STR_FMT "' closed the connection",
		STR_ARG(c->url.host));
	c->conn = NULL;
	l->call = NULL;
	http_link_drop(l);
	http_call_broken(c, &e);
}
