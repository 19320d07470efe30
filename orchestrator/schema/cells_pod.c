/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cells_pod: READY, STATUS, RESTARTS and readiness gates of a pod. One pass over its container statuses
 * gives all of them. A sidecar is an init container with restartPolicy Always.
 * Source: k8s.io/kubernetes pkg/printers printPod (behaviour). */
#include "base/clock.h"
#include "orchestrator/schema/cells_int.h"

struct pod_cells {
	struct str status;
	int64_t ready, total, restarts;
	int64_t last_restart_ns; /* 0 = unknown */
};

static const struct doc *
state(const struct doc *status, const char *which)
{
	return doc_get(doc_get(status, STR("state")), str_c(which));
}

static void
count_restart(struct pod_cells *p, const struct doc *status)
{
	struct str t = doc_get_str(
		doc_get(doc_get(status, STR("lastState")), STR("terminated")), STR("finishedAt"));
	int64_t at = 0;

	p->restarts += doc_get_int(status, STR("restartCount"), 0);
	if (rfc3339_parse(t, &at) == 0 && at > p->last_restart_ns)
		p->last_restart_ns = at;
}

/* ended: reason, Signal:n or ExitCode:n, behind a prefix. */
static struct str
ended(struct arena *a, const struct doc *terminated, const char *prefix)
{
	struct str reason = doc_get_str(terminated, STR("reason"));
	long long signal = doc_get_int(terminated, STR("signal"), 0);

	if (reason.n)
		return arena_fmt(a, "%s" STR_FMT, prefix, STR_ARG(reason));
	if (signal)
		return arena_fmt(a, "%sSignal:%lld", prefix, signal);
	return arena_fmt(a, "%sExitCode:%lld", prefix,
		(long long)doc_get_int(terminated, STR("exitCode"), 0));
}

static bool
is_sidecar(const struct doc *pod, struct str name)
{
	DOC_EACH (c, doc_get(doc_get(pod, STR("spec")), STR("initContainers")))
		if (str_eq(doc_get_str(c, STR("name")), name))
			return str_eq_c(doc_get_str(c, STR("restartPolicy")), "Always");
	return false;
}

/* init_pass: true when the pod is still initializing. */
static bool
init_pass(struct arena *a, const struct doc *pod, struct pod_cells *p, struct pod_cells *sidecars)
{
	const struct doc *status = doc_get(pod, STR("status"));
	size_t i = 0, n = doc_len(doc_get(doc_get(pod, STR("spec")), STR("initContainers")));

	DOC_EACH (s, doc_get(status, STR("initContainerStatuses"))) {
		const struct doc *terminated = state(s, "terminated"),
				 *waiting = state(s, "waiting");
		struct str why = doc_get_str(waiting, STR("reason"));
		bool sidecar = is_sidecar(pod, doc_get_str(s, STR("name")));

		count_restart(p, s);
		if (sidecar)
			count_restart(sidecars, s);
		if (terminated && doc_get_int(terminated, STR("exitCode"), 0) == 0) {
			i++;
			continue;
		}
		if (sidecar && doc_get_bool(s, STR("started"), false)) {
			p->ready += doc_get_bool(s, STR("ready"), false);
			i++;
			continue;
		}
		if (terminated)
			p->status = ended(a, terminated, "Init:");
		else if (why.n && !str_eq_c(why, "PodInitializing"))
			p->status = arena_fmt(a, "Init:" STR_FMT, STR_ARG(why));
		else
			p->status = arena_fmt(a, "Init:%zu/%zu", i, n);
		return true;
	}
	return false;
}

