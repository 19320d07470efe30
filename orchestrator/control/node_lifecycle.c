/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * node_lifecycle: which nodes still speak. A node renews its Lease; 50 s after the last renewal this
 * controller has seen, its conditions become Unknown, it is tainted unreachable, and its pods are marked
 * not ready. What a node says of itself becomes taints too (not-ready, pressure, unschedulable).
 * Time is counted here, from when a renewal was seen: clocks of nodes do not matter.
 * Source: kube-controller-manager pkg/controller/nodelifecycle (defaults of 1.37). */
#include "orchestrator/control/control.h"

#include "kinds/coordination_v1.h"
#include "kinds/core_v1.h"

#include <stdlib.h>

#define GRACE_NS (50 * NS_PER_SEC)
#define LEASE_NS STR("kube-node-lease")

struct health {
	int64_t seen_ns; /* when the last sign of life was seen */
	char renewed[64];
	int64_t heartbeat;
};

struct lifecycle {
	struct control *ctl;
	struct client *c;
	struct queue *q;
	struct informer *nodes, *leases, *pods;
	struct map health; /* node -> struct health */
};

/* ---- taints ---- */

static const struct taint_row {
	const char *condition, *status; /* of the node; NULL: spec.unschedulable */
	const char *key, *effect;
} taint_rows[] = {
	{"Ready", "False", "node.kubernetes.io/not-ready", "NoSchedule"},
	{"Ready", "False", "node.kubernetes.io/not-ready", "NoExecute"},
	{"Ready", "Unknown", "node.kubernetes.io/unreachable", "NoSchedule"},
	{"Ready", "Unknown", "node.kubernetes.io/unreachable", "NoExecute"},
	{"MemoryPressure", "True", "node.kubernetes.io/memory-pressure", "NoSchedule"},
	{"DiskPressure", "True", "node.kubernetes.io/disk-pressure", "NoSchedule"},
	{"PIDPressure", "True", "node.kubernetes.io/pid-pressure", "NoSchedule"},
	{"NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable", "NoSchedule"},
	{NULL, NULL, "node.kubernetes.io/unschedulable", "NoSchedule"},
};

static struct str
condition_status(const struct core_v1_node *n, const char *type)
{
	for (size_t i = 0; i < n->status.n_conditions; i++)
		if (str_eq_c(n->status.conditions[i].type, type))
			return n->status.conditions[i].status;
	return STR_NONE;
}

/* ready_status: as it will stand after this sync: silent nodes are Unknown. */
static struct str
status_for(const struct core_v1_node *n, const char *type, bool silent)
{
	struct str said = condition_status(n, type);
	if (silent && !strcmp(type, "Ready"))
		return STR("Unknown");
	if (!said.n && !strcmp(type, "Ready"))
		return STR("False"); /* has not said anything yet */
	return said;
}

static bool
wanted(const struct core_v1_node *n, const struct taint_row *t, bool silent)
{
	if (!t->condition)
		return n->spec.unschedulable;
	return str_eq_c(status_for(n, t->condition, silent), t->status);
}

static const struct taint_row *
our_taint(const struct core_v1_taint *t)
{
	for (size_t i = 0; i < ARRAY_LEN(taint_rows); i++)
		if (str_eq_c(t->key, taint_rows[i].key) &&
			str_eq_c(t->effect, taint_rows[i].effect))
			return &taint_rows[i];
	return NULL;
}

static bool
has_taint(const struct core_v1_node *n, const struct taint_row *row)
{
	for (size_t i = 0; i < n->spec.n_taints; i++)
		if (our_taint(&n->spec.taints[i]) == row)
			return true;
	return false;
}

