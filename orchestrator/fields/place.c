/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * place: what the schema says of a value as far as ownership goes: is it a leaf, a struct whose members are
 * owned one by one, a list whose items are known by keys? And the members and items in the order of
 * their steps, so that two values can be gone through side by side. Values of custom resources are what their
 * definition's schema says: nodes instead of fields.
 * Source: kube-openapi schemaconv (what list types, merge keys and map types mean); apiextensions-apiserver
 * controller/openapi/builder (what a definition's schema becomes for it). */
#include "orchestrator/fields/fields_int.h"

#include <stdlib.h>

/* ---- what a place is ------------------------------------------------------------------------------- */

/* The field may say otherwise than its type. */
static bool
struct_atomic(const struct schema_field *f)
{
	const struct schema_rules *r = f->shape == SCHEMA_ONE ? f->rules : NULL;
	return (f->type->map_atomic && !(r && r->map_granular)) || (r && r->map_atomic);
}

static struct place
place_one(const struct schema_field *f)
{
	switch ((enum schema_form)f->form) {
	case SCHEMA_STRING:
	case SCHEMA_BOOL:
	case SCHEMA_INT32:
	case SCHEMA_INT64:
	case SCHEMA_DOUBLE:
	case SCHEMA_BYTES:
	case SCHEMA_QUANTITY:
	case SCHEMA_TIME:
	case SCHEMA_MICROTIME:
	case SCHEMA_DURATION:
	case SCHEMA_INTSTR:
		return (struct place){.kind = PLACE_SCALAR, .f = f};
	case SCHEMA_ANY:
		return (struct place){.kind = PLACE_DEDUCED};
	case SCHEMA_STRUCT:
		return (struct place){
			.kind = PLACE_STRUCT, .t = f->type, .atomic = struct_atomic(f)};
	case SCHEMA_OBJECT:
	case SCHEMA_OR_BOOL:
	case SCHEMA_OR_LIST:
	case SCHEMA_OR_STRINGS:
	case SCHEMA_FORM__COUNT:
		break;
	}
	return (struct place){.kind = PLACE_LEAF};
}

/* The keys of a list's items: by its type, or else by its merge key. Empty: a set. NULL: owned as a whole. */
static const char *const *
list_keys(const struct schema_field *f, const char *one[2])
{
	static const char *const none[] = {NULL};
	const struct schema_rules *r = f->rules;
	if (!r || r->list == SCHEMA_LIST_ATOMIC)
		return NULL;
	if (r->list == SCHEMA_LIST_MAP)
		return r->list_keys;
	if (r->list == SCHEMA_LIST_SET)
		return none;
	if (!(r->patch & SCHEMA_PATCH_MERGE))
		return NULL;
	one[0] = r->merge_key;
	one[1] = NULL;
	return one;
}

/* ---- custom resources ------------------------------------------------------------------------------ */

#define SCALAR(f)                                                                                  \
	{                                                                                          \
		.form = (f), .shape = SCHEMA_ONE                                                   \
	}
static const struct schema_field node_string = SCALAR(SCHEMA_STRING);
static const struct schema_field node_int = SCALAR(SCHEMA_INT64);
static const struct schema_field node_number = SCALAR(SCHEMA_DOUBLE);
static const struct schema_field node_bool = SCALAR(SCHEMA_BOOL);

static struct place
place_scalar(const struct schema_field *f)
{
	return (struct place){.kind = PLACE_SCALAR, .f = f};
}

static struct place
place_of_node(const struct structural *n, bool loose)
{
	if (!n)
		return (struct place){.kind = PLACE_LEAF};
	loose |= n->preserve;
	switch (n->types) {
	case STRUCTURAL_STRING:
		return place_scalar(&node_string);
	case STRUCTURAL_INTEGER:
		return place_scalar(&node_int);
	case STRUCTURAL_NUMBER:
		return place_scalar(&node_number);
	case STRUCTURAL_BOOLEAN:
		return place_scalar(&node_bool);
	case STRUCTURAL_ARRAY:
		return (struct place){.kind = PLACE_LIST,
			.n = n,
			.loose = loose,
			.atomic = n->list == STRUCTURAL_LIST_ATOMIC};
	case STRUCTURAL_OBJECT:
		return (struct place){.kind = PLACE_NODE,
			.n = n,
			.loose = loose,
			.atomic = str_eq(doc_get_str(n->source, STR("x-kubernetes-map-type")),
				STR("atomic"))};
	}
	if (n->n_props)
		return (struct place){.kind = PLACE_NODE, .n = n, .loose = loose};
	return (struct place){.kind = n->int_or_string ? PLACE_LEAF : PLACE_DEDUCED};
}

/* What any object of a kind has, embedded ones too. */
static bool
node_head(struct str name, struct place *ret)
{
	const struct schema_type *t = NULL;
	if (str_eq(name, STR("kind")) || str_eq(name, STR("apiVersion"))) {
		*ret = place_scalar(&node_string);
		return true;
	}
	if (!str_eq(name, STR("metadata")))
		return false;
	t = schema_type_find(schema_builtin(), STR(""), STR("v1"), STR("ConfigMap"));
	*ret = place_of_field(schema_field_find(t, STR("metadata")));
	return true;
}

static struct place
node_member(const struct place *p, struct str name)
{
	const struct structural *n = p->n, *prop = NULL;
	struct place head;
	if (n->embedded && node_head(name, &head))
		return head;
	prop = structural_prop_find(n, name);
	if (prop)
		return place_of_node(prop, p->loose);
	if (n->additional)
		return place_of_node(n->additional, p->loose);
	if (n->any_additional || (!n->closed && (p->loose || (!n->n_props && !n->embedded))))
		return (struct place){.kind = PLACE_DEDUCED};
	return (struct place){.kind = PLACE_NONE};
}

/* The members of the object itself: metadata is the type's own field. */
static struct place
root_member(const struct schema_type *t, struct str name)
{
	struct place root = {.kind = PLACE_NODE,
			     .n = t->structural,
			     .loose = t->structural->preserve},
		     head;
	return node_head(name, &head) ? head : node_member(&root, name);
}

static bool
node_known(const struct structural *n, struct str name, bool root)
{
	struct place head;
	return ((root || n->embedded) && node_head(name, &head)) || structural_prop_find(n, name);
}

/* ---- what a place is, by its type ------------------------------------------------------------------ */

struct place
place_of_type(const struct schema_type *t)
{
	return (struct place){.kind = PLACE_STRUCT, .t = t, .atomic = t->map_atomic};
}

struct place
place_of_field(const struct schema_field *f)
{
	const char *one[2];
	switch ((enum schema_shape)f->shape) {
	case SCHEMA_ONE:
		break;
	case SCHEMA_LIST:
		return (struct place){.kind = PLACE_LIST, .f = f, .atomic = !list_keys(f, one)};
	case SCHEMA_MAP:
	case SCHEMA_MAP_OF_LISTS:
		return (struct place){
			.kind = PLACE_MAP, .f = f, .atomic = f->rules && f->rules->map_atomic};
	}
	return place_one(f);
}

struct place
place_item(const struct place *p)
{
	if (p->kind == PLACE_DEDUCED)
		return (struct place){.kind = PLACE_LEAF};
	if (p->kind != PLACE_LIST)
		return (struct place){.kind = PLACE_NONE};
	return p->n ? place_of_node(p->n->items, p->loose) : place_one(p->f);
}

struct place
place_member(const struct place *p, struct str name)
{
	const struct schema_field *f = NULL;
	switch (p->kind) {
	case PLACE_STRUCT:
		f = schema_field_find(p->t, name);
		if (f)
			return place_of_field(f);
		if (p->t->structural)
			return root_member(p->t, name);
		return (struct place){.kind = p->t->preserve_unknown ? PLACE_DEDUCED : PLACE_NONE};
	case PLACE_NODE:
		return node_member(p, name);
	case PLACE_MAP:
		if (p->f->shape == SCHEMA_MAP_OF_LISTS)
			return (struct place){
				.kind = PLACE_LIST, .f = p->f, .atomic = true, .inner = true};
		return place_one(p->f);
	case PLACE_DEDUCED:
		return (struct place){.kind = PLACE_DEDUCED};
	case PLACE_SCALAR:
	case PLACE_LEAF:
	case PLACE_LIST:
	case PLACE_NONE:
		break;
	}
	return (struct place){.kind = PLACE_NONE};
}

bool
place_known(const struct place *p, struct str name)
{
	if (p->kind == PLACE_NODE)
		return node_known(p->n, name, false);
	if (p->kind != PLACE_STRUCT)
		return false;
	return schema_field_find(p->t, name) ||
		(p->t->structural && node_known(p->t->structural, name, true));
}

bool
place_whole(const struct place *p, const struct doc *d)
{
	switch (p->kind) {
	case PLACE_STRUCT:
	case PLACE_MAP:
	case PLACE_NODE:
		return p->atomic || (d && d->type != DOC_MAP && d->type != DOC_NULL);
	case PLACE_LIST:
		return p->atomic || (d && d->type != DOC_LIST && d->type != DOC_NULL);
	case PLACE_DEDUCED:
		return d && d->type != DOC_MAP;
	case PLACE_SCALAR:
	case PLACE_LEAF:
	case PLACE_NONE:
		break;
	}
	return true;
}

/* ---- steps to items -------------------------------------------------------------------------------- */

static int
fault(struct str *why, struct str text)
{
	if (why)
		*why = text;
	return -EINVAL;
}

static int
elem_of_set(const struct doc *item, struct field_elem *ret, struct str *why)
{
	if (item->type == DOC_MAP)
		return fault(
			why, STR("associative list without keys has an element that's a map type"));
	if (item->type == DOC_LIST)
		return fault(why, STR("not supported: associative list with lists as elements"));
	if (item->type == DOC_NULL)
		return fault(why,
			STR("associative list without keys has an element that's an explicit null"));
	*ret = (struct field_elem){.kind = FIELD_VALUE, .value = item};
	return 0;
}

/* The keys of a list's items, of a field or of a node. */
struct keys {
	const char *const *v; /* of a field */
	const char *one[2];
	const struct doc *list; /* of a node */
	size_t n;
	bool none; /* owned as a whole */
};

static struct keys
keys_of(const struct place *p)
{
	struct keys k = {0};
	if (p->n) {
		k.none = p->n->list == STRUCTURAL_LIST_ATOMIC;
		k.list = p->n->list == STRUCTURAL_LIST_MAP ? p->n->map_keys : NULL;
		k.n = k.list ? doc_len(k.list) : 0;
		return k;
	}
	const char *const *v = list_keys(p->f, k.one);
	k.none = !v;
	while (v && v[k.n])
		k.n++;
	k.v = v == k.one ? NULL : v; /* the struct moves */
	return k;
}

static struct str
key_at(const struct keys *k, size_t i)
{
	if (k->list)
		return doc_as_str(doc_index(k->list, i));
	return str_c(k->v ? k->v[i] : k->one[i]);
}

/* The value of a key that the item leaves out. */
static const struct doc *
key_default(struct arena *a, const struct place *p, struct str key)
{
	if (p->n) {
		const struct structural *n = p->n->items ? structural_prop_find(p->n->items, key)
							 : NULL;
		return n ? n->dflt : NULL;
	}
	const struct schema_type *t = p->f->type;
	const struct schema_field *f = t ? schema_field_find(t, key) : NULL;
	struct doc *d = NULL;
	if (f && f->rules && f->rules->dflt &&
		doc_parse_json(a, str_c(f->rules->dflt), NULL, &d, NULL) < 0)
		d = NULL;
	return d;
}

static int
no_keys(struct arena *a, const struct keys *k, struct str *why)
{
	struct buf b;
	buf_init_arena(&b, a);
	buf_cstr(&b, "associative list with keys has an element that omits all key fields [");
	for (size_t i = 0; i < k->n; i++)
		buf_fmt(&b, "%s\"" STR_FMT "\"", i ? " " : "", STR_ARG(key_at(k, i)));
	buf_cstr(&b, "] (and doesn't have default values for any key fields)");
	return fault(why, buf_view(&b));
}

int
place_elem(struct arena *a, const struct place *p, const struct doc *item, struct field_elem *ret,
	struct str *why)
{
	struct keys keys = keys_of(p);
	size_t have = 0;
	if (keys.none)
		return fault(why, STR("invalid indexing of non-associative list"));
	if (!keys.n)
		return elem_of_set(item, ret, why);
	if (item->type == DOC_NULL)
		return fault(why, STR("associative list with keys may not have a null element"));
	if (item->type != DOC_MAP)
		return fault(why, STR("associative list with keys may not have non-map elements"));
	struct field_key *v = ARENA_ARRAY(a, struct field_key, keys.n);
	for (size_t i = 0; v && i < keys.n; i++) {
		struct str key = key_at(&keys, i);
		const struct doc *d = doc_get(item, key);
		if (!d)
			d = key_default(a, p, key);
		if (!d)
			continue;
		size_t at = have++;
		for (; at > 0 && str_cmp(key, v[at - 1].name) < 0; at--)
			v[at] = v[at - 1];
		v[at] = (struct field_key){key, d};
	}
	if (v && have == 0)
		return no_keys(a, &keys, why);
	*ret = (struct field_elem){.kind = FIELD_KEY, .n_keys = (uint32_t)have, .keys = v};
	return v ? 0 : -ENOMEM;
}

/* ---- members --------------------------------------------------------------------------------------- */

/* rank_of: place among the type's fields; what it lacks comes behind. */
static size_t
rank_of(const struct place *p, struct str key, size_t hint)
{
	if (p->kind != PLACE_STRUCT)
		return 0;
	for (size_t i = hint; i < p->t->n_fields && i < hint + 8; i++)
		if (str_eq(schema_field_name(&p->t->fields[i]), key))
			return i;
	const struct schema_field *f = schema_field_find(p->t, key);
	return f ? (size_t)(f - p->t->fields) : p->t->n_fields;
}

struct ranked {
	const struct doc *d;
	size_t rank, i;
};

static int
ranked_cmp(const void *x, const void *y)
{
	const struct ranked *p = x, *q = y;
	if (p->rank != q->rank)
		return p->rank < q->rank ? -1 : 1;
	int c = str_cmp(p->d->key, q->d->key);
	return c ? c : p->i < q->i ? -1 : 1;
}

/* members_sort: all of them by an index; of several of one name the last counts. */
static bool
members_sort(struct arena *a, const struct place *p, const struct doc *d, struct members *ret)
{
	struct ranked *v = ARENA_ARRAY(a, struct ranked, d->n);
	ret->v = ARENA_ARRAY(a, const struct doc *, d->n);
	if (!v || !ret->v)
		return false;
	size_t n = 0;
	DOC_EACH (m, d) {
		v[n] = (struct ranked){m, rank_of(p, m->key, 0), n};
		n++;
	}
	qsort(v, n, sizeof(*v), ranked_cmp);
	for (size_t i = 0; i < n; i++)
		if (i + 1 == n || !str_eq(v[i].d->key, v[i + 1].d->key))
			ret->v[ret->n++] = v[i].d;
	return true;
}

bool
members_of(struct arena *a, const struct place *p, const struct doc *d, struct members *ret)
{
	*ret = (struct members){0};
	if (!d || d->type != DOC_MAP || !d->first)
		return true;
	size_t before = 0;
	bool sorted = !d->dups;
	const struct doc *last = NULL;
	for (const struct doc *m = d->first; m && sorted; m = m->next) {
		size_t rank = rank_of(p, m->key, before);
		sorted = !last || rank > before ||
			(rank == before && str_cmp(last->key, m->key) < 0);
		ret->rank = last ? ret->rank : rank;
		before = rank;
		last = m;
	}
	if (sorted) {
		ret->d = d->first;
		return true;
	}
	if (!members_sort(a, p, d, ret))
		return false;
	ret->rank = rank_of(p, ret->v[0]->key, 0);
	return true;
}

const struct doc *
members_at(const struct members *m)
{
	return m->v ? (m->i < m->n ? m->v[m->i] : NULL) : m->d;
}

void
members_next(const struct place *p, struct members *m)
{
	if (m->v)
		m->i++;
	else
		m->d = m->d->next;
	const struct doc *d = members_at(m);
	m->rank = d ? rank_of(p, d->key, m->rank) : 0;
}

int
members_cmp(const struct members *x, const struct members *y)
{
	const struct doc *p = members_at(x), *q = members_at(y);
	if (!p || !q)
		return p ? -1 : q ? 1 : 0;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return str_cmp(p->key, q->key);
}

/* ---- items ----------------------------------------------------------------------------------------- */

static int
item_cmp(const void *x, const void *y)
{
	const struct item *p = x, *q = y;
	int c = field_elem_cmp(&p->at, &q->at);
	return c ? c : p->i < q->i ? -1 : p->i > q->i;
}

const struct field_elem item_without_step = {.kind = FIELD_INDEX, .index = -1};

/* any: an item without a step is no error. */
static int
items_read(struct arena *a, const struct place *p, const struct doc *list, bool any,
	struct items *ret, struct str *why, size_t *ret_bad)
{
	bool sorted = true;
	*ret = (struct items){0};
	if (!list || list->type != DOC_LIST || list->n == 0)
		return 0;
	ret->v = ARENA_ARRAY(a, struct item, list->n);
	if (!ret->v)
		return -ENOMEM;
	DOC_EACH (d, list) {
		struct item *it = &ret->v[ret->n];
		int rc = place_elem(a, p, d, &it->at, why);
		if (rc == -EINVAL && any) {
			it->at = item_without_step;
			rc = 0;
		}
		if (rc < 0 && ret_bad)
			*ret_bad = ret->n;
		if (rc < 0)
			return rc;
		it->d = d;
		it->i = ret->n++;
		sorted = sorted && (it->i == 0 || field_elem_cmp(&it[-1].at, &it->at) <= 0);
	}
	if (!sorted)
		qsort(ret->v, ret->n, sizeof(*ret->v), item_cmp);
	return 0;
}

int
items_of(struct arena *a, const struct place *p, const struct doc *list, struct items *ret,
	struct str *why, size_t *ret_bad)
{
	return items_read(a, p, list, false, ret, why, ret_bad);
}

int
items_of_any(struct arena *a, const struct place *p, const struct doc *list, struct items *ret)
{
	return items_read(a, p, list, true, ret, NULL, NULL);
}

size_t
items_same(const struct items *v, size_t i)
{
	size_t n = 1;
	while (i + n < v->n && field_elem_cmp(&v->v[i].at, &v->v[i + n].at) == 0)
		n++;
	return n;
}

size_t
items_find(const struct items *v, const struct field_elem *at)
{
	size_t from = 0, to = v->n;
	while (from < to) {
		size_t mid = (from + to) / 2;
		if (field_elem_cmp(&v->v[mid].at, at) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from < v->n && field_elem_cmp(&v->v[from].at, at) == 0 ? from : v->n;
}
