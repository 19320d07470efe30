/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * listen: listening sockets, and addresses of the kernel's form; contract in message.h.
 * Place in the flow: init and `keelson server` open them and hand them to servers. */
#include "netstack/http/sockaddr.h"

#include <errno.h>
#include <unistd.h>

socklen_t
http_sockaddr(const struct http_addr *a, struct sockaddr_storage *out)
{
	*out = (struct sockaddr_storage){0};
	if (a->ip.family == 6) {
		struct sockaddr_in6 s = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
		memcpy(&s.sin6_addr, a->ip.b, 16);
		memcpy(out, &s, sizeof(s));
		return sizeof(s);
	}
	struct sockaddr_in s = {.sin_family = AF_INET, .sin_port = htons(a->port)};
	memcpy(&s.sin_addr, a->ip.b, 4);
	memcpy(out, &s, sizeof(s));
	return sizeof(s);
}

struct http_addr
http_addr_of(const struct sockaddr_storage *s)
{
	struct http_addr a = {0};

	if (s->ss_family == AF_INET6) {
		struct sockaddr_in6 v6;
		memcpy(&v6, s, sizeof(v6));
		/* A client of IPv4 on a dual-stack socket is one of IPv4. */
		if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
			a.ip = ip_from_bytes(v6.sin6_addr.s6_addr + 12, 4);
		else
			a.ip = ip_from_bytes(v6.sin6_addr.s6_addr, 16);
		a.port = ntohs(v6.sin6_port);
	} else if (s->ss_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, s, sizeof(v4));
		a.ip = ip_from_bytes(&v4.sin_addr, 4);
		a.port = ntohs(v4.sin_port);
	}
	return a;
}

int
http_listen_addr(int fd, struct http_addr *ret, struct err *e)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
		return err_errno(e, -errno, "asking for a listener's address");
	*ret = http_addr_of(&sa);
	return 0;
}

int
http_listen(const struct http_addr *addr, bool reuse_port, int *ret_fd, struct http_addr *ret_bound,
	struct err *e)
{
	char text[HTTP_ADDR_TEXT] = "";
	struct sockaddr_storage sa;
	socklen_t n = http_sockaddr(addr, &sa);
	int one = 1, zero = 0;
	_cleanup_fd_ int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	http_addr_format(addr, text);
	if (fd < 0)
		return err_errno(e, -errno, "listening on '%s'", text);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (reuse_port)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (sa.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (bind(fd, (struct sockaddr *)&sa, n) < 0 || listen(fd, 4096) < 0)
		return err_errno(e, -errno, "listening on '%s'", text);
	int rc = ret_bound ? http_listen_addr(fd, ret_bound, e) : 0;
	if (rc < 0)
		return rc;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int
http_own_ip(uint8_t family, struct ip_addr *ret)
{
	/* Of documentation (RFC 5737, RFC 3849): the route to it is the one to everywhere. */
	struct http_addr far = {.port = 9};
	struct sockaddr_storage sa;
	int rc = ip_parse(family == 6 ? STR("2001:db8::1") : STR("198.51.100.1"), &far.ip);
	socklen_t n = http_sockaddr(&far, &sa);
	_cleanup_fd_ int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (rc < 0 || fd < 0 || connect(fd, (struct sockaddr *)&sa, n) < 0)
		return rc < 0 ? rc : -errno;
	n = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
		return -errno;
	*ret = http_addr_of(&sa).ip;
	return 0;
}
