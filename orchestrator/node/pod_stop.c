/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pod_stop: a pod's way down: containers (preStop, stop signal, grace, kill), sidecars after the others in
 * reverse order, sandbox, network; then, when it is deleted: the last status is told, volumes and
 * folders go, and the object is deleted with grace 0.
 * Invariant: the object goes from the API only when nothing of it is left here.
 * Source: Kubernetes "Termination of Pods"; KEP-753; kubelet syncTerminatingPod, syncTerminatedPod. */
#include "orchestrator/node/node_int.h"

#include "storage/volume/volume.h"

#define GRACE_MIN_NS (2 * NS_PER_SEC) /* after a preStop hook that took all of it */

/* ---- one container ---- */

static void
on_stopped(void *arg, const struct err *e)
{
	struct ctr *c = arg;
	(void)e;
	c->op = CTR_IDLE;
	c->ending = false;
	pod_op_end(c->pod);
}

static void
on_shortened(void *arg, const struct err *e)
{
	struct ctr *c = arg;
	(void)e;
	pod_op_end(c->pod);
}

static void
ctr_end(struct ctr *c, int64_t least_ns)
{
	int64_t left_ns = c->stop_by_ns - clock_mono_ns();
	if (left_ns < least_ns)
		left_ns = least_ns;
	c->ending = true;
	if (runtime_container_stop(c->pod->node->rt, str_c(c->id), left_ns, on_stopped, c) < 0)
		on_stopped(c, NULL);
}

static void
on_pre_stop(void *arg, bool ok, const char *text)
{
	struct ctr *c = arg;
	(void)text; /* may be secret */
	c->action = NULL;
	if (!ok)
		pod_event(c->pod, c, "Warning", "FailedPreStopHook", "PreStopHook failed");
	ctr_end(c, GRACE_MIN_NS);
}

static void
ctr_shorten(struct ctr *c, int64_t stop_by_ns)
{
	if (stop_by_ns >= c->stop_by_ns - NS_PER_SEC)
		return;
	c->stop_by_ns = stop_by_ns;
	if (c->action) {
		action_cancel(TAKE_PTR(c->action));
		ctr_end(c, 0);
		return;
	}
	int64_t left_ns = stop_by_ns - clock_mono_ns();
	if (runtime_container_stop(c->pod->node->rt, str_c(c->id), left_ns > 0 ? left_ns : 0,
		    on_shortened, c) == 0)
		pod_op_begin(c->pod);
}

void
ctr_stop(struct ctr *c, int64_t grace_ns)
{
	struct pod *p = c->pod;
	const struct core_v1_container *s = ctr_spec(c);
	int64_t by_ns = clock_mono_ns() + grace_ns;
	if (c->op == CTR_STOPPING) {
		ctr_shorten(c, by_ns);
		return;
	}
	if (c->op == CTR_HOOK) { /* postStart is given up */
		action_cancel(TAKE_PTR(c->action));
		c->op = CTR_IDLE;
		pod_op_end(p);
	}
	if (c->op != CTR_IDLE)
		return;
	probes_quiet(c);
	c->op = CTR_STOPPING;
	c->stop_by_ns = by_ns;
	pod_op_begin(p);
	pod_event(p, c, "Normal", "Killing", "%s%s",
		c->kill && !p->stopping ? "" : "Stopping container ",
		c->kill && !p->stopping ? c->kill_why : c->name);
	const struct core_v1_lifecycle_handler *h = s && s->lifecycle ? s->lifecycle->pre_stop
								      : NULL;
	if (h && grace_ns > 0) {
		struct action_spec a = {
			h->exec, h->http_get, h->tcp_socket, h->sleep, grace_ns, .hook = true};
		if (action_start(c, &a, on_pre_stop, c, &c->action) == 0)
			return;
	}
	ctr_end(c, 0);
}

/* ---- the pod ---- */

