/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * rtnetlink: golden bytes of encoders, decoders over cut bytes, and the whole against the kernel in a
 * network namespace of the test's own. */
#include "netstack/netlink/rtnl.c"

#include "base/rand.h"
#include "tests/unit/netstack/netns.h"

static const char *
hex_of(struct nl_batch *b)
{
	static char out[4096];

	nl_batch_seal(b);
	for (size_t i = 0; i < b->out.len; i++)
		snprintf(out + 2 * i, 3, "%02x", (uint8_t)b->out.data[i]);
	return out;
}

static const struct rt_veth veth = {
	.name = "host0",
	.peer_name = "eth0",
	.index = 100,
	.peer_index = 2,
	.mac = {2, 0, 0, 0, 0, 1},
	.peer_mac = {2, 0, 0, 0, 0, 2},
	.mtu = 1400,
	.peer_netns_fd = 9,
};

TEST(a_veth_pair_in_bytes)
{
	_cleanup_nl_batch_ struct nl_batch b;

	nl_batch_init(&b);
	rt_veth_add(&b, &veth);
	CHECK_STR(hex_of(&b),
		"8c000000100005060100000000000000" /* NEWLINK, create exclusive, ack */
		"00000000640000000000000000000000" /* ifinfomsg, index 100 */
		"0a000300686f737430000000"         /* IFNAME */
		"0a000100020000000001"
		"0000"             /* ADDRESS */
		"0800040078050000" /* MTU */
		"4c001200"
		"0800010076657468" /* LINKINFO { KIND veth */
		"40000200"
		"3c000100"                         /*  DATA { PEER { */
		"00000000020000000000000000000000" /*   ifinfomsg, index 2 */
		"09000300657468300000"
		"0000" /*   IFNAME */
		"0a000100020000000002"
		"0000" /*   ADDRESS */
		"0800040078050000"
		"08001c0009000000"); /*   MTU, NET_NS_FD */
}

TEST(routes_and_neighbours_in_bytes)
{
	_cleanup_nl_batch_ struct nl_batch b;
	struct ip_addr gw = ip_of("169.254.1.1");

	nl_batch_init(&b);
	rt_route_add(&b,
		&(struct rt_route){
			.dst = {.addr.family = 4}, .gateway = gw, .index = 2, .onlink = true});
	CHECK_STR(hex_of(&b),
		"34000000180005050100000000000000"
		"02000000fe040001"
		"04000000"
		"08000f00fe000000"
		"08000500a9fe0101"
		"0800040002000000");
	nl_batch_clear(&b);
	rt_neigh_add(&b, 2, &gw, veth.mac);
	CHECK_STR(hex_of(&b),
		"300000001c0005050100000000000000"
		"020000000200000080000001"
		"08000100a9fe0101"
		"0a000200020000000001"
		"0000");
}

/* Every prefix of a message, and messages with bytes changed, give a result within the bytes. */
static void
maul(const struct nl_msg *m)
{
	char copy[512];
	size_t n = m->payload.n < sizeof(copy) ? m->payload.n : sizeof(copy);
	struct nl_msg cut = *m;
	struct rt_link l;
	struct rt_addr a;
	struct rt_route r;

	for (size_t i = 0; i <= n; i++) {
		cut.payload.n = i;
		rt_link_parse(&cut, &l);
		rt_addr_parse(&cut, &a);
		rt_route_parse(&cut, &r);
	}
	for (unsigned round = 0; round < 2000; round++) {
		memcpy(copy, m->payload.p, n);
		for (unsigned i = 0; i < 3; i++)
			copy[rand_below(n)] = (char)rand_u64();
		cut.payload = str_from(copy, n);
		if (rt_link_parse(&cut, &l) == 0)
			CHECK(memchr(l.name, 0, sizeof(l.name)) != NULL);
		if (rt_addr_parse(&cut, &a) == 0)
			CHECK(a.prefix.len <= 8 * ip_size(&a.prefix.addr));
		if (rt_route_parse(&cut, &r) == 0)
			CHECK(r.dst.len <= 8 * ip_size(&r.dst.addr));
	}
}

