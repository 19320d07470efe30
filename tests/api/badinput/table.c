/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * table: the rules of the kinds, tests/api/facts/validation.txt: one or more failing requests for each rule, and
 * the cause each must be answered with. The head of that file says how it is read.
 *
 * Every rule has a request for every one of its causes, or a line that says why it has none (skipped). */
#include "tests/api/badinput/badinput.h"

#include "base/disk.h"

#include <stdio.h>
#include <stdlib.h>

#define TABLE "tests/api/facts/validation.txt"

struct base {
	struct str name, path, json;
	bool is_virtual, made;
};

struct row {
	struct str type, path, causes;
	struct str tested; /* causes that a request or a skip stood for, each between blanks */
	int line;
};

struct table {
	struct server *s;
	struct arena *all; /* as long as the table */
	struct arena *a;   /* one case */
	struct base bases[128];
	size_t n_bases;
	struct row row;
	int line;
};

/* ---- values: JSON with @rep(n,text) and @list(n,item) in it ---- */

/* matching: where the bracket that opens at from closes. */
static size_t
matching(struct str s, size_t from)
{
	size_t depth = 0, i = from;

	for (; i < s.n; i++) {
		depth += s.p[i] == '(';
		if (s.p[i] == ')' && --depth == 0)
			break;
	}
	return i;
}

/* expand: @rep(5,ab) is "abbbb"; @list(3,{"n":%d}) is [{"n":0},{"n":1},{"n":2}]. */
static struct str
expand(struct arena *a, struct str s)
{
	ptrdiff_t rep = str_find(s, STR("@rep(")), list = str_find(s, STR("@list("));
	ptrdiff_t at = list >= 0 && (rep < 0 || list < rep) ? list : rep;
	struct buf b;
	struct str count = STR_NONE, item = STR_NONE, part = STR_NONE;
	uint64_t n = 0;

	if (at < 0)
		return s;
	bool is_list = at == list;
	size_t open = (size_t)at + (is_list ? 5 : 4), close = matching(s, open);

	str_cut(str_sub(s, open + 1, close), ',', &count, &item);
	str_to_u64(count, &n);
	buf_init_arena(&b, a);
	buf_str(&b, str_sub(s, 0, (size_t)at));
	buf_char(&b, is_list ? '[' : '"');
	if (is_list)
		item = expand(a, item);
	for (uint64_t i = 0; is_list && i < n; i++) {
		struct str rest = item;

		if (i)
			buf_char(&b, ',');
		while (rest.n) {
			ptrdiff_t hole = str_find(rest, STR("%d"));

			part = hole < 0 ? rest : str_sub(rest, 0, (size_t)hole);
			buf_str(&b, part);
			if (hole >= 0)
				buf_u64(&b, i);
			rest = hole < 0 ? STR("") : str_sub(rest, (size_t)hole + 2, SIZE_MAX);
		}
	}
	if (!is_list)
		buf_str(&b, item);
	for (uint64_t i = item.n; !is_list && i < n; i++)
		buf_char(&b, item.p[item.n - 1]);
	buf_char(&b, is_list ? ']' : '"');
	buf_str(&b, expand(a, str_sub(s, close + 1, SIZE_MAX)));
	return buf_view(&b);
}

/* ---- setting members by path: a.b[0].c ---- */

/* next_step: the first step of a path; index >= 0 for "[0]". */
static struct str
next_step(struct str *path, int64_t *index)
{
	struct str s = *path, name = STR_NONE;
	size_t i = 0;

	*index = -1;
	if (s.n && s.p[0] == '.')
		s = str_sub(s, 1, SIZE_MAX);
	if (s.n && s.p[0] == '[') {
		ptrdiff_t end = str_find_char(s, ']');

		str_to_i64(str_sub(s, 1, (size_t)end), index);
		*path = str_sub(s, (size_t)end + 1, SIZE_MAX);
		return STR_NONE;
	}
	while (i < s.n && s.p[i] != '.' && s.p[i] != '[')
		i++;
	name = str_sub(s, 0, i);
	*path = str_sub(s, i, SIZE_MAX);
	return name;
}

/* set_at: what is missing on the way is made; value NULL removes. */
static void
set_at(struct arena *a, struct doc *d, struct str path, struct doc *value)
{
	for (;;) {
		int64_t index = -1, ahead = -1;
		struct str name = next_step(&path, &index), rest = path;
		struct doc *next = index >= 0 ? doc_index(d, (size_t)index) : doc_get(d, name);

		if (path.n == 0) {
			if (index < 0)
				doc_set(d, name, value);
			else if (next && value)
				doc_replace(next, value);
			else if (next)
				doc_remove(d, next);
			else
				doc_append(d, value);
			return;
		}
		next_step(&rest, &ahead);
		if (next == NULL || next->type == DOC_NULL) {
			next = ahead >= 0 ? doc_list(a) : doc_map(a);
			if (index >= 0)
				doc_append(d, next);
			else
				doc_set(d, name, next);
		}
		d = next;
	}
}

