/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * replicaset: as many pods as spec.replicas says, each owned by its ReplicaSet.
 *
 * Expectations: what was created or deleted and is not yet seen in the cache is remembered by name; until
 * all of it has been seen (or five minutes have passed) a key only waits, so a slow cache never makes
 * a pod twice. Creation starts slowly (1, 2, 4, ...), so that a quota that refuses one refuses few.
 * Source: kube-controller-manager pkg/controller/replicaset, controller_utils (ActivePodsWithRanks). */
#include "orchestrator/control/control.h"

#include "base/rand.h"

#include "kinds/apps_v1.h"
#include "kinds/core_v1.h"

#include <stdio.h>
#include <stdlib.h>

#define BURST 500
#define EXPECT_NS (300 * NS_PER_SEC)

/* What a ReplicaSet waits for. */
struct expect {
	struct map names; /* pods made (value = "+") or deleted ("-") and not yet seen so */
	unsigned calls;   /* creations under way */
	unsigned batch;   /* how many to make next */
	bool refused;     /* the last creation was refused */
	int64_t since_ns;
	char error[256];
};

struct rs_controller {
	struct control *ctl;
	struct client *c;
	struct queue *q;
	struct informer *sets, *pods;
	struct map expects; /* key of the set -> struct expect */
};

static char made[] = "+", gone[] = "-";

static void
expect_free(struct expect *x)
{
	if (!x)
		return;
	map_release(&x->names);
	free(x);
}

static struct expect *
expect_get(struct rs_controller *r, struct str key)
{
	struct expect *x = map_get(&r->expects, key);
	if (x)
		return x;
	x = calloc(1, sizeof(*x));
	if (!x)
		return NULL;
	map_init(&x->names);
	x->batch = 1;
	if (map_put(&r->expects, key, x, NULL) < 0) {
		expect_free(x);
		return NULL;
	}
	return x;
}

