/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * service_pods: see service_pods.h. */
#include "orchestrator/control/service_pods.h"

#include <stdlib.h>

static bool
selects(const struct core_v1_service *svc, const struct core_v1_pod *pod)
{
	if (!svc->spec.n_selector || str_eq(svc->spec.type, STR("ExternalName")))
		return false;
	for (size_t i = 0; i < svc->spec.n_selector; i++) {
		struct str have = control_label(&pod->metadata, svc->spec.selector[i].key);
		if (!str_is_set(have) || !str_eq(have, svc->spec.selector[i].value))
			return false;
	}
	return true;
}

void
service_of_pod(struct informer *services, const struct informer_obj *pod,
	void (*put)(void *ctx, struct str key), void *ctx)
{
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_index_next(services, INDEX_NS, pod->ns, &pos));)
		if (selects(o->obj, pod->obj))
			put(ctx, o->key);
}

static struct str
pod_ip(const struct core_v1_pod *pod, bool v6)
{
	for (size_t i = 0; i < pod->status.n_pod_ips; i++)
		if ((str_find_char(pod->status.pod_ips[i].ip, ':') >= 0) == v6)
			return pod->status.pod_ips[i].ip;
	if (!pod->status.n_pod_ips && pod->status.pod_ip.n &&
		(str_find_char(pod->status.pod_ip, ':') >= 0) == v6)
		return pod->status.pod_ip;
	return STR_NONE;
}

static int32_t
named_port(const struct core_v1_container *c, size_t n, struct str name, struct str protocol)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < c[i].n_ports; k++)
			if (str_eq(c[i].ports[k].name, name) &&
				str_eq(c[i].ports[k].protocol, protocol))
				return c[i].ports[k].container_port;
	return 0;
}

static int32_t
port_in_pod(const struct core_v1_service_port *sp, const struct core_v1_pod *pod)
{
	if (!sp->target_port.has)
		return sp->port;
	if (!sp->target_port.is_str)
		return sp->target_port.i ? sp->target_port.i : sp->port;
	int32_t n = pod ? named_port(pod->spec.containers, pod->spec.n_containers,
				  sp->target_port.s, sp->protocol)
			: 0;
	return n      ? n
		: pod ? named_port(pod->spec.init_containers, pod->spec.n_init_containers,
				sp->target_port.s, sp->protocol)
		      : 0;
}

/* ports_of: what the service's ports are in this pod; ports it does not have are left out. */
static struct service_port *
ports_of(struct arena *a, const struct core_v1_service *svc, const struct core_v1_pod *pod,
	size_t *ret_n)
{
	struct service_port *v = NULL;
	size_t n = 0;
	for (size_t i = 0; i < svc->spec.n_ports && n < SERVICE_PORTS_MAX; i++) {
		const struct core_v1_service_port *sp = &svc->spec.ports[i];
		int32_t number = port_in_pod(sp, pod);
		struct service_port *p = number ? ARENA_PUSH(a, v, n) : NULL;
		if (p)
			*p = (struct service_port){
				sp->name, sp->protocol, sp->app_protocol, number};
	}
	*ret_n = n;
	return v;
}

