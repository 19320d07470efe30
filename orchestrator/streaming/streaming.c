/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * streaming: the server itself: its socket and certificate, the table of routes, what is open.
 * Flow of a request: route -> access_check -> the row's function -> a reply or an upgrade. */
#include "orchestrator/streaming/streaming_int.h"

#include <stdlib.h>

#define CONNS_MAX 2000
#define ARENA_BYTES (8 << 20)

/* ---- replies ---- */

void
reply_text(struct http_req *r, int status, struct str text)
{
	http_reply(r, status, STR("text/plain; charset=utf-8"), text);
}

void
reply_err(struct http_req *r, const struct err *e)
{
	int status = e->reason == R_UNKNOWN ? 500 : reason_http(e->reason);
	reply_text(r, status, arena_fmt(r->arena, "%s\n", e->msg));
}

void
reply_upgrade(struct http_req *r, int code)
{
	if (code == -EINVAL)
		reply_text(r, 400, STR("unable to upgrade: missing upgrade headers in request\n"));
	else if (code == -EPROTONOSUPPORT)
		reply_text(r, 403, STR("unable to upgrade: unable to negotiate protocol\n"));
}

/* ---- what is open ---- */

void
upgraded_add(struct streaming *s, struct upgraded *u, void (*stop)(struct upgraded *u))
{
	u->stop = stop;
	u->at = &s->upgraded;
	u->next = s->upgraded;
	if (u->next)
		u->next->at = &u->next;
	s->upgraded = u;
}

void
upgraded_del(struct upgraded *u)
{
	*u->at = u->next;
	if (u->next)
		u->next->at = u->at;
}

/* ---- routes ---- */

struct route {
	const char *path; /* one that ends with "/" is a folder */
	const char *sub;  /* of nodes, asked for before "proxy"; NULL: proxy only */
	void (*fn)(struct streaming *s, struct http_req *r, const struct query_target *t);
	bool get, post;
	bool container, uid; /* the shape of the rest */
};

static void
do_healthz(struct streaming *s, struct http_req *r, const struct query_target *t)
{
	(void)s, (void)t;
	reply_text(r, 200, STR("ok"));
}

static void
do_pods(struct streaming *s, struct http_req *r, const struct query_target *t)
{
	struct buf b;
	(void)t;
	if (!s->cfg.pods) {
		reply_text(r, 404, STR("404 page not found\n"));
		return;
	}
	buf_init_arena(&b, r->arena);
	s->cfg.pods(s->cfg.arg, &b);
	if (b.failed)
		reply_text(r, 500, STR("no memory\n"));
	else
		http_reply(r, 200, STR("application/json"), buf_view(&b));
}

static void
do_exec(struct streaming *s, struct http_req *r, const struct query_target *t)
{
	session_serve(s, r, t, false);
}

static void
do_attach(struct streaming *s, struct http_req *r, const struct query_target *t)
{
	session_serve(s, r, t, true);
}

static const struct route routes[] = {
	{"/healthz", "healthz", do_healthz, .get = true},
	{"/pods", "pods", do_pods, .get = true},
	{"/pods/", "pods", do_pods, .get = true},
	{"/containerLogs/", NULL, logs_serve, .get = true, .container = true},
	{"/exec/", NULL, do_exec, .get = true, .post = true, .container = true, .uid = true},
	{"/attach/", NULL, do_attach, .get = true, .post = true, .container = true, .uid = true},
	{"/portForward/", NULL, forward_serve, .get = true, .post = true, .uid = true},
};

struct routed {
	struct streaming *s;
	const struct route *route;
	struct query_target target;
	const char *subs[2];
};

static void
granted(struct http_req *r, void *arg)
{
	struct routed *x = arg;
	x->route->fn(x->s, r, &x->target);
}

/* route_of: -ENOENT. rest is what stands behind a folder. */
static const struct route *
route_of(struct str path, struct str *ret_rest)
{
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		struct str p = str_c(routes[i].path);
		*ret_rest = str_sub(path, p.n, SIZE_MAX);
		if (str_eq(path, p) || (p.p[p.n - 1] == '/' && str_starts(path, p)))
			return &routes[i];
	}
	return NULL;
}

