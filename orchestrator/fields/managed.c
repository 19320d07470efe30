/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * managed: the entries of metadata.managedFields as text and as structs. What is stored is text that nobody
 * looks into unless something changed: the object is parsed without it (managed_cut), the sets of entries are
 * read when they are needed, and an entry that stays as it was is written as it stood.
 * Source: k8s.io/apimachinery util/managedfields/internal/managedfields (decoding, order). */
#include "orchestrator/fields/fields_int.h"

#include <stdlib.h>

/* ---- JSON that is known to be well-formed ---------------------------------------------------------- */

/* Behind the value that begins at i; the end of s when it is cut off. */
static size_t
skip_string(struct str s, size_t i)
{
	for (size_t from = i + 1; from < s.n;) {
		const char *quote = memchr(s.p + from, '"', s.n - from);
		size_t at = quote ? (size_t)(quote - s.p) : s.n, n = 0;
		while (at - n > i + 1 && s.p[at - n - 1] == '\\')
			n++;
		if (n % 2 == 0)
			return at < s.n ? at + 1 : s.n;
		from = at + 1;
	}
	return s.n;
}

static size_t
skip_blank(struct str s, size_t i)
{
	while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\n' || s.p[i] == '\t' || s.p[i] == '\r'))
		i++;
	return i;
}

static size_t
skip_value(struct str s, size_t i)
{
	size_t depth = 0;
	if (i < s.n && s.p[i] == '"')
		return skip_string(s, i);
	if (i < s.n && s.p[i] != '{' && s.p[i] != '[') {
		while (i < s.n && s.p[i] != ',' && s.p[i] != '}' && s.p[i] != ']' &&
			s.p[i] != ' ' && s.p[i] != '\n')
			i++;
		return i;
	}
	while (i < s.n) {
		char c = s.p[i];
		if (c == '"') {
			i = skip_string(s, i);
			continue;
		}
		i++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			return i;
	}
	return s.n;
}

/* The next member of an object, or item of a list (key stays unset); *at stands behind the opening bracket or
 * the one before. False at the end. */
static bool
next_part(struct str s, size_t *at, bool members, struct str *ret_key, struct str *ret_value)
{
	size_t i = skip_blank(s, *at);
	if (i < s.n && s.p[i] == ',')
		i = skip_blank(s, i + 1);
	if (i >= s.n || s.p[i] == '}' || s.p[i] == ']')
		return false;
	if (members) {
		size_t end = skip_string(s, i);
		if (s.p[i] != '"' || end < i + 2)
			return false;
		*ret_key = str_sub(s, i + 1, end - 1);
		i = skip_blank(s, end);
		if (i >= s.n || s.p[i] != ':')
			return false;
		i = skip_blank(s, i + 1);
	}
	*at = skip_value(s, i);
	*ret_value = str_sub(s, i, *at);
	return *at > i;
}

/* Where the value of a member stands in the object that begins at `from`; and where the member does, with the
 * comma that goes with it. */
struct spot {
	size_t member, value, end;
};

static bool
find_member(struct str s, size_t from, const char *name, struct spot *ret)
{
	size_t at = from + 1, before = at;
	struct str key, value;
	if (from >= s.n || s.p[from] != '{')
		return false;
	for (; next_part(s, &at, true, &key, &value); before = at)
		if (str_eq_c(key, name)) {
			*ret = (struct spot){before, (size_t)(value.p - s.p), at};
			return true;
		}
	return false;
}

bool
managed_cut(struct arena *a, struct str body, struct str *ret_list, struct str *ret_rest)
{
	struct spot meta, list;
	if (!find_member(body, 0, "metadata", &meta) ||
		!find_member(body, meta.value, "managedFields", &list))
		return false;
	struct str before = str_sub(body, 0, list.member);
	struct str behind = str_sub(body, list.end, SIZE_MAX);
	if (before.n && before.p[before.n - 1] == '{' && behind.n && behind.p[0] == ',')
		behind = str_sub(behind, 1, SIZE_MAX); /* it was the first member */
	*ret_list = str_sub(body, list.value, list.end);
	*ret_rest = arena_cat(a, (struct str[]){before, behind}, 2);
	return str_is_set(*ret_rest);
}

/* ---- reading --------------------------------------------------------------------------------------- */

static struct str
text_of(struct arena *a, struct str value)
{
	struct doc *d = NULL;
	if (value.n < 2 || value.p[0] != '"')
		return STR_NONE;
	if (str_find_char(value, '\\') < 0)
		return str_sub(value, 1, value.n - 1);
	return doc_parse_json(a, value, NULL, &d, NULL) == 0 ? doc_as_str(d) : STR_NONE;
}

