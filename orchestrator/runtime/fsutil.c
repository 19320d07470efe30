/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * fsutil: see fsutil.h. Trees are walked with a stack of open folders of bounded depth, no recursion:
 * a container may have made a tree as deep as it likes. */
#include "orchestrator/runtime/fsutil.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"

static int
open_how(int root, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC), .resolve = resolve | RESOLVE_NO_MAGICLINKS};
	int fd = -1;

	/* EAGAIN: a rename went on meanwhile and the kernel cannot prove the path; it says to try again. */
	for (int i = 0; i < 64; i++) {
		fd = (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			return fd;
	}
	return fd;
}

int
fs_open_in(int root, const char *path, int flags)
{
	return open_how(root, path, flags, RESOLVE_IN_ROOT);
}

int
fs_open_beneath(int root, const char *path, int flags)
{
	return open_how(root, path, flags, RESOLVE_BENEATH);
}

int
fs_write_all(int fd, const void *p, size_t n)
{
	const char *at = p;

	while (n) {
		ssize_t w = write(fd, at, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -1;
		at += w;
		n -= (size_t)w;
	}
	return 0;
}

int
fs_write_text(int dir, const char *path, const char *text)
{
	_cleanup_fd_ int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
	size_t n = strlen(text);

	if (fd < 0)
		return -errno;
	return write(fd, text, n) == (ssize_t)n ? 0 : -errno;
}

static bool
is_dot(const char *n)
{
	return n[0] == '.' && (n[1] == '\0' || (n[1] == '.' && n[2] == '\0'));
}

/* A folder inside `up`, on the same file system; -1 when it is something else. */
static int
child_dir(int up, const char *name, dev_t dev)
{
	struct stat st = {0};
	int fd = openat(up, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && (fstat(fd, &st) || st.st_dev != dev)) {
		close(fd);
		errno = EXDEV;
		return -1;
	}
	return fd;
}

/* Empties `top` (taken): always works on the deepest folder, which it finds by moving folders that
 * are not empty up into top: depth is never more than two, whatever the tree looks like. */
static int
empty_dir(int top)
{
	_cleanup_fd_ int own = top;
	struct stat st = {0};
	unsigned long serial = 0;
	bool again = true;

	if (fstat(own, &st))
		return -1;
	while (again) {
		DIR *d = NULL;
		struct dirent *de = NULL;
		int dup_fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		again = false;
		d = dup_fd < 0 ? NULL : fdopendir(dup_fd);
		if (!d) {
			if (dup_fd >= 0)
				close(dup_fd);
			return -1;
		}
		while ((de = readdir(d))) {
			DIR *sub = NULL;
			struct dirent *se = NULL;
			int fd = -1;

			if (is_dot(de->d_name) || unlinkat(top, de->d_name, 0) == 0 ||
				unlinkat(top, de->d_name, AT_REMOVEDIR) == 0)
				continue;
			fd = child_dir(top, de->d_name, st.st_dev);
			sub = fd < 0 ? NULL : fdopendir(fd);
			if (!sub) {
				int err = errno;

				if (fd >= 0)
					close(fd);
				closedir(d);
				errno = err;
				return -1;
			}
			while ((se = readdir(sub))) {
				char to[48];

				if (is_dot(se->d_name) || unlinkat(fd, se->d_name, 0) == 0 ||
					unlinkat(fd, se->d_name, AT_REMOVEDIR) == 0)
					continue;
				do {
					snprintf(to, sizeof(to), ".remove-%lu", serial++);
				} while (faccessat(top, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
				if (renameat(fd, se->d_name, top, to)) {
					int err = errno;

					closedir(sub);
					closedir(d);
					errno = err;
					return -1;
				}
				again = true;
			}
			closedir(sub);
			if (unlinkat(top, de->d_name, AT_REMOVEDIR))
				again = true;
		}
		closedir(d);
	}
	return 0;
}

int
fs_remove_tree(int dir, const char *name)
{
	struct stat st = {0};
	int fd = -1;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0)
		return 0;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -1;
	fd = child_dir(dir, name, st.st_dev);
	if (fd < 0 || empty_dir(fd))
		return -1;
	return unlinkat(dir, name, AT_REMOVEDIR);
}

#define USAGE_DEPTH 256

int
fs_usage(int dir, uint64_t *ret_bytes, uint64_t *ret_inodes)
{
	DIR *stack[USAGE_DEPTH] = {NULL};
	size_t depth = 0;
	struct stat top = {0};
	uint64_t bytes = 0;
	uint64_t inodes = 1;
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &top)) {
		int rc = -errno;

		cleanup_fd(&fd);
		return rc;
	}
	stack[0] = fdopendir(fd);
	if (!stack[0]) {
		close(fd);
		return -ENOMEM;
	}
	depth = 1;
	while (depth) {
		struct dirent *de = readdir(stack[depth - 1]);
		struct stat st = {0};

		if (!de) {
			closedir(stack[--depth]);
			continue;
		}
		if (is_dot(de->d_name) ||
			fstatat(dirfd(stack[depth - 1]), de->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		bytes += (uint64_t)st.st_blocks * 512;
		inodes++;
		/* Deeper than this nobody looks: the sum is then a lower bound. */
		if (S_ISDIR(st.st_mode) && st.st_dev == top.st_dev && depth < USAGE_DEPTH) {
			fd = child_dir(dirfd(stack[depth - 1]), de->d_name, top.st_dev);
			stack[depth] = fd < 0 ? NULL : fdopendir(fd);
			if (stack[depth])
				depth++;
			else if (fd >= 0)
				close(fd);
		}
	}
	*ret_bytes = bytes;
	*ret_inodes = inodes;
	return 0;
}
