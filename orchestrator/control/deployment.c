/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * deployment: which ReplicaSets a Deployment has, which of them has today's template, revisions, and the
 * writes of one sync. Scale writes carry the resourceVersion they were computed from: on a stale
 * cache they conflict, and the key is tried again. */
#include "orchestrator/control/deployment.h"

#include "orchestrator/control/history.h"

#include "base/rand.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- templates ---- */

/* template_text: canonical JSON of a template without the hash label. */
static struct str
template_text(struct arena *a, const struct core_v1_pod_template_spec *t)
{
	struct buf b;
	struct doc *d = schema_from_struct(a, SCHEMA_TYPE_OF(core_v1_pod_template_spec), t);
	struct doc *labels = d ? doc_get(doc_get(d, STR("metadata")), STR("labels")) : NULL;
	if (labels && labels->type == DOC_MAP)
		doc_set(labels, TEMPLATE_HASH, NULL);
	if (labels && doc_len(labels) == 0)
		doc_set(doc_get(d, STR("metadata")), STR("labels"), NULL);
	buf_init_arena(&b, a);
	if (d)
		doc_write_json(&b, d);
	return buf_view(&b);
}

static int64_t
revision_of(const struct meta_v1_object_meta *m)
{
	int64_t v;
	struct str s = control_annotation(m, REVISION);
	return s.n && str_to_i64(s, &v) == 0 ? v : 0;
}

/* ---- the sets of a deployment ---- */

static int
age_order(const void *px, const void *py)
{
	const struct rollout_set *x = px, *y = py;
	int64_t ax = x->rs->metadata.creation_timestamp, ay = y->rs->metadata.creation_timestamp;
	return ax != ay ? (ax < ay ? -1 : 1) : str_cmp(x->o->name, y->o->name);
}

static void
adopt(struct rollout *x, const struct informer_obj *set)
{
	struct buf b;
	struct control_path path = {
		.resource = CONTROL_REPLICASETS, .ns = set->ns, .name = set->name};
	buf_init_arena(&b, x->a);
	buf_cstr(&b, "{\"metadata\":{\"ownerReferences\":[");
	doc_write_json(&b, control_owner_doc(x->a, CONTROL_DEPLOYMENTS, x->o));
	buf_fmt(&b, "],\"uid\":\"" STR_FMT "\"}}", STR_ARG(set->uid));
	if (!b.failed)
		batch_write_text(x->b, x->dc->c, CLIENT_PATCH_STRATEGIC, &path, buf_view(&b));
}

static void
find_sets(struct rollout *x)
{
	const struct informer_obj *o;
	struct selector sel;
	for (size_t pos = 0;
		(o = informer_index_next(x->dc->sets, INDEX_OWNER, x->o->uid, &pos));) {
		struct rollout_set *s = ARENA_PUSH(x->a, x->olds, x->n_olds);
		if (s)
			*s = (struct rollout_set){.o = o, .rs = o->obj};
	}
	if (x->n_olds)
		qsort(x->olds, x->n_olds, sizeof(*x->olds), age_order);
	if (x->d->metadata.deletion_timestamp ||
		selector_from_struct(x->a, x->d->spec.selector, &sel) < 0)
		return;
	for (size_t pos = 0; (o = informer_index_next(x->dc->sets, INDEX_NS, x->o->ns, &pos));) {
		const struct apps_v1_replica_set *rs = o->obj;
		if (!control_owner(&rs->metadata) && !rs->metadata.deletion_timestamp &&
			selector_match_pairs(&sel, rs->metadata.labels, rs->metadata.n_labels))
			adopt(x, o);
	}
}

/* find_now: the oldest set with today's template leaves the list of old ones. */
static void
find_now(struct rollout *x, struct str text)
{
	for (size_t i = 0; i < x->n_olds; i++) {
		if (!str_eq(template_text(x->a, &x->olds[i].rs->spec.template), text))
			continue;
		x->now = ARENA_NEW(x->a, struct rollout_set);
		if (!x->now)
			return;
		*x->now = x->olds[i];
		memmove(&x->olds[i], &x->olds[i + 1], (x->n_olds - i - 1) * sizeof(*x->olds));
		x->n_olds--;
		return;
	}
}

