/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * schema_int: what the files of this folder share: places in a tree as a chain on the stack (rendered only
 * when something is wrong there), zero values, and small helpers over docs. */
#ifndef ORCHESTRATOR_SCHEMA_INT_H
#define ORCHESTRATOR_SCHEMA_INT_H

#include "orchestrator/schema/schema.h"

/* Trees come from parsers that stop at DOC_MAX_DEPTH; walks stop a little later (defaults add depth). */
#define SCHEMA_MAX_WALK 96

enum step_kind { STEP_NAME, STEP_INDEX, STEP_KEY };
/* A place: the chain up to the root (NULL). */
struct step {
	const struct step *up;
	enum step_kind kind;
	struct str name;                /* NAME, KEY */
	size_t index;                   /* INDEX */
	const struct schema_type *type; /* NAME: the struct that has the member */
};
enum step_style {
	STEP_STRICT, /* spec.containers[0].env: keys of maps behind a dot */
	STEP_FIELDS, /* spec.containers.env: members only, as Go's type errors say it */
	STEP_PATH,   /* spec.nodeSelector[key]: as causes say it */
};
/* step_text: arena. */
struct str step_text(struct arena *a, const struct step *at, enum step_style style);
size_t step_depth(const struct step *at);

/* doc_is_zero: Go's zero value: NULL, null, "", 0, false, empty list or map. */
bool doc_is_zero(const struct doc *d);
/* schema_child: the type below a member's value, when it is an object. For OR_* forms the value decides. */
const struct schema_type *schema_child(const struct schema_field *f, const struct doc *v);
/* schema_time_text: canonical text of a point in time ("" = not a time). Digits 0 or 6. arena. */
struct str schema_time_text(struct arena *a, struct str s, int digits);
/* doc_detach: takes child out of parent (its siblings stay); child can then be used elsewhere. */
void doc_detach(struct doc *parent, struct doc *child);
/* doc_path: follows "a.b[0].c" or "a[key with dots]" without an arena; lists without index: first item. */
struct doc *doc_path(const struct doc *d, struct str path);

#endif
