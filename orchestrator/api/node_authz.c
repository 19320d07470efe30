/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * node_authz: the Node authorizer: what a node may do follows from the pods bound to it. The graph is kept
 * from a watch on pods: for each node its pods, for each pod the names it refers to; claims lead on to
 * volumes, which are read when asked for.
 *
 * Invariant: no opinion unless something says yes (RBAC is asked next); a node never gets more from here
 * than the table of resources below gives it.
 * Beyond upstream: nodes read network policies, and while there is one all pods and namespaces.
 * Source: Kubernetes Node authorization; k8s.io/kubernetes plugin/pkg/auth/authorizer/node. */
#include "orchestrator/api/api_int.h"
#include "orchestrator/kinds/local_volume.h"

#include <stdlib.h>

/* ---- the graph ------------------------------------------------------------------------------------- */

enum ref_kind { REF_SECRET, REF_CONFIGMAP, REF_CLAIM, REF_ACCOUNT, REF_RESOURCE_CLAIM };
struct pod_ref {
	enum ref_kind kind;
	struct str name;
};
struct pod_node {
	struct arena *a;
	struct str ns, name, node;
	struct pod_ref *refs;
	size_t n_refs;
};
struct node_graph {
	struct cache *cache;
	struct map pods;  /* "ns/name" -> struct pod_node */
	struct map nodes; /* node -> struct map of the same pods */
};

static void
ref_add(struct pod_node *p, enum ref_kind kind, struct str name)
{
	if (name.n == 0)
		return;
	struct pod_ref *x = ARENA_PUSH(p->a, p->refs, p->n_refs);
	if (x)
		*x = (struct pod_ref){kind, arena_str(p->a, name)};
}

/* References of a volume (or of a source in a projected one): member -> member that names. */
static const struct {
	struct str source, inner, name;
	enum ref_kind kind;
} volume_refs[] = {
	{STR_INIT("secret"), STR_INIT(""), STR_INIT("secretName"), REF_SECRET},
	{STR_INIT("secret"), STR_INIT(""), STR_INIT("name"), REF_SECRET},
	{STR_INIT("configMap"), STR_INIT(""), STR_INIT("name"), REF_CONFIGMAP},
	{STR_INIT("persistentVolumeClaim"), STR_INIT(""), STR_INIT("claimName"), REF_CLAIM},
	{STR_INIT("csi"), STR_INIT("nodePublishSecretRef"), STR_INIT("name"), REF_SECRET},
	{STR_INIT("cephfs"), STR_INIT("secretRef"), STR_INIT("name"), REF_SECRET},
	{STR_INIT("flexVolume"), STR_INIT("secretRef"), STR_INIT("name"), REF_SECRET},
	{STR_INIT("iscsi"), STR_INIT("secretRef"), STR_INIT("name"), REF_SECRET},
	{STR_INIT("rbd"), STR_INIT("secretRef"), STR_INIT("name"), REF_SECRET},
	{STR_INIT("scaleIO"), STR_INIT("secretRef"), STR_INIT("name"), REF_SECRET},
	{STR_INIT("storageos"), STR_INIT("secretRef"), STR_INIT("name"), REF_SECRET},
	{STR_INIT("azureFile"), STR_INIT(""), STR_INIT("secretName"), REF_SECRET},
};

static void
refs_of_volume(struct pod_node *p, const struct doc *v)
{
	for (size_t i = 0; i < ARRAY_LEN(volume_refs); i++) {
		const struct doc *src = doc_get(v, volume_refs[i].source);
		if (volume_refs[i].inner.n)
			src = doc_get(src, volume_refs[i].inner);
		ref_add(p, volume_refs[i].kind, doc_get_str(src, volume_refs[i].name));
	}
	if (doc_get(v, STR("ephemeral")))
		ref_add(p, REF_CLAIM,
			arena_fmt(p->a, STR_FMT "-" STR_FMT, STR_ARG(p->name),
				STR_ARG(doc_get_str(v, STR("name")))));
	DOC_EACH (s, doc_get(doc_get(v, STR("projected")), STR("sources"))) {
		ref_add(p, REF_SECRET, doc_get_str(doc_get(s, STR("secret")), STR("name")));
		ref_add(p, REF_CONFIGMAP, doc_get_str(doc_get(s, STR("configMap")), STR("name")));
	}
}

