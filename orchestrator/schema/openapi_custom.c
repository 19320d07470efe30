/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * openapi_custom: schemas of custom resources in OpenAPI 3.0: as the definition has them, with what every object has,
 * in embedded resources too; and of their lists.
 * Source: apiextensions-apiserver pkg/controller/openapi/builder (behaviour). */
#include "orchestrator/schema/publish_int.h"
#include "orchestrator/schema/structural_int.h"

#define META "io.k8s.apimachinery.pkg.apis.meta.v1."
#define META_REF(t) "{\"allOf\":[{\"$ref\":\"#/components/schemas/" META t "\"}],\"description\":"

static const struct {
	struct str name;
	const char *json;
} own[] = {
	{STR_INIT("apiVersion"),
		"{\"description\":\"APIVersion defines group and version of this form of the object\","
		"\"type\":\"string\"}"},
	{STR_INIT("kind"), "{\"description\":\"kind of the object\",\"type\":\"string\"}"},
	{STR_INIT("metadata"),
		META_REF(
			"ObjectMeta") "\"Standard object's metadata: name, namespace, labels and what "
				      "the server keeps about the object\"}"},
};

static void
put_doc(struct json_out *j, struct arena *a, struct str name, const struct doc *d)
{
	struct buf b;

	buf_init_arena(&b, a);
	doc_write_json(&b, d);
	buf_char(&b, 0);
	json_raw(j, arena_cstr(a, name), b.failed ? "null" : b.data);
}

/* embed: an embedded resource is an object of some kind: the server adds what those have. */
static void
embed(struct arena *a, struct doc *d)
{
	struct doc *props = doc_ensure_map(a, d, STR("properties"));
	struct doc *needed = doc_ensure_list(a, d, STR("required"));

	for (size_t i = 0; props && i < ARRAY_LEN(own); i++) {
		struct doc *v = NULL;

		if (doc_parse_json(a, str_c(own[i].json), NULL, &v, NULL) == 0)
			doc_set(props, own[i].name, v);
	}
	for (size_t i = 2; needed && i-- > 0;) { /* kind, then apiVersion */
		bool there = false;

		DOC_EACH (x, needed)
			there = there || str_eq(doc_as_str(x), own[i].name);
		if (!there)
			doc_append(needed, doc_str(a, own[i].name));
	}
}

static void
embed_below(struct arena *a, const struct structural *n, struct doc *d, size_t depth)
{
	struct doc *props = doc_get(d, STR("properties"));
	struct doc *items = doc_get(d, STR("items"));
	struct doc *more = doc_get(d, STR("additionalProperties"));

	if (depth > SCHEMA_MAX_WALK)
		return;
	DOC_EACH (m, props) {
		const struct structural *child = structural_prop_find(n, m->key);

		if (child)
			embed_below(a, child, m, depth + 1);
	}
	if (n->items && items && items->type == DOC_MAP)
		embed_below(a, n->items, items, depth + 1);
	if (n->additional && more && more->type == DOC_MAP)
		embed_below(a, n->additional, more, depth + 1);
	if (n->embedded)
		embed(a, d);
}

void
openapi_custom(struct json_out *j, struct arena *a, const struct schema *s,
	const struct schema_group_version *g, const struct schema_type *t)
{
	const struct structural *n = t->structural;

	json_object(j, schema_openapi_name(a, t).p);
	DOC_EACH (m, n->source)
		if (!str_eq_c(m->key, "properties") && !m->dup)
			put_doc(j, a, m->key, m);
	if (doc_get_str(n->source, STR("type")).n == 0)
		json_str(j, "type", "object");
	json_object(j, "properties");
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		json_raw(j, own[i].name.p, own[i].json);
	for (size_t i = 0; i < n->n_props; i++) {
		const struct structural_prop *p = &n->props[i];
		struct doc *d = structural_is_meta(p->name) ? NULL : doc_copy(a, p->node->source);

		if (d == NULL)
			continue;
		embed_below(a, p->node, d, 1);
		put_doc(j, a, p->name, d);
	}
	json_end_object(j);
	openapi_gvks(j, s, g, t);
	json_end_object(j);
}

void
openapi_custom_list(
	struct json_out *j, struct arena *a, const struct schema *s, const struct schema_kind *k)
{
	json_object(j, openapi_list_name(a, s, k).p);
	json_text(j, "description", arena_fmt(a, "%s is a list of %s", k->list_kind, k->kind));
	json_raw(j, "required", "[\"items\"]");
	json_str(j, "type", "object");
	json_object(j, "properties");
	json_raw(j, "apiVersion", own[0].json);
	json_object(j, "items");
	json_text(j, "description", arena_fmt(a, "List of %s", k->plural));
	json_str(j, "type", "array");
	json_object(j, "items");
	openapi_ref(j, a, k->type);
	json_end_object(j);
	json_end_object(j);
	json_raw(j, "kind", own[1].json);
	json_raw(j, "metadata", META_REF("ListMeta") "\"Standard list metadata\"}");
	json_end_object(j);
	json_list(j, "x-kubernetes-group-version-kind");
	json_object(j, NULL);
	openapi_gvk(j, k->group, k->version, k->list_kind);
	json_end_object(j);
	json_end_list(j);
	json_end_object(j);
}
