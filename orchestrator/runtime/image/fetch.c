/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * fetch: registries and layer jobs; downloads are in blob.c. See fetch.h. */
#include "orchestrator/runtime/image/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "orchestrator/runtime/image/fetch_int.h"
#include "orchestrator/runtime/image/layer.h"

#define DEFAULT_ACTIVE 4

/* Names in references that are not the name of a host to connect to. */
static const struct {
	struct str domain, host;
} aliases[] = {
	{STR_INIT("docker.io"), STR_INIT("registry-1.docker.io")},
};

static int
endpoints_copy(
	struct image_fetcher *f, const struct runtime_registry *from, struct image_registry *to)
{
	to->host = arena_str(f->a, from->host);
	to->endpoints = ARENA_ARRAY(f->a, struct image_endpoint, from->n_endpoints);
	for (size_t i = 0; to->endpoints && i < from->n_endpoints; i++) {
		struct runtime_registry_endpoint *c = &to->endpoints[i].conf;

		*c = from->endpoints[i];
		c->host = arena_str(f->a, c->host);
		c->path = arena_str(f->a, c->path);
		c->ca_pem = arena_str(f->a, c->ca_pem);
		to->n_endpoints++;
	}
	return arena_failed(f->a) ? -ENOMEM : 0;
}

int
image_fetcher_new(struct loop *l, struct image_store *s, const struct runtime_config *cfg,
	struct image_fetcher **ret, struct err *e)
{
	struct image_fetcher *f = calloc(1, sizeof(*f));

	if (f)
		f->a = arena_new(0);
	if (!f || !f->a)
		goto oom;
	f->loop = l;
	f->store = s;
	f->http = cfg->http;
	f->max_active = cfg->max_parallel_pulls ? cfg->max_parallel_pulls : DEFAULT_ACTIVE;
	f->ca_pem = arena_str(f->a, cfg->ca_pem);
	f->registries = ARENA_ARRAY(f->a, struct image_registry, cfg->n_registries);
	for (size_t i = 0; f->registries && i < cfg->n_registries; i++, f->n_registries++)
		if (endpoints_copy(f, &cfg->registries[i], &f->registries[i]))
			goto oom;
	if (arena_failed(f->a))
		goto oom;
	map_init(&f->made);
	map_init(&f->blobs);
	map_init(&f->layers);
	*ret = f;
	return 0;
oom:
	if (f)
		arena_free(f->a);
	free(f);
	return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
}

static void
registry_release(struct image_registry *r)
{
	for (size_t i = 0; i < r->n_endpoints; i++)
		tls_ctx_unref(r->endpoints[i].tls);
}

void
image_fetcher_idle(struct image_fetcher *f)
{
	size_t pos = 0;
	void *v = NULL;

	if (!f->dead || f->busy)
		return;
	for (size_t i = 0; i < f->n_registries; i++)
		registry_release(&f->registries[i]);
	while (map_next(&f->made, &pos, NULL, &v))
		registry_release(v);
	map_release(&f->made);
	map_release(&f->blobs);
	map_release(&f->layers);
	arena_free(f->a);
	free(f);
}

void
image_fetcher_free(struct image_fetcher *f)
{
	if (!f)
		return;
	f->dead = true;
	image_fetcher_idle(f);
}

static struct image_registry *
row(struct image_fetcher *f, struct str host)
{
	for (size_t i = 0; i < f->n_registries; i++)
		if (str_eq(f->registries[i].host, host))
			return &f->registries[i];
	return NULL;
}

struct image_registry *
image_fetcher_registry(struct image_fetcher *f, struct str domain)
{
	struct image_registry *r = row(f, domain);
	struct runtime_registry_endpoint ep = {.host = domain};

	if (!r)
		r = row(f, STR("*"));
	if (r && r->n_endpoints)
		return r;
	r = map_get(&f->made, domain);
	if (r)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
		if (str_eq(aliases[i].domain, domain))
			ep.host = aliases[i].host;
	r = ARENA_NEW(f->a, struct image_registry);
	if (!r || endpoints_copy(f, &(struct runtime_registry){domain, &ep, 1}, r) ||
		map_put(&f->made, domain, r, NULL))
		return NULL;
	return r;
}

int
image_endpoint_tls(struct image_fetcher *f, struct image_endpoint *ep, struct err *e)
{
	struct tls_config cfg = {.ca_pem = ep->conf.ca_pem.n ? ep->conf.ca_pem : f->ca_pem,
		.insecure = ep->conf.skip_verify};

	if (ep->tls || ep->conf.plain_http)
		return 0;
	return tls_ctx_new(&cfg, &ep->tls, e);
}

