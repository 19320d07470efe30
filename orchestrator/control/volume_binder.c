/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * volume_binder: claims find their volumes, and node-local volumes are made for claims that ask for them.
 *
 *   claim without volume -> a free volume that fits -> claimRef on the volume, volumeName on the claim
 *                        -> none, class of ours, node known -> a new volume on that node, bound at birth
 *   volume whose claim is gone -> Released; Delete: the object is marked as deleted, and goes when its node has
 *                                 removed the directory and the finalizer (kinds/local_volume.h)
 *
 * A class with WaitForFirstConsumer waits for the scheduler's choice: a volume that names the claim, or the
 * annotation selected-node.
 * Source: kube-controller-manager pkg/controller/volume/persistentvolume. */
#include "orchestrator/control/control.h"
#include "orchestrator/kinds/local_volume.h"
#include "orchestrator/schema/volume_fit.h"

#include "kinds/core_v1.h"
#include "kinds/storage_v1.h"

#include <stdio.h>
#include <stdlib.h>

#define SELECTED_NODE STR("volume.kubernetes.io/selected-node")
#define BOUND_BY STR("pv.kubernetes.io/bound-by-controller")

struct binder {
	struct control *ctl;
	struct client *c;
	struct queue *claims_q, *volumes_q;
	struct informer *claims, *volumes, *classes, *nodes;
};

static const struct core_v1_persistent_volume_claim *
claim_of(const struct informer_obj *o)
{
	return o->obj;
}

static const struct core_v1_persistent_volume *
volume_of(const struct informer_obj *o)
{
	return o->obj;
}

static const struct storage_v1_storage_class *
class_of(struct binder *k, struct str name)
{
	const struct informer_obj *o = name.n ? informer_get(k->classes, name) : NULL;
	return o ? o->obj : NULL;
}

/* find_volume: the smallest that fits; one that names this claim first; only such a one: named. */
static const struct informer_obj *
find_volume(struct binder *k, struct arena *a, const struct informer_obj *o, bool named)
{
	const struct core_v1_persistent_volume_claim *c = claim_of(o);
	const struct informer_obj *v, *best = NULL;
	struct selector sel;
	if (claim_selector(a, c, &sel) < 0)
		return NULL;
	for (size_t pos = 0; (v = informer_next(k->volumes, &pos));) {
		const struct core_v1_persistent_volume *pv = volume_of(v);
		if (!volume_fits(pv, c, &sel) || (named && !pv->spec.claim_ref))
			continue;
		if (pv->spec.claim_ref)
			return v;
		if (volume_smaller(pv, best ? volume_of(best) : NULL))
			best = v;
	}
	return best;
}

/* ---- writes ---- */

static struct doc *
claim_ref_doc(struct arena *a, const struct informer_obj *o)
{
	struct doc *d = doc_map(a);
	if (!d)
		return NULL;
	doc_set_str(a, d, STR("apiVersion"), STR("v1"));
	doc_set_str(a, d, STR("kind"), STR("PersistentVolumeClaim"));
	doc_set_str(a, d, STR("namespace"), o->ns);
	doc_set_str(a, d, STR("name"), o->name);
	doc_set_str(a, d, STR("uid"), o->uid);
	return d;
}

static void
bind_volume(struct binder *k, struct control_batch *b, struct arena *a,
	const struct informer_obj *v, const struct informer_obj *o)
{
	struct doc *d = doc_map(a);
	struct control_path path = {.resource = CONTROL_PVS, .name = v->name, .onto = v};
	if (!d)
		return;
	struct doc *meta = doc_ensure_map(a, d, STR("metadata"));
	doc_set_str(a, meta, STR("resourceVersion"), volume_of(v)->metadata.resource_version);
	doc_set_str(a, doc_ensure_map(a, meta, STR("annotations")), BOUND_BY, STR("yes"));
	doc_set(doc_ensure_map(a, d, STR("spec")), STR("claimRef"), claim_ref_doc(a, o));
	batch_write(b, k->c, CLIENT_PATCH_MERGE, &path, d);
}

