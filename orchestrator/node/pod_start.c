/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pod_start: which pods are being started, and how long that took. Only TURNS_MAX pods are at work at a time,
 * those that have begun first: a machine that starts a hundred side by side has them all running at the end and
 * none before, and the API is asked hundreds of things at once.
 *
 *   a turn is taken before anything of a pod is made here (sandbox, volumes, container), kept while that is under
 *   way, and given back when the pod runs or waits for something else: a pull, an object, a token, a back-off.
 *
 * Of a pod whose turn it is the API is told nothing: soon there is more to say, and then it is one request.
 *
 * Invariant: nobody waits while a turn is free. A turn that takes long (a mount that hangs) ends after TURN_NS;
 * the pod goes on as it is. */
#include "orchestrator/node/node_int.h"

#define TURNS_MAX 8
#define TURN_NS (2 * NS_PER_SEC)

/* ---- queues ---- */

void
pod_queue_put(struct pod *p, enum pod_queue k, bool front)
{
	struct node *n = p->node;
	struct pod **at = &n->queues[k];
	if (p->queued[k])
		return;
	while (*at && !front)
		at = &(*at)->next[k];
	p->next[k] = *at;
	*at = p;
	p->queued[k] = true;
}

struct pod *
pod_queue_take(struct node *n, enum pod_queue k)
{
	struct pod *p = n->queues[k];
	if (p)
		pod_queue_drop(p, k);
	return p;
}

void
pod_queue_drop(struct pod *p, enum pod_queue k)
{
	struct pod **at = &p->node->queues[k];
	if (!p->queued[k])
		return;
	while (*at != p)
		at = &(*at)->next[k];
	*at = p->next[k];
	p->queued[k] = false;
}

/* ---- turns ---- */

static void
turn_give(struct pod *p)
{
	struct node *n = p->node;
	loop_timer_cancel(&p->turn_timer);
	p->turn = false;
	n->turns--;
	struct pod *next = pod_queue_take(n, QUEUE_TURN);
	if (next) {
		pod_turn_take(next);
		pod_sync_later(next);
	}
}

static void
on_turn_over(struct loop_timer *t)
{
	struct pod *p = t->arg;
	turn_give(p);
	pod_sync_later(p);
}

bool
pod_turn_take(struct pod *p)
{
	struct node *n = p->node;
	if (p->turn)
		return true;
	if (n->turns >= TURNS_MAX) {
		pod_queue_put(p, QUEUE_TURN, p->marks[MARK_BEGUN] != 0);
		return false;
	}
	n->turns++;
	p->turn = true;
	p->turn_timer = (struct loop_timer){.fn = on_turn_over, .arg = p};
	loop_timer_after(n->loop, &p->turn_timer, TURN_NS);
	pod_mark(p, MARK_BEGUN);
	return true;
}

static bool
at_work(const struct pod *p)
{
	bool busy = p->sandbox_busy || p->volumes_busy;
	for (size_t i = 0; i < p->n_ctrs; i++)
		busy = busy || p->ctrs[i].op == CTR_CREATING || p->ctrs[i].op == CTR_STARTING;
	return busy;
}

void
pod_turn_look(struct pod *p)
{
	if (p->stopping || p->gone)
		pod_queue_drop(p, QUEUE_TURN);
	if (p->turn && (p->stopping || p->gone || !at_work(p)))
		turn_give(p);
}

bool
pod_turn_awaited(const struct pod *p)
{
	return p->queued[QUEUE_TURN] && !p->marks[MARK_BEGUN];
}

/* ---- how long it took ---- */

static const char *const mark_names[MARK__COUNT] = {[MARK_BEGUN] = "begun",
	[MARK_SANDBOX] = "sandbox",
	[MARK_VOLUMES] = "volumes",
	[MARK_NETWORK] = "network",
	[MARK_CREATED] = "created",
	[MARK_STARTED] = "started",
	[MARK_SENT] = "sent",
	[MARK_TOLD] = "told"};

void
pod_mark(struct pod *p, enum pod_mark m)
{
	if (!p->marks[m])
		p->marks[m] = clock_mono_ns();
}

void
pod_marks_tell(struct pod *p)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	for (size_t i = MARK_SEEN + 1; i < MARK__COUNT; i++)
		if (p->marks[i])
			buf_fmt(&b, " %s=%.1f", mark_names[i],
				(double)(p->marks[i] - p->marks[MARK_SEEN]) / NS_PER_MS);
	log_info("pod %s/%s runs, ms since it was seen:" STR_FMT, p->ns, p->name,
		STR_ARG(buf_view(&b)));
}