static int64_t
grace_of(const struct pod *p)
{
	const struct meta_v1_object_meta *m = p->o ? &p->o->metadata : NULL;
	int64_t s = 30;
	if (!m)
		return 0;
	if (m->deletion_timestamp && m->has_deletion_grace_period_seconds)
		s = m->deletion_grace_period_seconds;
	else if (p->o->spec.has_termination_grace_period_seconds)
		s = p->o->spec.termination_grace_period_seconds;
	if (p->gone && s > 1)
		s = 1; /* deleted by force: nobody waits for it */
	return s * NS_PER_SEC;
}

/* ctrs_stop: true when no container runs and none is being worked on. */
static bool
ctrs_stop(struct pod *p, int64_t grace_ns)
{
	bool all = ephemerals_stop(p, grace_ns);
	for (size_t i = 0; i < p->n_ctrs; i++) {
		struct ctr *c = &p->ctrs[i];
		ctr_pull_cancel(c);
		if (c->kind == CTR_INIT && ctr_is_sidecar(c))
			continue;
		if (ctr_running(c))
			ctr_stop(c, grace_ns);
		all = all && !ctr_running(c) && c->op == CTR_IDLE;
	}
	for (size_t i = p->n_ctrs; all && i-- > 0;) {
		struct ctr *c = &p->ctrs[i];
		if (!ctr_is_sidecar(c))
			continue;
		if (ctr_running(c))
			ctr_stop(c, grace_ns);
		all = !ctr_running(c) && c->op == CTR_IDLE;
	}
	return all;
}

static void
on_sandbox_down(void *arg, const struct err *e)
{
	struct pod *p = arg;
	p->sandbox_busy = false;
	if (e && e->code)
		log_warn("stopping the sandbox of pod %s/%s: %s", p->ns, p->name, e->msg);
	else
		p->sandbox_down = true;
	pod_op_end(p);
}

/* sandbox_stop: true when it is down and the network released. */
static bool
sandbox_stop(struct pod *p)
{
	if (p->sandbox_down)
		return true;
	if (p->sandbox_busy || p->volumes_busy)
		return false;
	if (!p->sandbox[0]) {
		pod_net_release(p);
		p->sandbox_down = true;
		return true;
	}
	if (p->net_up || p->ref == NULL)
		pod_net_release(p);
	p->net_up = false;
	if (runtime_sandbox_stop(p->node->rt, str_c(p->sandbox), on_sandbox_down, p) == 0) {
		p->sandbox_busy = true;
		pod_op_begin(p);
		return false;
	}
	return p->sandbox_down = true;
}

/* ---- nothing is left ---- */

struct clean {
	struct pod *p;
	struct err e;
	bool all;
	char dirs[3][NODE_PATH];
};

static void
clean_run(void *arg)
{
	struct clean *x = arg;
	for (size_t i = 0; i < ARRAY_LEN(x->dirs) && x->dirs[i][0]; i++)
		if (volume_teardown(x->dirs[i], &x->e) < 0)
			return;
}

static void
clean_done(void *arg)
{
	struct clean *x = arg;
	struct pod *p = x->p;
	p->cleaning = false;
	if (x->e.code) {
		pod_event(p, NULL, "Warning", "FailedUnMount", "%s", x->e.msg);
		log_warn("pod %s/%s: %s", p->ns, p->name, x->e.msg);
		backoff_fail(&p->setup, clock_mono_ns());
		pod_wake_in(p, p->setup.delay_ns);
	} else if (!x->all) {
		p->volumes_gone = true;
	} else {
		p->cleaned = true;
		log_info("pod %s/%s is gone from this node", p->ns, p->name);
	}
	free(x);
	pod_op_end(p);
}

/* clean_start: all that is left of it, or, of one that only has ended, its volumes. */
static void
clean_start(struct pod *p, bool all)
{
	int64_t left_ns = p->setup.delay_ns ? backoff_left(&p->setup, clock_mono_ns()) : 0;
	struct clean *x = left_ns ? NULL : calloc(1, sizeof(*x));
	if (left_ns)
		pod_wake_in(p, left_ns);
	if (!x)
		return;
	x->p = p;
	x->all = all;
	snprintf(x->dirs[0], NODE_PATH, all ? "%s/pods/%s" : "%s/pods/%s/volumes", p->node->dir,
		p->uid);
	if (all) {
		snprintf(x->dirs[1], NODE_PATH, "%s/pods/%s", p->node->run, p->uid);
		pod_log_dir(p, x->dirs[2]);
	}
	if (loop_blocking(p->node->loop, clean_run, clean_done, x) < 0) {
		free(x);
		return;
	}
	p->cleaning = true;
	pod_op_begin(p);
}

