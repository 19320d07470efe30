/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * docs_test: which documents there are. */
#include "orchestrator/api/docs.c"

#include "tests/unit/orchestrator/api/fixture.h"

/* Of a group that was described and not yet served the answer was 200 and nothing; it is 404 now. */
TEST(every_document_that_is_there_says_something)
{
	struct fixture f;
	size_t n = 0;
	fx_open(&f, 1);
	for (size_t i = 0; i < f.s->docs->n; i++) {
		const struct doc_bytes *b = doc_get_made(f.s->docs, &f.s->docs->rows[i]);
		CHECK(b != NULL);
		if (b->body.len == 0)
			printf("     " STR_FMT "\n", STR_ARG(f.s->docs->rows[i].path));
		CHECK(b->body.len > 0);
		n++;
	}
	CHECK(n > 40);
	fx_close(&f);
}
