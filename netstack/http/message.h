/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * message: what requests and replies are made of: header tables, URLs, media types, addresses, and the
 * tunnel that either becomes after an upgrade.
 *
 * Invariants: parsers are total functions over slices; nothing here does I/O but http_listen,
 * http_own_ip and tunnels. Include netstack/http/http.h, which brings this along.
 * Source: RFC 9110, RFC 9112, RFC 3986, WHATWG URL (query strings), RFC 6838 (media types). */
#ifndef NETSTACK_HTTP_MESSAGE_H
#define NETSTACK_HTTP_MESSAGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "netstack/tls/tls.h"

#define HTTP_HEADERS_MAX 128
#define HTTP_HEAD_BYTES_MAX (64 * 1024)
#define HTTP_LINE_BYTES_MAX (16 * 1024)

/* ---- header table ------------------------------------------------------------------------------ */

struct http_header {
	struct str name, value;
};
struct http_headers {
	const struct http_header *v;
	size_t n;
};

/* http_headers_get: value of the first header of that name (any case); STR_NONE = absent. */
struct str http_headers_get(const struct http_headers *h, struct str name);
/* http_headers_next: every value of a repeated header: *pos starts at 0; false at the end. */
bool http_headers_next(const struct http_headers *h, struct str name, size_t *pos, struct str *ret);
/* http_headers_has_token: a comma-separated list header (all its repeats) holds token (any case). */
bool http_headers_has_token(const struct http_headers *h, struct str name, struct str token);
/* http_token_next: the items of one comma-separated value, trimmed, quotes respected; empty ones are
 * skipped. */
bool http_token_next(struct str *rest, struct str *ret);
/* http_status_text: "Not Found"; "" for unknown ones. */
const char *http_status_text(int status);

/* ---- URLs -------------------------------------------------------------------------------------- */

struct http_url {
	bool tls;          /* https */
	struct str host;   /* without the brackets of IPv6 */
	uint16_t port;     /* 80 or 443 when absent */
	struct str target; /* "/path?query", at least "/" ("" stands for that) */
};
/* http_url_parse: absolute http or https URL; slices of text. -EINVAL. Userinfo is refused. */
int http_url_parse(struct str text, struct http_url *ret);
/* http_url_decode: percent-decoding; plus: '+' is a blank (query strings). arena (or the input itself
 * when nothing was to be decoded). -EINVAL bad escape, -ENOMEM. */
int http_url_decode(struct arena *a, struct str s, bool plus, struct str *ret);
/* http_url_encode: appends s with all but unreserved characters as %XX; path: also keeps "/:@!$&'()*+,;=". */
void http_url_encode(struct buf *b, struct str s, bool path);
/* http_query_next: the pairs of a raw query ("a=1&b"): takes one off *rest, decoded. 1 a pair, 0 the
 * end, -EINVAL a bad escape (the pair was taken off; Go skips it too), -ENOMEM. "b" has an empty value. */
int http_query_next(struct arena *a, struct str *rest, struct str *ret_key, struct str *ret_value);
/* http_query_get: the first value of key; STR_NONE = absent. */
struct str http_query_get(struct arena *a, struct str query, struct str key);

/* ---- media types ------------------------------------------------------------------------------- */

#define HTTP_MEDIA_PARAMS 8
struct http_media {
	struct str type; /* "application/json" as written, compare without case; "" = none */
	struct http_header params[HTTP_MEDIA_PARAMS]; /* without q */
	size_t n_params;
	int q; /* thousandths, 1000 when absent */
};
/* http_media_parse: one media type with parameters (Content-Type). -EINVAL, -E2BIG parameters. Quoted
 * values lose their quotes; a backslash inside them is -EINVAL. */
int http_media_parse(struct str s, struct http_media *ret);
struct str http_media_param(const struct http_media *m, struct str name); /* STR_NONE = absent */
/* http_accept_parse: the clauses of an Accept header, best first: by q, then by how specific, then as
 * written (upstream's goautoneg). Clauses with q=0 and broken ones are left out; at most 32. arena.
 * An absent header gives one clause, any type. */
int http_accept_parse(
	struct arena *a, const struct http_headers *h, struct http_media **ret, size_t *ret_n);
/* http_media_matches: does the clause (a type, or one with "*" for its second half or both) admit type? */
bool http_media_matches(const struct http_media *clause, struct str type);

/* ---- addresses --------------------------------------------------------------------------------- */

struct http_addr {
	struct ip_addr ip;
	uint16_t port;
};
#define HTTP_ADDR_TEXT 72
/* http_addr_parse: "10.0.0.1:80", "[::1]:80". -EINVAL. */
int http_addr_parse(struct str s, struct http_addr *ret);
size_t http_addr_format(const struct http_addr *a, char out[HTTP_ADDR_TEXT]);
/* http_listen: a listening, non-blocking, close-on-exec TCP socket; reuse_port for one socket per
 * worker. [::] is dual stack. Port 0: *ret_bound tells (may be NULL). Errors: -errno (e). */
int http_listen(const struct http_addr *addr, bool reuse_port, int *ret_fd,
	struct http_addr *ret_bound, struct err *e);
/* http_listen_addr: what a listener is bound to. -errno (e). */
int http_listen_addr(int fd, struct http_addr *ret, struct err *e);
/* http_own_ip: the address from which this machine reaches others of a family (4, 6); nothing is sent. -errno: it
 * reaches none. */
int http_own_ip(uint8_t family, struct ip_addr *ret);

/* ---- tunnels ----------------------------------------------------------------------------------- */

/* A raw byte stream in both directions: what a request or a call becomes after 101 (or CONNECT). */
struct http_tunnel;
struct http_tunnel_fns {
	/* data: bytes came; all are taken. Not called while paused. */
	void (*data)(void *arg, struct str bytes);
	/* eof: the peer will send no more (writing still works). May be NULL: then it is as closed. */
	void (*eof)(void *arg);
	/* drain: the queue fell below 64 KiB after http_tunnel_write had said more. May be NULL. */
	void (*drain)(void *arg);
	/* closed: the stream is over; error 0 (orderly) or -errno. Runs once, not after
	 * http_tunnel_close; the tunnel is gone when it returns. */
	void (*closed)(void *arg, int error);
};
/* http_tunnel_start: from now on events are delivered (bytes that came before are kept until then). */
void http_tunnel_start(struct http_tunnel *t, const struct http_tunnel_fns *fns, void *arg);
/* http_tunnel_write: copies; returns the bytes now queued. Sent at the end of the loop's turn. */
size_t http_tunnel_write(struct http_tunnel *t, struct str bytes);
size_t http_tunnel_queued(const struct http_tunnel *t);
void http_tunnel_pause(struct http_tunnel *t, bool paused); /* stop reading: back-pressure */
/* http_tunnel_shutdown: no more writes; the peer sees the end after what is queued. */
void http_tunnel_shutdown(struct http_tunnel *t);
/* http_tunnel_close: the tunnel is the caller's no more; what is queued is still sent (for at most
 * 5 s). No callback runs afterwards. */
void http_tunnel_close(struct http_tunnel *t);
struct loop *http_tunnel_loop(const struct http_tunnel *t);

#endif
