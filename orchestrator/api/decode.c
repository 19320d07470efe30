/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * decode: the stages that turn a body into a tree (decode), bring the stored object (load), and lay a
 * patch over it (patch); then default whatever came of it (default).
 *
 * fieldValidation: Strict makes unknown and duplicate fields a 400, Warn a Warning each, Ignore nothing.
 * Invariant: behind `patch` r->obj is a conformed tree with kind and apiVersion of the URL.
 * Source: Kubernetes API concepts (field validation, patches); k8s.io/apiserver endpoints/handlers. */
#include "orchestrator/api/api_int.h"

static const char unknown_media[] =
	"the body of the request was in an unknown format - accepted media types include: ";

/* The type bodies of this request have. */
static const struct schema_type *
body_type(const struct request *r)
{
	if (r->sub && r->sub->schema)
		return r->sub->schema->type;
	return r->res->kind->type;
}

static struct str
body_kind(const struct request *r)
{
	return str_c(r->sub && r->sub->schema ? r->sub->schema->kind : r->res->kind->kind);
}

static struct str
body_version(const struct request *r)
{
	const struct schema_subresource *ss = r->sub ? r->sub->schema : NULL;
	return schema_api_version(r->a, ss ? ss->group : r->res->kind->group,
		ss ? ss->version : r->res->kind->version);
}

static enum step
fail_handled(struct request *r, const char *what)
{
	struct str kind = body_kind(r);
	struct str version = r->sub && r->sub->schema ? str_c(r->sub->schema->version)
						      : r->res->version;
	return request_fail(r, R_BAD_REQUEST,
		STR_FMT " in version \"" STR_FMT "\" cannot be handled as a " STR_FMT ": %s",
		STR_ARG(kind), STR_ARG(version), STR_ARG(kind), what);
}

static enum step
strict_result(struct request *r, const struct schema_strict *st)
{
	if (st->n == 0)
		return STEP_NEXT;
	if (str_eq(r->opt.field_validation, STR("Strict"))) {
		struct str msg = schema_strict_join(r->a, st);
		return fail_handled(r, arena_cstr(r->a, msg));
	}
	if (str_eq(r->opt.field_validation, STR("Warn")))
		for (size_t i = 0; i < st->n; i++)
			request_warn(r, STR_FMT, STR_ARG(st->texts[i]));
	return STEP_NEXT;
}

/* Kind and apiVersion of a body must be those of the URL; absent ones are taken from it. */
static enum step
check_gvk(struct request *r, struct doc *d)
{
	struct str kind = doc_get_str(d, STR("kind"));
	struct str version = doc_get_str(d, STR("apiVersion"));
	struct str want_kind = body_kind(r), want_version = body_version(r);
	if (kind.n && !str_eq(kind, want_kind))
		return request_fail(r, R_BAD_REQUEST,
			"the object provided is unrecognized (must be of type " STR_FMT
			"): the kind in the data (" STR_FMT ") does not match the expected kind",
			STR_ARG(want_kind), STR_ARG(kind));
	if (version.n && !str_eq(version, want_version))
		return request_fail(r, R_BAD_REQUEST,
			"the API version in the data (" STR_FMT
			") does not match the expected API version (" STR_FMT ")",
			STR_ARG(version), STR_ARG(want_version));
	doc_set_str(r->a, d, STR("kind"), want_kind);
	doc_set_str(r->a, d, STR("apiVersion"), want_version);
	return STEP_NEXT;
}

static bool
schema_media_of(enum media m, enum schema_media *ret)
{
	if (m == MEDIA_JSON)
		*ret = SCHEMA_JSON;
	else if (m == MEDIA_YAML)
		*ret = SCHEMA_YAML;
	else if (m == MEDIA_PROTOBUF)
		*ret = SCHEMA_PROTOBUF;
	else
		return false;
	return true;
}

static enum step
decode_object(struct request *r)
{
	enum schema_media media = SCHEMA_JSON;
	if (!schema_media_of(r->body_media, &media))
		return request_fail(r, R_UNSUPPORTED_MEDIA_TYPE,
			"%sapplication/json, application/yaml, "
			"application/vnd.kubernetes.protobuf",
			unknown_media);
	const struct schema_type *t = body_type(r);
	if (str_trim(r->body).n == 0) {
		if (r->sub && !r->sub->main_object) {
			r->obj = doc_map(r->a);
			return r->obj
				? check_gvk(r, r->obj)
				: request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
		}
		return fail_handled(r, "EOF");
	}
	struct schema_strict strict = {0};
	struct err e = {0};
	bool want = !str_eq(r->opt.field_validation, STR("Ignore"));
	struct str version = STR_NONE, kind = STR_NONE;
	if (media == SCHEMA_PROTOBUF && schema_is_proto(r->body))
		schema_decode_gvk(r->a, r->body, media, &version, &kind, NULL);
	int rc = schema_decode(r->a, t, r->body, media, &r->obj, want ? &strict : NULL, &e);
	if (rc == -E2BIG || rc == -ENOMEM)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "%s",
			e.msg[0] ? e.msg : "the request is too large");
	if (rc < 0)
		return fail_handled(r, e.msg);
	if (r->obj->type != DOC_MAP)
		return fail_handled(r, "json: cannot unmarshal into Go value: not an object");
	if (kind.n)
		doc_set_str(r->a, r->obj, STR("kind"), kind);
	if (version.n)
		doc_set_str(r->a, r->obj, STR("apiVersion"), version);
	enum step st = check_gvk(r, r->obj);
	if (st == STEP_NEXT)
		st = strict_result(r, &strict);
	if (st == STEP_NEXT && schema_default(r->a, t, r->obj) < 0)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	return st;
}

