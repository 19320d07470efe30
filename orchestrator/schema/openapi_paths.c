/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * openapi_paths: the paths half of an OpenAPI 3.0 document: for each resource its collection (in one
 * namespace and in all), its items and its subresources, with the operations its verbs allow, and the older watch
 * paths. What all operations of a path take is said once, at the path.
 * Source: k8s.io/apiserver endpoints/installer, endpoints/openapi (behaviour: actions, parameters, names, content
 * types); apiextensions-apiserver controller/openapi/builder (custom resources). */
#include "orchestrator/schema/publish_int.h"

#include <stdlib.h>

/* ---- parameters ---- */

struct param {
	const char *name, *in, *type, *description;
};

/* In the order they are written in: by name. */
enum param_id {
	P_ALLOW_WATCH_BOOKMARKS,
	P_CONTINUE,
	P_DRY_RUN,
	P_FIELD_MANAGER,
	P_FIELD_SELECTOR,
	P_FIELD_VALIDATION,
	P_FORCE,
	P_GRACE_PERIOD_SECONDS,
	P_IGNORE_READ_ERROR,
	P_LABEL_SELECTOR,
	P_LIMIT,
	P_NAME,
	P_NAMESPACE,
	P_ORPHAN_DEPENDENTS,
	P_PRETTY,
	P_PROPAGATION_POLICY,
	P_RESOURCE_VERSION,
	P_RESOURCE_VERSION_MATCH,
	P_SEND_INITIAL_EVENTS,
	P_SHARD_SELECTOR,
	P_TIMEOUT_SECONDS,
	P_WATCH,
	P__COUNT
};
#define P(x) (1u << (x))

static const struct param params[P__COUNT] = {
	[P_ALLOW_WATCH_BOOKMARKS] = {"allowWatchBookmarks", "query", "boolean",
		"watch: tell revisions now and then"},
	[P_CONTINUE] = {"continue", "query", "string", "token for the next part of a long list"},
	[P_DRY_RUN] = {"dryRun", "query", "string", "All: check everything, store nothing"},
	[P_FIELD_MANAGER] = {"fieldManager", "query", "string", "who makes this change"},
	[P_FIELD_SELECTOR] = {"fieldSelector", "query", "string", "fields the objects must have"},
	[P_FIELD_VALIDATION] = {"fieldValidation", "query", "string",
		"what becomes of unknown fields: Ignore, Warn, Strict"},
	[P_FORCE] = {"force", "query", "boolean", "apply: take over fields of other managers"},
	[P_GRACE_PERIOD_SECONDS] = {"gracePeriodSeconds", "query", "integer",
		"time to end; 0 at once"},
	[P_IGNORE_READ_ERROR] = {"ignoreStoreReadErrorWithClusterBreakingPotential", "query",
		"boolean", "delete what cannot be read any more"},
	[P_LABEL_SELECTOR] = {"labelSelector", "query", "string", "labels the objects must have"},
	[P_LIMIT] = {"limit", "query", "integer", "most items in one answer"},
	[P_NAME] = {"name", "path", "string", "name of the object"},
	[P_NAMESPACE] = {"namespace", "path", "string", "namespace of the object"},
	[P_ORPHAN_DEPENDENTS] = {"orphanDependents", "query", "boolean",
		"older form of propagationPolicy"},
	[P_PRETTY] = {"pretty", "query", "string", "indent the answer"},
	[P_PROPAGATION_POLICY] = {"propagationPolicy", "query", "string",
		"Orphan, Background or Foreground"},
	[P_RESOURCE_VERSION] = {"resourceVersion", "query", "string",
		"revision to read or to watch from"},
	[P_RESOURCE_VERSION_MATCH] = {"resourceVersionMatch", "query", "string",
		"Exact or NotOlderThan"},
	[P_SEND_INITIAL_EVENTS] = {"sendInitialEvents", "query", "boolean",
		"watch: begin with what is there"},
	[P_SHARD_SELECTOR] = {"shardSelector", "query", "string", "a part of the objects"},
	[P_TIMEOUT_SECONDS] = {"timeoutSeconds", "query", "integer",
		"end the watch after this long"},
	[P_WATCH] = {"watch", "query", "boolean", "changes as they come"},
};

