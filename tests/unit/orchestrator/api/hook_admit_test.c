/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Admission webhooks through the whole pipeline, over TLS on loopback. */
#include "orchestrator/api/hook_admit.c"

#include "tests/unit/orchestrator/api/hook_fixture.h"

#define BOTH "\"CREATE\",\"UPDATE\""

TEST(a_webhook_is_told_of_a_request_and_changes_its_object)
{
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(hook(&x, true, "a", "/label", ON_CM("\"CREATE\"")), 201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 201);
	CHECK(says(&x.f, "\"labels\":{\"hooked\":\"yes\"}"));
	CHECK_INT(x.asked, 1);
	CHECK(told(&x, "\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\""));
	CHECK(told(&x, "\"kind\":{\"group\":\"\",\"version\":\"v1\",\"kind\":\"ConfigMap\"}"));
	CHECK(told(&x,
		"\"requestResource\":{\"group\":\"\",\"version\":\"v1\",\"resource\":\"configmaps\"}"));
	CHECK(told(&x, "\"name\":\"c\",\"namespace\":\"default\",\"operation\":\"CREATE\""));
	CHECK(told(&x, "\"username\":\"admin\""));
	CHECK(told(&x, "\"object\":{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\""));
	CHECK(told(&x, "\"oldObject\":null,\"dryRun\":false"));
	CHECK(told(&x, "\"options\":{\"kind\":\"CreateOptions\""));
	hx_close(&x);
}

TEST(a_refusal_says_by_whom_and_why)
{
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(hook(&x, false, "a", "/deny", ON_CM("\"CREATE\"")), 201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 403);
	CHECK(says(&x.f,
		"\"message\":\"admission webhook \\\"a.example.com\\\" denied the request: not on Mondays\""));
	CHECK(says(&x.f, "\"reason\":\"Forbidden\""));
	CHECK_INT(hcall(&x, &(struct client_req){CM, .verb = CLIENT_GET, .name = STR("c")}), 404);
	CHECK_INT(unhook(&x, false, "a"), 200);
	CHECK_INT(hook(&x, true, "a", "/deny-plain", ON_CM("\"CREATE\"")), 201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 400);
	CHECK(says(&x.f, "denied the request without explanation"));
	CHECK_INT(unhook(&x, true, "a"), 200);
	CHECK_INT(hook(&x, true, "a", "/deny-oddly", ON_CM("\"CREATE\"")), 201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 400);
	CHECK(says(&x.f, "denied the request: Odd\\\"\""));
	hx_close(&x);
}

/* The next request after the write was answered is the first one. */
TEST(a_configuration_holds_at_once_and_no_longer)
{
	struct hooks_fixture x;
	char name[32];
	hx_open(&x);
	for (int i = 0; i < 3; i++) {
		CHECK_INT(hook(&x, false, "a", "/deny", ON_CM("\"*\"")), 201);
		snprintf(name, sizeof(name), "\"name\":\"c%d\"", i);
		CHECK_INT(make_cm(&x, name), 403);
		CHECK_INT(unhook(&x, false, "a"), 200);
		CHECK_INT(make_cm(&x, name), 201);
	}
	hx_close(&x);
}

TEST(a_webhook_that_cannot_be_asked_refuses_or_is_passed_over)
{
	struct hooks_fixture x;
	static const struct {
		const char *path, *text;
	} bad[] = {
		{"/error", "an error on the server (\\\"boom\\\") has prevented the request"},
		{"/none",
			"failed to call webhook: the server could not find the requested resource"},
		{"/redirect", "the server responded with the status code 307"},
	};
	hx_open(&x);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CHECK_INT(hook(&x, i & 1, "a", bad[i].path, ON_CM("\"CREATE\"")), 201);
		CHECK_INT(make_cm(&x, "\"name\":\"c\""), 500);
		CHECK(says(&x.f,
			"Internal error occurred: failed calling webhook \\\"a.example.com\\\": "));
		CHECK(says(&x.f, bad[i].text));
		CHECK_INT(unhook(&x, i & 1, "a"), 200);
	}
	CHECK_INT(hook_at(&x, false, "a", "/allow", ON_CM("\"CREATE\""), 1, x.ca64.data), 201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 500);
	CHECK(says(&x.f,
		"failed to call webhook: Post \\\"https://127.0.0.1:1/allow?timeout=10s\\\": "));
	CHECK_INT(unhook(&x, false, "a"), 200);
	CHECK_INT(hook_at(&x, true, "a", "/allow",
			  "\"failurePolicy\":\"Ignore\"," ON_CM("\"CREATE\""), 1, x.ca64.data),
		201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 201);
	hx_close(&x);
}

