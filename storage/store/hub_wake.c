/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hub_wake.c: waking watchers on their loops: one message a loop, however many watchers and events.
 * Invariants: a watcher is in its loop's list at most once; wake is called with no lock held, and a
 * watcher that is closed from within a wake is not woken any more; one message wakes at most WAKE_MAX,
 * so that other work of the loop comes in between.
 * Must not: be slow: hub_wake runs under a ring's lock. */
#include "storage/store/hub.h"
#include "storage/store/store_int.h"

#include <stdlib.h>

#define WAKE_MAX 256

/* Every hub_loop there is. A loop may end with our message in its box, which then holds a reference for
 * ever: these few bytes stay known. */
static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;
static struct hub_loop *known;

static void
know(struct hub_loop *hl)
{
	pthread_mutex_lock(&known_lock);
	hl->known_next = known;
	if (known)
		known->known_prev = hl;
	known = hl;
	pthread_mutex_unlock(&known_lock);
}

static void
hub_loop_unref(struct hub_loop *hl)
{
	if (atomic_fetch_sub(&hl->refs, 1) != 1)
		return;
	pthread_mutex_lock(&known_lock);
	*(hl->known_prev ? &hl->known_prev->known_next : &known) = hl->known_next;
	if (hl->known_next)
		hl->known_next->known_prev = hl->known_prev;
	pthread_mutex_unlock(&known_lock);
	pthread_mutex_destroy(&hl->lock);
	free(hl);
}

struct hub_loop *
hub_loop_get(struct hub *h, struct loop *l)
{
	pthread_mutex_lock(&h->loops_lock);
	struct hub_loop *hl = h->loops;
	while (hl && hl->loop != l)
		hl = hl->next;
	if (!hl && (hl = calloc(1, sizeof(*hl))) != NULL) {
		hl->loop = l;
		pthread_mutex_init(&hl->lock, NULL);
		hl->next = h->loops;
		h->loops = hl;
		know(hl);
	}
	if (hl) {
		hl->watchers++;
		atomic_fetch_add(&hl->refs, 1);
	}
	pthread_mutex_unlock(&h->loops_lock);
	return hl;
}

void
hub_loop_put(struct hub *h, struct hub_loop *hl)
{
	pthread_mutex_lock(&h->loops_lock);
	if (--hl->watchers == 0) {
		struct hub_loop **link = &h->loops;
		while (*link != hl)
			link = &(*link)->next;
		*link = hl->next;
	}
	pthread_mutex_unlock(&h->loops_lock);
	hub_loop_unref(hl);
}

static void
unlink_locked(struct hub_loop *hl, struct store_watch *w)
{
	*(w->queue_prev ? &w->queue_prev->queue_next : &hl->first) = w->queue_next;
	*(w->queue_next ? &w->queue_next->queue_prev : &hl->last) = w->queue_prev;
	w->queued = false;
}

void
hub_wake(struct store_watch *w)
{
	struct hub_loop *hl = w->hub_loop;
	pthread_mutex_lock(&hl->lock);
	if (!w->queued) {
		w->queued = true;
		w->queue_prev = hl->last;
		w->queue_next = NULL;
		*(hl->last ? &hl->last->queue_next : &hl->first) = w;
		hl->last = w;
	}
	pthread_mutex_unlock(&hl->lock);
}

void
hub_forget(struct store_watch *w)
{
	struct hub_loop *hl = w->hub_loop;
	pthread_mutex_lock(&hl->lock);
	if (w->queued)
		unlink_locked(hl, w);
	pthread_mutex_unlock(&hl->lock);
}

static void
on_wake(void *arg)
{
	struct hub_loop *hl = arg;
	bool more = true;
	for (unsigned i = 0; i < WAKE_MAX && more; i++) {
		pthread_mutex_lock(&hl->lock);
		struct store_watch *w = hl->first;
		if (w)
			unlink_locked(hl, w);
		more = hl->first != NULL;
		hl->posted = more;
		pthread_mutex_unlock(&hl->lock);
		if (w)
			w->spec.wake(w->spec.arg);
	}
	if (more && loop_post(hl->loop, on_wake, hl) == 0)
		return; /* the reference goes with it */
	if (more) {
		pthread_mutex_lock(&hl->lock);
		hl->posted = false; /* no memory: the next event posts again */
		pthread_mutex_unlock(&hl->lock);
	}
	hub_loop_unref(hl);
}

void
hub_post(struct hub *h)
{
	pthread_mutex_lock(&h->loops_lock);
	for (struct hub_loop *hl = h->loops; hl; hl = hl->next) {
		pthread_mutex_lock(&hl->lock);
		if (hl->first && !hl->posted) {
			atomic_fetch_add(&hl->refs, 1);
			hl->posted = loop_post(hl->loop, on_wake, hl) == 0;
			if (!hl->posted)
				atomic_fetch_sub(&hl->refs, 1);
		}
		pthread_mutex_unlock(&hl->lock);
	}
	pthread_mutex_unlock(&h->loops_lock);
}
