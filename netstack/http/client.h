/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * client: HTTP requests to others, on one loop: pooled keep-alive connections, TLS, streamed bodies,
 * upgrades. It follows no redirects and knows no cookies: its callers decide.
 *
 * Life of a call: http_call_start, then on_head, on_data..., and on_end exactly once (never within
 * http_call_start), unless cancelled. The call is gone when on_end has returned.
 * Include netstack/http/http.h, which brings this along. */
#ifndef NETSTACK_HTTP_CLIENT_H
#define NETSTACK_HTTP_CLIENT_H

#include "netstack/http/message.h"

struct http_client;
struct http_call;

/* A resolver: finds the addresses of a name. It must call http_resolved(q, ...) once, at once or
 * later, unless cancel(q) came first. host is valid until then. */
struct http_resolve;
struct http_resolver {
	void (*start)(void *arg, struct str host, struct http_resolve *q);
	void (*cancel)(void *arg, struct http_resolve *q);
	void *arg;
};
/* http_resolved: n = 0 with error (-ENOENT...). At most 16 addresses are kept; tried in order. */
void http_resolved(struct http_resolve *q, int error, const struct ip_addr *ips, size_t n);

struct http_client_config {
	struct loop *loop;
	struct http_resolver resolver; /* start = NULL: numeric hosts (and "localhost") only */
	/* 0 = the default in brackets. */
	size_t max_idle_per_host; /* [8] */
	int64_t idle_ns;          /* [90 s] an idle connection is kept */
	int64_t connect_ns;       /* [10 s] to connect and shake hands, over all addresses */
};
/* http_client_new: returns owned. -ENOMEM. http_client_free: calls under way are cancelled. */
int http_client_new(const struct http_client_config *cfg, struct http_client **ret);
void http_client_free(struct http_client *c);
/* http_client_close_idle: drop pooled connections (rotated credentials). */
void http_client_close_idle(struct http_client *c);

struct http_call_spec {
	struct str method;      /* "GET" */
	struct str url;         /* absolute: https://host:port/path?query */
	struct tls_ctx *tls;    /* for https: a client context; a reference is kept while used */
	struct str verify_name; /* the certificate must be for this name; "" = the URL's host */
	const struct http_addr
		*addr; /* connect here instead of resolving the URL's host; NULL = resolve */
	const struct http_header
		*headers; /* Host, Content-Length, Transfer-Encoding are made here; a
					    * Host among them replaces ours */
	size_t n_headers;
	struct str bearer;  /* adds Authorization: Bearer; "" = none */
	struct str body;    /* copied */
	bool stream_body;   /* body comes by http_call_write; chunked unless body_bytes >= 0 */
	int64_t body_bytes; /* stream_body: Content-Length, or -1 */
	struct str upgrade; /* "websocket", "SPDY/3.1": adds Connection and Upgrade; "" = none */
	int64_t head_ns;    /* limit until the reply's head, from the start; 0 = none */
	int64_t total_ns;   /* limit for the whole call; 0 = none */
	int64_t stall_ns; /* limit without any byte of a reply's body while not paused; 0 = none */
	bool fresh;       /* a connection of its own, not pooled afterwards */
};

struct http_response {
	int status;
	struct http_headers headers; /* borrowed: valid until on_end has returned */
	const struct tls_peer *peer; /* NULL on plain connections */
	struct http_addr remote;
};
struct http_call_fns {
	/* head: the final reply's head (1xx are swallowed). May be NULL. */
	void (*head)(void *arg, const struct http_response *resp);
	/* data: a piece of the body, de-chunked, borrowed. Not called while paused. May be NULL. */
	void (*data)(void *arg, struct str bytes);
	/* end: once. e->code: 0 the reply is complete; else nothing more comes: -ECONNREFUSED,
	 * -ETIMEDOUT, -EACCES certificate, -EPROTO, -ECONNRESET cut short, -ENOENT name... */
	void (*end)(void *arg, const struct err *e);
	/* upgraded: instead of head..end, when the answer is 101 (after head). The tunnel is the
	 * callee's; the call is gone when this returns. NULL: a 101 is -EPROTO. */
	void (*upgraded)(void *arg, const struct http_response *resp, struct http_tunnel *t);
	/* drain: more of a streamed body may be written. May be NULL. */
	void (*drain)(void *arg);
};

/* http_call_start: all slices are borrowed until return. Errors: -EINVAL (e), -ENOMEM. A request that
 * fails on a connection before any byte of a reply is sent again once on a new one, if its method is
 * safe (GET, HEAD, OPTIONS, TRACE). */
int http_call_start(struct http_client *c, const struct http_call_spec *spec,
	const struct http_call_fns *fns, void *arg, struct http_call **ret, struct err *e);
void http_call_cancel(struct http_call *call); /* no callback afterwards; closes or drains */
void http_call_pause(struct http_call *call, bool paused);
/* http_call_write: streamed request body, copied; returns the bytes queued. http_call_write_end: that
 * was all. */
size_t http_call_write(struct http_call *call, struct str bytes);
void http_call_write_end(struct http_call *call);

/* http_fetch: a call whose reply is collected. done runs once, never within http_fetch. body is
 * borrowed; longer than max_bytes: e->code = -EFBIG. */
typedef void http_fetch_fn(
	void *arg, const struct err *e, const struct http_response *resp, struct str body);
struct http_fetch;
int http_fetch(struct http_client *c, const struct http_call_spec *spec, size_t max_bytes,
	http_fetch_fn *done, void *arg, struct http_fetch **ret, struct err *e);
void http_fetch_cancel(struct http_fetch *f); /* done will not run */

#endif
