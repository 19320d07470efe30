/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * typed: the set of an object's fields, what differs between two objects, and whether a value is one of its
 * type. One walk each, along the schema.
 * Source: structured-merge-diff typed/tofieldset, typed/compare, typed/validate. */
#include "orchestrator/fields/fields_int.h"

/* ---- the set of an object -------------------------------------------------------------------------- */

static void of_value(struct arena *a, const struct place *p, const struct doc *d, struct fields *at,
	size_t depth);

static void
of_items(struct arena *a, const struct place *p, const struct doc *d, struct fields *at,
	size_t depth)
{
	struct place inner = place_item(p);
	struct items items;
	if (items_of_any(a, p, d, &items) < 0)
		return;
	for (size_t i = 0, same = 0; i < items.n; i += same) {
		struct fields *f = fields_add(a, at, &items.v[i].at);
		same = items_same(&items, i);
		if (!f)
			return;
		f->member = true;
		if (same == 1) /* items of one key are owned together, as they are */
			of_value(a, &inner, items.v[i].d, f, depth + 1);
	}
}

static void
of_value(struct arena *a, const struct place *p, const struct doc *d, struct fields *at,
	size_t depth)
{
	if (depth >= FIELDS_MAX_DEPTH || place_whole(p, d)) {
		at->member = true;
		return;
	}
	if (p->kind == PLACE_LIST) {
		of_items(a, p, d, at, depth);
		return;
	}
	DOC_EACH (m, d) {
		struct place inner = place_member(p, m->key);
		struct field_elem e = {.kind = FIELD_NAME, .name = m->key};
		struct fields *f = fields_add(a, at, &e);
		if (!f)
			return;
		of_value(a, &inner, m, f, depth + 1);
		if (m->type == DOC_NULL || (m->type == DOC_MAP && m->n == 0) ||
			!place_known(p, m->key))
			f->member = true;
	}
}

const struct fields *
fields_of(struct arena *a, const struct schema_type *t, const struct doc *d)
{
	struct place p = place_of_type(t);
	struct fields *root = ARENA_NEW(a, struct fields);
	if (root && d)
		of_value(a, &p, d, root, 0);
	if (root)
		root->member = false;
	return fields_sort(root);
}

/* ---- two objects ----------------------------------------------------------------------------------- */

enum side { ADDED, MODIFIED, REMOVED, SIDE__COUNT };

/* The way to the values at hand; nodes are made when something below differs. */
struct trail {
	struct trail *up; /* NULL: the object */
	struct field_elem at;
	struct fields *made[SIDE__COUNT];
};
struct compare {
	struct arena *a;
	int rc;
};

static struct fields *
trail_node(struct arena *a, struct trail *t, enum side side)
{
	if (!t->made[side] && t->up)
		t->made[side] = fields_add(a, trail_node(a, t->up, side), &t->at);
	return t->made[side];
}

static void
note(struct compare *c, struct trail *t, enum side side)
{
	struct fields *f = t->up ? trail_node(c->a, t, side) : NULL;
	if (f)
		f->member = true;
}

static void compare_at(struct compare *c, const struct place *p, const struct doc *x,
	const struct doc *y, struct trail *t, size_t depth);

static void
compare_below(struct compare *c, const struct place *p, const struct field_elem *at,
	const struct doc *x, const struct doc *y, struct trail *up, size_t depth)
{
	struct trail t = {.up = up, .at = *at};
	compare_at(c, p, x, y, &t, depth + 1);
}

