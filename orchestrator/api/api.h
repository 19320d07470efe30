/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * api: front door of the Kubernetes API server: the request pipeline over one object store.
 *
 * Flow: main opens the store, makes the keys (api_pki_ensure), makes the server with the tables of
 * orchestrator/kinds, starts it; every in-process component then gets a client of its own
 * (api_client_new) and meets the API like any other user. What a request goes through is one ordered
 * table of stages (api/pipeline.c); what a kind or an admission plugin sees of it is api/request.h and
 * api/kind.h.
 *
 * Invariants: only the API server touches the store. A server has N workers, each a task with its own
 * loop, connections and caches; a loop that uses a direct client becomes one more worker without
 * connections. Nothing here blocks a loop. In a simulated world there are no listeners: direct
 * clients only.
 * Source: architecture.md sections 3, 4, 6, 11; Kubernetes API concepts; k8s.io/apiserver. */
#ifndef ORCHESTRATOR_API_API_H
#define ORCHESTRATOR_API_API_H

#include "base/loop.h"
#include "orchestrator/client/client.h"
#include "storage/store/store.h"

struct api_server;
struct kind_tables; /* orchestrator/api/kind.h */

/* ---- keys and certificates ---- */

/* What lives in DIR/pki: PEM texts, all owned by `a`. One cluster CA signs client, serving and kubelet
 * certificates. Files: ca.crt ca.key server.crt server.key kubelet-client.crt kubelet-client.key
 * admin.crt admin.key sa.key sa.pub. */
struct api_pki {
	struct arena *a; /* owns everything below */
	struct str ca_cert, ca_key;
	struct str server_cert, server_key;
	struct str kubelet_client_cert, kubelet_client_key; /* CN=kube-apiserver-kubelet-client */
	struct str admin_cert, admin_key; /* CN=kubernetes-admin O=system:masters */
	struct str sa_key;                /* EC P-256: signs and verifies tokens */
};
struct api_pki_spec {
	const char *dir; /* data directory; DIR/pki is made with mode 0700 */
	const struct str
		*server_ips; /* textual IPs for the serving certificate, besides loopback */
	size_t n_server_ips;
	const struct str
		*server_names; /* DNS names besides kubernetes.default.svc... and localhost */
	size_t n_server_names;
	struct str cluster_domain; /* "" = "cluster.local" */
};
/* api_pki_ensure: reads what is there and makes what is missing; the serving certificate is made again
 * when a wanted name or address is not in it or when less than a third of its life is left.
 * Errors: -errno of files, -EINVAL damaged PEM; e says which file. Free with api_pki_release. */
int api_pki_ensure(const struct api_pki_spec *spec, struct api_pki *ret, struct err *e);
void api_pki_release(struct api_pki *p);
/* api_pki_kubeconfig: a kubeconfig text for the admin certificate. arena. */
struct str api_pki_kubeconfig(const struct api_pki *p, struct arena *a, struct str server_url);

/* ---- server ---- */

struct api_config {
	struct store *store; /* borrowed; must outlive the server */
	struct world *world; /* NULL = real */

	/* Listening: descriptors of one address (taken), which workers share out among themselves, or an address
	 * "127.0.0.1:6443", "[::]:6443" (port 0 = any). Neither: no listener. */
	const int *listen_fds;
	size_t n_listen_fds;
	const char *listen;
	unsigned workers; /* 0 = number of processors, at most 8; a simulated world has none */

	const struct api_pki
		*pki; /* borrowed until api_server_new returns; NULL only without listener */
	struct str sa_issuer; /* "" = "https://kubernetes.default.svc.cluster.local" */
	struct str service_cidr4, service_cidr6; /* "" = family not used */
	struct str advertise_ip4,
		advertise_ip6;     /* endpoints of service `kubernetes`; "" = the listener's */
	struct str cluster_domain; /* "" = "cluster.local" */

	struct str
		bootstrap_token; /* "id.secret": kept as a Secret, so that nodes can join; "" = none */

	/* Per-kind functions and admission plugins, ordered and const. Kept. NULL = none. */
	const struct kind_tables *kinds;

