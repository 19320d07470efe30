/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * dns_role: the life of the name server's process. See dns_role.h.
 *
 *   prepare: loop, PID 1's kept sockets or new ones, inotify on the folders of what changes
 *   main:    the names an earlier process left with PID 1 -> zone -> server at once -> PID 1 is told
 *            credentials -> client -> feed -> (zone complete) -> server, unless it is there -> PID 1 is told
 *   then:    changed names are left with PID 1, a whole new file each time, so that it always has whole ones;
 *            a new certificate or new resolvers are taken into use when their file is replaced */
#include "orchestrator/nodenet/dns_role.h"

#include "base/disk.h"
#include "base/init_proto.h"
#include "base/log.h"
#include "netstack/podnet/podnet.h"
#include "orchestrator/nodenet/dns_feed.h"
#include "orchestrator/nodenet/map.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESOLV_RUN "/run/resolv.conf"
#define RESOLV_ETC "/etc/resolv.conf"
#define CHANGES (IN_MOVED_TO | IN_CLOSE_WRITE)
/* Among the sockets, so that PID 1 lets go of names on which one process after the other dies. */
#define NAMES INIT_LISTEN "names"
#define LEAVE_NS NS_PER_SEC   /* changes of so long are left together */
#define PARTIAL_NS NS_PER_SEC /* so long a no waits for the API */
enum {
	PORT = 53,
	ADDRS_MAX = 2,
	UPSTREAMS_MAX = 8,
	FILE_MAX = 1 << 16,
	NAMES_MAX = 64 << 20,
	RECEIVE_BYTES = 1 << 20,
	NAME_AT = sizeof(INIT_LISTEN "udp ") - 1
};

struct dns_role {
	const struct machine_config *cfg;
	struct loop *loop;
	struct init_client *init;
	struct loop_fd notify;
	struct ip_addr addrs[ADDRS_MAX];
	size_t n_addrs;
	int udp[ADDRS_MAX], tcp[ADDRS_MAX];
	struct dns_zone *zone;
	struct dns_server *server;
	struct client *client;
	struct dns_feed *feed;
	struct buf pem; /* in use */
	int left;       /* the names of an earlier process; -1 = none */
	bool leaves;    /* something has been left */
	struct loop_timer leave, partial;
};

static struct dns_role role;

/* ---- sockets ---- */

