/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * dns_role: the role `dns`: the cluster's name server on every node, on the cluster DNS addresses of a
 * dummy link. It reads Services and EndpointSlices with the node's own certificate, which it awaits when
 * the node has not joined yet. Names outside the cluster go to the machine's resolvers. */
#include "orchestrator/nodenet/nodenet.h"

#include "base/disk.h"
#include "base/init_proto.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CREDENTIALS "/data/node/pki/client.pem"
#define AWAIT_NS (NS_PER_SEC / 2)

struct dns_role {
	const struct machine_config *c;
	struct loop *loop;
	struct dns_zone *zone;
	struct dns_server *server;
	struct client *client;
	struct nodenet *agent;
	struct init_client *init;
	struct loop_timer await;
};

static int
bound(const struct ip_addr *ip, int type)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(53)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
	const struct sockaddr *sa = (const struct sockaddr *)&v4;
	socklen_t len = sizeof(v4);
	int one = 1;
	memcpy(&v4.sin_addr, ip->b, 4);
	if (ip->family == 6) {
		memcpy(&v6.sin6_addr, ip->b, 16);
		sa = (const struct sockaddr *)&v6;
		len = sizeof(v6);
	}
	_cleanup_fd_ int fd = socket(sa->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ip->family == 6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, sa, len) < 0 || (type == SOCK_STREAM && listen(fd, 128) < 0))
		return -errno;
	return TAKE_FD(fd);
}

static size_t
upstreams(struct dns_upstream *u, size_t max)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	size_t n = 0;
	if (disk_read_file("/run/resolv.conf", 1 << 16, &b) < 0)
		return 0;
	struct str rest = buf_view(&b), line, word, addr;
	while (n < max && str_next(&rest, '\n', &line))
		if (str_cut(str_trim(line), ' ', &word, &addr) && str_eq(word, STR("nameserver")) &&
			ip_parse(str_trim(addr), &u[n].addr) == 0)
			n++;
	return n;
}

static int
serve(struct dns_role *r, struct err *e)
{
	const typeof(((struct machine_config *)0)->cluster) *k = &r->c->cluster;
	struct ip_addr addrs[2];
	struct dns_upstream up[8] = {0};
	int udp[2], tcp[2];
	size_t n = 0;
	if (ip_is_set(&k->dns4))
		addrs[n++] = k->dns4;
	if (ip_is_set(&k->dns6))
		addrs[n++] = k->dns6;
	int rc = podnet_service_address("dns0", addrs, n, e);
	if (rc < 0)
		return rc;
	char domain[254];
	str_copy_c(k->dns_domain, domain, sizeof(domain));
	struct dns_zone_config zc = {
		.domain = domain, .server_addrs = addrs, .n_server_addrs = n, .pod_names = true};
	rc = dns_zone_new(&zc, &r->zone);
	if (rc < 0)
		return err_errno(e, rc, "zone '%s'", domain);
	const struct ip_prefix own[] = {k->service4, k->service6, k->pod4, k->pod6};
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (ip_is_set(&own[i].addr))
			dns_zone_reverse(r->zone, &own[i]);
	for (size_t i = 0; i < n; i++) {
		udp[i] = bound(&addrs[i], SOCK_DGRAM);
		tcp[i] = udp[i] < 0 ? udp[i] : bound(&addrs[i], SOCK_STREAM);
		if (tcp[i] < 0)
			return err_errno(e, tcp[i], "listening on port 53");
	}
	struct dns_server_config sc = {.zone = r->zone,
		.udp_fds = udp,
		.n_udp_fds = n,
		.tcp_fds = tcp,
		.n_tcp_fds = n,
		.upstreams = up,
		.n_upstreams = upstreams(up, ARRAY_LEN(up))};
	return dns_server_new(r->loop, &sc, &r->server, e);
}

static int
watch(struct dns_role *r, struct err *e)
{
	_cleanup_buf_ struct buf pem = BUF_INIT;
	int rc = disk_read_file(CREDENTIALS, 1 << 16, &pem);
	if (rc < 0)
		return rc;
	struct client_https_config cc = {.server = r->c->cluster.endpoint,
		.ca_pem = r->c->cluster.ca,
		.cert_pem = buf_view(&pem),
		.key_pem = buf_view(&pem),
		.user_agent = STR("keelson-dns")};
	rc = client_https_new(r->loop, &cc, &r->client, e);
	if (rc < 0)
		return rc;
	struct nodenet_config nc = {.client = r->client, .cfg = r->c, .zone = r->zone};
	return nodenet_new(&nc, &r->agent, e);
}

/* The node's certificate comes when it has joined: a file that another role writes. */
static void
on_await(struct loop_timer *t)
{
	struct dns_role *r = t->arg;
	struct err e = {0};
	int rc = watch(r, &e);
	if (rc == -ENOENT && !r->client) {
		loop_timer_after(r->loop, t, AWAIT_NS);
	} else if (rc < 0) {
		log_error("%s", e.msg);
		loop_stop(r->loop, 1);
	}
}

static void
on_exit_of(void *arg, int pid, int status, int64_t at_ns)
{
	(void)arg;
	(void)pid;
	(void)status;
	(void)at_ns;
}

int
dns_role_main(const struct machine_config *c)
{
	static struct dns_role role;
	struct dns_role *r = &role;
	struct err e = {0};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigaction(SIGPIPE, &ignore, NULL);
	r->c = c;
	r->loop = loop_new(NULL, "dns");
	if (!r->loop || serve(r, &e) < 0) {
		log_error("%s", e.msg);
		return 1;
	}
	r->await = (struct loop_timer){.fn = on_await, .arg = r};
	loop_timer_after(r->loop, &r->await, 0);
	if (init_client_new(r->loop, INIT_FD, on_exit_of, r, &r->init) == 0)
		init_ready(r->init);
	return loop_run(r->loop) == 0 ? 0 : 1;
}
