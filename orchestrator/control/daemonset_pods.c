/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * daemonset_pods: which pods of a DaemonSet are made and which go. First every node gets its pod, and no more than
 * it should have; when all have, an update replaces old pods, as many at a time as the strategy lets:
 * maxUnavailable deletes the old pod first, maxSurge makes the new one first. */
#include "orchestrator/control/daemonset.h"

#include <stdlib.h>

#define WAIT_MIN_NS NS_PER_SEC
#define WAIT_MAX_NS (900 * NS_PER_SEC)

static void
go(struct daemon_sync *x, const struct informer_obj *pod)
{
	const struct informer_obj **slot = ARENA_PUSH(x->a, x->go, x->n_go);
	if (slot)
		*slot = pod;
}

/* ---- new ones ---- */

static void
put_affinity(struct arena *a, struct doc *spec, struct str node)
{
	struct doc *na = doc_ensure_map(
		a, doc_ensure_map(a, spec, STR("affinity")), STR("nodeAffinity"));
	struct doc *req = na ? doc_map(a) : NULL, *field = req ? doc_map(a) : NULL;
	struct doc *term = field ? doc_map(a) : NULL;
	if (!term)
		return;
	doc_set_str(a, field, STR("key"), STR("metadata.name"));
	doc_set_str(a, field, STR("operator"), STR("In"));
	doc_append(doc_ensure_list(a, field, STR("values")), doc_str(a, node));
	doc_append(doc_ensure_list(a, term, STR("matchFields")), field);
	doc_append(doc_ensure_list(a, req, STR("nodeSelectorTerms")), term);
	doc_set(na, STR("requiredDuringSchedulingIgnoredDuringExecution"), req);
}

static struct doc *
plain_pod(struct daemon_sync *x)
{
	struct arena *a = x->a;
	struct doc *d = workload_pod(x->s, &x->ds->spec.template), *list = d ? doc_list(a) : NULL;
	struct doc *labels = list ? doc_ensure_map(a, doc_get(d, STR("metadata")), STR("labels"))
				  : NULL;
	if (!labels)
		return NULL;
	doc_set_str(a, labels, REVISION_LABEL, x->hash);
	if (x->generation.n)
		doc_set_str(a, labels, GENERATION_LABEL, x->generation);
	for (size_t i = 0; i < x->n_tolerations; i++)
		doc_append(list,
			schema_from_struct(
				a, SCHEMA_TYPE_OF(core_v1_toleration), &x->tolerations[i]));
	doc_set(doc_get(d, STR("spec")), STR("tolerations"), list);
	return arena_failed(a) ? NULL : d;
}

static void
make(struct daemon_sync *x, const struct daemon_node *n)
{
	struct doc *d = x->n_make ? doc_copy(x->a, x->make[0]) : plain_pod(x);
	struct doc **slot = d ? ARENA_PUSH(x->a, x->make, x->n_make) : NULL;
	if (!slot)
		return;
	put_affinity(x->a, doc_get(d, STR("spec")), n->name);
	*slot = d;
}

/* ---- one pod on every node ---- */

static const struct apps_v1_rolling_update_daemon_set *
rolling(const struct daemon_sync *x)
{
	return str_eq(x->ds->spec.update_strategy.type, STR("RollingUpdate"))
		? x->ds->spec.update_strategy.rolling_update
		: NULL;
}

static int32_t
scaled(const struct int_or_str *v, int32_t of)
{
	int32_t n = 0;
	return v->has && intstr_scaled(v, of, true, &n) == 0 ? n : 0;
}

static bool
surges(const struct daemon_sync *x)
{
	return rolling(x) && scaled(&rolling(x)->max_surge, 1) > 0;
}

static void
tell(struct daemon_sync *x, const char *type, const char *reason, const struct informer_obj *pod,
	struct str node, const char *how, const char *what)
{
	struct event_ref ref = control_ref(CONTROL_DAEMONSETS, x->s->o);
	client_event(x->s->w->c, &ref, type, reason, STR("daemonset-controller"), STR(""),
		"Found %s daemon pod " STR_FMT "/" STR_FMT " on node " STR_FMT
		", will try to %s it",
		how, STR_ARG(pod->ns), STR_ARG(pod->name), STR_ARG(node), what);
}

