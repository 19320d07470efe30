/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * openapi_v2_custom: definitions of custom resources in OpenAPI 2.0, as protobuf and JSON. What version 2 does not know goes:
 * combinations, nullable (the type goes with it), what is below a value that keeps unknown members.
 * Source: gnostic openapi.v2 (numbers); apiextensions-apiserver pkg/controller/openapi/v2 (behaviour). */
#include "orchestrator/schema/publish_int.h"
#include "orchestrator/schema/structural_int.h"

/* Members of Schema, by type. */
static const struct {
	const char *name;
	uint32_t number;
} texts[] = {{"format", 2}, {"title", 3}, {"description", 4}, {"pattern", 13}},
  doubles[] = {{"multipleOf", 6}, {"maximum", 7}, {"minimum", 9}},
  flags[] = {{"exclusiveMaximum", 8}, {"exclusiveMinimum", 10}},
  counts[] = {{"maxLength", 11}, {"minLength", 12}, {"maxItems", 14}, {"minItems", 15},
	  {"maxProperties", 17}, {"minProperties", 18}},
  extensions[] = {{"x-kubernetes-preserve-unknown-fields", 31},
	  {"x-kubernetes-embedded-resource", 31}, {"x-kubernetes-int-or-string", 31},
	  {"x-kubernetes-list-map-keys", 31}, {"x-kubernetes-list-type", 31},
	  {"x-kubernetes-map-type", 31}, {"x-kubernetes-validations", 31}};

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
put_named_any(struct buf *out, uint32_t number, const char *name, struct str yaml)
{
	struct buf any = BUF_INIT, named = BUF_INIT;

	proto_put_bytes(&any, 2, yaml);
	proto_put_bytes(&named, 1, str_c(name));
	put_message(&named, 2, &any);
	put_message(out, number, &named);
}

static void
put_type_name(struct buf *out, struct str name)
{
	struct buf item = BUF_INIT;

	proto_put_bytes(&item, 1, name);
	put_message(out, 22, &item);
}

static void
put_values(struct buf *out, const struct structural *n)
{
	const struct doc *d = n->source;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (doc_get_str(d, str_c(texts[i].name)).n)
			proto_put_bytes(out, texts[i].number, doc_get_str(d, str_c(texts[i].name)));
	if (n->dflt)
		put_any(out, 5, n->dflt);
	for (size_t i = 0; i < ARRAY_LEN(doubles); i++) {
		const struct doc *v = doc_get(d, str_c(doubles[i].name));

		if (v && (v->type == DOC_INT || v->type == DOC_DOUBLE))
			proto_put_double(
				out, doubles[i].number, v->type == DOC_INT ? (double)v->i : v->d);
	}
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (doc_get_bool(d, str_c(flags[i].name), false))
			proto_put_varint(out, flags[i].number, 1);
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		const struct doc *v = doc_get(d, str_c(counts[i].name));

		if (v)
			proto_put_varint(out, counts[i].number, (uint64_t)doc_as_int(v, 0));
	}
	DOC_EACH (x, doc_get(d, STR("enum")))
		put_any(out, 20, x);
}

static void
put_required(struct buf *out, const struct structural *n)
{
	if (n->additional && n->additional->nullable)
		return;
	DOC_EACH (k, n->values ? n->values->required : NULL) {
		const struct structural *child = structural_prop_find(n, doc_as_str(k));

		if (child == NULL || !child->nullable)
			proto_put_bytes(out, 19, doc_as_str(k));
	}
}

static void put_schema(struct buf *out, const struct structural *n, size_t depth);

static void
put_named(struct buf *out, struct str name, struct buf *schema)
{
	struct buf named = BUF_INIT;

	proto_put_bytes(&named, 1, name);
	put_message(&named, 2, schema);
	put_message(out, 1, &named);
}

