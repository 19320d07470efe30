/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * conform: a document as somebody sent it -> what decoding it into the kind's Go type and encoding it again
 * would give, with the texts Go has for what is wrong. In place.
 *
 * Invariants: after it every member is known to the type (unless unknown ones are preserved), stands once,
 * and has the form the type says; scalars are in canonical form. Depth is bounded by the parser.
 * Source: encoding/json and sigs.k8s.io/json (case-sensitive, strict errors), api/resource, meta/v1 Time. */
#include "base/clock.h"
#include "base/hash.h"
#include "orchestrator/schema/schema_int.h"

#include <stdlib.h>

#define MAX_STRICT 100

struct conform {
	struct arena *a;
	struct schema_strict *strict; /* may be NULL */
	struct err *e;
};

size_t
step_depth(const struct step *at)
{
	size_t n = 0;

	for (; at; at = at->up)
		n++;
	return n;
}

struct str
step_text(struct arena *a, const struct step *at, enum step_style style)
{
	const struct step *chain[SCHEMA_MAX_WALK + 1];
	size_t n = 0;
	struct buf b;

	buf_init_arena(&b, a);
	for (; at && n < ARRAY_LEN(chain); at = at->up)
		chain[n++] = at;
	while (n-- > 0) {
		const struct step *s = chain[n];

		switch (s->kind) {
		case STEP_NAME:
			buf_cstr(&b, b.len ? "." : "");
			buf_str(&b, s->name);
			break;
		case STEP_INDEX:
			if (style != STEP_FIELDS)
				buf_fmt(&b, "[%zu]", s->index);
			break;
		case STEP_KEY:
			if (style == STEP_STRICT)
				buf_fmt(&b, "." STR_FMT, STR_ARG(s->name));
			else if (style == STEP_PATH)
				buf_fmt(&b, "[" STR_FMT "]", STR_ARG(s->name));
			break;
		}
	}
	return b.failed ? STR_NONE : buf_view(&b);
}

bool
doc_is_zero(const struct doc *d)
{
	if (d == NULL)
		return true;
	switch (d->type) {
	case DOC_NULL:
		return true;
	case DOC_BOOL:
		return !d->b;
	case DOC_INT:
		return d->i == 0;
	case DOC_DOUBLE:
		return d->d == 0;
	case DOC_STR:
		return d->s.n == 0;
	case DOC_LIST:
	case DOC_MAP:
		return d->n == 0;
	}
	return true;
}

const struct schema_type *
schema_child(const struct schema_field *f, const struct doc *v)
{
	if (f->form == SCHEMA_STRUCT)
		return f->type;
	if (f->form >= SCHEMA_OR_BOOL && f->form <= SCHEMA_OR_STRINGS && v && v->type == DOC_MAP)
		return f->type;
	return NULL;
}

struct str
schema_time_text(struct arena *a, struct str s, int digits)
{
	int64_t sec = 0, ns = 0;
	char out[40];

	if (rfc3339_parse_sec(s, &sec, &ns) != 0)
		return STR("");
	return arena_str(a, str_from(out, rfc3339_format_sec(sec, ns, digits, out)));
}

static void
strict_add(struct conform *c, const char *what, const struct step *at)
{
	struct str *text = NULL;

	if (c->strict == NULL || c->strict->n >= MAX_STRICT)
		return;
	text = ARENA_PUSH(c->a, c->strict->texts, c->strict->n);
	if (text)
		*text = arena_fmt(c->a, "%s field \"" STR_FMT "\"", what,
			STR_ARG(step_text(c->a, at, STEP_STRICT)));
}

/* Of YAML the line is told, in its parser's words. */
#define YAML_LINE "line "

static void
strict_add_line(struct conform *c, const struct doc *m)
{
	struct str *text = NULL;
	struct buf key;

	if (c->strict == NULL || c->strict->n >= MAX_STRICT)
		return;
	buf_init_arena(&key, c->a);
	doc_json_string(&key, m->key);
	text = ARENA_PUSH(c->a, c->strict->texts, c->strict->n);
	if (text)
		*text = arena_fmt(c->a, YAML_LINE "%u: key " STR_FMT " already set in map", m->line,
			STR_ARG(buf_view(&key)));
}

