/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * policy_control: keeps the status of ValidatingAdmissionPolicies: what their expressions get wrong about the types they
 * are about, once for each generation. Beside the server and through its API, like any controller; a server without
 * controllers has none.
 * Source: k8s.io/kubernetes pkg/controller/validatingadmissionpolicystatus. */
#include "orchestrator/api/policy_control.h"

#include "base/queue.h"
#include "orchestrator/api/policy_int.h"
#include "orchestrator/client/watch_list.h"

#include <stdlib.h>

#define GROUP "admissionregistration.k8s.io"
#define RESOURCE "validatingadmissionpolicies"
#define BACKOFF_NS (50 * NS_PER_MS)
#define BACKOFF_MAX_NS (5 * NS_PER_SEC)

struct policy_control {
	struct api_server *s;
	struct client *c;
	struct loop *loop;
	struct watch_list watch;
	struct map policies; /* name -> struct kept_doc */
	struct queue *queue;
	struct client_call *call;
	struct arena *work; /* of the key in work */
	struct str key;
};

/* ---- the policies ---------------------------------------------------------------------------------- */

static void
on_begin(void *arg)
{
	kept_docs_clear(&((struct policy_control *)arg)->policies);
}

static void
on_event(void *arg, enum client_event ev, struct str object)
{
	struct policy_control *k = arg;
	struct kept_doc *x = kept_doc_new(object);
	if (!x)
		return;
	struct kept_doc *old = map_del(&k->policies, x->name);
	if (ev != CLIENT_DELETED && map_put(&k->policies, x->name, x, NULL) == 0) {
		queue_add(k->queue, x->name);
		x = NULL;
	}
	kept_doc_free(old);
	kept_doc_free(x);
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
	const struct kept_doc *x = map_get(&k->policies, key);
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
	struct client_req q = {.verb = CLIENT_PATCH_MERGE,
		.group = STR(GROUP),
		.version = STR("v1"),
		.resource = STR(RESOURCE),
		.name = k->key,
		.subresource = STR("status"),
		.field_manager = STR("validatingadmissionpolicy-status"),
		.body = list ? status_patch(k->work, generation, list) : STR_NONE};
	if (!str_is_set(q.body) || arena_failed(k->work) ||
		client_call_start(k->c, &q, written, k, &k->call) < 0)
		work_over(k, true);
}

/* ---- life ------------------------------------------------------------------------------------------ */

int
policy_control_new(
	struct api_server *s, struct client *c, struct loop *l, struct policy_control **ret)
{
	static const struct watch_list_fns fns = {.begin = on_begin, .event = on_event};
	struct policy_control *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->s = s;
	k->c = c;
	k->loop = l;
	map_init(&k->policies);
	k->queue = queue_new(l, RESOURCE, 1, policy_sync, k);
	if (!k->queue) {
		free(k);
		return -ENOMEM;
	}
	queue_set_backoff(k->queue, BACKOFF_NS, BACKOFF_MAX_NS);
	*ret = k;
	watch_list_start(&k->watch, c, GROUP, RESOURCE, &fns, k);
	return 0;
}

void
policy_control_free(struct policy_control *k)
{
	if (!k)
		return;
	watch_list_stop(&k->watch);
	if (k->call)
		client_call_cancel(k->call);
	queue_free(k->queue);
	arena_free(k->work);
	kept_docs_clear(&k->policies);
	free(k);
}
