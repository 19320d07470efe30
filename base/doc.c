/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * doc.c: the tree of doc.h: makers, access, change. The readers and writers are in doc_*.c.
 * Invariants of a list or map: first..last are linked by next, n counts them, last->next is NULL.
 * Must not: allocate but from the arena that is given, or follow a tree deeper than DOC_MAX_WALK. */
#include "base/doc.h"

#include "base/hash.h"

#include <errno.h>
#include <math.h>

/* Maps of more members are compared through an index, so that a peer cannot make it quadratic. */
#define LINEAR_MAX 64

static struct doc *
doc_new(struct arena *a, enum doc_type type)
{
	struct doc *d = ARENA_NEW(a, struct doc);
	if (d)
		d->type = type;
	return d;
}

struct doc *
doc_null(struct arena *a)
{
	return doc_new(a, DOC_NULL);
}

struct doc *
doc_bool(struct arena *a, bool v)
{
	struct doc *d = doc_new(a, DOC_BOOL);
	if (d)
		d->b = v;
	return d;
}

struct doc *
doc_int(struct arena *a, int64_t v)
{
	struct doc *d = doc_new(a, DOC_INT);
	if (d)
		d->i = v;
	return d;
}

struct doc *
doc_double(struct arena *a, double v)
{
	struct doc *d = doc_new(a, DOC_DOUBLE);
	if (d)
		d->d = v;
	return d;
}

struct doc *
doc_str(struct arena *a, struct str s)
{
	struct doc *d = doc_new(a, DOC_STR);
	if (d)
		d->s = s.p ? s : STR("");
	return d;
}

struct doc *
doc_raw(struct arena *a, struct str json)
{
	struct doc *d = doc_str(a, json);
	if (d)
		d->raw = true;
	return d;
}

struct doc *
doc_list(struct arena *a)
{
	return doc_new(a, DOC_LIST);
}

struct doc *
doc_map(struct arena *a)
{
	return doc_new(a, DOC_MAP);
}

static struct doc *
copy_at(struct arena *a, const struct doc *d, bool lent, unsigned depth)
{
	struct doc *copy = d && depth < DOC_MAX_WALK ? doc_new(a, d->type) : NULL;
	if (!copy)
		return NULL;
	copy->line = d->line;
	copy->dups = d->dups;
	copy->raw = d->raw;
	switch (d->type) {
	case DOC_NULL:
		break;
	case DOC_BOOL:
		copy->b = d->b;
		break;
	case DOC_INT:
		copy->i = d->i;
		break;
	case DOC_DOUBLE:
		copy->d = d->d;
		break;
	case DOC_STR:
		copy->s = lent ? d->s : arena_str(a, d->s);
		if (!copy->s.p)
			return NULL;
		break;
	case DOC_LIST:
	case DOC_MAP:
		for (const struct doc *child = d->first; child; child = child->next) {
			struct doc *v = copy_at(a, child, lent, depth + 1);
			if (!v)
				return NULL;
			v->dup = child->dup;
			v->key = lent ? child->key : arena_str(a, child->key);
			if (child->key.p && !v->key.p)
				return NULL;
			doc_append(copy, v);
		}
		break;
	}
	return copy;
}

struct doc *
doc_copy(struct arena *a, const struct doc *d)
{
	return copy_at(a, d, false, 0);
}

struct doc *
doc_lend(struct arena *a, const struct doc *d)
{
	return copy_at(a, d, true, 0);
}

/* ---- access ---- */

static bool
is_parent(const struct doc *d)
{
	return d && (d->type == DOC_LIST || d->type == DOC_MAP);
}

struct doc *
doc_get(const struct doc *map, struct str key)
{
	if (!map || map->type != DOC_MAP)
		return NULL;
	struct doc *found = NULL;
	for (struct doc *d = map->first; d; d = d->next) {
		if (!str_eq(d->key, key))
			continue;
		found = d;
		if (!map->dups)
			break;
	}
	return found;
}

struct doc *
doc_index(const struct doc *list, size_t i)
{
	if (!is_parent(list) || i >= list->n)
		return NULL;
	struct doc *d = list->first;
	while (d && i-- > 0)
		d = d->next;
	return d;
}

struct doc *
doc_at(const struct doc *d, const char *path)
{
	struct doc *at = (struct doc *)(uintptr_t)d;
	while (at && *path) {
		const char *end = NULL;
		if (path[0] == '[' && path[1] == '"') {
			end = strstr(path + 2, "\"]");
			if (!end)
				return NULL;
			at = doc_get(at, str_from(path + 2, (size_t)(end - path - 2)));
			path = end + 2;
		} else if (path[0] == '[') {
			uint64_t i = 0;
			end = strchr(path, ']');
			if (!end ||
				str_to_u64(str_from(path + 1, (size_t)(end - path - 1)), &i) < 0)
				return NULL;
			at = at->type == DOC_LIST ? doc_index(at, i) : NULL;
			path = end + 1;
		} else {
			size_t n = strcspn(path, ".[");
			at = doc_get(at, str_from(path, n));
			path += n;
		}
		if (*path == '.')
			path++;
	}
	return at;
}

