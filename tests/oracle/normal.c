/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * normal: answers without what differs from run to run: ids, times of this run, resourceVersions, allocated
 * addresses and ports, generated names, tokens; and without the descriptions, which are each server's own words.
 * Left out altogether: X-Kubernetes-Pf-*, the ids of objects of flow control that only its operators read.
 * Doing it twice changes nothing, so that both sides of a comparison can be done again with newer rules. */
#include "base/clock.h"
#include "tests/oracle/oracle.h"

#define GENERATE_BASE_MAX 58
#define DAY_NS ((int64_t)86400 * 1000 * 1000 * 1000)

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* ---- patterns: each gives the length of what it matches at the start of s, and writes its name ---- */

static size_t
match_uid(struct str s, struct buf *b, const struct normal *n0)
{
	(void)n0;
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	size_t n = sizeof(form) - 1;
	if (s.n < n || (s.n > n && is_word(s.p[n])))
		return 0;
	for (size_t i = 0; i < n; i++)
		if (form[i] == '-' ? s.p[i] != '-'
				   : !(is_digit(s.p[i]) || (s.p[i] >= 'a' && s.p[i] <= 'f')))
			return 0;
	buf_cstr(b, "<uid>");
	return n;
}

static size_t
match_token_volume(struct str s, struct buf *b, const struct normal *n0)
{
	struct str before = STR("kube-api-access-");
	(void)n0;
	size_t n = before.n;
	if (!str_starts(s, before))
		return 0;
	while (n < s.n && is_word(s.p[n]))
		n++;
	if (n != before.n + 5)
		return 0;
	buf_str(b, before);
	buf_cstr(b, "<name>");
	return n;
}

/* A revision within a text that quotes an object. */
static size_t
match_revision(struct str s, struct buf *b, const struct normal *n0)
{
	struct str before = STR("resourceVersion\\\":\\\"");
	(void)n0;
	size_t n = before.n;
	if (!str_starts(s, before))
		return 0;
	while (n < s.n && is_digit(s.p[n]))
		n++;
	if (n == before.n) /* it is normal already, as what was recorded is */
		return 0;
	buf_str(b, before);
	buf_cstr(b, "<rv>");
	return n;
}

static size_t
match_time(struct str s, struct buf *b, const struct normal *n0)
{
	(void)n0;
	size_t n = 19, digits = 0;
	if (s.n < 20 || s.p[4] != '-' || s.p[10] != 'T')
		return 0;
	if (s.p[n] == '.')
		for (n++; n < s.n && is_digit(s.p[n]); n++)
			digits++;
	if (n >= s.n || s.p[n] != 'Z')
		return 0;
	n++;
	int64_t at = 0, away = 0;
	if (rfc3339_parse(str_sub(s, 0, n), &at) < 0)
		return 0;
	away = at - clock_wall_ns();
	if (away > DAY_NS || away < -DAY_NS)
		return 0;
	buf_fmt(b, digits ? "<time.%zu>" : "<time>", digits);
	return n;
}

/* "10.96.3.4" and "fd00:10:96::a", but not the ranges themselves. */
static size_t
match_service_ip(struct str s, struct buf *b, const struct normal *n0)
{
	(void)n0;
	bool six = str_starts(s, STR("fd00:10:96:"));
	if (!six && !str_starts(s, STR("10.96.")))
		return 0;
	size_t n = 6;
	while (n < s.n && (is_word(s.p[n]) || s.p[n] == '.' || (six && s.p[n] == ':')))
		n++;
	if (n < s.n && s.p[n] == '/')
		return 0;
	buf_cstr(b, six ? "<service-ip6>" : "<service-ip>");
	return n;
}

/* Any address with the server's port: it may name itself by another one. */
static size_t
match_authority(struct str s, struct buf *b, const struct normal *n0)
{
	struct str host, port;
	size_t n = 0;
	str_rcut(n0->authority, ':', &host, &port);
	while (n < s.n && (is_digit(s.p[n]) || s.p[n] == '.'))
		n++;
	if (n < 7 || port.n == 0 || n + 1 + port.n > s.n || s.p[n] != ':' ||
		!str_eq(str_sub(s, n + 1, n + 1 + port.n), port))
		return 0;
	buf_cstr(b, "<server>");
	return n + 1 + port.n;
}

