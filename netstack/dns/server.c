/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The name server's sockets: UDP in batches, TCP with several questions on a connection, and the queries that wait for
 * an upstream, or for the zone to be complete. What is answered is decided in answer.c and forward.c. Bounded: clients,
 * waiting queries (of a connection, and for the zone), bytes a client may leave unread; idle connections are closed.
 * Source: RFC 1035 4.2, RFC 7766 (pipelining, idle time), RFC 9210. Contracts in dns.h. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netstack/dns/dns_int.h"

enum {
	FDS_MAX = 16,
	BATCH = 32,
	BATCHES_A_TURN = 8,
	UDP_IN = 2048,
	CONN_WAITING_MAX = 32,
	CONN_OUT_MAX = 256 * 1024,
	ACCEPTS_A_TURN = 32,
	HELD_MAX = 1024,
};
static const int64_t conn_idle_ns = 10 * NS_PER_SEC;

struct dns_server;

struct listener {
	struct loop_fd watch;
	struct dns_server *s;
};

struct conn {
	struct dns_server *s;
	struct conn *next, *prev; /* least recently used first */
	struct loop_fd watch;
	struct loop_timer idle;
	struct buf in, out;
	unsigned waiting;
	bool ended; /* no more questions will come */
};

/* A query that waits for an upstream's answer, or (held) for the zone to be complete. */
struct pending {
	struct dns_server *s;
	struct pending *next, *prev;
	struct conn *conn; /* NULL = UDP */
	int fd;
	struct sockaddr_storage peer;
	socklen_t peer_len;
	struct dquery q;
	bool cname; /* `msg` is the zone's beginning of an answer, else the query */
	bool held;
	size_t n;
	char msg[];
};

struct dns_server {
	struct loop *loop;
	struct dns_zone *zone;
	struct dforwarder *forwarder;
	struct listener udp[FDS_MAX], tcp[FDS_MAX];
	size_t n_udp, n_tcp;
	struct conn *oldest, *newest;
	size_t n_conns, max_conns;
	struct pending *pending;
	size_t n_held;
	bool partial;
	struct dns_stats stats;
	/* one batch of datagrams */
	struct mmsghdr in_hdr[BATCH], out_hdr[BATCH];
	struct iovec in_iov[BATCH], out_iov[BATCH];
	struct sockaddr_storage peers[BATCH];
	char in[BATCH][UDP_IN];
	uint8_t out[BATCH][DNS_UDP_MAX];
	uint8_t big[DNS_MSG_MAX]; /* one TCP answer */
};

static void conn_send(struct conn *c, const void *p, size_t n);
static void conn_update(struct conn *c);

/* ---- queries that wait ---- */

static void
pending_free(struct pending *p)
{
	*(p->prev != NULL ? &p->prev->next : &p->s->pending) = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	if (p->conn != NULL)
		p->conn->waiting--;
	p->s->n_held -= p->held;
	free(p);
}

static void
pending_reply(struct pending *p, const uint8_t *msg, size_t n)
{
	if (n == 0) {
		p->s->stats.dropped++;
		return;
	}
	p->s->stats.answers++;
	if (p->conn != NULL) {
		conn_send(p->conn, msg, n);
		return;
	}
	if (sendto(p->fd, msg, n, MSG_DONTWAIT, (struct sockaddr *)&p->peer, p->peer_len) < 0)
		p->s->stats.dropped++;
}

static void
on_answer(void *arg, const struct dcached *answer)
{
	struct pending *p = arg;
	struct dns_server *s = p->s;
	struct conn *c = p->conn;
	struct str msg = str_from(p->msg, p->n);
	size_t limit = c != NULL ? DNS_MSG_MAX : p->q.udp_size, n = 0;
	int64_t now = loop_now_ns(s->loop);

	if (answer == NULL)
		n = dns_error(msg, &p->q, RC_SERVFAIL, DNS_RA, s->big, sizeof(s->big));
	else if (p->cname)
		n = dcached_append(answer, msg, &p->q, now, limit, s->big, sizeof(s->big));
	else
		n = dcached_write(answer, msg, &p->q, now, limit, s->big, sizeof(s->big));
	pending_reply(p, s->big, n);
	pending_free(p);
	if (c != NULL)
		conn_update(c);
}

