/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hook_admit: the admission plugins that ask webhooks. Mutating ones are asked one after the other, each sees what
 * those before it made of the object; validating ones all at once. A request waits for them without holding anything:
 * if what it read has changed meanwhile, its commit fails and it starts over, webhooks included.
 *
 * When a webhook changed the object the mutating plugins run once more, and with them those webhooks that were
 * asked before the change and want to be asked again (reinvocationPolicy IfNeeded).
 * Invariant: what the server owns of an object is the server's again after each patch (meta_again).
 * Source: k8s.io/apiserver admission/plugin/webhook/{mutating,validating} (dispatcher), admission/reinvocation. */
#include "orchestrator/api/policy_int.h"

/* A plugin's turn. */
struct hook_run {
	struct stream stream;
	struct request *r;
	struct hook **hooks;
	size_t n, at;
	struct hook_call *call;   /* mutating: the one under way, or just answered */
	struct hook_view view;    /* of that call */
	struct hook_call **calls; /* validating: all */
	size_t n_calls, running;
	bool gone;
};

/* ---- waiting --------------------------------------------------------------------------------------- */

static void
run_over(struct hook_run *h)
{
	stream_del(&h->stream);
	h->r->on_gone = NULL;
}

/* The client went away, or the server stops: what is asked is not awaited any longer. */
static void
run_cancel(struct hook_run *h)
{
	h->gone = true;
	if (h->call)
		hook_call_cancel(h->call);
	for (size_t i = 0; i < h->n_calls; i++)
		hook_call_cancel(h->calls[i]);
	h->running = 0;
	run_over(h);
	request_resume(h->r, true);
}

static void
on_gone(struct request *r)
{
	run_cancel(r->stage_state);
}

static void
on_stop(struct stream *st)
{
	run_cancel(CONTAINER_OF(st, struct hook_run, stream));
}

static enum step
run_wait(struct hook_run *h)
{
	h->r->on_gone = on_gone;
	stream_add(&h->stream, h->r, on_stop);
	return STEP_WAIT;
}

static struct hook_call *
call_new(struct hook_run *h, struct hook *hook, bool mutating, void (*done)(struct hook_call *c))
{
	struct hook_call *c = ARENA_NEW(h->r->a, struct hook_call);
	if (c)
		*c = (struct hook_call){
			.r = h->r, .h = hook, .done = done, .arg = h, .mutating = mutating};
	return c;
}

/* run_new: NULL with *ret = NEXT: nobody is to be asked. */
static struct hook_run *
run_new(struct request *r, bool mutating, enum step *ret)
{
	struct hook **hooks = NULL;
	size_t n = 0;
	*ret = STEP_NEXT;
	if (hook_exempt(r))
		return NULL;
	int rc = hooks_take(r, mutating, &hooks, &n);
	if (rc < 0)
		*ret = request_fail_forbidden(r, "not yet ready to handle request");
	if (rc < 0 || n == 0)
		return NULL;
	struct hook_run *h = ARENA_NEW(r->a, struct hook_run);
	if (!h) {
		*ret = request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
		return NULL;
	}
	*h = (struct hook_run){.r = r, .hooks = hooks, .n = n};
	r->stage_state = h;
	return h;
}

/* ---- results --------------------------------------------------------------------------------------- */

static enum step
fail_timeout(struct request *r, const char *more)
{
	return request_fail(
		r, R_TIMEOUT, "Timeout: request did not complete within requested timeout%s", more);
}

static enum step
fail_internal(struct request *r, struct str why)
{
	struct doc *causes = doc_list(r->a), *c = doc_map(r->a);
	if (causes && c) {
		doc_set_str(r->a, c, STR("message"), why);
		doc_append(causes, c);
	}
	return request_fail_status(r,
		&(struct status_spec){.http = 500,
			.reason = R_INTERNAL_ERROR,
			.causes = causes,
			.message = arena_fmt(
				r->a, "Internal error occurred: " STR_FMT, STR_ARG(why))});
}