static int
socket_open(const struct ip_addr *ip, bool tcp, int *ret)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	bool v6 = ip->family == 6;
	const struct sockaddr *sa = v6 ? (const struct sockaddr *)&in6
				       : (const struct sockaddr *)&in4;
	int on = 1, bytes = RECEIVE_BYTES, type = tcp ? SOCK_STREAM : SOCK_DGRAM;
	memcpy(&in4.sin_addr, ip->b, 4);
	memcpy(&in6.sin6_addr, ip->b, 16);
	_cleanup_fd_ int fd = socket(sa->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* Queries wait here while the role starts again. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if ((tcp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0) ||
		(v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
		bind(fd, sa, v6 ? sizeof(in6) : sizeof(in4)) < 0 || (tcp && listen(fd, 256) < 0))
		return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

/* sockets_open: of each address one for UDP and one for TCP; those PID 1 kept of an earlier process, or new ones. And
 * what it kept of that one's names. */
static int
sockets_open(struct dns_role *r, struct err *e)
{
	struct init_socket kept[2 * ADDRS_MAX + 1];
	size_t n = 2 * r->n_addrs;
	for (size_t i = 0; i < n; i++) {
		memcpy(kept[i].name, i % 2 ? INIT_LISTEN "tcp " : INIT_LISTEN "udp ", NAME_AT + 1);
		ip_format(&r->addrs[i / 2], kept[i].name + NAME_AT);
		kept[i].fd = -1;
	}
	memcpy(kept[n].name, NAMES, sizeof(NAMES));
	kept[n].fd = -1;
	int rc = r->init ? init_sockets(r->init, kept, n + 1) : 0;
	if (rc < 0)
		return err_errno(e, rc, "asking for kept sockets");
	r->left = kept[n].fd;
	for (size_t i = 0; i < n; i++) {
		bool opened = kept[i].fd < 0;
		if (opened)
			rc = socket_open(&r->addrs[i / 2], i % 2, &kept[i].fd);
		if (rc < 0)
			return err_errno(e, rc, "binding to port 53, %s", kept[i].name);
		if (opened && r->init)
			rc = init_fd_put(r->init, str_c(kept[i].name), kept[i].fd);
		if (rc < 0)
			return err_errno(e, rc, "giving socket %s to PID 1", kept[i].name);
		*(i % 2 ? &r->tcp[i / 2] : &r->udp[i / 2]) = kept[i].fd;
	}
	return 0;
}

/* ---- before the fence ---- */

static int
folders_watch(struct dns_role *r, struct err *e)
{
	int rc = disk_mkdirs(DNS_ROLE_DIR, 0755);
	if (rc < 0)
		return err_errno(e, rc, "making '%s'", DNS_ROLE_DIR);
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0 || inotify_add_watch(fd, DNS_ROLE_DIR, CHANGES) < 0 ||
		inotify_add_watch(fd, "/run", CHANGES) < 0)
		return err_errno(e, -errno, "watching '%s'", DNS_ROLE_DIR);
	r->notify.fd = fd;
	return 0;
}

/* Other processes' ends are told to roles that start some: not to this one. */
static void
on_exit_told(void *arg, int pid, int status, int64_t at_ns)
{
	(void)arg, (void)pid, (void)status, (void)at_ns;
}

int
dns_role_prepare(const struct machine_config *c, struct err *e)
{
	struct dns_role *r = &role;
	r->cfg = c;
	r->left = -1;
	if (ip_is_set(&c->cluster.dns4))
		r->addrs[r->n_addrs++] = c->cluster.dns4;
	if (ip_is_set(&c->cluster.dns6))
		r->addrs[r->n_addrs++] = c->cluster.dns6;
	r->loop = loop_new(NULL, "dns");
	if (!r->loop)
		return err_errno(e, -ENOMEM, "loop");
	int rc = init_client_new(r->loop, INIT_FD, on_exit_told, NULL, &r->init);
	if (rc < 0 && rc != -ENOTSOCK)
		return err_errno(e, rc, "reaching PID 1");
	rc = podnet_service_address(DNS_ROLE_LINK, r->addrs, r->n_addrs, e);
	if (rc == 0)
		rc = sockets_open(r, e);
	return rc < 0 ? rc : folders_watch(r, e);
}

/* ---- resolvers ---- */

static size_t
upstreams_read(struct dns_role *r, struct dns_upstream *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	if (disk_read_file(RESOLV_RUN, FILE_MAX, &text) < 0) {
		buf_clear(&text);
		if (disk_read_file(RESOLV_ETC, FILE_MAX, &text) < 0)
			return 0;
	}
	return map_resolvers(buf_view(&text), r->addrs, r->n_addrs, ret, UPSTREAMS_MAX);
}

static void
upstreams_renew(struct dns_role *r)
{
	struct dns_upstream up[UPSTREAMS_MAX];
	size_t n = upstreams_read(r, up);
	int rc = dns_server_upstreams(r->server, up, n);
	if (rc < 0)
		log_warn("resolvers: %s", strerror(-rc));
}

/* ---- names over the death of the process ---- */

/* names_read: what is left in fd, into the zone. 0 or -errno; then the zone has no services. */
static int
names_read(struct dns_zone *z, int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > NAMES_MAX)
		return -EBADMSG;
	_cleanup_buf_ struct buf b = BUF_INIT;
	size_t n = (size_t)st.st_size;
	char *p = buf_reserve(&b, n + 1);
	if (!p)
		return -ENOMEM;
	ssize_t got = pread(fd, p, n, 0);
	if (got != (ssize_t)n)
		return got < 0 ? -errno : -EBADMSG;
	buf_commit(&b, n);
	return dns_zone_load(z, buf_view(&b));
}

