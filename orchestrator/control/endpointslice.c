/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * endpointslice: the EndpointSlices of every Service that has a selector: at most 100 endpoints each, one
 * family and one meaning of ports a slice. Endpoints stay in the slice they are in, so that one pod's
 * change is one small write. Source: KEP-752, KEP-1672 (terminating endpoints). */
#include "orchestrator/control/service_pods.h"

#include "kinds/discovery_v1.h"

#include <stdlib.h>

#define SLICE_MAX 100
#define MANAGER STR("endpointslice-controller.k8s.io")
#define MANAGED_BY STR("endpointslice.kubernetes.io/managed-by")
#define SERVICE_NAME STR("kubernetes.io/service-name")
#define HEADLESS STR("service.kubernetes.io/headless")

struct slice_controller {
	struct control *ctl;
	struct client *c;
	struct queue *q;
	struct informer *services, *pods, *nodes, *slices;
};

/* A slice as it is to be. */
struct plan {
	const struct informer_obj *o; /* NULL = to be made */
	const struct service_group *group;
	const struct service_endpoint **eps;
	size_t n;
};

static void
put_endpoint(struct arena *a, struct doc *list, const struct service_endpoint *e)
{
	struct doc *d = doc_map(a), *ips = doc_list(a), *ref;
	if (!d || !ips)
		return;
	doc_append(ips, doc_str(a, e->ip));
	doc_set(d, STR("addresses"), ips);
	struct doc *k = doc_ensure_map(a, d, STR("conditions"));
	doc_set_bool(a, k, STR("ready"), e->ready);
	doc_set_bool(a, k, STR("serving"), e->serving);
	doc_set_bool(a, k, STR("terminating"), e->terminating);
	if (e->hostname.n)
		doc_set_str(a, d, STR("hostname"), e->hostname);
	ref = doc_ensure_map(a, d, STR("targetRef"));
	doc_set_str(a, ref, STR("kind"), STR("Pod"));
	doc_set_str(a, ref, STR("namespace"), e->o->ns);
	doc_set_str(a, ref, STR("name"), e->o->name);
	doc_set_str(a, ref, STR("uid"), e->o->uid);
	if (e->pod->spec.node_name.n)
		doc_set_str(a, d, STR("nodeName"), e->pod->spec.node_name);
	if (e->zone.n)
		doc_set_str(a, d, STR("zone"), e->zone);
	doc_append(list, d);
}

static struct doc *
ports_doc(struct arena *a, const struct service_group *g)
{
	struct doc *list = doc_list(a);
	for (size_t i = 0; list && i < g->n_ports; i++) {
		struct doc *p = doc_map(a);
		if (!p)
			return NULL;
		doc_set_str(a, p, STR("name"), g->ports[i].name.n ? g->ports[i].name : STR(""));
		doc_set_str(a, p, STR("protocol"), g->ports[i].protocol);
		doc_set_int(a, p, STR("port"), g->ports[i].number);
		if (g->ports[i].app_protocol.n)
			doc_set_str(a, p, STR("appProtocol"), g->ports[i].app_protocol);
		doc_append(list, p);
	}
	return list;
}

static struct doc *
labels_doc(struct arena *a, const struct informer_obj *service)
{
	const struct core_v1_service *svc = service->obj;
	struct doc *d = doc_map(a);
	for (size_t i = 0; d && i < svc->metadata.n_labels; i++)
		doc_set_str(a, d, svc->metadata.labels[i].key, svc->metadata.labels[i].value);
	if (!d)
		return NULL;
	doc_set_str(a, d, SERVICE_NAME, service->name);
	doc_set_str(a, d, MANAGED_BY, MANAGER);
	if (str_eq(svc->spec.cluster_ip, STR("None")))
		doc_set_str(a, d, HEADLESS, STR(""));
	return d;
}

static struct doc *
slice_doc(struct arena *a, const struct informer_obj *service, const struct plan *p)
{
	struct doc *d = doc_map(a), *meta = doc_map(a), *eps = doc_list(a), *owners = doc_list(a);
	if (!d || !meta || !eps || !owners)
		return NULL;
	if (p->o) {
		doc_set_str(a, meta, STR("name"), p->o->name);
		doc_set_str(a, meta, STR("resourceVersion"),
			control_meta(CONTROL_ENDPOINTSLICES, p->o)->resource_version);
	} else {
		const struct str prefix[] = {service->name, STR("-")};
		doc_set_str(a, meta, STR("generateName"), arena_cat(a, prefix, 2));
	}
	doc_set_str(a, meta, STR("namespace"), service->ns);
	doc_set(meta, STR("labels"), labels_doc(a, service));
	doc_append(owners, control_owner_doc(a, CONTROL_SERVICES, service));
	doc_set(meta, STR("ownerReferences"), owners);
	doc_set(d, STR("metadata"), meta);
	doc_set_str(a, d, STR("addressType"), p->group->v6 ? STR("IPv6") : STR("IPv4"));
	for (size_t i = 0; i < p->n; i++)
		put_endpoint(a, eps, p->eps[i]);
	doc_set(d, STR("endpoints"), eps);
	doc_set(d, STR("ports"), ports_doc(a, p->group));
	return arena_failed(a) ? NULL : d;
}

