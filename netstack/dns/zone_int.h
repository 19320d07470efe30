/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The zone, inside: shared by zone.c, which fills it, answer.c, which reads it, and zone_save.c, which does both. */
#ifndef NETSTACK_DNS_ZONE_INT_H
#define NETSTACK_DNS_ZONE_INT_H

#include "netstack/dns/dns_int.h"

struct zsvc;

/* A record; its data as sent, names in full. */
struct zrr {
	uint16_t type, n;
	struct zsvc *owner;
	union {
		uint8_t in[16];
		uint8_t *p; /* n > 16 */
	} data;
};

/* An owner name. Kept while it has records or names below it (then it is no NXDOMAIN). */
struct znode {
	struct dname name;
	struct zrr *rrs;
	uint32_t n, cap;
	uint32_t children;
	uint32_t turn; /* first record of the next answer: a rough balance */
	struct zsvc *mark;
};

/* What one service contributed to. */
struct zsvc {
	char *key; /* "namespace/name" */
	size_t ns_len;
	struct znode **nodes;
	size_t n_nodes;
};

enum { ZONE_REVERSE_MAX = 64 };

struct dns_zone {
	struct dname domain, pod_domain;
	uint32_t ttl, serial;
	bool pod_names;
	struct map nodes;    /* wire name -> struct znode */
	struct map services; /* key -> struct zsvc */
	struct zsvc own;     /* SOA's neighbours: ns.dns, dns-version */
	struct ip_prefix reverse[ZONE_REVERSE_MAX];
	size_t n_reverse;
};

/* zone_svc_ensure: the service, made if it is not there; without records then. NULL: no memory. */
struct zsvc *zone_svc_ensure(struct dns_zone *z, struct str ns, struct str name);
/* zone_rr_add: a record of the service; data as sent, names in full (copied). -ENOMEM. */
int zone_rr_add(struct dns_zone *z, struct zsvc *s, const struct dname *name, uint16_t type,
	const void *data, size_t len);

static inline const uint8_t *
zrr_data(const struct zrr *r)
{
	return r->n > sizeof(r->data.in) ? r->data.p : r->data.in;
}

#endif
