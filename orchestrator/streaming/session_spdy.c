/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * session_spdy: exec and attach over SPDY/3.1: the client opens a stream for each side, named by its header
 * streamtype; the program starts when those that were asked for are there.
 * Source: remotecommand v1..v4; X-Stream-Protocol-Version. */
#include "orchestrator/streaming/session.h"

#define RST_PROTOCOL_ERROR 1

static const char *const side_names[SIDE__COUNT] = {"error", "stdin", "stdout", "stderr", "resize"};

static size_t
spdy_output(struct session *x, enum runtime_stream s, struct str bytes)
{
	struct spdy_stream *st = x->sides[s == RUNTIME_STDERR ? SIDE_STDERR : SIDE_STDOUT];
	return st ? spdy_write(st, bytes, false) : 0;
}

/* side_fin: bytes and the end; the slot is empty before, for the stream may be gone within the call. */
static void
side_fin(struct session *x, int side, struct str bytes)
{
	struct spdy_stream *st = x->sides[side];
	if (!st)
		return;
	x->sides[side] = NULL;
	spdy_stream_set(st, NULL);
	spdy_write(st, bytes, true);
}

static void
spdy_finish(struct session *x, int code, const struct err *e)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	session_status(&b, x->proto, code, e);
	side_fin(x, SIDE_STDOUT, STR(""));
	side_fin(x, SIDE_STDERR, STR(""));
	side_fin(x, SIDE_ERROR, buf_view(&b));
	side_fin(x, SIDE_STDIN, STR(""));
	side_fin(x, SIDE_RESIZE, STR(""));
}

static void
spdy_pause_(struct session *x, bool paused)
{
	spdy_pause(x->spdy, paused);
}

static void
spdy_close_(struct session *x)
{
	spdy_free(TAKE_PTR(x->spdy));
}

static const struct session_ops spdy_ops = {spdy_output, spdy_finish, spdy_pause_, spdy_close_};

/* ---- streams ---- */

static bool
all_there(const struct session *x)
{
	bool sizes = x->q.tty && (x->proto == K8S_V4 || x->proto == K8S_V3);
	const bool want[SIDE__COUNT] = {
		true, x->q.use_stdin, x->q.use_stdout, x->q.use_stderr, sizes};
	for (int i = 0; i < SIDE__COUNT; i++)
		if (want[i] && !x->sides[i])
			return false;
	return true;
}

static void
on_open(void *arg, struct spdy_stream *st, const struct http_headers *h, bool fin)
{
	struct session *x = arg;
	struct str type = http_headers_get(h, STR("streamtype"));
	int side = 0;
	while (side < SIDE__COUNT && !str_eq_c(type, side_names[side]))
		side++;
	if (side == SIDE__COUNT || x->sides[side] || x->started) {
		spdy_reset(st, RST_PROTOCOL_ERROR);
		return;
	}
	x->sides[side] = st;
	spdy_stream_set(st, &x->sides[side]);
	spdy_accept(st);
	if (fin && side == SIDE_STDIN)
		x->in_eof = true;
	if (all_there(x))
		session_start(x);
}

static void
on_data(void *arg, struct spdy_stream *st, struct str bytes, bool fin)
{
	struct session *x = arg;
	struct spdy_stream **slot = spdy_stream_get(st);
	if (slot == &x->sides[SIDE_STDIN])
		session_input(x, bytes, fin);
	else if (slot == &x->sides[SIDE_RESIZE] && bytes.n)
		session_resize(x, bytes);
}

static void
on_gone(void *arg, struct spdy_stream *st, int status)
{
	struct session *x = arg;
	struct spdy_stream **slot = spdy_stream_get(st);
	if (!slot)
		return;
	*slot = NULL;
	if (status > 0 && slot == &x->sides[SIDE_STDIN])
		session_input(x, STR(""), true);
}

static void
on_closed(void *arg, int error)
{
	(void)error;
	session_end(arg);
}

static void
on_drain(void *arg)
{
	session_drained(arg);
}

/* ---- hand-shake ---- */

/* The first of the client's versions that is ours; -EPROTONOSUPPORT. */
static int
version_choose(const struct http_req *r, enum k8s_protocol *ret)
{
	struct str line, item;
	size_t pos = 0;
	while (http_headers_next(&r->headers, STR("X-Stream-Protocol-Version"), &pos, &line)) {
		while (http_token_next(&line, &item)) {
			for (int p = K8S_V4; p <= K8S_V1; p++) {
				if (!str_eq(item, k8s_protocols[p]))
					continue;
				*ret = (enum k8s_protocol)p;
				return 0;
			}
		}
	}
	return -EPROTONOSUPPORT;
}

int
session_spdy_open(struct session *x, struct http_req *r)
{
	static const struct spdy_fns fns = {on_open, on_data, on_gone, NULL, on_closed, on_drain};
	struct http_tunnel *t = NULL;
	int rc = -EINVAL;
	if (http_headers_has_token(&r->headers, STR("Upgrade"), STR("SPDY/3.1")))
		rc = version_choose(r, &x->proto);
	if (rc == 0) {
		http_set_header(r, STR("X-Stream-Protocol-Version"), k8s_protocols[x->proto]);
		rc = http_upgrade(r, STR("SPDY/3.1"), &t);
		if (rc == -EBUSY)
			rc = -EINVAL;
	}
	if (rc < 0) {
		reply_upgrade(r, rc);
		return rc;
	}
	rc = spdy_on_tunnel(t, false, &fns, x, &x->spdy);
	if (rc < 0)
		return rc;
	x->ops = &spdy_ops;
	loop_timer_after(x->s->cfg.loop, &x->timer, STREAMING_SETUP_NS);
	return 0;
}
