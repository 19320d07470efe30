/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * What was measured, as a count of replicas. */
#include "orchestrator/control/hpa_replicas.c"

#include "tests/unit/test.h"

#define NOW (1700000000 * NS_PER_SEC)

static struct str_pair cpu = {STR_INIT("cpu"), STR_INIT("1")};
static struct core_v1_container container = {
	.name = STR_INIT("c"), .resources = {.requests = &cpu, .n_requests = 1}};
static struct core_v1_pod_condition conditions[8];
static struct core_v1_pod pods[8];
static const struct core_v1_pod *selected[8];
static char names[8][24];

/* ask: n pods that run and are ready since long, of which the first m have these values. */
static struct hpa_ask
ask(struct arena *a, size_t n, const int64_t *milli, size_t m)
{
	struct hpa_ask q = {.a = a,
		.pods = {selected, n},
		.resource = STR("cpu"),
		.container = STR(""),
		.current = (int32_t)n,
		.told = (int32_t)n,
		.tolerance = {0.1, 0.1},
		.now_ns = NOW};
	for (size_t i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "p%zu", i);
		conditions[i] = (struct core_v1_pod_condition){.type = STR("Ready"),
			.status = STR("True"),
			.last_transition_time = NOW - 3600 * NS_PER_SEC};
		pods[i] = (struct core_v1_pod){.metadata = {.name = str_c(names[i])},
			.spec = {.containers = &container, .n_containers = 1},
			.status = {.phase = STR("Running"),
				.start_time = NOW - 3601 * NS_PER_SEC,
				.conditions = &conditions[i],
				.n_conditions = 1}};
		selected[i] = &pods[i];
	}
	for (size_t i = 0; i < m; i++) {
		sample_add(a, &q.samples, str_c(names[i]), milli[i]);
		q.samples.v[i].at_ns = NOW;
		q.samples.v[i].window_ns = 30 * NS_PER_SEC;
	}
	return q;
}

TEST(a_share_above_its_target_wants_more)
{
	static const struct {
		int64_t milli[4];
		int32_t target, replicas, percent;
	} rows[] = {
		{{300, 500, 700, 500}, 30, 7, 50}, /* 4 * 50 / 30, rounded up */
		{{300, 500, 700, 500}, 100, 2, 50},
		{{300, 500, 700, 500}, 52, 4, 50}, /* too little to do anything about */
		{{300, 500, 700, 500}, 45, 5, 50},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *a = arena_new(0);
		struct hpa_ask q = ask(a, 4, rows[i].milli, 4);
		struct hpa_proposal p;
		struct str why = STR_NONE;
		CHECK_INT(hpa_by_share(&q, rows[i].target, &p, &why), 0);
		CHECK_INT(p.replicas, rows[i].replicas);
		CHECK_INT(p.percent, rows[i].percent);
		CHECK_INT(p.milli, 500);
		arena_free(a);
	}
}

TEST(sums_of_huge_values_do_not_wrap_around)
{
	static const int64_t huge[] = {25000, INT64_MAX};
	struct arena *a = arena_new(0);
	struct hpa_ask q = ask(a, 2, huge, 2);
	struct hpa_proposal p;
	struct str why = STR_NONE;
	CHECK_INT(hpa_by_average(&q, 10, &p, &why), 0);
	CHECK_INT(p.replicas, INT32_MAX);
	CHECK_INT(p.milli, INT64_MAX / 2);
	CHECK_INT(hpa_by_share(&q, 50, &p, &why), 0);
	CHECK_INT(p.replicas, 42949673 * 2); /* 2 * INT32_MAX / 50, rounded up */
	CHECK_INT(p.percent, INT32_MAX);
	arena_free(a);
}

TEST(pods_of_which_nothing_is_known_make_a_change_smaller)
{
	static const int64_t high[] = {1000, 1000}, low[] = {100, 100};
	struct arena *a = arena_new(0);
	struct hpa_proposal p;
	struct str why = STR_NONE;
	struct hpa_ask q = ask(a, 4, high, 2); /* two lack: as if they used nothing */
	CHECK_INT(hpa_by_share(&q, 25, &p, &why), 0);
	CHECK_INT(p.replicas, 8);
	q = ask(a, 4, high, 2);
	CHECK_INT(hpa_by_share(&q, 50, &p, &why), 0);
	CHECK_INT(p.replicas, 4);
	q = ask(a, 4, low, 2); /* ... or, on the way down, all that they asked for */
	CHECK_INT(hpa_by_share(&q, 60, &p, &why), 0);
	CHECK_INT(p.replicas, 4);
	q = ask(a, 4, low, 2);
	CHECK_INT(hpa_by_average(&q, 1000, &p, &why), 0);
	CHECK_INT(p.replicas, 3);
	arena_free(a);
}

