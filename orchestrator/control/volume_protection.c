/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * volume_protection: claims in use by pods, and volumes in use by claims, are not deleted under them:
 * admission gave them a finalizer; it is taken off when nothing uses them any more. Two controllers of
 * one shape. Source: kube-controller-manager pkg/controller/volume/pvcprotection, pvprotection. */
#include "orchestrator/control/control.h"

#include "kinds/core_v1.h"

#include <stdlib.h>

struct protection;
struct row {
	enum control_resource resource, user;
	struct str finalizer;
	bool (*in_use)(struct protection *k, const struct informer_obj *o);
	/* used_by: put(k, key) for what a user object uses. */
	void (*used_by)(struct protection *k, const struct informer_obj *user);
};
struct protection {
	struct control *ctl;
	struct client *c;
	struct queue *q;
	const struct row *row;
	struct informer *objects, *users;
};

static bool
pod_uses(const struct core_v1_pod *p, struct str claim)
{
	for (size_t i = 0; i < p->spec.n_volumes; i++) {
		const struct core_v1_volume *v = &p->spec.volumes[i];
		if (v->persistent_volume_claim &&
			str_eq(v->persistent_volume_claim->claim_name, claim))
			return true;
		struct str head, tail;
		if (v->ephemeral && str_starts(claim, p->metadata.name)) {
			head = str_sub(claim, p->metadata.name.n, SIZE_MAX);
			if (str_starts(head, STR("-"))) {
				tail = str_sub(head, 1, SIZE_MAX);
				if (str_eq(tail, v->name))
					return true;
			}
		}
	}
	return false;
}

static bool
claim_in_use(struct protection *k, const struct informer_obj *o)
{
	const struct informer_obj *pod;
	for (size_t pos = 0; (pod = informer_index_next(k->users, INDEX_NS, o->ns, &pos));) {
		const struct core_v1_pod *p = pod->obj;
		bool over = str_eq(p->status.phase, STR("Succeeded")) ||
			str_eq(p->status.phase, STR("Failed"));
		if (!over && p->spec.node_name.n && pod_uses(p, o->name))
			return true;
	}
	return false;
}

static void
claims_of_pod(struct protection *k, const struct informer_obj *user)
{
	const struct core_v1_pod *p = user->obj;
	for (size_t i = 0; i < p->spec.n_volumes; i++) {
		const struct core_v1_volume *v = &p->spec.volumes[i];
		_cleanup_buf_ struct buf key = BUF_INIT;
		buf_fmt(&key, STR_FMT "/", STR_ARG(user->ns));
		if (v->persistent_volume_claim)
			buf_str(&key, v->persistent_volume_claim->claim_name);
		else if (v->ephemeral)
			buf_fmt(&key, STR_FMT "-" STR_FMT, STR_ARG(user->name), STR_ARG(v->name));
		else
			continue;
		queue_add(k->q, buf_view(&key));
	}
}

static bool
volume_in_use(struct protection *k, const struct informer_obj *o)
{
	(void)k;
	return str_eq(
		((const struct core_v1_persistent_volume *)o->obj)->status.phase, STR("Bound"));
}

static void
volume_of_claim(struct protection *k, const struct informer_obj *user)
{
	const struct core_v1_persistent_volume_claim *c = user->obj;
	if (c->spec.volume_name.n)
		queue_add(k->q, c->spec.volume_name);
}

static const struct row claim_row = {CONTROL_PVCS, CONTROL_PODS,
	STR_INIT("kubernetes.io/pvc-protection"), claim_in_use, claims_of_pod};
static const struct row volume_row = {CONTROL_PVS, CONTROL_PVCS,
	STR_INIT("kubernetes.io/pv-protection"), volume_in_use, volume_of_claim};

static void
on_key(void *arg, struct str key)
{
	struct protection *k = arg;
	const struct informer_obj *o = informer_get(k->objects, key);
	const struct meta_v1_object_meta *m = o ? control_meta(k->row->resource, o) : NULL;
	bool has = false;
	for (size_t i = 0; m && i < m->n_finalizers; i++)
		has = has || str_eq(m->finalizers[i], k->row->finalizer);
	if (!m || !m->deletion_timestamp || !has || k->row->in_use(k, o)) {
		queue_done(k->q, key, false);
		return;
	}
	struct control_batch *b = batch_new(k->q, key);
	if (!b)
		return;
	_cleanup_buf_ struct buf body = BUF_INIT;
	client_finalizers(&body, m, k->row->finalizer, false);
	struct control_path path = {
		.resource = k->row->resource, .ns = o->ns, .name = o->name, .onto = o};
	if (!body.failed)
		batch_write_text(b, k->c, CLIENT_PATCH_MERGE, &path, buf_view(&body));
	batch_close(b);
}

static void
on_object(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct protection *k = arg;
	(void)old;
	if (new_ && control_ready(k->ctl))
		queue_add(k->q, new_->key);
}

static void
on_user(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct protection *k = arg;
	if (control_ready(k->ctl))
		k->row->used_by(k, new_ ? new_ : old);
}

static void
protection_ready(void *self)
{
	struct protection *k = self;
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_next(k->objects, &pos));)
		queue_add(k->q, o->key);
}

static void
protection_stop(void *self)
{
	struct protection *k = self;
	queue_free(k->q);
	free(k);
}

static int
start(struct control *ctl, struct client *c, const struct row *row, void **ret)
{
	struct protection *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->ctl = ctl;
	k->c = c;
	k->row = row;
	k->q = queue_new(control_loop(ctl), "protection", 4, on_key, k);
	k->objects = control_informer(ctl, row->resource);
	k->users = control_informer(ctl, row->user);
	*ret = k;
	if (!k->q || !k->objects || !k->users ||
		informer_add_handler(k->objects, on_object, NULL, k) < 0 ||
		informer_add_handler(k->users, on_user, NULL, k) < 0)
		return -ENOMEM;
	return 0;
}

static int
claim_start(struct control *ctl, struct client *c, void **ret)
{
	return start(ctl, c, &claim_row, ret);
}

static int
volume_start(struct control *ctl, struct client *c, void **ret)
{
	return start(ctl, c, &volume_row, ret);
}

const struct controller claim_protection_controller = {
	"pvc-protection-controller", claim_start, protection_ready, protection_stop};
const struct controller volume_protection_controller = {
	"pv-protection-controller", volume_start, protection_ready, protection_stop};
