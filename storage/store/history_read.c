/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * history_read.c: the form of a record and the readers' side of the ring file, see history.h.
 * Little endian: u32 magic, u32 size, u64 ord, u64 epoch, u64 segment, u32 key, u32 value, u32 old,
 * u32 kind, u64 sum; then key, value, old, zeros up to a multiple of 8.
 * Invariants: a record is used only when its sum is right and its segment was not given away before the
 * bytes were read; nothing behind the last committed record is looked at (it may be half written).
 * Must not: take a record on trust: the file may have been damaged while the machine was down. */
#include "storage/store/history.h"
#include "storage/store/store_int.h"

#include <errno.h>
#include <stdlib.h>

#define MAGIC 0x3152484bu /* "KHR1" */
#define SUM_AT 48
#define CHUNK ((size_t)128 << 10)

/* record_sum: Fletcher's idea over 64-bit words; the sum's own place counts as zero. It finds damage,
 * not forgery, at memory speed. */
static uint64_t
record_sum(const uint8_t *rec, size_t n)
{
	uint64_t a = 0x9e3779b97f4a7c15u, b = n;
	for (size_t i = 0; i + 8 <= n; i += 8) {
		uint64_t w = 0;
		if (i != SUM_AT)
			memcpy(&w, rec + i, 8);
		a += w;
		b += a ^ (b >> 29);
	}
	return a ^ (b << 17 | b >> 47);
}

static uint8_t *
put_le(uint8_t *p, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		*p++ = (uint8_t)(v >> (8 * i));
	return p;
}

void
history_seal(const struct history_head *head, uint8_t *rec, size_t n)
{
	uint8_t *p = put_le(rec, MAGIC, 4);
	p = put_le(p, n, 4);
	p = put_le(p, head->ord, 8);
	p = put_le(p, head->epoch, 8);
	p = put_le(p, head->seg, 8);
	p = put_le(p, head->key, 4);
	p = put_le(p, head->value, 4);
	p = put_le(p, head->old, 4);
	p = put_le(p, (uint64_t)head->kind, 4);
	put_le(p, record_sum(rec, n), 8);
}

/* record_parse: 0, or -ESTALE when it is not the record of this epoch and place. */
static int
record_parse(
	struct str bytes, uint64_t epoch, uint64_t seg, uint32_t off, struct history_record *ret)
{
	struct reader r = reader_of(bytes);
	uint32_t magic = reader_le32(&r), size = reader_le32(&r);
	struct history_record rec = {.seg = seg, .off = off, .bytes = bytes};
	rec.ord = reader_le64(&r);
	bool here = reader_le64(&r) == epoch;
	here = reader_le64(&r) == seg && here;
	size_t key = reader_le32(&r), value = reader_le32(&r), old = reader_le32(&r);
	uint32_t kind = reader_le32(&r);
	uint64_t sum = reader_le64(&r);
	rec.key = reader_bytes(&r, key);
	rec.value = reader_bytes(&r, value);
	rec.old = reader_bytes(&r, old);
	if (r.bad || magic != MAGIC || size != bytes.n || !here || kind > STORE_DELETED ||
		size % 8 != 0 || sum != record_sum((const uint8_t *)bytes.p, bytes.n))
		return -ESTALE;
	rec.kind = (enum store_event_kind)kind;
	*ret = rec;
	return 0;
}

/* ---- finding a place ---- */

int
history_seek(struct history *h, struct history_cursor *c, uint64_t after)
{
	int rc = -ESTALE;
	c->buf_len = 0;
	c->placed = false;
	c->after = after;
	pthread_mutex_lock(&h->lock);
	c->rollbacks = atomic_load(&h->rollbacks);
	const struct history_state *st = &h->st;
	uint64_t seg = st->tail;
	while (seg > st->head && st->seg[seg % HISTORY_SEGS].base > after)
		seg--;
	const struct history_seg *g = &st->seg[seg % HISTORY_SEGS];
	if (g->base <= after) {
		c->seg = seg;
		c->off = 0;
		c->ord = g->base;
		const struct history_place *at = h->index[seg % HISTORY_SEGS];
		for (uint32_t i = 0; i < h->n_index[seg % HISTORY_SEGS]; i++) {
			if (at[i].ord > after)
				break;
			c->off = at[i].off;
			c->ord = at[i].ord;
		}
		c->placed = true;
		rc = 0;
	}
	pthread_mutex_unlock(&h->lock);
	return rc;
}

enum fill { FILL_OK = 1, FILL_END = 0 };

/* place_of: how far the cursor's segment is filled; steps to the next one behind its end. */
static int
place_of(struct history *h, struct history_cursor *c, uint32_t *ret_used)
{
	int rc = FILL_END;
	pthread_mutex_lock(&h->lock);
	const struct history_state *st = &h->st;
	while (c->seg >= st->head && c->seg < st->tail &&
		c->off >= st->seg[c->seg % HISTORY_SEGS].used) {
		c->seg++;
		c->off = 0;
	}
	if (c->seg < st->head) {
		rc = -ESTALE;
	} else if (c->seg <= st->tail && c->off < st->seg[c->seg % HISTORY_SEGS].used) {
		*ret_used = st->seg[c->seg % HISTORY_SEGS].used;
		rc = FILL_OK;
	}
	pthread_mutex_unlock(&h->lock);
	return rc;
}

