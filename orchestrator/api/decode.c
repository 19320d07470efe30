/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * decode: the stages that turn a body into a tree (decode), bring the stored object (load), and lay a
 * patch over it (patch); then default whatever came of it (default).
 *
 * fieldValidation: Strict makes unknown and duplicate fields a 400, Warn a Warning each, Ignore nothing.
 * Invariant: behind `patch` r->obj is a conformed tree with kind and apiVersion of the URL.
 * Source: Kubernetes API concepts (field validation, patches); k8s.io/apiserver endpoints/handlers. */
#include "orchestrator/api/convert.h"

#define SUMMARY_MAX 30

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

struct str
json_fault(const struct err *e)
{
	struct str msg = str_c(e->msg);
	ptrdiff_t at = str_find(msg, STR(" (offset "));
	return at < 0 ? msg : str_sub(msg, 0, (size_t)at);
}

/* The beginning of a body nobody can read: as text when it looks like JSON, else in hex. */
static struct str
summary(struct request *r)
{
	struct str body = str_sub(r->body, 0, SUMMARY_MAX);
	const char *more = r->body.n > SUMMARY_MAX ? " ..." : "";
	struct buf b;
	if (body.n == 0)
		return STR("<empty>");
	if (body.p[0] == '{')
		return arena_fmt(r->a, STR_FMT "%s", STR_ARG(body), more);
	buf_init_arena(&b, r->a);
	for (size_t i = 0; i < body.n; i++)
		buf_fmt(&b, "%02x", (unsigned char)body.p[i]);
	buf_cstr(&b, more);
	return buf_view(&b);
}

/* A body that is no document at all. */
static enum step
fail_unrecognized(struct request *r, const char *before, struct str fault)
{
	return request_fail(r, R_BAD_REQUEST,
		"the object provided is unrecognized (must be of type " STR_FMT "): %s" STR_FMT
		" (" STR_FMT ")",
		STR_ARG(body_kind(r)), before, STR_ARG(fault), STR_ARG(summary(r)));
}

#define NO_KIND "couldn't get version/kind; json parse error: "
#define NOT_A_MAP                                                                                  \
	"json: cannot unmarshal %s into Go value of type struct { APIVersion string "              \
	"\"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }"

/* mistyped_gvk: a fault that says kind or apiVersion is no string, as upstream says it, which looks for them first;
 * STR_NONE: another fault. */
static struct str
mistyped_gvk(struct request *r, struct str msg)
{
	static const char *const members[] = {"kind", "apiVersion"};
	ptrdiff_t at = str_find(msg, STR(" into Go struct field "));
	for (size_t i = 0; at >= 0 && i < ARRAY_LEN(members); i++) {
		struct str tail = arena_fmt(
			r->a, "%s.%s of type string", body_type(r)->name, members[i]);
		if (str_ends(msg, tail) && str_eq(str_sub(msg, (size_t)at + 22, SIZE_MAX), tail))
			return arena_fmt(r->a, STR_FMT " into Go struct field .%s of type string",
				STR_ARG(str_sub(msg, 0, (size_t)at)), members[i]);
	}
	return STR_NONE;
}

