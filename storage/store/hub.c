/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hub.c: rings, chains, publishing, see hub.h. Cost of an event: one place in the chain of all, and one
 * look-up for each kind of chain somebody watches (names, namespaces, each indexed field); watchers of
 * other chains cost nothing.
 * Invariants: an event leaves all its chains at once, as the first of each; when memory is short a chain
 * forgets what it holds and raises its floor: its watchers go on from history, nothing is lost.
 * Must not: call out of the store with a lock held. */
#include "storage/store/hub.h"
#include "storage/store/store_int.h"

#include <stdlib.h>

#define EVENTS_DEFAULT 4096
#define BYTES_DEFAULT ((size_t)4 << 20)

void
hub_init(struct hub *h, const struct store_config *cfg, uint64_t rev)
{
	*h = (struct hub){
		.max_events = cfg->hub_events ? cfg->hub_events : EVENTS_DEFAULT,
		.max_bytes = cfg->hub_bytes ? cfg->hub_bytes : BYTES_DEFAULT,
	};
	h->published = rev;
	pthread_mutex_init(&h->loops_lock, NULL);
}

void
ring_init(struct hub_ring *r, uint64_t rev)
{
	*r = (struct hub_ring){.all = {.kind = CHAIN_ALL, .floor = ORD_END(rev)}};
	pthread_mutex_init(&r->lock, NULL);
	map_init(&r->chains);
}

/* ---- chains ---- */

void
chain_key(struct buf *b, enum chain_kind kind, struct str a, struct str value)
{
	buf_clear(b);
	buf_char(b, "\0nsf"[kind]);
	buf_str(b, a);
	if (kind == CHAIN_FIELD) {
		buf_char(b, '\0');
		buf_str(b, value);
	}
}

static void
chain_free(struct chain *c)
{
	free(c->at);
	free((void *)(uintptr_t)c->key.p);
	free(c);
}

static uint64_t
chain_last(const struct chain *c)
{
	return c->end > c->first ? chain_at(c, c->end - 1)->ord : c->floor;
}

struct chain *
chain_join(struct hub *h, struct hub_ring *r, enum chain_kind kind, struct str key)
{
	struct chain *c = kind == CHAIN_ALL ? &r->all : map_get(&r->chains, key);
	if (!c) {
		c = calloc(1, sizeof(*c));
		char *copy = malloc(key.n);
		if (!c || !copy || map_put(&r->chains, key, c, NULL) < 0) {
			free(c);
			free(copy);
			return NULL;
		}
		memcpy(copy, key.p, key.n);
		c->kind = kind;
		c->key = str_from(copy, key.n);
		/* A group may be half published: then `all` is ahead of the published revision. */
		uint64_t done = ORD_END(atomic_load(&h->published)), last = chain_last(&r->all);
		c->floor = done > last ? done : last;
		r->n_kind[kind]++;
	}
	c->watchers++;
	return c;
}

void
chain_leave(struct hub_ring *r, struct chain *c)
{
	if (--c->watchers > 0 || c->kind == CHAIN_ALL)
		return;
	map_del(&r->chains, c->key);
	r->n_kind[c->kind]--;
	if (c->events == 0)
		chain_free(c);
	/* Else the last of its events frees it. */
}

