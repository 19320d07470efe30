/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * policy_world: one evaluation: what the expressions of a policy see of a request. What costs something (the namespace,
 * the request as a document, variables) is made when it is first spoken of.
 *
 * Invariants: values live in an arena of the evaluation; what is kept of it is copied into the request's. A variable is
 * evaluated once, and fails for each who asks.
 * Source: k8s.io/apiserver pkg/admission/plugin/cel (activation.go, composition.go), webhook/matchconditions. */
#include "orchestrator/api/policy_int.h"

struct policy_world {
	struct request *r;
	struct arena *a;
	const struct policy_code *code;
	const struct hook_view *view;
	const struct api_resource *as;
	struct cel_world w;
	struct cel_authz own; /* what authorizer.requestResource asks about */
	uint64_t budget;
};

#define OUT_OF_BUDGET                                                                              \
	"validation failed due to running out of cost budget, no further validation rules will be run"

/* ---- the authorizer -------------------------------------------------------------------------------- */

static struct user
service_account(struct arena *a, struct str ns, struct str name)
{
	struct str *groups = ARENA_ARRAY(a, struct str, 2);
	if (groups) {
		groups[0] = STR("system:serviceaccounts");
		groups[1] = arena_fmt(a, "system:serviceaccounts:" STR_FMT, STR_ARG(ns));
	}
	return (struct user){.name = arena_fmt(a, "system:serviceaccount:" STR_FMT ":" STR_FMT,
				     STR_ARG(ns), STR_ARG(name)),
		.uid = STR(""),
		.groups = groups,
		.n_groups = groups ? 2 : 0};
}

static int
ask(void *arg, const struct cel_authz *q, bool *allowed, struct str *reason, struct err *e)
{
	struct policy_world *w = arg;
	struct str why = STR("");
	struct user other;
	struct authz_attrs at = {.user = &w->r->user,
		.verb = q->verb,
		.is_resource = q->path.n == 0,
		.path = q->path,
		.group = q->group,
		.version = STR("*"),
		.resource = q->resource,
		.subresource = q->subresource,
		.ns = q->namespace,
		.name = q->name,
		.field_selector = q->field_selector,
		.label_selector = q->label_selector};
	if (q->service_account.n) {
		other = service_account(w->a, q->service_account_ns, q->service_account);
		at.user = &other;
	}
	if (at.is_resource && at.resource.n == 0)
		return err_set(e, -EINVAL, R_UNKNOWN, "resource is not specified");
	enum decision d = authorize(w->r, w->r->worker, w->r->a, &at, &why);
	*allowed = d == ALLOW;
	*reason = arena_str(w->a, why.n ? why : STR(""));
	return 0;
}

/* ---- what is made when it is spoken of ------------------------------------------------------------- */

/* The members of a Namespace that expressions may see; others stand for nothing in its type. */
static const struct str unseen[] = {
	STR_INIT("managedFields"), STR_INIT("ownerReferences"), STR_INIT("selfLink")};

static int
make_namespace(struct policy_world *w, struct cel_value *ret, struct err *e)
{
	struct request *r = w->r;
	struct str name = hook_namespace(r);
	struct doc *d = NULL;
	if (r->res == r->server->namespaces || name.n == 0) {
		*ret = cel_of_doc(NULL, NULL);
		return 0;
	}
	int rc = object_read(r, r->server->namespaces, STR(""), name, &d, NULL);
	if (rc == -ENOMEM)
		return rc;
	if (rc < 0)
		return err_set(e, -EINVAL, R_UNKNOWN, "namespaces \"" STR_FMT "\" not found",
			STR_ARG(name));
	for (size_t i = 0; i < ARRAY_LEN(unseen); i++)
		if (meta_of(d))
			doc_set(meta_of(d), unseen[i], NULL);
	*ret = cel_of_doc(NULL, d);
	return 0;
}

