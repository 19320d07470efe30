/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The pod network against the kernel: nodes and pods are network namespaces of the test's own. Node
 * addresses are 192.168.9.<n> and fd09::<n>, pod ranges 10.244.<n>.0/24 and fd00:<n>::/64. */
#include "netstack/podnet/podnet.c"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/netstack/netns.h"

static const struct ip_prefix cluster[] = {{{4, {10, 244}}, 16}, {{4, {10, 96}}, 12}};

struct node {
	int ns;
	struct podnet *pn;
	struct podnet_node desc;
};

static struct podnet_config
config_of(const struct node *n)
{
	return (struct podnet_config){
		.pod_cidr4 = n->desc.pod_cidr4,
		.pod_cidr6 = n->desc.pod_cidr6,
		.cluster_cidrs = cluster,
		.n_cluster_cidrs = ARRAY_LEN(cluster),
		.uplink = "eth0",
	};
}

/* A link between two namespaces: eth0 in `ns` gets node addresses .k, its other end stays as `name`. */
static void
cable(int ns, const char *name, unsigned k)
{
	_cleanup_nl_batch_ struct nl_batch b;
	_cleanup_nl_sock_ struct nl_sock s = {.fd = -1};
	struct rt_veth v = {.name = name,
		.peer_name = "eth0",
		.peer_netns_fd = ns,
		.index = 1000 + (int)k,
		.peer_index = 77,
		.mac = {2, 1, 1, 1, 0, (uint8_t)k},
		.peer_mac = {2, 1, 1, 1, 1, (uint8_t)k}};
	struct rt_addr a = {.index = 77};
	char text[64];
	int here = -1;
	struct err e = {0};

	nl_batch_init(&b);
	CHECK_INT(nl_open(&s, NETLINK_ROUTE), 0);
	rt_veth_add(&b, &v);
	if (nl_commit(&s, &b, NULL, &e) < 0)
		TEST_FAIL_("%s", e.msg);
	nl_close(&s);
	here = netns_switch(ns);
	nl_batch_clear(&b);
	CHECK_INT(nl_open(&s, NETLINK_ROUTE), 0);
	snprintf(text, sizeof(text), "192.168.9.%u/24", k);
	a.prefix = prefix_of(text);
	rt_addr_add(&b, &a);
	snprintf(text, sizeof(text), "fd09::%u/64", k);
	a.prefix = prefix_of(text);
	rt_addr_add(&b, &a);
	rt_link_set(&b, &(struct rt_link_set){.index = 77, .up = 1});
	if (nl_commit(&s, &b, NULL, &e) < 0)
		TEST_FAIL_("%s", e.msg);
	netns_back(here);
}

/* A switch in the current namespace joining the named links. */
static void
bridge(const char *const *ports, size_t n)
{
	_cleanup_nl_batch_ struct nl_batch b;
	_cleanup_nl_sock_ struct nl_sock s = {.fd = -1};
	struct rt_link l = {0};
	struct ifinfomsg ifi = {0};
	struct err e = {0};
	size_t info = 0;

	CHECK_INT(nl_open(&s, NETLINK_ROUTE), 0);
	nl_batch_init(&b);
	nl_msg_begin(&b, RTM_NEWLINK, NLM_F_CREATE);
	nl_put(&b, &ifi, sizeof(ifi));
	nl_attr_cstr(&b, IFLA_IFNAME, "br");
	info = nl_nest_begin(&b, IFLA_LINKINFO);
	nl_attr(&b, IFLA_INFO_KIND, "bridge", 6);
	nl_nest_end(&b, info);
	nl_msg_end(&b);
	if (nl_commit(&s, &b, NULL, &e) == -EOPNOTSUPP)
		SKIP("this kernel has no bridges");
	CHECK_INT(e.code, 0);
	CHECK_INT(rt_link_get(&s, "br", &l, &e), 0);
	nl_batch_clear(&b);
	rt_link_set(&b, &(struct rt_link_set){.index = l.index, .up = 1});
	for (size_t i = 0; i < n; i++) {
		nl_msg_begin(&b, RTM_NEWLINK, 0);
		ifi = (struct ifinfomsg){.ifi_change = 1 /* IFF_UP */, .ifi_flags = 1};
		nl_put(&b, &ifi, sizeof(ifi));
		nl_attr_cstr(&b, IFLA_IFNAME, ports[i]);
		nl_attr_u32(&b, IFLA_MASTER, (uint32_t)l.index);
		nl_msg_end(&b);
	}
	if (nl_commit(&s, &b, NULL, &e) < 0)
		TEST_FAIL_("%s", e.msg);
}

