/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * proxy_int: between proxy_target.c (where to) and proxy.c (how). Private to api. */
#ifndef ORCHESTRATOR_API_PROXY_INT_H
#define ORCHESTRATOR_API_PROXY_INT_H

#include "orchestrator/api/api_int.h"

struct proxy_target {
	struct str url;
	bool node; /* a node API: our certificate, its certificate by the cluster CA */
	bool text; /* logs: failures of the other side become a Status */
};
/* NEXT with *ret filled, or REPLY. */
enum step target_pod_stream(struct request *r, struct proxy_target *ret);
enum step target_proxy(struct request *r, struct proxy_target *ret);
/* target_endpoint: where a ready endpoint of a service's port listens; only addresses of pods. -ENOENT (e). */
int target_endpoint(struct request *r, struct str ns, struct str name, int64_t port,
	struct http_addr *ret, struct err *e);

#endif
