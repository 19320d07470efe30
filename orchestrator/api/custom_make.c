/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * custom_make: a CustomResourceDefinition as rows: for each version a kind with its type, whose schema is compiled,
 * its columns, subresources and selectable fields. All of it lives in one arena.
 *
 * Versions share the objects, which are stored in the storage version, without apiVersion: an attribute of the value
 * says which that was (convert.h), and the schema id which generation of it.
 * Source: apiextensions-apiserver pkg/apiserver/customresource_handler.go; KEP-2337 (columns), KEP-4358. */
#include "orchestrator/api/convert.h"

#include <stdlib.h>

#define MAKE_MAX ((size_t)64 << 20)

static const struct schema_type *
builtin_type(const char *group, const char *version, const char *name)
{
	return schema_type_find(schema_builtin(), str_c(group), str_c(version), str_c(name));
}

static const char *
text(struct arena *a, const struct doc *d, const char *name)
{
	char *s = arena_cstr(a, doc_get_str(d, str_c(name)));
	return s ? s : "";
}

static const char *const *
texts(struct arena *a, const struct doc *list)
{
	size_t n = 0;
	const char **out = ARENA_ARRAY(a, const char *, doc_len(list) + 1);
	DOC_EACH (x, list)
		if (out)
			out[n++] = arena_cstr(a, doc_as_str(x));
	return out;
}

/* The type: metadata is the server's, all else is as the schema says. */
static struct schema_type *
make_type(struct arena *a, const struct schema_kind *k, const struct doc *version)
{
	static const uint16_t first[] = {0};
	const struct schema_field *meta = schema_field_find(
		builtin_type("", "v1", "ConfigMap"), STR("metadata"));
	const struct doc *schema = doc_get(doc_get(version, STR("schema")), STR("openAPIV3Schema"));
	struct schema_type *t = ARENA_NEW(a, struct schema_type);
	if (!t || structural_compile(a, schema ? schema : doc_map(a), &t->structural) < 0)
		return NULL;
	t->name = k->kind;
	t->group = k->group;
	t->version = k->version;
	t->description = text(a, schema, "description");
	t->fields = meta;
	t->by_name = first;
	t->n_fields = 1;
	t->defaults = true;
	t->preserve_unknown = true;
	t->root = true;
	return t;
}

/* ---- columns --------------------------------------------------------------------------------------- */

static void
make_columns(struct arena *a, struct schema_kind *k, const struct doc *version)
{
	const struct doc *list = doc_get(version, STR("additionalPrinterColumns"));
	struct schema_column *cols = ARENA_ARRAY(a, struct schema_column, doc_len(list) + 1);
	if (!cols || doc_len(list) == 0)
		return;
	cols[k->n_columns++] = (struct schema_column){
		"Name", "string", "name", "", 0, "metadata.name"};
	DOC_EACH (c, list)
		cols[k->n_columns++] = (struct schema_column){.name = text(a, c, "name"),
			.type = text(a, c, "type"),
			.format = text(a, c, "format"),
			.description = text(a, c, "description"),
			.priority = (uint8_t)doc_get_int(c, STR("priority"), 0),
			.cell = text(a, c, "jsonPath")};
	k->columns = cols;
}

static void
make_selectables(struct arena *a, struct schema_kind *k, const struct doc *version)
{
	const struct doc *list = doc_get(version, STR("selectableFields"));
	struct schema_selectable *out = ARENA_ARRAY(a, struct schema_selectable, doc_len(list) + 1);
	DOC_EACH (f, list) {
		const char *path = text(a, f, "jsonPath");
		if (out && path[0] == '.')
			out[k->n_selectables++] = (struct schema_selectable){
				path + 1, path + 1, path + 1};
	}
	k->selectables = out;
}

/* ---- subresources ---------------------------------------------------------------------------------- */

static struct str
member_path(struct arena *a, const struct doc *scale, const char *name)
{
	struct str p = doc_get_str(scale, str_c(name));
	return p.n > 1 && p.p[0] == '.' ? arena_str(a, str_sub(p, 1, SIZE_MAX)) : STR("");
}

static int
make_subs(struct arena *a, struct schema_kind *k, const struct doc *version,
	const struct custom_scale **ret)
{
	const struct doc *subs = doc_get(version, STR("subresources"));
	const struct doc *scale = doc_get(subs, STR("scale")),
			 *status = doc_get(subs, STR("status"));
	struct schema_subresource *out = ARENA_ARRAY(a, struct schema_subresource, 2);
	struct custom_scale *paths = ARENA_NEW(a, struct custom_scale);
	const uint32_t rw = SCHEMA_GET | SCHEMA_PATCH | SCHEMA_UPDATE;
	if (!out || !paths)
		return -ENOMEM;
	if (status && status->type == DOC_MAP) {
		out[k->n_subs++] = (struct schema_subresource){
			"status", k->group, k->version, k->kind, k->type, rw};
		k->flags |= SCHEMA_KIND_STATUS_RESET;
	}
	if (scale && scale->type == DOC_MAP) {
		out[k->n_subs++] = (struct schema_subresource){"scale", "autoscaling", "v1",
			"Scale", builtin_type("autoscaling", "v1", "Scale"), rw};
		*paths = (struct custom_scale){member_path(a, scale, "specReplicasPath"),
			member_path(a, scale, "statusReplicasPath"),
			member_path(a, scale, "labelSelectorPath")};
		*ret = paths;
	}
	k->subs = out;
	return 0;
}

