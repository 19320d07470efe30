/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * launch: see launch.h. Mounts are in launch_mounts.c. */
#include "orchestrator/runtime/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/disk.h"
#include "orchestrator/runtime/caps.h"
#include "orchestrator/runtime/fsutil.h"
#include "orchestrator/runtime/launch_int.h"
#include "orchestrator/runtime/seccomp.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PROFILE_MAX (1u << 20)

static const char *const masked[] = {
	"/proc/acpi",
	"/proc/asound",
	"/proc/interrupts",
	"/proc/kcore",
	"/proc/keys",
	"/proc/latency_stats",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/proc/sched_debug",
	"/proc/scsi",
	"/sys/firmware",
	"/sys/devices/virtual/powercap",
};
static const char *const readonly[] = {
	"/proc/bus",
	"/proc/fs",
	"/proc/irq",
	"/proc/sys",
	"/proc/sysrq-trigger",
};

struct launch *
launch_new(const struct launch_env *env, const struct container_rec *rec)
{
	struct arena *a = arena_new(64u << 20);
	struct launch *l = a ? ARENA_NEW(a, struct launch) : NULL;

	if (!l) {
		arena_free(a);
		return NULL;
	}
	l->a = a;
	l->env = env;
	l->rec = rec;
	l->pid = l->pidfd = l->sock = l->join = -1;
	for (size_t i = 0; i < NS__COUNT; i++)
		l->ns[i] = -1;
	for (size_t i = 0; i < 3; i++)
		l->stdio[i] = l->child.stdio[i] = -1;
	return l;
}

static void
fds_close(struct launch *l)
{
	for (size_t i = 0; i < l->n_fds; i++)
		close(l->fds[i]);
	l->n_fds = 0;
	for (size_t i = 0; i < NS__COUNT; i++) {
		cleanup_fd(&l->ns[i]);
		l->ns[i] = -1;
	}
	cleanup_fd(&l->join);
	l->join = -1;
}

void
launch_free(struct launch *l)
{
	if (!l)
		return;
	fds_close(l);
	cleanup_fd(&l->pidfd);
	cleanup_fd(&l->sock);
	for (size_t i = 0; i < 3; i++)
		cleanup_fd(&l->stdio[i]);
	arena_free(l->a);
}

int
launch_keep(struct launch *l, int fd)
{
	int *at = fd >= 0 ? ARENA_PUSH(l->a, l->fds, l->n_fds) : NULL;

	if (fd >= 0 && !at) {
		close(fd);
		errno = ENOMEM;
		return -1;
	}
	if (at)
		*at = fd;
	return fd;
}

/* ---- strings ---- */

static char **
c_strings(struct arena *a, const struct str *list, size_t n)
{
	char **v = ARENA_ARRAY(a, char *, n + 1);

	for (size_t i = 0; v && i < n; i++) {
		v[i] = arena_cstr(a, list[i]);
		if (!v[i])
			return NULL;
	}
	return v;
}

static const char *
path_of(char *const *envp)
{
	for (; *envp; envp++)
		if (strncmp(*envp, "PATH=", 5) == 0)
			return *envp + 5;
	return DEFAULT_PATH;
}

static int
oom(struct launch *l)
{
	return err_set(&l->err, -ENOMEM, R_INTERNAL_ERROR, "no memory");
}

/* ---- streams ---- */

static int
pipe_pair(struct launch *l, int which)
{
	int p[2] = {-1, -1};
	int ours = which == 0 ? 1 : 0;

	if (pipe2(p, O_CLOEXEC))
		return err_errno(&l->err, -errno, "making a pipe");
	l->stdio[which] = p[ours];
	l->child.stdio[which] = launch_keep(l, p[1 - ours]);
	/* Ours only: the flag belongs to the open description, each end has its own. */
	if (fcntl(p[ours], F_SETFL, O_NONBLOCK) || l->child.stdio[which] < 0)
		return err_errno(&l->err, -errno, "making a pipe");
	return 0;
}

static int
streams(struct launch *l)
{
	const struct runtime_container_spec *s = &l->rec->spec;
	int sock[2] = {-1, -1};
	int rc = 0;

	l->child.tty = l->exec ? l->tty : s->tty;
	if (!l->exec) {
		l->want[0] = s->open_stdin;
		l->want[1] = l->want[2] = true;
	}
	for (int i = 0; !rc && !l->child.tty && i < 3; i++)
		if (l->want[i])
			rc = pipe_pair(l, i);
	if (rc)
		return rc;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock))
		return err_errno(&l->err, -errno, "making a socket");
	l->sock = sock[0];
	l->child.sock = launch_keep(l, sock[1]);
	if (fcntl(sock[0], F_SETFL, O_NONBLOCK) || l->child.sock < 0)
		return err_errno(&l->err, -errno, "making a socket");
	return 0;
}

/* ---- the process ---- */

