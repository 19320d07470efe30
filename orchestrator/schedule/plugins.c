/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * plugins: the table of what decides where a pod may run (filter) and where it runs best (score), with
 * the default weights. Reasons are worded as kube-scheduler words them: users search for these texts.
 * Source: kube-scheduler framework/plugins (default profile and weights). */
#include "orchestrator/schedule/schedule_int.h"

#include <math.h>

/* ---- NodeUnschedulable, NodeName ---- */

static const char *
unschedulable_filter(struct cycle *c, size_t row, const struct sched_node *n)
{
	static const struct core_v1_taint taint = {
		.key = STR_INIT("node.kubernetes.io/unschedulable"),
		.effect = STR_INIT("NoSchedule")};
	const struct core_v1_pod_spec *p = &c->pod->spec;
	(void)row;
	if (node_of(n)->spec.unschedulable && !tolerates(p->tolerations, p->n_tolerations, &taint))
		return "node(s) were unschedulable";
	return NULL;
}

static const char *
name_filter(struct cycle *c, size_t row, const struct sched_node *n)
{
	(void)row;
	if (c->pod->spec.node_name.n && !str_eq(c->pod->spec.node_name, n->name))
		return "node(s) didn't match the requested node name";
	return NULL;
}

/* ---- TaintToleration ---- */

static const char *
taint_filter(struct cycle *c, size_t row, const struct sched_node *n)
{
	const struct core_v1_node_spec *spec = &node_of(n)->spec;
	const struct core_v1_pod_spec *p = &c->pod->spec;
	(void)row;
	for (size_t i = 0; i < spec->n_taints; i++) {
		const struct core_v1_taint *t = &spec->taints[i];
		if (str_eq(t->effect, STR("PreferNoSchedule")) ||
			tolerates(p->tolerations, p->n_tolerations, t))
			continue;
		return "node(s) had untolerated taint(s)";
	}
	return NULL;
}

static int64_t
taint_score(struct cycle *c, size_t row, const struct sched_node *n)
{
	const struct core_v1_node_spec *spec = &node_of(n)->spec;
	const struct core_v1_pod_spec *p = &c->pod->spec;
	int64_t bad = 0;
	(void)row;
	for (size_t i = 0; i < spec->n_taints; i++)
		bad += str_eq(spec->taints[i].effect, STR("PreferNoSchedule")) &&
			!tolerates(p->tolerations, p->n_tolerations, &spec->taints[i]);
	return bad;
}

static void
normalize_up(int64_t *v, size_t n)
{
	int64_t max = 0;
	for (size_t i = 0; i < n; i++)
		max = v[i] > max ? v[i] : max;
	for (size_t i = 0; i < n && max; i++)
		v[i] = v[i] * SCORE_MAX / max;
}

static void
normalize_down(int64_t *v, size_t n)
{
	normalize_up(v, n);
	for (size_t i = 0; i < n; i++)
		v[i] = SCORE_MAX - v[i];
}

/* ---- NodeAffinity ---- */

static const char *
affinity_filter(struct cycle *c, size_t row, const struct sched_node *n)
{
	(void)row;
	return match_pod_node(&c->pod->spec, node_of(n))
		? NULL
		: "node(s) didn't match Pod's node affinity/selector";
}

static int64_t
affinity_score(struct cycle *c, size_t row, const struct sched_node *n)
{
	const struct core_v1_affinity *a = c->pod->spec.affinity;
	const struct core_v1_node_affinity *na = a ? a->node_affinity : NULL;
	int64_t sum = 0;
	(void)row;
	for (size_t i = 0; na && i < na->n_preferred_during_scheduling_ignored_during_execution;
		i++) {
		const struct core_v1_preferred_scheduling_term
			*t = &na->preferred_during_scheduling_ignored_during_execution[i];
		if (match_node_term(&t->preference, node_of(n)))
			sum += t->weight;
	}
	return sum;
}

/* ---- NodePorts ---- */