static void
refs_of_container(struct pod_node *p, const struct doc *c)
{
	DOC_EACH (e, doc_get(c, STR("env"))) {
		const struct doc *from = doc_get(e, STR("valueFrom"));
		ref_add(p, REF_SECRET,
			doc_get_str(doc_get(from, STR("secretKeyRef")), STR("name")));
		ref_add(p, REF_CONFIGMAP,
			doc_get_str(doc_get(from, STR("configMapKeyRef")), STR("name")));
	}
	DOC_EACH (e, doc_get(c, STR("envFrom"))) {
		ref_add(p, REF_SECRET, doc_get_str(doc_get(e, STR("secretRef")), STR("name")));
		ref_add(p, REF_CONFIGMAP,
			doc_get_str(doc_get(e, STR("configMapRef")), STR("name")));
	}
}

static void
refs_of_pod(struct pod_node *p, const struct doc *pod)
{
	static const struct str containers[] = {STR_INIT("containers"), STR_INIT("initContainers"),
		STR_INIT("ephemeralContainers")};
	const struct doc *spec = doc_get(pod, STR("spec"));
	for (size_t i = 0; i < ARRAY_LEN(containers); i++)
		DOC_EACH (c, doc_get(spec, containers[i]))
			refs_of_container(p, c);
	DOC_EACH (v, doc_get(spec, STR("volumes")))
		refs_of_volume(p, v);
	DOC_EACH (s, doc_get(spec, STR("imagePullSecrets")))
		ref_add(p, REF_SECRET, doc_get_str(s, STR("name")));
	DOC_EACH (c, doc_get(doc_get(pod, STR("status")), STR("resourceClaimStatuses")))
		ref_add(p, REF_RESOURCE_CLAIM, doc_get_str(c, STR("resourceClaimName")));
	DOC_EACH (c, doc_get(spec, STR("resourceClaims")))
		ref_add(p, REF_RESOURCE_CLAIM, doc_get_str(c, STR("resourceClaimName")));
	ref_add(p, REF_ACCOUNT, doc_get_str(spec, STR("serviceAccountName")));
}

static struct str
pod_key(struct arena *a, struct store_key key)
{
	return arena_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(key.ns), STR_ARG(key.name));
}

static void
pod_forget(struct node_graph *g, struct str key)
{
	struct pod_node *p = map_del(&g->pods, key);
	if (!p)
		return;
	struct map *of = map_get(&g->nodes, p->node);
	if (of)
		map_del(of, key);
	if (of && map_len(of) == 0) {
		map_del(&g->nodes, p->node);
		map_release(of);
		free(of);
	}
	arena_free(p->a);
}

static void
pod_del(void *arg, struct store_key key)
{
	struct arena *a = arena_new(0);
	if (a)
		pod_forget(arg, pod_key(a, key));
	arena_free(a);
}

static void
pod_put(void *arg, struct store_key key, struct str body)
{
	struct node_graph *g = arg;
	struct arena *tmp = arena_new(0), *a = arena_new(0);
	struct doc *d = NULL;
	struct pod_node *p = a ? ARENA_NEW(a, struct pod_node) : NULL;
	struct str k = p ? pod_key(a, key) : STR_NONE;
	if (p && tmp && doc_parse_json(tmp, body, NULL, &d, NULL) == 0) {
		pod_forget(g, k);
		*p = (struct pod_node){.a = a,
			.ns = arena_str(a, key.ns),
			.name = arena_str(a, key.name),
			.node = arena_str(
				a, doc_get_str(doc_get(d, STR("spec")), STR("nodeName")))};
		refs_of_pod(p, d);
		struct map *of = p->node.n ? map_get(&g->nodes, p->node) : NULL;
		if (p->node.n && !of && (of = calloc(1, sizeof(*of))) != NULL) {
			map_init(of);
			map_put(&g->nodes, p->node, of, NULL);
		}
		/* a pod without a node gives nobody anything */
		if (of && map_put(&g->pods, k, p, NULL) == 0) {
			map_put(of, k, p, NULL);
			a = NULL;
		}
	}
	arena_free(tmp);
	arena_free(a);
}

static void
graph_reset(void *arg)
{
	struct node_graph *g = arg;
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&g->nodes, &pos, &key, &v)) {
		map_release(v);
		free(v);
	}
	pos = 0;
	while (map_next(&g->pods, &pos, &key, &v))
		arena_free(((struct pod_node *)v)->a);
	map_release(&g->nodes);
	map_release(&g->pods);
	map_init(&g->nodes);
	map_init(&g->pods);
}

