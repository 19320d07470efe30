/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * loop.c: one event loop: descriptors, timers, deferred work, messages, the fixed order of a turn. See
 * loop.h; tasks and the blocking pool are in loop_task.c, the simulated world in loop_sim.c.
 * Invariants: loop_int.h. What a stage arms for itself runs in the next turn, so that every turn ends.
 * Must not: know what its callbacks do; sleep while anything is to do.
 * Source: epoll(7), eventfd(2). */
#include "base/loop.h"

#include "base/loop_int.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EVENTS_PER_TURN 256

/* ---- life ---- */

struct loop *
loop_new(struct world *w, const char *name)
{
	struct loop *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->world = w;
	str_copy_c(str_c(name ? name : "loop"), l->name, sizeof(l->name));
	l->epoll_fd = l->event_fd = -1;
	pthread_mutex_init(&l->lock, NULL);
	l->owner = pthread_self();
	if (w) {
		if (world_add(w, l) == 0)
			return l;
		loop_free(l);
		return NULL;
	}
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event ev = {.events = EPOLLIN, .data = {.ptr = NULL}};
	if (l->epoll_fd >= 0 && l->event_fd >= 0 &&
		epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->event_fd, &ev) == 0)
		return l;
	loop_free(l);
	return NULL;
}

static void
run_dead(struct loop *l)
{
	struct loop_msg *m = l->dead;
	l->dead = l->dead_last = NULL;
	while (m) {
		struct loop_msg *next = m->next;
		m->fn(m->arg);
		free(m);
		m = next;
	}
}

void
loop_free(struct loop *l)
{
	if (!l)
		return;
	BUG_ON(l->n_fds != 0 || l->n_timers != 0);
	loop_wait_blocking(l);
	while (l->dead)
		run_dead(l);
	for (struct loop_work *w = l->work; w; w = w->next)
		w->queued = false;
	while (l->inbox) {
		struct loop_msg *m = l->inbox;
		l->inbox = m->next;
		free(m);
	}
	if (l->world)
		world_del(l->world, l);
	cleanup_fd(&l->epoll_fd);
	cleanup_fd(&l->event_fd);
	pthread_mutex_destroy(&l->lock);
	free(l->task);
	free(l->timers);
	free(l->hooks);
	free(l);
}

const char *
loop_name(const struct loop *l)
{
	return l->name;
}

bool
loop_is_current(const struct loop *l)
{
	if (l->world)
		return l->world->running == l || l->world->running == NULL;
	return pthread_equal(l->owner, pthread_self());
}

int64_t
loop_now_ns(struct loop *l)
{
	return l->in_turn ? l->now_ns : clock_mono_ns();
}

static void
wake(struct loop *l)
{
	uint64_t one = 1;
	if (l->event_fd >= 0)
		(void)!write(l->event_fd, &one, sizeof(one)); /* EAGAIN: it is readable already */
}

void
loop_stop(struct loop *l, int code)
{
	l->code = code;
	atomic_store(&l->stopped, true);
	wake(l);
}

/* ---- descriptors ---- */

int
loop_fd_add(struct loop *l, struct loop_fd *w)
{
	if (l->world)
		return -ENOSYS;
	BUG_ON(w->loop || (unsigned)w->prio >= LOOP_PRIO__COUNT);
	struct epoll_event ev = {.events = w->events, .data = {.ptr = w}};
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, w->fd, &ev) < 0)
		return -errno;
	w->loop = l;
	w->ready = false;
	l->n_fds++;
	return 0;
}

int
loop_fd_mod(struct loop_fd *w, uint32_t events)
{
	BUG_ON(!w->loop);
	if (events == w->events)
		return 0;
	struct epoll_event ev = {.events = events, .data = {.ptr = w}};
	if (epoll_ctl(w->loop->epoll_fd, EPOLL_CTL_MOD, w->fd, &ev) < 0)
		return -errno;
	w->events = events;
	return 0;
}

static void
ready_add(struct loop *l, struct loop_fd *w, uint32_t revents)
{
	w->revents = revents;
	w->ready = true;
	w->next_ready = NULL;
	if (l->ready_last[w->prio])
		l->ready_last[w->prio]->next_ready = w;
	else
		l->ready[w->prio] = w;
	l->ready_last[w->prio] = w;
}

static void
ready_del(struct loop *l, struct loop_fd *w)
{
	struct loop_fd *before = NULL;
	for (struct loop_fd *at = l->ready[w->prio]; at && at != w; at = at->next_ready)
		before = at;
	*(before ? &before->next_ready : &l->ready[w->prio]) = w->next_ready;
	if (l->ready_last[w->prio] == w)
		l->ready_last[w->prio] = before;
	w->ready = false;
}

