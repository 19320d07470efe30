/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * apply: a PATCH of type apply: the body is what one manager wants of the object, in YAML or JSON. It is
 * checked against the schema, laid over what is stored (or over nothing: then the object is made), and what
 * comes of it goes on through the pipeline as any patched object. Conflicts are a 409 that names them.
 *
 * Source: k8s.io/apiserver endpoints/handlers/patch (applyPatcher), util/managedfields/internal
 * (versioncheck, structuredmerge, lastappliedupdater, skipnonapplied, conflict). */
#include "orchestrator/api/managed_int.h"

#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"
#define ANNOTATIONS_MAX (256u * 1024)

/* ---- the body -------------------------------------------------------------------------------------- */

static const char *
go_kind(const struct doc *d)
{
	static const char *const names[] = {[DOC_BOOL] = "bool",
		[DOC_INT] = "number",
		[DOC_DOUBLE] = "number",
		[DOC_STR] = "string",
		[DOC_LIST] = "array",
		[DOC_MAP] = "object",
		[DOC_NULL] = "null"};
	return names[d->type];
}

static int
body_yaml(struct request *r, struct doc **ret, struct err *e)
{
	struct str rest = r->body;
	int rc = doc_parse_yaml(r->a, &rest, NULL, ret, e);
	if (rc != -ENODATA)
		return rc;
	*ret = doc_null(r->a);
	return *ret ? 0 : -ENOMEM;
}

/* What stands twice in the body, as its parser tells it; STR_NONE: nothing. */
static struct str
repeated(struct request *r, struct doc *d)
{
	struct schema_strict strict = {0};
	struct doc *lines = NULL;
	if (schema_dedupe(r->a, d, &strict) < 0 || strict.n == 0)
		return STR_NONE;
	strict = (struct schema_strict){0};
	if (body_yaml(r, &lines, NULL) < 0 || schema_dedupe(r->a, lines, &strict) < 0)
		return STR_NONE;
	struct str before = STR("strict decoding error: "), all = schema_strict_join(r->a, &strict);
	return arena_cat(r->a,
		(struct str[]){
			STR("error converting YAML to JSON: "), str_sub(all, before.n, SIZE_MAX)},
		2);
}

static enum step
body_read(struct request *r, struct doc **ret, struct str *ret_repeated)
{
	struct err e = {0};
	struct str body = str_trim(r->body);
	int rc = body.n && body.p[0] == '{' ? doc_parse_json(r->a, r->body, NULL, ret, &e)
					    : -EINVAL;
	if (rc == -EINVAL)
		rc = body_yaml(r, ret, &e);
	if (rc == -E2BIG || rc == -ENOMEM)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "%s",
			e.msg[0] ? e.msg : "the request is too large");
	if (rc < 0)
		return request_fail(r, R_BAD_REQUEST, "error encoding patch: %s", e.msg);
	if ((*ret)->type == DOC_NULL)
		*ret = doc_map(r->a);
	if (!*ret)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	if ((*ret)->type != DOC_MAP)
		return request_fail(r, R_BAD_REQUEST,
			"error decoding patch: error unmarshaling JSON: while decoding JSON: json: "
			"cannot unmarshal %s into Go value of type map[string]interface {}",
			go_kind(*ret));
	*ret_repeated = repeated(r, *ret);
	return STEP_NEXT;
}

/* "apps/v1, Kind=Deployment"; the core group has no name but its slash. */
static struct str
gvk_text(struct request *r, struct str group, struct str version, struct str kind)
{
	return arena_fmt(r->a, STR_FMT "/" STR_FMT ", Kind=" STR_FMT, STR_ARG(group),
		STR_ARG(version), STR_ARG(kind));
}

static struct str
config_gvk(struct request *r, const struct doc *config)
{
	struct str group, version;
	schema_api_version_split(doc_get_str(config, STR("apiVersion")), &group, &version);
	return gvk_text(r, group, version, doc_get_str(config, STR("kind")));
}

/* "namespace/name; apps/v1, Kind=Deployment", as upstream's errors name the body. */
static struct str
config_name(struct request *r, const struct doc *config)
{
	const struct doc *meta = meta_of(config);
	return arena_fmt(r->a, STR_FMT "/" STR_FMT "; " STR_FMT,
		STR_ARG(doc_get_str(meta, STR("namespace"))),
		STR_ARG(doc_get_str(meta, STR("name"))), STR_ARG(config_gvk(r, config)));
}

