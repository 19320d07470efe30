/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * doc_int: what the readers of doc_*.c share; nobody else includes this. */
#ifndef BASE_DOC_INT_H
#define BASE_DOC_INT_H

#include "base/doc.h"

/* doc_mark_dups: sets dup on each member whose name stands before it, and dups on the map. Cost: linear
 * in the members. 0 or -ENOMEM. */
int doc_mark_dups(struct doc *map);
/* json_explain: why text is no JSON, in encoding/json's words, into room; returns the offset of the
 * byte, or -1 (room untouched) when this grammar finds nothing wrong. */
ptrdiff_t json_explain(struct str text, char *room, size_t size);
/* doc_put_double: v as encoding/json prints a float64. */
void doc_put_double(struct buf *b, double v);
/* yaml_resolve: what the unquoted text s means when it is no string: sets type and value of d. */
bool yaml_resolve(struct str s, struct doc *d);
/* doc_thread_end: gives the calling thread's scratch block back. Call it last. */
void doc_thread_end(void);
/* doc_limits_of: the limits with defaults filled in and max_depth capped. */
struct doc_limits doc_limits_of(const struct doc_limits *lim);

#endif
