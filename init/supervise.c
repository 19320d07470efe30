/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * supervise: see supervise.h. */
#include "init/supervise.h"

#include "base/log.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* So many restarts in such a time happen at once; more of them wait, longer and longer. */
#define BURST 10
#define BURST_NS (10 * NS_PER_SEC)
#define DELAY_FIRST_NS (100 * NS_PER_MS)
#define DELAY_MAX_NS (5 * NS_PER_SEC)
/* Whoever would have to wait longer for a role is told so: nobody listens. */
#define LISTEN_NS NS_PER_SEC
#define REAP_PER_TURN 256
/* How long each step of stopping may take before the next one begins. */
static const int64_t phase_ns[] = {
	[STOP_ROLES] = 5 * NS_PER_SEC, [STOP_TERM] = 10 * NS_PER_SEC, [STOP_KILL] = 5 * NS_PER_SEC};

static void role_start(struct role_state *r);

static unsigned
role_number(const struct role_state *r)
{
	return (unsigned)(r - r->sv->roles);
}

/* ---- starting ---- */

/* role_exec: the child, between clone and exec: nothing here allocates. */
_Noreturn static void
role_exec(const struct role_state *r, int conn)
{
	static char *const none_env[] = {NULL};
	char *const *env = r->sv->pid1 ? none_env : environ;
	char *const argv[] = {
		(char *)(uintptr_t) "keelson", (char *)(uintptr_t)r->role->name, NULL};
	sigset_t none;
	char score[16];
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	int n = snprintf(score, sizeof(score), "%d", r->role->oom_score_adj);
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, score, (size_t)n) < 0)
		log_warn("%s: oom_score_adj: %s", r->role->name, strerror(errno));
	if (dup2(conn, INIT_FD) < 0 || syscall(SYS_close_range, INIT_FD + 1, ~0u, 0) < 0 ||
		sandbox_caps_keep(r->role->caps) < 0)
		_exit(126);
	execve("/proc/self/exe", argv, env);
	_exit(127);
}

static pid_t
role_clone(struct role_state *r, int conn)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	if (r->cgroup_fd >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)r->cgroup_fd;
	}
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		role_exec(r, conn);
	return pid < 0 ? -errno : pid;
}

static void
on_conn(struct loop_fd *w, uint32_t revents)
{
	struct role_state *r = w->arg;
	struct keeper *k = r->sv->keeper;
	unsigned n = role_number(r);
	int rc = 1;
	if (revents & EPOLLOUT && !keeper_flush(k, n))
		loop_fd_mod(w, EPOLLIN);
	for (int i = 0; i < 64 && rc > 0 && revents & ~EPOLLOUT; i++) {
		rc = keeper_receive(k, n);
		if (rc == -ENFILE) {
			log_error("%s: no room for another descriptor", r->role->name);
			rc = 1;
		}
	}
	if (rc == -EPROTO || rc == -EPERM) {
		log_error("%s: broke the protocol of PID 1 (%s), ending it", r->role->name,
			strerror(-rc));
		kill(r->pid, SIGKILL);
	}
	if (rc < 0) {
		keeper_disconnect(k, n);
		loop_fd_del(w);
		cleanup_fd(&w->fd);
		w->fd = -1;
	} else if (keeper_flush(k, n)) {
		loop_fd_mod(w, EPOLLIN | EPOLLOUT);
	}
}

static void
conn_close(struct role_state *r)
{
	if (r->conn.fd < 0)
		return;
	keeper_disconnect(r->sv->keeper, role_number(r));
	loop_fd_del(&r->conn);
	close(r->conn.fd);
	r->conn.fd = -1;
}

static void
on_again(struct loop_timer *t)
{
	role_start(t->arg);
}

static void
role_again(struct role_state *r)
{
	r->again.fn = on_again;
	r->again.arg = r;
	loop_timer_after(r->sv->loop, &r->again, r->delay_ns);
}

