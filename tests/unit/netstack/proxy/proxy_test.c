/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The service proxy against the kernel: balance, changes, affinity, restarts, stale UDP. Policies are in
 * policy_test.c. */
#include "netstack/proxy/sync.c"

#include "tests/unit/netstack/proxy/world.h"

TEST(a_service_balances_over_its_endpoints)
{
	struct proxy *p = NULL;
	struct proxy_service s;
	unsigned seen[5] = {0}, seen6[5] = {0};

	NETNS_ENTER();
	world_up(5);
	p = proxy_up();
	CHECK(!proxy_found_state(p));
	s = service_of(IP4, IP6, 5);
	CHECK_INT(proxy_service_set(p, STR("ns/web:http"), &s), 0);
	sync_now(p);
	for (unsigned i = 0; i < 200; i++) {
		int pod = hit(w.pods[0].ns, NULL, &vip4, 80, NULL);

		CHECK(pod >= 0);
		seen[pod]++;
		pod = hit(i % 2 ? w.node : w.outside, NULL, &vip6, 80, NULL);
		CHECK(pod >= 0);
		seen6[pod]++;
	}
	for (unsigned i = 0; i < 5; i++)
		CHECK(seen[i] >= 15 && seen6[i] >= 15);
	proxy_close(p);
	world_down();
}

TEST(endpoints_come_and_go_one_batch_each)
{
	struct proxy *p = NULL;
	struct proxy_service s;
	struct proxy_stats st = {0}, st2 = {0};

	NETNS_ENTER();
	world_up(3);
	p = proxy_up();
	sync_now(p);
	for (unsigned n = 1; n <= 3; n++) {
		s = service_of(IP4, IP6, n);
		proxy_stats_get(p, &st);
		put(p, "ns/web:http", &s);
		proxy_stats_get(p, &st2);
		CHECK_INT(st2.batches, st.batches + 1);
		for (unsigned i = 0; i < 20; i++)
			CHECK((unsigned)hit(w.pods[0].ns, NULL, &vip4, 80, NULL) < n);
	}
	/* the same again sends nothing */
	put(p, "ns/web:http", &s);
	proxy_stats_get(p, &st);
	CHECK_INT(st.batches, st2.batches);
	/* the first goes: only the others are hit */
	s.endpoints += 2;
	s.n_endpoints -= 2;
	put(p, "ns/web:http", &s);
	for (unsigned i = 0; i < 20; i++)
		CHECK(hit(w.outside, NULL, &vip6, 80, NULL) > 0);
	/* the service goes: nobody listens there any more */
	proxy_service_del(p, STR("ns/web:http"));
	CHECK_INT(proxy_flush(p, NULL), 0);
	CHECK_INT(hit(w.pods[0].ns, NULL, &vip4, 80, NULL), -ECONNREFUSED);
	proxy_close(p);
	world_down();
}

TEST(more_than_32_endpoints_are_all_reached)
{
	struct proxy *p = NULL;
	struct proxy_service s;
	unsigned seen[40] = {0}, distinct = 0;

	NETNS_ENTER();
	world_up(40);
	p = proxy_up();
	sync_now(p);
	s = service_of(IP4, IP6, 32);
	put(p, "ns/web:http", &s);
	s = service_of(IP4, IP6, 40);
	put(p, "ns/web:http", &s);
	for (unsigned i = 0; i < 600; i++) {
		int pod = hit(w.node, NULL, &vip4, 80, NULL);

		CHECK(pod >= 0);
		seen[pod]++;
	}
	for (unsigned i = 0; i < 40; i++)
		distinct += seen[i] > 0;
	CHECK_INT(distinct, 40);
	s = service_of(IP4, IP6, 3); /* and back to slots of their own */
	put(p, "ns/web:http", &s);
	for (unsigned i = 0; i < 20; i++)
		CHECK((unsigned)hit(w.node, NULL, &vip6, 80, NULL) < 3);
	proxy_close(p);
	world_down();
}

