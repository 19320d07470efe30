/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * daemonset: one pod for each node that fits. Pods are made for their node by an affinity to its name; the
 * scheduler binds them. What a node must be and which taints its pods do not mind is asked here beforehand. */
#include "orchestrator/control/daemonset.h"

#include "orchestrator/schedule/match.h"

#include <stdlib.h>

#define GENERATION STR("deprecated.daemonset.template.generation")

/* ---- which nodes ---- */

/* What a node may have whatever the template says. */
static const struct {
	const char *key, *effect;
	bool host_network; /* only where the pods use the node's own network */
} minds_not[] = {
	{"node.kubernetes.io/not-ready", "NoExecute", false},
	{"node.kubernetes.io/unreachable", "NoExecute", false},
	{"node.kubernetes.io/disk-pressure", "NoSchedule", false},
	{"node.kubernetes.io/memory-pressure", "NoSchedule", false},
	{"node.kubernetes.io/pid-pressure", "NoSchedule", false},
	{"node.kubernetes.io/unschedulable", "NoSchedule", false},
	{"node.kubernetes.io/network-unavailable", "NoSchedule", true},
};

static bool
same_toleration(const struct core_v1_toleration *x, const struct core_v1_toleration *y)
{
	return str_eq(x->key, y->key) && str_eq(x->effect, y->effect) &&
		str_eq(x->operator, y->operator) && str_eq(x->value, y->value);
}

static void
find_tolerations(struct daemon_sync *x)
{
	const struct core_v1_pod_spec *spec = &x->ds->spec.template.spec;
	size_t n = 0;
	x->tolerations = ARENA_ARRAY(
		x->a, struct core_v1_toleration, spec->n_tolerations + ARRAY_LEN(minds_not));
	if (!x->tolerations)
		return;
	for (; n < spec->n_tolerations; n++)
		x->tolerations[n] = spec->tolerations[n];
	for (size_t i = 0; i < ARRAY_LEN(minds_not); i++) {
		struct core_v1_toleration t = {.key = str_c(minds_not[i].key),
			.effect = str_c(minds_not[i].effect),
			.operator= STR("Exists")};
		size_t k = 0;
		if (minds_not[i].host_network && !spec->host_network)
			continue;
		while (k < n && !same_toleration(&x->tolerations[k], &t))
			k++;
		x->tolerations[k] = t;
		n += k == n;
	}
	x->n_tolerations = n;
}

static bool
affinity_holds(const struct core_v1_pod_spec *spec, const struct core_v1_node *n)
{
	const struct core_v1_node_affinity *na = spec->affinity ? spec->affinity->node_affinity
								: NULL;
	for (size_t i = 0; i < spec->n_node_selector; i++)
		if (!str_eq(node_label(n, spec->node_selector[i].key),
			    spec->node_selector[i].value))
			return false;
	return !na || !na->required_during_scheduling_ignored_during_execution ||
		match_node_selector(na->required_during_scheduling_ignored_during_execution, n);
}

static void
ask_node(const struct daemon_sync *x, struct daemon_node *d)
{
	const struct core_v1_pod_spec *spec = &x->ds->spec.template.spec;
	const struct core_v1_node *n = d->node;
	if ((spec->node_name.n && !str_eq(spec->node_name, d->name)) || !affinity_holds(spec, n))
		return;
	d->runs = d->may_stay = true;
	for (size_t i = 0; i < n->spec.n_taints; i++) {
		const struct core_v1_taint *t = &n->spec.taints[i];
		bool evicts = str_eq(t->effect, STR("NoExecute"));
		if ((!evicts && !str_eq(t->effect, STR("NoSchedule"))) ||
			tolerates(x->tolerations, x->n_tolerations, t))
			continue;
		d->runs = false;
		d->may_stay = d->may_stay && !evicts;
	}
}

/* ---- their pods ---- */

/* target: the node of a pod, or the one it is meant for. */
static struct str
target(const struct core_v1_pod *p)
{
	const struct core_v1_node_affinity *na = p->spec.affinity ? p->spec.affinity->node_affinity
								  : NULL;
	const struct core_v1_node_selector *sel = na
		? na->required_during_scheduling_ignored_during_execution
		: NULL;
	if (p->spec.node_name.n)
		return p->spec.node_name;
	for (size_t i = 0; sel && i < sel->n_node_selector_terms; i++) {
		const struct core_v1_node_selector_term *t = &sel->node_selector_terms[i];
		for (size_t k = 0; k < t->n_match_fields; k++)
			if (str_eq(t->match_fields[k].key, STR("metadata.name")) &&
				str_eq(t->match_fields[k].operator, STR("In")) &&
				t->match_fields[k].n_values == 1)
				return t->match_fields[k].values[0];
	}
	return STR("");
}

static int
age_order(const void *px, const void *py)
{
	const struct informer_obj *const *ox = px, *const *oy = py;
	const struct core_v1_pod *x = (*ox)->obj, *y = (*oy)->obj;
	bool px_ = x->spec.node_name.n != 0, py_ = y->spec.node_name.n != 0;
	int64_t ax = x->metadata.creation_timestamp, ay = y->metadata.creation_timestamp;
	if (px_ != py_)
		return px_ ? -1 : 1;
	return ax != ay ? (ax < ay ? -1 : 1) : str_cmp((*ox)->name, (*oy)->name);
}

