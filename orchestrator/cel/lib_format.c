/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lib_format: string.format: %s %d %f %e %b %x %X %o and their precision. Source: cel-go ext/formatting.go. */
#include "orchestrator/cel/cel_int.h"

#include <stdio.h>

#define MAX_LEVELS 32
#define MAX_PRECISION 1000
#define PRECISION 6

struct printer {
	struct cel_eval *e;
	struct buf b;
	const char *wrap;
	struct cel_value fault;
	bool failed;
};

static struct str
name_of(struct printer *p, const struct cel_value *v)
{
	return cel_type_runtime_name(cel_value_type(p->e, v));
}

static void
fail(struct printer *p, const char *why, const struct cel_value *v)
{
	struct str type = name_of(p, v);
	if (!p->failed)
		p->fault = cel_fault(
			p->e, "error during formatting: %s, was given %.*s", why, STR_ARG(type));
	p->failed = true;
}

/* As Go's %q. */
static void
put_quoted(struct buf *b, struct str s)
{
	static const char from[] = "\a\b\f\n\r\t\v\\\"", to[] = "abfnrtv\\\"";
	buf_char(b, '"');
	for (size_t i = 0; i < s.n;) {
		uint32_t r = 0;
		size_t len = cel_rune_next(s, i, &r);
		const char *at = r && r < 0x80 ? memchr(from, (int)r, sizeof(from) - 1) : NULL;
		if (at) {
			buf_char(b, '\\');
			buf_char(b, to[at - from]);
		} else if (r == 0xfffd && len == 1) {
			buf_fmt(b, "\\x%02x", (uint8_t)s.p[i]);
		} else if (r < 0x20 || r == 0x7f) {
			buf_fmt(b, "\\x%02x", r);
		} else {
			cel_rune_put(b, r);
		}
		i += len;
	}
	buf_char(b, '"');
}

static void put_literal(struct printer *p, const struct cel_value *v, unsigned depth);

static void
put_list(struct printer *p, const struct cel_value *v, unsigned depth)
{
	struct cel_value k, item;
	buf_char(&p->b, '[');
	for (struct cel_iter it = {.of = v}; cel_next(p->e, &it, &k, &item) && !p->failed;) {
		if (it.i > 1)
			buf_cstr(&p->b, ", ");
		put_literal(p, &item, depth + 1);
	}
	buf_char(&p->b, ']');
}

/* Entries by the text of their keys. */
static void
put_map(struct printer *p, const struct cel_value *v, unsigned depth)
{
	size_t n = cel_size(v), count = 0;
	struct str *keys = ARENA_ARRAY(p->e->a, struct str, n);
	struct cel_value *values = ARENA_ARRAY(p->e->a, struct cel_value, n), k, item;
	if (!keys || !values) {
		p->e->stop = -ENOMEM;
		return;
	}
	for (struct cel_iter it = {.of = v}; cel_next(p->e, &it, &k, &item);) {
		struct buf b = BUF_INIT;
		buf_init_arena(&b, p->e->a);
		if (k.kind == CEL_STRING)
			put_quoted(&b, k.s);
		else
			buf_str(&b, cel_to_text(p->e, &k));
		size_t at = count++;
		for (; at && str_cmp(keys[at - 1], buf_view(&b)) > 0; at--) {
			keys[at] = keys[at - 1];
			values[at] = values[at - 1];
		}
		keys[at] = buf_view(&b);
		values[at] = item;
	}
	buf_char(&p->b, '{');
	for (size_t i = 0; i < count && !p->failed; i++) {
		if (i)
			buf_cstr(&p->b, ", ");
		buf_str(&p->b, keys[i]);
		buf_char(&p->b, ':');
		put_literal(p, &values[i], depth + 1);
	}
	buf_char(&p->b, '}');
}

/* Thousands apart, as the printer of upstream's locale has them. */
static void
put_grouped(struct buf *b, double d, int precision)
{
	char out[MAX_PRECISION + 400];
	int n = snprintf(out, sizeof(out), "%.*f", precision, d);
	struct str s = str_from(out, n > 0 ? (size_t)n : 0);
	ptrdiff_t dot = str_find_char(s, '.');
	size_t whole = dot < 0 ? s.n : (size_t)dot;
	for (size_t i = 0; i < s.n; i++) {
		if (i && i < whole && (whole - i) % 3 == 0 && s.p[i - 1] != '-')
			buf_char(b, ',');
		buf_char(b, s.p[i]);
	}
}

