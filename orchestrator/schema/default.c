/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * default: walks a document by its type and fills in what is not there: `= value` of the kind files, then
 * the type's hook, then the members. A struct that is not a pointer in Go is there even when it was not
 * sent, so its defaults apply: an empty object is made for it (schema_order would write it anyway).
 * Source: k8s.io/kubernetes pkg/apis/ * /v1/zz_generated.defaults.go (order: outer before inner). */
#include "orchestrator/schema/schema_int.h"

static int default_struct(
	struct arena *a, const struct schema_type *t, struct doc *d, size_t depth, bool keep_off);

/* default_value: the default's text as a document of its own. */
static struct doc *
default_value(struct arena *a, const char *text)
{
	struct doc *d = NULL;

	return doc_parse_json(a, str_c(text), NULL, &d, NULL) == 0 ? d : NULL;
}

static int
default_own(struct arena *a, const struct schema_type *t, struct doc *d, bool keep_off)
{
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct schema_field *f = &t->fields[i];
		bool made = f->rules && f->rules->dflt;
		bool held = (f->flags & SCHEMA_EMBEDDED) && f->type->defaults;
		struct doc *m = NULL, *v = NULL;

		if (!made && !held && !(f->flags & SCHEMA_OFF))
			continue;
		m = doc_get(d, schema_field_name(f));
		if (f->flags & SCHEMA_OFF) {
			if (m && !keep_off)
				doc_remove(d, m);
			continue;
		}
		if (m && m->type != DOC_NULL &&
			((f->flags & SCHEMA_PTR) || held || !doc_is_zero(m)))
			continue;
		v = made ? default_value(a, f->rules->dflt) : doc_map(a);
		if (v == NULL)
			return -ENOMEM;
		doc_set(d, schema_field_name(f), v);
	}
	return 0;
}

static int
default_member(
	struct arena *a, const struct schema_field *f, struct doc *m, size_t depth, bool keep_off)
{
	int r = 0;

	if (f->shape == SCHEMA_ONE && f->form == SCHEMA_STRUCT)
		return m->type == DOC_MAP ? default_struct(a, f->type, m, depth, keep_off) : 0;
	if (f->form != SCHEMA_STRUCT)
		return 0; /* CRD schemas have no defaults of their own */
	DOC_EACH (item, m)
		if (r == 0 && item->type == DOC_MAP)
			r = default_struct(a, f->type, item, depth, keep_off);
	return r;
}

static int
default_struct(
	struct arena *a, const struct schema_type *t, struct doc *d, size_t depth, bool keep_off)
{
	int r = 0;

	if (!t->defaults)
		return 0;
	if (depth > SCHEMA_MAX_WALK)
		return -E2BIG;
	r = default_own(a, t, d, keep_off);
	if (r == 0 && t->hook)
		t->hook(a, d);
	DOC_EACH (m, d) {
		const struct schema_field *f = r == 0 ? schema_field_find(t, m->key) : NULL;

		if (f && f->type && f->type->defaults)
			r = default_member(a, f, m, depth + 1, keep_off);
	}
	return r;
}

static int
default_all(struct arena *a, const struct schema_type *t, struct doc *d, bool keep_off)
{
	int r = d->type == DOC_MAP ? default_struct(a, t, d, 0, keep_off) : 0;

	if (r == 0 && t->structural)
		r = structural_default(a, t->structural, d);
	return r == 0 && arena_failed(a) ? -ENOMEM : r;
}

int
schema_default(struct arena *a, const struct schema_type *t, struct doc *d)
{
	return default_all(a, t, d, false);
}

int
schema_default_sent(struct arena *a, const struct schema_type *t, struct doc *d)
{
	return default_all(a, t, d, true);
}