static void
role_start(struct role_state *r)
{
	struct supervisor *sv = r->sv;
	int pair[2], big = 4 << 20;
	if (r->pid || r->done || sv->stop != STOP_NONE)
		return;
	r->started_ns = clock_mono_ns();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		log_error("%s: cannot make a socket: %s", r->role->name, strerror(errno));
		r->delay_ns = DELAY_MAX_NS;
		role_again(r);
		return;
	}
	/* The role may block on its end. */
	fcntl(pair[1], F_SETFL, 0);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	pid_t pid = role_clone(r, pair[1]);
	close(pair[1]);
	r->conn = (struct loop_fd){
		.fd = pair[0], .events = EPOLLIN, .prio = LOOP_PRIO_IO, .fn = on_conn, .arg = r};
	if (pid < 0 || loop_fd_add(sv->loop, &r->conn) < 0) {
		log_error("%s: cannot start: %s", r->role->name,
			strerror(pid < 0 ? (int)-pid : errno));
		if (pid > 0)
			kill(pid, SIGKILL);
		close(pair[0]);
		r->conn.fd = -1;
		r->delay_ns = DELAY_MAX_NS;
		if (pid < 0) {
			role_again(r);
			return;
		}
	} else {
		keeper_connect(
			sv->keeper, role_number(r), pair[0], r->role->wants_exits, r->role->may);
	}
	r->pid = (int)pid;
	r->ready = false;
	log_debug("%s: started, pid %d", r->role->name, r->pid);
}

void
supervise_start(struct supervisor *sv)
{
	for (size_t i = 0; i < ROLE__COUNT; i++) {
		struct role_state *r = &sv->roles[i];
		if (!r->wanted)
			continue;
		if (!r->pid && !loop_timer_is_set(&r->again))
			role_start(r);
		/* up_ns: it has been ready once; what comes after it is not stopped again. */
		if (r->role->gates && !r->ready && !r->done && !r->restarts)
			return;
	}
}

/* ---- ending ---- */

static void
role_log_end(const struct role_state *r, int status, int64_t ran_ns)
{
	if (WIFSIGNALED(status))
		log_warn("%s: killed by signal %d (%s) after %lld ms", r->role->name,
			WTERMSIG(status), strsignal(WTERMSIG(status)),
			(long long)(ran_ns / NS_PER_MS));
	else
		log_warn("%s: ended with status %d after %lld ms", r->role->name,
			WEXITSTATUS(status), (long long)(ran_ns / NS_PER_MS));
}

static void
role_ended(struct role_state *r, int status)
{
	struct supervisor *sv = r->sv;
	int64_t ran_ns = clock_mono_ns() - r->started_ns;
	r->pid = 0;
	conn_close(r);
	if (sv->stop != STOP_NONE) {
		keeper_forget(sv->keeper, role_number(r), STR(INIT_LISTEN "*"));
		return;
	}
	if (r->role->restart == ROLE_ON_FAILURE && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		r->done = true;
		supervise_start(sv);
		return;
	}
	role_log_end(r, status, ran_ns);
	r->restarts++;
	int64_t now_ns = r->started_ns + ran_ns;
	if (now_ns - r->burst_ns > BURST_NS || ran_ns > BURST_NS) {
		r->burst_ns = now_ns;
		r->burst = 0;
		r->delay_ns = 0;
	} else if (++r->burst >= BURST) {
		r->delay_ns = r->delay_ns == 0 ? DELAY_FIRST_NS : r->delay_ns * 2;
		r->delay_ns = r->delay_ns > DELAY_MAX_NS ? DELAY_MAX_NS : r->delay_ns;
		r->burst_ns = now_ns;
	}
	if (r->delay_ns > LISTEN_NS)
		keeper_forget(sv->keeper, role_number(r), STR(INIT_LISTEN "*"));
	if (r->delay_ns)
		role_again(r);
	else
		role_start(r);
}

static void stop_advance(struct supervisor *sv, bool timeout);

