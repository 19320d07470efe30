/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * What PID 1 keeps: descriptors and exit records outlive a role's process; a role that breaks the
 * protocol is refused; a slow role is never waited for. */
#include "init/keeper.c"

#include "tests/unit/test.h"

#include <sys/socket.h>

#define ALL_OPS 0xffffffffu

static struct keeper k;
static int theirs;
static unsigned readies;

static void
count_ready(void *arg, unsigned role)
{
	(void)arg, (void)role;
	readies++;
}

static void
no_power(void *arg, unsigned role, uint32_t value)
{
	(void)arg, (void)role, (void)value;
}

/* A fresh process of role 1: its end is `theirs`. */
static void
reconnect(bool wants_exits, uint32_t may)
{
	int pair[2], old = k.roles[1].fd;
	CHECK_INT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	if (old >= 0) {
		close(old);
		close(theirs);
	}
	theirs = pair[1];
	keeper_connect(&k, 1, pair[0], wants_exits, may);
}

static void
begin(bool wants_exits, uint32_t may)
{
	keeper_init(&k);
	k.on_ready = count_ready;
	k.on_power = no_power;
	readies = 0;
	reconnect(wants_exits, may);
}

static void
end(void)
{
	close(k.roles[1].fd);
	close(theirs);
	keeper_release(&k);
}

static void
say(uint32_t op, int pid, const char *name, int fd)
{
	static struct keeper client;
	client.roles[0].fd = theirs;
	struct init_msg m = {.op = op, .pid = pid, .name_len = (uint32_t)strlen(name)};
	CHECK_INT(message_send(&client, 0, &m, str_c(name), fd), 0);
}

/* The next message to the role; its op, or 0 when there is none. */
static uint32_t
hear(struct init_msg *m, char *name, int *fd)
{
	memset(name, 0, INIT_NAME_MAX + 1);
	ssize_t n = message_take(theirs, m, name, fd);
	return n > 0 ? m->op : 0;
}

TEST(descriptors_outlive_the_process)
{
	struct init_msg m;
	char name[INIT_NAME_MAX + 1];
	int pipes[2], fd, seen = 0;
	begin(false, ALL_OPS);
	CHECK_INT(pipe2(pipes, O_CLOEXEC), 0);
	say(INIT_FD_PUT, 0, "log/a", pipes[0]);
	say(INIT_FD_PUT, 0, "log/b", pipes[0]);
	say(INIT_FD_PUT, 0, "ns/a", pipes[0]);
	say(INIT_FD_PUT, 0, "log/a", pipes[1]); /* replaces */
	for (int i = 0; i < 4; i++)
		CHECK_INT(keeper_receive(&k, 1), 1);
	CHECK_INT(keeper_receive(&k, 1), 0);
	CHECK_INT(k.n_fds, 3);
	close(pipes[0]);
	close(pipes[1]);

	reconnect(false, ALL_OPS);
	say(INIT_FD_LIST, 0, "", -1);
	CHECK_INT(keeper_receive(&k, 1), 1);
	CHECK(!keeper_flush(&k, 1));
	while (hear(&m, name, &fd) == INIT_FD_ITEM) {
		seen++;
		CHECK(fd >= 0);
		if (!strcmp(name, "log/a"))
			CHECK_INT(write(fd, "x", 1), 1); /* the writing end took the place */
		close(fd);
	}
	CHECK_INT(m.op, INIT_FD_END);
	CHECK_INT(seen, 3);

	say(INIT_FD_DEL, 0, "log/*", -1);
	CHECK_INT(keeper_receive(&k, 1), 1);
	CHECK_INT(k.n_fds, 1);
	say(INIT_FD_DEL, 0, "ns/a", -1);
	CHECK_INT(keeper_receive(&k, 1), 1);
	CHECK_INT(k.n_fds, 0);
	end();
}

TEST(a_list_by_prefix_and_what_init_itself_lets_go)
{
	struct init_msg m;
	char name[INIT_NAME_MAX + 1];
	int fd, null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	static const char *const names[] = {"listen/a", "log/a", "listen/b", "list"};
	begin(false, ALL_OPS);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		say(INIT_FD_PUT, 0, names[i], null);
		CHECK_INT(keeper_receive(&k, 1), 1);
	}
	close(null);
	say(INIT_FD_LIST, 0, "listen/", -1);
	CHECK_INT(keeper_receive(&k, 1), 1);
	CHECK(!keeper_flush(&k, 1));
	for (size_t i = 0; i < ARRAY_LEN(names); i += 2) {
		CHECK_INT(hear(&m, name, &fd), INIT_FD_ITEM);
		CHECK_STR(str_c(name), names[i]);
		close(fd);
	}
	CHECK_INT(hear(&m, name, &fd), INIT_FD_END);
	keeper_forget(&k, 2, STR("listen/*")); /* another role's */
	CHECK_INT(k.n_fds, 4);
	keeper_forget(&k, 1, STR("listen/*"));
	CHECK_INT(k.n_fds, 2);
	end();
}

