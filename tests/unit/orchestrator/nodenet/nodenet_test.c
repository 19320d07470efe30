/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The agent between a fake API and the real kernel, in a network namespace of its own: Services and host ports
 * reach proxy, nodes reach podnet, an agent that is started again takes the rules over. */
#include "orchestrator/nodenet/nodenet.c"

#include "netstack/policy/policy.h"
#include "tests/unit/netstack/netns.h"
#include "tests/unit/orchestrator/nodenet/fake.h"

static struct fake api;
static struct loop *loop;
static struct nodenet *agent;
static struct podnet *pn;
static unsigned ready;

#define META(name, ns, rv)                                                                         \
	"\"metadata\":{\"name\":\"" name "\",\"namespace\":\"" ns "\",\"uid\":\"" name             \
	"\",\"resourceVersion\":\"" rv "\""
#define NODE_OF(name, ip, cidr, rv)                                                                \
	"{\"metadata\":{\"name\":\"" name "\",\"uid\":\"" name "\",\"resourceVersion\":\"" rv      \
	"\"},\"spec\":{\"podCIDRs\":[\"" cidr "\"]},\"status\":{\"addresses\":[{\"type\":"         \
	"\"InternalIP\",\"address\":\"" ip "\"}]}}"
#define WEB_OF(ports, rv)                                                                          \
	"{" META("web", "shop", rv) "},\"spec\":{\"clusterIP\":\"10.96.0.7\",\"clusterIPs\":["     \
				    "\"10.96.0.7\"],\"ports\":[" ports "]}}"
#define HTTP "{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":80}"
#define ADMIN "{\"name\":\"admin\",\"protocol\":\"TCP\",\"port\":81}"
#define SLICE_OF(ips, rv)                                                                                          \
	"{" META("web-1", "shop",                                                                                  \
		rv) ",\"labels\":{\"kubernetes.io/service-name\":\"web\"}},"                                       \
		    "\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":8080}]," \
		    "\"endpoints\":[" ips "]}"
#define POD_OF(name, ip, app, rv)                                                                  \
	"{" META(name, "shop", rv) ",\"labels\":{\"app\":\"" app                                   \
				   "\"}},\"spec\":{\"containers\":[{\"name\":\"c\"}]},"            \
				   "\"status\":{\"podIPs\":[{\"ip\":\"" ip "\"}]}}"
#define POLICY_OF(app, rv)                                                                         \
	"{" META("lock", "shop",                                                                   \
		rv) "},\"spec\":{\"podSelector\":{},\"policyTypes\":[\"Ingress\"],"                \
		    "\"ingress\":[{\"from\":[{\"podSelector\":{\"matchLabels\":{"                  \
		    "\"app\":\"" app "\"}}}]}]}}"
#define EP(ip) "{\"addresses\":[\"" ip "\"],\"conditions\":{\"ready\":true},\"nodeName\":\"n1\"}"

static void
on_agent_ready(void *arg)
{
	(void)arg;
	ready++;
}

/* What the kubelet does: the own ranges make pods possible. */
static void
podnet_up(void)
{
	struct podnet_config c = {
		.pod_cidr4 = prefix_of("10.244.1.0/24"), .uplink = "up0", .mtu = 1500};
	struct err e = {0};
	if (podnet_configure(pn, &c, &e) < 0)
		TEST_FAIL_("%s", e.msg);
}

/* on_policies: counts, and keeps the last pod it was called for. */
static int policies_told;
static char policies_pod[40];
static void
on_policies(void *arg, struct str key)
{
	(void)arg;
	policies_told++;
	CHECK(str_copy_c(key, policies_pod, sizeof(policies_pod)));
}

static void
agent_start(bool wait_hostports)
{
	static struct machine_config machine;
	struct ip_addr node = ip_of("10.77.0.11");
	machine.name = STR("n1");
	machine.cluster.pod4 = prefix_of("10.244.0.0/16");
	machine.cluster.service4 = prefix_of("10.96.0.0/16");
	machine.cluster.dns4 = ip_of("10.96.0.10");
	struct nodenet_config c = {.client = &api.c,
		.cfg = &machine,
		.net = pn,
		.node_ips = &node,
		.n_node_ips = 1,
		.wait_hostports = wait_hostports,
		.on_policies = on_policies,
		.on_ready = on_agent_ready};
	struct err e = {0};
	if (nodenet_new(&c, &agent, &e) < 0)
		TEST_FAIL_("%s", e.msg);
}

