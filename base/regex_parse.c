/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * regex_parse: a pattern as a tree of nodes. See regex.h. */
#include "base/regex_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 60 /* of groups */
#define REPEAT_MAX 1000

enum { FLAG_FOLD = 1, FLAG_MULTI = 2, FLAG_DOT_ALL = 4 };

struct parser {
	struct arena *a;
	struct str all, rest;
	struct err *e;
	unsigned flags;
	int depth;
};

static int
fail(struct parser *p, const char *what, struct str at)
{
	return err_set(p->e, -EINVAL, R_INVALID, "error parsing regexp: %s: `" STR_FMT "`", what,
		STR_ARG(at));
}

static struct str
taken(struct str from, struct str rest)
{
	return str_sub(from, 0, from.n - rest.n);
}

size_t
regex_rune(struct str s, uint32_t *ret)
{
	const unsigned char *p = (const unsigned char *)s.p;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80 ? 1
		: p[0] < 0xc2  ? 0
		: p[0] < 0xe0  ? 2
		: p[0] < 0xf0  ? 3
		: p[0] < 0xf5  ? 4
			       : 0;
	uint32_t r = n == 1 ? p[0] : n ? p[0] & (0x7fu >> n) : 0;
	bool good = n != 0 && n <= s.n;
	for (size_t i = 1; good && i < n; i++) {
		good = (p[i] & 0xc0) == 0x80;
		r = r << 6 | (p[i] & 0x3f);
	}
	if (!good || r < least[n] || r > RUNE_MAX || (r >= 0xd800 && r < 0xe000)) {
		*ret = 0xfffd;
		return 1;
	}
	*ret = r;
	return n;
}

static uint32_t
rune_take(struct parser *p)
{
	uint32_t r = 0;
	size_t n = regex_rune(p->rest, &r);
	p->rest = str_sub(p->rest, n, SIZE_MAX);
	return r;
}

static bool
skip(struct parser *p, const char *text)
{
	if (!str_starts(p->rest, str_c(text)))
		return false;
	p->rest = str_sub(p->rest, strlen(text), SIZE_MAX);
	return true;
}

static struct node *
node_new(struct parser *p, enum node_kind kind)
{
	struct node *n = ARENA_NEW(p->a, struct node);
	if (n)
		n->kind = kind;
	return n;
}

static void
node_add(struct node *parent, struct node *child)
{
	if (parent->last)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
}

static int
by_lo(const void *x, const void *y)
{
	const struct range *a = x, *b = y;
	return a->lo < b->lo ? -1 : a->lo > b->lo;
}

static void
set_add(struct parser *p, struct set *s, uint32_t lo, uint32_t hi)
{
	struct range *r = ARENA_PUSH(p->a, s->ranges, s->n);
	if (r)
		*r = (struct range){lo, hi};
}

static void
set_tidy(struct set *s)
{
	size_t at = 0;
	if (s->n == 0)
		return;
	qsort(s->ranges, s->n, sizeof(*s->ranges), by_lo);
	for (size_t i = 1; i < s->n; i++) {
		if (s->ranges[i].lo <= s->ranges[at].hi + 1) {
			if (s->ranges[i].hi > s->ranges[at].hi)
				s->ranges[at].hi = s->ranges[i].hi;
		} else {
			s->ranges[++at] = s->ranges[i];
		}
	}
	s->n = at + 1;
}

static void
set_negate(struct parser *p, struct set *s)
{
	struct set out = {.fold = s->fold};
	uint32_t from = 0;
	set_tidy(s);
	for (size_t i = 0; i < s->n; i++) {
		if (s->ranges[i].lo > from)
			set_add(p, &out, from, s->ranges[i].lo - 1);
		from = s->ranges[i].hi + 1;
	}
	if (from <= RUNE_MAX)
		set_add(p, &out, from, RUNE_MAX);
	*s = out;
}

