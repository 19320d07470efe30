/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * count.c: how many objects a namespace has of a resource. The first who asks walks over its keys; from then
 * on the writer keeps the number, so that each page of a list and each check of a quota is told at once.
 * Invariants: a number is made of a snapshot (of revision `rev`) and of the events behind it: those that come
 * while the snapshot is walked are added as they come; at most COUNTS_MAX are kept, those of 0 are not.
 * Must not: hold the lock while it reads the table. */
#include "storage/store/store_int.h"

#include <stdlib.h>

#define COUNTS_MAX 4096

struct ns_count {
	uint64_t rev; /* of the snapshot */
	int64_t n;
	bool walking; /* the snapshot is not in n yet */
};

void
counts_init(struct counts *c, uint64_t rev)
{
	pthread_mutex_init(&c->lock, NULL);
	map_init(&c->by_prefix);
	c->rev = rev;
}

void
counts_release(struct counts *c)
{
	size_t pos = 0;
	struct str key;
	void *n = NULL;
	while (map_next(&c->by_prefix, &pos, &key, &n))
		free(n);
	map_release(&c->by_prefix);
	pthread_mutex_destroy(&c->lock);
}

static void
forget(struct counts *c, struct str prefix)
{
	free(map_del(&c->by_prefix, prefix));
}

static void
count_event(struct counts *c, const struct store_event *ev)
{
	struct key_buf prefix;
	if (ev->kind == STORE_MODIFIED || ev->key.ns.n == 0 ||
		key_prefix(ev->key.res, ev->key.ns, &prefix) < 0)
		return;
	struct ns_count *n = map_get(&c->by_prefix, key_view(&prefix));
	if (!n || ev->rev <= n->rev)
		return;
	n->n += ev->kind == STORE_ADDED ? 1 : -1;
	if (n->n == 0 && !n->walking)
		forget(c, key_view(&prefix));
}

void
counts_add(struct counts *c, const struct event *events, uint64_t rev)
{
	pthread_mutex_lock(&c->lock);
	c->rev = rev;
	for (const struct event *ev = events; ev && map_len(&c->by_prefix) > 0; ev = ev->next)
		count_event(c, &ev->pub);
	pthread_mutex_unlock(&c->lock);
}

/* known: the number, or < 0. */
static int64_t
known(struct counts *c, struct str prefix)
{
	pthread_mutex_lock(&c->lock);
	const struct ns_count *n = map_get(&c->by_prefix, prefix);
	int64_t known = n && !n->walking ? n->n : -1;
	pthread_mutex_unlock(&c->lock);
	return known;
}

/* begin: a place for what the snapshot of this revision has; NULL: it is only counted, not kept. */
static struct ns_count *
begin(struct counts *c, struct str prefix, uint64_t rev)
{
	struct ns_count *n = NULL;
	pthread_mutex_lock(&c->lock);
	/* Events between an older snapshot and now were told already. */
	if (c->rev <= rev && map_len(&c->by_prefix) < COUNTS_MAX && !map_get(&c->by_prefix, prefix))
		n = calloc(1, sizeof(*n));
	if (n && map_put(&c->by_prefix, prefix, n, NULL) < 0) {
		free(n);
		n = NULL;
	}
	if (n)
		*n = (struct ns_count){.rev = rev, .walking = true};
	pthread_mutex_unlock(&c->lock);
	return n;
}

/* settle: what the snapshot had joins what came since; walked < 0: it could not be read. */
static int64_t
settle(struct counts *c, struct str prefix, struct ns_count *n, int64_t walked)
{
	pthread_mutex_lock(&c->lock);
	n->n += walked;
	n->walking = false;
	int64_t now = walked < 0 ? 0 : n->n;
	if (now == 0)
		forget(c, prefix);
	pthread_mutex_unlock(&c->lock);
	return now;
}

static int64_t
walk(struct store *s, MDB_txn *txn, struct str prefix)
{
	MDB_cursor *cursor = NULL;
	MDB_val key = table_val(prefix), value;
	int64_t n = 0;
	if (mdb_cursor_open(txn, s->table.objects, &cursor) != 0)
		return -1;
	int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	for (; rc == 0 && str_starts(table_str(key), prefix); n++)
		rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	mdb_cursor_close(cursor);
	return rc == 0 || rc == MDB_NOTFOUND ? n : -1;
}

size_t
store_count(struct store *s, uint32_t res, struct str ns)
{
	struct resource *r = resource_get(s, res);
	struct key_buf prefix;
	MDB_txn *txn = NULL;
	uint64_t rev = 0;
	if (!r || key_prefix(res, ns, &prefix) < 0)
		return 0;
	if (ns.n == 0)
		return (size_t)atomic_load(&r->count);
	int64_t n = known(&s->counts, key_view(&prefix));
	if (n >= 0 || table_read(&s->table, &txn) < 0)
		return n > 0 ? (size_t)n : 0;
	if (state_rev(&s->table, txn, &rev) == 0) {
		struct ns_count *kept = begin(&s->counts, key_view(&prefix), rev);
		n = walk(s, txn, key_view(&prefix));
		if (kept)
			n = settle(&s->counts, key_view(&prefix), kept, n);
	}
	table_read_end(&s->table, txn);
	return n > 0 ? (size_t)n : 0;
}