static void
world_up(void)
{
	_cleanup_nl_batch_ struct nl_batch b;
	_cleanup_nl_sock_ struct nl_sock s = {.fd = -1};
	struct rt_link l = {0};
	struct err e = {0};
	/* the link to the other nodes */
	nl_batch_init(&b);
	rt_veth_add(&b,
		&(struct rt_veth){.name = "up0",
			.peer_name = "up1",
			.mac = {2, 0, 0, 0, 0, 1},
			.peer_mac = {2, 0, 0, 0, 0, 2},
			.peer_netns_fd = -1});
	CHECK_INT(nl_open(&s, NETLINK_ROUTE), 0);
	if (nl_commit(&s, &b, NULL, &e) < 0)
		TEST_FAIL_("%s", e.msg);
	CHECK_INT(rt_link_get(&s, "up0", &l, &e), 0);
	nl_batch_clear(&b);
	rt_link_set(&b, &(struct rt_link_set){.index = l.index, .up = 1});
	rt_link_set(&b, &(struct rt_link_set){.index = l.peer_index, .up = 1});
	rt_addr_add(&b, &(struct rt_addr){.index = l.index, .prefix = prefix_of("10.77.0.11/24")});
	if (nl_commit(&s, &b, NULL, &e) < 0)
		TEST_FAIL_("%s", e.msg);
	ready = 0;
	loop = loop_new(NULL, "test");
	fake_init(&api, loop);
	fake_set(&api, 0, "services", WEB_OF(HTTP "," ADMIN, "2"));
	fake_set(&api, 1, "endpointslices", SLICE_OF(EP("10.244.1.2") "," EP("10.244.1.3"), "3"));
	fake_set(&api, 2, "nodes",
		NODE_OF("n1", "10.77.0.11", "10.244.1.0/24", "4") "," NODE_OF(
			"n2", "10.77.0.12", "10.244.2.0/24", "5"));
	fake_set(&api, 3, "networkpolicies", "");
	fake_set(&api, 4, "namespaces",
		"{\"metadata\":{\"name\":\"shop\",\"resourceVersion\":\"6\"}}");
	fake_set(&api, 5, "pods", POD_OF("peer", "10.244.2.9", "web", "7"));
	if (podnet_open(loop, NULL, NULL, &pn, &e) < 0)
		TEST_FAIL_("%s", e.msg);
	agent_start(false);
	TURNS_UNTIL(
		loop, ready == 1 && api.at[0].watched && api.at[1].watched && api.at[2].watched);
}

static void
world_down(void)
{
	nodenet_free(agent);
	podnet_close(pn);
	loop_free(loop);
}

static struct proxy_stats
stats(void)
{
	struct proxy_stats s;
	proxy_stats_get(agent->proxy, &s);
	return s;
}

struct wanted_route {
	struct ip_prefix dst;
	bool found;
};

static int
look_route(void *arg, const struct rt_route *r)
{
	struct wanted_route *w = arg;
	w->found |= ip_eq(&r->dst.addr, &w->dst.addr) && r->dst.len == w->dst.len;
	return 0;
}

static bool
has_route(const char *dst)
{
	_cleanup_nl_sock_ struct nl_sock s = {.fd = -1};
	struct wanted_route w = {prefix_of(dst), false};
	CHECK_INT(nl_open(&s, NETLINK_ROUTE), 0);
	CHECK_INT(rt_route_list(&s, 0, 0, look_route, &w, NULL), 0);
	return w.found;
}

TEST(what_the_api_has_reaches_the_kernel)
{
	NETNS_ENTER();
	world_up();
	CHECK_INT(stats().services, 2);
	CHECK_INT(stats().endpoints, 2);
	CHECK(!has_route("10.244.2.0/24")); /* podnet knows no uplink yet */
	podnet_up();
	nodenet_podnet_configured(agent);
	CHECK(has_route("10.244.2.0/24"));
	world_down();
}

