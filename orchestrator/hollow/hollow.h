/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hollow: nodes that only pretend to run pods: they join a cluster as real ones do, renew their leases, and
 * say of the pods that are bound to them what a kubelet would say, but no process runs anywhere. For tests of
 * everything that is not a node: controllers, the scheduler, clients, thousands of nodes on one machine.
 *
 *   hollow.c       the nodes: object, conditions, Lease
 *   pod.c          what is said of pods
 *   hollow_main.c  `keelson hollow`
 *
 * All nodes share one client, one watch of nodes and one of bound pods; what is said next of a pod is a
 * function of what the API holds of it, so the program may be ended and started again at any moment.
 * Must not: answer for what only a real node can do (logs, exec, probes, volumes, addresses that answer).
 * Source: Kubernetes kubelet (behaviour), KEP-589 (leases); kubemark for the idea. */
#ifndef ORCHESTRATOR_HOLLOW_HOLLOW_H
#define ORCHESTRATOR_HOLLOW_HOLLOW_H

#include "base/loop.h"

struct client;
struct hollow;

struct hollow_config {
	const char *name;                          /* nodes are NAME-1, NAME-2 ... */
	unsigned nodes;                            /* at most HOLLOW_NODES_MAX */
	unsigned cpus, memory_mib, pods, disk_gib; /* of each */
};
#define HOLLOW_NODES_MAX 60000

/* hollow_new: starts on loop l; c and the name are kept. Returns owned. Errors: -ENOMEM. hollow_free: the nodes stay
 * in the API and fall silent. */
int hollow_new(
	struct loop *l, struct client *c, const struct hollow_config *cfg, struct hollow **ret);
void hollow_free(struct hollow *h);

/* hollow_main: `keelson hollow`; argv[0] is the command's name. Returns the exit status. */
int hollow_main(int argc, char **argv);

#endif
