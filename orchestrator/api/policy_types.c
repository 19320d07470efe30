/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * policy_types: expressions looked at without a request: when what they stand in is written (does it compile, does it
 * end in what is wanted), and against the types of the objects a policy is about (warnings of its status).
 * Source: k8s.io/kubernetes pkg/apis/admissionregistration/validation; k8s.io/apiserver
 * pkg/admission/plugin/policy/validating/typechecking.go. */
#include "orchestrator/api/custom.h"
#include "orchestrator/api/policy_int.h"

#include <stdlib.h>

/* ---- what is written ------------------------------------------------------------------------------- */

/* What a scope keeps: environments by their flags, until a variable is added. */
struct checker {
	struct policy_types types;
	struct policy_exprs known;
	const struct cel_env *envs[POLICY_HAS_PATCHES << 1];
};

static struct checker *
checker_of(struct arena *a, struct schema_scope *scope)
{
	if (!scope->own)
		scope->own = ARENA_NEW(a, struct checker);
	return scope->own;
}

static const struct cel_env *
env_for(struct arena *a, struct checker *k, const struct schema_scope *scope,
	enum schema_expression_use use)
{
	unsigned flags = scope->params ? POLICY_HAS_PARAMS : 0;
	if (use != SCHEMA_EXPR_MESSAGE)
		flags |= POLICY_HAS_AUTHORIZER;
	if (scope->variables)
		flags |= POLICY_HAS_VARIABLES;
	if (use == SCHEMA_EXPR_APPLY || use == SCHEMA_EXPR_JSON_PATCH)
		flags |= POLICY_HAS_PATCHES;
	if (!k->envs[flags])
		k->envs[flags] = policy_env(a, &k->types, flags, &k->known);
	return k->envs[flags];
}

static void
now_known(struct arena *a, struct checker *k, const struct policy_expr *x)
{
	struct policy_expr *slot = ARENA_PUSH(a, k->known.v, k->known.n);
	if (slot)
		*slot = *x;
	memset(k->envs, 0, sizeof(k->envs));
}

void
policy_expression(struct schema_errors *errs, struct str field, struct schema_scope *scope,
	const struct schema_expression *x)
{
	struct arena *a = errs->a;
	struct checker *k = checker_of(a, scope);
	struct policy_expr e = {.name = x->name, .source = x->text, .why = STR("")};
	if (!k || policy_compile(a, env_for(a, k, scope, x->use), x->use, &e) < 0)
		return; /* the arena says so */
	if (e.why.n)
		schema_err_invalid(errs, field, x->shown, arena_cstr(a, e.why));
	if (x->use == SCHEMA_EXPR_VARIABLE)
		now_known(a, k, &e);
}

/* ---- the types a policy is about ------------------------------------------------------------------- */

#define TYPES_MAX 10

struct about {
	const struct api_resource *v[TYPES_MAX];
	size_t n;
};

/* The kinds there are: built in, or defined. */
struct kinds {
	const struct api_server *s;
	struct custom **customs;
	size_t n_customs;
};

static const struct api_resource *
kinds_find(const struct kinds *k, struct str group, struct str version, struct str resource,
	struct str kind)
{
	for (size_t i = 0; i < k->s->n_resources; i++) {
		const struct api_resource *res = &k->s->resources[i];
		if (str_eq(res->group, group) && str_eq(res->version, version) &&
			(resource.n ? str_eq(res->plural, resource)
				    : str_eq_c(kind, res->kind->kind)))
			return res;
	}
	for (size_t i = 0; i < k->n_customs; i++)
		for (size_t j = 0; j < k->customs[i]->n_rows; j++) {
			const struct api_resource *res = &k->customs[i]->rows[j];
			if (str_eq(res->group, group) && str_eq(res->version, version) &&
				(resource.n ? str_eq(res->plural, resource)
					    : str_eq_c(kind, res->kind->kind)))
				return res;
		}
	return NULL;
}

static void
about_add(struct about *t, const struct api_resource *res)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i] == res)
			return;
	if (res && t->n < TYPES_MAX)
		t->v[t->n++] = res;
}

/* plain: none of the texts is a pattern. */
static bool
plain(const struct doc *list)
{
	DOC_EACH (x, list)
		if (str_find_char(doc_as_str(x), '*') >= 0)
			return false;
	return doc_len(list) > 0;
}

static void
about_rule(const struct kinds *k, const struct doc *rule, struct about *t)
{
	const struct doc *groups = doc_get(rule, STR("apiGroups"));
	const struct doc *versions = doc_get(rule, STR("apiVersions"));
	if (!plain(groups) || !plain(versions))
		return;
	DOC_EACH (g, groups)
		DOC_EACH (v, versions)
			DOC_EACH (r, doc_get(rule, STR("resources"))) {
				struct str name = doc_as_str(r);
				if (name.n && str_find_char(name, '*') < 0 &&
					str_find_char(name, '/') < 0)
					about_add(t,
						kinds_find(k, doc_as_str(g), doc_as_str(v), name,
							STR("")));
			}
}

