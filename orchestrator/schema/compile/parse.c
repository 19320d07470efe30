/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * parse: kind files -> model. The language is described in orchestrator/schema/README.md. Line oriented: a line
 * that starts in column 1 opens a kind, type or projection; indented lines belong to it. A line is
 * words separated by blanks ("..." is one word); " -- " begins the description. */
#include "orchestrator/schema/compile/model.h"

#include <stdio.h>
#include <stdlib.h>

struct line {
	struct model *m;
	struct str file;
	int no;
	struct str *words;
	size_t n, at;
	struct str description;
};

void
die(struct str file, int line, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, STR_FMT ":%d: ", STR_ARG(file), line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* words_of: splits the line; a quoted word loses its quotes only when it is a name (quotes matter in
 * defaults and cells, which take the rest of the line as it stands). */
static void
words_of(struct line *l, struct str text)
{
	ptrdiff_t dash = str_find(text, STR(" -- "));

	l->description = STR_NONE;
	if (dash >= 0) {
		l->description = str_trim(str_sub(text, (size_t)dash + 4, SIZE_MAX));
		text = str_sub(text, 0, (size_t)dash);
	}
	l->words = NULL;
	l->n = l->at = 0;
	for (size_t i = 0; i < text.n;) {
		size_t from = i;

		if (text.p[i] == ' ' || text.p[i] == '\t') {
			i++;
			continue;
		}
		for (bool quoted = false; i < text.n; i++) {
			if (text.p[i] == '"')
				quoted = !quoted;
			else if (!quoted && (text.p[i] == ' ' || text.p[i] == '\t'))
				break;
			if (i + 1 == text.n && quoted)
				die(l->file, l->no, "a quote is not closed");
		}
		*ARENA_PUSH(l->m->a, l->words, l->n) = str_sub(text, from, i);
	}
}

static struct str
next_word(struct line *l, const char *what)
{
	if (l->at == l->n)
		die(l->file, l->no, "%s is missing", what);
	return l->words[l->at++];
}

static bool
take_word(struct line *l, const char *word)
{
	if (l->at == l->n || !str_eq_c(l->words[l->at], word))
		return false;
	l->at++;
	return true;
}

static struct str
unquote(struct str s)
{
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		return str_sub(s, 1, s.n - 1);
	return s;
}

/* rest_of: the words from here on with one blank between. */
static struct str
rest_of(struct line *l)
{
	struct buf b;

	buf_init_arena(&b, l->m->a);
	while (l->at < l->n) {
		if (b.len)
			buf_char(&b, ' ');
		buf_str(&b, l->words[l->at++]);
	}
	return buf_view(&b);
}

static const struct {
	const char *word;
	unsigned bit;
} verbs[] = {
	{"get", SCHEMA_GET},
	{"list", SCHEMA_LIST_VERB},
	{"watch", SCHEMA_WATCH},
	{"create", SCHEMA_CREATE},
	{"update", SCHEMA_UPDATE},
	{"patch", SCHEMA_PATCH},
	{"delete", SCHEMA_DELETE},
	{"deletecollection", SCHEMA_DELETECOLLECTION},
	{"all", 0xff},
};

static unsigned
verbs_of(struct line *l)
{
	unsigned got = 0;

	while (l->at < l->n) {
		struct str w = next_word(l, "a verb");
		unsigned bit = 0;

		for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
			if (str_eq_c(w, verbs[i].word))
				bit = verbs[i].bit;
		if (!bit)
			die(l->file, l->no, "unknown verb '" STR_FMT "'", STR_ARG(w));
		got |= bit;
	}
	return got;
}

static unsigned
format_of(struct line *l, struct str name)
{
	int f = format_find(name);

	if (f < 0)
		die(l->file, l->no, "unknown format '" STR_FMT "'", STR_ARG(name));
	return (unsigned)f;
}

static int64_t
int_of(struct line *l, struct str s)
{
	int64_t v = 0;

	if (str_to_i64(s, &v) != 0)
		die(l->file, l->no, "'" STR_FMT "' is no number", STR_ARG(s));
	return v;
}

static void
split(struct line *l, struct str s, char c, struct str **ret, size_t *n)
{
	struct str part = STR_NONE;

	while (str_next(&s, c, &part))
		*ARENA_PUSH(l->m->a, *ret, *n) = unquote(part);
}

static void
list_of(struct line *l, struct cfield *f, struct str v)
{
	if (str_eq_c(v, "atomic")) {
		f->list = SCHEMA_LIST_ATOMIC;
	} else if (str_eq_c(v, "set")) {
		f->list = SCHEMA_LIST_SET;
	} else if (str_starts(v, STR("map(")) && str_ends(v, STR(")"))) {
		f->list = SCHEMA_LIST_MAP;
		split(l, str_sub(v, 4, v.n - 1), ',', &f->list_keys, &f->n_list_keys);
	} else {
		die(l->file, l->no, "unknown list type '" STR_FMT "'", STR_ARG(v));
	}
}

/* Attributes that are one word, and what they set. */
static const struct {
	const char *word;
	unsigned flag;
	int emit; /* -2 = leaves it */
	unsigned patch;
} plain[] = {
	{"required", SCHEMA_REQUIRED, -2, 0},
	{"needed", SCHEMA_NEEDED, -2, 0},
	{"immutable", SCHEMA_IMMUTABLE, -2, 0},
	{"off", SCHEMA_OFF, -2, 0},
	{"wrapped", SCHEMA_WRAPPED, -2, 0},
	{"checked", SCHEMA_CHECKED_ENUM, -2, 0},
	{"unchecked", SCHEMA_UNCHECKED, -2, 0},
	{"unheld", SCHEMA_UNHELD, -2, 0},
	{"always", 0, SCHEMA_ALWAYS, 0},
	{"omitempty", 0, SCHEMA_OMITEMPTY, 0},
	{"omitzero", 0, SCHEMA_OMITZERO, 0},
	{"merge", 0, -2, SCHEMA_PATCH_MERGE},
	{"retainkeys", 0, -2, SCHEMA_PATCH_RETAIN_KEYS},
	{"replace", 0, -2, SCHEMA_PATCH_REPLACE},
};

static bool
attr_plain(struct cfield *f, struct str w)
{
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		if (!str_eq_c(w, plain[i].word))
			continue;
		f->flags |= plain[i].flag;
		f->patch |= plain[i].patch;
		if (plain[i].emit != -2)
			f->emit = plain[i].emit;
		return true;
	}
	return false;
}

