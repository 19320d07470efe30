/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * loop_int: the loop's inside, shared by loop.c, loop_task.c and loop_sim.c; nobody else includes it.
 * Invariants: all but the fields under `lock` and the atomics belong to the thread that runs the loop;
 * timers is a binary heap by (at_ns, seq), 1-based; a loop_fd is in a ready list iff w->ready. */
#ifndef BASE_LOOP_INT_H
#define BASE_LOOP_INT_H

#include "base/loop.h"

#include <pthread.h>
#include <stdatomic.h>

#define LOOP_NAME_MAX 32

struct loop_msg {
	struct loop_msg *next;
	void (*fn)(void *arg);
	void *arg;
};

struct loop_hook {
	void (*fn)(void *arg);
	void *arg;
};

struct loop_task {
	void (*main_fn)(struct loop *l, void *arg);
	void (*exit_fn)(struct loop *l, void *arg);
	void *arg;
	pthread_t thread;
	bool began; /* simulated: main_fn has run */
};

struct loop {
	struct world *world;
	char name[LOOP_NAME_MAX];
	int epoll_fd, event_fd; /* -1 in a simulated world */
	size_t n_fds;
	struct loop_fd *ready[LOOP_PRIO__COUNT], *ready_last[LOOP_PRIO__COUNT];

	struct loop_timer **timers; /* [1 .. n_timers] */
	size_t n_timers, cap_timers;
	uint64_t next_seq;

	struct loop_work *work, *work_last; /* armed */
	struct loop_work *running;          /* those of this turn */

	struct loop_hook *hooks;
	size_t n_hooks;

	struct loop_msg *dead, *dead_last;

	int64_t now_ns;
	bool in_turn;
	_Atomic pthread_t owner;
	atomic_bool stopped;
	int code;
	struct loop_task *task;

	pthread_mutex_t lock;
	struct loop_msg *inbox, *inbox_last; /* under lock */
	size_t n_blocking;                   /* under the pool's lock */
};

struct world {
	struct loop **loops; /* in order of making */
	size_t n_loops, cap_loops;
	struct loop *running;
	int64_t now_ns, wall_offset_ns;
	unsigned still; /* turns since virtual time moved */
	struct clock_source clock;
};

/* loop_send: loop_post with a message the caller has allocated; cannot fail. */
void loop_send(struct loop *l, struct loop_msg *m);
/* loop_next_ns: when the loop has something to do: 0 = now, INT64_MAX = never. */
int64_t loop_next_ns(struct loop *l);
int world_add(struct world *w, struct loop *l);
void world_del(struct world *w, struct loop *l);
/* loop_wait_blocking: until no blocking work of l is on its way. */
void loop_wait_blocking(struct loop *l);

#endif
