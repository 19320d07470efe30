/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * fsutil: the few file-system steps that images, containers and state share. They block: helper threads
 * and start-up only. Nothing here follows a link out of the folder it was given. */
#ifndef RUNTIME_FSUTIL_H
#define RUNTIME_FSUTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* fs_open_in: path resolved as if `root` were "/": links and ".." cannot leave it, magic links are
 * refused. "" is root itself. O_CLOEXEC is added. A descriptor or -1 with errno. */
int fs_open_in(int root, const char *path, int flags);
/* fs_open_beneath: as above, but whatever would leave root is an error (-1, EXDEV). */
int fs_open_beneath(int root, const char *path, int flags);
/* fs_remove_tree: name in dir with all below it, without crossing mounts. Missing is success. 0 or -1 with errno. */
int fs_remove_tree(int dir, const char *name);
/* fs_write_all: 0 or -1 with errno. */
int fs_write_all(int fd, const void *p, size_t n);
/* fs_write_text: one write of text to path in dir (cgroup and proc files). 0 or -errno. */
int fs_write_text(int dir, const char *path, const char *text);
/* fs_usage: bytes on disk and inodes below dir (borrowed; not crossing mounts). 0 or -errno. */
int fs_usage(int dir, uint64_t *ret_bytes, uint64_t *ret_inodes);

#endif
