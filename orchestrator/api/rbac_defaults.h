/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * rbac_defaults: row form of the default roles and bindings. Private to api.
 *   ROLE     a namespace ("" = ClusterRole)  b name  c "" or the role it aggregates to  d "" or the label
 *            suffix it aggregates itself ("admin" = all labelled aggregate-to-admin)
 *   RULE     a groups  b resources  c resource names  d verbs
 *   URLS     a paths  b verbs
 *   BINDING  a namespace ("" = ClusterRoleBinding)  b name  c "Kind:name"  d "Kind:name;..." with
 *            "ServiceAccount:ns/name" */
#ifndef ORCHESTRATOR_API_RBAC_DEFAULTS_H
#define ORCHESTRATOR_API_RBAC_DEFAULTS_H

#include "base/str.h"

enum rbac_row_kind { RBAC_ROLE, RBAC_RULE, RBAC_URLS, RBAC_BINDING };
struct rbac_row {
	enum rbac_row_kind kind;
	const char *a, *b, *c, *d;
};
extern const struct rbac_row rbac_defaults[];
extern const size_t rbac_defaults_n;

#endif