static void
on_request(void *arg, struct http_req *r)
{
	struct routed *x = ARENA_NEW(r->arena, struct routed);
	struct str path, rest;
	const struct route *route = NULL;
	if (!x || http_url_decode(r->arena, r->path, false, &path) < 0) {
		reply_text(r, 400, STR("bad request\n"));
		return;
	}
	route = route_of(path, &rest);
	*x = (struct routed){.s = arg, .route = route};
	bool shaped = route && (route->container || route->uid);
	if (!route ||
		(shaped ? query_target(rest, route->container, route->uid, &x->target) < 0
			: rest.n > 0)) {
		reply_text(r, 404, STR("404 page not found\n"));
		return;
	}
	if (!(route->get && str_eq(r->method, STR("GET"))) &&
		!(route->post && str_eq(r->method, STR("POST")))) {
		reply_text(r, 405, STR("405: Method Not Allowed\n"));
		return;
	}
	size_t n = 0;
	if (route->sub)
		x->subs[n++] = route->sub;
	x->subs[n++] = "proxy";
	access_check(x->s, r, x->subs, n, granted, x);
}

/* ---- the server ---- */

int
streaming_set_certificate(
	struct streaming *s, struct str cert_pem, struct str key_pem, struct err *e)
{
	struct tls_pair pair = {cert_pem, key_pem};
	struct tls_config cfg = {.server = true,
		.pairs = &pair,
		.n_pairs = 1,
		.ca_pem = s->cfg.ca_pem,
		.client_auth = TLS_CLIENT_OPTIONAL};
	struct tls_ctx *tls = NULL;
	int rc = tls_ctx_new(&cfg, &tls, e);
	if (rc < 0)
		return rc;
	if (s->http)
		http_server_set_tls(s->http, tls);
	tls_ctx_unref(s->tls);
	s->tls = tls;
	return 0;
}

static int
server_open(struct streaming *s, struct str listen, struct http_addr *ret_bound, struct err *e)
{
	struct http_addr at;
	int fd = -1;
	if (http_addr_parse(listen, &at) < 0)
		return err_set(e, -EINVAL, R_INVALID, "invalid address '" STR_FMT "'",
			STR_ARG(listen));
	int rc = http_listen(&at, false, &fd, ret_bound, e);
	if (rc < 0)
		return rc;
	struct http_server_config cfg = {.loop = s->cfg.loop,
		.listen_fd = fd,
		.tls = s->tls,
		.on_request = on_request,
		.arg = s,
		.max_conns = CONNS_MAX,
		.arena_bytes = ARENA_BYTES};
	rc = http_server_new(&cfg, &s->http);
	if (rc < 0)
		err_errno(e, rc, "starting the node API");
	return rc;
}

int
streaming_new(const struct streaming_config *cfg, struct streaming **ret,
	struct http_addr *ret_bound, struct err *e)
{
	struct streaming *s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	s->cfg = *cfg;
	map_init(&s->verdicts);
	s->a = arena_new(0);
	s->cfg.listen = s->cfg.cert_pem = s->cfg.key_pem = STR_NONE;
	int rc = s->a ? 0 : err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	if (rc == 0) {
		s->cfg.ca_pem = arena_str(s->a, cfg->ca_pem);
		s->cfg.node_name = arena_str(s->a, cfg->node_name);
		if (arena_failed(s->a))
			rc = err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	}
	if (rc == 0)
		rc = streaming_set_certificate(s, cfg->cert_pem, cfg->key_pem, e);
	if (rc == 0)
		rc = server_open(s, cfg->listen, ret_bound, e);
	if (rc < 0) {
		streaming_free(s);
		return rc;
	}
	*ret = s;
	return 0;
}

void
streaming_free(struct streaming *s)
{
	if (!s)
		return;
	while (s->upgraded)
		s->upgraded->stop(s->upgraded);
	if (s->http)
		http_server_free(s->http);
	tls_ctx_unref(s->tls);
	access_release(s);
	arena_free(s->a);
	free(s);
}
