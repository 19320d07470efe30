/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * child: see child.h. Raw system calls only; any failure is reported and ends the process. After
 * pivot_root "/" is the container's, so no link of the image can lead a mount outside.
 * Source: OCI runtime-spec 1.2 (config.md, config-linux.md), mount_setattr(2), pivot_root(2). */
#include "orchestrator/runtime/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/str.h"

#define PATH_BYTES 4096
#define MODE_DEV 0755

static void
copy_text(char *to, size_t size, const char *from)
{
	size_t i = 0;

	for (; from && from[i] && i + 1 < size; i++)
		to[i] = from[i];
	to[i] = '\0';
}

static _Noreturn void
die(const struct child *c, int exit_code, const char *what, const char *path)
{
	struct child_report r = {.kind = CHILD_FAILED, .error = errno, .exit_code = exit_code};

	copy_text(r.what, sizeof(r.what), what);
	copy_text(r.path, sizeof(r.path), path);
	if (send(c->sock, &r, sizeof(r), MSG_NOSIGNAL) < 0)
		_exit(255);
	_exit(exit_code);
}

static _Noreturn void
fail(const struct child *c, const char *what, const char *path)
{
	die(c, 128, what, path);
}

/* ---- small wrappers ---- */

static int
move_to(int fd, const char *target)
{
	return (int)syscall(SYS_move_mount, fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
}

static int
open_path(const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve};

	return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

/* mkdir -p of the folders of path, of the last part too when `whole`. Existing ones, also links, are fine. */
static int
make_dirs(const char *path, bool whole)
{
	char buf[PATH_BYTES];
	size_t n = strlen(path);

	if (n >= sizeof(buf)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(buf, path, n + 1);
	for (size_t i = 1; i <= n; i++) {
		if (buf[i] != '/' && buf[i] != '\0')
			continue;
		if (buf[i] == '\0' && !whole)
			break;
		buf[i] = '\0';
		if (mkdir(buf, 0755) && errno != EEXIST) {
			struct stat st;

			if (stat(buf, &st) || !S_ISDIR(st.st_mode))
				return -1;
		}
		if (i < n)
			buf[i] = '/';
	}
	return 0;
}

/* One of the kernel's own file systems on a real folder of the image (a link in its place is refused). */
static void
mount_kernel(const struct child *c, const char *type, const char *target, unsigned long flags,
	const char *data)
{
	int fd = -1;

	if (mkdir(target, 0755) && errno != EEXIST)
		fail(c, "making", target);
	fd = open_path(target, O_PATH | O_DIRECTORY | O_NOFOLLOW, RESOLVE_NO_SYMLINKS);
	if (fd < 0)
		fail(c, "mount point is not a folder:", target);
	close(fd);
	if (mount(type, target, type, flags, data))
		fail(c, "mounting", target);
}

/* ---- the file system ---- */

static void
enter_root(const struct child *c)
{
	/* Nothing mounted here may show on the host; what the host mounts later reaches those
	 * mounts that were asked for as slaves or shared (they were cloned before). */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL))
		fail(c, "making mounts private", NULL);
	if (move_to(c->root, c->stage))
		fail(c, "mounting the root file system", c->stage);
	if (chdir(c->stage))
		fail(c, "entering the root file system", NULL);
	if (syscall(SYS_pivot_root, ".", "."))
		fail(c, "changing the root", NULL);
	if (umount2(".", MNT_DETACH) || chdir("/"))
		fail(c, "leaving the old root", NULL);
}

static void
make_nodes(const struct child *c, const struct device_node *d, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		mode_t mode = (d[i].block ? S_IFBLK : S_IFCHR) | d[i].mode;

		if (make_dirs(d[i].path, false))
			fail(c, "making the folder of", d[i].path);
		if (mknod(d[i].path, mode, makedev(d[i].major, d[i].minor)) && errno != EEXIST)
			fail(c, "making the device", d[i].path);
		if (chmod(d[i].path, d[i].mode) || chown(d[i].path, d[i].uid, d[i].gid))
			fail(c, "setting the owner of", d[i].path);
	}
}

