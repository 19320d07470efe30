/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * files: volumes whose content comes from API objects. Layout of a folder:
 *
 *   name          -> ..data/name        (first part of each path)
 *   ..data        -> ..2026_11_23_23_09_03.123456789
 *   ..2026_.../   the files
 *
 * An update is a new ..TIMESTAMP folder and one rename of the ..data link. */
#include "storage/volume/volume.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/disk.h"
#include "storage/volume/volume_int.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DATA "..data"
#define DATA_TMP "..data_tmp"

bool
volume_files_path_ok(struct str path)
{
	struct str rest = path, part;
	if (!path.n || path.n > 1024 || path.p[0] == '/' || str_starts(path, STR("..")))
		return false;
	while (str_next(&rest, '/', &part))
		if (!part.n || part.n > 255 || str_eq_c(part, "..") || str_eq_c(part, ".") ||
			memchr(part.p, 0, part.n))
			return false;
	return true;
}

/* file_mode: with a group, it reads what the owner may, and the owner always may. */
static mode_t
file_mode(const struct volume_file *f, int64_t fs_group)
{
	return (f->mode & 0777) | (fs_group >= 0 ? 0440 : 0);
}

static bool
file_is(int dir_fd, const struct volume_file *f, int64_t fs_group)
{
	char path[1100];
	struct stat st;
	snprintf(path, sizeof(path), DATA "/" STR_FMT, STR_ARG(f->path));
	_cleanup_fd_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		(size_t)st.st_size != f->content.n || (f->uid && st.st_uid != f->uid) ||
		(st.st_mode & 0777) != file_mode(f, fs_group))
		return false;
	_cleanup_buf_ struct buf b = BUF_INIT;
	char *at = buf_reserve(&b, f->content.n + 1);
	if (!at)
		return false;
	size_t have = 0;
	while (have < f->content.n) {
		ssize_t n = read(fd, at + have, f->content.n - have);
		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	return have == 0 || memcmp(at, f->content.p, have) == 0;
}

/* count_files: regular files below an open folder (depth bounded by the paths that were written). */
static size_t
count_files(int dir_fd, const char *path, int depth)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *ent;
	size_t n = 0;
	if (!d && fd >= 0)
		close(fd);
	while (d && (ent = readdir(d))) {
		if (!strcmp(ent->d_name, ".") || !strcmp(ent->d_name, ".."))
			continue;
		if (ent->d_type == DT_DIR && depth < 32)
			n += count_files(dirfd(d), ent->d_name, depth + 1);
		else
			n++;
	}
	if (d)
		closedir(d);
	return n;
}

static bool
all_as_wanted(int dir_fd, const struct volume_file *v, size_t n, int64_t fs_group)
{
	for (size_t i = 0; i < n; i++)
		if (!file_is(dir_fd, &v[i], fs_group))
			return false;
	return faccessat(dir_fd, DATA, F_OK, 0) == 0 && count_files(dir_fd, DATA, 0) == n;
}

/* make_parents: folders of a path below base_fd. */
static int
make_parents(int base_fd, struct str path, int64_t fs_group)
{
	char part[1100];
	for (size_t i = 1; i < path.n; i++) {
		if (path.p[i] != '/')
			continue;
		str_copy_c(str_sub(path, 0, i), part, sizeof(part));
		if (mkdirat(base_fd, part, 0755) < 0 && errno != EEXIST)
			return -errno;
		if (fs_group >= 0 && fchownat(base_fd, part, (uid_t)-1, (gid_t)fs_group, 0) < 0)
			return -errno;
	}
	return 0;
}

