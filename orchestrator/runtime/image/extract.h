/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * extract: entries of a layer's tar into a folder that becomes an overlayfs lower folder. Names are
 * resolved by openat2 as if the folder were the root of the world (RESOLVE_IN_ROOT), the last part never
 * through a link: nothing outside can be touched. Whiteouts become character devices 0/0 and the
 * opaque attribute. Runs in a helper thread: it blocks.
 * Source: OCI image-spec 1.1 layer.md; Documentation/filesystems/overlayfs.rst. */
#ifndef RUNTIME_IMAGE_EXTRACT_H
#define RUNTIME_IMAGE_EXTRACT_H

#include "base/err.h"
#include "orchestrator/runtime/image/tar.h"

struct extract;

extern const struct tar_ops extract_tar_ops; /* arg: struct extract * */

/* extract_new: root is the (empty) folder, borrowed; lowers the folders of the layers below, topmost
 * first, borrowed: where the owner and mode of folders the tar does not name, and targets of hard
 * links it does not hold, come from. max_bytes, max_inodes: over them -ENOSPC. Returns owned or NULL. */
struct extract *extract_new(
	int root, const int *lowers, size_t n_lowers, uint64_t max_bytes, uint64_t max_inodes);
void extract_free(struct extract *x);
/* extract_finish: the times of folders, which later entries had changed. 0 or -errno. */
int extract_finish(struct extract *x, struct err *e);
/* What a failing callback has to say (tar_push only returns its code). */
const struct err *extract_err(const struct extract *x);
uint64_t extract_bytes(const struct extract *x); /* on disk, rounded up to 4 KiB per file */

#endif
