/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * What the answers of webhooks come to, and what a refusal tells the client. */
#include "orchestrator/api/hook_review.c"

#include "tests/unit/test.h"

#define UID "0b5e"
#define V1(response)                                                                                  \
	"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"response\":" response \
	"}"
#define PATCH "\"patch\":\"W10=\""

static const struct {
	const char *review, *body, *why;
	bool mutating;
} bad_answers[] = {
	{"v1", "nonsense", "the answer is no JSON", false},
	{"v1", "[]", "the answer is no AdmissionReview", false},
	{"v1", "{}", "webhook response was absent", false},
	{"v1", V1("null"), "webhook response was absent", false},
	{"v1", V1("{\"allowed\":true}"), "expected response.uid=\"0b5e\", got \"\"", false},
	{"v1", V1("{\"uid\":\"other\"}"), "expected response.uid=\"0b5e\", got \"other\"", false},
	{"v1", "{\"response\":{\"uid\":\"" UID "\"}}",
		"expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind=",
		false},
	{"v1", V1("{\"uid\":\"" UID "\",\"allowed\":\"true\"}"), "response.allowed", false},
	{"v1", V1("{\"uid\":\"" UID "\",\"status\":7}"), "response.status", false},
	{"v1", V1("{\"uid\":\"" UID "\"," PATCH "}"),
		"validating webhook may not return response.patch", false},
	{"v1", V1("{\"uid\":\"" UID "\",\"patchType\":\"JSONPatch\"}"),
		"validating webhook may not return response.patchType", false},
	{"v1", V1("{\"uid\":\"" UID "\"," PATCH "}"),
		"webhook returned response.patch but not response.patchType", true},
	{"v1", V1("{\"uid\":\"" UID "\",\"patchType\":\"JSONPatch\"}"),
		"webhook returned response.patchType but not response.patch", true},
	{"v1", V1("{\"uid\":\"" UID "\"," PATCH ",\"patchType\":\"\"}"),
		"webhook returned invalid response.patchType of \"\"", true},
	{"v1", V1("{\"uid\":\"" UID "\"," PATCH ",\"patchType\":\"Full\"}"),
		"unsupported patch type \"Full\"", true},
	{"v1", V1("{\"uid\":\"" UID "\",\"patch\":\"%%\",\"patchType\":\"JSONPatch\"}"),
		"no base64", true},
};

TEST(answers_that_cannot_be_taken_say_why)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_answers); i++) {
		struct arena *a = arena_new(0);
		struct hook_answer ans = {0};
		struct err e = {0};
		CHECK_INT(hook_answer_parse(a, str_c(bad_answers[i].body), STR(UID),
				  bad_answers[i].review, bad_answers[i].mutating, &ans, &e),
			-EINVAL);
		if (!strstr(e.msg, bad_answers[i].why))
			CHECK_STR(e.msg, bad_answers[i].why);
		arena_free(a);
	}
}

TEST(a_good_answer)
{
	struct arena *a = arena_new(0);
	struct hook_answer ans = {0};
	struct err e = {0};
	CHECK_INT(
		hook_answer_parse(a,
			STR(V1("{\"uid\":\"" UID "\",\"allowed\":true,\"warnings\":[\"a\",7,\"b\"],"
			       "\"auditAnnotations\":{\"x\":\"y\"}," PATCH
			       ",\"patchType\":\"JSONPatch\"}")),
			STR(UID), "v1", true, &ans, &e),
		0);
	CHECK(ans.allowed);
	CHECK_STR(ans.patch, "[]");
	CHECK_INT(ans.n_warnings, 2);
	CHECK_STR(ans.warnings[1], "b");
	/* v1beta1 names neither the request nor the kind of its patch */
	CHECK_INT(hook_answer_parse(a, STR("{\"response\":{\"allowed\":true," PATCH "}}"), STR(UID),
			  "v1beta1", true, &ans, &e),
		0);
	CHECK_STR(ans.patch, "[]");
	CHECK_INT(hook_answer_parse(a, STR("{\"response\":{\"allowed\":true," PATCH "}}"), STR(UID),
			  "v1beta1", false, &ans, &e),
		0);
	CHECK_STR(ans.patch, "");
	arena_free(a);
}

static struct doc *
refused(struct arena *a, const char *status, int *ret_http)
{
	struct doc *d = NULL;
	if (status)
		CHECK_INT(doc_parse_json(a, str_c(status), NULL, &d, NULL), 0);
	return hook_refusal(a, STR("w.example.com"), d, ret_http);
}

TEST(a_refusal_is_always_a_failure)
{
	static const struct {
		const char *status, *message;
		int http;
	} rows[] = {
		{NULL, "admission webhook \"w.example.com\" denied the request without explanation",
			400},
		{"{\"code\":200,\"status\":\"Success\"}",
			"admission webhook \"w.example.com\" denied the request without explanation",
			400},
		{"{\"message\":\"m\",\"reason\":\"r\",\"code\":409}",
			"admission webhook \"w.example.com\" denied the request: m", 409},
		{"{\"reason\":\"r\",\"code\":99999}",
			"admission webhook \"w.example.com\" denied the request: r", 500},
		{"{\"message\":7}",
			"admission webhook \"w.example.com\" denied the request without explanation",
			400},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *a = arena_new(0);
		int http = 0;
		struct doc *d = refused(a, rows[i].status, &http);
		CHECK(d != NULL);
		CHECK_INT(http, rows[i].http);
		CHECK_STR(doc_get_str(d, STR("message")), rows[i].message);
		CHECK_STR(doc_get_str(d, STR("status")), "Failure");
		CHECK_STR(doc_get_str(d, STR("kind")), "Status");
		CHECK_INT(doc_get_int(d, STR("code"), 0), rows[i].http);
		arena_free(a);
	}
}