static const struct cache_fns graph_fns = {pod_put, pod_del, graph_reset};

static struct node_graph *
graph_of(struct api_worker *w)
{
	if (!w->graph) {
		struct node_graph *g = calloc(1, sizeof(*g));
		if (!g)
			return NULL;
		map_init(&g->pods);
		map_init(&g->nodes);
		g->cache = cache_new(w, w->s->pods, &graph_fns, g);
		if (!g->cache) {
			free(g);
			return NULL;
		}
		w->graph = g;
	}
	return cache_sync(w->graph->cache) < 0 ? NULL : w->graph;
}

void
node_graph_free(struct node_graph *g)
{
	if (!g)
		return;
	cache_free(g->cache);
	graph_reset(g);
	map_release(&g->pods);
	map_release(&g->nodes);
	free(g);
}

/* ---- questions ------------------------------------------------------------------------------------- */

struct question {
	struct request *r;
	struct api_worker *w;
	struct arena *a;
	const struct authz_attrs *at;
	struct str node;
	struct str why;
};

static bool
node_refers(struct question *q, enum ref_kind kind, struct str ns, struct str name)
{
	struct node_graph *g = graph_of(q->w);
	struct map *of = g ? map_get(&g->nodes, q->node) : NULL;
	size_t pos = 0;
	struct str key;
	void *v;
	while (of && map_next(of, &pos, &key, &v)) {
		const struct pod_node *p = v;
		if (ns.n && !str_eq(p->ns, ns))
			continue;
		for (size_t i = 0; i < p->n_refs; i++)
			if (p->refs[i].kind == kind && str_eq(p->refs[i].name, name))
				return true;
	}
	return false;
}

static int
read_object(
	struct question *q, const char *resource, struct str ns, struct str name, struct doc **ret)
{
	const struct api_resource *res = api_resource_find(
		q->w->s, STR(""), STR("v1"), str_c(resource));
	struct store_value v;
	if (!res || res->store_res == API_NO_STORE)
		return -ENOENT;
	int rc = store_get(q->w->s->store, (struct store_key){res->store_res, ns, name}, q->a, &v);
	return rc < 0 ? rc : doc_parse_json(q->a, v.body, NULL, ret, NULL);
}

static int
read_spec(
	struct question *q, const char *resource, struct str ns, struct str name, struct doc **ret)
{
	struct doc *d = NULL;
	int rc = read_object(q, resource, ns, name, &d);
	if (rc == 0)
		*ret = doc_get(d, STR("spec"));
	return rc;
}

/* A volume belongs to a node when the claim it is bound to does. */
static bool
node_has_volume(struct question *q, struct str volume)
{
	struct doc *pv = NULL;
	if (read_spec(q, "persistentvolumes", STR(""), volume, &pv) < 0)
		return false;
	const struct doc *claim = doc_get(pv, STR("claimRef"));
	return claim &&
		node_refers(q, REF_CLAIM, doc_get_str(claim, STR("namespace")),
			doc_get_str(claim, STR("name")));
}

/* Secrets that a volume names in its CSI source: of the namespace in the reference. */
static bool
volume_secret(struct question *q, struct str ns, struct str name)
{
	static const struct str refs[] = {STR_INIT("nodePublishSecretRef"),
		STR_INIT("nodeStageSecretRef"), STR_INIT("nodeExpandSecretRef")};
	struct node_graph *g = graph_of(q->w);
	struct map *of = g ? map_get(&g->nodes, q->node) : NULL;
	size_t pos = 0;
	struct str key;
	void *v;
	while (of && map_next(of, &pos, &key, &v)) {
		const struct pod_node *p = v;
		for (size_t i = 0; i < p->n_refs; i++) {
			struct doc *pvc = NULL, *pv = NULL;
			if (p->refs[i].kind != REF_CLAIM ||
				read_spec(q, "persistentvolumeclaims", p->ns, p->refs[i].name,
					&pvc) < 0 ||
				read_spec(q, "persistentvolumes", STR(""),
					doc_get_str(pvc, STR("volumeName")), &pv) < 0)
				continue;
			for (size_t k = 0; k < ARRAY_LEN(refs); k++) {
				const struct doc *ref = doc_get(doc_get(pv, STR("csi")), refs[k]);
				if (str_eq(doc_get_str(ref, STR("name")), name) &&
					str_eq(doc_get_str(ref, STR("namespace")), ns))
					return true;
			}
		}
	}
	return false;
}

