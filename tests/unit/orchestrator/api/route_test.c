/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/api/route.c"

#include "tests/unit/test.h"

TEST(proxies_refuse_options_and_head)
{
	static const struct {
		const char *method;
		bool named, proxy;
		enum verb verb;
	} rows[] = {
		{"GET", true, false, VERB_GET},
		{"GET", false, false, VERB_LIST},
		{"DELETE", true, true, VERB_DELETE},
		{"OPTIONS", true, true, VERB_GET},
		{"HEAD", true, true, VERB_GET},
		{"OPTIONS", true, false, VERB_NONE},
		{"HEAD", true, false, VERB_NONE},
		{"TRACE", true, true, VERB_NONE},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_INT(
			verb_of(str_c(rows[i].method), rows[i].named, rows[i].proxy), rows[i].verb);
}