/* The target a zone's answer ends with: the data of its last record. */
static int
last_target(struct str begin, const struct dquery *q, struct dname *ret)
{
	size_t at = q->question_end;
	struct drr rr = {0};

	for (unsigned i = 0; i < dns_u16(begin, 6); i++)
		if (drr_parse(begin, &at, &rr) < 0)
			return -EBADMSG;
	at = rr.at;
	return rr.type == T_CNAME ? dname_parse(begin, &at, ret) : -EBADMSG;
}

/* A query put aside. `msg`: the query, or the zone's beginning of an answer. NULL: it was dropped. */
static struct pending *
put_aside(struct dns_server *s, struct str query, struct str msg, struct conn *conn, int fd,
	const struct sockaddr_storage *peer, socklen_t peer_len)
{
	struct pending *p = calloc(1, sizeof(*p) + msg.n);

	if (p == NULL || dquery_parse(query, &p->q) != 0) {
		free(p);
		s->stats.dropped++;
		return NULL;
	}
	p->s = s;
	p->conn = conn;
	p->fd = fd;
	p->peer_len = peer_len;
	p->n = msg.n;
	if (peer != NULL)
		p->peer = *peer;
	memcpy(p->msg, msg.p, msg.n);
	if (conn != NULL)
		conn->waiting++;
	p->next = s->pending;
	if (s->pending != NULL)
		s->pending->prev = p;
	s->pending = p;
	return p;
}

/* Passes the query on. `msg`: the query, or (cname) the zone's beginning of an answer. */
static void
forward(struct dns_server *s, struct str query, struct str msg, bool cname, struct conn *conn,
	int fd, const struct sockaddr_storage *peer, socklen_t peer_len)
{
	struct pending *p = put_aside(s, query, msg, conn, fd, peer, peer_len);
	struct dname target;

	if (p == NULL)
		return;
	p->cname = cname;
	target = p->q.name;
	if ((cname && last_target(msg, &p->q, &target) < 0) ||
		dforward_ask(s->forwarder, &target, p->q.type, on_answer, p) < 0)
		on_answer(p, NULL);
}

/* ---- while the zone is partial ---- */

/* A no of the zone's own: the name may be among what the zone still lacks. */
static bool
is_no(const uint8_t *answer, size_t n)
{
	uint16_t flags = dns_u16(str_from((const char *)answer, n), 2);

	return (flags & DNS_AA) && (flags & 15) == RC_NXDOMAIN;
}

/* True: the query waits (or was dropped, when too many do) and is not to be answered now. */
static bool
hold(struct dns_server *s, struct str query, const uint8_t *answer, size_t n, struct conn *conn,
	int fd, const struct sockaddr_storage *peer, socklen_t peer_len)
{
	struct pending *p = NULL;

	if (!s->partial || !is_no(answer, n))
		return false;
	if (s->n_held < HELD_MAX)
		p = put_aside(s, query, query, conn, fd, peer, peer_len);
	else
		s->stats.dropped++;
	if (p != NULL) {
		p->held = true;
		s->n_held++;
	} else if (conn != NULL) {
		conn->ended = true;
	}
	return true;
}

static void
held_answer(struct pending *p)
{
	struct dns_server *s = p->s;
	struct conn *c = p->conn;
	struct str query = str_from(p->msg, p->n);
	size_t n = 0;
	int code = dns_zone_answer(s->zone, query, c != NULL, dforwarder_can(s->forwarder), s->big,
		sizeof(s->big), &n);

	if (code == 1)
		pending_reply(p, s->big, n);
	else if (code == 0 || code == 3)
		forward(s, query, code == 0 ? query : str_from((char *)s->big, n), code == 3, c,
			p->fd, &p->peer, p->peer_len);
	pending_free(p);
	if (c != NULL)
		conn_update(c);
}

void
dns_server_complete(struct dns_server *s)
{
	s->partial = false;
	while (s->n_held > 0) {
		struct pending *p = s->pending;

		while (!p->held) /* there is one */
			p = p->next;
		held_answer(p);
	}
}

