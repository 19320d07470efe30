/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * HorizontalPodAutoscalers between autoscaling/v1 and v2. */
#include "orchestrator/kinds/hpa.c"

#include "tests/unit/test.h"

static struct str
turned(struct arena *a, struct str text, bool to_stored)
{
	struct doc *d = NULL;
	struct buf b;
	buf_init_arena(&b, a);
	CHECK_INT(doc_parse_json(a, text, NULL, &d, NULL), 0);
	hpa_between(a, d, to_stored);
	doc_write_json(&b, d);
	return buf_view(&b);
}

#define CPU(n)                                                                                     \
	"{\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\",\"target\":{\"type\":"              \
	"\"Utilization\",\"averageUtilization\":" n "}}}"

TEST(the_share_of_cpu_has_a_member_of_its_own)
{
	struct arena *a = arena_new(0);
	CHECK_STR(turned(a,
			  STR("{\"metadata\":{\"name\":\"h\"},\"spec\":{\"scaleTargetRef\":{"
			      "\"kind\":\"D\"},\"maxReplicas\":3,\"metrics\":[" CPU(
				      "40") "]},"
					    "\"status\":{\"desiredReplicas\":0}}"),
			  false),
		"{\"metadata\":{\"name\":\"h\"},\"spec\":{\"scaleTargetRef\":{\"kind\":\"D\"},"
		"\"maxReplicas\":3,\"targetCPUUtilizationPercentage\":40},\"status\":{"
		"\"desiredReplicas\":0}}");
	CHECK_STR(turned(a,
			  STR("{\"metadata\":{\"name\":\"h\"},\"spec\":{\"maxReplicas\":3,"
			      "\"targetCPUUtilizationPercentage\":40}}"),
			  true),
		"{\"metadata\":{\"name\":\"h\"},\"spec\":{\"maxReplicas\":3,\"metrics\":[" CPU(
			"40") "]}}");
	/* who says nothing wants what the older version always wanted */
	CHECK_STR(turned(a, STR("{\"metadata\":{},\"spec\":{\"maxReplicas\":3}}"), true),
		"{\"metadata\":{},\"spec\":{\"maxReplicas\":3,\"metrics\":[" CPU("80") "]}}");
	arena_free(a);
}

/* What v1 has no member for comes back from the annotations as it was. */
TEST(everything_comes_back)
{
	static const char *const specs[] = {
		"\"metrics\":[{\"type\":\"Object\",\"object\":{\"describedObject\":{\"kind\":\"K\","
		"\"name\":\"n\"},\"metric\":{\"name\":\"m\",\"selector\":{\"matchLabels\":{\"a\":"
		"\"b\"}}},\"target\":{\"value\":\"3\",\"type\":\"Value\"}}}," CPU("7") "]",
		"\"metrics\":[{\"type\":\"Pods\",\"pods\":{\"metric\":{\"name\":\"m\"},\"target\":{"
		"\"averageValue\":\"1k\",\"type\":\"AverageValue\"}}},{\"type\":\"External\","
		"\"external\":{\"metric\":{\"name\":\"e\"},\"target\":{\"value\":\"2\",\"type\":"
		"\"Value\"}}}]",
		"\"metrics\":[{\"type\":\"Resource\",\"resource\":{\"name\":\"memory\",\"target\":{"
		"\"averageValue\":\"1Gi\",\"type\":\"AverageValue\"}}},{\"type\":"
		"\"ContainerResource\",\"containerResource\":{\"name\":\"cpu\",\"target\":{"
		"\"averageUtilization\":9,\"type\":\"Utilization\"},\"container\":\"c\"}}],"
		"\"behavior\":{\"scaleUp\":{\"stabilizationWindowSeconds\":0,\"selectPolicy\":"
		"\"Max\",\"policies\":[{\"type\":\"Pods\",\"value\":4,\"periodSeconds\":15}]},"
		"\"scaleDown\":{\"tolerance\":\"100m\"}}",
	};
	for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
		struct arena *a = arena_new(0);
		struct str text = arena_fmt(a,
			"{\"metadata\":{\"name\":\"h\",\"annotations\":{\"mine\":\"x\"}},\"spec\":{"
			"\"maxReplicas\":3,%s}}",
			specs[i]);
		struct str old = turned(a, text, false);
		CHECK(str_find(old, STR("autoscaling.alpha.kubernetes.io/metrics")) >= 0);
		CHECK(str_find(old, STR("\"metrics\":[")) < 0);
		CHECK_STR(turned(a, old, true), text);
		arena_free(a);
	}
}

TEST(a_behavior_stands_in_the_annotation_with_the_names_of_gos_structs)
{
	struct arena *a = arena_new(0);
	struct str old = turned(a,
		STR("{\"metadata\":{},\"spec\":{\"metrics\":[" CPU(
			"1") "],\"behavior\":{"
			     "\"scaleDown\":{\"policies\":[{\"type\":\"Pods\",\"value\":4,"
			     "\"periodSeconds\":15}]}}}}"),
		false);
	CHECK_STR(old,
		"{\"metadata\":{\"annotations\":{\"autoscaling.alpha.kubernetes.io/behavior\":"
		"\"{\\\"ScaleUp\\\":null,\\\"ScaleDown\\\":{\\\"StabilizationWindowSeconds\\\":null,"
		"\\\"SelectPolicy\\\":null,\\\"Policies\\\":[{\\\"Type\\\":\\\"Pods\\\","
		"\\\"Value\\\":4,\\\"PeriodSeconds\\\":15}],\\\"Tolerance\\\":null}}\"}},\"spec\":{"
		"\"targetCPUUtilizationPercentage\":1}}");
	arena_free(a);
}

TEST(conditions_and_measured_values_are_told_in_annotations)
{
	struct arena *a = arena_new(0);
	struct str text = STR("{\"metadata\":{},\"spec\":{\"metrics\":[" CPU(
		"1") "]},\"status\":{\"currentReplicas\":2,\"desiredReplicas\":2,"
		     "\"currentMetrics\":[{\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\","
		     "\"current\":{\"averageUtilization\":50,\"averageValue\":\"5m\"}}}],\"conditions\":["
		     "{\"type\":\"AbleToScale\",\"status\":\"True\",\"lastTransitionTime\":"
		     "\"2023-11-14T22:13:20Z\",\"reason\":\"R\",\"message\":\"a<b\"}]}}");
	struct str old = turned(a, text, false);
	CHECK(str_find(old, STR("\"currentCPUUtilizationPercentage\":50")) >= 0);
	CHECK(str_find(old, STR("a\\\\u003cb")) >= 0);
	CHECK_STR(turned(a, old, true), text);
	arena_free(a);
}

TEST(annotations_that_are_no_such_thing_are_passed_over)
{
	static const char *const wrong[] = {"", "{", "7", "[1]", "[[]]", "{\\\"a\\\":1}"};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct arena *a = arena_new(0);
		struct str text = arena_fmt(a,
			"{\"metadata\":{\"annotations\":{\"autoscaling.alpha.kubernetes.io/metrics\":"
			"\"%s\"}},\"spec\":{\"maxReplicas\":1}}",
			wrong[i]);
		CHECK_STR(turned(a, text, true),
			"{\"metadata\":{},\"spec\":{\"maxReplicas\":1,\"metrics\":[" CPU(
				"80") "]}}");
		arena_free(a);
	}
}