/* ---- waiters ---- */

void
image_waiter_add(struct image_waiter **list, struct image_waiter *w, void *job)
{
	w->job = job;
	w->done = false;
	w->next = *list;
	*list = w;
}

void
image_waiter_remove(struct image_waiter **list, struct image_waiter *w)
{
	for (; *list; list = &(*list)->next) {
		if (*list == w) {
			*list = w->next;
			return;
		}
	}
}

/* Each is called once. One that is called may remove itself or others: start over after each. */
void
image_waiters_call(struct image_waiter **list, const struct err *e)
{
	struct image_waiter *w = *list;

	while (w) {
		if (w->done) {
			w = w->next;
			continue;
		}
		w->done = true;
		w->fn(w, e);
		w = *list;
	}
}

/* ---- layers ---- */

struct layer_job {
	struct image_fetcher *f;
	struct arena *a;
	struct str digest;
	struct layer_unpack u;
	struct image_waiter *waiters;
	uint64_t bytes;
	struct err err;
	volatile bool cancel;
};

bool
image_layer_working(struct image_fetcher *f, struct str chain)
{
	return map_get(&f->layers, chain) != NULL;
}

static void
layer_work(void *arg)
{
	struct layer_job *j = arg;
	char path[LAYER_HEX + 16];
	_cleanup_fd_ int blob = -1;

	snprintf(path, sizeof(path), "ingest/" STR_FMT, STR_ARG(str_sub(j->digest, 7, SIZE_MAX)));
	blob = openat(j->u.data_dir, path, O_RDONLY | O_CLOEXEC);
	if (blob < 0) {
		err_errno(&j->err, -errno, "opening the downloaded layer");
		return;
	}
	j->u.blob = blob;
	layer_unpack_run(&j->u, &j->bytes, &j->err);
}

static void
layer_done(void *arg)
{
	struct layer_job *j = arg;
	struct image_fetcher *f = j->f;
	struct image_layer *l = NULL;

	f->busy--;
	map_del(&f->layers, j->u.chain);
	if (!f->dead && !j->err.code) {
		l = image_layer_ensure(f->store, j->u.chain);
		if (!l)
			err_set(&j->err, -ENOMEM, R_INTERNAL_ERROR, "no memory");
		else if (j->bytes)
			l->bytes = j->bytes;
	}
	image_waiters_call(&j->waiters, j->err.code ? &j->err : NULL);
	for (struct image_waiter *w = j->waiters; w; w = w->next)
		w->job = NULL;
	arena_free(j->a);
	image_fetcher_idle(f);
}

int
image_layer_want(struct image_fetcher *f, const struct image_layer_spec *s, struct image_waiter *w)
{
	struct layer_job *j = map_get(&f->layers, s->chain);
	struct arena *a = NULL;
	struct str *below = NULL;

	if (j) {
		image_waiter_add(&j->waiters, w, j);
		return 0;
	}
	a = arena_new(0);
	j = a ? ARENA_NEW(a, struct layer_job) : NULL;
	below = j ? ARENA_ARRAY(a, struct str, s->n_below) : NULL;
	if (!below)
		goto oom;
	for (size_t i = 0; i < s->n_below; i++)
		below[i] = arena_str(a, s->below[i]);
	j->f = f;
	j->a = a;
	j->digest = arena_str(a, s->digest);
	j->u = (struct layer_unpack){.data_dir = f->store->dir,
		.compression = s->compression,
		.diff_id = arena_str(a, s->diff_id),
		.chain = arena_str(a, s->chain),
		.below = below,
		.n_below = s->n_below,
		.cancel = &j->cancel};
	if (arena_failed(a) || map_put(&f->layers, s->chain, j, NULL))
		goto oom;
	if (loop_blocking(f->loop, layer_work, layer_done, j)) {
		map_del(&f->layers, s->chain);
		goto oom;
	}
	f->busy++;
	image_waiter_add(&j->waiters, w, j);
	return 0;
oom:
	arena_free(a);
	return -ENOMEM;
}

void
image_layer_leave(struct image_waiter *w)
{
	struct layer_job *j = w->job;

	w->job = NULL;
	if (!j)
		return;
	image_waiter_remove(&j->waiters, w);
	if (!j->waiters && j->f->dead)
		j->cancel = true;
}
