/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * nf_tables objects: tables, chains, sets and their elements as messages of one transaction. The expressions of
 * rules are in nft_expr.c. Contracts in nft.h.
 * Source: linux/netfilter/nf_tables.h, nfnetlink.h (batches); kernel net/netfilter/nf_tables_api.c. */
#include "netstack/netlink/nft.h"

#include <errno.h>
#include <netinet/in.h> /* before linux/netfilter.h */
#include <stdlib.h>
#include <sys/socket.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

enum {
	ELEMS_MAX = 48 * 1024,    /* of one message's list; an attribute holds 64 KB */
	NFT_CONCAT_RANGES = 0x80, /* NFT_SET_CONCAT of Linux 5.6 */
	FIELD_CONCAT = 2,         /* NFTA_SET_DESC_CONCAT */
	TABLE_USERDATA = 6,       /* NFTA_TABLE_USERDATA */
	ELEM_KEY_END = 10,        /* NFTA_SET_ELEM_KEY_END */
};

static void
header(struct nl_batch *b, uint16_t type, uint16_t flags, uint8_t family, uint16_t res_id)
{
	struct nfgenmsg g = {
		.nfgen_family = family,
		.version = NFNETLINK_V0,
		.res_id = __builtin_bswap16(res_id),
	};

	nl_msg_begin(b, type, flags);
	nl_put(b, &g, sizeof(g));
}

