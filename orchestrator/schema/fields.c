/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * fields: field selectors, and the attributes of stored values they are matched against.
 * Source: k8s.io/apimachinery fields/selector.go; field label conversions of the kinds. */
#include "orchestrator/schema/attrs.h"
#include "orchestrator/schema/schema_int.h"
#include "storage/store/store.h"

#define MAX_TERMS 256

/* has_namespace: kinds of no namespace that have labels of their own name all they have; others are upstream's default. */
static bool
has_namespace(const struct schema_kind *k)
{
	return k->namespaced || k->n_selectables == 0;
}

/* attr_of: the indexed name of a label of this kind; STR_NONE = not supported. */
static struct str
attr_of(const struct schema_kind *k, struct str label)
{
	if (str_eq_c(label, "metadata.name") ||
		(str_eq_c(label, "metadata.namespace") && has_namespace(k)))
		return label;
	for (size_t i = 0; i < k->n_selectables; i++)
		if (str_eq_c(label, k->selectables[i].label))
			return str_c(k->selectables[i].attr);
	return STR_NONE;
}

/* unescape: \\, \, and \= are what stands behind the backslash; any other is an error. */
static int
unescape(struct arena *a, struct str s, struct str *ret, struct err *e)
{
	struct buf b;

	if (str_find_char(s, '\\') < 0 && str_find_char(s, '=') < 0) {
		*ret = s;
		return 0;
	}
	buf_init_arena(&b, a);
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '=')
			return err_set(e, -EINVAL, R_BAD_REQUEST,
				"invalid field selector: unescaped character in value: =");
		if (c == '\\') {
			c = i + 1 < s.n ? s.p[++i] : 0;
			if (c != '\\' && c != ',' && c != '=')
				return err_set(e, -EINVAL, R_BAD_REQUEST,
					"invalid field selector: invalid escape sequence: \\%c",
					c ? c : ' ');
		}
		buf_char(&b, c);
	}
	*ret = buf_view(&b);
	return b.failed ? -ENOMEM : 0;
}

/* next_term: up to a comma that is not escaped. */
static bool
next_term(struct str s, size_t *at, struct str *ret)
{
	size_t from = *at;

	if (from > s.n)
		return false;
	for (; *at < s.n && s.p[*at] != ','; (*at)++)
		if (s.p[*at] == '\\')
			(*at)++;
	if (*at > s.n)
		*at = s.n;
	*ret = str_sub(s, from, *at);
	(*at)++;
	return true;
}

static int
parse_term(struct arena *a, const struct schema_kind *k, struct str all, struct str term,
	struct selector_req *r, struct err *e)
{
	struct str label = STR_NONE, value = STR_NONE;
	size_t i = 0;
	int rc = 0;

	while (i < term.n && term.p[i] != '=' && term.p[i] != '!')
		i++;
	label = str_sub(term, 0, i);
	if (i < term.n && term.p[i] == '!') {
		r->op = SELECT_NOT_IN;
		i++;
	}
	if (i >= term.n || term.p[i] != '=')
		return err_set(e, -EINVAL, R_BAD_REQUEST,
			"invalid selector: '" STR_FMT "'; can't understand '" STR_FMT "'",
			STR_ARG(str_sub(all, 0, 100)), STR_ARG(str_sub(term, 0, 100)));
	i++;
	if (r->op == SELECT_IN && i < term.n && term.p[i] == '=')
		i++;
	rc = unescape(a, str_sub(term, i, SIZE_MAX), &value, e);
	if (rc != 0)
		return rc;
	r->key = attr_of(k, label);
	if (!str_is_set(r->key) && k->n_selectables == 0)
		return err_set(e, -EINVAL, R_BAD_REQUEST,
			"\"" STR_FMT "\" is not a known field selector: only "
			"\"metadata.name\", \"metadata.namespace\"",
			STR_ARG(str_sub(label, 0, 100)));
	if (!str_is_set(r->key))
		return err_set(e, -EINVAL, R_BAD_REQUEST, "field label not supported: " STR_FMT,
			STR_ARG(str_sub(label, 0, 100)));
	r->exact = true;
	r->values = ARENA_NEW(a, struct str);
	if (r->values == NULL)
		return -ENOMEM;
	r->values[0] = value;
	r->n_values = 1;
	return 0;
}