/* judge: NEXT: go on; the answer (if there is one) allows it. */
static enum step
judge(struct request *r, const struct hook_call *c)
{
	const struct hook *h = c->h;
	bool late = hook_deadline_ns(r) <= loop_now_ns(r->loop);
	int http = 0;
	if (c->result == HOOK_NO_DRYRUN)
		return request_fail(r, R_BAD_REQUEST,
			"admission webhook \"" STR_FMT "\" does not support dry run",
			STR_ARG(h->name));
	if (c->result == HOOK_FAILED && late)
		return fail_timeout(r, " - context deadline exceeded");
	if (c->result == HOOK_FAILED && h->ignore_failure)
		return STEP_NEXT;
	if (c->result == HOOK_FAILED)
		return fail_internal(r,
			arena_fmt(r->a, "failed calling webhook \"" STR_FMT "\": " STR_FMT,
				STR_ARG(h->name), STR_ARG(c->why)));
	for (size_t i = 0; i < c->answer.n_warnings; i++)
		request_warn(r, STR_FMT, STR_ARG(c->answer.warnings[i]));
	if (c->answer.allowed)
		return STEP_NEXT;
	struct doc *status = hook_refusal(r->a, h->name, c->answer.status, &http);
	if (!status)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	return request_fail_doc(r, http, status);
}

/* on_condition: do the webhook's matchConditions hold? REPLY: it cannot be told, and that refuses. */
static enum step
on_condition(struct request *r, const struct hook *h, const struct hook_view *v, bool *ret)
{
	struct str why = STR("");
	if (!h->conditions)
		return STEP_NEXT;
	int rc = policy_conditions(r, h->conditions, v, NULL, &why);
	*ret = rc > 0;
	if (rc == -ENOMEM)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	if (rc < 0 && !h->ignore_failure)
		return request_fail_forbidden(r, STR_FMT, STR_ARG(why));
	return STEP_NEXT;
}

/* ---- mutating -------------------------------------------------------------------------------------- */

static enum step
patch_failed(struct request *r, const char *why)
{
	return fail_internal(r, arena_str(r->a, str_c(why)));
}

/* patched: the object behind the patch, in the form the webhook saw. */
static enum step
patched(struct request *r, const struct hook *h, const struct hook_view *v, struct str text,
	struct doc **ret)
{
	struct doc *patch = NULL, *out = NULL;
	struct err e = {0};
	if (doc_parse_json(r->a, text, NULL, &patch, &e) < 0 || patch->type != DOC_LIST) {
		struct str why = arena_fmt(r->a,
			"failed calling webhook \"" STR_FMT
			"\": received undecodable patch in webhook response: %s",
			STR_ARG(h->name), e.code ? e.msg : "it is no list");
		return h->ignore_failure ? STEP_NEXT : fail_internal(r, why);
	}
	if (doc_len(patch) == 0)
		return STEP_NEXT;
	if (!v->obj || (r->sub && r->sub->connect))
		return fail_internal(r,
			arena_fmt(r->a,
				"admission webhook \"" STR_FMT
				"\" attempted to modify the object, which is not supported for this "
				"operation",
				STR_ARG(h->name)));
	if (schema_patch_json(r->a, v->obj, patch, &out, &e) < 0)
		return patch_failed(r, e.msg);
	if (out->type != DOC_MAP)
		return patch_failed(r, "the patch does not leave an object");
	if (schema_conform(r->a, v->type, out, NULL, &e) < 0)
		return patch_failed(r, e.msg);
	doc_set_str(r->a, out, STR("kind"), v->kind);
	doc_set_str(r->a, out, STR("apiVersion"), doc_get_str(v->obj, STR("apiVersion")));
	if (schema_default(r->a, v->type, out) < 0 || schema_order(r->a, v->type, out) < 0)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	*ret = out;
	return STEP_NEXT;
}

static enum step
mutating_take(struct hook_run *h)
{
	struct request *r = h->r;
	struct hook_call *c = h->call;
	struct hook_memory *m = hook_memory(r);
	struct doc *out = NULL;
	h->call = NULL;
	if (!m)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	enum step st = judge(r, c);
	if (st == STEP_NEXT && c->result == HOOK_ANSWERED && c->answer.patch.n)
		st = patched(r, c->h, &h->view, c->answer.patch, &out);
	if (st != STEP_NEXT)
		return st;
	if (out && !doc_equal(h->view.obj, out)) {
		hook_turns_changed(r, &m->webhooks);
		st = hook_put_back(r, &h->view, out);
	}
	if (c->h->may_reinvoke)
		hook_turn_taken(r, &m->webhooks, c->h->id);
	return st;
}

