/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * custom_test: custom resources from the definition to its end, through the API: served when Established, all verbs,
 * versions, subresources, tables, names that are taken, and what goes with the definition. */
#include "orchestrator/api/custom.c"
#include "orchestrator/api/server_int.h"
#include "orchestrator/kinds/kinds.h"
#include "tests/unit/orchestrator/api/fixture.h"

#define CRDS                                                                                       \
	.group = STR("apiextensions.k8s.io"), .version = STR("v1"),                                \
	.resource = STR("customresourcedefinitions")
#define FOOS .group = STR("example.com"), .version = STR("v1"), .resource = STR("foos")

static const char schema_text[] =
	"{\"type\":\"object\",\"properties\":{\"spec\":{\"type\":\"object\",\"required\":[\"n\"],"
	"\"properties\":{\"n\":{\"type\":\"integer\",\"minimum\":0},\"color\":{\"type\":\"string\","
	"\"default\":\"red\"}}},\"status\":{\"type\":\"object\",\"properties\":{\"n\":{\"type\":"
	"\"integer\"}}}}}";

static struct str
definition(char *out, size_t size, const char *plural, const char *kind, const char *more)
{
	snprintf(out, size,
		"{\"metadata\":{\"name\":\"%s.example.com\"},\"spec\":{\"group\":\"example.com\","
		"\"scope\":\"Namespaced\",\"names\":{\"plural\":\"%s\",\"kind\":\"%s\",\"shortNames\":["
		"\"fo\"]},\"versions\":[{\"name\":\"v1\",\"served\":true,\"storage\":true,\"schema\":{"
		"\"openAPIV3Schema\":%s},\"subresources\":{\"status\":{},\"scale\":{"
		"\"specReplicasPath\":\".spec.n\",\"statusReplicasPath\":\".status.n\"}}}%s]}}",
		plural, plural, kind, schema_text, more);
	return str_c(out);
}

struct wait {
	struct fixture *f;
	const char *name, *text;
};

/* settle: the definition's status says `text`; NULL: it is gone. */
static void
settle(struct fixture *f, const char *name, const char *text)
{
	for (int i = 0; i < 100; i++) {
		int http = call(f, f->admin,
			&(struct client_req){CRDS, .verb = CLIENT_GET, .name = str_c(name)});
		if (text ? http == 200 && strstr(f->body.data, text) : http == 404)
			return;
		world_run(f->w, clock_mono_ns() + 20 * NS_PER_MS, NULL, NULL);
	}
	TEST_FAIL_("%s: no %s in %s", name, text ? text : "end", f->body.data);
}

static void
define(struct fixture *f, const char *more)
{
	char body[4096];
	CHECK_INT(call(f, f->admin,
			  &(struct client_req){CRDS, .verb = CLIENT_CREATE,
				  .body = definition(body, sizeof(body), "foos", "Foo", more)}),
		201);
	settle(f, "foos.example.com", "\"status\":\"True\",\"lastTransitionTime\"");
	settle(f, "foos.example.com", "InitialNamesAccepted");
}

static int
create(struct fixture *f, const char *body)
{
	return call(f, f->admin,
		&(struct client_req){
			FOOS, .verb = CLIENT_CREATE, .ns = STR("default"), .body = str_c(body)});
}

static int
ask(struct fixture *f, enum client_verb verb, const char *name, const char *sub, const char *body)
{
	return call(f, f->admin,
		&(struct client_req){FOOS, .verb = verb, .ns = STR("default"), .name = str_c(name),
			.subresource = str_c(sub), .body = str_c(body)});
}

static void
open_kinds(struct fixture *f, uint64_t seed)
{
	fx_open_with(f, seed, &kinds_tables);
}