uint64_t
chain_find(const struct chain *c, uint64_t after)
{
	uint64_t lo = c->first, hi = c->end;
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;
		if (chain_at(c, mid)->ord <= after)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool
chain_room(struct chain *c)
{
	if (c->end - c->first < c->cap)
		return true;
	size_t cap = c->cap ? c->cap * 2 : 8;
	struct event **at = malloc(cap * sizeof(struct event *));
	if (!at)
		return false;
	for (uint64_t i = c->first; i < c->end; i++)
		at[i & (cap - 1)] = chain_at(c, i);
	free(c->at);
	c->at = at;
	c->cap = cap;
	return true;
}

static bool
event_room(struct event *ev)
{
	if (ev->n_in < ev->cap_in)
		return true;
	struct chain **in = malloc(2 * (size_t)ev->cap_in * sizeof(struct chain *));
	if (!in)
		return false;
	memcpy(in, ev->in, ev->n_in * sizeof(struct chain *));
	if (ev->in != ev->in_few)
		free(ev->in);
	ev->in = in;
	ev->cap_in *= 2;
	return true;
}

static void
chain_add(struct chain *c, struct event *ev)
{
	if (c->end > c->first && chain_at(c, c->end - 1) == ev)
		return; /* a field whose value did not change */
	if (!chain_room(c) || !event_room(ev)) {
		c->first = c->end;
		c->floor = ev->ord;
	} else {
		c->at[c->end++ & (c->cap - 1)] = ev;
		c->events++;
		ev->in[ev->n_in++] = c;
	}
	while (c->idle) {
		struct store_watch *w = c->idle;
		idle_del(w);
		hub_wake(w);
	}
}

void
idle_add(struct store_watch *w)
{
	if (w->idle)
		return;
	w->idle = true;
	w->idle_prev = NULL;
	w->idle_next = w->chain->idle;
	if (w->idle_next)
		w->idle_next->idle_prev = w;
	w->chain->idle = w;
}

void
idle_del(struct store_watch *w)
{
	if (!w->idle)
		return;
	w->idle = false;
	if (w->idle_prev)
		w->idle_prev->idle_next = w->idle_next;
	else
		w->chain->idle = w->idle_next;
	if (w->idle_next)
		w->idle_next->idle_prev = w->idle_prev;
}

/* ---- the queue over all resources ---- */

static void
evict(struct store *s, struct event *ev)
{
	struct hub *h = &s->hub;
	*(ev->ring_prev ? &ev->ring_prev->ring_next : &h->first) = ev->ring_next;
	*(ev->ring_next ? &ev->ring_next->ring_prev : &h->last) = ev->ring_prev;
	h->bytes -= sizeof(*ev) + ev->rec_n;
	atomic_fetch_sub(&h->n_events, 1);
	struct hub_ring *r = &resource_at(s, ev->pub.key.res)->ring;
	pthread_mutex_lock(&r->lock);
	for (uint32_t i = 0; i < ev->n_in; i++) {
		struct chain *c = ev->in[i];
		if (c->first < c->end && chain_at(c, c->first) == ev) {
			c->first++;
			c->floor = ev->ord;
		}
		if (--c->events == 0 && c->watchers == 0 && c->kind != CHAIN_ALL)
			chain_free(c);
	}
	ev->n_in = 0;
	pthread_mutex_unlock(&r->lock);
	store_event_unref(&ev->pub);
}

static void
queue_add(struct hub *h, struct event *ev)
{
	ev->ring_prev = h->last;
	ev->ring_next = NULL;
	*(h->last ? &h->last->ring_next : &h->first) = ev;
	h->last = ev;
	h->bytes += sizeof(*ev) + ev->rec_n;
	atomic_fetch_add(&h->n_events, 1);
}

static struct chain *
chain_of(struct hub *h, struct hub_ring *r, enum chain_kind kind, struct str a, struct str value)
{
	chain_key(&h->key, kind, a, value);
	return h->key.failed ? NULL : map_get(&r->chains, buf_view(&h->key));
}

static void
add_fields(struct hub *h, struct hub_ring *r, struct event *ev, struct str attrs)
{
	char kind = 0;
	struct str key, value;
	while (store_attr_next(&attrs, &kind, &key, &value)) {
		struct chain *c = kind == 'f' ? chain_of(h, r, CHAIN_FIELD, key, value) : NULL;
		if (c)
			chain_add(c, ev);
	}
}

static void
publish_one(struct store *s, struct event *ev)
{
	struct hub *h = &s->hub;
	struct hub_ring *r = &resource_at(s, ev->pub.key.res)->ring;
	struct chain *c = NULL;
	pthread_mutex_lock(&r->lock);
	queue_add(h, ev);
	chain_add(&r->all, ev);
	if (r->n_kind[CHAIN_NAME] > 0 &&
		(c = chain_of(h, r, CHAIN_NAME, ev->pub.key.name, STR_NONE)) != NULL)
		chain_add(c, ev);
	if (r->n_kind[CHAIN_NS] > 0 &&
		(c = chain_of(h, r, CHAIN_NS, ev->pub.key.ns, STR_NONE)) != NULL)
		chain_add(c, ev);
	if (r->n_kind[CHAIN_FIELD] > 0) {
		add_fields(h, r, ev, ev->pub.value.attrs);
		add_fields(h, r, ev, ev->pub.prev_attrs);
	}
	bool full = r->all.end - r->all.first > h->max_events;
	pthread_mutex_unlock(&r->lock);
	if (full)
		evict(s, chain_at(&r->all, r->all.first));
}

void
hub_publish(struct store *s, struct event *events, uint64_t rev)
{
	struct hub *h = &s->hub;
	while (events) {
		struct event *ev = events;
		events = ev->next;
		publish_one(s, ev);
	}
	atomic_store(&h->published, rev);
	while (h->bytes > h->max_bytes && h->first)
		evict(s, h->first);
	hub_post(h);
}

void
hub_release(struct store *s)
{
	struct hub *h = &s->hub;
	BUG_ON(atomic_load(&h->n_watchers) != 0);
	while (h->first)
		evict(s, h->first);
	buf_release(&h->key);
	pthread_mutex_destroy(&h->loops_lock);
}

void
ring_release(struct hub_ring *r)
{
	free(r->all.at);
	map_release(&r->chains);
	pthread_mutex_destroy(&r->lock);
}