static bool
verb_in(const struct question *q, const char *list)
{
	struct str rest = str_c(list), v;
	while (str_next(&rest, ',', &v))
		if (str_eq(v, q->at->verb))
			return true;
	return false;
}

static const char no_path[] = "no relationship found between node '%.*s' and this object";

static enum decision
by_ref(struct question *q, enum ref_kind kind, const char *verbs, const char *sub)
{
	const struct authz_attrs *at = q->at;
	if (!verb_in(q, verbs) || !str_eq_c(at->subresource, sub)) {
		q->why = STR("can only read resources of this type");
		return NO_OPINION;
	}
	if (at->name.n == 0) {
		q->why = STR("No Object name found");
		return NO_OPINION;
	}
	if (at->ns.n && node_refers(q, kind, at->ns, at->name))
		return ALLOW;
	if (kind == REF_SECRET && at->ns.n && volume_secret(q, at->ns, at->name))
		return ALLOW;
	q->why = arena_fmt(q->a, no_path, STR_ARG(q->node));
	return NO_OPINION;
}

static enum decision
ask_secret(struct question *q)
{
	return by_ref(q, REF_SECRET, "get,list,watch", "");
}

static enum decision
ask_configmap(struct question *q)
{
	return by_ref(q, REF_CONFIGMAP, "get,list,watch", "");
}

static enum decision
ask_claim(struct question *q)
{
	if (str_eq(q->at->subresource, STR("status")))
		return by_ref(q, REF_CLAIM, "update,patch", "status");
	return by_ref(q, REF_CLAIM, "get", "");
}

static enum decision
ask_resource_claim(struct question *q)
{
	return by_ref(q, REF_RESOURCE_CLAIM, "get", "");
}

/* The one value a selector of labels or fields asks of `key`, or STR_NONE. */
static struct str
selector_is(struct str selector, struct str key)
{
	struct str rest = selector, term, k, v;
	while (selector.n && str_next(&rest, ',', &term)) {
		if (!str_cut(term, '=', &k, &v) || !str_eq(k, key))
			continue;
		return str_starts(v, STR("=")) ? str_sub(v, 1, SIZE_MAX) : v;
	}
	return STR_NONE;
}

/* A node-local volume is watched by the node that has it, which says when its directory is gone
 * (NodeRestriction: nothing else). */
static bool
local_volume(struct question *q)
{
	struct doc *pv = NULL;
	struct str n = selector_is(q->at->label_selector, STR(LOCAL_VOLUME_NODE));
	if (verb_in(q, "list,watch"))
		return str_is_set(n) && str_eq(n, q->node);
	return verb_in(q, "get,update,patch") &&
		read_object(q, "persistentvolumes", STR(""), q->at->name, &pv) == 0 &&
		str_eq(doc_get_str(doc_get(doc_get(pv, STR("metadata")), STR("labels")),
			       STR(LOCAL_VOLUME_NODE)),
			q->node);
}

static enum decision
ask_volume(struct question *q)
{
	if (q->at->subresource.n == 0 &&
		(local_volume(q) || (verb_in(q, "get") && node_has_volume(q, q->at->name))))
		return ALLOW;
	q->why = arena_fmt(q->a, no_path, STR_ARG(q->node));
	return NO_OPINION;
}

/* names_node: the object asked for names the node in its spec. */
static bool
names_node(struct question *q)
{
	const struct api_resource *res = api_resource_find(
		q->w->s, q->at->group, STR("v1"), q->at->resource);
	struct store_value v;
	struct doc *d = NULL;
	return res && res->store_res != API_NO_STORE &&
		store_get(q->w->s->store,
			(struct store_key){res->store_res, q->at->ns, q->at->name}, q->a,
			&v) == 0 &&
		doc_parse_json(q->a, v.body, NULL, &d, NULL) == 0 &&
		str_eq(doc_get_str(doc_get(d, STR("spec")), STR("nodeName")), q->node);
}

static enum decision
ask_attachment(struct question *q)
{
	if (verb_in(q, "get") && names_node(q))
		return ALLOW;
	q->why = arena_fmt(q->a, no_path, STR_ARG(q->node));
	return NO_OPINION;
}

