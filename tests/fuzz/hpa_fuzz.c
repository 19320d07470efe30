/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hpa_fuzz: any JSON as a HorizontalPodAutoscaler in either version, annotations included. Holds: what was made the other
 * version and back is the same when that is done again. */
#include "orchestrator/kinds/kinds_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
same(const struct doc *x, const struct doc *y)
{
	struct buf bx = BUF_INIT, by = BUF_INIT;
	doc_write_json(&bx, x);
	doc_write_json(&by, y);
	bool is = str_eq(buf_view(&bx), buf_view(&by));
	buf_release(&bx);
	buf_release(&by);
	return is;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(64u << 20);
	struct doc *d = NULL;
	if (a && doc_parse_json(a, str_from((const char *)data, size), NULL, &d, NULL) == 0 &&
		d->type == DOC_MAP) {
		hpa_ops.between(a, d, true);
		hpa_ops.between(a, d, false);
		hpa_ops.between(a, d, true);
		struct doc *first = doc_copy(a, d);
		hpa_ops.between(a, d, false);
		hpa_ops.between(a, d, true);
		BUG_ON(!arena_failed(a) && !same(first, d));
	}
	arena_free(a);
	return 0;
}
