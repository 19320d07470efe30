/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * websocket: RFC 6455 frames as a state machine; contract in websocket.h.
 * Place in the flow: tunnel -> ws_feed -> message; ws_message -> send -> tunnel. SPDY may stand on it.
 * Invariants: total over any bytes; joined messages are bounded by max_message, control frames by 125;
 * callbacks may free the machine (its memory lives until the outermost call returns). A server wants
 * masked frames, a client plain ones, as the RFC demands. */
#include "netstack/http/ws_int.h"

#include "base/rand.h"

#include <errno.h>
#include <stdlib.h>

#define CONTROL_MAX 125
#define CLOSE_NS (10 * NS_PER_SEC)

struct ws {
	bool client;
	size_t max;
	const struct ws_fns *fns;
	void *arg;
	ws_send_fn *send;
	void *send_arg;
	struct http_tunnel *tunnel; /* NULL: without I/O */
	struct loop_work resume;
	struct loop_timer closing;
	/* the frame being read */
	uint8_t head[14];
	size_t head_n, head_want;
	uint64_t left;
	uint8_t op, mask[4];
	bool fin, in_payload;
	size_t mask_at;
	/* the message being joined; 0 = none */
	uint8_t message_op;
	struct buf message;
	uint8_t control[CONTROL_MAX];
	size_t control_n;
	struct buf held; /* input while paused */
	int depth;
	bool paused, close_sent, closed, freed;
	int close_code;
};

int
ws_new(bool client, size_t max_message, const struct ws_fns *fns, void *arg, ws_send_fn *send,
	void *send_arg, struct ws **ret)
{
	struct ws *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->client = client;
	w->max = max_message;
	w->fns = fns;
	w->arg = arg;
	w->send = send;
	w->send_arg = send_arg;
	w->head_want = 2;
	*ret = w;
	return 0;
}

static void
ws_release(struct ws *w)
{
	buf_release(&w->message);
	buf_release(&w->held);
	free(w);
}

void
ws_free(struct ws *w)
{
	if (!w || w->freed)
		return;
	w->freed = w->closed = true;
	if (w->tunnel) {
		loop_defer_cancel(&w->resume);
		loop_timer_cancel(&w->closing);
		http_tunnel_close(w->tunnel);
		w->tunnel = NULL;
	}
	if (w->depth == 0)
		ws_release(w);
}

static void
enter(struct ws *w)
{
	w->depth++;
}

static void
leave(struct ws *w)
{
	if (--w->depth == 0 && w->freed)
		ws_release(w);
}

/* tell_closed: once; the transport is over after it. */
static void
tell_closed(struct ws *w, int code, struct str reason)
{
	if (w->closed)
		return;
	w->closed = true;
	if (w->tunnel) {
		loop_timer_cancel(&w->closing);
		http_tunnel_close(w->tunnel);
		w->tunnel = NULL;
	}
	w->fns->closed(w->arg, code, reason);
}

/* ---- sending ---------------------------------------------------------------------------------------- */

static size_t
frame_send(struct ws *w, uint8_t op, struct str a, struct str b)
{
	uint8_t head[14] = {(uint8_t)(0x80 | op)};
	uint64_t len = (uint64_t)a.n + b.n;
	size_t n = 2, queued = 0;

	if (len < 126) {
		head[1] = (uint8_t)len;
	} else if (len < 65536) {
		head[1] = 126;
		head[2] = (uint8_t)(len >> 8);
		head[3] = (uint8_t)len;
		n = 4;
	} else {
		head[1] = 127;
		for (int i = 0; i < 8; i++)
			head[2 + i] = (uint8_t)(len >> (56 - 8 * i));
		n = 10;
	}
	if (!w->client) {
		queued = w->send(w->send_arg, str_from((char *)head, n));
		if (a.n > 0)
			queued = w->send(w->send_arg, a);
		if (b.n > 0)
			queued = w->send(w->send_arg, b);
		return queued;
	}
	head[1] |= 0x80;
	rand_bytes(head + n, 4);
	_cleanup_buf_ struct buf out = BUF_INIT;
	buf_add(&out, head, n + 4);
	buf_str(&out, a);
	buf_str(&out, b);
	if (out.failed)
		return 0;
	for (size_t i = 0; i < len; i++)
		out.data[n + 4 + i] ^= (char)head[n + (i & 3)];
	return w->send(w->send_arg, buf_view(&out));
}

size_t
ws_message2(struct ws *w, int opcode, struct str first, struct str second)
{
	if (w->close_sent || w->closed)
		return 0;
	return frame_send(w, (uint8_t)opcode, first, second);
}

size_t
ws_message(struct ws *w, int opcode, struct str bytes)
{
	return ws_message2(w, opcode, bytes, STR(""));
}

void
ws_ping(struct ws *w, struct str payload)
{
	ws_message2(w, WS_PING, str_sub(payload, 0, CONTROL_MAX), STR(""));
}