static const struct named {
	const char *name;
	struct range ranges[4];
} perl_sets[] =
	{
		{"d", {{'0', '9'}}},
		{"s", {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}}},
		{"w", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
},
  posix_sets[] = {
	  {"alnum", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}},
	  {"alpha", {{'A', 'Z'}, {'a', 'z'}}},
	  {"ascii", {{0, 0x7f}}},
	  {"blank", {{'\t', '\t'}, {' ', ' '}}},
	  {"cntrl", {{0, 0x1f}, {0x7f, 0x7f}}},
	  {"digit", {{'0', '9'}}},
	  {"graph", {{'!', '~'}}},
	  {"lower", {{'a', 'z'}}},
	  {"print", {{' ', '~'}}},
	  {"punct", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}},
	  {"space", {{'\t', '\r'}, {' ', ' '}}},
	  {"upper", {{'A', 'Z'}}},
	  {"word", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
	  {"xdigit", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}},
};

static void
set_add_named(struct parser *p, struct set *s, const struct named *what, bool negate)
{
	struct set own = {0};
	for (size_t i = 0; i < ARRAY_LEN(what->ranges) && what->ranges[i].hi; i++)
		set_add(p, &own, what->ranges[i].lo, what->ranges[i].hi);
	if (negate)
		set_negate(p, &own);
	for (size_t i = 0; i < own.n; i++)
		set_add(p, s, own.ranges[i].lo, own.ranges[i].hi);
}

/* \d and alike at the beginning of the rest: taken into s. */
static bool
perl_set(struct parser *p, struct set *s)
{
	if (p->rest.n < 2 || p->rest.p[0] != '\\')
		return false;
	char c = p->rest.p[1];
	for (size_t i = 0; i < ARRAY_LEN(perl_sets); i++) {
		char low = perl_sets[i].name[0];
		if (c != low && c != low - 32)
			continue;
		set_add_named(p, s, &perl_sets[i], c != low);
		p->rest = str_sub(p->rest, 2, SIZE_MAX);
		return true;
	}
	return false;
}

static bool
escape_hex(struct parser *p, uint32_t *ret)
{
	bool braces = skip(p, "{");
	uint32_t r = 0;
	size_t n = 0;
	while (p->rest.n && hex_digit(p->rest.p[0]) >= 0 && r <= RUNE_MAX && (braces || n < 2)) {
		r = r * 16 + (uint32_t)hex_digit(p->rest.p[0]);
		p->rest = str_sub(p->rest, 1, SIZE_MAX);
		n++;
	}
	*ret = r;
	return braces ? n > 0 && r <= RUNE_MAX && skip(p, "}") : n == 2;
}

/* A backslash and what follows, as one character. */
static int
escape(struct parser *p, uint32_t *ret)
{
	static const char names[] = "afnrtv", values[] = "\a\f\n\r\t\v";
	struct str from = p->rest;
	p->rest = str_sub(p->rest, 1, SIZE_MAX);
	if (p->rest.n == 0)
		return fail(p, "trailing backslash at end of expression", STR(""));
	uint32_t c = rune_take(p);
	const char *at = c && c < 0x80 ? strchr(names, (int)c) : NULL;
	bool word = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
	*ret = c;
	if (at) {
		*ret = (unsigned char)values[at - names];
		return 0;
	}
	if (c == 'x' && escape_hex(p, ret))
		return 0;
	bool octal = c == '0' ||
		(c >= '1' && c <= '7' && p->rest.n && p->rest.p[0] >= '0' && p->rest.p[0] <= '7');
	if (octal) {
		uint32_t r = c - '0';
		for (int i = 0; i < 2 && p->rest.n && p->rest.p[0] >= '0' && p->rest.p[0] <= '7';
			i++) {
			r = r * 8 + (uint32_t)(p->rest.p[0] - '0');
			p->rest = str_sub(p->rest, 1, SIZE_MAX);
		}
		*ret = r;
		return 0;
	}
	if (c < 0x80 && !word && c != '_')
		return 0;
	return fail(p, "invalid escape sequence", taken(from, p->rest));
}

