/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * structural_int: what the files structural*.c share. */
#ifndef ORCHESTRATOR_SCHEMA_STRUCTURAL_INT_H
#define ORCHESTRATOR_SCHEMA_STRUCTURAL_INT_H

#include "orchestrator/schema/schema_int.h"
#include "orchestrator/schema/schema_structural.h"

/* structural_format_find: the check of a format for values of these types; NULL = it says nothing. */
const struct structural_format *structural_format_find(unsigned types, struct str name);
/* structural_format_holds: does the text have the format? */
bool structural_format_holds(struct arena *a, const struct structural_format *f, struct str s);
/* structural_format_range: of a format of numbers: true and its bounds (int32). */
bool structural_format_int32(const struct structural_format *f);

/* structural_is_meta: apiVersion, kind, metadata. */
static inline bool
structural_is_meta(struct str name)
{
	return str_eq_c(name, "apiVersion") || str_eq_c(name, "kind") || str_eq_c(name, "metadata");
}

#endif