static int
filter(struct launch *l)
{
	const struct runtime_container_spec *s = &l->rec->spec;
	struct buf prog;
	struct buf text;
	struct str path = STR_NONE;
	int rc = 0;

	if (s->privileged || s->seccomp == RUNTIME_SECCOMP_UNCONFINED)
		return 0;
	buf_init_arena(&prog, l->a);
	if (s->seccomp == RUNTIME_SECCOMP_DEFAULT) {
		rc = seccomp_default(l->a, l->rec->caps, &prog);
		if (rc)
			return oom(l);
	} else {
		buf_init_arena(&text, l->a);
		path = arena_fmt(
			l->a, "%s/" STR_FMT, l->env->seccomp_dir, STR_ARG(s->seccomp_profile));
		rc = str_is_set(path) ? disk_read_file(path.p, PROFILE_MAX, &text) : -ENOMEM;
		if (rc)
			return err_errno(&l->err, rc, "seccomp profile '" STR_FMT "'",
				STR_ARG(s->seccomp_profile));
		rc = seccomp_from_json(l->a, buf_view(&text), &prog, &l->err);
		if (rc)
			return rc;
	}
	l->child.seccomp.len = (unsigned short)(prog.len / sizeof(struct sock_filter));
	l->child.seccomp.filter = (struct sock_filter *)(void *)prog.data;
	return 0;
}

/* What the spec asks for; the number of open files up to our own limit, as service managers give it. */
static int
limits(struct launch *l)
{
	const struct runtime_container_spec *s = &l->rec->spec;
	struct runtime_rlimit *list = ARENA_ARRAY(l->a, struct runtime_rlimit, s->n_rlimits + 1);
	struct rlimit own = {0};
	bool nofile = false;

	if (!list)
		return oom(l);
	for (size_t i = 0; i < s->n_rlimits; i++) {
		list[i] = s->rlimits[i];
		nofile = nofile || list[i].resource == RLIMIT_NOFILE;
	}
	l->child.n_rlimits = s->n_rlimits;
	if (!nofile && getrlimit(RLIMIT_NOFILE, &own) == 0)
		list[l->child.n_rlimits++] = (struct runtime_rlimit){
			RLIMIT_NOFILE, own.rlim_max, own.rlim_max};
	l->child.rlimits = list;
	return 0;
}

static int
process(struct launch *l)
{
	const struct container_rec *r = l->rec;
	struct child *c = &l->child;
	const struct str *argv = l->exec ? l->argv : r->argv;
	size_t n = l->exec ? l->n_argv : r->n_argv;
	int rc = 0;

	c->uid = r->uid;
	c->gid = r->gid;
	c->groups = r->groups;
	c->n_groups = r->n_groups;
	c->caps = r->caps;
	c->last_cap = 63;
	c->no_new_privs = r->spec.no_new_privs;
	c->argv = c_strings(l->a, argv, n);
	c->envp = c_strings(l->a, r->env, r->n_env);
	c->cwd = arena_cstr(l->a, r->cwd.n ? r->cwd : STR("/"));
	c->oom_score_adj = arena_fmt(l->a, "%d", r->spec.oom_score_adj).p;
	c->join = l->join;
	c->cols = l->cols;
	c->rows = l->rows;
	if (!c->argv || !c->envp || !c->cwd || !c->oom_score_adj)
		return oom(l);
	c->path = path_of(c->envp);
	rc = limits(l);
	return rc ? rc : filter(l);
}

static int
file_system(struct launch *l)
{
	const struct runtime_container_spec *s = &l->rec->spec;
	struct child *c = &l->child;
	int rc = launch_mounts(l);

	if (rc)
		return rc;
	c->stage = l->env->stage;
	c->privileged = s->privileged;
	c->read_only_root = s->read_only_rootfs;
	if (!s->privileged && !s->unmasked_proc) {
		c->masked = masked;
		c->n_masked = ARRAY_LEN(masked);
		c->readonly = readonly;
		c->n_readonly = ARRAY_LEN(readonly);
	}
	return 0;
}

/* ---- cgroup and clone ---- */

static int
cgroup(struct launch *l, int *ret_fd)
{
	const struct container_rec *r = l->rec;
	char *path = arena_cstr(l->a, r->cgroup);
	struct device_node *nodes = NULL;
	struct device_rule *rules = NULL;
	size_t n_nodes = 0;
	size_t n_rules = 0;
	int rc = path ? 0 : oom(l);

	if (!rc && !l->exec)
		rc = cgroup_make(l->env->cgroups, path, false, &l->err);
	if (!rc) {
		*ret_fd = launch_keep(l, cgroup_open_dir(l->env->cgroups, path));
		if (*ret_fd < 0)
			rc = err_set(&l->err, -ENOENT, R_INTERNAL_ERROR, "opening the cgroup '%s'",
				path);
	}
	if (rc || l->exec)
		return rc;
	rc = cgroup_apply(l->env->cgroups, path, &r->spec.limits, &l->err);
	if (!rc && l->env->cgroups->have >> CGROUP_MEMORY & 1) {
		char file[600];

		/* All of it or nothing: half a container is no use to anybody. */
		snprintf(file, sizeof(file), "%s/memory.oom.group", path);
		fs_write_text(l->env->cgroups->mount, file, "1");
	}
	if (!rc)
		rc = devices_resolve(l->a, &r->spec, &nodes, &n_nodes, &rules, &n_rules, &l->err);
	if (!rc)
		rc = devices_attach(*ret_fd, rules, n_rules, &l->err);
	l->child.nodes = nodes;
	l->child.n_nodes = n_nodes;
	return rc;
}

