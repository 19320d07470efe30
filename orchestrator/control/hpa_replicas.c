/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hpa_replicas: what was measured as a count of replicas: as many more as the values are above their target. Pods of
 * which nothing is known count so that a change becomes smaller, never larger. Pure. See hpa.h.
 * Source: pkg/controller/podautoscaler/replica_calculator.go, metrics/utilization.go. */
#include "orchestrator/control/hpa.h"

#include <math.h>

#define WARM_UP_NS (300 * NS_PER_SEC)    /* a new pod's share of cpu says little */
#define FIRST_READY_NS (30 * NS_PER_SEC) /* not ready since then: it never was */

struct names {
	struct str *v;
	size_t n;
};

static void
name_add(struct arena *a, struct names *list, struct str name)
{
	struct str *slot = ARENA_PUSH(a, list->v, list->n);
	if (slot)
		*slot = name;
}

static const struct hpa_sample *
sample_of(const struct hpa_samples *s, struct str pod)
{
	for (size_t i = 0; i < s->n; i++)
		if (str_eq(s->v[i].pod, pod))
			return &s->v[i];
	return NULL;
}

static void
samples_drop(struct hpa_samples *s, const struct names *list)
{
	size_t kept = 0;
	for (size_t i = 0; i < s->n; i++) {
		bool dropped = false;
		for (size_t k = 0; k < list->n; k++)
			dropped = dropped || str_eq(s->v[i].pod, list->v[k]);
		if (!dropped)
			s->v[kept++] = s->v[i];
	}
	s->n = kept;
}

static void
sample_add(struct arena *a, struct hpa_samples *s, struct str pod, int64_t milli)
{
	struct hpa_sample *slot = ARENA_PUSH(a, s->v, s->n);
	if (slot)
		*slot = (struct hpa_sample){.pod = pod, .milli = milli};
}

static int32_t
ceil32(double v)
{
	v = ceil(v);
	return v >= INT32_MAX ? INT32_MAX : v <= INT32_MIN ? INT32_MIN : (int32_t)v;
}

static bool
within(const struct hpa_ask *q, double ratio)
{
	return 1.0 - q->tolerance.down <= ratio && ratio <= 1.0 + q->tolerance.up;
}

/* ---- pods ---- */

static const struct core_v1_pod_condition *
ready_condition(const struct core_v1_pod *p)
{
	for (size_t i = 0; i < p->status.n_conditions; i++)
		if (str_eq_c(p->status.conditions[i].type, "Ready"))
			return &p->status.conditions[i];
	return NULL;
}

/* unready: what was measured of the pod's cpu does not count yet. */
static bool
unready(const struct hpa_ask *q, const struct core_v1_pod *p, const struct hpa_sample *s)
{
	const struct core_v1_pod_condition *c = ready_condition(p);
	int64_t start_ns = p->status.start_time;
	if (!c || !start_ns)
		return true;
	bool no = str_eq_c(c->status, "False");
	if (start_ns + WARM_UP_NS > q->now_ns)
		return no || s->at_ns < c->last_transition_time + s->window_ns;
	return no && start_ns + FIRST_READY_NS > c->last_transition_time;
}

struct groups {
	size_t ready;
	struct names unready, missing, ignored;
};

static void
group(struct hpa_ask *q, struct groups *g)
{
	for (size_t i = 0; i < q->pods.n; i++) {
		const struct core_v1_pod *p = q->pods.v[i];
		struct str name = p->metadata.name;
		const struct hpa_sample *s = sample_of(&q->samples, name);
		if (p->metadata.deletion_timestamp || str_eq_c(p->status.phase, "Failed"))
			name_add(q->a, &g->ignored, name);
		else if (str_eq_c(p->status.phase, "Pending"))
			name_add(q->a, &g->unready, name);
		else if (!s)
			name_add(q->a, &g->missing, name);
		else if (str_eq_c(q->resource, "cpu") && unready(q, p, s))
			name_add(q->a, &g->unready, name);
		else
			g->ready++;
	}
}

/* ---- what pods ask for ---- */

static const struct str *
request_in(const struct core_v1_resource_requirements *r, struct str resource)
{
	for (size_t i = 0; i < r->n_requests; i++)
		if (str_eq(r->requests[i].key, resource))
			return &r->requests[i].value;
	return NULL;
}