static int
write_one(int base_fd, const struct volume_file *f, int64_t fs_group)
{
	char path[1100];
	str_copy_c(f->path, path, sizeof(path));
	int rc = make_parents(base_fd, f->path, fs_group);
	if (rc < 0)
		return rc;
	_cleanup_fd_ int fd = openat(
		base_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	for (size_t at = 0; at < f->content.n;) {
		ssize_t n = write(fd, f->content.p + at, f->content.n - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += (size_t)n;
	}
	if ((f->uid || fs_group >= 0) &&
		fchown(fd, f->uid, fs_group >= 0 ? (gid_t)fs_group : (gid_t)-1) < 0)
		return -errno;
	return fchmod(fd, file_mode(f, fs_group)) < 0 ? -errno : 0;
}

/* link_names: dir/first-part -> ..data/first-part, for each first part that is not there yet. */
static int
link_names(int dir_fd, const struct volume_file *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char name[300], target[320];
		struct str head, rest;
		str_cut(v[i].path, '/', &head, &rest);
		str_copy_c(head, name, sizeof(name));
		snprintf(target, sizeof(target), DATA "/%s", name);
		if (symlinkat(target, dir_fd, name) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static bool
is_wanted(const char *name, const struct volume_file *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct str head, rest;
		str_cut(v[i].path, '/', &head, &rest);
		if (str_eq_c(head, name))
			return true;
	}
	return false;
}

/* sweep: links to files that are no more, and folders of former versions. */
static void
sweep(const char *dir, int dir_fd, const char *keep, const struct volume_file *v, size_t n)
{
	DIR *d = opendir(dir);
	const struct dirent *ent;
	while (d && (ent = readdir(d))) {
		const char *name = ent->d_name;
		if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, DATA) ||
			!strcmp(name, keep))
			continue;
		if (!strncmp(name, "..", 2))
			volume_remove_at(dir_fd, name);
		else if (!is_wanted(name, v, n))
			unlinkat(dir_fd, name, 0);
	}
	if (d)
		closedir(d);
}

static void
version_name(char *out, size_t size)
{
	int64_t now = clock_wall_ns();
	time_t sec = (time_t)(now / NS_PER_SEC);
	struct tm tm;
	gmtime_r(&sec, &tm);
	snprintf(out, size, "..%04d_%02d_%02d_%02d_%02d_%02d.%09lld", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		(long long)(now % NS_PER_SEC));
}

static int
write_version(
	int dir_fd, const char *version, const struct volume_file *v, size_t n, int64_t fs_group)
{
	if (mkdirat(dir_fd, version, 0755) < 0)
		return -errno;
	_cleanup_fd_ int fd = openat(dir_fd, version, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0755) < 0 ||
		(fs_group >= 0 && fchown(fd, (uid_t)-1, (gid_t)fs_group) < 0))
		return -errno;
	for (size_t i = 0; i < n; i++) {
		int rc = write_one(fd, &v[i], fs_group);
		if (rc < 0)
			return rc;
	}
	unlinkat(dir_fd, DATA_TMP, 0);
	if (symlinkat(version, dir_fd, DATA_TMP) < 0 ||
		renameat(dir_fd, DATA_TMP, dir_fd, DATA) < 0)
		return -errno;
	return link_names(dir_fd, v, n);
}

int
volume_files_write(const char *dir, const struct volume_file *v, size_t n, bool memory,
	int64_t fs_group, bool *ret_changed, struct err *e)
{
	char version[64];
	for (size_t i = 0; i < n; i++)
		if (!volume_files_path_ok(v[i].path))
			return err_set(e, -EINVAL, R_INVALID,
				"invalid path '" STR_FMT "' in a volume", STR_ARG(v[i].path));
	int rc = memory ? volume_empty_dir(dir, true, 0, VOLUME_NO_GROUP, e)
			: disk_mkdirs(dir, 0755);
	if (rc < 0)
		return memory ? rc : err_errno(e, rc, "making '%s'", dir);
	_cleanup_fd_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_errno(e, -errno, "opening '%s'", dir);
	bool changed = !all_as_wanted(fd, v, n, fs_group);
	if (changed) {
		version_name(version, sizeof(version));
		rc = write_version(fd, version, v, n, fs_group);
		if (rc < 0) {
			volume_remove_at(fd, version);
			return err_errno(e, rc, "writing the files of '%s'", dir);
		}
		sweep(dir, fd, version, v, n);
		if (fs_group >= 0 &&
			(fchown(fd, (uid_t)-1, (gid_t)fs_group) < 0 || fchmod(fd, 02775) < 0))
			return err_errno(e, -errno, "group of '%s'", dir);
	}
	if (ret_changed)
		*ret_changed = changed;
	return 0;
}