TEST(a_webhook_is_who_its_roots_say)
{
	struct hooks_fixture x;
	struct buf other64 = BUF_INIT;
	hx_open(&x);
	struct pki_party other = pki_make(&(struct pki_want){.cn = "other", .ca = true}, NULL);
	base64_encode(&other64, buf_view(&other.cert));
	buf_char(&other64, '\0');
	CHECK_INT(
		hook_at(&x, false, "a", "/allow", ON_CM("\"CREATE\""), x.bound.port, other64.data),
		201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 500);
	CHECK_INT(unhook(&x, false, "a"), 200);
	CHECK_INT(hook_at(&x, false, "a", "/allow", ON_CM("\"CREATE\""), x.bound.port, NULL), 201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 500);
	CHECK(says(&x.f, "no caBundle"));
	CHECK_INT(x.asked, 0);
	pki_free(&other);
	buf_release(&other64);
	hx_close(&x);
}

TEST(a_webhook_that_does_not_answer_in_time_is_not_awaited)
{
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(hook(&x, false, "a", "/hold", "\"timeoutSeconds\":1," ON_CM("\"CREATE\"")), 201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 500);
	CHECK(says(&x.f, "/hold?timeout=1s\\\": context deadline exceeded"));
	CHECK_INT(unhook(&x, false, "a"), 200);
	CHECK_INT(hook(&x, true, "a", "/hold",
			  "\"failurePolicy\":\"Ignore\",\"timeoutSeconds\":1," ON_CM("\"CREATE\"")),
		201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 201);
	hx_close(&x);
}

TEST(others_are_served_while_a_webhook_thinks)
{
	struct hooks_fixture x;
	struct fixture other = {0};
	hx_open(&x);
	CHECK_INT(hook(&x, true, "a", "/hold", ON_CM("\"CREATE\"")), 201);
	ask(&x,
		&(struct client_req){
			CM, .verb = CLIENT_CREATE, .body = STR("{\"metadata\":{\"name\":\"c\"}}")});
	until(&x, &x.n_held, 1);
	CHECK_INT(client_call_start(x.f.admin,
			  &(struct client_req){CORE, .verb = CLIENT_CREATE,
				  .resource = STR("namespaces"),
				  .body = STR("{\"metadata\":{\"name\":\"n\"}}")},
			  on_done, &other, NULL),
		0);
	while (!other.answered)
		loop_turn(x.f.loop, -1);
	CHECK_INT(other.http, 201);
	CHECK(!x.f.answered);
	release(&x);
	CHECK_INT(answer(&x), 201);
	buf_release(&other.body);
	hx_close(&x);
}

TEST(a_request_that_is_given_up_gives_up_its_webhook)
{
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(hook(&x, false, "a", "/hold", ON_CM("\"CREATE\"")), 201);
	struct client_call *c = ask(&x,
		&(struct client_req){
			CM, .verb = CLIENT_CREATE, .body = STR("{\"metadata\":{\"name\":\"c\"}}")});
	until(&x, &x.n_held, 1);
	client_call_cancel(c);
	while (!x.aborted)
		loop_turn(x.f.loop, -1);
	CHECK_INT(hcall(&x, &(struct client_req){CM, .verb = CLIENT_GET, .name = STR("c")}), 404);
	hx_close(&x);
}

TEST(stopping_gives_up_what_waits_for_webhooks)
{
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(hook(&x, true, "a", "/hold", ON_CM("\"CREATE\"")), 201);
	ask(&x,
		&(struct client_req){
			CM, .verb = CLIENT_CREATE, .body = STR("{\"metadata\":{\"name\":\"c\"}}")});
	until(&x, &x.n_held, 1);
	hx_close(&x);
}