TEST(objects_are_served_when_the_definition_is_established)
{
	struct fixture f;
	open_kinds(&f, 1);
	CHECK_INT(client_call_start(f.admin, &(struct client_req){FOOS, .verb = CLIENT_LIST},
			  on_done, &f, NULL),
		-EINVAL);
	define(&f, "");
	CHECK_INT(create(&f,
			  "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"n\":1,\"x\":2},\"status\":{"
			  "\"n\":5}}"),
		201);
	CHECK(says(&f, "\"spec\":{\"color\":\"red\",\"n\":1}}"));
	CHECK(says(&f, "\"generation\":1"));
	CHECK(strstr(f.body.data, "status") == NULL);
	CHECK_INT(create(&f, "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"n\":1}}"), 409);
	CHECK_INT(create(&f, "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"n\":-1}}"), 422);
	CHECK_STR(f.e.msg,
		"Foo.example.com \"b\" is invalid: spec.n: Invalid value: -1: spec.n in body should be "
		"greater than or equal to 0");
	CHECK_INT(create(&f, "{\"metadata\":{\"name\":\"b\"},\"spec\":{}}"), 422);
	CHECK_STR(f.e.msg, "Foo.example.com \"b\" is invalid: spec.n: Required value");
	CHECK_INT(ask(&f, CLIENT_PATCH_MERGE, "a", "", "{\"spec\":{\"n\":2}}"), 200);
	CHECK(says(&f, "\"generation\":2"));
	CHECK_INT(ask(&f, CLIENT_PATCH_MERGE, "a", "status",
			  "{\"status\":{\"n\":7},\"spec\":{\"n\":9}}"),
		200);
	CHECK(says(&f, "\"generation\":2"));
	CHECK(says(&f, "\"n\":2},\"status\":{\"n\":7}"));
	CHECK_INT(ask(&f, CLIENT_PATCH_STRATEGIC, "a", "", "{\"spec\":{\"n\":2}}"), 415);
	CHECK_INT(ask(&f, CLIENT_GET, "a", "scale", ""), 200);
	CHECK(says(&f, "\"spec\":{\"replicas\":2},\"status\":{\"replicas\":7}"));
	CHECK_INT(ask(&f, CLIENT_PATCH_MERGE, "a", "scale", "{\"spec\":{\"replicas\":4}}"), 200);
	CHECK_INT(ask(&f, CLIENT_GET, "a", "", ""), 200);
	CHECK(says(&f, "\"n\":4}"));
	CHECK_INT(ask(&f, CLIENT_LIST, "", "", ""), 200);
	CHECK(says(&f, "\"kind\":\"FooList\""));
	CHECK_INT(ask(&f, CLIENT_DELETE, "a", "", ""), 200);
	CHECK_INT(ask(&f, CLIENT_GET, "a", "", ""), 404);
	fx_close(&f);
}

TEST(versions_share_the_objects)
{
	static const char v2[] =
		",{\"name\":\"v2\",\"served\":true,\"storage\":false,\"schema\":{\"openAPIV3Schema\":{"
		"\"type\":\"object\",\"properties\":{\"spec\":{\"type\":\"object\",\"properties\":{\"n\":{"
		"\"type\":\"integer\"},\"more\":{\"type\":\"string\",\"default\":\"yes\"}}}}}}},{\"name\":"
		"\"v0\",\"served\":false,\"storage\":false,\"schema\":{\"openAPIV3Schema\":{\"type\":"
		"\"object\"}}}";
	struct fixture f;
	open_kinds(&f, 2);
	define(&f, v2);
	CHECK_INT(create(&f, "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"n\":1}}"), 201);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){.group = STR("example.com"),
				  .version = STR("v2"),
				  .resource = STR("foos"),
				  .verb = CLIENT_GET,
				  .ns = STR("default"),
				  .name = STR("a")}),
		200);
	CHECK(says(&f, "\"apiVersion\":\"example.com/v2\""));
	/* what is stored has the defaults of its own version */
	CHECK(says(&f, "\"spec\":{\"n\":1}"));
	fx_close(&f);
}

TEST(a_changed_schema_holds_for_what_is_stored)
{
	struct fixture f;
	open_kinds(&f, 3);
	define(&f, "");
	CHECK_INT(create(&f, "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"n\":1}}"), 201);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CRDS, .verb = CLIENT_PATCH_JSON,
				  .name = STR("foos.example.com"),
				  .body = STR(
					  "[{\"op\":\"add\",\"path\":\"/spec/versions/0/schema/"
					  "openAPIV3Schema/properties/spec/properties/size\","
					  "\"value\":{\"type\":\"string\",\"default\":\"big\"}},"
					  "{\"op\":\"remove\",\"path\":\"/spec/versions/0/schema/"
					  "openAPIV3Schema/properties/spec/properties/color\"}]")}),
		200);
	CHECK_INT(ask(&f, CLIENT_GET, "a", "", ""), 200);
	CHECK(says(&f, "\"spec\":{\"n\":1,\"size\":\"big\"}"));
	CHECK(strstr(f.body.data, "\"resourceVersion\":\"\"") == NULL); /* was lost on the way */
	CHECK_INT(ask(&f, CLIENT_UPDATE, "a", "", arena_cstr(f.s->a, str_c(f.body.data))), 200);
	CHECK(says(&f, "\"size\":\"big\""));
	fx_close(&f);
}

