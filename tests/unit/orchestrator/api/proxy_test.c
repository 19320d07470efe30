/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * proxy_test: the two tunnels of a proxied upgrade over real sockets. That they come to be is shown on machines
 * (exec, attach, port-forward). */
#include "orchestrator/api/proxy.c"

#include "netstack/http/tunnel.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/socket.h>

struct scene {
	struct loop *loop;
	struct http_wire_list wires;
	struct proxied p;
	int client, target; /* the far ends */
};

/* side: a tunnel over one end of a socket pair; the other end is returned. */
static int
side(struct scene *s, struct http_tunnel **ret)
{
	struct http_wire *w = NULL;
	int pair[2] = {-1, -1};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0 ||
		http_wire_new(s->loop, pair[0], false, NULL, NULL, NULL, &s->wires, &w) < 0 ||
		http_tunnel_new(w, ret) < 0)
		return -1;
	return pair[1];
}

static void
open_scene(struct scene *s)
{
	*s = (struct scene){.loop = loop_new(NULL, "test")};
	s->client = side(s, &s->p.client);
	s->target = side(s, &s->p.target);
	CHECK(s->client >= 0 && s->target >= 0);
	s->p.over = true; /* the request itself has ended with its 101 */
	s->p.upgraded = true;
	http_tunnel_start(s->p.client, &client_fns, &s->p);
	http_tunnel_start(s->p.target, &target_fns, &s->p);
}

static void
turns(struct scene *s)
{
	for (int i = 0; i < 8; i++)
		loop_turn(s->loop, 0);
}

static void
close_scene(struct scene *s)
{
	http_wire_list_release(&s->wires);
	loop_turn(s->loop, 0);
	loop_free(s->loop);
}

/* Two descriptors stayed behind for every exec and port-forward: each side was only told that the other had ended. */
TEST(when_both_sides_have_ended_nothing_is_left)
{
	struct scene s;
	char byte, bye[4];
	int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
	open_scene(&s);
	CHECK_INT(write(s.target, "bye", 3), 3);
	shutdown(s.target, SHUT_WR);
	turns(&s);
	CHECK(s.p.client && s.p.target);
	CHECK_INT(read(s.client, bye, sizeof(bye)), 3); /* what is left unread would be a reset */
	CHECK_INT(write(s.client, "x", 1), 1);          /* the other direction still stands */
	turns(&s);
	CHECK_INT(read(s.target, &byte, 1), 1);
	close(s.client);
	turns(&s);
	CHECK(!s.p.client && !s.p.target);
	CHECK_INT(read(s.target, &byte, 1), 0);
	close(s.target);
	close_scene(&s);
	int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CHECK_INT(after, before + 1);
	close(before);
	close(after);
}

TEST(a_side_that_breaks_ends_the_other)
{
	struct scene s;
	char byte;
	open_scene(&s);
	close(s.client);
	turns(&s);
	CHECK_INT(read(s.target, &byte, 1), 0);
	close(s.target);
	turns(&s);
	CHECK(!s.p.client && !s.p.target);
	close_scene(&s);
}

TEST(a_page_behind_a_proxy_is_read_without_the_slash_of_its_root)
{
	static const struct {
		const char *method, *subpath, *query, *root;
	} rows[] = {
		{"GET", "", "", "/api/v1/x/proxy/"},
		{"HEAD", "", "a=b", "/api/v1/x/proxy/?a=b"},
		{"GET", "/", "", NULL},
		{"POST", "", "", NULL},
	};
	struct arena *a = arena_new(0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct request r = {.a = a,
			.path = STR("/api/v1/x/proxy"),
			.method = str_c(rows[i].method),
			.subpath = str_c(rows[i].subpath),
			.raw_query = str_c(rows[i].query)};
		struct str root = root_of(&r);
		CHECK_INT(str_is_set(root), rows[i].root != NULL);
		if (rows[i].root)
			CHECK_STR(root, rows[i].root);
	}
	arena_free(a);
}
