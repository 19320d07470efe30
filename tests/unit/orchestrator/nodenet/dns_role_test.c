/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The name server's names over its death: what it leaves with PID 1 is what the next process has; of anything else
 * that lies there nothing is taken. */
#include "orchestrator/nodenet/dns_role.c"

#include "tests/unit/test.h"

static struct dns_zone *
zone_new(void)
{
	struct dns_zone_config c = {.domain = "cluster.local"};
	struct dns_zone *z = NULL;
	CHECK_INT(dns_zone_new(&c, &z), 0);
	return z;
}

static struct dns_zone *
zone_with(const char *name)
{
	struct ip_addr ip = ip_v4(0x0a600007);
	struct dns_service s = {
		.ns = STR("shop"), .name = str_c(name), .cluster_ips = &ip, .n_cluster_ips = 1};
	struct dns_zone *z = zone_new();
	CHECK_INT(dns_zone_service_set(z, &s), 0);
	return z;
}

/* what_is_left: a message for PID 1 as it arrives: its descriptor; -1 = there is none. */
static int
what_is_left(int pid1)
{
	struct init_msg m;
	char name[INIT_NAME_MAX];
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} c;
	struct iovec iov[] = {{&m, sizeof(m)}, {name, sizeof(name)}};
	struct msghdr h = {
		.msg_iov = iov, .msg_iovlen = 2, .msg_control = &c, .msg_controllen = sizeof(c)};
	int fd = -1;
	if (recvmsg(pid1, &h, MSG_DONTWAIT) < 0)
		return -1;
	CHECK_INT(m.op, INIT_FD_PUT);
	CHECK(str_eq(str_from(name, m.name_len), STR("listen/names")));
	CHECK_INT(h.msg_controllen, CMSG_SPACE(sizeof(int)));
	memcpy(&fd, CMSG_DATA(&c.h), sizeof(fd));
	return fd;
}

TEST(the_next_process_has_the_names_of_the_one_before)
{
	struct dns_role r = {.zone = zone_with("web"), .leave = {.fn = on_leave}};
	struct dns_zone *next = zone_new();
	int pair[2];
	CHECK_INT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	r.loop = loop_new(NULL, "test");
	r.leave.arg = &r;
	CHECK_INT(init_client_new(r.loop, pair[0], on_exit_told, NULL, &r.init), 0);
	/* the first change is left at once, the next ones together a second later */
	on_change(&r);
	loop_turn(r.loop, 0);
	int fd = what_is_left(pair[1]);
	CHECK(fd >= 0);
	on_change(&r);
	on_change(&r);
	loop_turn(r.loop, 0);
	CHECK(loop_timer_is_set(&r.leave));
	CHECK_INT(what_is_left(pair[1]), -1);
	CHECK_INT(names_read(next, fd), 0);
	CHECK_INT(dns_zone_names(next), dns_zone_names(r.zone));
	CHECK(dns_zone_names(next) > 4);
	close(fd);
	init_client_free(r.init);
	loop_timer_cancel(&r.leave);
	loop_free(r.loop);
	close(pair[0]);
	close(pair[1]);
	dns_zone_free(r.zone);
	dns_zone_free(next);
}

TEST(of_what_is_not_a_zone_nothing_is_taken)
{
	struct dns_zone *z = zone_new();
	size_t own = dns_zone_names(z);
	int pipes[2], fd = memfd_create("test", MFD_CLOEXEC);
	CHECK_INT(names_read(z, fd), -EBADMSG); /* empty */
	CHECK_INT(pwrite(fd, "KDZ1 and then something else", 28, 0), 28);
	CHECK_INT(names_read(z, fd), -EBADMSG);
	CHECK_INT(ftruncate(fd, (off_t)NAMES_MAX + 1), 0);
	CHECK_INT(names_read(z, fd), -EBADMSG);
	CHECK_INT(pipe(pipes), 0);
	CHECK_INT(names_read(z, pipes[0]), -EBADMSG);
	CHECK_INT(dns_zone_names(z), own);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
	dns_zone_free(z);
}
