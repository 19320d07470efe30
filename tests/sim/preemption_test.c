/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Preemption on virtual time: a pod that fits nowhere sends less important ones away, and only those that must go. A
 * node that pretends has four processors. */
#include "tests/sim/play.h"

extern const struct controller node_ipam_controller, node_lifecycle_controller,
	disruption_controller, gc_controller;
static const struct controller *const table[] = {&node_ipam_controller, &node_lifecycle_controller,
	&disruption_controller, &gc_controller, NULL};

#define CLASS(name, value)                                                                         \
	{                                                                                          \
		CLIENT_CREATE, "priorityclasses", "", "",                                          \
			"{\"metadata\":{\"name\":\"" name "\"},\"value\":" value "}", -1, 201,     \
			NULL, 0                                                                    \
	}
#define CLASSES CLASS("low", "1"), CLASS("mid", "100"), CLASS("high", "1000")
/* A pod of a class that wants so many processors. */
#define POD(name, class, cpu, more)                                                                \
	CLIENT_CREATE, "pods", "default", "",                                                      \
		"{\"metadata\":{\"name\":\"" name "\",\"labels\":{\"app\":\"" name                 \
		"\"}},\"spec\":{\"priorityClassName\":\"" class                                    \
		"\"," more                                                                         \
		"\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"resources\":{\"requests\":{"    \
		"\"cpu\":\"" cpu "\"}}}]}}",                                                       \
		-1, 201, NULL
#define ON(node) "\"nodeSelector\":{\"kubernetes.io/hostname\":\"" node "\"},"
#define POD_IS(name, holds, wait)                                                                  \
	{                                                                                          \
		CLIENT_GET, "pods", "default", name, NULL, -1, 200, holds, wait                    \
	}
#define POD_GONE(name)                                                                             \
	{                                                                                          \
		CLIENT_GET, "pods", "default", name, NULL, -1, 404, NULL, 0                        \
	}
#define EVENTS(holds)                                                                              \
	{                                                                                          \
		CLIENT_GET, "events", "default", "", NULL, -1, 200, holds, 0                       \
	}

TEST(a_more_important_pod_takes_the_place_of_the_least)
{
	static const struct act acts[] = {PLAY_ACCOUNT, CLASSES, {POD("a", "low", "2", ""), 5},
		{POD("b", "mid", "1500m", ""), 10}, {POD("c", "high", "2", ""), 1},
		/* the victim says why, and goes in its own time */
		POD_IS("a",
			"\"deletionTimestamp\"|\"type\":\"DisruptionTarget\"|\"reason\":"
			"\"PreemptionByScheduler\"|\"message\":\"default-scheduler: preempting to "
			"accommodate a higher priority pod\"",
			0),
		POD_IS("c",
			"\"nominatedNodeName\":\"node-1\"|0/1 nodes are available: 1 Insufficient "
			"cpu. preemption: found a potential placement for pod on node node-1, "
			"preempting 1 victims|!\"nodeName\"",
			15),
		POD_GONE("a"), POD_IS("b", "!deletionTimestamp|\"phase\":\"Running\"", 0),
		POD_IS("c", "\"nodeName\":\"node-1\"|\"phase\":\"Running\"|!\"nominatedNodeName\"",
			0),
		EVENTS("1*\"reason\":\"Preempted\"|\"message\":\"Preempted by pod |on node node-1")};
	PLAY(1, acts);
}

TEST(who_may_not_preempt_waits)
{
	static const struct act acts[] = {PLAY_ACCOUNT, CLASSES,
		{CLIENT_CREATE, "priorityclasses", "", "",
			"{\"metadata\":{\"name\":\"polite\"},\"value\":2000,\"preemptionPolicy\":"
			"\"Never\"}",
			-1, 201, NULL, 0},
		{POD("a", "low", "3", ""), 10}, {POD("p", "polite", "3", ""), 10},
		POD_IS("a", "!deletionTimestamp|\"phase\":\"Running\"", 0),
		POD_IS("p",
			"Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.|"
			"!nominatedNodeName",
			0),
		/* nor who is as important, or wants what the node never had */
		{POD("b", "low", "3", ""), 10},
		POD_IS("b",
			"preemption: 0/1 nodes are available: 1 No preemption victims found for "
			"incoming pod.",
			0),
		{POD("d", "high", "5", ""), 10},
		POD_IS("d",
			"preemption: 0/1 nodes are available: 1 Preemption is not helpful for "
			"scheduling.",
			0),
		POD_IS("a", "!deletionTimestamp", 0),
		/* it comes first when there is room again */
		{CLIENT_DELETE, "pods", "default", "a", NULL, -1, 200, NULL, 20},
		POD_IS("p", "\"phase\":\"Running\"", 0), POD_IS("b", "\"phase\":\"Pending\"", 0)};
	PLAY(1, acts);
}