TEST(validating_webhooks_are_asked_all_at_once)
{
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(hook(&x, false, "a", "/hold", ON_CM("\"CREATE\"")), 201);
	CHECK_INT(hook(&x, false, "b", "/hold", ON_CM("\"CREATE\"")), 201);
	CHECK_INT(hook(&x, false, "c", "/deny", ON_CM("\"CREATE\"")), 201);
	struct client_call *c = ask(&x,
		&(struct client_req){
			CM, .verb = CLIENT_CREATE, .body = STR("{\"metadata\":{\"name\":\"c\"}}")});
	until(&x, &x.n_held, 2);
	while (x.asked < 3)
		loop_turn(x.f.loop, -1);
	CHECK(!x.f.answered);
	client_call_cancel(c);
	while (x.aborted < 2)
		loop_turn(x.f.loop, -1);
	hx_close(&x);
}

TEST(mutating_webhooks_are_asked_in_the_order_of_their_names_and_again_if_they_want)
{
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(hook(&x, true, "b", "/data", ON_CM("\"CREATE\"")), 201);
	CHECK_INT(hook(&x, true, "a", "/allow",
			  "\"reinvocationPolicy\":\"IfNeeded\"," ON_CM("\"CREATE\"")),
		201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 201);
	CHECK(says(&x.f, "\"more\":\"x\""));
	CHECK_INT(x.asked, 3); /* a, b, and a again with what b made of it */
	CHECK(told(&x, "\"data\":{\"k\":\"v\",\"more\":\"x\"}"));
	CHECK_INT(hook(&x, true, "c", "/label",
			  "\"reinvocationPolicy\":\"IfNeeded\"," ON_CM("\"CREATE\"")),
		201);
	x.asked = 0;
	CHECK_INT(make_cm(&x, "\"name\":\"d\""), 201);
	CHECK_INT(x.asked, 4); /* nobody changed anything behind c */
	hx_close(&x);
}

/* The server died with the second configuration: the list was read where it no longer was. */
TEST(many_configurations_are_kept_in_order)
{
	static const char *const names[] = {
		"m", "c", "x", "a", "k", "z", "b", "y", "d", "l", "e", "w"};
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(make_cm(&x, "\"name\":\"before\""), 201);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CHECK_INT(hook(&x, true, names[i], "/allow", ON_CM("\"CREATE\"")), 201);
		x.asked = 0;
		char name[32];
		snprintf(name, sizeof(name), "\"name\":\"c%zu\"", i);
		CHECK_INT(make_cm(&x, name), 201);
		CHECK_INT(x.asked, i + 1);
	}
	hx_close(&x);
}

TEST(what_a_webhook_adds_gets_its_defaults_and_is_checked)
{
	struct hooks_fixture x;
	struct client_req pod = {CORE, .verb = CLIENT_CREATE, .resource = STR("pods"),
		.ns = STR("default"),
		.body = STR(
			"{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\","
			"\"image\":\"i\"}]}}")};
	hx_open(&x);
	CHECK_INT(hcall(&x,
			  &(struct client_req){CORE, .verb = CLIENT_CREATE,
				  .resource = STR("serviceaccounts"), .ns = STR("default"),
				  .body = STR("{\"metadata\":{\"name\":\"default\"}}")}),
		201);
	CHECK_INT(
		hook(&x, true, "a", "/volume",
			"\"rules\":[{\"apiGroups\":[\"*\"],\"apiVersions\":[\"*\"],\"resources\":["
			"\"pods\"],\"operations\":[\"*\"]}]"),
		201);
	CHECK_INT(hcall(&x, &pod), 201);
	CHECK(says(&x.f, "\"initContainers\":[{\"name\":\"i\",\"image\":\"i\",\"resources\":{},"));
	CHECK(says(&x.f, "\"terminationMessagePath\":\"/dev/termination-log\""));
	CHECK_INT(unhook(&x, true, "a"), 200);
	CHECK_INT(hook(&x, true, "a", "/wrong-type", ON_CM("\"CREATE\"")), 201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 500);
	CHECK(says(&x.f, "json: cannot unmarshal number"));
	CHECK_INT(unhook(&x, true, "a"), 200);
	CHECK_INT(hook(&x, true, "a", "/nowhere", ON_CM("\"CREATE\"")), 201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 500);
	hx_close(&x);
}

