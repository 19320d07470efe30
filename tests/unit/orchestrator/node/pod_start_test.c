/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Turns of pods that are to be started. */
#include "orchestrator/node/pod_start.c"

#include "tests/unit/test.h"

#define PODS 20

static struct node n;
static struct pod pods[PODS];
static unsigned synced[PODS];

/* What pods.c does of it. */
void
pod_sync_later(struct pod *p)
{
	synced[p - pods]++;
}

static void
setup(void)
{
	n = (struct node){.loop = loop_new(NULL, "test")};
	memset(synced, 0, sizeof(synced));
	for (size_t i = 0; i < PODS; i++)
		pods[i] = (struct pod){.node = &n};
}

static void
teardown(void)
{
	for (size_t i = 0; i < PODS; i++) {
		pods[i].gone = true;
		pod_turn_look(&pods[i]);
	}
	CHECK_INT(n.turns, 0);
	CHECK(!n.queues[QUEUE_TURN]);
	loop_free(n.loop);
}

/* A machine full of pods had all of them running at the end, and none before. */
TEST(pods_are_started_one_after_the_other)
{
	setup();
	for (size_t i = 0; i < PODS; i++) {
		CHECK_INT(pod_turn_take(&pods[i]), i < TURNS_MAX);
		pods[i].sandbox_busy = i < TURNS_MAX;
		pod_turn_look(&pods[i]);
		CHECK_INT(pod_turn_awaited(&pods[i]), i >= TURNS_MAX);
	}
	CHECK(pod_turn_take(&pods[0])); /* it has it */
	CHECK_INT(n.turns, TURNS_MAX);
	/* the first is through: the one that waits longest is looked at, with its turn */
	pods[0].sandbox_busy = false;
	pod_turn_look(&pods[0]);
	CHECK(!pods[0].turn);
	CHECK(pods[TURNS_MAX].turn);
	CHECK_INT(synced[TURNS_MAX], 1);
	CHECK_INT(synced[TURNS_MAX + 1], 0);
	/* who had begun and has more to do comes before those that have not */
	CHECK(!pod_turn_take(&pods[0]));
	CHECK(!pod_turn_awaited(&pods[0]));
	pods[1].sandbox_busy = false;
	pod_turn_look(&pods[1]);
	CHECK(pods[0].turn);
	teardown();
}

TEST(a_pod_that_is_deleted_while_it_waits_holds_up_nobody)
{
	setup();
	for (size_t i = 0; i < TURNS_MAX + 2; i++) {
		pod_turn_take(&pods[i]);
		pods[i].volumes_busy = true;
	}
	pods[TURNS_MAX].stopping = true;
	pod_turn_look(&pods[TURNS_MAX]);
	/* neither does one whose work goes on while it is deleted */
	pods[3].stopping = true;
	pod_turn_look(&pods[3]);
	CHECK(!pods[3].turn);
	CHECK(!pods[TURNS_MAX].turn);
	CHECK(pods[TURNS_MAX + 1].turn);
	teardown();
}

TEST(mounts_that_hang_do_not_keep_all_others_from_starting)
{
	setup();
	for (size_t i = 0; i < TURNS_MAX + 1; i++) {
		pod_turn_take(&pods[i]);
		pods[i].volumes_busy = true;
	}
	for (size_t i = 0; i < TURNS_MAX; i++)
		on_turn_over(&pods[i].turn_timer);
	CHECK(pods[TURNS_MAX].turn);
	CHECK_INT(n.turns, 1);
	CHECK_INT(synced[0], 1);
	teardown();
}
