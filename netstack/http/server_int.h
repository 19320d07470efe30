/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * server_int: what server.c (connections, reading) and reply.c (answers) share; private.
 *
 * A connection reads one request at a time. A request outlives its connection when the client goes away
 * before the handler ended it (conn is NULL then); a connection outlives its requests. */
#ifndef NETSTACK_HTTP_SERVER_INT_H
#define NETSTACK_HTTP_SERVER_INT_H

#include "netstack/http/http1.h"
#include "netstack/http/server.h"
#include "netstack/http/wire.h"

#define DRAIN_BYTES (256 * 1024) /* of a body nobody wanted */
#define LINGER_NS (2 * NS_PER_SEC)

struct http_server {
	struct http_server_config cfg;
	struct loop *loop;
	struct loop_fd listen;
	bool listening;
	struct loop_timer accept_retry;
	struct http_wire_list wires;
	struct http_conn *conns; /* list */
	size_t n_conns, n_reqs;
	bool stopping;
	struct loop_work stop_work;
	void (*stop_done)(void *arg);
	void *stop_arg;
	int64_t date_s;
	char date[40];
};

enum conn_state {
	CONN_HEAD, /* waiting for or reading a head */
	CONN_BUSY, /* a request is under way: its body, then its reply */
};

struct http_conn {
	struct http_server *server;
	struct http_wire *wire; /* NULL once upgraded */
	struct http_conn *prev, *next;
	enum conn_state state;
	struct req *req; /* under way; NULL when it ended and its body is being dropped */
	struct http1_body body;
	size_t scanned;
	uint64_t dropped; /* bytes of an unwanted body */
	bool close_after; /* no further request */
	bool have_head_byte;
	bool parsing; /* within conn_data: it goes on by itself */
	struct loop_timer timer;
	int64_t since_ns; /* begin of the state the timer looks at */
	struct http_addr remote;
};

enum body_how { BODY_UNASKED, BODY_COLLECT, BODY_STREAM, BODY_DONE };

struct req {
	struct http_req pub;
	struct http_conn *conn; /* NULL: the client is gone */
	struct http_server *server;
	bool head_method, http10, keep_alive, expect;
	bool begun, ended, aborted, chunked, no_body, above, body_paused;
	int64_t left;           /* of a reply with a length; -1 = unknown */
	struct buf out_headers; /* lines set by the handler */
	enum body_how how;
	size_t max;
	http_body_fn *collected;
	const struct http_body_fns *fns;
	struct buf body; /* arena */
	void (*on_abort)(struct http_req *r);
	void (*on_drain)(struct http_req *r);
};

static inline struct req *
req_of(const struct http_req *r)
{
	return (struct req *)((uintptr_t)r - offsetof(struct req, pub));
}

/* conn_req_ended: the reply of c->req is complete (reply.c); the connection goes on or closes. */
void http_conn_req_ended(struct http_conn *c);
/* conn_drop: the connection ends now, without a word. */
void http_conn_drop(struct http_conn *c);
/* conn_finish: everything queued is still delivered, then the connection is over. */
void http_conn_finish(struct http_conn *c);
/* conn_detach: the connection gives its wire away (upgrade). */
struct http_wire *http_conn_detach(struct http_conn *c);
void http_conn_timer(struct http_conn *c);
/* req_gone: an ended request's memory ends with the turn. */
void http_req_gone(struct req *q);
const char *http_server_date(struct http_server *s);

#endif
