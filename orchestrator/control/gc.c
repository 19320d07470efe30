/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * gc: the garbage collector: what nobody owns any more goes.
 *
 *   an object whose owners are all gone                  -> deleted (background)
 *   an owner being deleted with `foregroundDeletion`     -> dependents deleted, but for those that have another
 *                                                           owner, which they keep; none left: finalizer off
 *   an owner being deleted with `orphan`                 -> its uid leaves the dependents; finalizer off
 *
 * It sees the metadata of every stored kind through informers of PartialObjectMetadata. An owner that is not
 * in the cache is asked for once more (the cache may be behind) before anything is deleted.
 * Source: kube-controller-manager pkg/controller/garbagecollector. */
#include "orchestrator/control/control.h"
#include "orchestrator/control/custom_kinds.h"

#include "base/log.h"
#include "kinds/meta_v1.h"

#include <stdio.h>
#include <stdlib.h>

#define FOREGROUND STR("foregroundDeletion")
#define ORPHAN STR("orphan")
#define OWNER_ANY 0 /* index: uid of every owner, controlling or not */

struct gc;
struct gc_kind {
	struct gc *g;
	const struct schema_kind *kind;
	struct informer *objects; /* NULL: of a custom kind whose definition is gone */
	bool synced;
};

struct gc {
	struct control *ctl;
	struct client *c;
	struct queue *q;
	struct gc_kind **kinds;
	size_t n_kinds;
	struct custom_kinds *custom;
	struct map by_uid; /* uid -> struct entry */
	size_t synced;
};

struct entry {
	struct gc_kind *k;
	const struct informer_obj *o;
};

static const struct meta_v1_object_meta *
meta(const struct informer_obj *o)
{
	return &((const struct meta_v1_partial_object_metadata *)o->obj)->metadata;
}

static bool
has_finalizer(const struct meta_v1_object_meta *m, struct str name)
{
	for (size_t i = 0; i < m->n_finalizers; i++)
		if (str_eq(m->finalizers[i], name))
			return true;
	return false;
}

static struct client_req
req_for(const struct gc_kind *k, enum client_verb verb, struct str ns, struct str name)
{
	return (struct client_req){.verb = verb,
		.group = str_c(k->kind->group),
		.version = str_c(k->kind->version),
		.resource = str_c(k->kind->plural),
		.ns = ns,
		.name = name};
}

static void
batch_call(struct control_batch *b, struct gc *g, const struct client_req *req)
{
	if (client_call_start(g->c, req, batch_done, b, NULL) == 0)
		b->left++;
	else
		b->failed = true;
}

/* ---- dependents ---- */

static void
delete_obj(struct gc *g, struct control_batch *b, const struct entry *x, const char *policy)
{
	char body[400];
	const struct meta_v1_object_meta *m = meta(x->o);
	int n = snprintf(body, sizeof(body),
		"{\"propagationPolicy\":\"%s\",\"preconditions\":{\"uid\":\"" STR_FMT
		"\",\"resourceVersion\":\"" STR_FMT "\"}}",
		policy, STR_ARG(m->uid), STR_ARG(m->resource_version));
	struct client_req req = req_for(x->k, CLIENT_DELETE, x->o->ns, x->o->name);
	req.body = str_from(body, (size_t)n);
	batch_call(b, g, &req);
}

static void
remove_finalizer(struct gc *g, struct control_batch *b, const struct entry *x, struct str name)
{
	const struct meta_v1_object_meta *m = meta(x->o);
	_cleanup_buf_ struct buf body = BUF_INIT;
	bool first = true;
	buf_fmt(&body, "{\"metadata\":{\"resourceVersion\":\"" STR_FMT "\",\"finalizers\":[",
		STR_ARG(m->resource_version));
	for (size_t i = 0; i < m->n_finalizers; i++) {
		if (str_eq(m->finalizers[i], name))
			continue;
		if (!first)
			buf_char(&body, ',');
		doc_json_string(&body, m->finalizers[i]);
		first = false;
	}
	buf_cstr(&body, "]}}");
	struct client_req req = req_for(x->k, CLIENT_PATCH_MERGE, x->o->ns, x->o->name);
	req.body = buf_view(&body);
	if (!body.failed)
		batch_call(b, g, &req);
}

/* write_owners_as: ownerReferences of x but for those that `drop` names, of which none blocks if `unblock`; on
 * condition of its version. */
