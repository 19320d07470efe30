/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * validate_int: the two halves of schema_validate. */
#ifndef ORCHESTRATOR_SCHEMA_VALIDATE_INT_H
#define ORCHESTRATOR_SCHEMA_VALIDATE_INT_H

#include "orchestrator/schema/schema_int.h"

/* schema_validate_metadata: rules of ObjectMeta, which are the same for all kinds but for the format of
 * the name. */
void schema_validate_metadata(const struct schema_kind *k, const struct doc *obj,
	const struct doc *old, struct schema_errors *errs);

#endif