struct str
schema_strict_join(struct arena *a, const struct schema_strict *st)
{
	struct buf b;

	buf_init_arena(&b, a);
	buf_cstr(&b, "strict decoding error: ");
	for (size_t i = 0; i < st->n; i++) {
		bool line = str_starts(st->texts[i], STR(YAML_LINE));
		bool more = line && i && str_starts(st->texts[i - 1], STR(YAML_LINE));

		buf_cstr(&b, more ? "\n  " : i ? ", " : "");
		buf_cstr(&b, line && !more ? "yaml: unmarshal errors:\n  " : "");
		buf_str(&b, st->texts[i]);
	}
	return b.failed ? STR_NONE : buf_view(&b);
}

/* go_value: what Go calls a JSON value in type errors. */
static struct str
go_value(struct conform *c, const struct doc *v, bool number_text)
{
	struct buf b;

	switch (v->type) {
	case DOC_NULL:
		return STR("null");
	case DOC_BOOL:
		return STR("bool");
	case DOC_INT:
	case DOC_DOUBLE:
		break;
	case DOC_STR:
		return STR("string");
	case DOC_LIST:
		return STR("array");
	case DOC_MAP:
		return STR("object");
	}
	if (!number_text)
		return STR("number");
	buf_init_arena(&b, c->a);
	buf_cstr(&b, "number ");
	doc_write_json(&b, v);
	return b.failed ? STR("number") : buf_view(&b);
}

/* type_error: "json: cannot unmarshal V into Go struct field T.path of type X". */
static int
type_error(struct conform *c, const struct step *at, const struct doc *v, bool number_text,
	const char *go_type)
{
	const struct step *s = at;
	struct str value = go_value(c, v, number_text);

	while (s && s->kind != STEP_NAME)
		s = s->up;
	if (s == NULL)
		return err_set(c->e, -EINVAL, R_BAD_REQUEST,
			"json: cannot unmarshal " STR_FMT " into Go value of type %s",
			STR_ARG(value), go_type);
	return err_set(c->e, -EINVAL, R_BAD_REQUEST,
		"json: cannot unmarshal " STR_FMT " into Go struct field %s." STR_FMT " of type %s",
		STR_ARG(value), s->type ? s->type->name : "",
		STR_ARG(step_text(c->a, at, STEP_FIELDS)), go_type);
}

/* go_type: Go's name for the type of one value ("int32", "v1.PodSpec"). */
static const char *
go_type(struct conform *c, const struct schema_field *f)
{
	static const char *const names[SCHEMA_FORM__COUNT] = {
		[SCHEMA_STRING] = "string",
		[SCHEMA_BOOL] = "bool",
		[SCHEMA_INT32] = "int32",
		[SCHEMA_INT64] = "int64",
		[SCHEMA_DOUBLE] = "float64",
		[SCHEMA_BYTES] = "[]uint8",
		[SCHEMA_QUANTITY] = "resource.Quantity",
		[SCHEMA_TIME] = "string",
		[SCHEMA_MICROTIME] = "string",
		[SCHEMA_DURATION] = "string",
		[SCHEMA_INTSTR] = "int32",
	};
	const char *s = NULL;

	if (names[f->form])
		return names[f->form];
	if (f->type == NULL)
		return "object";
	s = arena_fmt(c->a, "%s.%s", f->type->version, f->type->name).p;
	return s ? s : "object";
}

static const char *
go_container(struct conform *c, const struct schema_field *f)
{
	const char *s = arena_fmt(c->a, "%s%s",
		f->shape == SCHEMA_LIST          ? "[]"
			: f->shape == SCHEMA_MAP ? "map[string]"
						 : "map[string][]",
		go_type(c, f))
				.p;

	return s ? s : "";
}

static int
conform_bytes(struct conform *c, struct doc *v)
{
	struct buf raw = BUF_INIT, out;
	int r = base64_decode(&raw, v->s);

	if (r != 0) {
		buf_release(&raw);
		return err_set(c->e, -EINVAL, R_BAD_REQUEST,
			"illegal base64 data at input byte %zu", v->s.n - v->s.n % 4);
	}
	buf_init_arena(&out, c->a);
	base64_encode(&out, buf_view(&raw));
	if (!out.failed && !str_eq(v->s, buf_view(&out)))
		v->s = buf_view(&out);
	buf_release(&raw);
	return 0;
}

