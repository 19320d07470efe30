/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * server: accepts connections and reads requests; contracts in server.h, answers in reply.c.
 * Place in the flow: loop -> wire -> here -> on_request.
 * Invariants: one request of a connection is under way at a time; pipelined ones wait in the wire, and
 * reading stops when much waits. One timer a connection, armed lazily: it looks at its deadline anew
 * when it fires, so that a request costs no timer work.
 * Source: RFC 9112 (connections), RFC 9110 section 10.1.1 (Expect). */
#include "netstack/http/server_int.h"
#include "netstack/http/sockaddr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

/* Few: when all clients are back at once, those who were first are answered while others wait, instead of all of them
 * going through the costly handshake side by side. */
#define ACCEPTS_A_TURN 2
#define WAITING_BYTES (64 * 1024) /* pipelined input kept while a request is under way */
#define ACCEPT_RETRY_NS (100 * NS_PER_MS)

static const struct http_wire_ops conn_ops;
static void conn_on_timer(struct loop_timer *t);

/* ---- connections ------------------------------------------------------------------------------- */

static void
conn_release(void *p)
{
	free(p);
}

static void
stop_check(struct http_server *s)
{
	if (s->stopping && s->stop_done && s->n_reqs == 0)
		loop_defer(s->loop, &s->stop_work);
}

/* conn_forget: out of the server's list; memory lives until the end of the turn. */
static void
conn_forget(struct http_conn *c)
{
	struct http_server *s = c->server;

	if (c->prev)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->n_conns--;
	loop_timer_cancel(&c->timer);
	c->wire = NULL;
	if (!s->listening && s->listen.fd >= 0 && !s->stopping && s->n_conns < s->cfg.max_conns &&
		!loop_timer_is_set(&s->accept_retry))
		loop_timer_after(s->loop, &s->accept_retry, 0);
	loop_free_later(s->loop, conn_release, c);
}

/* peer_keep: the peer's names outlive the connection as long as the request does. */
static const struct tls_peer *
peer_keep(struct arena *a, const struct tls_peer *p)
{
	static const struct tls_peer none = {.why = ""};
	struct tls_peer *copy = p ? ARENA_NEW(a, struct tls_peer) : NULL;
	struct str *orgs = copy ? ARENA_ARRAY(a, struct str, p->n_orgs) : NULL;

	if (!p || !orgs)
		return p ? &none : NULL;
	*copy = *p;
	copy->cn = arena_str(a, p->cn);
	copy->serial = arena_str(a, p->serial);
	copy->why = arena_cstr(a, str_c(p->why));
	for (size_t i = 0; i < p->n_orgs; i++)
		orgs[i] = arena_str(a, p->orgs[i]);
	copy->orgs = orgs;
	return arena_failed(a) ? &none : copy;
}

/* conn_abort_req: the request under way lost its client. */
static void
conn_abort_req(struct http_conn *c)
{
	struct req *q = c->req;

	c->req = NULL;
	if (!q)
		return;
	q->conn = NULL;
	q->aborted = true;
	q->pub.peer = peer_keep(q->pub.arena, q->pub.peer);
	enum body_how how = q->how;
	q->how = BODY_DONE;
	if (how == BODY_COLLECT)
		q->collected(&q->pub, -ECONNRESET, STR_NONE);
	else if (how == BODY_STREAM)
		q->fns->end(&q->pub, -ECONNRESET);
	else if (q->on_abort)
		q->on_abort(&q->pub);
}

void
http_conn_drop(struct http_conn *c)
{
	http_wire_free(c->wire);
	conn_forget(c);
	conn_abort_req(c);
}

/* http_conn_finish: everything queued is still delivered, then the connection is over. */
void
http_conn_finish(struct http_conn *c)
{
	http_wire_finish(c->wire, LINGER_NS);
	conn_forget(c);
}

struct http_wire *
http_conn_detach(struct http_conn *c)
{
	struct http_wire *w = c->wire;

	c->req = NULL;
	conn_forget(c);
	return w;
}

/* conn_refuse: an answer to what is no request; the connection ends. */
static void
conn_refuse(struct http_conn *c, int status)
{
	char head[256];
	const char *text = http_status_text(status);
	int n = snprintf(head, sizeof(head),
		"HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
		"Connection: close\r\nContent-Length: %zu\r\n\r\n%d %s",
		status, text, http_server_date(c->server), strlen(text) + 4, status, text);
	struct str bytes = str_from(head, (size_t)n);

	http_wire_write(c->wire, &bytes, 1);
	http_conn_finish(c);
}

