/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * nft: nf_tables objects of family inet: encoders into a batch. A batch between nft_begin and nft_commit_end is
 * one atomic change of the rule set. Part of the front door netlink.h.
 *
 * Registers: NFT_R(0) .. NFT_R(15), 4 bytes each; values longer than 4 bytes take several; each part of
 * a concatenated key is padded to 4. numgen, jhash, marks and our own numbers are in host order,
 * addresses and ports in network order. The kernel refuses a rule that reads a register the same rule
 * did not write.
 * Elements with verdicts make the kernel validate the whole table at the commit: keep them out of maps
 * that change often. Source: linux/netfilter/nf_tables.h. */
#ifndef NETSTACK_NETLINK_NFT_H
#define NETSTACK_NETLINK_NFT_H

#include "netstack/netlink/netlink.h"

#define NFT_R(n) (8u + (unsigned)(n)) /* NFT_REG32_00 + n */

/* nft_begin / nft_end: the borders of the transaction; all nft_* messages stand between them. */
void nft_begin(struct nl_batch *b);
void nft_end(struct nl_batch *b);

/* ---- tables, chains ---- */

/* Creating what exists already is no error, unless it differs. Deleting what is absent fails the batch
 * with -ENOENT, so create it first: add, delete, add is the way to "empty and new". */
/* tag: a number kept with the table from its making on, for whoever finds it; 0 = none. */
void nft_table_add(struct nl_batch *b, const char *table, uint64_t tag);
void nft_table_del(struct nl_batch *b, const char *table);

struct nft_hook {
	uint32_t hook;    /* NF_INET_* */
	int32_t priority; /* -100 dstnat, 0 filter, 100 srcnat */
	const char *type; /* "nat", "filter" */
};
/* hook NULL: a chain that is only jumped to. Base chains have policy accept. */
void nft_chain_add(
	struct nl_batch *b, const char *table, const char *chain, const struct nft_hook *hook);
/* nft_rules_flush: removes all rules of the chain (chain NULL: of the table). */
void nft_rules_flush(struct nl_batch *b, const char *table, const char *chain);

/* ---- sets and maps ---- */

/* Types of key and data parts, as nft(8) numbers them, so that its listings read well. */
enum nft_type {
	NFT_T_NONE = 0,
	NFT_T_VERDICT = 1,
	NFT_T_IPV4 = 7,
	NFT_T_IPV6 = 8,
	NFT_T_PROTO = 12,
	NFT_T_SERVICE = 13,
	NFT_T_MARK = 19, /* a number of 4 bytes in host order */
	NFT_T_IFINDEX = 20,
};
enum { NFT_PARTS_MAX = 5 };

struct nft_set {
	const char *table, *name;
	enum nft_type key[NFT_PARTS_MAX];  /* up to the first NFT_T_NONE */
	enum nft_type data[NFT_PARTS_MAX]; /* empty = a set; {NFT_T_VERDICT} = a verdict map */
	bool interval;      /* elements are ranges; with several key parts each part is one */
	bool dynamic;       /* changed by the packet path; also timed */
	uint32_t timeout_s; /* default of elements; 0 = none (dynamic without: elements stay) */
	uint32_t size;      /* most elements; 0 = no limit */
};
void nft_set_add(struct nl_batch *b, const struct nft_set *s);
/* nft_set_flush: removes all elements. */
void nft_set_flush(struct nl_batch *b, const char *table, const char *set);
/* nft_parts_len: bytes of the parts, each padded to 4 (a key or data as laid out in registers). */
size_t nft_parts_len(const enum nft_type *parts);

/* Elements: begin, any number of nft_elem_*, end. Longer lists than one message holds (64 KB) are
 * split by the encoder. Deleting an absent element fails the batch (-ENOENT), adding a present key
 * with other data too (-EEXIST). To replace: a delete list, then an add list, in one batch. */
void nft_elems_add_begin(struct nl_batch *b, const char *table, const char *set);
void nft_elems_del_begin(struct nl_batch *b, const char *table, const char *set);
/* key and data: as laid out in registers. data NULL: none (sets, deletions of map elements). */
void nft_elem(
	struct nl_batch *b, const void *key, size_t key_len, const void *data, size_t data_len);
/* An element of a verdict map: NFT_GOTO or NFT_JUMP with a chain, or NF_ACCEPT / NF_DROP /
 * NFT_RETURN with chain NULL. */
void nft_elem_verdict(
	struct nl_batch *b, const void *key, size_t key_len, int32_t code, const char *chain);
