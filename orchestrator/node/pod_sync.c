/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pod_sync: one look at a pod: what is, against what is wanted, and the next steps. Level-triggered: it may
 * run at any time and starts only what is missing and not under way.
 *
 *   objects known -> volumes and sandbox side by side -> network -> files -> init containers in order,
 *   sidecars among them -> containers -> ... -> all ended: finished; or deleted: pod_stop
 *
 * Source: Kubernetes pod lifecycle; kubelet computePodActions; KEP-753 (sidecars). */
#include "orchestrator/node/node_int.h"
#include "orchestrator/nodenet/nodenet.h"

void
ctr_wait(struct ctr *c, const char *reason, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	snprintf(c->reason, sizeof(c->reason), "%s", reason);
	vsnprintf(c->detail, sizeof(c->detail), fmt, ap);
	va_end(ap);
}

/* ---- sandbox and network ---- */

static bool
sandbox_ready(const struct pod *p)
{
	struct runtime_sandbox s;
	return p->sandbox[0] && !p->sandbox_busy &&
		runtime_sandbox_get(p->node->rt, str_c(p->sandbox), &s) == 0 &&
		s.state == RUNTIME_SANDBOX_READY;
}

static void
sandbox_failed(struct pod *p, const char *text)
{
	pod_event(p, NULL, "Warning", "FailedCreatePodSandBox", "Failed to create pod sandbox: %s",
		text);
	backoff_fail(&p->setup, clock_mono_ns());
	p->setup.until_ns = clock_mono_ns() + p->setup.delay_ns / 10;
}

static void
on_sandbox(void *arg, const struct err *e)
{
	struct pod *p = arg;
	p->sandbox_busy = false;
	pod_mark(p, MARK_SANDBOX);
	if (e && e->code) {
		sandbox_failed(p, e->msg);
		p->sandbox[0] = 0;
		p->sandbox_attempt++;
	}
	pod_op_end(p);
}

static void
on_removed(void *arg, const struct err *e)
{
	struct pod *p = arg;
	p->sandbox_busy = false;
	if (e && e->code)
		log_warn("removing a sandbox of pod %s/%s: %s", p->ns, p->name, e->msg);
	pod_op_end(p);
}

/* ctr_lost: what was in the old sandbox becomes the last state. */
static void
ctr_lost(struct ctr *c)
{
	struct runtime_container rc;
	if (ctr_state(c, &rc))
		ctr_last_set(&c->last, &rc, c->message);
	c->id[0] = c->old[0] = 0;
	c->message_read = false;
	probes_stop(c);
}

static void
sandbox_lost(struct pod *p)
{
	for (size_t i = 0; i < p->n_ctrs; i++)
		ctr_lost(&p->ctrs[i]);
	for (struct ctr *c = p->ephemerals; c; c = c->next)
		ctr_lost(c);
	pod_net_release(p);
	p->net_up = p->files_ready = false;
	p->n_ips = 0;
	if (runtime_sandbox_remove(p->node->rt, str_c(p->sandbox), on_removed, p) == 0) {
		p->sandbox_busy =
			true; /* the next one has the same cgroup: not before this is gone */
		pod_op_begin(p);
	}
	p->sandbox[0] = 0;
	p->sandbox_attempt++;
	pod_event(p, NULL, "Normal", "SandboxChanged",
		"Pod sandbox changed, it will be killed and re-created.");
}

static void
sandbox_make(struct pod *p)
{
	const struct core_v1_pod_spec *s = &p->o->spec;
	const struct core_v1_pod_security_context *sc = s->security_context;
	struct runtime_pair sysctls[64];
	struct err e = {0};
	struct runtime_sandbox_spec spec = {.pod_uid = str_c(p->uid),
		.pod_name = str_c(p->name),
		.pod_namespace = str_c(p->ns),
		.attempt = p->sandbox_attempt,
		.hostname = s->host_network ? STR("") : pod_hostname(p),
		.host_network = s->host_network,
		.host_pid = s->host_pid,
		.host_ipc = s->host_ipc,
		.share_pid = s->has_share_process_namespace && s->share_process_namespace,
		.qos = pod_qos(s),
		.limits = pod_limits(pod_allocated(p)),
		.sysctls = sysctls};
	for (size_t i = 0; sc && i < sc->n_sysctls && i < ARRAY_LEN(sysctls); i++)
		sysctls[spec.n_sysctls++] = (struct runtime_pair){
			sc->sysctls[i].name, sc->sysctls[i].value};
	int64_t left_ns = backoff_left(&p->setup, clock_mono_ns());
	if (left_ns) {
		pod_wake_in(p, left_ns);
		return;
	}
	if (!pod_turn_take(p))
		return;
	if (runtime_sandbox_create(p->node->rt, &spec, p->sandbox, on_sandbox, p, &e) < 0) {
		sandbox_failed(p, e.msg);
		p->sandbox[0] = 0;
		pod_wake_in(p, NS_PER_SEC);
		return;
	}
	p->sandbox_busy = true;
	pod_op_begin(p);
}