static void
write_owners_as(struct gc *g, struct control_batch *b, const struct entry *x,
	bool (*drop)(void *ctx, const struct meta_v1_owner_reference *r), void *ctx, bool unblock)
{
	const struct meta_v1_object_meta *m = meta(x->o);
	struct arena *a = arena_new(1 << 20);
	_cleanup_buf_ struct buf body = BUF_INIT;
	struct doc *list = a ? doc_list(a) : NULL;
	for (size_t i = 0; list && i < m->n_owner_references; i++) {
		struct meta_v1_owner_reference r = m->owner_references[i];
		r.block_owner_deletion = r.block_owner_deletion && !unblock;
		if (!drop(ctx, &r))
			doc_append(list,
				schema_from_struct(a, SCHEMA_TYPE_OF(meta_v1_owner_reference), &r));
	}
	buf_fmt(&body, "{\"metadata\":{\"resourceVersion\":\"" STR_FMT "\",\"ownerReferences\":",
		STR_ARG(m->resource_version));
	if (list)
		doc_write_json(&body, list);
	buf_cstr(&body, "}}");
	struct client_req req = req_for(x->k, CLIENT_PATCH_MERGE, x->o->ns, x->o->name);
	req.body = buf_view(&body);
	if (list && !body.failed)
		batch_call(b, g, &req);
	arena_free(a);
}

static void
write_owners(struct gc *g, struct control_batch *b, const struct entry *x,
	bool (*drop)(void *ctx, const struct meta_v1_owner_reference *r), void *ctx)
{
	write_owners_as(g, b, x, drop, ctx, false);
}

static bool
is_none(void *ctx, const struct meta_v1_owner_reference *r)
{
	(void)ctx, (void)r;
	return false;
}

/* unblock: its owners need not wait for it any more. */
static void
unblock(struct gc *g, struct control_batch *b, const struct entry *x)
{
	write_owners_as(g, b, x, is_none, NULL, true);
}

/* each_dependent: objects that name uid as an owner. */
static size_t
each_dependent(
	struct gc *g, struct str uid, bool (*fn)(void *ctx, const struct entry *x), void *ctx)
{
	size_t n = 0;
	for (size_t i = 0; i < g->n_kinds; i++) {
		const struct informer_obj *o;
		for (size_t pos = 0; g->kinds[i]->objects &&
			(o = informer_index_next(g->kinds[i]->objects, OWNER_ANY, uid, &pos));) {
			struct entry x = {g->kinds[i], o};
			n += fn(ctx, &x);
		}
	}
	return n;
}

/* ---- an owner that goes ---- */

struct owner_ctx {
	struct gc *g;
	struct control_batch *b;
	struct str uid;
};

static bool
blocks(const struct meta_v1_object_meta *m, struct str uid)
{
	for (size_t i = 0; i < m->n_owner_references; i++)
		if (str_eq(m->owner_references[i].uid, uid))
			return m->owner_references[i].block_owner_deletion;
	return false;
}

static bool
blocks_any(const struct meta_v1_object_meta *m)
{
	for (size_t i = 0; i < m->n_owner_references; i++)
		if (m->owner_references[i].block_owner_deletion)
			return true;
	return false;
}

/* policy_of: in which way an object that goes itself lets its own dependents go. */
static const char *
policy_of(const struct meta_v1_object_meta *m)
{
	return has_finalizer(m, ORPHAN)        ? "Orphan"
		: has_finalizer(m, FOREGROUND) ? "Foreground"
					       : "Background";
}

/* is_leaving: it waits for its dependents to go. */
static bool
is_leaving(const struct entry *x)
{
	return meta(x->o)->deletion_timestamp && has_finalizer(meta(x->o), FOREGROUND);
}

static bool
owner_stays(struct gc *g, const struct meta_v1_owner_reference *r)
{
	const struct entry *x = map_get(&g->by_uid, r->uid);
	return x && !is_leaving(x);
}

static bool
goes(void *g, const struct meta_v1_owner_reference *r)
{
	return !owner_stays(g, r);
}

static bool
count_leaving(void *ctx, const struct entry *x)
{
	*(size_t *)ctx += is_leaving(x);
	return true;
}

