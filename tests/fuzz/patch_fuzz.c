/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * patch_fuzz: the three patch forms. The input is a form byte, then object and patch as two JSON texts
 * separated by a newline. No directive may be left in the result of a strategic merge, and a merge patch made
 * of two documents must turn one into the other. */
#include "orchestrator/schema/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
has_null(const struct doc *d)
{
	DOC_EACH (m, d)
		if (m->type == DOC_NULL || has_null(m))
			return true;
	return false;
}

static void
made(struct arena *a, struct doc *from, struct doc *to)
{
	struct doc *patch = NULL, *out = NULL;

	if (from->type != DOC_MAP || to->type != DOC_MAP || schema_dedupe(a, from, NULL) != 0 ||
		schema_dedupe(a, to, NULL) != 0 || has_null(from) || has_null(to))
		return;
	patch = schema_patch_make(a, from, to);
	if (patch == NULL || schema_patch_merge(a, from, patch, &out, NULL) != 0 || arena_failed(a))
		return;
	BUG_ON(!doc_equal(out, to));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct schema_kind *k = schema_kind_find(
		schema_builtin(), STR("apps"), STR("v1"), STR("Deployment"));
	struct arena *a = arena_new(64u << 20);
	struct str obj = STR_NONE, patch = STR_NONE;
	struct doc *o = NULL, *p = NULL, *out = NULL;
	struct err e = {0};

	if (size < 2 || a == NULL ||
		!str_cut(str_from((const char *)data + 1, size - 1), '\n', &obj, &patch) ||
		doc_parse_json(a, obj, NULL, &o, &e) != 0 ||
		doc_parse_json(a, patch, NULL, &p, &e) != 0) {
		arena_free(a);
		return 0;
	}
	switch (data[0] % 4) {
	case 0:
		schema_patch_json(a, o, p, &out, &e);
		break;
	case 1:
		schema_patch_merge(a, o, p, &out, &e);
		break;
	case 2:
		schema_patch_strategic(a, k->type, o, p, &out, &e);
		break;
	default:
		made(a, o, p);
	}
	if (out)
		schema_conform(a, k->type, out, NULL, &e);
	arena_free(a);
	return 0;
}
