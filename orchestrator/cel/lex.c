/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lex: the tokens of an expression, and what the text of a string literal stands for. Positions are code points, as
 * errors count them. Source: cel-spec langdef.md (lexis). */
#include "orchestrator/cel/cel_int.h"

size_t
cel_rune_next(struct str s, size_t at, uint32_t *ret)
{
	const uint8_t *p = (const uint8_t *)s.p + at;
	size_t left = s.n - at;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80          ? 1
		: (p[0] & 0xe0) == 0xc0 ? 2
		: (p[0] & 0xf0) == 0xe0 ? 3
		: (p[0] & 0xf8) == 0xf0 ? 4
					: 0;
	*ret = 0xfffd;
	if (n == 0 || n > left)
		return 1;
	uint32_t r = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 1;
		r = r << 6 | (p[i] & 0x3f);
	}
	if (r < least[n] || r > 0x10ffff || (r >= 0xd800 && r < 0xe000))
		return 1;
	*ret = r;
	return n;
}

size_t
cel_runes(struct str s)
{
	size_t n = 0;
	uint32_t r = 0;
	for (size_t at = 0; at < s.n; n++)
		at += cel_rune_next(s, at, &r);
	return n;
}

void
cel_rune_put(struct buf *b, uint32_t r)
{
	if (r > 0x10ffff || (r >= 0xd800 && r < 0xe000))
		r = 0xfffd;
	char out[4];
	size_t n = r < 0x80 ? 1 : r < 0x800 ? 2 : r < 0x10000 ? 3 : 4;
	if (n == 1)
		out[0] = (char)r;
	else
		out[0] = (char)((0xf00u >> n) | r >> (6 * (n - 1)));
	for (size_t i = 1; i < n; i++)
		out[i] = (char)(0x80 | ((r >> (6 * (n - 1 - i))) & 0x3f));
	buf_add(b, out, n);
}

static int
peek(const struct cel_lexer *l, size_t ahead)
{
	struct str s = l->c->source;
	return l->pos + ahead < s.n ? (uint8_t)s.p[l->pos + ahead] : -1;
}

static bool
is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* The token ends `n` bytes on. */
static void
take(struct cel_lexer *l, enum cel_token token, size_t n)
{
	l->token = token;
	l->text = str_sub(l->c->source, l->pos, l->pos + n);
	l->at = l->point;
	l->pos += n;
	l->point += (uint32_t)cel_runes(l->text);
}

static void
skip_blanks(struct cel_lexer *l)
{
	for (;;) {
		int c = peek(l, 0);
		if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f') {
			l->pos++;
			l->point++;
		} else if (c == '/' && peek(l, 1) == '/') {
			size_t n = 0;
			while (peek(l, n) >= 0 && peek(l, n) != '\n')
				n++;
			l->point += (uint32_t)cel_runes(str_sub(l->c->source, l->pos, l->pos + n));
			l->pos += n;
		} else {
			return;
		}
	}
}

/* Bytes of the escape at `at`; 0 = none that there is. */
static size_t
escape_size(const struct cel_lexer *l, size_t at)
{
	int c = peek(l, at + 1);
	if (c > 0 && strchr("abfnrtv\"'\\?`", c))
		return 2;
	size_t hex = c == 'x' || c == 'X' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
	for (size_t i = 0; i < hex; i++)
		if (hex_digit(peek(l, at + 2 + i)) < 0)
			return 0;
	if (hex)
		return hex + 2;
	if (c >= '0' && c <= '3') {
		int x = peek(l, at + 2), y = peek(l, at + 3);
		return x >= '0' && x <= '7' && y >= '0' && y <= '7' ? 4 : 0;
	}
	return 0;
}

/* Of an escape that is none: bytes behind the backslash that might have begun one. */
static size_t
escape_good(const struct cel_lexer *l, size_t at)
{
	int c = peek(l, at + 1);
	size_t hex = c == 'x' || c == 'X' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0, n = 0;
	if (c >= '0' && c <= '3')
		return 1 + (peek(l, at + 2) >= '0' && peek(l, at + 2) <= '7');
	while (n < hex && hex_digit(peek(l, at + 2 + n)) >= 0)
		n++;
	return hex ? n + 1 : 0;
}

