/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * What is asked of the metrics APIs, and what their answers are taken for. */
#include "orchestrator/control/hpa_metric.c"

#include "kinds/meta_v1.h"

#include "tests/unit/test.h"

static struct autoscaling_v2_pods_metric_source by_each = {
	.metric = {.name = STR_INIT("hits")}, .target = {.average_value = STR_INIT("10")}};
static struct autoscaling_v2_external_metric_source outside = {
	.metric = {.name = STR_INIT("queue")}, .target = {.value = STR_INIT("10")}};
static struct autoscaling_v2_object_metric_source object = {
	.described_object = {STR_INIT("Ingress"), STR_INIT("in"), STR_INIT("networking.k8s.io/v1")},
	.target = {.type = STR_INIT("Value"), .value = STR_INIT("2k")},
	.metric = {.name = STR_INIT("rps")}};
static struct autoscaling_v2_resource_metric_source memory = {
	STR_INIT("memory"), {.type = STR_INIT("AverageValue"), .average_value = STR_INIT("1Mi")}};

TEST(each_type_has_its_place)
{
	struct str_pair one = {STR("a"), STR("b c")};
	struct meta_v1_label_selector sel = {.match_labels = &one, .n_match_labels = 1};
	struct autoscaling_v2_pods_metric_source with = by_each;
	with.metric.selector = &sel;
	const struct {
		struct autoscaling_v2_metric_spec m;
		const char *path, *fallback, *resource;
	} rows[] = {
		{{.resource = &memory},
			"/apis/metrics.k8s.io/v1beta1/namespaces/ns/pods?labelSelector=x%3Dy", "",
			"pods.metrics.k8s.io"},
		{{.pods = &with},
			"/apis/custom.metrics.k8s.io/v1beta2/namespaces/ns/pods/*/hits?"
			"labelSelector=x%3Dy&metricLabelSelector=a%3Db%20c",
			"/apis/custom.metrics.k8s.io/v1beta1/namespaces/ns/pods/*/hits?"
			"labelSelector=x%3Dy&metricLabelSelector=a%3Db%20c",
			"pods.custom.metrics.k8s.io *"},
		{{.object = &object},
			"/apis/custom.metrics.k8s.io/v1beta2/namespaces/ns/"
			"ingresses.networking.k8s.io/in/rps",
			"/apis/custom.metrics.k8s.io/v1beta1/namespaces/ns/"
			"ingresses.networking.k8s.io/in/rps",
			"ingresses.networking.k8s.io.custom.metrics.k8s.io in"},
		{{.external = &outside},
			"/apis/external.metrics.k8s.io/v1beta1/namespaces/ns/queue", "",
			"queue.external.metrics.k8s.io"},
	};
	struct arena *a = arena_new(0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct hpa_metric m;
		hpa_metric_ask(a, &rows[i].m, STR("ns"), STR("x=y"),
			STR("ingresses.networking.k8s.io"), &m);
		CHECK_STR(m.path, rows[i].path);
		CHECK_STR(m.fallback, rows[i].fallback);
		CHECK_STR(m.resource, rows[i].resource);
	}
	arena_free(a);
}

static struct core_v1_pod_condition ready = {.type = STR_INIT("Ready"), .status = STR_INIT("True")};
static struct core_v1_pod pod = {.metadata = {.name = STR_INIT("p")},
	.status = {.phase = STR_INIT("Running"), .conditions = &ready, .n_conditions = 1}};
static const struct core_v1_pod *selected[] = {&pod};

static void
look_at(struct arena *a, const struct autoscaling_v2_metric_spec *m, const char *answer,
	const char *failure, struct hpa_result *ret)
{
	struct doc *d = NULL;
	struct hpa_ask q = {
		.a = a, .pods = {selected, 1}, .current = 1, .told = 1, .tolerance = {0.1, 0.1}};
	if (answer)
		CHECK_INT(doc_parse_json(a, str_c(answer), NULL, &d, NULL), 0);
	hpa_metric_answer(&q, m, STR("ns"), d, str_c(failure), ret);
}

#define POD_METRICS(usage)                                                                         \
	"{\"items\":[{\"metadata\":{\"name\":\"p\"},\"timestamp\":\"2023-11-14T22:13:20Z\","       \
	"\"window\":\"30s\",\"containers\":[" usage "]}]}"