static bool
foreground_one(void *arg, const struct entry *x)
{
	struct owner_ctx *c = arg;
	const struct meta_v1_object_meta *m = meta(x->o);
	size_t leaving = 0;
	if (m->deletion_timestamp)
		return blocks(m, c->uid);
	for (size_t i = 0; i < m->n_owner_references; i++)
		if (owner_stays(c->g, &m->owner_references[i])) {
			write_owners(c->g, c->b, x, goes, c->g);
			return true;
		}
	size_t n = each_dependent(c->g, m->uid, count_leaving, &leaving);
	if (leaving && blocks_any(m)) /* a circle: one of those that wait for each other must not */
		unblock(c->g, c->b, x);
	else
		delete_obj(c->g, c->b, x, n ? "Foreground" : policy_of(m));
	return true;
}

static bool
is_uid(void *ctx, const struct meta_v1_owner_reference *r)
{
	const struct owner_ctx *c = ctx;
	return str_eq(r->uid, c->uid);
}

static bool
orphan_one(void *arg, const struct entry *x)
{
	struct owner_ctx *c = arg;
	write_owners(c->g, c->b, x, is_uid, c);
	return true;
}

static void
owner_going(struct gc *g, struct control_batch *b, const struct entry *x)
{
	const struct meta_v1_object_meta *m = meta(x->o);
	struct owner_ctx c = {g, b, m->uid};
	if (has_finalizer(m, ORPHAN)) {
		if (each_dependent(g, m->uid, orphan_one, &c) == 0)
			remove_finalizer(g, b, x, ORPHAN);
	} else if (has_finalizer(m, FOREGROUND)) {
		if (each_dependent(g, m->uid, foreground_one, &c) == 0)
			remove_finalizer(g, b, x, FOREGROUND);
	}
}

/* ---- an object whose owners may be gone ---- */

static struct gc_kind *
kind_of(struct gc *g, const struct meta_v1_owner_reference *r)
{
	struct str group, version;
	schema_api_version_split(r->api_version, &group, &version);
	for (size_t i = 0; i < g->n_kinds; i++)
		if (g->kinds[i]->objects && str_eq_c(group, g->kinds[i]->kind->group) &&
			str_eq_c(r->kind, g->kinds[i]->kind->kind))
			return g->kinds[i];
	return NULL;
}

/* An owner that the cache lacks is asked for; when the API says it is gone (or has another uid), the
 * object is looked at again with that owner known to be absent. */
struct owner_check {
	struct gc *g;
	struct control_batch *b;
	struct gc_kind *k;
	struct arena *a;
	struct str uid, ns, name, owner_uid; /* of the dependent, and of the owner in question */
};

static bool
owner_lives(struct gc *g, const struct meta_v1_owner_reference *r)
{
	const struct entry *x = map_get(&g->by_uid, r->uid);
	return x != NULL;
}

static bool
is_absent(void *ctx, const struct meta_v1_owner_reference *r)
{
	return !owner_lives(ctx, r);
}

static void
on_owner(void *arg, const struct client_result *r)
{
	struct owner_check *k = arg;
	struct arena *a = arena_new(1 << 24);
	struct doc *d = NULL;
	bool gone = r->http == 404;
	if (!r->e.code && a && doc_parse_json(a, r->body, NULL, &d, NULL) == 0)
		gone = !str_eq(doc_get_str(doc_get(d, STR("metadata")), STR("uid")), k->owner_uid);
	const struct entry *x = map_get(&k->g->by_uid, k->uid);
	if (gone && x && !meta(x->o)->deletion_timestamp) {
		bool any = false;
		const struct meta_v1_object_meta *m = meta(x->o);
		for (size_t i = 0; i < m->n_owner_references; i++)
			any = any || owner_lives(k->g, &m->owner_references[i]);
		if (any)
			write_owners(k->g, k->b, x, is_absent, k->g);
		else
			delete_obj(k->g, k->b, x, policy_of(m));
	}
	arena_free(a);
	struct client_result quiet = {.http = r->http};
	if (r->e.code && r->http != 404)
		quiet.e = r->e;
	batch_done(k->b, &quiet);
	arena_free(k->a);
}

