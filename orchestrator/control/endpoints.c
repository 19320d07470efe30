/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * endpoints: the older Endpoints object of every Service with a selector: addresses of its first family,
 * at most 1,000. Source: kube-controller-manager pkg/controller/endpoint. */
#include "orchestrator/control/service_pods.h"

#include <stdlib.h>

#define ENDPOINTS_MAX 1000

struct endpoints_controller {
	struct control *ctl;
	struct client *c;
	struct queue *q;
	struct informer *services, *pods, *nodes, *endpoints;
};

static struct doc *
address_doc(struct arena *a, const struct service_endpoint *e)
{
	struct doc *d = doc_map(a);
	if (!d)
		return NULL;
	doc_set_str(a, d, STR("ip"), e->ip);
	if (e->hostname.n)
		doc_set_str(a, d, STR("hostname"), e->hostname);
	if (e->pod->spec.node_name.n)
		doc_set_str(a, d, STR("nodeName"), e->pod->spec.node_name);
	struct doc *ref = doc_ensure_map(a, d, STR("targetRef"));
	doc_set_str(a, ref, STR("kind"), STR("Pod"));
	doc_set_str(a, ref, STR("namespace"), e->o->ns);
	doc_set_str(a, ref, STR("name"), e->o->name);
	doc_set_str(a, ref, STR("uid"), e->o->uid);
	return d;
}

static void
put_subset(struct arena *a, struct doc *subsets, const struct service_group *g)
{
	struct doc *d = doc_map(a), *yes = doc_list(a), *no = doc_list(a), *ports = doc_list(a);
	if (!d || !yes || !no || !ports || !g->n_eps)
		return;
	for (size_t i = 0; i < g->n_eps && i < ENDPOINTS_MAX; i++)
		doc_append(g->eps[i].ready ? yes : no, address_doc(a, &g->eps[i]));
	for (size_t i = 0; i < g->n_ports; i++) {
		struct doc *p = doc_map(a);
		if (!p)
			return;
		if (g->ports[i].name.n)
			doc_set_str(a, p, STR("name"), g->ports[i].name);
		doc_set_int(a, p, STR("port"), g->ports[i].number);
		doc_set_str(a, p, STR("protocol"), g->ports[i].protocol);
		if (g->ports[i].app_protocol.n)
			doc_set_str(a, p, STR("appProtocol"), g->ports[i].app_protocol);
		doc_append(ports, p);
	}
	if (doc_len(yes))
		doc_set(d, STR("addresses"), yes);
	if (doc_len(no))
		doc_set(d, STR("notReadyAddresses"), no);
	if (doc_len(ports))
		doc_set(d, STR("ports"), ports);
	doc_append(subsets, d);
}

static struct doc *
endpoints_doc(struct arena *a, const struct informer_obj *service, struct doc *subsets,
	const struct informer_obj *now)
{
	const struct core_v1_service *svc = service->obj;
	struct doc *d = doc_map(a), *meta = doc_map(a), *labels = doc_map(a);
	if (!d || !meta || !labels)
		return NULL;
	for (size_t i = 0; i < svc->metadata.n_labels; i++)
		doc_set_str(a, labels, svc->metadata.labels[i].key, svc->metadata.labels[i].value);
	doc_set_str(
		a, labels, STR("endpoints.kubernetes.io/managed-by"), STR("endpoint-controller"));
	if (str_eq(svc->spec.cluster_ip, STR("None")))
		doc_set_str(a, labels, STR("service.kubernetes.io/headless"), STR(""));
	doc_set_str(a, meta, STR("name"), service->name);
	doc_set_str(a, meta, STR("namespace"), service->ns);
	doc_set(meta, STR("labels"), labels);
	if (now)
		doc_set_str(a, meta, STR("resourceVersion"),
			control_meta(CONTROL_ENDPOINTS, now)->resource_version);
	doc_set(d, STR("metadata"), meta);
	doc_set(d, STR("subsets"), subsets);
	return d;
}

static bool
same(struct arena *a, const struct informer_obj *now, const struct doc *want)
{
	const struct doc *have = schema_from_struct(a, control_type(CONTROL_ENDPOINTS), now->obj);
	const struct doc *x = doc_get(have, STR("subsets")), *y = doc_get(want, STR("subsets"));
	bool subsets = doc_equal(x, y) || (doc_is_empty(x) && doc_is_empty(y));
	return subsets &&
		doc_equal(doc_get(doc_get(have, STR("metadata")), STR("labels")),
			doc_get(doc_get(want, STR("metadata")), STR("labels")));
}

