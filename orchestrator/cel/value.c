/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * value: values: made, looked into, compared. Lists and maps are either documents, read as they are needed, or arrays
 * of the folder. Source: cel-spec langdef.md (equality, ordering); cel-go common/types. */
#include "orchestrator/cel/cel_int.h"

#define SMALL_MAP 8
#define MAX_EQUAL 300 /* levels of values that are compared */

struct fault {
	struct str text;
};

struct cel_value
cel_fault(struct cel_eval *e, const char *fmt, ...)
{
	static const struct fault none = {STR_INIT("out of memory")};
	struct fault *f = ARENA_NEW(e->a, struct fault);
	if (f) {
		va_list ap;
		va_start(ap, fmt);
		f->text = arena_vfmt(e->a, fmt, ap);
		va_end(ap);
	}
	return (struct cel_value){.kind = CEL_ERROR, .own = f ? f : &none};
}

struct cel_value
cel_no_overload(struct cel_eval *e)
{
	static const struct fault f = {STR_INIT("no such overload")};
	(void)e;
	return (struct cel_value){.kind = CEL_ERROR, .own = &f};
}

struct str
cel_fault_text(const struct cel_value *v)
{
	const struct fault *f = v->kind == CEL_ERROR ? v->own : NULL;
	return f ? f->text : STR("");
}

struct cel_value
cel_null(void)
{
	return (struct cel_value){.kind = CEL_NULL};
}

struct cel_value
cel_of_bool(bool b)
{
	return (struct cel_value){.kind = CEL_BOOL, .b = b};
}

struct cel_value
cel_of_int(int64_t i)
{
	return (struct cel_value){.kind = CEL_INT, .i = i};
}

struct cel_value
cel_of_uint(uint64_t u)
{
	return (struct cel_value){.kind = CEL_UINT, .u = u};
}

struct cel_value
cel_of_double(double d)
{
	return (struct cel_value){.kind = CEL_DOUBLE, .d = d};
}

struct cel_value
cel_of_string(struct str s)
{
	return (struct cel_value){.kind = CEL_STRING, .s = s};
}

struct cel_value
cel_of_bytes(struct str s)
{
	return (struct cel_value){.kind = CEL_BYTES, .s = s};
}

struct cel_value
cel_of_ns(int64_t ns)
{
	return (struct cel_value){.kind = CEL_DURATION, .ns = ns};
}

struct cel_value
cel_of_time(int64_t sec, int32_t nsec)
{
	return (struct cel_value){.kind = CEL_TIMESTAMP, .time = {sec, nsec, 0}};
}

struct cel_value
cel_of_type(const struct cel_type *t)
{
	return (struct cel_value){.kind = CEL_TYPE, .own = t};
}

struct cel_value
cel_of_opaque(enum cel_opaque what, const void *own)
{
	return (struct cel_value){.kind = CEL_OPAQUE, .type = &cel_types_opaque[what], .own = own};
}

static struct cel_value
no_memory(struct cel_eval *e)
{
	e->stop = -ENOMEM;
	return cel_fault(e, "out of memory");
}

struct cel_value
cel_list_of(struct cel_eval *e, struct cel_value *items, size_t n)
{
	struct cel_list *l = ARENA_NEW(e->a, struct cel_list);
	if (!l || (n && !items))
		return no_memory(e);
	*l = (struct cel_list){items, n};
	return (struct cel_value){.kind = CEL_LIST, .own = l};
}

struct cel_value
cel_some(struct cel_eval *e, struct cel_value v)
{
	struct cel_value *own = ARENA_NEW(e->a, struct cel_value);
	if (!own)
		return no_memory(e);
	*own = v;
	return (struct cel_value){.kind = CEL_OPTIONAL, .own = own};
}

struct cel_value
cel_none(void)
{
	return (struct cel_value){.kind = CEL_OPTIONAL};
}

bool
cel_has_value(const struct cel_value *optional)
{
	return optional->own != NULL;
}

struct cel_value
cel_unwrap(const struct cel_value *optional)
{
	return *(const struct cel_value *)optional->own;
}

/* ---- looking into them ---- */

size_t
cel_size(const struct cel_value *v)
{
	switch (v->kind) {
	case CEL_STRING:
		return cel_runes(v->s);
	case CEL_BYTES:
		return v->s.n;
	case CEL_LIST:
		return v->from_doc ? doc_len(v->doc) : ((const struct cel_list *)v->own)->n;
	case CEL_MAP:
		return v->from_doc ? doc_len(v->doc) : ((const struct cel_map *)v->own)->n;
	case CEL_OBJECT:
		return v->from_doc ? doc_len(v->doc) : 1;
	case CEL_DYN:
	case CEL_NULL:
	case CEL_BOOL:
	case CEL_INT:
	case CEL_UINT:
	case CEL_DOUBLE:
	case CEL_DURATION:
	case CEL_TIMESTAMP:
	case CEL_TYPE:
	case CEL_OPTIONAL:
	case CEL_OPAQUE:
	case CEL_ERROR:
	case CEL__PARAM:
		break;
	}
	return 1;
}

