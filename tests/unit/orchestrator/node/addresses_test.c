/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Which addresses are the node's, against the kernel in a network namespace of the test's own. */
#include "orchestrator/node/addresses.c"

#include "tests/unit/netstack/netns.h"

static struct machine_config machine;
static struct node n;
static struct nl_sock route;
static int link_index;
static unsigned told;

static void
on_told(struct loop_work *w)
{
	(void)w;
	told++;
}

static void
commit(struct nl_batch *b)
{
	struct err e = {0};
	if (nl_commit(&route, b, NULL, &e) < 0)
		TEST_FAIL_("%s", e.msg);
	nl_batch_clear(b);
}

static void
address(const char *text, bool add, bool dad)
{
	_cleanup_nl_batch_ struct nl_batch b;
	struct rt_addr a = {.index = link_index, .prefix = prefix_of(text), .dad = dad};
	nl_batch_init(&b);
	(add ? rt_addr_add : rt_addr_del)(&b, &a);
	commit(&b);
}

static void
world_up(void)
{
	_cleanup_nl_batch_ struct nl_batch b;
	struct rt_link l = {0};
	told = 0;
	n = (struct node){.cfg = &machine,
		.registered = true,
		.loop = loop_new(NULL, "test"),
		.status_work = {.fn = on_told}};
	map_init(&n.pods);
	nl_batch_init(&b);
	CHECK_INT(nl_open(&route, NETLINK_ROUTE), 0);
	rt_veth_add(&b,
		&(struct rt_veth){.name = "up0",
			.peer_name = "up1",
			.mac = {2, 0, 0, 0, 0, 1},
			.peer_mac = {2, 0, 0, 0, 0, 2},
			.peer_netns_fd = -1});
	commit(&b);
	CHECK_INT(rt_link_get(&route, "up0", &l, NULL), 0);
	link_index = l.index;
	rt_link_set(&b, &(struct rt_link_set){.index = l.index, .up = 1});
	rt_link_set(&b, &(struct rt_link_set){.index = l.peer_index, .up = 1});
	commit(&b);
}

static void
world_down(void)
{
	addresses_stop(&n);
	map_release(&n.pods);
	loop_free(n.loop);
	nl_close(&route);
}

/* told_again: turns the loop until the node was told of other addresses, at most 10 s. */
static bool
told_again(void)
{
	unsigned before = told;
	int64_t until_ns = clock_mono_ns() + 10 * NS_PER_SEC;
	while (told == before && clock_mono_ns() < until_ns)
		loop_turn(n.loop, 10 * NS_PER_MS);
	return told != before;
}

static const char *
ips_now(void)
{
	static char text[2 * IP_TEXT_MAX + 2];
	char one[IP_TEXT_MAX];
	text[0] = 0;
	for (size_t i = 0; i < n.facts.n_ips; i++) {
		ip_format(&n.facts.ips[i], one);
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
			one);
	}
	return text;
}

TEST(an_ipv6_address_that_comes_late_is_the_nodes_too)
{
	struct err e = {0};
	NETNS_ENTER();
	world_up();
	CHECK_INT(addresses_start(&n, &e), -EADDRNOTAVAIL);
	address("10.77.0.11/24", true, false);
	CHECK_INT(addresses_start(&n, &e), 0);
	CHECK_STR(ips_now(), "10.77.0.11");
	CHECK_STR(n.facts.uplink, "up0");
	/* not before the kernel knows that nobody else has it */
	address("fd77::11/64", true, true);
	CHECK_INT(addresses_read(&n, &route, &e), 0);
	CHECK(told_again());
	CHECK_STR(ips_now(), "10.77.0.11 fd77::11");
	world_down();
}

TEST(addresses_follow_the_kernel_and_a_good_one_is_kept)
{
	struct err e = {0};
	NETNS_ENTER();
	world_up();
	address("fd77::11/64", true, false);
	address("10.77.0.11/24", true, false);
	CHECK_INT(addresses_start(&n, &e), 0);
	CHECK_STR(ips_now(), "10.77.0.11 fd77::11");
	/* others beside it change nothing, though they might have been taken at first */
	address("2001:db8::5/64", true, false);
	address("10.77.0.12/24", true, false);
	CHECK_INT(addresses_read(&n, &route, &e), 0);
	CHECK_STR(ips_now(), "10.77.0.11 fd77::11");
	address("fd77::11/64", false, false);
	CHECK(told_again());
	CHECK_STR(ips_now(), "10.77.0.11 2001:db8::5");
	address("10.77.0.11/24", false, false);
	CHECK(told_again());
	CHECK(!strstr(ips_now(), "10.77.0.11"));
	CHECK(strstr(ips_now(), "2001:db8::5"));
	world_down();
}

TEST(a_link_without_an_address_is_not_the_uplink)
{
	struct err e = {0};
	NETNS_ENTER();
	world_up();
	address("10.77.0.11/24", true, false);
	machine.network.interface = STR("up1");
	CHECK_INT(addresses_start(&n, &e), -EADDRNOTAVAIL);
	machine.network.interface = STR("up0");
	CHECK_INT(addresses_start(&n, &e), 0);
	machine.network.interface = STR("");
	CHECK_STR(n.facts.uplink, "up0");
	world_down();
}

TEST(which_addresses_are_fit_to_be_the_nodes)
{
	static const struct {
		const char *at;
		uint32_t flags;
		unsigned rank;
	} rows[] = {
		{"10.0.0.1/8", 0, 11},
		{"10.0.0.1/8", IFA_F_SECONDARY, 0},
		{"169.254.3.4/16", 0, 0},
		{"fe80::1/64", 0, 0},
		{"2001:db8::1/64", IFA_F_TENTATIVE, 0},
		{"2001:db8::1/64", IFA_F_DADFAILED, 0},
		{"2001:db8::1/64", IFA_F_TEMPORARY, 0},
		{"2001:db8::1/64", 0, 11},
		{"2001:db8::1/64", IFA_F_DEPRECATED, 3},
		{"fd00::1/64", 0, 9},
		{"fd00::7/64", 0, 13}, /* the one it has */
		{"fd00::7/64", IFA_F_DEPRECATED, 5},
	};
	n = (struct node){.facts = {.ips = {ip_of("fd00::7")}, .n_ips = 1}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rt_addr a = {.prefix = prefix_of(rows[i].at), .flags = rows[i].flags};
		CHECK_INT(addr_rank(&n, &a), rows[i].rank);
	}
	struct rt_addr host = {.prefix = prefix_of("10.96.0.10/32"), .scope = RT_SCOPE_HOST};
	CHECK_INT(addr_rank(&n, &host), 0);
}
