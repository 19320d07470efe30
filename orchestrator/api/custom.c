/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * custom: the tables of custom resources: see custom.h. What a definition is made into is in custom_make.c.
 * Source: apiextensions-apiserver pkg/apiserver/customresource_handler.go (behaviour). */
#include "orchestrator/api/custom.h"

#include <stdlib.h>

/* A definition as one worker sees it. */
struct known {
	struct custom *c; /* a reference */
	uint64_t rev;     /* of the definition */
	bool leaving;     /* it is being deleted: nothing is created any more */
};
struct customs {
	struct api_worker *w;
	struct cache *cache;
	struct map by_name; /* "crontabs.stable.example.com" -> struct known */
	struct map by_path; /* "group/plural" -> struct known */
};

/* ---- the pool -------------------------------------------------------------------------------------- */

static void
pool_lock(struct custom_pool *p)
{
	while (atomic_flag_test_and_set_explicit(&p->lock, memory_order_acquire))
		;
}

static void
pool_unlock(struct custom_pool *p)
{
	atomic_flag_clear_explicit(&p->lock, memory_order_release);
}

struct custom_pool *
custom_pool_new(void)
{
	struct custom_pool *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	atomic_flag_clear(&p->lock);
	p->refs = 1;
	map_init(&p->by_key);
	return p;
}

void
custom_pool_unref(struct custom_pool *p)
{
	if (!p)
		return;
	pool_lock(p);
	bool last = --p->refs == 0;
	pool_unlock(p);
	if (!last)
		return;
	map_release(&p->by_key);
	free(p);
}

static void
custom_ref(struct custom *c)
{
	pool_lock(c->pool);
	c->refs++;
	pool_unlock(c->pool);
}

static void
custom_unref(void *arg)
{
	struct custom *c = arg;
	struct custom_pool *p = c->pool;
	pool_lock(p);
	bool last = --c->refs == 0;
	if (last && map_get(&p->by_key, c->key) == c)
		map_del(&p->by_key, c->key);
	pool_unlock(p);
	if (!last)
		return;
	custom_drop(c);
	custom_pool_unref(p);
}

/* The one of this key, made when there is none; of two workers that make it at once the first's is kept. */
static struct custom *
pool_get(struct api_server *s, struct str name, struct str key, struct str body)
{
	struct custom_pool *p = s->customs;
	pool_lock(p);
	struct custom *c = map_get(&p->by_key, key);
	if (c)
		c->refs++;
	pool_unlock(p);
	if (c)
		return c;
	struct custom *made = custom_make(s, name, key, body);
	if (!made)
		return NULL;
	pool_lock(p);
	c = map_get(&p->by_key, key);
	if (c) {
		c->refs++;
	} else if (map_put(&p->by_key, made->key, made, NULL) == 0) {
		c = made;
		c->pool = p;
		p->refs++;
	}
	pool_unlock(p);
	if (c != made)
		custom_drop(made);
	return c;
}

/* ---- one worker's table ---------------------------------------------------------------------------- */

static struct str
path_key(struct arena *a, struct str group, struct str plural)
{
	return arena_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(group), STR_ARG(plural));
}

/* Watches on what is no more, or is something else now. */
static void
streams_end(struct api_worker *w, const struct custom *c)
{
	struct stream *next = NULL;
	for (struct stream *st = w->streams; st; st = next) {
		next = st->next;
		if (st->r->verb == VERB_WATCH && st->r->res && st->r->res->custom == c)
			st->stop(st);
	}
}

static void
known_path(struct customs *t, struct known *k, bool put)
{
	struct arena *a = arena_new(0);
	const struct api_resource *row = &k->c->rows[0];
	struct str key = a ? path_key(a, row->group, row->plural) : STR_NONE;
	if (key.n && put)
		map_put(&t->by_path, key, k, NULL);
	else if (key.n && map_get(&t->by_path, key) == k)
		map_del(&t->by_path, key);
	arena_free(a);
}

static void
known_del(struct customs *t, struct str name)
{
	struct known *k = map_del(&t->by_name, name);
	if (!k)
		return;
	known_path(t, k, false);
	streams_end(t->w, k->c);
	custom_unref(k->c);
	free(k);
}