static void
attr_enum(struct line *l, struct cfield *f, struct str v, unsigned flags)
{
	f->flags |= flags;
	split(l, v, '|', &f->enums, &f->n_enums);
}

static void
attr_value(struct line *l, struct cfield *f, struct str key, struct str v)
{
	if (str_eq_c(key, "merge")) {
		f->patch |= SCHEMA_PATCH_MERGE;
		f->merge_key = v;
	} else if (str_eq_c(key, "mergekey")) {
		f->merge_key = v;
	} else if (str_eq_c(key, "list")) {
		list_of(l, f, v);
	} else if (str_eq_c(key, "map")) {
		f->map_atomic = str_eq_c(v, "atomic");
		f->map_granular = str_eq_c(v, "granular");
	} else if (str_eq_c(key, "enum")) {
		attr_enum(l, f, v, 0);
	} else if (str_eq_c(key, "known")) {
		attr_enum(l, f, v, SCHEMA_OPEN_ENUM);
	} else if (str_eq_c(key, "one-of")) {
		attr_enum(l, f, v, SCHEMA_CHECKED_ENUM);
	} else if (str_eq_c(key, "min")) {
		f->has_min = true;
		f->min = int_of(l, v);
	} else if (str_eq_c(key, "max")) {
		f->has_max = true;
		f->max = int_of(l, v);
	} else if (str_eq_c(key, "maxitems")) {
		f->max_items = (uint32_t)int_of(l, v);
	} else if (str_eq_c(key, "maxlen")) {
		f->max_length = (uint32_t)int_of(l, v);
	} else if (str_eq_c(key, "format")) {
		f->format = format_of(l, v);
	} else {
		die(l->file, l->no, "unknown word '" STR_FMT "'", STR_ARG(key));
	}
}

static void
parse_field(struct line *l, struct ctype *t)
{
	struct cfield *f = ARENA_PUSH(l->m->a, t->fields, t->n_fields);
	struct str number = next_word(l, "a number");

	f->line = l->no;
	f->emit = -1;
	f->number = str_eq_c(number, "-") ? 0 : (unsigned)int_of(l, number);
	f->name = next_word(l, "a name");
	f->type_text = next_word(l, "a type");
	f->description = l->description;
	if (f->name.p[0] == '(')
		f->inline_type = true;
	while (l->at < l->n) {
		struct str w = next_word(l, "a word"), key = STR_NONE, v = STR_NONE;

		if (str_eq_c(w, "="))
			f->dflt = next_word(l, "a default");
		else if (attr_plain(f, w))
			continue;
		else if (str_cut(w, '=', &key, &v))
			attr_value(l, f, key, v);
		else
			die(l->file, l->no, "unknown word '" STR_FMT "'", STR_ARG(w));
	}
}

