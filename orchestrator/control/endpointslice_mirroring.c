/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * endpointslice_mirroring: Endpoints that somebody wrote for a Service without a selector are also told as
 * EndpointSlices, which is all that proxies read: one for each set of ports and each family, of 1,000 addresses at most.
 *
 * Subsets are looked at port by port first: ports that have the same addresses are of one slice.
 * Source: kube-controller-manager pkg/controller/endpointslicemirroring, pkg/api/v1/endpoints (RepackSubsets). */
#include "orchestrator/control/control.h"

#include "base/ip.h"

#include "kinds/core_v1.h"
#include "kinds/discovery_v1.h"

#include <stdlib.h>

#define ADDRESSES_MAX 1000
#define MANAGER STR("endpointslicemirroring-controller.k8s.io")
#define MANAGED_BY STR("endpointslice.kubernetes.io/managed-by")
#define SERVICE_NAME STR("kubernetes.io/service-name")
#define SKIP STR("endpointslice.kubernetes.io/skip-mirror")
#define LEADER STR("control-plane.alpha.kubernetes.io/leader")

static const struct str not_copied[] = {
	STR_INIT("endpoints.kubernetes.io/last-change-trigger-time"),
	STR_INIT("kubectl.kubernetes.io/last-applied-configuration")};

struct mirroring {
	struct control *ctl;
	struct client *c;
	struct queue *q;
	struct informer *services, *endpoints, *slices;
};

struct address {
	const struct core_v1_endpoint_address *of;
	bool ready;
};

/* Ports that lead to the same addresses. */
struct group {
	const struct core_v1_endpoint_port **ports;
	struct address *addresses;
	size_t n_ports, n_addresses;
};

/* ---- which addresses a port has ---- */

static bool
same_port(const struct core_v1_endpoint_port *x, const struct core_v1_endpoint_port *y)
{
	return x->port == y->port && str_eq(x->name, y->name) && str_eq(x->protocol, y->protocol) &&
		str_eq(x->app_protocol, y->app_protocol);
}

static struct address *
address_find(const struct group *g, const struct core_v1_endpoint_address *of)
{
	for (size_t i = 0; i < g->n_addresses; i++) {
		const struct core_v1_endpoint_address *have = g->addresses[i].of;
		struct str uid = have->target_ref ? have->target_ref->uid : STR("");
		if (str_eq(have->ip, of->ip) &&
			str_eq(uid, of->target_ref ? of->target_ref->uid : STR("")))
			return &g->addresses[i];
	}
	return NULL;
}

/* add_addresses: one that is not ready somewhere is not ready. */
static void
add_addresses(struct arena *a, struct group *g, const struct core_v1_endpoint_address *list,
	size_t n, bool ready)
{
	for (size_t i = 0; i < n; i++) {
		struct address *x = address_find(g, &list[i]);
		if (x) {
			x->ready = x->ready && ready;
			continue;
		}
		x = ARENA_PUSH(a, g->addresses, g->n_addresses);
		if (x)
			*x = (struct address){&list[i], ready};
	}
}

static void
add_port(struct arena *a, struct group **groups, size_t *n, const struct core_v1_endpoint_subset *s,
	const struct core_v1_endpoint_port *port)
{
	struct group *g = NULL;
	for (size_t i = 0; i < *n && !g; i++) {
		struct group *x = &(*groups)[i];
		if (port ? x->n_ports && same_port(x->ports[0], port) : !x->n_ports)
			g = x;
	}
	if (!g && (g = ARENA_PUSH(a, *groups, *n)) != NULL) {
		*g = (struct group){0};
		const struct core_v1_endpoint_port **slot = port
			? ARENA_PUSH(a, g->ports, g->n_ports)
			: NULL;
		if (slot)
			*slot = port;
	}
	if (!g)
		return;
	add_addresses(a, g, s->addresses, s->n_addresses, true);
	add_addresses(a, g, s->not_ready_addresses, s->n_not_ready_addresses, false);
}

static bool
same_addresses(const struct group *x, const struct group *y)
{
	bool same = x->n_addresses == y->n_addresses && x->n_ports && y->n_ports;
	for (size_t i = 0; same && i < x->n_addresses; i++) {
		const struct address *o = address_find(y, x->addresses[i].of);
		same = o && o->ready == x->addresses[i].ready;
	}
	return same;
}

