/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * expire.c: what time ends: objects with a time to live, and history's window. Both by timers of the
 * writer's loop that are armed only while there is something to wait for.
 *
 * Expired objects are deleted by ordinary transactions, one each (a revision each: a client that
 * resumes between two of them misses nothing), under the condition that the object is still the one that
 * expired. Due times are rounded up to STEP, so that a stream of expiries costs few commits.
 * Must not: delete by a clock that is not the injected one. */
#include "storage/store/store_int.h"

#include <errno.h>
#include <stdlib.h>

#define STEP_NS (5 * NS_PER_SEC)
#define WAIT_MAX_NS (600 * NS_PER_SEC) /* the wall clock may be set */
#define BATCH_MAX 256

/* One deletion on its way. */
struct expiry {
	struct store_txn txn;
	struct store *store;
	struct store_cond cond;
	struct store_op op;
	struct expiry *prev, *next;
	char key[];
};

static void
forget(struct expiry *x)
{
	struct writer *w = &x->store->writer;
	*(x->prev ? &x->prev->next : &w->expiring) = x->next;
	if (x->next)
		x->next->prev = x->prev;
	free(x);
}

static void
on_deleted(struct store_txn *t)
{
	struct store *s = ((struct expiry *)t->arg)->store;
	int64_t now = clock_wall_ns();
	if (t->result != 0 && t->result != -ESTALE &&
		(s->next_expiry_ns == 0 || s->next_expiry_ns > now))
		s->next_expiry_ns = now; /* it is still there: once more, a step later */
	forget(t->arg);
	if (!s->writer.expiring)
		expire_arm(s);
}

void
expire_forget(struct store *s)
{
	while (s->writer.expiring)
		forget(s->writer.expiring);
}

/* submit: deletes the object behind a key of the expiry table, if it is there as it was. */
static int
submit(struct store *s, MDB_txn *txn, struct str packed)
{
	struct str raw;
	struct store_value v;
	struct expiry *x = calloc(1, sizeof(*x) + packed.n);
	if (!x)
		return -ENOMEM;
	memcpy(x->key, packed.p, packed.n);
	if (table_get(txn, s->table.objects, packed, &raw) < 0 || value_unpack(raw, &v) < 0 ||
		key_unpack(str_from(x->key, packed.n), &x->op.key) < 0) {
		free(x);
		return 0;
	}
	x->store = s;
	x->op.kind = STORE_DELETE;
	x->cond = (struct store_cond){x->op.key, STORE_REV_IS, v.rev};
	x->txn = (struct store_txn){
		.conds = &x->cond,
		.n_conds = 1,
		.ops = &x->op,
		.n_ops = 1,
		.reply_to = s->writer.loop,
		.done = on_deleted,
		.arg = x,
	};
	x->next = s->writer.expiring;
	if (x->next)
		x->next->prev = x;
	s->writer.expiring = x;
	store_commit(s, &x->txn);
	return 0;
}

/* due_of: first 8 bytes of a key of the expiry table; INT64_MAX when it is none. */
static int64_t
due_of(struct str key)
{
	struct reader r = reader_of(key);
	uint64_t ns = reader_be64(&r);
	return r.bad || ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
}

/* walk: submits up to max objects that are due, and says when the first one after them is (0 = none). */
static int64_t
walk(struct store *s, int64_t now, size_t max)
{
	MDB_txn *txn = NULL;
	MDB_cursor *cursor = NULL;
	MDB_val k, v;
	int64_t due = 0;
	if (table_read(&s->table, &txn) < 0)
		return now + STEP_NS;
	int rc = mdb_cursor_open(txn, s->table.expiry, &cursor);
	for (size_t n = 0; rc == 0; n++) {
		rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
		if (rc != 0)
			break;
		due = due_of(table_str(k));
		if (due > now || n == max || submit(s, txn, str_sub(table_str(k), 8, SIZE_MAX)) < 0)
			break;
		due = 0;
	}
	mdb_cursor_close(cursor);
	table_read_end(&s->table, txn);
	return due == INT64_MAX ? 0 : due;
}

void
expire_arm(struct store *s)
{
	struct writer *w = &s->writer;
	if (s->next_expiry_ns == 0 || w->expiring)
		return;
	int64_t now = clock_wall_ns(), due = s->next_expiry_ns;
	int64_t wait = due < INT64_MAX - STEP_NS ? (due / STEP_NS + 1) * STEP_NS - now
						 : WAIT_MAX_NS;
	wait = wait < 0 ? 0 : wait > WAIT_MAX_NS ? WAIT_MAX_NS : wait;
	int64_t mono = clock_mono_ns() + wait;
	if (!loop_timer_is_set(&w->expire) || w->expire.at_ns > mono)
		loop_timer_set(w->loop, &w->expire, mono);
}

void
on_expire(struct loop_timer *t)
{
	struct store *s = t->arg;
	s->next_expiry_ns = walk(s, clock_wall_ns(), BATCH_MAX);
	/* While deletions run, the last of them arms the timer anew. */
	expire_arm(s);
}

void
window_arm(struct store *s, int64_t at_ns)
{
	struct writer *w = &s->writer;
	if (at_ns > 0 && !loop_timer_is_set(&w->window))
		loop_timer_set(w->loop, &w->window, at_ns);
}

void
on_window(struct loop_timer *t)
{
	struct store *s = t->arg;
	window_arm(s, history_expire(&s->history, loop_now_ns(s->writer.loop)));
}
