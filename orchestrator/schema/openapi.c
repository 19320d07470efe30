/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * openapi: OpenAPI 3.0 of one group and version, whole: paths (openapi_paths.c) and the schemas of every type
 * they reach. kubectl validates, explains and computes patches with it, so list types, merge keys and
 * strategies must be complete.
 * Source: OpenAPI 3.0.0; the x-kubernetes- extensions; names as k8s.io/kube-openapi makes them. */
#include "orchestrator/schema/publish_int.h"

#include <stdlib.h>

/* Where Go keeps the packages; all others are io.k8s.api.<first label>. */
static const struct {
	const char *group, *prefix;
} packages[] = {
	{"", "io.k8s.api.core."},
	{"meta", "io.k8s.apimachinery.pkg.apis.meta."},
	{"apiextensions.k8s.io", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions."},
	{"apiregistration.k8s.io", "io.k8s.kube-aggregator.pkg.apis.apiregistration."},
};

/* custom_name: "stable.example.com", "v1", "CronTab" -> "com.example.stable.v1.CronTab". */
static struct str
custom_name(struct arena *a, const struct schema_type *t)
{
	struct str rest = str_c(t->group), head = STR_NONE, tail = STR_NONE;
	struct buf b;

	buf_init_arena(&b, a);
	while (str_rcut(rest, '.', &head, &tail)) {
		buf_fmt(&b, STR_FMT ".", STR_ARG(tail));
		rest = head;
	}
	buf_fmt(&b, STR_FMT ".%s.%s", STR_ARG(rest), t->version, t->name);
	buf_char(&b, 0);
	return b.failed ? STR_NONE : str_from(b.data, b.len - 1);
}

struct str
schema_openapi_name(struct arena *a, const struct schema_type *t)
{
	struct str label = STR_NONE, rest = STR_NONE;

	if (t->structural)
		return custom_name(a, t);
	for (size_t i = 0; i < ARRAY_LEN(packages); i++)
		if (strcmp(packages[i].group, t->group) == 0)
			return arena_fmt(a, "%s%s.%s", packages[i].prefix, t->version, t->name);
	str_cut(str_c(t->group), '.', &label, &rest);
	return arena_fmt(a, "io.k8s.api." STR_FMT ".%s.%s", STR_ARG(label), t->version, t->name);
}

/* Scalars that have a schema of their own. */
static const struct {
	const char *name, *json;
} shared[SCHEMA_FORM__COUNT] = {
	[SCHEMA_QUANTITY] = {"io.k8s.apimachinery.pkg.api.resource.Quantity",
		"{\"description\":\"an amount: digits with a suffix: m, k, M, G, Ki, Mi, Gi...\",\"oneOf\":[{\"type\":"
		"\"string\"},{\"type\":\"number\"}]}"},
	[SCHEMA_TIME] = {"io.k8s.apimachinery.pkg.apis.meta.v1.Time",
		"{\"description\":\"a point in time, RFC 3339\",\"format\":\"date-time\",\"type\":\"string\"}"},
	[SCHEMA_MICROTIME] = {"io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
		"{\"description\":\"a point in time with microseconds, RFC 3339\",\"format\":\"date-time\",\"type\":"
		"\"string\"}"},
	[SCHEMA_DURATION] = {"io.k8s.apimachinery.pkg.apis.meta.v1.Duration",
		"{\"description\":\"a span of time: 1h15m30s\",\"type\":\"string\"}"},
	[SCHEMA_INTSTR] = {"io.k8s.apimachinery.pkg.util.intstr.IntOrString",
		"{\"description\":\"a number or a text\",\"format\":\"int-or-string\",\"oneOf\":[{\"type\":\"integer\"},{"
		"\"type\":\"string\"}]}"},
	[SCHEMA_OBJECT] = {"io.k8s.apimachinery.pkg.runtime.RawExtension",
		"{\"description\":\"an object of any kind\",\"type\":\"object\"}"},
};
static const char fields_json[] = "{\"description\":\"a set of fields\",\"type\":\"object\"}";
static const char patch_json[] =
	"{\"description\":\"a patch: what it means is up to its content type\",\"type\":\"object\"}";
static const char patch_name[] = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

/* JSON schema of scalars that are written in place. */
static const struct {
	const char *type, *format;
} plain[SCHEMA_FORM__COUNT] = {
	[SCHEMA_STRING] = {"string", NULL},
	[SCHEMA_BOOL] = {"boolean", NULL},
	[SCHEMA_INT32] = {"integer", "int32"},
	[SCHEMA_INT64] = {"integer", "int64"},
	[SCHEMA_DOUBLE] = {"number", "double"},
	[SCHEMA_BYTES] = {"string", "byte"},
};

void
openapi_ref(struct json_out *j, struct arena *a, const struct schema_type *t)
{
	json_text(j, "$ref",
		arena_fmt(a, "#/components/schemas/" STR_FMT, STR_ARG(schema_openapi_name(a, t))));
}

void
openapi_gvk(struct json_out *j, const char *group, const char *version, const char *kind)
{
	json_str(j, "group", group);
	json_str(j, "kind", kind);
	json_str(j, "version", version);
}

const struct schema_type *
openapi_list_type(const struct schema *s, const struct schema_kind *k)
{
	if (k->list_kind == NULL || k->list_kind[0] == 0)
		return NULL;
	return schema_type_find(s, str_c(k->group), str_c(k->version), str_c(k->list_kind));
}

struct str
openapi_list_name(struct arena *a, const struct schema *s, const struct schema_kind *k)
{
	const struct schema_type *t = openapi_list_type(s, k);
	struct schema_type list = *k->type;

	if (t)
		return schema_openapi_name(a, t);
	list.name = k->list_kind;
	return schema_openapi_name(a, &list);
}

/* ---- schemas ---- */

static const char fields_name[] = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1";

/* The one object of any kind that has a name of its own. */
static bool
is_fields(const struct schema_field *f)
{
	return f->form == SCHEMA_OBJECT && strcmp(f->name, "fieldsV1") == 0;
}

/* put_form: the schema of one value into the open object. */
static void
put_form(struct json_out *j, struct arena *a, const struct schema_field *f)
{
	if (f->form == SCHEMA_STRUCT) {
		openapi_ref(j, a, f->type);
	} else if (shared[f->form].name) {
		json_text(j, "$ref",
			arena_fmt(a, "#/components/schemas/%s",
				is_fields(f) ? fields_name : shared[f->form].name));
	} else if (plain[f->form].type) {
		json_str(j, "type", plain[f->form].type);
		if (plain[f->form].format)
			json_str(j, "format", plain[f->form].format);
	}
	/* any, and the unions of CRD schemas: no constraint */
}

static void
put_strings(struct json_out *j, const char *key, const char *const *list)
{
	json_list(j, key);
	for (; *list; list++)
		json_str(j, NULL, *list);
	json_end_list(j);
}

static const char *
strategy_text(unsigned patch)
{
	static const char *const texts[] = {
		[SCHEMA_PATCH_MERGE] = "merge",
		[SCHEMA_PATCH_RETAIN_KEYS] = "retainKeys",
		[SCHEMA_PATCH_MERGE | SCHEMA_PATCH_RETAIN_KEYS] = "merge,retainKeys",
		[SCHEMA_PATCH_REPLACE] = "replace",
	};

	return patch < ARRAY_LEN(texts) ? texts[patch] : NULL;
}

/* What an absent member reads as when its zero value is always there: upstream's documents say so. */
static const char *
zero_default(const struct schema_field *f)
{
	static const char *const zero[SCHEMA_FORM__COUNT] = {
		[SCHEMA_STRING] = "\"\"",
		[SCHEMA_BOOL] = "false",
		[SCHEMA_INT32] = "0",
		[SCHEMA_INT64] = "0",
		[SCHEMA_STRUCT] = "{}",
	};

	if (f->shape != SCHEMA_ONE || (f->flags & SCHEMA_PTR))
		return NULL;
	return f->form == SCHEMA_STRUCT || f->emit == SCHEMA_ALWAYS ? zero[f->form] : NULL;
}

static void
put_rules(struct json_out *j, const struct schema_field *f)
{
	static const char *const lists[] = {NULL, "atomic", "set", "map"};
	const struct schema_rules *r = f->rules;

	if (!(r && r->dflt) && zero_default(f))
		json_raw(j, "default", zero_default(f));
	if (r == NULL)
		return;
	if (r->enums && !(f->flags & SCHEMA_OPEN_ENUM) && f->shape == SCHEMA_ONE)
		put_strings(j, "enum", r->enums);
	if (r->dflt)
		json_raw(j, "default", r->dflt);
	if (r->list_keys)
		put_strings(j, "x-kubernetes-list-map-keys", r->list_keys);
	if (lists[r->list])
		json_str(j, "x-kubernetes-list-type", lists[r->list]);
	if (r->map_atomic)
		json_str(j, "x-kubernetes-map-type", "atomic");
	if (r->map_granular)
		json_str(j, "x-kubernetes-map-type", "granular");
	if (r->merge_key)
		json_str(j, "x-kubernetes-patch-merge-key", r->merge_key);
	if (strategy_text(r->patch))
		json_str(j, "x-kubernetes-patch-strategy", strategy_text(r->patch));
}

static void
put_field(struct json_out *j, struct arena *a, const struct schema_field *f)
{
	const char *text = schema_field_description(f);
	bool ref = f->form == SCHEMA_STRUCT || shared[f->form].name;

	json_object(j, f->name);
	if (text[0])
		json_str(j, "description", text);
	put_rules(j, f);
	switch ((enum schema_shape)f->shape) {
	case SCHEMA_ONE:
		if (!ref) {
			put_form(j, a, f);
			break;
		}
		/* a $ref alone would hide its siblings */
		json_list(j, "allOf");
		json_object(j, NULL);
		put_form(j, a, f);
		json_end_object(j);
		json_end_list(j);
		break;
	case SCHEMA_LIST:
		json_str(j, "type", "array");
		json_object(j, "items");
		put_form(j, a, f);
		json_end_object(j);
		break;
	case SCHEMA_MAP:
		json_str(j, "type", "object");
		json_object(j, "additionalProperties");
		put_form(j, a, f);
		json_end_object(j);
		break;
	case SCHEMA_MAP_OF_LISTS:
		json_str(j, "type", "object");
		json_object(j, "additionalProperties");
		json_str(j, "type", "array");
		json_object(j, "items");
		put_form(j, a, f);
		json_end_object(j);
		json_end_object(j);
		break;
	}
	json_end_object(j);
}

static void
put_gvk(struct json_out *j, const char *group, const char *version, const char *kind)
{
	json_object(j, NULL);
	openapi_gvk(j, group, version, kind);
	json_end_object(j);
}

/* openapi_gvks: roots are named by their kind; DeleteOptions and WatchEvent belong to every version: in its own
 * document (g) to that one and the first. */
void
openapi_gvks(struct json_out *j, const struct schema *s, const struct schema_group_version *g,
	const struct schema_type *t)
{
	bool meta = strcmp(t->group, "meta") == 0;
	bool all = meta &&
		(strcmp(t->name, "DeleteOptions") == 0 || strcmp(t->name, "WatchEvent") == 0);

	json_list(j, "x-kubernetes-group-version-kind");
	for (size_t i = 0; all && !g && i < s->n_groups; i++)
		put_gvk(j, s->groups[i].group, s->groups[i].version, t->name);
	if (g || !all)
		put_gvk(j, meta ? "" : t->group, t->version, t->name);
	if (all && g && g->group[0])
		put_gvk(j, g->group, g->version, t->name);
	json_end_list(j);
}

static void
put_type(struct json_out *j, struct arena *a, const struct schema *s,
	const struct schema_group_version *g, const struct schema_type *t)
{
	bool required = false;

	if (t->structural) {
		openapi_custom(j, a, s, g, t);
		return;
	}

	json_object(j, schema_openapi_name(a, t).p);
	json_str(j, "description", t->description[0] ? t->description : t->name);
	json_str(j, "type", "object");
	json_object(j, "properties");
	for (size_t i = 0; i < t->n_fields; i++) {
		put_field(j, a, &t->fields[i]);
		required |= (t->fields[i].flags & SCHEMA_REQUIRED) != 0;
	}
	json_end_object(j);
	if (required) {
		json_list(j, "required");
		for (size_t i = 0; i < t->n_fields; i++)
			if (t->fields[i].flags & SCHEMA_REQUIRED)
				json_str(j, NULL, t->fields[i].name);
		json_end_list(j);
	}
	if (t->root || strcmp(t->name, "WatchEvent") == 0)
		openapi_gvks(j, s, g, t);
	if (t->map_atomic)
		json_str(j, "x-kubernetes-map-type", "atomic");
	json_end_object(j);
}

/* ---- which types ---- */

struct reach {
	struct arena *a;
	const struct schema_type **types;
	size_t n;
	bool forms[SCHEMA_FORM__COUNT], fields; /* those with a schema of their own; FieldsV1 */
	bool patches;
	bool failed;
};

static bool
reached(const struct reach *r, const struct schema_type *t)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->types[i] == t)
			return true;
	return false;
}

