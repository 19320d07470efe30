/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * facts_test: the compiled kind files against the facts of the API in tests/api/facts: nothing missing, nothing
 * invented. The tables are written out in the form of the fact files and compared line by line. */
#include "tests/unit/test.h"

#include "base/disk.h"
#include "orchestrator/schema/schema.h"

static const char *const forms[SCHEMA_FORM__COUNT] = {
	[SCHEMA_STRING] = "string",
	[SCHEMA_BOOL] = "bool",
	[SCHEMA_INT32] = "int32",
	[SCHEMA_INT64] = "int64",
	[SCHEMA_DOUBLE] = "double",
	[SCHEMA_BYTES] = "bytes",
	[SCHEMA_QUANTITY] = "Quantity",
	[SCHEMA_TIME] = "Time",
	[SCHEMA_MICROTIME] = "MicroTime",
	[SCHEMA_DURATION] = "Duration",
	[SCHEMA_INTSTR] = "IntOrString",
	[SCHEMA_ANY] = "any",
	[SCHEMA_OBJECT] = "object",
	[SCHEMA_OR_BOOL] = "JSONSchemaProps|bool",
	[SCHEMA_OR_LIST] = "JSONSchemaProps|list",
	[SCHEMA_OR_STRINGS] = "JSONSchemaProps|strings",
};

static void
put_type_name(struct buf *b, const struct schema_type *t)
{
	buf_fmt(b, "%s/%s/%s", t->group[0] ? t->group : "core", t->version, t->name);
}

static void
put_rules(struct buf *b, const struct schema_rules *r)
{
	static const char *const lists[] = {NULL, "atomic", "set", "map"};
	static const char *const patches[] = {
		NULL, "merge", "retainKeys", "merge,retainKeys", "replace"};

	if (r->patch)
		buf_fmt(b, " patch=%s", patches[r->patch]);
	if (r->merge_key)
		buf_fmt(b, " key=%s", r->merge_key);
	if (r->list) {
		buf_fmt(b, " list=%s", lists[r->list]);
		for (const char *const *k = r->list_keys; k && *k; k++)
			buf_fmt(b, "%s%s", k == r->list_keys ? "(" : ",", *k);
		if (r->list_keys)
			buf_char(b, ')');
	}
	if (r->map_atomic)
		buf_cstr(b, " map=atomic");
}

static void
put_field(struct buf *b, const struct schema_field *f)
{
	static const char *const shapes[] = {"", "[]", "{}", "{}[]"};
	static const char *const emits[] = {"omitempty", "always", "omitzero"};

	buf_fmt(b, "%s %s", f->name, shapes[f->shape]);
	if (f->form == SCHEMA_STRUCT)
		put_type_name(b, f->type);
	else
		buf_cstr(b, forms[f->form]);
	if (f->number)
		buf_fmt(b, " %u", f->number);
	else
		buf_cstr(b, " -");
	buf_fmt(b, " %s%s%s", emits[f->emit], f->flags & SCHEMA_PTR ? " ptr" : "",
		f->flags & SCHEMA_REQUIRED ? " required" : "");
	if (f->rules)
		put_rules(b, f->rules);
	buf_char(b, '\n');
}

/* without_comments: the file behind its head. */
static struct str
fact_file(struct buf *b, const char *path)
{
	struct str s = STR_NONE, line = STR_NONE;

	if (disk_read_file(path, 4u << 20, b) != 0)
		return STR_NONE;
	s = buf_view(b);
	while (s.n && s.p[0] == '#')
		str_next(&s, '\n', &line);
	return s;
}

/* first_difference: prints the first line that differs. */
static bool
same(struct str facts, struct str tables)
{
	struct str x = STR_NONE, y = STR_NONE;
	struct str type = STR_NONE;

	while (str_next(&facts, '\n', &x)) {
		if (!str_next(&tables, '\n', &y))
			y = STR("(nothing)");
		if (str_starts(x, STR("T ")))
			type = x;
		if (!str_eq(x, y)) {
			printf("     below '" STR_FMT "'\n     facts  '" STR_FMT
			       "'\n     tables '" STR_FMT "'\n",
				STR_ARG(type), STR_ARG(x), STR_ARG(y));
			return false;
		}
	}
	return !str_next(&tables, '\n', &y) || y.n == 0;
}

TEST(types_are_as_the_api_has_them)
{
	const struct schema *s = schema_builtin();
	struct buf want = BUF_INIT, have = BUF_INIT;
	struct str facts = fact_file(&want, "tests/api/facts/types.txt");

	CHECK(facts.n > 0);
	for (size_t i = 0; i < s->n_types; i++) {
		const struct schema_type *t = s->types[i];

		buf_cstr(&have, "T ");
		put_type_name(&have, t);
		buf_cstr(&have, t->map_atomic ? " atomic\n" : "\n");
		for (size_t j = 0; j < t->n_inlines; j++) {
			buf_fmt(&have, "I %u ", t->inlines[j].number);
			put_type_name(&have, t->inlines[j].type);
			buf_char(&have, '\n');
		}
		for (size_t j = 0; j < t->n_fields; j++)
			put_field(&have, &t->fields[j]);
	}
	CHECK(same(facts, buf_view(&have)));
	buf_release(&want);
	buf_release(&have);
}

static void
put_list(struct buf *b, const char *const *list)
{
	buf_cstr(b, *list ? " " : " -");
	for (const char *const *p = list; *p; p++)
		buf_fmt(b, "%s%s", p == list ? "" : ",", *p);
}

static void
put_verbs(struct buf *b, uint32_t verbs, char sep)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {{SCHEMA_CREATE, "create"}, {SCHEMA_DELETE, "delete"},
		{SCHEMA_DELETECOLLECTION, "deletecollection"}, {SCHEMA_GET, "get"},
		{SCHEMA_LIST_VERB, "list"}, {SCHEMA_PATCH, "patch"}, {SCHEMA_UPDATE, "update"},
		{SCHEMA_WATCH, "watch"}};
	bool first = true;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!(verbs & names[i].bit))
			continue;
		if (!first)
			buf_char(b, sep);
		buf_cstr(b, names[i].name);
		first = false;
	}
}

TEST(kinds_are_as_the_api_has_them)
{
	const struct schema *s = schema_builtin();
	struct buf want = BUF_INIT, have = BUF_INIT;
	struct str facts = fact_file(&want, "tests/api/facts/kinds.txt");

	CHECK(facts.n > 0);
	for (size_t i = 0; i < s->n_kinds; i++) {
		const struct schema_kind *k = s->kinds[i];

		buf_fmt(&have, "%s %s %s %s %s %s", k->group[0] ? k->group : "core", k->version,
			k->kind, k->list_kind[0] ? k->list_kind : "-", k->plural, k->singular);
		put_list(&have, k->short_names);
		put_list(&have, k->categories);
		buf_cstr(&have, k->namespaced ? " Namespaced " : " Cluster ");
		put_verbs(&have, k->verbs, ',');
		buf_fmt(&have, " %s ", k->storage_hash[0] ? k->storage_hash : "-");
		if (k->n_subs == 0)
			buf_char(&have, '-');
		for (size_t j = 0; j < k->n_subs; j++) {
			buf_fmt(&have, "%s%s:", j ? "," : "", k->subs[j].name);
			put_type_name(&have, k->subs[j].type);
			buf_char(&have, ':');
			put_verbs(&have, k->subs[j].verbs, '+');
		}
		buf_char(&have, '\n');
	}
	CHECK(same(facts, buf_view(&have)));
	buf_release(&want);
	buf_release(&have);
}