struct str
doc_as_str(const struct doc *d)
{
	return d && d->type == DOC_STR ? d->s : STR_NONE;
}

int64_t
doc_as_int(const struct doc *d, int64_t absent)
{
	if (d && d->type == DOC_INT)
		return d->i;
	if (d && d->type == DOC_DOUBLE && d->d >= -9223372036854775808.0 &&
		d->d < 9223372036854775808.0 && d->d == trunc(d->d))
		return (int64_t)d->d;
	return absent;
}

bool
doc_as_bool(const struct doc *d, bool absent)
{
	return d && d->type == DOC_BOOL ? d->b : absent;
}

struct str
doc_get_str(const struct doc *map, struct str key)
{
	return doc_as_str(doc_get(map, key));
}

int64_t
doc_get_int(const struct doc *map, struct str key, int64_t absent)
{
	return doc_as_int(doc_get(map, key), absent);
}

bool
doc_get_bool(const struct doc *map, struct str key, bool absent)
{
	return doc_as_bool(doc_get(map, key), absent);
}

size_t
doc_len(const struct doc *d)
{
	return is_parent(d) ? d->n : 0;
}

bool
doc_is_empty(const struct doc *d)
{
	if (!d || d->type == DOC_NULL)
		return true;
	return d->type == DOC_STR ? d->s.n == 0 : is_parent(d) && d->n == 0;
}

/* names: how many different names a map has. */
static size_t
names(const struct doc *map)
{
	size_t n = map->n;
	for (const struct doc *d = map->dups ? map->first : NULL; d; d = d->next)
		n -= d->dup;
	return n;
}

static bool equal_at(const struct doc *x, const struct doc *y, unsigned depth);

/* maps_equal: y's members are looked up in order first (the usual case), then by name. */
static bool
maps_equal(const struct doc *x, const struct doc *y, unsigned depth)
{
	struct map index;
	map_init(&index);
	bool same = true, indexed = false;
	const struct doc *cursor = y->first;
	for (const struct doc *m = x->first; m && same; m = m->next) {
		const struct doc *other = NULL;
		if (cursor && str_eq(cursor->key, m->key) && !y->dups && !x->dups) {
			other = cursor;
		} else {
			if (!indexed && y->n > LINEAR_MAX) {
				indexed = true;
				for (struct doc *d = y->first; d && indexed; d = d->next)
					indexed = map_put(&index, d->key, d, NULL) == 0;
			}
			other = indexed ? map_get(&index, m->key) : doc_get(y, m->key);
		}
		if (cursor)
			cursor = cursor->next;
		same = other && equal_at(x->dups ? doc_get(x, m->key) : m, other, depth + 1);
	}
	map_release(&index);
	return same;
}

static bool
equal_at(const struct doc *x, const struct doc *y, unsigned depth)
{
	if (x == y)
		return true;
	if (!x || !y || depth >= DOC_MAX_WALK)
		return false;
	if (x->type != y->type) {
		if (x->type == DOC_INT && y->type == DOC_DOUBLE)
			return (double)x->i == y->d;
		return x->type == DOC_DOUBLE && y->type == DOC_INT && x->d == (double)y->i;
	}
	switch (x->type) {
	case DOC_NULL:
		return true;
	case DOC_BOOL:
		return x->b == y->b;
	case DOC_INT:
		return x->i == y->i;
	case DOC_DOUBLE:
		return x->d == y->d;
	case DOC_STR:
		return x->raw == y->raw && str_eq(x->s, y->s);
	case DOC_LIST:
		if (x->n != y->n)
			return false;
		for (x = x->first, y = y->first; x && y; x = x->next, y = y->next)
			if (!equal_at(x, y, depth + 1))
				return false;
		return true;
	case DOC_MAP:
		return names(x) == names(y) && maps_equal(x, y, depth);
	}
	return false;
}

bool
doc_equal(const struct doc *x, const struct doc *y)
{
	return equal_at(x, y, 0);
}

/* ---- change ---- */

static struct doc *
merge_by_key(struct doc *x, struct doc *y)
{
	struct doc *first = NULL, **at = &first;
	while (x && y) {
		struct doc **least = str_cmp(y->key, x->key) < 0 ? &y : &x;
		*at = *least;
		at = &(*least)->next;
		*least = *at;
	}
	*at = x ? x : y;
	return first;
}

/* Runs of 1, 2, 4... members are merged: no recursion, equal names keep their order. */
static void
sort_members(struct doc *map)
{
	struct doc *runs[32] = {0};
	size_t top = 0;
	for (struct doc *m = map->first, *next = NULL; m; m = next) {
		next = m->next;
		m->next = NULL;
		size_t i = 0;
		for (; i < top && runs[i]; i++) {
			m = merge_by_key(runs[i], m);
			runs[i] = NULL;
		}
		if (i < ARRAY_LEN(runs))
			runs[i] = m;
		top = i >= top ? i + 1 : top;
	}
	struct doc *all = NULL;
	for (size_t i = 0; i < top; i++)
		all = merge_by_key(runs[i], all);
	map->first = map->last = all;
	while (map->last && map->last->next)
		map->last = map->last->next;
}

