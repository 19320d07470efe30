/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Built-in admission through the whole pipeline: what it refuses although a role allows it. */
#include "orchestrator/kinds/admission.c"

#include "orchestrator/api/api_int.h"
#include "tests/unit/orchestrator/api/fixture.h"

/* Deletes went past the plugins that change objects, and these are among them. */
TEST(a_node_deletes_and_writes_only_what_is_its_own)
{
	static const char of_status[] = "{\"status\":{\"message\":\"x\"}}";
	static const char made[] =
		"{\"metadata\":{\"name\":\"more\"},\"spec\":{\"nodeName\":\"n1\","
		"\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}";
	struct fixture f;
	fx_open_with(&f, 1, &kinds_tables);
	struct client *n1 = client_as(&f, "system:node:n1", "system:nodes");
	CHECK_INT(write_as(&f, f.admin, CLIENT_CREATE, "serviceaccounts", "default", "", "",
			  "{\"metadata\":{\"name\":\"default\"}}"),
		201);
	pod_on(&f, "p1", "n1", "s1");
	pod_on(&f, "p2", "n2", "s2");
	for (int i = 1; i <= 2; i++) {
		char node[60];
		snprintf(node, sizeof(node), "{\"metadata\":{\"name\":\"n%d\"}}", i);
		CHECK_INT(write_as(&f, f.admin, CLIENT_CREATE, "nodes", "", "", "", node), 201);
	}
	CHECK_INT(write_as(&f, n1, CLIENT_DELETE, "pods", "default", "p2", "", ""), 403);
	CHECK(says(&f, "can only delete pods with spec.nodeName set to itself"));
	CHECK_INT(
		write_as(&f, n1, CLIENT_PATCH_MERGE, "pods", "default", "p2", "status", of_status),
		403);
	CHECK_INT(
		write_as(&f, n1, CLIENT_PATCH_MERGE, "pods", "default", "p1", "status", of_status),
		200);
	CHECK_INT(
		write_as(&f, n1, CLIENT_PATCH_MERGE, "nodes", "", "n2", "status", of_status), 403);
	CHECK_INT(write_as(&f, n1, CLIENT_DELETE, "nodes", "", "n2", "", ""), 403);
	CHECK_INT(write_as(&f, n1, CLIENT_CREATE, "pods", "default", "", "", made), 403);
	CHECK_INT(write_as(&f, n1, CLIENT_DELETE, "pods", "default", "p1", "", ""), 200);
	client_free(n1);
	fx_close(&f);
}

TEST(namespaces_of_the_system_may_not_be_deleted)
{
	static const char *const kept[] = {"default", "kube-system", "kube-public"};
	struct fixture f;
	fx_open_with(&f, 2, &kinds_tables);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		CHECK_INT(write_as(&f, f.admin, CLIENT_DELETE, "namespaces", "", kept[i], "", ""),
			403);
		CHECK(says(&f, "this namespace may not be deleted"));
	}
	fx_close(&f);
}
