/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * nf_tables: golden bytes of objects, elements and expressions, merging of prefixes, and whole
 * transactions against the kernel. */
#include "netstack/netlink/nft.c"

#include "tests/unit/netstack/netns.h"

static const char *
hex_of(struct nl_batch *b)
{
	static char out[8192];

	nl_batch_seal(b);
	for (size_t i = 0; i < b->out.len; i++)
		snprintf(out + 2 * i, 3, "%02x", (uint8_t)b->out.data[i]);
	return out;
}

TEST(elements_in_bytes)
{
	_cleanup_nl_batch_ struct nl_batch b;

	nl_batch_init(&b);
	nft_elems_add_begin(&b, "t", "m");
	nft_elem(&b, "\1\2\3\4", 4, "\5\6\7\10", 4);
	nft_elems_end(&b);
	nft_elems_add_begin(&b, "t", "v");
	nft_elem_verdict(&b, "\1\2\3\4", 4, NFT_GOTO, "c");
	nft_elems_end(&b);
	CHECK_STR(hex_of(&b),
		"44000000"
		"0c0a0104"
		"0100000000000000"
		"01000000"
		"0600010074000000"
		"060002006d000000"
		"20000380"
		"1c000180"
		"0c000180"
		"0800010001020304"
		"0c000280"
		"0800010005060708"
		/* a second list, of a verdict map */
		"50000000"
		"0c0a0504"
		"0200000000000000"
		"01000000"
		"0600010074000000"
		"0600020076000000"
		"2c000380"
		"28000180"
		"0c000180"
		"0800010001020304"
		"18000280"
		"14000280"
		"08000100fffffffc"
		"0600020063000000");
}

TEST(a_rule_in_bytes)
{
	_cleanup_nl_batch_ struct nl_batch b;

	nl_batch_init(&b);
	nft_rule_begin(&b, "t", "c");
	nft_x_payload(&b, NFT_PAYLOAD_NETWORK_HEADER, 16, 4, NFT_R(0));
	nft_x_lookup(&b, "m", NFT_R(0), NFT_R(1), false);
	nft_rule_end(&b);
	CHECK_STR(hex_of(&b),
		"88000000"
		"060a050c"
		"0100000000000000"
		"01000000"
		"0600010074000000"
		"0600020063000000"
		"64000480"
		"34000180"
		"0c0001007061796c6f616400"
		"24000280"
		"0800010000000008"
		"0800020000000001"
		"0800030000000010"
		"0800040000000004"
		"2c000180"
		"0b0001006c6f6f6b75700000"
		"1c000280"
		"060001006d000000"
		"0800020000000008"
		"0800030000000009");
}

TEST(an_empty_list_sends_nothing)
{
	_cleanup_nl_batch_ struct nl_batch b;

	nl_batch_init(&b);
	nft_elems_del_begin(&b, "t", "m");
	nft_elems_end(&b);
	CHECK_INT(b.n, 0);
	CHECK_INT(b.out.len, 0);
}

TEST(a_long_list_is_split)
{
	_cleanup_nl_batch_ struct nl_batch b;
	struct str rest = STR_NONE;
	struct nl_msg m;
	size_t n = 0, elems = 0;

	nl_batch_init(&b);
	nft_elems_add_begin(&b, "t", "m");
	for (uint32_t i = 0; i < 5000; i++)
		nft_elem(&b, &i, 4, &i, 4);
	nft_elems_end(&b);
	CHECK_INT(nl_batch_seal(&b), 0);
	rest = buf_view(&b.out);
	while (nl_msg_next(&rest, &m)) {
		n++;
		count_elems(&elems, &m);
		CHECK(m.payload.n < 65536);
	}
	CHECK(n > 2);
	CHECK_INT(elems, 5000);
}

TEST(prefixes_become_disjoint_ranges)
{
	struct range r[5] = {0};
	static const char *const text[] = {
		"10.0.1.0/24", "10.0.0.0/24", "10.0.0.128/25", "10.4.0.0/16", "255.255.255.0/24"};
	char out[IP_TEXT_MAX];

	for (unsigned i = 0; i < 5; i++) {
		struct ip_prefix p = prefix_of(text[i]);

		r[i] = (struct range){p.addr, ip_prefix_last(&p)};
	}
	CHECK_INT(ranges_merge(r, 5), 3);
	ip_format(&r[0].to, out);
	CHECK_STR(out, "10.0.1.255");
	ip_format(&r[1].from, out);
	CHECK_STR(out, "10.4.0.0");
}

static const struct nft_hook on_output = {
	.hook = NF_INET_LOCAL_OUT, .priority = 0, .type = "filter"};