static void
make_dev(const struct child *c)
{
	static const char *const links[][2] = {
		{"/proc/self/fd", "/dev/fd"},
		{"/proc/self/fd/0", "/dev/stdin"},
		{"/proc/self/fd/1", "/dev/stdout"},
		{"/proc/self/fd/2", "/dev/stderr"},
		{"pts/ptmx", "/dev/ptmx"},
		{"/proc/kcore", "/dev/core"},
	};

	mount_kernel(c, "tmpfs", "/dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		if (symlink(links[i][0], links[i][1]))
			fail(c, "linking", links[i][1]);
	make_nodes(c, devices_default, devices_n_default);
	make_nodes(c, c->nodes, c->n_nodes);
	mount_kernel(c, "devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC,
		"newinstance,ptmxmode=0666,mode=0620,gid=5");
	mount_kernel(c, "mqueue", "/dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	if (c->shm >= 0) {
		if (mkdir("/dev/shm", 01777) && errno != EEXIST)
			fail(c, "making", "/dev/shm");
		if (move_to(c->shm, "/dev/shm"))
			fail(c, "mounting", "/dev/shm");
	}
}

static void
mount_system(const struct child *c)
{
	unsigned long ro = c->privileged ? 0 : MS_RDONLY;

	mount_kernel(c, "proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	make_dev(c);
	mount_kernel(c, "sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC | ro, NULL);
	/* A kernel without cgroup v2 in sysfs has no folder for it. */
	if (mount("cgroup2", "/sys/fs/cgroup", "cgroup2",
		    MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME | ro, NULL) &&
		errno != ENOENT)
		fail(c, "mounting", "/sys/fs/cgroup");
}

/* The place a volume goes to: made when missing; never inside /proc, whatever links say. */
static void
mount_one(const struct child *c, const struct child_mount *m)
{
	struct statfs fs;
	struct stat st;
	int fd = -1;

	if (stat(m->target, &st)) {
		if (make_dirs(m->target, m->dir))
			fail(c, "making the mount point", m->target);
		if (!m->dir) {
			fd = open(m->target, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
			if (fd < 0)
				fail(c, "making the mount point", m->target);
			close(fd);
		}
	} else if (S_ISDIR(st.st_mode) != m->dir) {
		errno = m->dir ? ENOTDIR : EISDIR;
		fail(c, "are you trying to mount a directory onto a file (or vice-versa)?",
			m->target);
	}
	fd = open(m->target, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &fs))
		fail(c, "opening the mount point", m->target);
	if (fs.f_type == PROC_SUPER_MAGIC) {
		errno = EPERM;
		fail(c, "mounting inside /proc is not allowed:", m->target);
	}
	if (syscall(SYS_move_mount, m->fd, "", fd, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
		fail(c, "mounting", m->target);
	close(fd);
}

/* Files are covered by /dev/null, folders by one empty tmpfs, cloned for each. */
static void
mask(const struct child *c)
{
	const char *first = NULL;

	for (size_t i = 0; i < c->n_masked; i++) {
		const char *path = c->masked[i];
		struct stat st;
		int fd = -1;

		if (stat(path, &st))
			continue;
		if (S_ISDIR(st.st_mode) && !first) {
			if (mount("tmpfs", path, "tmpfs",
				    MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
				    "nr_blocks=1,nr_inodes=1"))
				fail(c, "masking", path);
			first = path;
			continue;
		}
		fd = (int)syscall(SYS_open_tree, AT_FDCWD,
			S_ISDIR(st.st_mode) ? first : "/dev/null",
			OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		if (fd < 0 || move_to(fd, path))
			fail(c, "masking", path);
		close(fd);
	}
}

static void
make_readonly(const struct child *c)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

	for (size_t i = 0; i < c->n_readonly; i++) {
		int fd = (int)syscall(SYS_open_tree, AT_FDCWD, c->readonly[i],
			OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0 ||
			syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
				sizeof(attr)) ||
			move_to(fd, c->readonly[i]))
			fail(c, "making read-only", c->readonly[i]);
		close(fd);
	}
	if (c->read_only_root && syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attr, sizeof(attr)))
		fail(c, "making read-only", "/");
}

/* ---- terminal and streams ---- */

static void
number_text(char *to, unsigned v)
{
	char digits[12];
	size_t n = 0;

	do {
		digits[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	while (n)
		*to++ = digits[--n];
	*to = '\0';
}

static int
open_terminal(const struct child *c, int *ret_slave)
{
	char path[32] = "/dev/pts/";
	unsigned n = 0;
	int unlock = 0;
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct winsize ws = {.ws_row = c->rows, .ws_col = c->cols};

	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) || ioctl(master, TIOCGPTN, &n))
		fail(c, "opening a terminal", NULL);
	number_text(path + 9, n);
	*ret_slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*ret_slave < 0)
		fail(c, "opening a terminal", path);
	if (c->cols && c->rows)
		ioctl(master, TIOCSWINSZ, &ws);
	if (c->join < 0) {
		int fd = open("/dev/console", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		int tree = (int)syscall(
			SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

		if (fd < 0 || tree < 0 || move_to(tree, "/dev/console"))
			fail(c, "mounting", "/dev/console");
		close(fd);
		close(tree);
	}
	return master;
}

static void
set_stdio(const struct child *c, int slave)
{
	for (int i = 0; i < 3; i++) {
		int from = slave >= 0 ? slave : c->stdio[i];
		struct stat st;

		if (from < 0)
			from = open("/dev/null", (i ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
		if (from < 0 || (from != i ? dup2(from, i) : fcntl(i, F_SETFD, 0)) < 0)
			fail(c, "setting up standard streams", NULL);
		/* So that /dev/stdout can be opened anew by the container's user. */
		if (fstat(i, &st) == 0 && (S_ISFIFO(st.st_mode) || slave >= 0) &&
			fchown(i, c->uid, (gid_t)-1) && errno != EINVAL && errno != EPERM &&
			errno != EROFS)
			fail(c, "setting the owner of standard streams", NULL);
	}
	if (slave >= 0 && ioctl(0, TIOCSCTTY, 0))
		fail(c, "taking the terminal", NULL);
}

/* From here on only three streams, the socket (3) and the terminal (4) are open. A child that waits must
 * not hold another start's socket: two of them would hide the parent's end from each other. */
static void
close_others(struct child *own, int *master)
{
	unsigned first = 4;

	if (*master >= 0) {
		int high = fcntl(*master, F_DUPFD_CLOEXEC, 5);

		if (high < 0 || (own->sock == 4 && (own->sock = dup(4)) < 0) ||
			dup3(high, 4, O_CLOEXEC) < 0)
			_exit(CHILD_NOT_STARTED);
		*master = 4;
		first = 5;
	}
	if (own->sock != 3 && dup3(own->sock, 3, O_CLOEXEC) < 0)
		_exit(CHILD_NOT_STARTED);
	own->sock = 3;
	syscall(SYS_close_range, first, ~0u, 0);
}

/* Tells the parent that all is set up, hands it the terminal, waits for its word. */
static void
ready(const struct child *c, int master)
{
	struct child_report r = {.kind = CHILD_READY};
	union {
		struct cmsghdr h;
		char bytes[CMSG_SPACE(sizeof(int))];
	} ctl;
	struct iovec iov = {&r, sizeof(r)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	char go = 0;

	if (master >= 0) {
		memset(&ctl, 0, sizeof(ctl));
		m.msg_control = &ctl;
		m.msg_controllen = sizeof(ctl.bytes);
		ctl.h = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&ctl.h), &master, sizeof(int));
	}
	if (sendmsg(c->sock, &m, MSG_NOSIGNAL) < 0)
		_exit(CHILD_NOT_STARTED);
	if (c->wait_go && recv(c->sock, &go, 1, 0) != 1)
		_exit(CHILD_NOT_STARTED);
}

/* ---- the process ---- */

static void
write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	/* A lower score needs a capability that a restricted node may not have: best effort. */
	if (write(fd, text, strlen(text)) < 0)
		errno = 0;
	close(fd);
}

static void
load_filter(const struct child *c)
{
	if (c->seccomp.len && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &c->seccomp))
		fail(c, "loading the seccomp filter", NULL);
}

static void
set_caps(const struct child *c, uint64_t set)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2] = {{(uint32_t)set, (uint32_t)set, 0},
		{(uint32_t)(set >> 32), (uint32_t)(set >> 32), 0}};

	if (syscall(SYS_capset, &h, d))
		fail(c, "setting capabilities", NULL);
}

static void
become_user(const struct child *c)
{
	for (uint64_t cap = 0; cap <= c->last_cap; cap++)
		if (!(c->caps >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) &&
			errno != EINVAL)
			fail(c, "dropping capabilities", NULL);
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		fail(c, "keeping capabilities", NULL);
	if (syscall(SYS_setgroups, c->n_groups, c->groups))
		fail(c, "setting groups", NULL);
	if (syscall(SYS_setresgid, c->gid, c->gid, c->gid))
		fail(c, "setting the group", NULL);
	if (syscall(SYS_setresuid, c->uid, c->uid, c->uid))
		fail(c, "setting the user", NULL);
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0))
		fail(c, "keeping capabilities", NULL);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	set_caps(c, c->caps);
}

