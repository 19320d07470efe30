/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * apiservice_test: what aggregated servers say, taken apart and put into our documents; paths of their groups; who is
 * said to ask; APIServices that come and go with definitions. That a whole server stands behind is tests/api's. */
#include "orchestrator/api/apiservice_docs.c"

#include "orchestrator/api/apiservice_control.h"
#include "orchestrator/kinds/kinds.h"
#include "tests/unit/orchestrator/api/fixture.h"

static struct arena *a;
static struct buf out;

static void
fresh(void)
{
	arena_free(a);
	a = arena_new(0);
	buf_clear(&out);
}

static struct doc *
json_of(const char *text)
{
	struct doc *d = NULL;
	CHECK_INT(doc_parse_json(a, str_c(text), NULL, &d, NULL), 0);
	return d;
}

static bool
written(const struct doc *d, const char *want)
{
	buf_clear(&out);
	doc_write_json(&out, d);
	if (str_eq_c(buf_view(&out), want))
		return true;
	printf("     got: " STR_FMT "\n", STR_ARG(buf_view(&out)));
	return false;
}

/* ---- what they say --------------------------------------------------------------------------------- */

TEST(aggregated_discovery_is_taken_by_known_members_only)
{
	fresh();
	struct doc *d = json_of(
		"{\"items\":[{\"metadata\":{\"name\":\"g.io\"},\"versions\":[{\"version\":\"v1\",\"resources\":["
		"{\"resource\":\"toys\",\"evil\":{\"x\":1},\"scope\":\"Namespaced\",\"singularResource\":7,"
		"\"verbs\":[\"get\",{},3,\"list\"],\"responseKind\":{\"kind\":\"Toy\",\"more\":1},"
		"\"subresources\":[{\"subresource\":\"status\",\"verbs\":\"none\"},{},7]},{},\"x\"]}]},7]}");
	CHECK(written(apiservice_resources(a, d, true, STR("g.io"), STR("v1")),
		"[{\"resource\":\"toys\",\"responseKind\":{\"group\":\"\",\"version\":\"\",\"kind\":\"Toy\"},"
		"\"scope\":\"Namespaced\",\"verbs\":[\"get\",\"list\"],\"subresources\":[{\"subresource\":"
		"\"status\",\"responseKind\":{\"group\":\"\",\"version\":\"\",\"kind\":\"\"}}]}]"));
	CHECK(!apiservice_resources(a, d, true, STR("g.io"), STR("v2")));
	CHECK(!apiservice_resources(a, json_of("[]"), true, STR("g.io"), STR("v1")));
}

TEST(legacy_discovery_becomes_the_new_form)
{
	fresh();
	struct doc *d = json_of(
		"{\"kind\":\"APIResourceList\",\"resources\":[{\"name\":\"toys/scale\",\"group\":\"autoscaling\","
		"\"version\":\"v1\",\"kind\":\"Scale\",\"verbs\":[\"get\"]},{\"name\":\"toys\",\"singularName\":"
		"\"toy\",\"namespaced\":true,\"kind\":\"Toy\",\"verbs\":[\"list\"],\"shortNames\":[\"t\"]},"
		"{\"name\":\"lost/status\",\"kind\":\"Lost\"}]}");
	CHECK(written(apiservice_resources(a, d, false, STR("g.io"), STR("v1")),
		"[{\"resource\":\"toys\",\"responseKind\":{\"group\":\"g.io\",\"version\":\"v1\",\"kind\":\"Toy\"},"
		"\"scope\":\"Namespaced\",\"singularResource\":\"toy\",\"verbs\":[\"list\"],\"shortNames\":[\"t\"],"
		"\"subresources\":[{\"subresource\":\"scale\",\"responseKind\":{\"group\":\"autoscaling\","
		"\"version\":\"v1\",\"kind\":\"Scale\"},\"verbs\":[\"get\"]}]}]"));
	CHECK(!apiservice_resources(
		a, json_of("{\"kind\":\"Status\"}"), false, STR("g"), STR("v")));
}

