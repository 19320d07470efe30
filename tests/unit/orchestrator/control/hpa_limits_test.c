/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * How fast and how far an autoscaler may go. */
#include "orchestrator/control/hpa_limits.c"

#include "tests/unit/test.h"

#define S NS_PER_SEC
#define START (1700000000 * NS_PER_SEC)

static struct autoscaling_v2_hpa_scaling_policy one_pod = {STR_INIT("Pods"), 1, 60},
						half = {STR_INIT("Percent"), 50, 60};
static struct autoscaling_v2_hpa_scaling_policy both[2];
static rules up, down;
static struct autoscaling_v2_horizontal_pod_autoscaler_behavior behavior = {&up, &down};
static struct autoscaling_v2_horizontal_pod_autoscaler_spec spec;

static void
begin(bool with_behavior)
{
	both[0] = one_pod;
	both[1] = half;
	up = (rules){.has_stabilization_window_seconds = true,
		.select_policy = STR("Max"),
		.policies = both,
		.n_policies = 2};
	down = up;
	spec = (struct autoscaling_v2_horizontal_pod_autoscaler_spec){
		.max_replicas = 100, .behavior = with_behavior ? &behavior : NULL};
}

TEST(without_a_behavior_it_doubles_at_most_and_waits_five_minutes_to_shrink)
{
	struct hpa_history h = {0};
	struct hpa_verdict v;
	begin(false);
	hpa_history_begin(&h, 3, START);
	hpa_limit(&h, &spec, 3, 20, START, &v);
	CHECK_INT(v.replicas, 6);
	CHECK(v.limited);
	CHECK_STR(v.limit_reason, "ScaleUpLimit");
	CHECK_STR(v.able_reason, "ReadyForNewScale");
	hpa_limit(&h, &spec, 1, 3, START + S, &v);
	CHECK_INT(v.replicas, 4); /* 20 was wanted a second ago; so many may come at once */
	CHECK_STR(v.able_reason, "ScaleDownStabilized");
	hpa_limit(&h, &spec, 20, 2, START + 290 * S, &v);
	CHECK_INT(v.replicas, 20);
	CHECK_STR(v.able_reason, "ScaleDownStabilized");
	CHECK_STR(v.limit_reason, "DesiredWithinRange");
	hpa_limit(&h, &spec, 20, 2, START + 700 * S, &v);
	CHECK_INT(v.replicas, 2);
	hpa_limit(&h, &spec, 20, 0, START + 1400 * S, &v);
	CHECK_INT(v.replicas, 1);
	CHECK_STR(v.limit_reason, "TooFewReplicas");
	spec.max_replicas = 5;
	hpa_limit(&h, &spec, 4, 7, START + 2100 * S, &v);
	CHECK_INT(v.replicas, 5);
	CHECK_STR(v.limit_reason, "TooManyReplicas");
	hpa_history_release(&h);
}

TEST(policies_count_what_was_done_in_their_time)
{
	struct hpa_history h = {0};
	struct hpa_verdict v;
	begin(true);
	hpa_limit(&h, &spec, 10, 100, START, &v);
	CHECK_INT(v.replicas, 15); /* half more is more than one more */
	CHECK_STR(v.limit_reason, "ScaleUpLimit");
	hpa_history_done(&h, &behavior, 10, 15, START);
	hpa_limit(&h, &spec, 15, 100, START + 30 * S, &v);
	CHECK_INT(v.replicas, 15); /* the minute began with ten */
	hpa_limit(&h, &spec, 15, 100, START + 61 * S, &v);
	CHECK_INT(v.replicas, 23); /* rounded up, or it would never grow */
	up.select_policy = STR("Min");
	hpa_limit(&h, &spec, 15, 100, START + 62 * S, &v);
	CHECK_INT(v.replicas, 16);
	up.select_policy = STR("Disabled");
	hpa_limit(&h, &spec, 15, 100, START + 63 * S, &v);
	CHECK_INT(v.replicas, 15);
	hpa_history_release(&h);
}

TEST(on_the_way_down_policies_round_down)
{
	struct hpa_history h = {0};
	struct hpa_verdict v;
	begin(true);
	hpa_limit(&h, &spec, 5, 1, START, &v);
	CHECK_INT(v.replicas, 2);
	CHECK_STR(v.limit_reason, "ScaleDownLimit");
	down.select_policy = STR("Min");
	hpa_limit(&h, &spec, 5, 1, START + S, &v);
	CHECK_INT(v.replicas, 4);
	hpa_history_done(&h, &behavior, 5, 4, START + S);
	hpa_limit(&h, &spec, 4, 1, START + 2 * S, &v);
	CHECK_INT(v.replicas, 4);
	down.select_policy = STR("Disabled");
	hpa_limit(&h, &spec, 4, 1, START + 100 * S, &v);
	CHECK_INT(v.replicas, 4);
	hpa_history_release(&h);
}

TEST(a_window_on_the_way_up_takes_the_least_that_was_wanted)
{
	struct hpa_history h = {0};
	struct hpa_verdict v;
	begin(true);
	up.stabilization_window_seconds = 60;
	down.has_stabilization_window_seconds = false; /* five minutes */
	hpa_limit(&h, &spec, 10, 11, START, &v);
	hpa_limit(&h, &spec, 10, 14, START + 30 * S, &v);
	CHECK_INT(v.replicas, 11);
	CHECK_STR(v.able_reason, "ScaleUpStabilized");
	hpa_limit(&h, &spec, 10, 13, START + 61 * S, &v);
	CHECK_INT(v.replicas, 13);
	CHECK_STR(v.able_reason, "ReadyForNewScale");
	hpa_limit(&h, &spec, 14, 5, START + 90 * S, &v);
	CHECK_INT(v.replicas, 14);
	CHECK_STR(v.able_reason, "ScaleDownStabilized");
	hpa_history_release(&h);
}