static void
ask_owner(struct gc *g, struct control_batch *b, const struct entry *x,
	const struct meta_v1_owner_reference *r)
{
	struct gc_kind *k = kind_of(g, r);
	struct arena *a = k ? arena_new(1 << 12) : NULL;
	struct owner_check *check = a ? ARENA_NEW(a, struct owner_check) : NULL;
	if (!check) { /* an owner of a kind that is not served here is left alone */
		arena_free(a);
		return;
	}
	*check = (struct owner_check){.g = g,
		.b = b,
		.k = k,
		.a = a,
		.uid = arena_str(a, x->o->uid),
		.owner_uid = arena_str(a, r->uid)};
	struct str ns = k->kind->namespaced ? x->o->ns : STR_NONE;
	struct client_req req = req_for(k, CLIENT_GET, ns, r->name);
	if (client_call_start(g->c, &req, on_owner, check, NULL) < 0) {
		arena_free(a);
		b->failed = true;
		return;
	}
	b->left++;
}

static void
sync_obj(struct gc *g, struct control_batch *b, const struct entry *x)
{
	const struct meta_v1_object_meta *m = meta(x->o);
	for (size_t i = 0; i < m->n_owner_references; i++) {
		const struct entry *owner = map_get(&g->by_uid, m->owner_references[i].uid);
		if (owner && is_leaving(owner)) /* it may wait for this one */
			queue_add(g->q, m->owner_references[i].uid);
	}
	if (m->deletion_timestamp) {
		owner_going(g, b, x);
		return;
	}
	for (size_t i = 0; i < m->n_owner_references; i++)
		if (!owner_lives(g, &m->owner_references[i])) {
			ask_owner(g, b, x, &m->owner_references[i]);
			return;
		}
}

static void
on_key(void *arg, struct str uid)
{
	struct gc *g = arg;
	const struct entry *x = map_get(&g->by_uid, uid);
	if (!x) {
		queue_done(g->q, uid, false);
		return;
	}
	struct control_batch *b = batch_new(g->q, uid);
	if (!b)
		return;
	sync_obj(g, b, x);
	batch_close(b);
}

/* ---- changes ---- */

static bool
queue_one(void *arg, const struct entry *x)
{
	struct gc *g = arg;
	queue_add(g->q, x->o->uid);
	return true;
}

static void
entry_set(struct gc *g, struct gc_kind *k, const struct informer_obj *o)
{
	struct entry *x = map_get(&g->by_uid, o->uid);
	if (!x) {
		x = calloc(1, sizeof(*x));
		if (!x || map_put(&g->by_uid, o->uid, x, NULL) < 0) {
			free(x);
			return;
		}
	} else {
		informer_obj_unref(x->o);
	}
	x->k = k;
	x->o = informer_obj_ref(o);
}

static void
on_object(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct gc_kind *k = arg;
	struct gc *g = k->g;
	if (!new_) {
		struct entry *x = map_del(&g->by_uid, old->uid);
		if (x)
			informer_obj_unref(x->o);
		free(x);
		if (g->synced < g->n_kinds)
			return;
		each_dependent(g, old->uid, queue_one, g);
		/* An owner that waits for this one in the foreground. */
		for (size_t i = 0; i < meta(old)->n_owner_references; i++)
			queue_add(g->q, meta(old)->owner_references[i].uid);
		return;
	}
	entry_set(g, k, new_);
	if (g->synced < g->n_kinds)
		return;
	const struct meta_v1_object_meta *m = meta(new_);
	if (m->n_owner_references || m->deletion_timestamp)
		queue_add(g->q, new_->uid);
	if (old && meta(old)->n_owner_references != m->n_owner_references)
		for (size_t i = 0; i < meta(old)->n_owner_references; i++)
			queue_add(g->q, meta(old)->owner_references[i].uid);
}

static void
on_synced(void *arg)
{
	struct gc_kind *k = arg;
	struct gc *g = k->g;
	struct str uid;
	void *v;
	if (!k->synced)
		g->synced++;
	k->synced = true;
	if (g->synced < g->n_kinds)
		return;
	for (size_t pos = 0; map_next(&g->by_uid, &pos, &uid, &v);) {
		const struct entry *x = v;
		if (meta(x->o)->n_owner_references || meta(x->o)->deletion_timestamp)
			queue_add(g->q, uid);
	}
}

static void
index_owners(const struct informer_obj *o, informer_put_fn *put, void *ctx)
{
	const struct meta_v1_object_meta *m = meta(o);
	for (size_t i = 0; i < m->n_owner_references; i++)
		put(ctx, m->owner_references[i].uid);
}