#define SELECT                                                                                     \
	(P(P_CONTINUE) | P(P_FIELD_SELECTOR) | P(P_LABEL_SELECTOR) | P(P_LIMIT) |                  \
		P(P_RESOURCE_VERSION) | P(P_RESOURCE_VERSION_MATCH) | P(P_SEND_INITIAL_EVENTS) |   \
		P(P_SHARD_SELECTOR) | P(P_TIMEOUT_SECONDS) | P(P_PRETTY))
#define LIST (SELECT | P(P_ALLOW_WATCH_BOOKMARKS) | P(P_WATCH))
#define WRITE (P(P_DRY_RUN) | P(P_FIELD_MANAGER) | P(P_FIELD_VALIDATION) | P(P_PRETTY))
#define DELETE                                                                                     \
	(P(P_DRY_RUN) | P(P_GRACE_PERIOD_SECONDS) | P(P_IGNORE_READ_ERROR) |                       \
		P(P_ORPHAN_DEPENDENTS) | P(P_PROPAGATION_POLICY) | P(P_PRETTY))

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

static void
put_params(struct json_out *j, uint32_t mask)
{
	if (mask == 0)
		return;
	json_list(j, "parameters");
	for (size_t i = 0; i < P__COUNT; i++)
		if (mask & P(i))
			put_param(j, &params[i]);
	json_end_list(j);
}

/* ---- operations ---- */

/* What an operation is called, what it takes and gives. custom: the parameters, where those of custom resources are
 * others. */
enum gives { GIVES_OBJECT, GIVES_LIST, GIVES_STATUS, GIVES_DELETED, GIVES_EVENT };
enum takes { TAKES_NOTHING, TAKES_OBJECT, TAKES_PATCH, TAKES_OPTIONS };
struct op {
	const char *method, *verb, *action;
	uint32_t bit; /* verb of the resource that allows it */
	uint32_t mask, custom;
	enum takes takes;
	enum gives gives;
	bool created, accepted, collection;
};

static const struct op collection_ops[] = {
	{"get", "list", "list", SCHEMA_LIST_VERB, LIST, LIST, .gives = GIVES_LIST},
	{"post", "create", "post", SCHEMA_CREATE, WRITE, WRITE, TAKES_OBJECT, .created = true,
		.accepted = true},
	{"delete", "delete", "deletecollection", SCHEMA_DELETECOLLECTION, SELECT | DELETE, LIST,
		TAKES_OPTIONS, GIVES_STATUS, .collection = true},
};
static const struct op item_ops[] = {
	{"get", "read", "get", SCHEMA_GET, P(P_PRETTY), P(P_PRETTY) | P(P_RESOURCE_VERSION),
		.gives = GIVES_OBJECT},
	{"put", "replace", "put", SCHEMA_UPDATE, WRITE, WRITE, TAKES_OBJECT, .created = true},
	{"delete", "delete", "delete", SCHEMA_DELETE, DELETE, DELETE, TAKES_OPTIONS, GIVES_DELETED,
		.accepted = true},
	{"patch", "patch", "patch", SCHEMA_PATCH, WRITE | P(P_FORCE), WRITE | P(P_FORCE),
		TAKES_PATCH, .created = true},
	{"post", "create", "post", SCHEMA_CREATE, WRITE, WRITE, TAKES_OBJECT, .created = true,
		.accepted = true},
};
static const struct op watch_list_op = {
	"get", "watch", "watchlist", SCHEMA_WATCH, LIST, LIST, .gives = GIVES_EVENT};
