/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * world.h: a node with pods and an outside client, each a network namespace, for the tests of the service
 * proxy. The test itself runs in the node's namespace. Pod i listens on TCP and UDP 8080, both families. The
 * node is 192.168.9.1 / fd09::1, the client outside .200, pods 10.244.1.<2+i> / fd00:1::<2+i>. */
#ifndef TEST_PROXY_WORLD_H
#define TEST_PROXY_WORLD_H

#include "netstack/podnet/podnet.h"
#include "tests/unit/netstack/netns.h"

enum { PODS_MAX = 40, POD_PORT = 8080 };

static struct world {
	int outside, node;
	struct podnet *pn;
	size_t n;
	struct pod {
		int ns, tcp[2], udp[2];
		struct ip_addr ip[2];
	} pods[PODS_MAX];
} w;

static const struct ip_prefix pod_ranges[] = {{{4, {10, 244}}, 16}, {{6, {0xfd, 0x00, 0, 1}}, 64}};
static const struct ip_prefix service_ranges[] = {{{4, {10, 96}}, 16}, {{6, {0xfd, 0xff}}, 64}};
static struct ip_addr node_addrs[2];

static inline void
world_cable(void)
{
	struct nl_batch b;
	struct nl_sock s = {.fd = -1}, inner = {.fd = -1};
	struct rt_veth v = {.name = "eth0",
		.peer_name = "eth0",
		.index = 70,
		.peer_index = 71,
		.peer_netns_fd = w.outside,
		.mac = {2, 1, 1, 1, 0, 1},
		.peer_mac = {2, 1, 1, 1, 0, 2}};
	int here = -1;

	nl_batch_init(&b);
	if (nl_open(&s, NETLINK_ROUTE) < 0)
		abort();
	rt_veth_add(&b, &v);
	rt_addr_add(&b, &(struct rt_addr){.index = 70, .prefix = prefix_of("192.168.9.1/24")});
	rt_addr_add(&b, &(struct rt_addr){.index = 70, .prefix = prefix_of("fd09::1/64")});
	rt_link_set(&b, &(struct rt_link_set){.index = 70, .up = 1});
	/* so that the node's own processes can send to service addresses */
	rt_route_add(&b,
		&(struct rt_route){
			.dst = {.addr.family = 4}, .gateway = ip_of("192.168.9.200"), .index = 70});
	rt_route_add(&b,
		&(struct rt_route){
			.dst = {.addr.family = 6}, .gateway = ip_of("fd09::200"), .index = 70});
	if (nl_commit(&s, &b, NULL, NULL) < 0)
		abort();
	nl_close(&s);
	here = netns_switch(w.outside);
	nl_batch_clear(&b);
	if (nl_open(&inner, NETLINK_ROUTE) < 0)
		abort();
	rt_addr_add(&b, &(struct rt_addr){.index = 71, .prefix = prefix_of("192.168.9.200/24")});
	rt_addr_add(&b, &(struct rt_addr){.index = 71, .prefix = prefix_of("192.168.9.201/24")});
	rt_addr_add(&b, &(struct rt_addr){.index = 71, .prefix = prefix_of("fd09::200/64")});
	rt_link_set(&b, &(struct rt_link_set){.index = 71, .up = 1});
	rt_route_add(&b,
		&(struct rt_route){
			.dst = {.addr.family = 4}, .gateway = ip_of("192.168.9.1"), .index = 71});
	rt_route_add(&b,
		&(struct rt_route){
			.dst = {.addr.family = 6}, .gateway = ip_of("fd09::1"), .index = 71});
	if (nl_commit(&inner, &b, NULL, NULL) < 0)
		abort();
	nl_close(&inner);
	netns_back(here);
	nl_batch_release(&b);
}

static inline void
world_up(size_t pods)
{
	struct podnet_config c = {
		.pod_cidr4 = prefix_of("10.244.1.0/24"),
		.pod_cidr6 = prefix_of("fd00:1::/64"),
		.cluster_cidrs = pod_ranges,
		.n_cluster_cidrs = 2,
		.uplink = "eth0",
	};
	struct err e = {0};

	memset(&w, 0, sizeof(w));
	node_addrs[0] = ip_of("192.168.9.1");
	node_addrs[1] = ip_of("fd09::1");
	w.outside = netns_new();
	w.node = netns_fd();
	world_cable();
	if (podnet_open(NULL, NULL, NULL, &w.pn, &e) < 0 || podnet_configure(w.pn, &c, &e) < 0)
		TEST_FAIL_("%s", e.msg);
	for (w.n = 0; w.n < pods; w.n++) {
		struct pod *p = &w.pods[w.n];
		struct podnet_pod desc;
		char key[16];
		int here = -1;

		snprintf(key, sizeof(key), "pod-%zu", w.n);
		p->ns = netns_new();
		if (podnet_pod_reserve(w.pn, key, &desc, &e) < 0 ||
			podnet_pod_attach(w.pn, &desc, 0, p->ns, &e) < 0)
			TEST_FAIL_("%s", e.msg);
		p->ip[0] = desc.v4;
		p->ip[1] = desc.v6;
		here = netns_switch(p->ns);
		for (int f = 0; f < 2; f++) {
			p->tcp[f] = serve_on(f == 0 ? 4 : 6, SOCK_STREAM, POD_PORT);
			p->udp[f] = serve_on(f == 0 ? 4 : 6, SOCK_DGRAM, POD_PORT);
		}
		netns_back(here);
	}
}

