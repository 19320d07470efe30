/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * forward: port-forward of the node API: SPDY streams in pairs (error, data) of one request id, each data
 * stream joined to a TCP connection inside the pod's network; on plain SPDY/3.1 or inside a WebSocket.
 *
 *   client --data--> out --send--> pod        too much waiting in any out: the client is not read
 *   client <--data-- spdy <--recv-- pod        too much queued in the transport: no pod is read
 *
 * A pair is over when the pod has closed, when the client has reset its stream, or on an error, whose text goes to
 * the error stream. The client's FIN only closes the pod's input. The error stream is always ended: clients wait for it.
 * Source: Kubernetes portforward.k8s.io (KEP-4006); containerd's port-forward for the order of the end. */
#include "orchestrator/node/node_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 4096
#define READS_PER_TURN 4
#define PAIRS_MAX 512
#define RST_PROTOCOL_ERROR 1

struct forward {
	struct node *n;
	struct spdy *spdy;
	struct pair *pairs;
	size_t n_pairs;
	char sandbox[RUNTIME_ID_LEN + 1];
	bool paused; /* the client is not read */
	bool choked; /* pods are not read */
};

struct pair {
	struct forward *f; /* NULL: over, a connect is still under way */
	struct pair *next;
	char id[40];
	uint16_t port;
	struct spdy_stream *error, *data;
	struct loop_fd sock;
	struct buf out;
	bool out_eof, shut, connecting;
};

/* ---- pairs ---- */

static void
forward_flow(struct forward *f)
{
	bool full = false;
	for (const struct pair *p = f->pairs; p; p = p->next)
		full = full || p->out.len > HTTP_QUEUE_HIGH;
	if (full == f->paused)
		return;
	f->paused = full;
	spdy_pause(f->spdy, full);
}

/* stream_fin: text and the end; the slot is empty before, for the stream may be gone within the call. */
static void
stream_fin(struct spdy_stream **slot, struct str text)
{
	struct spdy_stream *st = TAKE_PTR(*slot);
	if (!st)
		return;
	spdy_stream_set(st, NULL);
	spdy_write(st, text, true);
}

static void
pair_free(struct pair *p)
{
	buf_release(&p->out);
	free(p);
}

/* pair_end: both streams end, the connection goes; p is gone when it returns. text: the error, "" = none. */
static void
pair_end(struct pair *p, struct str text)
{
	struct forward *f = p->f;
	struct pair **at = &f->pairs;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	f->n_pairs--;
	p->f = NULL;
	if (p->sock.loop)
		loop_fd_del(&p->sock);
	cleanup_fd(&p->sock.fd);
	stream_fin(&p->data, STR(""));
	stream_fin(&p->error, text);
	if (!p->connecting)
		pair_free(p); /* else on_connected does */
	if (f->spdy)
		forward_flow(f);
}

static void
pair_fail(struct pair *p, const char *what)
{
	char text[640];
	int n = snprintf(text, sizeof(text), "error forwarding port %u to pod %s: %s", p->port,
		p->f->sandbox, what);
	pair_end(p, str_from(text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1));
}

/* pair_watch: wants what there is room for. Nothing wanted: not watched at all, for a hang-up is told always.
 * 0, or -errno: p is gone. */
static int
pair_watch(struct pair *p)
{
	uint32_t events = (p->f->choked ? 0 : (uint32_t)EPOLLIN) |
		(p->out.len ? (uint32_t)EPOLLOUT : 0);
	int rc = 0;
	if (p->sock.fd < 0)
		return 0;
	if (events == 0) {
		if (p->sock.loop)
			loop_fd_del(&p->sock);
	} else if (p->sock.loop) {
		rc = loop_fd_mod(&p->sock, events);
	} else {
		p->sock.events = events;
		rc = loop_fd_add(p->f->n->loop, &p->sock);
	}
	if (rc < 0)
		pair_fail(p, strerror(-rc));
	return rc;
}

/* ---- towards the pod ---- */

