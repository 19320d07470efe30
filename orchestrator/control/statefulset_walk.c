/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * statefulset_walk: what a sync does to the pods of a StatefulSet, and in which order. With OrderedReady one thing at
 * a time: a pod is made when all before it are available, the highest goes first, and an update begins when
 * nothing else is to be done. With Parallel pods do not wait for each other. */
#include "orchestrator/control/statefulset.h"

#include <stdlib.h>

static void
go(struct stateful_sync *x, const struct informer_obj *pod)
{
	for (size_t i = 0; i < x->n_go; i++)
		if (x->go[i] == pod)
			return;
	const struct informer_obj **slot = ARENA_PUSH(x->a, x->go, x->n_go);
	if (slot)
		*slot = pod;
}

static bool
in_turn(const struct stateful_sync *x)
{
	return !str_eq(x->set->spec.pod_management_policy, STR("Parallel"));
}

static bool
is_leaving(const struct informer_obj *pod)
{
	return control_meta(CONTROL_PODS, pod)->deletion_timestamp != 0;
}

static bool
has_ended(const struct informer_obj *pod)
{
	const struct core_v1_pod *p = pod->obj;
	return !pod_is_active(p) && !pod_is_terminating(p);
}

/* is_missing: there is no pod that others could rely on. */
static bool
is_missing(const struct stateful_sync *x, const struct informer_obj *pod)
{
	return !pod || is_leaving(pod) || !stateful_available(x, pod);
}

/* ---- places ---- */

/* fill: makes the pod of an empty place, when its claims are there. */
static void
fill(struct stateful_sync *x, const struct stateful_place *p)
{
	if (stateful_claims_stale(x, p->ordinal) || !stateful_claims(x, p->ordinal))
		return;
	struct doc *d = stateful_pod(x, p);
	struct doc **slot = d ? ARENA_PUSH(x->a, x->make, x->n_make) : NULL;
	if (slot)
		*slot = d;
}

/* tend: a place. Returns whether those behind it must wait. */
static bool
tend(struct stateful_sync *x, const struct stateful_place *p)
{
	if (!p->pod) {
		fill(x, p);
		return true;
	}
	if (has_ended(p->pod)) {
		/* The next one comes when this one is gone. */
		if (!is_leaving(p->pod))
			go(x, p->pod);
		return true;
	}
	if (str_eq(((const struct core_v1_pod *)p->pod->obj)->status.phase, STR("Pending")))
		stateful_claims(x, p->ordinal);
	if (in_turn(x) && is_missing(x, p->pod))
		return true;
	stateful_identify(x, p->pod);
	stateful_claims_own(x, p->pod);
	return false;
}

/* ---- pods beyond the places ---- */

/* first_missing: the lowest pod that is not available; NULL also when it is an empty place. */
static const struct informer_obj *
first_missing(const struct stateful_sync *x)
{
	for (size_t i = 0; i < x->n_places; i++)
		if (is_missing(x, x->places[i].pod))
			return x->places[i].pod;
	for (size_t i = x->n_condemned; i-- > 0;)
		if (is_missing(x, x->condemned[i]))
			return x->condemned[i];
	return NULL;
}

static bool
condemn(struct stateful_sync *x)
{
	const struct informer_obj *first = first_missing(x);
	for (size_t i = 0; i < x->n_condemned; i++)
		stateful_claims_own(x, x->condemned[i]);
	for (size_t i = 0; i < x->n_condemned; i++) {
		const struct informer_obj *pod = x->condemned[i];
		bool leaving = is_leaving(pod);
		if (!leaving && (!in_turn(x) || pod == first || !is_missing(x, pod)))
			go(x, pod);
		if (in_turn(x))
			return true;
	}
	return false;
}

/* ---- updates ---- */

static bool
is_old(const struct stateful_sync *x, const struct informer_obj *pod)
{
	return !str_eq(
		control_label(control_meta(CONTROL_PODS, pod), REVISION_LABEL), x->h.now->name);
}

static int32_t
max_missing(const struct stateful_sync *x)
{
	const struct apps_v1_rolling_update_stateful_set_strategy *r = x->set->spec.update_strategy
									       .rolling_update;
	int32_t n = 1;
	if (r && r->max_unavailable.has &&
		intstr_scaled(&r->max_unavailable, (int32_t)x->n_places, false, &n) < 0)
		n = 1;
	return n < 1 ? 1 : n;
}

/* update: the highest places first, down to the partition; what is missing already counts. */
static void
update(struct stateful_sync *x)
{
	const struct apps_v1_rolling_update_stateful_set_strategy *r = x->set->spec.update_strategy
									       .rolling_update;
	size_t first = r && r->partition > 0 ? (size_t)r->partition : 0;
	int32_t room = max_missing(x);
	if (!str_eq(x->set->spec.update_strategy.type, STR("RollingUpdate")))
		return;
	for (size_t i = 0; i < x->n_places; i++)
		room -= is_missing(x, x->places[i].pod);
	/* Without turns, what does not work anyway goes whatever the room. */
	for (size_t i = x->n_places; !in_turn(x) && i-- > first;) {
		const struct informer_obj *pod = x->places[i].pod;
		if (pod && is_old(x, pod) && !is_leaving(pod) && is_missing(x, pod))
			go(x, pod);
	}
	for (size_t i = x->n_places; room > 0 && i-- > first;) {
		const struct informer_obj *pod = x->places[i].pod;
		if (!pod || !is_old(x, pod) || is_leaving(pod) ||
			(!in_turn(x) && is_missing(x, pod)))
			continue;
		go(x, pod);
		room--;
	}
}

/* ---- all of it ---- */

static void
plan(struct stateful_sync *x)
{
	for (size_t i = 0; i < x->n_places; i++)
		if (tend(x, &x->places[i]) && in_turn(x))
			return;
	if (!condemn(x))
		update(x);
}

void
stateful_walk(struct stateful_sync *x)
{
	plan(x);
	if (x->n_make)
		workload_create(x->s, x->make, x->n_make);
	else
		workload_content(x->s);
	workload_delete(x->s, x->go, x->n_go, false);
}
