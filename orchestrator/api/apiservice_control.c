/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * apiservice_control: keeps APIServices:
 *
 *   wanted   one for each group and version of a CustomResourceDefinition (label automanaged: "true") and of what is
 *            built in (label "onstart": looked at once after a start; made by bootstrap.c); made, corrected, and
 *            taken away when it is no more wanted; one without the label is its owner's
 *   status   Available: Local, or what a look at the remote server says; looked at when the APIService, its Service
 *            or their EndpointSlices change, and every 30 s
 *
 * Services and EndpointSlices are watched only while there is a remote APIService.
 * Invariants: nothing is taken away before all definitions are known. Writes are conditional on what was seen.
 * Source: k8s.io/kube-aggregator pkg/controllers/{autoregister,status}, k8s.io/kubernetes
 * pkg/controlplane/controller/crdregistration. */
#include "orchestrator/api/apiservice_control.h"

#include "base/log.h"
#include "base/queue.h"
#include "orchestrator/client/watch_list.h"

#include <stdlib.h>

#define AGAIN_NS (30 * NS_PER_SEC) /* a remote one is looked at */
#define BACKOFF_NS (200 * NS_PER_MS)
#define WANT_PARALLEL 8
#define LOOK_PARALLEL 8

enum source { SERVICES_API, DEFINITIONS, SERVICES, SLICES, SOURCE__COUNT };

struct source_state {
	struct apiservice_control *k;
	enum source which;
	struct watch_list watch;
};

/* An APIService as it is stored. */
struct stored {
	struct apiservice *x; /* a reference */
	struct arena *a;
	struct doc *d;
	bool managed, on_start, at_start, seen;
};
/* A definition: its group and the versions it serves. */
struct definition {
	struct arena *a;
	struct str group;
	struct str *versions;
	size_t n;
	bool seen;
};
/* A key in work. */
struct task {
	struct apiservice_control *k;
	struct queue *queue;
	struct arena *a;
	struct str name;
	struct client_call *call;
	struct apiservice_check *check;
	struct task *next, **prev;
	bool retry; /* it is looked at again soon, whatever becomes of the write */
};
struct apiservice_control {
	struct apiservice_way way;
	struct loop *loop;
	struct source_state sources[SOURCE__COUNT];
	struct map stored, definitions; /* by name: struct stored, struct definition */
	struct map synced;              /* names that were brought up to what is wanted once */
	struct queue *wants, *looks;
	struct task *tasks;
	struct apiservice_fetcher *fetcher;
	size_t remotes;
	bool started; /* both lists have been complete once */
};

/* ---- what is stored -------------------------------------------------------------------------------- */

static void
stored_free(struct stored *s)
{
	if (!s)
		return;
	apiservice_unref(s->x);
	arena_free(s->a);
}

static struct stored *
stored_new(struct str object)
{
	struct arena *a = arena_new(0);
	struct stored *s = a ? ARENA_NEW(a, struct stored) : NULL;
	if (!s || doc_parse_json(a, arena_str(a, object), NULL, &s->d, NULL) < 0 ||
		!(s->x = apiservice_new(object))) {
		arena_free(a);
		return NULL;
	}
	s->a = a;
	s->managed = apiservice_is_managed(s->d, &s->on_start);
	s->seen = true;
	return s;
}

static void remote_sources(struct apiservice_control *k);

static void
stored_del(struct apiservice_control *k, struct str name)
{
	struct stored *s = map_del(&k->stored, name);
	if (!s)
		return;
	if (s->x->remote)
		k->remotes--;
	apiservice_fetcher_del(k->fetcher, s->x->name);
	queue_add(k->wants, s->x->name);
	stored_free(s);
	remote_sources(k);
}

static void
stored_put(struct apiservice_control *k, struct str object)
{
	struct stored *s = stored_new(object), *old = NULL;
	if (!s)
		return;
	old = map_get(&k->stored, s->x->name);
	s->at_start = old ? old->at_start : !k->started;
	if (old)
		apiservice_tls_share(s->x, old->x);
	if (map_put(&k->stored, s->x->name, s, NULL) < 0) {
		stored_free(s);
		return;
	}
	k->remotes += s->x->remote ? 1 : 0;
	k->remotes -= old && old->x->remote ? 1 : 0;
	if (s->x->remote || !s->managed)
		apiservice_fetcher_put(k->fetcher, s->x);
	else
		apiservice_fetcher_del(k->fetcher, s->x->name);
	queue_add(k->wants, s->x->name);
	/* what we have written ourselves comes back too */
	if (old && s->x->remote && apiservice_same_way(old->x, s->x))
		queue_add_after(k->looks, s->x->name, NS_PER_SEC);
	else
		queue_add(k->looks, s->x->name);
	stored_free(old);
	remote_sources(k);
}

