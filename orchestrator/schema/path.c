/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * path: follows "spec.containers[0].name" or "status.capacity[storage]" through a document. */
#include "orchestrator/schema/schema_int.h"

/* inside: what the bracket after a name means: an index of a list, a key of a map. */
static struct doc *
inside(const struct doc *d, struct str key)
{
	uint64_t i = 0;

	if (d && d->type == DOC_LIST)
		return str_to_u64(key, &i) == 0 ? doc_index(d, (size_t)i) : NULL;
	return doc_get(d, key);
}

struct doc *
doc_path(const struct doc *d, struct str path)
{
	const struct doc *at = d;
	size_t i = 0;

	while (at && i < path.n) {
		size_t from = i;

		while (i < path.n && path.p[i] != '.' && path.p[i] != '[')
			i++;
		if (i > from) {
			if (at->type == DOC_LIST)
				at = doc_index(at, 0);
			at = doc_get(at, str_sub(path, from, i));
		}
		if (i < path.n && path.p[i] == '[') {
			ptrdiff_t end = str_find_char(str_sub(path, i, SIZE_MAX), ']');

			if (end < 0)
				return NULL;
			at = inside(at, str_sub(path, i + 1, i + (size_t)end));
			i += (size_t)end + 1;
		}
		if (i < path.n && path.p[i] == '.')
			i++;
	}
	/* the tree itself is the caller's to change or not */
	return (struct doc *)(uintptr_t)at;
}
