/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The fixed part: sets, chains and rules, the same whatever policies there are; and elements as messages.
 *
 *   forward   established or related -> accept; a pod to itself -> accept;
 *             from a pod isolated outwards -> out4; to a pod isolated inwards -> in4
 *   in4       (group of the destination . source . protocol . port) permitted -> return;
 *             the same with port 0, for what has no ports or too few bytes to tell -> return; drop
 *
 * A rule whose payload cannot be read does not match: hence what is permitted returns, and all else drops.
 * Registers: 0 .. 3 an address to look for; 4 number, 5 .. peer, then protocol and port, side by side.
 * Source: linux/netfilter/nf_tables.h. */
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>

#include "netstack/policy/policy_int.h"

#define FAMILY(v, proto, src, dst, bytes, n, t)                                                    \
	{                                                                                          \
		.family = v, .nfproto = proto, .saddr = src, .daddr = dst, .len = bytes,           \
		.regs = n, .type = t, .self = "self" #v, .pods = {"pods-in" #v, "pods-out" #v},    \
		.allow = {"allow-in" #v, "allow-out" #v}, .chain = {"in" #v, "out" #v},            \
	}
const struct family policy_families[2] = {
	FAMILY(4, NFPROTO_IPV4, 12, 16, 4, 1, NFT_T_IPV4),
	FAMILY(6, NFPROTO_IPV6, 8, 24, 16, 4, NFT_T_IPV6),
};
static const char forward[] = "forward";

struct set {
	const struct family *f;
	enum set_form form;
	const char *name;
};

static struct set
set_at(unsigned index)
{
	const struct family *f = &policy_families[index / 5];
	unsigned k = index % 5;
	if (k == 4)
		return (struct set){f, SET_SELF, f->self};
	return k < 2 ? (struct set){f, SET_PODS, f->pods[k]}
		     : (struct set){f, SET_ALLOW, f->allow[k - 2]};
}

static size_t
key_len(const struct set *s)
{
	switch (s->form) {
	case SET_PODS:
		return s->f->len;
	case SET_ALLOW:
		return s->f->len + 3 * sizeof(uint32_t);
	case SET_SELF:
		return 2 * s->f->len;
	case SET__FORMS:
		break;
	}
	return 0;
}

static void
set_add(const char *table, struct nl_batch *b, const struct set *s)
{
	struct nft_set n = {.table = table, .name = s->name};
	switch (s->form) {
	case SET_PODS:
		n.key[0] = s->f->type;
		n.data[0] = NFT_T_MARK;
		break;
	case SET_ALLOW:
		n.key[0] = NFT_T_MARK;
		n.key[1] = s->f->type;
		n.key[2] = NFT_T_PROTO;
		n.key[3] = NFT_T_SERVICE;
		n.interval = true;
		break;
	case SET_SELF:
		n.key[0] = n.key[1] = s->f->type;
		break;
	case SET__FORMS:
		break;
	}
	nft_set_add(b, &n);
}

/* ---- rules ---- */

enum { R_LOOK = 0, R_GROUP = 4, R_PEER = 5 };

static void
x_addr(struct nl_batch *b, const struct family *f, uint32_t offset, unsigned reg)
{
	nft_x_payload(b, NFT_PAYLOAD_NETWORK_HEADER, offset, f->len, NFT_R(reg));
}

static void
x_family(struct nl_batch *b, const struct family *f)
{
	nft_x_meta(b, NFT_META_NFPROTO, NFT_R(0));
	nft_x_cmp(b, NFT_CMP_EQ, NFT_R(0), &f->nfproto, 1);
}

static void
rule_known(const char *table, struct nl_batch *b)
{
	const uint32_t known = NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED);
	const uint32_t none = 0;
	nft_rule_begin(b, table, forward);
	nft_x_ct(b, NFT_CT_STATE, -1, NFT_R(0));
	nft_x_bitwise(b, NFT_R(0), NFT_R(0), &known, &none, sizeof(known));
	nft_x_cmp(b, NFT_CMP_NEQ, NFT_R(0), &none, sizeof(none));
	nft_x_verdict(b, NF_ACCEPT, NULL);
	nft_rule_end(b);
}

