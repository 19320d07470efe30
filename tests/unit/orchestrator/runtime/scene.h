/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * scene.h: a pod with one container at hand, whose script and log the tests of the runtime look at. */
#ifndef TEST_RUNTIME_SCENE_H
#define TEST_RUNTIME_SCENE_H

#include "orchestrator/runtime/cgroup.h"
#include "tests/unit/orchestrator/runtime/host.h"

static char SB[RUNTIME_ID_LEN + 1], CT[RUNTIME_ID_LEN + 1];
static const char *pod_uid = "test-pod";

static inline void
sandbox_up(const struct runtime_sandbox_spec *extra)
{
	struct runtime_sandbox_spec s = extra ? *extra : (struct runtime_sandbox_spec){0};
	struct result r = {0};
	struct err e = {0};

	s.pod_uid = str_c(pod_uid);
	s.pod_name = STR("web-1");
	s.pod_namespace = STR("default");
	s.qos = RUNTIME_QOS_BURSTABLE;
	if (!s.hostname.n)
		s.hostname = STR("web-1");
	if (runtime_sandbox_create(RT, &s, SB, on_result, &r, &e))
		TEST_FAIL_("sandbox: %s", e.msg);
	OK(r);
}

static char LOG[192];

static inline const char *
log_path(void)
{
	static unsigned n;

	snprintf(LOG, sizeof(LOG), "%s/logs/%d/%u.log", TEST_TMP, (int)getpid(), n++);
	return LOG;
}

/* Creates and starts `sh -c script`; the spec may be filled before. */
static inline struct runtime_container_spec
shell_spec(const char *script, struct str argv[3])
{
	argv[0] = STR("/bin/sh");
	argv[1] = STR("-c");
	argv[2] = str_c(script);
	return (struct runtime_container_spec){.sandbox_id = str_c(SB),
		.name = STR("main"),
		.image = STR("busybox:test"),
		.command = argv,
		.n_command = 3,
		.no_new_privs = false,
		.log_path = str_c(log_path())};
}

static inline void
create(const struct runtime_container_spec *s)
{
	struct result r = {0};
	struct err e = {0};

	if (runtime_container_create(RT, s, CT, on_result, &r, &e))
		TEST_FAIL_("create: %s", e.msg);
	OK(r);
}

static inline void
start(void)
{
	struct result r = {0};

	CHECK_INT(runtime_container_start(RT, str_c(CT), on_result, &r), 0);
	OK(r);
}

static inline struct runtime_container
view(void)
{
	struct runtime_container c = {0};

	CHECK_INT(runtime_container_get(RT, str_c(CT), &c), 0);
	return c;
}

static struct buf LOGTEXT;
static bool log_done;

static inline bool
on_log(void *arg, struct str bytes)
{
	(void)arg;
	buf_str(&LOGTEXT, bytes);
	return true;
}

static inline void
on_log_end(void *arg, const struct err *e)
{
	(void)arg;
	(void)e;
	log_done = true;
}

static const struct runtime_log_ops log_ops __attribute__((unused)) = {on_log, on_log_end};

static inline struct str
log_read(struct runtime_log_spec spec)
{
	struct runtime_log *r = NULL;
	struct err e = {0};

	buf_clear(&LOGTEXT);
	log_done = false;
	spec.path = str_c(LOG);
	if (runtime_log_open(RT, &spec, &log_ops, NULL, &r, &e))
		TEST_FAIL_("log: %s", e.msg);
	AWAIT(log_done);
	return buf_view(&LOGTEXT);
}

static inline struct str
log_all(void)
{
	return log_read((struct runtime_log_spec){.tail_lines = -1});
}

static inline void
run(const struct runtime_container_spec *s)
{
	create(s);
	start();
	AWAIT(view().state == RUNTIME_CONTAINER_EXITED);
}

static inline struct str
run_script(const char *script)
{
	struct str argv[3];
	struct runtime_container_spec s = shell_spec(script, argv);

	run(&s);
	return log_all();
}

static inline void
sandbox_down(void)
{
	struct result r = {0};

	CHECK_INT(runtime_sandbox_remove(RT, str_c(SB), on_result, &r), 0);
	OK(r);
}

static inline void
up(void)
{
	host_runtime();
	host_image();
	sandbox_up(NULL);
}

static inline void
down(void)
{
	sandbox_down();
	runtime_free(RT);
}

/* ---- sessions: exec, attach ---- */

struct session {
	struct buf out, err;
	bool ended;
	int code;
	struct err e;
	size_t pause_at; /* takes no more when it has as many bytes; 0: takes all */
};

static inline bool
on_output(void *arg, enum runtime_stream s, struct str bytes)
{
	struct session *x = arg;

	buf_str(s == RUNTIME_STDOUT ? &x->out : &x->err, bytes);
	return !x->pause_at || x->out.len < x->pause_at;
}

static inline void
on_end(void *arg, int code, const struct err *e)
{
	struct session *x = arg;

	x->ended = true;
	x->code = code;
	if (e)
		x->e = *e;
}

static const struct runtime_exec_ops session_ops
	__attribute__((unused)) = {on_output, on_end, NULL};

static inline void
session_clear(struct session *x)
{
	buf_release(&x->out);
	buf_release(&x->err);
	*x = (struct session){0};
}

#endif