static void
node_up(struct node *n, unsigned k, const char *port)
{
	struct podnet_config c;
	struct err e = {0};
	char text[64];
	int here = -1;

	n->ns = netns_new();
	CHECK(n->ns >= 0);
	cable(n->ns, port, k);
	snprintf(text, sizeof(text), "192.168.9.%u", k);
	n->desc.addr4 = ip_of(text);
	snprintf(text, sizeof(text), "fd09::%u", k);
	n->desc.addr6 = ip_of(text);
	snprintf(text, sizeof(text), "10.244.%u.0/24", k);
	n->desc.pod_cidr4 = prefix_of(text);
	snprintf(text, sizeof(text), "fd00:%u::/64", k);
	n->desc.pod_cidr6 = prefix_of(text);
	here = netns_switch(n->ns);
	CHECK_INT(podnet_open(NULL, NULL, NULL, &n->pn, &e), 0);
	c = config_of(n);
	if (podnet_configure(n->pn, &c, &e) < 0)
		TEST_FAIL_("%s", e.msg);
	netns_back(here);
}

/* A pod on the node: the namespace it got. */
static int
pod_up(struct node *n, const char *key, struct podnet_pod *pod)
{
	struct err e = {0};
	int here = netns_switch(n->ns), ns = netns_new();

	CHECK(ns >= 0);
	if (podnet_pod_reserve(n->pn, key, pod, &e) < 0 ||
		podnet_pod_attach(n->pn, pod, 0, ns, &e) < 0)
		TEST_FAIL_("%s", e.msg);
	netns_back(here);
	return ns;
}

/* A TCP connection from one namespace to another; gives the source the server sees. */
static bool
reaches(int from, int to, const struct ip_addr *dst, struct ip_addr *ret_source)
{
	struct ip_addr src = {0};
	int here = netns_switch(to), listener = serve_on(dst->family, SOCK_STREAM, 8080), fd = -1,
	    in = -1;

	netns_back(netns_switch(here));
	CHECK(listener >= 0);
	setns(from, CLONE_NEWNET);
	fd = connect_to(NULL, dst, 8080, NETNS_WAIT_MS);
	netns_back(here);
	if (fd >= 0)
		in = accept_one(listener, &src, NETNS_WAIT_MS);
	close(listener);
	if (fd >= 0)
		close(fd);
	if (in < 0)
		return false;
	close(in);
	if (ret_source != NULL)
		*ret_source = src;
	return true;
}

#define CHECK_IP(a, text)                                                                          \
	do {                                                                                       \
		char test_ip_[IP_TEXT_MAX];                                                        \
		ip_format(&(a), test_ip_);                                                         \
		CHECK_STR(test_ip_, text);                                                         \
	} while (0)

TEST(pods_of_one_node_reach_each_other)
{
	struct node n = {.ns = -1};
	struct podnet_pod a = {0}, b = {0};
	struct ip_addr src = {0};
	int pa = -1, pb = -1;

	NETNS_ENTER();
	node_up(&n, 1, "port1");
	pa = pod_up(&n, "uid-a", &a);
	pb = pod_up(&n, "uid-b", &b);
	CHECK_IP(a.v4, "10.244.1.2");
	CHECK_IP(b.v4, "10.244.1.3");
	CHECK_IP(b.v6, "fd00:1::3");
	CHECK(reaches(pa, pb, &b.v4, &src));
	CHECK_IP(src, "10.244.1.2");
	CHECK(reaches(pb, pa, &a.v6, &src));
	CHECK_IP(src, "fd00:1::3");
	/* the node to a pod, a pod to its node */
	CHECK(reaches(n.ns, pa, &a.v4, &src));
	CHECK_IP(src, "192.168.9.1");
	CHECK(reaches(n.ns, pa, &a.v6, NULL));
	CHECK(reaches(pa, n.ns, &n.desc.addr4, &src));
	CHECK_IP(src, "10.244.1.2");
	CHECK(reaches(pa, n.ns, &n.desc.addr6, NULL));
	podnet_close(n.pn);
}