static int
request_of_containers(
	struct hpa_ask *q, const struct core_v1_pod *p, int64_t *ret_milli, struct str *why)
{
	size_t n_main = p->spec.n_containers;
	bool found = false;
	*ret_milli = 0;
	for (size_t i = 0; i < n_main + p->spec.n_init_containers; i++) {
		const struct core_v1_container *c = i < n_main
			? &p->spec.containers[i]
			: &p->spec.init_containers[i - n_main];
		bool meant = !q->container.n || str_eq(q->container, c->name);
		if (!meant || (i >= n_main && !str_eq_c(c->restart_policy, "Always")))
			continue;
		const struct str *amount = request_in(&c->resources, q->resource);
		found = true;
		if (!amount) {
			*why = arena_fmt(q->a,
				"missing request for " STR_FMT " in container " STR_FMT
				" of Pod " STR_FMT,
				STR_ARG(q->resource), STR_ARG(c->name), STR_ARG(p->metadata.name));
			return -EINVAL;
		}
		*ret_milli = hpa_sum(*ret_milli, quantity_milli_of(*amount, 0));
	}
	if (q->container.n && !found) {
		*why = arena_fmt(q->a, "container " STR_FMT " not found in Pod " STR_FMT,
			STR_ARG(q->container), STR_ARG(p->metadata.name));
		return -EINVAL;
	}
	return 0;
}

/* request: of the pod as a whole, where it says that; else of its containers. */
static int
request(struct hpa_ask *q, const struct core_v1_pod *p, int64_t *ret_milli, struct str *why)
{
	const struct core_v1_resource_requirements *own = p->spec.resources;
	if (!own || !own->n_requests || q->container.n)
		return request_of_containers(q, p, ret_milli, why);
	const struct str *amount = request_in(own, q->resource);
	if (!amount && request_of_containers(q, p, ret_milli, why) == 0)
		return 0;
	if (!amount) {
		*why = arena_fmt(q->a, "missing pod-level request for " STR_FMT " in Pod " STR_FMT,
			STR_ARG(q->resource), STR_ARG(p->metadata.name));
		return -EINVAL;
	}
	*ret_milli = quantity_milli_of(*amount, 0);
	return 0;
}

/* ---- ratios ---- */

/* How far the samples are from their target. */
struct measure {
	const struct hpa_samples *requests; /* by pod; NULL: the value itself is compared */
	int64_t target;                     /* percent, or milli */
	double ratio;
	int32_t percent;
	int64_t milli;
};

static int
measure(const struct hpa_samples *s, struct measure *m)
{
	int64_t sum = 0, asked = 0, n = 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct hpa_sample *r = m->requests ? sample_of(m->requests, s->v[i].pod)
							 : NULL;
		if (m->requests && !r)
			continue;
		sum = hpa_sum(sum, s->v[i].milli);
		asked = hpa_sum(asked, r ? r->milli : 0);
		n++;
	}
	if (!n || (m->requests && !asked))
		return -EINVAL;
	m->milli = sum / n;
	__int128 percent = m->requests ? (__int128)sum * 100 / asked : 0;
	m->percent = percent > INT32_MAX ? INT32_MAX
		: percent < INT32_MIN    ? INT32_MIN
					 : (int32_t)percent;
	m->ratio = (m->requests ? (double)m->percent : (double)m->milli) / (double)m->target;
	return 0;
}

static int
fail(struct str *why, const char *text)
{
	*why = str_c(text);
	return -EINVAL;
}

/* fill: pods of which nothing is known, as if they stood against the change. */
static void
fill(struct hpa_ask *q, const struct groups *g, const struct measure *m)
{
	for (size_t i = 0; m->ratio != 1.0 && i < g->missing.n; i++) {
		const struct hpa_sample *r = m->requests ? sample_of(m->requests, g->missing.v[i])
							 : NULL;
		int64_t share = m->target > 100 ? m->target : 100;
		__int128 full = m->requests ? (__int128)(r ? r->milli : 0) * share / 100
					    : m->target;
		if (m->ratio > 1.0)
			full = 0;
		sample_add(q->a, &q->samples, g->missing.v[i],
			full > INT64_MAX ? INT64_MAX : (int64_t)full);
	}
	for (size_t i = 0; m->ratio > 1.0 && i < g->unready.n; i++)
		sample_add(q->a, &q->samples, g->unready.v[i], 0);
}

