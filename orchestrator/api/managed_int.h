/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * managed_int: what tracking (managed.c) and applying (apply.c) share. Private to the folder. */
#ifndef ORCHESTRATOR_API_MANAGED_INT_H
#define ORCHESTRATOR_API_MANAGED_INT_H

#include "orchestrator/api/api_int.h"
#include "orchestrator/fields/fields.h"

/* managed_op_of: a write of this request by this manager: of a Scale when the path names one. What it needs goes
 * into a. */
struct managed_op managed_op_of(struct request *r, struct arena *a, struct str manager);
/* request_is_scale: bodies are Scales. */
bool request_is_scale(const struct request *r);
/* managed_to_scale: who of an object's entries (raw, NULL = none) owns the replicas, as entries of its Scale.
 * managed_from_scale: the object's entries after those of the Scale became `scale`. 0 or as managed_read. */
int managed_to_scale(struct arena *a, const struct doc *list, struct managed *ret);
int managed_from_scale(struct request *r, struct arena *a, const struct doc *list,
	const struct managed *scale, struct managed *ret);

#endif
