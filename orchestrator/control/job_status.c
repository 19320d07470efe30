/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * job_status: what the status of a Job says. Each ended pod is counted once: it carries a finalizer until the status
 * has its uid (uncountedTerminatedPods) or its index, and leaves the list as a number when the finalizer is seen
 * gone. A sync writes the status once; what may be done only after that is done by a later sync, which sees it in
 * the cache:
 *
 *   ended pod -> its uid in the status -> its finalizer off -> counted -> (all of them, and none runs) the end
 *
 * Invariant: a finalizer goes only when the cached status accounts for its pod. */
#include "orchestrator/control/job.h"

#include <stdlib.h>

#define UNCOUNTED_MAX 500

/* Values of `listed`: the pod still carries the finalizer, or no more. */
static char uncounted_held[] = "+", uncounted_gone[] = "-";

const struct batch_v1_job_condition *
job_condition(const struct batch_v1_job *j, const char *type)
{
	for (size_t i = 0; i < j->status.n_conditions; i++)
		if (str_eq_c(j->status.conditions[i].type, type) &&
			str_eq(j->status.conditions[i].status, STR("True")))
			return &j->status.conditions[i];
	return NULL;
}

const struct batch_v1_job_condition *
job_ended(const struct batch_v1_job *j)
{
	const struct batch_v1_job_condition *c = job_condition(j, "Complete");
	return c ? c : job_condition(j, "Failed");
}

static void
list_uids(struct job_sync *x, const struct str *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		map_put(&x->listed, v[i], uncounted_gone, NULL);
}

void
job_list(struct job_sync *x)
{
	const struct batch_v1_uncounted_terminated_pods *u = x->j->status.uncounted_terminated_pods;
	map_init(&x->listed);
	if (!u)
		return;
	list_uids(x, u->succeeded, u->n_succeeded);
	list_uids(x, u->failed, u->n_failed);
	for (size_t i = 0; map_len(&x->listed) && i < x->s->n_pods; i++) {
		const struct informer_obj *o = x->s->pods[i];
		if (map_get(&x->listed, o->uid) && workload_has_finalizer(x->s->w, o->obj))
			map_put(&x->listed, o->uid, uncounted_held, NULL);
	}
}

bool
job_lists(const struct job_sync *x, struct str uid)
{
	return map_get(&x->listed, uid) != NULL;
}

static void
put_condition(struct job_sync *x, struct str type, bool on, struct str reason, struct str message)
{
	struct doc *c = workload_set_condition(x->a, x->status, type, on, reason, message);
	if (c)
		doc_set_str(
			x->a, c, STR("lastProbeTime"), doc_get_str(c, STR("lastTransitionTime")));
}

static void
put_time(struct job_sync *x, struct str member)
{
	char now[40];
	rfc3339_format(clock_wall_ns(), 0, now);
	doc_set_str(x->a, x->status, member, arena_str(x->a, str_c(now)));
}

static void
put_suspended(struct job_sync *x)
{
	struct doc *was = workload_condition(x->status, STR("Suspended"));
	bool on = was && str_eq(doc_get_str(was, STR("status")), STR("True"));
	if (x->j->spec.suspend) {
		put_condition(x, STR("Suspended"), true, STR("JobSuspended"), STR("Job suspended"));
		if (!on)
			doc_set(x->status, STR("startTime"), NULL);
	} else {
		put_condition(x, STR("Suspended"), false, STR("JobResumed"), STR("Job resumed"));
		if (on)
			put_time(x, STR("startTime"));
	}
}

/* keep_uncounted: those of a list that still carry the finalizer; the others are counted. */
static struct doc *
keep_uncounted(struct job_sync *x, const struct str *v, size_t n, struct str counter, bool counted)
{
	struct doc *list = doc_list(x->a);
	int64_t gone = 0;
	for (size_t i = 0; list && i < n; i++)
		if (map_get(&x->listed, v[i]) == uncounted_held)
			doc_append(list, doc_str(x->a, v[i]));
		else
			gone++;
	int64_t total = doc_get_int(x->status, counter, 0) + gone;
	if (gone && counted)
		doc_set_int(x->a, x->status, counter, total);
	return list;
}

/* may_go: the pod need not be looked at again. */
static bool
may_go(const struct job_sync *x, const struct informer_obj *o)
{
	const struct core_v1_pod *p = o->obj;
	if (x->j->metadata.deletion_timestamp || x->end.type.n ||
		str_eq(p->status.phase, STR("Succeeded")))
		return true;
	return job_pod_failed(x->j, p) && (!x->indexed || job_held(x, job_index(p)) != o);
}

