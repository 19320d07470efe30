/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * container_start: from CREATED to RUNNING:
 *
 *   helper thread: launch_run (overlay, volumes, clone)
 *   loop: pipes to PID 1, state STARTING with the pid on disk, wait for the child's READY
 *   loop: terminal to PID 1, "go"
 *   child: execve closes the socket -> RUNNING;  or a FAILED report -> its end -> EXITED, StartError
 *
 * Whatever moment this process dies at, the next one finds either no process, or one that is on disk and
 * whose pipes PID 1 has. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "orchestrator/runtime/runtime_int.h"

#define START_ERROR_CODE 128

struct start_job {
	struct job job;
	struct container *c;
};

int
sock_receive(int sock, struct child_report *r, int *ret_fd)
{
	union {
		struct cmsghdr h;
		char bytes[CMSG_SPACE(sizeof(int))];
	} ctl;
	struct iovec iov = {r, sizeof(*r)};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl.bytes,
		.msg_controllen = sizeof(ctl.bytes)};
	ssize_t n = recvmsg(sock, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *h = NULL;

	*ret_fd = -1;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
	h = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS &&
		h->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(h), sizeof(int));
	if (n != sizeof(*r)) {
		cleanup_fd(ret_fd);
		*ret_fd = -1;
		return -EPIPE;
	}
	return 1;
}

static void
sock_close(struct container *c)
{
	if (c->sock.loop)
		loop_fd_del(&c->sock);
	launch_free(TAKE_PTR(c->launch));
}

/* The start is over, well or not. */
static void
start_end(struct container *c, const struct err *e)
{
	runtime_done_fn *done = c->start_done;

	sock_close(c);
	c->starting = false;
	c->start_done = NULL;
	if (done)
		done(c->start_arg, e);
}

void
container_start_over(struct container *c)
{
	struct container_rec *r = &c->rec;
	struct err e = c->start_err;
	struct sandbox *s = c->sandbox;

	loop_timer_cancel(&c->drain);
	log_file_close(&c->log);
	rt_fd_drop(c->rt, 'c', r->id, "*");
	cleanup_fd(&c->pidfd);
	cleanup_fd(&c->stdin_fd);
	cleanup_fd(&c->tty_fd);
	c->pidfd = c->stdin_fd = c->tty_fd = -1;
	file_watch_del(c->rt, &c->oom);
	r->phase = PHASE_EXITED;
	r->finished_ns = clock_wall_ns();
	r->exit_code = START_ERROR_CODE;
	r->reason = STR("StartError");
	r->message = arena_str(c->a, str_c(e.msg));
	container_save(c);
	container_cgroup_remove(c);
	start_end(c, &e);
	waiters_end(&c->stopping, NULL);
	sandbox_container_gone(s);
}

/* Its process, if there is one, is killed; container_ended goes on when it is gone. */
static void
start_fail(struct container *c, const struct err *e)
{
	if (!c->start_err.code)
		c->start_err = *e;
	container_kill_all(c);
	if (c->sock.loop)
		loop_fd_del(&c->sock);
	if (c->watch.on)
		return;
	log_source_close(&c->out);
	log_source_close(&c->err);
	container_start_over(c);
}

bool
container_start_settle(struct container *c)
{
	struct err e = {0};

	if (c->sock.loop && !c->start_err.code)
		c->sock.fn(&c->sock, EPOLLIN);
	/* What came last may have been the report of a failure, and then all is done. */
	if (!c->starting)
		return !c->start_err.code;
	if (!c->start_err.code) {
		err_set(&e, -ESRCH, R_UNKNOWN, "the process was killed while it was started");
		c->start_err = e;
	}
	log_source_close(&c->out);
	log_source_close(&c->err);
	container_start_over(c);
	return false;
}

static void
started(struct container *c)
{
	c->rec.phase = PHASE_RUNNING;
	c->rec.started_ns = clock_wall_ns();
	container_save(c);
	start_end(c, NULL);
}

