/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * policy_int: admission policies, between the files policy_*.c: their expressions, compiled (policy_code.c) and
 * evaluated for a request (policy_world.c); what is configured (policy_config.c), the objects that expressions call
 * params (policy_params.c), the plugins (policy_validate.c, policy_mutate.c), what is checked when a policy is written
 * (policy_check.c), and the types of its expressions (policy_types.c, policy_control.c). Private to api.
 *
 * Source: k8s.io/apiserver pkg/admission/plugin/{cel,policy}, plugin/webhook/matchconditions; KEP-3488, KEP-3716,
 * KEP-3962. */
#ifndef ORCHESTRATOR_API_POLICY_INT_H
#define ORCHESTRATOR_API_POLICY_INT_H

#include "orchestrator/api/hook_int.h"
#include "orchestrator/cel/cel.h"

#define POLICY_CONDITIONS_BUDGET 2500000 /* cost of all matchConditions of one object */

/* ---- environments and programs (policy_code.c) ---- */

/* Slots of every environment; what an expression may not speak of has no name. */
enum policy_slot {
	POLICY_OBJECT,
	POLICY_OLD_OBJECT,
	POLICY_NAMESPACE,
	POLICY_REQUEST,
	POLICY_PARAMS,
	POLICY_AUTHORIZER,
	POLICY_REQUEST_RESOURCE,
	POLICY_VARIABLES, /* all of them, as an object */
	POLICY_VARIABLE,  /* the first of them */
};
enum policy_flags {
	POLICY_HAS_PARAMS = 1 << 0,
	POLICY_HAS_AUTHORIZER = 1 << 1,
	POLICY_HAS_VARIABLES = 1 << 2,
	POLICY_HAS_PATCHES = 1 << 3, /* Object{} and JSONPatch{} */
	POLICY_FOR_TYPES = 1
		<< 4, /* types are looked at: as upstream, without authorizer.requestResource */
};
/* An expression, and what became of it. */
struct policy_expr {
	struct str name;   /* of a condition, variable, annotation */
	struct str source; /* "" = there is none in this place */
	const struct cel_program *program;
	struct str why; /* no program: what is wrong with it */
};
struct policy_exprs {
	struct policy_expr *v;
	size_t n;
};
/* Types that environments of one arena share; zeroed: made at first use. object, params: NULL = dyn. */
struct policy_types {
	const struct cel_type *object, *params, *request, *namespace;
};
/* policy_env: with these variables, already compiled. arena; NULL = it failed. */
const struct cel_env *policy_env(struct arena *a, struct policy_types *types, unsigned flags,
	const struct policy_exprs *variables);
/* policy_compile: as `use` wants it to end; x->program or x->why. 0 or -ENOMEM. */
int policy_compile(struct arena *a, const struct cel_env *env, enum schema_expression_use use,
	struct policy_expr *x);

/* The expressions of one object. */
struct policy_code {
	struct arena *a;
	const struct doc *from; /* what they stand in: a policy's spec, a webhook */
	bool compiled;
	bool managed; /* managedFields are spoken of */
	bool policy;  /* and not a webhook, which has conditions only */
	struct policy_exprs variables, conditions, validations, messages, audits, mutations;
};
/* policy_code_new: nothing is compiled before it is needed. arena; NULL = it failed. */
struct policy_code *policy_code_new(struct arena *a, const struct doc *from);
/* policy_code_collect: the expressions, as they stand there; false: no memory. */
bool policy_code_collect(struct policy_code *c);
/* policy_code_ready: compiled now. 0 or -ENOMEM. */
int policy_code_ready(struct policy_code *c);

/* ---- one evaluation (policy_world.c) ---- */

struct policy_world;
/* policy_world_new: the expressions of c (ready) about r, told as v, matched as `as`. params NULL = null. Returns owned;
 * NULL = no memory. */
struct policy_world *policy_world_new(struct request *r, const struct policy_code *c,
	const struct hook_view *v, const struct api_resource *as, const struct doc *params,
	uint64_t budget);
void policy_world_free(struct policy_world *w);
/* policy_world_arena: for what an evaluation gives. */
struct arena *policy_world_arena(struct policy_world *w);
/* policy_eval: 1: *ret (world's arena); 0: it has no value, *why (r's arena) says why; -EDQUOT: the budget is spent,
 * and *why; -ENOMEM. */
int policy_eval(struct policy_world *w, const struct policy_expr *x, struct cel_value *ret,
	struct str *why);
/* policy_conditions: do all conditions of c hold? 1, 0; -EINVAL: it cannot be told, *why; -ENOMEM. */
int policy_conditions(struct request *r, struct policy_code *c, const struct hook_view *v,
	const struct doc *params, struct str *why);

/* ---- what is configured (policy_config.c) ---- */

struct policy {
	struct hook_item item;
	struct hook_scope scope;
	bool ignore_failure, may_reinvoke;
	bool has_params;
	struct str param_api_version, param_kind;
	struct policy_code *code;
	const struct doc *spec;
};
struct policy_binding {
	struct hook_item item;
	struct str policy;
	struct hook_scope scope;
	const struct doc *spec, *param_ref; /* NULL = none */
	bool deny, warn;
};
struct hook_item *policy_new(struct str name, struct str body);
struct hook_item *policy_binding_new(struct str name, struct str body);

/* One policy about the request, with what its binding says. */
struct policy_turn {
	struct policy *policy;
	struct policy_binding *binding; /* NULL: why concerns the policy itself */
	const struct api_resource *as;  /* matched */
	struct hook_view view;
	struct doc *params;
	struct str why; /* not "": it cannot be evaluated */
};
/* policy_turns: which policies are about r, in the order of their names and their bindings'. NEXT or REPLY. */
enum step policy_turns(struct request *r, bool mutating, struct policy_turn **ret, size_t *ret_n);

/* ---- params (policy_params.c) ---- */

/* policy_params: the objects that b means, one turn each; those without params have one NULL. 0; -EINVAL: *why;
 * -ENOMEM, -errno of the store. r's arena. */
int policy_params(struct request *r, const struct policy *p, const struct policy_binding *b,
	struct doc ***ret, size_t *ret_n, struct str *why);
/* policy_kind_find: the resource of a kind; NULL = unknown. It stays as long as the request does. */
const struct api_resource *policy_kind_find(
	struct request *r, struct str api_version, struct str kind);

/* ---- changes (policy_patch.c) ---- */

/* policy_patch: what mutation i of the turn's policy makes of the view's object. 1: *ret (r's arena), as `view` has it;
 * 0: it stays; -EINVAL: *why, by failurePolicy; -EBADMSG: *why, a failure of the server's; -ENOMEM. */
int policy_patch(struct request *r, const struct policy_turn *t, size_t i,
	const struct hook_view *v, struct doc **ret, struct str *why);

/* ---- types (policy_types.c) ---- */

/* policy_expression: for schema_errors.expression. */
void policy_expression(struct schema_errors *errs, struct str field, struct schema_scope *scope,
	const struct schema_expression *x);
/* policy_warnings: of a ValidatingAdmissionPolicy: where its expressions do not fit the types it is about, as
 * status.typeChecking.expressionWarnings. arena; NULL = it failed. */
struct doc *policy_warnings(struct api_worker *w, struct arena *a, const struct doc *policy);

#endif
