/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * netpol: NetworkPolicies of the API, kept for the pods of this node. Private to nodenet: made and told of pods by
 * nodenet.c.
 *
 *   NetworkPolicies -> watched always
 *   Pods, Namespaces of the cluster -> watched only while there is a policy
 *   pods of this node, with their addresses -> from the kubelet, before the API knows them
 *
 * What changes within a turn is worked out once, at its end; after that not again for twenty times as long as it took,
 * or for as long as it took while a pod waits for it.
 * Invariants: rules that an earlier process left work on until all that is wanted is known. A pod that is new here holds
 * once the kernel isolates it as the policies known then say (kubernetes.io "Network Policies", pod lifecycle). */
#ifndef ORCHESTRATOR_NODENET_NETPOL_H
#define ORCHESTRATOR_NODENET_NETPOL_H

#include "base/ip.h"
#include "orchestrator/client/client.h"

struct core_v1_pod;
struct netpol;
/* netpol_new: c is borrowed until netpol_free; on_holds (may be NULL) is called at the end of a turn for each pod of which
 * netpol_holds has turned true since netpol_pod_set. Owned. Errors: -ENOMEM, -errno of netlink (e). */
int netpol_new(struct client *c, void (*on_holds)(void *arg, struct str uid), void *arg,
	struct netpol **ret, struct err *e);
/* netpol_free: the kernel's rules stay. NULL allowed. */
void netpol_free(struct netpol *p);

/* netpol_pod_set: a pod of this node has these addresses; replaces what uid had. -ENOMEM. */
int netpol_pod_set(struct netpol *p, struct str uid, const struct core_v1_pod *pod,
	const struct ip_addr *ips, size_t n_ips);
void netpol_pod_del(struct netpol *p, struct str uid);
/* netpol_pods_synced: all pods that ran before have been set. Rules of an earlier process stay until then. */
void netpol_pods_synced(struct netpol *p);
/* netpol_holds: what the policies say of this pod is in the kernel; also when they say nothing. False: not set, or not yet. */
bool netpol_holds(const struct netpol *p, struct str uid);
struct policy_stats;
void netpol_stats_get(const struct netpol *p, struct policy_stats *ret);

#endif