/* round_milli: ResourceList values finer than a thousandth are rounded up (core/v1 conversion). */
static void
round_milli(struct conform *c, struct doc *v)
{
	struct quantity q = {0};
	char text[64];

	if (quantity_parse(v->s, &q) != 0 || q.nano % 1000000 == 0)
		return;
	q = quantity_of_milli(quantity_milli(&q), q.format);
	v->s = arena_str(c->a, str_from(text, quantity_write(&q, text)));
}

static int
conform_quantity(struct conform *c, struct doc *v)
{
	struct str s = STR_NONE;
	struct buf b;

	if (v->type == DOC_STR) {
		s = v->s;
	} else {
		buf_init_arena(&b, c->a);
		doc_write_json(&b, v);
		s = buf_view(&b);
	}
	s = quantity_canonical(c->a, s);
	if (!str_is_set(s))
		return err_set(c->e, -EINVAL, R_BAD_REQUEST, "%s", quantity_error_text);
	v->type = DOC_STR;
	v->s = s;
	return 0;
}

static int
conform_time(struct conform *c, struct doc *v, int digits)
{
	struct str s = STR_NONE;

	if (v->s.n == 0) { /* Go refuses "" in Time but not in its parse of null: keep it strict */
		return err_set(c->e, -EINVAL, R_BAD_REQUEST,
			"parsing time \"\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"\" as \"2006\"");
	}
	s = schema_time_text(c->a, v->s, digits);
	if (s.n == 0)
		return err_set(c->e, -EINVAL, R_BAD_REQUEST,
			"parsing time \"" STR_FMT
			"\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"" STR_FMT
			"\" as \"2006\"",
			STR_ARG(str_sub(v->s, 0, 64)), STR_ARG(str_sub(v->s, 0, 64)));
	v->s = s;
	return 0;
}

static int
conform_int(struct conform *c, const struct step *at, const struct schema_field *f, struct doc *v)
{
	if (v->type == DOC_DOUBLE && v->d > -9e15 && v->d < 9e15 && v->d == (double)(int64_t)v->d) {
		v->i = (int64_t)v->d; /* "1.0", as YAML readers make of 1e0 */
		v->type = DOC_INT;
	}
	if (v->type == DOC_DOUBLE)
		return type_error(c, at, v, true, go_type(c, f));
	if (v->type != DOC_INT)
		return type_error(c, at, v, false, go_type(c, f));
	if ((f->form == SCHEMA_INT32 || f->form == SCHEMA_INTSTR) &&
		(v->i > INT32_MAX || v->i < INT32_MIN))
		return type_error(c, at, v, true, go_type(c, f));
	return 0;
}

static int conform_struct(
	struct conform *c, const struct step *at, const struct schema_type *t, struct doc *d);
static int conform_value(
	struct conform *c, const struct step *at, const struct schema_field *f, struct doc *v);

/* conform_union: an object of the type, or what the form allows beside it. */
static int
conform_union(struct conform *c, const struct step *at, const struct schema_field *f, struct doc *v)
{
	size_t i = 0;
	int r = 0;

	if (v->type == DOC_MAP)
		return conform_struct(c, at, f->type, v);
	if (f->form == SCHEMA_OR_BOOL && v->type == DOC_BOOL)
		return 0;
	if (f->form == SCHEMA_OR_BOOL || v->type != DOC_LIST)
		return type_error(c, at, v, false, go_type(c, f));
	DOC_EACH (item, v) {
		struct step s = {at, STEP_INDEX, STR_NONE, i++, NULL};

		if (f->form == SCHEMA_OR_STRINGS)
			r = item->type == DOC_STR ? 0 : type_error(c, &s, item, false, "string");
		else
			r = item->type == DOC_MAP ? conform_struct(c, &s, f->type, item)
						  : type_error(c, &s, item, false, go_type(c, f));
		if (r != 0)
			return r;
	}
	return 0;
}

