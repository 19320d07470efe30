/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * statefulset_claims: the volume claims of a StatefulSet's pods. They are made before their pod, and stay when it
 * goes, unless the retention policy says that they go with the set or with a pod that is one too many: then they
 * are owned by it, and garbage collection does the rest. */
#include "orchestrator/control/statefulset.h"

#include <stdlib.h>

struct str
stateful_claim_name(const struct stateful_sync *x, const struct core_v1_persistent_volume_claim *t,
	int32_t ordinal)
{
	return arena_fmt(x->a, STR_FMT "-" STR_FMT "-%d", STR_ARG(t->metadata.name),
		STR_ARG(x->s->o->name), ordinal);
}

static const struct informer_obj *
find_claim(const struct stateful_sync *x, struct str name)
{
	return informer_get(x->claims,
		arena_fmt(x->a, STR_FMT "/" STR_FMT, STR_ARG(x->s->o->ns), STR_ARG(name)));
}

/* ---- making ---- */

struct claim_making {
	struct workload *w;
	struct control_batch *b;
	const struct informer_obj *o;
	char claim[260], pod[260];
};

static void
on_made(void *arg, const struct client_result *r)
{
	struct claim_making *m = arg;
	struct event_ref ref = control_ref(CONTROL_STATEFULSETS, m->o);
	struct str who = str_c(m->w->k->component);
	if (!r->e.code)
		client_event(m->w->c, &ref, "Normal", "SuccessfulCreate", who, STR(""),
			"Create Claim %s Pod %s in StatefulSet " STR_FMT " success", m->claim,
			m->pod, STR_ARG(m->o->name));
	else if (r->e.reason != R_ALREADY_EXISTS && !control_ns_ends(r))
		client_event(m->w->c, &ref, "Warning", "FailedCreate", who, STR(""),
			"Create Claim %s for Pod %s in StatefulSet " STR_FMT " failed error: %s",
			m->claim, m->pod, STR_ARG(m->o->name), r->e.msg);
	queue_add(m->w->q, m->o->key); /* the pod is next */
	batch_done(m->b, r);
	informer_obj_unref(m->o);
	free(m);
}

static struct doc *
claim_doc(struct stateful_sync *x, const struct core_v1_persistent_volume_claim *t, struct str name)
{
	struct arena *a = x->a;
	const struct meta_v1_label_selector *sel = x->set->spec.selector;
	struct doc *d = schema_from_struct(a, SCHEMA_TYPE_OF(core_v1_persistent_volume_claim), t);
	struct doc *meta = d ? doc_ensure_map(a, d, STR("metadata")) : NULL;
	struct doc *labels = meta ? doc_ensure_map(a, meta, STR("labels")) : NULL;
	if (!labels)
		return NULL;
	for (size_t i = 0; sel && i < sel->n_match_labels; i++)
		doc_set_str(a, labels, sel->match_labels[i].key, sel->match_labels[i].value);
	doc_set(meta, STR("creationTimestamp"), NULL);
	doc_set_str(a, meta, STR("name"), name);
	doc_set_str(a, meta, STR("namespace"), x->s->o->ns);
	doc_set(d, STR("status"), NULL);
	return arena_failed(a) ? NULL : d;
}

static void
make_claim(struct stateful_sync *x, const struct core_v1_persistent_volume_claim *t,
	struct str name, int32_t ordinal)
{
	struct control_path path = {.resource = CONTROL_PVCS, .ns = x->s->o->ns};
	struct doc *d = claim_doc(x, t, name);
	struct claim_making *m = d ? calloc(1, sizeof(*m)) : NULL;
	if (m) {
		m->w = x->s->w;
		m->b = x->s->b;
		m->o = informer_obj_ref(x->s->o);
		str_copy_c(name, m->claim, sizeof(m->claim));
		str_copy_c(stateful_pod_name(x, ordinal), m->pod, sizeof(m->pod));
	}
	if (m && control_write(x->s->w->c, CLIENT_CREATE, &path, d, on_made, m) == 0) {
		x->s->b->left++;
		return;
	}
	if (m)
		informer_obj_unref(m->o);
	free(m);
	x->s->b->failed = true;
}

bool
stateful_claims(struct stateful_sync *x, int32_t ordinal)
{
	bool all = true;
	for (size_t i = 0; i < x->set->spec.n_volume_claim_templates; i++) {
		const struct core_v1_persistent_volume_claim
			*t = &x->set->spec.volume_claim_templates[i];
		struct str name = stateful_claim_name(x, t, ordinal);
		const struct informer_obj *o = find_claim(x, name);
		if (!o)
			make_claim(x, t, name, ordinal);
		all = all && o && !control_meta(CONTROL_PVCS, o)->deletion_timestamp;
	}
	return all;
}

/* ---- owners ---- */

enum { OF_SET, OF_POD, OF_OTHER };

struct owners {
	bool set, pod;             /* this set, this pod */
	bool stale_set, stale_pod; /* one of the same name that is gone */
	bool other;                /* somebody else manages it */
	bool plain;                /* the set or the pod owns it without managing it */
};