TEST(the_kernel_takes_a_transaction_or_nothing_of_it)
{
	_cleanup_nl_batch_ struct nl_batch b;
	_cleanup_nl_sock_ struct nl_sock s = {.fd = -1};
	static const struct ip_prefix some[] = {{{4, {10, 0, 0, 0}}, 8}, {{4, {11, 0, 0, 0}}, 8},
		{{4, {255, 0, 0, 0}}, 8}, {{6, {0xfd}}, 8}};
	struct nft_set map = {.table = "t",
		.name = "m",
		.key = {NFT_T_IPV4, NFT_T_PROTO, NFT_T_SERVICE},
		.data = {NFT_T_MARK, NFT_T_MARK}};
	struct nft_set ranges = {.table = "t", .name = "r", .key = {NFT_T_IPV4}, .interval = true};
	struct nft_set both = {
		.table = "t", .name = "cr", .key = {NFT_T_MARK, NFT_T_IPV6}, .interval = true};
	struct nft_set dyn = {.table = "t",
		.name = "d",
		.key = {NFT_T_IPV6, NFT_T_MARK},
		.data = {NFT_T_IPV6, NFT_T_SERVICE},
		.dynamic = true,
		.timeout_s = 60,
		.size = 1000};
	char key[12] = {10, 0, 0, 1, 6, 0, 0, 0, 0, 80, 0, 0}, pair[20] = {1}, pair_to[20] = {1};
	struct err e = {0};
	uint64_t tag = 0;
	size_t n = 0;

	NETNS_ENTER();
	CHECK_INT(nl_open(&s, NETLINK_NETFILTER), 0);
	CHECK_INT(nft_table_tag(&s, "t", &tag, &e), -ENOENT);
	nl_batch_init(&b);
	nft_begin(&b);
	nft_table_add(&b, "t", 77);
	nft_set_add(&b, &map);
	nft_set_add(&b, &ranges);
	nft_set_add(&b, &both);
	nft_set_add(&b, &dyn);
	nft_prefixes_fill(&b, "t", "r", 4, some, ARRAY_LEN(some));
	nft_chain_add(&b, "t", "out", &on_output);
	nft_chain_add(&b, "t", "other", NULL);
	nft_elems_add_begin(&b, "t", "m");
	for (unsigned i = 0; i < 3000; i++) {
		memcpy(key, &i, 4);
		nft_elem(&b, key, sizeof(key), "\1\0\0\0\2\0\0\0", 8);
	}
	nft_elems_end(&b);
	memset(pair_to + 12, 0xff, 8);
	nft_elems_add_begin(&b, "t", "cr");
	nft_elem_concat_range(&b, pair, pair_to, sizeof(pair));
	nft_elems_end(&b);
	nft_end(&b);
	if (nl_commit(&s, &b, NULL, &e) < 0)
		TEST_FAIL_("%s", e.msg);
	CHECK_INT(nft_table_tag(&s, "t", &tag, &e), 0);
	CHECK_INT(tag, 77);
	CHECK_INT(nft_elems_count(&s, "t", "m", &n, &e), 0);
	CHECK_INT(n, 3000);
	CHECK_INT(nft_elems_count(&s, "t", "r", &n, &e), 0);
	CHECK_INT(n, 3); /* 10.0.0.0, the end of 11/8, 255.0.0.0 */

	/* one wrong element: nothing of the batch happens */
	nl_batch_clear(&b);
	nft_begin(&b);
	nft_set_flush(&b, "t", "m");
	nft_elems_del_begin(&b, "t", "r");
	nft_elem(&b, "\1\1\1\1", 4, NULL, 0);
	nft_elems_end(&b);
	nft_end(&b);
	CHECK_INT(nl_commit(&s, &b, NULL, &e), -ENOENT);
	CHECK_INT(nft_elems_count(&s, "t", "m", &n, &e), 0);
	CHECK_INT(n, 3000);

	/* a transaction of nothing */
	nl_batch_clear(&b);
	nft_begin(&b);
	nft_end(&b);
	CHECK_INT(nl_commit(&s, &b, NULL, &e), 0);
}

TEST(a_batch_of_megabytes_is_one_transaction)
{
	_cleanup_nl_batch_ struct nl_batch b;
	_cleanup_nl_sock_ struct nl_sock s = {.fd = -1};
	struct nft_set map = {.table = "t",
		.name = "m",
		.key = {NFT_T_MARK, NFT_T_MARK},
		.data = {NFT_T_IPV4, NFT_T_SERVICE}};
	struct err e = {0};
	size_t n = 0;

	NETNS_ENTER();
	CHECK_INT(nl_open(&s, NETLINK_NETFILTER), 0);
	nl_batch_init(&b);
	nft_begin(&b);
	nft_table_add(&b, "t", 0);
	nft_set_add(&b, &map);
	nft_elems_add_begin(&b, "t", "m");
	for (uint32_t i = 0; i < 100000; i++)
		nft_elem(&b, (uint32_t[2]){i, 1}, 8, (uint32_t[2]){i, 2}, 8);
	nft_elems_end(&b);
	nft_end(&b);
	CHECK(b.out.len > 3500000);
	if (nl_commit(&s, &b, NULL, &e) < 0)
		TEST_FAIL_("%s", e.msg);
	CHECK_INT(nft_elems_count(&s, "t", "m", &n, &e), 0);
	CHECK_INT(n, 100000);
}