/* conform_one: a single value that is not null. */
static int
conform_one(struct conform *c, const struct step *at, const struct schema_field *f, struct doc *v)
{
	switch ((enum schema_form)f->form) {
	case SCHEMA_STRING:
		return v->type == DOC_STR ? 0 : type_error(c, at, v, false, "string");
	case SCHEMA_BOOL:
		return v->type == DOC_BOOL ? 0 : type_error(c, at, v, false, "bool");
	case SCHEMA_INT32:
	case SCHEMA_INT64:
		return conform_int(c, at, f, v);
	case SCHEMA_DOUBLE:
		return v->type == DOC_INT || v->type == DOC_DOUBLE
			? 0
			: type_error(c, at, v, false, "float64");
	case SCHEMA_BYTES:
		return v->type == DOC_STR ? conform_bytes(c, v)
					  : type_error(c, at, v, false, "[]uint8");
	case SCHEMA_QUANTITY:
		return conform_quantity(c, v);
	case SCHEMA_TIME:
		return v->type == DOC_STR ? conform_time(c, v, 0)
					  : type_error(c, at, v, false, "string");
	case SCHEMA_MICROTIME:
		return v->type == DOC_STR ? conform_time(c, v, 6)
					  : type_error(c, at, v, false, "string");
	case SCHEMA_DURATION:
		return v->type == DOC_STR ? 0 : type_error(c, at, v, false, "string");
	case SCHEMA_INTSTR:
		return v->type == DOC_STR ? 0 : conform_int(c, at, f, v);
	case SCHEMA_ANY:
	case SCHEMA_OBJECT:
		return 0;
	case SCHEMA_STRUCT:
		return v->type == DOC_MAP ? conform_struct(c, at, f->type, v)
					  : type_error(c, at, v, false, go_type(c, f));
	case SCHEMA_OR_BOOL:
	case SCHEMA_OR_LIST:
	case SCHEMA_OR_STRINGS:
		return conform_union(c, at, f, v);
	case SCHEMA_FORM__COUNT:
		break;
	}
	return 0;
}

/* zero_of: what Go makes of null as a list item or map value. */
static void
zero_of(const struct schema_field *f, struct doc *v)
{
	switch ((enum schema_form)f->form) {
	case SCHEMA_STRING:
	case SCHEMA_BYTES:
		v->type = DOC_STR;
		v->s = STR("");
		break;
	case SCHEMA_QUANTITY:
		v->type = DOC_STR;
		v->s = STR("0");
		break;
	case SCHEMA_BOOL:
		v->type = DOC_BOOL;
		v->b = false;
		break;
	case SCHEMA_INT32:
	case SCHEMA_INT64:
	case SCHEMA_DOUBLE:
	case SCHEMA_INTSTR:
		v->type = DOC_INT;
		v->i = 0;
		break;
	case SCHEMA_STRUCT:
		v->type = DOC_MAP;
		v->first = v->last = NULL;
		v->n = 0;
		break;
	default:
		break;
	}
}

static int
conform_list(struct conform *c, const struct step *at, const struct schema_field *f, struct doc *v)
{
	size_t i = 0;

	if (v->type != DOC_LIST)
		return type_error(c, at, v, false, go_container(c, f));
	DOC_EACH (item, v) {
		struct step s = {at, STEP_INDEX, STR_NONE, i++, NULL};
		int r = 0;

		if (item->type == DOC_NULL)
			zero_of(f, item);
		else
			r = conform_one(c, &s, f, item);
		if (r != 0)
			return r;
	}
	return 0;
}

struct seen {
	struct doc *m;
	size_t at;
};

static int
by_key_then_place(const void *x, const void *y)
{
	const struct seen *a = x, *b = y;
	int c = str_cmp(a->m->key, b->m->key);

	return c ? c : a->at < b->at ? -1 : 1;
}

/* name_repeated: says of a member that was there before, when its turn comes; YAML's parser did so at once. */
static void
name_repeated(struct conform *c, const struct step *at, struct doc *m)
{
	if (m->dup)
		strict_add(c, "duplicate", at);
	m->dup = false;
}

