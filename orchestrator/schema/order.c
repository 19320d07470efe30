/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * order: the canonical form of a document: members as the type declares them, maps sorted by key, zero
 * values written or dropped as encoding/json would with the type's tags. What is stored and what clients
 * get is this form, so that equal objects are equal bytes.
 * Source: encoding/json omitempty/omitzero; meta/v1 Time, api/resource, util/intstr MarshalJSON. */
#include "orchestrator/schema/schema_int.h"

#include <stdlib.h>

static int order_struct(struct arena *a, const struct schema_type *t, struct doc *d, size_t depth);

/* absent_value: what Go writes for a member that is not there; NULL = nothing. */
static struct doc *
absent_value(struct arena *a, const struct schema_field *f)
{
	bool always = f->emit == SCHEMA_ALWAYS;

	if (f->flags & SCHEMA_PTR)
		return always ? doc_null(a) : NULL;
	if (f->shape != SCHEMA_ONE)
		return always ? doc_null(a) : NULL;
	if (f->emit == SCHEMA_OMITZERO)
		return NULL;
	switch ((enum schema_form)f->form) {
	case SCHEMA_STRING:
		return always ? doc_str(a, STR("")) : NULL;
	case SCHEMA_BOOL:
		return always ? doc_bool(a, false) : NULL;
	case SCHEMA_INT32:
	case SCHEMA_INT64:
	case SCHEMA_DOUBLE:
		return always ? doc_int(a, 0) : NULL;
	case SCHEMA_BYTES:
		return always ? doc_null(a) : NULL;
	case SCHEMA_QUANTITY: /* structs in Go: omitempty does not drop them */
		return doc_str(a, STR("0"));
	case SCHEMA_TIME:
	case SCHEMA_MICROTIME:
		return doc_null(a);
	case SCHEMA_DURATION:
		return doc_str(a, STR("0s"));
	case SCHEMA_INTSTR:
		return doc_int(a, 0);
	case SCHEMA_ANY:
	case SCHEMA_OBJECT:
		return doc_null(a);
	case SCHEMA_STRUCT:
		return doc_map(a);
	case SCHEMA_OR_BOOL:
	case SCHEMA_OR_LIST:
	case SCHEMA_OR_STRINGS:
	case SCHEMA_FORM__COUNT:
		break;
	}
	return NULL;
}

/* dropped: does the emit rule leave this value out? */
static bool
dropped(const struct schema_field *f, const struct doc *v)
{
	if (v->type == DOC_STR && v->raw)
		return false;
	if (v->type == DOC_NULL)
		return true; /* written again by absent_value where Go would */
	if (f->flags & SCHEMA_PTR)
		return false;
	if (f->emit == SCHEMA_ALWAYS)
		return false;
	if (f->shape != SCHEMA_ONE)
		return v->n == 0;
	switch ((enum schema_form)f->form) {
	case SCHEMA_STRING:
	case SCHEMA_BOOL:
	case SCHEMA_INT32:
	case SCHEMA_INT64:
	case SCHEMA_DOUBLE:
	case SCHEMA_BYTES:
		return doc_is_zero(v);
	case SCHEMA_STRUCT:
		return f->emit == SCHEMA_OMITZERO && v->n == 0;
	default:
		return false;
	}
}

struct place {
	struct doc *m;
	size_t at;
};

static int
by_key(const void *x, const void *y)
{
	const struct place *a = x, *b = y;
	int c = str_cmp(a->m->key, b->m->key);

	return c ? c : a->at < b->at ? -1 : 1;
}

/* sort_map: by key; of several of one name (protobuf has no check) the last stays. */
static int
sort_map(struct arena *a, struct doc *d)
{
	struct place *list = NULL;
	size_t n = 0;
	bool sorted = true;

	for (struct doc *m = d->first; m && m->next; m = m->next)
		sorted &= str_cmp(m->key, m->next->key) < 0;
	if (sorted)
		return 0;
	list = ARENA_ARRAY(a, struct place, d->n);
	if (list == NULL)
		return -ENOMEM;
	DOC_EACH (m, d) {
		list[n] = (struct place){m, n};
		n++;
	}
	qsort(list, n, sizeof(*list), by_key);
	d->first = d->last = NULL;
	d->n = 0;
	for (size_t i = 0; i < n; i++)
		if (i + 1 == n || !str_eq(list[i].m->key, list[i + 1].m->key))
			doc_append(d, list[i].m);
	return 0;
}

static int
order_value(struct arena *a, const struct schema_field *f, struct doc *v, size_t depth)
{
	int r = 0;

	switch ((enum schema_shape)f->shape) {
	case SCHEMA_ONE:
		if (f->form == SCHEMA_OR_LIST && v->type == DOC_LIST) {
			DOC_EACH (item, v)
				if (r == 0 && item->type == DOC_MAP)
					r = order_struct(a, f->type, item, depth);
			return r;
		}
		return schema_child(f, v) && v->type == DOC_MAP ? order_struct(a, f->type, v, depth)
								: 0;
	case SCHEMA_LIST:
		if (f->form != SCHEMA_STRUCT)
			return 0;
		break;
	case SCHEMA_MAP:
	case SCHEMA_MAP_OF_LISTS:
		if (v->type == DOC_MAP)
			r = sort_map(a, v);
		if (f->type == NULL)
			return r;
		break;
	}
	DOC_EACH (item, v)
		if (r == 0 && schema_child(f, item) && item->type == DOC_MAP)
			r = order_struct(a, f->type, item, depth);
	return r;
}

