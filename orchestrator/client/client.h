/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * client: the one interface by which every component (controllers, scheduler, node, proxy, dns) meets
 * the API: calls that complete by callback, watches, and informers (a cache kept by list and watch).
 * Two transports: direct (same process: api/client_direct.c enters the pipeline at `authorize` under
 * the caller's identity) and https (client_https.c: the real protocol with the real credentials).
 * Everything runs on the client's loop; nothing blocks.
 *
 * Source: client-go rest, reflector and informer behaviour; KEP-3157 (watch-list). */
#ifndef ORCHESTRATOR_CLIENT_CLIENT_H
#define ORCHESTRATOR_CLIENT_CLIENT_H

#include "base/doc.h"
#include "base/loop.h"

struct meta_v1_object_meta;

struct client;

enum client_verb {
	CLIENT_GET,
	CLIENT_LIST,
	CLIENT_CREATE,
	CLIENT_UPDATE,
	CLIENT_PATCH_STRATEGIC,
	CLIENT_PATCH_MERGE,
	CLIENT_PATCH_JSON,
	CLIENT_DELETE,
	CLIENT_DELETE_COLLECTION,
	CLIENT_WATCH,
	CLIENT_VERB__COUNT
};

/* A call. All slices are borrowed until client_call returns (it copies what it keeps). */
struct client_req {
	enum client_verb verb;
	struct str group;       /* "" = core */
	struct str version;     /* "v1" */
	struct str resource;    /* plural: "pods" */
	struct str ns;          /* "" = cluster scope or all namespaces */
	struct str name;        /* "" for list, create with generateName, watch of many */
	struct str subresource; /* "" or "status", "binding", "token", "scale", "eviction" */
	struct str label_selector, field_selector;
	struct str resource_version;       /* get/list/watch option */
	struct str resource_version_match; /* "" or "Exact", "NotOlderThan" */
	uint32_t limit;
	struct str continue_token;
	bool send_initial_events, allow_bookmarks;
	uint32_t timeout_s; /* watch: server side; 0 = server's choice */
	struct str field_manager;
	bool dry_run;
	struct str body; /* create/update/patch/delete options: JSON bytes */
	struct str
		raw; /* CLIENT_GET: this path with its query, of whatever is served, instead of what is above */
	bool late; /* goes after all others; refused when very many wait */
};

/* What came back; valid only within the callback. */
struct client_result {
	int http;          /* 200, 201, 404 ...; 0 = no answer (see e) */
	struct err e;      /* e.code != 0: transport failure, or the Status of a failure:
			     * reason and message as the server said */
	struct str body;   /* JSON bytes of object, list or Status */
	int retry_after_s; /* of 429/503; 0 = none */
};
typedef void client_done_fn(void *arg, const struct client_result *r);

struct client_call;
/* client_call_start: starts; done runs exactly once, never within this call, unless cancelled.
 * *ret_call (may be NULL) is for client_call_cancel and is gone when done has run.
 * Over https 8 are under way at a time, on connections that are kept (a new one costs both sides more than most
 * calls); others wait in their order, and time limits begin when they are sent.
 * Errors: -ENOMEM, -EINVAL unknown resource, -EAGAIN a late one that finds too many waiting. */
int client_call_start(struct client *c, const struct client_req *req, client_done_fn *done,
	void *arg, struct client_call **ret_call);
/* client_call_cancel: done will not run; the request may still take effect. */
void client_call_cancel(struct client_call *call);

/* client_finalizers: appends a merge patch of metadata.finalizers: those of m without `name`, or with it at the
 * end; on condition that the object is as m says. */
void client_finalizers(
	struct buf *b, const struct meta_v1_object_meta *m, struct str name, bool wanted);

/* ---- watch ---- */
enum client_event { CLIENT_ADDED, CLIENT_MODIFIED, CLIENT_DELETED, CLIENT_BOOKMARK };
struct client_watch_fns {
	/* object: JSON bytes with kind and apiVersion optional; borrowed. Bookmarks: the bookmark object. */
	void (*event)(void *arg, enum client_event ev, struct str object);
	/* end: the stream is over: http/e as in client_result (200 and no error = clean end; 410 = relist).
	 * Runs once; the watch is gone afterwards. */
	void (*end)(void *arg, const struct client_result *r);
};
struct client_watch;
int client_watch_start(struct client *c, const struct client_req *req,
	const struct client_watch_fns *fns, void *arg, struct client_watch **ret);
void client_watch_stop(struct client_watch *w); /* end will not run */

/* ---- transports ---- */
/* The vtable a transport implements; struct client is made by the transport's own constructor:
 * client_https_new (below) and api_client_new (orchestrator/api/api.h). */
struct client_ops {
	int (*call)(struct client *c, const struct client_req *req, client_done_fn *done, void *arg,
		struct client_call **ret_call);
	void (*cancel)(struct client_call *call);
	int (*watch)(struct client *c, const struct client_req *req,
		const struct client_watch_fns *fns, void *arg, struct client_watch **ret);
	void (*watch_stop)(struct client_watch *w);
	void (*free)(struct client *c);
};
/* First member of every transport's own struct, of its calls and of its watches. */
struct client {
	const struct client_ops *ops;
	struct loop *loop;
};
struct client_call {
	struct client *c;
};
struct client_watch {
	struct client *c;
};
void client_free(struct client *c); /* cancels what is under way; NULL allowed */

struct client_https_config {
	struct str server; /* "https://10.0.0.1:6443"; IPv6 in brackets */
	struct str ca_pem;
	struct str cert_pem, key_pem; /* client certificate, or */
	struct str token;             /* bearer token */
	struct str user_agent;
	struct str impersonate_user; /* "" = none */
};
/* client_https_new: returns owned. Errors: -EINVAL (e says what) */
int client_https_new(
	struct loop *l, const struct client_https_config *cfg, struct client **ret, struct err *e);
/* client_https_set_credentials: rotated certificate or token for requests from now on. */
int client_https_set_credentials(
	struct client *c, struct str cert_pem, struct str key_pem, struct str token, struct err *e);

/* client_kubeconfig_read: what a kubeconfig's current context says; slices are of `a` and of text. Errors:
 * -EINVAL, -errno of files it names. client_kubeconfig_new: a client of such a file; `server` instead
 * of the file's ("" = the file's); returns owned. */
int client_kubeconfig_read(
	struct arena *a, struct str text, struct client_https_config *ret, struct err *e);
int client_kubeconfig_new(struct loop *l, const char *path, struct str server,
	const char *user_agent, struct client **ret, struct err *e);

/* ---- informer ---- */
struct schema_type;
struct informer;

/* A cached object: decoded struct of the kind (see schema_to_struct), immutable, replaced as a whole.
 * Lives until the next event of the same object has been handled; take a ref to keep it longer. */
struct informer_obj {
	struct str key; /* "ns/name", or "name" for cluster scope */
	struct str ns, name, uid;
	uint64_t rv;
	const void *obj; /* struct core_v1_pod * ... per spec.type */
	size_t refs;
	struct arena *a; /* holds all of it */
};
struct informer_spec {
	struct str group, version, resource, ns, label_selector, field_selector;
	const struct schema_type
		*type; /* what to decode into: the kind's type or a projection of it */
	/* old == NULL: added; new == NULL: deleted. Called for the initial list too. */
	void (*on_change)(
		void *arg, const struct informer_obj *old, const struct informer_obj *new_);
	/* on_synced: the initial list has been delivered (once). May be NULL. */
	void (*on_synced)(void *arg);
	void *arg;
};
/* informer_new: starts list and watch; reconnects for ever with back-off (0.8 s .. 30 s, jitter);
 * relists on 410 and then calls on_change for the differences only. Several specs for one resource and
 * selector may share one watch: informer_add_handler. */
int informer_new(struct client *c, const struct informer_spec *spec, struct informer **ret);
void informer_free(struct informer *i);
/* informer_add_handler: a further consumer; existing objects are delivered to it at once as added. */
int informer_add_handler(struct informer *i,
	void (*on_change)(
		void *arg, const struct informer_obj *old, const struct informer_obj *new_),
	void (*on_synced)(void *arg), void *arg);
bool informer_synced(const struct informer *i);
const struct informer_obj *informer_get(
	struct informer *i, struct str key); /* borrow; NULL = absent */
/* informer_next: iterate in insertion order; *pos starts at 0. NULL at the end. */
const struct informer_obj *informer_next(struct informer *i, size_t *pos);
size_t informer_len(const struct informer *i);
/* informer_add_index: index by what key_of appends (one object may stand under several keys: call put
 * for each). informer_index_next iterates the objects under a key. Add before informer_new's loop
 * turn ends. */
typedef void informer_put_fn(void *ctx, struct str index_key);
int informer_add_index(struct informer *i, unsigned slot,
	void (*keys_of)(const struct informer_obj *o, informer_put_fn *put, void *ctx));
const struct informer_obj *informer_index_next(
	struct informer *i, unsigned slot, struct str key, size_t *pos);
struct informer_obj *informer_obj_ref(const struct informer_obj *o);
void informer_obj_unref(const struct informer_obj *o);

/* ---- events (core/v1 Event objects, aggregated as client-go's recorder does) ---- */
struct event_ref {
	struct str api_version, kind, ns, name, uid, resource_version, field_path;
};
/* client_event: fire and forget; type "Normal"/"Warning"; component e.g. "kubelet", host "" or node.
 * Same (object, reason, message) within 10 minutes raises count by a patch. Rate: 25 burst, 1 per
 * 5 min per source object, as upstream's spam filter. */
void client_event(struct client *c, const struct event_ref *ref, const char *type,
	const char *reason, struct str component, struct str host, const char *fmt, ...)
	__attribute__((format(printf, 7, 8)));

/* client_events_forget: releases what this thread remembers of events; client_free does it. */
void client_events_forget(void);

#endif