/* ---- UDP ---- */

/* Answers one datagram at once into out[k], or passes it on. True: out[k] is filled. */
static bool
udp_one(struct dns_server *s, int fd, unsigned i, unsigned k)
{
	const struct msghdr *mh = &s->in_hdr[i].msg_hdr;
	struct str query = str_from(s->in[i], s->in_hdr[i].msg_len);
	size_t n = 0;
	int code = 0;

	s->stats.queries++;
	if (mh->msg_flags & MSG_TRUNC) {
		s->stats.malformed++;
		return false;
	}
	code = dns_zone_answer(s->zone, query, false, dforwarder_can(s->forwarder), s->out[k],
		sizeof(s->out[k]), &n);
	switch (code) {
	case 0:
		forward(s, query, query, false, NULL, fd, &s->peers[i], mh->msg_namelen);
		return false;
	case 3:
		forward(s, query, str_from((char *)s->out[k], n), true, NULL, fd, &s->peers[i],
			mh->msg_namelen);
		return false;
	case 1:
		break;
	default:
		s->stats.malformed++;
		return false;
	}
	if (hold(s, query, s->out[k], n, NULL, fd, &s->peers[i], mh->msg_namelen))
		return false;
	s->stats.refused += (s->out[k][3] & 15) == RC_REFUSED;
	s->out_iov[k] = (struct iovec){s->out[k], n};
	s->out_hdr[k].msg_hdr = (struct msghdr){
		.msg_name = &s->peers[i],
		.msg_namelen = mh->msg_namelen,
		.msg_iov = &s->out_iov[k],
		.msg_iovlen = 1,
	};
	return true;
}

static void
udp_send(struct dns_server *s, int fd, unsigned n)
{
	unsigned done = 0;

	while (done < n) {
		int sent = sendmmsg(fd, s->out_hdr + done, n - done, MSG_DONTWAIT);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0) {
			/* the first of the rest cannot be sent: that client asks again */
			s->stats.dropped++;
			done++;
			continue;
		}
		s->stats.answers += (unsigned)sent;
		done += (unsigned)sent;
	}
}

static void
on_udp(struct loop_fd *w, uint32_t revents)
{
	struct listener *l = w->arg;
	struct dns_server *s = l->s;

	(void)revents;
	for (unsigned turn = 0; turn < BATCHES_A_TURN; turn++) {
		unsigned k = 0;
		int n = 0;

		for (unsigned i = 0; i < BATCH; i++) {
			s->in_iov[i] = (struct iovec){s->in[i], UDP_IN};
			s->in_hdr[i].msg_hdr = (struct msghdr){
				.msg_name = &s->peers[i],
				.msg_namelen = sizeof(s->peers[i]),
				.msg_iov = &s->in_iov[i],
				.msg_iovlen = 1,
			};
		}
		n = recvmmsg(w->fd, s->in_hdr, BATCH, MSG_DONTWAIT, NULL);
		if (n <= 0)
			return; /* nothing more; errors of single datagrams pass */
		for (unsigned i = 0; i < (unsigned)n; i++)
			k += udp_one(s, w->fd, i, k);
		udp_send(s, w->fd, k);
		if (n < BATCH)
			return;
	}
}

/* ---- TCP ---- */

static void
conn_link(struct conn *c)
{
	struct dns_server *s = c->s;

	c->next = NULL;
	c->prev = s->newest;
	*(s->newest != NULL ? &s->newest->next : &s->oldest) = c;
	s->newest = c;
}

static void
conn_unlink(struct conn *c)
{
	struct dns_server *s = c->s;

	*(c->prev != NULL ? &c->prev->next : &s->oldest) = c->next;
	*(c->next != NULL ? &c->next->prev : &s->newest) = c->prev;
}

static void
conn_free(void *p)
{
	struct conn *c = p;

	buf_release(&c->in);
	buf_release(&c->out);
	free(c);
}

