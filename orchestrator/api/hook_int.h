/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hook_int: admission webhooks, between the files hook_*.c: what is configured (hook_config.c), what a request is to
 * them and whether they are asked (hook_match.c), what is sent and answered (hook_review.c), one question
 * (hook_call.c), how it is posted (hook_post.c), and the two plugins that ask (hook_admit.c). Admission policies
 * (policy_int.h) stand on the first two. Private to api.
 *
 * Source: k8s.io/apiserver pkg/admission/plugin/webhook; k8s.io/api admission/v1. */
#ifndef ORCHESTRATOR_API_HOOK_INT_H
#define ORCHESTRATOR_API_HOOK_INT_H

#include "orchestrator/api/api_int.h"

/* ---- one call (hook_post.c) ---- */

/* Who is called: what a WebhookClientConfig says. */
struct hook_target {
	struct str url; /* or a service: */
	struct str service_ns, service, path;
	int64_t port;
	struct str ca_pem;
};
/* hook_target_of: borrows the document for the life of a. */
struct hook_target hook_target_of(struct arena *a, const struct doc *client_config);
/* hook_target_tls: a context with the target's own roots. Owned. -EINVAL (e), -ENOMEM. */
int hook_target_tls(const struct hook_target *t, struct tls_ctx **ret, struct err *e);
/* hook_target_url: where it is asked, ns = how long it is awaited, told in whole seconds. arena. */
struct str hook_target_url(struct arena *a, const struct hook_target *t, int64_t ns);

/* A body posted to a target and its answer. Filled by the caller but for what is the call's own. */
struct hook_post {
	struct request *r; /* whose loop, arena and store are used; nothing else of it */
	const struct hook_target *to;
	struct tls_ctx *tls; /* borrowed */
	struct str url, body;
	const char *agent;
	int64_t end_ns; /* monotonic */
	void (*done)(struct hook_post *p);
	void *arg;
	/* the call's own */
	struct http_fetch *fetch; /* under way */
	bool again;
	struct str answer; /* arena of r */
	struct str why;    /* what went wrong; not set = answered */
};
/* hook_post_start: done(p) once, never within this. < 0: nothing was sent, done will not be called, why is set. */
int hook_post_start(struct hook_post *p);
void hook_post_cancel(struct hook_post *p);

/* ---- configurations (hook_config.c) ---- */

struct hook_texts {
	struct str *v;
	size_t n;
};
struct hook_rule {
	struct hook_texts operations, groups, versions, resources;
	struct hook_texts names; /* none = objects of any name */
	bool cluster_only, namespaced_only;
};
/* Which requests something is about. */
struct hook_scope {
	struct hook_rule *rules, *excluded;
	size_t n_rules, n_excluded;
	struct selector namespaces, objects;
	bool equivalent;
	bool any; /* without rules: about every request, else about none */
};
struct hook_config;
struct policy_code;
struct hook {
	struct hook_config *of;
	struct str name;
	struct str id; /* of this webhook among all */
	struct hook_scope scope;
	bool ignore_failure, no_side_effects, may_reinvoke;
	struct policy_code *conditions; /* NULL = none */
	const char *review;             /* version of AdmissionReview; NULL: none that is known */
	int64_t timeout_ns;             /* 0 = none */
	struct hook_target to;
	struct tls_ctx *tls; /* made at the first call */
};
/* One object; kept by the worker's cache and by each request that looks at it. */
struct hook_item {
	struct arena *a; /* it lives here */
	unsigned refs;
	struct str name;
	void (*drop)(
		struct hook_item *it); /* before the arena goes; NULL = nothing is to be done */
};
struct hook_config {
	struct hook_item item;
	struct hook *hooks;
	size_t n_hooks;
};
enum hook_kind {
	HOOK_MUTATING,
	HOOK_VALIDATING,
	HOOK_MUTATING_POLICY,
	HOOK_MUTATING_BINDING,
	HOOK_VALIDATING_POLICY,
	HOOK_VALIDATING_BINDING,
	HOOK_KIND__COUNT
};
/* hook_items_take: the objects of a kind as they are now, by name; borrowed until r's arena is cleared. Errors:
 * -errno of the store, -ENOMEM. Cheap when nothing changed. */
int hook_items_take(struct request *r, enum hook_kind kind, struct hook_item ***ret, size_t *ret_n);
/* hook_rules_read: a list of rules. hook_scope_selectors: selectors and matchPolicy, which stand in `d`. */
void hook_rules_read(
	struct arena *a, const struct doc *list, struct hook_rule **ret, size_t *ret_n);
void hook_scope_selectors(struct arena *a, const struct doc *d, struct hook_scope *sc);
/* hooks_take: the webhooks of one kind as they are configured now, configurations by name; borrowed until r's
 * arena is cleared. Errors: -errno of the store, -ENOMEM. Cheap when nothing changed. */
int hooks_take(struct request *r, bool mutating, struct hook ***ret, size_t *ret_n);
/* hooks_client: the HTTP client of r's worker for them; NULL = no memory. */
struct http_client *hooks_client(struct request *r);
/* hook_tls: a context with the webhook's own roots. Borrowed. -EINVAL (e), -ENOMEM. */
int hook_tls(struct hook *h, struct tls_ctx **ret, struct err *e);

/* ---- matching (hook_match.c) ---- */

