/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hook_turns: what a request remembers of webhooks and policies that change objects, from one run of the mutating
 * plugins to the next: when one of them changed the object all plugins run once more, and with them those that were
 * asked before the change and want to be asked again (reinvocationPolicy IfNeeded).
 * Source: k8s.io/apiserver admission/reinvocation. */
#include "orchestrator/api/hook_int.h"

struct hook_memory *
hook_memory(struct request *r)
{
	if (!r->hooks)
		r->hooks = ARENA_NEW(r->a, struct hook_memory);
	return r->hooks;
}

bool
hooks_again(struct request *r)
{
	struct hook_memory *m = r->hooks;
	if (!m || m->second || !m->wanted)
		return false;
	m->second = true;
	return true;
}

static bool
in_list(const struct str *v, size_t n, struct str s)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(v[i], s))
			return true;
	return false;
}

/* Who was asked before is asked again. */
static void
again(struct request *r, struct hook_turns *t)
{
	for (size_t i = 0; i < t->n_asked; i++) {
		struct str *slot = in_list(t->again, t->n_again, t->asked[i])
			? NULL
			: ARENA_PUSH(r->a, t->again, t->n_again);
		if (slot)
			*slot = t->asked[i];
	}
	t->n_asked = 0;
}

void
hook_turns_begin(struct request *r, struct hook_turns *t)
{
	if (r->hooks->second && t->last && r->obj && !doc_equal(t->last, r->obj))
		again(r, t);
}

void
hook_turns_end(struct request *r, struct hook_turns *t)
{
	if (r->hooks->wanted && r->obj)
		t->last = doc_copy(r->a, r->obj);
}

bool
hook_turn_due(const struct request *r, const struct hook_turns *t, struct str id)
{
	return !r->hooks->second || in_list(t->again, t->n_again, id);
}

void
hook_turn_taken(struct request *r, struct hook_turns *t, struct str id)
{
	struct str *slot = ARENA_PUSH(r->a, t->asked, t->n_asked);
	if (slot)
		*slot = id;
}

void
hook_turns_changed(struct request *r, struct hook_turns *t)
{
	r->hooks->wanted = true;
	again(r, t);
}

enum step
hook_put_back(struct request *r, const struct hook_view *v, struct doc *out)
{
	struct doc *before = r->obj;
	bool scale = r->sub && str_eq(r->sub->name, STR("scale"));
	if (r->sub && !r->sub->main_object) {
		r->obj = out;
		return STEP_NEXT;
	}
	if (scale) {
		r->obj = doc_copy(r->a, before);
		if (r->obj)
			scale_apply(r, r->obj, out);
	} else {
		object_convert(r->a, v->res, out, true);
		schema_set_gvk(r->a, out, r->res->kind);
		object_convert(r->a, r->res, out, false);
		r->obj = out;
	}
	if (!r->obj || arena_failed(r->a))
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	return meta_again(r, before);
}
