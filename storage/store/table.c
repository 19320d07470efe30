/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * table.c: the LMDB side of the store, see table.h. Read transactions are kept reset in a pool: to
 * renew one costs less than to begin one, and takes no lock of LMDB's. Write transactions are the
 * writer's, and for a moment store_resource's.
 * Must not: call LMDB with a transaction after it failed, but to abort it. */
#include "storage/store/table.h"
#include "storage/store/store_int.h"

#include <errno.h>
#include <sys/file.h>

#define MAP_DEFAULT ((size_t)64 << 30)
#define READERS_MAX 512
#define STATE_FORMAT 1
#define STATE_KEY STR("state")

int
table_errno(int rc)
{
	switch (rc) {
	case 0:
		return 0;
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_MAP_FULL:
		return -ENOSPC;
	case MDB_TXN_FULL:
		return -E2BIG;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
		return -EUCLEAN;
	}
	return rc > 0 ? -rc : -EIO;
}

static int
open_tables(struct table *t)
{
	MDB_txn *txn = NULL;
	int rc = mdb_txn_begin(t->env, NULL, 0, &txn);
	if (rc != 0)
		return rc;
	rc = mdb_dbi_open(txn, NULL, 0, &t->main);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "objects", MDB_CREATE, &t->objects);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "expiry", MDB_CREATE, &t->expiry);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "resources", MDB_CREATE, &t->resources);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	return mdb_txn_commit(txn);
}

/* take: LMDB lets several processes in; the store does not. The lock lies on the data file, whose
 * descriptor LMDB has open anyway, and ends with it. */
static int
take(MDB_env *env)
{
	mdb_filehandle_t fd = -1;
	int rc = mdb_env_get_fd(env, &fd);
	if (rc == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
		rc = errno == EWOULDBLOCK ? EBUSY : errno;
	return rc;
}

int
table_open(struct table *t, const char *path, bool file, const struct store_config *cfg)
{
	size_t map = cfg->map_bytes ? cfg->map_bytes : MAP_DEFAULT;
	unsigned flags = MDB_NOTLS | (cfg->no_sync || file ? MDB_NOSYNC : 0) |
		(file ? MDB_NOSUBDIR | MDB_NOLOCK : 0);
	int dead = 0;
	memset(t, 0, sizeof(*t));
	int rc = mdb_env_create(&t->env);
	if (rc != 0)
		return table_errno(rc);
	pthread_mutex_init(&t->lock, NULL);
	mdb_env_set_maxdbs(t->env, 4);
	mdb_env_set_maxreaders(t->env, READERS_MAX);
	rc = mdb_env_set_mapsize(t->env, map);
	if (rc == 0)
		rc = mdb_env_open(t->env, path, flags, 0600);
	if (rc == 0 && !file)
		rc = take(t->env);
	if (rc == 0 && !file)
		rc = mdb_reader_check(t->env, &dead);
	if (rc == 0)
		rc = open_tables(t);
	if (rc != 0)
		table_close(t);
	return table_errno(rc);
}

void
table_close(struct table *t)
{
	while (t->n_idle > 0)
		mdb_txn_abort(t->idle[--t->n_idle]);
	mdb_env_close(t->env);
	pthread_mutex_destroy(&t->lock);
	t->env = NULL;
}

/* begun: the result of beginning or renewing a transaction. */
static int
begun(struct table *t, int rc)
{
	if (rc == MDB_PANIC)
		atomic_store(&t->failed, true);
	return table_errno(rc);
}

int
table_write(struct table *t, MDB_txn **ret)
{
	return begun(t, mdb_txn_begin(t->env, NULL, 0, ret));
}

int
table_read(struct table *t, MDB_txn **ret)
{
	MDB_txn *txn = NULL;
	pthread_mutex_lock(&t->lock);
	if (t->n_idle > 0)
		txn = t->idle[--t->n_idle];
	pthread_mutex_unlock(&t->lock);
	if (!txn)
		return begun(t, mdb_txn_begin(t->env, NULL, MDB_RDONLY, ret));
	int rc = mdb_txn_renew(txn);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return begun(t, rc);
	}
	*ret = txn;
	return 0;
}

void
table_read_end(struct table *t, MDB_txn *txn)
{
	mdb_txn_reset(txn);
	pthread_mutex_lock(&t->lock);
	bool kept = t->n_idle < TABLE_POOL;
	if (kept)
		t->idle[t->n_idle++] = txn;
	pthread_mutex_unlock(&t->lock);
	if (!kept)
		mdb_txn_abort(txn);
}

