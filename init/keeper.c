/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * keeper: see keeper.h. Tables are searched from end to end: thousands of rows, a few microseconds, on
 * events that cost a fork or a mount anyway. */
#include "init/keeper.h"

#include "base/hash.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

void
keeper_init(struct keeper *k)
{
	memset(k, 0, sizeof(*k));
	for (size_t i = 0; i < KEEPER_ROLES; i++)
		k->roles[i] = (struct keeper_role){.fd = -1, .list_at = SIZE_MAX};
	for (size_t i = 0; i < KEEPER_FDS; i++)
		k->fds[i].fd = -1;
}

void
keeper_release(struct keeper *k)
{
	for (size_t i = 0; i < KEEPER_FDS; i++)
		cleanup_fd(&k->fds[i].fd);
	keeper_init(k);
}

void
keeper_connect(struct keeper *k, unsigned role, int fd, bool wants_exits, uint32_t may)
{
	BUG_ON(role >= KEEPER_ROLES);
	k->roles[role] = (struct keeper_role){
		.fd = fd, .wants_exits = wants_exits, .may = may, .list_at = SIZE_MAX};
}

void
keeper_disconnect(struct keeper *k, unsigned role)
{
	k->roles[role].fd = -1;
	k->roles[role].list_at = SIZE_MAX;
}

static int
message_send(struct keeper *k, unsigned role, const struct init_msg *m, struct str name, int fd)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov[2] = {
		{(void *)(uintptr_t)m, sizeof(*m)}, {(void *)(uintptr_t)name.p, name.n}};
	struct msghdr h = {.msg_iov = iov, .msg_iovlen = name.n ? 2 : 1};
	if (fd >= 0) {
		h.msg_control = control.space;
		h.msg_controllen = sizeof(control.space);
		struct cmsghdr *c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	ssize_t n = sendmsg(k->roles[role].fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? -errno : 0;
}

static struct str
entry_name(const struct keeper_fd *f)
{
	return str_from(f->name, f->name_len);
}

static struct keeper_fd *
entry_find(struct keeper *k, unsigned role, struct str name)
{
	uint32_t hash = hash_fnv32a(name);
	for (size_t i = 0; i < KEEPER_FDS; i++) {
		struct keeper_fd *f = &k->fds[i];
		if (f->fd >= 0 && f->hash == hash && f->role == role && str_eq(entry_name(f), name))
			return f;
	}
	return NULL;
}

static int
fd_put(struct keeper *k, unsigned role, struct str name, int fd)
{
	struct keeper_fd *f = entry_find(k, role, name);
	for (size_t i = 0; i < KEEPER_FDS && !f; i++)
		if (k->fds[i].fd < 0)
			f = &k->fds[i];
	if (!f)
		return -ENFILE;
	if (f->fd >= 0)
		close(f->fd);
	else
		k->n_fds++;
	f->fd = fd;
	f->hash = hash_fnv32a(name);
	f->role = (uint8_t)role;
	f->name_len = (uint8_t)name.n;
	memcpy(f->name, name.p, name.n);
	return 1;
}

static void
entry_clear(struct keeper *k, struct keeper_fd *f)
{
	close(f->fd);
	f->fd = -1;
	k->n_fds--;
}

void
keeper_forget(struct keeper *k, unsigned role, struct str name)
{
	if (!str_ends(name, STR("*"))) {
		struct keeper_fd *f = entry_find(k, role, name);
		if (f)
			entry_clear(k, f);
		return;
	}
	name.n--;
	for (size_t i = 0; i < KEEPER_FDS; i++) {
		struct keeper_fd *f = &k->fds[i];
		if (f->fd >= 0 && f->role == role && str_starts(entry_name(f), name))
			entry_clear(k, f);
	}
}

static struct keeper_exit *
exit_find(struct keeper *k, int pid)
{
	for (size_t i = 0; i < KEEPER_EXITS; i++)
		if (k->exits[i].pid == pid)
			return &k->exits[i];
	return NULL;
}

/* A record may be of an earlier child whose number was used again: a child that lives has none. */
static bool
child_lives(int pid)
{
	siginfo_t si = {0};
	return waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid == 0;
}

static void
exit_query(struct keeper *k, int pid)
{
	struct keeper_exit *x = pid > 0 ? exit_find(k, pid) : NULL;
	if (!x)
		return;
	if (child_lives(pid))
		x->pid = 0;
	else
		x->told = false;
}

void
keeper_exited(struct keeper *k, int pid, int status, int64_t at_ns)
{
	struct keeper_exit *x = exit_find(k, pid);
	for (size_t i = 0; i < KEEPER_EXITS && !x; i++) {
		struct keeper_exit *free_one = &k->exits[(k->exit_next + i) % KEEPER_EXITS];
		if (free_one->pid == 0)
			x = free_one;
	}
	if (!x)
		x = &k->exits[k->exit_next];
	k->exit_next = (size_t)(x - k->exits + 1) % KEEPER_EXITS;
	*x = (struct keeper_exit){pid, status, at_ns, false};
}

bool
keeper_flush(struct keeper *k, unsigned role)
{
	struct keeper_role *r = &k->roles[role];
	struct str prefix = str_from(r->list, r->list_len);
	if (r->fd < 0)
		return false;
	while (r->list_at < KEEPER_FDS) {
		const struct keeper_fd *f = &k->fds[r->list_at];
		if (f->fd >= 0 && f->role == role && str_starts(entry_name(f), prefix)) {
			struct init_msg m = {.op = INIT_FD_ITEM, .name_len = f->name_len};
			int rc = message_send(k, role, &m, entry_name(f), f->fd);
			if (rc < 0)
				return rc == -EAGAIN;
		}
		r->list_at++;
	}
	if (r->list_at == KEEPER_FDS) {
		struct init_msg m = {.op = INIT_FD_END};
		int rc = message_send(k, role, &m, STR(""), -1);
		if (rc < 0)
			return rc == -EAGAIN;
		r->list_at = SIZE_MAX;
	}
	for (size_t i = 0; r->wants_exits && i < KEEPER_EXITS; i++) {
		struct keeper_exit *x = &k->exits[i];
		if (x->pid == 0 || x->told)
			continue;
		struct init_msg m = {
			.op = INIT_EXIT, .pid = x->pid, .status = x->status, .at_ns = x->at_ns};
		int rc = message_send(k, role, &m, STR(""), -1);
		if (rc < 0)
			return rc == -EAGAIN;
		x->told = true;
	}
	return false;
}

/* message_take: one datagram; its first descriptor to *ret_fd, others are closed. */
static ssize_t
message_take(int sock, struct init_msg *m, char *name, int *ret_fd)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec iov[2] = {{m, sizeof(*m)}, {name, INIT_NAME_MAX}};
	struct msghdr h = {.msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space)};
	ssize_t n = recvmsg(sock, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	*ret_fd = -1;
	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (*ret_fd < 0)
				*ret_fd = fd;
			else
				close(fd);
		}
	}
	if (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		cleanup_fd(ret_fd);
		*ret_fd = -1;
		return -EPROTO;
	}
	return n;
}

