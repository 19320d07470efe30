/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * openapi_v2_schema: the definitions of OpenAPI 2.0, of every kind that is served, as JSON and as protobuf. Those of
 * built-in kinds are made of their version 3 schemas: a reference stands by itself, defaults are not said, and an
 * alternative of types is a string.
 * Source: gnostic openapi.v2 (protobuf numbers); k8s.io/apiserver pkg/server/config (GetDefinitions for version 2). */
#include "orchestrator/schema/publish_int.h"

/* ---- from version 3 ---- */

static void downgrade(struct arena *a, struct doc *d, size_t depth);

static void
downgrade_all(struct arena *a, struct doc *d, size_t depth)
{
	DOC_EACH (m, d)
		if (m->type == DOC_MAP)
			downgrade(a, m, depth);
}

static void
set_ref(struct arena *a, struct doc *d, struct str ref)
{
	static const struct str from = STR_INIT("#/components/schemas/");

	doc_set_str(a, d, STR("$ref"),
		arena_fmt(a, "#/definitions/" STR_FMT, STR_ARG(str_sub(ref, from.n, SIZE_MAX))));
}

static void
downgrade(struct arena *a, struct doc *d, size_t depth)
{
	struct str ref = doc_get_str(d, STR("$ref"));
	const struct doc *all = doc_get(d, STR("allOf"));
	bool either = doc_get(d, STR("oneOf")) != NULL;

	if (depth > SCHEMA_MAX_WALK)
		return;
	if (all && all->type == DOC_LIST && all->first)
		ref = doc_get_str(all->first, STR("$ref"));
	doc_set(d, STR("allOf"), NULL);
	doc_set(d, STR("oneOf"), NULL);
	doc_set(d, STR("default"), NULL);
	if (ref.n)
		set_ref(a, d, ref);
	if (either)
		doc_set_str(a, d, STR("type"), STR("string"));
	downgrade_all(a, doc_get(d, STR("properties")), depth + 1);
	for (size_t i = 0; i < 2; i++) {
		struct doc *below = doc_get(d, i ? STR("items") : STR("additionalProperties"));

		if (below && below->type == DOC_MAP)
			downgrade(a, below, depth + 1);
	}
}

void
openapi_v2_gvk(
	struct arena *a, struct doc *d, const char *group, const char *version, const char *kind)
{
	struct doc *list = doc_list(a), *one = doc_map(a);

	if (list == NULL || one == NULL)
		return;
	doc_set_str(a, one, STR("group"), str_c(group));
	doc_set_str(a, one, STR("kind"), str_c(kind));
	doc_set_str(a, one, STR("version"), str_c(version));
	doc_append(list, one);
	doc_set(d, STR("x-kubernetes-group-version-kind"), list);
}

/* ---- protobuf ---- */

enum member_form { M_TEXT, M_DOUBLE, M_FLAG, M_COUNT, M_ANY };
/* Members of Schema. */
static const struct {
	const char *name;
	uint32_t number;
	enum member_form form;
} members[] = {
	{"$ref", 1, M_TEXT},
	{"format", 2, M_TEXT},
	{"title", 3, M_TEXT},
	{"description", 4, M_TEXT},
	{"default", 5, M_ANY},
	{"multipleOf", 6, M_DOUBLE},
	{"maximum", 7, M_DOUBLE},
	{"exclusiveMaximum", 8, M_FLAG},
	{"minimum", 9, M_DOUBLE},
	{"exclusiveMinimum", 10, M_FLAG},
	{"maxLength", 11, M_COUNT},
	{"minLength", 12, M_COUNT},
	{"pattern", 13, M_TEXT},
	{"maxItems", 14, M_COUNT},
	{"minItems", 15, M_COUNT},
	{"uniqueItems", 16, M_FLAG},
	{"maxProperties", 17, M_COUNT},
	{"minProperties", 18, M_COUNT},
};

static void
put_message(struct buf *out, uint32_t number, struct buf *in)
{
	out->failed |= in->failed;
	proto_put_bytes(out, number, buf_view(in));
	buf_release(in);
	*in = (struct buf)BUF_INIT;
}

/* Any{2 yaml}: JSON is YAML. */
static void
put_any(struct buf *out, uint32_t number, const struct doc *d)
{
	struct buf json = BUF_INIT, any = BUF_INIT;

	doc_write_json(&json, d);
	put_message(&any, 2, &json);
	put_message(out, number, &any);
}

static void
put_extension(struct buf *out, const struct doc *m)
{
	struct buf named = BUF_INIT;

	proto_put_bytes(&named, 1, m->key); /* NamedAny{1 name, 2 value} */
	put_any(&named, 2, m);
	put_message(out, 31, &named);
}

