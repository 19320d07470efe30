/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * str: a borrowed slice of bytes, and a bounded reader over one. All outside input is parsed through
 * these two: no pointer arithmetic above base/. A slice never owns; it is not NUL-terminated.
 * {NULL, 0} is "absent" where a contract tells absent from empty; str_is_set() asks for it. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *p;
	size_t n;
};

#define STR(lit) ((struct str){"" lit, sizeof(lit) - 1})
#define STR_INIT(lit)                                                                              \
	{                                                                                          \
		"" lit, sizeof(lit) - 1                                                            \
	}
#define STR_NONE ((struct str){NULL, 0})
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline struct str
str_from(const char *p, size_t n)
{
	return (struct str){p, n};
}

/* str_c: slice of a C string; NULL gives STR_NONE. */
static inline struct str
str_c(const char *z)
{
	return z ? (struct str){z, strlen(z)} : STR_NONE;
}

static inline bool
str_is_set(struct str s)
{
	return s.p != NULL;
}

static inline bool
str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool
str_eq_c(struct str a, const char *z)
{
	return str_eq(a, str_c(z));
}

/* str_cmp: byte order, shorter first on a common prefix; <0, 0, >0. */
int str_cmp(struct str a, struct str b);
/* str_eq_nocase: ASCII case folded (HTTP header names, DNS labels). */
bool str_eq_nocase(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
/* str_find / str_find_char / str_rfind_char: index of the first (last) match, or -1. */
ptrdiff_t str_find(struct str s, struct str needle);
ptrdiff_t str_find_char(struct str s, char c);
ptrdiff_t str_rfind_char(struct str s, char c);
/* str_sub: bytes [from, to) clamped to the slice; to = SIZE_MAX means the end. */
struct str str_sub(struct str s, size_t from, size_t to);
/* str_cut: split at the first `c`: true and head/tail when found, else head = s, tail = STR_NONE. */
bool str_cut(struct str s, char c, struct str *ret_head, struct str *ret_tail);
/* str_rcut: the same at the last `c`; not found: head = STR_NONE, tail = s. */
bool str_rcut(struct str s, char c, struct str *ret_head, struct str *ret_tail);
/* str_next: iterate over parts separated by `c`: takes the next part off *rest. False when *rest is
 * STR_NONE. "a,,b" gives "a", "", "b"; "" gives "". */
bool str_next(struct str *rest, char c, struct str *ret_part);
/* str_trim: without ASCII blanks (space, tab, CR, LF) at both ends. */
struct str str_trim(struct str s);
/* str_to_*: whole slice must be a decimal number in range. 0 or -EINVAL (not a number), -ERANGE. */
int str_to_i64(struct str s, int64_t *ret);
int str_to_u64(struct str s, uint64_t *ret);
int str_to_double(struct str s, double *ret);
int str_to_u64_hex(struct str s, uint64_t *ret);
int hex_digit(int c); /* 0 to 15; -1 = none */
/* str_is_utf8: valid UTF-8 (RFC 3629: no surrogates, no overlong forms, <= U+10FFFF). */
bool str_is_utf8(struct str s);
/* str_copy_c: copy as C string into dst (size bytes, > 0), cut when too long; returns false if cut. */
bool str_copy_c(struct str s, char *dst, size_t size);

/* struct reader: a cursor over bytes with sticky failure: after the first read past the end every
 * further read gives zero and `bad` stays true, so a parser checks once at the end. */
struct reader {
	const uint8_t *p;
	size_t n;
	bool bad;
};

static inline struct reader
reader_of(struct str s)
{
	return (struct reader){(const uint8_t *)s.p, s.n, false};
}

uint8_t reader_u8(struct reader *r);
uint16_t reader_be16(struct reader *r);
uint32_t reader_be32(struct reader *r);
uint64_t reader_be64(struct reader *r);
uint16_t reader_le16(struct reader *r);
uint32_t reader_le32(struct reader *r);
uint64_t reader_le64(struct reader *r);
/* reader_bytes: the next n bytes as a slice of the input (borrows the input). */
struct str reader_bytes(struct reader *r, size_t n);
/* reader_varint: LEB128 as protobuf has it, at most 10 bytes. */
uint64_t reader_varint(struct reader *r);

#endif
