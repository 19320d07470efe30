/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * keeper_fuzz: any datagrams from a role to PID 1, the only outside input that PID 1 reads. The input is a
 * row of [length, with a descriptor?, bytes]; what PID 1 has for the role is sent back between them. Holds:
 * a descriptor that comes is kept or closed, never lost; nothing is done that the role may not ask. */
#include "init/keeper.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAY                                                                                        \
	(1u << INIT_FD_PUT | 1u << INIT_FD_DEL | 1u << INIT_FD_LIST | 1u << INIT_EXIT_QUERY |      \
		1u << INIT_EXIT_FORGET | 1u << INIT_READY)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
on_ready(void *arg, unsigned role)
{
	(void)arg;
	BUG_ON(role != 1);
}

static void
on_power(void *arg, unsigned role, uint32_t value)
{
	(void)arg, (void)role, (void)value;
	BUG_ON(true);
}

static void
message_put(int fd, struct str bytes, int passed)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)bytes.p, bytes.n};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};

	if (passed >= 0) {
		h.msg_control = control.space;
		h.msg_controllen = sizeof(control.space);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &passed, sizeof(passed));
	}
	BUG_ON(sendmsg(fd, &h, MSG_DONTWAIT) != (ssize_t)bytes.n);
}

/* answers_take: what PID 1 sent, so that its socket does not fill; the descriptors among it are closed. */
static void
answers_take(int fd)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	char bytes[sizeof(struct init_msg) + INIT_NAME_MAX];
	struct iovec iov = {bytes, sizeof(bytes)};

	for (;;) {
		struct msghdr h = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control.space,
			.msg_controllen = sizeof(control.space)};
		if (recvmsg(fd, &h, MSG_DONTWAIT) <= 0)
			return;
		struct cmsghdr *c = CMSG_FIRSTHDR(&h);
		int got = -1;
		if (c)
			memcpy(&got, CMSG_DATA(c), sizeof(got));
		cleanup_fd(&got);
	}
}

static size_t
lowest_free(void)
{
	int fd = dup(STDIN_FILENO);
	BUG_ON(fd < 0);
	close(fd);
	return (size_t)fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct keeper k;
	static bool made;
	struct reader r = {data, size, false};
	int pair[2];

	if (!made) {
		keeper_init(&k);
		k.on_ready = on_ready;
		k.on_power = on_power;
		made = true;
	}
	size_t before = lowest_free();
	BUG_ON(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0);
	keeper_connect(&k, 1, pair[0], true, MAY);
	keeper_exited(&k, 4000001, 256, 5);
	for (int i = 0; i < 64 && r.n > 2; i++) {
		uint8_t n = reader_u8(&r), with = reader_u8(&r);
		struct str bytes = reader_bytes(&r, n < r.n ? n : r.n);
		if (bytes.n == 0)
			continue; /* an empty datagram is the end of the connection */
		message_put(pair[1], bytes, with & 1 ? STDIN_FILENO : -1);
		int rc = keeper_receive(&k, 1);
		BUG_ON(rc == 0 || rc == -EPIPE);
		keeper_flush(&k, 1);
		answers_take(pair[1]);
		BUG_ON(k.n_fds > 64);
		if (rc < 0 && rc != -ENFILE)
			break; /* the role is ended */
	}
	/* the next process of the role forgets it all */
	struct init_msg all = {.op = INIT_FD_DEL, .name_len = 1};
	char text[sizeof(all) + 1];
	memcpy(text, &all, sizeof(all));
	text[sizeof(all)] = '*';
	message_put(pair[1], str_from(text, sizeof(text)), -1);
	BUG_ON(keeper_receive(&k, 1) != 1 || k.n_fds != 0);
	keeper_disconnect(&k, 1);
	close(pair[0]);
	close(pair[1]);
	BUG_ON(lowest_free() != before);
	return 0;
}
