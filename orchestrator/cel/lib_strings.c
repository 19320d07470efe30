/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lib_strings: functions over strings by their code points. Source: cel-go ext/strings.go (version 2). */
#include "orchestrator/cel/cel_int.h"

#define FN(name)                                                                                   \
	static struct cel_value name(struct cel_eval *e, const struct cel_value *args,             \
		size_t n __attribute__((unused)))

/* Byte of code point `at`; s.n when it is the end; SIZE_MAX = beyond. */
static size_t
byte_of(struct str s, int64_t at)
{
	size_t p = 0;
	uint32_t r = 0;
	if (at < 0)
		return SIZE_MAX;
	for (; at && p < s.n; at--)
		p += cel_rune_next(s, p, &r);
	return at ? SIZE_MAX : p;
}

static struct cel_value
out_of_range(struct cel_eval *e, int64_t i)
{
	return cel_fault(e, "index out of range: %lld", (long long)i);
}

FN(char_at)
{
	size_t p = byte_of(args[0].s, args[1].i);
	uint32_t r = 0;
	if (p == SIZE_MAX)
		return out_of_range(e, args[1].i);
	size_t len = p < args[0].s.n ? cel_rune_next(args[0].s, p, &r) : 0;
	return cel_of_string(str_sub(args[0].s, p, p + len));
}

FN(index_of)
{
	struct str s = args[0].s, sub = args[1].s;
	int64_t from = n > 2 ? args[2].i : 0, size = (int64_t)cel_runes(s);
	if (from < 0)
		return out_of_range(e, from);
	if (sub.n == 0)
		return cel_of_int(from > size ? size : from);
	if (from >= size)
		return cel_of_int(-1);
	size_t p = byte_of(s, from);
	ptrdiff_t at = str_find(str_sub(s, p, SIZE_MAX), sub);
	return cel_of_int(at < 0 ? -1 : from + (int64_t)cel_runes(str_sub(s, p, p + (size_t)at)));
}

FN(last_index_of)
{
	struct str s = args[0].s, sub = args[1].s;
	int64_t size = (int64_t)cel_runes(s), count = (int64_t)cel_runes(sub);
	int64_t from = n > 2 ? args[2].i : size - 1;
	if (n > 2 && from < 0)
		return out_of_range(e, from);
	if (sub.n == 0)
		return cel_of_int(n > 2 && from <= size ? from : size);
	if (s.n < sub.n || from >= size)
		return cel_of_int(-1);
	if (from > size - count)
		from = size - count;
	if (from < 0)
		return cel_of_int(-1);
	size_t p = byte_of(s, from);
	for (size_t i = p + 1; i; i--)
		if (str_starts(str_sub(s, i - 1, SIZE_MAX), sub))
			return cel_of_int((int64_t)cel_runes(str_sub(s, 0, i - 1)));
	return cel_of_int(-1);
}

static struct cel_value
text_of(struct cel_eval *e, const struct buf *b)
{
	if (b->failed)
		e->stop = -ENOMEM;
	return cel_of_string(buf_view(b));
}

static struct cel_value
mapped(struct cel_eval *e, struct str s, char lo, char hi, int by)
{
	struct buf b = BUF_INIT;
	buf_init_arena(&b, e->a);
	buf_reserve(&b, s.n + 1);
	for (size_t i = 0; i < s.n; i++)
		buf_char(&b, (char)(s.p[i] >= lo && s.p[i] <= hi ? s.p[i] + by : s.p[i]));
	return text_of(e, &b);
}

FN(lower)
{
	return mapped(e, args[0].s, 'A', 'Z', 32);
}

FN(upper)
{
	return mapped(e, args[0].s, 'a', 'z', -32);
}

/* Where the next `sep` is; an empty one is behind the next code point. */
static ptrdiff_t
next_sep(struct str s, struct str sep)
{
	uint32_t r = 0;
	if (sep.n)
		return str_find(s, sep);
	return s.n ? (ptrdiff_t)cel_rune_next(s, 0, &r) : -1;
}

FN(replace)
{
	struct str s = args[0].s, old = args[1].s, to = args[2].s;
	int64_t left = n > 3 ? args[3].i : -1;
	struct buf b = BUF_INIT;
	buf_init_arena(&b, e->a);
	if (old.n == 0 && left != 0) {
		buf_str(&b, to);
		left--;
	}
	while (left != 0) {
		ptrdiff_t at = next_sep(s, old);
		if (at < 0 || (old.n == 0 && s.n == 0))
			break;
		buf_str(&b, str_sub(s, 0, (size_t)at));
		buf_str(&b, to);
		s = str_sub(s, (size_t)at + old.n, SIZE_MAX);
		left--;
	}
	buf_str(&b, s);
	return text_of(e, &b);
}