/* network_make: false = not yet. */
static bool
network_make(struct pod *p)
{
	struct node *n = p->node;
	struct podnet_pod net;
	struct err e = {0};
	if (p->o->spec.host_network) {
		pod_take_host_ips(p);
		return p->net_up = true;
	}
	if (!podnet_is_configured(n->net) || backoff_left(&p->setup, clock_mono_ns()))
		return false;
	int rc = podnet_pod_reserve(n->net, p->uid, &net, &e);
	if (rc == 0)
		rc = podnet_pod_attach(
			n->net, &net, 0, runtime_sandbox_netns(n->rt, str_c(p->sandbox)), &e);
	if (rc < 0) {
		podnet_pod_release(n->net, p->uid, NULL);
		err_wrap(&e, "setting up the network");
		sandbox_failed(p, e.msg);
		pod_wake_in(p, backoff_left(&p->setup, clock_mono_ns()));
		return false;
	}
	p->n_ips = 0;
	if (net.v4.family)
		p->ips[p->n_ips++] = net.v4;
	if (net.v6.family)
		p->ips[p->n_ips++] = net.v6;
	pod_mark(p, MARK_NETWORK);
	return p->net_up = true;
}

void
hostports_open(struct pod *p)
{
	struct nodenet *net = p->node->nodenet;
	int rc = net && p->o ? nodenet_pod_set(net, str_c(p->uid), p->o, p->ips, p->n_ips)
			     : -EAGAIN;
	p->ports_open = rc == 0;
	if (rc == 0)
		return;
	log_warn("host ports and policies of pod %s/%s: %s", p->ns, p->name, strerror(-rc));
	pod_wake_in(p, NS_PER_SEC);
}

/* policies_hold: no container of a pod with a network of its own starts before network policies hold for it. */
static bool
policies_hold(const struct pod *p)
{
	const struct nodenet *net = p->node->nodenet;
	return !net || p->o->spec.host_network || nodenet_policies_hold(net, str_c(p->uid));
}

void
pod_net_release(struct pod *p)
{
	if (p->node->nodenet)
		nodenet_pod_del(p->node->nodenet, str_c(p->uid));
	p->ports_open = false;
	podnet_pod_release(p->node->net, p->uid, NULL);
}

/* ---- containers ---- */

void
ctr_image_ready(struct ctr *c)
{
	if (!c->pod->stopping)
		ctr_create(c);
}

/* ctr_restarts: is the container, which has ended, to be started again? */
static bool
ctr_restarts(const struct ctr *c, int exit_code)
{
	return c->again ||
		restart_wanted(c->pod->o->spec.restart_policy, ctr_is_sidecar(c),
			c->kind == CTR_INIT, exit_code);
}

/* ctr_start_if_wanted: a container that does not run and should. */
static void
ctr_start_if_wanted(struct ctr *c)
{
	struct pod *p = c->pod;
	struct runtime_container rc;
	int64_t now_ns = clock_wall_ns(), mono_ns = clock_mono_ns();
	if (c->op != CTR_IDLE)
		return;
	if (c->retry_ns > mono_ns) {
		pod_wake_in(p, c->retry_ns - mono_ns);
		return;
	}
	if (ctr_state(c, &rc)) {
		if (rc.state != RUNTIME_CONTAINER_EXITED)
			return;
		if (!ctr_restarts(c, rc.exit_code))
			return;
		if (rc.started_ns && rc.finished_ns - rc.started_ns > BACKOFF_RESET_NS)
			c->restart_delay_ns = 0;
		int64_t left_ns = rc.finished_ns + c->restart_delay_ns - now_ns;
		if (c->restart_delay_ns && left_ns > 0) {
			char text[40];
			duration_format(c->restart_delay_ns, text);
			ctr_wait(c, "CrashLoopBackOff",
				"back-off %s restarting failed container=%s pod=%s_%s(%s)", text,
				c->name, p->name, p->ns, p->uid);
			if (!c->backoff_told)
				pod_event(p, c, "Warning", "BackOff",
					"Back-off restarting failed container %s in pod %s_%s(%s)",
					c->name, p->name, p->ns, p->uid);
			c->backoff_told = true;
			pod_wake_in(p, left_ns);
			return;
		}
	}
	if (pod_turn_take(p))
		ctr_pull(c);
}

/* inits_done: runs the next step of the init containers; true = the others may start. */
static bool
inits_done(struct pod *p, bool main_began)
{
	for (size_t i = 0; i < p->n_ctrs && p->ctrs[i].kind == CTR_INIT; i++) {
		struct ctr *c = &p->ctrs[i];
		struct runtime_container rc;
		bool has = ctr_state(c, &rc);
		if (ctr_is_sidecar(c)) {
			ctr_start_if_wanted(c);
			if (!main_began && !c->started)
				return false;
			continue;
		}
		if (main_began ||
			(has && rc.state == RUNTIME_CONTAINER_EXITED && rc.exit_code == 0))
			continue;
		ctr_start_if_wanted(c);
		return false;
	}
	return true;
}

