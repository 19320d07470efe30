/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * structural_lists: what holds between the parts of a custom resource: items of sets and keys of maps are there
 * once, and embedded resources say what they are.
 *
 * Invariant: a long list costs a table of its texts, not a comparison of each with each.
 * Source: apiextensions-apiserver pkg/apiserver/schema/listtype, objectmeta (behaviour and texts). */
#include "base/hash.h"
#include "orchestrator/schema/checks_int.h"
#include "orchestrator/schema/structural_int.h"

struct walk {
	struct schema_errors *errs;
	/* look: at each value, before what is below it */
	void (*look)(struct walk *w, const struct structural *n, const struct doc *d,
		const struct step *at);
};

static struct str
place(struct walk *w, const struct step *at)
{
	return step_text(w->errs->a, at, STEP_PATH);
}

/* What makes an item the same as another: its text, or that of its keys. */
static struct doc *
identity(struct walk *w, const struct structural *n, const struct doc *x)
{
	struct doc *key = NULL;

	if (n->list == STRUCTURAL_LIST_SET)
		return doc_copy(w->errs->a, x);
	key = doc_map(w->errs->a);
	DOC_EACH (k, n->map_keys) {
		const struct doc *v = key ? doc_get(x, doc_as_str(k)) : NULL;

		if (v)
			doc_set(key, doc_as_str(k), doc_copy(w->errs->a, v));
	}
	return key;
}

static void
check_distinct(
	struct walk *w, const struct structural *n, const struct doc *d, const struct step *at)
{
	struct arena *a = w->errs->a;
	struct names seen = names_new(a, d->n), told = names_new(a, d->n);
	size_t i = 0;

	if (n->list == STRUCTURAL_LIST_MAP) {
		DOC_EACH (x, d) {
			struct step s = {at, STEP_INDEX, STR_NONE, i++, NULL};

			if (x->type == DOC_MAP || x->type == DOC_NULL)
				continue;
			schema_error_add(w->errs, SCHEMA_CAUSE_INVALID, place(w, &s), x,
				STR("must be an object for an array of list-type map"));
			return;
		}
	}
	i = 0;
	DOC_EACH (x, d) {
		struct step s = {at, STEP_INDEX, STR_NONE, i++, NULL};
		struct doc *key = identity(w, n, x);
		struct buf b;

		if (key == NULL)
			return;
		doc_sort(key);
		buf_init_arena(&b, a);
		doc_write_json(&b, key);
		if (!names_add(&seen, buf_view(&b), x) && names_add(&told, buf_view(&b), x))
			schema_error_add(
				w->errs, SCHEMA_CAUSE_DUPLICATE, place(w, &s), key, STR(""));
	}
}

static void
check_list(struct walk *w, const struct structural *n, const struct doc *d, const struct step *at)
{
	if (d->type == DOC_LIST && n->list != STRUCTURAL_LIST_ATOMIC && d->n)
		check_distinct(w, n, d, at);
}

static void
values_walk(struct walk *w, const struct structural *n, const struct doc *d, const struct step *at)
{
	size_t i = 0;

	if (step_depth(at) > SCHEMA_MAX_WALK)
		return;
	w->look(w, n, d, at);
	if (d->type == DOC_LIST && n->items) {
		DOC_EACH (x, d) {
			struct step s = {at, STEP_INDEX, STR_NONE, i++, NULL};

			values_walk(w, n->items, x, &s);
		}
	}
	if (d->type != DOC_MAP)
		return;
	DOC_EACH (m, d) {
		const struct structural *child = structural_prop_find(n, m->key);
		struct step s = {at, child ? STEP_NAME : STEP_KEY, m->key, 0, NULL};

		if (child == NULL)
			child = n->additional;
		if (child)
			values_walk(w, child, m, &s);
	}
}

void
structural_validate_lists(
	const struct structural *n, const struct doc *d, struct schema_errors *errs)
{
	struct walk w = {errs, check_list};

	values_walk(&w, n, d, NULL);
}

/* ---- embedded resources ---------------------------------------------------------------------------- */

static void
check_text(struct walk *w, const struct doc *d, const char *name, const struct step *at)
{
	struct step s = {at, STEP_NAME, str_c(name), 0, NULL};
	const struct doc *v = doc_get(d, str_c(name));
	struct arena *a = w->errs->a;
	const char *bad = NULL;

	if (v == NULL) {
		schema_err_required(w->errs, place(w, &s), NULL);
	} else if (v->type != DOC_STR) {
		schema_error_add(
			w->errs, SCHEMA_CAUSE_INVALID, place(w, &s), v, STR("must be a string"));
	} else if (v->s.n == 0) {
		schema_err_invalid(w->errs, place(w, &s), v->s, "must not be empty");
	} else if (strcmp(name, "kind") == 0) {
		bad = format_check(a, FORMAT_DNS1035_LABEL, lower_text(a, v->s));
		if (bad)
			schema_error_fmt(w->errs, SCHEMA_CAUSE_INVALID, place(w, &s), v,
				"may have mixed case, but should otherwise match: %s", bad);
	} else {
		struct str head = STR_NONE, tail = STR_NONE;

		if (str_cut(v->s, '/', &head, &tail) && str_find_char(tail, '/') >= 0)
			schema_error_fmt(w->errs, SCHEMA_CAUSE_INVALID, place(w, &s), v,
				"unexpected GroupVersion string: " STR_FMT, STR_ARG(v->s));
	}
}

static void
check_metadata(struct walk *w, const struct doc *d, const struct step *at)
{
	struct step s = {at, STEP_NAME, STR("metadata"), 0, NULL};
	const struct doc *m = doc_get(d, STR("metadata"));
	const struct schema_type *t = schema_type_find(
		schema_builtin(), STR("meta"), STR("v1"), STR("ObjectMeta"));
	struct doc *copy = NULL;
	struct err e = {0};

	if (m == NULL || t == NULL)
		return;
	copy = doc_copy(w->errs->a, m);
	if (copy == NULL)
		return;
	if (copy->type != DOC_MAP || schema_conform(w->errs->a, t, copy, NULL, &e) < 0) {
		schema_error_add(w->errs, SCHEMA_CAUSE_INVALID, place(w, &s), m,
			e.msg[0] ? str_c(e.msg) : STR("must be an object"));
		return;
	}
	schema_validate_labels(doc_get(m, STR("labels")),
		arena_fmt(w->errs->a, STR_FMT ".labels", STR_ARG(place(w, &s))), w->errs);
	schema_validate_annotations(doc_get(m, STR("annotations")),
		arena_fmt(w->errs->a, STR_FMT ".annotations", STR_ARG(place(w, &s))), w->errs);
}

static void
check_embedded(
	struct walk *w, const struct structural *n, const struct doc *d, const struct step *at)
{
	if (d->type != DOC_MAP || !n->embedded)
		return;
	check_text(w, d, "apiVersion", at);
	check_text(w, d, "kind", at);
	check_metadata(w, d, at);
}

void
structural_validate_embedded(
	const struct structural *n, const struct doc *d, struct schema_errors *errs)
{
	struct walk w = {errs, check_embedded};

	values_walk(&w, n, d, NULL);
}
