/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * fields_int: what the files of this folder share: what the schema says of a value, and the members and
 * items of a value in the order of their steps. */
#ifndef ORCHESTRATOR_FIELDS_INT_H
#define ORCHESTRATOR_FIELDS_INT_H

#include "orchestrator/fields/fields.h"

#include <errno.h>

/* ---- places ---- */

enum place_kind {
	PLACE_SCALAR,
	PLACE_LEAF, /* any value, owned as a whole */
	PLACE_STRUCT,
	PLACE_MAP,
	PLACE_LIST,
	PLACE_NODE,    /* an object of a custom resource's schema: members it names, and others */
	PLACE_DEDUCED, /* no schema: maps by members, the rest as a whole */
	PLACE_NONE     /* the schema has no such member */
};
struct place {
	enum place_kind kind;
	bool atomic; /* STRUCT, MAP, LIST, NODE: owned as a whole */
	bool loose;  /* NODE, LIST of nodes: what the schema does not know may be there */
	bool inner;  /* MAP, LIST: of a field that is one of lists */
	const struct schema_field *f; /* MAP, LIST, SCALAR */
	const struct schema_type *t;  /* STRUCT */
	const struct structural *n;   /* NODE, LIST of nodes */
};
struct place place_of_type(const struct schema_type *t);
struct place place_of_field(const struct schema_field *f);
/* place_member: below a struct, map or value without schema. */
struct place place_member(const struct place *p, struct str name);
/* place_item: what the items of a list are. */
struct place place_item(const struct place *p);
/* place_known: is the member one of the struct's fields (and not a key of a map)? */
bool place_known(const struct place *p, struct str name);
/* place_whole: is d owned as a whole here? */
bool place_whole(const struct place *p, const struct doc *d);

/* place_elem: the step to an item of a list with keys or a set; why: the text of what is wrong. 0, -EINVAL. */
int place_elem(struct arena *a, const struct place *p, const struct doc *item,
	struct field_elem *ret, struct str *why);

/* ---- members and items, in order ---- */

/* The members of a map: as they stand when they are in order already, else by an index. Read with at(). */
struct members {
	const struct doc *d;  /* in order: the next one */
	const struct doc **v; /* else: all, sorted */
	size_t i, n;
	size_t rank; /* of the one at hand: place among the type's fields, behind them what they lack */
};
/* members_of: p STRUCT: in the order of its fields; else by name. False: arena failed. */
bool members_of(struct arena *a, const struct place *p, const struct doc *d, struct members *ret);
const struct doc *members_at(const struct members *m); /* NULL = no more */
void members_next(const struct place *p, struct members *m);
/* members_cmp: which one comes first. */
int members_cmp(const struct members *x, const struct members *y);

struct item {
	struct field_elem at;
	const struct doc *d;
	size_t i; /* its place in the list */
};
struct items {
	struct item *v; /* sorted by step, then by place; arena */
	size_t n;
};
/* items_of: 0, -ENOMEM, or -EINVAL with why and *ret_bad the place of the first bad one (may be NULL). */
int items_of(struct arena *a, const struct place *p, const struct doc *list, struct items *ret,
	struct str *why, size_t *ret_bad);
/* items_of_any: items that lack the keys of their list are there too, all under item_without_step, which is the step of
 * no other. 0 or -ENOMEM. */
extern const struct field_elem item_without_step;
int items_of_any(struct arena *a, const struct place *p, const struct doc *list, struct items *ret);
/* items_same: how many from i on have the same step. */
size_t items_same(const struct items *v, size_t i);
/* items_find: the first with this step; v->n = none. */
size_t items_find(const struct items *v, const struct field_elem *at);

/* ---- entries ---- */

/* managed_find: the entry of the same manager, operation, version (but of Apply) and subresource; m->n = none. */
size_t managed_find(const struct managed *m, const struct managed_entry *like);

/* value_empty: absent, null, or a map or list of nothing. */
static inline bool
value_empty(const struct doc *d)
{
	return !d || d->type == DOC_NULL ||
		((d->type == DOC_MAP || d->type == DOC_LIST) && d->n == 0);
}

#endif