TEST(decoders_stand_cut_and_changed_messages)
{
	static const uint16_t types[] = {RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_NEWROUTE};
	_cleanup_nl_batch_ struct nl_batch b;
	struct rt_addr a = {.index = 3, .prefix = prefix_of("fd00::7/64"), .valid_s = 60};
	struct rt_route r = {
		.dst = prefix_of("fd00:1::/64"), .gateway = ip_of("fe80::1"), .mtu = 1400};
	struct str rest = STR_NONE;
	struct nl_msg m;

	nl_batch_init(&b);
	rt_veth_add(&b, &veth);
	rt_addr_add(&b, &a);
	rt_route_add(&b, &r);
	CHECK_INT(nl_batch_seal(&b), 0);
	rand_set_seed(11);
	rest = buf_view(&b.out);
	while (nl_msg_next(&rest, &m))
		for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
			m.type = types[i];
			maul(&m);
		}
	/* what was encoded is what is decoded */
	rest = buf_view(&b.out);
	CHECK(nl_msg_next(&rest, &m) && nl_msg_next(&rest, &m));
	CHECK_INT(rt_addr_parse(&m, &a), 0);
	CHECK_INT(a.valid_s, 60);
	CHECK(nl_msg_next(&rest, &m));
	CHECK_INT(rt_route_parse(&m, &r), 0);
	CHECK_INT(r.mtu, 1400);
	CHECK_INT(r.dst.len, 64);
}

static int
note_addr(void *arg, const struct rt_addr *a)
{
	char *out = arg, text[IP_TEXT_MAX];

	ip_prefix_format(&a->prefix, text);
	snprintf(out + strlen(out), 256 - strlen(out), "%s ", text);
	return 0;
}

static int
note_route(void *arg, const struct rt_route *r)
{
	char *out = arg, dst[IP_TEXT_MAX], gw[IP_TEXT_MAX];

	if (r->protocol != 99)
		return 0;
	ip_prefix_format(&r->dst, dst);
	ip_format(&r->gateway, gw);
	snprintf(out + strlen(out), 256 - strlen(out), "%s>%s ", dst, gw);
	return 0;
}

static int
count_link(void *arg, const struct rt_link *l)
{
	size_t *n = arg;

	*n += strcmp(l->kind, "veth") == 0;
	return 0;
}

