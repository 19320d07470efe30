/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hpa: what the files of the HorizontalPodAutoscaler controller share.
 *
 *   hpa.c           a look at one autoscaler: scale -> metrics -> wanted -> scale, status
 *   hpa_metric.c    one metric of it: what is asked of which metrics API, what the answer means
 *   hpa_samples.c   answers of the metrics APIs as numbers
 *   hpa_replicas.c  numbers and pods as a count of replicas; pure
 *   hpa_limits.c    how fast and how far that may go; pure, with what was wanted and done lately
 *
 * Source: kube-controller-manager pkg/controller/podautoscaler (KEP-117, 853, 1610, 4951, 2021). */
#ifndef ORCHESTRATOR_CONTROL_HPA_H
#define ORCHESTRATOR_CONTROL_HPA_H

#include "orchestrator/control/control.h"

#include "kinds/autoscaling_v2.h"
#include "kinds/core_v1.h"

/* ---- hpa_samples.c ---- */
/* What one pod, or one series of values, was measured at; milli units. */
struct hpa_sample {
	struct str pod;
	int64_t milli, at_ns, window_ns;
};
struct hpa_samples {
	struct hpa_sample *v;
	size_t n;
};
/* hpa_sum: at the bounds where it would wrap around: a metrics API may say anything. */
static inline int64_t
hpa_sum(int64_t a, int64_t b)
{
	int64_t sum;
	return !__builtin_add_overflow(a, b, &sum) ? sum : b < 0 ? INT64_MIN : INT64_MAX;
}
/* hpa_samples_resource: of a PodMetricsList: each pod's sum over its containers, or one container's. A pod that lacks
 * a value is left out. *ret_any: the list had items. arena; strings are of `list`. */
void hpa_samples_resource(struct arena *a, const struct doc *list, struct str resource,
	struct str container, struct hpa_samples *ret, bool *ret_any);
/* hpa_samples_values: of a MetricValueList or ExternalMetricValueList. */
void hpa_samples_values(struct arena *a, const struct doc *list, struct hpa_samples *ret);

/* ---- hpa_replicas.c ---- */
struct hpa_tolerance {
	double down, up;
};
struct hpa_pods {
	const struct core_v1_pod **v;
	size_t n;
};
/* What a count is made of. Texts are "" where they are not meant. */
struct hpa_ask {
	struct arena *a;
	struct hpa_pods pods; /* that the scale's selector selects */
	struct hpa_samples samples;
	struct str resource, container;
	int32_t current, told; /* replicas wanted and counted by the scale */
	struct hpa_tolerance tolerance;
	int64_t now_ns;
};
struct hpa_proposal {
	int32_t replicas, percent;
	int64_t milli; /* the value that was compared with the target */
};
/* All give 0, or -EINVAL and why not (arena). hpa_by_share: percent of what pods ask for. hpa_by_average: each pod's
 * value. hpa_by_value: one value against its target. hpa_by_value_per_pod: one value divided among pods. */
int hpa_by_share(
	struct hpa_ask *q, int32_t target_percent, struct hpa_proposal *ret, struct str *why);
int hpa_by_average(
	struct hpa_ask *q, int64_t target_milli, struct hpa_proposal *ret, struct str *why);
int hpa_by_value(struct hpa_ask *q, int64_t milli, int64_t target_milli, struct hpa_proposal *ret,
	struct str *why);
void hpa_by_value_per_pod(
	const struct hpa_ask *q, int64_t milli, int64_t target_milli, struct hpa_proposal *ret);

/* ---- hpa_limits.c ---- */
struct hpa_change {
	int64_t at_ns;
	int32_t n;
};
/* What was wanted and what was done lately, of one autoscaler. */
struct hpa_history {
	struct hpa_change *wanted, *up, *down;
	size_t n_wanted, n_up, n_down;
};
void hpa_history_release(struct hpa_history *h);
/* hpa_history_begin: what there is counts as wanted, if nothing was yet. */
void hpa_history_begin(struct hpa_history *h, int32_t replicas, int64_t now_ns);
/* hpa_history_done: the scale was changed; kept as long as a policy of the behavior looks back. */
void hpa_history_done(struct hpa_history *h,
	const struct autoscaling_v2_horizontal_pod_autoscaler_behavior *b, int32_t from, int32_t to,
	int64_t now_ns);
/* Why the count is what it is: for the conditions AbleToScale and ScalingLimited; static. */
struct hpa_verdict {
	int32_t replicas;
	bool limited;
	const char *able_reason, *able_message, *limit_reason, *limit_message;
};
/* hpa_limit: `wanted` within what the spec allows; remembers that it was wanted. */
void hpa_limit(struct hpa_history *h,
	const struct autoscaling_v2_horizontal_pod_autoscaler_spec *spec, int32_t current,
	int32_t wanted, int64_t now_ns, struct hpa_verdict *ret);

/* ---- hpa_metric.c ---- */
/* What is asked for one metric. path: with its query; fallback: asked where that is not there; "" = nothing.
 * resource: as a refusal names it, "pods.metrics.k8s.io". */
struct hpa_metric {
	struct str path, fallback, resource;
};
/* What it came to. */
struct hpa_result {
	struct hpa_proposal proposal;
	struct str name;    /* "cpu resource utilization (percentage of request)" */
	struct doc *status; /* of status.currentMetrics */
	struct str why;     /* it was not found: the whole text; "" = it was */
	struct str reason;  /* then of condition and event: "FailedGetResourceMetric" ... */
	struct str cause;   /* ... and their text */
};
/* hpa_metric_ask: pods: the selector, as text; object_resource: what an Object metric describes, "deployments.apps".
 * arena. */
void hpa_metric_ask(struct arena *a, const struct autoscaling_v2_metric_spec *m, struct str ns,
	struct str pods, struct str object_resource, struct hpa_metric *ret);
/* hpa_metric_answer: list: the answer; NULL = `failure` says what became of it. */
void hpa_metric_answer(struct hpa_ask *q, const struct autoscaling_v2_metric_spec *m, struct str ns,
	const struct doc *list, struct str failure, struct hpa_result *ret);

#endif
