/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * exec: another process in a running container. It is cloned as a child of PID 1 like a container, but nothing
 * of it is kept: when this process dies its streams break, as its client's connection does.
 *
 *   helper thread: clone -> loop: READY (terminal) -> end of file: runs -> output ... -> exit and all
 *   output read -> on_end */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "orchestrator/runtime/runtime_int.h"

#define READ_BYTES 16384
#define READS_PER_TURN 4
#define LINGER_NS (2 * NS_PER_SEC) /* others may hold the output open after the process has ended */

struct exec_in {
	struct loop_fd w;
	bool open;
};

struct runtime_exec {
	struct job job;
	struct runtime_exec *next; /* of the container */
	struct runtime *rt;
	struct container *c; /* NULL: it is gone */
	struct launch *launch;
	struct container_rec rec; /* what launch reads; strings in launch's arena */
	struct runtime_exec_ops ops;
	void *arg;
	struct loop_fd sock;
	bool launching, running, exited, closed, over, paused;
	struct pid_watch watch;
	int status, pidfd, tty;
	struct exec_in out[3]; /* by stream */
	struct outlet in;
	bool close_in;       /* asked for while it was not there yet */
	struct winsize size; /* asked for while there was no terminal yet; ws_col 0: not */
	struct buf early;    /* input that came before the process */
	struct loop_timer linger;
	struct loop_work step;
	struct err err;
	int err_code;
};

static void check(struct runtime_exec *x);

static void
exec_free(void *arg)
{
	struct runtime_exec *x = arg;

	launch_free(x->launch);
	buf_release(&x->early);
	free(x);
}

static void
in_close(struct runtime_exec *x, enum runtime_stream s)
{
	struct exec_in *i = &x->out[s];

	if (!i->open)
		return;
	i->open = false;
	if (i->w.loop)
		loop_fd_del(&i->w);
	close(i->w.fd);
}

/* Nothing more will happen: out of every list; freed at the end of the turn. */
static void
over(struct runtime_exec *x)
{
	if (x->over)
		return;
	x->over = true;
	in_close(x, RUNTIME_STDOUT);
	in_close(x, RUNTIME_STDERR);
	outlet_close(&x->in);
	cleanup_fd(&x->tty);
	x->tty = -1;
	if (x->sock.loop)
		loop_fd_del(&x->sock);
	loop_timer_cancel(&x->linger);
	loop_defer_cancel(&x->step);
	if (x->c) {
		for (struct runtime_exec **at = &x->c->execs; *at; at = &(*at)->next) {
			if (*at == x) {
				*at = x->next;
				break;
			}
		}
		x->c = NULL;
	}
}

static void
gone(struct runtime_exec *x)
{
	struct runtime *rt = x->rt;

	over(x);
	cleanup_fd(&x->pidfd);
	x->pidfd = -1;
	loop_free_later(rt->loop, exec_free, x);
}

/* ---- output ---- */