void
loop_fd_del(struct loop_fd *w)
{
	struct loop *l = w->loop;
	if (!l)
		return;
	if (w->ready)
		ready_del(l, w);
	struct epoll_event ev = {0};
	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, &ev);
	w->loop = NULL;
	l->n_fds--;
}

/* wait_events: epoll with a timeout in nanoseconds (< 0 = for ever), rounded up to milliseconds only on
 * kernels before 5.11. */
static int
wait_events(int fd, struct epoll_event *ev, int n, int64_t wait_ns)
{
	struct timespec ts = {wait_ns / NS_PER_SEC, wait_ns % NS_PER_SEC};
	int got = (int)syscall(SYS_epoll_pwait2, fd, ev, n, wait_ns < 0 ? NULL : &ts, NULL, 0);
	if (got >= 0 || errno != ENOSYS)
		return got;
	int64_t ms = wait_ns / NS_PER_MS + (wait_ns % NS_PER_MS != 0);
	return epoll_wait(fd, ev, n, wait_ns < 0 ? -1 : ms > 1000000 ? 1000000 : (int)ms);
}

static void
collect_ready(struct loop *l, int64_t wait_ns)
{
	struct epoll_event ev[EVENTS_PER_TURN];
	int n = wait_events(l->epoll_fd, ev, EVENTS_PER_TURN, wait_ns);
	for (int i = 0; i < n; i++) {
		uint64_t drained = 0;
		if (ev[i].data.ptr)
			ready_add(l, ev[i].data.ptr, ev[i].events);
		else
			(void)!read(l->event_fd, &drained, sizeof(drained));
	}
}

static int
run_ready(struct loop *l)
{
	int n = 0;
	for (unsigned prio = 0; prio < LOOP_PRIO__COUNT; prio++) {
		while (l->ready[prio]) {
			struct loop_fd *w = l->ready[prio];
			ready_del(l, w);
			uint32_t revents = w->revents & (w->events | EPOLLERR | EPOLLHUP);
			if (!revents)
				continue;
			w->fn(w, revents);
			n++;
		}
	}
	return n;
}

/* ---- timers ---- */

static bool
timer_before(const struct loop_timer *x, const struct loop_timer *y)
{
	return x->at_ns != y->at_ns ? x->at_ns < y->at_ns : x->seq < y->seq;
}

static void
timer_place(struct loop *l, size_t at, struct loop_timer *t)
{
	l->timers[at] = t;
	t->heap_pos = at;
}

static void
timer_sift(struct loop *l, size_t at, struct loop_timer *t)
{
	while (at > 1 && timer_before(t, l->timers[at / 2])) {
		timer_place(l, at, l->timers[at / 2]);
		at /= 2;
	}
	for (;;) {
		size_t child = at * 2;
		if (child > l->n_timers)
			break;
		if (child < l->n_timers && timer_before(l->timers[child + 1], l->timers[child]))
			child++;
		if (!timer_before(l->timers[child], t))
			break;
		timer_place(l, at, l->timers[child]);
		at = child;
	}
	timer_place(l, at, t);
}

void
loop_timer_set(struct loop *l, struct loop_timer *t, int64_t at_ns)
{
	loop_timer_cancel(t);
	if (l->n_timers + 1 >= l->cap_timers) {
		size_t cap = l->cap_timers ? l->cap_timers * 2 : 16;
		struct loop_timer **timers = realloc(l->timers, cap * sizeof(struct loop_timer *));
		BUG_ON(!timers); /* a timer that is not armed would hang its owner for ever */
		l->timers = timers;
		l->cap_timers = cap;
	}
	t->loop = l;
	t->at_ns = at_ns;
	t->seq = l->next_seq++;
	l->n_timers++;
	timer_sift(l, l->n_timers, t);
}

void
loop_timer_after(struct loop *l, struct loop_timer *t, int64_t delay_ns)
{
	int64_t at = 0;
	if (__builtin_add_overflow(loop_now_ns(l), delay_ns > 0 ? delay_ns : 0, &at))
		at = INT64_MAX;
	loop_timer_set(l, t, at);
}

void
loop_timer_cancel(struct loop_timer *t)
{
	if (t->heap_pos == 0)
		return;
	struct loop *l = t->loop;
	size_t at = t->heap_pos;
	struct loop_timer *last = l->timers[l->n_timers--];
	t->heap_pos = 0;
	if (last != t)
		timer_sift(l, at, last);
}

static int
run_timers(struct loop *l)
{
	int n = 0;
	uint64_t limit = l->next_seq;
	while (l->n_timers > 0) {
		struct loop_timer *t = l->timers[1];
		if (t->at_ns > l->now_ns || t->seq >= limit)
			break;
		loop_timer_cancel(t);
		t->fn(t);
		n++;
	}
	return n;
}

