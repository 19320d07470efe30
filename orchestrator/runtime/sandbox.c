/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * sandbox: a pod's cgroup and namespaces. No process holds them: descriptors in PID 1's store do (a pod
 * that shares its process namespace has a small init besides). They are made by a helper thread that
 * unshares, takes the descriptors and goes back to the host's namespaces.
 *
 *   creating -> ready -> stopped (no process, no namespaces) -> removed (no cgroup, no files) */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "orchestrator/runtime/fsutil.h"
#include "orchestrator/runtime/runtime_int.h"

#define SHM_BYTES (64ll << 20)

static const int ns_flags[NS__COUNT] = {
	[NS_NET] = CLONE_NEWNET,
	[NS_IPC] = CLONE_NEWIPC,
	[NS_UTS] = CLONE_NEWUTS,
	[NS_PID] = CLONE_NEWPID,
};

static void step(struct sandbox *s);

struct create_job {
	struct job job;
	struct sandbox *s;
	runtime_done_fn *done;
	void *arg;
	int ns[NS__COUNT];
	int pid, pidfd;
	struct err err;
};

struct sandbox *
sandbox_find(struct runtime *rt, struct str id)
{
	return map_get(&rt->sandboxes, id);
}

struct sandbox *
sandbox_new(struct runtime *rt, struct arena *a)
{
	struct sandbox *s = ARENA_NEW(a, struct sandbox);

	if (!s)
		return NULL;
	s->rt = rt;
	s->a = a;
	s->events.wd = -1;
	for (size_t i = 0; i < NS__COUNT; i++)
		s->ns[i] = -1;
	return s;
}

void
sandbox_free(struct sandbox *s)
{
	pid_watch_stop(s->rt, &s->init, false);
	file_watch_del(s->rt, &s->events);
	for (size_t i = 0; i < NS__COUNT; i++)
		cleanup_fd(&s->ns[i]);
	for (struct waiter *w = s->stopped, *next = NULL; w; w = next) {
		next = w->next;
		free(w);
	}
	for (struct waiter *w = s->removed, *next = NULL; w; w = next) {
		next = w->next;
		free(w);
	}
	free(s->data);
	arena_free(s->a);
}

int
sandbox_save(struct sandbox *s)
{
	return state_write(
		s->rt->state_dir, STATE_SANDBOX, s->rec.id, &state_sandbox_table, &s->rec);
}

/* ---- checks ---- */

static bool
uid_ok(struct str uid)
{
	if (uid.n == 0 || uid.n > 128 || uid.p[0] == '.')
		return false;
	for (size_t i = 0; i < uid.n; i++) {
		char c = uid.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '_' || c == '-' || c == '.'))
			return false;
	}
	return true;
}

/* Only what belongs to a namespace: the rest would change the node. */
static bool
sysctl_ok(const struct runtime_sandbox_spec *s, struct str name)
{
	static const struct {
		struct str prefix;
		bool net, exact;
	} rows[] = {
		{STR_INIT("net."), true, false},
		{STR_INIT("fs.mqueue."), false, false},
		{STR_INIT("kernel.shm"), false, false},
		{STR_INIT("kernel.msg"), false, false},
		{STR_INIT("kernel.sem"), false, true},
	};

	if (str_find(name, STR("..")) >= 0 || str_find_char(name, '/') >= 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].exact ? !str_eq(name, rows[i].prefix)
				  : !str_starts(name, rows[i].prefix))
			continue;
		return rows[i].net ? !s->host_network : !s->host_ipc;
	}
	return false;
}

