/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The pipeline in a simulated world: direct clients on one loop, virtual time, a real store. What needs
 * a wire (authentication, negotiation, discovery) is shown by tests/api/kubectl.sh. */
#include "orchestrator/api/pipeline.c"

#include "orchestrator/control/control.h"
#include "orchestrator/kinds/kinds.h"
#include "tests/unit/orchestrator/api/fixture.h"

TEST(first_objects_are_there)
{
	struct fixture f;
	fx_open(&f, 1);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){
				  CORE, .verb = CLIENT_LIST, .resource = STR("namespaces")}),
		200);
	CHECK(says(&f, "\"kube-node-lease\""));
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){.group = STR("rbac.authorization.k8s.io"),
				  .version = STR("v1"),
				  .verb = CLIENT_GET,
				  .resource = STR("clusterroles"),
				  .name = STR("system:node-proxier")}),
		200);
	CHECK(says(&f, "\"endpointslices\""));
	fx_close(&f);
}

/* It looked through all first objects before it served, each time it was started. */
TEST(a_server_that_starts_again_serves_before_it_completes_the_first_objects)
{
	struct fixture f;
	struct client_req role = {.group = STR("rbac.authorization.k8s.io"),
		.version = STR("v1"),
		.verb = CLIENT_DELETE,
		.resource = STR("clusterroles"),
		.name = STR("view")};
	struct err e = {0};
	bool there = false;
	fx_open(&f, 1);
	CHECK_INT(call(&f, f.admin, &role), 200);
	client_free(f.admin);
	api_server_stop(f.s);
	f.ready = false;
	CHECK_INT(api_server_new(&(struct api_config){.store = f.store,
					 .world = f.w,
					 .service_cidr4 = STR("10.96.0.0/16")},
			  &f.s, &e),
		0);
	CHECK_INT(api_server_start(f.s, f.loop, on_ready, &f), 0);
	CHECK_INT(world_run(f.w, INT64_MAX, is_ready, &f), 0);
	f.admin = client_as(&f, "admin", "system:masters");
	role.verb = CLIENT_GET;
	CHECK_INT(call(&f, f.admin, &role), 404);
	for (int i = 0; !there && i < 1000; i++)
		there = call(&f, f.admin, &role) == 200;
	CHECK(there);
	fx_close(&f);
}

/* Ten seconds were lost here: the answer to a write of the server's own came to the loop that waited for it. */
TEST(stopping_waits_for_a_write_on_its_own_loop)
{
	struct fixture f = {0};
	char dir[128];
	struct err e = {0};
	struct str masters = STR("system:masters");
	struct api_identity admin = {.user = STR("admin"), .groups = &masters, .n_groups = 1};
	struct client_req q = {
		CM, .verb = CLIENT_CREATE, .body = STR("{\"metadata\":{\"name\":\"a\"}}")};
	snprintf(dir, sizeof(dir), "%s/stop", TEST_TMP);
	f.loop = loop_new(NULL, "test");
	CHECK_INT(store_open(&(struct store_config){.dir = dir, .no_sync = true}, &f.store, &e), 0);
	CHECK_INT(api_server_new(&(struct api_config){.store = f.store}, &f.s, &e), 0);
	CHECK_INT(api_server_start(f.s, f.loop, on_ready, &f), 0);
	while (!f.ready)
		loop_turn(f.loop, -1);
	CHECK_INT(api_client_new(f.s, f.loop, &admin, &f.admin), 0);
	CHECK_INT(client_call_start(f.admin, &q, on_done, &f, NULL), 0);
	loop_turn(f.loop, 0);
	CHECK(atomic_load(&f.s->commits) > 0);
	int64_t began_ns = clock_mono_ns();
	api_server_quiesce(f.s);
	CHECK(clock_mono_ns() - began_ns < 8 * NS_PER_SEC);
	CHECK(f.answered);
	CHECK_INT(f.http, 201);
	client_free(f.admin);
	api_server_stop(f.s);
	store_close(f.store);
	loop_free(f.loop);
	buf_release(&f.body);
}

