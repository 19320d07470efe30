/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * list.c: ranges of objects in key order, now or as of a revision in the window.
 *
 * As of revision R: today's snapshot (of revision L), over which the changes of (R, L] are laid: for
 * each key in the range that changed, its first record after R holds the bytes of R, or none when the
 * object did not exist then. The records stand in history, and only their places are kept.
 * Invariants: the snapshot ends with the call; a page is exactly the page of R, or -ESTALE.
 * Must not: trust `start`: it may come from a client. Source: etcd v3 Range; apiserver list chunking. */
#include "storage/store/store_int.h"

#include <errno.h>
#include <stdlib.h>

/* What a key was at R: where its old bytes are. */
struct past {
	struct str key; /* arena */
	uint64_t seg;
	uint32_t off;
	bool existed;
};

struct lister {
	struct store *s;
	const struct store_range *range;
	MDB_txn *txn;
	MDB_cursor *cursor;
	struct key_buf prefix;
	/* The overlay, in key order. */
	struct arena *scratch;
	struct past **past;
	size_t n_past, at_past;
	struct buf old; /* record of the past that is being given */
	/* The next of the snapshot. */
	MDB_val key, value;
	bool more;
};

static bool
in_range(const struct lister *l, struct str key)
{
	return str_starts(key, key_view(&l->prefix));
}

/* check_start: a key of the range, as an earlier page gave it. */
static int
check_start(const struct lister *l)
{
	struct store_key key;
	struct str start = l->range->start;
	if (start.n == 0)
		return 0;
	return start.n <= STORE_KEY_MAX && key_unpack(start, &key) == 0 && in_range(l, start)
		? 0
		: -EINVAL;
}

/* ---- the overlay ---- */

static int
past_cmp(const void *a, const void *b)
{
	return str_cmp((*(struct past *const *)a)->key, (*(struct past *const *)b)->key);
}

static int
past_note(struct lister *l, struct map *seen, const struct history_record *rec)
{
	if (!in_range(l, rec->key) ||
		(l->range->start.n > 0 && str_cmp(rec->key, l->range->start) <= 0) ||
		map_get(seen, rec->key))
		return 0;
	struct past *p = ARENA_NEW(l->scratch, struct past);
	if (!p)
		return -ENOMEM;
	*p = (struct past){
		arena_str(l->scratch, rec->key), rec->seg, rec->off, rec->kind != STORE_ADDED};
	struct past **place = ARENA_PUSH(l->scratch, l->past, l->n_past);
	if (!place || arena_failed(l->scratch) || map_put(seen, rec->key, p, NULL) < 0)
		return -ENOMEM;
	*place = p;
	return 0;
}

/* load_past: all changes of (rev, until]. */
static int
load_past(struct lister *l, uint64_t rev, uint64_t until)
{
	struct history *h = &l->s->history;
	struct history_cursor c = {0};
	struct history_record rec;
	struct map seen;
	l->scratch = arena_new(0);
	if (!l->scratch)
		return -ENOMEM;
	map_init(&seen);
	int rc = history_seek(h, &c, ORD_END(rev));
	if (rc == 0)
		rc = 1;
	while (rc > 0 && (rc = history_next(h, &c, until, &rec)) > 0) {
		int noted = past_note(l, &seen, &rec);
		if (noted < 0)
			rc = noted;
	}
	history_cursor_release(&c);
	map_release(&seen);
	if (rc == 0 && l->n_past > 1)
		qsort(l->past, l->n_past, sizeof(l->past[0]), past_cmp);
	return rc;
}

/* ---- walking ---- */

static int
snapshot_next(struct lister *l, MDB_cursor_op op)
{
	int rc = mdb_cursor_get(l->cursor, &l->key, &l->value, op);
	l->more = rc == 0 && in_range(l, table_str(l->key));
	return rc == MDB_NOTFOUND ? 0 : table_errno(rc);
}