TEST(names_that_are_taken_are_waited_for)
{
	char body[4096];
	struct fixture f;
	open_kinds(&f, 4);
	define(&f, "");
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CRDS, .verb = CLIENT_CREATE,
				  .body = definition(body, sizeof(body), "bars", "Bar", "")}),
		201);
	settle(&f, "bars.example.com", "\"fo\\\" is already in use");
	CHECK(says(&f, "ShortNamesConflict"));
	CHECK(says(&f, "not all names are accepted"));
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){
				  CRDS, .verb = CLIENT_DELETE, .name = STR("foos.example.com")}),
		200);
	settle(&f, "foos.example.com", NULL);
	settle(&f, "bars.example.com", "InitialNamesAccepted");
	fx_close(&f);
}

TEST(instances_go_before_their_definition)
{
	struct fixture f;
	open_kinds(&f, 5);
	define(&f, "");
	CHECK_INT(create(&f,
			  "{\"metadata\":{\"name\":\"a\",\"finalizers\":[\"example.com/x\"]},"
			  "\"spec\":{\"n\":1}}"),
		201);
	CHECK_INT(create(&f, "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"n\":1}}"), 201);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){
				  CRDS, .verb = CLIENT_DELETE, .name = STR("foos.example.com")}),
		200);
	CHECK(says(&f, "customresourcecleanup.apiextensions.k8s.io"));
	settle(&f, "foos.example.com", "InstanceDeletionInProgress");
	CHECK_INT(create(&f, "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"n\":1}}"), 405);
	CHECK_STR(f.e.msg, "create not allowed while custom resource definition is terminating");
	CHECK_INT(
		ask(&f, CLIENT_PATCH_MERGE, "a", "", "{\"metadata\":{\"finalizers\":null}}"), 200);
	settle(&f, "foos.example.com", NULL);
	CHECK_INT(client_call_start(f.admin, &(struct client_req){FOOS, .verb = CLIENT_LIST},
			  on_done, &f, NULL),
		-EINVAL);
	define(&f, ""); /* it comes again, empty */
	CHECK_INT(ask(&f, CLIENT_LIST, "", "", ""), 200);
	CHECK(says(&f, "\"items\":[]"));
	fx_close(&f);
}

static bool watch_ended;
static size_t watch_events;

static void
on_event(void *arg, enum client_event ev, struct str object)
{
	(void)arg;
	(void)object;
	watch_events += ev != CLIENT_BOOKMARK;
}

static void
on_end(void *arg, const struct client_result *r)
{
	(void)arg;
	(void)r;
	watch_ended = true;
}

TEST(a_watch_ends_with_the_definition)
{
	static const struct client_watch_fns fns = {on_event, on_end};
	struct client_watch *w = NULL;
	struct fixture f;
	open_kinds(&f, 6);
	define(&f, "");
	CHECK_INT(create(&f, "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"n\":1}}"), 201);
	CHECK_INT(client_watch_start(f.admin, &(struct client_req){FOOS, .verb = CLIENT_WATCH},
			  &fns, NULL, &w),
		0);
	world_run(f.w, clock_mono_ns() + NS_PER_SEC, NULL, NULL);
	CHECK_INT(watch_events, 1);
	CHECK_INT(ask(&f, CLIENT_PATCH_MERGE, "a", "", "{\"spec\":{\"n\":2}}"), 200);
	CHECK(!watch_ended);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){
				  CRDS, .verb = CLIENT_DELETE, .name = STR("foos.example.com")}),
		200);
	settle(&f, "foos.example.com", NULL);
	world_run(f.w, clock_mono_ns() + NS_PER_SEC, NULL, NULL);
	CHECK(watch_ended);
	CHECK_INT(watch_events, 3); /* added, modified, deleted */
	fx_close(&f);
}
