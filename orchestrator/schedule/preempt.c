/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * preempt: where a pod that fits nowhere would fit if pods of lower priority went, and which of them must. All of
 * it is tried on the cache itself: pods are taken from their node and put back, and nothing is left
 * changed. Nothing is done here: evict.c acts.
 * Source: kube-scheduler framework/preemption, plugins/defaultpreemption (default arguments). */
#include "orchestrator/schedule/schedule_int.h"

#include "base/rand.h"

#include <stdlib.h>

#define CANDIDATES_MIN 100  /* looked for, when there are so many nodes */
#define CANDIDATES_SHARE 10 /* percent of the nodes, when that is more */

/* Disruption budgets, and what is left of each while the victims of one node are chosen. */
struct budget {
	const struct policy_v1_pod_disruption_budget *b;
	struct selector sel;
	int64_t left;
};
struct budgets {
	struct budget *v;
	size_t n;
};

static int64_t
started(const struct sched_pod *p)
{
	int64_t at = pod_of(p)->status.start_time;
	return at ? at : INT64_MAX; /* not yet: as late as can be */
}

/* importance: who is let go last stands first. */
static int
importance(const void *x, const void *y)
{
	const struct sched_pod *p = *(struct sched_pod *const *)x,
			       *q = *(struct sched_pod *const *)y;
	int32_t pp = pod_of(p)->spec.priority, pq = pod_of(q)->spec.priority;
	if (pp != pq)
		return pp > pq ? -1 : 1;
	if (started(p) != started(q))
		return started(p) < started(q) ? -1 : 1;
	return p->seq < q->seq ? -1 : 1;
}

static struct budgets
budgets_read(struct cycle *c)
{
	struct budgets all = {0};
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_next(c->s->budgets_i, &pos));) {
		struct selector sel = {0};
		const struct policy_v1_pod_disruption_budget *b = o->obj;
		/* One that selects everything, or nothing, does so for evictions only. */
		if (selector_from_struct(c->a, b->spec.selector, &sel) < 0 || !sel.n)
			continue;
		struct budget *x = ARENA_PUSH(c->a, all.v, all.n);
		if (x)
			*x = (struct budget){.b = b, .sel = sel};
	}
	return all;
}

static bool
is_disrupted(const struct policy_v1_pod_disruption_budget *b, struct str pod)
{
	for (size_t i = 0; i < b->status.n_disrupted_pods; i++)
		if (str_eq(b->status.disrupted_pods[i].key, pod))
			return true;
	return false;
}

/* violates: a budget of the pod has nothing left for it; what it has is taken. */
static bool
violates(struct budgets *all, const struct core_v1_pod *pod)
{
	const struct meta_v1_object_meta *m = &pod->metadata;
	for (size_t i = 0; m->n_labels && i < all->n; i++) {
		struct budget *x = &all->v[i];
		if (!str_eq(x->b->metadata.namespace, m->namespace) ||
			!selector_match_pairs(&x->sel, m->labels, m->n_labels) ||
			is_disrupted(x->b, m->name))
			continue;
		if (--x->left < 0)
			return true;
	}
	return false;
}

/* try_node: *ret is this node with its victims, or NULL and why not. The cache is as it was afterwards. */
static const char *
try_node(struct cycle *c, struct sched_node *n, struct budgets *all, struct preemption *ret)
{
	struct sched_pod **gone = NULL, **victims = NULL;
	size_t n_gone = 0, n_victims = 0, violating = 0;
	c->n_also = 0;
	for (struct sched_pod *p = n->pods; p; p = p->node_next) {
		bool may = pod_of(p)->spec.priority < c->pod->spec.priority;
		struct sched_pod **slot = may ? ARENA_PUSH(c->a, gone, n_gone) : NULL;
		if (slot)
			*slot = p;
	}
	if (!n_gone)
		return "No preemption victims found for incoming pod";
	bool *breaks = ARENA_ARRAY(c->a, bool, n_gone);
	if (!breaks)
		return "No preemption victims found for incoming pod";
	for (size_t i = 0; i < n_gone; i++)
		cycle_pod_take(c, gone[i]);
	const char *why = filter_node(c, n);
	qsort(gone, n_gone, sizeof(struct sched_pod *), importance);
	for (size_t i = 0; i < all->n; i++)
		all->v[i].left = all->v[i].b->status.disruptions_allowed;
	for (size_t i = 0; i < n_gone; i++)
		breaks[i] = violates(all, pod_of(gone[i]));
	/* As many as can stay do: first those whose budgets would break, each time the most important. */
	for (int with = 1; with >= 0; with--)
		for (size_t i = 0; i < n_gone; i++) {
			if (breaks[i] != with)
				continue;
			cycle_pod_put(c, gone[i], n);
			if (why || !filter_node(c, n))
				continue;
			cycle_pod_take(c, gone[i]);
			struct sched_pod **slot = ARENA_PUSH(c->a, victims, n_victims);
			if (slot)
				*slot = gone[i];
			violating += (size_t)with;
		}
	for (size_t i = 0; i < n_gone; i++)
		if (!gone[i]->node)
			cycle_pod_put(c, gone[i], n);
	if (why)
		return why;
	if (!n_victims)
		return "No preemption victims found for incoming pod";
	qsort(victims, n_victims, sizeof(struct sched_pod *), importance);
	*ret = (struct preemption){
		.node = n, .victims = victims, .n_victims = n_victims, .violating = violating};
	return NULL;
}

