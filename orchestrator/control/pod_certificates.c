/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pod_certificates: two small controllers of the certificates group:
 *
 *   podcertificaterequestcleaner        requests for pods' certificates go 15 minutes after they were made,
 *                                       whatever became of them: nodes have what they asked for by then
 *   kube-apiserver-serving-...publisher the authority that signs the API server's certificate, as the one
 *                                       ClusterTrustBundle of the signer kubernetes.io/kube-apiserver-serving;
 *                                       its name has a sum of the content, others of that signer are deleted
 *
 * Sources: kube-controller-manager pkg/controller/certificates/cleaner (PCRCleanerController),
 * clustertrustbundlepublisher. */
#include "orchestrator/control/control.h"

#include "base/hash.h"
#include "orchestrator/api/api.h"

#include "kinds/certificates_v1.h"
#include "kinds/projections_v1.h"

#include <stdio.h>
#include <stdlib.h>

#define REQUEST_LIFE_NS (15 * 60 * NS_PER_SEC)
#define SIGNER "kubernetes.io/kube-apiserver-serving"
#define BUNDLE_PREFIX "kubernetes.io:kube-apiserver-serving:"

struct keeper {
	struct control *ctl;
	struct client *c;
	struct queue *q;
	struct informer *objects;
	struct str authority; /* PEM; static as the context */
	char bundle[sizeof(BUNDLE_PREFIX) + 24];
};

static void
keeper_stop(void *self)
{
	struct keeper *k = self;
	informer_free(k->objects);
	if (k->q)
		queue_free(k->q);
	free(k);
}

static struct keeper *
keeper_new(struct control *ctl, struct client *c, void **ret)
{
	struct keeper *k = calloc(1, sizeof(*k));
	if (k) {
		k->ctl = ctl;
		k->c = c;
		*ret = k;
	}
	return k;
}

/* ---- requests ---- */

static void
on_request_key(void *arg, struct str key)
{
	struct keeper *k = arg;
	const struct informer_obj *o = informer_get(k->objects, key);
	const struct certificate_request_age *r = o ? o->obj : NULL;
	int64_t left = r ? r->metadata.creation_timestamp + REQUEST_LIFE_NS - clock_wall_ns() : 0;
	if (left > 0)
		queue_add_after(k->q, key, left);
	if (!r || left > 0) {
		queue_done(k->q, key, false);
		return;
	}
	struct control_batch *b = batch_new(k->q, key);
	if (!b)
		return;
	struct control_path path = {.resource = CONTROL_PCRS, .ns = o->ns, .name = o->name};
	_cleanup_buf_ struct buf body = BUF_INIT;
	buf_fmt(&body, "{\"preconditions\":{\"uid\":\"" STR_FMT "\"}}", STR_ARG(o->uid));
	batch_write_text(b, k->c, CLIENT_DELETE, &path, buf_view(&body));
	batch_close(b);
}

static void
on_request(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct keeper *k = arg;
	if (new_ && !old)
		queue_add(k->q, new_->key);
}

static int
cleaner_start(struct control *ctl, struct client *c, void **ret)
{
	struct keeper *k = keeper_new(ctl, c, ret);
	struct informer_spec spec = {.group = STR("certificates.k8s.io"),
		.version = STR("v1"),
		.resource = STR("podcertificaterequests"),
		.type = SCHEMA_TYPE_OF(certificate_request_age),
		.on_change = on_request,
		.arg = k};
	if (!k)
		return -ENOMEM;
	k->q = queue_new(control_loop(ctl), "podcertificaterequests", 8, on_request_key, k);
	return k->q ? informer_new(control_reader(ctl), &spec, &k->objects) : -ENOMEM;
}

const struct controller pod_certificate_cleaner_controller = {
	"podcertificaterequestcleaner", cleaner_start, NULL, keeper_stop};

/* ---- the bundle ---- */

/* bundle_put: the one that is wanted; had: as it is, NULL = there is none. */
static void
bundle_put(struct keeper *k, struct control_batch *b, const struct informer_obj *had)
{
	_cleanup_buf_ struct buf body = BUF_INIT;
	struct control_path path = {.resource = CONTROL_BUNDLES};
	if (had) {
		path.name = had->name;
		path.onto = had;
		buf_cstr(&body, "{\"spec\":{\"trustBundle\":");
	} else {
		buf_fmt(&body,
			"{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"signerName\":\"" SIGNER
			"\",\"trustBundle\":",
			k->bundle);
	}
	doc_json_string(&body, k->authority);
	buf_cstr(&body, "}}");
	if (body.failed)
		b->failed = true;
	else
		batch_write_text(
			b, k->c, had ? CLIENT_PATCH_MERGE : CLIENT_CREATE, &path, buf_view(&body));
}

static void
on_bundle_key(void *arg, struct str key)
{
	struct keeper *k = arg;
	const struct informer_obj *o, *had = informer_get(k->objects, str_c(k->bundle));
	const struct certificates_v1_cluster_trust_bundle *t = had ? had->obj : NULL;
	struct control_batch *b = batch_new(k->q, key);
	if (!b)
		return;
	if (!t || !str_eq(t->spec.trust_bundle, k->authority))
		bundle_put(k, b, had);
	for (size_t pos = 0; (o = informer_next(k->objects, &pos));) {
		struct control_path path = {.resource = CONTROL_BUNDLES, .name = o->name};
		if (!str_eq_c(o->name, k->bundle))
			batch_write_text(b, k->c, CLIENT_DELETE, &path, STR_NONE);
	}
	batch_close(b);
}

static void
on_bundle(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct keeper *k = arg;
	(void)old, (void)new_;
	if (informer_synced(k->objects))
		queue_add(k->q, STR("bundle"));
}

static void
on_bundles_synced(void *arg)
{
	struct keeper *k = arg;
	queue_add(k->q, STR("bundle"));
}

static int
publisher_start(struct control *ctl, struct client *c, void **ret)
{
	const struct server_context *ctx = control_context(ctl);
	struct keeper *k = keeper_new(ctl, c, ret);
	struct informer_spec spec = {.group = STR("certificates.k8s.io"),
		.version = STR("v1"),
		.resource = STR("clustertrustbundles"),
		.field_selector = STR("spec.signerName=" SIGNER),
		.type = SCHEMA_TYPE_OF(certificates_v1_cluster_trust_bundle),
		.on_change = on_bundle,
		.on_synced = on_bundles_synced,
		.arg = k};
	uint8_t sum[32];
	if (!k)
		return -ENOMEM;
	if (!ctx || !ctx->pki || !ctx->pki->ca_cert.n) /* a simulated cluster has no authority */
		return 0;
	k->authority = ctx->pki->ca_cert;
	sha256_of(k->authority, sum);
	size_t n = (size_t)snprintf(k->bundle, sizeof(k->bundle), BUNDLE_PREFIX);
	for (size_t i = 0; i < 12; i++)
		n += (size_t)snprintf(k->bundle + n, sizeof(k->bundle) - n, "%02x", sum[i]);
	k->q = queue_new(control_loop(ctl), "clustertrustbundle", 1, on_bundle_key, k);
	return k->q ? informer_new(c, &spec, &k->objects) : -ENOMEM;
}

const struct controller trust_bundle_publisher_controller = {
	"kube-apiserver-serving-clustertrustbundle-publisher", publisher_start, NULL, keeper_stop};
