/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * volumes: where a pod's claims let it run: bound volumes by their node affinity; claims of classes with
 * WaitForFirstConsumer where a free volume fits them, else anywhere the class can make one. Before the pod
 * is bound the chosen volume gets the claim's name, or the claim the node's, and the pod waits until the
 * binder has bound them. Source: kube-scheduler plugins/volumebinding; the annotation
 * volume.kubernetes.io/selected-node is what provisioners watch. */
#include "orchestrator/schedule/schedule_int.h"

#include "orchestrator/schema/volume_fit.h"

#define SELECTED_NODE "volume.kubernetes.io/selected-node"

struct claim {
	struct claim *next;
	const struct core_v1_persistent_volume
		*pv; /* bound: this one; NULL: waits for its consumer */
	const struct core_v1_persistent_volume_claim *pvc;
	const struct storage_v1_storage_class *class;
	struct selector sel;
	struct str selected;
	size_t volume;                     /* of the pod's */
	const struct informer_obj *chosen; /* by static_volume, for the node last asked about */
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

/* static_volume: the smallest free volume that fits the claim on the node and that no claim before it in
 * the pod (those behind k in the list) has chosen; NULL = none. */
static const struct informer_obj *
static_volume(struct scheduler *s, const struct claim *k, const struct core_v1_node *n)
{
	const struct informer_obj *v, *best = NULL;
	for (size_t pos = 0; (v = informer_next(s->volumes_i, &pos));) {
		const struct core_v1_persistent_volume *pv = v->obj;
		const struct core_v1_volume_node_affinity *na = pv->spec.node_affinity;
		bool taken = false;
		for (const struct claim *other = k->next; other; other = other->next)
			taken = taken || other->chosen == v;
		if (taken || !volume_fits(pv, k->pvc, &k->sel) ||
			(na && na->required && !match_node_selector(na->required, n)))
			continue;
		if (pv->spec.claim_ref)
			return v;
		if (volume_smaller(pv, best ? best->obj : NULL))
			best = v;
	}
	return best;
}

static bool
is_bound(const struct core_v1_persistent_volume_claim *pvc)
{
	return pvc->spec.volume_name.n && str_eq(pvc->status.phase, STR("Bound"));
}

/* not_of_pod: why a claim that only has the right name is not taken. */
static struct str
not_of_pod(struct arena *a, const struct core_v1_persistent_volume_claim *pvc,
	const struct core_v1_pod *pod)
{
	const struct meta_v1_object_meta *m = &pvc->metadata, *p = &pod->metadata;
	return arena_fmt(a,
		"PVC " STR_FMT "/" STR_FMT " was not created for pod " STR_FMT "/" STR_FMT
		" (pod is not owner)",
		STR_ARG(m->namespace), STR_ARG(m->name), STR_ARG(p->namespace), STR_ARG(p->name));
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
		bool made = pod->spec.volumes[i].ephemeral != NULL;
		if (!pvc && made) {
			*why = arena_fmt(c->a,
				"waiting for ephemeral volume controller to create the "
				"persistentvolumeclaim \"" STR_FMT "\"",
				STR_ARG(name));
			return false;
		}
		if (pvc && made && !claim_is_of_pod(pvc, pod)) {
			*why = not_of_pod(c->a, pvc, pod);
			return false;
		}
		if (!pvc || pvc->metadata.deletion_timestamp) {
			*why = arena_fmt(c->a, "persistentvolumeclaim \"" STR_FMT "\" %s",
				STR_ARG(name), pvc ? "is being deleted" : "not found");
			return false;
		}
		struct claim *k = ARENA_NEW(c->a, struct claim);
		if (!k)
			return true;
		k->next = c->pre[row];
		k->pvc = pvc;
		if (claim_selector(c->a, pvc, &k->sel) < 0)
			k->sel.nothing = true;
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

/* unbound_fits: one that was given a node is made there; another takes what is there, or is made. */
static bool
unbound_fits(struct cycle *c, struct claim *k, const struct sched_node *n)
{
	k->chosen = NULL;
	if (k->selected.n)
		return str_eq(k->selected, n->name);
	k->chosen = static_volume(c->s, k, node_of(n));
	return k->chosen ||
		(!str_eq(k->class->provisioner, STR("kubernetes.io/no-provisioner")) &&
			topology_allows(k->class, node_of(n)));
}

const char *
volumes_filter(struct cycle *c, size_t row, const struct sched_node *n)
{
	struct claim *order[64];
	size_t n_order = 0;
	for (struct claim *k = c->pre[row]; k; k = k->next) {
		const struct core_v1_volume_node_affinity *na = k->pv ? k->pv->spec.node_affinity
								      : NULL;
		if (na && na->required && !match_node_selector(na->required, node_of(n)))
			return "node(s) didn't match PersistentVolume's node affinity";
		if (!k->pv && n_order < ARRAY_LEN(order))
			order[n_order++] = k;
	}
	/* From the end of the list: a claim knows what those behind it chose. */
	while (n_order)
		if (!unbound_fits(c, order[--n_order], n))
			return "node(s) didn't find available persistent volumes to bind";
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

/* ---- binding ---- */

/* unbound_list: the pod's claims that are not bound, in the shape static_volume wants. arena. */
static struct claim *
unbound_list(struct scheduler *s, const struct core_v1_pod *pod, const struct core_v1_node *n,
	struct arena *a)
{
	struct claim *list = NULL;
	for (size_t i = 0; i < pod->spec.n_volumes; i++) {
		struct str name = claim_name(pod, &pod->spec.volumes[i], a);
		const struct core_v1_persistent_volume_claim *pvc = name.n
			? claim_find(s, pod->metadata.namespace, name)
			: NULL;
		struct claim *k = pvc && !is_bound(pvc) ? ARENA_NEW(a, struct claim) : NULL;
		if (!k)
			continue;
		*k = (struct claim){.next = list,
			.pvc = pvc,
			.volume = i,
			.selected = annotation(&pvc->metadata, STR(SELECTED_NODE))};
		if (claim_selector(a, pvc, &k->sel) < 0)
			k->sel.nothing = true;
		if (!k->selected.n)
			k->chosen = static_volume(s, k, n);
		list = k;
	}
	return list;
}

/* claim_req: the write that has this claim bound; false = none is needed. */
static bool
claim_req(const struct claim *k, struct str node, struct arena *a, struct client_req *ret)
{
	const struct meta_v1_object_meta *m = &k->pvc->metadata;
	const struct core_v1_persistent_volume *pv = k->chosen ? k->chosen->obj : NULL;
	*ret = (struct client_req){.verb = CLIENT_PATCH_MERGE, .version = STR("v1")};
	if (pv) {
		ret->resource = STR("persistentvolumes");
		ret->name = k->chosen->name;
		ret->body = arena_fmt(a,
			"{\"metadata\":{\"resourceVersion\":\"" STR_FMT
			"\",\"annotations\":{\"pv.kubernetes.io/bound-by-controller\":\"yes\"}},"
			"\"spec\":{\"claimRef\":{\"apiVersion\":\"v1\",\"kind\":\"PersistentVolumeClaim\","
			"\"namespace\":\"" STR_FMT "\",\"name\":\"" STR_FMT "\",\"uid\":\"" STR_FMT
			"\"}}}",
			STR_ARG(pv->metadata.resource_version), STR_ARG(m->namespace),
			STR_ARG(m->name), STR_ARG(m->uid));
		return !pv->spec.claim_ref || !pv->spec.claim_ref->uid.n;
	}
	ret->resource = STR("persistentvolumeclaims");
	ret->ns = m->namespace;
	ret->name = m->name;
	ret->body = arena_fmt(a,
		"{\"metadata\":{\"annotations\":{\"" SELECTED_NODE "\":\"" STR_FMT "\"}}}",
		STR_ARG(node));
	return !str_eq(k->selected, node);
}

int
volumes_bind_next(struct sched_pod *p, size_t *at, client_done_fn *done)
{
	struct arena *a = arena_new(1 << 18);
	const struct claim *first = NULL;
	struct client_req req;
	int rc = a ? 0 : -ENOMEM;
	for (const struct claim *k = a && p->node->obj
			? unbound_list(p->s, pod_of(p), node_of(p->node), a)
			: NULL;
		k; k = k->next)
		if (k->volume >= *at && claim_req(k, p->node->name, a, &req))
			first = k; /* the list begins with the last volume */
	if (first) {
		*at = first->volume + 1;
		claim_req(first, p->node->name, a, &req);
		rc = arena_failed(a) ? -ENOMEM
				     : client_call_start(p->s->c, &req, done, p, &p->call);
		rc = rc < 0 ? rc : 1;
	}
	arena_free(a);
	return rc;
}
