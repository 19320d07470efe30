/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * launch_mounts: what a container sees of the host, as detached mounts the child moves into its own mount
 * namespace: the host's mount table never shows them and they vanish with the container's last process.
 * Sources are cloned here, while our own mounts still belong to the host's peer groups: so propagation
 * to and from the host works for those that ask for it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "orchestrator/runtime/fsutil.h"
#include "orchestrator/runtime/launch_int.h"

struct want {
	struct runtime_mount m;
	size_t index; /* in the spec; SIZE_MAX = one of the pod's files */
	size_t depth, order;
};

/* ---- overlay ---- */

static int
config(int fs, unsigned cmd, const char *key, const char *value)
{
	return (int)syscall(SYS_fsconfig, fs, cmd, key, value, 0);
}

int
launch_overlay(const struct launch_env *env, struct arena *a, const struct str *layers, size_t n,
	const char *upper, const char *work, struct err *e)
{
	_cleanup_fd_ int fs = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
	int mnt = -1;
	int rc = fs < 0 ? -errno : 0;

	for (size_t i = 0; !rc && i < n; i++) {
		struct str path = arena_fmt(a, "%s/" STR_FMT, env->layers, STR_ARG(layers[i]));

		if (!str_is_set(path))
			rc = -ENOMEM;
		else if (config(fs, FSCONFIG_SET_STRING, "lowerdir+", path.p))
			rc = -errno;
	}
	if (!rc && n == 0 && config(fs, FSCONFIG_SET_STRING, "lowerdir+", env->stage))
		rc = -errno;
	/* Without an upper folder the kernel wants two lower ones. */
	if (!rc && !upper && n <= 1 && config(fs, FSCONFIG_SET_STRING, "lowerdir+", env->stage))
		rc = -errno;
	/* "volatile": nobody needs this layer after a power cut, so nothing waits for the disk. */
	if (!rc && upper &&
		(config(fs, FSCONFIG_SET_STRING, "upperdir", upper) ||
			config(fs, FSCONFIG_SET_STRING, "workdir", work) ||
			config(fs, FSCONFIG_SET_FLAG, "volatile", NULL)))
		rc = -errno;
	if (!rc && config(fs, FSCONFIG_CMD_CREATE, NULL, NULL))
		rc = -errno;
	if (!rc) {
		mnt = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, upper ? 0 : MOUNT_ATTR_RDONLY);
		rc = mnt < 0 ? -errno : 0;
	}
	return rc ? err_errno(e, rc, "mounting the image's layers") : mnt;
}

static int
root(struct launch *l)
{
	const struct container_rec *r = l->rec;
	struct str dir = arena_fmt(
		l->a, "%s/containers/" STR_FMT, l->env->data_path, STR_ARG(r->id));
	struct str upper = arena_fmt(l->a, STR_FMT "/upper", STR_ARG(dir));
	struct str work = arena_fmt(l->a, STR_FMT "/work", STR_ARG(dir));
	_cleanup_fd_ int own = openat(l->env->containers, str_is_set(dir) ? dir.p : "",
		O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = -1;

	if (own < 0 || arena_failed(l->a))
		return err_errno(
			&l->err, own < 0 ? -errno : -ENOMEM, "opening the container's folder");
	/* A start that was cut off may have left the mark of a volatile mount. */
	if (fs_remove_tree(own, "work") || mkdirat(own, "work", 0700) ||
		(mkdirat(own, "upper", 0755) && errno != EEXIST))
		return err_errno(&l->err, -errno, "making the container's folders");
	fd = launch_overlay(l->env, l->a, r->layers, r->n_layers, upper.p, work.p, &l->err);
	if (fd < 0)
		return fd;
	l->child.root = launch_keep(l, fd);
	return l->child.root < 0 ? -ENOMEM : 0;
}

/* ---- volumes ---- */

static int
set_attr(struct launch *l, int fd, const struct runtime_mount *m)
{
	static const uint64_t propagation[] = {
		[RUNTIME_PROPAGATION_PRIVATE] = MS_PRIVATE,
		[RUNTIME_PROPAGATION_HOST_TO_CONTAINER] = MS_SLAVE,
		[RUNTIME_PROPAGATION_BIDIRECTIONAL] = 0,
	};
	struct mount_attr prop = {.propagation = propagation[m->propagation]};
	struct mount_attr attr = {.attr_set = (m->read_only ? MOUNT_ATTR_RDONLY : 0) |
			(m->noexec ? MOUNT_ATTR_NOEXEC : 0)};

	if (prop.propagation &&
		syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &prop,
			sizeof(prop)))
		return err_errno(
			&l->err, -errno, "propagation of '" STR_FMT "'", STR_ARG(m->source));
	if (attr.attr_set &&
		syscall(SYS_mount_setattr, fd, "",
			AT_EMPTY_PATH | (m->recursive_read_only ? AT_RECURSIVE : 0), &attr,
			sizeof(attr)))
		return err_errno(&l->err, -errno, "flags of '" STR_FMT "'", STR_ARG(m->source));
	return 0;
}

