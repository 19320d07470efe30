/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The name server over real sockets on loopback, with an upstream that the test plays itself, all on one
 * loop. */
#include "netstack/dns/server.c"

#include <arpa/inet.h>

#include "tests/unit/netstack/dns/text.h"

/* ---- the upstream the test plays ---- */

enum upstream_mood { ANSWERS, TRUNCATES, SILENT, FAILS, LIES };

static struct upstream {
	struct loop_fd udp, tcp, conn;
	uint16_t port;
	enum upstream_mood mood;
	unsigned udp_queries, tcp_queries;
	uint32_t ttl;
} up;

static struct loop *l;
static struct dns_server *server;
static struct dns_zone *zone;
static uint16_t port;
static bool partial;

/* An answer: a.example.org has an address, big.* many, alias.* is a CNAME, nx.* is not there. */
static size_t
upstream_answer(struct str query, uint8_t *out, bool tcp)
{
	static const uint8_t soa_tail[20] = {[19] = 7}; /* minimum 7 s */
	struct dout o = {.p = out, .max = 4096};
	struct dname soa, target;
	struct dquery q;
	uint16_t an = 0, ns = 0, rcode = 0;
	struct str first;

	CHECK_INT(dquery_parse(query, &q), 0);
	first = dname_label(&q.name);
	dout_u16(&o, (uint16_t)(up.mood == LIES ? q.id ^ 1 : q.id));
	dout_u16(&o, DNS_QR | DNS_RD | DNS_RA);
	dout_u16(&o, 1);
	dout_u32(&o, 0);
	dout_u16(&o, 1);
	dout_name(&o, &q.name, true);
	dout_u16(&o, q.type);
	dout_u16(&o, 1);
	if (up.mood == FAILS)
		rcode = RC_SERVFAIL;
	else if (up.mood == TRUNCATES && !tcp)
		out[2] |= 2;
	else if (str_eq(first, STR("nx"))) {
		rcode = RC_NXDOMAIN;
		dname_from_text(STR("example.org"), &soa);
		dout_name(&o, &soa, true);
		dout_u16(&o, T_SOA);
		dout_u16(&o, 1);
		dout_u32(&o, 60);
		dout_u16(&o, 4 + 20);
		dout_name(&o, &soa, true);
		dout_name(&o, &soa, true);
		dout_bytes(&o, soa_tail, sizeof(soa_tail));
		ns = 1;
	} else {
		if (str_eq(first, STR("alias"))) {
			dname_from_text(STR("a.example.org"), &target);
			dout_name(&o, &q.name, true);
			dout_u16(&o, T_CNAME);
			dout_u16(&o, 1);
			dout_u32(&o, up.ttl);
			dout_u16(&o, 4);
			dout_bytes(&o, "\1a", 2);
			dout_u16(&o, 0xc000 | (DNS_HEADER + 6)); /* example.org of the question */
			q.name = target;
			an++;
		}
		for (unsigned i = 0; i < (str_eq(first, STR("big")) ? 100 : 1); i++, an++) {
			dout_name(&o, &q.name, true);
			dout_u16(&o, T_A);
			dout_u16(&o, 1);
			dout_u32(&o, up.ttl);
			dout_u16(&o, 4);
			dout_u32(&o, 0x01020300 + i);
		}
	}
	dout_opt(&o, false, 0);
	dout_patch16(&o, 6, an);
	dout_patch16(&o, 8, ns);
	out[3] = (uint8_t)(out[3] | rcode);
	return o.n;
}

static void
upstream_udp(struct loop_fd *w, uint32_t revents)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	static uint8_t in[512], out[4096];
	ssize_t n = recvfrom(w->fd, in, sizeof(in), MSG_DONTWAIT, (struct sockaddr *)&sa, &len);

	(void)revents;
	if (n < 0)
		return;
	up.udp_queries++;
	if (up.mood == SILENT)
		return;
	size_t k = upstream_answer(str_from((char *)in, (size_t)n), out, false);
	sendto(w->fd, out, k, 0, (struct sockaddr *)&sa, len);
}

