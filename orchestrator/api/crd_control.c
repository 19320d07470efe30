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

#define BACKOFF_NS (50 * NS_PER_MS)
#define BACKOFF_MAX_NS (5 * NS_PER_SEC)

struct crd {
	struct arena *a;
	struct str name;
	struct doc *d;
};
enum phase { PHASE_STATUS, PHASE_MARK, PHASE_DELETE, PHASE_COUNT, PHASE_RELEASE };

struct crd_control {
	struct client *c;
	struct loop *loop;
	struct client_watch *watch;
	struct map crds; /* name -> struct crd */
	struct queue *queue;
	struct loop_timer again;
	bool initial; /* the first events are still coming */
	struct client_call *call;
	struct str key; /* in work; arena of `work` */
	struct arena *work;
	struct doc *d; /* of the key, as it was when it was begun; in `work` */
	enum phase phase;
};

const struct doc *
crd_doc(const void *value)
{
	return ((const struct crd *)value)->d;
}

static void
crd_free(struct crd *x)
{
	if (x)
		arena_free(x->a);
}

static struct client_req
req_for(struct crd_control *k, enum client_verb verb, const char *sub)
{
	return (struct client_req){.verb = verb,
		.group = STR("apiextensions.k8s.io"),
		.version = STR("v1"),
		.resource = STR("customresourcedefinitions"),
		.name = k->key,
		.subresource = str_c(sub)};
}

/* ---- the definitions ------------------------------------------------------------------------------- */

static struct crd *
crd_make(struct str object)
{
	struct arena *a = arena_new(0);
	struct crd *x = a ? ARENA_NEW(a, struct crd) : NULL;
	if (x) {
		struct str own = arena_str(a, object);
		*x = (struct crd){.a = a};
		if (doc_parse_json(a, own, NULL, &x->d, NULL) == 0)
			x->name = doc_get_str(meta_of(x->d), STR("name"));
	}
	if (!x || x->name.n == 0 || arena_failed(a)) {
		arena_free(a);
		return NULL;
	}
	return x;
}

static struct str
group_of(const struct crd *x)
{
	return doc_get_str(doc_get(x->d, STR("spec")), STR("group"));
}

/* Those of a group that wait for a name, and x itself. */
static void
queue_group(struct crd_control *k, const struct crd *x)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&k->crds, &pos, &key, &v))
		if (v != x && str_eq(group_of(v), group_of(x)) &&
			!crd_condition_is(crd_doc(v), "NamesAccepted", "True"))
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
crd_put(struct crd_control *k, struct crd *x)
{
	struct crd *old = map_get(&k->crds, x->name);
	if (old && revision(old->d) >= revision(x->d)) {
		crd_free(x);
		return;
	}
	if (map_put(&k->crds, x->name, x, NULL) < 0) {
		crd_free(x);
		return;
	}
	crd_free(old);
	if (!k->initial)
		queue_group(k, x);
}

static void
crd_event(void *arg, enum client_event ev, struct str object)
{
	struct crd_control *k = arg;
	struct crd *x = NULL;
	if (ev == CLIENT_BOOKMARK && k->initial) {
		size_t pos = 0;
		struct str key;
		void *v;
		k->initial = false;
		while (map_next(&k->crds, &pos, &key, &v))
			queue_add(k->queue, key);
	}
	if (ev == CLIENT_BOOKMARK || !(x = crd_make(object)))
		return;
	if (ev != CLIENT_DELETED) {
		crd_put(k, x);
		return;
	}
	crd_free(map_del(&k->crds, x->name));
	queue_group(k, x); /* its names are free */
	crd_free(x);
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
	struct crd *x = k->phase == PHASE_RELEASE ? NULL : crd_make(res->body);
	if (x && k->phase == PHASE_MARK) {
		k->d = doc_copy(k->work, x->d);
		crd_free(x);
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
	struct crd *x = map_get(&k->crds, key);
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

static void control_watch(struct crd_control *k);

static void
watch_again(struct loop_timer *t)
{
	control_watch(t->arg);
}

static void
watch_ended(void *arg, const struct client_result *res)
{
	(void)res;
	struct crd_control *k = arg;
	k->watch = NULL;
	loop_timer_after(k->loop, &k->again, NS_PER_SEC);
}

static void
crds_clear(struct crd_control *k)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&k->crds, &pos, &key, &v))
		crd_free(v);
	map_release(&k->crds);
	map_init(&k->crds);
}

/* Each watch begins with everything there is. */
static void
control_watch(struct crd_control *k)
{
	static const struct client_watch_fns fns = {crd_event, watch_ended};
	struct client_req q = req_for(k, CLIENT_WATCH, "");
	q.name = STR("");
	q.send_initial_events = true;
	q.allow_bookmarks = true;
	crds_clear(k);
	k->initial = true;
	if (client_watch_start(k->c, &q, &fns, k, &k->watch) < 0)
		loop_timer_after(k->loop, &k->again, NS_PER_SEC);
}

int
crd_control_new(struct client *c, struct loop *l, struct crd_control **ret)
{
	struct crd_control *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->c = c;
	k->loop = l;
	map_init(&k->crds);
	k->again = (struct loop_timer){.fn = watch_again, .arg = k};
	k->queue = queue_new(l, "customresourcedefinitions", 1, crd_sync, k);
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
crd_control_free(struct crd_control *k)
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
	crds_clear(k);
	map_release(&k->crds);
	free(k);
}
