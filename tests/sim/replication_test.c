/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * ReplicaSets and ReplicationControllers on virtual time: pods are made, adopted, released and deleted, and what
 * is refused is told in a condition. */
#include "orchestrator/control/control.h"

extern const struct controller replicaset_controller, replication_controller, gc_controller,
	node_ipam_controller, node_lifecycle_controller;
static const struct controller *const table[] = {&replicaset_controller, &replication_controller,
	&gc_controller, &node_ipam_controller, &node_lifecycle_controller, NULL};

#include "tests/sim/play.h"

#define TEMPLATE                                                                                   \
	"\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"containers\":[{"        \
	"\"name\":\"c\",\"image\":\"i\"}]}}"
#define RC(replicas)                                                                               \
	CLIENT_CREATE, "replicationcontrollers", "default", "",                                    \
		"{\"metadata\":{\"name\":\"rc\"},\"spec\":{\"replicas\":" replicas                 \
		",\"selector\":{\"a\":\"b\"}," TEMPLATE "}}"
#define RS(replicas)                                                                               \
	CLIENT_CREATE, "replicasets", "default", "",                                               \
		"{\"metadata\":{\"name\":\"rs\"},\"spec\":{\"replicas\":" replicas                 \
		",\"selector\":{\"matchLabels\":{\"a\":\"b\"}}," TEMPLATE "}}"
#define POD                                                                                           \
	CLIENT_CREATE, "pods", "default", "",                                                         \
		"{\"metadata\":{\"name\":\"p\",\"labels\":{\"a\":\"b\"}},\"spec\":{\"containers\":[{" \
		"\"name\":\"c\",\"image\":\"i\"}]}}"
#define LOOK(resource, name) CLIENT_GET, resource, "default", name, NULL

TEST(a_replication_controller_keeps_its_pods)
{
	static const struct act acts[] = {PLAY_ACCOUNT, {RC("3"), -1, 201, NULL, 30},
		{LOOK("replicationcontrollers", "rc"), -1, 200,
			"\"replicas\":3,\"fullyLabeledReplicas\":3,\"readyReplicas\":3,"
			"\"availableReplicas\":3,\"observedGeneration\":1",
			0},
		{LOOK("pods", ""), -1, 200,
			"3*\"generateName\":\"rc-\"|3*\"kind\":\"ReplicationController\"", 0},
		{CLIENT_PATCH_MERGE, "replicationcontrollers", "default", "rc",
			"{\"spec\":{\"replicas\":1}}", -1, 200, NULL, 60},
		{LOOK("pods", ""), -1, 200, "1*\"generateName\":\"rc-\"", 0},
		{LOOK("replicationcontrollers", "rc"), -1, 200,
			"\"replicas\":1,\"fullyLabeledReplicas\":1,\"readyReplicas\":1", 0},
		{LOOK("events", ""), -1, 200,
			"\"reason\":\"SuccessfulCreate\"|Created pod: rc-|\"reason\":\"SuccessfulDelete\"",
			0}};
	PLAY(2, acts);
}

/* A second pod was made and one of the two deleted. */
TEST(an_orphan_is_adopted_before_a_pod_is_made)
{
	static const struct act acts[] = {PLAY_ACCOUNT, {POD, -1, 201, NULL, 10},
		{RC("1"), -1, 201, NULL, 20},
		{LOOK("pods", "p"), -1, 200,
			"\"kind\":\"ReplicationController\"|\"blockOwnerDeletion\":true", 0},
		{LOOK("events", ""), -1, 200, "!SuccessfulCreate", 0},
		{CLIENT_PATCH_MERGE, "pods", "default", "p",
			"{\"metadata\":{\"labels\":{\"a\":\"other\"}}}", -1, 200, NULL, 20},
		{LOOK("pods", "p"), -1, 200, "!ownerReferences", 0},
		{LOOK("pods", ""), -1, 200, "1*\"generateName\":\"rc-\"", 0}};
	PLAY(1, acts);
}

/* The condition was taken away again with each try; others went with it. */
TEST(what_is_refused_is_told_until_it_is_not)
{
	static const struct act acts[] = {{RS("2"), -1, 201, NULL, 5},
		{LOOK("replicasets", "rs"), -1, 200,
			"\"type\":\"ReplicaFailure\",\"status\":\"True\"|\"reason\":\"FailedCreate\"|"
			"serviceaccount",
			0},
		{CLIENT_PATCH_STRATEGIC, "replicasets/status", "default", "rs",
			"{\"status\":{\"conditions\":[{\"type\":\"Mine\",\"status\":\"True\"}]}}",
			-1, 200, NULL, 40},
		{LOOK("replicasets", "rs"), -1, 200, "ReplicaFailure|Mine", 0}, PLAY_ACCOUNT,
		{LOOK("replicasets", "rs"), -1, 200, "!ReplicaFailure|Mine|\"replicas\":2", 0}};
	PLAY(0, acts);
}

/* It waited as long as the first, which had been refused for minutes, would have waited. */
TEST(a_set_of_the_same_name_does_not_wait_for_the_first)
{
	static const struct act acts[] = {{RS("1"), -1, 201, NULL, 150},
		{CLIENT_CREATE, "serviceaccounts", "default", "",
			"{\"metadata\":{\"name\":\"default\"}}", -1, 201, NULL, 0},
		{CLIENT_DELETE, "replicasets", "default", "rs", NULL, -1, 200, NULL, AT_ONCE},
		{RS("3"), -1, 201, NULL, 2},
		{LOOK("pods", ""), -1, 200, "3*\"generateName\":\"rs-\"", 0}};
	PLAY(0, acts);
}