TEST(the_kernel_takes_links_addresses_and_routes)
{
	_cleanup_nl_batch_ struct nl_batch b;
	_cleanup_nl_sock_ struct nl_sock s = {.fd = -1};
	struct rt_veth v = veth;
	struct rt_link l = {0};
	struct err e = {0};
	char text[256] = "";
	size_t n = 0;
	uint32_t index = 99;

	NETNS_ENTER();
	v.peer_netns_fd = -1;
	nl_batch_init(&b);
	CHECK_INT(nl_open(&s, NETLINK_ROUTE), 0);
	rt_veth_add(&b, &v);
	rt_link_set(&b, &(struct rt_link_set){.index = 2, .no_addr_gen = 1});
	rt_link_set(&b, &(struct rt_link_set){.index = 2, .up = 1, .alias = "pod/x"});
	rt_link_set(&b, &(struct rt_link_set){.index = 100, .up = 1});
	rt_addr_add(&b, &(struct rt_addr){.index = 2, .prefix = prefix_of("10.1.0.5/24")});
	rt_addr_add(&b, &(struct rt_addr){.index = 2, .prefix = prefix_of("fd00:1::5/64")});
	rt_route_add(&b,
		&(struct rt_route){.dst = {.addr.family = 4},
			.gateway = ip_of("10.1.0.1"),
			.index = 2,
			.protocol = 99});
	rt_route_add(&b,
		&(struct rt_route){.dst = {.addr.family = 6},
			.gateway = ip_of("fe80::1"),
			.index = 2,
			.onlink = true,
			.protocol = 99});
	rt_route_add(&b,
		&(struct rt_route){
			.dst = prefix_of("10.9.0.0/16"), .type = RTN_UNREACHABLE, .protocol = 99});
	if (nl_commit(&s, &b, NULL, &e) < 0)
		TEST_FAIL_("%s", e.msg);
	CHECK_INT(rt_link_get(&s, "eth0", &l, &e), 0);
	CHECK_INT(l.index, 2);
	CHECK_INT(l.mtu, 1400);
	CHECK_STR(l.kind, "veth");
	CHECK(memcmp(l.mac, veth.peer_mac, RT_MAC_LEN) == 0);
	CHECK_INT(rt_addr_list(&s, 2, note_addr, text, &e), 0);
	CHECK_STR(text, "10.1.0.5/24 fd00:1::5/64 "); /* and no link-local one */
	text[0] = 0;
	CHECK_INT(rt_route_list(&s, 0, 99, note_route, text, &e), 0);
	CHECK_STR(text, "0.0.0.0/0>10.1.0.1 10.9.0.0/16> ::/0>fe80::1 ");
	CHECK_INT(rt_link_list(&s, count_link, &n, &e), 0);
	CHECK_INT(n, 2);

	/* the first failure is told by its place; the others are carried out */
	nl_batch_clear(&b);
	rt_link_del(&b, 0, "nothere");
	nl_allow_error(&b, -ENODEV);
	rt_veth_add(&b, &v);
	rt_link_set(&b, &(struct rt_link_set){.index = 100, .mtu = 1300});
	CHECK_INT(nl_commit(&s, &b, &index, &e), -EEXIST);
	CHECK_INT(index, 1);
	CHECK_INT(rt_link_get(&s, "host0", &l, &e), 0);
	CHECK_INT(l.mtu, 1300);

	nl_batch_clear(&b);
	rt_link_del(&b, 100, NULL);
	CHECK_INT(nl_commit(&s, &b, NULL, &e), 0);
	CHECK_INT(rt_link_get(&s, "eth0", &l, &e), -ENODEV);
}

struct gone {
	int deleted;
	char name[16];
};

static void
on_msg(void *arg, const struct nl_msg *m)
{
	struct gone *g = arg;
	struct rt_link l = {0};

	if (m->type == RTM_DELLINK && rt_link_parse(m, &l) == 0) {
		g->deleted++;
		memcpy(g->name, l.name, sizeof(g->name));
	}
}

static void
on_lost(void *arg)
{
	(void)arg;
	abort();
}

TEST(a_monitor_tells_of_deleted_links)
{
	static const int groups[] = {RTNLGRP_LINK};
	_cleanup_nl_batch_ struct nl_batch b;
	_cleanup_nl_sock_ struct nl_sock s = {.fd = -1};
	struct gone g = {0};
	struct nl_monitor mon = {.on_msg = on_msg, .on_lost = on_lost, .arg = &g};
	struct rt_veth v = veth;
	struct loop *l = NULL;

	NETNS_ENTER();
	v.peer_netns_fd = -1;
	l = loop_new(NULL, "test");
	nl_batch_init(&b);
	CHECK_INT(nl_open(&s, NETLINK_ROUTE), 0);
	CHECK_INT(nl_monitor_start(&mon, l, NETLINK_ROUTE, groups, 1), 0);
	rt_veth_add(&b, &v);
	rt_link_del(&b, 100, NULL);
	CHECK_INT(nl_commit(&s, &b, NULL, NULL), 0);
	while (g.deleted < 2)
		CHECK(loop_turn(l, 2000000000LL) > 0);
	CHECK(strcmp(g.name, "host0") == 0 || strcmp(g.name, "eth0") == 0);
	nl_monitor_stop(&mon);
	loop_free(l);
}
