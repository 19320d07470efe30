/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * spread: topologySpreadConstraints: how evenly pods that a selector names lie over the values of a node
 * label. Hard constraints filter, soft ones score. A pod that states none is spread softly over zones
 * and nodes among the pods of its own controller (upstream takes the Services and controllers that select
 * it). Sources: KEP-895, KEP-3094 (node inclusion), KEP-3243 (matchLabelKeys). */
#include "orchestrator/schedule/schedule_int.h"

struct domain {
	struct str value;
	int64_t pods;
	struct domain *next;
};

struct constraint {
	struct str key;
	int32_t max_skew, min_domains;
	bool hard, self, honor_affinity, honor_taints, by_owner;
	struct selector sel;
	struct domain *domains;
	size_t n_domains;
	int64_t least;
	struct constraint *next;
};

static const struct meta_v1_owner_reference *
controller_of(const struct meta_v1_object_meta *m)
{
	for (size_t i = 0; i < m->n_owner_references; i++)
		if (m->owner_references[i].controller)
			return &m->owner_references[i];
	return NULL;
}

static bool
counts(const struct cycle *c, const struct constraint *k, const struct core_v1_pod *other)
{
	const struct meta_v1_object_meta *m = &other->metadata;
	if (m->deletion_timestamp || !str_eq(m->namespace, c->pod->metadata.namespace))
		return false;
	if (k->by_owner) {
		const struct meta_v1_owner_reference *x = controller_of(&c->pod->metadata);
		const struct meta_v1_owner_reference *y = controller_of(m);
		return x && y && str_eq(x->uid, y->uid);
	}
	return selector_match_pairs(&k->sel, m->labels, m->n_labels);
}

static struct domain *
domain_of(const struct constraint *k, struct str value)
{
	for (struct domain *d = k->domains; d; d = d->next)
		if (str_eq(d->value, value))
			return d;
	return NULL;
}

/* node_counts: is the node part of the constraint's world (its policies)? */
static bool
node_counts(struct cycle *c, const struct constraint *k, const struct sched_node *n)
{
	const struct core_v1_pod_spec *p = &c->pod->spec;
	const struct core_v1_node *node = node_of(n);
	if (k->honor_affinity && !match_pod_node(p, node))
		return false;
	for (size_t i = 0; k->honor_taints && i < node->spec.n_taints; i++)
		if (!str_eq(node->spec.taints[i].effect, STR("PreferNoSchedule")) &&
			!tolerates(p->tolerations, p->n_tolerations, &node->spec.taints[i]))
			return false;
	return true;
}

static void
find_least(struct constraint *k)
{
	k->least = INT64_MAX;
	for (const struct domain *d = k->domains; d; d = d->next)
		k->least = d->pods < k->least ? d->pods : k->least;
	if (k->least == INT64_MAX || (k->min_domains && k->n_domains < (size_t)k->min_domains))
		k->least = 0;
}

static void
count_domains(struct cycle *c, struct constraint *k)
{
	struct str key;
	void *v;
	for (size_t pos = 0; map_next(&c->s->nodes, &pos, &key, &v);) {
		const struct sched_node *n = v;
		struct str value = n->obj ? node_label(node_of(n), k->key) : STR_NONE;
		if (!str_is_set(value) || !node_counts(c, k, n))
			continue;
		struct domain *d = domain_of(k, value);
		if (!d) {
			d = ARENA_NEW(c->a, struct domain);
			if (!d)
				return;
			d->value = value;
			d->next = k->domains;
			k->domains = d;
			k->n_domains++;
		}
		for (const struct sched_pod *p = n->pods; p; p = p->node_next)
			d->pods += counts(c, k, pod_of(p));
	}
	find_least(k);
}

static void
add_constraint(struct cycle *c, struct constraint *k, size_t row)
{
	struct constraint **at = (struct constraint **)&c->pre[row];
	while (*at)
		at = &(*at)->next;
	*at = k;
	count_domains(c, k);
}

