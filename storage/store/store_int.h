/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * store_int: what the files of the store share: packed forms, LMDB tables, the group being committed,
 * and the parts of struct store. Private to storage/store.
 *
 * Flow of a write: writer.c (queue, groups) -> engine (order, durability) -> hub.c (watchers) ->
 * replies. Reads: list.c and store_get over table.c; old revisions and slow watchers over history.c.
 * Lock order: ring.lock, then hub_loop.lock; history.lock, table.lock, counts.lock and res_lock are
 * leaves. */
#ifndef STORAGE_STORE_STORE_INT_H
#define STORAGE_STORE_STORE_INT_H

#include "base/hash.h"
#include "storage/store/engine.h"
#include "storage/store/history.h"
#include "storage/store/hub.h"
#include "storage/store/table.h"

#include <pthread.h>
#include <stdatomic.h>

#define STORE_KEY_MAX 1900
#define STORE_OPS_MAX 4095
#define STORE_RES_MAX 4096
#define STORE_BODY_MAX ((size_t)256 << 20)

/* ---- key.c: the packed key: u32 resource (big endian), namespace, NUL, name ---- */
/* Byte order of packed keys is the order (resource, namespace, name). */
struct key_buf {
	size_t n;
	uint8_t p[STORE_KEY_MAX];
};
/* key_pack: 0, -ERANGE too long or a NUL in it. */
int key_pack(const struct store_key *k, struct key_buf *ret);
/* key_prefix: the common start of all keys of a resource, and of a namespace when ns is not empty. */
int key_prefix(uint32_t res, struct str ns, struct key_buf *ret);
/* key_unpack: total; slices point into packed. 0 or -EINVAL. */
int key_unpack(struct str packed, struct store_key *ret);
static inline struct str
key_view(const struct key_buf *k)
{
	return str_from((const char *)k->p, k->n);
}

/* ---- value.c: the envelope: 32 bytes of head, attrs, body ---- */
#define VALUE_HEAD 32
/* What an envelope is made of: the body in two halves, the revision's digits come between them. */
struct value_parts {
	struct str head, tail, attrs;
	bool splice; /* digits between head and tail, at rv_offset = head.n */
	uint16_t schema_id, flags;
	int64_t expires_ns;
};
/* value_parts_of_op: 0, -ERANGE rv_offset outside of the body, -E2BIG. */
int value_parts_of_op(const struct store_op *op, struct value_parts *ret);
/* value_parts_of_old: a stored value whose digits are to be replaced. */
void value_parts_of_old(const struct store_value *v, struct value_parts *ret);
size_t value_size(const struct value_parts *p, uint64_t rev);
void value_pack(const struct value_parts *p, uint64_t rev, uint8_t *out);
/* value_unpack: total; slices point into env. 0 or -EIO. */
int value_unpack(struct str env, struct store_value *ret);

/* ---- resources ---- */
struct resource {
	uint32_t num;
	struct str name;       /* heap */
	_Atomic int64_t count; /* objects, as of the last commit */
	int64_t delta;         /* writer: of the group being made */
	struct hub_ring ring;
};

/* ---- count.c: objects of a namespace, for store_count ---- */
struct counts {
	pthread_mutex_t lock;
	struct map by_prefix; /* packed resource and namespace -> struct ns_count */
	uint64_t rev;         /* events up to it were told */
};
void counts_init(struct counts *c, uint64_t rev);
void counts_release(struct counts *c);
/* counts_add: a group was committed up to rev; before anybody is told of it. */
void counts_add(struct counts *c, const struct event *events, uint64_t rev);

/* ---- writer.c ---- */
struct writer {
	struct loop *loop;
	struct store_txn *_Atomic inbox; /* last come first */
	struct store_txn *first, *last;  /* in order, not yet in a group */
	struct store_txn *unsent;        /* replies that could not be posted for want of memory */
	struct loop_work next_group;
	struct loop_timer resend, expire, window;
	struct store_group group; /* the one on its way, while busy */
	bool busy, closing;
	atomic_bool unheard;     /* a message to the writer could not be sent */
	struct expiry *expiring; /* deletions on their way */
};
int writer_start(struct store *s, struct err *e);
/* writer_stop: commits what was submitted, ends the task. */
void writer_stop(struct store *s);
/* writer_finish: the engine is done with a group: results stand in its transactions, events are
 * durable up to `rev`. Publishes and replies. Called once a group, on the writer's loop. */
void writer_finish(struct store *s, struct store_group *g, uint64_t rev);

/* ---- expire.c: what time ends; on the writer's loop ---- */
struct expiry;
/* expire_arm: the timer stands at the first expiry (s->next_expiry_ns). expire_forget: frees deletions
 * whose reply will not come. window_arm: history's window is due at at_ns (0 = not now). */
void expire_arm(struct store *s);
void expire_forget(struct store *s);
void window_arm(struct store *s, int64_t at_ns);
void on_expire(struct loop_timer *t);
void on_window(struct loop_timer *t);

/* ---- the store ---- */
struct store {
	struct store_config cfg;
	char *dir;
	const struct engine *engine;
	struct table table;
	struct history history;
	struct hub hub;
	struct counts counts;
	struct writer writer;
	_Atomic uint64_t rev; /* committed */
	struct resource *_Atomic res[STORE_RES_MAX + 1];
	_Atomic uint32_t n_res; /* numbers 1..n_res are used */
	uint32_t n_saved;       /* writer: numbers 1..n_saved have their row */
	pthread_mutex_t res_lock;
	struct map res_by_name; /* under res_lock: -> struct resource */
	_Atomic uint64_t n_commits, n_groups;
	int64_t next_expiry_ns; /* writer: 0 = none */
	char boot_id[STATE_BOOT_ID];
	struct store *next_open; /* list of all open stores of the process */
};

/* resource_get: NULL when no such number. Any thread. */
static inline struct resource *
resource_get(struct store *s, uint32_t num)
{
	return num > 0 && num <= STORE_RES_MAX ? atomic_load(&s->res[num]) : NULL;
}
/* resource_at: the same for a number that is known to be one. */
static inline struct resource *
resource_at(struct store *s, uint32_t num)
{
	struct resource *r = resource_get(s, num);
	BUG_ON(!r);
	return r;
}
/* resource_save: its row in the table of resources. */
int resource_save(struct table *t, MDB_txn *txn, const struct resource *r);

#endif
