/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * compare: status, headers and body of two answers, as a list of the points at which they differ. The order of
 * members says nothing, the order of items does. */
#include "tests/oracle/compare.h"

#define MAX_POINTS 40
#define CAUSE_MAX 150

const char verdict_letters[] = "EDX";

struct diff {
	struct arena *a;
	struct point *points;
	size_t n;
};

static void
add_point(struct diff *d, struct str where, struct str theirs, struct str ours)
{
	struct point *p = d->n < MAX_POINTS ? ARENA_PUSH(d->a, d->points, d->n) : NULL;
	if (p)
		*p = (struct point){where, theirs, ours};
}

static struct str
doc_text(struct arena *a, const struct doc *x)
{
	struct buf b;
	buf_init_arena(&b, a);
	if (!x)
		return STR_NONE;
	doc_write_json(&b, x);
	return buf_view(&b);
}

/* ---- bodies ---------------------------------------------------------------------------------------- */

static void
diff_doc(struct diff *d, struct str where, const struct doc *x, const struct doc *y, size_t depth)
{
	if (x && y && (doc_equal(x, y) || depth > DOC_MAX_WALK))
		return;
	if (!x || !y || x->type != y->type || (x->type != DOC_MAP && x->type != DOC_LIST)) {
		add_point(d, where, doc_text(d->a, x), doc_text(d->a, y));
		return;
	}
	if (x->type == DOC_LIST) {
		size_t n = doc_len(x) > doc_len(y) ? doc_len(x) : doc_len(y);
		for (size_t i = 0; i < n; i++)
			if (!doc_index(x, i) || !doc_index(y, i) ||
				!doc_equal(doc_index(x, i), doc_index(y, i)))
				diff_doc(d, arena_fmt(d->a, STR_FMT "[%zu]", STR_ARG(where), i),
					doc_index(x, i), doc_index(y, i), depth + 1);
		return;
	}
	DOC_EACH (m, x)
		diff_doc(d, arena_fmt(d->a, STR_FMT "." STR_FMT, STR_ARG(where), STR_ARG(m->key)),
			m, doc_get(y, m->key), depth + 1);
	DOC_EACH (m, y)
		if (!doc_get(x, m->key))
			diff_doc(d,
				arena_fmt(
					d->a, STR_FMT "." STR_FMT, STR_ARG(where), STR_ARG(m->key)),
				NULL, m, depth + 1);
}

static struct doc *
body_doc(struct arena *a, const struct oracle_step *s, size_t i)
{
	struct doc *d = NULL;
	const struct doc_limits lim = {.max_depth = DOC_MAX_WALK, .max_nodes = 10000000};
	if (i >= s->n_data || doc_parse_json(a, oracle_unescape(a, s->data[i]), &lim, &d, NULL) < 0)
		return NULL;
	normal_doc(a, &(struct normal){0}, d); /* by rules newer than the record */
	return d;
}

static void
diff_data(struct diff *d, const struct oracle_step *x, const struct oracle_step *y)
{
	size_t n = x->n_data > y->n_data ? x->n_data : y->n_data;
	for (size_t i = 0; i < n; i++) {
		struct str where = n == 1 ? STR("body") : arena_fmt(d->a, "event[%zu]", i);
		struct str p = i < x->n_data ? x->data[i] : STR_NONE,
			   q = i < y->n_data ? y->data[i] : STR_NONE;
		struct doc *xd = body_doc(d->a, x, i), *yd = body_doc(d->a, y, i);
		if (xd && yd)
			diff_doc(d, where, xd, yd, 0);
		else if (!str_eq(p, q) || !str_is_set(p) || !str_is_set(q))
			add_point(d, where, p, q);
	}
}

/* ---- headers --------------------------------------------------------------------------------------- */

static struct str
header_name(struct str line)
{
	struct str name, value;
	str_cut(line, ':', &name, &value);
	return name;
}