static bool
collected(const struct schema *s, const struct schema_kind *k)
{
	uint32_t need = SCHEMA_LIST_VERB | SCHEMA_WATCH | SCHEMA_DELETE;
	const struct schema_kind *preferred = schema_resource_find(
		s, str_c(k->group), STR_NONE, str_c(k->plural));
	return (k->flags & SCHEMA_KIND_SERVED) && (k->flags & SCHEMA_KIND_STORED) &&
		(k->verbs & need) == need && preferred == k && strcmp(k->kind, "Event") != 0;
}

static void
gc_stop(void *self)
{
	struct gc *g = self;
	struct str uid;
	void *v;
	for (size_t i = 0; i < g->n_kinds; i++)
		informer_free(g->kinds[i]->objects);
	queue_free(g->q);
	for (size_t pos = 0; map_next(&g->by_uid, &pos, &uid, &v);) {
		struct entry *x = v;
		informer_obj_unref(x->o);
		free(x);
	}
	map_release(&g->by_uid);
	for (size_t i = 0; i < g->n_kinds; i++)
		free(g->kinds[i]);
	custom_kinds_free(g->custom);
	free(g->kinds);
	free(g);
}

/* kind_watch: objects of the kind come in from now on. */
static int
kind_watch(struct gc_kind *k)
{
	struct informer_spec spec = {.group = str_c(k->kind->group),
		.version = str_c(k->kind->version),
		.resource = str_c(k->kind->plural),
		.type = SCHEMA_TYPE_OF(meta_v1_partial_object_metadata),
		.on_change = on_object,
		.on_synced = on_synced,
		.arg = k};
	int rc = informer_new(control_reader(k->g->ctl), &spec, &k->objects);
	return rc < 0 ? rc : informer_add_index(k->objects, OWNER_ANY, index_owners);
}

static int
kind_add(struct gc *g, const struct schema_kind *kind)
{
	struct gc_kind **more = realloc(g->kinds, (g->n_kinds + 1) * sizeof(*more));
	if (more)
		g->kinds = more;
	struct gc_kind *k = more ? calloc(1, sizeof(*k)) : NULL;
	if (!k)
		return -ENOMEM;
	/* custom kinds are not waited for: an owner the cache lacks is asked for anyway */
	*k = (struct gc_kind){.g = g, .kind = kind, .synced = kind->custom};
	g->kinds[g->n_kinds++] = k;
	g->synced += k->synced;
	return kind_watch(k);
}

/* kind_leave: its objects went before its definition did; what the cache has of them goes now. The place is kept:
 * checks under way may hold it. */
static void
kind_leave(struct gc_kind *k)
{
	struct gc *g = k->g;
	struct str uid;
	void *v;
	informer_free(k->objects);
	k->objects = NULL;
	if (!k->synced)
		g->synced++;
	k->synced = true;
	for (size_t pos = 0; map_next(&g->by_uid, &pos, &uid, &v);) {
		struct entry *x = v;
		if (x->k != k)
			continue;
		map_del(&g->by_uid, uid);
		informer_obj_unref(x->o);
		free(x);
	}
}

static void
on_custom(void *arg, const struct schema_kind *kind, bool there)
{
	struct gc *g = arg;
	for (size_t i = 0; i < g->n_kinds; i++) {
		if (g->kinds[i]->kind != kind)
			continue;
		if (!there)
			kind_leave(g->kinds[i]);
		else if (!g->kinds[i]->objects && kind_watch(g->kinds[i]) < 0)
			log_warn("objects of %s are not collected: out of memory", kind->kind);
		return;
	}
	if (there && kind_add(g, kind) < 0)
		log_warn("objects of %s are not collected: out of memory", kind->kind);
}

static int
gc_start(struct control *ctl, struct client *c, void **ret)
{
	const struct schema *s = schema_builtin();
	struct gc *g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->ctl = ctl;
	g->c = c;
	map_init(&g->by_uid);
	g->q = queue_new(control_loop(ctl), "gc", 32, on_key, g);
	*ret = g;
	if (!g->q)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_kinds; i++) {
		int rc = collected(s, s->kinds[i]) ? kind_add(g, s->kinds[i]) : 0;
		if (rc < 0)
			return rc;
	}
	return custom_kinds_new(control_reader(ctl), on_custom, g, &g->custom);
}

const struct controller gc_controller = {"generic-garbage-collector", gc_start, NULL, gc_stop};