static bool
apply(struct table *t, struct doc *d, struct str sets)
{
	while (sets.n) {
		ptrdiff_t at = str_find(sets, STR(" ; "));
		struct str set = at < 0 ? sets : str_sub(sets, 0, (size_t)at), path, text;
		struct doc *value = NULL;
		struct err e = {0};

		sets = at < 0 ? STR("") : str_sub(sets, (size_t)at + 3, SIZE_MAX);
		if (!str_cut(set, '=', &path, &text)) {
			set_at(t->a, d, str_sub(set, 0, set.n - 1), NULL);
			continue;
		}
		if (doc_parse_json(t->a, expand(t->a, text), NULL, &value, &e) < 0)
			return check(false, "line %d: %s", t->line, e.msg);
		set_at(t->a, d, path, value);
	}
	return true;
}

static struct str
json_of(struct table *t, const struct doc *d)
{
	struct buf b;

	buf_init_arena(&b, t->a);
	doc_write_json(&b, d);
	return buf_view(&b);
}

/* ---- bases ---- */

static struct base *
base_find(struct table *t, struct str name)
{
	for (size_t i = 0; i < t->n_bases; i++)
		if (str_eq(t->bases[i].name, name))
			return &t->bases[i];
	return NULL;
}

static struct doc *
base_doc(struct table *t, const struct base *b)
{
	struct doc *d = NULL;

	return doc_parse_json(t->a, b->json, NULL, &d, NULL) == 0 ? d : NULL;
}

static const char *
object_path(struct table *t, const struct base *b, struct str sub)
{
	struct str name = doc_as_str(doc_at(base_doc(t, b), "metadata.name"));

	return arena_fmt(t->a, STR_FMT "/" STR_FMT "%s" STR_FMT, STR_ARG(b->path), STR_ARG(name),
		sub.n ? "/" : "", STR_ARG(sub))
		.p;
}

/* put_part: one part of the base through its subresource. */
static bool
put_part(struct table *t, const struct base *b, const char *sub, struct str member,
	const struct doc *part)
{
	struct answer an = {.http = 409};

	/* The controllers write the object too. */
	for (int i = 0; i < 20 && an.http == 409; i++) {
		call(t->a, t->s,
			&(struct call){.method = "GET", .path = object_path(t, b, STR(""))}, &an);
		struct doc *live = an.doc ? doc_copy(t->a, an.doc) : doc_map(t->a);

		set_at(t->a, live, member, doc_copy(t->a, part));
		call(t->a, t->s,
			&(struct call){.method = "PUT",
				.path = object_path(t, b, str_c(sub)),
				.body = json_of(t, live)},
			&an);
	}
	return check(an.http == 200, "base '" STR_FMT "': %s: %d '" STR_FMT "'", STR_ARG(b->name),
		sub, an.http, STR_ARG(an.body));
}

static void
base_make(struct table *t, struct base *b)
{
	struct doc *d = base_doc(t, b);
	const struct doc *st = doc_get(d, STR("status"));
	const struct doc *guests = doc_at(d, "spec.ephemeralContainers");
	struct doc *sent = d ? doc_copy(t->a, d) : NULL;
	struct answer an;

	if (!check(d != NULL, "base '" STR_FMT "' is no JSON", STR_ARG(b->name)))
		return;
	set_at(t->a, sent, STR("status"), NULL);
	if (guests)
		set_at(t->a, sent, STR("spec.ephemeralContainers"), NULL);
	call(t->a, t->s,
		&(struct call){.method = "POST",
			.path = arena_cstr(t->a, b->path),
			.body = json_of(t, sent)},
		&an);
	b->made = check(an.http == 201, "base '" STR_FMT "': %d '" STR_FMT "'", STR_ARG(b->name),
		an.http, STR_ARG(an.body));
	if (b->made && st)
		put_part(t, b, "status", STR("status"), st);
	if (b->made && guests)
		put_part(t, b, "ephemeralcontainers", STR("spec.ephemeralContainers"), guests);
	if (b->made && str_starts(b->name, STR("dying")))
		call(t->a, t->s,
			&(struct call){.method = "DELETE", .path = object_path(t, b, STR(""))},
			&an);
}

static void
parse_base(struct table *t, struct str line, bool is_virtual)
{
	struct base *b = &t->bases[t->n_bases++];
	struct str rest = STR_NONE;

	*b = (struct base){.is_virtual = is_virtual};
	str_cut(line, ' ', &b->name, &rest);
	str_cut(rest, ' ', &b->path, &b->json);
	if (!is_virtual)
		base_make(t, b);
}

