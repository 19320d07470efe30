/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Disruption budgets on virtual time: what their status says, what an eviction spends of it, and what it is answered. */
#include "tests/sim/play.h"

extern const struct controller disruption_controller;
static const struct controller *const table[] = {&disruption_controller, NULL};

#define ACCOUNT                                                                                    \
	{                                                                                          \
		CLIENT_CREATE, "serviceaccounts", "default", "",                                   \
			"{\"metadata\":{\"name\":\"default\"}}", -1, 201, NULL, 0                  \
	}
#define OWNED_POD(name, owner)                                                                     \
	CLIENT_CREATE, "pods", "default", "",                                                      \
		"{\"metadata\":{\"name\":\"" name "\",\"labels\":{\"a\":\"b\"}" owner              \
		"},\"spec\":{\"nodeName\":\"n\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}"
#define POD(name) OWNED_POD(name, ""), -1, 201, NULL, 0
#define STATUS(name, phase, ready)                                                                 \
	CLIENT_PATCH_MERGE, "pods/status", "default", name,                                        \
		"{\"status\":{\"phase\":\"" phase                                                  \
		"\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"" ready "\"}]}}",             \
		-1, 200, NULL
#define BUDGET(name, spec)                                                                         \
	CLIENT_CREATE, "poddisruptionbudgets", "default", "",                                      \
		"{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"selector\":{\"matchLabels\":{"  \
		"\"a\":\"b\"}}," spec "}}",                                                        \
		-1, 201, NULL
#define BUDGET_IS(holds)                                                                           \
	{                                                                                          \
		CLIENT_GET, "poddisruptionbudgets", "default", "d", NULL, -1, 200, holds, 0        \
	}
#define EVICT(name, http, holds)                                                                   \
	CLIENT_CREATE, "pods/eviction", "default", name, "{\"metadata\":{\"name\":\"" name "\"}}", \
		-1, http, holds

TEST(an_eviction_spends_what_the_budget_has)
{
	static const struct act acts[] = {ACCOUNT, {POD("one")}, {POD("two")},
		{STATUS("one", "Running", "True"), 0}, {STATUS("two", "Running", "False"), 0},
		{BUDGET("d", "\"minAvailable\":1"), 2},
		BUDGET_IS("\"disruptionsAllowed\":0,\"currentHealthy\":1,\"desiredHealthy\":1,"
			  "\"expectedPods\":2"),
		BUDGET_IS(
			"\"type\":\"DisruptionAllowed\",\"status\":\"False\",\"observedGeneration\":1"),
		{EVICT("one", 429,
			 "The disruption budget d needs 1 healthy pods and has 1 currently"),
			0},
		{STATUS("two", "Running", "True"), 2},
		BUDGET_IS("\"disruptionsAllowed\":1,\"currentHealthy\":2"),
		BUDGET_IS("\"reason\":\"SufficientPods\""), {EVICT("one", 201, "\"Success\""), 0},
		BUDGET_IS("\"disruptedPods\":{\"one\":"),
		BUDGET_IS("\"disruptionsAllowed\":0,\"currentHealthy\":2"),
		BUDGET_IS("\"reason\":\"InsufficientPods\""),
		{CLIENT_GET, "pods", "default", "one", NULL, -1, 200,
			"\"reason\":\"EvictionByEvictionAPI\",\"message\":\"Eviction API: evicting\"",
			2},
		/* the deletion was seen: it is no more on the list */
		BUDGET_IS("!disruptedPods"),
		BUDGET_IS("\"disruptionsAllowed\":0,\"currentHealthy\":1,\"desiredHealthy\":1"),
		{EVICT("two", 429, "\"reason\":\"DisruptionBudget\""), 0},
		{CLIENT_PATCH_MERGE, "poddisruptionbudgets", "default", "d",
			"{\"spec\":{\"minAvailable\":0}}", -1, 200, NULL, 2},
		BUDGET_IS("\"observedGeneration\":2"), {EVICT("two", 201, NULL), 0}};
	PLAY(0, acts);
}

/* A budget that nobody has looked at yet, or that was just changed, lets nothing go. */
TEST(a_budget_that_was_not_looked_at_lets_nothing_go)
{
	static const struct controller *const none[] = {NULL};
	static const struct act acts[] = {ACCOUNT, {POD("one")},
		{STATUS("one", "Running", "True"), 0}, {BUDGET("d", "\"minAvailable\":0"), 2},
		{EVICT("one", 429,
			 "The disruption budget d is still being processed by the server."),
			0},
		{EVICT("one", 429, "\"retryAfterSeconds\":10"), 0}};
	CHECK_INT(play(none, 0, acts, ARRAY_LEN(acts)), 0);
}