static void
on_sandbox_removed(void *arg, const struct err *e)
{
	struct pod *p = arg;
	p->sandbox_busy = false;
	if (e && e->code) {
		log_warn("removing the sandbox of pod %s/%s: %s", p->ns, p->name, e->msg);
		pod_wake_in(p, NS_PER_SEC);
	} else {
		p->sandbox[0] = 0;
	}
	pod_op_end(p);
}

static void
all_remove(struct pod *p)
{
	struct runtime_sandbox s;
	size_t pos = 0;
	if (p->sandbox_busy || p->cleaning || p->cleaned)
		return;
	while (runtime_sandbox_next(p->node->rt, &pos, &s)) {
		if (!str_eq_c(s.pod_uid, p->uid))
			continue;
		str_copy_c(s.id, p->sandbox, sizeof(p->sandbox));
		if (runtime_sandbox_remove(p->node->rt, s.id, on_sandbox_removed, p) == 0) {
			p->sandbox_busy = true;
			pod_op_begin(p);
		}
		return;
	}
	clean_start(p, true);
}

static void
on_deleted(void *arg, const struct client_result *r)
{
	struct pod *p = arg;
	/* A conflict is somebody else's write at that moment, or another pod of that name: then this
	 * one is gone, which the informer says. */
	if (r->http != 200 && r->http != 202 && r->http != 404) {
		log_warn("deleting pod %s/%s: %s", p->ns, p->name, r->e.msg);
		p->deleting = false;
		pod_wake_in(p, NS_PER_SEC);
	}
	pod_op_end(p);
}

static void
api_delete(struct pod *p)
{
	char body[200];
	int n = snprintf(body, sizeof(body),
		"{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"gracePeriodSeconds\":0,"
		"\"preconditions\":{\"uid\":\"%s\"}}",
		p->uid);
	struct client_req q = {.verb = CLIENT_DELETE,
		.version = STR("v1"),
		.resource = STR("pods"),
		.ns = str_c(p->ns),
		.name = str_c(p->name),
		.body = str_from(body, (size_t)n)};
	if (client_call_start(p->node->api, &q, on_deleted, p, NULL) == 0) {
		p->deleting = true;
		pod_op_begin(p);
	}
}

void
pod_evict(struct pod *p, int64_t grace_ns, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(p->end_message, sizeof(p->end_message), fmt, ap);
	va_end(ap);
	snprintf(p->end_reason, sizeof(p->end_reason), "Evicted");
	pod_event(p, NULL, "Warning", "Evicted", "%s", p->end_message);
	p->stopping = true;
	p->stop_by_ns = clock_mono_ns() + grace_ns;
	pod_sync_later(p);
}

bool
pod_stop(struct pod *p)
{
	int64_t grace_ns = grace_of(p);
	if (!p->stop_by_ns || clock_mono_ns() + grace_ns < p->stop_by_ns)
		p->stop_by_ns = clock_mono_ns() + grace_ns;
	int64_t left_ns = p->stop_by_ns - clock_mono_ns();
	if (!ctrs_stop(p, left_ns > 0 ? left_ns : 0) || !sandbox_stop(p))
		return false;
	bool deleted = p->gone || (p->o && p->o->metadata.deletion_timestamp);
	if (!deleted) {
		if (p->finished && !p->volumes_gone && !p->cleaning)
			clean_start(p, false);
		return true;
	}
	if (!p->gone && !p->removing) {
		pod_status_update(p);
		if (!pod_status_settled(p))
			return false;
		p->removing =
			true; /* containers that are no more would look as if they had not been */
	}
	all_remove(p);
	if (p->cleaned && !p->gone && !p->deleting)
		api_delete(p);
	return p->cleaned;
}