TEST(a_client_returns_to_its_endpoint)
{
	struct ip_addr src[2] = {ip_of("192.168.9.200"), ip_of("192.168.9.201")};
	struct proxy *p = NULL;
	struct proxy_service s;
	int first[2], pod_first = -1;

	NETNS_ENTER();
	world_up(8);
	p = proxy_up();
	sync_now(p);
	s = service_of(IP4, IP6, 8);
	s.affinity_s = 300;
	s.node_port = 30080;
	put(p, "ns/web:http", &s);
	pod_first = hit(w.pods[7].ns, NULL, &vip6, 80, NULL);
	for (unsigned i = 0; i < 2; i++) {
		first[i] = hit(w.outside, &src[i], &vip4, 80, NULL);
		CHECK(first[i] >= 0);
	}
	for (unsigned k = 0; k < 15; k++) {
		CHECK_INT(hit(w.outside, &src[k % 2], &vip4, 80, NULL), first[k % 2]);
		/* by the node port it is the same service */
		CHECK_INT(hit(w.outside, &src[k % 2], &node_addrs[0], 30080, NULL), first[k % 2]);
		CHECK_INT(hit(w.pods[7].ns, NULL, &vip6, 80, NULL), pod_first);
	}
	/* its endpoint goes: another one, and that one stays */
	struct proxy_endpoint rest[16];
	size_t n = 0;
	for (size_t i = 0; i < s.n_endpoints; i++)
		if (i / 2 != (size_t)first[0])
			rest[n++] = s.endpoints[i];
	s.endpoints = rest;
	s.n_endpoints = n;
	put(p, "ns/web:http", &s);
	int second = hit(w.outside, &src[0], &vip4, 80, NULL);
	CHECK(second >= 0 && second != first[0]);
	for (unsigned k = 0; k < 15; k++)
		CHECK_INT(hit(w.outside, &src[0], &vip4, 80, NULL), second);
	if (first[1] != first[0])
		CHECK_INT(hit(w.outside, &src[1], &vip4, 80, NULL), first[1]);
	/* a restart in between does not forget */
	proxy_close(p);
	p = proxy_up();
	CHECK(proxy_found_state(p));
	CHECK_INT(proxy_service_set(p, STR("ns/web:http"), &s), 0);
	sync_now(p);
	for (unsigned k = 0; k < 15; k++)
		CHECK_INT(hit(w.outside, &src[0], &vip4, 80, NULL), second);
	proxy_close(p);
	world_down();
}

TEST(affinity_ends_after_its_time)
{
	struct proxy *p = NULL;
	struct proxy_service s;
	bool moved = false;
	struct nl_sock nl = {.fd = -1};

	NETNS_ENTER();
	world_up(6);
	p = proxy_up();
	sync_now(p);
	s = service_of(IP4, IP6, 6);
	s.affinity_s = 1;
	put(p, "ns/web:http", &s);
	/* each try waits for the entry to end, which the kernel's listing shows */
	CHECK_INT(nl_open(&nl, NETLINK_NETFILTER), 0);
	for (unsigned k = 0; k < 3 && !moved; k++) {
		int before = hit(w.outside, NULL, &vip4, 80, NULL);
		int64_t deadline = clock_mono_ns() + 5 * NS_PER_SEC;
		size_t n = 1;

		CHECK_INT(hit(w.outside, NULL, &vip4, 80, NULL), before);
		while (n > 0 && clock_mono_ns() < deadline)
			CHECK_INT(nft_elems_count(&nl, "keelson-services", "aff4", &n, NULL), 0);
		CHECK_INT(n, 0);
		moved = hit(w.outside, NULL, &vip4, 80, NULL) != before;
	}
	CHECK(moved || true); /* one of six may come again; that the entry ended is the point */
	nl_close(&nl);
	proxy_close(p);
	world_down();
}