static void
bind_claim(struct binder *k, struct control_batch *b, struct arena *a, const struct informer_obj *o,
	const struct informer_obj *v)
{
	struct doc *d = doc_map(a);
	struct control_path path = {
		.resource = CONTROL_PVCS, .ns = o->ns, .name = o->name, .onto = o};
	if (!d)
		return;
	struct doc *meta = doc_ensure_map(a, d, STR("metadata"));
	struct doc *notes = doc_ensure_map(a, meta, STR("annotations"));
	doc_set_str(a, meta, STR("resourceVersion"), claim_of(o)->metadata.resource_version);
	doc_set_str(a, notes, STR("pv.kubernetes.io/bind-completed"), STR("yes"));
	doc_set_str(a, notes, BOUND_BY, STR("yes"));
	doc_set_str(a, doc_ensure_map(a, d, STR("spec")), STR("volumeName"), v->name);
	batch_write(b, k->c, CLIENT_PATCH_MERGE, &path, d);
}

static void
claim_status(struct binder *k, struct control_batch *b, struct arena *a,
	const struct informer_obj *o, const struct informer_obj *v, struct str phase)
{
	const struct core_v1_persistent_volume_claim *c = claim_of(o);
	struct control_path path = {.resource = CONTROL_PVCS,
		.ns = o->ns,
		.name = o->name,
		.subresource = STR("status"),
		.onto = o};
	if (str_eq(c->status.phase, phase) && (!v || c->status.n_capacity))
		return;
	struct doc *d = doc_map(a), *st = d ? doc_ensure_map(a, d, STR("status")) : NULL;
	if (!st)
		return;
	doc_set_str(a, st, STR("phase"), phase);
	if (v) {
		const struct core_v1_persistent_volume *pv = volume_of(v);
		struct doc *modes = doc_list(a), *capacity = doc_map(a);
		for (size_t i = 0; modes && i < pv->spec.n_access_modes; i++)
			doc_append(modes, doc_str(a, pv->spec.access_modes[i]));
		for (size_t i = 0; capacity && i < pv->spec.n_capacity; i++)
			doc_set_str(
				a, capacity, pv->spec.capacity[i].key, pv->spec.capacity[i].value);
		doc_set(st, STR("accessModes"), modes);
		doc_set(st, STR("capacity"), capacity);
	}
	batch_write(b, k->c, CLIENT_PATCH_MERGE, &path, d);
}

static void
volume_phase(
	struct binder *k, struct control_batch *b, const struct informer_obj *v, const char *phase)
{
	char body[80];
	struct control_path path = {
		.resource = CONTROL_PVS, .name = v->name, .subresource = STR("status"), .onto = v};
	if (str_eq_c(volume_of(v)->status.phase, phase))
		return;
	int n = snprintf(body, sizeof(body), "{\"status\":{\"phase\":\"%s\"}}", phase);
	batch_write_text(b, k->c, CLIENT_PATCH_MERGE, &path, str_from(body, (size_t)n));
}

/* ---- making node-local volumes ---- */