static void
reap(struct supervisor *sv)
{
	bool told = false;
	for (int i = 0; i < REAP_PER_TURN; i++) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);
		if (pid <= 0)
			break;
		struct role_state *r = NULL;
		for (size_t j = 0; j < ROLE__COUNT; j++)
			if (sv->roles[j].pid == pid)
				r = &sv->roles[j];
		if (r) {
			role_ended(r, status);
		} else {
			keeper_exited(sv->keeper, pid, status, clock_wall_ns());
			told = true;
		}
		if (i == REAP_PER_TURN - 1)
			kill(getpid(), SIGCHLD); /* the rest in the next turn */
	}
	for (size_t j = 0; told && j < ROLE__COUNT; j++)
		if (sv->roles[j].conn.fd >= 0 && keeper_flush(sv->keeper, (unsigned)j))
			loop_fd_mod(&sv->roles[j].conn, EPOLLIN | EPOLLOUT);
	if (sv->stop != STOP_NONE)
		stop_advance(sv, false);
}

/* ---- stopping the machine ---- */

/* children_signal: every child but those of the roles, which are told by name. As PID 1 that is every
 * process there is; elsewhere only our own. */
static void
children_signal(struct supervisor *sv, int sig)
{
	if (sv->pid1) {
		kill(-1, sig);
		return;
	}
	FILE *f = fopen("/proc/thread-self/children", "re");
	char text[4096];
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	struct str rest = str_from(text, n), word;
	while (str_next(&rest, ' ', &word)) {
		uint64_t pid;
		if (str_to_u64(word, &pid) == 0 && pid > 1)
			kill((pid_t)pid, sig);
	}
	if (f)
		fclose(f);
}

static bool
roles_left(const struct supervisor *sv)
{
	for (size_t i = 0; i < ROLE__COUNT; i++)
		if (sv->roles[i].pid)
			return true;
	return false;
}

