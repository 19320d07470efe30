/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * server: the HTTP server of one loop. Several workers: one server per loop, each with its own
 * listening socket (SO_REUSEPORT) or all with the same one.
 *
 * Life of a request: on_request is called when its head is complete. From then on the request is the
 * handler's until it ends it, exactly once, by http_reply, http_end, http_upgrade or http_drop; at
 * once or in any later turn. That holds also when the client has gone away: writes are then ignored,
 * and on_abort (if set) says so, once. After its end a request and its arena stay readable until the
 * end of the loop's turn, so that a handler may end it deep down and return.
 * Include netstack/http/http.h, which brings this along. */
#ifndef NETSTACK_HTTP_SERVER_H
#define NETSTACK_HTTP_SERVER_H

#include "netstack/http/message.h"

struct http_server;
struct http_conn;

struct http_req {
	struct arena *arena; /* dies with the request; capped at http_server_config.arena_bytes */
	struct str method;   /* as sent: "GET" */
	struct str target;   /* as sent: "/a%2Fb?x=1" */
	struct str path,
		query;   /* raw parts of it: not decoded, query without '?' (STR_NONE: no '?') */
	struct str host; /* Host header or the authority of an absolute target */
	struct http_headers headers;
	struct http_addr remote;
	const struct tls_peer
		*peer; /* NULL on plain connections; borrowed until the request ends */
	bool tls;
	bool has_body;      /* Content-Length > 0 or chunked */
	int64_t body_bytes; /* Content-Length; -1 = unknown or none */
	int64_t started_ns; /* loop time when the head was complete */
	void *arg;          /* the handler's own */
	struct http_server *server;
};

struct http_server_config {
	struct loop *loop;
	int listen_fd; /* taken (workers that share one: a dup each); -1 = none (http_server_adopt) */
	struct tls_ctx *tls; /* NULL = plain; the server keeps a reference */
	/* The head of a request is complete. */
	void (*on_request)(void *arg, struct http_req *r);
	void *arg;
	/* 0 = the default in brackets. */
	size_t max_conns;   /* [20000]; more wait in the kernel's queue */
	size_t arena_bytes; /* [64 MiB] cap of a request's arena */
	int64_t idle_ns;    /* [150 s] between requests */
	int64_t head_ns;    /* [32 s] from the first byte of a head (or accept) to its end: 408 */
	int64_t body_ns;    /* [60 s] without any byte of a body: 408 */
	int64_t stall_ns;   /* [120 s] a client that takes no byte of what is queued is cut off */
};

/* http_server_new: starts accepting. Returns owned. Errors: -ENOMEM, -errno of epoll. */
int http_server_new(const struct http_server_config *cfg, struct http_server **ret);
/* http_server_set_tls: for connections from now on (reloaded certificates). */
void http_server_set_tls(struct http_server *s, struct tls_ctx *tls);
/* http_server_adopt: serve an already connected socket (taken). 0 or -errno. */
int http_server_adopt(struct http_server *s, int fd);
/* http_server_stop: accept no more, close idle connections, answer the rest with Connection: close;
 * done(arg) when no request is left (never within this call). */
void http_server_stop(struct http_server *s, void (*done)(void *arg), void *arg);
/* http_server_free: cuts all connections off. Every request still open gets its on_abort and must
 * have been ended when that returns (http_drop is enough). */
void http_server_free(struct http_server *s);
size_t http_server_conns(const struct http_server *s);
size_t http_server_requests(const struct http_server *s); /* open ones */

/* ---- request bodies: at most one of these, within on_request or later ------------------------- */

/* http_collect: fn(r, 0, body) when the whole body is here (at once for none, before return); body is
 * arena. fn(r, -EFBIG, STR_NONE): longer than max_bytes; fn(r, -EINVAL, ...): malformed chunks. After an
 * error the handler still ends the request (413, 400); the connection then closes. fn(r, -ECONNRESET,
 * ...): the client went away or stopped sending; fn is told instead of on_abort, and a reply goes
 * nowhere. */
typedef void http_body_fn(struct http_req *r, int error, struct str body);
void http_collect(struct http_req *r, size_t max_bytes, http_body_fn *fn);
/* http_stream_body: data as it comes (borrowed), then end(r, error) once, errors as above. */
struct http_body_fns {
	void (*data)(struct http_req *r, struct str bytes);
	void (*end)(struct http_req *r, int error);
};
void http_stream_body(struct http_req *r, const struct http_body_fns *fns);
void http_pause_body(struct http_req *r, bool paused);
/* A body nobody asked for is read and dropped up to 256 KiB after the reply; longer ones close the
 * connection. "100 Continue" is sent when one of the two above is called. */

/* ---- replies ----------------------------------------------------------------------------------- */

/* http_set_header: adds a header to the reply to come (copied). Content-Length, Transfer-Encoding,
 * Connection and Date are the server's own. Values with CR, LF or NUL are dropped. */
void http_set_header(struct http_req *r, struct str name, struct str value);
/* http_reply: the whole reply; ends the request. content_type may be "" (no body). */
void http_reply(struct http_req *r, int status, struct str content_type, struct str body);
/* http_begin: status and headers of a streamed reply. length < 0: chunked (or to the end of the
 * connection for HTTP/1.0). */
void http_begin(struct http_req *r, int status, struct str content_type, int64_t length);
/* http_write: a piece of the body, copied; returns the bytes queued and not yet sent. They are sent at
 * the end of the loop's turn, so that many writes of a turn share packets and records. Above
 * HTTP_QUEUE_HIGH a polite handler stops until on_drain. */
#define HTTP_QUEUE_HIGH (256 * 1024)
#define HTTP_QUEUE_LOW (64 * 1024)
size_t http_write(struct http_req *r, struct str bytes);
/* http_writev: n <= HTTP_PARTS_MAX parts as one piece. */
#define HTTP_PARTS_MAX 6
size_t http_writev(struct http_req *r, const struct str *parts, size_t n);
size_t http_queued(const struct http_req *r);
/* http_on_drain: fn runs when the queue has fallen to HTTP_QUEUE_LOW after a write left it above. */
void http_on_drain(struct http_req *r, void (*fn)(struct http_req *r));
/* http_end: the streamed reply is complete; ends the request. */
void http_end(struct http_req *r);
/* http_drop: ends the request without (the rest of) a reply: the client sees a cut connection. */
void http_drop(struct http_req *r);
/* http_on_abort: fn runs once when the client has gone away before the request ended (unless a body
 * was awaited: see http_collect). */
void http_on_abort(struct http_req *r, void (*fn)(struct http_req *r));
bool http_aborted(const struct http_req *r);

/* http_upgrade: answers 101 with the headers set so far plus Connection: Upgrade and
 * Upgrade: protocol; ends the request. The tunnel belongs to the caller, who starts it before the
 * turn ends. CONNECT: status 200 instead. Errors: -EPIPE the client is gone (the request is ended all
 * the same), -EBUSY the request has a body that was not read (the request is not ended). */
int http_upgrade(struct http_req *r, struct str protocol, struct http_tunnel **ret);

#endif
