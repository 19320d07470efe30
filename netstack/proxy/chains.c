/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The fixed part: sets, base chains, and for each number of slots a chain that draws one. Built once, the
 * same whatever services there are; only a new affinity timeout adds four chains later.
 *
 *   check (before translation)  nobody behind it -> refused; not for this policy -> dropped
 *   in4, ex4, in6, ex6          destination -> set number -> slots -> jump: draw one
 *                               with affinity -> chain of its timeout
 *                               (set number, drawn) -> ep -> dnat
 *   draw-7                      one of seven, at random
 *   in4-t10800                  the client's endpoint if it is alive, else the drawn one; remembered
 *   post4                       who takes the node's address as source
 *
 * Registers do not last from rule to rule; the drawn number does in the packet's priority, which is
 * zero again before the packet goes on. So draw-* are there once for all, and few rules name the
 * large maps: an element costs the kernel a look at every rule that names its map.
 * Registers: L = those of an address. 0 .. L-1 source, L .. 2L+1 key of the front end; the set number
 * lands at L, so that (source, set) and (set, endpoint) lie side by side for the next look-up.
 * Must not: put a verdict into a map that changes (the kernel would validate the whole table).
 * Source: linux/netfilter/nf_tables.h; KEP-3866. */
#include <netinet/in.h>
#include <stdio.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>

#include "netstack/proxy/proxy_int.h"