TEST(create_get_update_conflict_delete)
{
	struct fixture f;
	fx_open(&f, 2);
	CHECK_INT(create_cm(&f, "\"name\":\"a\""), 201);
	CHECK(says(&f, "\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\""));
	CHECK(says(&f, "\"uid\":\""));
	CHECK_INT(create_cm(&f, "\"name\":\"a\""), 409);
	CHECK(says(&f, "configmaps \\\"a\\\" already exists"));
	CHECK_INT(
		call(&f, f.admin,
			&(struct client_req){CM, .verb = CLIENT_UPDATE, .name = STR("a"),
				.body = STR(
					"{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"1\"}}")}),
		409);
	CHECK(says(&f, "the object has been modified"));
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CM, .verb = CLIENT_UPDATE, .name = STR("a"),
				  .body = STR("{\"data\":{\"k\":\"v\"}}")}),
		200);
	CHECK(says(&f, "\"data\":{\"k\":\"v\"}"));
	CHECK_INT(
		call(&f, f.admin,
			&(struct client_req){CM, .verb = CLIENT_PATCH_JSON, .name = STR("a"),
				.body = STR(
					"[{\"op\":\"test\",\"path\":\"/data/k\",\"value\":\"w\"}]")}),
		422);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CM, .verb = CLIENT_DELETE, .name = STR("a")}),
		200);
	CHECK(says(&f, "\"status\":\"Success\""));
	CHECK_INT(call(&f, f.admin, &(struct client_req){CM, .verb = CLIENT_GET, .name = STR("a")}),
		404);
	fx_close(&f);
}

TEST(an_update_that_changes_nothing_keeps_its_revision)
{
	struct fixture f;
	fx_open(&f, 3);
	CHECK_INT(create_cm(&f, "\"name\":\"a\""), 201);
	world_run(f.w, clock_mono_ns() + NS_PER_SEC, NULL,
		NULL); /* what runs beside the server has ended */
	uint64_t rev = store_rev(f.store);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CM, .verb = CLIENT_PATCH_MERGE, .name = STR("a"),
				  .body = STR("{\"metadata\":{\"labels\":{}}}")}),
		200);
	CHECK_INT(store_rev(f.store), rev);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CM, .verb = CLIENT_PATCH_MERGE, .name = STR("a"),
				  .dry_run = true, .body = STR("{\"data\":{\"a\":\"b\"}}")}),
		200);
	CHECK(says(&f, "\"data\":{\"a\":\"b\"}"));
	CHECK_INT(store_rev(f.store), rev);
	fx_close(&f);
}

#define DEPLOYMENTS                                                                                \
	.group = STR("apps"), .version = STR("v1"), .resource = STR("deployments"),                \
	.ns = STR("default")

static const char deployment[] =
	"{\"metadata\":{\"name\":\"d\"},\"spec\":{\"selector\":{\"matchLabels\":{\"app\":\"a\"}},\"template\":{"
	"\"metadata\":{\"labels\":{\"app\":\"a\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}}}";

TEST(a_deployment_that_is_put_again_or_labelled_keeps_its_generation)
{
	struct fixture f;
	fx_open(&f, 4);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){
				  DEPLOYMENTS, .verb = CLIENT_CREATE, .body = str_c(deployment)}),
		201);
	CHECK(says(&f, "\"generation\":1,"));
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){DEPLOYMENTS, .verb = CLIENT_UPDATE, .name = STR("d"),
				  .body = str_c(deployment)}),
		200);
	CHECK(says(&f, "\"generation\":1,"));
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){DEPLOYMENTS, .verb = CLIENT_PATCH_MERGE,
				  .name = STR("d"),
				  .body = STR("{\"metadata\":{\"labels\":{\"x\":\"y\"}}}")}),
		200);
	CHECK(says(&f, "\"generation\":1,"));
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){DEPLOYMENTS, .verb = CLIENT_PATCH_MERGE,
				  .name = STR("d"), .body = STR("{\"spec\":{\"replicas\":2}}")}),
		200);
	CHECK(says(&f, "\"generation\":2,"));
	fx_close(&f);
}

TEST(what_a_dry_run_would_create_has_no_revision)
{
	struct fixture f;
	fx_open(&f, 5);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CM, .verb = CLIENT_CREATE, .dry_run = true,
				  .body = STR("{\"metadata\":{\"name\":\"a\",\"generation\":7}}")}),
		201);
	CHECK(!strstr(f.body.data, "resourceVersion"));
	CHECK(says(&f, "\"generation\":7"));
	fx_close(&f);
}

TEST(generated_names_and_missing_namespaces)
{
	struct fixture f;
	fx_open(&f, 4);
	CHECK_INT(create_cm(&f, "\"generateName\":\"x-\""), 201);
	CHECK(says(&f, "\"name\":\"x-"));
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CORE, .verb = CLIENT_CREATE,
				  .resource = STR("configmaps"), .ns = STR("nowhere"),
				  .body = STR("{\"metadata\":{\"name\":\"a\"}}")}),
		404);
	CHECK(says(&f, "namespaces \\\"nowhere\\\" not found"));
	CHECK_INT(create_cm(&f, "\"name\":\"a\",\"namespace\":\"other\""), 400);
	fx_close(&f);
}

