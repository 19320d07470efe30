/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * proxy: virtual addresses that spread connections over endpoints, in the kernel's nf_tables. The rule set is
 * fixed: chains for "one of n" exist once for each n, and all that changes is elements of maps
 * without verdicts. So a packet costs the same and an endpoint change costs the same at any number of
 * services. Connections are untouched by a restart of the process: only new ones consult the maps.
 *
 *   in/ex : address . proto . port  ->  set number . flags     (seen from inside / outside the cluster)
 *   cnt   : set number              ->  class                  (how many, or reject, or drop)
 *   ep    : set number . index      ->  address . port
 *
 * Flow: proxy_open, proxy_config_set, proxy_service_set ... (all that is known), proxy_sync once, then
 * proxy_service_set / _del as things change: the changes of one loop turn make one batch.
 * Must not: know Kubernetes objects, wait, touch connections that are not stale.
 * Source: kubernetes.io "Virtual IPs and Service Proxies"; KEP-3866 (nftables proxy), KEP-1669
 * (terminating endpoints), KEP-2086 (internal traffic policy), KEP-2433 (topology hints). */
#ifndef NETSTACK_PROXY_PROXY_H
#define NETSTACK_PROXY_PROXY_H

#include "netstack/netlink/netlink.h"

enum {
	PROXY_ENDPOINTS_MAX = 8192, /* of a service port and family; further ones are not used */
	PROXY_AFFINITY_DEFAULT_S = 10800,
};

enum proxy_ep_flags {
	PROXY_EP_LOCAL = 1,   /* runs on this node */
	PROXY_EP_READY = 2,   /* takes new connections */
	PROXY_EP_SERVING = 4, /* would, but is terminating: used only when none is ready */
	PROXY_EP_TERMINATING = 8,
	PROXY_EP_FAR = 16, /* topology hints keep it from this node (Cluster policy only) */
};

struct proxy_endpoint {
	struct ip_addr addr;
	uint16_t port;
	uint32_t flags; /* enum proxy_ep_flags */
};

/* The wanted state of one service port; both families in one description. All arrays are copied. */
struct proxy_service {
	uint8_t proto; /* IPPROTO_TCP, _UDP, _SCTP */
	uint16_t port;
	const struct ip_addr *cluster_ips;
	size_t n_cluster_ips;
	const struct ip_addr *external_ips; /* spec.externalIPs */
	size_t n_external_ips;
	const struct ip_addr *lb_ips; /* status.loadBalancer.ingress with ipMode VIP */
	size_t n_lb_ips;
	const struct ip_prefix *lb_source_ranges; /* none = everybody; for lb_ips only */
	size_t n_lb_source_ranges;
	uint16_t node_port;  /* 0 = none */
	bool external_local; /* externalTrafficPolicy: Local */
	bool internal_local; /* internalTrafficPolicy: Local */
	uint32_t affinity_s; /* ClientIP affinity for so many seconds; 0 = none */
	const struct proxy_endpoint *endpoints;
	size_t n_endpoints;
};

/* A port of the node that leads to one pod. */
struct proxy_hostport {
	uint8_t proto;
	struct ip_addr
		host_ip; /* none: every node address and 127.0.0.1; unspecified: those of its family */
	uint16_t host_port;
	struct ip_addr pod4, pod6; /* may be none */
	uint16_t pod_port;
};

struct proxy_config {
	const struct ip_prefix *inside; /* pods' ranges of the cluster: their source is kept */
	size_t n_inside;
	const struct ip_prefix *service_cidrs; /* addresses without a service are rejected */
	size_t n_service_cidrs;
	const struct ip_addr *node_addrs; /* where node ports are served */
	size_t n_node_addrs;
};

struct proxy;

/* proxy_open: l may be NULL (tests, tools): then changes wait for proxy_flush. table NULL = "keelson-services".
 * on_error (may be NULL): the kernel refused a change (after this the whole state is sent anew, with
 * a growing delay; nothing need be done). Errors: -errno. Returns owned. */
int proxy_open(struct loop *l, const char *table, void (*on_error)(void *arg, const struct err *e),
	void *arg, struct proxy **ret, struct err *e);
/* proxy_close: frees; the kernel's state stays and goes on working. */
void proxy_close(struct proxy *p);
/* proxy_found_state: an earlier process of this version left its rules. Then wait with proxy_sync until all services
 * are known, or they would vanish for a moment; otherwise sync at once (host ports need it). */
bool proxy_found_state(const struct proxy *p);

/* proxy_config_set: ranges and node addresses; unchanged = nothing is sent. Errors: -ENOMEM. */
int proxy_config_set(struct proxy *p, const struct proxy_config *c);

/* proxy_service_set: this service port shall be so; name ("namespace/name:port") identifies it and is
 * copied. Computes the difference to what was set before; the kernel has it at the end of the loop
 * turn (or after proxy_flush). Two services claiming one address, protocol and port: the first keeps
 * it, the other gets it when the first goes.
 * Errors: -ENOMEM, -EINVAL (no such protocol, port 0). */
int proxy_service_set(struct proxy *p, struct str name, const struct proxy_service *s);
/* proxy_service_del: an absent one is no error. */
void proxy_service_del(struct proxy *p, struct str name);
int proxy_hostport_set(struct proxy *p, struct str name, const struct proxy_hostport *h);
void proxy_hostport_del(struct proxy *p, struct str name);
/* proxy_services: calls fn(arg, name) for each service (not host ports); fn may delete that one. */
void proxy_services(struct proxy *p, void (*fn)(void *arg, struct str name), void *arg);

/* proxy_sync: one atomic batch that makes the kernel's state what has been set, whatever was there:
 * nothing, rules of an earlier process (whose affinities live on), or damage. Until the first call
 * changes only collect. Errors: -errno, e says what; may be called again. */
int proxy_sync(struct proxy *p, struct err *e);
/* proxy_flush: sends the collected changes now. Errors: -errno; the next flush or turn syncs. */
int proxy_flush(struct proxy *p, struct err *e);
/* proxy_remove: takes the table out of the kernel. */
int proxy_remove(struct proxy *p, struct err *e);

struct proxy_stats {
	uint64_t batches, elements, syncs, errors, ct_flushed;
	size_t services, frontends, endpoints;
};
void proxy_stats_get(const struct proxy *p, struct proxy_stats *ret);

#endif
