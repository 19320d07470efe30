/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * store: the object store: revisions, conditions, watch hub, history window, compaction. The only
 * thing that is durable in a control plane; only the API server touches it. It knows no kinds: a
 * resource is a small number, a value is bytes with an envelope, labels and fields are attributes.
 *
 * Flow: a worker prepares a store_txn and gives it to the writer task (store_commit); the writer groups
 * what has come in, checks conditions, gives each transaction a revision of its own, commits to the
 * engine (one fsync for the group), appends to history, publishes to the hub, and posts each result to
 * the loop that asked. A reply leaves only after its fsync.
 * Reads are direct and short: LMDB read transactions that end within the call.
 *
 * Invariants: revisions rise by one per transaction (a transaction's ops share its revision); a
 * watcher sees each event of its resource once and in order; an acknowledged write survives a power cut.
 * Sources: architecture.md section 4; etcd v3 API (MVCC, Txn); apiserver watch cache. */
#ifndef STORAGE_STORE_STORE_H
#define STORAGE_STORE_STORE_H

#include "base/disk.h"
#include "base/loop.h"

struct store;

/* ---- values ---- */
/* A key names one object: resource number (registered by the API, stable on disk by name), namespace
 * ("" for cluster scope), name. The packed key (5 bytes + both) must be <= 1900 bytes; neither part
 * holds a NUL byte. */
struct store_key {
	uint32_t res;
	struct str ns;
	struct str name;
};

/* Attributes travel beside a value so that selectors and fields are matched without decoding it.
 * Packed as repeated {u8 kind, u16 klen, u16 vlen (little endian), key, value}; kind 'l' = label,
 * 'f' = indexed field. store_attr_next iterates: false at the end or on malformed bytes. */
bool store_attr_next(struct str *rest, char *ret_kind, struct str *ret_key, struct str *ret_value);
void store_attr_put(struct buf *b, char kind, struct str key, struct str value);

enum store_value_flags {
	STORE_ENCRYPTED = 1 << 0, /* body is not JSON as it stands: must go through the decoder */
	STORE_OLD_SCHEMA = 1 << 1,
};

/* A value as read. `body` is canonical JSON without kind and apiVersion whose
 * metadata.resourceVersion text was spliced in by the writer at rv_offset (decimal digits of `rev`). */
struct store_value {
	struct str body;
	struct str attrs;
	uint64_t rev;       /* of the last change of this object */
	uint32_t rv_offset; /* where the digits of rev stand in body; 0 = none */
	uint16_t schema_id;
	uint16_t flags;
	int64_t expires_ns; /* wall clock; 0 = never */
};

/* ---- open ---- */
struct store_config {
	const char *dir;      /* made when missing (0700) */
	struct world *world;  /* NULL = real */
	size_t map_bytes;     /* LMDB map; 0 = 64 GiB */
	size_t history_bytes; /* ring file; 0 = 64 MiB */
	int64_t history_ns;   /* window; 0 = 5 minutes */
	size_t hub_events;    /* ring per resource; 0 = 4096 */
	size_t hub_bytes; /* all rings together; 0 = 4 MiB. What falls out is read from history */
	size_t group_max; /* transactions per group commit; 0 = 256 */
	bool no_sync;     /* simulation and hollow tests only */
	/* Names this boot of the machine: history is trusted after a kill only within one boot. NULL =
	 * the kernel's (read at open, so before a sandbox hides /proc; unreadable = never the same). */
	const char *boot_id;
};
/* store_open: opens or makes the store and starts its writer task. Returns owned.
 * Errors: -errno of files, -EUCLEAN damaged, -EBUSY another process has it. */
int store_open(const struct store_config *cfg, struct store **ret, struct err *e);
/* store_close: waits for what was submitted (its replies are posted), closes. Watches must have been
 * closed before, events unreferenced; no call may be running on another thread. */
void store_close(struct store *s);
/* store_resource: number (>= 1) of a resource named "<group>/<plural>" ("" group: "/pods"); made when
 * new. Stable over restarts once something was committed. From any thread, at any time; costs no commit.
 * < 0: -ENOMEM, -ENFILE more than 4096 of them. */
int store_resource(struct store *s, struct str name);
/* store_rev: revision of the last committed transaction (atomic read, any thread). An empty store has
 * revision 1; a store restored from a backup starts far above what was ever handed out. */
uint64_t store_rev(const struct store *s);
/* store_oldest: list and watch work from revisions >= this (history window). Rises with time also when
 * nothing is written: a revision that was not the current one within the window is gone. */
uint64_t store_oldest(const struct store *s);

/* ---- write ---- */
enum store_cond_kind {
	STORE_ABSENT, /* the key does not exist */
	STORE_EXISTS, /* the key exists */
	STORE_REV_IS, /* the key's revision is `rev` */
};
struct store_cond {
	struct store_key key;
	enum store_cond_kind kind;
	uint64_t rev;
};
enum store_op_kind { STORE_PUT, STORE_DELETE };
struct store_op {
	enum store_op_kind kind;
	struct store_key key;
	/* PUT: body with an empty place for the revision: the writer inserts the decimal revision at
	 * rv_offset (0 = insert nothing). DELETE: body may be the last state to publish (the object
	 * with its final metadata; rv spliced likewise) or empty = the stored one with the new revision.
	 * DELETE of a key that does not exist does nothing. */
	struct str body;
	struct str attrs; /* DELETE: STR_NONE = the stored ones */
	uint32_t rv_offset;
	uint16_t schema_id;
	uint16_t flags;
	int64_t expires_ns;
};

/* A transaction: owned by the submitter until store_commit, then by the store until `done` ran.
 * done runs on reply_to (its loop). All slices must live until then.
 * A client resumes a watch by revision: so objects of one resource that users watch belong in one
 * transaction only when losing the rest of its events at a cut is acceptable (the allocators' hidden
 * resources are fine). At most 4095 ops. A transaction that changes nothing (no ops, or deletes of what
 * is not there) takes no revision: rev is then the current one. */
struct store_txn {
	const struct store_cond *conds;
	size_t n_conds;
	const struct store_op *ops;
	size_t n_ops;
	struct loop *reply_to;
	void (*done)(struct store_txn *t);
	void *arg;
	/* result */
	/* 0; -ESTALE a condition failed; -ENOSPC disk or map is full; -EIO; -ENOMEM; -E2BIG too many ops
	 * or too long a body (> 256 MiB); -ERANGE a key or offset. Not 0 = nothing of it was written. */
	int result;
	size_t failed_cond; /* index, for -ESTALE */
	uint64_t rev;       /* of this transaction */
	/* owned by the store while submitted */
	struct store_txn *next;
};
/* store_commit: from any thread of the same world. Never blocks. */
void store_commit(struct store *s, struct store_txn *t);

/* ---- read ---- */
/* store_get: latest value; body and attrs are copied into a. 0 or -ENOENT, -EIO. */
int store_get(struct store *s, struct store_key key, struct arena *a, struct store_value *ret);
/* store_borrow: as store_get but fn sees the mapped bytes; they are valid only within fn. */
int store_borrow(struct store *s, struct store_key key,
	void (*fn)(void *arg, const struct store_value *v), void *arg);

struct store_range {
	uint32_t res;
	struct str ns; /* "" = all namespaces (or cluster scope) */
	uint64_t rev;  /* 0 = latest; else exactly as of this revision (must be >= store_oldest) */
	struct str start; /* resume: packed position from ret_next of an earlier call; "" = begin */
	size_t max_items; /* per call; 0 = no limit */
	size_t max_bytes; /* sum of bodies per call; 0 = no limit */
};
/* store_list: calls fn for each object in key order (ns, name); fn returns false to stop: the
 * item it was called with counts as delivered. Values are mapped bytes, valid only within fn (copy or write out).
 * ret_rev: the revision the result is of. ret_next: arena; where to go on, STR_NONE = complete.
 * A long list is read in several calls at the same rev (first call: rev 0, then *ret_rev).
 * fn must not write, wait or call the store. On an error drop what fn was called with. start may come
 * from a client: it is checked, but does not grant anything outside res and ns.
 * Errors: -EIO, -ENOMEM, -ESTALE rev is out of the window (API: 410), -ERANGE rev is in the future, -EINVAL start. */
int store_list(struct store *s, const struct store_range *r, struct arena *a,
	bool (*fn)(void *arg, struct store_key key, const struct store_value *v), void *arg,
	uint64_t *ret_rev, struct str *ret_next);
/* store_count: objects of a resource (in a namespace; "" = all), as of now. O(1) for all, and for a namespace
 * that was asked for before. */
size_t store_count(struct store *s, uint32_t res, struct str ns);

/* ---- watch ---- */
enum store_event_kind { STORE_ADDED, STORE_MODIFIED, STORE_DELETED };
/* An event: immutable, reference-counted, shared by all watchers. For DELETED `value` is the last
 * state with the revision of the deletion; prev_* are the state before (attrs for selectors that an
 * object leaves). encoded: slot for the API's shared encoding of this event (see store_event_slot). */
struct store_event {
	enum store_event_kind kind;
	struct store_key key;
	struct store_value value;
	struct str prev_body; /* "" for ADDED; its rv digits are the old ones */
	uint32_t prev_rv_offset;
	struct str prev_attrs;
	uint64_t rev;
};
const struct store_event *store_event_ref(const struct store_event *ev);
void store_event_unref(const struct store_event *ev);
/* store_event_slot: bytes cached on the event under a small number (0..3), made once by make(arg) on
 * first use; thread-safe; lives as long as the event. For "encode once for all watchers". STR_NONE = no
 * memory (or make failed its buffer); nothing is kept then. */
struct str store_event_slot(const struct store_event *ev, unsigned slot,
	void (*make)(void *arg, const struct store_event *ev, struct buf *out), void *arg);

struct store_watch;
struct store_watch_spec {
	uint32_t res;
	struct str ns;   /* "" = all */
	struct str name; /* "" = all: one object otherwise (chained: costs only its own events) */
	struct str
		field; /* "" or an indexed field that must equal `value` before or after, chained */
	struct str value;
	uint64_t from_rev; /* events with revision > from_rev; 0 = from now */
	struct loop *loop; /* callbacks run here */
	/* wake: there is something to take. Level-triggered: called again only after store_watch_take gave
	 * NULL, then when something new may be there (also once after open when from_rev is behind). The
	 * cursor advances silently: for bookmarks ask store_watch_cursor by a timer. */
	void (*wake)(void *arg);
	void *arg;
};
/* store_watch_open: a cursor and a filter, not a queue. Returns owned.
 * The strings of spec are copied. Open, take, cursor and close of one watch: all on spec->loop.
 * Errors: -ESTALE from_rev older than the window (410), -ENOMEM. A from_rev in the future waits. */
int store_watch_open(
	struct store *s, const struct store_watch_spec *spec, struct store_watch **ret);
/* store_watch_take: the next event for this watcher (referenced: unref it), or NULL = nothing now.
 * -ESTALE in *ret_error when the cursor fell out of ring and history: the watch is over. */
const struct store_event *store_watch_take(struct store_watch *w, int *ret_error);
/* store_watch_cursor: everything up to this revision has been delivered (for bookmarks). */
uint64_t store_watch_cursor(const struct store_watch *w);
void store_watch_close(struct store_watch *w);

/* ---- upkeep ---- */
/* store_failed: the disk failed in the one write after which LMDB trusts nothing any more: all reads and
 * writes give -EIO from now on. The role must end; opened again, the store has all that was acknowledged.
 * Any thread. */
bool store_failed(const struct store *s);
/* store_backup: one consistent copy, as of one revision, is written to the new file `path` and synced;
 * runs on the calling task (loop_blocking). On an error no file is left. To restore, lay it as data.mdb
 * into an empty store folder. Errors: -EEXIST, -ESTALE the window was shorter than the copy took,
 * -ENOMEM, -EIO, -errno of files. */
int store_backup(struct store *s, const char *path, struct err *e);
struct store_stats {
	uint64_t commits, groups, objects, bytes, history_bytes, watchers, events;
};
void store_stats(struct store *s, struct store_stats *ret);

#endif
