/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lease: a DHCPv4 lease for one interface and the time of the network's clock, by lwIP over a packet
 * socket. Puts nothing into the kernel but the time: the caller (network.c) does. Addresses are four
 * bytes in network order here, because lwIP and base/ip.h name their types alike. */
#ifndef INIT_LEASE_H
#define INIT_LEASE_H

#include "base/err.h"
#include "base/loop.h"

enum { LEASE_DNS_MAX = 4 };

struct lease {
	uint8_t addr[4], gateway[4]; /* gateway: all zero = none */
	uint8_t prefix_len;
	uint8_t dns[LEASE_DNS_MAX][4];
	size_t n_dns;
};

/* lease_start: asks for a lease and keeps it; on_lease is called when there is one and when it changed.
 * One per process; the interface must be up. hostname goes to the server. Errors: -errno, -EIO. */
int lease_start(struct loop *l, int ifindex, const uint8_t mac[6], const char *hostname,
	void (*on_lease)(void *arg, const struct lease *lease), void *arg, struct err *e);

#endif