/* with_label_keys: the pod's own values of matchLabelKeys join the selector. */
static void
with_label_keys(
	struct cycle *c, const struct core_v1_topology_spread_constraint *t, struct selector *sel)
{
	const struct meta_v1_object_meta *m = &c->pod->metadata;
	for (size_t i = 0; i < t->n_match_label_keys; i++)
		for (size_t k = 0; k < m->n_labels; k++) {
			if (!str_eq(m->labels[k].key, t->match_label_keys[i]))
				continue;
			struct selector_req *r = ARENA_PUSH(c->a, sel->reqs, sel->n);
			struct str *value = ARENA_NEW(c->a, struct str);
			if (!r || !value)
				return;
			*value = m->labels[k].value;
			*r = (struct selector_req){.key = m->labels[k].key,
				.op = SELECT_IN,
				.values = value,
				.n_values = 1};
		}
}

static void
default_constraint(struct cycle *c, size_t row, struct str key, int32_t skew)
{
	struct constraint *k = ARENA_NEW(c->a, struct constraint);
	if (!k)
		return;
	*k = (struct constraint){.key = key,
		.max_skew = skew,
		.by_owner = true,
		.self = true,
		.honor_affinity = true};
	add_constraint(c, k, row);
}

bool
spread_prepare(struct cycle *c, size_t row, struct str *why)
{
	const struct core_v1_pod_spec *p = &c->pod->spec;
	(void)why;
	if (!p->n_topology_spread_constraints && controller_of(&c->pod->metadata)) {
		default_constraint(c, row, STR("kubernetes.io/hostname"), 3);
		default_constraint(c, row, STR("topology.kubernetes.io/zone"), 5);
		return true;
	}
	for (size_t i = 0; i < p->n_topology_spread_constraints; i++) {
		const struct core_v1_topology_spread_constraint
			*t = &p->topology_spread_constraints[i];
		struct constraint *k = ARENA_NEW(c->a, struct constraint);
		if (!k)
			return true;
		k->key = t->topology_key;
		k->max_skew = t->max_skew;
		k->min_domains = t->min_domains;
		k->hard = str_eq(t->when_unsatisfiable, STR("DoNotSchedule"));
		k->honor_affinity = !str_eq(t->node_affinity_policy, STR("Ignore"));
		k->honor_taints = str_eq(t->node_taints_policy, STR("Honor"));
		if (selector_from_struct(c->a, t->label_selector, &k->sel) < 0)
			k->sel.nothing = true;
		with_label_keys(c, t, &k->sel);
		k->self = selector_match_pairs(
			&k->sel, c->pod->metadata.labels, c->pod->metadata.n_labels);
		add_constraint(c, k, row);
	}
	return true;
}

void
spread_moved(struct cycle *c, size_t row, const struct sched_pod *p, const struct sched_node *n,
	int sign)
{
	for (struct constraint *k = c->pre[row]; k; k = k->next) {
		struct str value = k->hard ? node_label(node_of(n), k->key) : STR_NONE;
		struct domain *d = str_is_set(value) && node_counts(c, k, n) ? domain_of(k, value)
									     : NULL;
		if (!d || !counts(c, k, pod_of(p)))
			continue;
		d->pods += sign;
		find_least(k);
	}
}

const char *
spread_filter(struct cycle *c, size_t row, const struct sched_node *n)
{
	for (const struct constraint *k = c->pre[row]; k; k = k->next) {
		if (!k->hard)
			continue;
		struct str value = node_label(node_of(n), k->key);
		if (!str_is_set(value)) {
			c->unresolvable = true;
			return "node(s) didn't match pod topology spread constraints (missing required label)";
		}
		const struct domain *d = domain_of(k, value);
		if ((d ? d->pods : 0) + k->self - k->least > k->max_skew)
			return "node(s) didn't match pod topology spread constraints";
	}
	return NULL;
}

/* The more matching pods in its domains, the worse: normalised downwards. */
int64_t
spread_score(struct cycle *c, size_t row, const struct sched_node *n)
{
	int64_t sum = 0;
	for (const struct constraint *k = c->pre[row]; k; k = k->next) {
		struct str value = node_label(node_of(n), k->key);
		const struct domain *d = !k->hard && str_is_set(value) ? domain_of(k, value) : NULL;
		if (d)
			sum += d->pods * SCORE_MAX / (k->max_skew > 0 ? k->max_skew : 1);
	}
	return sum;
}