static int64_t
next_revision(const struct rollout *x)
{
	int64_t max = 0;
	for (size_t i = 0; i < x->n_olds; i++) {
		int64_t v = revision_of(&x->olds[i].rs->metadata);
		max = v > max ? v : max;
	}
	int64_t own = x->now ? revision_of(&x->now->rs->metadata) : 0;
	return own > max ? own : max + 1;
}

/* ---- writes ---- */

static bool
copied_annotation(struct str key)
{
	static const char *const kept_back[] = {"kubectl.kubernetes.io/last-applied-configuration",
		"deployment.kubernetes.io/revision", "deployment.kubernetes.io/revision-history",
		"deployment.kubernetes.io/desired-replicas",
		"deployment.kubernetes.io/max-replicas", "deprecated.deployment.rollback.to"};
	for (size_t i = 0; i < ARRAY_LEN(kept_back); i++)
		if (str_eq_c(key, kept_back[i]))
			return false;
	return true;
}

/* annotations: of the new set: the deployment's own, its revision, and what scaling needs. */
static struct doc *
annotations(struct rollout *x, int64_t revision)
{
	struct doc *d = doc_map(x->a);
	int32_t surge, unavailable;
	rollout_bounds(x->d, &surge, &unavailable);
	for (size_t i = 0; d && i < x->d->metadata.n_annotations; i++)
		if (copied_annotation(x->d->metadata.annotations[i].key))
			doc_set_str(x->a, d, x->d->metadata.annotations[i].key,
				x->d->metadata.annotations[i].value);
	if (!d)
		return NULL;
	doc_set_str(x->a, d, DESIRED, arena_fmt(x->a, "%d", x->d->spec.replicas));
	doc_set_str(x->a, d, MAX_REPLICAS, arena_fmt(x->a, "%d", x->d->spec.replicas + surge));
	doc_set_str(x->a, d, REVISION, arena_fmt(x->a, "%lld", (long long)revision));
	return d;
}

static struct doc *
new_set_doc(struct rollout *x, struct str hash, int32_t replicas, int64_t revision)
{
	struct arena *a = x->a;
	struct doc *d = doc_map(a), *meta = doc_map(a), *spec = doc_map(a), *owners = doc_list(a);
	struct doc *tmpl = schema_from_struct(
		a, SCHEMA_TYPE_OF(core_v1_pod_template_spec), &x->d->spec.template);
	struct doc *sel = x->d->spec.selector
		? schema_from_struct(a, SCHEMA_TYPE_OF(meta_v1_label_selector), x->d->spec.selector)
		: NULL;
	if (!d || !meta || !spec || !owners || !tmpl || !sel)
		return NULL;
	const struct str name[] = {x->o->name, STR("-"), hash};
	struct doc *tmpl_labels = doc_ensure_map(
		a, doc_ensure_map(a, tmpl, STR("metadata")), STR("labels"));
	doc_set_str(a, tmpl_labels, TEMPLATE_HASH, hash);
	doc_set_str(a, doc_ensure_map(a, sel, STR("matchLabels")), TEMPLATE_HASH, hash);
	doc_set_str(a, meta, STR("name"), arena_cat(a, name, 3));
	doc_set_str(a, meta, STR("namespace"), x->o->ns);
	doc_set(meta, STR("labels"), doc_copy(a, tmpl_labels));
	doc_set(meta, STR("annotations"), annotations(x, revision));
	doc_append(owners, control_owner_doc(a, CONTROL_DEPLOYMENTS, x->o));
	doc_set(meta, STR("ownerReferences"), owners);
	doc_set_int(a, spec, STR("replicas"), replicas);
	if (x->d->spec.min_ready_seconds)
		doc_set_int(a, spec, STR("minReadySeconds"), x->d->spec.min_ready_seconds);
	doc_set(spec, STR("selector"), sel);
	doc_set(spec, STR("template"), tmpl);
	doc_set(d, STR("metadata"), meta);
	doc_set(d, STR("spec"), spec);
	return arena_failed(a) ? NULL : d;
}

/* A creation that hits a name in use by another template counts a collision. */
struct set_creation {
	struct control_batch *b;
	struct deployment_controller *dc;
	const struct informer_obj *o;
	struct str name;
	struct arena *a;
	int32_t replicas;
};