TEST(an_address_without_a_pod_is_unreachable_at_once)
{
	struct node n = {.ns = -1};
	struct podnet_pod a = {0};
	struct ip_addr nobody = ip_of("10.244.1.99");
	int pa = -1, here = -1;

	NETNS_ENTER();
	node_up(&n, 1, "port1");
	pa = pod_up(&n, "uid-a", &a);
	here = netns_switch(pa);
	CHECK_INT(connect_to(NULL, &nobody, 80, NETNS_WAIT_MS), -EHOSTUNREACH);
	netns_back(here);
	podnet_close(n.pn);
}

TEST(pods_of_two_nodes_reach_each_other_and_the_outside)
{
	static const char *const ports[] = {"port1", "port2", "port3"};
	struct node n1 = {.ns = -1}, n2 = {.ns = -1};
	struct podnet_pod a = {0}, b = {0};
	struct ip_addr src = {0}, outside4 = ip_of("192.168.9.200"), outside6 = ip_of("fd09::200");
	struct err e = {0};
	int pa = -1, pb = -1, here = -1, outside = -1;

	NETNS_ENTER();
	node_up(&n1, 1, "port1");
	node_up(&n2, 2, "port2");
	outside = netns_new();
	cable(outside, "port3", 200);
	bridge(ports, 3);
	here = netns_switch(n1.ns);
	CHECK_INT(podnet_node_set(n1.pn, "two", &n2.desc, &e), 0);
	netns_back(here);
	here = netns_switch(n2.ns);
	CHECK_INT(podnet_node_set(n2.pn, "one", &n1.desc, &e), 0);
	netns_back(here);
	pa = pod_up(&n1, "uid-a", &a);
	pb = pod_up(&n2, "uid-b", &b);
	CHECK(reaches(pa, pb, &b.v4, &src));
	CHECK_IP(src, "10.244.1.2"); /* no translation between pods */
	CHECK(reaches(pb, pa, &a.v6, &src));
	CHECK_IP(src, "fd00:2::2");
	CHECK(reaches(pa, n2.ns, &n2.desc.addr4, &src));
	CHECK_IP(src, "10.244.1.2"); /* nor towards nodes */
	CHECK(reaches(pa, outside, &outside4, &src));
	CHECK_IP(src, "192.168.9.1"); /* what leaves the cluster is the node's */
	CHECK(reaches(pa, outside, &outside6, &src));
	CHECK_IP(src, "fd09::1");

	/* a node that goes takes its routes along; stale ones are found later */
	here = netns_switch(n1.ns);
	CHECK_INT(podnet_node_del(n1.pn, "two", &e), 0);
	netns_back(here);
	here = netns_switch(n2.ns);
	podnet_close(n2.pn);
	CHECK_INT(podnet_open(NULL, NULL, NULL, &n2.pn, &e), 0);
	struct podnet_config c = config_of(&n2);
	CHECK_INT(podnet_configure(n2.pn, &c, &e), 0);
	struct node n3 = n1;
	n3.desc.pod_cidr4 = prefix_of("10.244.77.0/24");
	CHECK_INT(podnet_node_set(n2.pn, "three", &n3.desc, &e), 0);
	CHECK_INT(podnet_nodes_synced(n2.pn, &e), 0);
	_cleanup_buf_ struct buf gone = BUF_INIT;
	struct nl_sock s = {.fd = -1};
	CHECK_INT(nl_open(&s, NETLINK_ROUTE), 0);
	CHECK_INT(connect_to(NULL, &a.v4, 80, 200), -ENETUNREACH); /* the stale route is gone */
	nl_close(&s);
	netns_back(here);
	podnet_close(n1.pn);
	podnet_close(n2.pn);
}