static void
rule_self(const char *table, struct nl_batch *b, const struct family *f)
{
	nft_rule_begin(b, table, forward);
	x_family(b, f);
	x_addr(b, f, f->saddr, 0);
	x_addr(b, f, f->daddr, f->regs);
	nft_x_lookup(b, f->self, NFT_R(0), 0, false);
	nft_x_verdict(b, NF_ACCEPT, NULL);
	nft_rule_end(b);
}

static void
rule_isolated(
	const char *table, struct nl_batch *b, const struct family *f, enum policy_direction d)
{
	nft_rule_begin(b, table, forward);
	x_family(b, f);
	x_addr(b, f, d == POLICY_IN ? f->daddr : f->saddr, R_LOOK);
	nft_x_lookup(b, f->pods[d], NFT_R(R_LOOK), NFT_R(R_GROUP), false);
	nft_x_verdict(b, NFT_JUMP, f->chain[d]);
	nft_rule_end(b);
}

static void
rule_permitted(const char *table, struct nl_batch *b, const struct family *f,
	enum policy_direction d, bool port)
{
	const uint16_t no_port = 0;
	const unsigned proto = R_PEER + f->regs;
	nft_rule_begin(b, table, f->chain[d]);
	x_addr(b, f, d == POLICY_IN ? f->daddr : f->saddr, R_LOOK);
	nft_x_lookup(b, f->pods[d], NFT_R(R_LOOK), NFT_R(R_GROUP), false);
	x_addr(b, f, d == POLICY_IN ? f->saddr : f->daddr, R_PEER);
	nft_x_meta(b, NFT_META_L4PROTO, NFT_R(proto));
	if (port)
		nft_x_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_R(proto + 1));
	else
		nft_x_imm(b, NFT_R(proto + 1), &no_port, sizeof(no_port));
	nft_x_lookup(b, f->allow[d], NFT_R(R_GROUP), 0, false);
	nft_x_verdict(b, NFT_RETURN, NULL);
	nft_rule_end(b);
}

static void
rule_drop(const char *table, struct nl_batch *b, const char *chain)
{
	nft_rule_begin(b, table, chain);
	nft_x_verdict(b, NF_DROP, NULL);
	nft_rule_end(b);
}

void
policy_rules_build(const char *table, struct nl_batch *b)
{
	const struct nft_hook hook = {NF_INET_FORWARD, 0, "filter"};
	for (unsigned i = 0; i < POLICY_SETS; i++) {
		struct set s = set_at(i);
		set_add(table, b, &s);
	}
	nft_chain_add(b, table, forward, &hook);
	rule_known(table, b);
	for (size_t i = 0; i < ARRAY_LEN(policy_families); i++)
		rule_self(table, b, &policy_families[i]);
	for (size_t i = 0; i < ARRAY_LEN(policy_families); i++) {
		const struct family *f = &policy_families[i];
		for (int d = POLICY__DIRECTIONS - 1; d >= 0; d--) {
			nft_chain_add(b, table, f->chain[d], NULL);
			rule_permitted(table, b, f, d, true);
			rule_permitted(table, b, f, d, false);
			rule_drop(table, b, f->chain[d]);
			rule_isolated(table, b, f, d);
		}
	}
}

/* ---- elements ---- */

static void
element_put(struct nl_batch *b, const struct set *s, const struct element *e, bool add)
{
	size_t n = key_len(s);
	if (s->form == SET_ALLOW)
		nft_elem_concat_range(b, e->from, e->to, n);
	else if (s->form == SET_PODS && add)
		nft_elem(b, e->from, n, e->to, sizeof(uint32_t));
	else
		nft_elem(b, e->from, n, NULL, 0);
}

void
policy_elements_send(
	const char *table, struct nl_batch *b, const struct element *e, size_t n, bool add)
{
	for (size_t i = 0; i < n;) {
		struct set s = set_at(e[i].set);
		uint8_t set = e[i].set;
		if (add)
			nft_elems_add_begin(b, table, s.name);
		else
			nft_elems_del_begin(b, table, s.name);
		for (; i < n && e[i].set == set; i++)
			element_put(b, &s, &e[i], add);
		nft_elems_end(b);
	}
}

void
policy_elements_flush(const char *table, struct nl_batch *b)
{
	for (unsigned i = 0; i < POLICY_SETS; i++)
		nft_set_flush(b, table, set_at(i).name);
}
