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
#define FLUSH_NS (30 * NS_PER_SEC)

/* ---- a pod's turn ---- */

static void
on_status(void *arg, const struct client_result *r)
{
	/* The condition is for people; the next attempt writes it again. */
	(void)arg;
	(void)r;
}

struct event_ref
sched_pod_ref(const struct sched_pod *p)
{
	const struct meta_v1_object_meta *m = &pod_of(p)->metadata;
	return (struct event_ref){.api_version = STR("v1"),
		.kind = STR("Pod"),
		.ns = m->namespace,
		.name = m->name,
		.uid = m->uid,
		.resource_version = m->resource_version};
}

/* tell: the pod's condition and what is nominated, if it does not say so already: its own update would cost
 * every watcher something. nominated: STR_NONE = stays as it is. */
static void
tell(struct cycle *c, struct str why, struct str nominated)
{
	const struct core_v1_pod *pod = c->pod;
	const struct meta_v1_object_meta *m = &pod->metadata;
	bool said = false;
	char since[40];
	struct buf b;
	rfc3339_format(clock_wall_ns(), 0, since);
	for (size_t i = 0; i < pod->status.n_conditions; i++) {
		const struct core_v1_pod_condition *k = &pod->status.conditions[i];
		if (!str_eq_c(k->type, "PodScheduled"))
			continue;
		said = str_eq(k->message, why) && str_eq_c(k->reason, "Unschedulable");
		if (str_eq_c(k->status, "False"))
			rfc3339_format(k->last_transition_time, 0, since);
	}
	bool renamed = str_is_set(nominated) && !str_eq(nominated, pod->status.nominated_node_name);
	if (said && !renamed)
		return;
	buf_init_arena(&b, c->a);
	buf_cstr(&b, "{\"status\":{");
	if (renamed) {
		buf_cstr(&b, "\"nominatedNodeName\":");
		if (nominated.n)
			doc_json_string(&b, nominated);
		else
			buf_cstr(&b, "null");
		buf_char(&b, ',');
	}
	buf_fmt(&b,
		"\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\","
		"\"reason\":\"Unschedulable\",\"lastProbeTime\":null,\"lastTransitionTime\":\"%s\","
		"\"observedGeneration\":%lld,\"message\":",
		since, (long long)m->generation);
	doc_json_string(&b, why);
	buf_cstr(&b, "}]}}");
	struct client_req req = {.verb = CLIENT_PATCH_STRATEGIC,
		.version = STR("v1"),
		.resource = STR("pods"),
		.ns = m->namespace,
		.name = m->name,
		.subresource = STR("status"),
		.body = buf_view(&b)};
	if (!b.failed)
		client_call_start(c->s->c, &req, on_status, NULL, NULL);
}

/* hopeless: it waits for a change, or for those that go for it. nodes: why not on them; NONE: there are none. */
static void
hopeless(struct cycle *c, struct str nodes)
{
	struct sched_pod *p = c->sp;
	struct event_ref ref = sched_pod_ref(p);
	struct preemption found = {.keep = true};
	struct str why = nodes, nominated = STR_NONE;
	p->s->stats.failed_attempts++;
	p->state = POD_HOPELESS;
	p->since_ns = loop_now_ns(p->s->c->loop);
	if (informer_len(p->s->nodes_i)) {
		preempt_find(c, &found);
		why = arena_fmt(c->a, STR_FMT " " STR_FMT, STR_ARG(nodes), STR_ARG(found.why));
	}
	p->wait_for = c->wait_for;
	if (!found.keep) {
		nominated = found.node ? arena_str(c->a, found.node->name) : STR("");
		cache_nominate(p, nominated);
	}
	if (found.node)
		preempt_act(p, &found);
	client_event(p->s->c, &ref, "Warning", "FailedScheduling", SCHED_COMPONENT, STR(""),
		STR_FMT, STR_ARG(why));
	tell(c, why, nominated);
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
	/* Where room was made for it it goes, if it fits there now. */
	struct sched_node *n = p->nominated;
	if (n && (!n->obj || filter_node(&c, n)))
		n = NULL;
	if (!n && !filter_all(&c, &reasons, &n_nodes)) {
		c.wait_for |= CHANGE_NODE_ADDED;
		hopeless(&c, reasons_text(c.a, &reasons, n_nodes));
		return;
	}
	n = n ? n : best(&c);
	p->state = POD_BINDING;
	cache_pod_put(p, n);
	cache_nominate(p, STR(""));
	bind_start(p);
}

