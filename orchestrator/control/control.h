/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * control: front door of the controllers, and what they share. All of them run on one task with one loop;
 * they read from shared informers (one watch a resource, as system:kube-controller-manager) and each
 * writes under a service account of its own, so that taking its role away stops it (403).
 *
 *   informer change -> queue_add(key) -> sync(key): look at the cache, write at most what is missing
 *                                     -> answers come -> queue_done(key, failed)
 *
 * Invariants: a key is in work once; a sync is a function of the cache and never blocks; nothing is
 * remembered that a restart may lose, but for expectations. Handlers do nothing before all informers
 * have synced (control_ready): then each controller's ready() puts every object on its queue.
 * Source: kube-controller-manager (pkg/controller); client-go workqueue. */
#ifndef ORCHESTRATOR_CONTROL_CONTROL_H
#define ORCHESTRATOR_CONTROL_CONTROL_H

#include "base/queue.h"
#include "orchestrator/client/client.h"
#include "orchestrator/schema/schema.h"

struct control;
struct server_context;
struct server_part;

/* One row a controller: control_table.c. */
struct controller {
	const char *name; /* also its service account in kube-system */
	/* start: makes queues and handlers; c writes under the controller's own identity (kept until
	 * stop). Errors: -errno; the controllers then do not start. */
	int (*start)(struct control *ctl, struct client *c, void **ret);
	void (*ready)(void *self); /* all informers have synced; may be NULL */
	void (*stop)(void *self);
};
extern const struct controller *const controllers[]; /* NULL-terminated */

/* The row of the API server's server_parts[]. */
extern const struct server_part control_part;

/* Shared informers. Slots of indexes are the same everywhere. */
enum control_resource {
	CONTROL_PODS,
	CONTROL_NODES,
	CONTROL_NAMESPACES,
	CONTROL_SERVICES,
	CONTROL_ENDPOINTS,
	CONTROL_ENDPOINTSLICES,
	CONTROL_SERVICEACCOUNTS,
	CONTROL_CONFIGMAPS,
	CONTROL_SECRETS,
	CONTROL_RCS,
	CONTROL_REPLICASETS,
	CONTROL_DEPLOYMENTS,
	CONTROL_DAEMONSETS,
	CONTROL_STATEFULSETS,
	CONTROL_REVISIONS,
	CONTROL_JOBS,
	CONTROL_CRONJOBS,
	CONTROL_LEASES,
	CONTROL_PVS,
	CONTROL_PVCS,
	CONTROL_STORAGECLASSES,
	CONTROL_CSRS,
	CONTROL_PCRS,    /* no shared informer: for writes */
	CONTROL_BUNDLES, /* so too */
	CONTROL_PDBS,
	CONTROL_QUOTAS,
	CONTROL_HPAS,
	CONTROL__COUNT
};
enum control_index {
	INDEX_OWNER,  /* uid of the controlling owner */
	INDEX_NS,     /* namespace */
	INDEX_NODE,   /* pods: spec.nodeName; leases: name */
	INDEX_ORPHAN, /* namespace of those without a controlling owner */
};
/* control_informer: made on first use (in start()). NULL = no memory. */
struct informer *control_informer(struct control *ctl, enum control_resource r);
const struct schema_type *control_type(enum control_resource r);
bool control_ready(const struct control *ctl);
struct loop *control_loop(const struct control *ctl);
const struct server_context *control_context(const struct control *ctl);
struct client *control_reader(struct control *ctl); /* system:kube-controller-manager */

/* control_standalone: controllers `table` (NULL-terminated) on loop l, clients made by make_client
 * (name "" = the reader). Tests and the simulation use it; control_part does too. */
int control_new(struct loop *l, const struct controller *const *table,
	const struct server_context *ctx,
	int (*make_client)(void *arg, struct loop *l, const char *name, struct client **ret),
	void *arg, struct control **ret);
void control_free(struct control *ctl);

/* ---- writes ---- */
struct control_path {
	enum control_resource resource;
	struct str ns, name, subresource; /* name: "" for create */
	/* CLIENT_PATCH_MERGE with `onto`: the patch is applied here, to this cached object, and goes out as an
	 * update on condition of its resourceVersion: the default roles let many controllers update, not
	 * patch. A stale cache is a conflict, and the key is tried again. */
	const struct informer_obj *onto;
};
/* control_write: body (may be NULL) as JSON, or the bytes given. done as in client_call_start; it must
 * not be NULL. */
int control_write(struct client *c, enum client_verb verb, const struct control_path *p,
	const struct doc *body, client_done_fn *done, void *arg);
int control_write_text(struct client *c, enum client_verb verb, const struct control_path *p,
	struct str body, client_done_fn *done, void *arg);
/* control_ns_ends: refused because its namespace is going away: nothing to tell anybody. */
bool control_ns_ends(const struct client_result *r);
/* control_ignore: a done function for best-effort writes. */
void control_ignore(void *arg, const struct client_result *r);

/* A bundle of writes of one sync: the key is done when all have been answered, failed when one was.
 * A conflict or a missing object counts as failed: the key is tried again on the newer cache. */
struct control_batch {
	struct queue *q;
	char *key;
	unsigned left;
	bool failed, open;
};
/* batch_new: the caller holds the batch open until batch_close; batch_done is the done function with
 * the batch as arg. NULL = no memory (queue_done has been called). */
struct control_batch *batch_new(struct queue *q, struct str key);
int batch_write(struct control_batch *b, struct client *c, enum client_verb verb,
	const struct control_path *p, const struct doc *body);
int batch_write_text(struct control_batch *b, struct client *c, enum client_verb verb,
	const struct control_path *p, struct str body);
/* batch_write_status: the object with this status (in no other tree) instead of its own, on condition that it is
 * still as cached. */
int batch_write_status(struct control_batch *b, struct client *c, enum control_resource r,
	const struct informer_obj *o, struct doc *status);
void batch_done(void *arg, const struct client_result *r);
void batch_close(struct control_batch *b);

/* ---- objects ---- */
struct meta_v1_object_meta;
struct meta_v1_owner_reference;
/* control_owner: the owner reference with controller=true, or NULL. */
const struct meta_v1_owner_reference *control_owner(const struct meta_v1_object_meta *m);
struct str control_annotation(const struct meta_v1_object_meta *m, struct str key); /* STR_NONE */
struct str control_label(const struct meta_v1_object_meta *m, struct str key);
/* control_owner_doc: an ownerReferences item for the object, controller and blockOwnerDeletion true. */
struct doc *control_owner_doc(
	struct arena *a, enum control_resource r, const struct informer_obj *o);
bool control_is_kind(enum control_resource r, struct str api_version, struct str kind);
/* control_meta: metadata of a cached object (all generated kinds have it). */
const struct meta_v1_object_meta *control_meta(
	enum control_resource r, const struct informer_obj *o);
/* control_ref: for events. api_version and kind are those of the resource. */
struct event_ref control_ref(enum control_resource r, const struct informer_obj *o);

/* ---- pods ---- */
struct core_v1_pod;
bool pod_is_active(const struct core_v1_pod *p);      /* not finished, not being deleted */
bool pod_is_terminating(const struct core_v1_pod *p); /* being deleted, not finished */
bool pod_is_ready(const struct core_v1_pod *p);
int64_t pod_ready_since_ns(const struct core_v1_pod *p); /* wall; 0 = not ready */
/* pod_is_available: ready for min_ready_s; *ret_in_ns: when it will be (0 = it is or is not ready). */
bool pod_is_available(const struct core_v1_pod *p, int32_t min_ready_s, int64_t *ret_in_ns);

#endif
