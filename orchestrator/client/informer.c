/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * informer: a cache of one resource kept by list and watch, with handlers and indexes.
 *
 *   LIST (pages of 500) -> deliver differences -> WATCH from the list's revision -> events
 *     ^------ 410 or a broken list: again, after a back-off -----------|  clean end: WATCH again
 *
 * Invariants: handlers see each object's states in order; objects are immutable and replaced whole; an
 * object lives at least until all handlers of the event that replaced it have returned. Decoding is
 * by tables into the struct of spec.type. Source: client-go tools/cache Reflector. */
#include "orchestrator/client/client.h"

#include "base/hash.h"
#include "base/rand.h"
#include "orchestrator/schema/schema.h"

#include "kinds/meta_v1.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGE 500
#define BACKOFF_MIN_NS (800 * NS_PER_MS)
#define BACKOFF_MAX_NS (30 * NS_PER_SEC)
#define INDEXES_MAX 4

struct handler {
	void (*on_change)(
		void *arg, const struct informer_obj *old, const struct informer_obj *new_);
	void (*on_synced)(void *arg);
	void *arg;
	bool told_synced;
};

/* The members of one index bucket, in order of arrival. */
struct bucket {
	const struct informer_obj **objs;
	size_t n, cap;
};

struct index {
	void (*keys_of)(const struct informer_obj *o, informer_put_fn *put, void *ctx);
	struct map buckets; /* key -> struct bucket */
};

struct informer {
	struct client *c;
	struct arena *a; /* the spec's strings */
	struct informer_spec spec;
	struct map objects; /* key -> struct informer_obj */
	struct map seen;    /* during a list: keys that were in it */
	struct handler *handlers;
	size_t n_handlers;
	struct index indexes[INDEXES_MAX];
	struct client_call *call;
	struct client_watch *watch;
	struct loop_timer retry;
	int64_t backoff_ns;
	int64_t watch_start_ns;
	char rv[32];
	char *token; /* continue of a list under way */
	bool listing, synced;
};

static void list_start(struct informer *i);
static void watch_start(struct informer *i);

/* ---- objects ---- */

struct informer_obj *
informer_obj_ref(const struct informer_obj *o)
{
	/* The count is the cache's bookkeeping, not the object's content. */
	struct informer_obj *own = (struct informer_obj *)(uintptr_t)o;
	own->refs++;
	return own;
}

void
informer_obj_unref(const struct informer_obj *o)
{
	struct informer_obj *own = (struct informer_obj *)(uintptr_t)o;
	if (own && --own->refs == 0)
		arena_free(own->a);
}

/* meta_str: a member of the object's metadata, which may be a projection; "" where it does not have it. */
static struct str
meta_str(const struct schema_type *t, const void *decoded, struct str name)
{
	const struct schema_field *meta = schema_field_find(t, STR("metadata"));
	const struct schema_field *f = meta ? schema_field_find(meta->type, name) : NULL;
	return f ? *(const struct str *)(const void *)((const char *)decoded + meta->offset +
			   f->offset)
		 : STR("");
}

/* obj_make: everything the object points to is in a. NULL = not decodable. */
static struct informer_obj *
obj_make(const struct schema_type *t, struct arena *a, const struct doc *d)
{
	struct informer_obj *o = ARENA_NEW(a, struct informer_obj);
	void *decoded = arena_alloc(a, t->size);
	if (!o || !decoded || schema_own_struct(a, t, d, decoded) < 0)
		return NULL;
	*o = (struct informer_obj){.obj = decoded, .refs = 1, .a = a};
	o->ns = meta_str(t, decoded, STR("namespace"));
	o->name = meta_str(t, decoded, STR("name"));
	o->uid = meta_str(t, decoded, STR("uid"));
	str_to_u64(doc_get_str(doc_get(d, STR("metadata")), STR("resourceVersion")), &o->rv);
	const struct str parts[] = {o->ns, STR("/"), o->name};
	o->key = o->ns.n ? arena_cat(a, parts, 3) : o->name;
	return arena_failed(a) || !o->name.n ? NULL : o;
}

/* obj_new: made once to see how large it is, and once more in an arena of that size: a cache may hold a hundred
 * thousand of them. d is read in `scratch`. NULL = not decodable. */
static struct informer_obj *
obj_new(struct informer *i, struct arena *scratch, const struct doc *d)
{
	size_t before = arena_used(scratch);
	if (!obj_make(i->spec.type, scratch, d))
		return NULL;
	struct arena *a = arena_new_fit(arena_used(scratch) - before);
	struct informer_obj *o = a ? obj_make(i->spec.type, a, d) : NULL;
	if (!o)
		arena_free(a);
	return o;
}