static struct daemon_node *
node_row(struct daemon_sync *x, struct map *rows, struct str name)
{
	void *at = map_get(rows, name);
	if (at)
		return &x->nodes[(size_t)at - 1];
	struct daemon_node *d = ARENA_PUSH(x->a, x->nodes, x->n_nodes);
	if (!d)
		return NULL;
	d->name = name;
	map_put(rows, name, (void *)x->n_nodes, NULL);
	return d;
}

static void
find_nodes(struct daemon_sync *x)
{
	struct daemon_controller *k = x->s->w->more;
	const struct informer_obj *o;
	struct map rows;
	map_init(&rows);
	for (size_t pos = 0; (o = informer_next(k->nodes, &pos));) {
		struct daemon_node *d = node_row(x, &rows, o->name);
		if (!d)
			break;
		d->node = o->obj;
		ask_node(x, d);
	}
	for (size_t i = 0; i < x->s->n_pods; i++) {
		const struct core_v1_pod *p = x->s->pods[i]->obj;
		struct str name = target(p);
		bool over = p->metadata.deletion_timestamp && !pod_is_terminating(p);
		struct daemon_node *d = name.n && !over ? node_row(x, &rows, name) : NULL;
		const struct informer_obj **slot = d ? ARENA_PUSH(x->a, d->pods, d->n_pods) : NULL;
		if (slot)
			*slot = x->s->pods[i];
	}
	for (size_t i = 0; i < x->n_nodes; i++)
		if (x->nodes[i].n_pods)
			qsort(x->nodes[i].pods, x->nodes[i].n_pods, sizeof(*x->nodes[i].pods),
				age_order);
	map_release(&rows);
}

bool
daemon_pod_is_now(const struct daemon_sync *x, const struct core_v1_pod *p)
{
	struct str hash = control_label(&p->metadata, REVISION_LABEL);
	return (x->hash.n && str_eq(hash, x->hash)) ||
		(x->generation.n &&
			str_eq(control_label(&p->metadata, GENERATION_LABEL), x->generation));
}

bool
daemon_available(const struct daemon_sync *x, const struct core_v1_pod *p)
{
	int64_t in;
	bool is = pod_is_available(p, x->ds->spec.min_ready_seconds, &in);
	if (in)
		queue_add_after(x->s->w->q, x->s->o->key, in);
	return is;
}

/* ---- revisions ---- */

static bool
is_live(void *arg, const struct informer_obj *o)
{
	const struct daemon_sync *x = arg;
	struct str hash = control_label(control_meta(CONTROL_REVISIONS, o), REVISION_LABEL);
	for (size_t i = 0; i < x->s->n_pods; i++)
		if (str_eq(control_label(control_meta(CONTROL_PODS, x->s->pods[i]), REVISION_LABEL),
			    hash))
			return true;
	return false;
}

/* merge_same: of revisions with one template the newest stays; pods of the others become its own. */
static void
merge_same(struct daemon_sync *x, struct history *h)
{
	const struct informer_obj *o;
	size_t pos = 0;
	if (!history_same(h, &pos))
		return;
	for (size_t i = 0; i < x->s->n_pods; i++) {
		const struct informer_obj *pod = x->s->pods[i];
		if (str_eq(control_label(control_meta(CONTROL_PODS, pod), REVISION_LABEL), x->hash))
			continue;
		struct control_path path = {
			.resource = CONTROL_PODS, .ns = pod->ns, .name = pod->name};
		struct str body = arena_fmt(x->a,
			"{\"metadata\":{\"labels\":{\"controller-revision-hash\":\"" STR_FMT
			"\"}}}",
			STR_ARG(x->hash));
		batch_write_text(x->s->b, x->s->w->c, CLIENT_PATCH_STRATEGIC, &path, body);
	}
	for (pos = 0; (o = history_same(h, &pos));)
		history_delete(h, o);
}

/* ---- status ---- */

static void
write_status(struct daemon_sync *x)
{
	const struct apps_v1_daemon_set_status *st = &x->ds->status;
	struct arena *a = x->a;
	struct doc *was = schema_from_struct(a, SCHEMA_TYPE_OF(apps_v1_daemon_set_status), st);
	struct doc *d = was ? doc_copy(a, was) : NULL;
	int32_t desired = 0, current = 0, wrong = 0, ready = 0, updated = 0, available = 0;
	for (size_t i = 0; i < x->n_nodes; i++) {
		const struct daemon_node *n = &x->nodes[i];
		const struct core_v1_pod *p = n->n_pods ? n->pods[0]->obj : NULL;
		desired += n->runs;
		wrong += n->node && !n->runs && p;
		if (!n->runs || !p)
			continue;
		current++;
		ready += pod_is_ready(p);
		available += daemon_available(x, p);
		updated += daemon_pod_is_now(x, p);
	}
	if (!d)
		return;
	const struct {
		struct str name;
		int32_t n;
		bool always;
	} counts[] = {{STR("currentNumberScheduled"), current, true},
		{STR("numberMisscheduled"), wrong, true},
		{STR("desiredNumberScheduled"), desired, true}, {STR("numberReady"), ready, true},
		{STR("updatedNumberScheduled"), updated, false},
		{STR("numberAvailable"), available, false},
		{STR("numberUnavailable"), desired - available, false}};
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		doc_set(d, counts[i].name,
			counts[i].n || counts[i].always ? doc_int(a, counts[i].n) : NULL);
	if (x->s->met)
		doc_set_int(a, d, STR("observedGeneration"), x->ds->metadata.generation);
	if (!doc_equal(was, d))
		batch_write_status(x->s->b, x->s->w->c, CONTROL_DAEMONSETS, x->s->o, d);
}

