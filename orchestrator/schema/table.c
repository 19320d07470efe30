/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * table: rows of meta.k8s.io/v1 Table by the columns of the kind files. A cell is
 *   path                   the value; absent: the zero value of the field's form
 *   path or text           text when it is absent or empty
 *   path/path [or text]    both, with a slash between
 *   count(path)[+count(path)]   number of members or items
 *   age(path)              time since
 *   join(path)             texts through lists, with commas
 *   names(path) images(path)    join of .name, .image
 *   pairs(path)            k=v,k=v of a map, <none>
 *   selector(path)         text of a LabelSelector, <none>
 *   @name                  a function of the cells tables
 * Source: meta/v1 Table; k8s.io/kubernetes pkg/printers (behaviour). */
#include "base/clock.h"
#include "orchestrator/schema/cells_int.h"
#include "orchestrator/schema/json_path.h"

#include <stdio.h>
#include <stdlib.h>

/* two: "3m20s", without the second part when it is zero. */
static size_t
two(char *out, int64_t big, const char *unit, int64_t small, const char *small_unit)
{
	if (small == 0)
		return (size_t)snprintf(out, 24, "%lld%s", (long long)big, unit);
	return (size_t)snprintf(
		out, 24, "%lld%s%lld%s", (long long)big, unit, (long long)small, small_unit);
}

size_t
human_duration(int64_t ns, char *out)
{
	int64_t s = ns / NS_PER_SEC, m = s / 60, h = m / 60, d = h / 24;

	if (s < -1)
		return (size_t)snprintf(out, 24, "<invalid>");
	if (s < 0)
		return two(out, 0, "s", 0, "");
	if (s < 120)
		return two(out, s, "s", 0, "");
	if (m < 10)
		return two(out, m, "m", s % 60, "s");
	if (m < 180)
		return two(out, m, "m", 0, "");
	if (h < 8)
		return two(out, h, "h", m % 60, "m");
	if (h < 48)
		return two(out, h, "h", 0, "");
	if (d < 8)
		return two(out, d, "d", h % 24, "h");
	if (d < 2 * 365)
		return two(out, d, "d", 0, "");
	return two(out, d / 365, "y", d < 8 * 365 ? d % 365 : 0, "d");
}

/* ---- helpers of the cell functions ---- */

struct doc *
cell_fmt(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	struct str s = STR_NONE;

	va_start(ap, fmt);
	s = arena_vfmt(a, fmt, ap);
	va_end(ap);
	return doc_str(a, s);
}

struct doc *
cell_text(struct arena *a, const struct buf *b, const char *none)
{
	return doc_str(a, b->len ? buf_view(b) : str_c(none));
}

void
cell_add(struct buf *b, const char *sep, struct str s)
{
	if (b->len)
		buf_cstr(b, sep);
	buf_str(b, s);
}

struct str
cell_duration(struct arena *a, int64_t ns)
{
	char out[32];

	return arena_str(a, str_from(out, human_duration(ns, out)));
}

struct str
cell_age(struct arena *a, struct str time, int64_t now_ns)
{
	int64_t at = 0;

	if (rfc3339_parse(time, &at) != 0)
		return STR("<unknown>");
	return cell_duration(a, now_ns - at);
}

const struct doc *
cell_condition(const struct doc *obj, const char *type)
{
	DOC_EACH (c, doc_get(doc_get(obj, STR("status")), STR("conditions")))
		if (str_eq_c(doc_get_str(c, STR("type")), type))
			return c;
	return NULL;
}

bool
cell_condition_is(const struct doc *obj, const char *type, const char *status)
{
	return str_eq_c(doc_get_str(cell_condition(obj, type), STR("status")), status);
}

