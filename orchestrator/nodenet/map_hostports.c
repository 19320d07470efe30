/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * map_hostports: ports of the node that lead to a pod (ports[].hostPort). See map.h.
 *
 *   hostIP ""          every address of the node and 127.0.0.1, both families
 *   hostIP "0.0.0.0"   the same, IPv4 only; "::" IPv6 only
 *   another            that one
 *
 * Pods in the node's network have no mapping: they bind the port themselves.
 * Source: CNI portmap plugin (conditions, families); kubelet MakePortMappings; KEP-753 (sidecars). */
#include "orchestrator/nodenet/map.h"

#include "kinds/core_v1.h"

#include <errno.h>

/* port_of: false when it is not a host port, or one that cannot be. */
static bool
port_of(const struct core_v1_container_port *p, const struct ip_addr *ips, size_t n_ips,
	struct proxy_hostport *ret)
{
	struct proxy_hostport h = {.proto = map_proto(p->protocol),
		.host_port = (uint16_t)p->host_port,
		.pod_port = (uint16_t)p->container_port};
	if (p->host_port < 1 || p->host_port > 65535 || p->container_port < 1 ||
		p->container_port > 65535 || (p->host_ip.n && ip_parse(p->host_ip, &h.host_ip) < 0))
		return false;
	for (size_t i = 0; i < n_ips; i++)
		if (!ip_is_set(&h.host_ip) || h.host_ip.family == ips[i].family)
			*(ips[i].family == 4 ? &h.pod4 : &h.pod6) = ips[i];
	*ret = h;
	return true;
}

static int
ports_add(struct arena *a, const struct core_v1_container *c, const struct ip_addr *ips,
	size_t n_ips, struct proxy_hostport **v, size_t *n)
{
	for (size_t i = 0; i < c->n_ports; i++) {
		struct proxy_hostport h;
		if (!port_of(&c->ports[i], ips, n_ips, &h))
			continue;
		struct proxy_hostport *slot = ARENA_PUSH(a, *v, *n);
		if (!slot)
			return -ENOMEM;
		*slot = h;
	}
	return 0;
}

int
map_hostports(struct arena *a, const struct core_v1_pod_spec *s, const struct ip_addr *ips,
	size_t n_ips, struct proxy_hostport **ret, size_t *ret_n)
{
	struct proxy_hostport *v = NULL;
	size_t n = 0;
	int rc = 0;
	for (size_t i = 0; rc == 0 && !s->host_network && i < s->n_init_containers; i++)
		if (str_eq(s->init_containers[i].restart_policy, STR("Always")))
			rc = ports_add(a, &s->init_containers[i], ips, n_ips, &v, &n);
	for (size_t i = 0; rc == 0 && !s->host_network && i < s->n_containers; i++)
		rc = ports_add(a, &s->containers[i], ips, n_ips, &v, &n);
	if (rc < 0)
		return rc;
	*ret = v;
	*ret_n = n;
	return 0;
}
