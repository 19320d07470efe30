/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * match: nodes against selectors, taints against tolerations: what the scheduler asks, and controllers that
 * say beforehand where a pod may run. Pure.
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

#endif
