/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * policy_validate: the plugin ValidatingAdmissionPolicy: every policy that is about a request is evaluated, and its
 * binding says what follows where it fails. The first that denies is the one the client is told of.
 *
 * Invariant: changes nothing of the request. A message is evaluated only where its validation failed. There is no audit
 * log: what a policy would write there is evaluated (it can fail) and dropped.
 * Source: k8s.io/apiserver pkg/admission/plugin/policy/validating (dispatcher.go, validator.go). */
#include "orchestrator/api/policy_int.h"

#define MESSAGE_MAX (5 * 1024)

struct verdict {
	struct request *r;
	const struct policy *policy; /* the first that denies; NULL = none */
	const struct policy_binding *binding;
	struct str message, reason;
};

static void
deny(struct verdict *v, const struct policy_turn *t, struct str message, struct str reason)
{
	if (v->policy)
		return;
	v->policy = t->policy;
	v->binding = t->binding;
	v->message = message;
	v->reason = reason.n ? reason : STR("Invalid");
}

/* What follows of a failure, by the binding. */
static void
fails(struct verdict *v, const struct policy_turn *t, struct str message, struct str reason)
{
	if (t->binding->deny)
		deny(v, t, message, reason);
	if (t->binding->warn)
		request_warn(v->r,
			"Validation failed for ValidatingAdmissionPolicy '" STR_FMT
			"' with binding '" STR_FMT "': " STR_FMT,
			STR_ARG(t->policy->item.name), STR_ARG(t->binding->item.name),
			STR_ARG(message));
}

static void
cannot_tell(struct verdict *v, const struct policy_turn *t, struct str why)
{
	if (!t->policy->ignore_failure)
		fails(v, t, why, STR(""));
}

/* ---- messages -------------------------------------------------------------------------------------- */

/* message_made: what messageExpression gives, where it gives something fit. 0, -EDQUOT with *ret, -ENOMEM. */
static int
message_made(
	struct policy_world *w, struct request *r, const struct policy_expr *x, struct str *ret)
{
	struct cel_value v;
	struct str why = STR("");
	*ret = STR("");
	if (x->source.n == 0)
		return 0;
	int rc = policy_eval(w, x, &v, &why);
	if (rc == -EDQUOT)
		*ret = arena_fmt(r->a, "failed messageExpression: " STR_FMT, STR_ARG(why));
	if (rc <= 0 || v.kind != CEL_STRING)
		return rc < 0 ? rc : 0;
	struct str s = str_trim(v.s);
	if (s.n <= MESSAGE_MAX && str_find_char(s, '\n') < 0)
		*ret = arena_str(r->a, s);
	return 0;
}

static struct str
message_plain(struct request *r, const struct doc *validation)
{
	struct str s = str_trim(doc_get_str(validation, STR("message")));
	if (s.n)
		return s;
	return arena_fmt(r->a, "failed expression: " STR_FMT,
		STR_ARG(str_trim(doc_get_str(validation, STR("expression")))));
}

/* ---- one policy ------------------------------------------------------------------------------------ */

/* one_failed: validation i is false. 0 or -ENOMEM. */
static int
one_failed(struct verdict *v, const struct policy_turn *t, struct policy_world *w, size_t i)
{
	const struct policy_code *c = t->policy->code;
	const struct doc *d = doc_index(doc_get(t->policy->spec, STR("validations")), i);
	struct str said = STR("");
	int rc = message_made(w, v->r, &c->messages.v[i], &said);
	if (rc == -EDQUOT) {
		cannot_tell(v, t, said);
		return 0;
	}
	if (rc == 0)
		fails(v, t, said.n ? said : message_plain(v->r, d), doc_get_str(d, STR("reason")));
	return rc;
}

