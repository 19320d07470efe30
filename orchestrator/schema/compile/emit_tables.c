/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * emit_tables: the const tables of all types and kinds as one C file. Offsets are left to the C compiler
 * (offsetof), so that tables and structs agree by construction. Equal rules and string lists are
 * written once. Output depends on the input only. */
#include "orchestrator/schema/compile/model.h"

#include <stdlib.h>

struct emitter {
	struct model *m;
	struct buf *out;
	struct buf *pool; /* definitions that must come before the one being written */
	struct str *texts;
	size_t n_texts;
};

void
quote(struct buf *out, struct str s)
{
	buf_char(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_char(out, '\\');
		buf_char(out, s.p[i]);
	}
	buf_char(out, '"');
}

/* pooled: number of a definition; the same body is written once as `static const TYPE PREFIX<n>BODY`. */
static size_t
pooled(struct emitter *e, const char *type, const char *prefix, struct str body)
{
	struct str text = arena_fmt(e->m->a, "%s %s" STR_FMT, type, prefix, STR_ARG(body));

	for (size_t i = 0; i < e->n_texts; i++)
		if (str_eq(e->texts[i], text))
			return i;
	*ARENA_PUSH(e->m->a, e->texts, e->n_texts) = text;
	buf_fmt(e->pool, "static const %s %s%zu" STR_FMT ";\n", type, prefix, e->n_texts - 1,
		STR_ARG(body));
	return e->n_texts - 1;
}

static struct str
strings(struct emitter *e, const struct str *list, size_t n)
{
	struct buf b;

	buf_init_arena(&b, e->m->a);
	buf_cstr(&b, "[] = {");
	for (size_t i = 0; i < n; i++) {
		quote(&b, list[i]);
		buf_cstr(&b, ", ");
	}
	buf_cstr(&b, "NULL}");
	return arena_fmt(e->m->a, "s%zu", pooled(e, "char *const", "s", buf_view(&b)));
}

static struct str
rules_of(struct emitter *e, const struct cfield *f)
{
	struct buf b;

	buf_init_arena(&b, e->m->a);
	if (f->dflt.n) {
		buf_cstr(&b, " .dflt = ");
		quote(&b, f->dflt);
		buf_char(&b, ',');
	}
	if (f->n_enums)
		buf_fmt(&b, " .enums = " STR_FMT ",", STR_ARG(strings(e, f->enums, f->n_enums)));
	if (f->merge_key.n) {
		buf_cstr(&b, " .merge_key = ");
		quote(&b, f->merge_key);
		buf_char(&b, ',');
	}
	if (f->n_list_keys)
		buf_fmt(&b, " .list_keys = " STR_FMT ",",
			STR_ARG(strings(e, f->list_keys, f->n_list_keys)));
	if (f->patch)
		buf_fmt(&b, " .patch = %u,", f->patch);
	if (f->list)
		buf_fmt(&b, " .list = %u,", f->list);
	if (f->map_atomic)
		buf_cstr(&b, " .map_atomic = true,");
	if (f->map_granular)
		buf_cstr(&b, " .map_granular = true,");
	if (f->has_min)
		buf_fmt(&b, " .has_min = true, .min = %lld,", (long long)f->min);
	if (f->has_max)
		buf_fmt(&b, " .has_max = true, .max = %lld,", (long long)f->max);
	if (f->format)
		buf_fmt(&b, " .format = %u,", f->format);
	if (f->max_items)
		buf_fmt(&b, " .max_items = %u,", f->max_items);
	if (f->max_length)
		buf_fmt(&b, " .max_length = %u,", f->max_length);
	if (b.len == 0)
		return STR("NULL");
	return arena_fmt(e->m->a, "&r%zu",
		pooled(e, "struct schema_rules", "r",
			arena_fmt(e->m->a, " = {" STR_FMT "}", STR_ARG(buf_view(&b)))));
}

static bool
aux_is_flag(const struct cfield *f)
{
	return (f->flags & SCHEMA_PTR) &&
		(f->form == SCHEMA_BOOL || f->form == SCHEMA_INT32 || f->form == SCHEMA_INT64 ||
			f->form == SCHEMA_DOUBLE || f->form == SCHEMA_DURATION);
}

