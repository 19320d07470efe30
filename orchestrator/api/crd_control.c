/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * crd_control: keeps the status of CustomResourceDefinitions, and takes a deleted one apart:
 *
 *   there:    names, Established and the other conditions are as they should be, else written
 *   deleted:  Terminating says so -> all instances deleted -> none left -> the finalizer goes, and with it the
 *             definition; instances that stay (finalizers of theirs) are asked for again after a back-off
 *
 * One definition is in work at a time: who is given a name is decided on what was written last, which is taken from
 * the answers and not awaited from the watch. Writes are conditional on the version that was seen.
 * Source: apiextensions-apiserver pkg/controller/status, establish, finalizer; KEP-95. */
#include "orchestrator/api/crd_control.h"

#include "base/queue.h"
#include "orchestrator/api/api_int.h"

#include <stdlib.h>

#define GROUP "apiextensions.k8s.io"
#define RESOURCE "customresourcedefinitions"
#define BACKOFF_NS (50 * NS_PER_MS)
#define BACKOFF_MAX_NS (5 * NS_PER_SEC)

enum phase { PHASE_STATUS, PHASE_MARK, PHASE_DELETE, PHASE_COUNT, PHASE_RELEASE };

struct crd_control {
	struct client *c;
	struct loop *loop;
	struct watch_list watch;
	struct map crds; /* name -> struct kept_doc */
	struct queue *queue;
	struct client_call *call;
	struct str key; /* in work; arena of `work` */
	struct arena *work;
	struct doc *d; /* of the key, as it was when it was begun; in `work` */
	enum phase phase;
};

static struct client_req
req_for(struct crd_control *k, enum client_verb verb, const char *sub)
{
	return (struct client_req){.verb = verb,
		.group = STR(GROUP),
		.version = STR("v1"),
		.resource = STR(RESOURCE),
		.name = k->key,
		.subresource = str_c(sub)};
}

/* ---- the definitions ------------------------------------------------------------------------------- */

static struct str
group_of(const struct kept_doc *x)
{
	return doc_get_str(doc_get(x->d, STR("spec")), STR("group"));
}

/* Those of a group that wait for a name, and x itself. */
static void
queue_group(struct crd_control *k, const struct kept_doc *x)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&k->crds, &pos, &key, &v))
		if (v != x && str_eq(group_of(v), group_of(x)) &&
			!crd_condition_is(((const struct kept_doc *)v)->d, "NamesAccepted", "True"))
			queue_add(k->queue, key);
	queue_add(k->queue, x->name);
}

static uint64_t
revision(const struct doc *d)
{
	uint64_t n = 0;
	return str_to_u64(doc_get_str(meta_of(d), STR("resourceVersion")), &n) == 0 ? n : 0;
}

/* Takes x. An older state than the one at hand is dropped. */
static void
crd_put(struct crd_control *k, struct kept_doc *x)
{
	struct kept_doc *old = map_get(&k->crds, x->name);
	if (old && revision(old->d) >= revision(x->d)) {
		kept_doc_free(x);
		return;
	}
	if (map_put(&k->crds, x->name, x, NULL) < 0) {
		kept_doc_free(x);
		return;
	}
	kept_doc_free(old);
	if (!k->watch.initial)
		queue_group(k, x);
}

static void
on_begin(void *arg)
{
	kept_docs_clear(&((struct crd_control *)arg)->crds);
}

static void
on_complete(void *arg)
{
	struct crd_control *k = arg;
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&k->crds, &pos, &key, &v))
		queue_add(k->queue, key);
}

static void
on_event(void *arg, enum client_event ev, struct str object)
{
	struct crd_control *k = arg;
	struct kept_doc *x = kept_doc_new(object);
	if (x && ev != CLIENT_DELETED) {
		crd_put(k, x);
	} else if (x) {
		kept_doc_free(map_del(&k->crds, x->name));
		queue_group(k, x); /* its names are free */
		kept_doc_free(x);
	}
}

/* ---- work ------------------------------------------------------------------------------------------ */

static void
work_over(struct crd_control *k, bool failed)
{
	struct arena *work = k->work;
	k->work = NULL;
	k->d = NULL;
	queue_done(k->queue, k->key, failed);
	arena_free(work);
}

static void phase_done(void *arg, const struct client_result *res);

static void
call(struct crd_control *k, enum phase phase, const struct client_req *q)
{
	k->phase = phase;
	if (arena_failed(k->work) || client_call_start(k->c, q, phase_done, k, &k->call) < 0)
		work_over(k, true);
}

static void
put_status(struct crd_control *k, enum phase phase)
{
	struct client_req q = req_for(k, CLIENT_UPDATE, "status");
	struct buf b;
	buf_init_arena(&b, k->work);
	doc_write_json(&b, k->d);
	q.body = buf_view(&b);
	call(k, phase, &q);
}

