/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hook_admit: the admission plugins that ask webhooks. Mutating ones are asked one after the other, each sees what
 * those before it made of the object; validating ones all at once. A request waits for them without holding anything:
 * if what it read has changed meanwhile, its commit fails and it starts over, webhooks included.
 *
 * When a webhook changed the object the mutating plugins run once more, and with them those webhooks that were
 * asked before the change and want to be asked again (reinvocationPolicy IfNeeded).
 *
 * A webhook that wants a custom resource in another version than the request's is shown it as the definition's own
 * webhook converts it, and what it makes of it comes back by the same way.
 * Invariant: what the server owns of an object is the server's again after each patch (meta_again).
 * Source: k8s.io/apiserver admission/plugin/webhook/{mutating,validating} (dispatcher), admission/reinvocation. */
#include "orchestrator/api/convert.h"
#include "orchestrator/api/policy_int.h"

/* A plugin's turn. */
struct hook_run {
	struct stream stream;
	struct request *r;
	struct hook **hooks;
	size_t n, at;
	struct hook_call *call;             /* mutating: the one under way, or just answered */
	struct hook_view view;              /* of that call */
	struct hook_call **calls;           /* validating: all */
	const struct api_resource **wanted; /* in whose form they are asked */
	size_t n_calls, running;
	bool gone;
	/* an object on its way to another version, or back */
	struct conversion *conversion;
	struct convert_item items[2];
	bool back;
	struct hook *hook;             /* who is asked then */
	const struct api_resource *as; /* in whose form */
	struct hook_view own;
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
	if (h->conversion)
		conversion_cancel(h->conversion);
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

/* ---- other versions -------------------------------------------------------------------------------- */

static void
run_converted(struct conversion *c)
{
	struct hook_run *h = c->arg;
	run_over(h);
	request_resume(h->r, true);
}

/* run_convert: the first n items. WAIT: the plugin is called again. */
static enum step
run_convert(struct hook_run *h, const struct api_resource *to, size_t n)
{
	struct conversion *c = ARENA_NEW(h->r->a, struct conversion);
	if (!c)
		return request_fail(h->r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	*c = (struct conversion){.a = h->r->a,
		.r = h->r,
		.to = to,
		.items = h->items,
		.n = n,
		.done = run_converted,
		.arg = h};
	h->conversion = c;
	conversion_start(c);
	return c->over ? STEP_NEXT : run_wait(h);
}

/* run_convert_take: the items are converted. REPLY: they could not be. */
static enum step
run_convert_take(struct hook_run *h)
{
	struct str error = h->conversion->error;
	h->conversion = NULL;
	return str_is_set(error) ? fail_internal(h->r, error) : STEP_NEXT;
}

/* Does a webhook of the definition lie between the request and what is seen of it? */
static bool
view_converts(const struct request *r, const struct api_resource *as)
{
	return as != r->res && convert_hooked(as) &&
		!(r->sub && str_eq(r->sub->name, STR("scale")));
}

/* view_ask: what is seen of the request in another version is being made. NEXT: view_take has it. */
static enum step
view_ask(struct hook_run *h, const struct api_resource *as)
{
	const struct hook_view *own = &h->own;
	size_t n = 0;
	h->as = as;
	if (!view_converts(h->r, as))
		return STEP_NEXT;
	if (own->obj)
		h->items[n++] = (struct convert_item){own->res, own->obj};
	if (own->old)
		h->items[n++] = (struct convert_item){own->res, doc_copy(h->r->a, own->old)};
	if (arena_failed(h->r->a))
		return request_fail(h->r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	return run_convert(h, as, n);
}

static enum step
view_take(struct hook_run *h, struct hook_view *ret)
{
	const struct api_resource *as = h->as;
	size_t n = 0;
	if (!h->conversion)
		return hook_view_as(h->r, &h->own, as, ret) < 0
			? request_fail(h->r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory")
			: STEP_NEXT;
	enum step st = run_convert_take(h);
	if (st != STEP_NEXT)
		return st;
	*ret = (struct hook_view){.res = as,
		.type = as->kind->type,
		.group = as->group,
		.version = as->version,
		.kind = str_c(as->kind->kind)};
	if (h->own.obj)
		ret->obj = h->items[n++].doc;
	if (h->own.old)
		ret->old = h->items[n].doc;
	return STEP_NEXT;
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
put_back_converted(struct hook_run *h)
{
	struct request *r = h->r;
	struct doc *before = r->obj;
	enum step st = run_convert_take(h);
	h->back = false;
	if (st != STEP_NEXT)
		return st;
	r->obj = h->items[0].doc;
	return meta_again(r, before);
}

static enum step
mutating_take(struct hook_run *h)
{
	struct request *r = h->r;
	struct hook_call *c = h->call;
	struct hook_memory *m = hook_memory(r);
	const struct api_resource *as = h->view.res;
	struct doc *out = NULL;
	h->call = NULL;
	if (!m)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	enum step st = judge(r, c);
	if (st == STEP_NEXT && c->result == HOOK_ANSWERED && c->answer.patch.n)
		st = patched(r, c->h, &h->view, c->answer.patch, &out);
	if (st != STEP_NEXT)
		return st;
	bool changed = out && !doc_equal(h->view.obj, out);
	if (changed)
		hook_turns_changed(r, &m->webhooks);
	if (c->h->may_reinvoke)
		hook_turn_taken(r, &m->webhooks, c->h->id);
	if (!changed)
		return STEP_NEXT;
	if (!view_converts(r, as))
		return hook_put_back(r, &h->view, out);
	h->items[0] = (struct convert_item){as, out};
	h->back = true;
	st = run_convert(h, r->res, 1);
	return st == STEP_NEXT ? put_back_converted(h) : st;
}

static void
mutating_done(struct hook_call *c)
{
	struct hook_run *h = c->arg;
	run_over(h);
	request_resume(h->r, true);
}

/* mutating_ask: the webhook at hand, with what it sees. */
static enum step
mutating_ask(struct hook_run *h)
{
	bool yes = true;
	enum step st = view_take(h, &h->view);
	if (st == STEP_NEXT)
		st = on_condition(h->r, h->hook, &h->view, &yes);
	if (st != STEP_NEXT || !yes)
		return st;
	h->call = call_new(h, h->hook, true, mutating_done);
	if (!h->call)
		return request_fail(h->r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	hook_call_start(h->call, &h->view);
	return h->call->over ? mutating_take(h) : run_wait(h);
}

/* mutating_next: asks the webhook at h->at, if it is to be asked. */
static enum step
mutating_next(struct hook_run *h)
{
	struct request *r = h->r;
	struct hook *hook = h->hooks[h->at++];
	struct hook_memory *m = r->hooks;
	const struct api_resource *res = hook_wanted(r, &hook->scope);
	bool yes = false;
	enum step st = res ? hook_view(r, &h->own) : STEP_NEXT;
	if (res && st == STEP_NEXT)
		st = hook_selects(r, &hook->scope, &h->own, &yes);
	if (st != STEP_NEXT || !yes)
		return st;
	if (m && !hook_turn_due(r, &m->webhooks, hook->id))
		return STEP_NEXT;
	h->hook = hook;
	st = view_ask(h, res);
	return st == STEP_NEXT ? mutating_ask(h) : st;
}

/* mutating_resume: what was waited for is here. */
static enum step
mutating_resume(struct hook_run *h)
{
	if (h->conversion && h->back)
		return put_back_converted(h);
	if (h->conversion)
		return mutating_ask(h);
	return h->call ? mutating_take(h) : STEP_NEXT;
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
	st = mutating_resume(h);
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
	enum step st = STEP_NEXT;
	for (size_t i = 0; st == STEP_NEXT && i < h->n; i++) {
		struct hook *hook = h->hooks[i];
		const struct api_resource *res = hook_wanted(r, &hook->scope);
		size_t n = h->n_calls;
		bool yes = false;
		if (res && !h->own.res)
			st = hook_view(r, &h->own);
		if (res && st == STEP_NEXT)
			st = hook_selects(r, &hook->scope, &h->own, &yes);
		if (st != STEP_NEXT || !yes)
			continue;
		struct hook_call *c = call_new(h, hook, false, validating_done);
		struct hook_call **slot = c ? ARENA_PUSH(r->a, h->calls, h->n_calls) : NULL;
		const struct api_resource **want = slot ? ARENA_PUSH(r->a, h->wanted, n) : NULL;
		if (!want)
			return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
		*slot = c;
		*want = res;
	}
	h->at = 0;
	return st;
}

/* What each of them sees; one conversion serves all who want the same. */
static enum step
validating_views(struct hook_run *h)
{
	enum step st = STEP_NEXT;
	for (; st == STEP_NEXT && h->at < h->n_calls; h->at++) {
		struct hook_view v = {0};
		const struct api_resource *res = h->wanted[h->at];
		if (h->calls[h->at]->view.res)
			continue;
		st = h->conversion ? STEP_NEXT : view_ask(h, res);
		if (st != STEP_NEXT)
			return st;
		st = view_take(h, &v);
		for (size_t i = h->at; st == STEP_NEXT && i < h->n_calls; i++)
			if (h->wanted[i] == res)
				h->calls[i]->view = v;
	}
	return st;
}

/* validating_narrow: those whose matchConditions do not hold are not asked. */
static enum step
validating_narrow(struct hook_run *h)
{
	size_t kept = 0;
	for (size_t i = 0; i < h->n_calls; i++) {
		struct hook_call *c = h->calls[i];
		bool yes = true;
		enum step st = on_condition(h->r, c->h, &c->view, &yes);
		if (st != STEP_NEXT)
			return st;
		if (yes)
			h->calls[kept++] = c;
	}
	h->n_calls = kept;
	return STEP_NEXT;
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
	if (h && !h->conversion)
		return validating_judge(h);
	if (!h) {
		h = run_new(r, false, &st);
		if (!h)
			return st;
		st = validating_choose(h);
	}
	if (st == STEP_NEXT)
		st = validating_views(h);
	if (st == STEP_NEXT)
		st = validating_narrow(h);
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