static int
spec_check(const struct runtime_sandbox_spec *s, struct err *e)
{
	if (!uid_ok(s->pod_uid))
		return err_set(e, -EINVAL, R_INVALID, "invalid pod uid '" STR_FMT "'",
			STR_ARG(s->pod_uid));
	if (s->hostname.n > 63)
		return err_set(e, -EINVAL, R_INVALID, "hostname is longer than 63 bytes");
	if (s->data.n > RUNTIME_DATA_MAX)
		return err_set(e, -EINVAL, R_INVALID, "too much data");
	for (size_t i = 0; i < s->n_sysctls; i++)
		if (!sysctl_ok(s, s->sysctls[i].name))
			return err_set(e, -EINVAL, R_INVALID,
				"sysctl \"" STR_FMT "\" is not in a separate namespace",
				STR_ARG(s->sysctls[i].name));
	return 0;
}

/* ---- helper thread: making ---- */

static int
loopback_up(struct err *e)
{
	_cleanup_fd_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = {.ifr_name = "lo"};

	r.ifr_flags = IFF_UP | IFF_RUNNING;
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r))
		return err_errno(e, -errno, "bringing up the loopback interface");
	return 0;
}

static int
sysctl_set(const struct runtime_pair *p, struct err *e)
{
	char path[256] = "/proc/sys/";
	char value[256];
	size_t at = strlen(path);
	_cleanup_fd_ int fd = -1;

	if (p->name.n + at >= sizeof(path) || !str_copy_c(p->value, value, sizeof(value)))
		return err_set(e, -EINVAL, R_INVALID, "sysctl is too long");
	for (size_t i = 0; i < p->name.n; i++)
		path[at++] = p->name.p[i] == '.' ? '/' : p->name.p[i];
	path[at] = '\0';
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return err_errno(e, -errno, "setting sysctl " STR_FMT, STR_ARG(p->name));
	return 0;
}

/* In the thread's new namespaces. */
static int
configure(const struct runtime_sandbox_spec *s, struct err *e)
{
	int rc = 0;

	if (!s->host_network)
		rc = loopback_up(e);
	if (!rc && !s->host_network && s->hostname.n && sethostname(s->hostname.p, s->hostname.n))
		rc = err_errno(e, -errno, "setting the hostname");
	for (size_t i = 0; !rc && i < s->n_sysctls; i++)
		rc = sysctl_set(&s->sysctls[i], e);
	return rc;
}

static int
namespaces(struct create_job *j)
{
	const struct sandbox *s = j->s;
	const struct runtime_sandbox_spec *spec = &s->rec.spec;
	bool own[NS__COUNT] = {[NS_NET] = !spec->host_network,
		[NS_IPC] = !spec->host_ipc,
		[NS_UTS] = !spec->host_network};
	int flags = 0;
	int rc = 0;

	for (size_t i = 0; i < NS_PID; i++)
		flags |= own[i] ? ns_flags[i] : 0;
	if (flags && unshare(flags))
		return err_errno(&j->err, -errno, "making namespaces");
	for (size_t i = 0; i < NS_PID; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/self/task/%ld/ns/%s", syscall(SYS_gettid),
			rt_ns_names[i]);
		j->ns[i] = own[i] ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		if (own[i] && j->ns[i] < 0 && !rc)
			rc = err_errno(&j->err, -errno, "opening '%s'", path);
	}
	if (!rc)
		rc = configure(spec, &j->err);
	/* This thread serves others: it must be back home. */
	for (size_t i = 0; i < NS_PID; i++)
		BUG_ON(own[i] && setns(s->rt->env.host_ns[i], ns_flags[i]));
	return rc;
}

static int
shm_make(struct create_job *j)
{
	const struct sandbox *s = j->s;
	char path[4096];
	char opt[64];
	int64_t size = s->rec.spec.shm_bytes ? s->rec.spec.shm_bytes : SHM_BYTES;

	if (s->rec.spec.host_ipc)
		return 0;
	snprintf(path, sizeof(path), "%s/shm", s->rt->run_path);
	if (mkdir(path, 0700) && errno != EEXIST)
		return err_errno(&j->err, -errno, "making '%s'", path);
	snprintf(path, sizeof(path), "%s/shm/" STR_FMT, s->rt->run_path, STR_ARG(s->rec.id));
	snprintf(opt, sizeof(opt), "mode=1777,size=%lld", (long long)size);
	if (mkdir(path, 0700) || mount("shm", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, opt))
		return err_errno(&j->err, -errno, "mounting '%s'", path);
	return 0;
}

