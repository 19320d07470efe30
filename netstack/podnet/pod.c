/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * One pod's veth pair. Both ends' indices and MACs are chosen beforehand, so that one batch does the host
 * side and one the pod's side: no questions, no ARP, no duplicate address detection. The pod's side
 * goes through a socket that was opened inside the pod's namespace: a netlink socket stays in
 * the namespace it was made in.
 * Traps: automatic link-local addresses can be switched off neither in the message that creates a
 * veth nor in the one that sets it up, but in one between; the host's default is set by sysctl. When
 * one end comes up, the other starts sending a moment later, from a work queue of the kernel; asking
 * for the link makes the kernel do that work first. In the same way a new IPv6 address receives
 * only after a work queue has run: a local route of our own receives from the start.
 * Source: rtnetlink(7), RFC 3927 (169.254/16), kernel net/core/{rtnetlink,link_watch}.c. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "netstack/podnet/podnet_int.h"

static const struct ip_addr gateway4 = {4, {169, 254, 1, 1}};
static const struct ip_addr gateway6 = {6, {[0] = 0xfe, [1] = 0x80, [15] = 1}};

/* Address, gateway as permanent neighbour, default route of one family, at the pod's end. */
static void
child_family(struct nl_batch *b, const struct podnet_pod *pod, const struct ip_addr *own,
	const struct ip_addr *gateway)
{
	struct rt_route to_all = {
		.dst = {.addr = {.family = own->family}},
		.gateway = *gateway,
		.index = pod->pod_index,
		.onlink = true,
		.protocol = RTPROT_STATIC,
	};

	if (!ip_is_set(own))
		return;
	rt_addr_add(b, &(struct rt_addr){.index = pod->pod_index, .prefix = ip_host_prefix(own)});
	if (own->family == 6)
		rt_route_add(b,
			&(struct rt_route){
				.dst = ip_host_prefix(own),
				.index = 1,
				.type = RTN_LOCAL,
				.scope = RT_SCOPE_HOST,
				.table = RT_TABLE_LOCAL,
			});
	rt_neigh_add(b, pod->pod_index, gateway, pod->host_mac);
	rt_route_add(b, &to_all);
}

static void
child_messages(struct nl_batch *b, const struct podnet_pod *pod)
{
	rt_link_set(b, &(struct rt_link_set){.index = 1, .up = 1});
	rt_link_set(b, &(struct rt_link_set){.index = pod->pod_index, .no_addr_gen = 1});
	rt_link_set(b, &(struct rt_link_set){.index = pod->pod_index, .up = 1});
	child_family(b, pod, &pod->v4, &gateway4);
	child_family(b, pod, &pod->v6, &gateway6);
}

static void
mac_of(uint8_t mac[RT_MAC_LEN], uint32_t number, uint8_t end)
{
	const uint8_t m[RT_MAC_LEN] = {
		0x02, 'k', 'p', (uint8_t)(number >> 8), (uint8_t)number, end};

	memcpy(mac, m, RT_MAC_LEN);
}

void
podnet_pod_fill(const struct podnet *pn, uint32_t number, struct podnet_pod *ret)
{
	const struct podnet_slot *s = &pn->slots[number];
	struct podnet_pod pod = {
		.number = number,
		.host_index = PODNET_INDEX_BASE + (int)number,
		.pod_index = 2,
		.v4 = s->v4,
		.v6 = s->v6,
		.mtu = pn->mtu,
	};

	memcpy(pod.key, s->key, sizeof(pod.key));
	snprintf(pod.ifname, sizeof(pod.ifname), PODNET_PREFIX "%u", number);
	mac_of(pod.host_mac, number, 1);
	mac_of(pod.pod_mac, number, 2);
	*ret = pod;
}

static void
host_family(struct nl_batch *b, const struct podnet_pod *pod, const struct ip_addr *addr)
{
	struct rt_route to_pod = {
		.index = pod->host_index,
		.protocol = PODNET_PROTO,
	};

	if (!ip_is_set(addr))
		return;
	to_pod.dst = ip_host_prefix(addr);
	rt_neigh_add(b, pod->host_index, addr, pod->pod_mac);
	rt_route_add(b, &to_pod);
}

static int
attach_undo(struct podnet *pn, const struct podnet_pod *pod)
{
	_cleanup_nl_batch_ struct nl_batch b;

	nl_batch_init(&b);
	rt_link_del(&b, pod->host_index, NULL);
	nl_allow_error(&b, -ENODEV);
	return nl_commit(&pn->sock, &b, NULL, NULL);
}

