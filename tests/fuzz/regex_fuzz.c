/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * regex_fuzz: any pattern over any text (the first line is the pattern): no crash, bounded memory. */
#include "base/regex.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = str_from((const char *)data, size), pattern = all, text = STR("");
	struct arena *a = arena_new(4u << 20);
	const struct regex *re = NULL;
	struct err e = {0};
	if (!a)
		return 0;
	str_cut(all, '\n', &pattern, &text);
	if (regex_compile(a, pattern, &re, &e) == 0) {
		size_t from = 0, to = 0;
		text = str_sub(text, 0, 4096);
		int found = regex_match(re, text);
		if (found != regex_find(re, text, 0, &from, &to) ||
			(found == 1 && (from > to || to > text.n)))
			__builtin_trap();
	}
	arena_free(a);
	return 0;
}
