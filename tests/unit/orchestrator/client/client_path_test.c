/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Calls as URLs. */
#include "orchestrator/client/client_path.c"

#include "tests/unit/test.h"

static void
check(const struct client_req *req, const char *want)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	client_path_put(&b, req);
	CHECK_STR(buf_view(&b), want);
}

TEST(paths)
{
	check(&(struct client_req){.verb = CLIENT_GET,
		      .version = STR("v1"),
		      .resource = STR("nodes"),
		      .name = STR("n")},
		"/api/v1/nodes/n");
	check(&(struct client_req){.verb = CLIENT_CREATE,
		      .group = STR("apps"),
		      .version = STR("v1"),
		      .resource = STR("deployments"),
		      .ns = STR("x"),
		      .dry_run = true},
		"/apis/apps/v1/namespaces/x/deployments?dryRun=All");
	check(&(struct client_req){.verb = CLIENT_UPDATE,
		      .version = STR("v1"),
		      .resource = STR("pods"),
		      .ns = STR("x"),
		      .name = STR("p"),
		      .subresource = STR("status")},
		"/api/v1/namespaces/x/pods/p/status");
	check(&(struct client_req){.verb = CLIENT_LIST,
		      .version = STR("v1"),
		      .resource = STR("pods"),
		      .label_selector = STR("a in (b,c)"),
		      .limit = 5,
		      .continue_token = STR("t=")},
		"/api/v1/pods?labelSelector=a%20in%20%28b%2Cc%29&limit=5&continue=t%3D");
}

/* A watch of one object goes to the list with a field selector: the single-object watch is no more. */
TEST(watching_one_object_is_a_selector)
{
	check(&(struct client_req){.verb = CLIENT_WATCH,
		      .version = STR("v1"),
		      .resource = STR("secrets"),
		      .ns = STR("x"),
		      .name = STR("s"),
		      .resource_version = STR("7"),
		      .allow_bookmarks = true,
		      .timeout_s = 300},
		"/api/v1/namespaces/x/secrets?watch=true&fieldSelector=metadata.name%3Ds&resourceVersion=7&"
		"allowWatchBookmarks=true&timeoutSeconds=300");
}

TEST(a_finalizer_comes_and_goes_and_others_stay)
{
	struct str v[] = {STR("a/x"), STR("b/y")};
	struct meta_v1_object_meta m = {
		.resource_version = STR("7"), .finalizers = v, .n_finalizers = 2};
	static const struct {
		const char *name;
		bool wanted;
		const char *want;
	} rows[] = {{"a/x", false, "\"b/y\""}, {"a/x", true, "\"b/y\",\"a/x\""},
		{"c/z", false, "\"a/x\",\"b/y\""}, {"c/z", true, "\"a/x\",\"b/y\",\"c/z\""}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT, want = BUF_INIT;
		client_finalizers(&b, &m, str_c(rows[i].name), rows[i].wanted);
		buf_fmt(&want, "{\"metadata\":{\"resourceVersion\":\"7\",\"finalizers\":[%s]}}",
			rows[i].want);
		CHECK_STR(buf_view(&b), buf_view(&want));
	}
}
