/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * statefulset: pods with names that stay, each with claims of its own. A sync puts the pods into their places by the
 * ordinal of their name, lets statefulset_walk.c do what is next, and writes what it saw into the status. */
#include "orchestrator/control/statefulset.h"

#include <stdlib.h>

#define HASH_LABEL STR("controller.kubernetes.io/hash") /* of revisions */

bool
stateful_available(const struct stateful_sync *x, const struct informer_obj *pod)
{
	int64_t in;
	bool is = pod_is_available(pod->obj, x->set->spec.min_ready_seconds, &in);
	if (in)
		queue_add_after(x->s->w->q, x->s->o->key, in);
	return is;
}

/* ---- places ---- */

static int
high_first(const void *px, const void *py)
{
	const struct informer_obj *const *x = px, *const *y = py;
	int32_t ox = stateful_ordinal((*x)->name, NULL), oy = stateful_ordinal((*y)->name, NULL);
	return ox != oy ? (ox > oy ? -1 : 1) : str_cmp((*x)->name, (*y)->name);
}

/* revision_for: a pod below the partition comes again as it was. */
static const struct informer_obj *
revision_for(const struct stateful_sync *x, int32_t index)
{
	const struct apps_v1_stateful_set_update_strategy *u = &x->set->spec.update_strategy;
	int32_t keep = u->rolling_update ? u->rolling_update->partition
					 : x->set->status.current_replicas;
	return str_eq(u->type, STR("RollingUpdate")) && index < keep ? x->current : x->h.now;
}

static void
find_places(struct stateful_sync *x)
{
	const struct apps_v1_stateful_set_spec *spec = &x->set->spec;
	x->start = spec->ordinals ? spec->ordinals->start : 0;
	x->n_places = spec->replicas > 0 ? (size_t)spec->replicas : 0;
	x->places = ARENA_ARRAY(x->a, struct stateful_place, x->n_places);
	for (size_t i = 0; x->places && i < x->n_places; i++)
		x->places[i] = (struct stateful_place){
			.ordinal = x->start + (int32_t)i, .revision = revision_for(x, (int32_t)i)};
	for (size_t i = 0; x->places && i < x->s->n_pods; i++) {
		const struct informer_obj *pod = x->s->pods[i];
		int32_t ordinal = stateful_ordinal(pod->name, NULL);
		if (stateful_in_range(x, ordinal)) {
			x->places[ordinal - x->start].pod = pod;
			continue;
		}
		const struct informer_obj **slot = ARENA_PUSH(x->a, x->condemned, x->n_condemned);
		if (slot)
			*slot = pod;
	}
	if (x->n_condemned)
		qsort(x->condemned, x->n_condemned, sizeof(*x->condemned), high_first);
}

/* ---- status ---- */

struct counts {
	int32_t replicas, ready, available, current, updated;
};

static void
count(const struct stateful_sync *x, struct counts *k)
{
	for (size_t i = 0; i < x->s->n_pods; i++) {
		const struct core_v1_pod *p = x->s->pods[i]->obj;
		struct str revision = control_label(&p->metadata, REVISION_LABEL);
		k->replicas++;
		k->ready += str_eq(p->status.phase, STR("Running")) && pod_is_ready(p);
		k->available += stateful_available(x, x->s->pods[i]);
		if (p->metadata.deletion_timestamp)
			continue;
		k->current += str_eq(revision, x->current->name);
		k->updated += str_eq(revision, x->h.now->name);
	}
}