/* Bytes of the string whose quotes begin at `at`; 0 = it does not end (well): *bad bytes were read till then. */
static size_t
string_size(const struct cel_lexer *l, size_t at, bool raw, size_t *bad)
{
	int q = peek(l, at);
	bool triple = peek(l, at + 1) == q && peek(l, at + 2) == q;
	size_t i = at + (triple ? 3 : 1);
	for (;;) {
		int c = peek(l, i);
		*bad = i;
		if (c < 0 && triple) /* two quotes are a text, the third begins another */
			return at + 2;
		if (c < 0 || (!triple && (c == '\n' || c == '\r')))
			return 0;
		if (c == q && (!triple || (peek(l, i + 1) == q && peek(l, i + 2) == q)))
			return i + (triple ? 3 : 1);
		if (c == '\\' && !raw) {
			size_t n = escape_size(l, i);
			*bad = i + 1 + (n ? 0 : escape_good(l, i));
			if (n == 0)
				return 0;
			i += n;
		} else {
			i++;
		}
	}
}

static void
lex_number(struct cel_lexer *l)
{
	size_t n = 0;
	if (peek(l, 0) == '0' && peek(l, 1) == 'x' && hex_digit(peek(l, 2)) >= 0) {
		n = 2;
		while (hex_digit(peek(l, n)) >= 0)
			n++;
		bool u = peek(l, n) == 'u' || peek(l, n) == 'U';
		take(l, u ? TOKEN_UINT : TOKEN_INT, n + u);
		return;
	}
	bool real = false;
	while (is_digit(peek(l, n)))
		n++;
	if (peek(l, n) == '.' && is_digit(peek(l, n + 1))) {
		real = true;
		n++;
		while (is_digit(peek(l, n)))
			n++;
	}
	if (peek(l, n) == 'e' || peek(l, n) == 'E') {
		size_t m = n + 1;
		if (peek(l, m) == '+' || peek(l, m) == '-')
			m++;
		if (is_digit(peek(l, m))) {
			real = true;
			while (is_digit(peek(l, m)))
				m++;
			n = m;
		}
	}
	if (!real && (peek(l, n) == 'u' || peek(l, n) == 'U'))
		take(l, TOKEN_UINT, n + 1);
	else
		take(l, real ? TOKEN_DOUBLE : TOKEN_INT, n);
}

/* A string with its prefixes (b, r, br); 0 = none begins here. */
static size_t
lex_string(const struct cel_lexer *l, bool *bytes, size_t *bad)
{
	size_t at = 0;
	*bytes = peek(l, 0) == 'b' || peek(l, 0) == 'B';
	at += *bytes;
	bool raw = peek(l, at) == 'r' || peek(l, at) == 'R';
	at += raw;
	return peek(l, at) == '"' || peek(l, at) == '\'' ? string_size(l, at, raw, bad) : 0;
}

/* What is no token is told of and passed over: `good` bytes that a token might begin with, and the one behind them. */
static void
skip_bad(struct cel_lexer *l, size_t good)
{
	struct str rest = str_sub(l->c->source, l->pos, SIZE_MAX);
	uint32_t r = 0;
	size_t n = good < rest.n ? good + cel_rune_next(rest, good, &r) : rest.n;
	struct str text = str_sub(rest, 0, n);
	struct buf b = BUF_INIT;
	buf_init_arena(&b, l->c->a);
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '\n' || text.p[i] == '\r' || text.p[i] == '\t')
			buf_cstr(&b, text.p[i] == '\n' ? "\\n" : text.p[i] == '\r' ? "\\r" : "\\t");
		else
			buf_char(&b, text.p[i]);
	struct str shown = buf_view(&b);
	cel_issue(
		l->c, l->point, "Syntax error: token recognition error at: '%.*s'", STR_ARG(shown));
	l->pos += n;
	l->point += (uint32_t)cel_runes(text);
}