static int
names_leave(struct dns_role *r)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	dns_zone_save(r->zone, &b);
	if (b.failed)
		return -ENOMEM;
	if (b.len > NAMES_MAX)
		return -EFBIG;
	_cleanup_fd_ int fd = memfd_create("names", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (size_t at = 0; at < b.len;) {
		ssize_t n = pwrite(fd, b.data + at, b.len - at, (off_t)at);
		if (n < 0)
			return -errno;
		at += (size_t)n;
	}
	return init_fd_put(r->init, STR(NAMES), fd);
}

static void
on_leave(struct loop_timer *t)
{
	struct dns_role *r = t->arg;
	int rc = names_leave(r);
	if (rc < 0)
		log_warn("names for the next process: %s", strerror(-rc));
}

static void
on_change(void *arg)
{
	struct dns_role *r = arg;
	if (!r->init || loop_timer_is_set(&r->leave))
		return;
	/* The first at once: a process that does not live for a second leaves what it knew. */
	loop_timer_after(r->loop, &r->leave, r->leaves ? LEAVE_NS : 0);
	r->leaves = true;
}

/* ---- serving ---- */

static void
serve(struct dns_role *r, bool partial)
{
	struct dns_upstream up[UPSTREAMS_MAX];
	struct err e = {0};
	struct dns_server_config c = {.zone = r->zone,
		.udp_fds = r->udp,
		.n_udp_fds = r->n_addrs,
		.tcp_fds = r->tcp,
		.n_tcp_fds = r->n_addrs,
		.upstreams = up,
		.n_upstreams = upstreams_read(r, up),
		.partial = partial};
	if (dns_server_new(r->loop, &c, &r->server, &e) < 0) {
		log_error("serving: %s", e.msg);
		loop_stop(r->loop, 1);
		return;
	}
	log_info("%zu names on %zu addresses, %zu resolvers for others", dns_zone_names(r->zone),
		r->n_addrs, c.n_upstreams);
	if (r->init)
		init_ready(r->init);
}

static void
on_partial(struct loop_timer *t)
{
	struct dns_role *r = t->arg;
	if (r->server)
		dns_server_complete(r->server);
}

/* serve_left: with the names of the process before, if there are any: what they lack is at most a second old. */
static void
serve_left(struct dns_role *r)
{
	if (r->left < 0)
		return;
	int rc = names_read(r->zone, r->left);
	cleanup_fd(&r->left);
	r->left = -1;
	if (rc < 0) {
		log_warn("names of the process before: %s", strerror(-rc));
		return;
	}
	serve(r, true);
	loop_timer_after(r->loop, &r->partial, PARTIAL_NS);
}

static void
on_synced(void *arg)
{
	struct dns_role *r = arg;
	if (!r->server) {
		serve(r, false);
		return;
	}
	loop_timer_cancel(&r->partial);
	dns_server_complete(r->server);
	log_info("%zu names, as the API has them", dns_zone_names(r->zone));
}

static int
client_start(struct dns_role *r, struct str pem, struct err *e)
{
	struct client_https_config c = {.server = r->cfg->cluster.endpoint,
		.ca_pem = r->cfg->cluster.ca,
		.cert_pem = pem,
		.key_pem = pem,
		.user_agent = STR("keelson-dns")};
	int rc = client_https_new(r->loop, &c, &r->client, e);
	if (rc < 0)
		return rc;
	struct dns_feed_config f = {r->client, r->zone, on_synced, on_change, r};
	rc = dns_feed_new(&f, &r->feed);
	if (rc == 0)
		return 0;
	client_free(TAKE_PTR(r->client));
	return err_errno(e, rc, "watching services");
}

