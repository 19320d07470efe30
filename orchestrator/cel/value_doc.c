/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * value_doc: documents as values and types of schemas: what a custom resource's node or a table of a built-in kind is
 * in expressions, and values as documents again. Source: k8s.io/apiserver pkg/cel/common (schemas.go,
 * valuesunstructured.go). */
#include "orchestrator/cel/cel_int.h"

#define MAX_LEVELS 64

/* ---- types ---- */

static struct cel_type *
simple(struct arena *a, enum cel_kind kind, uint64_t max, uint64_t min_size)
{
	struct cel_type *t = ARENA_NEW(a, struct cel_type);
	if (t)
		*t = (struct cel_type){.kind = kind, .max = max, .min_size = min_size};
	return t;
}

/* A number of the schema; `absent` when it says none. */
static uint64_t
limit(const struct doc *d, uint64_t times, uint64_t absent)
{
	if (!d)
		return absent;
	int64_t v = doc_as_int(d, 0);
	return v > 0 ? (uint64_t)v * times : 0;
}

static const struct cel_type *
string_type(struct arena *a, const struct structural *n)
{
	const struct structural_values *v = n->values;
	const struct doc *max = v ? v->max_length : NULL;
	uint64_t any = CEL_REQUEST_MAX - 2;
	if (str_eq_c(n->format_name, "byte"))
		return simple(a, CEL_BYTES, limit(max, 1, any), 2);
	if (str_eq_c(n->format_name, "duration"))
		return simple(a, CEL_DURATION, 32, 3);
	if (str_eq_c(n->format_name, "date"))
		return simple(a, CEL_TIMESTAMP, 12, 12);
	if (str_eq_c(n->format_name, "date-time"))
		return simple(a, CEL_TIMESTAMP, 32, 21);
	if (max || !v || doc_len(v->enums) == 0)
		return simple(a, CEL_STRING, limit(max, 4, any), 2);
	uint64_t longest = 0;
	DOC_EACH (e, v->enums) {
		if (e->type == DOC_STR && e->s.n > longest)
			longest = e->s.n;
	}
	return simple(a, CEL_STRING, longest, 2);
}

static const struct cel_type *structural_type(
	struct arena *a, const struct structural *n, bool root, struct str name, unsigned depth);

struct fields {
	struct cel_field *list;
	size_t n;
};

static bool
add_field(struct arena *a, struct fields *f, struct str name, const struct cel_type *t)
{
	for (size_t i = 0; i < f->n; i++)
		if (str_eq(f->list[i].name, name)) {
			f->list[i].type = t;
			return true;
		}
	struct cel_field *slot = ARENA_PUSH(a, f->list, f->n);
	if (!slot)
		return false;
	*slot = (struct cel_field){name, t};
	return true;
}

/* apiVersion, kind, metadata.name and metadata.generateName. */
static bool
add_meta(struct arena *a, struct fields *f, struct str name)
{
	const struct cel_type *text = simple(a, CEL_STRING, CEL_REQUEST_MAX - 2, 2);
	const struct cel_field meta[] = {{STR("name"), text}, {STR("generateName"), text}};
	const struct cel_type *m = text
		? cel_type_object(a, arena_fmt(a, "%.*s.metadata", STR_ARG(name)), meta, 2)
		: NULL;
	return m && add_field(a, f, STR("apiVersion"), text) &&
		add_field(a, f, STR("kind"), text) && add_field(a, f, STR("metadata"), m);
}

static bool
is_required(const struct structural *n, struct str name)
{
	DOC_EACH (r, n->values ? n->values->required : NULL) {
		if (str_eq(doc_as_str(r), name))
			return true;
	}
	return false;
}

static const struct cel_type *
object_type(struct arena *a, const struct structural *n, bool root, struct str name, unsigned depth)
{
	const struct structural_values *v = n->values;
	if (n->additional && !root) {
		const struct cel_type *item = structural_type(a, n->additional,
			n->additional->embedded, arena_fmt(a, "%.*s.@elem", STR_ARG(name)),
			depth + 1);
		if (!item)
			return NULL;
		uint64_t most = limit(v ? v->max_properties : NULL, 1,
			(CEL_REQUEST_MAX - 2) / (item->min_size + 6));
		struct cel_type *t = simple(a, CEL_MAP, most, 2);
		if (t) { /* params[0] NULL = the arena failed, which its owner asks for */
			t->n_params = 2;
			t->params[0] = simple(
				a, CEL_STRING, 0, 2); /* keys count for nothing upstream */
			t->params[1] = item;
			t->node = n;
		}
		return t;
	}
	struct fields f = {NULL, 0};
	uint64_t min_size = 2;
	for (size_t i = 0; i < n->n_props; i++) {
		const struct structural_prop *p = &n->props[i];
		struct str escaped = STR_NONE;
		struct str path = arena_fmt(a, "%.*s.%.*s", STR_ARG(name), STR_ARG(p->name));
		const struct cel_type *t = structural_type(
			a, p->node, p->node->embedded, path, depth + 1);
		if (!t)
			continue;
		if (cel_escape(a, p->name, &escaped) && !add_field(a, &f, escaped, t))
			return NULL;
		if (is_required(n, p->name) && !p->node->dflt)
			min_size += p->name.n + t->min_size + 4;
	}
	if (root && !add_meta(a, &f, name))
		return NULL;
	const struct cel_type *made = cel_type_object(a, name, f.list, f.n);
	struct cel_type *t = made ? ARENA_NEW(a, struct cel_type) : NULL;
	if (!t)
		return NULL;
	*t = *made;
	t->node = n;
	t->preserve = n->preserve;
	t->min_size = min_size;
	t->max = 0; /* as upstream's: objects have no size of their own */
	return t;
}

