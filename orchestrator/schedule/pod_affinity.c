/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pod_affinity: pods that want to be near, or away from, other pods. Required terms filter, preferred
 * ones score; terms of pods that already run count against the new one as well (anti-affinity is
 * symmetric). Source: kube-scheduler plugins/interpodaffinity. */
#include "orchestrator/schedule/schedule_int.h"

struct term {
	struct selector sel, ns_sel;
	bool has_ns_sel;
	const struct core_v1_pod_affinity_term *t;
	struct str own_ns;
	int64_t weight;
	struct term *next;
};

/* A (topology key, value) where something holds. */
struct place {
	struct str key, value;
	const struct term *term;
	int64_t n;
	struct place *next;
};

struct state {
	struct term *near, *away;        /* required by the pod */
	struct place *near_at, *away_at; /* where matching pods are */
	struct place *refused_at;        /* where running pods refuse the new one */
	struct place *liked_at;          /* preferred: weights */
	bool self_near;                  /* the pod matches all its own affinity terms */
	int64_t any_near;                /* so many running pods match */
};

static struct term *
term_new(struct cycle *c, const struct core_v1_pod_affinity_term *t, struct str own_ns,
	int64_t weight)
{
	struct term *x = ARENA_NEW(c->a, struct term);
	if (!x)
		return NULL;
	x->t = t;
	x->own_ns = own_ns;
	x->weight = weight;
	if (selector_from_struct(c->a, t->label_selector, &x->sel) < 0)
		x->sel.nothing = true;
	x->has_ns_sel = t->namespace_selector != NULL;
	if (x->has_ns_sel && selector_from_struct(c->a, t->namespace_selector, &x->ns_sel) < 0)
		x->ns_sel.nothing = true;
	return x;
}

static bool
namespace_matches(const struct cycle *c, const struct term *x, struct str ns)
{
	for (size_t i = 0; i < x->t->n_namespaces; i++)
		if (str_eq(x->t->namespaces[i], ns))
			return true;
	if (x->has_ns_sel) {
		const struct informer_obj *o = informer_get(c->s->namespaces_i, ns);
		const struct core_v1_namespace *n = o ? o->obj : NULL;
		return n &&
			selector_match_pairs(&x->ns_sel, n->metadata.labels, n->metadata.n_labels);
	}
	return x->t->n_namespaces == 0 && str_eq(ns, x->own_ns);
}

static bool
term_matches(const struct cycle *c, const struct term *x, const struct core_v1_pod *p)
{
	return namespace_matches(c, x, p->metadata.namespace) &&
		selector_match_pairs(&x->sel, p->metadata.labels, p->metadata.n_labels);
}

static void
place_add(struct cycle *c, struct place **list, const struct term *x, const struct sched_node *n,
	int64_t weight)
{
	struct str value = node_label(node_of(n), x->t->topology_key);
	if (!str_is_set(value))
		return;
	for (struct place *p = *list; p; p = p->next)
		if (p->term == x && str_eq(p->value, value)) {
			p->n += weight;
			return;
		}
	struct place *p = ARENA_NEW(c->a, struct place);
	if (!p)
		return;
	*p = (struct place){x->t->topology_key, value, x, weight, *list};
	*list = p;
}

static int64_t
place_sum(const struct place *list, const struct term *x, const struct sched_node *n)
{
	int64_t sum = 0;
	for (const struct place *p = list; p; p = p->next)
		if ((!x || p->term == x) && str_eq(node_label(node_of(n), p->key), p->value))
			sum += p->n;
	return sum;
}

static struct term *
terms_of(struct cycle *c, const struct core_v1_pod_affinity_term *t, size_t n, struct str ns)
{
	struct term *list = NULL;
	for (size_t i = 0; i < n; i++) {
		struct term *x = term_new(c, &t[i], ns, 1);
		if (x) {
			x->next = list;
			list = x;
		}
	}
	return list;
}

static void
preferred(struct cycle *c, struct state *st, const struct core_v1_weighted_pod_affinity_term *t,
	size_t n, int sign, const struct core_v1_pod *owner, const struct sched_node *owner_node)
{
	for (size_t i = 0; i < n; i++) {
		struct term *x = term_new(
			c, &t[i].pod_affinity_term, owner->metadata.namespace, t[i].weight);
		if (!x)
			return;
		if (owner_node) { /* a running pod's wish about the new one */
			if (term_matches(c, x, c->pod))
				place_add(c, &st->liked_at, x, owner_node, sign * t[i].weight);
			continue;
		}
		struct str key;
		void *v;
		for (size_t pos = 0; map_next(&c->s->nodes, &pos, &key, &v);) {
			const struct sched_node *nd = v;
			for (const struct sched_pod *p = nd->obj ? nd->pods : NULL; p;
				p = p->node_next)
				if (term_matches(c, x, pod_of(p)))
					place_add(c, &st->liked_at, x, nd, sign * t[i].weight);
		}
	}
}