/* ---- rows ------------------------------------------------------------------------------------------ */

static struct schema_kind *
make_kind(struct arena *a, const struct doc *crd, const struct doc *version)
{
	const struct doc *spec = doc_get(crd, STR("spec"));
	const struct doc *names = doc_get(doc_get(crd, STR("status")), STR("acceptedNames"));
	struct schema_kind *k = ARENA_NEW(a, struct schema_kind);
	if (!k)
		return NULL;
	*k = (struct schema_kind){.group = text(a, spec, "group"),
		.version = text(a, version, "name"),
		.kind = text(a, names, "kind"),
		.list_kind = text(a, names, "listKind"),
		.plural = text(a, names, "plural"),
		.singular = text(a, names, "singular"),
		.short_names = texts(a, doc_get(names, STR("shortNames"))),
		.categories = texts(a, doc_get(names, STR("categories"))),
		.storage_hash = "",
		.flags = SCHEMA_KIND_STORED | SCHEMA_KIND_GENERATION |
			SCHEMA_KIND_GENERATION_RAISED | SCHEMA_KIND_NO_UNCONDITIONAL,
		.verbs = SCHEMA_GET | SCHEMA_LIST_VERB | SCHEMA_WATCH | SCHEMA_CREATE |
			SCHEMA_UPDATE | SCHEMA_PATCH | SCHEMA_DELETE | SCHEMA_DELETECOLLECTION,
		.name_format = FORMAT_DNS_SUBDOMAIN,
		.namespaced = str_eq_c(doc_get_str(spec, STR("scope")), "Namespaced"),
		.custom = true};
	if (doc_get_bool(version, STR("served"), false))
		k->flags |= SCHEMA_KIND_SERVED;
	k->type = make_type(a, k, version);
	make_columns(a, k, version);
	make_selectables(a, k, version);
	return k->type ? k : NULL;
}

/* Never that of a built-in kind; another for each generation and version. */
static uint16_t
schema_id(const struct doc *crd, size_t version)
{
	int64_t generation = doc_get_int(meta_of(crd), STR("generation"), 1);
	return (uint16_t)(0x8000u | (((uint64_t)generation * 16 + version) & 0x7fff));
}

static int
make_rows(struct api_server *s, struct custom *c, const struct doc *crd)
{
	const struct doc *versions = doc_get(doc_get(crd, STR("spec")), STR("versions"));
	const struct api_resource *stored = NULL;
	c->rows = ARENA_ARRAY(c->a, struct api_resource, doc_len(versions) + 1);
	if (!c->rows)
		return -ENOMEM;
	DOC_EACH (v, versions) {
		struct api_resource *row = &c->rows[c->n_rows];
		struct schema_kind *k = make_kind(c->a, crd, v);
		if (!k || make_subs(c->a, k, v, &row->scale) < 0 ||
			custom_row_fill(s, c->a, k, row) < 0)
			return -ENOMEM;
		row->custom = c;
		row->schema_id = schema_id(crd, c->n_rows);
		row->deprecated = doc_get_bool(v, STR("deprecated"), false);
		row->deprecation = arena_str(c->a, doc_get_str(v, STR("deprecationWarning")));
		if (doc_get_bool(v, STR("storage"), false))
			stored = row;
		c->n_rows++;
	}
	for (size_t i = 0; stored && i < c->n_rows; i++) {
		c->rows[i].stored = stored;
		c->rows[i].shares = &c->rows[i] != stored;
	}
	return stored ? 0 : -EINVAL;
}

/* Who converts. What is wrong with its certificates is told to those who ask for a conversion. */
static int
make_hook(struct custom *c, const struct doc *conversion)
{
	const struct doc *webhook = doc_get(conversion, STR("webhook"));
	if (!str_eq_c(doc_get_str(conversion, STR("strategy")), "Webhook"))
		return 0;
	struct custom_hook *h = ARENA_NEW(c->a, struct custom_hook);
	if (!h)
		return -ENOMEM;
	h->to = hook_target_of(c->a, doc_get(webhook, STR("clientConfig")));
	DOC_EACH (v, doc_get(webhook, STR("conversionReviewVersions"))) {
		if (h->review)
			break;
		h->review = str_eq(doc_as_str(v), STR("v1"))    ? "v1"
			: str_eq(doc_as_str(v), STR("v1beta1")) ? "v1beta1"
								: NULL;
	}
	if (hook_target_tls(&h->to, &h->tls, &h->tls_error) < 0)
		h->tls = NULL;
	c->hook = h;
	return 0;
}

struct custom *
custom_make(struct api_server *s, struct str name, struct str key, struct str body)
{
	struct arena *a = arena_new(MAKE_MAX);
	struct custom *c = a ? ARENA_NEW(a, struct custom) : NULL;
	struct doc *d = NULL;
	if (!c) {
		arena_free(a);
		return NULL;
	}
	*c = (struct custom){
		.refs = 1, .a = a, .key = arena_str(a, key), .name = arena_str(a, name)};
	if (doc_parse_json(a, arena_str(a, body), NULL, &d, NULL) < 0 || make_rows(s, c, d) < 0 ||
		make_hook(c, doc_get(doc_get(d, STR("spec")), STR("conversion"))) < 0 ||
		arena_failed(a)) {
		custom_drop(c);
		return NULL;
	}
	return c;
}

void
custom_drop(struct custom *c)
{
	if (c->hook)
		tls_ctx_unref(c->hook->tls);
	arena_free(c->a);
}
