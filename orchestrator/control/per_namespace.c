/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * per_namespace: what every namespace has: the ServiceAccount `default`, and the ConfigMap
 * kube-root-ca.crt with the cluster's authority, which pods mount beside their tokens. Two controllers of one
 * shape: a row says what to make. Sources: kube-controller-manager pkg/controller/serviceaccount,
 * certificates/rootcacertpublisher. */
#include "orchestrator/control/control.h"

#include "orchestrator/api/api.h"

#include "kinds/core_v1.h"

#include <stdlib.h>

struct row {
	enum control_resource resource;
	const char *name;
	/* body: of the object as it is to be; appends JSON. */
	void (*body)(const struct server_context *ctx, struct buf *b);
	/* right: is what is there as it is to be? */
	bool (*right)(const struct server_context *ctx, const struct informer_obj *o);
};

struct per_namespace {
	struct control *ctl;
	struct client *c;
	struct queue *q;
	const struct row *row;
	struct informer *namespaces, *objects;
};

static void
account_body(const struct server_context *ctx, struct buf *b)
{
	(void)ctx;
	buf_cstr(b, "{\"metadata\":{\"name\":\"default\"}}");
}

static bool
account_right(const struct server_context *ctx, const struct informer_obj *o)
{
	(void)ctx;
	(void)o;
	return true;
}

static void
authority_body(const struct server_context *ctx, struct buf *b)
{
	buf_cstr(b,
		"{\"metadata\":{\"name\":\"kube-root-ca.crt\",\"annotations\":{"
		"\"kubernetes.io/description\":\"Contains a CA bundle that can be used to verify the "
		"kube-apiserver when using internal endpoints such as the internal service IP or "
		"kubernetes.default.svc. No other usage is guaranteed across distributions of "
		"Kubernetes clusters.\"}},\"data\":{\"ca.crt\":");
	doc_json_string(b, ctx && ctx->pki ? ctx->pki->ca_cert : STR(""));
	buf_cstr(b, "}}");
}

static bool
authority_right(const struct server_context *ctx, const struct informer_obj *o)
{
	const struct core_v1_config_map *cm = o->obj;
	struct str want = ctx && ctx->pki ? ctx->pki->ca_cert : STR("");
	return cm->n_data == 1 && str_eq(cm->data[0].key, STR("ca.crt")) &&
		str_eq(cm->data[0].value, want);
}

static const struct row account_row = {
	CONTROL_SERVICEACCOUNTS, "default", account_body, account_right};
static const struct row authority_row = {
	CONTROL_CONFIGMAPS, "kube-root-ca.crt", authority_body, authority_right};

static void
on_key(void *arg, struct str ns_name)
{
	struct per_namespace *p = arg;
	const struct informer_obj *o = informer_get(p->namespaces, ns_name);
	_cleanup_buf_ struct buf key = BUF_INIT, body = BUF_INIT;
	buf_fmt(&key, STR_FMT "/%s", STR_ARG(ns_name), p->row->name);
	const struct informer_obj *have = informer_get(p->objects, buf_view(&key));
	if (!o || control_meta(CONTROL_NAMESPACES, o)->deletion_timestamp ||
		(have && p->row->right(control_context(p->ctl), have))) {
		queue_done(p->q, ns_name, false);
		return;
	}
	struct control_batch *b = batch_new(p->q, ns_name);
	if (!b)
		return;
	struct control_path path = {.resource = p->row->resource,
		.ns = o->name,
		.name = have ? str_c(p->row->name) : STR_NONE};
	p->row->body(control_context(p->ctl), &body);
	if (!body.failed)
		batch_write_text(
			b, p->c, have ? CLIENT_UPDATE : CLIENT_CREATE, &path, buf_view(&body));
	batch_close(b);
}

static void
on_namespace(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct per_namespace *p = arg;
	(void)old;
	if (new_ && control_ready(p->ctl))
		queue_add(p->q, new_->name);
}

static void
on_object(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct per_namespace *p = arg;
	const struct informer_obj *o = new_ ? new_ : old;
	if (control_ready(p->ctl) && str_eq_c(o->name, p->row->name))
		queue_add(p->q, o->ns);
}

static void
per_namespace_ready(void *self)
{
	struct per_namespace *p = self;
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_next(p->namespaces, &pos));)
		queue_add(p->q, o->name);
}

static void
per_namespace_stop(void *self)
{
	struct per_namespace *p = self;
	queue_free(p->q);
	free(p);
}

static int
start(struct control *ctl, struct client *c, const struct row *row, void **ret)
{
	struct per_namespace *p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->ctl = ctl;
	p->c = c;
	p->row = row;
	p->q = queue_new(control_loop(ctl), row->name, 4, on_key, p);
	p->namespaces = control_informer(ctl, CONTROL_NAMESPACES);
	p->objects = control_informer(ctl, row->resource);
	*ret = p;
	if (!p->q || !p->namespaces || !p->objects ||
		informer_add_handler(p->namespaces, on_namespace, NULL, p) < 0 ||
		informer_add_handler(p->objects, on_object, NULL, p) < 0)
		return -ENOMEM;
	return 0;
}

static int
account_start(struct control *ctl, struct client *c, void **ret)
{
	return start(ctl, c, &account_row, ret);
}

static int
authority_start(struct control *ctl, struct client *c, void **ret)
{
	return start(ctl, c, &authority_row, ret);
}

const struct controller serviceaccount_controller = {
	"service-account-controller", account_start, per_namespace_ready, per_namespace_stop};
const struct controller rootca_controller = {
	"root-ca-cert-publisher", authority_start, per_namespace_ready, per_namespace_stop};