static void
emit_field(struct emitter *e, struct buf *out, const struct ctype *t, const struct cfield *f)
{
	const char *aux = f->shape != SCHEMA_ONE ? "n_" : aux_is_flag(f) ? "has_" : NULL;

	buf_cstr(out, "\t{");
	quote(out, f->name);
	buf_cstr(out, " \"\\0\" ");
	quote(out, f->description);
	if (f->type)
		buf_fmt(out, ", &schema_type_" STR_FMT, STR_ARG(f->type->cname));
	else
		buf_cstr(out, ", NULL");
	buf_fmt(out,
		", " STR_FMT ", %zu, %d, %d, %d, %u, %u,\n\t\toffsetof(struct " STR_FMT ", " STR_FMT
		"), ",
		STR_ARG(rules_of(e, f)), f->name.n, (int)f->form, (int)f->shape, f->emit, f->flags,
		f->number, STR_ARG(t->cname), STR_ARG(f->member));
	if (aux)
		buf_fmt(out, "offsetof(struct " STR_FMT ", %s" STR_FMT ")},\n", STR_ARG(t->cname),
			aux, STR_ARG(f->member));
	else
		buf_cstr(out, "0},\n");
}

static const struct ctype *sorting;

static int
by_name(const void *x, const void *y)
{
	return str_cmp(sorting->fields[*(const uint16_t *)x].name,
		sorting->fields[*(const uint16_t *)y].name);
}

static int
by_number(const void *x, const void *y)
{
	unsigned a = sorting->fields[*(const uint16_t *)x].number;
	unsigned b = sorting->fields[*(const uint16_t *)y].number;

	return a < b ? -1 : a > b;
}

/* emit_index: field indices in an order; gives the name of the pooled array. */
static struct str
emit_index(struct emitter *e, const struct ctype *t, bool numbers, size_t *ret_n)
{
	uint16_t idx[1024];
	size_t n = 0;
	struct buf b;

	buf_init_arena(&b, e->m->a);
	for (size_t i = 0; i < t->n_fields; i++)
		if (!numbers || t->fields[i].number)
			idx[n++] = (uint16_t)i;
	sorting = t;
	qsort(idx, n, sizeof(idx[0]), numbers ? by_number : by_name);
	for (size_t i = 1; numbers && i < n; i++)
		if (t->fields[idx[i]].number == t->fields[idx[i - 1]].number)
			die(t->file, t->fields[idx[i]].line, "protobuf number %u stands twice",
				t->fields[idx[i]].number);
	*ret_n = n;
	if (n == 0)
		return STR("NULL");
	buf_cstr(&b, "[] = {");
	for (size_t i = 0; i < n; i++)
		buf_fmt(&b, "%s%u", i ? ", " : "", idx[i]);
	buf_char(&b, '}');
	return arena_fmt(e->m->a, "i%zu", pooled(e, "uint16_t", "i", buf_view(&b)));
}

static void
emit_type(struct emitter *e, const struct ctype *t)
{
	struct buf fields, pool;
	size_t n_names = 0, n_numbers = 0;
	struct str names = STR_NONE, numbers = STR_NONE;

	buf_init_arena(&fields, e->m->a);
	buf_init_arena(&pool, e->m->a);
	e->pool = &pool;
	if (t->n_fields > 1000)
		die(t->file, t->line, "too many fields");
	for (size_t i = 0; i < t->n_fields; i++)
		emit_field(e, &fields, t, &t->fields[i]);
	names = emit_index(e, t, false, &n_names);
	numbers = emit_index(e, t, true, &n_numbers);
	buf_char(e->out, '\n');
	buf_str(e->out, buf_view(&pool));
	if (t->n_fields)
		buf_fmt(e->out,
			"static const struct schema_field f_" STR_FMT "[] = {\n" STR_FMT "};\n",
			STR_ARG(t->cname), STR_ARG(buf_view(&fields)));
	if (t->n_inlines) {
		buf_fmt(e->out, "static const struct schema_inline n_" STR_FMT "[] = {\n",
			STR_ARG(t->cname));
		for (size_t i = 0; i < t->n_inlines; i++)
			buf_fmt(e->out, "\t{%u, &schema_type_" STR_FMT "},\n", t->inlines[i].number,
				STR_ARG(t->inlines[i].type->cname));
		buf_cstr(e->out, "};\n");
	}
	if (t->hook && !t->projection_of)
		buf_fmt(e->out, "void schema_hook_" STR_FMT "(struct arena *a, struct doc *d);\n",
			STR_ARG(t->cname));
	if (t->check && !t->projection_of)
		buf_fmt(e->out,
			"void schema_check_" STR_FMT
			"(const struct schema_spot *s, const struct doc *d, const struct doc *old);\n",
			STR_ARG(t->cname));
	buf_fmt(e->out, "const struct schema_type schema_type_" STR_FMT " = {\n\t.name = ",
		STR_ARG(t->cname));
	quote(e->out, t->name);
	buf_cstr(e->out, ", .group = ");
	quote(e->out, t->group);
	buf_cstr(e->out, ", .version = ");
	quote(e->out, t->version);
	buf_cstr(e->out, ",\n\t.description = ");
	quote(e->out, t->description);
	if (t->n_fields)
		buf_fmt(e->out, ",\n\t.fields = f_" STR_FMT, STR_ARG(t->cname));
	buf_fmt(e->out, ",\n\t.by_name = " STR_FMT ", .by_number = " STR_FMT, STR_ARG(names),
		STR_ARG(numbers));
	if (t->n_inlines)
		buf_fmt(e->out, ", .inlines = n_" STR_FMT, STR_ARG(t->cname));
	buf_fmt(e->out,
		",\n\t.n_fields = %zu, .n_numbers = %zu, .n_inlines = %zu, .size = sizeof(struct " STR_FMT
		")",
		t->n_fields, n_numbers, t->n_inlines, STR_ARG(t->cname));
	if (t->hook && !t->projection_of)
		buf_fmt(e->out, ",\n\t.hook = schema_hook_" STR_FMT, STR_ARG(t->cname));
	if (t->check && !t->projection_of)
		buf_fmt(e->out, ",\n\t.check = schema_check_" STR_FMT, STR_ARG(t->cname));
	if (t->map_atomic)
		buf_cstr(e->out, ", .map_atomic = true");
	if (t->defaults)
		buf_cstr(e->out, ", .defaults = true");
	if (t->root)
		buf_cstr(e->out, ", .root = true");
	buf_cstr(e->out, ",\n};\n");
}

