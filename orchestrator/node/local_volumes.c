/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * local_volumes: directories of node-local volumes go before their objects. The node watches the volumes that are
 * labelled as its own; one that is marked as deleted, has our finalizer and the policy Delete, and is used by
 * no pod here any more, has its directory removed by a helper thread, then the finalizer taken off.
 *
 *   deleted, ours, not in use -> removal (thread) -> finalizer off -> the object goes
 *
 * Level-triggered: every change, and every pod that is gone, looks at all of them. Idempotent: a killed
 * node does it again. Must not: remove anything but LOCAL_VOLUME_ROOT/<name of the object>.
 * Source: sig-storage-lib-external-provisioner; kubelet (a volume is not in use before the pod is gone). */
#include "orchestrator/node/node_int.h"

#include "orchestrator/kinds/local_volume.h"
#include "storage/volume/volume.h"

#define AGAIN_NS (5 * NS_PER_SEC)

struct local_volumes {
	struct node *n;
	struct informer *inf;
	struct loop_work work;
	struct loop_timer again;
	struct map busy; /* name -> struct removal */
};

/* One directory on its way out. */
struct removal {
	struct local_volumes *x;
	const struct informer_obj *o; /* held */
	char dir[NODE_PATH];
	struct err e;
};

static const struct core_v1_persistent_volume *
volume_of(const struct informer_obj *o)
{
	return o->obj;
}

/* ---- which ---- */

static bool
has_finalizer(const struct core_v1_persistent_volume *v)
{
	for (size_t i = 0; i < v->metadata.n_finalizers; i++)
		if (str_eq_c(v->metadata.finalizers[i], LOCAL_VOLUME_FINALIZER))
			return true;
	return false;
}

/* dir_of: false when the volume is not one whose directory may be removed. */
static bool
dir_of(const struct core_v1_persistent_volume *v, char out[NODE_PATH])
{
	struct str name = v->metadata.name;
	int n = snprintf(out, NODE_PATH, LOCAL_VOLUME_ROOT "/" STR_FMT, STR_ARG(name));
	return n > 0 && n < NODE_PATH && name.n && name.p[0] != '.' &&
		str_find_char(name, '/') < 0 && v->metadata.deletion_timestamp &&
		has_finalizer(v) && v->spec.local && str_eq_c(v->spec.local->path, out) &&
		str_eq(v->spec.persistent_volume_reclaim_policy, STR("Delete"));
}

/* pod_has_claim: by its description; another claim of the same name is told apart where it is known. */
static bool
pod_has_claim(struct pod *p, const struct core_v1_object_reference *r)
{
	const struct core_v1_pod_spec *s = &p->o->spec;
	if (!str_eq_c(r->namespace, p->ns))
		return false;
	for (size_t i = 0; i < s->n_volumes; i++) {
		const struct core_v1_volume *v = &s->volumes[i];
		char made[320];
		bool synced = false;
		struct str claim = v->persistent_volume_claim
			? v->persistent_volume_claim->claim_name
			: STR("");
		if (v->ephemeral)
			claim = str_from(made,
				(size_t)snprintf(made, sizeof(made), "%s-" STR_FMT, p->name,
					STR_ARG(v->name)));
		if (!claim.n || !str_eq(claim, r->name))
			continue;
		const struct core_v1_persistent_volume_claim *c = object_get(
			p, OBJECT_CLAIM, claim, &synced);
		if (!c || str_eq(c->metadata.uid, r->uid))
			return true;
	}
	return false;
}

/* in_use: a pod that had it is not gone yet. Of a pod that the API never told of (left over) nothing is known:
 * it goes first. */
static bool
in_use(struct node *n, const struct core_v1_persistent_volume *v)
{
	size_t pos = 0;
	void *value = NULL;
	while (map_next(&n->pods, &pos, NULL, &value)) {
		struct pod *p = value;
		if (p->cleaned || (p->finished && p->sandbox_down))
			continue;
		if (!p->o || (v->spec.claim_ref && pod_has_claim(p, v->spec.claim_ref)))
			return true;
	}
	return false;
}

/* ---- removal ---- */

static void
removal_end(struct removal *m)
{
	struct local_volumes *x = m->x;
	map_del(&x->busy, m->o->name);
	informer_obj_unref(m->o);
	free(m);
	loop_defer(x->n->loop, &x->work);
}

