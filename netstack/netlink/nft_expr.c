/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Rules of nf_tables and their expressions. A rule is a list of small instructions over 16 registers of 4 bytes; each function here
 * appends one. Contracts in nft.h. Source: linux/netfilter/nf_tables.h. */
#include "netstack/netlink/nft.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

/* The places of the two nests every expression opens. */
struct nests {
	size_t elem, data;
};

void
nft_rule_begin(struct nl_batch *b, const char *table, const char *chain)
{
	struct nfgenmsg g = {.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0};

	nl_msg_begin(b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	nl_put(b, &g, sizeof(g));
	nl_attr_cstr(b, NFTA_RULE_TABLE, table);
	nl_attr_cstr(b, NFTA_RULE_CHAIN, chain);
	b->elems_at = nl_nest_begin(b, NFTA_RULE_EXPRESSIONS | NLA_F_NESTED);
}

void
nft_rule_end(struct nl_batch *b)
{
	nl_nest_end(b, b->elems_at);
	nl_msg_end(b);
	b->elems_at = 0;
}

static struct nests
x_begin(struct nl_batch *b, const char *name)
{
	struct nests n = {0};

	n.elem = nl_nest_begin(b, NFTA_LIST_ELEM | NLA_F_NESTED);
	nl_attr_cstr(b, NFTA_EXPR_NAME, name);
	n.data = nl_nest_begin(b, NFTA_EXPR_DATA | NLA_F_NESTED);
	return n;
}

static void
x_end(struct nl_batch *b, struct nests n)
{
	nl_nest_end(b, n.data);
	nl_nest_end(b, n.elem);
}

static void
x_value(struct nl_batch *b, uint16_t type, const void *p, size_t len)
{
	size_t at = nl_nest_begin(b, type | NLA_F_NESTED);

	nl_attr(b, NFTA_DATA_VALUE, p, len);
	nl_nest_end(b, at);
}

void
nft_x_payload(struct nl_batch *b, uint32_t base, uint32_t offset, uint32_t len, unsigned dreg)
{
	struct nests n = x_begin(b, "payload");

	nl_attr_be32(b, NFTA_PAYLOAD_DREG, dreg);
	nl_attr_be32(b, NFTA_PAYLOAD_BASE, base);
	nl_attr_be32(b, NFTA_PAYLOAD_OFFSET, offset);
	nl_attr_be32(b, NFTA_PAYLOAD_LEN, len);
	x_end(b, n);
}

void
nft_x_meta(struct nl_batch *b, uint32_t key, unsigned dreg)
{
	struct nests n = x_begin(b, "meta");

	nl_attr_be32(b, NFTA_META_DREG, dreg);
	nl_attr_be32(b, NFTA_META_KEY, key);
	x_end(b, n);
}

void
nft_x_meta_set(struct nl_batch *b, uint32_t key, unsigned sreg)
{
	struct nests n = x_begin(b, "meta");

	nl_attr_be32(b, NFTA_META_KEY, key);
	nl_attr_be32(b, NFTA_META_SREG, sreg);
	x_end(b, n);
}

void
nft_x_ct(struct nl_batch *b, uint32_t key, int dir, unsigned dreg)
{
	struct nests n = x_begin(b, "ct");

	nl_attr_be32(b, NFTA_CT_DREG, dreg);
	nl_attr_be32(b, NFTA_CT_KEY, key);
	if (dir >= 0)
		nl_attr_u8(b, NFTA_CT_DIRECTION, (uint8_t)dir);
	x_end(b, n);
}

void
nft_x_cmp(struct nl_batch *b, uint32_t op, unsigned sreg, const void *p, size_t len)
{
	struct nests n = x_begin(b, "cmp");

	nl_attr_be32(b, NFTA_CMP_SREG, sreg);
	nl_attr_be32(b, NFTA_CMP_OP, op);
	x_value(b, NFTA_CMP_DATA, p, len);
	x_end(b, n);
}

void
nft_x_bitwise(struct nl_batch *b, unsigned sreg, unsigned dreg, const void *mask,
	const void *xor_bits, size_t len)
{
	struct nests n = x_begin(b, "bitwise");

	nl_attr_be32(b, NFTA_BITWISE_SREG, sreg);
	nl_attr_be32(b, NFTA_BITWISE_DREG, dreg);
	nl_attr_be32(b, NFTA_BITWISE_LEN, (uint32_t)len);
	x_value(b, NFTA_BITWISE_MASK, mask, len);
	x_value(b, NFTA_BITWISE_XOR, xor_bits, len);
	x_end(b, n);
}

void
nft_x_lookup(struct nl_batch *b, const char *set, unsigned sreg, unsigned dreg, bool invert)
{
	struct nests n = x_begin(b, "lookup");

	nl_attr_cstr(b, NFTA_LOOKUP_SET, set);
	nl_attr_be32(b, NFTA_LOOKUP_SREG, sreg);
	if (dreg != 0)
		nl_attr_be32(b, NFTA_LOOKUP_DREG, dreg);
	if (invert)
		nl_attr_be32(b, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	x_end(b, n);
}

void
nft_x_vmap(struct nl_batch *b, const char *set, unsigned sreg)
{
	struct nests n = x_begin(b, "lookup");

	nl_attr_cstr(b, NFTA_LOOKUP_SET, set);
	nl_attr_be32(b, NFTA_LOOKUP_SREG, sreg);
	nl_attr_be32(b, NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
	x_end(b, n);
}

void
nft_x_dynset(struct nl_batch *b, uint32_t op, const char *set, unsigned sreg_key,
	unsigned sreg_data, uint64_t timeout_ms)
{
	struct nests n = x_begin(b, "dynset");

	nl_attr_cstr(b, NFTA_DYNSET_SET_NAME, set);
	nl_attr_be32(b, NFTA_DYNSET_OP, op);
	nl_attr_be32(b, NFTA_DYNSET_SREG_KEY, sreg_key);
	if (sreg_data != 0)
		nl_attr_be32(b, NFTA_DYNSET_SREG_DATA, sreg_data);
	if (timeout_ms != 0)
		nl_attr_be64(b, NFTA_DYNSET_TIMEOUT, timeout_ms);
	x_end(b, n);
}

void
nft_x_numgen(struct nl_batch *b, unsigned dreg, uint32_t modulus, bool random)
{
	struct nests n = x_begin(b, "numgen");

	nl_attr_be32(b, NFTA_NG_DREG, dreg);
	nl_attr_be32(b, NFTA_NG_MODULUS, modulus);
	nl_attr_be32(b, NFTA_NG_TYPE, random ? NFT_NG_RANDOM : NFT_NG_INCREMENTAL);
	nl_attr_be32(b, NFTA_NG_OFFSET, 0);
	x_end(b, n);
}

void
nft_x_jhash(struct nl_batch *b, unsigned sreg, size_t len, unsigned dreg, uint32_t modulus,
	uint32_t seed)
{
	struct nests n = x_begin(b, "hash");

	nl_attr_be32(b, NFTA_HASH_SREG, sreg);
	nl_attr_be32(b, NFTA_HASH_DREG, dreg);
	nl_attr_be32(b, NFTA_HASH_LEN, (uint32_t)len);
	nl_attr_be32(b, NFTA_HASH_MODULUS, modulus);
	nl_attr_be32(b, NFTA_HASH_SEED, seed);
	nl_attr_be32(b, NFTA_HASH_TYPE, NFT_HASH_JENKINS);
	x_end(b, n);
}

void
nft_x_dnat(struct nl_batch *b, uint32_t family, unsigned reg_addr, unsigned reg_port)
{
	struct nests n = x_begin(b, "nat");

	nl_attr_be32(b, NFTA_NAT_TYPE, NFT_NAT_DNAT);
	nl_attr_be32(b, NFTA_NAT_FAMILY, family);
	nl_attr_be32(b, NFTA_NAT_REG_ADDR_MIN, reg_addr);
	if (reg_port != 0)
		nl_attr_be32(b, NFTA_NAT_REG_PROTO_MIN, reg_port);
	x_end(b, n);
}

void
nft_x_masq(struct nl_batch *b)
{
	struct nests n = x_begin(b, "masq");

	nl_attr_be32(b, NFTA_MASQ_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
	x_end(b, n);
}

static void
fib(struct nl_batch *b, uint32_t result, uint32_t flags, unsigned dreg)
{
	struct nests n = x_begin(b, "fib");

	nl_attr_be32(b, NFTA_FIB_DREG, dreg);
	nl_attr_be32(b, NFTA_FIB_RESULT, result);
	nl_attr_be32(b, NFTA_FIB_FLAGS, flags);
	x_end(b, n);
}

void
nft_x_fib_type(struct nl_batch *b, uint32_t flags, unsigned dreg)
{
	fib(b, NFT_FIB_RESULT_ADDRTYPE, flags, dreg);
}

void
nft_x_fib_oif(struct nl_batch *b, uint32_t flags, unsigned dreg)
{
	fib(b, NFT_FIB_RESULT_OIF, flags, dreg);
}

void
nft_x_reject(struct nl_batch *b)
{
	struct nests n = x_begin(b, "reject");

	nl_attr_be32(b, NFTA_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
	nl_attr_u8(b, NFTA_REJECT_ICMP_CODE, NFT_REJECT_ICMPX_PORT_UNREACH);
	x_end(b, n);
}

void
nft_x_tcp_reset(struct nl_batch *b)
{
	struct nests n = x_begin(b, "reject");

	nl_attr_be32(b, NFTA_REJECT_TYPE, NFT_REJECT_TCP_RST);
	x_end(b, n);
}

void
nft_x_imm(struct nl_batch *b, unsigned dreg, const void *p, size_t len)
{
	struct nests n = x_begin(b, "immediate");

	nl_attr_be32(b, NFTA_IMMEDIATE_DREG, dreg);
	x_value(b, NFTA_IMMEDIATE_DATA, p, len);
	x_end(b, n);
}

void
nft_x_verdict(struct nl_batch *b, int32_t code, const char *chain)
{
	struct nests n = x_begin(b, "immediate");
	size_t data = 0, v = 0;

	nl_attr_be32(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = nl_nest_begin(b, NFTA_IMMEDIATE_DATA | NLA_F_NESTED);
	v = nl_nest_begin(b, NFTA_DATA_VERDICT | NLA_F_NESTED);
	nl_attr_be32(b, NFTA_VERDICT_CODE, (uint32_t)code);
	if (chain != NULL)
		nl_attr_cstr(b, NFTA_VERDICT_CHAIN, chain);
	nl_nest_end(b, v);
	nl_nest_end(b, data);
	x_end(b, n);
}