static const struct cel_type *
param_of(const struct cel_value *v, size_t i)
{
	return v->type && v->type->n_params > i ? v->type->params[i] : cel_type_basic(CEL_DYN);
}

struct cel_value
cel_list_get(struct cel_eval *e, const struct cel_value *list, size_t i)
{
	if (list->from_doc)
		return cel_doc_value(e, param_of(list, 0), doc_index(list->doc, i));
	return ((const struct cel_list *)list->own)->items[i];
}

bool
cel_next(struct cel_eval *e, struct cel_iter *it, struct cel_value *key, struct cel_value *value)
{
	const struct cel_value *of = it->of;
	if (of->from_doc) {
		it->at = it->i++ ? it->at->next : of->doc->first;
		if (!it->at)
			return false;
		*key = of->kind == CEL_LIST ? cel_of_int((int64_t)it->i - 1)
					    : cel_of_string(it->at->key);
		*value = cel_doc_value(e, param_of(of, of->kind == CEL_MAP), it->at);
		return true;
	}
	if (of->kind == CEL_LIST) {
		const struct cel_list *l = of->own;
		if (it->i >= l->n)
			return false;
		*key = cel_of_int((int64_t)it->i);
		*value = l->items[it->i++];
		return true;
	}
	const struct cel_map *m = of->own;
	if (it->i >= m->n)
		return false;
	*key = m->keys[it->i];
	*value = m->values[it->i++];
	return true;
}

/* ---- maps ---- */

static uint64_t
mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15u;
	return x ^ x >> 29;
}

/* Numbers that are equal have one hash, whatever their kind. */
static uint64_t
hash(const struct cel_value *v)
{
	uint64_t h = 14695981039346656037u;
	switch (v->kind) {
	case CEL_BOOL:
		return mix(v->b + 1u);
	case CEL_INT:
		return mix((uint64_t)v->i);
	case CEL_UINT:
		return mix(v->u);
	case CEL_DOUBLE:
		if (v->d >= -9.2e18 && v->d < 9.2e18 && v->d == (double)(int64_t)v->d)
			return mix((uint64_t)(int64_t)v->d);
		if (v->d > 0 && v->d < 1.8e19)
			return mix((uint64_t)v->d);
		return 7;
	case CEL_STRING:
		for (size_t i = 0; i < v->s.n; i++)
			h = (h ^ (uint8_t)v->s.p[i]) * 1099511628211u;
		return mix(h);
	case CEL_DYN:
	case CEL_NULL:
	case CEL_BYTES:
	case CEL_DURATION:
	case CEL_TIMESTAMP:
	case CEL_LIST:
	case CEL_MAP:
	case CEL_OBJECT:
	case CEL_TYPE:
	case CEL_OPTIONAL:
	case CEL_OPAQUE:
	case CEL_ERROR:
	case CEL__PARAM:
		break;
	}
	return 3;
}

static bool
key_equal(const struct cel_value *x, const struct cel_value *y)
{
	if (x->kind == CEL_BOOL || y->kind == CEL_BOOL)
		return x->kind == y->kind && x->b == y->b;
	if (x->kind == CEL_NULL || y->kind == CEL_NULL)
		return x->kind == y->kind;
	return cel_compare(x, y) == 0;
}

static size_t
slot_of(const struct cel_map *m, const struct cel_value *key)
{
	size_t mask = m->n_index - 1;
	size_t i = hash(key) & mask;
	while (m->index[i] && !key_equal(&m->keys[m->index[i] - 1], key))
		i = (i + 1) & mask;
	return i;
}

const struct cel_value *
cel_map_at(const struct cel_map *m, const struct cel_value *key)
{
	if (m->index) {
		uint32_t at = m->index[slot_of(m, key)];
		return at ? &m->values[at - 1] : NULL;
	}
	for (size_t i = 0; i < m->n; i++)
		if (key_equal(&m->keys[i], key))
			return &m->values[i];
	return NULL;
}

