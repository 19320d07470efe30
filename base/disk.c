/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * disk.c: see disk.h. The one place where the control side meets the kernel's files, so that faults and
 * power cuts can be played. Invariants: every write and sync passes the hooks first; calls are
 * restarted on EINTR and continued when short. Must not: cache anything.
 * Source: pwritev(2), fdatasync(2); LMDB mdb.c for what it expects of the mapped calls. */
#include "base/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define IOV_CHUNK 64
#define READ_CHUNK 65536

struct disk_file {
	int fd;
};

static int (*hook_fn)(void *arg, enum disk_op op, int fd, off_t at, size_t n);
static void *hook_arg;

void
disk_set_hooks(int (*before)(void *arg, enum disk_op op, int fd, off_t at, size_t n), void *arg)
{
	hook_fn = before;
	hook_arg = arg;
}

static int
hook(enum disk_op op, int fd, off_t at, size_t n)
{
	return hook_fn ? hook_fn(hook_arg, op, fd, at, n) : 0;
}

/* ---- what LMDB calls ---- */

static size_t
iov_bytes(const struct iovec *iov, int n)
{
	size_t sum = 0;
	for (int i = 0; i < n; i++)
		sum += iov[i].iov_len;
	return sum;
}

/* as_syscall: negative errno to -1 and errno. */
static ssize_t
as_syscall(ssize_t rc)
{
	if (rc >= 0)
		return rc;
	errno = (int)-rc;
	return -1;
}

/* rest_written: a write that came to n bytes only goes on behind them, so that what stopped it is told: LMDB knows no
 * reason for a short write. iov is of `count` parts and `all` bytes. */
static ssize_t
rest_written(int fd, const struct iovec *iov, int count, size_t all, off_t at, ssize_t n)
{
	size_t done = n < 0 ? all : (size_t)n, part_at = 0;
	for (int i = 0; i < count && done < all; part_at += iov[i++].iov_len) {
		while (done < part_at + iov[i].iov_len && done < all) {
			size_t off = done - part_at;
			ssize_t w = pwrite(fd, (const char *)iov[i].iov_base + off,
				iov[i].iov_len - off, at + (off_t)done);
			if (w < 0 && errno == EINTR)
				continue;
			if (w <= 0)
				return w < 0 ? -1 : as_syscall(-ENOSPC);
			done += (size_t)w;
		}
	}
	return n < 0 ? n : (ssize_t)all;
}

ssize_t
disk_lmdb_pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
	size_t all = iov_bytes(iov, n);
	int rc = hook(DISK_WRITE, fd, at, all);
	return rc < 0 ? as_syscall(rc) : rest_written(fd, iov, n, all, at, pwritev(fd, iov, n, at));
}

ssize_t
disk_lmdb_pwrite(int fd, const void *p, size_t n, off_t at)
{
	int rc = hook(DISK_WRITE, fd, at, n);
	const struct iovec whole = {(void *)(uintptr_t)p, n};
	return rc < 0 ? as_syscall(rc) : rest_written(fd, &whole, 1, n, at, pwrite(fd, p, n, at));
}

int
disk_lmdb_fdatasync(int fd)
{
	int rc = hook(DISK_SYNC, fd, 0, 0);
	return rc < 0 ? (int)as_syscall(rc) : fdatasync(fd);
}

/* ---- files ---- */

