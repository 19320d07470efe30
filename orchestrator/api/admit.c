/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * admit: runs the admission plugins of orchestrator/kinds over a request, in the order of their table.
 *
 * Invariant: r->plugin is the index of the plugin to be called next, so that one that waits is called
 * again and none twice.
 * Source: k8s.io/apiserver admission. */
#include "orchestrator/api/custom.h"

enum admission_op
request_op(const struct request *r)
{
	if (r->sub && r->sub->connect)
		return ADMIT_CONNECT;
	switch (r->verb) {
	case VERB_CREATE:
		return ADMIT_CREATE;
	case VERB_UPDATE:
	case VERB_PATCH:
		return r->created ? ADMIT_CREATE : ADMIT_UPDATE;
	case VERB_DELETE:
	case VERB_DELETECOLLECTION:
		return ADMIT_DELETE;
	case VERB_NONE:
	case VERB_GET:
	case VERB_LIST:
	case VERB_WATCH:
	case VERB__COUNT:
		break;
	}
	return ADMIT_CONNECT;
}

static bool
plugin_matches(const struct admission_plugin *p, const struct request *r, enum admission_op op)
{
	if (!(p->ops & (unsigned)op))
		return false;
	if (p->group && !str_eq_c(r->res->group, p->group))
		return false;
	if (p->resource && !str_eq_c(r->res->plural, p->resource))
		return false;
	if (!p->sub)
		return r->sub == NULL;
	return p->sub[0] == '*' || (r->sub && str_eq_c(r->sub->name, p->sub));
}

static enum step
run(struct request *r, const struct admission_plugin *list, size_t n, size_t first)
{
	enum admission_op op = request_op(r);
	while (r->plugin - first < n) {
		const struct admission_plugin *p = &list[r->plugin - first];
		if (plugin_matches(p, r, op)) {
			enum step st = p->admit(r);
			if (st != STEP_NEXT)
				return st;
			r->stage_state = NULL;
		}
		r->plugin++;
	}
	return STEP_NEXT;
}

/* A webhook that changed the object has all of them look at it once more. */
static enum step
mutate(struct request *r, const struct kind_tables *t)
{
	enum step st = run(r, t->mutating, t->n_mutating, 0);
	if (st != STEP_NEXT || !hooks_again(r))
		return st;
	r->plugin = 0;
	return run(r, t->mutating, t->n_mutating, 0);
}

enum step
stage_admit_mutate(struct request *r)
{
	const struct kind_tables *t = r->server->kinds;
	return t ? mutate(r, t) : STEP_NEXT;
}

enum step
stage_admit_validate(struct request *r)
{
	const struct kind_tables *t = r->server->kinds;
	return t ? run(r, t->validating, t->n_validating, 0) : STEP_NEXT;
}

/* Requests that a function of their own serves are decoded and admitted here. */
enum step
stage_connect_admit(struct request *r)
{
	bool own = r->res->serve_virtual || (r->sub && r->sub->serve);
	if (!own)
		return STEP_NEXT;
	r->restart_at = STAGE_CONNECT_ADMIT;
	if (r->res->store_res == API_NO_STORE && !r->res->serve_virtual)
		return request_not_found_path(r);
	bool connect = r->sub && r->sub->connect;
	if (!connect && !r->obj) {
		enum step st = decode_for_serve(r);
		if (st != STEP_NEXT)
			return st;
	}
	const struct kind_tables *t = r->server->kinds;
	bool review = r->res->serve_virtual && r->res->serve_virtual != serve_binding;
	if (!t || review)
		return STEP_NEXT;
	if (r->plugin < t->n_mutating) {
		enum step st = mutate(r, t);
		if (st != STEP_NEXT)
			return st;
	}
	return run(r, t->validating, t->n_validating, t->n_mutating);
}

/* What a version of a custom resource says of itself. */
static enum step
serve_custom(struct request *r)
{
	const struct api_resource *res = r->res;
	const struct api_resource *better = res->deprecated ? custom_better(res) : NULL;
	if (res->deprecated && res->deprecation.n)
		request_warn(r, STR_FMT, STR_ARG(res->deprecation));
	else if (res->deprecated && better)
		request_warn(r,
			STR_FMT "/" STR_FMT " %s is deprecated; use " STR_FMT "/" STR_FMT " %s",
			STR_ARG(res->group), STR_ARG(res->version), res->kind->kind,
			STR_ARG(res->group), STR_ARG(better->version), res->kind->kind);
	else if (res->deprecated)
		request_warn(r, STR_FMT "/" STR_FMT " %s is deprecated", STR_ARG(res->group),
			STR_ARG(res->version), res->kind->kind);
	return STEP_NEXT;
}

enum step
stage_serve(struct request *r)
{
	if (r->res->custom)
		return serve_custom(r);
	if (r->res->serve_virtual) {
		managed_virtual(r);
		return r->res->serve_virtual(r);
	}
	if (r->sub && r->sub->serve)
		return r->sub->serve(r);
	return STEP_NEXT;
}