static void
member(struct buf *out, const char *name, struct str value)
{
	buf_fmt(out, "\t.%s = ", name);
	quote(out, value);
	buf_cstr(out, ",\n");
}

static void
emit_subs(struct emitter *e, const struct ckind *k)
{
	if (k->n_subs == 0)
		return;
	buf_fmt(e->out, "static const struct schema_subresource u_" STR_FMT "[] = {\n",
		STR_ARG(k->type->cname));
	for (size_t i = 0; i < k->n_subs; i++) {
		const struct csub *s = &k->subs[i];

		buf_cstr(e->out, "\t{");
		quote(e->out, s->name);
		buf_cstr(e->out, ", ");
		quote(e->out, s->type->group);
		buf_cstr(e->out, ", ");
		quote(e->out, s->type->version);
		buf_cstr(e->out, ", ");
		quote(e->out, s->type->name);
		buf_fmt(e->out, ", &schema_type_" STR_FMT ", 0x%x},\n", STR_ARG(s->type->cname),
			s->verbs);
	}
	buf_cstr(e->out, "};\n");
}

static void
emit_columns(struct emitter *e, const struct ckind *k)
{
	if (k->n_columns == 0)
		return;
	buf_fmt(e->out, "static const struct schema_column c_" STR_FMT "[] = {\n",
		STR_ARG(k->type->cname));
	for (size_t i = 0; i < k->n_columns; i++) {
		const struct ccolumn *c = &k->columns[i];

		buf_cstr(e->out, "\t{");
		quote(e->out, c->name);
		buf_cstr(e->out, ", ");
		quote(e->out, c->type);
		buf_cstr(e->out, ", ");
		quote(e->out, c->format);
		buf_cstr(e->out, ", ");
		quote(e->out, c->description);
		buf_fmt(e->out, ", %d, ", c->wide ? 1 : 0);
		quote(e->out, c->cell);
		buf_cstr(e->out, "},\n");
	}
	buf_cstr(e->out, "};\n");
}

static void
emit_selects(struct emitter *e, const struct ckind *k)
{
	if (k->n_selects == 0)
		return;
	buf_fmt(e->out, "static const struct schema_selectable l_" STR_FMT "[] = {\n",
		STR_ARG(k->type->cname));
	for (size_t i = 0; i < k->n_selects; i++) {
		buf_cstr(e->out, "\t{");
		quote(e->out, k->selects[i].label);
		buf_cstr(e->out, ", ");
		quote(e->out, k->selects[i].path);
		buf_cstr(e->out, ", ");
		quote(e->out, k->selects[i].attr);
		buf_cstr(e->out, "},\n");
	}
	buf_cstr(e->out, "};\n");
}

