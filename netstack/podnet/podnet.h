/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * podnet: the network of the pods of one node. Each pod is a veth pair, routed on the host: no bridge, no
 * ARP, no neighbour discovery (permanent entries on both sides). A pod has the addresses
 * <node's v4 pod range> + i and <node's v6 pod range> + i for one number i, its gateways are 169.254.1.1
 * and fe80::1. Traffic to pods of other nodes is routed over the nodes' own addresses; traffic
 * that leaves the cluster is masqueraded.
 *
 * Flow of one pod:
 *   podnet_pod_reserve   a number is taken: names, addresses, MACs are known
 *   (the child is cloned with CLONE_NEWNET, does its mounts, then waits on a pipe)
 *   podnet_pod_attach    veth, both ends configured and ready to carry packets; then the child is told
 *   podnet_pod_release   the veth goes, then the number is free
 * The child itself does nothing: its side is configured through a socket opened in its namespace, and
 * attach returns only when both ends pass packets (a veth whose other end has just come up drops them
 * for a moment, and a lost first SYN costs a second).
 *
 * Invariant: a number is free only when no pod holds it and its veth is gone from the kernel. All state
 * that matters is in the kernel (link names carry the number, aliases the pod's key): a killed node
 * role reads it back in podnet_open.
 * Must not: know Kubernetes objects, wait, keep state on disk.
 * Source: rtnetlink(7); Kubernetes network model (every pod one address per family, no NAT between
 * pods); KEP-563 (dual stack). */
#ifndef NETSTACK_PODNET_PODNET_H
#define NETSTACK_PODNET_PODNET_H

#include "netstack/netlink/netlink.h"

enum {
	PODNET_KEY_MAX = 64,    /* a pod's key (its UID), bytes with NUL */
	PODNET_PODS_MAX = 4096, /* numbers used at most, however large the ranges */
};

/* What a pod has; plain data, copied freely (also across fork). */
struct podnet_pod {
	char key[PODNET_KEY_MAX];
	uint32_t number; /* >= 2 */
	char ifname[16]; /* host end, "kp<number>"; the pod's end is "eth0" */
	int host_index;  /* chosen interface indices */
	int pod_index;
	struct ip_addr v4, v6; /* either may be none when the node has no such range */
	uint8_t host_mac[RT_MAC_LEN], pod_mac[RT_MAC_LEN];
	uint32_t mtu;
};

struct podnet_config {
	struct ip_prefix pod_cidr4, pod_cidr6; /* this node's; family 0 = none */
	const struct ip_prefix *cluster_cidrs; /* never masqueraded: all pods' ranges, services */
	size_t n_cluster_cidrs;
	const char *uplink; /* link to the other nodes, "eth0"; its MTU is the pods' */
	uint32_t mtu;       /* 0 = the uplink's */
	bool no_masquerade;
};

struct podnet;

/* podnet_open: reads back what an earlier process left; sends nothing but GETs. The loop (may be NULL
 * in tests and tools) carries the watch for deleted links.
 * on_gone (may be NULL): a pod's veth vanished though it was not released (key borrowed).
 * Errors: -errno, e says what. Returns owned. */
int podnet_open(struct loop *l, void (*on_gone)(void *arg, const char *key), void *arg,
	struct podnet **ret, struct err *e);
/* podnet_close: frees; pods and their network stay as they are. */
void podnet_close(struct podnet *pn);

/* podnet_configure: sets ranges, writes the sysctls (podnet_sysctls), makes the unreachable routes
 * for the node's ranges and the masquerade rules. May be called again when something changes; running
 * pods keep their addresses. Strings and arrays are copied.
 * Errors: -EINVAL a range too small or of the wrong family; -errno of the kernel. */
int podnet_configure(struct podnet *pn, const struct podnet_config *c, struct err *e);
/* podnet_is_configured: a range is known, pods can be attached. */
bool podnet_is_configured(const struct podnet *pn);

/* podnet_sysctls: forwarding, reverse path filter, router advertisements on the uplink, no automatic
 * link-local addresses on new links, connection tracking. root NULL = "/proc/sys". A name that the
 * kernel does not have is skipped. Errors: -errno of the first write that failed. */
int podnet_sysctls(const char *root, const char *uplink, struct err *e);

/* podnet_pod_reserve: takes a number for the key, or finds the one it has (after a restart too).
 * Errors: -EAGAIN no range is configured yet; -ENOSPC all numbers taken; -EINVAL key too long. */
int podnet_pod_reserve(struct podnet *pn, const char *key, struct podnet_pod *ret, struct err *e);
/* podnet_pod_get: the pod that holds the key. -ENOENT. */
int podnet_pod_get(const struct podnet *pn, const char *key, struct podnet_pod *ret);
/* podnet_pod_attach: makes the pod's network: lo, eth0, addresses and routes in the network namespace of
 * process pid (netns_fd < 0) or in netns_fd, link, routes and neighbours here.
 * Errors: -EEXIST the veth is there; -ESRCH the process is gone; -errno. Nothing is left behind. */
int podnet_pod_attach(
	struct podnet *pn, const struct podnet_pod *pod, int pid, int netns_fd, struct err *e);
/* podnet_child_loopback: only lo up, in the calling process's namespace (a pod that must do without
 * podnet). Only system calls, no allocation: may run in a forked child. 0 or -errno. */
int podnet_child_loopback(void);
/* podnet_pod_release: deletes the veth and frees the number. An unknown key is a success. */
int podnet_pod_release(struct podnet *pn, const char *key, struct err *e);
/* podnet_pods: calls fn for every key held; fn may release the pod it was given. */
void podnet_pods(struct podnet *pn, void (*fn)(void *arg, const struct podnet_pod *pod), void *arg);
/* podnet_pod_counters: the pod's traffic as the pod sees it (rx = received by the pod).
 * Errors: -ENOENT, -errno. */
int podnet_pod_counters(struct podnet *pn, const char *key, struct rt_link *ret, struct err *e);

/* Another node: its addresses on the link the nodes share, and its pods' ranges. */
struct podnet_node {
	struct ip_addr addr4, addr6;
	struct ip_prefix pod_cidr4, pod_cidr6;
};
/* podnet_node_set: makes or changes the routes to the node's pods, and excepts the node's addresses from
 * masquerade. podnet_node_del: removes them. Unchanged = nothing is sent.
 * Errors: -errno. */
int podnet_node_set(
	struct podnet *pn, const char *name, const struct podnet_node *n, struct err *e);
int podnet_node_del(struct podnet *pn, const char *name, struct err *e);
/* podnet_nodes_synced: all nodes have been set: routes that an earlier process made and nobody claims
 * are removed. */
int podnet_nodes_synced(struct podnet *pn, struct err *e);

/* podnet_service_address: a dummy link carrying the addresses (cluster DNS), as host-scope addresses that
 * are never chosen as a source; exactly these, others of the link are removed.
 * Errors: -errno (-EOPNOTSUPP: the kernel has no dummy links). */
int podnet_service_address(const char *link, const struct ip_addr *addrs, size_t n, struct err *e);

#endif
