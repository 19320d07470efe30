/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * rtnetlink: encoders of links, addresses, routes and neighbours, each exactly one message of a batch, and decoders of
 * what the kernel tells. Must not send anything by itself but in the *_list and *_get functions.
 * Source: rtnetlink(7), linux/{rtnetlink,if_link,if_addr,neighbour,veth}.h; contracts in rtnl.h. */
#include "netstack/netlink/rtnl.h"

#include <errno.h>
#include <net/if.h>
#include <sys/socket.h>

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

enum { ADD = NLM_F_CREATE | NLM_F_EXCL, PUT = NLM_F_CREATE | NLM_F_REPLACE };

static uint8_t
af_of(int family)
{
	return family == 4 ? AF_INET : family == 6 ? AF_INET6 : AF_UNSPEC;
}

static void
attr_ip(struct nl_batch *b, uint16_t type, const struct ip_addr *a)
{
	if (ip_is_set(a))
		nl_attr(b, type, a->b, ip_size(a));
}

/* ---- links ---- */

static void
link_begin(struct nl_batch *b, uint16_t type, uint16_t flags, const struct ifinfomsg *ifi)
{
	nl_msg_begin(b, type, flags);
	nl_put(b, ifi, sizeof(*ifi));
}

void
rt_veth_add(struct nl_batch *b, const struct rt_veth *v)
{
	struct ifinfomsg ifi = {.ifi_index = v->index}, peer = {.ifi_index = v->peer_index};
	size_t info = 0, data = 0, end = 0;

	link_begin(b, RTM_NEWLINK, ADD, &ifi);
	nl_attr_cstr(b, IFLA_IFNAME, v->name);
	nl_attr(b, IFLA_ADDRESS, v->mac, RT_MAC_LEN);
	if (v->mtu != 0)
		nl_attr_u32(b, IFLA_MTU, v->mtu);
	info = nl_nest_begin(b, IFLA_LINKINFO);
	nl_attr(b, IFLA_INFO_KIND, "veth", 4);
	data = nl_nest_begin(b, IFLA_INFO_DATA);
	end = nl_nest_begin(b, VETH_INFO_PEER);
	nl_put(b, &peer, sizeof(peer));
	nl_attr_cstr(b, IFLA_IFNAME, v->peer_name);
	nl_attr(b, IFLA_ADDRESS, v->peer_mac, RT_MAC_LEN);
	if (v->mtu != 0)
		nl_attr_u32(b, IFLA_MTU, v->mtu);
	if (v->peer_netns_fd >= 0)
		nl_attr_u32(b, IFLA_NET_NS_FD, (uint32_t)v->peer_netns_fd);
	else if (v->peer_netns_pid > 0)
		nl_attr_u32(b, IFLA_NET_NS_PID, (uint32_t)v->peer_netns_pid);
	nl_nest_end(b, end);
	nl_nest_end(b, data);
	nl_nest_end(b, info);
	nl_msg_end(b);
}

void
rt_dummy_add(struct nl_batch *b, const char *name)
{
	struct ifinfomsg ifi = {0};
	size_t info = 0;

	link_begin(b, RTM_NEWLINK, ADD, &ifi);
	nl_attr_cstr(b, IFLA_IFNAME, name);
	info = nl_nest_begin(b, IFLA_LINKINFO);
	nl_attr(b, IFLA_INFO_KIND, "dummy", 5);
	nl_nest_end(b, info);
	nl_msg_end(b);
}

void
rt_link_del(struct nl_batch *b, int index, const char *name)
{
	struct ifinfomsg ifi = {.ifi_index = index};

	link_begin(b, RTM_DELLINK, 0, &ifi);
	if (index <= 0)
		nl_attr_cstr(b, IFLA_IFNAME, name);
	nl_msg_end(b);
}