static void
sort_below(struct doc *d, size_t depth)
{
	if (depth > DOC_MAX_WALK || !d || (d->type != DOC_MAP && d->type != DOC_LIST))
		return;
	if (d->type == DOC_MAP)
		sort_members(d);
	DOC_EACH (m, d)
		sort_below(m, depth + 1);
}

void
doc_sort_members(struct doc *d)
{
	if (d && d->type == DOC_MAP)
		sort_members(d);
}

void
doc_sort(struct doc *d)
{
	sort_below(d, 0);
}

void
doc_append(struct doc *list, struct doc *v)
{
	if (!is_parent(list) || !v)
		return;
	v->next = NULL;
	if (list->last)
		list->last->next = v;
	else
		list->first = v;
	list->last = v;
	list->n++;
}

void
doc_set(struct doc *map, struct str key, struct doc *v)
{
	if (!map || map->type != DOC_MAP)
		return;
	struct doc *last = NULL;
	bool placed = v == NULL;
	for (struct doc **link = &map->first; *link;) {
		struct doc *d = *link;
		if (str_eq(d->key, key)) {
			if (placed) {
				*link = d->next;
				map->n--;
				continue;
			}
			v->key = key;
			v->dup = false;
			v->next = d->next;
			*link = v;
			placed = true;
		}
		last = *link;
		link = &last->next;
	}
	map->last = last;
	if (!placed) {
		v->key = key;
		v->dup = false;
		doc_append(map, v);
	}
}

void
doc_remove(struct doc *parent, struct doc *child)
{
	if (!is_parent(parent) || !child)
		return;
	struct doc *before = NULL;
	for (struct doc *d = parent->first; d; before = d, d = d->next) {
		if (d != child)
			continue;
		*(before ? &before->next : &parent->first) = d->next;
		if (parent->last == d)
			parent->last = before;
		parent->n--;
		return; /* child->next stays, so that DOC_EACH goes on */
	}
}

void
doc_insert(struct doc *list, size_t i, struct doc *v)
{
	if (!is_parent(list) || !v)
		return;
	if (i >= list->n) {
		doc_append(list, v);
		return;
	}
	struct doc **link = &list->first;
	while (i-- > 0)
		link = &(*link)->next;
	v->next = *link;
	*link = v;
	list->n++;
}

void
doc_replace(struct doc *node, const struct doc *with)
{
	if (!node || !with || node == with)
		return;
	struct doc content = *with;
	content.dup = node->dup;
	content.key = node->key;
	content.next = node->next;
	*node = content;
}

static int
expand_at(struct arena *a, struct doc *d, unsigned depth)
{
	int rc = 0;
	if (depth >= DOC_MAX_WALK)
		return -E2BIG;
	if (d->type == DOC_STR && d->raw) {
		const struct doc_limits lim = {.max_depth = DOC_MAX_WALK};
		struct doc *tree = NULL;
		rc = doc_parse_json(a, d->s, &lim, &tree, NULL);
		if (rc == 0)
			doc_replace(d, tree);
		return rc;
	}
	DOC_EACH (m, d) {
		rc = expand_at(a, m, depth + 1);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
doc_expand(struct arena *a, struct doc *d)
{
	return d ? expand_at(a, d, 0) : 0;
}

static struct doc *
ensure(struct arena *a, struct doc *map, struct str key, enum doc_type type)
{
	struct doc *d = doc_get(map, key);
	if (d && d->type != DOC_NULL)
		return d->type == type ? d : NULL;
	if (d) {
		struct doc empty = {.type = type};
		doc_replace(d, &empty);
		return d;
	}
	if (!map || map->type != DOC_MAP)
		return NULL;
	d = doc_new(a, type);
	if (d)
		doc_set(map, key, d);
	return d;
}

struct doc *
doc_ensure_map(struct arena *a, struct doc *map, struct str key)
{
	return ensure(a, map, key, DOC_MAP);
}

struct doc *
doc_ensure_list(struct arena *a, struct doc *map, struct str key)
{
	return ensure(a, map, key, DOC_LIST);
}

/* When the arena has failed nothing is set: the owner of the arena sees the failure. */
static void
set_if(struct doc *map, struct str key, struct doc *v)
{
	if (v)
		doc_set(map, key, v);
}

void
doc_set_str(struct arena *a, struct doc *map, struct str key, struct str v)
{
	set_if(map, key, doc_str(a, v));
}

void
doc_set_int(struct arena *a, struct doc *map, struct str key, int64_t v)
{
	set_if(map, key, doc_int(a, v));
}

void
doc_set_bool(struct arena *a, struct doc *map, struct str key, bool v)
{
	set_if(map, key, doc_bool(a, v));
}
