/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cel_fuzz: any expression, compiled and evaluated over one document: no crash, bounded memory and time. */
#include "orchestrator/cel/cel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char json[] =
		"{\"a\":{\"b\":1,\"c\":\"x\"},\"list\":[1,2,3],\"s\":\"str\",\"n\":null,\"d\":1.5,\"m\":{\"k\":\"v\"}}";
	struct arena *a = arena_new(64u << 20);
	struct doc *d = NULL;
	if (!a)
		return 0;
	const struct cel_variable vars[] = {
		{STR("self"), cel_type_basic(CEL_DYN)}, {STR("i"), cel_type_basic(CEL_INT)}};
	const struct cel_env *env = cel_env_new(a, vars, 2);
	const struct cel_program *p = NULL;
	struct err e = {0};
	if (env && doc_parse_json(a, str_c(json), NULL, &d, &e) == 0 &&
		cel_compile(a, env, str_from((const char *)data, size), NULL, &p, &e) == 0) {
		struct cel_value slots[] = {cel_of_doc(NULL, d), cel_of_doc(NULL, doc_int(a, 7))},
				 v;
		struct cel_world w = {.slots = slots};
		if (cel_eval(a, p, &w, &v, &e) == 0)
			cel_to_doc(a, &v, &d, &e);
	}
	arena_free(a);
	return 0;
}