TEST(pages_are_of_one_revision)
{
	struct fixture f;
	fx_open(&f, 5);
	for (int i = 0; i < 5; i++) {
		char meta[64];
		snprintf(
			meta, sizeof(meta), "\"name\":\"c%d\",\"labels\":{\"n\":\"%d\"}", i, i % 2);
		CHECK_INT(create_cm(&f, meta), 201);
	}
	struct arena *a = arena_new(0);
	struct doc *d = NULL;
	CHECK_INT(
		call(&f, f.admin, &(struct client_req){CM, .verb = CLIENT_LIST, .limit = 2}), 200);
	CHECK_INT(doc_parse_json(a, arena_str(a, str_c(f.body.data)), NULL, &d, NULL), 0);
	CHECK_INT(doc_len(doc_get(d, STR("items"))), 2);
	CHECK_INT(doc_get_int(doc_get(d, STR("metadata")), STR("remainingItemCount"), 0), 3);
	struct str token = doc_get_str(doc_get(d, STR("metadata")), STR("continue"));
	struct str rv = doc_get_str(doc_get(d, STR("metadata")), STR("resourceVersion"));
	CHECK_INT(create_cm(&f, "\"name\":\"c9\""), 201);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){
				  CM, .verb = CLIENT_LIST, .limit = 10, .continue_token = token}),
		200);
	CHECK_INT(doc_parse_json(a, arena_str(a, str_c(f.body.data)), NULL, &d, NULL), 0);
	CHECK_INT(doc_len(doc_get(d, STR("items"))), 3);
	CHECK_STR(doc_get_str(doc_get(d, STR("metadata")), STR("resourceVersion")), rv);
	CHECK_INT(
		call(&f, f.admin,
			&(struct client_req){CM, .verb = CLIENT_LIST, .continue_token = STR("x!")}),
		400);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){
				  CM, .verb = CLIENT_LIST, .label_selector = STR("n=1")}),
		200);
	CHECK(says(&f, "\"c1\"") && !strstr(f.body.data, "\"c0\""));
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){
				  CM, .verb = CLIENT_LIST, .resource_version = STR("999999")}),
		504);
	CHECK_INT(f.e.reason, R_TIMEOUT);
	arena_free(a);
	fx_close(&f);
}

/* ---- watches --------------------------------------------------------------------------------------- */

struct log {
	struct buf text; /* "A name\n" */
	bool ended;
	int http;
};

static void
log_event(void *arg, enum client_event ev, struct str object)
{
	static const char letters[] = "AMDB";
	struct log *l = arg;
	struct arena *a = arena_new(0);
	struct doc *d = NULL;
	CHECK_INT(doc_parse_json(a, object, NULL, &d, NULL), 0);
	struct str name = doc_get_str(meta_of(d), STR("name"));
	buf_fmt(&l->text, "%c" STR_FMT " ", letters[ev], STR_ARG(name));
	arena_free(a);
}

static void
log_end(void *arg, const struct client_result *r)
{
	struct log *l = arg;
	l->ended = true;
	l->http = r->http;
}

static const struct client_watch_fns log_fns = {log_event, log_end};

static bool
log_ended(void *arg)
{
	return ((struct log *)arg)->ended;
}

static bool
log_has_bookmark(void *arg)
{
	const struct buf *b = &((struct log *)arg)->text;
	return b->len > 2 && b->data[b->len - 2] == 'B';
}

static const char *
log_text(struct log *l)
{
	buf_char(&l->text, '\0');
	l->text.len--;
	return l->text.data;
}

