/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * fields_fuzz: FieldsV1. The input is two sets separated by a newline. What is read and written must be read as
 * the same set again, and the operations on two sets must agree with each other. */
#include "orchestrator/fields/fields.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct fields *
again(struct arena *a, const struct fields *f)
{
	struct buf b;
	const struct fields *g = NULL;
	buf_init_arena(&b, a);
	fields_write(&b, f);
	int rc = fields_parse(a, buf_view(&b), &g, NULL);
	BUG_ON(rc != 0 && rc != -ENOMEM);
	return rc == 0 ? g : f;
}

static void
pair(struct arena *a, const struct fields *x, const struct fields *y)
{
	const struct fields *both = fields_meet(a, x, y), *only = fields_minus(a, x, y);
	const struct fields *all = fields_union(a, x, y);
	if (arena_failed(a))
		return;
	BUG_ON(!fields_equal(fields_union(a, both, only), x));
	BUG_ON(fields_meet(a, both, only) != NULL);
	BUG_ON(!fields_equal(fields_minus(a, all, only), y) &&
		!fields_equal(fields_union(a, fields_minus(a, all, only), y), y));
	BUG_ON(!fields_equal(fields_meet(a, all, x), x) ||
		!fields_equal(fields_meet(a, all, y), y));
	BUG_ON(fields_minus(a, fields_without(a, x, y), x) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(64u << 20);
	struct str s = str_from((const char *)data, size), one = s, two = STR("{}");
	const struct fields *x = NULL, *y = NULL;
	str_cut(s, '\n', &one, &two);
	/* bytes that are no UTF-8 are written as other ones */
	if (a && str_is_utf8(s) && fields_parse(a, one, &x, NULL) == 0 && !arena_failed(a)) {
		const struct fields *g = again(a, x);
		BUG_ON(!arena_failed(a) && !fields_equal(x, g));
		if (fields_parse(a, two, &y, NULL) == 0 && !arena_failed(a))
			pair(a, x, y);
	}
	arena_free(a);
	return 0;
}
