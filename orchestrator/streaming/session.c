/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * session: the middle of exec and attach; see session.h.
 * Invariants: at most STREAMING_INPUT_HIGH and one message wait for a program; a full queue to the client
 * stops the program's output. Source: kubelet exec and attach; remotecommand v1..v5. */
#include "orchestrator/streaming/session.h"

#include <stdlib.h>

static void
session_free(void *p)
{
	struct session *x = p;
	buf_release(&x->in);
	arena_free(x->a);
	free(x);
}

void
session_end(struct session *x)
{
	if (x->over)
		return;
	x->over = true;
	loop_timer_cancel(&x->timer);
	upgraded_del(&x->up);
	if (x->exec)
		runtime_exec_close(TAKE_PTR(x->exec), false); /* it runs to its own end */
	if (x->att)
		runtime_attach_close(TAKE_PTR(x->att));
	if (x->ops)
		x->ops->close(x);
	loop_free_later(x->s->cfg.loop, session_free, x);
}

static void
stop(struct upgraded *u)
{
	session_end(CONTAINER_OF(u, struct session, up));
}

static void
on_timer(struct loop_timer *t)
{
	session_end(t->arg);
}

/* ---- status ---- */

void
session_status(struct buf *b, enum k8s_protocol p, int code, const struct err *e)
{
	bool json = p == K8S_V5 || p == K8S_V4, failed = e && e->code;
	if (!json) {
		if (failed)
			buf_cstr(b, e->msg);
		else if (code)
			buf_fmt(b, "command terminated with non-zero exit code: exit status %d", code);
		return;
	}
	if (failed) {
		enum reason reason = e->reason == R_UNKNOWN ? R_INTERNAL_ERROR : e->reason;
		buf_cstr(b, "{\"metadata\":{},\"status\":\"Failure\",\"message\":");
		doc_json_string(b, str_c(e->msg));
		buf_fmt(b, ",\"reason\":\"%s\",\"code\":%d}", reason_name(reason),
			reason_http(reason));
	} else if (code) {
		buf_fmt(b,
			"{\"metadata\":{},\"status\":\"Failure\",\"message\":\"command terminated with "
			"non-zero exit code: exit status %d\",\"reason\":\"NonZeroExitCode\","
			"\"details\":{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"%d\"}]}}",
			code, code);
	} else {
		buf_cstr(b, "{\"metadata\":{},\"status\":\"Success\"}");
	}
}

/* ---- towards the client ---- */

static bool
on_output(void *arg, enum runtime_stream stream, struct str bytes)
{
	struct session *x = arg;
	return x->ops->output(x, stream, bytes) <= HTTP_QUEUE_HIGH;
}

void
session_drained(struct session *x)
{
	if (x->exec)
		runtime_exec_resume(x->exec);
	if (x->att)
		runtime_attach_resume(x->att);
}

static void
on_end(void *arg, int code, const struct err *e)
{
	struct session *x = arg;
	x->exec = NULL;
	x->att = NULL;
	x->ended = true;
	if (x->paused)
		x->ops->pause(x, false); /* so that the client's leaving is seen */
	x->paused = false;
	loop_timer_after(x->s->cfg.loop, &x->timer, STREAMING_LEAVE_NS);
	/* An attached client is not told how the container ended: that is the pod's status. */
	x->ops->finish(x, x->attach ? 0 : code, e);
}

/* ---- towards the program ---- */

static void
input_flush(struct session *x)
{
	while (x->in.len && (x->exec || x->att)) {
		ssize_t n = x->exec ? runtime_exec_write(x->exec, buf_view(&x->in))
				    : runtime_attach_write(x->att, buf_view(&x->in));
		if (n == 0)
			break;
		buf_consume(&x->in, n < 0 ? x->in.len : (size_t)n);
	}
	bool full = x->in.len > STREAMING_INPUT_HIGH;
	if (full != x->paused) {
		x->paused = full;
		x->ops->pause(x, full);
	}
	if (!x->in_eof || x->in.len || x->in_closed || (!x->exec && !x->att))
		return;
	x->in_closed = true;
	if (x->exec)
		runtime_exec_close_stdin(x->exec);
	else
		runtime_attach_close_stdin(x->att);
}

