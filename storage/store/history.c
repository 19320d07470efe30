/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * history.c: the writer's side of the ring file, see history.h: placing, sealing, trimming, the window
 * of time. Invariants: a segment that the last committed state names is never written over; h->st
 * changes only under the lock, and a reader that finds its segment below st.head forgets what it read.
 * Must not: sync, but at an orderly close. */
#include "storage/store/history.h"
#include "base/rand.h"

#include <errno.h>
#include <fcntl.h>

#define BYTES_DEFAULT ((size_t)64 << 20)
#define SEG_MIN 4096
#define SEG_MAX ((size_t)1 << 30)
#define WINDOW_DEFAULT (300 * NS_PER_SEC)

static struct history_seg *
seg_of(struct history_state *st, uint64_t seg)
{
	return &st->seg[seg % HISTORY_SEGS];
}

static uint32_t
seg_bytes_of(const struct store_config *cfg)
{
	size_t n = (cfg->history_bytes ? cfg->history_bytes : BYTES_DEFAULT) / HISTORY_SEGS;
	n = (n + SEG_MIN - 1) / SEG_MIN * SEG_MIN;
	return (uint32_t)(n < SEG_MIN ? SEG_MIN : n > SEG_MAX ? SEG_MAX : n);
}

/* state_ok: what the record says can be, for a file of this size. */
static bool
state_ok(const struct history_state *st, uint32_t seg_bytes, uint64_t rev)
{
	if (st->seg_bytes != seg_bytes || st->head > st->tail ||
		st->tail - st->head >= HISTORY_SEGS)
		return false;
	uint64_t base = st->seg[st->head % HISTORY_SEGS].base;
	for (uint64_t i = st->head; i <= st->tail; i++) {
		const struct history_seg *g = &st->seg[i % HISTORY_SEGS];
		if (g->base != base || g->last < g->base || g->used > seg_bytes)
			return false;
		base = g->last;
	}
	return base == ORD_END(rev);
}

static void
state_empty(struct history_state *st, uint64_t rev)
{
	st->head = ++st->tail;
	*seg_of(st, st->tail) = (struct history_seg){ORD_END(rev), ORD_END(rev), 0};
}

int
history_open(struct history *h, const char *path, const struct store_config *cfg,
	const struct history_state *st, bool trusted, uint64_t rev)
{
	*h = (struct history){.st = *st};
	uint32_t seg_bytes = seg_bytes_of(cfg);
	int rc = disk_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600, &h->file);
	if (rc < 0)
		return rc;
	pthread_mutex_init(&h->lock, NULL);
	h->window_ns = cfg->history_ns ? cfg->history_ns : WINDOW_DEFAULT;
	if (!trusted || !state_ok(st, seg_bytes, rev)) {
		h->st.epoch = rand_u64();
		h->st.seg_bytes = seg_bytes;
		state_empty(&h->st, rev);
	}
	h->epoch = h->st.epoch;
	h->seg_bytes = h->st.seg_bytes;
	h->oldest = ORD_REV(seg_of(&h->st, h->st.head)->base);
	return 0;
}

int
history_sync(struct history *h)
{
	return disk_sync(h->file);
}

void
history_close(struct history *h)
{
	disk_close(h->file);
	pthread_mutex_destroy(&h->lock);
	h->file = NULL;
}

/* ---- a group ---- */

void
history_begin(struct history *h, struct history_plan *p)
{
	*p = (struct history_plan){.st = h->st};
}

/* index_note: a place every seg_bytes / HISTORY_INDEX. It is the start of a record whose predecessor
 * has `before`. */
static void
index_note(struct history *h, const struct history_state *st, uint64_t before, uint32_t off)
{
	unsigned i = st->tail % HISTORY_SEGS;
	uint32_t n = h->n_index[i], step = st->seg_bytes / HISTORY_INDEX;
	if (n >= HISTORY_INDEX || (n > 0 && off < h->index[i][n - 1].off + step))
		return;
	pthread_mutex_lock(&h->lock);
	h->index[i][n] = (struct history_place){before, off};
	h->n_index[i] = n + 1;
	pthread_mutex_unlock(&h->lock);
}

