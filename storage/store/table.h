/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * table: the LMDB environment: what is current, and one record of state.
 *   objects   packed key -> envelope
 *   expiry    u64 wall clock ns (big endian), packed key -> ""
 *   resources name -> u32 number
 *   state     one record in the main tree, whose leaf every commit writes anyway
 * Invariants: no read transaction outlives a call of the store; never NOSYNC (but for the simulation)
 * and never WRITEMAP. Errors are LMDB's mapped to errno: -ENOENT, -ENOSPC, -EIO, -errno.
 * Source: LMDB 0.9.31 lmdb.h; built with MDB_MAXKEYSIZE=0 (keys up to 1982 bytes). */
#ifndef STORAGE_STORE_TABLE_H
#define STORAGE_STORE_TABLE_H

#include "storage/store/history.h"
#include "storage/store/store.h"

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#define TABLE_POOL 64
#define STATE_BOOT_ID 40

struct table {
	MDB_env *env;
	MDB_dbi main, objects, expiry, resources;
	atomic_bool failed; /* LMDB gave up: only opening it again helps */
	pthread_mutex_t lock;
	MDB_txn *idle[TABLE_POOL]; /* read transactions that are reset: under lock */
	size_t n_idle;
};

/* table_open: opens or makes the tables in a folder and takes it for this process (or, `file`, in one
 * file: a copy that nobody else has). -EBUSY another process has it, -EUCLEAN damaged, -errno. */
int table_open(struct table *t, const char *path, bool file, const struct store_config *cfg);
void table_close(struct table *t);
/* table_errno: LMDB's result as 0 or negative errno. */
int table_errno(int mdb_rc);

/* table_write: a write transaction, by mdb_txn_commit or mdb_txn_abort to be ended. */
int table_write(struct table *t, MDB_txn **ret);
/* table_probe: after a failed commit: finds out whether LMDB gave up. */
void table_probe(struct table *t);
/* table_read: a snapshot of now; ended by table_read_end within the same call of the store. */
int table_read(struct table *t, MDB_txn **ret);
void table_read_end(struct table *t, MDB_txn *txn);
/* table_get: value is mapped bytes, valid until the transaction ends or writes. -ENOENT. */
int table_get(MDB_txn *txn, MDB_dbi dbi, struct str key, struct str *ret);
int table_put(MDB_txn *txn, MDB_dbi dbi, struct str key, struct str value);
int table_del(MDB_txn *txn, MDB_dbi dbi, struct str key);
/* table_expiry_key: key of the expiry table; out holds 8 + key.n bytes. */
size_t table_expiry_key(int64_t expires_ns, struct str key, uint8_t *out);

static inline MDB_val
table_val(struct str s)
{
	return (MDB_val){s.n, (void *)(uintptr_t)s.p};
}
static inline struct str
table_str(MDB_val v)
{
	return (struct str){v.mv_data, v.mv_size};
}

/* ---- the state record ---- */
enum state_flags {
	STATE_CLEAN = 1 << 0,  /* closed in order: the ring file was synced */
	STATE_BACKUP = 1 << 1, /* a copy: revisions jump at the next open */
};
struct state {
	uint32_t flags;
	uint64_t rev;
	char boot_id[STATE_BOOT_ID];
	struct history_state history;
	uint32_t n_counts; /* objects of resource 1 .. n_counts */
	struct str counts; /* n_counts x u64 little endian (borrowed) */
};
/* state_get: -ENOENT a new store, -EUCLEAN not ours or damaged. counts is txn. */
int state_get(const struct table *t, MDB_txn *txn, struct state *ret);
/* state_rev: the revision alone: of the snapshot txn is. */
int state_rev(const struct table *t, MDB_txn *txn, uint64_t *ret);
/* state_put: counts are asked of count(arg, number) for 1 .. n_counts. */
int state_put(const struct table *t, MDB_txn *txn, const struct state *st,
	uint64_t (*count)(void *arg, uint32_t num), void *arg);

#endif