static void
on_ready(struct container *c, int tty)
{
	struct err e = {0};
	int rc = 0;

	if (tty >= 0) {
		int copy = fcntl(tty, F_DUPFD_CLOEXEC, 3);

		c->tty_fd = tty;
		rc = rt_fd_keep(c->rt, 'c', c->rec.id, "tty", tty);
		if (!rc)
			rc = copy < 0 ? -EMFILE : container_streams_open(c, copy, -1);
	}
	if (!rc && send(c->launch->sock, "g", 1, MSG_NOSIGNAL) != 1)
		rc = -errno;
	c->told_to_go = rc == 0;
	if (rc) {
		err_errno(&e, rc, "starting the container");
		start_fail(c, &e);
	}
}

static void
on_sock(struct loop_fd *w, uint32_t revents)
{
	struct container *c = w->arg;
	struct child_report r = {0};
	struct err e = {0};
	int fd = -1;
	int rc = 1;

	(void)revents;
	while (rc > 0 && c->starting && !c->start_err.code) {
		rc = sock_receive(c->launch->sock, &r, &fd);
		if (rc == 0)
			return;
		if (rc > 0 && r.kind == CHILD_READY) {
			on_ready(c, fd);
		} else if (rc > 0) {
			cleanup_fd(&fd);
			launch_report(&r, &e);
			start_fail(c, &e);
		} else if (c->told_to_go) {
			started(c);
		} else {
			err_set(&e, -ESRCH, R_UNKNOWN,
				"the process was killed while it was started");
			start_fail(c, &e);
		}
	}
}

/* The process exists and waits: everything about it to where it outlives us. */
static int
hand_over(struct container *c)
{
	struct launch *l = c->launch;
	struct str id = c->rec.id;
	const struct runtime_container_spec *s = &c->rec.spec;
	int out = TAKE_FD(l->stdio[1]);
	int err = TAKE_FD(l->stdio[2]);
	int rc = 0;

	c->pidfd = TAKE_FD(l->pidfd);
	c->stdin_fd = TAKE_FD(l->stdio[0]);
	c->rec.pid = l->pid;
	c->rec.pid_start = pid_start_time(l->pid);
	c->rec.phase = PHASE_STARTING;
	rc = container_watch(c);
	if (!rc && out >= 0)
		rc = rt_fd_keep(c->rt, 'c', id, "out", out);
	if (!rc && err >= 0)
		rc = rt_fd_keep(c->rt, 'c', id, "err", err);
	if (!rc && c->stdin_fd >= 0)
		rc = rt_fd_keep(c->rt, 'c', id, "in", c->stdin_fd);
	if (!rc)
		rc = log_file_open(
			&c->log, s->log_path, (uint64_t)s->log_max_bytes, s->log_max_files);
	if (!rc)
		rc = container_streams_open(c, TAKE_FD(out), TAKE_FD(err));
	cleanup_fd(&out);
	cleanup_fd(&err);
	return rc ? rc : container_save(c);
}

static void
start_work(struct job *job)
{
	struct start_job *j = CONTAINER_OF(job, struct start_job, job);

	launch_run(j->c->launch);
}

static void
start_done(struct job *job, bool dead)
{
	struct start_job *j = CONTAINER_OF(job, struct start_job, job);
	struct container *c = j->c;
	struct err e = {0};
	int rc = 0;

	free(j);
	c->busy--;
	if (dead) {
		container_free(c); /* closes the socket: a child that waits for its word ends */
		return;
	}
	if (c->launch->err.code) {
		e = c->launch->err;
		start_fail(c, &e);
		return;
	}
	rc = hand_over(c);
	if (!rc) {
		c->sock = (struct loop_fd){.fd = c->launch->sock,
			.events = EPOLLIN,
			.prio = LOOP_PRIO_IO,
			.fn = on_sock,
			.arg = c};
		rc = loop_fd_add(c->rt->loop, &c->sock);
	}
	if (rc) {
		err_errno(&e, rc, "starting the container");
		start_fail(c, &e);
	}
}

