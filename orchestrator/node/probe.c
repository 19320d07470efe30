/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * probe: the startup, liveness and readiness probes of running containers, on timers. Until the startup
 * probe has succeeded the others wait. Source: Kubernetes probes; kubelet prober worker. */
#include "orchestrator/node/node_int.h"

static const char *const kind_names[] = {[PROBE_STARTUP] = "Startup",
	[PROBE_LIVENESS] = "Liveness",
	[PROBE_READINESS] = "Readiness"};

static const struct core_v1_probe *
probe_spec(const struct probe *b)
{
	const struct core_v1_container *s = ctr_spec(b->ctr);
	if (!s)
		return NULL;
	switch (b->kind) {
	case PROBE_STARTUP:
		return s->startup_probe;
	case PROBE_LIVENESS:
		return s->liveness_probe;
	case PROBE_READINESS:
		return s->readiness_probe;
	case PROBE__COUNT:
		break;
	}
	return NULL;
}

static int64_t
period_ns(const struct core_v1_probe *s)
{
	return (s->period_seconds > 0 ? s->period_seconds : 10) * NS_PER_SEC;
}

static void
probe_arm(struct probe *b, bool first)
{
	const struct core_v1_probe *s = probe_spec(b);
	struct runtime_container rc;
	if (!s || !ctr_state(b->ctr, &rc))
		return;
	int64_t wait_ns = period_ns(s);
	if (first) {
		int64_t age_ns = clock_wall_ns() - rc.started_ns;
		wait_ns = s->initial_delay_seconds * NS_PER_SEC - age_ns;
		if (wait_ns < 0)
			wait_ns = 0;
	}
	b->armed = true;
	loop_timer_after(b->ctr->pod->node->loop, &b->timer, wait_ns);
}

/* probes_go: those that may run now and do not yet. */
static void
probes_go(struct ctr *c)
{
	bool startup = probe_spec(&c->probes[PROBE_STARTUP]) != NULL;
	for (int k = 0; k < PROBE__COUNT; k++) {
		struct probe *b = &c->probes[k];
		if (b->armed || !probe_spec(b))
			continue;
		if (k == PROBE_STARTUP ? !c->started : (!startup || c->started))
			probe_arm(b, true);
	}
}

static void
probe_stop(struct probe *b)
{
	loop_timer_cancel(&b->timer);
	action_cancel(TAKE_PTR(b->run));
	b->armed = false;
}

static void
probe_up(struct probe *b)
{
	struct ctr *c = b->ctr;
	if (b->kind == PROBE_STARTUP) {
		c->started = true;
		probe_stop(b);
		if (!probe_spec(&c->probes[PROBE_READINESS]))
			c->ready = true;
		probes_go(c);
	} else if (b->kind == PROBE_READINESS) {
		c->ready = true;
	}
	pod_sync_later(c->pod);
}

static void
probe_down(struct probe *b, const struct core_v1_probe *s)
{
	struct ctr *c = b->ctr;
	if (b->kind == PROBE_READINESS) {
		c->ready = false;
	} else if (!c->kill) {
		const struct core_v1_pod_spec *ps = &c->pod->o->spec;
		c->kill = true;
		c->again = kill_restarts(ps->restart_policy, ctr_is_sidecar(c));
		c->kill_grace_ns = (s->has_termination_grace_period_seconds
						   ? s->termination_grace_period_seconds
						   : ps->has_termination_grace_period_seconds
						   ? ps->termination_grace_period_seconds
						   : 30) *
			NS_PER_SEC;
		snprintf(c->kill_why, sizeof(c->kill_why), "%s %s failed %s probe%s",
			c->kind == CTR_INIT ? "Init container" : "Container", c->name,
			b->kind == PROBE_STARTUP ? "startup" : "liveness",
			c->again ? ", will be restarted" : "");
	}
	pod_sync_later(c->pod);
}

static void
on_result(void *arg, bool ok, const char *text)
{
	struct probe *b = arg;
	struct ctr *c = b->ctr;
	const struct core_v1_probe *s = probe_spec(b);
	b->run = NULL;
	if (!s || !b->armed)
		return;
	if (!ok)
		pod_event(c->pod, c, "Warning", "Unhealthy", "%s probe failed: %s",
			kind_names[b->kind], text);
	enum probe_verdict v = probe_count_add(&b->count, ok,
		b->kind == PROBE_READINESS ? s->success_threshold : 1,
		s->failure_threshold > 0 ? s->failure_threshold : 3);
	if (v == PROBE_DOWN)
		probe_down(b, s);
	if (b->armed && (!c->kill || b->kind == PROBE_READINESS))
		probe_arm(b, false);
	if (v == PROBE_UP)
		probe_up(b);
}

static void
on_timer(struct loop_timer *t)
{
	struct probe *b = t->arg;
	const struct core_v1_probe *s = probe_spec(b);
	if (!s || !ctr_running(b->ctr)) {
		b->armed = false;
		return;
	}
	struct action_spec a = {.exec = s->exec,
		.http = s->http_get,
		.tcp = s->tcp_socket,
		.grpc = s->grpc,
		.timeout_ns = (s->timeout_seconds > 0 ? s->timeout_seconds : 1) * NS_PER_SEC};
	if (action_start(b->ctr, &a, on_result, b, &b->run) < 0)
		probe_arm(b, false);
}

void
probes_start(struct ctr *c)
{
	probes_stop(c);
	for (int k = 0; k < PROBE__COUNT; k++) {
		struct probe *b = &c->probes[k];
		*b = (struct probe){
			.ctr = c, .kind = (enum probe_kind)k, .timer = {.fn = on_timer, .arg = b}};
		probe_count_init(&b->count, (enum probe_kind)k);
	}
	c->started = !probe_spec(&c->probes[PROBE_STARTUP]);
	c->ready = c->started && !probe_spec(&c->probes[PROBE_READINESS]);
	probes_go(c);
}

void
probes_quiet(struct ctr *c)
{
	for (int k = 0; k < PROBE__COUNT; k++)
		if (c->probes[k].ctr && k != PROBE_READINESS)
			probe_stop(&c->probes[k]);
}

void
probes_stop(struct ctr *c)
{
	for (int k = 0; k < PROBE__COUNT; k++)
		if (c->probes[k].ctr)
			probe_stop(&c->probes[k]);
	c->started = c->ready = false;
}