TEST(a_hash_of_openapi_is_a_hash_and_nothing_else)
{
	static const struct {
		const char *url, *hash;
	} rows[] = {
		{"/openapi/v3/apis/g.io/v1?hash=AB12", "AB12"},
		{"/openapi/v3/apis/g.io/v1?hash=AB12&x=y", ""},
		{"/openapi/v3/apis/g.io/v2?hash=AB12", ""},
		{"https://elsewhere/openapi/v3/apis/g.io/v1?hash=1", ""},
		{"", ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[256];
		fresh();
		snprintf(text, sizeof(text),
			"{\"paths\":{\"apis/g.io/v1\":{\"serverRelativeURL\":\"%s\"}}}",
			rows[i].url);
		CHECK_STR(apiservice_openapi_hash(a, json_of(text), STR("g.io"), STR("v1")),
			rows[i].hash);
	}
}

/* ---- in our documents ------------------------------------------------------------------------------ */

static struct foreign_doc docs[] = {
	{.group = STR_INIT("toys.io"),
		.version = STR_INIT("v1alpha1"),
		.of_group = 2000,
		.of_version = 5,
		.resources = STR_INIT("[{\"resource\":\"old\"}]")},
	{.group = STR_INIT("toys.io"),
		.version = STR_INIT("v1"),
		.of_group = 2000,
		.of_version = 15,
		.stale = true,
		.hash = STR_INIT("FF")},
	{.group = STR_INIT("crd.io"), .version = STR_INIT("v2"), .of_group = 10, .of_version = 200},
	{.group = STR_INIT("nobody.io"),
		.version = STR_INIT("v1"),
		.of_group = 20000,
		.of_version = 1,
		.local = true},
};
static struct foreign_docs set = {.v = docs, .n = ARRAY_LEN(docs)};

static bool
merged(enum foreign_form form, const char *group, const char *local, const char *want)
{
	buf_clear(&out);
	CHECK_INT(foreign_merge(&set, form, str_c(group), str_c(local), &out), 0);
	if (str_eq_c(buf_view(&out), want))
		return true;
	printf("     got: " STR_FMT "\n", STR_ARG(buf_view(&out)));
	return false;
}

#define GV(g, v) "{\"groupVersion\":\"" g "/" v "\",\"version\":\"" v "\"}"

TEST(groups_stand_by_priority_then_name)
{
	fresh();
	CHECK(merged(FOREIGN_GROUPS, "",
		"{\"groups\":[{\"name\":\"apiregistration.k8s.io\",\"versions\":[" GV(
			"apiregistration.k8s.io",
			"v1") "]},{\"name\":\"apps\",\"versions\":[" GV("apps",
			"v1") "]},{\"name\":\"crd.io\","
			      "\"versions\":[" GV("crd.io", "v1") "],\"preferredVersion\":" GV(
				      "crd.io", "v1") "}]}",
		"{\"groups\":[{\"name\":\"apiregistration.k8s.io\",\"versions\":[" GV(
			"apiregistration.k8s.io",
			"v1") "]},{\"name\":\"nobody.io\",\"versions\":[" GV("nobody.io",
			"v1") "],"
			      "\"preferredVersion\":" GV("nobody.io",
				      "v1") "},{\"name\":\"apps\",\"versions\":[" GV("apps",
				      "v1") "]},{\"name\":\"toys.io\",\"versions\":[" GV("toys.io",
				      "v1") "," GV("toys.io",
				      "v1alpha1") "],\"preferredVersion\":" GV("toys.io",
				      "v1") "},{\"name\":\"crd.io\","
					    "\"versions\":[" GV("crd.io", "v2") "," GV("crd.io",
						    "v1") "],\"preferredVersion\":" GV("crd.io",
						    "v2") "}]}"));
}

TEST(what_does_not_answer_is_stale)
{
	fresh();
	CHECK(merged(FOREIGN_AGGREGATED, "", "{\"items\":[]}",
		"{\"items\":[{\"metadata\":{\"name\":\"toys.io\"},\"versions\":[{\"version\":\"v1\","
		"\"freshness\":\"Stale\"},{\"version\":\"v1alpha1\",\"resources\":[{\"resource\":\"old\"}],"
		"\"freshness\":\"Current\"}]},{\"metadata\":{\"name\":\"crd.io\"},\"versions\":[{\"version\":"
		"\"v2\",\"freshness\":\"Current\"}]}]}"));
}

TEST(one_group_and_the_index_of_openapi)
{
	fresh();
	CHECK(merged(FOREIGN_GROUP, "toys.io", "",
		"{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\",\"name\":\"toys.io\",\"versions\":[" GV(
			"toys.io", "v1") "," GV("toys.io",
			"v1alpha1") "],\"preferredVersion\":" GV("toys.io", "v1") "}"));
	CHECK_INT(foreign_merge(&set, FOREIGN_GROUP, STR("none.io"), STR(""), &out), -ENOENT);
	CHECK(merged(FOREIGN_OPENAPI, "", "{\"paths\":{\"version\":{},\"apis/crd.io/v2\":{}}}",
		"{\"paths\":{\"version\":{},\"apis/toys.io/v1\":{\"serverRelativeURL\":"
		"\"/openapi/v3/apis/toys.io/v1?hash=FF\"}}}"));
}

/* ---- where they are -------------------------------------------------------------------------------- */

TEST(endpoints_are_ready_and_have_the_port)
{
	struct apiservice_state st = {0};
	bool found = false;
	fresh();
	struct doc *d = json_of(
		"{\"items\":[{\"ports\":[{\"name\":\"a\",\"port\":443}],\"endpoints\":[{\"addresses\":"
		"[\"10.0.0.1\"]},{\"addresses\":[\"10.0.0.1\"]},{\"addresses\":[\"10.0.0.2\"],\"conditions\":"
		"{\"ready\":false}},{\"addresses\":[\"127.0.0.1\"]},{\"addresses\":[\"169.254.169.254\"]},"
		"{\"addresses\":[\"name\"]},{}]}]}");
	apiservice_endpoints(a, d, STR("a"), &st, &found);
	CHECK(found);
	CHECK_INT(st.n_addrs, 1);
	CHECK_INT(st.addrs[0].port, 443);
	st = (struct apiservice_state){0};
	apiservice_endpoints(a, d, STR(""), &st, &found);
	CHECK_INT(st.n_addrs, 0);
	apiservice_endpoints(a, json_of("{\"items\":[]}"), STR("a"), &st, &found);
	CHECK(!found);
}

TEST(keys_of_extra_travel_as_names_of_headers)
{
	struct str value = STR("x");
	struct user_extra extra = {STR("example.com/a b%"), &value, 1};
	struct str group = STR("g");
	struct user u = {.name = STR("alice"),
		.uid = STR(""),
		.groups = &group,
		.n_groups = 1,
		.extra = &extra,
		.n_extra = 1};
	struct http_header *v = NULL;
	fresh();
	CHECK_INT(foreign_identity(a, &u, &v), 3);
	CHECK_STR(v[0].value, "alice");
	CHECK_STR(v[1].name, "X-Remote-Group");
	CHECK_STR(v[2].name, "X-Remote-Extra-example.com%2Fa%20b%25");
	arena_free(a);
	a = NULL;
	buf_release(&out);
}

/* ---- in a server ----------------------------------------------------------------------------------- */

#define APISERVICES                                                                                \
	.group = STR(APISERVICE_GROUP), .version = STR("v1"), .resource = STR("apiservices")

static int
api_get(struct fixture *f, const char *name)
{
	return call(f, f->admin,
		&(struct client_req){APISERVICES, .verb = CLIENT_GET, .name = str_c(name)});
}

static int
api_make(struct fixture *f, const char *name, const char *spec)
{
	char body[512];
	snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"%s\"},\"spec\":{%s}}", name, spec);
	return call(f, f->admin,
		&(struct client_req){APISERVICES, .verb = CLIENT_CREATE, .body = str_c(body)});
}

