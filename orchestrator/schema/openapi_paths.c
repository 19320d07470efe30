/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * openapi_paths: the paths half of an OpenAPI 3.0 document: for each resource its collection (in one
 * namespace and in all), its items and its subresources, with the operations its verbs allow.
 * Source: k8s.io/apiserver endpoints/installer (behaviour): actions, parameters, content types. */
#include "orchestrator/schema/publish_int.h"

struct param {
	const char *name, *in, *type, *description;
};

static const struct param write_params[] = {
	{"dryRun", "query", "string", "All: check everything, store nothing"},
	{"fieldManager", "query", "string", "who makes this change"},
	{"fieldValidation", "query", "string",
		"what becomes of unknown fields: Ignore, Warn, Strict"},
};
static const struct param patch_params[] = {
	{"dryRun", "query", "string", "All: check everything, store nothing"},
	{"fieldManager", "query", "string", "who makes this change"},
	{"fieldValidation", "query", "string",
		"what becomes of unknown fields: Ignore, Warn, Strict"},
	{"force", "query", "boolean", "apply: take over fields of other managers"},
};
static const struct param delete_params[] = {
	{"dryRun", "query", "string", "All: check everything, store nothing"},
	{"gracePeriodSeconds", "query", "integer", "time to end; 0 at once"},
	{"orphanDependents", "query", "boolean", "older form of propagationPolicy"},
	{"propagationPolicy", "query", "string", "Orphan, Background or Foreground"},
};
static const struct param list_params[] = {
	{"allowWatchBookmarks", "query", "boolean", "watch: tell revisions now and then"},
	{"continue", "query", "string", "token for the next part of a long list"},
	{"fieldSelector", "query", "string", "fields the objects must have"},
	{"labelSelector", "query", "string", "labels the objects must have"},
	{"limit", "query", "integer", "most items in one answer"},
	{"resourceVersion", "query", "string", "revision to read or to watch from"},
	{"resourceVersionMatch", "query", "string", "Exact or NotOlderThan"},
	{"sendInitialEvents", "query", "boolean", "watch: begin with what is there"},
	{"timeoutSeconds", "query", "integer", "end the watch after this long"},
	{"watch", "query", "boolean", "changes as they come"},
};
static const struct param item_params[] = {
	{"name", "path", "string", "name of the object"},
	{"namespace", "path", "string", "namespace of the object"},
	{"pretty", "query", "string", "indent the answer"},
};

static void
put_param(struct json_out *j, const struct param *p)
{
	json_object(j, NULL);
	json_str(j, "name", p->name);
	json_str(j, "in", p->in);
	json_str(j, "description", p->description);
	if (strcmp(p->in, "path") == 0)
		json_bool(j, "required", true);
	json_object(j, "schema");
	json_str(j, "type", p->type);
	json_bool(j, "uniqueItems", true);
	json_end_object(j);
	json_end_object(j);
}

/* One operation: what it is called, what it takes and gives. */
struct op {
	const char *method, *action, *verb;
	uint32_t bit; /* verb of the resource that allows it */
	const struct param *params;
	size_t n_params;
	bool body, patch, list, status, created;
};

static const struct op collection_ops[] = {
	{"get", "list", "list", SCHEMA_LIST_VERB, list_params, ARRAY_LEN(list_params),
		.list = true},
	{"post", "post", "create", SCHEMA_CREATE, write_params, ARRAY_LEN(write_params),
		.body = true, .created = true},
	{"delete", "deletecollection", "delete collection of", SCHEMA_DELETECOLLECTION,
		delete_params, ARRAY_LEN(delete_params), .status = true},
};
static const struct op item_ops[] = {
	{"get", "get", "read", SCHEMA_GET, NULL, 0, .body = false},
	{"put", "put", "replace", SCHEMA_UPDATE, write_params, ARRAY_LEN(write_params),
		.body = true},
	{"patch", "patch", "patch", SCHEMA_PATCH, patch_params, ARRAY_LEN(patch_params),
		.patch = true},
	{"delete", "delete", "delete", SCHEMA_DELETE, delete_params, ARRAY_LEN(delete_params),
		.status = true},
	{"post", "post", "create", SCHEMA_CREATE, write_params, ARRAY_LEN(write_params),
		.body = true, .created = true},
};

struct out {
	struct json_out *j;
	struct arena *a;
	const struct schema *s;
	const struct schema_group_version *g;
};

