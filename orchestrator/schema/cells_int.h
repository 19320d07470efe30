/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cells_int: what the cell functions share. A cell function takes a document (with or without defaults)
 * and gives a value; it must not change the document. */
#ifndef ORCHESTRATOR_SCHEMA_CELLS_INT_H
#define ORCHESTRATOR_SCHEMA_CELLS_INT_H

#include "orchestrator/schema/schema_int.h"

/* The tables: cells_core.c, cells_pod.c, cells_groups.c. */
extern const struct schema_cell cells_core[], cells_pod[], cells_groups[];
extern const size_t n_cells_core, n_cells_pod, n_cells_groups;

/* cell_fmt: a string value. cell_text: the buffer as a string value, `none` when it is empty. */
struct doc *cell_fmt(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct doc *cell_text(struct arena *a, const struct buf *b, const char *none);
/* cell_add: appends s to a list of texts separated by `sep`. */
void cell_add(struct buf *b, const char *sep, struct str s);
/* cell_age: time since an RFC 3339 text: "5m"; "<unknown>" for an absent or zero time. */
struct str cell_age(struct arena *a, struct str time, int64_t now_ns);
struct str cell_duration(struct arena *a, int64_t ns);
/* cell_condition: the condition of a type in status.conditions, or NULL. */
const struct doc *cell_condition(const struct doc *obj, const char *type);
bool cell_condition_is(const struct doc *obj, const char *type, const char *status);
/* cell_sorted: sorts and removes repeated texts in place; returns how many are left. */
size_t cell_sorted(struct str *list, size_t n);
/* cell_more: " + N more..." when n > max. */
void cell_more(struct buf *b, size_t n, size_t max);
struct str cell_lower(struct arena *a, struct str s);

#endif
