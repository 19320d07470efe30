/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * bind: a pod that has a node in the cache gets it in the API too: its claims first, then itself. Binding runs
 * beside the next pods' turns; what fails gives the node back and the pod another attempt. */
#include "orchestrator/schedule/schedule_int.h"

#define CLAIM_POLL_MAX_NS (600 * NS_PER_SEC) /* how long a pod waits for its volumes */

void
bind_failed(struct sched_pod *p, const char *why)
{
	struct event_ref ref = sched_pod_ref(p);
	p->s->stats.bind_errors++;
	cache_pod_take(p);
	client_event(
		p->s->c, &ref, "Warning", "FailedScheduling", SCHED_COMPONENT, STR(""), "%s", why);
	p->since_ns = loop_now_ns(p->s->c->loop);
	sched_queue_backoff(p);
	sched_queue_changed(p->s, CHANGE_POD_DELETED);
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
	struct event_ref ref = sched_pod_ref(p);
	const struct meta_v1_object_meta *m = &pod_of(p)->metadata;
	p->s->stats.bound++;
	p->state = POD_BOUND;
	client_event(p->s->c, &ref, "Normal", "Scheduled", SCHED_COMPONENT, STR(""),
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

void
bind_start(struct sched_pod *p)
{
	p->claims_at = 0;
	p->claims_left = 0;
	bind_go_on(p);
}

void
bind_claims_changed(struct scheduler *s)
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