/* Requests for pods' certificates: what they may say NodeRestriction looks at. */
static enum decision
ask_certificate(struct question *q)
{
	struct str n = selector_is(q->at->field_selector, STR("spec.nodeName"));
	if (q->at->subresource.n) {
		q->why = STR(
			"nodes may not access the status subresource of PodCertificateRequests");
	} else if (verb_in(q, "create") || (verb_in(q, "get") && names_node(q)) ||
		(verb_in(q, "list,watch") && str_is_set(n) && str_eq(n, q->node))) {
		return ALLOW;
	} else if (verb_in(q, "get")) {
		q->why = arena_fmt(q->a, no_path, STR_ARG(q->node));
	} else if (verb_in(q, "list,watch")) {
		q->why = STR(
			"can only list/watch podcertificaterequests with nodeName field selector");
	} else {
		q->why = arena_fmt(q->a, "nodes may not " STR_FMT " podcertificaterequests",
			STR_ARG(q->at->verb));
	}
	return NO_OPINION;
}

static enum decision
ask_account(struct question *q)
{
	if (str_eq(q->at->verb, STR("get")))
		return by_ref(q, REF_ACCOUNT, "get", "");
	return by_ref(q, REF_ACCOUNT, "create", "token");
}

/* Objects named like the node; the name of a new one is checked by NodeRestriction. */
static enum decision
by_name(struct question *q, const char *verbs)
{
	if (!verb_in(q, verbs))
		return NO_OPINION;
	if (!str_eq(q->at->verb, STR("create")) && !str_eq(q->at->name, q->node)) {
		q->why = STR("can only access objects with the same name as the requesting node");
		return NO_OPINION;
	}
	return ALLOW;
}

static enum decision
ask_lease(struct question *q)
{
	if (!str_eq(q->at->ns, STR("kube-node-lease"))) {
		q->why = STR("can only access leases in the \"kube-node-lease\" system namespace");
		return NO_OPINION;
	}
	return by_name(q, "get,create,update,patch,delete");
}

static enum decision
ask_csinode(struct question *q)
{
	return q->at->subresource.n ? NO_OPINION : by_name(q, "get,create,update,patch,delete");
}

static enum decision
ask_slice(struct question *q)
{
	if (verb_in(q, "get,update,patch,delete,create"))
		return ALLOW; /* NodeRestriction looks at spec.nodeName */
	struct str n = selector_is(q->at->field_selector, STR("spec.nodeName"));
	return verb_in(q, "list,watch,deletecollection") && str_is_set(n) && str_eq(n, q->node)
		? ALLOW
		: NO_OPINION;
}

static enum decision
ask_node(struct question *q)
{
	bool status = str_eq(q->at->subresource, STR("status"));
	if (q->at->subresource.n && !status)
		return NO_OPINION;
	if (status)
		return by_name(q, "update,patch");
	if (verb_in(q, "create,update,patch"))
		return by_name(q, "create,update,patch");
	if (verb_in(q, "get") && str_eq(q->at->name, q->node))
		return ALLOW;
	if (verb_in(q, "list,watch") && str_eq(q->at->name, q->node))
		return ALLOW;
	q->why = STR("node cannot read other nodes");
	return NO_OPINION;
}

/* policies_exist: each node keeps the network policies of its pods, which name other pods and namespaces by labels. */
static bool
policies_exist(const struct question *q)
{
	struct api_server *s = q->w->s;
	const struct api_resource *res = api_resource_find(
		s, STR("networking.k8s.io"), STR("v1"), STR("networkpolicies"));
	return res && store_count(s->store, res->store_res, STR("")) > 0;
}

/* ask_namespace: all of them, while there is a network policy. */
static enum decision
ask_namespace(struct question *q)
{
	return !q->at->subresource.n && verb_in(q, "list,watch") && policies_exist(q) ? ALLOW
										      : NO_OPINION;
}

static enum decision
ask_pod(struct question *q)
{
	const struct authz_attrs *at = q->at;
	struct node_graph *g = NULL;
	if (at->subresource.n)
		return (str_eq(at->subresource, STR("status")) && verb_in(q, "update,patch")) ||
				(str_eq(at->subresource, STR("eviction")) && verb_in(q, "create"))
			? ALLOW /* NodeRestriction: of pods bound to it only */
			: NO_OPINION;
	if (verb_in(q, "create,delete"))
		return ALLOW; /* NodeRestriction: mirror pods; pods bound to it */
	if (verb_in(q, "list,watch")) {
		struct str n = selector_is(at->field_selector, STR("spec.nodeName"));
		bool all = !at->name.n && !at->ns.n && !str_is_set(n);
		if ((str_is_set(n) && str_eq(n, q->node)) || (all && policies_exist(q)))
			return ALLOW;
		q->why = STR("can only list/watch pods with spec.nodeName field selector");
	}
	if (verb_in(q, "get") || (verb_in(q, "list,watch") && at->name.n)) {
		g = graph_of(q->w);
		struct str key = pod_key(q->a, (struct store_key){0, at->ns, at->name});
		const struct pod_node *p = g ? map_get(&g->pods, key) : NULL;
		if (p && str_eq(p->node, q->node))
			return ALLOW;
		q->why = arena_fmt(q->a, no_path, STR_ARG(q->node));
	}
	return NO_OPINION;
}