int
history_place(struct history *h, struct history_plan *p, uint64_t ord, size_t n, uint64_t *ret_seg,
	uint32_t *ret_off)
{
	struct history_state *st = &p->st;
	struct history_seg *g = seg_of(st, st->tail);
	if (n > st->seg_bytes)
		return -EFBIG;
	if (n > st->seg_bytes - g->used) {
		if (st->tail - st->head + 1 >= HISTORY_SEGS)
			return -EFBIG;
		uint64_t base = g->last;
		g = seg_of(st, ++st->tail);
		*g = (struct history_seg){base, base, 0};
		pthread_mutex_lock(&h->lock);
		h->n_index[st->tail % HISTORY_SEGS] = 0;
		pthread_mutex_unlock(&h->lock);
	}
	index_note(h, st, g->last, g->used);
	*ret_seg = st->tail;
	*ret_off = g->used;
	g->used += (uint32_t)n;
	g->last = ord;
	return 0;
}

size_t
history_record_size(size_t key, size_t value, size_t old)
{
	return (HISTORY_RECORD + key + value + old + 7) & ~(size_t)7;
}

void
history_drop(struct history_plan *p, uint64_t rev)
{
	state_empty(&p->st, rev);
	p->off = true;
}

void
history_trim(struct history *h, struct history_plan *p)
{
	struct history_state *st = &p->st;
	uint64_t gone = ORD_END(atomic_load(&h->oldest));
	while (st->tail - st->head + 1 >= HISTORY_SEGS ||
		(st->head < st->tail && seg_of(st, st->head)->last <= gone))
		st->head++;
}

void
history_apply(struct history *h, const struct history_plan *p)
{
	pthread_mutex_lock(&h->lock);
	if (p->off)
		memset(h->n_index, 0, sizeof(h->n_index));
	h->st = p->st;
	pthread_mutex_unlock(&h->lock);
}

int
history_write(struct history *h, uint64_t seg, uint32_t off, const struct iovec *iov, int n)
{
	off_t at = (off_t)(seg % HISTORY_SEGS) * h->seg_bytes + off;
	return disk_pwritev(h->file, iov, n, at);
}

void
history_rollback(struct history *h, const struct history_state *before)
{
	pthread_mutex_lock(&h->lock);
	h->st = *before;
	for (unsigned i = 0; i < HISTORY_SEGS; i++)
		while (h->n_index[i] > 0 &&
			h->index[i][h->n_index[i] - 1].off > before->seg[i].used)
			h->n_index[i]--;
	atomic_fetch_add(&h->rollbacks, 1);
	pthread_mutex_unlock(&h->lock);
}

/* ---- the window ---- */

static void
raise_oldest(struct history *h, uint64_t rev)
{
	uint64_t old = atomic_load(&h->oldest);
	while (old < rev && !atomic_compare_exchange_weak(&h->oldest, &old, rev)) {}
}

void
history_damaged(struct history *h, uint64_t seg)
{
	pthread_mutex_lock(&h->lock);
	if (seg >= h->st.head && seg <= h->st.tail)
		raise_oldest(h, ORD_REV(seg_of(&h->st, seg)->last));
	pthread_mutex_unlock(&h->lock);
}

static void
mark(struct history *h, uint64_t rev, int64_t now_ns)
{
	size_t n = h->n_marks;
	if (n > 0 &&
		(h->mark[n - 1].rev == rev ||
			now_ns - h->mark[n - 1].at_ns < h->window_ns / (HISTORY_MARKS / 2)))
		return;
	if (n == HISTORY_MARKS)
		return;
	h->mark[n].at_ns = now_ns;
	h->mark[n].rev = rev;
	h->n_marks++;
}

int64_t
history_expire(struct history *h, int64_t now_ns)
{
	size_t n = 0;
	while (n < h->n_marks && h->mark[n].at_ns <= now_ns - h->window_ns)
		raise_oldest(h, h->mark[n++].rev);
	memmove(h->mark, h->mark + n, (h->n_marks - n) * sizeof(h->mark[0]));
	h->n_marks -= n;
	uint64_t rev = ORD_REV(seg_of(&h->st, h->st.tail)->last);
	if (atomic_load(&h->oldest) < rev)
		mark(h, rev, now_ns);
	return h->n_marks > 0 ? h->mark[0].at_ns + h->window_ns : 0;
}

int64_t
history_committed(struct history *h, uint64_t rev, int64_t now_ns)
{
	raise_oldest(h, ORD_REV(seg_of(&h->st, h->st.head)->base));
	mark(h, rev, now_ns);
	return h->n_marks > 0 ? h->mark[0].at_ns + h->window_ns : 0;
}

uint64_t
history_bytes(struct history *h)
{
	uint64_t sum = 0;
	pthread_mutex_lock(&h->lock);
	for (uint64_t i = h->st.head; i <= h->st.tail; i++)
		sum += seg_of(&h->st, i)->used;
	pthread_mutex_unlock(&h->lock);
	return sum;
}
