/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Who may reach what, from where, with which source: policies, node ports, external addresses, host
 * ports, hairpins, refusals. */
#include "netstack/proxy/service.c"

#include "tests/unit/netstack/proxy/world.h"

TEST(without_endpoints_a_client_is_refused_at_once)
{
	struct proxy *p = NULL;
	struct proxy_service s;
	struct ip_addr unused = ip_of("10.96.3.3");

	NETNS_ENTER();
	world_up(1);
	p = proxy_up();
	sync_now(p);
	s = service_of(IP4, IP6, 0);
	s.node_port = 30080;
	put(p, "ns/web:http", &s);
	CHECK_INT(hit(w.pods[0].ns, NULL, &vip4, 80, NULL), -ECONNREFUSED);
	CHECK_INT(hit(w.pods[0].ns, NULL, &vip6, 80, NULL), -ECONNREFUSED);
	CHECK_INT(hit(w.node, NULL, &vip4, 80, NULL), -ECONNREFUSED);
	CHECK_INT(hit(w.outside, NULL, &node_addrs[0], 30080, NULL), -ECONNREFUSED);
	CHECK_INT(hit(w.outside, NULL, &node_addrs[1], 30080, NULL), -ECONNREFUSED);
	/* addresses and ports of the service range that nobody has */
	CHECK_INT(hit(w.pods[0].ns, NULL, &vip4, 81, NULL), -ECONNREFUSED);
	CHECK_INT(hit(w.pods[0].ns, NULL, &unused, 80, NULL), -ECONNREFUSED);
	/* an endpoint comes */
	s = service_of(IP4, IP6, 1);
	put(p, "ns/web:http", &s);
	CHECK_INT(hit(w.node, NULL, &vip4, 80, NULL), 0);
	proxy_close(p);
	world_down();
}

TEST(the_source_is_kept_inside_and_changed_where_the_answer_would_go_astray)
{
	struct proxy *p = NULL;
	struct proxy_service s;
	struct ip_addr src = {0};

	NETNS_ENTER();
	world_up(2);
	p = proxy_up();
	sync_now(p);
	s = service_of(IP4, IP6, 2);
	s.endpoints += 2; /* only pod 1 */
	s.n_endpoints = 2;
	s.node_port = 30080;
	put(p, "ns/web:http", &s);
	CHECK_INT(hit(w.pods[0].ns, NULL, &vip4, 80, &src), 1);
	CHECK_IP(src, "10.244.1.2");
	CHECK_INT(hit(w.pods[0].ns, NULL, &vip6, 80, &src), 1);
	CHECK_IP(src, "fd00:1::2");
	/* from outside to a cluster address, and to a node port: the node's */
	CHECK_INT(hit(w.outside, NULL, &vip4, 80, &src), 1);
	CHECK_IP(src, "192.168.9.1");
	CHECK_INT(hit(w.outside, NULL, &node_addrs[0], 30080, &src), 1);
	CHECK_IP(src, "192.168.9.1");
	CHECK_INT(hit(w.outside, NULL, &node_addrs[1], 30080, &src), 1);
	CHECK_IP(src, "fd09::1");
	proxy_close(p);
	world_down();
}

TEST(a_pod_reaches_itself_through_its_service)
{
	struct proxy *p = NULL;
	struct proxy_service s;
	struct ip_addr src = {0};

	NETNS_ENTER();
	world_up(1);
	p = proxy_up();
	sync_now(p);
	s = service_of(IP4, IP6, 1);
	s.node_port = 30080;
	put(p, "ns/web:http", &s);
	CHECK_INT(hit(w.pods[0].ns, NULL, &vip4, 80, &src), 0);
	CHECK_IP(src, "192.168.9.1");
	CHECK_INT(hit(w.pods[0].ns, NULL, &vip6, 80, &src), 0);
	CHECK_IP(src, "fd09::1");
	CHECK_INT(hit(w.pods[0].ns, NULL, &node_addrs[0], 30080, NULL), 0);
	proxy_close(p);
	world_down();
}