/* may_replace: a failed pod of this node may go now; else when it may, the DaemonSet is looked at. */
static bool
may_replace(struct daemon_sync *x, const struct daemon_node *n)
{
	struct daemon_wait *w = map_get(&x->m->waits, n->name);
	int64_t now = loop_now_ns(control_loop(x->s->w->ctl));
	int64_t generation = x->ds->status.observed_generation;
	if (!w) {
		w = calloc(1, sizeof(*w));
		if (!w || map_put(&x->m->waits, n->name, w, NULL) < 0) {
			free(w);
			return true;
		}
	}
	if (w->generation != generation || now - w->since_ns > 2 * WAIT_MAX_NS)
		*w = (struct daemon_wait){.generation = generation};
	if (w->delay_ns && now - w->since_ns < w->delay_ns) {
		queue_add_after(x->s->w->q, x->s->o->key, w->delay_ns - (now - w->since_ns));
		return false;
	}
	w->delay_ns = w->delay_ns ? w->delay_ns * 2 : WAIT_MIN_NS;
	w->delay_ns = w->delay_ns > WAIT_MAX_NS ? WAIT_MAX_NS : w->delay_ns;
	w->since_ns = now;
	return true;
}

/* ended: a pod that has ended goes. */
static bool
ended(struct daemon_sync *x, const struct daemon_node *n, const struct informer_obj *o)
{
	const struct core_v1_pod *p = o->obj;
	if (str_eq(p->status.phase, STR("Failed"))) {
		if (!may_replace(x, n))
			return true;
		tell(x, "Warning", "FailedDaemonPod", o, n->name, "failed", "kill");
	} else if (str_eq(p->status.phase, STR("Succeeded"))) {
		tell(x, "Normal", "SucceededDaemonPod", o, n->name, "succeeded", "delete");
	} else {
		return false;
	}
	go(x, o);
	return true;
}

/* spare: two pods may be there while the old one is ready and the new one is not yet. */
static void
spare(struct daemon_sync *x, const struct informer_obj **v, size_t n)
{
	const struct informer_obj *old = NULL, *new_ = NULL;
	for (size_t i = 0; i < n; i++) {
		struct str hash = control_label(control_meta(CONTROL_PODS, v[i]), REVISION_LABEL);
		const struct informer_obj **slot = str_eq(hash, x->hash) ? &new_ : &old;
		if (*slot)
			go(x, v[i]);
		else
			*slot = v[i];
	}
	if (old && new_ && (!pod_is_ready(old->obj) || daemon_available(x, new_->obj)))
		go(x, old);
}

static void
tend(struct daemon_sync *x, struct daemon_node *n)
{
	const struct informer_obj **v = ARENA_ARRAY(x->a, const struct informer_obj *, n->n_pods);
	size_t running = 0;
	if (n->runs && !n->n_pods) {
		make(x, n);
		return;
	}
	for (size_t i = 0; v && i < n->n_pods; i++) {
		const struct core_v1_pod *p = n->pods[i]->obj;
		if (p->metadata.deletion_timestamp)
			continue;
		if (!n->may_stay) {
			/* Of a node that is gone only those that were never placed: nobody else would. */
			if (n->node || !p->spec.node_name.n)
				go(x, n->pods[i]);
		} else if (!ended(x, n, n->pods[i])) {
			v[running++] = n->pods[i];
		}
	}
	if (surges(x) && n->runs && !running)
		make(x, n);
	else if (surges(x) && running > 1)
		spare(x, v, running);
	for (size_t i = 1; !surges(x) && i < running; i++)
		go(x, v[i]);
}

/* ---- updates ---- */

/* old_and_new: of the pods that are not on their way out; false: one of both is there twice. */
static bool
old_and_new(const struct daemon_sync *x, const struct daemon_node *n,
	const struct informer_obj **ret_old, const struct informer_obj **ret_new)
{
	*ret_old = *ret_new = NULL;
	for (size_t i = 0; i < n->n_pods; i++) {
		const struct core_v1_pod *p = n->pods[i]->obj;
		const struct informer_obj **slot = daemon_pod_is_now(x, p) ? ret_new : ret_old;
		if (p->metadata.deletion_timestamp)
			continue;
		if (*slot)
			return false;
		*slot = n->pods[i];
	}
	return true;
}