TEST(a_later_process_finds_pods_and_addresses)
{
	struct node n = {.ns = -1};
	struct podnet_pod a = {0}, b = {0}, again = {0};
	struct podnet_config c;
	struct err e = {0};
	int pa = -1, pb = -1, here = -1;

	NETNS_ENTER();
	node_up(&n, 1, "port1");
	pa = pod_up(&n, "uid-a", &a);
	pb = pod_up(&n, "uid-b", &b);
	here = netns_switch(n.ns);
	podnet_close(n.pn);
	CHECK_INT(podnet_open(NULL, NULL, NULL, &n.pn, &e), 0);
	CHECK_INT(podnet_pod_get(n.pn, "uid-b", &again), 0);
	CHECK_INT(again.number, b.number);
	CHECK(ip_eq(&again.v4, &b.v4));
	CHECK(ip_eq(&again.v6, &b.v6));
	CHECK_INT(podnet_pod_get(n.pn, "uid-c", &again), -ENOENT);
	CHECK_INT(podnet_pod_reserve(n.pn, "uid-c", &again, &e), -EAGAIN); /* no range yet */
	c = config_of(&n);
	CHECK_INT(podnet_configure(n.pn, &c, &e), 0);
	CHECK_INT(podnet_pod_reserve(n.pn, "uid-c", &again, &e), 0);
	CHECK_INT(again.number, 4);
	CHECK_INT(podnet_pod_reserve(n.pn, "uid-a", &again, &e), 0);
	CHECK_INT(again.number, a.number);
	CHECK_INT(podnet_pod_attach(n.pn, &a, 0, pa, &e), -EEXIST);
	netns_back(here);
	CHECK(reaches(pa, pb, &b.v4, NULL)); /* and the failed attach undid nothing */
	podnet_close(n.pn);
}

TEST(a_released_number_rests_before_it_is_used_again)
{
	struct node n = {.ns = -1};
	struct podnet_pod a = {0}, b = {0};
	struct rt_link l = {0};
	struct nl_sock s = {.fd = -1};
	struct err e = {0};
	int here = -1;

	NETNS_ENTER();
	node_up(&n, 1, "port1");
	pod_up(&n, "uid-a", &a);
	here = netns_switch(n.ns);
	CHECK_INT(podnet_pod_release(n.pn, "uid-a", &e), 0);
	CHECK_INT(podnet_pod_release(n.pn, "uid-a", &e), 0);
	CHECK_INT(nl_open(&s, NETLINK_ROUTE), 0);
	CHECK_INT(rt_link_get(&s, a.ifname, &l, &e), -ENODEV);
	nl_close(&s);
	CHECK_INT(podnet_pod_reserve(n.pn, "uid-b", &b, &e), 0);
	CHECK_INT(b.number, 3);
	CHECK_INT(podnet_pod_release(n.pn, "uid-b", &e), 0);
	/* all of a /24: 2 .. 254 */
	for (unsigned i = 0; i < 253; i++) {
		char key[32];

		snprintf(key, sizeof(key), "uid-%u", i);
		CHECK_INT(podnet_pod_reserve(n.pn, key, &b, &e), 0);
		CHECK(b.number >= 2 && b.number <= 254);
	}
	CHECK_INT(podnet_pod_reserve(n.pn, "one-more", &b, &e), -ENOSPC);
	CHECK_INT(podnet_pod_release(n.pn, "uid-100", &e), 0);
	CHECK_INT(podnet_pod_reserve(n.pn, "one-more", &b, &e), 0);
	netns_back(here);
	podnet_close(n.pn);
}

static void
on_gone(void *arg, const char *key)
{
	str_copy_c(str_c(key), arg, PODNET_KEY_MAX);
}

TEST(a_pod_whose_namespace_dies_is_told)
{
	struct node n = {.ns = -1};
	struct podnet_pod a = {0}, b = {0};
	struct err e = {0};
	struct loop *l = NULL;
	char key[PODNET_KEY_MAX] = "";
	struct podnet_config c;
	int here = -1;

	NETNS_ENTER();
	node_up(&n, 1, "port1");
	l = loop_new(NULL, "test");
	here = netns_switch(n.ns);
	podnet_close(n.pn);
	CHECK_INT(podnet_open(l, on_gone, key, &n.pn, &e), 0);
	c = config_of(&n);
	CHECK_INT(podnet_configure(n.pn, &c, &e), 0);
	netns_back(here);
	close(pod_up(&n, "uid-a", &a)); /* the last holder of the namespace */
	while (key[0] == '\0')
		CHECK(loop_turn(l, 5000000000LL) > 0);
	CHECK_STR(key, "uid-a");
	/* held until released */
	CHECK_INT(podnet_pod_get(n.pn, "uid-a", &b), 0);
	here = netns_switch(n.ns);
	CHECK_INT(podnet_pod_release(n.pn, "uid-a", &e), 0);
	netns_back(here);
	podnet_close(n.pn);
	loop_free(l);
}