static void
reach_add(struct reach *r, const struct schema_type *t)
{
	const struct schema_type **at = NULL;

	if (t == NULL || reached(r, t))
		return;
	at = ARENA_PUSH(r->a, r->types, r->n);
	if (at)
		*at = t;
	else
		r->failed = true;
}

/* reach_all: the types found so far and all they hold. */
static void
reach_all(struct reach *r)
{
	for (size_t i = 0; i < r->n && !r->failed; i++) {
		const struct schema_type *t = r->types[i];

		for (size_t k = 0; k < t->n_fields; k++) {
			if (is_fields(&t->fields[k]))
				r->fields = true;
			else
				r->forms[t->fields[k].form] = true;
			if (t->fields[k].form == SCHEMA_STRUCT)
				reach_add(r, t->fields[k].type);
		}
	}
}

/* What the operations of kinds take and give besides. */
static const struct {
	uint32_t verbs; /* 0: always */
	bool custom;    /* of custom resources too */
	const char *type;
} besides[] = {
	{0, true, "APIResourceList"},
	{SCHEMA_DELETE | SCHEMA_DELETECOLLECTION, true, "DeleteOptions"},
	{SCHEMA_DELETE | SCHEMA_DELETECOLLECTION, true, "Status"},
	{SCHEMA_WATCH, false, "WatchEvent"},
};

