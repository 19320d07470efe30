/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * logs: GET /containerLogs: a reader of the runtime on one side, a chunked reply on the other.
 * Invariant: the reader stands still while the reply's queue is full, and ends with the request. */
#include "orchestrator/streaming/streaming_int.h"

struct logs {
	struct http_req *r;
	struct runtime_log *log;
};

static bool
on_data(void *arg, struct str bytes)
{
	struct logs *l = arg;
	return http_write(l->r, bytes) <= HTTP_QUEUE_HIGH;
}

static void
on_end(void *arg, const struct err *e)
{
	struct logs *l = arg;
	l->log = NULL;
	if (e && e->code)
		http_drop(l->r); /* cut short: the client must see that */
	else
		http_end(l->r);
}

static void
on_drain(struct http_req *r)
{
	struct logs *l = r->arg;
	if (l->log)
		runtime_log_resume(l->log);
}

static void
on_abort(struct http_req *r)
{
	struct logs *l = r->arg;
	if (l->log)
		runtime_log_close(TAKE_PTR(l->log));
	http_drop(r);
}

void
logs_serve(struct streaming *s, struct http_req *r, const struct query_target *t)
{
	static const struct runtime_log_ops ops = {on_data, on_end};
	struct logs_query q;
	struct streaming_target target = {0};
	struct err e = {0};
	int rc = query_logs(r->arena, r->query, clock_wall_ns(), &q);
	if (rc < 0) {
		reply_text(r, rc == -ERANGE ? 422 : 400,
			rc == -ERANGE ? STR("{\"message\": \"Invalid request.\"}")
				      : STR("{\"message\": \"Unable to decode query.\"}"));
		return;
	}
	rc = s->cfg.lookup(s->cfg.arg, q.previous ? STREAMING_LOGS_PREVIOUS : STREAMING_LOGS, t->ns,
		t->pod, t->uid, t->container, &target, &e);
	struct logs *l = ARENA_NEW(r->arena, struct logs);
	if (rc == 0 && !l)
		rc = err_set(&e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	if (rc == 0) {
		struct runtime_log_spec spec = {.path = target.log_path,
			.container_id = str_c(target.container_id),
			.tail_lines = q.tail_lines,
			.since_ns = q.since_ns,
			.limit_bytes = q.limit_bytes,
			.follow = q.follow,
			.timestamps = q.timestamps,
			.only_stdout = q.only_stdout,
			.only_stderr = q.only_stderr};
		l->r = r;
		r->arg = l;
		rc = runtime_log_open(s->cfg.rt, &spec, &ops, l, &l->log, &e);
	}
	if (rc < 0) {
		reply_err(r, &e);
		return;
	}
	http_on_abort(r, on_abort);
	http_on_drain(r, on_drain);
	http_begin(r, 200, STR("text/plain"), -1);
}