static bool
ready(const struct scheduler *s)
{
	return informer_synced(s->pods_i) && informer_synced(s->nodes_i) &&
		informer_synced(s->claims_i) && informer_synced(s->volumes_i) &&
		informer_synced(s->classes_i) && informer_synced(s->namespaces_i) &&
		informer_synced(s->budgets_i);
}

static void
on_turn(struct loop_work *w)
{
	struct scheduler *s = w->arg;
	if (!ready(s))
		return;
	for (int i = 0; i < CYCLES_PER_TURN && s->n_heap; i++)
		schedule_one(s, sched_queue_take(s));
	if (s->n_heap)
		loop_defer(s->c->loop, &s->turn);
}

/* ---- informers ---- */

static void
pod_forget(struct scheduler *s, struct sched_pod *p)
{
	sched_queue_remove(p);
	loop_timer_cancel(&p->timer);
	client_call_cancel(p->call);
	cache_pod_take(p);
	cache_nominate(p, STR(""));
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
	p->timer = (struct loop_timer){.fn = sched_queue_on_backoff, .arg = p};
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
pod_place(struct sched_pod *p, bool wake)
{
	const struct core_v1_pod *pod = pod_of(p);
	if (pod->spec.node_name.n) {
		sched_queue_remove(p);
		loop_timer_cancel(&p->timer);
		if (p->state != POD_BINDING)
			p->state = POD_BOUND;
	} else if (pod->spec.n_scheduling_gates) {
		sched_queue_remove(p);
		p->state = POD_GATED;
	} else if (wake || p->state == POD_GATED) {
		sched_queue_add(p);
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
	bool before_said = was && pod_of(p)->status.nominated_node_name.n;
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
	/* What was nominated here and the API does not say yet stays. */
	struct str nominated = pod->status.nominated_node_name;
	if (where.n || (!nominated.n && before_said))
		nominated = STR("");
	else if (!nominated.n)
		return;
	cache_nominate(p, nominated);
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
			sched_queue_changed(s, had_node ? CHANGE_POD_DELETED : 0);
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
	pod_place(p, wake);
	if (fresh && pod->spec.node_name.n)
		sched_queue_changed(s, CHANGE_POD_ADDED);
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
		sched_queue_changed(s, old ? CHANGE_NODE_UPDATED : CHANGE_NODE_ADDED);
}

static void
on_claim(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	(void)old;
	(void)new_;
	bind_claims_changed(arg);
	sched_queue_changed(arg, CHANGE_CLAIM);
}

static void
on_volume(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	(void)old;
	(void)new_;
	sched_queue_changed(arg, CHANGE_VOLUME);
}

static void
on_class(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	(void)old;
	(void)new_;
	sched_queue_changed(arg, CHANGE_CLASS);
}

static void
on_ignored(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
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
	s->name = arena_str(s->a, cfg->name.n ? cfg->name : SCHED_COMPONENT);
	s->turn = (struct loop_work){.fn = on_turn, .arg = s};
	s->flush = (struct loop_timer){.fn = sched_queue_on_flush, .arg = s};
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
		{&s->budgets_i,
			{.group = STR("policy"),
				.version = STR("v1"),
				.resource = STR("poddisruptionbudgets"),
				.type = SCHEMA_TYPE_OF(policy_v1_pod_disruption_budget),
				.on_change = on_ignored}},
		{&s->namespaces_i,
			{.version = STR("v1"),
				.resource = STR("namespaces"),
				.type = SCHEMA_TYPE_OF(core_v1_namespace),
				.on_change = on_ignored}},
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
	preempt_release(s);
	for (size_t pos = 0; map_next(&s->pods, &pos, &key, &v);)
		pod_forget(s, v);
	map_release(&s->pods);
	cache_release(s);
	struct informer *const all[] = {s->pods_i, s->nodes_i, s->claims_i, s->volumes_i,
		s->classes_i, s->namespaces_i, s->budgets_i};
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