const char *
http_server_date(struct http_server *s)
{
	time_t now = (time_t)(clock_wall_ns() / NS_PER_SEC);

	if (now != s->date_s || s->date[0] == '\0') {
		struct tm tm = {0};
		gmtime_r(&now, &tm);
		strftime(s->date, sizeof(s->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		s->date_s = now;
	}
	return s->date;
}

/* ---- deadlines ----------------------------------------------------------------------------------- */

/* conn_deadline: when something must have happened; 0 = no limit now. */
static int64_t
conn_deadline(const struct http_conn *c)
{
	const struct http_server_config *cfg = &c->server->cfg;

	if (http_wire_queued(c->wire) > 0)
		return c->wire->sent_ns + cfg->stall_ns;
	if (c->state == CONN_HEAD)
		return c->since_ns + (c->have_head_byte ? cfg->head_ns : cfg->idle_ns);
	if (!c->body.done && (!c->req || (c->req->how != BODY_UNASKED && !c->req->body_paused))) {
		int64_t last = c->wire->read_ns > c->since_ns ? c->wire->read_ns : c->since_ns;
		return last + cfg->body_ns;
	}
	return 0;
}

void
http_conn_timer(struct http_conn *c)
{
	int64_t at = conn_deadline(c);

	if (at != 0 && (!loop_timer_is_set(&c->timer) || c->timer.at_ns > at))
		loop_timer_set(c->server->loop, &c->timer, at);
}

static void
conn_on_timer(struct loop_timer *t)
{
	struct http_conn *c = t->arg;
	int64_t at = conn_deadline(c);

	if (at == 0)
		return;
	if (at > loop_now_ns(c->server->loop)) {
		loop_timer_set(c->server->loop, &c->timer, at);
		return;
	}
	if (http_wire_queued(c->wire) > 0 || (c->state == CONN_HEAD && !c->have_head_byte) ||
		!c->wire->ready) {
		http_conn_drop(c);
		return;
	}
	if (c->state == CONN_HEAD) {
		conn_refuse(c, 408);
		return;
	}
	/* A body that stopped coming: an answer only when the handler gave none yet. */
	struct req *q = c->req;
	if (q && !q->begun) {
		conn_abort_req(c);
		conn_refuse(c, 408);
	} else {
		http_conn_drop(c);
	}
}

/* ---- requests ------------------------------------------------------------------------------------ */

static void
req_release(void *p)
{
	struct req *q = p;

	buf_release(&q->out_headers);
	arena_free(q->pub.arena);
	free(q);
}

/* split_target: path and query of the target; absolute targets lose their authority. */
static void
split_target(struct req *q)
{
	struct str t = q->pub.target;
	struct http_url u;

	q->pub.host = http_headers_get(&q->pub.headers, STR("Host"));
	if (!str_is_set(q->pub.host))
		q->pub.host = STR("");
	if (t.p[0] != '/' && http_url_parse(t, &u) == 0) {
		size_t at = (size_t)str_find(t, STR("://")) + 3;
		size_t end = at;
		while (end < t.n && t.p[end] != '/' && t.p[end] != '?')
			end++;
		q->pub.host = str_sub(t, at, end);
		t = u.target;
	}
	str_cut(t, '?', &q->pub.path, &q->pub.query);
	if (q->pub.path.n == 0)
		q->pub.path = STR("/");
}

/* req_new: a head became a request. 0, or the negative status to answer with. */
static int
req_new(struct http_conn *c, struct str text, struct req **ret)
{
	struct http_server *s = c->server;
	struct arena *a = arena_new(s->cfg.arena_bytes);
	struct req *q = calloc(1, sizeof(*q));
	struct http1_head h = {0};
	int r = a && q ? 0 : -503;

	if (r == 0) {
		struct str own = arena_str(a, text);
		r = str_is_set(own) ? http1_request_parse(a, own, &h) : -503;
	}
	if (r < 0) {
		arena_free(a);
		free(q);
		return r;
	}
	q->conn = c;
	q->server = s;
	q->pub = (struct http_req){
		.arena = a,
		.method = h.method,
		.target = h.target,
		.headers = h.headers,
		.remote = c->remote,
		.peer = c->wire->tls ? tls_conn_peer(c->wire->tls) : NULL,
		.tls = c->wire->tls != NULL,
		.has_body = h.mode != HTTP1_NONE,
		.body_bytes = h.mode == HTTP1_LENGTH ? h.length : -1,
		.started_ns = loop_now_ns(s->loop),
		.server = s,
	};
	split_target(q);
	q->head_method = str_eq(h.method, STR("HEAD"));
	q->http10 = h.minor == 0;
	q->keep_alive = h.keep_alive && !s->stopping;
	q->expect = h.expect_continue;
	q->left = -1;
	buf_init_arena(&q->body, a);
	c->body = http1_body_of(&h);
	*ret = q;
	return 0;
}

/* body_error: the body is malformed or too long. The handler still answers. */
static void
body_error(struct http_conn *c, int error)
{
	struct req *q = c->req;

	c->close_after = true;
	c->body.done = true;
	if (!q)
		return;
	enum body_how how = q->how;
	q->how = BODY_DONE;
	if (how == BODY_COLLECT)
		q->collected(&q->pub, error, STR_NONE);
	else if (how == BODY_STREAM)
		q->fns->end(&q->pub, error);
}

static void
body_end(struct http_conn *c)
{
	struct req *q = c->req;
	enum body_how how = q->how;

	q->how = BODY_DONE;
	if (how == BODY_COLLECT && q->body.failed)
		q->collected(&q->pub, -EFBIG, STR_NONE);
	else if (how == BODY_COLLECT)
		q->collected(&q->pub, 0, buf_view(&q->body));
	else if (how == BODY_STREAM)
		q->fns->end(&q->pub, 0);
}

/* body_piece: some bytes of the body. False: the connection is gone or closing. */
static bool
body_piece(struct http_conn *c, struct str piece)
{
	struct req *q = c->req;

	if (!q) {
		c->dropped += piece.n;
		if (c->dropped > DRAIN_BYTES) {
			http_conn_finish(c);
			return false;
		}
		return true;
	}
	if (q->how == BODY_STREAM) {
		q->fns->data(&q->pub, piece);
	} else if (q->how == BODY_COLLECT) {
		if (piece.n > q->max - q->body.len) {
			body_error(c, -EFBIG);
			return c->wire != NULL;
		}
		buf_str(&q->body, piece);
	}
	return c->wire != NULL;
}

/* read_body: takes what it may of the body. False: stop (the connection is gone, or has to wait). */
static bool
read_body(struct http_conn *c, struct str *in)
{
	struct str piece = STR_NONE;

	while (!c->body.done) {
		if (c->req && (c->req->how == BODY_UNASKED || c->req->body_paused))
			return false;
		int r = http1_body_next(&c->body, in, &piece);
		if (r < 0) {
			if (!c->req) {
				http_conn_finish(c);
				return false;
			}
			body_error(c, -EINVAL);
			return c->wire != NULL;
		}
		if (r == 0 && !c->body.done)
			return false;
		if (r == 1 && !body_piece(c, piece))
			return false;
	}
	return true;
}

/* read_head: the next request. False: more bytes are needed, or the connection is gone. */
static bool
read_head(struct http_conn *c, struct str *in)
{
	struct http_server *s = c->server;
	struct req *q = NULL;

	if (in->n > 0 && !c->have_head_byte) {
		c->have_head_byte = true;
		c->since_ns = loop_now_ns(s->loop);
		http_conn_timer(c);
	}
	ptrdiff_t end = http1_head_end(*in, &c->scanned);
	if (end == 0)
		return false;
	int r = end == -E2BIG          ? -431
		: end == -ENAMETOOLONG ? -414
				       : req_new(c, str_sub(*in, 0, (size_t)end), &q);
	if (r < 0) {
		conn_refuse(c, -r);
		return false;
	}
	*in = str_sub(*in, (size_t)end, SIZE_MAX);
	c->scanned = 0;
	c->have_head_byte = false;
	c->state = CONN_BUSY;
	c->since_ns = loop_now_ns(s->loop);
	c->req = q;
	c->dropped = 0;
	s->n_reqs++;
	s->cfg.on_request(s->cfg.arg, &q->pub);
	return c->wire != NULL;
}

/* next_request: the request and its body are both over. */
static void
next_request(struct http_conn *c)
{
	c->state = CONN_HEAD;
	c->scanned = 0;
	c->have_head_byte = false;
	c->since_ns = loop_now_ns(c->server->loop);
}

static size_t
conn_data(void *arg, struct str bytes)
{
	struct http_conn *c = arg;
	struct str in = bytes;

	c->parsing = true;
	for (;;) {
		if (c->state == CONN_HEAD) {
			if (c->close_after || c->server->stopping) {
				http_conn_finish(c);
				return bytes.n;
			}
			if (in.n == 0 || !read_head(c, &in))
				break;
		}
		if (!c->body.done && !read_body(c, &in))
			break;
		if (c->req && (c->req->how == BODY_COLLECT || c->req->how == BODY_STREAM)) {
			body_end(c);
			if (!c->wire)
				return bytes.n - in.n;
		}
		if (c->req)
			break; /* the reply is awaited */
		next_request(c);
	}
	if (!c->wire)
		return bytes.n - in.n;
	c->parsing = false;
	if (c->state == CONN_BUSY && in.n > WAITING_BYTES)
		http_wire_pause(c->wire, true, true);
	if (c->state == CONN_HEAD && in.n == 0 && http_wire_queued(c->wire) == 0)
		http_wire_idle(c->wire);
	http_conn_timer(c);
	return bytes.n - in.n;
}

void
http_conn_req_ended(struct http_conn *c)
{
	struct req *q = c->req;

	c->req = NULL;
	c->since_ns = loop_now_ns(c->server->loop);
	if (!q->keep_alive || (q->expect && !c->body.done))
		c->close_after = true;
	if (c->close_after) {
		http_conn_finish(c);
		return;
	}
	if (c->wire->paused)
		http_wire_pause(c->wire, false, false);
	if (c->parsing)
		return;
	if (c->body.done)
		next_request(c);
	if (http_wire_pending(c->wire) > 0)
		http_wire_kick(c->wire);
	http_conn_timer(c);
}

static void
conn_established(void *arg)
{
	struct http_conn *c = arg;

	c->have_head_byte = false;
	c->since_ns = loop_now_ns(c->server->loop);
	http_conn_timer(c);
}

static void
conn_eof(void *arg)
{
	struct http_conn *c = arg;

	if (c->req || c->state == CONN_BUSY)
		http_conn_drop(c);
	else
		http_conn_finish(c);
}

static void
conn_sent(void *arg)
{
	struct http_conn *c = arg;
	struct req *q = c->req;

	if (q && q->above && http_wire_queued(c->wire) <= HTTP_QUEUE_LOW) {
		q->above = false;
		if (q->on_drain)
			q->on_drain(&q->pub);
		return;
	}
	if (c->state == CONN_HEAD && http_wire_queued(c->wire) == 0 &&
		http_wire_pending(c->wire) == 0)
		http_wire_idle(c->wire);
}

static void
conn_broken(void *arg, const struct err *e)
{
	(void)e;
	http_conn_drop(arg);
}

static const struct http_wire_ops conn_ops = {
	.established = conn_established,
	.data = conn_data,
	.eof = conn_eof,
	.sent = conn_sent,
	.broken = conn_broken,
};

/* ---- accepting ----------------------------------------------------------------------------------- */

int
http_server_adopt(struct http_server *s, int fd)
{
	struct http_conn *c = calloc(1, sizeof(*c));
	struct tls_conn *tls = NULL;
	struct sockaddr_storage sa = {0};
	socklen_t n = sizeof(sa);
	int r = c ? 0 : -ENOMEM;

	if (r == 0 && s->cfg.tls)
		r = tls_server_new(s->cfg.tls, &tls);
	if (r < 0) {
		free(c);
		close(fd);
		return r;
	}
	if (getpeername(fd, (struct sockaddr *)&sa, &n) == 0)
		c->remote = http_addr_of(&sa);
	r = http_wire_new(s->loop, fd, false, tls, &conn_ops, c, &s->wires, &c->wire);
	if (r < 0) {
		free(c);
		return r;
	}
	c->server = s;
	c->next = s->conns;
	if (c->next)
		c->next->prev = c;
	s->conns = c;
	s->n_conns++;
	c->timer = (struct loop_timer){.fn = conn_on_timer, .arg = c};
	c->since_ns = loop_now_ns(s->loop);
	c->have_head_byte = true; /* the handshake is held to the same limit as a head */
	http_conn_timer(c);
	return 0;
}

static void
listen_set(struct http_server *s, bool on)
{
	if (on == s->listening || s->listen.fd < 0)
		return;
	if (on) {
		s->listen.events = EPOLLIN | EPOLLEXCLUSIVE;
		s->listening = loop_fd_add(s->loop, &s->listen) == 0;
	} else {
		loop_fd_del(&s->listen);
		s->listening = false;
	}
}

static void
accept_again(struct loop_timer *t)
{
	struct http_server *s = t->arg;

	if (!s->stopping)
		listen_set(s, true);
}

static void
on_listen(struct loop_fd *w, uint32_t revents)
{
	struct http_server *s = w->arg;

	(void)revents;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		if (s->n_conns >= s->cfg.max_conns) {
			listen_set(s, false);
			return;
		}
		int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0 && errno != EAGAIN) {
			/* No descriptors or no memory: those here go on, others wait. */
			listen_set(s, false);
			loop_timer_after(s->loop, &s->accept_retry, ACCEPT_RETRY_NS);
		}
		if (fd < 0)
			return;
		http_server_adopt(s, fd);
	}
}