static void
upstream_conn(struct loop_fd *w, uint32_t revents)
{
	static uint8_t in[512], out[4098];
	ssize_t n = recv(w->fd, in, sizeof(in), MSG_DONTWAIT);

	(void)revents;
	if (n <= 2) {
		loop_fd_del(w);
		close(w->fd);
		return;
	}
	up.tcp_queries++;
	size_t k = upstream_answer(str_from((char *)in + 2, (size_t)n - 2), out + 2, true);
	out[0] = (uint8_t)(k >> 8);
	out[1] = (uint8_t)k;
	CHECK_INT(send(w->fd, out, 1, 0), 1); /* in two pieces */
	CHECK_INT(send(w->fd, out + 1, k + 1, 0), k + 1);
}

static void
upstream_accept(struct loop_fd *w, uint32_t revents)
{
	(void)revents;
	up.conn = (struct loop_fd){.fd = accept(w->fd, NULL, NULL),
		.events = EPOLLIN,
		.prio = LOOP_PRIO_IO,
		.fn = upstream_conn};
	CHECK_INT(loop_fd_add(l, &up.conn), 0);
}

static int
bind_loopback(int type, uint16_t *p)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
		.sin_port = htons(*p),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 ||
		(type == SOCK_STREAM && listen(fd, 16) < 0)) {
		close(fd);
		return -1;
	}
	getsockname(fd, (struct sockaddr *)&in, &len);
	*p = ntohs(in.sin_port);
	return fd;
}

/* A UDP and a TCP socket on one port. */
static void
bind_both(int *udp, int *tcp, uint16_t *p)
{
	for (unsigned tries = 0; tries < 50; tries++) {
		*p = 0;
		*tcp = bind_loopback(SOCK_STREAM, p);
		*udp = bind_loopback(SOCK_DGRAM, p);
		if (*udp >= 0 && *tcp >= 0)
			return;
		close(*tcp);
	}
	abort();
}

static void
world_up(size_t n_upstreams, bool dead_first)
{
	struct ip_addr ip = ip_v4(0x0a600007), lo = ip_v4(0x7f000001);
	struct dns_zone_config zc = {.domain = "cluster.local"};
	struct dns_service s = {
		.ns = STR("shop"), .name = STR("web"), .cluster_ips = &ip, .n_cluster_ips = 1};
	struct dns_service x = {
		.ns = STR("shop"), .name = STR("out"), .external_name = STR("alias.example.org")};
	struct dns_upstream ups[2] = {{lo, 0}, {lo, 0}};
	struct dns_server_config c = {.upstreams = ups,
		.n_upstreams = n_upstreams,
		.partial = partial,
		.try_timeout_ns = 200 * NS_PER_MS};
	struct err e = {0};
	int udp = -1, tcp = -1, uu = -1, ut = -1;

	up = (struct upstream){.ttl = 100};
	l = loop_new(NULL, "dns");
	bind_both(&uu, &ut, &up.port);
	up.udp = (struct loop_fd){
		.fd = uu, .events = EPOLLIN, .prio = LOOP_PRIO_IO, .fn = upstream_udp};
	up.tcp = (struct loop_fd){
		.fd = ut, .events = EPOLLIN, .prio = LOOP_PRIO_IO, .fn = upstream_accept};
	CHECK_INT(loop_fd_add(l, &up.udp), 0);
	CHECK_INT(loop_fd_add(l, &up.tcp), 0);
	ups[0].port = ups[1].port = up.port;
	if (dead_first) { /* a port where nobody listens */
		close(bind_loopback(SOCK_DGRAM, &ups[0].port));
		ups[0].port = 0;
		close(bind_loopback(SOCK_DGRAM, &ups[0].port));
	}
	bind_both(&udp, &tcp, &port);
	CHECK_INT(dns_zone_new(&zc, &zone), 0);
	CHECK_INT(dns_zone_service_set(zone, &s), 0);
	CHECK_INT(dns_zone_service_set(zone, &x), 0);
	c.zone = zone;
	c.udp_fds = &udp;
	c.tcp_fds = &tcp;
	c.n_udp_fds = c.n_tcp_fds = 1;
	CHECK_INT(dns_server_new(l, &c, &server, &e), 0);
}