static void
some_time(struct fixture *f, int64_t s)
{
	world_run(f->w, clock_mono_ns() + s * NS_PER_SEC, NULL, NULL);
}

TEST(what_is_built_in_has_its_apiservice)
{
	struct fixture f;
	fx_open_with(&f, 1, &kinds_tables);
	CHECK_INT(api_get(&f, "v1.apps"), 200);
	CHECK(says(&f, "\"groupPriorityMinimum\":17800") && says(&f, "\"reason\":\"Local\"") &&
		says(&f, "\"kube-aggregator.kubernetes.io/automanaged\":\"onstart\""));
	CHECK_INT(api_get(&f, "v1."), 200);
	CHECK_INT(api_get(&f, "v1." APISERVICE_GROUP), 404);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){
				  APISERVICES, .verb = CLIENT_DELETE, .name = STR("v1.apps")}),
		200);
	some_time(&f, 60);
	CHECK_INT(api_get(&f, "v1.apps"), 404); /* until the next start */
	fx_close(&f);
}

TEST(a_definition_brings_its_apiservice_and_takes_it_along)
{
	static const char crd[] =
		"{\"metadata\":{\"name\":\"toys.example.com\"},\"spec\":{\"group\":\"example.com\",\"scope\":"
		"\"Namespaced\",\"names\":{\"plural\":\"toys\",\"kind\":\"Toy\"},\"versions\":[{\"name\":\"v1\","
		"\"served\":true,\"storage\":true,\"schema\":{\"openAPIV3Schema\":{\"type\":\"object\"}}}]}}";
	struct client_req q = {.group = STR("apiextensions.k8s.io"),
		.version = STR("v1"),
		.resource = STR("customresourcedefinitions"),
		.verb = CLIENT_CREATE,
		.body = str_c(crd)};
	struct fixture f;
	fx_open_with(&f, 2, &kinds_tables);
	CHECK_INT(call(&f, f.admin, &q), 201);
	some_time(&f, 5);
	CHECK_INT(api_get(&f, "v1.example.com"), 200);
	CHECK(says(&f, "automanaged\":\"true\"") && says(&f, "\"groupPriorityMinimum\":1000"));
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){APISERVICES, .verb = CLIENT_DELETE,
				  .name = STR("v1.example.com")}),
		200);
	some_time(&f, 5);
	CHECK_INT(api_get(&f, "v1.example.com"), 200); /* it is wanted */
	q.verb = CLIENT_DELETE;
	q.name = STR("toys.example.com");
	q.body = STR("");
	CHECK_INT(call(&f, f.admin, &q), 200);
	some_time(&f, 10);
	CHECK_INT(api_get(&f, "v1.example.com"), 404);
	fx_close(&f);
}

