/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * schema_patch: the three patch forms, document to document. The result is a new tree in a (parts of the
 * inputs are copied, neither is changed); it still has to be conformed, defaulted and validated.
 * Part of schema.h.
 *
 * Source: RFC 6902, RFC 7386; k8s.io/apimachinery util/strategicpatch; evanphx/json-patch (texts). */
#ifndef ORCHESTRATOR_SCHEMA_PATCH_H
#define ORCHESTRATOR_SCHEMA_PATCH_H

#include "orchestrator/schema/schema.h"

/* schema_patch_json: patch is a list of operations, at most 10,000. -EINVAL: e is R_BAD_REQUEST for a body
 * that is no patch, R_INVALID for an operation that cannot be applied (the API answers 422); -E2BIG too
 * many operations or result too large (R_REQUEST_ENTITY_TOO_LARGE); -ENOMEM. */
int schema_patch_json(struct arena *a, const struct doc *obj, const struct doc *patch,
	struct doc **ret, struct err *e);
/* schema_patch_merge: RFC 7386. -EINVAL: patch is no object; -ENOMEM. */
int schema_patch_merge(struct arena *a, const struct doc *obj, const struct doc *patch,
	struct doc **ret, struct err *e);
/* schema_patch_strategic: by the merge keys and strategies of t, with $patch, $setElementOrder/x,
 * $deleteFromPrimitiveList/x, $retainKeys. -EINVAL: R_BAD_REQUEST with upstream's text
 * (`map: map[...] does not contain declared merge key: name`); -ENOMEM. */
int schema_patch_strategic(struct arena *a, const struct schema_type *t, const struct doc *obj,
	const struct doc *patch, struct doc **ret, struct err *e);
/* schema_patch_make: the merge patch (RFC 7386) that turns `from` into `to`: for writers that send only
 * what changed. NULL = equal (or arena failed). */
struct doc *schema_patch_make(struct arena *a, const struct doc *from, const struct doc *to);

#endif