TEST(a_restart_takes_over_and_connections_live_on)
{
	struct proxy *p = NULL;
	struct proxy_service s, other;
	int here = -1, fd = -1, in = -1;
	char got[4] = "";

	NETNS_ENTER();
	world_up(2);
	p = proxy_up();
	sync_now(p);
	s = service_of(IP4, IP6, 1);
	put(p, "ns/web:http", &s);
	other = service_of("10.96.0.8", "fdff::8", 1);
	put(p, "ns/old:http", &other);
	here = netns_switch(w.outside);
	fd = connect_to(NULL, &vip4, 80, NETNS_WAIT_MS);
	netns_back(here);
	CHECK(fd >= 0);
	in = accept_one(w.pods[0].tcp[0], NULL, NETNS_WAIT_MS);
	CHECK(in >= 0);
	proxy_close(p); /* killed: the kernel goes on */
	CHECK_INT(hit(w.outside, NULL, &vip4, 80, NULL), 0);
	p = proxy_up();
	CHECK(proxy_found_state(p));
	s = service_of(IP4, IP6, 2);
	s.endpoints += 2;
	s.n_endpoints = 2;
	CHECK_INT(proxy_service_set(p, STR("ns/web:http"), &s), 0);
	CHECK_INT(hit(w.outside, NULL, &vip4, 80, NULL), 0); /* not before sync */
	sync_now(p);
	CHECK_INT(hit(w.outside, NULL, &vip4, 80, NULL), 1);
	struct ip_addr old = ip_of("10.96.0.8");
	CHECK_INT(hit(w.outside, NULL, &old, 80, NULL), -ECONNREFUSED); /* deleted meanwhile */
	CHECK_INT(send(fd, "abc", 3, 0), 3); /* the old connection still leads to the first pod */
	struct pollfd pf = {.fd = in, .events = POLLIN};
	CHECK_INT(poll(&pf, 1, NETNS_WAIT_MS), 1);
	CHECK_INT(recv(in, got, 3, 0), 3);
	CHECK_STR(got, "abc");
	close(fd);
	close(in);
	proxy_close(p);
	world_down();
}

TEST(damage_is_repaired)
{
	struct nl_batch b;
	struct nl_sock nl = {.fd = -1};
	struct proxy *p = NULL;
	struct proxy_service s;
	struct err e = {0};

	NETNS_ENTER();
	world_up(2);
	/* another version's set under one of our names, of another shape */
	nl_batch_init(&b);
	CHECK_INT(nl_open(&nl, NETLINK_NETFILTER), 0);
	nft_begin(&b);
	nft_table_add(&b, "keelson-services", 0);
	nft_set_add(&b,
		&(struct nft_set){.table = "keelson-services", .name = "ep4", .key = {NFT_T_MARK}});
	nft_end(&b);
	CHECK_INT(nl_commit(&nl, &b, NULL, &e), 0);
	p = proxy_up();
	s = service_of(IP4, IP6, 1);
	CHECK_INT(proxy_service_set(p, STR("ns/web:http"), &s), 0);
	sync_now(p);
	CHECK_INT(hit(w.outside, NULL, &vip4, 80, NULL), 0);
	/* somebody empties a map: the next change is refused, then everything is sent anew */
	nl_batch_clear(&b);
	nft_begin(&b);
	nft_set_flush(&b, "keelson-services", "ep4");
	nft_end(&b);
	CHECK_INT(nl_commit(&nl, &b, NULL, &e), 0);
	s = service_of(IP4, IP6, 2);
	s.endpoints += 2;
	s.n_endpoints = 2;
	CHECK_INT(proxy_service_set(p, STR("ns/web:http"), &s), 0);
	CHECK_INT(proxy_flush(p, &e), -ENOENT);
	CHECK_INT(proxy_flush(p, &e), 0);
	CHECK_INT(hit(w.outside, NULL, &vip4, 80, NULL), 1);
	nl_close(&nl);
	nl_batch_release(&b);
	proxy_close(p);
	world_down();
}

/* One datagram from a bound socket: which pod got it, or -1. */
static int
udp_hit(int fd, const struct ip_addr *dst)
{
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_of(dst, 80, &sa);
	struct pollfd pf[PODS_MAX];
	char got[4];

	CHECK_INT(sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, len), 1);
	for (size_t i = 0; i < w.n; i++)
		pf[i] = (struct pollfd){.fd = w.pods[i].udp[dst->family == 6], .events = POLLIN};
	if (poll(pf, w.n, NETNS_WAIT_MS) < 1)
		return -1;
	for (size_t i = 0; i < w.n; i++)
		if (pf[i].revents != 0 && recv(pf[i].fd, got, 1, 0) == 1)
			return (int)i;
	return -1;
}

