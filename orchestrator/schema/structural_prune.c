/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * structural_prune: a custom resource as its schema lets it be: unknown members go, defaults come.
 *
 *   nulls that may not be and have no default go -> defaults -> unknown members go
 *
 * Invariant: the order of members is kept; an object is walked once for each of the three.
 * Source: apiextensions-apiserver pkg/apiserver/schema/pruning, defaulting (behaviour). */
#include "orchestrator/schema/structural_int.h"

#include <errno.h>
#include <stdlib.h>

#define STRICT_MAX 100

struct prune {
	struct arena *a;
	struct schema_strict *strict;
	int rc;
};

static void
tell(struct prune *p, const struct step *at)
{
	struct str *slot = NULL;

	if (p->strict == NULL || p->strict->n >= STRICT_MAX)
		return;
	slot = ARENA_PUSH(p->a, p->strict->texts, p->strict->n);
	if (slot)
		*slot = arena_fmt(p->a, "unknown field \"" STR_FMT "\"",
			STR_ARG(step_text(p->a, at, STEP_STRICT)));
}

/* How far what the schema does not know may stay. */
enum keep { KEEP_KNOWN, KEEP_META, KEEP_ALL };

static void prune(struct prune *p, const struct structural *n, struct doc *d, const struct step *at,
	enum keep keep);

static void
prune_map(struct prune *p, const struct structural *n, struct doc *d, const struct step *at,
	enum keep keep)
{
	struct doc *next = NULL, *kept = NULL;

	for (struct doc *m = d->first; m; m = next) {
		struct step s = {at, STEP_NAME, m->key, 0, NULL};
		const struct structural *child = n ? structural_prop_find(n, m->key) : NULL;

		next = m->next;
		if ((keep == KEEP_META || (n && n->embedded)) && structural_is_meta(m->key)) {
			kept = m;
			continue;
		}
		if (child || (n && (n->any_additional || n->closed))) {
			prune(p, child ? child : n->additional, m, &s, KEEP_KNOWN);
			kept = m;
			continue;
		}
		if (keep == KEEP_ALL || (n && n->preserve)) {
			kept = m;
			continue;
		}
		tell(p, &s);
		*(kept ? &kept->next : &d->first) = next;
		if (d->last == m)
			d->last = kept;
		d->n--;
	}
}

static void
prune(struct prune *p, const struct structural *n, struct doc *d, const struct step *at,
	enum keep keep)
{
	size_t i = 0;
	bool all = keep == KEEP_ALL || (n && n->preserve);

	if (step_depth(at) > SCHEMA_MAX_WALK) {
		p->rc = -E2BIG;
		return;
	}
	if (d->type == DOC_MAP && !(n == NULL && all))
		prune_map(p, n, d, at, keep);
	if (d->type != DOC_LIST || (all && (n == NULL || n->items == NULL)))
		return;
	DOC_EACH (x, d) {
		struct step s = {at, STEP_INDEX, STR_NONE, i++, NULL};

		prune(p, n ? n->items : NULL, x, &s, all ? KEEP_ALL : KEEP_KNOWN);
	}
}

static int
by_text(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

int
structural_prune(struct arena *a, const struct structural *n, struct doc *d, bool root,
	struct schema_strict *strict)
{
	struct prune p = {a, strict, 0};
	size_t had = strict ? strict->n : 0;

	prune(&p, n, d, NULL, root ? KEEP_META : KEEP_KNOWN);
	if (strict && strict->n > had + 1)
		qsort(strict->texts + had, strict->n - had, sizeof(*strict->texts), by_text);
	return p.rc ? p.rc : arena_failed(a) ? -ENOMEM : 0;
}

/* ---- defaults -------------------------------------------------------------------------------------- */

static bool
bad_null(const struct structural *n, const struct doc *d)
{
	return d->type == DOC_NULL && n && !n->nullable;
}

static int
default_put(struct arena *a, struct doc *d, const struct structural *n)
{
	struct doc *v = doc_copy(a, n->dflt);

	if (v == NULL)
		return -ENOMEM;
	doc_replace(d, v);
	return 0;
}

static int default_walk(struct arena *a, const struct structural *n, struct doc *d, size_t depth);

static int
default_map(struct arena *a, const struct structural *n, struct doc *d, size_t depth)
{
	int rc = 0;

	for (size_t i = 0; i < n->n_props && rc == 0; i++) {
		const struct structural *child = n->props[i].node;
		struct doc *m = child->dflt ? doc_get(d, n->props[i].name) : NULL;

		if (child->dflt == NULL || (m && !bad_null(child, m)))
			continue;
		if (m) {
			rc = default_put(a, m, child);
			continue;
		}
		m = doc_copy(a, child->dflt);
		if (m == NULL)
			return -ENOMEM;
		doc_set(d, n->props[i].name, m);
	}
	DOC_EACH (m, d) {
		const struct structural *child = structural_prop_find(n, m->key);

		if (child == NULL) {
			child = n->additional;
			if (rc == 0 && child && child->dflt && bad_null(child, m))
				rc = default_put(a, m, child);
		}
		if (rc == 0 && child)
			rc = default_walk(a, child, m, depth + 1);
	}
	return rc;
}

static int
default_walk(struct arena *a, const struct structural *n, struct doc *d, size_t depth)
{
	int rc = 0;

	if (!n->defaults)
		return 0;
	if (depth > SCHEMA_MAX_WALK)
		return -E2BIG;
	if (d->type == DOC_MAP)
		return default_map(a, n, d, depth);
	if (d->type != DOC_LIST || n->items == NULL)
		return 0;
	DOC_EACH (x, d) {
		if (rc == 0 && n->items->dflt && bad_null(n->items, x))
			rc = default_put(a, x, n->items);
		if (rc == 0)
			rc = default_walk(a, n->items, x, depth + 1);
	}
	return rc;
}

int
structural_default(struct arena *a, const struct structural *n, struct doc *d)
{
	int rc = default_walk(a, n, d, 0);

	return rc ? rc : arena_failed(a) ? -ENOMEM : 0;
}

static void
drop_walk(const struct structural *n, struct doc *d, size_t depth)
{
	if (depth > SCHEMA_MAX_WALK)
		return;
	if (d->type == DOC_LIST && n->items)
		DOC_EACH (x, d)
			drop_walk(n->items, x, depth + 1);
	if (d->type != DOC_MAP)
		return;
	DOC_EACH (m, d) {
		const struct structural *child = structural_prop_find(n, m->key);

		if (child == NULL)
			child = n->additional;
		if (child == NULL)
			continue;
		if (!bad_null(child, m))
			drop_walk(child, m, depth + 1);
		else if (child->dflt == NULL) /* else the default takes its place */
			doc_remove(d, m);
	}
}

void
structural_drop_nulls(const struct structural *n, struct doc *d)
{
	drop_walk(n, d, 0);
}
