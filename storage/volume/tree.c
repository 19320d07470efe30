/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * tree: walks over volumes that containers could write: every step is relative to an open folder and
 * follows no link, so that nothing outside is touched. The walks keep their own stack of open folders,
 * bounded in depth. */
#include "storage/volume/volume.h"

#include "storage/volume/volume_int.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 512

/* What a walk does: enter (before the content; false = not into it), entry (not a folder), leave. */
struct walk {
	int (*entry)(struct walk *w, int dir_fd, const char *name, const struct stat *st);
	int (*leave)(
		struct walk *w, int parent_fd, const char *name, int fd, const struct stat *st);
	dev_t dev;
	int64_t value;
};

struct frame {
	DIR *d;
	int parent_fd;
	char name[256];
	struct stat st;
};

static int
frame_open(struct frame *f, int parent_fd, const char *name, const struct stat *st)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	f->d = fdopendir(fd);
	if (!f->d) {
		close(fd);
		return -ENOMEM;
	}
	f->parent_fd = parent_fd;
	str_copy_c(str_c(name), f->name, sizeof(f->name));
	f->st = *st;
	return 0;
}

static int
walk_step(struct walk *w, struct frame *stack, size_t *n)
{
	struct frame *f = &stack[*n - 1];
	struct stat st;
	const struct dirent *ent = readdir(f->d);
	if (!ent) {
		int rc = w->leave ? w->leave(w, f->parent_fd, f->name, dirfd(f->d), &f->st) : 0;
		closedir(f->d);
		(*n)--;
		return rc;
	}
	if (!strcmp(ent->d_name, ".") || !strcmp(ent->d_name, ".."))
		return 0;
	if (fstatat(dirfd(f->d), ent->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISDIR(st.st_mode))
		return w->entry ? w->entry(w, dirfd(f->d), ent->d_name, &st) : 0;
	if (st.st_dev != w->dev)
		return 0;
	if (*n == DEPTH_MAX)
		return -ELOOP;
	int rc = frame_open(&stack[*n], dirfd(f->d), ent->d_name, &st);
	*n += rc == 0;
	return rc;
}

/* walk_run: name below dir_fd is a folder; the first error ends the walk. */
static int
walk_run(struct walk *w, int dir_fd, const char *name)
{
	struct stat st;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	struct frame *stack = malloc(DEPTH_MAX * sizeof(*stack));
	if (!stack)
		return -ENOMEM;
	size_t n = 0;
	w->dev = st.st_dev;
	int rc = frame_open(&stack[0], dir_fd, name, &st);
	n = rc == 0;
	while (rc == 0 && n)
		rc = walk_step(w, stack, &n);
	while (n)
		closedir(stack[--n].d);
	free(stack);
	return rc;
}

/* ---- remove ---- */

static int
remove_entry(struct walk *w, int dir_fd, const char *name, const struct stat *st)
{
	(void)w;
	(void)st;
	return unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int
remove_leave(struct walk *w, int parent_fd, const char *name, int fd, const struct stat *st)
{
	(void)w;
	(void)fd;
	(void)st;
	return unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int
volume_remove_at(int dir_fd, const char *name)
{
	struct walk w = {.entry = remove_entry, .leave = remove_leave};
	int rc = walk_run(&w, dir_fd, name);
	if (rc == -ENOTDIR)
		rc = unlinkat(dir_fd, name, 0) < 0 ? -errno : 0;
	return rc == -ENOENT ? 0 : rc;
}

/* ---- group ---- */

static int
group_one(int dir_fd, const char *name, const struct stat *st, int64_t group, mode_t more)
{
	if (fchownat(dir_fd, name, (uid_t)-1, (gid_t)group, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == EROFS ? 0 : -errno;
	if (S_ISLNK(st->st_mode))
		return 0;
	mode_t mode = (st->st_mode & 07777) | more;
	return fchmodat(dir_fd, name, mode, 0) < 0 && errno != EROFS ? -errno : 0;
}

static int
group_entry(struct walk *w, int dir_fd, const char *name, const struct stat *st)
{
	if (!S_ISREG(st->st_mode) && !S_ISLNK(st->st_mode))
		return 0;
	return group_one(dir_fd, name, st, w->value, 0660);
}

static int
group_leave(struct walk *w, int parent_fd, const char *name, int fd, const struct stat *st)
{
	(void)fd;
	return group_one(parent_fd, name, st, w->value, 02770);
}

int
volume_set_group(const char *dir, int64_t fs_group, bool root_only, struct err *e)
{
	struct stat st;
	if (fs_group < 0)
		return 0;
	if (stat(dir, &st) < 0)
		return err_errno(e, -errno, "looking at '%s'", dir);
	if (root_only && st.st_gid == (gid_t)fs_group && (st.st_mode & 02770) == 02770)
		return 0;
	struct walk w = {.entry = group_entry, .leave = group_leave, .value = fs_group};
	int rc = walk_run(&w, AT_FDCWD, dir);
	return rc < 0 ? err_errno(e, rc, "setting the group of '%s'", dir) : 0;
}

/* ---- usage ---- */

static int
usage_entry(struct walk *w, int dir_fd, const char *name, const struct stat *st)
{
	(void)dir_fd;
	(void)name;
	w->value += (int64_t)st->st_blocks * 512;
	return 0;
}

static int
usage_leave(struct walk *w, int parent_fd, const char *name, int fd, const struct stat *st)
{
	(void)fd;
	return usage_entry(w, parent_fd, name, st);
}

int64_t
volume_usage(const char *dir)
{
	struct walk w = {.entry = usage_entry, .leave = usage_leave};
	int rc = walk_run(&w, AT_FDCWD, dir);
	return rc < 0 ? rc : w.value;
}