static int
propose(struct hpa_ask *q, const struct groups *g, struct measure *m, struct hpa_proposal *ret,
	struct str *why)
{
	static const char none[] = "no metrics returned matched known pods";
	if (measure(&q->samples, m) < 0)
		return fail(why, none);
	*ret = (struct hpa_proposal){q->current, m->percent, m->milli};
	bool held_up = g->unready.n && m->ratio > 1.0;
	if (!held_up && !g->missing.n) {
		if (!within(q, m->ratio))
			ret->replicas = ceil32(m->ratio * (double)g->ready);
		return 0;
	}
	double first = m->ratio;
	fill(q, g, m);
	if (measure(&q->samples, m) < 0)
		return fail(why, none);
	if (within(q, m->ratio) || (first < 1.0 && m->ratio > 1.0) ||
		(first > 1.0 && m->ratio < 1.0))
		return 0;
	int32_t n = ceil32(m->ratio * (double)q->samples.n);
	bool turned = (m->ratio < 1.0 && n > q->current) || (m->ratio > 1.0 && n < q->current);
	if (!turned)
		ret->replicas = n;
	return 0;
}

static int
prepare(struct hpa_ask *q, struct groups *g, struct str *why)
{
	if (!q->pods.n)
		return fail(why, "no pods returned by selector while calculating replica count");
	group(q, g);
	samples_drop(&q->samples, &g->ignored);
	samples_drop(&q->samples, &g->unready);
	if (!q->samples.n)
		return fail(
			why, "did not receive metrics for targeted pods (pods might be unready)");
	return 0;
}

int
hpa_by_share(struct hpa_ask *q, int32_t target_percent, struct hpa_proposal *ret, struct str *why)
{
	struct groups g = {0};
	struct hpa_samples requests = {0};
	if (prepare(q, &g, why) < 0)
		return -EINVAL;
	for (size_t i = 0; i < q->pods.n; i++) {
		int64_t milli = 0;
		if (request(q, q->pods.v[i], &milli, why) < 0)
			return -EINVAL;
		sample_add(q->a, &requests, q->pods.v[i]->metadata.name, milli);
	}
	struct measure m = {.requests = &requests, .target = target_percent};
	return propose(q, &g, &m, ret, why);
}

int
hpa_by_average(struct hpa_ask *q, int64_t target_milli, struct hpa_proposal *ret, struct str *why)
{
	struct groups g = {0};
	struct measure m = {.target = target_milli};
	if (prepare(q, &g, why) < 0)
		return -EINVAL;
	return propose(q, &g, &m, ret, why);
}

int
hpa_by_value(struct hpa_ask *q, int64_t milli, int64_t target_milli, struct hpa_proposal *ret,
	struct str *why)
{
	double ratio = (double)milli / (double)target_milli;
	int64_t ready = 0;
	*ret = (struct hpa_proposal){.replicas = q->current, .milli = milli};
	if (q->current == 0) {
		ret->replicas = ceil32(ratio);
		return 0;
	}
	if (within(q, ratio))
		return 0;
	if (!q->pods.n)
		return fail(why,
			"unable to calculate ready pods: no pods returned by selector while "
			"calculating replica count");
	for (size_t i = 0; i < q->pods.n; i++)
		ready += str_eq_c(q->pods.v[i]->status.phase, "Running") &&
			pod_is_ready(q->pods.v[i]);
	ret->replicas = ceil32(ratio * (double)ready);
	return 0;
}

void
hpa_by_value_per_pod(
	const struct hpa_ask *q, int64_t milli, int64_t target_milli, struct hpa_proposal *ret)
{
	double ratio = (double)milli / ((double)target_milli * (double)q->told);
	*ret = (struct hpa_proposal){.replicas = q->told, .milli = milli};
	if (!within(q, ratio))
		ret->replicas = ceil32((double)milli / (double)target_milli);
	double each = q->told ? ceil((double)milli / (double)q->told) : (double)INT64_MAX;
	ret->milli = each >= (double)INT64_MAX ? INT64_MAX : (int64_t)each;
}
