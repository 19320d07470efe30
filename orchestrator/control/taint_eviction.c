/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * taint_eviction: pods leave nodes whose NoExecute taints they do not tolerate, at once, or when the
 * shortest tolerationSeconds that applies has passed since the taint was added.
 * And pod garbage: pods of nodes that are no more, and pods being deleted that never had a node.
 * Sources: kube-controller-manager pkg/controller/tainteviction, pkg/controller/podgc. */
#include "orchestrator/control/control.h"
#include "orchestrator/schedule/match.h"

#include "kinds/core_v1.h"

#include <stdlib.h>

#define ORPHAN_NS (40 * NS_PER_SEC) /* a node may be only slow to register */
#define NEVER INT64_MAX

struct eviction {
	struct control *ctl;
	struct client *c;
	struct queue *q;
	struct informer *nodes, *pods;
};

/* leave_at: wall time at which the pod must go because of one taint; NEVER. */
static int64_t
leave_at(const struct core_v1_pod *p, const struct core_v1_taint *taint, int64_t now)
{
	int64_t shortest = NEVER;
	bool tolerated = false;
	for (size_t i = 0; i < p->spec.n_tolerations; i++) {
		const struct core_v1_toleration *t = &p->spec.tolerations[i];
		if (!tolerates(t, 1, taint))
			continue;
		tolerated = true;
		if (!t->has_toleration_seconds)
			continue;
		int64_t s = t->toleration_seconds > 0 ? t->toleration_seconds : 0;
		shortest = s < shortest ? s : shortest;
	}
	if (!tolerated)
		return now;
	if (shortest == NEVER || shortest > 1000000000)
		return NEVER;
	return (taint->time_added ? taint->time_added : now) + shortest * NS_PER_SEC;
}

static int64_t
pod_leaves_at(const struct core_v1_pod *p, const struct core_v1_node *n, int64_t now)
{
	int64_t at = NEVER;
	for (size_t i = 0; i < n->spec.n_taints; i++) {
		if (!str_eq(n->spec.taints[i].effect, STR("NoExecute")))
			continue;
		int64_t one = leave_at(p, &n->spec.taints[i], now);
		at = one < at ? one : at;
	}
	return at;
}

static void
remove_pod(struct eviction *k, struct control_batch *b, const struct informer_obj *o, bool force)
{
	struct control_path path = {.resource = CONTROL_PODS, .ns = o->ns, .name = o->name};
	_cleanup_buf_ struct buf body = BUF_INIT;
	buf_fmt(&body, "{%s\"preconditions\":{\"uid\":\"" STR_FMT "\"}}",
		force ? "\"gracePeriodSeconds\":0," : "", STR_ARG(o->uid));
	if (!body.failed)
		batch_write_text(b, k->c, CLIENT_DELETE, &path, buf_view(&body));
}

static void
evict(struct eviction *k, struct control_batch *b, const struct informer_obj *o)
{
	struct event_ref ref = control_ref(CONTROL_PODS, o);
	struct control_path path = {.resource = CONTROL_PODS,
		.ns = o->ns,
		.name = o->name,
		.subresource = STR("status")};
	_cleanup_buf_ struct buf body = BUF_INIT;
	char now[40];
	rfc3339_format(clock_wall_ns(), 0, now);
	buf_fmt(&body,
		"{\"metadata\":{\"uid\":\"" STR_FMT "\"},\"status\":{\"conditions\":[{\"type\":"
		"\"DisruptionTarget\",\"status\":\"True\",\"lastTransitionTime\":\"%s\",\"reason\":"
		"\"DeletionByTaintManager\",\"message\":"
		"\"Taint manager: deleting due to NoExecute taint\"}]}}",
		STR_ARG(o->uid), now);
	if (!body.failed)
		batch_write_text(b, k->c, CLIENT_PATCH_STRATEGIC, &path, buf_view(&body));
	client_event(k->c, &ref, "Normal", "TaintManagerEviction", STR("taint-eviction-controller"),
		STR(""), "Marking for deletion Pod " STR_FMT, STR_ARG(o->key));
	remove_pod(k, b, o, false);
}