/* Errors that upstream makes no Status of: a 500 of their text alone. */
static enum step
fail_plain(struct request *r, struct str message)
{
	return request_fail_status(
		r, &(struct status_spec){.http = 500, .no_details = true, .message = message});
}

static enum step
config_check(struct request *r, const struct managed_op *op, const struct doc *config)
{
	const struct schema_subresource *ss = request_is_scale(r) ? r->sub->schema : NULL;
	const struct schema_kind *k = r->res->kind;
	struct str have = config_gvk(r, config), why = STR_NONE;
	struct str want = gvk_text(r, str_c(ss ? ss->group : k->group),
		str_c(ss ? ss->version : k->version), str_c(ss ? ss->kind : k->kind));
	if (!str_eq(have, want))
		return request_fail(
			r, R_BAD_REQUEST, "invalid object type: " STR_FMT, STR_ARG(have));
	const struct doc *sent = doc_get(meta_of(config), STR("managedFields"));
	if (sent && sent->type != DOC_NULL)
		return request_fail(r, R_BAD_REQUEST, "metadata.managedFields must be nil");
	bool good = fields_check(r->a, op->type, config, &why) == 0;
	if (!good)
		return fail_plain(r,
			arena_fmt(r->a,
				"failed to create typed patch object (" STR_FMT "): " STR_FMT,
				STR_ARG(config_name(r, config)), STR_ARG(why)));
	return STEP_NEXT;
}

/* ---- conflicts ------------------------------------------------------------------------------------- */

static enum step
fail_conflicts(struct request *r, const struct managed_applied *done)
{
	struct doc *causes = doc_list(r->a);
	for (size_t i = 0; causes && i < done->n_conflicts; i++) {
		const struct managed_conflict *c = &done->conflicts[i];
		struct doc *one = doc_map(r->a);
		if (!one)
			break;
		doc_set_str(r->a, one, STR("reason"), STR("FieldManagerConflict"));
		doc_set_str(r->a, one, STR("message"),
			arena_fmt(r->a, "conflict with " STR_FMT, STR_ARG(c->manager)));
		doc_set_str(r->a, one, STR("field"), c->path);
		doc_append(causes, one);
	}
	return request_fail_status(r,
		&(struct status_spec){.http = 409,
			.reason = R_CONFLICT,
			.causes = causes,
			.message = managed_conflict_message(r->a, done)});
}

/* ---- the object ------------------------------------------------------------------------------------ */

/* What the body is laid over: the stored object, its Scale, or one of nothing. */
static struct doc *
live_of(struct request *r)
{
	if (r->created)
		return object_empty(r);
	if (request_is_scale(r))
		return scale_of(r, r->old);
	struct doc *d = doc_copy(r->a, r->old);
	if (d)
		doc_set(meta_of(d), STR("managedFields"), NULL);
	return d;
}

/* The owners before this apply. Those of an object that was never tracked are one who came before. */
static int
owners_of(struct request *r, const struct doc *live, struct managed *ret)
{
	const struct doc *list = r->old ? doc_get(meta_of(r->old), STR("managedFields")) : NULL;
	struct managed m = managed_of(list);
	int rc = 0;
	if (request_is_scale(r)) {
		rc = managed_to_scale(r->a, list, &m);
	} else if (!m.unread && !r->created) {
		struct managed_op op = managed_op_of(r, r->a, STR("before-first-apply"));
		const struct doc *nothing = object_empty(r);
		rc = nothing ? managed_update(&op, &m, nothing, live) : -ENOMEM;
	}
	if (rc == 0)
		*ret = m;
	return rc;
}