static void
reach_besides(struct reach *r, const struct schema *s, const struct schema_kind *k)
{
	for (size_t i = 0; i < ARRAY_LEN(besides); i++)
		if ((!besides[i].verbs || (k->verbs & besides[i].verbs)) &&
			(besides[i].custom || !k->custom))
			reach_add(r,
				schema_type_find(
					s, STR("meta"), STR("v1"), str_c(besides[i].type)));
	r->patches |= (k->verbs & SCHEMA_PATCH) != 0;
}

static void
reach_version(struct reach *r, const struct schema *s, const struct schema_group_version *g)
{
	for (size_t i = 0; i < s->n_kinds; i++) {
		const struct schema_kind *k = s->kinds[i];

		if (!(k->flags & SCHEMA_KIND_SERVED) || strcmp(k->group, g->group) != 0 ||
			strcmp(k->version, g->version) != 0)
			continue;
		reach_add(r, k->type);
		reach_add(r, openapi_list_type(s, k));
		reach_besides(r, s, k);
		if (k->custom)
			reach_add(r, schema_type_find(s, STR("meta"), STR("v1"), STR("ListMeta")));
		for (size_t j = 0; j < k->n_subs; j++)
			if (!openapi_is_stream(&k->subs[j])) /* its options are parameters */
				reach_add(r, k->subs[j].type);
	}
	reach_all(r);
}