TEST(answers_become_counts_and_a_status)
{
	static const struct {
		struct autoscaling_v2_metric_spec m;
		const char *answer;
		int32_t replicas;
		const char *name, *status;
	} rows[] = {
		{{.type = STR_INIT("Resource"), .resource = &memory},
			POD_METRICS("{\"name\":\"c\",\"usage\":{\"memory\":\"2Mi\"}},"
				    "{\"name\":\"d\",\"usage\":{\"memory\":\"1Mi\"}}"),
			3, "memory resource",
			"{\"type\":\"Resource\",\"resource\":{\"name\":\"memory\",\"current\":{"
			"\"averageValue\":\"3Mi\"}}}"},
		{{.type = STR_INIT("Pods"), .pods = &by_each},
			"{\"items\":[{\"describedObject\":{\"name\":\"p\"},\"value\":\"25\"},"
			"{\"describedObject\":{\"name\":\"bad\"},\"value\":\"x\"},{}]}",
			3, "pods metric hits",
			"{\"type\":\"Pods\",\"pods\":{\"metric\":{\"name\":\"hits\"},\"current\":{"
			"\"averageValue\":\"25\"}}}"},
		{{.type = STR_INIT("External"), .external = &outside},
			"{\"items\":[{\"value\":\"15\"},{\"value\":\"10500m\"}]}", 3,
			"external metric queue(nil)",
			"{\"type\":\"External\",\"external\":{\"metric\":{\"name\":\"queue\"},"
			"\"current\":{\"value\":\"25500m\"}}}"},
		{{.type = STR_INIT("Object"), .object = &object},
			"{\"items\":[{\"describedObject\":{\"name\":\"in\"},\"value\":\"4k\"}]}", 2,
			"Ingress metric rps",
			"{\"type\":\"Object\",\"object\":{\"metric\":{\"name\":\"rps\"},"
			"\"describedObject\":{\"kind\":\"Ingress\",\"name\":\"in\",\"apiVersion\":"
			"\"networking.k8s.io/v1\"},\"current\":{\"value\":\"4k\"}}}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *a = arena_new(0);
		struct hpa_result r;
		_cleanup_buf_ struct buf b = BUF_INIT;
		look_at(a, &rows[i].m, rows[i].answer, "", &r);
		CHECK_STR(r.why, "");
		CHECK_INT(r.proposal.replicas, rows[i].replicas);
		CHECK_STR(r.name, rows[i].name);
		doc_write_json(&b, r.status);
		CHECK_STR(buf_view(&b), rows[i].status);
		arena_free(a);
	}
}

TEST(failures_are_told_as_upstream_does)
{
	static const char gone[] =
		"the server could not find the requested resource (get pods.metrics.k8s.io)";
	struct autoscaling_v2_metric_spec m = {.type = STR("Resource"), .resource = &memory};
	struct arena *a = arena_new(0);
	struct hpa_result r;
	look_at(a, &m, NULL, gone, &r);
	CHECK_STR(r.reason, "FailedGetResourceMetric");
	CHECK_STR(r.cause,
		"failed to get memory usage: unable to get metrics for resource memory: unable to "
		"fetch metrics from resource metrics API: the server could not find the requested "
		"resource (get pods.metrics.k8s.io)");
	CHECK(str_starts(r.why, STR("failed to get memory resource metric value: failed to get")));
	look_at(a, &m, "{\"items\":[]}", "", &r);
	CHECK_STR(r.cause,
		"failed to get memory usage: unable to get metrics for resource memory: no metrics "
		"returned from resource metrics API");
	look_at(a, &m, "[1,{\"items\":7}]", "", &r);
	CHECK(str_ends(r.cause, STR("no metrics returned from resource metrics API")));
	/* a pod of which one container lacks a value is not measured at all */
	look_at(a, &m, POD_METRICS("{\"usage\":{\"memory\":\"2Mi\"}},{\"usage\":{}}"), "", &r);
	CHECK_STR(r.cause,
		"failed to get memory usage: did not receive metrics for targeted pods (pods might "
		"be unready)");
	m = (struct autoscaling_v2_metric_spec){.type = STR("External"), .external = &outside};
	look_at(a, &m, NULL, "no", &r);
	CHECK_STR(r.cause,
		"unable to get external metric ns/queue/nil: unable to fetch metrics from external "
		"metrics API: no");
	CHECK_STR(r.why,
		"failed to get queue external metric value: failed to get external metric queue: "
		"unable to get external metric ns/queue/nil: unable to fetch metrics from external "
		"metrics API: no");
	arena_free(a);
}
