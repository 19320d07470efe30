/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * resources: what is served: one row for each served kind of the schema, with its store number, its
 * subresources and the functions of orchestrator/kinds, looked up by the route stage.
 *
 * Invariant: rows are made once, before the workers start, and never change; those of custom resources: see custom.h.
 * Source: Kubernetes API concepts (resource URIs, subresources). */
#include "orchestrator/api/api_int.h"
#include "orchestrator/api/custom.h"

#define V VERB_BIT
#define V_RW (V(VERB_GET) | V(VERB_UPDATE) | V(VERB_PATCH))
#define V_ANY (V(VERB_GET) | V(VERB_CREATE) | V(VERB_UPDATE) | V(VERB_PATCH) | V(VERB_DELETE))

/* Subresources: resource "*" = of every kind that declares it in its schema. */
static const struct sub_row {
	const char *group, *resource, *sub;
	unsigned verbs;
	bool main_object, connect;
	enum step (*serve)(struct request *r);
} sub_rows[] = {
	{"*", "*", "status", V_RW, true, false, NULL},
	{"*", "*", "scale", V_RW, true, false, NULL},
	{"", "namespaces", "finalize", V(VERB_UPDATE), true, false, NULL},
	{"", "pods", "ephemeralcontainers", V_RW, true, false, NULL},
	{"", "pods", "resize", V_RW, true, false, NULL},
	{"certificates.k8s.io", "certificatesigningrequests", "approval", V_RW, true, false, NULL},
	{"", "pods", "binding", V(VERB_CREATE), false, false, serve_binding},
	{"", "pods", "eviction", V(VERB_CREATE), false, false, serve_eviction},
	{"", "serviceaccounts", "token", V(VERB_CREATE), false, false, serve_token},
	{"", "pods", "log", V(VERB_GET), false, true, serve_node_stream},
	{"", "pods", "exec", V(VERB_GET) | V(VERB_CREATE), false, true, serve_node_stream},
	{"", "pods", "attach", V(VERB_GET) | V(VERB_CREATE), false, true, serve_node_stream},
	{"", "pods", "portforward", V(VERB_GET) | V(VERB_CREATE), false, true, serve_node_stream},
	{"", "pods", "proxy", V_ANY, false, true, serve_proxy},
	{"", "services", "proxy", V_ANY, false, true, serve_proxy},
	{"", "nodes", "proxy", V_ANY, false, true, serve_proxy},
};

static const struct kind_virtual virtual_rows[] = {
	{"", "bindings", V(VERB_CREATE), serve_binding},
	{"authorization.k8s.io", "subjectaccessreviews", V(VERB_CREATE),
		serve_subject_access_review},
	{"authorization.k8s.io", "localsubjectaccessreviews", V(VERB_CREATE),
		serve_subject_access_review},
	{"authorization.k8s.io", "selfsubjectaccessreviews", V(VERB_CREATE),
		serve_self_subject_access_review},
	{"authorization.k8s.io", "selfsubjectrulesreviews", V(VERB_CREATE), serve_rules_review},
	{"authentication.k8s.io", "tokenreviews", V(VERB_CREATE), serve_token_review},
	{"authentication.k8s.io", "selfsubjectreviews", V(VERB_CREATE), serve_self_subject_review},
};

static const struct {
	uint32_t schema;
	enum verb verb;
} verb_bits[] = {
	{SCHEMA_GET, VERB_GET},
	{SCHEMA_LIST_VERB, VERB_LIST},
	{SCHEMA_WATCH, VERB_WATCH},
	{SCHEMA_CREATE, VERB_CREATE},
	{SCHEMA_UPDATE, VERB_UPDATE},
	{SCHEMA_PATCH, VERB_PATCH},
	{SCHEMA_DELETE, VERB_DELETE},
	{SCHEMA_DELETECOLLECTION, VERB_DELETECOLLECTION},
};

