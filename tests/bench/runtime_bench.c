/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * runtime_bench: how long a container takes from its description to its end, on this machine's kernel and as root:
 * `true` of an image of one layer, with five namespaces of its own (net, ipc, uts of the sandbox; mnt, pid), no
 * network, the runtime's seccomp profile and a log, as the kubelet asks for it. What comes after the end (removal) does
 * not count. The least of all is what the code costs on a machine that is busy. */
#include "tests/bench/figures.h"
#include "tests/unit/orchestrator/runtime/host.h"

#define ROUNDS 100
#define WARM 5

struct round {
	char sandbox[RUNTIME_ID_LEN + 1], container[RUNTIME_ID_LEN + 1];
	int64_t began_ns, sandbox_ns, created_ns, exec_ns, exited_ns;
};

static void
round_run(struct round *r, unsigned i)
{
	static struct str argv[] = {STR_INIT("/bin/true")};
	char uid[32], log[200];
	struct result a = {0}, b = {0}, c = {0};
	struct err e = {0};

	snprintf(uid, sizeof(uid), "bench-%u", i);
	snprintf(log, sizeof(log), "%s/logs/%s/0.log", TEST_TMP, uid);
	struct runtime_sandbox_spec s = {.pod_uid = str_c(uid),
		.pod_name = STR("bench"),
		.pod_namespace = STR("default"),
		.hostname = STR("bench"),
		.qos = RUNTIME_QOS_BEST_EFFORT};
	r->began_ns = clock_mono_ns();
	CHECK_INT(runtime_sandbox_create(RT, &s, r->sandbox, on_result, &a, &e), 0);
	OK(a);
	r->sandbox_ns = clock_mono_ns();
	struct runtime_container_spec spec = {.sandbox_id = str_c(r->sandbox),
		.name = STR("main"),
		.image = STR("busybox:test"),
		.command = argv,
		.n_command = 1,
		.log_path = str_c(log)};
	CHECK_INT(runtime_container_create(RT, &spec, r->container, on_result, &b, &e), 0);
	OK(b);
	r->created_ns = clock_mono_ns();
	CHECK_INT(runtime_container_start(RT, str_c(r->container), on_result, &c), 0);
	OK(c);
	r->exec_ns = clock_mono_ns();
	AWAIT(strcmp(host_exited, r->container) == 0);
	r->exited_ns = clock_mono_ns();
}

static void
round_clean(const struct round *r)
{
	struct runtime_container c = {0};
	struct result done = {0};

	CHECK_INT(runtime_container_get(RT, str_c(r->container), &c), 0);
	CHECK_INT(c.exit_code, 0);
	CHECK_INT(runtime_sandbox_remove(RT, str_c(r->sandbox), on_result, &done), 0);
	OK(done);
}

#define WHAT "container: create to exit of `true`"

static void
row_of(const char *what, const struct samples *s, size_t percent, const char *target)
{
	figure(what, percentile_us(s, percent) / 1e3, "ms", "<=", "-", target, true);
}

static void
rounds(void)
{
	struct samples all = {0}, sandbox = {0}, create = {0}, start = {0}, exit = {0};

	host_runtime();
	host_image();
	for (unsigned i = 0; i < ROUNDS + WARM; i++) {
		struct round r = {0};
		round_run(&r, i);
		round_clean(&r);
		if (i < WARM)
			continue;
		sample_add(&all, r.exited_ns - r.began_ns);
		sample_add(&sandbox, r.sandbox_ns - r.began_ns);
		sample_add(&create, r.created_ns - r.sandbox_ns);
		sample_add(&start, r.exec_ns - r.created_ns);
		sample_add(&exit, r.exited_ns - r.exec_ns);
	}
	struct samples *sorted[] = {&all, &sandbox, &create, &start, &exit};
	for (size_t i = 0; i < ARRAY_LEN(sorted); i++)
		qsort(sorted[i]->ns, sorted[i]->n, sizeof(int64_t), by_value);
	row_of(WHAT ", p50", &all, 50, "3");
	row_of(WHAT ", p99", &all, 99, "-");
	row_of(WHAT ", least", &all, 0, "-");
	row_of("of it: sandbox, p50", &sandbox, 50, "-");
	row_of("of it: create, p50", &create, 50, "-");
	row_of("of it: start until exec, p50", &start, 50, "-");
	row_of("of it: exec until the log is complete, p50", &exit, 50, "-");
	for (size_t i = 0; i < ARRAY_LEN(sorted); i++)
		free(sorted[i]->ns);
	runtime_free(RT);
}

TEST(create_to_exit)
{
	const char *why = host_why_not();

	if (why)
		figure_missing(WHAT ", p50", "ms", "<=", "-", "3", why);
	else
		HOST_RUN(rounds);
}
