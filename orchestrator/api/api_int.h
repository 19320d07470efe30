/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * api_int: what the files of the API server share. Private to the folder.
 *
 * Invariants: struct api_server is immutable once started, but for atomics; a worker and everything
 * below it belongs to one loop. */
#ifndef ORCHESTRATOR_API_INT_H
#define ORCHESTRATOR_API_INT_H

#include "base/hash.h"
#include "netstack/http/http.h"
#include "orchestrator/api/api.h"
#include "orchestrator/api/kind.h"
#include "orchestrator/api/request.h"

#include <errno.h>
#include <stdatomic.h>

#define API_SCHEMA_ID 1 /* of bodies written by this version */
#define API_BODY_MAX (3 * 1024 * 1024)
#define API_WORKERS_MAX 8
#define API_LISTENERS_MAX 8
#define API_NO_STORE UINT32_MAX
#define FRONT_PROXY_NAME "front-proxy-client" /* who may speak for others */

/* ---- resources ---- */
struct custom;
struct custom_scale;
struct api_subresource {
	struct str name;
	const struct schema_subresource *schema; /* NULL: a subresource without a kind of its own */
	unsigned verbs;                          /* VERB_BIT */
	bool main_object; /* status, finalize, approval, resize...: a write of the object itself */
	bool connect;     /* exec, log, proxy: admission sees a CONNECT */
	enum step (*serve)(struct request *r); /* NULL: the common stages */
};
struct api_resource {
	const struct schema_kind *kind;
	const struct kind_ops *ops; /* never NULL: a row of nothing when kinds/ has none */
	enum step (*serve_virtual)(struct request *r);
	uint32_t store_res; /* API_NO_STORE = not stored */
	bool shares;        /* its objects are stored as those of another group or version */
	const struct api_resource
		*stored; /* the row whose form is stored: itself unless `shares` */
	int64_t ttl_ns;
	struct str group, version, plural;
	struct str group_plural; /* "deployments.apps", "pods": as texts name it */
	struct str head;         /* {"kind":"Pod","apiVersion":"v1", */
	unsigned verbs;          /* VERB_BIT */
	struct api_subresource *subs;
	size_t n_subs;
	uint16_t schema_id; /* of bodies that are in its form */
	/* custom resources: see custom.h */
	struct custom *custom; /* NULL = built in */
	const struct custom_scale *scale;
	bool deprecated;
	struct str deprecation;
};
/* api_resources_build: rows for all served kinds of the schema. 0 or -errno (e). */
int api_resources_build(struct api_server *s, struct err *e);
/* api_resource_find: version "" = the first served. NULL = unknown. */
const struct api_resource *api_resource_find(
	const struct api_server *s, struct str group, struct str version, struct str plural);
/* request_resource_find: the same, and custom resources, which stay as long as the request does. */
const struct api_resource *request_resource_find(
	struct request *r, struct str group, struct str version, struct str plural);
const struct api_subresource *api_subresource_find(const struct api_resource *res, struct str name);

/* ---- server and workers ---- */
struct api_docs;
struct custom_pool;
struct customs;
struct rbac_cache;
struct node_graph;
struct token_cache;
struct node_proxy;
struct hook_cache;
struct apiservices;
struct apiservice_control;
struct foreign_docs;

struct api_server {
	struct arena *a; /* tables, copied strings */
	struct api_config cfg;
	struct store *store;
	const struct schema *schema;
	const struct kind_tables *kinds;
	struct api_resource *resources;
	size_t n_resources;
	struct map by_path; /* "group/version/plural" and "group//plural" -> struct api_resource */
	const struct api_resource *namespaces, *secrets, *service_accounts, *pods, *nodes;

	struct tls_ctx *tls;         /* serving */
	struct tls_ctx *kubelet_tls; /* towards nodes */
	struct tls_ctx
		*pod_tls; /* towards what users run: no certificate of ours, theirs unchecked */
	struct tls_key *sa_key;
	struct api_ranges ranges;
	struct str sa_kid, sa_issuer, cluster_domain;
	struct {
		struct str ca_pem, cert_pem, key_pem; /* "" = there is none */
		struct str client_ca_pem;             /* of the cluster */
	} front_proxy;
	struct http_addr bound; /* of the first listener */
	int listen_fds[API_LISTENERS_MAX];
	size_t n_listen_fds;

