/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * buf: growable bytes, heap-owned or arena-owned, with sticky failure: builders append without
 * checking and ask buf.failed once at the end. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/arena.h"
#include "base/str.h"

/* Embedded by callers. Invariants: len <= cap; data == NULL iff cap == 0; after `failed` appends are
 * ignored and the content is undefined. */
struct buf {
	char *data;
	size_t len, cap;
	size_t max;      /* 0 = no limit; appending beyond it fails */
	struct arena *a; /* NULL = heap */
	bool failed;
};

#define BUF_INIT                                                                                   \
	{                                                                                          \
		0                                                                                  \
	}
/* buf_init / buf_init_arena: an empty buffer; heap ones need buf_release. */
void buf_init(struct buf *b);
void buf_init_arena(struct buf *b, struct arena *a);
void buf_release(struct buf *b);
/* buf_clear: empty, capacity kept, failed reset. */
void buf_clear(struct buf *b);
/* buf_reserve: room for n more bytes; returns where they start, or NULL. buf_commit makes them count. All that is
 * encoded goes through these two, hence inline; buf_grow is buf_reserve's rare half and nobody else's. */
char *buf_grow(struct buf *b, size_t n);
static inline char *
buf_reserve(struct buf *b, size_t n)
{
	return n <= b->cap - b->len && !b->failed && !b->max && b->data ? b->data + b->len
									: buf_grow(b, n);
}
static inline void
buf_commit(struct buf *b, size_t n)
{
	b->len += n;
}
void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, struct str s);
void buf_cstr(struct buf *b, const char *z);
void buf_char(struct buf *b, char c);
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_i64(struct buf *b, int64_t v);
void buf_u64(struct buf *b, uint64_t v);
void buf_be16(struct buf *b, uint16_t v);
void buf_be32(struct buf *b, uint32_t v);
void buf_be64(struct buf *b, uint64_t v);
void buf_le16(struct buf *b, uint16_t v);
void buf_le32(struct buf *b, uint32_t v);
void buf_varint(struct buf *b, uint64_t v);
/* buf_consume: drops the first n bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);
static inline struct str
buf_view(const struct buf *b)
{
	return (struct str){b->data ? b->data : "", b->len};
}
void cleanup_buf(struct buf *b);
#define _cleanup_buf_ __attribute__((cleanup(cleanup_buf)))

#endif
