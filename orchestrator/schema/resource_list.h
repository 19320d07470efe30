/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * resource_list: named quantities (a ResourceList: requests, limits, what a quota allows) and their arithmetic; and
 * what a pod asks for in sum.
 * Source: apiserver quota/v1 (resources), component-helpers resource (PodRequests, PodLimits). */
#ifndef ORCHESTRATOR_SCHEMA_RESOURCE_LIST_H
#define ORCHESTRATOR_SCHEMA_RESOURCE_LIST_H

#include "base/doc.h"
#include "orchestrator/schema/schema_value.h"

struct resource_amount {
	struct str name; /* borrowed */
	struct quantity q;
};
/* In order of names. Set `a` and nothing else to begin; without memory an item is missing (the arena has failed). */
struct resource_list {
	struct arena *a;
	struct resource_amount *v;
	size_t n, cap;
};

/* resource_list_get: NULL = it has none. Valid until something is put into the list. */
const struct quantity *resource_list_get(const struct resource_list *l, struct str name);
void resource_list_set(struct resource_list *l, struct str name, struct quantity q);
void resource_list_add(struct resource_list *l, struct str name, const struct quantity *q);
/* resource_list_add_doc: adds all of {"cpu":"100m",...}; what is no quantity counts as none. */
void resource_list_add_doc(struct resource_list *l, const struct doc *d);
void resource_list_add_list(struct resource_list *l, const struct resource_list *from);
/* resource_list_max: of each the greater. */
void resource_list_max(struct resource_list *l, const struct resource_list *from);
/* resource_list_equal: the same names, the same values. */
bool resource_list_equal(const struct resource_list *x, const struct resource_list *y);
/* resource_list_doc: as a map of canonical quantities, in a. */
struct doc *resource_list_doc(struct arena *a, const struct resource_list *l);
/* resource_list_text: "cpu=1,memory=2Gi" of those that `of` has too (NULL = all). arena of l. */
struct str resource_list_text(const struct resource_list *l, const struct resource_list *of);
/* quantity_text: canonical, in a. */
struct str quantity_text(struct arena *a, const struct quantity *q);

/* pod_sum: what a pod asks for ("requests") or is held to ("limits"): containers, init containers that run before
 * them, sidecars that run beside, and what the pod as a whole says instead. */
enum {
	POD_SUM_STATUS = 1 << 0,   /* or what it still has, when that is more */
	POD_SUM_OVERHEAD = 1 << 1, /* and what running it costs */
};
void pod_sum(struct resource_list *ret, const struct doc *pod, struct str member, unsigned flags);
/* pod_sum_of_pod: resources that may be said of a pod as a whole. */
bool pod_sum_of_pod(struct str name);

#endif