static void
put_children(struct buf *out, const struct structural *n, struct buf *props, size_t depth)
{
	struct buf one = BUF_INIT, item = BUF_INIT;

	if (n->additional) {
		put_schema(&one, n->additional, depth);
		put_message(&item, 1, &one);
		put_message(out, 21, &item);
	} else if (n->any_additional) {
		proto_put_varint(&item, 2, 1);
		put_message(out, 21, &item);
	}
	if (n->items) {
		put_schema(&one, n->items, depth);
		put_message(&item, 1, &one);
		put_message(out, 23, &item);
	}
	for (size_t i = 0; i < n->n_props; i++) {
		put_schema(&one, n->props[i].node, depth);
		put_named(props, n->props[i].name, &one);
	}
}

/* What stands below a value that keeps what it does not know, or may be null, is not said. */
static bool
is_open(const struct structural *n)
{
	return n->nullable || n->preserve;
}

static void
put_schema(struct buf *out, const struct structural *n, size_t depth)
{
	struct str type = doc_get_str(n->source, STR("type"));
	struct buf props = BUF_INIT;
	bool array = str_eq_c(type, "array"), no_items = is_open(n) || n->items == NULL;

	if (depth > SCHEMA_MAX_WALK)
		return;
	put_values(out, n);
	put_required(out, n);
	if (type.n && !n->nullable && !(array && no_items) &&
		!(n->preserve && str_eq_c(type, "object")))
		put_type_name(out, type);
	if (!is_open(n)) {
		put_children(out, n, &props, depth + 1);
		if (props.len)
			put_message(out, 25, &props);
	}
	for (size_t i = 0; i < ARRAY_LEN(extensions); i++) {
		const struct doc *v = doc_get(n->source, str_c(extensions[i].name));
		struct buf json = BUF_INIT;

		if (v == NULL || doc_is_zero(v))
			continue;
		doc_write_json(&json, v);
		out->failed |= json.failed;
		put_named_any(out, extensions[i].number, extensions[i].name, buf_view(&json));
		buf_release(&json);
	}
	buf_release(&props);
}

static void
put_root(struct buf *out, const struct structural *n)
{
	static const struct {
		const char *name, *type;
	} own[] = {{"apiVersion", "string"}, {"kind", "string"}, {"metadata", "object"}};
	struct buf props = BUF_INIT, one = BUF_INIT;

	put_type_name(out, STR("object"));
	if (n->preserve)
		return;
	put_values(out, n);
	put_required(out, n);
	for (size_t i = 0; i < ARRAY_LEN(own); i++) {
		put_type_name(&one, str_c(own[i].type));
		put_named(&props, str_c(own[i].name), &one);
	}
	for (size_t i = 0; i < n->n_props; i++) {
		if (structural_is_meta(n->props[i].name))
			continue;
		put_schema(&one, n->props[i].node, 1);
		put_named(&props, n->props[i].name, &one);
	}
	put_message(out, 25, &props);
}

void
openapi_v2_definitions(const struct schema *s, struct buf *out)
{
	struct arena *a = arena_new(1u << 20);
	struct buf all = BUF_INIT, one = BUF_INIT;

	for (size_t i = 0; a && i < s->n_kinds; i++) {
		const struct schema_kind *k = s->kinds[i];

		if (!k->custom || !(k->flags & SCHEMA_KIND_SERVED))
			continue;
		put_root(&one, k->type->structural);
		put_named_any(&one, 31, "x-kubernetes-group-version-kind",
			arena_fmt(a, "- group: %s\n  kind: %s\n  version: %s\n", k->group, k->kind,
				k->version));
		put_named(&all, schema_openapi_name(a, k->type), &one);
		arena_clear(a);
	}
	if (a == NULL)
		out->failed = true;
	if (all.len)
		put_message(out, 9, &all); /* Document{9 definitions} */
	buf_release(&all);
	arena_free(a);
}

/* ---- JSON ---- */

static struct doc *json_of(struct arena *a, const struct structural *n, size_t depth);

