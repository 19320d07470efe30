/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * structs: documents <-> the C structs the compiler made, by the offsets in the tables. A projection is
 * a type with fewer fields: the same walk fills it.
 *
 * Invariants: a struct is zeroed before it is filled; absent strings are {NULL, 0}; every pointer it
 * holds is in the arena or in the text the document came from. */
#include "base/clock.h"
#include "base/hash.h"
#include "orchestrator/schema/schema_int.h"

/* Sizes of one value as a list element; 0 = by type. */
static const uint8_t sizes[SCHEMA_FORM__COUNT] = {
	[SCHEMA_STRING] = sizeof(struct str),
	[SCHEMA_BOOL] = sizeof(bool),
	[SCHEMA_INT32] = sizeof(int32_t),
	[SCHEMA_INT64] = sizeof(int64_t),
	[SCHEMA_DOUBLE] = sizeof(double),
	[SCHEMA_BYTES] = sizeof(struct str),
	[SCHEMA_QUANTITY] = sizeof(struct str),
	[SCHEMA_TIME] = sizeof(int64_t),
	[SCHEMA_MICROTIME] = sizeof(int64_t),
	[SCHEMA_DURATION] = sizeof(int64_t),
	[SCHEMA_INTSTR] = sizeof(struct int_or_str),
	[SCHEMA_ANY] = sizeof(struct doc *),
	[SCHEMA_OBJECT] = sizeof(struct doc *),
	[SCHEMA_OR_BOOL] = sizeof(struct doc *),
	[SCHEMA_OR_LIST] = sizeof(struct doc *),
	[SCHEMA_OR_STRINGS] = sizeof(struct doc *),
};

static size_t
value_size(const struct schema_field *f)
{
	return f->form == SCHEMA_STRUCT ? f->type->size : sizes[f->form];
}

/* pair_size: {struct str key; value} with the value at offset 16. */
static size_t
pair_size(const struct schema_field *f)
{
	return sizeof(struct str) + ((value_size(f) + 7) & ~(size_t)7);
}

static bool
has_flag(const struct schema_field *f)
{
	return f->shape == SCHEMA_ONE && f->aux != 0;
}

/* Into what, and whether strings are copied there too. */
struct fill {
	struct arena *a;
	bool own;
};

static int to_struct(const struct fill *w, const struct schema_type *t, const struct doc *d,
	char *out, size_t depth);

static struct str
string_of(const struct fill *w, struct str s)
{
	return w->own ? arena_str(w->a, s) : s;
}

static struct str
bytes_value(struct arena *a, struct str text)
{
	struct buf b;

	buf_init_arena(&b, a);
	if (base64_decode(&b, text) != 0 || b.failed)
		return STR_NONE;
	return buf_view(&b);
}

/* to_value: one value into *out (of value_size bytes). Wrong types leave it zero. */
static int
to_value(const struct fill *w, const struct schema_field *f, const struct doc *v, char *out,
	size_t depth)
{
	switch ((enum schema_form)f->form) {
	case SCHEMA_STRING:
	case SCHEMA_QUANTITY:
		*(struct str *)out = string_of(w, doc_as_str(v));
		break;
	case SCHEMA_BYTES:
		*(struct str *)out = v->type == DOC_STR ? bytes_value(w->a, v->s) : STR_NONE;
		break;
	case SCHEMA_BOOL:
		*(bool *)out = doc_as_bool(v, false);
		break;
	case SCHEMA_INT32:
		*(int32_t *)out = (int32_t)doc_as_int(v, 0);
		break;
	case SCHEMA_INT64:
		*(int64_t *)out = doc_as_int(v, 0);
		break;
	case SCHEMA_DOUBLE:
		*(double *)out = v->type == DOC_DOUBLE ? v->d : (double)doc_as_int(v, 0);
		break;
	case SCHEMA_TIME:
	case SCHEMA_MICROTIME:
		if (v->type == DOC_STR)
			rfc3339_parse(v->s, (int64_t *)out);
		break;
	case SCHEMA_DURATION:
		if (v->type == DOC_STR)
			duration_parse(v->s, (int64_t *)out);
		break;
	case SCHEMA_INTSTR:
		*(struct int_or_str *)out = (struct int_or_str){true, v->type == DOC_STR,
			v->type == DOC_INT ? (int32_t)v->i : 0, string_of(w, doc_as_str(v))};
		break;
	case SCHEMA_ANY:
	case SCHEMA_OBJECT:
	case SCHEMA_OR_BOOL:
	case SCHEMA_OR_LIST:
	case SCHEMA_OR_STRINGS:
		*(struct doc **)out = doc_copy(w->a, v);
		return *(struct doc **)out ? 0 : -ENOMEM;
	case SCHEMA_STRUCT:
		return to_struct(w, f->type, v, out, depth + 1);
	case SCHEMA_FORM__COUNT:
		break;
	}
	return 0;
}