static void
stop_over(struct loop_work *w)
{
	struct http_server *s = w->arg;
	void (*done)(void *arg) = s->stop_done;

	if (!done || s->n_reqs > 0)
		return;
	s->stop_done = NULL;
	done(s->stop_arg);
}

int
http_server_new(const struct http_server_config *cfg, struct http_server **ret)
{
	struct http_server *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->cfg = *cfg;
	s->loop = cfg->loop;
	s->cfg.max_conns = cfg->max_conns ? cfg->max_conns : 20000;
	s->cfg.arena_bytes = cfg->arena_bytes ? cfg->arena_bytes : 64 << 20;
	s->cfg.idle_ns = cfg->idle_ns ? cfg->idle_ns : 150 * NS_PER_SEC;
	s->cfg.head_ns = cfg->head_ns ? cfg->head_ns : 32 * NS_PER_SEC;
	s->cfg.body_ns = cfg->body_ns ? cfg->body_ns : 60 * NS_PER_SEC;
	s->cfg.stall_ns = cfg->stall_ns ? cfg->stall_ns : 120 * NS_PER_SEC;
	if (cfg->tls)
		tls_ctx_ref(cfg->tls);
	s->listen = (struct loop_fd){
		.fd = cfg->listen_fd, .prio = LOOP_PRIO_ACCEPT, .fn = on_listen, .arg = s};
	s->accept_retry = (struct loop_timer){.fn = accept_again, .arg = s};
	s->stop_work = (struct loop_work){.fn = stop_over, .arg = s};
	listen_set(s, true);
	if (cfg->listen_fd >= 0 && !s->listening) {
		http_server_free(s);
		return -EBADF;
	}
	*ret = s;
	return 0;
}

