/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * register_test: the node's own word about itself, and what it does when others have spoken for it. The API is
 * a list of the bodies it was sent. */
#include "orchestrator/node/register.c"
#include "tests/unit/test.h"

/* ---- what the file needs of others ---- */

static char sent[8][8192];
static char told[8192]; /* the last event */
static size_t n_sent;

const struct informer_obj *
informer_get(struct informer *i, struct str key)
{
	(void)i;
	(void)key;
	return NULL;
}

int64_t
facts_memory_available(void)
{
	return 1LL << 30;
}

void
pods_network_ready(struct node *n)
{
	(void)n;
}

void
nodenet_podnet_configured(struct nodenet *n)
{
	(void)n;
}

bool
podnet_is_configured(const struct podnet *p)
{
	(void)p;
	return true;
}

int
podnet_configure(struct podnet *p, const struct podnet_config *c, struct err *e)
{
	(void)p, (void)c, (void)e;
	return 0;
}

int
runtime_image_list(struct runtime *rt, struct arena *a, struct runtime_image **ret, size_t *ret_n)
{
	(void)rt, (void)a, (void)ret, (void)ret_n;
	return -ENOENT;
}

int
informer_new(struct client *c, const struct informer_spec *spec, struct informer **ret)
{
	(void)c, (void)spec, (void)ret;
	return 0;
}

struct answer {
	struct client_call call;
	struct loop_timer timer;
	client_done_fn *done;
	void *arg;
};

static void
on_answer(struct loop_timer *t)
{
	struct answer *x = t->arg;
	struct client_result r = {.http = 200};
	x->done(x->arg, &r);
	free(x);
}

int
client_call_start(struct client *c, const struct client_req *q, client_done_fn *done, void *arg,
	struct client_call **ret)
{
	struct answer *x = calloc(1, sizeof(*x));
	if (str_eq(q->resource, STR("events")))
		str_copy_c(q->body, told, sizeof(told));
	else if (!str_eq(q->resource, STR("leases")) && n_sent < ARRAY_LEN(sent))
		str_copy_c(q->body, sent[n_sent++], sizeof(sent[0]));
	*x = (struct answer){.done = done, .arg = arg};
	x->timer = (struct loop_timer){.fn = on_answer, .arg = x};
	loop_timer_after(c->loop, &x->timer, 0);
	if (ret)
		*ret = &x->call;
	return 0;
}

/* ---- the node ---- */

static struct client api;
static struct node node;
static char uid[16]; /* another each time: events of the same object are counted */

static void
turns(size_t want)
{
	for (int i = 0; i < 200 && (n_sent < want || node.status_busy); i++)
		loop_turn(node.loop, 10 * NS_PER_MS);
	for (int i = 0; i < 5; i++)
		loop_turn(node.loop, 0);
}

static void
node_says(const char *ready)
{
	struct core_v1_node_condition c[] = {
		{.type = STR("MemoryPressure"), .status = STR("False"), .last_transition_time = 7},
		{.type = STR("DiskPressure"), .status = STR("False"), .last_transition_time = 7},
		{.type = STR("PIDPressure"), .status = STR("False"), .last_transition_time = 7},
		{.type = STR("Ready"), .status = str_c(ready), .last_transition_time = 7}};
	struct core_v1_node o = {.status = {.conditions = c,
					 .n_conditions = ARRAY_LEN(c),
					 .node_info = {.boot_id = STR("boot-1")}}};
	struct informer_obj obj = {.name = STR("n1"), .uid = str_c(uid), .obj = &o};
	on_node(&node, NULL, &obj);
}

static void
node_up(const char *boot)
{
	static struct machine_config cfg;
	node = (struct node){.cfg = &cfg, .name = STR("n1"), .api = &api, .dir = "/"};
	node.loop = api.loop = loop_new(NULL, "test");
	node.facts.n_ips = 1;
	str_copy_c(str_c(boot), node.facts.boot_id, sizeof(node.facts.boot_id));
	CHECK_INT(ip_parse(STR("10.0.0.9"), &node.facts.ips[0]), 0);
	static int count;
	snprintf(uid, sizeof(uid), "u%d", ++count);
	n_sent = 0;
	told[0] = 0;
	register_start(&node);
	turns(1); /* the object itself */
	node_says("True");
	turns(2);
	CHECK_INT(n_sent, 2);
}

static void
node_down(void)
{
	loop_timer_cancel(&node.beat);
	loop_timer_cancel(&node.status_timer);
	loop_defer_cancel(&node.status_work);
	buf_release(&node.status_sent);
	loop_free(node.loop);
}

