/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * nodenet: see nodenet.h. One key is one Service: whatever changes about it or its slices, its whole
 * wanted state is computed again and handed on; proxy and zone find the difference. */
#include "orchestrator/nodenet/nodenet.h"

#include "base/log.h"
#include "base/queue.h"
#include "orchestrator/schema/schema.h"

#include "kinds/core_v1.h"
#include "kinds/discovery_v1.h"

#include <netinet/in.h>
#include <stdlib.h>

#define BY_SERVICE 0
#define ADDRS_MAX 16

struct nodenet {
	struct nodenet_config c;
	struct ip_addr node_ips[ADDRS_MAX];
	struct loop *loop;
	struct queue *q;
	struct proxy *proxy;
	struct informer *nodes, *services, *slices;
	bool synced;
};

static uint8_t
proto_of(struct str s)
{
	return str_eq(s, STR("UDP"))     ? IPPROTO_UDP
		: str_eq(s, STR("SCTP")) ? IPPROTO_SCTP
					 : IPPROTO_TCP;
}

static size_t
addrs_of(const struct str *texts, size_t n, struct ip_addr out[ADDRS_MAX])
{
	size_t k = 0;
	for (size_t i = 0; i < n && k < ADDRS_MAX; i++)
		k += ip_parse(texts[i], &out[k]) == 0;
	return k;
}

static bool
is_dns_address(const struct nodenet *a, const struct ip_addr *ip)
{
	return ip_eq(ip, &a->c.cfg->cluster.dns4) || ip_eq(ip, &a->c.cfg->cluster.dns6);
}

/* ---- Services into the proxy ---- */

static const struct discovery_v1_endpoint_port *
slice_port(const struct discovery_v1_endpoint_slice *s, const struct core_v1_service_port *sp)
{
	for (size_t i = 0; i < s->n_ports; i++)
		if (str_eq(s->ports[i].name, sp->name) &&
			str_eq(s->ports[i].protocol, sp->protocol))
			return &s->ports[i];
	return NULL;
}

static uint32_t
flags_of(const struct nodenet *a, const struct discovery_v1_endpoint *e)
{
	const struct discovery_v1_endpoint_conditions *k = &e->conditions;
	uint32_t f = 0;
	if (k->ready || !k->has_ready)
		f |= PROXY_EP_READY;
	if (k->serving || (!k->has_serving && (f & PROXY_EP_READY)))
		f |= PROXY_EP_SERVING;
	if (k->terminating)
		f |= PROXY_EP_TERMINATING;
	if (str_eq(e->node_name, a->c.cfg->name))
		f |= PROXY_EP_LOCAL;
	return f;
}

static struct proxy_endpoint *
endpoints_of(struct nodenet *a, struct arena *m, struct str key,
	const struct core_v1_service_port *sp, size_t *ret_n)
{
	struct proxy_endpoint *v = NULL;
	const struct informer_obj *o;
	*ret_n = 0;
	for (size_t pos = 0; (o = informer_index_next(a->slices, BY_SERVICE, key, &pos));) {
		const struct discovery_v1_endpoint_slice *s = o->obj;
		const struct discovery_v1_endpoint_port *p = slice_port(s, sp);
		for (size_t i = 0; p && i < s->n_endpoints; i++) {
			struct ip_addr ip;
			if (!s->endpoints[i].n_addresses ||
				ip_parse(s->endpoints[i].addresses[0], &ip) < 0)
				continue;
			struct proxy_endpoint *e = ARENA_PUSH(m, v, *ret_n);
			if (e)
				*e = (struct proxy_endpoint){
					ip, (uint16_t)p->port, flags_of(a, &s->endpoints[i])};
		}
	}
	return v;
}

struct keep {
	struct nodenet *a;
	struct str prefix;        /* "ns/name:" */
	const struct str *wanted; /* full names */
	size_t n;
};

static void
drop_unwanted(void *arg, struct str name)
{
	const struct keep *k = arg;
	if (!str_starts(name, k->prefix))
		return;
	for (size_t i = 0; i < k->n; i++)
		if (str_eq(k->wanted[i], name))
			return;
	proxy_service_del(k->a->proxy, name);
}