static void
world_down(void)
{
	dns_server_free(server);
	dns_zone_free(zone);
	loop_fd_del(&up.udp);
	loop_fd_del(&up.tcp);
	close(up.udp.fd);
	close(up.tcp.fd);
	if (up.conn.loop != NULL) {
		loop_fd_del(&up.conn);
		close(up.conn.fd);
	}
	loop_turn(l, 0);
	loop_free(l);
}

static int
client(int type)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	CHECK_INT(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	return fd;
}

static uint8_t reply[DNS_MSG_MAX];

/* Turns the loop until the client has something to read. */
static ssize_t
await(int fd, size_t at)
{
	int64_t deadline = clock_mono_ns() + 10 * NS_PER_SEC;
	ssize_t n = -1;

	while (clock_mono_ns() < deadline) {
		loop_turn(l, 20 * NS_PER_MS);
		n = recv(fd, reply + at, sizeof(reply) - at, MSG_DONTWAIT);
		if (n >= 0)
			return n;
	}
	TEST_FAIL_("no answer");
	return n;
}

static const char *
ask(const char *name, uint16_t type, uint16_t edns, bool ttl)
{
	uint8_t q[512];
	size_t n = query_of(q, name, type, edns);
	int fd = client(SOCK_DGRAM);
	ssize_t got = 0;

	CHECK_INT(send(fd, q, n, 0), n);
	got = await(fd, 0);
	close(fd);
	CHECK_INT(dns_u16(str_from((char *)reply, (size_t)got), 0), 0x1234);
	return answer_text(reply, (size_t)got, ttl);
}

/* One question and its answer on a TCP connection. */
static const char *
ask_tcp(int fd, const char *name, uint16_t type)
{
	uint8_t q[514];
	size_t n = query_of(q + 2, name, type, 0), have = 0;

	q[0] = (uint8_t)(n >> 8);
	q[1] = (uint8_t)n;
	CHECK_INT(send(fd, q, n + 2, 0), n + 2);
	do {
		ssize_t got = await(fd, have);

		CHECK(got > 0);
		have += (size_t)got;
	} while (have < 2 || have < 2u + dns_u16(str_from((char *)reply, have), 0));
	return answer_text(reply + 2, have - 2, false);
}

TEST(the_zone_is_served_over_udp_and_tcp)
{
	int fd = -1;

	world_up(1, false);
	CHECK_STR(ask("web.shop.svc.cluster.local", T_A, 0, true),
		"NOERROR aa ra\nan web.shop.svc.cluster.local. 5 A 10.96.0.7\n");
	CHECK_STR(ask("web.shop.svc.cluster.local", T_A, 1232, false),
		"NOERROR aa ra\nan web.shop.svc.cluster.local. A 10.96.0.7\nar . OPT 1232\n");
	fd = client(SOCK_STREAM);
	for (unsigned i = 0; i < 3; i++)
		CHECK_STR(ask_tcp(fd, "web.shop.svc.cluster.local", T_A),
			"NOERROR aa ra\nan web.shop.svc.cluster.local. A 10.96.0.7\n");
	close(fd);
	CHECK_INT(up.udp_queries, 0);
	world_down();
}

