/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * admission_quota: ResourceQuota: what an object would take must be left, and is charged in the transaction that makes
 * it: the quota's status is a part of it, on condition that nobody was charged since it was read. Who comes second
 * starts over with what is left then, as often as it takes: each time somebody else got through.
 *
 * What goes is given back by the controller (control/resourcequota.c), which counts anew.
 * Source: apiserver admission/plugin/resourcequota (controller: CheckRequest). */
#include "orchestrator/kinds/kinds_int.h"

#include "orchestrator/schema/quota.h"

#include <stdlib.h>

struct charge {
	struct request *r;
	struct quota_of of;
	struct resource_list now, before; /* what it takes, and took; before is empty on create */
	bool update, refused;
};

/* ---- which requests ---- */

/* ignored: they are many, and go by themselves. */
static bool
ignored(const struct request *r)
{
	struct str group = request_group(r), resource = request_resource(r);
	return !r->ns.n || (!group.n && str_eq_c(resource, "namespaces")) ||
		(str_eq_c(resource, "events") && (!group.n || str_eq_c(group, "events.k8s.io")));
}

/* claim_changes: what a claim has got, or by which attributes, is another than before. */
static bool
claim_changes(const struct request *r)
{
	static const char *const members[] = {
		"allocatedResources", "modifyVolumeStatus", "currentVolumeAttributesClassName"};
	const struct doc *now = doc_get(r->obj, S("status")), *was = doc_get(r->old, S("status"));
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (!doc_equal(doc_get(now, str_c(members[i])), doc_get(was, str_c(members[i]))))
			return true;
	return false;
}

static bool
handled(const struct request *r)
{
	struct str resource = request_resource(r), sub = request_subresource(r);
	bool core = !request_group(r).n, update = request_op(r) == ADMIT_UPDATE;
	if (core && str_eq_c(resource, "pods") && update)
		return str_eq_c(sub, "resize") ||
			(!sub.n && quota_has_deadline(r->obj) != quota_has_deadline(r->old));
	if (core && str_eq_c(resource, "persistentvolumeclaims") && update)
		return !sub.n || (str_eq_c(sub, "status") && claim_changes(r));
	if (core && str_eq_c(resource, "services") && update)
		return !sub.n;
	return !sub.n && !update;
}

/* ---- what must be said ---- */

static bool
says_for_whole_pod(const struct doc *spec)
{
	static const char *const members[] = {"requests", "limits"};
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		DOC_EACH (m, doc_get(doc_get(spec, S("resources")), str_c(members[i])))
			if (pod_sum_of_pod(m->key))
				return true;
	return false;
}

static int
by_text(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

/* silent_on: containers that say nothing of the resource, "a,b". */
static struct str
silent_on(struct request *r, struct str resource)
{
	static const char *const lists[] = {"containers", "initContainers"};
	const struct doc *spec = doc_get(r->obj, S("spec"));
	size_t max = doc_len(doc_get(spec, S("containers"))) +
		doc_len(doc_get(spec, S("initContainers")));
	struct str *names = ARENA_ARRAY(r->a, struct str, max + 1);
	size_t n = 0;
	struct buf b;
	for (size_t l = 0; names && l < ARRAY_LEN(lists); l++)
		DOC_EACH (c, doc_get(spec, str_c(lists[l]))) {
			struct resource_list requests = {.a = r->a}, limits = {.a = r->a};
			struct resource_list has = {.a = r->a};
			const struct doc *res = doc_get(c, S("resources"));
			resource_list_add_doc(&requests, doc_get(res, S("requests")));
			resource_list_add_doc(&limits, doc_get(res, S("limits")));
			quota_compute(&has, &requests, &limits);
			if (!resource_list_get(&has, resource))
				names[n++] = doc_get_str(c, S("name"));
		}
	if (n)
		qsort(names, n, sizeof(*names), by_text);
	buf_init_arena(&b, r->a);
	for (size_t i = 0; i < n; i++)
		buf_fmt(&b, "%s" STR_FMT, i ? "," : "", STR_ARG(names[i]));
	return buf_view(&b);
}

/* unsaid: what a quota of cpu or memory wants each container to say: "cpu for: a,b; memory for: a"; "" = all. */
static struct str
unsaid(struct request *r, const struct resource_list *hard)
{
	static const char *const wanted[] = {
		"cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"};
	struct buf b;
	buf_init_arena(&b, r->a);
	if (says_for_whole_pod(doc_get(r->obj, S("spec"))))
		return S("");
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		struct str who = resource_list_get(hard, str_c(wanted[i]))
			? silent_on(r, str_c(wanted[i]))
			: S("");
		if (who.n)
			buf_fmt(&b, "%s%s for: " STR_FMT, b.len ? "; " : "", wanted[i],
				STR_ARG(who));
	}
	return buf_view(&b);
}

/* ---- one quota ---- */

