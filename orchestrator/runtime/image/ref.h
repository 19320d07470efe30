/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * ref: image references. A total function from bytes to parts; no I/O.
 * Source: distribution/reference (grammar and docker.io defaults), OCI image-spec "Digests". */
#ifndef RUNTIME_IMAGE_REF_H
#define RUNTIME_IMAGE_REF_H

#include "base/arena.h"
#include "base/err.h"

#define IMAGE_DIGEST_LEN 71 /* "sha256:" + 64 hex digits */

struct image_ref {
	struct str domain; /* "docker.io", "localhost:5000" */
	struct str path;   /* "library/busybox" */
	struct str tag;    /* "latest"; STR_NONE with a digest and no tag */
	struct str digest; /* "sha256:..." or STR_NONE */
};

/* image_ref_parse: arena copies. Errors: -EINVAL ("invalid reference format", "repository name must be
 * lowercase", "unsupported digest algorithm"), -ENOMEM. */
int image_ref_parse(struct arena *a, struct str s, struct image_ref *ret, struct err *e);
/* image_ref_name: "domain/path"; image_ref_string: the canonical whole ("domain/path:tag@digest"). */
struct str image_ref_name(struct arena *a, const struct image_ref *r);
struct str image_ref_string(struct arena *a, const struct image_ref *r);
/* image_digest_ok: "sha256:" and 64 lower-case hex digits. */
bool image_digest_ok(struct str s);

#endif
