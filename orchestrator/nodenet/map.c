/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * map: Services and Nodes as proxy and podnet want them; what both halves share. See map.h. */
#include "orchestrator/nodenet/map.h"

#include "kinds/core_v1.h"
#include "kinds/discovery_v1.h"

#include <errno.h>
#include <netinet/in.h>

#define PROXY_NAME_LABEL STR("service.kubernetes.io/service-proxy-name")
#define SERVICE_LABEL STR("kubernetes.io/service-name")
#define ZONE_LABEL STR("topology.kubernetes.io/zone")

/* ---- shared ---- */

/* label_of: STR_NONE when absent. */
static struct str
label_of(const struct meta_v1_object_meta *m, struct str key)
{
	for (size_t i = 0; i < m->n_labels; i++)
		if (str_eq(m->labels[i].key, key))
			return str_is_set(m->labels[i].value) ? m->labels[i].value : STR("");
	return STR_NONE;
}

uint8_t
map_proto(struct str name)
{
	return str_eq(name, STR("UDP"))     ? IPPROTO_UDP
		: str_eq(name, STR("SCTP")) ? IPPROTO_SCTP
					    : IPPROTO_TCP;
}

static size_t
ips_of(struct arena *a, const struct str *texts, size_t n, struct ip_addr **ret)
{
	struct ip_addr *ips = ARENA_ARRAY(a, struct ip_addr, n + 1);
	size_t kept = 0;
	for (size_t i = 0; ips && i < n; i++)
		kept += ip_parse(texts[i], &ips[kept]) == 0;
	*ret = ips;
	return kept;
}

size_t
map_cluster_ips(struct arena *a, const struct core_v1_service *svc, struct ip_addr **ret)
{
	if (svc->spec.n_cluster_ips)
		return ips_of(a, svc->spec.cluster_ips, svc->spec.n_cluster_ips, ret);
	return ips_of(a, &svc->spec.cluster_ip, 1, ret);
}

bool
map_is_external_name(const struct core_v1_service *svc)
{
	return str_eq(svc->spec.type, STR("ExternalName"));
}

bool
map_is_headless(const struct core_v1_service *svc)
{
	return str_eq(svc->spec.cluster_ip, STR("None")) && !map_is_external_name(svc);
}

struct str
map_slice_service(const struct discovery_v1_endpoint_slice *slice)
{
	struct str name = label_of(&slice->metadata, SERVICE_LABEL);
	return str_is_set(name) ? name : STR("");
}

bool
map_ready(const struct discovery_v1_endpoint *e)
{
	return !e->conditions.has_ready || e->conditions.ready;
}

/* ---- Services ---- */

static bool
is_skipped(const struct core_v1_service *svc)
{
	return map_is_external_name(svc) || map_is_headless(svc) || svc->spec.cluster_ip.n == 0 ||
		str_is_set(label_of(&svc->metadata, PROXY_NAME_LABEL));
}

static const struct discovery_v1_endpoint_port *
port_of(const struct discovery_v1_endpoint_slice *s, const struct core_v1_service_port *p)
{
	for (size_t i = 0; i < s->n_ports; i++) {
		const struct discovery_v1_endpoint_port *q = &s->ports[i];
		if (str_eq(q->name, p->name) && map_proto(q->protocol) == map_proto(p->protocol) &&
			q->port > 0 && q->port <= 65535)
			return q;
	}
	return NULL;
}

static uint32_t
flags_of(const struct discovery_v1_endpoint *e, const struct map_place *at)
{
	const struct discovery_v1_endpoint_conditions *c = &e->conditions;
	uint32_t flags = 0;
	if (map_ready(e))
		flags |= PROXY_EP_READY;
	if (c->has_serving ? c->serving : map_ready(e))
		flags |= PROXY_EP_SERVING;
	if (c->has_terminating && c->terminating)
		flags |= PROXY_EP_TERMINATING;
	if (e->node_name.n && str_eq(e->node_name, at->node))
		flags |= PROXY_EP_LOCAL;
	return flags;
}

static bool
hint_node(const struct discovery_v1_endpoint *e, struct str node)
{
	for (size_t i = 0; e->hints && i < e->hints->n_for_nodes; i++)
		if (str_eq(e->hints->for_nodes[i].name, node))
			return true;
	return false;
}

static bool
hint_zone(const struct discovery_v1_endpoint *e, struct str zone)
{
	for (size_t i = 0; zone.n && e->hints && i < e->hints->n_for_zones; i++)
		if (str_eq(e->hints->for_zones[i].name, zone))
			return true;
	return false;
}

