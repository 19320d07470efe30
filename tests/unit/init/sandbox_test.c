/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The fence around unprivileged roles, from within: what a role needs goes on working, and execve, a
 * packet socket, a foreign path, a foreign port, a new process do not. Each case is a child of its own. */
#include "init/sandbox.c"

#include "tests/unit/init/fence.h"

#include <pthread.h>

static const uint16_t ports[] = {18443};
static const int more[] = {SYS_bind};

static int
enter(struct err *e)
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
	if (chmod(TEST_TMP, 0777) < 0 || chdir(TEST_TMP) < 0)
		return err_errno(e, -errno, "the test's folder");
	return sandbox_enter(&s, e);
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
	return fence_open("/etc/passwd", O_RDONLY) == EACCES ? 0 : 1;
}

static int
write_foreign(void)
{
	return fence_open("/tmp/keelson-foreign", O_WRONLY | O_CREAT) == EACCES ? 0 : 1;
}

static int
bind_foreign(void)
{
	return fence_bind(SOCK_STREAM, 18444) == EACCES ? 0 : 1;
}

static int
bind_own(void)
{
	return fence_bind(SOCK_STREAM, ports[0]);
}

TEST(a_role_works_inside)
{
	FENCE_WANTS_ROOT();
	fence_check_works(enter, work);
}

TEST(foreign_paths_and_ports_are_refused)
{
	int (*const cases[])(void) = {open_foreign, write_foreign, bind_own};
	FENCE_WANTS_ROOT();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		fence_check_works(enter, cases[i]);
	if (fence_landlock_abi() < 4)
		SKIP("this kernel's Landlock knows no ports");
	fence_check_works(enter, bind_foreign);
}

TEST(forbidden_calls_kill)
{
	FENCE_WANTS_ROOT();
	fence_check_kills(enter);
}
