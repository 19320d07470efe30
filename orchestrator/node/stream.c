/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * stream: exec, attach and logs of the node API: a program's (or container's) streams on one side, WebSocket
 * channels or SPDY streams on the other, with back-pressure through both.
 *
 *   GET + Upgrade: websocket   v5/v4.channel.k8s.io: first byte of a message = channel
 *   POST + Upgrade: SPDY/3.1   v4.channel.k8s.io: the client opens error, stdin, stdout, stderr, resize
 *
 * Source: Kubernetes remotecommand v1 to v5 (KEP-4006); kubelet containerLogs. */
#include "orchestrator/node/node_int.h"

#define MESSAGE_MAX (1 << 20)
#define STREAMS_NS                                                                                 \
	(30 * NS_PER_SEC) /* the client opens its streams within this, and ends after the status */

enum { SIDE_ERROR, SIDE_STDIN, SIDE_STDOUT, SIDE_STDERR, SIDE_RESIZE, SIDE__COUNT };
static const char *const side_names[SIDE__COUNT] = {"error", "stdin", "stdout", "stderr", "resize"};

struct session {
	struct node *n;
	char id[RUNTIME_ID_LEN + 1];
	bool attach, want_in, want_out, want_err, tty, started, over;
	struct arena *a; /* argv */
	struct str *argv;
	size_t n_argv;
	struct runtime_exec *exec;
	struct runtime_attach *att;
	/* one of the two */
	struct ws *ws;
	enum k8s_protocol proto;
	struct spdy *spdy;
	struct spdy_stream *sides[SIDE__COUNT];
	bool v4; /* SPDY: the status is JSON */
	struct buf in;
	bool in_eof;
	struct loop_timer timer;
};

static void
session_free(void *p)
{
	struct session *s = p;
	buf_release(&s->in);
	arena_free(s->a);
	free(s);
}

static void
session_end(struct session *s)
{
	if (s->over)
		return;
	s->over = true;
	loop_timer_cancel(&s->timer);
	if (s->exec)
		runtime_exec_close(TAKE_PTR(s->exec), true);
	if (s->att)
		runtime_attach_close(TAKE_PTR(s->att));
	if (s->ws)
		ws_free(TAKE_PTR(s->ws));
	if (s->spdy)
		spdy_free(TAKE_PTR(s->spdy));
	loop_free_later(s->n->loop, session_free, s);
}

/* ---- towards the client ---- */

static bool
on_output(void *arg, enum runtime_stream stream, struct str bytes)
{
	struct session *s = arg;
	size_t queued = 0;
	bool err = stream == RUNTIME_STDERR;
	if (s->ws)
		queued = k8s_channel_send(s->ws, s->proto, err ? K8S_STDERR : K8S_STDOUT, bytes);
	else if (s->spdy && s->sides[err ? SIDE_STDERR : SIDE_STDOUT])
		queued = spdy_write(s->sides[err ? SIDE_STDERR : SIDE_STDOUT], bytes, false);
	return queued < HTTP_QUEUE_HIGH;
}

static void
on_drain(void *arg)
{
	struct session *s = arg;
	if (s->exec)
		runtime_exec_resume(s->exec);
	if (s->att)
		runtime_attach_resume(s->att);
}

/* status_write: how it ended. Protocols before the fourth are told of a failure only, in words. */
static void
status_write(struct buf *b, bool json, int code, const struct err *e)
{
	if (e && e->code) {
		if (!json) {
			buf_cstr(b, e->msg);
			return;
		}
		buf_cstr(b, "{\"metadata\":{},\"status\":\"Failure\",\"message\":");
		doc_json_string(b, str_c(e->msg));
		buf_cstr(b, ",\"reason\":\"InternalError\",\"code\":500}");
	} else if (code == 0) {
		if (json)
			buf_cstr(b, "{\"metadata\":{},\"status\":\"Success\"}");
	} else if (!json) {
		buf_fmt(b, "command terminated with non-zero exit code: exit code %d", code);
	} else {
		buf_fmt(b,
			"{\"metadata\":{},\"status\":\"Failure\",\"message\":\"command terminated with "
			"non-zero exit code: exit code %d\",\"reason\":\"NonZeroExitCode\",\"details\":{"
			"\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"%d\"}]}}",
			code, code);
	}
}