static int
make_request(struct policy_world *w, struct cel_value *ret)
{
	struct doc *d = hook_request_doc(w->r, w->view, w->as);
	if (!d)
		return -ENOMEM;
	*ret = cel_of_doc(NULL, d);
	return 0;
}

static int
variable_failed(struct err *e, const struct policy_expr *x, const char *what, const char *why)
{
	return err_set(e, -EINVAL, R_UNKNOWN, "composited variable \"" STR_FMT "\" fails to %s: %s",
		STR_ARG(x->name), what, why);
}

static int
make_variable(struct policy_world *w, size_t i, struct cel_value *ret, struct err *e)
{
	const struct policy_expr *x = &w->code->variables.v[i];
	struct err why = {0};
	if (!x->program)
		return variable_failed(e, x, "compile", arena_cstr(w->a, x->why));
	int rc = cel_eval(w->a, x->program, &w->w, ret, &why);
	if (rc == -EDQUOT && !str_starts(str_c(why.msg), STR("operation "))) {
		*e = why;
		return rc;
	}
	return rc < 0 && rc != -ENOMEM ? variable_failed(e, x, "evaluate", why.msg) : rc;
}

/* All variables as one object: has(variables.x), variables == {}. */
static int
make_variables(struct policy_world *w, struct cel_value *ret, struct err *e)
{
	struct doc *all = doc_map(w->a);
	int rc = all ? 0 : -ENOMEM;
	for (size_t i = 0; rc == 0 && i < w->code->variables.n; i++) {
		struct cel_value v;
		struct doc *d = NULL;
		rc = make_variable(w, i, &v, e);
		if (rc == 0)
			rc = cel_to_doc(w->a, &v, &d, e);
		if (rc == 0)
			doc_set(all, w->code->variables.v[i].name, d);
	}
	if (rc == 0)
		*ret = cel_of_doc(NULL, all);
	return rc;
}

static int
make(void *arg, size_t slot, struct cel_value *ret, struct err *e)
{
	struct policy_world *w = arg;
	int rc = -EINVAL;
	if (slot >= POLICY_VARIABLE)
		rc = make_variable(w, slot - POLICY_VARIABLE, ret, e);
	else if (slot == POLICY_VARIABLES)
		rc = make_variables(w, ret, e);
	else if (slot == POLICY_REQUEST)
		rc = make_request(w, ret);
	else if (slot == POLICY_NAMESPACE)
		rc = make_namespace(w, ret, e);
	if (rc == 0)
		w->w.slots[slot] = *ret;
	return rc;
}

/* ---- life ------------------------------------------------------------------------------------------ */

/* The object as it is told: who set which fields is kept as a text until somebody asks. */
static const struct doc *
told(struct policy_world *w, const struct doc *d)
{
	if (!d || !w->code->managed)
		return d;
	struct doc *copy = doc_lend(w->a, d);
	if (copy && doc_expand(w->a, copy) < 0)
		return d;
	return copy;
}

struct policy_world *
policy_world_new(struct request *r, const struct policy_code *c, const struct hook_view *v,
	const struct api_resource *as, const struct doc *params, uint64_t budget)
{
	struct arena *a = arena_new(0);
	struct policy_world *w = a ? ARENA_NEW(a, struct policy_world) : NULL;
	size_t n = POLICY_VARIABLE + c->variables.n;
	struct cel_value *slots = w ? ARENA_ARRAY(a, struct cel_value, n) : NULL;
	if (!slots) {
		arena_free(a);
		return NULL;
	}
	*w = (struct policy_world){
		.r = r, .a = a, .code = c, .view = v, .as = as, .budget = budget};
	w->w = (struct cel_world){.slots = slots,
		.make = make,
		.authorize = ask,
		.arg = w,
		.now_ns = r->wall_ns,
		.budget = &w->budget};
	for (size_t i = 0; i < n; i++)
		slots[i] = (struct cel_value){.kind = CEL_ERROR};
	slots[POLICY_OBJECT] = cel_of_doc(NULL, told(w, v->obj));
	slots[POLICY_OLD_OBJECT] = cel_of_doc(NULL, told(w, v->old));
	slots[POLICY_PARAMS] = cel_of_doc(NULL, params);
	slots[POLICY_AUTHORIZER] = cel_of_authorizer();
	w->own = (struct cel_authz){.group = r->res->group,
		.resource = r->res->plural,
		.subresource = r->sub ? r->sub->name : STR(""),
		.namespace = hook_namespace(r),
		.name = r->name};
	slots[POLICY_REQUEST_RESOURCE] = cel_of_resource_check(&w->own);
	if (arena_failed(a)) {
		arena_free(a);
		return NULL;
	}
	return w;
}