/* ---- definitions ----------------------------------------------------------------------------------- */

static void
definition_queue(struct apiservice_control *k, const struct definition *d)
{
	for (size_t i = 0; d && i < d->n; i++)
		queue_add(k->wants,
			arena_fmt(d->a, STR_FMT "." STR_FMT, STR_ARG(d->versions[i]),
				STR_ARG(d->group)));
}

static void
definition_free(struct definition *d)
{
	if (d)
		arena_free(d->a);
}

static struct definition *
definition_new(struct str object, struct str *ret_name)
{
	struct arena *a = arena_new(0);
	struct definition *x = a ? ARENA_NEW(a, struct definition) : NULL;
	struct doc *d = NULL;
	if (!x || doc_parse_json(a, arena_str(a, object), NULL, &d, NULL) < 0) {
		arena_free(a);
		return NULL;
	}
	const struct doc *spec = doc_get(d, STR("spec"));
	*x = (struct definition){.a = a, .group = doc_get_str(spec, STR("group")), .seen = true};
	DOC_EACH (v, doc_get(spec, STR("versions"))) {
		struct str *slot = doc_get_bool(v, STR("served"), false)
			? ARENA_PUSH(a, x->versions, x->n)
			: NULL;
		if (slot)
			*slot = doc_get_str(v, STR("name"));
	}
	*ret_name = doc_get_str(meta_of(d), STR("name"));
	return x;
}

static void
definition_event(struct apiservice_control *k, struct str object, bool deleted)
{
	struct str name = STR("");
	struct definition *d = definition_new(object, &name), *old = NULL;
	if (!d)
		return;
	old = deleted ? map_del(&k->definitions, name) : map_get(&k->definitions, name);
	if (!deleted && map_put(&k->definitions, name, d, NULL) < 0) {
		definition_free(d);
		return;
	}
	definition_queue(k, old);
	definition_queue(k, d);
	definition_free(old);
	if (deleted)
		definition_free(d);
}

/* wanted: the object there should be of this name; NULL = none. */
static struct doc *
wanted(struct apiservice_control *k, struct arena *a, struct str name)
{
	struct str version, group, key;
	size_t pos = 0;
	void *v;
	if (!str_cut(name, '.', &version, &group))
		return NULL;
	for (size_t i = 0; i < k->way.s->schema->n_groups; i++) {
		const struct schema_group_version *g = &k->way.s->schema->groups[i];
		if (str_eq_c(group, g->group) && str_eq_c(version, g->version) &&
			!str_eq_c(group, APISERVICE_GROUP) &&
			schema_version_served(k->way.s->schema, g))
			return apiservice_local(a, group, version, APISERVICE_ON_START);
	}
	while (map_next(&k->definitions, &pos, &key, &v)) {
		const struct definition *d = v;
		for (size_t i = 0; str_eq(d->group, group) && i < d->n; i++)
			if (str_eq(d->versions[i], version))
				return apiservice_local(a, group, version, APISERVICE_ALWAYS);
	}
	return NULL;
}

/* ---- tasks ----------------------------------------------------------------------------------------- */

static struct task *
task_new(struct apiservice_control *k, struct queue *q, struct str key)
{
	struct arena *a = arena_new(0);
	struct task *t = a ? ARENA_NEW(a, struct task) : NULL;
	if (!t) {
		arena_free(a);
		queue_done(q, key, true);
		return NULL;
	}
	*t = (struct task){.k = k, .queue = q, .a = a, .name = arena_str(a, key)};
	t->next = k->tasks;
	t->prev = &k->tasks;
	if (t->next)
		t->next->prev = &t->next;
	k->tasks = t;
	return t;
}

static void
task_free(struct task *t)
{
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	if (t->call)
		client_call_cancel(t->call);
	apiservice_check_cancel(t->check);
	arena_free(t->a);
}