static int
clone_child(uint64_t flags, int cgroup_fd, int *ret_pidfd)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_PARENT | CLONE_PIDFD | CLONE_INTO_CGROUP | flags,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = 0, /* CLONE_PARENT: the caller's own */
		.cgroup = (uint64_t)cgroup_fd,
	};
	int pid = (int)syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		return -errno;
	if (pid > 0)
		*ret_pidfd = pidfd;
	return pid;
}

/* The pid namespace of children is the thread's own: entered for the clone, left again. */
static int
clone_in(const struct launch_env *env, int pid_ns, uint64_t flags, int cgroup_fd, int *ret_pidfd)
{
	int pid = 0;

	if (pid_ns >= 0 && setns(pid_ns, CLONE_NEWPID))
		return -errno;
	pid = clone_child(flags, cgroup_fd, ret_pidfd);
	if (pid != 0 && pid_ns >= 0)
		BUG_ON(setns(env->host_ns[NS_PID], CLONE_NEWPID));
	return pid;
}

void
launch_run(struct launch *l)
{
	uint64_t flags = 0;
	int cgroup_fd = -1;
	int pid = 0;

	if (streams(l) || process(l) || cgroup(l, &cgroup_fd) || (!l->exec && file_system(l)))
		return;
	l->child.wait_go = !l->exec;
	for (size_t i = 0; i < 3; i++)
		l->child.ns[i] = l->ns[i];
	if (!l->exec)
		flags = CLONE_NEWNS | (l->new_pid_ns ? CLONE_NEWPID : 0);
	pid = clone_in(l->env, l->exec ? l->join : l->ns[NS_PID], flags, cgroup_fd, &l->pidfd);
	if (pid == 0) {
		close(l->sock); /* or our own copy would hide the end of the parent */
		child_main(&l->child);
	}
	if (pid < 0) {
		err_errno(&l->err, pid, "starting a process");
		return;
	}
	l->pid = pid;
	fds_close(l);
}

int
launch_pod_init(const struct launch_env *env, const int ns[NS__COUNT], const char *cgroup_path,
	const char *const *argv, int *ret_pid, int *ret_pidfd, struct err *e)
{
	_cleanup_fd_ int cg = cgroup_open_dir(env->cgroups, cgroup_path);
	_cleanup_fd_ int exe = open(argv[0], O_RDONLY | O_CLOEXEC);
	struct child_init c = {.exe = exe, .stage = env->stage, .last_cap = 63};
	int pid = 0;

	if (cg < 0)
		return err_errno(e, cg, "opening the cgroup '%s'", cgroup_path);
	if (exe < 0)
		return err_errno(e, -errno, "opening '%s'", argv[0]);
	memcpy(&c.argv, &argv, sizeof(c.argv)); /* execve does not write to it */
	for (size_t i = 0; i < 3; i++)
		c.ns[i] = ns[i];
	pid = clone_child(CLONE_NEWNS | CLONE_NEWPID, cg, ret_pidfd);
	if (pid == 0)
		child_pod_init_main(&c);
	if (pid < 0)
		return err_errno(e, pid, "starting the pod's first process");
	*ret_pid = pid;
	return 0;
}

/* ---- words ---- */

int
launch_report(const struct child_report *r, struct err *e)
{
	char path[CHILD_PATH + 1];
	char what[CHILD_WHAT + 1];
	int code = r->error > 0 ? -r->error : -EIO;

	str_copy_c(str_from(r->what, strnlen(r->what, CHILD_WHAT)), what, sizeof(what));
	str_copy_c(str_from(r->path, strnlen(r->path, CHILD_PATH)), path, sizeof(path));
	if (strcmp(what, "search") == 0)
		return err_set(e, -ENOENT, R_UNKNOWN,
			"exec: \"%s\": executable file not found in $PATH", path);
	if (strcmp(what, "stat") == 0)
		return err_errno(e, code, "exec: \"%s\": stat %s", path, path);
	if (strcmp(what, "exec") == 0)
		return err_errno(e, code, "exec: \"%s\"", path);
	if (strcmp(what, "execve") == 0)
		return err_errno(e, code, "exec %s", path);
	return err_errno(e, code, "%s%s%s", what, *path ? " " : "", path);
}