TEST(a_pod_cannot_send_from_a_foreign_address)
{
	struct node n = {.ns = -1};
	struct podnet_pod a = {0}, b = {0};
	struct nl_sock s = {.fd = -1};
	struct nl_batch m;
	struct ip_addr fake4 = ip_of("10.244.1.77"), fake6 = ip_of("fd00:1::77");
	int pa = -1, pb = -1, here = -1, l4 = -1, l6 = -1;

	NETNS_ENTER();
	node_up(&n, 1, "port1");
	pa = pod_up(&n, "uid-a", &a);
	pb = pod_up(&n, "uid-b", &b);
	here = netns_switch(pb);
	l4 = serve_on(4, SOCK_DGRAM, 53);
	l6 = serve_on(6, SOCK_DGRAM, 53);
	setns(pa, CLONE_NEWNET);
	nl_batch_init(&m);
	CHECK_INT(nl_open(&s, NETLINK_ROUTE), 0);
	rt_addr_add(&m, &(struct rt_addr){.index = 2, .prefix = ip_host_prefix(&fake4)});
	rt_addr_add(&m, &(struct rt_addr){.index = 2, .prefix = ip_host_prefix(&fake6)});
	CHECK_INT(nl_commit(&s, &m, NULL, NULL), 0);
	for (unsigned i = 0; i < 2; i++)
		for (unsigned honest = 0; honest < 2; honest++) {
			struct ip_addr src = i == 0 ? (honest ? a.v4 : fake4)
				: honest            ? a.v6
						    : fake6;
			struct sockaddr_storage sa;
			int fd = socket(i == 0 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
			socklen_t len = sockaddr_of(&src, 0, &sa);

			CHECK_INT(bind(fd, (struct sockaddr *)&sa, len), 0);
			len = sockaddr_of(i == 0 ? &b.v4 : &b.v6, 53, &sa);
			CHECK_INT(sendto(fd, honest ? "honest" : "forged", 6, 0,
					  (struct sockaddr *)&sa, len),
				6);
			close(fd);
		}
	/* the forged one was sent first; what arrives first is the honest one */
	for (unsigned i = 0; i < 2; i++) {
		struct pollfd p = {.fd = i == 0 ? l4 : l6, .events = POLLIN};
		char got[8] = "";

		CHECK_INT(poll(&p, 1, NETNS_WAIT_MS), 1);
		CHECK_INT(recv(p.fd, got, 7, 0), 6);
		CHECK_STR(got, "honest");
	}
	nl_batch_release(&m);
	nl_close(&s);
	netns_back(here);
	podnet_close(n.pn);
}

TEST(the_first_packets_after_attach_arrive)
{
	struct node n = {.ns = -1};
	struct podnet_pod a = {0};
	char key[16];

	NETNS_ENTER();
	node_up(&n, 1, "port1");
	for (unsigned i = 0; i < 100; i++) {
		int pa = -1, here = -1, out = -1;
		struct sockaddr_storage sa;
		struct pollfd p = {.events = POLLIN};
		bool v4 = i % 2 == 0;
		socklen_t len = 0;

		snprintf(key, sizeof(key), "uid-%u", i);
		pa = pod_up(&n, key, &a);
		here = netns_switch(pa);
		p.fd = serve_on(v4 ? 4 : 6, SOCK_DGRAM, 53);
		netns_back(here);
		here = netns_switch(n.ns);
		out = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
		len = sockaddr_of(v4 ? &a.v4 : &a.v6, 53, &sa);
		CHECK_INT(sendto(out, "x", 1, 0, (struct sockaddr *)&sa, len), 1);
		netns_back(here);
		if (poll(&p, 1, 500) != 1)
			TEST_FAIL_("packet %u was lost", i);
		close(out);
		close(p.fd);
		close(pa);
	}
	podnet_close(n.pn);
}

TEST(counters_are_the_pods_view)
{
	struct node n = {.ns = -1};
	struct podnet_pod a = {0};
	struct rt_link l = {0};
	struct err e = {0};
	int pa = -1, here = -1;

	NETNS_ENTER();
	node_up(&n, 1, "port1");
	pa = pod_up(&n, "uid-a", &a);
	CHECK(reaches(n.ns, pa, &a.v4, NULL));
	here = netns_switch(n.ns);
	CHECK_INT(podnet_pod_counters(n.pn, "uid-a", &l, &e), 0);
	CHECK(l.rx_packets >= 2 && l.tx_packets >= 1);
	CHECK_INT(podnet_pod_counters(n.pn, "uid-x", &l, &e), -ENOENT);
	netns_back(here);
	podnet_close(n.pn);
}

TEST(wrong_ranges_are_refused)
{
	struct podnet *pn = NULL;
	struct podnet_config c = {.pod_cidr4 = prefix_of("10.0.0.0/31")};
	struct podnet_pod pod;
	struct err e = {0};
	char key[PODNET_KEY_MAX + 1];

	NETNS_ENTER();
	CHECK_INT(podnet_open(NULL, NULL, NULL, &pn, &e), 0);
	CHECK_INT(podnet_configure(pn, &c, &e), -EINVAL);
	c = (struct podnet_config){.pod_cidr4 = prefix_of("fd00::/64")};
	CHECK_INT(podnet_configure(pn, &c, &e), -EINVAL);
	c = (struct podnet_config){.pod_cidr4 = prefix_of("10.0.0.0/24"), .uplink = "none0"};
	CHECK_INT(podnet_configure(pn, &c, &e), -ENODEV);
	memset(key, 'k', sizeof(key));
	key[PODNET_KEY_MAX] = 0;
	CHECK_INT(podnet_pod_reserve(pn, key, &pod, &e), -EINVAL);
	podnet_close(pn);
}

static const struct {
	const char *name;
	uint32_t number;
} names[] = {{"kp2", 2}, {"kp4095", 4095}, {"kp1", 0}, {"kp4096", 0}, {"kp", 0}, {"kp02", 0},
	{"kpx", 0}, {"eth0", 0}, {"kp2x", 0}};

TEST(link_names_tell_the_number)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		CHECK_INT(podnet_number(names[i].name), names[i].number);
}

