/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The name server's own fence, from within: it reads what it must, asks resolvers and takes connections; it writes
 * nowhere, and a program, a packet socket, a foreign path, a port of its own end it or are refused. */
#include "init/dns.c"

#include "tests/unit/init/fence.h"

#include <poll.h>
#include <sys/mman.h>

/* A datagram to itself and a connection to a socket it was given before, as when it serves and forwards. */
static int given = -1;
static struct sockaddr_in given_at;

static int
works(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	char byte = 0;
	int u = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int t = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(u, (struct sockaddr *)&a, n) < 0 || getsockname(u, (struct sockaddr *)&a, &n) < 0)
		return 1;
	if (connect(u, (struct sockaddr *)&a, n) < 0 || send(u, "q", 1, 0) != 1 ||
		recv(u, &byte, 1, 0) != 1)
		return 2;
	if (connect(t, (struct sockaddr *)&given_at, sizeof(given_at)) < 0 ||
		accept4(given, NULL, NULL, SOCK_CLOEXEC) < 0)
		return 3;
	if (fence_open("/etc/resolv.conf", O_RDONLY) != 0 && errno != ENOENT)
		return 4;
	int names = memfd_create("names", MFD_CLOEXEC);
	if (names < 0 || pwrite(names, "n", 1, 0) != 1)
		return 5;
	return fence_open("/proc/self/status", O_RDONLY) ? 6 : 0;
}

static int
is_nobody(void)
{
	static const char *const lines[][2] = {
		{"Uid", "901\t901\t901\t901"},
		{"Gid", "901\t901\t901\t901"},
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
		{"/usr/bin/env", O_RDONLY},
		{"/proc/1/status", O_RDONLY},
		{"/dev/null", O_WRONLY},
		{"/run/foreign", O_WRONLY | O_CREAT},
		{"/etc/foreign", O_WRONLY | O_CREAT},
		{"/tmp/foreign", O_WRONLY | O_CREAT},
	};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (fence_open(paths[i].path, paths[i].flags) != EACCES)
			return (int)i + 1;
	return 0;
}

static int
binds_no_tcp_port(void)
{
	return fence_bind(SOCK_STREAM, 18053) == EACCES ? 0 : 1;
}

TEST(the_name_server_works_in_its_fence)
{
	FENCE_WANTS_ROOT();
	socklen_t n = sizeof(given_at);
	given_at = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	given = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_INT(bind(given, (struct sockaddr *)&given_at, n), 0);
	CHECK_INT(listen(given, 1), 0);
	CHECK_INT(getsockname(given, (struct sockaddr *)&given_at, &n), 0);
	fence_check_works(dns_fence, works);
	close(given);
}

TEST(the_name_server_has_no_rights)
{
	FENCE_WANTS_ROOT();
	fence_check_works(dns_fence, is_nobody);
}

TEST(the_name_server_opens_no_foreign_path_and_writes_nowhere)
{
	FENCE_WANTS_ROOT();
	fence_check_works(dns_fence, is_refused);
}

TEST(the_name_server_binds_no_tcp_port)
{
	FENCE_WANTS_ROOT();
	if (fence_landlock_abi() < 4)
		SKIP("this kernel's Landlock knows no ports");
	fence_check_works(dns_fence, binds_no_tcp_port);
}

TEST(what_kills_the_name_server)
{
	FENCE_WANTS_ROOT();
	fence_check_kills(dns_fence);
}