static void
close_send(struct ws *w, int code, struct str reason)
{
	const char bytes[2] = {(char)(code >> 8), (char)code};

	if (w->close_sent)
		return;
	w->close_sent = true;
	frame_send(w, WS_CLOSE, code == 1005 ? STR("") : str_from(bytes, 2),
		code == 1005 ? STR("") : str_sub(reason, 0, CONTROL_MAX - 2));
}

void
ws_close(struct ws *w, int code, struct str reason)
{
	if (w->closed || w->close_sent)
		return;
	close_send(w, code, reason);
	if (w->tunnel)
		loop_timer_after(http_tunnel_loop(w->tunnel), &w->closing, CLOSE_NS);
}

/* ---- reading ---------------------------------------------------------------------------------------- */

static int
broken(struct ws *w, int code)
{
	close_send(w, code, STR(""));
	tell_closed(w, code, STR(""));
	return -EPROTO;
}

/* close_code_ok: codes that may stand in a close frame. */
static bool
close_code_ok(int code)
{
	return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
		(code >= 3000 && code <= 4999);
}

static int
on_close(struct ws *w)
{
	int code = 1005;
	struct str reason = STR("");

	if (w->control_n == 1)
		return broken(w, WS_PROTOCOL);
	if (w->control_n >= 2) {
		code = w->control[0] << 8 | w->control[1];
		reason = str_from((char *)w->control + 2, w->control_n - 2);
		if (!close_code_ok(code))
			return broken(w, WS_PROTOCOL);
		if (!str_is_utf8(reason))
			return broken(w, WS_BAD_DATA);
	}
	close_send(w, code, STR(""));
	tell_closed(w, code, reason);
	return 0;
}

static int
on_control(struct ws *w)
{
	struct str payload = str_from((char *)w->control, w->control_n);

	if (w->op == WS_CLOSE)
		return on_close(w);
	if (w->op == WS_PING)
		ws_message(w, WS_PONG, payload);
	else if (w->fns->pong)
		w->fns->pong(w->arg, payload);
	return 0;
}

/* frame_end: the payload of a frame is complete. */
static int
frame_end(struct ws *w)
{
	w->head_n = 0;
	w->head_want = 2;
	w->in_payload = false;
	if (w->op & 8)
		return on_control(w);
	if (!w->fin)
		return 0;
	uint8_t op = w->message_op;
	w->message_op = 0;
	if (w->message.failed)
		return broken(w, WS_INTERNAL);
	if (op == WS_TEXT && !str_is_utf8(buf_view(&w->message)))
		return broken(w, WS_BAD_DATA);
	if (!w->close_sent)
		w->fns->message(w->arg, op, buf_view(&w->message));
	if (!w->freed)
		buf_clear(&w->message);
	return 0;
}

/* head_check: opcode, flags and fragmentation; the length is known. */
static int
head_check(struct ws *w)
{
	uint8_t op = w->head[0] & 15;
	bool control = op & 8;

	w->fin = w->head[0] & 0x80;
	w->op = op;
	if ((w->head[0] & 0x70) || !!(w->head[1] & 0x80) == w->client)
		return broken(w, WS_PROTOCOL);
	if (control) {
		if (op > WS_PONG || !w->fin || w->left > CONTROL_MAX)
			return broken(w, WS_PROTOCOL);
		w->control_n = 0;
		return 0;
	}
	if (op > WS_BINARY || (op == WS_CONTINUATION) != (w->message_op != 0))
		return broken(w, WS_PROTOCOL);
	if (op != WS_CONTINUATION)
		w->message_op = op;
	if (w->left > w->max - w->message.len)
		return broken(w, WS_TOO_BIG);
	return 0;
}

/* head_byte: one more byte of a frame's head. 1 = it is whole. */
static int
head_byte(struct ws *w, uint8_t c)
{
	w->head[w->head_n++] = c;
	if (w->head_n == 2) {
		uint8_t len = w->head[1] & 0x7f;
		w->head_want = 2u +
			(len == 126                  ? 2
					: len == 127 ? 8
						     : 0) +
			(w->head[1] & 0x80 ? 4 : 0);
	}
	if (w->head_n < w->head_want || w->head_n < 2)
		return 0;
	uint8_t len = w->head[1] & 0x7f;
	size_t bytes = len == 126 ? 2 : len == 127 ? 8 : 0;
	w->left = bytes ? 0 : len;
	for (size_t i = 0; i < bytes; i++)
		w->left = w->left << 8 | w->head[2 + i];
	if ((bytes == 2 && w->left < 126) || (bytes == 8 && (w->left < 65536 || w->left >> 63)))
		return broken(w, WS_PROTOCOL);
	memset(w->mask, 0, 4);
	if (w->head[1] & 0x80)
		memcpy(w->mask, w->head + 2 + bytes, 4);
	w->mask_at = 0;
	int r = head_check(w);
	if (r < 0)
		return r;
	w->in_payload = true;
	return 1;
}

