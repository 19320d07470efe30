/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * In which order things go, on virtual time: owners and what they own, in circles and with two owners; a namespace
 * and what is in it. Each scene writes its objects, asks for one deletion, and looks when nothing moves any more. */
#include "orchestrator/control/control.h"

extern const struct controller namespace_controller, gc_controller;
static const struct controller *const table[] = {&namespace_controller, &gc_controller, NULL};

#include "tests/sim/play.h"

#define MAKE(name, more)                                                                           \
	CLIENT_CREATE, "configmaps", "default", "", "{\"metadata\":{\"name\":\"" name "\"" more "}}"
#define OWNED(name, owner)                                                                              \
	MAKE(name,                                                                                      \
		",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"name\":\"" owner \
		"\",\"uid\":\"%s\",\"blockOwnerDeletion\":true}]")
#define OWNER(name, owner)                                                                                            \
	CLIENT_PATCH_STRATEGIC, "configmaps", "default", name,                                                        \
		"{\"metadata\":{\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"name\":\"" owner \
		"\",\"uid\":\"%s\",\"blockOwnerDeletion\":true}]}}"
#define FOREGROUND(name)                                                                           \
	CLIENT_DELETE, "configmaps", "default", name, "{\"propagationPolicy\":\"Foreground\"}"
#define LOOK(name) CLIENT_GET, "configmaps", "default", name, NULL

TEST(a_circle_of_owners_goes)
{
	static const struct act acts[] = {{MAKE("one", ""), -1, 201, NULL, 0},
		{OWNED("two", "one"), 0, 201, NULL, 0}, {OWNED("three", "two"), 1, 201, NULL, 0},
		{OWNER("one", "three"), 2, 200, NULL, 5}, {FOREGROUND("one"), -1, 200, NULL, 60},
		{LOOK("one"), -1, 404, NULL, 0}, {LOOK("two"), -1, 404, NULL, 0},
		{LOOK("three"), -1, 404, NULL, 0}};
	PLAY(0, acts);
}

TEST(what_has_another_owner_stays)
{
	static const struct act acts[] = {{MAKE("goes", ""), -1, 201, NULL, 0},
		{MAKE("stays", ""), -1, 201, NULL, 0}, {OWNED("both", "goes"), 0, 201, NULL, 0},
		{OWNER("both", "stays"), 1, 200, NULL, 5}, {OWNED("only", "goes"), 0, 201, NULL, 5},
		{FOREGROUND("goes"), -1, 200, NULL, 60}, {LOOK("goes"), -1, 404, NULL, 0},
		{LOOK("only"), -1, 404, NULL, 0}, {LOOK("both"), -1, 200, "!\"goes\"", 0},
		{LOOK("both"), -1, 200, "\"stays\"", 0}};
	PLAY(0, acts);
}

/* Network policies went before the pods that they kept apart. */
TEST(the_pods_of_a_namespace_go_first)
{
	static const struct act acts[] = {
		{CLIENT_CREATE, "namespaces", "", "", "{\"metadata\":{\"name\":\"n\"}}", -1, 201,
			NULL, 1},
		{CLIENT_CREATE, "serviceaccounts", "n", "", "{\"metadata\":{\"name\":\"default\"}}",
			-1, 201, NULL, 0},
		{CLIENT_CREATE, "configmaps", "n", "", "{\"metadata\":{\"name\":\"c\"}}", -1, 201,
			NULL, 0},
		{CLIENT_CREATE, "pods", "n", "",
			"{\"metadata\":{\"name\":\"p\",\"finalizers\":[\"example.com/keep\"]},\"spec\":{"
			"\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}",
			-1, 201, NULL, 0},
		{CLIENT_DELETE, "namespaces", "", "n", NULL, -1, 200, NULL, 60},
		{CLIENT_GET, "pods", "n", "p", NULL, -1, 200, "\"deletionTimestamp\"", 0},
		{CLIENT_GET, "configmaps", "n", "c", NULL, -1, 200, "!\"deletionTimestamp\"", 0},
		{CLIENT_GET, "namespaces", "", "n", NULL, -1, 200, "pods has 1 resource instances",
			0},
		{CLIENT_PATCH_MERGE, "pods", "n", "p", "{\"metadata\":{\"finalizers\":null}}", -1,
			200, NULL, 60},
		{CLIENT_GET, "namespaces", "", "n", NULL, -1, 404, NULL, 0},
	};
	PLAY(0, acts);
}