TEST(other_names_are_forwarded_and_remembered)
{
	struct dns_stats st;

	world_up(1, false);
	CHECK_STR(ask("a.example.org", T_A, 0, true),
		"NOERROR ra\nan a.example.org. 100 A 1.2.3.0\n");
	CHECK_STR(ask("A.Example.org", T_A, 1232, false),
		"NOERROR ra\nan a.example.org. A 1.2.3.0\nar . OPT 1232\n");
	CHECK(memcmp(reply + DNS_HEADER, "\1a\7example", 10) == 0);
	CHECK_INT(up.udp_queries, 1);
	/* absence too, as long as the SOA says */
	CHECK_STR(ask("nx.example.org", T_A, 0, true),
		"NXDOMAIN ra\nns example.org. 60 SOA example.org.\n");
	CHECK_STR(ask("nx.example.org", T_A, 0, false),
		"NXDOMAIN ra\nns example.org. SOA example.org.\n");
	CHECK_INT(up.udp_queries, 2);
	ask("nx.example.org", T_AAAA, 0, false);
	CHECK_INT(up.udp_queries, 3);
	dns_server_stats(server, &st);
	CHECK_INT(st.cache_hits, 2);
	CHECK_INT(st.forwarded, 3);
	/* a TTL of nothing is not kept */
	up.ttl = 0;
	ask("b.example.org", T_A, 0, false);
	ask("b.example.org", T_A, 0, false);
	CHECK_INT(up.udp_queries, 5);
	world_down();
}

TEST(an_external_name_is_followed)
{
	int fd = -1;
	static const char want[] =
		"NOERROR ra\nan out.shop.svc.cluster.local. CNAME alias.example.org.\n"
		"an alias.example.org. CNAME a.example.org.\nan a.example.org. A 1.2.3.0\n";

	world_up(1, false);
	CHECK_STR(ask("out.shop.svc.cluster.local", T_A, 0, false), want);
	CHECK_STR(ask("out.shop.svc.cluster.local", T_A, 0, false), want); /* from the cache */
	fd = client(SOCK_STREAM);
	CHECK_STR(ask_tcp(fd, "out.shop.svc.cluster.local", T_A), want);
	close(fd);
	CHECK_INT(up.udp_queries, 1);
	world_down();
}

TEST(truncated_answers_are_asked_for_over_tcp)
{
	int fd = -1;

	world_up(1, false);
	up.mood = TRUNCATES;
	CHECK_STR(ask("big.example.org", T_A, 0, false),
		"NOERROR tc ra\n"); /* too much for this client */
	CHECK_INT(up.tcp_queries, 1);
	fd = client(SOCK_STREAM);
	ask_tcp(fd, "big.example.org", T_A);
	CHECK_INT(dns_u16(str_from((char *)reply + 2, 512), 6), 100);
	close(fd);
	CHECK_INT(up.tcp_queries, 1);
	world_down();
}

TEST(a_dead_upstream_is_passed_over)
{
	struct dns_stats st;

	world_up(2, true);
	CHECK_STR(ask("a.example.org", T_A, 0, false), "NOERROR ra\nan a.example.org. A 1.2.3.0\n");
	CHECK_STR(ask("c.example.org", T_A, 0, false), "NOERROR ra\nan c.example.org. A 1.2.3.0\n");
	dns_server_stats(server, &st);
	CHECK_INT(st.timeouts, 0); /* refused is known at once */
	CHECK_INT(up.udp_queries, 2);
	world_down();
}

TEST(silence_failure_and_lies_end_in_servfail)
{
	struct dns_stats st;

	world_up(1, false);
	up.mood = SILENT;
	CHECK_STR(ask("a.example.org", T_A, 1232, false), "SERVFAIL ra\nar . OPT 1232\n");
	CHECK_INT(up.udp_queries, 3);
	up.mood = FAILS;
	CHECK_STR(ask("a.example.org", T_A, 0, false), "SERVFAIL ra\n");
	up.mood = LIES; /* another id: not an answer to us */
	CHECK_STR(ask("a.example.org", T_A, 0, false), "SERVFAIL ra\n");
	dns_server_stats(server, &st);
	CHECK_INT(st.timeouts, 6);
	up.mood = ANSWERS;
	CHECK_STR(ask("a.example.org", T_A, 0, false), "NOERROR ra\nan a.example.org. A 1.2.3.0\n");
	world_down();
}