/* mark_far: hints count only when every ready endpoint of the family has one and one is for us, so that a
 * half-written set of hints takes nobody's endpoints away. Hints for nodes go before those for zones. */
static void
mark_far(struct proxy_endpoint *eps, const struct discovery_v1_endpoint *const *from, size_t n,
	int family, const struct map_place *at)
{
	size_t ready = 0, with_node = 0, with_zone = 0;
	bool my_node = false, my_zone = false;
	for (size_t i = 0; i < n; i++) {
		const struct discovery_v1_endpoint *e = from[i];
		if (eps[i].addr.family != family || !(eps[i].flags & PROXY_EP_READY))
			continue;
		ready++;
		with_node += e->hints && e->hints->n_for_nodes;
		with_zone += e->hints && e->hints->n_for_zones;
		my_node |= hint_node(e, at->node);
		my_zone |= hint_zone(e, at->zone);
	}
	bool by_node = with_node == ready && my_node;
	bool by_zone = with_zone == ready && my_zone;
	for (size_t i = 0; (by_node || by_zone) && i < n; i++) {
		bool near = by_node ? hint_node(from[i], at->node) : hint_zone(from[i], at->zone);
		if (eps[i].addr.family == family && !near)
			eps[i].flags |= PROXY_EP_FAR;
	}
}

static int
endpoints_of(struct arena *a, const struct map_input *in, const struct map_place *at,
	const struct core_v1_service_port *p, struct proxy_service *s)
{
	const struct discovery_v1_endpoint **from = NULL;
	struct proxy_endpoint *eps = NULL;
	size_t n = 0, n_from = 0;
	for (size_t i = 0; i < in->n_slices; i++) {
		const struct discovery_v1_endpoint_slice *slice = in->slices[i];
		const struct discovery_v1_endpoint_port *q = port_of(slice, p);
		for (size_t k = 0; q && k < slice->n_endpoints; k++) {
			const struct discovery_v1_endpoint *e = &slice->endpoints[k];
			struct ip_addr ip;
			/* All addresses of an endpoint are the same one: the first is used. */
			if (!e->n_addresses || ip_parse(e->addresses[0], &ip) < 0)
				continue;
			struct proxy_endpoint *ep = ARENA_PUSH(a, eps, n);
			const struct discovery_v1_endpoint **f = ARENA_PUSH(a, from, n_from);
			if (!ep || !f)
				return -ENOMEM;
			*ep = (struct proxy_endpoint){ip, (uint16_t)q->port, flags_of(e, at)};
			*f = e;
		}
	}
	mark_far(eps, from, n, 4, at);
	mark_far(eps, from, n, 6, at);
	s->endpoints = eps;
	s->n_endpoints = n;
	return 0;
}

static uint32_t
affinity_of(const struct core_v1_service_spec *spec)
{
	const struct core_v1_session_affinity_config *c = spec->session_affinity_config;
	if (!str_eq(spec->session_affinity, STR("ClientIP")))
		return 0;
	if (c && c->client_ip && c->client_ip->timeout_seconds > 0)
		return (uint32_t)c->client_ip->timeout_seconds;
	return PROXY_AFFINITY_DEFAULT_S;
}

static int
balancer_of(struct arena *a, const struct core_v1_service *svc, struct proxy_service *s)
{
	const struct core_v1_load_balancer_status *lb = &svc->status.load_balancer;
	const struct core_v1_service_spec *spec = &svc->spec;
	struct ip_addr *ips = ARENA_ARRAY(a, struct ip_addr, lb->n_ingress + 1);
	struct ip_prefix *ranges = ARENA_ARRAY(
		a, struct ip_prefix, spec->n_load_balancer_source_ranges + 1);
	if (!ips || !ranges)
		return -ENOMEM;
	if (!str_eq(spec->type, STR("LoadBalancer")))
		return 0;
	for (size_t i = 0; i < lb->n_ingress; i++)
		if ((!lb->ingress[i].ip_mode.n || str_eq(lb->ingress[i].ip_mode, STR("VIP"))) &&
			ip_parse(lb->ingress[i].ip, &ips[s->n_lb_ips]) == 0)
			s->n_lb_ips++;
	for (size_t i = 0; i < spec->n_load_balancer_source_ranges; i++)
		if (ip_prefix_parse(str_trim(spec->load_balancer_source_ranges[i]),
			    &ranges[s->n_lb_source_ranges]) == 0)
			s->n_lb_source_ranges++;
	/* Ranges of which none can be read let nobody in, not everybody. */
	if (spec->n_load_balancer_source_ranges && !s->n_lb_source_ranges)
		s->n_lb_ips = 0;
	s->lb_ips = ips;
	s->lb_source_ranges = ranges;
	return 0;
}

