/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The fence around unprivileged roles, from within: what a role needs goes on working, and execve, a
 * packet socket, a foreign path, a foreign port, a new process do not. Each case is a child of its own. */
#include "init/sandbox.c"

#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const uint16_t ports[] = {18443};
static const int more[] = {SYS_bind};

/* inside: enters the fence in a child and runs fn there; returns the wait status. */
static int
inside(int (*fn)(void))
{
	const char *const write_paths[] = {TEST_TMP, NULL};
	const char *const read_paths[] = {"/proc/self/status", NULL};
	struct sandbox s = {.uid = 900,
		.gid = 900,
		.write_paths = write_paths,
		.read_paths = read_paths,
		.bind_ports = ports,
		.n_bind_ports = ARRAY_LEN(ports),
		.inet_sockets = true,
		.more_calls = more,
		.n_more_calls = ARRAY_LEN(more)};
	int status = -1;
	CHECK_INT(chmod(TEST_TMP, 0777), 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct err e = {0};
		if (chdir(TEST_TMP) < 0 || sandbox_enter(&s, &e) < 0) {
			printf("     %s\n", e.msg);
			_exit(99);
		}
		_exit(fn());
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	return status;
}

static void
wants_root(void)
{
#ifdef KEELSON_ASAN
	SKIP("sanitizers make system calls of their own");
#endif
	if (geteuid() != 0)
		SKIP("needs root to give root up");
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1u) < 0)
		SKIP("this kernel has no Landlock");
}

static void *
thread_main(void *arg)
{
	*(int *)arg = 1;
	return NULL;
}

static int
work(void)
{
	int done = 0, fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	pthread_t t;
	if (fd < 0 || write(fd, "x", 1) != 1 || fsync(fd) < 0 || rename("file", "file2") < 0)
		return 1;
	if (mkdir("dir", 0700) < 0 || rmdir("dir") < 0 || unlink("file2") < 0)
		return 2;
	if (pthread_create(&t, NULL, thread_main, &done) != 0 || pthread_join(t, NULL) != 0 ||
		!done)
		return 3;
	if (getuid() != 900 || getegid() != 900)
		return 4;
	int s = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return s < 0 ? 5 : 0;
}

static int
open_foreign(void)
{
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	return fd < 0 && errno == EACCES ? 0 : 1;
}

static int
write_foreign(void)
{
	int fd = open("/tmp/keelson-foreign", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	return fd < 0 && errno == EACCES ? 0 : 1;
}

static int
bind_port(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return s >= 0 && bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 ? 0 : errno;
}

static int
bind_foreign(void)
{
	int rc = bind_port(18444);
	return rc == EACCES ? 0 : rc == 0 ? 1 : 2;
}

static int
bind_own(void)
{
	return bind_port(ports[0]);
}

static int
run_program(void)
{
	char *const argv[] = {(char *)(uintptr_t) "true", NULL};
	execve("/bin/true", argv, argv + 1);
	return 1;
}

static int
packet_socket(void)
{
	(void)!socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	return 1;
}

static int
make_process(void)
{
	return (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) < 0 ? 1 : 2;
}

static int
mount_something(void)
{
	(void)!syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, NULL);
	return 1;
}

TEST(a_role_works_inside)
{
	wants_root();
	int status = inside(work);
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 0);
}

TEST(foreign_paths_and_ports_are_refused)
{
	int (*const cases[])(void) = {open_foreign, write_foreign, bind_own};
	wants_root();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int status = inside(cases[i]);
		CHECK(WIFEXITED(status));
		CHECK_INT(WEXITSTATUS(status), 0);
	}
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1u) < 4)
		SKIP("this kernel's Landlock knows no ports");
	int status = inside(bind_foreign);
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 0);
}

TEST(forbidden_calls_kill)
{
	int (*const cases[])(void) = {run_program, packet_socket, make_process, mount_something};
	wants_root();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int status = inside(cases[i]);
		CHECK(WIFSIGNALED(status));
		CHECK_INT(WTERMSIG(status), SIGSYS);
	}
}