TEST(a_selector_sees_objects_enter_and_leave)
{
	struct fixture f;
	struct log l = {0};
	struct client_watch *w = NULL;
	fx_open(&f, 6);
	CHECK_INT(create_cm(&f, "\"name\":\"a\",\"labels\":{\"x\":\"1\"}"), 201);
	CHECK_INT(create_cm(&f, "\"name\":\"b\""), 201);
	CHECK_INT(client_watch_start(f.admin,
			  &(struct client_req){CM, .label_selector = STR("x=1"),
				  .send_initial_events = true, .allow_bookmarks = true,
				  .timeout_s = 30},
			  &log_fns, &l, &w),
		0);
	CHECK_INT(world_run(f.w, INT64_MAX, log_has_bookmark, &l), 0);
	const char *const patches[][2] = {
		{"b", "{\"metadata\":{\"labels\":{\"x\":\"1\"}}}"},
		{"a", "{\"data\":{\"k\":\"v\"}}"},
		{"a", "{\"metadata\":{\"labels\":{\"x\":null}}}"},
		{"a", "{\"data\":{\"k\":\"w\"}}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(patches); i++)
		CHECK_INT(call(&f, f.admin,
				  &(struct client_req){CM, .verb = CLIENT_PATCH_MERGE,
					  .name = str_c(patches[i][0]),
					  .body = str_c(patches[i][1])}),
			200);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CM, .verb = CLIENT_DELETE, .name = STR("b")}),
		200);
	CHECK_INT(world_run(f.w, INT64_MAX, log_ended, &l), 0);
	CHECK_INT(l.http, 200);
	/* the last bookmark stands two seconds before the end */
	CHECK_STR(str_c(log_text(&l)), "Aa B Ab Ma Da Db B ");
	buf_release(&l.text);
	fx_close(&f);
}

TEST(a_watch_from_before_the_window_is_410)
{
	struct fixture f;
	struct log l = {0};
	struct client_watch *w = NULL;
	fx_open(&f, 7);
	CHECK_INT(create_cm(&f, "\"name\":\"a\""), 201);
	world_run(f.w, clock_mono_ns() + 3600 * NS_PER_SEC, NULL, NULL);
	CHECK_INT(create_cm(&f, "\"name\":\"b\""), 201);
	CHECK_INT(client_watch_start(f.admin,
			  &(struct client_req){CM, .resource_version = STR("2")}, &log_fns, &l, &w),
		0);
	CHECK_INT(world_run(f.w, INT64_MAX, log_ended, &l), 0);
	CHECK_INT(l.http, 410);
	buf_release(&l.text);
	fx_close(&f);
}

/* ---- deletion -------------------------------------------------------------------------------------- */

TEST(finalizers_hold_a_deleted_object)
{
	struct fixture f;
	fx_open(&f, 8);
	CHECK_INT(create_cm(&f, "\"name\":\"a\",\"finalizers\":[\"x.io/y\"]"), 201);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CM, .verb = CLIENT_DELETE, .name = STR("a"),
				  .body = STR("{\"preconditions\":{\"uid\":\"other\"}}")}),
		409);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CM, .verb = CLIENT_DELETE, .name = STR("a"),
				  .body = STR("{\"propagationPolicy\":\"Foreground\"}")}),
		200);
	CHECK(says(&f, "\"deletionTimestamp\":\""));
	CHECK(says(&f, "\"foregroundDeletion\""));
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CM, .verb = CLIENT_PATCH_MERGE, .name = STR("a"),
				  .body = STR("{\"metadata\":{\"finalizers\":[\"x.io/new\"]}}")}),
		422);
	CHECK(says(&f, "no new finalizers can be added"));
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CM, .verb = CLIENT_PATCH_MERGE, .name = STR("a"),
				  .body = STR("{\"metadata\":{\"finalizers\":null}}")}),
		200);
	CHECK_INT(call(&f, f.admin, &(struct client_req){CM, .verb = CLIENT_GET, .name = STR("a")}),
		404);
	fx_close(&f);
}

TEST(a_collection_goes_by_its_selector)
{
	struct fixture f;
	fx_open(&f, 9);
	for (int i = 0; i < 40; i++) {
		char meta[64];
		snprintf(
			meta, sizeof(meta), "\"name\":\"c%d\",\"labels\":{\"n\":\"%d\"}", i, i % 2);
		CHECK_INT(create_cm(&f, meta), 201);
	}
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CM, .verb = CLIENT_DELETE_COLLECTION,
				  .label_selector = STR("n=0")}),
		200);
	const struct api_resource *res = api_resource_find(
		f.s, STR(""), STR("v1"), STR("configmaps"));
	CHECK_INT(store_count(f.store, res->store_res, STR("default")), 20);
	fx_close(&f);
}

/* ---- authorization --------------------------------------------------------------------------------- */

#define RBAC .group = STR("rbac.authorization.k8s.io"), .version = STR("v1")