/* kubectl keeps its own annotation of what it applied in step with what was applied here. */
static void
sync_annotation(struct request *r, struct doc *obj, const struct doc *config)
{
	struct doc *notes = doc_get(meta_of(obj), STR("annotations"));
	struct doc *copy = NULL;
	struct buf b;
	size_t sum = 0;
	if (!str_eq_c(r->opt.field_manager, "kubectl") ||
		doc_get_str(notes, STR(LAST_APPLIED)).n == 0)
		return;
	copy = doc_copy(r->a, config);
	if (!copy)
		return;
	doc_set(doc_get(meta_of(copy), STR("annotations")), STR(LAST_APPLIED), NULL);
	doc_sort(copy);
	buf_init_arena(&b, r->a);
	doc_write_json(&b, copy);
	buf_char(&b, '\n');
	doc_set_str(r->a, notes, STR(LAST_APPLIED), buf_view(&b));
	DOC_EACH (n, notes)
		sum += n->key.n + doc_as_str(n).n;
	if (sum > ANNOTATIONS_MAX)
		doc_set(notes, STR(LAST_APPLIED), NULL);
}

/* As an object of the kind, with what is not said. */
static enum step
finish(struct request *r, const struct managed_op *op, const struct doc *config, struct doc *obj)
{
	struct err e = {0};
	int rc = schema_conform(r->a, op->type, obj, NULL, &e);
	if (rc == -EINVAL)
		return fail_plain(r,
			arena_fmt(r->a,
				"failed to convert new object (" STR_FMT
				") to proper version: unable to convert unstructured object to " STR_FMT
				": %s",
				STR_ARG(config_name(r, config)), STR_ARG(config_gvk(r, config)),
				e.msg));
	if (rc == 0)
		rc = schema_default(r->a, op->type, obj);
	if (rc < 0)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	return STEP_NEXT;
}

static enum step
check_identity(struct request *r, const struct doc *obj)
{
	struct str uid = doc_get_str(meta_of(obj), STR("uid"));
	if (!r->created)
		return STEP_NEXT;
	if (uid.n)
		return request_fail_conflict(r, r->name,
			arena_cstr(r->a,
				arena_fmt(r->a,
					"uid mismatch: the provided object specified uid " STR_FMT
					", and no existing object was found",
					STR_ARG(uid))));
	if (doc_get_str(meta_of(obj), STR("name")).n == 0)
		return request_fail(r, R_BAD_REQUEST,
			"the name of the object (" STR_FMT
			" based on URL) was undeterminable: name must be provided",
			STR_ARG(r->name));
	return STEP_NEXT;
}

static enum step
tell_repeated(struct request *r, struct str text)
{
	if (!str_is_set(text) || str_eq(r->opt.field_validation, STR("Ignore")))
		return STEP_NEXT;
	if (str_eq(r->opt.field_validation, STR("Strict")))
		return request_fail(
			r, R_BAD_REQUEST, "error strict decoding patch: " STR_FMT, STR_ARG(text));
	request_warn(r, STR_FMT, STR_ARG(text));
	return STEP_NEXT;
}

/* What the owners became, for the object itself. */
static int
keep_owners(struct request *r, const struct managed *m)
{
	struct managed all = *m;
	int rc = 0;
	if (request_is_scale(r))
		rc = managed_from_scale(
			r, r->a, doc_get(meta_of(r->old), STR("managedFields")), m, &all);
	r->managed = rc == 0 ? managed_write(r->a, &all) : NULL;
	return rc;
}

enum step
apply_patch(struct request *r)
{
	struct managed_op op = managed_op_of(r, r->a, r->opt.field_manager);
	struct managed_applied done = {0};
	struct managed m = {0};
	struct doc *config = NULL;
	struct str twice = STR_NONE;
	struct err e = {0};
	enum step st = body_read(r, &config, &twice);
	if (st == STEP_NEXT)
		st = config_check(r, &op, config);
	if (st != STEP_NEXT)
		return st;
	struct doc *live = live_of(r);
	int rc = live ? owners_of(r, live, &m) : -ENOMEM;
	if (rc == 0)
		rc = managed_apply(&op, &m, live, config, r->opt.force, &done, &e);
	if (rc == -EEXIST)
		return fail_conflicts(r, &done);
	if (rc == -EINVAL)
		return fail_plain(r, str_c(e.msg));
	struct doc *obj = done.obj ? done.obj : live;
	if (rc == 0)
		rc = keep_owners(r, &m);
	if (rc < 0 || !obj)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	st = finish(r, &op, config, obj);
	if (st == STEP_NEXT) {
		sync_annotation(r, obj, config);
		st = tell_repeated(r, twice);
	}
	if (st == STEP_NEXT)
		st = check_identity(r, obj);
	r->obj = obj;
	return st;
}