static int
init_start(struct create_job *j)
{
	struct sandbox *s = j->s;
	struct runtime *rt = s->rt;
	char path[600];
	char ns[64];
	int rc = 0;

	if (!s->rec.spec.share_pid)
		return 0;
	if (!rt->cfg.pod_init_argv)
		return err_set(&j->err, -EINVAL, R_INTERNAL_ERROR, "no program for the pod's init");
	snprintf(path, sizeof(path), STR_FMT "/init", STR_ARG(s->rec.cgroup));
	rc = cgroup_make(&rt->cgroups, path, false, &j->err);
	if (!rc)
		rc = launch_pod_init(
			&rt->env, j->ns, path, rt->cfg.pod_init_argv, &j->pid, &j->pidfd, &j->err);
	if (rc)
		return rc;
	snprintf(ns, sizeof(ns), "/proc/%d/ns/pid", j->pid);
	j->ns[NS_PID] = open(ns, O_RDONLY | O_CLOEXEC);
	return j->ns[NS_PID] < 0 ? err_errno(&j->err, -errno, "opening '%s'", ns) : 0;
}

static void
create_work(struct job *job)
{
	struct create_job *j = CONTAINER_OF(job, struct create_job, job);
	struct sandbox *s = j->s;
	struct runtime *rt = s->rt;

	if (cgroup_make(&rt->cgroups, s->rec.cgroup.p, true, &j->err) ||
		cgroup_apply(&rt->cgroups, s->rec.cgroup.p, &s->rec.spec.limits, &j->err) ||
		namespaces(j) || shm_make(j))
		return;
	init_start(j);
}

/* ---- loop ---- */

static void
on_init_exit(struct pid_watch *w, int status, int64_t at_ns)
{
	struct sandbox *s = w->arg;

	(void)status;
	(void)at_ns;
	/* With it all processes of the namespace are gone: nothing can start in it any more. */
	s->rec.stopped = true;
	sandbox_save(s);
	step(s);
}

void
sandbox_init_watch(struct sandbox *s)
{
	s->init.pid = s->rec.init_pid;
	s->init.fn = on_init_exit;
	s->init.arg = s;
	pid_watch_start(s->rt, &s->init);
}

/* A stop or removal that was asked for while it was being made. */
static void
end_asked(struct sandbox *s)
{
	if (!s->stopped && !s->removed)
		return;
	s->rec.stopped = true;
	sandbox_save(s);
	cgroup_kill(&s->rt->cgroups, s->rec.cgroup.p);
	step(s);
}

static void
create_done(struct job *job, bool dead)
{
	struct create_job *j = CONTAINER_OF(job, struct create_job, job);
	struct sandbox *s = j->s;
	int rc = 0;

	cleanup_fd(&j->pidfd);
	if (dead) {
		for (size_t i = 0; i < NS__COUNT; i++)
			cleanup_fd(&j->ns[i]);
		free(j);
		return;
	}
	s->busy--;
	s->creating = false;
	for (size_t i = 0; i < NS__COUNT; i++) {
		s->ns[i] = j->ns[i];
		if (s->ns[i] >= 0 && !rc && !j->err.code)
			rc = rt_fd_keep(s->rt, 's', s->rec.id, rt_ns_names[i], s->ns[i]);
	}
	if (rc)
		err_errno(&j->err, rc, "handing namespaces to PID 1");
	if (j->pid) {
		s->rec.init_pid = j->pid;
		s->rec.init_start = pid_start_time(j->pid);
		sandbox_init_watch(s);
	}
	s->rec.stopped = j->err.code != 0;
	rc = sandbox_save(s);
	if (rc && !j->err.code)
		err_errno(&j->err, rc, "writing the sandbox's state");
	j->done(j->arg, j->err.code ? &j->err : NULL);
	free(j);
	end_asked(s);
}

