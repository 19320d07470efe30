/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * spdy: SPDY/3.1 frames and streams as a state machine; contract in spdy.h.
 * Place in the flow: tunnel or WebSocket -> spdy_feed -> exec, attach, port-forward handlers.
 * Invariants: total over any bytes; control frames are bounded, data is passed on as it comes and never
 * collected; a stream's memory lives until the outermost call returns, so callbacks may end streams and
 * the machine. Late frames of streams that are over are dropped in silence.
 * Source: SPDY Protocol draft 3.1; moby/spdystream: which frames Kubernetes' clients send. */
#include "netstack/http/spdy_headers.h"
#include "netstack/http/ws_int.h"

#include "netstack/http/spdy.h"

#include <errno.h>
#include <stdlib.h>

#define CONTROL_MAX (64 * 1024)
#define STREAMS_MAX 1024
#define DATA_MAX (64 * 1024)
#define HEAD 8
#define ID_MASK 0x7fffffffu

enum frame_type {
	SYN_STREAM = 1,
	SYN_REPLY,
	RST_STREAM,
	SETTINGS,
	PING = 6,
	GOAWAY,
	HEADERS,
	WINDOW_UPDATE
};
enum { FLAG_FIN = 1, FLAG_UNIDIRECTIONAL = 2 };
enum { RST_PROTOCOL_ERROR = 1, RST_REFUSED = 3 };

struct spdy_stream {
	struct spdy *spdy;
	struct spdy_stream *prev, *next;
	uint32_t id;
	bool local_fin, remote_fin, replied, dead;
	void *user;
};

struct spdy {
	bool client;
	const struct spdy_fns *fns;
	void *arg;
	ws_send_fn *send;
	void *send_arg;
	struct http_tunnel *tunnel;
	struct ws *ws;
	struct spdy_packer *packer;
	struct spdy_stream *streams, *graveyard;
	size_t n_streams;
	uint32_t next_id, last_id;
	uint8_t head[HEAD];
	size_t head_n;
	uint32_t left;      /* of the frame's payload */
	struct buf control; /* payload of a control frame */
	int depth;
	bool closed, freed;
};

int
spdy_new(bool client, const struct spdy_fns *fns, void *arg, ws_send_fn *send, void *send_arg,
	struct spdy **ret)
{
	struct spdy *s = calloc(1, sizeof(*s));
	int r = s ? spdy_packer_new(&s->packer) : -ENOMEM;

	if (r < 0) {
		free(s);
		return r;
	}
	s->client = client;
	s->fns = fns;
	s->arg = arg;
	s->send = send;
	s->send_arg = send_arg;
	s->next_id = client ? 1 : 2;
	s->control.max = CONTROL_MAX;
	*ret = s;
	return 0;
}

/* ---- life ------------------------------------------------------------------------------------------- */

static void
enter(struct spdy *s)
{
	s->depth++;
}

static void
leave(struct spdy *s)
{
	if (--s->depth > 0)
		return;
	while (s->graveyard) {
		struct spdy_stream *st = s->graveyard;
		s->graveyard = st->next;
		free(st);
	}
	if (!s->freed)
		return;
	spdy_packer_free(s->packer);
	buf_release(&s->control);
	free(s);
}

static void
stream_bury(struct spdy_stream *st)
{
	struct spdy *s = st->spdy;

	if (st->dead)
		return;
	st->dead = true;
	if (st->prev)
		st->prev->next = st->next;
	else
		s->streams = st->next;
	if (st->next)
		st->next->prev = st->prev;
	s->n_streams--;
	st->next = s->graveyard;
	s->graveyard = st;
}

static void
stream_gone(struct spdy_stream *st, int status)
{
	struct spdy *s = st->spdy;

	if (st->dead)
		return;
	stream_bury(st);
	s->fns->gone(s->arg, st, status);
}

static void
transport_close(struct spdy *s)
{
	if (s->tunnel)
		http_tunnel_close(s->tunnel);
	s->tunnel = NULL;
	if (s->ws)
		ws_free(s->ws);
	s->ws = NULL;
}