static void
put_fixed(struct buf *b, double d, int precision)
{
	if (d != d)
		buf_cstr(b, "NaN");
	else if (d - d != 0)
		buf_cstr(b, d > 0 ? "\xe2\x88\x9e" : "-\xe2\x88\x9e");
	else
		put_grouped(b, d, precision);
}

/* Inside of lists and maps: as the language would write it. */
static void
put_literal(struct printer *p, const struct cel_value *v, unsigned depth)
{
	struct buf *b = &p->b;
	if (depth > MAX_LEVELS || p->failed)
		return;
	if (v->kind == CEL_STRING || v->kind == CEL_BYTES) {
		if (v->kind == CEL_BYTES)
			buf_char(b, 'b');
		put_quoted(b, v->s);
	} else if (v->kind == CEL_TIMESTAMP || v->kind == CEL_DURATION) {
		buf_cstr(b, v->kind == CEL_TIMESTAMP ? "timestamp(" : "duration(");
		put_quoted(b, cel_to_text(p->e, v));
		buf_char(b, ')');
	} else if (v->kind == CEL_DOUBLE) {
		if (v->d != v->d || v->d - v->d != 0)
			buf_cstr(b, v->d != v->d ? "\"NaN\"" : v->d > 0 ? "\"+Inf\"" : "\"-Inf\"");
		else
			buf_fmt(b, "%.6f", v->d);
	} else if (v->kind == CEL_LIST) {
		put_list(p, v, depth);
	} else if (v->kind == CEL_MAP || (v->kind == CEL_OBJECT && v->from_doc)) {
		put_map(p, v, depth);
	} else if (v->kind == CEL_INT || v->kind == CEL_UINT || v->kind == CEL_BOOL ||
		v->kind == CEL_NULL || v->kind == CEL_TYPE) {
		buf_str(b, cel_to_text(p->e, v));
	} else {
		struct str type = name_of(p, v);
		p->fault = cel_fault(p->e,
			"error during formatting: no formatting function for %.*s", STR_ARG(type));
		p->failed = true;
	}
}

static void
put_string(struct printer *p, const struct cel_value *v)
{
	if (v->kind == CEL_LIST)
		put_list(p, v, 0);
	else if (v->kind == CEL_MAP || (v->kind == CEL_OBJECT && v->from_doc))
		put_map(p, v, 0);
	else if (v->kind == CEL_OPAQUE || v->kind == CEL_OPTIONAL || v->kind == CEL_OBJECT)
		fail(p, "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps",
			v);
	else
		buf_str(&p->b, cel_to_text(p->e, v));
}

static void
put_base(struct buf *b, const struct cel_value *v, unsigned base, bool upper)
{
	char out[66];
	size_t n = sizeof(out);
	bool minus = v->kind == CEL_INT && v->i < 0;
	uint64_t u = minus ? 0 - v->u : v->u;
	do {
		unsigned digit = (unsigned)(u % base);
		out[--n] = (char)(digit < 10 ? '0' + digit : (upper ? 'A' : 'a') + digit - 10);
		u /= base;
	} while (u);
	if (minus)
		buf_char(b, '-');
	buf_add(b, out + n, sizeof(out) - n);
}

static bool
is_whole(const struct cel_value *v)
{
	return v->kind == CEL_INT || v->kind == CEL_UINT;
}

/* %f and %e take doubles, and the names of the numbers that are none. */
static bool
as_double(const struct cel_value *v, double *ret)
{
	if (v->kind == CEL_DOUBLE) {
		*ret = v->d;
		return true;
	}
	if (v->kind != CEL_STRING)
		return false;
	*ret = str_eq_c(v->s, "NaN")         ? __builtin_nan("")
		: str_eq_c(v->s, "Infinity") ? __builtin_inf()
					     : -__builtin_inf();
	return str_eq_c(v->s, "NaN") || str_eq_c(v->s, "Infinity") || str_eq_c(v->s, "-Infinity");
}