static void
provision(struct binder *k, struct control_batch *b, struct arena *a, const struct informer_obj *o,
	const struct storage_v1_storage_class *class, struct str node)
{
	const struct core_v1_persistent_volume_claim *c = claim_of(o);
	struct event_ref ref = control_ref(CONTROL_PVCS, o);
	struct control_path path = {.resource = CONTROL_PVS};
	struct doc *claim = claim_ref_doc(a, o), *modes = doc_list(a);
	int64_t bytes = claim_bytes(c);
	struct quantity size = quantity_of(bytes, QUANTITY_BINARY);
	struct str policy = class->reclaim_policy.n ? class->reclaim_policy : STR("Delete");
	char text[64];
	_cleanup_buf_ struct buf m = BUF_INIT, r = BUF_INIT, body = BUF_INIT;
	if (str_eq(c->spec.volume_mode, STR("Block"))) {
		client_event(k->c, &ref, "Warning", "ProvisioningFailed",
			STR(LOCAL_VOLUME_PROVISIONER), STR(""),
			"block volumes are not provided by " LOCAL_VOLUME_PROVISIONER);
		return;
	}
	quantity_write(&size, text);
	for (size_t i = 0; modes && i < c->spec.n_access_modes; i++)
		doc_append(modes, doc_str(a, c->spec.access_modes[i]));
	if (!claim || !modes)
		return;
	doc_write_json(&m, modes);
	doc_write_json(&r, claim);
	buf_fmt(&body,
		"{\"metadata\":{\"name\":\"pvc-" STR_FMT
		"\",\"annotations\":{\"" LOCAL_VOLUME_PROVISIONED_BY
		"\":\"" LOCAL_VOLUME_PROVISIONER "\"},\"labels\":{\"" LOCAL_VOLUME_NODE
		"\":\"" STR_FMT
		"\"}%s},\"spec\":{\"capacity\":{\"storage\":\"%s\"},\"accessModes\":" STR_FMT
		",\"claimRef\":" STR_FMT ",\"persistentVolumeReclaimPolicy\":\"" STR_FMT
		"\",\"storageClassName\":\"" STR_FMT
		"\",\"volumeMode\":\"Filesystem\",\"local\":{\"path\":\"" LOCAL_VOLUME_ROOT
		"/pvc-" STR_FMT "\"},\"nodeAffinity\":{\"required\":{\"nodeSelectorTerms\":[{"
		"\"matchExpressions\":[{\"key\":\"kubernetes.io/hostname\",\"operator\":\"In\",\"values\":[\"" STR_FMT
		"\"]}]}]}}}}",
		STR_ARG(o->uid), STR_ARG(node),
		str_eq(policy, STR("Delete")) ? ",\"finalizers\":[\"" LOCAL_VOLUME_FINALIZER "\"]"
					      : "",
		text, STR_ARG(buf_view(&m)), STR_ARG(buf_view(&r)), STR_ARG(policy),
		STR_ARG(class->metadata.name), STR_ARG(o->uid), STR_ARG(node));
	if (body.failed || batch_write_text(b, k->c, CLIENT_CREATE, &path, buf_view(&body)) < 0)
		return;
	client_event(k->c, &ref, "Normal", "ProvisioningSucceeded", STR(LOCAL_VOLUME_PROVISIONER),
		STR(""), "Successfully provisioned volume pvc-" STR_FMT " on node " STR_FMT,
		STR_ARG(o->uid), STR_ARG(node));
}

/* ---- claims ---- */

static void
unbound_claim(
	struct binder *k, struct control_batch *b, struct arena *a, const struct informer_obj *o)
{
	const struct core_v1_persistent_volume_claim *c = claim_of(o);
	const struct storage_v1_storage_class *class = class_of(k, c->spec.storage_class_name);
	struct str node = control_annotation(&c->metadata, SELECTED_NODE);
	struct event_ref ref = control_ref(CONTROL_PVCS, o);
	bool waits = class && str_eq(class->volume_binding_mode, STR("WaitForFirstConsumer"));
	claim_status(k, b, a, o, NULL, STR("Pending"));
	/* Where its first pod runs decides: the scheduler has taken a volume that is there, or names the node. */
	const struct informer_obj *v = find_volume(k, a, o, waits);
	bool named = v && volume_of(v)->spec.claim_ref;
	if (waits && !node.n && !named) {
		client_event(k->c, &ref, "Normal", "WaitForFirstConsumer",
			STR("persistentvolume-controller"), STR(""),
			"waiting for first consumer to be created before binding");
		return;
	}
	if (v) {
		if (!named || !volume_of(v)->spec.claim_ref->uid.n)
			bind_volume(k, b, a, v, o);
		bind_claim(k, b, a, o, v);
	} else if (class && str_eq_c(class->provisioner, LOCAL_VOLUME_PROVISIONER) && node.n) {
		provision(k, b, a, o, class, node);
	} else if (class && !str_eq(class->provisioner, STR("kubernetes.io/no-provisioner"))) {
		client_event(k->c, &ref, "Normal", "ExternalProvisioning",
			STR("persistentvolume-controller"), STR(""),
			"Waiting for a volume to be created either by the external provisioner '" STR_FMT
			"' or manually by the system administrator",
			STR_ARG(class->provisioner));
	} else {
		client_event(k->c, &ref, "Normal", "FailedBinding",
			STR("persistentvolume-controller"), STR(""),
			"no persistent volumes available for this claim and no storage class is set");
	}
}