static void
collision(struct set_creation *k)
{
	const struct apps_v1_deployment *d = k->o->obj;
	char body[120];
	int n = snprintf(body, sizeof(body), "{\"status\":{\"collisionCount\":%d}}",
		d->status.collision_count + 1);
	struct control_path path = {.resource = CONTROL_DEPLOYMENTS,
		.ns = k->o->ns,
		.name = k->o->name,
		.subresource = STR("status"),
		.onto = k->o};
	batch_write_text(k->b, k->dc->c, CLIENT_PATCH_MERGE, &path, str_from(body, (size_t)n));
}

static void
on_set_created(void *arg, const struct client_result *r)
{
	struct set_creation *k = arg;
	struct event_ref ref = control_ref(CONTROL_DEPLOYMENTS, k->o);
	_cleanup_buf_ struct buf key = BUF_INIT;
	buf_fmt(&key, STR_FMT "/" STR_FMT, STR_ARG(k->o->ns), STR_ARG(k->name));
	const struct informer_obj *there = informer_get(k->dc->sets, buf_view(&key));
	const struct meta_v1_owner_reference *owner = there
		? control_owner(control_meta(CONTROL_REPLICASETS, there))
		: NULL;
	if (r->e.code && r->e.reason == R_ALREADY_EXISTS && there &&
		(!owner || !str_eq(owner->uid, k->o->uid)))
		collision(k);
	else if (r->e.code && r->e.reason != R_ALREADY_EXISTS)
		client_event(k->dc->c, &ref, "Warning", "ReplicaSetCreateError",
			STR("deployment-controller"), STR(""),
			"Failed to create new replica set \"" STR_FMT "\": %s", STR_ARG(k->name),
			r->e.msg);
	else if (!r->e.code && k->replicas)
		client_event(k->dc->c, &ref, "Normal", "ScalingReplicaSet",
			STR("deployment-controller"), STR(""),
			"Scaled up replica set " STR_FMT " from 0 to %d", STR_ARG(k->name),
			k->replicas);
	batch_done(k->b, r);
	informer_obj_unref(k->o);
	arena_free(k->a);
}

/* create_set: with as many replicas as may be there now. */
static void
create_set(struct rollout *x, struct str hash, int64_t revision)
{
	int32_t surge, unavailable, have = 0, n = x->d->spec.replicas;
	rollout_bounds(x->d, &surge, &unavailable);
	for (size_t i = 0; i < x->n_olds; i++)
		have += x->olds[i].rs->spec.replicas;
	if (str_eq(x->d->spec.strategy.type, STR("RollingUpdate"))) {
		int32_t room = x->d->spec.replicas + surge - have;
		n = room < 0 ? 0 : room < n ? room : n;
	} else if (have > 0) {
		n = 0;
	}
	struct doc *d = new_set_doc(x, hash, n, revision);
	struct arena *a = arena_new(1 << 12);
	struct set_creation *k = a ? ARENA_NEW(a, struct set_creation) : NULL;
	struct control_path path = {.resource = CONTROL_REPLICASETS, .ns = x->o->ns};
	if (!d || !k) {
		arena_free(a);
		return;
	}
	*k = (struct set_creation){.b = x->b,
		.dc = x->dc,
		.o = informer_obj_ref(x->o),
		.a = a,
		.replicas = n,
		.name = arena_str(a, doc_get_str(doc_get(d, STR("metadata")), STR("name")))};
	if (control_write(x->dc->c, CLIENT_CREATE, &path, d, on_set_created, k) < 0) {
		informer_obj_unref(k->o);
		arena_free(a);
		x->b->failed = true;
		return;
	}
	x->b->left++;
}