static const struct op watch_op = {
	"get", "watch", "watch", SCHEMA_WATCH, LIST, LIST, .gives = GIVES_EVENT};

/* Kinds whose deletion answers the object. */
static const char *const answer_object[] = {"Pod", "PodTemplate", "PersistentVolume",
	"PersistentVolumeClaim", "ResourceQuota", "ServiceAccount", "Service", "StorageClass",
	"CSIDriver", "CSINode", "VolumeAttachment", "VolumeAttributesClass", "DeviceClass",
	"ResourceClaim", "ResourceClaimTemplate", "ResourceSlice"};

struct out {
	struct json_out *j;
	struct arena *a;
	const struct schema *s;
	const char *tag, *id; /* "rbacAuthorization_v1", "RbacAuthorizationV1" */
};
/* Where an operation is: below which kind, in a namespace, of a subresource. */
struct at {
	const struct schema_kind *k;
	const struct schema_type *t; /* what goes in and comes out */
	const char *sub, *behind;    /* behind: the end of the operation's name */
	bool ns, all, name;
};

static const struct schema_type *
meta_type(struct out *o, const char *name)
{
	return schema_type_find(o->s, STR("meta"), STR("v1"), str_c(name));
}

static void
put_schema(struct out *o, struct str name)
{
	json_object(o->j, "schema");
	json_text(o->j, "$ref", arena_fmt(o->a, "#/components/schemas/" STR_FMT, STR_ARG(name)));
	json_end_object(o->j);
}

static struct str
type_name(struct out *o, const struct schema_type *t)
{
	return t ? schema_openapi_name(o->a, t) : STR("io.k8s.apimachinery.pkg.apis.meta.v1.Patch");
}

static void
put_content(struct out *o, const char *media, struct str name)
{
	json_object(o->j, media);
	put_schema(o, name);
	json_end_object(o->j);
}

/* Media types of answers, in their order; custom resources have no protobuf and no streams of their own. */
static const struct {
	const char *name;
	bool stream, custom;
} media[] = {
	{"application/json", false, true},
	{"application/json;stream=watch", true, false},
	{"application/vnd.kubernetes.protobuf", false, false},
	{"application/vnd.kubernetes.protobuf;stream=watch", true, false},
	{"application/yaml", false, true},
};

static void
put_response(struct out *o, const char *code, const char *text, struct str name, bool stream,
	bool custom)
{
	json_object(o->j, code);
	json_str(o->j, "description", text);
	json_object(o->j, "content");
	for (size_t i = 0; i < ARRAY_LEN(media); i++)
		if ((!media[i].stream || stream) && (media[i].custom || !custom))
			put_content(o, media[i].name, name);
	json_end_object(o->j);
	json_end_object(o->j);
}

static void
put_request_body(struct out *o, const struct op *op, const struct at *at)
{
	static const char *const patches[] = {"application/apply-patch+yaml",
		"application/json-patch+json", "application/merge-patch+json",
		"application/strategic-merge-patch+json"};
	bool custom = at->k->custom;
	struct str name = type_name(o,
		op->takes == TAKES_PATCH             ? NULL
			: op->takes == TAKES_OPTIONS ? meta_type(o, "DeleteOptions")
						     : at->t);

	if (op->takes == TAKES_NOTHING || (custom && op->collection))
		return;
	json_object(o->j, "requestBody");
	json_object(o->j, "content");
	if (op->takes == TAKES_PATCH)
		for (size_t i = 0; i < ARRAY_LEN(patches) - custom; i++)
			put_content(o, patches[i], name); /* custom resources: no strategic one */
	else if (custom)
		for (size_t i = 0; i < ARRAY_LEN(media); i += ARRAY_LEN(media) - 1)
			put_content(o, media[i].name, name);
	else
		put_content(o, "*/*", name);
	json_end_object(o->j);
	if (op->takes != TAKES_OPTIONS)
		json_bool(o->j, "required", true);
	json_end_object(o->j);
}