/* ---- deferred work ---- */

void
loop_defer(struct loop *l, struct loop_work *w)
{
	if (w->queued)
		return;
	w->loop = l;
	w->queued = true;
	w->next = NULL;
	if (l->work_last)
		l->work_last->next = w;
	else
		l->work = w;
	l->work_last = w;
}

void
loop_defer_cancel(struct loop_work *w)
{
	if (!w->queued)
		return;
	struct loop *l = w->loop;
	w->queued = false;
	for (struct loop_work **link = &l->running; *link; link = &(*link)->next) {
		if (*link == w) {
			*link = w->next;
			return;
		}
	}
	struct loop_work *before = NULL;
	for (struct loop_work *at = l->work; at && at != w; at = at->next)
		before = at;
	*(before ? &before->next : &l->work) = w->next;
	if (l->work_last == w)
		l->work_last = before;
}

static int
run_work(struct loop *l)
{
	int n = 0;
	l->running = l->work;
	l->work = l->work_last = NULL;
	while (l->running) {
		struct loop_work *w = l->running;
		l->running = w->next;
		w->queued = false;
		w->fn(w);
		n++;
	}
	return n;
}

/* ---- messages, hooks, the dead ---- */

void
loop_send(struct loop *l, struct loop_msg *m)
{
	m->next = NULL;
	pthread_mutex_lock(&l->lock);
	bool first = l->inbox == NULL;
	if (first)
		l->inbox = m;
	else
		l->inbox_last->next = m;
	l->inbox_last = m;
	/* Inside the lock: once it is released, the receiver may act on the message and free the loop. */
	if (first)
		wake(l);
	pthread_mutex_unlock(&l->lock);
}

int
loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct loop_msg *m = malloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	*m = (struct loop_msg){NULL, fn, arg};
	loop_send(l, m);
	return 0;
}

static int
run_inbox(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	struct loop_msg *m = l->inbox;
	l->inbox = l->inbox_last = NULL;
	pthread_mutex_unlock(&l->lock);
	int n = 0;
	while (m) {
		struct loop_msg *next = m->next;
		m->fn(m->arg);
		free(m);
		m = next;
		n++;
	}
	return n;
}

int
loop_before_wait(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct loop_hook *hooks = realloc(l->hooks, (l->n_hooks + 1) * sizeof(*hooks));
	if (!hooks)
		return -ENOMEM;
	l->hooks = hooks;
	l->hooks[l->n_hooks++] = (struct loop_hook){fn, arg};
	return 0;
}

void
loop_free_later(struct loop *l, void (*free_fn)(void *p), void *p)
{
	struct loop_msg *m = malloc(sizeof(*m));
	if (!m)
		return; /* lost for good rather than freed under somebody's feet */
	*m = (struct loop_msg){NULL, free_fn, p};
	if (l->dead_last)
		l->dead_last->next = m;
	else
		l->dead = m;
	l->dead_last = m;
}

/* ---- turns ---- */

int64_t
loop_next_ns(struct loop *l)
{
	if (l->work || l->dead)
		return 0;
	pthread_mutex_lock(&l->lock);
	bool mail = l->inbox != NULL;
	pthread_mutex_unlock(&l->lock);
	if (mail)
		return 0;
	return l->n_timers ? l->timers[1]->at_ns : INT64_MAX;
}

/* wait_for: how long this turn may sleep, < 0 = for ever. */
static int64_t
wait_for(struct loop *l, int64_t max_wait_ns)
{
	int64_t next = loop_next_ns(l);
	if (next == INT64_MAX)
		return max_wait_ns;
	int64_t wait = next - clock_mono_ns();
	if (next == 0 || wait < 0)
		wait = 0;
	return max_wait_ns >= 0 && max_wait_ns < wait ? max_wait_ns : wait;
}

int
loop_turn(struct loop *l, int64_t max_wait_ns)
{
	BUG_ON(l->in_turn);
	if (l->world)
		l->world->running = l;
	else
		l->owner = pthread_self();
	if (!l->world)
		collect_ready(l, wait_for(l, max_wait_ns));
	l->now_ns = clock_mono_ns();
	l->in_turn = true;
	int n = run_ready(l);
	n += run_inbox(l);
	n += run_timers(l);
	n += run_work(l);
	for (size_t i = 0; i < l->n_hooks; i++)
		l->hooks[i].fn(l->hooks[i].arg);
	run_dead(l);
	l->in_turn = false;
	if (l->world)
		l->world->running = NULL;
	return n;
}

int
loop_run(struct loop *l)
{
	BUG_ON(l->world);
	while (!atomic_load(&l->stopped))
		loop_turn(l, -1);
	return l->code;
}