static void
on_del(void *arg, struct store_key key)
{
	known_del(arg, key.name);
}

static bool
is_true(const struct doc *crd, const char *type)
{
	DOC_EACH (c, doc_get(doc_get(crd, STR("status")), STR("conditions")))
		if (str_eq_c(doc_get_str(c, STR("type")), type))
			return str_eq_c(doc_get_str(c, STR("status")), "True");
	return false;
}

/* What a struct custom is made from: nothing else of a definition matters to it (a deletion raises the generation). */
static struct str
key_of(struct arena *a, const struct doc *d)
{
	struct buf spec, b;
	buf_init_arena(&spec, a);
	buf_init_arena(&b, a);
	doc_write_json(&spec, doc_get(d, STR("spec")));
	buf_fmt(&b, STR_FMT ":%016llx:", STR_ARG(doc_get_str(meta_of(d), STR("uid"))),
		(unsigned long long)hash_fnv64a(buf_view(&spec)));
	doc_write_json(&b, doc_get(doc_get(d, STR("status")), STR("acceptedNames")));
	return b.failed || spec.failed ? STR_NONE : buf_view(&b);
}

static void
on_put(void *arg, struct store_key at, struct str body)
{
	struct customs *t = arg;
	struct arena *a = arena_new(0);
	struct doc *d = NULL;
	if (!a || doc_parse_json(a, body, NULL, &d, NULL) < 0 || !is_true(d, "Established")) {
		known_del(t, at.name);
		arena_free(a);
		return;
	}
	struct known *k = map_get(&t->by_name, at.name);
	struct str key = key_of(a, d);
	if (!k || !str_eq(k->c->key, key)) {
		struct custom *c = pool_get(t->w->s, at.name, key, body);
		known_del(t, at.name);
		k = c ? calloc(1, sizeof(*k)) : NULL;
		if (k)
			k->c = c;
		if (c && (!k || map_put(&t->by_name, at.name, k, NULL) < 0)) {
			custom_unref(c);
			free(k);
			k = NULL;
		}
		if (k)
			known_path(t, k, true);
	}
	if (k) {
		k->leaving = doc_get_str(meta_of(d), STR("deletionTimestamp")).n != 0;
		str_to_u64(doc_get_str(meta_of(d), STR("resourceVersion")), &k->rev);
	}
	arena_free(a);
}

static void
on_reset(void *arg)
{
	struct customs *t = arg;
	size_t pos = 0;
	struct str name;
	void *v;
	while (map_next(&t->by_name, &pos, &name, &v)) {
		struct known *k = v;
		streams_end(t->w, k->c);
		custom_unref(k->c);
		free(k);
	}
	map_release(&t->by_name);
	map_release(&t->by_path);
	map_init(&t->by_name);
	map_init(&t->by_path);
}

static struct customs *
table(struct api_worker *w)
{
	static const struct cache_fns fns = {on_put, on_del, on_reset};
	struct customs *t = w->customs;
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t)
			return NULL;
		t->w = w;
		map_init(&t->by_name);
		map_init(&t->by_path);
		t->cache = cache_new(w,
			api_resource_find(w->s, STR("apiextensions.k8s.io"), STR("v1"),
				STR("customresourcedefinitions")),
			&fns, t);
		w->customs = t;
	}
	return t->cache && cache_sync(t->cache) == 0 ? t : NULL;
}

void
customs_free(struct api_worker *w)
{
	struct customs *t = w->customs;
	if (!t)
		return;
	w->customs = NULL;
	cache_free(t->cache);
	on_reset(t);
	map_release(&t->by_name);
	map_release(&t->by_path);
	free(t);
}

/* ---- looking up ------------------------------------------------------------------------------------ */

static bool
row_served(const struct api_resource *row)
{
	return row->kind->flags & SCHEMA_KIND_SERVED;
}

/* The newest stable version, else the newest beta, and so on: as clients prefer them. */
static const struct api_resource *
row_of(const struct custom *c, struct str version, bool all)
{
	const struct api_resource *best = NULL;
	for (size_t i = 0; i < c->n_rows; i++) {
		const struct api_resource *row = &c->rows[i];
		if (!all && !row_served(row))
			continue;
		if (version.n && str_eq(row->version, version))
			return row;
		if (!version.n &&
			(!best || schema_version_compare(row->version, best->version) < 0))
			best = row;
	}
	return best;
}

