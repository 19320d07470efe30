/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * match: nodes against selectors, taints against tolerations: what the scheduler asks, controllers that say
 * beforehand where a pod may run, and the node that is to run it. Pure.
 * Source: component-helpers scheduling/corev1 (nodeaffinity, helpers). */
#ifndef ORCHESTRATOR_SCHEDULE_MATCH_H
#define ORCHESTRATOR_SCHEDULE_MATCH_H

#include "base/str.h"

#include "kinds/core_v1.h"

bool match_node_term(const struct core_v1_node_selector_term *t, const struct core_v1_node *n);
bool match_node_selector(const struct core_v1_node_selector *sel, const struct core_v1_node *n);
struct str node_label(const struct core_v1_node *n, struct str key); /* STR_NONE = absent */
/* tolerates: one of the n tolerations covers the taint. */
bool tolerates(const struct core_v1_toleration *t, size_t n, const struct core_v1_taint *taint);
/* match_pod_node: the pod's nodeSelector and what its node affinity requires hold on the node. */
bool match_pod_node(const struct core_v1_pod_spec *p, const struct core_v1_node *n);

/* host_port_next: the next host port of a pod: of its containers and of the init containers that run as long
 * as they do. *pos counts the containers, *port their ports; both 0 at first. NULL = no more. */
const struct core_v1_container_port *host_port_next(
	const struct core_v1_pod_spec *s, size_t *pos, size_t *port);
/* host_ports_clash: they want the same port of a node: same protocol, and the same address or one of them any. */
bool host_ports_clash(const struct core_v1_pod_spec *x, const struct core_v1_pod_spec *y);

#endif
