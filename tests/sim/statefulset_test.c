/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * StatefulSets on virtual time: pods come and go in the order of their names, or all at once; updates from the highest
 * down, to the partition; claims that stay and claims that go. */
#include "orchestrator/control/control.h"

extern const struct controller statefulset_controller, gc_controller, volume_binder_controller,
	claim_protection_controller, node_ipam_controller, node_lifecycle_controller;
static const struct controller *const table[] = {&statefulset_controller, &gc_controller,
	&volume_binder_controller, &claim_protection_controller, &node_ipam_controller,
	&node_lifecycle_controller, NULL};

#include "tests/sim/play.h"

#define SET(spec, image)                                                                           \
	CLIENT_CREATE, "statefulsets", "default", "",                                              \
		"{\"metadata\":{\"name\":\"web\"},\"spec\":{" spec                                 \
		"\"serviceName\":\"svc\",\"selector\":{\"matchLabels\":{\"a\":\"b\"}},"            \
		"\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"containers\":[" \
		"{\"name\":\"c\",\"image\":\"" image "\"}]}}}}"
#define LOOK(resource, name) CLIENT_GET, resource, "default", name, NULL
#define PATCH(body) CLIENT_PATCH_MERGE, "statefulsets", "default", "web", body
#define IMAGE(image)                                                                                    \
	CLIENT_PATCH_STRATEGIC, "statefulsets", "default", "web",                                       \
		"{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"" image \
		"\"}]}}}}"
#define ON(n, image) n "*\"name\":\"c\",\"image\":\"" image "\""
#define NAME(n) "\"name\":\"web-" n "\",\"namespace\""
/* Every pod counts after 10 s. */
#define SLOW "\"minReadySeconds\":10,"

TEST(pods_come_one_after_the_other_and_the_last_goes_first)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{SET(SLOW "\"replicas\":3,", "one"), -1, 201, NULL, 5},
		{LOOK("pods", ""), -1, 200, NAME("0") "|!" NAME("1"), 10},
		{LOOK("pods", ""), -1, 200, NAME("1") "|!" NAME("2"), 10},
		{LOOK("pods", ""), -1, 200, NAME("2"), 15},
		{LOOK("pods", "web-1"), -1, 200,
			"\"hostname\":\"web-1\"|\"subdomain\":\"svc\"|"
			"\"statefulset.kubernetes.io/pod-name\":\"web-1\"|"
			"\"apps.kubernetes.io/pod-index\":\"1\"|\"controller-revision-hash\":\"web-|"
			"!generateName",
			0},
		{LOOK("statefulsets", "web"), -1, 200,
			"\"observedGeneration\":1,\"replicas\":3,\"readyReplicas\":3,"
			"\"currentReplicas\":3,\"updatedReplicas\":3,\"currentRevision\":\"web-|"
			"\"updateRevision\":\"web-|\"collisionCount\":0,\"availableReplicas\":3",
			0},
		{PATCH("{\"spec\":{\"replicas\":1}}"), -1, 200, NULL, 60},
		{LOOK("pods", ""), -1, 200, NAME("0") "|!" NAME("1") "|!" NAME("2"), 0},
		{LOOK("events", ""), -1, 200,
			"Create Pod web-1 in StatefulSet web successful|Delete Pod web-2 in StatefulSet "
			"web successful",
			0}};
	PLAY(2, acts);
}

TEST(pods_come_at_once_and_the_ordinals_begin_anywhere)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{SET(SLOW
			 "\"replicas\":3,\"podManagementPolicy\":\"Parallel\",\"ordinals\":{\"start\":5},",
			 "one"),
			-1, 201, NULL, 5},
		{LOOK("pods", ""), -1, 200, NAME("5") "|" NAME("6") "|" NAME("7") "|!" NAME("8"),
			0},
		{PATCH("{\"spec\":{\"ordinals\":{\"start\":6}}}"), -1, 200, NULL, 40},
		{LOOK("pods", ""), -1, 200, "!" NAME("5") "|" NAME("6") "|" NAME("7") "|" NAME("8"),
			0}};
	PLAY(2, acts);
}

