/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * What NetworkPolicies permit to which pods of the node. */
#include "orchestrator/nodenet/map_policy.c"

#include "tests/unit/orchestrator/nodenet/fake.h"

#define TCP "6"
#define UDP "17"

static struct arena *a;
static struct str_pair web_labels[] = {{STR("app"), STR("web")}},
		       db_labels[] = {{STR("app"), STR("db")}};
static struct str_pair shop_labels[] = {{STR("team"), STR("shop")}},
		       ops_labels[] = {{STR("team"), STR("ops")}};
static struct map_pod_port web_ports[] = {{STR("http"), 6, 8080}},
			   db_ports[] = {{STR("sql"), 6, 5432}};
static const struct map_ns namespaces[] = {
	{STR("shop"), shop_labels, 1}, {STR("ops"), ops_labels, 1}};
/* 0 web and 1 db of shop, here; 2 web of ops, elsewhere. */
static const struct map_pod pods[] = {
	{STR("shop"), web_labels, 1, {{4, {10, 0, 0, 1}}, {6, {0xfd, [15] = 1}}}, 2, web_ports, 1,
		true},
	{STR("shop"), db_labels, 1, {{4, {10, 0, 0, 2}}}, 1, db_ports, 1, true},
	{STR("ops"), web_labels, 1, {{4, {10, 0, 0, 3}}}, 1, web_ports, 1, false},
};

/* said: of the pod's first address and a direction: "-" not isolated, else "proto from-to low-high" lines, sorted as
 * they were made. */
static const char *
said(const struct policy_state *s, size_t pod, enum policy_direction d)
{
	static char text[2000];
	char from[IP_TEXT_MAX], to[IP_TEXT_MAX];
	snprintf(text, sizeof(text), "-");
	for (size_t i = 0; i < s->n_members; i++) {
		if (!ip_eq(&s->members[i].addr, &pods[pod].ips[0]) || s->members[i].direction != d)
			continue;
		const struct policy_group *g = &s->groups[s->members[i].group];
		size_t n = 0;
		text[0] = 0;
		for (size_t k = 0; k < g->n; k++) {
			const struct policy_rule *r = &g->rules[k];
			ip_format(&r->from, from);
			ip_format(&r->to, to);
			bool one = ip_eq(&r->from, &r->to);
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u %s%s%s %u-%u",
				n ? "; " : "", r->proto, from, one ? "" : "-", one ? "" : to,
				r->port_from, r->port_to);
		}
	}
	return text;
}

