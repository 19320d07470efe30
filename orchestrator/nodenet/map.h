/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * map: Kubernetes objects as descriptions for proxy, podnet and dns. Functions without state: objects in,
 * descriptions out. Must not: know informers, sockets or the kernel. Sources: see nodenet.h. */
#ifndef ORCHESTRATOR_NODENET_MAP_H
#define ORCHESTRATOR_NODENET_MAP_H

#include "base/arena.h"
#include "netstack/dns/dns.h"
#include "netstack/podnet/podnet.h"
#include "netstack/proxy/proxy.h"

struct str_pair;
struct core_v1_service;
struct core_v1_pod_spec;
struct core_v1_node;
struct discovery_v1_endpoint;
struct discovery_v1_endpoint_slice;

/* A Service with all its EndpointSlices; borrowed. */
struct map_input {
	struct str ns, name;
	const struct core_v1_service *svc;
	const struct discovery_v1_endpoint_slice *const *slices;
	size_t n_slices;
};

/* What decides about nearness, and which addresses are never the proxy's. */
struct map_place {
	struct str node, zone; /* zone "" = unknown */
	const struct ip_addr *own;
	size_t n_own;
};

/* One port of a Service for proxy_service_set. */
struct map_port {
	struct str name; /* "ns/name:port" */
	struct proxy_service s;
};

/* map_service: one entry a port; none for a Service that is not the proxy's: headless, ExternalName, without an
 * address, or left to another implementation (label service.kubernetes.io/service-proxy-name). Entries, and
 * what they point to, are arena and borrow the input. 0 or -ENOMEM. */
int map_service(struct arena *a, const struct map_input *in, const struct map_place *at,
	struct map_port **ret, size_t *ret_n);

/* map_hostports: the host ports of a pod with these addresses, of containers and sidecars; arena. Those that
 * cannot be (malformed) are left out. 0 or -ENOMEM. */
int map_hostports(struct arena *a, const struct core_v1_pod_spec *s, const struct ip_addr *ips,
	size_t n_ips, struct proxy_hostport **ret, size_t *ret_n);

/* map_node: addresses (InternalIP) and ranges of a node; what is absent or malformed has family 0. */
void map_node(const struct core_v1_node *node, struct podnet_node *ret);
/* map_node_addrs: up to max InternalIPs and ExternalIPs of a node; how many. */
size_t map_node_addrs(const struct core_v1_node *node, struct ip_addr *ret, size_t max);
/* map_node_zone: its label topology.kubernetes.io/zone, "" when absent. */
struct str map_node_zone(const struct core_v1_node *node);

/* map_dns: the Service as the name server knows it; only headless ones need slices. Arena, borrows the input.
 * 1, 0: it has no names (yet), -ENOMEM. */
int map_dns(struct arena *a, const struct map_input *in, struct dns_service *ret);
bool map_is_headless(const struct core_v1_service *svc);
bool map_is_external_name(const struct core_v1_service *svc);

/* map_slice_service: the name of the Service a slice belongs to; "" = none. */
struct str map_slice_service(const struct discovery_v1_endpoint_slice *slice);

/* map_resolvers: the `nameserver` lines of a resolv.conf, without the addresses in own; how many of at most max.
 * Total over any bytes. */
size_t map_resolvers(struct str text, const struct ip_addr *own, size_t n_own,
	struct dns_upstream *ret, size_t max);

/* ---- parts of the above ---- */
/* map_proto: IPPROTO_ of "TCP" (also what "" means), "UDP", "SCTP". */
uint8_t map_proto(struct str name);
/* map_cluster_ips: its addresses; arena (NULL when it failed). */
size_t map_cluster_ips(struct arena *a, const struct core_v1_service *svc, struct ip_addr **ret);
/* map_ready: the condition; absent means ready. */
bool map_ready(const struct discovery_v1_endpoint *e);

#endif