/* ---- indexes ---- */

struct put_ctx {
	struct index *x;
	const struct informer_obj *o;
	bool remove;
};

static void
bucket_drop(struct bucket *b, const struct informer_obj *o)
{
	for (size_t k = 0; k < b->n; k++)
		if (b->objs[k] == o) {
			memmove(&b->objs[k], &b->objs[k + 1], (b->n - k - 1) * sizeof(*b->objs));
			b->n--;
			return;
		}
}

static void
bucket_free(struct bucket *b)
{
	if (b)
		free(b->objs);
	free(b);
}

static void
index_put(void *ctx, struct str key)
{
	struct put_ctx *p = ctx;
	struct bucket *b = map_get(&p->x->buckets, key);
	if (p->remove) {
		if (b)
			bucket_drop(b, p->o);
		if (b && b->n == 0)
			bucket_free(map_del(&p->x->buckets, key));
		return;
	}
	if (!b) {
		b = calloc(1, sizeof(*b));
		if (!b || map_put(&p->x->buckets, key, b, NULL) < 0) {
			free(b);
			return;
		}
	}
	if (b->n == b->cap) {
		size_t cap = b->cap ? b->cap * 2 : 4;
		void *grown = realloc(b->objs, cap * sizeof(*b->objs));
		if (!grown)
			return;
		b->objs = grown;
		b->cap = cap;
	}
	b->objs[b->n++] = p->o;
}

static void
index_all(struct informer *i, const struct informer_obj *o, bool remove)
{
	for (size_t k = 0; k < INDEXES_MAX; k++) {
		struct put_ctx ctx = {&i->indexes[k], o, remove};
		if (i->indexes[k].keys_of)
			i->indexes[k].keys_of(o, index_put, &ctx);
	}
}

/* ---- changes ---- */

static void
tell(struct informer *i, const struct informer_obj *old, const struct informer_obj *new_)
{
	for (size_t k = 0; k < i->n_handlers; k++)
		i->handlers[k].on_change(i->handlers[k].arg, old, new_);
}

/* store_obj: takes o; a state that is already known changes nothing. */
static void
store_obj(struct informer *i, struct informer_obj *o)
{
	void *was = NULL;
	struct informer_obj *old = map_get(&i->objects, o->key);
	if (old && old->rv == o->rv && str_eq(old->uid, o->uid)) {
		informer_obj_unref(o);
		return;
	}
	if (map_put(&i->objects, o->key, o, &was) < 0) {
		informer_obj_unref(o);
		return;
	}
	if (old)
		index_all(i, old, true);
	index_all(i, o, false);
	if (old && !str_eq(old->uid, o->uid)) {
		tell(i, old, NULL); /* deleted and made again under the same name */
		tell(i, NULL, o);
	} else {
		tell(i, old, o);
	}
	informer_obj_unref(old);
}

static void
drop_obj(struct informer *i, struct str key)
{
	struct informer_obj *old = map_del(&i->objects, key);
	if (!old)
		return;
	index_all(i, old, true);
	tell(i, old, NULL);
	informer_obj_unref(old);
}

static void
tell_synced(struct informer *i)
{
	i->synced = true;
	for (size_t k = 0; k < i->n_handlers; k++) {
		struct handler h = i->handlers[k]; /* a callback may add others */
		i->handlers[k].told_synced = true;
		if (!h.told_synced && h.on_synced)
			h.on_synced(h.arg);
	}
}

/* ---- list ---- */

static void
retry_later(struct informer *i)
{
	i->backoff_ns = i->backoff_ns ? i->backoff_ns * 2 : BACKOFF_MIN_NS;
	if (i->backoff_ns > BACKOFF_MAX_NS)
		i->backoff_ns = BACKOFF_MAX_NS;
	int64_t jitter = (int64_t)rand_below((uint64_t)i->backoff_ns);
	loop_timer_after(i->c->loop, &i->retry, i->backoff_ns / 2 + jitter);
}

static void
on_retry(struct loop_timer *t)
{
	struct informer *i = t->arg;
	if (i->rv[0])
		watch_start(i);
	else
		list_start(i);
}

static void
list_fail(struct informer *i)
{
	free(i->token);
	i->token = NULL;
	i->listing = false;
	i->rv[0] = 0;
	retry_later(i);
}