/* The precision is the width here, as it is upstream. */
static void
put_scientific(struct buf *b, double d, int width)
{
	static const char *const small[] = {"\xe2\x81\xb0", "\xc2\xb9", "\xc2\xb2", "\xc2\xb3",
		"\xe2\x81\xb4", "\xe2\x81\xb5", "\xe2\x81\xb6", "\xe2\x81\xb7", "\xe2\x81\xb8",
		"\xe2\x81\xb9"};
	char out[64];
	if (d != d || d - d != 0) {
		put_fixed(b, d, PRECISION);
		return;
	}
	int n = snprintf(out, sizeof(out), "%.6e", d);
	struct str s = str_from(out, n > 0 ? (size_t)n : 0), head = s, tail = STR("+00");
	str_cut(s, 'e', &head, &tail);
	int runes = (int)(head.n + 3 + tail.n - (tail.p[0] == '+'));
	for (; runes < width; runes++)
		buf_char(b, ' ');
	buf_str(b, head);
	buf_cstr(b,
		"\xc3\x97"
		"10");
	for (size_t i = 0; i < tail.n; i++) {
		if (tail.p[i] == '-')
			buf_cstr(b, "\xe2\x81\xbb");
		else if (tail.p[i] >= '0' && tail.p[i] <= '9')
			buf_cstr(b, small[tail.p[i] - '0']);
	}
}

static void
clause(struct printer *p, char c, const struct cel_value *v, int precision)
{
	double d = 0;
	switch (c) {
	case 's':
		put_string(p, v);
		return;
	case 'd':
		if (!is_whole(v))
			fail(p, "decimal clause can only be used on integers", v);
		else
			put_base(&p->b, v, 10, false);
		return;
	case 'f':
		if (!as_double(v, &d))
			fail(p, "fixed-point clause can only be used on doubles", v);
		else
			put_fixed(&p->b, d, precision);
		return;
	case 'e':
		if (!as_double(v, &d))
			fail(p, "scientific clause can only be used on doubles", v);
		else
			put_scientific(&p->b, d, precision);
		return;
	case 'b':
		if (v->kind == CEL_BOOL)
			buf_char(&p->b, v->b ? '1' : '0');
		else if (!is_whole(v))
			fail(p, "only integers and bools can be formatted as binary", v);
		else
			put_base(&p->b, v, 2, false);
		return;
	case 'o':
		if (!is_whole(v))
			fail(p, "octal clause can only be used on integers", v);
		else
			put_base(&p->b, v, 8, false);
		return;
	default:
		break;
	}
	if (v->kind == CEL_STRING || v->kind == CEL_BYTES)
		for (size_t i = 0; i < v->s.n; i++)
			buf_fmt(&p->b, c == 'X' ? "%02X" : "%02x", (uint8_t)v->s.p[i]);
	else if (!is_whole(v))
		fail(p, "only integers, byte buffers, and strings can be formatted as hex", v);
	else
		put_base(&p->b, v, 16, c == 'X');
}

/* What stands behind a %: bytes taken, 0 = a fault. */
static size_t
parse_clause(struct printer *p, struct str s, char *c, int *precision)
{
	size_t i = 0;
	*precision = PRECISION;
	if (s.p[0] == '.') {
		int64_t v = 0;
		for (i = 1; i < s.n && s.p[i] >= '0' && s.p[i] <= '9';)
			i++;
		if (i >= s.n || str_to_i64(str_sub(s, 1, i), &v) < 0 || v > MAX_PRECISION) {
			p->failed = true;
			p->fault = i >= s.n
				? cel_fault(p->e,
					  "could not parse formatting clause: error while parsing precision: could not find end of precision specifier")
				: cel_fault(p->e,
					  "could not parse formatting clause: error while parsing precision: error while converting precision to integer: strconv.Atoi: parsing \"%.*s\": %s",
					  STR_ARG(str_sub(s, 1, i)),
					  i == 1 ? "invalid syntax" : "value out of range");
			return 0;
		}
		*precision = (int)v;
	}
	*c = s.p[i];
	if (memchr("sdfebxXo", *c, 8))
		return i + 1;
	p->failed = true;
	p->fault = cel_fault(p->e,
		"could not parse formatting clause: unrecognized formatting clause \"%c\"", *c);
	return 0;
}

struct cel_value
cel_string_format(struct cel_eval *e, const struct cel_value *args, size_t n)
{
	(void)n;
	struct printer p = {.e = e};
	struct str s = args[0].s;
	size_t arg = 0, n_args = cel_size(&args[1]);
	buf_init_arena(&p.b, e->a);
	for (size_t i = 0; i < s.n && !p.failed && !e->stop;) {
		char c = 0;
		int precision = 0;
		if (s.p[i] != '%') {
			buf_char(&p.b, s.p[i++]);
			continue;
		}
		if (i + 1 < s.n && s.p[i + 1] == '%') {
			buf_char(&p.b, '%');
			i += 2;
			continue;
		}
		if (arg >= n_args)
			return cel_fault(e, "index %zu out of range", arg);
		if (i + 1 >= s.n)
			return cel_fault(e, "unexpected end of string");
		size_t len = parse_clause(&p, str_sub(s, i + 1, SIZE_MAX), &c, &precision);
		struct cel_value v = cel_list_get(e, &args[1], arg++);
		if (len)
			clause(&p, c, &v, precision);
		i += len + 1;
	}
	if (p.b.failed)
		e->stop = -ENOMEM;
	return p.failed ? p.fault : cel_of_string(buf_view(&p.b));
}

