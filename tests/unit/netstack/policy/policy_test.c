/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel lets through: pods of one node that speak with each other and with a client outside. */
#include "netstack/policy/policy.c"

#include "netstack/proxy/proxy.h"
#include "tests/unit/netstack/proxy/world.h"

static struct policy_rule
from_pod(size_t i, int family, uint16_t port)
{
	const struct ip_addr *a = &w.pods[i].ip[family == 6];
	return (struct policy_rule){*a, *a, IPPROTO_TCP, port, port};
}

static struct policy *
policy_up(void)
{
	struct policy *p = NULL;
	struct err e = {0};
	if (policy_open(NULL, NULL, NULL, NULL, &p, &e) < 0)
		TEST_FAIL_("%s", e.msg);
	return p;
}

static void
set_now(struct policy *p, const struct policy_state *s)
{
	struct err e = {0};
	CHECK_INT(policy_set(p, s), 0);
	if (policy_flush(p, &e) < 0)
		TEST_FAIL_("%s", e.msg);
}

/* isolate: pod i in both families; group for those directions that are not -1. */
static void
isolate(struct policy_state *s, struct policy_member *m, size_t i, int in, int out)
{
	const int groups[] = {in, out};
	for (int d = 0; d < POLICY__DIRECTIONS; d++)
		for (int f = 0; groups[d] >= 0 && f < 2; f++)
			m[s->n_members++] = (struct policy_member){
				w.pods[i].ip[f], d, (size_t)groups[d]};
	s->members = m;
}

static int
reach(size_t from, size_t to, int family)
{
	return hit(w.pods[from].ns, NULL, &w.pods[to].ip[family == 6], POD_PORT, NULL);
}

TEST(an_isolated_pod_is_reached_by_nobody_but_its_node_and_itself)
{
	struct policy_member m[8];
	struct policy_group none = {0};
	struct policy_state s = {.groups = &none, .n_groups = 1};

	NETNS_ENTER();
	world_up(2);
	struct policy *p = policy_up();
	isolate(&s, m, 0, 0, -1);
	set_now(p, &s);
	for (int f = 4; f <= 6; f += 2) {
		const struct ip_addr *a = &w.pods[0].ip[f == 6];
		CHECK_INT(reach(1, 0, f), -ETIMEDOUT);
		CHECK_INT(hit(w.outside, NULL, a, POD_PORT, NULL), -ETIMEDOUT);
		CHECK_INT(hit(w.node, NULL, a, POD_PORT, NULL), 0);
		CHECK_INT(reach(0, 0, f), 0);
		/* the other direction, and others, are as they were */
		CHECK_INT(reach(0, 1, f), 1);
		CHECK_INT(hit(w.outside, NULL, &w.pods[1].ip[f == 6], POD_PORT, NULL), 1);
	}
	policy_close(p);
	world_down();
}

TEST(what_is_permitted_passes_and_nothing_else)
{
	struct policy_member m[8];
	struct policy_rule rules[4];
	struct policy_group g[] = {{rules, 2}, {rules + 2, 2}};
	struct policy_state s = {.groups = g, .n_groups = 1};

	NETNS_ENTER();
	world_up(3);
	for (size_t i = 0; i < 2; i++) {
		rules[i] = from_pod(1, i ? 6 : 4, POD_PORT);
		rules[2 + i] = from_pod(1, i ? 6 : 4, POD_PORT + 1);
	}
	struct policy *p = policy_up();
	isolate(&s, m, 0, 0, -1);
	set_now(p, &s);
	for (int f = 4; f <= 6; f += 2) {
		CHECK_INT(reach(1, 0, f), 0);
		CHECK_INT(reach(2, 0, f), -ETIMEDOUT);
	}
	/* another port: only the difference is sent */
	struct policy_stats was, now;
	policy_stats_get(p, &was);
	s.groups = g + 1;
	set_now(p, &s);
	policy_stats_get(p, &now);
	CHECK_INT(now.added - was.added, 4); /* two permissions, two members with another number */
	CHECK_INT(now.removed - was.removed, 4);
	CHECK_INT(reach(1, 0, 4), -ETIMEDOUT);
	CHECK_INT(reach(1, 0, 6), -ETIMEDOUT);
	/* no policy any more */
	set_now(p, &(struct policy_state){0});
	CHECK_INT(reach(2, 0, 4), 0);
	policy_stats_get(p, &now);
	CHECK_INT(now.elements, 0);
	policy_close(p);
	world_down();
}