TEST(rights_follow_bindings_at_once)
{
	struct fixture f;
	fx_open(&f, 10);
	struct client *bob = client_as(&f, "bob", "");
	struct client_req get = {CM, .verb = CLIENT_LIST};
	CHECK_INT(call(&f, bob, &get), 403);
	CHECK(says(&f,
		"configmaps is forbidden: User \\\"bob\\\" cannot list resource "
		"\\\"configmaps\\\" in API group \\\"\\\" in the namespace \\\"default\\\""));
	CHECK_INT(
		call(&f, f.admin,
			&(struct client_req){RBAC, .verb = CLIENT_CREATE,
				.resource = STR("rolebindings"), .ns = STR("default"),
				.body = STR(
					"{\"metadata\":{\"name\":\"b\"},\"roleRef\":{\"apiGroup\":"
					"\"rbac.authorization.k8s.io\",\"kind\":\"ClusterRole\","
					"\"name\":\"edit\"},\"subjects\":[{\"kind\":\"User\","
					"\"apiGroup\":\"rbac.authorization.k8s.io\",\"name\":"
					"\"bob\"}]}")}),
		201);
	/* edit is aggregated by the controller that started with the server */
	for (int i = 0; i < 100 && call(&f, bob, &get) != 200; i++)
		world_run(f.w, clock_mono_ns() + NS_PER_SEC / 10, NULL, NULL);
	CHECK_INT(f.http, 200);
	CHECK_INT(call(&f, bob,
			  &(struct client_req){RBAC, .verb = CLIENT_CREATE,
				  .resource = STR("roles"), .ns = STR("default"),
				  .body = STR("{\"metadata\":{\"name\":\"r\"}}")}),
		403);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){RBAC, .verb = CLIENT_DELETE,
				  .resource = STR("rolebindings"), .ns = STR("default"),
				  .name = STR("b")}),
		200);
	CHECK_INT(call(&f, bob, &get), 403);
	client_free(bob);
	fx_close(&f);
}

TEST(nobody_grants_what_he_has_not)
{
	struct fixture f;
	fx_open(&f, 11);
	CHECK_INT(
		call(&f, f.admin,
			&(struct client_req){RBAC, .verb = CLIENT_CREATE,
				.resource = STR("clusterroles"),
				.body = STR(
					"{\"metadata\":{\"name\":\"w\"},\"rules\":[{\"verbs\":[\"*\"],"
					"\"apiGroups\":[\"rbac.authorization.k8s.io\"],"
					"\"resources\":[\"roles\"]},{\"verbs\":[\"get\"],"
					"\"apiGroups\":[\"\"],\"resources\":[\"pods\"]}]}")}),
		201);
	/* verb "*" holds escalate too: so take one without */
	CHECK_INT(
		call(&f, f.admin,
			&(struct client_req){RBAC, .verb = CLIENT_PATCH_JSON,
				.resource = STR("clusterroles"), .name = STR("w"),
				.body = STR(
					"[{\"op\":\"replace\",\"path\":\"/rules/0/verbs\",\"value\":"
					"[\"create\"]}]")}),
		200);
	CHECK_INT(
		call(&f, f.admin,
			&(struct client_req){RBAC, .verb = CLIENT_CREATE,
				.resource = STR("clusterrolebindings"),
				.body = STR(
					"{\"metadata\":{\"name\":\"w\"},\"roleRef\":{\"apiGroup\":"
					"\"rbac.authorization.k8s.io\",\"kind\":\"ClusterRole\","
					"\"name\":\"w\"},\"subjects\":[{\"kind\":\"User\",\"name\":"
					"\"eve\",\"apiGroup\":\"rbac.authorization.k8s.io\"}]}")}),
		201);
	struct client *eve = client_as(&f, "eve", "");
	const char *const rules[] = {"get", "delete"};
	const int wanted[] = {201, 403};
	for (size_t i = 0; i < 2; i++) {
		char body[256];
		snprintf(body, sizeof(body),
			"{\"metadata\":{\"name\":\"r%zu\"},\"rules\":[{\"verbs\":[\"%s\"],"
			"\"apiGroups\":[\"\"],\"resources\":[\"pods\"]}]}",
			i, rules[i]);
		CHECK_INT(call(&f, eve,
				  &(struct client_req){RBAC, .verb = CLIENT_CREATE,
					  .resource = STR("roles"), .ns = STR("default"),
					  .body = str_c(body)}),
			wanted[i]);
	}
	CHECK(says(&f, "attempting to grant RBAC permissions not currently held"));
	client_free(eve);
	fx_close(&f);
}

