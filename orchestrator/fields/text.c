/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * text: sets as FieldsV1 and back, and steps as messages name them. FieldsV1 is an object of objects: a
 * member "f:spec" leads down, "." says that the path which led here is itself in the set, {} says only that.
 * A set is read from the text at once, no tree is made of it.
 * Source: structured-merge-diff fieldpath/serialize. */
#include "orchestrator/fields/fields_int.h"

/* ---- reading --------------------------------------------------------------------------------------- */

struct scan {
	struct arena *a;
	struct str s;
	size_t i;
	struct err *e;
};

static int
bad(struct scan *c, const char *what)
{
	return err_set(c->e, -EINVAL, R_BAD_REQUEST, "fieldsV1: %s (offset %zu)", what, c->i);
}

static char
peek(struct scan *c)
{
	while (c->i < c->s.n &&
		(c->s.p[c->i] == ' ' || c->s.p[c->i] == '\t' || c->s.p[c->i] == '\n' ||
			c->s.p[c->i] == '\r'))
		c->i++;
	return c->i < c->s.n ? c->s.p[c->i] : 0;
}

static int
expect(struct scan *c, char want)
{
	if (peek(c) != want)
		return bad(c, "not a JSON object of objects");
	c->i++;
	return 0;
}

/* Of escapes only \" and \\ are undone here, which is all that keys of lists need; the rest is the parser's. */
static int
unescape(struct scan *c, struct str quoted, struct str *ret)
{
	struct buf b;
	buf_init_arena(&b, c->a);
	for (size_t i = 1; i + 1 < quoted.n; i++) {
		char ch = quoted.p[i];
		if (ch == '\\') {
			ch = quoted.p[++i];
			if (ch != '"' && ch != '\\') {
				struct doc *d = NULL;
				int rc = doc_parse_json(c->a, quoted, NULL, &d, NULL);
				if (rc == 0)
					*ret = doc_as_str(d);
				return rc == -EINVAL ? bad(c, "invalid string") : rc;
			}
		}
		buf_char(&b, ch);
	}
	*ret = buf_view(&b);
	return b.failed ? -ENOMEM : 0;
}

static int
string(struct scan *c, struct str *ret)
{
	size_t from = c->i;
	bool escaped = false;
	int rc = expect(c, '"');
	if (rc < 0)
		return rc;
	from = c->i - 1;
	for (; c->i < c->s.n && c->s.p[c->i] != '"'; c->i++)
		if (c->s.p[c->i] == '\\') {
			escaped = true;
			c->i++;
		}
	if (c->i >= c->s.n)
		return bad(c, "unexpected end");
	c->i++;
	if (escaped)
		return unescape(c, str_sub(c->s, from, c->i), ret);
	*ret = str_sub(c->s, from + 1, c->i - 1);
	return 0;
}

static void
sort_keys(struct field_key *k, size_t n)
{
	for (size_t i = 1; i < n; i++)
		for (size_t j = i; j > 0 && str_cmp(k[j].name, k[j - 1].name) < 0; j--) {
			struct field_key t = k[j];
			k[j] = k[j - 1];
			k[j - 1] = t;
		}
}

#define KEYS_MAX 16

static int
elem_keys(struct scan *c, const struct doc *d, struct field_elem *ret)
{
	if (d->type != DOC_MAP || d->n > KEYS_MAX)
		return bad(c, "keys of an item are no object");
	struct field_key *k = ARENA_ARRAY(c->a, struct field_key, d->n ? d->n : 1);
	size_t n = 0;
	if (!k)
		return -ENOMEM;
	DOC_EACH (m, d)
		k[n++] = (struct field_key){m->key, m};
	sort_keys(k, n);
	*ret = (struct field_elem){.kind = FIELD_KEY, .n_keys = (uint32_t)n, .keys = k};
	return 0;
}

/* elem: 1; 0: a kind nobody knows. */
static int
elem(struct scan *c, struct str key, struct field_elem *ret)
{
	struct str rest = str_sub(key, 2, SIZE_MAX);
	struct doc *d = NULL;
	int rc = 0;
	if (key.n < 2)
		return bad(c, "key must be 2 characters long:");
	if (key.p[1] != ':')
		return bad(c, "missing colon");
	if (key.p[0] == 'f') {
		*ret = (struct field_elem){.kind = FIELD_NAME, .name = rest};
		return 1;
	}
	if (key.p[0] == 'i') {
		*ret = (struct field_elem){.kind = FIELD_INDEX};
		return str_to_i64(rest, &ret->index) < 0 ? bad(c, "invalid index") : 1;
	}
	if (key.p[0] != 'k' && key.p[0] != 'v')
		return 0;
	rc = doc_parse_json(c->a, rest, NULL, &d, NULL);
	if (rc < 0)
		return rc == -EINVAL ? bad(c, "invalid value in a key") : rc;
	*ret = (struct field_elem){.kind = FIELD_VALUE, .value = d};
	rc = key.p[0] == 'k' ? elem_keys(c, d, ret) : 0;
	return rc < 0 ? rc : 1;
}