static void
conn_close(struct conn *c)
{
	struct dns_server *s = c->s;
	struct pending *next = NULL;

	if (c->watch.fd < 0)
		return;
	for (struct pending *p = s->pending; p != NULL; p = next) {
		next = p->next;
		if (p->conn == c) {
			dforward_forget(s->forwarder, p);
			pending_free(p);
		}
	}
	loop_fd_del(&c->watch);
	loop_timer_cancel(&c->idle);
	cleanup_fd(&c->watch.fd);
	c->watch.fd = -1;
	conn_unlink(c);
	s->n_conns--;
	loop_free_later(s->loop, conn_free, c);
}

static void
on_idle(struct loop_timer *t)
{
	conn_close(t->arg);
}

static void
conn_touch(struct conn *c)
{
	conn_unlink(c);
	conn_link(c);
	loop_timer_after(c->s->loop, &c->idle, conn_idle_ns);
}

static void
conn_send(struct conn *c, const void *p, size_t n)
{
	if (c->watch.fd < 0)
		return;
	buf_be16(&c->out, (uint16_t)n);
	buf_add(&c->out, p, n);
}

/* Writes what can be written, then wants what is wanted. Closes a connection that is through. */
static void
conn_update(struct conn *c)
{
	uint32_t events = 0;

	if (c->watch.fd < 0)
		return;
	while (c->out.len > 0 && !c->out.failed) {
		ssize_t n = send(c->watch.fd, c->out.data, c->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			conn_close(c);
			return;
		}
		buf_consume(&c->out, (size_t)n);
		conn_touch(c);
	}
	if (c->out.failed || (c->ended && c->out.len == 0 && c->waiting == 0)) {
		conn_close(c);
		return;
	}
	if (c->out.len > 0)
		events |= EPOLLOUT;
	if (!c->ended && c->waiting < CONN_WAITING_MAX && c->out.len < CONN_OUT_MAX)
		events |= EPOLLIN;
	loop_fd_mod(&c->watch, events);
}

static void
conn_one(struct conn *c, struct str query)
{
	struct dns_server *s = c->s;
	size_t n = 0;
	int code = 0;

	s->stats.queries++;
	code = dns_zone_answer(
		s->zone, query, true, dforwarder_can(s->forwarder), s->big, sizeof(s->big), &n);
	switch (code) {
	case 0:
		forward(s, query, query, false, c, -1, NULL, 0);
		return;
	case 3:
		forward(s, query, str_from((char *)s->big, n), true, c, -1, NULL, 0);
		return;
	case 1:
		if (hold(s, query, s->big, n, c, -1, NULL, 0))
			return;
		s->stats.answers++;
		s->stats.refused += (s->big[3] & 15) == RC_REFUSED;
		conn_send(c, s->big, n);
		return;
	default:
		s->stats.malformed++;
		c->ended = true; /* whoever sends this will not send better */
		return;
	}
}

static void
conn_questions(struct conn *c)
{
	size_t at = 0;

	while (c->watch.fd >= 0 && !c->ended && c->waiting < CONN_WAITING_MAX &&
		c->out.len < CONN_OUT_MAX) {
		struct str rest = str_sub(buf_view(&c->in), at, SIZE_MAX);
		size_t n = dns_u16(rest, 0);

		if (rest.n < 2 || rest.n < 2 + n)
			break;
		conn_one(c, str_sub(rest, 2, 2 + n));
		at += 2 + n;
	}
	if (c->watch.fd >= 0)
		buf_consume(&c->in, at);
}

static void
on_conn(struct loop_fd *w, uint32_t revents)
{
	struct conn *c = w->arg;

	if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		char *room = buf_reserve(&c->in, 4096);
		ssize_t n = room != NULL ? recv(w->fd, room, 4096, MSG_DONTWAIT) : -1;

		if (room == NULL || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			conn_close(c);
			return;
		}
		if (n == 0)
			c->ended = true;
		if (n > 0) {
			buf_commit(&c->in, (size_t)n);
			conn_touch(c);
		}
	}
	conn_questions(c);
	conn_update(c);
}

