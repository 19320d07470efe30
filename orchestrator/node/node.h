/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * node: the front door of the kubelet: the machine joins the cluster and runs the pods bound to it.
 *
 * Flow: credentials (join.c) -> Node object and Lease (register.c) -> pods watched (pods.c) -> one state
 * machine a pod (pod_sync.c): volumes, sandbox, network, images, containers, probes -> status (pod_status.c).
 * Beside it the node API on port 10250: logs, exec, attach, port-forward (serve.c).
 *
 * Invariants: one loop, nothing blocks on it; all that must outlive the role is on disk, in the
 * kernel or with PID 1, so the role may be killed at any moment and no pod notices.
 * Source: Kubernetes kubelet (behaviour); KEP-277, KEP-753, KEP-3085, KEP-3960; architecture.md 3, 6. */
#ifndef ORCHESTRATOR_NODE_NODE_H
#define ORCHESTRATOR_NODE_NODE_H

struct machine_config;

/* node_role_main: main of the role `node`; fd 3 leads to PID 1 (base/init_proto.h). c is kept. Runs until the
 * process is ended; the exit status otherwise (1: something without which no node can be). */
int node_role_main(const struct machine_config *c);

#endif