static int
by_text(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

size_t
cell_sorted(struct str *list, size_t n)
{
	size_t at = 0;

	if (n == 0)
		return 0;
	qsort(list, n, sizeof(*list), by_text);
	for (size_t i = 1; i < n; i++)
		if (!str_eq(list[i], list[at]))
			list[++at] = list[i];
	return at + 1;
}

void
cell_more(struct buf *b, size_t n, size_t max)
{
	if (n > max)
		buf_fmt(b, " + %zu more...", n - max);
}

struct str
cell_lower(struct arena *a, struct str s)
{
	char *p = arena_cstr(a, s);

	for (size_t i = 0; p && i < s.n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] - 'A' + 'a');
	return str_from(p, p ? s.n : 0);
}

/* ---- expressions ---- */

struct cell {
	struct arena *a;
	const struct schema_kind *k;
	const struct schema_column *c;
	const struct doc *obj;
	int64_t now_ns;
};

static const struct schema_cell *
find_cell(const char *name)
{
	const struct schema_cell *const tables[] = {cells_core, cells_pod, cells_groups};
	const size_t sizes[] = {n_cells_core, n_cells_pod, n_cells_groups};

	for (size_t t = 0; t < ARRAY_LEN(tables); t++)
		for (size_t i = 0; i < sizes[t]; i++)
			if (strcmp(tables[t][i].name, name) == 0)
				return &tables[t][i];
	return NULL;
}

/* literal: the text behind `or`, in the column's type. */
static struct doc *
literal(const struct cell *c, struct str s)
{
	int64_t i = 0;

	if (s.n >= 2 && s.p[0] == '"')
		s = str_sub(s, 1, s.n - 1);
	if (strcmp(c->c->type, "boolean") == 0 || str_eq_c(s, "true") || str_eq_c(s, "false"))
		return doc_bool(c->a, str_eq_c(s, "true"));
	if (strcmp(c->c->type, "integer") == 0 && str_to_i64(s, &i) == 0)
		return doc_int(c->a, i);
	return doc_str(c->a, s);
}

/* zero: what an absent member shows. */
static struct doc *
zero(const struct cell *c, struct str path)
{
	const struct schema_field *f = schema_field_at(c->k->type, path);

	if (f && f->shape == SCHEMA_ONE && (f->form == SCHEMA_INT32 || f->form == SCHEMA_INT64))
		return doc_int(c->a, 0);
	if (f && f->shape == SCHEMA_ONE && f->form == SCHEMA_BOOL)
		return doc_bool(c->a, false);
	return doc_str(c->a, STR(""));
}

/* scalar: a copy of a scalar member (text of an int-or-string); NULL when absent. */
static struct doc *
scalar(const struct cell *c, struct str path)
{
	const struct doc *v = doc_path(c->obj, path);
	const struct schema_field *f = NULL;

	if (v == NULL || v->type == DOC_NULL || v->type == DOC_MAP || v->type == DOC_LIST)
		return NULL;
	f = schema_field_at(c->k->type, path);
	if (v->type == DOC_INT && f && f->form == SCHEMA_INTSTR)
		return cell_fmt(c->a, "%lld", (long long)v->i);
	return doc_copy(c->a, v);
}

static void
add_scalar(const struct cell *c, struct buf *b, struct str path)
{
	struct doc *v = scalar(c, path);

	if (v == NULL)
		v = zero(c, path);
	if (v && v->type == DOC_STR)
		buf_str(b, v->s);
	else if (v)
		doc_write_json(b, v);
}

/* collect: texts at a path through lists. */
static void
collect(const struct doc *d, struct str path, struct buf *b, size_t depth)
{
	struct str head = STR_NONE, rest = STR_NONE;

	if (d == NULL || depth > 16)
		return;
	if (d->type == DOC_LIST) {
		DOC_EACH (item, d)
			collect(item, path, b, depth + 1);
	} else if (!str_is_set(path) || path.n == 0) {
		if (d->type == DOC_STR)
			cell_add(b, ",", d->s);
	} else {
		str_cut(path, '.', &head, &rest);
		collect(doc_get(d, head), rest, b, depth + 1);
	}
}

static struct doc *
cell_join(const struct cell *c, struct str path)
{
	struct buf b;

	buf_init_arena(&b, c->a);
	collect(c->obj, path, &b, 0);
	return b.len ? doc_str(c->a, buf_view(&b)) : NULL;
}