static void
put_member(struct buf *out, const struct doc *m)
{
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		if (!str_eq_c(m->key, members[i].name))
			continue;
		switch (members[i].form) {
		case M_TEXT:
			proto_put_bytes(out, members[i].number, doc_as_str(m));
			return;
		case M_DOUBLE:
			proto_put_double(
				out, members[i].number, m->type == DOC_INT ? (double)m->i : m->d);
			return;
		case M_FLAG:
			if (m->type == DOC_BOOL && m->b)
				proto_put_varint(out, members[i].number, 1);
			return;
		case M_COUNT:
			proto_put_varint(out, members[i].number, (uint64_t)doc_as_int(m, 0));
			return;
		case M_ANY:
			put_any(out, members[i].number, m);
			return;
		}
	}
	if (str_starts(m->key, STR("x-")) && !doc_is_zero(m))
		put_extension(out, m);
}

static void put_schema(struct buf *out, const struct doc *d, size_t depth);

/* NamedSchema{1 name, 2 value} as field 1 of out. */
static void
put_named(struct buf *out, struct str name, const struct doc *d, size_t depth)
{
	struct buf named = BUF_INIT, one = BUF_INIT;

	proto_put_bytes(&named, 1, name);
	put_schema(&one, d, depth);
	put_message(&named, 2, &one);
	put_message(out, 1, &named);
}

static void
put_below(struct buf *out, const struct doc *m, size_t depth)
{
	struct buf one = BUF_INIT, item = BUF_INIT;

	if (str_eq_c(m->key, "properties")) {
		DOC_EACH (p, m)
			put_named(&item, p->key, p, depth);
		put_message(out, 25, &item);
	} else if (str_eq_c(m->key, "items")) {
		put_schema(&one, m, depth);
		put_message(&item, 1, &one);
		put_message(out, 23, &item);
	} else if (str_eq_c(m->key, "additionalProperties")) {
		if (m->type == DOC_MAP) {
			put_schema(&one, m, depth);
			put_message(&item, 1, &one);
		} else {
			proto_put_varint(&item, 2, m->type == DOC_BOOL && m->b);
		}
		put_message(out, 21, &item);
	}
	buf_release(&one);
	buf_release(&item);
}

static void
put_schema(struct buf *out, const struct doc *d, size_t depth)
{
	struct buf item = BUF_INIT;

	if (depth > SCHEMA_MAX_WALK)
		return;
	DOC_EACH (m, d) {
		put_member(out, m);
		put_below(out, m, depth + 1);
		if (str_eq_c(m->key, "type") && m->type == DOC_STR) {
			proto_put_bytes(&item, 1, m->s);
			put_message(out, 22, &item);
		}
		if (str_eq_c(m->key, "required"))
			DOC_EACH (k, m)
				proto_put_bytes(out, 19, doc_as_str(k));
		if (str_eq_c(m->key, "enum"))
			DOC_EACH (k, m)
				put_any(out, 20, k);
	}
}

/* ---- all of them ---- */

struct all {
	struct buf *proto;  /* Definitions, or */
	struct json_out *j; /* members of an open object */
};

static void
put_definition(struct all *all, struct arena *a, struct str name, const struct doc *d)
{
	struct buf b;

	if (all->proto) {
		put_named(all->proto, name, d, 0);
		return;
	}
	buf_init_arena(&b, a);
	doc_write_json(&b, d);
	buf_char(&b, 0);
	json_raw(all->j, arena_cstr(a, name), b.failed ? "null" : b.data);
}

static void
on_builtin(void *arg, struct arena *a, struct str name, struct doc *d)
{
	downgrade(a, d, 0);
	put_definition(arg, a, name, d);
}

/* False: no memory. */
static bool
put_all(const struct schema *s, struct all *all)
{
	struct arena *a = arena_new(64u << 20);
	bool good = a && openapi_each(s, on_builtin, all) == 0;

	for (size_t i = 0; good && i < s->n_kinds; i++) {
		const struct schema_kind *k = s->kinds[i];
		struct doc *one = NULL, *list = NULL;

		if (!k->custom || !(k->flags & SCHEMA_KIND_SERVED))
			continue;
		one = openapi_v2_custom(a, k);
		list = openapi_v2_custom_list(a, k);
		good = one && list && !arena_failed(a);
		if (good) {
			put_definition(all, a, schema_openapi_name(a, k->type), one);
			put_definition(all, a, openapi_list_name(a, s, k), list);
		}
		arena_clear(a);
	}
	arena_free(a);
	return good;
}

void
openapi_v2_definitions(const struct schema *s, struct buf *out)
{
	struct buf all = BUF_INIT;

	if (!put_all(s, &(struct all){.proto = &all}))
		out->failed = true;
	put_message(out, 9, &all); /* Document{9 definitions} */
}

void
openapi_v2_json_definitions(const struct schema *s, struct json_out *j)
{
	json_object(j, "definitions");
	if (!put_all(s, &(struct all){.j = j}))
		j->b->failed = true;
	json_end_object(j);
}
