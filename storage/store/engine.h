/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * engine: where a group of transactions gets its order and becomes durable. The local engine commits to
 * LMDB and is done at once; one whose log is elsewhere (etcd) sends the group there, applies what comes
 * back to LMDB and finishes later. All above (queue, hub, history, reads) is the same for both.
 * Invariants: groups are given one at a time; a transaction that was given is finished exactly once;
 * result 0 only for what survives a power cut. Source: architecture.md sections 4 and 7. */
#ifndef STORAGE_STORE_ENGINE_H
#define STORAGE_STORE_ENGINE_H

#include "storage/store/store.h"

struct event;

/* A group on its way: transactions in order of coming, and the events they caused, in order. */
struct store_group {
	struct store_txn *first, *last;
	size_t n;
	struct event *events, *events_last; /* chained by event.next; referenced */
};

struct engine {
	const char *name;
	/* commit: g is the engine's until writer_finish(s, g, rev). Sets result, failed_cond and rev of
	 * each transaction and g->events of those that were committed. On the writer's loop. */
	void (*commit)(struct store *s, struct store_group *g);
};

extern const struct engine engine_local;

#endif
