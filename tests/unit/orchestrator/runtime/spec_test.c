/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * spec_test: descriptions: users, capabilities, argv and env, signals; state files there and back. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "orchestrator/runtime/caps.h"
#include "orchestrator/runtime/cgroup.h"
#include "orchestrator/runtime/container_spec.c"
#include "orchestrator/runtime/state.h"
#include "orchestrator/runtime/user.h"
#include "tests/unit/test.h"

#define PASSWD                                                                                     \
	"root:x:0:0:root:/root:/bin/sh\nbad line\nweb:x:33:34::/srv:\n:x:1:1::\nnum:x:x:1::\n"
#define GROUP "root:x:0:\nweb:x:34:\nlogs:x:50:web,other\nmore:x:51:other, web\n"

TEST(users_as_images_name_them)
{
	static const struct {
		const char *user;
		int uid, gid; /* -1: error */
		size_t groups;
	} rows[] = {
		{"", 0, 0, 1},
		{"web", 33, 34, 3},
		{"33", 33, 34, 3},
		{"web:logs", 33, 50, 2},
		{"web:99", 33, 99, 3},
		{"1234", 1234, 0, 1},
		{"1234:5", 1234, 5, 1},
		{"nobody", -1, 0, 0},
		{"web:none", -1, 0, 0},
		{"-1", -1, 0, 0},
		{"99999999999", -1, 0, 0},
	};
	struct arena *a = arena_new(0);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct user_want w = {.user = str_c(rows[i].user)};
		struct user_found u = {0};
		struct err e = {0};
		int rc = user_resolve(a, STR(PASSWD), STR(GROUP), &w, &u, &e);

		CHECK_INT(rc, rows[i].uid < 0 ? -EINVAL : 0);
		if (rc)
			continue;
		CHECK_INT(u.uid, rows[i].uid);
		CHECK_INT(u.gid, rows[i].gid);
		CHECK_INT(u.n_groups, rows[i].groups);
	}
	arena_free(a);
}

TEST(capabilities_add_drop_all)
{
	struct str all = STR("ALL");
	struct str net[] = {STR("NET_ADMIN"), STR("cap_sys_time")};
	struct str chown = STR("CHOWN");
	struct str bad = STR("NO_SUCH");
	uint64_t set = 0;
	struct err e = {0};

	CHECK_INT(caps_resolve(false, NULL, 0, NULL, 0, &set, &e), 0);
	CHECK(set == (caps_default() & caps_all()));
	CHECK(caps_default() == 0xa80425fb);
	CHECK_INT(caps_resolve(false, net, 2, &all, 1, &set, &e), 0);
	CHECK(set == ((1ull << 12 | 1ull << 25) & caps_all()));
	CHECK_INT(caps_resolve(false, &all, 1, &chown, 1, &set, &e), 0);
	CHECK(set == (caps_all() & ~1ull));
	CHECK_INT(caps_resolve(true, NULL, 0, NULL, 0, &set, &e), 0);
	CHECK(set == caps_all());
	CHECK_INT(caps_resolve(false, &bad, 1, NULL, 0, &set, &e), -EINVAL);
	CHECK_STR(e.msg, "unknown capability \"NO_SUCH\"");
}

TEST(signals_by_name)
{
	CHECK_INT(container_signal(STR("SIGTERM")), 15);
	CHECK_INT(container_signal(STR("quit")), 3);
	CHECK_INT(container_signal(STR("9")), 9);
	CHECK_INT(container_signal(STR("SIGRTMIN+3")), 37);
	CHECK_INT(container_signal(STR("RTMAX-1")), 63);
	CHECK_INT(container_signal(STR("SIGFOO")), -EINVAL);
	CHECK_INT(container_signal(STR("0")), -EINVAL);
	CHECK_INT(container_signal(STR("65")), -EINVAL);
}

TEST(weights_from_shares)
{
	CHECK_INT(cgroup_weight(2), 1);
	CHECK_INT(cgroup_weight(1024), 39);
	CHECK_INT(cgroup_weight(262144), 10000);
	CHECK_INT(cgroup_weight(0), 1);
	CHECK_INT(cgroup_keyed(STR("a 1\noom_kill 7\noom 3\n"), "oom"), 3);
	CHECK_INT(cgroup_keyed(STR("a 1\noom_kill 7"), "oom_kill"), 7);
}

