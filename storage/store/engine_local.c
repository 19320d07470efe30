/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * engine_local.c: the engine of one control node: LMDB is log and state.
 *
 * A group is one LMDB transaction: each store_txn's conditions are asked of it (so they see what the
 * transactions before it in the group did), its operations written, its events built with the revision
 * spliced in; then the records go to the ring file, the state record is put, and one commit with its
 * sync makes all of it true at once. When something fails before the commit nothing was changed; when
 * one transaction alone is too much (map full), the group is done again one by one.
 * Invariants: an event exists only for what was committed; history is written before the commit that
 * names it. Must not: reply or publish. Source: architecture.md section 4. */
#include "storage/store/engine.h"
#include "storage/store/store_int.h"

#include <errno.h>
#include <stdlib.h>

#define IOV_MAX_RUN 64

struct batch {
	struct store *s;
	MDB_txn *txn;
	struct history_state before;
	struct history_plan plan;
	uint64_t rev; /* of the last transaction that changed something */
	struct event *events, *last;
	/* The event that is not sealed yet: it may be the last one of its transaction. */
	struct event *open;
	struct history_head head;
	bool alone; /* one transaction: history gives way when it does not fit */
};

/* ---- operations ---- */

/* seal_open: the open event gets its place in order and in history. */
static int
seal_open(struct batch *b, uint64_t ord)
{
	struct event *ev = b->open;
	if (!ev)
		return 0;
	if (!b->plan.off) {
		int rc = history_place(
			&b->s->history, &b->plan, ord, ev->rec_n, &ev->seg, &ev->off);
		if (rc < 0 && !b->alone)
			return rc;
		if (rc < 0)
			b->plan.off = true;
	}
	b->head.epoch = b->s->history.epoch;
	b->head.seg = ev->seg;
	b->head.ord = ord;
	history_seal(&b->head, ev->rec, ev->rec_n);
	const char *at = (const char *)ev->rec + HISTORY_RECORD;
	struct history_record rec = {
		.ord = ord,
		.kind = b->head.kind,
		.key = str_from(at, b->head.key),
		.value = str_from(at + b->head.key, b->head.value),
		.old = str_from(at + b->head.key + b->head.value, b->head.old),
	};
	b->open = NULL;
	return event_fill(ev, &rec);
}

/* open_event: an event with its bytes; the first write to the table comes after it, because old is
 * mapped memory. */
static int
open_event(struct batch *b, const struct value_parts *parts, struct str key, struct str old,
	enum store_event_kind kind)
{
	size_t size = value_size(parts, b->rev);
	struct event *ev = event_new(history_record_size(key.n, size, old.n));
	if (!ev)
		return -ENOMEM;
	uint8_t *p = ev->rec + HISTORY_RECORD;
	memcpy(p, key.p, key.n);
	value_pack(parts, b->rev, p + key.n);
	if (old.n > 0)
		memcpy(p + key.n + size, old.p, old.n);
	b->head = (struct history_head){.kind = kind, .key = key.n, .value = size, .old = old.n};
	b->open = ev;
	*(b->last ? &b->last->next : &b->events) = ev;
	b->last = ev;
	return 0;
}

static int
set_expiry(struct batch *b, struct str key, int64_t old_ns, int64_t new_ns)
{
	uint8_t k[8 + STORE_KEY_MAX];
	MDB_dbi dbi = b->s->table.expiry;
	int rc = 0;
	if (old_ns == new_ns)
		return 0;
	if (old_ns != 0) {
		size_t n = table_expiry_key(old_ns, key, k);
		rc = table_del(b->txn, dbi, str_from((const char *)k, n));
	}
	if (new_ns != 0 && (rc == 0 || rc == -ENOENT)) {
		size_t n = table_expiry_key(new_ns, key, k);
		rc = table_put(b->txn, dbi, str_from((const char *)k, n), str_from("", 0));
		if (b->s->next_expiry_ns == 0 || new_ns < b->s->next_expiry_ns)
			b->s->next_expiry_ns = new_ns;
	}
	return rc == -ENOENT ? 0 : rc;
}

