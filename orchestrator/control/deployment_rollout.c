/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * deployment_rollout: how far each ReplicaSet of a deployment is to be scaled now: a function of the cache.
 * Rolling update keeps replicas + maxSurge as the most and replicas - maxUnavailable as the least. */
#include "orchestrator/control/deployment.h"

static int32_t
min32(int32_t x, int32_t y)
{
	return x < y ? x : y;
}

static int32_t
max32(int32_t x, int32_t y)
{
	return x > y ? x : y;
}

void
rollout_bounds(const struct apps_v1_deployment *d, int32_t *ret_surge, int32_t *ret_unavailable)
{
	const struct apps_v1_rolling_update_deployment *ru = d->spec.strategy.rolling_update;
	int32_t surge = 0, unavailable = 0;
	if (ru && str_eq(d->spec.strategy.type, STR("RollingUpdate"))) {
		if (intstr_scaled(&ru->max_surge, d->spec.replicas, true, &surge) < 0)
			surge = 0;
		if (intstr_scaled(&ru->max_unavailable, d->spec.replicas, false, &unavailable) < 0)
			unavailable = 0;
		if (surge == 0 && unavailable == 0)
			unavailable = 1;
	}
	*ret_surge = surge;
	*ret_unavailable = min32(unavailable, d->spec.replicas);
}

static int32_t
total(const struct rollout *x)
{
	int32_t sum = x->now ? x->now->rs->spec.replicas : 0;
	for (size_t i = 0; i < x->n_olds; i++)
		sum += x->olds[i].rs->spec.replicas;
	return sum;
}

static int32_t
available(const struct rollout *x)
{
	int32_t sum = x->now ? x->now->rs->status.available_replicas : 0;
	for (size_t i = 0; i < x->n_olds; i++)
		sum += x->olds[i].rs->status.available_replicas;
	return sum;
}

static void
recreate(struct rollout *x)
{
	int32_t old_pods = 0;
	const struct informer_obj *pod;
	for (size_t i = 0; i < x->n_olds; i++) {
		x->olds[i].want = 0;
		for (size_t pos = 0; (pod = informer_index_next(x->dc->pods, INDEX_OWNER,
					      x->olds[i].o->uid, &pos));) {
			const struct core_v1_pod *p = pod->obj;
			old_pods += !str_eq(p->status.phase, STR("Succeeded")) &&
				!str_eq(p->status.phase, STR("Failed"));
		}
	}
	if (x->now && old_pods == 0)
		x->now->want = x->d->spec.replicas;
}

/* scale_up_new: as far as the surge allows. True when it changes. */
static bool
scale_up_new(struct rollout *x, int32_t surge)
{
	int32_t have = x->now->rs->spec.replicas, want = x->d->spec.replicas;
	if (have > want) {
		x->now->want = want;
	} else if (have < want) {
		int32_t room = want + surge - total(x);
		x->now->want = have + max32(0, min32(room, want - have));
	}
	return x->now->want != have;
}

static void
scale_down_old(struct rollout *x, int32_t unavailable)
{
	int32_t least = x->d->spec.replicas - unavailable;
	int32_t new_unavailable = x->now->rs->spec.replicas - x->now->rs->status.available_replicas;
	int32_t may = total(x) - least - new_unavailable;
	/* Pods of old sets that are not available cost nothing to remove. */
	for (size_t i = 0; i < x->n_olds && may > 0; i++) {
		int32_t sick = x->olds[i].want - x->olds[i].rs->status.available_replicas;
		int32_t n = max32(0, min32(may, sick));
		x->olds[i].want -= n;
		may -= n;
	}
	int32_t spare = available(x) - least;
	for (size_t i = 0; i < x->n_olds && spare > 0; i++) {
		int32_t n = min32(spare, x->olds[i].want);
		x->olds[i].want -= n;
		spare -= n;
	}
}

/* proportional: a deployment scaled in the middle of a rollout, or paused: each set gets its share. */
static void
proportional(struct rollout *x, int32_t surge)
{
	int32_t all = total(x), allowed = x->d->spec.replicas > 0 ? x->d->spec.replicas + surge : 0;
	int32_t left = allowed - all;
	size_t live = x->now && x->now->rs->spec.replicas > 0, at = 0;
	for (size_t i = 0; i < x->n_olds; i++)
		if (x->olds[i].rs->spec.replicas > 0) {
			live++;
			at = i;
		}
	if (live <= 1) { /* one set has all: it gets all */
		struct rollout_set *only = x->now && (live == 0 || x->now->rs->spec.replicas > 0)
			? x->now
			: x->n_olds ? &x->olds[at]
				    : NULL;
		if (only)
			only->want = x->d->spec.replicas;
		return;
	}
	struct rollout_set *sets[2] = {NULL, x->now};
	int32_t given = 0;
	for (size_t i = 0; i < x->n_olds; i++) {
		struct rollout_set *s = &x->olds[i];
		int32_t share = all ? (int32_t)((int64_t)s->rs->spec.replicas * left / all) : 0;
		s->want = max32(0, s->rs->spec.replicas + share);
		given += s->want - s->rs->spec.replicas;
		if (!sets[0] || s->rs->spec.replicas > sets[0]->rs->spec.replicas)
			sets[0] = s;
	}
	struct rollout_set *rest = sets[1] ? sets[1] : sets[0];
	if (rest)
		rest->want = max32(0, rest->want + left - given);
}

/* is_scaling: some live set was scaled for another number of replicas than the spec has now. */
static bool
is_scaling(const struct rollout *x)
{
	int64_t desired;
	for (size_t i = 0; i <= x->n_olds; i++) {
		const struct rollout_set *s = i < x->n_olds ? &x->olds[i] : x->now;
		if (!s || s->rs->spec.replicas == 0)
			continue;
		struct str text = control_annotation(&s->rs->metadata, DESIRED);
		if (text.n && str_to_i64(text, &desired) == 0 && desired != x->d->spec.replicas)
			return true;
	}
	return false;
}

void
rollout_plan(struct rollout *x)
{
	int32_t surge, unavailable;
	rollout_bounds(x->d, &surge, &unavailable);
	for (size_t i = 0; i < x->n_olds; i++)
		x->olds[i].want = x->olds[i].rs->spec.replicas;
	if (x->now)
		x->now->want = x->now->rs->spec.replicas;
	if (is_scaling(x)) {
		proportional(x, surge);
		return;
	}
	if (x->d->spec.paused || !x->now)
		return;
	if (str_eq(x->d->spec.strategy.type, STR("Recreate")))
		recreate(x);
	else if (!scale_up_new(x, surge))
		scale_down_old(x, unavailable);
}