int
disk_open(const char *path, int flags, mode_t mode, struct disk_file **ret)
{
	struct disk_file *f = malloc(sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->fd = open(path, flags | O_CLOEXEC, mode);
	if (f->fd < 0) {
		int rc = -errno;
		free(f);
		return rc;
	}
	*ret = f;
	return 0;
}

void
disk_close(struct disk_file *f)
{
	if (!f)
		return;
	close(f->fd);
	free(f);
}

ssize_t
disk_pread(struct disk_file *f, void *p, size_t n, off_t at)
{
	size_t done = 0;
	while (done < n) {
		ssize_t got = pread(f->fd, (char *)p + done, n - done, at + (off_t)done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

/* write_all: the slices one behind the other, however short the single writes are. */
static int
write_all(int fd, const struct iovec *iov, int n, off_t at)
{
	int next = 0;
	size_t skip = 0; /* bytes of iov[next] already written */
	while (next < n) {
		struct iovec some[IOV_CHUNK];
		int k = 0;
		for (int i = next; i < n && k < IOV_CHUNK; i++, k++)
			some[k] = iov[i];
		some[0].iov_base = (char *)some[0].iov_base + skip;
		some[0].iov_len -= skip;
		ssize_t put = iov_bytes(some, k) ? pwritev(fd, some, k, at) : 0;
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		if (put == 0 && iov_bytes(some, k))
			return -EIO;
		at += put;
		skip += (size_t)put;
		while (next < n && skip >= iov[next].iov_len) {
			skip -= iov[next].iov_len;
			next++;
		}
	}
	return 0;
}

int
disk_pwritev(struct disk_file *f, const struct iovec *iov, int n, off_t at)
{
	int rc = hook(DISK_WRITE, f->fd, at, iov_bytes(iov, n));
	return rc < 0 ? rc : write_all(f->fd, iov, n, at);
}

int
disk_sync(struct disk_file *f)
{
	int rc = hook(DISK_SYNC, f->fd, 0, 0);
	if (rc < 0)
		return rc;
	return fdatasync(f->fd) < 0 ? -errno : 0;
}

int
disk_truncate(struct disk_file *f, off_t size)
{
	return ftruncate(f->fd, size) < 0 ? -errno : 0;
}

int64_t
disk_size(struct disk_file *f)
{
	struct stat st;
	return fstat(f->fd, &st) < 0 ? -errno : (int64_t)st.st_size;
}

/* ---- whole files ---- */

int
disk_read_file(const char *path, size_t max, struct buf *b)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	size_t from = b->len;
	for (;;) {
		char *room = buf_reserve(b, READ_CHUNK);
		if (!room)
			return -ENOMEM;
		ssize_t got = read(fd, room, READ_CHUNK);
		if (got < 0 && errno == EINTR)
			continue;
		int rc = got < 0 ? -errno : 0;
		if (got > 0)
			buf_commit(b, (size_t)got);
		if (rc == 0 && b->len - from > max)
			rc = -EFBIG;
		if (rc < 0) {
			b->len = from;
			return rc;
		}
		if (got == 0)
			return 0;
	}
}

/* Not inlined: two paths are too much for one frame on a small stack. */
__attribute__((noinline)) static int
sync_folder_of(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	if (!slash)
		str_copy_c(STR("."), folder, sizeof(folder));
	else
		str_copy_c(str_from(path, slash == path ? 1 : (size_t)(slash - path)), folder,
			sizeof(folder));
	_cleanup_fd_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int
disk_write_file(const char *path, struct str content, mode_t mode)
{
	char tmp[PATH_MAX];
	int n = snprintf(tmp, sizeof(tmp), "%s.new", path);
	if (n < 0 || (size_t)n >= sizeof(tmp))
		return -ENAMETOOLONG;
	_cleanup_fd_ int fd = open(
		tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	struct iovec iov = {(void *)(uintptr_t)content.p, content.n};
	int rc = fchmod(fd, mode) < 0 ? -errno : 0; /* whatever the umask is */
	if (rc == 0)
		rc = hook(DISK_WRITE, fd, 0, content.n);
	if (rc == 0)
		rc = write_all(fd, &iov, 1, 0);
	if (rc == 0)
		rc = hook(DISK_SYNC, fd, 0, 0);
	if (rc == 0 && (fsync(fd) < 0 || rename(tmp, path) < 0))
		rc = -errno;
	if (rc < 0) {
		unlink(tmp);
		return rc;
	}
	return sync_folder_of(path);
}

int
disk_keep_file(const char *path, struct str content, mode_t mode)
{
	_cleanup_buf_ struct buf now = BUF_INIT;
	struct stat st;
	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 07777) == mode &&
		disk_read_file(path, content.n, &now) == 0 && str_eq(buf_view(&now), content))
		return 0;
	return disk_write_file(path, content, mode);
}

int
disk_mkdirs(const char *path, mode_t mode)
{
	char part[PATH_MAX];
	size_t n = strlen(path);
	if (n >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, n + 1);
	for (size_t i = 1; i <= n; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		char keep = part[i];
		part[i] = '\0';
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return -errno;
		part[i] = keep;
	}
	struct stat st;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int
disk_unlink(const char *path)
{
	return unlink(path) < 0 ? -errno : 0;
}

bool
disk_exists(const char *path)
{
	return access(path, F_OK) == 0;
}