static const struct cel_type *
structural_type(
	struct arena *a, const struct structural *n, bool root, struct str name, unsigned depth)
{
	if (depth > MAX_LEVELS)
		return NULL;
	const struct structural_values *v = n->values;
	if (n->int_or_string)
		return simple(
			a, CEL_DYN, limit(v ? v->max_length : NULL, 4, CEL_REQUEST_MAX - 2), 1);
	if (n->types & STRUCTURAL_ARRAY) {
		const struct cel_type *item = n->items
			? structural_type(a, n->items, n->items->embedded,
				  arena_fmt(a, "%.*s.@idx", STR_ARG(name)), depth + 1)
			: NULL;
		if (!item)
			return NULL;
		uint64_t most = limit(
			v ? v->max_items : NULL, 1, (CEL_REQUEST_MAX - 2) / (item->min_size + 1));
		struct cel_type *t = simple(a, CEL_LIST, most, 2);
		if (t) {
			t->n_params = 1;
			t->params[0] = item;
			t->list = n->list;
			t->node = n;
		}
		return t;
	}
	if ((n->types & STRUCTURAL_OBJECT) || root)
		return object_type(a, n, root, name, depth);
	if (n->types & STRUCTURAL_STRING)
		return string_type(a, n);
	if (n->types & STRUCTURAL_BOOLEAN)
		return simple(a, CEL_BOOL, 0, 4);
	if (n->types & STRUCTURAL_INTEGER)
		return simple(a, CEL_INT, 0, 1);
	if (n->types & STRUCTURAL_NUMBER)
		return simple(a, CEL_DOUBLE, 0, 1);
	return NULL;
}

const struct cel_type *
cel_type_structural(struct arena *a, const struct structural *n, bool root)
{
	return structural_type(a, n, root, STR("selfType"), 0);
}

const struct cel_type *
cel_type_schema(struct arena *a, const struct schema_type *t)
{
	struct cel_type *made = simple(a, CEL_OBJECT, CEL_NO_MAX, 2);
	if (!made)
		return NULL;
	made->name = str_c(t->name);
	made->schema = t;
	return made;
}

static const struct cel_type *
form_type(struct arena *a, const struct schema_field *f)
{
	static const enum cel_kind kinds[SCHEMA_FORM__COUNT] = {
		[SCHEMA_STRING] = CEL_STRING,
		[SCHEMA_BOOL] = CEL_BOOL,
		[SCHEMA_INT32] = CEL_INT,
		[SCHEMA_INT64] = CEL_INT,
		[SCHEMA_DOUBLE] = CEL_DOUBLE,
		[SCHEMA_BYTES] = CEL_BYTES,
		[SCHEMA_QUANTITY] = CEL_STRING,
		[SCHEMA_TIME] = CEL_TIMESTAMP,
		[SCHEMA_MICROTIME] = CEL_TIMESTAMP,
		[SCHEMA_DURATION] = CEL_STRING,
	};
	if (f->form == SCHEMA_STRUCT && f->type)
		return cel_type_schema(a, f->type);
	return cel_type_basic(kinds[f->form]);
}