static void
compare_members(struct compare *c, const struct place *p, const struct doc *x, const struct doc *y,
	struct trail *t, size_t depth)
{
	struct members i, j;
	if (!members_of(c->a, p, x, &i) || !members_of(c->a, p, y, &j)) {
		c->rc = -ENOMEM;
		return;
	}
	while (members_at(&i) || members_at(&j)) {
		int cmp = members_cmp(&i, &j);
		const struct doc *m = cmp <= 0 ? members_at(&i) : NULL;
		const struct doc *n = cmp >= 0 ? members_at(&j) : NULL;
		size_t rank = m ? i.rank : j.rank;
		struct field_elem at = {.kind = FIELD_NAME, .name = m ? m->key : n->key};
		struct place inner = p->kind == PLACE_STRUCT && rank < p->t->n_fields
			? place_of_field(&p->t->fields[rank])
			: place_member(p, at.name);
		compare_below(c, &inner, &at, m, n, t, depth);
		if (m)
			members_next(p, &i);
		if (n)
			members_next(p, &j);
	}
}

static bool
runs_equal(const struct item *x, size_t n, const struct item *y, size_t m)
{
	for (size_t i = 0; x && y && i < n && n == m; i++)
		if (!doc_equal(x[i].d, y[i].d))
			return false;
	return n == m;
}

/* Items of one step on both sides; where there are several on a side they count as one that is known only as
 * a whole. */
static void
compare_runs(struct compare *c, const struct place *inner, const struct item *x, size_t n,
	const struct item *y, size_t m, struct trail *up, size_t depth)
{
	struct trail t = {.up = up};
	if (x)
		t.at = x->at;
	else if (y)
		t.at = y->at;
	if (n <= 1 && m <= 1) {
		compare_at(c, inner, x ? x->d : NULL, y ? y->d : NULL, &t, depth + 1);
	} else if (n >= 2 && m >= 2) {
		if (!runs_equal(x, n, y, m))
			note(c, &t, MODIFIED);
	} else if (n >= 2) {
		if (y)
			compare_at(c, inner, NULL, y->d, &t, depth + 1);
		note(c, &t, REMOVED);
	} else {
		if (x)
			compare_at(c, inner, x->d, NULL, &t, depth + 1);
		note(c, &t, ADDED);
	}
}

static void
compare_items(struct compare *c, const struct place *p, const struct doc *x, const struct doc *y,
	struct trail *t, size_t depth)
{
	struct place inner = place_item(p);
	struct items v, w;
	int rc = items_of(c->a, p, x, &v, NULL, NULL);
	if (rc == 0)
		rc = items_of(c->a, p, y, &w, NULL, NULL);
	if (rc < 0) {
		c->rc = rc;
		return;
	}
	for (size_t i = 0, j = 0; i < v.n || j < w.n;) {
		int cmp = i >= v.n ? 1 : j >= w.n ? -1 : field_elem_cmp(&v.v[i].at, &w.v[j].at);
		size_t n = cmp <= 0 ? items_same(&v, i) : 0, m = cmp >= 0 ? items_same(&w, j) : 0;
		compare_runs(c, &inner, n ? &v.v[i] : NULL, n, m ? &w.v[j] : NULL, m, t, depth);
		i += n;
		j += m;
	}
}

static void
compare_at(struct compare *c, const struct place *p, const struct doc *x, const struct doc *y,
	struct trail *t, size_t depth)
{
	if ((x && x->raw) || (y && y->raw))
		return; /* the server's own text is nobody's */
	bool leaf = depth >= FIELDS_MAX_DEPTH || place_whole(p, x) || place_whole(p, y) ||
		(value_empty(x) && value_empty(y));
	if (leaf) {
		if (!x || !y)
			note(c, t, x ? REMOVED : ADDED);
		else if (!doc_equal(x, y))
			note(c, t, MODIFIED);
		return;
	}
	if (p->kind == PLACE_LIST)
		compare_items(c, p, x, y, t, depth);
	else
		compare_members(c, p, x, y, t, depth);
	if (!x || !y)
		note(c, t, x ? REMOVED : ADDED);
}

