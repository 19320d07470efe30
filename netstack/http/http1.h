/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * http1: HTTP/1.1 on the wire: heads and bodies as total functions over bytes, no I/O. Private to this
 * folder (and to its fuzz target).
 *
 * Strict on purpose: CRLF only, no folded headers, no blanks before the colon, one Host, one body
 * length, "chunked" alone as transfer coding: what two parsers could read differently is refused.
 * Source: RFC 9112, RFC 9110 section 5. */
#ifndef NETSTACK_HTTP_HTTP1_H
#define NETSTACK_HTTP_HTTP1_H

#include "netstack/http/message.h"

enum http1_body_mode { HTTP1_NONE, HTTP1_LENGTH, HTTP1_CHUNKED, HTTP1_TO_EOF };

/* A parsed head: slices of its text. */
struct http1_head {
	struct str method, target; /* requests */
	int status;                /* responses */
	struct str reason;
	int minor; /* HTTP/1.minor: 0 or 1 */
	struct http_headers headers;
	enum http1_body_mode mode;
	int64_t length;       /* HTTP1_LENGTH */
	bool keep_alive;      /* as the head says */
	bool expect_continue; /* requests */
};

/* http1_head_end: where the head (blank line included) ends: > 0; 0 more bytes are needed; *scanned
 * (0 at first) carries over between calls on the same, growing bytes. Errors: -E2BIG the head passes
 * HTTP_HEAD_BYTES_MAX, -ENAMETOOLONG its first line passes HTTP_LINE_BYTES_MAX. Blank lines before a
 * request are part of it. */
ptrdiff_t http1_head_end(struct str bytes, size_t *scanned);
/* http1_request_parse: the head [0, http1_head_end). 0, or the negative HTTP status to answer with
 * (-400, -417, -431, -501, -505). The header array is arena. */
int http1_request_parse(struct arena *a, struct str text, struct http1_head *ret);
/* http1_response_parse: to_head: the request was HEAD (no body follows). 0, -EPROTO, -ENOMEM. */
int http1_response_parse(struct arena *a, struct str text, bool to_head, struct http1_head *ret);

/* A body being read. Zeroed, then mode and left set (http1_body_of). */
struct http1_body {
	enum http1_body_mode mode;
	uint64_t left; /* of the length or of the chunk */
	uint8_t state; /* chunked: see http1.c */
	uint8_t digits;
	uint32_t extra; /* bytes of extensions and trailers so far */
	uint32_t line;  /* bytes of the current trailer line */
	bool done;
};
struct http1_body http1_body_of(const struct http1_head *h);
/* http1_body_next: takes bytes off *in. 1: *ret is the next piece; 0: all was taken (done tells
 * whether that was the end; bytes behind the end stay in *in); -EPROTO: malformed. */
int http1_body_next(struct http1_body *b, struct str *in, struct str *ret);

/* http1_value_ok: may stand as a header value; http1_token_ok: as a name or method. */
bool http1_value_ok(struct str s);
bool http1_token_ok(struct str s);

#endif