TEST(a_node_reads_what_its_pods_refer_to)
{
	struct fixture f;
	fx_open(&f, 12);
	struct client *n1 = client_as(&f, "system:node:n1", "system:nodes");
	pod_on(&f, "p1", "n1", "s1");
	pod_on(&f, "p2", "n2", "s2");
	static const struct {
		const char *verb_of, *resource, *name, *fields;
		int http;
	} rows[] = {
		{"get", "secrets", "s1", "", 404}, /* allowed; there is none */
		{"get", "secrets", "s2", "", 403},
		{"list", "secrets", "", "", 403},
		{"get", "pods", "p1", "", 200},
		{"get", "pods", "p2", "", 403},
		{"list", "pods", "", "", 403},
		{"list", "pods", "", "spec.nodeName=n1", 200},
		{"list", "pods", "", "spec.nodeName=n2", 403},
		{"get", "services", "x", "", 404},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct client_req q = {CORE,
			.verb = rows[i].verb_of[0] == 'g' ? CLIENT_GET : CLIENT_LIST,
			.resource = str_c(rows[i].resource), .ns = STR("default"),
			.name = str_c(rows[i].name), .field_selector = str_c(rows[i].fields)};
		int http = call(&f, n1, &q);
		if (http != rows[i].http)
			printf("     row %zu: %s\n", i, f.body.data);
		CHECK_INT(http, rows[i].http);
	}
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CORE, .verb = CLIENT_DELETE, .resource = STR("pods"),
				  .ns = STR("default"), .name = STR("p1")}),
		200);
	CHECK_INT(call(&f, n1,
			  &(struct client_req){CORE, .verb = CLIENT_GET, .resource = STR("secrets"),
				  .ns = STR("default"), .name = STR("s1")}),
		403);
	client_free(n1);
	fx_close(&f);
}

TEST(a_node_reads_all_pods_only_while_there_is_a_network_policy)
{
	struct fixture f;
	fx_open(&f, 12);
	struct client *n1 = client_as(&f, "system:node:n1", "system:nodes");
	struct client_req pods = {CORE, .verb = CLIENT_LIST, .resource = STR("pods")};
	struct client_req namespaces = {CORE, .verb = CLIENT_LIST, .resource = STR("namespaces")};
	struct client_req policy = {.group = STR("networking.k8s.io"),
		.version = STR("v1"),
		.verb = CLIENT_CREATE,
		.resource = STR("networkpolicies"),
		.ns = STR("default"),
		.body = STR("{\"metadata\":{\"name\":\"p\"},\"spec\":{\"podSelector\":{}}}")};
	CHECK_INT(call(&f, n1, &pods), 403);
	CHECK_INT(call(&f, n1, &namespaces), 403);
	CHECK_INT(call(&f, f.admin, &policy), 201);
	CHECK_INT(call(&f, n1, &pods), 200);
	CHECK_INT(call(&f, n1, &namespaces), 200);
	pods.ns = STR("default");
	CHECK_INT(call(&f, n1, &pods), 403);
	policy.verb = CLIENT_DELETE;
	policy.name = STR("p");
	policy.body = STR("");
	CHECK_INT(call(&f, f.admin, &policy), 200);
	pods.ns = STR("");
	CHECK_INT(call(&f, n1, &pods), 403);
	client_free(n1);
	fx_close(&f);
}

/* ---- subresources ---------------------------------------------------------------------------------- */

/* A request for a certificate of CN=e, by openssl req. */
#define CSR_BASE64                                                                                 \
	"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIR01HNENBUUF3RERFS01BZ0dBMVVF"         \
	"QXd3QlpUQlpNQk1HQnlxR1NNNDlBZ0VHQ0NxR1NNNDlBd0VIQTBJQQpCS1lOL1IwM0dkT3dIb2Jyd1Fo"         \
	"NCtDNkxrd2Ezb3BFSFFTRWJtMzJEYmt1c1dXUTN2OURTd1BvZURqMjZhOC84ClE0bWZWVkxLb3hrdXR5"         \
	"QVgxYm5nSEcrZ0FEQUtCZ2dxaGtqT1BRUURBZ05JQURCRkFpQWprSnBvMUgwNDMwb3oKN1ZudWtKNWtZ"         \
	"MnROa1FkbTFwbTVUOUVIcVJ3VXhRSWhBUDFJcWk4T1VrMDQzRWlDRHVIcVJER0dUL3krL0FYWApjYnVI"         \
	"elpJQVhYeUsKLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg=="