	struct api_docs *docs, *custom_docs; /* custom_docs: exchanged under a lock of docs.c */
	struct foreign_docs *foreign_docs;   /* likewise */
	_Atomic uint64_t inflight[2];        /* read-only, mutating */
	_Atomic uint64_t requests[6];        /* by status class */
	_Atomic uint64_t verbs[VERB__COUNT];
	_Atomic uint64_t watchers, rejected;
	_Atomic bool ready, stopping;
	_Atomic uint64_t commits; /* under way */
	int stop_pipe[2];

	struct api_worker **workers; /* heap; the first n_tasks have listeners */
	size_t n_workers;
	_Atomic size_t n_tasks;
	struct loop *task_loops[API_WORKERS_MAX];
	atomic_flag workers_lock;

	struct loop *start_loop;
	void (*start_ready)(void *arg);
	void *start_arg;
	struct bootstrap *bootstrap;
	struct api_aggregator *aggregator;
	struct client *aggregator_client;
	struct crd_control *crd_control;
	struct client *crd_client;
	struct policy_control *policy_control; /* NULL = not wanted */
	struct client *policy_client;
	struct apiservice_control *apiservice_control;
	struct client *apiservice_client;
	struct custom_pool *customs;
};

struct api_worker {
	struct api_server *s;
	struct loop *loop;
	struct http_server *http[API_LISTENERS_MAX]; /* none: of a direct client's loop */
	size_t n_http, n_http_open;
	struct rbac_cache *rbac; /* made at first use */
	struct node_graph *graph;
	struct token_cache *tokens;
	struct hook_cache *hooks;
	struct customs *customs; /* made at first use */
	struct apiservices *apiservices;
	struct http_client *node_http;
	struct arena *scratch;  /* for one call; cleared by who uses it */
	struct stream *streams; /* open watches and proxied streams */
	size_t clients;         /* direct clients on this loop */
};
/* api_worker_for: the worker of a loop, made when new. On loop l (or before it runs). NULL = no memory. */
struct api_worker *api_worker_for(struct api_server *s, struct loop *l);
void api_worker_free(struct api_worker *w);

/* ---- pipeline ---- */
struct stage {
	const char *name;
	unsigned verbs; /* VERB_BIT mask the stage is for; 0 = all, also non-resource */
	enum step (*fn)(struct request *r);
};
enum stage_id {
	STAGE_ROUTE,
	STAGE_AUTHENTICATE,
	STAGE_AUDIT,
	STAGE_IMPERSONATE,
	STAGE_FLOW,
	STAGE_AUTHORIZE,
	STAGE_FOREIGN,
	STAGE_NEGOTIATE,
	STAGE_PATHS,
	STAGE_BODY,
	STAGE_OPTIONS,
	STAGE_CONNECT_ADMIT,
	STAGE_SERVE,
	STAGE_GET,
	STAGE_LIST,
	STAGE_WATCH,
	STAGE_DELETECOLLECTION,
	STAGE_DECODE,
	STAGE_LOAD,
	STAGE_PATCH,
	STAGE_META,
	STAGE_NAMESPACE,
	STAGE_ADMIT_MUTATE,
	STAGE_DEFAULT,
	STAGE_STRATEGY,
	STAGE_ESCALATION,
	STAGE_VALIDATE,
	STAGE_ADMIT_VALIDATE,
	STAGE_DELETE,
	STAGE_COMMIT,
	STAGE_REPLY,
	STAGE__COUNT
};
extern const struct stage api_stages[STAGE__COUNT];
/* request_init: a zeroed request gets what every one has. request_start: runs from stage `from`. */
void request_init(
	struct request *r, struct api_worker *w, struct arena *a, struct reply_sink *sink);
void request_start(struct request *r, enum stage_id from);
/* request_restart: the write starts over at r->restart_at with fresh trees. */
enum step request_restart(struct request *r);
/* request_client_gone: the transport says nobody reads the answer any more. */
void request_client_gone(struct request *r);

/* Where answers go. A whole reply, or begin, write..., end; or an upgrade by the transport's own means. */
struct reply_sink_ops {
	void (*reply)(struct request *r, int http, struct str type, struct str body);
	void (*begin)(struct request *r, int http, struct str type);
	size_t (*write)(struct request *r, struct str bytes);
	size_t (*queued)(struct request *r);
	void (*on_drain)(struct request *r, void (*fn)(struct request *r));
	void (*end)(struct request *r);
	void (*header)(struct request *r, struct str name, struct str value);
	/* event: one watch event; object = JSON with kind and apiVersion. Returns bytes queued. */
	size_t (*event)(struct request *r, const char *type, struct str object);
};
struct reply_sink {
	const struct reply_sink_ops *ops;
	struct http_req *http; /* NULL: direct */
};
/* request_over: after the last byte: seat and counters are given back. Called by sinks' users once. */
void request_over(struct request *r, int http);

