/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * strategic: strategic merge patch: as a merge patch, but lists whose field has a merge key are merged item
 * by item, and directives in the patch say what cannot be said by values:
 *   $patch: replace | delete | merge      of the map (or list item) it stands in
 *   $setElementOrder/f: [...]             the order the list f shall have
 *   $deleteFromPrimitiveList/f: [...]     values to take out of the list f
 *   $retainKeys: [...]                    all other members go
 *
 * Invariants: works on copies; no directive is left in the result. Lists are looked up through hash maps:
 * a patch costs O(n) in its size and the object's.
 * Source: k8s.io/apimachinery util/strategicpatch (behaviour of StrategicMergeMapPatch). */
#include "orchestrator/schema/members.h"

#define ORDER "$setElementOrder/"
#define DELETE_FROM "$deleteFromPrimitiveList/"

struct merge {
	struct arena *a;
	struct err *e;
};

static int merge_map(struct merge *m, const struct schema_type *t, struct doc *orig,
	struct doc *patch, size_t depth);

static int bad(struct merge *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int
bad(struct merge *m, const char *fmt, ...)
{
	va_list ap;
	struct str s = STR_NONE;

	va_start(ap, fmt);
	s = arena_vfmt(m->a, fmt, ap);
	va_end(ap);
	return err_set(m->e, -EINVAL, R_BAD_REQUEST, STR_FMT, STR_ARG(s));
}

/* key_of: text by which a list item is known: its merge key's value, or itself. STR_NONE: it has none. */
static struct str
key_of(struct merge *m, const struct doc *item, const char *merge_key)
{
	const struct doc *v = merge_key ? doc_get(item, str_c(merge_key)) : item;
	struct buf b;

	if (v == NULL || (merge_key && item->type != DOC_MAP))
		return STR_NONE;
	if (v->type == DOC_STR)
		return v->s;
	buf_init_arena(&b, m->a);
	doc_write_json(&b, v);
	return b.failed ? STR_NONE : buf_view(&b);
}

/* index_list: key -> 1 + position of its first item. */
static int
index_list(struct merge *m, const struct doc *list, const char *merge_key, struct map *out)
{
	size_t i = 0;

	map_init(out);
	DOC_EACH (item, list) {
		struct str key = key_of(m, item, merge_key);

		i++;
		if (str_is_set(key) && map_get(out, key) == NULL &&
			map_put(out, key, (void *)(uintptr_t)i, NULL) != 0) {
			map_release(out);
			return -ENOMEM;
		}
	}
	return 0;
}

static size_t
place(const struct map *index, struct str key)
{
	return str_is_set(key) ? (uintptr_t)map_get(index, key) : 0;
}

/* strip: what stays of a patch value that is taken whole: no nulls in maps, no directives, no items
 * marked for deletion. False: the value itself is marked. */
static bool
strip(struct doc *v, size_t depth)
{
	struct doc *next = NULL, *kept = NULL;
	bool list = v->type == DOC_LIST;

	if ((v->type != DOC_MAP && !list) || depth > SCHEMA_MAX_WALK)
		return true;
	if (v->type == DOC_MAP && str_eq_c(doc_get_str(v, STR("$patch")), "delete"))
		return false;
	for (struct doc *x = v->first; x; x = next) {
		bool stays = true;

		next = x->next;
		if (!list)
			stays = x->type != DOC_NULL && !str_eq_c(x->key, "$patch") &&
				!str_eq_c(x->key, "$retainKeys") &&
				!str_starts(x->key, STR(ORDER)) &&
				!str_starts(x->key, STR(DELETE_FROM));
		stays = stays && strip(x, depth + 1);
		if (stays) {
			kept = x;
			continue;
		}
		*(kept ? &kept->next : &v->first) = next;
		if (v->last == x)
			v->last = kept;
		v->n--;
	}
	return true;
}

/* ---- lists ---- */

/* A list as an array, for reordering. */
struct items {
	struct doc **v;
	size_t n;
};

static int
push(struct merge *m, struct items *list, struct doc *d)
{
	struct doc **at = ARENA_PUSH(m->a, list->v, list->n);

	if (at == NULL)
		return -ENOMEM;
	*at = d;
	return 0;
}

static void
refill(struct doc *list, const struct items *items)
{
	list->first = list->last = NULL;
	list->n = 0;
	for (size_t i = 0; i < items->n; i++)
		doc_append(list, items->v[i]);
}

/* by_place: the items in the order of `order` (those that stand in it), by counting. */
static int
by_place(struct merge *m, struct items *items, const struct map *order, size_t n_order,
	const char *merge_key)
{
	struct doc **slots = ARENA_ARRAY(m->a, struct doc *, n_order + 1);
	struct items rest = {0};
	size_t at = 0;

	if (slots == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < items->n; i++) {
		size_t p = place(order, key_of(m, items->v[i], merge_key));

		if (p && slots[p - 1] == NULL)
			slots[p - 1] = items->v[i];
		else if (push(m, &rest, items->v[i]) != 0)
			return -ENOMEM;
	}
	for (size_t i = 0; i < n_order; i++)
		if (slots[i])
			items->v[at++] = slots[i];
	for (size_t i = 0; i < rest.n; i++)
		items->v[at++] = rest.v[i];
	return 0;
}

/* enforce_order: items that `wanted` names come in its order; those only the server has keep theirs, and
 * stand before a wanted one where the server's list had them so. */
static int
enforce_order(struct merge *m, struct doc *list, const struct doc *wanted, const struct map *server,
	size_t n_server, const char *merge_key)
{
	struct items mine = {0}, theirs = {0}, out = {0};
	struct map order;
	size_t i = 0, j = 0;
	int r = index_list(m, wanted, merge_key, &order);

	if (r != 0)
		return r;
	DOC_EACH (item, list) {
		bool named = place(&order, key_of(m, item, merge_key)) != 0;

		if (push(m, named ? &mine : &theirs, item) != 0)
			r = -ENOMEM;
	}
	if (r == 0)
		r = by_place(m, &mine, &order, wanted->n, merge_key);
	if (r == 0)
		r = by_place(m, &theirs, server, n_server, merge_key);
	map_release(&order);
	while (r == 0 && (i < theirs.n || j < mine.n)) {
		size_t left = i < theirs.n ? place(server, key_of(m, theirs.v[i], merge_key)) : 0;
		size_t right = j < mine.n ? place(server, key_of(m, mine.v[j], merge_key)) : 0;
		bool take_left = i < theirs.n && (j >= mine.n || (left && right && left < right));

		r = push(m, &out, take_left ? theirs.v[i++] : mine.v[j++]);
	}
	if (r == 0)
		refill(list, &out);
	return r;
}

/* special: acts on and takes out items with $patch. *replace: the list is to be the rest of the patch. */
static int
special(struct merge *m, struct doc *orig, struct doc *patch, const char *merge_key, bool *replace)
{
	struct items rest = {0};
	struct map gone;
	int r = 0;

	*replace = false;
	map_init(&gone);
	DOC_EACH (item, patch) {
		struct str what = item->type == DOC_MAP ? doc_get_str(item, STR("$patch"))
							: STR_NONE;
		struct str key = STR_NONE;

		if (item->type != DOC_MAP)
			r = bad(m, "expected a map as item of a list that is merged by key");
		else if (!str_is_set(what))
			r = push(m, &rest, item);
		else if (str_eq_c(what, "replace"))
			*replace = true;
		else if (str_eq_c(what, "merge"))
			r = bad(m, "merging lists cannot yet be specified in the patch");
		else if (!str_eq_c(what, "delete"))
			r = bad(m, "unknown patch type: " STR_FMT, STR_ARG(what));
		else if (!str_is_set(key = key_of(m, item, merge_key)))
			r = bad(m, "delete patch type with no merge key defined");
		else
			r = map_put(&gone, key, m, NULL);
		if (r != 0) {
			map_release(&gone);
			return r;
		}
	}
	if (map_len(&gone)) {
		struct items stay = {0};

		DOC_EACH (item, orig) {
			struct str key = key_of(m, item, merge_key);

			if (!(str_is_set(key) && map_get(&gone, key)) && push(m, &stay, item) != 0)
				r = -ENOMEM;
		}
		if (r == 0)
			refill(orig, &stay);
	}
	map_release(&gone);
	if (r == 0 && rest.n != patch->n)
		refill(patch, &rest);
	return r;
}

static int
no_key(struct merge *m, const struct doc *item, const char *merge_key)
{
	struct buf b;

	buf_init_arena(&b, m->a);
	doc_write_json(&b, item);
	return bad(m, "map: " STR_FMT " does not contain declared merge key: %s",
		STR_ARG(str_sub(buf_view(&b), 0, 256)), merge_key);
}

/* merge_items: each patch item into the original item of the same key, or appended. The items of orig
 * stay in place. */
static int
merge_items(struct merge *m, const struct schema_type *t, struct doc *orig, const struct doc *patch,
	const char *merge_key, size_t depth)
{
	struct map at;
	struct doc *next = NULL;
	int r = 0;

	map_init(&at);
	DOC_EACH (item, orig) {
		struct str key = key_of(m, item, merge_key);

		if (r == 0 && str_is_set(key) && map_get(&at, key) == NULL)
			r = map_put(&at, key, item, NULL);
	}
	for (struct doc *item = patch->first; r == 0 && item; item = next) {
		struct str key = key_of(m, item, merge_key);
		struct doc *have = NULL, *copy = NULL;

		next = item->next;
		if (!str_is_set(key)) {
			r = no_key(m, item, merge_key);
			break;
		}
		have = map_get(&at, key);
		copy = doc_copy(m->a, item);
		if (copy == NULL) {
			r = -ENOMEM;
		} else if (have) {
			r = merge_map(m, t, have, copy, depth + 1);
		} else {
			strip(copy, 0);
			doc_append(orig, copy);
			r = map_put(&at, key, copy, NULL);
		}
	}
	map_release(&at);
	return r;
}

/* merge_primitives: values of the patch that are not there are appended. */
static int
merge_primitives(struct merge *m, struct doc *orig, const struct doc *patch)
{
	struct items all = {0};
	struct map seen;
	int r = 0;

	map_init(&seen);
	for (int side = 0; side < 2; side++) {
		DOC_EACH (item, side ? patch : orig) {
			struct str key = key_of(m, item, NULL);
			struct doc *copy = NULL;

			if (r != 0 || map_get(&seen, key))
				continue;
			copy = side ? doc_copy(m->a, item) : item;
			r = copy ? map_put(&seen, key, copy, NULL) : -ENOMEM;
			if (r == 0)
				r = push(m, &all, copy);
		}
	}
	map_release(&seen);
	if (r == 0)
		refill(orig, &all);
	return r;
}

static int
delete_from(struct merge *m, struct doc *orig, const struct doc *values)
{
	struct items stay = {0};
	struct map gone;
	int r = index_list(m, values, NULL, &gone);

	if (r != 0)
		return r;
	DOC_EACH (item, orig)
		if (r == 0 && !place(&gone, key_of(m, item, NULL)))
			r = push(m, &stay, item);
	map_release(&gone);
	if (r == 0)
		refill(orig, &stay);
	return r;
}

/* merge_list: patch into orig, in place; orig and patch are lists. */
static int
merge_list(struct merge *m, const struct schema_field *f, struct doc *orig, struct doc *patch,
	size_t depth)
{
	bool maps = f && f->form == SCHEMA_STRUCT;
	const char *merge_key = f && f->rules ? f->rules->merge_key : NULL;
	bool merging = f && f->rules && (f->rules->patch & SCHEMA_PATCH_MERGE), replace = false;
	struct map server;
	size_t n_server = orig->n;
	int r = 0;

	if (!merging) {
		strip(patch, 0);
		doc_replace(orig, patch);
		return 0;
	}
	if (maps && merge_key == NULL)
		return bad(m, "cannot merge lists without merge key for %s", f->type->name);
	r = index_list(m, orig, maps ? merge_key : NULL, &server);
	if (r != 0)
		return r;
	if (maps)
		r = special(m, orig, patch, merge_key, &replace);
	if (r == 0 && replace) {
		strip(patch, 0);
		doc_replace(orig, patch);
	} else if (r == 0) {
		r = maps ? merge_items(m, f->type, orig, patch, merge_key, depth)
			 : merge_primitives(m, orig, patch);
		if (r == 0)
			r = enforce_order(
				m, orig, patch, &server, n_server, maps ? merge_key : NULL);
	}
	map_release(&server);
	return r;
}

/* ---- maps ---- */

/* order_directive: $setElementOrder/f in patch: merges f and gives it the order. Both are taken out. */
static int
order_directive(struct merge *m, const struct schema_type *t, struct doc *orig, struct doc *patch,
	struct doc *directive, size_t depth)
{
	struct str name = str_sub(directive->key, sizeof(ORDER) - 1, SIZE_MAX);
	const struct schema_field *f = t ? schema_field_find(t, name) : NULL;
	const char *merge_key = f && f->rules && f->form == SCHEMA_STRUCT ? f->rules->merge_key
									  : NULL;
	struct doc *have = doc_get(orig, name), *change = doc_get(patch, name);
	struct map server;
	size_t n_server = 0;
	int r = 0;

	if (directive->type != DOC_LIST || (change && change->type != DOC_LIST) ||
		(have && have->type != DOC_LIST))
		return bad(m, "invalid patch format of setElementOrder list");
	if (f == NULL)
		return bad(m,
			"unable to find api field in struct %s for the json field \"" STR_FMT "\"",
			t ? t->name : "", STR_ARG(name));
	if (have == NULL && change == NULL)
		return 0;
	if (have == NULL) {
		have = doc_list(m->a);
		if (have == NULL)
			return -ENOMEM;
		doc_set(orig, name, have);
	}
	n_server = have->n;
	r = index_list(m, have, merge_key, &server);
	if (r != 0)
		return r;
	if (change)
		r = merge_list(m, f, have, change, depth);
	if (r == 0)
		r = enforce_order(m, have, directive, &server, n_server, merge_key);
	map_release(&server);
	if (change)
		doc_remove(patch, change);
	return r;
}

static int
retain_keys(struct merge *m, struct doc *orig, struct doc *patch, const struct doc *keys)
{
	struct members ms;
	struct map wanted;
	int r = 0;

	if (keys->type != DOC_LIST)
		return bad(m, "invalid patch format of retainKeys");
	r = index_list(m, keys, NULL, &wanted);
	if (r != 0)
		return r;
	DOC_EACH (x, patch)
		if (x != keys && x->type != DOC_NULL && x->key.n && x->key.p[0] != '$' &&
			!place(&wanted, x->key))
			r = bad(m, "invalid patch format of retainKeys");
	if (r == 0) {
		struct doc *next = NULL;

		r = members_begin(&ms, orig, orig->n);
		for (struct doc *x = orig->first; r == 0 && x; x = next) {
			next = x->next;
			if (!place(&wanted, x->key))
				members_del(&ms, x->key);
		}
		members_end(&ms);
	}
	map_release(&wanted);
	return r;
}

static int
merge_member(struct merge *m, const struct schema_type *t, struct members *orig, struct doc *v,
	size_t depth)
{
	const struct schema_field *f = t ? schema_field_find(t, v->key) : NULL;
	struct doc *have = NULL, *copy = NULL;

	if (str_starts(v->key, STR(DELETE_FROM))) {
		have = members_get(orig, str_sub(v->key, sizeof(DELETE_FROM) - 1, SIZE_MAX));
		if (v->type != DOC_LIST)
			return bad(m, "invalid patch format of primitive list");
		return have && have->type == DOC_LIST ? delete_from(m, have, v) : 0;
	}
	if (v->type == DOC_NULL) {
		members_del(orig, v->key);
		return 0;
	}
	have = members_get(orig, v->key);
	if (have && have->type == v->type && v->type == DOC_MAP &&
		!(f && f->rules && (f->rules->patch & SCHEMA_PATCH_REPLACE)))
		return merge_map(
			m, f && f->shape == SCHEMA_ONE ? f->type : NULL, have, v, depth + 1);
	if (have && have->type == v->type && v->type == DOC_LIST)
		return merge_list(m, f, have, v, depth + 1);
	copy = doc_copy(m->a, v);
	if (copy == NULL)
		return -ENOMEM;
	return strip(copy, 0) ? members_put(orig, v->key, copy) : 0;
}

/* merge_members: what stays of a patch when its directives are done. */
static int
merge_members(struct merge *m, const struct schema_type *t, struct doc *orig,
	const struct doc *patch, size_t depth)
{
	struct members ms;
	int r = members_begin(&ms, orig, patch->n);

	for (struct doc *x = patch->first; r == 0 && x; x = x->next)
		r = merge_member(m, t, &ms, x, depth);
	members_end(&ms);
	return r;
}

static int
merge_map(struct merge *m, const struct schema_type *t, struct doc *orig, struct doc *patch,
	size_t depth)
{
	struct doc *directive = doc_get(patch, STR("$patch")), *next = NULL;
	struct str what = doc_as_str(directive);
	int r = 0;

	if (depth > SCHEMA_MAX_WALK)
		return bad(m, "the patch is nested too deeply");
	if (directive && str_eq_c(what, "delete")) {
		orig->first = orig->last = NULL;
		orig->n = 0;
		return 0;
	}
	if (directive && !str_eq_c(what, "replace") && !str_eq_c(what, "merge"))
		return bad(m, "unknown patch type: " STR_FMT, STR_ARG(what));
	if (directive && str_eq_c(what, "replace")) {
		strip(patch, 0);
		doc_replace(orig, patch);
		return 0;
	}
	if (directive)
		doc_remove(patch, directive);
	directive = doc_get(patch, STR("$retainKeys"));
	if (directive) {
		r = retain_keys(m, orig, patch, directive);
		doc_remove(patch, directive);
	}
	for (struct doc *x = patch->first; r == 0 && x; x = next) {
		next = x->next;
		if (!str_starts(x->key, STR(ORDER)))
			continue;
		doc_remove(patch, x);
		r = order_directive(m, t, orig, patch, x, depth);
		next = patch->first; /* the directive's field may have been the next one */
	}
	return r == 0 ? merge_members(m, t, orig, patch, depth) : r;
}

int
schema_patch_strategic(struct arena *a, const struct schema_type *t, const struct doc *obj,
	const struct doc *patch, struct doc **ret, struct err *e)
{
	struct merge m = {a, e};
	struct doc *orig = NULL, *change = NULL;
	int r = 0;

	if (patch->type != DOC_MAP)
		return err_set(e, -EINVAL, R_BAD_REQUEST, "the patch is not a JSON object");
	orig = doc_copy(a, obj);
	change = doc_copy(a, patch);
	if (orig == NULL || change == NULL || schema_dedupe(a, change, NULL) != 0)
		return -ENOMEM;
	r = merge_map(&m, t, orig, change, 0);
	if (r != 0)
		return r;
	if (arena_failed(a))
		return -ENOMEM;
	*ret = orig;
	return 0;
}