int
runtime_sandbox_create(struct runtime *rt, const struct runtime_sandbox_spec *spec,
	char ret_id[RUNTIME_ID_LEN + 1], runtime_done_fn *done, void *arg, struct err *e)
{
	struct create_job *j = NULL;
	struct arena *a = NULL;
	struct sandbox *s = NULL;
	struct buf b;
	char id[RUNTIME_ID_LEN + 1];
	int rc = 0;

	LOOP_ASSERT(rt->loop);
	rc = spec_check(spec, e);
	if (rc)
		return rc;
	a = arena_new(4u << 20);
	s = a ? sandbox_new(rt, a) : NULL;
	j = calloc(1, sizeof(*j));
	if (!s || !j)
		goto oom;
	rt_random_id(id);
	buf_init_arena(&b, a);
	pack_put(&b, &state_sandbox_spec_table, spec);
	if (b.failed || pack_get(a, &state_sandbox_spec_table, buf_view(&b), &s->rec.spec))
		goto oom;
	s->rec.id = arena_str(a, str_c(id));
	s->rec.boot_id = rt->boot_id;
	s->rec.cgroup = cgroup_pod_path(&rt->cgroups, a, spec->qos, spec->pod_uid);
	s->rec.created_ns = clock_wall_ns();
	s->rec.stopped = true; /* on disk: until it is ready */
	s->creating = true;
	if (arena_failed(a) || sandbox_save(s) || map_put(&rt->sandboxes, s->rec.id, s, NULL))
		goto oom;
	*j = (struct create_job){.job = {.work = create_work, .done = create_done},
		.s = s,
		.done = done,
		.arg = arg,
		.ns = {-1, -1, -1, -1},
		.pidfd = -1};
	if (job_start(rt, &j->job)) {
		map_del(&rt->sandboxes, s->rec.id);
		goto oom;
	}
	s->busy++;
	memcpy(ret_id, id, sizeof(id));
	return 0;
oom:
	free(j);
	arena_free(a);
	return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
}

int
runtime_sandbox_netns(struct runtime *rt, struct str id)
{
	struct sandbox *s = sandbox_find(rt, id);

	if (!s)
		return -ENOENT;
	if (s->creating || s->rec.stopped)
		return -ESTALE;
	return s->rec.spec.host_network ? rt->env.host_ns[NS_NET] : s->ns[NS_NET];
}

static struct runtime_sandbox
view(const struct sandbox *s)
{
	const struct runtime_sandbox_spec *p = &s->rec.spec;

	return (struct runtime_sandbox){.id = s->rec.id,
		.pod_uid = p->pod_uid,
		.pod_name = p->pod_name,
		.pod_namespace = p->pod_namespace,
		.attempt = p->attempt,
		.state = s->creating || s->rec.stopped ? RUNTIME_SANDBOX_NOT_READY
						       : RUNTIME_SANDBOX_READY,
		.created_ns = s->rec.created_ns,
		.host_network = p->host_network,
		.host_pid = p->host_pid,
		.host_ipc = p->host_ipc,
		.share_pid = p->share_pid,
		.data = p->data,
		.cgroup_path = s->rec.cgroup};
}

int
runtime_sandbox_get(struct runtime *rt, struct str id, struct runtime_sandbox *ret)
{
	struct sandbox *s = sandbox_find(rt, id);

	if (!s)
		return -ENOENT;
	*ret = view(s);
	return 0;
}

bool
runtime_sandbox_next(struct runtime *rt, size_t *pos, struct runtime_sandbox *ret)
{
	void *v = NULL;

	if (!map_next(&rt->sandboxes, pos, NULL, &v))
		return false;
	*ret = view(v);
	return true;
}

int
runtime_sandbox_set_data(struct runtime *rt, struct str id, struct str data)
{
	struct sandbox *s = sandbox_find(rt, id);
	int rc = s ? data_replace(&s->data, data, &s->rec.spec.data) : -ENOENT;

	return rc < 0 ? rc : sandbox_save(s);
}

