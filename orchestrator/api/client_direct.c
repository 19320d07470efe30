/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * client_direct: the transport of client.h for this process: a call becomes a request that enters the
 * pipeline at `authorize` under the client's identity, on the client's own loop. No bytes are encoded
 * for a wire; only the store's writer is another thread.
 *
 * Invariants: done and end run exactly once, never within the call that started them, not after
 * cancel or stop; a cancelled request still runs to its end and its answer is dropped.
 * Source: orchestrator/client/client.h; architecture.md section 6. */
#include "orchestrator/api/api_int.h"
#include "orchestrator/api/custom.h"

#include <stdlib.h>

struct direct {
	struct client base;
	struct api_server *s;
	struct api_worker *w;
	struct arena *a; /* identity */
	struct user user;
	struct str user_agent;
	struct item *items; /* under way */
};

/* A call or a watch. */
struct item {
	union {
		struct client_call call;
		struct client_watch watch;
	} base;
	struct direct *d; /* NULL: the client is gone */
	struct item *next, **prev;
	struct request r;
	struct reply_sink sink;
	struct arena *a;
	struct loop_work start;
	bool dropped; /* cancelled or stopped: nobody is told */
	bool is_watch, started, over;
	client_done_fn *done;
	const struct client_watch_fns *fns;
	void *arg;
	struct buf body;    /* heap; of a streamed list */
	int http;           /* of its beginning */
	struct str failure; /* watch: the Status of an ERROR event; arena */
};

static struct item *
item_of(struct request *r)
{
	return CONTAINER_OF(r, struct item, r);
}

static void
item_free(void *p)
{
	struct item *it = p;
	buf_release(&it->body);
	arena_free(it->a);
}

static void
item_over(struct item *it)
{
	if (it->over)
		return;
	it->over = true;
	if (it->prev) {
		*it->prev = it->next;
		if (it->next)
			it->next->prev = it->prev;
		it->prev = NULL;
	}
	loop_free_later(it->r.loop, item_free, it);
}

static void
result_of(struct item *it, int http, struct str body, struct client_result *res)
{
	*res = (struct client_result){.http = http, .body = body};
	if (http < 400 && http != 0)
		return;
	struct doc *d = NULL;
	struct arena *a = arena_new(0);
	res->e.code = -EREMOTEIO;
	res->e.reason = reason_from_http(http);
	if (a && doc_parse_json(a, body, NULL, &d, NULL) == 0) {
		enum reason named = reason_from_name(doc_get_str(d, STR("reason")));
		if (named != R_UNKNOWN)
			res->e.reason = named;
		str_copy_c(doc_get_str(d, STR("message")), res->e.msg, sizeof(res->e.msg));
		res->retry_after_s = (int)doc_get_int(
			doc_get(d, STR("details")), STR("retryAfterSeconds"), 0);
	}
	arena_free(a);
	(void)it;
}

/* ---- the sink -------------------------------------------------------------------------------------- */

static void
direct_finish(struct item *it, int http, struct str body)
{
	struct client_result res;
	item_over(it);
	if (it->dropped)
		return;
	it->dropped = true;
	result_of(it, http, body, &res);
	if (it->is_watch)
		it->fns->end(it->arg, &res);
	else
		it->done(it->arg, &res);
}

static void
direct_reply(struct request *r, int http, struct str type, struct str body)
{
	(void)type;
	direct_finish(item_of(r), http, body);
}

static void
direct_begin(struct request *r, int http, struct str type)
{
	(void)type;
	item_of(r)->http = http;
}

static size_t
direct_write(struct request *r, struct str bytes)
{
	buf_str(&item_of(r)->body, bytes);
	return 0;
}

static size_t
direct_queued(struct request *r)
{
	(void)r;
	return 0;
}

static void
direct_on_drain(struct request *r, void (*fn)(struct request *r))
{
	(void)r;
	(void)fn;
}

static void
direct_end(struct request *r)
{
	struct item *it = item_of(r);
	if (it->is_watch && it->failure.n) {
		struct doc *d = NULL;
		int http = 500;
		if (doc_parse_json(it->a, it->failure, NULL, &d, NULL) == 0)
			http = (int)doc_get_int(d, STR("code"), 500);
		direct_finish(it, http, it->failure);
		return;
	}
	direct_finish(it, it->body.failed ? 0 : it->http, buf_view(&it->body));
}

static void
direct_header(struct request *r, struct str name, struct str value)
{
	(void)r;
	(void)name;
	(void)value;
}

static size_t
direct_event(struct request *r, const char *type, struct str object)
{
	static const struct {
		const char *type;
		enum client_event event;
	} types[] = {
		{"ADDED", CLIENT_ADDED},
		{"MODIFIED", CLIENT_MODIFIED},
		{"DELETED", CLIENT_DELETED},
		{"BOOKMARK", CLIENT_BOOKMARK},
	};
	struct item *it = item_of(r);
	if (strcmp(type, "ERROR") == 0)
		it->failure = arena_str(it->a, object);
	for (size_t i = 0; i < ARRAY_LEN(types) && !it->dropped; i++)
		if (strcmp(type, types[i].type) == 0)
			it->fns->event(it->arg, types[i].event, object);
	return 0;
}