#define FAMILY(v, proto, src, dst, bytes, n, ct, t)                                                \
	{                                                                                          \
		.family = v, .nfproto = proto, .saddr = src, .daddr = dst, .len = bytes,           \
		.regs = n, .ct_dst = ct, .type = t, .side = {"in" #v, "ex" #v},                    \
		.times = {"time-in" #v, "time-ex" #v}, .ep = "ep" #v, .aff = "aff" #v,             \
		.alive = "alive" #v, .hairpin = "hairpin" #v, .firewall = "fw" #v,                 \
		.inside = "inside" #v, .services = "cidr" #v, .post = "post" #v,                   \
	}

const struct family families[2] = {
	FAMILY(4, NFPROTO_IPV4, 12, 16, 4, 1, NFT_CT_DST_IP, NFT_T_IPV4),
	FAMILY(6, NFPROTO_IPV6, 8, 24, 16, 4, NFT_CT_DST_IP6, NFT_T_IPV6),
};

static const struct {
	const char *name;
	struct nft_hook hook;
} base_chains[] = {
	{"check-pre", {NF_INET_PRE_ROUTING, -110, "filter"}},
	{"check-out", {NF_INET_LOCAL_OUT, -110, "filter"}},
	{"nat-pre", {NF_INET_PRE_ROUTING, -100, "nat"}},
	{"nat-out", {NF_INET_LOCAL_OUT, -100, "nat"}},
	{"nat-post", {NF_INET_POST_ROUTING, 100, "nat"}},
	{"guard", {NF_INET_LOCAL_IN, 0, "filter"}},
};

/* What every function here needs: the batch, the table, a family and a side. */
struct ctx {
	struct nl_batch *b;
	const char *table;
	const struct family *f;
	int side;
};

static void
rule(const struct ctx *c, const char *chain)
{
	nft_rule_begin(c->b, c->table, chain);
}

static void
end(const struct ctx *c)
{
	nft_rule_end(c->b);
}

static void
end_verdict(const struct ctx *c, int32_t code, const char *chain)
{
	nft_x_verdict(c->b, code, chain);
	nft_rule_end(c->b);
}

/* ---- parts of rules ---- */

static void
x_family(const struct ctx *c)
{
	nft_x_meta(c->b, NFT_META_NFPROTO, NFT_R(0));
	nft_x_cmp(c->b, NFT_CMP_EQ, NFT_R(0), &c->f->nfproto, 1);
}

static void
x_saddr(const struct ctx *c, unsigned reg)
{
	nft_x_payload(c->b, NFT_PAYLOAD_NETWORK_HEADER, c->f->saddr, c->f->len, NFT_R(reg));
}

/* Key of the front end into L ..: destination, protocol, port. */
static void
x_key(const struct ctx *c)
{
	unsigned l = c->f->regs;

	nft_x_payload(c->b, NFT_PAYLOAD_NETWORK_HEADER, c->f->daddr, c->f->len, NFT_R(l));
	nft_x_meta(c->b, NFT_META_L4PROTO, NFT_R(2 * l));
	nft_x_payload(c->b, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_R(2 * l + 1));
}

/* The same of a connection whose destination has been changed already. */
static void
x_original_key(const struct ctx *c)
{
	unsigned l = c->f->regs;

	nft_x_ct(c->b, c->f->ct_dst, IP_CT_DIR_ORIGINAL, NFT_R(l));
	nft_x_meta(c->b, NFT_META_L4PROTO, NFT_R(2 * l));
	nft_x_ct(c->b, NFT_CT_PROTO_DST, IP_CT_DIR_ORIGINAL, NFT_R(2 * l + 1));
}

/* Set number to L, flags to L+1. */
static void
x_front(const struct ctx *c)
{
	x_key(c);
	nft_x_lookup(c->b, c->f->side[c->side], NFT_R(c->f->regs), NFT_R(c->f->regs), false);
}

static void
x_mask(const struct ctx *c, unsigned reg, uint32_t bits)
{
	static const uint32_t zero;

	nft_x_bitwise(c->b, NFT_R(reg), NFT_R(reg), &bits, &zero, sizeof(bits));
	nft_x_cmp(c->b, NFT_CMP_NEQ, NFT_R(reg), &zero, sizeof(zero));
}

static void
x_new(const struct ctx *c)
{
	nft_x_ct(c->b, NFT_CT_STATE, -1, NFT_R(0));
	x_mask(c, 0, NF_CT_STATE_BIT(IP_CT_NEW));
}

static void
x_translated(const struct ctx *c)
{
	nft_x_ct(c->b, NFT_CT_STATUS, -1, NFT_R(0));
	x_mask(c, 0, IPS_DST_NAT);
}

/* The drawn endpoint: address to L+2, port to 2L+2. The set number is at L. */
static void
x_drawn(const struct ctx *c)
{
	unsigned l = c->f->regs;

	nft_x_meta(c->b, NFT_META_PRIORITY, NFT_R(l + 1));
	nft_x_lookup(c->b, c->f->ep, NFT_R(l), NFT_R(l + 2), false);
}

/* To the endpoint in the registers; the packet's priority is nobody's business any more. */
static void
x_go(const struct ctx *c, unsigned addr, unsigned port)
{
	static const uint32_t none;

	nft_x_imm(c->b, NFT_R(0), &none, sizeof(none));
	nft_x_meta_set(c->b, NFT_META_PRIORITY, NFT_R(0));
	nft_x_dnat(c->b, c->f->nfproto, NFT_R(addr), NFT_R(port));
}

/* The client's remembered endpoint: address to L+1, port to 2L+1; source at 0, set number at L. */
static void
x_remembered(const struct ctx *c)
{
	unsigned l = c->f->regs;

	x_saddr(c, 0);
	x_front(c);
	nft_x_lookup(c->b, c->f->aff, NFT_R(0), NFT_R(l + 1), false);
}

/* ---- chains ---- */

/* Draws one of `slots`. */
static void
draw_chain(const struct ctx *c, uint32_t slots)
{
	char name[32];

	snprintf(name, sizeof(name), "draw-%u", slots);
	nft_chain_add(c->b, c->table, name, NULL);
	rule(c, name);
	nft_x_numgen(c->b, NFT_R(0), slots, true);
	nft_x_meta_set(c->b, NFT_META_PRIORITY, NFT_R(0));
	end(c);
	nft_elems_add_begin(c->b, c->table, "draw");
	nft_elem_verdict(c->b, &slots, sizeof(slots), NFT_JUMP, name);
	nft_elems_end(c->b);
}

static void
time_chain(const struct ctx *c, uint32_t seconds)
{
	const uint64_t ms = (uint64_t)seconds * 1000;
	unsigned l = c->f->regs;
	char name[32];

	snprintf(name, sizeof(name), "%s-t%u", c->f->side[c->side], seconds);
	nft_chain_add(c->b, c->table, name, NULL);
	nft_rules_flush(c->b, c->table, name);
	/* remembered and still there */
	rule(c, name);
	x_remembered(c);
	nft_x_lookup(c->b, c->f->alive, NFT_R(l), 0, false);
	nft_x_dynset(c->b, NFT_DYNSET_OP_UPDATE, c->f->aff, NFT_R(0), NFT_R(l + 1), ms);
	x_go(c, l + 1, 2 * l + 1);
	end(c);
	/* remembered, gone: an update would keep the old endpoint, so forget it first */
	rule(c, name);
	x_remembered(c);
	nft_x_dynset(c->b, NFT_DYNSET_OP_DELETE, c->f->aff, NFT_R(0), NFT_R(l + 1), 0);
	end(c);
	rule(c, name);
	x_saddr(c, 0);
	x_front(c);
	x_drawn(c);
	nft_x_dynset(c->b, NFT_DYNSET_OP_UPDATE, c->f->aff, NFT_R(0), NFT_R(l + 2), ms);
	x_go(c, l + 2, 2 * l + 2);
	end(c);
	/* no room to remember */
	rule(c, name);
	x_front(c);
	x_drawn(c);
	x_go(c, l + 2, 2 * l + 2);
	end(c);
	nft_elems_add_begin(c->b, c->table, c->f->times[c->side]);
	nft_elem_verdict(c->b, &seconds, sizeof(seconds), NFT_GOTO, name);
	nft_elems_end(c->b);
}

void
chains_time_add(const struct proxy *p, struct nl_batch *b, uint32_t seconds)
{
	for (unsigned f = 0; f < 2; f++)
		for (int side = INSIDE; side <= OUTSIDE; side++)
			time_chain(&(struct ctx){b, p->table, &families[f], side}, seconds);
}

static void
side_chain(const struct ctx *c)
{
	unsigned l = c->f->regs;
	const char *name = c->f->side[c->side];

	nft_chain_add(c->b, c->table, name, NULL);
	rule(c, name);
	x_front(c);
	nft_x_lookup(c->b, "cnt", NFT_R(l), NFT_R(l), false);
	nft_x_vmap(c->b, "draw", NFT_R(l));
	end(c);
	rule(c, name);
	x_front(c);
	nft_x_lookup(c->b, "time", NFT_R(l), NFT_R(l), false);
	nft_x_vmap(c->b, c->f->times[c->side], NFT_R(l));
	end(c);
	rule(c, name);
	x_front(c);
	x_drawn(c);
	x_go(c, l + 2, 2 * l + 2);
	end(c);
}

/* A reset where there is one: a port unreachable that comes while connect(2) still holds the socket (the
 * pod is on this machine) is only noted, and the client would learn of it a second later. */
static void
refuse_chain(const struct ctx *c)
{
	nft_chain_add(c->b, c->table, "refuse", NULL);
	rule(c, "refuse");
	nft_x_meta(c->b, NFT_META_L4PROTO, NFT_R(0));
	nft_x_cmp(c->b, NFT_CMP_EQ, NFT_R(0), &(uint8_t){IPPROTO_TCP}, 1);
	nft_x_tcp_reset(c->b);
	end(c);
	rule(c, "refuse");
	nft_x_reject(c->b);
	end(c);
}

/* Before translation: what must not or cannot go on. New connections only. */
static void
check_chain(const struct ctx *c)
{
	static const uint32_t reject = CLASS_REJECT, drop = CLASS_DROP, local = RTN_LOCAL;
	unsigned l = c->f->regs;
	char name[32];

	snprintf(name, sizeof(name), "check-%s", c->f->side[c->side]);
	nft_chain_add(c->b, c->table, name, NULL);
	rule(c, name);
	x_front(c);
	nft_x_lookup(c->b, "cnt", NFT_R(l), NFT_R(l), false);
	nft_x_cmp(c->b, NFT_CMP_EQ, NFT_R(l), &reject, sizeof(reject));
	end_verdict(c, NFT_GOTO, "refuse");
	rule(c, name);
	x_front(c);
	nft_x_lookup(c->b, "cnt", NFT_R(l), NFT_R(l), false);
	nft_x_cmp(c->b, NFT_CMP_EQ, NFT_R(l), &drop, sizeof(drop));
	end_verdict(c, NF_DROP, NULL);
	/* load balancer addresses with source ranges */
	rule(c, name);
	x_key(c);
	nft_x_lookup(c->b, c->f->side[c->side], NFT_R(l), NFT_R(3 * l + 2), false);
	x_mask(c, 3 * l + 3, FRONT_FIREWALL);
	x_saddr(c, 2 * l + 2);
	nft_x_lookup(c->b, c->f->firewall, NFT_R(l), 0, true);
	end_verdict(c, NF_DROP, NULL);
	/* a service address without such a port, unless the node itself has the address */
	rule(c, name);
	x_key(c);
	nft_x_lookup(c->b, c->f->services, NFT_R(l), 0, false);
	nft_x_lookup(c->b, c->f->side[c->side], NFT_R(l), 0, true);
	nft_x_fib_type(c->b, NFTA_FIB_F_DADDR, NFT_R(0));
	nft_x_cmp(c->b, NFT_CMP_NEQ, NFT_R(0), &local, sizeof(local));
	end_verdict(c, NFT_GOTO, "refuse");
}

/* After translation: whose source becomes the node's. */
static void
post_chain(const struct ctx *c)
{
	static const uint8_t net127[4] = {127}, mask8[4] = {255}, zero[4];
	static const uint32_t none;
	unsigned l = c->f->regs;
	const char *name = c->f->post;

	nft_chain_add(c->b, c->table, name, NULL);
	/* a pod that reached itself must not answer itself directly */
	rule(c, name);
	x_saddr(c, 0);
	nft_x_payload(c->b, NFT_PAYLOAD_NETWORK_HEADER, c->f->daddr, c->f->len, NFT_R(l));
	nft_x_lookup(c->b, c->f->hairpin, NFT_R(0), 0, false);
	nft_x_masq(c->b);
	end(c);
	rule(c, name);
	x_original_key(c);
	nft_x_lookup(c->b, c->f->side[INSIDE], NFT_R(l), NFT_R(l), false);
	x_mask(c, l + 1, FRONT_MASQ);
	nft_x_masq(c->b);
	end(c);
	rule(c, name);
	x_saddr(c, 0);
	nft_x_lookup(c->b, c->f->inside, NFT_R(0), 0, false);
	end_verdict(c, NFT_RETURN, NULL);
	/* cluster addresses, from outside the pods' ranges: the answer must come back this way */
	rule(c, name);
	x_original_key(c);
	nft_x_lookup(c->b, c->f->side[INSIDE], NFT_R(l), NFT_R(l), false);
	nft_x_cmp(c->b, NFT_CMP_EQ, NFT_R(l + 1), &none, sizeof(none));
	nft_x_masq(c->b);
	end(c);
	if (c->f->family != 4)
		return;
	rule(c, name);
	x_saddr(c, 0);
	nft_x_bitwise(c->b, NFT_R(0), NFT_R(0), mask8, zero, sizeof(mask8));
	nft_x_cmp(c->b, NFT_CMP_EQ, NFT_R(0), net127, sizeof(net127));
	nft_x_masq(c->b);
	end(c);
}

/* 127/8 is routed (for host ports); what comes from elsewhere without our doing is dropped. */
static void
guard_chain(const struct ctx *c)
{
	static const uint8_t net127[4] = {127}, mask8[4] = {255}, zero[4];
	static const uint32_t lo = 1, none;
	static const uint32_t dst_nat = IPS_DST_NAT;

	rule(c, "guard");
	x_family(c);
	nft_x_payload(c->b, NFT_PAYLOAD_NETWORK_HEADER, c->f->daddr, c->f->len, NFT_R(0));
	nft_x_bitwise(c->b, NFT_R(0), NFT_R(0), mask8, zero, sizeof(mask8));
	nft_x_cmp(c->b, NFT_CMP_EQ, NFT_R(0), net127, sizeof(net127));
	nft_x_meta(c->b, NFT_META_IIF, NFT_R(0));
	nft_x_cmp(c->b, NFT_CMP_NEQ, NFT_R(0), &lo, sizeof(lo));
	nft_x_ct(c->b, NFT_CT_STATUS, -1, NFT_R(0));
	nft_x_bitwise(c->b, NFT_R(0), NFT_R(0), &dst_nat, zero, sizeof(dst_nat));
	nft_x_cmp(c->b, NFT_CMP_EQ, NFT_R(0), &none, sizeof(none));
	end_verdict(c, NF_DROP, NULL);
}

/* The base chains' ways into a family. */
static void
entry_rules(const struct ctx *c)
{
	static const struct {
		const char *base, *to;
		int side;
		bool new_only, from_inside;
	} ways[] = {
		{"check-pre", "check-", INSIDE, true, true},
		{"check-pre", "check-", OUTSIDE, true, false},
		{"check-out", "check-", INSIDE, true, false},
		{"nat-pre", "", INSIDE, false, true},
		{"nat-pre", "", OUTSIDE, false, false},
		{"nat-out", "", INSIDE, false, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		char to[32];

		snprintf(to, sizeof(to), "%s%s", ways[i].to, c->f->side[ways[i].side]);
		rule(c, ways[i].base);
		x_family(c);
		if (ways[i].new_only)
			x_new(c);
		if (ways[i].from_inside) {
			x_saddr(c, 0);
			nft_x_lookup(c->b, c->f->inside, NFT_R(0), 0, false);
		}
		end_verdict(c, NFT_GOTO, to);
	}
	rule(c, "nat-post");
	x_family(c);
	x_translated(c);
	end_verdict(c, NFT_GOTO, c->f->post);
}

/* ---- sets ---- */

static void
family_sets(const struct ctx *c)
{
	const struct family *f = c->f;
	const enum nft_type ip = f->type;
	const struct nft_set sets[] = {
		{.name = f->side[INSIDE],
			.key = {ip, NFT_T_PROTO, NFT_T_SERVICE},
			.data = {NFT_T_MARK, NFT_T_MARK}},
		{.name = f->side[OUTSIDE],
			.key = {ip, NFT_T_PROTO, NFT_T_SERVICE},
			.data = {NFT_T_MARK, NFT_T_MARK}},
		{.name = f->ep, .key = {NFT_T_MARK, NFT_T_MARK}, .data = {ip, NFT_T_SERVICE}},
		{.name = f->aff,
			.key = {ip, NFT_T_MARK},
			.data = {ip, NFT_T_SERVICE},
			.dynamic = true,
			.timeout_s = PROXY_AFFINITY_DEFAULT_S,
			.size = AFFINITY_ENTRIES},
		{.name = f->alive, .key = {NFT_T_MARK, ip, NFT_T_SERVICE}},
		{.name = f->hairpin, .key = {ip, ip}},
		{.name = f->firewall,
			.key = {ip, NFT_T_PROTO, NFT_T_SERVICE, ip},
			.interval = true},
		{.name = f->inside, .key = {ip}, .interval = true},
		{.name = f->services, .key = {ip}, .interval = true},
		{.name = f->times[INSIDE], .key = {NFT_T_MARK}, .data = {NFT_T_VERDICT}},
		{.name = f->times[OUTSIDE], .key = {NFT_T_MARK}, .data = {NFT_T_VERDICT}},
	};

	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		struct nft_set s = sets[i];

		s.table = c->table;
		nft_set_add(c->b, &s);
	}
}

/* Sets that hold data of services: what a sync empties and fills. Affinities live on. */
void
chains_flush_data(const struct proxy *p, struct nl_batch *b)
{
	nft_set_flush(b, p->table, "cnt");
	nft_set_flush(b, p->table, "time");
	for (unsigned f = 0; f < 2; f++) {
		const struct family *fam = &families[f];
		const char *const names[] = {fam->side[INSIDE], fam->side[OUTSIDE], fam->ep,
			fam->alive, fam->hairpin, fam->firewall};

		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			nft_set_flush(b, p->table, names[i]);
	}
}

void
chains_build(const struct proxy *p, struct nl_batch *b)
{
	static const char *const shared[] = {"cnt", "time"};
	struct ctx c = {b, p->table, &families[0], INSIDE};

	for (size_t i = 0; i < ARRAY_LEN(base_chains); i++)
		nft_chain_add(b, p->table, base_chains[i].name, &base_chains[i].hook);
	for (size_t i = 0; i < ARRAY_LEN(shared); i++)
		nft_set_add(b,
			&(struct nft_set){.table = p->table,
				.name = shared[i],
				.key = {NFT_T_MARK},
				.data = {NFT_T_MARK}});
	nft_set_add(b,
		&(struct nft_set){.table = p->table,
			.name = "draw",
			.key = {NFT_T_MARK},
			.data = {NFT_T_VERDICT}});
	for (uint32_t n = 1; n <= SLOTS_EXACT; n++)
		draw_chain(&c, n);
	for (size_t i = 0; i < ARRAY_LEN(slots_classes); i++)
		draw_chain(&c, slots_classes[i]);
	refuse_chain(&c);
	for (unsigned f = 0; f < 2; f++) {
		c.f = &families[f];
		family_sets(&c);
		for (c.side = INSIDE; c.side <= OUTSIDE; c.side++) {
			side_chain(&c);
			check_chain(&c);
		}
		post_chain(&c);
		entry_rules(&c);
	}
	c.f = &families[0];
	guard_chain(&c);
}

void
chains_ranges(const struct proxy *p, struct nl_batch *b)
{
	for (unsigned f = 0; f < 2; f++) {
		nft_prefixes_fill(b, p->table, families[f].inside, families[f].family, p->inside,
			p->n_inside);
		nft_prefixes_fill(b, p->table, families[f].services, families[f].family, p->cidrs,
			p->n_cidrs);
	}
}
