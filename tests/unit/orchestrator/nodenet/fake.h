/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * fake.h: a client whose API is a table of texts: lists give what fake_set put, watches what fake_event says.
 * objects_of decodes texts for functions that want structs. */
#ifndef TEST_FAKE_H
#define TEST_FAKE_H

#include "base/clock.h"
#include "kinds/core_v1.h"
#include "kinds/discovery_v1.h"
#include "orchestrator/client/client.h"
#include "orchestrator/schema/schema.h"
#include "tests/unit/test.h"

enum { FAKE_RESOURCES = 6 };

struct fake_resource {
	const char *name;
	const char *items; /* JSON objects, separated by commas */
	const struct client_watch_fns *fns;
	void *arg;
	struct client_watch watch;
	bool watched;
};

struct fake {
	struct client c;
	struct fake_resource at[FAKE_RESOURCES];
	unsigned rv;
};

struct fake_call {
	struct client_call call;
	struct loop_timer timer;
	struct fake_resource *r;
	client_done_fn *done;
	void *arg;
};

static inline struct fake_resource *
fake_find(struct client *c, struct str name)
{
	struct fake *f = (struct fake *)c;
	for (size_t i = 0; i < FAKE_RESOURCES; i++)
		if (f->at[i].name && str_eq_c(name, f->at[i].name))
			return &f->at[i];
	return NULL;
}

static inline void
fake_answer(struct loop_timer *t)
{
	struct fake_call *k = t->arg;
	_cleanup_buf_ struct buf b = BUF_INIT;
	buf_fmt(&b, "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[%s]}", k->r->items);
	struct client_result r = {.http = 200, .body = buf_view(&b)};
	k->done(k->arg, &r);
	free(k);
}

static inline int
fake_start(struct client *c, const struct client_req *req, client_done_fn *done, void *arg,
	struct client_call **ret)
{
	struct fake_resource *r = fake_find(c, req->resource);
	struct fake_call *k = r && req->verb == CLIENT_LIST ? calloc(1, sizeof(*k)) : NULL;
	if (!k)
		return -EINVAL;
	*k = (struct fake_call){.call = {c}, .r = r, .done = done, .arg = arg};
	k->timer = (struct loop_timer){.fn = fake_answer, .arg = k};
	loop_timer_after(c->loop, &k->timer, 0);
	if (ret)
		*ret = &k->call;
	return 0;
}

static inline void
fake_cancel(struct client_call *call)
{
	struct fake_call *k = (struct fake_call *)call;
	loop_timer_cancel(&k->timer);
	free(k);
}

static inline int
fake_watch(struct client *c, const struct client_req *req, const struct client_watch_fns *fns,
	void *arg, struct client_watch **ret)
{
	struct fake_resource *r = fake_find(c, req->resource);
	if (!r)
		return -EINVAL;
	r->fns = fns;
	r->arg = arg;
	r->watch.c = c;
	r->watched = true;
	*ret = &r->watch;
	return 0;
}

static inline void
fake_watch_stop(struct client_watch *w)
{
	CONTAINER_OF(w, struct fake_resource, watch)->watched = false;
}

static inline void
fake_free(struct client *c)
{
	(void)c;
}

static const struct client_ops fake_ops = {
	fake_start, fake_cancel, fake_watch, fake_watch_stop, fake_free};

static inline void
fake_init(struct fake *f, struct loop *l)
{
	*f = (struct fake){.c = {&fake_ops, l}};
}

static inline void
fake_set(struct fake *f, size_t i, const char *resource, const char *items)
{
	f->at[i].name = resource;
	f->at[i].items = items;
}

/* fake_event: what a watch of the resource delivers. */
static inline void
fake_event(struct fake *f, const char *resource, enum client_event ev, const char *object)
{
	struct fake_resource *r = fake_find(&f->c, str_c(resource));
	CHECK(r && r->watched);
	r->fns->event(r->arg, ev, str_c(object));
}

/* TURNS_UNTIL: turns the loop until cond, at most 5 s. */
#define TURNS_UNTIL(l, cond)                                                                       \
	do {                                                                                       \
		int64_t until_ns_ = clock_mono_ns() + 5 * NS_PER_SEC;                              \
		while (!(cond) && clock_mono_ns() < until_ns_)                                     \
			loop_turn(l, 10 * NS_PER_MS);                                              \
		CHECK(cond);                                                                       \
	} while (0)

static inline void *
object_of(struct arena *a, const struct schema_type *t, const char *json)
{
	void *o = NULL;
	CHECK_INT(schema_parse_struct(a, t, arena_str(a, str_c(json)), &o, NULL), 0);
	return o;
}

static inline struct core_v1_service *
service_of(struct arena *a, const char *json)
{
	return object_of(a, SCHEMA_TYPE_OF(core_v1_service), json);
}

static inline const struct discovery_v1_endpoint_slice *
slice_of(struct arena *a, const char *json)
{
	return object_of(a, SCHEMA_TYPE_OF(discovery_v1_endpoint_slice), json);
}

#endif
