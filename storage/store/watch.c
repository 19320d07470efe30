/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * watch.c: a watcher: a cursor and a filter. Three places it may stand:
 *   in its chain    as long as it has all up to the chain's floor: the normal case
 *   in the ring     behind its own chain's floor (the chain is younger than its revision), but not
 *                   behind the resource's: it filters the chain of all
 *   in history      behind that: it reads the ring file, at most READ_MAX bytes a call, until it is back
 * Invariants: events are given in order, each once; `ord` says exactly what was given or passed over.
 * Must not: hold an event back in a queue of its own. Source: architecture.md section 4. */
#include "storage/store/hub.h"
#include "storage/store/store_int.h"

#include <errno.h>
#include <stdlib.h>

#define READ_MAX ((size_t)2 << 20)

static bool
attrs_have(struct str attrs, struct str field, struct str value)
{
	char kind = 0;
	struct str k, v;
	while (store_attr_next(&attrs, &kind, &k, &v))
		if (kind == 'f' && str_eq(k, field) && str_eq(v, value))
			return true;
	return false;
}

static bool
key_matches(const struct store_watch *w, const struct store_key *k)
{
	const struct store_watch_spec *spec = &w->spec;
	return k->res == spec->res && (spec->ns.n == 0 || str_eq(spec->ns, k->ns)) &&
		(spec->name.n == 0 || str_eq(spec->name, k->name));
}

static bool
matches(const struct store_watch *w, const struct store_event *ev)
{
	const struct store_watch_spec *spec = &w->spec;
	return key_matches(w, &ev->key) &&
		(spec->field.n == 0 || attrs_have(ev->value.attrs, spec->field, spec->value) ||
			attrs_have(ev->prev_attrs, spec->field, spec->value));
}

/* ---- open, close ---- */

static int
copy_spec(struct store_watch *w, const struct store_watch_spec *spec)
{
	struct str *to[] = {&w->spec.ns, &w->spec.name, &w->spec.field, &w->spec.value};
	w->spec = *spec;
	w->strings = malloc(spec->ns.n + spec->name.n + spec->field.n + spec->value.n + 1);
	if (!w->strings)
		return -ENOMEM;
	char *p = w->strings;
	for (size_t i = 0; i < ARRAY_LEN(to); i++) {
		if (to[i]->n > 0)
			memcpy(p, to[i]->p, to[i]->n);
		to[i]->p = p;
		p += to[i]->n;
	}
	return 0;
}

static int
join(struct store_watch *w)
{
	struct hub *h = &w->store->hub;
	const struct store_watch_spec *spec = &w->spec;
	_cleanup_buf_ struct buf key = BUF_INIT;
	enum chain_kind kind = spec->name.n ? CHAIN_NAME
		: spec->field.n             ? CHAIN_FIELD
		: spec->ns.n                ? CHAIN_NS
					    : CHAIN_ALL;
	struct str a = kind == CHAIN_NAME ? spec->name : kind == CHAIN_NS ? spec->ns : spec->field;
	chain_key(&key, kind, a, spec->value);
	w->hub_loop = hub_loop_get(h, spec->loop);
	if (key.failed || !w->hub_loop)
		return -ENOMEM;
	pthread_mutex_lock(&w->res->ring.lock);
	w->chain = chain_join(h, &w->res->ring, kind, buf_view(&key));
	if (w->chain) {
		uint64_t published = atomic_load(&h->published);
		if (w->from == 0)
			w->from = published;
		w->ord = ORD_END(w->from);
		if (w->ord >= ORD_END(published) && w->ord >= w->chain->floor)
			idle_add(w);
		else
			hub_wake(w);
	}
	pthread_mutex_unlock(&w->res->ring.lock);
	return w->chain ? 0 : -ENOMEM;
}

int
store_watch_open(struct store *s, const struct store_watch_spec *spec, struct store_watch **ret)
{
	struct resource *res = resource_get(s, spec->res);
	if (!res)
		return -EINVAL;
	if (spec->from_rev > 0 && spec->from_rev < store_oldest(s))
		return -ESTALE;
	struct store_watch *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->store = s;
	w->res = res;
	w->from = spec->from_rev < REV_MAX ? spec->from_rev : REV_MAX;
	atomic_fetch_add(&s->hub.n_watchers, 1);
	int rc = copy_spec(w, spec);
	if (rc == 0)
		rc = join(w);
	if (rc < 0) {
		store_watch_close(w);
		return rc;
	}
	hub_post(&s->hub);
	*ret = w;
	return 0;
}

void
store_watch_close(struct store_watch *w)
{
	if (!w)
		return;
	struct hub *h = &w->store->hub;
	if (w->chain) {
		pthread_mutex_lock(&w->res->ring.lock);
		idle_del(w);
		chain_leave(&w->res->ring, w->chain);
		pthread_mutex_unlock(&w->res->ring.lock);
	}
	if (w->hub_loop) {
		hub_forget(w);
		hub_loop_put(h, w->hub_loop);
	}
	atomic_fetch_sub(&h->n_watchers, 1);
	history_cursor_release(&w->cursor);
	free(w->strings);
	free(w);
}

