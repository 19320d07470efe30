/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hub: events and the rings watchers read them from.
 *
 * Each resource has a ring: chains of events, the one of all and one for each (name | namespace | field
 * and value) that somebody watches. A watcher is a cursor in one chain. Events that are in a ring stand
 * in one queue over all resources, oldest first, bounded by bytes; and by number within a resource. An
 * event that leaves takes its places in the chains with it; a watcher that had not come so far goes on
 * from history (watch.c).
 * Invariants: a chain holds every event that matches it with ord > floor; order in a chain is ord.
 * Threads: publishing and leaving: the writer's. A ring is under its lock. */
#ifndef STORAGE_STORE_HUB_H
#define STORAGE_STORE_HUB_H

#include "base/hash.h"
#include "storage/store/history.h"

#include <pthread.h>
#include <stdatomic.h>

struct chain;
struct slot;

#define EVENT_CHAINS 6
#define EVENT_SLOTS 4

/* An event and its bytes: one block, the history record of it is its tail. */
struct event {
	struct store_event pub;
	uint64_t ord;
	_Atomic uint32_t refs;
	struct slot *_Atomic slots[EVENT_SLOTS];
	struct event *next;                  /* in its group */
	struct event *ring_prev, *ring_next; /* in the hub's queue */
	struct chain **in; /* the n_in chains it stands in: in_few, or heap; writer */
	struct chain *in_few[EVENT_CHAINS];
	uint32_t n_in, cap_in;
	uint32_t off; /* place of the record in history */
	uint64_t seg;
	size_t rec_n;
	uint8_t rec[]; /* 8-aligned */
};

/* event_new: refs 1, rec zeroed at its end only; NULL = no memory. event_fill: pub from a record whose
 * slices lie in ev->rec; 0 or -EIO when it is not one. event_copy: an event of a record out of history:
 * 0, -ENOMEM, -EIO. */
struct event *event_new(size_t rec_n);
int event_fill(struct event *ev, const struct history_record *r);
int event_copy(const struct history_record *r, struct event **ret);
static inline struct event *
event_of(const struct store_event *pub)
{
	return CONTAINER_OF((struct store_event *)(uintptr_t)pub, struct event, pub);
}

enum chain_kind { CHAIN_ALL, CHAIN_NAME, CHAIN_NS, CHAIN_FIELD, CHAIN__COUNT };

struct chain {
	struct event **at; /* cap (power of two) places; event number i at [i & (cap - 1)] */
	size_t cap;
	uint64_t first, end;      /* numbers of those that are here */
	uint64_t floor;           /* ord */
	struct store_watch *idle; /* watchers that want to be woken */
	size_t watchers;
	size_t events; /* that name this chain in their `in` */
	enum chain_kind kind;
	struct str key; /* in ring.chains; heap; CHAIN_ALL: none */
};

struct hub_ring {
	pthread_mutex_t lock;
	struct chain all;
	struct map chains; /* those that have watchers */
	size_t n_kind[CHAIN__COUNT];
};

/* Watchers of one loop that are to be woken. */
struct hub_loop {
	struct loop *loop;
	_Atomic uint32_t refs; /* watchers, and the message on its way */
	size_t watchers;       /* under hub.loops_lock; in hub.loops while > 0 */
	pthread_mutex_t lock;
	struct store_watch *first, *last; /* under lock */
	bool posted;
	struct hub_loop *next;
	struct hub_loop *known_prev, *known_next; /* of the process: hub_wake.c */
};

struct hub {
	struct event *first, *last; /* oldest first; writer */
	size_t bytes, max_bytes, max_events;
	_Atomic uint64_t published; /* revision: all up to it is in the rings */
	pthread_mutex_t loops_lock;
	struct hub_loop *loops;
	_Atomic uint64_t n_watchers, n_events;
	struct buf key; /* writer: scratch */
};

struct store_watch {
	struct store *store;
	struct resource *res;
	struct store_watch_spec spec; /* strings are in `strings` */
	char *strings;
	struct chain *chain;
	struct hub_loop *hub_loop;
	uint64_t ord;  /* all up to it was given */
	uint64_t from; /* revision it was opened with */
	uint64_t pos;  /* number in the chain, when pos_known */
	bool pos_known;
	int error;
	bool idle; /* in chain->idle: under ring.lock */
	struct store_watch *idle_prev, *idle_next;
	bool queued; /* in hub_loop: under its lock */
	struct store_watch *queue_prev, *queue_next;
	struct history_cursor cursor; /* while it reads history */
};

void hub_init(struct hub *h, const struct store_config *cfg, uint64_t rev);
/* hub_release: all watches are closed; before the rings. */
void hub_release(struct store *s);
void ring_init(struct hub_ring *r, uint64_t rev);
void ring_release(struct hub_ring *r);
/* hub_publish: events of a group (takes the references) whose last revision is rev; wakes. */
void hub_publish(struct store *s, struct event *events, uint64_t rev);

/* ---- hub_wake.c ---- */
/* hub_loop_get: the list of loop l, for one more watcher; NULL = no memory. */
struct hub_loop *hub_loop_get(struct hub *h, struct loop *l);
void hub_loop_put(struct hub *h, struct hub_loop *hl);
/* hub_wake: put w on its loop's list; hub_forget: take it off. hub_post: tell the loops that have a
 * list. */
void hub_wake(struct store_watch *w);
void hub_forget(struct store_watch *w);
void hub_post(struct hub *h);

/* ---- chains: all under ring.lock ---- */
/* chain_key: the map key of a chain: kind, then (name | namespace | field NUL value). */
void chain_key(struct buf *b, enum chain_kind kind, struct str a, struct str value);
/* chain_join: one more watcher of the chain with this key, made when new. NULL = no memory. */
struct chain *chain_join(struct hub *h, struct hub_ring *r, enum chain_kind kind, struct str key);
void chain_leave(struct hub_ring *r, struct chain *c);
/* chain_find: number of the first event with ord > after; c->end when there is none. */
uint64_t chain_find(const struct chain *c, uint64_t after);
static inline struct event *
chain_at(const struct chain *c, uint64_t i)
{
	return c->at[i & (c->cap - 1)];
}
/* idle_add / idle_del: w is (not) woken by the next event of its chain. */
void idle_add(struct store_watch *w);
void idle_del(struct store_watch *w);

#endif
