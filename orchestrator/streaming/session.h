/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * session: an exec or attach under way: a program of the runtime on one side, a transport (WebSocket
 * channels, SPDY streams) on the other. session.c is the middle, session_ws.c and session_spdy.c the
 * transports.
 *
 * Life: session_serve -> transport opened -> session_start -> output, input ... -> the program has ended: status,
 * transport's end -> session_end. A client that goes away: session_end at once. */
#ifndef ORCHESTRATOR_STREAMING_SESSION_H
#define ORCHESTRATOR_STREAMING_SESSION_H

#include "orchestrator/streaming/streaming_int.h"

struct session;
struct session_ops {
	/* output: bytes for the client; returns the bytes queued. */
	size_t (*output)(struct session *x, enum runtime_stream s, struct str bytes);
	/* finish: the last message, then the end of all streams. */
	void (*finish)(struct session *x, int code, const struct err *e);
	void (*pause)(struct session *x, bool paused); /* stop reading the client */
	void (*close)(struct session *x);              /* free the transport; NULL is none */
};

enum { SIDE_ERROR, SIDE_STDIN, SIDE_STDOUT, SIDE_STDERR, SIDE_RESIZE, SIDE__COUNT };

struct session {
	struct upgraded up;
	struct streaming *s;
	const struct session_ops *ops;
	struct arena *a; /* of the query */
	struct exec_query q;
	bool attach, started, ended, over;
	char id[RUNTIME_ID_LEN + 1];
	struct runtime_exec *exec; /* one of the two, once started, until on_end */
	struct runtime_attach *att;
	struct buf in; /* for the program; heap */
	bool in_eof, in_closed, paused;
	struct loop_timer timer; /* set-up or leave-taking */
	/* transports */
	struct ws *ws;
	enum k8s_protocol proto; /* of both transports */
	bool closing;            /* WebSocket: the close frame waits for the queue */
	struct spdy *spdy;
	struct spdy_stream *sides[SIDE__COUNT];
};

/* session_start: the transport is ready. Failures go to the client by finish. */
void session_start(struct session *x);
void session_input(struct session *x, struct str bytes, bool eof);
void session_resize(struct session *x, struct str json);
/* session_drained: the transport's queue has room. */
void session_drained(struct session *x);
/* session_end: the transport is over or the time is; x is gone at the end of the turn. */
void session_end(struct session *x);
/* session_status: the last message of the error channel: a Status as JSON from v4 on, before that a text
 * ("" for success). */
void session_status(struct buf *b, enum k8s_protocol p, int code, const struct err *e);

/* Transports: accept the request. 0, or -errno with the request answered or gone. */
int session_ws_open(struct session *x, struct http_req *r);
int session_spdy_open(struct session *x, struct http_req *r);

#endif
