/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lmdb-disk: read before mdb.c (-include), it leads LMDB's writes and syncs to base/disk, so that the
 * simulation and the fault tests see and may lose them. Reads stay the kernel's (a memory map).
 * LMDB writes pages to one descriptor and syncs that; the meta page goes to a second descriptor which
 * is open O_DSYNC: a write there is a write and a sync in one. MDB_WRITEMAP (msync) is not mapped and
 * must not be used (it was corrupt after power cuts). Contract of the functions: base/disk.h.
 * Its list of dirty pages, 2 MB, is not zeroed: only what was written of it is read, and 500 page faults at each
 * start are a good part of the time in which the API serves again. */
#ifndef LMDB_DISK_H
#define LMDB_DISK_H

#include <stdlib.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

ssize_t disk_lmdb_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t disk_lmdb_pwritev(int fd, const struct iovec *iov, int n, off_t at);
int disk_lmdb_fdatasync(int fd);

static inline void *
lmdb_calloc(size_t n, size_t size)
{
	return n * size < (1 << 20) ? (calloc)(n, size) : malloc(n * size);
}

#define calloc lmdb_calloc
#define pwrite disk_lmdb_pwrite
#define pwritev disk_lmdb_pwritev
#define fdatasync disk_lmdb_fdatasync
#define fsync disk_lmdb_fdatasync

#endif