static void
sync_service(struct endpoints_controller *k, struct arena *a, const struct informer_obj *service,
	struct control_batch *b)
{
	const struct core_v1_service *svc = service->obj;
	const struct informer_obj *now = informer_get(k->endpoints, service->key);
	struct control_path path = {.resource = CONTROL_ENDPOINTS, .ns = service->ns};
	struct doc *subsets = doc_list(a);
	size_t n = 0;
	if (!svc->spec.n_selector || svc->metadata.deletion_timestamp || !subsets ||
		str_eq(svc->spec.type, STR("ExternalName")))
		return;
	bool v6 = svc->spec.n_ip_families && str_eq(svc->spec.ip_families[0], STR("IPv6"));
	struct service_group *g = service_groups(a, k->pods, k->nodes, service, false, &n);
	for (size_t i = 0; i < n; i++)
		if (g[i].v6 == v6)
			put_subset(a, subsets, &g[i]);
	struct doc *d = endpoints_doc(a, service, subsets, now);
	if (!d || (now && same(a, now, d)))
		return;
	if (now)
		path.name = service->name;
	batch_write(b, k->c, now ? CLIENT_UPDATE : CLIENT_CREATE, &path, d);
}

static void
on_key(void *arg, struct str key)
{
	struct endpoints_controller *k = arg;
	const struct informer_obj *o = informer_get(k->services, key);
	struct arena *a = arena_new(0);
	struct control_batch *b = a ? batch_new(k->q, key) : NULL;
	if (!b) {
		if (!a)
			queue_done(k->q, key, true);
		arena_free(a);
		return;
	}
	if (o) {
		sync_service(k, a, o, b);
	} else {
		const struct informer_obj *left = informer_get(k->endpoints, key);
		struct str managed = left ? control_label(control_meta(CONTROL_ENDPOINTS, left),
						    STR("endpoints.kubernetes.io/managed-by"))
					  : STR_NONE;
		struct control_path path = {.resource = CONTROL_ENDPOINTS};
		if (left && str_is_set(managed)) {
			path.ns = left->ns;
			path.name = left->name;
			batch_write_text(b, k->c, CLIENT_DELETE, &path, STR_NONE);
		}
	}
	batch_close(b);
	arena_free(a);
}

static void
put_key(void *ctx, struct str key)
{
	struct endpoints_controller *k = ctx;
	queue_add(k->q, key);
}

static void
on_object(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct endpoints_controller *k = arg;
	if (control_ready(k->ctl))
		queue_add(k->q, (new_ ? new_ : old)->key);
}

static void
on_pod(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct endpoints_controller *k = arg;
	if (!control_ready(k->ctl) || (old && new_ && !pod_endpoint_differs(old->obj, new_->obj)))
		return;
	if (old)
		service_of_pod(k->services, old, put_key, k);
	if (new_)
		service_of_pod(k->services, new_, put_key, k);
}

static void
endpoints_ready(void *self)
{
	struct endpoints_controller *k = self;
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_next(k->services, &pos));)
		queue_add(k->q, o->key);
	for (size_t pos = 0; (o = informer_next(k->endpoints, &pos));)
		queue_add(k->q, o->key);
}

static void
endpoints_stop(void *self)
{
	struct endpoints_controller *k = self;
	queue_free(k->q);
	free(k);
}

static int
endpoints_start(struct control *ctl, struct client *c, void **ret)
{
	struct endpoints_controller *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->ctl = ctl;
	k->c = c;
	k->q = queue_new(control_loop(ctl), "endpoints", 16, on_key, k);
	k->services = control_informer(ctl, CONTROL_SERVICES);
	k->pods = control_informer(ctl, CONTROL_PODS);
	k->nodes = control_informer(ctl, CONTROL_NODES);
	k->endpoints = control_informer(ctl, CONTROL_ENDPOINTS);
	*ret = k;
	if (!k->q || !k->services || !k->pods || !k->nodes || !k->endpoints ||
		informer_add_handler(k->services, on_object, NULL, k) < 0 ||
		informer_add_handler(k->pods, on_pod, NULL, k) < 0 ||
		informer_add_handler(k->endpoints, on_object, NULL, k) < 0)
		return -ENOMEM;
	return 0;
}

const struct controller endpoints_controller = {
	"endpoint-controller", endpoints_start, endpoints_ready, endpoints_stop};