static bool
same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static void
sub_fill(struct api_server *s, const struct schema_kind *k, const struct schema_subresource *ss,
	struct api_subresource *out)
{
	out->name = str_c(ss->name);
	out->schema = ss;
	for (size_t i = 0; i < ARRAY_LEN(sub_rows); i++) {
		const struct sub_row *row = &sub_rows[i];
		bool any = row->resource[0] == '*';
		if (!same(row->sub, ss->name) ||
			(!any && (!same(row->resource, k->plural) || !same(row->group, k->group))))
			continue;
		out->verbs = row->verbs;
		out->main_object = row->main_object;
		out->connect = row->connect;
		out->serve = row->serve;
	}
	for (size_t i = 0; s->kinds && i < s->kinds->n_subs; i++) {
		const struct kind_subresource *ks = &s->kinds->subs[i];
		if (!same(ks->sub, ss->name) || !same(ks->resource, k->plural) ||
			!same(ks->group, k->group))
			continue;
		out->verbs = ks->verbs;
		out->serve = ks->serve;
		out->main_object = false;
	}
}

static const struct kind_ops *
ops_find(const struct api_server *s, const struct schema_kind *k)
{
	static const struct kind_ops none = {.group = "", .resource = ""};
	if (k->custom)
		return &custom_ops;
	for (size_t i = 0; s->kinds && i < s->kinds->n_kinds; i++)
		if (same(s->kinds->kinds[i]->resource, k->plural) &&
			same(s->kinds->kinds[i]->group, k->group))
			return s->kinds->kinds[i];
	return &none;
}

static void
virtual_fill(struct api_server *s, struct api_resource *res)
{
	const struct schema_kind *k = res->kind;
	for (size_t i = 0; i < ARRAY_LEN(virtual_rows); i++)
		if (same(virtual_rows[i].resource, k->plural) &&
			same(virtual_rows[i].group, k->group)) {
			res->serve_virtual = virtual_rows[i].serve;
			res->verbs = virtual_rows[i].verbs;
		}
	for (size_t i = 0; s->kinds && i < s->kinds->n_virtuals; i++)
		if (same(s->kinds->virtuals[i].resource, k->plural) &&
			same(s->kinds->virtuals[i].group, k->group)) {
			res->serve_virtual = s->kinds->virtuals[i].serve;
			res->verbs = s->kinds->virtuals[i].verbs;
		}
}

static int
store_fill(struct api_server *s, struct arena *a, struct api_resource *res, struct err *e)
{
	const struct schema_kind *k = res->kind;
	res->store_res = API_NO_STORE;
	if (!(k->flags & SCHEMA_KIND_STORED))
		return 0;
	const char *sg = k->storage_group ? k->storage_group : k->group;
	res->shares = strcmp(sg, k->group) != 0 ||
		(k->storage_version && strcmp(k->storage_version, k->version) != 0);
	struct str name = arena_fmt(a, "%s/%s", sg, k->plural);
	int n = store_resource(s->store, name);
	if (n < 0)
		return err_errno(e, n, "registering resource '" STR_FMT "'", STR_ARG(name));
	res->store_res = (uint32_t)n;
	if (same(k->plural, "events"))
		res->ttl_ns = s->cfg.event_ttl_ns ? s->cfg.event_ttl_ns : 3600 * NS_PER_SEC;
	return 0;
}

static int
row_fill(struct api_server *s, struct arena *a, const struct schema_kind *k,
	struct api_resource *res, struct err *e)
{
	res->kind = k;
	res->schema_id = API_SCHEMA_ID;
	res->ops = ops_find(s, k);
	res->group = str_c(k->group);
	res->version = str_c(k->version);
	res->plural = str_c(k->plural);
	res->group_plural = k->group[0] ? arena_fmt(a, "%s.%s", k->plural, k->group) : res->plural;
	struct str av = schema_api_version(a, k->group, k->version);
	res->head = arena_fmt(
		a, "{\"kind\":\"%s\",\"apiVersion\":\"" STR_FMT "\",", k->kind, STR_ARG(av));
	for (size_t i = 0; i < ARRAY_LEN(verb_bits); i++)
		if (k->verbs & verb_bits[i].schema)
			res->verbs |= V(verb_bits[i].verb);
	virtual_fill(s, res);
	res->n_subs = k->n_subs;
	res->subs = ARENA_ARRAY(a, struct api_subresource, k->n_subs);
	if (!res->subs)
		return -ENOMEM;
	for (size_t i = 0; i < k->n_subs; i++)
		sub_fill(s, k, &k->subs[i], &res->subs[i]);
	return store_fill(s, a, res, e);
}

