/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * map_policy: NetworkPolicies, with the pods and namespaces they choose among, as groups of permissions for
 * netstack/policy. A function without state. Source: kubernetes.io "Network Policies"; networking/v1 types.go. */
#ifndef ORCHESTRATOR_NODENET_MAP_POLICY_H
#define ORCHESTRATOR_NODENET_MAP_POLICY_H

#include "netstack/policy/policy.h"
#include "orchestrator/nodenet/map.h"

struct networking_v1_network_policy;

struct map_pod_port {
	struct str name; /* "" = none */
	uint8_t proto;
	uint16_t port;
};
/* A pod as policies see it; borrowed. */
struct map_pod {
	struct str ns;
	const struct str_pair *labels;
	size_t n_labels;
	struct ip_addr ips[2];
	size_t n_ips;
	const struct map_pod_port *ports; /* of containers and sidecars */
	size_t n_ports;
	bool local; /* of this node: policies are kept for it here */
};
struct map_ns {
	struct str name;
	const struct str_pair *labels;
	size_t n_labels;
};
struct map_policy_input {
	const struct networking_v1_network_policy *const *policies;
	size_t n_policies;
	const struct map_pod *pods; /* in their own network, with addresses, not ended */
	size_t n_pods;
	const struct map_ns *namespaces;
	size_t n_namespaces;
};
/* map_policies: arena, borrows the input. 0 or -ENOMEM. What is malformed permits nothing. */
int map_policies(struct arena *a, const struct map_policy_input *in, struct policy_state *ret);

#endif
