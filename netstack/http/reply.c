/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * reply: what a handler does with a request: its body, its answer, its end; contracts in server.h.
 * Place in the flow: handlers -> here -> wire.
 * Invariants: a request ends exactly once; on one whose client is gone everything but the end is a
 * no-op. The server alone writes Date, Connection and the framing headers. */
#include "netstack/http/server_int.h"
#include "netstack/http/tunnel.h"

#include <errno.h>
#include <stdio.h>

static void
send_continue(struct req *q)
{
	static const struct str line = STR_INIT("HTTP/1.1 100 Continue\r\n\r\n");

	if (q->expect && q->conn && !q->begun)
		http_wire_write(q->conn->wire, &line, 1);
	q->expect = false;
}

/* body_wanted: reading goes on (or starts) where the handler left it waiting. */
static void
body_wanted(struct req *q)
{
	struct http_conn *c = q->conn;

	if (!c)
		return;
	send_continue(q);
	c->since_ns = loop_now_ns(c->server->loop);
	if (c->parsing)
		return;
	if (c->wire->paused)
		http_wire_pause(c->wire, false, false);
	else
		http_wire_kick(c->wire);
	http_conn_timer(c);
}

void
http_collect(struct http_req *r, size_t max_bytes, http_body_fn *fn)
{
	struct req *q = req_of(r);

	BUG_ON(q->how != BODY_UNASKED);
	q->collected = fn;
	q->max = max_bytes;
	if (!q->conn) {
		q->how = BODY_DONE;
		fn(r, -ECONNRESET, STR_NONE);
		return;
	}
	if (q->conn->body.done) {
		q->how = BODY_DONE;
		fn(r, 0, STR(""));
		return;
	}
	if (r->body_bytes >= 0 && (uint64_t)r->body_bytes > max_bytes) {
		q->how = BODY_DONE;
		q->keep_alive = false;
		fn(r, -EFBIG, STR_NONE);
		return;
	}
	q->how = BODY_COLLECT;
	body_wanted(q);
}

void
http_stream_body(struct http_req *r, const struct http_body_fns *fns)
{
	struct req *q = req_of(r);

	BUG_ON(q->how != BODY_UNASKED);
	q->fns = fns;
	if (!q->conn) {
		q->how = BODY_DONE;
		fns->end(r, -ECONNRESET);
		return;
	}
	if (q->conn->body.done) {
		q->how = BODY_DONE;
		fns->end(r, 0);
		return;
	}
	q->how = BODY_STREAM;
	body_wanted(q);
}

void
http_pause_body(struct http_req *r, bool paused)
{
	struct req *q = req_of(r);

	q->body_paused = paused;
	if (!q->conn)
		return;
	if (paused)
		http_wire_pause(q->conn->wire, true, false);
	else
		body_wanted(q);
}

void
http_set_header(struct http_req *r, struct str name, struct str value)
{
	struct req *q = req_of(r);

	if (!http1_token_ok(name) || !http1_value_ok(value))
		return;
	buf_str(&q->out_headers, name);
	buf_str(&q->out_headers, STR(": "));
	buf_str(&q->out_headers, value);
	buf_str(&q->out_headers, STR("\r\n"));
}

/* framing: the line that says how long the body is. */
static void
framing(struct req *q, struct buf *b, int status, int64_t length)
{
	q->no_body = q->head_method || status == 204 || status == 304 || status < 200;
	q->left = length;
	if (status < 200 || status == 204 || (status == 304 && length == 0))
		return;
	if (length >= 0) {
		buf_fmt(b, "Content-Length: %lld\r\n", (long long)length);
	} else if (q->http10) {
		q->keep_alive = false;
	} else {
		buf_str(b, STR("Transfer-Encoding: chunked\r\n"));
		q->chunked = !q->no_body;
	}
}

static void
head_write(struct req *q, struct buf *b, int status, struct str content_type, int64_t length)
{
	buf_fmt(b, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, http_status_text(status),
		http_server_date(q->server));
	if (content_type.n > 0 && http1_value_ok(content_type)) {
		buf_str(b, STR("Content-Type: "));
		buf_str(b, content_type);
		buf_str(b, STR("\r\n"));
	}
	buf_str(b, buf_view(&q->out_headers));
	framing(q, b, status, length);
	if (q->server->stopping || (q->conn && q->conn->close_after))
		q->keep_alive = false;
	if (!q->keep_alive)
		buf_str(b, STR("Connection: close\r\n"));
	else if (q->http10)
		buf_str(b, STR("Connection: keep-alive\r\n"));
	buf_str(b, STR("\r\n"));
}

static void
req_end(struct req *q)
{
	struct http_conn *c = q->conn;

	BUG_ON(q->ended);
	q->ended = true;
	q->how = BODY_DONE;
	if (c)
		http_conn_req_ended(c);
	q->conn = NULL;
	http_req_gone(q);
}

void
http_reply(struct http_req *r, int status, struct str content_type, struct str body)
{
	struct req *q = req_of(r);

	BUG_ON(q->begun || q->ended);
	if (q->conn) {
		_cleanup_buf_ struct buf head = BUF_INIT;
		head_write(q, &head, status, content_type, (int64_t)body.n);
		struct str parts[2] = {buf_view(&head), body};
		if (head.failed)
			q->keep_alive = false;
		else
			http_wire_write(q->conn->wire, parts, q->no_body ? 1 : 2);
	}
	q->begun = true;
	req_end(q);
}