static void
list_end(struct informer *i)
{
	struct str key;
	void *v;
	for (size_t pos = 0; map_next(&i->objects, &pos, &key, &v);)
		if (!map_get(&i->seen, key))
			drop_obj(i, ((struct informer_obj *)v)->key);
	map_release(&i->seen);
	map_init(&i->seen);
	i->listing = false;
	tell_synced(i);
	watch_start(i);
}

static void
on_list(void *arg, const struct client_result *r)
{
	struct informer *i = arg;
	i->call = NULL;
	if (r->e.code) {
		list_fail(i);
		return;
	}
	struct arena *a = arena_new(1u << 30), *scratch = arena_new(64u << 20);
	struct doc *d = NULL;
	const struct doc_limits lim = {
		.max_nodes = 50u * 1000 * 1000, .skip_of = "metadata", .skip = "managedFields"};
	if (!a || !scratch || doc_parse_json(a, r->body, &lim, &d, NULL) < 0) {
		arena_free(a);
		arena_free(scratch);
		list_fail(i);
		return;
	}
	DOC_EACH (item, doc_get(d, STR("items"))) {
		arena_clear(scratch);
		struct informer_obj *o = obj_new(i, scratch, item);
		if (!o)
			continue;
		map_put(&i->seen, o->key, i, NULL);
		store_obj(i, o);
	}
	const struct doc *meta = doc_get(d, STR("metadata"));
	struct str token = doc_get_str(meta, STR("continue"));
	str_copy_c(doc_get_str(meta, STR("resourceVersion")), i->rv, sizeof(i->rv));
	free(i->token);
	i->token = token.n ? strndup(token.p, token.n) : NULL;
	arena_free(a);
	arena_free(scratch);
	i->backoff_ns = 0;
	if (i->token)
		list_start(i);
	else
		list_end(i);
}

static struct client_req
base_req(struct informer *i, enum client_verb verb)
{
	return (struct client_req){.verb = verb,
		.group = i->spec.group,
		.version = i->spec.version,
		.resource = i->spec.resource,
		.ns = i->spec.ns,
		.label_selector = i->spec.label_selector,
		.field_selector = i->spec.field_selector};
}

static void
list_start(struct informer *i)
{
	struct client_req req = base_req(i, CLIENT_LIST);
	i->listing = true;
	req.limit = PAGE;
	req.continue_token = str_c(i->token);
	if (client_call_start(i->c, &req, on_list, i, &i->call) < 0)
		list_fail(i);
}

/* ---- watch ---- */

static void
on_event(void *arg, enum client_event ev, struct str object)
{
	struct informer *i = arg;
	struct arena *scratch = arena_new(64u << 20);
	const struct doc_limits lim = {.skip_of = "metadata", .skip = "managedFields"};
	struct doc *d = NULL;
	i->backoff_ns = 0;
	if (!scratch || doc_parse_json(scratch, object, &lim, &d, NULL) < 0) {
		arena_free(scratch);
		return;
	}
	str_copy_c(doc_get_str(doc_get(d, STR("metadata")), STR("resourceVersion")), i->rv,
		sizeof(i->rv));
	struct informer_obj *o = ev == CLIENT_BOOKMARK ? NULL : obj_new(i, scratch, d);
	arena_free(scratch);
	if (o && ev == CLIENT_DELETED) {
		drop_obj(i, o->key);
		informer_obj_unref(o);
	} else if (o) {
		store_obj(i, o);
	}
}

static void
on_watch_end(void *arg, const struct client_result *r)
{
	struct informer *i = arg;
	i->watch = NULL;
	if (r->http == 410 || r->e.reason == R_EXPIRED || r->e.reason == R_GONE)
		i->rv[0] = 0;
	else if (!r->e.code && loop_now_ns(i->c->loop) - i->watch_start_ns > NS_PER_SEC) {
		watch_start(i);
		return;
	}
	retry_later(i);
}

static void
watch_start(struct informer *i)
{
	static const struct client_watch_fns fns = {on_event, on_watch_end};
	struct client_req req = base_req(i, CLIENT_WATCH);
	req.resource_version = str_c(i->rv);
	req.allow_bookmarks = true;
	req.timeout_s = 300 + (uint32_t)rand_below(300);
	i->watch_start_ns = loop_now_ns(i->c->loop);
	if (client_watch_start(i->c, &req, &fns, i, &i->watch) < 0)
		retry_later(i);
}

/* ---- front door ---- */

