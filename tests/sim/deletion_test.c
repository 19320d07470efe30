/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * In which order things go, on virtual time: owners and what they own, in circles and with two owners; a namespace
 * and what is in it. Each scene writes its objects, asks for one deletion, and looks when nothing moves any more. */
#include "tests/sim/acts.h"

extern const struct controller namespace_controller, gc_controller;
static const struct controller *const table[] = {&namespace_controller, &gc_controller, NULL};

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
	CHECK_INT(play(table, acts, ARRAY_LEN(acts)), 0);
}

TEST(what_has_another_owner_stays)
{
	static const struct act acts[] = {{MAKE("goes", ""), -1, 201, NULL, 0},
		{MAKE("stays", ""), -1, 201, NULL, 0}, {OWNED("both", "goes"), 0, 201, NULL, 0},
		{OWNER("both", "stays"), 1, 200, NULL, 5}, {OWNED("only", "goes"), 0, 201, NULL, 5},
		{FOREGROUND("goes"), -1, 200, NULL, 60}, {LOOK("goes"), -1, 404, NULL, 0},
		{LOOK("only"), -1, 404, NULL, 0}, {LOOK("both"), -1, 200, "!\"goes\"", 0},
		{LOOK("both"), -1, 200, "\"stays\"", 0}};
	CHECK_INT(play(table, acts, ARRAY_LEN(acts)), 0);
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
	CHECK_INT(play(table, acts, ARRAY_LEN(acts)), 0);
}
