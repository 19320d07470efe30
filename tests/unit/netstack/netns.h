/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * netns.h: network namespaces for tests that need a kernel of their own. Each test enters a fresh one
 * (NETNS_ENTER skips it without root); more are made with netns_new, and a piece of the test runs in another one
 * between netns_switch calls. Sockets stay in the namespace they were made in. */
#ifndef TEST_NETNS_H
#define TEST_NETNS_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/ip.h"
#include "netstack/netlink/netlink.h"
#include "tests/unit/test.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

static inline int
netns_fd(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* lo up in the current namespace. */
static inline int
netns_lo_up(void)
{
	_cleanup_nl_batch_ struct nl_batch b;
	_cleanup_nl_sock_ struct nl_sock s = {.fd = -1};

	nl_batch_init(&b);
	rt_link_set(&b, &(struct rt_link_set){.index = 1, .up = 1});
	if (nl_open(&s, NETLINK_ROUTE) < 0)
		return -1;
	return nl_commit(&s, &b, NULL, NULL);
}

#define NETNS_ENTER()                                                                              \
	do {                                                                                       \
		if (geteuid() != 0)                                                                \
			SKIP("needs root for a network namespace");                                \
		if (unshare(CLONE_NEWNET) < 0)                                                     \
			SKIP("this kernel or sandbox gives no network namespace");                 \
		CHECK_INT(netns_lo_up(), 0);                                                       \
	} while (0)

/* A new namespace with lo up; the caller stays where it is. */
static inline int
netns_new(void)
{
	int here = netns_fd(), there = -1;

	if (unshare(CLONE_NEWNET) == 0 && netns_lo_up() == 0)
		there = netns_fd();
	if (setns(here, CLONE_NEWNET) < 0)
		abort();
	close(here);
	return there;
}

/* Into the namespace; returns a descriptor of the one left. */
static inline int
netns_switch(int fd)
{
	int here = netns_fd();

	if (setns(fd, CLONE_NEWNET) < 0)
		abort();
	return here;
}

static inline void
netns_back(int fd)
{
	if (setns(fd, CLONE_NEWNET) < 0)
		abort();
	close(fd);
}

static inline struct ip_addr
ip_of(const char *text)
{
	struct ip_addr a = {0};

	if (ip_parse(str_c(text), &a) < 0)
		abort();
	return a;
}

static inline struct ip_prefix
prefix_of(const char *text)
{
	struct ip_prefix p = {0};

	if (ip_prefix_parse(str_c(text), &p) < 0)
		abort();
	return p;
}

static inline socklen_t
sockaddr_of(const struct ip_addr *a, uint16_t port, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (a->family == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)ret;

		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, a->b, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, a->b, 16);
	return sizeof(*in6);
}

static inline struct ip_addr
ip_of_sockaddr(const struct sockaddr_storage *sa)
{
	if (sa->ss_family == AF_INET)
		return ip_from_bytes(&((const struct sockaddr_in *)sa)->sin_addr, 4);
	return ip_from_bytes(&((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
}

/* A socket bound to any address of the family, in the current namespace; TCP ones listen. */
static inline int
serve_on(int family, int type, uint16_t port)
{
	struct ip_addr any = {.family = (uint8_t)family};
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_of(&any, port, &sa);
	int fd = socket(family == 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (family == 6)
		setsockopt(fd, IPPROTO_IPV6, 26 /* IPV6_V6ONLY */, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sa, len) < 0 ||
		(type == SOCK_STREAM && listen(fd, 64) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

enum { NETNS_WAIT_MS = 3000 };

/* A TCP connection from `src` (may be NULL) to dst: the descriptor, or -errno (-ETIMEDOUT after wait_ms). */
static inline int
connect_to(const struct ip_addr *src, const struct ip_addr *dst, uint16_t port, int wait_ms)
{
	int fd = socket(dst->family == 4 ? AF_INET : AF_INET6,
		SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	struct sockaddr_storage sa;
	socklen_t len = 0;
	int code = 0;

	if (src != NULL) {
		len = sockaddr_of(src, 0, &sa);
		if (bind(fd, (struct sockaddr *)&sa, len) < 0)
			goto fail;
	}
	len = sockaddr_of(dst, port, &sa);
	if (connect(fd, (struct sockaddr *)&sa, len) == 0)
		return fd;
	if (errno != EINPROGRESS)
		goto fail;
	errno = ETIMEDOUT;
	if (poll(&p, 1, wait_ms) != 1)
		goto fail;
	len = sizeof(code);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len);
	errno = code;
	if (code == 0)
		return fd;
fail:
	code = -errno;
	close(fd);
	return code;
}

/* Accepts one waiting connection; ret_peer (may be NULL) is its source. Gives -1 when none comes. */
static inline int
accept_one(int listener, struct ip_addr *ret_peer, int wait_ms)
{
	struct pollfd p = {.fd = listener, .events = POLLIN};
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int fd = -1;

	if (poll(&p, 1, wait_ms) != 1)
		return -1;
	fd = accept4(listener, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC);
	if (fd >= 0 && ret_peer != NULL)
		*ret_peer = ip_of_sockaddr(&sa);
	return fd;
}

#endif
