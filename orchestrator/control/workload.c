/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * workload: the life of a controller of pods, and which pods are whose: see workload.h. What it does to pods
 * is in workload_pods.c. */
#include "orchestrator/control/workload_int.h"

#include <stdlib.h>

/* ---- what is remembered of an owner ---- */

static void
state_free(const struct workload *w, struct workload_state *x)
{
	if (!x)
		return;
	if (w->k->forget)
		w->k->forget(x->memory);
	map_release(&x->names);
	free(x->memory);
	free(x);
}

struct workload_state *
workload_state(struct workload *w, struct str uid)
{
	struct workload_state *x = map_get(&w->states, uid);
	if (x)
		return x;
	x = calloc(1, sizeof(*x));
	if (!x)
		return NULL;
	map_init(&x->names);
	x->batch = 1;
	x->memory = calloc(1, w->k->memory + 1);
	if (!x->memory || map_put(&w->states, uid, x, NULL) < 0) {
		map_release(&x->names);
		free(x->memory);
		free(x);
		return NULL;
	}
	return x;
}

/* met: has the cache seen everything that was done? */
static bool
met(struct workload *w, struct workload_state *x, struct str ns)
{
	struct str name;
	void *how;
	if (x->calls)
		return false;
	for (size_t pos = 0; map_next(&x->names, &pos, &name, &how);) {
		_cleanup_buf_ struct buf key = BUF_INIT;
		buf_fmt(&key, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
		const struct informer_obj *o = informer_get(w->pods, buf_view(&key));
		const struct core_v1_pod *p = o ? o->obj : NULL;
		bool seen = how == workload_made ? p != NULL
						 : !p || p->metadata.deletion_timestamp != 0;
		if (seen)
			map_del(&x->names, name);
	}
	return map_len(&x->names) == 0 ||
		loop_now_ns(control_loop(w->ctl)) - x->since_ns > EXPECT_NS;
}

/* ---- which pods are whose ---- */

/* claim: an orphan that the selector names is adopted, a pod it no longer names is released. */
static void
claim(struct workload_sync *s, const struct informer_obj *pod, bool adopt)
{
	struct control_path path = {.resource = CONTROL_PODS, .ns = pod->ns, .name = pod->name};
	struct buf b;
	buf_init_arena(&b, s->a);
	buf_cstr(&b, "{\"metadata\":{\"ownerReferences\":[");
	if (adopt)
		doc_write_json(&b, control_owner_doc(s->a, s->w->k->resource, s->o));
	else
		buf_fmt(&b, "{\"$patch\":\"delete\",\"uid\":\"" STR_FMT "\"}", STR_ARG(s->o->uid));
	buf_fmt(&b, "],\"uid\":\"" STR_FMT "\"", STR_ARG(pod->uid));
	if (s->w->k->finalizer)
		buf_fmt(&b, ",\"%s\":[\"%s\"]",
			adopt ? "finalizers" : "$deleteFromPrimitiveList/finalizers",
			s->w->k->finalizer);
	buf_cstr(&b, "}}");
	if (!b.failed)
		batch_write_text(s->b, s->w->c, CLIENT_PATCH_STRATEGIC, &path, buf_view(&b));
}

static bool
is_member(const struct workload_sync *s, const struct selector *sel, const struct core_v1_pod *p)
{
	return selector_match_pairs(sel, p->metadata.labels, p->metadata.n_labels) &&
		(!s->w->k->member || s->w->k->member(s->o, p));
}

static void
add_pod(struct workload_sync *s, const struct informer_obj *pod)
{
	const struct informer_obj **slot = ARENA_PUSH(s->a, s->pods, s->n_pods);
	if (slot)
		*slot = pod;
}

/* find_pods: the owner's pods; adopts and releases on the way. One that is being adopted counts already. */
static void
find_pods(struct workload_sync *s)
{
	struct workload *w = s->w;
	const struct meta_v1_object_meta *m = control_meta(w->k->resource, s->o);
	const struct informer_obj *pod;
	struct selector sel;
	if (w->k->selector(s->a, s->o->obj, &sel) < 0)
		return;
	for (size_t pos = 0; (pod = informer_index_next(w->pods, INDEX_OWNER, s->o->uid, &pos));) {
		const struct core_v1_pod *p = pod->obj;
		if (is_member(s, &sel, p))
			add_pod(s, pod);
		else if (!p->metadata.deletion_timestamp && !m->deletion_timestamp)
			claim(s, pod, false);
	}
	if (m->deletion_timestamp || sel.nothing)
		return;
	for (size_t pos = 0; (pod = informer_index_next(w->pods, INDEX_ORPHAN, s->o->ns, &pos));) {
		const struct core_v1_pod *p = pod->obj;
		if (!pod_is_active(p) || !is_member(s, &sel, p))
			continue;
		claim(s, pod, true);
		add_pod(s, pod);
	}
}

/* ---- sync ---- */

static void
sync_owner(struct workload *w, const struct informer_obj *o, struct workload_state *x,
	struct control_batch *b)
{
	struct workload_sync s = {.w = w, .a = arena_new(64u << 20), .b = b, .o = o};
	if (!s.a) {
		b->failed = true;
		return;
	}
	s.memory = x->memory;
	s.met = met(w, x, o->ns);
	find_pods(&s);
	s.error = x->refused ? x->error : NULL;
	if (arena_failed(s.a))
		b->failed = true;
	else
		w->k->sync(&s);
	arena_free(s.a);
}

static void
on_key(void *arg, struct str key)
{
	struct workload *w = arg;
	const struct informer_obj *o = informer_get(w->owners, key);
	if (!o) {
		queue_done(w->q, key, false);
		return;
	}
	struct workload_state *x = workload_state(w, o->uid);
	struct control_batch *b = batch_new(w->q, key);
	if (!b)
		return;
	o = informer_obj_ref(o);
	if (x)
		sync_owner(w, o, x, b);
	else
		b->failed = true;
	batch_close(b);
	informer_obj_unref(o);
}

/* ---- changes ---- */

/* orphaned: a pod whose owner is gone would wait for the finalizer's end for ever. */
static void
orphaned(struct workload *w, const struct informer_obj *pod)
{
	if (workload_has_finalizer(w, pod->obj))
		workload_release(w, pod, control_ignore, NULL);
}

static void
on_owner(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct workload *w = arg;
	const struct informer_obj *pod;
	if (!control_ready(w->ctl))
		return;
	if (w->k->changed)
		w->k->changed(w, old, new_);
	queue_add(w->q, (new_ ? new_ : old)->key);
	/* One of the same name may come: it must not wait for what this one did. */
	if (old && (!new_ || !str_eq(old->uid, new_->uid)))
		state_free(w, map_del(&w->states, old->uid));
	for (size_t pos = 0; !new_ && w->k->finalizer &&
		(pod = informer_index_next(w->pods, INDEX_OWNER, old->uid, &pos));)
		orphaned(w, pod);
}

static void
add_owner(struct workload *w, const struct informer_obj *pod, bool there)
{
	const struct core_v1_pod *p = pod->obj;
	const struct meta_v1_owner_reference *owner = control_owner(&p->metadata);
	const struct informer_obj *o;
	_cleanup_buf_ struct buf key = BUF_INIT;
	if (owner && !control_is_kind(w->k->resource, owner->api_version, owner->kind))
		return;
	if (owner) {
		buf_fmt(&key, STR_FMT "/" STR_FMT, STR_ARG(pod->ns), STR_ARG(owner->name));
		o = informer_get(w->owners, buf_view(&key));
		if (o && str_eq(o->uid, owner->uid))
			queue_add(w->q, o->key);
		else if (there)
			orphaned(w, pod);
		return;
	}
	if (there)
		orphaned(w, pod);
	for (size_t pos = 0; (o = informer_index_next(w->owners, INDEX_NS, pod->ns, &pos));)
		queue_add(w->q, o->key);
}

static void
on_pod(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct workload *w = arg;
	if (!control_ready(w->ctl))
		return;
	if (old)
		add_owner(w, old, false);
	if (new_)
		add_owner(w, new_, true);
}

/* ---- life ---- */

void
workload_ready(void *self)
{
	struct workload *w = self;
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_next(w->owners, &pos));)
		queue_add(w->q, o->key);
	for (size_t pos = 0; w->k->finalizer && (o = informer_next(w->pods, &pos));)
		add_owner(w, o, true);
}

void
workload_stop(void *self)
{
	struct workload *w = self;
	struct str key;
	void *v;
	queue_free(w->q);
	for (size_t pos = 0; map_next(&w->states, &pos, &key, &v);)
		state_free(w, v);
	map_release(&w->states);
	free(w->more);
	free(w);
}

int
workload_start(const struct workload_kind *k, struct control *ctl, struct client *c, void **ret)
{
	struct workload *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->k = k;
	w->ctl = ctl;
	w->c = c;
	map_init(&w->states);
	w->q = queue_new(control_loop(ctl), k->component, 16, on_key, w);
	w->owners = control_informer(ctl, k->resource);
	w->pods = control_informer(ctl, CONTROL_PODS);
	*ret = w;
	if (!w->q || !w->owners || !w->pods ||
		informer_add_handler(w->owners, on_owner, NULL, w) < 0 ||
		informer_add_handler(w->pods, on_pod, NULL, w) < 0)
		return -ENOMEM;
	return 0;
}
