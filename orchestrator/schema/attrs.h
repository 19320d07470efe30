/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * attrs: attributes of stored custom resources, whose versions select by different fields. Beside schema_attrs
 * (schema_select.h). */
#ifndef ORCHESTRATOR_SCHEMA_ATTRS_H
#define ORCHESTRATOR_SCHEMA_ATTRS_H

#include "orchestrator/schema/schema.h"

/* schema_attrs_more: the selectable fields of obj that k has and `had` (NULL = none) has not, packed for the store. */
void schema_attrs_more(const struct schema_kind *k, const struct schema_kind *had,
	const struct doc *obj, struct buf *out);

#endif
