/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * fields: who set which fields of an object, and what follows from it: sets of field paths, managedFields,
 * server-side apply. Front door of the folder.
 *
 *   set.c      sets of paths as tries, and what can be done with two of them
 *   text.c     FieldsV1 (JSON) and the paths of messages
 *   place.c    what the schema says of a value: leaf, struct, map, list with keys
 *   typed.c    the set of an object, the difference of two objects, is a value of its type
 *   merge.c    laying a configuration over an object, taking fields out of one
 *   managed.c  the entries of metadata.managedFields: read, written, kept sorted and few
 *   track.c    what an update and an apply make of the entries
 *
 * Flow: managed_read (of the stored or sent entries) -> managed_update or managed_apply -> managed_write.
 *
 * Invariants: a set is never changed once it was made and may share parts with others; everything is in
 * the caller's arena, whose flag says what failed: a failed arena gives sets that lack something. NULL is the
 * empty set. Documents are in canonical form (schema_order), or they are not compared but merged.
 * Depth is bounded by FIELDS_MAX_DEPTH. Nothing here knows requests.
 * Source: KEP-555; sigs.k8s.io/structured-merge-diff v6, k8s.io/apimachinery util/managedfields (behaviour). */
#ifndef ORCHESTRATOR_FIELDS_FIELDS_H
#define ORCHESTRATOR_FIELDS_FIELDS_H

#include "orchestrator/schema/schema.h"

#define FIELDS_MAX_DEPTH 128

/* ---- sets ---- */

/* One step of a path. They are ordered by kind, then names by bytes, keys by name and value, values by
 * type and value, indices by number. */
enum field_kind {
	FIELD_NAME,  /* f:name: member of a struct or map */
	FIELD_KEY,   /* k:{"name":"a"}: item of a list that has keys */
	FIELD_VALUE, /* v:"a": item of a list that is a set */
	FIELD_INDEX  /* i:0 */
};
struct field_key {
	struct str name;
	const struct doc *value;
};
struct field_elem {
	enum field_kind kind;
	uint32_t n_keys;
	union {
		struct str name;
		const struct field_key *keys; /* sorted by name */
		const struct doc *value;
		int64_t index;
	};
};
/* A node is the step that leads to it; the root of a set has none. No node is neither member nor parent. */
struct fields {
	struct field_elem at;
	bool member;                /* the path that ends here is in the set */
	bool unsorted;              /* being made: see fields_sort */
	const struct fields *first; /* what is below, in order */
	struct fields *last;        /* being made */
	const struct fields *next;  /* sibling */
};
int field_elem_cmp(const struct field_elem *x, const struct field_elem *y);

/* fields_union: in x or y. fields_meet: in both. fields_minus: in x and not in y, path by path: what is below a
 * path of y stays. fields_without: that goes too. arena; NULL = empty. */
const struct fields *fields_union(struct arena *a, const struct fields *x, const struct fields *y);
const struct fields *fields_meet(struct arena *a, const struct fields *x, const struct fields *y);
const struct fields *fields_minus(struct arena *a, const struct fields *x, const struct fields *y);
const struct fields *fields_without(
	struct arena *a, const struct fields *x, const struct fields *y);
/* fields_child: what x has below a step; NULL = nothing. */
const struct fields *fields_child(const struct fields *x, const struct field_elem *at);
bool fields_equal(const struct fields *x, const struct fields *y);
/* fields_path: a set of one path of names: "spec.replicas". */
const struct fields *fields_path(struct arena *a, const char *path);

/* Making one: nodes are appended as they come and put in order at the end. */
/* fields_add: a node below `up`; two for one step become one. NULL = arena failed. */
struct fields *fields_add(struct arena *a, struct fields *up, const struct field_elem *at);
/* fields_sort: puts all below f in order, drops empty nodes; NULL = nothing is left. */
const struct fields *fields_sort(struct fields *f);

/* ---- texts ---- */

/* fields_parse: FieldsV1. Steps of a kind nobody knows are dropped with what is below them. The set borrows json.
 * Errors: -EINVAL (e), -E2BIG nested too deeply, -ENOMEM. */
int fields_parse(struct arena *a, struct str json, const struct fields **ret, struct err *e);
/* fields_write: the canonical FieldsV1 of a set; {} of an empty one. */
void fields_write(struct buf *b, const struct fields *f);
/* field_elem_text: ".name", "[name=\"a\"]", "[=\"a\"]", "[0]". */
void field_elem_text(struct buf *b, const struct field_elem *at);
/* fields_each: every path of the set as a text (arena), members of a node before what is below. */
void fields_each(
	struct arena *a, const struct fields *f, void (*fn)(void *arg, struct str path), void *arg);

/* ---- objects ---- */