/* The plugins that had seen the pod already passed over what a webhook added: a sidecar had no token. */
TEST(a_container_that_a_webhook_adds_gets_a_token_as_the_others)
{
	struct hooks_fixture x;
	struct doc *d = NULL;
	size_t n = 0;
	hx_open(&x);
	struct arena *a = arena_new(0);
	CHECK_INT(hcall(&x,
			  &(struct client_req){CORE, .verb = CLIENT_CREATE,
				  .resource = STR("serviceaccounts"), .ns = STR("default"),
				  .body = STR("{\"metadata\":{\"name\":\"default\"}}")}),
		201);
	CHECK_INT(
		hook(&x, true, "a", "/sidecar",
			"\"rules\":[{\"apiGroups\":[\"\"],\"apiVersions\":[\"v1\"],\"resources\":["
			"\"pods\"],\"operations\":[\"CREATE\"]}]"),
		201);
	CHECK_INT(
		hcall(&x,
			&(struct client_req){CORE, .verb = CLIENT_CREATE, .resource = STR("pods"),
				.ns = STR("default"),
				.body = STR(
					"{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":["
					"{\"name\":\"c\",\"image\":\"i\"}]}}")}),
		201);
	CHECK_INT(doc_parse_json(a, str_c(x.f.body.data), NULL, &d, NULL), 0);
	DOC_EACH (c, doc_at(d, "spec.containers")) {
		CHECK_INT(doc_len(doc_get(c, STR("volumeMounts"))), 1);
		n++;
	}
	CHECK_INT(n, 2);
	CHECK_INT(doc_len(doc_at(d, "spec.volumes")), 1);
	arena_free(a);
	hx_close(&x);
}

TEST(what_the_server_owns_of_an_object_no_webhook_changes)
{
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 201);
	CHECK_INT(hook(&x, true, "a", "/rename", ON_CM(BOTH)), 201);
	CHECK_INT(make_cm(&x, "\"name\":\"d\""), 201);
	CHECK(says(&x.f, "\"name\":\"other\""));
	CHECK(!strstr(x.f.body.data, "made-up"));
	CHECK_INT(
		hcall(&x, &(struct client_req){CM, .verb = CLIENT_GET, .name = STR("other")}), 200);
	CHECK_INT(hcall(&x, &(struct client_req){CM, .verb = CLIENT_GET, .name = STR("d")}), 404);
	CHECK_INT(hcall(&x,
			  &(struct client_req){CM, .verb = CLIENT_PATCH_MERGE, .name = STR("c"),
				  .body = STR("{\"data\":{\"x\":\"y\"}}")}),
		422);
	CHECK(says(&x.f, "metadata.name: Invalid value: \\\"other\\\": field is immutable"));
	hx_close(&x);
}

/* Two writers: the one whose webhook was slow starts over with what the other left. */
TEST(an_object_that_changed_while_a_webhook_thought_is_read_again)
{
	struct hooks_fixture x;
	struct fixture other = {0};
	hx_open(&x);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 201);
	CHECK_INT(hook(&x, false, "a", "/hold",
			  "\"objectSelector\":{\"matchLabels\":{\"slow\":\"1\"}}," ON_CM(
				  "\"UPDATE\"")),
		201);
	ask(&x,
		&(struct client_req){CM, .verb = CLIENT_PATCH_MERGE, .name = STR("c"),
			.body = STR("{\"metadata\":{\"labels\":{\"slow\":\"1\"}}}")});
	until(&x, &x.n_held, 1);
	CHECK_INT(client_call_start(x.f.admin,
			  &(struct client_req){CM, .verb = CLIENT_PATCH_MERGE, .name = STR("c"),
				  .body = STR("{\"data\":{\"fast\":\"1\"}}")},
			  on_done, &other, NULL),
		0);
	while (!other.answered)
		loop_turn(x.f.loop, -1);
	CHECK_INT(other.http, 200);
	release(&x);
	until(&x, &x.n_held, 1); /* asked again, about the newest */
	CHECK(told(&x, "\"data\":{\"fast\":\"1\",\"k\":\"v\"}"));
	release(&x);
	CHECK_INT(answer(&x), 200);
	CHECK(says(&x.f, "\"fast\":\"1\""));
	CHECK(says(&x.f, "\"slow\":\"1\""));
	buf_release(&other.body);
	hx_close(&x);
}