const struct cel_type *
cel_type_field(struct arena *a, const struct cel_type *object, struct str name)
{
	if (object->open)
		return cel_type_basic(CEL_DYN);
	if (!object->schema) {
		for (size_t i = 0; i < object->n_fields; i++)
			if (str_eq(object->fields[i].name, name))
				return object->fields[i].type;
		return NULL;
	}
	struct str plain = cel_unescape(a, name);
	for (size_t i = 0; i < object->schema->n_fields; i++) {
		const struct schema_field *f = &object->schema->fields[i];
		if (!str_eq(str_from(f->name, f->name_len), plain))
			continue;
		const struct cel_type *t = form_type(a, f);
		const struct cel_type *key = cel_type_basic(CEL_STRING);
		switch ((enum schema_shape)f->shape) {
		case SCHEMA_ONE:
			return t;
		case SCHEMA_LIST:
			return t ? cel_type_list(a, t, 0) : NULL;
		case SCHEMA_MAP:
			return cel_type_map(a, key, t, 0);
		case SCHEMA_MAP_OF_LISTS:
			return t ? cel_type_map(a, key, cel_type_list(a, t, 0), 0) : NULL;
		}
	}
	return NULL;
}

/* ---- documents as values ---- */

static struct cel_value
plain_value(const struct doc *d)
{
	struct cel_value v = {.from_doc = true, .doc = d};
	switch (d->type) {
	case DOC_NULL:
		return cel_null();
	case DOC_BOOL:
		return cel_of_bool(d->b);
	case DOC_INT:
		return cel_of_int(d->i);
	case DOC_DOUBLE:
		return cel_of_double(d->d);
	case DOC_STR:
		return cel_of_string(d->s);
	case DOC_LIST:
		v.kind = CEL_LIST;
		return v;
	case DOC_MAP:
		v.kind = CEL_MAP;
		return v;
	}
	return cel_null();
}

struct cel_value
cel_of_doc(const struct cel_type *t, const struct doc *d)
{
	struct cel_value v = {.kind = CEL_NULL};
	if (!d || d->type == DOC_NULL)
		return v;
	if (t && t->kind == CEL_OPTIONAL)
		t = t->params[0];
	if (!t || t->kind == CEL_DYN)
		return plain_value(d);
	v.type = t;
	v.doc = d;
	v.kind = t->kind;
	v.from_doc = true;
	switch (t->kind) {
	case CEL_LIST:
		return d->type == DOC_LIST ? v : plain_value(d);
	case CEL_MAP:
	case CEL_OBJECT:
		return d->type == DOC_MAP ? v : plain_value(d);
	case CEL_DOUBLE:
		return d->type == DOC_INT ? cel_of_double((double)d->i) : plain_value(d);
	case CEL_BYTES:
	case CEL_DURATION:
	case CEL_TIMESTAMP:
		return d->type == DOC_STR ? v : plain_value(d); /* for cel_settle */
	case CEL_DYN:
	case CEL_NULL:
	case CEL_BOOL:
	case CEL_INT:
	case CEL_UINT:
	case CEL_STRING:
	case CEL_TYPE:
	case CEL_OPTIONAL:
	case CEL_OPAQUE:
	case CEL_ERROR:
	case CEL__PARAM:
		break;
	}
	return plain_value(d);
}

static int
base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? memchr(digits, c, 64) : NULL;
	return at ? (int)(at - digits) : -1;
}

static bool
base64(struct arena *a, struct str s, struct str *ret)
{
	struct buf b = BUF_INIT;
	buf_init_arena(&b, a);
	uint32_t bits = 0;
	int n_bits = 0;
	while (s.n && s.p[s.n - 1] == '=')
		s.n--;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\r' || s.p[i] == '\n')
			continue;
		int digit = base64_digit(s.p[i]);
		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			buf_char(&b, (char)(bits >> n_bits));
		}
	}
	*ret = buf_view(&b);
	return !b.failed;
}

struct cel_value
cel_settle(struct cel_eval *e, struct cel_value v)
{
	struct str s = STR("");
	int64_t ns = 0;
	struct cel_value time;
	if (!v.from_doc || v.kind == CEL_LIST || v.kind == CEL_MAP || v.kind == CEL_OBJECT)
		return v;
	struct str text = doc_as_str(v.doc);
	if (v.kind == CEL_BYTES)
		return base64(e->a, text, &s)
			? cel_of_bytes(s)
			: cel_fault(e, "Invalid byte formatted string %.*s", STR_ARG(text));
	if (v.kind == CEL_DURATION)
		return cel_parse_duration(text, &ns)
			? cel_of_ns(ns)
			: cel_fault(e, "Invalid duration %.*s", STR_ARG(text));
	if (text.n == 10) /* a date */
		text = arena_fmt(e->a, "%.*sT00:00:00Z", STR_ARG(text));
	return cel_parse_time(text, &time)
		? time
		: cel_fault(e, "Invalid date-time formatted string %.*s", STR_ARG(text));
}

struct cel_value
cel_doc_value(struct cel_eval *e, const struct cel_type *t, const struct doc *d)
{
	return cel_settle(e, cel_of_doc(t, d));
}

/* ---- values as documents ---- */

static struct doc *to_doc(struct cel_eval *e, const struct cel_value *v, unsigned depth);

