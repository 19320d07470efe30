/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * map_dns: Services as the name server wants them, and the resolvers it forwards to. See map.h.
 * Source: Kubernetes DNS specification 1.1.0; resolv.conf(5). */
#include "orchestrator/nodenet/map.h"

#include "kinds/core_v1.h"
#include "kinds/discovery_v1.h"

#include <errno.h>

static size_t
service_ports(struct arena *a, const struct core_v1_service *svc, const struct dns_port **ret)
{
	struct dns_port *ports = ARENA_ARRAY(a, struct dns_port, svc->spec.n_ports + 1);
	size_t n = 0;
	for (size_t i = 0; ports && i < svc->spec.n_ports; i++) {
		const struct core_v1_service_port *p = &svc->spec.ports[i];
		if (p->port > 0 && p->port <= 65535)
			ports[n++] = (struct dns_port){
				p->name, map_proto(p->protocol), (uint16_t)p->port};
	}
	*ret = ports;
	return n;
}

/* slice_ports: the endpoints' own numbers, which the SRV records of a headless Service give. */
static size_t
slice_ports(struct arena *a, const struct discovery_v1_endpoint_slice *s, struct dns_port **ret)
{
	struct dns_port *ports = ARENA_ARRAY(a, struct dns_port, s->n_ports + 1);
	size_t n = 0;
	for (size_t i = 0; ports && i < s->n_ports; i++) {
		const struct discovery_v1_endpoint_port *p = &s->ports[i];
		if (p->port > 0 && p->port <= 65535)
			ports[n++] = (struct dns_port){
				p->name, map_proto(p->protocol), (uint16_t)p->port};
	}
	*ret = ports;
	return n;
}

static void
headless_endpoints(struct arena *a, const struct map_input *in, struct dns_service *d)
{
	struct dns_endpoint *eps = NULL;
	size_t n = 0;
	for (size_t i = 0; i < in->n_slices; i++) {
		const struct discovery_v1_endpoint_slice *s = in->slices[i];
		struct dns_port *ports = NULL;
		size_t n_ports = slice_ports(a, s, &ports);
		for (size_t k = 0; ports && k < s->n_endpoints; k++) {
			const struct discovery_v1_endpoint *e = &s->endpoints[k];
			struct ip_addr ip;
			if (!map_ready(e) || !e->n_addresses || ip_parse(e->addresses[0], &ip) < 0)
				continue;
			struct dns_endpoint *slot = ARENA_PUSH(a, eps, n);
			if (!slot)
				return;
			*slot = (struct dns_endpoint){ip, e->hostname, ports, n_ports};
		}
	}
	d->headless = true;
	d->endpoints = eps;
	d->n_endpoints = n;
}

int
map_dns(struct arena *a, const struct map_input *in, struct dns_service *ret)
{
	const struct core_v1_service *svc = in->svc;
	struct dns_service d = {.ns = in->ns, .name = in->name};
	struct ip_addr ip, *ips = NULL;
	if (map_is_external_name(svc)) {
		/* An address is no host name; a CNAME to it would lead nowhere. */
		if (!svc->spec.external_name.n || ip_parse(svc->spec.external_name, &ip) == 0)
			return 0;
		d.external_name = svc->spec.external_name;
		*ret = d;
		return 1;
	}
	d.n_ports = service_ports(a, svc, &d.ports);
	if (map_is_headless(svc))
		headless_endpoints(a, in, &d);
	else
		d.n_cluster_ips = map_cluster_ips(a, svc, &ips);
	d.cluster_ips = ips;
	if (arena_failed(a))
		return -ENOMEM;
	if (!d.headless && !d.n_cluster_ips)
		return 0;
	*ret = d;
	return 1;
}

size_t
map_resolvers(struct str text, const struct ip_addr *own, size_t n_own, struct dns_upstream *ret,
	size_t max)
{
	static const struct str word = STR_INIT("nameserver");
	struct str line;
	size_t n = 0;
	while (n < max && str_next(&text, '\n', &line)) {
		struct ip_addr ip;
		bool is_own = false;
		line = str_trim(line);
		struct str rest = str_sub(line, word.n, SIZE_MAX);
		if (!str_starts(line, word) || rest.n == 0 ||
			(rest.p[0] != ' ' && rest.p[0] != '\t') ||
			ip_parse(str_trim(rest), &ip) < 0)
			continue;
		for (size_t i = 0; i < n_own; i++)
			is_own |= ip_eq(&ip, &own[i]);
		if (!is_own)
			ret[n++] = (struct dns_upstream){.addr = ip};
	}
	return n;
}