/* A name made of generateName, which may have been cut. */
static size_t
match_generated(struct str s, struct buf *b, const struct normal *n0)
{
	struct str g = str_sub(n0->generate, 0, GENERATE_BASE_MAX);
	size_t n = g.n + 5;
	if (g.n == 0 || s.n < n || !str_starts(s, g) || (s.n > n && is_word(s.p[n])))
		return 0;
	for (size_t i = g.n; i < n; i++)
		if (!is_digit(s.p[i]) && (s.p[i] < 'a' || s.p[i] > 'z'))
			return 0;
	buf_str(b, g);
	buf_cstr(b, "<name>");
	return n;
}

static size_t
match_token(struct str s, struct buf *b, const struct normal *n0)
{
	(void)n0;
	size_t n = 0;
	if (!str_starts(s, STR("eyJ")))
		return 0;
	while (n < s.n && (is_word(s.p[n]) || s.p[n] == '-' || s.p[n] == '_' || s.p[n] == '.'))
		n++;
	if (n < 200)
		return 0;
	buf_cstr(b, "<token>");
	return n;
}

/* A number behind words that say it is a revision, a hash behind "?hash=". */
static size_t
match_named(struct str s, struct buf *b, const struct normal *n0)
{
	(void)n0;
	static const struct {
		struct str before, name;
		bool hex;
	} rows[] = {
		{STR_INIT("object meta: "), STR_INIT("<rv>"), false},
		{STR_INIT("resource version: "), STR_INIT("<rv>"), false},
		{STR_INIT("resourceVersion: \""), STR_INIT("<rv>"), false}, /* YAML */
		{STR_INIT("?hash="), STR_INIT("<hash>"), true},
		{STR_INIT("X509SHA256="), STR_INIT("<hash>"), true},
		{STR_INIT("X509SHA256="), STR_INIT("<hash>"), true},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!str_starts(s, rows[i].before))
			continue;
		size_t n = rows[i].before.n;
		while (n < s.n && (rows[i].hex ? is_word(s.p[n]) : is_digit(s.p[n])))
			n++;
		/* what goes on is no number: a uid may begin with eight digits */
		if (n == rows[i].before.n || (n < s.n && (is_word(s.p[n]) || s.p[n] == '-')))
			return 0;
		buf_str(b, rows[i].before);
		buf_str(b, rows[i].name);
		return n;
	}
	return 0;
}

static size_t (*const patterns[])(struct str s, struct buf *b, const struct normal *n0) = {
	match_generated, match_token_volume, match_uid, match_revision, match_time,
	match_service_ip, match_authority, match_token, match_named};

struct str
normal_text(struct arena *a, const struct normal *n0, struct str s)
{
	struct buf b;
	buf_init_arena(&b, a);
	size_t from = 0;
	bool changed = false;
	for (size_t i = 0; i < s.n;) {
		size_t n = 0;
		bool start = i == 0 || !is_word(s.p[i - 1]) || !is_word(s.p[i]);
		for (size_t k = 0; start && n == 0 && k < ARRAY_LEN(patterns); k++) {
			struct buf out;
			buf_init_arena(&out, a);
			n = patterns[k](str_sub(s, i, SIZE_MAX), &out, n0);
			if (n) {
				buf_str(&b, str_sub(s, from, i));
				buf_str(&b, buf_view(&out));
			}
		}
		i += n ? n : 1;
		if (n) {
			from = i;
			changed = true;
		}
	}
	if (!changed)
		return s;
	buf_str(&b, str_sub(s, from, SIZE_MAX));
	return buf_view(&b);
}

/* ---- documents ------------------------------------------------------------------------------------- */

/* An age as tables print it: "5s", "2m3s". */
static bool
is_age(struct str s)
{
	size_t units = 0;
	if (s.n < 2 || s.n > 8 || !is_digit(s.p[0]))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (is_digit(s.p[i]))
			continue;
		if (i == 0 || !is_digit(s.p[i - 1]) || !memchr("smhdy", s.p[i], 5))
			return false;
		units++;
	}
	return units > 0 && !is_digit(s.p[s.n - 1]);
}

static void
cells_normal(struct doc *rows)
{
	DOC_EACH (row, rows) {
		struct doc *cells = doc_get(row, STR("cells"));
		DOC_EACH (cell, cells)
			if (cell->type == DOC_STR && is_age(cell->s))
				cell->s = STR("<age>");
	}
}

struct walk {
	struct arena *a;
	const struct normal *n;
	bool openapi;
};

static bool
is_number(struct str s)
{
	uint64_t n = 0;
	return str_to_u64(s, &n) == 0 && n > 0;
}