/* drop_repeated: of several members of one name the last counts; it keeps its mark for name_repeated. */
static int
drop_repeated(struct conform *c, struct doc *map)
{
	struct seen *all = NULL;
	struct doc **link = &map->first;
	bool *gone = NULL;
	size_t n = 0, repeated = 0;

	DOC_EACH (m, map) {
		repeated += m->dup;
		if (!m->dup || !m->line)
			continue;
		strict_add_line(c, m);
		m->dup = false;
	}
	if (repeated == 0)
		return 0;
	all = ARENA_ARRAY(c->a, struct seen, map->n);
	gone = ARENA_ARRAY(c->a, bool, map->n);
	if (all == NULL || gone == NULL)
		return -ENOMEM;
	DOC_EACH (m, map) {
		all[n] = (struct seen){m, n};
		n++;
	}
	qsort(all, n, sizeof(*all), by_key_then_place);
	for (size_t i = 0; i + 1 < n; i++)
		gone[all[i].at] = str_eq(all[i].m->key, all[i + 1].m->key);
	map->last = NULL;
	for (size_t i = 0; i < n; i++) {
		struct doc *m = *link;

		if (gone[i]) {
			*link = m->next;
			map->n--;
			continue;
		}
		map->last = m;
		link = &m->next;
	}
	return 0;
}

static int
conform_map(struct conform *c, const struct step *at, const struct schema_field *f, struct doc *v)
{
	if (v->type != DOC_MAP)
		return type_error(c, at, v, false, go_container(c, f));
	if (drop_repeated(c, v) != 0)
		return -ENOMEM;
	DOC_EACH (item, v) {
		struct step s = {at, STEP_KEY, item->key, 0, NULL};
		int r = 0;

		name_repeated(c, &s, item);
		if (f->shape == SCHEMA_MAP_OF_LISTS)
			r = item->type == DOC_NULL ? 0 : conform_list(c, &s, f, item);
		else if (item->type == DOC_NULL)
			zero_of(f, item);
		else
			r = conform_one(c, &s, f, item);
		if (r != 0)
			return r;
		if (f->form == SCHEMA_QUANTITY)
			round_milli(c, item);
	}
	return 0;
}

static int
conform_value(struct conform *c, const struct step *at, const struct schema_field *f, struct doc *v)
{
	if (v->type == DOC_STR && v->raw) /* the server's own text */
		return 0;
	switch ((enum schema_shape)f->shape) {
	case SCHEMA_ONE:
		return conform_one(c, at, f, v);
	case SCHEMA_LIST:
		return conform_list(c, at, f, v);
	case SCHEMA_MAP:
	case SCHEMA_MAP_OF_LISTS:
		return conform_map(c, at, f, v);
	}
	return 0;
}

static int
conform_struct(struct conform *c, const struct step *at, const struct schema_type *t, struct doc *d)
{
	struct doc *next = NULL, *kept = NULL;

	if (step_depth(at) > SCHEMA_MAX_WALK)
		return err_set(c->e, -E2BIG, R_BAD_REQUEST, "the document is nested too deeply");
	if (drop_repeated(c, d) != 0)
		return -ENOMEM;
	for (struct doc *m = d->first; m; m = next) {
		const struct schema_field *f = schema_field_find(t, m->key);
		struct step s = {at, STEP_NAME, m->key, 0, t};
		bool unknown = f == NULL && !t->preserve_unknown;
		int r = 0;

		next = m->next;
		if (unknown)
			strict_add(c, "unknown", &s);
		name_repeated(c, &s, m);
		if (unknown || (f && m->type == DOC_NULL)) {
			*(kept ? &kept->next : &d->first) = next;
			if (d->last == m)
				d->last = kept;
			d->n--;
			continue;
		}
		kept = m;
		r = f ? conform_value(c, &s, f, m) : 0;
		if (r != 0)
			return r;
	}
	return 0;
}

/* ---- embedded resources ---- */

static const struct schema_type *
meta_type(void)
{
	const struct schema_type *t = schema_type_find(
		schema_builtin(), STR(""), STR("v1"), STR("ConfigMap"));
	const struct schema_field *f = t ? schema_field_find(t, STR("metadata")) : NULL;

	return f ? f->type : NULL;
}

/* embedded_meta: metadata of an embedded resource is an ObjectMeta; one that cannot be read as such stays: validation
 * says why. */