static void
sync_taints(struct lifecycle *k, struct control_batch *b, const struct informer_obj *o, bool silent)
{
	const struct core_v1_node *n = o->obj;
	bool differs = false;
	char now[40];
	for (size_t i = 0; i < ARRAY_LEN(taint_rows); i++)
		differs = differs ||
			wanted(n, &taint_rows[i], silent) != has_taint(n, &taint_rows[i]);
	if (!differs)
		return;
	struct arena *a = arena_new(1 << 20);
	struct doc *list = a ? doc_list(a) : NULL;
	for (size_t i = 0; list && i < n->spec.n_taints; i++) {
		const struct taint_row *row = our_taint(&n->spec.taints[i]);
		if (!row || wanted(n, row, silent))
			doc_append(list,
				schema_from_struct(
					a, SCHEMA_TYPE_OF(core_v1_taint), &n->spec.taints[i]));
	}
	rfc3339_format(clock_wall_ns(), 0, now);
	for (size_t i = 0; list && i < ARRAY_LEN(taint_rows); i++) {
		const struct taint_row *row = &taint_rows[i];
		struct doc *t = wanted(n, row, silent) && !has_taint(n, row) ? doc_map(a) : NULL;
		if (!t)
			continue;
		doc_set_str(a, t, STR("key"), str_c(row->key));
		doc_set_str(a, t, STR("effect"), str_c(row->effect));
		if (!strcmp(row->effect, "NoExecute"))
			doc_set_str(a, t, STR("timeAdded"), arena_str(a, str_c(now)));
		doc_append(list, t);
	}
	_cleanup_buf_ struct buf body = BUF_INIT;
	buf_fmt(&body, "{\"metadata\":{\"resourceVersion\":\"" STR_FMT "\"},\"spec\":{\"taints\":",
		STR_ARG(n->metadata.resource_version));
	if (list)
		doc_write_json(&body, list);
	buf_cstr(&body, "}}");
	struct control_path path = {.resource = CONTROL_NODES, .name = o->name};
	if (list && !body.failed)
		batch_write_text(b, k->c, CLIENT_PATCH_MERGE, &path, buf_view(&body));
	arena_free(a);
}

/* ---- silence ---- */

static void
say_unknown(struct lifecycle *k, struct control_batch *b, const struct informer_obj *o)
{
	static const char *const types[] = {
		"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"};
	const struct core_v1_node *n = o->obj;
	_cleanup_buf_ struct buf body = BUF_INIT;
	char now[40];
	if (str_eq(condition_status(n, "Ready"), STR("Unknown")))
		return;
	rfc3339_format(clock_wall_ns(), 0, now);
	buf_cstr(&body, "{\"status\":{\"conditions\":[");
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		buf_fmt(&body,
			"%s{\"type\":\"%s\",\"status\":\"Unknown\",\"lastTransitionTime\":\"%s\","
			"\"reason\":\"NodeStatusUnknown\",\"message\":"
			"\"Kubelet stopped posting node status.\"}",
			i ? "," : "", types[i], now);
	buf_cstr(&body, "]}}");
	struct control_path path = {
		.resource = CONTROL_NODES, .name = o->name, .subresource = STR("status")};
	if (!body.failed)
		batch_write_text(b, k->c, CLIENT_PATCH_STRATEGIC, &path, buf_view(&body));
	struct event_ref ref = control_ref(CONTROL_NODES, o);
	client_event(k->c, &ref, "Normal", "NodeNotReady", STR("node-controller"), STR(""),
		"Node " STR_FMT " status is now: NodeNotReady", STR_ARG(o->name));
}

/* mark_pods: pods of a node that is not Ready are not ready either: Services leave them out. */
static void
mark_pods(struct lifecycle *k, struct control_batch *b, const struct informer_obj *node)
{
	const struct informer_obj *o;
	char now[40];
	rfc3339_format(clock_wall_ns(), 0, now);
	for (size_t pos = 0; (o = informer_index_next(k->pods, INDEX_NODE, node->name, &pos));) {
		_cleanup_buf_ struct buf body = BUF_INIT;
		if (!pod_is_ready(o->obj))
			continue;
		buf_fmt(&body,
			"{\"metadata\":{\"uid\":\"" STR_FMT
			"\"},\"status\":{\"conditions\":[{\"type\":"
			"\"Ready\",\"status\":\"False\",\"lastTransitionTime\":\"%s\"}]}}",
			STR_ARG(o->uid), now);
		struct control_path path = {.resource = CONTROL_PODS,
			.ns = o->ns,
			.name = o->name,
			.subresource = STR("status")};
		if (!body.failed)
			batch_write_text(b, k->c, CLIENT_PATCH_STRATEGIC, &path, buf_view(&body));
		struct event_ref ref = control_ref(CONTROL_PODS, o);
		client_event(k->c, &ref, "Warning", "NodeNotReady", STR("node-controller"), STR(""),
			"Node is not ready");
	}
}

