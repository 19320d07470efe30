/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * extract: see extract.h. */
#include "orchestrator/runtime/image/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/clock.h"
#include "orchestrator/runtime/fsutil.h"

#define WH ".wh."
#define OPAQUE ".wh..wh..opq"
#define OPAQUE_XATTR "trusted.overlay.opaque"
#define COPY_CHUNK 65536
#define FILE_MAX (1ull << 43)

struct dir_time {
	char *name;
	int64_t mtime_ns;
};

struct extract {
	int root;
	const int *lowers;
	size_t n_lowers;
	uint64_t max_bytes, max_inodes;
	uint64_t bytes, inodes;
	struct err err;
	int parent; /* open folder of the last entry */
	char parent_name[TAR_NAME_MAX + 1];
	char path[TAR_NAME_MAX + 1];  /* of the entry, cut into parts while it is worked on */
	char whole[TAR_NAME_MAX + 1]; /* the same, left whole */
	char link[TAR_NAME_MAX + 1];
	int file; /* being written */
	uint64_t file_size;
	struct tar_entry meta; /* of `file`: applied at its end; xattrs copied below */
	struct arena *a;       /* of the current entry */
	struct arena *dirs_arena;
	struct dir_time *dirs;
	size_t n_dirs;
};

struct extract *
extract_new(int root, const int *lowers, size_t n_lowers, uint64_t max_bytes, uint64_t max_inodes)
{
	struct extract *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	*x = (struct extract){.root = root,
		.lowers = lowers,
		.n_lowers = n_lowers,
		.max_bytes = max_bytes,
		.max_inodes = max_inodes,
		.parent = -1,
		.file = -1};
	x->a = arena_new(8u << 20);
	x->dirs_arena = arena_new(256u << 20);
	if (!x->a || !x->dirs_arena) {
		extract_free(x);
		return NULL;
	}
	return x;
}

void
extract_free(struct extract *x)
{
	if (!x)
		return;
	cleanup_fd(&x->parent);
	cleanup_fd(&x->file);
	arena_free(x->a);
	arena_free(x->dirs_arena);
	free(x);
}

const struct err *
extract_err(const struct extract *x)
{
	return &x->err;
}

uint64_t
extract_bytes(const struct extract *x)
{
	return x->bytes;
}

static int
fail(struct extract *x, const char *what, struct str name)
{
	int code = -errno;

	return err_errno(&x->err, code, "unpacking layer: %s '" STR_FMT "'", what, STR_ARG(name));
}

static int
refuse(struct extract *x, const char *what, struct str name)
{
	return err_set(&x->err, -EBADMSG, R_INVALID, "unpacking layer: %s: '" STR_FMT "'", what,
		STR_ARG(name));
}

/* A clean relative path: no empty parts, no "."; ".." is refused. "" is the root itself. */
static int
clean(struct extract *x, struct str name, char out[static TAR_NAME_MAX + 1])
{
	struct str rest = name;
	struct str part = STR_NONE;
	size_t n = 0;

	while (str_next(&rest, '/', &part)) {
		if (part.n == 0 || str_eq(part, STR(".")))
			continue;
		if (str_eq(part, STR("..")))
			return refuse(x, "path leaves the image", name);
		if (part.n > 255 || n + part.n + 2 > TAR_NAME_MAX)
			return refuse(x, "name too long", name);
		if (n)
			out[n++] = '/';
		memcpy(out + n, part.p, part.n);
		n += part.n;
	}
	out[n] = '\0';
	return 0;
}

