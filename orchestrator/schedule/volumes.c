/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * volumes: where a pod's claims let it run: bound volumes by their node affinity, claims of classes with
 * WaitForFirstConsumer anywhere the class allows; these get the chosen node's name before the pod is
 * bound, and the pod waits until they are. Source: kube-scheduler plugins/volumebinding; the annotation
 * volume.kubernetes.io/selected-node is what provisioners watch. */
#include "orchestrator/schedule/schedule_int.h"

#define SELECTED_NODE "volume.kubernetes.io/selected-node"

struct claim {
	struct claim *next;
	const struct core_v1_persistent_volume
		*pv; /* bound: this one; NULL: waits for its consumer */
	const struct storage_v1_storage_class *class;
	struct str selected;
};

static struct str
claim_name(const struct core_v1_pod *pod, const struct core_v1_volume *v, struct arena *a)
{
	if (v->persistent_volume_claim)
		return v->persistent_volume_claim->claim_name;
	if (v->ephemeral)
		return arena_fmt(
			a, STR_FMT "-" STR_FMT, STR_ARG(pod->metadata.name), STR_ARG(v->name));
	return STR_NONE;
}

static const struct core_v1_persistent_volume_claim *
claim_find(struct scheduler *s, struct str ns, struct str name)
{
	_cleanup_buf_ struct buf key = BUF_INIT;
	buf_fmt(&key, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
	const struct informer_obj *o = informer_get(s->claims_i, buf_view(&key));
	return o ? o->obj : NULL;
}

static struct str
annotation(const struct meta_v1_object_meta *m, struct str key)
{
	for (size_t i = 0; i < m->n_annotations; i++)
		if (str_eq(m->annotations[i].key, key))
			return m->annotations[i].value;
	return STR_NONE;
}

static bool
is_bound(const struct core_v1_persistent_volume_claim *pvc)
{
	return pvc->spec.volume_name.n && str_eq(pvc->status.phase, STR("Bound"));
}

bool
volumes_prepare(struct cycle *c, size_t row, struct str *why)
{
	const struct core_v1_pod *pod = c->pod;
	for (size_t i = 0; i < pod->spec.n_volumes; i++) {
		struct str name = claim_name(pod, &pod->spec.volumes[i], c->a);
		if (!name.n)
			continue;
		const struct core_v1_persistent_volume_claim *pvc = claim_find(
			c->s, pod->metadata.namespace, name);
		if (!pvc || pvc->metadata.deletion_timestamp) {
			*why = arena_fmt(c->a, "persistentvolumeclaim \"" STR_FMT "\" %s",
				STR_ARG(name), pvc ? "is being deleted" : "not found");
			return false;
		}
		struct claim *k = ARENA_NEW(c->a, struct claim);
		if (!k)
			return true;
		k->next = c->pre[row];
		k->selected = annotation(&pvc->metadata, STR(SELECTED_NODE));
		const struct informer_obj *class = informer_get(
			c->s->classes_i, pvc->spec.storage_class_name);
		k->class = class ? class->obj : NULL;
		if (is_bound(pvc)) {
			const struct informer_obj *pv = informer_get(
				c->s->volumes_i, pvc->spec.volume_name);
			if (!pv) {
				*why = arena_fmt(c->a, "persistentvolume \"" STR_FMT "\" not found",
					STR_ARG(pvc->spec.volume_name));
				return false;
			}
			k->pv = pv->obj;
		} else if (!k->class ||
			!str_eq(k->class->volume_binding_mode, STR("WaitForFirstConsumer"))) {
			*why = STR("pod has unbound immediate PersistentVolumeClaims");
			return false;
		}
		c->pre[row] = k;
	}
	return true;
}

static bool
topology_allows(const struct storage_v1_storage_class *class, const struct core_v1_node *n)
{
	if (!class->n_allowed_topologies)
		return true;
	for (size_t i = 0; i < class->n_allowed_topologies; i++) {
		const struct core_v1_topology_selector_term *t = &class->allowed_topologies[i];
		bool all = true;
		for (size_t k = 0; all && k < t->n_match_label_expressions; k++) {
			struct str have = node_label(n, t->match_label_expressions[k].key);
			bool one = false;
			for (size_t m = 0; m < t->match_label_expressions[k].n_values; m++)
				one = one ||
					(str_is_set(have) &&
						str_eq(have,
							t->match_label_expressions[k].values[m]));
			all = one;
		}
		if (all)
			return true;
	}
	return false;
}

const char *
volumes_filter(struct cycle *c, size_t row, const struct sched_node *n)
{
	for (const struct claim *k = c->pre[row]; k; k = k->next) {
		const struct core_v1_volume_node_affinity *na = k->pv ? k->pv->spec.node_affinity
								      : NULL;
		if (na && na->required && !match_node_selector(na->required, node_of(n)))
			return "node(s) didn't match PersistentVolume's node affinity";
		if (!k->pv && !topology_allows(k->class, node_of(n)))
			return "node(s) did not have enough free storage";
		if (!k->pv && k->selected.n && !str_eq(k->selected, n->name))
			return "node(s) didn't find available persistent volumes to bind";
	}
	return NULL;
}

size_t
volumes_unbound(struct scheduler *s, const struct core_v1_pod *pod)
{
	size_t n = 0;
	struct arena *a = arena_new(1 << 16);
	for (size_t i = 0; a && i < pod->spec.n_volumes; i++) {
		struct str name = claim_name(pod, &pod->spec.volumes[i], a);
		const struct core_v1_persistent_volume_claim *pvc = name.n
			? claim_find(s, pod->metadata.namespace, name)
			: NULL;
		n += name.n && (!pvc || !is_bound(pvc));
	}
	arena_free(a);
	return n;
}

static void
on_selected(void *arg, const struct client_result *r)
{
	/* A refused patch shows in the claim's informer: the pod's wait ends at its deadline. */
	(void)arg;
	(void)r;
}

int
volumes_bind_start(struct scheduler *s, const struct core_v1_pod *pod, struct str node)
{
	int waiting = 0;
	struct arena *a = arena_new(1 << 16);
	for (size_t i = 0; a && i < pod->spec.n_volumes; i++) {
		struct str name = claim_name(pod, &pod->spec.volumes[i], a);
		const struct core_v1_persistent_volume_claim *pvc = name.n
			? claim_find(s, pod->metadata.namespace, name)
			: NULL;
		if (!pvc || is_bound(pvc))
			continue;
		waiting++;
		if (str_eq(annotation(&pvc->metadata, STR(SELECTED_NODE)), node))
			continue;
		struct str body = arena_fmt(a,
			"{\"metadata\":{\"annotations\":{\"" SELECTED_NODE "\":\"" STR_FMT "\"}}}",
			STR_ARG(node));
		struct client_req req = {.verb = CLIENT_PATCH_MERGE,
			.version = STR("v1"),
			.resource = STR("persistentvolumeclaims"),
			.ns = pod->metadata.namespace,
			.name = name,
			.body = body};
		int rc = client_call_start(s->c, &req, on_selected, NULL, NULL);
		if (rc < 0)
			waiting = rc;
	}
	arena_free(a);
	return waiting;
}
