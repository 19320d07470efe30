/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * mounts: volumes that are mounts or are made by the kernel: tmpfs, NFS, and taking all down.
 * The NFS client is the kernel's own; its options are the text that mount.nfs would have made. */
#include "storage/volume/volume.h"

#include "base/buf.h"
#include "base/disk.h"
#include "storage/volume/volume_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define TMPFS_MAGIC_ 0x01021994

/* ---- directories and tmpfs ---- */

static int
dir_group(const char *dir, int64_t fs_group, mode_t mode, struct err *e)
{
	if (fs_group >= 0) {
		if (chown(dir, (uid_t)-1, (gid_t)fs_group) < 0)
			return err_errno(e, -errno, "group of '%s'", dir);
		mode |= 02000;
	}
	return chmod(dir, mode) < 0 ? err_errno(e, -errno, "mode of '%s'", dir) : 0;
}

bool
volume_is_mount(const char *dir)
{
	char parent[2100];
	struct stat st, up;
	snprintf(parent, sizeof(parent), "%s/..", dir);
	if (lstat(dir, &st) < 0 || !S_ISDIR(st.st_mode) || stat(parent, &up) < 0)
		return false;
	if (st.st_dev != up.st_dev)
		return true;
	/* A bind mount of the same file system: the mount id tells. */
	struct {
		struct file_handle h;
		unsigned char room[128];
	} fh = {.h = {.handle_bytes = 128}};
	int id = 0, up_id = 0;
	if (name_to_handle_at(AT_FDCWD, dir, &fh.h, &id, 0) < 0)
		return false;
	fh.h.handle_bytes = 128;
	if (name_to_handle_at(AT_FDCWD, parent, &fh.h, &up_id, 0) < 0)
		return false;
	return id != up_id;
}

/* dir_new: made under another name first, so that a folder of this name always has its group and mode, and
 * one that is there already is what its users made of it. */
static int
dir_new(const char *dir, int64_t fs_group, struct err *e)
{
	char made[2100];
	struct stat st;
	if (stat(dir, &st) == 0)
		return 0;
	snprintf(made, sizeof(made), "%s.new", dir);
	int rc = disk_mkdirs(made, 0755);
	if (rc < 0)
		return err_errno(e, rc, "making '%s'", dir);
	rc = dir_group(made, fs_group, 0777, e);
	if (rc == 0 && rename(made, dir) < 0)
		rc = err_errno(e, -errno, "making '%s'", dir);
	return rc;
}

