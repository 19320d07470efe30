/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * admission_limits: LimitRanger: containers that say nothing get what the namespace's LimitRanges say, and pods and
 * claims that ask for too much or too little are refused. Source: plugin/pkg/admission/limitranger. */
#include "orchestrator/kinds/kinds_int.h"

#include "orchestrator/schema/resource_list.h"

#include <stdlib.h>

/* ---- defaults ---- */

struct defaults {
	struct request *r;
	struct doc *limits, *requests; /* of one LimitRange */
	struct buf text;               /* what was set: the annotation */
};

static int
by_name(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

/* fill: the members that the container has not; what was set is noted. */
static void
fill(struct defaults *x, struct doc *container, const char *member, const struct doc *from,
	const char *what)
{
	struct request *r = x->r;
	struct doc *res = doc_get(container, S("resources"));
	struct str *set = ARENA_ARRAY(r->a, struct str, doc_len(from) + 1);
	size_t n = 0;
	DOC_EACH (d, set ? from : NULL)
		if (!doc_get(doc_get(res, str_c(member)), d->key))
			set[n++] = d->key;
	if (!n)
		return;
	res = doc_ensure_map(r->a, container, S("resources"));
	struct doc *to = res ? doc_ensure_map(r->a, res, str_c(member)) : NULL;
	if (!to)
		return;
	qsort(set, n, sizeof(*set), by_name);
	buf_cstr(&x->text, x->text.len ? "; " : "LimitRanger plugin set: ");
	for (size_t i = 0; i < n; i++) {
		doc_set_str(r->a, to, set[i], doc_get_str(from, set[i]));
		buf_fmt(&x->text, "%s" STR_FMT, i ? ", " : "", STR_ARG(set[i]));
	}
	buf_fmt(&x->text, " %s " STR_FMT, what, STR_ARG(doc_get_str(container, S("name"))));
}

static bool
set_defaults(void *arg, struct doc *range)
{
	struct request *r = arg;
	struct defaults x = {.r = r, .limits = doc_map(r->a), .requests = doc_map(r->a)};
	const struct doc *spec = doc_get(r->obj, S("spec"));
	buf_init_arena(&x.text, r->a);
	DOC_EACH (limit, doc_get(doc_get(range, S("spec")), S("limits"))) {
		if (!str_eq_c(doc_get_str(limit, S("type")), "Container") || !x.limits ||
			!x.requests)
			continue;
		DOC_EACH (d, doc_get(limit, S("default")))
			doc_set_str(r->a, x.limits, d->key, doc_as_str(d));
		DOC_EACH (d, doc_get(limit, S("defaultRequest")))
			doc_set_str(r->a, x.requests, d->key, doc_as_str(d));
	}
	DOC_EACH (c, doc_get(spec, S("containers"))) {
		fill(&x, c, "requests", x.requests, "request for container");
		fill(&x, c, "limits", x.limits, "limit for container");
	}
	DOC_EACH (c, doc_get(spec, S("initContainers"))) {
		fill(&x, c, "requests", x.requests, "request for init container");
		fill(&x, c, "limits", x.limits, "limit for init container");
	}
	struct doc *notes = x.text.len
		? doc_ensure_map(
			  r->a, doc_ensure_map(r->a, r->obj, S("metadata")), S("annotations"))
		: NULL;
	if (notes)
		doc_set_str(r->a, notes, S("kubernetes.io/limit-ranger"), buf_view(&x.text));
	return true;
}

enum step
admit_limit_defaults(struct request *r)
{
	if (!is_deleting(r->old))
		request_each(r, S(""), S("limitranges"), r->ns, set_defaults, r);
	return STEP_NEXT;
}

/* ---- limits ---- */

struct judged {
	struct request *r;
	struct str type, resource; /* "Container", "cpu" */
	struct resource_list requests, limits;
	struct doc *faults; /* of one LimitRange */
};

static void fault(struct judged *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
fault(struct judged *x, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	list_add(x->r->a, x->faults, arena_vfmt(x->r->a, fmt, ap));
	va_end(ap);
}

#define HEAD(text) text " " STR_FMT " usage per " STR_FMT " is " STR_FMT
#define HEAD_ARGS(x, q)                                                                            \
	STR_ARG((x)->resource), STR_ARG((x)->type), STR_ARG(quantity_text((x)->r->a, q))

static void
check_min(struct judged *x, const struct quantity *min)
{
	const struct quantity *req = resource_list_get(&x->requests, x->resource);
	const struct quantity *lim = resource_list_get(&x->limits, x->resource);
	if (!req)
		fault(x, HEAD("minimum") ".  No request is specified", HEAD_ARGS(x, min));
	else if (quantity_cmp(req, min) < 0)
		fault(x, HEAD("minimum") ", but request is " STR_FMT, HEAD_ARGS(x, min),
			STR_ARG(quantity_text(x->r->a, req)));
	else if (lim && quantity_cmp(lim, min) < 0)
		fault(x, HEAD("minimum") ", but limit is " STR_FMT, HEAD_ARGS(x, min),
			STR_ARG(quantity_text(x->r->a, lim)));
}

static void
check_max_request(struct judged *x, const struct quantity *max)
{
	const struct quantity *req = resource_list_get(&x->requests, x->resource);
	if (!req)
		fault(x, HEAD("maximum") ".  No request is specified", HEAD_ARGS(x, max));
	else if (quantity_cmp(req, max) > 0)
		fault(x, HEAD("maximum") ", but request is " STR_FMT, HEAD_ARGS(x, max),
			STR_ARG(quantity_text(x->r->a, req)));
}

static void
check_max(struct judged *x, const struct quantity *max)
{
	const struct quantity *lim = resource_list_get(&x->limits, x->resource);
	if (!lim)
		fault(x, HEAD("maximum") ".  No limit is specified", HEAD_ARGS(x, max));
	else if (quantity_cmp(lim, max) > 0)
		fault(x, HEAD("maximum") ", but limit is " STR_FMT, HEAD_ARGS(x, max),
			STR_ARG(quantity_text(x->r->a, lim)));
	else if (resource_list_get(&x->requests, x->resource))
		check_max_request(x, max);
}

#define RATIO STR_FMT " max limit to request ratio per " STR_FMT " is " STR_FMT

static void
check_ratio(struct judged *x, const struct quantity *max)
{
	const struct quantity *req = resource_list_get(&x->requests, x->resource);
	const struct quantity *lim = resource_list_get(&x->limits, x->resource);
	if (!req || quantity_is_zero(req)) {
		fault(x, RATIO ", but no request is specified or request is 0", HEAD_ARGS(x, max));
	} else if (!lim || quantity_is_zero(lim)) {
		fault(x, RATIO ", but no limit is specified or limit is 0", HEAD_ARGS(x, max));
	} else {
		double ratio = (double)lim->nano / (double)req->nano;
		if (ratio > (double)max->nano / 1e9)
			fault(x, RATIO ", but provided ratio is %f", HEAD_ARGS(x, max), ratio);
	}
}

static const struct bound {
	const char *member;
	void (*check)(struct judged *x, const struct quantity *q);
} pod_bounds[] = {{"min", check_min}, {"max", check_max}, {"maxLimitRequestRatio", check_ratio}},
  claim_bounds[] = {{"min", check_min}, {"max", check_max_request}};

static void
judge(struct judged *x, const struct doc *limit, const struct bound *bounds, size_t n)
{
	x->type = doc_get_str(limit, S("type"));
	for (size_t i = 0; i < n; i++)
		DOC_EACH (b, doc_get(limit, str_c(bounds[i].member))) {
			struct quantity q = {0};
			x->resource = b->key;
			if (quantity_parse(doc_as_str(b), &q) == 0)
				bounds[i].check(x, &q);
		}
}

static void
judge_containers(struct judged *x, const struct doc *limit, const struct doc *containers)
{
	DOC_EACH (c, containers) {
		const struct doc *res = doc_get(c, S("resources"));
		x->requests = x->limits = (struct resource_list){.a = x->r->a};
		resource_list_add_doc(&x->requests, doc_get(res, S("requests")));
		resource_list_add_doc(&x->limits, doc_get(res, S("limits")));
		judge(x, limit, pod_bounds, ARRAY_LEN(pod_bounds));
	}
}

static void
judge_pod(struct judged *x, const struct doc *limit, const struct doc *pod)
{
	x->requests = x->limits = (struct resource_list){.a = x->r->a};
	pod_sum(&x->requests, pod, S("requests"), 0);
	pod_sum(&x->limits, pod, S("limits"), 0);
	judge(x, limit, pod_bounds, ARRAY_LEN(pod_bounds));
}

static void
judge_claim(struct judged *x, const struct doc *limit, const struct doc *claim)
{
	const struct doc *res = doc_get(doc_get(claim, S("spec")), S("resources"));
	x->requests = x->limits = (struct resource_list){.a = x->r->a};
	resource_list_add_doc(&x->requests, doc_get(res, S("requests")));
	judge(x, limit, claim_bounds, ARRAY_LEN(claim_bounds));
}

static bool
judge_range(void *arg, struct doc *range)
{
	struct judged *x = arg;
	const struct doc *obj = x->r->obj, *spec = doc_get(obj, S("spec"));
	bool claim = str_eq_c(request_resource(x->r), "persistentvolumeclaims");
	DOC_EACH (limit, doc_get(doc_get(range, S("spec")), S("limits"))) {
		struct str type = doc_get_str(limit, S("type"));
		if (claim && str_eq_c(type, "PersistentVolumeClaim")) {
			judge_claim(x, limit, obj);
		} else if (!claim && str_eq_c(type, "Container")) {
			judge_containers(x, limit, doc_get(spec, S("containers")));
			judge_containers(x, limit, doc_get(spec, S("initContainers")));
		} else if (!claim && str_eq_c(type, "Pod")) {
			judge_pod(x, limit, obj);
		}
	}
	return doc_is_empty(x->faults);
}

enum step
admit_limits(struct request *r)
{
	struct judged x = {.r = r, .faults = doc_list(r->a)};
	struct buf b;
	if (is_deleting(r->old) || !x.faults)
		return STEP_NEXT;
	request_each(r, S(""), S("limitranges"), r->ns, judge_range, &x);
	if (doc_is_empty(x.faults))
		return STEP_NEXT;
	buf_init_arena(&b, r->a);
	DOC_EACH (f, x.faults)
		buf_fmt(&b, "%s" STR_FMT, b.len ? ", " : "", STR_ARG(doc_as_str(f)));
	bool many = doc_len(x.faults) > 1;
	return request_fail_forbidden(
		r, "%s" STR_FMT "%s", many ? "[" : "", STR_ARG(buf_view(&b)), many ? "]" : "");
}
