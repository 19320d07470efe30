/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * workload_pods: creating and deleting the pods of an owner, in which order they may go, and the conditions
 * that tell of it: see workload.h. Calls run beside the sync; each says in the state what came of it. */
#include "orchestrator/control/workload_int.h"

#include <stdio.h>
#include <stdlib.h>

#define DELAY_MIN_NS (100 * NS_PER_MS)
#define DELAY_MAX_NS (60 * NS_PER_SEC)

char workload_made[] = "+", workload_gone[] = "-";

/* A creation or deletion under way. */
struct call {
	struct workload *w;
	const struct informer_obj *owner;
	const struct informer_obj *pod; /* NULL: it is made */
	char name[260];                 /* "" = not yet known */
};

static struct call *
call_new(struct workload_sync *s, const struct informer_obj *pod, struct str name)
{
	struct call *k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	k->w = s->w;
	k->owner = informer_obj_ref(s->o);
	k->pod = pod ? informer_obj_ref(pod) : NULL;
	str_copy_c(name, k->name, sizeof(k->name));
	return k;
}

static void
call_free(struct call *k)
{
	informer_obj_unref(k->owner);
	if (k->pod)
		informer_obj_unref(k->pod);
	free(k);
}

/* tell: the event of a call. */
static void
tell(const struct call *k, const char *error)
{
	const struct workload_kind *kind = k->w->k;
	struct event_ref ref = control_ref(kind->resource, k->owner);
	const char *type = error ? "Warning" : "Normal", *verb = k->pod ? "Delete" : "Create";
	const char *doing = k->pod ? "deleting" : "creating";
	struct str who = str_c(kind->component);
	char reason[32];
	snprintf(reason, sizeof(reason), "%s%s", error ? "Failed" : "Successful", verb);
	if (kind->named && error)
		client_event(k->w->c, &ref, type, reason, who, STR(""),
			"%s Pod %s in " STR_FMT " " STR_FMT " failed error: %s", verb, k->name,
			STR_ARG(ref.kind), STR_ARG(ref.name), error);
	else if (kind->named)
		client_event(k->w->c, &ref, type, reason, who, STR(""),
			"%s Pod %s in " STR_FMT " " STR_FMT " successful", verb, k->name,
			STR_ARG(ref.kind), STR_ARG(ref.name));
	else if (error)
		client_event(
			k->w->c, &ref, type, reason, who, STR(""), "Error %s: %s", doing, error);
	else
		client_event(
			k->w->c, &ref, type, reason, who, STR(""), "%sd pod: %s", verb, k->name);
}

/* ---- creating ---- */

struct doc *
workload_pod(const struct workload_sync *s, const struct core_v1_pod_template_spec *template)
{
	struct doc *d = schema_from_struct(
		s->a, SCHEMA_TYPE_OF(core_v1_pod_template_spec), template);
	struct doc *meta = d ? doc_ensure_map(s->a, d, STR("metadata")) : NULL;
	struct doc *owners = meta ? doc_list(s->a) : NULL;
	const struct str prefix[] = {s->o->name, STR("-")};
	if (!owners)
		return NULL;
	doc_set(meta, STR("creationTimestamp"), NULL);
	doc_set(meta, STR("name"), NULL);
	doc_set_str(s->a, meta, STR("generateName"), arena_cat(s->a, prefix, 2));
	doc_append(owners, control_owner_doc(s->a, s->w->k->resource, s->o));
	doc_set(meta, STR("ownerReferences"), owners);
	if (s->w->k->finalizer)
		doc_append(doc_ensure_list(s->a, meta, STR("finalizers")),
			doc_str(s->a, str_c(s->w->k->finalizer)));
	return arena_failed(s->a) ? NULL : d;
}

static void
refused(const struct call *k, struct workload_state *x, const struct client_result *r)
{
	if (!control_ns_ends(r))
		tell(k, r->e.msg);
	if (!x)
		return;
	x->refused_now = true;
	x->batch = 1;
	str_copy_c(str_c(r->e.msg), x->error, sizeof(x->error));
	int64_t now = loop_now_ns(control_loop(k->w->ctl));
	if (x->not_before > now)
		return; /* another of the same batch */
	x->delay_ns = x->delay_ns ? x->delay_ns * 2 : DELAY_MIN_NS;
	x->delay_ns = x->delay_ns > DELAY_MAX_NS ? DELAY_MAX_NS : x->delay_ns;
	x->not_before = now + x->delay_ns;
}