/* All handlers to their defaults, nothing blocked: raw, because a library's sigaction may take a lock. */
static void
reset_signals(void)
{
	uint64_t action[4] = {
		0}; /* struct sigaction of the kernel: SIG_DFL, no flags, empty mask */
	uint64_t none = 0;

	for (int s = 1; s < 65; s++)
		if (s != SIGKILL && s != SIGSTOP)
			syscall(SYS_rt_sigaction, s, action, NULL, sizeof(none));
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
}

static bool
is_executable(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return false;
	if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return false;
	}
	if (!(st.st_mode & 0111)) {
		errno = EACCES;
		return false;
	}
	return true;
}

/* argv[0] as a shell would find it, in out. */
static void
find_program(const struct child *c, char out[static PATH_BYTES])
{
	const char *name = c->argv[0];
	const char *at = c->path;
	size_t n = strlen(name);
	int denied = 0;

	if (strchr(name, '/')) {
		if (n >= PATH_BYTES)
			errno = ENAMETOOLONG;
		if (n >= PATH_BYTES || !is_executable(name)) {
			bool missing = errno == ENOENT || errno == ENOTDIR;

			die(c, missing ? 127 : 126, missing ? "stat" : "exec", name);
		}
		memcpy(out, name, n + 1);
		return;
	}
	while (n && at) {
		const char *end = strchr(at, ':');
		size_t len = end ? (size_t)(end - at) : strlen(at);

		if (len == 0) {
			at = end ? end + 1 : NULL;
			continue;
		}
		if (len + n + 2 < PATH_BYTES) {
			memcpy(out, at, len);
			out[len] = '/';
			memcpy(out + len + 1, name, n + 1);
			if (is_executable(out))
				return;
			if (errno == EACCES)
				denied = errno;
		}
		at = end ? end + 1 : NULL;
	}
	errno = denied ? denied : ENOENT;
	die(c, denied ? 126 : 127, denied ? "exec" : "search", name);
}

