/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * ephemeral_volume: a pod's volume of source `ephemeral` is a claim "<pod>-<volume>" made from its template. It
 * belongs to the pod, so garbage collection takes it away with it. A claim of that name that belongs to somebody
 * else is left alone: the pod waits.
 * Source: kube-controller-manager pkg/controller/volume/ephemeral; KEP-1698. */
#include "orchestrator/control/control.h"

#include "kinds/core_v1.h"

#include <stdlib.h>

struct ephemeral {
	struct control *ctl;
	struct client *c;
	struct queue *q; /* pods */
	struct informer *pods, *claims;
};

static bool
has_template(const struct core_v1_volume *v)
{
	return v->ephemeral && v->ephemeral->volume_claim_template;
}

static void
claim_make(struct ephemeral *k, struct control_batch *b, struct arena *a,
	const struct informer_obj *o, const struct core_v1_volume *v)
{
	struct str name = arena_fmt(a, STR_FMT "-" STR_FMT, STR_ARG(o->name), STR_ARG(v->name));
	struct str key = arena_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(o->ns), STR_ARG(name));
	struct control_path path = {.resource = CONTROL_PVCS, .ns = o->ns};
	if (arena_failed(a) || informer_get(k->claims, key))
		return;
	struct doc *d = schema_from_struct(a,
		SCHEMA_TYPE_OF(core_v1_persistent_volume_claim_template),
		v->ephemeral->volume_claim_template);
	struct doc *meta = d ? doc_ensure_map(a, d, STR("metadata")) : NULL;
	struct doc *owners = meta ? doc_list(a) : NULL;
	if (!owners)
		return;
	doc_append(owners, control_owner_doc(a, CONTROL_PODS, o));
	doc_set_str(a, meta, STR("name"), name);
	doc_set(meta, STR("ownerReferences"), owners);
	batch_write(b, k->c, CLIENT_CREATE, &path, d);
}

static void
on_key(void *arg, struct str key)
{
	struct ephemeral *k = arg;
	const struct informer_obj *o = informer_get(k->pods, key);
	const struct core_v1_pod *p = o ? o->obj : NULL;
	if (!p || p->metadata.deletion_timestamp) {
		queue_done(k->q, key, false);
		return;
	}
	struct arena *a = arena_new(1 << 22);
	struct control_batch *b = a ? batch_new(k->q, key) : NULL;
	for (size_t i = 0; b && i < p->spec.n_volumes; i++)
		if (has_template(&p->spec.volumes[i]))
			claim_make(k, b, a, o, &p->spec.volumes[i]);
	if (b)
		batch_close(b);
	else if (!a)
		queue_done(k->q, key, true);
	arena_free(a);
}

static void
pod_look(struct ephemeral *k, const struct informer_obj *o)
{
	const struct core_v1_pod *p = o->obj;
	bool any = false;
	for (size_t i = 0; i < p->spec.n_volumes; i++)
		any = any || has_template(&p->spec.volumes[i]);
	if (any)
		queue_add(k->q, o->key);
}

static void
on_pod(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct ephemeral *k = arg;
	(void)old;
	if (new_ && control_ready(k->ctl))
		pod_look(k, new_);
}

/* on_claim: one that goes may be made anew for a pod that is still there. */
static void
on_claim(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct ephemeral *k = arg;
	const struct meta_v1_owner_reference *owner = new_
		? NULL
		: control_owner(control_meta(CONTROL_PVCS, old));
	_cleanup_buf_ struct buf key = BUF_INIT;
	if (!owner || !control_ready(k->ctl) || !str_eq(owner->kind, STR("Pod")))
		return;
	buf_fmt(&key, STR_FMT "/" STR_FMT, STR_ARG(old->ns), STR_ARG(owner->name));
	queue_add(k->q, buf_view(&key));
}

static void
ephemeral_ready(void *self)
{
	struct ephemeral *k = self;
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_next(k->pods, &pos));)
		pod_look(k, o);
}

static void
ephemeral_stop(void *self)
{
	struct ephemeral *k = self;
	queue_free(k->q);
	free(k);
}

static int
ephemeral_start(struct control *ctl, struct client *c, void **ret)
{
	struct ephemeral *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->ctl = ctl;
	k->c = c;
	k->q = queue_new(control_loop(ctl), "ephemeral", 4, on_key, k);
	k->pods = control_informer(ctl, CONTROL_PODS);
	k->claims = control_informer(ctl, CONTROL_PVCS);
	*ret = k;
	if (!k->q || !k->pods || !k->claims || informer_add_handler(k->pods, on_pod, NULL, k) < 0 ||
		informer_add_handler(k->claims, on_claim, NULL, k) < 0)
		return -ENOMEM;
	return 0;
}

const struct controller ephemeral_volume_controller = {
	"ephemeral-volume-controller", ephemeral_start, ephemeral_ready, ephemeral_stop};