static const struct reply_sink_ops direct_ops = {
	.reply = direct_reply,
	.begin = direct_begin,
	.write = direct_write,
	.queued = direct_queued,
	.on_drain = direct_on_drain,
	.end = direct_end,
	.header = direct_header,
	.event = direct_event,
};

/* ---- starting -------------------------------------------------------------------------------------- */

static const struct {
	enum verb verb;
	const char *method;
	enum media media;
} verbs[CLIENT_VERB__COUNT] = {
	[CLIENT_GET] = {VERB_GET, "GET", MEDIA_JSON},
	[CLIENT_LIST] = {VERB_LIST, "GET", MEDIA_JSON},
	[CLIENT_CREATE] = {VERB_CREATE, "POST", MEDIA_JSON},
	[CLIENT_UPDATE] = {VERB_UPDATE, "PUT", MEDIA_JSON},
	[CLIENT_PATCH_STRATEGIC] = {VERB_PATCH, "PATCH", MEDIA_PATCH_STRATEGIC},
	[CLIENT_PATCH_MERGE] = {VERB_PATCH, "PATCH", MEDIA_PATCH_MERGE},
	[CLIENT_PATCH_JSON] = {VERB_PATCH, "PATCH", MEDIA_PATCH_JSON},
	[CLIENT_DELETE] = {VERB_DELETE, "DELETE", MEDIA_JSON},
	[CLIENT_DELETE_COLLECTION] = {VERB_DELETECOLLECTION, "DELETE", MEDIA_JSON},
	[CLIENT_WATCH] = {VERB_WATCH, "GET", MEDIA_JSON},
};

static void
item_start(struct loop_work *w)
{
	struct item *it = w->arg;
	it->started = true;
	if (it->r.path.n && stage_route(&it->r) == STEP_REPLY)
		return;
	request_start(&it->r, STAGE_AUTHORIZE);
}

static void
fill_options(struct item *it, const struct client_req *q)
{
	struct options *o = &it->r.opt;
	struct arena *a = it->a;
	o->label_selector = arena_str(a, q->label_selector);
	o->field_selector = arena_str(a, q->field_selector);
	o->resource_version = arena_str(a, q->resource_version);
	o->resource_version_match = arena_str(a, q->resource_version_match);
	o->continue_token = arena_str(a, q->continue_token);
	o->field_manager = arena_str(a, q->field_manager);
	o->field_validation = STR("Ignore");
	o->limit = q->limit;
	o->allow_bookmarks = q->allow_bookmarks;
	o->dry_run = q->dry_run;
	if (q->timeout_s)
		o->timeout_s = q->timeout_s;
	if (q->send_initial_events) {
		o->send_initial_events = 1;
		if (o->resource_version_match.n == 0)
			o->resource_version_match = STR("NotOlderThan");
	}
}

static int
item_new(struct direct *d, const struct client_req *q, struct item **ret)
{
	if (q->verb >= CLIENT_VERB__COUNT)
		return -EINVAL;
	const struct api_resource *res = q->raw.n
		? NULL
		: api_resource_find(d->s, q->group, q->version, q->resource);
	if (!res && !q->raw.n)
		res = custom_resource_find(d->w, q->group, q->version, q->resource, true);
	const struct api_subresource *sub = res && q->subresource.n
		? api_subresource_find(res, q->subresource)
		: NULL;
	if (q->raw.n ? q->verb != CLIENT_GET : !res || (q->subresource.n && !sub))
		return -EINVAL;
	struct arena *a = arena_new(0);
	struct item *it = a ? ARENA_NEW(a, struct item) : NULL;
	if (!it || (res && custom_pin(a, res) < 0)) {
		arena_free(a);
		return -ENOMEM;
	}
	it->a = a;
	it->d = d;
	it->base.call.c = &d->base;
	it->sink.ops = &direct_ops;
	it->start = (struct loop_work){.fn = item_start, .arg = it};
	struct request *r = &it->r;
	request_init(r, d->w, a, &it->sink);
	r->user = d->user;
	r->user_agent = d->user_agent;
	r->remote_ip = STR("");
	r->method = str_c(verbs[q->verb].method);
	r->path = r->raw_query = STR("");
	struct str raw_path = STR("");
	if (q->raw.n) {
		str_cut(arena_str(a, q->raw), '?', &raw_path, &r->raw_query);
		if (http_url_decode(a, raw_path, false, &r->path) < 0) {
			arena_free(a);
			return -EINVAL;
		}
	}
	r->verb = verbs[q->verb].verb;
	r->body_media = verbs[q->verb].media;
	r->res = res;
	r->sub = sub;
	r->name = q->name.n ? arena_str(a, q->name) : STR("");
	r->ns = res == d->s->namespaces && q->name.n ? r->name
		: q->ns.n                            ? arena_str(a, q->ns)
						     : STR("");
	r->body = arena_str(a, q->body);
	fill_options(it, q);
	if ((r->verb == VERB_LIST || r->verb == VERB_WATCH) && r->name.n) {
		struct str by_name = arena_fmt(a, "metadata.name=" STR_FMT, STR_ARG(r->name));
		r->opt.field_selector = r->opt.field_selector.n
			? arena_fmt(a, STR_FMT "," STR_FMT, STR_ARG(r->opt.field_selector),
				  STR_ARG(by_name))
			: by_name;
	}
	if (arena_failed(a)) {
		arena_free(a);
		return -ENOMEM;
	}
	it->next = d->items;
	it->prev = &d->items;
	if (d->items)
		d->items->prev = &it->next;
	d->items = it;
	*ret = it;
	return 0;
}

