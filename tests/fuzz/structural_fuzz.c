/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * structural_fuzz: hostile definitions and objects: the first line is the schema, the second an object. The schema is
 * checked as that of a definition; whatever it is, the object goes the way of a custom resource: what was pruned once
 * is not pruned again, defaults change nothing the second time, and nothing takes more than the arena has. */
#include "orchestrator/schema/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_definition(struct arena *a, const struct doc *schema)
{
	const struct schema_type *t = schema_type_find(schema_builtin(),
		STR("apiextensions.k8s.io"), STR("v1"), STR("CustomResourceDefinition"));
	struct doc *crd = doc_map(a), *spec = doc_map(a), *list = doc_list(a), *v = doc_map(a),
		   *s = doc_map(a), *own = doc_copy(a, schema);
	struct schema_errors errs = {.a = a};
	struct err e = {0};

	if (!crd || !spec || !list || !v || !s || !own)
		return;
	doc_set(s, STR("openAPIV3Schema"), own);
	doc_set(v, STR("schema"), s);
	doc_append(list, v);
	doc_set(spec, STR("versions"), list);
	doc_set(crd, STR("spec"), spec);
	if (schema_conform(a, t, crd, NULL, &e) == 0 && schema_default(a, t, crd) == 0)
		schema_validate_type(t, crd, NULL, STR(""), &errs);
}

static void
run(struct arena *a, const struct structural *n, struct doc *d)
{
	struct schema_errors errs = {.a = a}, again = {.a = a};
	struct doc *copy = NULL;

	structural_drop_nulls(n, d);
	if (structural_prune(a, n, d, true, NULL) < 0 || structural_default(a, n, d) < 0)
		return;
	copy = doc_copy(a, d);
	structural_validate(n, d, NULL, STR(""), &errs);
	structural_validate_lists(n, d, &errs);
	structural_validate_embedded(n, d, &errs);
	if (copy == NULL || structural_default(a, n, copy) < 0 || arena_failed(a))
		return;
	structural_validate(n, copy, d, STR(""), &again);
	BUG_ON(!arena_failed(a) && doc_equal(copy, d) && again.n != 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(64u << 20);
	struct str schema = STR_NONE, obj = STR_NONE;
	const struct structural *n = NULL;
	struct doc *s = NULL, *o = NULL;

	if (a && str_cut(str_from((const char *)data, size), '\n', &schema, &obj) &&
		doc_parse_json(a, schema, NULL, &s, NULL) == 0 && s->type == DOC_MAP) {
		check_definition(a, s);
		if (structural_compile(a, s, &n) == 0 &&
			doc_parse_json(a, obj, NULL, &o, NULL) == 0 &&
			schema_dedupe(a, o, NULL) == 0)
			run(a, n, o);
	}
	arena_free(a);
	return 0;
}
