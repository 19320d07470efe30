/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * delete: the stage that decides what a DELETE does to an object: it goes at once, or stays with a
 * deletionTimestamp while a grace period runs or finalizers hold it; and the stage for collections,
 * which deletes each selected object by a request of its own.
 *
 * Invariants: a grace period only ever gets shorter; a deletionTimestamp never goes away.
 * Source: k8s.io/apiserver registry/rest (BeforeDelete), registry/generic/registry (Store.Delete,
 * deletionFinalizersForGarbageCollection, DeleteCollection). */
#include "orchestrator/api/api_int.h"
#include "orchestrator/api/convert.h"

#define PARALLEL 16

static const char orphan[] = "orphan", foreground[] = "foregroundDeletion";

/* A conflict that names the kind, as upstream's deletion does, not the resource; but for namespaces. */
static enum step
precondition_failed(
	struct request *r, const char *what, struct str want, struct str have, const char *guess)
{
	struct str group = r->res->group, kind = str_c(r->res->kind->kind);
	if (r->res == r->server->namespaces)
		return request_fail_conflict(r, r->name,
			arena_cstr(r->a,
				arena_fmt(r->a,
					"Precondition failed: %s in precondition: " STR_FMT
					", %s in object meta: " STR_FMT,
					what, STR_ARG(want), what, STR_ARG(have))));
	return request_fail_status(r,
		&(struct status_spec){.http = 409,
			.reason = R_CONFLICT,
			.name = r->name,
			.group = group,
			.kind = kind,
			.message = arena_fmt(r->a,
				"Operation cannot be fulfilled on " STR_FMT "%s" STR_FMT
				" \"" STR_FMT "\": the %s in the precondition (" STR_FMT
				") does not match the %s in record (" STR_FMT "). %s",
				STR_ARG(kind), group.n ? "." : "", STR_ARG(group), STR_ARG(r->name),
				what, STR_ARG(want), what, STR_ARG(have), guess)});
}

static enum step
check_preconditions(struct request *r, const struct doc *meta)
{
	struct str uid = doc_get_str(meta, STR("uid"));
	struct str rv = doc_get_str(meta, STR("resourceVersion"));
	struct str want = r->opt.precondition_uid;
	if (want.n && !str_eq(want, uid))
		return precondition_failed(r, "UID", want, uid,
			"The object might have been deleted and then recreated");
	want = r->opt.precondition_rv;
	if (want.n && !str_eq(want, rv))
		return precondition_failed(
			r, "ResourceVersion", want, rv, "The object might have been modified");
	return STEP_NEXT;
}

static void
finalizer_set(struct request *r, struct doc *meta, const char *name, bool on)
{
	struct doc *list = doc_get(meta, STR("finalizers"));
	if (on && !doc_list_has(list, str_c(name))) {
		list = doc_ensure_list(r->a, meta, STR("finalizers"));
		if (list)
			doc_append(list, doc_str(r->a, str_c(name)));
		return;
	}
	if (on)
		return;
	for (struct doc *x = list && list->type == DOC_LIST ? list->first : NULL, *next; x;
		x = next) {
		next = x->next;
		if (str_eq_c(doc_as_str(x), name))
			doc_remove(list, x);
	}
	if (list && doc_len(list) == 0)
		doc_set(meta, STR("finalizers"), NULL);
}

/* Whose dependents stay when nobody says otherwise, as they did before there was a garbage collector. */
static bool
orphans_by_default(const struct request *r)
{
	return (r->res->group.n == 0 && str_eq_c(r->res->plural, "replicationcontrollers")) ||
		(str_eq_c(r->res->group, "batch") && str_eq_c(r->res->plural, "jobs"));
}

static void
propagation(struct request *r, struct doc *meta)
{
	struct str p = r->opt.propagation;
	if (str_eq_c(r->res->plural, "events"))
		return; /* they own nothing */
	const struct doc *list = doc_get(meta, STR("finalizers"));
	if (p.n == 0 && orphans_by_default(r) && !doc_list_has(list, str_c(foreground)))
		finalizer_set(r, meta, orphan, true);
	if (p.n == 0 && str_eq_c(r->res->group, "batch") && orphans_by_default(r))
		request_warn(r,
			"child pods are preserved by default when jobs are deleted; set "
			"propagationPolicy=Background to remove them or set propagationPolicy=Orphan to "
			"suppress this warning");
	if (p.n == 0)
		return;
	finalizer_set(r, meta, orphan, str_eq(p, STR("Orphan")));
	finalizer_set(r, meta, foreground, str_eq(p, STR("Foreground")));
}