static void
put_content(struct out *o, const char *media, const struct schema_type *t)
{
	json_object(o->j, media);
	json_object(o->j, "schema");
	if (t)
		openapi_ref(o->j, o->a, t);
	else
		json_str(o->j, "$ref",
			"#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.Patch");
	json_end_object(o->j);
	json_end_object(o->j);
}

static void
put_response(struct out *o, const char *code, const char *text, const struct schema_type *t)
{
	json_object(o->j, code);
	json_str(o->j, "description", text);
	json_object(o->j, "content");
	put_content(o, "application/json", t);
	put_content(o, "application/yaml", t);
	json_end_object(o->j);
	json_end_object(o->j);
}

static const struct schema_type *
meta_type(struct out *o, const char *name)
{
	return schema_type_find(o->s, STR("meta"), STR("v1"), str_c(name));
}

static void
put_request_body(struct out *o, const struct op *op, const struct schema_type *t)
{
	static const char *const patches[] = {"application/apply-patch+yaml",
		"application/json-patch+json", "application/merge-patch+json",
		"application/strategic-merge-patch+json"};

	if (!op->body && !op->patch && !op->status)
		return;
	json_object(o->j, "requestBody");
	json_object(o->j, "content");
	if (op->patch)
		for (size_t i = 0; i < ARRAY_LEN(patches) - (t->structural != NULL); i++)
			put_content(o, patches[i], NULL); /* custom resources: no strategic one */
	else
		put_content(o, "*/*", op->status ? meta_type(o, "DeleteOptions") : t);
	json_end_object(o->j);
	if (!op->status)
		json_bool(o->j, "required", true);
	json_end_object(o->j);
}

/* put_op: t is what goes in and comes out; the kind named is that of t. */
static void
put_op(struct out *o, const struct op *op, const struct schema_kind *k, const struct schema_type *t,
	const char *what)
{
	const struct schema_type *reply = op->status ? meta_type(o, "Status")
		: op->list                           ? openapi_list_type(o->s, k)
						     : t;
	struct json_out *j = o->j;
	bool own = t == k->type;

	json_object(j, op->method);
	json_text(j, "description", arena_fmt(o->a, "%s %s", op->verb, what));
	json_text(j, "operationId",
		arena_fmt(o->a, "%s_%s_%s_%s", op->action, k->group[0] ? k->group : "core",
			k->version, what));
	if (op->n_params) {
		json_list(j, "parameters");
		for (size_t i = 0; i < op->n_params; i++)
			put_param(j, &op->params[i]);
		json_end_list(j);
	}
	put_request_body(o, op, t);
	json_object(j, "responses");
	put_response(o, "200", "OK", reply);
	if (op->created)
		put_response(o, "201", "Created", reply);
	json_raw(j, "401", "{\"description\":\"Unauthorized\"}");
	json_end_object(j);
	json_str(j, "x-kubernetes-action", op->action);
	json_object(j, "x-kubernetes-group-version-kind");
	openapi_gvk(j, own ? k->group : t->group, own ? k->version : t->version, t->name);
	json_end_object(j);
	json_end_object(j);
}

static void
put_path_params(struct json_out *j, bool ns, bool name)
{
	json_list(j, "parameters");
	for (size_t i = 0; i < ARRAY_LEN(item_params); i++) {
		const struct param *p = &item_params[i];

		if ((strcmp(p->name, "name") == 0 && !name) ||
			(strcmp(p->name, "namespace") == 0 && !ns))
			continue;
		put_param(j, p);
	}
	json_end_list(j);
}

/* root: "/apis/apps/v1" + "/namespaces/{namespace}" + "/deployments". */
static const char *
root(struct out *o, const struct schema_kind *k, bool ns, const char *rest)
{
	const char *p = arena_fmt(o->a, "/%s%s%s/%s%s/%s%s", k->group[0] ? "apis" : "api",
		k->group[0] ? "/" : "", k->group, k->version, ns ? "/namespaces/{namespace}" : "",
		k->plural, rest)
				.p;

	return p ? p : "";
}

static void
put_collection(struct out *o, const struct schema_kind *k, bool ns, uint32_t bits)
{
	if (!(k->verbs & bits & (SCHEMA_LIST_VERB | SCHEMA_CREATE | SCHEMA_DELETECOLLECTION)))
		return;
	json_object(o->j, root(o, k, ns, ""));
	for (size_t i = 0; i < ARRAY_LEN(collection_ops); i++)
		if (k->verbs & bits & collection_ops[i].bit)
			put_op(o, &collection_ops[i], k, k->type, k->kind);
	put_path_params(o->j, ns, false);
	json_end_object(o->j);
}