extern const struct reply_sink_ops http_sink_ops;
void http_on_request(void *arg, struct http_req *h);
/* http_request_of: the request an HTTP request became. */
struct request *http_request_of(struct http_req *h);

/* http_request_upgraded: the stage has answered by an upgrade; the request ends, its arena at the turn's end. */
void http_request_upgraded(struct request *r, int http);

/* A stream that lives on after its stage: ended by the server when it stops. */
struct stream {
	struct request *r;
	void (*stop)(struct stream *st);
	struct stream *next, **prev;
};
void stream_add(struct stream *st, struct request *r, void (*stop)(struct stream *st));
void stream_del(struct stream *st);

/* ---- stages (each in the file of its name) ---- */
enum step stage_route(struct request *r);
enum step stage_authenticate(struct request *r);
enum step stage_audit(struct request *r);
enum step stage_impersonate(struct request *r);
enum step stage_flow(struct request *r);
enum step stage_authorize(struct request *r);
enum step stage_foreign(struct request *r);
enum step stage_negotiate(struct request *r);
enum step stage_paths(struct request *r);
enum step stage_body(struct request *r);
enum step stage_options(struct request *r);
enum step stage_connect_admit(struct request *r);
enum step stage_serve(struct request *r);
enum step stage_get(struct request *r);
enum step stage_list(struct request *r);
enum step stage_watch(struct request *r);
enum step stage_deletecollection(struct request *r);
enum step stage_decode(struct request *r);
enum step stage_load(struct request *r);
enum step stage_patch(struct request *r);
enum step stage_meta(struct request *r);
enum step stage_namespace(struct request *r);
enum step stage_admit_mutate(struct request *r);
enum step stage_default(struct request *r);
enum step stage_strategy(struct request *r);
enum step stage_escalation(struct request *r);
enum step stage_validate(struct request *r);
enum step stage_admit_validate(struct request *r);
enum step stage_delete(struct request *r);
enum step stage_commit(struct request *r);
enum step stage_reply(struct request *r);

/* apply_patch: the stage `patch` of a patch of type apply. */
enum step apply_patch(struct request *r);
/* request_is_apply: a patch of that type. */
bool request_is_apply(const struct request *r);
/* decode_for_serve: the body as the subresource's (or review's) own kind into r->obj. */
enum step decode_for_serve(struct request *r);

/* ---- status ---- */
struct status_spec {
	int http;
	enum reason reason;
	const char *reason_text; /* instead of reason's name; NULL = reason */
	struct str message;
	struct str name, group, kind, uid;
	const struct schema_errors *errors;
	const struct doc *causes; /* instead of errors */
	int retry_s;
	struct str continue_token; /* 410 of a list */
	bool no_details, success;
};
struct str status_json(struct arena *a, const struct status_spec *st);
enum step request_fail_status(struct request *r, const struct status_spec *st);
/* request_forbidden_spec: of `pods "x" is forbidden: why`. */
struct status_spec request_forbidden_spec(struct request *r, struct str why);
enum step request_not_found_path(struct request *r);
/* request_success_status: 200 Status Success with details of the request's object. */
enum step request_success_status(struct request *r, int http, struct str uid);

/* ---- negotiation ---- */
enum as_form { AS_OBJECT, AS_TABLE, AS_PARTIAL, AS_PARTIAL_LIST };
struct negotiated {
	enum media media; /* JSON or YAML */
	enum as_form as;
	const char *as_version; /* "v1", "v1beta1" */
	enum schema_include include;
};
extern const struct negotiated negotiated_json;
/* media_of: a Content-Type as one of ours. */
enum media media_of(struct str content_type);
/* reply_stored: an object as it is stored, in the negotiated form. digits of rev stand in body already. */
enum step reply_stored(struct request *r, int http, struct str body);
/* reply_form: a tree with kind and apiVersion -> bytes in the negotiated form. list: n objects of kind k
 * and list metadata. */
struct str form_object(struct request *r, struct doc *d, struct str *ret_type);
void head_write(struct buf *b, const struct api_resource *res, struct str body);

/* ---- objects ---- */
/* object_parse: a stored body -> tree with kind and apiVersion of res. NULL = damaged or no memory. */
struct doc *object_parse(struct arena *a, const struct api_resource *res, struct str body);
/* object_convert: between forms that share objects (core and events.k8s.io events). to_stored: from
 * res's form. In place. */