/* to_array: list items, or pairs of a map, into an array of the arena. */
static int
to_array(const struct fill *w, const struct schema_field *f, const struct doc *v, char *out,
	size_t depth)
{
	bool map = f->shape != SCHEMA_LIST;
	size_t size = f->shape == SCHEMA_LIST ? value_size(f)
		: f->shape == SCHEMA_MAP      ? pair_size(f)
					      : sizeof(struct str_list_pair);
	char *array = NULL;
	size_t n = 0;

	if (v->type != (map ? DOC_MAP : DOC_LIST) || v->n == 0)
		return 0;
	array = arena_array(w->a, size, v->n);
	if (array == NULL)
		return -ENOMEM;
	DOC_EACH (item, v) {
		char *at = array + size * n++;
		int r = 0;

		if (map) {
			*(struct str *)at = string_of(w, item->key);
			at += sizeof(struct str);
		}
		if (item->type == DOC_NULL)
			continue;
		if (f->shape == SCHEMA_MAP_OF_LISTS) {
			struct schema_field one = *f;
			struct str_list_pair *pair = (struct str_list_pair *)(at -
				sizeof(struct str));

			one.shape = SCHEMA_LIST;
			one.offset = 0;
			one.aux = offsetof(struct str_list_pair, n_values) -
				offsetof(struct str_list_pair, values);
			r = to_array(w, &one, item, (char *)&pair->values, depth);
		} else {
			r = to_value(w, f, item, at, depth);
		}
		if (r != 0)
			return r;
	}
	*(char **)(out + f->offset) = array;
	*(size_t *)(out + f->aux) = n;
	return 0;
}

static int
to_struct(const struct fill *w, const struct schema_type *t, const struct doc *d, char *out,
	size_t depth)
{
	if (d->type != DOC_MAP || depth > SCHEMA_MAX_WALK)
		return 0;
	DOC_EACH (m, d) {
		const struct schema_field *f = schema_field_find(t, m->key);
		int r = 0;

		if (f == NULL || m->type == DOC_NULL || (f->flags & SCHEMA_UNHELD))
			continue;
		if (f->shape != SCHEMA_ONE) {
			r = to_array(w, f, m, out, depth);
		} else if (f->form == SCHEMA_STRUCT && !(f->flags & SCHEMA_EMBEDDED)) {
			char *p = m->type == DOC_MAP ? arena_alloc(w->a, f->type->size) : NULL;

			*(char **)(out + f->offset) = p;
			if (p)
				r = to_struct(w, f->type, m, p, depth + 1);
			else if (m->type == DOC_MAP)
				r = -ENOMEM;
		} else {
			r = to_value(w, f, m, out + f->offset, depth);
			if (has_flag(f))
				*(bool *)(out + f->aux) = true;
		}
		if (r != 0)
			return r;
	}
	return 0;
}

static int
fill_struct(const struct fill *w, const struct schema_type *t, const struct doc *d, void *out)
{
	int r = 0;

	if (t->size == 0 || d == NULL)
		return -EINVAL;
	memset(out, 0, t->size);
	r = to_struct(w, t, d, out, 0);
	return r == 0 && arena_failed(w->a) ? -ENOMEM : r;
}

int
schema_to_struct(struct arena *a, const struct schema_type *t, const struct doc *d, void *out)
{
	return fill_struct(&(struct fill){a, false}, t, d, out);
}

int
schema_own_struct(struct arena *a, const struct schema_type *t, const struct doc *d, void *out)
{
	return fill_struct(&(struct fill){a, true}, t, d, out);
}

int
schema_parse_struct(
	struct arena *a, const struct schema_type *t, struct str json, void **ret, struct err *e)
{
	struct doc *d = NULL;
	void *out = NULL;
	const struct doc_limits lim = {.skip_of = "metadata", .skip = "managedFields"};
	int r = doc_parse_json(a, json, &lim, &d, e);

	if (r != 0)
		return r;
	out = arena_alloc(a, t->size);
	if (out == NULL)
		return -ENOMEM;
	r = schema_to_struct(a, t, d, out);
	if (r == 0)
		*ret = out;
	return r;
}

static struct doc *from_struct(
	struct arena *a, const struct schema_type *t, const char *in, size_t depth);

static struct doc *
from_time(struct arena *a, int64_t ns, int digits)
{
	char out[40];

	return doc_str(a, arena_str(a, str_from(out, rfc3339_format(ns, digits, out))));
}

static struct doc *
from_bytes(struct arena *a, struct str s)
{
	struct buf b;

	buf_init_arena(&b, a);
	base64_encode(&b, s);
	return b.failed ? NULL : doc_str(a, buf_view(&b));
}

