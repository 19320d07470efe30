/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * podnet, inside: the state its files share. */
#ifndef NETSTACK_PODNET_PODNET_INT_H
#define NETSTACK_PODNET_PODNET_INT_H

#include "base/hash.h"
#include "netstack/podnet/podnet.h"

enum {
	PODNET_PROTO = 107,           /* RTPROT of our routes: how a later process knows them */
	PODNET_INDEX_BASE = 0x100000, /* host end of pod i: interface index base + i */
	PODNET_FIRST = 2,             /* 0 is the network, 1 is kept free */
};

#define PODNET_TABLE "keelson-pods"
#define PODNET_PREFIX "kp"

/* One number. Free when neither held nor linked. */
struct podnet_slot {
	bool held;   /* a pod has it */
	bool linked; /* its veth is in the kernel */
	struct ip_addr v4, v6;
	char key[PODNET_KEY_MAX];
};

struct podnet_peer {
	struct podnet_node want;
	bool seen_by_kernel; /* its routes have been sent */
};

struct podnet {
	struct loop *loop;
	int home_ns;             /* the namespace all this is about */
	struct nl_sock sock;     /* NETLINK_ROUTE */
	struct nl_monitor links; /* sock.fd < 0 without a loop */
	void (*on_gone)(void *arg, const char *key);
	void *arg;
	struct podnet_slot *slots; /* PODNET_PODS_MAX */
	uint32_t last;             /* number given out last: freed ones rest a while */
	bool configured;
	struct ip_prefix cidr4, cidr6;
	struct ip_prefix *keep; /* cluster ranges, copied */
	size_t n_keep;
	char uplink[RT_NAME_MAX];
	int uplink_index;
	uint32_t mtu;
	bool no_masquerade;
	struct map nodes; /* name -> struct podnet_peer */
};

/* podnet_pod_fill: everything a pod of this number has. */
void podnet_pod_fill(const struct podnet *pn, uint32_t number, struct podnet_pod *ret);
/* podnet_number: of a link name "kp<number>"; 0 = not ours. */
uint32_t podnet_number(const char *name);
/* podnet_rules_apply: writes the masquerade and spoof rules for what is configured now. */
int podnet_rules_apply(struct podnet *pn, struct err *e);
/* podnet_own_routes: unreachable routes for this node's ranges. */
void podnet_own_routes(const struct podnet *pn, struct nl_batch *b);

#endif
