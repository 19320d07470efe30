/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * store: which images and layers are on this disk. In memory it is the truth of this process; on disk
 * data_dir/images.json (replaced by rename), configs/<hex>, layers/<chain id>/, ingest/<hex> (partial
 * downloads), tmp/ (half-made things, emptied at start), trash/ (what is being removed).
 * Invariants: an image in the index has all its layers; a layer not named by an image may exist (an interrupted
 * pull) and goes with the next removal. Loop only, except where said. */
#ifndef RUNTIME_IMAGE_STORE_H
#define RUNTIME_IMAGE_STORE_H

#include "base/hash.h"
#include "base/loop.h"
#include "orchestrator/runtime/image/manifest.h"
#include "orchestrator/runtime/runtime.h"

struct image {
	struct arena *a;
	struct str id; /* "sha256:<hex>" */
	struct image_config config;
	struct str *names; /* canonical "domain/path:tag" */
	size_t n_names;
	struct str *digests; /* "domain/path@sha256:..." */
	size_t n_digests;
	/* Who has got it: "domain/path" = anybody may from there; "domain/path <hex>" = who has the
	 * credentials of that sum. None: it was not pulled. */
	struct str *keys;
	size_t n_keys;
	struct str *layers; /* chain ids, hex, lowest first */
	size_t n_layers;
	int64_t pulled_ns, used_ns;
	bool pinned;
	unsigned containers; /* that exist */
};

struct image_layer {
	uint64_t bytes; /* on disk; 0 = not known */
	unsigned images;
	unsigned holds; /* pulls and containers that need it right now */
};

struct image_store {
	struct loop *loop;
	int dir; /* data_dir */
	char *path;
	struct map images; /* id -> struct image */
	struct map layers; /* chain hex -> struct image_layer */
	bool saving, dirty, dead;
	unsigned busy; /* helper threads at work for it */
	struct save_wait *waiting, *in_flight;
};

/* image_store_open: makes the folders, empties tmp and trash, reads the index (an image whose layers are not
 * all there is dropped). Blocks. Returns owned. */
int image_store_open(struct loop *l, struct str data_dir, struct image_store **ret, struct err *e);
/* image_store_close: frees once nothing is under way; no completion is called any more.
 * image_store_idle: one helper thread's work has ended (busy was counted up when it began); false: the
 * store is closed, forget the rest. */
void image_store_close(struct image_store *s);
bool image_store_idle(struct image_store *s);

/* image_store_find: by reference or id ("sha256:..." or hex); NULL = none. */
struct image *image_store_find(struct image_store *s, struct str ref);
struct image *image_store_get(struct image_store *s, struct str id);

/* What a pull or import has brought. Borrowed. */
struct image_new {
	struct str id, config_text;
	const struct str *names, *digests, *keys;
	size_t n_names, n_digests, n_keys;
	const struct str *layers; /* chain ids, all present */
	size_t n_layers;
};
/* image_store_add: adds the image or its new names (a name moves from the image that had it); done when it
 * is on disk. The caller holds the layers (image_layer.holds) until then. 0 or -ENOMEM. */
int image_store_add(
	struct image_store *s, const struct image_new *n, runtime_done_fn *done, void *arg);
/* image_store_open_to: is one of keys[0..n) among those the image was got with, or was it not pulled at all? */
bool image_store_open_to(const struct image *i, const struct str *keys, size_t n);
/* image_store_remove: see runtime_image_remove. */
int image_store_remove(struct image_store *s, struct str ref, runtime_done_fn *done, void *arg);
/* image_store_save: writes the index soon; done (may be NULL) when what is now in memory is on disk. */
void image_store_save(struct image_store *s, runtime_done_fn *done, void *arg);

/* Layers: image_layer_ensure gives the record (made when missing), NULL = no memory. */
struct image_layer *image_layer_ensure(struct image_store *s, struct str chain);
/* image_layer_path: "<data_dir>/layers/<hex>" in arena. */
struct str image_layer_path(struct image_store *s, struct arena *a, struct str chain);
/* image_bytes: sum of its layers. image_view: the front door's picture of it, arena. */
uint64_t image_bytes(struct image_store *s, const struct image *i);
int image_view(
	struct image_store *s, const struct image *i, struct arena *a, struct runtime_image *ret);

#endif