static void
mutating_done(struct hook_call *c)
{
	struct hook_run *h = c->arg;
	run_over(h);
	request_resume(h->r, true);
}

/* mutating_next: asks the webhook at h->at, if it is to be asked. */
static enum step
mutating_next(struct hook_run *h)
{
	struct request *r = h->r;
	struct hook *hook = h->hooks[h->at++];
	struct hook_memory *m = r->hooks;
	const struct api_resource *res = hook_wanted(r, &hook->scope);
	struct hook_view own;
	bool yes = false;
	enum step st = res ? hook_view(r, &own) : STEP_NEXT;
	if (res && st == STEP_NEXT)
		st = hook_selects(r, &hook->scope, &own, &yes);
	if (yes && hook_view_as(r, &own, res, &h->view) < 0)
		st = request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	if (st == STEP_NEXT && yes)
		st = on_condition(r, hook, &h->view, &yes);
	if (st != STEP_NEXT || !yes)
		return st;
	if (m && !hook_turn_due(r, &m->webhooks, hook->id))
		return STEP_NEXT;
	h->call = call_new(h, hook, true, mutating_done);
	if (!h->call)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	hook_call_start(h->call, &h->view);
	return h->call->over ? mutating_take(h) : run_wait(h);
}

enum step
admit_mutating_webhooks(struct request *r)
{
	struct hook_run *h = r->stage_state;
	enum step st = STEP_NEXT;
	if (!h) {
		h = run_new(r, true, &st);
		if (!h)
			return st;
		if (r->hooks)
			hook_turns_begin(r, &r->hooks->webhooks);
	}
	if (h->gone)
		return fail_timeout(r, " - context canceled");
	if (h->call)
		st = mutating_take(h);
	while (st == STEP_NEXT && h->at < h->n)
		st = mutating_next(h);
	if (st == STEP_NEXT && r->hooks)
		hook_turns_end(r, &r->hooks->webhooks);
	return st;
}

/* ---- validating ------------------------------------------------------------------------------------ */

static void
validating_done(struct hook_call *c)
{
	struct hook_run *h = c->arg;
	if (--h->running)
		return;
	run_over(h);
	request_resume(h->r, true);
}

static enum step
validating_choose(struct hook_run *h)
{
	struct request *r = h->r;
	struct hook_view own = {0};
	enum step st = STEP_NEXT;
	for (size_t i = 0; st == STEP_NEXT && i < h->n; i++) {
		struct hook *hook = h->hooks[i];
		const struct api_resource *res = hook_wanted(r, &hook->scope);
		struct hook_view v;
		bool yes = false;
		if (res && !own.res)
			st = hook_view(r, &own);
		if (res && st == STEP_NEXT)
			st = hook_selects(r, &hook->scope, &own, &yes);
		if (yes && hook_view_as(r, &own, res, &v) < 0)
			st = request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
		if (st == STEP_NEXT && yes)
			st = on_condition(r, hook, &v, &yes);
		if (st != STEP_NEXT || !yes)
			continue;
		struct hook_call *c = call_new(h, hook, false, validating_done);
		struct hook_call **slot = c ? ARENA_PUSH(r->a, h->calls, h->n_calls) : NULL;
		if (!slot)
			return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
		*slot = c;
		c->view = v;
	}
	return st;
}

static enum step
validating_judge(struct hook_run *h)
{
	enum step st = STEP_NEXT;
	for (size_t i = 0; st == STEP_NEXT && i < h->n_calls; i++)
		st = judge(h->r, h->calls[i]);
	return st;
}

enum step
admit_validating_webhooks(struct request *r)
{
	struct hook_run *h = r->stage_state;
	enum step st = STEP_NEXT;
	if (h && h->gone)
		return fail_timeout(r, " - context canceled");
	if (h)
		return validating_judge(h);
	h = run_new(r, false, &st);
	if (!h)
		return st;
	st = validating_choose(h);
	if (st != STEP_NEXT || h->n_calls == 0)
		return st;
	if (hook_deadline_ns(r) <= loop_now_ns(r->loop))
		return fail_timeout(r, "");
	for (size_t i = 0; i < h->n_calls; i++) {
		hook_call_start(h->calls[i], &h->calls[i]->view);
		h->running += !h->calls[i]->over;
	}
	return h->running ? run_wait(h) : validating_judge(h);
}