static bool
ports_equal(const struct service_group *g, bool v6, const struct service_port *v, size_t n)
{
	if (g->v6 != v6 || g->n_ports != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (g->ports[i].number != v[i].number || !str_eq(g->ports[i].name, v[i].name))
			return false;
	return true;
}

static struct service_group *
group_of(struct arena *a, struct service_group **groups, size_t *n, bool v6,
	struct service_port *ports, size_t n_ports)
{
	for (size_t i = 0; i < *n; i++)
		if (ports_equal(&(*groups)[i], v6, ports, n_ports))
			return &(*groups)[i];
	struct service_group *g = ARENA_PUSH(a, *groups, *n);
	if (g)
		*g = (struct service_group){.v6 = v6, .ports = ports, .n_ports = n_ports};
	return g;
}

static struct str
zone_of(struct informer *nodes, struct str name)
{
	const struct informer_obj *o = name.n ? informer_get(nodes, name) : NULL;
	const struct core_v1_node *n = o ? o->obj : NULL;
	return n ? control_label(&n->metadata, STR("topology.kubernetes.io/zone")) : STR_NONE;
}

static int
pod_order(const void *px, const void *py)
{
	const struct informer_obj *const *x = px, *const *y = py;
	return str_cmp((*x)->name, (*y)->name);
}

static const struct informer_obj **
selected_pods(
	struct arena *a, struct informer *pods, const struct informer_obj *service, size_t *ret_n)
{
	const struct informer_obj **v = NULL, *o;
	size_t n = 0;
	for (size_t pos = 0; (o = informer_index_next(pods, INDEX_NS, service->ns, &pos));) {
		const struct core_v1_pod *p = o->obj;
		if (!selects(service->obj, p) || str_eq(p->status.phase, STR("Succeeded")) ||
			str_eq(p->status.phase, STR("Failed")))
			continue;
		const struct informer_obj **slot = ARENA_PUSH(a, v, n);
		if (slot)
			*slot = o;
	}
	if (n)
		qsort(v, n, sizeof(*v), pod_order);
	*ret_n = n;
	return v;
}

static bool
has_family(const struct core_v1_service *svc, bool v6)
{
	for (size_t i = 0; i < svc->spec.n_ip_families; i++)
		if (str_eq(svc->spec.ip_families[i], STR("IPv6")) == v6)
			return true;
	return false;
}

struct service_group *
service_groups(struct arena *a, struct informer *pods, struct informer *nodes,
	const struct informer_obj *service, bool keep_terminating, size_t *ret_n)
{
	const struct core_v1_service *svc = service->obj;
	struct service_group *groups = NULL;
	size_t n = 0, n_pods = 0;
	const struct informer_obj **v = selected_pods(a, pods, service, &n_pods);
	for (int v6 = 0; v6 < 2; v6++) {
		size_t before = n;
		if (!has_family(svc, v6))
			continue;
		for (size_t i = 0; i < n_pods; i++) {
			const struct core_v1_pod *p = v[i]->obj;
			struct str ip = pod_ip(p, v6);
			bool going = p->metadata.deletion_timestamp != 0;
			size_t n_ports;
			if (!ip.n || (going && !keep_terminating))
				continue;
			struct service_port *ports = ports_of(a, svc, p, &n_ports);
			struct service_group *g = group_of(a, &groups, &n, v6, ports, n_ports);
			struct service_endpoint *e = g ? ARENA_PUSH(a, g->eps, g->n_eps) : NULL;
			if (!e)
				continue;
			bool serving = pod_is_ready(p) || svc->spec.publish_not_ready_addresses;
			*e = (struct service_endpoint){.o = v[i],
				.pod = p,
				.ip = ip,
				.serving = serving,
				.ready = svc->spec.publish_not_ready_addresses ||
					(serving && !going),
				.terminating = going,
				.zone = zone_of(nodes, p->spec.node_name)};
			if (p->spec.hostname.n && str_eq(p->spec.subdomain, svc->metadata.name))
				e->hostname = p->spec.hostname;
		}
		if (n == before) {
			size_t n_ports;
			struct service_port *ports = ports_of(a, svc, NULL, &n_ports);
			group_of(a, &groups, &n, v6, ports, n_ports);
		}
	}
	*ret_n = n;
	return groups;
}

bool
pod_endpoint_differs(const struct core_v1_pod *x, const struct core_v1_pod *y)
{
	if (pod_is_ready(x) != pod_is_ready(y) ||
		(x->metadata.deletion_timestamp != 0) != (y->metadata.deletion_timestamp != 0) ||
		!str_eq(x->status.phase, y->status.phase) ||
		!str_eq(x->spec.node_name, y->spec.node_name) ||
		x->status.n_pod_ips != y->status.n_pod_ips ||
		x->metadata.n_labels != y->metadata.n_labels)
		return true;
	for (size_t i = 0; i < x->status.n_pod_ips; i++)
		if (!str_eq(x->status.pod_ips[i].ip, y->status.pod_ips[i].ip))
			return true;
	for (size_t i = 0; i < x->metadata.n_labels; i++)
		if (!str_eq(x->metadata.labels[i].key, y->metadata.labels[i].key) ||
			!str_eq(x->metadata.labels[i].value, y->metadata.labels[i].value))
			return true;
	return false;
}
