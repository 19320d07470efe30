/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * request: one API request on its way through the pipeline, as stages, kinds and admission plugins see
 * it. Everything that belongs to it lives in its arena and dies with it.
 *
 * A stage returns NEXT (go on), WAIT (somebody will call request_resume on the worker's loop; no thread
 * is held) or REPLY (an answer was given with one of the request_reply_ / request_fail functions). The same holds
 * for admission plugins and kind functions that return enum step.
 *
 * Invariants: a request runs on one loop from begin to end; obj is the only tree that may be changed;
 * old is what is stored and is never changed. After REPLY nothing but the pipeline touches it.
 * Source: architecture.md section 4. */
#ifndef ORCHESTRATOR_API_REQUEST_H
#define ORCHESTRATOR_API_REQUEST_H

#include "base/doc.h"
#include "base/ip.h"
#include "base/loop.h"
#include "orchestrator/schema/schema.h"
#include "storage/store/store.h"

struct api_server;
struct api_worker;
struct api_resource;
struct reply_sink;
struct hook_memory;
struct request;

enum step { STEP_NEXT, STEP_WAIT, STEP_REPLY };

enum verb {
	VERB_NONE, /* a non-resource path */
	VERB_GET,
	VERB_LIST,
	VERB_WATCH,
	VERB_CREATE,
	VERB_UPDATE,
	VERB_PATCH,
	VERB_DELETE,
	VERB_DELETECOLLECTION,
	VERB__COUNT
};
#define VERB_BIT(v) (1u << (v))
/* verb_name: "get", "deletecollection"; static. */
const char *verb_name(enum verb v);

enum media {
	MEDIA_JSON,
	MEDIA_YAML,
	MEDIA_PROTOBUF,
	MEDIA_PATCH_JSON,
	MEDIA_PATCH_MERGE,
	MEDIA_PATCH_STRATEGIC,
	MEDIA_PATCH_APPLY,
	MEDIA_OTHER
};

/* Who asks. Slices live in the request's arena (direct clients: in the client). */
struct user_extra {
	struct str key;
	const struct str *values;
	size_t n_values;
};
struct user {
	struct str name, uid;
	const struct str *groups;
	size_t n_groups;
	const struct user_extra *extra;
	size_t n_extra;
};
bool user_in_group(const struct user *u, struct str group);
/* user_node: "system:node:N" in group system:nodes gives N, else STR_NONE. */
struct str user_node(const struct user *u);
/* user_service_account: true and ns/name for "system:serviceaccount:ns:name". */
bool user_service_account(const struct user *u, struct str *ret_ns, struct str *ret_name);

/* What an authorizer is asked. */
struct authz_attrs {
	const struct user *user;
	struct str verb;
	bool is_resource;
	struct str group, version, resource, subresource, ns, name;
	struct str path; /* non-resource */
	struct str field_selector, label_selector;
};

/* Options of the query (or of DeleteOptions), parsed once by their stage. */
struct options {
	/* get, list, watch */
	struct str label_selector, field_selector;
	struct str resource_version, resource_version_match, continue_token;
	int64_t limit;
	int64_t timeout_s; /* < 0 = not given */
	bool watch, allow_bookmarks;
	int send_initial_events;   /* -1 = not given */
	struct str include_object; /* tables */
	bool pretty;
	/* writes */
	bool dry_run;
	struct doc *dry_runs; /* all values of dryRun that a client sent; NULL = none */
	struct str field_manager;
	struct str field_validation; /* "Strict", "Warn", "Ignore" */
	bool force, force_set;
	/* delete */
	int64_t grace_s;        /* < 0 = not given */
	struct str propagation; /* "", "Orphan", "Background", "Foreground" */
	bool orphan_dependents_set, orphan_dependents;
	struct str precondition_uid, precondition_rv;
};

struct request {
	struct arena *a;
	struct api_server *server;
	struct api_worker *worker;
	struct loop *loop;
	int64_t start_ns; /* monotonic */
	int64_t wall_ns;  /* "now" for everything this request writes */
	char audit_id[37];

	/* as it came in */
	struct str method;    /* "GET" */
	struct str path;      /* decoded */
	struct str raw_query; /* still encoded, without '?' */
	struct str user_agent;
	struct str remote_ip; /* textual; "" = this process */
	struct str body;
	enum media body_media;
	int body_bad; /* -EFBIG, -EINVAL: it could not be read */

	/* route */
	enum verb verb;
	bool wrong_method;                 /* the path of a resource, with a method that none has */
	const struct api_resource *res;    /* NULL = non-resource path */
	const struct api_subresource *sub; /* NULL = the object itself */
	struct str ns, name;               /* "" = none */
	struct str subpath;                /* behind /proxy/..., with its slash */
	struct options opt;

	/* identity */
	struct user user;
	struct user real_user; /* who impersonates; name "" = nobody */

	/* writes */
	struct doc *obj; /* what will be stored; NULL on delete of an object that goes at once */
	const struct doc *old; /* what is stored; NULL on create */
	uint64_t old_rev;
	bool created;        /* answer 201 */
	struct doc *managed; /* of an apply: the managedFields it leaves behind; NULL = none */

	/* kept by the stage that owns them */
	struct str *warnings;
	size_t n_warnings;
	struct schema_errors causes; /* schema_err_*(&r->causes, ...): any = 422 */
	struct commit_part *parts;   /* further conditions and writes of the same transaction */
	size_t n_parts;
	struct hook_memory *hooks; /* what mutating webhooks have done; NULL = nothing */

