/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * convert_test: custom resources whose definition converts by a webhook, through the whole pipeline, over TLS on
 * loopback: every way to read and to write in a version that is not the stored one. */
#include "orchestrator/api/convert.c"

#include "tests/unit/orchestrator/api/hook_fixture.h"

#define CRDS                                                                                       \
	.group = STR("apiextensions.k8s.io"), .version = STR("v1"),                                \
	.resource = STR("customresourcedefinitions")
#define HOSTS(v)                                                                                   \
	.group = STR("example.com"), .version = STR(v), .resource = STR("hosts"),                  \
	.ns = STR("default")

static const char versions[] =
	"[{\"name\":\"v1\",\"served\":true,\"storage\":%s,\"subresources\":{\"status\":{}},\"schema\":"
	"{\"openAPIV3Schema\":{\"type\":\"object\",\"properties\":{\"hostPort\":{\"type\":\"string\"},"
	"\"status\":{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}}}}}}},"
	"{\"name\":\"v2\",\"served\":true,\"storage\":%s,\"subresources\":{\"status\":{}},"
	"\"selectableFields\":[{\"jsonPath\":\".port\"}],\"schema\":"
	"{\"openAPIV3Schema\":{\"type\":\"object\",\"properties\":{\"host\":{\"type\":\"string\"},"
	"\"port\":{\"type\":\"string\"},\"status\":{\"type\":\"object\",\"properties\":{\"n\":{"
	"\"type\":\"integer\"}}}}}}}]";

/* The definition converts by the webhook at this path; none: it does not convert. */
static int
define(struct hooks_fixture *x, const char *path)
{
	struct buf b = BUF_INIT;
	buf_cstr(&b,
		"{\"metadata\":{\"name\":\"hosts.example.com\"},\"spec\":{\"group\":\"example.com\","
		"\"scope\":\"Namespaced\",\"names\":{\"plural\":\"hosts\",\"kind\":\"Host\"},"
		"\"versions\":");
	buf_fmt(&b, versions, "true", "false");
	buf_fmt(&b,
		",\"conversion\":{\"strategy\":\"Webhook\",\"webhook\":{\"conversionReviewVersions\":["
		"\"v1\"],\"clientConfig\":{\"url\":\"https://127.0.0.1:%u%s\",\"caBundle\":\"%s\"}}}}}",
		x->bound.port, path, x->ca64.data);
	int http = hcall(
		x, &(struct client_req){CRDS, .verb = CLIENT_CREATE, .body = buf_view(&b)});
	buf_release(&b);
	for (int i = 0; i < 2000; i++) {
		hcall(x,
			&(struct client_req){
				CRDS, .verb = CLIENT_GET, .name = STR("hosts.example.com")});
		if (strstr(x->f.body.data, "InitialNamesAccepted"))
			return http;
		loop_turn(x->f.loop, 1);
	}
	TEST_FAIL_("not established: %s", x->f.body.data);
	return 0;
}

/* The definition's webhook is another from now on. */
static void
path_is(struct hooks_fixture *x, const char *path)
{
	struct buf b = BUF_INIT;
	buf_fmt(&b,
		"[{\"op\":\"replace\",\"path\":\"/spec/conversion/webhook/clientConfig/url\",\"value\":"
		"\"https://127.0.0.1:%u%s\"}]",
		x->bound.port, path);
	CHECK_INT(hcall(x,
			  &(struct client_req){CRDS, .verb = CLIENT_PATCH_JSON,
				  .name = STR("hosts.example.com"), .body = buf_view(&b)}),
		200);
	buf_release(&b);
}

static int
make(struct hooks_fixture *x, bool v2, const char *name, const char *host, const char *port)
{
	char body[256];
	if (v2)
		snprintf(body, sizeof(body),
			"{\"metadata\":{\"name\":\"%s\"},\"host\":\"%s\",\"port\":\"%s\"}", name,
			host, port);
	else
		snprintf(body, sizeof(body),
			"{\"metadata\":{\"name\":\"%s\"},\"hostPort\":\"%s:%s\"}", name, host,
			port);
	return hcall(x,
		v2 ? &(struct client_req){HOSTS("v2"), .verb = CLIENT_CREATE, .body = str_c(body)}
		   : &(struct client_req){HOSTS("v1"), .verb = CLIENT_CREATE, .body = str_c(body)});
}