static int
by_kind(const void *x, const void *y)
{
	const struct api_resource *a = *(const struct api_resource *const *)x;
	const struct api_resource *b = *(const struct api_resource *const *)y;
	int c = str_cmp(a->group, b->group);
	if (c == 0)
		c = str_cmp(a->version, b->version);
	return c ? c : strcmp(a->kind->kind, b->kind->kind);
}

static const struct cel_type *
type_of(struct arena *a, const struct api_resource *res)
{
	if (!res)
		return NULL;
	if (res->custom && !res->kind->type->structural)
		return NULL;
	return res->custom ? cel_type_structural(a, res->kind->type->structural, true)
			   : cel_type_schema(a, res->kind->type);
}

/* ---- warnings -------------------------------------------------------------------------------------- */

/* One environment for each type. */
struct typed {
	struct str name; /* "apps/v1, Kind=Deployment" */
	const struct cel_env *env;
};

static int
typed_make(struct arena *a, const struct policy_code *c, const struct api_resource *res,
	const struct cel_type *params, struct typed *ret)
{
	struct policy_types types = {.object = type_of(a, res), .params = params};
	const struct doc *kind = doc_get(c->from, STR("paramKind"));
	unsigned flags = POLICY_HAS_AUTHORIZER | POLICY_HAS_VARIABLES | POLICY_FOR_TYPES;
	struct policy_exprs known = {.v = ARENA_ARRAY(a, struct policy_expr, c->variables.n)};
	int rc = known.v ? 0 : -ENOMEM;
	if (kind && kind->type == DOC_MAP)
		flags |= POLICY_HAS_PARAMS;
	for (; rc == 0 && known.n < c->variables.n; known.n++) {
		struct policy_expr *x = &known.v[known.n];
		*x = c->variables.v[known.n];
		rc = policy_compile(
			a, policy_env(a, &types, flags, &known), SCHEMA_EXPR_VARIABLE, x);
	}
	ret->env = rc == 0 ? policy_env(a, &types, flags, &known) : NULL;
	ret->name = arena_fmt(a, STR_FMT "/" STR_FMT ", Kind=%s", STR_ARG(res->group),
		STR_ARG(res->version), res->kind->kind);
	return ret->env ? 0 : -ENOMEM;
}

/* warn_of: what all types say of one expression; nothing when it fits them. */
static int
warn_of(struct arena *a, const struct typed *types, size_t n, struct str source, struct str field,
	struct doc *out)
{
	const size_t head = STR("compilation failed: ").n;
	struct buf b;
	buf_init_arena(&b, a);
	for (size_t i = 0; i < n; i++) {
		struct policy_expr x = {.source = source, .why = STR("")};
		int rc = policy_compile(a, types[i].env, SCHEMA_EXPR_VARIABLE, &x);
		if (rc < 0)
			return rc;
		if (x.why.n)
			buf_fmt(&b, "%s" STR_FMT ": " STR_FMT "\n", b.len ? "\n" : "",
				STR_ARG(types[i].name), STR_ARG(str_sub(x.why, head, SIZE_MAX)));
	}
	struct doc *d = b.len ? doc_map(a) : NULL;
	if (d) {
		doc_set_str(a, d, STR("fieldRef"), field);
		doc_set_str(a, d, STR("warning"), buf_view(&b));
		doc_append(out, d);
	}
	return arena_failed(a) ? -ENOMEM : 0;
}

static struct doc *
warnings(const struct kinds *k, struct arena *a, const struct doc *spec)
{
	const struct doc *kind = doc_get(spec, STR("paramKind"));
	struct policy_code c = {.a = a, .from = spec, .policy = true};
	struct doc *out = doc_list(a);
	struct about about = {.n = 0};
	struct typed types[TYPES_MAX];
	struct str group, version;
	DOC_EACH (rule, doc_get(doc_get(spec, STR("matchConstraints")), STR("resourceRules")))
		about_rule(k, rule, &about);
	qsort(about.v, about.n, sizeof(about.v[0]), by_kind);
	schema_api_version_split(doc_get_str(kind, STR("apiVersion")), &group, &version);
	const struct cel_type *params = type_of(
		a, kinds_find(k, group, version, STR(""), doc_get_str(kind, STR("kind"))));
	int rc = out && policy_code_collect(&c) ? 0 : -ENOMEM;
	for (size_t i = 0; rc == 0 && i < about.n; i++)
		rc = typed_make(a, &c, about.v[i], params, &types[i]);
	for (size_t i = 0; rc == 0 && i < c.validations.n; i++) {
		rc = warn_of(a, types, about.n, c.validations.v[i].source,
			arena_fmt(a, "spec.validations[%zu].expression", i), out);
		if (rc == 0 && c.messages.v[i].source.n)
			rc = warn_of(a, types, about.n, c.messages.v[i].source,
				arena_fmt(a, "spec.validations[%zu].messageExpression", i), out);
	}
	return rc == 0 && !arena_failed(a) ? out : NULL;
}

struct doc *
policy_warnings(struct api_worker *w, struct arena *a, const struct doc *policy)
{
	struct kinds k = {.s = w->s};
	if (custom_list(w, &k.customs, &k.n_customs) < 0)
		return NULL;
	struct doc *out = warnings(&k, a, doc_get(policy, STR("spec")));
	custom_list_free(k.customs, k.n_customs);
	return out;
}