static void
put_base64(struct buf *b, struct str s)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < s.n; i += 3) {
		uint32_t x = (uint32_t)(uint8_t)s.p[i] << 16;
		x |= i + 1 < s.n ? (uint32_t)(uint8_t)s.p[i + 1] << 8 : 0;
		x |= i + 2 < s.n ? (uint8_t)s.p[i + 2] : 0;
		buf_char(b, digits[x >> 18]);
		buf_char(b, digits[x >> 12 & 63]);
		buf_char(b, i + 1 < s.n ? digits[x >> 6 & 63] : '=');
		buf_char(b, i + 2 < s.n ? digits[x & 63] : '=');
	}
}

static struct doc *
text_doc(struct cel_eval *e, const struct cel_value *v)
{
	struct buf b = BUF_INIT;
	buf_init_arena(&b, e->a);
	if (v->kind == CEL_BYTES)
		put_base64(&b, v->s);
	else if (v->kind == CEL_DURATION)
		cel_put_duration(&b, v->ns);
	else
		cel_put_time(&b, v);
	return doc_str(e->a, buf_view(&b));
}

static struct doc *
list_doc(struct cel_eval *e, const struct cel_value *v, unsigned depth)
{
	struct cel_value k, item;
	struct doc *list = doc_list(e->a);
	for (struct cel_iter it = {.of = v}; list && cel_next(e, &it, &k, &item);) {
		struct doc *d = to_doc(e, &item, depth + 1);
		if (!d)
			return NULL;
		doc_append(list, d);
	}
	return list;
}

static struct doc *
map_doc(struct cel_eval *e, const struct cel_value *v, unsigned depth)
{
	struct cel_value k, item;
	struct doc *map = doc_map(e->a);
	for (struct cel_iter it = {.of = v}; map && cel_next(e, &it, &k, &item);) {
		struct doc *d = to_doc(e, &item, depth + 1);
		if (!d)
			return NULL;
		doc_set(map, cel_to_text(e, &k), d);
	}
	return map;
}

static struct doc *
message_doc(struct cel_eval *e, const struct cel_value *v, unsigned depth)
{
	const struct cel_message *m = v->own;
	struct doc *map = doc_map(e->a);
	for (size_t i = 0; map && i < m->n; i++) {
		struct doc *d = to_doc(e, &m->values[i], depth + 1);
		if (!d)
			return NULL;
		doc_set(map, cel_unescape(e->a, m->names[i]), d);
	}
	return map;
}

/* NULL with e->err set = it has no form there. */
static struct doc *
to_doc(struct cel_eval *e, const struct cel_value *v, unsigned depth)
{
	if (depth > DOC_MAX_WALK) {
		e->stop = err_set(e->err, -E2BIG, R_INVALID, "value is nested too deeply");
		return NULL;
	}
	if (v->from_doc)
		return doc_copy(e->a, v->doc);
	struct cel_value of;
	switch (v->kind) {
	case CEL_NULL:
		return doc_null(e->a);
	case CEL_BOOL:
		return doc_bool(e->a, v->b);
	case CEL_INT:
		return doc_int(e->a, v->i);
	case CEL_UINT:
		return v->u <= (uint64_t)INT64_MAX ? doc_int(e->a, (int64_t)v->u)
						   : doc_double(e->a, (double)v->u);
	case CEL_DOUBLE:
		return doc_double(e->a, v->d);
	case CEL_STRING:
		return doc_str(e->a, v->s);
	case CEL_BYTES:
	case CEL_DURATION:
	case CEL_TIMESTAMP:
		return text_doc(e, v);
	case CEL_LIST:
		return list_doc(e, v, depth);
	case CEL_MAP:
		return map_doc(e, v, depth);
	case CEL_OBJECT:
		return message_doc(e, v, depth);
	case CEL_OPTIONAL:
		if (!cel_has_value(v))
			return doc_null(e->a);
		of = cel_unwrap(v);
		return to_doc(e, &of, depth + 1);
	case CEL_OPAQUE:
	case CEL_TYPE:
	case CEL_DYN:
	case CEL_ERROR:
	case CEL__PARAM:
		break;
	}
	struct str name = cel_type_runtime_name(cel_value_type(e, v));
	e->stop = err_set(e->err, -EINVAL, R_INVALID, "unsupported conversion from '%.*s' to JSON",
		STR_ARG(name));
	return NULL;
}

int
cel_to_doc(struct arena *a, const struct cel_value *v, struct doc **ret, struct err *e)
{
	struct cel_eval ev = {.a = a, .err = e};
	struct doc *d = to_doc(&ev, v, 0);
	if (!d)
		return ev.stop ? ev.stop : -ENOMEM;
	*ret = d;
	return 0;
}
