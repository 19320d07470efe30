/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Connection tracking by ctnetlink: entries as values, and "forget those that match". Contracts in
 * conntrack.h. Source: linux/netfilter/nfnetlink_conntrack.h, kernel nf_conntrack_netlink.c. */
#include "netstack/netlink/conntrack.h"

#include <errno.h>
#include <sys/socket.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

static void
message_begin(struct nl_batch *b, uint16_t kind, uint16_t flags, int family)
{
	struct nfgenmsg g = {
		.nfgen_family = family == 4 ? AF_INET : AF_INET6,
		.version = NFNETLINK_V0,
	};

	nl_msg_begin(b, (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | kind), flags);
	nl_put(b, &g, sizeof(g));
}

static int
tuple_parse(struct str a, struct ct_tuple *ret)
{
	struct str t[CTA_TUPLE_PROTO + 1], ip[CTA_IP_V6_DST + 1], proto[CTA_PROTO_DST_PORT + 1];
	struct ct_tuple c = {0};

	nl_attrs(a, t, ARRAY_LEN(t));
	nl_attrs(t[CTA_TUPLE_IP], ip, ARRAY_LEN(ip));
	nl_attrs(t[CTA_TUPLE_PROTO], proto, ARRAY_LEN(proto));
	if (str_is_set(ip[CTA_IP_V4_SRC])) {
		c.src = ip_from_bytes(ip[CTA_IP_V4_SRC].p, ip[CTA_IP_V4_SRC].n);
		c.dst = ip_from_bytes(ip[CTA_IP_V4_DST].p, ip[CTA_IP_V4_DST].n);
	} else {
		c.src = ip_from_bytes(ip[CTA_IP_V6_SRC].p, ip[CTA_IP_V6_SRC].n);
		c.dst = ip_from_bytes(ip[CTA_IP_V6_DST].p, ip[CTA_IP_V6_DST].n);
	}
	if (!ip_is_set(&c.src) || c.src.family != c.dst.family)
		return -EINVAL;
	c.proto = nl_get_u8(proto[CTA_PROTO_NUM]);
	c.sport = nl_get_be16(proto[CTA_PROTO_SRC_PORT]);
	c.dport = nl_get_be16(proto[CTA_PROTO_DST_PORT]);
	*ret = c;
	return 0;
}

int
ct_parse(const struct nl_msg *m, struct ct_entry *ret)
{
	struct str t[CTA_ID + 1];
	struct ct_entry e = {0};

	if (m->type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW) ||
		m->payload.n < sizeof(struct nfgenmsg))
		return -EINVAL;
	nl_attrs(str_sub(m->payload, sizeof(struct nfgenmsg), SIZE_MAX), t, ARRAY_LEN(t));
	if (tuple_parse(t[CTA_TUPLE_ORIG], &e.orig) < 0 ||
		tuple_parse(t[CTA_TUPLE_REPLY], &e.reply) < 0)
		return -EINVAL;
	e.status = nl_get_be32(t[CTA_STATUS]);
	e.id = nl_get_be32(t[CTA_ID]);
	*ret = e;
	return 0;
}

void
ct_delete(struct nl_batch *b, const struct ct_entry *e)
{
	const struct ct_tuple *o = &e->orig;
	bool v4 = o->src.family == 4;
	size_t tuple = 0, part = 0;

	message_begin(b, IPCTNL_MSG_CT_DELETE, 0, o->src.family);
	tuple = nl_nest_begin(b, CTA_TUPLE_ORIG | NLA_F_NESTED);
	part = nl_nest_begin(b, CTA_TUPLE_IP | NLA_F_NESTED);
	nl_attr(b, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, o->src.b, ip_size(&o->src));
	nl_attr(b, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, o->dst.b, ip_size(&o->dst));
	nl_nest_end(b, part);
	part = nl_nest_begin(b, CTA_TUPLE_PROTO | NLA_F_NESTED);
	nl_attr_u8(b, CTA_PROTO_NUM, o->proto);
	nl_attr_be16(b, CTA_PROTO_SRC_PORT, o->sport);
	nl_attr_be16(b, CTA_PROTO_DST_PORT, o->dport);
	nl_nest_end(b, part);
	nl_nest_end(b, tuple);
	nl_attr_be32(b, CTA_ID, e->id);
	nl_msg_end(b);
}

struct flush {
	bool (*match)(void *arg, const struct ct_entry *e);
	void *arg;
	uint8_t proto;
	struct buf found; /* struct ct_entry, one behind the other */
};

static int
on_entry(void *arg, const struct nl_msg *m)
{
	struct flush *f = arg;
	struct ct_entry e = {0};

	if (ct_parse(m, &e) == 0 && e.orig.proto == f->proto && f->match(f->arg, &e))
		buf_add(&f->found, &e, sizeof(e));
	return 0;
}

/* Entry by entry: what vanished meanwhile is no failure. */
static int
delete_some(struct nl_sock *s, struct str entries, struct err *e)
{
	for (size_t at = 0; at + sizeof(struct ct_entry) <= entries.n;
		at += sizeof(struct ct_entry)) {
		_cleanup_nl_batch_ struct nl_batch b;
		struct ct_entry entry;
		int code = 0;

		memcpy(&entry, entries.p + at, sizeof(entry));
		nl_batch_init(&b);
		ct_delete(&b, &entry);
		nl_allow_error(&b, -ENOENT);
		code = nl_commit(s, &b, NULL, e);
		if (code < 0)
			return code;
	}
	return 0;
}

int
ct_flush(struct nl_sock *s, int family, uint8_t proto,
	bool (*match)(void *arg, const struct ct_entry *e), void *arg, size_t *ret_n, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	struct flush f = {.match = match, .arg = arg, .proto = proto};
	int code = 0;

	nl_batch_init(&b);
	buf_init(&f.found);
	message_begin(&b, IPCTNL_MSG_CT_GET, NLM_F_DUMP, family);
	nl_msg_end(&b);
	code = nl_dump(s, &b, on_entry, &f, e);
	if (code == -EINTR)
		code = 0; /* the table changes all the time; what was seen is enough */
	if (code == 0 && f.found.failed)
		code = err_set(e, -ENOMEM, R_UNKNOWN, "no memory for connection entries");
	if (code == 0)
		code = delete_some(s, buf_view(&f.found), e);
	if (code == 0 && ret_n != NULL)
		*ret_n = f.found.len / sizeof(struct ct_entry);
	buf_release(&f.found);
	return code;
}
