/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * session_ws: exec and attach over WebSocket: the first byte of a message is its channel; v5 adds the closing of
 * a channel, which is how a program's input ends. Pings are answered by the machine below.
 * Source: remotecommand v1..v5 (KEP-4006); wire form in netstack/http/websocket.h. */
#include "orchestrator/streaming/session.h"

static size_t
ws_output(struct session *x, enum runtime_stream s, struct str bytes)
{
	return x->ws ? k8s_channel_send(x->ws, x->proto,
			       s == RUNTIME_STDERR ? K8S_STDERR : K8S_STDOUT, bytes)
		     : 0;
}

static void
ws_finish(struct session *x, int code, const struct err *e)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	size_t queued = 0;
	session_status(&b, x->proto, code, e);
	if (b.len)
		queued = k8s_channel_send(x->ws, x->proto, K8S_ERROR, buf_view(&b));
	/* The close frame starts a short deadline: first a slow client gets what was written. */
	x->closing = queued > HTTP_QUEUE_LOW;
	if (!x->closing)
		ws_close(x->ws, WS_NORMAL, STR(""));
}

static void
ws_pause_(struct session *x, bool paused)
{
	ws_pause(x->ws, paused);
}

static void
ws_close_(struct session *x)
{
	ws_free(TAKE_PTR(x->ws));
}

static const struct session_ops ws_ops = {ws_output, ws_finish, ws_pause_, ws_close_};

static void
on_message(void *arg, int opcode, struct str bytes)
{
	struct session *x = arg;
	struct arena *a = arena_new(2 * STREAMING_MESSAGE_MAX);
	int channel = -1;
	bool closed = false;
	struct str payload;
	if (a && k8s_channel_parse(x->proto, a, opcode, bytes, &channel, &closed, &payload) == 0) {
		if (channel == K8S_STDIN)
			session_input(x, payload, closed);
		else if (channel == K8S_RESIZE && !closed)
			session_resize(x, payload);
	}
	arena_free(a);
}

static void
on_closed(void *arg, int code, struct str reason)
{
	(void)code, (void)reason;
	session_end(arg);
}

static void
on_drain(void *arg)
{
	struct session *x = arg;
	if (x->closing) {
		x->closing = false;
		ws_close(x->ws, WS_NORMAL, STR(""));
	}
	session_drained(x);
}

int
session_ws_open(struct session *x, struct http_req *r)
{
	static const struct ws_fns fns = {on_message, on_closed, on_drain, NULL};
	struct str got = STR_NONE;
	int rc = ws_accept(
		r, k8s_protocols, K8S_PROTOCOLS, STREAMING_MESSAGE_MAX, &fns, x, &got, &x->ws);
	if (rc < 0) {
		reply_upgrade(r, rc);
		return rc;
	}
	x->ops = &ws_ops;
	x->proto = K8S_V1;
	for (int i = 0; i < K8S_PROTOCOLS; i++)
		if (str_eq(got, k8s_protocols[i]))
			x->proto = (enum k8s_protocol)i;
	/* As upstream does: clients take it for the sign that the session is up. */
	k8s_channel_send(x->ws, x->proto,
		x->q.use_stdout		? K8S_STDOUT
			: x->q.use_stderr ? K8S_STDERR
					  : K8S_ERROR,
		STR(""));
	session_start(x);
	return 0;
}