int
field_selector_parse(struct arena *a, const struct schema_kind *k, struct str s,
	struct selector *ret, struct err *e)
{
	struct selector out = {0};
	struct str term = STR_NONE;
	size_t at = 0;

	while (next_term(s, &at, &term)) {
		struct selector_req *r = NULL;
		int rc = 0;

		if (term.n == 0)
			continue;
		if (out.n >= MAX_TERMS)
			return err_set(
				e, -EINVAL, R_BAD_REQUEST, "the field selector has too many terms");
		r = ARENA_PUSH(a, out.reqs, out.n);
		if (r == NULL)
			return -ENOMEM;
		r->op = SELECT_IN;
		rc = parse_term(a, k, s, term, r, e);
		if (rc != 0)
			return rc;
	}
	*ret = out;
	return 0;
}

/* ---- attributes ---- */

static void
pod_ips(const struct doc *obj, struct buf *out)
{
	bool first = true;

	DOC_EACH (ip, doc_get(doc_get(obj, STR("status")), STR("podIPs"))) {
		buf_cstr(out, first ? "" : ",");
		buf_str(out, doc_get_str(ip, STR("ip")));
		first = false;
	}
}

static void
event_source(const struct doc *obj, struct buf *out)
{
	struct str s = doc_get_str(doc_get(obj, STR("source")), STR("component"));

	buf_str(out, s.n ? s : doc_get_str(obj, STR("reportingComponent")));
}

static const struct {
	const char *name;
	void (*fn)(const struct doc *obj, struct buf *out);
} functions[] = {
	{"@pod_ips", pod_ips},
	{"@event_source", event_source},
};

/* field_text: the value of a selectable field as text; what is absent has its zero value. */
static void
field_text(const struct schema_kind *k, const struct schema_selectable *s, const struct doc *obj,
	struct buf *out)
{
	const struct doc *v = NULL;
	const struct schema_field *f = NULL;

	for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
		if (strcmp(functions[i].name, s->path) == 0) {
			functions[i].fn(obj, out);
			return;
		}
	}
	v = doc_path(obj, str_c(s->path));
	f = v ? NULL : schema_field_at(k->type, str_c(s->path));
	if (v && v->type == DOC_STR)
		buf_str(out, v->s);
	else if (v && v->type == DOC_BOOL)
		buf_cstr(out, v->b ? "true" : "false");
	else if (v && v->type == DOC_INT)
		buf_i64(out, v->i);
	else if (f && f->shape == SCHEMA_ONE && f->form == SCHEMA_BOOL)
		buf_cstr(out, "false");
	else if (f && f->shape == SCHEMA_ONE &&
		(f->form == SCHEMA_INT32 || f->form == SCHEMA_INT64))
		buf_char(out, '0');
}

static bool
indexed_before(const struct schema_kind *k, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (strcmp(k->selectables[j].attr, k->selectables[i].attr) == 0)
			return true;
	return false;
}

static bool
indexed_by(const struct schema_kind *k, const char *attr)
{
	for (size_t i = 0; k && i < k->n_selectables; i++)
		if (strcmp(k->selectables[i].attr, attr) == 0)
			return true;
	return false;
}

void
schema_attrs_more(const struct schema_kind *k, const struct schema_kind *had, const struct doc *obj,
	struct buf *out)
{
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < k->n_selectables; i++) {
		if (indexed_before(k, i) || indexed_by(had, k->selectables[i].attr))
			continue;
		buf_clear(&text);
		field_text(k, &k->selectables[i], obj, &text);
		if (text.failed)
			out->failed = true;
		store_attr_put(out, 'f', str_c(k->selectables[i].attr), buf_view(&text));
	}
	buf_release(&text);
}

void
schema_attrs(const struct schema_kind *k, const struct doc *obj, struct buf *out)
{
	const struct doc *meta = doc_get(obj, STR("metadata"));

	DOC_EACH (l, doc_get(meta, STR("labels")))
		store_attr_put(out, 'l', l->key, doc_as_str(l));
	store_attr_put(out, 'f', STR("metadata.name"), doc_get_str(meta, STR("name")));
	if (k->namespaced)
		store_attr_put(
			out, 'f', STR("metadata.namespace"), doc_get_str(meta, STR("namespace")));
	schema_attrs_more(k, NULL, obj, out);
}