/* A folder nobody described: as the layer below has it, else 0755 root. */
static void
dir_like_below(struct extract *x, const char *path)
{
	for (size_t i = 0; i < x->n_lowers; i++) {
		_cleanup_fd_ int below = fs_open_in(x->lowers[i], path, O_PATH | O_NOFOLLOW);
		_cleanup_fd_ int fd = -1;
		struct stat st = {0};

		if (below < 0)
			continue;
		if (fstat(below, &st) || !S_ISDIR(st.st_mode))
			return;
		fd = fs_open_in(x->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		if (fd < 0 || fchown(fd, st.st_uid, st.st_gid) || fchmod(fd, st.st_mode & 07777))
			return;
		futimens(fd, (struct timespec[]){st.st_mtim, st.st_mtim});
		return;
	}
}

static int
count_inode(struct extract *x)
{
	x->bytes += 4096;
	if (++x->inodes > x->max_inodes || x->bytes > x->max_bytes)
		return err_set(&x->err, -ENOSPC, R_INVALID, "unpacking layer: image is too large");
	return 0;
}

/* Makes the folders of `path` that are missing, one after the other; path is changed and restored. */
static int
parents_make(struct extract *x, char *path)
{
	for (char *slash = strchr(path, '/');; slash = strchr(slash + 1, '/')) {
		_cleanup_fd_ int up = -1;
		char *base = NULL;
		struct stat st = {0};
		int fd = -1;

		if (slash)
			*slash = '\0';
		fd = fs_open_in(x->root, path, O_PATH | O_DIRECTORY);
		if (fd >= 0) {
			close(fd);
		} else {
			base = strrchr(path, '/');
			if (base)
				*base = '\0';
			up = fs_open_in(x->root, base ? path : "", O_PATH | O_DIRECTORY);
			if (base)
				*base++ = '/';
			else
				base = path;
			if (up < 0 ||
				(fstatat(up, base, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
					unlinkat(up, base, 0)) ||
				mkdirat(up, base, 0755))
				return fail(x, "making the folder", str_c(path));
			if (count_inode(x))
				return -ENOSPC;
			dir_like_below(x, path);
		}
		if (!slash)
			return 0;
		*slash = '/';
	}
}

/* Opens the folder an entry stands in; *ret_base: its last part (in path). */
static int
parent_open(struct extract *x, char *path, const char **ret_base)
{
	char *slash = strrchr(path, '/');
	const char *dir = slash ? path : "";
	int rc = 0;

	if (slash)
		*slash = '\0';
	*ret_base = slash ? slash + 1 : path;
	if (x->parent >= 0 && strcmp(dir, x->parent_name) == 0)
		return 0;
	cleanup_fd(&x->parent);
	x->parent = fs_open_in(x->root, dir, O_RDONLY | O_DIRECTORY);
	if (x->parent < 0 && *dir) {
		rc = parents_make(x, path);
		if (rc)
			return rc;
		x->parent = fs_open_in(x->root, dir, O_RDONLY | O_DIRECTORY);
	}
	if (x->parent < 0)
		return fail(x, "opening the folder", str_c(dir));
	str_copy_c(str_c(dir), x->parent_name, sizeof(x->parent_name));
	return 0;
}

/* An entry that comes twice replaces the first; folders stay for folders. */
static int
make_room(struct extract *x, const char *base, enum tar_type type, bool *ret_opaque)
{
	struct stat st = {0};

	*ret_opaque = false;
	if (fstatat(x->parent, base, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : fail(x, "looking at", str_c(base));
	if (S_ISDIR(st.st_mode) && type == TAR_DIR)
		return 0;
	*ret_opaque = S_ISCHR(st.st_mode) && st.st_rdev == 0;
	/* The cached folder may be inside what goes away. */
	if (S_ISDIR(st.st_mode)) {
		if (fs_remove_tree(x->parent, base))
			return fail(x, "replacing", str_c(base));
		return 0;
	}
	return unlinkat(x->parent, base, 0) ? fail(x, "replacing", str_c(base)) : 0;
}

/* Only what a layer may set: file capabilities and the user's own. */
static bool
xattr_allowed(struct str name)
{
	return str_eq(name, STR("security.capability")) || str_starts(name, STR("user."));
}

static int
set_xattrs(struct extract *x, int fd, const char *proc_path, const struct tar_entry *t)
{
	for (size_t i = 0; i < t->n_xattrs; i++) {
		char name[256];
		int rc = 0;

		if (!xattr_allowed(t->xattrs[i].name))
			continue;
		if (str_find_char(t->xattrs[i].name, '\0') >= 0 ||
			!str_copy_c(t->xattrs[i].name, name, sizeof(name)))
			return refuse(x, "attribute name", t->name);
		rc = fd >= 0
			? fsetxattr(fd, name, t->xattrs[i].value.p, t->xattrs[i].value.n, 0)
			: lsetxattr(proc_path, name, t->xattrs[i].value.p, t->xattrs[i].value.n, 0);
		if (rc && errno != EOPNOTSUPP)
			return fail(x, "setting an attribute of", t->name);
	}
	return 0;
}

static struct timespec
spec_of(int64_t ns)
{
	int64_t s = ns / NS_PER_SEC;
	int64_t rest = ns % NS_PER_SEC;

	if (rest < 0) {
		s--;
		rest += NS_PER_SEC;
	}
	return (struct timespec){s, rest};
}

/* Owner before mode: chown takes the set-id bits away; attributes after the owner for the same reason. */
static int
finish_at(struct extract *x, const char *base, const struct tar_entry *t)
{
	struct timespec ts = spec_of(t->mtime_ns);

	if (fchownat(x->parent, base, t->uid, t->gid, AT_SYMLINK_NOFOLLOW))
		return fail(x, "setting the owner of", t->name);
	if (t->type != TAR_SYMLINK && fchmodat(x->parent, base, t->mode, 0))
		return fail(x, "setting the mode of", t->name);
	if (utimensat(x->parent, base, (struct timespec[]){ts, ts}, AT_SYMLINK_NOFOLLOW))
		return fail(x, "setting the time of", t->name);
	return 0;
}

static int
make_dir(struct extract *x, const char *base, const char *path, const struct tar_entry *t,
	bool opaque)
{
	_cleanup_fd_ int fd = -1;
	struct dir_time *d = NULL;
	int rc = 0;

	if (mkdirat(x->parent, base, 0755) && errno != EEXIST)
		return fail(x, "making the folder", t->name);
	fd = openat(x->parent, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail(x, "opening the folder", t->name);
	if (opaque && fsetxattr(fd, OPAQUE_XATTR, "y", 1, 0))
		return fail(x, "marking as opaque", t->name);
	if (fchown(fd, t->uid, t->gid) || fchmod(fd, t->mode))
		return fail(x, "setting the owner of", t->name);
	rc = set_xattrs(x, fd, NULL, t);
	if (rc)
		return rc;
	d = ARENA_PUSH(x->dirs_arena, x->dirs, x->n_dirs);
	if (!d)
		return err_set(&x->err, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	d->name = arena_cstr(x->dirs_arena, str_c(path));
	d->mtime_ns = t->mtime_ns;
	return d->name ? 0 : err_set(&x->err, -ENOMEM, R_INTERNAL_ERROR, "no memory");
}

static int
file_begin(struct extract *x, const char *base, const struct tar_entry *t)
{
	struct tar_xattr *copy = ARENA_ARRAY(x->a, struct tar_xattr, t->n_xattrs);

	/* A sparse file may be large and cost little: what counts against max_bytes is what is written. */
	if (t->size > FILE_MAX)
		return refuse(x, "file too large", t->name);
	x->file = openat(
		x->parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (x->file < 0)
		return fail(x, "making the file", t->name);
	x->meta = *t;
	x->meta.name = arena_str(x->a, t->name);
	for (size_t i = 0; copy && i < t->n_xattrs; i++)
		copy[i] = (struct tar_xattr){
			arena_str(x->a, t->xattrs[i].name), arena_str(x->a, t->xattrs[i].value)};
	x->meta.xattrs = copy;
	if (arena_failed(x->a))
		return err_set(&x->err, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	return 0;
}

static int
file_end(struct extract *x)
{
	const struct tar_entry *t = &x->meta;
	struct timespec ts = spec_of(t->mtime_ns);
	int rc = 0;

	if (ftruncate(x->file, (off_t)t->size))
		return fail(x, "sizing", t->name);
	if (fchown(x->file, t->uid, t->gid))
		return fail(x, "setting the owner of", t->name);
	rc = set_xattrs(x, x->file, NULL, t);
	if (rc)
		return rc;
	if (fchmod(x->file, t->mode) || futimens(x->file, (struct timespec[]){ts, ts}))
		return fail(x, "setting the mode of", t->name);
	cleanup_fd(&x->file);
	x->file = -1;
	return 0;
}

/* ---- hard links ---- */

static int
copy_bytes(struct extract *x, int from, int to, struct str name)
{
	char *buf = arena_alloc_raw(x->a, COPY_CHUNK, 16);
	ssize_t n = 0;

	if (!buf)
		return err_set(&x->err, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	while ((n = read(from, buf, COPY_CHUNK)) > 0) {
		x->bytes += (uint64_t)n;
		if (x->bytes > x->max_bytes)
			return err_set(
				&x->err, -ENOSPC, R_INVALID, "unpacking layer: image is too large");
		if (fs_write_all(to, buf, (size_t)n))
			return fail(x, "writing", name);
	}
	return n < 0 ? fail(x, "reading", name) : 0;
}

/* The target stands in a layer below: bring it up as overlayfs would, then the name is a file of its own. */
static int
link_from_below(struct extract *x, const char *target, const char *base, const struct tar_entry *t)
{
	for (size_t i = 0; i < x->n_lowers; i++) {
		_cleanup_fd_ int from = fs_open_in(x->lowers[i], target, O_RDONLY | O_NOFOLLOW);
		_cleanup_fd_ int to = -1;
		struct stat st = {0};
		char cap[64];
		ssize_t n_cap = 0;

		if (from < 0)
			continue;
		if (fstat(from, &st) || !S_ISREG(st.st_mode))
			break;
		to = openat(x->parent, base, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (to < 0)
			return fail(x, "making the file", t->name);
		if (copy_bytes(x, from, to, t->name))
			return x->err.code;
		n_cap = fgetxattr(from, "security.capability", cap, sizeof(cap));
		if (fchown(to, st.st_uid, st.st_gid) || fchmod(to, st.st_mode & 07777) ||
			(n_cap > 0 &&
				fsetxattr(to, "security.capability", cap, (size_t)n_cap, 0)) ||
			futimens(to, (struct timespec[]){st.st_mtim, st.st_mtim}))
			return fail(x, "copying", t->name);
		return 0;
	}
	return refuse(x, "hard link to a file that is not there", t->name);
}

static int
make_link(struct extract *x, const char *base, const struct tar_entry *t)
{
	_cleanup_fd_ int up = -1;
	char *slash = NULL;
	int rc = clean(x, t->link, x->link);

	if (rc)
		return rc;
	slash = strrchr(x->link, '/');
	if (slash)
		*slash = '\0';
	up = fs_open_in(x->root, slash ? x->link : "", O_PATH | O_DIRECTORY);
	if (up >= 0 && linkat(up, slash ? slash + 1 : x->link, x->parent, base, 0) == 0)
		return 0;
	if (errno != ENOENT && errno != ENOTDIR)
		return fail(x, "linking", t->name);
	if (slash)
		*slash = '/';
	return link_from_below(x, x->link, base, t);
}

static int
make_node(struct extract *x, const char *base, const struct tar_entry *t)
{
	mode_t kind = t->type == TAR_CHAR ? S_IFCHR : t->type == TAR_BLOCK ? S_IFBLK : S_IFIFO;

	/* 0/0 is overlayfs's own sign for "deleted": a layer says that by names only. */
	if (t->type == TAR_CHAR && t->major == 0 && t->minor == 0)
		return refuse(x, "device 0/0", t->name);
	if (mknodat(x->parent, base, kind | 0600,
		    t->type == TAR_FIFO ? 0 : makedev(t->major, t->minor)))
		return fail(x, "making the device", t->name);
	return finish_at(x, base, t);
}

static int
make_symlink(struct extract *x, const char *base, const struct tar_entry *t)
{
	char *to = arena_cstr(x->a, t->link);

	if (!to)
		return err_set(&x->err, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	if (symlinkat(to, x->parent, base))
		return fail(x, "making the link", t->name);
	return finish_at(x, base, t);
}

/* ---- whiteouts ---- */

static int
whiteout(struct extract *x, const char *base, const struct tar_entry *t)
{
	const char *name = base + strlen(WH);

	if (strcmp(base, OPAQUE) == 0)
		return fsetxattr(x->parent, OPAQUE_XATTR, "y", 1, 0)
			? fail(x, "marking as opaque", t->name)
			: 0;
	if (strncmp(name, WH, strlen(WH)) == 0)
		return 0; /* aufs' own records */
	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return refuse(x, "whiteout", t->name);
	/* What this layer itself holds under the name stays: a whiteout speaks of the layers below. */
	if (mknodat(x->parent, name, S_IFCHR | 0, makedev(0, 0)) && errno != EEXIST)
		return fail(x, "making the whiteout", t->name);
	return 0;
}

/* ---- what the tar parser calls ---- */

static int
on_entry(void *arg, const struct tar_entry *t)
{
	struct extract *x = arg;
	const char *base = NULL;
	bool opaque = false;
	int rc = 0;

	arena_clear(x->a);
	rc = clean(x, t->name, x->path);
	if (rc)
		return rc;
	if (!*x->path) { /* the root itself */
		if (t->type == TAR_DIR &&
			(fchown(x->root, t->uid, t->gid) || fchmod(x->root, t->mode)))
			return fail(x, "setting the owner of", STR("/"));
		return 0;
	}
	str_copy_c(str_c(x->path), x->whole, sizeof(x->whole));
	rc = parent_open(x, x->path, &base);
	if (rc)
		return rc;
	rc = count_inode(x);
	if (rc)
		return rc;
	if (strncmp(base, WH, strlen(WH)) == 0)
		return whiteout(x, base, t);
	rc = make_room(x, base, t->type, &opaque);
	if (rc)
		return rc;
	switch (t->type) {
	case TAR_FILE:
		return file_begin(x, base, t);
	case TAR_DIR:
		return make_dir(x, base, x->whole, t, opaque);
	case TAR_HARDLINK:
		return make_link(x, base, t);
	case TAR_SYMLINK:
		return make_symlink(x, base, t);
	case TAR_CHAR:
	case TAR_BLOCK:
	case TAR_FIFO:
		return make_node(x, base, t);
	}
	return 0;
}

static int
on_data(void *arg, uint64_t at, struct str bytes)
{
	struct extract *x = arg;

	if (x->file < 0)
		return 0;
	x->bytes += bytes.n;
	if (x->bytes > x->max_bytes)
		return err_set(&x->err, -ENOSPC, R_INVALID, "unpacking layer: image is too large");
	while (bytes.n) {
		ssize_t n = pwrite(x->file, bytes.p, bytes.n, (off_t)at);

		if (n < 0)
			return fail(x, "writing", x->meta.name);
		at += (uint64_t)n;
		bytes = str_sub(bytes, (size_t)n, SIZE_MAX);
	}
	return 0;
}

static int
on_end(void *arg)
{
	struct extract *x = arg;

	return x->file >= 0 ? file_end(x) : 0;
}

const struct tar_ops extract_tar_ops = {on_entry, on_data, on_end};

int
extract_finish(struct extract *x, struct err *e)
{
	for (size_t i = x->n_dirs; i-- > 0;) {
		_cleanup_fd_ int fd = fs_open_in(
			x->root, x->dirs[i].name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		struct timespec ts = spec_of(x->dirs[i].mtime_ns);

		/* A later entry may have replaced the folder. */
		if (fd >= 0 && futimens(fd, (struct timespec[]){ts, ts}))
			return err_errno(e, -errno, "unpacking layer: setting the time of '%s'",
				x->dirs[i].name);
	}
	return 0;
}
