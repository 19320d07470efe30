/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * evict: the victims of a pod go: each gets a condition that says why and is deleted; nominations of less important
 * pods for the node end. Several are under way at once; when the last is answered the pod may have a turn
 * again, at once where one failed. Source: kube-scheduler framework/preemption (executor). */
#include "orchestrator/schedule/schedule_int.h"

#include <stdlib.h>

/* One victim on its way. Own strings: both pods may be gone before the answer comes. */
struct eviction {
	struct scheduler *s;
	struct eviction *next, **prev;
	struct arena *a;
	struct client_call *call;
	struct event_ref victim;
	struct str key, uid, node; /* of the pod it makes room for */
};

static void
eviction_free(struct eviction *e)
{
	*e->prev = e->next;
	if (e->next)
		e->next->prev = e->prev;
	arena_free(e->a);
}

/* settle: one answer less is waited for; with the last the pod may have a turn. */
static void
settle(struct sched_pod *p, bool failed)
{
	p->evict_failed = p->evict_failed || failed;
	if (--p->evicting || p->state != POD_HOPELESS)
		return;
	if (p->evict_failed)
		sched_queue_add(p);
	else if (p->woken)
		sched_queue_backoff(p);
}

/* over: the pod it was for is told, if it is still the same. */
static void
over(struct eviction *e, bool failed)
{
	struct sched_pod *p = map_get(&e->s->pods, e->key);
	if (p && str_eq(p->obj->uid, e->uid) && p->evicting)
		settle(p, failed);
	eviction_free(e);
}

static void
on_deleted(void *arg, const struct client_result *r)
{
	struct eviction *e = arg;
	e->call = NULL;
	if (!r->e.code)
		client_event(e->s->c, &e->victim, "Normal", "Preempted", SCHED_COMPONENT, STR(""),
			"Preempted by pod " STR_FMT " on node " STR_FMT, STR_ARG(e->uid),
			STR_ARG(e->node));
	over(e, r->e.code && r->http != 404);
}

static void
victim_delete(struct eviction *e)
{
	_cleanup_buf_ struct buf body = BUF_INIT;
	buf_cstr(&body,
		"{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"preconditions\":{\"uid\":");
	doc_json_string(&body, e->victim.uid);
	buf_cstr(&body, "}}");
	struct client_req req = {.verb = CLIENT_DELETE,
		.version = STR("v1"),
		.resource = STR("pods"),
		.ns = e->victim.ns,
		.name = e->victim.name,
		.body = buf_view(&body)};
	if (body.failed || client_call_start(e->s->c, &req, on_deleted, e, &e->call) < 0)
		over(e, true);
}

static void
on_marked(void *arg, const struct client_result *r)
{
	struct eviction *e = arg;
	e->call = NULL;
	if (r->e.code)
		over(e, r->http != 404);
	else
		victim_delete(e);
}

/* victim_mark: the condition, then the deletion. */
static void
victim_mark(struct eviction *e, const struct core_v1_pod *victim, struct str scheduler)
{
	char now[40];
	_cleanup_buf_ struct buf body = BUF_INIT, why = BUF_INIT;
	rfc3339_format(clock_wall_ns(), 0, now);
	buf_fmt(&why, STR_FMT ": preempting to accommodate a higher priority pod",
		STR_ARG(scheduler));
	for (size_t i = 0; i < victim->status.n_conditions; i++) {
		const struct core_v1_pod_condition *k = &victim->status.conditions[i];
		if (str_eq_c(k->type, "DisruptionTarget") && str_eq_c(k->status, "True"))
			rfc3339_format(k->last_transition_time, 0, now);
	}
	buf_fmt(&body,
		"{\"metadata\":{\"uid\":\"" STR_FMT "\"},\"status\":{\"conditions\":[{\"type\":"
		"\"DisruptionTarget\",\"status\":\"True\",\"reason\":\"PreemptionByScheduler\","
		"\"lastProbeTime\":null,\"lastTransitionTime\":\"%s\",\"observedGeneration\":%lld,"
		"\"message\":",
		STR_ARG(victim->metadata.uid), now, (long long)victim->metadata.generation);
	doc_json_string(&body, buf_view(&why));
	buf_cstr(&body, "}]}}");
	struct client_req req = {.verb = CLIENT_PATCH_STRATEGIC,
		.version = STR("v1"),
		.resource = STR("pods"),
		.ns = victim->metadata.namespace,
		.name = victim->metadata.name,
		.subresource = STR("status"),
		.body = buf_view(&body)};
	if (body.failed || why.failed ||
		client_call_start(e->s->c, &req, on_marked, e, &e->call) < 0)
		over(e, true);
}

