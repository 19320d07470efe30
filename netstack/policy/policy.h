/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * policy: which connections pods of this node may take and make, in the kernel's nf_tables. The rules are fixed;
 * all that changes is elements, so a packet costs the same with one policy and with a thousand:
 *
 *   pods-in4, pods-out4   address of a pod that is isolated in that direction -> number of its group
 *   allow-in4, allow-out4 number . peer . protocol . port (ranges): what the group permits
 *   self4                 an isolated pod, twice: it always reaches itself
 *
 * A packet that begins a connection is looked at where it is forwarded: after Services have been resolved, before a
 * source is changed. What the node itself sends or takes is not: the node a pod runs on always reaches it. Replies
 * and what belongs to connections that were permitted pass.
 *
 * Flow: policy_open, policy_set with all that is wanted, again whenever something changed; the difference is one
 * atomic batch at the end of the loop turn. Rules outlive the process: until the first policy_set they stay as found.
 * Must not: know Kubernetes objects, wait.
 * Source: kubernetes.io "Network Policies"; linux/netfilter/nf_tables.h. */
#ifndef NETSTACK_POLICY_POLICY_H
#define NETSTACK_POLICY_POLICY_H

#include "netstack/netlink/netlink.h"

enum policy_direction { POLICY_IN, POLICY_OUT, POLICY__DIRECTIONS };

/* Peers and ports that are permitted. */
struct policy_rule {
	struct ip_addr from, to;     /* peers: of one family, both inclusive */
	uint8_t proto;               /* IPPROTO_*; 0 = all protocols, and the ports do not count */
	uint16_t port_from, port_to; /* of the destination, both inclusive */
};
struct policy_group {
	const struct policy_rule
		*rules; /* in any order; may overlap; none = nothing is permitted */
	size_t n;
};
/* A pod's address that is isolated in one direction, and what is permitted all the same. */
struct policy_member {
	struct ip_addr addr;
	enum policy_direction direction;
	size_t group; /* index */
};
struct policy_state {
	const struct policy_group *groups;
	size_t n_groups;
	const struct policy_member *members; /* each address once a direction */
	size_t n_members;
};

struct policy;
/* policy_open: l may be NULL (tests): then changes wait for policy_flush. table NULL = "keelson-policies". on_error (may
 * be NULL): the kernel refused a change; everything is sent anew, with a growing delay. Errors: -errno. Owned. */
int policy_open(struct loop *l, const char *table, void (*on_error)(void *arg, const struct err *e),
	void *arg, struct policy **ret, struct err *e);
/* policy_close: frees; the kernel's rules stay and go on working. NULL allowed. */
void policy_close(struct policy *p);
/* policy_found_state: an earlier process of this version left its rules: they work on until policy_set. */
bool policy_found_state(const struct policy *p);
/* policy_set: this is wanted, and nothing else. s is not kept. The kernel has it at the end of the turn, or after
 * policy_flush. Errors: -ENOMEM (what was set before stays). */
int policy_set(struct policy *p, const struct policy_state *s);
/* policy_flush: sends what has changed now. Errors: -errno (e); the next one sends everything. */
int policy_flush(struct policy *p, struct err *e);

struct policy_stats {
	uint64_t batches, errors;
	uint64_t added, removed; /* elements */
	size_t elements;         /* wanted now */
};
void policy_stats_get(const struct policy *p, struct policy_stats *ret);

#endif
