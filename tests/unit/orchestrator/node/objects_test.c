/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Objects that pods name, from an API that lets a node get claims and volumes, one by one, and nothing more. */
#include "orchestrator/node/objects.c"

#include "tests/unit/test.h"

struct answer {
	struct client_call call;
	struct loop_timer timer;
	client_done_fn *done;
	void *arg;
	const char *body; /* NULL = 404 */
};

static struct {
	struct client c;
	unsigned gets, others;
	const char *claim, *volume; /* what the API has; NULL = nothing */
} api;

static void
on_answer(struct loop_timer *t)
{
	struct answer *x = t->arg;
	struct client_result r = {.http = x->body ? 200 : 404, .body = str_c(x->body)};
	x->done(x->arg, &r);
	free(x);
}

static int
api_call(struct client *c, const struct client_req *q, client_done_fn *done, void *arg,
	struct client_call **ret)
{
	bool claim = str_eq(q->resource, STR("persistentvolumeclaims"));
	struct answer *x = calloc(1, sizeof(*x));
	api.gets += q->verb == CLIENT_GET;
	api.others += q->verb != CLIENT_GET;
	CHECK_STR(q->name, claim ? "data" : "pv-1");
	CHECK_STR(q->ns, claim ? "ns" : "");
	*x = (struct answer){
		{c}, {.fn = on_answer, .arg = x}, done, arg, claim ? api.claim : api.volume};
	loop_timer_after(c->loop, &x->timer, 0);
	*ret = &x->call;
	return 0;
}

static void
api_cancel(struct client_call *call)
{
	struct answer *x = (struct answer *)call;
	loop_timer_cancel(&x->timer);
	free(x);
}

static int
api_watch(struct client *c, const struct client_req *q, const struct client_watch_fns *fns,
	void *arg, struct client_watch **ret)
{
	(void)c, (void)q, (void)fns, (void)arg, (void)ret;
	api.others++;
	return -EACCES;
}

static const struct client_ops api_ops = {api_call, api_cancel, api_watch, NULL, NULL};

static void
on_pod_work(struct loop_work *w)
{
	struct pod *p = w->arg;
	pod_objects_want(p);
}

static bool
turns_until_synced(struct pod *p, size_t objects)
{
	int64_t until_ns = clock_mono_ns() + 10 * NS_PER_SEC;
	while (!(p->n_objects == objects && pod_objects_synced(p)) && clock_mono_ns() < until_ns)
		loop_turn(p->node->loop, 10 * NS_PER_MS);
	return p->n_objects == objects && pod_objects_synced(p);
}

TEST(a_node_that_may_only_get_finds_a_pods_claim_and_volume)
{
	struct core_v1_persistent_volume_claim_volume_source source = {.claim_name = STR("data")};
	struct core_v1_volume volume = {.name = STR("v"), .persistent_volume_claim = &source};
	struct core_v1_pod o = {.spec = {.volumes = &volume, .n_volumes = 1}};
	struct node n = {.api = &api.c, .loop = loop_new(NULL, "test")};
	struct pod p = {.node = &n, .o = &o, .ns = (char[]){"ns"}, .uid = (char[]){"u"}};
	bool synced = false;
	const struct core_v1_persistent_volume *pv;
	p.work = (struct loop_work){.fn = on_pod_work, .arg = &p};
	api.c = (struct client){&api_ops, n.loop};
	map_init(&n.pods);
	map_init(&n.objects);
	CHECK_INT(map_put(&n.pods, STR("u"), &p, NULL), 0);
	/* neither is there yet */
	pod_objects_want(&p);
	CHECK(turns_until_synced(&p, 1));
	CHECK(!object_get(&p, OBJECT_CLAIM, STR("data"), &synced) && synced);
	/* the claim comes and is bound, a moment before its volume can be seen */
	api.claim =
		"{\"metadata\":{\"name\":\"data\",\"uid\":\"c\"},\"spec\":{\"volumeName\":\"pv-1\"}}";
	CHECK(turns_until_synced(&p, 2));
	CHECK(!object_get(&p, OBJECT_VOLUME, STR("pv-1"), &synced) && synced);
	api.volume =
		"{\"metadata\":{\"name\":\"pv-1\"},\"spec\":{\"local\":{\"path\":\"/data/volumes/pv-1\"}}}";
	p.volumes_stale = false;
	int64_t until_ns = clock_mono_ns() + 10 * NS_PER_SEC;
	while (!p.volumes_stale && clock_mono_ns() < until_ns)
		loop_turn(n.loop, 10 * NS_PER_MS);
	pv = object_get(&p, OBJECT_VOLUME, STR("pv-1"), &synced);
	CHECK(pv && pv->spec.local);
	CHECK_STR(pv->spec.local->path, "/data/volumes/pv-1");
	/* all is known: nothing is asked any more, and nothing but gets ever was */
	CHECK(!loop_timer_is_set(&p.objects[0]->again) && !loop_timer_is_set(&p.objects[1]->again));
	CHECK_INT(api.others, 0);
	CHECK(api.gets >= 4);
	objects_release(&p);
	CHECK_INT(map_len(&n.objects), 0);
	loop_defer_cancel(&p.work);
	map_release(&n.pods);
	map_release(&n.objects);
	loop_free(n.loop);
}