const struct api_resource *
custom_better(const struct api_resource *res)
{
	const struct api_resource *best = res;
	for (size_t i = 0; i < res->custom->n_rows; i++) {
		const struct api_resource *row = &res->custom->rows[i];
		if (row_served(row) && !row->deprecated &&
			schema_version_compare(row->version, best->version) < 0)
			best = row;
	}
	return best == res ? NULL : best;
}

const struct api_resource *
custom_resource_find(
	struct api_worker *w, struct str group, struct str version, struct str plural, bool all)
{
	char key[512];
	struct customs *t = group.n ? table(w) : NULL;
	if (!t || group.n + plural.n + 1 > sizeof(key) || !plural.n)
		return NULL;
	memcpy(key, group.p, group.n);
	key[group.n] = '/';
	memcpy(key + group.n + 1, plural.p, plural.n);
	const struct known *k = map_get(&t->by_path, str_from(key, group.n + 1 + plural.n));
	return k ? row_of(k->c, version, all) : NULL;
}

int
custom_pin(struct arena *a, const struct api_resource *res)
{
	if (!res || !res->custom)
		return 0;
	struct custom *c = res->custom;
	int rc = arena_on_clear(a, custom_unref, c);
	if (rc == 0)
		custom_ref(c);
	return rc;
}

const struct api_resource *
request_resource_find(struct request *r, struct str group, struct str version, struct str plural)
{
	const struct api_resource *res = api_resource_find(r->server, group, version, plural);
	if (res)
		return res;
	res = custom_resource_find(r->worker, group, version, plural, false);
	return res && custom_pin(r->a, res) == 0 ? res : NULL;
}

static int
by_name(const void *x, const void *y)
{
	const struct custom *const *a = x, *const *b = y;
	return str_cmp((*a)->name, (*b)->name);
}

int
custom_list(struct api_worker *w, struct custom ***ret, size_t *ret_n)
{
	struct customs *t = table(w);
	size_t n = t ? map_len(&t->by_name) : 0, pos = 0, at = 0;
	struct custom **list = calloc(n + 1, sizeof(*list));
	struct str name;
	void *v;
	if (!list)
		return -ENOMEM;
	while (t && map_next(&t->by_name, &pos, &name, &v)) {
		list[at] = ((struct known *)v)->c;
		custom_ref(list[at++]);
	}
	if (at)
		qsort(list, at, sizeof(*list), by_name);
	*ret = list;
	*ret_n = at;
	return 0;
}

void
custom_list_free(struct custom **list, size_t n)
{
	for (size_t i = 0; list && i < n; i++)
		custom_unref(list[i]);
	free(list);
}

/* ---- writes ---------------------------------------------------------------------------------------- */

/* An object is made only while its definition is as it was seen: one that is being deleted has been emptied when it
 * is let go. */
static enum step
custom_before_commit(struct request *r, struct doc *obj, const struct doc *old)
{
	(void)old;
	if (!obj || !r->created)
		return STEP_NEXT;
	struct customs *t = table(r->worker);
	const struct known *k = t ? map_get(&t->by_name, r->res->custom->name) : NULL;
	if (!k)
		return request_not_found_path(r);
	if (k->leaving)
		return request_fail_status(r,
			&(struct status_spec){.http = 405,
				.reason = R_METHOD_NOT_ALLOWED,
				.group = r->res->group,
				.kind = r->res->plural,
				.message = STR(
					"create not allowed while custom resource definition is "
					"terminating")});
	struct commit_part *p = request_part(r);
	if (p)
		*p = (struct commit_part){.group = STR("apiextensions.k8s.io"),
			.resource = STR("customresourcedefinitions"),
			.ns = STR(""),
			.name = arena_str(r->a, r->res->custom->name),
			.has_cond = true,
			.cond = STORE_REV_IS,
			.rev = k->rev};
	return STEP_NEXT;
}

const struct kind_ops custom_ops = {
	.group = "", .resource = "", .before_commit = custom_before_commit};