int
fields_compare(struct arena *a, const struct schema_type *t, const struct doc *from,
	const struct doc *to, struct fields_change *ret)
{
	struct place p = place_of_type(t);
	struct compare c = {.a = a};
	struct fields roots[SIDE__COUNT] = {0};
	const struct fields *sorted[SIDE__COUNT] = {0};
	struct trail top = {.made = {&roots[0], &roots[1], &roots[2]}};
	compare_at(&c, &p, from, to, &top, 0);
	for (size_t i = 0; i < SIDE__COUNT && c.rc == 0; i++) {
		struct fields *own = fields_sort(&roots[i]) ? ARENA_NEW(a, struct fields) : NULL;
		if (own)
			*own = roots[i];
		sorted[i] = own;
	}
	if (c.rc < 0 || arena_failed(a))
		return c.rc < 0 ? c.rc : -ENOMEM;
	*ret = (struct fields_change){
		.added = sorted[ADDED], .modified = sorted[MODIFIED], .removed = sorted[REMOVED]};
	return 0;
}

/* ---- is it a value of its type? -------------------------------------------------------------------- */

#define FAULTS_MAX 100

struct check {
	struct arena *a;
	struct buf all;
	struct str first;
	size_t n;
};
struct way {
	const struct way *up;
	struct field_elem at;
};

static void
way_text(struct buf *b, const struct way *w)
{
	const struct way *chain[FIELDS_MAX_DEPTH + 2];
	size_t n = 0;
	for (; w && w->up && n < ARRAY_LEN(chain); w = w->up)
		chain[n++] = w;
	while (n-- > 0)
		field_elem_text(b, &chain[n]->at);
}

