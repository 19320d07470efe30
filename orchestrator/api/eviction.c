/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * eviction: evicting a pod within its disruption budget: a deletion that spends one disruption of the budget in the same
 * transaction. A conflict of either starts it over with what is there then.
 *
 * Source: Kubernetes API: policy/v1 Eviction and PodDisruptionBudget;
 * k8s.io/kubernetes pkg/registry/core/pod/storage (eviction.go). */
#include "orchestrator/api/api_int.h"

#define DISRUPTED_MAX 2000

struct budgets {
	struct request *r;
	const struct doc *pod;
	struct doc *list[2];
	size_t n;
};

static bool
budget_matches(void *arg, struct doc *pdb)
{
	struct budgets *b = arg;
	const struct doc *sel = doc_get(doc_get(pdb, STR("spec")), STR("selector"));
	struct selector s = {0};
	/* policy/v1: an empty selector matches every pod of the namespace */
	if (selector_from_doc(b->r->a, sel, &s) < 0 ||
		!selector_match_doc(&s, doc_get(meta_of(b->pod), STR("labels"))))
		return true;
	if (b->n < 2)
		b->list[b->n] = pdb;
	b->n++;
	return true;
}

static bool
pod_ready(const struct doc *pod)
{
	DOC_EACH (c, doc_get(doc_get(pod, STR("status")), STR("conditions")))
		if (str_eq(doc_get_str(c, STR("type")), STR("Ready")))
			return str_eq(doc_get_str(c, STR("status")), STR("True"));
	return false;
}

/* Pods that disturb nothing when they go: done, not started, already going. */
static bool
free_to_go(const struct doc *pod)
{
	struct str phase = doc_get_str(doc_get(pod, STR("status")), STR("phase"));
	return str_eq(phase, STR("Succeeded")) || str_eq(phase, STR("Failed")) ||
		str_eq(phase, STR("Pending")) ||
		doc_get_str(meta_of(pod), STR("deletionTimestamp")).n != 0;
}

#define VIOLATES "Cannot evict pod as it would violate the pod's disruption budget."

/* refuse: the budget says no, and the cause why. */
static enum step
refuse(struct request *r, struct status_spec st, struct str why)
{
	struct doc *causes = doc_list(r->a), *c = doc_map(r->a);
	if (causes && c) {
		doc_set_str(r->a, c, STR("reason"), STR("DisruptionBudget"));
		doc_set_str(r->a, c, STR("message"), why);
		doc_append(causes, c);
	}
	st.causes = causes;
	return request_fail_status(r, &st);
}

static enum step
too_many(struct request *r, int retry_s, struct str why)
{
	return refuse(r,
		(struct status_spec){.http = 429,
			.reason = R_TOO_MANY_REQUESTS,
			.message = STR(VIOLATES),
			.retry_s = retry_s},
		why);
}

/* forbidden: text: of the message; why: of the cause. */
static enum step
forbidden(struct request *r, struct str budget, const char *text, const char *why)
{
	return refuse(r,
		(struct status_spec){.http = 403,
			.reason = R_FORBIDDEN,
			.name = budget,
			.group = STR("policy"),
			.kind = STR("poddisruptionbudget"),
			.message = arena_fmt(r->a,
				"poddisruptionbudget.policy \"" STR_FMT "\" is forbidden: %s",
				STR_ARG(budget), text)},
		arena_fmt(r->a,
			"The disruption budget " STR_FMT
			" does not allow evicting pods currently: %s",
			STR_ARG(budget), why));
}

static struct doc *
allowed_condition(const struct doc *status)
{
	DOC_EACH (c, doc_get(status, STR("conditions")))
		if (str_eq(doc_get_str(c, STR("type")), STR("DisruptionAllowed")))
			return c;
	return NULL;
}

