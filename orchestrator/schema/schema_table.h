/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * schema_table: objects as rows of meta.k8s.io/v1 Table. Part of schema.h. The server fills all columns,
 * never shortens a cell, and formats ages itself.
 *
 * A cell in a kind file is a path ("spec.nodeName", "status.podIPs[0].ip"), a call with paths
 * (age(path), count(path), join(path), or(path,"<none>")...), or @name: a C function of the cells table.
 * Source: k8s.io/kubernetes pkg/printers (behaviour), meta/v1 Table. */
#ifndef ORCHESTRATOR_SCHEMA_TABLE_H
#define ORCHESTRATOR_SCHEMA_TABLE_H

#include "orchestrator/schema/schema.h"

/* A cell function: gives a string, int or bool document, or NULL = null. now_ns: wall clock. */
typedef struct doc *schema_cell_fn(struct arena *a, const struct doc *obj, int64_t now_ns);
struct schema_cell {
	const char *name; /* "pod_status" */
	schema_cell_fn *fn;
};

enum schema_include { SCHEMA_INCLUDE_METADATA, SCHEMA_INCLUDE_OBJECT, SCHEMA_INCLUDE_NONE };

/* schema_table: {kind: Table, apiVersion: meta.k8s.io/<version>, metadata, columnDefinitions, rows}.
 *   k         kind of the objects; NULL = the default columns (Name, Created At)
 *   objs      documents with kind and apiVersion, borrowed (rows with SCHEMA_INCLUDE_OBJECT point to copies)
 *   list_meta becomes metadata (resourceVersion, continue...); NULL = {}
 *   headers   false: columnDefinitions [] (later events of a watch)
 * arena; NULL = arena failed. */
struct doc *schema_table(struct arena *a, const struct schema_kind *k,
	const struct doc *const *objs, size_t n, const struct doc *list_meta,
	enum schema_include inc, bool headers, const char *version, int64_t now_ns);
/* schema_table_columns / schema_table_row: its parts, for streamed lists. */
struct doc *schema_table_columns(struct arena *a, const struct schema_kind *k);
struct doc *schema_table_row(struct arena *a, const struct schema_kind *k, const struct doc *obj,
	enum schema_include inc, const char *version, int64_t now_ns);
/* schema_partial: PartialObjectMetadata of obj (metadata is a copy). */
struct doc *schema_partial(struct arena *a, const struct doc *obj, const char *version);

/* human_duration: kubectl's ages: "5s", "3m20s", "2d4h", "3y10d", "<invalid>"; out >= 24 bytes. */
size_t human_duration(int64_t ns, char *out);

#endif