static void
on_end(void *arg, int code, const struct err *e)
{
	struct session *s = arg;
	_cleanup_buf_ struct buf b = BUF_INIT;
	s->exec = NULL;
	s->att = NULL;
	if (s->attach)
		code = 0; /* an attached client is told no exit code */
	if (s->ws) {
		status_write(&b, s->proto == K8S_V5 || s->proto == K8S_V4, code, e);
		if (b.len)
			k8s_channel_send(s->ws, s->proto, K8S_ERROR, buf_view(&b));
		ws_close(s->ws, WS_NORMAL, STR(""));
	} else if (s->spdy) {
		status_write(&b, s->v4, code, e);
		if (s->sides[SIDE_ERROR])
			spdy_write(s->sides[SIDE_ERROR], buf_view(&b), true);
		for (int i = SIDE_STDIN; i < SIDE_RESIZE; i++)
			if (s->sides[i])
				spdy_write(s->sides[i], STR(""), true);
		loop_timer_after(s->n->loop, &s->timer, STREAMS_NS);
	}
}

/* ---- towards the program ---- */

static void
input_flush(struct session *s)
{
	while (s->in.len && (s->exec || s->att)) {
		ssize_t n = s->exec ? runtime_exec_write(s->exec, buf_view(&s->in))
				    : runtime_attach_write(s->att, buf_view(&s->in));
		if (n == 0)
			break;
		buf_consume(&s->in, n < 0 ? s->in.len : (size_t)n);
	}
	bool full = s->in.len > MESSAGE_MAX / 4;
	if (s->ws)
		ws_pause(s->ws, full);
	if (s->spdy)
		spdy_pause(s->spdy, full);
	if (s->in_eof && s->in.len == 0 && s->exec)
		runtime_exec_close_stdin(s->exec);
	if (s->in_eof && s->in.len == 0 && s->att)
		runtime_attach_close_stdin(s->att);
}

static void
on_writable(void *arg)
{
	input_flush(arg);
}

static void
input(struct session *s, struct str bytes, bool eof)
{
	if (!s->want_in)
		return;
	buf_str(&s->in, bytes);
	s->in_eof = s->in_eof || eof;
	if (s->started)
		input_flush(s);
}

static void
resize(struct session *s, struct str text)
{
	uint16_t w = 0, h = 0;
	if (k8s_resize_parse(text, &w, &h) < 0)
		return;
	if (s->exec)
		runtime_exec_resize(s->exec, w, h);
	if (s->att)
		runtime_attach_resize(s->att, w, h);
}

static void
session_start(struct session *s)
{
	static const struct runtime_exec_ops ops = {on_output, on_end, on_writable};
	struct err e = {0};
	int rc;
	if (s->started)
		return;
	s->started = true;
	loop_timer_cancel(&s->timer);
	if (s->attach) {
		struct runtime_attach_spec spec = {
			str_c(s->id), s->want_in, s->want_out, s->want_err};
		rc = runtime_attach_start(s->n->rt, &spec, &ops, s, &s->att, &e);
	} else {
		struct runtime_exec_spec spec = {.container_id = str_c(s->id),
			.argv = s->argv,
			.n_argv = s->n_argv,
			.tty = s->tty,
			.use_stdin = s->want_in,
			.use_stdout = s->want_out,
			.use_stderr = s->want_err};
		rc = runtime_exec_start(s->n->rt, &spec, &ops, s, &s->exec, &e);
	}
	if (rc < 0) {
		if (!e.code)
			err_errno(&e, rc, "starting");
		on_end(s, 1, &e);
		return;
	}
	input_flush(s);
}

/* ---- WebSocket ---- */

