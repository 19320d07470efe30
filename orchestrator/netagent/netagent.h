/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * netagent: the glue between the Kubernetes API and the network of one node. It watches Nodes, Services
 * and EndpointSlices and tells podnet and proxy, which know no Kubernetes, what is wanted.
 *
 *   Nodes                       -> routes to other nodes' pods; the own node's ranges -> on_pod_cidrs
 *   Services + EndpointSlices   -> proxy_service_set / _del, one batch a loop turn
 *   host ports (from the kubelet) -> proxy_hostport_set / _del
 *
 * Place in the flow: made by the node role once it has credentials, runs on its loop, owns no state that is
 * not in the API or in the kernel. The cluster's name server is a role of its own: dns_role.h.
 * Invariant: rules that an earlier process left work on until all that is wanted is known (takeover).
 * Must not: write to the API, block.
 * Source: kubernetes.io "Virtual IPs and Service Proxies"; KEP-752, KEP-1669, KEP-2086, KEP-2433,
 * KEP-1860 (ipMode), KEP-3015 (node hints); architecture.md sections 6 and 8. */
#ifndef ORCHESTRATOR_NETAGENT_NETAGENT_H
#define ORCHESTRATOR_NETAGENT_NETAGENT_H

#include "netstack/podnet/podnet.h"
#include "netstack/proxy/proxy.h"
#include "orchestrator/client/client.h"

struct netagent;

struct netagent_config {
	struct loop *loop;
	struct client *client; /* borrowed until netagent_free; may do what system:node-proxier may */
	struct str node_name;  /* copied, as all arrays here are */
	struct podnet *podnet; /* borrowed; NULL: no routes to other nodes (tests, foreign networks) */
	struct ip_prefix pod4, pod6, service4, service6; /* of the cluster; family 0 = none */
	const struct ip_addr *node_addrs; /* where node ports are served, besides what the Node object says */
	size_t n_node_addrs;
	struct ip_addr dns4, dns6; /* the cluster's name server: answered by this node itself, never by proxy */
	const char *proxy_table;   /* NULL = proxy's own */
	/* The rules an earlier process left are replaced only after netagent_hostports_synced. */
	bool wait_hostports;
	/* on_pod_cidrs: the own node has these ranges (family 0 = not yet); called again when they change.
	 * May call podnet_configure. May be NULL. */
	void (*on_pod_cidrs)(void *arg, const struct ip_prefix *cidr4, const struct ip_prefix *cidr6);
	/* on_ready: all that the API had at the start is in the kernel; once. May be NULL. */
	void (*on_ready)(void *arg);
	void *arg;
};

/* netagent_new: opens proxy and starts the watches; on_ready comes later. Returns owned.
 * Errors: -ENOMEM, -errno of netlink (e says what). */
int netagent_new(const struct netagent_config *cfg, struct netagent **ret, struct err *e);
/* netagent_free: ends the watches; the kernel's rules and routes stay. NULL allowed. */
void netagent_free(struct netagent *a);
bool netagent_is_ready(const struct netagent *a);
/* netagent_services / _nodes: the informers, for the node's other parts (one watch a resource); core_v1_service,
 * core_v1_node. Borrowed until netagent_free; handlers may be added by informer_add_handler. */
struct informer *netagent_services(struct netagent *a);
struct informer *netagent_nodes(struct netagent *a);
/* netagent_podnet_configured: podnet_configure has succeeded for the first time, or its uplink changed, other than
 * within on_pod_cidrs: routes to other nodes are made now (before, they wait). */
void netagent_podnet_configured(struct netagent *a);

/* netagent_hostports_set: these are the ports of the node that lead to the pod; replaces what the key (a
 * pod's UID) had; n = 0 removes. The kernel has it at the end of the turn.
 * Errors: -ENOMEM, -EINVAL (protocol, port 0, key too long). */
int netagent_hostports_set(
	struct netagent *a, struct str key, const struct proxy_hostport *ports, size_t n);
/* netagent_hostports_synced: the ports of all pods that ran before have been set (see wait_hostports). */
void netagent_hostports_synced(struct netagent *a);

/* netagent_dns_credentials: hands the node's client certificate and key (one PEM text) to the dns role, as a
 * file that only its user can read. Call it with each new certificate. Errors: -errno, e says what. */
int netagent_dns_credentials(struct str pem, struct err *e);

#endif