/* A kept connection that the other side closed was taken for a webhook that cannot be asked. */
TEST(a_kept_connection_that_breaks_is_replaced)
{
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(hook(&x, true, "a", "/allow", ON_CM("\"CREATE\"")), 201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 201);
	CHECK_INT(make_cm(&x, "\"name\":\"d\""), 201);
	CHECK_INT(http_server_conns(x.http), 1);
	x.cut = true;
	CHECK_INT(make_cm(&x, "\"name\":\"e\""), 201);
	CHECK_INT(x.asked, 4);
	hx_close(&x);
}

TEST(deletions_are_asked_about_with_what_goes)
{
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(make_cm(&x, "\"name\":\"c\",\"labels\":{\"a\":\"b\"}"), 201);
	CHECK_INT(hook(&x, false, "a", "/deny", ON_CM("\"DELETE\"")), 201);
	CHECK_INT(
		hcall(&x, &(struct client_req){CM, .verb = CLIENT_DELETE, .name = STR("c")}), 403);
	CHECK(told(&x, "\"operation\":\"DELETE\""));
	CHECK(told(
		&x, "\"object\":null,\"oldObject\":{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\""));
	CHECK(told(&x, "\"kind\":\"DeleteOptions\",\"apiVersion\":\"meta.k8s.io/v1\""));
	CHECK_INT(hcall(&x,
			  &(struct client_req){CM, .verb = CLIENT_DELETE_COLLECTION,
				  .label_selector = STR("a=b")}),
		403);
	CHECK_INT(hcall(&x, &(struct client_req){CM, .verb = CLIENT_GET, .name = STR("c")}), 200);
	CHECK_INT(unhook(&x, false, "a"), 200);
	CHECK_INT(hook(&x, true, "a", "/label", ON_CM("\"DELETE\"")), 201);
	CHECK_INT(
		hcall(&x, &(struct client_req){CM, .verb = CLIENT_DELETE, .name = STR("c")}), 500);
	CHECK(says(
		&x.f, "attempted to modify the object, which is not supported for this operation"));
	hx_close(&x);
}

TEST(a_scale_is_asked_about_as_such)
{
	struct hooks_fixture x;
	struct client_req deploy = {.group = STR("apps"),
		.version = STR("v1"),
		.resource = STR("deployments"),
		.ns = STR("default"),
		.verb = CLIENT_CREATE,
		.body = STR(
			"{\"metadata\":{\"name\":\"d\"},\"spec\":{\"selector\":{\"matchLabels\":{"
			"\"a\":\"b\"}},\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},"
			"\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}}}")};
	hx_open(&x);
	CHECK_INT(hcall(&x, &deploy), 201);
	CHECK_INT(
		hook(&x, true, "a", "/replicas",
			"\"rules\":[{\"apiGroups\":[\"apps\"],\"apiVersions\":[\"v1\"],\"resources\":["
			"\"deployments/scale\"],\"operations\":[\"UPDATE\"]}]"),
		201);
	deploy.verb = CLIENT_PATCH_MERGE;
	deploy.name = STR("d");
	deploy.subresource = STR("scale");
	deploy.body = STR("{\"spec\":{\"replicas\":3}}");
	CHECK_INT(hcall(&x, &deploy), 200);
	CHECK(says(&x.f, "\"replicas\":7"));
	CHECK(told(
		&x, "\"kind\":{\"group\":\"autoscaling\",\"version\":\"v1\",\"kind\":\"Scale\"}"));
	CHECK(told(&x, "\"subResource\":\"scale\""));
	CHECK(told(&x, "\"resource\":{\"group\":\"apps\""));
	hx_close(&x);
}