static void
embedded_meta(struct conform *c, const struct step *at, struct doc *d)
{
	const struct schema_type *t = meta_type();
	struct doc *m = d->type == DOC_MAP ? doc_get(d, STR("metadata")) : NULL;
	struct doc *copy = m && m->type == DOC_MAP && t ? doc_copy(c->a, m) : NULL;
	struct step s = {at, STEP_NAME, STR("metadata"), 0, t};
	struct conform quiet = {c->a, c->strict, NULL};

	if (copy && conform_struct(&quiet, &s, t, copy) == 0)
		doc_replace(m, copy);
}

static void
embedded(struct conform *c, const struct step *at, const struct structural *n, struct doc *d,
	size_t depth)
{
	size_t i = 0;

	if (depth > SCHEMA_MAX_WALK)
		return;
	if (depth && n->embedded)
		embedded_meta(c, at, d);
	if (d->type != DOC_MAP && d->type != DOC_LIST)
		return;
	DOC_EACH (m, d) {
		bool list = d->type == DOC_LIST;
		struct step s = {at, list ? STEP_INDEX : STEP_NAME, m->key, i++, NULL};
		const struct structural *child = list ? n->items : structural_prop_find(n, m->key);

		if (!list && child == NULL)
			child = n->additional;
		if (child)
			embedded(c, &s, child, m, depth + 1);
	}
}

int
schema_conform(struct arena *a, const struct schema_type *t, struct doc *d,
	struct schema_strict *strict, struct err *e)
{
	struct conform c = {a, strict, e};
	int r = 0;

	if (d->type != DOC_MAP) {
		struct schema_field f = {.form = SCHEMA_STRUCT, .type = t};

		return type_error(&c, NULL, d, false, go_type(&c, &f));
	}
	if (t->structural)
		r = schema_dedupe(a, d, strict);
	if (r == 0)
		r = conform_struct(&c, NULL, t, d);
	if (r == 0 && t->structural) {
		structural_drop_nulls(t->structural, d);
		r = structural_prune(a, t->structural, d, true, strict);
		embedded(&c, NULL, t->structural, d, 0);
	}
	return r == 0 && arena_failed(a) ? -ENOMEM : r;
}

static size_t
prune_struct(const struct schema_type *t, struct doc *d, size_t depth)
{
	size_t n = 0;
	struct doc *next = NULL, *kept = NULL;

	if (depth > SCHEMA_MAX_WALK || d->type != DOC_MAP)
		return 0;
	for (struct doc *m = d->first; m; m = next) {
		const struct schema_field *f = schema_field_find(t, m->key);

		next = m->next;
		if (f == NULL && !t->preserve_unknown) {
			*(kept ? &kept->next : &d->first) = next;
			if (d->last == m)
				d->last = kept;
			d->n--;
			n++;
			continue;
		}
		kept = m;
		if (f == NULL)
			continue;
		if (f->shape == SCHEMA_ONE) {
			if (schema_child(f, m))
				n += prune_struct(f->type, m, depth + 1);
		} else if (f->form == SCHEMA_STRUCT) {
			DOC_EACH (item, m)
				n += prune_struct(f->type, item, depth + 1);
		}
	}
	return n;
}

size_t
schema_prune(const struct schema_type *t, struct doc *d)
{
	return prune_struct(t, d, 0);
}

static int
dedupe(struct conform *c, const struct step *at, struct doc *d, size_t depth)
{
	size_t i = 0;
	int r = 0;

	if (depth > SCHEMA_MAX_WALK)
		return 0;
	if (d->type == DOC_MAP)
		r = drop_repeated(c, d);
	DOC_EACH (m, d) {
		struct step s = {
			at, d->type == DOC_MAP ? STEP_NAME : STEP_INDEX, m->key, i++, NULL};

		name_repeated(c, &s, m);
		if (r == 0 && (m->type == DOC_MAP || m->type == DOC_LIST))
			r = dedupe(c, &s, m, depth + 1);
	}
	return r;
}

int
schema_dedupe(struct arena *a, struct doc *d, struct schema_strict *strict)
{
	struct conform c = {a, strict, NULL};

	return dedupe(&c, NULL, d, 0);
}
