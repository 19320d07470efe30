/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cel_test: see cases.tsv. */
#include "tests/unit/test.h"

#include "orchestrator/cel/compile.c"

TEST(one_and_one)
{
	struct arena *a = arena_new(0);
	const struct cel_env *env = cel_env_new(a, NULL, 0);
	const struct cel_program *p = NULL;
	struct err e = {0};
	CHECK_INT(cel_compile(a, env, STR("1 + 1 == 2"), NULL, &p, &e), 0);
	struct cel_world w = {0};
	struct cel_value v;
	CHECK_INT(cel_eval(a, p, &w, &v, &e), 0);
	CHECK(v.kind == CEL_BOOL && v.b);
	arena_free(a);
}
