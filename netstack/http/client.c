/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * client: connections to others: resolving, connecting, the pool; contract in client.h, calls in
 * call.c.
 * Place in the flow: http_call_start -> here -> wire.
 * Invariants: a connection serves one call at a time; it may be used again only by calls of the same
 * key (scheme, host, port, address, verified name, TLS context). Nothing blocks: connects are
 * non-blocking, addresses are tried in order, each with its share of the time. */
#include "netstack/http/client_int.h"
#include "netstack/http/sockaddr.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static const struct http_wire_ops link_ops;
static void try_next(struct http_call *c);

/* ---- connections ---------------------------------------------------------------------------------- */

static void
link_release_memory(void *p)
{
	struct link_conn *l = p;

	tls_ctx_unref(l->tls);
	free(l);
}

static void
link_forget(struct link_conn *l)
{
	struct http_client *c = l->client;

	if (l->prev)
		l->prev->next = l->next;
	else
		c->conns = l->next;
	if (l->next)
		l->next->prev = l->prev;
	loop_timer_cancel(&l->idle);
	loop_defer_cancel(&l->rest);
	l->wire = NULL;
	loop_free_later(c->loop, link_release_memory, l);
}

void
http_link_drop(struct link_conn *l)
{
	http_wire_free(l->wire);
	link_forget(l);
}

struct http_wire *
http_link_detach(struct link_conn *l)
{
	struct http_wire *w = l->wire;

	link_forget(l);
	return w;
}

static void
link_idle_over(struct loop_timer *t)
{
	http_link_drop(t->arg);
}

/* link_rest: an idle connection's buffers go back, once the input that ended its call was taken. */
static void
link_rest(struct loop_work *w)
{
	struct link_conn *l = w->arg;

	if (!l->call)
		http_wire_idle(l->wire);
}

void
http_link_release(struct link_conn *l, bool keep)
{
	struct http_client *c = l->client;
	struct link_conn *oldest = NULL;
	size_t n = 0;

	l->call = NULL;
	if (!keep || l->wire->eof || l->wire->is_broken || http_wire_queued(l->wire) > 0) {
		http_link_drop(l);
		return;
	}
	l->idle_since_ns = loop_now_ns(c->loop);
	for (struct link_conn *o = c->conns; o; o = o->next) {
		if (o->call || !str_eq(o->key, l->key))
			continue;
		n++;
		if (!oldest || o->idle_since_ns < oldest->idle_since_ns)
			oldest = o;
	}
	if (n > c->cfg.max_idle_per_host)
		http_link_drop(oldest);
	if (oldest != l || n <= c->cfg.max_idle_per_host) {
		loop_timer_after(c->loop, &l->idle, c->cfg.idle_ns);
		http_wire_pause(l->wire, false, false);
		loop_defer(c->loop, &l->rest);
	}
}

static void
link_established(void *arg)
{
	struct link_conn *l = arg;

	if (l->call)
		http_call_ready(l->call);
}

static size_t
link_data(void *arg, struct str bytes)
{
	struct link_conn *l = arg;

	if (l->call)
		return http_call_data(l->call, bytes);
	http_link_drop(l); /* a server that speaks first is no HTTP server */
	return bytes.n;
}

static void
link_eof(void *arg)
{
	struct link_conn *l = arg;

	if (l->call)
		http_call_eof(l->call);
	else
		http_link_drop(l);
}

static void
link_sent(void *arg)
{
	struct link_conn *l = arg;

	if (l->call)
		http_call_sent(l->call);
}

static void
link_broken(void *arg, const struct err *e)
{
	struct link_conn *l = arg;
	struct http_call *c = l->call;
	struct err kept = *e;

	http_link_drop(l);
	if (!c)
		return;
	c->conn = NULL;
	l->call = NULL;
	if (c->state == CALL_CONNECT) {
		c->connect_error = kept;
		/* A certificate that is wrong is wrong at every address. */
		if (kept.code == -EACCES)
			http_call_fail(c, &kept);
		else
			try_next(c);
		return;
	}
	http_call_broken(c, &kept);
}

static const struct http_wire_ops link_ops = {
	.established = link_established,
	.data = link_data,
	.eof = link_eof,
	.sent = link_sent,
	.broken = link_broken,
};

/* ---- connecting ------------------------------------------------------------------------------------ */

/* link_new: a connect to one address is under way. 0 or -errno. */
static int
link_new(struct http_call *c, const struct http_addr *addr)
{
	struct http_client *cl = c->client;
	struct link_conn *l = calloc(1, sizeof(*l) + c->key.n);
	struct tls_conn *tls = NULL;
	struct sockaddr_storage sa;
	socklen_t n = http_sockaddr(addr, &sa);
	int r = l ? 0 : -ENOMEM;
	_cleanup_fd_ int fd = r == 0
		? socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
		: -1;

	if (r == 0 && fd < 0)
		r = -errno;
	if (r == 0 && connect(fd, (struct sockaddr *)&sa, n) < 0 && errno != EINPROGRESS)
		r = -errno;
	if (r == 0 && c->url.tls)
		r = tls_client_new(c->tls, c->verify, &tls);
	if (r == 0)
		r = http_wire_new(
			cl->loop, TAKE_FD(fd), true, tls, &link_ops, l, &cl->wires, &l->wire);
	if (r < 0) {
		free(l);
		return r;
	}
	memcpy(l + 1, c->key.p, c->key.n);
	l->key = str_from((char *)(l + 1), c->key.n);
	l->client = cl;
	l->tls = c->tls ? tls_ctx_ref(c->tls) : NULL;
	l->remote = *addr;
	l->idle = (struct loop_timer){.fn = link_idle_over, .arg = l};
	l->rest = (struct loop_work){.fn = link_rest, .arg = l};
	l->next = cl->conns;
	if (l->next)
		l->next->prev = l;
	cl->conns = l;
	l->call = c;
	c->conn = l;
	return 0;
}