void
policy_world_free(struct policy_world *w)
{
	if (w)
		arena_free(w->a);
}

struct arena *
policy_world_arena(struct policy_world *w)
{
	return w->a;
}

/* ---- evaluation ------------------------------------------------------------------------------------ */

int
policy_eval(
	struct policy_world *w, const struct policy_expr *x, struct cel_value *ret, struct str *why)
{
	struct arena *out = w->r->a;
	struct err e = {0};
	if (!x->program) {
		*why = arena_fmt(out, "compilation error: " STR_FMT, STR_ARG(x->why));
		return arena_failed(out) ? -ENOMEM : 0;
	}
	int rc = cel_eval(w->a, x->program, &w->w, ret, &e);
	if (rc == 0)
		return 1;
	if (rc == -EDQUOT && !str_starts(str_c(e.msg), STR("operation "))) {
		*why = STR(OUT_OF_BUDGET);
		return rc;
	}
	if (rc == -ENOMEM)
		return rc;
	*why = arena_fmt(
		out, "expression '" STR_FMT "' resulted in error: %s", STR_ARG(x->source), e.msg);
	return arena_failed(out) ? -ENOMEM : 0;
}

/* ---- conditions ------------------------------------------------------------------------------------ */

/* failures_text: as upstream joins errors: one as it is, more in brackets, none twice. */
static struct str
failures_text(struct arena *a, const struct str *v, size_t n)
{
	struct buf b;
	size_t said = 0;
	buf_init_arena(&b, a);
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;
		while (k < i && !str_eq(v[k], v[i]))
			k++;
		if (k == i)
			buf_fmt(&b, "%s" STR_FMT, said++ ? ", " : "", STR_ARG(v[i]));
	}
	return said == 1 ? buf_view(&b) : arena_fmt(a, "[" STR_FMT "]", STR_ARG(buf_view(&b)));
}

static int
conditions_in(struct policy_world *w, const struct policy_code *c, struct str *why)
{
	struct arena *a = w->r->a;
	struct str *failed = NULL;
	size_t n_failed = 0;
	for (size_t i = 0; i < c->conditions.n; i++) {
		struct cel_value v;
		struct str text = STR("");
		int rc = policy_eval(w, &c->conditions.v[i], &v, &text);
		if (rc == -EDQUOT)
			*why = text;
		if (rc < 0)
			return rc == -EDQUOT ? -EINVAL : rc;
		if (rc == 1 && v.kind == CEL_BOOL && !v.b)
			return 0;
		struct str *slot = rc == 0 ? ARENA_PUSH(a, failed, n_failed) : NULL;
		if (slot)
			*slot = text;
	}
	if (n_failed == 0)
		return 1;
	*why = failures_text(a, failed, n_failed);
	return arena_failed(a) ? -ENOMEM : -EINVAL;
}

int
policy_conditions(struct request *r, struct policy_code *c, const struct hook_view *v,
	const struct doc *params, struct str *why)
{
	int rc = policy_code_ready(c);
	if (rc < 0)
		return rc;
	if (c->conditions.n == 0)
		return 1;
	struct policy_world *w = policy_world_new(
		r, c, v, r->res, params, POLICY_CONDITIONS_BUDGET);
	rc = w ? conditions_in(w, c, why) : -ENOMEM;
	policy_world_free(w);
	return rc;
}