/* fields_of: every leaf of d and every item that the schema knows by itself. */
const struct fields *fields_of(struct arena *a, const struct schema_type *t, const struct doc *d);
struct fields_change {
	const struct fields *added, *modified, *removed;
};
/* fields_compare: what leads from one object to another; both canonical. 0 or -EINVAL: an item of a list with
 * keys has none of them. */
int fields_compare(struct arena *a, const struct schema_type *t, const struct doc *from,
	const struct doc *to, struct fields_change *ret);
/* fields_check: is d a value of its type, with no two items of one key? 0 or -EINVAL, the text in *ret_why (arena)
 * as upstream has it. */
int fields_check(
	struct arena *a, const struct schema_type *t, const struct doc *d, struct str *ret_why);
/* fields_merge: config laid over live: its leaves count, nothing goes away; items of lists as config orders
 * them. A new tree that shares none with its sources. NULL = arena failed. */
struct doc *fields_merge(struct arena *a, const struct schema_type *t, const struct doc *live,
	const struct doc *config);
/* fields_take_out: d without what is in the set; atomic values go as a whole. A new tree. */
struct doc *fields_take_out(struct arena *a, const struct schema_type *t, const struct doc *d,
	const struct fields *out);
/* fields_atomic: the paths of d's lists, maps and structs that are owned as a whole, joined by ", "; "" = none. */
struct str fields_atomic(struct arena *a, const struct schema_type *t, const struct doc *d);
/* fields_with_parents: the set, and every member of a struct that leads to one of its paths. */
const struct fields *fields_with_parents(
	struct arena *a, const struct schema_type *t, const struct fields *f);

/* ---- managedFields ---- */

struct managed_entry {
	struct str manager, api_version, subresource;
	struct str time; /* as it stands in the object; STR_NONE = none */
	bool applied;    /* Apply, else Update */
	const struct fields *set;
	struct str text; /* FieldsV1 of set as it was read; STR_NONE = set is newer */
};
struct managed {
	struct managed_entry *v; /* arena */
	size_t n;
	const struct doc *unread; /* raw: what the entries are, until somebody asks for them */
};
/* managed_of: of a stored value, read when something changes. NULL = none. */
struct managed managed_of(const struct doc *raw);
/* managed_read: of metadata.managedFields (a raw value, a list, NULL or null). The entries borrow d.
 * -EINVAL (e): what upstream calls entries that cannot be decoded. */
int managed_read(struct arena *a, const struct doc *d, struct managed *ret, struct err *e);
/* managed_is_reset: [] or [{}]: a client wants nothing to be known. */
bool managed_is_reset(const struct doc *d);
/* managed_write: as a raw value, in order; NULL = no entries (or arena failed). What nobody asked for is
 * written as it was. */
struct doc *managed_write(struct arena *a, const struct managed *m);
/* managed_cut: metadata.managedFields of the JSON of an object: *ret_list is its value, *ret_rest the object
 * without it (arena). False: it has none. */
bool managed_cut(struct arena *a, struct str body, struct str *ret_list, struct str *ret_rest);

/* Another version in which an entry's fields are named: its type, and both objects in it. */
struct managed_view {
	const struct schema_type *type;
	const struct doc *from, *to;
};
/* Who writes what, and how. */
struct managed_op {
	struct arena *a;
	const struct schema_type *type;
	struct str manager, api_version, subresource;
	struct str now;             /* RFC 3339 */
	const struct fields *reset; /* what such a write cannot set */
	/* view: from and to in another version, made in a; false: nobody knows it, its entries go. NULL = there are none. */
	bool (*view)(void *arg, struct arena *a, struct str api_version, const struct doc *from,
		const struct doc *to, struct managed_view *ret);
	void *arg;
};
/* managed_update: an object was made of another: the writer owns what differs, nobody else does.
 * `from` is the canonical empty object on create. 0, or -EINVAL: an object is not of its type, m is as it was. */
int managed_update(const struct managed_op *op, struct managed *m, const struct doc *from,
	const struct doc *to);

struct managed_conflict {
	struct str manager; /* as messages name it: "kubectl" using v1 */
	struct str path;
};
struct managed_applied {
	struct doc *obj; /* what becomes of live; NULL: it stays as it is */
	struct managed_conflict *conflicts;
	size_t n_conflicts;
};
/* managed_apply: config laid over live; what the manager applied before and does not now goes unless somebody else
 * owns it. live is canonical. 0, -EEXIST: ret->conflicts, -EINVAL e (R_UNKNOWN: not of its type), -ENOMEM. */
int managed_apply(const struct managed_op *op, struct managed *m, const struct doc *live,
	const struct doc *config, bool force, struct managed_applied *ret, struct err *e);
/* managed_conflict_message: "Apply failed with ...". arena. */
struct str managed_conflict_message(struct arena *a, const struct managed_applied *r);

#endif
