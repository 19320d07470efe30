/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * queue: which pod has its turn next: a heap of those that wait, timers of those that back off, and what
 * wakes those that fit nowhere. Invariant: a pod whose victims are still being sent away is in no heap.
 * Source: kube-scheduler backend/queue. */
#include "orchestrator/schedule/schedule_int.h"

#include <stdlib.h>

#define BACKOFF_MIN_NS NS_PER_SEC
#define BACKOFF_MAX_NS (10 * NS_PER_SEC)
#define HOPELESS_NS (300 * NS_PER_SEC)
#define FLUSH_NS (30 * NS_PER_SEC)

static bool
before(const struct sched_pod *x, const struct sched_pod *y)
{
	int32_t px = pod_of(x)->spec.priority, py = pod_of(y)->spec.priority;
	return px != py ? px > py : x->seq < y->seq;
}

static void
heap_set(struct scheduler *s, size_t at, struct sched_pod *p)
{
	s->heap[at] = p;
	p->heap_pos = at + 1;
}

static void
heap_up(struct scheduler *s, size_t at)
{
	struct sched_pod *p = s->heap[at];
	while (at && before(p, s->heap[(at - 1) / 2])) {
		heap_set(s, at, s->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_set(s, at, p);
}

static void
heap_down(struct scheduler *s, size_t at)
{
	struct sched_pod *p = s->heap[at];
	for (size_t child; (child = at * 2 + 1) < s->n_heap; at = child) {
		if (child + 1 < s->n_heap && before(s->heap[child + 1], s->heap[child]))
			child++;
		if (!before(s->heap[child], p))
			break;
		heap_set(s, at, s->heap[child]);
	}
	heap_set(s, at, p);
}

void
sched_queue_remove(struct sched_pod *p)
{
	struct scheduler *s = p->s;
	if (!p->heap_pos)
		return;
	size_t at = p->heap_pos - 1;
	struct sched_pod *last = s->heap[--s->n_heap];
	p->heap_pos = 0;
	if (last == p)
		return;
	heap_set(s, at, last);
	heap_up(s, at);
	heap_down(s, last->heap_pos - 1);
}

void
sched_queue_add(struct sched_pod *p)
{
	struct scheduler *s = p->s;
	if (p->evicting)
		p->woken = true;
	if (p->heap_pos || p->evicting)
		return;
	if (s->n_heap == s->cap_heap) {
		size_t cap = s->cap_heap ? s->cap_heap * 2 : 64;
		void *grown = realloc(s->heap, cap * sizeof(struct sched_pod *));
		if (!grown)
			return;
		s->heap = grown;
		s->cap_heap = cap;
	}
	heap_set(s, s->n_heap, p);
	heap_up(s, s->n_heap++);
	p->state = POD_WAITING;
	loop_defer(s->c->loop, &s->turn);
}

struct sched_pod *
sched_queue_take(struct scheduler *s)
{
	struct sched_pod *p = s->n_heap ? s->heap[0] : NULL;
	if (p)
		sched_queue_remove(p);
	return p;
}

void
sched_queue_on_backoff(struct loop_timer *t)
{
	struct sched_pod *p = t->arg;
	if (p->state == POD_BACKOFF)
		sched_queue_add(p);
}

void
sched_queue_backoff(struct sched_pod *p)
{
	int64_t delay = BACKOFF_MIN_NS;
	for (unsigned i = 1; i < p->attempts && delay < BACKOFF_MAX_NS; i++)
		delay *= 2;
	delay = delay > BACKOFF_MAX_NS ? BACKOFF_MAX_NS : delay;
	/* What is over of it since the attempt counts. */
	delay -= loop_now_ns(p->s->c->loop) - p->since_ns;
	p->state = POD_BACKOFF;
	if (delay > 0)
		loop_timer_after(p->s->c->loop, &p->timer, delay);
	else
		sched_queue_add(p);
}

void
sched_queue_changed(struct scheduler *s, uint32_t what)
{
	struct str key;
	void *v;
	for (size_t pos = 0; map_next(&s->pods, &pos, &key, &v);) {
		struct sched_pod *p = v;
		if (p->state != POD_HOPELESS || !(p->wait_for & what))
			continue;
		if (p->evicting)
			p->woken = true;
		else
			sched_queue_backoff(p);
	}
}

void
sched_queue_on_flush(struct loop_timer *t)
{
	struct scheduler *s = t->arg;
	struct str key;
	void *v;
	int64_t now = loop_now_ns(s->c->loop);
	for (size_t pos = 0; map_next(&s->pods, &pos, &key, &v);) {
		struct sched_pod *p = v;
		if (p->state == POD_HOPELESS && now - p->since_ns > HOPELESS_NS)
			sched_queue_add(p);
	}
	loop_timer_after(s->c->loop, t, FLUSH_NS);
}
