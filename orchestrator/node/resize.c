/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * resize: resources of a pod that change while it runs. What a pod is given ("allocated") stands in the object it was
 * last found to fit with, pod.alloc; what a container's run has, in ctr.applied. A change is
 *
 *   judged (resize_look): alloc becomes the new object, or stays and the pod says why: Deferred or Infeasible
 *   -> applied (resize_apply): the cgroups of containers, then the pod's; or the container is restarted, where its
 *      resizePolicy asks for that.
 *
 * Invariants: runs are made with what is allocated, not with what is asked for; a memory limit is never set below what
 * is used. A process that starts anew takes the description for what is allocated.
 * Source: KEP-1287 (in-place resize); kubelet allocation manager (reasons and texts). */
#include "orchestrator/node/node_int.h"

#define AGAIN_NS (5 * NS_PER_SEC)

const struct core_v1_pod_spec *
pod_allocated(const struct pod *p)
{
	const struct core_v1_pod *o = p->alloc ? p->alloc->obj : p->o;
	return &o->spec;
}

const struct core_v1_resource_requirements *
ctr_resources(const struct ctr *c)
{
	const struct core_v1_pod_spec *s = pod_allocated(c->pod);
	bool init = c->kind == CTR_INIT;
	const struct core_v1_container *v = init ? s->init_containers : s->containers;
	size_t n = init ? s->n_init_containers : s->n_containers;
	for (size_t i = 0; c->kind != CTR_EPHEMERAL && i < n; i++)
		if (str_eq_c(v[i].name, c->name))
			return &v[i].resources;
	return &ctr_spec(c)->resources;
}

/* ---- as text ---- */

static void
put_list(struct buf *b, const char *before, const char *name, const struct str_pair *v, size_t n)
{
	if (!n)
		return;
	buf_fmt(b, "%s\"%s\":{", before, name);
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_char(b, ',');
		doc_json_string(b, v[i].key);
		buf_char(b, ':');
		doc_json_string(b, v[i].value);
	}
	buf_char(b, '}');
}

/* put_resources: the two members of a status that tell them. */
static void
put_resources(struct buf *b, const struct core_v1_resource_requirements *r)
{
	put_list(b, ",", "allocatedResources", r->requests, r->n_requests);
	buf_cstr(b, ",\"resources\":{");
	put_list(b, "", "limits", r->limits, r->n_limits);
	put_list(b, r->n_limits ? "," : "", "requests", r->requests, r->n_requests);
	buf_char(b, '}');
}

void
ctr_applied(struct ctr *c, const struct core_v1_resource_requirements *r)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	put_resources(&b, r);
	free(c->applied);
	c->applied = b.failed ? NULL : strndup(b.data, b.len);
}

/* ---- may it? ---- */

static bool
differs(const struct core_v1_resource_requirements *a,
	const struct core_v1_resource_requirements *b)
{
	return !pairs_same(a->requests, a->n_requests, b->requests, b->n_requests) ||
		!pairs_same(a->limits, a->n_limits, b->limits, b->n_limits);
}

static bool
differs_in(const struct core_v1_resource_requirements *a,
	const struct core_v1_resource_requirements *b, const char *name)
{
	return resource_milli(a->requests, a->n_requests, name) !=
		resource_milli(b->requests, b->n_requests, name) ||
		resource_milli(a->limits, a->n_limits, name) !=
		resource_milli(b->limits, b->n_limits, name);
}

bool
resize_restarts(const struct core_v1_container *s, const struct core_v1_resource_requirements *was)
{
	static const char *const names[] = {"cpu", "memory"};
	for (size_t i = 0; i < s->n_resize_policy; i++) {
		const struct core_v1_container_resize_policy *x = &s->resize_policy[i];
		for (size_t k = 0; k < ARRAY_LEN(names); k++)
			if (str_eq(x->restart_policy, STR("RestartContainer")) &&
				str_eq_c(x->resource_name, names[k]) &&
				differs_in(was, &s->resources, names[k]))
				return true;
	}
	return false;
}

static void
alloc_take(struct pod *p)
{
	const struct informer_obj *old = p->alloc;
	p->alloc = informer_obj_ref(p->ref);
	if (old)
		informer_obj_unref(old);
}

/* asked_for: is another amount wanted for a container than it is given? */
static bool
asked_for(const struct pod *p)
{
	bool other = false;
	for (size_t i = 0; i < p->n_ctrs; i++) {
		const struct core_v1_container *s = ctr_spec(&p->ctrs[i]);
		other = other || (s && differs(ctr_resources(&p->ctrs[i]), &s->resources));
	}
	return other;
}

/* judge: RESIZE_NONE: it fits. */
static enum pod_resize
judge(struct pod *p)
{
	struct admit_room room = {0}, empty;
	struct admit_no no = {0};
	enum pod_resize v = RESIZE_NONE;
	pod_room(p, &room);
	empty = room;
	empty.used_pods = empty.used_cpu_milli = empty.used_memory_bytes = 0;
	if (!pod_admit(&p->o->spec, &empty, &no))
		v = RESIZE_INFEASIBLE;
	else if (!pod_admit(&p->o->spec, &room, &no))
		v = RESIZE_DEFERRED;
	snprintf(p->resize_message, sizeof(p->resize_message), "%s", no.message);
	return v;
}