static int
order_struct(struct arena *a, const struct schema_type *t, struct doc *d, size_t depth)
{
	struct doc **slots = NULL, *extra = NULL, **extra_end = &extra, *next = NULL;

	if (depth > SCHEMA_MAX_WALK)
		return -E2BIG;
	slots = ARENA_ARRAY(a, struct doc *, t->n_fields + 1u);
	if (slots == NULL)
		return -ENOMEM;
	for (struct doc *m = d->first; m; m = next) {
		const struct schema_field *f = schema_field_find(t, m->key);

		next = m->next;
		m->next = NULL;
		if (f) {
			slots[f - t->fields] = m;
		} else {
			*extra_end = m;
			extra_end = &m->next;
		}
	}
	d->first = d->last = NULL;
	d->n = 0;
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct schema_field *f = &t->fields[i];
		struct doc *m = slots[i];
		int r = 0;

		if (m && dropped(f, m))
			m = NULL;
		if (m == NULL) {
			m = absent_value(a, f);
			if (m == NULL)
				continue;
		}
		m->key = schema_field_name(f);
		r = order_value(a, f, m, depth + 1);
		if (r != 0)
			return r;
		if (f->emit == SCHEMA_OMITZERO && f->form == SCHEMA_STRUCT &&
			!(f->flags & SCHEMA_PTR) && f->shape == SCHEMA_ONE && m->n == 0)
			continue;
		doc_append(d, m);
	}
	for (struct doc *m = extra; m; m = next) {
		next = m->next;
		m->next = NULL;
		doc_append(d, m);
	}
	return 0;
}

int
schema_order(struct arena *a, const struct schema_type *t, struct doc *d)
{
	int r = 0;

	if (t->structural)
		doc_sort(d); /* as Go writes maps; metadata is put in its own order again */
	if (d->type == DOC_MAP)
		r = order_struct(a, t, d, 0);

	return r == 0 && arena_failed(a) ? -ENOMEM : r;
}

/* write_metadata: as doc_write_json, noting where the text of resourceVersion stands; an object without
 * one gets an empty one at its declared place (before generation). */
static uint32_t
write_metadata(struct buf *out, const struct doc *meta)
{
	static const char *const before[] = {
		"name", "generateName", "namespace", "selfLink", "uid"};
	uint32_t at = 0;
	bool first = true;

	buf_char(out, '{');
	DOC_EACH (m, meta) {
		bool earlier = false;

		for (size_t i = 0; i < ARRAY_LEN(before); i++)
			earlier |= str_eq_c(m->key, before[i]);
		if (!earlier && at == 0) {
			buf_cstr(out, first ? "\"resourceVersion\":\"" : ",\"resourceVersion\":\"");
			at = (uint32_t)out->len;
			buf_char(out, '"');
			first = false;
		}
		if (str_eq_c(m->key, "resourceVersion"))
			continue;
		buf_cstr(out, first ? "" : ",");
		first = false;
		doc_json_string(out, m->key);
		buf_char(out, ':');
		doc_write_json(out, m);
	}
	if (at == 0) {
		buf_cstr(out, first ? "\"resourceVersion\":\"" : ",\"resourceVersion\":\"");
		at = (uint32_t)out->len;
		buf_char(out, '"');
	}
	buf_char(out, '}');
	return at;
}

int
schema_write(struct arena *a, const struct schema_type *t, struct doc *d, bool stored,
	struct buf *out, uint32_t *ret_rv_offset)
{
	size_t start = out->len;
	uint32_t at = 0;
	bool first = true;
	int r = schema_order(a, t, d);

	if (r != 0)
		return r;
	if (!stored) {
		doc_write_json(out, d);
		return out->failed ? -ENOMEM : 0;
	}
	buf_char(out, '{');
	DOC_EACH (m, d) {
		if (str_eq_c(m->key, "kind") || str_eq_c(m->key, "apiVersion"))
			continue;
		buf_cstr(out, first ? "" : ",");
		first = false;
		doc_json_string(out, m->key);
		buf_char(out, ':');
		if (str_eq_c(m->key, "metadata") && m->type == DOC_MAP)
			at = write_metadata(out, m);
		else
			doc_write_json(out, m);
	}
	buf_char(out, '}');
	if (out->failed)
		return -ENOMEM;
	if (ret_rv_offset)
		*ret_rv_offset = at ? at - (uint32_t)start : 0;
	return 0;
}

void
schema_set_gvk(struct arena *a, struct doc *d, const struct schema_kind *k)
{
	struct doc *kind = doc_str(a, str_c(k->kind));
	struct doc *version = doc_str(a, schema_api_version(a, k->group, k->version));

	doc_set(d, STR("kind"), NULL);
	doc_set(d, STR("apiVersion"), NULL);
	if (kind == NULL || version == NULL)
		return;
	kind->key = STR("kind");
	version->key = STR("apiVersion");
	doc_insert(d, 0, kind);
	doc_insert(d, 1, version);
}