static int
kind_of(const struct stateful_sync *x, const struct meta_v1_owner_reference *r, struct str pod)
{
	if (control_is_kind(CONTROL_STATEFULSETS, r->api_version, r->kind) &&
		str_eq(r->name, x->s->o->name))
		return OF_SET;
	return control_is_kind(CONTROL_PODS, r->api_version, r->kind) && str_eq(r->name, pod)
		? OF_POD
		: OF_OTHER;
}

static struct owners
owners_of(const struct stateful_sync *x, const struct informer_obj *claim, struct str pod,
	struct str pod_uid)
{
	const struct meta_v1_object_meta *m = control_meta(CONTROL_PVCS, claim);
	struct owners w = {0};
	for (size_t i = 0; i < m->n_owner_references; i++) {
		const struct meta_v1_owner_reference *r = &m->owner_references[i];
		int kind = kind_of(x, r, pod);
		if (kind == OF_OTHER) {
			w.other = w.other || r->controller;
			continue;
		}
		bool ours = str_eq(r->uid, kind == OF_SET ? x->s->o->uid : pod_uid);
		bool *which = kind == OF_SET ? (ours ? &w.set : &w.stale_set)
					     : (ours ? &w.pod : &w.stale_pod);
		*which = true;
		w.plain = w.plain || (ours && !r->controller);
	}
	return w;
}

static bool
goes(const struct stateful_sync *x, bool scaled)
{
	const struct apps_v1_stateful_set_persistent_volume_claim_retention_policy
		*p = x->set->spec.persistent_volume_claim_retention_policy;
	return p && str_eq(scaled ? p->when_scaled : p->when_deleted, STR("Delete"));
}

bool
stateful_claims_stale(const struct stateful_sync *x, int32_t ordinal)
{
	struct str pod = stateful_pod_name(x, ordinal);
	for (size_t i = 0; goes(x, true) && i < x->set->spec.n_volume_claim_templates; i++) {
		const struct informer_obj *o = find_claim(x,
			stateful_claim_name(x, &x->set->spec.volume_claim_templates[i], ordinal));
		if (o && owners_of(x, o, pod, STR("")).stale_pod)
			return true;
	}
	return false;
}

static void
write_owners(struct stateful_sync *x, const struct informer_obj *claim,
	const struct informer_obj *pod, bool of_set, bool of_pod)
{
	const struct meta_v1_object_meta *m = control_meta(CONTROL_PVCS, claim);
	struct control_path path = {
		.resource = CONTROL_PVCS, .ns = claim->ns, .name = claim->name, .onto = claim};
	struct arena *a = x->a;
	struct doc *d = doc_map(a), *list = d ? doc_list(a) : NULL;
	for (size_t i = 0; list && i < m->n_owner_references; i++)
		if (kind_of(x, &m->owner_references[i], pod->name) == OF_OTHER)
			doc_append(list,
				schema_from_struct(a, SCHEMA_TYPE_OF(meta_v1_owner_reference),
					&m->owner_references[i]));
	if (list && of_set)
		doc_append(list, control_owner_doc(a, CONTROL_STATEFULSETS, x->s->o));
	if (list && of_pod)
		doc_append(list, control_owner_doc(a, CONTROL_PODS, pod));
	if (!list || arena_failed(a))
		return;
	doc_set(doc_ensure_map(a, d, STR("metadata")), STR("ownerReferences"),
		doc_len(list) ? list : doc_null(a));
	batch_write(x->s->b, x->s->w->c, CLIENT_PATCH_MERGE, &path, d);
}

static void
own_claim(struct stateful_sync *x, const struct informer_obj *claim, const struct informer_obj *pod)
{
	struct owners w = owners_of(x, claim, pod->name, pod->uid);
	bool beyond = !stateful_in_range(x, stateful_ordinal(pod->name, NULL));
	bool of_pod = goes(x, true) && beyond;
	bool of_set = goes(x, false) && !of_pod;
	if (w.stale_set || w.stale_pod)
		return; /* of a set or pod before this one: whoever cleans up after it does */
	if (w.other && (goes(x, true) || goes(x, false))) {
		struct event_ref ref = control_ref(CONTROL_STATEFULSETS, x->s->o);
		client_event(x->s->w->c, &ref, "Warning", "ConflictingController",
			str_c(x->s->w->k->component), STR(""),
			"PersistentVolumeClaim " STR_FMT
			" has a conflicting OwnerReference that acts as a manging controller, the "
			"retention policy is ignored for this claim",
			STR_ARG(claim->name));
		of_set = of_pod = false;
	}
	if (w.set != of_set || w.pod != of_pod || w.plain)
		write_owners(x, claim, pod, of_set, of_pod);
}

void
stateful_claims_own(struct stateful_sync *x, const struct informer_obj *pod)
{
	int32_t ordinal = stateful_ordinal(pod->name, NULL);
	for (size_t i = 0; i < x->set->spec.n_volume_claim_templates; i++) {
		const struct informer_obj *o = find_claim(x,
			stateful_claim_name(x, &x->set->spec.volume_claim_templates[i], ordinal));
		if (o)
			own_claim(x, o, pod);
	}
}
