/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0 */
#include "netstack/http/wire.c"

#include "netstack/http/sockaddr.h"
#include "tests/unit/test.h"

static int
option(int fd, int level, int name)
{
	int value = -1;
	socklen_t n = sizeof(value);
	CHECK(getsockopt(fd, level, name, &value, &n) == 0);
	return value;
}

/* A watch whose server lost its power waited for ninety seconds: nothing asked whether it was still there. */
TEST(a_peer_that_lost_its_power_is_found_out)
{
	static const struct http_wire_ops ops = {0};
	struct http_wire_list list = {0};
	struct http_wire *w = NULL;
	struct loop *l = loop_new(NULL, "test");
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CHECK(l && fd >= 0);
	CHECK_INT(http_wire_new(l, fd, true, NULL, &ops, NULL, &list, &w), 0);
	CHECK_INT(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	CHECK_INT(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 15);
	CHECK(option(fd, IPPROTO_TCP, TCP_KEEPINTVL) * option(fd, IPPROTO_TCP, TCP_KEEPCNT) <= 30);
	CHECK_INT(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	http_wire_free(w);
	loop_turn(l, 0);
	loop_free(l);
}
