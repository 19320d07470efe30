/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * selector_fuzz: label and field selectors. What is written of a parsed label selector must parse again to
 * the same text. */
#include "orchestrator/schema/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct schema_kind *pod = schema_kind_find(
		schema_builtin(), STR(""), STR("v1"), STR("Pod"));
	struct arena *a = arena_new(16u << 20);
	struct str s = str_from((const char *)data, size), text = STR_NONE;
	struct selector sel, again;
	struct err e = {0};
	struct str_pair label = {STR("a"), STR("1")};

	if (a == NULL)
		return 0;
	if (selector_parse(a, s, &sel, &e) == 0) {
		selector_match_pairs(&sel, &label, 1);
		text = selector_write(a, &sel);
		BUG_ON(selector_parse(a, text, &again, &e) != 0);
		BUG_ON(!str_eq(text, selector_write(a, &again)));
		BUG_ON(selector_match_pairs(&sel, &label, 1) !=
			selector_match_pairs(&again, &label, 1));
	}
	if (field_selector_parse(a, pod, s, &sel, &e) == 0)
		selector_match_attrs(&sel, 'f', s);
	arena_free(a);
	return 0;
}
