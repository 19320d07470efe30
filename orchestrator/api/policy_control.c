/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * policy_control: keeps the status of ValidatingAdmissionPolicies: what their expressions get wrong about the types they
 * are about, once for each generation. Beside the server and through its API, like any controller; a server without
 * controllers has none.
 * Source: k8s.io/kubernetes pkg/controller/validatingadmissionpolicystatus. */
#include "orchestrator/api/policy_control.h"

#include "base/queue.h"
#include "orchestrator/api/policy_int.h"

#include <stdlib.h>

#define BACKOFF_NS (50 * NS_PER_MS)
#define BACKOFF_MAX_NS (5 * NS_PER_SEC)

struct kept {
	struct arena *a;
	struct str name;
	struct doc *d;
};
struct policy_control {
	struct api_server *s;
	struct client *c;
	struct loop *loop;
	struct client_watch *watch;
	struct map policies; /* name -> struct kept */
	struct queue *queue;
	struct loop_timer again;
	struct client_call *call;
	struct arena *work; /* of the key in work */
	struct str key;
};

static struct client_req
req_for(struct policy_control *k, enum client_verb verb)
{
	(void)k;
	return (struct client_req){.verb = verb,
		.group = STR("admissionregistration.k8s.io"),
		.version = STR("v1"),
		.resource = STR("validatingadmissionpolicies")};
}

/* ---- the policies ---------------------------------------------------------------------------------- */

static void
kept_free(struct kept *x)
{
	if (x)
		arena_free(x->a);
}

static struct kept *
kept_make(struct str object)
{
	struct arena *a = arena_new(0);
	struct kept *x = a ? ARENA_NEW(a, struct kept) : NULL;
	if (x) {
		*x = (struct kept){.a = a};
		if (doc_parse_json(a, arena_str(a, object), NULL, &x->d, NULL) == 0)
			x->name = doc_get_str(meta_of(x->d), STR("name"));
	}
	if (!x || x->name.n == 0 || arena_failed(a)) {
		arena_free(a);
		return NULL;
	}
	return x;
}

static void
on_event(void *arg, enum client_event ev, struct str object)
{
	struct policy_control *k = arg;
	struct kept *x = ev == CLIENT_BOOKMARK ? NULL : kept_make(object);
	if (!x)
		return;
	struct kept *old = map_del(&k->policies, x->name);
	if (ev != CLIENT_DELETED && map_put(&k->policies, x->name, x, NULL) == 0) {
		queue_add(k->queue, x->name);
		x = NULL;
	}
	kept_free(old);
	kept_free(x);
}

/* ---- work ------------------------------------------------------------------------------------------ */

static void
work_over(struct policy_control *k, bool failed)
{
	struct arena *work = k->work;
	k->work = NULL;
	queue_done(k->queue, k->key, failed);
	arena_free(work);
}

static void
written(void *arg, const struct client_result *res)
{
	struct policy_control *k = arg;
	k->call = NULL;
	work_over(k, res->http != 404 && (res->http == 0 || res->http >= 400));
}

/* status_patch: a list of no warnings is none. */
static struct str
status_patch(struct arena *a, int64_t generation, struct doc *list)
{
	struct doc *d = doc_map(a);
	struct doc *status = d ? doc_ensure_map(a, d, STR("status")) : NULL;
	struct doc *types = status ? doc_ensure_map(a, status, STR("typeChecking")) : NULL;
	struct buf b;
	if (!types)
		return STR_NONE;
	doc_set_int(a, status, STR("observedGeneration"), generation);
	doc_set(types, STR("expressionWarnings"), doc_len(list) ? list : doc_null(a));
	buf_init_arena(&b, a);
	doc_write_json(&b, d);
	return buf_view(&b);
}

static void
policy_sync(void *arg, struct str key)
{
	struct policy_control *k = arg;
	const struct kept *x = map_get(&k->policies, key);
	int64_t generation = x ? doc_get_int(meta_of(x->d), STR("generation"), 0) : 0;
	int64_t seen = x ? doc_get_int(doc_get(x->d, STR("status")), STR("observedGeneration"), 0)
			 : 0;
	k->work = x && generation > seen ? arena_new(0) : NULL;
	k->key = k->work ? arena_str(k->work, key) : key;
	if (!k->work) {
		queue_done(k->queue, key, x && generation > seen);
		return;
	}
	struct api_worker *w = api_worker_for(k->s, k->loop);
	struct doc *list = w ? policy_warnings(w, k->work, x->d) : NULL;
	struct client_req q = req_for(k, CLIENT_PATCH_MERGE);
	q.name = k->key;
	q.subresource = STR("status");
	q.field_manager = STR("validatingadmissionpolicy-status");
	q.body = list ? status_patch(k->work, generation, list) : STR_NONE;
	if (!str_is_set(q.body) || arena_failed(k->work) ||
		client_call_start(k->c, &q, written, k, &k->call) < 0)
		work_over(k, true);
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void control_watch(struct policy_control *k);

static void
watch_again(struct loop_timer *t)
{
	control_watch(t->arg);
}

static void
watch_ended(void *arg, const struct client_result *res)
{
	(void)res;
	struct policy_control *k = arg;
	k->watch = NULL;
	loop_timer_after(k->loop, &k->again, NS_PER_SEC);
}

static void
policies_clear(struct policy_control *k)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&k->policies, &pos, &key, &v))
		kept_free(v);
	map_release(&k->policies);
	map_init(&k->policies);
}

/* Each watch begins with everything there is. */
static void
control_watch(struct policy_control *k)
{
	static const struct client_watch_fns fns = {on_event, watch_ended};
	struct client_req q = req_for(k, CLIENT_WATCH);
	q.send_initial_events = true;
	q.allow_bookmarks = true;
	policies_clear(k);
	if (client_watch_start(k->c, &q, &fns, k, &k->watch) < 0)
		loop_timer_after(k->loop, &k->again, NS_PER_SEC);
}

int
policy_control_new(
	struct api_server *s, struct client *c, struct loop *l, struct policy_control **ret)
{
	struct policy_control *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->s = s;
	k->c = c;
	k->loop = l;
	map_init(&k->policies);
	k->again = (struct loop_timer){.fn = watch_again, .arg = k};
	k->queue = queue_new(l, "validatingadmissionpolicies", 1, policy_sync, k);
	if (!k->queue) {
		free(k);
		return -ENOMEM;
	}
	queue_set_backoff(k->queue, BACKOFF_NS, BACKOFF_MAX_NS);
	*ret = k;
	control_watch(k);
	return 0;
}

void
policy_control_free(struct policy_control *k)
{
	if (!k)
		return;
	if (k->watch)
		client_watch_stop(k->watch);
	if (k->call)
		client_call_cancel(k->call);
	loop_timer_cancel(&k->again);
	queue_free(k->queue);
	arena_free(k->work);
	policies_clear(k);
	map_release(&k->policies);
	free(k);
}