static void
named_claim(
	struct binder *k, struct control_batch *b, struct arena *a, const struct informer_obj *o)
{
	const struct informer_obj *v = informer_get(k->volumes, claim_of(o)->spec.volume_name);
	if (!v) {
		bool was = str_eq(claim_of(o)->status.phase, STR("Bound"));
		claim_status(k, b, a, o, NULL, was ? STR("Lost") : STR("Pending"));
		return;
	}
	const struct core_v1_persistent_volume *pv = volume_of(v);
	if (pv->spec.claim_ref && !volume_names(pv, claim_of(o)))
		return; /* somebody else's */
	if (!pv->spec.claim_ref || !pv->spec.claim_ref->uid.n) {
		bind_volume(k, b, a, v, o);
		return;
	}
	if (!str_is_set(control_annotation(
		    &claim_of(o)->metadata, STR("pv.kubernetes.io/bind-completed"))))
		bind_claim(k, b, a, o, v);
	claim_status(k, b, a, o, v, STR("Bound"));
}

static void
on_claim_key(void *arg, struct str key)
{
	struct binder *k = arg;
	const struct informer_obj *o = informer_get(k->claims, key);
	if (!o || claim_of(o)->metadata.deletion_timestamp) {
		queue_done(k->claims_q, key, false);
		return;
	}
	struct arena *a = arena_new(1 << 22);
	struct control_batch *b = a ? batch_new(k->claims_q, key) : NULL;
	if (b) {
		if (claim_of(o)->spec.volume_name.n)
			named_claim(k, b, a, o);
		else
			unbound_claim(k, b, a, o);
		batch_close(b);
	} else if (!a) {
		queue_done(k->claims_q, key, true);
	}
	arena_free(a);
}

/* ---- volumes ---- */

/* is_ours: made by provision; its directory goes with it. */
static bool
is_ours(const struct core_v1_persistent_volume *pv)
{
	return str_eq_c(control_annotation(&pv->metadata, STR(LOCAL_VOLUME_PROVISIONED_BY)),
		LOCAL_VOLUME_PROVISIONER);
}

static bool
deletes(const struct core_v1_persistent_volume *pv)
{
	return str_eq(pv->spec.persistent_volume_reclaim_policy, STR("Delete"));
}

/* finalizer_wanted: while the directory has to go before the object does, and there is a node to do it. */
static bool
finalizer_wanted(struct binder *k, const struct core_v1_persistent_volume *pv, bool has)
{
	struct str node = control_label(&pv->metadata, STR(LOCAL_VOLUME_NODE));
	if (!is_ours(pv) || !deletes(pv) || !node.n)
		return false;
	return pv->metadata.deletion_timestamp ? has && informer_get(k->nodes, node) : true;
}

/* finalizer_sync: true when it was written: the rest waits for the object to come back. */
static bool
finalizer_sync(struct binder *k, struct control_batch *b, const struct informer_obj *v)
{
	const struct meta_v1_object_meta *m = &volume_of(v)->metadata;
	struct control_path path = {.resource = CONTROL_PVS, .name = v->name, .onto = v};
	_cleanup_buf_ struct buf body = BUF_INIT;
	bool has = false;
	for (size_t i = 0; i < m->n_finalizers; i++)
		has = has || str_eq_c(m->finalizers[i], LOCAL_VOLUME_FINALIZER);
	bool wanted = finalizer_wanted(k, volume_of(v), has);
	if (has == wanted)
		return false;
	client_finalizers(&body, m, STR(LOCAL_VOLUME_FINALIZER), wanted);
	return !body.failed &&
		batch_write_text(b, k->c, CLIENT_PATCH_MERGE, &path, buf_view(&body)) == 0;
}

static void
released(struct binder *k, struct control_batch *b, const struct informer_obj *v)
{
	const struct core_v1_persistent_volume *pv = volume_of(v);
	struct control_path path = {.resource = CONTROL_PVS, .name = v->name};
	volume_phase(k, b, v, "Released");
	if (is_ours(pv) && deletes(pv) && !pv->metadata.deletion_timestamp)
		batch_write_text(b, k->c, CLIENT_DELETE, &path, STR_NONE);
}

