/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * fence.h: what tests of the roles' fences share: a child that enters one and does something in it, and what none
 * of them may let through. */
#ifndef TEST_FENCE_H
#define TEST_FENCE_H

#include "init/sandbox.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define FENCE_WANTS_ROOT()                                                                         \
	do {                                                                                       \
		if (fence_missing())                                                               \
			SKIP("%s", fence_missing());                                               \
	} while (0)

static inline int
fence_landlock_abi(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1u);
}

/* Why there can be no fence here; NULL: there can. */
static inline const char *
fence_missing(void)
{
#ifdef KEELSON_ASAN
	return "sanitizers make system calls of their own";
#endif
	if (geteuid() != 0)
		return "needs root to give root up";
	return fence_landlock_abi() < 0 ? "this kernel has no Landlock" : NULL;
}

/* fence_run: a child enters the fence and runs fn there; its wait status. */
static inline int
fence_run(int (*enter)(struct err *e), int (*fn)(void))
{
	int status = -1;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct err e = {0};
		if (enter(&e) < 0) {
			printf("     %s\n", e.msg);
			fflush(NULL);
			_exit(99);
		}
		_exit(fn());
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	return status;
}

/* ---- what works: 0 ---- */

static inline int
fence_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static inline int
fence_bind(int type, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int s = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	return s >= 0 && bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 ? 0 : errno;
}

/* fence_status: 0 when a line of /proc/self/status reads "<name>:\t<value>". */
static inline int
fence_status(const char *name, const char *value)
{
	char text[4096], want[64];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return 1;
	text[n] = 0;
	snprintf(want, sizeof(want), "\n%s:\t%s", name, value);
	return strstr(text, want) != NULL ? 0 : 2;
}

/* ---- what kills: each returns only when it was let through ---- */

static inline int
fence_execve(void)
{
	char *const argv[] = {(char *)(uintptr_t) "true", NULL};
	execve("/bin/true", argv, argv + 1);
	return 1;
}

static inline int
fence_packet_socket(void)
{
	(void)!socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	return 1;
}

static inline int
fence_netlink_socket(void)
{
	(void)!socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
	return 1;
}

static inline int
fence_process(void)
{
	return (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) < 0 ? 1 : 2;
}

static inline int
fence_mount(void)
{
	(void)!mount("none", "/tmp", "tmpfs", 0, NULL);
	return 1;
}

static inline int
fence_setuid(void)
{
	(void)!syscall(SYS_setuid, 0);
	return 1;
}

static inline int
fence_ptrace(void)
{
	(void)!syscall(SYS_ptrace, 0, 1, 0, 0);
	return 1;
}

static inline void
fence_check_kills(int (*enter)(struct err *e))
{
	int (*const cases[])(void) = {fence_execve, fence_packet_socket, fence_netlink_socket,
		fence_process, fence_mount, fence_setuid, fence_ptrace};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status = fence_run(enter, cases[i]);
		if (!WIFSIGNALED(status))
			printf("     case %zu was let through\n", i);
		CHECK(WIFSIGNALED(status));
		CHECK_INT(WTERMSIG(status), SIGSYS);
	}
}

static inline void
fence_check_works(int (*enter)(struct err *e), int (*fn)(void))
{
	int status = fence_run(enter, fn);
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 0);
}

#endif