TEST(changes_of_one_turn_are_one_batch)
{
	NETNS_ENTER();
	world_up();
	uint64_t batches = stats().batches;
	fake_event(&api, "endpointslices", CLIENT_MODIFIED, SLICE_OF(EP("10.244.1.2"), "10"));
	fake_event(&api, "endpointslices", CLIENT_MODIFIED,
		SLICE_OF(EP("10.244.1.2") "," EP("10.244.1.4") "," EP("10.244.1.5"), "11"));
	fake_event(&api, "services", CLIENT_MODIFIED, WEB_OF(HTTP, "12"));
	TURNS_UNTIL(loop, stats().batches > batches);
	CHECK_INT(stats().batches, batches + 1);
	CHECK_INT(stats().services, 1); /* port admin is gone */
	CHECK_INT(stats().endpoints, 3);
	fake_event(&api, "services", CLIENT_DELETED, WEB_OF(HTTP, "13"));
	TURNS_UNTIL(loop, stats().services == 0);
	CHECK_INT(map_len(&agent->told), 0);
	CHECK_INT(stats().errors, 0);
	world_down();
}

TEST(nodes_come_and_go)
{
	NETNS_ENTER();
	world_up();
	podnet_up();
	nodenet_podnet_configured(agent);
	fake_event(&api, "nodes", CLIENT_ADDED, NODE_OF("n3", "10.77.0.13", "10.244.3.0/24", "10"));
	CHECK(has_route("10.244.3.0/24"));
	fake_event(
		&api, "nodes", CLIENT_DELETED, NODE_OF("n2", "10.77.0.12", "10.244.2.0/24", "11"));
	CHECK(!has_route("10.244.2.0/24"));
	world_down();
}

TEST(host_ports_are_replaced_as_a_whole)
{
	struct proxy_hostport h[2] = {
		{IPPROTO_TCP, {0}, 8080, ip_of("10.244.1.9"), {0}, 80},
		{IPPROTO_UDP, {0}, 5353, ip_of("10.244.1.9"), {0}, 53},
	};
	NETNS_ENTER();
	world_up();
	size_t before = stats().frontends;
	CHECK_INT(nodenet_hostports_set(agent, STR("uid-1"), h, 2), 0);
	CHECK_INT(proxy_flush(agent->proxy, NULL), 0);
	size_t both = stats().frontends;
	CHECK(both > before);
	CHECK_INT(nodenet_hostports_set(agent, STR("uid-1"), h, 1), 0);
	CHECK_INT(proxy_flush(agent->proxy, NULL), 0);
	CHECK(stats().frontends < both && stats().frontends > before);
	CHECK_INT(nodenet_hostports_set(agent, STR("uid-1"), NULL, 0), 0);
	CHECK_INT(nodenet_hostports_set(agent, STR("uid-2"), NULL, 0), 0);
	CHECK_INT(proxy_flush(agent->proxy, NULL), 0);
	CHECK_INT(stats().frontends, before);
	CHECK_INT(map_len(&agent->hostports), 0);
	CHECK_INT(nodenet_hostports_set(agent, STR(""), h, 1), -EINVAL);
	world_down();
}

/* elements: of netstack/policy, wanted now. */
static size_t
elements(void)
{
	struct policy_stats s;
	netpol_stats_get(agent->policies, &s);
	return s.elements;
}