static bool
wants_host_port(const struct core_v1_pod *p)
{
	size_t pos = 0, port = 0;
	return host_port_next(&p->spec, &pos, &port) != NULL;
}

static bool
ports_prepare(struct cycle *c, size_t row, struct str *why)
{
	(void)why;
	c->pre[row] = wants_host_port(c->pod) ? c : NULL;
	return true;
}

static const char *
ports_filter(struct cycle *c, size_t row, const struct sched_node *n)
{
	for (const struct sched_pod *p = c->pre[row] ? n->pods : NULL; p; p = p->node_next)
		if (host_ports_clash(&c->pod->spec, &pod_of(p)->spec))
			return "node(s) didn't have free ports for the requested pod ports";
	return NULL;
}

/* ---- NodeResourcesFit ---- */

/* lacks: a resource of which the node has too little left; what it never had no pod that goes gives back. */
static bool
lacks(struct cycle *c, int64_t ask, int64_t have, int64_t used)
{
	if (ask <= 0 || ask <= have - used)
		return false;
	c->unresolvable = c->unresolvable || ask > have;
	return true;
}

static const char *
fit_filter(struct cycle *c, size_t row, const struct sched_node *n)
{
	const struct amounts *ask = &c->sp->ask, *have = &n->have, *used = &n->used;
	(void)row;
	c->n_also = 0;
	if (used->pods + 1 > have->pods)
		c->also[c->n_also++] = "Too many pods";
	if (lacks(c, ask->cpu_mcpu, have->cpu_mcpu, used->cpu_mcpu))
		c->also[c->n_also++] = "Insufficient cpu";
	if (lacks(c, ask->mem_bytes, have->mem_bytes, used->mem_bytes))
		c->also[c->n_also++] = "Insufficient memory";
	if (lacks(c, ask->disk_bytes, have->disk_bytes, used->disk_bytes))
		c->also[c->n_also++] = "Insufficient ephemeral-storage";
	for (size_t i = 0; i < ask->n_scalars; i++) {
		uint64_t id = ask->scalars[i].id;
		if (lacks(c, ask->scalars[i].n, amounts_scalar(have, id), amounts_scalar(used, id)))
			c->also[c->n_also++] = arena_fmt(
				c->a, "Insufficient " STR_FMT, STR_ARG(ask->scalars[i].name))
						       .p;
	}
	return c->n_also ? c->also[--c->n_also] : NULL;
}

static int64_t
free_share(int64_t have, int64_t used)
{
	return have <= 0 || used >= have ? 0 : (have - used) * SCORE_MAX / have;
}

static int64_t
fit_score(struct cycle *c, size_t row, const struct sched_node *n)
{
	const struct amounts *ask = &c->sp->ask_nonzero;
	(void)row;
	return (free_share(n->have.cpu_mcpu, n->used_nonzero.cpu_mcpu + ask->cpu_mcpu) +
		       free_share(n->have.mem_bytes, n->used_nonzero.mem_bytes + ask->mem_bytes)) /
		2;
}

static double
share(int64_t have, int64_t used)
{
	double s = have > 0 ? (double)used / (double)have : 1;
	return s > 1 ? 1 : s;
}

static int64_t
balance_score(struct cycle *c, size_t row, const struct sched_node *n)
{
	const struct amounts *ask = &c->sp->ask;
	(void)row;
	double cpu = share(n->have.cpu_mcpu, n->used.cpu_mcpu + ask->cpu_mcpu);
	double mem = share(n->have.mem_bytes, n->used.mem_bytes + ask->mem_bytes);
	return (int64_t)((1 - fabs(cpu - mem) / 2) * SCORE_MAX);
}

/* ---- ImageLocality ---- */

#define IMAGE_MIN (23ll << 20)
#define IMAGE_MAX (1000ll << 20)

static bool
image_is(const struct core_v1_container_image *img, struct str want)
{
	for (size_t i = 0; i < img->n_names; i++) {
		struct str have = img->names[i];
		/* "nginx" is kept as "docker.io/library/nginx:latest" */
		if (str_eq(have, want) ||
			(have.n > want.n && str_ends(have, want) &&
				have.p[have.n - want.n - 1] == '/'))
			return true;
	}
	return false;
}

