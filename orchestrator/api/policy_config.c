/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * policy_config: admission policies and their bindings as compact rows (kept by hook_config.c), and which of them are
 * about a request.
 *
 * Invariant: policies are taken in the order of their names, their bindings in the order of theirs; a policy nobody
 * binds is about nothing.
 * Source: k8s.io/apiserver pkg/admission/plugin/policy/{generic,matching}. */
#include "orchestrator/api/convert.h"
#include "orchestrator/api/policy_int.h"

/* ---- rows ------------------------------------------------------------------------------------------ */

static const struct doc *
member(const struct doc *d, const char *name)
{
	const struct doc *v = doc_get(d, str_c(name));
	return v && v->type == DOC_MAP ? v : NULL;
}

static void
scope_read(struct arena *a, const struct doc *m, struct hook_scope *sc)
{
	sc->any = true;
	if (!m) /* about everything */
		return;
	hook_scope_selectors(a, m, sc);
	hook_rules_read(a, doc_get(m, STR("resourceRules")), &sc->rules, &sc->n_rules);
	hook_rules_read(a, doc_get(m, STR("excludeResourceRules")), &sc->excluded, &sc->n_excluded);
}

/* parse: the spec of a body, which is copied into a new arena; NULL = no memory. */
static struct arena *
parse(struct str body, const struct doc **ret)
{
	struct arena *a = arena_new(0);
	struct doc *d = NULL;
	if (!a || doc_parse_json(a, arena_str(a, body), NULL, &d, NULL) < 0) {
		arena_free(a);
		return NULL;
	}
	*ret = member(d, "spec");
	return a;
}

struct hook_item *
policy_new(struct str name, struct str body)
{
	const struct doc *spec = NULL;
	struct arena *a = parse(body, &spec);
	struct policy *p = a ? ARENA_NEW(a, struct policy) : NULL;
	if (!p) {
		arena_free(a);
		return NULL;
	}
	const struct doc *kind = member(spec, "paramKind");
	*p = (struct policy){.item = {.a = a, .refs = 1, .name = arena_str(a, name)},
		.ignore_failure = str_eq(doc_get_str(spec, STR("failurePolicy")), STR("Ignore")),
		.may_reinvoke = str_eq(
			doc_get_str(spec, STR("reinvocationPolicy")), STR("IfNeeded")),
		.has_params = kind != NULL,
		.param_api_version = doc_get_str(kind, STR("apiVersion")),
		.param_kind = doc_get_str(kind, STR("kind")),
		.code = policy_code_new(a, spec),
		.spec = spec};
	scope_read(a, member(spec, "matchConstraints"), &p->scope);
	if (p->code)
		p->code->policy = true;
	if (!arena_failed(a))
		return &p->item;
	arena_free(a);
	return NULL;
}

struct hook_item *
policy_binding_new(struct str name, struct str body)
{
	const struct doc *spec = NULL;
	struct arena *a = parse(body, &spec);
	struct policy_binding *b = a ? ARENA_NEW(a, struct policy_binding) : NULL;
	if (!b) {
		arena_free(a);
		return NULL;
	}
	const struct doc *actions = doc_get(spec, STR("validationActions"));
	*b = (struct policy_binding){.item = {.a = a, .refs = 1, .name = arena_str(a, name)},
		.policy = doc_get_str(spec, STR("policyName")),
		.spec = spec,
		.param_ref = member(spec, "paramRef"),
		.deny = doc_list_has(actions, STR("Deny")),
		.warn = doc_list_has(actions, STR("Warn"))};
	scope_read(a, member(spec, "matchResources"), &b->scope);
	if (!arena_failed(a))
		return &b->item;
	arena_free(a);
	return NULL;
}

/* ---- which are about a request --------------------------------------------------------------------- */

struct finder {
	struct request *r;
	struct hook_view own;
	struct policy_turn *turns;
	size_t n;
	enum step step;
};

