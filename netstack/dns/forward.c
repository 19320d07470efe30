/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Questions to upstream resolvers. Each has a socket of its own, so a port of the kernel's random choice, and
 * a random id; only a response from that address with that id and question counts. Truncated over
 * UDP: again over TCP. Silence or a server's failure: the next upstream, a bounded number of times.
 * Source: RFC 5452 (forgery), RFC 7766 (TCP), RFC 1035 7.3. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/rand.h"
#include "netstack/dns/dns_int.h"

enum { UPSTREAMS_MAX = 8, QUERY_MAX = 2 + DNS_HEADER + DNS_NAME_MAX + 4 + DNS_OPT_LEN };

struct dforward {
	struct dforwarder *f;
	struct dforward *next, *prev;
	struct dname name;
	uint16_t type, id;
	size_t upstream;
	unsigned tries;
	bool tcp;
	struct loop_fd watch;
	struct loop_timer timer;
	uint8_t query[QUERY_MAX]; /* with its length in front, as TCP wants it */
	size_t query_len, sent;
	struct buf in; /* TCP: length and answer */
	dforward_fn *done;
	void *arg;
};

struct dforwarder {
	struct loop *loop;
	struct dns_upstream upstreams[UPSTREAMS_MAX];
	size_t n_upstreams, preferred;
	struct dcache *cache;
	uint32_t max_ttl_s, max_inflight, inflight;
	int64_t timeout_ns;
	unsigned tries;
	struct dforward *first;
	struct dns_stats *stats;
};

static void try_next(struct dforward *q);

struct dforwarder *
dforwarder_new(struct loop *l, const struct dns_server_config *c, struct dns_stats *stats)
{
	struct dforwarder *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->loop = l;
	f->stats = stats;
	f->max_ttl_s = c->cache_max_ttl_s != 0 ? c->cache_max_ttl_s : 30;
	f->max_inflight = c->max_inflight != 0 ? c->max_inflight : 1024;
	f->timeout_ns = c->try_timeout_ns != 0 ? c->try_timeout_ns : 2 * NS_PER_SEC;
	f->tries = c->tries != 0 ? c->tries : 3;
	f->cache = dcache_new(c->cache_entries != 0 ? c->cache_entries : 4096);
	if (f->cache == NULL || dforwarder_upstreams(f, c->upstreams, c->n_upstreams) < 0) {
		dforwarder_free(f);
		return NULL;
	}
	return f;
}

int
dforwarder_upstreams(struct dforwarder *f, const struct dns_upstream *u, size_t n)
{
	if (n > UPSTREAMS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < n; i++) {
		f->upstreams[i] = u[i];
		if (f->upstreams[i].port == 0)
			f->upstreams[i].port = 53;
	}
	f->n_upstreams = n;
	f->preferred = 0;
	dcache_clear(f->cache);
	return 0;
}

bool
dforwarder_can(const struct dforwarder *f)
{
	return f->n_upstreams > 0;
}

/* ---- one question ---- */

static void
hang_up(struct dforward *q)
{
	loop_timer_cancel(&q->timer);
	if (q->watch.fd >= 0) {
		loop_fd_del(&q->watch);
		cleanup_fd(&q->watch.fd);
		q->watch.fd = -1;
	}
	buf_clear(&q->in);
	q->sent = 0;
}

static void
free_question(void *p)
{
	struct dforward *q = p;

	buf_release(&q->in);
	free(q);
}

static void
retire(struct dforward *q)
{
	struct dforwarder *f = q->f;

	hang_up(q);
	*(q->prev != NULL ? &q->prev->next : &f->first) = q->next;
	if (q->next != NULL)
		q->next->prev = q->prev;
	f->inflight--;
	loop_free_later(f->loop, free_question, q);
}

void
dforwarder_free(struct dforwarder *f)
{
	if (f == NULL)
		return;
	while (f->first != NULL)
		retire(f->first);
	dcache_free(f->cache);
	free(f);
}

void
dforward_forget(struct dforwarder *f, void *arg)
{
	struct dforward *next = NULL;

	for (struct dforward *q = f->first; q != NULL; q = next) {
		next = q->next;
		if (q->arg == arg)
			retire(q);
	}
}

static void
finish(struct dforward *q, struct dcached *answer)
{
	struct dforwarder *f = q->f;
	dforward_fn *done = q->done;
	void *arg = q->arg;
	struct dname name = q->name;
	uint16_t type = q->type;

	retire(q);
	done(arg, answer);
	if (answer != NULL && answer->cacheable)
		dcache_put(f->cache, &name, type, answer);
	else
		dcached_free(answer);
}