/* The rules name one group; the request came by the other that has the same objects. */
TEST(an_equivalent_resource_is_shown_in_the_form_that_was_asked_for)
{
	struct hooks_fixture x;
	struct client_req event = {CORE, .verb = CLIENT_CREATE, .resource = STR("events"),
		.ns = STR("default"),
		.body = STR(
			"{\"metadata\":{\"name\":\"e\"},\"involvedObject\":{\"kind\":\"Pod\","
			"\"name\":\"p\",\"namespace\":\"default\"},\"reason\":\"R\",\"message\":\"m\"}")};
	static const char rules[] =
		"\"rules\":[{\"apiGroups\":[\"events.k8s.io\"],\"apiVersions\":[\"v1\"],"
		"\"resources\":[\"events\"],\"operations\":[\"CREATE\"]}]";
	char exact[256];
	hx_open(&x);
	CHECK_INT(hook(&x, true, "a", "/label", rules), 201);
	CHECK_INT(hcall(&x, &event), 201);
	CHECK(says(&x.f, "\"hooked\":\"yes\""));
	CHECK(says(&x.f, "\"involvedObject\":{"));
	CHECK(told(&x, "\"kind\":{\"group\":\"events.k8s.io\""));
	CHECK(told(&x, "\"requestKind\":{\"group\":\"\""));
	CHECK(told(&x, "\"regarding\":{"));
	CHECK_INT(unhook(&x, true, "a"), 200);
	snprintf(exact, sizeof(exact), "\"matchPolicy\":\"Exact\",%s", rules);
	CHECK_INT(hook(&x, false, "a", "/deny", exact), 201);
	event.body = STR(
		"{\"metadata\":{\"name\":\"f\"},\"involvedObject\":{\"kind\":\"Pod\","
		"\"name\":\"p\",\"namespace\":\"default\"},\"reason\":\"R\",\"message\":\"m\"}");
	CHECK_INT(hcall(&x, &event), 201);
	hx_close(&x);
}

TEST(namespaces_choose_their_webhooks)
{
	struct hooks_fixture x;
	struct client_req q = {CORE, .verb = CLIENT_CREATE, .resource = STR("namespaces"),
		.body = STR("{\"metadata\":{\"name\":\"n\",\"labels\":{\"hooks\":\"on\"}}}")};
	hx_open(&x);
	CHECK_INT(hcall(&x, &q), 201);
	CHECK_INT(hook(&x, false, "a", "/deny",
			  "\"namespaceSelector\":{\"matchLabels\":{\"hooks\":\"on\"}},\"rules\":[{"
			  "\"apiGroups\":[\"*\"],\"apiVersions\":[\"*\"],\"resources\":[\"*\"],"
			  "\"operations\":[\"CREATE\"]}]"),
		201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 201);
	struct client_req cm = {
		CM, .verb = CLIENT_CREATE, .body = STR("{\"metadata\":{\"name\":\"c\"}}")};
	cm.ns = STR("n");
	CHECK_INT(hcall(&x, &cm), 403);
	q.body = STR("{\"metadata\":{\"name\":\"m\",\"labels\":{\"hooks\":\"on\"}}}");
	CHECK_INT(hcall(&x, &q), 403); /* by the labels it would have */
	q.body = STR("{\"metadata\":{\"name\":\"m\"}}");
	CHECK_INT(hcall(&x, &q), 201);
	hx_close(&x);
}

TEST(configurations_of_admission_are_nobodys_business)
{
	static const char all[] =
		"\"rules\":[{\"apiGroups\":[\"admissionregistration.k8s.io\"],\"apiVersions\":[\"*\"],"
		"\"resources\":[\"*/*\"],\"operations\":[\"*\"]}]";
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(hook(&x, false, "a", "/deny", all), 201);
	CHECK_INT(hook(&x, true, "b", "/label", all), 201);
	CHECK_INT(x.asked, 0);
	CHECK(!strstr(x.f.body.data, "hooked"));
	CHECK_INT(unhook(&x, true, "b"), 200);
	CHECK_INT(unhook(&x, false, "a"), 200);
	hx_close(&x);
}

#define CONDITION(expression)                                                                      \
	"\"matchConditions\":[{\"name\":\"c\",\"expression\":\"" expression "\"}]"

TEST(match_conditions_decide_whether_a_webhook_is_asked)
{
	struct hooks_fixture x;
	hx_open(&x);
	for (int mutating = 0; mutating < 2; mutating++) {
		const char *name = mutating ? "\"name\":\"b\"" : "\"name\":\"a\"";
		CHECK_INT(hook(&x, mutating, "a", "/deny",
				  CONDITION("object.metadata.name != 'skip-me'") "," ON_CM(
					  "\"CREATE\"")),
			201);
		CHECK_INT(make_cm(&x, name), 403);
		CHECK_INT(x.asked, 1 + mutating);
		CHECK_INT(make_cm(&x, "\"name\":\"skip-me\""), 201);
		CHECK_INT(x.asked, 1 + mutating);
		CHECK_INT(hcall(&x,
				  &(struct client_req){
					  CM, .verb = CLIENT_DELETE, .name = STR("skip-me")}),
			200);
		CHECK_INT(unhook(&x, mutating, "a"), 200);
	}
	hx_close(&x);
}

