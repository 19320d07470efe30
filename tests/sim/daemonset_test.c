/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * DaemonSets on virtual time: a pod on each node that fits, updates in both ways, revisions kept and brought back,
 * pods that fail. */
#include "orchestrator/control/control.h"

extern const struct controller daemonset_controller, gc_controller, node_ipam_controller,
	node_lifecycle_controller, taint_eviction_controller;
static const struct controller *const table[] = {&daemonset_controller, &gc_controller,
	&node_ipam_controller, &node_lifecycle_controller, &taint_eviction_controller, NULL};

#include "tests/sim/play.h"

#define DAEMONS(spec, image, pod_spec)                                                             \
	CLIENT_CREATE, "daemonsets", "default", "",                                                \
		"{\"metadata\":{\"name\":\"d\"},\"spec\":{" spec                                   \
		"\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{"        \
		"\"labels\":{\"a\":\"b\"}},\"spec\":{" pod_spec                                    \
		"\"containers\":[{\"name\":\"c\",\"image\":\"" image "\"}]}}}}"
#define LOOK(resource, name) CLIENT_GET, resource, "default", name, NULL
#define IMAGE(image)                                                                                    \
	CLIENT_PATCH_STRATEGIC, "daemonsets", "default", "d",                                           \
		"{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"" image \
		"\"}]}}}}"
#define NODE(name, patch) CLIENT_PATCH_MERGE, "nodes", "", name, patch
#define ON(n, image) n "*\"name\":\"c\",\"image\":\"" image "\""
#define PODS(n) n "*\"generateName\":\"d-\""

TEST(each_node_has_one_pod)
{
	static const struct act acts[] = {PLAY_ACCOUNT, {DAEMONS("", "one", ""), -1, 201, NULL, 30},
		{LOOK("pods", ""), -1, 200,
			PODS("3") "|\"nodeName\":\"node-1\"|\"nodeName\":\"node-2\"|"
				  "\"nodeName\":\"node-3\"|3*\"key\":\"metadata.name\"|"
				  "3*\"key\":\"node.kubernetes.io/disk-pressure\"|"
				  "3*\"controller-revision-hash\"|3*\"pod-template-generation\":\"1\"",
			0},
		{LOOK("daemonsets", "d"), -1, 200,
			"\"currentNumberScheduled\":3,\"numberMisscheduled\":0,"
			"\"desiredNumberScheduled\":3,\"numberReady\":3,\"observedGeneration\":1,"
			"\"updatedNumberScheduled\":3,\"numberAvailable\":3|!numberUnavailable",
			0},
		{LOOK("controllerrevisions", ""), -1, 200,
			"1*\"revision\":1|\"$patch\":\"replace\"|\"a\":\"b\"", 0},
		{LOOK("pods", ""), -1, 200, PODS("3"), 0}};
	PLAY(3, acts);
}

TEST(pods_follow_the_labels_of_nodes)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{DAEMONS("", "one", "\"nodeSelector\":{\"color\":\"blue\"},"), -1, 201, NULL, 10},
		{LOOK("pods", ""), -1, 200, PODS("0"), 0},
		{LOOK("daemonsets", "d"), -1, 200,
			"\"desiredNumberScheduled\":0|\"observedGeneration\":1", 0},
		{NODE("node-2", "{\"metadata\":{\"labels\":{\"color\":\"blue\"}}}"), -1, 200, NULL,
			20},
		{LOOK("pods", ""), -1, 200, PODS("1") "|\"nodeName\":\"node-2\"", 0},
		{NODE("node-2", "{\"metadata\":{\"labels\":{\"color\":\"green\"}}}"), -1, 200, NULL,
			60},
		{LOOK("pods", ""), -1, 200, PODS("0"), 0}};
	PLAY(3, acts);
}

TEST(taints_keep_new_pods_away_and_some_drive_out_those_that_are_there)
{
	static const struct act acts[] = {PLAY_ACCOUNT, {DAEMONS("", "one", ""), -1, 201, NULL, 20},
		{NODE("node-1",
			 "{\"spec\":{\"taints\":[{\"key\":\"k\",\"effect\":\"NoSchedule\"}]}}"),
			-1, 200, NULL, 20},
		{LOOK("daemonsets", "d"), -1, 200,
			"\"desiredNumberScheduled\":1|\"numberMisscheduled\":1", 0},
		{LOOK("pods", ""), -1, 200, PODS("2"), 0},
		{NODE("node-1",
			 "{\"spec\":{\"taints\":[{\"key\":\"k\",\"effect\":\"NoExecute\"}]}}"),
			-1, 200, NULL, 60},
		{LOOK("pods", ""), -1, 200, PODS("1") "|\"nodeName\":\"node-2\"", 0}};
	PLAY(2, acts);
}