static inline void
world_down(void)
{
	for (size_t i = 0; i < w.n; i++) {
		for (int f = 0; f < 2; f++) {
			close(w.pods[i].tcp[f]);
			close(w.pods[i].udp[f]);
		}
		close(w.pods[i].ns);
	}
	podnet_close(w.pn);
	close(w.outside);
	close(w.node);
}

/* Who took the connection that is waiting; -1 = nobody. */
static inline int
world_taker(int family, struct ip_addr *ret_source)
{
	struct pollfd p[PODS_MAX];
	int f = family == 6;

	for (size_t i = 0; i < w.n; i++)
		p[i] = (struct pollfd){.fd = w.pods[i].tcp[f], .events = POLLIN};
	if (poll(p, w.n, NETNS_WAIT_MS) < 1)
		return -1;
	for (size_t i = 0; i < w.n; i++)
		if (p[i].revents != 0) {
			close(accept_one(p[i].fd, ret_source, 0));
			return (int)i;
		}
	return -1;
}

/* A connection from a namespace to dst: the pod that got it, or -errno of connect. src may be NULL. */
static inline int
hit(int ns, const struct ip_addr *src, const struct ip_addr *dst, uint16_t port,
	struct ip_addr *ret_source)
{
	int here = netns_switch(ns), fd = connect_to(src, dst, port, 1000), taker = -1;

	netns_back(here);
	if (fd < 0)
		return fd;
	taker = world_taker(dst->family, ret_source);
	close(fd);
	return taker < 0 ? -ENOTCONN : taker;
}

/* A service with the first n pods as local endpoints; arrays are static until the next call. */
static inline struct proxy_service
service_of(const char *ip4, const char *ip6, size_t n)
{
	static struct ip_addr ips[2];
	static struct proxy_endpoint eps[2 * PODS_MAX];
	size_t k = 0;

	ips[0] = ip_of(ip4);
	ips[1] = ip_of(ip6);
	for (size_t i = 0; i < n; i++)
		for (int f = 0; f < 2; f++)
			eps[k++] = (struct proxy_endpoint){w.pods[i].ip[f], POD_PORT,
				PROXY_EP_LOCAL | PROXY_EP_READY | PROXY_EP_SERVING};
	return (struct proxy_service){
		.proto = IPPROTO_TCP,
		.port = 80,
		.cluster_ips = ips,
		.n_cluster_ips = 2,
		.endpoints = eps,
		.n_endpoints = k,
	};
}

#define IP4 "10.96.0.7"
#define IP6 "fdff::7"

static struct ip_addr vip4 = {4, {10, 96, 0, 7}}, vip6 = {6, {0xfd, 0xff, [15] = 7}};

static inline struct proxy *
proxy_up(void)
{
	struct proxy_config c = {
		.inside = pod_ranges,
		.n_inside = 2,
		.service_cidrs = service_ranges,
		.n_service_cidrs = 2,
		.node_addrs = node_addrs,
		.n_node_addrs = 2,
	};
	struct proxy *p = NULL;
	struct err e = {0};

	if (proxy_open(NULL, NULL, NULL, NULL, &p, &e) < 0 || proxy_config_set(p, &c) < 0)
		TEST_FAIL_("%s", e.msg);
	return p;
}

static inline void
put(struct proxy *p, const char *name, const struct proxy_service *s)
{
	struct err e = {0};

	CHECK_INT(proxy_service_set(p, str_c(name), s), 0);
	if (proxy_flush(p, &e) < 0)
		TEST_FAIL_("%s", e.msg);
}

static inline void
sync_now(struct proxy *p)
{
	struct err e = {0};

	if (proxy_sync(p, &e) < 0)
		TEST_FAIL_("%s", e.msg);
}

#define CHECK_IP(a, text)                                                                          \
	do {                                                                                       \
		char test_ip_[IP_TEXT_MAX];                                                        \
		ip_format(&(a), test_ip_);                                                         \
		CHECK_STR(test_ip_, text);                                                         \
	} while (0)

#endif