static void
on_created(void *arg, const struct client_result *res)
{
	struct call *k = arg;
	struct workload_state *x = map_get(&k->w->states, k->owner->uid);
	struct arena *a = arena_new(1 << 22);
	struct doc *d = NULL;
	if (res->e.code) {
		refused(k, x, res);
	} else if (a && doc_parse_json(a, res->body, NULL, &d, NULL) == 0) {
		struct str name = doc_get_str(doc_get(d, STR("metadata")), STR("name"));
		str_copy_c(name, k->name, sizeof(k->name));
		if (x)
			map_put(&x->names, name, workload_made, NULL);
		tell(k, NULL);
	}
	if (x && --x->calls == 0) {
		x->refused = x->refused_now;
		queue_add(k->w->q, k->owner->key);
	}
	arena_free(a);
	call_free(k);
}

void
workload_create(struct workload_sync *s, struct doc *const *pods, size_t n)
{
	struct workload_state *x = workload_state(s->w, s->o->uid);
	struct control_path path = {.resource = CONTROL_PODS, .ns = s->o->ns};
	int64_t now = loop_now_ns(control_loop(s->w->ctl));
	if (!x || n == 0)
		return;
	if (x->not_before > now) {
		queue_add_after(s->w->q, s->o->key, x->not_before - now);
		return;
	}
	if (!x->refused)
		x->delay_ns = 0;
	if (n > x->batch)
		n = x->batch;
	x->batch = x->batch * 2 > BURST ? BURST : x->batch * 2;
	x->since_ns = now;
	x->refused_now = false;
	for (size_t i = 0; i < n; i++) {
		struct str name = doc_get_str(doc_get(pods[i], STR("metadata")), STR("name"));
		struct call *k = pods[i] ? call_new(s, NULL, name) : NULL;
		if (!k ||
			control_write(s->w->c, CLIENT_CREATE, &path, pods[i], on_created, k) < 0) {
			if (k)
				call_free(k);
			s->b->failed = true;
			break;
		}
		x->calls++;
	}
}

void
workload_content(struct workload_sync *s)
{
	struct workload_state *x = workload_state(s->w, s->o->uid);
	if (!x)
		return;
	x->batch = 1;
	x->refused = false;
	x->delay_ns = x->not_before = 0;
	s->error = NULL;
}

/* ---- deleting ---- */

bool
workload_has_finalizer(const struct workload *w, const struct core_v1_pod *p)
{
	for (size_t i = 0; w->k->finalizer && i < p->metadata.n_finalizers; i++)
		if (str_eq_c(p->metadata.finalizers[i], w->k->finalizer))
			return true;
	return false;
}

static void
on_deleted(void *arg, const struct client_result *res)
{
	struct call *k = arg;
	struct workload_state *x = map_get(&k->w->states, k->owner->uid);
	bool failed = res->e.code && res->e.reason != R_NOT_FOUND;
	if (x && failed)
		map_del(&x->names, k->pod->name);
	if (!res->e.code || failed)
		tell(k, failed ? res->e.msg : NULL);
	if (x)
		x->calls--;
	if (failed)
		queue_add_after(k->w->q, k->owner->key, NS_PER_SEC);
	else if (x && !x->calls)
		queue_add(k->w->q, k->owner->key);
	call_free(k);
}

static int
delete_now(struct call *k)
{
	struct control_path path = {
		.resource = CONTROL_PODS, .ns = k->pod->ns, .name = k->pod->name};
	char body[120];
	int n = snprintf(body, sizeof(body), "{\"preconditions\":{\"uid\":\"" STR_FMT "\"}}",
		STR_ARG(k->pod->uid));
	return control_write_text(
		k->w->c, CLIENT_DELETE, &path, str_from(body, (size_t)n), on_deleted, k);
}

static void
on_released(void *arg, const struct client_result *res)
{
	struct call *k = arg;
	struct client_result lost = {.e = {.code = -ENOMEM, .msg = "no memory"}};
	if (res->e.code)
		on_deleted(k, res);
	else if (delete_now(k) < 0)
		on_deleted(k, &lost);
}