static int32_t
desired(const struct daemon_sync *x)
{
	int32_t n = 0;
	for (size_t i = 0; i < x->n_nodes; i++)
		n += x->nodes[i].runs;
	return n;
}

/* counts: does the node take part in an update: it runs a pod, or has one. */
static bool
counts(const struct daemon_node *n)
{
	return n->runs || n->n_pods;
}

/* replace: old pods that are not available go at once, of the others as many as may be missing. */
static void
replace(struct daemon_sync *x, int32_t max_unavailable)
{
	const struct informer_obj **ready = ARENA_ARRAY(
		x->a, const struct informer_obj *, x->n_nodes);
	int32_t unavailable = 0;
	size_t n_ready = 0;
	for (size_t i = 0; ready && i < x->n_nodes; i++) {
		const struct informer_obj *old, *new_;
		if (!counts(&x->nodes[i]))
			continue;
		if (!old_and_new(x, &x->nodes[i], &old, &new_) || !old == !new_) {
			unavailable++;
		} else if (new_) {
			unavailable += !daemon_available(x, new_->obj);
		} else if (!daemon_available(x, old->obj)) {
			go(x, old);
			unavailable++;
		} else {
			ready[n_ready++] = old;
		}
	}
	for (size_t i = 0; i < n_ready && unavailable < max_unavailable; i++, unavailable++)
		go(x, ready[i]);
}

/* surge: new pods beside old ones; an old one goes when its new one is available. */
static void
surge(struct daemon_sync *x, int32_t max_surge)
{
	const struct informer_obj **leave = ARENA_ARRAY(
		x->a, const struct informer_obj *, x->n_nodes);
	const struct daemon_node **next = ARENA_ARRAY(x->a, const struct daemon_node *, x->n_nodes);
	int32_t surged = 0, available = 0;
	size_t n_leave = 0, n_next = 0;
	for (size_t i = 0; leave && next && i < x->n_nodes; i++) {
		const struct daemon_node *n = &x->nodes[i];
		const struct informer_obj *old, *new_;
		if (!counts(n))
			continue;
		if (!old_and_new(x, n, &old, &new_)) {
			surged++;
			continue;
		}
		bool old_ok = old && daemon_available(x, old->obj);
		bool new_ok = new_ && daemon_available(x, new_->obj);
		available += old ? old_ok : new_ok;
		if (!old)
			continue;
		if (new_) {
			surged += !new_ok;
			if (new_ok)
				go(x, old);
		} else if (!old_ok) {
			if (n->runs)
				make(x, n);
			else
				go(x, old);
		} else if (n->runs) {
			next[n_next++] = n;
		} else {
			leave[n_leave++] = old;
		}
	}
	/* A pod of a node that no longer fits stays until another node's is there. */
	for (size_t i = 0; i < n_leave && (int64_t)i < available - desired(x); i++)
		go(x, leave[i]);
	for (size_t i = 0; i < n_next && surged < max_surge; i++, surged++)
		make(x, next[i]);
}

static void
update(struct daemon_sync *x)
{
	const struct apps_v1_rolling_update_daemon_set *r = rolling(x);
	int32_t n = desired(x);
	if (!r)
		return;
	int32_t max_surge = scaled(&r->max_surge, n);
	int32_t max_unavailable = scaled(&r->max_unavailable, n);
	if (max_surge)
		surge(x, max_surge);
	else
		replace(x, max_unavailable ? max_unavailable : 1);
}

void
daemon_pods(struct daemon_sync *x)
{
	for (size_t i = 0; i < x->n_nodes; i++)
		tend(x, &x->nodes[i]);
	if (!x->n_go && !x->n_make)
		update(x);
	if (x->n_make)
		workload_create(x->s, x->make, x->n_make);
	else
		workload_content(x->s);
	workload_delete(x->s, x->go, x->n_go, false);
}