static int
apply_op(struct batch *b, const struct store_op *op, unsigned idx)
{
	struct key_buf packed;
	struct resource *res = resource_get(b->s, op->key.res);
	struct value_parts parts = {0};
	struct store_value old = {0};
	struct str raw = {"", 0};
	int rc = key_pack(&op->key, &packed);
	if (rc < 0 || !res)
		return -ERANGE;
	struct str key = key_view(&packed);
	rc = table_get(b->txn, b->s->table.objects, key, &raw);
	bool existed = rc == 0;
	if (rc < 0 && rc != -ENOENT)
		return rc;
	if (existed && value_unpack(raw, &old) < 0)
		return -EIO;
	bool del = op->kind == STORE_DELETE;
	if (del && !existed)
		return 0;
	if (del && op->body.n == 0)
		value_parts_of_old(&old, &parts);
	else if ((rc = value_parts_of_op(op, &parts)) < 0)
		return rc;
	if (del && !str_is_set(op->attrs))
		parts.attrs = old.attrs;
	if (del)
		parts.expires_ns = 0;
	int64_t old_ns = old.expires_ns;
	rc = seal_open(b, ORD(b->rev, idx > 0 ? idx - 1 : 0));
	if (rc == 0)
		rc = open_event(b, &parts, key, raw,
			del               ? STORE_DELETED
				: existed ? STORE_MODIFIED
					  : STORE_ADDED);
	if (rc < 0)
		return rc;
	struct str value = {(const char *)b->open->rec + HISTORY_RECORD + key.n, b->head.value};
	rc = del ? table_del(b->txn, b->s->table.objects, key)
		 : table_put(b->txn, b->s->table.objects, key, value);
	if (rc == 0)
		rc = set_expiry(b, key, old_ns, parts.expires_ns);
	res->delta += del ? -1 : !existed;
	return rc;
}

/* ---- transactions ---- */

static int
check_cond(struct batch *b, const struct store_cond *c)
{
	struct key_buf packed;
	struct str raw;
	struct store_value v = {0};
	if (key_pack(&c->key, &packed) < 0)
		return -ERANGE;
	int rc = table_get(b->txn, b->s->table.objects, key_view(&packed), &raw);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	if (rc == 0 && value_unpack(raw, &v) < 0)
		return -EIO;
	bool held = c->kind == STORE_ABSENT ? rc == -ENOENT
		: c->kind == STORE_EXISTS   ? rc == 0
					    : rc == 0 && v.rev == c->rev;
	return held ? 0 : -ESTALE;
}