static const struct {
	const char *word;
	unsigned flag, clear;
} kind_words[] = {
	{"virtual", 0, SCHEMA_KIND_STORED},
	{"unserved", 0, SCHEMA_KIND_SERVED},
	{"status-reset", SCHEMA_KIND_STATUS_RESET, 0},
	{"generation", SCHEMA_KIND_GENERATION | SCHEMA_KIND_GENERATION_RAISED, 0},
	{"status-alone", SCHEMA_KIND_STATUS_ALONE, 0},
	{"generation=first", SCHEMA_KIND_GENERATION, 0},
	{"generation=raised", SCHEMA_KIND_GENERATION_RAISED, 0},
	{"create-on-update", SCHEMA_KIND_CREATE_ON_UPDATE, 0},
	{"no-unconditional", SCHEMA_KIND_NO_UNCONDITIONAL, 0},
};

/* parse_kind_words: "namespaced status-reset name=dns-subdomain ...". */
static void
parse_kind_words(struct line *l, struct ckind *k)
{
	for (; l->at < l->n; l->at++) {
		struct str w = l->words[l->at];
		bool known = false;

		for (size_t i = 0; i < ARRAY_LEN(kind_words); i++) {
			if (!str_eq_c(w, kind_words[i].word))
				continue;
			k->flags |= kind_words[i].flag;
			k->flags &= ~kind_words[i].clear;
			known = true;
		}
		if (str_starts(w, STR("name="))) {
			k->name_format = format_of(l, str_sub(w, 5, SIZE_MAX));
			known = true;
		}
		if (str_eq_c(w, "stored-in=core")) {
			k->storage_group = STR("");
			known = true;
		}
		if (str_starts(w, STR("stored-as="))) {
			k->storage_version = str_sub(w, 10, SIZE_MAX);
			known = true;
		}
		if (!known)
			die(l->file, l->no, "unknown word '" STR_FMT "'", STR_ARG(w));
	}
}

static void
parse_column(struct line *l, struct ckind *k)
{
	struct ccolumn *c = ARENA_PUSH(l->m->a, k->columns, k->n_columns);

	c->name = unquote(next_word(l, "a column name"));
	str_cut(next_word(l, "a column type"), '/', &c->type, &c->format);
	c->wide = take_word(l, "wide");
	if (!take_word(l, "="))
		die(l->file, l->no, "a column needs = and a cell");
	c->cell = rest_of(l);
	c->description = l->description;
}

static void
parse_select(struct line *l, struct ckind *k)
{
	struct cselect *s = ARENA_PUSH(l->m->a, k->selects, k->n_selects);

	s->label = s->path = s->attr = next_word(l, "a field");
	if (take_word(l, "="))
		s->path = next_word(l, "a path");
	if (take_word(l, "as"))
		s->attr = next_word(l, "an indexed name");
}

static void
parse_names(struct line *l, struct ckind *k)
{
	k->plural = next_word(l, "the plural");
	k->singular = next_word(l, "the singular");
	if (take_word(l, "short"))
		while (l->at < l->n && !str_eq_c(l->words[l->at], "in"))
			*ARENA_PUSH(l->m->a, k->short_names, k->n_short_names) = l->words[l->at++];
	if (take_word(l, "in"))
		while (l->at < l->n)
			*ARENA_PUSH(l->m->a, k->categories, k->n_categories) = l->words[l->at++];
}

static void
parse_kind_line(struct line *l, struct ckind *k)
{
	struct str w = next_word(l, "a word");

	if (str_eq_c(w, "names")) {
		parse_names(l, k);
	} else if (str_eq_c(w, "namespaced") || str_eq_c(w, "cluster")) {
		k->namespaced = str_eq_c(w, "namespaced");
		parse_kind_words(l, k);
	} else if (str_eq_c(w, "verbs")) {
		k->verbs = verbs_of(l);
		k->has_list_type = (k->verbs & SCHEMA_LIST_VERB) != 0;
	} else if (str_eq_c(w, "hash")) {
		k->hash = next_word(l, "the hash");
	} else if (str_eq_c(w, "column")) {
		parse_column(l, k);
	} else if (str_eq_c(w, "select")) {
		parse_select(l, k);
	} else if (str_eq_c(w, "subresource")) {
		struct csub *s = ARENA_PUSH(l->m->a, k->subs, k->n_subs);

		s->name = next_word(l, "a name");
		s->type_text = next_word(l, "a kind");
		if (!str_ends(s->type_text, STR(":")))
			die(l->file, l->no, "a subresource is: name Kind: verbs");
		s->type_text = str_sub(s->type_text, 0, s->type_text.n - 1);
		s->verbs = verbs_of(l);
	} else {
		die(l->file, l->no, "unknown word '" STR_FMT "'", STR_ARG(w));
	}
}

