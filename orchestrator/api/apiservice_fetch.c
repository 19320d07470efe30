/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * apiservice_fetch: what aggregated servers say they serve, one APIService at a time:
 *
 *   where it is -> /apis in the aggregated form, or /apis/<group>/<version> of those that do not know it
 *     -> the index of OpenAPI v3 -> a new set of documents, when anything has changed
 *
 * Asked when an APIService comes, changes or becomes available, and every minute; after a failure again and again, by
 * back-off, and what was known is marked stale meanwhile.
 * Source: k8s.io/kube-aggregator pkg/apiserver (handler_discovery), pkg/controllers/openapiv3. */
#include "orchestrator/api/apiservice_control.h"

#include "base/queue.h"

#include <stdlib.h>

#define REFRESH_NS (60 * NS_PER_SEC)
#define BACKOFF_NS (500 * NS_PER_MS)
#define PARALLEL 4
#define AGGREGATED "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

/* What is known of one. */
struct known {
	struct apiservice *x; /* a reference */
	bool stale;
	struct arena *a; /* of what follows; NULL = nothing yet */
	struct str resources, hash, etag;
};
/* One that is being asked. */
struct pull {
	struct apiservice_fetcher *f;
	struct apiservice *x; /* a reference */
	struct arena *a;
	struct apiservice_check *check;
	struct http_fetch *fetch;
	struct http_addr at;
	struct str resources, etag;
	struct pull *next, **prev;
};
struct apiservice_fetcher {
	struct apiservice_way way;
	struct loop *loop;
	struct map known; /* by name */
	struct queue *queue;
	struct pull *pulls;
	struct loop_work publish;
};

/* ---- publishing ------------------------------------------------------------------------------------ */

static void
publish(struct loop_work *w)
{
	struct apiservice_fetcher *f = w->arg;
	struct arena *a = arena_new(0);
	struct foreign_docs *d = a ? ARENA_NEW(a, struct foreign_docs) : NULL;
	size_t pos = 0, n = map_len(&f->known);
	struct str name;
	void *v;
	if (n == 0) {
		arena_free(a);
		docs_foreign_set(f->way.s, NULL);
		return;
	}
	if (!d || !(d->v = ARENA_ARRAY(a, struct foreign_doc, n))) {
		arena_free(a);
		return;
	}
	atomic_init(&d->refs, 1);
	d->a = a;
	while (map_next(&f->known, &pos, &name, &v)) {
		const struct known *k = v;
		d->v[d->n++] = (struct foreign_doc){.group = arena_str(a, k->x->group),
			.version = arena_str(a, k->x->version),
			.of_group = k->x->of_group,
			.of_version = k->x->of_version,
			.local = !k->x->remote,
			.stale = k->stale,
			.resources = arena_str(a, k->a ? k->resources : STR("")),
			.hash = arena_str(a, k->a ? k->hash : STR(""))};
	}
	if (arena_failed(a))
		arena_free(a);
	else
		docs_foreign_set(f->way.s, d);
}

static void
publish_later(struct apiservice_fetcher *f)
{
	loop_defer_cancel(&f->publish);
	loop_defer(f->loop, &f->publish);
}

static void
known_free(struct known *k)
{
	apiservice_unref(k->x);
	arena_free(k->a);
	free(k);
}

static void
stale_set(struct apiservice_fetcher *f, struct str name, bool stale)
{
	struct known *k = map_get(&f->known, name);
	if (k && k->stale != stale) {
		k->stale = stale;
		publish_later(f);
	}
}

/* ---- one that is asked ----------------------------------------------------------------------------- */

static void
pull_free(struct pull *p)
{
	*p->prev = p->next;
	if (p->next)
		p->next->prev = p->prev;
	apiservice_check_cancel(p->check);
	if (p->fetch)
		http_fetch_cancel(p->fetch);
	apiservice_unref(p->x);
	arena_free(p->a);
}

static void
pull_failed(struct pull *p)
{
	stale_set(p->f, p->x->name, true);
	queue_done(p->f->queue, p->x->name, true);
	pull_free(p);
}