TEST(a_share_is_of_what_the_owners_want)
{
	static const struct act acts[] = {ACCOUNT,
		{CLIENT_CREATE, "replicationcontrollers", "default", "",
			"{\"metadata\":{\"name\":\"rc\"},\"spec\":{\"replicas\":5,\"selector\":{\"a\":\"b\"},"
			"\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"containers\":[{"
			"\"name\":\"c\",\"image\":\"i\"}]}}}}",
			-1, 201, NULL, 0},
		{OWNED_POD("one",
			 ",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":"
			 "\"ReplicationController\",\"name\":\"rc\",\"uid\":\"%s\",\"controller\":true}]"),
			1, 201, NULL, 0},
		{STATUS("one", "Running", "True"), 0},
		{BUDGET("d", "\"maxUnavailable\":\"50%\""), 2},
		/* half of five, rounded up, may be missing */
		BUDGET_IS("\"disruptionsAllowed\":0,\"currentHealthy\":1,\"desiredHealthy\":2,"
			  "\"expectedPods\":5"),
		{CLIENT_PATCH_MERGE, "poddisruptionbudgets", "default", "d",
			"{\"spec\":{\"maxUnavailable\":4}}", -1, 200, NULL, 2},
		BUDGET_IS("\"disruptionsAllowed\":0,\"currentHealthy\":1,\"desiredHealthy\":1"),
		/* whose owner is not known is not disrupted */
		{CLIENT_DELETE, "replicationcontrollers", "default", "rc",
			"{\"propagationPolicy\":\"Orphan\"}", -1, 200, NULL, 0},
		{CLIENT_PATCH_MERGE, "replicationcontrollers", "default", "rc",
			"{\"metadata\":{\"finalizers\":null}}", -1, 200, NULL, 0},
		{CLIENT_PATCH_MERGE, "poddisruptionbudgets", "default", "d",
			"{\"spec\":{\"maxUnavailable\":5}}", -1, 200, NULL, 2},
		BUDGET_IS(
			"\"reason\":\"SyncFailed\",\"message\":\"found no controllers for pod \\\"one"),
		{EVICT("one", 429, "is still being processed by the server"), 0}};
	PLAY(0, acts);
}

TEST(pods_that_are_not_healthy_go_as_the_budget_says)
{
	static const struct act acts[] = {ACCOUNT, {POD("sick")}, {POD("well")}, {POD("new")},
		{STATUS("sick", "Running", "False"), 0}, {STATUS("well", "Running", "True"), 0},
		{BUDGET("d", "\"minAvailable\":2"), 2},
		{EVICT("sick", 429, "needs 2 healthy pods and has 1 currently"), 0},
		{EVICT("new", 201, NULL), 0},
		{CLIENT_PATCH_MERGE, "poddisruptionbudgets", "default", "d",
			"{\"spec\":{\"unhealthyPodEvictionPolicy\":\"AlwaysAllow\"}}", -1, 200,
			NULL, 2},
		{EVICT("sick", 201, NULL), 0}, {EVICT("well", 429, NULL), 0},
		{BUDGET("e", "\"minAvailable\":0"), 2},
		{EVICT("well", 500, "This pod has more than one PodDisruptionBudget"), 0}};
	PLAY(0, acts);
}

TEST(an_eviction_that_did_not_happen_is_forgotten)
{
	static const struct act acts[] = {ACCOUNT, {POD("one")},
		{STATUS("one", "Running", "True"), 0}, {BUDGET("d", "\"minAvailable\":0"), 2},
		{CLIENT_PATCH_MERGE, "poddisruptionbudgets/status", "default", "d",
			"{\"status\":{\"disruptedPods\":{\"one\":\"2023-11-14T22:13:20Z\"}}}", -1,
			200, NULL, 60},
		BUDGET_IS("\"currentHealthy\":0"), BUDGET_IS("\"disruptedPods\":{\"one\":"),
		{CLIENT_GET, "pods", "default", "one", NULL, -1, 200, NULL, 70},
		BUDGET_IS("!disruptedPods"),
		BUDGET_IS("\"disruptionsAllowed\":1,\"currentHealthy\":1"),
		{CLIENT_PATCH_STRATEGIC, "pods/status", "default", "one",
			"{\"status\":{\"conditions\":[{\"type\":\"DisruptionTarget\",\"status\":\"True\","
			"\"reason\":\"X\",\"lastTransitionTime\":\"2023-11-14T22:13:20Z\"}]}}",
			-1, 200, NULL, 60},
		{CLIENT_GET, "pods", "default", "one", NULL, -1, 200,
			"{\"type\":\"DisruptionTarget\",\"observedGeneration\":1,\"status\":\"False\"",
			0}};
	PLAY(0, acts);
}