TEST(long_list_waits_for_a_slow_role)
{
	struct init_msg m;
	char name[INIT_NAME_MAX + 1];
	int fd, seen = 0, null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	bool more;
	begin(false, ALL_OPS);
	for (int i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "fd/%d", i);
		say(INIT_FD_PUT, 0, name, null);
		CHECK_INT(keeper_receive(&k, 1), 1);
	}
	close(null);
	say(INIT_FD_LIST, 0, "", -1);
	CHECK_INT(keeper_receive(&k, 1), 1);
	CHECK(keeper_flush(&k, 1)); /* did not fit into the socket at once */
	do {
		more = keeper_flush(&k, 1);
		while (hear(&m, name, &fd) == INIT_FD_ITEM) {
			seen++;
			close(fd);
		}
	} while (more);
	CHECK_INT(m.op, INIT_FD_END);
	CHECK_INT(seen, 600);
	end();
}

TEST(exits_are_told_once_and_again_when_asked)
{
	struct init_msg m;
	char name[INIT_NAME_MAX + 1];
	int fd;
	begin(true, ALL_OPS);
	keeper_exited(&k, 999999, 0x700, 42);
	CHECK(!keeper_flush(&k, 1));
	CHECK_INT(hear(&m, name, &fd), INIT_EXIT);
	CHECK_INT(m.pid, 999999);
	CHECK_INT(WEXITSTATUS(m.status), 7);
	CHECK_INT(m.at_ns, 42);
	CHECK_INT(hear(&m, name, &fd), 0);

	reconnect(true, ALL_OPS);
	say(INIT_EXIT_QUERY, 999999, "", -1);
	CHECK_INT(keeper_receive(&k, 1), 1);
	keeper_flush(&k, 1);
	CHECK_INT(hear(&m, name, &fd), INIT_EXIT);

	say(INIT_EXIT_FORGET, 999999, "", -1);
	say(INIT_EXIT_QUERY, 999999, "", -1);
	CHECK_INT(keeper_receive(&k, 1), 1);
	CHECK_INT(keeper_receive(&k, 1), 1);
	keeper_flush(&k, 1);
	CHECK_INT(hear(&m, name, &fd), 0);
	end();
}

TEST(record_of_an_earlier_process_is_not_told_for_a_living_one)
{
	struct init_msg m;
	char name[INIT_NAME_MAX + 1];
	int fd, hold[2];
	begin(true, ALL_OPS);
	CHECK_INT(pipe2(hold, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(hold[1]);
		(void)!read(hold[0], name, 1); /* until the other end closes */
		_exit(0);
	}
	keeper_exited(&k, pid, 0, 1);
	keeper_flush(&k, 1);
	CHECK_INT(hear(&m, name, &fd), INIT_EXIT);
	say(INIT_EXIT_QUERY, pid, "", -1);
	CHECK_INT(keeper_receive(&k, 1), 1);
	keeper_flush(&k, 1);
	CHECK_INT(hear(&m, name, &fd), 0);
	close(hold[0]);
	close(hold[1]);
	waitpid(pid, NULL, 0);
	end();
}

TEST(full_table_drops_the_oldest_record)
{
	begin(false, ALL_OPS);
	for (int i = 1; i <= KEEPER_EXITS + 5; i++)
		keeper_exited(&k, 1000000 + i, 0, i);
	CHECK(exit_find(&k, 1000005) == NULL);
	CHECK(exit_find(&k, 1000006) != NULL);
	CHECK(exit_find(&k, 1000000 + KEEPER_EXITS + 5) != NULL);
	end();
}

TEST(broken_messages_are_refused)
{
	struct init_msg m = {.op = INIT_READY};
	char big[sizeof(m) + INIT_NAME_MAX + 1] = {0};
	begin(false, 1u << INIT_READY);
	CHECK_INT(send(theirs, &m, sizeof(m), 0), sizeof(m));
	CHECK_INT(keeper_receive(&k, 1), 1);
	CHECK_INT(readies, 1);
	CHECK_INT(send(theirs, &m, sizeof(m) - 1, 0), sizeof(m) - 1);
	CHECK_INT(keeper_receive(&k, 1), -EPROTO);
	m.name_len = 5;
	CHECK_INT(send(theirs, &m, sizeof(m), 0), sizeof(m));
	CHECK_INT(keeper_receive(&k, 1), -EPROTO);
	CHECK_INT(send(theirs, big, sizeof(big), 0), sizeof(big));
	CHECK_INT(keeper_receive(&k, 1), -EPROTO);
	m = (struct init_msg){.op = INIT__COUNT};
	CHECK_INT(send(theirs, &m, sizeof(m), 0), sizeof(m));
	CHECK_INT(keeper_receive(&k, 1), -EPROTO);
	say(INIT_POWER, 0, "", -1);
	CHECK_INT(keeper_receive(&k, 1), -EPERM);
	say(INIT_FD_PUT, 0, "x", -1);
	CHECK_INT(keeper_receive(&k, 1), -EPERM);
	close(theirs);
	CHECK_INT(keeper_receive(&k, 1), -EPIPE);
	theirs = open("/dev/null", O_RDONLY | O_CLOEXEC);
	end();
}

TEST(put_without_a_descriptor_is_refused)
{
	begin(false, ALL_OPS);
	say(INIT_FD_PUT, 0, "x", -1);
	CHECK_INT(keeper_receive(&k, 1), -EPROTO);
	say(INIT_FD_PUT, 0, "x*", 0);
	CHECK_INT(keeper_receive(&k, 1), -EPROTO);
	CHECK_INT(k.n_fds, 0);
	end();
}