/* The instances, in the version they are stored in. Errors: nothing is served, so nothing is there. */
static bool
instances_req(struct crd_control *k, enum client_verb verb, struct client_req *ret)
{
	const struct doc *spec = doc_get(k->d, STR("spec"));
	struct str version = STR("");
	DOC_EACH (v, doc_get(spec, STR("versions")))
		if (doc_get_bool(v, STR("storage"), false))
			version = doc_get_str(v, STR("name"));
	if (!crd_condition_is(k->d, "Established", "True"))
		return false;
	*ret = (struct client_req){.verb = verb,
		.group = doc_get_str(spec, STR("group")),
		.version = version,
		.resource = doc_get_str(doc_get(spec, STR("names")), STR("plural")),
		.limit = verb == CLIENT_LIST ? 1 : 0};
	return true;
}

static void
release(struct crd_control *k, bool was_served)
{
	struct doc *meta = meta_of(k->d), *list = doc_get(meta, STR("finalizers"));
	DOC_EACH (x, list)
		if (str_eq_c(doc_as_str(x), CRD_CLEANUP))
			doc_remove(list, x);
	crd_condition_set(k->work, k->d, clock_wall_ns(), "Terminating", "False",
		was_served ? "InstanceDeletionCompleted" : "NeverEstablished",
		was_served ? STR("removed all instances") : STR("resource was never established"));
	put_status(k, PHASE_RELEASE);
}

static void
empty_it(struct crd_control *k)
{
	struct client_req q;
	if (!instances_req(k, CLIENT_DELETE_COLLECTION, &q)) {
		release(k, false);
		return;
	}
	k->phase = PHASE_DELETE;
	int rc = client_call_start(k->c, &q, phase_done, k, &k->call);
	if (rc == -EINVAL)
		release(k, true);
	else if (rc < 0)
		work_over(k, true);
}

static void
on_instances(struct crd_control *k, const struct client_result *res)
{
	struct doc *d = NULL;
	struct client_req q;
	if (res->http >= 400 || res->http == 0) {
		work_over(k, true);
	} else if (k->phase == PHASE_DELETE) {
		if (instances_req(k, CLIENT_LIST, &q))
			call(k, PHASE_COUNT, &q);
		else
			work_over(k, true);
	} else if (doc_parse_json(k->work, res->body, NULL, &d, NULL) < 0 ||
		doc_len(doc_get(d, STR("items")))) {
		work_over(k, true); /* they go in their own time */
	} else {
		release(k, true);
	}
}

static void
phase_done(void *arg, const struct client_result *res)
{
	struct crd_control *k = arg;
	bool failed = res->http >= 400 || res->http == 0;
	k->call = NULL;
	if (k->phase == PHASE_DELETE || k->phase == PHASE_COUNT) {
		on_instances(k, res);
		return;
	}
	if (failed) { /* a newer state comes by the watch */
		work_over(k, res->http != 404 && res->http != 409);
		return;
	}
	struct kept_doc *x = k->phase == PHASE_RELEASE ? NULL : kept_doc_new(res->body);
	if (x && k->phase == PHASE_MARK) {
		k->d = doc_copy(k->work, x->d);
		kept_doc_free(x);
		if (k->d)
			empty_it(k);
		else
			work_over(k, true);
		return;
	}
	if (x)
		crd_put(k, x);
	work_over(k, false);
}

static void
crd_sync(void *arg, struct str key)
{
	struct crd_control *k = arg;
	struct kept_doc *x = map_get(&k->crds, key);
	k->work = arena_new(0);
	k->key = k->work ? arena_str(k->work, key) : STR_NONE;
	k->d = x && k->work ? doc_copy(k->work, x->d) : NULL;
	if (!k->work) {
		queue_done(k->queue, key, true);
		return;
	}
	if (!k->d) {
		work_over(k, x != NULL);
		return;
	}
	if (doc_get_str(meta_of(k->d), STR("deletionTimestamp")).n == 0) {
		crd_status_set(k->work, &k->crds, k->d, clock_wall_ns());
		if (doc_equal(doc_get(k->d, STR("status")), doc_get(x->d, STR("status"))))
			work_over(k, false);
		else
			put_status(k, PHASE_STATUS);
		return;
	}
	if (!doc_list_has(doc_get(meta_of(k->d), STR("finalizers")), STR(CRD_CLEANUP))) {
		work_over(k, false);
		return;
	}
	crd_condition_set(k->work, k->d, clock_wall_ns(), "Terminating", "True",
		"InstanceDeletionInProgress", STR("CustomResource deletion is in progress"));
	if (doc_equal(doc_get(k->d, STR("status")), doc_get(x->d, STR("status"))))
		empty_it(k);
	else
		put_status(k, PHASE_MARK);
}

/* ---- life ------------------------------------------------------------------------------------------ */

int
crd_control_new(struct client *c, struct loop *l, struct crd_control **ret)
{
	static const struct watch_list_fns fns = {on_begin, on_event, on_complete};
	struct crd_control *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->c = c;
	k->loop = l;
	map_init(&k->crds);
	k->queue = queue_new(l, RESOURCE, 1, crd_sync, k);
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
crd_control_free(struct crd_control *k)
{
	if (!k)
		return;
	watch_list_stop(&k->watch);
	if (k->call)
		client_call_cancel(k->call);
	queue_free(k->queue);
	arena_free(k->work);
	kept_docs_clear(&k->crds);
	free(k);
}