static bool
answers_object(const struct schema_kind *k)
{
	for (size_t i = 0; i < ARRAY_LEN(answer_object) && !k->custom; i++)
		if (strcmp(k->kind, answer_object[i]) == 0)
			return true;
	return false;
}

static struct str
given(struct out *o, const struct op *op, const struct at *at)
{
	switch (op->gives) {
	case GIVES_LIST:
		return openapi_list_name(o->a, o->s, at->k);
	case GIVES_STATUS:
		return type_name(o, meta_type(o, "Status"));
	case GIVES_EVENT:
		return type_name(o, meta_type(o, "WatchEvent"));
	case GIVES_DELETED:
		return type_name(o, answers_object(at->k) ? at->t : meta_type(o, "Status"));
	case GIVES_OBJECT:
		break;
	}
	return type_name(o, at->t);
}

/* "pods" -> "Pods". */
static const char *
title(struct out *o, const char *s)
{
	char *out = arena_cstr(o->a, str_c(s));

	if (out && out[0] >= 'a' && out[0] <= 'z')
		out[0] = (char)(out[0] - 'a' + 'A');
	return out ? out : "";
}

static uint32_t
mask_of(const struct op *op, const struct at *at)
{
	return (at->k->custom ? op->custom : op->mask) | (at->ns ? P(P_NAMESPACE) : 0) |
		(at->name ? P(P_NAME) : 0);
}

static void
put_op(struct out *o, const struct op *op, const struct at *at, uint32_t common)
{
	struct json_out *j = o->j;
	const struct schema_kind *k = at->k;
	bool own = at->t == k->type, stream = op->gives == GIVES_LIST || op->gives == GIVES_EVENT;
	struct str name = given(o, op, at);

	json_object(j, op->method);
	json_text(j, "description",
		arena_fmt(
			o->a, "%s %s%s%s", op->verb, at->t->name, at->sub[0] ? " " : "", at->sub));
	json_list(j, "tags");
	json_str(j, NULL, o->tag);
	json_end_list(j);
	json_text(j, "operationId",
		arena_fmt(o->a, "%s%s%s%s%s%s%s%s", op->verb, o->id,
			op->collection ? "Collection" : "", at->ns ? "Namespaced" : "", k->kind,
			title(o, at->sub), at->behind, at->all ? "ForAllNamespaces" : ""));
	put_params(j, mask_of(op, at) & ~common);
	put_request_body(o, op, at);
	json_object(j, "responses");
	put_response(o, "200", "OK", name, stream, k->custom);
	if (op->created)
		put_response(o, "201", "Created", name, false, k->custom);
	if (op->accepted)
		put_response(o, "202", "Accepted", name, false, k->custom);
	json_raw(j, "401", "{\"description\":\"Unauthorized\"}");
	json_end_object(j);
	json_str(j, "x-kubernetes-action", op->action);
	json_object(j, "x-kubernetes-group-version-kind");
	openapi_gvk(j, own ? k->group : at->t->group, own ? k->version : at->t->version,
		own ? k->kind : at->t->name);
	json_end_object(j);
	json_end_object(j);
}

/* The operations of one path that `bits` allow. */
static void
put_path(struct out *o, const char *path, const struct op *ops, size_t n, uint32_t bits,
	const struct at *at)
{
	uint32_t common = UINT32_MAX;
	bool any = false;

	for (size_t i = 0; i < n; i++)
		if (bits & ops[i].bit) {
			common &= mask_of(&ops[i], at);
			any = true;
		}
	if (!any || path == NULL)
		return;
	json_object(o->j, path);
	for (size_t i = 0; i < n; i++)
		if (bits & ops[i].bit)
			put_op(o, &ops[i], at, common);
	put_params(o->j, common);
	json_end_object(o->j);
}