/* minReadySeconds makes each pod take 20 s: at most one is missing at a time. */
TEST(an_update_replaces_pods_one_after_the_other)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{DAEMONS("\"minReadySeconds\":20,", "one", ""), -1, 201, NULL, 60},
		{IMAGE("two"), -1, 200, NULL, 10},
		{LOOK("pods", ""), -1, 200, ON("1", "two") "|" ON("2", "one"), 20},
		{LOOK("pods", ""), -1, 200, ON("2", "two") "|" ON("1", "one"), 20},
		{LOOK("pods", ""), -1, 200, ON("3", "two"), 40},
		{LOOK("daemonsets", "d"), -1, 200,
			"\"observedGeneration\":2|\"updatedNumberScheduled\":3|\"numberAvailable\":3",
			0},
		{LOOK("controllerrevisions", ""), -1, 200, "\"revision\":1|\"revision\":2", 0}};
	PLAY(3, acts);
}

TEST(an_update_makes_new_pods_beside_old_ones)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{DAEMONS("\"minReadySeconds\":20,\"updateStrategy\":{\"rollingUpdate\":{\"maxSurge\":1,"
			 "\"maxUnavailable\":0}},",
			 "one", ""),
			-1, 201, NULL, 60},
		{IMAGE("two"), -1, 200, NULL, 10},
		{LOOK("pods", ""), -1, 200, ON("1", "two") "|" ON("2", "one"), 22},
		{LOOK("pods", ""), -1, 200, ON("2", "two") "|" ON("1", "one"), 40},
		{LOOK("pods", ""), -1, 200, PODS("2") "|" ON("2", "two"), 0}};
	PLAY(2, acts);
}

TEST(on_delete_waits_for_somebody_to_delete)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{DAEMONS("\"updateStrategy\":{\"type\":\"OnDelete\"},", "one", ""), -1, 201, NULL,
			20},
		{IMAGE("two"), -1, 200, NULL, 60}, {LOOK("pods", ""), -1, 200, ON("2", "one"), 0},
		{LOOK("daemonsets", "d"), -1, 200,
			"!updatedNumberScheduled|\"observedGeneration\":2", 0},
		{CLIENT_DELETE_COLLECTION, "pods", "default", "", NULL, -1, 200, NULL, 60},
		{LOOK("pods", ""), -1, 200, ON("2", "two"), 0}};
	PLAY(2, acts);
}

TEST(an_old_template_that_comes_back_has_its_revision_again)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{DAEMONS("\"revisionHistoryLimit\":1,", "one", ""), -1, 201, NULL, 20},
		{IMAGE("two"), -1, 200, NULL, 40},
		{LOOK("controllerrevisions", ""), -1, 200,
			"2*\"data\"|\"revision\":1|\"revision\":2", 0},
		{IMAGE("one"), -1, 200, NULL, 40},
		{LOOK("controllerrevisions", ""), -1, 200,
			"2*\"data\"|\"revision\":3|\"revision\":2", 0},
		{LOOK("pods", ""), -1, 200, ON("2", "one"), 0}, {IMAGE("three"), -1, 200, NULL, 40},
		{LOOK("controllerrevisions", ""), -1, 200,
			"2*\"data\"|\"revision\":3|\"revision\":4", 0}};
	PLAY(2, acts);
}

TEST(a_pod_that_failed_is_replaced)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{CLIENT_CREATE, "pods", "default", "",
			"{\"metadata\":{\"name\":\"f\",\"labels\":{\"a\":\"b\"}},\"spec\":{\"nodeName\":"
			"\"node-1\",\"containers\":[{\"name\":\"c\",\"image\":\"one\"}]}}",
			-1, 201, NULL, 10},
		{DAEMONS("\"updateStrategy\":{\"type\":\"OnDelete\"},", "one", ""), -1, 201, NULL,
			20},
		{LOOK("pods", "f"), -1, 200, "\"kind\":\"DaemonSet\"", 0},
		{LOOK("pods", ""), -1, 200, PODS("0"), 0},
		{CLIENT_PATCH_MERGE, "pods/status", "default", "f",
			"{\"status\":{\"phase\":\"Failed\"}}", -1, 200, NULL, 20},
		{LOOK("pods", ""), -1, 200, PODS("1") "|!\"name\":\"f\"", 0},
		{LOOK("events", ""), -1, 200,
			"Found failed daemon pod default/f on node node-1, will try to kill it",
			0}};
	PLAY(1, acts);
}