void
nft_begin(struct nl_batch *b)
{
	b->transaction = true;
	header(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	nl_msg_end(b);
}

void
nft_end(struct nl_batch *b)
{
	header(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	nl_msg_end(b);
}

static void
message(struct nl_batch *b, uint16_t kind, uint16_t flags)
{
	header(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | kind), flags, NFPROTO_INET, 0);
}

void
nft_table_add(struct nl_batch *b, const char *table, uint64_t tag)
{
	message(b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	nl_attr_cstr(b, NFTA_TABLE_NAME, table);
	if (tag != 0)
		nl_attr_be64(b, TABLE_USERDATA, tag);
	nl_msg_end(b);
}

void
nft_table_del(struct nl_batch *b, const char *table)
{
	message(b, NFT_MSG_DELTABLE, 0);
	nl_attr_cstr(b, NFTA_TABLE_NAME, table);
	nl_msg_end(b);
}

void
nft_chain_add(struct nl_batch *b, const char *table, const char *chain, const struct nft_hook *hook)
{
	message(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	nl_attr_cstr(b, NFTA_CHAIN_TABLE, table);
	nl_attr_cstr(b, NFTA_CHAIN_NAME, chain);
	if (hook != NULL) {
		size_t at = nl_nest_begin(b, NFTA_CHAIN_HOOK | NLA_F_NESTED);

		nl_attr_be32(b, NFTA_HOOK_HOOKNUM, hook->hook);
		nl_attr_be32(b, NFTA_HOOK_PRIORITY, (uint32_t)hook->priority);
		nl_nest_end(b, at);
		nl_attr_be32(b, NFTA_CHAIN_POLICY, NF_ACCEPT);
		nl_attr_cstr(b, NFTA_CHAIN_TYPE, hook->type);
	}
	nl_msg_end(b);
}

void
nft_rules_flush(struct nl_batch *b, const char *table, const char *chain)
{
	message(b, NFT_MSG_DELRULE, 0);
	nl_attr_cstr(b, NFTA_RULE_TABLE, table);
	if (chain != NULL)
		nl_attr_cstr(b, NFTA_RULE_CHAIN, chain);
	nl_msg_end(b);
}

/* ---- sets ---- */

static uint32_t
part_len(enum nft_type t)
{
	return t == NFT_T_IPV6 ? 16 : 4;
}

size_t
nft_parts_len(const enum nft_type *parts)
{
	size_t n = 0;

	for (unsigned i = 0; i < NFT_PARTS_MAX && parts[i] != NFT_T_NONE; i++)
		n += part_len(parts[i]);
	return n;
}

/* The type number nft(8) gives to a concatenation: six bits a part. */
static uint32_t
parts_type(const enum nft_type *parts)
{
	uint32_t t = 0;

	for (unsigned i = 0; i < NFT_PARTS_MAX && parts[i] != NFT_T_NONE; i++)
		t = t << 6 | (uint32_t)parts[i];
	return t;
}

/* A key of one short part is as long as the part really is; in a concatenation each part is padded. */
static uint32_t
key_len(const enum nft_type *parts)
{
	static const uint8_t single[] = {[NFT_T_PROTO] = 1, [NFT_T_SERVICE] = 2};

	if (parts[1] == NFT_T_NONE && parts[0] < ARRAY_LEN(single) && single[parts[0]] != 0)
		return single[parts[0]];
	return (uint32_t)nft_parts_len(parts);
}

static void
set_desc(struct nl_batch *b, const struct nft_set *s, bool concat_ranges)
{
	size_t desc = nl_nest_begin(b, NFTA_SET_DESC | NLA_F_NESTED);

	if (s->size != 0)
		nl_attr_be32(b, NFTA_SET_DESC_SIZE, s->size);
	if (concat_ranges) {
		size_t list = nl_nest_begin(b, FIELD_CONCAT | NLA_F_NESTED);

		for (unsigned i = 0; i < NFT_PARTS_MAX && s->key[i] != NFT_T_NONE; i++) {
			size_t field = nl_nest_begin(b, NFTA_LIST_ELEM | NLA_F_NESTED);

			nl_attr_be32(b, 1 /* NFTA_SET_FIELD_LEN */, part_len(s->key[i]));
			nl_nest_end(b, field);
		}
		nl_nest_end(b, list);
	}
	nl_nest_end(b, desc);
}

void
nft_set_add(struct nl_batch *b, const struct nft_set *s)
{
	bool concat_ranges = s->interval && s->key[1] != NFT_T_NONE;
	bool verdicts = s->data[0] == NFT_T_VERDICT;
	uint32_t flags = 0;

	flags |= s->interval ? NFT_SET_INTERVAL : 0;
	flags |= concat_ranges ? NFT_CONCAT_RANGES : 0;
	flags |= s->data[0] != NFT_T_NONE ? NFT_SET_MAP : 0;
	flags |= s->dynamic ? NFT_SET_EVAL | NFT_SET_TIMEOUT : 0;
	message(b, NFT_MSG_NEWSET, NLM_F_CREATE);
	nl_attr_cstr(b, NFTA_SET_TABLE, s->table);
	nl_attr_cstr(b, NFTA_SET_NAME, s->name);
	nl_attr_be32(b, NFTA_SET_FLAGS, flags);
	nl_attr_be32(b, NFTA_SET_KEY_TYPE, parts_type(s->key));
	nl_attr_be32(b, NFTA_SET_KEY_LEN, key_len(s->key));
	if (verdicts) {
		nl_attr_be32(b, NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
		nl_attr_be32(b, NFTA_SET_DATA_LEN, 0);
	} else if (s->data[0] != NFT_T_NONE) {
		nl_attr_be32(b, NFTA_SET_DATA_TYPE, parts_type(s->data));
		nl_attr_be32(b, NFTA_SET_DATA_LEN, (uint32_t)nft_parts_len(s->data));
	}
	nl_attr_be32(b, NFTA_SET_ID, b->n); /* any number, unique in the batch */
	if (s->timeout_s != 0)
		nl_attr_be64(b, NFTA_SET_TIMEOUT, (uint64_t)s->timeout_s * 1000);
	if (s->size != 0 || concat_ranges)
		set_desc(b, s, concat_ranges);
	nl_msg_end(b);
}

void
nft_set_flush(struct nl_batch *b, const char *table, const char *set)
{
	message(b, NFT_MSG_DELSETELEM, 0);
	nl_attr_cstr(b, NFTA_SET_ELEM_LIST_TABLE, table);
	nl_attr_cstr(b, NFTA_SET_ELEM_LIST_SET, set);
	nl_msg_end(b);
}

/* ---- elements ---- */

static void
elems_open(struct nl_batch *b)
{
	message(b, b->elems_type, b->elems_flags);
	nl_attr_cstr(b, NFTA_SET_ELEM_LIST_TABLE, b->elems_table);
	nl_attr_cstr(b, NFTA_SET_ELEM_LIST_SET, b->elems_set);
	b->elems_at = nl_nest_begin(b, NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED);
}

static void
elems_close(struct nl_batch *b)
{
	nl_nest_end(b, b->elems_at);
	nl_msg_end(b);
	b->elems_at = 0;
}

static void
elems_begin(struct nl_batch *b, const char *table, const char *set, uint16_t type, uint16_t flags)
{
	if (!str_copy_c(str_c(table), b->elems_table, sizeof(b->elems_table)) ||
		!str_copy_c(str_c(set), b->elems_set, sizeof(b->elems_set)))
		b->out.failed = true;
	b->elems_type = type;
	b->elems_flags = flags;
	b->elems_at = 0;
}

void
nft_elems_add_begin(struct nl_batch *b, const char *table, const char *set)
{
	elems_begin(b, table, set, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
}

void
nft_elems_del_begin(struct nl_batch *b, const char *table, const char *set)
{
	elems_begin(b, table, set, NFT_MSG_DELSETELEM, 0);
}

/* Opens the message of the list on the first element, and a new one when the list is full; an empty list
 * thus sends nothing (a deletion without a list would mean "all"). */
static size_t
elem_begin(struct nl_batch *b)
{
	if (b->elems_at != 0 && b->out.len - b->elems_at > ELEMS_MAX)
		elems_close(b);
	if (b->elems_at == 0)
		elems_open(b);
	return nl_nest_begin(b, NFTA_LIST_ELEM | NLA_F_NESTED);
}

static void
value(struct nl_batch *b, uint16_t type, const void *p, size_t n)
{
	size_t at = nl_nest_begin(b, type | NLA_F_NESTED);

	nl_attr(b, NFTA_DATA_VALUE, p, n);
	nl_nest_end(b, at);
}

static void
verdict(struct nl_batch *b, uint16_t type, int32_t code, const char *chain)
{
	size_t at = nl_nest_begin(b, type | NLA_F_NESTED);
	size_t v = nl_nest_begin(b, NFTA_DATA_VERDICT | NLA_F_NESTED);

	nl_attr_be32(b, NFTA_VERDICT_CODE, (uint32_t)code);
	if (chain != NULL)
		nl_attr_cstr(b, NFTA_VERDICT_CHAIN, chain);
	nl_nest_end(b, v);
	nl_nest_end(b, at);
}

void
nft_elem(struct nl_batch *b, const void *key, size_t key_n, const void *data, size_t data_len)
{
	size_t at = elem_begin(b);

	value(b, NFTA_SET_ELEM_KEY, key, key_n);
	if (data != NULL)
		value(b, NFTA_SET_ELEM_DATA, data, data_len);
	nl_nest_end(b, at);
}

void
nft_elem_verdict(struct nl_batch *b, const void *key, size_t key_n, int32_t code, const char *chain)
{
	size_t at = elem_begin(b);

	value(b, NFTA_SET_ELEM_KEY, key, key_n);
	verdict(b, NFTA_SET_ELEM_DATA, code, chain);
	nl_nest_end(b, at);
}

void
nft_elem_range(struct nl_batch *b, const void *key, const void *next, size_t key_n)
{
	size_t at = elem_begin(b);

	value(b, NFTA_SET_ELEM_KEY, key, key_n);
	nl_nest_end(b, at);
	if (next == NULL)
		return;
	at = elem_begin(b);
	value(b, NFTA_SET_ELEM_KEY, next, key_n);
	nl_attr_be32(b, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
	nl_nest_end(b, at);
}

void
nft_elem_concat_range(struct nl_batch *b, const void *from, const void *to, size_t key_n)
{
	size_t at = elem_begin(b);

	value(b, NFTA_SET_ELEM_KEY, from, key_n);
	value(b, ELEM_KEY_END, to, key_n);
	nl_nest_end(b, at);
}

void
nft_elems_end(struct nl_batch *b)
{
	if (b->elems_at != 0)
		elems_close(b);
}

struct range {
	struct ip_addr from, to; /* inclusive */
};

static int
range_cmp(const void *a, const void *b)
{
	const struct range *x = a, *y = b;
	int c = memcmp(x->from.b, y->from.b, 16);

	return c != 0 ? c : memcmp(x->to.b, y->to.b, 16);
}

/* Sorts and joins ranges that overlap or touch; returns how many are left. */
static size_t
ranges_merge(struct range *r, size_t n)
{
	size_t out = 0;

	qsort(r, n, sizeof(*r), range_cmp);
	for (size_t i = 0; i < n; i++) {
		struct ip_addr next = {0};

		if (out > 0) {
			next = ip_add(&r[out - 1].to, 1);
			if (memcmp(r[i].from.b, r[out - 1].to.b, 16) <= 0 ||
				ip_eq(&r[i].from, &next)) {
				if (memcmp(r[i].to.b, r[out - 1].to.b, 16) > 0)
					r[out - 1].to = r[i].to;
				continue;
			}
		}
		r[out++] = r[i];
	}
	return out;
}

int
nft_prefixes_fill(struct nl_batch *b, const char *table, const char *set, int family,
	const struct ip_prefix *prefixes, size_t n)
{
	_cleanup_free_ struct range *r = calloc(n > 0 ? n : 1, sizeof(*r));
	size_t used = 0;

	if (r == NULL) {
		b->out.failed = true;
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		if (prefixes[i].addr.family == family)
			r[used++] = (struct range){
				ip_prefix_masked(&prefixes[i]).addr, ip_prefix_last(&prefixes[i])};
	used = ranges_merge(r, used);
	nft_set_flush(b, table, set);
	nft_elems_add_begin(b, table, set);
	for (size_t i = 0; i < used; i++) {
		struct ip_addr next = ip_add(&r[i].to, 1);
		bool to_end = ip_is_unspecified(&next); /* wrapped around */

		nft_elem_range(b, r[i].from.b, to_end ? NULL : next.b, ip_size(&r[i].from));
	}
	nft_elems_end(b);
	return b->out.failed ? -ENOMEM : 0;
}

/* ---- reading ---- */

static int
count_elems(void *arg, const struct nl_msg *m)
{
	struct str t[NFTA_SET_ELEM_LIST_ELEMENTS + 1], list = STR_NONE, elem = STR_NONE;
	size_t *n = arg;
	uint16_t type = 0;

	nl_attrs(str_sub(m->payload, sizeof(struct nfgenmsg), SIZE_MAX), t, ARRAY_LEN(t));
	list = t[NFTA_SET_ELEM_LIST_ELEMENTS];
	while (nl_attr_next(&list, &type, &elem))
		*n += type == NFTA_LIST_ELEM;
	return 0;
}

int
nft_elems_count(struct nl_sock *s, const char *table, const char *set, size_t *ret_n, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	size_t n = 0;
	int code = 0;

	nl_batch_init(&b);
	message(&b, NFT_MSG_GETSETELEM, NLM_F_DUMP);
	nl_attr_cstr(&b, NFTA_SET_ELEM_LIST_TABLE, table);
	nl_attr_cstr(&b, NFTA_SET_ELEM_LIST_SET, set);
	nl_msg_end(&b);
	code = nl_dump(s, &b, count_elems, &n, e);
	if (code == 0)
		*ret_n = n;
	return code;
}

static int
note_tag(void *arg, const struct nl_msg *m)
{
	struct str t[TABLE_USERDATA + 1];
	struct reader r = {0};
	uint64_t *tag = arg;

	if (m->type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE))
		return 0;
	nl_attrs(str_sub(m->payload, sizeof(struct nfgenmsg), SIZE_MAX), t, ARRAY_LEN(t));
	r = reader_of(t[TABLE_USERDATA]);
	*tag = t[TABLE_USERDATA].n == 8 ? reader_be64(&r) : 0;
	return 0;
}

int
nft_table_tag(struct nl_sock *s, const char *table, uint64_t *ret_tag, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	uint64_t tag = 0;
	int code = 0;

	nl_batch_init(&b);
	message(&b, NFT_MSG_GETTABLE, 0);
	nl_attr_cstr(&b, NFTA_TABLE_NAME, table);
	nl_msg_end(&b);
	code = nl_dump(s, &b, note_tag, &tag, e);
	if (code == 0)
		*ret_tag = tag;
	return code;
}
