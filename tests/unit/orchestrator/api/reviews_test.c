/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Reviews through the whole pipeline: which questions are answered, and what is said of those that are not. */
#include "orchestrator/api/reviews.c"

#include "tests/unit/orchestrator/api/fixture.h"

TEST(a_question_of_access_is_asked_in_one_way)
{
	static const struct {
		const char *resource, *ns, *body, *says; /* says NULL: it is answered */
	} rows[] = {
		{"selfsubjectaccessreviews", "", "{}",
			"\".authorization.k8s.io \\\"\\\" is invalid: spec: Invalid value: null: exactly one "
			"of nonResourceAttributes or resourceAttributes must be specified\""},
		{"selfsubjectaccessreviews", "",
			"{\"metadata\":{\"name\":\"x\"},\"spec\":{\"resourceAttributes\":{}}}",
			"\\\"f:spec\\\":{\\\"f:resourceAttributes\\\":{}}}}]}: must be empty\""},
		{"subjectaccessreviews", "", "{\"spec\":{\"resourceAttributes\":{}}}",
			"spec.user: Invalid value: \\\"\\\": at least one of user or group must be "
			"specified"},
		{"subjectaccessreviews", "",
			"{\"spec\":{\"user\":\"u\",\"resourceAttributes\":{\"fieldSelector\":{}}}}",
			"spec.resourceAttributes.fieldSelector.requirements: Required value: when "
			"spec.resourceAttributes.fieldSelector is specified"},
		{"subjectaccessreviews", "",
			"{\"spec\":{\"user\":\"u\",\"resourceAttributes\":{\"labelSelector\":{"
			"\"requirements\":[{\"key\":\"a\",\"operator\":\"In\"}]}}}}",
			"requirements[0].values: Required value: must be specified when `operator`"},
		{"localsubjectaccessreviews", "default",
			"{\"spec\":{\"user\":\"u\",\"resourceAttributes\":{\"namespace\":\"other\"}}}",
			"spec.resourceAttributes.namespace: Invalid value: \\\"other\\\": must match "
			"metadata.namespace"},
		{"localsubjectaccessreviews", "default",
			"{\"spec\":{\"user\":\"u\",\"nonResourceAttributes\":{\"path\":\"/\"}}}",
			"disallowed on this kind of request"},
		{"localsubjectaccessreviews", "default",
			"{\"spec\":{\"user\":\"u\",\"resourceAttributes\":{\"namespace\":\"default\"}}}",
			NULL},
	};
	struct fixture f;
	fx_open(&f, 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct client_req q = {.group = STR("authorization.k8s.io"),
			.version = STR("v1"),
			.verb = CLIENT_CREATE,
			.resource = str_c(rows[i].resource),
			.ns = str_c(rows[i].ns),
			.body = str_c(rows[i].body)};
		CHECK_INT(call(&f, f.admin, &q), rows[i].says ? 422 : 201);
		CHECK(says(&f, rows[i].says ? rows[i].says : "\"namespace\":\"default\""));
	}
	fx_close(&f);
}