TEST(objects_are_read_and_written_in_the_version_of_the_request)
{
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(define(&x, "/convert"), 201);
	CHECK_INT(make(&x, false, "a", "localhost", "80"), 201);
	CHECK_INT(x.asked, 0);
	CHECK(says(&x.f, "\"hostPort\":\"localhost:80\""));
	CHECK_INT(
		hcall(&x, &(struct client_req){HOSTS("v2"), .verb = CLIENT_GET, .name = STR("a")}),
		200);
	CHECK_INT(x.asked, 1);
	CHECK(told(&x,
		"\"desiredAPIVersion\":\"example.com/v2\",\"objects\":[{\"kind\":\"Host\","
		"\"apiVersion\":\"example.com/v1\""));
	CHECK(says(&x.f, "\"apiVersion\":\"example.com/v2\""));
	CHECK(says(&x.f, "\"host\":\"localhost\""));
	CHECK(says(&x.f, "\"port\":\"80\""));
	CHECK(says(&x.f, "\"annotations\":{\"converted\":\"yes\"}"));
	CHECK(strstr(x.f.body.data, "\"hostPort\"") == NULL);
	CHECK_INT(make(&x, true, "b", "elsewhere", "81"), 201); /* there and back */
	CHECK_INT(x.asked, 3);
	CHECK(says(&x.f, "\"apiVersion\":\"example.com/v2\""));
	CHECK(says(&x.f, "\"host\":\"elsewhere\""));
	CHECK_INT(
		hcall(&x, &(struct client_req){HOSTS("v1"), .verb = CLIENT_GET, .name = STR("b")}),
		200);
	CHECK_INT(x.asked, 3); /* it is stored in this version */
	CHECK(says(&x.f, "\"hostPort\":\"elsewhere:81\""));
	CHECK_INT(hcall(&x,
			  &(struct client_req){HOSTS("v2"), .verb = CLIENT_PATCH_MERGE,
				  .name = STR("a"), .body = STR("{\"port\":\"8080\"}")}),
		200);
	CHECK(says(&x.f, "\"port\":\"8080\""));
	CHECK(says(&x.f, "\"generation\":2"));
	CHECK_INT(hcall(&x,
			  &(struct client_req){HOSTS("v2"), .verb = CLIENT_PATCH_MERGE,
				  .name = STR("a"), .subresource = STR("status"),
				  .body = STR("{\"status\":{\"n\":3},\"port\":\"1\"}")}),
		200);
	CHECK(says(&x.f, "\"port\":\"8080\",\"status\":{\"n\":3}"));
	CHECK(says(&x.f, "\"generation\":2"));
	CHECK_INT(
		hcall(&x, &(struct client_req){HOSTS("v1"), .verb = CLIENT_GET, .name = STR("a")}),
		200);
	CHECK(says(&x.f, "\"hostPort\":\"localhost:8080\""));
	CHECK_INT(
		hcall(&x,
			&(struct client_req){HOSTS("v2"), .verb = CLIENT_DELETE, .name = STR("a")}),
		200);
	CHECK_INT(
		hcall(&x, &(struct client_req){HOSTS("v2"), .verb = CLIENT_GET, .name = STR("a")}),
		404);
	hx_close(&x);
}

TEST(a_list_is_converted_by_one_question)
{
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(define(&x, "/convert"), 201);
	CHECK_INT(make(&x, false, "a", "one", "80"), 201);
	CHECK_INT(make(&x, false, "b", "two", "81"), 201);
	CHECK_INT(make(&x, false, "c", "three", "80"), 201);
	CHECK_INT(hcall(&x, &(struct client_req){HOSTS("v2"), .verb = CLIENT_LIST}), 200);
	CHECK_INT(x.asked, 1);
	CHECK(says(&x.f, "\"kind\":\"HostList\",\"apiVersion\":\"example.com/v2\""));
	CHECK(says(&x.f, "\"host\":\"three\""));
	CHECK(strstr(x.f.body.data, "\"hostPort\"") == NULL);
	/* a field that only the version asked for has */
	CHECK_INT(hcall(&x,
			  &(struct client_req){HOSTS("v2"), .verb = CLIENT_LIST,
				  .field_selector = STR("port=80")}),
		200);
	CHECK(says(&x.f, "\"host\":\"one\""));
	CHECK(says(&x.f, "\"host\":\"three\""));
	CHECK(strstr(x.f.body.data, "\"two\"") == NULL);
	CHECK_INT(
		hcall(&x, &(struct client_req){HOSTS("v2"), .verb = CLIENT_LIST, .limit = 2}), 200);
	CHECK(says(&x.f, "\"continue\":\""));
	CHECK(strstr(x.f.body.data, "\"three\"") == NULL);
	CHECK_INT(hcall(&x, &(struct client_req){HOSTS("v2"), .verb = CLIENT_DELETE_COLLECTION}),
		200);
	CHECK_INT(hcall(&x, &(struct client_req){HOSTS("v2"), .verb = CLIENT_LIST}), 200);
	CHECK(says(&x.f, "\"items\":[]"));
	hx_close(&x);
}