TEST(match_conditions_that_cannot_be_told_go_by_failure_policy)
{
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(hook(&x, false, "a", "/allow",
			  CONDITION("object.data.none == 'x'") "," ON_CM("\"CREATE\"")),
		201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 403);
	CHECK(says(&x.f,
		"configmaps \\\"c\\\" is forbidden: expression 'object.data.none == 'x'' resulted in "
		"error: no such key: none"));
	CHECK_INT(unhook(&x, false, "a"), 200);
	CHECK_INT(hook(&x, false, "a", "/deny",
			  "\"failurePolicy\":\"Ignore\"," CONDITION(
				  "object.data.none == 'x'") "," ON_CM("\"CREATE\"")),
		201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 201);
	CHECK_INT(x.asked, 0);
	hx_close(&x);
}

TEST(match_conditions_must_compile)
{
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(hook(&x, false, "a", "/allow",
			  CONDITION("... [] bad expression") "," ON_CM("\"CREATE\"")),
		422);
	CHECK(says(&x.f, "webhooks[0].matchConditions[0].expression: Invalid value: "));
	CHECK(says(&x.f, "compilation failed: ERROR: <input>:1:2: Syntax error: "));
	CHECK_INT(hook(&x, true, "a", "/allow", CONDITION("1") "," ON_CM("\"CREATE\"")), 422);
	CHECK(says(&x.f, "Invalid value: \\\"1\\\": must evaluate to bool but got int"));
	CHECK_INT(
		hook(&x, true, "a", "/allow", CONDITION("params == null") "," ON_CM("\"CREATE\"")),
		422);
	CHECK(says(&x.f, "undeclared reference to 'params' (in container '')"));
	hx_close(&x);
}

TEST(a_dry_run_says_so_and_stores_nothing)
{
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(hook(&x, true, "a", "/label", ON_CM("\"CREATE\"")), 201);
	CHECK_INT(hcall(&x,
			  &(struct client_req){CM, .verb = CLIENT_CREATE, .dry_run = true,
				  .body = STR("{\"metadata\":{\"name\":\"c\"}}")}),
		201);
	CHECK(says(&x.f, "\"hooked\":\"yes\""));
	CHECK(told(&x, "\"dryRun\":true"));
	CHECK_INT(hcall(&x, &(struct client_req){CM, .verb = CLIENT_GET, .name = STR("c")}), 404);
	hx_close(&x);
}

/* Attaching is refused before anything is asked of a node. */
TEST(connections_into_pods_are_asked_about)
{
	struct hooks_fixture x;
	hx_open(&x);
	CHECK_INT(
		hook(&x, false, "a", "/deny",
			"\"rules\":[{\"apiGroups\":[\"\"],\"apiVersions\":[\"v1\"],\"resources\":["
			"\"pods/attach\"],\"operations\":[\"CONNECT\"]}]"),
		201);
	CHECK_INT(hcall(&x,
			  &(struct client_req){CORE, .verb = CLIENT_CREATE, .resource = STR("pods"),
				  .ns = STR("default"), .name = STR("p"),
				  .subresource = STR("attach")}),
		403);
	CHECK(told(
		&x, "\"kind\":{\"group\":\"\",\"version\":\"v1\",\"kind\":\"PodAttachOptions\"}"));
	CHECK(told(&x, "\"operation\":\"CONNECT\""));
	CHECK(told(&x, "\"options\":null"));
	hx_close(&x);
}

