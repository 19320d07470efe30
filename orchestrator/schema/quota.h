/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * quota: what an object takes of the ResourceQuotas of its namespace: what the server that charges and the controller
 * that counts have to agree on.
 * Source: kubernetes pkg/quota/v1/evaluator/core, apiserver quota/v1/generic. */
#ifndef ORCHESTRATOR_SCHEMA_QUOTA_H
#define ORCHESTRATOR_SCHEMA_QUOTA_H

#include "orchestrator/schema/resource_list.h"

/* A resource: what is said of its objects is the same for all versions. */
struct quota_of {
	struct str group, plural;
};

/* quota_counts: may objects of this resource take of what a quota calls `name`? */
bool quota_counts(struct quota_of of, struct str name);
/* quota_by_number: each object takes one of each name that is counted, and no scope concerns it. */
bool quota_by_number(struct quota_of of);
/* quota_matches: the object is within the scopes of a quota's spec. */
bool quota_matches(struct quota_of of, const struct doc *spec, const struct doc *obj);
/* quota_usage: adds what the object takes at wall time now_ns, of all there could be. */
void quota_usage(
	struct resource_list *ret, struct quota_of of, const struct doc *obj, int64_t now_ns);
/* quota_compute: the names by which quotas know a pod's or a container's requests and limits. */
void quota_compute(struct resource_list *ret, const struct resource_list *requests,
	const struct resource_list *limits);
/* quota_has_deadline: a pod that ends by itself (scope Terminating). */
bool quota_has_deadline(const struct doc *pod);

#endif
