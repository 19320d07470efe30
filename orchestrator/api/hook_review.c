/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hook_review: AdmissionReviews: what a webhook is told of a request, and what its answer says.
 *
 * Invariant: hook_answer_parse is total over any bytes, and what it gives out is bounded by them. Audit annotations of
 * an answer are dropped: there is no audit log.
 * Source: k8s.io/api admission/v1; k8s.io/apiserver admission/plugin/webhook/{request,errors}. */
#include "orchestrator/api/hook_int.h"

#define REVIEW_GROUP "admission.k8s.io/"

/* ---- the question ---------------------------------------------------------------------------------- */

static void
set_gvr(struct request *r, struct doc *d, const char *name, struct str group, struct str version,
	const char *what, struct str value)
{
	struct doc *g = doc_ensure_map(r->a, d, str_c(name));
	if (!g)
		return;
	doc_set_str(r->a, g, STR("group"), group);
	doc_set_str(r->a, g, STR("version"), version);
	doc_set_str(r->a, g, str_c(what), value);
}

static struct doc *
text_list(struct request *r, const struct str *v, size_t n)
{
	struct doc *list = doc_list(r->a);
	for (size_t i = 0; list && i < n; i++)
		doc_append(list, doc_str(r->a, v[i]));
	return list;
}

static void
set_user(struct request *r, struct doc *d)
{
	const struct user *u = &r->user;
	struct doc *info = doc_ensure_map(r->a, d, STR("userInfo"));
	struct doc *extra = u->n_extra ? doc_map(r->a) : NULL;
	if (!info)
		return;
	if (u->name.n)
		doc_set_str(r->a, info, STR("username"), u->name);
	if (u->uid.n)
		doc_set_str(r->a, info, STR("uid"), u->uid);
	if (u->n_groups)
		doc_set(info, STR("groups"), text_list(r, u->groups, u->n_groups));
	for (size_t i = 0; extra && i < u->n_extra; i++)
		doc_set(extra, u->extra[i].key,
			text_list(r, u->extra[i].values, u->extra[i].n_values));
	if (extra)
		doc_set(info, STR("extra"), extra);
}

static struct doc *
options_of(struct request *r)
{
	static const struct {
		enum admission_op op;
		const char *kind;
	} kinds[] = {{ADMIT_CREATE, "CreateOptions"}, {ADMIT_UPDATE, "UpdateOptions"},
		{ADMIT_DELETE, "DeleteOptions"}};
	const struct options *o = &r->opt;
	struct doc *d = NULL;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (request_op(r) != kinds[i].op || !(d = doc_map(r->a)))
			continue;
		doc_set_str(r->a, d, STR("kind"), str_c(kinds[i].kind));
		doc_set_str(r->a, d, STR("apiVersion"), STR("meta.k8s.io/v1"));
	}
	if (!d)
		return doc_null(r->a);
	if (o->dry_runs)
		doc_set(d, STR("dryRun"), doc_copy(r->a, o->dry_runs));
	struct str validation = http_query_get(r->a, r->raw_query, STR("fieldValidation"));
	if (request_op(r) != ADMIT_DELETE) {
		if (o->field_manager.n)
			doc_set_str(r->a, d, STR("fieldManager"), o->field_manager);
		if (validation.n)
			doc_set_str(r->a, d, STR("fieldValidation"), validation);
		return d;
	}
	if (o->grace_s >= 0)
		doc_set_int(r->a, d, STR("gracePeriodSeconds"), o->grace_s);
	struct doc *pre = o->precondition_uid.n || o->precondition_rv.n
		? doc_ensure_map(r->a, d, STR("preconditions"))
		: NULL;
	if (pre && o->precondition_uid.n)
		doc_set_str(r->a, pre, STR("uid"), o->precondition_uid);
	if (pre && o->precondition_rv.n)
		doc_set_str(r->a, pre, STR("resourceVersion"), o->precondition_rv);
	if (o->orphan_dependents_set)
		doc_set_bool(r->a, d, STR("orphanDependents"), o->orphan_dependents);
	if (o->propagation.n)
		doc_set_str(r->a, d, STR("propagationPolicy"), o->propagation);
	return d;
}

/* What the request itself names, whichever form the webhook gets. */
static void
set_request_kind(struct request *r, struct doc *d)
{
	const struct schema_subresource *ss = r->sub ? r->sub->schema : NULL;
	bool own = ss && (!r->sub->main_object || !str_eq_c(str_c(ss->kind), r->res->kind->kind));
	set_gvr(r, d, "requestKind", own ? str_c(ss->group) : r->res->group,
		own ? str_c(ss->version) : r->res->version, "kind",
		str_c(own ? ss->kind : r->res->kind->kind));
	set_gvr(r, d, "requestResource", r->res->group, r->res->version, "resource",
		r->res->plural);
	if (r->sub)
		doc_set_str(r->a, d, STR("requestSubResource"), r->sub->name);
}

