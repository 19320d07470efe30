/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * disk: files of the control side. Real: the kernel's. Simulated: the kernel's too (LMDB maps them into
 * memory), but every sector written and not synced is remembered, and may be as it was before after
 * disk_sim_power_cut. LMDB is compiled with its writes and syncs mapped to disk_lmdb_*. */
#ifndef BASE_DISK_H
#define BASE_DISK_H

#include "base/buf.h"
#include "base/err.h"

#include <sys/types.h>
#include <sys/uio.h>

/* disk_read_file: whole file, at most max bytes. 0, -ENOENT, -EFBIG, -errno. Appends to b. */
int disk_read_file(const char *path, size_t max, struct buf *b);
/* disk_write_file: replaces path by write-new + fsync + rename + fsync of the folder. 0 or -errno. */
int disk_write_file(const char *path, struct str content, mode_t mode);
/* disk_keep_file: the same, but a file that has this content and mode already stays as it is, and nothing is
 * waited for: what is laid out at every start must not cost one. */
int disk_keep_file(const char *path, struct str content, mode_t mode);
/* disk_mkdirs: path and its parents. 0 or -errno. */
int disk_mkdirs(const char *path, mode_t mode);
int disk_unlink(const char *path);
bool disk_exists(const char *path);

/* A file for logs and rings: explicit offsets only. */
struct disk_file;
/* disk_open: flags O_RDWR|O_CREAT... of open(2). Returns owned. Errors: -errno. */
int disk_open(const char *path, int flags, mode_t mode, struct disk_file **ret);
void disk_close(struct disk_file *f);
ssize_t disk_pread(struct disk_file *f, void *p, size_t n, off_t at);
/* disk_pwritev: all or an error (-EIO, -ENOSPC). */
int disk_pwritev(struct disk_file *f, const struct iovec *iov, int n, off_t at);
int disk_sync(struct disk_file *f);
int disk_truncate(struct disk_file *f, off_t size);
int64_t disk_size(struct disk_file *f);

/* What LMDB calls instead of the kernel (deps/lmdb-disk.h maps pwrite, pwritev, fdatasync, ...). */
ssize_t disk_lmdb_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t disk_lmdb_pwritev(int fd, const struct iovec *iov, int n, off_t at);
int disk_lmdb_fdatasync(int fd);

/* disk_set_hooks (one set of hooks a process; set while no other thread writes): observe or fail writes and syncs (fault tests, simulation); NULL restores.
 * before(arg, op, fd, at, n): 0 = go on, negative errno = the call fails with it. */
enum disk_op { DISK_WRITE, DISK_SYNC };
void disk_set_hooks(
	int (*before)(void *arg, enum disk_op op, int fd, off_t at, size_t n), void *arg);

/* disk_sim_start: from now on remember what is not synced (takes the hooks). disk_sim_power_cut: each
 * 512-byte sector written since its file's last sync is, by the seed's coin (base/rand.h), the old or
 * the new one; a file that grew may have its old size. The owners of the files must have closed them.
 * disk_sim_stop: forgets all and restores the hooks. 0, -ENOMEM, -EIO. */
int disk_sim_start(void);
int disk_sim_power_cut(void);
void disk_sim_stop(void);

#endif