int
runtime_sandbox_set_limits(
	struct runtime *rt, struct str id, const struct runtime_limits *lim, struct err *e)
{
	struct sandbox *s = sandbox_find(rt, id);

	if (!s)
		return err_set(e, -ENOENT, R_NOT_FOUND, "no such sandbox");
	return cgroup_apply(&rt->cgroups, s->rec.cgroup.p, lim, e);
}

int
runtime_sandbox_stats(struct runtime *rt, struct str id, struct runtime_stats *ret)
{
	struct sandbox *s = sandbox_find(rt, id);

	return s ? cgroup_stats(&rt->cgroups, s->rec.cgroup.p, ret) : -ENOENT;
}

/* ---- stop and remove ---- */

static bool
anything_alive(struct sandbox *s)
{
	struct container *c = NULL;
	size_t pos = 0;

	while (map_next(&s->rt->containers, &pos, NULL, (void **)&c))
		if (c->sandbox == s && container_live(c))
			return true;
	return s->init.on;
}

struct gone_job {
	struct job job;
	struct sandbox *s;
	int rc;
	bool remove;
};

/* The shm mount and, when the sandbox goes for good, its cgroup. */
static void
gone_work(struct job *job)
{
	struct gone_job *j = CONTAINER_OF(job, struct gone_job, job);
	struct sandbox *s = j->s;
	char path[4096];

	snprintf(path, sizeof(path), "%s/shm/" STR_FMT, s->rt->run_path, STR_ARG(s->rec.id));
	if (umount2(path, MNT_DETACH) && errno != EINVAL && errno != ENOENT)
		j->rc = -errno;
	rmdir(path);
	if (j->remove && !j->rc)
		j->rc = cgroup_remove(&s->rt->cgroups, s->rec.cgroup.p);
}

static void
let_go(struct sandbox *s)
{
	for (size_t i = 0; i < NS__COUNT; i++) {
		if (s->ns[i] < 0)
			continue;
		rt_fd_drop(s->rt, 's', s->rec.id, rt_ns_names[i]);
		close(s->ns[i]);
		s->ns[i] = -1;
	}
}

static void
on_cgroup_event(struct file_watch *w, uint32_t mask, struct str name)
{
	(void)mask;
	(void)name;
	step(w->arg);
}

static void
events_watch(struct sandbox *s)
{
	char path[4096];

	if (s->events.wd >= 0)
		return;
	snprintf(path, sizeof(path), STR_FMT "/" STR_FMT "/cgroup.events",
		STR_ARG(s->rt->cfg.cgroup_mount), STR_ARG(s->rec.cgroup));
	s->events.fn = on_cgroup_event;
	s->events.arg = s;
	file_watch_add(s->rt, &s->events, path, IN_MODIFY);
}

static void
gone_done(struct job *job, bool dead)
{
	struct gone_job *j = CONTAINER_OF(job, struct gone_job, job);
	struct sandbox *s = j->s;
	struct runtime *rt = j->job.rt;
	struct waiter *removed = NULL;
	bool remove = j->remove;
	int rc = j->rc;

	free(j);
	if (dead)
		return;
	s->busy--;
	waiters_end(&s->stopped, NULL);
	if (!remove) {
		step(s); /* a removal may have been asked for meanwhile */
		return;
	}
	if (rc) {
		struct err e = {0};

		err_errno(&e, rc, "removing the sandbox");
		s->removing = false;
		waiters_end(&s->removed, &e);
		return;
	}
	removed = TAKE_PTR(s->removed);
	state_remove(rt->state_dir, STATE_SANDBOX, s->rec.id);
	map_del(&rt->sandboxes, s->rec.id);
	sandbox_free(s);
	waiters_end(&removed, NULL);
}