void
cel_lex(struct cel_lexer *l)
{
	static const char *const ops[] = {"==", "!=", "<=", ">=", "&&", "||"};
	for (;;) {
		skip_blanks(l);
		int c = peek(l, 0);
		if (c < 0) {
			take(l, TOKEN_END, 0);
			return;
		}
		bool bytes = false;
		size_t bad = 0;
		size_t n = lex_string(l, &bytes, &bad);
		if (n) {
			take(l, bytes ? TOKEN_BYTES : TOKEN_STRING, n);
			return;
		}
		if (is_letter(c)) { /* a prefix of a text that does not end is a name */
			while (is_letter(peek(l, n)) || is_digit(peek(l, n)))
				n++;
			take(l, TOKEN_IDENT, n);
			if (str_eq_c(l->text, "in") || str_eq_c(l->text, "true") ||
				str_eq_c(l->text, "false") || str_eq_c(l->text, "null"))
				l->token = TOKEN_OP;
			return;
		}
		if (is_digit(c) || (c == '.' && is_digit(peek(l, 1)))) {
			lex_number(l);
			return;
		}
		if (c == '`') {
			n = 1;
			while (is_letter(peek(l, n)) || is_digit(peek(l, n)) ||
				(peek(l, n) > 0 && strchr(".-/ ", peek(l, n))))
				n++;
			if (n > 1 && peek(l, n) == '`') {
				take(l, TOKEN_ESCAPED, n + 1);
				return;
			}
		}
		for (size_t i = 0; i < ARRAY_LEN(ops); i++)
			if (c == ops[i][0] && peek(l, 1) == ops[i][1]) {
				take(l, TOKEN_OP, 2);
				return;
			}
		if (c < 0x80 && strchr("<>[]{}().,-!?:+*/%", c)) {
			take(l, TOKEN_OP, 1);
			return;
		}
		skip_bad(l, bad ? bad : strchr("=&|", c) ? 1 : 0);
	}
}

/* ---- literals ---- */

static bool
unhex(struct str s, size_t at, size_t n, uint32_t *ret)
{
	uint64_t v = 0;
	if (at + n > s.n || str_to_u64_hex(str_sub(s, at, at + n), &v) < 0)
		return false;
	*ret = (uint32_t)v;
	return true;
}

/* One escape behind the backslash at `at`: bytes it takes, 0 = *why. */
static size_t
unescape(struct buf *b, struct str s, size_t at, bool bytes, const char **why)
{
	static const char from[] = "abfnrtv\\'\"`?", to[] = "\a\b\f\n\r\t\v\\'\"`?";
	*why = "unable to unescape string";
	if (at + 1 >= s.n)
		return 0;
	char c = s.p[at + 1];
	const char *known = memchr(from, c, sizeof(from) - 1);
	if (known) {
		buf_char(b, to[known - from]);
		return 2;
	}
	uint32_t r = 0;
	size_t n = c == 'x' || c == 'X' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
	if (n) {
		if ((bytes && n > 2) || !unhex(s, at + 2, n, &r))
			return 0;
	} else if (c >= '0' && c <= '3' && at + 3 < s.n) {
		r = (uint32_t)((c - '0') * 64 + (s.p[at + 2] - '0') * 8 + (s.p[at + 3] - '0'));
		n = 2;
	} else {
		return 0;
	}
	if (bytes) {
		buf_char(b, (char)r);
	} else {
		if (r > 0x10ffff || (r >= 0xd800 && r < 0xe000)) {
			*why = "invalid unicode code point";
			return 0;
		}
		cel_rune_put(b, r);
	}
	return n + 2;
}

int
cel_unquote(struct arena *a, struct str text, bool bytes, struct str *ret, const char **why)
{
	bool raw = text.n && (text.p[0] == 'r' || text.p[0] == 'R');
	text = str_sub(text, raw, SIZE_MAX);
	size_t q = text.n >= 6 && text.p[1] == text.p[0] && text.p[2] == text.p[0] ? 3 : 1;
	text = str_sub(text, q, text.n - q);
	struct buf b = BUF_INIT;
	buf_init_arena(&b, a);
	buf_reserve(&b, text.n + 1);
	for (size_t i = 0; i < text.n;) {
		char c = text.p[i];
		if (c == '\\' && !raw) {
			size_t n = unescape(&b, text, i, bytes, why);
			if (n == 0)
				return -EINVAL;
			i += n;
		} else if (c == '\r') {
			buf_char(&b, '\n');
			i += i + 1 < text.n && text.p[i + 1] == '\n' ? 2 : 1;
		} else {
			buf_char(&b, c);
			i++;
		}
	}
	*ret = buf_view(&b);
	return b.failed ? -ENOMEM : 0;
}