#define DEFINE                                                                                       \
	CLIENT_CREATE, "customresourcedefinitions", "", "",                                          \
		"{\"metadata\":{\"name\":\"foos.example.com\"},\"spec\":{\"group\":\"example.com\"," \
		"\"scope\":\"Namespaced\",\"names\":{\"plural\":\"foos\",\"kind\":\"Foo\"},"         \
		"\"versions\":[{\"name\":\"v1\",\"served\":true,\"storage\":true,\"schema\":{"       \
		"\"openAPIV3Schema\":{\"type\":\"object\"}}}]}}"

/* Kinds that came after the controllers started were not known to them. */
TEST(custom_resources_are_owners_and_owned)
{
	static const struct act acts[] = {
		{DEFINE, -1, 201, NULL, 5},
		{CLIENT_CREATE, "foos", "default", "", "{\"metadata\":{\"name\":\"f\"}}", -1, 201,
			NULL, 0},
		{MAKE("c",
			 ",\"ownerReferences\":[{\"apiVersion\":\"example.com/v1\",\"kind\":\"Foo\","
			 "\"name\":\"f\",\"uid\":\"%s\"}]"),
			1, 201, NULL, 0},
		{CLIENT_CREATE, "foos", "default", "",
			"{\"metadata\":{\"name\":\"g\",\"ownerReferences\":[{\"apiVersion\":\"v1\","
			"\"kind\":\"ConfigMap\",\"name\":\"c\",\"uid\":\"%s\"}]}}",
			2, 201, NULL, 5},
		{LOOK("c"), -1, 200, NULL, 0},
		{CLIENT_DELETE, "foos", "default", "f", NULL, -1, 200, NULL, 60},
		{LOOK("c"), -1, 404, NULL, 0},
		{CLIENT_GET, "foos", "default", "g", NULL, -1, 404, NULL, 0},
		{CLIENT_CREATE, "foos", "default", "", "{\"metadata\":{\"name\":\"h\"}}", -1, 201,
			NULL, 0},
		{CLIENT_DELETE, "customresourcedefinitions", "", "foos.example.com", NULL, -1, 200,
			NULL, 60},
		{CLIENT_GET, "customresourcedefinitions", "", "foos.example.com", NULL, -1, 404,
			NULL, 0},
	};
	PLAY(0, acts);
}

TEST(custom_resources_go_with_their_namespace)
{
	static const struct act acts[] = {
		{DEFINE, -1, 201, NULL, 5},
		{CLIENT_CREATE, "namespaces", "", "", "{\"metadata\":{\"name\":\"n\"}}", -1, 201,
			NULL, 1},
		{CLIENT_CREATE, "foos", "n", "",
			"{\"metadata\":{\"name\":\"f\",\"finalizers\":[\"example.com/keep\"]}}", -1,
			201, NULL, 0},
		{CLIENT_DELETE, "namespaces", "", "n", NULL, -1, 200, NULL, 60},
		{CLIENT_GET, "namespaces", "", "n", NULL, -1, 200,
			"foos.example.com has 1 resource instances", 0},
		{CLIENT_PATCH_MERGE, "foos", "n", "f", "{\"metadata\":{\"finalizers\":null}}", -1,
			200, NULL, 60},
		{CLIENT_GET, "namespaces", "", "n", NULL, -1, 404, NULL, 0},
	};
	PLAY(0, acts);
}
