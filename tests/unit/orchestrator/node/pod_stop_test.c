/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * A pod's end: what it does with the answer to its deletion. */
#include "orchestrator/node/pod_stop.c"

#include "tests/unit/test.h"

static struct world *w;

/* answered: a cleaned pod whose deletion got this answer; true = it will ask again. */
static bool
answered(int http, int code)
{
	static char name[] = "p";
	static struct node n;
	if (!w) {
		w = world_new(1, 1700000000 * NS_PER_SEC);
		n.loop = loop_new(w, "test");
	}
	struct pod p = {
		.node = &n, .ns = name, .name = name, .ops = 2, .cleaned = true, .deleting = true};
	struct client_result r = {.http = http, .e = {.code = code}};
	on_deleted(&p, &r);
	bool again = loop_timer_is_set(&p.wake);
	loop_timer_cancel(&p.wake);
	loop_defer_cancel(&p.work);
	CHECK_INT(p.ops, 1);
	CHECK_INT(p.deleting, !again);
	return again;
}

TEST(a_deletion_that_met_a_conflict_is_asked_for_again)
{
	CHECK(answered(409, -ESTALE));
	CHECK(answered(500, -EIO));
	CHECK(answered(429, -EAGAIN));
	CHECK(answered(0, -ECONNREFUSED));
	CHECK(!answered(200, 0));
	CHECK(!answered(202, 0));
	CHECK(!answered(404, -ENOENT));
}