TEST(an_update_begins_with_the_highest_and_ends_at_the_partition)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{SET(SLOW
			 "\"replicas\":3,\"updateStrategy\":{\"rollingUpdate\":{\"partition\":1}},",
			 "one"),
			-1, 201, NULL, 60},
		{IMAGE("two"), -1, 200, NULL, 5},
		{LOOK("pods", ""), -1, 200, ON("1", "two") "|" ON("2", "one"), 0},
		{LOOK("pods", "web-2"), -1, 200, ON("1", "two"), 60},
		{LOOK("pods", ""), -1, 200, ON("2", "two") "|" ON("1", "one"), 0},
		{LOOK("pods", "web-0"), -1, 200, ON("1", "one"), 0},
		{LOOK("statefulsets", "web"), -1, 200,
			"\"currentReplicas\":1,\"updatedReplicas\":2|\"observedGeneration\":2", 0},
		/* below the partition a pod comes again as it was */
		{CLIENT_DELETE, "pods", "default", "web-0", NULL, -1, 200, NULL, 60},
		{LOOK("pods", "web-0"), -1, 200, ON("1", "one"), 0},
		{PATCH("{\"spec\":{\"updateStrategy\":{\"rollingUpdate\":{\"partition\":0}}}}"), -1,
			200, NULL, 60},
		{LOOK("pods", ""), -1, 200, ON("3", "two"), 0},
		{LOOK("statefulsets", "web"), -1, 200,
			"\"currentReplicas\":3,\"updatedReplicas\":3", 0},
		{LOOK("controllerrevisions", ""), -1, 200,
			"\"revision\":1|\"revision\":2|2*\"controller.kubernetes.io/hash\":\"", 0}};
	PLAY(2, acts);
}

TEST(an_update_of_several_at_a_time)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{SET(SLOW "\"replicas\":4,\"podManagementPolicy\":\"Parallel\",\"updateStrategy\":{"
			  "\"rollingUpdate\":{\"maxUnavailable\":2}},",
			 "one"),
			-1, 201, NULL, 60},
		{IMAGE("two"), -1, 200, NULL, 5},
		{LOOK("pods", ""), -1, 200, ON("2", "two") "|" ON("2", "one"), 15},
		{LOOK("pods", ""), -1, 200, ON("4", "two"), 0}};
	PLAY(2, acts);
}

/* The set was stuck: nothing on the way down was looked at before the pod was ready. */
TEST(a_pod_that_has_ended_is_made_again)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{SET("\"replicas\":2,", "one"), -1, 201, NULL, 20},
		{CLIENT_PATCH_MERGE, "pods/status", "default", "web-0",
			"{\"status\":{\"phase\":\"Failed\",\"reason\":\"Evicted\"}}", -1, 200, NULL,
			20},
		{LOOK("pods", "web-0"), -1, 200, "\"phase\":\"Running\"", 0},
		{LOOK("statefulsets", "web"), -1, 200, "\"readyReplicas\":2", 0}};
	PLAY(2, acts);
}

TEST(on_delete_waits_for_somebody_to_delete)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{SET("\"replicas\":2,\"updateStrategy\":{\"type\":\"OnDelete\"},", "one"), -1, 201,
			NULL, 20},
		{IMAGE("two"), -1, 200, NULL, 60}, {LOOK("pods", ""), -1, 200, ON("2", "one"), 0},
		{CLIENT_DELETE, "pods", "default", "web-0", NULL, -1, 200, NULL, 40},
		{LOOK("pods", "web-0"), -1, 200, ON("1", "two"), 0},
		{LOOK("pods", "web-1"), -1, 200, ON("1", "one"), 0}};
	PLAY(2, acts);
}

TEST(a_pod_is_adopted_by_its_name_and_gets_its_labels)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{CLIENT_CREATE, "pods", "default", "",
			"{\"metadata\":{\"name\":\"web-0\",\"labels\":{\"a\":\"b\"}},\"spec\":{\"containers\":"
			"[{\"name\":\"c\",\"image\":\"one\"}]}}",
			-1, 201, NULL, 10},
		{CLIENT_CREATE, "pods", "default", "",
			"{\"metadata\":{\"name\":\"other-0\",\"labels\":{\"a\":\"b\"}},\"spec\":{"
			"\"containers\":[{\"name\":\"c\",\"image\":\"one\"}]}}",
			-1, 201, NULL, 10},
		{SET("\"replicas\":1,\"updateStrategy\":{\"type\":\"OnDelete\"},", "one"), -1, 201,
			NULL, 20},
		{LOOK("pods", "web-0"), -1, 200,
			"\"kind\":\"StatefulSet\"|\"statefulset.kubernetes.io/pod-name\":\"web-0\"",
			0},
		{LOOK("pods", "other-0"), -1, 200, "!StatefulSet", 0}};
	PLAY(1, acts);
}