/* ---- comparing with what is there ---- */

static bool
slice_ports_equal(const struct discovery_v1_endpoint_slice *s, const struct service_group *g)
{
	if (str_eq(s->address_type, STR("IPv6")) != g->v6 || s->n_ports != g->n_ports)
		return false;
	for (size_t i = 0; i < g->n_ports; i++)
		if (s->ports[i].port != g->ports[i].number ||
			!str_eq(s->ports[i].name, g->ports[i].name) ||
			!str_eq(s->ports[i].protocol, g->ports[i].protocol) ||
			!str_eq(s->ports[i].app_protocol, g->ports[i].app_protocol))
			return false;
	return true;
}

static bool
endpoint_equal(const struct discovery_v1_endpoint *have, const struct service_endpoint *e)
{
	return have->n_addresses == 1 && str_eq(have->addresses[0], e->ip) &&
		have->conditions.ready == e->ready && have->conditions.serving == e->serving &&
		have->conditions.terminating == e->terminating &&
		str_eq(have->hostname, e->hostname) &&
		str_eq(have->node_name, e->pod->spec.node_name) && str_eq(have->zone, e->zone) &&
		have->target_ref && str_eq(have->target_ref->uid, e->o->uid);
}

static bool
slice_equal(struct arena *a, const struct informer_obj *service, const struct plan *p)
{
	const struct discovery_v1_endpoint_slice *s = p->o->obj;
	struct doc *labels = labels_doc(a, service);
	if (s->n_endpoints != p->n || doc_len(labels) != s->metadata.n_labels)
		return false;
	DOC_EACH (l, labels) {
		struct str have = control_label(&s->metadata, l->key);
		if (!str_is_set(have) || !str_eq(have, l->s))
			return false;
	}
	for (size_t i = 0; i < p->n; i++)
		if (!endpoint_equal(&s->endpoints[i], p->eps[i]))
			return false;
	return true;
}

/* ---- planning ---- */

static bool
take(const struct service_endpoint **left, size_t n, const struct discovery_v1_endpoint *have,
	const struct service_endpoint **ret)
{
	for (size_t i = 0; i < n; i++) {
		if (!left[i] || !have->target_ref ||
			!str_eq(have->target_ref->uid, left[i]->o->uid))
			continue;
		*ret = left[i];
		left[i] = NULL;
		return true;
	}
	return false;
}

static void
plan_put(struct arena *a, struct plan *p, const struct service_endpoint *e)
{
	const struct service_endpoint **slot = ARENA_PUSH(a, p->eps, p->n);
	if (slot)
		*slot = e;
}

/* plan_group: first what each slice has and keeps, then the new ones where there is room. */
static void
plan_group(struct arena *a, const struct service_group *g, struct plan **plans, size_t *n_plans,
	const struct informer_obj *const *slices, bool *used, size_t n_slices)
{
	const struct service_endpoint **left = ARENA_ARRAY(
		a, const struct service_endpoint *, g->n_eps + 1);
	size_t first = *n_plans;
	if (!left)
		return;
	for (size_t i = 0; i < g->n_eps; i++)
		left[i] = &g->eps[i];
	for (size_t i = 0; i < n_slices; i++) {
		const struct discovery_v1_endpoint_slice *s = slices[i]->obj;
		if (used[i] || !slice_ports_equal(s, g))
			continue;
		struct plan *p = ARENA_PUSH(a, *plans, *n_plans);
		if (!p)
			return;
		*p = (struct plan){.o = slices[i], .group = g};
		used[i] = true;
		for (size_t k = 0; k < s->n_endpoints; k++) {
			const struct service_endpoint *e;
			if (take(left, g->n_eps, &s->endpoints[k], &e))
				plan_put(a, p, e);
		}
	}
	size_t at = first;
	for (size_t i = 0; i < g->n_eps; i++) {
		if (!left[i])
			continue;
		while (at < *n_plans && (*plans)[at].n >= SLICE_MAX)
			at++;
		if (at == *n_plans) {
			struct plan *p = ARENA_PUSH(a, *plans, *n_plans);
			if (!p)
				return;
			*p = (struct plan){.group = g};
		}
		plan_put(a, &(*plans)[at], left[i]);
	}
	if (*n_plans == first) { /* a service without endpoints has one empty slice a family */
		struct plan *p = ARENA_PUSH(a, *plans, *n_plans);
		if (p)
			*p = (struct plan){.group = g};
	}
}

static void
delete_slice(struct slice_controller *k, struct control_batch *b, const struct informer_obj *o)
{
	struct control_path path = {
		.resource = CONTROL_ENDPOINTSLICES, .ns = o->ns, .name = o->name};
	batch_write_text(b, k->c, CLIENT_DELETE, &path, STR_NONE);
}

