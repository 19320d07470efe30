/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 *  queue_test: the rules of client-go's workqueue, on virtual time. */
#include "tests/unit/test.h"

#include "base/queue.c"

struct bench {
	struct world *w;
	struct loop *l;
	struct queue *q;
	char log[4096];
	bool hold; /* keys stay in work until the test ends them */
	unsigned fail;
	int64_t from_ns;
};

static void
work_on(void *arg, struct str key)
{
	struct bench *t = arg;
	size_t n = strlen(t->log);
	snprintf(t->log + n, sizeof(t->log) - n, "%.*s@%lld ", STR_ARG(key),
		(long long)((clock_mono_ns() - t->from_ns) / NS_PER_MS));
	if (t->hold)
		return;
	bool failed = t->fail > 0;
	t->fail -= failed;
	queue_done(t->q, key, failed);
}

static void
start(struct bench *t, unsigned parallel)
{
	*t = (struct bench){.w = world_new(1, 0)};
	t->l = loop_new(t->w, "queue");
	t->q = queue_new(t->l, "test", parallel, work_on, t);
	t->from_ns = clock_mono_ns();
}

static void
run(struct bench *t, int64_t ms)
{
	world_run(t->w, clock_mono_ns() + ms * NS_PER_MS, NULL, NULL);
}

static void
finish(struct bench *t)
{
	queue_free(t->q);
	loop_free(t->l);
	world_free(t->w);
}

TEST(keys_are_deduplicated_and_in_order)
{
	struct bench t;
	start(&t, 1);
	queue_add(t.q, STR("b"));
	queue_add(t.q, STR("a"));
	queue_add(t.q, STR("b"));
	CHECK_INT(queue_len(t.q), 2);
	CHECK_STR(t.log, "");
	run(&t, 10);
	CHECK_STR(t.log, "b@0 a@0 ");
	CHECK_INT(queue_len(t.q), 0);
	finish(&t);
}

TEST(added_while_in_work_runs_once_more)
{
	struct bench t;
	start(&t, 2);
	t.hold = true;
	queue_add(t.q, STR("a"));
	queue_add(t.q, STR("b"));
	queue_add(t.q, STR("c"));
	run(&t, 10);
	CHECK_STR(t.log, "a@0 b@0 ");
	queue_add(t.q, STR("a"));
	queue_add(t.q, STR("a"));
	run(&t, 10);
	CHECK_STR(t.log, "a@0 b@0 ");
	queue_done(t.q, STR("a"), false);
	run(&t, 10);
	CHECK_STR(t.log, "a@0 b@0 c@0 ");
	queue_done(t.q, STR("b"), false);
	queue_done(t.q, STR("c"), false);
	run(&t, 10);
	CHECK_STR(t.log, "a@0 b@0 c@0 a@0 ");
	CHECK_INT(queue_len(t.q), 1);
	queue_done(t.q, STR("a"), false);
	CHECK_INT(queue_len(t.q), 0);
	finish(&t);
}

TEST(delays_earliest_wins)
{
	struct bench t;
	start(&t, 1);
	queue_add_after(t.q, STR("a"), 50 * NS_PER_MS);
	queue_add_after(t.q, STR("a"), 20 * NS_PER_MS);
	queue_add_after(t.q, STR("a"), 90 * NS_PER_MS);
	queue_add_after(t.q, STR("b"), 0);
	run(&t, 200);
	CHECK_STR(t.log, "b@0 a@20 ");
	queue_add_after(t.q, STR("late"), NS_PER_SEC);
	finish(&t); /* with a key still waiting */
}

TEST(failures_back_off_and_success_forgets)
{
	struct bench t;
	start(&t, 1);
	t.fail = 4;
	queue_add(t.q, STR("a"));
	run(&t, 1000);
	CHECK_STR(t.log, "a@0 a@5 a@15 a@35 a@75 ");
	t.log[0] = '\0';
	t.fail = 1;
	t.from_ns = clock_mono_ns();
	queue_add(t.q, STR("a"));
	run(&t, 1000);
	CHECK_STR(t.log, "a@0 a@5 ");
	queue_set_backoff(t.q, 10 * NS_PER_MS, 15 * NS_PER_MS);
	t.log[0] = '\0';
	t.fail = 3;
	t.from_ns = clock_mono_ns();
	queue_add(t.q, STR("a"));
	run(&t, 1000);
	CHECK_STR(t.log, "a@0 a@10 a@25 a@40 ");
	finish(&t);
}