static void
task_end(struct task *t, bool failed)
{
	queue_done(t->queue, t->name, failed || t->retry);
	task_free(t);
}

/* A newer state comes by the watch, and with it the key. */
static void
on_written(void *arg, const struct client_result *res)
{
	struct task *t = arg;
	t->call = NULL;
	bool settled = res->http < 400 || res->http == 404 || res->http == 409;
	settled = settled && res->http > 0;
	if (t->queue == t->k->wants && settled)
		map_put(&t->k->synced, t->name, t->k, NULL);
	task_end(t, !settled);
}

static void
write_doc(struct task *t, enum client_verb verb, const char *sub, const struct doc *d)
{
	struct buf b;
	buf_init_arena(&b, t->a);
	if (d)
		doc_write_json(&b, d);
	struct client_req q = {.verb = verb,
		.group = STR(APISERVICE_GROUP),
		.version = STR("v1"),
		.resource = STR("apiservices"),
		.name = verb == CLIENT_CREATE ? STR("") : t->name,
		.subresource = str_c(sub),
		.body = buf_view(&b)};
	if (b.failed || arena_failed(t->a) ||
		client_call_start(t->k->way.c, &q, on_written, t, &t->call) < 0)
		task_end(t, true);
}

/* ---- what is wanted -------------------------------------------------------------------------------- */

static void
want_delete(struct task *t, const struct stored *s)
{
	struct doc *d = NULL;
	struct str text = arena_fmt(t->a,
		"{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"preconditions\":{\"uid\":\"" STR_FMT
		"\"}}",
		STR_ARG(doc_get_str(meta_of(s->d), STR("uid"))));
	if (doc_parse_json(t->a, text, NULL, &d, NULL) == 0)
		write_doc(t, CLIENT_DELETE, "", d);
	else
		task_end(t, true);
}

static bool
all_known(const struct apiservice_control *k)
{
	return !k->sources[SERVICES_API].watch.initial && !k->sources[DEFINITIONS].watch.initial;
}

/* want_work: what is done by what is wanted (none, once after a start, always) and what is there (nothing, not ours,
 * ours once after a start, ours): see the table of the source. */
static void
want_work(void *arg, struct str key)
{
	struct apiservice_control *k = arg;
	struct task *t = task_new(k, k->wants, key);
	if (!t)
		return;
	const struct stored *s = map_get(&k->stored, key);
	if (!k->started || !all_known(k)) {
		task_end(t, false); /* all come again when they are */
		return;
	}
	struct doc *want = wanted(k, t->a, key);
	bool done = map_get(&k->synced, t->name) != NULL, on_start = false;
	if (want)
		apiservice_is_managed(want, &on_start);
	bool leave = (!s && !want) || (on_start && done) || (s && !s->managed) ||
		(s && s->on_start && (!s->at_start || done)) ||
		(s && want && doc_equal(doc_get(s->d, STR("spec")), doc_get(want, STR("spec"))));
	if (leave) {
		if (s || want)
			map_put(&k->synced, t->name, k, NULL);
		else
			map_del(&k->synced, t->name);
		task_end(t, false);
	} else if (!s) {
		write_doc(t, CLIENT_CREATE, "", want);
	} else if (!want) {
		want_delete(t, s);
	} else {
		struct doc *d = doc_copy(t->a, s->d);
		if (d)
			doc_set(d, STR("spec"), doc_copy(t->a, doc_get(want, STR("spec"))));
		write_doc(t, CLIENT_UPDATE, "", d);
	}
}

/* ---- how they are ---------------------------------------------------------------------------------- */

static struct doc *
condition_of(struct doc *d, struct arena *a)
{
	struct doc *status = doc_ensure_map(a, d, STR("status")), *list, *c;
	list = doc_get(status, STR("conditions"));
	DOC_EACH (x, list)
		if (str_eq_c(doc_get_str(x, STR("type")), "Available"))
			return x;
	if (status && (!list || list->type != DOC_LIST))
		doc_set(status, STR("conditions"), list = doc_list(a));
	c = doc_map(a);
	if (!status || !list || !c)
		return NULL;
	doc_set_str(a, c, STR("type"), STR("Available"));
	doc_append(list, c);
	return c;
}

