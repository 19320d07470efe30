/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * str.c: see str.h. Lowest file of the tree: it knows nothing but bytes.
 * Invariants: no function reads outside [p, p + n); a slice {NULL, 0} is a legal argument everywhere.
 * Must not: allocate, depend on the locale, or include anything else of base/. */
#include "base/str.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

int
str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;
	if (c != 0)
		return c;
	return (a.n > b.n) - (a.n < b.n);
}

static inline unsigned char
lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

bool
str_eq_nocase(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower((unsigned char)a.p[i]) != lower((unsigned char)b.p[i]))
			return false;
	return true;
}

bool
str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool
str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n &&
		(suffix.n == 0 || memcmp(s.p + (s.n - suffix.n), suffix.p, suffix.n) == 0);
}

ptrdiff_t
str_find(struct str s, struct str needle)
{
	if (needle.n == 0)
		return 0;
	if (needle.n > s.n)
		return -1;
	const char *at = memmem(s.p, s.n, needle.p, needle.n);
	return at ? at - s.p : -1;
}

ptrdiff_t
str_find_char(struct str s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
	return at ? at - s.p : -1;
}

ptrdiff_t
str_rfind_char(struct str s, char c)
{
	const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;
	return at ? at - s.p : -1;
}

struct str
str_sub(struct str s, size_t from, size_t to)
{
	if (!s.p)
		return s;
	if (to > s.n)
		to = s.n;
	if (from > to)
		from = to;
	return (struct str){s.p + from, to - from};
}

bool
str_cut(struct str s, char c, struct str *ret_head, struct str *ret_tail)
{
	ptrdiff_t at = str_find_char(s, c);
	if (at < 0) {
		*ret_head = s;
		*ret_tail = STR_NONE;
		return false;
	}
	*ret_head = str_sub(s, 0, (size_t)at);
	*ret_tail = str_sub(s, (size_t)at + 1, SIZE_MAX);
	return true;
}

bool
str_rcut(struct str s, char c, struct str *ret_head, struct str *ret_tail)
{
	ptrdiff_t at = str_rfind_char(s, c);
	if (at < 0) {
		*ret_head = STR_NONE;
		*ret_tail = s;
		return false;
	}
	*ret_head = str_sub(s, 0, (size_t)at);
	*ret_tail = str_sub(s, (size_t)at + 1, SIZE_MAX);
	return true;
}

bool
str_next(struct str *rest, char c, struct str *ret_part)
{
	if (!rest->p)
		return false;
	struct str s = *rest;
	str_cut(s, c, ret_part, rest);
	return true;
}

struct str
str_trim(struct str s)
{
	static const char blank[256] = {[' '] = 1, ['\t'] = 1, ['\r'] = 1, ['\n'] = 1};
	while (s.n > 0 && blank[(unsigned char)s.p[0]]) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && blank[(unsigned char)s.p[s.n - 1]])
		s.n--;
	return s;
}

int
str_to_u64(struct str s, uint64_t *ret)
{
	if (s.n == 0)
		return -EINVAL;
	uint64_t v = 0;
	bool over = false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';
		if (digit > 9)
			return -EINVAL;
		over |= __builtin_mul_overflow(v, (uint64_t)10, &v);
		over |= __builtin_add_overflow(v, (uint64_t)digit, &v);
	}
	if (over)
		return -ERANGE;
	*ret = v;
	return 0;
}

int
str_to_i64(struct str s, int64_t *ret)
{
	bool negative = s.n > 0 && s.p[0] == '-';
	uint64_t v = 0;
	int rc = str_to_u64(negative ? str_sub(s, 1, SIZE_MAX) : s, &v);
	if (rc < 0)
		return rc;
	if (v > (uint64_t)INT64_MAX + negative)
		return -ERANGE;
	*ret = negative ? (int64_t)(0 - v) : (int64_t)v;
	return 0;
}

/* The grammar is checked here ([-+]digits[.digits][e[-+]digits], a digit somewhere before the e), so
 * that strtod's own extras (hex, inf, nan, blanks) are refused. */
int
str_to_double(struct str s, double *ret)
{
	char small[64];
	size_t i = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+');
	size_t digits = 0;
	for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
		digits++;
	if (i < s.n && s.p[i] == '.')
		for (i++; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
			digits++;
	if (digits == 0)
		return -EINVAL;
	if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
		i++;
		if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
			i++;
		size_t from = i;
		while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
			i++;
		if (i == from)
			return -EINVAL;
	}
	if (i != s.n)
		return -EINVAL;
	char *z = s.n < sizeof(small) ? small : malloc(s.n + 1);
	if (!z)
		return -ERANGE;
	memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	double v = strtod(z, NULL);
	if (z != small)
		free(z);
	if (isinf(v))
		return -ERANGE;
	*ret = v;
	return 0;
}

