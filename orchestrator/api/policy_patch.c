/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * policy_patch: one mutation of a policy: its expression gives a JSON patch, or a configuration that is merged as
 * server-side apply merges (and owns nothing).
 *
 * Invariants: the view's object stays as it is; what comes of it is of its type and has its defaults. An atomic list,
 * map or struct cannot be part of a configuration: it would take away what it does not name.
 * Source: k8s.io/apiserver pkg/admission/plugin/policy/mutating/{dispatcher.go,patch}. */
#include "orchestrator/api/policy_int.h"
#include "orchestrator/fields/fields.h"

struct patch {
	struct request *r;
	const struct hook_view *v;
	struct doc *value; /* of the expression */
	struct str *why;
};

static int
fail(struct patch *p, const char *before, const char *why)
{
	*p->why = arena_fmt(p->r->a, "%s%s", before, why);
	return arena_failed(p->r->a) ? -ENOMEM : -EINVAL;
}

/* whole: out as an object of the view's type; -EBADMSG: it is none. */
static int
whole(struct patch *p, struct doc *out, struct doc **ret)
{
	struct arena *a = p->r->a;
	struct schema_strict strict = {0};
	struct err e = {0};
	const char *why = NULL;
	if (out->type != DOC_MAP)
		why = "the patch does not leave an object";
	else if (schema_conform(a, p->v->type, out, &strict, &e) < 0)
		why = e.msg;
	else if (strict.n)
		why = arena_fmt(a, "strict decoding error: " STR_FMT,
			STR_ARG(schema_strict_join(a, &strict)))
			      .p;
	if (why) {
		fail(p, "Internal error occurred: ", why);
		return -EBADMSG;
	}
	doc_set_str(a, out, STR("kind"), p->v->kind);
	doc_set_str(a, out, STR("apiVersion"), doc_get_str(p->v->obj, STR("apiVersion")));
	if (schema_default(a, p->v->type, out) < 0 || schema_order(a, p->v->type, out) < 0)
		return -ENOMEM;
	*ret = out;
	return 1;
}

/* ---- a JSON patch ---------------------------------------------------------------------------------- */

/* A patch whose test fails leaves the object as it is. */
static int
patch_json(struct patch *p, struct doc **ret)
{
	struct err e = {0};
	struct doc *out = NULL;
	if (doc_len(p->value) == 0)
		return 0;
	int rc = schema_patch_json(p->r->a, p->v->obj, p->value, &out, &e);
	if (rc == -ENOMEM)
		return rc;
	if (rc < 0 && str_ends(str_c(e.msg), STR(" failed: test failed")))
		return 0;
	if (rc < 0)
		return fail(p, "JSON Patch: ", e.msg);
	return whole(p, out, ret);
}

/* ---- a configuration ------------------------------------------------------------------------------- */

static int
patch_apply(struct patch *p, struct doc **ret)
{
	static const char no[] = "error applying patch: ";
	struct arena *a = p->r->a;
	struct str why = STR("");
	doc_set_str(a, p->value, STR("kind"), p->v->kind);
	doc_set_str(a, p->value, STR("apiVersion"), doc_get_str(p->v->obj, STR("apiVersion")));
	if (fields_check(a, p->v->type, p->value, &why) < 0)
		return fail(p, no,
			arena_fmt(a, "failed to convert patch object to typed object: " STR_FMT,
				STR_ARG(why))
				.p);
	why = fields_atomic(a, p->v->type, p->value);
	if (why.n)
		return fail(p, no,
			arena_fmt(a,
				"invalid ApplyConfiguration: may not mutate atomic arrays, maps or "
				"structs: " STR_FMT,
				STR_ARG(why))
				.p);
	/* who set which fields is no part of it */
	struct doc *live = doc_lend(a, p->v->obj), *managed;
	managed = doc_get(meta_of(live), STR("managedFields"));
	if (managed)
		doc_remove(meta_of(live), managed);
	struct doc *out = live ? fields_merge(a, p->v->type, live, p->value) : NULL;
	if (out && managed && meta_of(out))
		doc_set(meta_of(out), STR("managedFields"), managed);
	return out ? whole(p, out, ret) : -ENOMEM;
}

/* ---- the expression -------------------------------------------------------------------------------- */

/* result: the expression's value as a document of the request's arena. */
static int
result(struct patch *p, struct policy_world *w, const struct policy_expr *x)
{
	struct arena *a = policy_world_arena(w);
	struct cel_value v;
	struct doc *d = NULL;
	struct err e = {0};
	int rc = policy_eval(w, x, &v, p->why);
	if (rc == 0 || rc == -EDQUOT)
		return -EINVAL;
	if (rc < 0)
		return rc;
	if (cel_check_patch(a, &v, &e) < 0)
		return fail(p, "type mismatch: ", e.msg);
	rc = cel_to_doc(a, &v, &d, &e);
	if (rc == -EINVAL || rc == -E2BIG)
		return fail(p, "", e.msg);
	p->value = rc == 0 ? doc_copy(p->r->a, d) : NULL;
	return p->value ? 0 : -ENOMEM;
}

int
policy_patch(struct request *r, const struct policy_turn *t, size_t i, const struct hook_view *v,
	struct doc **ret, struct str *why)
{
	const struct policy_code *c = t->policy->code;
	const struct policy_expr *x = &c->mutations.v[i];
	struct patch p = {.r = r, .v = v, .why = why};
	if (!x->program) {
		*why = x->why;
		return -EINVAL;
	}
	struct policy_world *w = policy_world_new(r, c, v, t->as, t->params, CEL_COST_PER_REQUEST);
	int rc = w ? result(&p, w, x) : -ENOMEM;
	policy_world_free(w);
	if (rc < 0)
		return rc;
	return str_eq(x->name, STR("JSONPatch")) ? patch_json(&p, ret) : patch_apply(&p, ret);
}