/* credentials_renew: what the node role has laid there, if it is new. Absent: it comes, and inotify tells. */
static void
credentials_renew(struct dns_role *r)
{
	_cleanup_buf_ struct buf pem = BUF_INIT;
	struct err e = {0};
	int rc = disk_read_file(DNS_ROLE_CREDENTIALS, FILE_MAX, &pem);
	if (rc == -ENOENT || (rc == 0 && str_eq(buf_view(&pem), buf_view(&r->pem))))
		return;
	if (rc < 0)
		err_errno(&e, rc, "reading '%s'", DNS_ROLE_CREDENTIALS);
	else if (r->client)
		rc = client_https_set_credentials(
			r->client, buf_view(&pem), buf_view(&pem), STR(""), &e);
	else
		rc = client_start(r, buf_view(&pem), &e);
	if (rc < 0) {
		log_warn("credentials: %s", e.msg);
		return;
	}
	buf_release(&r->pem);
	r->pem = pem;
	pem = (struct buf)BUF_INIT;
}

static void
on_notify(struct loop_fd *w, uint32_t revents)
{
	struct dns_role *r = w->arg;
	char bytes[4096];
	bool credentials = false, resolvers = false;
	ssize_t n;
	(void)revents;
	while ((n = read(w->fd, bytes, sizeof(bytes))) > 0) {
		struct str rest = str_from(bytes, (size_t)n);
		struct inotify_event ev;
		while (rest.n >= sizeof(ev)) {
			memcpy(&ev, rest.p, sizeof(ev));
			struct str name = str_sub(rest, sizeof(ev), sizeof(ev) + ev.len);
			name.n = strnlen(name.p, name.n);
			bool lost = ev.mask & IN_Q_OVERFLOW;
			credentials |= lost || str_eq(name, STR("client.pem"));
			resolvers |= lost || str_eq(name, STR("resolv.conf"));
			rest = str_sub(rest, sizeof(ev) + ev.len, SIZE_MAX);
		}
	}
	if (credentials)
		credentials_renew(r);
	if (resolvers && r->server)
		upstreams_renew(r);
}

static int
zone_make(struct dns_role *r)
{
	const typeof(((struct machine_config *)0)->cluster) *k = &r->cfg->cluster;
	const struct ip_prefix *const own[] = {&k->pod4, &k->pod6, &k->service4, &k->service6};
	char domain[256];
	if (!str_copy_c(k->dns_domain, domain, sizeof(domain)))
		return -EINVAL;
	struct dns_zone_config z = {.domain = domain,
		.server_addrs = r->addrs,
		.n_server_addrs = r->n_addrs,
		.pod_names = true};
	int rc = dns_zone_new(&z, &r->zone);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(own); i++)
		if (ip_is_set(&own[i]->addr))
			rc = dns_zone_reverse(r->zone, own[i]);
	return rc;
}

int
dns_role_main(const struct machine_config *c)
{
	struct dns_role *r = &role;
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	BUG_ON(r->cfg != c);
	sigaction(SIGPIPE, &ignore, NULL);
	int rc = zone_make(r);
	if (rc < 0) {
		log_error(
			"domain '" STR_FMT "': %s", STR_ARG(c->cluster.dns_domain), strerror(-rc));
		return 1;
	}
	r->notify.events = EPOLLIN;
	r->notify.prio = LOOP_PRIO_IO;
	r->notify.fn = on_notify;
	r->notify.arg = r;
	rc = loop_fd_add(r->loop, &r->notify);
	if (rc < 0) {
		log_error("watching '%s': %s", DNS_ROLE_DIR, strerror(-rc));
		return 1;
	}
	r->leave = (struct loop_timer){.fn = on_leave, .arg = r};
	r->partial = (struct loop_timer){.fn = on_partial, .arg = r};
	serve_left(r);
	credentials_renew(r);
	if (!r->client)
		log_info("waiting for the node's credentials");
	return loop_run(r->loop);
}