/* Whatever is not below is not subdivided: verbs only. */
static const struct {
	struct str group, resource;
	enum decision (*ask)(struct question *q);
	const char *verbs, *sub;
} table[] = {
	{STR_INIT(""), STR_INIT("secrets"), ask_secret, "", ""},
	{STR_INIT(""), STR_INIT("configmaps"), ask_configmap, "", ""},
	{STR_INIT(""), STR_INIT("persistentvolumeclaims"), ask_claim, "", ""},
	{STR_INIT(""), STR_INIT("persistentvolumes"), ask_volume, "", ""},
	{STR_INIT("resource.k8s.io"), STR_INIT("resourceclaims"), ask_resource_claim, "", ""},
	{STR_INIT("resource.k8s.io"), STR_INIT("resourceslices"), ask_slice, "", ""},
	{STR_INIT("storage.k8s.io"), STR_INIT("volumeattachments"), ask_attachment, "", ""},
	{STR_INIT("storage.k8s.io"), STR_INIT("csinodes"), ask_csinode, "", ""},
	{STR_INIT("certificates.k8s.io"), STR_INIT("podcertificaterequests"), ask_certificate, "",
		""},
	{STR_INIT(""), STR_INIT("serviceaccounts"), ask_account, "", ""},
	{STR_INIT("coordination.k8s.io"), STR_INIT("leases"), ask_lease, "", ""},
	{STR_INIT(""), STR_INIT("nodes"), ask_node, "", ""},
	{STR_INIT(""), STR_INIT("pods"), ask_pod, "", ""},
	{STR_INIT("authentication.k8s.io"), STR_INIT("tokenreviews"), NULL, "create", ""},
	{STR_INIT("authorization.k8s.io"), STR_INIT("subjectaccessreviews"), NULL, "create", ""},
	{STR_INIT("authorization.k8s.io"), STR_INIT("localsubjectaccessreviews"), NULL, "create",
		""},
	{STR_INIT(""), STR_INIT("services"), NULL, "get,list,watch", ""},
	{STR_INIT(""), STR_INIT("events"), NULL, "create,update,patch", ""},
	{STR_INIT("events.k8s.io"), STR_INIT("events"), NULL, "create,update,patch", ""},
	{STR_INIT(""), STR_INIT("endpoints"), NULL, "get", ""},
	{STR_INIT("certificates.k8s.io"), STR_INIT("certificatesigningrequests"), NULL,
		"create,get,list,watch", ""},
	{STR_INIT("certificates.k8s.io"), STR_INIT("clustertrustbundles"), NULL, "get,list,watch",
		""},
	{STR_INIT("storage.k8s.io"), STR_INIT("csidrivers"), NULL, "get,list,watch", ""},
	{STR_INIT("node.k8s.io"), STR_INIT("runtimeclasses"), NULL, "get,list,watch", ""},
	{STR_INIT("networking.k8s.io"), STR_INIT("networkpolicies"), NULL, "get,list,watch", ""},
	{STR_INIT(""), STR_INIT("namespaces"), ask_namespace, "", ""},
};

enum decision
node_authorize(struct request *r, struct api_worker *w, struct arena *a,
	const struct authz_attrs *at, struct str node, struct str *ret_why)
{
	if (!at->is_resource || node.n == 0)
		return NO_OPINION;
	struct question q = {.r = r, .w = w, .a = a, .at = at, .node = node};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (!str_eq(table[i].group, at->group) || !str_eq(table[i].resource, at->resource))
			continue;
		enum decision d = NO_OPINION;
		if (table[i].ask)
			d = table[i].ask(&q);
		else if (verb_in(&q, table[i].verbs) && str_eq_c(at->subresource, table[i].sub))
			d = ALLOW;
		if (d != ALLOW && ret_why && q.why.n)
			*ret_why = q.why;
		return d;
	}
	return NO_OPINION;
}