/* What a webhook sees of a request: the object in the form of one resource. */
struct hook_view {
	const struct api_resource *res; /* form the objects are in */
	const struct schema_type *type;
	struct str group, version, kind; /* of the objects */
	struct doc *obj;                 /* NULL = none */
	const struct doc *old;
};
/* hook_view: as the request itself is. REPLY: no memory. */
enum step hook_view(struct request *r, struct hook_view *ret);
/* hook_view_as: the same objects as another resource of the same storage has them. 0 or -ENOMEM. */
int hook_view_as(struct request *r, const struct hook_view *v, const struct api_resource *res,
	struct hook_view *ret);
/* hook_wanted: the resource in whose form a request is told, by the rules: the request's, or one with the same
 * objects. NULL: the scope is not about it. */
const struct api_resource *hook_wanted(struct request *r, const struct hook_scope *sc);
/* hook_chooses: do the selectors choose the request? 1, 0, or -ENOENT: its namespace is not there, -errno. */
int hook_chooses(struct request *r, const struct hook_scope *sc, const struct hook_view *v);
/* hook_selects: the same; REPLY: it cannot be told. */
enum step hook_selects(
	struct request *r, const struct hook_scope *sc, const struct hook_view *v, bool *ret);
/* hook_operation: "CREATE"; static. hook_namespace: of the request; a namespace is in itself. */
const char *hook_operation(const struct request *r);
struct str hook_namespace(const struct request *r);
/* hook_exempt: configurations of admission are never asked about, nor what is only read. */
bool hook_exempt(const struct request *r);

/* ---- reviews (hook_review.c) ---- */

/* hook_request_doc: what is said of a request beside its objects; `as`: the resource that was matched. arena; NULL =
 * failed. */
struct doc *hook_request_doc(
	struct request *r, const struct hook_view *v, const struct api_resource *as);

/* hook_review_write: the AdmissionReview to be sent. arena; STR_NONE = failed. */
struct str hook_review_write(
	struct request *r, const struct hook *h, const struct hook_view *v, struct str uid);
struct hook_answer {
	bool allowed;
	struct str patch;   /* JSON; "" = none */
	struct doc *status; /* of a refusal; NULL = none */
	struct str *warnings;
	size_t n_warnings;
};
/* hook_answer_parse: what came back, checked as `review` ("v1", "v1beta1") wants it. arena, borrows body.
 * -EINVAL (e: upstream's text), -ENOMEM. Fuzz: tests/fuzz/admission_fuzz.c. */
int hook_answer_parse(struct arena *a, struct str body, struct str uid, const char *review,
	bool mutating, struct hook_answer *ret, struct err *e);
/* hook_refusal: the Status of a refusal by webhook `name`, complete; *ret_http its code. NULL = arena failed. */
struct doc *hook_refusal(struct arena *a, struct str name, const struct doc *status, int *ret_http);

/* ---- one question (hook_call.c) ---- */

enum hook_result {
	HOOK_ANSWERED,
	HOOK_FAILED,   /* could not be asked: by failurePolicy; why says what went wrong */
	HOOK_NO_DRYRUN /* is not asked on a dry run, and so refuses */
};
struct hook_call {
	struct request *r;
	struct hook *h;
	void (*done)(struct hook_call *c);
	void *arg;
	struct hook_post post; /* under way */
	struct hook_view view; /* what it is told (validating) */
	struct str uid;
	bool mutating;
	bool over;
	enum hook_result result;
	struct str why;
	struct hook_answer answer;
};
/* hook_call_start: asks; done(c) once, never within this, unless c->over is set when it returns (nothing was
 * sent) or hook_call_cancel came first. c is arena, filled but for r, h, done, arg, mutating. */
void hook_call_start(struct hook_call *c, const struct hook_view *v);
void hook_call_cancel(struct hook_call *c);

/* ---- several turns (hook_turns.c) ---- */

struct hook_turns {                /* of one plugin */
	struct doc *last;          /* the object as it left it */
	struct str *asked, *again; /* ids */
	size_t n_asked, n_again;
};
struct hook_memory {
	bool second, wanted; /* the second run is under way; a first one wants it */
	struct hook_turns webhooks, policies;
};
/* hook_memory: r's, made when it has none; NULL = the arena failed. The others want it to be there. */
struct hook_memory *hook_memory(struct request *r);
/* begin, end: of the plugin in a run. due: is `id` asked in this run? taken: it was, and may be again. changed: the
 * object is another now. */
void hook_turns_begin(struct request *r, struct hook_turns *t);
void hook_turns_end(struct request *r, struct hook_turns *t);
bool hook_turn_due(const struct request *r, const struct hook_turns *t, struct str id);
void hook_turn_taken(struct request *r, struct hook_turns *t, struct str id);
void hook_turns_changed(struct request *r, struct hook_turns *t);
/* hook_put_back: what was made of a view's object becomes the request's. REPLY: it cannot be. */
enum step hook_put_back(struct request *r, const struct hook_view *v, struct doc *out);
/* meta_again (meta.c): admission has changed r->obj: what the server owns of an object, and what a subresource may not
 * write, is as it was in `before` again. REPLY: a name or namespace was changed that cannot be. */
enum step meta_again(struct request *r, const struct doc *before);
/* request_fail_doc (status.c): answers this Status. */
enum step request_fail_doc(struct request *r, int http, const struct doc *status);
/* hook_deadline_ns: when the request itself must be over; monotonic. */
int64_t hook_deadline_ns(struct request *r);

#endif