static void
on_message(void *arg, int opcode, struct str bytes)
{
	struct session *s = arg;
	struct arena *a = arena_new(4 << 20);
	int channel = -1;
	bool closed = false;
	struct str payload;
	if (a && k8s_channel_parse(s->proto, a, opcode, bytes, &channel, &closed, &payload) == 0) {
		if (closed && channel == K8S_STDIN)
			input(s, STR(""), true);
		else if (channel == K8S_STDIN)
			input(s, payload, false);
		else if (channel == K8S_RESIZE)
			resize(s, payload);
	}
	arena_free(a);
}

static void
on_ws_closed(void *arg, int code, struct str reason)
{
	(void)code, (void)reason;
	session_end(arg);
}

/* ---- SPDY ---- */

static bool
side_wanted(const struct session *s, int i)
{
	const bool want[SIDE__COUNT] = {true, s->want_in, s->want_out, s->want_err, s->tty};
	return want[i];
}

static void
on_open(void *arg, struct spdy_stream *st, const struct http_headers *h, bool fin)
{
	struct session *s = arg;
	struct str type = http_headers_get(h, STR("streamtype"));
	bool all = true;
	(void)fin;
	for (int i = 0; i < SIDE__COUNT; i++) {
		if (str_eq_c(type, side_names[i]) && !s->sides[i]) {
			s->sides[i] = st;
			spdy_stream_set(st, &s->sides[i]);
			spdy_accept(st);
		}
		/* Clients of the oldest protocols have no resize stream. */
		all = all && (s->sides[i] || !side_wanted(s, i) || (i == SIDE_RESIZE && !s->v4));
	}
	if (!spdy_stream_get(st))
		spdy_reset(st, 3);
	if (all)
		session_start(s);
}

static void
on_data(void *arg, struct spdy_stream *st, struct str bytes, bool fin)
{
	struct session *s = arg;
	if (st == s->sides[SIDE_STDIN])
		input(s, bytes, fin);
	else if (st == s->sides[SIDE_RESIZE] && bytes.n)
		resize(s, bytes);
}

static void
on_gone(void *arg, struct spdy_stream *st, int status)
{
	(void)arg, (void)status;
	struct spdy_stream **slot = spdy_stream_get(st);
	if (slot)
		*slot = NULL;
}

static void
on_spdy_closed(void *arg, int error)
{
	(void)error;
	session_end(arg);
}

/* on_timer: no streams came, or the client did not end after the status; it may still be reading. */
static void
on_timer(struct loop_timer *t)
{
	struct session *s = t->arg;
	if (s->started && s->spdy && spdy_queued(s->spdy))
		loop_timer_after(s->n->loop, t, STREAMS_NS);
	else
		session_end(s);
}

/* ---- requests ---- */

static bool
asks(struct http_req *r, const char *a, const char *b)
{
	struct str v = http_query_get(r->arena, r->query, str_c(a));
	if (!str_is_set(v) && b)
		v = http_query_get(r->arena, r->query, str_c(b));
	return str_eq(v, STR("1")) || str_eq(v, STR("true"));
}

static struct session *
session_new(struct node *n, struct http_req *r, struct str id, bool attach)
{
	struct session *s = calloc(1, sizeof(*s));
	struct str rest = r->query, key, value;
	int rc;
	if (!s)
		return NULL;
	s->n = n;
	s->attach = attach;
	s->a = arena_new(4 << 20);
	str_copy_c(id, s->id, sizeof(s->id));
	s->tty = asks(r, "tty", NULL);
	s->want_in = asks(r, "stdin", "input");
	s->want_out = asks(r, "stdout", "output");
	s->want_err = asks(r, "stderr", "error") && !s->tty;
	s->in.max = 4 * MESSAGE_MAX;
	s->timer = (struct loop_timer){.fn = on_timer, .arg = s};
	while (s->a && str_is_set(rest) && rest.n &&
		(rc = http_query_next(s->a, &rest, &key, &value)) != 0) {
		struct str *v = rc == 1 && str_eq(key, STR("command"))
			? ARENA_PUSH(s->a, s->argv, s->n_argv)
			: NULL;
		if (v)
			*v = arena_str(s->a, value);
		if (rc == -ENOMEM)
			break;
	}
	return s;
}