static bool
posix_set(struct parser *p, struct set *s, bool *ret_bad)
{
	struct str from = p->rest;
	ptrdiff_t end = str_find(p->rest, STR(":]"));
	if (!str_starts(p->rest, STR("[:")) || end < 0)
		return false;
	struct str name = str_sub(p->rest, 2, (size_t)end);
	bool negate = name.n && name.p[0] == '^';
	if (negate)
		name = str_sub(name, 1, SIZE_MAX);
	p->rest = str_sub(p->rest, (size_t)end + 2, SIZE_MAX);
	for (size_t i = 0; i < ARRAY_LEN(posix_sets); i++)
		if (str_eq_c(name, posix_sets[i].name)) {
			set_add_named(p, s, &posix_sets[i], negate);
			return true;
		}
	*ret_bad = true;
	fail(p, "invalid character class range", taken(from, p->rest));
	return true;
}

static int
class_char(struct parser *p, struct str whole, uint32_t *ret)
{
	if (p->rest.n == 0)
		return fail(p, "missing closing ]", whole);
	if (p->rest.p[0] == '\\')
		return escape(p, ret);
	*ret = rune_take(p);
	return 0;
}

static int
parse_class(struct parser *p, struct node **ret)
{
	struct str whole = p->rest;
	struct node *n = node_new(p, NODE_SET);
	struct set *s = ARENA_NEW(p->a, struct set);
	bool first = true, bad = false;
	if (!n || !s)
		return -ENOMEM;
	n->set = s;
	s->fold = p->flags & FLAG_FOLD;
	skip(p, "[");
	bool negate = skip(p, "^");
	while (p->rest.n == 0 || p->rest.p[0] != ']' || first) {
		struct str from = p->rest;
		uint32_t lo = 0, hi = 0;
		first = false;
		if (p->rest.n && (posix_set(p, s, &bad) || perl_set(p, s))) {
			if (bad)
				return -EINVAL;
			continue;
		}
		int rc = class_char(p, whole, &lo);
		if (rc < 0)
			return rc;
		hi = lo;
		if (p->rest.n >= 2 && p->rest.p[0] == '-' && p->rest.p[1] != ']') {
			skip(p, "-");
			rc = class_char(p, whole, &hi);
			if (rc < 0)
				return rc;
			if (hi < lo)
				return fail(
					p, "invalid character class range", taken(from, p->rest));
		}
		set_add(p, s, lo, hi);
	}
	skip(p, "]");
	if (negate) {
		if (s->fold) /* what folds to a member is a member before it is turned around */
			for (size_t i = 0, had = s->n; i < had; i++)
				for (uint32_t c = s->ranges[i].lo; c <= s->ranges[i].hi && c < 0x80;
					c++)
					if ((c | 32) >= 'a' && (c | 32) <= 'z')
						set_add(p, s, c ^ 32, c ^ 32);
		s->fold = false;
		set_negate(p, s);
	} else {
		set_tidy(s);
	}
	*ret = n;
	return 0;
}

static struct node *
node_range(struct parser *p, uint32_t lo, uint32_t hi)
{
	struct node *n = node_new(p, NODE_SET);
	struct set *s = ARENA_NEW(p->a, struct set);
	if (!n || !s)
		return NULL;
	n->set = s;
	s->fold = p->flags & FLAG_FOLD;
	set_add(p, s, lo, hi);
	return n;
}

static struct node *
node_dot(struct parser *p)
{
	struct node *n = node_range(p, 0, (p->flags & FLAG_DOT_ALL) ? RUNE_MAX : '\n' - 1);
	if (n && !(p->flags & FLAG_DOT_ALL))
		set_add(p, n->set, '\n' + 1, RUNE_MAX);
	return n;
}

/* {n}, {n,}, {n,m}: false: it is a brace like any other. */
static bool
repeat_counts(struct parser *p, int *min, int *max)
{
	struct str rest = str_sub(p->rest, 1, SIZE_MAX), text, lo, hi;
	if (!str_cut(rest, '}', &text, &rest) || text.n == 0)
		return false;
	bool pair = str_cut(text, ',', &lo, &hi);
	if (!pair)
		lo = hi = text;
	int64_t v[2] = {0, -1};
	struct str parts[2] = {lo, hi};
	for (size_t k = 0; k < 2; k++) {
		if (k == 1 && pair && hi.n == 0)
			break;
		if (parts[k].n == 0 || (parts[k].n > 1 && parts[k].p[0] == '0'))
			return false;
		v[k] = 0;
		for (size_t i = 0; i < parts[k].n; i++) {
			if (parts[k].p[i] < '0' || parts[k].p[i] > '9')
				return false;
			if (v[k] <= REPEAT_MAX)
				v[k] = v[k] * 10 + (parts[k].p[i] - '0');
		}
	}
	*min = (int)v[0];
	*max = (int)v[1];
	p->rest = rest;
	return true;
}

