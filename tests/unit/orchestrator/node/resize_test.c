/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * What a pod is given, and what is said when it asks for more. */
#include "orchestrator/node/resize.c"

#include "tests/unit/test.h"

#define GI (1LL << 30)

static struct str_pair few[] = {
	{STR_INIT("cpu"), STR_INIT("500m")}, {STR_INIT("memory"), STR_INIT("1Gi")}};
static struct str_pair more[] = {
	{STR_INIT("cpu"), STR_INIT("1500m")}, {STR_INIT("memory"), STR_INIT("1Gi")}};
static struct str_pair too_much[] = {
	{STR_INIT("cpu"), STR_INIT("5")}, {STR_INIT("memory"), STR_INIT("1Gi")}};

static struct core_v1_container
container_of(struct str_pair *requests)
{
	return (struct core_v1_container){
		.name = STR("c"), .resources = {.requests = requests, .n_requests = 2}};
}

/* ask: the pod's object is now one with these requests. */
static void
ask(struct pod *p, struct informer_obj *o, struct core_v1_pod *pod, struct core_v1_container *c)
{
	*pod = (struct core_v1_pod){.spec = {.containers = c, .n_containers = 1}};
	*o = (struct informer_obj){.obj = pod};
	p->ref = o;
	p->o = pod;
}

TEST(a_pod_that_asks_for_more_than_there_is_gets_it)
{
	static struct ctr one, other;
	static struct core_v1_pod pods[5];
	static struct informer_obj objs[5];
	static struct pod p, beside;
	struct node n = {.facts = {.cpus = 2, .memory_bytes = 4 * GI, .pods = 10},
		.loop = loop_new(NULL, "test")};
	struct core_v1_container cs[] = {container_of(few), container_of(more),
		container_of(too_much), container_of(few), container_of(few)};
	_cleanup_buf_ struct buf b = BUF_INIT;
	p = (struct pod){.node = &n, .ctrs = &one, .n_ctrs = 1};
	beside = (struct pod){.node = &n, .ctrs = &other};
	one = (struct ctr){.pod = &p, .kind = CTR_MAIN, .name = (char[]){"c"}};
	map_put(&n.pods, STR("p"), &p, NULL);
	map_put(&n.pods, STR("beside"), &beside, NULL);
	ask(&beside, &objs[4], &pods[4], &cs[4]);
	ask(&p, &objs[0], &pods[0], &cs[0]);
	resize_look(&p);
	CHECK(p.alloc == &objs[0] && p.resize == RESIZE_NONE);
	/* Two processors, half of one is the other pod's. */
	ask(&p, &objs[1], &pods[1], &cs[1]);
	resize_look(&p);
	CHECK(p.alloc == &objs[1] && p.resize == RESIZE_NONE && p.resize_pod);
	ask(&p, &objs[2], &pods[2], &cs[2]);
	resize_look(&p);
	CHECK(p.alloc == &objs[1] && p.resize == RESIZE_INFEASIBLE);
	CHECK(ctr_resources(&one)->requests == more); /* a new run has what is given */
	resize_put_conds(&b, &p);
	CHECK(str_starts(buf_view(&b), STR(",{\"type\":\"PodResizePending\",\"status\":\"True\"")));
	CHECK(str_find(buf_view(&b),
		      STR("\"reason\":\"Infeasible\",\"message\":\"Node didn't have enough resource: "
			  "cpu, requested: 5000, used: 0, capacity: 2000\"}")) > 0);
	/* The other grows first: it is given what was free, and the first waits. */
	ask(&p, &objs[0], &pods[0], &cs[0]);
	resize_look(&p);
	ask(&beside, &objs[3], &pods[3], &cs[1]);
	beside.alloc = &objs[3];
	ask(&p, &objs[1], &pods[1], &cs[1]);
	resize_look(&p);
	CHECK(p.alloc == &objs[0] && p.resize == RESIZE_DEFERRED);
	beside.gone = true;
	resize_look(&p);
	CHECK(p.alloc == &objs[1] && p.resize == RESIZE_NONE);
	/* What was said is taken back. */
	struct core_v1_pod_condition said = {.type = STR("PodResizePending")};
	pods[1].status.conditions = &said;
	pods[1].status.n_conditions = 1;
	buf_clear(&b);
	resize_put_conds(&b, &p);
	CHECK_STR(buf_view(&b), ",{\"$patch\":\"delete\",\"type\":\"PodResizePending\"}");
	loop_timer_cancel(&p.wake);
	map_release(&n.pods);
	loop_free(n.loop);
}

TEST(resources_of_a_container_are_missing_in_its_status)
{
	static struct ctr c;
	struct core_v1_container with = container_of(few);
	ctr_applied(&c, &with.resources);
	CHECK_STR(str_c(c.applied),
		",\"allocatedResources\":{\"cpu\":\"500m\",\"memory\":\"1Gi\"},\"resources\":{"
		"\"requests\":{\"cpu\":\"500m\",\"memory\":\"1Gi\"}}");
	with.resources.limits = more;
	with.resources.n_limits = 1;
	with.resources.n_requests = 0;
	ctr_applied(&c, &with.resources);
	CHECK_STR(str_c(c.applied), ",\"resources\":{\"limits\":{\"cpu\":\"1500m\"}}");
	free(c.applied);
}

TEST(a_resize_policy_is_not_minded)
{
	struct core_v1_container_resize_policy v[] = {
		{STR("cpu"), STR("NotRequired")}, {STR("memory"), STR("RestartContainer")}};
	struct str_pair mem[] = {{STR("cpu"), STR("0.5")}, {STR("memory"), STR("2Gi")}};
	struct core_v1_container was = container_of(few), now = container_of(more);
	now.resize_policy = v;
	now.n_resize_policy = 2;
	CHECK(!resize_restarts(&now, &was.resources));
	now.resources.requests = mem;
	CHECK(resize_restarts(&now, &was.resources));
	mem[1].value = STR("1024Mi");
	CHECK(!resize_restarts(&now, &was.resources));
}
