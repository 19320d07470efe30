/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * proxy_int: between proxy_target.c, apiservice_proxy.c (where to) and proxy.c (how). Private to api. */
#ifndef ORCHESTRATOR_API_PROXY_INT_H
#define ORCHESTRATOR_API_PROXY_INT_H

#include "orchestrator/api/api_int.h"

struct proxy_target {
	struct str url;
	bool node;  /* a node API: our certificate, its certificate by the cluster CA */
	bool text;  /* logs: failures of the other side become a Status */
	bool links; /* a proxy subresource: links of pages lead through it */
	/* an aggregated server */
	bool foreign;
	bool redirects; /* they are passed on */
	struct http_addr addr;
	struct tls_ctx *tls; /* borrowed until proxy_start returns */
	int64_t head_ns, stall_ns;
	const struct http_header *headers; /* besides the client's */
	size_t n_headers;
};
/* proxy_start: asks there what was asked here, and moves the answer. REPLY. */
enum step proxy_start(struct request *r, const struct proxy_target *t);
/* foreign_ask: the same for a request of this process; t is not looked at once the answer is there. REPLY, WAIT. */
enum step foreign_ask(struct request *r, const struct proxy_target *t);
/* NEXT with *ret filled, or REPLY. */
enum step target_pod_stream(struct request *r, struct proxy_target *ret);
enum step target_proxy(struct request *r, struct proxy_target *ret);
/* target_endpoint: where a ready endpoint of a service's port listens; only addresses of pods. -ENOENT (e). */
int target_endpoint(struct request *r, struct str ns, struct str name, int64_t port,
	struct http_addr *ret, struct err *e);
/* target_apiservice: the same for the service of an APIService, which an administrator has named: at any address that
 * an EndpointSlice may have. */
struct apiservice;
int target_apiservice(
	struct request *r, const struct apiservice *x, struct http_addr *ret, struct err *e);

#endif
