/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * nodenet: the glue between the Kubernetes API and the network of one node. It watches Nodes, Services
 * and EndpointSlices and tells podnet and proxy, which know no Kubernetes, what is wanted.
 *
 *   Nodes                         -> routes to other nodes' pods; where node ports are served
 *   Services + EndpointSlices     -> proxy_service_set / _del, one batch a loop turn
 *   pods of the node (from the kubelet) -> proxy_hostport_set / _del
 *   NetworkPolicies, with Pods and Namespaces -> policy_set (netpol.c)
 *
 * Place in the flow: made by the node role once it has credentials, runs on its loop, owns no state that is
 * not in the API or in the kernel. The cluster's name server is a role of its own: dns_role.h.
 * Invariant: rules that an earlier process left work on until all that is wanted is known (takeover).
 * Must not: write to the API, block.
 * Source: kubernetes.io "Virtual IPs and Service Proxies"; KEP-752, KEP-1669 (terminating endpoints),
 * KEP-2086, KEP-2433 (hints), KEP-1860 (ipMode), KEP-3015 (node hints); architecture.md sections 6 and 8. */
#ifndef ORCHESTRATOR_NODENET_NODENET_H
#define ORCHESTRATOR_NODENET_NODENET_H

#include "netstack/podnet/podnet.h"
#include "netstack/proxy/proxy.h"
#include "orchestrator/client/client.h"
#include "orchestrator/machine/machine.h"

struct nodenet;
struct core_v1_pod;
struct nodenet_config {
	struct client *
		client; /* borrowed until nodenet_free; may do what system:node-proxier and a node may */
	const struct machine_config *cfg; /* kept */
	struct podnet *net;               /* borrowed; NULL: no routes to other nodes */
	const struct ip_addr *
		node_ips; /* where node ports are served, besides what the Node object says; copied */
	size_t n_node_ips;
	bool wait_hostports; /* an earlier process's rules stay until nodenet_pods_synced */
	void (*on_policies)(
		void *arg, struct str key); /* nodenet_policies_hold has turned true; may be NULL */
	void (*on_ready)(
		void *arg); /* all that the API had at the start is in the kernel; once; may be NULL */
	void *arg;
};
/* nodenet_new: opens proxy, starts the watches. Returns owned. Errors: -ENOMEM, -errno of netlink (e). */
int nodenet_new(const struct nodenet_config *c, struct nodenet **ret, struct err *e);
/* nodenet_free: ends the watches; the kernel's rules and routes stay. NULL allowed. */
void nodenet_free(struct nodenet *a);
/* nodenet_podnet_configured: podnet_configure has succeeded: routes to other nodes are looked at now (otherwise
 * within a second). */
void nodenet_podnet_configured(struct nodenet *a);

/* nodenet_addresses_set: where node ports are served from now on, in place of nodenet_config.node_ips. */
void nodenet_addresses_set(struct nodenet *a, const struct ip_addr *ips, size_t n);

/* nodenet_hostports_set: these are the ports of the node that lead to the pod; replaces what the key (a
 * pod's UID) had; n = 0 removes. The kernel has it at the end of the turn.
 * Errors: -ENOMEM, -EINVAL (protocol, port 0, key empty or longer than 200). */
int nodenet_hostports_set(
	struct nodenet *a, struct str key, const struct proxy_hostport *ports, size_t n);
/* nodenet_pod_set: a pod of this node with its addresses: its host ports lead to it, network policies hold for it.
 * key: its UID; again when it changed. nodenet_pod_del: it is gone; an absent one is no error. Errors: as above. */
int nodenet_pod_set(struct nodenet *a, struct str key, const struct core_v1_pod *pod,
	const struct ip_addr *ips, size_t n_ips);
void nodenet_pod_del(struct nodenet *a, struct str key);
/* nodenet_policies_hold: network policies hold for the pod, which nodenet_pod_set has told of; no container of it should
 * start before. on_policies tells when. */
bool nodenet_policies_hold(const struct nodenet *a, struct str key);
/* nodenet_pods_synced: all pods that ran before have been set (see wait_hostports). */
void nodenet_pods_synced(struct nodenet *a);

/* nodenet_dns_credentials: hands the node's client certificate and key (one PEM text) to the dns role, as a
 * file that only its user can read. To be called with each new certificate. Errors: -errno (e). */
int nodenet_dns_credentials(struct str pem, struct err *e);

#endif
