/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * doc_yaml_write.c: a tree as YAML in the block style of kubectl's -o yaml: lists at the indentation of
 * their key, strings quoted only when they would read as something else, text of several lines as a
 * literal block. Invariant: what is written reads back as an equal tree (also by YAML 1.1 readers).
 * Must not: fold lines, or follow a tree deeper than DOC_MAX_WALK. Source: YAML 1.1; go.yaml.in/yaml/v2. */
#include "base/doc.h"

#include "base/doc_int.h"

static void
indent(struct buf *b, unsigned n)
{
	char *p = buf_reserve(b, n);
	if (!p)
		return;
	memset(p, ' ', n);
	buf_commit(b, n);
}

/* is_printable: UTF-8 without characters that YAML wants escaped; newlines only when allowed. */
static bool
is_printable(struct str s, bool newlines)
{
	if (!str_is_utf8(s))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if ((c < 0x20 && !(c == '\n' && newlines)) || c == 0x7f)
			return false;
		/* C1, U+2028/9 (line breaks of YAML 1.1), U+FEFF, U+FFFE/F */
		struct str next = str_sub(s, i, i + 3);
		if ((c == 0xc2 && (unsigned char)s.p[i + 1] < 0xa0) ||
			str_eq(next, STR("\xe2\x80\xa8")) || str_eq(next, STR("\xe2\x80\xa9")) ||
			str_eq(next, STR("\xef\xbb\xbf")) || str_eq(next, STR("\xef\xbf\xbe")) ||
			str_eq(next, STR("\xef\xbf\xbf")))
			return false;
	}
	return true;
}

/* is_base60: "1:30" and "1:30.5" are numbers to YAML 1.1 readers. */
static bool
is_base60(struct str s)
{
	bool colon = false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == ':')
			colon = true;
		else if (!strchr("+-_.0123456789", s.p[i]) || s.p[i] == '\0')
			return false;
	}
	return colon;
}

/* is_other: unquoted, this text would be no string: a number, a word, a date, a merge key. */
static bool
is_other(struct str s)
{
	struct doc d = {0};
	bool date = s.n >= 8 && s.p[4] == '-' && s.p[0] >= '0' && s.p[0] <= '9';
	return yaml_resolve(s, &d) || is_base60(s) || date || str_eq(s, STR("<<")) ||
		str_eq(s, STR("="));
}

static bool
may_be_plain(struct str s)
{
	if (s.n == 0 || s.p[0] == ' ' || s.p[s.n - 1] == ' ' || s.p[s.n - 1] == ':' ||
		strchr(",[]{}#&*!|>'\"%@`", s.p[0]))
		return false;
	if (strchr("-?:", s.p[0]) && (s.n == 1 || s.p[1] == ' '))
		return false;
	if (str_starts(s, STR("---")) || str_starts(s, STR("...")))
		return false;
	return str_find(s, STR(": ")) < 0 && str_find(s, STR(" #")) < 0;
}

/* write_block: a literal block with its chomping mark; every line is indented by n. */
static void
write_block(struct buf *b, struct str s, unsigned n)
{
	bool ends = s.p[s.n - 1] == '\n';
	buf_char(b, '|');
	if (!ends)
		buf_char(b, '-');
	else if (s.n == 1 || s.p[s.n - 2] == '\n')
		buf_char(b, '+');
	struct str rest = ends ? str_sub(s, 0, s.n - 1) : s, line;
	while (str_next(&rest, '\n', &line)) {
		buf_char(b, '\n');
		if (line.n)
			indent(b, n);
		buf_str(b, line);
	}
}

static void
write_single(struct buf *b, struct str s)
{
	struct str rest = s, part;
	buf_char(b, '\'');
	for (bool first = true; str_next(&rest, '\'', &part); first = false) {
		if (!first)
			buf_add(b, "''", 2);
		buf_str(b, part);
	}
	buf_char(b, '\'');
}

/* write_double: JSON's form, with the characters escaped that only YAML minds. */
static void
write_double(struct buf *b, struct str s)
{
	struct buf json = BUF_INIT;
	doc_json_string(&json, s);
	struct str v = buf_view(&json);
	for (size_t i = 0; i < v.n; i++) {
		unsigned char c = (unsigned char)v.p[i];
		if (c == 0x7f) {
			buf_add(b, "\\x7f", 4);
		} else if (c == 0xc2 && (unsigned char)v.p[i + 1] < 0xa0) {
			buf_fmt(b, "\\x%02x", (unsigned char)v.p[++i]);
		} else if (c == 0xef) {
			unsigned rune = 0xf000U | ((unsigned char)v.p[i + 1] & 0x3fU) << 6 |
				((unsigned char)v.p[i + 2] & 0x3fU);
			if (rune == 0xfeff || rune >= 0xfffe)
				buf_fmt(b, "\\u%04x", rune);
			else
				buf_add(b, v.p + i, 3);
			i += 2;
		} else {
			buf_char(b, (char)c);
		}
	}
	if (json.failed)
		b->failed = true;
	buf_release(&json);
}

static void
write_string(struct buf *b, struct str s, unsigned n, bool key)
{
	bool lines = s.n && str_find_char(s, '\n') >= 0;
	if (!is_printable(s, !key))
		write_double(b, s);
	else if (lines && s.p[0] != ' ' && s.p[0] != '\n' && str_find(s, STR(" \n")) < 0)
		write_block(b, s, n);
	else if (lines || s.n == 0 || is_other(s))
		write_double(b, s);
	else if (may_be_plain(s))
		buf_str(b, s);
	else
		write_single(b, s);
}

static void
write_scalar(struct buf *b, const struct doc *d, unsigned n)
{
	switch (d->type) {
	case DOC_NULL:
		buf_cstr(b, "null");
		break;
	case DOC_BOOL:
		buf_cstr(b, d->b ? "true" : "false");
		break;
	case DOC_INT:
		buf_i64(b, d->i);
		break;
	case DOC_DOUBLE:
		doc_put_double(b, d->d);
		break;
	case DOC_STR:
		write_string(b, d->s, n, false);
		break;
	case DOC_LIST:
		buf_cstr(b, "[]");
		break;
	case DOC_MAP:
		buf_cstr(b, "{}");
		break;
	}
	buf_char(b, '\n');
}

/* write_parent: the lines of a map or list that is not empty. The cursor stands where its first line
 * begins, n blanks in. */
static void
write_parent(struct buf *b, const struct doc *d, unsigned n, unsigned depth)
{
	if (depth >= DOC_MAX_WALK) {
		b->failed = true;
		return;
	}
	for (const struct doc *child = d->first; child; child = child->next) {
		bool parent = doc_len(child) > 0;
		unsigned inner = n + 2;
		if (child != d->first)
			indent(b, n);
		if (d->type == DOC_MAP) {
			write_string(b, child->key, n, true);
			buf_char(b, ':');
			if (parent) {
				buf_char(b, '\n');
				if (child->type == DOC_LIST)
					inner = n;
				indent(b, inner);
			} else {
				buf_char(b, ' ');
			}
		} else {
			buf_add(b, "- ", 2);
		}
		if (parent)
			write_parent(b, child, inner, depth + 1);
		else
			write_scalar(b, child, n + 2);
	}
}

void
doc_write_yaml(struct buf *b, const struct doc *d)
{
	static const struct doc null = {.type = DOC_NULL};
	if (doc_len(d) > 0)
		write_parent(b, d, 0, 0);
	else
		write_scalar(b, d ? d : &null, 2);
}