/* open_block: kind, type or projection. */
static struct ctype *
open_block(struct line *l, struct str what, const struct cgroup *g)
{
	struct ctype *t = ARENA_NEW(l->m->a, struct ctype);

	if (g->label.n == 0)
		die(l->file, l->no, "a group line must come first");
	*ARENA_PUSH(l->m->a, l->m->types, l->m->n_types) = t;
	t->file = l->file;
	t->line = l->no;
	t->group = g->group;
	t->version = g->version;
	t->label = g->label;
	t->name = next_word(l, "a name");
	t->description = l->description;
	if (str_eq_c(what, "kind")) {
		t->root = true;
		t->kind = ARENA_NEW(l->m->a, struct ckind);
		t->kind->type = t;
		t->kind->storage_group = t->group;
		t->kind->storage_version = t->version;
		t->kind->flags = SCHEMA_KIND_SERVED | SCHEMA_KIND_STORED;
	}
	for (; l->at < l->n; l->at++) {
		struct str w = l->words[l->at];

		if (str_eq_c(w, "root"))
			t->root = true;
		else if (str_eq_c(w, "map=atomic"))
			t->map_atomic = true;
		else if (str_eq_c(w, "hook"))
			t->hook = true;
		else if (str_eq_c(w, "check"))
			t->check = true;
		else
			die(l->file, l->no, "unknown word '" STR_FMT "'", STR_ARG(w));
	}
	return t;
}

/* open_projection: "projection pod_index of core/v1/Pod"; its lines are member paths. */
static struct ctype *
open_projection(struct line *l)
{
	struct ctype *t = ARENA_NEW(l->m->a, struct ctype);
	struct str group = STR_NONE, rest = STR_NONE, version = STR_NONE, name = STR_NONE;

	t->file = l->file;
	t->line = l->no;
	t->label = STR("projections");
	t->version = STR("v1");
	t->name = next_word(l, "a name");
	t->cname = t->name;
	t->description = l->description;
	if (!take_word(l, "of") || !str_cut(next_word(l, "a type"), '/', &group, &rest) ||
		!str_cut(rest, '/', &version, &name))
		die(l->file, l->no, "a projection is: projection name of group/version/Type");
	t->projection_of = model_type(
		l->m, str_eq_c(group, "core") ? STR("") : group, version, name);
	if (t->projection_of == NULL)
		die(l->file, l->no, "unknown type (projections come last)");
	*ARENA_PUSH(l->m->a, l->m->types, l->m->n_types) = t;
	return t;
}

static struct cgroup
parse_group(struct line *l)
{
	struct cgroup g = {.group = next_word(l, "a group")};
	struct str rest = STR_NONE;

	str_cut(g.group, '.', &g.label, &rest);
	if (str_eq_c(g.group, "core"))
		g.group = STR("");
	if (!take_word(l, "version"))
		die(l->file, l->no, "a group line is: group G version V [order N]");
	g.version = next_word(l, "a version");
	if (take_word(l, "order"))
		g.order = (int)int_of(l, next_word(l, "a number"));
	*ARENA_PUSH(l->m->a, l->m->groups, l->m->n_groups) = g;
	return g;
}

static void
parse_inner(struct line *l, struct ctype *t)
{
	char c = l->words[0].p[0];

	if (t->projection_of)
		*ARENA_PUSH(l->m->a, t->paths, t->n_paths) = (struct cpath){
			next_word(l, "a path"), l->no};
	else if (c == '-' || (c >= '0' && c <= '9'))
		parse_field(l, t);
	else if (t->kind)
		parse_kind_line(l, t->kind);
	else
		die(l->file, l->no, "a type has only fields: number name type");
}

void
model_parse(struct model *m, struct str file, struct str text)
{
	struct line l = {.m = m, .file = file};
	struct cgroup g = {0};
	struct ctype *t = NULL;
	struct str raw = STR_NONE;

	while (str_next(&text, '\n', &raw)) {
		l.no++;
		if (raw.n == 0 || raw.p[0] == '#')
			continue;
		words_of(&l, raw);
		if (l.n == 0)
			continue;
		if (raw.p[0] == ' ' || raw.p[0] == '\t') {
			if (t == NULL)
				die(file, l.no, "an indented line needs a kind or type before it");
			parse_inner(&l, t);
			continue;
		}
		struct str what = next_word(&l, "a word");

		t = NULL;
		if (str_eq_c(what, "group"))
			g = parse_group(&l);
		else if (str_eq_c(what, "kind") || str_eq_c(what, "type"))
			t = open_block(&l, what, &g);
		else if (str_eq_c(what, "projection"))
			t = open_projection(&l);
		else
			die(file, l.no, "unknown word '" STR_FMT "'", STR_ARG(what));
	}
}
