/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pod_subs: binding a pod to a node, and evicting one within its disruption budgets. Both change the pod
 * by the common commit stage; a conflict starts them over with what is there then.
 *
 * Source: Kubernetes API: Binding; policy/v1 Eviction and PodDisruptionBudget;
 * k8s.io/kubernetes pkg/registry/core/pod/storage (storage.go, eviction.go). */
#include "orchestrator/api/api_int.h"

/* ---- binding --------------------------------------------------------------------------------------- */

static void
merge_strings(struct request *r, struct doc *meta, const struct doc *from, struct str key)
{
	const struct doc *add = doc_get(meta_of(from), key);
	if (doc_len(add) == 0)
		return;
	struct doc *to = doc_ensure_map(r->a, meta, key);
	DOC_EACH (x, add)
		if (to)
			doc_set_str(r->a, to, x->key, doc_as_str(x));
}

static void
pod_scheduled(struct request *r, struct doc *pod)
{
	struct doc *status = doc_ensure_map(r->a, pod, STR("status"));
	struct doc *list = status ? doc_ensure_list(r->a, status, STR("conditions")) : NULL;
	if (!list)
		return;
	struct doc *c = NULL;
	DOC_EACH (x, list)
		if (str_eq(doc_get_str(x, STR("type")), STR("PodScheduled")))
			c = x;
	if (!c && (c = doc_map(r->a)) != NULL) {
		doc_set_str(r->a, c, STR("type"), STR("PodScheduled"));
		doc_append(list, c);
	}
	if (!c)
		return;
	char text[40];
	size_t n = rfc3339_format(r->wall_ns, 0, text);
	doc_set_str(r->a, c, STR("status"), STR("True"));
	doc_set_str(r->a, c, STR("lastTransitionTime"), arena_str(r->a, str_from(text, n)));
	doc_set(c, STR("reason"), NULL);
	doc_set(c, STR("message"), NULL);
	doc_set(c, STR("observedGeneration"), NULL);
	doc_set(status, STR("nominatedNodeName"), NULL); /* it is over */
}

static enum step
bind_refused(struct request *r, const char *why)
{
	return request_fail_conflict(r, r->name, why);
}

static enum step
bind_check(struct request *r, const struct doc *binding, const struct doc *pod, struct str node)
{
	struct str kind = doc_get_str(doc_get(binding, STR("target")), STR("kind"));
	const struct doc *spec = doc_get(pod, STR("spec"));
	struct str uid = doc_get_str(meta_of(binding), STR("uid"));
	if (kind.n && !str_eq(kind, STR("Node")))
		schema_err_unsupported(&r->causes, STR("target.kind"), kind,
			(const char *const[]){"Node", "<empty>", NULL});
	if (node.n == 0)
		schema_err_required(&r->causes, STR("target.name"), NULL);
	if (r->causes.n)
		return request_fail_invalid(r);
	if (uid.n && !str_eq(uid, doc_get_str(meta_of(pod), STR("uid"))))
		return bind_refused(r,
			arena_cstr(r->a,
				arena_fmt(r->a,
					"Precondition failed: UID in precondition: " STR_FMT
					", UID in object meta: " STR_FMT,
					STR_ARG(uid),
					STR_ARG(doc_get_str(meta_of(pod), STR("uid"))))));
	if (doc_get_str(meta_of(pod), STR("deletionTimestamp")).n)
		return bind_refused(r,
			arena_cstr(r->a,
				arena_fmt(r->a,
					"pod " STR_FMT
					" is being deleted, cannot be assigned to a host",
					STR_ARG(r->name))));
	struct str now = doc_get_str(spec, STR("nodeName"));
	if (now.n)
		return bind_refused(r,
			arena_cstr(r->a,
				arena_fmt(r->a,
					"pod " STR_FMT " is already assigned to node \"" STR_FMT
					"\"",
					STR_ARG(r->name), STR_ARG(now))));
	if (doc_len(doc_get(spec, STR("schedulingGates"))))
		return bind_refused(r,
			arena_cstr(r->a,
				arena_fmt(r->a,
					"pod " STR_FMT " has non-empty .spec.schedulingGates",
					STR_ARG(r->name))));
	return STEP_NEXT;
}