static int
by_name(const void *x, const void *y)
{
	const struct schema_type *a = *(const struct schema_type *const *)x;
	const struct schema_type *b = *(const struct schema_type *const *)y;
	int c = strcmp(a->group, b->group);

	return c                                 ? c
		: strcmp(a->version, b->version) ? strcmp(a->version, b->version)
						 : strcmp(a->name, b->name);
}

static void
put_components(struct json_out *j, struct arena *a, const struct schema *s,
	const struct schema_group_version *g, struct reach *r)
{
	json_object(j, "components");
	json_object(j, "schemas");
	qsort(r->types, r->n, sizeof(*r->types), by_name);
	for (size_t i = 0; i < r->n; i++)
		put_type(j, a, s, g, r->types[i]);
	for (size_t i = 0; i < s->n_kinds; i++)
		if (s->kinds[i]->custom && reached(r, s->kinds[i]->type))
			openapi_custom_list(j, a, s, s->kinds[i]);
	for (size_t i = 0; i < SCHEMA_FORM__COUNT; i++)
		if (r->forms[i] && shared[i].name)
			json_raw(j, shared[i].name, shared[i].json);
	if (r->fields)
		json_raw(j, fields_name, fields_json);
	if (r->patches)
		json_raw(j, patch_name, patch_json);
	json_end_object(j);
	json_object(j, "securitySchemes");
	json_raw(j, "BearerToken",
		"{\"description\":\"a token in the Authorization header\",\"in\":\"header\",\"name\":\"authorization\","
		"\"type\":\"apiKey\"}");
	json_end_object(j);
	json_end_object(j);
}

