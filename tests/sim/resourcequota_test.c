/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * What is used of a quota, on virtual time: counted when the quota is made, charged with what is made, given back when
 * something goes or ends, and put right when somebody wrote something else. */
#include "tests/sim/play.h"

extern const struct controller resourcequota_controller;
static const struct controller *const table[] = {&resourcequota_controller, NULL};

#define ACCOUNT                                                                                    \
	{                                                                                          \
		CLIENT_CREATE, "serviceaccounts", "default", "",                                   \
			"{\"metadata\":{\"name\":\"default\"}}", -1, 201, NULL, 0                  \
	}
#define QUOTA(spec)                                                                                \
	CLIENT_CREATE, "resourcequotas", "default", "",                                            \
		"{\"metadata\":{\"name\":\"q\"},\"spec\":{" spec "}}", -1, 201, NULL
#define QUOTA_IS(holds, wait_s)                                                                    \
	{                                                                                          \
		CLIENT_GET, "resourcequotas", "default", "q", NULL, -1, 200, holds, wait_s         \
	}
#define MAKE(resource, name, spec)                                                                 \
	CLIENT_CREATE, resource, "default", "", "{\"metadata\":{\"name\":\"" name "\"}" spec "}", -1
#define POD(cpu)                                                                                   \
	",\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"resources\":{\"requests\":{" \
	"\"cpu\":\"" cpu "\"}}}]}"
#define GO(resource, name)                                                                         \
	CLIENT_DELETE, resource, "default", name, "{\"gracePeriodSeconds\":0}", -1, 200, NULL

TEST(what_is_there_counts_what_is_made_is_charged_what_goes_is_given_back)
{
	static const struct act acts[] = {ACCOUNT,
		{MAKE("pods", "first", POD("300m")), 201, NULL, 0},
		{MAKE("configmaps", "a", ""), 201, NULL, 1},
		{QUOTA("\"hard\":{\"pods\":\"2\",\"requests.cpu\":\"1\",\"count/configmaps\":\"3\","
		       "\"count/deployments.apps\":\"1\",\"services\":\"2\"}"),
			2},
		QUOTA_IS("\"used\":{\"count/configmaps\":\"1\",\"count/deployments.apps\":\"0\","
			 "\"pods\":\"1\",\"requests.cpu\":\"300m\",\"services\":\"1\"}",
			0),
		{MAKE("pods", "second", POD("600m")), 201, NULL, 0},
		QUOTA_IS("\"pods\":\"2\",\"requests.cpu\":\"900m\"", 0),
		{MAKE("pods", "third", POD("10m")), 403,
			"exceeded quota: q, requested: pods=1, "
			"used: pods=2, limited: pods=2",
			0},
		/* one that has ended takes nothing any more */
		{CLIENT_PATCH_MERGE, "pods/status", "default", "second",
			"{\"status\":{\"phase\":\"Succeeded\"}}", -1, 200, NULL, 2},
		QUOTA_IS("\"pods\":\"1\",\"requests.cpu\":\"300m\"", 0), {GO("pods", "first"), 0},
		{GO("configmaps", "a"), 2},
		QUOTA_IS("\"used\":{\"count/configmaps\":\"0\",\"count/deployments.apps\":\"0\","
			 "\"pods\":\"0\",\"requests.cpu\":\"0\",\"services\":\"1\"}",
			0)};
	PLAY(0, acts);
}

TEST(a_status_that_somebody_else_wrote_is_put_right)
{
	static const struct act acts[] = {{QUOTA("\"hard\":{\"cpu\":\"1\",\"memory\":\"1Gi\"}"), 2},
		QUOTA_IS(
			"\"status\":{\"hard\":{\"cpu\":\"1\",\"memory\":\"1Gi\"},\"used\":{\"cpu\":"
			"\"0\",\"memory\":\"0\"}}",
			0),
		{CLIENT_PATCH_MERGE, "resourcequotas/status", "default", "q",
			"{\"status\":{\"hard\":{\"cpu\":\"2\"}}}", -1, 200, NULL, 2},
		QUOTA_IS("\"status\":{\"hard\":{\"cpu\":\"1\",\"memory\":\"1Gi\"}", 0),
		{CLIENT_PATCH_MERGE, "resourcequotas/status", "default", "q",
			"{\"status\":{\"used\":null}}", -1, 200, NULL, 2},
		QUOTA_IS("\"used\":{\"cpu\":\"0\",\"memory\":\"0\"}", 0),
		/* numbers that are wrong alone are found by the next round */
		{CLIENT_PATCH_MERGE, "resourcequotas/status", "default", "q",
			"{\"status\":{\"used\":{\"cpu\":\"7\"}}}", -1, 200, NULL, 310},
		QUOTA_IS("\"used\":{\"cpu\":\"0\",\"memory\":\"0\"}", 0),
		{CLIENT_PATCH_MERGE, "resourcequotas", "default", "q",
			"{\"spec\":{\"hard\":{\"cpu\":\"3\",\"memory\":null}}}", -1, 200, NULL, 2},
		QUOTA_IS("\"status\":{\"hard\":{\"cpu\":\"3\"},\"used\":{\"cpu\":\"0\"}}", 0)};
	PLAY(0, acts);
}

TEST(only_what_is_in_scope_counts)
{
	static const struct act acts[] = {ACCOUNT,
		{MAKE("pods", "burst", POD("300m")), 201, NULL, 0},
		{MAKE("pods", "best",
			 ",\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}"),
			201, NULL, 0},
		{MAKE("configmaps", "a", ""), 201, NULL, 1},
		{QUOTA("\"scopes\":[\"BestEffort\"],\"hard\":{\"pods\":\"2\"}"), 2},
		QUOTA_IS("\"used\":{\"pods\":\"1\"}", 0), {GO("pods", "best"), 2},
		QUOTA_IS("\"used\":{\"pods\":\"0\"}", 0)};
	PLAY(0, acts);
}