static int
snapshot_first(struct lister *l)
{
	struct str start = l->range->start.n > 0 ? l->range->start : key_view(&l->prefix);
	l->key = table_val(start);
	int rc = snapshot_next(l, MDB_SET_RANGE);
	if (rc == 0 && l->more && l->range->start.n > 0 && str_eq(table_str(l->key), start))
		rc = snapshot_next(l, MDB_NEXT);
	return rc;
}

/* next: the next object as of the revision: 1 and its packed key and envelope, 0 at the end. */
static int
next(struct lister *l, struct str *ret_key, struct str *ret_env)
{
	for (;;) {
		struct past *p = l->at_past < l->n_past ? l->past[l->at_past] : NULL;
		int order = !p ? -1 : !l->more ? 1 : str_cmp(table_str(l->key), p->key);
		if (order < 0) {
			if (!l->more)
				return 0;
			*ret_key = table_str(l->key);
			*ret_env = table_str(l->value);
			int rc = snapshot_next(l, MDB_NEXT);
			return rc < 0 ? rc : 1;
		}
		l->at_past++;
		if (order == 0) {
			int rc = snapshot_next(l, MDB_NEXT);
			if (rc < 0)
				return rc;
		}
		if (!p->existed)
			continue;
		struct history_record rec;
		int rc = history_at(&l->s->history, p->seg, p->off, &l->old, &rec);
		if (rc < 0)
			return rc;
		*ret_key = p->key;
		*ret_env = rec.old;
		return 1;
	}
}

static int
walk(struct lister *l, struct arena *a,
	bool (*fn)(void *, struct store_key, const struct store_value *), void *arg,
	struct str *ret_next)
{
	const struct store_range *r = l->range;
	size_t items = 0, bytes = 0;
	struct key_buf last = {.n = 0};
	for (bool full = false;;) {
		struct str packed, env;
		struct store_key key;
		struct store_value value;
		int rc = next(l, &packed, &env);
		if (rc < 0)
			return rc;
		if (rc == 0) {
			*ret_next = STR_NONE;
			return 0;
		}
		if (full)
			break; /* there is one more */
		if (packed.n > STORE_KEY_MAX || key_unpack(packed, &key) < 0 ||
			value_unpack(env, &value) < 0)
			return -EIO;
		items++;
		bytes += value.body.n;
		full = !fn(arg, key, &value) || (r->max_items > 0 && items >= r->max_items) ||
			(r->max_bytes > 0 && bytes >= r->max_bytes);
		if (full) {
			memcpy(last.p, packed.p, packed.n);
			last.n = packed.n;
		}
	}
	struct str more = arena_str(a, key_view(&last));
	if (!str_is_set(more))
		return -ENOMEM;
	*ret_next = more;
	return 0;
}

int
store_list(struct store *s, const struct store_range *r, struct arena *a,
	bool (*fn)(void *arg, struct store_key key, const struct store_value *v), void *arg,
	uint64_t *ret_rev, struct str *ret_next)
{
	struct lister l = {.s = s, .range = r};
	uint64_t now = 0, rev = r->rev;
	int rc = key_prefix(r->res, r->ns, &l.prefix);
	if (rc == 0)
		rc = check_start(&l);
	if (rc < 0)
		return -EINVAL;
	if (rev > 0 && rev < store_oldest(s))
		return -ESTALE;
	rc = table_read(&s->table, &l.txn);
	if (rc < 0)
		return -EIO;
	rc = state_rev(&s->table, l.txn, &now);
	if (rc == 0)
		rc = table_errno(mdb_cursor_open(l.txn, s->table.objects, &l.cursor));
	if (rc == 0 && rev > now)
		rc = -ERANGE;
	if (rc == 0 && rev > 0 && rev < now)
		rc = load_past(&l, rev, now);
	if (rc == 0)
		rc = snapshot_first(&l);
	struct str more = STR_NONE;
	if (rc == 0)
		rc = walk(&l, a, fn, arg, &more);
	mdb_cursor_close(l.cursor);
	table_read_end(&s->table, l.txn);
	arena_free(l.scratch);
	buf_release(&l.old);
	if (rc < 0)
		return rc == -EUCLEAN ? -EIO : rc;
	*ret_rev = rev > 0 ? rev : now;
	*ret_next = more;
	return 0;
}
