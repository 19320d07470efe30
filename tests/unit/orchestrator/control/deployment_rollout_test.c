/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * How far a rollout scales which ReplicaSet: bounds kept at every step, and the end reached. */
#include "orchestrator/control/deployment_rollout.c"

#include "tests/unit/test.h"

#include "base/rand.h"

/* A deployment of n replicas with one old set (and a new one) of given size and availability. */
struct scene {
	struct apps_v1_deployment d;
	struct apps_v1_rolling_update_deployment ru;
	struct apps_v1_replica_set rs[3];
	struct rollout_set olds[2], now;
	struct deployment_controller dc;
	struct informer_obj o[3];
	struct rollout x;
};

static void
set_sizes(struct scene *s, int32_t old, int32_t old_ready, int32_t new_, int32_t new_ready)
{
	s->rs[0].spec.replicas = old;
	s->rs[0].status.available_replicas = old_ready;
	s->rs[2].spec.replicas = new_;
	s->rs[2].status.available_replicas = new_ready;
}

static void
scene(struct scene *s, int32_t n, int32_t surge, int32_t unavailable)
{
	*s = (struct scene){0};
	s->d.spec.replicas = n;
	s->d.spec.strategy.type = STR("RollingUpdate");
	s->d.spec.strategy.rolling_update = &s->ru;
	s->ru.max_surge = (struct int_or_str){.has = true, .i = surge};
	s->ru.max_unavailable = (struct int_or_str){.has = true, .i = unavailable};
	s->olds[0] = (struct rollout_set){.o = &s->o[0], .rs = &s->rs[0]};
	s->now = (struct rollout_set){.o = &s->o[2], .rs = &s->rs[2]};
	s->x = (struct rollout){
		.dc = &s->dc, .d = &s->d, .olds = s->olds, .n_olds = 1, .now = &s->now};
}

TEST(first_step_goes_up_by_the_surge)
{
	struct scene s;
	scene(&s, 3, 1, 0);
	set_sizes(&s, 3, 3, 0, 0);
	rollout_plan(&s.x);
	CHECK_INT(s.now.want, 1);
	CHECK_INT(s.olds[0].want, 3);
}

TEST(old_pods_go_when_new_ones_are_there)
{
	struct scene s;
	scene(&s, 3, 1, 0);
	set_sizes(&s, 3, 3, 1, 1);
	rollout_plan(&s.x);
	CHECK_INT(s.now.want, 1);
	CHECK_INT(s.olds[0].want, 2);
}

TEST(nothing_goes_while_the_new_pod_is_not_ready)
{
	struct scene s;
	scene(&s, 3, 1, 0);
	set_sizes(&s, 3, 3, 1, 0);
	rollout_plan(&s.x);
	CHECK_INT(s.now.want, 1);
	CHECK_INT(s.olds[0].want, 3);
}

TEST(paused_changes_nothing)
{
	struct scene s;
	scene(&s, 3, 1, 0);
	s.d.spec.paused = true;
	set_sizes(&s, 2, 2, 1, 1);
	rollout_plan(&s.x);
	CHECK_INT(s.now.want, 1);
	CHECK_INT(s.olds[0].want, 2);
}

/* Random readiness after every step: never fewer available than allowed by our doing, never more pods than the
 * surge, and it ends. */
TEST(every_rollout_ends_within_its_bounds)
{
	rand_set_seed(7);
	for (int round = 0; round < 500; round++) {
		struct scene s;
		int32_t n = 1 + (int32_t)rand_below(12), surge = (int32_t)rand_below(4);
		int32_t unavailable = (int32_t)rand_below(4), steps = 0;
		scene(&s, n, surge, unavailable);
		rollout_bounds(&s.d, &surge, &unavailable);
		set_sizes(&s, n, n, 0, 0);
		while ((s.rs[2].status.available_replicas < n || s.rs[0].spec.replicas > 0) &&
			steps < 200) {
			rollout_plan(&s.x);
			CHECK(s.now.want + s.olds[0].want <= n + surge);
			int32_t old_left = s.olds[0].want < s.rs[0].status.available_replicas
				? s.olds[0].want
				: s.rs[0].status.available_replicas;
			CHECK(old_left + s.rs[2].status.available_replicas >= n - unavailable);
			s.rs[0].spec.replicas = s.olds[0].want;
			s.rs[0].status.available_replicas = old_left;
			s.rs[2].spec.replicas = s.now.want;
			int32_t more = s.now.want - s.rs[2].status.available_replicas;
			if (more > 0)
				s.rs[2].status.available_replicas += (int32_t)rand_below(
					(uint64_t)more + 1);
			steps++;
		}
		CHECK(steps < 200);
	}
}

TEST(scaling_in_the_middle_keeps_the_shares)
{
	struct scene s;
	struct str_pair was = {STR("deployment.kubernetes.io/desired-replicas"), STR("10")};
	scene(&s, 20, 2, 0);
	set_sizes(&s, 8, 8, 4, 2);
	s.rs[0].metadata.annotations = &was;
	s.rs[0].metadata.n_annotations = 1;
	rollout_plan(&s.x);
	CHECK_INT(s.olds[0].want + s.now.want, 22);
	CHECK(s.olds[0].want > 8);
	CHECK(s.now.want > 4);
}
