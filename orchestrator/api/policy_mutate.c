/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * policy_mutate: the plugin MutatingAdmissionPolicy: policies that are about a request change its object, one after the
 * other, each sees what those before it made. What is about the request is found before anything is changed.
 *
 * Invariant: what the server owns of an object is the server's again after each change (meta_again).
 * Source: k8s.io/apiserver pkg/admission/plugin/policy/mutating (dispatcher.go, reinvocationcontext.go). */
#include "orchestrator/api/policy_int.h"

struct mutation {
	struct request *r;
	struct hook_memory *m;
	struct str *failures; /* of policies that fail closed */
	size_t n_failures;
	bool invalid; /* the first of them came of an evaluation */
};

static enum step
no_memory(struct request *r)
{
	return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
}

static void
failure(struct mutation *m, const struct policy_turn *t, struct str why, bool invalid)
{
	struct str *slot = t->policy->ignore_failure
		? NULL
		: ARENA_PUSH(m->r->a, m->failures, m->n_failures);
	if (!slot)
		return;
	if (m->n_failures == 1)
		m->invalid = invalid;
	if (t->binding)
		*slot = arena_fmt(m->r->a,
			"policy '" STR_FMT "' with binding '" STR_FMT "' denied request: " STR_FMT,
			STR_ARG(t->policy->item.name), STR_ARG(t->binding->item.name),
			STR_ARG(why));
	else
		*slot = arena_fmt(m->r->a, "policy \"" STR_FMT "\" denied request: " STR_FMT,
			STR_ARG(t->policy->item.name), STR_ARG(why));
}

/* turn_id: of a policy, its binding and its params. */
static struct str
turn_id(struct request *r, const struct policy_turn *t)
{
	const struct doc *meta = meta_of(t->params);
	return arena_fmt(r->a, STR_FMT "/" STR_FMT "/" STR_FMT "/" STR_FMT,
		STR_ARG(t->policy->item.name), STR_ARG(t->binding->item.name),
		STR_ARG(doc_get_str(meta, STR("namespace"))),
		STR_ARG(doc_get_str(meta, STR("name"))));
}

/* mutate_one: mutation i of a turn. *changed: it made another object of the request's. */
static enum step
mutate_one(struct mutation *m, const struct policy_turn *t, size_t i, bool *changed)
{
	struct request *r = m->r;
	struct hook_view own, v;
	struct doc *out = NULL;
	struct str why = STR("");
	enum step st = hook_view(r, &own);
	if (st != STEP_NEXT)
		return st;
	if (hook_view_as(r, &own, t->as, &v) < 0)
		return no_memory(r);
	if (!v.obj)
		return STEP_NEXT;
	int rc = policy_patch(r, t, i, &v, &out, &why);
	if (rc == -EINVAL)
		failure(m, t, why, true);
	else if (rc == -EBADMSG)
		return request_fail(r, R_INTERNAL_ERROR, STR_FMT, STR_ARG(why));
	else if (rc < 0)
		return no_memory(r);
	if (rc != 1 || doc_equal(v.obj, out))
		return STEP_NEXT;
	if (r->sub && r->sub->connect) /* what its options are stands in the query */
		return STEP_NEXT;
	*changed = true;
	return hook_put_back(r, &v, out);
}

static enum step
take_turn(struct mutation *m, const struct policy_turn *t)
{
	struct request *r = m->r;
	struct policy_code *c = t->policy->code;
	struct hook_view own, v;
	struct str why = STR(""), id = turn_id(r, t);
	bool changed = false;
	enum step st = hook_view(r, &own);
	if (st != STEP_NEXT)
		return st;
	if (hook_view_as(r, &own, t->as, &v) < 0)
		return no_memory(r);
	int rc = policy_conditions(r, c, &v, t->params, &why);
	if (rc == -EINVAL)
		failure(m, t, why, true);
	else if (rc < 0)
		return no_memory(r);
	if (rc != 1 || !hook_turn_due(r, &m->m->policies, id))
		return STEP_NEXT;
	for (size_t i = 0; st == STEP_NEXT && i < c->mutations.n; i++)
		st = mutate_one(m, t, i, &changed);
	if (changed)
		hook_turns_changed(r, &m->m->policies);
	if (t->policy->may_reinvoke)
		hook_turn_taken(r, &m->m->policies, id);
	return st;
}

static enum step
refuse(struct mutation *m)
{
	struct request *r = m->r;
	struct status_spec st = request_forbidden_spec(r, STR(""));
	struct doc *causes = doc_list(r->a);
	for (size_t i = 0; causes && i < m->n_failures; i++) {
		struct doc *c = doc_map(r->a);
		if (!c)
			break;
		doc_set_str(r->a, c, STR("message"), m->failures[i]);
		doc_append(causes, c);
	}
	st.message = m->failures[0];
	st.http = 403;
	st.reason_text = m->invalid ? "Invalid" : "Forbidden";
	st.causes = causes;
	return request_fail_status(r, &st);
}

enum step
admit_mutating_policies(struct request *r)
{
	struct policy_turn *turns = NULL;
	struct mutation m = {.r = r};
	size_t n = 0;
	enum step st = policy_turns(r, true, &turns, &n);
	if (st != STEP_NEXT || n == 0)
		return st;
	m.m = hook_memory(r);
	if (!m.m)
		return no_memory(r);
	hook_turns_begin(r, &m.m->policies);
	for (size_t i = 0; i < n; i++)
		if (turns[i].why.n)
			failure(&m, &turns[i], turns[i].why, false);
	for (size_t i = 0; st == STEP_NEXT && i < n; i++)
		if (turns[i].why.n == 0)
			st = take_turn(&m, &turns[i]);
	if (st != STEP_NEXT)
		return st;
	hook_turns_end(r, &m.m->policies);
	if (arena_failed(r->a))
		return no_memory(r);
	return m.n_failures ? refuse(&m) : STEP_NEXT;
}
