/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * buf.c: see buf.h. Growth by doubling; numbers are printed by hand because printf is the slow way.
 * Invariants: as in the header. Must not: abort when memory is short (the flag is set instead). */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#define BUF_FIRST 256

void
buf_init(struct buf *b)
{
	*b = (struct buf)BUF_INIT;
}

void
buf_init_arena(struct buf *b, struct arena *a)
{
	*b = (struct buf){.a = a};
}

void
buf_release(struct buf *b)
{
	if (!b->a)
		free(b->data);
	struct arena *a = b->a;
	size_t max = b->max;
	*b = (struct buf){.a = a, .max = max};
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

static char *
buf_fail(struct buf *b)
{
	b->failed = true;
	return NULL;
}

char *
buf_grow(struct buf *b, size_t n)
{
	size_t need = 0;
	if (b->failed || __builtin_add_overflow(b->len, n, &need) || need > SIZE_MAX / 2 ||
		(b->max && need > b->max))
		return buf_fail(b);
	if (b->data && need <= b->cap)
		return b->data + b->len;
	size_t cap = b->cap ? b->cap * 2 : BUF_FIRST;
	if (cap < need)
		cap = need;
	char *p = b->a ? arena_grow(b->a, b->data, b->cap, cap) : realloc(b->data, cap);
	if (!p)
		return buf_fail(b);
	b->data = p;
	b->cap = cap;
	return p + b->len;
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	char *at = buf_reserve(b, n);
	if (!at)
		return;
	memcpy(at, p, n);
	b->len += n;
}

void
buf_str(struct buf *b, struct str s)
{
	buf_add(b, s.p, s.n);
}

void
buf_cstr(struct buf *b, const char *z)
{
	buf_add(b, z, strlen(z));
}

void
buf_char(struct buf *b, char c)
{
	char *at = buf_reserve(b, 1);
	if (!at)
		return;
	*at = c;
	b->len++;
}

void
buf_fmt(struct buf *b, const char *fmt, ...)
{
	char small[256];
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(small, sizeof(small), fmt, ap);
	if (n < 0) {
		buf_fail(b);
	} else if ((size_t)n < sizeof(small)) {
		buf_add(b, small, (size_t)n);
	} else {
		char *at = buf_reserve(b, (size_t)n + 1);
		if (at) {
			vsnprintf(at, (size_t)n + 1, fmt, again);
			b->len += (size_t)n;
		}
	}
	va_end(again);
	va_end(ap);
}

void
buf_u64(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);
	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	buf_add(b, digits + at, sizeof(digits) - at);
}

void
buf_i64(struct buf *b, int64_t v)
{
	if (v < 0)
		buf_char(b, '-');
	buf_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

/* buf_uint: the low n bytes of v, most significant first. */
static void
buf_uint(struct buf *b, uint64_t v, size_t n)
{
	uint8_t bytes[8];
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(v >> 8 * (n - 1 - i));
	buf_add(b, bytes, n);
}

void
buf_be16(struct buf *b, uint16_t v)
{
	buf_uint(b, v, 2);
}

void
buf_be32(struct buf *b, uint32_t v)
{
	buf_uint(b, v, 4);
}

void
buf_be64(struct buf *b, uint64_t v)
{
	buf_uint(b, v, 8);
}

void
buf_le16(struct buf *b, uint16_t v)
{
	buf_uint(b, __builtin_bswap16(v), 2);
}

void
buf_le32(struct buf *b, uint32_t v)
{
	buf_uint(b, __builtin_bswap32(v), 4);
}

void
buf_varint(struct buf *b, uint64_t v)
{
	uint8_t bytes[10];
	size_t n = 0;
	for (; v >= 0x80; v >>= 7)
		bytes[n++] = (uint8_t)(v | 0x80);
	bytes[n++] = (uint8_t)v;
	buf_add(b, bytes, n);
}

void
buf_consume(struct buf *b, size_t n)
{
	if (n == 0)
		return;
	b->len -= n;
	if (b->len)
		memmove(b->data, b->data + n, b->len);
}

void
cleanup_buf(struct buf *b)
{
	buf_release(b);
}