int
volume_empty_dir(const char *dir, bool memory, int64_t size_bytes, int64_t fs_group, struct err *e)
{
	struct statfs fs;
	if (!memory)
		return dir_new(dir, fs_group, e);
	int rc = disk_mkdirs(dir, 0755);
	if (rc < 0)
		return err_errno(e, rc, "making '%s'", dir);
	if (volume_is_mount(dir) && statfs(dir, &fs) == 0 && fs.f_type == TMPFS_MAGIC_)
		return 0;
	char options[96];
	int n = snprintf(options, sizeof(options), "mode=%o", fs_group >= 0 ? 03777 : 01777);
	if (fs_group >= 0)
		n += snprintf(
			options + n, sizeof(options) - (size_t)n, ",gid=%lld", (long long)fs_group);
	if (size_bytes > 0)
		snprintf(options + n, sizeof(options) - (size_t)n, ",size=%lld",
			(long long)size_bytes);
	if (mount("tmpfs", dir, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
		return err_errno(e, -errno, "mounting a tmpfs at '%s'", dir);
	return 0;
}

int
volume_local_dir(const char *path, bool create, struct err *e)
{
	struct stat st;
	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode)
			? 0
			: err_set(e, -ENOTDIR, R_INVALID, "'%s' is not a directory", path);
	if (!create)
		return err_set(e, -ENOENT, R_NOT_FOUND, "path \"%s\" does not exist", path);
	return dir_new(path, VOLUME_NO_GROUP, e);
}

/* ---- hostPath ---- */

static const struct host_type {
	const char *name, *what;
	mode_t type;
	bool create;
} host_types[] = {
	{"Directory", "directory", S_IFDIR, false},
	{"DirectoryOrCreate", "directory", S_IFDIR, true},
	{"File", "file", S_IFREG, false},
	{"FileOrCreate", "file", S_IFREG, true},
	{"Socket", "socket", S_IFSOCK, false},
	{"CharDevice", "character device", S_IFCHR, false},
	{"BlockDevice", "block device", S_IFBLK, false},
};

static int
host_create(const char *path, mode_t type)
{
	if (type == S_IFDIR)
		return disk_mkdirs(path, 0755);
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	return fd < 0 && errno != EEXIST ? -errno : 0;
}

int
volume_host_path(const char *path, struct str type, struct err *e)
{
	const struct host_type *t = NULL;
	struct stat st;
	for (size_t i = 0; i < ARRAY_LEN(host_types); i++)
		if (str_eq_c(type, host_types[i].name))
			t = &host_types[i];
	if (!type.n) {
		int made = stat(path, &st) < 0 && errno == ENOENT ? disk_mkdirs(path, 0755) : 0;
		return made < 0 ? err_errno(e, made, "making '%s'", path) : 0;
	}
	if (!t)
		return err_set(e, -EINVAL, R_INVALID, "hostPath type '" STR_FMT "' is not known",
			STR_ARG(type));
	int rc = stat(path, &st) < 0 ? -errno : 0;
	if (rc == -ENOENT && t->create) {
		rc = host_create(path, t->type);
		if (rc == 0 && stat(path, &st) < 0)
			rc = -errno;
	}
	if (rc == 0 && (st.st_mode & S_IFMT) == t->type)
		return 0;
	return err_set(e, rc < 0 ? rc : -EINVAL, R_INVALID,
		"hostPath type check failed: %s is not a %s", path, t->what);
}

/* ---- NFS ---- */

static bool
option_value(const struct volume_nfs *n, struct str key, struct str *ret)
{
	for (size_t i = 0; i < n->n_options; i++) {
		struct str name, value;
		if (str_cut(n->options[i], '=', &name, &value) && str_eq(name, key)) {
			*ret = value;
			return true;
		}
	}
	return false;
}

/* Options that are flags of mount(2), and those that only helper programs know. */
static const struct flag_row {
	const char *name;
	unsigned long flag;
} flags[] = {
	{"ro", MS_RDONLY},
	{"rw", 0},
	{"noatime", MS_NOATIME},
	{"nodiratime", MS_NODIRATIME},
	{"relatime", MS_RELATIME},
	{"nosuid", MS_NOSUID},
	{"nodev", MS_NODEV},
	{"noexec", MS_NOEXEC},
	{"sync", MS_SYNCHRONOUS},
	{"_netdev", 0},
	{"defaults", 0},
	{"bg", 0},
	{"fg", 0},
	{"auto", 0},
	{"noauto", 0},
};

static bool
option_flag(struct str o, unsigned long *mask)
{
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (str_eq_c(o, flags[i].name)) {
			*mask |= flags[i].flag;
			return true;
		}
	return false;
}

static int
nfs_try(const char *dir, const struct volume_nfs *n, const char *version)
{
	char source[1200];
	_cleanup_buf_ struct buf b = BUF_INIT;
	unsigned long mask = n->read_only ? MS_RDONLY : 0;
	bool v6 = str_find_char(n->server, ':') >= 0;
	snprintf(source, sizeof(source), "%s" STR_FMT "%s:" STR_FMT, v6 ? "[" : "",
		STR_ARG(n->server), v6 ? "]" : "", STR_ARG(n->path));
	buf_fmt(&b, "vers=%s,addr=" STR_FMT, version, STR_ARG(n->server));
	for (size_t i = 0; i < n->n_options; i++) {
		struct str o = n->options[i];
		if (option_flag(o, &mask) || str_starts(o, STR("vers=")) ||
			str_starts(o, STR("nfsvers=")))
			continue;
		buf_char(&b, ',');
		buf_str(&b, o);
	}
	if (str_find(buf_view(&b), STR("clientaddr=")) < 0)
		buf_fmt(&b, ",clientaddr=%s", v6 ? "::" : "0.0.0.0");
	buf_char(&b, 0);
	if (b.failed)
		return -ENOMEM;
	return mount(source, dir, "nfs4", mask, b.data) < 0 ? -errno : 0;
}

int
volume_nfs_mount(const char *dir, const struct volume_nfs *n, struct err *e)
{
	static const char *const versions[] = {"4.2", "4.1", "4.0"};
	struct str fixed;
	char text[16];
	int rc = disk_mkdirs(dir, 0755);
	if (rc < 0)
		return err_errno(e, rc, "making '%s'", dir);
	if (volume_is_mount(dir))
		return 0;
	if (option_value(n, STR("nfsvers"), &fixed) || option_value(n, STR("vers"), &fixed)) {
		str_copy_c(str_eq_c(fixed, "4") ? STR("4.2") : fixed, text, sizeof(text));
		rc = nfs_try(dir, n, text);
	} else {
		for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
			rc = nfs_try(dir, n, versions[i]);
			if (rc != -EPROTONOSUPPORT && rc != -EINVAL)
				break;
		}
	}
	return rc < 0 ? err_errno(e, rc, "mounting " STR_FMT ":" STR_FMT, STR_ARG(n->server),
				STR_ARG(n->path))
		      : 0;
}

/* ---- teardown ---- */

/* unmount_below: every mount at dir or below it, the newest first. */
static int
unmount_below(const char *dir)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int rc = disk_read_file("/proc/self/mountinfo", 16u << 20, &b);
	if (rc < 0)
		return rc;
	struct str prefix = str_c(dir), rest = buf_view(&b), head = STR_NONE, line;
	/* From the last line to the first: later mounts stand later. */
	while (str_rcut(str_trim(rest), '\n', &head, &line) || line.n) {
		struct str words = line, word = STR_NONE;
		rest = head;
		for (int i = 0; i < 5 && str_next(&words, ' ', &word); i++)
			;
		bool below = str_starts(word, prefix) &&
			(word.n == prefix.n || word.p[prefix.n] == '/');
		char path[2100];
		if (below && str_copy_c(word, path, sizeof(path)) &&
			umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL &&
			errno != ENOENT)
			rc = -errno;
		if (!head.n)
			break;
	}
	return rc;
}

int
volume_teardown(const char *dir, struct err *e)
{
	int rc = unmount_below(dir);
	if (rc == 0)
		rc = volume_remove_at(AT_FDCWD, dir);
	return rc < 0 ? err_errno(e, rc, "removing '%s'", dir) : 0;
}