/* nothing_left: why a budget allows no disruption. */
static enum step
nothing_left(struct request *r, struct str name, const struct doc *status)
{
	const struct doc *c = allowed_condition(status);
	struct str reason = doc_get_str(c, STR("reason")), text = doc_get_str(c, STR("message"));
	int64_t wanted = doc_get_int(status, STR("desiredHealthy"), 0);
	int64_t healthy = doc_get_int(status, STR("currentHealthy"), 0);
	bool said = str_eq(doc_get_str(c, STR("status")), STR("False")) && text.n;
	struct str head = arena_fmt(r->a, "The disruption budget " STR_FMT, STR_ARG(name));
	if (said && str_eq(reason, STR("SyncFailed")))
		return too_many(r, 0,
			arena_fmt(r->a,
				STR_FMT " does not allow evicting pods currently because it failed "
					"sync: " STR_FMT,
				STR_ARG(head), STR_ARG(text)));
	if (healthy <= wanted)
		return too_many(r, 0,
			arena_fmt(r->a, STR_FMT " needs %d healthy pods and has %d currently",
				STR_ARG(head), (int)wanted, (int)healthy));
	return too_many(r, 0,
		said ? arena_fmt(r->a,
			       STR_FMT " does not allow evicting pods currently (" STR_FMT
				       "): " STR_FMT,
			       STR_ARG(head), STR_ARG(reason), STR_ARG(text))
		     : arena_fmt(r->a, STR_FMT " does not allow evicting pods currently",
			       STR_ARG(head)));
}

static void
set_now(struct request *r, struct doc *map, struct str key)
{
	char text[40];
	size_t n = rfc3339_format(r->wall_ns, 0, text);
	if (map)
		doc_set_str(r->a, map, key, arena_str(r->a, str_from(text, n)));
}

/* set_condition: of a list by type; when it says the same already its time stays. */
static struct doc *
set_condition(struct request *r, struct doc *status, struct str type, struct str value)
{
	struct doc *list = doc_ensure_list(r->a, status, STR("conditions")), *c = NULL;
	DOC_EACH (x, list)
		if (str_eq(doc_get_str(x, STR("type")), type))
			c = x;
	if (!c && list && (c = doc_map(r->a)) != NULL) {
		doc_set_str(r->a, c, STR("type"), type);
		doc_append(list, c);
	}
	if (c && !str_eq(doc_get_str(c, STR("status")), value)) {
		doc_set_str(r->a, c, STR("status"), value);
		set_now(r, c, STR("lastTransitionTime"));
	}
	return c;
}

static enum step
budget_spend(struct request *r, struct doc *pdb)
{
	struct doc *copy = doc_copy(r->a, pdb);
	struct doc *st = copy ? doc_ensure_map(r->a, copy, STR("status")) : NULL;
	const struct doc *meta = meta_of(pdb);
	struct str name = doc_get_str(meta, STR("name"));
	if (!st)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	int64_t seen = doc_get_int(st, STR("observedGeneration"), 0);
	if (seen < doc_get_int(meta, STR("generation"), 0))
		return too_many(r, 10,
			arena_fmt(r->a,
				"The disruption budget " STR_FMT
				" is still being processed by the server.",
				STR_ARG(name)));
	int64_t allowed = doc_get_int(st, STR("disruptionsAllowed"), 0);
	if (allowed < 0)
		return forbidden(r, name, "pdb disruptions allowed is negative",
			"pdb disruptions allowed is negative");
	struct doc *gone = doc_ensure_map(r->a, st, STR("disruptedPods"));
	if (doc_len(gone) > DISRUPTED_MAX)
		return forbidden(r, name,
			"DisruptedPods map too big - too many evictions not confirmed by PDB controller",
			"too many pending evictions not confirmed by PDB controller");
	if (allowed == 0)
		return nothing_left(r, name, st);
	doc_set_int(r->a, st, STR("disruptionsAllowed"), allowed - 1);
	struct doc *c = allowed == 1 ? set_condition(r, st, STR("DisruptionAllowed"), STR("False"))
				     : NULL;
	if (c) {
		doc_set_str(r->a, c, STR("reason"), STR("InsufficientPods"));
		doc_set_str(r->a, c, STR("message"), STR(""));
		doc_set_int(r->a, c, STR("observedGeneration"), seen);
	}
	set_now(r, gone, r->name);
	struct commit_part *p = request_part(r);
	if (p)
		*p = (struct commit_part){.group = STR("policy"),
			.resource = STR("poddisruptionbudgets"),
			.ns = r->ns,
			.name = name,
			.has_cond = true,
			.cond = STORE_REV_IS,
			.put = true,
			.obj = copy};
	if (p)
		str_to_u64(doc_get_str(meta, STR("resourceVersion")), &p->rev);
	return STEP_NEXT;
}