static bool
children_left(void)
{
	siginfo_t si;
	return waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void
on_stop_timer(struct loop_timer *t)
{
	stop_advance(t->arg, true);
}

/* stop_advance: to the next phase when this one has reached its end, or has had its time. */
static void
stop_advance(struct supervisor *sv, bool timeout)
{
	if (sv->phase == STOP_ROLES && (timeout || !roles_left(sv))) {
		sv->phase = STOP_TERM;
		children_signal(sv, SIGTERM);
		loop_timer_after(sv->loop, &sv->stop_timer, phase_ns[STOP_TERM]);
	} else if (sv->phase == STOP_TERM && timeout) {
		sv->phase = STOP_KILL;
		children_signal(sv, SIGKILL);
		loop_timer_after(sv->loop, &sv->stop_timer, phase_ns[STOP_KILL]);
	}
	if (sv->phase >= STOP_TERM && (!children_left() || (sv->phase == STOP_KILL && timeout))) {
		loop_timer_cancel(&sv->stop_timer);
		loop_stop(sv->loop, (int)sv->stop);
	}
}

void
supervise_stop(struct supervisor *sv, enum stop_kind kind, const char *why)
{
	if (sv->stop != STOP_NONE)
		return;
	log_info("stopping: %s", why);
	sv->stop = kind;
	sv->phase = STOP_ROLES;
	for (size_t i = 0; i < ROLE__COUNT; i++) {
		loop_timer_cancel(&sv->roles[i].again);
		if (sv->roles[i].pid)
			kill(sv->roles[i].pid, SIGTERM);
	}
	sv->stop_timer.fn = on_stop_timer;
	sv->stop_timer.arg = sv;
	loop_timer_after(sv->loop, &sv->stop_timer, phase_ns[STOP_ROLES]);
	stop_advance(sv, false);
}

/* ---- what roles say, signals ---- */

static void
on_ready(void *arg, unsigned role)
{
	struct supervisor *sv = arg;
	struct role_state *r = &sv->roles[role];
	int64_t now = clock_mono_ns();
	if (r->ready)
		return;
	r->ready = true;
	log_info("%s: ready after %lld ms", r->role->name,
		(long long)((now - r->started_ns) / NS_PER_MS));
	if (r->role->gates)
		supervise_start(sv);
	for (size_t i = 0; i < ROLE__COUNT; i++)
		if (sv->roles[i].wanted && !sv->roles[i].ready)
			return;
	if (!sv->up_ns) {
		sv->up_ns = now;
		log_info("all roles serve, %lld ms after the kernel's start",
			(long long)(now / NS_PER_MS));
	}
}

static void
on_power(void *arg, unsigned role, uint32_t value)
{
	struct supervisor *sv = arg;
	supervise_stop(sv, value == 1 ? STOP_POWEROFF : STOP_REBOOT, sv->roles[role].role->name);
}

static void
on_signal(struct loop_fd *w, uint32_t revents)
{
	struct supervisor *sv = w->arg;
	struct signalfd_siginfo si;
	bool child = false;
	(void)revents;
	while (read(w->fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			child = true;
		else if (!sv->pid1)
			supervise_stop(sv, STOP_EXIT, strsignal((int)si.ssi_signo));
		else if (si.ssi_signo == SIGINT) /* Ctrl-Alt-Del */
			supervise_stop(sv, STOP_REBOOT, "Ctrl-Alt-Del");
		else
			supervise_stop(sv, STOP_POWEROFF, strsignal((int)si.ssi_signo));
	}
	if (child)
		reap(sv);
}

/* ---- set-up ---- */

/* cgroup_make: <root>/<name> with its memory limit; returns the folder or -errno. */
static int
cgroup_make(const char *root, const struct role *role)
{
	char path[256], value[32];
	snprintf(path, sizeof(path), "%s/%s", root, role->name);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	if (role->memory_max_bytes) {
		int n = snprintf(
			value, sizeof(value), "%llu", (unsigned long long)role->memory_max_bytes);
		_cleanup_fd_ int fd = openat(dir, "memory.max", O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, value, (size_t)n) != n)
			log_warn("%s: memory.max: %s", role->name, strerror(errno));
	}
	return dir;
}

int
supervise_init(struct supervisor *sv, struct loop *l, struct keeper *k, bool pid1,
	const struct machine_config *c, const char *cgroup_root, struct err *e)
{
	sigset_t handled;
	*sv = (struct supervisor){.loop = l, .keeper = k, .stop = STOP_NONE, .pid1 = pid1};
	k->on_ready = on_ready;
	k->on_power = on_power;
	k->arg = sv;
	for (size_t i = 0; i < ROLE__COUNT; i++) {
		struct role_state *r = &sv->roles[i];
		*r = (struct role_state){.sv = sv, .role = &roles[i], .cgroup_fd = -1};
		r->conn.fd = -1;
		r->wanted = roles[i].wanted(c) && (pid1 || !roles[i].gates);
		if (r->wanted && cgroup_root) {
			r->cgroup_fd = cgroup_make(cgroup_root, &roles[i]);
			if (r->cgroup_fd < 0)
				return err_errno(e, r->cgroup_fd, "making the cgroup of '%s'",
					roles[i].name);
		}
	}
	if (!pid1 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return err_errno(e, -errno, "becoming a subreaper");
	sigemptyset(&handled);
	sigaddset(&handled, SIGCHLD);
	sigaddset(&handled, SIGTERM);
	sigaddset(&handled, SIGINT);
	sigaddset(&handled, SIGPWR);
	sigprocmask(SIG_SETMASK, &handled, NULL);
	int fd = signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return err_errno(e, -errno, "signalfd");
	/* Before everything else: a stop outruns new work, and a role's end its closed socket. */
	sv->signals = (struct loop_fd){
		.fd = fd, .events = EPOLLIN, .prio = LOOP_PRIO_SIGNAL, .fn = on_signal, .arg = sv};
	int rc = loop_fd_add(l, &sv->signals);
	return rc < 0 ? err_errno(e, rc, "watching signals") : 0;
}