/* each_one: a schema that was written as the only member of an object. */
static int
each_one(struct arena *a, struct buf *b,
	void (*fn)(void *arg, struct arena *a, struct str name, struct doc *d), void *arg)
{
	struct doc *d = NULL;

	if (b->failed || doc_parse_json(a, buf_view(b), NULL, &d, NULL) < 0 || !d->first)
		return -ENOMEM;
	fn(arg, a, d->first->key, d->first);
	buf_clear(b);
	arena_clear(a);
	return 0;
}

/* What is answered above the versions. */
static const char *const above[] = {"APIGroup", "APIGroupList", "APIVersions"};

int
openapi_each(const struct schema *s,
	void (*fn)(void *arg, struct arena *a, struct str name, struct doc *d), void *arg)
{
	struct arena *own = arena_new(16u << 20), *a = arena_new(16u << 20);
	struct reach r = {.a = own};
	struct buf b = BUF_INIT;
	int rc = own && a ? 0 : -ENOMEM;

	for (size_t i = 0; rc == 0 && i < s->n_groups; i++)
		if (schema_version_served(s, &s->groups[i]))
			reach_version(&r, s, &s->groups[i]);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(above); i++)
		reach_add(&r, schema_type_find(s, STR("meta"), STR("v1"), str_c(above[i])));
	reach_all(&r);
	if (r.failed)
		rc = -ENOMEM;
	if (r.n)
		qsort(r.types, r.n, sizeof(*r.types), by_name);
	for (size_t i = 0; rc == 0 && i < r.n; i++) {
		struct json_out j = {.b = &b};

		if (r.types[i]->structural)
			continue;
		json_object(&j, NULL);
		put_type(&j, a, s, NULL, r.types[i]);
		json_end_object(&j);
		rc = each_one(a, &b, fn, arg);
	}
	for (size_t i = 0; rc == 0 && i < SCHEMA_FORM__COUNT; i++) {
		if (!r.forms[i] || !shared[i].name)
			continue;
		buf_fmt(&b, "{\"%s\":%s}", shared[i].name, shared[i].json);
		rc = each_one(a, &b, fn, arg);
	}
	if (rc == 0 && r.fields) {
		buf_fmt(&b, "{\"%s\":%s}", fields_name, fields_json);
		rc = each_one(a, &b, fn, arg);
	}
	if (rc == 0 && r.patches) {
		buf_fmt(&b, "{\"%s\":%s}", patch_name, patch_json);
		rc = each_one(a, &b, fn, arg);
	}
	buf_release(&b);
	arena_free(a);
	arena_free(own);
	return rc;
}

/* ---- documents ---- */

static struct str
path_of(struct arena *a, const struct schema_group_version *g)
{
	return g->group[0] ? arena_fmt(a, "apis/%s/%s", g->group, g->version)
			   : arena_fmt(a, "api/%s", g->version);
}