TEST(udp_clients_leave_an_endpoint_that_is_gone)
{
	struct proxy *p = NULL;
	struct proxy_service s;
	struct proxy_stats st = {0};
	int here = -1, fd = -1;

	NETNS_ENTER();
	world_up(2);
	p = proxy_up();
	sync_now(p);
	s = service_of(IP4, IP6, 1);
	s.proto = IPPROTO_UDP;
	put(p, "ns/dns:udp", &s);
	here = netns_switch(w.outside);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	netns_back(here);
	CHECK_INT(udp_hit(fd, &vip4), 0);
	CHECK_INT(udp_hit(fd, &vip4), 0);
	s = service_of(IP4, IP6, 2);
	s.proto = IPPROTO_UDP;
	put(p, "ns/dns:udp", &s);
	CHECK_INT(udp_hit(fd, &vip4), 0); /* still the connection's endpoint */
	s.endpoints += 2;
	s.n_endpoints = 2;
	put(p, "ns/dns:udp", &s);
	CHECK_INT(udp_hit(fd, &vip4), 1); /* the same socket, at once */
	proxy_stats_get(p, &st);
	CHECK_INT(st.ct_flushed, 1);
	close(fd);
	proxy_close(p);
	world_down();
}

TEST(two_services_with_one_address_the_first_keeps_it)
{
	struct proxy *p = NULL;
	struct proxy_service a, b;
	struct proxy_endpoint second[2];

	NETNS_ENTER();
	world_up(2);
	p = proxy_up();
	sync_now(p);
	b = service_of(IP4, IP6, 2);
	memcpy(second, b.endpoints + 2, sizeof(second));
	a = service_of(IP4, IP6, 1);
	put(p, "ns/a:http", &a);
	b.endpoints = second;
	b.n_endpoints = 2;
	put(p, "ns/b:http", &b);
	CHECK_INT(hit(w.outside, NULL, &vip4, 80, NULL), 0);
	proxy_service_del(p, STR("ns/a:http"));
	CHECK_INT(proxy_flush(p, NULL), 0);
	CHECK_INT(hit(w.outside, NULL, &vip4, 80, NULL), 1);
	put(p, "ns/a:http", &a);
	CHECK_INT(hit(w.outside, NULL, &vip4, 80, NULL), 1);
	proxy_close(p);
	world_down();
}

TEST(on_a_loop_the_changes_of_a_turn_are_one_batch)
{
	struct loop *l = NULL;
	struct proxy *p = NULL;
	struct proxy_service s;
	struct proxy_stats st = {0};
	struct err e = {0};

	NETNS_ENTER();
	world_up(1);
	l = loop_new(NULL, "test");
	CHECK_INT(proxy_open(l, NULL, NULL, NULL, &p, &e), 0);
	sync_now(p);
	for (unsigned i = 0; i < 50; i++) {
		char name[32], ip4[32], ip6[32];

		snprintf(name, sizeof(name), "ns/s%u:http", i);
		snprintf(ip4, sizeof(ip4), "10.96.1.%u", i);
		snprintf(ip6, sizeof(ip6), "fdff::1:%x", i);
		s = service_of(ip4, ip6, 1);
		CHECK_INT(proxy_service_set(p, str_c(name), &s), 0);
	}
	while (loop_turn(l, 0) > 0) {}
	proxy_stats_get(p, &st);
	CHECK_INT(st.batches, 2);
	CHECK_INT(st.services, 50);
	CHECK_INT(st.frontends, 100);
	struct ip_addr one = ip_of("10.96.1.33");
	CHECK_INT(hit(w.outside, NULL, &one, 80, NULL), 0);
	CHECK_INT(proxy_remove(p, &e), 0);
	proxy_close(p);
	loop_free(l);
	world_down();
}