TEST(argv_and_env_of_spec_and_image)
{
	struct str entry[] = {STR("/entry"), STR("-e")};
	struct str cmd[] = {STR("cmd")};
	struct str img_env[] = {STR("A=image"), STR("PATH=/p")};
	struct str env[] = {STR("B=spec"), STR("A=spec"), STR("bad")};
	struct str args[] = {STR("arg")};
	struct image_config img = {.entrypoint = entry,
		.n_entrypoint = 2,
		.cmd = cmd,
		.n_cmd = 1,
		.env = img_env,
		.n_env = 2,
		.stop_signal = STR("SIGQUIT"),
		.workdir = STR("/w")};
	struct arena *a = arena_new(0);
	struct container_rec r = {.spec = {.env = env, .n_env = 3}};
	struct err e = {0};

	CHECK_INT(container_spec_resolve(a, &r, &img, STR("h"), &e), 0);
	CHECK_INT(r.n_argv, 3);
	CHECK_STR(r.argv[2], "cmd");
	CHECK_INT(r.n_env, 4);
	CHECK_STR(r.env[0], "PATH=/p");
	CHECK_STR(r.env[1], "HOSTNAME=h");
	CHECK_STR(r.env[2], "A=spec");
	CHECK_INT(r.stop_signal, SIGQUIT);
	CHECK_STR(r.cwd, "/w");
	r.spec.args = args;
	r.spec.n_args = 1;
	CHECK_INT(container_spec_resolve(a, &r, &img, STR(""), &e), 0);
	CHECK_STR(r.argv[2], "arg");
	r.spec.command = args;
	r.spec.n_command = 1;
	r.spec.n_args = 0;
	CHECK_INT(container_spec_resolve(a, &r, &img, STR(""), &e), 0);
	CHECK_INT(r.n_argv, 1);
	r.spec.n_command = 0;
	img.n_entrypoint = img.n_cmd = 0;
	CHECK_INT(container_spec_resolve(a, &r, &img, STR(""), &e), -EINVAL);
	CHECK_STR(e.msg, "no command specified");
	arena_free(a);
}

TEST(state_files_there_and_back_and_torn)
{
	struct str strs[] = {STR("x"), STR(""), STR("K=V")};
	struct runtime_mount mounts[] = {{.source = STR("/s"),
						 .target = STR("/t"),
						 .read_only = true,
						 .propagation = RUNTIME_PROPAGATION_BIDIRECTIONAL},
		{.image = STR("i"), .target = STR("/u")}};
	uint32_t groups[] = {0, 5, 4000000000u};
	struct container_rec r = {.id = STR("id"),
		.phase = PHASE_RUNNING,
		.pid = 42,
		.exit_code = -1,
		.created_ns = -7,
		.argv = strs,
		.n_argv = 3,
		.groups = groups,
		.n_groups = 3,
		.spec = {.mounts = mounts,
			.n_mounts = 2,
			.oom_score_adj = -997,
			.data = STR("d\0d"),
			.limits = {.memory_bytes = 1ll << 40}}};
	struct container_rec out = {0};
	struct arena *a = arena_new(0);
	int dir = open(TEST_TMP, O_RDONLY | O_DIRECTORY);
	char path[200];
	struct stat st = {0};

	CHECK_INT(state_write(dir, STATE_CONTAINER, STR("id"), &state_container_table, &r), 0);
	CHECK_INT(state_read(dir, "c-id", &state_container_table, a, &out), 0);
	CHECK_STR(out.id, "id");
	CHECK_INT(out.phase, PHASE_RUNNING);
	CHECK_INT(out.exit_code, -1);
	CHECK_INT(out.created_ns, -7);
	CHECK_INT(out.n_argv, 3);
	CHECK_STR(out.argv[2], "K=V");
	CHECK_INT(out.n_groups, 3);
	CHECK(out.groups[2] == 4000000000u);
	CHECK_INT(out.spec.n_mounts, 2);
	CHECK_STR(out.spec.mounts[1].image, "i");
	CHECK_INT(out.spec.mounts[0].propagation, RUNTIME_PROPAGATION_BIDIRECTIONAL);
	CHECK_INT(out.spec.oom_score_adj, -997);
	CHECK_INT(out.spec.data.n, 3);
	CHECK_INT(out.spec.limits.memory_bytes, 1ll << 40);
	snprintf(path, sizeof(path), "%s/c-id", TEST_TMP);
	CHECK_INT(stat(path, &st), 0);
	for (off_t n = st.st_size - 1; n >= 0; n -= 3) {
		CHECK_INT(truncate(path, n), 0);
		CHECK_INT(state_read(dir, "c-id", &state_container_table, a, &out), -EBADMSG);
	}
	CHECK_INT(state_remove(dir, STATE_CONTAINER, STR("id")), 0);
	CHECK_INT(state_read(dir, "c-id", &state_container_table, a, &out), -ENOENT);
	close(dir);
	arena_free(a);
}
