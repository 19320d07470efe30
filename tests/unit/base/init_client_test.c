/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 *  init_client_test: the role's end against a socket that plays PID 1. */
#include "tests/unit/test.h"

#include "base/init_client.c"

#include <fcntl.h>

static int exits, last_status;

static void
on_exit_of(void *arg, int pid, int status, int64_t at_ns)
{
	(void)arg;
	CHECK_INT(at_ns, 99);
	exits += pid;
	last_status = status;
}

static void
answer(int fd, struct init_msg m, const char *name, int pass)
{
	struct packet p = {.msg = m};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = {0};
	struct iovec iov = {&p, sizeof(p.msg) + strlen(name)};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
	memcpy(p.name, name, strlen(name));
	if (pass >= 0) {
		int two[2] = {pass, pass};
		h.msg_control = control.bytes;
		h.msg_controllen = sizeof(control.bytes);
		CMSG_FIRSTHDR(&h)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&h)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&h)->cmsg_len = CMSG_LEN(sizeof(two));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&h)), two, sizeof(two));
	}
	CHECK(sendmsg(fd, &h, 0) > 0);
}

static int listed;

static void
on_item(void *arg, struct str name, int fd)
{
	(void)arg;
	CHECK_STR(name, "log/1");
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	listed++;
}

static int
count_fds(void)
{
	int n = 0;
	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

TEST(only_a_seqpacket_socket_will_do)
{
	struct loop *l = loop_new(NULL, "t");
	struct init_client *c = NULL;
	int s[2];
	CHECK_INT(init_client_new(l, 0, on_exit_of, NULL, &c), -ENOTSOCK);
	CHECK_INT(init_client_new(l, 999, on_exit_of, NULL, &c), -ENOTSOCK);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK_INT(init_client_new(l, s[0], on_exit_of, NULL, &c), -ENOTSOCK);
	CHECK(c == NULL);
	close(s[0]);
	close(s[1]);
	loop_free(l);
}

TEST(messages_both_ways)
{
	struct loop *l = loop_new(NULL, "t");
	struct init_client *c = NULL;
	int s[2];
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s) == 0);
	CHECK_INT(init_client_new(l, s[0], on_exit_of, NULL, &c), 0);
	int before = count_fds();

	CHECK_INT(init_fd_put(c, STR("log/1"), s[1]), 0);
	struct packet p;
	int fd = -1;
	CHECK_INT(receive(s[1], &p, &fd), 1);
	CHECK_INT(p.msg.op, INIT_FD_PUT);
	CHECK_STR(str_from(p.name, p.msg.name_len), "log/1");
	CHECK(fd >= 0);
	close(fd);
	CHECK_INT(init_fd_put(c, STR("x"), -1), -EBADF);
	char longname[INIT_NAME_MAX + 1];
	memset(longname, 'x', sizeof(longname));
	CHECK_INT(init_fd_del(c, str_from(longname, sizeof(longname))), -ENAMETOOLONG);
	CHECK_INT(init_fd_del(c, STR("log/*")), 0);
	CHECK_INT(init_exit_query(c, 7), 0);
	CHECK_INT(init_exit_forget(c, 8), 0);
	CHECK_INT(init_ready(c), 0);
	CHECK_INT(init_power(c, true), 0);
	static const struct init_msg want[] = {{.op = INIT_FD_DEL, .name_len = 5},
		{.op = INIT_EXIT_QUERY, .pid = 7}, {.op = INIT_EXIT_FORGET, .pid = 8},
		{.op = INIT_READY}, {.op = INIT_POWER, .value = 1}};
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		CHECK_INT(receive(s[1], &p, &fd), 1);
		CHECK(memcmp(&p.msg, &want[i], sizeof(want[i])) == 0);
	}

	answer(s[1], (struct init_msg){.op = INIT_EXIT, .pid = 5, .status = 256, .at_ns = 99}, "",
		-1);
	CHECK_INT(loop_turn(l, NS_PER_SEC), 1);
	CHECK_INT(exits, 5);
	CHECK_INT(last_status, 256);

	answer(s[1], (struct init_msg){.op = INIT_EXIT, .pid = 6, .at_ns = 99}, "", -1);
	answer(s[1], (struct init_msg){.op = INIT_FD_ITEM, .name_len = 5}, "log/1", s[1]);
	answer(s[1], (struct init_msg){.op = INIT_FD_END}, "", -1);
	CHECK_INT(init_fd_list(c, STR_NONE, 1000, on_item, NULL), 0);
	CHECK_INT(listed, 1);
	CHECK_INT(exits, 11);
	CHECK_INT(init_fd_list(c, STR_NONE, 20, on_item, NULL), -ETIMEDOUT);

	/* Lengths that lie, descriptors nobody asked for. */
	answer(s[1], (struct init_msg){.op = INIT_EXIT, .pid = 50, .at_ns = 99, .name_len = 3}, "",
		s[1]);
	answer(s[1], (struct init_msg){.op = INIT_EXIT, .pid = 50, .at_ns = 99}, "abc", -1);
	answer(s[1], (struct init_msg){.op = INIT_FD_ITEM, .name_len = 5}, "log/1", s[1]);
	CHECK_INT(send(s[1], "x", 1, 0), 1);
	CHECK_INT(loop_turn(l, NS_PER_SEC), 1);
	CHECK_INT(exits, 11);
	CHECK_INT(count_fds(), before);

	close(s[1]);
	CHECK_INT(loop_turn(l, NS_PER_SEC), 1);
	CHECK_INT(init_ready(c), -EPIPE);
	CHECK_INT(loop_turn(l, 0), 0);
	init_client_free(c);
	loop_free(l);
	close(s[0]);
}