static void
on_writable(void *arg)
{
	input_flush(arg);
}

void
session_input(struct session *x, struct str bytes, bool eof)
{
	if (!x->q.use_stdin || x->ended || x->in_eof)
		return;
	buf_str(&x->in, bytes);
	x->in_eof = eof;
	if (x->in.failed) { /* input with a hole is worse than none */
		session_end(x);
		return;
	}
	input_flush(x);
}

void
session_resize(struct session *x, struct str json)
{
	uint16_t cols = 0, rows = 0;
	if (k8s_resize_parse(json, &cols, &rows) < 0)
		return;
	if (x->exec)
		runtime_exec_resize(x->exec, cols, rows);
	if (x->att)
		runtime_attach_resize(x->att, cols, rows);
}

/* ---- start ---- */

static int
program_start(struct session *x, struct err *e)
{
	static const struct runtime_exec_ops ops = {on_output, on_end, on_writable};
	if (x->attach) {
		struct runtime_attach_spec spec = {.container_id = str_c(x->id),
			.use_stdin = x->q.use_stdin,
			.use_stdout = x->q.use_stdout,
			.use_stderr = x->q.use_stderr};
		return runtime_attach_start(x->s->cfg.rt, &spec, &ops, x, &x->att, e);
	}
	struct runtime_exec_spec spec = {.container_id = str_c(x->id),
		.argv = x->q.argv,
		.n_argv = x->q.n_argv,
		.tty = x->q.tty,
		.use_stdin = x->q.use_stdin,
		.use_stdout = x->q.use_stdout,
		.use_stderr = x->q.use_stderr};
	return runtime_exec_start(x->s->cfg.rt, &spec, &ops, x, &x->exec, e);
}

void
session_start(struct session *x)
{
	struct err e = {0};
	if (x->started)
		return;
	x->started = true;
	loop_timer_cancel(&x->timer);
	if (program_start(x, &e) < 0)
		on_end(x, 0, &e);
	else
		input_flush(x);
}

/* target_find: the container, or -errno with the request answered. */
static int
target_find(struct streaming *s, struct http_req *r, const struct query_target *t, bool attach,
	struct streaming_target *ret)
{
	struct err e = {0};
	int rc = s->cfg.lookup(s->cfg.arg, attach ? STREAMING_ATTACH : STREAMING_EXEC, t->ns, t->pod,
		t->uid, t->container, ret, &e);
	if (rc < 0)
		reply_err(r, &e);
	return rc;
}

void
session_serve(struct streaming *s, struct http_req *r, const struct query_target *t, bool attach)
{
	struct streaming_target target = {0};
	struct session *x = calloc(1, sizeof(*x));
	struct arena *a = arena_new(STREAMING_MESSAGE_MAX);
	struct exec_query q;
	int rc = x && a ? query_exec(a, r->query, &q) : -ENOMEM;
	if (rc == -EINVAL)
		reply_text(r, 400, STR("you must specify at least 1 of stdin, stdout, stderr\n"));
	else if (rc < 0)
		reply_text(r, 413, STR("no memory\n"));
	else if (!attach && q.n_argv == 0)
		rc = (reply_text(r, 400, STR("you must specify a command\n")), -EINVAL);
	else
		rc = target_find(s, r, t, attach, &target);
	if (rc < 0) {
		arena_free(a);
		free(x);
		return;
	}
	/* The query's strings may be slices of the request, which ends before the program starts. */
	struct str *argv = ARENA_ARRAY(a, struct str, q.n_argv);
	for (size_t i = 0; argv && i < q.n_argv; i++)
		argv[i] = arena_str(a, q.argv[i]);
	q.argv = argv;
	*x = (struct session){.s = s, .a = a, .q = q, .attach = attach};
	x->timer = (struct loop_timer){.fn = on_timer, .arg = x};
	memcpy(x->id, target.container_id, sizeof(x->id));
	upgraded_add(s, &x->up, stop);
	if (arena_failed(a))
		reply_text(r, 413, STR("no memory\n"));
	if (arena_failed(a) ||
		(ws_is_upgrade(r) ? session_ws_open(x, r) : session_spdy_open(x, r)) < 0)
		session_end(x);
}