static struct health *
health_of(struct lifecycle *k, struct str name)
{
	struct health *h = map_get(&k->health, name);
	if (h)
		return h;
	h = calloc(1, sizeof(*h));
	if (!h || map_put(&k->health, name, h, NULL) < 0) {
		free(h);
		return NULL;
	}
	h->seen_ns = loop_now_ns(control_loop(k->ctl));
	return h;
}

/* look: has the node given a new sign of life? */
static void
look(struct lifecycle *k, struct health *h, const struct informer_obj *o)
{
	char renewed[64] = "";
	_cleanup_buf_ struct buf key = BUF_INIT;
	int64_t heartbeat = 0;
	const struct core_v1_node *n = o->obj;
	buf_fmt(&key, STR_FMT "/" STR_FMT, STR_ARG(LEASE_NS), STR_ARG(o->name));
	const struct informer_obj *lease = informer_get(k->leases, buf_view(&key));
	if (lease) {
		const struct coordination_v1_lease *l = lease->obj;
		rfc3339_format(l->spec.renew_time, 6, renewed);
	}
	for (size_t i = 0; i < n->status.n_conditions; i++)
		if (n->status.conditions[i].last_heartbeat_time > heartbeat)
			heartbeat = n->status.conditions[i].last_heartbeat_time;
	if (strcmp(renewed, h->renewed) || heartbeat != h->heartbeat) {
		h->seen_ns = loop_now_ns(control_loop(k->ctl));
		h->heartbeat = heartbeat;
		memcpy(h->renewed, renewed, sizeof(renewed));
	}
}

static void
on_key(void *arg, struct str name)
{
	struct lifecycle *k = arg;
	const struct informer_obj *o = informer_get(k->nodes, name);
	struct health *h = o ? health_of(k, name) : NULL;
	if (!h) {
		free(map_del(&k->health, name));
		queue_done(k->q, name, false);
		return;
	}
	look(k, h, o);
	int64_t left = h->seen_ns + GRACE_NS - loop_now_ns(control_loop(k->ctl));
	bool silent = left <= 0;
	struct control_batch *b = batch_new(k->q, name);
	if (!b)
		return;
	if (silent)
		say_unknown(k, b, o);
	sync_taints(k, b, o, silent);
	if (silent || str_eq(condition_status(o->obj, "Ready"), STR("False")))
		mark_pods(k, b, o);
	if (!silent)
		queue_add_after(k->q, name, left + NS_PER_MS);
	batch_close(b);
}

/* ---- changes ---- */

static void
on_node(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct lifecycle *k = arg;
	if (control_ready(k->ctl))
		queue_add(k->q, (new_ ? new_ : old)->name);
}

static void
on_lease(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct lifecycle *k = arg;
	(void)old;
	if (!new_ || !control_ready(k->ctl) || !str_eq(new_->ns, LEASE_NS))
		return;
	const struct informer_obj *o = informer_get(k->nodes, new_->name);
	struct health *h = o ? map_get(&k->health, new_->name) : NULL;
	if (h)
		look(k, h, o); /* the timer that runs will see the new time */
}

static void
lifecycle_ready(void *self)
{
	struct lifecycle *k = self;
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_next(k->nodes, &pos));)
		queue_add(k->q, o->name);
}

static void
lifecycle_stop(void *self)
{
	struct lifecycle *k = self;
	struct str key;
	void *v;
	queue_free(k->q);
	for (size_t pos = 0; map_next(&k->health, &pos, &key, &v);)
		free(v);
	map_release(&k->health);
	free(k);
}

static int
lifecycle_start(struct control *ctl, struct client *c, void **ret)
{
	struct lifecycle *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->ctl = ctl;
	k->c = c;
	map_init(&k->health);
	k->q = queue_new(control_loop(ctl), "node", 8, on_key, k);
	k->nodes = control_informer(ctl, CONTROL_NODES);
	k->leases = control_informer(ctl, CONTROL_LEASES);
	k->pods = control_informer(ctl, CONTROL_PODS);
	*ret = k;
	if (!k->q || !k->nodes || !k->leases || !k->pods ||
		informer_add_handler(k->nodes, on_node, NULL, k) < 0 ||
		informer_add_handler(k->leases, on_lease, NULL, k) < 0)
		return -ENOMEM;
	return 0;
}

const struct controller node_lifecycle_controller = {
	"node-controller", lifecycle_start, lifecycle_ready, lifecycle_stop};