/* read_some: a piece of the output to the caller, where it takes one. 0: none; -1: that was all. */
static ssize_t
read_some(struct runtime_exec *x, enum runtime_stream s)
{
	char buf[READ_BYTES / 4];
	ssize_t n = 0;

	if (x->paused || !x->out[s].open || x->closed)
		return 0;
	n = read(x->out[s].w.fd, buf, sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	if (!x->ops.on_output(x->arg, s, str_from(buf, (size_t)n)))
		x->paused = true;
	return n;
}

static void
on_readable(struct loop_fd *w, uint32_t revents)
{
	struct runtime_exec *x = w->arg;
	enum runtime_stream s = w == &x->out[RUNTIME_STDERR].w ? RUNTIME_STDERR : RUNTIME_STDOUT;
	ssize_t n = 1;

	(void)revents;
	for (int i = 0; i < READS_PER_TURN && n > 0; i++)
		n = read_some(x, s);
	if (n < 0) {
		in_close(x, s);
		check(x);
		return;
	}
	if (x->paused && x->out[s].open && !x->closed && w->loop)
		loop_fd_del(w);
}

static void
in_open(struct runtime_exec *x, enum runtime_stream s, int fd)
{
	struct exec_in *i = &x->out[s];
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	i->w = (struct loop_fd){
		.fd = fd, .events = EPOLLIN, .prio = LOOP_PRIO_IO, .fn = on_readable, .arg = x};
	i->open = true;
	if (loop_fd_add(x->rt->loop, &i->w))
		in_close(x, s);
}

void
runtime_exec_resume(struct runtime_exec *x)
{
	if (!x->paused)
		return;
	x->paused = false;
	for (size_t s = RUNTIME_STDOUT; s <= RUNTIME_STDERR; s++)
		if (x->out[s].open && !x->out[s].w.loop && loop_fd_add(x->rt->loop, &x->out[s].w))
			in_close(x, (enum runtime_stream)s);
	check(x);
}

/* ---- the end ---- */

/* on_linger: others hold the output open. What lies in it by now may be the process's, and is read first; a
 * caller that takes no more has all the time it wants. */
static void
on_linger(struct loop_timer *t)
{
	struct runtime_exec *x = t->arg;

	for (size_t s = RUNTIME_STDOUT; s <= RUNTIME_STDERR; s++) {
		int left = 0;
		ssize_t n = 1;

		if (x->out[s].open)
			ioctl(x->out[s].w.fd, FIONREAD, &left);
		for (; left > 0 && n > 0; left -= (int)n)
			n = read_some(x, (enum runtime_stream)s);
	}
	if (x->paused)
		return;
	in_close(x, RUNTIME_STDOUT);
	in_close(x, RUNTIME_STDERR);
	check(x);
}

static void
check(struct runtime_exec *x)
{
	int code = 0;
	bool reading = x->out[RUNTIME_STDOUT].open || x->out[RUNTIME_STDERR].open;

	if (x->over || x->launching)
		return;
	if (x->closed) {
		if (x->exited || x->err.code)
			gone(x);
		return;
	}
	if (x->exited && reading && !x->paused && !loop_timer_is_set(&x->linger)) {
		x->linger.fn = on_linger;
		x->linger.arg = x;
		loop_timer_after(x->rt->loop, &x->linger, LINGER_NS);
	}
	if (!x->exited || (reading && !x->err.code))
		return;
	code = WIFSIGNALED(x->status) ? 128 + WTERMSIG(x->status) : WEXITSTATUS(x->status);
	gone(x);
	x->closed = true;
	if (x->err.code)
		x->ops.on_end(x->arg, x->err_code, &x->err);
	else
		x->ops.on_end(x->arg, code, NULL);
}

static void on_sock(struct loop_fd *w, uint32_t revents);

static void
on_exit_record(struct pid_watch *w, int status, int64_t at_ns)
{
	struct runtime_exec *x = w->arg;

	(void)at_ns;
	/* What it said before it ended still lies in the socket. */
	if (x->sock.loop)
		on_sock(&x->sock, EPOLLIN);
	x->exited = true;
	x->status = status;
	check(x);
}

static void
fail(struct runtime_exec *x, const struct err *e, int exit_code)
{
	x->err = *e;
	x->err_code = exit_code;
	if (!x->watch.on)
		x->exited = true; /* there never was a process */
}

/* ---- starting ---- */

static void
on_writable(void *arg)
{
	struct runtime_exec *x = arg;

	if (x->early.len) {
		ssize_t n = outlet_write(&x->in, x->rt, buf_view(&x->early));

		if (n > 0)
			buf_consume(&x->early, (size_t)n);
		if (n < 0)
			buf_clear(&x->early);
		if (x->early.len)
			return;
	}
	if (x->close_in) {
		outlet_close(&x->in);
		return;
	}
	if (x->ops.on_writable && !x->closed)
		x->ops.on_writable(x->arg);
}

/* It runs, as far as input is concerned. */
static void
input_open(struct runtime_exec *x, int fd)
{
	outlet_init(&x->in, x->rt->loop, fd, on_writable, x);
	if (fd < 0)
		return;
	if (x->early.len || x->close_in)
		on_writable(x);
}

static void
on_ready(struct runtime_exec *x, int tty)
{
	int in = -1;
	int out = -1;

	if (tty < 0)
		return;
	x->tty = tty;
	if (x->size.ws_col)
		ioctl(tty, TIOCSWINSZ, &x->size); /* before any input */
	in = x->launch->want[0] ? fcntl(tty, F_DUPFD_CLOEXEC, 3) : -1;
	out = fcntl(tty, F_DUPFD_CLOEXEC, 3);
	if (out >= 0)
		in_open(x, RUNTIME_STDOUT, out);
	input_open(x, in);
}

static void
on_sock(struct loop_fd *w, uint32_t revents)
{
	struct runtime_exec *x = w->arg;
	struct child_report r = {0};
	struct err e = {0};
	int fd = -1;
	int rc = 1;

	(void)revents;
	while (rc > 0 && !x->over && x->sock.loop) {
		rc = sock_receive(x->launch->sock, &r, &fd);
		if (rc > 0 && r.kind == CHILD_READY) {
			on_ready(x, fd);
		} else if (rc > 0) {
			cleanup_fd(&fd);
			launch_report(&r, &e);
			fail(x, &e, r.exit_code);
		} else if (rc < 0) {
			loop_fd_del(&x->sock);
			x->running = !x->err.code;
		}
	}
}

static void
exec_work(struct job *job)
{
	struct runtime_exec *x = CONTAINER_OF(job, struct runtime_exec, job);

	launch_run(x->launch);
}

static void
streams_open(struct runtime_exec *x)
{
	struct launch *l = x->launch;

	for (size_t s = RUNTIME_STDOUT; s <= RUNTIME_STDERR; s++)
		if (l->stdio[s] >= 0)
			in_open(x, (enum runtime_stream)s, TAKE_FD(l->stdio[s]));
	if (!l->tty)
		input_open(x, TAKE_FD(l->stdio[0]));
}

static void
exec_done(struct job *job, bool dead)
{
	struct runtime_exec *x = CONTAINER_OF(job, struct runtime_exec, job);
	struct launch *l = x->launch;
	struct err e = {0};

	x->launching = false;
	if (dead) {
		over(x);
		exec_free(x);
		return;
	}
	if (l->err.code) {
		fail(x, &l->err, 126);
		check(x);
		return;
	}
	x->pidfd = TAKE_FD(l->pidfd);
	x->watch = (struct pid_watch){.pid = l->pid, .fn = on_exit_record, .arg = x};
	streams_open(x);
	x->sock = (struct loop_fd){
		.fd = l->sock, .events = EPOLLIN, .prio = LOOP_PRIO_IO, .fn = on_sock, .arg = x};
	if (pid_watch_start(x->rt, &x->watch) || loop_fd_add(x->rt->loop, &x->sock)) {
		err_set(&e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
		fail(x, &e, 126);
	}
	if (x->closed || x->err.code)
		syscall(SYS_pidfd_send_signal, x->pidfd, SIGKILL, NULL, 0);
	check(x);
}

/* launch reads the record in a helper thread while the container may go: it gets a copy of what it needs. */
static int
record_copy(struct runtime_exec *x, const struct container *c)
{
	struct arena *a = x->launch->a;
	struct buf b;

	buf_init_arena(&b, a);
	pack_put(&b, &state_container_table, &c->rec);
	if (b.failed || pack_get(a, &state_container_table, buf_view(&b), &x->rec))
		return -ENOMEM;
	x->launch->rec = &x->rec;
	return 0;
}

static int
exec_launch(struct runtime_exec *x, const struct container *c, const struct runtime_exec_spec *spec)
{
	struct launch *l = x->launch;
	struct str *argv = ARENA_ARRAY(l->a, struct str, spec->n_argv);

	for (size_t i = 0; argv && i < spec->n_argv; i++)
		argv[i] = arena_str(l->a, spec->argv[i]);
	l->exec = true;
	l->argv = argv;
	l->n_argv = spec->n_argv;
	l->tty = spec->tty;
	l->want[0] = spec->use_stdin;
	l->want[RUNTIME_STDOUT] = spec->use_stdout;
	l->want[RUNTIME_STDERR] = spec->use_stderr;
	l->cols = spec->cols ? spec->cols : 80;
	l->rows = spec->rows ? spec->rows : 24;
	l->join = fcntl(c->pidfd, F_DUPFD_CLOEXEC, 3);
	if (l->join < 0 || arena_failed(l->a) || record_copy(x, c))
		return -ENOMEM;
	x->job = (struct job){.work = exec_work, .done = exec_done};
	return job_start(x->rt, &x->job);
}

int
runtime_exec_start(struct runtime *rt, const struct runtime_exec_spec *spec,
	const struct runtime_exec_ops *ops, void *arg, struct runtime_exec **ret, struct err *e)
{
	struct container *c = container_find(rt, spec->container_id);
	struct runtime_exec *x = NULL;

	LOOP_ASSERT(rt->loop);
	if (!c)
		return err_set(e, -ENOENT, R_NOT_FOUND, "container not found");
	if (c->rec.phase != PHASE_RUNNING || c->exited || c->pidfd < 0)
		return err_set(e, -ESRCH, R_BAD_REQUEST, "container not running");
	if (spec->n_argv == 0)
		return err_set(e, -EINVAL, R_BAD_REQUEST, "no command specified");
	for (size_t i = 0; i < spec->n_argv; i++)
		if (str_find_char(spec->argv[i], '\0') >= 0)
			return err_set(e, -EINVAL, R_BAD_REQUEST, "arguments hold a zero byte");
	x = calloc(1, sizeof(*x));
	if (!x)
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	*x = (struct runtime_exec){.rt = rt, .ops = *ops, .arg = arg, .pidfd = -1, .tty = -1};
	x->in.fd = -1;
	x->early.max = 1u << 20;
	x->launch = launch_new(&rt->env, &x->rec);
	if (!x->launch || exec_launch(x, c, spec)) {
		launch_free(x->launch);
		free(x);
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	}
	x->launching = true;
	x->c = c;
	x->next = c->execs;
	c->execs = x;
	*ret = x;
	return 0;
}

/* ---- from the caller ---- */

ssize_t
runtime_exec_write(struct runtime_exec *x, struct str bytes)
{
	bool waiting = x->launching || (x->launch->tty && x->tty < 0);

	if (!x->launch->want[0] || x->close_in)
		return -EPIPE;
	if (waiting || x->early.len) {
		if (x->early.len + bytes.n > x->early.max)
			return 0;
		buf_add(&x->early, bytes.p, bytes.n);
		return x->early.failed ? -EPIPE : (ssize_t)bytes.n;
	}
	return outlet_write(&x->in, x->rt, bytes);
}

void
runtime_exec_close_stdin(struct runtime_exec *x)
{
	bool waiting = x->launching || (x->launch->tty && x->tty < 0);

	x->close_in = true;
	if (!waiting && !x->early.len)
		outlet_close(&x->in);
}

void
runtime_exec_resize(struct runtime_exec *x, uint16_t cols, uint16_t rows)
{
	struct winsize ws = {.ws_col = cols, .ws_row = rows};

	if (x->tty >= 0)
		ioctl(x->tty, TIOCSWINSZ, &ws);
	else
		x->size = ws;
}

void
runtime_exec_close(struct runtime_exec *x, bool kill)
{
	if (x->closed)
		return;
	x->closed = true;
	in_close(x, RUNTIME_STDOUT);
	in_close(x, RUNTIME_STDERR);
	outlet_close(&x->in);
	if (x->launching)
		return; /* exec_done kills it */
	if (kill && x->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, x->pidfd, SIGKILL, NULL, 0);
	check(x);
}

/* The container's object goes. Its process namespace has ended, so the execs end by themselves; those that
 * PID 1 still has to report stay until then. */
void
exec_container_gone(struct container *c)
{
	while (c->execs) {
		struct runtime_exec *x = c->execs;

		c->execs = x->next;
		x->c = NULL;
		if (!c->rt->dead)
			continue;
		x->closed = true;
		if (x->launching)
			continue; /* exec_done frees it */
		pid_watch_stop(c->rt, &x->watch, false);
		over(x);
		cleanup_fd(&x->pidfd);
		x->pidfd = -1;
		exec_free(x);
	}
}