int
keeper_receive(struct keeper *k, unsigned role)
{
	struct keeper_role *r = &k->roles[role];
	struct init_msg m = {0};
	char text[INIT_NAME_MAX];
	int got = -1, rc = 1;
	ssize_t n = message_take(r->fd, &m, text, &got);
	_cleanup_fd_ int fd = got;
	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n == 0 || n == -ECONNRESET)
		return -EPIPE;
	if (n < 0)
		return (int)n;
	if ((size_t)n < sizeof(m) || m.name_len != (size_t)n - sizeof(m) || m.op >= INIT__COUNT)
		return -EPROTO;
	if (!(r->may >> m.op & 1))
		return -EPERM;
	struct str name = str_from(text, m.name_len);
	switch ((enum init_op)m.op) {
	case INIT_FD_PUT:
		if (fd < 0 || name.n == 0 || str_ends(name, STR("*")))
			return -EPROTO;
		rc = fd_put(k, role, name, fd);
		if (rc == 1)
			fd = -1;
		break;
	case INIT_FD_DEL:
		keeper_forget(k, role, name);
		break;
	case INIT_FD_LIST:
		r->list_at = 0;
		r->list_len = (uint8_t)name.n;
		memcpy(r->list, name.p, name.n);
		break;
	case INIT_EXIT_QUERY:
		exit_query(k, m.pid);
		break;
	case INIT_EXIT_FORGET: {
		struct keeper_exit *x = m.pid > 0 ? exit_find(k, m.pid) : NULL;
		if (x)
			x->pid = 0;
		break;
	}
	case INIT_READY:
		k->on_ready(k->arg, role);
		break;
	case INIT_POWER:
		k->on_power(k->arg, role, m.value);
		break;
	case INIT_FD_ITEM:
	case INIT_FD_END:
	case INIT_EXIT:
	case INIT__COUNT:
		return -EPROTO;
	}
	return rc;
}
