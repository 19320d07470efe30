/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hpa_metric_fuzz: any JSON as the answer of a metrics API, for each type of metric. Holds: it comes to a count with a
 * status, or to a reason. */
#include "orchestrator/control/hpa.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct autoscaling_v2_resource_metric_source share = {
	STR_INIT("cpu"), {.has_average_utilization = true, .average_utilization = 50}};
static struct autoscaling_v2_container_resource_metric_source part = {
	STR_INIT("memory"), {.average_value = STR_INIT("1Mi")}, STR_INIT("c")};
static struct autoscaling_v2_pods_metric_source each = {
	.metric = {.name = STR_INIT("m")}, .target = {.average_value = STR_INIT("10")}};
static struct autoscaling_v2_object_metric_source object = {.metric = {.name = STR_INIT("m")},
	.target = {.type = STR_INIT("Value"), .value = STR_INIT("1m")}};
static struct autoscaling_v2_external_metric_source outside = {
	.metric = {.name = STR_INIT("m")}, .target = {.average_value = STR_INIT("1m")}};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct str_pair cpu = {STR_INIT("cpu"), STR_INIT("100m")};
	static struct core_v1_container c = {
		.name = STR_INIT("c"), .resources = {.requests = &cpu, .n_requests = 1}};
	static struct core_v1_pod_condition ready = {
		.type = STR_INIT("Ready"), .status = STR_INIT("True")};
	static struct core_v1_pod p = {.metadata = {.name = STR_INIT("p")},
		.spec = {.containers = &c, .n_containers = 1},
		.status = {.phase = STR_INIT("Running"),
			.start_time = 1,
			.conditions = &ready,
			.n_conditions = 1}};
	static const struct core_v1_pod *pods[] = {&p};
	const struct autoscaling_v2_metric_spec all[] = {{.resource = &share},
		{.container_resource = &part}, {.pods = &each}, {.object = &object},
		{.external = &outside}};
	struct arena *a = arena_new(0);
	struct doc *d = NULL;
	bool good = a && doc_parse_json(a, str_from((const char *)data, size), NULL, &d, NULL) == 0;
	for (size_t i = 0; good && i < ARRAY_LEN(all); i++) {
		struct hpa_ask q = {.a = a,
			.pods = {pods, 1},
			.current = 1,
			.told = 1,
			.tolerance = {0.1, 0.1},
			.now_ns = 1700000000 * NS_PER_SEC};
		struct hpa_result r;
		hpa_metric_answer(&q, &all[i], STR("ns"), d, STR(""), &r);
		BUG_ON(r.why.n ? !r.reason.n : !r.status || !r.name.n);
	}
	arena_free(a);
	return 0;
}
