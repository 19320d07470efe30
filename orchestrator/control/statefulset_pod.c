/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * statefulset_pod: names, ordinals, and what a pod of a StatefulSet looks like: its name is its hostname and
 * stands in its labels, and the claims of its place are its volumes. */
#include "orchestrator/control/statefulset.h"

#define NAME_LABEL STR("statefulset.kubernetes.io/pod-name")
#define INDEX_LABEL STR("apps.kubernetes.io/pod-index")

int32_t
stateful_ordinal(struct str name, struct str *ret_parent)
{
	struct str parent, digits;
	int64_t v;
	bool cut = str_rcut(name, '-', &parent, &digits);
	if (ret_parent)
		*ret_parent = parent;
	for (size_t i = 0; i < digits.n; i++)
		cut = cut && digits.p[i] >= '0' && digits.p[i] <= '9';
	return cut && str_to_i64(digits, &v) == 0 && v <= INT32_MAX ? (int32_t)v : -1;
}

bool
stateful_in_range(const struct stateful_sync *x, int32_t ordinal)
{
	return ordinal >= x->start && (size_t)(ordinal - x->start) < x->n_places;
}

struct str
stateful_pod_name(const struct stateful_sync *x, int32_t ordinal)
{
	return arena_fmt(x->a, STR_FMT "-%d", STR_ARG(x->s->o->name), ordinal);
}

static void
put_volumes(struct stateful_sync *x, struct doc *spec, int32_t ordinal)
{
	struct arena *a = x->a;
	struct doc *list = doc_list(a);
	for (size_t i = 0; list && i < x->set->spec.n_volume_claim_templates; i++) {
		const struct core_v1_persistent_volume_claim
			*t = &x->set->spec.volume_claim_templates[i];
		struct doc *v = doc_map(a);
		if (!v)
			return;
		doc_set_str(a, v, STR("name"), t->metadata.name);
		doc_set_str(a, doc_ensure_map(a, v, STR("persistentVolumeClaim")), STR("claimName"),
			stateful_claim_name(x, t, ordinal));
		doc_append(list, v);
	}
	DOC_EACH (v, doc_get(spec, STR("volumes"))) {
		bool taken = false;
		for (size_t i = 0; i < x->set->spec.n_volume_claim_templates; i++)
			taken = taken ||
				str_eq(doc_get_str(v, STR("name")),
					x->set->spec.volume_claim_templates[i].metadata.name);
		if (!taken)
			doc_append(list, doc_copy(a, v));
	}
	doc_set(spec, STR("volumes"), doc_len(list) ? list : NULL);
}

struct doc *
stateful_pod(struct stateful_sync *x, const struct stateful_place *p)
{
	struct arena *a = x->a;
	const struct core_v1_pod_template_spec *t = p->revision == x->h.now
		? &x->set->spec.template
		: history_template(&x->h, p->revision);
	struct doc *d = t ? workload_pod(x->s, t) : NULL;
	struct doc *meta = d ? doc_get(d, STR("metadata")) : NULL;
	struct doc *labels = meta ? doc_ensure_map(a, meta, STR("labels")) : NULL;
	struct str name = stateful_pod_name(x, p->ordinal);
	if (!labels)
		return NULL;
	doc_set(meta, STR("generateName"), NULL);
	doc_set_str(a, meta, STR("name"), name);
	doc_set_str(a, labels, NAME_LABEL, name);
	doc_set_str(a, labels, INDEX_LABEL, arena_fmt(a, "%d", p->ordinal));
	doc_set_str(a, labels, REVISION_LABEL, p->revision->name);
	struct doc *spec = doc_get(d, STR("spec"));
	doc_set_str(a, spec, STR("hostname"), name);
	if (x->set->spec.service_name.n)
		doc_set_str(a, spec, STR("subdomain"), x->set->spec.service_name);
	put_volumes(x, spec, p->ordinal);
	return arena_failed(a) ? NULL : d;
}

void
stateful_identify(struct stateful_sync *x, const struct informer_obj *pod)
{
	struct control_path path = {.resource = CONTROL_PODS, .ns = pod->ns, .name = pod->name};
	if (str_eq(control_label(control_meta(CONTROL_PODS, pod), NAME_LABEL), pod->name))
		return;
	struct str body = arena_fmt(x->a,
		"{\"metadata\":{\"uid\":\"" STR_FMT "\",\"labels\":{\"" STR_FMT "\":\"" STR_FMT
		"\",\"" STR_FMT "\":\"%d\"}}}",
		STR_ARG(pod->uid), STR_ARG(NAME_LABEL), STR_ARG(pod->name), STR_ARG(INDEX_LABEL),
		stateful_ordinal(pod->name, NULL));
	if (body.n)
		batch_write_text(x->s->b, x->s->w->c, CLIENT_PATCH_STRATEGIC, &path, body);
}