static void
pair_send(struct pair *p)
{
	while (p->out.len) {
		ssize_t n = send(p->sock.fd, p->out.data, p->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		/* A pod that reads no more may still have something to say: the end comes by recv. */
		buf_consume(&p->out, n < 0 ? p->out.len : (size_t)n);
	}
	if (p->out_eof && p->out.len == 0 && !p->shut) {
		p->shut = true;
		shutdown(p->sock.fd, SHUT_WR);
	}
}

static void
pair_input(struct pair *p, struct str bytes, bool eof)
{
	struct forward *f = p->f;
	buf_str(&p->out, bytes);
	p->out_eof = p->out_eof || eof;
	if (p->out.failed) {
		pair_fail(p, "no memory");
		return;
	}
	if (p->sock.fd >= 0) {
		pair_send(p);
		if (pair_watch(p) < 0)
			return;
	}
	forward_flow(f);
}

/* ---- from the pod ---- */

/* pair_receive: false: p is gone. */
static bool
pair_receive(struct pair *p)
{
	char bytes[READ_BYTES];
	for (int i = 0; i < READS_PER_TURN && !p->f->choked; i++) {
		ssize_t n = recv(p->sock.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0) {
			if (n < 0 && errno != ECONNRESET)
				pair_fail(p, strerror(errno));
			else
				pair_end(p, STR(""));
			return false;
		}
		if (spdy_write(p->data, str_from(bytes, (size_t)n), false) > HTTP_QUEUE_HIGH)
			p->f->choked = true;
	}
	return true;
}

static void
on_sock(struct loop_fd *w, uint32_t revents)
{
	struct pair *p = w->arg;
	struct forward *f = p->f;
	if (revents & EPOLLOUT)
		pair_send(p);
	if ((revents & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !pair_receive(p))
		return;
	if (pair_watch(p) == 0)
		forward_flow(f);
}

static void
on_connected(void *arg, int fd, const struct err *e)
{
	struct pair *p = arg;
	p->connecting = false;
	if (!p->f) {
		cleanup_fd(&fd);
		pair_free(p);
		return;
	}
	if (e && e->code) {
		pair_fail(p, e->msg);
		return;
	}
	struct forward *f = p->f;
	p->sock = (struct loop_fd){.fd = fd, .prio = LOOP_PRIO_IO, .fn = on_sock, .arg = p};
	pair_send(p);
	if (pair_watch(p) == 0)
		forward_flow(f);
}

/* ---- streams ---- */

static struct pair *
pair_of(struct forward *f, struct str id, uint16_t port)
{
	struct pair *p = f->pairs;
	while (p && !(str_eq_c(id, p->id) && p->port == port))
		p = p->next;
	if (p || f->n_pairs == PAIRS_MAX || id.n >= sizeof(p->id))
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	*p = (struct pair){.f = f, .next = f->pairs, .port = port, .sock = {.fd = -1}};
	str_copy_c(id, p->id, sizeof(p->id));
	f->pairs = p;
	f->n_pairs++;
	return p;
}

static void
pair_connect(struct pair *p)
{
	p->connecting = true;
	int rc = runtime_port_connect(p->f->n->rt, str_c(p->f->sandbox), p->port, on_connected, p);
	if (rc == 0)
		return;
	p->connecting = false;
	pair_fail(p, strerror(-rc));
}

static void
on_open(void *arg, struct spdy_stream *st, const struct http_headers *h, bool fin)
{
	struct forward *f = arg;
	struct str type = http_headers_get(h, STR("streamtype"));
	struct str id = http_headers_get(h, STR("requestid"));
	bool data = str_eq(type, STR("data")), error = str_eq(type, STR("error"));
	uint64_t port = 0;
	char own[16];
	if (id.n == 0) { /* clients before request ids: the data stream follows its error stream */
		int n = snprintf(own, sizeof(own), "#%u", spdy_stream_id(st) - (data ? 2 : 0));
		id = str_from(own, (size_t)n);
	}
	bool ok = (data || error) && str_to_u64(http_headers_get(h, STR("port")), &port) == 0 &&
		port > 0 && port <= UINT16_MAX;
	struct pair *p = ok ? pair_of(f, id, (uint16_t)port) : NULL;
	if (!p || (data ? p->data : p->error)) {
		spdy_reset(st, RST_PROTOCOL_ERROR);
		return;
	}
	spdy_stream_set(st, p);
	spdy_accept(st);
	*(data ? &p->data : &p->error) = st;
	if (data)
		p->out_eof = fin;
	if (p->data && p->error)
		pair_connect(p);
}

static void
on_data(void *arg, struct spdy_stream *st, struct str bytes, bool fin)
{
	struct pair *p = spdy_stream_get(st);
	(void)arg;
	if (p && st == p->data)
		pair_input(p, bytes, fin);
}

static void
on_gone(void *arg, struct spdy_stream *st, int status)
{
	struct pair *p = spdy_stream_get(st);
	(void)arg, (void)status;
	if (!p)
		return;
	if (st == p->error) {
		p->error = NULL;
		return;
	}
	p->data = NULL;
	pair_end(p, STR(""));
}

/* ---- the whole ---- */

static void
forward_free(void *p)
{
	free(p);
}

static void
forward_end(struct forward *f)
{
	struct spdy *spdy = TAKE_PTR(f->spdy);
	while (f->pairs) {
		f->pairs->data = f->pairs->error = NULL; /* they go with the connection */
		pair_end(f->pairs, STR(""));
	}
	spdy_free(spdy);
	loop_free_later(f->n->loop, forward_free, f);
}

static void
on_closed(void *arg, int error)
{
	(void)error;
	forward_end(arg);
}

static void
on_drain(void *arg)
{
	struct forward *f = arg;
	struct pair *next = NULL;
	if (!f->choked)
		return;
	f->choked = false;
	for (struct pair *p = f->pairs; p; p = next) {
		next = p->next;
		pair_watch(p);
	}
}

static int
plain_open(struct forward *f, struct http_req *r, const struct spdy_fns *fns)
{
	const struct str version = STR("portforward.k8s.io");
	struct http_tunnel *t = NULL;
	if (!http_headers_has_token(&r->headers, STR("Upgrade"), STR("SPDY/3.1")))
		return -EINVAL;
	if (!http_headers_has_token(&r->headers, STR("X-Stream-Protocol-Version"), version))
		return -EPROTONOSUPPORT;
	http_set_header(r, STR("X-Stream-Protocol-Version"), version);
	int rc = http_upgrade(r, STR("SPDY/3.1"), &t);
	if (rc == 0)
		rc = spdy_on_tunnel(t, false, fns, f, &f->spdy);
	return rc == -EBUSY ? -EINVAL : rc;
}

/* refuse: what ws_accept and its like did not end. */
static void
refuse(struct http_req *r, int code)
{
	const struct str type = STR("text/plain; charset=utf-8");
	if (code == -EINVAL)
		http_reply(r, 400, type, STR("you must specify an upgrade\n"));
	else if (code == -EPROTONOSUPPORT)
		http_reply(r, 403, type, STR("unable to upgrade: no subprotocol of ours\n"));
}

void
serve_port_forward(struct node *n, struct http_req *r, struct pod *p)
{
	static const struct spdy_fns fns = {on_open, on_data, on_gone, NULL, on_closed, on_drain};
	struct forward *f = calloc(1, sizeof(*f));
	if (!f) {
		http_reply(r, 500, STR("text/plain; charset=utf-8"), STR("no memory\n"));
		return;
	}
	f->n = n;
	memcpy(f->sandbox, p->sandbox, sizeof(f->sandbox));
	int rc = ws_is_upgrade(r) ? spdy_ws_accept(r, &fns, f, &f->spdy) : plain_open(f, r, &fns);
	if (rc < 0) {
		refuse(r, rc);
		free(f);
	}
}