static void
sync_pod(struct eviction *k, struct control_batch *b, const struct informer_obj *o)
{
	const struct core_v1_pod *p = o->obj;
	int64_t now = clock_wall_ns();
	bool going = p->metadata.deletion_timestamp != 0;
	if (!p->spec.node_name.n) {
		if (going)
			remove_pod(k, b, o, true); /* no node will ever end it */
		return;
	}
	const struct informer_obj *node = informer_get(k->nodes, p->spec.node_name);
	if (!node) {
		int64_t left = p->metadata.creation_timestamp + ORPHAN_NS - now;
		if (left > 0)
			queue_add_after(k->q, o->key, left);
		else
			remove_pod(k, b, o, true);
		return;
	}
	int64_t at = going || !pod_is_active(p) ? NEVER : pod_leaves_at(p, node->obj, now);
	if (at == NEVER)
		return;
	if (at <= now)
		evict(k, b, o);
	else
		queue_add_after(k->q, o->key, at - now);
}

static void
on_key(void *arg, struct str key)
{
	struct eviction *k = arg;
	const struct informer_obj *o = informer_get(k->pods, key);
	if (!o) {
		queue_done(k->q, key, false);
		return;
	}
	struct control_batch *b = batch_new(k->q, key);
	if (!b)
		return;
	sync_pod(k, b, o);
	batch_close(b);
}

static void
on_pod(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct eviction *k = arg;
	(void)old;
	if (new_ && control_ready(k->ctl))
		queue_add(k->q, new_->key);
}

static bool
taints_differ(const struct informer_obj *x, const struct informer_obj *y)
{
	const struct core_v1_node *a = x->obj, *b = y->obj;
	if (a->spec.n_taints != b->spec.n_taints)
		return true;
	for (size_t i = 0; i < a->spec.n_taints; i++)
		if (!str_eq(a->spec.taints[i].key, b->spec.taints[i].key) ||
			!str_eq(a->spec.taints[i].effect, b->spec.taints[i].effect) ||
			!str_eq(a->spec.taints[i].value, b->spec.taints[i].value))
			return true;
	return false;
}

static void
on_node(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct eviction *k = arg;
	const struct informer_obj *o;
	struct str name = (new_ ? new_ : old)->name;
	if (!control_ready(k->ctl) || (old && new_ && !taints_differ(old, new_)))
		return;
	for (size_t pos = 0; (o = informer_index_next(k->pods, INDEX_NODE, name, &pos));)
		queue_add(k->q, o->key);
}

static void
eviction_ready(void *self)
{
	struct eviction *k = self;
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_next(k->pods, &pos));)
		queue_add(k->q, o->key);
}

static void
eviction_stop(void *self)
{
	struct eviction *k = self;
	queue_free(k->q);
	free(k);
}

static int
eviction_start(struct control *ctl, struct client *c, void **ret)
{
	struct eviction *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->ctl = ctl;
	k->c = c;
	k->q = queue_new(control_loop(ctl), "eviction", 16, on_key, k);
	k->nodes = control_informer(ctl, CONTROL_NODES);
	k->pods = control_informer(ctl, CONTROL_PODS);
	*ret = k;
	if (!k->q || !k->nodes || !k->pods || informer_add_handler(k->pods, on_pod, NULL, k) < 0 ||
		informer_add_handler(k->nodes, on_node, NULL, k) < 0)
		return -ENOMEM;
	return 0;
}

/* The service account is the node controller's, as upstream: it may delete pods, write their status, and tell of
 * it; the pod garbage collector's may not tell events. */
const struct controller taint_eviction_controller = {
	"node-controller", eviction_start, eviction_ready, eviction_stop};