static struct doc *
or_null(struct request *r, const struct doc *d)
{
	return d ? doc_copy(r->a, d) : doc_null(r->a);
}

/* What stands in front of the objects. */
static void
set_request(
	struct request *r, struct doc *d, const struct hook_view *v, const struct api_resource *as)
{
	set_gvr(r, d, "kind", v->group, v->version, "kind", v->kind);
	set_gvr(r, d, "resource", as->group, as->version, "resource", as->plural);
	if (r->sub)
		doc_set_str(r->a, d, STR("subResource"), r->sub->name);
	set_request_kind(r, d);
	if (r->name.n)
		doc_set_str(r->a, d, STR("name"), r->name);
	if (hook_namespace(r).n)
		doc_set_str(r->a, d, STR("namespace"), hook_namespace(r));
	doc_set_str(r->a, d, STR("operation"), str_c(hook_operation(r)));
	set_user(r, d);
}

static void
set_options(struct request *r, struct doc *d)
{
	doc_set_bool(r->a, d, STR("dryRun"), r->opt.dry_run);
	doc_set(d, STR("options"), options_of(r));
}

struct doc *
hook_request_doc(struct request *r, const struct hook_view *v, const struct api_resource *as)
{
	struct doc *d = doc_map(r->a);
	if (!d)
		return NULL;
	set_request(r, d, v, as);
	set_options(r, d);
	return arena_failed(r->a) ? NULL : d;
}

struct str
hook_review_write(
	struct request *r, const struct hook *h, const struct hook_view *v, struct str uid)
{
	struct doc *all = doc_map(r->a), *d = doc_map(r->a);
	struct buf b;
	if (!all || !d)
		return STR_NONE;
	doc_set_str(r->a, all, STR("kind"), STR("AdmissionReview"));
	doc_set_str(r->a, all, STR("apiVersion"), arena_fmt(r->a, REVIEW_GROUP "%s", h->review));
	doc_set(all, STR("request"), d);
	doc_set_str(r->a, d, STR("uid"), uid);
	set_request(r, d, v, v->res);
	doc_set(d, STR("object"), or_null(r, v->obj));
	doc_set(d, STR("oldObject"), or_null(r, v->old));
	set_options(r, d);
	buf_init_arena(&b, r->a);
	doc_write_json(&b, all);
	return b.failed || arena_failed(r->a) ? STR_NONE : buf_view(&b);
}

/* ---- the answer ------------------------------------------------------------------------------------ */

/* check_envelope: v1 says of which request it is the answer, and what it is. */
static int
check_envelope(const struct doc *all, const struct doc *resp, struct str uid, struct err *e)
{
	struct str version = doc_get_str(all, STR("apiVersion")),
		   kind = doc_get_str(all, STR("kind"));
	struct str got = doc_get_str(resp, STR("uid"));
	if (!str_eq(got, uid))
		return err_set(e, -EINVAL, R_UNKNOWN,
			"received invalid webhook response: expected response.uid=\"" STR_FMT
			"\", got \"" STR_FMT "\"",
			STR_ARG(uid), STR_ARG(str_sub(got, 0, 64)));
	if (str_eq(version, STR(REVIEW_GROUP "v1")) && str_eq(kind, STR("AdmissionReview")))
		return 0;
	return err_set(e, -EINVAL, R_UNKNOWN,
		"received invalid webhook response: expected webhook response of " REVIEW_GROUP
		"v1, Kind=AdmissionReview, got " STR_FMT ", Kind=" STR_FMT,
		STR_ARG(version.n ? str_sub(version, 0, 64) : STR("/")),
		STR_ARG(str_sub(kind, 0, 64)));
}

static int
check_patch(const struct doc *resp, bool v1, bool mutating, struct err *e)
{
	struct str patch = doc_get_str(resp, STR("patch"));
	const struct doc *type = doc_get(resp, STR("patchType"));
	bool typed = type && type->type != DOC_NULL;
	const char *why = NULL;
	if (!v1)
		return 0;
	if (mutating && patch.n && !typed)
		why = "webhook returned response.patch but not response.patchType";
	else if (mutating && !patch.n && typed)
		why = "webhook returned response.patchType but not response.patch";
	else if (mutating && typed && doc_as_str(type).n == 0)
		why = "webhook returned invalid response.patchType of \"\"";
	else if (!mutating && patch.n)
		why = "validating webhook may not return response.patch";
	else if (!mutating && typed)
		why = "validating webhook may not return response.patchType";
	if (why)
		return err_set(e, -EINVAL, R_UNKNOWN, "received invalid webhook response: %s", why);
	if (typed && !str_eq(doc_as_str(type), STR("JSONPatch")))
		return err_set(e, -EINVAL, R_UNKNOWN, "unsupported patch type \"" STR_FMT "\"",
			STR_ARG(str_sub(doc_as_str(type), 0, 64)));
	return 0;
}