static void fault_add(struct check *c, const struct way *w, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void
fault_add(struct check *c, const struct way *w, const char *fmt, ...)
{
	struct buf b;
	va_list ap;
	if (c->n++ >= FAULTS_MAX)
		return;
	buf_init_arena(&b, c->a);
	way_text(&b, w);
	buf_cstr(&b, b.len ? ": " : "");
	va_start(ap, fmt);
	buf_str(&b, arena_vfmt(c->a, fmt, ap));
	va_end(ap);
	if (c->n == 1)
		c->first = buf_view(&b);
	buf_cstr(&c->all, "\n  ");
	buf_str(&c->all, buf_view(&b));
}

/* The value as Go prints what stands in an interface: what clients see of a wrong one. */
static struct str
go_value(struct arena *a, const struct doc *d)
{
	struct buf b;
	buf_init_arena(&b, a);
	if (d->type == DOC_STR)
		buf_str(&b, d->s);
	else if (d->type == DOC_MAP || d->type == DOC_LIST) {
		buf_cstr(&b, d->type == DOC_MAP ? "map[" : "[");
		DOC_EACH (m, d) {
			buf_cstr(&b, m == d->first ? "" : " ");
			if (d->type == DOC_MAP)
				buf_fmt(&b, STR_FMT ":", STR_ARG(m->key));
			if (m->type == DOC_STR)
				buf_str(&b, m->s);
			else
				doc_write_json(&b, m);
		}
		buf_char(&b, ']');
	} else {
		doc_write_json(&b, d);
	}
	return buf_view(&b);
}

static void
check_scalar(struct check *c, const struct place *p, const struct doc *d, const struct way *w)
{
	bool number = d->type == DOC_INT || d->type == DOC_DOUBLE;
	bool container = d->type == DOC_MAP || d->type == DOC_LIST;
	if (d->type == DOC_NULL)
		return;
	switch ((enum schema_form)p->f->form) {
	case SCHEMA_INT32:
	case SCHEMA_INT64:
	case SCHEMA_DOUBLE:
		if (!number)
			fault_add(
				c, w, "expected numeric (int or float), got %s", schema_go_type(d));
		return;
	case SCHEMA_BOOL:
		if (d->type != DOC_BOOL)
			fault_add(c, w, "expected boolean, got &{" STR_FMT "}",
				STR_ARG(go_value(c->a, d)));
		return;
	case SCHEMA_STRING:
	case SCHEMA_BYTES:
	case SCHEMA_DURATION:
		if (d->type != DOC_STR)
			fault_add(c, w,
				"expected string, got &value.valueUnstructured{Value:%s" STR_FMT
				"}",
				container ? schema_go_type(d) : "", STR_ARG(go_value(c->a, d)));
		return;
	default:
		if (container)
			fault_add(c, w, "expected any scalar, got &{" STR_FMT "}",
				STR_ARG(go_value(c->a, d)));
	}
}

static void check_at(struct check *c, const struct place *p, const struct doc *d,
	const struct way *w, size_t depth);

static void
check_list(struct check *c, const struct place *p, const struct doc *d, const struct way *w,
	size_t depth)
{
	struct place inner = place_item(p);
	struct items items = {0};
	struct str why = STR_NONE;
	size_t bad = 0, i = 0;
	if (!p->atomic) {
		int rc = items_of(c->a, p, d, &items, &why, &bad);
		if (rc < 0) {
			fault_add(c, w, "element %zu: " STR_FMT, bad, STR_ARG(why));
			return;
		}
		for (size_t k = 1; k < items.n; k++) {
			struct buf b;
			if (field_elem_cmp(&items.v[k - 1].at, &items.v[k].at) != 0)
				continue;
			buf_init_arena(&b, c->a);
			field_elem_text(&b, &items.v[k].at);
			fault_add(
				c, w, "duplicate entries for key " STR_FMT, STR_ARG(buf_view(&b)));
		}
	}
	DOC_EACH (m, d) {
		struct way below = {w, {.kind = FIELD_INDEX, .index = (int64_t)i}};
		if (!p->atomic)
			place_elem(c->a, p, m, &below.at, NULL);
		check_at(c, &inner, m, &below, depth + 1);
		i++;
	}
}

static void
check_map(struct check *c, const struct place *p, const struct doc *d, const struct way *w,
	size_t depth)
{
	DOC_EACH (m, d) {
		struct way below = {w, {.kind = FIELD_NAME, .name = m->key}};
		struct place inner = place_member(p, m->key);
		if (inner.kind == PLACE_NONE) {
			fault_add(c, &below, "field not declared in schema");
			return;
		}
		check_at(c, &inner, m, &below, depth + 1);
	}
}

static void
check_at(struct check *c, const struct place *p, const struct doc *d, const struct way *w,
	size_t depth)
{
	if (d->type == DOC_NULL || depth >= FIELDS_MAX_DEPTH)
		return;
	switch (p->kind) {
	case PLACE_SCALAR:
		check_scalar(c, p, d, w);
		return;
	case PLACE_STRUCT:
	case PLACE_MAP:
	case PLACE_NODE:
		if (d->type != DOC_MAP)
			fault_add(c, w, "expected map, got &{" STR_FMT "}",
				STR_ARG(go_value(c->a, d)));
		else
			check_map(c, p, d, w, depth);
		return;
	case PLACE_LIST:
		if (p->inner) /* a list of strings in a map */
			return;
		if (d->type != DOC_LIST)
			fault_add(c, w, "expected list, got &{" STR_FMT "}",
				STR_ARG(go_value(c->a, d)));
		else
			check_list(c, p, d, w, depth);
		return;
	case PLACE_LEAF:
	case PLACE_DEDUCED:
	case PLACE_NONE:
		return;
	}
}

int
fields_check(struct arena *a, const struct schema_type *t, const struct doc *d, struct str *ret_why)
{
	struct place p = place_of_type(t);
	struct check c = {.a = a};
	const struct way top = {0};
	buf_init_arena(&c.all, a);
	buf_cstr(&c.all, "errors:");
	check_at(&c, &p, d, &top, 0);
	if (c.n == 0)
		return 0;
	*ret_why = c.n == 1 ? c.first : buf_view(&c.all);
	return -EINVAL;
}