static enum step
budget_check(struct request *r, const struct doc *pod)
{
	struct budgets b = {.r = r, .pod = pod};
	if (free_to_go(pod))
		return STEP_NEXT;
	request_each(r, STR("policy"), STR("poddisruptionbudgets"), r->ns, budget_matches, &b);
	if (b.n == 0)
		return STEP_NEXT;
	if (b.n > 1)
		return request_fail_status(r,
			&(struct status_spec){.http = 500,
				.message = STR(
					"This pod has more than one PodDisruptionBudget, which "
					"the eviction subresource does not support."),
				.no_details = true});
	const struct doc *st = doc_get(b.list[0], STR("status"));
	struct str policy = doc_get_str(
		doc_get(b.list[0], STR("spec")), STR("unhealthyPodEvictionPolicy"));
	int64_t healthy = doc_get_int(st, STR("currentHealthy"), 0);
	bool enough = healthy >= doc_get_int(st, STR("desiredHealthy"), 0) &&
		doc_get_int(st, STR("desiredHealthy"), 0) > 0;
	if (!pod_ready(pod) && (str_eq(policy, STR("AlwaysAllow")) || enough))
		return STEP_NEXT;
	return budget_spend(r, b.list[0]);
}

static void
eviction_options(struct request *r, const struct doc *o)
{
	const struct doc *g = doc_get(o, STR("gracePeriodSeconds"));
	const struct doc *pre = doc_get(o, STR("preconditions"));
	if (g && g->type == DOC_INT)
		r->opt.grace_s = g->i;
	r->opt.propagation = doc_get_str(o, STR("propagationPolicy"));
	r->opt.precondition_uid = doc_get_str(pre, STR("uid"));
	r->opt.precondition_rv = doc_get_str(pre, STR("resourceVersion"));
	DOC_EACH (x, doc_get(o, STR("dryRun")))
		if (str_eq(doc_as_str(x), STR("All")))
			r->opt.dry_run = true;
}

/* say_why: the pod that is still there for a while says why it goes. */
static void
say_why(struct request *r)
{
	struct doc *st = doc_ensure_map(r->a, r->obj, STR("status"));
	struct doc *c = st ? set_condition(r, st, STR("DisruptionTarget"), STR("True")) : NULL;
	if (!c)
		return;
	doc_set_str(r->a, c, STR("reason"), STR("EvictionByEvictionAPI"));
	doc_set_str(r->a, c, STR("message"), STR("Eviction API: evicting"));
}

enum step
serve_eviction(struct request *r)
{
	struct str name = doc_get_str(meta_of(r->obj), STR("name"));
	if (name.n && !str_eq(name, r->name))
		return request_fail(
			r, R_BAD_REQUEST, "name in URL does not match name in Eviction object");
	struct doc *pod = NULL;
	int rc = object_read(r, r->res, r->ns, r->name, &pod, &r->old_rev);
	if (rc == -ENOENT)
		return request_fail_not_found(r, NULL, r->name);
	if (rc < 0)
		return request_fail_err(
			r, &(struct err){.code = rc, .msg = "reading the store failed"});
	eviction_options(r, doc_get(r->obj, STR("deleteOptions")));
	enum step st = budget_check(r, pod);
	if (st != STEP_NEXT)
		return st;
	r->old = pod;
	r->obj = NULL;
	r->reply_success = true;
	/* the rest is a deletion */
	st = stage_delete(r);
	if (st == STEP_NEXT && r->obj)
		say_why(r);
	if (st == STEP_NEXT)
		r->stage = STAGE_COMMIT - 1;
	return st;
}