static void
set_port(struct nodenet *a, struct arena *m, const struct informer_obj *o,
	const struct core_v1_service_port *sp, struct str name)
{
	const struct core_v1_service *svc = o->obj;
	struct ip_addr cluster[ADDRS_MAX], external[ADDRS_MAX], lb[ADDRS_MAX];
	size_t n_lb = 0;
	const struct core_v1_load_balancer_status *lbs = &svc->status.load_balancer;
	for (size_t i = 0; i < lbs->n_ingress && n_lb < ADDRS_MAX; i++)
		n_lb += ip_parse(lbs->ingress[i].ip, &lb[n_lb]) == 0;
	struct proxy_service s = {.proto = proto_of(sp->protocol),
		.port = (uint16_t)sp->port,
		.cluster_ips = cluster,
		.n_cluster_ips = addrs_of(svc->spec.cluster_ips, svc->spec.n_cluster_ips, cluster),
		.external_ips = external,
		.n_external_ips = addrs_of(
			svc->spec.external_ips, svc->spec.n_external_ips, external),
		.lb_ips = lb,
		.n_lb_ips = n_lb,
		.node_port = (uint16_t)sp->node_port,
		.external_local = str_eq(svc->spec.external_traffic_policy, STR("Local")),
		.internal_local = str_eq(svc->spec.internal_traffic_policy, STR("Local"))};
	if (str_eq(svc->spec.session_affinity, STR("ClientIP"))) {
		const struct core_v1_session_affinity_config *k = svc->spec.session_affinity_config;
		s.affinity_s = k && k->client_ip && k->client_ip->timeout_seconds
			? (uint32_t)k->client_ip->timeout_seconds
			: 10800;
	}
	s.endpoints = endpoints_of(a, m, o->key, sp, &s.n_endpoints);
	int rc = proxy_service_set(a->proxy, name, &s);
	if (rc < 0)
		log_warn("service " STR_FMT ": %s", STR_ARG(name), strerror(-rc));
}

/* is_served: has it addresses that the proxy answers for (not headless, not the name server's own)? */
static bool
is_served(const struct nodenet *a, const struct core_v1_service *svc)
{
	struct ip_addr ip;
	return svc && !str_eq(svc->spec.type, STR("ExternalName")) && svc->spec.n_cluster_ips &&
		ip_parse(svc->spec.cluster_ips[0], &ip) == 0 && !is_dns_address(a, &ip);
}

static void
sync_proxy(struct nodenet *a, struct arena *m, struct str key, const struct informer_obj *o)
{
	const struct core_v1_service *svc = o ? o->obj : NULL;
	struct str *names = NULL;
	size_t n = 0;
	for (size_t i = 0; is_served(a, svc) && i < svc->spec.n_ports; i++) {
		const struct core_v1_service_port *sp = &svc->spec.ports[i];
		struct str *slot = ARENA_PUSH(m, names, n);
		if (!slot)
			return;
		*slot = arena_fmt(
			m, STR_FMT ":%d/" STR_FMT, STR_ARG(key), sp->port, STR_ARG(sp->protocol));
		set_port(a, m, o, sp, *slot);
	}
	struct keep k = {a, arena_fmt(m, STR_FMT ":", STR_ARG(key)), names, n};
	proxy_services(a->proxy, drop_unwanted, &k);
}

/* ---- Services into the zone ---- */

static struct dns_endpoint *
headless_of(struct nodenet *a, struct arena *m, struct str key, size_t *ret_n)
{
	struct dns_endpoint *v = NULL;
	const struct informer_obj *o;
	*ret_n = 0;
	for (size_t pos = 0; (o = informer_index_next(a->slices, BY_SERVICE, key, &pos));) {
		const struct discovery_v1_endpoint_slice *s = o->obj;
		struct dns_port *ports = ARENA_ARRAY(m, struct dns_port, s->n_ports + 1);
		for (size_t i = 0; ports && i < s->n_ports; i++)
			ports[i] = (struct dns_port){s->ports[i].name,
				proto_of(s->ports[i].protocol), (uint16_t)s->ports[i].port};
		for (size_t i = 0; i < s->n_endpoints; i++) {
			const struct discovery_v1_endpoint *ep = &s->endpoints[i];
			struct ip_addr ip;
			if (!ep->n_addresses || ip_parse(ep->addresses[0], &ip) < 0 ||
				!(flags_of(a, ep) & PROXY_EP_READY))
				continue;
			struct dns_endpoint *e = ARENA_PUSH(m, v, *ret_n);
			if (e)
				*e = (struct dns_endpoint){.addr = ip,
					.hostname = ep->hostname,
					.ports = ports,
					.n_ports = s->n_ports};
		}
	}
	return v;
}