static int
handler_add(struct informer *i,
	void (*on_change)(
		void *arg, const struct informer_obj *old, const struct informer_obj *new_),
	void (*on_synced)(void *arg), void *arg)
{
	struct handler *more = realloc(i->handlers, (i->n_handlers + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	i->handlers = more;
	i->handlers[i->n_handlers++] = (struct handler){on_change, on_synced, arg, i->synced};
	return 0;
}

int
informer_new(struct client *c, const struct informer_spec *spec, struct informer **ret)
{
	struct informer *i = calloc(1, sizeof(*i));
	if (!i)
		return -ENOMEM;
	i->c = c;
	i->a = arena_new(1 << 16);
	i->spec = *spec;
	struct str *const slices[] = {&i->spec.group, &i->spec.version, &i->spec.resource,
		&i->spec.ns, &i->spec.label_selector, &i->spec.field_selector};
	for (size_t k = 0; i->a && k < ARRAY_LEN(slices); k++)
		*slices[k] = arena_str(i->a, *slices[k]);
	if (!i->a || arena_failed(i->a)) {
		arena_free(i->a);
		free(i);
		return -ENOMEM;
	}
	map_init(&i->objects);
	map_init(&i->seen);
	for (size_t k = 0; k < INDEXES_MAX; k++)
		map_init(&i->indexes[k].buckets);
	i->retry = (struct loop_timer){.fn = on_retry, .arg = i};
	if (spec->on_change && handler_add(i, spec->on_change, spec->on_synced, spec->arg) < 0) {
		informer_free(i);
		return -ENOMEM;
	}
	/* The first list starts on the loop's next turn, so that indexes and handlers can be added. */
	loop_timer_after(c->loop, &i->retry, 0);
	*ret = i;
	return 0;
}

void
informer_free(struct informer *i)
{
	struct str key;
	void *v;
	if (!i)
		return;
	loop_timer_cancel(&i->retry);
	client_call_cancel(i->call);
	client_watch_stop(i->watch);
	for (size_t k = 0; k < INDEXES_MAX; k++) {
		for (size_t pos = 0; map_next(&i->indexes[k].buckets, &pos, &key, &v);)
			bucket_free(v);
		map_release(&i->indexes[k].buckets);
	}
	for (size_t pos = 0; map_next(&i->objects, &pos, &key, &v);)
		informer_obj_unref(v);
	map_release(&i->objects);
	map_release(&i->seen);
	free(i->handlers);
	free(i->token);
	arena_free(i->a);
	free(i);
}

int
informer_add_handler(struct informer *i,
	void (*on_change)(
		void *arg, const struct informer_obj *old, const struct informer_obj *new_),
	void (*on_synced)(void *arg), void *arg)
{
	struct str key;
	void *v;
	int rc = handler_add(i, on_change, on_synced, arg);
	if (rc < 0)
		return rc;
	for (size_t pos = 0; map_next(&i->objects, &pos, &key, &v);)
		on_change(arg, NULL, v);
	if (i->synced && on_synced)
		on_synced(arg);
	return 0;
}

bool
informer_synced(const struct informer *i)
{
	return i->synced;
}

const struct informer_obj *
informer_get(struct informer *i, struct str key)
{
	return map_get(&i->objects, key);
}

const struct informer_obj *
informer_next(struct informer *i, size_t *pos)
{
	struct str key;
	void *v;
	return map_next(&i->objects, pos, &key, &v) ? v : NULL;
}

size_t
informer_len(const struct informer *i)
{
	return map_len(&i->objects);
}

int
informer_add_index(struct informer *i, unsigned slot,
	void (*keys_of)(const struct informer_obj *o, informer_put_fn *put, void *ctx))
{
	struct str key;
	void *v;
	if (slot >= INDEXES_MAX || i->indexes[slot].keys_of)
		return -EINVAL;
	struct index *x = &i->indexes[slot];
	x->keys_of = keys_of;
	for (size_t pos = 0; map_next(&i->objects, &pos, &key, &v);) {
		struct put_ctx ctx = {x, v, false};
		keys_of(v, index_put, &ctx);
	}
	return 0;
}

const struct informer_obj *
informer_index_next(struct informer *i, unsigned slot, struct str key, size_t *pos)
{
	BUG_ON(slot >= INDEXES_MAX);
	const struct bucket *b = map_get(&i->indexes[slot].buckets, key);
	return b && *pos < b->n ? b->objs[(*pos)++] : NULL;
}