/* Sockets are found by name; one that nobody knows any more goes back, so that nobody waits on it for ever. */
TEST(kept_listeners_come_to_their_rows)
{
	struct loop *l = loop_new(NULL, "t");
	struct init_client *c = NULL;
	struct init_socket rows[3] = {
		{INIT_LISTEN "a", 0}, {INIT_LISTEN "b", 0}, {INIT_LISTEN "c", 0}};
	struct packet p;
	int s[2], fd = -1;
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s) == 0);
	CHECK_INT(init_client_new(l, s[0], on_exit_of, NULL, &c), 0);
	int before = count_fds();
	static const char *const names[] = {INIT_LISTEN "c", INIT_LISTEN "old", INIT_LISTEN "a"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		answer(s[1],
			(struct init_msg){
				.op = INIT_FD_ITEM, .name_len = (uint32_t)strlen(names[i])},
			names[i], s[1]);
	answer(s[1], (struct init_msg){.op = INIT_FD_END}, "", -1);
	CHECK_INT(init_sockets(c, rows, ARRAY_LEN(rows)), 0);
	CHECK(rows[0].fd >= 0 && rows[2].fd >= 0);
	CHECK_INT(rows[1].fd, -1);
	CHECK_INT(count_fds(), before + 2);
	CHECK_INT(receive(s[1], &p, &fd), 1);
	CHECK_INT(p.msg.op, INIT_FD_LIST);
	CHECK_STR(str_from(p.name, p.msg.name_len), INIT_LISTEN);
	CHECK_INT(receive(s[1], &p, &fd), 1);
	CHECK_INT(p.msg.op, INIT_FD_DEL);
	CHECK_STR(str_from(p.name, p.msg.name_len), INIT_LISTEN "old");
	close(rows[0].fd);
	close(rows[2].fd);

	answer(s[1], (struct init_msg){.op = INIT_FD_ITEM, .name_len = 8}, INIT_LISTEN "a", s[1]);
	close(s[1]);
	CHECK(init_sockets(c, rows, ARRAY_LEN(rows)) < 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_INT(rows[i].fd, -1);
	init_client_free(c);
	loop_free(l);
	close(s[0]);
}
