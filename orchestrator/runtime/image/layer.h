/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * layer: one layer's blob into layers/<chain id>: inflate, check the diff id, extract, sync, rename.
 * A folder below layers/ is complete or not there. Keyed by the chain id (this layer on top of exactly
 * those below), because folders and links a tar does not hold are taken from the layers below.
 * Everything here blocks: helper threads. Source: OCI image-spec 1.1 config.md "Layer ChainID". */
#ifndef RUNTIME_IMAGE_LAYER_H
#define RUNTIME_IMAGE_LAYER_H

#include "base/arena.h"
#include "base/err.h"
#include "orchestrator/runtime/image/manifest.h"

#define LAYER_HEX 64

/* layer_chain_ids: hex chain ids for diff ids (lowest first). arena; NULL = no memory. */
struct str *layer_chain_ids(struct arena *a, const struct str *diff_ids, size_t n);

struct layer_unpack {
	int data_dir; /* holds layers/ and tmp/ */
	int blob;     /* open for reading at 0, borrowed */
	enum image_compression compression;
	struct str diff_id;      /* "sha256:..." of the plain tar */
	struct str chain;        /* hex */
	const struct str *below; /* hex chain ids, topmost first */
	size_t n_below;
	volatile bool *cancel; /* may be NULL; set: -ECANCELED soon */
};

/* layer_unpack_run: *ret_bytes: size on disk. A layer that is already there is success (size 0).
 * Errors: -EBADMSG digest or format, -ENOSPC, -ECANCELED, -errno. */
int layer_unpack_run(const struct layer_unpack *u, uint64_t *ret_bytes, struct err *e);
/* layer_present: layers/<chain> exists. */
bool layer_present(int data_dir, struct str chain);

#endif