static struct doc *
cell_pairs(const struct cell *c, struct str path)
{
	const struct doc *map = doc_path(c->obj, path);
	struct str *list = NULL;
	size_t n = 0;
	struct buf b;

	buf_init_arena(&b, c->a);
	DOC_EACH (m, map) {
		struct str *s = ARENA_PUSH(c->a, list, n);

		if (s)
			*s = arena_fmt(
				c->a, STR_FMT "=" STR_FMT, STR_ARG(m->key), STR_ARG(doc_as_str(m)));
	}
	n = cell_sorted(list, n);
	for (size_t i = 0; i < n; i++)
		cell_add(&b, ",", list[i]);
	return cell_text(c->a, &b, "<none>");
}

static struct doc *
cell_selector(const struct cell *c, struct str path)
{
	struct selector s;
	struct str text = STR("<none>");

	if (selector_from_doc(c->a, doc_path(c->obj, path), &s) != 0)
		return doc_str(c->a, STR("<error>"));
	if (s.n)
		text = selector_write(c->a, &s);
	return doc_str(c->a, text);
}

static struct doc *
cell_names(const struct cell *c, struct str path)
{
	return cell_join(c, arena_fmt(c->a, STR_FMT ".name", STR_ARG(path)));
}

static struct doc *
cell_images(const struct cell *c, struct str path)
{
	return cell_join(c, arena_fmt(c->a, STR_FMT ".image", STR_ARG(path)));
}

static struct doc *
cell_age_of(const struct cell *c, struct str path)
{
	struct str t = doc_as_str(doc_path(c->obj, path));

	if (t.n == 0 && !str_eq_c(path, "metadata.creationTimestamp"))
		return NULL;
	return doc_str(c->a, cell_age(c->a, t, c->now_ns));
}

static struct doc *
cell_count(const struct cell *c, struct str path)
{
	return doc_int(c->a, (int64_t)doc_len(doc_path(c->obj, path)));
}

static const struct {
	const char *name;
	struct doc *(*fn)(const struct cell *c, struct str path);
} calls[] = {
	{"age(", cell_age_of},
	{"count(", cell_count},
	{"images(", cell_images},
	{"join(", cell_join},
	{"names(", cell_names},
	{"pairs(", cell_pairs},
	{"selector(", cell_selector},
};

/* value: an expression without `or`; NULL = absent. */
static struct doc *
value(const struct cell *c, struct str x)
{
	struct str left = STR_NONE, right = STR_NONE;
	struct buf b;

	if (x.n && x.p[0] == '@') {
		const struct schema_cell *f = find_cell(x.p + 1);

		return f ? f->fn(c->a, c->obj, c->now_ns) : NULL;
	}
	if (str_starts(x, STR("count(")) && str_cut(x, '+', &left, &right)) {
		struct doc *n = value(c, left), *m = value(c, right);

		return n && m ? doc_int(c->a, n->i + m->i) : NULL;
	}
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		if (str_starts(x, str_c(calls[i].name)) && str_ends(x, STR(")")))
			return calls[i].fn(c, str_sub(x, strlen(calls[i].name), x.n - 1));
	if (!str_cut(x, '/', &left, &right))
		return scalar(c, x);
	if (doc_path(c->obj, left) == NULL && doc_path(c->obj, right) == NULL &&
		schema_field_at(c->k->type, left) &&
		schema_field_at(c->k->type, left)->form == SCHEMA_STRING)
		return NULL;
	buf_init_arena(&b, c->a);
	add_scalar(c, &b, left);
	buf_char(&b, '/');
	add_scalar(c, &b, right);
	return doc_str(c->a, buf_view(&b));
}