static void
conn_new(struct dns_server *s, int fd)
{
	struct conn *c = NULL;

	if (s->n_conns >= s->max_conns)
		conn_close(s->oldest);
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		close(fd);
		return;
	}
	c->s = s;
	c->watch = (struct loop_fd){
		.fd = fd, .events = EPOLLIN, .prio = LOOP_PRIO_IO, .fn = on_conn, .arg = c};
	c->idle = (struct loop_timer){.fn = on_idle, .arg = c};
	buf_init(&c->in);
	buf_init(&c->out);
	c->in.max = DNS_MSG_MAX + 2 + 4096;
	if (loop_fd_add(s->loop, &c->watch) < 0) {
		close(fd);
		conn_free(c);
		return;
	}
	conn_link(c);
	s->n_conns++;
	s->stats.tcp_clients++;
	loop_timer_after(s->loop, &c->idle, conn_idle_ns);
}

static void
on_accept(struct loop_fd *w, uint32_t revents)
{
	struct listener *l = w->arg;

	(void)revents;
	for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
		int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return; /* nobody waits, or the client is gone, or no descriptors */
		conn_new(l->s, fd);
	}
}

/* ---- the server ---- */

static int
listen_on(struct dns_server *s, struct listener *l, int fd, bool tcp)
{
	l->s = s;
	l->watch = (struct loop_fd){
		.fd = fd,
		.events = EPOLLIN,
		.prio = tcp ? LOOP_PRIO_ACCEPT : LOOP_PRIO_IO,
		.fn = tcp ? on_accept : on_udp,
		.arg = l,
	};
	return loop_fd_add(s->loop, &l->watch);
}

int
dns_server_new(
	struct loop *l, const struct dns_server_config *c, struct dns_server **ret, struct err *e)
{
	struct dns_server *s = NULL;
	int code = 0;

	if (c->n_udp_fds > FDS_MAX || c->n_tcp_fds > FDS_MAX)
		return err_set(e, -E2BIG, R_UNKNOWN, "too many sockets for the name server");
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(e, -ENOMEM, R_UNKNOWN, "no memory for the name server");
	s->loop = l;
	s->zone = c->zone;
	s->partial = c->partial;
	s->max_conns = c->max_tcp_clients != 0 ? c->max_tcp_clients : 256;
	s->forwarder = dforwarder_new(l, c, &s->stats);
	if (s->forwarder == NULL)
		code = err_set(e, -ENOMEM, R_UNKNOWN, "upstream resolvers: too many or no memory");
	for (; code == 0 && s->n_udp < c->n_udp_fds; s->n_udp++)
		code = listen_on(s, &s->udp[s->n_udp], c->udp_fds[s->n_udp], false);
	for (; code == 0 && s->n_tcp < c->n_tcp_fds; s->n_tcp++)
		code = listen_on(s, &s->tcp[s->n_tcp], c->tcp_fds[s->n_tcp], true);
	if (code < 0) {
		/* the descriptors stay the caller's */
		for (size_t i = 0; i < s->n_udp; i++)
			loop_fd_del(&s->udp[i].watch);
		for (size_t i = 0; i < s->n_tcp; i++)
			loop_fd_del(&s->tcp[i].watch);
		dforwarder_free(s->forwarder);
		free(s);
		return e == NULL || e->code != 0 ? code : err_errno(e, code, "name server");
	}
	*ret = s;
	return 0;
}

void
dns_server_free(struct dns_server *s)
{
	if (s == NULL)
		return;
	while (s->oldest != NULL)
		conn_close(s->oldest);
	dforwarder_free(s->forwarder);
	while (s->pending != NULL)
		pending_free(s->pending);
	for (size_t i = 0; i < s->n_udp; i++) {
		loop_fd_del(&s->udp[i].watch);
		close(s->udp[i].watch.fd);
	}
	for (size_t i = 0; i < s->n_tcp; i++) {
		loop_fd_del(&s->tcp[i].watch);
		close(s->tcp[i].watch.fd);
	}
	free(s);
}

int
dns_server_upstreams(struct dns_server *s, const struct dns_upstream *u, size_t n)
{
	return dforwarder_upstreams(s->forwarder, u, n);
}

void
dns_server_stats(const struct dns_server *s, struct dns_stats *ret)
{
	*ret = s->stats;
}