int
workload_release(
	struct workload *w, const struct informer_obj *pod, client_done_fn *done, void *arg)
{
	struct control_path path = {.resource = CONTROL_PODS, .ns = pod->ns, .name = pod->name};
	char body[200];
	int n = snprintf(body, sizeof(body),
		"{\"metadata\":{\"uid\":\"" STR_FMT
		"\",\"$deleteFromPrimitiveList/finalizers\":[\"%s\"]}}",
		STR_ARG(pod->uid), w->k->finalizer);
	return control_write_text(
		w->c, CLIENT_PATCH_STRATEGIC, &path, str_from(body, (size_t)n), done, arg);
}

void
workload_delete(
	struct workload_sync *s, const struct informer_obj *const *pods, size_t n, bool release)
{
	struct workload_state *x = workload_state(s->w, s->o->uid);
	if (!x || n == 0)
		return;
	x->since_ns = loop_now_ns(control_loop(s->w->ctl));
	for (size_t i = 0; i < n && i < BURST; i++) {
		struct call *k = call_new(s, pods[i], pods[i]->name);
		bool first = release && workload_has_finalizer(s->w, pods[i]->obj);
		if (!k ||
			(first ? workload_release(s->w, pods[i], on_released, k) : delete_now(k)) <
				0) {
			if (k)
				call_free(k);
			s->b->failed = true;
			break;
		}
		map_put(&x->names, pods[i]->name, workload_gone, NULL);
		x->calls++;
	}
}

/* ---- which go first ---- */

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
	size_t neighbours; /* pods of the same owner on its node */
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

void
workload_victims(struct arena *a, const struct informer_obj **pods, size_t n)
{
	struct victim *v = ARENA_ARRAY(a, struct victim, n);
	for (size_t i = 0; v && i < n; i++) {
		const struct core_v1_pod *p = pods[i]->obj;
		v[i].o = pods[i];
		for (size_t k = 0; k < n; k++)
			v[i].neighbours += p->spec.node_name.n &&
				str_eq(((const struct core_v1_pod *)pods[k]->obj)->spec.node_name,
					p->spec.node_name);
	}
	if (v)
		qsort(v, n, sizeof(*v), victim_order);
	for (size_t i = 0; v && i < n; i++)
		pods[i] = v[i].o;
}

const struct informer_obj **
workload_active(const struct workload_sync *s, size_t *ret_n)
{
	const struct informer_obj **v = ARENA_ARRAY(s->a, const struct informer_obj *, s->n_pods);
	size_t n = 0;
	for (size_t i = 0; v && i < s->n_pods; i++)
		if (pod_is_active(s->pods[i]->obj))
			v[n++] = s->pods[i];
	*ret_n = n;
	return v;
}

/* ---- conditions ---- */

struct doc *
workload_condition(const struct doc *status, struct str type)
{
	DOC_EACH (c, doc_get(status, STR("conditions")))
		if (str_eq(doc_get_str(c, STR("type")), type))
			return c;
	return NULL;
}

struct doc *
workload_set_condition(struct arena *a, struct doc *status, struct str type, bool on,
	struct str reason, struct str message)
{
	struct doc *c = workload_condition(status, type);
	struct str word = on ? STR("True") : STR("False");
	if (c ? str_eq(doc_get_str(c, STR("status")), word) &&
				str_eq(doc_get_str(c, STR("reason")), reason) &&
				str_eq(doc_get_str(c, STR("message")), message)
	      : !on)
		return NULL;
	if (!c) {
		struct doc *list = doc_ensure_list(a, status, STR("conditions"));
		c = list ? doc_map(a) : NULL;
		if (!c)
			return NULL;
		doc_append(list, c);
	}
	char now[40];
	rfc3339_format(clock_wall_ns(), 0, now);
	doc_set_str(a, c, STR("type"), type);
	doc_set_str(a, c, STR("status"), word);
	doc_set_str(a, c, STR("lastTransitionTime"), arena_str(a, str_c(now)));
	doc_set_str(a, c, STR("reason"), reason);
	doc_set_str(a, c, STR("message"), message);
	return c;
}