/* scale_set: replicas and annotations of one set, on condition of the state they were computed from. */
static void
scale_set(struct rollout *x, struct rollout_set *s, struct doc *notes)
{
	int32_t have = s->rs->spec.replicas;
	struct doc *d = doc_map(x->a), *meta = doc_map(x->a), *spec = doc_map(x->a);
	struct event_ref ref = control_ref(CONTROL_DEPLOYMENTS, x->o);
	struct control_path path = {
		.resource = CONTROL_REPLICASETS, .ns = s->o->ns, .name = s->o->name};
	if (!d || !meta || !spec)
		return;
	doc_set_str(x->a, meta, STR("resourceVersion"), s->rs->metadata.resource_version);
	doc_set(meta, STR("annotations"), notes);
	doc_set_int(x->a, spec, STR("replicas"), s->want);
	doc_set(d, STR("metadata"), meta);
	doc_set(d, STR("spec"), spec);
	if (batch_write(x->b, x->dc->c, CLIENT_PATCH_MERGE, &path, d) == 0 && s->want != have)
		client_event(x->dc->c, &ref, "Normal", "ScalingReplicaSet",
			STR("deployment-controller"), STR(""),
			"Scaled %s replica set " STR_FMT " from %d to %d",
			s->want > have ? "up" : "down", STR_ARG(s->o->name), have, s->want);
}

static struct doc *
scale_notes(struct rollout *x)
{
	struct doc *d = doc_map(x->a);
	int32_t surge, unavailable;
	rollout_bounds(x->d, &surge, &unavailable);
	if (!d)
		return NULL;
	doc_set_str(x->a, d, DESIRED, arena_fmt(x->a, "%d", x->d->spec.replicas));
	doc_set_str(x->a, d, MAX_REPLICAS, arena_fmt(x->a, "%d", x->d->spec.replicas + surge));
	return d;
}

static bool
notes_differ(const struct rollout_set *s, const struct doc *notes)
{
	DOC_EACH (note, notes)
		if (!str_eq(control_annotation(&s->rs->metadata, note->key), note->s))
			return true;
	return false;
}

static void
write_scales(struct rollout *x, int64_t revision)
{
	for (size_t i = 0; i < x->n_olds; i++) {
		struct rollout_set *s = &x->olds[i];
		struct doc *notes = scale_notes(x);
		if (s->want != s->rs->spec.replicas ||
			(s->rs->spec.replicas > 0 && notes_differ(s, notes)))
			scale_set(x, s, notes);
	}
	struct doc *notes = x->now ? annotations(x, revision) : NULL;
	if (x->now && (x->now->want != x->now->rs->spec.replicas || notes_differ(x->now, notes)))
		scale_set(x, x->now, notes);
}

static void
write_revision(struct rollout *x, int64_t revision)
{
	struct control_path path = {
		.resource = CONTROL_DEPLOYMENTS, .ns = x->o->ns, .name = x->o->name, .onto = x->o};
	if (revision_of(&x->d->metadata) == revision)
		return;
	struct str body = arena_fmt(x->a,
		"{\"metadata\":{\"annotations\":{\"" STR_FMT "\":\"%lld\"}}}", STR_ARG(REVISION),
		(long long)revision);
	if (body.n)
		batch_write_text(x->b, x->dc->c, CLIENT_PATCH_MERGE, &path, body);
}

/* cleanup: old sets without pods beyond the history limit go, the oldest revisions first. */
static void
cleanup(struct rollout *x)
{
	size_t limit = x->d->spec.has_revision_history_limit
		? (size_t)x->d->spec.revision_history_limit
		: 10;
	size_t n = x->n_olds;
	for (size_t i = 0; i < x->n_olds && n > limit; i++) {
		const struct apps_v1_replica_set *rs = x->olds[i].rs;
		if (rs->spec.replicas || rs->status.replicas || rs->metadata.deletion_timestamp ||
			rs->metadata.generation > rs->status.observed_generation)
			continue;
		struct control_path path = {.resource = CONTROL_REPLICASETS,
			.ns = x->olds[i].o->ns,
			.name = x->olds[i].o->name};
		batch_write_text(x->b, x->dc->c, CLIENT_DELETE, &path,
			STR("{\"propagationPolicy\":\"Background\"}"));
		n--;
	}
}

/* ---- sync ---- */

static void
sync_deployment(struct rollout *x)
{
	find_sets(x);
	struct str text = template_text(x->a, &x->d->spec.template);
	find_now(x, text);
	if (!x->d->metadata.deletion_timestamp) {
		int64_t revision = next_revision(x);
		if (!x->now && !x->d->spec.paused)
			create_set(x, history_hash(x->a, text, x->d->status.collision_count),
				revision);
		rollout_plan(x);
		write_scales(x, revision);
		if (x->now)
			write_revision(x, revision);
		if (rollout_complete(x))
			cleanup(x);
	}
	rollout_status(x, STR_NONE);
	if (x->check_in_ns)
		queue_add_after(x->dc->q, x->o->key, x->check_in_ns + NS_PER_SEC);
}

