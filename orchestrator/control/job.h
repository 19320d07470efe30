/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * job: what the files of the Job controller share: job.c (sync: is it over), job_status.c (what is
 * counted), job_pods.c (which pods are made and which go), job_index.c (completion indexes), job_policy.c (what a failure means).
 * Source: kube-controller-manager pkg/controller/job; KEP-2307 (finalizers), KEP-3329 (failure policy),
 * KEP-3850 (limits of an index), KEP-3939 (replacement), KEP-3998 (success policy), KEP-4368 (managedBy). */
#ifndef ORCHESTRATOR_CONTROL_JOB_H
#define ORCHESTRATOR_CONTROL_JOB_H

#include "orchestrator/control/workload.h"

#include "kinds/batch_v1.h"
#include "kinds/core_v1.h"

#define JOB_FINALIZER "batch.kubernetes.io/job-tracking"
#define JOB_INDEX STR("batch.kubernetes.io/job-completion-index")
#define JOB_INDEX_FAILURES STR("batch.kubernetes.io/job-index-failure-count")
#define JOB_INDEX_IGNORED STR("batch.kubernetes.io/job-index-ignored-failure-count")

/* Sorted sets of indexes as intervals; they do not touch. "0-3,5,7,8". */
struct interval {
	int32_t first, last;
};
struct intervals {
	struct interval *v;
	size_t n;
};
/* intervals_parse: indexes below `below`; what is no interval is passed over. arena. */
struct intervals intervals_parse(struct arena *a, struct str s, int32_t below);
/* intervals_of: n indexes in any order, which are sorted. arena. */
struct intervals intervals_of(struct arena *a, int32_t *v, size_t n);
struct intervals intervals_merge(struct arena *a, struct intervals x, struct intervals y);
struct str intervals_text(struct arena *a, struct intervals x); /* arena */
int32_t intervals_total(struct intervals x);
bool intervals_have(struct intervals x, int32_t index);
/* intervals_common: how many indexes both have. */
int32_t intervals_common(struct intervals x, struct intervals y);

/* What is remembered of a Job: failures in a row, for the time before the next pod. Lost with a restart. */
struct job_memory {
	int32_t failures;
	int64_t failed_ns;
	struct map counted; /* uids: in `failures`, and not yet in the status */
};

/* How a Job ends: the condition it is about to get. */
struct job_end {
	struct str type; /* FailureTarget or SuccessCriteriaMet; "" = not yet */
	struct str reason, message;
};

/* One sync. */
struct job_sync {
	struct workload_sync *s;
	struct arena *a;
	const struct batch_v1_job *j;
	struct job_memory *m;
	struct doc *status; /* as it will be written */
	struct map
		listed; /* uids of pods that the cached status has not yet counted: see job_list */
	const struct informer_obj **active;
	size_t n_active;
	int32_t ready, terminating;
	int32_t succeeded, failed; /* with those that are not yet in the status */
	bool indexed;
	int32_t completions; /* of an indexed Job */
	struct intervals was_done, done,
		lost; /* indexes that succeeded: by the status, by now; that failed */
	const struct informer_obj **held; /* failed pods that wait for the next of their index */
	size_t n_held;
	struct job_end end;
};

/* ---- job_policy.c: pure ---- */
/* job_pod_failed: also one that is going away, unless only ended pods are replaced. */
bool job_pod_failed(const struct batch_v1_job *j, const struct core_v1_pod *p);
bool job_replaces_ended(const struct batch_v1_job *j);
/* job_failure: the rule that a failed pod meets: its action, "" = none. *ret_message (may be NULL): of FailJob. */
struct str job_failure(struct arena *a, const struct batch_v1_job *j, const struct core_v1_pod *p,
	struct str *ret_message);
bool job_failure_counts(const struct batch_v1_job *j, const struct core_v1_pod *p);
/* job_success: the first rule of the success policy that is met; -1 = none. */
int job_success(struct arena *a, const struct batch_v1_job *j, struct intervals done);
int64_t job_finished_ns(const struct core_v1_pod *p);
/* job_wait_ns: how long after so many failures in a row, the last then. 0 = it is time. */
int64_t job_wait_ns(int32_t failures, int64_t failed_ns);

/* ---- job_index.c ---- */
int32_t job_index(const struct core_v1_pod *p); /* -1 = has none */
bool job_index_valid(const struct job_sync *x, const struct core_v1_pod *p);
/* job_index_failures: of pods of its index before it; ignored: with those that did not count. */
int32_t job_index_failures(const struct core_v1_pod *p, bool ignored);
/* job_indexes: fills was_done, done, lost, held. */
void job_indexes(struct job_sync *x);
const struct informer_obj *job_held(const struct job_sync *x, int32_t index); /* NULL = none */
/* job_pending: at most n indexes without a pod, the lowest. arena. */
int32_t *job_pending(struct job_sync *x, size_t n, size_t *ret_n);

/* ---- job_pods.c ---- */
/* job_pods: makes and deletes pods as the spec says. */
void job_pods(struct job_sync *x);

/* ---- job_status.c ---- */
/* job_condition: of this type, and True; NULL = none. */
const struct batch_v1_job_condition *job_condition(const struct batch_v1_job *j, const char *type);
/* job_ended: Complete or Failed, whichever it is; NULL = it has not. */
const struct batch_v1_job_condition *job_ended(const struct batch_v1_job *j);
/* job_list: fills `listed`, which the caller releases. job_lists: is the pod there? */
void job_list(struct job_sync *x);
bool job_lists(const struct job_sync *x, struct str uid);
/* job_status: brings the status up to date and writes it when it differs; finalizers go. */
void job_status(struct job_sync *x);

#endif