/* known_update: new texts, when they differ from those at hand. 0 or -ENOMEM. */
static int
known_update(struct apiservice_fetcher *f, struct known *k, const struct pull *p, struct str hash)
{
	if (k->a && str_eq(k->resources, p->resources) && str_eq(k->hash, hash) &&
		str_eq(k->etag, p->etag))
		return 0;
	struct arena *a = arena_new(0);
	struct str resources = a ? arena_str(a, p->resources) : STR_NONE;
	struct str own = a ? arena_str(a, hash) : STR_NONE,
		   etag = a ? arena_str(a, p->etag) : STR_NONE;
	if (!a || arena_failed(a)) {
		arena_free(a);
		return -ENOMEM;
	}
	arena_free(k->a);
	k->a = a;
	k->resources = resources;
	k->hash = own;
	k->etag = etag;
	publish_later(f);
	return 0;
}

static void
pull_over(struct pull *p, struct str hash)
{
	struct apiservice_fetcher *f = p->f;
	struct known *k = map_get(&f->known, p->x->name);
	/* it was told otherwise meanwhile: its key is in the queue again */
	if (k && apiservice_same_way(k->x, p->x)) {
		if (known_update(f, k, p, hash) < 0) {
			pull_failed(p);
			return;
		}
		stale_set(f, p->x->name, false);
		queue_add_after(f->queue, p->x->name, REFRESH_NS);
	}
	queue_done(f->queue, p->x->name, false);
	pull_free(p);
}

static void
on_index(void *arg, const struct err *e, const struct http_response *resp, struct str body)
{
	struct pull *p = arg;
	struct known *k = map_get(&p->f->known, p->x->name);
	struct doc *d = NULL;
	struct str hash = STR("");
	p->fetch = NULL;
	if (e->code == 0 && resp->status == 200 &&
		doc_parse_json(p->a, arena_str(p->a, body), NULL, &d, NULL) == 0)
		hash = apiservice_openapi_hash(p->a, d, p->x->group, p->x->version);
	else if (e->code && k && k->a) /* no answer is no news */
		hash = arena_str(p->a, k->hash);
	pull_over(p, hash);
}

static void
ask(struct pull *p, struct str path, const char *accept, struct str etag, http_fetch_fn *done)
{
	struct err e = {0};
	if (apiservice_ask(&p->f->way, p->x, &p->at, path, str_c(accept), etag, done, p, &p->fetch,
		    &e) < 0)
		pull_failed(p);
}

/* resources_take: what it serves is known: its OpenAPI is next. */
static void
resources_take(struct pull *p, const struct doc *list)
{
	struct buf b;
	buf_init_arena(&b, p->a);
	if (list)
		doc_write_json(&b, list);
	if (b.failed || arena_failed(p->a)) {
		pull_failed(p);
		return;
	}
	p->resources = list ? buf_view(&b) : STR("");
	ask(p, STR("/openapi/v3"), "application/json", STR(""), on_index);
}

static void
on_legacy(void *arg, const struct err *e, const struct http_response *resp, struct str body)
{
	struct pull *p = arg;
	struct doc *d = NULL, *list = NULL;
	p->fetch = NULL;
	if (e->code == 0 && resp->status == 200 &&
		doc_parse_json(p->a, arena_str(p->a, body), NULL, &d, NULL) == 0)
		list = apiservice_resources(p->a, d, false, p->x->group, p->x->version);
	if (list)
		resources_take(p, list);
	else
		pull_failed(p);
}

static bool
is_aggregated(const struct http_response *resp)
{
	struct http_media m = {0};
	struct str type = http_headers_get(&resp->headers, STR("Content-Type"));
	return http_media_parse(type, &m) == 0 &&
		str_eq(http_media_param(&m, STR("as")), STR("APIGroupDiscoveryList")) &&
		str_eq(http_media_param(&m, STR("g")), STR("apidiscovery.k8s.io")) &&
		str_eq(http_media_param(&m, STR("v")), STR("v2"));
}

static void
on_apis(void *arg, const struct err *e, const struct http_response *resp, struct str body)
{
	struct pull *p = arg;
	struct known *k = map_get(&p->f->known, p->x->name);
	struct doc *d = NULL;
	p->fetch = NULL;
	if (e->code || resp->status == 503) {
		pull_failed(p);
		return;
	}
	if (resp->status == 304 && p->etag.n && k && k->a) {
		p->resources = arena_str(p->a, k->resources);
		ask(p, STR("/openapi/v3"), "application/json", STR(""), on_index);
		return;
	}
	p->etag = arena_str(p->a, http_headers_get(&resp->headers, STR("ETag")));
	if (resp->status == 200 && is_aggregated(resp)) {
		if (doc_parse_json(p->a, arena_str(p->a, body), NULL, &d, NULL) < 0)
			pull_failed(p);
		else
			resources_take(
				p, apiservice_resources(p->a, d, true, p->x->group, p->x->version));
		return;
	}
	p->etag = STR("");
	ask(p,
		p->x->group.n ? arena_fmt(p->a, "/apis/" STR_FMT "/" STR_FMT, STR_ARG(p->x->group),
					STR_ARG(p->x->version))
			      : arena_fmt(p->a, "/api/" STR_FMT, STR_ARG(p->x->version)),
		"application/json", STR(""), on_legacy);
}