static bool
still_there(struct history *h, uint64_t seg)
{
	pthread_mutex_lock(&h->lock);
	bool there = seg >= h->st.head && seg <= h->st.tail;
	pthread_mutex_unlock(&h->lock);
	return there;
}

static int
read_at(struct history *h, uint64_t seg, uint32_t off, char *p, size_t n)
{
	off_t at = (off_t)(seg % HISTORY_SEGS) * h->seg_bytes + off;
	for (size_t got = 0; got < n;) {
		ssize_t r = disk_pread(h->file, p + got, n - got, at + (off_t)got);
		if (r <= 0)
			return -ESTALE; /* cut short or unreadable: it is but a cache */
		got += (size_t)r;
	}
	return still_there(h, seg) ? 0 : -ESTALE;
}

/* fill: at least need bytes at the cursor's place (which place_of gave), up to `used`. */
static int
fill(struct history *h, struct history_cursor *c, size_t need, uint32_t used)
{
	size_t left = used - c->off, want = need > CHUNK ? need : CHUNK;
	if (need > left)
		return -ESTALE;
	if (want > left)
		want = left;
	if (want > c->buf_cap) {
		char *p = realloc(c->buf, want);
		if (!p)
			return -ENOMEM;
		c->buf = p;
		c->buf_cap = want;
	}
	c->buf_len = 0;
	int rc = read_at(h, c->seg, c->off, c->buf, want);
	if (rc < 0)
		return rc;
	c->buf_seg = c->seg;
	c->buf_off = c->off;
	c->buf_len = want;
	return FILL_OK;
}

/* have: bytes of the buffer at the cursor's place. */
static struct str
have(const struct history_cursor *c)
{
	if (c->buf_len == 0 || c->buf_seg != c->seg || c->off < c->buf_off ||
		c->off - c->buf_off >= c->buf_len)
		return str_from("", 0);
	return str_from(c->buf + (c->off - c->buf_off), c->buf_len - (c->off - c->buf_off));
}

/* next_any: the next record, whatever its order. */
static int
next_any(struct history *h, struct history_cursor *c, struct history_record *ret)
{
	uint32_t used = 0;
	size_t need = HISTORY_RECORD;
	for (int tries = 0; tries < 3; tries++) {
		struct str got = have(c);
		if (got.n >= HISTORY_RECORD) {
			struct reader r = reader_of(str_sub(got, 4, 8));
			need = reader_le32(&r);
			if (need < HISTORY_RECORD || need > h->seg_bytes)
				return -ESTALE;
		}
		if (got.n >= need && got.n >= HISTORY_RECORD)
			return record_parse(str_sub(got, 0, need), h->epoch, c->seg, c->off, ret);
		int rc = place_of(h, c, &used);
		if (rc == FILL_OK)
			rc = fill(h, c, need, used);
		if (rc != FILL_OK)
			return rc == FILL_END ? -ESTALE : rc;
	}
	return -ESTALE;
}

int
history_next(
	struct history *h, struct history_cursor *c, uint64_t until_rev, struct history_record *ret)
{
	for (;;) {
		uint64_t seen = c->ord > c->after ? c->ord : c->after;
		if (seen >= ORD_END(until_rev))
			return 0;
		if (!c->placed || c->rollbacks != atomic_load(&h->rollbacks)) {
			int rc = history_seek(h, c, seen);
			if (rc < 0)
				return rc;
		}
		int rc = next_any(h, c, ret);
		if (rc == 0 && ret->ord <= c->ord)
			rc = -ESTALE;
		if (rc == -ESTALE && still_there(h, c->seg))
			history_damaged(h, c->seg);
		if (rc < 0)
			return rc;
		c->off += (uint32_t)ret->bytes.n;
		c->ord = ret->ord;
		if (ret->ord > c->after)
			return 1;
	}
}

void
history_cursor_release(struct history_cursor *c)
{
	free(c->buf);
	*c = (struct history_cursor){0};
}

int
history_at(struct history *h, uint64_t seg, uint32_t off, struct buf *b, struct history_record *ret)
{
	buf_clear(b);
	char *p = buf_reserve(b, HISTORY_RECORD);
	if (!p)
		return -ENOMEM;
	int rc = read_at(h, seg, off, p, HISTORY_RECORD);
	if (rc < 0)
		return rc;
	struct reader r = reader_of(str_from(p + 4, 4));
	size_t n = reader_le32(&r);
	if (n < HISTORY_RECORD || n > h->seg_bytes - off)
		return -ESTALE;
	p = buf_reserve(b, n);
	if (!p)
		return -ENOMEM;
	rc = read_at(h, seg, off, p, n);
	if (rc < 0)
		return rc;
	return record_parse(str_from(p, n), h->epoch, seg, off, ret);
}
