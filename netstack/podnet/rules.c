/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Packet rules of the pod network: traffic of own pods that leaves the cluster takes the node's address; a
 * pod cannot send from an address that is not its own (IPv4: strict reverse path filter by sysctl; IPv6: a rule). Rules and
 * sets are written whole in one transaction whenever ranges or nodes change.
 * Must not touch what the service rules did: this chain runs behind theirs.
 * Source: nft(8); kernel Documentation/networking/ip-sysctl.rst. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "netstack/podnet/podnet_int.h"

/* Never masqueraded, besides the cluster's own. */
static const struct ip_prefix local_ranges[] = {
	{{4, {224}}, 4},
	{{6, {0xfe, 0x80}}, 10},
	{{6, {0xff}}, 8},
};

static const struct {
	int family;
	uint8_t nfproto;
	uint32_t saddr, daddr; /* offsets in the header */
	enum nft_type type;
	const char *own, *keep;
} families[] = {
	{4, NFPROTO_IPV4, 12, 16, NFT_T_IPV4, "own4", "keep4"},
	{6, NFPROTO_IPV6, 8, 24, NFT_T_IPV6, "own6", "keep6"},
};

static const struct nft_hook leaving = {NF_INET_POST_ROUTING, 105, "nat"};
static const struct nft_hook entering = {NF_INET_PRE_ROUTING, -300, "filter"};

static void
masquerade_rule(struct nl_batch *b, size_t f)
{
	uint32_t len = (uint32_t)(families[f].family == 4 ? 4 : 16);

	nft_rule_begin(b, PODNET_TABLE, "leaving");
	nft_x_meta(b, NFT_META_NFPROTO, NFT_R(0));
	nft_x_cmp(b, NFT_CMP_EQ, NFT_R(0), &families[f].nfproto, 1);
	nft_x_payload(b, NFT_PAYLOAD_NETWORK_HEADER, families[f].saddr, len, NFT_R(0));
	nft_x_lookup(b, families[f].own, NFT_R(0), 0, false);
	nft_x_payload(b, NFT_PAYLOAD_NETWORK_HEADER, families[f].daddr, len, NFT_R(0));
	nft_x_lookup(b, families[f].keep, NFT_R(0), 0, true);
	nft_x_masq(b);
	nft_rule_end(b);
}

/* From a pod's link, a source that is not routed back there. */
static void
spoof_rule(struct nl_batch *b)
{
	static const uint32_t none;

	nft_rule_begin(b, PODNET_TABLE, "entering");
	nft_x_meta(b, NFT_META_NFPROTO, NFT_R(0));
	nft_x_cmp(b, NFT_CMP_EQ, NFT_R(0), &(uint8_t){NFPROTO_IPV6}, 1);
	nft_x_meta(b, NFT_META_IIFNAME, NFT_R(0));
	nft_x_cmp(b, NFT_CMP_EQ, NFT_R(0), PODNET_PREFIX, sizeof(PODNET_PREFIX) - 1);
	nft_x_fib_oif(b, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF, NFT_R(0));
	nft_x_cmp(b, NFT_CMP_EQ, NFT_R(0), &none, sizeof(none));
	nft_x_verdict(b, NF_DROP, NULL);
	nft_rule_end(b);
}

/* Everything that keeps its source: ranges of the cluster, other nodes, and their pods. */
static struct ip_prefix *
keep_list(const struct podnet *pn, size_t *ret_n)
{
	size_t n = 0, max = ARRAY_LEN(local_ranges) + 2 + pn->n_keep + 4 * map_len(&pn->nodes),
	       pos = 0;
	struct ip_prefix *keep = calloc(max, sizeof(*keep));
	struct str name = STR_NONE;
	void *value = NULL;

	if (keep == NULL)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(local_ranges); i++)
		keep[n++] = local_ranges[i];
	for (size_t i = 0; i < pn->n_keep; i++)
		keep[n++] = pn->keep[i];
	keep[n++] = pn->cidr4;
	keep[n++] = pn->cidr6;
	while (map_next(&pn->nodes, &pos, &name, &value)) {
		const struct podnet_node *peer = &((struct podnet_peer *)value)->want;

		keep[n++] = ip_host_prefix(&peer->addr4);
		keep[n++] = ip_host_prefix(&peer->addr6);
		keep[n++] = peer->pod_cidr4;
		keep[n++] = peer->pod_cidr6;
	}
	*ret_n = n;
	return keep;
}

static void
build(const struct podnet *pn, struct nl_batch *b, const struct ip_prefix *keep, size_t n_keep)
{
	const struct ip_prefix own[] = {pn->cidr4, pn->cidr6};

	nft_begin(b);
	nft_table_add(b, PODNET_TABLE, 0);
	nft_chain_add(b, PODNET_TABLE, "leaving", &leaving);
	nft_chain_add(b, PODNET_TABLE, "entering", &entering);
	nft_rules_flush(b, PODNET_TABLE, NULL);
	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		struct nft_set set = {
			.table = PODNET_TABLE,
			.key = {families[f].type},
			.interval = true,
		};

		set.name = families[f].own;
		nft_set_add(b, &set);
		nft_prefixes_fill(
			b, PODNET_TABLE, set.name, families[f].family, own, ARRAY_LEN(own));
		set.name = families[f].keep;
		nft_set_add(b, &set);
		nft_prefixes_fill(b, PODNET_TABLE, set.name, families[f].family, keep, n_keep);
		if (!pn->no_masquerade)
			masquerade_rule(b, f);
	}
	spoof_rule(b);
	nft_end(b);
}

int
podnet_rules_apply(struct podnet *pn, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	_cleanup_nl_sock_ struct nl_sock s = {.fd = -1};
	_cleanup_free_ struct ip_prefix *keep = NULL;
	size_t n = 0;
	int code = 0;

	if (!ip_is_set(&pn->cidr4.addr) && !ip_is_set(&pn->cidr6.addr))
		return 0;
	keep = keep_list(pn, &n);
	if (keep == NULL)
		return err_set(e, -ENOMEM, R_UNKNOWN, "no memory for packet rules");
	code = nl_open(&s, NETLINK_NETFILTER);
	if (code < 0)
		return err_errno(e, code, "opening a netfilter socket");
	nl_batch_init(&b);
	build(pn, &b, keep, n);
	code = nl_commit(&s, &b, NULL, e);
	if (code < 0)
		return err_wrap(e, "packet rules of the pod network"), code;
	return 0;
}
