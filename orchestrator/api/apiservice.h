/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * apiservice: API aggregation: groups and versions that another server answers for. Private to the folder.
 *
 *   apiservice_local.c    the APIServices of what is served here; what aggregated servers read to believe us
 *   apiservice.c          those with a service, as each worker sees them (fed from the store, as custom.h)
 *   apiservice_proxy.c    a request of such a group: routed, authorized here, passed on under the user's name
 *   apiservice_control.c  APIServices of definitions come and go with them; is a remote one there? (Available)
 *   apiservice_check.c    one look at one remote server: its endpoints, its answer
 *   apiservice_fetch.c    what a remote server says it serves: discovery and OpenAPI, asked for again and again
 *   apiservice_docs.c     that, in our own documents
 *
 * Invariants: nothing blocks, every question to another server has a deadline and a size; what it answers is data: only
 * the members that are known are taken of it. Its certificate is checked for <service>.<namespace>.svc; ours is that
 * of the front proxies' CA, which nothing else gets.
 * Source: k8s.io/kube-aggregator; Kubernetes docs, "Configure the Aggregation Layer". */
#ifndef ORCHESTRATOR_API_APISERVICE_H
#define ORCHESTRATOR_API_APISERVICE_H

#include "orchestrator/api/api_int.h"

#define APISERVICE_GROUP "apiregistration.k8s.io"
#define APISERVICE_MANAGED "kube-aggregator.kubernetes.io/automanaged"
#define APISERVICE_ON_START "onstart"
#define APISERVICE_ALWAYS "true"
/* Priorities of custom resources. */
#define APISERVICE_CUSTOM_GROUP 1000
#define APISERVICE_CUSTOM_VERSION 100

/* One APIService. Immutable but for refs and tls; of one loop. */
struct apiservice {
	unsigned refs;
	struct arena *a;
	struct str name, group, version;
	bool remote; /* it has a service: what follows */
	struct str service_ns, service;
	int64_t port;
	struct str ca_pem;
	bool insecure;
	bool available;
	int of_group, of_version; /* priorities */
	struct tls_ctx *tls;      /* made at first use */
};
/* apiservice_new: of an object in JSON; owned, one reference; NULL = damaged or no memory. */
struct apiservice *apiservice_new(struct str body);
void apiservice_unref(void *x);
/* apiservice_same_way: both are reached in the same way. apiservice_tls_share: `to` uses what `from` has made. */
bool apiservice_same_way(const struct apiservice *x, const struct apiservice *y);
void apiservice_tls_share(struct apiservice *to, const struct apiservice *from);
/* apiservice_tls: borrowed, as long as x. 0 or -errno (e). */
int apiservice_tls(struct api_server *s, struct apiservice *x, struct tls_ctx **ret, struct err *e);
/* apiservice_find: the one with a service of a group and version; borrowed until the loop turns. NULL = none. */
struct apiservice *apiservice_find(struct api_worker *w, struct str group, struct str version);
void apiservices_free(struct api_worker *w);

/* ---- local ---- */
/* apiservice_priority: of a built-in group and version; false = it has none. */
bool apiservice_priority(struct str group, struct str version, int *ret_group, int *ret_version);
/* apiservice_local: the object, arena; managed: APISERVICE_ON_START (built in) or _ALWAYS (custom). NULL = none. */
struct doc *apiservice_local(
	struct arena *a, struct str group, struct str version, const char *managed);
void apiservice_local_each(
	struct api_server *s, struct arena *a, void (*fn)(void *arg, struct doc *obj), void *arg);
bool apiservice_is_managed(const struct doc *d, bool *ret_on_start);
/* apiservice_local_merge, front_proxy_config_merge: as job_add wants them. */
bool apiservice_local_merge(struct arena *a, struct doc *have, const struct doc *want);
struct doc *front_proxy_config(struct api_server *s, struct arena *a); /* NULL = no front proxy */
bool front_proxy_config_merge(struct arena *a, struct doc *have, const struct doc *want);

/* ---- documents ---- */
/* What one APIService adds to discovery and OpenAPI. */
struct foreign_doc {
	struct str group, version;
	int of_group, of_version;
	bool local;           /* nobody serves it: it is in the lists of the old form alone */
	bool stale;           /* its server does not say now */
	struct str resources; /* JSON: a list of APIResourceDiscovery; "" = not known */
	struct str hash;      /* of its OpenAPI v3 document; "" = it has none */
};
/* All of them as they are known: immutable, counted. */
struct foreign_docs {
	_Atomic unsigned refs;
	struct arena *a;
	struct foreign_doc *v;
	size_t n;
};
void foreign_docs_unref(struct foreign_docs *f); /* NULL is allowed */
/* docs_foreign_set: from now on documents are made with these (taken; NULL = none). Any thread. */
void docs_foreign_set(struct api_server *s, struct foreign_docs *f);
/* The documents that list groups: `local` (what this server itself would say) with what others serve put in, by
 * priority. 0, -ENOENT (a group nobody has), -ENOMEM. */
enum foreign_form { FOREIGN_GROUPS, FOREIGN_GROUP, FOREIGN_AGGREGATED, FOREIGN_OPENAPI };
int foreign_merge(const struct foreign_docs *f, enum foreign_form form, struct str group,
	struct str local, struct buf *out);
/* foreign_first: v[i] is the first of its group. */
bool foreign_first(const struct foreign_docs *f, size_t i);
/* apiservice_resources: the resources of a group and version in an APIGroupDiscoveryList (aggregated) or an
 * APIResourceList, as a list of APIResourceDiscovery with the known members alone. NULL = it has none, or it is none.
 * arena. Fuzz: apiservice_fuzz.c. */
struct doc *apiservice_resources(struct arena *a, const struct doc *d, bool aggregated,
	struct str group, struct str version);
/* apiservice_openapi_hash: of a group and version in the index of OpenAPI v3; "" = none. Borrows d. */
struct str apiservice_openapi_hash(
	struct arena *a, const struct doc *d, struct str group, struct str version);

/* ---- requests ---- */
/* What a path says of a group that another server answers for. */
struct foreign {
	struct apiservice *to; /* a reference, of the request's arena */
	bool is_resource, discovery, document;
	bool lasts; /* a watch or a stream: it takes as long as it takes */
	struct str verb, group, version, resource, subresource, ns, name;
};
/* foreign_route: r->foreign, when the path is one of another server. */
void foreign_route(struct request *r, const struct str *parts, size_t n);
struct authz_attrs foreign_attrs(struct request *r);
/* foreign_limit_ns: what the other server has until it begins to answer. foreign_refuse: it could not be asked. */
int64_t foreign_limit_ns(struct request *r);
enum step foreign_refuse(struct request *r, const struct err *e);
/* foreign_identity: the headers that say who asks. arena. */
size_t foreign_identity(struct arena *a, const struct user *u, struct http_header **ret);

#endif