static void refuse(struct charge *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
refuse(struct charge *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str text = arena_vfmt(c->r->a, fmt, ap);
	va_end(ap);
	c->refused = true;
	request_fail_forbidden(c->r, STR_FMT, STR_ARG(text));
}

/* uncounted: names that the quota limits, of which it has not been counted yet what is used. */
static struct str
uncounted(const struct resource_list *hard, const struct resource_list *used)
{
	struct buf b;
	buf_init_arena(&b, hard->a);
	for (size_t i = 0; i < hard->n; i++)
		if (!resource_list_get(used, hard->v[i].name))
			buf_fmt(&b, "%s" STR_FMT, b.len ? "," : "", STR_ARG(hard->v[i].name));
	return buf_view(&b);
}

/* delta_of: how much more of what is limited it takes than before; what it took less is not given back here. */
static struct resource_list
delta_of(const struct charge *c, const struct resource_list *hard, bool had)
{
	struct resource_list delta = {.a = c->r->a};
	for (size_t i = 0; i < c->now.n; i++) {
		struct quantity q = c->now.v[i].q;
		const struct quantity *was = had ? resource_list_get(&c->before, c->now.v[i].name)
						 : NULL;
		if (was)
			quantity_sub(&q, was);
		if (resource_list_get(hard, c->now.v[i].name) && q.nano > 0)
			resource_list_set(&delta, c->now.v[i].name, q);
	}
	return delta;
}

/* overtaken: somebody else was charged meanwhile. That is progress: it does not count as an attempt. */
static enum step
overtaken(struct request *r, const struct commit_part *p)
{
	(void)p;
	r->attempts = 0;
	return STEP_NEXT;
}

static void
charge(struct charge *c, const struct doc *quota, const struct resource_list *used)
{
	struct request *r = c->r;
	struct doc *d = doc_copy(r->a, quota);
	struct doc *st = d ? doc_ensure_map(r->a, d, S("status")) : NULL;
	struct commit_part *p = st ? request_part(r) : NULL;
	if (!p)
		return;
	doc_set(st, S("used"), resource_list_doc(r->a, used));
	p->resource = S("resourcequotas");
	p->ns = r->ns;
	p->name = meta_str(quota, "name");
	p->has_cond = true;
	p->cond = STORE_REV_IS;
	str_to_u64(meta_str(quota, "resourceVersion"), &p->rev);
	p->put = true;
	p->obj = d;
	p->conflict = overtaken;
}

static bool
check_quota(void *arg, struct doc *quota)
{
	struct charge *c = arg;
	struct request *r = c->r;
	const struct doc *st = doc_get(quota, S("status")), *spec = doc_get(quota, S("spec"));
	struct resource_list all = {.a = r->a}, hard = {.a = r->a}, used = {.a = r->a};
	struct resource_list over = {.a = r->a};
	struct str name = meta_str(quota, "name");
	resource_list_add_doc(&all, doc_get(st, S("hard")));
	resource_list_add_doc(&used, doc_get(st, S("used")));
	for (size_t i = 0; i < all.n; i++)
		if (quota_counts(c->of, all.v[i].name))
			resource_list_set(&hard, all.v[i].name, all.v[i].q);
	if (!hard.n || !quota_matches(c->of, spec, r->obj))
		return true;
	struct str missing = str_eq_c(c->of.plural, "pods") && !c->of.group.n ? unsaid(r, &hard)
									      : S("");
	if (missing.n) {
		refuse(c, "failed quota: " STR_FMT ": must specify " STR_FMT, STR_ARG(name),
			STR_ARG(missing));
		return false;
	}
	struct str unknown = uncounted(&hard, &used);
	if (unknown.n) {
		refuse(c, "status unknown for quota: " STR_FMT ", resources: " STR_FMT,
			STR_ARG(name), STR_ARG(unknown));
		return false;
	}
	bool had = c->update && quota_matches(c->of, spec, r->old);
	struct resource_list delta = delta_of(c, &hard, had), was = {.a = r->a};
	if (!delta.n)
		return true;
	resource_list_add_list(&was, &used);
	resource_list_add_list(&used, &delta);
	for (size_t i = 0; i < delta.n; i++) {
		struct str k = delta.v[i].name;
		if (quantity_cmp(resource_list_get(&used, k), resource_list_get(&hard, k)) > 0)
			resource_list_set(&over, k, delta.v[i].q);
	}
	if (over.n && !str_eq_c(request_subresource(r), "status")) {
		refuse(c,
			"exceeded quota: " STR_FMT ", requested: " STR_FMT ", used: " STR_FMT
			", limited: " STR_FMT,
			STR_ARG(name), STR_ARG(resource_list_text(&over, NULL)),
			STR_ARG(resource_list_text(&was, &over)),
			STR_ARG(resource_list_text(&hard, &over)));
		return false;
	}
	charge(c, quota, &used);
	return true;
}

enum step
admit_quota(struct request *r)
{
	struct charge c = {.r = r,
		.of = {request_group(r), request_resource(r)},
		.now = {.a = r->a},
		.before = {.a = r->a},
		.update = request_op(r) == ADMIT_UPDATE};
	if (ignored(r) || !handled(r) || !request_count(r, S(""), S("resourcequotas"), S("")))
		return STEP_NEXT;
	quota_usage(&c.now, c.of, r->obj, r->wall_ns);
	if (c.update)
		quota_usage(&c.before, c.of, r->old, r->wall_ns);
	request_each(r, S(""), S("resourcequotas"), r->ns, check_quota, &c);
	return c.refused ? STEP_REPLY : STEP_NEXT;
}
