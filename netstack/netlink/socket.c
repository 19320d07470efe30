/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Netlink sockets: one batch out and its answers in, dumps, notifications on a loop. The kernel carries
 * a request out inside sendmsg and queues the answers before it returns, so reading never waits: when
 * the queue is empty, all has been said. Must not: block, leave an answer in the queue.
 * Source: netlink(7); kernel net/netlink/af_netlink.c (synchronous input), Documentation/userspace-api/
 * netlink/intro.rst (extended acknowledgements, dump consistency). */
#include "netstack/netlink/netlink.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>

enum {
	ANSWER_MAX = 4096,      /* acknowledgements: header, code, a line of text */
	DUMP_MAX = 64 * 1024,   /* the kernel fills at most 32 KB a datagram */
	SEND_BUFFER = 64 << 20, /* a whole rule set in one sendmsg */
	RECV_BUFFER = 4 << 20,
	MONITOR_PER_TURN = 64,
};

static int
socket_open(int protocol, int extra_flags)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | extra_flags, protocol);
	struct sockaddr_nl self = {.nl_family = AF_NETLINK};
	int code = 0;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&self, sizeof(self)) < 0) {
		code = -errno;
		close(fd);
		return code;
	}
	return fd;
}

int
nl_open(struct nl_sock *s, int protocol)
{
	int fd = socket_open(protocol, SOCK_NONBLOCK), one = 1, size = SEND_BUFFER;

	if (fd < 0)
		return fd;
	/* each of these only makes answers better or batches larger: older kernels go without */
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	size = RECV_BUFFER;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	*s = (struct nl_sock){.fd = fd, .seq = 1};
	return 0;
}

void
nl_close(struct nl_sock *s)
{
	cleanup_fd(&s->fd);
	s->fd = -1;
}

void
cleanup_nl_sock(struct nl_sock *s)
{
	if (s->fd > 0)
		nl_close(s);
}

/* The code and the kernel's words of an NLMSG_ERROR; code 0 = an acknowledgement. */
static int
error_parse(const struct nl_msg *m, struct str *ret_text)
{
	struct str attrs[NLMSGERR_ATTR_MSG + 1];
	struct nlmsgerr body;
	size_t skip = sizeof(body);

	*ret_text = STR_NONE;
	if (m->payload.n < sizeof(body))
		return -EPROTO;
	memcpy(&body, m->payload.p, sizeof(body));
	if (m->flags & NLM_F_ACK_TLVS) {
		if (!(m->flags & NLM_F_CAPPED) && body.msg.nlmsg_len > sizeof(body.msg))
			skip += NLMSG_ALIGN((size_t)body.msg.nlmsg_len) - sizeof(body.msg);
		nl_attrs(str_sub(m->payload, skip, SIZE_MAX), attrs, ARRAY_LEN(attrs));
		*ret_text = nl_get_cstr(attrs[NLMSGERR_ATTR_MSG]);
	}
	return body.error > 0 ? -EPROTO : body.error;
}

