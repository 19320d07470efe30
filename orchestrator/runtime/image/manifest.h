/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * manifest: OCI and Docker schema 2 indexes, manifests, configurations. Total functions from bytes to
 * plain structs; all sizes and counts bounded. Source: OCI image-spec 1.1; Docker image manifest v2 schema 2. */
#ifndef RUNTIME_IMAGE_MANIFEST_H
#define RUNTIME_IMAGE_MANIFEST_H

#include "base/arena.h"
#include "base/err.h"

#define IMAGE_MANIFEST_MAX (4u << 20) /* bytes of a manifest or index */
#define IMAGE_CONFIG_MAX (8u << 20)
#define IMAGE_MAX_LAYERS 500
#define IMAGE_BLOB_MAX (128ull << 30)

enum image_compression { IMAGE_PLAIN, IMAGE_GZIP, IMAGE_ZSTD };

struct image_desc {
	struct str digest; /* checked by image_digest_ok */
	uint64_t size;
	enum image_compression compression; /* as the media type says; layers only */
};

struct image_manifest {
	bool is_index;
	/* is_index: the manifest for this machine. */
	struct image_desc chosen;
	/* otherwise */
	struct image_desc config;
	struct image_desc *layers; /* arena, lowest first */
	size_t n_layers;
};

struct image_config {
	struct str architecture, os, user, workdir, stop_signal;
	struct str *env, *entrypoint, *cmd, *volumes, *diff_ids; /* arena */
	size_t n_env, n_entrypoint, n_cmd, n_volumes, n_diff_ids;
};

/* The Accept header's value for manifests. */
extern const char image_manifest_accept[];

/* image_manifest_parse: arch is "amd64" ...; content_type may be STR_NONE (then mediaType in the body, or the shape, decides).
 * Slices borrow text. Errors: -EINVAL malformed (e), -ENOENT index without this architecture
 * ("no match for platform in manifest"), -EPROTONOSUPPORT schema 1 or an artifact, -ENOMEM. */
int image_manifest_parse(struct arena *a, struct str text, struct str content_type, struct str arch,
	struct image_manifest *ret, struct err *e);
/* image_config_parse: Errors: -EINVAL, -ENOMEM. Slices borrow text. */
int image_config_parse(struct arena *a, struct str text, struct image_config *ret, struct err *e);
/* image_arch: this machine's name in Go's spelling. */
struct str image_arch(void);

#endif
