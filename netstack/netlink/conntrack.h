/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * conntrack: finding and forgetting tracked connections. UDP has no end of its own: an entry that still
 * points to an endpoint that is gone would blackhole its client. Part of the front door netlink.h.
 * Source: linux/netfilter/nfnetlink_conntrack.h. */
#ifndef NETSTACK_NETLINK_CONNTRACK_H
#define NETSTACK_NETLINK_CONNTRACK_H

#include "netstack/netlink/netlink.h"

/* One direction of a connection. */
struct ct_tuple {
	struct ip_addr src, dst;
	uint8_t proto; /* IPPROTO_* */
	uint16_t sport, dport;
};
struct ct_entry {
	struct ct_tuple orig, reply;
	uint32_t status; /* IPS_*; 1 << 5 = destination was changed */
	uint32_t id;
};

/* ct_parse: of IPCTNL_MSG_CT_NEW. 0 or -EINVAL. */
int ct_parse(const struct nl_msg *m, struct ct_entry *ret);
/* ct_delete: appends the deletion of exactly this entry; -ENOENT when gone. */
void ct_delete(struct nl_batch *b, const struct ct_entry *e);
/* ct_flush: deletes every entry of the family (4, 6) and protocol for which match(arg, entry) is true.
 * s is a NETLINK_NETFILTER socket. ret_n (may be NULL): how many. Cost: one walk of the kernel's table.
 * Errors: as nl_dump; entries that vanish meanwhile are no error. */
int ct_flush(struct nl_sock *s, int family, uint8_t proto,
	bool (*match)(void *arg, const struct ct_entry *e), void *arg, size_t *ret_n,
	struct err *e);

#endif