TEST(what_a_pod_may_send_is_asked_after_the_service_is_resolved)
{
	struct policy_member m[8];
	struct policy_rule rules[1];
	struct policy_group g = {rules, 1};
	struct policy_state s = {.groups = &g, .n_groups = 1};

	NETNS_ENTER();
	world_up(2);
	struct proxy *services = proxy_up();
	sync_now(services);
	struct proxy_service web = service_of(IP4, IP6, 2);
	web.endpoints += 2; /* pod 1 */
	web.n_endpoints = 2;
	put(services, "ns/web:http", &web);
	struct policy *p = policy_up();
	rules[0] = from_pod(1, 4, POD_PORT);
	isolate(&s, m, 0, -1, 0);
	set_now(p, &s);
	CHECK_INT(hit(w.pods[0].ns, NULL, &vip4, 80, NULL), 1);
	CHECK_INT(hit(w.pods[0].ns, NULL, &vip6, 80, NULL), -ETIMEDOUT);
	rules[0].port_from = rules[0].port_to = 80; /* the Service's port is not the pod's */
	set_now(p, &s);
	CHECK_INT(hit(w.pods[0].ns, NULL, &vip4, 80, NULL), -ETIMEDOUT);
	/* a pod that reaches itself through a Service */
	web = service_of(IP4, IP6, 1);
	put(services, "ns/web:http", &web);
	CHECK_INT(hit(w.pods[0].ns, NULL, &vip4, 80, NULL), 0);
	policy_close(p);
	proxy_close(services);
	world_down();
}

TEST(connections_that_were_permitted_live_on)
{
	struct policy_member m[8];
	struct policy_group none = {0};
	struct policy_state s = {.groups = &none, .n_groups = 1};
	char byte = 0;

	NETNS_ENTER();
	world_up(2);
	struct policy *p = policy_up();
	int here = netns_switch(w.pods[1].ns);
	int fd = connect_to(NULL, &w.pods[0].ip[0], POD_PORT, 1000);
	netns_back(here);
	CHECK(fd >= 0);
	int peer = accept_one(w.pods[0].tcp[0], NULL, 1000);
	isolate(&s, m, 0, 0, 0);
	set_now(p, &s);
	CHECK_INT(write(fd, "x", 1), 1);
	struct pollfd wait = {.fd = peer, .events = POLLIN};
	CHECK_INT(poll(&wait, 1, 1000), 1);
	CHECK_INT(read(peer, &byte, 1), 1);
	close(peer);
	close(fd);
	CHECK_INT(reach(1, 0, 4), -ETIMEDOUT);
	policy_close(p);
	world_down();
}

TEST(rules_outlive_the_process_and_the_next_one_takes_them_over)
{
	struct policy_member m[8];
	struct policy_group none = {0};
	struct policy_state s = {.groups = &none, .n_groups = 1};

	NETNS_ENTER();
	world_up(2);
	struct policy *p = policy_up();
	CHECK(!p->found);
	isolate(&s, m, 0, 0, -1);
	set_now(p, &s);
	policy_close(p);
	p = policy_up();
	CHECK(p->found);
	CHECK_INT(reach(1, 0, 4), -ETIMEDOUT);
	set_now(p, &(struct policy_state){0});
	CHECK_INT(reach(1, 0, 4), 0);
	set_now(p, &s);
	CHECK_INT(reach(1, 0, 4), -ETIMEDOUT);
	policy_close(p);
	world_down();
}

TEST(groups_of_equal_content_share_their_elements)
{
	struct policy_member m[8];
	struct policy_rule rules[2];
	struct policy_group g[] = {{rules, 1}, {rules + 1, 1}};
	struct policy_state s = {.groups = g, .n_groups = 2};
	struct policy_stats st;

	NETNS_ENTER();
	world_up(3);
	rules[0] = rules[1] = from_pod(2, 4, POD_PORT);
	struct policy *p = policy_up();
	isolate(&s, m, 0, 0, -1);
	isolate(&s, m, 1, 1, -1);
	set_now(p, &s);
	policy_stats_get(p, &st);
	CHECK_INT(st.elements, 4 + 4 + 1); /* pods, themselves, one permission */
	CHECK_INT(reach(2, 0, 4), 0);
	CHECK_INT(reach(2, 1, 4), 1);
	CHECK_INT(reach(0, 1, 4), -ETIMEDOUT);
	policy_close(p);
	world_down();
}