void
delete_mark(struct request *r, struct doc *meta, int64_t grace_s, bool first)
{
	char text[40];
	size_t n = rfc3339_format(r->wall_ns + grace_s * NS_PER_SEC, 0, text);
	doc_set_str(r->a, meta, STR("deletionTimestamp"), arena_str(r->a, str_from(text, n)));
	if (r->res->ops->marks_time_only)
		return;
	doc_set_int(r->a, meta, STR("deletionGracePeriodSeconds"), grace_s);
	int64_t gen = doc_get_int(meta, STR("generation"), 0);
	if (first && gen > 0)
		doc_set_int(r->a, meta, STR("generation"), gen + 1);
}

static bool
held(const struct request *r, const struct doc *obj)
{
	if (doc_len(doc_get(meta_of(obj), STR("finalizers"))))
		return true;
	return r->res == r->server->namespaces &&
		doc_len(doc_get(doc_get(obj, STR("spec")), STR("finalizers")));
}

/* Which grace period holds now. *ret_pending: the object goes by itself and nothing changes. */
static enum step
grace_of(struct request *r, bool deleting, int64_t *ret_grace, bool *ret_pending)
{
	int64_t asked = r->opt.grace_s, grace = asked;
	*ret_pending = false;
	if (deleting) {
		int64_t now = doc_get_int(meta_of(r->old), STR("deletionGracePeriodSeconds"), 0);
		*ret_pending = now > 0 && (asked < 0 || asked >= now);
		*ret_grace = asked >= 0 && asked < now ? asked : now;
		return STEP_NEXT;
	}
	if (!r->res->ops->before_delete) {
		*ret_grace = 0;
		return STEP_NEXT;
	}
	enum step st = r->res->ops->before_delete(r, r->old, &grace);
	*ret_grace = grace > 0 ? grace : 0;
	return st;
}

enum step
stage_delete(struct request *r)
{
	const struct doc *old = meta_of(r->old);
	bool deleting = doc_get_str(old, STR("deletionTimestamp")).n != 0;
	bool pending = false;
	int64_t grace = 0;
	enum step st = check_preconditions(r, old);
	if (st == STEP_NEXT)
		st = grace_of(r, deleting, &grace, &pending);
	if (st != STEP_NEXT)
		return st;
	struct doc *obj = doc_copy(r->a, r->old);
	struct doc *meta = obj ? doc_ensure_map(r->a, obj, STR("metadata")) : NULL;
	if (!meta)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	propagation(r, meta);
	if (!deleting && r->res->ops->mark_deleted)
		r->res->ops->mark_deleted(r, obj);
	if (!pending && grace == 0 && !held(r, obj)) {
		r->obj = NULL;
		return STEP_NEXT;
	}
	int64_t before = doc_get_int(old, STR("deletionGracePeriodSeconds"), 0);
	if (!deleting || grace < before)
		delete_mark(r, meta, grace, !deleting);
	if (r->res == r->server->namespaces) {
		struct doc *status = doc_ensure_map(r->a, obj, STR("status"));
		if (status)
			doc_set_str(r->a, status, STR("phase"), STR("Terminating"));
	}
	r->obj = obj;
	return STEP_NEXT;
}

/* ---- collections ----------------------------------------------------------------------------------- */

struct collection {
	struct request *r;
	struct selection sel;
	struct str *names, *spaces;
	size_t n, at, running;
	bool starting;
	struct list_collected reply; /* the list of what is deleted; rc < 0: a Status answers */
	struct str failure;          /* the first Status that was not 404 or 409 */
	int failure_http;
};

struct child {
	struct request r;
	struct reply_sink sink;
	struct collection *of;
};

static void
child_free(void *p)
{
	arena_free(p);
}

static void collection_go_on(struct collection *c);

static void
child_reply(struct request *r, int http, struct str type, struct str body)
{
	(void)type;
	struct child *ch = CONTAINER_OF(r, struct child, r);
	struct collection *c = ch->of;
	if (http >= 400 && http != 404 && http != 409 && c->failure_http == 0) {
		c->failure_http = http;
		c->failure = arena_str(c->r->a, body);
	}
	c->running--;
	loop_free_later(r->loop, child_free, r->a);
	collection_go_on(c);
}

