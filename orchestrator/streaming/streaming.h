/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * streaming: the node API on port 10250 as a library: containerLogs, exec, attach, portForward, pods,
 * healthz over HTTPS.
 *
 * Place in the flow: API server (client certificate) or a caller with a token -> here -> runtime. Which container is
 * meant, and the texts of refusals about pods, are the kubelet's: the lookup callback. Nothing is served before
 * the caller is known and allowed, /healthz included.
 * Invariants: one loop; nothing blocks; back-pressure in both directions of every stream; a client that
 * goes away leaves nothing behind but an exec'd program, which runs to its own end.
 * Source: kubelet authentication/authorization documentation, KEP-2862 (fine-grained), KEP-4006
 * (WebSocket v5), remotecommand v1..v4 over SPDY, portforward.k8s.io. */
#ifndef ORCHESTRATOR_STREAMING_STREAMING_H
#define ORCHESTRATOR_STREAMING_STREAMING_H

#include "netstack/http/http.h"
#include "orchestrator/client/client.h"
#include "orchestrator/runtime/runtime.h"

struct streaming;

enum streaming_use {
	STREAMING_LOGS,
	STREAMING_LOGS_PREVIOUS, /* the run before the present one */
	STREAMING_EXEC,
	STREAMING_ATTACH,
	STREAMING_PORT_FORWARD, /* container is "" */
};

struct streaming_target {
	char container_id[RUNTIME_ID_LEN + 1]; /* not for PORT_FORWARD */
	char sandbox_id[RUNTIME_ID_LEN + 1];   /* only for PORT_FORWARD */
	struct str log_path; /* LOGS: absolute; borrowed until the callback's caller returns */
};

/* lookup: who is meant. uid may be "" (any). 0, or -errno with e: its reason gives the HTTP status
 * (R_NOT_FOUND 404, R_BAD_REQUEST 400 ...), its msg is sent as text. */
typedef int streaming_lookup_fn(void *arg, enum streaming_use use, struct str ns, struct str pod,
	struct str uid, struct str container, struct streaming_target *ret, struct err *e);

struct streaming_config {
	struct loop *loop;
	struct runtime *rt;       /* kept until streaming_free */
	struct client *client;    /* SubjectAccessReview, TokenReview; kept */
	struct str listen;        /* "[::]:10250"; copied nowhere, used within streaming_new */
	struct str node_name;     /* copied */
	struct str cert_pem, key_pem; /* serving certificate */
	struct str ca_pem;            /* of client certificates; copied */
	streaming_lookup_fn *lookup;
	/* pods: appends the JSON of a v1 PodList. NULL: /pods is 404. */
	void (*pods)(void *arg, struct buf *b);
	void *arg;
};

/* streaming_new: listens and serves. Returns owned. ret_bound (may be NULL): where, for port 0.
 * Errors: -EINVAL certificate or address, -errno of the socket, -ENOMEM; e says which. */
int streaming_new(const struct streaming_config *cfg, struct streaming **ret,
	struct http_addr *ret_bound, struct err *e);
/* streaming_set_certificate: for connections from now on. -EINVAL, -ENOMEM: the old one stays. */
int streaming_set_certificate(
	struct streaming *s, struct str cert_pem, struct str key_pem, struct err *e);
/* streaming_free: cuts every stream; before runtime_free and client_free. Not from within its callbacks.
 * NULL allowed. */
void streaming_free(struct streaming *s);

#endif