static void
put_item(struct out *o, const struct schema_kind *k)
{
	uint32_t bits = k->verbs & (SCHEMA_GET | SCHEMA_UPDATE | SCHEMA_PATCH | SCHEMA_DELETE);

	if (bits == 0)
		return;
	json_object(o->j, root(o, k, k->namespaced, "/{name}"));
	for (size_t i = 0; i < ARRAY_LEN(item_ops); i++)
		if (bits & item_ops[i].bit)
			put_op(o, &item_ops[i], k, k->type, k->kind);
	put_path_params(o->j, k->namespaced, true);
	json_end_object(o->j);
}

/* is_connect: bodies of options kinds are query parameters; the stream is no document. */
static bool
is_connect(const struct schema_subresource *u)
{
	return str_ends(str_c(u->kind), STR("Options")) || strcmp(u->name, "log") == 0;
}

static void
put_connect(struct out *o, const struct schema_kind *k, const struct schema_subresource *u)
{
	for (size_t i = 0; i < ARRAY_LEN(item_ops); i++) {
		if (!(u->verbs & item_ops[i].bit))
			continue;
		json_object(o->j, item_ops[i].method);
		json_text(o->j, "description",
			arena_fmt(o->a, "connect %s requests to %s of %s", item_ops[i].method,
				u->name, k->kind));
		json_text(o->j, "operationId",
			arena_fmt(o->a, "connect_%s_%s_%s", item_ops[i].method, k->kind, u->name));
		json_raw(o->j, "responses",
			"{\"200\":{\"description\":\"OK\",\"content\":{\"*/*\":{\"schema\":{\"type\":\"string\"}}}},"
			"\"401\":{\"description\":\"Unauthorized\"}}");
		json_str(o->j, "x-kubernetes-action",
			strcmp(u->name, "log") == 0 ? "get" : "connect");
		json_object(o->j, "x-kubernetes-group-version-kind");
		openapi_gvk(o->j, u->group, u->version, u->kind);
		json_end_object(o->j);
		json_end_object(o->j);
	}
}

static void
put_sub(struct out *o, const struct schema_kind *k, const struct schema_subresource *u)
{
	const char *rest = arena_fmt(o->a, "/{name}/%s", u->name).p;
	const char *what = arena_fmt(o->a, "%s %s", k->kind, u->name).p;

	if (rest == NULL || what == NULL)
		return;
	json_object(o->j, root(o, k, k->namespaced, rest));
	if (is_connect(u))
		put_connect(o, k, u);
	else
		for (size_t i = 0; i < ARRAY_LEN(item_ops); i++)
			if (u->verbs & item_ops[i].bit)
				put_op(o, &item_ops[i], k, u->type, what);
	put_path_params(o->j, k->namespaced, true);
	json_end_object(o->j);
}

static void
put_resource_list(struct out *o)
{
	const char *path = arena_fmt(o->a, "/%s%s%s/%s/", o->g->group[0] ? "apis" : "api",
		o->g->group[0] ? "/" : "", o->g->group, o->g->version)
				   .p;

	json_object(o->j, path ? path : "");
	json_object(o->j, "get");
	json_str(o->j, "description", "what resources there are");
	json_object(o->j, "responses");
	put_response(o, "200", "OK", meta_type(o, "APIResourceList"));
	json_end_object(o->j);
	json_end_object(o->j);
	json_end_object(o->j);
}

void
openapi_paths(struct json_out *j, struct arena *a, const struct schema *s,
	const struct schema_group_version *g)
{
	struct out o = {j, a, s, g};

	json_object(j, "paths");
	put_resource_list(&o);
	for (size_t i = 0; i < s->n_kinds; i++) {
		const struct schema_kind *k = s->kinds[i];

		if (!(k->flags & SCHEMA_KIND_SERVED) || strcmp(k->group, g->group) != 0 ||
			strcmp(k->version, g->version) != 0)
			continue;
		put_collection(&o, k, k->namespaced, UINT32_MAX);
		if (k->namespaced)
			put_collection(&o, k, false, SCHEMA_LIST_VERB);
		put_item(&o, k);
		for (size_t u = 0; u < k->n_subs; u++)
			put_sub(&o, k, &k->subs[u]);
	}
	json_end_object(j);
}