void object_convert(struct arena *a, const struct api_resource *res, struct doc *d, bool to_stored);
/* value_plain: the body may be served as it is. */
static inline bool
value_plain(const struct api_resource *res, const struct store_value *v)
{
	return !res->shares && v->flags == 0 && v->schema_id == res->schema_id;
}
/* value_body: the body of v in today's stored form (decoded, defaulted and written again when it is older).
 * arena or v's own bytes. STR_NONE = damaged. */
struct str value_body(struct arena *a, const struct api_resource *res, const struct store_value *v);
struct store_key request_key(const struct request *r);
/* object_read: as request_read for a resource row. */
int object_read(struct request *r, const struct api_resource *res, struct str ns, struct str name,
	struct doc **ret, uint64_t *ret_rev);
/* resource_each: as request_each for a resource row; NULL = -ENOENT. */
int resource_each(struct request *r, const struct api_resource *res, struct str ns,
	bool (*fn)(void *arg, struct doc *obj), void *arg);
struct doc *meta_of(const struct doc *obj); /* metadata; NULL = none */
bool doc_list_has(const struct doc *list, struct str s);
bool is_status_kind(const struct api_resource *res);

/* managed_track: the managedFields that this write leaves behind, as a raw value; NULL = none. obj: what was
 * sent or came of a patch, conformed and defaulted, before the server's own; it loses its managedFields. */
struct doc *managed_track(struct request *r, struct doc *obj);
/* managed_virtual: the same for what is not stored: into r->obj, where it has metadata. */
void managed_virtual(struct request *r);
/* managed_manager: who writes: fieldManager, or what the user agent begins with. */
struct str managed_manager(struct request *r);
/* manager_check: adds causes where the name of a manager is too long or cannot be printed. */
#define MANAGER_MAX 128
void manager_check(struct request *r, struct str path, struct str name);
/* object_empty: an object of the request's kind with nothing in it, canonical. NULL = arena failed. */
struct doc *object_empty(struct request *r);
/* scale_of: the Scale of an object. arena. scale_apply: sets spec.replicas of obj as the Scale says. */
struct doc *scale_of(struct request *r, const struct doc *obj);
void scale_apply(struct request *r, struct doc *obj, const struct doc *scale);
/* rev_wait: a revision of the future: WAIT (3 s, then the stage is entered again), and then the answer
 * 504 "Too large resource version". */
enum step rev_wait(struct request *r, uint64_t want);
/* What a list or watch selects. */
struct selection {
	struct selector labels, fields;
};
/* selection_parse: of r->opt. NEXT or REPLY (400). */
enum step selection_parse(struct request *r, struct selection *ret);
bool selection_match(const struct selection *s, struct str attrs);
/* delete_mark: deletionTimestamp and grace period, and the generation that goes with the first. */
void delete_mark(struct request *r, struct doc *meta, int64_t grace_s, bool first);
/* json_fault: what is wrong with a JSON text, without where. Borrows e. */
struct str json_fault(const struct err *e);
/* list_collect: what the selection picks now, as a list in r's form. NEXT: ret is filled; rc: 0, -E2BIG more than is
 * held at once, -errno. WAIT: the stage is entered again and calls list_collect_more, which gives back `of`. REPLY. */
struct list_collected {
	struct str type, body;
	int rc;
	/* set by the caller, may be NULL: told of each object that a webhook had to convert before it could be picked */
	void (*each)(void *of, struct str ns, struct str name);
};
enum step list_collect(
	struct request *r, const struct selection *sel, void *of, struct list_collected *ret);
enum step list_collect_more(struct request *r, void **ret_of);
/* selection_match_value: the same for a stored value of res; scratch is cleared by the caller. */
bool selection_match_value(struct arena *scratch, const struct selection *s,
	const struct api_resource *res, const struct store_value *v);
/* tree_bytes: a document in r's form of bytes. arena; STR_NONE = failed. */
struct str tree_bytes(struct request *r, const struct doc *d, struct str *ret_type);
/* form_item: one object of a list in r's form, appended as JSON; scratch is cleared by the caller. form_item_doc: of
 * a tree in r's version. */
void form_item(
	struct request *r, struct arena *scratch, struct str body, bool plain, struct buf *out);
void form_item_doc(struct request *r, struct arena *scratch, struct doc *d, struct buf *out);
/* ---- options ---- */
int options_parse_query(struct request *r, struct err *e);
/* options_parse_delete: DeleteOptions of the body into r->opt. NEXT or REPLY. */
enum step options_parse_delete(struct request *r);