TEST(external_policy_local_keeps_the_source_and_stays_here)
{
	struct proxy *p = NULL;
	struct proxy_service s;
	struct proxy_endpoint eps[3];
	struct ip_addr src = {0};

	NETNS_ENTER();
	world_up(2);
	p = proxy_up();
	sync_now(p);
	s = service_of(IP4, IP6, 2);
	s.node_port = 30080;
	s.external_local = true;
	put(p, "ns/web:http", &s);
	CHECK(hit(w.outside, NULL, &node_addrs[0], 30080, &src) >= 0);
	CHECK_IP(src, "192.168.9.200");
	CHECK(hit(w.outside, NULL, &node_addrs[1], 30080, &src) >= 0);
	CHECK_IP(src, "fd09::200");
	/* endpoints elsewhere only: dropped from outside, not refused; a pod still gets through */
	memcpy(eps, s.endpoints, 2 * sizeof(eps[0]));
	eps[0].flags &= ~(uint32_t)PROXY_EP_LOCAL;
	eps[1].flags &= ~(uint32_t)PROXY_EP_LOCAL;
	s.endpoints = eps;
	s.n_endpoints = 2;
	put(p, "ns/web:http", &s);
	CHECK_INT(hit(w.outside, NULL, &node_addrs[0], 30080, NULL), -ETIMEDOUT);
	CHECK_INT(hit(w.pods[1].ns, NULL, &node_addrs[0], 30080, &src), 0);
	CHECK_IP(src, "10.244.1.3");
	/* the cluster address does not care */
	CHECK_INT(hit(w.outside, NULL, &vip4, 80, NULL), 0);
	proxy_close(p);
	world_down();
}

TEST(internal_policy_local_uses_endpoints_of_this_node)
{
	struct proxy *p = NULL;
	struct proxy_service s;
	struct proxy_endpoint eps[4];

	NETNS_ENTER();
	world_up(2);
	p = proxy_up();
	sync_now(p);
	s = service_of(IP4, IP6, 2);
	s.internal_local = true;
	memcpy(eps, s.endpoints, sizeof(eps));
	eps[0].flags &= ~(uint32_t)PROXY_EP_LOCAL; /* pod 0 by IPv4 */
	s.endpoints = eps;
	put(p, "ns/web:http", &s);
	for (unsigned i = 0; i < 20; i++)
		CHECK_INT(hit(w.pods[0].ns, NULL, &vip4, 80, NULL), 1);
	eps[2].flags &= ~(uint32_t)PROXY_EP_LOCAL;
	put(p, "ns/web:http", &s);
	CHECK_INT(hit(w.pods[0].ns, NULL, &vip4, 80, NULL), -ETIMEDOUT);
	CHECK(hit(w.pods[0].ns, NULL, &vip6, 80, NULL) >= 0);
	s.internal_local = false;
	put(p, "ns/web:http", &s);
	CHECK(hit(w.node, NULL, &vip4, 80, NULL) >= 0);
	proxy_close(p);
	world_down();
}

TEST(terminating_endpoints_serve_when_there_is_no_other)
{
	struct proxy *p = NULL;
	struct proxy_service s;
	struct proxy_endpoint eps[4];

	NETNS_ENTER();
	world_up(2);
	p = proxy_up();
	sync_now(p);
	s = service_of(IP4, IP6, 2);
	memcpy(eps, s.endpoints, sizeof(eps));
	eps[0].flags = PROXY_EP_LOCAL | PROXY_EP_SERVING | PROXY_EP_TERMINATING;
	s.endpoints = eps;
	put(p, "ns/web:http", &s);
	for (unsigned i = 0; i < 10; i++)
		CHECK_INT(hit(w.node, NULL, &vip4, 80, NULL), 1);
	eps[2].flags = PROXY_EP_LOCAL; /* alive, not ready, not serving */
	put(p, "ns/web:http", &s);
	for (unsigned i = 0; i < 10; i++)
		CHECK_INT(hit(w.node, NULL, &vip4, 80, NULL), 0);
	eps[0].flags = PROXY_EP_LOCAL | PROXY_EP_TERMINATING;
	put(p, "ns/web:http", &s);
	CHECK_INT(hit(w.node, NULL, &vip4, 80, NULL), -ECONNREFUSED);
	proxy_close(p);
	world_down();
}

TEST(hints_keep_far_endpoints_out_until_there_is_no_near_one)
{
	struct proxy *p = NULL;
	struct proxy_service s;
	struct proxy_endpoint eps[4];

	NETNS_ENTER();
	world_up(2);
	p = proxy_up();
	sync_now(p);
	s = service_of(IP4, IP6, 2);
	memcpy(eps, s.endpoints, sizeof(eps));
	eps[0].flags |= PROXY_EP_FAR;
	s.endpoints = eps;
	put(p, "ns/web:http", &s);
	for (unsigned i = 0; i < 10; i++)
		CHECK_INT(hit(w.node, NULL, &vip4, 80, NULL), 1);
	s.n_endpoints = 1;
	put(p, "ns/web:http", &s);
	CHECK_INT(hit(w.node, NULL, &vip4, 80, NULL), 0);
	proxy_close(p);
	world_down();
}

