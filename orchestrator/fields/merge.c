/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * merge: a configuration laid over an object, fields taken out of one, and sets completed by the members that
 * lead to their paths.
 * Source: structured-merge-diff typed/merge (order of list items), typed/remove, fieldpath/set. */
#include "orchestrator/fields/fields_int.h"

#include <stdlib.h>

/* ---- merge ----------------------------------------------------------------------------------------- */

static struct doc *merge_at(struct arena *a, const struct place *p, const struct doc *x,
	const struct doc *y, size_t depth);

/* The side that counts, as it is. */
static struct doc *
merge_leaf(struct arena *a, const struct doc *x, const struct doc *y)
{
	return doc_copy(a, y ? y : x);
}

static struct doc *
merge_members(struct arena *a, const struct place *p, const struct doc *x, const struct doc *y,
	size_t depth)
{
	struct doc *out = doc_map(a);
	struct members i, j;
	if (!out || !members_of(a, p, x, &i) || !members_of(a, p, y, &j))
		return NULL;
	while (members_at(&i) || members_at(&j)) {
		int cmp = members_cmp(&i, &j);
		const struct doc *m = cmp <= 0 ? members_at(&i) : NULL;
		const struct doc *n = cmp >= 0 ? members_at(&j) : NULL;
		struct str key = m ? m->key : n->key;
		struct place inner = place_member(p, key);
		struct doc *v = merge_at(a, &inner, m, n, depth + 1);
		if (v) {
			v->key = arena_str(a, key);
			doc_append(out, v);
		}
		if (m)
			members_next(p, &i);
		if (n)
			members_next(p, &j);
	}
	return out->n ? out : NULL;
}

/* Both lists by step, and of each item where its step stands first in the other list. */
struct weave {
	struct arena *a;
	struct place inner;
	struct items x, y;
	size_t *in_y; /* by place in x: index into y, y.n = none */
	size_t *in_x; /* by place in y */
	const struct doc **by_x, **by_y;
	bool *merged; /* by index into y */
	struct doc *out;
	size_t depth;
};

static void
weave_put(struct weave *w, const struct doc *x, const struct doc *y)
{
	struct doc *v = merge_at(w->a, &w->inner, x, y, w->depth + 1);
	if (v)
		doc_append(w->out, v);
}

/* What x has for the step of the item at place j of y: nothing when it has several. */
static const struct doc *
partner(const struct weave *w, size_t j)
{
	size_t i = w->in_x[j];
	return i < w->x.n && items_same(&w->x, i) == 1 ? w->x.v[i].d : NULL;
}

static bool
weave_init(struct weave *w, const struct place *p, const struct doc *x, const struct doc *y)
{
	if (items_of(w->a, p, x, &w->x, NULL, NULL) < 0 ||
		items_of(w->a, p, y, &w->y, NULL, NULL) < 0)
		return false;
	w->inner = place_item(p);
	w->out = doc_list(w->a);
	w->in_y = ARENA_ARRAY(w->a, size_t, w->x.n);
	w->in_x = ARENA_ARRAY(w->a, size_t, w->y.n);
	w->by_x = ARENA_ARRAY(w->a, const struct doc *, w->x.n);
	w->by_y = ARENA_ARRAY(w->a, const struct doc *, w->y.n);
	w->merged = ARENA_ARRAY(w->a, bool, w->y.n);
	if (arena_failed(w->a))
		return false;
	for (size_t i = 0; i < w->x.n; i++) {
		w->in_y[w->x.v[i].i] = items_find(&w->y, &w->x.v[i].at);
		w->by_x[w->x.v[i].i] = w->x.v[i].d;
	}
	for (size_t i = 0; i < w->y.n; i++) {
		w->in_x[w->y.v[i].i] = items_find(&w->x, &w->y.v[i].at);
		w->by_y[w->y.v[i].i] = w->y.v[i].d;
	}
	return true;
}

/* place_in_y: of an index into the sorted items. */
static size_t
place_in_y(const struct weave *w, size_t index)
{
	return index < w->y.n ? w->y.v[index].i : SIZE_MAX;
}