/* settle: one ended pod: into the status, or, when the cached status has it, its finalizer goes. */
static void
settle(struct job_sync *x, const struct informer_obj *o, struct doc *succeeded, struct doc *failed,
	bool told)
{
	const struct core_v1_pod *p = o->obj;
	bool done = str_eq(p->status.phase, STR("Succeeded")), failed_now = job_pod_failed(x->j, p);
	/* A Job that fails takes all its pods with it; one that succeeds does not mind those it deletes. */
	if (str_eq(x->end.type, STR("FailureTarget")))
		failed_now = true;
	else if (x->end.type.n)
		failed_now = str_eq(p->status.phase, STR("Failed"));
	bool counts = !x->indexed || job_index_valid(x, p), in_status = job_lists(x, o->uid);
	if (in_status) {
		/* its finalizer goes */
	} else if (done && x->indexed) {
		in_status = !counts || intervals_have(x->was_done, job_index(p));
	} else if (done) {
		doc_append(succeeded, doc_str(x->a, o->uid));
	} else if (failed_now && counts && job_failure_counts(x->j, p)) {
		doc_append(failed, doc_str(x->a, o->uid));
	} else {
		in_status = true;
	}
	if (!in_status || !told)
		return;
	if (workload_release(x->s->w, o, batch_done, x->s->b) == 0)
		x->s->b->left++;
	else
		x->s->b->failed = true;
}

static int
pod_order(const void *px, const void *py)
{
	const struct informer_obj *const *x = px, *const *y = py;
	int32_t ix = job_index((*x)->obj), iy = job_index((*y)->obj);
	return ix != iy ? (ix < iy ? -1 : 1) : str_cmp((*x)->uid, (*y)->uid);
}

/* track: brings the lists of the status up to date. Returns whether pods are left that must be counted. */
static bool
track(struct job_sync *x)
{
	const struct batch_v1_uncounted_terminated_pods none = {0},
							*u = x->j->status.uncounted_terminated_pods;
	u = u ? u : &none;
	struct doc *lists = doc_map(x->a);
	struct doc *succeeded = keep_uncounted(
		x, u->succeeded, u->n_succeeded, STR("succeeded"), !x->indexed);
	struct doc *failed = keep_uncounted(x, u->failed, u->n_failed, STR("failed"), true);
	bool told = !x->end.type.n || (workload_condition(x->status, x->end.type) != NULL),
	     left = false;
	if (!lists || !succeeded || !failed)
		return true;
	if (x->indexed && x->s->n_pods)
		qsort(x->s->pods, x->s->n_pods, sizeof(*x->s->pods), pod_order);
	for (size_t i = 0; i < x->s->n_pods; i++) {
		const struct informer_obj *o = x->s->pods[i];
		if (!workload_has_finalizer(x->s->w, o->obj) || !may_go(x, o))
			continue;
		left = true;
		if (doc_len(succeeded) + doc_len(failed) < UNCOUNTED_MAX)
			settle(x, o, succeeded, failed, told);
	}
	if (doc_len(succeeded))
		doc_set(lists, STR("succeeded"), succeeded);
	if (doc_len(failed))
		doc_set(lists, STR("failed"), failed);
	doc_set(x->status, STR("uncountedTerminatedPods"), lists);
	return left || doc_len(lists);
}

static void
put_number(struct job_sync *x, struct str member, int32_t n)
{
	doc_set(x->status, member, n ? doc_int(x->a, n) : NULL);
}

void
job_status(struct job_sync *x)
{
	struct doc *was = doc_copy(x->a, x->status);
	bool left = track(x);
	put_number(x, STR("active"), (int32_t)x->n_active);
	doc_set_int(x->a, x->status, STR("ready"), x->ready);
	doc_set_int(x->a, x->status, STR("terminating"), x->terminating);
	if (x->indexed) {
		struct str text = intervals_text(x->a, x->done);
		put_number(x, STR("succeeded"), intervals_total(x->done));
		doc_set(x->status, STR("completedIndexes"), text.n ? doc_str(x->a, text) : NULL);
		if (x->j->spec.has_backoff_limit_per_index)
			doc_set_str(x->a, x->status, STR("failedIndexes"),
				intervals_text(x->a, x->lost));
	}
	if (!x->j->status.start_time && !x->j->spec.suspend)
		put_time(x, STR("startTime"));
	if (x->s->met && !x->end.type.n && !x->j->metadata.deletion_timestamp)
		put_suspended(x);
	bool told = job_condition(x->j, "SuccessCriteriaMet") ||
		job_condition(x->j, "FailureTarget");
	if (x->end.type.n)
		put_condition(x, x->end.type, true, x->end.reason, x->end.message);
	if (told && !left && !x->terminating && !x->n_active && x->s->met) {
		bool ok = str_eq(x->end.type, STR("SuccessCriteriaMet"));
		put_condition(x, ok ? STR("Complete") : STR("Failed"), true, x->end.reason,
			x->end.message);
		if (ok)
			put_time(x, STR("completionTime"));
	}
	if (was && !doc_equal(was, x->status))
		batch_write_status(x->s->b, x->s->w->c, CONTROL_JOBS, x->s->o, x->status);
}