static void
no_memory(struct finder *f)
{
	f->step = request_fail(f->r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
}

static struct policy_turn *
turn_add(struct finder *f, struct policy *p, struct policy_binding *b)
{
	struct policy_turn *t = ARENA_PUSH(f->r->a, f->turns, f->n);
	if (t)
		*t = (struct policy_turn){.policy = p, .binding = b, .why = STR("")};
	else
		no_memory(f);
	return t;
}

/* turn_fail: it is about the request and cannot be evaluated. */
static void
turn_fail(struct finder *f, struct policy *p, struct policy_binding *b, struct str why)
{
	struct policy_turn *t = turn_add(f, p, b);
	if (t)
		t->why = arena_fmt(f->r->a, "failed to configure %s: " STR_FMT,
			b ? "binding" : "policy", STR_ARG(why));
}

/* chosen: the resource in whose form the request is told; NULL: not about it, or that was said. */
static const struct api_resource *
chosen(struct finder *f, struct policy *p, struct policy_binding *b, const struct hook_scope *sc)
{
	const struct api_resource *as = hook_wanted(f->r, sc);
	if (as && as != f->r->res && convert_hooked(as))
		as = f->r->res; /* its definition's webhook is not asked for policies */
	int in = as ? hook_chooses(f->r, sc, &f->own) : 0;
	if (in == -ENOENT)
		turn_fail(f, p, b,
			arena_fmt(f->r->a, "namespaces \"" STR_FMT "\" not found",
				STR_ARG(hook_namespace(f->r))));
	else if (in < 0)
		turn_fail(f, p, b, STR("reading the store failed"));
	return in > 0 ? as : NULL;
}

static void
binding_turns(
	struct finder *f, struct policy *p, struct policy_binding *b, const struct api_resource *as)
{
	struct doc **params = NULL;
	struct str why = STR("");
	struct hook_view view;
	size_t n = 0;
	if (!chosen(f, p, b, &b->scope))
		return;
	int rc = policy_params(f->r, p, b, &params, &n, &why);
	if (rc == -EINVAL) {
		turn_fail(f, p, b, why);
		return;
	}
	if (rc < 0 || hook_view_as(f->r, &f->own, as, &view) < 0) {
		no_memory(f);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct policy_turn *t = turn_add(f, p, b);
		if (!t)
			return;
		t->as = as;
		t->view = view;
		t->params = params[i];
	}
}

static bool
binds(struct hook_item *b, const struct policy *p)
{
	return str_eq(CONTAINER_OF(b, struct policy_binding, item)->policy, p->item.name);
}

/* kind_text: "apps/v1, Kind=Deployment". */
static struct str
kind_text(struct arena *a, const struct policy *p)
{
	struct str v = p->param_api_version;
	return arena_fmt(a, "%s" STR_FMT ", Kind=" STR_FMT, str_find_char(v, '/') < 0 ? "/" : "",
		STR_ARG(v), STR_ARG(p->param_kind));
}

static void
policy_bindings(struct finder *f, struct policy *p, struct hook_item **bindings, size_t n)
{
	size_t bound = 0;
	for (size_t i = 0; i < n; i++)
		bound += binds(bindings[i], p);
	const struct api_resource *as = bound ? chosen(f, p, NULL, &p->scope) : NULL;
	if (!as)
		return;
	if (p->has_params && !policy_kind_find(f->r, p->param_api_version, p->param_kind)) {
		turn_fail(f, p, NULL,
			arena_fmt(f->r->a,
				"failed to find resource referenced by paramKind: '" STR_FMT "'",
				STR_ARG(kind_text(f->r->a, p))));
		return;
	}
	for (size_t i = 0; f->step == STEP_NEXT && i < n; i++)
		if (binds(bindings[i], p))
			binding_turns(
				f, p, CONTAINER_OF(bindings[i], struct policy_binding, item), as);
}

enum step
policy_turns(struct request *r, bool mutating, struct policy_turn **ret, size_t *ret_n)
{
	struct finder f = {.r = r, .step = STEP_NEXT};
	struct hook_item **policies = NULL, **bindings = NULL;
	size_t n_policies = 0, n_bindings = 0;
	*ret_n = 0;
	if (hook_exempt(r))
		return STEP_NEXT;
	int rc = hook_items_take(r, mutating ? HOOK_MUTATING_BINDING : HOOK_VALIDATING_BINDING,
		&bindings, &n_bindings);
	if (rc == 0 && n_bindings)
		rc = hook_items_take(r, mutating ? HOOK_MUTATING_POLICY : HOOK_VALIDATING_POLICY,
			&policies, &n_policies);
	if (rc < 0)
		return request_fail_forbidden(r, "not yet ready to handle request");
	if (n_policies == 0)
		return STEP_NEXT;
	f.step = hook_view(r, &f.own);
	for (size_t i = 0; f.step == STEP_NEXT && i < n_policies; i++)
		policy_bindings(
			&f, CONTAINER_OF(policies[i], struct policy, item), bindings, n_bindings);
	if (f.step == STEP_NEXT && arena_failed(r->a))
		no_memory(&f);
	*ret = f.turns;
	*ret_n = f.n;
	return f.step;
}