static void
tell_closed(struct spdy *s, int error)
{
	if (s->closed)
		return;
	s->closed = true;
	while (s->streams && !s->freed)
		stream_gone(s->streams, 0);
	if (s->freed)
		return;
	transport_close(s);
	s->fns->closed(s->arg, error);
}

void
spdy_free(struct spdy *s)
{
	if (!s || s->freed)
		return;
	enter(s);
	s->freed = s->closed = true;
	while (s->streams)
		stream_bury(s->streams);
	transport_close(s);
	leave(s);
}

/* ---- sending ---------------------------------------------------------------------------------------- */

static void
control_send(struct spdy *s, uint16_t type, uint8_t flags, struct str payload)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_be16(&b, 0x8003);
	buf_be16(&b, type);
	buf_be32(&b, (uint32_t)flags << 24 | (uint32_t)payload.n);
	buf_str(&b, payload);
	if (!b.failed)
		s->send(s->send_arg, buf_view(&b));
}

static void
two_words(struct spdy *s, uint16_t type, uint32_t a, uint32_t b)
{
	_cleanup_buf_ struct buf p = BUF_INIT;

	buf_be32(&p, a);
	buf_be32(&p, b);
	control_send(s, type, 0, buf_view(&p));
}

static int
syn_send(struct spdy *s, uint16_t type, uint32_t id, const struct http_header *h, size_t n,
	uint8_t flags)
{
	_cleanup_buf_ struct buf p = BUF_INIT;

	buf_be32(&p, id);
	if (type == SYN_STREAM) {
		buf_be32(&p, 0);
		buf_be16(&p, 0);
	}
	int r = spdy_pack(s->packer, h, n, &p);
	if (r < 0 || p.failed)
		return -ENOMEM;
	control_send(s, type, flags, buf_view(&p));
	return 0;
}

int
spdy_accept(struct spdy_stream *st)
{
	if (st->dead || st->spdy->closed || st->replied)
		return -EPIPE;
	st->replied = true;
	return syn_send(st->spdy, SYN_REPLY, st->id, NULL, 0, 0);
}

static struct spdy_stream *
stream_add(struct spdy *s, uint32_t id)
{
	struct spdy_stream *st = calloc(1, sizeof(*st));

	if (!st)
		return NULL;
	st->spdy = s;
	st->id = id;
	st->next = s->streams;
	if (st->next)
		st->next->prev = st;
	s->streams = st;
	s->n_streams++;
	return st;
}

int
spdy_open(struct spdy *s, const struct http_header *headers, size_t n, bool fin,
	struct spdy_stream **ret)
{
	if (s->closed || s->next_id > ID_MASK)
		return -EPIPE;
	struct spdy_stream *st = stream_add(s, s->next_id);
	if (!st)
		return -ENOMEM;
	s->next_id += 2;
	st->local_fin = fin;
	int r = syn_send(s, SYN_STREAM, st->id, headers, n, fin ? FLAG_FIN : 0);
	if (r < 0) {
		enter(s);
		stream_bury(st);
		leave(s);
		return r;
	}
	*ret = st;
	return 0;
}

size_t
spdy_write(struct spdy_stream *st, struct str bytes, bool fin)
{
	struct spdy *s = st->spdy;
	size_t queued = 0;

	if (st->dead || st->local_fin || s->closed)
		return 0;
	enter(s);
	do {
		struct str piece = str_sub(bytes, 0, DATA_MAX);
		bytes = str_sub(bytes, piece.n, SIZE_MAX);
		bool last = fin && bytes.n == 0;
		_cleanup_buf_ struct buf head = BUF_INIT;
		if (piece.n == 0 && !last)
			break;
		buf_be32(&head, st->id);
		buf_be32(&head, (uint32_t)(last ? FLAG_FIN : 0) << 24 | (uint32_t)piece.n);
		buf_str(&head, piece);
		if (!head.failed)
			queued = s->send(s->send_arg, buf_view(&head));
	} while (bytes.n > 0);
	if (fin) {
		st->local_fin = true;
		if (st->remote_fin)
			stream_gone(st, -1);
	}
	leave(s);
	return queued;
}