/* The values of a header, joined: what is repeated in another order is another answer. */
static struct str
header_values(struct arena *a, const struct oracle_step *s, struct str name)
{
	struct str all = STR_NONE;
	for (size_t i = 0; i < s->n_answer_headers; i++) {
		struct str value, line = s->answer_headers[i];
		if (!str_eq_nocase(header_name(line), name))
			continue;
		value = str_trim(str_sub(line, name.n + 1, SIZE_MAX));
		all = str_is_set(all) ? arena_cat(a, (struct str[]){all, STR(" | "), value}, 3)
				      : value;
	}
	return all;
}

static void
diff_headers(struct diff *d, const struct oracle_step *x, const struct oracle_step *y)
{
	const struct oracle_step *sides[] = {x, y};
	for (size_t side = 0; side < 2; side++)
		for (size_t i = 0; i < sides[side]->n_answer_headers; i++) {
			struct str name = header_name(sides[side]->answer_headers[i]);
			struct str p = header_values(d->a, x, name),
				   q = header_values(d->a, y, name);
			bool before = side == 1 && str_is_set(p);
			for (size_t k = 0; k < i; k++)
				before |= str_eq_nocase(
					name, header_name(sides[side]->answer_headers[k]));
			if (!before && (str_is_set(p) != str_is_set(q) || !str_eq(p, q)))
				add_point(
					d, arena_fmt(d->a, "header " STR_FMT, STR_ARG(name)), p, q);
		}
}

/* ---- causes ---------------------------------------------------------------------------------------- */

static bool
is_path_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		memchr("._-[]/<>*", c, 9);
}

/* A text without what differs from object to object: quoted parts, numbers, paths before a colon. */
static struct str
masked(struct arena *a, struct str s)
{
	struct buf b;
	buf_init_arena(&b, a);
	ptrdiff_t at = str_find(s, STR("is invalid: "));
	if (at >= 0)
		s = str_sub(s, (size_t)at + 12, SIZE_MAX);
	for (size_t i = 0; i < s.n && b.len < CAUSE_MAX;) {
		size_t n = 0;
		bool path = false;
		while (i + n < s.n && is_path_char(s.p[i + n])) {
			path |= s.p[i + n] == '.' || s.p[i + n] == '[';
			n++;
		}
		if (n && i + n < s.n && s.p[i + n] == ':' && (path || i == 0)) {
			buf_char(&b, '@');
			i += n;
		} else if (n) {
			for (size_t k = 0; k < n; k++)
				buf_char(&b,
					s.p[i + k] >= '0' && s.p[i + k] <= '9' ? '#' : s.p[i + k]);
			i += n;
		} else if (s.p[i] == '"' || s.p[i] == '\'') {
			ptrdiff_t end = str_find_char(str_sub(s, i + 1, SIZE_MAX), s.p[i]);
			buf_cstr(&b, "'_'");
			i = end < 0 ? s.n : i + 2 + (size_t)end;
		} else {
			buf_char(&b, s.p[i++]);
		}
	}
	return str_sub(buf_view(&b), 0, CAUSE_MAX);
}

/* A place without its indices and keys. */
static struct str
masked_place(struct arena *a, struct str s)
{
	struct buf b;
	buf_init_arena(&b, a);
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			buf_char(&b, s.p[i]);
	return buf_view(&b);
}

static struct str
message_of(struct arena *a, const struct oracle_step *s)
{
	struct doc *d = body_doc(a, s, 0);
	return str_eq_c(doc_get_str(d, STR("kind")), "Status") ? doc_get_str(d, STR("message"))
							       : STR_NONE;
}

