/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * helpers: small things over documents that several kinds need. */
#include "orchestrator/kinds/kinds_int.h"

bool
list_has(const struct doc *list, struct str s)
{
	DOC_EACH (item, list)
		if (str_eq(doc_as_str(item), s))
			return true;
	return false;
}

void
list_add(struct arena *a, struct doc *list, struct str s)
{
	if (list && !list_has(list, s))
		doc_append(list, doc_str(a, s));
}

void
keep_member(struct arena *a, struct doc *obj, const struct doc *old, struct str name)
{
	const struct doc *was = doc_get(old, name);
	doc_set(obj, name, was ? doc_copy(a, was) : NULL);
}

void
check_immutable(struct request *r, struct str field, const struct doc *now, const struct doc *old)
{
	if (!doc_equal(now, old) && !(doc_is_empty(now) && doc_is_empty(old)))
		schema_error_add(
			&r->causes, SCHEMA_CAUSE_INVALID, field, now, str_c(format_text_immutable));
}