/* ---- caches kept from the store, one per worker ---- */
struct cache;
struct cache_fns {
	void (*put)(void *arg, struct store_key key, struct str body);
	void (*del)(void *arg, struct store_key key);
	void (*reset)(void *arg);
};
/* cache_new: nothing is read before the first cache_sync. */
struct cache *cache_new(struct api_worker *w, const struct api_resource *res,
	const struct cache_fns *fns, void *arg);
/* cache_sync: brings fns up to the store's present; cheap when nothing changed. 0 or -errno. */
int cache_sync(struct cache *c);
void cache_free(struct cache *c);

/* ---- authorization ---- */
enum decision { NO_OPINION, ALLOW, DENY };
enum decision authorize(struct request *r, struct api_worker *w, struct arena *a,
	const struct authz_attrs *at, struct str *ret_why);
bool rbac_allows(
	struct api_worker *w, struct arena *a, const struct authz_attrs *at, struct str *ret_why);
struct rbac_rule {
	struct str *verbs, *groups, *resources, *names, *urls;
	size_t n_verbs, n_groups, n_resources, n_names, n_urls;
};
/* rbac_rule_parse: a PolicyRule tree. Slices of the tree. */
void rbac_rule_parse(struct arena *a, const struct doc *d, struct rbac_rule *ret);
bool rbac_rule_allows(const struct rbac_rule *rule, const struct authz_attrs *at);
/* rbac_rules_for: fn for every rule that holds for user u in ns ("" = cluster-wide only). */
void rbac_rules_for(struct api_worker *w, const struct user *u, struct str ns,
	void (*fn)(void *arg, const struct rbac_rule *rule), void *arg);
/* rbac_role_rules: the rules a roleRef names. -ENOENT. */
int rbac_role_rules(struct api_worker *w, bool cluster, struct str ns, struct str name,
	const struct rbac_rule **ret, size_t *ret_n);
void rbac_cache_free(struct rbac_cache *c);
enum decision node_authorize(struct request *r, struct api_worker *w, struct arena *a,
	const struct authz_attrs *at, struct str node, struct str *ret_why);
void node_graph_free(struct node_graph *g);
struct authz_attrs request_attrs(struct request *r);
struct str forbidden_text(struct arena *a, const struct authz_attrs *at, struct str why);

/* user_extra_add: a value of a header whose name ends in an escaped key. */
void user_extra_add(
	struct arena *a, struct user_extra **list, size_t *n, struct str key, struct str value);

/* ---- tokens ---- */
/* token_issue: a signed service account token; claims is the JSON of its payload. */
struct str token_sign(struct api_server *s, struct arena *a, struct str claims);
/* token_check: bearer token -> user. 0 or -EACCES; ret_audiences may be NULL. */
int token_check(struct request *r, struct str token, const struct str *audiences,
	size_t n_audiences, struct user *ret, struct str *ret_why);
void token_cache_free(struct token_cache *t);

/* ---- rest ---- */
int api_docs_new(struct api_server *s);
void api_docs_free(struct api_docs *d);
void api_docs_unref(void *docs);
/* docs_serve: discovery and OpenAPI; *ret_known false: no such document. */
enum step docs_serve(struct request *r, bool *ret_known);
int bootstrap_start(struct api_server *s);
void bootstrap_stop(struct api_server *s);
/* server_serve: the first objects are there: start the workers. */
int server_serve(struct api_server *s);
void commit_ended(struct api_server *s);
/* rbac_bootstrap_merge: adds to `have` what the default lacks; true when it changed. */
bool rbac_bootstrap_merge(struct arena *a, struct doc *have, const struct doc *want);
void rbac_bootstrap_objects(struct arena *a,
	void (*fn)(void *arg, const char *resource, struct str ns, struct doc *obj), void *arg);
void node_proxy_free(struct api_worker *w);
void hook_cache_free(struct hook_cache *hc);
/* hooks_again: a webhook changed the object: the mutating plugins run once more. True once a request. */
bool hooks_again(struct request *r);

/* serve functions of subresources and reviews: see the tables in resources.c */
enum step serve_scale(struct request *r);
enum step serve_binding(struct request *r);
enum step serve_eviction(struct request *r);
enum step serve_token(struct request *r);
enum step serve_node_stream(struct request *r);
enum step serve_proxy(struct request *r);
enum step serve_subject_access_review(struct request *r);
enum step serve_self_subject_access_review(struct request *r);
enum step serve_rules_review(struct request *r);
enum step serve_token_review(struct request *r);
enum step serve_self_subject_review(struct request *r);

extern const struct kind_ops custom_ops; /* of every custom resource */

#endif
