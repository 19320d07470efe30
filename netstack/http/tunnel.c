/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * tunnel: a raw byte stream after an upgrade; contracts in message.h and tunnel.h.
 * Place in the flow: server.c or client.c hand their wire over; websocket.c and spdy.c stand on it.
 * Invariants: a tunnel is freed at the end of the turn in which it closed, so that callbacks may close
 * it from within. */
#include "netstack/http/tunnel.h"

#include "netstack/http/server.h"

#include <errno.h>
#include <stdlib.h>

#define CLOSE_NS (5 * NS_PER_SEC)

struct http_tunnel {
	struct http_wire *wire;
	struct loop *loop;
	const struct http_tunnel_fns *fns; /* NULL until started */
	void *arg;
	bool above; /* a write left the queue high: drain is owed */
	bool over;
};

static void
tunnel_over(struct http_tunnel *t)
{
	t->over = true;
	t->wire = NULL;
	loop_free_later(t->loop, free, t);
}

static void
tunnel_established(void *arg)
{
	(void)arg;
}

static size_t
tunnel_data(void *arg, struct str bytes)
{
	struct http_tunnel *t = arg;

	t->fns->data(t->arg, bytes);
	return bytes.n;
}

static void
tunnel_closed(struct http_tunnel *t, int error)
{
	struct http_wire *w = t->wire;

	if (error)
		http_wire_free(w);
	else
		http_wire_finish(w, CLOSE_NS);
	tunnel_over(t);
	if (t->fns)
		t->fns->closed(t->arg, error);
}

static void
tunnel_eof(void *arg)
{
	struct http_tunnel *t = arg;

	if (t->fns->eof)
		t->fns->eof(t->arg);
	else
		tunnel_closed(t, 0);
}

static void
tunnel_sent(void *arg)
{
	struct http_tunnel *t = arg;

	if (t->above && http_wire_queued(t->wire) <= HTTP_QUEUE_LOW) {
		t->above = false;
		if (t->fns && t->fns->drain)
			t->fns->drain(t->arg);
	}
}

static void
tunnel_broken(void *arg, const struct err *e)
{
	tunnel_closed(arg, e->code);
}

static const struct http_wire_ops tunnel_ops = {
	.established = tunnel_established,
	.data = tunnel_data,
	.eof = tunnel_eof,
	.sent = tunnel_sent,
	.broken = tunnel_broken,
};

int
http_tunnel_new(struct http_wire *w, struct http_tunnel **ret)
{
	struct http_tunnel *t = calloc(1, sizeof(*t));

	if (!t) {
		http_wire_free(w);
		return -ENOMEM;
	}
	t->wire = w;
	t->loop = w->loop;
	http_wire_own(w, &tunnel_ops, t);
	http_wire_pause(w, true, false);
	*ret = t;
	return 0;
}

void
http_tunnel_start(struct http_tunnel *t, const struct http_tunnel_fns *fns, void *arg)
{
	t->fns = fns;
	t->arg = arg;
	http_tunnel_pause(t, false);
}

size_t
http_tunnel_write(struct http_tunnel *t, struct str bytes)
{
	if (t->over || bytes.n == 0)
		return http_tunnel_queued(t);
	size_t queued = http_wire_write(t->wire, &bytes, 1);
	if (queued > HTTP_QUEUE_LOW)
		t->above = true;
	return queued;
}

size_t
http_tunnel_queued(const struct http_tunnel *t)
{
	return t->over ? 0 : http_wire_queued(t->wire);
}

void
http_tunnel_pause(struct http_tunnel *t, bool paused)
{
	if (!t->over)
		http_wire_pause(t->wire, paused, false);
}

void
http_tunnel_shutdown(struct http_tunnel *t)
{
	if (!t->over)
		http_wire_shutdown(t->wire);
}

void
http_tunnel_close(struct http_tunnel *t)
{
	if (t->over)
		return;
	http_wire_finish(t->wire, CLOSE_NS);
	tunnel_over(t);
}

struct loop *
http_tunnel_loop(const struct http_tunnel *t)
{
	return t->loop;
}