/* Items of both in the order of y, those of x alone where they stood: before the shared item that followed. */
static struct doc *
merge_items(struct arena *a, const struct place *p, const struct doc *x, const struct doc *y,
	size_t depth)
{
	struct weave w = {.a = a, .depth = depth};
	if (!weave_init(&w, p, x, y))
		return NULL;
	size_t i = 0, j = 0, shared = 0; /* shared: place in y of the next item that x has too */
	while (shared < w.y.n && w.in_x[shared] >= w.x.n)
		shared++;
	while (i < w.x.n || j < w.y.n) {
		size_t at = i < w.x.n ? place_in_y(&w, w.in_y[i]) : SIZE_MAX;
		if (i < w.x.n && j < w.y.n) {
			bool same = at == j;
			if (!same && at != SIZE_MAX && shared < w.y.n && at != shared) {
				i++; /* shared, but not the one that comes next */
				continue;
			}
			if (same) {
				w.merged[j] = true;
				weave_put(&w, partner(&w, j), w.by_y[j]);
				i++;
				j++;
				for (shared = shared < w.y.n ? shared + 1 : shared;
					shared < w.y.n && w.in_x[shared] >= w.x.n;)
					shared++;
				continue;
			}
		}
		if (i < w.x.n && at == SIZE_MAX) {
			weave_put(&w, w.by_x[i], NULL);
			i++;
			continue;
		}
		if (i < w.x.n && w.merged[at])
			i++;
		if (j < w.y.n) {
			w.merged[j] = true;
			weave_put(&w, partner(&w, j), w.by_y[j]);
			if (shared == j)
				for (shared++; shared < w.y.n && w.in_x[shared] >= w.x.n;)
					shared++;
			j++;
		}
	}
	return w.out->n ? w.out : NULL;
}

static struct doc *
merge_at(struct arena *a, const struct place *p, const struct doc *x, const struct doc *y,
	size_t depth)
{
	if (depth >= FIELDS_MAX_DEPTH || place_whole(p, x) || place_whole(p, y) ||
		(value_empty(x) && value_empty(y)))
		return merge_leaf(a, x, y);
	return p->kind == PLACE_LIST ? merge_items(a, p, x, y, depth)
				     : merge_members(a, p, x, y, depth);
}

struct doc *
fields_merge(struct arena *a, const struct schema_type *t, const struct doc *live,
	const struct doc *config)
{
	struct place p = place_of_type(t);
	struct doc *d = merge_at(a, &p, live, config, 0);
	return d ? d : arena_failed(a) ? NULL : doc_map(a);
}

/* ---- taking out ------------------------------------------------------------------------------------ */

/* The children of a node, to be found by their step. */
struct children {
	const struct fields **v;
	size_t n;
};

static struct children
children_of(struct arena *a, const struct fields *f)
{
	struct children c = {0};
	size_t n = 0;
	for (const struct fields *m = f->first; m; m = m->next)
		n++;
	c.v = ARENA_ARRAY(a, const struct fields *, n ? n : 1);
	for (const struct fields *m = f->first; m && c.v; m = m->next)
		c.v[c.n++] = m;
	return c;
}