TEST(a_collection_goes_by_fields_of_the_version_that_was_asked)
{
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(define(&x, "/convert"), 201);
	CHECK_INT(make(&x, false, "a", "one", "80"), 201);
	CHECK_INT(make(&x, false, "b", "two", "81"), 201);
	CHECK_INT(make(&x, false, "c", "three", "80"), 201);
	CHECK_INT(hcall(&x,
			  &(struct client_req){HOSTS("v2"), .verb = CLIENT_DELETE_COLLECTION,
				  .field_selector = STR("port=80")}),
		200);
	CHECK_INT(hcall(&x, &(struct client_req){HOSTS("v1"), .verb = CLIENT_LIST}), 200);
	CHECK(says(&x.f, "\"hostPort\":\"two:81\""));
	CHECK(strstr(x.f.body.data, "\"one:80\"") == NULL);
	CHECK(strstr(x.f.body.data, "\"three:80\"") == NULL);
	hx_close(&x);
}

TEST(what_was_stored_in_another_version_is_converted_too)
{
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(define(&x, "/convert"), 201);
	CHECK_INT(make(&x, false, "old", "one", "80"), 201);
	CHECK_INT(hcall(&x,
			  &(struct client_req){CRDS, .verb = CLIENT_PATCH_JSON,
				  .name = STR("hosts.example.com"),
				  .body = STR("[{\"op\":\"replace\",\"path\":\"/spec/versions/0/"
					      "storage\",\"value\":false},{\"op\":\"replace\","
					      "\"path\":\"/spec/versions/1/storage\",\"value\":"
					      "true}]")}),
		200);
	CHECK(says(&x.f, "\"storedVersions\":[\"v1\",\"v2\"]"));
	CHECK_INT(make(&x, true, "new", "two", "81"), 201);
	CHECK_INT(x.asked, 0);
	CHECK_INT(hcall(&x, &(struct client_req){HOSTS("v2"), .verb = CLIENT_LIST}), 200);
	CHECK(says(&x.f, "\"host\":\"one\""));
	CHECK(says(&x.f, "\"host\":\"two\""));
	CHECK(strstr(x.review.data, "\"host\":\"two\"") ==
		NULL); /* it is in that version already */
	CHECK_INT(hcall(&x, &(struct client_req){HOSTS("v1"), .verb = CLIENT_LIST}), 200);
	CHECK(says(&x.f, "\"hostPort\":\"one:80\""));
	CHECK(says(&x.f, "\"hostPort\":\"two:81\""));
	CHECK(strstr(x.review.data, "\"hostPort\":\"one:80\"") == NULL);
	hx_close(&x);
}

struct seen {
	struct buf all;
	size_t n;
};

static void
on_event(void *arg, enum client_event ev, struct str object)
{
	struct seen *s = arg;
	if (ev == CLIENT_BOOKMARK)
		return;
	buf_fmt(&s->all, "%d " STR_FMT "\n", (int)ev, STR_ARG(object));
	s->n++;
}

static void
on_end(void *arg, const struct client_result *res)
{
	(void)arg;
	(void)res;
}

TEST(a_watch_sees_the_version_it_asked_for)
{
	static const struct client_watch_fns fns = {on_event, on_end};
	struct hooks_fixture x;
	struct seen seen = {0};
	struct client_watch *w = NULL;
	hx_open(&x);
	CHECK_INT(define(&x, "/convert"), 201);
	CHECK_INT(make(&x, false, "a", "one", "80"), 201);
	CHECK_INT(client_watch_start(x.f.admin,
			  &(struct client_req){HOSTS("v2"), .verb = CLIENT_WATCH,
				  .send_initial_events = true, .allow_bookmarks = true},
			  &fns, &seen, &w),
		0);
	until(&x, &seen.n, 1);
	CHECK_INT(make(&x, false, "b", "two", "81"), 201);
	CHECK_INT(
		hcall(&x,
			&(struct client_req){HOSTS("v1"), .verb = CLIENT_DELETE, .name = STR("a")}),
		200);
	until(&x, &seen.n, 3);
	buf_char(&seen.all, '\0');
	CHECK(strstr(seen.all.data, "\"host\":\"one\"") != NULL);
	CHECK(strstr(seen.all.data, "\"host\":\"two\"") != NULL);
	CHECK(strstr(seen.all.data, "\"hostPort\"") == NULL);
	client_watch_stop(w);
	buf_release(&seen.all);
	hx_close(&x);
}