/* "/apis/apps/v1" + "/watch" + "/namespaces/{namespace}" + "/deployments" + rest. */
static const char *
root(struct out *o, const struct schema_kind *k, const char *watch, bool ns, const char *rest)
{
	return arena_fmt(o->a, "/%s%s%s/%s%s%s/%s%s", k->group[0] ? "apis" : "api",
		k->group[0] ? "/" : "", k->group, k->version, watch,
		ns ? "/namespaces/{namespace}" : "", k->plural, rest)
		.p;
}

/* ---- streams ---- */

bool
openapi_is_stream(const struct schema_subresource *u)
{
	return str_ends(str_c(u->kind), STR("Options")) || strcmp(u->name, "log") == 0;
}

static int
by_name(const void *x, const void *y)
{
	const struct param *p = x, *q = y;
	int c = strcmp(p->name, q->name);

	return c ? c : strcmp(p->in, q->in);
}

static const char *
param_type(const struct schema_field *f)
{
	return f->form == SCHEMA_BOOL                                ? "boolean"
		: f->form == SCHEMA_INT32 || f->form == SCHEMA_INT64 ? "integer"
								     : "string";
}

/* put_stream_params: the fields of the options, and what the path has. */
static void
put_stream_params(struct out *o, const struct schema_subresource *u, bool ns, bool path)
{
	bool log = strcmp(u->name, "log") == 0;
	const struct schema_type *options = log
		? schema_type_find(o->s, STR(""), STR("v1"), STR("PodLogOptions"))
		: NULL;
	const struct schema_type *t = options ? options : u->type;
	struct param *v = ARENA_ARRAY(o->a, struct param, t->n_fields + 4u);
	size_t n = 0;

	if (v == NULL)
		return;
	for (size_t i = 0; i < t->n_fields; i++)
		if (strcmp(t->fields[i].name, "kind") != 0 &&
			strcmp(t->fields[i].name, "apiVersion") != 0)
			v[n++] = (struct param){t->fields[i].name, "query",
				param_type(&t->fields[i]), schema_field_description(&t->fields[i])};
	v[n++] = params[P_NAME];
	if (ns)
		v[n++] = params[P_NAMESPACE];
	if (path)
		v[n++] = (struct param){"path", "path", "string", "what is asked of it"};
	if (log)
		v[n++] = params[P_PRETTY];
	qsort(v, n, sizeof(*v), by_name);
	json_list(o->j, "parameters");
	for (size_t i = 0; i < n; i++)
		put_param(o->j, &v[i]);
	json_end_list(o->j);
}

static const char *const stream_methods[] = {
	"get", "put", "post", "delete", "options", "head", "patch"};

static void
put_stream_op(struct out *o, const struct schema_kind *k, const struct schema_subresource *u,
	const char *method, const char *behind)
{
	bool log = strcmp(u->name, "log") == 0;

	json_object(o->j, method);
	json_text(o->j, "description",
		arena_fmt(o->a, "connect %s requests to %s of %s", method, u->name, k->kind));
	json_list(o->j, "tags");
	json_str(o->j, NULL, o->tag);
	json_end_list(o->j);
	json_text(o->j, "operationId",
		arena_fmt(o->a, "%s%s%s%s%s%s%s", log ? "read" : "connect", o->id,
			log ? "" : title(o, method), k->namespaced ? "Namespaced" : "", k->kind,
			title(o, u->name), behind));
	json_raw(o->j, "responses",
		log ? "{\"200\":{\"description\":\"OK\",\"content\":{\"application/json\":{\"schema\":{"
		      "\"type\":\"string\"}},\"application/vnd.kubernetes.protobuf\":{\"schema\":{"
		      "\"type\":\"string\"}},\"application/yaml\":{\"schema\":{\"type\":\"string\"}},"
		      "\"text/plain\":{\"schema\":{\"type\":\"string\"}}}},\"401\":{\"description\":"
		      "\"Unauthorized\"}}"
		    : "{\"200\":{\"description\":\"OK\",\"content\":{\"*/*\":{\"schema\":{\"type\":"
		      "\"string\"}}}},\"401\":{\"description\":\"Unauthorized\"}}");
	json_str(o->j, "x-kubernetes-action", log ? "get" : "connect");
	json_object(o->j, "x-kubernetes-group-version-kind");
	openapi_gvk(o->j, log ? k->group : u->group, log ? k->version : u->version,
		log ? k->kind : u->kind);
	json_end_object(o->j);
	json_end_object(o->j);
}