/* required: what a pod on node nd means for whether the new one may run somewhere; sign -1: it is gone. */
static void
required(struct cycle *c, struct state *st, const struct sched_pod *p, const struct sched_node *nd,
	int sign)
{
	const struct core_v1_pod *q = pod_of(p);
	bool all = st->near != NULL;
	for (const struct term *x = st->near; x; x = x->next)
		all = all && term_matches(c, x, q);
	for (const struct term *x = all ? st->near : NULL; x; x = x->next)
		place_add(c, &st->near_at, x, nd, sign);
	st->any_near += all ? sign : 0;
	for (const struct term *x = st->away; x; x = x->next)
		if (term_matches(c, x, q))
			place_add(c, &st->away_at, x, nd, sign);
	const struct core_v1_affinity *af = q->spec.affinity;
	const struct core_v1_pod_anti_affinity *k = af ? af->pod_anti_affinity : NULL;
	struct term *refuse = k
		? terms_of(c, k->required_during_scheduling_ignored_during_execution,
			  k->n_required_during_scheduling_ignored_during_execution,
			  q->metadata.namespace)
		: NULL;
	for (const struct term *x = refuse; x; x = x->next)
		if (term_matches(c, x, c->pod))
			place_add(c, &st->refused_at, x, nd, sign);
}

/* wishes: what it would rather have of the new one. */
static void
wishes(struct cycle *c, struct state *st, const struct sched_pod *p, const struct sched_node *nd)
{
	const struct core_v1_pod *q = pod_of(p);
	const struct core_v1_affinity *af = q->spec.affinity;
	if (af && af->pod_anti_affinity) {
		const struct core_v1_pod_anti_affinity *k = af->pod_anti_affinity;
		preferred(c, st, k->preferred_during_scheduling_ignored_during_execution,
			k->n_preferred_during_scheduling_ignored_during_execution, -1, q, nd);
	}
	if (af && af->pod_affinity)
		preferred(c, st,
			af->pod_affinity->preferred_during_scheduling_ignored_during_execution,
			af->pod_affinity->n_preferred_during_scheduling_ignored_during_execution, 1,
			q, nd);
}

bool
pod_affinity_prepare(struct cycle *c, size_t row, struct str *why)
{
	const struct core_v1_affinity *af = c->pod->spec.affinity;
	struct state *st = ARENA_NEW(c->a, struct state);
	struct str key, ns = c->pod->metadata.namespace;
	void *v;
	(void)why;
	if (!st)
		return true;
	c->pre[row] = st;
	if (af && af->pod_affinity) {
		const struct core_v1_pod_affinity *k = af->pod_affinity;
		st->near = terms_of(c, k->required_during_scheduling_ignored_during_execution,
			k->n_required_during_scheduling_ignored_during_execution, ns);
		preferred(c, st, k->preferred_during_scheduling_ignored_during_execution,
			k->n_preferred_during_scheduling_ignored_during_execution, 1, c->pod, NULL);
	}
	if (af && af->pod_anti_affinity) {
		const struct core_v1_pod_anti_affinity *k = af->pod_anti_affinity;
		st->away = terms_of(c, k->required_during_scheduling_ignored_during_execution,
			k->n_required_during_scheduling_ignored_during_execution, ns);
		preferred(c, st, k->preferred_during_scheduling_ignored_during_execution,
			k->n_preferred_during_scheduling_ignored_during_execution, -1, c->pod,
			NULL);
	}
	st->self_near = true;
	for (const struct term *x = st->near; x; x = x->next)
		st->self_near = st->self_near && term_matches(c, x, c->pod);
	for (size_t pos = 0; map_next(&c->s->nodes, &pos, &key, &v);) {
		const struct sched_node *nd = v;
		for (const struct sched_pod *p = nd->obj ? nd->pods : NULL; p; p = p->node_next) {
			required(c, st, p, nd, 1);
			wishes(c, st, p, nd);
		}
	}
	return true;
}

void
pod_affinity_moved(struct cycle *c, size_t row, const struct sched_pod *p,
	const struct sched_node *n, int sign)
{
	if (c->pre[row])
		required(c, c->pre[row], p, n, sign);
}

const char *
pod_affinity_filter(struct cycle *c, size_t row, const struct sched_node *n)
{
	const struct state *st = c->pre[row];
	if (!st)
		return NULL;
	for (const struct term *x = st->near; x; x = x->next) {
		bool has_key = str_is_set(node_label(node_of(n), x->t->topology_key));
		bool first = !st->any_near &&
			st->self_near; /* the first of a group that wants itself */
		c->unresolvable = !has_key || (!first && place_sum(st->near_at, x, n) == 0);
		if (c->unresolvable)
			return "node(s) didn't match pod affinity rules";
	}
	for (const struct term *x = st->away; x; x = x->next)
		if (place_sum(st->away_at, x, n) > 0)
			return "node(s) didn't match pod anti-affinity rules";
	if (place_sum(st->refused_at, NULL, n) > 0)
		return "node(s) didn't satisfy existing pods anti-affinity rules";
	return NULL;
}

int64_t
pod_affinity_score(struct cycle *c, size_t row, const struct sched_node *n)
{
	const struct state *st = c->pre[row];
	return st ? place_sum(st->liked_at, NULL, n) : 0;
}

void
pod_affinity_normalize(int64_t *v, size_t n)
{
	int64_t min = INT64_MAX, max = INT64_MIN;
	for (size_t i = 0; i < n; i++) {
		min = v[i] < min ? v[i] : min;
		max = v[i] > max ? v[i] : max;
	}
	for (size_t i = 0; i < n; i++)
		v[i] = max > min ? SCORE_MAX * (v[i] - min) / (max - min) : 0;
}