static size_t
without_own(struct ip_addr *ips, size_t n, const struct map_place *at)
{
	size_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		bool own = false;
		for (size_t k = 0; k < at->n_own; k++)
			own |= ip_eq(&ips[i], &at->own[k]);
		if (!own)
			ips[kept++] = ips[i];
	}
	return kept;
}

/* common_of: what all ports of a Service have alike. */
static int
common_of(struct arena *a, const struct core_v1_service *svc, const struct map_place *at,
	struct proxy_service *ret)
{
	const struct core_v1_service_spec *spec = &svc->spec;
	struct proxy_service s = {.affinity_s = affinity_of(spec),
		.external_local = str_eq(spec->external_traffic_policy, STR("Local")),
		.internal_local = str_eq(spec->internal_traffic_policy, STR("Local"))};
	struct ip_addr *cluster, *external;
	s.n_cluster_ips = map_cluster_ips(a, svc, &cluster);
	s.n_external_ips = ips_of(a, spec->external_ips, spec->n_external_ips, &external);
	if (balancer_of(a, svc, &s) < 0 || arena_failed(a))
		return -ENOMEM;
	s.n_cluster_ips = without_own(cluster, s.n_cluster_ips, at);
	s.n_external_ips = without_own(external, s.n_external_ips, at);
	s.cluster_ips = cluster;
	s.external_ips = external;
	*ret = s;
	return 0;
}

int
map_service(struct arena *a, const struct map_input *in, const struct map_place *at,
	struct map_port **ret, size_t *ret_n)
{
	const struct core_v1_service_spec *spec = &in->svc->spec;
	struct map_port *ports = ARENA_ARRAY(a, struct map_port, spec->n_ports + 1);
	struct proxy_service common = {0};
	size_t n = 0;
	if (!ports || (!is_skipped(in->svc) && common_of(a, in->svc, at, &common) < 0))
		return -ENOMEM;
	for (size_t i = 0; common.n_cluster_ips && i < spec->n_ports; i++) {
		const struct core_v1_service_port *p = &spec->ports[i];
		if (p->port <= 0 || p->port > 65535)
			continue;
		struct map_port *m = &ports[n++];
		m->s = common;
		m->s.proto = map_proto(p->protocol);
		m->s.port = (uint16_t)p->port;
		if (p->node_port > 0 && p->node_port <= 65535)
			m->s.node_port = (uint16_t)p->node_port;
		m->name = arena_fmt(a, STR_FMT "/" STR_FMT ":" STR_FMT, STR_ARG(in->ns),
			STR_ARG(in->name), STR_ARG(p->name));
		if (endpoints_of(a, in, at, p, &m->s) < 0 || arena_failed(a))
			return -ENOMEM;
	}
	*ret = ports;
	*ret_n = n;
	return 0;
}

/* ---- Nodes ---- */

void
map_node(const struct core_v1_node *node, struct podnet_node *ret)
{
	struct podnet_node n = {0};
	for (size_t i = 0; i < node->status.n_addresses; i++) {
		const struct core_v1_node_address *x = &node->status.addresses[i];
		struct ip_addr ip;
		if (!str_eq(x->type, STR("InternalIP")) || ip_parse(x->address, &ip) < 0)
			continue;
		struct ip_addr *to = ip.family == 4 ? &n.addr4 : &n.addr6;
		if (!ip_is_set(to))
			*to = ip;
	}
	bool many = node->spec.n_pod_cidrs > 0;
	for (size_t i = 0; i < (many ? node->spec.n_pod_cidrs : 1); i++) {
		struct ip_prefix p;
		if (ip_prefix_parse(many ? node->spec.pod_cidrs[i] : node->spec.pod_cidr, &p) < 0)
			continue;
		struct ip_prefix *to = p.addr.family == 4 ? &n.pod_cidr4 : &n.pod_cidr6;
		if (!ip_is_set(&to->addr))
			*to = p;
	}
	*ret = n;
}

size_t
map_node_addrs(const struct core_v1_node *node, struct ip_addr *ret, size_t max)
{
	size_t n = 0;
	for (size_t i = 0; i < node->status.n_addresses && n < max; i++) {
		const struct core_v1_node_address *x = &node->status.addresses[i];
		if (str_eq(x->type, STR("InternalIP")) || str_eq(x->type, STR("ExternalIP")))
			n += ip_parse(x->address, &ret[n]) == 0;
	}
	return n;
}

struct str
map_node_zone(const struct core_v1_node *node)
{
	struct str zone = label_of(&node->metadata, ZONE_LABEL);
	return str_is_set(zone) ? zone : STR("");
}