TEST(external_addresses_and_source_ranges)
{
	struct ip_addr ext[2] = {ip_of("192.168.50.1"), ip_of("fd50::1")},
		       lb = ip_of("192.168.60.1");
	struct ip_prefix range = prefix_of("192.168.9.201/32");
	struct ip_addr good = ip_of("192.168.9.201"), bad = ip_of("192.168.9.200");
	struct proxy *p = NULL;
	struct proxy_service s;

	NETNS_ENTER();
	world_up(2);
	p = proxy_up();
	sync_now(p);
	s = service_of(IP4, IP6, 2);
	s.external_ips = ext;
	s.n_external_ips = 2;
	s.lb_ips = &lb;
	s.n_lb_ips = 1;
	put(p, "ns/web:http", &s);
	CHECK(hit(w.outside, NULL, &ext[0], 80, NULL) >= 0);
	CHECK(hit(w.outside, NULL, &ext[1], 80, NULL) >= 0);
	CHECK(hit(w.outside, &bad, &lb, 80, NULL) >= 0);
	s.lb_source_ranges = &range;
	s.n_lb_source_ranges = 1;
	put(p, "ns/web:http", &s);
	CHECK_INT(hit(w.outside, &bad, &lb, 80, NULL), -ETIMEDOUT);
	CHECK(hit(w.outside, &good, &lb, 80, NULL) >= 0);
	CHECK(hit(w.outside, &bad, &ext[0], 80, NULL) >= 0);
	range = prefix_of("192.168.9.0/24");
	put(p, "ns/web:http", &s);
	CHECK(hit(w.outside, &bad, &lb, 80, NULL) >= 0);
	s.n_lb_source_ranges = 0;
	s.n_external_ips = 0;
	put(p, "ns/web:http", &s);
	CHECK(hit(w.outside, &bad, &lb, 80, NULL) >= 0);
	CHECK(hit(w.outside, &bad, &ext[0], 80, NULL) < 0);
	proxy_close(p);
	world_down();
}

TEST(node_ports_follow_the_nodes_addresses)
{
	struct ip_addr second = ip_of("192.168.9.77");
	struct proxy_config c = {
		.inside = pod_ranges,
		.n_inside = 2,
		.node_addrs = &second,
		.n_node_addrs = 1,
	};
	struct nl_batch b;
	struct nl_sock nl = {.fd = -1};
	struct proxy *p = NULL;
	struct proxy_service s;

	NETNS_ENTER();
	world_up(1);
	nl_batch_init(&b);
	CHECK_INT(nl_open(&nl, NETLINK_ROUTE), 0);
	rt_addr_add(&b, &(struct rt_addr){.index = 70, .prefix = prefix_of("192.168.9.77/24")});
	CHECK_INT(nl_commit(&nl, &b, NULL, NULL), 0);
	p = proxy_up();
	sync_now(p);
	s = service_of(IP4, IP6, 1);
	s.node_port = 30080;
	put(p, "ns/web:http", &s);
	CHECK_INT(hit(w.outside, NULL, &second, 30080, NULL), -ECONNREFUSED);
	CHECK_INT(proxy_config_set(p, &c), 0);
	CHECK_INT(proxy_flush(p, NULL), 0);
	CHECK_INT(hit(w.outside, NULL, &second, 30080, NULL), 0);
	CHECK_INT(hit(w.outside, NULL, &node_addrs[0], 30080, NULL), -ECONNREFUSED);
	nl_close(&nl);
	nl_batch_release(&b);
	proxy_close(p);
	world_down();
}

