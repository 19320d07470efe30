/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * schema_select: label and field selectors: text or LabelSelector -> requirements -> match against
 * label maps, documents, structs, or the attributes the store keeps beside a value. Part of schema.h.
 *
 * Source: k8s.io/apimachinery labels, fields, meta/v1 LabelSelector. */
#ifndef ORCHESTRATOR_SCHEMA_SELECT_H
#define ORCHESTRATOR_SCHEMA_SELECT_H

#include "orchestrator/schema/schema.h"

enum selector_op {
	SELECT_IN,
	SELECT_NOT_IN,
	SELECT_EXISTS,
	SELECT_NOT_EXISTS,
	SELECT_GT,
	SELECT_LT
};
struct selector_req {
	struct str key;
	enum selector_op op;
	bool exact; /* written with = or != rather than in or notin; matters for selector_write only */
	struct str *values;
	size_t n_values;
};
/* All requirements must hold; none = everything matches. `nothing`: matches no object at all. */
struct selector {
	struct selector_req *reqs;
	size_t n;
	bool nothing;
};

/* selector_parse: "a in (b,c),!d,x!=y,z". Arena, strings borrow s. -EINVAL: e is R_BAD_REQUEST with
 * upstream's text ("unable to parse requirement: ..."), -ENOMEM. */
int selector_parse(struct arena *a, struct str s, struct selector *ret, struct err *e);
/* selector_from_doc: a LabelSelector document (matchLabels, matchExpressions). NULL or absent selects
 * nothing; an empty one everything. -EINVAL bad operator. */
int selector_from_doc(struct arena *a, const struct doc *label_selector, struct selector *ret);
/* selector_from_map: equality for each pair (Service, ReplicationController). */
int selector_from_map(
	struct arena *a, const struct str_pair *pairs, size_t n, struct selector *ret);
struct meta_v1_label_selector;
/* selector_from_struct: the generated struct; NULL selects nothing. */
int selector_from_struct(
	struct arena *a, const struct meta_v1_label_selector *ls, struct selector *ret);
/* selector_write: upstream's text ("a in (b,c),x=y", requirements sorted by key). arena. */
struct str selector_write(struct arena *a, const struct selector *s);

bool selector_match_pairs(const struct selector *s, const struct str_pair *labels, size_t n);
/* selector_match_doc: labels is metadata.labels (NULL = none). */
bool selector_match_doc(const struct selector *s, const struct doc *labels);
/* selector_match_attrs: labels ('l') or fields ('f') of a store value's attributes. */
bool selector_match_attrs(const struct selector *s, char kind, struct str attrs);

/* field_selector_parse: "spec.nodeName=n,status.phase!=Running" for kind k; labels are turned into the
 * indexed names. Only =, ==, != exist. -EINVAL: R_BAD_REQUEST, e.g. `field label not supported: x`. */
int field_selector_parse(struct arena *a, const struct schema_kind *k, struct str s,
	struct selector *ret, struct err *e);
/* selector_single: the value of a requirement `key` = value, if the selector has one; STR_NONE. */
struct str selector_single(const struct selector *s, struct str key);

/* schema_attrs: labels and selectable fields of obj, packed for the store (store_attr_put). metadata.name and
 * metadata.namespace are part of them. Absent fields are indexed as "". Appends to out. */
void schema_attrs(const struct schema_kind *k, const struct doc *obj, struct buf *out);

#endif