/* The host's end and the way to it. Fails at message 0 when the veth could not be made. */
static int
attach_host(struct podnet *pn, const struct podnet_pod *pod, int ns, uint32_t *ret_failed,
	struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	struct rt_veth v = {
		.name = pod->ifname,
		.peer_name = "eth0",
		.index = pod->host_index,
		.peer_index = pod->pod_index,
		.mtu = pod->mtu,
		.peer_netns_fd = ns,
	};

	memcpy(v.mac, pod->host_mac, RT_MAC_LEN);
	memcpy(v.peer_mac, pod->pod_mac, RT_MAC_LEN);
	nl_batch_init(&b);
	rt_veth_add(&b, &v);
	rt_link_set(
		&b, &(struct rt_link_set){.index = pod->host_index, .up = 1, .alias = pod->key});
	host_family(&b, pod, &pod->v4);
	host_family(&b, pod, &pod->v6);
	return nl_commit(&pn->sock, &b, ret_failed, e);
}

/* The pod's end, from outside. */
static int
attach_pod(struct podnet *pn, const struct podnet_pod *pod, int ns, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	_cleanup_nl_sock_ struct nl_sock s = {.fd = -1};
	int code = 0;

	if (setns(ns, CLONE_NEWNET) < 0)
		return err_errno(e, -errno, "entering the pod's network namespace");
	code = nl_open(&s, NETLINK_ROUTE);
	BUG_ON(setns(pn->home_ns, CLONE_NEWNET) < 0); /* going on elsewhere would be worse */
	if (code < 0)
		return err_errno(e, code, "opening a route socket in the pod");
	nl_batch_init(&b);
	child_messages(&b, pod);
	return nl_commit(&s, &b, NULL, e);
}

int
podnet_pod_attach(
	struct podnet *pn, const struct podnet_pod *pod, int pid, int netns_fd, struct err *e)
{
	struct podnet_slot *s = &pn->slots[pod->number];
	_cleanup_fd_ int opened = -1;
	struct rt_link l = {0};
	uint32_t failed = 1;
	char path[40];
	int ns = netns_fd, code = 0;

	if (!s->held || strcmp(s->key, pod->key) != 0)
		return err_set(e, -EINVAL, R_UNKNOWN, "pod '%s' does not hold number %u", pod->key,
			pod->number);
	if (ns < 0) {
		snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
		ns = opened = open(path, O_RDONLY | O_CLOEXEC);
		if (ns < 0)
			return err_errno(e, errno == ENOENT ? -ESRCH : -errno,
				"network namespace of pod '%s'", pod->key);
	}
	code = attach_host(pn, pod, ns, &failed, e);
	if (code == 0)
		code = attach_pod(pn, pod, ns, e);
	if (code == 0)
		code = rt_link_get(&pn->sock, pod->ifname, &l, e); /* settles the host's end */
	if (code < 0) {
		/* failing at the first message, the veth is not ours to undo */
		if (failed > 0)
			attach_undo(pn, pod);
		return err_wrap(e, "network of pod '%s'", pod->key), code;
	}
	s->linked = true;
	return 0;
}

int
podnet_child_loopback(void)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
	} m = {
		.h = {.nlmsg_len = sizeof(m),
			.nlmsg_type = RTM_NEWLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
			.nlmsg_seq = 1},
		.i = {.ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP},
	};

	return nl_exec_raw(NETLINK_ROUTE, &m, sizeof(m));
}

int
podnet_pod_counters(struct podnet *pn, const char *key, struct rt_link *ret, struct err *e)
{
	struct podnet_pod pod;
	struct rt_link l = {0};
	int code = podnet_pod_get(pn, key, &pod);

	if (code < 0)
		return err_set(e, code, R_UNKNOWN, "pod '%s' has no network", key);
	code = rt_link_get(&pn->sock, pod.ifname, &l, e);
	if (code < 0)
		return code == -ENODEV ? -ENOENT : code;
	/* what the host end sends, the pod receives */
	*ret = l;
	ret->rx_bytes = l.tx_bytes;
	ret->tx_bytes = l.rx_bytes;
	ret->rx_packets = l.tx_packets;
	ret->tx_packets = l.rx_packets;
	ret->rx_errors = l.tx_errors;
	ret->tx_errors = l.rx_errors;
	ret->rx_dropped = l.tx_dropped;
	ret->tx_dropped = l.rx_dropped;
	return 0;
}