void
http_server_set_tls(struct http_server *s, struct tls_ctx *tls)
{
	struct tls_ctx *old = s->cfg.tls;

	s->cfg.tls = tls ? tls_ctx_ref(tls) : NULL;
	tls_ctx_unref(old);
}

void
http_server_stop(struct http_server *s, void (*done)(void *arg), void *arg)
{
	s->stopping = true;
	s->stop_done = done;
	s->stop_arg = arg;
	listen_set(s, false);
	for (struct http_conn *c = s->conns, *next = NULL; c; c = next) {
		next = c->next;
		if (c->req)
			c->req->keep_alive = c->req->begun ? c->req->keep_alive : false;
		else if (c->state == CONN_HEAD)
			http_conn_finish(c);
		c->close_after = true;
	}
	stop_check(s);
}

void
http_server_free(struct http_server *s)
{
	if (!s)
		return;
	s->stopping = true;
	while (s->conns)
		http_conn_drop(s->conns);
	BUG_ON(s->n_reqs > 0);
	http_wire_list_release(&s->wires);
	listen_set(s, false);
	if (s->listen.fd >= 0)
		close(s->listen.fd);
	loop_timer_cancel(&s->accept_retry);
	loop_defer_cancel(&s->stop_work);
	tls_ctx_unref(s->cfg.tls);
	free(s);
}

size_t
http_server_conns(const struct http_server *s)
{
	return s->n_conns;
}

size_t
http_server_requests(const struct http_server *s)
{
	return s->n_reqs;
}

void
http_req_gone(struct req *q)
{
	struct http_server *s = q->server;

	s->n_reqs--;
	stop_check(s);
	loop_free_later(s->loop, req_release, q);
}
