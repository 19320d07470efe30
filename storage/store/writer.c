/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * writer.c: the writer task: takes submitted transactions in, forms groups of what queued while the last
 * commit ran, gives them to the engine one at a time, publishes their events, replies.
 * Invariants: a transaction is replied to exactly once, after its events were published; replies to one
 * loop keep the order of submission; one message a loop and group. One group a turn of the loop, so that
 * timers and new transactions come in between.
 * Must not: hold a lock while it commits. */
#include "storage/store/store_int.h"

#include <errno.h>

#define GROUP_DEFAULT 256
#define GROUP_BYTES ((size_t)4 << 20)
#define REPLY_LOOPS 16
#define RESEND_NS (10 * NS_PER_MS)

static void run_group(struct store *s);

/* ---- taking in ---- */

static void
take_in(struct writer *w)
{
	struct store_txn *t = atomic_exchange(&w->inbox, NULL), *in_order = NULL, *last = t;
	while (t) {
		struct store_txn *next = t->next;
		t->next = in_order;
		in_order = t;
		t = next;
	}
	if (!in_order)
		return;
	*(w->last ? &w->last->next : &w->first) = in_order;
	w->last = last;
}

static void
on_submit(void *arg)
{
	struct store *s = arg;
	if (!s->writer.busy)
		run_group(s);
}

void
store_commit(struct store *s, struct store_txn *t)
{
	struct writer *w = &s->writer;
	struct store_txn *head = atomic_load(&w->inbox);
	t->result = -EINPROGRESS;
	do {
		t->next = head;
	} while (!atomic_compare_exchange_weak(&w->inbox, &head, t));
	/* Not the first in the box: somebody's message is on its way. When that could not be sent (no
	 * memory), the next one tries again. */
	if ((!head || atomic_exchange(&w->unheard, false)) && loop_post(w->loop, on_submit, s) < 0)
		atomic_store(&w->unheard, true);
}

/* ---- replies ---- */

/* deliver: on the loop that asked. done may free its transaction. */
static void
deliver(void *arg)
{
	struct store_txn *t = arg;
	while (t) {
		struct store_txn *next = t->next;
		t->next = NULL;
		t->done(t);
		t = next;
	}
}

static void
send_replies(struct writer *w, struct store_txn *first)
{
	if (loop_post(first->reply_to, deliver, first) == 0)
		return;
	struct store_txn **end = &w->unsent;
	while (*end)
		end = &(*end)->next;
	*end = first;
	if (!loop_timer_is_set(&w->resend))
		loop_timer_after(w->loop, &w->resend, RESEND_NS);
}

/* reply: sorts the chain by loop, REPLY_LOOPS of them at a time. */
static void
reply(struct writer *w, struct store_txn *t)
{
	while (t) {
		struct {
			struct store_txn *first, *last;
		} to[REPLY_LOOPS];
		size_t n = 0;
		struct store_txn *rest = NULL, **rest_end = &rest;
		for (struct store_txn *next = NULL; t; t = next) {
			next = t->next;
			t->next = NULL;
			size_t i = 0;
			while (i < n && to[i].first->reply_to != t->reply_to)
				i++;
			if (i < n) {
				to[i].last = to[i].last->next = t;
			} else if (n < REPLY_LOOPS) {
				to[n].first = to[n].last = t;
				n++;
			} else {
				*rest_end = t;
				rest_end = &t->next;
			}
		}
		for (size_t i = 0; i < n; i++)
			send_replies(w, to[i].first);
		t = rest;
	}
}

static void
on_resend(struct loop_timer *timer)
{
	struct writer *w = timer->arg;
	struct store_txn *t = w->unsent;
	w->unsent = NULL;
	reply(w, t);
}

/* ---- groups ---- */

static size_t
txn_bytes(const struct store_txn *t)
{
	size_t n = 0;
	for (size_t i = 0; i < t->n_ops; i++)
		n += t->ops[i].body.n + t->ops[i].attrs.n;
	return n;
}

static void
run_group(struct store *s)
{
	struct writer *w = &s->writer;
	take_in(w);
	if (!w->first)
		return;
	size_t max = s->cfg.group_max ? s->cfg.group_max : GROUP_DEFAULT, bytes = 0;
	struct store_group *g = &w->group;
	*g = (struct store_group){0};
	while (w->first && g->n < max) {
		struct store_txn *t = w->first;
		bytes += txn_bytes(t);
		if (g->n > 0 && bytes > GROUP_BYTES)
			break;
		w->first = t->next;
		if (!w->first)
			w->last = NULL;
		t->next = NULL;
		*(g->last ? &g->last->next : &g->first) = t;
		g->last = t;
		g->n++;
	}
	w->busy = true;
	s->engine->commit(s, g);
}

static void
on_next_group(struct loop_work *work)
{
	on_submit(work->arg);
}

void
writer_finish(struct store *s, struct store_group *g, uint64_t rev)
{
	struct writer *w = &s->writer;
	w->busy = false;
	atomic_fetch_add(&s->n_groups, 1);
	atomic_fetch_add(&s->n_commits, g->n);
	if (g->events) {
		int64_t at = history_committed(&s->history, rev, loop_now_ns(w->loop));
		counts_add(&s->counts, g->events, rev);
		hub_publish(s, g->events, rev);
		if (!w->closing) {
			window_arm(s, at);
			expire_arm(s);
		}
	}
	reply(w, g->first);
	if (!w->closing && (w->first || atomic_load(&w->inbox)))
		loop_defer(w->loop, &w->next_group);
}

/* ---- the task ---- */

static void
writer_main(struct loop *l, void *arg)
{
	(void)l, (void)arg; /* all comes by message: w->loop is not known here yet */
}

static void
on_begin(void *arg)
{
	struct store *s = arg;
	expire_arm(s);
	window_arm(s, history_expire(&s->history, clock_mono_ns()));
}

/* writer_drain: the loop has ended; what was submitted is committed all the same. */
static void
writer_drain(struct store *s)
{
	struct writer *w = &s->writer;
	w->closing = true;
	do {
		run_group(s);
	} while (w->first || atomic_load(&w->inbox));
}

static void
writer_end(struct loop *l, void *arg)
{
	(void)l;
	struct store *s = arg;
	struct writer *w = &s->writer;
	writer_drain(s);
	loop_defer_cancel(&w->next_group);
	loop_timer_cancel(&w->expire);
	loop_timer_cancel(&w->window);
	loop_timer_cancel(&w->resend);
}

int
writer_start(struct store *s, struct err *e)
{
	struct writer *w = &s->writer;
	w->next_group = (struct loop_work){.fn = on_next_group, .arg = s};
	w->resend = (struct loop_timer){.fn = on_resend, .arg = w};
	w->expire = (struct loop_timer){.fn = on_expire, .arg = s};
	w->window = (struct loop_timer){.fn = on_window, .arg = s};
	int rc = loop_task_start(s->cfg.world, "store", 0, writer_main, writer_end, s, &w->loop);
	if (rc == 0 && (rc = loop_post(w->loop, on_begin, s)) < 0)
		loop_task_join(w->loop);
	return rc < 0 ? err_errno(e, rc, "starting the store's writer") : 0;
}

void
writer_stop(struct store *s)
{
	struct writer *w = &s->writer;
	loop_task_join(w->loop);
	/* Expiry replies to the writer's own loop, which is gone. */
	expire_forget(s);
}