static void
reindex(struct cel_eval *e, struct cel_map *m)
{
	size_t want = 64;
	while (want < m->n * 4)
		want *= 2;
	m->index = ARENA_ARRAY(e->a, uint32_t, want);
	if (!m->index) {
		e->stop = -ENOMEM;
		return;
	}
	m->n_index = want;
	for (size_t i = 0; i < m->n; i++)
		m->index[slot_of(m, &m->keys[i])] = (uint32_t)i + 1;
}

void
cel_map_put(struct cel_eval *e, struct cel_map *m, struct cel_value key, struct cel_value value)
{
	const struct cel_value *there = cel_map_at(m, &key);
	if (there) {
		m->values[there - m->values] = value;
		return;
	}
	size_t n = m->n;
	struct cel_value *k = ARENA_PUSH(e->a, m->keys, n);
	n = m->n;
	struct cel_value *v = k ? ARENA_PUSH(e->a, m->values, n) : NULL;
	if (!v) {
		e->stop = -ENOMEM;
		return;
	}
	*k = key;
	*v = value;
	m->n = n;
	if (m->n > SMALL_MAP && (!m->index || m->n * 2 > m->n_index))
		reindex(e, m);
	else if (m->index)
		m->index[slot_of(m, &key)] = (uint32_t)m->n;
}

int
cel_map_find(struct cel_eval *e, const struct cel_value *map, const struct cel_value *key,
	struct cel_value *ret)
{
	if (map->from_doc) {
		if (key->kind != CEL_STRING) {
			*ret = cel_fault(e, "no such overload");
			return map->type && map->type->kind == CEL_MAP &&
					map->type->params[0]->kind == CEL_STRING
				? -1
				: 0;
		}
		const struct doc *d = doc_get(map->doc, key->s);
		if (d)
			*ret = cel_doc_value(e, param_of(map, 1), d);
		return d != NULL;
	}
	const struct cel_value *v = cel_map_at(map->own, key);
	if (v)
		*ret = *v;
	return v != NULL;
}

int
cel_field_find(
	struct cel_eval *e, const struct cel_value *object, struct str name, struct cel_value *ret)
{
	const struct cel_type *t = object->type;
	if (object->from_doc) {
		struct str plain = t && t->node ? cel_unescape(e->a, name) : name;
		const struct doc *d = doc_get(object->doc, plain);
		const struct cel_type *f = d && t ? cel_type_field(e->a, t, name) : NULL;
		if (!d || (t && !f))
			return 0;
		*ret = cel_doc_value(e, f ? f : cel_type_basic(CEL_DYN), d);
		return 1;
	}
	const struct cel_message *m = object->own;
	for (size_t i = 0; i < m->n; i++)
		if (str_eq(m->names[i], name)) {
			*ret = m->values[i];
			return 1;
		}
	return 0;
}

/* ---- comparing ---- */

static int
order(int64_t x, int64_t y)
{
	return (x > y) - (x < y);
}

static int
order_double(double x, double y)
{
	if (x != x || y != y)
		return CEL_UNORDERED;
	return (x > y) - (x < y);
}

/* Exact, as cel-go has it: the whole number is compared, then the fraction. */
static int
order_int_double(int64_t i, double d)
{
	if (d != d)
		return CEL_UNORDERED;
	if (d < -9223372036854775808.0)
		return 1;
	if (d >= 9223372036854775808.0)
		return -1;
	return order_double((double)i, d);
}

static int
order_uint_double(uint64_t u, double d)
{
	if (d != d)
		return CEL_UNORDERED;
	if (d < 0)
		return 1;
	if (d >= 18446744073709551616.0)
		return -1;
	return order_double((double)u, d);
}

static int
order_int_uint(int64_t i, uint64_t u)
{
	if (i < 0 || u > (uint64_t)INT64_MAX)
		return -1;
	return order(i, (int64_t)u);
}

static int
flip(int c)
{
	return c == CEL_UNORDERED ? c : -c;
}

static int
order_numbers(const struct cel_value *x, const struct cel_value *y)
{
	if (x->kind == CEL_INT)
		return y->kind == CEL_INT     ? order(x->i, y->i)
			: y->kind == CEL_UINT ? order_int_uint(x->i, y->u)
					      : order_int_double(x->i, y->d);
	if (x->kind == CEL_UINT)
		return y->kind == CEL_UINT   ? (x->u > y->u) - (x->u < y->u)
			: y->kind == CEL_INT ? flip(order_int_uint(y->i, x->u))
					     : order_uint_double(x->u, y->d);
	return y->kind == CEL_DOUBLE ? order_double(x->d, y->d)
		: y->kind == CEL_INT ? flip(order_int_double(y->i, x->d))
				     : flip(order_uint_double(y->u, x->d));
}

