/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * HorizontalPodAutoscalers on virtual time: what they do to a Deployment, and what they say. Metrics come from custom
 * resources of the group that a metrics server would serve. */
#include "tests/sim/play.h"

extern const struct controller node_ipam_controller, node_lifecycle_controller,
	deployment_controller, replicaset_controller, hpa_controller;
static const struct controller *const table[] = {&node_ipam_controller, &node_lifecycle_controller,
	&deployment_controller, &replicaset_controller, &hpa_controller, NULL};

#define DEPLOYMENT(name, replicas)                                                                 \
	{                                                                                          \
		CLIENT_CREATE, "deployments", "default", "",                                       \
			"{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"replicas\":" replicas   \
			",\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":{"             \
			"\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"containers\":[{"      \
			"\"name\":\"c\",\"image\":\"i\",\"resources\":{\"requests\":{\"cpu\":"     \
			"\"100m\"}}}]}}}}",                                                        \
			-1, 201, NULL, 5                                                           \
	}
#define HPA(name, more)                                                                            \
	{                                                                                          \
		CLIENT_CREATE, "v2:horizontalpodautoscalers", "default", "",                       \
			"{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"scaleTargetRef\":{"     \
			"\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"name\":\"d\"},"      \
			"\"maxReplicas\":5" more "}}",                                             \
			-1, 201, NULL, 20                                                          \
	}
#define HPA_IS(name, holds)                                                                        \
	{                                                                                          \
		CLIENT_GET, "v2:horizontalpodautoscalers", "default", name, NULL, -1, 200, holds,  \
			0                                                                          \
	}
#define REPLICAS(n)                                                                                \
	{                                                                                          \
		CLIENT_GET, "deployments", "default", "d", NULL, -1, 200, "\"replicas\":" n ",", 0 \
	}
#define EVENTS(holds)                                                                              \
	{                                                                                          \
		CLIENT_GET, "events", "default", "", NULL, -1, 200, holds, 0                       \
	}
#define METRICS_API                                                                                \
	{                                                                                          \
		CLIENT_CREATE, "customresourcedefinitions", "", "",                                \
			"{\"metadata\":{\"name\":\"pods.metrics.k8s.io\",\"annotations\":{"        \
			"\"api-approved.kubernetes.io\":\"unapproved, of a test\"}},\"spec\":{"    \
			"\"group\":\"metrics.k8s.io\",\"scope\":\"Namespaced\",\"names\":{"        \
			"\"plural\":\"pods\",\"kind\":\"PodMetrics\"},\"versions\":[{\"name\":"    \
			"\"v1beta1\",\"served\":true,\"storage\":true,\"schema\":{"                \
			"\"openAPIV3Schema\":{\"type\":\"object\","                                \
			"\"x-kubernetes-preserve-unknown-fields\":true}}}]}}",                     \
			-1, 201, NULL, 5                                                           \
	}
/* What one pod was measured at: by the name of a ReplicaSet's pod nobody knows beforehand. */
#define MEASURED(pod, cpu, labels)                                                                 \
	CLIENT_CREATE, "metrics.k8s.io:pods", "default", "",                                       \
		"{\"apiVersion\":\"metrics.k8s.io/v1beta1\",\"kind\":\"PodMetrics\","              \
		"\"metadata\":{\"name\":\"" pod "\",\"labels\":{" labels                           \
		"}},\"timestamp\":\"2024-11-14T22:13:20Z\",\"window\":\"30s\",\"containers\":[{"   \
		"\"name\":\"c\",\"usage\":{\"cpu\":\"" cpu "\",\"memory\":\"10Mi\"}}]}",           \
		-1, 201, NULL, 0

TEST(a_count_beyond_the_bounds_is_set_to_them)
{
	static const struct act acts[] = {PLAY_ACCOUNT, DEPLOYMENT("d", "9"), HPA("h", ""),
		REPLICAS("5"),
		HPA_IS("h",
			"\"reason\":\"NotScaledToZero\"|\"lastScaleTime\":|\"desiredReplicas\":5"),
		EVENTS("1*New size: 5; reason: Current number of replicas above Spec.MaxReplicas|"
		       "horizontal-pod-autoscaler"),
		{CLIENT_PATCH_MERGE, "v2:horizontalpodautoscalers", "default", "h",
			"{\"spec\":{\"minReplicas\":6,\"maxReplicas\":8}}", -1, 200, NULL, 5},
		REPLICAS("6"), EVENTS("Current number of replicas below Spec.MinReplicas")};
	PLAY(1, acts);
}

TEST(without_metrics_nothing_is_done_and_it_is_said_why)
{
	static const struct act acts[] = {PLAY_ACCOUNT, DEPLOYMENT("d", "2"), HPA("h", ""),
		REPLICAS("2"),
		HPA_IS("h",
			"\"type\":\"AbleToScale\",\"status\":\"True\"|\"reason\":"
			"\"SucceededGetScale\"|\"type\":\"ScalingActive\",\"status\":\"False\"|"
			"\"reason\":\"FailedGetResourceMetric\",\"message\":\"the HPA was unable to "
			"compute the replica count: failed to get cpu utilization: unable to get "
			"metrics for resource cpu: unable to fetch metrics from resource metrics "
			"API: the server could not find the requested resource (get "
			"pods.metrics.k8s.io)\"|\"currentReplicas\":2,\"desiredReplicas\":0"),
		EVENTS("\"reason\":\"FailedGetResourceMetric\",\"message\":\"failed to get cpu "
		       "utilization: unable to get metrics")};
	PLAY(1, acts);
}

TEST(a_target_that_is_not_there_is_told)
{
	static const struct act acts[] = {PLAY_ACCOUNT, HPA("h", ""),
		HPA_IS("h",
			"\"type\":\"AbleToScale\",\"status\":\"False\"|\"reason\":"
			"\"FailedGetScale\",\"message\":\"the HPA controller was unable to get the "
			"target's current scale: deployments.apps \\\"d\\\" not found\""),
		EVENTS("\"reason\":\"FailedGetScale\""),
		{CLIENT_PATCH_MERGE, "v2:horizontalpodautoscalers", "default", "h",
			"{\"spec\":{\"scaleTargetRef\":{\"kind\":\"Nothing\"}}}", -1, 200, NULL, 5},
		HPA_IS("h", "no matches for kind \\\"Nothing\\\" in group \\\"apps\\\""),
		{CLIENT_DELETE, "v2:horizontalpodautoscalers", "default", "h", NULL, -1, 200, NULL,
			30}};
	PLAY(1, acts);
}

TEST(a_target_of_no_replicas_is_left_alone)
{
	static const struct act acts[] = {PLAY_ACCOUNT, DEPLOYMENT("d", "0"), HPA("h", ""),
		HPA_IS("h",
			"\"reason\":\"ScalingDisabled\",\"message\":\"scaling is disabled since the "
			"replica count of the target is zero\""),
		{CLIENT_GET, "deployments", "default", "d", NULL, -1, 200, "\"replicas\":0,", 0}};
	PLAY(1, acts);
}

TEST(two_autoscalers_of_the_same_pods_stand_still)
{
	static const struct act acts[] = {PLAY_ACCOUNT, DEPLOYMENT("d", "2"), HPA("one", ""),
		HPA("two", ""),
		HPA_IS("two",
			"\"reason\":\"AmbiguousSelector\",\"message\":\"pods by selector a=b are "
			"controlled by more than one HPA (e.g. [{two default} {one default}])\"")};
	PLAY(1, acts);
}

/* A pod that is made by hand, with a name to be measured by. */
#define POD(name)                                                                                  \
	{                                                                                          \
		CLIENT_CREATE, "pods", "default", "",                                              \
			"{\"metadata\":{\"name\":\"" name "\",\"labels\":{\"a\":\"b\"}},\"spec\":" \
			"{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"resources\":{"         \
			"\"requests\":{\"cpu\":\"100m\"}}}]}}",                                    \
			-1, 201, NULL, 1                                                           \
	}
#define RC(replicas)                                                                               \
	{                                                                                          \
		CLIENT_CREATE, "replicationcontrollers", "default", "",                            \
			"{\"metadata\":{\"name\":\"rc\"},\"spec\":{\"replicas\":" replicas         \
			",\"selector\":{\"a\":\"b\"},\"template\":{\"metadata\":{\"labels\":{"     \
			"\"a\":\"b\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":"       \
			"\"i\"}]}}}}",                                                             \
			-1, 201, NULL, 0                                                           \
	}

/* Nobody makes the pods of the target: those that are there by hand are measured. */
TEST(load_above_the_target_makes_more_and_a_window_keeps_them)
{
	static const struct controller *const alone[] = {
		&node_ipam_controller, &node_lifecycle_controller, &hpa_controller, NULL};
	static const struct act acts[] = {PLAY_ACCOUNT, METRICS_API, POD("p1"), POD("p2"), RC("2"),
		{CLIENT_GET, "pods", "default", "p1", NULL, -1, 200, NULL, 400},
		{MEASURED("p1", "60m", "\"a\":\"b\"")}, {MEASURED("p2", "100m", "\"a\":\"b\"")},
		{MEASURED("other", "9", "\"a\":\"c\"")},
		{CLIENT_CREATE, "v2:horizontalpodautoscalers", "default", "",
			"{\"metadata\":{\"name\":\"h\"},\"spec\":{\"scaleTargetRef\":{\"apiVersion\":"
			"\"v1\",\"kind\":\"ReplicationController\",\"name\":\"rc\"},\"maxReplicas\":"
			"10,\"metrics\":[{\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\","
			"\"target\":{\"type\":\"Utilization\",\"averageUtilization\":50}}}]}}",
			-1, 201, NULL, 5},
		{CLIENT_GET, "replicationcontrollers", "default", "rc", NULL, -1, 200,
			"\"replicas\":4,", 0},
		HPA_IS("h",
			"\"currentMetrics\":[{\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\","
			"\"current\":{\"averageValue\":\"80m\",\"averageUtilization\":80}}}]|"
			"\"reason\":\"ValidMetricFound\",\"message\":\"the HPA was able to "
			"successfully calculate a replica count from cpu resource utilization "
			"(percentage of request)\""),
		EVENTS("New size: 4; reason: cpu resource utilization (percentage of request) above "
		       "target"),
		{CLIENT_PATCH_MERGE, "metrics.k8s.io:pods", "default", "p1",
			"{\"containers\":[{\"name\":\"c\",\"usage\":{\"cpu\":\"10m\"}}]}", -1, 200,
			NULL, 0},
		{CLIENT_PATCH_MERGE, "metrics.k8s.io:pods", "default", "p2",
			"{\"containers\":[{\"name\":\"c\",\"usage\":{\"cpu\":\"10m\"}}]}", -1, 200,
			NULL, 60},
		{CLIENT_GET, "replicationcontrollers", "default", "rc", NULL, -1, 200,
			"\"replicas\":4,", 0},
		HPA_IS("h", "\"reason\":\"ScaleDownStabilized\""),
		{CLIENT_GET, "replicationcontrollers", "default", "rc", NULL, -1, 200, NULL, 320},
		{CLIENT_GET, "replicationcontrollers", "default", "rc", NULL, -1, 200,
			"\"replicas\":1,", 0},
		EVENTS("New size: 1; reason: All metrics below target")};
	CHECK_INT(play(alone, 1, acts, ARRAY_LEN(acts)), 0);
}
