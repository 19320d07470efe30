/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The API server's own fence, from within: it works in its folder and binds its port; any other folder, port,
 * program or kind of socket is refused or ends it. Its folder is one of the test's own. */
#include "init/boot.h"

#undef BOOT_DATA
#define BOOT_DATA "/tmp/keelson-control-test"
#include "init/control.c"

#include "tests/unit/init/fence.h"

#include <pthread.h>

static int
enter(struct err *e)
{
	mkdir(BOOT_DATA, 0755);
	int rc = owned_dir(CONTROL_DIR, e);
	return rc < 0 ? rc : control_fence(e);
}

static void *
thread_main(void *arg)
{
	*(int *)arg = 1;
	return NULL;
}

static int
works(void)
{
	int done = 0;
	pthread_t t;
	if (fence_open(CONTROL_DIR "/file", O_RDWR | O_CREAT) != 0 ||
		rename(CONTROL_DIR "/file", CONTROL_DIR "/file2") < 0 ||
		unlink(CONTROL_DIR "/file2") < 0)
		return 1;
	if (pthread_create(&t, NULL, thread_main, &done) != 0 || pthread_join(t, NULL) != 0 ||
		!done)
		return 2;
	return fence_open("/proc/meminfo", O_RDONLY) ? 3 : 0;
}

static int
is_nobody(void)
{
	static const char *const lines[][2] = {
		{"Uid", "900\t900\t900\t900"},
		{"Gid", "900\t900\t900\t900"},
		{"CapPrm", "0000000000000000"},
		{"CapEff", "0000000000000000"},
		{"CapBnd", "0000000000000000"},
		{"NoNewPrivs", "1"},
		{"Seccomp", "2"},
	};
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		if (fence_status(lines[i][0], lines[i][1]) != 0)
			return (int)i + 1;
	return 0;
}

static int
is_refused(void)
{
	static const struct {
		const char *path;
		int flags;
	} paths[] = {
		{BOOT_DATA "/foreign", O_RDWR | O_CREAT},
		{"/etc/passwd", O_RDONLY},
		{"/proc/1/status", O_RDONLY},
		{"/dev/null", O_WRONLY},
		{"/run/foreign", O_WRONLY | O_CREAT},
		{"/tmp/foreign", O_WRONLY | O_CREAT},
	};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (fence_open(paths[i].path, paths[i].flags) != EACCES)
			return (int)i + 1;
	return 0;
}

static int
binds_its_port_only(void)
{
	/* the API's may be taken on the machine the test runs on */
	int own = fence_bind(SOCK_STREAM, API_PORT);
	return (own == 0 || own == EADDRINUSE) && fence_bind(SOCK_STREAM, 10250) == EACCES ? 0 : 1;
}

static void
clean(void)
{
	rmdir(CONTROL_DIR);
	rmdir(BOOT_DATA);
}

TEST(the_api_server_works_in_its_fence)
{
	FENCE_WANTS_ROOT();
	fence_check_works(enter, works);
	clean();
}

TEST(the_api_server_has_no_rights)
{
	FENCE_WANTS_ROOT();
	fence_check_works(enter, is_nobody);
	clean();
}

TEST(the_api_server_opens_no_foreign_path)
{
	FENCE_WANTS_ROOT();
	fence_check_works(enter, is_refused);
	clean();
}

TEST(the_api_server_binds_no_foreign_port)
{
	FENCE_WANTS_ROOT();
	if (fence_landlock_abi() < 4)
		SKIP("this kernel's Landlock knows no ports");
	fence_check_works(enter, binds_its_port_only);
	clean();
}

TEST(what_kills_the_api_server)
{
	FENCE_WANTS_ROOT();
	fence_check_kills(enter);
	clean();
}
