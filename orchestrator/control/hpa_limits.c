/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hpa_limits: between the count that the metrics want and the one that is set stand the autoscaler's bounds, its policies
 * (so many pods in so many seconds) and its windows (the least that was wanted of late, on the way up; the most, on
 * the way down). Pure. See hpa.h. Source: pkg/controller/podautoscaler/horizontal.go; KEP-853. */
#include "orchestrator/control/hpa.h"

#include <math.h>
#include <stdlib.h>

#define DOWN_WINDOW_S 300 /* where the spec does not say */
#define UP_FACTOR 2       /* without a behavior: no more than so many times as many ... */
#define UP_LEAST 4        /* ... or so many */

typedef struct autoscaling_v2_hpa_scaling_rules rules;

void
hpa_history_release(struct hpa_history *h)
{
	free(h->wanted);
	free(h->up);
	free(h->down);
	*h = (struct hpa_history){0};
}

/* change_add: in the place of one that is too old to count, if there is one. */
static void
change_add(struct hpa_change **v, size_t *n, struct hpa_change x, int64_t older_ns)
{
	size_t at = *n;
	for (size_t i = 0; i < *n; i++)
		if ((*v)[i].at_ns < older_ns)
			at = i;
	if (at == *n) {
		void *grown = realloc(*v, (*n + 1) * sizeof(x));
		if (!grown)
			return;
		*v = grown;
		++*n;
	}
	(*v)[at] = x;
}

void
hpa_history_begin(struct hpa_history *h, int32_t replicas, int64_t now_ns)
{
	if (!h->n_wanted)
		change_add(&h->wanted, &h->n_wanted, (struct hpa_change){now_ns, replicas}, 0);
}

void
hpa_history_done(struct hpa_history *h,
	const struct autoscaling_v2_horizontal_pod_autoscaler_behavior *b, int32_t from, int32_t to,
	int64_t now_ns)
{
	bool up = to > from;
	const rules *r = b ? (up ? b->scale_up : b->scale_down) : NULL;
	int64_t longest_s = 0;
	for (size_t i = 0; r && i < r->n_policies; i++)
		if (r->policies[i].period_seconds > longest_s)
			longest_s = r->policies[i].period_seconds;
	if (r)
		change_add(up ? &h->up : &h->down, up ? &h->n_up : &h->n_down,
			(struct hpa_change){now_ns, up ? to - from : from - to},
			now_ns - longest_s * NS_PER_SEC);
}

static int32_t
changed_since(const struct hpa_change *v, size_t n, int64_t since_ns)
{
	int32_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += v[i].at_ns > since_ns ? v[i].n : 0;
	return sum;
}

static int32_t
clamp32(double v)
{
	return v >= INT32_MAX ? INT32_MAX : v <= INT32_MIN ? INT32_MIN : (int32_t)v;
}

/* rate_limit: how far the policies let it go, up or down. */
static int32_t
rate_limit(const struct hpa_history *h, const rules *r, int32_t current, bool up, int64_t now_ns)
{
	bool least = str_eq_c(r->select_policy, "Min"); /* the smallest change of all */
	bool lowest = up == least;                      /* is the lowest number it, then? */
	int32_t limit = lowest ? INT32_MAX : INT32_MIN;
	if (str_eq_c(r->select_policy, "Disabled"))
		return current;
	for (size_t i = 0; i < r->n_policies; i++) {
		const struct autoscaling_v2_hpa_scaling_policy *p = &r->policies[i];
		int64_t since_ns = now_ns - (int64_t)p->period_seconds * NS_PER_SEC;
		int32_t start = current - changed_since(h->up, h->n_up, since_ns) +
			changed_since(h->down, h->n_down, since_ns);
		double share = (double)start * (1 + (up ? 1 : -1) * (double)p->value / 100);
		int32_t to = str_eq_c(p->type, "Pods") ? start + (up ? p->value : -p->value)
						       : clamp32(up ? ceil(share) : share);
		limit = (lowest ? to < limit : to > limit) ? to : limit;
	}
	return limit;
}

static int32_t
min_replicas(const struct autoscaling_v2_horizontal_pod_autoscaler_spec *spec)
{
	return spec->has_min_replicas ? spec->min_replicas : 1;
}

static const char fast_up[] =
	"the desired replica count is increasing faster than the maximum scale rate";
static const char fast_down[] =
	"the desired replica count is decreasing faster than the maximum scale rate";
static const char too_many[] = "the desired replica count is more than the maximum replica count";
static const char too_few[] = "the desired replica count is less than the minimum replica count";

