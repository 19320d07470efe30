/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * doc_json_err.c: says in encoding/json's words why a text is no JSON. Runs only after the reader has
 * refused a text; it decides nothing. Invariants: total over any bytes, no recursion, depth counted in
 * a bit stack. Source: Go encoding/json scanner.go (the wording of SyntaxError). */
#include "base/doc_int.h"

#include <stdio.h>

#define STACK_BITS 1024

struct scan {
	struct str s;
	size_t at;
	char *room;
	size_t size;
	uint64_t maps[STACK_BITS / 64]; /* bit set: that level is an object */
	size_t depth;
};

/* quote_char: as Go quotes a byte in these messages. */
static void
quote_char(unsigned char c, char *out, size_t size)
{
	static const char named[] = {['\a'] = 'a',
		['\b'] = 'b',
		['\t'] = 't',
		['\n'] = 'n',
		['\v'] = 'v',
		['\f'] = 'f',
		['\r'] = 'r',
		['\''] = '\'',
		['\\'] = '\\'};
	if (c < sizeof(named) && named[c])
		snprintf(out, size, "'\\%c'", named[c]);
	else if (c < 0x20 || c == 0x7f)
		snprintf(out, size, "'\\x%02x'", c);
	else if (c < 0x80)
		snprintf(out, size, "'%c'", c);
	else if (c < 0xa1 || c == 0xad)
		snprintf(out, size, "'\\u%04x'", c);
	else
		snprintf(out, size, "'%c%c'", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
}

/* wrong: the message for the byte at the cursor; always false, for `return wrong(...)`. */
static bool
wrong(struct scan *p, const char *where)
{
	if (p->at >= p->s.n) {
		snprintf(p->room, p->size, "unexpected end of JSON input");
		return false;
	}
	char c[16];
	quote_char((unsigned char)p->s.p[p->at], c, sizeof(c));
	snprintf(p->room, p->size, "invalid character %s %s", c, where);
	return false;
}

/* peek: the byte at the cursor, or -1. */
static int
peek(const struct scan *p)
{
	return p->at < p->s.n ? (unsigned char)p->s.p[p->at] : -1;
}

static int
peek_token(struct scan *p)
{
	while (peek(p) == ' ' || peek(p) == '\t' || peek(p) == '\r' || peek(p) == '\n')
		p->at++;
	return peek(p);
}

static bool
is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool
scan_string(struct scan *p)
{
	p->at++;
	for (;; p->at++) {
		int c = peek(p);
		if (c == '"') {
			p->at++;
			return true;
		}
		if (c < 0x20)
			return wrong(p, "in string literal");
		if (c != '\\')
			continue;
		p->at++;
		c = peek(p);
		if (c == -1 || !strchr("bfnrt\\/\"u", c) || c == 0)
			return wrong(p, "in string escape code");
		for (int i = 0; c == 'u' && i < 4; i++) {
			p->at++;
			if (hex_digit(peek(p)) < 0)
				return wrong(p, "in \\u hexadecimal character escape");
		}
	}
}

static bool
scan_number(struct scan *p)
{
	if (peek(p) == '-')
		p->at++;
	if (!is_digit(peek(p)))
		return wrong(p, "in numeric literal");
	if (peek(p) == '0')
		p->at++;
	else
		while (is_digit(peek(p)))
			p->at++;
	if (peek(p) == '.') {
		p->at++;
		if (!is_digit(peek(p)))
			return wrong(p, "after decimal point in numeric literal");
		while (is_digit(peek(p)))
			p->at++;
	}
	if (peek(p) == 'e' || peek(p) == 'E') {
		p->at++;
		if (peek(p) == '+' || peek(p) == '-')
			p->at++;
		if (!is_digit(peek(p)))
			return wrong(p, "in exponent of numeric literal");
		while (is_digit(peek(p)))
			p->at++;
	}
	return true;
}

static bool
scan_literal(struct scan *p, const char *word)
{
	for (size_t i = 0; word[i]; i++, p->at++) {
		char where[48];
		if (peek(p) == word[i])
			continue;
		snprintf(where, sizeof(where), "in literal %s (expecting '%c')", word, word[i]);
		return wrong(p, where);
	}
	return true;
}

static bool
scan_scalar(struct scan *p)
{
	int c = peek(p);
	if (c == '"')
		return scan_string(p);
	if (c == '-' || is_digit(c))
		return scan_number(p);
	if (c == 't')
		return scan_literal(p, "true");
	if (c == 'f')
		return scan_literal(p, "false");
	if (c == 'n')
		return scan_literal(p, "null");
	return wrong(p, "looking for beginning of value");
}

static bool
in_map(const struct scan *p)
{
	return p->maps[(p->depth - 1) / 64] >> (p->depth - 1) % 64 & 1;
}

/* scan_key: "key" and the colon. */
static bool
scan_key(struct scan *p)
{
	if (peek_token(p) != '"')
		return wrong(p, "looking for beginning of object key string");
	if (!scan_string(p))
		return false;
	if (peek_token(p) != ':')
		return wrong(p, "after object key");
	p->at++;
	return true;
}

/* scan_open: '{' or '['; true with *ret_empty when it is closed at once. */
static bool
scan_open(struct scan *p, bool *ret_empty)
{
	bool map = peek(p) == '{';
	p->at++;
	*ret_empty = peek_token(p) == (map ? '}' : ']');
	if (*ret_empty) {
		p->at++;
		return true;
	}
	if (p->depth == STACK_BITS) {
		snprintf(p->room, p->size, "exceeded max depth");
		return false;
	}
	uint64_t bit = (uint64_t)1 << p->depth % 64;
	p->maps[p->depth / 64] = (p->maps[p->depth / 64] & ~bit) | (map ? bit : 0);
	p->depth++;
	return !map || scan_key(p);
}

/* scan_after: what follows a value: closes levels until a comma or the end of the top value. */
static bool
scan_after(struct scan *p)
{
	while (p->depth > 0) {
		bool map = in_map(p);
		int c = peek_token(p);
		if (c == ',') {
			p->at++;
			return !map || scan_key(p);
		}
		if (c != (map ? '}' : ']'))
			return wrong(
				p, map ? "after object key:value pair" : "after array element");
		p->at++;
		p->depth--;
	}
	return true;
}

static bool
scan_text(struct scan *p)
{
	do {
		bool empty = true;
		int c = peek_token(p);
		if (c == '{' || c == '[') {
			if (!scan_open(p, &empty))
				return false;
		} else if (!scan_scalar(p)) {
			return false;
		}
		if (empty && !scan_after(p))
			return false;
	} while (p->depth > 0);
	if (peek_token(p) != -1)
		return wrong(p, "after top-level value");
	return true;
}

ptrdiff_t
json_explain(struct str text, char *room, size_t size)
{
	struct scan p = {.s = text, .room = room, .size = size};
	return scan_text(&p) ? -1 : (ptrdiff_t)p.at;
}
