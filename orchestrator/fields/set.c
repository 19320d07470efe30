/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * set: sets of field paths as tries of sorted siblings. Two sets are gone through side by side, so each
 * operation costs what both have; what only one has is shared, not copied.
 * Source: structured-merge-diff fieldpath (order of elements, what the operations mean). */
#include "orchestrator/fields/fields_int.h"

/* ---- steps ---- */

static int
cmp_i64(int64_t x, int64_t y)
{
	return x < y ? -1 : x > y;
}

/* Numbers of both kinds compare as numbers; else the order of types. */
static int
type_rank(const struct doc *d)
{
	static const int ranks[] = {[DOC_INT] = 1,
		[DOC_DOUBLE] = 1,
		[DOC_STR] = 2,
		[DOC_BOOL] = 3,
		[DOC_LIST] = 4,
		[DOC_MAP] = 5,
		[DOC_NULL] = 6};
	return d ? ranks[d->type] : 7;
}

static int
value_cmp(const struct doc *x, const struct doc *y, size_t depth)
{
	int rx = type_rank(x), ry = type_rank(y);
	if (rx != ry || !x || !y)
		return rx < ry ? -1 : rx > ry;
	if (depth > FIELDS_MAX_DEPTH)
		return 0;
	switch (x->type) {
	case DOC_INT:
	case DOC_DOUBLE:
		if (x->type == DOC_INT && y->type == DOC_INT)
			return cmp_i64(x->i, y->i);
		double p = x->type == DOC_INT ? (double)x->i : x->d;
		double q = y->type == DOC_INT ? (double)y->i : y->d;
		return p < q ? -1 : p > q;
	case DOC_STR:
		return str_cmp(x->s, y->s);
	case DOC_BOOL:
		return x->b == y->b ? 0 : x->b ? 1 : -1;
	case DOC_NULL:
		return 0;
	case DOC_LIST:
	case DOC_MAP:
		break;
	}
	for (x = x->first, y = y->first; x && y; x = x->next, y = y->next) {
		int c = str_cmp(x->key, y->key);
		c = c ? c : value_cmp(x, y, depth + 1);
		if (c)
			return c;
	}
	return x ? 1 : y ? -1 : 0;
}

int
field_elem_cmp(const struct field_elem *x, const struct field_elem *y)
{
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	switch (x->kind) {
	case FIELD_NAME:
		return str_cmp(x->name, y->name);
	case FIELD_VALUE:
		return value_cmp(x->value, y->value, 0);
	case FIELD_INDEX:
		return cmp_i64(x->index, y->index);
	case FIELD_KEY:
		break;
	}
	for (uint32_t i = 0; i < x->n_keys && i < y->n_keys; i++) {
		int c = str_cmp(x->keys[i].name, y->keys[i].name);
		c = c ? c : value_cmp(x->keys[i].value, y->keys[i].value, 0);
		if (c)
			return c;
	}
	return cmp_i64(x->n_keys, y->n_keys);
}

/* ---- making ---- */

struct fields *
fields_add(struct arena *a, struct fields *up, const struct field_elem *at)
{
	struct fields *f = up ? ARENA_NEW(a, struct fields) : NULL;
	if (!f)
		return NULL;
	f->at = *at;
	if (up->last) {
		up->unsorted |= field_elem_cmp(&up->last->at, at) >= 0;
		up->last->next = f;
	} else {
		up->first = f;
	}
	up->last = f;
	return f;
}

/* Nodes that are being made may be changed. */
static struct fields *
own(const struct fields *f)
{
	return (struct fields *)(uintptr_t)f;
}

/* Two nodes of one step: members together, the later one's below counts where it has any. */
static void
join(struct fields *x, const struct fields *y)
{
	x->member |= y->member;
	if (y->first) {
		x->first = y->first;
		x->unsorted = y->unsorted;
	}
}

/* merge_runs: stable, x stood before y. */
static struct fields *
merge_runs(struct fields *x, struct fields *y)
{
	const struct fields *first = NULL, **end = &first;
	while (x && y) {
		struct fields **least = field_elem_cmp(&x->at, &y->at) <= 0 ? &x : &y;
		*end = *least;
		end = &(*least)->next;
		*least = own(*end);
	}
	*end = x ? x : y;
	return own(first);
}

/* Runs of 1, 2, 4... nodes are merged; then equal ones are joined. */
static void
sort_children(struct fields *f)
{
	struct fields *runs[32] = {0}, *all = NULL;
	for (struct fields *m = own(f->first), *next = NULL; m; m = next) {
		next = own(m->next);
		m->next = NULL;
		size_t i = 0;
		for (; i + 1 < ARRAY_LEN(runs) && runs[i]; i++) {
			m = merge_runs(runs[i], m);
			runs[i] = NULL;
		}
		runs[i] = merge_runs(runs[i], m);
	}
	for (size_t i = 0; i < ARRAY_LEN(runs); i++)
		all = merge_runs(runs[i], all);
	f->first = all;
	while (all && all->next) {
		struct fields *next = own(all->next);
		if (field_elem_cmp(&all->at, &next->at) != 0) {
			all = next;
			continue;
		}
		join(all, next);
		all->next = next->next;
	}
	f->unsorted = false;
}

static void
sort_below(struct fields *f, size_t depth)
{
	const struct fields **at = &f->first;
	if (f->unsorted)
		sort_children(f);
	while (*at) {
		struct fields *m = own(*at);
		if (m->first && depth < FIELDS_MAX_DEPTH)
			sort_below(m, depth + 1);
		if (m->member || m->first)
			at = &m->next;
		else
			*at = m->next;
	}
}