static void
limited(struct hpa_verdict *v, int32_t replicas, const char *reason, const char *message)
{
	v->limited = v->replicas != replicas;
	v->replicas = replicas;
	v->limit_reason = reason;
	v->limit_message = message;
}

/* bound_above, bound_below: by the rate or by the spec, whichever is nearer. */
static void
bound_above(struct hpa_verdict *v, int32_t rate, int32_t max)
{
	if (v->replicas > (max > rate ? rate : max))
		limited(v, max > rate ? rate : max, max > rate ? "ScaleUpLimit" : "TooManyReplicas",
			max > rate ? fast_up : too_many);
}

static void
bound_below(struct hpa_verdict *v, int32_t rate, int32_t min)
{
	if (v->replicas < (min < rate ? rate : min))
		limited(v, min < rate ? rate : min,
			min < rate ? "ScaleDownLimit" : "TooFewReplicas",
			min < rate ? fast_down : too_few);
}

/* ---- windows ---- */

/* stable: the count after the windows; remembers the one that was wanted. */
static int32_t
stable(struct hpa_history *h, int32_t current, int32_t wanted, int64_t up_s, int64_t down_s,
	int64_t now_ns)
{
	int32_t low = wanted, high = wanted;
	int64_t up_ns = now_ns - up_s * NS_PER_SEC, down_ns = now_ns - down_s * NS_PER_SEC;
	for (size_t i = 0; i < h->n_wanted; i++) {
		const struct hpa_change *x = &h->wanted[i];
		if (x->at_ns > up_ns && x->n < low)
			low = x->n;
		if (x->at_ns > down_ns && x->n > high)
			high = x->n;
	}
	change_add(&h->wanted, &h->n_wanted, (struct hpa_change){now_ns, wanted},
		up_ns < down_ns ? up_ns : down_ns);
	int32_t n = current < low ? low : current;
	return n > high ? high : n;
}

static void
able(struct hpa_verdict *v, bool held, bool up)
{
	v->able_reason = !held ? "ReadyForNewScale"
		: up           ? "ScaleUpStabilized"
			       : "ScaleDownStabilized";
	v->able_message = !held ? "recommended size matches current size"
		: up ? "recent recommendations were lower than current one, applying the lowest "
		       "recent recommendation"
		     : "recent recommendations were higher than current one, applying the highest "
		       "recent recommendation";
}

void
hpa_limit(struct hpa_history *h, const struct autoscaling_v2_horizontal_pod_autoscaler_spec *spec,
	int32_t current, int32_t wanted, int64_t now_ns, struct hpa_verdict *ret)
{
	const rules *up = spec->behavior ? spec->behavior->scale_up : NULL;
	const rules *down = spec->behavior ? spec->behavior->scale_down : NULL;
	int64_t down_s = down && down->has_stabilization_window_seconds
		? down->stabilization_window_seconds
		: DOWN_WINDOW_S;
	*ret = (struct hpa_verdict){.replicas = wanted,
		.limit_reason = "DesiredWithinRange",
		.limit_message = "the desired count is within the acceptable range"};
	if (!up || !down) {
		/* No window on the way up, and one bound above whichever way it goes. */
		int32_t most = wanted;
		for (size_t i = 0; i < h->n_wanted; i++)
			if (h->wanted[i].at_ns >= now_ns - down_s * NS_PER_SEC &&
				h->wanted[i].n > most)
				most = h->wanted[i].n;
		change_add(&h->wanted, &h->n_wanted, (struct hpa_change){now_ns, wanted},
			now_ns - down_s * NS_PER_SEC);
		double grown = UP_FACTOR * (double)current;
		ret->replicas = most;
		able(ret, most != wanted, false);
		bound_above(ret, clamp32(grown > UP_LEAST ? grown : UP_LEAST), spec->max_replicas);
		bound_below(ret, INT32_MIN, min_replicas(spec));
		return;
	}
	ret->replicas = stable(
		h, current, wanted, up->stabilization_window_seconds, down_s, now_ns);
	able(ret, ret->replicas != wanted, wanted >= current);
	if (ret->replicas > current) {
		int32_t rate = rate_limit(h, up, current, true, now_ns);
		bound_above(ret, rate < current ? current : rate, spec->max_replicas);
	} else if (ret->replicas < current) {
		int32_t rate = rate_limit(h, down, current, false, now_ns);
		bound_below(ret, rate > current ? current : rate, min_replicas(spec));
	}
}