FN(split)
{
	struct str s = args[0].s, sep = args[1].s;
	int64_t left = n > 2 ? args[2].i : -1;
	struct cel_value *items = NULL, *slot = NULL;
	size_t count = 0;
	if (left == 0)
		return cel_list_of(e, items, 0);
	while (left != 1) {
		ptrdiff_t at = next_sep(s, sep);
		if (at < 0 || (sep.n == 0 && (size_t)at >= s.n))
			break;
		slot = ARENA_PUSH(e->a, items, count);
		if (!slot)
			break;
		*slot = cel_of_string(str_sub(s, 0, (size_t)at));
		s = str_sub(s, (size_t)at + sep.n, SIZE_MAX);
		left -= left > 0;
	}
	if (sep.n == 0 && s.n == 0)
		return cel_list_of(e, items, count);
	slot = ARENA_PUSH(e->a, items, count);
	if (slot)
		*slot = cel_of_string(s);
	else
		e->stop = -ENOMEM;
	return cel_list_of(e, items, count);
}

FN(join)
{
	struct buf b = BUF_INIT;
	struct cel_value k, v;
	buf_init_arena(&b, e->a);
	for (struct cel_iter it = {.of = &args[0]}; cel_next(e, &it, &k, &v);) {
		if (v.kind != CEL_STRING) {
			struct str text = cel_to_text(e, &v);
			return cel_fault(e, "join: invalid input: %.*s", STR_ARG(text));
		}
		if (it.i > 1 && n > 1)
			buf_str(&b, args[1].s);
		buf_str(&b, v.s);
	}
	return text_of(e, &b);
}

FN(substring)
{
	struct str s = args[0].s;
	size_t from = byte_of(s, args[1].i), to = s.n;
	if (n > 2 && args[1].i > args[2].i)
		return cel_fault(e, "invalid substring range. start: %lld, end: %lld",
			(long long)args[1].i, (long long)args[2].i);
	if (from == SIZE_MAX)
		return out_of_range(e, args[1].i);
	if (n > 2) {
		to = byte_of(s, args[2].i);
		if (to == SIZE_MAX)
			return out_of_range(e, args[2].i);
	}
	return cel_of_string(str_sub(s, from, to));
}

static bool
is_space(uint32_t r)
{
	return (r >= 9 && r <= 13) || r == ' ' || r == 0x85 || r == 0xa0 || r == 0x1680 ||
		(r >= 0x2000 && r <= 0x200a) || r == 0x2028 || r == 0x2029 || r == 0x202f ||
		r == 0x205f || r == 0x3000;
}

FN(trim)
{
	struct str s = args[0].s;
	size_t from = s.n, to = 0;
	uint32_t r = 0;
	(void)e;
	for (size_t p = 0; p < s.n;) {
		size_t len = cel_rune_next(s, p, &r);
		if (!is_space(r)) {
			from = p < from ? p : from;
			to = p + len;
		}
		p += len;
	}
	return cel_of_string(from < to ? str_sub(s, from, to) : STR(""));
}

FN(quote)
{
	static const char from[] = "\a\b\f\n\r\t\v\\\"", to[] = "abfnrtv\\\"";
	struct buf b = BUF_INIT;
	buf_init_arena(&b, e->a);
	buf_char(&b, '"');
	for (size_t p = 0; p < args[0].s.n;) {
		uint32_t r = 0;
		p += cel_rune_next(args[0].s, p, &r);
		const char *at = r && r < 0x80 ? memchr(from, (int)r, sizeof(from) - 1) : NULL;
		if (at) {
			buf_char(&b, '\\');
			buf_char(&b, to[at - from]);
		} else {
			cel_rune_put(&b, r);
		}
	}
	buf_char(&b, '"');
	return text_of(e, &b);
}

static const struct cel_fn_row rows[] = {
	{"charAt", "string_char_at_int", ".string(string, int)", char_at, COST_ONE},
	{"indexOf", "string_index_of_string", ".int(string, string)", index_of, COST_TRAVERSE},
	{"indexOf", "string_index_of_string_int", ".int(string, string, int)", index_of,
		COST_TRAVERSE},
	{"lastIndexOf", "string_last_index_of_string", ".int(string, string)", last_index_of,
		COST_TRAVERSE},
	{"lastIndexOf", "string_last_index_of_string_int", ".int(string, string, int)",
		last_index_of, COST_TRAVERSE},
	{"lowerAscii", "string_lower_ascii", ".string(string)", lower, COST_SAME},
	{"upperAscii", "string_upper_ascii", ".string(string)", upper, COST_SAME},
	{"replace", "string_replace_string_string", ".string(string, string, string)", replace,
		COST_REPLACE},
	{"replace", "string_replace_string_string_int", ".string(string, string, string, int)",
		replace, COST_REPLACE},
	{"split", "string_split_string", ".list(string)(string, string)", split, COST_SPLIT},
	{"split", "string_split_string_int", ".list(string)(string, string, int)", split,
		COST_SPLIT},
	{"join", "list_join", ".string(list(string))", join, COST_JOIN},
	{"join", "list_join_string", ".string(list(string), string)", join, COST_JOIN},
	{"substring", "string_substring_int", ".string(string, int)", substring, COST_SAME},
	{"substring", "string_substring_int_int", ".string(string, int, int)", substring,
		COST_SAME},
	{"trim", "string_trim", ".string(string)", trim, COST_SAME},
	{"strings.quote", "strings_quote", "string(string)", quote, COST_QUOTE},
	{"format", "string_format", ".string(string, list(dyn))", cel_string_format, COST_FORMAT},
};
const struct cel_fn_table cel_fns_strings = {rows, ARRAY_LEN(rows)};