size_t
spdy_queued(const struct spdy *s)
{
	return s->tunnel ? http_tunnel_queued(s->tunnel) : 0;
}

void
spdy_reset(struct spdy_stream *st, int status)
{
	struct spdy *s = st->spdy;

	if (st->dead)
		return;
	enter(s);
	if (!s->closed)
		two_words(s, RST_STREAM, st->id, (uint32_t)status);
	stream_bury(st);
	leave(s);
}

void
spdy_goaway(struct spdy *s)
{
	if (!s->closed)
		two_words(s, GOAWAY, s->last_id, 0);
}

/* ---- reading ---------------------------------------------------------------------------------------- */

static struct spdy_stream *
stream_find(struct spdy *s, uint32_t id)
{
	for (struct spdy_stream *st = s->streams; st; st = st->next)
		if (st->id == id)
			return st;
	return NULL;
}

static int
broken(struct spdy *s)
{
	if (!s->closed)
		two_words(s, GOAWAY, s->last_id, 1);
	tell_closed(s, -EPROTO);
	return -EPROTO;
}

/* remote_fin: the peer will send no more on this stream. */
static void
remote_fin(struct spdy_stream *st)
{
	st->remote_fin = true;
	if (st->local_fin)
		stream_gone(st, -1);
}

static int
on_syn_stream(struct spdy *s, struct reader *r, uint8_t flags, struct arena *a)
{
	uint32_t id = reader_be32(r) & ID_MASK;
	struct http_headers h = {0};

	reader_be32(r);
	reader_be16(r);
	if (r->bad || spdy_unpack(s->packer, a, str_from((const char *)r->p, r->n), &h) < 0)
		return -EPROTO;
	if (id == 0 || (id & 1) == s->client || id <= s->last_id)
		return -EPROTO;
	s->last_id = id;
	struct spdy_stream *st = s->n_streams < STREAMS_MAX ? stream_add(s, id) : NULL;
	if (!st) {
		two_words(s, RST_STREAM, id, RST_REFUSED);
		return 0;
	}
	st->local_fin = flags & FLAG_UNIDIRECTIONAL;
	bool fin = flags & FLAG_FIN;
	s->fns->open(s->arg, st, &h, fin);
	if (fin && !st->dead)
		remote_fin(st);
	return 0;
}

static int
on_syn_reply(struct spdy *s, struct reader *r, uint8_t flags, struct arena *a)
{
	struct spdy_stream *st = stream_find(s, reader_be32(r) & ID_MASK);
	struct http_headers h = {0};

	if (r->bad || spdy_unpack(s->packer, a, str_from((const char *)r->p, r->n), &h) < 0)
		return -EPROTO;
	if (!st)
		return 0;
	if (st->replied || (st->id & 1) != s->client)
		return -EPROTO;
	st->replied = true;
	if (s->fns->accepted)
		s->fns->accepted(s->arg, st, &h);
	if ((flags & FLAG_FIN) && !st->dead)
		remote_fin(st);
	return 0;
}

/* on_headers: further headers mean nothing to us, but the unpacker must see them. */
static int
on_headers(struct spdy *s, struct reader *r, uint8_t flags, struct arena *a)
{
	struct spdy_stream *st = stream_find(s, reader_be32(r) & ID_MASK);
	struct http_headers h = {0};

	if (r->bad || spdy_unpack(s->packer, a, str_from((const char *)r->p, r->n), &h) < 0)
		return -EPROTO;
	if (st && (flags & FLAG_FIN)) {
		s->fns->data(s->arg, st, STR(""), true);
		if (!st->dead)
			remote_fin(st);
	}
	return 0;
}