static void
child_header(struct request *r, struct str name, struct str value)
{
	(void)r;
	(void)name;
	(void)value;
}

static const struct reply_sink_ops child_ops = {.reply = child_reply, .header = child_header};

static int
child_start(struct collection *c, size_t i)
{
	struct arena *a = arena_new(0);
	struct child *ch = a ? ARENA_NEW(a, struct child) : NULL;
	if (!ch) {
		arena_free(a);
		return -ENOMEM;
	}
	ch->of = c;
	ch->sink.ops = &child_ops;
	request_init(&ch->r, c->r->worker, a, &ch->sink);
	ch->r.user = c->r->user;
	ch->r.res = c->r->res;
	ch->r.method = STR("DELETE");
	ch->r.verb = VERB_DELETE;
	ch->r.ns = c->spaces[i];
	ch->r.name = c->names[i];
	ch->r.opt = c->r->opt;
	ch->r.opt.precondition_uid = STR("");
	ch->r.opt.precondition_rv = STR("");
	c->running++;
	request_start(&ch->r, STAGE_LOAD);
	return 0;
}

static void
collect(void *arg, struct str of_ns, struct str of_name)
{
	struct collection *c = arg;
	size_t m = c->n;
	struct str *name = ARENA_PUSH(c->r->a, c->names, c->n);
	struct str *ns = ARENA_PUSH(c->r->a, c->spaces, m);
	if (!name || !ns)
		return; /* the arena has failed, which is seen before anything is deleted */
	*name = arena_str(c->r->a, of_name);
	*ns = arena_str(c->r->a, of_ns);
}

static bool
collect_name(void *arg, struct store_key key, const struct store_value *v)
{
	struct collection *c = arg;
	if (selection_match(&c->sel, v->attrs))
		collect(c, key.ns, key.name);
	return !arena_failed(c->r->a) && (c->r->opt.limit <= 0 || (int64_t)c->n < c->r->opt.limit);
}

/* Starts as many as may run; when none is left the request goes on. */
static void
collection_go_on(struct collection *c)
{
	if (c->starting)
		return; /* a child that ended at once is counted by the loop below */
	c->starting = true;
	while (c->at < c->n && c->running < PARALLEL && c->failure_http == 0)
		if (child_start(c, c->at++) < 0)
			c->failure_http = 413;
	c->starting = false;
	if (c->running == 0)
		request_resume(c->r, true);
}

/* What is deleted now: as many requests as there are objects. */
static enum step
collection_start(struct collection *c)
{
	struct request *r = c->r;
	struct store_range range = {
		.res = r->res->store_res, .ns = r->res->kind->namespaced ? r->ns : STR("")};
	uint64_t rev = 0;
	struct str next = STR_NONE;
	/* what had to be converted to be picked has been collected with the list */
	int rc = c->reply.each
		? 0
		: store_list(r->server->store, &range, r->a, collect_name, c, &rev, &next);
	if (arena_failed(r->a))
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	if (rc < 0)
		return request_fail_err(
			r, &(struct err){.code = rc, .msg = "listing the store failed"});
	r->stage_state = c;
	collection_go_on(c);
	return STEP_WAIT;
}

static enum step
collection_begin(struct request *r)
{
	struct collection *c = ARENA_NEW(r->a, struct collection);
	if (!c)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	c->r = r;
	c->reply.rc = -ENODATA;
	enum step st = selection_parse(r, &c->sel);
	if (convert_hooked(r->res))
		c->reply.each = collect;
	if (st == STEP_NEXT && (r->sink->http || c->reply.each))
		st = list_collect(r, &c->sel, c, &c->reply);
	r->plugin = st == STEP_WAIT; /* waits for the list */
	return st == STEP_NEXT ? collection_start(c) : st;
}

enum step
stage_deletecollection(struct request *r)
{
	struct collection *c = r->stage_state;
	if (r->res->store_res == API_NO_STORE)
		return request_not_found_path(r);
	if (!c)
		return collection_begin(r);
	if (r->plugin) {
		void *of = NULL;
		enum step st = list_collect_more(r, &of);
		r->plugin = st == STEP_WAIT;
		return st == STEP_NEXT ? collection_start(of) : st;
	}
	if (c->failure_http)
		return request_reply_bytes(r, c->failure_http, STR("application/json"), c->failure);
	if (c->reply.rc == 0)
		return request_reply_bytes(r, 200, c->reply.type, c->reply.body);
	return request_success_status(r, 200, STR(""));
}