enum step
serve_binding(struct request *r)
{
	const struct doc *binding = r->obj;
	if (!r->sub) { /* the old form: POST .../bindings; the commit is of the pod */
		r->name = doc_get_str(meta_of(binding), STR("name"));
		r->res = r->server->pods;
		r->sub = api_subresource_find(r->res, STR("binding"));
	}
	struct doc *pod = NULL;
	int rc = object_read(r, r->server->pods, r->ns, r->name, &pod, &r->old_rev);
	if (rc == -ENOENT)
		return request_fail_not_found(r, NULL, r->name);
	if (rc < 0)
		return request_fail_err(
			r, &(struct err){.code = rc, .msg = "reading the store failed"});
	struct str node = doc_get_str(doc_get(binding, STR("target")), STR("name"));
	enum step st = bind_check(r, binding, pod, node);
	if (st != STEP_NEXT)
		return st;
	r->old = pod;
	r->obj = doc_copy(r->a, pod);
	struct doc *spec = doc_ensure_map(r->a, r->obj, STR("spec"));
	struct doc *meta = doc_ensure_map(r->a, r->obj, STR("metadata"));
	if (!spec || !meta)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	doc_set_str(r->a, spec, STR("nodeName"), node);
	merge_strings(r, meta, binding, STR("annotations"));
	merge_strings(r, meta, binding, STR("labels"));
	pod_scheduled(r, r->obj);
	r->reply_success = true;
	r->stage = STAGE_COMMIT - 1;
	return STEP_NEXT;
}

/* ---- eviction -------------------------------------------------------------------------------------- */

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

static enum step
budget_refuses(struct request *r, const struct doc *pdb, const char *fmt_known)
{
	const struct doc *st = doc_get(pdb, STR("status"));
	struct doc *causes = doc_list(r->a), *c = doc_map(r->a);
	struct str name = doc_get_str(meta_of(pdb), STR("name"));
	struct str msg = fmt_known
		? str_c(fmt_known)
		: arena_fmt(r->a,
			  "The disruption budget " STR_FMT
			  " needs %d healthy pods and has %d currently",
			  STR_ARG(name), (int)doc_get_int(st, STR("desiredHealthy"), 0),
			  (int)doc_get_int(st, STR("currentHealthy"), 0));
	if (causes && c) {
		doc_set_str(r->a, c, STR("reason"), STR("DisruptionBudget"));
		doc_set_str(r->a, c, STR("message"), msg);
		doc_append(causes, c);
	}
	return request_fail_status(r,
		&(struct status_spec){.http = 429,
			.reason = R_TOO_MANY_REQUESTS,
			.causes = causes,
			.message = STR(
				"Cannot evict pod as it would violate the pod's disruption budget.")});
}

static enum step
budget_spend(struct request *r, struct doc *pdb)
{
	struct doc *copy = doc_copy(r->a, pdb);
	struct doc *st = copy ? doc_ensure_map(r->a, copy, STR("status")) : NULL;
	const struct doc *meta = meta_of(pdb);
	if (!st)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	int64_t seen = doc_get_int(st, STR("observedGeneration"), 0);
	if (seen < doc_get_int(meta, STR("generation"), 0))
		return request_fail_retry(r, R_TOO_MANY_REQUESTS, 10,
			"Cannot evict pod as it would violate the pod's disruption budget.");
	int64_t allowed = doc_get_int(st, STR("disruptionsAllowed"), 0);
	if (allowed < 0)
		return request_fail_forbidden(r, "pdb disruptions allowed is negative");
	if (allowed == 0)
		return budget_refuses(r, pdb, NULL);
	struct doc *gone = doc_ensure_map(r->a, st, STR("disruptedPods"));
	if (doc_len(gone) > 2000)
		return request_fail_forbidden(r,
			"DisruptedPods map too big - too many evictions not confirmed by PDB controller");
	doc_set_int(r->a, st, STR("disruptionsAllowed"), allowed - 1);
	char text[40];
	size_t n = rfc3339_format(r->wall_ns, 0, text);
	if (gone)
		doc_set_str(r->a, gone, r->name, arena_str(r->a, str_from(text, n)));
	uint64_t rev = 0;
	str_to_u64(doc_get_str(meta, STR("resourceVersion")), &rev);
	struct commit_part *p = request_part(r);
	if (p)
		*p = (struct commit_part){.group = STR("policy"),
			.resource = STR("poddisruptionbudgets"),
			.ns = r->ns,
			.name = doc_get_str(meta, STR("name")),
			.has_cond = true,
			.cond = STORE_REV_IS,
			.rev = rev,
			.put = true,
			.obj = copy};
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
		return request_fail(r, R_INTERNAL_ERROR,
			"This pod has more than one PodDisruptionBudget, which the eviction subresource "
			"does not support.");
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
	if (st == STEP_NEXT)
		r->stage = STAGE_COMMIT - 1;
	return st;
}
