/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * loop: one event loop per role or thread: epoll, timers, deferred work, messages from other loops.
 * Fixed order of a turn: ready descriptors by priority -> messages -> due timers -> deferred work
 * -> before-wait hooks (commit, flush) -> dead queue. Callbacks run on the loop's own thread only;
 * loop_post is the one function another thread may call.
 *
 * Worlds. A loop belongs to a world: the real one (NULL), or a simulated one in which all loops are
 * run in turn by one thread on virtual time, from one seed; there descriptors cannot be watched, and
 * everything meets through loop_post and timers. Threads exist only as loop tasks, so that the
 * simulation can interleave them. Source: architecture.md section 11. */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include "base/clock.h"
#include "base/err.h"

struct loop;
struct world;

/* Priorities of descriptors in one turn, lower first, with the race each prevents. */
enum loop_prio {
	LOOP_PRIO_SIGNAL, /* shutdown before new work */
	LOOP_PRIO_CHILD, /* child exit before cgroup-empty and log EOF: the status is known first */
	LOOP_PRIO_IO,    /* all else */
	LOOP_PRIO_ACCEPT, /* new connections after the work of those that are here */
	LOOP_PRIO__COUNT
};

/* Embedded by its owner; zeroed before the first use. */
struct loop_fd {
	int fd;
	uint32_t events; /* EPOLLIN | EPOLLOUT ... wanted now */
	enum loop_prio prio;
	void (*fn)(struct loop_fd *w, uint32_t revents);
	void *arg;
	/* owned by the loop */
	struct loop *loop;
	struct loop_fd *next_ready;
	uint32_t revents;
	bool ready;
};

struct loop_timer {
	int64_t at_ns; /* absolute, monotonic */
	void (*fn)(struct loop_timer *t);
	void *arg;
	/* owned by the loop */
	struct loop *loop;
	size_t heap_pos; /* 1-based; 0 = not armed */
	uint64_t seq;    /* equal deadlines fire in arming order */
};

/* Deferred work: runs once later in this turn (or the next if armed by deferred work). */
struct loop_work {
	void (*fn)(struct loop_work *w);
	void *arg;
	struct loop *loop;
	struct loop_work *next;
	bool queued;
};

/* loop_new: returns owned; NULL world = real. name is copied (thread name, log, LOOP_ASSERT). */
struct loop *loop_new(struct world *w, const char *name);
/* loop_free: every watcher must have been removed, every timer cancelled. */
void loop_free(struct loop *l);
/* loop_run: until loop_stop. Returns the stop code. loop_turn: one turn, waits at most max_wait_ns
 * (< 0 = for ever); returns the number of callbacks run. */
int loop_run(struct loop *l);
int loop_turn(struct loop *l, int64_t max_wait_ns);
void loop_stop(struct loop *l, int code);
/* loop_now_ns: monotonic time, read once per turn. */
int64_t loop_now_ns(struct loop *l);
const char *loop_name(const struct loop *l);
/* LOOP_ASSERT: first line of each entry point that must run on loop l. */
bool loop_is_current(const struct loop *l);
#define LOOP_ASSERT(l) BUG_ON(!loop_is_current(l))

/* loop_fd_add: start watching w->fd. The loop keeps w until loop_fd_del; the fd is not closed.
 * loop_fd_mod changes the events. Callbacks may delete any watcher, also their own.
 * Errors: -errno of epoll_ctl; -ENOSYS in a simulated world. */
int loop_fd_add(struct loop *l, struct loop_fd *w);
int loop_fd_mod(struct loop_fd *w, uint32_t events);
void loop_fd_del(struct loop_fd *w);

/* loop_timer_set: arm or re-arm at an absolute / relative time. Kept until fired or cancelled. */
void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t at_ns);
void loop_timer_after(struct loop *l, struct loop_timer *t, int64_t delay_ns);
void loop_timer_cancel(struct loop_timer *t);
static inline bool
loop_timer_is_set(const struct loop_timer *t)
{
	return t->heap_pos != 0;
}

void loop_defer(struct loop *l, struct loop_work *w);
void loop_defer_cancel(struct loop_work *w);

/* loop_before_wait: fn(arg) once per turn after all callbacks, before sleeping, in order of adding
 * (group commit, flush). Never removed. */
int loop_before_wait(struct loop *l, void (*fn)(void *arg), void *arg);

/* loop_post: run fn(arg) on loop l, from any thread; in order per sender. Never blocks.
 * 0 or -ENOMEM (fn will not run). */
int loop_post(struct loop *l, void (*fn)(void *arg), void *arg);

/* loop_free_later: call free_fn(p) at the end of this turn, when no callback can still hold p. */
void loop_free_later(struct loop *l, void (*free_fn)(void *p), void *p);

/* loop_task_start: a thread with a loop of its own (in a simulated world: a loop run by the world).
 * main_fn(loop, arg) runs on the new thread first and must return; then the loop runs until stopped
 * and exit_fn (may be NULL) is called. stack_bytes 0 = 256 KiB.
 * Errors: -ENOMEM, -EAGAIN. */
int loop_task_start(struct world *w, const char *name, size_t stack_bytes,
	void (*main_fn)(struct loop *l, void *arg), void (*exit_fn)(struct loop *l, void *arg),
	void *arg, struct loop **ret_loop);
/* loop_task_join: stop the task's loop and wait for its end; frees the loop. */
void loop_task_join(struct loop *l);

/* loop_call_deep: fn(arg) on a stack of that many bytes, which is waited for: for work that nests deeper than the
 * caller's stack may allow. The same in every world. 0, -ENOMEM, -EAGAIN (fn has not run). */
int loop_call_deep(size_t stack_bytes, void (*fn)(void *arg), void *arg);

/* ---- blocking work ---- */
/* loop_blocking: run work(arg) on a helper thread (pool of at most 4 per process), then done(arg) on
 * loop l. For disk and other calls that may block. In a simulated world: work runs at once, done later.
 * 0 or -ENOMEM. */
int loop_blocking(struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg);

/* ---- being told to end ---- */
/* loop_signals_take: from now on SIGTERM and SIGINT stop l with code 0, and SIGPIPE does nothing; call it before
 * tasks are started, which inherit it. *w is the caller's until released. Errors: -errno. */
int loop_signals_take(struct loop *l, struct loop_fd *w);
/* loop_signals_release: before loop_free; a zeroed w is allowed. The signals stay blocked. */
void loop_signals_release(struct loop_fd *w);

/* ---- simulated world ---- */
/* world_new: virtual time starts at wall_ns; seeds rand and installs the clock. One per process. */
struct world *world_new(uint64_t seed, int64_t wall_ns);
void world_free(struct world *w);
/* world_run: run all loops until no work is left or virtual time reaches `until_ns` (monotonic) or
 * stop(arg) is true (NULL = never). The order among runnable loops is drawn from the seed.
 * Returns 0, or -ETIME at until_ns. */
int world_run(struct world *w, int64_t until_ns, bool (*stop)(void *arg), void *arg);
bool world_is_simulated(const struct world *w);

#endif