static struct group *
groups_of(struct arena *a, const struct core_v1_endpoints *e, size_t *ret_n)
{
	struct group *by_port = NULL, *v = NULL;
	size_t n_by_port = 0, n = 0;
	for (size_t i = 0; i < e->n_subsets; i++) {
		const struct core_v1_endpoint_subset *s = &e->subsets[i];
		for (size_t k = 0; k < s->n_ports; k++)
			add_port(a, &by_port, &n_by_port, s, &s->ports[k]);
		if (!s->n_ports)
			add_port(a, &by_port, &n_by_port, s, NULL);
	}
	for (size_t i = 0; i < n_by_port; i++) {
		struct group *g = NULL;
		for (size_t k = 0; k < n && !g; k++)
			if (same_addresses(&v[k], &by_port[i]))
				g = &v[k];
		if (!g) {
			g = ARENA_PUSH(a, v, n);
			if (g)
				*g = by_port[i];
			continue;
		}
		const struct core_v1_endpoint_port **slot = ARENA_PUSH(a, g->ports, g->n_ports);
		if (slot)
			*slot = by_port[i].ports[0];
	}
	*ret_n = n;
	return v;
}

/* ---- a slice ---- */

static struct doc *
ports_doc(struct arena *a, const struct group *g)
{
	struct doc *list = doc_list(a);
	for (size_t i = 0; list && i < g->n_ports; i++) {
		const struct core_v1_endpoint_port *p = g->ports[i];
		struct doc *d = doc_map(a);
		if (!d)
			return NULL;
		doc_set_str(a, d, STR("name"), p->name.n ? p->name : STR(""));
		doc_set_str(a, d, STR("protocol"), p->protocol.n ? p->protocol : STR("TCP"));
		doc_set_int(a, d, STR("port"), p->port);
		if (p->app_protocol.n)
			doc_set_str(a, d, STR("appProtocol"), p->app_protocol);
		doc_append(list, d);
	}
	return list;
}

static struct doc *
endpoint_doc(struct arena *a, const struct address *x, struct str ip)
{
	struct doc *d = doc_map(a), *ips = doc_list(a);
	if (!d || !ips)
		return NULL;
	doc_append(ips, doc_str(a, ip));
	doc_set(d, STR("addresses"), ips);
	doc_set_bool(a, doc_ensure_map(a, d, STR("conditions")), STR("ready"), x->ready);
	if (x->of->hostname.n)
		doc_set_str(a, d, STR("hostname"), x->of->hostname);
	if (x->of->node_name.n)
		doc_set_str(a, d, STR("nodeName"), x->of->node_name);
	if (x->of->target_ref)
		doc_set(d, STR("targetRef"),
			schema_from_struct(
				a, SCHEMA_TYPE_OF(core_v1_object_reference), x->of->target_ref));
	return d;
}

/* endpoints_doc: the addresses of one family. */
static struct doc *
endpoints_doc(struct arena *a, const struct group *g, bool v6)
{
	struct doc *list = doc_list(a);
	for (size_t i = 0; list && i < g->n_addresses; i++) {
		struct ip_addr ip = {0};
		char text[IP_TEXT_MAX];
		if (doc_len(list) >= ADDRESSES_MAX || ip_parse(g->addresses[i].of->ip, &ip) < 0 ||
			(ip.family == 6) != v6)
			continue;
		size_t n = ip_format(&ip, text);
		doc_append(
			list, endpoint_doc(a, &g->addresses[i], arena_str(a, str_from(text, n))));
	}
	return list;
}

static struct doc *
pairs_doc(struct arena *a, const struct str_pair *list, size_t n)
{
	struct doc *d = doc_map(a);
	for (size_t i = 0; d && i < n; i++) {
		bool copied = true;
		for (size_t k = 0; k < ARRAY_LEN(not_copied); k++)
			copied = copied && !str_eq(list[i].key, not_copied[k]);
		if (copied)
			doc_set_str(a, d, list[i].key, list[i].value.p ? list[i].value : STR(""));
	}
	return d;
}