/* mapped: the policies (JSON of their specs, all in shop) over the pods. */
static struct policy_state
mapped(const char *const *specs, size_t n)
{
	const struct networking_v1_network_policy *list[4];
	struct map_policy_input in = {
		list, n, pods, ARRAY_LEN(pods), namespaces, ARRAY_LEN(namespaces)};
	struct policy_state s = {0};
	for (size_t i = 0; i < n; i++)
		list[i] = object_of(a, SCHEMA_TYPE_OF(networking_v1_network_policy),
			arena_fmt(a,
				"{\"metadata\":{\"name\":\"p\",\"namespace\":\"shop\"},\"spec\":%s}",
				specs[i])
				.p);
	CHECK_INT(map_policies(a, &in, &s), 0);
	return s;
}
#define MAPPED(...)                                                                                \
	mapped((const char *const[]){__VA_ARGS__},                                                 \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

TEST(a_policy_without_rules_isolates_the_pods_it_chooses)
{
	a = arena_new(0);
	struct policy_state s = MAPPED(
		"{\"podSelector\":{\"matchLabels\":{\"app\":\"web\"}},\"policyTypes\":[\"Ingress\"]}");
	CHECK_STR(said(&s, 0, POLICY_IN), "");
	CHECK_STR(said(&s, 0, POLICY_OUT), "-");
	CHECK_STR(said(&s, 1, POLICY_IN), "-");
	CHECK_INT(s.n_members,
		2); /* both families of the one pod; web of ops is another namespace's */
	arena_free(a);
}

TEST(no_policy_isolates_nobody)
{
	a = arena_new(0);
	struct policy_state s = mapped(NULL, 0);
	CHECK_INT(s.n_members, 0);
	CHECK_INT(s.n_groups, 0);
	arena_free(a);
}

TEST(peers_by_labels_of_pods_and_namespaces)
{
	a = arena_new(0);
#define IN(from)                                                                                   \
	"{\"podSelector\":{},\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[" from "]}]}"
	struct policy_state s = MAPPED(IN("{\"podSelector\":{\"matchLabels\":{\"app\":\"web\"}}}"));
	CHECK_STR(said(&s, 1, POLICY_IN), "0 10.0.0.1 0-0; 0 fd00::1 0-0");
	s = MAPPED(IN("{\"namespaceSelector\":{\"matchLabels\":{\"team\":\"ops\"}}}"));
	CHECK_STR(said(&s, 1, POLICY_IN), "0 10.0.0.3 0-0");
	s = MAPPED(IN(
		"{\"namespaceSelector\":{},\"podSelector\":{\"matchLabels\":{\"app\":\"web\"}}}"));
	CHECK_STR(said(&s, 1, POLICY_IN), "0 10.0.0.1 0-0; 0 fd00::1 0-0; 0 10.0.0.3 0-0");
	s = MAPPED(IN("{\"namespaceSelector\":{\"matchLabels\":{\"team\":\"none\"}}}"));
	CHECK_STR(said(&s, 1, POLICY_IN), "");
	arena_free(a);
}

TEST(rules_without_peers_or_ports_mean_all)
{
	a = arena_new(0);
	struct policy_state s = MAPPED(
		"{\"podSelector\":{},\"policyTypes\":[\"Ingress\",\"Egress\"],\"ingress\":[{}],"
		"\"egress\":[{\"ports\":[{\"protocol\":\"UDP\",\"port\":53},{\"protocol\":\"TCP\"}]}]}");
	const char *all6 = "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
	char want[300];
	snprintf(want, sizeof(want), "0 0.0.0.0-255.255.255.255 0-0; 0 %s 0-0", all6);
	CHECK_STR(said(&s, 0, POLICY_IN), want);
	snprintf(want, sizeof(want),
		UDP " 0.0.0.0-255.255.255.255 53-53; " UDP " %s 53-53; " TCP
		    " 0.0.0.0-255.255.255.255 0-65535; " TCP " %s 0-65535",
		all6, all6);
	CHECK_STR(said(&s, 0, POLICY_OUT), want);
	arena_free(a);
}

TEST(an_address_block_without_its_exceptions)
{
	a = arena_new(0);
	struct policy_state s = MAPPED(IN(
		"{\"ipBlock\":{\"cidr\":\"10.1.0.0/16\",\"except\":[\"10.1.2.0/24\",\"10.1.255.0/24\"]}}"));
	CHECK_STR(said(&s, 1, POLICY_IN), "0 10.1.0.0-10.1.1.255 0-0; 0 10.1.3.0-10.1.254.255 0-0");
	s = MAPPED(IN("{\"ipBlock\":{\"cidr\":\"10.1.2.0/24\",\"except\":[\"10.1.0.0/16\"]}}"));
	CHECK_STR(said(&s, 1, POLICY_IN), "");
	s = MAPPED(IN("{\"ipBlock\":{\"cidr\":\"fd00::/16\",\"except\":[\"fd00::/17\"]}}"));
	CHECK_STR(said(&s, 1, POLICY_IN),
		"0 fd00:8000::-fd00:ffff:ffff:ffff:ffff:ffff:ffff:ffff 0-0");
	arena_free(a);
}

TEST(a_port_by_name_is_that_of_the_pod_that_is_connected_to)
{
	a = arena_new(0);
	struct policy_state s = MAPPED(
		"{\"podSelector\":{},\"policyTypes\":[\"Ingress\",\"Egress\"],"
		"\"ingress\":[{\"from\":[{\"ipBlock\":{\"cidr\":\"10.9.0.1/32\"}}],\"ports\":[{\"protocol\":\"TCP\",\"port\":\"sql\"}]}],"
		"\"egress\":[{\"to\":[{\"namespaceSelector\":{}}],\"ports\":[{\"protocol\":\"TCP\",\"port\":\"http\"}]}]}");
	CHECK_STR(said(&s, 0, POLICY_IN), "");
	CHECK_STR(said(&s, 1, POLICY_IN), TCP " 10.9.0.1 5432-5432");
	CHECK_STR(said(&s, 1, POLICY_OUT),
		TCP " 10.0.0.1 8080-8080; " TCP " fd00::1 8080-8080; " TCP " 10.0.0.3 8080-8080");
	arena_free(a);
}

TEST(ports_from_to)
{
	a = arena_new(0);
	struct policy_state s = MAPPED(
		"{\"podSelector\":{},\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{\"ipBlock\":{"
		"\"cidr\":\"10.9.0.1/32\"}}],\"ports\":[{\"protocol\":\"TCP\",\"port\":80,\"endPort\":90},{\"port\":7}]}]}");
	CHECK_STR(said(&s, 0, POLICY_IN), TCP " 10.9.0.1 80-90; " TCP " 10.9.0.1 7-7");
	arena_free(a);
}

TEST(policies_add_up_and_pods_they_choose_alike_share_a_group)
{
	a = arena_new(0);
	struct policy_state s = MAPPED(IN("{\"ipBlock\":{\"cidr\":\"10.9.0.1/32\"}}"),
		IN("{\"ipBlock\":{\"cidr\":\"10.9.0.2/32\"}}"));
	CHECK_STR(said(&s, 0, POLICY_IN), "0 10.9.0.1 0-0; 0 10.9.0.2 0-0");
	CHECK_INT(s.n_groups, 1);
	CHECK_INT(s.n_members, 3);
	arena_free(a);
}