/* try_next: the next address; none left: the last error. */
static void
try_next(struct http_call *c)
{
	while (c->next_addr < c->n_addrs) {
		const struct http_addr *a = &c->addrs[c->next_addr++];
		int r = link_new(c, a);
		if (r == 0) {
			int64_t now = loop_now_ns(c->client->loop);
			size_t left = c->n_addrs - c->next_addr + 1;
			c->state = CALL_CONNECT;
			c->connect_at_ns = now +
				(c->start_ns + c->client->cfg.connect_ns - now) / (int64_t)left;
			http_call_timer(c);
			return;
		}
		char text[HTTP_ADDR_TEXT] = "";
		http_addr_format(a, text);
		err_errno(&c->connect_error, r, "connecting to '%s'", text);
	}
	if (!c->connect_error.code)
		err_set(&c->connect_error, -ENOENT, R_UNKNOWN, "no address for '" STR_FMT "'",
			STR_ARG(c->url.host));
	http_call_fail(c, &c->connect_error);
}

void
http_resolved(struct http_resolve *q, int error, const struct ip_addr *ips, size_t n)
{
	struct http_call *c = q->call;

	c->resolving = false;
	for (size_t i = 0; i < n && c->n_addrs < ADDRS_MAX; i++)
		c->addrs[c->n_addrs++] = (struct http_addr){ips[i], c->url.port};
	if (n == 0)
		err_errno(&c->connect_error, error ? error : -ENOENT, "looking up '" STR_FMT "'",
			STR_ARG(c->url.host));
	try_next(c);
}

/* pool_take: an idle connection of the same key, the one used last. */
static struct link_conn *
pool_take(struct http_call *c)
{
	struct link_conn *best = NULL;

	for (struct link_conn *l = c->client->conns; l; l = l->next)
		if (!l->call && l->wire->ready && !l->wire->eof && !l->wire->is_broken &&
			str_eq(l->key, c->key) && (!best || l->idle_since_ns > best->idle_since_ns))
			best = l;
	return best;
}

void
http_call_connect(struct http_call *c)
{
	struct http_client *cl = c->client;
	struct ip_addr ip;
	struct link_conn *l = c->fresh || c->retried ? NULL : pool_take(c);

	if (l) {
		loop_timer_cancel(&l->idle);
		l->call = c;
		c->conn = l;
		http_call_ready(c);
		return;
	}
	c->next_addr = 0;
	c->connect_error = (struct err){0};
	if (c->n_addrs > 0) {
		try_next(c);
	} else if (ip_parse(c->url.host, &ip) == 0) {
		c->addrs[c->n_addrs++] = (struct http_addr){ip, c->url.port};
		try_next(c);
	} else if (str_eq_nocase(c->url.host, STR("localhost"))) {
		c->addrs[0] = (struct http_addr){ip_v4(0x7f000001), c->url.port};
		c->addrs[1] = (struct http_addr){{.family = 6, .b = {[15] = 1}}, c->url.port};
		c->n_addrs = 2;
		try_next(c);
	} else if (cl->cfg.resolver.start) {
		c->state = CALL_RESOLVE;
		c->resolving = true;
		c->resolve.call = c;
		c->connect_at_ns = c->start_ns + cl->cfg.connect_ns;
		http_call_timer(c);
		cl->cfg.resolver.start(cl->cfg.resolver.arg, c->url.host, &c->resolve);
	} else {
		struct err e = {0};
		err_set(&e, -ENOENT, R_UNKNOWN, "no resolver for '" STR_FMT "'",
			STR_ARG(c->url.host));
		http_call_fail(c, &e);
	}
}

/* ---- the client ------------------------------------------------------------------------------------ */

int
http_client_new(const struct http_client_config *cfg, struct http_client **ret)
{
	struct http_client *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->cfg = *cfg;
	c->loop = cfg->loop;
	c->cfg.max_idle_per_host = cfg->max_idle_per_host ? cfg->max_idle_per_host : 8;
	c->cfg.idle_ns = cfg->idle_ns ? cfg->idle_ns : 90 * NS_PER_SEC;
	c->cfg.connect_ns = cfg->connect_ns ? cfg->connect_ns : 10 * NS_PER_SEC;
	*ret = c;
	return 0;
}

void
http_client_close_idle(struct http_client *c)
{
	for (struct link_conn *l = c->conns, *next = NULL; l; l = next) {
		next = l->next;
		if (!l->call)
			http_link_drop(l);
	}
}

void
http_client_free(struct http_client *c)
{
	if (!c)
		return;
	while (c->calls)
		http_call_cancel(c->calls);
	while (c->conns)
		http_link_drop(c->conns);
	http_wire_list_release(&c->wires);
	free(c);
}