TEST(without_upstreams_other_names_are_refused)
{
	world_up(0, false);
	CHECK_STR(ask("a.example.org", T_A, 0, false), "REFUSED\n");
	CHECK_STR(ask("out.shop.svc.cluster.local", T_A, 0, false),
		"NOERROR aa\nan out.shop.svc.cluster.local. CNAME alias.example.org.\n");
	world_down();
}

TEST(questions_come_several_at_a_time_and_in_pieces)
{
	uint8_t q[1024];
	size_t n = 0, have = 0, seen = 0;
	int fd = -1;

	world_up(1, false);
	fd = client(SOCK_STREAM);
	for (unsigned i = 0; i < 3; i++) {
		size_t k = query_of(
			q + n + 2, i == 1 ? "a.example.org" : "web.shop.svc.cluster.local", T_A, 0);

		q[n] = (uint8_t)(k >> 8);
		q[n + 1] = (uint8_t)k;
		n += k + 2;
	}
	for (size_t i = 0; i < n; i += 7) {
		size_t k = n - i < 7 ? n - i : 7;

		CHECK_INT(send(fd, q + i, k, 0), k);
		loop_turn(l, 5 * NS_PER_MS);
	}
	shutdown(fd, SHUT_WR);
	while (seen < 3) {
		ssize_t got = await(fd, have);
		size_t at = 0;

		CHECK(got > 0);
		have += (size_t)got;
		for (seen = 0; have - at >= 2 &&
			have - at >= 2u + dns_u16(str_from((char *)reply + at, 2), 0);
			seen++)
			at += 2u + dns_u16(str_from((char *)reply + at, 2), 0);
	}
	CHECK_INT(await(fd, have), 0); /* all answered, then closed */
	close(fd);
	world_down();
}

TEST(a_client_that_leaves_takes_its_questions_along)
{
	uint8_t q[514];
	size_t n = query_of(q + 2, "a.example.org", T_A, 0);
	int fd = -1;

	world_up(1, false);
	up.mood = SILENT;
	q[0] = 0;
	q[1] = (uint8_t)n;
	fd = client(SOCK_STREAM);
	CHECK_INT(send(fd, q, n + 2, 0), n + 2);
	while (up.udp_queries == 0)
		CHECK(loop_turn(l, 2 * NS_PER_SEC) > 0);
	struct linger hard = {1, 0};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd); /* reset */
	while (server->n_conns > 0)
		CHECK(loop_turn(l, 2 * NS_PER_SEC) > 0);
	CHECK(server->pending == NULL);
	CHECK_STR(ask("web.shop.svc.cluster.local", T_A, 0, false),
		"NOERROR aa ra\nan web.shop.svc.cluster.local. A 10.96.0.7\n");
	world_down();
}

TEST(too_many_tcp_clients_the_idlest_goes)
{
	int fds[4];

	world_up(1, false);
	server->max_conns = 3;
	for (unsigned i = 0; i < 4; i++) {
		fds[i] = client(SOCK_STREAM);
		CHECK_STR(ask_tcp(fds[i], "web.shop.svc.cluster.local", T_A),
			"NOERROR aa ra\nan web.shop.svc.cluster.local. A 10.96.0.7\n");
	}
	CHECK_INT(await(fds[0], 0), 0);
	CHECK_STR(ask_tcp(fds[1], "web.shop.svc.cluster.local", T_A),
		"NOERROR aa ra\nan web.shop.svc.cluster.local. A 10.96.0.7\n");
	for (unsigned i = 0; i < 4; i++)
		close(fds[i]);
	world_down();
}

/* A question sent and not waited for. */
static int
asked(const char *name)
{
	uint8_t q[512];
	size_t n = query_of(q, name, T_A, 0);
	int fd = client(SOCK_DGRAM);

	CHECK_INT(send(fd, q, n, 0), n);
	return fd;
}

static const char *
answered(int fd)
{
	ssize_t n = await(fd, 0);

	close(fd);
	return answer_text(reply, (size_t)n, false);
}

