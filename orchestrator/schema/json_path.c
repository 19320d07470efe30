/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * json_path: the first value a JSONPath of a printer column leads to: .a.b, ['a.b'], [0], [-1], [*], .*,
 * [?(@.type=="Ready")], and a backslash before a dot that belongs to a name.
 *
 * Invariant: the depth of calls is that of the path's lists, which PARTS_MAX bounds.
 * Source: Kubernetes JSONPath (kubectl reference); k8s.io/client-go util/jsonpath (behaviour of columns). */
#include "orchestrator/schema/json_path.h"

#include "base/str.h"

#define PARTS_MAX 64

struct path {
	struct str rest;
	size_t parts;
};

static const struct doc *follow(const struct doc *d, struct path p);

/* A name up to the next dot or bracket; a backslash keeps what follows. buf holds it when one was there. */
static struct str
take_name(struct path *p, char *buf, size_t size)
{
	size_t i = 0, n = 0;
	bool escaped = false;

	for (; i < p->rest.n && p->rest.p[i] != '.' && p->rest.p[i] != '['; i++) {
		if (p->rest.p[i] == '\\' && i + 1 < p->rest.n) {
			escaped = true;
			i++;
		}
		if (n < size)
			buf[n++] = p->rest.p[i];
	}
	struct str whole = str_sub(p->rest, 0, i);
	p->rest = str_sub(p->rest, i, SIZE_MAX);
	return escaped ? str_from(buf, n) : whole;
}

static const struct doc *
any_of(const struct doc *d, struct path p)
{
	const struct doc *hit = NULL;

	DOC_EACH (x, d)
		if (hit == NULL)
			hit = follow(x, p);
	return hit;
}

static struct str
unquoted(struct str s)
{
	s = str_trim(s);
	return s.n >= 2 && (s.p[0] == '\'' || s.p[0] == '"') && s.p[s.n - 1] == s.p[0]
		? str_sub(s, 1, s.n - 1)
		: s;
}

static bool
is_text(const struct doc *d, struct str want)
{
	int64_t n = 0;

	if (d == NULL)
		return false;
	if (d->type == DOC_STR)
		return str_eq(d->s, want);
	if (d->type == DOC_BOOL)
		return str_eq_c(want, d->b ? "true" : "false");
	return d->type == DOC_INT && str_to_i64(want, &n) == 0 && n == d->i;
}

/* ?(@.type=="Ready"), ?(@.ok!=true), ?(@.name): the text between ( and ). */
static const struct doc *
filtered(const struct doc *d, struct str cond, struct path p)
{
	ptrdiff_t same = str_find(cond, STR("==")), other = str_find(cond, STR("!="));
	ptrdiff_t at = same >= 0 ? same : other;
	struct str left = str_trim(at >= 0 ? str_sub(cond, 0, (size_t)at) : cond);
	struct str right = at >= 0 ? unquoted(str_sub(cond, (size_t)at + 2, SIZE_MAX)) : STR_NONE;
	const struct doc *hit = NULL;

	if (!str_starts(left, STR("@")))
		return NULL;
	left = str_sub(left, 1, SIZE_MAX);
	DOC_EACH (x, d) {
		const struct doc *v = follow(x, (struct path){left, p.parts});
		bool holds = at < 0 ? v != NULL : is_text(v, right) == (same >= 0);

		if (hit == NULL && holds)
			hit = follow(x, p);
	}
	return hit;
}

/* The end of a bracket that begins at 0: quotes and inner brackets are passed over. */
static size_t
bracket_end(struct str s)
{
	char quote = 0;
	size_t depth = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (quote) {
			quote = c == quote ? 0 : quote;
		} else if (c == '\'' || c == '"') {
			quote = c;
		} else if (c == '[') {
			depth++;
		} else if (c == ']' && --depth == 0) {
			return i;
		}
	}
	return 0;
}

static const struct doc *
bracket(const struct doc *d, struct path p)
{
	size_t end = bracket_end(p.rest);
	struct str in = end ? str_trim(str_sub(p.rest, 1, end)) : STR_NONE;
	int64_t n = 0;

	if (end == 0)
		return NULL;
	p.rest = str_sub(p.rest, end + 1, SIZE_MAX);
	if (str_eq_c(in, "*"))
		return any_of(d, p);
	if (str_starts(in, STR("?(")) && str_ends(in, STR(")")))
		return filtered(d, str_sub(in, 2, in.n - 1), p);
	if (in.n && (in.p[0] == '\'' || in.p[0] == '"'))
		return follow(doc_get(d, unquoted(in)), p);
	if (str_to_i64(in, &n) != 0 || d->type != DOC_LIST)
		return NULL;
	if (n < 0)
		n += (int64_t)d->n;
	return n < 0 ? NULL : follow(doc_index(d, (size_t)n), p);
}

static const struct doc *
follow(const struct doc *d, struct path p)
{
	char buf[256];

	while (d && p.rest.n) {
		if (++p.parts > PARTS_MAX)
			return NULL;
		if (p.rest.p[0] == '[')
			return bracket(d, p);
		if (p.rest.p[0] == '.')
			p.rest = str_sub(p.rest, 1, SIZE_MAX);
		if (p.rest.n == 0 || p.rest.p[0] == '[')
			continue;
		struct str name = take_name(&p, buf, sizeof(buf));
		if (str_eq_c(name, "*"))
			return any_of(d, p);
		d = doc_get(d, name);
	}
	return d;
}

const struct doc *
json_path_first(const struct doc *d, struct str path)
{
	return follow(d, (struct path){path, 0});
}