int
hex_digit(int c)
{
	return c >= '0' && c <= '9'    ? c - '0'
		: c >= 'a' && c <= 'f' ? c - 'a' + 10
		: c >= 'A' && c <= 'F' ? c - 'A' + 10
				       : -1;
}

int
str_to_u64_hex(struct str s, uint64_t *ret)
{
	if (s.n == 0)
		return -EINVAL;
	uint64_t v = 0;
	bool over = false;
	for (size_t i = 0; i < s.n; i++) {
		int digit = hex_digit(s.p[i]);
		if (digit < 0)
			return -EINVAL;
		over |= v >> 60 != 0;
		v = v << 4 | (uint64_t)digit;
	}
	if (over)
		return -ERANGE;
	*ret = v;
	return 0;
}

/* utf8_tail: length of the sequence that starts with the non-ASCII byte p[0], 0 when it is invalid. */
static size_t
utf8_tail(const unsigned char *p, size_t n)
{
	if (p[0] < 0xc2)
		return 0;
	if (p[0] < 0xe0)
		return n >= 2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
	if (p[0] < 0xf0) {
		if (n < 3 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80)
			return 0;
		if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))
			return 0;
		return 3;
	}
	if (p[0] > 0xf4 || n < 4 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80 ||
		(p[3] & 0xc0) != 0x80)
		return 0;
	if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return 4;
}

bool
str_is_utf8(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t i = 0;
	while (i < s.n) {
		uint64_t word = 0;
		if (s.n - i >= sizeof(word)) {
			memcpy(&word, p + i, sizeof(word));
			if ((word & 0x8080808080808080ULL) == 0) {
				i += sizeof(word);
				continue;
			}
		}
		if (p[i] < 0x80) {
			i++;
			continue;
		}
		size_t step = utf8_tail(p + i, s.n - i);
		if (step == 0)
			return false;
		i += step;
	}
	return true;
}

bool
str_copy_c(struct str s, char *dst, size_t size)
{
	size_t n = s.n < size ? s.n : size - 1;
	if (n)
		memcpy(dst, s.p, n);
	dst[n] = '\0';
	return n == s.n;
}

struct str
reader_bytes(struct reader *r, size_t n)
{
	if (r->bad || n > r->n) {
		r->bad = true;
		r->n = 0;
		return STR_NONE;
	}
	struct str s = {r->p ? (const char *)r->p : "", n};
	r->p = n ? r->p + n : r->p;
	r->n -= n;
	return s;
}

/* reader_uint: the next n <= 8 bytes as one number, first byte most significant. */
static uint64_t
reader_uint(struct reader *r, size_t n)
{
	struct str s = reader_bytes(r, n);
	uint64_t v = 0;
	for (size_t i = 0; i < s.n; i++)
		v = v << 8 | (unsigned char)s.p[i];
	return v;
}

uint8_t
reader_u8(struct reader *r)
{
	return (uint8_t)reader_uint(r, 1);
}

uint16_t
reader_be16(struct reader *r)
{
	return (uint16_t)reader_uint(r, 2);
}

uint32_t
reader_be32(struct reader *r)
{
	return (uint32_t)reader_uint(r, 4);
}

uint64_t
reader_be64(struct reader *r)
{
	return reader_uint(r, 8);
}

uint16_t
reader_le16(struct reader *r)
{
	return __builtin_bswap16((uint16_t)reader_uint(r, 2));
}

uint32_t
reader_le32(struct reader *r)
{
	return __builtin_bswap32((uint32_t)reader_uint(r, 4));
}

uint64_t
reader_le64(struct reader *r)
{
	return __builtin_bswap64(reader_uint(r, 8));
}

uint64_t
reader_varint(struct reader *r)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 70; shift += 7) {
		struct str s = reader_bytes(r, 1);
		if (s.n == 0)
			return 0;
		uint64_t byte = (unsigned char)s.p[0];
		if (shift == 63 && byte > 1)
			break;
		v |= (byte & 0x7f) << shift;
		if (byte < 0x80)
			return v;
	}
	r->bad = true;
	r->n = 0;
	return 0;
}