static bool
is_number(const struct cel_value *v)
{
	return v->kind == CEL_INT || v->kind == CEL_UINT || v->kind == CEL_DOUBLE;
}

int
cel_compare(const struct cel_value *x, const struct cel_value *y)
{
	if (is_number(x) && is_number(y))
		return order_numbers(x, y);
	if (x->kind != y->kind)
		return CEL_UNORDERED;
	if (x->kind == CEL_STRING || x->kind == CEL_BYTES) {
		int c = str_cmp(x->s, y->s);
		return (c > 0) - (c < 0);
	}
	if (x->kind == CEL_BOOL)
		return (int)x->b - (int)y->b;
	if (x->kind == CEL_DURATION)
		return order(x->ns, y->ns);
	if (x->kind == CEL_TIMESTAMP)
		return x->time.sec != y->time.sec ? order(x->time.sec, y->time.sec)
						  : order(x->time.nsec, y->time.nsec);
	return CEL_UNORDERED;
}

static bool equal(
	struct cel_eval *e, const struct cel_value *x, const struct cel_value *y, unsigned depth);

/* Sets are equal whatever the order; maps as lists by their keys. */
static bool
contains_each(
	struct cel_eval *e, const struct cel_value *x, const struct cel_value *y, unsigned depth)
{
	struct cel_value k, v, k2, v2;
	for (struct cel_iter i = {.of = x}; cel_next(e, &i, &k, &v);) {
		bool found = false;
		for (struct cel_iter j = {.of = y}; !found && cel_next(e, &j, &k2, &v2);)
			found = equal(e, &v, &v2, depth + 1);
		if (!found)
			return false;
	}
	return true;
}

static bool
is_unordered(const struct cel_value *v)
{
	return v->from_doc && v->type &&
		(v->type->list == STRUCTURAL_LIST_SET || v->type->list == STRUCTURAL_LIST_MAP);
}

static bool
equal_lists(
	struct cel_eval *e, const struct cel_value *x, const struct cel_value *y, unsigned depth)
{
	if (cel_size(x) != cel_size(y))
		return false;
	if (is_unordered(x))
		return contains_each(e, x, y, depth);
	struct cel_value k, v, k2, v2;
	struct cel_iter i = {.of = x}, j = {.of = y};
	while (cel_next(e, &i, &k, &v) && cel_next(e, &j, &k2, &v2))
		if (!equal(e, &v, &v2, depth + 1))
			return false;
	return true;
}

static bool
equal_maps(struct cel_eval *e, const struct cel_value *x, const struct cel_value *y, unsigned depth)
{
	struct cel_value k, v, other;
	if (cel_size(x) != cel_size(y))
		return false;
	for (struct cel_iter i = {.of = x}; cel_next(e, &i, &k, &v);)
		if (cel_map_find(e, y, &k, &other) <= 0 || !equal(e, &v, &other, depth + 1))
			return false;
	return true;
}

static bool
equal_objects(
	struct cel_eval *e, const struct cel_value *x, const struct cel_value *y, unsigned depth)
{
	if (x->from_doc && y->from_doc) {
		if (doc_len(x->doc) != doc_len(y->doc))
			return false;
		DOC_EACH (m, x->doc) {
			struct str name = m->key;
			struct cel_value v, other;
			if (x->type && x->type->node && !cel_escape(e->a, m->key, &name))
				continue;
			if (!cel_field_find(e, x, name, &v)) {
				if (!doc_get(y->doc, m->key))
					return false;
			} else if (!cel_field_find(e, y, name, &other) ||
				!equal(e, &v, &other, depth + 1)) {
				return false;
			}
		}
		return true;
	}
	if (x->from_doc || y->from_doc)
		return false;
	const struct cel_message *m = x->own, *o = y->own;
	struct cel_value other;
	if (m->type != o->type || m->n != o->n)
		return false;
	for (size_t i = 0; i < m->n; i++)
		if (!cel_field_find(e, y, m->names[i], &other) ||
			!equal(e, &m->values[i], &other, depth + 1))
			return false;
	return true;
}