#define VOLUME(n)                                                                                  \
	CLIENT_CREATE, "persistentvolumes", "", "",                                                \
		"{\"metadata\":{\"name\":\"v" n                                                    \
		"\"},\"spec\":{\"capacity\":{\"storage\":\"1Gi\"},"                                \
		"\"accessModes\":[\"ReadWriteOnce\"],\"hostPath\":{\"path\":\"/v" n "\"}}}"
#define CLAIMS                                                                                     \
	"\"volumeClaimTemplates\":[{\"metadata\":{\"name\":\"data\"},\"spec\":{\"accessModes\":["  \
	"\"ReadWriteOnce\"],\"storageClassName\":\"\",\"resources\":{\"requests\":{\"storage\":"   \
	"\"1Mi\"}}}}],"

TEST(claims_come_before_their_pods_and_stay)
{
	static const struct act acts[] = {PLAY_ACCOUNT, {VOLUME("0"), -1, 201, NULL, 0},
		{VOLUME("1"), -1, 201, NULL, 1},
		{SET(CLAIMS "\"replicas\":2,", "one"), -1, 201, NULL, 60},
		{LOOK("persistentvolumeclaims", ""), -1, 200,
			"\"name\":\"data-web-0\"|\"name\":\"data-web-1\"|2*\"a\":\"b\"|!ownerReferences",
			0},
		{LOOK("pods", "web-1"), -1, 200,
			"\"claimName\":\"data-web-1\"|\"phase\":\"Running\"", 0},
		{PATCH("{\"spec\":{\"replicas\":0}}"), -1, 200, NULL, 60},
		{LOOK("persistentvolumeclaims", ""), -1, 200,
			"\"name\":\"data-web-0\"|\"name\":\"data-web-1\"", 0},
		{LOOK("events", ""), -1, 200,
			"Create Claim data-web-0 Pod web-0 in StatefulSet web success", 0}};
	PLAY(2, acts);
}

TEST(claims_go_with_what_the_policy_says)
{
	static const struct act acts[] = {PLAY_ACCOUNT, {VOLUME("0"), -1, 201, NULL, 0},
		{VOLUME("1"), -1, 201, NULL, 1},
		{SET(CLAIMS
			 "\"replicas\":2,\"persistentVolumeClaimRetentionPolicy\":{\"whenScaled\":"
			 "\"Delete\",\"whenDeleted\":\"Delete\"},",
			 "one"),
			-1, 201, NULL, 60},
		{LOOK("persistentvolumeclaims", ""), -1, 200, "2*\"kind\":\"StatefulSet\"", 0},
		{PATCH("{\"spec\":{\"replicas\":1}}"), -1, 200, NULL, 60},
		{LOOK("persistentvolumeclaims", ""), -1, 200,
			"\"name\":\"data-web-0\"|!\"name\":\"data-web-1\"|1*\"kind\":\"StatefulSet\"",
			0},
		{PATCH("{\"spec\":{\"persistentVolumeClaimRetentionPolicy\":{\"whenDeleted\":\"Retain\"}}}"),
			-1, 200, NULL, 10},
		{LOOK("persistentvolumeclaims", ""), -1, 200, "!\"kind\":\"StatefulSet\"", 0},
		{PATCH("{\"spec\":{\"persistentVolumeClaimRetentionPolicy\":{\"whenDeleted\":\"Delete\"}}}"),
			-1, 200, NULL, 10},
		{CLIENT_DELETE, "statefulsets", "default", "web",
			"{\"propagationPolicy\":\"Background\"}", -1, 200, NULL, 60},
		{LOOK("persistentvolumeclaims", ""), -1, 200, "!data-web", 0}};
	PLAY(2, acts);
}