static void
main_pass(struct arena *a, const struct doc *pod, struct pod_cells *p)
{
	const struct doc *list = doc_get(doc_get(pod, STR("status")), STR("containerStatuses"));
	struct str failed = STR_NONE;
	bool running = false;

	for (size_t i = doc_len(list); i-- > 0;) {
		const struct doc *s = doc_index(list, i);
		const struct doc *terminated = state(s, "terminated"),
				 *waiting = state(s, "waiting");
		struct str why = doc_get_str(waiting, STR("reason"));

		count_restart(p, s);
		if (waiting && why.n) {
			p->status = why;
		} else if (terminated) {
			p->status = ended(a, terminated, "");
			if (doc_get_int(terminated, STR("exitCode"), 0) != 0)
				failed = p->status;
		} else if (doc_get_bool(s, STR("ready"), false) && state(s, "running")) {
			running = true;
			p->ready++;
		}
	}
	if (!str_eq_c(p->status, "Completed"))
		return;
	if (running && cell_condition_is(pod, "Ready", "True"))
		p->status = STR("Running");
	else if (failed.n)
		p->status = failed;
	else if (running)
		p->status = STR("NotReady");
}

static struct pod_cells
look(struct arena *a, const struct doc *pod)
{
	const struct doc *spec = doc_get(pod, STR("spec")), *status = doc_get(pod, STR("status"));
	struct str phase = doc_get_str(status, STR("phase")),
		   reason = doc_get_str(status, STR("reason"));
	struct pod_cells p = {.status = reason.n ? reason : phase}, sidecars = {0};
	bool initializing = false;

	p.total = (int64_t)doc_len(doc_get(spec, STR("containers")));
	DOC_EACH (c, doc_get(spec, STR("initContainers")))
		p.total += str_eq_c(doc_get_str(c, STR("restartPolicy")), "Always");
	if (str_eq_c(doc_get_str(cell_condition(pod, "PodScheduled"), STR("reason")),
		    "SchedulingGated"))
		p.status = STR("SchedulingGated");
	initializing = init_pass(a, pod, &p, &sidecars);
	if (!initializing || cell_condition_is(pod, "Initialized", "True")) {
		p.restarts = sidecars.restarts;
		p.last_restart_ns = sidecars.last_restart_ns;
		main_pass(a, pod, &p);
	}
	if (doc_get(doc_get(pod, STR("metadata")), STR("deletionTimestamp"))) {
		if (str_eq_c(reason, "NodeLost"))
			p.status = STR("Unknown");
		else if (!str_eq_c(phase, "Succeeded") && !str_eq_c(phase, "Failed"))
			p.status = STR("Terminating");
	}
	return p;
}

static struct doc *
pod_ready(struct arena *a, const struct doc *obj, int64_t now_ns)
{
	struct pod_cells p = look(a, obj);

	(void)now_ns;
	return cell_fmt(a, "%lld/%lld", (long long)p.ready, (long long)p.total);
}

static struct doc *
pod_status(struct arena *a, const struct doc *obj, int64_t now_ns)
{
	(void)now_ns;
	return doc_str(a, look(a, obj).status);
}

static struct doc *
pod_restarts(struct arena *a, const struct doc *obj, int64_t now_ns)
{
	struct pod_cells p = look(a, obj);

	if (p.restarts == 0 || p.last_restart_ns == 0)
		return cell_fmt(a, "%lld", (long long)p.restarts);
	return cell_fmt(a, "%lld (" STR_FMT " ago)", (long long)p.restarts,
		STR_ARG(cell_duration(a, now_ns - p.last_restart_ns)));
}

static struct doc *
pod_readiness_gates(struct arena *a, const struct doc *obj, int64_t now_ns)
{
	const struct doc *gates = doc_get(doc_get(obj, STR("spec")), STR("readinessGates"));
	size_t open = 0;

	(void)now_ns;
	if (doc_len(gates) == 0)
		return doc_str(a, STR("<none>"));
	DOC_EACH (g, gates) {
		const char *type = arena_cstr(a, doc_get_str(g, STR("conditionType")));

		open += type && cell_condition_is(obj, type, "True");
	}
	return cell_fmt(a, "%zu/%zu", open, doc_len(gates));
}

const struct schema_cell cells_pod[] = {
	{"pod_readiness_gates", pod_readiness_gates},
	{"pod_ready", pod_ready},
	{"pod_restarts", pod_restarts},
	{"pod_status", pod_status},
};
const size_t n_cells_pod = ARRAY_LEN(cells_pod);