static void
write_status(struct stateful_sync *x)
{
	struct arena *a = x->a;
	struct doc *was = schema_from_struct(
		a, SCHEMA_TYPE_OF(apps_v1_stateful_set_status), &x->set->status);
	struct doc *d = was ? doc_copy(a, was) : NULL;
	struct counts k = {0};
	int32_t want = x->set->spec.replicas;
	struct str current = x->current->name;
	count(x, &k);
	if (k.updated == want && k.ready == want && k.replicas == want) {
		k.current = k.updated;
		current = x->h.now->name;
	}
	if (!d)
		return;
	const struct {
		struct str name;
		int32_t n;
		bool always;
	} counts[] = {{STR("replicas"), k.replicas, true}, {STR("readyReplicas"), k.ready, false},
		{STR("currentReplicas"), k.current, false},
		{STR("updatedReplicas"), k.updated, false},
		{STR("availableReplicas"), k.available, true}};
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		doc_set(d, counts[i].name,
			counts[i].n || counts[i].always ? doc_int(a, counts[i].n) : NULL);
	doc_set_str(a, d, STR("currentRevision"), current);
	doc_set_str(a, d, STR("updateRevision"), x->h.now->name);
	doc_set_int(a, d, STR("collisionCount"), x->set->status.collision_count);
	doc_set_int(a, d, STR("observedGeneration"), x->set->metadata.generation);
	if (!doc_equal(was, d))
		batch_write_status(x->s->b, x->s->w->c, CONTROL_STATEFULSETS, x->s->o, d);
}

/* ---- sync ---- */

static bool
is_live(void *arg, const struct informer_obj *o)
{
	const struct stateful_sync *x = arg;
	if (o == x->current)
		return true;
	for (size_t i = 0; i < x->s->n_pods; i++)
		if (str_eq(control_label(control_meta(CONTROL_PODS, x->s->pods[i]), REVISION_LABEL),
			    o->name))
			return true;
	return false;
}

static void
sync_set(struct workload_sync *s)
{
	struct stateful_controller *k = s->w->more;
	const struct apps_v1_stateful_set *set = s->o->obj;
	struct stateful_sync x = {.s = s, .a = s->a, .set = set, .claims = k->claims};
	if (set->metadata.deletion_timestamp)
		return;
	history_look(&x.h, s, k->revisions, &set->spec.template, HASH_LABEL,
		set->status.collision_count);
	if (!x.h.now)
		return;
	x.current = history_name(&x.h, set->status.current_revision);
	if (!x.current)
		x.current = x.h.now;
	find_places(&x);
	if (!x.places || arena_failed(s->a)) {
		s->b->failed = true;
		return;
	}
	if (s->met)
		stateful_walk(&x);
	history_truncate(&x.h,
		set->spec.has_revision_history_limit ? set->spec.revision_history_limit : 10, false,
		is_live, &x);
	write_status(&x);
}

/* ---- changes, the row ---- */

/* A claim that goes may be what an empty place waits for. */
static void
on_claim(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct workload *w = arg;
	const struct informer_obj *o;
	if (!control_ready(w->ctl) || !old || new_)
		return;
	for (size_t pos = 0; (o = informer_index_next(w->owners, INDEX_NS, old->ns, &pos));)
		queue_add(w->q, o->key);
}

static int
set_selector(struct arena *a, const void *owner, struct selector *ret)
{
	return selector_from_struct(
		a, ((const struct apps_v1_stateful_set *)owner)->spec.selector, ret);
}

static bool
is_member(const struct informer_obj *owner, const struct core_v1_pod *pod)
{
	struct str parent;
	return stateful_ordinal(pod->metadata.name, &parent) >= 0 && str_eq(parent, owner->name);
}

static const struct workload_kind stateful_kind = {.resource = CONTROL_STATEFULSETS,
	.component = "statefulset-controller",
	.named = true,
	.selector = set_selector,
	.member = is_member,
	.sync = sync_set};

static int
stateful_start(struct control *ctl, struct client *c, void **ret)
{
	int rc = workload_start(&stateful_kind, ctl, c, ret);
	struct workload *w = *ret;
	struct stateful_controller *k = rc == 0 ? calloc(1, sizeof(*k)) : NULL;
	if (!k)
		return -ENOMEM;
	w->more = k;
	k->claims = control_informer(ctl, CONTROL_PVCS);
	if (!k->claims || informer_add_handler(k->claims, on_claim, NULL, w) < 0)
		return -ENOMEM;
	return history_watch(w, &k->revisions);
}

const struct controller statefulset_controller = {
	"statefulset-controller", stateful_start, workload_ready, workload_stop};