static void
sync_zone(struct nodenet *a, struct arena *m, struct str key, const struct informer_obj *o)
{
	const struct core_v1_service *svc = o ? o->obj : NULL;
	struct ip_addr cluster[ADDRS_MAX];
	struct str ns, name;
	str_cut(key, '/', &ns, &name);
	if (!svc) {
		dns_zone_service_del(a->c.zone, ns, name);
		return;
	}
	struct dns_port *ports = ARENA_ARRAY(m, struct dns_port, svc->spec.n_ports + 1);
	for (size_t i = 0; ports && i < svc->spec.n_ports; i++)
		ports[i] = (struct dns_port){svc->spec.ports[i].name,
			proto_of(svc->spec.ports[i].protocol), (uint16_t)svc->spec.ports[i].port};
	struct dns_service s = {
		.ns = ns, .name = name, .ports = ports, .n_ports = svc->spec.n_ports};
	if (str_eq(svc->spec.type, STR("ExternalName"))) {
		s.external_name = svc->spec.external_name;
	} else if (str_eq(svc->spec.cluster_ip, STR("None"))) {
		s.headless = true;
		s.endpoints = headless_of(a, m, key, &s.n_endpoints);
	} else {
		s.cluster_ips = cluster;
		s.n_cluster_ips = addrs_of(svc->spec.cluster_ips, svc->spec.n_cluster_ips, cluster);
	}
	int rc = dns_zone_service_set(a->c.zone, &s);
	if (rc < 0)
		log_warn("names of service " STR_FMT ": %s", STR_ARG(key), strerror(-rc));
}

static void
on_key(void *arg, struct str key)
{
	struct nodenet *a = arg;
	const struct informer_obj *o = informer_get(a->services, key);
	struct arena *m = arena_new(0);
	if (m && a->proxy)
		sync_proxy(a, m, key, o);
	if (m && a->c.zone)
		sync_zone(a, m, key, o);
	arena_free(m);
	queue_done(a->q, key, m == NULL);
}

/* ---- nodes ---- */

static struct podnet_node
node_of(const struct core_v1_node *n)
{
	struct podnet_node p = {0};
	for (size_t i = 0; i < n->status.n_addresses; i++) {
		struct ip_addr ip;
		if (str_eq(n->status.addresses[i].type, STR("InternalIP")) &&
			ip_parse(n->status.addresses[i].address, &ip) == 0)
			*(ip.family == 6 ? &p.addr6 : &p.addr4) = ip;
	}
	for (size_t i = 0; i < n->spec.n_pod_cidrs; i++) {
		struct ip_prefix c;
		if (ip_prefix_parse(n->spec.pod_cidrs[i], &c) == 0)
			*(c.addr.family == 6 ? &p.pod_cidr6 : &p.pod_cidr4) = c;
	}
	return p;
}

static void
on_node(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct nodenet *a = arg;
	const struct informer_obj *o = new_ ? new_ : old;
	struct err e = {0};
	char name[254];
	if (!a->c.net || str_eq(o->name, a->c.cfg->name) ||
		!str_copy_c(o->name, name, sizeof(name)))
		return;
	struct podnet_node p = node_of(o->obj);
	int rc = new_ ? podnet_node_set(a->c.net, name, &p, &e)
		      : podnet_node_del(a->c.net, name, &e);
	if (rc < 0)
		log_warn("routes to node %s: %s", name, e.msg);
}

static void
on_nodes_synced(void *arg)
{
	struct nodenet *a = arg;
	struct err e = {0};
	if (a->c.net && podnet_nodes_synced(a->c.net, &e) < 0)
		log_warn("routes: %s", e.msg);
}

/* ---- changes ---- */

static void
index_service(const struct informer_obj *o, informer_put_fn *put, void *ctx)
{
	const struct discovery_v1_endpoint_slice *s = o->obj;
	_cleanup_buf_ struct buf key = BUF_INIT;
	for (size_t i = 0; i < s->metadata.n_labels; i++)
		if (str_eq(s->metadata.labels[i].key, STR("kubernetes.io/service-name"))) {
			buf_fmt(&key, STR_FMT "/" STR_FMT, STR_ARG(o->ns),
				STR_ARG(s->metadata.labels[i].value));
			put(ctx, buf_view(&key));
		}
}

static void
queue_put(void *ctx, struct str key)
{
	struct nodenet *a = ctx;
	queue_add(a->q, key);
}

