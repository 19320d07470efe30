/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * client_int: what client.c (the pool, connecting) and call.c (requests and replies) share; private.
 *
 * A call that has no connection yet belongs to a dial (resolving and connecting); then it has the
 * connection for itself until its reply is complete. */
#ifndef NETSTACK_HTTP_CLIENT_INT_H
#define NETSTACK_HTTP_CLIENT_INT_H

#include "netstack/http/client.h"
#include "netstack/http/http1.h"
#include "netstack/http/wire.h"

#define ADDRS_MAX 16

struct http_client {
	struct http_client_config cfg;
	struct loop *loop;
	struct http_wire_list wires;
	struct link_conn *conns; /* all of them, list */
	struct http_call *calls; /* all of them, list */
};

/* One connection of the pool. */
struct link_conn {
	struct http_client *client;
	struct http_wire *wire;
	struct link_conn *prev, *next;
	struct http_call *call; /* NULL = idle */
	struct str key;         /* heap: who may use it */
	struct tls_ctx *tls;
	struct http_addr remote;
	struct loop_timer idle;
	struct loop_work rest;
	int64_t idle_since_ns;
	unsigned used; /* calls so far */
};

struct http_resolve {
	struct http_call *call;
};

enum call_state {
	CALL_WAIT, /* the start is deferred: no callback within http_call_start */
	CALL_RESOLVE,
	CALL_CONNECT,
	CALL_HEAD, /* request sent (or being sent), reply's head awaited */
	CALL_BODY,
	CALL_OVER,
};

struct http_call {
	struct http_client *client;
	struct http_call *prev, *next;
	const struct http_call_fns *fns;
	void *arg;
	struct arena *arena;
	enum call_state state;
	struct link_conn *conn;
	struct loop_work work; /* start, or a failure told later */
	struct loop_timer timer;
	struct http_resolve resolve;
	bool resolving;
	/* the request */
	struct http_url url;
	struct str method, verify, key, upgrade;
	struct tls_ctx *tls;
	struct buf request; /* head and body as they go out; kept for one more try */
	bool stream_body, body_ended, chunked, fresh, head_method, above;
	int64_t head_at_ns, total_at_ns, connect_at_ns, stall_ns, start_ns;
	struct http_addr addrs[ADDRS_MAX];
	size_t n_addrs, next_addr;
	struct err connect_error; /* of the last address */
	bool retried, sent_any;
	/* the reply */
	size_t scanned;
	struct http1_body body;
	struct http_response resp;
	bool keep_alive, paused, head_seen;
	struct err failed; /* told by work */
};

/* ---- client.c ---- */
/* call_connect: finds or makes a connection; later link_ready or call_fail. */
void http_call_connect(struct http_call *c);
/* link_release: the reply is complete: the connection is idle, or over. */
void http_link_release(struct link_conn *l, bool keep);
void http_link_drop(struct link_conn *l);
struct http_wire *http_link_detach(struct link_conn *l);
/* ---- call.c ---- */
void http_call_ready(struct http_call *c); /* it has a connection */
void http_call_fail(struct http_call *c, const struct err *e);
size_t http_call_data(struct http_call *c, struct str bytes);
void http_call_eof(struct http_call *c);
void http_call_sent(struct http_call *c);
void http_call_timer(struct http_call *c);
/* call_broken: the connection broke; the call fails, or is tried once more on another one. */
void http_call_broken(struct http_call *c, const struct err *e);

#endif