TEST(policies_of_the_api_hold_for_pods_the_kubelet_told_of)
{
	struct core_v1_pod pod = {
		.metadata = {.name = STR("here"), .namespace = STR("shop"), .uid = STR("uid-1")}};
	struct ip_addr ip = ip_of("10.244.1.9");
	NETNS_ENTER();
	world_up();
	CHECK_INT(nodenet_pod_set(agent, STR("uid-1"), &pod, &ip, 1), 0);
	TURNS_UNTIL(loop, nodenet_policies_hold(agent, STR("uid-1")));
	CHECK(!api.at[5].watched); /* no policy: nobody watches pods */
	fake_event(&api, "networkpolicies", CLIENT_ADDED, POLICY_OF("web", "20"));
	TURNS_UNTIL(loop, elements() == 3); /* the pod, itself, one permission */
	fake_event(&api, "networkpolicies", CLIENT_MODIFIED, POLICY_OF("db", "21"));
	TURNS_UNTIL(loop, elements() == 2);
	TURNS_UNTIL(loop, api.at[5].watched);
	fake_event(&api, "pods", CLIENT_MODIFIED, POD_OF("peer", "10.244.2.9", "db", "22"));
	TURNS_UNTIL(loop, elements() == 3);
	nodenet_pod_del(agent, STR("uid-1"));
	TURNS_UNTIL(loop, elements() == 0);
	fake_event(&api, "networkpolicies", CLIENT_DELETED, POLICY_OF("db", "23"));
	TURNS_UNTIL(loop, !api.at[5].watched);
	world_down();
}

TEST(a_new_pod_is_isolated_before_its_containers_may_start)
{
	struct core_v1_pod pod = {
		.metadata = {.name = STR("here"), .namespace = STR("shop"), .uid = STR("uid-1")}};
	struct ip_addr ip = ip_of("10.244.1.9"), other = ip_of("10.244.1.10");
	NETNS_ENTER();
	world_up();
	policies_told = 0;
	CHECK(!nodenet_policies_hold(agent, STR("uid-1")));
	CHECK_INT(nodenet_pod_set(agent, STR("uid-1"), &pod, &ip, 1), 0);
	TURNS_UNTIL(loop, nodenet_policies_hold(agent, STR("uid-1")));
	fake_event(&api, "networkpolicies", CLIENT_ADDED, POLICY_OF("web", "20"));
	TURNS_UNTIL(loop, elements() == 3);
	policies_told = 0;
	CHECK_INT(nodenet_pod_set(agent, STR("uid-2"), &pod, &other, 1), 0);
	CHECK(!nodenet_policies_hold(agent, STR("uid-2")));
	CHECK(nodenet_policies_hold(agent, STR("uid-1")));
	TURNS_UNTIL(loop, policies_told == 1);
	CHECK_STR(str_c(policies_pod), "uid-2");
	CHECK(nodenet_policies_hold(agent, STR("uid-2")));
	CHECK_INT(elements(), 5); /* two pods, themselves, one permission */
	nodenet_pod_del(agent, STR("uid-2"));
	CHECK(!nodenet_policies_hold(agent, STR("uid-2")));
	fake_event(&api, "networkpolicies", CLIENT_DELETED, POLICY_OF("web", "21"));
	TURNS_UNTIL(loop, !api.at[5].watched);
	CHECK_INT(nodenet_pod_set(agent, STR("uid-2"), &pod, &other, 1), 0);
	CHECK(nodenet_policies_hold(agent, STR("uid-2"))); /* no policy: nothing to wait for */
	world_down();
}

TEST(a_second_agent_takes_over_once_all_is_known)
{
	NETNS_ENTER();
	world_up();
	nodenet_free(agent);
	ready = 0;
	agent_start(true);
	CHECK(!agent->live);
	TURNS_UNTIL(loop, api.at[0].watched && api.at[1].watched && api.at[2].watched);
	loop_turn(loop, 0);
	CHECK_INT(ready, 0);
	CHECK_INT(stats().syncs, 0); /* the host ports are not known yet */
	nodenet_pods_synced(agent);
	TURNS_UNTIL(loop, ready == 1);
	CHECK_INT(stats().syncs, 1);
	CHECK_INT(stats().services, 2);
	world_down();
}

TEST(credentials_are_for_their_reader_only)
{
	char path[128];
	struct stat st;
	snprintf(path, sizeof(path), "%s/client.pem", TEST_TMP);
	for (int i = 0; i < 2; i++)
		CHECK_INT(credentials_write(path, geteuid(), STR("pem")), 0);
	CHECK_INT(stat(path, &st), 0);
	CHECK_INT(st.st_mode & 0777, 0400);
	CHECK_INT(st.st_size, 3);
}
