/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * aggregate: the ClusterRole aggregation controller: a role with an aggregationRule has the rules of all
 * roles its selectors match, in order of their names. It watches ClusterRoles and writes through the API
 * like every controller.
 *
 * Invariant: a write is made only when the rules differ; a failed one is tried again with back-off.
 * Source: Kubernetes RBAC (aggregated ClusterRoles);
 * k8s.io/kubernetes pkg/controller/clusterroleaggregation. */
#include "orchestrator/api/api_int.h"

#include "base/queue.h"
#include "orchestrator/client/watch_list.h"

#include <stdlib.h>

#define GROUP "rbac.authorization.k8s.io"
#define RESOURCE "clusterroles"

struct api_aggregator {
	struct client *c;
	struct loop *loop;
	struct watch_list watch;
	struct map roles; /* name -> struct kept_doc */
	struct queue *queue;
	struct client_call *call;
	struct str key; /* being written; arena of `work` */
	struct arena *work;
};

static bool
aggregates(const struct kept_doc *r)
{
	return doc_len(doc_get(
		       doc_get(r->d, STR("aggregationRule")), STR("clusterRoleSelectors"))) > 0;
}

static bool
matches(const struct kept_doc *by, const struct kept_doc *r)
{
	const struct doc *list = doc_get(
		doc_get(by->d, STR("aggregationRule")), STR("clusterRoleSelectors"));
	struct arena *a = arena_new(0);
	bool hit = false;
	DOC_EACH (x, list) {
		struct selector s = {0};
		hit = hit ||
			(a && selector_from_doc(a, x, &s) == 0 &&
				selector_match_doc(&s, doc_get(meta_of(r->d), STR("labels"))));
	}
	arena_free(a);
	return hit && by != r;
}

static int
by_name(const void *x, const void *y)
{
	const struct kept_doc *const *a = x, *const *b = y;
	return str_cmp((*a)->name, (*b)->name);
}

/* The rules a role should have. */
static struct doc *
rules_wanted(struct api_aggregator *g, struct arena *a, const struct kept_doc *by)
{
	struct doc *out = doc_list(a);
	const struct kept_doc **list = NULL;
	size_t n = 0, pos = 0;
	struct str key;
	void *v;
	while (map_next(&g->roles, &pos, &key, &v)) {
		if (!matches(by, v))
			continue;
		const struct kept_doc **slot = ARENA_PUSH(a, list, n);
		if (slot)
			*slot = v;
	}
	if (n)
		qsort(list, n, sizeof(*list), by_name);
	for (size_t i = 0; out && i < n; i++) {
		DOC_EACH (rule, doc_get(list[i]->d, STR("rules"))) {
			bool there = false;
			DOC_EACH (o, out)
				there = there || doc_equal(o, rule);
			if (!there)
				doc_append(out, doc_copy(a, rule));
		}
	}
	return arena_failed(a) ? NULL : out;
}

static void
role_written(void *arg, const struct client_result *res)
{
	struct api_aggregator *g = arg;
	bool failed = res->http >= 400 || res->http == 0;
	g->call = NULL;
	struct arena *work = g->work;
	g->work = NULL;
	queue_done(g->queue, g->key, failed && res->http != 404);
	arena_free(work);
}

static void
role_sync(void *arg, struct str key)
{
	struct api_aggregator *g = arg;
	struct kept_doc *r = map_get(&g->roles, key);
	struct arena *a = arena_new(0);
	struct doc *want = a && r && aggregates(r) ? rules_wanted(g, a, r) : NULL;
	if (!want || doc_equal(want, doc_get(r->d, STR("rules"))) ||
		(doc_len(want) == 0 && doc_len(doc_get(r->d, STR("rules"))) == 0)) {
		queue_done(g->queue, key, false);
		arena_free(a);
		return;
	}
	struct doc *patch = doc_map(a);
	struct buf body;
	buf_init_arena(&body, a);
	if (patch)
		doc_set(patch, STR("rules"), want);
	doc_write_json(&body, patch);
	g->key = arena_str(a, key);
	g->work = a;
	struct client_req q = {.verb = CLIENT_PATCH_MERGE,
		.group = STR(GROUP),
		.version = STR("v1"),
		.resource = STR(RESOURCE),
		.name = key,
		.body = buf_view(&body)};
	if (client_call_start(g->c, &q, role_written, g, &g->call) < 0) {
		g->work = NULL;
		queue_done(g->queue, key, true);
		arena_free(a);
	}
}

static void
queue_all(void *arg)
{
	struct api_aggregator *g = arg;
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&g->roles, &pos, &key, &v))
		if (aggregates(v))
			queue_add(g->queue, key);
}

/* role_make: what matters of a role, for good, in an arena that is no larger. */
static struct kept_doc *
role_make(const struct doc *d)
{
	static const struct str parts[] = {
		STR_INIT("metadata"), STR_INIT("rules"), STR_INIT("aggregationRule")};
	struct arena *scratch = arena_new(0), *a = NULL;
	struct kept_doc *r = NULL;
	for (int pass = 0; pass < 2; pass++) {
		struct arena *to = pass ? a : scratch;
		r = to ? ARENA_NEW(to, struct kept_doc) : NULL;
		if (!r)
			break;
		*r = (struct kept_doc){.a = to, .d = doc_map(to)};
		for (size_t i = 0; r->d && i < ARRAY_LEN(parts); i++) {
			const struct doc *v = doc_get(d, parts[i]);
			if (v)
				doc_set(r->d, parts[i], doc_copy(to, v));
		}
		r->name = doc_get_str(meta_of(r->d), STR("name"));
		if (!pass)
			a = arena_new_fit(arena_used(scratch));
	}
	arena_free(scratch);
	if (a && (!r || arena_failed(a))) {
		arena_free(a);
		r = NULL;
	}
	return a ? r : NULL;
}

static void
on_begin(void *arg)
{
	kept_docs_clear(&((struct api_aggregator *)arg)->roles);
}

static void
on_event(void *arg, enum client_event ev, struct str object)
{
	struct api_aggregator *g = arg;
	struct arena *scratch = arena_new(0);
	struct doc *d = NULL;
	struct kept_doc *r = NULL, *old = NULL;
	if (scratch && doc_parse_json(scratch, object, NULL, &d, NULL) == 0)
		r = role_make(d);
	arena_free(scratch);
	if (!r)
		return;
	if (ev == CLIENT_DELETED) {
		kept_doc_free(map_del(&g->roles, r->name));
		kept_doc_free(r);
	} else {
		if (map_put(&g->roles, r->name, r, (void **)&old) < 0)
			old = r;
		kept_doc_free(old);
	}
	if (!g->watch.initial)
		queue_all(g);
}

int
api_aggregator_new(struct client *c, struct loop *l, struct api_aggregator **ret)
{
	static const struct watch_list_fns fns = {on_begin, on_event, .complete = queue_all};
	struct api_aggregator *g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->c = c;
	g->loop = l;
	map_init(&g->roles);
	g->queue = queue_new(l, RESOURCE, 1, role_sync, g);
	if (!g->queue) {
		free(g);
		return -ENOMEM;
	}
	*ret = g;
	watch_list_start(&g->watch, c, GROUP, RESOURCE, &fns, g);
	return 0;
}

void
api_aggregator_free(struct api_aggregator *g)
{
	if (!g)
		return;
	watch_list_stop(&g->watch);
	if (g->call)
		client_call_cancel(g->call);
	queue_free(g->queue);
	arena_free(g->work);
	kept_docs_clear(&g->roles);
	free(g);
}
