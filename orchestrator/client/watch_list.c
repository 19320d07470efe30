/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * watch_list: see watch_list.h. The server closes the initial events with a bookmark; later ones say nothing. */
#include "orchestrator/client/watch_list.h"

#define AGAIN_NS NS_PER_SEC

static void
on_event(void *arg, enum client_event ev, struct str object)
{
	struct watch_list *w = arg;
	if (ev != CLIENT_BOOKMARK) {
		w->fns->event(w->arg, ev, object);
	} else if (w->initial) {
		w->initial = false;
		if (w->fns->complete)
			w->fns->complete(w->arg);
	}
}

static void
on_end(void *arg, const struct client_result *res)
{
	(void)res;
	struct watch_list *w = arg;
	w->watch = NULL;
	loop_timer_after(w->c->loop, &w->again, AGAIN_NS);
}

static void
begin(struct watch_list *w)
{
	static const struct client_watch_fns fns = {on_event, on_end};
	struct client_req q = {.verb = CLIENT_WATCH,
		.group = str_c(w->group),
		.version = STR("v1"),
		.resource = str_c(w->resource),
		.send_initial_events = true,
		.allow_bookmarks = true};
	w->initial = true;
	w->fns->begin(w->arg);
	if (client_watch_start(w->c, &q, &fns, w, &w->watch) < 0)
		loop_timer_after(w->c->loop, &w->again, AGAIN_NS);
}

static void
on_again(struct loop_timer *t)
{
	begin(t->arg);
}

void
watch_list_start(struct watch_list *w, struct client *c, const char *group, const char *resource,
	const struct watch_list_fns *fns, void *arg)
{
	*w = (struct watch_list){
		.c = c, .group = group, .resource = resource, .fns = fns, .arg = arg};
	w->again = (struct loop_timer){.fn = on_again, .arg = w};
	begin(w);
}

void
watch_list_stop(struct watch_list *w)
{
	if (w->watch)
		client_watch_stop(w->watch);
	w->watch = NULL;
	loop_timer_cancel(&w->again);
}

bool
watch_list_runs(const struct watch_list *w)
{
	return w->watch || loop_timer_is_set(&w->again);
}

/* ---- what is kept of an object ---- */

struct kept_doc *
kept_doc_new(struct str object)
{
	struct arena *a = arena_new(0);
	struct kept_doc *x = a ? ARENA_NEW(a, struct kept_doc) : NULL;
	if (x) {
		*x = (struct kept_doc){.a = a};
		if (doc_parse_json(a, arena_str(a, object), NULL, &x->d, NULL) == 0)
			x->name = doc_get_str(doc_get(x->d, STR("metadata")), STR("name"));
	}
	if (!x || x->name.n == 0 || arena_failed(a)) {
		arena_free(a);
		return NULL;
	}
	return x;
}

void
kept_doc_free(struct kept_doc *x)
{
	if (x)
		arena_free(x->a);
}

void
kept_docs_clear(struct map *m)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(m, &pos, &key, &v))
		kept_doc_free(v);
	map_release(m);
	map_init(m);
}
