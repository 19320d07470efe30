/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * port: a TCP connection to localhost inside a pod, for port-forward. A socket belongs to the network
 * namespace it was made in: a helper thread makes two there, the loop connects them. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "orchestrator/runtime/runtime_int.h"

#define CONNECT_NS (10 * NS_PER_SEC)

struct port {
	struct job job;
	struct runtime *rt;
	int ns;
	int fd[2]; /* IPv4, IPv6 */
	size_t at;
	uint16_t number;
	struct loop_fd w;
	struct loop_timer timer;
	void (*done)(void *arg, int fd, const struct err *e);
	void *arg;
	struct err err;
};

static void attempt(struct port *p);

static void
port_free(struct port *p)
{
	cleanup_fd(&p->ns);
	cleanup_fd(&p->fd[0]);
	cleanup_fd(&p->fd[1]);
	free(p);
}

static void
sockets_work(struct job *job)
{
	struct port *p = CONTAINER_OF(job, struct port, job);
	static const int family[2] = {AF_INET, AF_INET6};

	if (p->ns >= 0 && setns(p->ns, CLONE_NEWNET)) {
		err_errno(&p->err, -errno, "entering the pod's network");
		return;
	}
	for (size_t i = 0; i < 2; i++)
		p->fd[i] = socket(family[i], SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	BUG_ON(p->ns >= 0 && setns(p->rt->env.host_ns[NS_NET], CLONE_NEWNET));
}

static void
finish(struct port *p, int fd, const struct err *e)
{
	if (p->w.loop)
		loop_fd_del(&p->w);
	loop_timer_cancel(&p->timer);
	p->rt->busy--; /* held since the job ended; the runtime cannot have died meanwhile */
	p->done(p->arg, fd, e);
	port_free(p);
}

static void
next(struct port *p, int error)
{
	if (p->w.loop)
		loop_fd_del(&p->w);
	loop_timer_cancel(&p->timer);
	err_errno(&p->err, -error, "failed to connect to localhost:%u inside the pod", p->number);
	p->at++;
	attempt(p);
}

static void
on_connected(struct loop_fd *w, uint32_t revents)
{
	struct port *p = w->arg;
	int error = 0;
	socklen_t n = sizeof(error);

	(void)revents;
	if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &n))
		error = errno;
	if (error)
		next(p, error);
	else
		finish(p, TAKE_FD(p->fd[p->at]), NULL);
}

static void
on_timeout(struct loop_timer *t)
{
	next(t->arg, ETIMEDOUT);
}

static void
attempt(struct port *p)
{
	struct sockaddr_in a4 = {.sin_family = AF_INET,
		.sin_port = htons(p->number),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6,
		.sin6_port = htons(p->number),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT};
	const void *addr = NULL;
	socklen_t n = 0;

	while (p->at < 2 && p->fd[p->at] < 0)
		p->at++;
	addr = p->at ? (const void *)&a6 : (const void *)&a4;
	n = p->at ? sizeof(a6) : sizeof(a4);
	if (p->at == 2) {
		if (!p->err.code)
			err_set(&p->err, -ECONNREFUSED, R_UNKNOWN, "no way to connect");
		finish(p, -1, &p->err);
		return;
	}
	if (connect(p->fd[p->at], addr, n) && errno != EINPROGRESS) {
		next(p, errno);
		return;
	}
	p->w = (struct loop_fd){.fd = p->fd[p->at],
		.events = EPOLLOUT,
		.prio = LOOP_PRIO_IO,
		.fn = on_connected,
		.arg = p};
	p->timer.fn = on_timeout;
	p->timer.arg = p;
	loop_timer_after(p->rt->loop, &p->timer, CONNECT_NS);
	if (loop_fd_add(p->rt->loop, &p->w))
		next(p, ENOMEM);
}

static void
sockets_done(struct job *job, bool dead)
{
	struct port *p = CONTAINER_OF(job, struct port, job);

	if (dead) {
		port_free(p);
		return;
	}
	p->rt->busy++;
	if (p->err.code)
		finish(p, -1, &p->err);
	else
		attempt(p);
}

int
runtime_port_connect(struct runtime *rt, struct str sandbox_id, uint16_t port,
	void (*done)(void *arg, int fd, const struct err *e), void *arg)
{
	struct sandbox *s = sandbox_find(rt, sandbox_id);
	struct port *p = NULL;

	if (!s)
		return -ENOENT;
	if (s->creating || s->rec.stopped)
		return -ESTALE;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct port){.job = {.work = sockets_work, .done = sockets_done},
		.rt = rt,
		.fd = {-1, -1},
		.ns = -1,
		.number = port,
		.done = done,
		.arg = arg};
	if (s->ns[NS_NET] >= 0)
		p->ns = fcntl(s->ns[NS_NET], F_DUPFD_CLOEXEC, 3);
	if ((s->ns[NS_NET] >= 0 && p->ns < 0) || job_start(rt, &p->job)) {
		port_free(p);
		return -ENOMEM;
	}
	return 0;
}