static int parse_alt(struct parser *p, struct node **ret);

/* (?i) and alike: the flags; *ret_group: a colon follows: they hold for the group. */
static int
parse_flags(struct parser *p, struct str from, bool *ret_group)
{
	unsigned flags = p->flags;
	bool negative = false, any = false;
	while (p->rest.n) {
		char c = p->rest.p[0];
		p->rest = str_sub(p->rest, 1, SIZE_MAX);
		unsigned bit = c == 'i' ? FLAG_FOLD
			: c == 'm'      ? FLAG_MULTI
			: c == 's'      ? FLAG_DOT_ALL
					: 0;
		if (bit || c == 'U') {
			flags = negative ? flags & ~bit : flags | bit;
			any = true;
		} else if (c == '-' && !negative) {
			negative = true;
			any = false;
		} else if ((c == ':' || c == ')') && (!negative || any)) {
			p->flags = flags;
			*ret_group = c == ':';
			return 0;
		} else {
			return fail(p, "invalid or unsupported Perl syntax", taken(from, p->rest));
		}
	}
	return fail(p, "missing closing )", p->all);
}

static int
parse_group(struct parser *p, struct node **ret)
{
	struct str from = p->rest;
	unsigned flags = p->flags;
	bool group = true;
	if (++p->depth > DEPTH_MAX)
		return fail(p, "expression nests too deeply", p->all);
	skip(p, "(");
	if (skip(p, "?P<") ||
		(str_starts(p->rest, STR("?<")) && p->rest.n > 2 && p->rest.p[2] != '=' &&
			p->rest.p[2] != '!' && skip(p, "?<"))) {
		ptrdiff_t end = str_find_char(p->rest, '>');
		bool good = end > 0;
		for (ptrdiff_t i = 0; good && i < end; i++) {
			char c = p->rest.p[i];
			good = c == '_' || hex_digit(c) >= 0 || (c >= 'a' && c <= 'z') ||
				(c >= 'A' && c <= 'Z');
		}
		if (!good)
			return fail(p, "invalid named capture", from);
		p->rest = str_sub(p->rest, (size_t)end + 1, SIZE_MAX);
	} else if (skip(p, "?")) {
		int rc = parse_flags(p, from, &group);
		if (rc < 0)
			return rc;
	}
	if (!group) { /* the flags stay until the group around them ends */
		p->depth--;
		*ret = node_new(p, NODE_EMPTY);
		return *ret ? 0 : -ENOMEM;
	}
	int rc = parse_alt(p, ret);
	if (rc < 0)
		return rc;
	if (!skip(p, ")"))
		return fail(p, "missing closing )", p->all);
	p->flags = flags;
	p->depth--;
	return 0;
}

static int
parse_escape(struct parser *p, struct node *cat, struct node **ret)
{
	static const struct {
		const char *text;
		enum node_kind kind;
	} asserts[] = {
		{"\\A", NODE_TEXT_BEGIN},
		{"\\z", NODE_TEXT_END},
		{"\\b", NODE_WORD},
		{"\\B", NODE_NO_WORD},
	};
	uint32_t c = 0;
	for (size_t i = 0; i < ARRAY_LEN(asserts); i++)
		if (skip(p, asserts[i].text)) {
			*ret = node_new(p, asserts[i].kind);
			return *ret ? 0 : -ENOMEM;
		}
	if (skip(p, "\\Q")) {
		while (p->rest.n && !skip(p, "\\E")) {
			if (*ret)
				node_add(cat, *ret);
			c = rune_take(p);
			*ret = node_range(p, c, c);
			if (!*ret)
				return -ENOMEM;
		}
		return 0;
	}
	struct node *n = node_new(p, NODE_SET);
	struct set *s = ARENA_NEW(p->a, struct set);
	if (!n || !s)
		return -ENOMEM;
	if (perl_set(p, s)) {
		n->set = s;
		set_tidy(s);
		*ret = n;
		return 0;
	}
	int rc = escape(p, &c);
	*ret = rc < 0 ? NULL : node_range(p, c, c);
	return rc < 0 ? rc : *ret ? 0 : -ENOMEM;
}