static int
on_rst(struct spdy *s, struct reader *r, uint8_t flags, struct arena *a)
{
	struct spdy_stream *st = stream_find(s, reader_be32(r) & ID_MASK);
	int status = (int)(reader_be32(r) & 0xffff);

	(void)flags, (void)a;
	if (r->bad)
		return -EPROTO;
	if (st)
		stream_gone(st, status ? status : RST_PROTOCOL_ERROR);
	return 0;
}

static int
on_ping(struct spdy *s, struct reader *r, uint8_t flags, struct arena *a)
{
	uint32_t id = reader_be32(r);
	char bytes[4] = {(char)(id >> 24), (char)(id >> 16), (char)(id >> 8), (char)id};

	(void)flags, (void)a;
	if (r->bad)
		return -EPROTO;
	if ((id & 1) != s->client) /* not the answer to one of ours */
		control_send(s, PING, 0, str_from(bytes, 4));
	return 0;
}

static int
on_goaway(struct spdy *s, struct reader *r, uint8_t flags, struct arena *a)
{
	(void)r, (void)flags, (void)a;
	tell_closed(s, 0);
	return 0;
}

static int
on_ignored(struct spdy *s, struct reader *r, uint8_t flags, struct arena *a)
{
	(void)s, (void)r, (void)flags, (void)a;
	return 0;
}

static int (*const handlers[])(struct spdy *s, struct reader *r, uint8_t flags, struct arena *a) = {
	[SYN_STREAM] = on_syn_stream,
	[SYN_REPLY] = on_syn_reply,
	[RST_STREAM] = on_rst,
	[SETTINGS] = on_ignored,
	[PING] = on_ping,
	[GOAWAY] = on_goaway,
	[HEADERS] = on_headers,
	[WINDOW_UPDATE] = on_ignored,
};

static int
control_frame(struct spdy *s)
{
	struct reader head = reader_of(str_from((char *)s->head, HEAD));
	struct reader body = reader_of(buf_view(&s->control));
	struct arena *a = arena_new(1 << 20);

	reader_be16(&head);
	uint16_t type = reader_be16(&head);
	uint8_t flags = reader_u8(&head);
	int r = a && !s->control.failed ? 0 : -EPROTO;
	if (r == 0 && type < ARRAY_LEN(handlers) && handlers[type])
		r = handlers[type](s, &body, flags, a);
	arena_free(a);
	return r;
}

/* data_piece: some of a data frame's payload (or its empty end). */
static void
data_piece(struct spdy *s, struct str piece)
{
	struct reader head = reader_of(str_from((char *)s->head, HEAD));
	struct spdy_stream *st = stream_find(s, reader_be32(&head) & ID_MASK);
	bool fin = s->left == 0 && (s->head[4] & FLAG_FIN);

	if (!st || st->remote_fin || (piece.n == 0 && !fin))
		return;
	s->fns->data(s->arg, st, piece, fin);
	if (fin && !st->dead)
		remote_fin(st);
}

/* feed_one: takes some bytes off *in. 0, -EPROTO. */
static int
feed_one(struct spdy *s, struct str *in)
{
	bool control = s->head[0] & 0x80;

	if (s->head_n < HEAD) {
		s->head[s->head_n++] = (uint8_t)in->p[0];
		*in = str_sub(*in, 1, SIZE_MAX);
		if (s->head_n < HEAD)
			return 0;
		control = s->head[0] & 0x80;
		s->left = (uint32_t)s->head[5] << 16 | (uint32_t)s->head[6] << 8 | s->head[7];
		if (control && (s->head[0] != 0x80 || s->head[1] != 3 || s->left > CONTROL_MAX))
			return -EPROTO;
		if (s->left > 0)
			return 0;
	}
	struct str piece = str_sub(*in, 0, s->left < in->n ? s->left : in->n);
	*in = str_sub(*in, piece.n, SIZE_MAX);
	s->left -= (uint32_t)piece.n;
	int r = 0;
	if (control)
		buf_str(&s->control, piece);
	else
		data_piece(s, piece);
	if (s->left == 0) {
		if (control && !s->freed)
			r = control_frame(s);
		buf_clear(&s->control);
		s->head_n = 0;
	}
	return r;
}