/* check_txn: all that can be wrong with it, before anything of it is written. */
static int
check_txn(struct batch *b, struct store_txn *t)
{
	if (t->n_ops > STORE_OPS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < t->n_ops; i++) {
		struct key_buf packed;
		struct value_parts parts;
		int rc = key_pack(&t->ops[i].key, &packed);
		if (rc == 0 && !resource_get(b->s, t->ops[i].key.res))
			rc = -ERANGE;
		if (rc == 0)
			rc = value_parts_of_op(&t->ops[i], &parts);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < t->n_conds; i++) {
		int rc = check_cond(b, &t->conds[i]);
		if (rc == -ESTALE)
			t->failed_cond = i;
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* apply_txn: 0 also when the transaction itself was refused; < 0 the whole batch is spoilt. */
static int
apply_txn(struct batch *b, struct store_txn *t)
{
	t->result = check_txn(b, t);
	if (t->result < 0)
		return t->result == -ESTALE || t->result == -ERANGE || t->result == -E2BIG
			? 0
			: t->result;
	struct event *before = b->last;
	b->rev++;
	for (size_t i = 0; i < t->n_ops; i++) {
		int rc = apply_op(b, &t->ops[i], (unsigned)i);
		if (rc < 0)
			return rc;
	}
	if (b->last == before)
		b->rev--;
	t->rev = b->rev;
	return seal_open(b, ORD_END(b->rev));
}

/* ---- the batch ---- */

static uint64_t
count_of(void *arg, uint32_t num)
{
	const struct resource *r = resource_at(arg, num);
	int64_t n = atomic_load(&r->count) + r->delta;
	return n > 0 ? (uint64_t)n : 0;
}

static int
save_resources(struct batch *b, uint32_t n)
{
	for (uint32_t i = b->s->n_saved + 1; i <= n; i++) {
		int rc = resource_save(&b->s->table, b->txn, resource_at(b->s, i));
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* write_history: the records, in runs that lie together. */
static int
write_history(struct batch *b)
{
	struct iovec iov[IOV_MAX_RUN];
	struct event *ev = b->events;
	while (ev) {
		uint64_t seg = ev->seg;
		uint32_t off = ev->off, end = off;
		int n = 0;
		for (; ev && n < IOV_MAX_RUN && ev->seg == seg && ev->off == end; ev = ev->next) {
			iov[n++] = (struct iovec){ev->rec, ev->rec_n};
			end += (uint32_t)ev->rec_n;
		}
		int rc = history_write(&b->s->history, seg, off, iov, n);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
finish(struct batch *b)
{
	struct store *s = b->s;
	uint32_t n_res = atomic_load(&s->n_res);
	int rc = save_resources(b, n_res);
	if (rc < 0)
		return rc;
	/* A cache that cannot be written is given up, the write is not. */
	if (b->plan.off || write_history(b) < 0)
		history_drop(&b->plan, b->rev);
	history_trim(&s->history, &b->plan);
	struct state st = {.rev = b->rev, .history = b->plan.st, .n_counts = n_res};
	memcpy(st.boot_id, s->boot_id, sizeof(st.boot_id));
	rc = state_put(&s->table, b->txn, &st, count_of, s);
	if (rc < 0)
		return rc;
	history_apply(&s->history, &b->plan);
	rc = table_errno(mdb_txn_commit(b->txn));
	b->txn = NULL;
	if (rc == 0)
		s->n_saved = n_res;
	return rc;
}

static void
settle_counts(struct store *s, bool committed)
{
	for (uint32_t i = 1; i <= atomic_load(&s->n_res); i++) {
		struct resource *r = resource_at(s, i);
		if (committed && r->delta != 0)
			atomic_fetch_add(&r->count, r->delta);
		r->delta = 0;
	}
}

static void
drop_events(struct event *ev)
{
	while (ev) {
		struct event *next = ev->next;
		store_event_unref(&ev->pub);
		ev = next;
	}
}

/* run: transactions from `first` up to `end` as one batch; their events go to g. 0, or why nothing of
 * it was written; *ret_early tells that it failed before the commit. */
static int
run(struct store *s, struct store_group *g, struct store_txn *first, struct store_txn *end,
	bool *ret_early)
{
	struct batch b = {.s = s, .rev = atomic_load(&s->rev), .alone = first->next == end};
	history_begin(&s->history, &b.plan);
	b.before = b.plan.st;
	*ret_early = true;
	int rc = table_write(&s->table, &b.txn);
	for (struct store_txn *t = first; rc == 0 && t != end; t = t->next)
		rc = apply_txn(&b, t);
	if (rc == 0 && b.events) {
		rc = finish(&b);
		*ret_early = b.txn != NULL;
	}
	if (b.txn)
		mdb_txn_abort(b.txn);
	settle_counts(s, rc == 0);
	if (rc < 0) {
		if (!*ret_early)
			table_probe(&s->table);
		history_rollback(&s->history, &b.before);
		drop_events(b.events);
		return rc == -EUCLEAN ? -EIO : rc;
	}
	if (b.events) {
		*(g->events_last ? &g->events_last->next : &g->events) = b.events;
		g->events_last = b.last;
		atomic_store(&s->rev, b.rev);
	}
	return 0;
}

static void
engine_local_commit(struct store *s, struct store_group *g)
{
	bool early = false;
	int rc = run(s, g, g->first, NULL, &early);
	bool again = early && g->n > 1 &&
		(rc == -ENOSPC || rc == -EFBIG || rc == -ENOMEM || rc == -E2BIG);
	for (struct store_txn *t = g->first; rc < 0 && t; t = t->next) {
		int one = again ? run(s, g, t, t->next, &early) : rc;
		if (one < 0)
			t->result = one == -EFBIG ? -EIO : one;
	}
	writer_finish(s, g, atomic_load(&s->rev));
}

const struct engine engine_local = {
	.name = "local",
	.commit = engine_local_commit,
};