static void
emit_kind(struct emitter *e, const struct ckind *k)
{
	struct str cname = k->type->cname, shorts = STR_NONE, categories = STR_NONE;
	struct buf pool;

	buf_init_arena(&pool, e->m->a);
	e->pool = &pool;
	shorts = strings(e, k->short_names, k->n_short_names);
	categories = strings(e, k->categories, k->n_categories);
	buf_char(e->out, '\n');
	buf_str(e->out, buf_view(&pool));
	emit_subs(e, k);
	emit_columns(e, k);
	emit_selects(e, k);
	buf_fmt(e->out, "static const struct schema_kind k_" STR_FMT " = {\n", STR_ARG(cname));
	member(e->out, "group", k->type->group);
	member(e->out, "version", k->type->version);
	member(e->out, "kind", k->type->name);
	member(e->out, "list_kind", k->list_kind);
	member(e->out, "plural", k->plural);
	member(e->out, "singular", k->singular);
	member(e->out, "storage_hash", k->hash);
	member(e->out, "storage_group", k->storage_group);
	member(e->out, "storage_version", k->storage_version);
	buf_fmt(e->out, "\t.short_names = " STR_FMT ", .categories = " STR_FMT ",\n",
		STR_ARG(shorts), STR_ARG(categories));
	buf_fmt(e->out, "\t.type = &schema_type_" STR_FMT ",\n", STR_ARG(cname));
	if (k->n_subs)
		buf_fmt(e->out, "\t.subs = u_" STR_FMT ", .n_subs = %zu,\n", STR_ARG(cname),
			k->n_subs);
	if (k->n_columns)
		buf_fmt(e->out, "\t.columns = c_" STR_FMT ", .n_columns = %zu,\n", STR_ARG(cname),
			k->n_columns);
	if (k->n_selects)
		buf_fmt(e->out, "\t.selectables = l_" STR_FMT ", .n_selectables = %zu,\n",
			STR_ARG(cname), k->n_selects);
	buf_fmt(e->out,
		"\t.flags = 0x%x, .verbs = 0x%x, .name_format = %u, .namespaced = %s,\n};\n",
		k->flags, k->verbs, k->name_format, k->namespaced ? "true" : "false");
}

static void
emit_lists(struct emitter *e)
{
	size_t n_kinds = 0, n_types = 0, n_groups = 0;

	buf_cstr(e->out, "\nstatic const struct schema_kind *const kinds[] = {\n");
	for (size_t i = 0; i < e->m->n_types; i++) {
		if (!e->m->types[i]->kind)
			continue;
		buf_fmt(e->out, "\t&k_" STR_FMT ",\n", STR_ARG(e->m->types[i]->cname));
		n_kinds++;
	}
	buf_cstr(e->out, "};\nstatic const struct schema_type *const types[] = {\n");
	for (size_t i = 0; i < e->m->n_types; i++) {
		if (e->m->types[i]->projection_of)
			continue;
		buf_fmt(e->out, "\t&schema_type_" STR_FMT ",\n", STR_ARG(e->m->types[i]->cname));
		n_types++;
	}
	buf_cstr(e->out, "};\nstatic const struct schema_group_version groups[] = {\n");
	for (size_t i = 0; i < e->m->n_groups; i++) {
		if (e->m->groups[i].order == 0)
			continue;
		buf_cstr(e->out, "\t{");
		quote(e->out, e->m->groups[i].group);
		buf_cstr(e->out, ", ");
		quote(e->out, e->m->groups[i].version);
		buf_cstr(e->out, "},\n");
		n_groups++;
	}
	buf_fmt(e->out,
		"};\n\nconst struct schema schema_tables = {kinds, %zu, types, %zu, groups, %zu};\n",
		n_kinds, n_types, n_groups);
}

void
emit_tables(struct model *m, struct buf *out)
{
	struct emitter e = {.m = m, .out = out};

	buf_cstr(out, "/* Made by the schema compiler from kinds/: do not edit. */\n");
	for (size_t i = 0; i < m->n_groups; i++)
		buf_fmt(out, "#include \"kinds/" STR_FMT "_" STR_FMT ".h\"\n",
			STR_ARG(m->groups[i].label), STR_ARG(m->groups[i].version));
	buf_cstr(out,
		"#include \"kinds/projections_v1.h\"\n\nextern const struct schema schema_tables;\n");
	for (size_t i = 0; i < m->n_types; i++)
		emit_type(&e, m->types[i]);
	for (size_t i = 0; i < m->n_types; i++)
		if (m->types[i]->kind)
			emit_kind(&e, m->types[i]->kind);
	emit_lists(&e);
}
