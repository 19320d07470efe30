/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * job: pods until enough have succeeded. One sync looks at the pods, decides whether the Job is over, makes or
 * deletes pods (job_pods.c), and writes the status once (job_status.c).
 * Source: kube-controller-manager pkg/controller/job (syncJob), in its order of what counts first. */
#include "orchestrator/control/job.h"

#include <stdlib.h>

#define MANAGER STR("kubernetes.io/job-controller")

static bool
is_ours(const struct batch_v1_job *j)
{
	return !j->spec.managed_by.n || str_eq(j->spec.managed_by, MANAGER);
}

/* ---- counting ---- */

/* is_new: ended and neither counted nor listed. */
static bool
is_new(const struct job_sync *x, const struct core_v1_pod *p)
{
	return workload_has_finalizer(x->s->w, p) && !job_lists(x, p->metadata.uid) &&
		(!x->indexed || job_index_valid(x, p));
}

/* remember: failures in a row, by the time of their ends; a pod is looked at once. */
static void
remember(struct job_sync *x)
{
	struct job_memory *m = x->m;
	struct map now;
	int64_t done_ns = 0;
	map_init(&now);
	for (int failed = 0; failed < 2; failed++)
		for (size_t i = 0; i < x->s->n_pods; i++) {
			const struct core_v1_pod *p = x->s->pods[i]->obj;
			bool done = str_eq(p->status.phase, STR("Succeeded"));
			if (!is_new(x, p) || (failed ? !job_pod_failed(x->j, p) : !done))
				continue;
			map_put(&now, p->metadata.uid, x, NULL);
			if (map_get(&m->counted, p->metadata.uid))
				continue;
			int64_t at = job_finished_ns(p);
			if (!failed) {
				m->failures = 0;
				m->failed_ns = 0;
				done_ns = at > done_ns ? at : done_ns;
			} else if (at > done_ns) {
				m->failures++;
				m->failed_ns = at > m->failed_ns ? at : m->failed_ns;
			}
		}
	map_release(&m->counted);
	m->counted = now;
}

static void
count(struct job_sync *x)
{
	const struct batch_v1_job_status *st = &x->j->status;
	const struct batch_v1_uncounted_terminated_pods *u = st->uncounted_terminated_pods;
	x->active = workload_active(x->s, &x->n_active);
	x->succeeded = st->succeeded + (int32_t)(u ? u->n_succeeded : 0);
	x->failed = st->failed + (int32_t)(u ? u->n_failed : 0);
	for (size_t i = 0; i < x->s->n_pods; i++) {
		const struct core_v1_pod *p = x->s->pods[i]->obj;
		x->terminating += pod_is_terminating(p);
		x->ready += pod_is_active(p) && pod_is_ready(p);
		if (!is_new(x, p))
			continue;
		x->succeeded += str_eq(p->status.phase, STR("Succeeded"));
		x->failed += job_pod_failed(x->j, p) && job_failure_counts(x->j, p);
	}
	remember(x);
	if (x->indexed) {
		job_indexes(x);
		x->succeeded = intervals_total(x->done);
	}
}

/* ---- is it over? ---- */

static bool
ends(struct job_sync *x, struct str type, struct str reason, struct str message)
{
	x->end = (struct job_end){type, reason, message};
	return true;
}

#define FAILS(reason, message) ends(x, STR("FailureTarget"), STR(reason), STR(message))

/* restarts_exceed: containers that are restarted in place count against the limit too. */
static bool
restarts_exceed(const struct job_sync *x)
{
	int64_t n = 0;
	if (!str_eq(x->j->spec.template.spec.restart_policy, STR("OnFailure")))
		return false;
	for (size_t i = 0; i < x->s->n_pods; i++) {
		const struct core_v1_pod *p = x->s->pods[i]->obj;
		if (!str_eq(p->status.phase, STR("Running")) &&
			!str_eq(p->status.phase, STR("Pending")))
			continue;
		for (size_t k = 0; k < p->status.n_init_container_statuses; k++)
			n += p->status.init_container_statuses[k].restart_count;
		for (size_t k = 0; k < p->status.n_container_statuses; k++)
			n += p->status.container_statuses[k].restart_count;
	}
	int64_t limit = x->j->spec.backoff_limit;
	return limit ? n >= limit : n > 0;
}

static bool
past_deadline(struct job_sync *x)
{
	const struct batch_v1_job_spec *spec = &x->j->spec;
	if (!spec->has_active_deadline_seconds || spec->suspend || !x->j->status.start_time)
		return false;
	int64_t left = x->j->status.start_time + spec->active_deadline_seconds * NS_PER_SEC -
		clock_wall_ns();
	if (left <= 0)
		return true;
	queue_add_after(x->s->w->q, x->s->o->key, left);
	return false;
}

static bool
policy_fails(struct job_sync *x)
{
	for (size_t i = 0; i < x->s->n_pods; i++) {
		const struct core_v1_pod *p = x->s->pods[i]->obj;
		struct str message = STR_NONE;
		if (job_pod_failed(x->j, p))
			job_failure(x->a, x->j, p, &message);
		if (message.n)
			return ends(x, STR("FailureTarget"), STR("PodFailurePolicy"), message);
	}
	return false;
}