int
spdy_feed(struct spdy *s, struct str bytes)
{
	struct str in = bytes;
	int r = s->closed ? -EPROTO : 0;

	enter(s);
	while (in.n > 0 && !s->closed) {
		r = feed_one(s, &in);
		if (r < 0)
			r = broken(s);
	}
	leave(s);
	return r;
}

void
spdy_feed_eof(struct spdy *s)
{
	enter(s);
	tell_closed(s, 0);
	leave(s);
}

/* ---- transports ------------------------------------------------------------------------------------- */

static void
tunnel_data(void *arg, struct str bytes)
{
	spdy_feed(arg, bytes);
}

static void
transport_drain(void *arg)
{
	struct spdy *s = arg;

	if (!s->fns->drain || s->closed)
		return;
	enter(s);
	s->fns->drain(s->arg);
	leave(s);
}

static void
tunnel_closed(void *arg, int error)
{
	struct spdy *s = arg;

	(void)error;
	s->tunnel = NULL;
	spdy_feed_eof(s);
}

static const struct http_tunnel_fns tunnel_fns = {
	.data = tunnel_data,
	.drain = transport_drain,
	.closed = tunnel_closed,
};

static size_t
transport_send(void *arg, struct str bytes)
{
	struct spdy *s = arg;

	if (s->ws)
		return ws_message(s->ws, WS_BINARY, bytes);
	return s->tunnel ? http_tunnel_write(s->tunnel, bytes) : 0;
}

int
spdy_on_tunnel(struct http_tunnel *t, bool client, const struct spdy_fns *fns, void *arg,
	struct spdy **ret)
{
	struct spdy *s = NULL;
	int r = spdy_new(client, fns, arg, transport_send, NULL, &s);

	if (r < 0) {
		http_tunnel_close(t);
		return r;
	}
	s->send_arg = s;
	s->tunnel = t;
	http_tunnel_start(t, &tunnel_fns, s);
	*ret = s;
	return 0;
}

static void
ws_bytes(void *arg, int opcode, struct str bytes)
{
	(void)opcode;
	spdy_feed(arg, bytes);
}

static void
ws_over(void *arg, int code, struct str reason)
{
	struct spdy *s = arg;

	(void)code, (void)reason;
	spdy_feed_eof(s);
}

static const struct ws_fns ws_fns = {
	.message = ws_bytes,
	.closed = ws_over,
	.drain = transport_drain,
};

int
spdy_ws_accept(struct http_req *r, const struct spdy_fns *fns, void *arg, struct spdy **ret)
{
	static const struct str protocol = STR_INIT("SPDY/3.1+portforward.k8s.io");
	struct spdy *s = NULL;
	int result = spdy_new(false, fns, arg, transport_send, NULL, &s);

	if (result < 0) {
		http_reply(r, 503, STR("text/plain"), STR("out of memory"));
		return result;
	}
	s->send_arg = s;
	result = ws_accept(r, &protocol, 1, 1 << 20, &ws_fns, s, NULL, &s->ws);
	if (result < 0) {
		spdy_free(s);
		return result;
	}
	*ret = s;
	return 0;
}

/* ---- small things ----------------------------------------------------------------------------------- */

void
spdy_pause(struct spdy *s, bool paused)
{
	if (s->tunnel)
		http_tunnel_pause(s->tunnel, paused);
	else if (s->ws)
		ws_pause(s->ws, paused);
}

void
spdy_stream_set(struct spdy_stream *s, void *user)
{
	s->user = user;
}

void *
spdy_stream_get(const struct spdy_stream *s)
{
	return s->user;
}

uint32_t
spdy_stream_id(const struct spdy_stream *s)
{
	return s->id;
}

size_t
spdy_streams(const struct spdy *s)
{
	return s->n_streams;
}