static void
json_children(struct arena *a, struct doc *d, const struct structural *n, size_t depth)
{
	struct doc *props = n->n_props ? doc_map(a) : NULL;

	if (n->items)
		doc_set(d, STR("items"), json_of(a, n->items, depth));
	if (n->additional)
		doc_set(d, STR("additionalProperties"), json_of(a, n->additional, depth));
	else if (n->any_additional)
		doc_set_bool(a, d, STR("additionalProperties"), true);
	for (size_t i = 0; props && i < n->n_props; i++)
		doc_set(props, n->props[i].name, json_of(a, n->props[i].node, depth));
	if (props)
		doc_set(d, STR("properties"), props);
}

/* The same node as JSON: what the source says of values, without what version 2 lacks. */
static struct doc *
json_of(struct arena *a, const struct structural *n, size_t depth)
{
	static const char *const gone[] = {"allOf", "anyOf", "oneOf", "not", "nullable", "items",
		"properties", "additionalProperties", "required"};
	struct str type = doc_get_str(n->source, STR("type"));
	struct doc *d = doc_map(a), *required = doc_list(a);
	bool untyped = n->nullable || (str_eq_c(type, "array") && (is_open(n) || !n->items)) ||
		(n->preserve && str_eq_c(type, "object"));

	if (d == NULL || required == NULL || depth > SCHEMA_MAX_WALK)
		return NULL;
	DOC_EACH (m, n->source) {
		bool drop = untyped && str_eq_c(m->key, "type");

		for (size_t i = 0; i < ARRAY_LEN(gone); i++)
			drop |= str_eq_c(m->key, gone[i]);
		if (!drop)
			doc_set(d, m->key, doc_copy(a, m));
	}
	DOC_EACH (k,
		n->values && !(n->additional && n->additional->nullable) ? n->values->required
									 : NULL) {
		const struct structural *child = structural_prop_find(n, doc_as_str(k));

		if (child == NULL || !child->nullable)
			doc_append(required, doc_copy(a, k));
	}
	if (required->n)
		doc_set(d, STR("required"), required);
	if (!is_open(n))
		json_children(a, d, n, depth + 1);
	return d;
}

static void
json_root(struct arena *a, struct json_out *j, const struct schema_kind *k)
{
	static const char *const own[] = {"apiVersion", "kind", "metadata"};
	const struct structural *n = k->type->structural;
	struct doc *d = n->preserve ? doc_map(a) : json_of(a, n, 0);
	struct doc *props = d && !n->preserve ? doc_ensure_map(a, d, STR("properties")) : NULL;

	if (d)
		doc_set_str(a, d, STR("type"), STR("object"));
	for (size_t i = 0; props && i < ARRAY_LEN(own); i++) {
		struct doc *t = doc_map(a);

		if (t)
			doc_set_str(a, t, STR("type"), i == 2 ? STR("object") : STR("string"));
		doc_set(props, str_c(own[i]), t);
	}
	json_object(j, schema_openapi_name(a, k->type).p);
	DOC_EACH (m, d) {
		struct buf b;

		buf_init_arena(&b, a);
		doc_write_json(&b, m);
		buf_char(&b, 0);
		json_raw(j, arena_cstr(a, m->key), b.failed ? "null" : b.data);
	}
	json_list(j, "x-kubernetes-group-version-kind");
	json_object(j, NULL);
	openapi_gvk(j, k->group, k->version, k->kind);
	json_end_object(j);
	json_end_list(j);
	json_end_object(j);
}

void
openapi_v2_json_definitions(const struct schema *s, struct json_out *j)
{
	bool any = false;

	for (size_t i = 0; i < s->n_kinds; i++) {
		const struct schema_kind *k = s->kinds[i];
		struct arena *a = NULL;

		if (!k->custom || !(k->flags & SCHEMA_KIND_SERVED) || !(a = arena_new(64u << 20)))
			continue;
		if (!any)
			json_object(j, "definitions");
		any = true;
		json_root(a, j, k);
		if (arena_failed(a))
			j->b->failed = true;
		arena_free(a);
	}
	if (any)
		json_end_object(j);
}