static int
parse_atom(struct parser *p, struct node *cat, struct node **ret)
{
	char c = p->rest.p[0];
	if (c == '(')
		return parse_group(p, ret);
	if (c == '[')
		return parse_class(p, ret);
	if (c == '\\')
		return parse_escape(p, cat, ret);
	if (c == '.' || c == '^' || c == '$') {
		bool multi = p->flags & FLAG_MULTI;
		p->rest = str_sub(p->rest, 1, SIZE_MAX);
		*ret = c == '.'    ? node_dot(p)
			: c == '^' ? node_new(p, multi ? NODE_LINE_BEGIN : NODE_TEXT_BEGIN)
				   : node_new(p, multi ? NODE_LINE_END : NODE_TEXT_END);
		return *ret ? 0 : -ENOMEM;
	}
	uint32_t r = rune_take(p);
	*ret = node_range(p, r, r);
	return *ret ? 0 : -ENOMEM;
}

/* A repetition at the beginning of the rest: 1 with its bounds, 0 none, -EINVAL. */
static int
parse_repeat(struct parser *p, int *min, int *max, bool *lazy)
{
	struct str from = p->rest;
	char c = p->rest.n ? p->rest.p[0] : 0;
	if (c == '*' || c == '+' || c == '?') {
		*min = c == '+';
		*max = c == '?' ? 1 : -1;
		p->rest = str_sub(p->rest, 1, SIZE_MAX);
	} else if (c != '{' || !repeat_counts(p, min, max)) {
		return 0;
	}
	if (*min > REPEAT_MAX || *max > REPEAT_MAX || (*max >= 0 && *min > *max))
		return fail(p, "invalid repeat count", taken(from, p->rest));
	*lazy = skip(p, "?");
	return 1;
}

static int
parse_cat(struct parser *p, struct node **ret)
{
	struct node *cat = node_new(p, NODE_CAT);
	struct str last = STR_NONE; /* the repetition just seen, and what follows */
	struct node *atom = NULL;
	if (!cat)
		return -ENOMEM;
	while (p->rest.n && p->rest.p[0] != '|' && p->rest.p[0] != ')') {
		struct str from = p->rest;
		int min = 0, max = 0;
		bool lazy = false;
		int rc = parse_repeat(p, &min, &max, &lazy);
		if (rc < 0)
			return rc;
		if (rc == 1) {
			if (str_is_set(last))
				return fail(p, "invalid nested repetition operator",
					taken(last, p->rest));
			if (!atom)
				return fail(p, "missing argument to repetition operator",
					taken(from, p->rest));
			struct node *rep = node_new(p, NODE_REPEAT);
			if (!rep)
				return -ENOMEM;
			rep->min = min;
			rep->max = max;
			rep->lazy = lazy;
			node_add(rep, atom);
			atom = rep;
			last = from;
			continue;
		}
		if (atom)
			node_add(cat, atom);
		atom = NULL;
		last = STR_NONE;
		rc = parse_atom(p, cat, &atom);
		if (rc < 0)
			return rc;
	}
	if (atom)
		node_add(cat, atom);
	*ret = cat;
	return 0;
}

static int
parse_alt(struct parser *p, struct node **ret)
{
	struct node *alt = node_new(p, NODE_ALT);
	if (!alt)
		return -ENOMEM;
	do {
		struct node *cat = NULL;
		int rc = parse_cat(p, &cat);
		if (rc < 0)
			return rc;
		node_add(alt, cat);
	} while (skip(p, "|"));
	*ret = alt;
	return 0;
}

int
regex_parse(struct arena *a, struct str pattern, struct node **ret, struct err *e)
{
	struct parser p = {.a = a, .all = pattern, .rest = pattern, .e = e};
	int rc = parse_alt(&p, ret);
	return rc == 0 && p.rest.n ? fail(&p, "unexpected )", p.all) : rc;
}