static const struct fields *
children_find(const struct children *c, const struct field_elem *at)
{
	size_t from = 0, to = c->n;
	while (from < to) {
		size_t mid = (from + to) / 2;
		int cmp = field_elem_cmp(&c->v[mid]->at, at);
		if (cmp == 0)
			return c->v[mid];
		if (cmp < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}

/* What is left of d; NULL: nothing is. */
static struct doc *
take_at(struct arena *a, const struct place *p, const struct doc *d, const struct fields *out,
	size_t depth)
{
	if (p->kind == PLACE_SCALAR || depth >= FIELDS_MAX_DEPTH ||
		(d->type != DOC_MAP && d->type != DOC_LIST))
		return doc_copy(a, d);
	if (place_whole(p, d))
		return NULL;
	struct doc *left = d->type == DOC_MAP ? doc_map(a) : doc_list(a);
	struct children c = children_of(a, out);
	if (!left)
		return NULL;
	DOC_EACH (m, d) {
		struct field_elem at = {.kind = FIELD_NAME, .name = m->key};
		struct place inner = p->kind == PLACE_LIST ? place_item(p)
							   : place_member(p, m->key);
		struct doc *v = NULL;
		if (p->kind == PLACE_LIST && place_elem(a, p, m, &at, NULL) < 0)
			at = item_without_step;
		const struct fields *f = children_find(&c, &at);
		if (f && f->member)
			continue;
		v = f ? take_at(a, &inner, m, f, depth + 1) : doc_copy(a, m);
		if (!v)
			v = doc_null(a);
		if (!v)
			return NULL;
		v->key = arena_str(a, m->key);
		doc_append(left, v);
	}
	return left->n ? left : NULL;
}

struct doc *
fields_take_out(
	struct arena *a, const struct schema_type *t, const struct doc *d, const struct fields *out)
{
	struct place p = place_of_type(t);
	struct doc *left = out ? take_at(a, &p, d, out, 0) : doc_copy(a, d);
	return left ? left : arena_failed(a) ? NULL : doc_map(a);
}

/* ---- parents --------------------------------------------------------------------------------------- */

static const struct fields *
parents_below(struct arena *a, const struct place *p, const struct fields *f, size_t depth)
{
	const struct fields *first = NULL, **end = &first;
	for (const struct fields *m = f->first; m && depth < FIELDS_MAX_DEPTH; m = m->next) {
		struct place inner = {.kind = PLACE_NONE};
		struct fields *own = ARENA_NEW(a, struct fields);
		if (!own)
			return first;
		bool named = m->at.kind == FIELD_NAME && p->kind != PLACE_LIST;
		if (named)
			inner = place_member(p, m->at.name);
		else if (m->at.kind == FIELD_KEY && p->kind == PLACE_LIST)
			inner = place_item(p);
		*own = (struct fields){.at = m->at, .member = m->member};
		if (m->first && named && place_known(p, m->at.name))
			own->member = true;
		own->first = m->first ? parents_below(a, &inner, m, depth + 1) : NULL;
		*end = own;
		end = &own->next;
	}
	return first;
}

const struct fields *
fields_with_parents(struct arena *a, const struct schema_type *t, const struct fields *f)
{
	struct place p = place_of_type(t);
	struct fields *root = f ? ARENA_NEW(a, struct fields) : NULL;
	if (root)
		root->first = parents_below(a, &p, f, 0);
	return root;
}

/* ---- what is atomic -------------------------------------------------------------------------------- */

/* A step of a path, on the stack: the text is made for what is found. */
struct way {
	const struct way *up;
	struct field_elem at;
};

static void
way_text(struct buf *b, const struct way *w)
{
	if (!w)
		return;
	way_text(b, w->up);
	field_elem_text(b, &w->at);
}

static void
atomic_found(struct buf *b, const struct way *w)
{
	if (b->len)
		buf_cstr(b, ", ");
	way_text(b, w);
}

static void
atomic_below(struct buf *b, struct place p, const struct doc *d, const struct way *w, size_t depth)
{
	int64_t i = 0;
	bool map = d->type == DOC_MAP && (p.kind == PLACE_STRUCT || p.kind == PLACE_MAP);
	bool list = d->type == DOC_LIST && p.kind == PLACE_LIST;
	if ((!map && !list) || depth > FIELDS_MAX_DEPTH)
		return;
	if (p.atomic)
		atomic_found(b, w);
	DOC_EACH (x, d) {
		struct way here = {.up = w, .at = {.kind = FIELD_INDEX, .index = i++}};
		if (map && !place_known(&p, x->key))
			continue;
		if (map)
			here.at = (struct field_elem){.kind = FIELD_NAME, .name = x->key};
		atomic_below(
			b, map ? place_member(&p, x->key) : place_item(&p), x, &here, depth + 1);
	}
}

struct str
fields_atomic(struct arena *a, const struct schema_type *t, const struct doc *d)
{
	struct buf b;
	buf_init_arena(&b, a);
	atomic_below(&b, place_of_type(t), d, NULL, 0);
	return buf_view(&b);
}