static struct eviction *
eviction_new(struct sched_pod *p, const struct sched_pod *victim, struct str node)
{
	struct arena *a = arena_new(1 << 14);
	struct eviction *e = a ? ARENA_NEW(a, struct eviction) : NULL;
	if (e) {
		const struct event_ref ref = sched_pod_ref(victim);
		*e = (struct eviction){.s = p->s,
			.a = a,
			.victim = {.api_version = ref.api_version,
				.kind = ref.kind,
				.ns = arena_str(a, ref.ns),
				.name = arena_str(a, ref.name),
				.uid = arena_str(a, ref.uid),
				.resource_version = arena_str(a, ref.resource_version)},
			.key = arena_str(a, p->obj->key),
			.uid = arena_str(a, p->obj->uid),
			.node = arena_str(a, node)};
	}
	if (!e || arena_failed(a)) {
		arena_free(a);
		return NULL;
	}
	e->next = p->s->evictions;
	e->prev = &p->s->evictions;
	if (e->next)
		e->next->prev = &e->next;
	p->s->evictions = e;
	return e;
}

static void
on_cleared(void *arg, const struct client_result *r)
{
	/* The nomination is gone here; what the API says of it is for people and other schedulers. */
	(void)arg;
	(void)r;
}

/* others_leave: less important pods that were promised this node look for another. */
static void
others_leave(const struct sched_pod *p, struct sched_node *n)
{
	struct sched_pod *next;
	for (struct sched_pod *q = n->nominated; q; q = next) {
		next = q->nominated_next;
		if (pod_of(q)->spec.priority >= pod_of(p)->spec.priority)
			continue;
		struct client_req req = {.verb = CLIENT_PATCH_MERGE,
			.version = STR("v1"),
			.resource = STR("pods"),
			.ns = q->obj->ns,
			.name = q->obj->name,
			.subresource = STR("status"),
			.body = STR("{\"status\":{\"nominatedNodeName\":null}}")};
		client_call_start(p->s->c, &req, on_cleared, NULL, NULL);
		cache_nominate(q, STR(""));
		if (q->state == POD_HOPELESS)
			sched_queue_backoff(q);
	}
}

void
preempt_act(struct sched_pod *p, const struct preemption *what)
{
	p->woken = p->evict_failed = false;
	p->evicting++; /* until all are on their way */
	others_leave(p, what->node);
	for (size_t i = 0; i < what->n_victims; i++) {
		struct sched_pod *v = what->victims[i];
		if (pod_of(v)->metadata.deletion_timestamp)
			continue;
		if (v->state == POD_BINDING && v->claims_left) {
			/* Nobody but us knows that it has a node. */
			bind_failed(v, "preempted by DefaultPreemption");
			p->woken = true;
			continue;
		}
		struct eviction *e = eviction_new(p, v, what->node->name);
		if (!e) {
			p->evict_failed = true;
			continue;
		}
		p->evicting++;
		victim_mark(e, pod_of(v), pod_of(p)->spec.scheduler_name);
	}
	settle(p, false);
}

void
preempt_release(struct scheduler *s)
{
	while (s->evictions) {
		client_call_cancel(s->evictions->call);
		eviction_free(s->evictions);
	}
}