static enum step
fail_decode(struct request *r, enum schema_media media, const struct err *e)
{
	struct str msg = str_c(e->msg), rest;
	if (media == SCHEMA_YAML && str_starts(msg, STR("yaml: ")))
		return fail_unrecognized(r, "", msg);
	if (media == SCHEMA_PROTOBUF && str_starts(msg, STR("provided data ")))
		return fail_unrecognized(r, "", msg);
	if (media == SCHEMA_JSON && str_find(msg, STR(" (offset ")) >= 0)
		return fail_unrecognized(r, NO_KIND, json_fault(e));
	rest = str_trim(r->body);
	struct str member = media == SCHEMA_JSON ? mistyped_gvk(r, msg) : STR_NONE;
	if (member.n)
		return fail_unrecognized(r, NO_KIND, member);
	if (media == SCHEMA_JSON && rest.n && rest.p[0] == '[')
		return fail_unrecognized(r, NO_KIND, arena_fmt(r->a, NOT_A_MAP, "array"));
	return fail_handled(r, e->msg);
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

/* A body of a kind that does not exist, in upstream's words. */
static enum step
fail_unknown_kind(struct request *r, struct str kind, struct str api_version)
{
	struct str group, version;
	schema_api_version_split(api_version, &group, &version);
	return request_fail(r, R_BAD_REQUEST,
		STR_FMT " in version \"" STR_FMT "\" cannot be handled as a " STR_FMT
			": no kind \"" STR_FMT "\" is registered for version \"" STR_FMT
			"\" in scheme \"pkg/runtime/scheme.go:111\"",
		STR_ARG(kind), STR_ARG(version), STR_ARG(body_kind(r)), STR_ARG(kind),
		STR_ARG(api_version));
}

static bool
kind_exists(struct str kind, struct str api_version)
{
	struct str group, version;
	schema_api_version_split(api_version, &group, &version);
	return schema_type_find(schema_builtin(), group, version, kind) ||
		schema_type_find(schema_builtin(), STR("meta"), STR("v1"), kind) ||
		str_ends(kind, STR("List")) || str_ends(kind, STR("Options"));
}

/* Kind and apiVersion of a body must be those of the URL; absent ones are taken from it. */
static enum step
check_gvk(struct request *r, struct doc *d)
{
	struct str kind = doc_get_str(d, STR("kind"));
	struct str version = doc_get_str(d, STR("apiVersion"));
	struct str want_kind = body_kind(r), want_version = body_version(r);
	struct str said_kind = kind.n ? kind : want_kind,
		   said_version = version.n ? version : want_version;
	bool other = !str_eq(said_kind, want_kind) || !str_eq(said_version, want_version);
	if (other && !r->res->custom && !kind_exists(said_kind, said_version))
		return fail_unknown_kind(r, said_kind, said_version);
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
		return fail_unrecognized(r, NO_KIND, STR("unexpected end of JSON input"));
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
		return fail_decode(r, media, &e);
	if (r->obj->type != DOC_MAP)
		return fail_handled(r, "json: cannot unmarshal into Go value: not an object");
	if (kind.n)
		doc_set_str(r->a, r->obj, STR("kind"), kind);
	if (version.n)
		doc_set_str(r->a, r->obj, STR("apiVersion"), version);
	enum step st = check_gvk(r, r->obj);
	if (st == STEP_NEXT)
		st = strict_result(r, &strict);
	bool own = r->res->serve_virtual || (r->sub && r->sub->serve);
	if (st == STEP_NEXT && (own ? schema_default : schema_default_sent)(r->a, t, r->obj) < 0)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	return st;
}

/* Before anything is read: a form we do not know is a 415 for absent objects too. */
static enum step
patch_media(struct request *r)
{
	bool strategic = r->body_media == MEDIA_PATCH_STRATEGIC && !r->res->kind->custom;
	if (strategic || r->body_media == MEDIA_PATCH_JSON || r->body_media == MEDIA_PATCH_MERGE ||
		r->body_media == MEDIA_PATCH_APPLY)
		return STEP_NEXT;
	if (r->body_media != MEDIA_PATCH_STRATEGIC)
		return request_fail_status(r,
			&(struct status_spec){.http = 415,
				.reason = R_UNSUPPORTED_MEDIA_TYPE,
				.message = STR("415: Unsupported Media Type")});
	return request_fail(r, R_UNSUPPORTED_MEDIA_TYPE,
		"%sapplication/json-patch+json, application/merge-patch+json, "
		"application/apply-patch+yaml",
		unknown_media);
}

enum step
stage_decode(struct request *r)
{
	if (r->verb == VERB_PATCH)
		return patch_media(r);
	if (r->obj && r->sub && r->sub->serve)
		return STEP_NEXT;
	enum step st = decode_object(r);
	if (st == STEP_NEXT && r->sink->http && r->verb == VERB_UPDATE &&
		doc_get_str(meta_of(r->obj), STR("name")).n == 0)
		return request_fail(r, R_BAD_REQUEST,
			"the name of the object (" STR_FMT
			" based on URL) was undeterminable: name must be provided",
			STR_ARG(r->name));
	return st;
}

/* For subresources that are served by a function of their own: see connect.c. */
enum step
decode_for_serve(struct request *r)
{
	return decode_object(r);
}

/* ---- load ------------------------------------------------------------------------------------------ */

bool
request_is_apply(const struct request *r)
{
	return r->verb == VERB_PATCH && r->body_media == MEDIA_PATCH_APPLY;
}

static bool
creates_on_update(const struct request *r)
{
	bool update = r->verb == VERB_UPDATE &&
		(r->res->kind->flags & SCHEMA_KIND_CREATE_ON_UPDATE);
	return !r->sub && (update || request_is_apply(r));
}

/* Who makes an object by changing it must be allowed to make one. */
static enum step
may_create(struct request *r)
{
	struct authz_attrs at = request_attrs(r);
	struct str why = STR("");
	at.verb = STR("create");
	r->created = true;
	if (request_may(r, &at, &why))
		return STEP_NEXT;
	return request_fail_forbidden(r, STR_FMT, STR_ARG(forbidden_text(r->a, &at, why)));
}

/* What is stored as the webhook of its definition has it in the request's version. */
static enum step
load_converted(struct request *r, struct convert_wait *w)
{
	enum step st = convert_take(r, w);
	if (st == STEP_NEXT)
		r->old = w->c.items[0].doc;
	return st;
}

/* NEXT without r->old: no webhook is to be asked. */
static enum step
load_asks(struct request *r)
{
	struct store_value v;
	struct convert_item *item = ARENA_NEW(r->a, struct convert_item);
	struct convert_wait *w = NULL;
	if (!item || store_get(r->server->store, request_key(r), r->a, &v) < 0 ||
		!convert_asks(r->res, &v))
		return STEP_NEXT;
	*item = convert_item_of(r->a, r->res, &v);
	if (!item->doc)
		return request_fail(r, R_INTERNAL_ERROR,
			"Internal error occurred: a stored object cannot be read");
	r->old_rev = v.rev;
	enum step st = convert_ask(r, r->a, r->res, item, 1, &w);
	if (st == STEP_NEXT)
		r->old = item->doc;
	return st;
}

enum step
stage_load(struct request *r)
{
	if (r->verb == VERB_CREATE) {
		r->created = true;
		return STEP_NEXT;
	}
	if (r->stage_state)
		return load_converted(r, r->stage_state);
	if (r->old) /* a serve function has loaded it */
		return STEP_NEXT;
	enum step st = convert_hooked(r->res) ? load_asks(r) : STEP_NEXT;
	if (st != STEP_NEXT || r->old)
		return st;
	struct doc *old = NULL;
	int rc = object_read(r, r->res, r->ns, r->name, &old, &r->old_rev);
	if (rc == -ENOENT && creates_on_update(r))
		return may_create(r);
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
	bool json = r->body_media == MEDIA_PATCH_JSON;
	if (rc < 0 && json && rc != -E2BIG)
		return request_fail(r, R_BAD_REQUEST, "invalid JSON patch");
	if (rc < 0)
		return request_fail(r, rc == -E2BIG ? R_REQUEST_ENTITY_TOO_LARGE : R_BAD_REQUEST,
			"error decoding patch: " STR_FMT, STR_ARG(json_fault(&e)));
	if (json ? (*ret)->type == DOC_MAP : (*ret)->type == DOC_LIST)
		return request_fail(r, R_BAD_REQUEST,
			"error decoding patch: json: cannot unmarshal %s into Go value of type %s",
			json ? "object" : "array",
			json ? "[]handlers.jsonPatchOp" : "map[string]interface {}");
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

/* order_merged: the members of maps that a merge patch went into, as Go writes the maps it has made of them; others
 * stay as they were written. */
static void
order_merged(struct doc *out, const struct doc *patch)
{
	doc_sort_members(out);
	DOC_EACH (m, patch) {
		struct doc *below = m->type == DOC_MAP ? doc_get(out, m->key) : NULL;
		if (below && below->type == DOC_MAP)
			order_merged(below, m);
	}
}

/* order_pointed: the same of the maps on the way of a JSON pointer (RFC 6901), as far as its names need no unescaping. */
static void
order_pointed(struct doc *out, struct str pointer)
{
	struct doc *d = out;
	struct str token;
	str_next(&pointer, '/', &token); /* what stands before the first / */
	while (d && str_next(&pointer, '/', &token)) {
		doc_sort_members(d);
		int64_t i = 0;
		d = d->type == DOC_MAP ? doc_get(d, token)
			: d->type == DOC_LIST && str_to_i64(token, &i) == 0 && i >= 0
			? doc_index(d, (size_t)i)
			: NULL;
	}
}

/* order_patched: what is wrong with what a patch made is told in the order in which upstream has it. */
static void
order_patched(struct request *r, struct doc *out, const struct doc *patch)
{
	if (r->body_media == MEDIA_PATCH_MERGE) {
		order_merged(out, patch);
		return;
	}
	if (r->body_media != MEDIA_PATCH_JSON) {
		doc_sort(out);
		return;
	}
	doc_sort_members(out);
	DOC_EACH (op, patch) {
		order_pointed(out, doc_get_str(op, STR("path")));
		order_pointed(out, doc_get_str(op, STR("from")));
	}
}

/* What the patch made, for the error that says it is no object of the kind. */
static struct str
patched_text(struct request *r, const struct doc *out)
{
	struct buf b;
	buf_init_arena(&b, r->a);
	doc_write_json(&b, out);
	return buf_view(&b);
}

static enum step
fail_patched(struct request *r, struct str text, struct str why)
{
	schema_error_add(&r->causes, SCHEMA_CAUSE_INVALID, STR("patch"), doc_str(r->a, text), why);
	return request_fail_status(r,
		&(struct status_spec){.http = 422,
			.reason = R_INVALID,
			.errors = &r->causes,
			.message = arena_fmt(r->a, " \"\" is invalid: " STR_FMT,
				STR_ARG(schema_errors_message(&r->causes)))});
}

enum step
stage_patch(struct request *r)
{
	struct doc *patch = NULL, *out = NULL;
	if (request_is_apply(r))
		return apply_patch(r);
	enum step st = patch_parse(r, &patch);
	if (st != STEP_NEXT)
		return st;
	struct schema_strict strict = {0};
	bool want = !str_eq(r->opt.field_validation, STR("Ignore"));
	if (patch->type == DOC_MAP && schema_dedupe(r->a, patch, want ? &strict : NULL) < 0)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	const struct schema_type *t = body_type(r);
	const struct doc *base = r->old;
	if (r->sub && str_eq(r->sub->name, STR("scale")))
		base = scale_of(r, r->old);
	struct err e = {0};
	int rc = 0;
	if (r->body_media == MEDIA_PATCH_JSON) { /* its paths may lead into managedFields */
		struct doc *whole = doc_copy(r->a, base);
		rc = whole ? doc_expand(r->a, whole) : -ENOMEM;
		base = whole;
	}
	if (rc == 0)
		rc = patch_lay(r, t, base, patch, &out, &e);
	if (rc == -EINVAL && e.reason == R_INVALID)
		return request_fail_status(r,
			&(struct status_spec){.http = 422,
				.reason = R_INVALID,
				.message = STR("the server rejected our request due to an error in "
					       "our request")});
	if (rc < 0)
		return request_fail_err(r, &e);
	if (out->type != DOC_MAP)
		return request_fail(r, R_BAD_REQUEST, "the patch does not leave an object");
	order_patched(r, out, patch);
	struct str text = patched_text(r, out);
	rc = schema_conform(r->a, t, out, want ? &strict : NULL, &e);
	if (rc < 0)
		return fail_patched(r, text, str_c(e.msg));
	if (want && strict.n && str_eq(r->opt.field_validation, STR("Strict")))
		return fail_patched(r, text, schema_strict_join(r->a, &strict));
	st = check_gvk(r, out);
	if (st == STEP_NEXT)
		st = strict_result(r, &strict);
	if (st == STEP_NEXT && schema_default_sent(r->a, t, out) < 0)
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
