/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * json_fuzz: any bytes as JSON: refused with a reason, or a tree that is written and reads back equal. */
#include "base/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(0);
	struct doc *d = NULL, *back = NULL;
	struct err e = {0};
	BUG_ON(!a);
	int rc = doc_parse_json(a, str_from((const char *)data, size), NULL, &d, &e);
	BUG_ON(rc < 0 && (e.msg[0] == '\0' || d));
	if (rc == 0) {
		struct buf b = {.a = a}, pretty = {.a = a};
		doc_write_json(&b, d);
		doc_write_json_pretty(&pretty, d, 2);
		BUG_ON(b.failed || pretty.failed);
		BUG_ON(doc_parse_json(a, buf_view(&b), NULL, &back, &e) < 0 || !doc_equal(d, back));
		BUG_ON(doc_parse_json(a, buf_view(&pretty), NULL, &back, &e) < 0 ||
			!doc_equal(d, back));
		BUG_ON(!doc_equal(d, doc_copy(a, d)));
	}
	arena_free(a);
	return 0;
}