/* The annotation of a patch of /approval was lost. */
TEST(an_approval_may_annotate)
{
	struct fixture f;
	struct client_req q = {.group = STR("certificates.k8s.io"),
		.version = STR("v1"),
		.resource = STR("certificatesigningrequests"),
		.verb = CLIENT_CREATE,
		.body = STR(
			"{\"metadata\":{\"name\":\"c\"},\"spec\":{\"signerName\":\"example.com/e\","
			"\"usages\":[\"digital signature\"],\"request\":\"" CSR_BASE64 "\"}}")};
	fx_open_with(&f, 1, &kinds_tables);
	CHECK_INT(call(&f, f.admin, &q), 201);
	q.verb = CLIENT_PATCH_MERGE;
	q.name = STR("c");
	q.subresource = STR("approval");
	q.body = STR(
		"{\"metadata\":{\"annotations\":{\"who\":\"me\"}},\"status\":{\"conditions\":[{\"type\":"
		"\"Approved\",\"status\":\"True\",\"reason\":\"e\"}]}}");
	CHECK_INT(call(&f, f.admin, &q), 200);
	CHECK(says(&f, "\"who\":\"me\""));
	CHECK(says(&f, "\"Approved\""));
	fx_close(&f);
}

TEST(binding_and_eviction)
{
	struct fixture f;
	fx_open(&f, 13);
	pod_on(&f, "p", "", "s");
	struct client_req bind = {CORE, .verb = CLIENT_CREATE, .resource = STR("pods"),
		.ns = STR("default"), .name = STR("p"), .subresource = STR("binding"),
		.body = STR("{\"target\":{\"kind\":\"Node\",\"name\":\"n1\"}}")};
	CHECK_INT(call(&f, f.admin, &bind), 201);
	CHECK_INT(write_as(&f, f.admin, CLIENT_GET, "pods", "default", "p", "", ""), 200);
	CHECK(says(&f, "\"generation\":1,")); /* where it runs is not what it is */
	CHECK_INT(call(&f, f.admin, &bind), 409);
	CHECK(says(&f, "already assigned to node"));
	CHECK_INT(
		call(&f, f.admin,
			&(struct client_req){CORE, .verb = CLIENT_PATCH_MERGE,
				.resource = STR("pods"), .ns = STR("default"), .name = STR("p"),
				.subresource = STR("status"),
				.body = STR(
					"{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"nodeName\":"
					"\"n2\"},\"status\":{\"phase\":\"Running\",\"conditions\":[{"
					"\"type\":\"Ready\",\"status\":\"True\"}]}}")}),
		200);
	CHECK(says(&f, "\"nodeName\":\"n1\"") && says(&f, "\"phase\":\"Running\""));
	CHECK_INT(
		call(&f, f.admin,
			&(struct client_req){.group = STR("policy"),
				.version = STR("v1"),
				.verb = CLIENT_CREATE,
				.resource = STR("poddisruptionbudgets"),
				.ns = STR("default"),
				.body = STR(
					"{\"metadata\":{\"name\":\"b\"},\"spec\":{\"minAvailable\":1,"
					"\"selector\":{\"matchLabels\":{\"a\":\"b\"}}}}")}),
		201);
	CHECK_INT(
		call(&f, f.admin,
			&(struct client_req){.group = STR("policy"),
				.version = STR("v1"),
				.verb = CLIENT_PATCH_MERGE,
				.resource = STR("poddisruptionbudgets"),
				.ns = STR("default"),
				.name = STR("b"),
				.subresource = STR("status"),
				.body = STR(
					"{\"status\":{\"observedGeneration\":1,\"desiredHealthy\":1,"
					"\"currentHealthy\":1,\"expectedPods\":1,"
					"\"disruptionsAllowed\":0}}")}),
		200);
	struct client_req evict = {CORE, .verb = CLIENT_CREATE, .resource = STR("pods"),
		.ns = STR("default"), .name = STR("p"), .subresource = STR("eviction"),
		.body = STR("{\"metadata\":{\"name\":\"p\"}}")};
	CHECK_INT(call(&f, f.admin, &evict), 429);
	CHECK(says(&f, "The disruption budget b needs 1 healthy pods and has 1 currently"));
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){.group = STR("policy"),
				  .version = STR("v1"),
				  .verb = CLIENT_PATCH_MERGE,
				  .resource = STR("poddisruptionbudgets"),
				  .ns = STR("default"),
				  .name = STR("b"),
				  .subresource = STR("status"),
				  .body = STR("{\"status\":{\"disruptionsAllowed\":1}}")}),
		200);
	CHECK_INT(call(&f, f.admin, &evict), 201);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CORE, .verb = CLIENT_GET, .resource = STR("pods"),
				  .ns = STR("default"), .name = STR("p")}),
		404);
	fx_close(&f);
}

