/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * service_pods: which endpoints a Service has: its pods by family and by what its ports mean in them.
 * Shared by the EndpointSlice and the Endpoints controllers. Pure functions of the cache.
 * Source: endpointslice reconciler (k8s.io/endpointslice); EndpointSlice API. */
#ifndef ORCHESTRATOR_CONTROL_SERVICE_PODS_H
#define ORCHESTRATOR_CONTROL_SERVICE_PODS_H

#include "orchestrator/control/control.h"

#include "kinds/core_v1.h"

#define SERVICE_PORTS_MAX 64

struct service_port {
	struct str name, protocol, app_protocol;
	int32_t number; /* in the pod; 0 = the pod has no port of the wanted name */
};
struct service_endpoint {
	const struct informer_obj *o;
	const struct core_v1_pod *pod;
	struct str ip;
	struct str zone;     /* of its node; STR_NONE */
	struct str hostname; /* set for pods that name this Service as their subdomain */
	bool ready, serving, terminating;
};
/* Endpoints whose ports mean the same numbers. */
struct service_group {
	bool v6;
	struct service_port *ports;
	size_t n_ports;
	struct service_endpoint *eps; /* in order of pod names */
	size_t n_eps;
};
/* service_groups: all groups of a service (every family of it; a family without endpoints gets one group
 * with the service's own ports). arena. keep_terminating: also pods that are going (slices have them,
 * Endpoints have not). */
struct service_group *service_groups(struct arena *a, struct informer *pods, struct informer *nodes,
	const struct informer_obj *service, bool keep_terminating, size_t *ret_n);
/* service_of_pod: put(ctx, key) for each service of the pod's namespace whose selector names it. */
void service_of_pod(struct informer *services, const struct informer_obj *pod,
	void (*put)(void *ctx, struct str key), void *ctx);
/* pod_endpoint_differs: has anything changed that endpoints show? */
bool pod_endpoint_differs(const struct core_v1_pod *x, const struct core_v1_pod *y);

#endif
