/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * queue.c: see queue.h. A key is in one of the states below; ready keys stand in a list, delayed ones
 * have a timer each. Everything happens on one loop; keys are handed to fn from deferred work, never
 * from inside queue_add. Invariants: n_working counts WORKING and WORKING_AGAIN; an item exists while
 * its key waits, is worked on, or has failures to remember. Must not: call fn for a key in work.
 * Source: client-go util/workqueue (dirty and processing sets, item exponential back-off). */
#include "base/queue.h"

#include <stdlib.h>

#define BACKOFF_BASE_NS (5 * NS_PER_MS)
#define BACKOFF_CAP_NS (1000 * NS_PER_SEC)
#define KEYS_PER_TURN 64

enum item_state { IDLE, READY, WORKING, WORKING_AGAIN };

struct item {
	struct queue *q;
	struct item *next;       /* READY: in q->first.. */
	struct loop_timer timer; /* armed: becomes ready later, in any state */
	enum item_state state;
	unsigned failures;
	struct str key; /* behind this struct */
};

struct queue {
	struct loop *loop;
	char name[32];
	unsigned parallel, n_working;
	void (*fn)(void *arg, struct str key);
	void *arg;
	int64_t base_ns, cap_ns;
	struct map items;
	struct item *first, *last;
	struct loop_work work;
};

static void queue_dispatch(struct loop_work *w);

struct queue *
queue_new(struct loop *l, const char *name, unsigned parallel,
	void (*fn)(void *arg, struct str key), void *arg)
{
	struct queue *q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->loop = l;
	str_copy_c(str_c(name ? name : ""), q->name, sizeof(q->name));
	q->parallel = parallel ? parallel : 1;
	q->fn = fn;
	q->arg = arg;
	q->base_ns = BACKOFF_BASE_NS;
	q->cap_ns = BACKOFF_CAP_NS;
	map_init(&q->items);
	q->work = (struct loop_work){.fn = queue_dispatch, .arg = q};
	return q;
}

void
queue_free(struct queue *q)
{
	if (!q)
		return;
	size_t pos = 0;
	void *value = NULL;
	while (map_next(&q->items, &pos, NULL, &value)) {
		struct item *it = value;
		loop_timer_cancel(&it->timer);
		free(it);
	}
	map_release(&q->items);
	loop_defer_cancel(&q->work);
	free(q);
}

void
queue_set_backoff(struct queue *q, int64_t base_ns, int64_t cap_ns)
{
	q->base_ns = base_ns;
	q->cap_ns = cap_ns;
}

/* item_ready: the key shall be worked on now, or once more when it is being worked on. */
static void
item_ready(struct item *it)
{
	struct queue *q = it->q;
	if (it->state == WORKING)
		it->state = WORKING_AGAIN;
	if (it->state != IDLE)
		return;
	it->state = READY;
	it->next = NULL;
	if (q->last)
		q->last->next = it;
	else
		q->first = it;
	q->last = it;
	if (q->n_working < q->parallel)
		loop_defer(q->loop, &q->work);
}

static void
item_due(struct loop_timer *t)
{
	item_ready(t->arg);
}

/* A key that cannot be remembered for want of memory would be lost without a trace: that is a bug of
 * whoever sized the role, and better seen. */
static struct item *
item_get(struct queue *q, struct str key)
{
	struct item *it = map_get(&q->items, key);
	if (it)
		return it;
	it = malloc(sizeof(*it) + key.n + 1);
	BUG_ON(!it);
	char *copy = (char *)(it + 1);
	str_copy_c(key, copy, key.n + 1);
	*it = (struct item){.q = q, .key = {copy, key.n}, .timer = {.fn = item_due, .arg = it}};
	BUG_ON(map_put(&q->items, it->key, it, NULL) < 0);
	return it;
}

void
queue_add(struct queue *q, struct str key)
{
	item_ready(item_get(q, key));
}

void
queue_add_after(struct queue *q, struct str key, int64_t delay_ns)
{
	struct item *it = item_get(q, key);
	if (delay_ns <= 0) {
		item_ready(it);
		return;
	}
	int64_t at = 0;
	if (__builtin_add_overflow(loop_now_ns(q->loop), delay_ns, &at))
		at = INT64_MAX;
	if (!loop_timer_is_set(&it->timer) || at < it->timer.at_ns)
		loop_timer_set(q->loop, &it->timer, at);
}

static void
queue_dispatch(struct loop_work *w)
{
	struct queue *q = w->arg;
	for (unsigned n = 0; n < KEYS_PER_TURN && q->first && q->n_working < q->parallel; n++) {
		struct item *it = q->first;
		q->first = it->next;
		if (!q->first)
			q->last = NULL;
		it->state = WORKING;
		q->n_working++;
		q->fn(q->arg, it->key);
	}
	if (q->first && q->n_working < q->parallel)
		loop_defer(q->loop, &q->work);
}

static int64_t
backoff_ns(const struct queue *q, unsigned failures)
{
	int64_t delay = q->base_ns;
	for (unsigned i = 0; i < failures && delay < q->cap_ns; i++)
		delay *= 2;
	return delay < q->cap_ns ? delay : q->cap_ns;
}

void
queue_done(struct queue *q, struct str key, bool failed)
{
	struct item *it = map_get(&q->items, key);
	BUG_ON(!it || (it->state != WORKING && it->state != WORKING_AGAIN));
	bool again = it->state == WORKING_AGAIN;
	it->state = IDLE;
	q->n_working--;
	if (failed)
		queue_add_after(q, it->key, backoff_ns(q, it->failures++));
	else
		it->failures = 0;
	if (again)
		item_ready(it);
	if (q->first)
		loop_defer(q->loop, &q->work);
	if (it->state == IDLE && !loop_timer_is_set(&it->timer)) {
		map_del(&q->items, it->key);
		free(it);
	}
}

size_t
queue_len(const struct queue *q)
{
	return map_len(&q->items);
}