void
table_probe(struct table *t)
{
	MDB_txn *txn = NULL;
	if (table_read(t, &txn) == 0)
		table_read_end(t, txn);
}

int
table_get(MDB_txn *txn, MDB_dbi dbi, struct str key, struct str *ret)
{
	MDB_val k = table_val(key), v;
	int rc = mdb_get(txn, dbi, &k, &v);
	if (rc == 0)
		*ret = table_str(v);
	return table_errno(rc);
}

int
table_put(MDB_txn *txn, MDB_dbi dbi, struct str key, struct str value)
{
	MDB_val k = table_val(key), v = table_val(value);
	return table_errno(mdb_put(txn, dbi, &k, &v, 0));
}

int
table_del(MDB_txn *txn, MDB_dbi dbi, struct str key)
{
	MDB_val k = table_val(key);
	return table_errno(mdb_del(txn, dbi, &k, NULL));
}

size_t
table_expiry_key(int64_t expires_ns, struct str key, uint8_t *out)
{
	for (unsigned i = 0; i < 8; i++)
		out[i] = (uint8_t)((uint64_t)expires_ns >> (56 - 8 * i));
	memcpy(out + 8, key.p, key.n);
	return 8 + key.n;
}

/* ---- state: u32 format, u32 flags, u64 rev, boot id, history, u32 n, n x u64 ---- */

int
state_get(const struct table *t, MDB_txn *txn, struct state *ret)
{
	struct str raw;
	int rc = table_get(txn, t->main, STATE_KEY, &raw);
	if (rc < 0)
		return rc;
	struct reader r = reader_of(raw);
	struct state st = {0};
	if (reader_le32(&r) != STATE_FORMAT)
		return -EUCLEAN;
	st.flags = reader_le32(&r);
	st.rev = reader_le64(&r);
	struct str boot = reader_bytes(&r, STATE_BOOT_ID);
	if (!r.bad)
		memcpy(st.boot_id, boot.p, STATE_BOOT_ID);
	st.boot_id[STATE_BOOT_ID - 1] = '\0';
	struct history_state *h = &st.history;
	h->epoch = reader_le64(&r);
	h->seg_bytes = reader_le32(&r);
	h->head = reader_le64(&r);
	h->tail = reader_le64(&r);
	for (unsigned i = 0; i < HISTORY_SEGS; i++) {
		h->seg[i].base = reader_le64(&r);
		h->seg[i].last = reader_le64(&r);
		h->seg[i].used = reader_le32(&r);
	}
	st.n_counts = reader_le32(&r);
	st.counts = reader_bytes(&r, (size_t)st.n_counts * 8);
	if (r.bad || st.rev == 0 || st.rev > REV_MAX || st.n_counts > STORE_RES_MAX)
		return -EUCLEAN;
	*ret = st;
	return 0;
}

int
state_rev(const struct table *t, MDB_txn *txn, uint64_t *ret)
{
	struct str raw;
	int rc = table_get(txn, t->main, STATE_KEY, &raw);
	if (rc < 0)
		return rc == -ENOENT ? -EIO : rc;
	struct reader r = reader_of(str_sub(raw, 8, 16));
	*ret = reader_le64(&r);
	return r.bad ? -EIO : 0;
}

static void
state_add_u64(struct buf *b, uint64_t v)
{
	buf_le32(b, (uint32_t)v);
	buf_le32(b, (uint32_t)(v >> 32));
}

int
state_put(const struct table *t, MDB_txn *txn, const struct state *st,
	uint64_t (*count)(void *arg, uint32_t num), void *arg)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const struct history_state *h = &st->history;
	buf_reserve(&b, 1024);
	buf_le32(&b, STATE_FORMAT);
	buf_le32(&b, st->flags);
	state_add_u64(&b, st->rev);
	buf_add(&b, st->boot_id, STATE_BOOT_ID);
	state_add_u64(&b, h->epoch);
	buf_le32(&b, h->seg_bytes);
	state_add_u64(&b, h->head);
	state_add_u64(&b, h->tail);
	for (unsigned i = 0; i < HISTORY_SEGS; i++) {
		state_add_u64(&b, h->seg[i].base);
		state_add_u64(&b, h->seg[i].last);
		buf_le32(&b, h->seg[i].used);
	}
	buf_le32(&b, st->n_counts);
	for (uint32_t i = 1; i <= st->n_counts; i++)
		state_add_u64(&b, count(arg, i));
	if (b.failed)
		return -ENOMEM;
	return table_put(txn, t->main, STATE_KEY, buf_view(&b));
}