void
http_begin(struct http_req *r, int status, struct str content_type, int64_t length)
{
	struct req *q = req_of(r);

	BUG_ON(q->begun || q->ended);
	q->begun = true;
	if (!q->conn)
		return;
	_cleanup_buf_ struct buf head = BUF_INIT;
	head_write(q, &head, status, content_type, length);
	struct str part = buf_view(&head);
	if (head.failed) {
		q->no_body = true;
		q->keep_alive = false;
		return;
	}
	http_wire_write(q->conn->wire, &part, 1);
	http_conn_timer(q->conn);
}

/* chunk_size: the line before a chunk; its length. */
static size_t
chunk_size(char out[20], size_t n)
{
	static const char hex[] = "0123456789abcdef";
	size_t at = 1;

	while (at < 16 && n >> (4 * at))
		at++;
	for (size_t i = at; i > 0; n >>= 4)
		out[--i] = hex[n & 15];
	memcpy(out + at, "\r\n", 2);
	return at + 2;
}

size_t
http_writev(struct http_req *r, const struct str *parts, size_t n)
{
	struct req *q = req_of(r);
	struct str out[HTTP_PARTS_MAX + 2];
	char size[20];
	size_t bytes = 0;

	BUG_ON(!q->begun || q->ended || n > HTTP_PARTS_MAX);
	if (!q->conn)
		return 0;
	for (size_t i = 0; i < n; i++) {
		out[i + 1] = parts[i];
		if (q->left >= 0) {
			out[i + 1] = str_sub(parts[i], 0, (size_t)q->left);
			q->left -= (int64_t)out[i + 1].n;
		}
		bytes += out[i + 1].n;
	}
	if (bytes == 0 || q->no_body)
		return http_wire_queued(q->conn->wire);
	out[0] = str_from(size, q->chunked ? chunk_size(size, bytes) : 0);
	out[n + 1] = q->chunked ? STR("\r\n") : STR("");
	size_t queued = http_wire_write(q->conn->wire, out, n + 2);
	if (queued > HTTP_QUEUE_LOW)
		q->above = true;
	http_conn_timer(q->conn);
	return queued;
}

size_t
http_write(struct http_req *r, struct str bytes)
{
	return http_writev(r, &bytes, 1);
}

size_t
http_queued(const struct http_req *r)
{
	const struct req *q = req_of(r);

	return q->conn ? http_wire_queued(q->conn->wire) : 0;
}

void
http_on_drain(struct http_req *r, void (*fn)(struct http_req *r))
{
	req_of(r)->on_drain = fn;
}

void
http_on_abort(struct http_req *r, void (*fn)(struct http_req *r))
{
	req_of(r)->on_abort = fn;
}

bool
http_aborted(const struct http_req *r)
{
	return req_of(r)->aborted;
}

void
http_end(struct http_req *r)
{
	struct req *q = req_of(r);
	static const struct str last = STR_INIT("0\r\n\r\n");

	BUG_ON(!q->begun || q->ended);
	if (q->conn && q->chunked)
		http_wire_write(q->conn->wire, &last, 1);
	if (q->conn && q->left > 0 && !q->no_body) {
		http_drop(r); /* fewer bytes than promised: the client must not take it for whole */
		return;
	}
	req_end(q);
}

void
http_drop(struct http_req *r)
{
	struct req *q = req_of(r);
	struct http_conn *c = q->conn;

	BUG_ON(q->ended);
	q->ended = true;
	q->conn = NULL;
	if (c) {
		c->req = NULL;
		/* What was written still goes out where the framing shows that it is not all. */
		if (q->begun && (q->chunked || q->left > 0))
			http_conn_finish(c);
		else
			http_conn_drop(c);
	}
	http_req_gone(q);
}

int
http_upgrade(struct http_req *r, struct str protocol, struct http_tunnel **ret)
{
	struct req *q = req_of(r);
	bool connect = str_eq(r->method, STR("CONNECT"));

	BUG_ON(q->begun || q->ended);
	if (!q->conn) {
		q->ended = true;
		http_req_gone(q);
		return -EPIPE;
	}
	if (!q->conn->body.done)
		return -EBUSY;
	_cleanup_buf_ struct buf head = BUF_INIT;
	buf_fmt(&head, "HTTP/1.1 %s\r\n", connect ? "200 OK" : "101 Switching Protocols");
	if (!connect)
		buf_fmt(&head, "Upgrade: " STR_FMT "\r\nConnection: Upgrade\r\n",
			STR_ARG(protocol));
	buf_str(&head, buf_view(&q->out_headers));
	buf_str(&head, STR("\r\n"));
	struct http_wire *w = http_conn_detach(q->conn);
	struct str part = buf_view(&head);
	http_wire_write(w, &part, 1);
	q->conn = NULL;
	q->ended = true;
	int result = http_tunnel_new(w, ret);
	http_req_gone(q);
	return result < 0 ? -EPIPE : 0;
}