/* A service is reached at a ready endpoint of it that is the address of a pod, as the pod says too. */
TEST(a_service_is_asked_where_its_pods_are_and_nowhere_else)
{
	static const char made[] =
		"{\"metadata\":{\"name\":\"s\"},\"webhooks\":[{\"name\":\"s.example.com\","
		"\"clientConfig\":{\"service\":{\"namespace\":\"default\",\"name\":\"hook\",\"path\":\"/p\"},"
		"\"caBundle\":\"%s\"},\"sideEffects\":\"None\",\"admissionReviewVersions\":[\"v1\"]," ON_CM(
			"\"CREATE\"") "}]}";
	struct hooks_fixture x;
	struct buf b = BUF_INIT;
	hx_open(&x);
	buf_fmt(&b, made, x.ca64.data);
	CHECK_INT(hcall(&x,
			  &(struct client_req){HOOKS, .verb = CLIENT_CREATE,
				  .resource = STR("validatingwebhookconfigurations"),
				  .body = buf_view(&b)}),
		201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 500);
	CHECK(says(&x.f,
		"Post \\\"https://hook.default.svc:443/p?timeout=10s\\\": service \\\"hook\\\" not found"));
	CHECK_INT(
		hcall(&x,
			&(struct client_req){CORE, .verb = CLIENT_CREATE,
				.resource = STR("services"), .ns = STR("default"),
				.body = STR(
					"{\"metadata\":{\"name\":\"hook\"},\"spec\":{\"clusterIP\":"
					"\"None\",\"ports\":[{\"port\":8443}]}}")}),
		201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 500);
	CHECK(says(&x.f, "no service port 443 found for service \\\"hook\\\""));
	CHECK_INT(hcall(&x,
			  &(struct client_req){CORE, .verb = CLIENT_PATCH_MERGE,
				  .resource = STR("services"), .ns = STR("default"),
				  .name = STR("hook"),
				  .body = STR("{\"spec\":{\"ports\":[{\"port\":443}]}}")}),
		200);
	/* the machine itself, by an endpoint that anybody may write */
	buf_clear(&b);
	buf_fmt(&b,
		"{\"metadata\":{\"name\":\"e\",\"labels\":{\"kubernetes.io/service-name\":\"hook\"}},"
		"\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":[\"10.0.0.1\"],\"conditions\":{"
		"\"ready\":true}}],\"ports\":[{\"name\":\"\",\"port\":%u}]}",
		x.bound.port);
	CHECK_INT(hcall(&x,
			  &(struct client_req){.group = STR("discovery.k8s.io"),
				  .version = STR("v1"),
				  .verb = CLIENT_CREATE,
				  .resource = STR("endpointslices"),
				  .ns = STR("default"),
				  .body = buf_view(&b)}),
		201);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 500);
	CHECK(says(&x.f, "no endpoints available for service \\\"hook\\\""));
	CHECK_INT(x.asked, 0);
	buf_release(&b);
	hx_close(&x);
}

static void
stored(struct store_txn *t)
{
	*(bool *)t->arg = true;
}

/* What may no longer be made is still there from before. */
TEST(a_webhook_with_side_effects_is_not_asked_on_a_dry_run)
{
	struct hooks_fixture x;
	struct buf b = BUF_INIT;
	bool done = false;
	hx_open(&x);
	buf_fmt(&b,
		"{\"metadata\":{\"name\":\"old\"},\"webhooks\":[{\"name\":\"old.example.com\","
		"\"clientConfig\":{\"url\":\"https://127.0.0.1:%u/allow\",\"caBundle\":\"%s\"},"
		"\"sideEffects\":\"Some\",\"namespaceSelector\":{},\"objectSelector\":{},\"failurePolicy\":\"Ignore\",\"admissionReviewVersions\":["
		"\"v1\"]," ON_CM("\"CREATE\"") "}]}",
		x.bound.port, x.ca64.data);
	int res = store_resource(
		x.f.store, STR("admissionregistration.k8s.io/validatingwebhookconfigurations"));
	CHECK(res >= 0);
	struct store_op op = {.kind = STORE_PUT,
		.key = {(uint32_t)res, STR(""), STR("old")},
		.body = buf_view(&b),
		.schema_id = API_SCHEMA_ID};
	struct store_txn txn = {
		.ops = &op, .n_ops = 1, .reply_to = x.f.loop, .done = stored, .arg = &done};
	store_commit(x.f.store, &txn);
	while (!done)
		loop_turn(x.f.loop, -1);
	CHECK_INT(hcall(&x,
			  &(struct client_req){CM, .verb = CLIENT_CREATE, .dry_run = true,
				  .body = STR("{\"metadata\":{\"name\":\"c\"}}")}),
		400);
	CHECK(says(&x.f, "admission webhook \\\"old.example.com\\\" does not support dry run"));
	CHECK_INT(x.asked, 0);
	CHECK_INT(make_cm(&x, "\"name\":\"c\""), 201);
	CHECK_INT(x.asked, 1);
	buf_release(&b);
	hx_close(&x);
}