static void
on_key(void *arg, struct str key)
{
	struct deployment_controller *dc = arg;
	const struct informer_obj *o = informer_get(dc->deployments, key);
	if (!o) {
		queue_done(dc->q, key, false);
		return;
	}
	struct rollout x = {
		.dc = dc, .a = arena_new(64u << 20), .o = informer_obj_ref(o), .d = o->obj};
	if (!x.a) {
		informer_obj_unref(o);
		queue_done(dc->q, key, true);
		return;
	}
	x.b = batch_new(dc->q, key);
	if (x.b) {
		sync_deployment(&x);
		batch_close(x.b);
	}
	informer_obj_unref(x.o);
	arena_free(x.a);
}

/* ---- changes ---- */

static void
on_deployment(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct deployment_controller *dc = arg;
	if (control_ready(dc->ctl))
		queue_add(dc->q, (new_ ? new_ : old)->key);
}

static void
add_owner(struct deployment_controller *dc, const struct informer_obj *o)
{
	const struct meta_v1_owner_reference *owner = control_owner(
		control_meta(CONTROL_REPLICASETS, o));
	_cleanup_buf_ struct buf key = BUF_INIT;
	const struct informer_obj *d;
	if (owner && str_eq(owner->kind, STR("Deployment"))) {
		buf_fmt(&key, STR_FMT "/" STR_FMT, STR_ARG(o->ns), STR_ARG(owner->name));
		queue_add(dc->q, buf_view(&key));
	} else if (!owner) {
		for (size_t pos = 0;
			(d = informer_index_next(dc->deployments, INDEX_NS, o->ns, &pos));)
			queue_add(dc->q, d->key);
	}
}

static void
on_set(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct deployment_controller *dc = arg;
	if (!control_ready(dc->ctl))
		return;
	if (old)
		add_owner(dc, old);
	if (new_)
		add_owner(dc, new_);
}

/* A pod that has gone lets a Recreate rollout go on. */
static void
on_pod(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct deployment_controller *dc = arg;
	if (new_ || !control_ready(dc->ctl))
		return;
	const struct meta_v1_owner_reference *owner = control_owner(
		control_meta(CONTROL_PODS, old));
	_cleanup_buf_ struct buf key = BUF_INIT;
	if (!owner || !str_eq(owner->kind, STR("ReplicaSet")))
		return;
	buf_fmt(&key, STR_FMT "/" STR_FMT, STR_ARG(old->ns), STR_ARG(owner->name));
	const struct informer_obj *set = informer_get(dc->sets, buf_view(&key));
	if (set)
		add_owner(dc, set);
}

static void
deployment_ready(void *self)
{
	struct deployment_controller *dc = self;
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_next(dc->deployments, &pos));)
		queue_add(dc->q, o->key);
}

static void
deployment_stop(void *self)
{
	struct deployment_controller *dc = self;
	queue_free(dc->q);
	free(dc);
}

static int
deployment_start(struct control *ctl, struct client *c, void **ret)
{
	struct deployment_controller *dc = calloc(1, sizeof(*dc));
	if (!dc)
		return -ENOMEM;
	dc->ctl = ctl;
	dc->c = c;
	dc->q = queue_new(control_loop(ctl), "deployment", 16, on_key, dc);
	dc->deployments = control_informer(ctl, CONTROL_DEPLOYMENTS);
	dc->sets = control_informer(ctl, CONTROL_REPLICASETS);
	dc->pods = control_informer(ctl, CONTROL_PODS);
	*ret = dc;
	if (!dc->q || !dc->deployments || !dc->sets || !dc->pods ||
		informer_add_handler(dc->deployments, on_deployment, NULL, dc) < 0 ||
		informer_add_handler(dc->sets, on_set, NULL, dc) < 0 ||
		informer_add_handler(dc->pods, on_pod, NULL, dc) < 0)
		return -ENOMEM;
	return 0;
}

const struct controller deployment_controller = {
	"deployment-controller", deployment_start, deployment_ready, deployment_stop};
