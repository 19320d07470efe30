/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * spdy: SPDY/3.1 framing as a state machine over bytes, as far as Kubernetes uses it (exec, attach and
 * port-forward of old clients; port-forward of new ones inside a WebSocket).
 *
 * Invariants: one inflate and one deflate state per connection, fed in order; header blocks are at
 * most 64 KiB unpacked; at most 1024 open streams. Flow control as upstream's library has it: window
 * updates are accepted and not waited for, and none are sent; back-pressure is the transport's.
 * Source: SPDY Protocol draft 3.1; moby/spdystream's behaviour.
 * Include netstack/http/http.h, which brings this along. */
#ifndef NETSTACK_HTTP_SPDY_H
#define NETSTACK_HTTP_SPDY_H

#include "netstack/http/websocket.h"

struct spdy;
struct spdy_stream;

struct spdy_fns {
	/* open: the peer opened a stream; headers are borrowed. Answer with spdy_accept or spdy_reset, at
	 * once or later; spdy_stream_set gives it a pointer. fin: the peer will send nothing. */
	void (*open)(
		void *arg, struct spdy_stream *s, const struct http_headers *headers, bool fin);
	/* data: bytes of a stream; fin: its end (bytes may be empty). */
	void (*data)(void *arg, struct spdy_stream *s, struct str bytes, bool fin);
	/* gone: the stream is over by RST_STREAM (status > 0), or since the connection ended (0). Gone
	 * when this returns. Also called for streams whose both directions have ended (-1), then
	 * perhaps within spdy_write with fin. */
	void (*gone)(void *arg, struct spdy_stream *s, int status);
	/* accepted: the peer answered a stream of ours (SYN_REPLY). May be NULL. */
	void (*accepted)(void *arg, struct spdy_stream *s, const struct http_headers *headers);
	/* closed: GOAWAY, a broken frame (-EPROTO) or the transport's end; all streams got gone before.
	 * Once, not after spdy_free. spdy_free is still to be called (also from here). */
	void (*closed)(void *arg, int error);
	/* drain: may be NULL. */
	void (*drain)(void *arg);
};
/* spdy_new: without I/O: spdy_feed brings bytes; send takes them and returns the bytes queued.
 * Returns owned. -ENOMEM. */
int spdy_new(bool client, const struct spdy_fns *fns, void *arg, ws_send_fn *send, void *send_arg,
	struct spdy **ret);
/* spdy_on_tunnel: stands on a tunnel (taken, also on error). Returns owned. -ENOMEM. */
int spdy_on_tunnel(struct http_tunnel *t, bool client, const struct spdy_fns *fns, void *arg,
	struct spdy **ret);
int spdy_feed(struct spdy *s, struct str bytes); /* 0 or -EPROTO (closed has run) */
void spdy_feed_eof(struct spdy *s);
void spdy_free(struct spdy *s); /* within callbacks too; closes its tunnel. NULL allowed */

int spdy_accept(struct spdy_stream *s); /* SYN_REPLY without headers */
/* spdy_open: a stream of ours. -ENOMEM, -EPIPE. */
int spdy_open(struct spdy *s, const struct http_header *headers, size_t n, bool fin,
	struct spdy_stream **ret);
/* spdy_write: bytes (frames of at most 64 KiB), then FIN if fin. Returns the bytes queued in the
 * transport. Ignored after a FIN. */
size_t spdy_write(struct spdy_stream *s, struct str bytes, bool fin);
size_t spdy_queued(const struct spdy *s); /* bytes in the transport; on a tunnel only */
/* spdy_reset: RST_STREAM; gone is not called; s is invalid afterwards. */
void spdy_reset(struct spdy_stream *s, int status);
void spdy_goaway(struct spdy *s);
/* spdy_pause: on a tunnel or WebSocket only; what was read already is still delivered. */
void spdy_pause(struct spdy *s, bool paused);
void spdy_stream_set(struct spdy_stream *s, void *user);
void *spdy_stream_get(const struct spdy_stream *s);
uint32_t spdy_stream_id(const struct spdy_stream *s);
size_t spdy_streams(const struct spdy *s);

/* spdy_ws: SPDY tunnelled in a WebSocket (subprotocol SPDY/3.1+portforward.k8s.io): accepts the
 * request and stands on it. Errors as ws_accept. */
int spdy_ws_accept(struct http_req *r, const struct spdy_fns *fns, void *arg, struct spdy **ret);

#endif