static int
direct_call(struct client *c, const struct client_req *q, client_done_fn *done, void *arg,
	struct client_call **ret)
{
	struct direct *d = CONTAINER_OF(c, struct direct, base);
	struct item *it = NULL;
	int rc = item_new(d, q, &it);
	if (rc < 0)
		return rc;
	it->done = done;
	it->arg = arg;
	loop_defer(c->loop, &it->start);
	if (ret)
		*ret = &it->base.call;
	return 0;
}

static void
item_drop(struct item *it)
{
	if (it->over)
		return;
	it->dropped = true;
	if (!it->started) {
		loop_defer_cancel(&it->start);
		item_over(it);
		return;
	}
	/* no watch: the request may still take effect and ends by itself */
	request_client_gone(&it->r);
}

static void
direct_cancel(struct client_call *call)
{
	item_drop(CONTAINER_OF(call, struct item, base.call));
}

static int
direct_watch(struct client *c, const struct client_req *q, const struct client_watch_fns *fns,
	void *arg, struct client_watch **ret)
{
	struct direct *d = CONTAINER_OF(c, struct direct, base);
	struct client_req wq = *q;
	struct item *it = NULL;
	wq.verb = CLIENT_WATCH;
	int rc = item_new(d, &wq, &it);
	if (rc < 0)
		return rc;
	it->is_watch = true;
	it->fns = fns;
	it->arg = arg;
	loop_defer(c->loop, &it->start);
	if (ret)
		*ret = &it->base.watch;
	return 0;
}

static void
direct_watch_stop(struct client_watch *w)
{
	item_drop(CONTAINER_OF(w, struct item, base.watch));
}

static void
direct_free_later(void *p)
{
	struct direct *d = p;
	arena_free(d->a);
	free(d);
}

static void
direct_free(struct client *c)
{
	struct direct *d = CONTAINER_OF(c, struct direct, base);
	struct item *it = d->items, *next;
	for (; it; it = next) {
		next = it->next;
		it->prev = NULL; /* it may outlive the client */
		/* its identity lives in the client: what still runs gets a copy */
		it->r.user = (struct user){.name = arena_str(it->a, d->user.name)};
		it->d = NULL;
		item_drop(it);
	}
	d->items = NULL;
	d->w->clients--;
	loop_free_later(c->loop, direct_free_later, d);
}

static const struct client_ops ops = {
	.call = direct_call,
	.cancel = direct_cancel,
	.watch = direct_watch,
	.watch_stop = direct_watch_stop,
	.free = direct_free,
};

static void
identity_groups(struct direct *d, const struct api_identity *id)
{
	struct str *groups = NULL, ns, name;
	size_t n = 0;
	struct user as = {.name = id->user};
	struct str more[3] = {STR("system:authenticated")};
	size_t n_more = 1;
	if (user_service_account(&as, &ns, &name)) {
		more[n_more++] = STR("system:serviceaccounts");
		more[n_more++] = arena_fmt(d->a, "system:serviceaccounts:" STR_FMT, STR_ARG(ns));
	}
	for (size_t i = 0; i < id->n_groups + n_more; i++) {
		struct str *g = ARENA_PUSH(d->a, groups, n);
		if (g)
			*g = i < id->n_groups ? arena_str(d->a, id->groups[i])
					      : more[i - id->n_groups];
	}
	d->user.groups = groups;
	d->user.n_groups = n;
}

int
api_client_new(
	struct api_server *s, struct loop *l, const struct api_identity *id, struct client **ret)
{
	struct direct *d = calloc(1, sizeof(*d));
	if (!d || !(d->a = arena_new(0))) {
		free(d);
		return -ENOMEM;
	}
	d->s = s;
	d->base = (struct client){.ops = &ops, .loop = l};
	d->user.name = arena_str(d->a, id->user);
	identity_groups(d, id);
	ptrdiff_t colon = str_rfind_char(d->user.name, ':');
	d->user_agent = id->user_agent.n
		? arena_str(d->a, id->user_agent)
		: str_sub(d->user.name, colon < 0 ? 0 : (size_t)colon + 1, SIZE_MAX);
	d->w = api_worker_for(s, l);
	if (!d->w || arena_failed(d->a)) {
		arena_free(d->a);
		free(d);
		return -ENOMEM;
	}
	d->w->clients++;
	*ret = &d->base;
	return 0;
}