void
resize_look(struct pod *p)
{
	p->resize = RESIZE_NONE;
	if (p->alloc == p->ref)
		return;
	if (p->alloc && asked_for(p)) {
		p->resize = judge(p);
		if (p->resize != RESIZE_NONE) {
			pod_wake_in(p, AGAIN_NS); /* others may have gone */
			return;
		}
		for (size_t i = 0; i < p->n_ctrs; i++) {
			struct ctr *c = &p->ctrs[i];
			const struct core_v1_container *s = ctr_spec(c);
			if (s && ctr_running(c) && resize_restarts(s, ctr_resources(c)))
				c->resize_restart = true;
		}
		p->resize_pod = true;
	}
	alloc_take(p);
}

/* ---- applied ---- */

/* limits_refused: would a limit of memory end what runs? */
static bool
limits_refused(struct pod *p, const struct runtime_limits *l, const struct runtime_stats *st)
{
	int64_t used = (int64_t)st->memory_usage_bytes, now = (int64_t)st->memory_limit_bytes;
	if (l->memory_bytes <= 0 || used <= l->memory_bytes || (now && now <= l->memory_bytes))
		return false;
	snprintf(p->resize_message, sizeof(p->resize_message),
		"attempting to set memory limit (%lld) below current usage (%lld)",
		(long long)l->memory_bytes, (long long)used);
	return true;
}

/* ctr_resize: false: not now; the pod says why. */
static bool
ctr_resize(struct ctr *c, const struct core_v1_container *s)
{
	struct pod *p = c->pod;
	struct core_v1_container now = *s;
	struct runtime_stats st = {0};
	struct err e = {0};
	now.resources = *ctr_resources(c);
	struct runtime_limits l = container_limits(&now);
	runtime_container_stats(p->node->rt, str_c(c->id), &st);
	if (limits_refused(p, &l, &st))
		return false;
	if (runtime_container_set_limits(p->node->rt, str_c(c->id), &l, &e) < 0) {
		snprintf(p->resize_message, sizeof(p->resize_message), "%s", e.msg);
		return false;
	}
	ctr_applied(c, &now.resources);
	return true;
}

static bool
pod_resize(struct pod *p)
{
	struct runtime_limits l = pod_limits(pod_allocated(p));
	struct runtime_stats st = {0};
	struct err e = {0};
	runtime_sandbox_stats(p->node->rt, str_c(p->sandbox), &st);
	if (limits_refused(p, &l, &st))
		return false;
	if (runtime_sandbox_set_limits(p->node->rt, str_c(p->sandbox), &l, &e) < 0) {
		snprintf(p->resize_message, sizeof(p->resize_message), "%s", e.msg);
		return false;
	}
	p->resize_pod = false;
	return true;
}

void
resize_apply(struct pod *p)
{
	bool failed = false, waits = false;
	for (size_t i = 0; i < p->n_ctrs; i++) {
		struct ctr *c = &p->ctrs[i];
		const struct core_v1_container *s = ctr_spec(c);
		_cleanup_buf_ struct buf now = BUF_INIT;
		if (!s || !ctr_running(c) || c->kill)
			continue;
		if (c->resize_restart) {
			waits = c->kill = c->again = true;
			c->kill_grace_ns = p->o->spec.termination_grace_period_seconds * NS_PER_SEC;
			snprintf(c->kill_why, sizeof(c->kill_why),
				"Container %s resize requires restart", c->name);
			continue;
		}
		put_resources(&now, ctr_resources(c));
		if (!c->applied || !str_eq_c(buf_view(&now), c->applied))
			failed = !ctr_resize(c, s) || failed;
	}
	if (p->resize_pod)
		failed = !pod_resize(p) || failed;
	if (p->resize == RESIZE_NONE && (failed || waits))
		p->resize = failed ? RESIZE_FAILED : RESIZE_UNDER_WAY;
	if (failed)
		pod_wake_in(p, AGAIN_NS);
}

/* ---- told ---- */

void
resize_put_conds(struct buf *b, struct pod *p)
{
	static const struct {
		const char *type, *reason;
	} states[] = {
		[RESIZE_DEFERRED] = {"PodResizePending", "Deferred"},
		[RESIZE_INFEASIBLE] = {"PodResizePending", "Infeasible"},
		[RESIZE_UNDER_WAY] = {"PodResizeInProgress", NULL},
		[RESIZE_FAILED] = {"PodResizeInProgress", "Error"},
	};
	static const char *const types[] = {"PodResizePending", "PodResizeInProgress"};
	const struct core_v1_pod_status *was = &p->o->status;
	if (p->resize != p->resize_told)
		p->resize_since_ns = clock_wall_ns();
	p->resize_told = p->resize;
	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		bool is = p->resize != RESIZE_NONE && strcmp(states[p->resize].type, types[t]) == 0;
		bool there = false;
		for (size_t i = 0; i < was->n_conditions; i++)
			there = there || str_eq_c(was->conditions[i].type, types[t]);
		if (!is && there)
			buf_fmt(b, ",{\"$patch\":\"delete\",\"type\":\"%s\"}", types[t]);
		if (!is)
			continue;
		char since[36];
		rfc3339_format(p->resize_since_ns, 0, since);
		buf_fmt(b,
			",{\"type\":\"%s\",\"status\":\"True\",\"observedGeneration\":%lld,"
			"\"lastProbeTime\":null,\"lastTransitionTime\":\"%s\"",
			types[t], (long long)p->generation, since);
		if (!states[p->resize].reason) {
			buf_cstr(b, ",\"reason\":null,\"message\":null}");
			continue;
		}
		buf_fmt(b, ",\"reason\":\"%s\",\"message\":", states[p->resize].reason);
		doc_json_string(b, str_c(p->resize_message));
		buf_char(b, '}');
	}
}