void
rt_link_set(struct nl_batch *b, const struct rt_link_set *s)
{
	struct ifinfomsg ifi = {.ifi_index = s->index};

	if (s->up != 0) {
		ifi.ifi_change = IFF_UP;
		ifi.ifi_flags = s->up > 0 ? IFF_UP : 0;
	}
	link_begin(b, RTM_NEWLINK, 0, &ifi);
	if (s->name != NULL)
		nl_attr_cstr(b, IFLA_IFNAME, s->name);
	if (s->alias != NULL)
		nl_attr(b, IFLA_IFALIAS, s->alias, strlen(s->alias));
	if (s->mtu != 0)
		nl_attr_u32(b, IFLA_MTU, s->mtu);
	if (s->netns_fd > 0)
		nl_attr_u32(b, IFLA_NET_NS_FD, (uint32_t)s->netns_fd);
	if (s->no_addr_gen != 0) {
		size_t spec = nl_nest_begin(b, IFLA_AF_SPEC);
		size_t inet6 = nl_nest_begin(b, AF_INET6);

		nl_attr_u8(b, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
		nl_nest_end(b, inet6);
		nl_nest_end(b, spec);
	}
	nl_msg_end(b);
}

static void
link_counters(struct str a, struct rt_link *l)
{
	struct rtnl_link_stats64 st = {0};

	memcpy(&st, a.p, a.n < sizeof(st) ? a.n : sizeof(st));
	l->rx_bytes = st.rx_bytes;
	l->tx_bytes = st.tx_bytes;
	l->rx_packets = st.rx_packets;
	l->tx_packets = st.tx_packets;
	l->rx_errors = st.rx_errors;
	l->tx_errors = st.tx_errors;
	l->rx_dropped = st.rx_dropped;
	l->tx_dropped = st.tx_dropped;
}

int
rt_link_parse(const struct nl_msg *m, struct rt_link *ret)
{
	struct str t[IFLA_ALT_IFNAME + 1], info[IFLA_INFO_KIND + 1];
	struct rt_link l = {0};
	struct ifinfomsg ifi;

	if ((m->type != RTM_NEWLINK && m->type != RTM_DELLINK) || m->payload.n < sizeof(ifi))
		return -EINVAL;
	memcpy(&ifi, m->payload.p, sizeof(ifi));
	nl_attrs(str_sub(m->payload, NLMSG_ALIGN(sizeof(ifi)), SIZE_MAX), t, ARRAY_LEN(t));
	l.index = ifi.ifi_index;
	l.flags = ifi.ifi_flags;
	l.type = ifi.ifi_type;
	l.mtu = nl_get_u32(t[IFLA_MTU]);
	l.peer_index = (int)nl_get_u32(t[IFLA_LINK]);
	l.carrier = nl_get_u8(t[IFLA_CARRIER]) != 0;
	if (t[IFLA_ADDRESS].n == RT_MAC_LEN) {
		memcpy(l.mac, t[IFLA_ADDRESS].p, RT_MAC_LEN);
		l.has_mac = true;
	}
	str_copy_c(nl_get_cstr(t[IFLA_IFNAME]), l.name, sizeof(l.name));
	nl_attrs(t[IFLA_LINKINFO], info, ARRAY_LEN(info));
	str_copy_c(nl_get_cstr(info[IFLA_INFO_KIND]), l.kind, sizeof(l.kind));
	l.alias = nl_get_cstr(t[IFLA_IFALIAS]);
	if (str_is_set(t[IFLA_STATS64]))
		link_counters(t[IFLA_STATS64], &l);
	*ret = l;
	return 0;
}

/* A typed callback behind nl_dump's untyped one. */
struct listing {
	union {
		int (*link)(void *arg, const struct rt_link *l);
		int (*addr)(void *arg, const struct rt_addr *a);
		int (*route)(void *arg, const struct rt_route *r);
	} fn;
	void *arg;
	int index;
	uint8_t protocol;
};

static int
on_link(void *arg, const struct nl_msg *m)
{
	struct listing *ls = arg;
	struct rt_link l = {0};

	return rt_link_parse(m, &l) < 0 ? 0 : ls->fn.link(ls->arg, &l);
}

int
rt_link_list(
	struct nl_sock *s, int (*fn)(void *arg, const struct rt_link *l), void *arg, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	struct listing ls = {.fn.link = fn, .arg = arg};
	struct ifinfomsg ifi = {0};

	nl_batch_init(&b);
	link_begin(&b, RTM_GETLINK, NLM_F_DUMP, &ifi);
	nl_msg_end(&b);
	return nl_dump(s, &b, on_link, &ls, e);
}

static int
on_one_link(void *arg, const struct rt_link *l)
{
	struct rt_link *out = arg;

	*out = *l;
	out->alias = STR_NONE;
	return 0;
}

int
rt_link_get(struct nl_sock *s, const char *name, struct rt_link *ret, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	struct rt_link l = {0};
	struct listing ls = {.fn.link = on_one_link, .arg = &l};
	struct ifinfomsg ifi = {0};
	int code = 0;

	nl_batch_init(&b);
	link_begin(&b, RTM_GETLINK, 0, &ifi);
	nl_attr_cstr(&b, IFLA_IFNAME, name);
	nl_msg_end(&b);
	code = nl_dump(s, &b, on_link, &ls, e);
	if (code < 0)
		return err_wrap(e, "link '%s'", name), code;
	if (l.index == 0)
		return err_set(e, -ENODEV, R_UNKNOWN, "link '%s': no answer", name);
	*ret = l;
	return 0;
}

/* ---- addresses ---- */

static void
addr_message(struct nl_batch *b, uint16_t type, uint16_t flags, const struct rt_addr *a)
{
	struct ifaddrmsg ifa = {
		.ifa_family = af_of(a->prefix.addr.family),
		.ifa_prefixlen = a->prefix.len,
		.ifa_scope = a->scope,
		.ifa_index = (uint32_t)a->index,
	};
	uint32_t ifa_flags = a->flags;

	if (a->prefix.addr.family == 6 && !a->dad)
		ifa_flags |= IFA_F_NODAD;
	nl_msg_begin(b, type, flags);
	nl_put(b, &ifa, sizeof(ifa));
	attr_ip(b, IFA_LOCAL, &a->prefix.addr);
	attr_ip(b, IFA_ADDRESS, &a->prefix.addr);
	if (type == RTM_NEWADDR && ifa_flags != 0)
		nl_attr_u32(b, IFA_FLAGS, ifa_flags);
	if (type == RTM_NEWADDR && (a->valid_s != 0 || a->deprecated)) {
		struct ifa_cacheinfo ci = {
			.ifa_valid = a->valid_s != 0 ? a->valid_s : UINT32_MAX,
			.ifa_prefered = a->deprecated ? 0
				: a->preferred_s != 0 ? a->preferred_s
						      : a->valid_s,
		};

		nl_attr(b, IFA_CACHEINFO, &ci, sizeof(ci));
	}
	nl_msg_end(b);
}

void
rt_addr_add(struct nl_batch *b, const struct rt_addr *a)
{
	addr_message(b, RTM_NEWADDR, PUT, a);
}

void
rt_addr_del(struct nl_batch *b, const struct rt_addr *a)
{
	addr_message(b, RTM_DELADDR, 0, a);
}

int
rt_addr_parse(const struct nl_msg *m, struct rt_addr *ret)
{
	struct str t[IFA_FLAGS + 1], own = STR_NONE;
	struct rt_addr a = {0};
	struct ifaddrmsg ifa;

	if ((m->type != RTM_NEWADDR && m->type != RTM_DELADDR) || m->payload.n < sizeof(ifa))
		return -EINVAL;
	memcpy(&ifa, m->payload.p, sizeof(ifa));
	nl_attrs(str_sub(m->payload, NLMSG_ALIGN(sizeof(ifa)), SIZE_MAX), t, ARRAY_LEN(t));
	own = str_is_set(t[IFA_LOCAL]) ? t[IFA_LOCAL] : t[IFA_ADDRESS];
	a.prefix.addr = ip_from_bytes(own.p, own.n);
	if (af_of(a.prefix.addr.family) != ifa.ifa_family || !ip_is_set(&a.prefix.addr) ||
		ifa.ifa_prefixlen > 8 * ip_size(&a.prefix.addr))
		return -EINVAL;
	a.index = (int)ifa.ifa_index;
	a.prefix.len = ifa.ifa_prefixlen;
	a.scope = ifa.ifa_scope;
	a.flags = str_is_set(t[IFA_FLAGS]) ? nl_get_u32(t[IFA_FLAGS]) : ifa.ifa_flags;
	a.dad = (a.flags & IFA_F_NODAD) == 0;
	a.deprecated = (a.flags & IFA_F_DEPRECATED) != 0;
	if (t[IFA_CACHEINFO].n >= sizeof(struct ifa_cacheinfo)) {
		struct ifa_cacheinfo ci;

		memcpy(&ci, t[IFA_CACHEINFO].p, sizeof(ci));
		a.valid_s = ci.ifa_valid == UINT32_MAX ? 0 : ci.ifa_valid;
		a.preferred_s = ci.ifa_prefered == UINT32_MAX ? 0 : ci.ifa_prefered;
	}
	*ret = a;
	return 0;
}

static int
on_addr(void *arg, const struct nl_msg *m)
{
	struct listing *ls = arg;
	struct rt_addr a = {0};

	if (rt_addr_parse(m, &a) < 0 || (ls->index != 0 && a.index != ls->index))
		return 0;
	return ls->fn.addr(ls->arg, &a);
}

int
rt_addr_list(struct nl_sock *s, int index, int (*fn)(void *arg, const struct rt_addr *a), void *arg,
	struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	struct listing ls = {.fn.addr = fn, .arg = arg, .index = index};
	struct ifaddrmsg ifa = {0};

	nl_batch_init(&b);
	nl_msg_begin(&b, RTM_GETADDR, NLM_F_DUMP);
	nl_put(&b, &ifa, sizeof(ifa));
	nl_msg_end(&b);
	return nl_dump(s, &b, on_addr, &ls, e);
}

/* ---- routes ---- */

static void
route_message(struct nl_batch *b, uint16_t type, uint16_t flags, const struct rt_route *r)
{
	uint32_t table = r->table != 0 ? r->table : RT_TABLE_MAIN;
	bool adding = type == RTM_NEWROUTE;
	struct rtmsg rtm = {
		.rtm_family = af_of(r->dst.addr.family),
		.rtm_dst_len = r->dst.len,
		.rtm_table = table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC,
		.rtm_protocol = r->protocol != 0 ? r->protocol
			: adding                 ? RTPROT_STATIC
						 : 0,
		.rtm_type = r->type != 0 ? r->type
			: adding         ? RTN_UNICAST
					 : 0,
		.rtm_flags = adding && r->onlink ? RTNH_F_ONLINK : 0,
	};

	if (!adding)
		rtm.rtm_scope = RT_SCOPE_NOWHERE; /* any */
	else if (r->scope != 0)
		rtm.rtm_scope = r->scope;
	else if (rtm.rtm_type == RTN_UNICAST && !ip_is_set(&r->gateway))
		rtm.rtm_scope = RT_SCOPE_LINK;
	nl_msg_begin(b, type, flags);
	nl_put(b, &rtm, sizeof(rtm));
	nl_attr_u32(b, RTA_TABLE, table);
	if (r->dst.len > 0)
		attr_ip(b, RTA_DST, &r->dst.addr);
	attr_ip(b, RTA_GATEWAY, &r->gateway);
	if (adding)
		attr_ip(b, RTA_PREFSRC, &r->source);
	if (r->index != 0)
		nl_attr_u32(b, RTA_OIF, (uint32_t)r->index);
	if (r->metric != 0)
		nl_attr_u32(b, RTA_PRIORITY, r->metric);
	if (adding && r->mtu != 0) {
		size_t metrics = nl_nest_begin(b, RTA_METRICS);

		nl_attr_u32(b, RTAX_MTU, r->mtu);
		nl_nest_end(b, metrics);
	}
	nl_msg_end(b);
}

void
rt_route_add(struct nl_batch *b, const struct rt_route *r)
{
	route_message(b, RTM_NEWROUTE, PUT, r);
}

void
rt_route_del(struct nl_batch *b, const struct rt_route *r)
{
	route_message(b, RTM_DELROUTE, 0, r);
}

int
rt_route_parse(const struct nl_msg *m, struct rt_route *ret)
{
	struct str t[RTA_TABLE + 1], metrics[RTAX_MTU + 1];
	struct rt_route r = {0};
	struct rtmsg rtm;

	if ((m->type != RTM_NEWROUTE && m->type != RTM_DELROUTE) || m->payload.n < sizeof(rtm))
		return -EINVAL;
	memcpy(&rtm, m->payload.p, sizeof(rtm));
	nl_attrs(str_sub(m->payload, NLMSG_ALIGN(sizeof(rtm)), SIZE_MAX), t, ARRAY_LEN(t));
	r.dst.addr.family = rtm.rtm_family == AF_INET ? 4 : rtm.rtm_family == AF_INET6 ? 6 : 0;
	if (r.dst.addr.family == 0 || rtm.rtm_dst_len > 8 * ip_size(&r.dst.addr))
		return -EINVAL;
	if (str_is_set(t[RTA_DST])) {
		if (t[RTA_DST].n != ip_size(&r.dst.addr))
			return -EINVAL;
		r.dst.addr = ip_from_bytes(t[RTA_DST].p, t[RTA_DST].n);
	}
	r.dst.len = rtm.rtm_dst_len;
	r.gateway = ip_from_bytes(t[RTA_GATEWAY].p, t[RTA_GATEWAY].n);
	r.source = ip_from_bytes(t[RTA_PREFSRC].p, t[RTA_PREFSRC].n);
	r.index = (int)nl_get_u32(t[RTA_OIF]);
	r.metric = nl_get_u32(t[RTA_PRIORITY]);
	r.table = str_is_set(t[RTA_TABLE]) ? nl_get_u32(t[RTA_TABLE]) : rtm.rtm_table;
	r.onlink = (rtm.rtm_flags & RTNH_F_ONLINK) != 0;
	r.type = rtm.rtm_type;
	r.scope = rtm.rtm_scope;
	r.protocol = rtm.rtm_protocol;
	nl_attrs(t[RTA_METRICS], metrics, ARRAY_LEN(metrics));
	r.mtu = nl_get_u32(metrics[RTAX_MTU]);
	*ret = r;
	return 0;
}

static int
on_route(void *arg, const struct nl_msg *m)
{
	struct listing *ls = arg;
	struct rt_route r = {0};

	if (rt_route_parse(m, &r) < 0 || r.table != RT_TABLE_MAIN ||
		(ls->protocol != 0 && r.protocol != ls->protocol))
		return 0;
	return ls->fn.route(ls->arg, &r);
}

int
rt_route_list(struct nl_sock *s, int family, uint8_t protocol,
	int (*fn)(void *arg, const struct rt_route *r), void *arg, struct err *e)
{
	struct listing ls = {.fn.route = fn, .arg = arg, .protocol = protocol};

	for (int f = 4; f <= 6; f += 2) {
		_cleanup_nl_batch_ struct nl_batch b;
		struct rtmsg rtm = {.rtm_family = af_of(f)};
		int code = 0;

		if (family != 0 && family != f)
			continue;
		nl_batch_init(&b);
		nl_msg_begin(&b, RTM_GETROUTE, NLM_F_DUMP);
		nl_put(&b, &rtm, sizeof(rtm));
		nl_msg_end(&b);
		code = nl_dump(s, &b, on_route, &ls, e);
		if (code != 0)
			return code;
	}
	return 0;
}

/* ---- neighbours ---- */

static void
neigh_message(struct nl_batch *b, uint16_t type, uint16_t flags, int index, const struct ip_addr *a,
	const uint8_t *mac)
{
	struct ndmsg nd = {
		.ndm_family = af_of(a->family),
		.ndm_ifindex = index,
		.ndm_state = NUD_PERMANENT,
		.ndm_type = RTN_UNICAST,
	};

	nl_msg_begin(b, type, flags);
	nl_put(b, &nd, sizeof(nd));
	attr_ip(b, NDA_DST, a);
	if (mac != NULL)
		nl_attr(b, NDA_LLADDR, mac, RT_MAC_LEN);
	nl_msg_end(b);
}

void
rt_neigh_add(struct nl_batch *b, int index, const struct ip_addr *a, const uint8_t mac[RT_MAC_LEN])
{
	neigh_message(b, RTM_NEWNEIGH, PUT, index, a, mac);
}

void
rt_neigh_del(struct nl_batch *b, int index, const struct ip_addr *a)
{
	neigh_message(b, RTM_DELNEIGH, 0, index, a, NULL);
}