/* ---- cases ---- */

struct expected {
	struct str cause, field, message; /* field, message: none = any */
};

static void
row_saw(struct table *t, struct str cause)
{
	t->row.tested = arena_fmt(
		t->all, STR_FMT " " STR_FMT " ", STR_ARG(t->row.tested), STR_ARG(cause));
}

static bool
has_cause(const struct answer *an, const struct expected *want)
{
	DOC_EACH (c, doc_at(an->doc, "details.causes")) {
		struct str reason = doc_get_str(c, STR("reason"));

		if (str_starts(reason, STR("FieldValue")))
			reason = str_sub(reason, 10, SIZE_MAX);
		if (!str_eq_c(want->cause, "*") && !str_eq(reason, want->cause))
			continue;
		if (want->field.n && !str_eq(doc_get_str(c, STR("field")), want->field))
			continue;
		if (want->message.n && str_find(doc_get_str(c, STR("message")), want->message) < 0)
			continue;
		return true;
	}
	return false;
}

static void
judge(struct table *t, const char *op, const struct answer *an, const struct expected *want)
{
	row_saw(t, want->cause);
	check(an->http == 422 && str_eq_c(answer_reason(an), "Invalid") && has_cause(an, want),
		"line %d, %s of " STR_FMT " " STR_FMT ": wanted " STR_FMT " " STR_FMT " '" STR_FMT
		"', got %d '" STR_FMT "'",
		t->line, op, STR_ARG(t->row.type), STR_ARG(t->row.path), STR_ARG(want->cause),
		STR_ARG(want->field), STR_ARG(want->message), an->http,
		STR_ARG(str_sub(an->doc ? answer_message(an) : an->body, 0, 500)));
}

static void
try_create(struct table *t, const struct base *b, struct str sets, const struct expected *want)
{
	struct doc *d = base_doc(t, b);
	struct answer an;

	set_at(t->a, d, STR("status"), NULL);
	if (!apply(t, d, sets))
		return;
	call(t->a, t->s,
		&(struct call){
			.method = "POST", .path = arena_cstr(t->a, b->path), .body = json_of(t, d)},
		&an);
	judge(t, "create", &an, want);
}

static void
try_update(struct table *t, const struct base *b, struct str sub, struct str sets,
	const struct expected *want)
{
	struct answer an = {.http = 409};

	/* Controllers write too: an update that comes too late is made again. */
	for (int i = 0; i < 20 && an.http == 409; i++) {
		struct doc *live = NULL;

		call(t->a, t->s,
			&(struct call){.method = "GET",
				.path = object_path(t, b, str_eq_c(sub, "scale") ? sub : STR(""))},
			&an);
		live = an.doc ? doc_copy(t->a, an.doc) : doc_map(t->a);
		if (!apply(t, live, sets))
			return;
		call(t->a, t->s,
			&(struct call){.method = "PUT",
				.path = object_path(t, b, sub),
				.body = json_of(t, live)},
			&an);
	}
	judge(t, sub.n ? arena_cstr(t->a, sub) : "update", &an, want);
}

/* Requests that are not a body with something wrong in it. */
static void
try_query(struct table *t, struct str line, const struct expected *want)
{
	char how = line.p[0];
	struct str what = STR_NONE, rest = STR_NONE;
	struct answer an;
	struct call c = {0};

	str_cut(str_sub(line, 2, SIZE_MAX), ' ', &what, &rest);
	const struct base *b = base_find(t, what);

	if (how == 'Q') /* GET of a path with a query */
		c = (struct call){.method = "GET",
			.path = arena_fmt(t->a, STR_FMT "?" STR_FMT, STR_ARG(what), STR_ARG(rest))
					.p};
	else if (how == 'P') /* POST of a base with a query */
		c = (struct call){.method = "POST",
			.path = arena_fmt(
				t->a, STR_FMT "?" STR_FMT, STR_ARG(b->path), STR_ARG(rest))
					.p,
			.body = b->json};
	else if (how == 'M') /* merge patch of a base with a query */
		c = (struct call){.method = "PATCH",
			.path = arena_fmt(
				t->a, "%s?" STR_FMT, object_path(t, b, STR("")), STR_ARG(rest))
					.p,
			.type = "application/merge-patch+json",
			.body = STR("{}")};
	else /* D: DELETE of a base with options in the body */
		c = (struct call){
			.method = "DELETE", .path = object_path(t, b, STR("")), .body = rest};
	call(t->a, t->s, &c, &an);
	judge(t, arena_fmt(t->a, "%c", how).p, &an, want);
}