static void
put_stream(
	struct out *o, const struct schema_kind *k, const struct schema_subresource *u, bool path)
{
	static const uint32_t bits[] = {SCHEMA_GET, SCHEMA_UPDATE, SCHEMA_CREATE, SCHEMA_DELETE,
		SCHEMA_DELETE, SCHEMA_DELETE, SCHEMA_PATCH};
	const char *rest = arena_fmt(o->a, "/{name}/%s%s", u->name, path ? "/{path}" : "").p;
	const char *at = rest ? root(o, k, "", k->namespaced, rest) : NULL;

	if (at == NULL)
		return;
	json_object(o->j, at);
	for (size_t i = 0; i < ARRAY_LEN(stream_methods); i++)
		if (u->verbs & bits[i])
			put_stream_op(o, k, u, stream_methods[i], path ? "WithPath" : "");
	put_stream_params(o, u, k->namespaced, path);
	json_end_object(o->j);
}

static void
put_sub(struct out *o, const struct schema_kind *k, const struct schema_subresource *u)
{
	const char *rest = arena_fmt(o->a, "/{name}/%s", u->name).p;
	struct at at = {k, u->type, u->name, "", k->namespaced, false, true};

	if (rest == NULL)
		return;
	if (!openapi_is_stream(u)) {
		put_path(o, root(o, k, "", k->namespaced, rest), item_ops, ARRAY_LEN(item_ops),
			u->verbs, &at);
		return;
	}
	put_stream(o, k, u, false);
	if (strcmp(u->name, "proxy") == 0)
		put_stream(o, k, u, true);
}

/* ---- kinds ---- */

static void
put_watches(struct out *o, const struct schema_kind *k)
{
	struct at at = {k, k->type, "", "List", k->namespaced, false, false};
	struct at all = {k, k->type, "", "List", false, true, false};

	if (k->custom || !(k->verbs & SCHEMA_WATCH))
		return;
	if (k->namespaced)
		put_path(o, root(o, k, "/watch", false, ""), &watch_list_op, 1, k->verbs, &all);
	put_path(o, root(o, k, "/watch", k->namespaced, ""), &watch_list_op, 1, k->verbs, &at);
	if (!(k->verbs & SCHEMA_GET))
		return;
	at.behind = "";
	at.name = true;
	put_path(o, root(o, k, "/watch", k->namespaced, "/{name}"), &watch_op, 1, k->verbs, &at);
}

static void
put_kind(struct out *o, const struct schema_kind *k)
{
	const uint32_t collection = SCHEMA_LIST_VERB | SCHEMA_CREATE | SCHEMA_DELETECOLLECTION;
	const uint32_t item = SCHEMA_GET | SCHEMA_UPDATE | SCHEMA_PATCH | SCHEMA_DELETE;
	struct at at = {k, k->type, "", "", k->namespaced, false, false};
	struct at all = {k, k->type, "", "", false, true, false};

	if (k->namespaced)
		put_path(o, root(o, k, "", false, ""), collection_ops, ARRAY_LEN(collection_ops),
			k->verbs & SCHEMA_LIST_VERB, &all);
	put_path(o, root(o, k, "", k->namespaced, ""), collection_ops, ARRAY_LEN(collection_ops),
		k->verbs & collection, &at);
	at.name = true;
	put_path(o, root(o, k, "", k->namespaced, "/{name}"), item_ops, ARRAY_LEN(item_ops),
		k->verbs & item, &at);
	for (size_t u = 0; u < k->n_subs; u++)
		put_sub(o, k, &k->subs[u]);
	put_watches(o, k);
}