TEST(why_a_remote_one_is_not_there)
{
	struct fixture f;
	fx_open_with(&f, 3, &kinds_tables);
#define REMOTE                                                                                     \
	"\"group\":\"r.io\",\"version\":\"v1\",\"groupPriorityMinimum\":9,\"versionPriority\":9,"  \
	"\"insecureSkipTLSVerify\":true,\"service\":{\"namespace\":\"default\",\"name\":\"s\"}"
	CHECK_INT(api_make(&f, "v1.r.io", REMOTE), 201);
	some_time(&f, 2);
	CHECK_INT(api_get(&f, "v1.r.io"), 200);
	CHECK(says(&f, "\"reason\":\"ServiceNotFound\"") &&
		says(&f, "service/s in \\\"default\\\" is not present"));
	CHECK_INT(write_as(&f, f.admin, CLIENT_CREATE, "services", "default", "", "",
			  "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"ports\":[{\"port\":80}]}}"),
		201);
	some_time(&f, 3);
	api_get(&f, "v1.r.io");
	CHECK(says(&f, "service/s in \\\"default\\\" is not listening on port 443"));
	CHECK_INT(write_as(&f, f.admin, CLIENT_PATCH_JSON, "services", "default", "s", "",
			  "[{\"op\":\"replace\",\"path\":\"/spec/ports/0/port\",\"value\":443}]"),
		200);
	some_time(&f, 3);
	api_get(&f, "v1.r.io");
	CHECK(says(&f, "\"reason\":\"EndpointsNotFound\"") &&
		says(&f, "cannot find endpointslices for service/s in \\\"default\\\""));
	CHECK_INT(
		call(&f, f.admin,
			&(struct client_req){.group = STR("discovery.k8s.io"),
				.version = STR("v1"),
				.resource = STR("endpointslices"),
				.ns = STR("default"),
				.verb = CLIENT_CREATE,
				.body = STR(
					"{\"metadata\":{\"name\":\"s\",\"labels\":{"
					"\"kubernetes.io/service-name\":\"s\"}},\"addressType\":"
					"\"IPv4\",\"endpoints\":[],\"ports\":[{\"port\":443}]}")}),
		201);
	some_time(&f, 3);
	api_get(&f, "v1.r.io");
	CHECK(says(&f, "\"reason\":\"MissingEndpoints\"") &&
		says(&f, "have no addresses with port name \\\"\\\""));
	fx_close(&f);
}