static int64_t
image_score(struct cycle *c, size_t row, const struct sched_node *n)
{
	const struct core_v1_node_status *st = &node_of(n)->status;
	int64_t sum = 0, count = (int64_t)c->pod->spec.n_containers;
	(void)row;
	for (size_t i = 0; i < c->pod->spec.n_containers; i++)
		for (size_t k = 0; k < st->n_images; k++)
			if (image_is(&st->images[k], c->pod->spec.containers[i].image))
				sum += st->images[k].size_bytes;
	int64_t max = IMAGE_MAX * (count ? count : 1);
	if (sum < IMAGE_MIN)
		return 0;
	return sum > max ? SCORE_MAX : SCORE_MAX * (sum - IMAGE_MIN) / (max - IMAGE_MIN);
}

/* ---- SchedulingGates are looked at before a pod gets a turn: see schedule.c. ---- */

const struct plugin plugins[] = {
	{.name = "NodeUnschedulable",
		.filter = unschedulable_filter,
		.unresolvable = true,
		.wait_for = CHANGE_NODE_ADDED | CHANGE_NODE_UPDATED},
	{.name = "NodeName",
		.filter = name_filter,
		.unresolvable = true,
		.wait_for = CHANGE_NODE_ADDED},
	{.name = "TaintToleration",
		.filter = taint_filter,
		.score = taint_score,
		.normalize = normalize_down,
		.weight = 3,
		.unresolvable = true,
		.wait_for = CHANGE_NODE_ADDED | CHANGE_NODE_UPDATED},
	{.name = "NodeAffinity",
		.filter = affinity_filter,
		.score = affinity_score,
		.normalize = normalize_up,
		.weight = 2,
		.unresolvable = true,
		.wait_for = CHANGE_NODE_ADDED | CHANGE_NODE_UPDATED},
	{.name = "NodePorts",
		.prepare = ports_prepare,
		.filter = ports_filter,
		.wait_for = CHANGE_NODE_ADDED | CHANGE_POD_DELETED},
	{.name = "NodeResourcesFit",
		.filter = fit_filter,
		.score = fit_score,
		.weight = 1,
		.wait_for = CHANGE_NODE_ADDED | CHANGE_NODE_UPDATED | CHANGE_POD_DELETED},
	{.name = "VolumeBinding",
		.prepare = volumes_prepare,
		.filter = volumes_filter,
		.unresolvable = true,
		.wait_for = CHANGE_NODE_ADDED | CHANGE_NODE_UPDATED | CHANGE_CLAIM | CHANGE_VOLUME |
			CHANGE_CLASS},
	{.name = "PodTopologySpread",
		.prepare = spread_prepare,
		.filter = spread_filter,
		.moved = spread_moved,
		.score = spread_score,
		.normalize = normalize_down,
		.weight = 2,
		.wait_for = CHANGE_NODE_ADDED | CHANGE_NODE_UPDATED | CHANGE_POD_DELETED |
			CHANGE_POD_ADDED},
	{.name = "InterPodAffinity",
		.prepare = pod_affinity_prepare,
		.filter = pod_affinity_filter,
		.moved = pod_affinity_moved,
		.score = pod_affinity_score,
		.normalize = pod_affinity_normalize,
		.weight = 2,
		.wait_for = CHANGE_NODE_ADDED | CHANGE_NODE_UPDATED | CHANGE_POD_DELETED |
			CHANGE_POD_ADDED},
	{.name = "NodeResourcesBalancedAllocation", .score = balance_score, .weight = 1},
	{.name = "ImageLocality", .score = image_score, .weight = 1},
};
const size_t n_plugins = ARRAY_LEN(plugins);
_Static_assert(ARRAY_LEN(plugins) <= ARRAY_LEN(((struct cycle *)0)->pre), "a slot for each plugin");
