/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * reviews: resources that are questions: SubjectAccessReview and its kin, SelfSubjectRulesReview,
 * TokenReview, SelfSubjectReview. Nothing is stored; the answer is the object with its status.
 *
 * Source: authorization.k8s.io/v1, authentication.k8s.io/v1; k8s.io/kubernetes
 * pkg/registry/authorization, pkg/registry/authentication. */
#include "orchestrator/api/api_int.h"

static struct doc *
strings_doc(struct request *r, const struct str *list, size_t n)
{
	struct doc *d = doc_list(r->a);
	for (size_t i = 0; d && i < n; i++)
		doc_append(d, doc_str(r->a, list[i]));
	return d;
}

/* ---- access reviews -------------------------------------------------------------------------------- */

/* check_requirements: of a field selector, or of a label selector, whose keys and values have forms. Operators that are
 * not known are for who decides to ignore. */
static void
check_requirements(struct schema_errors *errs, struct str path, const struct doc *list, bool labels)
{
	size_t i = 0;
	DOC_EACH (q, list) {
		struct str at = schema_path_index(errs, path, i++);
		struct str op = doc_get_str(q, STR("operator"));
		struct str values = schema_path_child(errs, at, STR("values"));
		struct str key = doc_get_str(q, STR("key"));
		size_t n = doc_len(doc_get(q, STR("values"))), k = 0;
		if (!labels && !key.n)
			schema_err_required(
				errs, schema_path_child(errs, at, STR("key")), "must be specified");
		if (!n && (str_eq_c(op, "In") || str_eq_c(op, "NotIn")))
			schema_err_required(errs, values,
				"must be specified when `operator` is 'In' or 'NotIn'");
		if (n && (str_eq_c(op, "Exists") || str_eq_c(op, "DoesNotExist")))
			schema_err_forbidden(errs, values,
				"may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
		if (!labels)
			continue;
		schema_err_format(
			errs, schema_path_child(errs, at, STR("key")), FORMAT_QUALIFIED_NAME, key);
		DOC_EACH (v, doc_get(q, STR("values")))
			schema_err_format(errs, schema_path_index(errs, values, k++),
				FORMAT_LABEL_VALUE, doc_as_str(v));
	}
}

static void
check_selector(struct schema_errors *errs, const struct doc *res, const char *name, bool labels)
{
	const struct doc *sel = doc_get(res, str_c(name));
	struct str path = schema_path(errs, "spec.resourceAttributes.%s", name);
	struct str raw = doc_get_str(sel, STR("rawSelector"));
	const struct doc *list = doc_get(sel, STR("requirements"));
	if (!sel)
		return;
	if (raw.n && doc_len(list))
		schema_err_invalid(errs, schema_path_child(errs, path, STR("rawSelector")), raw,
			"may not specified at the same time as requirements");
	if (!raw.n && !doc_len(list))
		schema_error_fmt(errs, SCHEMA_CAUSE_REQUIRED,
			schema_path_child(errs, path, STR("requirements")), NULL,
			"when " STR_FMT " is specified, requirements or rawSelector is required",
			STR_ARG(path));
	check_requirements(errs, schema_path_child(errs, path, STR("requirements")), list, labels);
}

/* check_meta: a question has no name. */
static void
check_meta(struct request *r, bool local)
{
	bool empty = true;
	DOC_EACH (m, meta_of(r->obj))
		if (!doc_is_empty(m) && !str_eq_c(m->key, "managedFields") &&
			!(local && str_eq_c(m->key, "namespace")))
			empty = false;
	if (!empty)
		schema_error_add(&r->causes, SCHEMA_CAUSE_INVALID, STR("metadata"), meta_of(r->obj),
			local ? STR("must be empty except for namespace") : STR("must be empty"));
}

/* access_check: NEXT, or the answer: of the group, but of no kind and no name. */
static enum step
access_check(struct request *r)
{
	struct schema_errors *errs = &r->causes;
	struct doc *meta = doc_ensure_map(r->a, r->obj, STR("metadata"));
	if (meta && r->res->kind->namespaced)
		doc_set_str(r->a, meta, STR("namespace"), r->ns);
	if (!meta || schema_order(r->a, r->res->kind->type, r->obj) < 0)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	const struct doc *spec = doc_get(r->obj, STR("spec"));
	const struct doc *res = doc_get(spec, STR("resourceAttributes"));
	const struct doc *non = doc_get(spec, STR("nonResourceAttributes"));
	bool self = str_eq_c(r->res->plural, "selfsubjectaccessreviews");
	bool local = str_eq_c(r->res->plural, "localsubjectaccessreviews");
	if (!res == !non)
		schema_error_add(errs, SCHEMA_CAUSE_INVALID, STR("spec"),
			non ? non : doc_null(r->a),
			STR("exactly one of nonResourceAttributes or resourceAttributes must be "
			    "specified"));
	if (!self && !doc_get_str(spec, STR("user")).n && !doc_len(doc_get(spec, STR("groups"))))
		schema_err_invalid(errs, STR("spec.user"), STR(""),
			"at least one of user or group must be specified");
	check_selector(errs, res, "fieldSelector", false);
	check_selector(errs, res, "labelSelector", true);
	check_meta(r, local);
	if (local && res && !str_eq(doc_get_str(res, STR("namespace")), r->ns))
		schema_err_invalid(errs, STR("spec.resourceAttributes.namespace"),
			doc_get_str(res, STR("namespace")), "must match metadata.namespace");
	if (local && non)
		schema_error_add(errs, SCHEMA_CAUSE_INVALID, STR("spec.nonResourceAttributes"), non,
			STR("disallowed on this kind of request"));
	if (!errs->n)
		return STEP_NEXT;
	return request_fail_status(r,
		&(struct status_spec){.http = 422,
			.reason = R_INVALID,
			.group = r->res->group,
			.errors = errs,
			.message = arena_fmt(r->a, "." STR_FMT " \"\" is invalid: " STR_FMT,
				STR_ARG(r->res->group), STR_ARG(schema_errors_message(errs)))});
}

static enum step
access_review(struct request *r, const struct user *who)
{
	const struct doc *spec = doc_get(r->obj, STR("spec"));
	const struct doc *res = doc_get(spec, STR("resourceAttributes"));
	const struct doc *non = doc_get(spec, STR("nonResourceAttributes"));
	struct authz_attrs at = {.user = who};
	if (access_check(r) == STEP_REPLY)
		return STEP_REPLY;
	if (res) {
		at.is_resource = true;
		at.verb = doc_get_str(res, STR("verb"));
		at.group = doc_get_str(res, STR("group"));
		at.version = doc_get_str(res, STR("version"));
		at.resource = doc_get_str(res, STR("resource"));
		at.subresource = doc_get_str(res, STR("subresource"));
		at.ns = doc_get_str(res, STR("namespace"));
		at.name = doc_get_str(res, STR("name"));
		const struct doc *fs = doc_get(res, STR("fieldSelector"));
		at.field_selector = doc_get_str(fs, STR("rawSelector"));
	} else {
		at.verb = doc_get_str(non, STR("verb"));
		at.path = doc_get_str(non, STR("path"));
	}
	struct str why = STR("");
	enum decision d = authorize(r, r->worker, r->a, &at, &why);
	struct doc *status = doc_map(r->a);
	if (!status)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	doc_set_bool(r->a, status, STR("allowed"), d == ALLOW);
	if (d == DENY)
		doc_set_bool(r->a, status, STR("denied"), true);
	if (why.n)
		doc_set_str(r->a, status, STR("reason"), why);
	doc_set(r->obj, STR("status"), status);
	return request_reply_doc(r, 201, r->obj);
}

enum step
serve_subject_access_review(struct request *r)
{
	const struct doc *spec = doc_get(r->obj, STR("spec"));
	struct user who = {
		.name = doc_get_str(spec, STR("user")), .uid = doc_get_str(spec, STR("uid"))};
	struct str *groups = NULL;
	DOC_EACH (g, doc_get(spec, STR("groups"))) {
		struct str *slot = ARENA_PUSH(r->a, groups, who.n_groups);
		if (slot)
			*slot = doc_as_str(g);
	}
	who.groups = groups;
	return access_review(r, &who);
}

enum step
serve_self_subject_access_review(struct request *r)
{
	return access_review(r, &r->user);
}

/* ---- rules ----------------------------------------------------------------------------------------- */

struct rules {
	struct request *r;
	struct doc *resource, *non_resource;
};

static void
rules_add(void *arg, const struct rbac_rule *rule)
{
	struct rules *out = arg;
	struct request *r = out->r;
	if (rule->n_urls) {
		struct doc *d = doc_map(r->a);
		if (!d)
			return;
		doc_set(d, STR("verbs"), strings_doc(r, rule->verbs, rule->n_verbs));
		doc_set(d, STR("nonResourceURLs"), strings_doc(r, rule->urls, rule->n_urls));
		doc_append(out->non_resource, d);
	}
	if (rule->n_resources) {
		struct doc *d = doc_map(r->a);
		if (!d)
			return;
		doc_set(d, STR("verbs"), strings_doc(r, rule->verbs, rule->n_verbs));
		doc_set(d, STR("apiGroups"), strings_doc(r, rule->groups, rule->n_groups));
		doc_set(d, STR("resources"), strings_doc(r, rule->resources, rule->n_resources));
		if (rule->n_names)
			doc_set(d, STR("resourceNames"),
				strings_doc(r, rule->names, rule->n_names));
		doc_append(out->resource, d);
	}
}

enum step
serve_rules_review(struct request *r)
{
	struct str ns = doc_get_str(doc_get(r->obj, STR("spec")), STR("namespace"));
	if (ns.n == 0)
		return request_fail(r, R_BAD_REQUEST, "no namespace on request");
	struct rules out = {r, doc_list(r->a), doc_list(r->a)};
	struct doc *status = doc_map(r->a);
	if (!out.resource || !out.non_resource || !status)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	static struct str star[] = {STR_INIT("*")};
	static const struct rbac_rule all[] = {
		{.verbs = star,
			.n_verbs = 1,
			.groups = star,
			.n_groups = 1,
			.resources = star,
			.n_resources = 1},
		{.verbs = star, .n_verbs = 1, .urls = star, .n_urls = 1},
	};
	if (user_in_group(&r->user, STR("system:masters")))
		for (size_t i = 0; i < ARRAY_LEN(all); i++)
			rules_add(&out, &all[i]);
	rbac_rules_for(r->worker, &r->user, ns, rules_add, &out);
	bool node = str_is_set(user_node(&r->user));
	doc_set(status, STR("resourceRules"), out.resource);
	doc_set(status, STR("nonResourceRules"), out.non_resource);
	doc_set_bool(r->a, status, STR("incomplete"), node);
	if (node)
		doc_set_str(r->a, status, STR("evaluationError"),
			STR("node authorizer does not support user rule resolution"));
	doc_set(r->obj, STR("metadata"), doc_map(r->a)); /* nothing of what was asked is answered */
	doc_set(r->obj, STR("spec"), doc_map(r->a));
	doc_set(r->obj, STR("status"), status);
	return request_reply_doc(r, 201, r->obj);
}

/* ---- who ------------------------------------------------------------------------------------------- */

static struct doc *
user_doc(struct request *r, const struct user *u)
{
	struct doc *d = doc_map(r->a), *extra = doc_map(r->a);
	if (!d || !extra)
		return NULL;
	doc_set_str(r->a, d, STR("username"), u->name);
	if (u->uid.n)
		doc_set_str(r->a, d, STR("uid"), u->uid);
	if (u->n_groups)
		doc_set(d, STR("groups"), strings_doc(r, u->groups, u->n_groups));
	for (size_t i = 0; i < u->n_extra; i++)
		doc_set(extra, u->extra[i].key,
			strings_doc(r, u->extra[i].values, u->extra[i].n_values));
	if (u->n_extra)
		doc_set(d, STR("extra"), extra);
	return d;
}

enum step
serve_self_subject_review(struct request *r)
{
	struct doc *status = doc_map(r->a), *who = user_doc(r, &r->user);
	if (!status || !who)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	doc_set(status, STR("userInfo"), who);
	doc_set(r->obj, STR("status"), status);
	struct doc *meta = doc_map(r->a);
	char text[40];
	size_t n = rfc3339_format(r->wall_ns, 0, text);
	if (meta)
		doc_set_str(
			r->a, meta, STR("creationTimestamp"), arena_str(r->a, str_from(text, n)));
	doc_set(r->obj, STR("metadata"), meta);
	return request_reply_doc(r, 201, r->obj);
}

enum step
serve_token_review(struct request *r)
{
	const struct doc *spec = doc_get(r->obj, STR("spec"));
	struct str token = doc_get_str(spec, STR("token"));
	if (token.n == 0)
		return request_fail(
			r, R_BAD_REQUEST, "token is required for TokenReview in authentication");
	struct str *audiences = NULL, why = STR("");
	size_t n = 0;
	DOC_EACH (x, doc_get(spec, STR("audiences"))) {
		struct str *slot = ARENA_PUSH(r->a, audiences, n);
		if (slot)
			*slot = doc_as_str(x);
	}
	struct user who = {0};
	int rc = token_check(r, token, audiences, n, &who, &why);
	struct doc *status = doc_map(r->a);
	if (!status)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	if (rc == 0) {
		doc_set_bool(r->a, status, STR("authenticated"), true);
		doc_set(status, STR("user"), user_doc(r, &who));
		struct str own = r->server->sa_issuer;
		doc_set(status, STR("audiences"), strings_doc(r, n ? audiences : &own, n ? n : 1));
	} else {
		doc_set(status, STR("user"), doc_map(r->a));
		doc_set_str(r->a, status, STR("error"), why.n ? why : STR("invalid bearer token"));
	}
	doc_set(r->obj, STR("status"), status);
	return request_reply_doc(r, 201, r->obj);
}