static socklen_t
address_of(const struct dns_upstream *u, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (u->addr.family == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)ret;

		in->sin_family = AF_INET;
		in->sin_port = htons(u->port);
		memcpy(&in->sin_addr, u->addr.b, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(u->port);
	memcpy(&in6->sin6_addr, u->addr.b, 16);
	return sizeof(*in6);
}

static void
write_query(struct dforward *q)
{
	struct dout o = {.p = q->query, .max = sizeof(q->query)};

	q->id = (uint16_t)rand_u64();
	dout_u16(&o, 0);
	dout_u16(&o, q->id);
	dout_u16(&o, DNS_RD);
	dout_u16(&o, 1);
	dout_u32(&o, 0);
	dout_u16(&o, 1);
	dout_bytes(&o, q->name.b, q->name.n);
	dout_u16(&o, q->type);
	dout_u16(&o, 1);
	dout_opt(&o, false, 0);
	dout_patch16(&o, 0, (uint16_t)(o.n - 2));
	q->query_len = o.n;
}

/* A response to this very question. */
static bool
is_ours(const struct dforward *q, struct str msg)
{
	size_t at = DNS_HEADER;
	struct dname name;

	return msg.n >= DNS_HEADER && dns_u16(msg, 0) == q->id && (dns_u16(msg, 2) & DNS_QR) &&
		!(dns_u16(msg, 2) & DNS_OPCODE) && dns_u16(msg, 4) == 1 &&
		dname_parse(msg, &at, &name) == 0 && dname_eq(&name, &q->name) &&
		dns_u16(msg, at) == q->type && dns_u16(msg, at + 2) == 1;
}

static int start(struct dforward *q, bool tcp);

static void
take_response(struct dforward *q, struct str msg)
{
	unsigned rcode = dns_u16(msg, 2) & 15;
	struct dcached *answer = NULL;

	if ((dns_u16(msg, 2) & DNS_TC) && !q->tcp) {
		hang_up(q);
		if (start(q, true) < 0)
			try_next(q);
		return;
	}
	if (rcode == RC_OK || rcode == RC_NXDOMAIN)
		answer = dcached_make(
			msg, &q->name, q->type, loop_now_ns(q->f->loop), q->f->max_ttl_s);
	if (answer == NULL) {
		try_next(q); /* a failure of that server, or nonsense */
		return;
	}
	q->f->preferred = q->upstream;
	finish(q, answer);
}

static void
on_udp(struct dforward *q)
{
	static _Thread_local char in[DNS_MSG_MAX];

	for (unsigned i = 0; i < 16; i++) {
		ssize_t n = recv(q->watch.fd, in, sizeof(in), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				try_next(q); /* port unreachable and the like */
			return;
		}
		if (is_ours(q, str_from(in, (size_t)n))) {
			take_response(q, str_from(in, (size_t)n));
			return;
		}
	}
}

static void
on_tcp(struct dforward *q, uint32_t revents)
{
	if (q->sent < q->query_len && (revents & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
		ssize_t n = send(q->watch.fd, q->query + q->sent, q->query_len - q->sent,
			MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			try_next(q);
			return;
		}
		q->sent += n > 0 ? (size_t)n : 0;
		if (q->sent == q->query_len)
			loop_fd_mod(&q->watch, EPOLLIN);
		return;
	}
	for (;;) {
		char *room = buf_reserve(&q->in, 4096);
		ssize_t n = room != NULL ? recv(q->watch.fd, room, 4096, MSG_DONTWAIT) : 0;
		struct str got = STR_NONE;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			try_next(q);
			return;
		}
		buf_commit(&q->in, (size_t)n);
		got = buf_view(&q->in);
		if (got.n < 2 || got.n < 2u + dns_u16(got, 0))
			continue;
		got = str_sub(got, 2, 2u + dns_u16(got, 0));
		if (is_ours(q, got))
			take_response(q, got);
		else
			try_next(q);
		return;
	}
}

static void
on_ready(struct loop_fd *w, uint32_t revents)
{
	struct dforward *q = w->arg;

	if (q->tcp)
		on_tcp(q, revents);
	else
		on_udp(q);
}

static void
on_timeout(struct loop_timer *t)
{
	struct dforward *q = t->arg;

	q->f->stats->timeouts++;
	try_next(q);
}

/* Sends the question to the present upstream. Errors: -errno, nothing is left open. */
static int
start(struct dforward *q, bool tcp)
{
	const struct dns_upstream *u = &q->f->upstreams[q->upstream];
	struct sockaddr_storage sa;
	socklen_t len = address_of(u, &sa);
	int type = (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, code = 0;

	q->tcp = tcp;
	q->sent = 0;
	write_query(q);
	q->watch = (struct loop_fd){
		.fd = socket(sa.ss_family, type, 0),
		.events = tcp ? EPOLLOUT : EPOLLIN,
		.prio = LOOP_PRIO_IO,
		.fn = on_ready,
		.arg = q,
	};
	if (q->watch.fd < 0)
		return -errno;
	if (connect(q->watch.fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS)
		code = -errno;
	else if (!tcp && send(q->watch.fd, q->query + 2, q->query_len - 2, MSG_NOSIGNAL) < 0)
		code = -errno;
	else
		code = loop_fd_add(q->f->loop, &q->watch);
	if (code < 0) {
		cleanup_fd(&q->watch.fd);
		q->watch.fd = -1;
		return code;
	}
	loop_timer_after(q->f->loop, &q->timer, q->f->timeout_ns);
	return 0;
}

static void
try_next(struct dforward *q)
{
	hang_up(q);
	while (q->tries < q->f->tries && q->f->n_upstreams > 0) {
		q->upstream = (q->f->preferred + q->tries++) % q->f->n_upstreams;
		if (start(q, false) == 0)
			return;
	}
	finish(q, NULL);
}

int
dforward_ask(
	struct dforwarder *f, const struct dname *name, uint16_t type, dforward_fn *done, void *arg)
{
	const struct dcached *cached = dcache_get(f->cache, name, type, loop_now_ns(f->loop));
	struct dforward *q = NULL;

	if (cached != NULL) {
		f->stats->cache_hits++;
		done(arg, cached);
		return 0;
	}
	if (f->inflight >= f->max_inflight || (q = calloc(1, sizeof(*q))) == NULL)
		return -EBUSY;
	q->f = f;
	q->name = *name;
	q->type = type;
	q->done = done;
	q->arg = arg;
	q->watch.fd = -1;
	q->timer = (struct loop_timer){.fn = on_timeout, .arg = q};
	buf_init(&q->in);
	q->in.max = DNS_MSG_MAX + 2 + 4096;
	q->next = f->first;
	if (f->first != NULL)
		f->first->prev = q;
	f->first = q;
	f->inflight++;
	f->stats->forwarded++;
	try_next(q);
	return 0;
}