TEST(a_node_that_was_thought_lost_says_at_once_that_it_is_ready)
{
	node_up("boot-1");
	node_says("True"); /* its own word: nothing new */
	turns(0);
	CHECK_INT(n_sent, 2);
	node_says("Unknown");
	turns(3);
	CHECK_INT(n_sent, 3);
	CHECK(strstr(sent[2], "\"type\":\"Ready\",\"status\":\"True\"") != NULL);
	node_down();
}

TEST(the_time_of_a_transition_is_kept_over_a_restart)
{
	node_up("boot-1");
	CHECK(strstr(sent[1],
		"\"lastTransitionTime\":\"1970-01-01T00:00:00Z\",\"reason\":\"KubeletReady\""));
	node_says("Unknown");
	turns(3);
	CHECK(!strstr(sent[2],
		"\"lastTransitionTime\":\"1970-01-01T00:00:00Z\",\"reason\":\"KubeletReady\""));
	node_down();
}

TEST(addresses_are_replaced_and_conditions_of_others_stay)
{
	node_up("boot-1");
	CHECK(strstr(sent[1], "\"addresses\":[{\"$patch\":\"replace\"},{\"type\":\"InternalIP\","));
	CHECK(!strstr(sent[0], "$patch"));
	CHECK(!strstr(sent[1], "\"conditions\":[{\"$patch\""));
	node_down();
}

TEST(an_address_that_comes_before_the_node_has_joined_is_no_crash)
{
	static struct machine_config cfg;
	node = (struct node){.cfg = &cfg, .name = STR("n1"), .api = &api, .dir = "/"};
	node.loop = api.loop = loop_new(NULL, "test");
	n_sent = 0;
	register_status_later(&node);
	loop_turn(node.loop, 0);
	CHECK_INT(n_sent, 0);
	loop_free(node.loop);
}

TEST(a_reboot_and_getting_ready_are_told_as_events)
{
	node_up("boot-2");
	CHECK(strstr(told,
		"\"reason\":\"Rebooted\",\"message\":\"Node n1 has been rebooted, boot id: boot-2\""));
	node_says("Unknown");
	turns(3);
	CHECK(strstr(
		told, "\"reason\":\"NodeReady\",\"message\":\"Node n1 status is now: NodeReady\""));
	node_down();
	node_up("boot-1");
	CHECK(strstr(told, "\"reason\":\"Starting\",\"message\":\"Starting kubelet.\""));
	node_down();
}

TEST(pods_may_have_less_than_there_is)
{
	struct node n = {.facts = {.cpus = 2,
				 .memory_bytes = 1LL << 30,
				 .disk_bytes = 10LL << 30,
				 .pods = 110,
				 .huge = {{"1Gi", 1 << 30, 0}, {"2Mi", 2 << 20, 8}}}};
	_cleanup_buf_ struct buf b = BUF_INIT;
	put_resources(&n, &b, "capacity", false);
	CHECK_STR(buf_view(&b),
		"\"capacity\":{\"cpu\":\"2\",\"memory\":\"1048576Ki\",\"pods\":\"110\","
		"\"ephemeral-storage\":\"10485760Ki\",\"hugepages-1Gi\":\"0\",\"hugepages-2Mi\":\"16384Ki\"}");
	buf_clear(&b);
	put_resources(&n, &b, "allocatable", true);
	CHECK_STR(buf_view(&b),
		"\"allocatable\":{\"cpu\":\"2\",\"memory\":\"929792Ki\",\"pods\":\"110\","
		"\"ephemeral-storage\":\"9437184Ki\",\"hugepages-1Gi\":\"0\",\"hugepages-2Mi\":\"16384Ki\"}");
	n.facts.memory_bytes = 64 << 20;
	n.facts.huge[0].name = n.facts.huge[1].name = NULL;
	buf_clear(&b);
	put_resources(&n, &b, "allocatable", true);
	CHECK(str_find(buf_view(&b), STR("\"memory\":\"0Ki\"")) > 0);
	CHECK(str_find(buf_view(&b), STR("hugepages")) < 0);
}

TEST(pressure_that_goes_is_an_event)
{
	node_up("boot-1");
	told[0] = 0;
	node.cond_is[NODE_MEMORY] = 1; /* it was short before */
	register_status_later(&node);
	turns(3);
	CHECK(strstr(told, "Node n1 status is now: NodeHasSufficientMemory"));
	node_down();
}