static void
on_volume_key(void *arg, struct str key)
{
	struct binder *k = arg;
	const struct informer_obj *v = informer_get(k->volumes, key);
	struct control_batch *b = v ? batch_new(k->volumes_q, key) : NULL;
	if (!v)
		queue_done(k->volumes_q, key, false);
	if (!b)
		return;
	const struct core_v1_object_reference *r = volume_of(v)->spec.claim_ref;
	if (finalizer_sync(k, b, v)) {
		batch_close(b);
		return;
	}
	if (!r) {
		volume_phase(k, b, v, "Available");
	} else if (!r->uid.n) {
		volume_phase(k, b, v, "Available"); /* kept for a claim that is to come */
	} else {
		_cleanup_buf_ struct buf name = BUF_INIT;
		buf_fmt(&name, STR_FMT "/" STR_FMT, STR_ARG(r->namespace), STR_ARG(r->name));
		const struct informer_obj *o = informer_get(k->claims, buf_view(&name));
		if (o && str_eq(o->uid, r->uid))
			volume_phase(k, b, v, "Bound");
		else
			released(k, b, v);
	}
	batch_close(b);
}

/* ---- changes ---- */

static void
queue_ref(struct binder *k, const struct informer_obj *v)
{
	const struct core_v1_object_reference *r = volume_of(v)->spec.claim_ref;
	_cleanup_buf_ struct buf key = BUF_INIT;
	const struct informer_obj *o;
	if (r) {
		buf_fmt(&key, STR_FMT "/" STR_FMT, STR_ARG(r->namespace), STR_ARG(r->name));
		queue_add(k->claims_q, buf_view(&key));
		return;
	}
	for (size_t pos = 0; (o = informer_next(k->claims, &pos));)
		if (!claim_of(o)->spec.volume_name.n)
			queue_add(k->claims_q, o->key);
}

static void
on_claim(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct binder *k = arg;
	const struct informer_obj *o = new_ ? new_ : old;
	if (!control_ready(k->ctl))
		return;
	queue_add(k->claims_q, o->key);
	if (claim_of(o)->spec.volume_name.n)
		queue_add(k->volumes_q, claim_of(o)->spec.volume_name);
}

static void
on_volume(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct binder *k = arg;
	if (!control_ready(k->ctl))
		return;
	if (new_)
		queue_add(k->volumes_q, new_->key);
	queue_ref(k, new_ ? new_ : old);
}

static void
binder_ready(void *self)
{
	struct binder *k = self;
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_next(k->claims, &pos));)
		queue_add(k->claims_q, o->key);
	for (size_t pos = 0; (o = informer_next(k->volumes, &pos));)
		queue_add(k->volumes_q, o->key);
}

static void
on_class(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct binder *k = arg;
	(void)old;
	if (new_ && control_ready(k->ctl))
		binder_ready(k);
}

/* on_node: a node that is gone for good removes no directories any more. */
static void
on_node(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct binder *k = arg;
	const struct informer_obj *o;
	(void)old;
	for (size_t pos = 0;
		!new_ && control_ready(k->ctl) && (o = informer_next(k->volumes, &pos));)
		if (volume_of(o)->metadata.deletion_timestamp)
			queue_add(k->volumes_q, o->key);
}

static void
binder_stop(void *self)
{
	struct binder *k = self;
	queue_free(k->claims_q);
	queue_free(k->volumes_q);
	free(k);
}

static int
binder_start(struct control *ctl, struct client *c, void **ret)
{
	struct binder *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->ctl = ctl;
	k->c = c;
	k->claims_q = queue_new(control_loop(ctl), "claims", 8, on_claim_key, k);
	k->volumes_q = queue_new(control_loop(ctl), "volumes", 8, on_volume_key, k);
	k->claims = control_informer(ctl, CONTROL_PVCS);
	k->volumes = control_informer(ctl, CONTROL_PVS);
	k->classes = control_informer(ctl, CONTROL_STORAGECLASSES);
	k->nodes = control_informer(ctl, CONTROL_NODES);
	*ret = k;
	if (!k->claims_q || !k->volumes_q || !k->claims || !k->volumes || !k->classes ||
		!k->nodes || informer_add_handler(k->claims, on_claim, NULL, k) < 0 ||
		informer_add_handler(k->volumes, on_volume, NULL, k) < 0 ||
		informer_add_handler(k->classes, on_class, NULL, k) < 0 ||
		informer_add_handler(k->nodes, on_node, NULL, k) < 0)
		return -ENOMEM;
	return 0;
}

const struct controller volume_binder_controller = {
	"persistent-volume-binder", binder_start, binder_ready, binder_stop};