/* Members whose type must be right for the answer to be understood. */
static const struct {
	const char *name;
	enum doc_type type;
} response_members[] = {{"uid", DOC_STR}, {"allowed", DOC_BOOL}, {"status", DOC_MAP},
	{"patch", DOC_STR}, {"patchType", DOC_STR}, {"warnings", DOC_LIST}};

static int
check_types(const struct doc *all, const struct doc *resp, struct err *e)
{
	if (all->type != DOC_MAP)
		return err_set(e, -EINVAL, R_UNKNOWN,
			"failed to call webhook: the answer is no AdmissionReview");
	for (size_t i = 0; i < ARRAY_LEN(response_members); i++) {
		const struct doc *m = doc_get(resp, str_c(response_members[i].name));
		if (m && m->type != DOC_NULL && m->type != response_members[i].type)
			return err_set(e, -EINVAL, R_UNKNOWN,
				"failed to call webhook: response.%s of the answer has the wrong type",
				response_members[i].name);
	}
	return 0;
}

int
hook_answer_parse(struct arena *a, struct str body, struct str uid, const char *review,
	bool mutating, struct hook_answer *ret, struct err *e)
{
	bool v1 = strcmp(review, "v1") == 0;
	struct hook_answer out = {.patch = STR("")};
	struct doc *all = NULL;
	struct err je = {0};
	int rc = doc_parse_json(a, body, NULL, &all, &je);
	if (rc < 0)
		return err_set(e, -EINVAL, R_UNKNOWN,
			"failed to call webhook: the answer is no JSON: " STR_FMT,
			STR_ARG(json_fault(&je)));
	const struct doc *resp = doc_get(all, STR("response"));
	rc = check_types(all, resp, e);
	if (rc < 0)
		return rc;
	if (!resp || resp->type != DOC_MAP)
		return err_set(e, -EINVAL, R_UNKNOWN,
			"received invalid webhook response: webhook response was absent");
	rc = v1 ? check_envelope(all, resp, uid, e) : 0;
	if (rc == 0)
		rc = check_patch(resp, v1, mutating, e);
	if (rc < 0)
		return rc;
	out.allowed = doc_get_bool(resp, STR("allowed"), false);
	out.status = doc_get(resp, STR("status"));
	if (out.status && out.status->type != DOC_MAP)
		out.status = NULL;
	struct str patch = mutating ? doc_get_str(resp, STR("patch")) : STR("");
	if (patch.n) {
		struct buf b;
		buf_init_arena(&b, a);
		if (base64_decode(&b, patch) < 0)
			return err_set(e, -EINVAL, R_UNKNOWN,
				"failed to call webhook: response.patch of the answer is no base64");
		out.patch = buf_view(&b);
	}
	DOC_EACH (w, doc_get(resp, STR("warnings"))) {
		struct str *slot = w->type == DOC_STR ? ARENA_PUSH(a, out.warnings, out.n_warnings)
						      : NULL;
		if (slot)
			*slot = w->s;
	}
	if (arena_failed(a))
		return err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	*ret = out;
	return 0;
}

/* ---- a refusal ------------------------------------------------------------------------------------- */

struct doc *
hook_refusal(struct arena *a, struct str name, const struct doc *status, int *ret_http)
{
	const struct schema_type *t = schema_type_find(
		schema_builtin(), STR("meta"), STR("v1"), STR("Status"));
	struct doc *d = status ? doc_copy(a, status) : doc_map(a);
	struct str by = arena_fmt(
		a, "admission webhook \"" STR_FMT "\" denied the request", STR_ARG(name));
	if (!d || (t && schema_conform(a, t, d, NULL, NULL) < 0))
		d = doc_map(a); /* a status nobody can read explains nothing */
	if (!d)
		return NULL;
	int64_t code = doc_get_int(d, STR("code"), 0);
	code = code < 400 ? 400 : code > 599 ? 500 : code;
	struct str said = doc_get_str(d, STR("message")), reason = doc_get_str(d, STR("reason"));
	struct str status_text = doc_get_str(d, STR("status"));
	struct str why = said.n ? said : reason;
	doc_set_str(a, d, STR("kind"), STR("Status"));
	doc_set_str(a, d, STR("apiVersion"), STR("v1"));
	doc_ensure_map(a, d, STR("metadata"));
	if (status_text.n == 0 || str_eq(status_text, STR("Success")))
		doc_set_str(a, d, STR("status"), STR("Failure"));
	doc_set_str(a, d, STR("message"),
		why.n ? arena_fmt(a, STR_FMT ": " STR_FMT, STR_ARG(by), STR_ARG(why))
		      : arena_fmt(a, STR_FMT " without explanation", STR_ARG(by)));
	doc_set_int(a, d, STR("code"), code);
	if (t && schema_order(a, t, d) < 0)
		return NULL;
	*ret_http = (int)code;
	return arena_failed(a) ? NULL : d;
}
