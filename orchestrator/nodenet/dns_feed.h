/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * dns_feed: keeps the name server's zone like the Services and EndpointSlices of the API. Part of the dns role;
 * runs on the client's loop. Source: Kubernetes DNS specification 1.1.0. */
#ifndef ORCHESTRATOR_NODENET_DNS_FEED_H
#define ORCHESTRATOR_NODENET_DNS_FEED_H

#include "netstack/dns/dns.h"
#include "orchestrator/client/client.h"

struct dns_feed;

struct dns_feed_config {
	struct client *client; /* borrowed until dns_feed_free, as the zone */
	struct dns_zone *zone;
	void (*on_synced)(void *arg); /* the zone has all there was at the start; once */
	void (*on_change)(
		void *arg); /* after that: the zone has changed; at the end of a turn that did it */
	void *arg;
};

/* dns_feed_new: starts the watches. Services that the zone has already and the API has not go at the first sync. Returns owned. -ENOMEM. */
int dns_feed_new(const struct dns_feed_config *cfg, struct dns_feed **ret);
void dns_feed_free(struct dns_feed *f); /* NULL allowed; the zone stays as it is */

#endif