static void
ctrs_sync(struct pod *p)
{
	bool began = false;
	resize_apply(p);
	for (size_t i = 0; i < p->n_ctrs; i++) {
		struct ctr *c = &p->ctrs[i];
		struct runtime_container rc;
		const struct core_v1_container *s = ctr_spec(c);
		bool has = ctr_state(c, &rc);
		began = began || (c->kind == CTR_MAIN && has);
		if (!has || rc.state != RUNTIME_CONTAINER_RUNNING || !s)
			continue;
		if (!c->kill && !str_eq(rc.image, s->image)) {
			c->kill = c->again = true;
			c->kill_grace_ns = p->o->spec.termination_grace_period_seconds * NS_PER_SEC;
			snprintf(c->kill_why, sizeof(c->kill_why),
				"Container %s definition changed, will be restarted", c->name);
		}
		if (c->kill)
			ctr_stop(c, c->kill_grace_ns);
	}
	if (!inits_done(p, began))
		return;
	for (size_t i = 0; i < p->n_ctrs; i++)
		if (p->ctrs[i].kind == CTR_MAIN)
			ctr_start_if_wanted(&p->ctrs[i]);
}

/* ctrs_noticed: ends that were not seen yet: probes stop. */
static void
ctrs_noticed(struct pod *p)
{
	for (size_t i = 0; i < p->n_ctrs; i++) {
		struct ctr *c = &p->ctrs[i];
		struct runtime_container rc;
		if (ctr_state(c, &rc) && rc.state == RUNTIME_CONTAINER_EXITED &&
			(c->started || c->ready))
			probes_stop(c);
	}
}

/* wants_sandbox: is there a container that may still run? */
static bool
wants_sandbox(struct pod *p)
{
	for (size_t i = 0; i < p->n_ctrs; i++) {
		struct ctr *c = &p->ctrs[i];
		struct runtime_container rc;
		if (c->kind != CTR_MAIN)
			continue;
		if (!ctr_state(c, &rc) || rc.state != RUNTIME_CONTAINER_EXITED ||
			ctr_restarts(c, rc.exit_code))
			return true;
	}
	return false;
}

/* ---- the whole ---- */

static void
pod_run(struct pod *p)
{
	resize_look(p);
	pod_objects_want(p);
	pod_certificates_want(p);
	if (!p->sandbox_busy && !sandbox_ready(p) && wants_sandbox(p)) {
		if (p->sandbox[0])
			sandbox_lost(p);
		if (!p->sandbox_busy)
			sandbox_make(p);
	}
	if (!pod_objects_synced(p) || !bundles_ready(p))
		return;
	if ((!p->volumes_ready || p->volumes_stale) && !p->volumes_busy) {
		int64_t left_ns = backoff_left(&p->setup, clock_mono_ns());
		if (left_ns)
			pod_wake_in(p, left_ns);
		else if (p->volumes_ready || pod_turn_take(p))
			pod_volumes_setup(p);
	}
	if (!sandbox_ready(p) || (!p->net_up && !network_make(p)))
		return;
	if (!p->ports_open)
		hostports_open(p);
	if (!p->files_ready && pod_files_write(p) == 0)
		p->files_ready = true;
	if (p->volumes_ready && p->files_ready && informer_synced(p->node->services) &&
		policies_hold(p)) {
		ephemerals_sync(p);
		ctrs_sync(p);
	}
}

/* deadline_check: activeDeadlineSeconds. */
static void
deadline_check(struct pod *p)
{
	const struct core_v1_pod_spec *s = &p->o->spec;
	if (!s->has_active_deadline_seconds || p->stopping)
		return;
	int64_t left_ns = p->started_ns + s->active_deadline_seconds * NS_PER_SEC - clock_wall_ns();
	if (left_ns > 0) {
		pod_wake_in(p, left_ns);
		return;
	}
	p->stopping = true;
	snprintf(p->end_reason, sizeof(p->end_reason), "DeadlineExceeded");
	snprintf(p->end_message, sizeof(p->end_message),
		"Pod was active on the node longer than the specified deadline");
	pod_event(p, NULL, "Normal", "DeadlineExceeded", "%s", p->end_message);
}

void
pod_sync(struct pod *p)
{
	if (p->cleaned && (p->gone || p->deleting))
		return;
	if (!p->started_ns)
		p->started_ns = clock_wall_ns();
	ctrs_noticed(p);
	if (p->gone || (p->o && p->o->metadata.deletion_timestamp) || p->finished)
		p->stopping = true;
	if (p->o) {
		p->generation = p->o->metadata.generation;
		deadline_check(p);
	}
	if (p->stopping) {
		pod_stop(p);
		local_volumes_look(p->node);
	} else {
		pod_run(p);
	}
	pod_turn_look(p);
	pod_status_update(p);
	if (p->gone && p->cleaned && p->ops == 0)
		pod_sync_later(p); /* on_work frees it */
}