static bool
equal(struct cel_eval *e, const struct cel_value *x, const struct cel_value *y, unsigned depth)
{
	if (depth > MAX_EQUAL)
		return false;
	if (is_number(x) && is_number(y))
		return order_numbers(x, y) == 0;
	if (x->kind != y->kind)
		return false;
	switch (x->kind) {
	case CEL_NULL:
		return true;
	case CEL_LIST:
		return equal_lists(e, x, y, depth);
	case CEL_MAP:
		return equal_maps(e, x, y, depth);
	case CEL_OBJECT:
		return equal_objects(e, x, y, depth);
	case CEL_TYPE:
		return str_eq(cel_type_runtime_name(x->own), cel_type_runtime_name(y->own));
	case CEL_OPTIONAL: {
		if (!x->own || !y->own)
			return x->own == y->own;
		struct cel_value v = cel_unwrap(x), w = cel_unwrap(y);
		return equal(e, &v, &w, depth + 1);
	}
	case CEL_OPAQUE:
		return x->type == y->type && cel_opaque_equal(x, y);
	case CEL_DYN:
	case CEL_BOOL:
	case CEL_INT:
	case CEL_UINT:
	case CEL_DOUBLE:
	case CEL_STRING:
	case CEL_BYTES:
	case CEL_DURATION:
	case CEL_TIMESTAMP:
	case CEL_ERROR:
	case CEL__PARAM:
		break;
	}
	return cel_compare(x, y) == 0;
}

bool
cel_equal(struct cel_eval *e, const struct cel_value *x, const struct cel_value *y)
{
	return equal(e, x, y, 0);
}

/* ---- types at run time ---- */

const struct cel_type *
cel_value_type(struct cel_eval *e, const struct cel_value *v)
{
	(void)e;
	if (v->kind == CEL_OPAQUE || (v->kind == CEL_OBJECT && v->type))
		return v->type;
	if (v->kind == CEL_LIST)
		return cel_type_named(STR("list"));
	if (v->kind == CEL_MAP || v->kind == CEL_OBJECT)
		return cel_type_named(STR("map"));
	if (v->kind == CEL_OPTIONAL)
		return cel_type_named(STR("optional_type"));
	return cel_type_basic(v->kind);
}

bool
cel_value_fits(const struct cel_value *v, const struct cel_type *t)
{
	if (t->kind == CEL_DYN || t->kind == CEL__PARAM)
		return true;
	if (v->kind != t->kind)
		return v->kind == CEL_OBJECT && t->kind == CEL_MAP && !v->type;
	if (t->kind == CEL_OPAQUE)
		return v->type == t || (v->type && v->type->number == t->number);
	if (t->kind == CEL_LIST && !v->from_doc) { /* as cel-go: the first item says */
		const struct cel_list *l = v->own;
		return l->n == 0 || cel_value_fits(&l->items[0], t->params[0]);
	}
	if (t->kind == CEL_OPTIONAL && v->own) {
		struct cel_value of = cel_unwrap(v);
		return cel_value_fits(&of, t->params[0]);
	}
	return true;
}

bool
cel_call_fits(const struct cel_fn *fn, const struct cel_value *args, size_t n)
{
	if (fn->n_args != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!cel_value_fits(&args[i], fn->args[i]))
			return false;
	return true;
}

/* ---- list + list ---- */

static bool
has_item(struct cel_eval *e, const struct cel_value *list, const struct cel_value *item)
{
	struct cel_value k, v;
	for (struct cel_iter i = {.of = list}; cel_next(e, &i, &k, &v);)
		if (cel_equal(e, &v, item))
			return true;
	return false;
}

/* The position in items of the object with the same keys; n = none. */
static size_t
same_keys(const struct cel_value *list, const struct cel_value *items, size_t n,
	const struct cel_value *v)
{
	const struct structural *node = list->type->node;
	for (size_t i = 0; i < n && v->from_doc; i++) {
		bool same = items[i].from_doc;
		DOC_EACH (key, node ? node->map_keys : NULL) {
			same = same &&
				doc_equal(doc_get(items[i].doc, key->s), doc_get(v->doc, key->s));
		}
		if (same)
			return i;
	}
	return n;
}

struct cel_value
cel_list_add(struct cel_eval *e, const struct cel_value *x, const struct cel_value *y)
{
	size_t n = 0, most = cel_size(x) + cel_size(y);
	struct cel_value *items = ARENA_ARRAY(e->a, struct cel_value, most), k, v;
	if (!items)
		return no_memory(e);
	for (struct cel_iter i = {.of = x}; cel_next(e, &i, &k, &v);)
		items[n++] = v;
	bool set = is_unordered(x) && x->type->list == STRUCTURAL_LIST_SET;
	bool keyed = is_unordered(x) && !set;
	size_t first = n;
	for (struct cel_iter i = {.of = y}; cel_next(e, &i, &k, &v);) {
		size_t at = keyed ? same_keys(x, items, first, &v) : n;
		if (keyed && at < first)
			items[at] = v;
		else if (!set || !has_item(e, x, &v))
			items[n++] = v;
	}
	return cel_list_of(e, items, n);
}
