/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * backup.c: a copy of the store as of one revision, into a file of the same form. It reads page by page,
 * each page a short read transaction at that revision, so that a writer is not kept from using freed
 * pages, however long the copy takes. The copy is marked: a store opened on it jumps its revisions and
 * has no history. Must not: be used on a file that a store has open. */
#include "storage/store/store_int.h"

#include <errno.h>

#define PAGE_ITEMS 1000
#define PAGE_BYTES ((size_t)4 << 20)

struct backup {
	struct store *s;
	struct table to;
	MDB_txn *txn;
	struct arena *a; /* of a page */
	uint64_t rev;
	uint32_t n_res;
	uint64_t count[STORE_RES_MAX + 1];
	int error;
};

static uint64_t
count_of_backup(void *arg, uint32_t num)
{
	return ((const struct backup *)arg)->count[num];
}

static bool
copy_object(void *arg, struct store_key key, const struct store_value *v)
{
	struct backup *b = arg;
	struct key_buf packed;
	struct value_parts parts;
	uint8_t expiry[8 + STORE_KEY_MAX];
	int rc = key_pack(&key, &packed);
	value_parts_of_old(v, &parts);
	size_t n = value_size(&parts, v->rev);
	uint8_t *p = arena_alloc_raw(b->a, n, 1);
	if (!p)
		rc = -ENOMEM;
	if (rc == 0) {
		value_pack(&parts, v->rev, p);
		rc = table_put(
			b->txn, b->to.objects, key_view(&packed), str_from((const char *)p, n));
	}
	if (rc == 0 && v->expires_ns != 0) {
		n = table_expiry_key(v->expires_ns, key_view(&packed), expiry);
		rc = table_put(
			b->txn, b->to.expiry, str_from((const char *)expiry, n), str_from("", 0));
	}
	b->count[key.res]++;
	b->error = rc;
	return rc == 0;
}

static int
begin(struct backup *b)
{
	return table_write(&b->to, &b->txn);
}

static int
commit(struct backup *b)
{
	int rc = table_errno(mdb_txn_commit(b->txn));
	b->txn = NULL;
	return rc;
}

/* copy_resource: its row and its objects, a transaction a page. */
static int
copy_resource(struct backup *b, uint32_t num)
{
	struct store_range range = {
		.res = num, .rev = b->rev, .max_items = PAGE_ITEMS, .max_bytes = PAGE_BYTES};
	struct key_buf start;
	for (bool first = true;; first = false) {
		uint64_t rev = 0;
		struct str more = STR_NONE;
		int rc = begin(b);
		if (rc == 0 && first)
			rc = resource_save(&b->to, b->txn, resource_at(b->s, num));
		if (rc == 0)
			rc = store_list(b->s, &range, b->a, copy_object, b, &rev, &more);
		if (rc == 0)
			rc = b->error;
		if (rc == 0)
			rc = commit(b);
		if (rc < 0 || !str_is_set(more))
			return rc;
		memcpy(start.p, more.p, more.n);
		range.start = str_from((const char *)start.p, more.n);
		arena_clear(b->a);
	}
}

static int
copy_all(struct backup *b)
{
	struct state st = {.flags = STATE_BACKUP, .rev = b->rev, .n_counts = b->n_res};
	for (uint32_t i = 1; i <= b->n_res; i++) {
		int rc = copy_resource(b, i);
		if (rc < 0)
			return rc;
	}
	int rc = begin(b);
	if (rc == 0)
		rc = state_put(&b->to, b->txn, &st, count_of_backup, b);
	if (rc == 0)
		rc = commit(b);
	return rc == 0 ? table_errno(mdb_env_sync(b->to.env, 1)) : rc;
}

int
store_backup(struct store *s, const char *path, struct err *e)
{
	if (disk_exists(path))
		return err_errno(e, -EEXIST, "backup to '%s'", path);
	struct arena *scratch = arena_new(0);
	struct backup *b = scratch ? ARENA_NEW(scratch, struct backup) : NULL;
	if (!b) {
		arena_free(scratch);
		return err_errno(e, -ENOMEM, "backup to '%s'", path);
	}
	b->s = s;
	b->a = arena_new(0);
	b->n_res = atomic_load(&s->n_res);
	b->rev = store_rev(s);
	int rc = b->a ? table_open(&b->to, path, true, &s->cfg) : -ENOMEM;
	if (rc == 0) {
		rc = copy_all(b);
		if (b->txn)
			mdb_txn_abort(b->txn);
		table_close(&b->to);
	}
	arena_free(b->a);
	arena_free(scratch);
	if (rc < 0) {
		disk_unlink(path);
		return err_errno(e, rc, "backup to '%s'", path);
	}
	return 0;
}