/* custom_cell: a column of a custom resource: what its path leads to, as its type says. */
static struct doc *
custom_cell(const struct cell *c)
{
	const struct doc *v = json_path_first(c->obj, str_c(c->c->cell));
	const char *type = c->c->type;
	struct buf b;

	if (v == NULL || v->type == DOC_NULL)
		return NULL;
	if (strcmp(type, "date") == 0)
		return doc_str(c->a,
			v->type == DOC_STR ? cell_age(c->a, v->s, c->now_ns) : STR("<unknown>"));
	if (strcmp(type, "integer") == 0)
		return v->type == DOC_INT ? doc_int(c->a, v->i)
			: v->type == DOC_DOUBLE && v->d > -9e18 && v->d < 9e18
			? doc_int(c->a, (int64_t)v->d)
			: NULL;
	if (strcmp(type, "number") == 0)
		return v->type == DOC_INT || v->type == DOC_DOUBLE ? doc_copy(c->a, v) : NULL;
	if (strcmp(type, "boolean") == 0)
		return v->type == DOC_BOOL ? doc_bool(c->a, v->b) : NULL;
	if (v->type == DOC_STR)
		return doc_str(c->a, v->s);
	buf_init_arena(&b, c->a);
	doc_write_json(&b, v);
	return doc_str(c->a, buf_view(&b));
}

static struct doc *
evaluate(const struct cell *c)
{
	if (c->k->custom && c->c->cell[0] == '.')
		return custom_cell(c);
	struct str x = str_c(c->c->cell), or = STR_NONE;
	ptrdiff_t at = str_find(x, STR(" or "));
	struct doc *v = NULL;

	if (at >= 0) {
		or = str_sub(x, (size_t)at + 4, SIZE_MAX);
		x = str_sub(x, 0, (size_t)at);
	}
	v = value(c, x);
	if (c->k->custom && v && strcmp(c->c->type, "date") == 0)
		return doc_str(c->a, cell_age(c->a, doc_as_str(v), c->now_ns));
	if (str_is_set(or) && (v == NULL || (v->type == DOC_STR && v->s.n == 0)))
		return literal(c, or);
	if (v || c->k->custom)
		return v ? v : doc_null(c->a);
	return zero(c, x);
}

/* ---- tables ---- */

static const struct schema_column default_columns[] = {
	{"Name", "string", "name", "", 0, "metadata.name"},
	{"Created At", "date", "", "", 0, "metadata.creationTimestamp"},
};
static const struct schema_column custom_columns[] = {
	{"Name", "string", "name", "", 0, "metadata.name"},
	{"Age", "string", "", "", 0, "age(metadata.creationTimestamp)"},
};
static const struct schema_type no_type = {.name = ""};
static const struct schema_kind no_kind = {.type = &no_type};

static const struct schema_column *
columns_of(const struct schema_kind *k, size_t *n)
{
	if (k && k->n_columns) {
		*n = k->n_columns;
		return k->columns;
	}
	*n = 2;
	return k && k->custom ? custom_columns : default_columns;
}

/* describe: the column's own words, else those of the field it shows. */
static const char *
describe(const struct schema_kind *k, const struct schema_column *c)
{
	const struct schema_field *f = NULL;

	if (c->description[0])
		return c->description;
	if (strcmp(c->name, "Name") == 0)
		return "the name: unique within its namespace and kind";
	if (strcmp(c->name, "Age") == 0 || strcmp(c->name, "Created At") == 0)
		return "when it was made";
	f = k ? schema_field_at(k->type, str_c(c->cell)) : NULL;
	return f ? schema_field_description(f) : "";
}

struct doc *
schema_table_columns(struct arena *a, const struct schema_kind *k)
{
	size_t n = 0;
	const struct schema_column *cols = columns_of(k, &n);
	struct doc *list = doc_list(a);

	for (size_t i = 0; list && i < n; i++) {
		struct doc *c = doc_map(a);

		if (c == NULL)
			return NULL;
		doc_set_str(a, c, STR("name"), str_c(cols[i].name));
		doc_set_str(a, c, STR("type"), str_c(cols[i].type));
		doc_set_str(a, c, STR("format"), str_c(cols[i].format));
		doc_set_str(a, c, STR("description"), str_c(describe(k, &cols[i])));
		doc_set_int(a, c, STR("priority"), cols[i].priority);
		doc_append(list, c);
	}
	return list;
}