static void
containers_remove(struct sandbox *s)
{
	struct container *c = NULL;
	size_t pos = 0;

	while (map_next(&s->rt->containers, &pos, NULL, (void **)&c))
		if (c->sandbox == s && !c->removing && !c->creating)
			runtime_container_remove(s->rt, c->rec.id, NULL, NULL);
}

/* As far as it goes now; called again by whatever it waits for. */
static void
step(struct sandbox *s)
{
	struct gone_job *j = NULL;

	if (s->creating || s->busy || (!s->stopped && !s->removed))
		return;
	if (anything_alive(s) || cgroup_populated(&s->rt->cgroups, s->rec.cgroup.p) == 1) {
		events_watch(s);
		if (anything_alive(s) || cgroup_populated(&s->rt->cgroups, s->rec.cgroup.p) == 1)
			return;
	}
	file_watch_del(s->rt, &s->events);
	let_go(s);
	if (s->removed && s->containers) {
		containers_remove(s);
		return;
	}
	j = calloc(1, sizeof(*j));
	if (j) {
		*j = (struct gone_job){.job = {.work = gone_work, .done = gone_done},
			.s = s,
			.remove = s->removed != NULL};
		if (job_start(s->rt, &j->job) == 0) {
			s->busy++;
			return;
		}
	}
	free(j);
	waiters_end(&s->stopped, &(struct err){-ENOMEM, R_INTERNAL_ERROR, "no memory"});
	waiters_end(&s->removed, &(struct err){-ENOMEM, R_INTERNAL_ERROR, "no memory"});
}

void
sandbox_container_gone(struct sandbox *s)
{
	step(s);
}

static int
end(struct runtime *rt, struct sandbox *s, struct waiter **list, runtime_done_fn *done, void *arg)
{
	struct container *c = NULL;
	size_t pos = 0;

	if (waiter_add(list, done, arg))
		return -ENOMEM;
	if (s->creating)
		return 0;
	if (!s->rec.stopped) {
		s->rec.stopped = true;
		sandbox_save(s);
	}
	while (map_next(&rt->containers, &pos, NULL, (void **)&c))
		if (c->sandbox == s && container_live(c))
			runtime_container_stop(rt, c->rec.id, 0, NULL, NULL);
	cgroup_kill(&rt->cgroups, s->rec.cgroup.p);
	return 0;
}

struct step_later {
	struct runtime *rt;
	char text[RUNTIME_ID_LEN];
};

static void
step_called(void *arg, const struct err *e)
{
	struct step_later *l = arg;
	struct sandbox *s = sandbox_find(l->rt, str_from(l->text, RUNTIME_ID_LEN));

	(void)e;
	if (s)
		step(s);
	free(l);
}

static int
step_soon(struct sandbox *s)
{
	struct step_later *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->rt = s->rt;
	memcpy(l->text, s->rec.id.p, RUNTIME_ID_LEN);
	if (rt_done_later(s->rt, step_called, l, NULL)) {
		free(l);
		return -ENOMEM;
	}
	return 0;
}

int
runtime_sandbox_stop(struct runtime *rt, struct str id, runtime_done_fn *done, void *arg)
{
	struct sandbox *s = sandbox_find(rt, id);
	int rc = 0;

	if (!s)
		return -ENOENT;
	rc = end(rt, s, &s->stopped, done, arg);
	return rc ? rc : step_soon(s);
}

int
runtime_sandbox_remove(struct runtime *rt, struct str id, runtime_done_fn *done, void *arg)
{
	struct sandbox *s = sandbox_find(rt, id);
	int rc = 0;

	if (!s)
		return -ENOENT;
	s->removing = true;
	rc = end(rt, s, &s->removed, done, arg);
	return rc ? rc : step_soon(s);
}

/* ---- PID 1 of a shared process namespace ---- */

_Noreturn void
runtime_pod_init_main(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (;;) {
		int sig = sigwaitinfo(&set, NULL);

		if (sig == SIGTERM || sig == SIGINT)
			_exit(0);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
	}
}
