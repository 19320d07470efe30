/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * history: the window of past changes: a ring file of records (order, key, new bytes, old bytes), never
 * synced. It is a cache: it survives a killed process (the page cache keeps it), and is dropped after a
 * power cut; then old revisions are gone (410), never wrong.
 *
 * The file is HISTORY_SEGS segments, written in turn; a record lies within one segment. Which segments
 * hold what stands in the state record of LMDB and so changes with the commit it belongs to: records are
 * written before the commit, and count only after it. One segment outside of what the last commit
 * recorded stays free, so that a group that never commits destroys nothing.
 * Invariants: records from the first segment's base to the tail have no gap; a reader checks after each
 * read that its segment was not given away meanwhile, and every record by a sum.
 * Must not: be read beyond a revision that is committed. */
#ifndef STORAGE_STORE_HISTORY_H
#define STORAGE_STORE_HISTORY_H

#include "storage/store/store.h"

#include <pthread.h>
#include <stdatomic.h>

/* Order of events over all resources: revision, then place in its transaction; the last event of a
 * transaction has ORD_END(rev), so that a cursor's order tells whether a revision was seen whole. */
#define ORD_BITS 12
#define ORD(rev, idx) ((uint64_t)(rev) << ORD_BITS | (idx))
#define ORD_END(rev) ((uint64_t)(rev) << ORD_BITS | 0xfff)
#define ORD_REV(ord) ((ord) >> ORD_BITS)
#define REV_MAX (UINT64_MAX >> (ORD_BITS + 1))

#define HISTORY_SEGS 8
#define HISTORY_MARKS 32  /* of time, over the window */
#define HISTORY_INDEX 128 /* places known within a segment */
#define HISTORY_RECORD 56 /* head of a record */

/* Events in a segment: base < ord <= last. */
struct history_seg {
	uint64_t base, last;
	uint32_t used;
};
/* What the state record keeps. Segments head..tail (rising numbers; place = number % HISTORY_SEGS). */
struct history_state {
	uint64_t epoch; /* another one: records of before a reset */
	uint32_t seg_bytes;
	uint64_t head, tail;
	struct history_seg seg[HISTORY_SEGS];
};

struct history_place {
	uint64_t ord;
	uint32_t off;
};
struct history {
	struct disk_file *file;
	uint64_t epoch; /* as in st, which a reader may not look at without the lock */
	uint32_t seg_bytes;
	pthread_mutex_t lock;
	struct history_state st; /* changed by the writer under lock */
	_Atomic unsigned rollbacks;
	_Atomic uint64_t oldest; /* revision */
	/* Sparse index of each segment, by place; under lock. */
	struct history_place index[HISTORY_SEGS][HISTORY_INDEX];
	uint32_t n_index[HISTORY_SEGS];
	/* Window of time; writer. Revision that was current at a time, rising. */
	struct {
		int64_t at_ns;
		uint64_t rev;
	} mark[HISTORY_MARKS];
	size_t n_marks;
	int64_t window_ns;
};

/* A record as read. Slices point into the reader's buffer. */
struct history_record {
	uint64_t ord;
	enum store_event_kind kind;
	struct str key, value, old; /* packed key, envelopes; old is empty for ADDED */
	struct str bytes;           /* the whole record */
	uint64_t seg;               /* where it lies */
	uint32_t off;
};

/* history_open: st is what the last commit recorded, or seg_bytes 0; `trusted`: the file is as that
 * commit left it. rev = of the store. Otherwise, or when the shape changed, history begins anew at rev
 * with a new epoch. 0 or -errno of the file. */
int history_open(struct history *h, const char *path, const struct store_config *cfg,
	const struct history_state *st, bool trusted, uint64_t rev);
int history_sync(struct history *h);
void history_close(struct history *h);

/* ---- writer ---- */
/* A group's records: what is placed, and what to go back to. */
struct history_plan {
	struct history_state st; /* as it will be */
	bool off;                /* the records do not fit: history begins anew behind this group */
};
void history_begin(struct history *h, struct history_plan *p);
/* history_place: room for a record of n bytes (multiple of 8). 0 or -EFBIG. */
int history_place(struct history *h, struct history_plan *p, uint64_t ord, size_t n,
	uint64_t *ret_seg, uint32_t *ret_off);
/* history_seal: writes the record's head and sum. rec has key, new and old bytes behind its head, in
 * this order, padded with zeros to n (history_record_size of them). */
size_t history_record_size(size_t key, size_t value, size_t old);
struct history_head {
	uint64_t epoch, seg, ord;
	enum store_event_kind kind;
	size_t key, value, old;
};
void history_seal(const struct history_head *head, uint8_t *rec, size_t n);
/* history_drop: the plan keeps nothing: history begins anew at rev. */
void history_drop(struct history_plan *p, uint64_t rev);
/* history_trim: drops segments so that one is free again; then p->st goes into the state record. */
void history_trim(struct history *h, struct history_plan *p);
/* history_apply: the plan becomes what readers may reach; before the commit, behind history_write: n
 * records that lie one behind the other at (seg, off). history_rollback: the commit failed, or never
 * came: back to `before` (also after nothing but history_place). */
void history_apply(struct history *h, const struct history_plan *p);
int history_write(struct history *h, uint64_t seg, uint32_t off, const struct iovec *iov, int n);
void history_rollback(struct history *h, const struct history_state *before);
/* history_committed: rev is committed at now_ns (monotonic); moves the window. history_expire: moves it
 * by time alone. Both give when history_expire is wanted next, 0 = not before a commit. */
int64_t history_committed(struct history *h, uint64_t rev, int64_t now_ns);
int64_t history_expire(struct history *h, int64_t now_ns);
uint64_t history_bytes(struct history *h);

/* ---- readers: any thread ---- */
/* A place in history; zeroed before use. Owns its buffer. */
struct history_cursor {
	uint64_t seg;
	uint32_t off;   /* of the next record */
	uint64_t ord;   /* of the last record passed */
	uint64_t after; /* records up to it are not given */
	unsigned rollbacks;
	bool placed;
	char *buf; /* bytes [buf_off, buf_off + buf_len) of segment buf_seg */
	size_t buf_cap, buf_len;
	uint64_t buf_seg;
	uint32_t buf_off;
};
/* history_seek: the next record will be the first with ord > after. -ESTALE out of the window. */
int history_seek(struct history *h, struct history_cursor *c, uint64_t after);
/* history_next: 1 a record (valid until the next call), 0 none up to the end of until_rev (which must
 * be committed), -ESTALE the place was given away or is damaged, -ENOMEM. */
int history_next(struct history *h, struct history_cursor *c, uint64_t until_rev,
	struct history_record *ret);
void history_cursor_release(struct history_cursor *c);
/* history_damaged: a record of this segment is bad: the window begins behind it. Any thread. */
void history_damaged(struct history *h, uint64_t seg);
/* history_at: the record at a place that a record named. b is overwritten. */
int history_at(
	struct history *h, uint64_t seg, uint32_t off, struct buf *b, struct history_record *ret);

#endif