static struct str
cause_of(struct arena *a, const struct unit *u, const struct oracle_step *x,
	const struct oracle_step *y)
{
	const struct point *p = u->points;
	if (u->n_points == 0)
		return STR_NONE;
	if (x->status != y->status)
		return arena_fmt(a, "status %d, ours %d: " STR_FMT, x->status, y->status,
			STR_ARG(masked(a, message_of(a, x->status >= 400 ? x : y))));
	struct str mx = message_of(a, x), my = message_of(a, y);
	if (!str_eq(mx, my))
		return arena_fmt(a, "message: " STR_FMT " | ours: " STR_FMT, STR_ARG(masked(a, mx)),
			STR_ARG(masked(a, my)));
	return arena_fmt(a, STR_FMT "%s", STR_ARG(masked_place(a, p->where)),
		!str_is_set(p->ours)             ? ": absent"
			: !str_is_set(p->theirs) ? ": too much"
						 : "");
}

static bool
not_served(const struct oracle_step *x, const struct oracle_step *y)
{
	bool not = y->status == 404 || y->status == 405 || y->status == 415 || y->status == 501;
	return not &&x->status != y->status && x->status != 404 && x->status != 405 &&
		x->status != 415;
}

static void
unit_close(struct arena *a, struct unit *u, const struct diff *d, const struct oracle_step *x,
	const struct oracle_step *y)
{
	u->points = d->points;
	u->n_points = d->n;
	u->cause = cause_of(a, u, x, y);
	u->verdict = d->n == 0 ? SAME : not_served(x, y) ? MISSING : DIFFERENT;
}

/* ---- steps ----------------------------------------------------------------------------------------- */

/* The map whose members count one by one, taken out of its document; NULL = there is none. */
static struct doc *
parts_of(struct arena *a, const struct oracle_step *s, struct doc *d)
{
	char *path = str_is_set(s->parts) ? arena_cstr(a, s->parts) : NULL;
	struct doc *m = path ? doc_at(d, path) : NULL;
	return m && m->type == DOC_MAP ? m : NULL;
}

static struct unit *
unit_new(struct arena *a, struct units *ret)
{
	return ARENA_PUSH(a, ret->v, ret->n);
}

static void
compare_parts(struct arena *a, struct units *ret, const struct oracle_step *x,
	const struct oracle_step *y, struct doc *xm, struct doc *ym)
{
	DOC_EACH (m, xm) {
		struct diff d = {.a = a};
		struct unit *u = unit_new(a, ret);
		if (!u)
			return;
		u->part = m->key;
		diff_doc(&d, STR("body"), m, doc_get(ym, m->key), 0);
		unit_close(a, u, &d, x, y);
		if (!doc_get(ym, m->key))
			u->verdict = MISSING;
	}
	DOC_EACH (m, ym) {
		if (doc_get(xm, m->key))
			continue;
		struct diff d = {.a = a};
		struct unit *u = unit_new(a, ret);
		if (!u)
			return;
		u->part = m->key;
		diff_doc(&d, STR("body"), NULL, m, 0);
		unit_close(a, u, &d, x, y);
	}
}

struct units
compare_step(struct arena *a, const struct oracle_step *x, const struct oracle_step *y)
{
	struct units ret = {0};
	struct diff d = {.a = a};
	struct unit *u = unit_new(a, &ret);
	if (!u)
		return ret;
	if (x->status != y->status)
		add_point(&d, STR("status"), arena_fmt(a, "%d", x->status),
			arena_fmt(a, "%d", y->status));
	struct doc *xd = str_is_set(x->parts) ? body_doc(a, x, 0) : NULL;
	struct doc *yd = xd ? body_doc(a, y, 0) : NULL;
	struct doc *xm = parts_of(a, x, xd), *ym = parts_of(a, x, yd);
	if (xm && ym) {
		struct doc *xc = doc_copy(a, xm), *yc = doc_copy(a, ym);
		doc_replace(xm, doc_null(a));
		doc_replace(ym, doc_null(a));
		diff_doc(&d, STR("body"), xd, yd, 0);
		diff_headers(&d, x, y);
		unit_close(a, u, &d, x, y);
		compare_parts(a, &ret, x, y, xc, yc);
		return ret;
	}
	diff_data(&d, x, y);
	diff_headers(&d, x, y);
	unit_close(a, u, &d, x, y);
	return ret;
}