/* borrow: a second node for the same content (read only). */
static struct doc *
borrow(struct arena *a, const struct doc *d)
{
	struct doc *n = d ? ARENA_NEW(a, struct doc) : doc_map(a);

	if (n && d) {
		*n = *d;
		n->next = NULL;
		n->key = STR_NONE;
	}
	return n;
}

struct doc *
schema_partial(struct arena *a, const struct doc *obj, const char *version)
{
	struct doc *d = doc_map(a), *meta = borrow(a, doc_get(obj, STR("metadata")));

	if (d == NULL || meta == NULL)
		return NULL;
	doc_set_str(a, d, STR("kind"), STR("PartialObjectMetadata"));
	doc_set_str(a, d, STR("apiVersion"), arena_fmt(a, "meta.k8s.io/%s", version));
	doc_set(d, STR("metadata"), meta);
	return d;
}

/* row_conditions: pods that are over carry one, so that clients can dim them. */
static struct doc *
row_conditions(struct arena *a, const struct schema_kind *k, const struct doc *obj)
{
	struct str phase = doc_get_str(doc_get(obj, STR("status")), STR("phase"));
	struct doc *list = NULL, *c = NULL;
	bool good = str_eq_c(phase, "Succeeded");

	if (k == NULL || k->group[0] || strcmp(k->kind, "Pod") != 0 ||
		(!good && !str_eq_c(phase, "Failed")))
		return NULL;
	list = doc_list(a);
	c = doc_map(a);
	if (list == NULL || c == NULL)
		return NULL;
	doc_set_str(a, c, STR("type"), STR("Completed"));
	doc_set_str(a, c, STR("status"), STR("True"));
	doc_set_str(a, c, STR("reason"), phase);
	doc_set_str(a, c, STR("message"),
		good ? STR("The pod has completed successfully.") : STR("The pod failed."));
	doc_append(list, c);
	return list;
}

struct doc *
schema_table_row(struct arena *a, const struct schema_kind *k, const struct doc *obj,
	enum schema_include inc, const char *version, int64_t now_ns)
{
	size_t n = 0;
	const struct schema_column *cols = columns_of(k, &n);
	struct doc *row = doc_map(a), *cells = doc_list(a), *conditions = row_conditions(a, k, obj);
	struct cell c = {a, k ? k : &no_kind, NULL, obj, now_ns};

	if (row == NULL || cells == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		struct doc *v = NULL;

		c.c = &cols[i];
		v = evaluate(&c);
		doc_append(cells, v ? v : doc_null(a));
	}
	doc_set(row, STR("cells"), cells);
	if (conditions)
		doc_set(row, STR("conditions"), conditions);
	if (inc == SCHEMA_INCLUDE_METADATA)
		doc_set(row, STR("object"), schema_partial(a, obj, version));
	else
		doc_set(row, STR("object"),
			inc == SCHEMA_INCLUDE_OBJECT ? borrow(a, obj) : doc_null(a));
	return row;
}

struct doc *
schema_table(struct arena *a, const struct schema_kind *k, const struct doc *const *objs, size_t n,
	const struct doc *list_meta, enum schema_include inc, bool headers, const char *version,
	int64_t now_ns)
{
	struct doc *t = doc_map(a), *rows = doc_list(a);
	struct doc *cols = headers ? schema_table_columns(a, k) : doc_null(a);

	if (t == NULL || rows == NULL || cols == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		struct doc *row = schema_table_row(a, k, objs[i], inc, version, now_ns);

		if (row == NULL)
			return NULL;
		doc_append(rows, row);
	}
	doc_set_str(a, t, STR("kind"), STR("Table"));
	doc_set_str(a, t, STR("apiVersion"), arena_fmt(a, "meta.k8s.io/%s", version));
	doc_set(t, STR("metadata"), borrow(a, list_meta));
	doc_set(t, STR("columnDefinitions"), cols);
	doc_set(t, STR("rows"), rows);
	return arena_failed(a) ? NULL : t;
}