static void
on_place(void *arg, const struct apiservice_state *st)
{
	struct pull *p = arg;
	struct known *k = map_get(&p->f->known, p->x->name);
	p->check = NULL;
	if (!k || st->n_addrs == 0) {
		pull_failed(p);
		return;
	}
	p->at = st->addrs[0];
	p->etag = k->a && !k->stale ? arena_str(p->a, k->etag) : STR("");
	ask(p, STR("/apis"), AGGREGATED ", application/json", p->etag, on_apis);
}

static void
pull_work(void *arg, struct str key)
{
	struct apiservice_fetcher *f = arg;
	struct known *k = map_get(&f->known, key);
	if (!k || !k->x->remote || !k->x->available) {
		stale_set(f, key, k && k->x->remote);
		queue_done(f->queue, key, false);
		return;
	}
	struct arena *a = arena_new(0);
	struct pull *p = a ? ARENA_NEW(a, struct pull) : NULL;
	if (!p) {
		arena_free(a);
		queue_done(f->queue, key, true);
		return;
	}
	*p = (struct pull){.f = f, .x = k->x, .a = a, .etag = STR(""), .next = f->pulls};
	k->x->refs++;
	p->prev = &f->pulls;
	if (p->next)
		p->next->prev = &p->next;
	f->pulls = p;
	if (apiservice_check_start(&f->way, p->x, false, on_place, p, &p->check) < 0)
		pull_failed(p);
}

/* ---- what there is --------------------------------------------------------------------------------- */

void
apiservice_fetcher_put(struct apiservice_fetcher *f, struct apiservice *x)
{
	struct known *k = map_get(&f->known, x->name);
	bool same = k && apiservice_same_way(k->x, x) && k->x->available == x->available;
	bool listed = k && k->x->of_group == x->of_group && k->x->of_version == x->of_version &&
		k->x->remote == x->remote;
	if (!k) {
		k = calloc(1, sizeof(*k));
		if (!k || map_put(&f->known, x->name, k, NULL) < 0) {
			free(k);
			return;
		}
		k->stale = x->remote;
	} else if (!apiservice_same_way(k->x, x)) {
		arena_free(k->a);
		k->a = NULL;
		k->stale = x->remote;
		listed = false;
	}
	x->refs++;
	apiservice_unref(k->x);
	k->x = x;
	if (!same)
		queue_add(f->queue, x->name);
	if (!listed)
		publish_later(f);
}

void
apiservice_fetcher_del(struct apiservice_fetcher *f, struct str name)
{
	struct known *k = map_del(&f->known, name);
	if (!k)
		return;
	known_free(k);
	publish_later(f);
}

void
apiservice_fetcher_keep(
	struct apiservice_fetcher *f, bool (*keeps)(void *arg, struct str name), void *arg)
{
	size_t pos = 0;
	struct str name;
	void *v;
	while (map_next(&f->known, &pos, &name, &v))
		if (!keeps(arg, name)) {
			known_free(map_del(&f->known, name));
			publish_later(f);
			pos = 0;
		}
}

/* ---- life ------------------------------------------------------------------------------------------ */

struct apiservice_fetcher *
apiservice_fetcher_new(const struct apiservice_way *way, struct loop *l)
{
	struct apiservice_fetcher *f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->way = *way;
	f->loop = l;
	map_init(&f->known);
	f->publish = (struct loop_work){.fn = publish, .arg = f};
	f->queue = queue_new(l, "apiservices-discovery", PARALLEL, pull_work, f);
	if (!f->queue) {
		free(f);
		return NULL;
	}
	queue_set_backoff(f->queue, BACKOFF_NS, REFRESH_NS);
	return f;
}

void
apiservice_fetcher_free(struct apiservice_fetcher *f)
{
	size_t pos = 0;
	struct str name;
	void *v;
	if (!f)
		return;
	while (f->pulls)
		pull_free(f->pulls);
	loop_defer_cancel(&f->publish);
	queue_free(f->queue);
	while (map_next(&f->known, &pos, &name, &v))
		known_free(v);
	map_release(&f->known);
	free(f);
}
