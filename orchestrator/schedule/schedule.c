/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * schedule: informers into the cache and the queue, and a pod's turn: filter, score, assume, bind.
 *
 * A pod's states: enum pod_state. Only WAITING pods stand in the heap. A turn of the loop works on at
 * most CYCLES_PER_TURN pods, so that answers and events get their time. */
#include "orchestrator/schedule/schedule_int.h"

#include "base/log.h"
#include "base/rand.h"

#include <stdlib.h>

#define CYCLES_PER_TURN 64
#define BACKOFF_MIN_NS NS_PER_SEC
#define BACKOFF_MAX_NS (10 * NS_PER_SEC)
#define HOPELESS_NS (300 * NS_PER_SEC)
#define FLUSH_NS (30 * NS_PER_SEC)
#define CLAIM_POLL_MAX_NS (600 * NS_PER_SEC) /* how long a pod waits for its volumes */
#define COMPONENT STR("default-scheduler")

/* ---- the active queue: a heap by priority, then age ---- */

static bool
before(const struct sched_pod *x, const struct sched_pod *y)
{
	int32_t px = pod_of(x)->spec.priority, py = pod_of(y)->spec.priority;
	return px != py ? px > py : x->seq < y->seq;
}

static void
heap_set(struct scheduler *s, size_t at, struct sched_pod *p)
{
	s->heap[at] = p;
	p->heap_pos = at + 1;
}