TEST(pods_whose_budgets_allow_it_go_first)
{
	static const struct act acts[] = {PLAY_ACCOUNT, CLASSES,
		{POD("a", "low", "3", ON("node-1")), 0}, {POD("b", "mid", "3", ON("node-2")), 0},
		{CLIENT_CREATE, "poddisruptionbudgets", "default", "",
			"{\"metadata\":{\"name\":\"d\"},\"spec\":{\"selector\":{\"matchLabels\":{"
			"\"app\":\"a\"}},\"minAvailable\":1}}",
			-1, 201, NULL, 10},
		{POD("c", "high", "2", ""), 10}, POD_GONE("b"),
		POD_IS("a", "!deletionTimestamp|\"phase\":\"Running\"", 0),
		POD_IS("c", "\"nodeName\":\"node-2\"|\"phase\":\"Running\"", 0),
		/* a budget is no wall */
		{POD("d", "high", "2", ON("node-1")), 10}, POD_GONE("a"),
		POD_IS("d", "\"nodeName\":\"node-1\"|\"phase\":\"Running\"", 0)};
	PLAY(2, acts);
}

/* Room that was made for one is not taken by another that comes later and is less important, nor does that one send
 * anybody away: it would not help. */
TEST(what_is_nominated_is_not_taken)
{
	static const struct act acts[] = {PLAY_ACCOUNT, CLASSES, {POD("a", "low", "3", ""), 10},
		{POD("c", "high", "3", ""), 0}, {POD("m", "mid", "3", ""), 1},
		POD_IS("c", "\"nominatedNodeName\":\"node-1\"|!\"nodeName\"", 0),
		POD_IS("m",
			"!nominatedNodeName|0/1 nodes are available: 1 Insufficient cpu. "
			"preemption: 0/1 nodes are available: 1 Insufficient cpu.",
			20),
		POD_GONE("a"), POD_IS("c", "\"phase\":\"Running\"", 0),
		POD_IS("m", "\"phase\":\"Pending\"", 0), EVENTS("1*\"reason\":\"Preempted\"")};
	PLAY(1, acts);
}

/* Of a node's pods only as many go as must, and the most important stay; a rule between pods that holds only
 * without some of them counts as room does. */
TEST(a_spread_that_is_broken_by_others_is_mended_by_their_going)
{
	static const struct act acts[] = {PLAY_ACCOUNT, CLASSES,
		{CLIENT_PATCH_MERGE, "nodes", "", "node-1",
			"{\"metadata\":{\"labels\":{\"z\":\"x\"}}}", -1, 200, NULL, 0},
		{CLIENT_PATCH_MERGE, "nodes", "", "node-2",
			"{\"metadata\":{\"labels\":{\"z\":\"y\"}}}", -1, 200, NULL, 0},
#define LABELED(name, class, cpu, node, more)                                                      \
	{CLIENT_CREATE, "pods", "default", "",                                                     \
		"{\"metadata\":{\"name\":\"" name "\",\"labels\":{\"s\":\"\"}},\"spec\":{"         \
		"\"priorityClassName\":\"" class                                                   \
		"\"," more "\"nodeSelector\":{\"z\":\"" node                                       \
		"\"},\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"resources\":{"              \
		"\"requests\":{\"cpu\":\"" cpu "\"}}}]}}",                                         \
		-1, 201, NULL, 5}
		LABELED("high", "high", "3", "x", ""), LABELED("low-1", "low", "1", "y", ""),
		LABELED("low-2", "low", "1", "y", ""), LABELED("low-3", "low", "1", "y", ""),
		LABELED("medium", "mid", "2", "y",
			"\"topologySpreadConstraints\":[{\"maxSkew\":1,\"topologyKey\":\"z\","
			"\"whenUnsatisfiable\":\"DoNotSchedule\",\"labelSelector\":{"
			"\"matchExpressions\":[{\"key\":\"s\",\"operator\":\"Exists\"}]},"
			"\"nodeAffinityPolicy\":\"Ignore\"}],"),
		{CLIENT_GET, "namespaces", "", "default", NULL, -1, 200, NULL, 10},
		POD_IS("medium", "\"phase\":\"Running\"", 0),
		{CLIENT_GET, "pods", "default", "", NULL, -1, 200,
			"\"name\":\"low-1\"|!\"name\":\"low-2\"|!\"name\":\"low-3\"|"
			"\"name\":\"high\"",
			0}};
	PLAY(2, acts);
}