static _Noreturn void
run(const struct child *c)
{
	char file[PATH_BYTES];
	bool inside = false;

	for (size_t i = 0; i < c->n_rlimits; i++) {
		const struct runtime_rlimit *l = &c->rlimits[i];
		struct {
			uint64_t soft, hard;
		} lim = {l->soft, l->hard};

		if (syscall(SYS_prlimit64, 0, l->resource, &lim, NULL))
			fail(c, "setting resource limits", NULL);
	}
	umask(0022);
	if (*c->cwd && strcmp(c->cwd, "/") != 0) {
		inside = chdir(c->cwd) == 0;
		if (!inside && errno != EACCES)
			fail(c, "changing to the working directory", c->cwd);
	} else if (chdir("/") == 0) {
		inside = true;
	}
	/* Without no_new_privs only a process with CAP_SYS_ADMIN may load a filter: so now. */
	if (!c->no_new_privs)
		load_filter(c);
	become_user(c);
	if (!inside && chdir(c->cwd))
		fail(c, "changing to the working directory", c->cwd);
	find_program(c, file);
	syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC);
	if (c->no_new_privs) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
			fail(c, "setting no_new_privs", NULL);
		load_filter(c);
	}
	execve(file, c->argv, c->envp);
	die(c, errno == ENOENT ? 127 : 126, "execve", file);
}

static void
join_namespaces(const struct child *c)
{
	static const int types[] = {CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS};

	if (c->join >= 0) {
		if (setns(c->join,
			    CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
				    CLONE_NEWCGROUP))
			fail(c, "entering the container", NULL);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (c->ns[i] >= 0 && setns(c->ns[i], types[i]))
			fail(c, "entering the pod's namespaces", NULL);
	/* Its root is the cgroup this process was cloned into. */
	if (unshare(CLONE_NEWCGROUP))
		fail(c, "making a cgroup namespace", NULL);
}

_Noreturn void
child_main(const struct child *c)
{
	int slave = -1;
	int master = -1;
	struct child own = *c;

	reset_signals();
	prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	if (setsid() < 0)
		fail(c, "making a session", NULL);
	join_namespaces(c);
	if (c->oom_score_adj && c->join < 0)
		write_text("/proc/self/oom_score_adj", c->oom_score_adj);
	if (c->join < 0) {
		enter_root(c);
		mount_system(c);
		for (size_t i = 0; i < c->n_mounts; i++)
			mount_one(c, &c->mounts[i]);
		mask(c);
	} else if (chdir("/")) {
		fail(c, "entering the container", NULL);
	}
	if (c->tty)
		master = open_terminal(c, &slave);
	set_stdio(c, slave);
	if (c->join < 0) {
		if (access(c->cwd, F_OK))
			make_dirs(c->cwd, true); /* what fails here is said by chdir */
		make_readonly(c);
	}
	close_others(&own, &master);
	ready(&own, master);
	run(&own);
}

/* ---- PID 1 of a shared process namespace ---- */

_Noreturn void
child_pod_init_main(const struct child_init *c)
{
	static const int types[] = {CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS};
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
	char *env[] = {NULL};

	reset_signals();
	setsid();
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (c->ns[i] >= 0 && setns(c->ns[i], types[i]))
			_exit(120);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		mount("tmpfs", c->stage, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV,
			"nr_inodes=1") ||
		chdir(c->stage) || syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) ||
		chdir("/"))
		_exit(121);
	for (uint64_t cap = 0; cap <= c->last_cap; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_capset, &h, none))
		_exit(122);
	if (dup3(c->exe, 3, O_CLOEXEC) < 0 && errno != EINVAL)
		_exit(123);
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	syscall(SYS_close_range, 4u, ~0u, 0);
	syscall(SYS_execveat, 3, "", c->argv, env, AT_EMPTY_PATH);
	_exit(124);
}
