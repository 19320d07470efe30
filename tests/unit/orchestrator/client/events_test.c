/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Events: the first of a kind is made, the same again counted, a flood cut off, nothing left behind. */
#include "orchestrator/client/events.c"

#include "tests/unit/test.h"

static unsigned created, patched;
static char last[400];

static int
on_call(struct client *c, const struct client_req *q, client_done_fn *done, void *arg,
	struct client_call **ret)
{
	(void)c, (void)done, (void)arg, (void)ret;
	created += q->verb == CLIENT_CREATE;
	patched += q->verb == CLIENT_PATCH_MERGE;
	str_copy_c(q->body, last, sizeof(last));
	return 0;
}

static void
on_free(struct client *c)
{
	loop_free(c->loop);
}

static const struct client_ops ops = {.call = on_call, .free = on_free};

TEST(the_same_event_again_is_counted_and_a_flood_is_cut_off)
{
	struct client c = {&ops, loop_new(NULL, "test")};
	struct event_ref pod = {.kind = STR("Pod"), .ns = STR("ns"), .name = STR("p")};
	struct event_ref other = {.kind = STR("Pod"), .ns = STR("ns"), .name = STR("q")};
	for (int i = 0; i < 3; i++)
		client_event(&c, &pod, "Normal", "Pulled", STR("kubelet"), STR("n1"), "image");
	CHECK_INT(created, 1);
	CHECK_INT(patched, 2);
	CHECK(strstr(last, "\"count\":3"));
	for (int i = 0; i < 100; i++)
		client_event(
			&c, &pod, "Normal", "Pulled", STR("kubelet"), STR("n1"), "image %d", i);
	CHECK_INT(created + patched, BURST);
	client_event(&c, &other, "Normal", "Pulled", STR("kubelet"), STR("n1"), "image");
	CHECK_INT(created + patched, BURST + 1);
	client_free(&c);
}

TEST(a_thread_that_ends_leaves_no_memory_of_events)
{
	struct client c = {&ops, loop_new(NULL, "test")};
	struct event_ref pod = {.kind = STR("Pod"), .ns = STR("ns"), .name = STR("p")};
	client_event(&c, &pod, "Normal", "Pulled", STR("kubelet"), STR("n1"), "image");
	CHECK(seen_table && sources);
	client_free(&c);
	CHECK(!seen_table && !sources);
}