	unsigned max_readonly_inflight; /* 0 = 400 */
	unsigned max_mutating_inflight; /* 0 = 200 */
	bool policy_status;             /* type-checks ValidatingAdmissionPolicies */
	bool anonymous_off;             /* true: a request without credentials is 401 */
	bool authorize_always;          /* tests of other stages only: everyone may do everything */
	int64_t event_ttl_ns;           /* 0 = 1 hour */
};

/* api_workers: as many as `workers` of the configuration stands for. */
unsigned api_workers(unsigned wanted);
/* api_server_new: registers all resources with the store, builds the tables, opens the listeners;
 * serves nothing yet. Returns owned. Errors: -errno of sockets, -EINVAL keys; e says what. */
int api_server_new(const struct api_config *cfg, struct api_server **ret, struct err *e);
/* api_server_start: writes what a first start needs (namespaces, RBAC defaults, priority classes,
 * service `kubernetes`) and starts the workers; ready(arg) runs on `loop` when requests are served.
 * Errors: -ENOMEM, -EAGAIN (threads). */
int api_server_start(struct api_server *s, struct loop *loop, void (*ready)(void *arg), void *arg);
/* api_server_quiesce: writes are answered 503 from now on; waits until those under way are done. To be
 * called before the loops of direct clients end (their answers need them), on the loop it was started on, outside of
 * its callbacks: that loop turns meanwhile. api_server_stop does it too. */
void api_server_quiesce(struct api_server *s);
/* api_server_stop: no new connections, ends watches, waits for what is being committed, joins the
 * workers, frees the server. Clients made from it must have been freed. In a simulated world: from outside of
 * its loops (it runs them until what is under way is done). */
void api_server_stop(struct api_server *s);
/* api_server_port: the port of the first listener; 0 = none. */
uint16_t api_server_port(const struct api_server *s);

/* ---- direct clients ---- */

/* An identity for a client of this process. Slices are copied. */
struct api_identity {
	struct str user; /* "system:serviceaccount:kube-system:deployment-controller" */
	const struct str
		*groups; /* system:authenticated is added; a service account's groups too */
	size_t n_groups;
	struct str user_agent; /* for managers and logs; "" = the user's last part */
};
/* api_client_new: the direct transport of client.h: a call enters the pipeline at `authorize`, on loop
 * l itself, with this identity. May be used once api_server_new returned; calls before the first
 * start's objects are written see an empty store. Returns owned: client_free, on loop l. */
int api_client_new(
	struct api_server *s, struct loop *l, const struct api_identity *id, struct client **ret);

/* ---- functions that run beside the server ---- */

/* api_cluster_roles_aggregate: the ClusterRole aggregation controller: keeps rules of roles with an
 * aggregationRule. Runs on loop l with client c (borrowed); returns owned. */
struct api_aggregator;
int api_aggregator_new(struct client *c, struct loop *l, struct api_aggregator **ret);
void api_aggregator_free(struct api_aggregator *g);

/* ---- keelson server ---- */

/* server_main: `keelson server --data-dir D [--listen ADDR:PORT] ...`; returns the exit status. */
int server_main(int argc, char **argv);

/* What runs in the control role besides the API server: one row each, started in order when the API
 * serves, stopped in reverse order. The table stands in api/server_parts.c. */
struct server_context {
	struct api_server *api;
	struct world *world;
	const struct api_pki *pki;
	const char *data_dir;
	struct str service_cidr4, service_cidr6;
	struct str pod_cidr4, pod_cidr6; /* ranges the node IPAM hands out */
	struct str cluster_domain;
	struct str cluster_dns4, cluster_dns6;
	struct str machine; /* the node this control plane runs on; "" = none */
};
struct server_part {
	const char *name;
	/* start: makes its own task; *ret is given to stop. Errors end the process with e. */
	int (*start)(const struct server_context *ctx, void **ret, struct err *e);
	void (*stop)(void *part);
};
extern const struct server_part *const server_parts[]; /* NULL-terminated */

#endif
