/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * quantity_fuzz: quantities, formats of names. The canonical form of a quantity is a fixed point with the same value. */
#include "orchestrator/schema/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(1u << 20);
	struct str s = str_from((const char *)data, size);
	struct quantity q, again;
	char out[64];

	if (a == NULL)
		return 0;
	if (quantity_parse(s, &q) == 0) {
		struct str text = str_from(out, quantity_write(&q, out));

		BUG_ON(quantity_parse(text, &again) != 0);
		BUG_ON(quantity_cmp(&q, &again) != 0);
		BUG_ON(!str_eq(quantity_canonical(a, text), text));
		quantity_value(&q);
		quantity_milli(&q);
	}
	for (int f = 0; f < FORMAT__COUNT; f++)
		format_check(a, (enum schema_format)f, s);
	arena_free(a);
	return 0;
}
