/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cache: nodes and what their pods take of them, kept as objects come and go. Invariant: a node's `used`
 * is the sum over its list of pods; a node lives while it has an object or pods, or one
 * is nominated to it. */
#include "orchestrator/schedule/schedule_int.h"

#include <stdlib.h>

struct sched_node *
cache_node(struct scheduler *s, struct str name)
{
	struct sched_node *n = map_get(&s->nodes, name);
	if (n)
		return n;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->own_name = strndup(name.p, name.n);
	n->name = str_c(n->own_name);
	if (!n->own_name || map_put(&s->nodes, n->name, n, NULL) < 0) {
		free(n->own_name);
		free(n);
		return NULL;
	}
	return n;
}

static void
node_drop(struct scheduler *s, struct sched_node *n)
{
	if (n->obj || n->pods || n->nominated)
		return;
	map_del(&s->nodes, n->name);
	free(n->own_name);
	free(n);
}

void
cache_node_set(struct scheduler *s, const struct informer_obj *obj)
{
	struct sched_node *n = cache_node(s, obj->name);
	if (!n)
		return;
	const struct informer_obj *old = n->obj;
	const struct core_v1_node *node = obj->obj;
	n->obj = informer_obj_ref(obj);
	if (old)
		informer_obj_unref(old);
	if (node->status.n_allocatable)
		amounts_of_list(node->status.allocatable, node->status.n_allocatable, &n->have);
	else
		amounts_of_list(node->status.capacity, node->status.n_capacity, &n->have);
}

void
cache_node_gone(struct scheduler *s, struct str name)
{
	struct sched_node *n = map_get(&s->nodes, name);
	if (!n)
		return;
	if (n->obj)
		informer_obj_unref(n->obj);
	n->obj = NULL;
	n->have = (struct amounts){0};
	node_drop(s, n);
}

void
cache_pod_put(struct sched_pod *p, struct sched_node *n)
{
	BUG_ON(p->node);
	p->node = n;
	p->node_next = n->pods;
	p->node_prev = &n->pods;
	if (n->pods)
		n->pods->node_prev = &p->node_next;
	n->pods = p;
	amounts_add(&n->used, &p->ask, 1);
	amounts_add(&n->used_nonzero, &p->ask_nonzero, 1);
}

void
cache_pod_take(struct sched_pod *p)
{
	struct sched_node *n = p->node;
	if (!n)
		return;
	*p->node_prev = p->node_next;
	if (p->node_next)
		p->node_next->node_prev = p->node_prev;
	amounts_add(&n->used, &p->ask, -1);
	amounts_add(&n->used_nonzero, &p->ask_nonzero, -1);
	p->node = NULL;
	node_drop(p->s, n);
}

void
cache_nominate(struct sched_pod *p, struct str name)
{
	struct sched_node *was = p->nominated;
	if (was ? str_eq(was->name, name) : !name.n)
		return;
	if (was) {
		*p->nominated_prev = p->nominated_next;
		if (p->nominated_next)
			p->nominated_next->nominated_prev = p->nominated_prev;
		p->nominated = NULL;
		node_drop(p->s, was);
	}
	struct sched_node *n = name.n ? cache_node(p->s, name) : NULL;
	if (!n)
		return;
	p->nominated = n;
	p->nominated_next = n->nominated;
	p->nominated_prev = &n->nominated;
	if (n->nominated)
		n->nominated->nominated_prev = &p->nominated_next;
	n->nominated = p;
}

void
cache_release(struct scheduler *s)
{
	struct str key;
	void *v;
	for (size_t pos = 0; map_next(&s->nodes, &pos, &key, &v);) {
		struct sched_node *n = v;
		if (n->obj)
			informer_obj_unref(n->obj);
		free(n->own_name);
		free(n);
	}
	map_release(&s->nodes);
}
