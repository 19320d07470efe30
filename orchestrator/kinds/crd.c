/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * crd: CustomResourceDefinitions: which versions are stored is kept in the status; a deleted one stays until its
 * instances are gone (api/crd_control.c). What they must be is in schema/checks_crd.c.
 *
 * Source: apiextensions-apiserver pkg/registry/customresourcedefinition (strategy.go, etcd.go). */
#include "orchestrator/kinds/kinds_int.h"

#define CLEANUP S("customresourcecleanup.apiextensions.k8s.io")

/* The storage version of spec is one of status.storedVersions. */
static void
keep_stored(struct request *r, struct doc *obj)
{
	struct doc *status = doc_ensure_map(r->a, obj, S("status"));
	struct doc *stored = status ? doc_ensure_list(r->a, status, S("storedVersions")) : NULL;
	DOC_EACH (v, doc_get(doc_get(obj, S("spec")), S("versions"))) {
		struct str name = doc_get_str(v, S("name"));
		if (!stored || !doc_get_bool(v, S("storage"), false))
			continue;
		if (!list_has(stored, name))
			list_add(r->a, stored, name);
		return;
	}
}

static void
crd_create(struct request *r, struct doc *obj)
{
	keep_stored(r, obj);
}

static void
crd_update(struct request *r, struct doc *obj, const struct doc *old)
{
	keep_member(r->a, obj, old, S("status"));
	keep_stored(r, obj);
}

/* ---- warnings ---- */

static void
warn_node(struct request *r, const struct doc *d)
{
	static const struct str numbers[][2] = {
		{STR_INIT("int32"), STR_INIT("int64")}, {STR_INIT("float"), STR_INIT("double")}};
	struct str format = doc_get_str(d, S("format")), type = doc_get_str(d, S("type"));
	const struct doc *items = doc_get(d, S("items"));
	bool known = type.n == 0 || str_eq_c(type, "string") ? structural_format_known(format)
							     : false;
	size_t row = str_eq_c(type, "integer") ? 0 : str_eq_c(type, "number") ? 1 : 2;
	for (size_t i = 0; row < 2 && i < 2; i++)
		known = known || str_eq(format, numbers[row][i]);
	if (format.n && !known)
		request_warn(r, "unrecognized format \"" STR_FMT "\"", STR_ARG(format));
	type = doc_get_str(items, S("type"));
	if (str_eq_c(doc_get_str(d, S("x-kubernetes-list-type")), "set") &&
		(str_eq_c(type, "object") || str_eq_c(type, "array")))
		request_warn(r,
			"x-kubernetes-list-type: set for items of type \"" STR_FMT
			"\" is not supported by server-side apply or CEL validation rules",
			STR_ARG(type));
}

static void
warn_below(struct request *r, const struct doc *d, size_t depth)
{
	static const struct str ones[] = {
		STR_INIT("items"), STR_INIT("additionalProperties"), STR_INIT("not")};
	static const struct str many[] = {
		STR_INIT("properties"), STR_INIT("allOf"), STR_INIT("anyOf"), STR_INIT("oneOf")};
	if (!d || d->type != DOC_MAP || depth > DOC_MAX_DEPTH)
		return;
	warn_node(r, d);
	for (size_t i = 0; i < ARRAY_LEN(ones); i++)
		warn_below(r, doc_get(d, ones[i]), depth + 1);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		DOC_EACH (x, doc_get(d, many[i]))
			warn_below(r, x, depth + 1);
}

static void
crd_warn(struct request *r, const struct doc *obj, const struct doc *old)
{
	const struct doc *spec = doc_get(obj, S("spec"));
	if (old && doc_equal(spec, doc_get(old, S("spec"))))
		return;
	DOC_EACH (v, doc_get(spec, S("versions")))
		warn_below(r, doc_get(doc_get(v, S("schema")), S("openAPIV3Schema")), 0);
}

/* ---- deletion ---- */

/* The first deletion: nothing is created any more, and instances go before the definition does. */
static void
crd_marked(struct request *r, struct doc *obj)
{
	struct doc *meta = doc_ensure_map(r->a, obj, S("metadata"));
	struct doc *held = meta ? doc_ensure_list(r->a, meta, S("finalizers")) : NULL;
	if (held && !list_has(held, CLEANUP))
		list_add(r->a, held, CLEANUP);
	crd_condition_set(r->a, obj, r->wall_ns, "Terminating", "True", "InstanceDeletionPending",
		S("CustomResourceDefinition marked for deletion; CustomResource deletion will begin "
		  "soon"));
}

const struct kind_ops crd_ops = {.group = "apiextensions.k8s.io",
	.resource = "customresourcedefinitions",
	.prepare_create = crd_create,
	.prepare_update = crd_update,
	.warn = crd_warn,
	.mark_deleted = crd_marked,
	.marks_time_only = true};