TEST(sysctls_are_written_and_missing_ones_skipped)
{
	struct err e = {0};
	char path[256], got[4] = "";
	int fd = -1;

	snprintf(path, sizeof(path), "%s/net", TEST_TMP);
	CHECK_INT(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/net/ipv4", TEST_TMP);
	CHECK_INT(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/net/ipv4/ip_forward", TEST_TMP);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	CHECK_INT(podnet_sysctls(TEST_TMP, "eth0", &e), 0);
	CHECK_INT(read(fd, got, 3), 1);
	CHECK_STR(got, "1");
	close(fd);
}

static int
note_deprecated(void *arg, const struct rt_addr *a)
{
	unsigned *n = arg;

	n[a->prefix.addr.family == 6] += a->deprecated ? 10 : 1;
	return 0;
}

TEST(a_service_address_is_nobodys_source)
{
	struct ip_addr a[] = {ip_of("10.96.0.10"), ip_of("fd00:ffff::a")};
	struct nl_sock s = {.fd = -1};
	struct rt_link l = {0};
	struct err e = {0};
	unsigned n[2] = {0};
	int code = 0;

	NETNS_ENTER();
	code = podnet_service_address("dns0", a, 2, &e);
	if (code == -EOPNOTSUPP)
		SKIP("this kernel has no dummy links");
	CHECK_INT(code, 0);
	CHECK_INT(nl_open(&s, NETLINK_ROUTE), 0);
	CHECK_INT(rt_link_get(&s, "dns0", &l, &e), 0);
	CHECK_INT(rt_addr_list(&s, l.index, note_deprecated, n, &e), 0);
	nl_close(&s);
	CHECK_INT(n[0], 1); /* host scope does it */
	CHECK(n[1] >= 10);  /* the link may have one of its own besides */
}

TEST(service_addresses_are_exactly_those_asked_for)
{
	struct ip_addr a[] = {ip_of("10.96.0.10"), ip_of("fd00:ffff::a")};
	struct nl_sock s = {.fd = -1};
	struct err e = {0};
	struct rt_link l = {0};
	int code = 0, fd = -1;

	NETNS_ENTER();
	code = podnet_service_address("dns0", a, 2, &e);
	if (code == -EOPNOTSUPP)
		SKIP("this kernel has no dummy links");
	CHECK_INT(code, 0);
	fd = serve_on(4, SOCK_STREAM, 53);
	CHECK(connect_to(NULL, &a[0], 53, NETNS_WAIT_MS) >= 0);
	CHECK_INT(podnet_service_address("dns0", a + 1, 1, &e), 0);
	CHECK(connect_to(NULL, &a[0], 53, 100) < 0);
	CHECK_INT(nl_open(&s, NETLINK_ROUTE), 0);
	CHECK_INT(rt_link_get(&s, "dns0", &l, &e), 0);
	nl_close(&s);
	close(fd);
}
