/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * stream: bytes into a process (outlet), and attach: any number of clients on one container's output. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "orchestrator/runtime/runtime_int.h"

#define BEHIND_MAX (1u << 20)

/* ---- outlet ---- */

static void
on_room(struct loop_fd *w, uint32_t revents)
{
	struct outlet *o = w->arg;

	(void)revents;
	loop_fd_del(&o->w);
	o->armed = false;
	if (o->on_writable)
		o->on_writable(o->arg);
}

void
outlet_init(struct outlet *o, struct loop *l, int fd, void (*on_writable)(void *arg), void *arg)
{
	(void)l;
	*o = (struct outlet){.fd = fd, .on_writable = on_writable, .arg = arg};
	if (fd >= 0) {
		int flags = fcntl(fd, F_GETFL);

		if (flags >= 0)
			fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	}
}

ssize_t
outlet_write(struct outlet *o, struct runtime *rt, struct str bytes)
{
	ssize_t n = 0;

	if (o->fd < 0)
		return -EPIPE;
	if (o->armed || bytes.n == 0)
		return 0;
	n = write(o->fd, bytes.p, bytes.n);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -EPIPE;
	if (n < (ssize_t)bytes.n) {
		o->w = (struct loop_fd){.fd = o->fd,
			.events = EPOLLOUT,
			.prio = LOOP_PRIO_IO,
			.fn = on_room,
			.arg = o};
		o->armed = loop_fd_add(rt->loop, &o->w) == 0;
	}
	return n < 0 ? 0 : n;
}

void
outlet_close(struct outlet *o)
{
	if (o->armed)
		loop_fd_del(&o->w);
	o->armed = false;
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
}

/* ---- attach ---- */

struct runtime_attach {
	struct runtime_attach *next;
	struct container *c;
	struct runtime_exec_ops ops;
	void *arg;
	bool want[3];
	bool paused;
	struct outlet in;
	struct buf behind[3]; /* by stream; what came while paused */
	struct loop_work resume;
};

static void
attach_writable(void *arg)
{
	struct runtime_attach *x = arg;

	if (x->ops.on_writable)
		x->ops.on_writable(x->arg);
}

static void
attach_free(void *arg)
{
	struct runtime_attach *x = arg;

	buf_release(&x->behind[RUNTIME_STDOUT]);
	buf_release(&x->behind[RUNTIME_STDERR]);
	free(x);
}

static void
attach_unlink(struct runtime_attach *x)
{
	for (struct runtime_attach **at = &x->c->attached; *at; at = &(*at)->next) {
		if (*at == x) {
			*at = x->next;
			break;
		}
	}
}

/* Takes it out of the world; freed when no callback can hold it any more. */
static void
attach_drop(struct runtime_attach *x)
{
	attach_unlink(x);
	outlet_close(&x->in);
	loop_defer_cancel(&x->resume);
	loop_free_later(x->c->rt->loop, attach_free, x);
}

static void
on_resume(struct loop_work *w)
{
	struct runtime_attach *x = w->arg;

	for (size_t s = RUNTIME_STDOUT; s <= RUNTIME_STDERR && !x->paused; s++) {
		struct buf full = x->behind[s];

		if (!full.len)
			continue;
		buf_init(&x->behind[s]);
		x->behind[s].max = BEHIND_MAX;
		x->paused = !x->ops.on_output(x->arg, (enum runtime_stream)s, buf_view(&full));
		buf_release(&full);
	}
}

int
runtime_attach_start(struct runtime *rt, const struct runtime_attach_spec *spec,
	const struct runtime_exec_ops *ops, void *arg, struct runtime_attach **ret, struct err *e)
{
	struct container *c = container_find(rt, spec->container_id);
	struct runtime_attach *x = NULL;
	int in = -1;

	if (!c)
		return err_set(e, -ENOENT, R_NOT_FOUND, "container not found");
	if (c->rec.phase != PHASE_RUNNING || c->exited)
		return err_set(e, -ESRCH, R_BAD_REQUEST, "container is not running");
	x = calloc(1, sizeof(*x));
	if (!x)
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	x->c = c;
	x->ops = *ops;
	x->arg = arg;
	x->want[RUNTIME_STDOUT] = spec->use_stdout;
	x->want[RUNTIME_STDERR] = spec->use_stderr;
	x->behind[RUNTIME_STDOUT].max = x->behind[RUNTIME_STDERR].max = BEHIND_MAX;
	x->resume.fn = on_resume;
	x->resume.arg = x;
	if (spec->use_stdin && (c->tty_fd >= 0 ? c->rec.spec.open_stdin : c->stdin_fd >= 0))
		in = fcntl(c->tty_fd >= 0 ? c->tty_fd : c->stdin_fd, F_DUPFD_CLOEXEC, 3);
	outlet_init(&x->in, rt->loop, in, attach_writable, x);
	x->next = c->attached;
	c->attached = x;
	*ret = x;
	return 0;
}

void
attach_output(struct container *c, enum runtime_stream s, struct str bytes)
{
	struct runtime_attach *next = NULL;

	for (struct runtime_attach *x = c->attached; x; x = next) {
		next = x->next;
		if (!x->want[s])
			continue;
		if (x->paused || x->behind[s].len)
			buf_add(&x->behind[s], bytes.p, bytes.n);
		else
			x->paused = !x->ops.on_output(x->arg, s, bytes);
		/* Too far behind: what lies between is lost to this client, the container goes on. */
		if (x->behind[s].failed)
			buf_clear(&x->behind[s]);
	}
}

void
attach_end(struct container *c)
{
	while (c->attached) {
		struct runtime_attach *x = c->attached;
		struct err e = {0};
		bool dead = c->rt->dead;

		x->paused = false;
		if (!dead)
			on_resume(&x->resume);
		if (c->attached != x)
			continue;
		if (c->rec.phase != PHASE_EXITED)
			err_set(&e, -ESRCH, R_UNKNOWN, "container is gone");
		attach_drop(x);
		if (!dead)
			x->ops.on_end(x->arg, c->rec.exit_code, e.code ? &e : NULL);
	}
}

ssize_t
runtime_attach_write(struct runtime_attach *x, struct str bytes)
{
	return outlet_write(&x->in, x->c->rt, bytes);
}

void
runtime_attach_close_stdin(struct runtime_attach *x)
{
	struct container *c = x->c;
	bool had = x->in.fd >= 0;

	outlet_close(&x->in);
	/* The container sees the end only when nobody else, PID 1 included, holds its input open. */
	if (had && c->rec.spec.stdin_once && c->stdin_fd >= 0) {
		rt_fd_drop(c->rt, 'c', c->rec.id, "in");
		close(c->stdin_fd);
		c->stdin_fd = -1;
	}
}

void
runtime_attach_resume(struct runtime_attach *x)
{
	x->paused = false;
	loop_defer(x->c->rt->loop, &x->resume);
}

static void
resize(int fd, uint16_t cols, uint16_t rows)
{
	struct winsize ws = {.ws_col = cols, .ws_row = rows};

	if (fd >= 0)
		ioctl(fd, TIOCSWINSZ, &ws);
}

void
runtime_attach_resize(struct runtime_attach *x, uint16_t cols, uint16_t rows)
{
	resize(x->c->tty_fd, cols, rows);
}

void
runtime_attach_close(struct runtime_attach *x)
{
	runtime_attach_close_stdin(x);
	attach_drop(x);
}