/* from_value: one value that is there. */
static struct doc *
from_value(struct arena *a, const struct schema_field *f, const char *in, size_t depth)
{
	const struct int_or_str *v = NULL;
	char text[48];

	switch ((enum schema_form)f->form) {
	case SCHEMA_STRING:
		return doc_str(a, *(const struct str *)in);
	case SCHEMA_QUANTITY:
		return ((const struct str *)in)->n ? doc_str(a, *(const struct str *)in)
						   : doc_str(a, STR("0"));
	case SCHEMA_BYTES:
		return from_bytes(a, *(const struct str *)in);
	case SCHEMA_BOOL:
		return doc_bool(a, *(const bool *)in);
	case SCHEMA_INT32:
		return doc_int(a, *(const int32_t *)in);
	case SCHEMA_INT64:
		return doc_int(a, *(const int64_t *)in);
	case SCHEMA_DOUBLE:
		return doc_double(a, *(const double *)in);
	case SCHEMA_TIME:
		return from_time(a, *(const int64_t *)in, 0);
	case SCHEMA_MICROTIME:
		return from_time(a, *(const int64_t *)in, 6);
	case SCHEMA_DURATION:
		return doc_str(a,
			arena_str(a, str_from(text, duration_format(*(const int64_t *)in, text))));
	case SCHEMA_INTSTR:
		v = (const struct int_or_str *)in;
		return v->is_str ? doc_str(a, v->s) : doc_int(a, v->i);
	case SCHEMA_ANY:
	case SCHEMA_OBJECT:
	case SCHEMA_OR_BOOL:
	case SCHEMA_OR_LIST:
	case SCHEMA_OR_STRINGS:
		return *(struct doc *const *)in ? doc_copy(a, *(struct doc *const *)in)
						: doc_null(a);
	case SCHEMA_STRUCT:
		return from_struct(a, f->type, in, depth + 1);
	case SCHEMA_FORM__COUNT:
		break;
	}
	return NULL;
}

/* is_there: does the struct have a value for this single member? */
static bool
is_there(const struct schema_field *f, const char *base, const char *in)
{
	if (has_flag(f))
		return *(const bool *)(base + f->aux);
	switch ((enum schema_form)f->form) {
	case SCHEMA_STRING:
	case SCHEMA_BYTES:
	case SCHEMA_QUANTITY:
		return str_is_set(*(const struct str *)in);
	case SCHEMA_TIME:
	case SCHEMA_MICROTIME:
		return *(const int64_t *)in != 0;
	case SCHEMA_INTSTR:
		return ((const struct int_or_str *)in)->has;
	case SCHEMA_ANY:
	case SCHEMA_OBJECT:
	case SCHEMA_OR_BOOL:
	case SCHEMA_OR_LIST:
	case SCHEMA_OR_STRINGS:
		return *(struct doc *const *)in != NULL;
	default:
		return true;
	}
}

static struct doc *
from_array(struct arena *a, const struct schema_field *f, const char *array, size_t n, size_t depth)
{
	bool map = f->shape != SCHEMA_LIST;
	struct doc *d = map ? doc_map(a) : doc_list(a);
	size_t size = f->shape == SCHEMA_LIST ? value_size(f)
		: f->shape == SCHEMA_MAP      ? pair_size(f)
					      : sizeof(struct str_list_pair);

	for (size_t i = 0; d && i < n; i++) {
		const char *at = array + size * i;
		struct doc *v = NULL;

		if (f->shape == SCHEMA_MAP_OF_LISTS) {
			const struct str_list_pair *pair = (const struct str_list_pair *)at;
			struct schema_field one = *f;

			one.shape = SCHEMA_LIST;
			v = from_array(a, &one, (const char *)pair->values, pair->n_values, depth);
		} else {
			v = from_value(a, f, map ? at + sizeof(struct str) : at, depth);
		}
		if (v == NULL)
			return NULL;
		if (map)
			v->key = *(const struct str *)at;
		doc_append(d, v);
	}
	return d;
}

static struct doc *
from_struct(struct arena *a, const struct schema_type *t, const char *in, size_t depth)
{
	struct doc *d = doc_map(a);

	if (depth > SCHEMA_MAX_WALK)
		return NULL;
	for (size_t i = 0; d && i < t->n_fields; i++) {
		const struct schema_field *f = &t->fields[i];
		const char *at = in + f->offset;
		struct doc *v = NULL;

		if (f->shape != SCHEMA_ONE) {
			size_t n = *(const size_t *)(in + f->aux);

			/* a list that is there but empty is told from one that is not by its pointer */
			if (n == 0 && (f->emit != SCHEMA_ALWAYS || *(char *const *)at == NULL))
				continue;
			v = from_array(a, f, *(char *const *)at, n, depth);
		} else if (f->form == SCHEMA_STRUCT && !(f->flags & SCHEMA_EMBEDDED)) {
			if (*(char *const *)at == NULL)
				continue;
			v = from_struct(a, f->type, *(char *const *)at, depth + 1);
		} else {
			if (!is_there(f, in, at))
				continue;
			v = from_value(a, f, at, depth);
		}
		if (v == NULL)
			return NULL;
		v->key = schema_field_name(f);
		doc_append(d, v);
	}
	return d;
}

struct doc *
schema_from_struct(struct arena *a, const struct schema_type *t, const void *in)
{
	struct doc *d = t->size ? from_struct(a, t, in, 0) : NULL;

	if (d == NULL || schema_order(a, t, d) != 0 || arena_failed(a))
		return NULL;
	return d;
}