TEST(an_apiservice_says_what_is_wrong_with_it)
{
	static const struct {
		const char *name, *spec, *text;
	} rows[] = {
		{"x", "\"group\":\"g\",\"version\":\"v1\",\"groupPriorityMinimum\":1,\"versionPriority\":1",
			"metadata.name: Invalid value: \\\"x\\\": must be `spec.version+\\\".\\\"+spec.group`: "
			"\\\"v1.g\\\""},
		{"v2.", "\"version\":\"v2\",\"groupPriorityMinimum\":1,\"versionPriority\":1",
			"spec.group: Required value: only v1 may have an empty group and it better be legacy "
			"kube"},
		{"v1.g",
			"\"group\":\"g\",\"version\":\"v1\",\"groupPriorityMinimum\":20001,\"versionPriority\":1",
			"spec.groupPriorityMinimum: Invalid value: 20001: must be positive and less than 20000"},
		{"v1.g",
			"\"group\":\"g\",\"version\":\"v1\",\"groupPriorityMinimum\":1,\"versionPriority\":0",
			"spec.versionPriority: Invalid value: 0: must be positive and less than 1000"},
		{"v1.g",
			"\"group\":\"g\",\"version\":\"v1\",\"groupPriorityMinimum\":1,\"versionPriority\":1,"
			"\"caBundle\":\"YWJj\"",
			"spec.caBundle: Invalid value: \\\"3 bytes\\\": local APIServices may not have a "
			"caBundle"},
		{"v1.g",
			"\"group\":\"g\",\"version\":\"v1\",\"groupPriorityMinimum\":1,\"versionPriority\":1,"
			"\"insecureSkipTLSVerify\":true,\"caBundle\":\"YWJj\",\"service\":{\"port\":70000}",
			"port is not valid: must be between 1 and 65535, inclusive"},
	};
	struct fixture f;
	fx_open_with(&f, 4, &kinds_tables);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK_INT(api_make(&f, rows[i].name, rows[i].spec), 422);
		CHECK(says(&f, rows[i].text));
	}
	fx_close(&f);
}

/* ---- paths ----------------------------------------------------------------------------------------- */

TEST(a_path_says_what_is_asked_of_whom)
{
	static const struct {
		const char *method, *path, *query, *verb, *resource, *sub, *ns, *name;
		bool resource_request;
	} rows[] = {
		{"GET", "/apis/r.io/v1", "", "", "", "", "", "", false},
		{"GET", "/openapi/v3/apis/r.io/v1", "", "", "", "", "", "", false},
		{"GET", "/apis/r.io/v1/toys", "", "list", "toys", "", "", "", true},
		{"GET", "/apis/r.io/v1/toys", "watch=1", "watch", "toys", "", "", "", true},
		{"GET", "/apis/r.io/v1/watch/toys", "", "watch", "toys", "", "", "", true},
		{"GET", "/apis/r.io/v1/namespaces/n/toys/t", "", "get", "toys", "", "n", "t", true},
		{"GET", "/apis/r.io/v1/namespaces/n/toys/t/log", "", "get", "toys", "log", "n", "t",
			true},
		{"POST", "/apis/r.io/v1/namespaces/n/toys", "", "create", "toys", "", "n", "",
			true},
		{"DELETE", "/apis/r.io/v1/namespaces/n/toys", "", "deletecollection", "toys", "",
			"n", "", true},
		{"PATCH", "/apis/r.io/v1/toys/t/status", "", "patch", "toys", "status", "", "t",
			true},
		{"GET", "/apis/r.io/v1/namespaces/n/status", "", "get", "namespaces", "status", "n",
			"n", true},
		{"OPTIONS", "/apis/r.io/v1/toys", "", "", "toys", "", "", "", true},
		{"GET", "/apis/r.io/v1/toys", "fieldSelector=metadata.name%3Dt", "list", "toys", "",
			"", "t", true},
	};
	struct fixture f;
	fx_open_with(&f, 5, &kinds_tables);
	CHECK_INT(api_make(&f, "v1.r.io", REMOTE), 201);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct request r = {.a = arena_new(0),
			.worker = api_worker_for(f.s, f.loop),
			.server = f.s,
			.method = str_c(rows[i].method),
			.path = str_c(rows[i].path),
			.raw_query = str_c(rows[i].query)};
		CHECK_INT(stage_route(&r), STEP_NEXT);
		CHECK(r.foreign && !r.res);
		CHECK_INT(r.foreign->is_resource, rows[i].resource_request);
		CHECK_STR(r.foreign->verb, rows[i].verb);
		CHECK_STR(r.foreign->resource, rows[i].resource);
		CHECK_STR(r.foreign->subresource, rows[i].sub);
		CHECK_STR(r.foreign->ns, rows[i].ns);
		CHECK_STR(r.foreign->name, rows[i].name);
		arena_free(r.a);
	}
	static const char *const ours[] = {"/apis/r.io", "/apis/r.io/v2/toys", "/api/v1/pods",
		"/openapi/v3", "/apis//r.io/v1/toys"};
	for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
		struct request r = {.a = arena_new(0),
			.worker = api_worker_for(f.s, f.loop),
			.server = f.s,
			.method = STR("GET"),
			.path = str_c(ours[i]),
			.raw_query = STR("")};
		stage_route(&r);
		CHECK(!r.foreign);
		arena_free(r.a);
	}
	fx_close(&f);
}