static void
on_service(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct nodenet *a = arg;
	queue_add(a->q, (new_ ? new_ : old)->key);
}

static void
on_slice(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	if (old)
		index_service(old, queue_put, arg);
	if (new_)
		index_service(new_, queue_put, arg);
}

static void
on_synced(void *arg)
{
	struct nodenet *a = arg;
	const struct informer_obj *o;
	struct err e = {0};
	if (a->synced || !informer_synced(a->services) || !informer_synced(a->slices))
		return;
	a->synced = true;
	if (!a->proxy) {
		log_info("names of %zu services", informer_len(a->services));
		return;
	}
	struct arena *m = arena_new(0);
	for (size_t pos = 0; m && (o = informer_next(a->services, &pos));)
		sync_proxy(a, m, o->key, o);
	arena_free(m);
	if (proxy_sync(a->proxy, &e) < 0)
		log_error("services: %s", e.msg);
	else
		log_info("services: %zu in the kernel", informer_len(a->services));
}

static void
on_proxy_error(void *arg, const struct err *e)
{
	(void)arg;
	log_warn("services: %s", e->msg);
}

static int
proxy_start(struct nodenet *a, struct err *e)
{
	const typeof(((struct machine_config *)0)->cluster) *k = &a->c.cfg->cluster;
	struct ip_prefix inside[2] = {k->pod4, k->pod6}, services[2] = {k->service4, k->service6};
	int rc = proxy_open(a->loop, NULL, on_proxy_error, a, &a->proxy, e);
	if (rc < 0)
		return rc;
	struct proxy_config cfg = {.inside = inside,
		.n_inside = ip_is_set(&k->pod6.addr) ? 2 : 1,
		.service_cidrs = services,
		.n_service_cidrs = ip_is_set(&k->service6.addr) ? 2 : 1,
		.node_addrs = a->node_ips,
		.n_node_addrs = a->c.n_node_ips};
	rc = proxy_config_set(a->proxy, &cfg);
	return rc < 0 ? err_errno(e, rc, "service proxy") : 0;
}

int
nodenet_new(const struct nodenet_config *c, struct nodenet **ret, struct err *e)
{
	struct nodenet *a = calloc(1, sizeof(*a));
	if (!a)
		return err_errno(e, -ENOMEM, "nodenet");
	a->c = *c;
	a->loop = c->client->loop;
	if (a->c.n_node_ips > ADDRS_MAX)
		a->c.n_node_ips = ADDRS_MAX;
	for (size_t i = 0; i < a->c.n_node_ips; i++)
		a->node_ips[i] = c->node_ips[i];
	a->q = queue_new(a->loop, "services", 64, on_key, a);
	const struct {
		struct informer **at;
		struct informer_spec spec;
	} rows[] = {
		{&a->slices,
			{.group = STR("discovery.k8s.io"),
				.version = STR("v1"),
				.resource = STR("endpointslices"),
				.type = SCHEMA_TYPE_OF(discovery_v1_endpoint_slice),
				.on_change = on_slice,
				.on_synced = on_synced}},
		{&a->services,
			{.version = STR("v1"),
				.resource = STR("services"),
				.type = SCHEMA_TYPE_OF(core_v1_service),
				.on_change = on_service,
				.on_synced = on_synced}},
		{&a->nodes,
			{.version = STR("v1"),
				.resource = STR("nodes"),
				.type = SCHEMA_TYPE_OF(core_v1_node),
				.on_change = on_node,
				.on_synced = on_nodes_synced}},
	};
	int rc = a->q ? 0 : err_errno(e, -ENOMEM, "nodenet");
	if (rc == 0 && c->net)
		rc = proxy_start(a, e);
	for (size_t i = 0; rc == 0 && i < (c->net ? 3 : 2); i++) {
		struct informer_spec spec = rows[i].spec;
		spec.arg = a;
		rc = informer_new(c->client, &spec, rows[i].at);
		if (rc < 0)
			err_errno(e, rc, "nodenet");
	}
	if (rc == 0)
		rc = informer_add_index(a->slices, BY_SERVICE, index_service);
	if (rc < 0) {
		nodenet_free(a);
		return rc;
	}
	*ret = a;
	return 0;
}

void
nodenet_free(struct nodenet *a)
{
	if (!a)
		return;
	informer_free(a->nodes);
	informer_free(a->services);
	informer_free(a->slices);
	if (a->proxy)
		proxy_close(a->proxy);
	if (a->q)
		queue_free(a->q);
	free(a);
}