/* put_question: a path that answers what there is. */
static void
put_question(struct out *o, const char *path, const char *operation, const char *type)
{
	json_object(o->j, path ? path : "");
	json_object(o->j, "get");
	json_str(o->j, "description", "what there is");
	json_list(o->j, "tags");
	json_str(o->j, NULL, o->tag);
	json_end_list(o->j);
	json_str(o->j, "operationId", operation ? operation : "");
	json_object(o->j, "responses");
	put_response(o, "200", "OK", type_name(o, meta_type(o, type)), false, false);
	json_raw(o->j, "401", "{\"description\":\"Unauthorized\"}");
	json_end_object(o->j);
	json_end_object(o->j);
	json_end_object(o->j);
}

static void
put_resource_list(struct out *o, const struct schema_group_version *g)
{
	put_question(o,
		arena_fmt(o->a, "/%s%s%s/%s/", g->group[0] ? "apis" : "api", g->group[0] ? "/" : "",
			g->group, g->version)
			.p,
		arena_fmt(o->a, "get%sAPIResources", o->id).p, "APIResourceList");
}

/* "rbac.authorization.k8s.io" -> "rbacAuthorization" or, capital, "RbacAuthorization". */
static const char *
group_name(struct arena *a, const char *group, bool capital)
{
	struct str rest = str_c(group[0] ? group : "core"), part;
	struct buf b;
	bool up = capital;

	buf_init_arena(&b, a);
	if (str_ends(rest, STR(".k8s.io")))
		rest = str_sub(rest, 0, rest.n - strlen(".k8s.io"));
	while (str_next(&rest, '.', &part)) {
		for (size_t i = 0; i < part.n; i++) {
			char c = part.p[i];

			if (i == 0 && up && c >= 'a' && c <= 'z')
				c = (char)(c - 'a' + 'A');
			buf_char(&b, c);
		}
		up = true;
	}
	buf_char(&b, 0);
	return b.failed ? "" : b.data;
}

const char *
openapi_root_path(struct json_out *j, struct arena *a, const struct schema *s, struct str path)
{
	static const struct {
		const char *path, *url, *tag, *operation, *type;
	} roots[] = {
		{"api", "/api/", "core", "getCoreAPIVersions", "APIVersions"},
		{"apis", "/apis/", "apis", "getAPIVersions", "APIGroupList"},
	};
	struct out o = {j, a, s, "", ""};

	for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
		if (!str_eq_c(path, roots[i].path))
			continue;
		o.tag = roots[i].tag;
		put_question(&o, roots[i].url, roots[i].operation, roots[i].type);
		return roots[i].type;
	}
	const char *group = arena_cstr(a, str_sub(path, strlen("apis/"), SIZE_MAX));

	o.tag = group_name(a, group ? group : "", false);
	put_question(&o, arena_fmt(a, "/apis/%s/", group).p,
		arena_fmt(a, "get%sAPIGroup", group_name(a, group ? group : "", true)).p,
		"APIGroup");
	return "APIGroup";
}

void
openapi_paths(struct json_out *j, struct arena *a, const struct schema *s,
	const struct schema_group_version *g)
{
	struct out o = {j, a, s,
		arena_fmt(a, "%s_%s", group_name(a, g->group, false), g->version).p,
		arena_fmt(a, "%sV%s", group_name(a, g->group, true), g->version + 1).p};

	json_object(j, "paths");
	put_resource_list(&o, g);
	for (size_t i = 0; i < s->n_kinds; i++) {
		const struct schema_kind *k = s->kinds[i];

		if ((k->flags & SCHEMA_KIND_SERVED) && strcmp(k->group, g->group) == 0 &&
			strcmp(k->version, g->version) == 0)
			put_kind(&o, k);
	}
	json_end_object(j);
}