TEST(host_ports_lead_to_their_pod)
{
	struct ip_addr loopback = ip_of("127.0.0.1"), src = {0};
	struct proxy_hostport h = {.proto = IPPROTO_TCP, .host_port = 8888, .pod_port = POD_PORT};
	struct proxy *p = NULL;
	struct err e = {0};

	NETNS_ENTER();
	world_up(2);
	p = proxy_up();
	sync_now(p);
	h.pod4 = w.pods[1].ip[0];
	h.pod6 = w.pods[1].ip[1];
	CHECK_INT(proxy_hostport_set(p, STR("uid-1/8888"), &h), 0);
	/* the same port on one address only, another pod */
	h.pod4 = w.pods[0].ip[0];
	h.pod6 = (struct ip_addr){0};
	h.host_ip = loopback;
	h.host_port = 8889;
	CHECK_INT(proxy_hostport_set(p, STR("uid-0/8889"), &h), 0);
	if (proxy_flush(p, &e) < 0)
		TEST_FAIL_("%s", e.msg);
	CHECK_INT(hit(w.outside, NULL, &node_addrs[0], 8888, &src), 1);
	CHECK_IP(src, "192.168.9.200");
	CHECK_INT(hit(w.outside, NULL, &node_addrs[1], 8888, NULL), 1);
	CHECK_INT(hit(w.node, NULL, &loopback, 8888, NULL), 1);
	CHECK_INT(hit(w.pods[0].ns, NULL, &node_addrs[0], 8888, NULL), 1);
	CHECK_INT(hit(w.pods[1].ns, NULL, &node_addrs[0], 8888, NULL), 1); /* itself */
	CHECK_INT(hit(w.node, NULL, &loopback, 8889, NULL), 0);
	CHECK_INT(hit(w.node, &node_addrs[0], &loopback, 8889, NULL), 0);
	CHECK_INT(hit(w.outside, NULL, &node_addrs[0], 8889, NULL), -ECONNREFUSED);
	/* 0.0.0.0 and :: are the addresses of one family */
	h = (struct proxy_hostport){.proto = IPPROTO_TCP,
		.host_ip = ip_of("::"),
		.host_port = 8890,
		.pod_port = POD_PORT,
		.pod4 = w.pods[0].ip[0],
		.pod6 = w.pods[0].ip[1]};
	CHECK_INT(proxy_hostport_set(p, STR("uid-0/8890"), &h), 0);
	h.host_ip = ip_of("0.0.0.0");
	h.host_port = 8891;
	CHECK_INT(proxy_hostport_set(p, STR("uid-0/8891"), &h), 0);
	CHECK_INT(proxy_flush(p, &e), 0);
	CHECK_INT(hit(w.outside, NULL, &node_addrs[0], 8890, NULL), -ECONNREFUSED);
	CHECK_INT(hit(w.node, NULL, &loopback, 8890, NULL), -ECONNREFUSED);
	CHECK_INT(hit(w.outside, NULL, &node_addrs[1], 8890, NULL), 0);
	CHECK_INT(hit(w.outside, NULL, &node_addrs[0], 8891, NULL), 0);
	CHECK_INT(hit(w.node, NULL, &loopback, 8891, NULL), 0);
	CHECK_INT(hit(w.outside, NULL, &node_addrs[1], 8891, NULL), -ECONNREFUSED);
	proxy_hostport_del(p, STR("uid-1/8888"));
	CHECK_INT(proxy_flush(p, &e), 0);
	CHECK_INT(hit(w.outside, NULL, &node_addrs[0], 8888, NULL), -ECONNREFUSED);
	proxy_close(p);
	world_down();
}

TEST(the_nodes_loopback_is_not_reachable_from_a_pod)
{
	struct ip_addr loopback = ip_of("127.0.0.1");
	struct nl_batch b;
	struct nl_sock nl = {.fd = -1};
	struct proxy *p = NULL;
	int here = -1, fd = -1, listener = -1, on = -1;

	NETNS_ENTER();
	world_up(1);
	p = proxy_up();
	sync_now(p);
	listener = serve_on(4, SOCK_STREAM, 10248);
	CHECK(listener >= 0);
	/* a pod that sends 127.0.0.1 out through its link */
	here = netns_switch(w.pods[0].ns);
	on = open("/proc/sys/net/ipv4/conf/all/route_localnet", O_WRONLY);
	CHECK(write(on, "1", 1) == 1);
	close(on);
	nl_batch_init(&b);
	CHECK_INT(nl_open(&nl, NETLINK_ROUTE), 0);
	rt_route_del(
		&b, &(struct rt_route){.dst = prefix_of("127.0.0.0/8"), .table = RT_TABLE_LOCAL});
	rt_route_del(
		&b, &(struct rt_route){.dst = prefix_of("127.0.0.1/32"), .table = RT_TABLE_LOCAL});
	rt_route_add(&b,
		&(struct rt_route){.dst = prefix_of("127.0.0.0/8"),
			.gateway = ip_of("169.254.1.1"),
			.index = 2,
			.onlink = true});
	CHECK_INT(nl_commit(&nl, &b, NULL, NULL), 0);
	fd = connect_to(&w.pods[0].ip[0], &loopback, 10248, 300);
	netns_back(here);
	CHECK_INT(fd, -ETIMEDOUT);
	close(listener);
	nl_close(&nl);
	nl_batch_release(&b);
	proxy_close(p);
	world_down();
}

TEST(wrong_descriptions_are_refused)
{
	struct proxy_service s = {.proto = 1, .port = 80};
	struct proxy *p = NULL;

	NETNS_ENTER();
	p = proxy_up();
	CHECK_INT(proxy_service_set(p, STR("x"), &s), -EINVAL);
	s.proto = IPPROTO_TCP;
	s.port = 0;
	CHECK_INT(proxy_service_set(p, STR("x"), &s), -EINVAL);
	proxy_service_del(p, STR("x"));
	proxy_close(p);
}