/* validations: 0, -EDQUOT: nothing more is evaluated, and that was said; -ENOMEM. */
static int
validations(struct verdict *v, const struct policy_turn *t, struct policy_world *w)
{
	const struct policy_code *c = t->policy->code;
	for (size_t i = 0; i < c->validations.n; i++) {
		struct cel_value got;
		struct str why = STR("");
		int rc = policy_eval(w, &c->validations.v[i], &got, &why);
		if (rc == -EDQUOT || rc == 0)
			cannot_tell(v, t, why);
		else if (rc == 1 && (got.kind != CEL_BOOL || !got.b))
			rc = one_failed(v, t, w, i);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Annotations of an audit log: that they cannot be made refuses, whatever the binding says. */
static int
annotations(struct verdict *v, const struct policy_turn *t)
{
	const struct policy_code *c = t->policy->code;
	int rc = 0;
	if (c->audits.n == 0)
		return 0;
	struct policy_world *w = policy_world_new(
		v->r, c, &t->view, t->as, t->params, CEL_COST_PER_REQUEST);
	for (size_t i = 0; w && rc >= 0 && i < c->audits.n; i++) {
		struct cel_value got;
		struct str why = STR("");
		rc = policy_eval(w, &c->audits.v[i], &got, &why);
		if (rc == -EDQUOT)
			cannot_tell(v, t, why);
		else if (rc == 0 && !t->policy->ignore_failure)
			deny(v, t, why, STR(""));
	}
	policy_world_free(w);
	return !w || rc == -ENOMEM ? -ENOMEM : 0;
}

static int
evaluate(struct verdict *v, const struct policy_turn *t)
{
	struct policy_code *c = t->policy->code;
	struct str why = STR("");
	int rc = policy_conditions(v->r, c, &t->view, t->params, &why);
	if (rc == -EINVAL) {
		cannot_tell(v, t, why);
		return 0;
	}
	if (rc <= 0)
		return rc;
	struct policy_world *w = policy_world_new(
		v->r, c, &t->view, t->as, t->params, CEL_COST_PER_REQUEST);
	rc = w ? validations(v, t, w) : -ENOMEM;
	policy_world_free(w);
	if (rc == -EDQUOT)
		return 0;
	return rc == 0 ? annotations(v, t) : rc;
}

/* ---- the answer ------------------------------------------------------------------------------------ */

static enum step
refuse(const struct verdict *v)
{
	static const struct {
		const char *reason;
		int http;
	} codes[] = {{"Forbidden", 403}, {"Unauthorized", 401}, {"RequestEntityTooLarge", 413}};
	struct request *r = v->r;
	struct doc *causes = doc_list(r->a), *c = doc_map(r->a);
	struct str by = v->binding
		? arena_fmt(r->a, " with binding '" STR_FMT "'", STR_ARG(v->binding->item.name))
		: STR("");
	struct str text = arena_fmt(r->a,
		"ValidatingAdmissionPolicy '" STR_FMT "'" STR_FMT " denied request: " STR_FMT,
		STR_ARG(v->policy->item.name), STR_ARG(by), STR_ARG(v->message));
	struct status_spec st = request_forbidden_spec(r, text);
	if (causes && c) {
		doc_set_str(r->a, c, STR("message"), text);
		doc_append(causes, c);
	}
	st.causes = causes;
	st.reason_text = arena_cstr(r->a, v->reason);
	st.http = 422;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (str_eq_c(v->reason, codes[i].reason))
			st.http = codes[i].http;
	return request_fail_status(r, &st);
}

enum step
admit_validating_policies(struct request *r)
{
	struct policy_turn *turns = NULL;
	struct verdict v = {.r = r};
	size_t n = 0;
	enum step st = policy_turns(r, false, &turns, &n);
	if (st != STEP_NEXT)
		return st;
	for (size_t i = 0; i < n; i++) {
		const struct policy_turn *t = &turns[i];
		if (t->why.n) {
			if (!t->policy->ignore_failure)
				deny(&v, t, t->why, STR(""));
		} else if (evaluate(&v, t) < 0 || arena_failed(r->a)) {
			return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
		}
	}
	return v.policy ? refuse(&v) : STEP_NEXT;
}