/* Before anything is read: a form we do not know is a 415 for absent objects too. */
static enum step
patch_media(struct request *r)
{
	bool strategic = r->body_media == MEDIA_PATCH_STRATEGIC && !r->res->kind->custom;
	if (strategic || r->body_media == MEDIA_PATCH_JSON || r->body_media == MEDIA_PATCH_MERGE)
		return STEP_NEXT;
	return request_fail(r, R_UNSUPPORTED_MEDIA_TYPE,
		"%sapplication/json-patch+json, application/merge-patch+json%s", unknown_media,
		r->res->kind->custom ? "" : ", application/strategic-merge-patch+json");
}

enum step
stage_decode(struct request *r)
{
	if (r->verb == VERB_PATCH)
		return patch_media(r);
	if (r->obj && r->sub && r->sub->serve)
		return STEP_NEXT;
	return decode_object(r);
}

/* For subresources that are served by a function of their own: see connect.c. */
enum step
decode_for_serve(struct request *r)
{
	return decode_object(r);
}

/* ---- load ------------------------------------------------------------------------------------------ */

static bool
creates_on_update(const struct request *r)
{
	return (r->res->kind->flags & SCHEMA_KIND_CREATE_ON_UPDATE) && !r->sub;
}

enum step
stage_load(struct request *r)
{
	if (r->verb == VERB_CREATE) {
		r->created = true;
		return STEP_NEXT;
	}
	if (r->old) /* a serve function has loaded it */
		return STEP_NEXT;
	struct doc *old = NULL;
	int rc = object_read(r, r->res, r->ns, r->name, &old, &r->old_rev);
	if (rc == -ENOENT && r->verb == VERB_UPDATE && creates_on_update(r)) {
		r->created = true;
		return STEP_NEXT;
	}
	if (rc == -ENOENT)
		return request_fail_not_found(r, NULL, r->name);
	if (rc < 0)
		return request_fail_err(
			r, &(struct err){.code = rc, .msg = "reading the store failed"});
	r->old = old;
	return STEP_NEXT;
}

/* ---- patch ----------------------------------------------------------------------------------------- */

static enum step
patch_parse(struct request *r, struct doc **ret)
{
	struct err e = {0};
	int rc = doc_parse_json(r->a, r->body, NULL, ret, &e);
	if (rc < 0)
		return request_fail(r, rc == -E2BIG ? R_REQUEST_ENTITY_TOO_LARGE : R_BAD_REQUEST,
			"error decoding patch: %s", e.msg);
	return STEP_NEXT;
}

static int
patch_lay(struct request *r, const struct schema_type *t, const struct doc *base,
	const struct doc *patch, struct doc **ret, struct err *e)
{
	if (r->body_media == MEDIA_PATCH_JSON)
		return schema_patch_json(r->a, base, patch, ret, e);
	if (r->body_media == MEDIA_PATCH_MERGE)
		return schema_patch_merge(r->a, base, patch, ret, e);
	return schema_patch_strategic(r->a, t, base, patch, ret, e);
}

enum step
stage_patch(struct request *r)
{
	struct doc *patch = NULL, *out = NULL;
	enum step st = patch_parse(r, &patch);
	if (st != STEP_NEXT)
		return st;
	const struct schema_type *t = body_type(r);
	const struct doc *base = r->old;
	if (r->sub && str_eq(r->sub->name, STR("scale")))
		base = scale_of(r, r->old);
	struct err e = {0};
	int rc = patch_lay(r, t, base, patch, &out, &e);
	if (rc == -EINVAL && e.reason == R_INVALID)
		return request_fail_status(r,
			&(struct status_spec){.http = 422,
				.reason = R_INVALID,
				.name = r->name,
				.group = r->res->group,
				.kind = str_c(r->res->kind->kind),
				.message = arena_str(r->a, str_c(e.msg))});
	if (rc < 0)
		return request_fail_err(r, &e);
	if (out->type != DOC_MAP)
		return request_fail(r, R_BAD_REQUEST, "the patch does not leave an object");
	struct schema_strict strict = {0};
	bool want = !str_eq(r->opt.field_validation, STR("Ignore"));
	rc = schema_conform(r->a, t, out, want ? &strict : NULL, &e);
	if (rc < 0)
		return fail_handled(r, e.msg);
	st = check_gvk(r, out);
	if (st == STEP_NEXT)
		st = strict_result(r, &strict);
	if (st == STEP_NEXT && schema_default(r->a, t, out) < 0)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	r->obj = out;
	return st;
}

/* Admission may have added parts whose own fields have defaults. */
enum step
stage_default(struct request *r)
{
	const struct schema_type *t = r->res->kind->type;
	struct err e = {0};
	if (schema_conform(r->a, t, r->obj, NULL, &e) < 0)
		return request_fail(
			r, R_INTERNAL_ERROR, "Internal error occurred: admission: %s", e.msg);
	if (schema_default(r->a, t, r->obj) < 0)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	return STEP_NEXT;
}