static void
removal_failed(struct removal *m, const char *text)
{
	const struct informer_obj *o = m->o;
	struct event_ref ref = {.api_version = STR("v1"),
		.kind = STR("PersistentVolume"),
		.name = o->name,
		.uid = o->uid,
		.resource_version = volume_of(o)->metadata.resource_version};
	log_warn("volume " STR_FMT ": %s", STR_ARG(o->name), text);
	client_event(m->x->n->api, &ref, "Warning", "VolumeFailedDelete",
		STR(LOCAL_VOLUME_PROVISIONER), m->x->n->name, "%s", text);
	/* Busy until then: the directory is not tried again at once. */
	loop_timer_after(m->x->n->loop, &m->x->again, AGAIN_NS);
}

static void
on_let_go(void *arg, const struct client_result *r)
{
	struct removal *m = arg;
	if (r->http == 200)
		log_info("volume " STR_FMT ": its directory is gone", STR_ARG(m->o->name));
	else if (r->http != 404 && r->http != 409) /* gone, or changed: the watch brings it */
		removal_failed(m, r->e.msg);
	removal_end(m);
}

/* let_go: the finalizer comes off the object as it was seen; when it changed meanwhile, this is done again. */
static int
let_go(struct removal *m)
{
	const struct meta_v1_object_meta *meta = &volume_of(m->o)->metadata;
	_cleanup_buf_ struct buf b = BUF_INIT;
	client_finalizers(&b, meta, STR(LOCAL_VOLUME_FINALIZER), false);
	struct client_req q = {.verb = CLIENT_PATCH_MERGE,
		.version = STR("v1"),
		.resource = STR("persistentvolumes"),
		.name = m->o->name,
		.body = buf_view(&b)};
	return b.failed ? -ENOMEM : client_call_start(m->x->n->api, &q, on_let_go, m, NULL);
}

static void
removal_run(void *arg)
{
	struct removal *m = arg;
	volume_teardown(m->dir, &m->e);
}

static void
removal_done(void *arg)
{
	struct removal *m = arg;
	int rc = m->e.code ? m->e.code : let_go(m);
	if (rc >= 0)
		return;
	removal_failed(m, m->e.code ? m->e.msg : strerror(-rc));
	removal_end(m);
}

static void
removal_start(struct local_volumes *x, const struct informer_obj *o, const char *dir)
{
	struct removal *m = calloc(1, sizeof(*m));
	if (!m || map_put(&x->busy, o->name, m, NULL) < 0) {
		free(m);
		loop_timer_after(x->n->loop, &x->again, AGAIN_NS);
		return;
	}
	m->x = x;
	m->o = informer_obj_ref(o);
	snprintf(m->dir, sizeof(m->dir), "%s", dir);
	int rc = loop_blocking(x->n->loop, removal_run, removal_done, m);
	if (rc < 0) {
		removal_failed(m, strerror(-rc));
		removal_end(m);
	}
}

/* ---- looking ---- */

static void
on_work(struct loop_work *w)
{
	struct local_volumes *x = w->arg;
	const struct informer_obj *o;
	char dir[NODE_PATH];
	/* Not before all pods are known, and not while a failure rests. */
	if (!informer_synced(x->n->pod_informer) || loop_timer_is_set(&x->again))
		return;
	for (size_t pos = 0; (o = informer_next(x->inf, &pos));)
		if (dir_of(volume_of(o), dir) && !map_get(&x->busy, o->name) &&
			!in_use(x->n, volume_of(o)))
			removal_start(x, o, dir);
}

static void
on_again(struct loop_timer *t)
{
	local_volumes_look(((struct local_volumes *)t->arg)->n);
}

static void
on_volume(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct local_volumes *x = arg;
	(void)old, (void)new_;
	loop_defer(x->n->loop, &x->work);
}

void
local_volumes_look(struct node *n)
{
	if (n->local_volumes)
		loop_defer(n->loop, &n->local_volumes->work);
}

int
local_volumes_start(struct node *n)
{
	struct local_volumes *x = calloc(1, sizeof(*x));
	_cleanup_buf_ struct buf sel = BUF_INIT;
	if (!x)
		return -ENOMEM;
	x->n = n;
	x->work = (struct loop_work){.fn = on_work, .arg = x};
	x->again = (struct loop_timer){.fn = on_again, .arg = x};
	map_init(&x->busy);
	buf_fmt(&sel, LOCAL_VOLUME_NODE "=" STR_FMT, STR_ARG(n->name));
	struct informer_spec spec = {.version = STR("v1"),
		.resource = STR("persistentvolumes"),
		.label_selector = buf_view(&sel),
		.type = SCHEMA_TYPE_OF(core_v1_persistent_volume),
		.on_change = on_volume,
		.arg = x};
	int rc = informer_new(n->api, &spec, &x->inf);
	if (rc < 0) {
		free(x);
		return rc;
	}
	n->local_volumes = x;
	return 0;
}