static int
entry_read(struct arena *a, struct str s, size_t i, struct managed_entry *ret, struct err *e)
{
	struct str key, value, operation = STR_NONE, type = STR_NONE;
	struct managed_entry m = {.text = STR("{}")};
	struct {
		const char *name;
		struct str *to;
	} strings[] = {{"manager", &m.manager}, {"operation", &operation},
		{"apiVersion", &m.api_version}, {"time", &m.time}, {"fieldsType", &type},
		{"subresource", &m.subresource}};
	size_t at = 1;
	while (next_part(s, &at, true, &key, &value)) {
		if (str_eq_c(key, "fieldsV1") && value.p[0] == '{')
			m.text = value;
		for (size_t k = 0; k < ARRAY_LEN(strings); k++)
			if (str_eq_c(key, strings[k].name))
				*strings[k].to = text_of(a, value);
	}
	m.applied = str_eq_c(operation, "Apply");
	if (!m.applied && !str_eq_c(operation, "Update"))
		return err_set(e, -EINVAL, R_BAD_REQUEST, "operation must be `Apply` or `Update`");
	if (m.api_version.n == 0)
		return err_set(e, -EINVAL, R_BAD_REQUEST, "apiVersion must not be empty");
	if (type.n == 0)
		return err_set(e, -EINVAL, R_BAD_REQUEST,
			"missing fieldsType in managed fields entry %zu", i);
	if (!str_eq_c(type, "FieldsV1"))
		return err_set(e, -EINVAL, R_BAD_REQUEST,
			"invalid fieldsType \"" STR_FMT "\" in managed fields entry %zu",
			STR_ARG(type), i);
	int rc = fields_parse(a, m.text, &m.set, e);
	if (rc == 0)
		*ret = m;
	return rc;
}

static bool
same_manager(const struct managed_entry *x, const struct managed_entry *y)
{
	return x->applied == y->applied && str_eq(x->manager, y->manager) &&
		str_eq(x->subresource, y->subresource) &&
		(x->applied || str_eq(x->api_version, y->api_version));
}

size_t
managed_find(const struct managed *m, const struct managed_entry *like)
{
	size_t i = 0;
	while (i < m->n && !same_manager(&m->v[i], like))
		i++;
	return i;
}

int
managed_read(struct arena *a, const struct doc *d, struct managed *ret, struct err *e)
{
	struct managed m = {0};
	struct str text = STR_NONE, key, value;
	struct buf b;
	if (d && d->type == DOC_STR && d->raw)
		text = d->s;
	if (d && d->type == DOC_LIST) {
		buf_init_arena(&b, a);
		doc_write_json(&b, d);
		text = buf_view(&b);
	}
	size_t at = 1, n = 0;
	while (next_part(text, &at, false, &key, &value)) {
		struct managed_entry one;
		int rc = value.p[0] == '{'
			? entry_read(a, value, n, &one, e)
			: err_set(e, -EINVAL, R_BAD_REQUEST, "managed fields entry %zu", n);
		if (rc < 0)
			return rc;
		n++;
		size_t i = managed_find(&m, &one);
		struct managed_entry *to = i < m.n ? &m.v[i] : ARENA_PUSH(a, m.v, m.n);
		if (!to)
			return -ENOMEM;
		*to = one;
	}
	*ret = m;
	return 0;
}

struct managed
managed_of(const struct doc *raw)
{
	bool some = raw && raw->type == DOC_STR && raw->raw;
	return (struct managed){.unread = some ? raw : NULL};
}

bool
managed_is_reset(const struct doc *d)
{
	if (!d || d->type != DOC_LIST || d->n > 1)
		return false;
	DOC_EACH (m, d->first)
		if (!doc_is_empty(m))
			return false;
	return d->n == 0 || d->first->type == DOC_MAP;
}

/* ---- writing --------------------------------------------------------------------------------------- */

static int
entry_cmp(const void *x, const void *y)
{
	const struct managed_entry *p = x, *q = y;
	int c = p->applied == q->applied ? 0 : p->applied ? -1 : 1;
	/* times have one form, so that their texts compare as they do */
	c = c ? c : str_cmp(p->time, q->time);
	c = c ? c : str_cmp(p->manager, q->manager);
	c = c ? c : str_cmp(p->api_version, q->api_version);
	return c ? c : str_cmp(p->subresource, q->subresource);
}

static void
put_string(struct buf *b, const char *before, struct str s)
{
	if (s.n == 0)
		return;
	buf_cstr(b, before);
	doc_json_string(b, s);
}

static void
entry_write(struct buf *b, const struct managed_entry *m)
{
	const char *first = m->manager.n ? "," : "";
	put_string(b, "{\"manager\":", m->manager);
	buf_cstr(b, m->manager.n ? "" : "{");
	buf_cstr(b, first);
	buf_cstr(b, m->applied ? "\"operation\":\"Apply\"" : "\"operation\":\"Update\"");
	put_string(b, ",\"apiVersion\":", m->api_version);
	put_string(b, ",\"time\":", m->time);
	buf_cstr(b, ",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":");
	if (str_is_set(m->text))
		buf_str(b, m->text);
	else
		fields_write(b, m->set);
	put_string(b, ",\"subresource\":", m->subresource);
	buf_char(b, '}');
}

struct doc *
managed_write(struct arena *a, const struct managed *m)
{
	struct managed_entry *v = ARENA_ARRAY(a, struct managed_entry, m->n);
	struct buf b;
	if (m->unread)
		return doc_raw(a, m->unread->s);
	if (m->n == 0 || !v)
		return NULL;
	memcpy(v, m->v, m->n * sizeof(*v));
	qsort(v, m->n, sizeof(*v), entry_cmp);
	buf_init_arena(&b, a);
	buf_reserve(&b, 1024);
	buf_char(&b, '[');
	for (size_t i = 0; i < m->n; i++) {
		buf_cstr(&b, i ? "," : "");
		entry_write(&b, &v[i]);
	}
	buf_char(&b, ']');
	return b.failed ? NULL : doc_raw(a, buf_view(&b));
}