static struct doc *
meta_doc(struct arena *a, const struct informer_obj *o)
{
	const struct core_v1_endpoints *e = o->obj;
	struct doc *meta = doc_map(a), *owners = doc_list(a);
	struct doc *labels = pairs_doc(a, e->metadata.labels, e->metadata.n_labels);
	struct doc *notes = pairs_doc(a, e->metadata.annotations, e->metadata.n_annotations);
	if (!meta || !owners || !labels || !notes)
		return NULL;
	doc_set_str(a, labels, SERVICE_NAME, o->name);
	doc_set_str(a, labels, MANAGED_BY, MANAGER);
	doc_append(owners, control_owner_doc(a, CONTROL_ENDPOINTS, o));
	doc_set_str(a, meta, STR("namespace"), o->ns);
	doc_set(meta, STR("labels"), labels);
	if (doc_len(notes))
		doc_set(meta, STR("annotations"), notes);
	doc_set(meta, STR("ownerReferences"), owners);
	return meta;
}

/* ---- what is there ---- */

static bool
is_mirror_of(const struct informer_obj *slice, struct str service)
{
	const struct meta_v1_object_meta *m = control_meta(CONTROL_ENDPOINTSLICES, slice);
	return str_eq(control_label(m, MANAGED_BY), MANAGER) &&
		str_eq(control_label(m, SERVICE_NAME), service);
}

static bool
same_member(const struct doc *x, const struct doc *y, struct str name)
{
	const struct doc *vx = doc_get(x, name), *vy = doc_get(y, name);
	return doc_equal(vx, vy) || (doc_is_empty(vx) && doc_is_empty(vy));
}

/* is_same: all that is mirrored of it. */
static bool
is_same(const struct doc *have, const struct doc *want)
{
	static const struct str members[] = {STR_INIT("endpoints"), STR_INIT("ports")};
	static const struct str of_meta[] = {
		STR_INIT("labels"), STR_INIT("annotations"), STR_INIT("ownerReferences")};
	bool same = true;
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		same = same && same_member(have, want, members[i]);
	for (size_t i = 0; i < ARRAY_LEN(of_meta); i++)
		same = same &&
			same_member(doc_get(have, STR("metadata")), doc_get(want, STR("metadata")),
				of_meta[i]);
	return same;
}

struct round {
	struct mirroring *k;
	struct arena *a;
	const struct informer_obj *endpoints;
	const struct informer_obj **slices; /* that are there; NULL: it is used already */
	size_t n_slices;
	struct control_batch *b;
};

/* write_slice: over one that has the same ports and family, or a new one. */
static void
write_slice(struct round *r, const struct group *g, struct str family, struct doc *endpoints)
{
	struct arena *a = r->a;
	struct doc *d = doc_map(a), *meta = meta_doc(a, r->endpoints);
	struct control_path path = {.resource = CONTROL_ENDPOINTSLICES, .ns = r->endpoints->ns};
	if (!d || !meta)
		return;
	doc_set(d, STR("metadata"), meta);
	doc_set_str(a, d, STR("addressType"), family);
	doc_set(d, STR("endpoints"), endpoints);
	doc_set(d, STR("ports"), ports_doc(a, g));
	for (size_t i = 0; i < r->n_slices; i++) {
		const struct informer_obj *o = r->slices[i];
		struct doc *have = o
			? schema_from_struct(a, control_type(CONTROL_ENDPOINTSLICES), o->obj)
			: NULL;
		if (!have || !same_member(have, d, STR("ports")) ||
			!same_member(have, d, STR("addressType")))
			continue;
		r->slices[i] = NULL;
		if (is_same(have, d))
			return;
		path.name = o->name;
		doc_set_str(a, meta, STR("name"), o->name);
		doc_set_str(a, meta, STR("resourceVersion"),
			control_meta(CONTROL_ENDPOINTSLICES, o)->resource_version);
		batch_write(r->b, r->k->c, CLIENT_UPDATE, &path, d);
		return;
	}
	doc_set_str(a, meta, STR("generateName"),
		arena_fmt(a, STR_FMT "-", STR_ARG(r->endpoints->name)));
	batch_write(r->b, r->k->c, CLIENT_CREATE, &path, d);
}

static void
write_groups(struct round *r)
{
	const struct core_v1_endpoints *e = r->endpoints->obj;
	size_t n = 0;
	struct group *groups = groups_of(r->a, e, &n);
	for (size_t i = 0; i < 2 * n; i++) {
		bool v6 = i % 2;
		struct doc *list = endpoints_doc(r->a, &groups[i / 2], v6);
		if (doc_len(list))
			write_slice(r, &groups[i / 2], v6 ? STR("IPv6") : STR("IPv4"), list);
	}
}