const struct fields *
fields_sort(struct fields *f)
{
	if (!f)
		return NULL;
	sort_below(f, 0);
	return f->first ? f : NULL;
}

const struct fields *
fields_path(struct arena *a, const char *path)
{
	struct fields *root = ARENA_NEW(a, struct fields), *at = root;
	struct str rest = str_c(path), name;
	while (at && str_next(&rest, '.', &name)) {
		struct field_elem e = {.kind = FIELD_NAME, .name = name};
		at = fields_add(a, at, &e);
	}
	if (!at)
		return NULL;
	at->member = true;
	return root;
}

/* ---- two sets ---- */

/* What is made of the nodes of one step; either side may lack it. */
typedef const struct fields *pair_fn(
	struct arena *a, const struct fields *x, const struct fields *y, size_t depth);

/* share: a node of its own with what `like` has below. */
static struct fields *
share(struct arena *a, const struct fields *like)
{
	struct fields *f = ARENA_NEW(a, struct fields);
	if (f)
		*f = (struct fields){.at = like->at, .member = like->member, .first = like->first};
	return f;
}

/* below: `fn` of all children of both, in order; NULL = nothing. */
static const struct fields *
below(struct arena *a, const struct fields *x, const struct fields *y, pair_fn *fn, size_t depth)
{
	const struct fields *first = NULL, **end = &first;
	const struct fields *p = x ? x->first : NULL, *q = y ? y->first : NULL;
	if (depth > FIELDS_MAX_DEPTH)
		return NULL;
	while (p || q) {
		int c = !p ? 1 : !q ? -1 : field_elem_cmp(&p->at, &q->at);
		struct fields *f = own(fn(a, c <= 0 ? p : NULL, c >= 0 ? q : NULL, depth + 1));
		p = c <= 0 ? p->next : p;
		q = c >= 0 ? q->next : q;
		if (!f)
			continue;
		*end = f;
		end = &f->next;
	}
	return first;
}

/* made: a node of x's or y's step; NULL when nothing is in it. */
static const struct fields *
made(struct arena *a, const struct fields *like, bool member, const struct fields *first)
{
	struct fields *f = member || first ? share(a, like) : NULL;
	if (f) {
		f->member = member;
		f->first = first;
	}
	return f;
}

static const struct fields *
pair_union(struct arena *a, const struct fields *x, const struct fields *y, size_t depth)
{
	if (!x || !y)
		return share(a, x ? x : y);
	return made(a, x, x->member || y->member,
		!x->first           ? y->first
			: !y->first ? x->first
				    : below(a, x, y, pair_union, depth));
}

static const struct fields *
pair_meet(struct arena *a, const struct fields *x, const struct fields *y, size_t depth)
{
	if (!x || !y)
		return NULL;
	return made(a, x, x->member && y->member,
		x->first && y->first ? below(a, x, y, pair_meet, depth) : NULL);
}

static const struct fields *
pair_minus(struct arena *a, const struct fields *x, const struct fields *y, size_t depth)
{
	if (!x)
		return NULL;
	if (!y)
		return share(a, x);
	return made(a, x, x->member && !y->member,
		x->first && y->first ? below(a, x, y, pair_minus, depth) : x->first);
}

static const struct fields *
pair_without(struct arena *a, const struct fields *x, const struct fields *y, size_t depth)
{
	if (!x || (y && y->member))
		return NULL;
	if (!y)
		return share(a, x);
	return made(a, x, x->member,
		x->first && y->first ? below(a, x, y, pair_without, depth) : x->first);
}

static const struct fields *
both(struct arena *a, const struct fields *x, const struct fields *y, pair_fn *fn)
{
	const struct fields *first = below(a, x, y, fn, 0);
	struct fields *f = first ? ARENA_NEW(a, struct fields) : NULL;
	if (f)
		f->first = first;
	return f;
}

const struct fields *
fields_union(struct arena *a, const struct fields *x, const struct fields *y)
{
	return !x ? y : !y ? x : both(a, x, y, pair_union);
}

const struct fields *
fields_meet(struct arena *a, const struct fields *x, const struct fields *y)
{
	return x && y ? both(a, x, y, pair_meet) : NULL;
}

const struct fields *
fields_minus(struct arena *a, const struct fields *x, const struct fields *y)
{
	return x && y ? both(a, x, y, pair_minus) : x;
}

const struct fields *
fields_without(struct arena *a, const struct fields *x, const struct fields *y)
{
	return x && y ? both(a, x, y, pair_without) : x;
}

/* ---- questions ---- */

const struct fields *
fields_child(const struct fields *x, const struct field_elem *at)
{
	for (const struct fields *m = x ? x->first : NULL; m; m = m->next)
		if (field_elem_cmp(&m->at, at) == 0)
			return m;
	return NULL;
}

static bool
equal_at(const struct fields *x, const struct fields *y, size_t depth)
{
	if (x == y || depth > FIELDS_MAX_DEPTH)
		return true;
	const struct fields *p = x ? x->first : NULL, *q = y ? y->first : NULL;
	for (; p && q; p = p->next, q = q->next)
		if (p->member != q->member || field_elem_cmp(&p->at, &q->at) != 0 ||
			!equal_at(p, q, depth + 1))
			return false;
	return !p && !q;
}

bool
fields_equal(const struct fields *x, const struct fields *y)
{
	return equal_at(x, y, 0);
}