/* status_put: ends the task, after a write when there is something to be written. */
static void
status_put(struct task *t, const char *status, const char *reason, struct str message)
{
	const struct stored *s = map_get(&t->k->stored, t->name);
	struct doc *d = s ? doc_copy(t->a, s->d) : NULL, *c = d ? condition_of(d, t->a) : NULL;
	char now[40];
	if (!c) {
		task_end(t, s != NULL);
		return;
	}
	t->retry = strcmp(reason, "FailedDiscoveryCheck") == 0;
	if (str_eq_c(doc_get_str(c, STR("status")), status) &&
		str_eq_c(doc_get_str(c, STR("reason")), reason) &&
		str_eq(doc_get_str(c, STR("message")), message)) {
		task_end(t, false);
		return;
	}
	rfc3339_format(clock_wall_ns(), 0, now);
	if (!str_eq_c(doc_get_str(c, STR("status")), status))
		doc_set_str(t->a, c, STR("lastTransitionTime"), arena_str(t->a, str_c(now)));
	doc_set_str(t->a, c, STR("status"), str_c(status));
	doc_set_str(t->a, c, STR("reason"), str_c(reason));
	doc_set_str(t->a, c, STR("message"), arena_str(t->a, message));
	write_doc(t, CLIENT_UPDATE, "status", d);
}

static void
on_state(void *arg, const struct apiservice_state *st)
{
	struct task *t = arg;
	t->check = NULL;
	status_put(t, st->status, st->reason, st->message);
}

static void
look_work(void *arg, struct str key)
{
	struct apiservice_control *k = arg;
	const struct stored *s = map_get(&k->stored, key);
	struct task *t = s ? task_new(k, k->looks, key) : NULL;
	if (!s)
		queue_done(k->looks, key, false);
	if (!t)
		return;
	if (!s->x->remote) {
		status_put(t, "True", "Local", STR("Local APIServices are always available"));
		return;
	}
	queue_add_after(k->looks, key, AGAIN_NS);
	if (apiservice_check_start(&k->way, s->x, true, on_state, t, &t->check) < 0)
		task_end(t, true);
}

/* look_at: those that stand behind a service. */
static void
look_at(struct apiservice_control *k, struct str ns, struct str service)
{
	size_t pos = 0;
	struct str name;
	void *v;
	while (map_next(&k->stored, &pos, &name, &v)) {
		const struct apiservice *x = ((struct stored *)v)->x;
		if (x->remote && str_eq(x->service_ns, ns) && str_eq(x->service, service))
			queue_add(k->looks, name);
	}
}

/* ---- sources --------------------------------------------------------------------------------------- */

static const struct {
	const char *group, *resource;
} sources[SOURCE__COUNT] = {
	[SERVICES_API] = {APISERVICE_GROUP, "apiservices"},
	[DEFINITIONS] = {"apiextensions.k8s.io", "customresourcedefinitions"},
	[SERVICES] = {"", "services"},
	[SLICES] = {"discovery.k8s.io", "endpointslices"},
};

static void
service_event(struct apiservice_control *k, enum source which, struct str object)
{
	struct arena *a = arena_new(0);
	struct doc *d = NULL;
	if (a && doc_parse_json(a, object, NULL, &d, NULL) == 0) {
		const struct doc *meta = meta_of(d);
		look_at(k, doc_get_str(meta, STR("namespace")),
			which == SERVICES ? doc_get_str(meta, STR("name"))
					  : doc_get_str(doc_get(meta, STR("labels")),
						    STR("kubernetes.io/service-name")));
	}
	arena_free(a);
}

static bool
is_stored(void *arg, struct str name)
{
	return map_get(&((struct apiservice_control *)arg)->stored, name) != NULL;
}

/* forget_unseen: what went while nobody watched. */
static void
forget_unseen(struct apiservice_control *k, enum source which)
{
	struct map *m = which == SERVICES_API ? &k->stored : &k->definitions;
	size_t pos = 0;
	struct str name;
	void *v;
	while (map_next(m, &pos, &name, &v)) {
		if (which == SERVICES_API && !((struct stored *)v)->seen) {
			stored_del(k, name);
			pos = 0;
		} else if (which == DEFINITIONS && !((struct definition *)v)->seen) {
			definition_queue(k, v);
			definition_free(map_del(m, name));
			pos = 0;
		}
	}
	if (which == SERVICES_API)
		apiservice_fetcher_keep(k->fetcher, is_stored, k);
}