static const struct {
	const char *path, *message;
} faults[] = {
	{"/convert-fail", "conversion webhook for example.com/v1, Kind=Host failed: not today"},
	{"/convert-rename",
		"conversion webhook for example.com/v1, Kind=Host returned invalid object: must have the "
		"same name: a != other"},
	{"/convert-lose",
		"conversion webhook for example.com/v1, Kind=Host returned 0 objects, expected 1"},
	{"/none",
		"conversion webhook for example.com/v1, Kind=Host failed: the server could not find the "
		"requested resource"},
	{"/error",
		"conversion webhook for example.com/v1, Kind=Host failed: an error on the server "
		"(\\\"boom\\\") has prevented the request from succeeding"},
};

TEST(a_conversion_that_fails_says_why_and_nothing_is_written)
{
	struct hooks_fixture x;
	char want[512];
	hx_open(&x);
	CHECK_INT(define(&x, "/convert"), 201);
	CHECK_INT(make(&x, false, "a", "one", "80"), 201);
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		path_is(&x, faults[i].path);
		CHECK_INT(hcall(&x,
				  &(struct client_req){
					  HOSTS("v2"), .verb = CLIENT_GET, .name = STR("a")}),
			500);
		snprintf(want, sizeof(want), "\"message\":\"%s\"", faults[i].message);
		CHECK(says(&x.f, want));
		CHECK_INT(make(&x, true, "b", "two", "81"), 500);
		CHECK_INT(hcall(&x,
				  &(struct client_req){
					  HOSTS("v1"), .verb = CLIENT_GET, .name = STR("b")}),
			404);
	}
	path_is(&x, "/convert-uid"); /* what the server owns of an object stays */
	CHECK_INT(
		hcall(&x, &(struct client_req){HOSTS("v2"), .verb = CLIENT_GET, .name = STR("a")}),
		200);
	CHECK(strstr(x.f.body.data, "9999") == NULL);
	hx_close(&x);
}

TEST(others_are_served_while_a_conversion_is_awaited)
{
	struct hooks_fixture x;
	struct client_call *c = NULL;
	hx_open(&x);
	CHECK_INT(define(&x, "/convert-hold"), 201);
	CHECK_INT(make(&x, false, "a", "one", "80"), 201);
	c = ask(&x, &(struct client_req){HOSTS("v2"), .verb = CLIENT_GET, .name = STR("a")});
	until(&x, &x.n_held, 1);
	CHECK(!x.f.answered);
	client_call_cancel(c); /* nobody waits for it any more */
	while (!x.aborted)
		loop_turn(x.f.loop, -1);
	CHECK_INT(
		hcall(&x, &(struct client_req){HOSTS("v1"), .verb = CLIENT_GET, .name = STR("a")}),
		200);
	ask(&x, &(struct client_req){HOSTS("v2"), .verb = CLIENT_GET, .name = STR("a")});
	until(&x, &x.n_held, 1);
	release(&x);
	CHECK_INT(answer(&x), 200);
	CHECK(says(&x.f, "\"host\":\"one\""));
	hx_close(&x);
}

TEST(an_admission_webhook_is_asked_in_the_version_it_wants)
{
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(define(&x, "/convert"), 201);
	CHECK_INT(
		hook(&x, true, "a", "/label",
			"\"matchPolicy\":\"Equivalent\",\"rules\":[{\"apiGroups\":[\"example.com\"],"
			"\"apiVersions\":[\"v2\"],\"resources\":[\"hosts\"],\"operations\":["
			"\"CREATE\"]}]"),
		201);
	x.asked = 0;
	CHECK_INT(make(&x, false, "a", "one", "80"), 201);
	CHECK_INT(x.asked, 3); /* there, the question, and back */
	CHECK(says(&x.f, "\"hostPort\":\"one:80\""));
	CHECK(says(&x.f, "\"labels\":{\"hooked\":\"yes\"}"));
	CHECK_INT(unhook(&x, true, "a"), 200);
	CHECK_INT(
		hook(&x, false, "b", "/deny",
			"\"matchPolicy\":\"Equivalent\",\"rules\":[{\"apiGroups\":[\"example.com\"],"
			"\"apiVersions\":[\"v2\"],\"resources\":[\"hosts\"],\"operations\":["
			"\"CREATE\"]}]"),
		201);
	CHECK_INT(make(&x, false, "b", "one", "80"), 403);
	CHECK(told(&x, "\"object\":{\"kind\":\"Host\",\"apiVersion\":\"example.com/v2\""));
	CHECK(told(&x, "\"host\":\"one\""));
	hx_close(&x);
}