static void
sync_service(struct slice_controller *k, struct arena *a, const struct informer_obj *service,
	struct control_batch *b)
{
	const struct core_v1_service *svc = service->obj;
	const struct informer_obj **slices = NULL, *o;
	struct plan *plans = NULL;
	size_t n_slices = 0, n_groups = 0, n_plans = 0;
	for (size_t pos = 0;
		(o = informer_index_next(k->slices, INDEX_OWNER, service->uid, &pos));) {
		const struct informer_obj **slot = ARENA_PUSH(a, slices, n_slices);
		if (slot)
			*slot = o;
	}
	bool *used = ARENA_ARRAY(a, bool, n_slices + 1);
	bool wanted = svc->spec.n_selector && !svc->metadata.deletion_timestamp &&
		!str_eq(svc->spec.type, STR("ExternalName"));
	struct service_group *g = wanted
		? service_groups(a, k->pods, k->nodes, service, true, &n_groups)
		: NULL;
	for (size_t i = 0; used && i < n_groups; i++)
		plan_group(a, &g[i], &plans, &n_plans, slices, used, n_slices);
	for (size_t i = 0; i < n_plans; i++) {
		struct plan *p = &plans[i];
		struct control_path path = {.resource = CONTROL_ENDPOINTSLICES,
			.ns = service->ns,
			.name = p->o ? p->o->name : STR_NONE};
		if (p->o && slice_equal(a, service, p))
			continue;
		struct doc *d = slice_doc(a, service, p);
		if (d)
			batch_write(b, k->c, p->o ? CLIENT_UPDATE : CLIENT_CREATE, &path, d);
	}
	for (size_t i = 0; used && i < n_slices; i++)
		if (!used[i] &&
			!control_meta(CONTROL_ENDPOINTSLICES, slices[i])->deletion_timestamp)
			delete_slice(k, b, slices[i]);
}

static void
on_key(void *arg, struct str key)
{
	struct slice_controller *k = arg;
	const struct informer_obj *o = informer_get(k->services, key);
	if (!o) { /* its slices go with their owner */
		queue_done(k->q, key, false);
		return;
	}
	struct arena *a = arena_new(0);
	struct control_batch *b = a ? batch_new(k->q, key) : NULL;
	if (b) {
		sync_service(k, a, o, b);
		batch_close(b);
	} else if (!a) {
		queue_done(k->q, key, true);
	}
	arena_free(a);
}

/* ---- changes ---- */

static void
put_key(void *ctx, struct str key)
{
	struct slice_controller *k = ctx;
	queue_add(k->q, key);
}

static void
on_service(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct slice_controller *k = arg;
	if (control_ready(k->ctl))
		queue_add(k->q, (new_ ? new_ : old)->key);
}

static void
on_pod(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct slice_controller *k = arg;
	if (!control_ready(k->ctl) || (old && new_ && !pod_endpoint_differs(old->obj, new_->obj)))
		return;
	if (old)
		service_of_pod(k->services, old, put_key, k);
	if (new_)
		service_of_pod(k->services, new_, put_key, k);
}

static void
on_slice(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct slice_controller *k = arg;
	const struct informer_obj *o = new_ ? new_ : old;
	const struct meta_v1_owner_reference *owner = control_owner(
		control_meta(CONTROL_ENDPOINTSLICES, o));
	_cleanup_buf_ struct buf key = BUF_INIT;
	if (!control_ready(k->ctl) || !owner || !str_eq(owner->kind, STR("Service")))
		return;
	buf_fmt(&key, STR_FMT "/" STR_FMT, STR_ARG(o->ns), STR_ARG(owner->name));
	queue_add(k->q, buf_view(&key));
}

static void
slices_ready(void *self)
{
	struct slice_controller *k = self;
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_next(k->services, &pos));)
		queue_add(k->q, o->key);
}

static void
slices_stop(void *self)
{
	struct slice_controller *k = self;
	queue_free(k->q);
	free(k);
}

static int
slices_start(struct control *ctl, struct client *c, void **ret)
{
	struct slice_controller *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->ctl = ctl;
	k->c = c;
	k->q = queue_new(control_loop(ctl), "endpointslice", 16, on_key, k);
	k->services = control_informer(ctl, CONTROL_SERVICES);
	k->pods = control_informer(ctl, CONTROL_PODS);
	k->nodes = control_informer(ctl, CONTROL_NODES);
	k->slices = control_informer(ctl, CONTROL_ENDPOINTSLICES);
	*ret = k;
	if (!k->q || !k->services || !k->pods || !k->nodes || !k->slices ||
		informer_add_handler(k->services, on_service, NULL, k) < 0 ||
		informer_add_handler(k->pods, on_pod, NULL, k) < 0 ||
		informer_add_handler(k->slices, on_slice, NULL, k) < 0)
		return -ENOMEM;
	return 0;
}

const struct controller endpointslice_controller = {
	"endpointslice-controller", slices_start, slices_ready, slices_stop};
