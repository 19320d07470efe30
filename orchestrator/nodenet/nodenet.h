/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * nodenet: between the API and a node's network: other nodes become routes (podnet), Services and their
 * EndpointSlices become the proxy's maps and the name server's zone. Runs on the loop of its client.
 * Sources: Services and EndpointSlices of the Kubernetes API; KEP-1669 (terminating endpoints). */
#ifndef ORCHESTRATOR_NODENET_NODENET_H
#define ORCHESTRATOR_NODENET_NODENET_H

#include "base/ip.h"
#include "netstack/dns/dns.h"
#include "netstack/podnet/podnet.h"
#include "netstack/proxy/proxy.h"
#include "orchestrator/client/client.h"
#include "orchestrator/machine/machine.h"

struct nodenet;
struct nodenet_config {
	struct client *client;            /* borrowed; reads nodes, services, endpointslices */
	const struct machine_config *cfg; /* kept */
	struct podnet *net;               /* borrowed; NULL = no routes, no proxy (the dns role) */
	const struct ip_addr *node_ips;   /* this node's own; copied */
	size_t n_node_ips;
	struct dns_zone *zone; /* borrowed; NULL = none */
};
/* nodenet_new: opens the proxy (when there is a net), starts the informers. Returns owned.
 * Errors: -errno (e). */
int nodenet_new(const struct nodenet_config *c, struct nodenet **ret, struct err *e);
void nodenet_free(struct nodenet *a);

/* dns_role_main: the role `dns`: the cluster's name server on the cluster DNS addresses. */
int dns_role_main(const struct machine_config *c);

#endif