static void
heap_up(struct scheduler *s, size_t at)
{
	struct sched_pod *p = s->heap[at];
	while (at && before(p, s->heap[(at - 1) / 2])) {
		heap_set(s, at, s->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_set(s, at, p);
}

static void
heap_down(struct scheduler *s, size_t at)
{
	struct sched_pod *p = s->heap[at];
	for (size_t child; (child = at * 2 + 1) < s->n_heap; at = child) {
		if (child + 1 < s->n_heap && before(s->heap[child + 1], s->heap[child]))
			child++;
		if (!before(s->heap[child], p))
			break;
		heap_set(s, at, s->heap[child]);
	}
	heap_set(s, at, p);
}

static void
heap_remove(struct scheduler *s, struct sched_pod *p)
{
	if (!p->heap_pos)
		return;
	size_t at = p->heap_pos - 1;
	struct sched_pod *last = s->heap[--s->n_heap];
	p->heap_pos = 0;
	if (last == p)
		return;
	heap_set(s, at, last);
	heap_up(s, at);
	heap_down(s, last->heap_pos - 1);
}

static void
heap_add(struct scheduler *s, struct sched_pod *p)
{
	if (p->heap_pos)
		return;
	if (s->n_heap == s->cap_heap) {
		size_t cap = s->cap_heap ? s->cap_heap * 2 : 64;
		void *grown = realloc(s->heap, cap * sizeof(struct sched_pod *));
		if (!grown)
			return;
		s->heap = grown;
		s->cap_heap = cap;
	}
	heap_set(s, s->n_heap, p);
	heap_up(s, s->n_heap++);
	p->state = POD_WAITING;
	loop_defer(s->c->loop, &s->turn);
}

static void
on_backoff(struct loop_timer *t)
{
	struct sched_pod *p = t->arg;
	if (p->state == POD_BACKOFF)
		heap_add(p->s, p);
}

static void
backoff(struct sched_pod *p)
{
	int64_t delay = BACKOFF_MIN_NS;
	for (unsigned i = 1; i < p->attempts && delay < BACKOFF_MAX_NS; i++)
		delay *= 2;
	p->state = POD_BACKOFF;
	loop_timer_after(p->s->c->loop, &p->timer, delay > BACKOFF_MAX_NS ? BACKOFF_MAX_NS : delay);
}

/* changed: hopeless pods that this may help go through their back-off to another attempt. */
static void
changed(struct scheduler *s, uint32_t what)
{
	struct str key;
	void *v;
	for (size_t pos = 0; map_next(&s->pods, &pos, &key, &v);) {
		struct sched_pod *p = v;
		if (p->state == POD_HOPELESS && (p->wait_for & what))
			backoff(p);
	}
}

static void
on_flush(struct loop_timer *t)
{
	struct scheduler *s = t->arg;
	struct str key;
	void *v;
	int64_t now = loop_now_ns(s->c->loop);
	for (size_t pos = 0; map_next(&s->pods, &pos, &key, &v);) {
		struct sched_pod *p = v;
		if (p->state == POD_HOPELESS && now - p->since_ns > HOPELESS_NS)
			heap_add(s, p);
	}
	loop_timer_after(s->c->loop, t, FLUSH_NS);
}

/* ---- binding ---- */

static struct event_ref
ref_of(const struct sched_pod *p)
{
	const struct meta_v1_object_meta *m = &pod_of(p)->metadata;
	return (struct event_ref){.api_version = STR("v1"),
		.kind = STR("Pod"),
		.ns = m->namespace,
		.name = m->name,
		.uid = m->uid,
		.resource_version = m->resource_version};
}

static void
bind_failed(struct sched_pod *p, const char *why)
{
	struct event_ref ref = ref_of(p);
	p->s->stats.bind_errors++;
	cache_pod_take(p);
	client_event(p->s->c, &ref, "Warning", "FailedScheduling", COMPONENT, STR(""), "%s", why);
	backoff(p);
	changed(p->s, CHANGE_POD_DELETED);
}

static void
on_bound(void *arg, const struct client_result *r)
{
	struct sched_pod *p = arg;
	p->call = NULL;
	if (p->state != POD_BINDING)
		return;
	if (r->e.code) {
		bind_failed(p, r->e.msg);
		return;
	}
	struct event_ref ref = ref_of(p);
	const struct meta_v1_object_meta *m = &pod_of(p)->metadata;
	p->s->stats.bound++;
	p->state = POD_BOUND;
	client_event(p->s->c, &ref, "Normal", "Scheduled", COMPONENT, STR(""),
		"Successfully assigned " STR_FMT "/" STR_FMT " to " STR_FMT, STR_ARG(m->namespace),
		STR_ARG(m->name), STR_ARG(p->node->name));
}

static void
bind_send(struct sched_pod *p)
{
	const struct meta_v1_object_meta *m = &pod_of(p)->metadata;
	_cleanup_buf_ struct buf body = BUF_INIT;
	buf_cstr(&body, "{\"apiVersion\":\"v1\",\"kind\":\"Binding\",\"metadata\":{\"name\":");
	doc_json_string(&body, m->name);
	buf_cstr(&body, ",\"namespace\":");
	doc_json_string(&body, m->namespace);
	buf_cstr(&body, ",\"uid\":");
	doc_json_string(&body, m->uid);
	buf_cstr(&body, "},\"target\":{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"name\":");
	doc_json_string(&body, p->node->name);
	buf_cstr(&body, "}}");
	struct client_req req = {.verb = CLIENT_CREATE,
		.version = STR("v1"),
		.resource = STR("pods"),
		.ns = m->namespace,
		.name = m->name,
		.subresource = STR("binding"),
		.body = buf_view(&body)};
	int rc = body.failed ? -ENOMEM : client_call_start(p->s->c, &req, on_bound, p, &p->call);
	if (rc < 0)
		bind_failed(p, strerror(-rc));
}

static void bind_go_on(struct sched_pod *p);

static void
on_claim_written(void *arg, const struct client_result *r)
{
	struct sched_pod *p = arg;
	p->call = NULL;
	if (p->state != POD_BINDING)
		return;
	if (r->e.code)
		bind_failed(p, r->e.msg); /* somebody else was faster: the next attempt sees it */
	else
		bind_go_on(p);
}

/* bind_go_on: claims first, one write after the other; when all are bound, the pod. */
static void
bind_go_on(struct sched_pod *p)
{
	int rc = volumes_bind_next(p, &p->claims_at, on_claim_written);
	if (rc < 0)
		bind_failed(p, strerror(-rc));
	if (rc != 0)
		return;
	p->claims_left = (unsigned)volumes_unbound(p->s, pod_of(p));
	p->since_ns = loop_now_ns(p->s->c->loop);
	if (!p->claims_left)
		bind_send(p);
}

static void
bind_start(struct sched_pod *p)
{
	p->claims_at = 0;
	p->claims_left = 0;
	bind_go_on(p);
}

/* claims_changed: assumed pods whose volumes are all bound now go on; others give up in time. */
static void
claims_changed(struct scheduler *s)
{
	struct str key;
	void *v;
	int64_t now = loop_now_ns(s->c->loop);
	for (size_t pos = 0; map_next(&s->pods, &pos, &key, &v);) {
		struct sched_pod *p = v;
		if (p->state != POD_BINDING || !p->claims_left)
			continue;
		p->claims_left = (unsigned)volumes_unbound(s, pod_of(p));
		if (!p->claims_left)
			bind_send(p);
		else if (now - p->since_ns > CLAIM_POLL_MAX_NS)
			bind_failed(p, "timed out waiting for volumes to be bound");
	}
}

/* ---- a pod's turn ---- */

/* Reasons and how many nodes gave each. */
struct reasons {
	struct {
		const char *text;
		size_t n;
	} * v;
	size_t n;
};

static void
reason_add(struct arena *a, struct reasons *r, const char *text)
{
	for (size_t i = 0; i < r->n; i++)
		if (!strcmp(r->v[i].text, text)) {
			r->v[i].n++;
			return;
		}
	typeof(r->v) x = ARENA_PUSH(a, r->v, r->n);
	if (x) {
		x->text = text;
		x->n = 1;
	}
}

static int
reason_order(const void *x, const void *y)
{
	const typeof(((struct reasons *)0)->v[0]) *p = x, *q = y;
	return strcmp(p->text, q->text);
}

/* reasons_text: "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) ...". */
static struct str
reasons_text(struct arena *a, struct reasons *r, size_t n_nodes)
{
	struct buf b;
	buf_init_arena(&b, a);
	if (!n_nodes)
		return STR("no nodes available to schedule pods");
	buf_fmt(&b, "0/%zu nodes are available", n_nodes);
	if (r->n)
		qsort(r->v, r->n, sizeof(*r->v), reason_order);
	for (size_t i = 0; i < r->n; i++)
		buf_fmt(&b, "%s%zu %s", i ? ", " : ": ", r->v[i].n, r->v[i].text);
	buf_char(&b, '.');
	return buf_view(&b);
}

static void
on_status(void *arg, const struct client_result *r)
{
	/* The condition is for people; the next attempt writes it again. */
	(void)arg;
	(void)r;
}

static void
hopeless(struct cycle *c, struct str why)
{
	struct sched_pod *p = c->sp;
	const struct meta_v1_object_meta *m = &pod_of(p)->metadata;
	struct event_ref ref = ref_of(p);
	char now[40];
	struct buf b;
	p->s->stats.failed_attempts++;
	p->state = POD_HOPELESS;
	p->since_ns = loop_now_ns(p->s->c->loop);
	p->wait_for = c->wait_for;
	client_event(p->s->c, &ref, "Warning", "FailedScheduling", COMPONENT, STR(""), STR_FMT,
		STR_ARG(why));
	rfc3339_format(clock_wall_ns(), 0, now);
	buf_init_arena(&b, c->a);
	buf_fmt(&b,
		"{\"status\":{\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\","
		"\"reason\":\"Unschedulable\",\"lastProbeTime\":null,\"lastTransitionTime\":\"%s\","
		"\"observedGeneration\":%lld,\"message\":",
		now, (long long)m->generation);
	doc_json_string(&b, why);
	buf_cstr(&b, "}]}}");
	struct client_req req = {.verb = CLIENT_PATCH_STRATEGIC,
		.version = STR("v1"),
		.resource = STR("pods"),
		.ns = m->namespace,
		.name = m->name,
		.subresource = STR("status"),
		.body = buf_view(&b)};
	/* A pod that already says so is not written again: its own update would wake it. */
	for (size_t i = 0; i < pod_of(p)->status.n_conditions; i++) {
		const struct core_v1_pod_condition *k = &pod_of(p)->status.conditions[i];
		if (str_eq(k->type, STR("PodScheduled")) && str_eq(k->message, why))
			return;
	}
	if (!b.failed)
		client_call_start(p->s->c, &req, on_status, NULL, NULL);
}

static bool
filter_all(struct cycle *c, struct reasons *reasons, size_t *n_nodes)
{
	struct str key;
	void *v;
	for (size_t pos = 0; map_next(&c->s->nodes, &pos, &key, &v);) {
		struct sched_node *n = v;
		const char *why = NULL;
		if (!n->obj)
			continue;
		(*n_nodes)++;
		for (size_t i = 0; i < n_plugins && !why; i++) {
			if (!plugins[i].filter)
				continue;
			why = plugins[i].filter(c, i, n);
			if (why) {
				c->wait_for |= plugins[i].wait_for;
				reason_add(c->a, reasons, why);
			}
		}
		struct sched_node **slot = why ? NULL : ARENA_PUSH(c->a, c->fit, c->n_fit);
		if (slot)
			*slot = n;
	}
	return c->n_fit > 0;
}

static struct sched_node *
best(struct cycle *c)
{
	int64_t *total = ARENA_ARRAY(c->a, int64_t, c->n_fit);
	int64_t *one = ARENA_ARRAY(c->a, int64_t, c->n_fit);
	if (!total || !one || c->n_fit == 1)
		return c->fit[0];
	for (size_t i = 0; i < n_plugins; i++) {
		if (!plugins[i].score)
			continue;
		for (size_t k = 0; k < c->n_fit; k++)
			one[k] = plugins[i].score(c, i, c->fit[k]);
		if (plugins[i].normalize)
			plugins[i].normalize(one, c->n_fit);
		for (size_t k = 0; k < c->n_fit; k++)
			total[k] += one[k] * plugins[i].weight;
	}
	size_t at = 0, ties = 1;
	for (size_t k = 1; k < c->n_fit; k++) {
		if (total[k] > total[at]) {
			at = k;
			ties = 1;
		} else if (total[k] == total[at] && rand_below(++ties) == 0) {
			at = k;
		}
	}
	return c->fit[at];
}

static void
schedule_one(struct scheduler *s, struct sched_pod *p)
{
	struct cycle c = {.s = s, .sp = p, .pod = pod_of(p), .a = s->cycle_arena};
	struct reasons reasons = {0};
	struct str why = STR_NONE;
	size_t n_nodes = 0;
	arena_clear(c.a);
	p->attempts++;
	for (size_t i = 0; i < n_plugins; i++) {
		if (!plugins[i].prepare || plugins[i].prepare(&c, i, &why))
			continue;
		c.wait_for |= plugins[i].wait_for;
		size_t live = informer_len(s->nodes_i);
		hopeless(&c,
			arena_fmt(c.a, "0/%zu nodes are available: " STR_FMT ".", live,
				STR_ARG(why)));
		return;
	}
	if (!filter_all(&c, &reasons, &n_nodes)) {
		c.wait_for |= CHANGE_NODE_ADDED;
		hopeless(&c, reasons_text(c.a, &reasons, n_nodes));
		return;
	}
	p->state = POD_BINDING;
	cache_pod_put(p, best(&c));
	bind_start(p);
}

static bool
ready(const struct scheduler *s)
{
	return informer_synced(s->pods_i) && informer_synced(s->nodes_i) &&
		informer_synced(s->claims_i) && informer_synced(s->volumes_i) &&
		informer_synced(s->classes_i) && informer_synced(s->namespaces_i);
}

static void
on_turn(struct loop_work *w)
{
	struct scheduler *s = w->arg;
	if (!ready(s))
		return;
	for (int i = 0; i < CYCLES_PER_TURN && s->n_heap; i++) {
		struct sched_pod *p = s->heap[0];
		heap_remove(s, p);
		schedule_one(s, p);
	}
	if (s->n_heap)
		loop_defer(s->c->loop, &s->turn);
}

/* ---- informers ---- */

static void
pod_forget(struct scheduler *s, struct sched_pod *p)
{
	heap_remove(s, p);
	loop_timer_cancel(&p->timer);
	client_call_cancel(p->call);
	cache_pod_take(p);
	map_del(&s->pods, p->obj->key);
	informer_obj_unref(p->obj);
	free(p);
}

static bool
is_over(const struct core_v1_pod *pod)
{
	return str_eq(pod->status.phase, STR("Succeeded")) ||
		str_eq(pod->status.phase, STR("Failed"));
}

static struct sched_pod *
pod_make(struct scheduler *s, const struct informer_obj *o)
{
	struct sched_pod *p = calloc(1, sizeof(*p));
	if (!p || map_put(&s->pods, o->key, p, NULL) < 0) {
		free(p);
		return NULL;
	}
	p->s = s;
	p->seq = ++s->seq;
	p->timer = (struct loop_timer){.fn = on_backoff, .arg = p};
	return p;
}

static bool
spec_changed(const struct informer_obj *old, const struct informer_obj *new_)
{
	const struct core_v1_pod *x = old->obj, *y = new_->obj;
	return x->metadata.generation != y->metadata.generation ||
		x->spec.n_scheduling_gates != y->spec.n_scheduling_gates;
}

/* pod_place: where a pod of this state belongs: with its node, in the queue, or nowhere. */
static void
pod_place(struct scheduler *s, struct sched_pod *p, bool wake)
{
	const struct core_v1_pod *pod = pod_of(p);
	if (pod->spec.node_name.n) {
		heap_remove(s, p);
		loop_timer_cancel(&p->timer);
		if (p->state != POD_BINDING)
			p->state = POD_BOUND;
	} else if (pod->spec.n_scheduling_gates) {
		heap_remove(s, p);
		p->state = POD_GATED;
	} else if (wake || p->state == POD_GATED) {
		heap_add(s, p);
	}
}

/* pod_take_state: the pod's newest object; its share of the node it is on, or assumed on, is counted
 * anew. */
static void
pod_take_state(struct scheduler *s, struct sched_pod *p, const struct informer_obj *o)
{
	char name[254] = "";
	const struct core_v1_pod *pod = o->obj;
	const struct informer_obj *was = p->obj;
	if (p->node)
		str_copy_c(p->node->name, name, sizeof(name));
	cache_pod_take(p);
	p->obj = informer_obj_ref(o);
	if (was)
		informer_obj_unref(was);
	amounts_of_pod(pod, &p->ask, &p->ask_nonzero);
	struct str where = pod->spec.node_name;
	if (!where.n && p->state == POD_BINDING)
		where = str_c(name);
	struct sched_node *n = where.n ? cache_node(s, where) : NULL;
	if (n)
		cache_pod_put(p, n);
}

static void
on_pod(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct scheduler *s = arg;
	struct sched_pod *p = map_get(&s->pods, (new_ ? new_ : old)->key);
	const struct core_v1_pod *pod = new_ ? new_->obj : NULL;
	bool ours = pod &&
		(pod->spec.node_name.n ||
			(str_eq(pod->spec.scheduler_name, s->name) &&
				!pod->metadata.deletion_timestamp));
	if (!pod || is_over(pod) || !ours) {
		if (p) {
			bool had_node = p->node != NULL;
			pod_forget(s, p);
			changed(s, had_node ? CHANGE_POD_DELETED : 0);
		}
		return;
	}
	bool fresh = p == NULL;
	if (fresh)
		p = pod_make(s, new_);
	if (!p)
		return;
	bool wake = fresh || (p->state == POD_HOPELESS && spec_changed(p->obj, new_));
	pod_take_state(s, p, new_);
	pod_place(s, p, wake);
	if (fresh && pod->spec.node_name.n)
		changed(s, CHANGE_POD_ADDED);
}

static void
on_node(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct scheduler *s = arg;
	if (new_)
		cache_node_set(s, new_);
	else
		cache_node_gone(s, old->name);
	if (new_)
		changed(s, old ? CHANGE_NODE_UPDATED : CHANGE_NODE_ADDED);
}

static void
on_claim(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	(void)old;
	(void)new_;
	claims_changed(arg);
	changed(arg, CHANGE_CLAIM);
}

static void
on_volume(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	(void)old;
	(void)new_;
	changed(arg, CHANGE_VOLUME);
}

static void
on_class(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	(void)old;
	(void)new_;
	changed(arg, CHANGE_CLASS);
}

static void
on_namespace(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	(void)arg;
	(void)old;
	(void)new_;
}

static void
on_synced(void *arg)
{
	struct scheduler *s = arg;
	loop_defer(s->c->loop, &s->turn);
}

/* ---- life ---- */

int
scheduler_new(const struct scheduler_config *cfg, struct scheduler **ret)
{
	struct scheduler *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->c = cfg->client;
	s->a = arena_new(1 << 16);
	s->cycle_arena = arena_new(0);
	map_init(&s->pods);
	map_init(&s->nodes);
	if (!s->a || !s->cycle_arena) {
		scheduler_free(s);
		return -ENOMEM;
	}
	s->name = arena_str(s->a, cfg->name.n ? cfg->name : COMPONENT);
	s->turn = (struct loop_work){.fn = on_turn, .arg = s};
	s->flush = (struct loop_timer){.fn = on_flush, .arg = s};
	const struct {
		struct informer **at;
		struct informer_spec spec;
	} rows[] = {
		{&s->nodes_i,
			{.version = STR("v1"),
				.resource = STR("nodes"),
				.type = SCHEMA_TYPE_OF(core_v1_node),
				.on_change = on_node}},
		{&s->pods_i,
			{.version = STR("v1"),
				.resource = STR("pods"),
				.type = SCHEMA_TYPE_OF(core_v1_pod),
				.on_change = on_pod}},
		{&s->claims_i,
			{.version = STR("v1"),
				.resource = STR("persistentvolumeclaims"),
				.type = SCHEMA_TYPE_OF(core_v1_persistent_volume_claim),
				.on_change = on_claim}},
		{&s->volumes_i,
			{.version = STR("v1"),
				.resource = STR("persistentvolumes"),
				.type = SCHEMA_TYPE_OF(core_v1_persistent_volume),
				.on_change = on_volume}},
		{&s->classes_i,
			{.group = STR("storage.k8s.io"),
				.version = STR("v1"),
				.resource = STR("storageclasses"),
				.type = SCHEMA_TYPE_OF(storage_v1_storage_class),
				.on_change = on_class}},
		{&s->namespaces_i,
			{.version = STR("v1"),
				.resource = STR("namespaces"),
				.type = SCHEMA_TYPE_OF(core_v1_namespace),
				.on_change = on_namespace}},
	};
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(rows); i++) {
		struct informer_spec spec = rows[i].spec;
		spec.arg = s;
		spec.on_synced = on_synced;
		rc = informer_new(s->c, &spec, rows[i].at);
	}
	if (rc < 0) {
		scheduler_free(s);
		return rc;
	}
	loop_timer_after(s->c->loop, &s->flush, FLUSH_NS);
	*ret = s;
	return 0;
}

void
scheduler_free(struct scheduler *s)
{
	struct str key;
	void *v;
	if (!s)
		return;
	loop_timer_cancel(&s->flush);
	loop_defer_cancel(&s->turn);
	for (size_t pos = 0; map_next(&s->pods, &pos, &key, &v);)
		pod_forget(s, v);
	map_release(&s->pods);
	cache_release(s);
	struct informer *const all[] = {
		s->pods_i, s->nodes_i, s->claims_i, s->volumes_i, s->classes_i, s->namespaces_i};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		informer_free(all[i]);
	free(s->heap);
	arena_free(s->cycle_arena);
	arena_free(s->a);
	free(s);
}

void
scheduler_stats(const struct scheduler *s, struct scheduler_stats *ret)
{
	*ret = s->stats;
	ret->waiting = s->n_heap;
}