/* Layers of images that are mounted as volumes, by mount. */
static int
image_mounts(struct container *c, struct launch *l)
{
	const struct runtime_container_spec *s = &c->rec.spec;
	const struct str **lists = ARENA_ARRAY(l->a, const struct str *, s->n_mounts);
	size_t *counts = ARENA_ARRAY(l->a, size_t, s->n_mounts);

	if (!lists || !counts)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_mounts; i++) {
		struct image *img = s->mounts[i].image.n
			? image_store_get(c->rt->store, s->mounts[i].image)
			: NULL;
		struct str *layers = NULL;

		if (!s->mounts[i].image.n)
			continue;
		layers = img ? ARENA_ARRAY(l->a, struct str, img->n_layers) : NULL;
		if (!layers)
			return img ? -ENOMEM : -ENOENT;
		for (size_t k = 0; k < img->n_layers; k++)
			layers[k] = arena_str(l->a, img->layers[img->n_layers - 1 - k]);
		lists[i] = layers;
		counts[i] = img->n_layers;
	}
	l->image_layers = lists;
	l->n_image_layers = counts;
	return arena_failed(l->a) ? -ENOMEM : 0;
}

/* pids_join: it lives among the processes of another container; that one's process stands for their namespace. */
static int
pids_join(struct container *c, struct launch *l)
{
	const struct container *other = container_find(c->rt, c->rec.spec.pids_of);

	if (!other || other->sandbox != c->sandbox || other->rec.phase != PHASE_RUNNING ||
		other->exited || other->pidfd < 0)
		return -ESRCH;
	l->ns[NS_PID] = fcntl(other->pidfd, F_DUPFD_CLOEXEC, 3);
	l->new_pid_ns = false;
	return l->ns[NS_PID] < 0 ? -errno : 0;
}

static int
launch_make(struct container *c)
{
	const struct sandbox *s = c->sandbox;
	const struct runtime_sandbox_spec *p = &s->rec.spec;
	struct launch *l = launch_new(&c->rt->env, &c->rec);
	int rc = l ? 0 : -ENOMEM;

	for (size_t i = 0; !rc && i < NS__COUNT; i++) {
		if (s->ns[i] < 0)
			continue;
		l->ns[i] = fcntl(s->ns[i], F_DUPFD_CLOEXEC, 3);
		rc = l->ns[i] < 0 ? -errno : 0;
	}
	if (!rc) {
		l->new_pid_ns = !p->host_pid && !p->share_pid;
		if (!p->host_ipc)
			l->shm = arena_fmt(
				l->a, "%s/shm/" STR_FMT, c->rt->run_path, STR_ARG(s->rec.id))
					 .p;
		if (c->rec.spec.pids_of.n && l->new_pid_ns)
			rc = pids_join(c, l);
	}
	if (!rc)
		rc = image_mounts(c, l);
	if (rc) {
		launch_free(l);
		return rc;
	}
	c->launch = l;
	return 0;
}

int
runtime_container_start(struct runtime *rt, struct str id, runtime_done_fn *done, void *arg)
{
	struct container *c = container_find(rt, id);
	struct start_job *j = NULL;
	int rc = 0;

	LOOP_ASSERT(rt->loop);
	if (!c)
		return -ENOENT;
	if (c->rec.phase != PHASE_CREATED || c->creating || c->starting || c->removing ||
		c->sandbox->creating || c->sandbox->rec.stopped)
		return -EINVAL;
	j = calloc(1, sizeof(*j));
	rc = j ? launch_make(c) : -ENOMEM;
	if (!rc) {
		*j = (struct start_job){.job = {.work = start_work, .done = start_done}, .c = c};
		rc = job_start(rt, &j->job);
		if (rc)
			launch_free(TAKE_PTR(c->launch));
	}
	if (rc) {
		free(j);
		return rc;
	}
	c->busy++;
	c->starting = true;
	c->told_to_go = false;
	c->start_err = (struct err){0};
	c->start_done = done;
	c->start_arg = arg;
	return 0;
}