/* object: into `up`; up NULL: what is below a step that nobody knows, passed over. */
static int
object(struct scan *c, struct fields *up, size_t depth)
{
	bool any = false;
	int rc = expect(c, '{');
	if (rc < 0)
		return rc;
	if (depth >= FIELDS_MAX_DEPTH)
		return err_set(c->e, -E2BIG, R_BAD_REQUEST, "fieldsV1 is nested too deeply");
	for (bool first = true; peek(c) != '}'; first = false) {
		struct field_elem at = {0};
		struct fields *f = NULL;
		struct str key = STR_NONE;
		if (!first && (rc = expect(c, ',')) < 0)
			return rc;
		rc = string(c, &key);
		if (rc == 0)
			rc = expect(c, ':');
		if (rc < 0)
			return rc;
		bool self = str_eq_c(key, ".");
		rc = self ? 0 : elem(c, key, &at);
		if (rc < 0)
			return rc;
		if (self && up)
			up->member = true;
		if (rc > 0 && up) {
			f = fields_add(c->a, up, &at);
			any = true;
			if (!f)
				return -ENOMEM;
		}
		rc = object(c, f, depth + 1);
		if (rc < 0)
			return rc;
	}
	c->i++;
	if (up && !any)
		up->member = true;
	return 0;
}

int
fields_parse(struct arena *a, struct str json, const struct fields **ret, struct err *e)
{
	struct scan c = {.a = a, .s = json, .e = e};
	struct fields *root = ARENA_NEW(a, struct fields);
	int rc = root ? object(&c, root, 0) : -ENOMEM;
	if (rc == 0 && peek(&c) != 0)
		rc = bad(&c, "unexpected trailing data after JSON object");
	if (rc < 0)
		return rc;
	root->member = false;
	*ret = fields_sort(root);
	return arena_failed(a) ? -ENOMEM : 0;
}

/* ---- writing --------------------------------------------------------------------------------------- */

/* The text of a step, to be written as a string by itself. */
static void
step_text(struct buf *b, const struct field_elem *at)
{
	switch (at->kind) {
	case FIELD_NAME:
		buf_add(b, "f:", 2);
		buf_str(b, at->name);
		return;
	case FIELD_VALUE:
		buf_add(b, "v:", 2);
		doc_write_json(b, at->value);
		return;
	case FIELD_INDEX:
		buf_add(b, "i:", 2);
		buf_i64(b, at->index);
		return;
	case FIELD_KEY:
		buf_add(b, "k:{", 3);
		for (uint32_t i = 0; i < at->n_keys; i++) {
			buf_cstr(b, i ? "," : "");
			doc_json_string(b, at->keys[i].name);
			buf_char(b, ':');
			doc_write_json(b, at->keys[i].value);
		}
		buf_char(b, '}');
		return;
	}
}

static bool
is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '"' || s.p[i] == '\\' || (unsigned char)s.p[i] < 0x20 ||
			(unsigned char)s.p[i] >= 0x7f)
			return false;
	return true;
}

static void
write_step(struct buf *b, struct buf *scratch, const struct field_elem *at)
{
	if (at->kind == FIELD_NAME && is_plain(at->name)) {
		buf_add(b, "\"f:", 3);
		buf_str(b, at->name);
		buf_add(b, "\":", 2);
		return;
	}
	buf_clear(scratch);
	step_text(scratch, at);
	b->failed |= scratch->failed;
	doc_json_string(b, buf_view(scratch));
	buf_char(b, ':');
}

static void
write_below(struct buf *b, struct buf *scratch, const struct fields *f, bool self, size_t depth)
{
	const char *sep = "";
	buf_char(b, '{');
	if (self && f->first) {
		buf_add(b, "\".\":{}", 6);
		sep = ",";
	}
	for (const struct fields *m = f->first; m && depth < FIELDS_MAX_DEPTH; m = m->next) {
		buf_cstr(b, sep);
		sep = ",";
		write_step(b, scratch, &m->at);
		write_below(b, scratch, m, m->member, depth + 1);
	}
	buf_char(b, '}');
}

void
fields_write(struct buf *b, const struct fields *f)
{
	_cleanup_buf_ struct buf scratch = BUF_INIT;
	if (f)
		write_below(b, &scratch, f, false, 0);
	else
		buf_add(b, "{}", 2);
}

/* ---- messages -------------------------------------------------------------------------------------- */

void
field_elem_text(struct buf *b, const struct field_elem *at)
{
	switch (at->kind) {
	case FIELD_NAME:
		buf_char(b, '.');
		buf_str(b, at->name);
		return;
	case FIELD_VALUE:
		buf_add(b, "[=", 2);
		doc_write_json(b, at->value);
		buf_char(b, ']');
		return;
	case FIELD_INDEX:
		buf_fmt(b, "[%lld]", (long long)at->index);
		return;
	case FIELD_KEY:
		buf_char(b, '[');
		for (uint32_t i = 0; i < at->n_keys; i++) {
			buf_cstr(b, i ? "," : "");
			buf_str(b, at->keys[i].name);
			buf_char(b, '=');
			doc_write_json(b, at->keys[i].value);
		}
		buf_char(b, ']');
		return;
	}
}

struct each {
	struct arena *a;
	void (*fn)(void *arg, struct str path);
	void *arg;
};

static void
each_below(const struct each *c, const struct fields *f, struct str path, size_t depth)
{
	for (int below = 0; below < 2 && depth < FIELDS_MAX_DEPTH; below++)
		for (const struct fields *m = f->first; m; m = m->next) {
			struct buf b;
			if (below ? !m->first : !m->member)
				continue;
			buf_init_arena(&b, c->a);
			buf_str(&b, path);
			field_elem_text(&b, &m->at);
			if (below)
				each_below(c, m, buf_view(&b), depth + 1);
			else
				c->fn(c->arg, buf_view(&b));
		}
}

void
fields_each(
	struct arena *a, const struct fields *f, void (*fn)(void *arg, struct str path), void *arg)
{
	struct each c = {a, fn, arg};
	if (f)
		each_below(&c, f, STR(""), 0);
}
