/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * filter: which nodes a pod fits on, and why not on the others. Pods that were promised a node (nominated) and are
 * at least as important count there as if they ran: once with them, once without, for what one filter
 * forgives the other may not. Source: kube-scheduler framework/runtime (RunFilterPluginsWithNominatedPods). */
#include "orchestrator/schedule/schedule_int.h"

#include <stdio.h>
#include <stdlib.h>

void
reasons_add(struct arena *a, struct reasons *r, const char *text, size_t n)
{
	for (size_t i = 0; i < r->n; i++)
		if (!strcmp(r->v[i].text, text)) {
			r->v[i].n += n;
			return;
		}
	typeof(r->v) x = ARENA_PUSH(a, r->v, r->n);
	if (x) {
		x->text = text;
		x->n = n;
	}
}

/* reason_order: as texts with their numbers before them. */
static int
reason_order(const void *x, const void *y)
{
	const typeof(((struct reasons *)0)->v[0]) *p = x, *q = y;
	char px[24], qx[24];
	snprintf(px, sizeof(px), "%zu ", p->n);
	snprintf(qx, sizeof(qx), "%zu ", q->n);
	int by_number = strcmp(px, qx);
	return by_number ? by_number : strcmp(p->text, q->text);
}

struct str
reasons_text(struct arena *a, struct reasons *r, size_t n_nodes)
{
	struct buf b;
	buf_init_arena(&b, a);
	if (!n_nodes)
		return STR("no nodes available to schedule pods");
	buf_fmt(&b, "0/%zu nodes are available", n_nodes);
	if (r->n)
		qsort(r->v, r->n, sizeof(*r->v), reason_order);
	for (size_t i = 0; i < r->n; i++)
		buf_fmt(&b, "%s%zu %s", i ? ", " : ": ", r->v[i].n, r->v[i].text);
	buf_char(&b, '.');
	return buf_view(&b);
}

void
cycle_pod_put(struct cycle *c, struct sched_pod *p, struct sched_node *n)
{
	cache_pod_put(p, n);
	for (size_t i = 0; i < n_plugins; i++)
		if (plugins[i].moved)
			plugins[i].moved(c, i, p, n, 1);
}

void
cycle_pod_take(struct cycle *c, struct sched_pod *p)
{
	struct sched_node *n = p->node;
	cache_pod_take(p); /* the node stays: it has its object */
	for (size_t i = 0; i < n_plugins; i++)
		if (plugins[i].moved)
			plugins[i].moved(c, i, p, n, -1);
}

static const char *
filter_once(struct cycle *c, const struct sched_node *n)
{
	for (size_t i = 0; i < n_plugins; i++) {
		if (!plugins[i].filter)
			continue;
		c->n_also = 0;
		c->unresolvable = false;
		const char *why = plugins[i].filter(c, i, n);
		if (!why)
			continue;
		c->unresolvable = c->unresolvable || plugins[i].unresolvable;
		c->wait_for |= plugins[i].wait_for;
		return why;
	}
	return NULL;
}

const char *
filter_node(struct cycle *c, struct sched_node *n)
{
	struct sched_pod **guests = NULL;
	size_t n_guests = 0;
	for (struct sched_pod *p = n->nominated; p; p = p->nominated_next) {
		bool counts = p != c->sp && !p->node &&
			pod_of(p)->spec.priority >= c->pod->spec.priority;
		struct sched_pod **slot = counts ? ARENA_PUSH(c->a, guests, n_guests) : NULL;
		if (slot)
			*slot = p;
	}
	for (size_t i = 0; i < n_guests; i++)
		cycle_pod_put(c, guests[i], n);
	const char *why = filter_once(c, n);
	for (size_t i = 0; i < n_guests; i++)
		cycle_pod_take(c, guests[i]);
	return n_guests && !why ? filter_once(c, n) : why;
}

bool
filter_all(struct cycle *c, struct reasons *reasons, size_t *n_nodes)
{
	struct str key;
	void *v;
	for (size_t pos = 0; map_next(&c->s->nodes, &pos, &key, &v);) {
		struct sched_node *n = v;
		if (!n->obj)
			continue;
		(*n_nodes)++;
		const char *why = filter_node(c, n);
		for (size_t i = 0; why && i < c->n_also; i++)
			reasons_add(c->a, reasons, c->also[i], 1);
		if (why)
			reasons_add(c->a, reasons, why, 1);
		struct sched_node **slot = NULL;
		if (!why)
			slot = ARENA_PUSH(c->a, c->fit, c->n_fit);
		else if (!c->unresolvable)
			slot = ARENA_PUSH(c->a, c->helpable, c->n_helpable);
		if (slot)
			*slot = n;
	}
	return c->n_fit > 0;
}