	/* the pipeline's own: see api_int.h */
	size_t stage, plugin;
	unsigned attempts;
	void *stage_state; /* of the stage or plugin that waits; NULL when it is entered first */
	struct reply_sink *sink;
	const struct negotiated *accept;
	int seat;              /* of flow control: 0 none, 1 read-only, 2 mutating */
	size_t restart_at;     /* the stage a write starts over at */
	bool reply_success;    /* answer a Status instead of the object */
	bool removed;          /* the write took the object away */
	struct str reply_body; /* what was committed, in stored form */
	bool done, in_run, resumed, resumed_again;
	bool gone; /* the client went away: nobody reads the answer */
	/* on_gone: run once when the client goes away while a stage waits or streams. */
	void (*on_gone)(struct request *r);
};

/* ---- answers ---- */

/* request_resume: a WAIT is over: the pipeline goes on with the same stage (again = true) or the next
 * one. On the request's loop. */
void request_resume(struct request *r, bool again);
/* request_pause: a WAIT that ends by itself after ns: the same stage or plugin is entered again, with the
 * stage_state it has set. REPLY: no memory. */
enum step request_pause(struct request *r, int64_t ns);
/* request_reply_doc: an object (with kind and apiVersion in it) in the negotiated form. */
enum step request_reply_doc(struct request *r, int http, struct doc *d);
/* request_reply_bytes: these bytes (arena or static). */
enum step request_reply_bytes(struct request *r, int http, struct str media_type, struct str body);
/* request_fail: a Status failure; the text follows upstream's wording. Gives STEP_REPLY. */
enum step request_fail(struct request *r, enum reason reason, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* request_fail_err: from a struct err (R_UNKNOWN becomes InternalError). */
enum step request_fail_err(struct request *r, const struct err *e);
/* The known texts. `res` NULL = the request's own resource. */
enum step request_fail_not_found(
	struct request *r, const struct api_resource *res, struct str name);
enum step request_fail_exists(struct request *r, struct str name);
enum step request_fail_method(struct request *r); /* 405 */
/* request_warnings_send: the warnings so far as headers; replies do it by themselves, streams before they begin. */
void request_warnings_send(struct request *r);
/* request_fail_revision: a resourceVersion that is no number: upstream's 500 without a reason. */
enum step request_fail_revision(struct request *r, struct str rv);
enum step request_fail_conflict(struct request *r, struct str name, const char *why);
/* request_fail_forbidden: `pods "x" is forbidden: why`. */
enum step request_fail_forbidden(struct request *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* request_fail_invalid: 422 with r->causes (there must be some). */
enum step request_fail_invalid(struct request *r);
/* request_fail_retry: 429/503/504 with Retry-After and details.retryAfterSeconds. */
enum step request_fail_retry(struct request *r, enum reason reason, int seconds, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));

/* request_warn: a Warning header (299); duplicates are dropped. */
void request_warn(struct request *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- what stages and plugins may ask ---- */

/* request_group, request_resource, request_subresource: what the path names ("" = core, no
 * subresource); STR_NONE for non-resource paths. */
struct str request_group(const struct request *r);
struct str request_resource(const struct request *r);
struct str request_subresource(const struct request *r);
/* request_ranges: where Services get their addresses; family 0 = not used. static. */
struct api_ranges {
	struct ip_prefix service[2]; /* IPv4, IPv6 */
};
const struct api_ranges *request_ranges(struct request *r);
/* request_read: another object as it is stored now: decoded, with kind and apiVersion, in r->a. Never to
 * be changed. group "" = core. Errors: -ENOENT no such object or resource, -EIO. */
int request_read(struct request *r, struct str group, struct str resource, struct str ns,
	struct str name, struct doc **ret);
/* request_each: every object of a resource in ns ("" = all); fn false stops. The trees live in r->a. */
int request_each(struct request *r, struct str group, struct str resource, struct str ns,
	bool (*fn)(void *arg, struct doc *obj), void *arg);
/* request_count: objects of a resource in a namespace; 0 when unknown. */
size_t request_count(struct request *r, struct str group, struct str resource, struct str ns);
/* request_resource_of_kind: the plural of a kind that has objects; STR_NONE = unknown. */
struct str request_resource_of_kind(struct request *r, struct str api_version, struct str kind);
/* request_may: asks the authorizers for the request's user. why (may be NULL) gets the reason, arena. */
bool request_may(struct request *r, const struct authz_attrs *attrs, struct str *why);
/* request_authorize: the same for any user. */
bool request_authorize(struct request *r, const struct authz_attrs *attrs, struct str *why);

/* ---- further parts of the same transaction ---- */

/* A condition and/or a write on another key, committed with the object or not at all: an address is
 * free, a node port is taken. res: "group/plural" as registered with the store; hidden resources (no
 * kind) are written with a slash in front, "/nodeports", and hold {} bodies. */
struct commit_part {
	struct str group, resource, ns, name;
	enum store_cond_kind cond;
	uint64_t rev; /* STORE_REV_IS */
	bool has_cond;
	bool put, del;
	struct doc *obj; /* put: object of a kind (any resource of the schema), or NULL = {} */
	/* conflict: called when this part's condition failed; returns NEXT to try the whole write again
	 * (the pipeline starts at `load` with a fresh tree) or REPLY with an answer. NULL = try again. */
	enum step (*conflict)(struct request *r, const struct commit_part *p);
};
/* request_part: adds a part (arena, zeroed) to be filled in. NULL = arena failed. */
struct commit_part *request_part(struct request *r);

#endif