TEST(a_partial_zone_says_yes_and_other_names_are_forwarded)
{
	partial = true;
	world_up(1, false);
	CHECK_STR(ask("web.shop.svc.cluster.local", T_A, 0, false),
		"NOERROR aa ra\nan web.shop.svc.cluster.local. A 10.96.0.7\n");
	/* a type that a name it has does not have */
	CHECK(strstr(ask("web.shop.svc.cluster.local", T_AAAA, 0, false), "NOERROR aa ra\nns") !=
		NULL);
	CHECK_STR(ask("a.example.org", T_A, 0, false), "NOERROR ra\nan a.example.org. A 1.2.3.0\n");
	partial = false;
	world_down();
}

TEST(a_no_waits_until_the_zone_is_complete)
{
	struct ip_addr ip = ip_v4(0x0a600009);
	struct dns_service late = {
		.ns = STR("shop"), .name = STR("late"), .cluster_ips = &ip, .n_cluster_ips = 1};
	struct dns_service out = {
		.ns = STR("shop"), .name = STR("far"), .external_name = STR("a.example.org")};
	int late_fd = -1, far_fd = -1, nope_fd = -1, tcp = -1;
	uint8_t q[514];
	size_t n = query_of(q + 2, "late.shop.svc.cluster.local", T_A, 0);

	partial = true;
	world_up(1, false);
	late_fd = asked("late.shop.svc.cluster.local");
	far_fd = asked("far.shop.svc.cluster.local");
	nope_fd = asked("nope.shop.svc.cluster.local");
	tcp = client(SOCK_STREAM);
	q[0] = (uint8_t)(n >> 8);
	q[1] = (uint8_t)n;
	CHECK_INT(send(tcp, q, n + 2, 0), n + 2);
	while (server->n_held < 4)
		loop_turn(l, 20 * NS_PER_MS);
	CHECK_INT(dns_zone_service_set(zone, &late), 0);
	CHECK_INT(dns_zone_service_set(zone, &out), 0);
	dns_server_complete(server);
	CHECK_INT(server->n_held, 0);
	CHECK_STR(
		answered(late_fd), "NOERROR aa ra\nan late.shop.svc.cluster.local. A 10.96.0.9\n");
	CHECK(strstr(answered(far_fd), "an a.example.org. A 1.2.3.0\n") != NULL);
	CHECK(strstr(answered(nope_fd), "NXDOMAIN aa") != NULL);
	ssize_t got = await(tcp, 0);
	CHECK(got > 2 && dns_u16(str_from((char *)reply, (size_t)got), 0) == got - 2);
	CHECK_STR(answer_text(reply + 2, (size_t)got - 2, false),
		"NOERROR aa ra\nan late.shop.svc.cluster.local. A 10.96.0.9\n");
	close(tcp);
	/* from now on a no is said at once */
	CHECK(strstr(ask("never.shop.svc.cluster.local", T_A, 0, false), "NXDOMAIN aa") != NULL);
	partial = false;
	world_down();
}

TEST(of_too_many_that_wait_the_last_go)
{
	struct dns_stats st;
	int fds[8];

	partial = true;
	world_up(1, false);
	server->n_held = HELD_MAX - 4; /* as if so many waited already */
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = asked("nope.shop.svc.cluster.local");
	do {
		loop_turn(l, 20 * NS_PER_MS);
		dns_server_stats(server, &st);
	} while (st.queries < ARRAY_LEN(fds));
	CHECK_INT(server->n_held, HELD_MAX);
	CHECK_INT(st.dropped, 4);
	/* one over TCP loses its connection */
	int tcp = client(SOCK_STREAM);
	uint8_t q[514] = {0};
	size_t n = query_of(q + 2, "nope.shop.svc.cluster.local", T_A, 0);
	q[1] = (uint8_t)n;
	CHECK_INT(send(tcp, q, n + 2, 0), n + 2);
	CHECK_INT(await(tcp, 0), 0);
	close(tcp);
	server->n_held = 4;
	dns_server_complete(server);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	partial = false;
	world_down();
}