static bool
indexes_end(struct job_sync *x)
{
	const struct batch_v1_job_spec *spec = &x->j->spec;
	int32_t lost = intervals_total(x->lost);
	if (!x->indexed)
		return false;
	if (spec->has_backoff_limit_per_index && spec->has_max_failed_indexes &&
		lost > spec->max_failed_indexes)
		return FAILS("MaxFailedIndexesExceeded",
			"Job has exceeded the specified maximal number of failed indexes");
	if (lost && lost + intervals_total(x->done) >= x->completions)
		return FAILS("FailedIndexes", "Job has failed indexes");
	int rule = job_success(x->a, x->j, x->done);
	return rule >= 0 &&
		ends(x, STR("SuccessCriteriaMet"), STR("SuccessPolicy"),
			arena_fmt(x->a, "Matched rules at index %d", rule));
}

/* decide: what an earlier sync said stays; failures come before success. */
static bool
decide(struct job_sync *x)
{
	static const char *const earlier[] = {"SuccessCriteriaMet", "FailureTarget"};
	for (size_t i = 0; i < ARRAY_LEN(earlier); i++) {
		const struct batch_v1_job_condition *c = job_condition(x->j, earlier[i]);
		if (c)
			return ends(x, c->type, c->reason, c->message);
	}
	if (policy_fails(x))
		return true;
	if (x->failed > x->j->spec.backoff_limit || restarts_exceed(x))
		return FAILS("BackoffLimitExceeded", "Job has reached the specified backoff limit");
	if (past_deadline(x))
		return FAILS("DeadlineExceeded", "Job was active longer than specified deadline");
	return indexes_end(x);
}

static bool
is_complete(const struct job_sync *x)
{
	if (x->n_active || !x->s->met)
		return false;
	return x->j->spec.has_completions ? x->succeeded >= x->j->spec.completions
					  : x->succeeded > 0;
}

/* ---- sync ---- */

/* sync_over: the pods of a Job that has ended need not be counted. */
static void
sync_over(struct workload_sync *s)
{
	for (size_t i = 0; i < s->n_pods; i++)
		if (workload_has_finalizer(s->w, s->pods[i]->obj))
			workload_release(s->w, s->pods[i], control_ignore, NULL);
}

/* act: what was counted says what is to be done. */
static void
act(struct job_sync *x)
{
	if (decide(x)) {
		if (x->s->met)
			workload_delete(x->s, x->active, x->n_active, false);
	} else {
		if (x->s->met && !x->j->metadata.deletion_timestamp)
			job_pods(x);
		if (is_complete(x))
			ends(x, STR("SuccessCriteriaMet"), STR("CompletionsReached"),
				STR("Reached expected number of succeeded pods"));
	}
	job_status(x);
}

static void
sync_job(struct workload_sync *s)
{
	const struct batch_v1_job *j = s->o->obj;
	struct job_sync x = {.s = s, .a = s->a, .j = j, .m = s->memory};
	if (!is_ours(j))
		return;
	if (job_ended(j)) {
		sync_over(s);
		return;
	}
	x.indexed = str_eq(j->spec.completion_mode, STR("Indexed"));
	x.completions = j->spec.has_completions ? j->spec.completions : 0;
	x.status = schema_from_struct(s->a, SCHEMA_TYPE_OF(batch_v1_job_status), &j->status);
	job_list(&x);
	count(&x);
	if (!x.status || arena_failed(s->a))
		s->b->failed = true;
	else
		act(&x);
	map_release(&x.listed);
}

/* ---- events, the row ---- */

static void
on_changed(struct workload *w, const struct informer_obj *old, const struct informer_obj *new_)
{
	const struct batch_v1_job *x = old ? old->obj : NULL, *y = new_ ? new_->obj : NULL;
	if (!x || !y || !str_eq(old->uid, new_->uid) || !is_ours(y))
		return;
	struct event_ref ref = control_ref(CONTROL_JOBS, new_);
	struct str who = STR("job-controller");
	const struct batch_v1_job_condition *failed = job_condition(y, "Failed");
	bool suspended = job_condition(y, "Suspended") != NULL;
	if (job_condition(y, "Complete") && !job_condition(x, "Complete")) {
		if (y->spec.has_completions && y->status.succeeded > y->spec.completions)
			client_event(w->c, &ref, "Warning", "TooManySucceededPods", who, STR(""),
				"Too many succeeded pods running after completion count reached");
		client_event(w->c, &ref, "Normal", "Completed", who, STR(""), "Job completed");
	}
	if (failed && !job_condition(x, "Failed")) {
		char reason[64];
		str_copy_c(failed->reason, reason, sizeof(reason));
		client_event(w->c, &ref, "Warning", reason, who, STR(""), STR_FMT,
			STR_ARG(failed->message));
	}
	if (suspended != (job_condition(x, "Suspended") != NULL))
		client_event(w->c, &ref, "Normal", suspended ? "Suspended" : "Resumed", who,
			STR(""), suspended ? "Job suspended" : "Job resumed");
}

static int
job_selector(struct arena *a, const void *owner, struct selector *ret)
{
	const struct batch_v1_job *j = owner;
	return is_ours(j) ? selector_from_struct(a, j->spec.selector, ret) : -ENOENT;
}

static void
job_forget(void *memory)
{
	map_release(&((struct job_memory *)memory)->counted);
}

static const struct workload_kind job_kind = {.resource = CONTROL_JOBS,
	.component = "job-controller",
	.finalizer = JOB_FINALIZER,
	.memory = sizeof(struct job_memory),
	.selector = job_selector,
	.sync = sync_job,
	.changed = on_changed,
	.forget = job_forget};

static int
job_start(struct control *ctl, struct client *c, void **ret)
{
	return workload_start(&job_kind, ctl, c, ret);
}

const struct controller job_controller = {
	"job-controller", job_start, workload_ready, workload_stop};
