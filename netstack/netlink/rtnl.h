/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * rtnl: links, addresses, routes, neighbours: encoders into a batch, decoders of dumps and
 * notifications. Part of the front door netlink.h. All encoders append exactly one message and fail
 * only through the batch. Source: rtnetlink(7), linux/{rtnetlink,if_link,if_addr,neighbour}.h. */
#ifndef NETSTACK_NETLINK_RTNL_H
#define NETSTACK_NETLINK_RTNL_H

#include "netstack/netlink/netlink.h"

enum { RT_NAME_MAX = 16, RT_MAC_LEN = 6 };

/* ---- links ---- */

struct rt_veth {
	const char *name;      /* host end, <= 15 characters */
	const char *peer_name; /* other end */
	int index, peer_index; /* chosen indices, 0 = the kernel's choice; peer_index needs index */
	uint8_t mac[RT_MAC_LEN], peer_mac[RT_MAC_LEN];
	uint32_t mtu;       /* both ends, 0 = default */
	int peer_netns_fd;  /* namespace of the other end; -1: use peer_netns_pid */
	int peer_netns_pid; /* 0 = stays here */
};
/* Fails with -EEXIST when a name or index is taken. */
void rt_veth_add(struct nl_batch *b, const struct rt_veth *v);
/* rt_dummy_add: a link that only carries addresses. -EEXIST when it is there. */
void rt_dummy_add(struct nl_batch *b, const char *name);
/* rt_link_del: by index (> 0) or by name. -ENODEV when gone. Deleting one end of a veth deletes both. */
void rt_link_del(struct nl_batch *b, int index, const char *name);

/* What to change about a link; zero fields are left alone. */
struct rt_link_set {
	int index;         /* 0: found by name */
	const char *name;  /* with index set: the new name */
	const char *alias; /* free text, <= 255 bytes */
	uint32_t mtu;
	int up;          /* 1 up, -1 down */
	int netns_fd;    /* move there; 0 = stay (descriptor 0 is not accepted) */
	int no_addr_gen; /* 1: no automatic IPv6 link-local address. Must be a message of its own,
	                        before the one that sets up, and after the one that created the link */
};
void rt_link_set(struct nl_batch *b, const struct rt_link_set *s);

struct rt_link {
	int index;
	int peer_index; /* veth: index of the other end in its namespace; 0 = none told */
	uint32_t flags; /* IFF_* */
	uint32_t mtu;
	uint16_t type; /* ARPHRD_* */
	uint8_t mac[RT_MAC_LEN];
	bool has_mac;
	bool carrier;
	char name[RT_NAME_MAX];
	char kind[16];    /* "veth", "dummy", "" for hardware */
	struct str alias; /* borrows the message */
	uint64_t rx_bytes, tx_bytes, rx_packets, tx_packets, rx_errors, tx_errors, rx_dropped,
		tx_dropped;
};
/* rt_link_parse: of RTM_NEWLINK or RTM_DELLINK. 0 or -EINVAL (another type, or too short). */
int rt_link_parse(const struct nl_msg *m, struct rt_link *ret);
/* rt_link_list: calls fn for every link. rt_link_get: one by name; -ENODEV. */
int rt_link_list(
	struct nl_sock *s, int (*fn)(void *arg, const struct rt_link *l), void *arg, struct err *e);
/* ret->alias is emptied (its bytes would dangle). */
int rt_link_get(struct nl_sock *s, const char *name, struct rt_link *ret, struct err *e);

/* ---- addresses ---- */

struct rt_addr {
	int index;               /* link */
	struct ip_prefix prefix; /* the address with its length */
	uint8_t scope;  /* RT_SCOPE_*: 0 global, 253 link, 254 host (never chosen as source) */
	uint32_t flags; /* IFA_F_*; IPv6: rt_addr_add always adds NODAD unless dad is set */
	bool dad;
	uint32_t valid_s, preferred_s; /* lifetime; 0 = for ever */
	bool deprecated; /* rt_addr_add: no source of its own accord while there is another */
};
/* rt_addr_add: creates or replaces. rt_addr_del: -EADDRNOTAVAIL when gone. */
void rt_addr_add(struct nl_batch *b, const struct rt_addr *a);
void rt_addr_del(struct nl_batch *b, const struct rt_addr *a);
/* rt_addr_parse: of RTM_NEWADDR or RTM_DELADDR. 0 or -EINVAL. */
int rt_addr_parse(const struct nl_msg *m, struct rt_addr *ret);
/* rt_addr_list: index 0 = of all links. */
int rt_addr_list(struct nl_sock *s, int index, int (*fn)(void *arg, const struct rt_addr *a),
	void *arg, struct err *e);

/* ---- routes ---- */

struct rt_route {
	struct ip_prefix dst;   /* family always set; len 0 = default route */
	struct ip_addr gateway; /* may be none: dst is on the link */
	struct ip_addr source;  /* preferred source, may be none */
	int index;              /* link; 0 = found by the gateway */
	bool onlink;            /* the gateway is on the link whatever its address */
	uint8_t type;           /* RTN_*; 0 = unicast */
	uint8_t scope;          /* 0 = derived: link without, universe with a gateway */
	uint8_t protocol;       /* RTPROT_*: who made it; 0 = RTPROT_STATIC */
	uint32_t metric;        /* 0 = default */
	uint32_t mtu;           /* 0 = the link's */
	uint32_t table;         /* 0 = main */
};
/* rt_route_add: creates or replaces the route with the same destination, table and metric.
 * rt_route_del: -ESRCH when gone. */
void rt_route_add(struct nl_batch *b, const struct rt_route *r);
void rt_route_del(struct nl_batch *b, const struct rt_route *r);
int rt_route_parse(const struct nl_msg *m, struct rt_route *ret);
/* rt_route_list: family 4, 6 or 0 = both; protocol 0 = any. Main table only. */
int rt_route_list(struct nl_sock *s, int family, uint8_t protocol,
	int (*fn)(void *arg, const struct rt_route *r), void *arg, struct err *e);

/* ---- neighbours ---- */

/* rt_neigh_add: a permanent entry (never asked for, never aged), replacing any. */
void rt_neigh_add(
	struct nl_batch *b, int index, const struct ip_addr *a, const uint8_t mac[RT_MAC_LEN]);
void rt_neigh_del(struct nl_batch *b, int index, const struct ip_addr *a);

#endif
