/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * addresses: which of the machine's addresses are the node's: one of each family, IPv4 first, of the link to
 * the other nodes. They come when they come (IPv6 autoconfiguration takes seconds after the link is up) and may
 * change (another lease, another prefix), so the kernel's notifications are watched, and what depends on
 * the addresses is told: Node object, serving certificate, statuses of pods, node ports.
 *
 *   notification -> (end of the turn) all addresses read -> the best of each family -> differs? -> told
 *
 * Invariant: an address that is still good is kept, whatever else appears; the last known ones are kept while
 * there is none at all. Must not: change addresses.
 * Source: rtnetlink(7); RFC 4862 (tentative, deprecated); kubelet pkg/kubelet/nodestatus (NodeAddress). */
#include "orchestrator/node/node_int.h"

#include "orchestrator/nodenet/nodenet.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#define LINKS_MAX 64

struct addresses {
	struct node *n;
	struct nl_sock sock;
	struct nl_monitor monitor;
	struct loop_work work;
};

/* One look: the links that count, and the best address of each family found on one of them. */
struct look {
	const struct node *n;
	int links[LINKS_MAX];
	char names[LINKS_MAX][RT_NAME_MAX];
	size_t n_links;
	int uplink; /* index; 0: the first link with an address becomes it */
	struct ip_addr best[2];
	unsigned rank[2];
};