/* A number that the server chose. */
static bool
is_chosen_port(const struct walk *w, const struct doc *m, struct str *ret_name)
{
	uint64_t port = 0;
	struct str host, text;
	*ret_name = STR("<port>");
	if (str_eq_c(m->key, "nodePort") || str_eq_c(m->key, "healthCheckNodePort"))
		return m->i >= 30000 && m->i < 32768;
	*ret_name = STR("<server-port>");
	return str_eq_c(m->key, "targetPort") && str_cut(w->n->authority, ':', &host, &text) &&
		str_to_u64(text, &port) == 0 && (int64_t)port == m->i;
}

/* A member by its name alone. True: it is done. */
static bool
member_normal(const struct walk *w, struct doc *m)
{
	struct str name;
	if (m->type == DOC_STR && str_eq_c(m->key, "resourceVersion") && is_number(m->s)) {
		m->s = STR("<rv>");
		return true;
	}
	if (m->type == DOC_STR && str_eq_c(m->key, "continue") && m->s.n > 16) {
		m->s = STR("<continue>");
		return true;
	}
	if (m->type != DOC_INT || !is_chosen_port(w, m, &name))
		return false;
	struct doc *v = doc_str(w->a, name);
	if (v)
		doc_replace(m, v);
	return true;
}

/* Owners of fields stand in the order of their times, which depends on when a second began. */
static int
owner_cmp(const struct doc *x, const struct doc *y)
{
	static const struct str keys[] = {STR_INIT("operation"), STR_INIT("manager"),
		STR_INIT("apiVersion"), STR_INIT("subresource")};
	int c = 0;
	for (size_t i = 0; i < ARRAY_LEN(keys) && c == 0; i++)
		c = str_cmp(doc_get_str(x, keys[i]), doc_get_str(y, keys[i]));
	return c;
}

static void
owners_normal(struct doc *list)
{
	struct doc sorted = {.type = DOC_LIST};
	while (list->first) {
		struct doc *least = list->first;
		DOC_EACH (m, list)
			if (owner_cmp(m, least) < 0)
				least = m;
		doc_remove(list, least);
		doc_append(&sorted, least);
	}
	list->first = sorted.first;
	list->last = sorted.last;
	list->n = sorted.n;
}

static void
tree_normal(const struct walk *w, struct doc *d, size_t depth)
{
	if (depth > DOC_MAX_WALK || !d)
		return;
	if (d->type == DOC_STR) {
		d->s = normal_text(w->a, w->n, d->s);
		return;
	}
	if (d->type == DOC_MAP) {
		if (doc_get(d, STR("columnDefinitions")))
			cells_normal(doc_get(d, STR("rows")));
	}
	DOC_EACH (m, d) {
		bool said = d->type == DOC_MAP && m->type == DOC_STR &&
			str_eq_c(m->key, "description");
		if (m->type == DOC_LIST && str_eq_c(m->key, "managedFields"))
			owners_normal(m);
		if (said && (w->openapi || doc_get(d, STR("priority")))) {
			doc_remove(d, m);
			continue;
		}
		if (d->type != DOC_MAP || !member_normal(w, m))
			tree_normal(w, m, depth + 1);
	}
}

void
normal_doc(struct arena *a, const struct normal *n, struct doc *d)
{
	struct walk w = {a, n, doc_get(d, STR("openapi")) || doc_get(d, STR("swagger"))};
	tree_normal(&w, d, 0);
}

struct str
normal_body(struct arena *a, const struct normal *n, struct str body)
{
	struct doc *d = NULL;
	const struct doc_limits lim = {.max_depth = DOC_MAX_WALK, .max_nodes = 10000000};
	if (body.n == 0 || doc_parse_json(a, body, &lim, &d, NULL) < 0)
		return normal_text(a, n, body);
	normal_doc(a, n, d);
	struct buf b;
	buf_init_arena(&b, a);
	doc_write_json(&b, d);
	return buf_view(&b);
}

/* ---- headers --------------------------------------------------------------------------------------- */

bool
normal_header(struct arena *a, struct str name, struct str value, struct str *ret_value)
{
	static const struct {
		const char *name;
		bool presence; /* that it is there is all that is kept */
	} rows[] = {
		{"Content-Type", false},
		{"Cache-Control", false},
		{"Warning", false},
		{"Retry-After", false},
		{"WWW-Authenticate", false},
		{"Location", false},
		{"Allow", false},
		{"Vary", false},
		{"X-Content-Type-Options", false},
		{"Audit-Id", true},
		{"ETag", true},
		{"Last-Modified", true},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!str_eq_nocase(name, str_c(rows[i].name)))
			continue;
		*ret_value = rows[i].presence ? STR("<there>")
					      : normal_text(a, &(struct normal){0}, value);
		return true;
	}
	return false;
}