/* ---- taking ---- */

/* scan: the next matching event of c behind w->ord, referenced; NULL = c has none. Under ring.lock. */
static struct event *
scan(struct store_watch *w, const struct chain *c)
{
	bool own = c == w->chain;
	uint64_t i = own && w->pos_known && w->pos >= c->first ? w->pos : chain_find(c, w->ord);
	struct event *found = NULL;
	for (; i < c->end && !found; i++) {
		struct event *ev = chain_at(c, i);
		if (ev->ord <= w->ord)
			continue;
		w->ord = ev->ord;
		if (matches(w, &ev->pub))
			found = ev;
	}
	if (own) {
		w->pos = i;
		w->pos_known = true;
	}
	if (found) {
		store_event_ref(&found->pub);
	} else {
		uint64_t done = ORD_END(atomic_load(&w->store->hub.published));
		if (w->ord < done)
			w->ord = done;
	}
	return found;
}

enum place { IN_CHAIN, IN_RING, IN_HISTORY };

static enum place
take_ring(struct store_watch *w, struct event **ret)
{
	struct hub_ring *r = &w->res->ring;
	enum place place = IN_HISTORY;
	pthread_mutex_lock(&r->lock);
	if (w->ord >= w->chain->floor) {
		place = IN_CHAIN;
		*ret = scan(w, w->chain);
		if (!*ret)
			idle_add(w);
	} else if (w->ord >= r->all.floor) {
		place = IN_RING;
		*ret = scan(w, &r->all);
	}
	pthread_mutex_unlock(&r->lock);
	return place;
}

/* take_history: 1 with an event; 0 at the end of what is published; -EAGAIN enough read for one call;
 * -ESTALE, -ENOMEM. */
static int
take_history(struct store_watch *w, struct event **ret)
{
	struct history *h = &w->store->history;
	uint64_t until = atomic_load(&w->store->hub.published);
	if (w->cursor.ord < w->ord && w->cursor.after < w->ord) {
		int rc = history_seek(h, &w->cursor, w->ord);
		if (rc < 0)
			return rc;
	}
	for (size_t bytes = 0; bytes < READ_MAX;) {
		struct history_record rec;
		int rc = history_next(h, &w->cursor, until, &rec);
		if (rc == 0 && w->ord < ORD_END(until))
			w->ord = ORD_END(until);
		if (rc <= 0)
			return rc;
		bytes += rec.bytes.n;
		w->ord = rec.ord;
		struct store_key key;
		if (key_unpack(rec.key, &key) < 0)
			return -ESTALE;
		if (!key_matches(w, &key))
			continue;
		struct event *ev = NULL;
		rc = event_copy(&rec, &ev);
		if (rc < 0)
			return rc == -EIO ? -ESTALE : rc;
		if (matches(w, &ev->pub)) {
			*ret = ev;
			return 1;
		}
		store_event_unref(&ev->pub);
	}
	return -EAGAIN;
}

const struct store_event *
store_watch_take(struct store_watch *w, int *ret_error)
{
	int rc = w->error;
	while (rc == 0) {
		struct event *ev = NULL;
		enum place place = take_ring(w, &ev);
		uint64_t before = w->ord;
		if (place == IN_HISTORY)
			rc = take_history(w, &ev);
		else if (w->cursor.buf)
			history_cursor_release(&w->cursor);
		if (ev) {
			*ret_error = 0;
			return &ev->pub; /* rc is 1 when it came from history */
		}
		if (place == IN_CHAIN) {
			*ret_error = 0;
			return NULL;
		}
		/* A group larger than the ring is being published: history ends before the ring begins. */
		if (rc == 0 && place == IN_HISTORY && w->ord == before)
			rc = -EAGAIN;
	}
	if (rc == -EAGAIN || rc == -ENOMEM) {
		/* Later more: other work of the loop comes first. */
		hub_wake(w);
		hub_post(&w->store->hub);
		rc = 0;
	}
	w->error = rc;
	*ret_error = rc;
	return NULL;
}

uint64_t
store_watch_cursor(const struct store_watch *w)
{
	struct hub_ring *r = &w->res->ring;
	pthread_mutex_lock(&r->lock);
	/* A revision of which not all events may have been given does not count. */
	uint64_t done = w->ord == ORD_END(ORD_REV(w->ord)) ? ORD_REV(w->ord) : ORD_REV(w->ord) - 1;
	if (w->error == 0 && w->ord >= w->chain->floor) {
		uint64_t i = chain_find(w->chain, w->ord);
		uint64_t whole = i < w->chain->end ? ORD_REV(chain_at(w->chain, i)->ord) - 1
						   : atomic_load(&w->store->hub.published);
		if (done < whole)
			done = whole;
	}
	pthread_mutex_unlock(&r->lock);
	return done > w->from ? done : w->from;
}
