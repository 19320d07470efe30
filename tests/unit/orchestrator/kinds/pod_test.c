/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Pods through the whole pipeline: what of them the server keeps and counts. */
#include "orchestrator/kinds/pod.c"

#include "orchestrator/api/api_int.h"
#include "tests/unit/orchestrator/api/fixture.h"

TEST(the_generation_of_a_pod_rises_with_its_spec_alone)
{
	static const char more[] = "{\"spec\":{\"ephemeralContainers\":[{\"name\":\"e\","
				   "\"image\":\"i\"}]}}";
	static const char resized[] =
		"{\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{"
		"\"cpu\":\"2m\"}}}]}}";
	static const struct {
		const char *sub, *body;
		const char *says;
	} rows[] = {
		{"", "{\"metadata\":{\"labels\":{\"a\":\"b\"},\"generation\":1}}",
			"\"generation\":1,"},
		{"", "{\"spec\":{\"activeDeadlineSeconds\":50}}", "\"generation\":2,"},
		{"", "{\"metadata\":{\"generation\":1}}", "\"generation\":2,"},
		{"status", "{\"status\":{\"message\":\"x\"}}", "\"generation\":2,"},
		{"ephemeralcontainers", more, "\"generation\":3,"},
		{"resize", resized, "\"generation\":4,"},
	};
	struct fixture f;
	fx_open_with(&f, 1, &kinds_tables);
	CHECK_INT(write_as(&f, f.admin, CLIENT_CREATE, "serviceaccounts", "default", "", "",
			  "{\"metadata\":{\"name\":\"default\"}}"),
		201);
	CHECK_INT(
		write_as(&f, f.admin, CLIENT_CREATE, "pods", "default", "", "",
			"{\"metadata\":{\"name\":\"p\",\"generation\":100},\"spec\":{\"containers\":[{"
			"\"name\":\"c\",\"image\":\"i\",\"resources\":{\"requests\":{\"cpu\":\"1m\"}}}]}}"),
		201);
	CHECK(says(&f, "\"generation\":1,"));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK_INT(write_as(&f, f.admin, CLIENT_PATCH_STRATEGIC, "pods", "default", "p",
				  rows[i].sub, rows[i].body),
			200);
		CHECK(says(&f, rows[i].says));
	}
	fx_close(&f);
}

TEST(a_status_without_observed_generations_keeps_those_that_are_there)
{
	struct fixture f;
	fx_open_with(&f, 2, &kinds_tables);
	CHECK_INT(write_as(&f, f.admin, CLIENT_CREATE, "serviceaccounts", "default", "", "",
			  "{\"metadata\":{\"name\":\"default\"}}"),
		201);
	pod_on(&f, "p", "n", "s");
	CHECK_INT(
		write_as(&f, f.admin, CLIENT_PATCH_MERGE, "pods", "default", "p", "status",
			"{\"status\":{\"observedGeneration\":5,\"conditions\":[{\"type\":\"Ready\","
			"\"status\":\"True\",\"observedGeneration\":6}]}}"),
		200);
	CHECK_INT(
		write_as(&f, f.admin, CLIENT_PATCH_MERGE, "pods", "default", "p", "status",
			"{\"status\":{\"observedGeneration\":0,\"conditions\":[{\"type\":\"Ready\","
			"\"status\":\"False\"},{\"type\":\"Ready\",\"status\":\"True\"}]}}"),
		200);
	CHECK(says(&f, "\"status\":{\"observedGeneration\":5"));
	CHECK(says(&f, "{\"type\":\"Ready\",\"observedGeneration\":6,\"status\":\"False\""));
	CHECK(!strstr(strstr(f.body.data, "\"status\":\"False\"") + 1, "observedGeneration"));
	fx_close(&f);
}
