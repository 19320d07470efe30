/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * inflate: gzip, zstd or nothing, as one push stream: compressed bytes in, plain bytes out by callback
 * in pieces of at most 64 KiB. No I/O. Source: RFC 1952, RFC 8878. */
#ifndef RUNTIME_IMAGE_INFLATE_H
#define RUNTIME_IMAGE_INFLATE_H

#include "base/err.h"
#include "orchestrator/runtime/image/manifest.h"

struct inflate;
typedef int inflate_out_fn(void *arg, struct str plain, struct err *e);

/* inflate_new: returns owned or NULL (no memory). zstd windows above 128 MiB are refused. The content decides
 * between the three by its first bytes; `hint` is what the manifest says, used where they do not tell. */
struct inflate *inflate_new(enum image_compression hint, inflate_out_fn *out, void *arg);
void inflate_free(struct inflate *f);
/* inflate_push: -EBADMSG corrupt (also what follows the zeros behind a gzip member), -ENOMEM, or what out returned. */
int inflate_push(struct inflate *f, struct str bytes, struct err *e);
/* inflate_finish: -EBADMSG when the stream is not complete. */
int inflate_finish(struct inflate *f, struct err *e);

#endif