/* expect_met: has the cache seen everything this set has done? */
static bool
expect_met(struct rs_controller *r, struct expect *x, struct str ns)
{
	struct str name;
	void *how;
	if (x->calls)
		return false;
	for (size_t pos = 0; map_next(&x->names, &pos, &name, &how);) {
		_cleanup_buf_ struct buf key = BUF_INIT;
		buf_fmt(&key, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
		const struct informer_obj *o = informer_get(r->pods, buf_view(&key));
		const struct core_v1_pod *p = o ? o->obj : NULL;
		bool seen = how == made ? p != NULL : !p || p->metadata.deletion_timestamp != 0;
		if (seen)
			map_del(&x->names, name);
	}
	return map_len(&x->names) == 0 ||
		loop_now_ns(control_loop(r->ctl)) - x->since_ns > EXPECT_NS;
}

/* ---- creating ---- */

struct creation {
	struct rs_controller *r;
	char *key;
	const struct informer_obj *set;
};

static void
on_created(void *arg, const struct client_result *res)
{
	struct creation *k = arg;
	struct rs_controller *r = k->r;
	struct expect *x = map_get(&r->expects, str_c(k->key));
	struct event_ref ref = control_ref(CONTROL_REPLICASETS, k->set);
	if (x)
		x->calls--;
	if (res->e.code) {
		if (x) {
			x->refused = true;
			str_copy_c(str_c(res->e.msg), x->error, sizeof(x->error));
		}
		/* A namespace that is going away refuses everything: nothing to tell. */
		if (str_find(str_c(res->e.msg), STR("being terminated")) < 0)
			client_event(r->c, &ref, "Warning", "FailedCreate",
				STR("replicaset-controller"), STR(""), "Error creating: %s",
				res->e.msg);
		queue_add_after(r->q, str_c(k->key), NS_PER_SEC);
	} else {
		struct arena *a = arena_new(1 << 22);
		struct doc *d = NULL;
		struct str name = a && doc_parse_json(a, res->body, NULL, &d, NULL) == 0
			? doc_get_str(doc_get(d, STR("metadata")), STR("name"))
			: STR_NONE;
		if (x && name.n)
			map_put(&x->names, name, made, NULL);
		client_event(r->c, &ref, "Normal", "SuccessfulCreate", STR("replicaset-controller"),
			STR(""), "Created pod: " STR_FMT, STR_ARG(name));
		arena_free(a);
		if (x && !x->calls)
			queue_add(r->q, str_c(k->key));
	}
	informer_obj_unref(k->set);
	free(k->key);
	free(k);
}

static struct doc *
pod_doc(struct arena *a, const struct informer_obj *o)
{
	const struct apps_v1_replica_set *rs = o->obj;
	struct doc *d = schema_from_struct(
		a, SCHEMA_TYPE_OF(core_v1_pod_template_spec), &rs->spec.template);
	struct doc *meta = d ? doc_ensure_map(a, d, STR("metadata")) : NULL;
	struct doc *owners = meta ? doc_list(a) : NULL;
	if (!owners)
		return NULL;
	doc_set(meta, STR("creationTimestamp"), NULL);
	doc_set(meta, STR("name"), NULL);
	const struct str prefix[] = {rs->metadata.name, STR("-")};
	doc_set_str(a, meta, STR("generateName"), arena_cat(a, prefix, 2));
	doc_append(owners, control_owner_doc(a, STR("apps/v1"), STR("ReplicaSet"), &rs->metadata));
	doc_set(meta, STR("ownerReferences"), owners);
	return d;
}

static void
create_pods(struct rs_controller *r, const struct informer_obj *o, struct expect *x, size_t n)
{
	struct arena *a = arena_new(1 << 22);
	struct doc *d = a ? pod_doc(a, o) : NULL;
	struct control_path path = {.resource = CONTROL_PODS, .ns = o->ns};
	if (n > x->batch)
		n = x->batch;
	x->batch = x->batch * 2 > BURST ? BURST : x->batch * 2;
	x->since_ns = loop_now_ns(control_loop(r->ctl));
	for (size_t i = 0; d && i < n; i++) {
		struct creation *k = calloc(1, sizeof(*k));
		if (!k)
			break;
		k->r = r;
		k->key = strndup(o->key.p, o->key.n);
		k->set = informer_obj_ref(o);
		if (!k->key || control_write(r->c, CLIENT_CREATE, &path, d, on_created, k) < 0) {
			informer_obj_unref(k->set);
			free(k->key);
			free(k);
			break;
		}
		x->calls++;
	}
	arena_free(a);
	if (!x->calls)
		queue_add_after(r->q, o->key, NS_PER_SEC);
}

/* ---- deleting ---- */

static int
phase_rank(const struct core_v1_pod *p)
{
	static const char *const order[] = {"Pending", "Unknown", "Running"};
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		if (str_eq_c(p->status.phase, order[i]))
			return (int)i;
	return 0;
}

static int64_t
deletion_cost(const struct core_v1_pod *p)
{
	int64_t v;
	struct str s = control_annotation(
		&p->metadata, STR("controller.kubernetes.io/pod-deletion-cost"));
	return s.n && str_to_i64(s, &v) == 0 ? v : 0;
}

static int64_t
restarts(const struct core_v1_pod *p)
{
	int64_t max = 0;
	for (size_t i = 0; i < p->status.n_container_statuses; i++)
		if (p->status.container_statuses[i].restart_count > max)
			max = p->status.container_statuses[i].restart_count;
	return max;
}

struct victim {
	const struct informer_obj *o;
	size_t neighbours; /* pods of the same set on its node */
};

/* Less = goes first: not placed, pending, not ready, cheap, crowded, ready late, restarting, young. */
static int
victim_order(const void *px, const void *py)
{
	const struct victim *vx = px, *vy = py;
	const struct core_v1_pod *x = vx->o->obj, *y = vy->o->obj;
	int64_t rank[][2] = {
		{x->spec.node_name.n != 0, y->spec.node_name.n != 0},
		{phase_rank(x), phase_rank(y)},
		{pod_is_ready(x), pod_is_ready(y)},
		{deletion_cost(x), deletion_cost(y)},
		{-(int64_t)vx->neighbours, -(int64_t)vy->neighbours},
		{-pod_ready_since_ns(x), -pod_ready_since_ns(y)},
		{-restarts(x), -restarts(y)},
		{-x->metadata.creation_timestamp, -y->metadata.creation_timestamp},
	};
	for (size_t i = 0; i < ARRAY_LEN(rank); i++)
		if (rank[i][0] != rank[i][1])
			return rank[i][0] < rank[i][1] ? -1 : 1;
	return str_cmp(x->metadata.name, y->metadata.name);
}

static void
delete_pods(struct rs_controller *r, const struct informer_obj *o, struct expect *x,
	const struct informer_obj **pods, size_t n_pods, size_t n)
{
	struct arena *a = arena_new(1 << 22);
	struct victim *v = a ? ARENA_ARRAY(a, struct victim, n_pods) : NULL;
	struct event_ref ref = control_ref(CONTROL_REPLICASETS, o);
	for (size_t i = 0; v && i < n_pods; i++) {
		const struct core_v1_pod *p = pods[i]->obj;
		v[i].o = pods[i];
		for (size_t k = 0; k < n_pods; k++)
			v[i].neighbours += p->spec.node_name.n &&
				str_eq(((const struct core_v1_pod *)pods[k]->obj)->spec.node_name,
					p->spec.node_name);
	}
	if (v)
		qsort(v, n_pods, sizeof(*v), victim_order);
	x->since_ns = loop_now_ns(control_loop(r->ctl));
	for (size_t i = 0; v && i < n && i < BURST; i++) {
		struct control_path path = {
			.resource = CONTROL_PODS, .ns = v[i].o->ns, .name = v[i].o->name};
		struct str body = arena_fmt(
			a, "{\"preconditions\":{\"uid\":\"" STR_FMT "\"}}", STR_ARG(v[i].o->uid));
		if (control_write_text(r->c, CLIENT_DELETE, &path, body, control_ignore, NULL) < 0)
			continue;
		map_put(&x->names, v[i].o->name, gone, NULL);
		client_event(r->c, &ref, "Normal", "SuccessfulDelete", STR("replicaset-controller"),
			STR(""), "Deleted pod: " STR_FMT, STR_ARG(v[i].o->name));
	}
	arena_free(a);
}

/* ---- which pods are whose ---- */

/* claim: an orphan that the selector names is adopted, a pod it no longer names is released. */
static void
claim(struct rs_controller *r, const struct informer_obj *o, const struct informer_obj *pod,
	bool adopt)
{
	const struct apps_v1_replica_set *rs = o->obj;
	struct arena *a = arena_new(1 << 20);
	struct control_path path = {.resource = CONTROL_PODS, .ns = pod->ns, .name = pod->name};
	struct str body = STR_NONE;
	if (a && adopt) {
		struct buf b;
		buf_init_arena(&b, a);
		buf_cstr(&b, "{\"metadata\":{\"ownerReferences\":[");
		doc_write_json(
			&b, control_owner_doc(a, STR("apps/v1"), STR("ReplicaSet"), &rs->metadata));
		buf_fmt(&b, "],\"uid\":\"" STR_FMT "\"}}", STR_ARG(pod->uid));
		body = buf_view(&b);
	} else if (a) {
		body = arena_fmt(a,
			"{\"metadata\":{\"ownerReferences\":[{\"$patch\":\"delete\",\"uid\":\"" STR_FMT
			"\"}],\"uid\":\"" STR_FMT "\"}}",
			STR_ARG(rs->metadata.uid), STR_ARG(pod->uid));
	}
	if (body.n)
		control_write_text(r->c, CLIENT_PATCH_STRATEGIC, &path, body, control_ignore, NULL);
	arena_free(a);
}

/* owned: the set's pods that its selector names; claims and releases on the way. */
static const struct informer_obj **
owned(struct rs_controller *r, struct arena *a, const struct informer_obj *o, size_t *ret_n)
{
	const struct apps_v1_replica_set *rs = o->obj;
	const struct informer_obj **v = NULL, *pod;
	struct selector sel;
	size_t n = 0;
	*ret_n = 0;
	if (selector_from_struct(a, rs->spec.selector, &sel) < 0)
		return NULL;
	for (size_t pos = 0; (pod = informer_index_next(r->pods, INDEX_OWNER, o->uid, &pos));) {
		const struct core_v1_pod *p = pod->obj;
		if (selector_match_pairs(&sel, p->metadata.labels, p->metadata.n_labels)) {
			const struct informer_obj **slot = ARENA_PUSH(a, v, n);
			if (slot)
				*slot = pod;
		} else if (!p->metadata.deletion_timestamp) {
			claim(r, o, pod, false);
		}
	}
	for (size_t pos = 0; (pod = informer_index_next(r->pods, INDEX_NS, o->ns, &pos));) {
		const struct core_v1_pod *p = pod->obj;
		if (!control_owner(&p->metadata) && pod_is_active(p) &&
			!rs->metadata.deletion_timestamp && !sel.nothing &&
			selector_match_pairs(&sel, p->metadata.labels, p->metadata.n_labels))
			claim(r, o, pod, true);
	}
	*ret_n = n;
	return v;
}

/* ---- status ---- */

struct counts {
	int32_t replicas, labeled, ready, available, terminating;
	int64_t check_in_ns;
};

static void
count(const struct apps_v1_replica_set *rs, const struct informer_obj **v, size_t n,
	struct counts *k)
{
	const struct meta_v1_object_meta *tm = &rs->spec.template.metadata;
	for (size_t i = 0; i < n; i++) {
		const struct core_v1_pod *p = v[i]->obj;
		int64_t in;
		if (!pod_is_active(p)) {
			k->terminating += p->metadata.deletion_timestamp != 0;
			continue;
		}
		bool all = true;
		for (size_t l = 0; l < tm->n_labels; l++)
			all = all &&
				str_eq(control_label(&p->metadata, tm->labels[l].key),
					tm->labels[l].value);
		k->replicas++;
		k->labeled += all;
		k->ready += pod_is_ready(p);
		k->available += pod_is_available(p, rs->spec.min_ready_seconds, &in);
		if (in && (!k->check_in_ns || in < k->check_in_ns))
			k->check_in_ns = in;
	}
}

static bool
has_failure(const struct apps_v1_replica_set *rs)
{
	for (size_t i = 0; i < rs->status.n_conditions; i++)
		if (str_eq(rs->status.conditions[i].type, STR("ReplicaFailure")))
			return true;
	return false;
}

static void
write_status(struct rs_controller *r, const struct informer_obj *o, const struct counts *k,
	const struct expect *x, struct control_batch *b)
{
	const struct apps_v1_replica_set *rs = o->obj;
	const struct apps_v1_replica_set_status *st = &rs->status;
	bool failing = x->refused && k->replicas < rs->spec.replicas;
	if (st->replicas == k->replicas && st->fully_labeled_replicas == k->labeled &&
		st->ready_replicas == k->ready && st->available_replicas == k->available &&
		st->has_terminating_replicas && st->terminating_replicas == k->terminating &&
		st->observed_generation == rs->metadata.generation && has_failure(rs) == failing)
		return;
	struct control_path path = {.resource = CONTROL_REPLICASETS,
		.ns = o->ns,
		.name = o->name,
		.subresource = STR("status"),
		.onto = o};
	_cleanup_buf_ struct buf body = BUF_INIT;
	char now[40];
	buf_fmt(&body,
		"{\"metadata\":{\"uid\":\"" STR_FMT "\"},\"status\":{\"replicas\":%d,"
		"\"fullyLabeledReplicas\":%d,\"readyReplicas\":%d,\"availableReplicas\":%d,"
		"\"terminatingReplicas\":%d,\"observedGeneration\":%lld,\"conditions\":",
		STR_ARG(o->uid), k->replicas, k->labeled, k->ready, k->available, k->terminating,
		(long long)rs->metadata.generation);
	if (failing) {
		rfc3339_format(clock_wall_ns(), 0, now);
		buf_fmt(&body,
			"[{\"type\":\"ReplicaFailure\",\"status\":\"True\",\"reason\":"
			"\"FailedCreate\",\"lastTransitionTime\":\"%s\",\"message\":",
			now);
		doc_json_string(&body, str_c(x->error));
		buf_cstr(&body, "}]}}");
	} else {
		buf_cstr(&body, "null}}");
	}
	if (!body.failed)
		batch_write_text(b, r->c, CLIENT_PATCH_MERGE, &path, buf_view(&body));
}

/* ---- sync ---- */

static void
sync_set(struct rs_controller *r, const struct informer_obj *o, struct control_batch *b)
{
	const struct apps_v1_replica_set *rs = o->obj;
	struct expect *x = expect_get(r, o->key);
	struct arena *a = arena_new(1 << 24);
	size_t n = 0, n_active = 0;
	const struct informer_obj **v = a && x ? owned(r, a, o, &n) : NULL;
	const struct informer_obj **active = a ? ARENA_ARRAY(a, const struct informer_obj *, n)
					       : NULL;
	for (size_t i = 0; active && i < n; i++)
		if (pod_is_active(v[i]->obj))
			active[n_active++] = v[i];
	size_t want = rs->spec.replicas > 0 ? (size_t)rs->spec.replicas : 0;
	if (x && active && !rs->metadata.deletion_timestamp && expect_met(r, x, o->ns)) {
		if (n_active < want) {
			if (x->refused)
				x->batch = 1;
			x->refused = false;
			create_pods(r, o, x, want - n_active);
		} else {
			x->batch = 1;
			x->refused = false;
			if (n_active > want)
				delete_pods(r, o, x, active, n_active, n_active - want);
		}
	}
	if (x) {
		struct counts k = {0};
		count(rs, v, n, &k);
		write_status(r, o, &k, x, b);
		if (k.check_in_ns)
			queue_add_after(r->q, o->key, k.check_in_ns);
	}
	arena_free(a);
}

static void
on_key(void *arg, struct str key)
{
	struct rs_controller *r = arg;
	const struct informer_obj *o = informer_get(r->sets, key);
	if (!o) {
		expect_free(map_del(&r->expects, key));
		queue_done(r->q, key, false);
		return;
	}
	struct control_batch *b = batch_new(r->q, key);
	if (!b)
		return;
	sync_set(r, o, b);
	batch_close(b);
}

/* ---- changes ---- */

static void
on_set(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct rs_controller *r = arg;
	if (control_ready(r->ctl))
		queue_add(r->q, (new_ ? new_ : old)->key);
}

static void
add_owner(struct rs_controller *r, const struct informer_obj *o)
{
	const struct core_v1_pod *p = o->obj;
	const struct meta_v1_owner_reference *owner = control_owner(&p->metadata);
	_cleanup_buf_ struct buf key = BUF_INIT;
	if (owner && !str_eq(owner->kind, STR("ReplicaSet")))
		return;
	if (owner) {
		buf_fmt(&key, STR_FMT "/" STR_FMT, STR_ARG(o->ns), STR_ARG(owner->name));
		queue_add(r->q, buf_view(&key));
		return;
	}
	const struct informer_obj *set;
	for (size_t pos = 0; (set = informer_index_next(r->sets, INDEX_NS, o->ns, &pos));)
		queue_add(r->q, set->key);
}

static void
on_pod(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct rs_controller *r = arg;
	if (!control_ready(r->ctl))
		return;
	if (old)
		add_owner(r, old);
	if (new_)
		add_owner(r, new_);
}

static void
rs_ready(void *self)
{
	struct rs_controller *r = self;
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_next(r->sets, &pos));)
		queue_add(r->q, o->key);
}

static void
rs_stop(void *self)
{
	struct rs_controller *r = self;
	struct str key;
	void *v;
	queue_free(r->q);
	for (size_t pos = 0; map_next(&r->expects, &pos, &key, &v);)
		expect_free(v);
	map_release(&r->expects);
	free(r);
}

static int
rs_start(struct control *ctl, struct client *c, void **ret)
{
	struct rs_controller *r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->ctl = ctl;
	r->c = c;
	map_init(&r->expects);
	r->q = queue_new(control_loop(ctl), "replicaset", 16, on_key, r);
	r->sets = control_informer(ctl, CONTROL_REPLICASETS);
	r->pods = control_informer(ctl, CONTROL_PODS);
	*ret = r;
	if (!r->q || !r->sets || !r->pods || informer_add_handler(r->sets, on_set, NULL, r) < 0 ||
		informer_add_handler(r->pods, on_pod, NULL, r) < 0)
		return -ENOMEM;
	return 0;
}

const struct controller replicaset_controller = {
	"replicaset-controller", rs_start, rs_ready, rs_stop};