TEST(pods_that_are_not_ready_do_not_count_as_load)
{
	static const int64_t milli[] = {900, 900, 900};
	struct arena *a = arena_new(0);
	struct hpa_proposal p;
	struct str why = STR_NONE;
	struct hpa_ask q = ask(a, 3, milli, 3);
	pods[2].status.phase = STR("Pending");
	CHECK_INT(hpa_by_share(&q, 30, &p, &why), 0);
	CHECK_INT(p.replicas, 6); /* 2 * 90 over three, not 9 */
	q = ask(a, 3, milli, 3);
	pods[2].metadata.deletion_timestamp = NOW; /* nor does one that goes */
	CHECK_INT(hpa_by_share(&q, 30, &p, &why), 0);
	CHECK_INT(p.replicas, 6);
	q = ask(a, 3, milli, 3);
	pods[2].status.start_time = NOW - 10 * NS_PER_SEC; /* measured before it was ready */
	conditions[2].last_transition_time = NOW - 5 * NS_PER_SEC;
	CHECK_INT(hpa_by_share(&q, 30, &p, &why), 0);
	CHECK_INT(p.replicas, 6);
	q = ask(a, 3, milli, 3);
	conditions[2].status = STR("False"); /* was ready once: its load counts */
	conditions[2].last_transition_time = NOW - 100 * NS_PER_SEC;
	CHECK_INT(hpa_by_share(&q, 30, &p, &why), 0);
	CHECK_INT(p.replicas, 9);
	arena_free(a);
}

TEST(what_is_missing_is_said)
{
	static const int64_t milli[] = {900, 900};
	struct arena *a = arena_new(0);
	struct hpa_proposal p;
	struct str why = STR_NONE;
	struct hpa_ask q = ask(a, 2, milli, 2);
	q.resource = STR("memory");
	CHECK_INT(hpa_by_share(&q, 30, &p, &why), -EINVAL);
	CHECK_STR(why, "missing request for memory in container c of Pod p0");
	q = ask(a, 2, milli, 2);
	q.container = STR("x");
	CHECK_INT(hpa_by_share(&q, 30, &p, &why), -EINVAL);
	CHECK_STR(why, "container x not found in Pod p0");
	q = ask(a, 0, milli, 0);
	CHECK_INT(hpa_by_average(&q, 30, &p, &why), -EINVAL);
	CHECK_STR(why, "no pods returned by selector while calculating replica count");
	q = ask(a, 2, milli, 2);
	pods[0].status.phase = pods[1].status.phase = STR("Pending");
	CHECK_INT(hpa_by_average(&q, 30, &p, &why), -EINVAL);
	CHECK_STR(why, "did not receive metrics for targeted pods (pods might be unready)");
	arena_free(a);
}

TEST(one_value_against_its_target)
{
	struct arena *a = arena_new(0);
	struct hpa_proposal p;
	struct str why = STR_NONE;
	struct hpa_ask q = ask(a, 3, NULL, 0);
	CHECK_INT(hpa_by_value(&q, 20000, 10000, &p, &why), 0);
	CHECK_INT(p.replicas, 6);
	CHECK_INT(hpa_by_value(&q, 10500, 10000, &p, &why), 0);
	CHECK_INT(p.replicas, 3);
	q.current = 0; /* from nothing: by the value alone */
	CHECK_INT(hpa_by_value(&q, 25000, 10000, &p, &why), 0);
	CHECK_INT(p.replicas, 3);
	hpa_by_value_per_pod(&q, 60000, 10000, &p);
	CHECK_INT(p.replicas, 6);
	CHECK_INT(p.milli, 20000);
	hpa_by_value_per_pod(&q, INT64_MAX, 1, &p);
	CHECK_INT(p.replicas, INT32_MAX);
	arena_free(a);
}