/* first_of: is this the first version of a group that is not made of custom resources only? */
static bool
first_of(const struct schema *s, size_t g)
{
	const char *group = s->groups[g].group;

	for (size_t i = 0; i < g; i++)
		if (strcmp(s->groups[i].group, group) == 0)
			return false;
	for (size_t i = 0; i < s->n_kinds; i++)
		if (!s->kinds[i]->custom && (s->kinds[i]->flags & SCHEMA_KIND_SERVED) &&
			strcmp(s->kinds[i]->group, group) == 0)
			return true;
	return false;
}

/* The versions; then what is above them. */
struct str
schema_openapi_v3_path(struct arena *a, const struct schema *s, size_t i)
{
	for (size_t g = 0; g < s->n_groups; g++)
		if (schema_version_served(s, &s->groups[g]) && i-- == 0)
			return path_of(a, &s->groups[g]);
	for (size_t g = 0; g < s->n_groups; g++)
		if (s->groups[g].group[0] && first_of(s, g) && i-- == 0)
			return arena_fmt(a, "apis/%s", s->groups[g].group);
	return i == 0 ? STR("api") : i == 1 ? STR("apis") : STR_NONE;
}

static bool
is_root(struct arena *a, const struct schema *s, struct str path)
{
	struct str one = STR_NONE;

	for (size_t i = 0; str_is_set(one = schema_openapi_v3_path(a, s, i)); i++)
		if (str_eq(one, path))
			return true;
	return false;
}

static void
put_info(struct json_out *j, bool custom)
{
	json_str(j, "openapi", "3.0.0");
	json_object(j, "info");
	json_str(j, "title", custom ? "Kubernetes CRD Swagger" : "Kubernetes");
	json_str(j, "version", custom ? "v0.1.0" : "1.37");
	json_end_object(j);
}

static void
put_version(struct json_out *j, struct arena *a, const struct schema *s,
	const struct schema_group_version *g, struct reach *r)
{
	bool custom = false;

	reach_version(r, s, g);
	for (size_t i = 0; i < r->n; i++)
		custom = custom || r->types[i]->structural;
	put_info(j, custom);
	openapi_paths(j, a, s, g);
	put_components(j, a, s, g, r);
}

static void
put_root(struct json_out *j, struct arena *a, const struct schema *s, struct str path,
	struct reach *r)
{
	put_info(j, false);
	json_object(j, "paths");
	reach_add(r,
		schema_type_find(
			s, STR("meta"), STR("v1"), str_c(openapi_root_path(j, a, s, path))));
	json_end_object(j);
	reach_all(r);
	put_components(j, a, s, NULL, r);
}

int
schema_openapi_v3(const struct schema *s, struct str path, struct buf *out)
{
	struct arena *a = arena_new(64u << 20);
	struct json_out j = {.b = out};
	const struct schema_group_version *g = NULL;
	struct reach r = {.a = a};
	int rc = -ENOENT;

	if (a == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_groups && g == NULL; i++)
		if (schema_version_served(s, &s->groups[i]) &&
			str_eq(path_of(a, &s->groups[i]), path))
			g = &s->groups[i];
	if (g || is_root(a, s, path)) {
		json_object(&j, NULL);
		if (g)
			put_version(&j, a, s, g, &r);
		else
			put_root(&j, a, s, path, &r);
		json_end_object(&j);
		rc = r.failed || arena_failed(a) || out->failed ? -ENOMEM : 0;
	}
	arena_free(a);
	return rc;
}

void
schema_openapi_v3_index(const struct schema *s, struct str (*hash)(void *arg, struct str path),
	void *arg, struct buf *out)
{
	struct arena *a = arena_new(1u << 20);
	struct json_out j = {.b = out};
	struct str path = STR_NONE;

	if (a == NULL) {
		out->failed = true;
		return;
	}
	json_object(&j, NULL);
	json_object(&j, "paths");
	for (size_t i = 0; (path = schema_openapi_v3_path(a, s, i)).n; i++) {
		struct str h = hash(arg, path);

		json_object(&j, path.p);
		json_text(&j, "serverRelativeURL",
			arena_fmt(a, "/openapi/v3/" STR_FMT "?hash=" STR_FMT, STR_ARG(path),
				STR_ARG(h)));
		json_end_object(&j);
	}
	json_end_object(&j);
	json_end_object(&j);
	if (arena_failed(a))
		out->failed = true;
	arena_free(a);
}
