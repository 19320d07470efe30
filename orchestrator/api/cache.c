/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cache: something derived from all objects of one resource, kept by a worker for itself: listed once,
 * then fed by a watch of the store. The authorizers stand on it.
 *
 * cache_sync takes what the hub has before a decision is made, so a decision sees every write that was
 * acknowledged before its request came; nothing is shared between workers.
 * Invariant: put, del and reset run within cache_sync or the watch's wake, on the worker's loop. */
#include "orchestrator/api/api_int.h"

#include <stdlib.h>

struct cache {
	struct api_worker *w;
	const struct api_resource *res;
	const struct cache_fns *fns;
	void *arg;
	struct store_watch *sw;
};

struct cache *
cache_new(struct api_worker *w, const struct api_resource *res, const struct cache_fns *fns,
	void *arg)
{
	struct cache *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	*c = (struct cache){.w = w, .res = res, .fns = fns, .arg = arg};
	return c;
}

static bool
cache_item(void *arg, struct store_key key, const struct store_value *v)
{
	struct cache *c = arg;
	c->fns->put(c->arg, key, v->body);
	return true;
}

static void
cache_wake(void *arg)
{
	cache_sync(arg);
}

static int
cache_fill(struct cache *c)
{
	struct store *s = c->w->s->store;
	struct arena *a = arena_new(0);
	if (!a)
		return -ENOMEM;
	c->fns->reset(c->arg);
	struct store_range range = {.res = c->res->store_res, .ns = STR(""), .max_bytes = 1 << 20};
	uint64_t rev = 0;
	int rc;
	do {
		struct str next = STR_NONE;
		rc = store_list(s, &range, a, cache_item, c, &rev, &next);
		range.rev = rev;
		range.start = next;
	} while (rc == 0 && str_is_set(range.start));
	if (rc == 0) {
		struct store_watch_spec spec = {.res = c->res->store_res,
			.ns = STR(""),
			.name = STR(""),
			.field = STR(""),
			.value = STR(""),
			.from_rev = rev,
			.loop = c->w->loop,
			.wake = cache_wake,
			.arg = c};
		rc = store_watch_open(s, &spec, &c->sw);
	}
	arena_free(a);
	return rc;
}

int
cache_sync(struct cache *c)
{
	if (!c->res || c->res->store_res == API_NO_STORE)
		return 0;
	for (int tries = 0; tries < 3; tries++) {
		if (!c->sw) {
			int rc = cache_fill(c);
			if (rc == -ESTALE)
				continue;
			if (rc < 0)
				return rc;
		}
		int error = 0;
		const struct store_event *ev;
		while ((ev = store_watch_take(c->sw, &error)) != NULL) {
			if (ev->kind == STORE_DELETED)
				c->fns->del(c->arg, ev->key);
			else
				c->fns->put(c->arg, ev->key, ev->value.body);
			store_event_unref(ev);
		}
		if (error == 0)
			return 0;
		store_watch_close(c->sw);
		c->sw = NULL;
	}
	return -ESTALE;
}

void
cache_free(struct cache *c)
{
	if (!c)
		return;
	if (c->sw)
		store_watch_close(c->sw);
	free(c);
}