/* ---- the simulated world --------------------------------------------------------------------------- */

static void
run_seed(uint64_t seed, struct buf *out)
{
	struct fixture f;
	struct log l = {0};
	struct client_watch *w = NULL;
	fx_open(&f, seed);
	CHECK_INT(client_watch_start(
			  f.admin, &(struct client_req){CM, .timeout_s = 20}, &log_fns, &l, &w),
		0);
	for (int i = 0; i < 10; i++)
		CHECK_INT(create_cm(&f, "\"generateName\":\"x-\""), 201);
	CHECK_INT(world_run(f.w, INT64_MAX, log_ended, &l), 0);
	buf_cstr(out, log_text(&l));
	buf_cstr(out, f.body.data);
	buf_release(&l.text);
	fx_close(&f);
}

TEST(a_pod_of_a_new_namespace_waits_for_its_account)
{
	struct str pod = STR(
		"{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\","
		"\"image\":\"i\"}]}}");
	const struct client_req make_pod = {CORE, .verb = CLIENT_CREATE, .resource = STR("pods"),
		.ns = STR("default"), .body = pod};
	const struct client_req make_account = {CORE, .verb = CLIENT_CREATE,
		.resource = STR("serviceaccounts"), .ns = STR("default"),
		.body = STR("{\"metadata\":{\"name\":\"default\"}}")};
	struct fixture f, later = {0};
	fx_open_with(&f, 1, &kinds_tables);
	int64_t begin = clock_mono_ns();
	CHECK_INT(call(&f, f.admin, &make_pod), 403);
	CHECK(says(&f, "serviceaccount \\\"default\\\" not found"));
	CHECK(clock_mono_ns() - begin > NS_PER_SEC);
	CHECK_INT(client_call_start(f.admin, &make_pod, on_done, &later, NULL), 0);
	world_run(f.w, clock_mono_ns() + NS_PER_SEC / 2, NULL, NULL);
	CHECK(!later.answered);
	CHECK_INT(call(&f, f.admin, &make_account), 201);
	CHECK_INT(world_run(f.w, INT64_MAX, is_answered, &later), 0);
	CHECK_INT(later.http, 201);
	buf_release(&later.body);
	fx_close(&f);
}

TEST(controllers_that_tell_events_may)
{
	extern const struct controller deployment_controller, replicaset_controller,
		node_lifecycle_controller, taint_eviction_controller, node_ipam_controller,
		volume_binder_controller;
	const struct controller *const tell[] = {&deployment_controller, &replicaset_controller,
		&node_lifecycle_controller, &taint_eviction_controller, &node_ipam_controller,
		&volume_binder_controller};
	struct fixture f;
	fx_open(&f, 1);
	for (size_t i = 0; i < ARRAY_LEN(tell); i++) {
		char user[100], body[300];
		snprintf(user, sizeof(user), "system:serviceaccount:kube-system:%s", tell[i]->name);
		snprintf(body, sizeof(body),
			"{\"metadata\":{\"name\":\"e%zu\"},\"involvedObject\":{\"kind\":\"Pod\","
			"\"namespace\":\"default\",\"name\":\"p\"},\"reason\":\"R\"}",
			i);
		struct client *c = client_as(&f, user, "");
		CHECK_INT(call(&f, c,
				  &(struct client_req){CORE, .verb = CLIENT_CREATE,
					  .resource = STR("events"), .ns = STR("default"),
					  .body = str_c(body)}),
			201);
		client_free(c);
	}
	fx_close(&f);
}

TEST(the_same_seed_gives_the_same_answers)
{
	struct buf x = BUF_INIT, y = BUF_INIT, z = BUF_INIT;
	run_seed(77, &x);
	run_seed(77, &y);
	run_seed(78, &z);
	CHECK_STR(buf_view(&x), buf_view(&y));
	CHECK(!str_eq(buf_view(&x), buf_view(&z)));
	buf_release(&x);
	buf_release(&y);
	buf_release(&z);
}

TEST(every_stage_has_its_place)
{
	for (size_t i = 0; i < STAGE__COUNT; i++)
		CHECK(api_stages[i].name && api_stages[i].fn);
	for (int v = VERB_GET; v < VERB__COUNT; v++)
		CHECK(verb_name((enum verb)v)[0]);
}