/* ---- which node: each rule decides where those before it do not ---- */

static int64_t
few_violations(const struct preemption *x)
{
	return -(int64_t)x->violating;
}

static int64_t
low_highest(const struct preemption *x)
{
	return -(int64_t)pod_of(x->victims[0])->spec.priority;
}

static int64_t
low_sum(const struct preemption *x)
{
	int64_t sum = 0;
	/* Raised above zero, or more pods of negative priority would count for less. */
	for (size_t i = 0; i < x->n_victims; i++)
		sum += (int64_t)pod_of(x->victims[i])->spec.priority + INT32_MAX + 1;
	return -sum;
}

static int64_t
few_victims(const struct preemption *x)
{
	return -(int64_t)x->n_victims;
}

static int64_t
late_start(const struct preemption *x)
{
	return started(x->victims[0]); /* the oldest of those with the highest priority */
}

static int64_t (*const rules[])(const struct preemption *x) = {
	few_violations, low_highest, low_sum, few_victims, late_start};

static const struct preemption *
choose(const struct preemption *all, size_t n)
{
	const struct preemption *best = n ? &all[0] : NULL;
	for (size_t i = 1; i < n; i++) {
		int64_t more = 0;
		for (size_t r = 0; r < ARRAY_LEN(rules) && !more; r++) {
			int64_t x = rules[r](&all[i]), y = rules[r](best);
			more = x > y ? 1 : x < y ? -1 : 0;
		}
		if (more > 0)
			best = &all[i];
	}
	return best;
}

/* ---- may it at all ---- */

static bool
goes_for_another(const struct core_v1_pod *pod)
{
	for (size_t i = 0; pod->metadata.deletion_timestamp && i < pod->status.n_conditions; i++) {
		const struct core_v1_pod_condition *k = &pod->status.conditions[i];
		if (str_eq_c(k->type, "DisruptionTarget"))
			return str_eq_c(k->status, "True") &&
				str_eq_c(k->reason, "PreemptionByScheduler");
	}
	return false;
}

/* not_eligible: NULL = it may send others away. */
static const char *
not_eligible(const struct cycle *c)
{
	const struct sched_node *n = c->sp->nominated;
	if (str_eq_c(c->pod->spec.preemption_policy, "Never"))
		return "not eligible due to preemptionPolicy=Never.";
	bool hope = false;
	for (size_t i = 0; n && i < c->n_helpable; i++)
		hope = hope || c->helpable[i] == n;
	for (const struct sched_pod *p = hope ? n->pods : NULL; p; p = p->node_next)
		if (pod_of(p)->spec.priority < c->pod->spec.priority && goes_for_another(pod_of(p)))
			return "not eligible due to a terminating pod on the nominated node.";
	return NULL;
}

static size_t
candidates_wanted(size_t n)
{
	size_t share = n * CANDIDATES_SHARE / 100;
	size_t wanted = share > CANDIDATES_MIN ? share : CANDIDATES_MIN;
	return wanted < n ? wanted : n;
}

static void
not_helpful(struct cycle *c, struct reasons *why, size_t looked_at, struct preemption *ret)
{
	size_t live = informer_len(c->s->nodes_i);
	if (live > looked_at)
		reasons_add(
			c->a, why, "Preemption is not helpful for scheduling", live - looked_at);
	ret->why = arena_fmt(c->a, "preemption: " STR_FMT, STR_ARG(reasons_text(c->a, why, live)));
}

void
preempt_find(struct cycle *c, struct preemption *ret)
{
	const char *no = not_eligible(c);
	uint32_t wait_for = c->wait_for;
	*ret = (struct preemption){.keep = no != NULL};
	if (no) {
		ret->why = arena_fmt(c->a, "preemption: %s", no);
		return;
	}
	struct budgets budgets = budgets_read(c);
	struct preemption *found = NULL;
	struct reasons reasons = {0};
	size_t n_found = 0, clean = 0, wanted = candidates_wanted(c->n_helpable);
	size_t first = c->n_helpable ? rand_below((uint32_t)c->n_helpable) : 0;
	for (size_t i = 0; i < c->n_helpable && !(clean && n_found >= wanted); i++) {
		struct preemption one;
		struct sched_node *n = c->helpable[(first + i) % c->n_helpable];
		const char *why = try_node(c, n, &budgets, &one);
		for (size_t k = 0; why && k < c->n_also; k++)
			reasons_add(c->a, &reasons, c->also[k], 1);
		if (why) {
			reasons_add(c->a, &reasons, why, 1);
			continue;
		}
		struct preemption *slot = ARENA_PUSH(c->a, found, n_found);
		if (slot)
			*slot = one;
		clean += one.violating == 0;
	}
	c->wait_for = wait_for;
	const struct preemption *best = choose(found, n_found);
	if (!best) {
		not_helpful(c, &reasons, c->n_helpable, ret);
		return;
	}
	*ret = *best;
	c->wait_for |= CHANGE_POD_DELETED;
	ret->why = arena_fmt(c->a,
		"preemption: found a potential placement for pod on node " STR_FMT
		", preempting %zu victims",
		STR_ARG(best->node->name), best->n_victims);
}