static bool
starts(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

/* note_link: neither loopback nor our own; when the uplink is known or configured, only that one. */
static int
note_link(void *arg, const struct rt_link *l)
{
	struct look *k = arg;
	struct str want = k->n->cfg->network.interface;
	if (!want.n)
		want = str_c(k->n->facts.uplink);
	if (!(l->flags & IFF_UP) || (l->flags & IFF_LOOPBACK) || starts(l->name, "kp") ||
		starts(l->name, "keelson") || (want.n && !str_eq_c(want, l->name)) ||
		k->n_links == LINKS_MAX)
		return 0;
	memcpy(k->names[k->n_links], l->name, RT_NAME_MAX);
	k->links[k->n_links++] = l->index;
	return 0;
}

static bool
is_link_local(const struct ip_addr *a)
{
	return a->family == 4 ? a->b[0] == 169 && a->b[1] == 254
			      : a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/* addr_rank: 0 = not for others to use; of the others the highest, the first of equal ones. */
static unsigned
addr_rank(const struct node *n, const struct rt_addr *a)
{
	/* IFA_F_TEMPORARY of IPv6 is IFA_F_SECONDARY of IPv4. */
	static const uint32_t unfit = IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_TEMPORARY;
	const struct ip_addr *ip = &a->prefix.addr;
	unsigned rank = 1;
	if ((a->flags & unfit) || a->scope != RT_SCOPE_UNIVERSE || is_link_local(ip))
		return 0;
	for (size_t i = 0; i < n->facts.n_ips; i++)
		if (ip_eq(&n->facts.ips[i], ip))
			rank += 4;
	if (ip->family == 4 ||
		(ip->b[0] & 0xfe) != 0xfc) /* unique local addresses after global ones */
		rank += 2;
	return a->flags & IFA_F_DEPRECATED ? rank : rank + 8;
}

static int
note_addr(void *arg, const struct rt_addr *a)
{
	struct look *k = arg;
	size_t family = a->prefix.addr.family == 6;
	unsigned rank = addr_rank(k->n, a);
	bool counts = false;
	for (size_t i = 0; i < k->n_links; i++)
		counts = counts || k->links[i] == a->index;
	if (!counts || rank <= k->rank[family] || (k->uplink && a->index != k->uplink))
		return 0;
	k->uplink = a->index;
	k->best[family] = a->prefix.addr;
	k->rank[family] = rank;
	return 0;
}

static int
look_at_all(struct look *k, struct nl_sock *s, struct err *e)
{
	int rc = -EINTR;
	for (int tries = 0; tries < 5 && rc == -EINTR; tries++) {
		*k = (struct look){.n = k->n};
		rc = rt_link_list(s, note_link, k, e);
		if (rc == 0)
			rc = rt_addr_list(s, 0, note_addr, k, e);
	}
	return rc;
}

/* addresses_read: 1 when they are others than before, 0, or -errno. */
static int
addresses_read(struct node *n, struct nl_sock *s, struct err *e)
{
	struct node_facts *f = &n->facts;
	struct look k = {.n = n};
	struct ip_addr ips[2] = {0};
	size_t n_ips = 0;
	int rc = look_at_all(&k, s, e);
	if (rc < 0)
		return err_wrap(e, "addresses of the machine"), rc;
	for (size_t i = 0; i < 2; i++)
		if (k.rank[i])
			ips[n_ips++] = k.best[i];
	if (n_ips == 0 || (n_ips == f->n_ips && memcmp(ips, f->ips, sizeof(ips)) == 0))
		return 0;
	memcpy(f->ips, ips, sizeof(ips));
	f->n_ips = n_ips;
	for (size_t i = 0; i < k.n_links; i++)
		if (k.links[i] == k.uplink)
			memcpy(f->uplink, k.names[i], sizeof(f->uplink));
	return 1;
}

static void
on_work(struct loop_work *w)
{
	struct addresses *x = w->arg;
	struct node *n = x->n;
	struct err e = {0};
	char text[2][IP_TEXT_MAX] = {"", ""};
	int rc = addresses_read(n, &x->sock, &e);
	if (rc < 0)
		log_warn("%s", e.msg);
	if (rc <= 0)
		return;
	for (size_t i = 0; i < n->facts.n_ips; i++)
		ip_format(&n->facts.ips[i], text[i]);
	log_info("addresses of this node: %s%s%s", text[0], text[1][0] ? ", " : "", text[1]);
	register_status_later(n);
	join_addresses_changed(n);
	pods_addresses_changed(n);
	if (n->nodenet)
		nodenet_addresses_set(n->nodenet, n->facts.ips, n->facts.n_ips);
}

static void
on_lost(void *arg)
{
	struct addresses *x = arg;
	loop_defer(x->n->loop, &x->work);
}

static void
on_msg(void *arg, const struct nl_msg *m)
{
	(void)m;
	on_lost(arg);
}

int
addresses_start(struct node *n, struct err *e)
{
	static const int groups[] = {RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR};
	struct addresses *x = calloc(1, sizeof(*x));
	if (!x)
		return err_errno(e, -ENOMEM, "addresses of the machine");
	x->n = n;
	x->work = (struct loop_work){.fn = on_work, .arg = x};
	x->monitor = (struct nl_monitor){.on_msg = on_msg, .on_lost = on_lost, .arg = x};
	x->sock.fd = x->monitor.sock.fd = -1;
	n->addresses = x;
	int rc = nl_open(&x->sock, NETLINK_ROUTE);
	/* The watch first: nothing that comes between the two is missed. */
	if (rc == 0)
		rc = nl_monitor_start(
			&x->monitor, n->loop, NETLINK_ROUTE, groups, ARRAY_LEN(groups));
	if (rc < 0)
		err_errno(e, rc, "watching addresses");
	if (rc == 0)
		rc = addresses_read(n, &x->sock, e);
	if (rc == 0)
		rc = err_set(e, -EADDRNOTAVAIL, R_UNKNOWN, "no address on any interface");
	if (rc < 0)
		addresses_stop(n);
	return rc < 0 ? rc : 0;
}

void
addresses_stop(struct node *n)
{
	struct addresses *x = TAKE_PTR(n->addresses);
	if (!x)
		return;
	loop_defer_cancel(&x->work);
	nl_monitor_stop(&x->monitor);
	if (x->sock.fd >= 0)
		nl_close(&x->sock);
	free(x);
}