/* ---- before it runs: as far as literals tell ---- */

struct format_kinds {
	char clause;
	const char *why;
	enum cel_kind kinds[12];
};
static const struct format_kinds allowed[] = {
	{'s', "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps",
		{CEL_LIST, CEL_MAP, CEL_INT, CEL_UINT, CEL_DOUBLE, CEL_BOOL, CEL_STRING,
			CEL_TIMESTAMP, CEL_BYTES, CEL_DURATION, CEL_TYPE, CEL_NULL}},
	{'d', "decimal clause can only be used on integers", {CEL_INT, CEL_UINT}},
	{'f', "fixed-point clause can only be used on doubles", {CEL_DOUBLE, CEL_STRING}},
	{'e', "scientific clause can only be used on doubles", {CEL_DOUBLE, CEL_STRING}},
	{'b', "only integers and bools can be formatted as binary", {CEL_INT, CEL_UINT, CEL_BOOL}},
	{'x', "only integers, byte buffers, and strings can be formatted as hex",
		{CEL_INT, CEL_UINT, CEL_STRING, CEL_BYTES}},
	{'o', "octal clause can only be used on integers", {CEL_INT, CEL_UINT}},
};

/* The node that may not stand there; NULL = all is well. */
static const struct cel_node *
misplaced(const struct format_kinds *k, const struct cel_node *n, unsigned depth)
{
	bool good = n->type->kind == CEL_DYN;
	for (size_t i = 0; i < ARRAY_LEN(k->kinds); i++)
		good = good || (k->kinds[i] != CEL_DYN && k->kinds[i] == n->type->kind);
	if (!good)
		return n;
	if (k->clause == 's' && (n->kind == NODE_LIST || n->kind == NODE_MAP) && depth < MAX_LEVELS)
		for (size_t i = 0; i < n->n; i++) {
			const struct cel_node *bad = misplaced(k, n->args[i], depth + 1);
			if (bad)
				return bad;
		}
	return NULL;
}

void
cel_format_check(struct cel_compiler *c, const struct cel_node *n)
{
	struct cel_eval e = {.a = c->a};
	struct printer p = {.e = &e};
	if (n->n != 2 || n->args[0]->kind != NODE_CONST || n->args[0]->value.kind != CEL_STRING ||
		n->args[1]->kind != NODE_LIST)
		return;
	struct str s = n->args[0]->value.s;
	const struct cel_node *list = n->args[1];
	size_t arg = 0;
	for (size_t i = 0; i < s.n; i++) {
		char kind = 0;
		int precision = 0;
		if (s.p[i] != '%')
			continue;
		if (i + 1 < s.n && s.p[i + 1] == '%') {
			i++;
			continue;
		}
		if (i + 1 >= s.n || arg >= list->n) {
			if (arg >= list->n)
				cel_issue(c, n->at, "index %zu out of range", arg);
			else
				cel_issue(c, n->at, "unexpected end of string");
			return;
		}
		size_t len = parse_clause(&p, str_sub(s, i + 1, SIZE_MAX), &kind, &precision);
		if (len == 0) {
			struct str why = cel_fault_text(&p.fault);
			cel_issue(c, n->at, "%.*s", STR_ARG(why));
			return;
		}
		for (size_t k = 0; k < ARRAY_LEN(allowed); k++) {
			const struct cel_node *bad = allowed[k].clause == (kind == 'X' ? 'x' : kind)
				? misplaced(&allowed[k], list->args[arg], 0)
				: NULL;
			if (bad) {
				struct str type = cel_type_runtime_name(bad->type);
				cel_issue(c, bad->at, "error during formatting: %s, was given %.*s",
					allowed[k].why, STR_ARG(type));
				return;
			}
		}
		arg++;
		i += len;
	}
	if (list->n > arg)
		cel_issue(c, n->at,
			"too many arguments supplied to string.format (expected %zu, got %u)", arg,
			list->n);
}