static void
payload_take(struct ws *w, struct str s)
{
	uint8_t *to = NULL;

	if (w->op & 8) {
		to = w->control + w->control_n;
		w->control_n += s.n;
	} else {
		to = (uint8_t *)buf_reserve(&w->message, s.n);
		if (to)
			buf_commit(&w->message, s.n);
	}
	for (size_t i = 0; to && i < s.n; i++)
		to[i] = (uint8_t)s.p[i] ^ w->mask[(w->mask_at + i) & 3];
	w->mask_at = (w->mask_at + s.n) & 3;
	w->left -= s.n;
}

/* feed_inner: takes bytes off *in until it is empty, paused or over. */
static int
feed_inner(struct ws *w, struct str *in)
{
	while (!w->closed && !w->paused) {
		int r = 0;
		if (!w->in_payload) {
			if (in->n == 0)
				return 0;
			r = head_byte(w, (uint8_t)in->p[0]);
			*in = str_sub(*in, 1, SIZE_MAX);
			if (r <= 0) {
				if (r < 0)
					return r;
				continue;
			}
		}
		struct str piece = str_sub(*in, 0, w->left < in->n ? (size_t)w->left : in->n);
		payload_take(w, piece);
		*in = str_sub(*in, piece.n, SIZE_MAX);
		if (w->left > 0)
			return 0;
		r = frame_end(w);
		if (r < 0)
			return r;
	}
	return 0;
}

int
ws_feed(struct ws *w, struct str bytes)
{
	struct str in = bytes;
	int r = 0;

	if (w->closed)
		return -EPROTO;
	if (w->paused || w->held.len > 0) {
		buf_str(&w->held, bytes);
		return 0;
	}
	enter(w);
	r = feed_inner(w, &in);
	if (!w->closed && in.n > 0)
		buf_str(&w->held, in);
	leave(w);
	return r;
}

void
ws_feed_eof(struct ws *w)
{
	enter(w);
	tell_closed(w, 1006, STR(""));
	leave(w);
}

/* ---- on a tunnel ------------------------------------------------------------------------------------ */

static void
resumed(struct loop_work *work)
{
	struct ws *w = work->arg;
	struct buf held = w->held;

	if (w->paused || w->closed)
		return;
	w->held = (struct buf)BUF_INIT;
	enter(w);
	struct str in = buf_view(&held);
	feed_inner(w, &in);
	if (!w->closed && in.n > 0)
		buf_str(&w->held, in);
	if (!w->paused && w->tunnel)
		http_tunnel_pause(w->tunnel, false);
	leave(w);
	buf_release(&held);
}

void
ws_pause(struct ws *w, bool paused)
{
	if (w->closed || !w->tunnel)
		return;
	w->paused = paused;
	if (paused)
		http_tunnel_pause(w->tunnel, true);
	else
		loop_defer(http_tunnel_loop(w->tunnel), &w->resume);
}

/* closing_over: the peer had its time to answer the close frame; what is queued before that is its own still,
 * however slowly it reads. */
static void
closing_over(struct loop_timer *t)
{
	struct ws *w = t->arg;

	if (w->tunnel && http_tunnel_queued(w->tunnel) > 0)
		loop_timer_after(http_tunnel_loop(w->tunnel), t, CLOSE_NS);
	else
		ws_feed_eof(w);
}

static void
tunnel_data(void *arg, struct str bytes)
{
	ws_feed(arg, bytes);
}

static void
tunnel_drain(void *arg)
{
	struct ws *w = arg;

	if (w->fns->drain && !w->closed) {
		enter(w);
		w->fns->drain(w->arg);
		leave(w);
	}
}

static void
tunnel_closed(void *arg, int error)
{
	struct ws *w = arg;

	(void)error;
	loop_timer_cancel(&w->closing);
	loop_defer_cancel(&w->resume);
	w->tunnel = NULL;
	ws_feed_eof(w);
}

static const struct http_tunnel_fns tunnel_fns = {
	.data = tunnel_data,
	.drain = tunnel_drain,
	.closed = tunnel_closed,
};

static size_t
tunnel_send(void *arg, struct str bytes)
{
	struct ws *w = arg;

	return w->tunnel ? http_tunnel_write(w->tunnel, bytes) : 0;
}

int
ws_new_on(struct http_tunnel *t, bool client, size_t max_message, const struct ws_fns *fns,
	void *arg, struct ws **ret)
{
	struct ws *w = NULL;
	int r = ws_new(client, max_message, fns, arg, tunnel_send, NULL, &w);

	if (r < 0) {
		http_tunnel_close(t);
		return r;
	}
	w->send_arg = w;
	w->tunnel = t;
	w->resume = (struct loop_work){.fn = resumed, .arg = w};
	w->closing = (struct loop_timer){.fn = closing_over, .arg = w};
	http_tunnel_start(t, &tunnel_fns, w);
	*ret = w;
	return 0;
}
