/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * admission_fuzz: any bytes as what an admission webhook answers. The first byte chooses the version of the review and
 * whether the webhook may change the object. Holds: what was taken can be told: a refusal is a complete Status with
 * a code of 400 to 599. */
#include "orchestrator/api/hook_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(16 << 20);
	struct hook_answer ans = {0};
	struct err e = {0};
	int http = 0;
	if (!a || size == 0) {
		arena_free(a);
		return 0;
	}
	struct str body = str_from((const char *)data + 1, size - 1);
	bool mutating = data[0] & 2;
	int rc = hook_answer_parse(
		a, body, STR("u"), data[0] & 1 ? "v1" : "v1beta1", mutating, &ans, &e);
	BUG_ON(rc < 0 && e.msg[0] == '\0');
	if (rc == 0) {
		BUG_ON(!mutating && ans.patch.n);
		struct doc *d = hook_refusal(a, STR("w"), ans.status, &http);
		BUG_ON(!d && !arena_failed(a));
		BUG_ON(d && (http < 400 || http > 599));
		BUG_ON(d && !doc_get_str(d, STR("message")).n);
	}
	arena_free(a);
	return 0;
}
