/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * init_client.c: the role's end of the socket to PID 1; see init_proto.h. One message a packet.
 * Invariants: a packet whose length does not fit its header is dropped, and descriptors that came with
 * anything but INIT_FD_ITEM are closed. Must not: close the socket (it is the process's), or wait for an
 * answer anywhere but in init_fd_list. Source: unix(7), architecture "Processes". */
#include "base/init_proto.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKETS_PER_TURN 64
#define SOCKETS_WAIT_MS 2000
#define SEND_WAIT_MS 1000 /* PID 1 always reads; longer than this it is not there */

struct init_client {
	struct loop_fd watch;
	int fd;
	void (*on_exit)(void *arg, int pid, int status, int64_t at_ns);
	void *arg;
};

/* What init_fd_list waits for. */
struct lister {
	void (*fn)(void *arg, struct str name, int fd);
	void *arg;
	bool end;
};

struct packet {
	struct init_msg msg;
	char name[INIT_NAME_MAX + 1];
};

/* receive: one packet; the first descriptor in *ret_fd or -1. 1, 0 = nothing there, or negative errno. */
static int
receive(int fd, struct packet *p, int *ret_fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec iov = {p, sizeof(*p)};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	int got = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int one = -1;
			memcpy(&one, CMSG_DATA(c) + i * sizeof(int), sizeof(one));
			if (got < 0)
				got = one;
			else
				close(one);
		}
	}
	bool whole = (size_t)n >= sizeof(p->msg) && !(m.msg_flags & MSG_TRUNC) &&
		p->msg.name_len <= INIT_NAME_MAX && (size_t)n == sizeof(p->msg) + p->msg.name_len;
	if (!whole)
		p->msg.op = 0; /* matches no operation */
	*ret_fd = got;
	return 1;
}

static void
dispatch(struct init_client *c, const struct packet *p, int fd, struct lister *list)
{
	if (p->msg.op == INIT_EXIT)
		c->on_exit(c->arg, p->msg.pid, p->msg.status, p->msg.at_ns);
	if (p->msg.op == INIT_FD_END && list)
		list->end = true;
	if (p->msg.op == INIT_FD_ITEM && list && fd >= 0)
		list->fn(list->arg, str_from(p->name, p->msg.name_len), fd);
	else
		cleanup_fd(&fd);
}

static void
on_readable(struct loop_fd *w, uint32_t revents)
{
	(void)revents;
	struct init_client *c = w->arg;
	for (int i = 0; i < PACKETS_PER_TURN && w->loop; i++) {
		struct packet p;
		int fd = -1;
		int rc = receive(c->fd, &p, &fd);
		if (rc < 0)
			loop_fd_del(w); /* PID 1 is gone; whoever sends next is told so */
		if (rc <= 0)
			return;
		dispatch(c, &p, fd, NULL);
	}
}

int
init_client_new(struct loop *l, int fd,
	void (*on_exit)(void *arg, int pid, int status, int64_t at_ns), void *arg,
	struct init_client **ret)
{
	int type = 0;
	socklen_t n = sizeof(type);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0 || type != SOCK_SEQPACKET)
		return -ENOTSOCK;
	struct init_client *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->fd = fd;
	c->on_exit = on_exit;
	c->arg = arg;
	c->watch = (struct loop_fd){
		.fd = fd, .events = EPOLLIN, .prio = LOOP_PRIO_CHILD, .fn = on_readable, .arg = c};
	int rc = loop_fd_add(l, &c->watch);
	if (rc < 0) {
		free(c);
		return rc;
	}
	*ret = c;
	return 0;
}

void
init_client_free(struct init_client *c)
{
	if (!c)
		return;
	loop_fd_del(&c->watch);
	free(c);
}

/* send_msg: one packet with an optional descriptor. A full socket is waited for, but not for ever. */
static int
send_msg(struct init_client *c, struct init_msg msg, struct str name, int fd)
{
	if (name.n > INIT_NAME_MAX)
		return -ENAMETOOLONG;
	msg.name_len = (uint32_t)name.n;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov[2] = {{&msg, sizeof(msg)}, {(void *)(uintptr_t)name.p, name.n}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = name.n ? 2 : 1};
	if (fd >= 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	}
	for (bool waited = false;;) {
		if (sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || waited)
			return -errno;
		struct pollfd p = {.fd = c->fd, .events = POLLOUT};
		poll(&p, 1, SEND_WAIT_MS);
		waited = true;
	}
}

int
init_fd_put(struct init_client *c, struct str name, int fd)
{
	if (fd < 0)
		return -EBADF;
	return send_msg(c, (struct init_msg){.op = INIT_FD_PUT}, name, fd);
}

int
init_fd_del(struct init_client *c, struct str name)
{
	return send_msg(c, (struct init_msg){.op = INIT_FD_DEL}, name, -1);
}

int
init_fd_list(struct init_client *c, struct str prefix, int timeout_ms,
	void (*fn)(void *arg, struct str name, int fd), void *arg)
{
	struct lister list = {.fn = fn, .arg = arg};
	int rc = send_msg(c, (struct init_msg){.op = INIT_FD_LIST}, prefix, -1);
	int64_t deadline_ns = clock_mono_ns() + timeout_ms * NS_PER_MS;
	while (rc >= 0 && !list.end) {
		int64_t left_ns = deadline_ns - clock_mono_ns();
		struct pollfd p = {.fd = c->fd, .events = POLLIN};
		if (left_ns <= 0)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)(left_ns / NS_PER_MS) + 1) <= 0)
			continue;
		struct packet packet;
		int fd = -1;
		rc = receive(c->fd, &packet, &fd);
		if (rc > 0)
			dispatch(c, &packet, fd, &list);
	}
	return rc < 0 ? rc : 0;
}

struct sockets {
	struct init_client *c;
	struct init_socket *s;
	size_t n;
};

static void
on_socket(void *arg, struct str name, int fd)
{
	struct sockets *all = arg;
	for (size_t i = 0; i < all->n; i++)
		if (all->s[i].fd < 0 && str_eq_c(name, all->s[i].name)) {
			all->s[i].fd = fd;
			return;
		}
	close(fd);
	init_fd_del(all->c, name);
}

int
init_sockets(struct init_client *c, struct init_socket *s, size_t n)
{
	struct sockets all = {c, s, n};
	for (size_t i = 0; i < n; i++)
		s[i].fd = -1;
	int rc = init_fd_list(c, STR(INIT_LISTEN), SOCKETS_WAIT_MS, on_socket, &all);
	for (size_t i = 0; rc < 0 && i < n; i++) {
		cleanup_fd(&s[i].fd);
		s[i].fd = -1;
	}
	return rc;
}

int
init_exit_query(struct init_client *c, int pid)
{
	return send_msg(c, (struct init_msg){.op = INIT_EXIT_QUERY, .pid = pid}, STR_NONE, -1);
}

int
init_exit_forget(struct init_client *c, int pid)
{
	return send_msg(c, (struct init_msg){.op = INIT_EXIT_FORGET, .pid = pid}, STR_NONE, -1);
}

int
init_ready(struct init_client *c)
{
	return send_msg(c, (struct init_msg){.op = INIT_READY}, STR_NONE, -1);
}

int
init_power(struct init_client *c, bool off)
{
	return send_msg(c, (struct init_msg){.op = INIT_POWER, .value = off}, STR_NONE, -1);
}