static void
parse_case(struct table *t, struct str line)
{
	ptrdiff_t arrow = str_find(line, STR(" -> "));
	struct str body = str_sub(line, 0, (size_t)arrow);
	struct str rest = str_sub(line, (size_t)arrow + 4, SIZE_MAX);
	struct str head = STR_NONE, sets = STR_NONE, op = STR_NONE, name = STR_NONE, sub = STR_NONE;
	struct expected want = {0};
	struct str place = STR_NONE;

	ptrdiff_t colon = str_find(rest, STR(" : "));
	if (colon >= 0) {
		want.message = str_sub(rest, (size_t)colon + 3, SIZE_MAX);
		rest = str_sub(rest, 0, (size_t)colon);
	}
	if (!str_cut(rest, ' ', &want.cause, &place))
		want.cause = rest;
	want.field = place;
	if (body.n > 2 && body.p[1] == ' ' && body.p[0] >= 'A' && body.p[0] <= 'Z') {
		try_query(t, expand(t->a, body), &want);
		return;
	}
	str_cut(body, ' ', &head, &sets);
	if (!str_cut(head, '!', &name, &op))
		name = head;
	head = name;
	if (!str_cut(head, '/', &name, &sub))
		name = head;
	const struct base *b = base_find(t, name);

	if (!check(b != NULL, "line %d: unknown base '" STR_FMT "'", t->line, STR_ARG(name)))
		return;
	if (sub.n == 0 && (op.n == 0 || str_eq_c(op, "c")))
		try_create(t, b, sets, &want);
	if (sub.n || (!b->is_virtual && (op.n == 0 || str_eq_c(op, "u"))))
		try_update(t, b, sub, sets, &want);
}

/* ---- rows ---- */

/* row_end: each of the rule's causes was asked for. */
static void
row_end(struct table *t)
{
	struct str causes = t->row.causes, cause = STR_NONE;

	if (t->row.type.n == 0 || str_eq_c(t->row.tested, " all"))
		return;
	check(t->row.tested.n > 0, "line %d: no request for " STR_FMT " " STR_FMT, t->row.line,
		STR_ARG(t->row.type), STR_ARG(t->row.path));
	while (str_next(&causes, '|', &cause)) {
		struct str key = arena_fmt(t->a, " " STR_FMT " ", STR_ARG(cause));

		check(str_eq_c(cause, "*") || str_find(t->row.tested, key) >= 0,
			"line %d: no request for " STR_FMT " of " STR_FMT " " STR_FMT, t->row.line,
			STR_ARG(cause), STR_ARG(t->row.type), STR_ARG(t->row.path));
	}
}

/* row_begin: "type\tpath\toperation\trule\tcauses". */
static void
row_begin(struct table *t, struct str line)
{
	struct str part[5] = {0};

	row_end(t);
	for (size_t i = 0; i < 5; i++)
		str_next(&line, '\t', &part[i]);
	t->row = (struct row){.type = part[0], .path = part[1], .causes = part[4], .line = t->line};
}

/* row_skip: "S why" of the whole rule, "S- Cause: why" of one cause. */
static void
row_skip(struct table *t, struct str line)
{
	struct str cause = STR_NONE, why = str_sub(line, 2, SIZE_MAX);

	if (str_starts(line, STR("S- ")) && str_cut(str_sub(line, 3, SIZE_MAX), ':', &cause, &why))
		row_saw(t, cause);
	else
		t->row.tested = STR(" all");
	skip(STR_FMT " " STR_FMT ": " STR_FMT, STR_ARG(t->row.type), STR_ARG(t->row.path),
		STR_ARG(str_trim(why)));
}

static void
await_account(struct server *s)
{
	int64_t deadline = now_ms() + 10000;

	while (!get_ok(s, "api/v1/namespaces/default/serviceaccounts/default") &&
		now_ms() < deadline)
		poll_wait(20);
}

void
group_validation(struct server *s)
{
	struct table *t = calloc(1, sizeof(*t));
	struct buf text = BUF_INIT;
	struct str rest = STR_NONE, line = STR_NONE;

	t->s = s;
	t->a = arena_new(0);
	t->all = arena_new(0);
	await_account(s);
	if (check(disk_read_file(TABLE, 8 << 20, &text) == 0, "no %s here", TABLE))
		rest = buf_view(&text);
	while (str_next(&rest, '\n', &line)) {
		t->line++;
		arena_clear(t->a);
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (str_starts(line, STR("base ")))
			parse_base(t, str_sub(line, 5, SIZE_MAX), false);
		else if (str_starts(line, STR("virtual ")))
			parse_base(t, str_sub(line, 8, SIZE_MAX), true);
		else if (str_starts(line, STR("= ")))
			row_begin(t, str_sub(line, 2, SIZE_MAX));
		else if (str_starts(line, STR("S ")) || str_starts(line, STR("S- ")))
			row_skip(t, line);
		else
			parse_case(t, line);
	}
	row_end(t);
	arena_free(t->a);
	arena_free(t->all);
	buf_release(&text);
	free(t);
}
