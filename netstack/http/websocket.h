/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * websocket: RFC 6455 as a state machine over bytes, its hand-shake on both sides, and Kubernetes'
 * channel protocols on top of it.
 *
 * Invariants: fragments are joined up to max_message; pings are answered by the machine itself; a
 * broken frame ends the connection with 1002 (1009 too big, 1007 not UTF-8). No extensions.
 * Source: RFC 6455; Kubernetes remotecommand v4/v5 (KEP-4006).
 * Include netstack/http/http.h, which brings this along. */
#ifndef NETSTACK_HTTP_WEBSOCKET_H
#define NETSTACK_HTTP_WEBSOCKET_H

#include "netstack/http/client.h"
#include "netstack/http/server.h"

enum { /* opcodes */
	WS_CONTINUATION = 0,
	WS_TEXT = 1,
	WS_BINARY = 2,
	WS_CLOSE = 8,
	WS_PING = 9,
	WS_PONG = 10,
};
enum { /* close codes */
	WS_NORMAL = 1000,
	WS_GOING_AWAY = 1001,
	WS_PROTOCOL = 1002,
	WS_BAD_DATA = 1007,
	WS_TOO_BIG = 1009,
	WS_INTERNAL = 1011,
};

/* ---- the machine --------------------------------------------------------------------------------- */

struct ws;
struct ws_fns {
	/* message: a whole message; WS_TEXT or WS_BINARY; borrowed. Not called while paused. */
	void (*message)(void *arg, int opcode, struct str bytes);
	/* closed: no more messages; code as the peer gave it (1005 none, 1006 cut off). Once, not after
	 * ws_free. The connection is over; ws_free is still to be called (also from here). */
	void (*closed)(void *arg, int code, struct str reason);
	/* drain: see struct http_tunnel_fns. May be NULL. */
	void (*drain)(void *arg);
	/* pong: may be NULL. */
	void (*pong)(void *arg, struct str payload);
};
/* Bytes to be sent; the machine copies nothing. Returns the bytes queued. */
typedef size_t ws_send_fn(void *arg, struct str bytes);
/* ws_new: without I/O: ws_feed brings bytes, send takes them. client: frames are masked. max_message
 * bounds a joined message. Returns owned. -ENOMEM. */
int ws_new(bool client, size_t max_message, const struct ws_fns *fns, void *arg, ws_send_fn *send,
	void *send_arg, struct ws **ret);
/* ws_feed: total over any bytes. 0, or -EPROTO (closed has run). */
int ws_feed(struct ws *w, struct str bytes);
void ws_feed_eof(
	struct ws *w); /* the transport ended: closed(1006) unless a close frame had come */
/* ws_free: within callbacks too. One that stands on a tunnel closes it. NULL allowed. */
void ws_free(struct ws *w);
/* ws_message: sends one message (unfragmented). Returns the bytes queued behind it. Ignored once
 * closing. ws_message2 joins two slices. */
size_t ws_message(struct ws *w, int opcode, struct str bytes);
size_t ws_message2(struct ws *w, int opcode, struct str first, struct str second);
void ws_ping(struct ws *w, struct str payload);
/* ws_close: sends a close frame; closed runs when the peer has answered (or cut off). */
void ws_close(struct ws *w, int code, struct str reason);
void ws_pause(struct ws *w, bool paused); /* on a tunnel only */

/* ---- hand-shake ---------------------------------------------------------------------------------- */

/* ws_is_upgrade: is this a WebSocket request? */
bool ws_is_upgrade(const struct http_req *r);
/* ws_accept: checks the request, picks the first of the client's subprotocols that is in `protocols`
 * (n = 0: none is named), answers 101 and ends the request. ret_protocol (may be NULL) is the entry of
 * `protocols`, or STR_NONE when the client offered none. Errors, the request not ended: -EINVAL bad
 * hand-shake (400), -EPROTONOSUPPORT none of the client's subprotocols is ours (403 as upstream);
 * -EPIPE, -ENOMEM the request is ended. */
int ws_accept(struct http_req *r, const struct str *protocols, size_t n_protocols,
	size_t max_message, const struct ws_fns *fns, void *arg, struct str *ret_protocol,
	struct ws **ret);
/* ws_client_headers: the headers of a client's hand-shake, pushed to h (room for 3; values arena): key
 * must be kept for ws_client_accept. The call's spec.upgrade is "websocket". */
size_t ws_client_headers(
	struct arena *a, struct str protocols, struct http_header h[3], char key[25]);
/* ws_client_accept: checks the 101 and takes the tunnel (also on error: then it is closed).
 * Errors: -EPROTO, -ENOMEM. */
int ws_client_accept(const struct http_response *resp, struct http_tunnel *t, const char key[25],
	size_t max_message, const struct ws_fns *fns, void *arg, struct str *ret_protocol,
	struct ws **ret);

/* ---- Kubernetes channels ------------------------------------------------------------------------- */

enum { K8S_STDIN, K8S_STDOUT, K8S_STDERR, K8S_ERROR, K8S_RESIZE, K8S_CHANNELS, K8S_CLOSE = 255 };
/* The protocols, best first: v5.channel.k8s.io, v4..., v3..., v2..., channel.k8s.io, and
 * base64.channel.k8s.io last. */
enum k8s_protocol { K8S_V5, K8S_V4, K8S_V3, K8S_V2, K8S_V1, K8S_BASE64, K8S_PROTOCOLS };
extern const struct str k8s_protocols[K8S_PROTOCOLS];
/* k8s_channel_parse: one message -> channel and payload; K8S_CLOSE (v5 only): *ret_channel is the
 * channel that was closed and *ret_close true. base64 payloads are decoded into a. -EINVAL. */
int k8s_channel_parse(enum k8s_protocol p, struct arena *a, int opcode, struct str message,
	int *ret_channel, bool *ret_close, struct str *ret_payload);
/* k8s_channel_send: payload on a channel; returns the bytes queued. */
size_t k8s_channel_send(struct ws *w, enum k8s_protocol p, int channel, struct str payload);
void k8s_channel_close(struct ws *w, enum k8s_protocol p, int channel); /* v5; nothing otherwise */
/* k8s_resize_parse: {"Width":120,"Height":40}. -EINVAL. */
int k8s_resize_parse(struct str payload, uint16_t *ret_width, uint16_t *ret_height);

#endif