static bool
spdy_protocol(struct http_req *r, const char **ret)
{
	static const char *const ours[] = {
		"v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"};
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (http_headers_has_token(
			    &r->headers, STR("X-Stream-Protocol-Version"), str_c(ours[i]))) {
			*ret = ours[i];
			return true;
		}
	return false;
}

static int
open_ws(struct session *s, struct http_req *r)
{
	static const struct ws_fns fns = {on_message, on_ws_closed, on_drain, NULL};
	struct str got = STR_NONE;
	int rc = ws_accept(r, k8s_protocols, K8S_PROTOCOLS, MESSAGE_MAX, &fns, s, &got, &s->ws);
	if (rc == -EINVAL || rc == -EPROTONOSUPPORT)
		http_reply(r, rc == -EINVAL ? 400 : 403, STR("text/plain; charset=utf-8"),
			STR("unable to upgrade: no subprotocol of ours\n"));
	if (rc < 0)
		return rc;
	s->proto = K8S_V1;
	for (int i = 0; i < K8S_PROTOCOLS; i++)
		if (str_eq(got, k8s_protocols[i]))
			s->proto = (enum k8s_protocol)i;
	session_start(s);
	return 0;
}

static int
open_spdy(struct session *s, struct http_req *r)
{
	static const struct spdy_fns fns = {
		on_open, on_data, on_gone, NULL, on_spdy_closed, on_drain};
	const char *proto = "channel.k8s.io";
	struct http_tunnel *t = NULL;
	if (!str_eq_nocase(http_headers_get(&r->headers, STR("Upgrade")), STR("SPDY/3.1")) ||
		!spdy_protocol(r, &proto)) {
		http_reply(r, 400, STR("text/plain; charset=utf-8"),
			STR("you must specify an upgrade\n"));
		return -EINVAL;
	}
	s->v4 = strcmp(proto, "v4.channel.k8s.io") == 0;
	http_set_header(r, STR("X-Stream-Protocol-Version"), str_c(proto));
	int rc = http_upgrade(r, STR("SPDY/3.1"), &t);
	if (rc == -EBUSY)
		http_reply(
			r, 400, STR("text/plain; charset=utf-8"), STR("a body is not expected\n"));
	if (rc == 0)
		rc = spdy_on_tunnel(t, false, &fns, s, &s->spdy);
	if (rc == 0)
		loop_timer_after(s->n->loop, &s->timer, STREAMS_NS);
	return rc;
}

void
serve_exec(struct node *n, struct http_req *r, struct str container_id, bool attach)
{
	struct session *s = session_new(n, r, container_id, attach);
	if (!s) {
		http_reply(r, 500, STR("text/plain; charset=utf-8"), STR("no memory\n"));
		return;
	}
	if (!attach && s->n_argv == 0) {
		http_reply(r, 400, STR("text/plain; charset=utf-8"),
			STR("you must specify at least 1 of stdin, stdout, stderr and a command\n"));
		session_end(s);
		return;
	}
	if ((ws_is_upgrade(r) ? open_ws(s, r) : open_spdy(s, r)) < 0)
		session_end(s);
}

/* ---- logs ---- */

struct logs {
	struct node *n;
	struct http_req *r;
	struct runtime_log *log;
	bool begun;
};

static void
logs_begin(struct logs *l)
{
	if (!l->begun)
		http_begin(l->r, 200, STR("text/plain"), -1);
	l->begun = true;
}

static bool
on_log(void *arg, struct str bytes)
{
	struct logs *l = arg;
	logs_begin(l);
	return http_write(l->r, bytes) < HTTP_QUEUE_HIGH;
}

