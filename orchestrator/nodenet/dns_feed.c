/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * dns_feed: a change makes its Service's key dirty; at the end of the loop's turn only those are mapped and
 * set. See dns_feed.h. */
#include "orchestrator/nodenet/dns_feed.h"

#include "base/hash.h"
#include "base/log.h"
#include "orchestrator/nodenet/map.h"
#include "orchestrator/schema/schema.h"

#include "kinds/core_v1.h"
#include "kinds/discovery_v1.h"

#include <stdlib.h>

#define RETRY_NS NS_PER_SEC
enum { INDEX_SERVICE };

struct dns_feed {
	struct dns_feed_config cfg;
	struct informer *services, *slices;
	struct map dirty; /* Service keys */
	struct loop_work work;
	struct loop_timer retry;
	bool all, synced;
};

static void
work_soon(struct dns_feed *f)
{
	loop_defer(f->cfg.client->loop, &f->work);
}

static void
mark(struct dns_feed *f, struct str key)
{
	if (map_put(&f->dirty, key, f, NULL) < 0)
		f->all = true;
	work_soon(f);
}

static void
on_service(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	mark(arg, (new_ ? new_ : old)->key);
}

static void
slice_key(const struct informer_obj *o, informer_put_fn *put, void *ctx)
{
	struct str name = map_slice_service(o->obj);
	_cleanup_buf_ struct buf key = BUF_INIT;
	buf_fmt(&key, STR_FMT "/" STR_FMT, STR_ARG(o->ns), STR_ARG(name));
	if (name.n && !key.failed)
		put(ctx, buf_view(&key));
}

static void
mark_headless(void *ctx, struct str key)
{
	struct dns_feed *f = ctx;
	const struct informer_obj *o = informer_get(f->services, key);
	/* The endpoints of others are in no record. A Service that is not known yet comes by itself. */
	if (o && map_is_headless(o->obj))
		mark(f, key);
}

static void
on_slice(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	if (old)
		slice_key(old, mark_headless, arg);
	if (new_)
		slice_key(new_, mark_headless, arg);
}

static int
service_set(struct dns_feed *f, struct arena *a, const struct informer_obj *o)
{
	const struct discovery_v1_endpoint_slice **slices = NULL;
	const struct informer_obj *s;
	struct dns_service d;
	size_t n = 0;
	for (size_t pos = 0; (s = informer_index_next(f->slices, INDEX_SERVICE, o->key, &pos));) {
		const struct discovery_v1_endpoint_slice **slot = ARENA_PUSH(a, slices, n);
		if (!slot)
			return -ENOMEM;
		*slot = s->obj;
	}
	struct map_input in = {o->ns, o->name, o->obj, slices, n};
	int rc = map_dns(a, &in, &d);
	if (rc == 0)
		dns_zone_service_del(f->cfg.zone, o->ns, o->name);
	return rc > 0 ? dns_zone_service_set(f->cfg.zone, &d) : rc;
}

/* key_sync: -ENOMEM: to be tried again. */
static int
key_sync(struct dns_feed *f, struct str key)
{
	const struct informer_obj *o = informer_get(f->services, key);
	struct str ns, name;
	if (!o) {
		if (str_cut(key, '/', &ns, &name))
			dns_zone_service_del(f->cfg.zone, ns, name);
		return 0;
	}
	struct arena *a = arena_new(0);
	int rc = a ? service_set(f, a, o) : -ENOMEM;
	arena_free(a);
	if (rc < 0 && rc != -ENOMEM)
		log_warn("names of service " STR_FMT ": %s", STR_ARG(key), strerror(-rc));
	return rc == -ENOMEM ? rc : 0;
}

static void
zone_service(void *arg, struct str ns, struct str name)
{
	struct dns_feed *f = arg;
	_cleanup_buf_ struct buf key = BUF_INIT;
	buf_fmt(&key, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
	if (key.failed)
		f->all = true;
	else
		mark(f, buf_view(&key));
}

static void
mark_all(struct dns_feed *f)
{
	const struct informer_obj *o;
	f->all = false;
	for (size_t pos = 0; (o = informer_next(f->services, &pos));)
		mark(f, o->key);
	dns_zone_services(f->cfg.zone, zone_service, f);
}

static void
on_work(struct loop_work *w)
{
	struct dns_feed *f = w->arg;
	struct str key;
	void *v;
	bool changed = false;
	int rc = 0;
	if (!informer_synced(f->services) || !informer_synced(f->slices))
		return;
	if (f->all)
		mark_all(f);
	for (size_t pos = 0; rc == 0 && map_next(&f->dirty, &pos, &key, &v);) {
		rc = key_sync(f, key);
		if (rc == 0) {
			map_del(&f->dirty, key);
			changed = true;
		}
	}
	if (rc < 0 || f->all) {
		log_warn("names of services: no memory, trying again");
		loop_timer_after(f->cfg.client->loop, &f->retry, RETRY_NS);
	} else if (!f->synced) {
		f->synced = true;
		f->cfg.on_synced(f->cfg.arg);
	}
	if (changed && f->synced)
		f->cfg.on_change(f->cfg.arg);
}

static void
on_retry(struct loop_timer *t)
{
	work_soon(t->arg);
}

static void
on_list(void *arg)
{
	work_soon(arg);
}

int
dns_feed_new(const struct dns_feed_config *cfg, struct dns_feed **ret)
{
	struct dns_feed *f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->cfg = *cfg;
	f->all = true; /* what the zone has already, too */
	map_init(&f->dirty);
	f->work = (struct loop_work){.fn = on_work, .arg = f};
	f->retry = (struct loop_timer){.fn = on_retry, .arg = f};
	struct informer_spec spec = {.version = STR("v1"),
		.resource = STR("services"),
		.type = SCHEMA_TYPE_OF(core_v1_service),
		.on_change = on_service,
		.on_synced = on_list,
		.arg = f};
	int rc = informer_new(cfg->client, &spec, &f->services);
	spec.group = STR("discovery.k8s.io");
	spec.resource = STR("endpointslices");
	spec.type = SCHEMA_TYPE_OF(discovery_v1_endpoint_slice);
	spec.on_change = on_slice;
	if (rc == 0)
		rc = informer_new(cfg->client, &spec, &f->slices);
	if (rc == 0)
		rc = informer_add_index(f->slices, INDEX_SERVICE, slice_key);
	if (rc < 0) {
		dns_feed_free(f);
		return rc;
	}
	*ret = f;
	return 0;
}

void
dns_feed_free(struct dns_feed *f)
{
	if (!f)
		return;
	loop_defer_cancel(&f->work);
	loop_timer_cancel(&f->retry);
	informer_free(f->slices);
	informer_free(f->services);
	map_release(&f->dirty);
	free(f);
}