static void
stored_fill(struct api_server *s, struct api_resource *res)
{
	res->stored = res;
	if (!res->shares)
		return;
	const struct api_resource *of = api_resource_find(
		s, str_c(res->kind->storage_group), str_c(res->kind->storage_version), res->plural);
	if (of)
		res->stored = of;
}

int
api_resources_build(struct api_server *s, struct err *e)
{
	size_t n = 0;
	s->resources = ARENA_ARRAY(s->a, struct api_resource, s->schema->n_kinds);
	if (!s->resources)
		return -ENOMEM;
	for (size_t i = 0; i < s->schema->n_kinds; i++) {
		const struct schema_kind *k = s->schema->kinds[i];
		if (!(k->flags & SCHEMA_KIND_SERVED))
			continue;
		struct api_resource *res = &s->resources[n++];
		int rc = row_fill(s, s->a, k, res, e);
		if (rc < 0)
			return rc;
		struct str full = arena_fmt(s->a, "%s/%s/%s", k->group, k->version, k->plural);
		struct str any = arena_fmt(s->a, "%s//%s", k->group, k->plural);
		if (map_put(&s->by_path, full, res, NULL) < 0)
			return -ENOMEM;
		const struct schema_kind *best = schema_resource_find(
			s->schema, res->group, STR(""), res->plural);
		if (best == k && map_put(&s->by_path, any, res, NULL) < 0)
			return -ENOMEM;
	}
	s->n_resources = n;
	for (size_t i = 0; i < n; i++)
		stored_fill(s, &s->resources[i]);
	s->namespaces = api_resource_find(s, STR(""), STR("v1"), STR("namespaces"));
	s->secrets = api_resource_find(s, STR(""), STR("v1"), STR("secrets"));
	s->service_accounts = api_resource_find(s, STR(""), STR("v1"), STR("serviceaccounts"));
	s->pods = api_resource_find(s, STR(""), STR("v1"), STR("pods"));
	s->nodes = api_resource_find(s, STR(""), STR("v1"), STR("nodes"));
	return arena_failed(s->a) ? -ENOMEM : 0;
}

const struct api_resource *
api_resource_find(
	const struct api_server *s, struct str group, struct str version, struct str plural)
{
	char key[512];
	if (group.n + version.n + plural.n + 3 > sizeof(key))
		return NULL;
	size_t n = 0;
	struct str parts[] = {group, STR("/"), version, STR("/"), plural};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (parts[i].n)
			memcpy(key + n, parts[i].p, parts[i].n);
		n += parts[i].n;
	}
	return map_get(&s->by_path, str_from(key, n));
}

int
custom_row_fill(struct api_server *s, struct arena *a, const struct schema_kind *k,
	struct api_resource *res)
{
	struct err e = {0};
	int rc = row_fill(s, a, k, res, &e);
	res->stored = res;
	return rc < 0 ? rc : arena_failed(a) ? -ENOMEM : 0;
}

const struct api_subresource *
api_subresource_find(const struct api_resource *res, struct str name)
{
	for (size_t i = 0; i < res->n_subs; i++)
		if (str_eq(res->subs[i].name, name))
			return &res->subs[i];
	return NULL;
}

bool
is_status_kind(const struct api_resource *res)
{
	return api_subresource_find(res, STR("status")) != NULL;
}
