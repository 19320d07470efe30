/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * protobuf_body_fuzz: bodies of every kind, in all three encodings, through decode, default, validate, order
 * and struct and back. The first byte chooses the kind, the second the encoding. What comes out must be a
 * fixed point: decoding it again changes nothing and finds nothing strange. */
#include "orchestrator/schema/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
again(struct arena *a, const struct schema_type *t, struct str text)
{
	struct schema_strict strict = {0};
	struct doc *d = NULL;
	struct err e = {0};
	struct buf out;

	buf_init_arena(&out, a);
	if (schema_decode(a, t, text, SCHEMA_JSON, &d, &strict, &e) != 0)
		return; /* limits of the JSON parser: number of values */
	BUG_ON(strict.n != 0);
	if (schema_default(a, t, d) != 0 || schema_write(a, t, d, false, &out, NULL) != 0)
		return;
	BUG_ON(!str_eq(buf_view(&out), text));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct schema *s = schema_builtin();
	const struct schema_kind *k = NULL;
	struct schema_strict strict = {0};
	struct schema_errors errs = {0};
	struct arena *a = arena_new(64u << 20);
	struct doc *d = NULL;
	struct err e = {0};
	struct buf out;
	void *obj = NULL;

	if (size < 2 || a == NULL) {
		arena_free(a);
		return 0;
	}
	k = s->kinds[data[0] % s->n_kinds];
	buf_init_arena(&out, a);
	errs.a = a;
	if (schema_decode(a, k->type, str_from((const char *)data + 2, size - 2),
		    (enum schema_media)(data[1] % 3), &d, &strict, &e) == 0 &&
		schema_default(a, k->type, d) == 0) {
		schema_validate(k, d, NULL, &errs);
		schema_validate(k, d, d, &errs);
		schema_attrs(k, d, &out);
		buf_clear(&out);
		schema_table_row(a, k, d, SCHEMA_INCLUDE_METADATA, "v1", 0);
		obj = arena_alloc(a, k->type->size);
		if (obj && schema_to_struct(a, k->type, d, obj) == 0)
			schema_from_struct(a, k->type, obj);
		if (schema_write(a, k->type, d, false, &out, NULL) == 0 && !arena_failed(a))
			again(a, k->type, buf_view(&out));
	}
	arena_free(a);
	return 0;
}