/* Numbers the messages from s->seq on and sends them. Returns the first number. */
static int
batch_send(struct nl_sock *s, struct nl_batch *b, uint32_t *ret_first)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	uint32_t first = s->seq;
	size_t at = 0;

	while (at < b->out.len) {
		struct nlmsghdr h;

		memcpy(&h, b->out.data + at, sizeof(h));
		h.nlmsg_seq = s->seq++;
		memcpy(b->out.data + at, &h, sizeof(h));
		at += NLMSG_ALIGN(h.nlmsg_len);
	}
	*ret_first = first;
	for (;;) {
		ssize_t n = sendto(s->fd, b->out.data, b->out.len, 0, (struct sockaddr *)&kernel,
			sizeof(kernel));

		if (n >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

/* One datagram of the kernel's: its length, 0 when the queue is empty, -errno. */
static ssize_t
receive(int fd, void *p, size_t n)
{
	for (;;) {
		struct iovec iov = {p, n};
		struct sockaddr_nl from = {0};
		struct msghdr mh = {
			.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &iov,
			.msg_iovlen = 1,
		};
		ssize_t got = recvmsg(fd, &mh, MSG_DONTWAIT);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (from.nl_pid != 0)
			continue; /* only the kernel may answer */
		if (mh.msg_flags & MSG_TRUNC)
			return -EMSGSIZE;
		return got;
	}
}

static bool
is_allowed(const struct nl_batch *b, uint32_t index, int code)
{
	for (uint32_t i = 0; i < b->n_allow; i++)
		if (b->allow[i].index == index && b->allow[i].code == code)
			return true;
	return false;
}

struct outcome {
	uint32_t index;
	int code;
	bool answered;
	char text[160];
};

static void
outcome_note(struct outcome *o, const struct nl_batch *b, uint32_t first, const struct nl_msg *m)
{
	struct str text = STR_NONE;
	uint32_t index = m->seq - first;
	int code = 0;

	if (m->type != NLMSG_ERROR || index >= b->n)
		return;
	o->answered = true;
	code = error_parse(m, &text);
	if (code == 0 || o->code != 0 || is_allowed(b, index, code))
		return;
	o->code = code;
	o->index = index;
	str_copy_c(text, o->text, sizeof(o->text));
}

static int
outcome_result(const struct outcome *o, const struct nl_batch *b, struct err *e)
{
	if (o->code == 0)
		return 0;
	return err_errno(e, o->code, "netlink message %u of %u%s%s", o->index + 1, b->n,
		o->text[0] ? ": " : "", o->text);
}

int
nl_commit(struct nl_sock *s, struct nl_batch *b, uint32_t *ret_index, struct err *e)
{
	_Alignas(8) char answer[ANSWER_MAX];
	struct outcome o = {0};
	uint32_t first = 0;
	ssize_t got = 0;
	int code = 0;

	if (nl_batch_seal(b) < 0)
		return err_set(
			e, -ENOMEM, R_UNKNOWN, "netlink batch is too large or out of memory");
	if (b->n == (b->transaction ? 2 : 0))
		return 0;
	code = batch_send(s, b, &first);
	if (code < 0)
		return err_errno(e, code, "sending a netlink batch of %zu bytes", b->out.len);
	while ((got = receive(s->fd, answer, sizeof(answer))) > 0) {
		struct str rest = str_from(answer, (size_t)got);
		struct nl_msg m;

		while (nl_msg_next(&rest, &m))
			outcome_note(&o, b, first, &m);
	}
	if (got < 0)
		return err_errno(e, (int)got, "reading the answers to a netlink batch");
	if (!o.answered)
		return err_set(e, -EPROTO, R_UNKNOWN, "the kernel did not answer a netlink batch");
	if (o.code != 0 && ret_index != NULL)
		*ret_index = o.index;
	return outcome_result(&o, b, e);
}

struct dump {
	struct outcome o;
	uint32_t first;
	bool done, interrupted;
	int stop;
};

static void
dump_datagram(struct dump *d, const struct nl_batch *b, struct str rest,
	int (*fn)(void *arg, const struct nl_msg *m), void *arg)
{
	struct nl_msg m;

	while (nl_msg_next(&rest, &m)) {
		if (m.seq != d->first)
			continue;
		d->interrupted |= (m.flags & NLM_F_DUMP_INTR) != 0;
		if (m.type == NLMSG_DONE) {
			int code = (int)nl_get_u32(str_sub(m.payload, 0, 4));

			d->done = true;
			if (code < 0 && d->o.code == 0)
				d->o.code = code;
		} else if (m.type == NLMSG_ERROR) {
			outcome_note(&d->o, b, d->first, &m);
			d->done = true;
		} else if (m.type >= NLMSG_MIN_TYPE && d->stop == 0) {
			d->stop = fn(arg, &m);
		}
	}
}

int
nl_dump(struct nl_sock *s, struct nl_batch *b, int (*fn)(void *arg, const struct nl_msg *m),
	void *arg, struct err *e)
{
	_cleanup_buf_ struct buf in = BUF_INIT;
	char *p = buf_reserve(&in, DUMP_MAX);
	struct dump d = {0};
	ssize_t got = 0;
	int code = 0;

	BUG_ON(b->n != 1 && !b->out.failed);
	if (p == NULL || b->out.failed)
		return err_set(e, -ENOMEM, R_UNKNOWN, "no memory for a netlink dump");
	code = batch_send(s, b, &d.first);
	if (code < 0)
		return err_errno(e, code, "sending a netlink request");
	/* a dump goes on as it is read; a single answer is there at once, then the queue is empty */
	while (!d.done && (got = receive(s->fd, p, DUMP_MAX)) > 0)
		dump_datagram(&d, b, str_from(p, (size_t)got), fn, arg);
	if (got < 0)
		return err_errno(e, (int)got, "reading a netlink dump");
	code = outcome_result(&d.o, b, e);
	if (code < 0)
		return code;
	if (d.interrupted)
		return err_set(e, -EINTR, R_UNKNOWN, "the netlink dump changed while it was read");
	return d.stop;
}

int
nl_exec_raw(int protocol, const void *msgs, size_t n)
{
	_Alignas(8) char answer[ANSWER_MAX];
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	int fd = socket_open(protocol, 0), code = 0;
	ssize_t got = 0;

	if (fd < 0)
		return fd;
	if (sendto(fd, msgs, n, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		code = -errno;
	while (code == 0 && (got = receive(fd, answer, sizeof(answer))) > 0) {
		struct str rest = str_from(answer, (size_t)got), text = STR_NONE;
		struct nl_msg m;

		while (code == 0 && nl_msg_next(&rest, &m))
			if (m.type == NLMSG_ERROR)
				code = error_parse(&m, &text);
	}
	if (code == 0 && got < 0)
		code = (int)got;
	close(fd);
	return code;
}

/* ---- notifications ---- */

static void
on_monitor(struct loop_fd *w, uint32_t revents)
{
	struct nl_monitor *m = w->arg;
	_Alignas(8) static _Thread_local char in[32 * 1024];

	(void)revents;
	for (int i = 0; i < MONITOR_PER_TURN && m->sock.fd >= 0; i++) {
		ssize_t got = receive(m->sock.fd, in, sizeof(in));
		struct str rest = STR_NONE;
		struct nl_msg msg;

		if (got == 0)
			return;
		if (got < 0) {
			if (got != -ENOBUFS && got != -EMSGSIZE)
				loop_fd_del(w); /* nothing more will come: the owner dumps */
			m->on_lost(m->arg);
			return;
		}
		rest = str_from(in, (size_t)got);
		while (m->sock.fd >= 0 && nl_msg_next(&rest, &msg))
			if (msg.type >= NLMSG_MIN_TYPE)
				m->on_msg(m->arg, &msg);
	}
}

int
nl_monitor_start(
	struct nl_monitor *m, struct loop *l, int protocol, const int *groups, size_t n_groups)
{
	int code = nl_open(&m->sock, protocol);

	if (code < 0)
		return code;
	for (size_t i = 0; i < n_groups && code == 0; i++)
		if (setsockopt(m->sock.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			    sizeof(groups[i])) < 0)
			code = -errno;
	m->watch = (struct loop_fd){
		.fd = m->sock.fd,
		.events = EPOLLIN,
		.prio = LOOP_PRIO_IO,
		.fn = on_monitor,
		.arg = m,
	};
	if (code == 0)
		code = loop_fd_add(l, &m->watch);
	if (code < 0)
		nl_close(&m->sock);
	return code;
}

void
nl_monitor_stop(struct nl_monitor *m)
{
	if (m->sock.fd < 0)
		return;
	if (m->watch.loop != NULL)
		loop_fd_del(&m->watch);
	nl_close(&m->sock);
}
