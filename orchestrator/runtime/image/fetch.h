/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * fetch: what pulls share: where registries are, downloads of blobs, unpacking of layers. Each blob and each
 * layer is worked on once, however many pulls want it. Loop only.
 *
 * A blob grows in ingest/<hex> and its digest is computed as it is written, by a helper thread; a
 * download that was cut, also by the end of the process, continues with a Range request.
 * Source: OCI distribution-spec 1.1 "Pull"; RFC 9110 section 14 (ranges). */
#ifndef RUNTIME_IMAGE_FETCH_H
#define RUNTIME_IMAGE_FETCH_H

#include "netstack/http/http.h"
#include "orchestrator/runtime/image/store.h"

/* Where content of one repository comes from; copied by those who keep it. */
struct image_source {
	struct str base;          /* "https://host:port/prefix" */
	struct str host;          /* for messages */
	struct str path;          /* repository in its registry: "library/busybox" */
	struct str authorization; /* "Basic ..." or "" */
	struct tls_ctx *tls;
};

struct image_endpoint {
	struct runtime_registry_endpoint conf;
	struct tls_ctx *tls; /* made at first use */
};
struct image_registry {
	struct str host;
	struct image_endpoint *endpoints;
	size_t n_endpoints;
};

struct image_fetcher {
	struct loop *loop;
	struct image_store *store;
	struct http_client *http;
	struct arena *a;
	struct str ca_pem;
	struct image_registry *registries;
	size_t n_registries;
	struct map made;            /* host -> struct image_registry for hosts without a row */
	struct map blobs;           /* digest -> struct blob */
	struct map layers;          /* chain -> struct layer_job */
	struct blob *queue;         /* waiting for their turn */
	struct runtime_pull *pulls; /* under way */
	unsigned active, max_active, busy;
	bool dead;
};

int image_fetcher_new(struct loop *l, struct image_store *s, const struct runtime_config *cfg,
	struct image_fetcher **ret, struct err *e);
/* image_fetcher_free: users must have left; frees when no helper thread works for it any more. */
void image_fetcher_free(struct image_fetcher *f);
/* image_fetcher_registry: the endpoints of a reference's domain. NULL = no memory. */
struct image_registry *image_fetcher_registry(struct image_fetcher *f, struct str domain);
/* image_endpoint_tls: the context of an https endpoint. 0 or -EINVAL, -ENOMEM (e). */
int image_endpoint_tls(struct image_fetcher *f, struct image_endpoint *ep, struct err *e);

/* A place in the list of those who wait for a blob or a layer; embedded, zeroed before. fn runs at most
 * once, never within _want; e NULL = it is there. */
struct image_waiter {
	void (*fn)(struct image_waiter *w, const struct err *e);
	struct image_waiter *next;
	void *job;
	bool done;
};
/* image_blob_want: starts or joins the download. image_blob_put: leaves (also after fn); without users the
 * download stops and a complete file goes. 0 or -ENOMEM. */
int image_blob_want(struct image_fetcher *f, const struct image_source *src,
	const struct image_desc *d, struct image_waiter *w);
void image_blob_put(struct image_waiter *w);
/* image_layer_want: unpack the blob, which is there, as `chain`; or join who does. image_layer_leave. */
struct image_layer_spec {
	struct str digest; /* of the blob */
	enum image_compression compression;
	struct str diff_id, chain;
	const struct str *below; /* chain ids, topmost first */
	size_t n_below;
};
bool image_layer_working(struct image_fetcher *f, struct str chain);
int image_layer_want(
	struct image_fetcher *f, const struct image_layer_spec *s, struct image_waiter *w);
void image_layer_leave(struct image_waiter *w);

#endif
