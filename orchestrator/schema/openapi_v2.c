/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * openapi_v2: what of OpenAPI 2.0 clients use: the definitions of all kinds (openapi_v2_schema.c), and for each kind a
 * PATCH path that says its kind and knows dryRun. Newer clients read version 3.
 * Source: Swagger 2.0; protobuf numbers of gnostic openapi.v2. */
#include "orchestrator/schema/publish_int.h"

static bool
patched(const struct schema_kind *k)
{
	return (k->flags & SCHEMA_KIND_SERVED) && (k->verbs & SCHEMA_PATCH);
}

static void
path_of(const struct schema_kind *k, struct buf *out)
{
	buf_fmt(out, "/%s%s%s/%s%s/%s/{name}", k->group[0] ? "apis" : "api", k->group[0] ? "/" : "",
		k->group, k->version, k->namespaced ? "/namespaces/{namespace}" : "", k->plural);
}

static void
put_message(struct buf *out, uint32_t number, struct buf *in)
{
	if (in->failed)
		out->failed = true;
	proto_put_bytes(out, number, buf_view(in));
	buf_clear(in);
}

/* put_path: NamedPathItem{1 name, 2 PathItem{8 patch Operation{8 parameters, 13 vendor_extension}}}. */
static void
put_path(const struct schema_kind *k, struct buf *paths)
{
	struct buf x = BUF_INIT, y = BUF_INIT, op = BUF_INIT, named = BUF_INIT;

	proto_put_bytes(&x, 2, STR("query")); /* QueryParameterSubSchema{2 in, 4 name, 6 type} */
	proto_put_bytes(&x, 4, STR("dryRun"));
	proto_put_bytes(&x, 6, STR("string"));
	put_message(&y, 3, &x); /* NonBodyParameter{3 query} */
	put_message(&x, 2, &y); /* Parameter{2 non_body} */
	put_message(&y, 1, &x); /* ParametersItem{1 parameter} */
	put_message(&op, 8, &y);
	buf_fmt(&x, "group: \"%s\"\nkind: %s\nversion: %s\n", k->group, k->kind, k->version);
	put_message(&y, 2, &x); /* Any{2 yaml} */
	proto_put_bytes(&x, 1, STR("x-kubernetes-group-version-kind"));
	put_message(&x, 2, &y); /* NamedAny{1 name, 2 value} */
	put_message(&op, 13, &x);
	put_message(&y, 8, &op); /* PathItem{8 patch} */
	path_of(k, &x);
	put_message(&named, 1, &x);
	put_message(&named, 2, &y);
	put_message(paths, 2, &named); /* Paths{2 path} */
	buf_release(&x);
	buf_release(&y);
	buf_release(&op);
	buf_release(&named);
}

void
schema_openapi_v2_proto(const struct schema *s, struct buf *out)
{
	struct buf x = BUF_INIT;

	proto_put_bytes(out, 1, STR("2.0"));
	proto_put_bytes(&x, 1, STR("Kubernetes"));
	proto_put_bytes(&x, 2, STR("1.37"));
	put_message(out, 2, &x);
	for (size_t i = 0; i < s->n_kinds; i++)
		if (patched(s->kinds[i]))
			put_path(s->kinds[i], &x);
	put_message(out, 8, &x);
	buf_release(&x);
	openapi_v2_definitions(s, out);
}

void
schema_openapi_v2_json(const struct schema *s, struct buf *out)
{
	struct json_out j = {.b = out};
	struct buf path = BUF_INIT;

	json_object(&j, NULL);
	json_str(&j, "swagger", "2.0");
	json_raw(&j, "info", "{\"title\":\"Kubernetes\",\"version\":\"1.37\"}");
	json_object(&j, "paths");
	for (size_t i = 0; i < s->n_kinds; i++) {
		const struct schema_kind *k = s->kinds[i];

		if (!patched(k))
			continue;
		buf_clear(&path);
		path_of(k, &path);
		buf_char(&path, 0);
		if (path.failed)
			out->failed = true;
		json_object(&j, path.failed ? "" : path.data);
		json_object(&j, "patch");
		json_raw(&j, "parameters",
			"[{\"in\":\"query\",\"name\":\"dryRun\",\"type\":\"string\"}]");
		json_raw(&j, "responses", "{\"200\":{\"description\":\"OK\"}}");
		json_object(&j, "x-kubernetes-group-version-kind");
		openapi_gvk(&j, k->group, k->version, k->kind);
		json_end_object(&j);
		json_end_object(&j);
		json_end_object(&j);
	}
	json_end_object(&j);
	openapi_v2_json_definitions(s, &j);
	json_end_object(&j);
	buf_release(&path);
}