/* on_complete: all there is has come: from now on nothing is missing by chance. */
static void
on_complete(void *arg)
{
	struct source_state *src = arg;
	struct apiservice_control *k = src->k;
	size_t pos = 0;
	struct str name;
	void *v;
	if (src->which > DEFINITIONS)
		return;
	forget_unseen(k, src->which);
	if (!all_known(k))
		return;
	k->started = true;
	while (map_next(&k->stored, &pos, &name, &v))
		queue_add(k->wants, name);
	pos = 0;
	while (map_next(&k->definitions, &pos, &name, &v))
		definition_queue(k, v);
}

static void
on_event(void *arg, enum client_event ev, struct str object)
{
	struct source_state *src = arg;
	struct apiservice_control *k = src->k;
	struct stored *s;
	if (src->which == DEFINITIONS) {
		definition_event(k, object, ev == CLIENT_DELETED);
	} else if (src->which != SERVICES_API) {
		service_event(k, src->which, object);
	} else if (ev != CLIENT_DELETED) {
		stored_put(k, object);
	} else if ((s = stored_new(object)) != NULL) {
		stored_del(k, s->x->name);
		stored_free(s);
	}
}

static void
on_begin(void *arg)
{
	struct source_state *src = arg;
	struct apiservice_control *k = src->k;
	size_t pos = 0;
	struct str name;
	void *v;
	while (src->which == SERVICES_API && map_next(&k->stored, &pos, &name, &v))
		((struct stored *)v)->seen = false;
	while (src->which == DEFINITIONS && map_next(&k->definitions, &pos, &name, &v))
		((struct definition *)v)->seen = false;
}

static void
source_watch(struct source_state *src)
{
	static const struct watch_list_fns fns = {on_begin, on_event, on_complete};
	watch_list_start(&src->watch, src->k->way.c, sources[src->which].group,
		sources[src->which].resource, &fns, src);
}

static void
remote_sources(struct apiservice_control *k)
{
	for (enum source i = SERVICES; i <= SLICES; i++) {
		struct source_state *src = &k->sources[i];
		if (k->remotes && !watch_list_runs(&src->watch))
			source_watch(src);
		else if (!k->remotes)
			watch_list_stop(&src->watch);
	}
}

/* ---- life ------------------------------------------------------------------------------------------ */

void
apiservice_control_free(struct apiservice_control *k)
{
	size_t pos = 0;
	struct str key;
	void *v;
	if (!k)
		return;
	for (size_t i = 0; i < SOURCE__COUNT; i++)
		watch_list_stop(&k->sources[i].watch);
	while (k->tasks)
		task_free(k->tasks);
	if (k->wants)
		queue_free(k->wants);
	if (k->looks)
		queue_free(k->looks);
	apiservice_fetcher_free(k->fetcher);
	while (map_next(&k->stored, &pos, &key, &v))
		stored_free(v);
	pos = 0;
	while (map_next(&k->definitions, &pos, &key, &v))
		definition_free(v);
	map_release(&k->stored);
	map_release(&k->definitions);
	map_release(&k->synced);
	if (k->way.http)
		http_client_free(k->way.http);
	free(k);
}

int
apiservice_control_new(
	struct api_server *s, struct client *c, struct loop *l, struct apiservice_control **ret)
{
	struct apiservice_control *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->way = (struct apiservice_way){.s = s, .c = c};
	k->loop = l;
	map_init(&k->stored);
	map_init(&k->definitions);
	map_init(&k->synced);
	k->wants = queue_new(l, "apiservices", WANT_PARALLEL, want_work, k);
	k->looks = queue_new(l, "apiservices-available", LOOK_PARALLEL, look_work, k);
	if (!k->wants || !k->looks ||
		http_client_new(&(struct http_client_config){.loop = l}, &k->way.http) < 0 ||
		!(k->fetcher = apiservice_fetcher_new(&k->way, l))) {
		apiservice_control_free(k);
		return -ENOMEM;
	}
	queue_set_backoff(k->looks, BACKOFF_NS, AGAIN_NS);
	for (enum source i = 0; i < SOURCE__COUNT; i++)
		k->sources[i] = (struct source_state){.k = k, .which = i};
	source_watch(&k->sources[SERVICES_API]);
	source_watch(&k->sources[DEFINITIONS]);
	*ret = k;
	return 0;
}