/* mirrored: the Endpoints, when they are somebody's own for a Service without selector. */
static const struct informer_obj *
mirrored(struct mirroring *k, struct str key)
{
	const struct informer_obj *o = informer_get(k->endpoints, key);
	const struct informer_obj *service = informer_get(k->services, key);
	const struct core_v1_service *svc = service ? service->obj : NULL;
	const struct meta_v1_object_meta *m = o ? control_meta(CONTROL_ENDPOINTS, o) : NULL;
	if (!m || !svc || svc->spec.n_selector || str_eq(control_label(m, SKIP), STR("true")) ||
		str_is_set(control_annotation(m, LEADER)))
		return NULL;
	return m->deletion_timestamp ? NULL : o;
}

static void
on_key(void *arg, struct str key)
{
	struct mirroring *k = arg;
	struct str ns, name;
	const struct informer_obj *o;
	struct arena *a = arena_new(64u << 20);
	struct control_batch *b = a ? batch_new(k->q, key) : NULL;
	if (!b) {
		if (!a)
			queue_done(k->q, key, true);
		arena_free(a);
		return;
	}
	struct round r = {.k = k, .a = a, .endpoints = mirrored(k, key), .b = b};
	str_cut(key, '/', &ns, &name);
	for (size_t pos = 0; (o = informer_index_next(k->slices, INDEX_NS, ns, &pos));) {
		const struct informer_obj **slot = is_mirror_of(o, name)
			? ARENA_PUSH(a, r.slices, r.n_slices)
			: NULL;
		if (slot)
			*slot = o;
	}
	if (r.endpoints)
		write_groups(&r);
	for (size_t i = 0; i < r.n_slices; i++) {
		o = r.slices[i];
		struct control_path path = {.resource = CONTROL_ENDPOINTSLICES, .ns = ns};
		if (!o || control_meta(CONTROL_ENDPOINTSLICES, o)->deletion_timestamp)
			continue;
		path.name = o->name;
		batch_write_text(b, k->c, CLIENT_DELETE, &path, STR_NONE);
	}
	b->failed = b->failed || arena_failed(a);
	batch_close(b);
	arena_free(a);
}

/* ---- changes ---- */

static void
on_object(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct mirroring *k = arg;
	if (control_ready(k->ctl))
		queue_add(k->q, (new_ ? new_ : old)->key);
}

static void
on_slice(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct mirroring *k = arg;
	const struct informer_obj *o = new_ ? new_ : old;
	const struct meta_v1_object_meta *m = control_meta(CONTROL_ENDPOINTSLICES, o);
	_cleanup_buf_ struct buf key = BUF_INIT;
	if (!control_ready(k->ctl) || !str_eq(control_label(m, MANAGED_BY), MANAGER))
		return;
	buf_fmt(&key, STR_FMT "/" STR_FMT, STR_ARG(o->ns), STR_ARG(control_label(m, SERVICE_NAME)));
	queue_add(k->q, buf_view(&key));
}

static void
mirroring_ready(void *self)
{
	struct mirroring *k = self;
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_next(k->endpoints, &pos));)
		queue_add(k->q, o->key);
	for (size_t pos = 0; (o = informer_next(k->slices, &pos));)
		on_slice(k, NULL, o);
}

static void
mirroring_stop(void *self)
{
	struct mirroring *k = self;
	queue_free(k->q);
	free(k);
}

static int
mirroring_start(struct control *ctl, struct client *c, void **ret)
{
	struct mirroring *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->ctl = ctl;
	k->c = c;
	k->q = queue_new(control_loop(ctl), "endpointslice-mirroring", 4, on_key, k);
	k->services = control_informer(ctl, CONTROL_SERVICES);
	k->endpoints = control_informer(ctl, CONTROL_ENDPOINTS);
	k->slices = control_informer(ctl, CONTROL_ENDPOINTSLICES);
	*ret = k;
	if (!k->q || !k->services || !k->endpoints || !k->slices ||
		informer_add_handler(k->services, on_object, NULL, k) < 0 ||
		informer_add_handler(k->endpoints, on_object, NULL, k) < 0 ||
		informer_add_handler(k->slices, on_slice, NULL, k) < 0)
		return -ENOMEM;
	return 0;
}

const struct controller endpointslicemirroring_controller = {
	"endpointslicemirroring-controller", mirroring_start, mirroring_ready, mirroring_stop};