/* The umask takes nothing away from a mode that is set afterwards, on what was opened: no link is followed. */
static int
dir_make(int base, const char *parent, const char *name, mode_t mode)
{
	_cleanup_fd_ int up = fs_open_beneath(base, parent, O_PATH | O_DIRECTORY);
	_cleanup_fd_ int fd = -1;

	if (up < 0)
		return -errno;
	if (mkdirat(up, name, 0700))
		return errno == EEXIST ? 0 : -errno;
	fd = openat(up, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 || fchmod(fd, mode) ? -errno : 0;
}

/* mkdir of what is missing of `sub` below base, with base's own mode, never through a link that leads out. */
static int
sub_make(int base, const char *sub)
{
	char buf[4096];
	struct stat st = {0};

	if (fstat(base, &st))
		return -errno;
	if (!str_copy_c(str_c(sub), buf, sizeof(buf)))
		return -ENAMETOOLONG;
	for (char *at = buf;; *at++ = '/') {
		char *slash = strchr(at, '/');
		int fd = -1;
		int rc = 0;

		at = slash ? slash : at + strlen(at);
		*at = '\0';
		fd = fs_open_beneath(base, buf, O_PATH);
		if (fd < 0 && errno == ENOENT) {
			char *cut = strrchr(buf, '/');

			if (cut)
				*cut = '\0';
			rc = dir_make(
				base, cut ? buf : "", cut ? cut + 1 : buf, st.st_mode & 07777);
			if (cut)
				*cut = '/';
		} else if (fd < 0) {
			rc = -errno;
		}
		cleanup_fd(&fd);
		if (rc || !slash)
			return rc;
	}
}

/* A detached copy of source (or of sub below it), with the mounts below. */
static int
bind_tree(struct launch *l, const struct runtime_mount *m)
{
	char *source = arena_cstr(l->a, m->source);
	char *sub = arena_cstr(l->a, m->sub);
	_cleanup_fd_ int base = -1;
	_cleanup_fd_ int at = -1;
	int fd = -1;
	int rc = 0;

	if (!source || !sub)
		return err_set(&l->err, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	base = open(source, O_PATH | O_CLOEXEC);
	if (base < 0)
		return err_errno(&l->err, -errno,
			"error mounting \"%s\" to rootfs at \"" STR_FMT "\": stat %s", source,
			STR_ARG(m->target), source);
	if (*sub) {
		if (m->sub_create)
			rc = sub_make(base, sub);
		at = rc ? -1 : fs_open_beneath(base, sub, O_PATH);
		if (at < 0)
			return err_errno(&l->err, rc ? rc : -errno,
				"failed to prepare subPath \"%s\" of volume \"%s\"", sub, source);
	}
	fd = (int)syscall(SYS_open_tree, *sub ? at : base, "",
		AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (fd < 0)
		return err_errno(&l->err, -errno, "cloning the mount '%s'", source);
	rc = set_attr(l, fd, m);
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

static size_t
depth_of(struct str path)
{
	struct str rest = path;
	struct str part = STR_NONE;
	size_t n = 0;

	while (str_next(&rest, '/', &part))
		n += part.n > 0;
	return n;
}

static int
want_order(const void *x, const void *y)
{
	const struct want *a = x;
	const struct want *b = y;

	if (a->depth != b->depth)
		return a->depth < b->depth ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static void
want_add(struct launch *l, struct want **list, size_t *n, const struct runtime_mount *m,
	size_t index)
{
	struct want *w = ARENA_PUSH(l->a, *list, *n);

	if (w)
		*w = (struct want){*m, index, depth_of(m->target), *n};
}

static bool
is_mounted(const struct runtime_container_spec *s, struct str target)
{
	for (size_t i = 0; i < s->n_mounts; i++)
		if (str_eq(s->mounts[i].target, target))
			return true;
	return false;
}

/* The volumes, and the pod's files where no volume takes their place. */
static struct want *
wants(struct launch *l, size_t *ret_n)
{
	const struct runtime_container_spec *s = &l->rec->spec;
	const struct {
		struct str source, target;
	} files[] = {
		{s->hosts_path, STR("/etc/hosts")},
		{s->resolv_conf_path, STR("/etc/resolv.conf")},
		{s->hostname_path, STR("/etc/hostname")},
		{s->termination_source, s->termination_path},
	};
	struct want *list = NULL;
	size_t n = 0;

	for (size_t i = 0; i < s->n_mounts; i++)
		want_add(l, &list, &n, &s->mounts[i], i);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct runtime_mount m = {.source = files[i].source,
			.target = files[i].target,
			.read_only = s->read_only_rootfs && i < 3};

		if (m.source.n && m.target.n && !is_mounted(s, m.target))
			want_add(l, &list, &n, &m, SIZE_MAX);
	}
	if (n)
		qsort(list, n, sizeof(*list), want_order);
	*ret_n = n;
	return list;
}

static int
volumes(struct launch *l)
{
	size_t n = 0;
	struct want *list = wants(l, &n);
	struct child_mount *out = ARENA_ARRAY(l->a, struct child_mount, n);

	if (arena_failed(l->a) || !out)
		return err_set(&l->err, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	for (size_t i = 0; i < n; i++) {
		const struct want *w = &list[i];
		struct stat st = {0};
		int fd = -1;

		if (w->m.image.n && w->index != SIZE_MAX)
			fd = launch_overlay(l->env, l->a, l->image_layers[w->index],
				l->n_image_layers[w->index], NULL, NULL, &l->err);
		else
			fd = bind_tree(l, &w->m);
		if (fd < 0)
			return fd;
		fd = launch_keep(l, fd);
		if (fd < 0 || fstat(fd, &st))
			return err_errno(
				&l->err, -errno, "looking at '" STR_FMT "'", STR_ARG(w->m.source));
		out[i] = (struct child_mount){
			fd, arena_cstr(l->a, w->m.target), S_ISDIR(st.st_mode)};
	}
	l->child.mounts = out;
	l->child.n_mounts = n;
	return arena_failed(l->a) ? err_set(&l->err, -ENOMEM, R_INTERNAL_ERROR, "no memory") : 0;
}

int
launch_mounts(struct launch *l)
{
	struct runtime_mount shm = {
		.source = str_c(l->shm ? l->shm : "/dev/shm"), .target = STR("/dev/shm")};
	int rc = root(l);
	int fd = -1;

	if (rc)
		return rc;
	fd = bind_tree(l, &shm);
	if (fd < 0)
		return fd;
	l->child.shm = launch_keep(l, fd);
	return volumes(l);
}