/* ---- sync ---- */

static void
sync_daemons(struct workload_sync *s)
{
	struct daemon_controller *k = s->w->more;
	const struct apps_v1_daemon_set *ds = s->o->obj;
	struct daemon_sync x = {.s = s, .a = s->a, .ds = ds, .m = s->memory};
	struct history h;
	const struct meta_v1_label_selector *sel = ds->spec.selector;
	if (ds->metadata.deletion_timestamp)
		return;
	if (sel && !sel->n_match_labels && !sel->n_match_expressions) {
		struct event_ref ref = control_ref(CONTROL_DAEMONSETS, s->o);
		client_event(s->w->c, &ref, "Warning", "SelectingAll", STR("daemonset-controller"),
			STR(""),
			"This daemon set is selecting all pods. A non-empty selector is required.");
		return;
	}
	history_look(&h, s, k->revisions, &ds->spec.template, REVISION_LABEL,
		ds->status.collision_count);
	if (!h.now)
		return;
	x.hash = control_label(control_meta(CONTROL_REVISIONS, h.now), REVISION_LABEL);
	x.generation = control_annotation(&ds->metadata, GENERATION);
	find_tolerations(&x);
	find_nodes(&x);
	merge_same(&x, &h);
	if (s->met)
		daemon_pods(&x);
	history_truncate(&h,
		ds->spec.has_revision_history_limit ? ds->spec.revision_history_limit : 10, true,
		is_live, &x);
	write_status(&x);
}

/* ---- changes, the row ---- */

static bool
same_pairs(const struct str_pair *x, size_t nx, const struct str_pair *y, size_t ny)
{
	if (nx != ny)
		return false;
	for (size_t i = 0; i < nx; i++)
		if (!str_eq(x[i].key, y[i].key) || !str_eq(x[i].value, y[i].value))
			return false;
	return true;
}

static bool
same_place(const struct core_v1_node *x, const struct core_v1_node *y)
{
	if (x->spec.n_taints != y->spec.n_taints ||
		!same_pairs(x->metadata.labels, x->metadata.n_labels, y->metadata.labels,
			y->metadata.n_labels))
		return false;
	for (size_t i = 0; i < x->spec.n_taints; i++)
		if (!str_eq(x->spec.taints[i].key, y->spec.taints[i].key) ||
			!str_eq(x->spec.taints[i].effect, y->spec.taints[i].effect) ||
			!str_eq(x->spec.taints[i].value, y->spec.taints[i].value))
			return false;
	return true;
}

static void
on_node(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct workload *w = arg;
	const struct informer_obj *o;
	if (!control_ready(w->ctl) || (old && new_ && same_place(old->obj, new_->obj)))
		return;
	for (size_t pos = 0; (o = informer_next(w->owners, &pos));)
		queue_add(w->q, o->key);
}

static int
daemon_selector(struct arena *a, const void *owner, struct selector *ret)
{
	return selector_from_struct(
		a, ((const struct apps_v1_daemon_set *)owner)->spec.selector, ret);
}

static void
daemon_forget(void *memory)
{
	struct daemon_memory *m = memory;
	struct str node;
	void *v;
	for (size_t pos = 0; map_next(&m->waits, &pos, &node, &v);)
		free(v);
	map_release(&m->waits);
}

static const struct workload_kind daemon_kind = {.resource = CONTROL_DAEMONSETS,
	.component = "daemonset-controller",
	.memory = sizeof(struct daemon_memory),
	.selector = daemon_selector,
	.sync = sync_daemons,
	.forget = daemon_forget};

static int
daemon_start(struct control *ctl, struct client *c, void **ret)
{
	int rc = workload_start(&daemon_kind, ctl, c, ret);
	struct workload *w = *ret;
	struct daemon_controller *k = rc == 0 ? calloc(1, sizeof(*k)) : NULL;
	if (!k)
		return -ENOMEM;
	w->more = k;
	k->nodes = control_informer(ctl, CONTROL_NODES);
	if (!k->nodes || informer_add_handler(k->nodes, on_node, NULL, w) < 0)
		return -ENOMEM;
	return history_watch(w, &k->revisions);
}

const struct controller daemonset_controller = {
	"daemon-set-controller", daemon_start, workload_ready, workload_stop};
