/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * openapi_v2_custom: definitions of custom resources in OpenAPI 2.0, as documents. What version 2 does not know goes:
 * combinations, nullable (the type goes with it), what is below a value that keeps unknown members.
 * Source: apiextensions-apiserver pkg/controller/openapi/v2 (behaviour). */
#include "orchestrator/schema/publish_int.h"
#include "orchestrator/schema/structural_int.h"

/* What stands below a value that keeps what it does not know, or may be null, is not said. */
static bool
is_open(const struct structural *n)
{
	return n->nullable || n->preserve;
}

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

static const struct {
	struct str name;
	const char *json;
} own[] = {
	{STR_INIT("apiVersion"),
		"{\"description\":\"APIVersion defines group and version of this form of the object\","
		"\"type\":\"string\"}"},
	{STR_INIT("kind"), "{\"description\":\"kind of the object\",\"type\":\"string\"}"},
	{STR_INIT("metadata"),
		"{\"$ref\":\"#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta\","
		"\"description\":\"Standard object's metadata\"}"},
};

struct doc *
openapi_v2_custom(struct arena *a, const struct schema_kind *k)
{
	const struct structural *n = k->type->structural;
	struct doc *d = n->preserve ? doc_map(a) : json_of(a, n, 0);
	struct doc *props = d && !n->preserve ? doc_ensure_map(a, d, STR("properties")) : NULL;

	if (d)
		doc_set_str(a, d, STR("type"), STR("object"));
	for (size_t i = 0; props && i < ARRAY_LEN(own); i++) {
		struct doc *v = NULL;

		if (doc_parse_json(a, str_c(own[i].json), NULL, &v, NULL) == 0)
			doc_set(props, own[i].name, v);
	}
	if (d)
		openapi_v2_gvk(a, d, k->group, k->version, k->kind);
	return d;
}

struct doc *
openapi_v2_custom_list(struct arena *a, const struct schema_kind *k)
{
	struct str text = arena_fmt(a,
		"{\"description\":\"%s is a list of %s\",\"type\":\"object\",\"required\":[\"items\"],"
		"\"properties\":{\"apiVersion\":%s,\"items\":{\"type\":\"array\",\"items\":{\"$ref\":"
		"\"#/definitions/" STR_FMT
		"\"}},\"kind\":%s,\"metadata\":{\"$ref\":\"#/definitions/"
		"io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta\"}}}",
		k->list_kind, k->kind, own[0].json, STR_ARG(schema_openapi_name(a, k->type)),
		own[1].json);
	struct doc *d = NULL;

	if (doc_parse_json(a, text, NULL, &d, NULL) < 0)
		return NULL;
	openapi_v2_gvk(a, d, k->group, k->version, k->list_kind);
	return d;
}
