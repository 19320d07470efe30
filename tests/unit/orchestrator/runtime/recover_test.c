/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The death of the role that keeps containers: for real, as root on this machine's kernel. */
#include "tests/unit/orchestrator/runtime/scene.h"

struct kept_ids {
	char sb[RUNTIME_ID_LEN + 1], ct[RUNTIME_ID_LEN + 1], tty[RUNTIME_ID_LEN + 1], log[192],
		log2[192];
};

static struct kept_ids *ids; /* shared with the roles */

static void
before(void)
{
	struct str argv[3];
	struct runtime_container_spec s = {0};

	up();
	s = shell_spec(
		"i=0; while [ $i -lt 60000 ]; do echo line $i; i=$((i+1)); done; sleep 1; exit 4",
		argv);
	s.data = STR("kept");
	s.log_max_bytes = 1 << 30;
	create(&s);
	start();
	memcpy(ids->sb, SB, sizeof(SB));
	memcpy(ids->ct, CT, sizeof(CT));
	memcpy(ids->log, LOG, sizeof(LOG));
	s = shell_spec("read x; echo got $x", argv);
	s.tty = s.open_stdin = true;
	create(&s);
	start();
	memcpy(ids->tty, CT, sizeof(CT));
	memcpy(ids->log2, LOG, sizeof(LOG));
	init_ready(runtime_init(RT));
	for (;;)
		loop_turn(L, NS_PER_SEC);
}

/* Killed again and again while the container writes. */
static void
between(void)
{
	host_runtime();
	for (int i = 0; i < 20; i++)
		loop_turn(L, 2 * NS_PER_MS);
	init_ready(runtime_init(RT));
	for (;;)
		loop_turn(L, NS_PER_SEC);
}

static void
after(void)
{
	struct runtime_container c = {0};
	struct runtime_sandbox sb = {0};
	struct runtime_attach *x = NULL;
	struct session a = {0};
	struct runtime_attach_spec spec = {.use_stdin = true, .use_stdout = true};
	struct err e = {0};
	struct str log = STR_NONE;
	struct str text = STR_NONE;
	int64_t n = 0;

	host_runtime();
	CHECK_INT(runtime_sandbox_get(RT, str_c(ids->sb), &sb), 0);
	CHECK_INT(sb.state, RUNTIME_SANDBOX_READY);
	CHECK(runtime_sandbox_netns(RT, str_c(ids->sb)) >= 0);
	memcpy(SB, ids->sb, sizeof(SB));
	memcpy(CT, ids->ct, sizeof(CT));
	memcpy(LOG, ids->log, sizeof(LOG));
	CHECK_INT(runtime_container_get(RT, str_c(CT), &c), 0);
	CHECK_STR(c.data, "kept");
	AWAIT(view().state == RUNTIME_CONTAINER_EXITED);
	CHECK_INT(view().exit_code, 4);
	log = log_all();
	/* Every line once, in order. */
	while (log.n && str_next(&log, '\n', &text)) {
		char want[32];

		if (text.n == 0 && log.n == 0)
			break;
		snprintf(want, sizeof(want), "line %lld", (long long)n++);
		CHECK_STR(text, want);
	}
	CHECK_INT(n, 60000);
	memcpy(CT, ids->tty, sizeof(CT));
	memcpy(LOG, ids->log2, sizeof(LOG));
	spec.container_id = str_c(CT);
	CHECK_INT(runtime_attach_start(RT, &spec, &session_ops, &a, &x, &e), 0);
	CHECK_INT(runtime_attach_write(x, STR("again\n")), 6);
	AWAIT(a.ended);
	CHECK(str_find(log_all(), STR("got again")) >= 0);
	session_clear(&a);
	down();
}

TEST(killed_role_loses_no_line_and_no_container)
{
	HOST_NEEDED();
	ids = mmap(NULL, sizeof(*ids), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(host_run(before, true));
	for (int i = 0; i < 8; i++)
		CHECK(host_run(between, true));
	CHECK(host_run(after, false));
}

static void
exits_while_away(void)
{
	struct str argv[3];
	struct runtime_container_spec s = {0};

	up();
	s = shell_spec("sleep 0.2; echo late; exit 9", argv);
	create(&s);
	start();
	memcpy(ids->sb, SB, sizeof(SB));
	memcpy(ids->ct, CT, sizeof(CT));
	memcpy(ids->log, LOG, sizeof(LOG));
	init_ready(runtime_init(RT));
	for (;;)
		loop_turn(L, NS_PER_SEC);
}

static void
exits_found(void)
{
	host_runtime();
	memcpy(SB, ids->sb, sizeof(SB));
	memcpy(CT, ids->ct, sizeof(CT));
	memcpy(LOG, ids->log, sizeof(LOG));
	AWAIT(view().state == RUNTIME_CONTAINER_EXITED);
	CHECK_INT(view().exit_code, 9);
	CHECK_STR(log_all(), "late\n");
	CHECK_STR(host_exited, CT);
	down();
}

static void
nothing(void)
{
	struct timespec t = {0, 400 * NS_PER_MS};

	poll(NULL, 0, (int)(t.tv_nsec / NS_PER_MS));
}

TEST(exit_while_the_role_was_dead_is_known)
{
	HOST_NEEDED();
	if (!ids)
		ids = mmap(NULL, sizeof(*ids), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	CHECK(host_run(exits_while_away, true));
	CHECK(host_run(nothing, false));
	CHECK(host_run(exits_found, false));
}