/* A range of a set of one interval part: [key, next). next NULL: to the end of the space. */
void nft_elem_range(struct nl_batch *b, const void *key, const void *next, size_t key_len);
/* A range in a set of several interval parts: every part from..to, both inclusive. */
void nft_elem_concat_range(struct nl_batch *b, const void *from, const void *to, size_t key_len);
void nft_elems_end(struct nl_batch *b);
/* nft_prefixes_fill: makes an interval set of one address part hold exactly the union of those
 * prefixes that are of the family (4 or 6): flush, then sorted, merged ranges.
 * 0, or -ENOMEM (the batch has failed). */
int nft_prefixes_fill(struct nl_batch *b, const char *table, const char *set, int family,
	const struct ip_prefix *prefixes, size_t n);

/* ---- rules ---- */

/* nft_rule_begin: appends a rule to the chain; the expressions follow; nft_rule_end. */
void nft_rule_begin(struct nl_batch *b, const char *table, const char *chain);
void nft_rule_end(struct nl_batch *b);

/* nft_x_*: one expression of the open rule each. A comparison or lookup that fails ends the rule. */
/* base: 1 network header, 2 transport header. */
void nft_x_payload(struct nl_batch *b, uint32_t base, uint32_t offset, uint32_t len, unsigned dreg);
/* key: NFT_META_*. */
void nft_x_meta(struct nl_batch *b, uint32_t key, unsigned dreg);
void nft_x_meta_set(struct nl_batch *b, uint32_t key, unsigned sreg);
/* key: NFT_CT_*; dir: 0 original, 1 reply, -1 where the key has none. */
void nft_x_ct(struct nl_batch *b, uint32_t key, int dir, unsigned dreg);
/* op: NFT_CMP_*. */
void nft_x_cmp(struct nl_batch *b, uint32_t op, unsigned sreg, const void *p, size_t n);
/* dreg = (sreg & mask) ^ xor, n bytes. */
void nft_x_bitwise(struct nl_batch *b, unsigned sreg, unsigned dreg, const void *mask,
	const void *xor_bits, size_t n);
/* dreg 0: membership only; invert: absent matches. The set may be new in the same batch. */
void nft_x_lookup(struct nl_batch *b, const char *set, unsigned sreg, unsigned dreg, bool invert);
/* A verdict map decides: the rule continues behind on a miss. */
void nft_x_vmap(struct nl_batch *b, const char *set, unsigned sreg);
/* op: NFT_DYNSET_OP_*; sreg_data 0 = a set. timeout_ms 0 = the set's own. */
void nft_x_dynset(struct nl_batch *b, uint32_t op, const char *set, unsigned sreg_key,
	unsigned sreg_data, uint64_t timeout_ms);
/* numgen: dreg = random or running number modulo `modulus`. */
void nft_x_numgen(struct nl_batch *b, unsigned dreg, uint32_t modulus, bool random);
void nft_x_jhash(struct nl_batch *b, unsigned sreg, size_t len, unsigned dreg, uint32_t modulus,
	uint32_t seed);
/* family: NFPROTO_IPV4 or NFPROTO_IPV6. reg_port 0 = the port stays. */
void nft_x_dnat(struct nl_batch *b, uint32_t family, unsigned reg_addr, unsigned reg_port);
/* masquerade with fully random ports. */
void nft_x_masq(struct nl_batch *b);
/* fib: dreg = type of the address (RTN_LOCAL = 2 ...); flags NFTA_FIB_F_SADDR or _DADDR. */
void nft_x_fib_type(struct nl_batch *b, uint32_t flags, unsigned dreg);
/* fib: dreg = index of the link the address would be routed to, 0 = none; flags may add _IIF: only the
 * link the packet came by counts. */
void nft_x_fib_oif(struct nl_batch *b, uint32_t flags, unsigned dreg);
/* reject: ICMP port unreachable of the packet's own family. */
void nft_x_reject(struct nl_batch *b);
void nft_x_tcp_reset(struct nl_batch *b);
void nft_x_imm(struct nl_batch *b, unsigned dreg, const void *p, size_t n);
/* code as in nft_elem_verdict. */
void nft_x_verdict(struct nl_batch *b, int32_t code, const char *chain);

/* ---- reading ---- */

/* nft_elems_count: how many elements the set has in the kernel. -ENOENT: no such table or set. */
int nft_elems_count(
	struct nl_sock *s, const char *table, const char *set, size_t *ret_n, struct err *e);
/* nft_table_tag: 0, and the table's tag; -ENOENT: no such table. */
int nft_table_tag(struct nl_sock *s, const char *table, uint64_t *ret_tag, struct err *e);

#endif