static void
on_log_end(void *arg, const struct err *e)
{
	struct logs *l = arg;
	l->log = NULL;
	(void)e;
	logs_begin(l);
	http_end(l->r);
	free(l);
}

static void
on_log_drain(struct http_req *r)
{
	struct logs *l = r->arg;
	if (l->log)
		runtime_log_resume(l->log);
}

static void
on_log_abort(struct http_req *r)
{
	struct logs *l = r->arg;
	if (l->log)
		runtime_log_close(l->log);
	http_drop(r);
	free(l);
}

/* logs_options: false = a bad value was answered. */
static bool
logs_options(struct http_req *r, struct runtime_log_spec *spec)
{
	struct str v;
	int64_t n = 0;
	spec->follow = asks(r, "follow", NULL);
	spec->timestamps = asks(r, "timestamps", NULL);
	spec->tail_lines = -1;
	v = http_query_get(r->arena, r->query, STR("tailLines"));
	if (v.n && (str_to_i64(v, &spec->tail_lines) < 0 || spec->tail_lines < 0))
		return false;
	v = http_query_get(r->arena, r->query, STR("limitBytes"));
	if (v.n && (str_to_i64(v, &spec->limit_bytes) < 0 || spec->limit_bytes < 1))
		return false;
	v = http_query_get(r->arena, r->query, STR("sinceSeconds"));
	if (v.n) {
		if (str_to_i64(v, &n) < 0 || n < 0)
			return false;
		spec->since_ns = clock_wall_ns() - n * NS_PER_SEC;
	}
	v = http_query_get(r->arena, r->query, STR("sinceTime"));
	if (v.n && rfc3339_parse(v, &spec->since_ns) < 0)
		return false;
	v = http_query_get(r->arena, r->query, STR("stream"));
	spec->only_stdout = str_eq(v, STR("Stdout"));
	spec->only_stderr = str_eq(v, STR("Stderr"));
	return true;
}

/* waiting_text: why a container has no log yet, as kubectl users know it. */
static const char *
waiting_text(const struct ctr *c)
{
	const char *reason = ctr_waiting_reason(c);
	if (!strcmp(reason, "ErrImagePull"))
		return "image can't be pulled";
	return strcmp(reason, "ImagePullBackOff") ? reason : "trying and failing to pull image";
}

void
serve_logs(struct node *n, struct http_req *r, struct pod *p, struct ctr *c)
{
	static const struct runtime_log_ops ops = {on_log, on_log_end};
	struct runtime_log_spec spec = {0};
	struct runtime_container rc;
	struct err e = {0};
	struct str text = STR_NONE;
	int status = 400;
	bool previous = asks(r, "previous", NULL), has = ctr_log_run(c, previous, &rc);
	if (!logs_options(r, &spec))
		text = STR("unable to decode query\n");
	else if (!has && previous)
		text = arena_fmt(r->arena,
			"previous terminated container \"%s\" in pod \"%s\" not found\n", c->name,
			p->name);
	else if (!has)
		text = arena_fmt(r->arena,
			"container \"%s\" in pod \"%s\" is waiting to start: %s\n", c->name,
			p->name, waiting_text(c));
	struct logs *l = str_is_set(text) ? NULL : calloc(1, sizeof(*l));
	if (l) {
		*l = (struct logs){.n = n, .r = r};
		r->arg = l;
		spec.path = rc.log_path;
		spec.container_id = rc.id;
		int err = runtime_log_open(n->rt, &spec, &ops, l, &l->log, &e);
		if (err < 0) {
			text = arena_fmt(r->arena, "%s\n", e.msg[0] ? e.msg : strerror(-err));
			status = 500;
			free(l);
		}
	}
	if (str_is_set(text) || !l) {
		r->arg = NULL;
		http_reply(r, status, STR("text/plain; charset=utf-8"),
			str_is_set(text) ? text : STR(""));
		return;
	}
	http_on_abort(r, on_log_abort);
	http_on_drain(r, on_log_drain);
	if (spec.follow)
		logs_begin(l);
}
