/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * serve: the node API on port 10250: who asks (certificate of the cluster's authority, or a bearer token
 * by TokenReview), whether he may (SubjectAccessReview on nodes and their subresources, kept for a while), and
 * then the row of the route table. Nothing is served before both are answered, /healthz included.
 * Source: kubelet authentication/authorization documentation; kubelet server (routes); KEP-2862. */
#include "orchestrator/node/node_int.h"

#define ALLOW_NS (300 * NS_PER_SEC)
#define DENY_NS (30 * NS_PER_SEC)
#define VERDICTS_MAX 4096

struct serve {
	struct node *n;
	struct http_server *http;
	struct tls_ctx *tls;
	struct map verdicts; /* "user verb sub" -> struct verdict */
};

struct verdict {
	bool allowed;
	int64_t until_ns;
};

struct route {
	const char *prefix;
	const char *sub; /* subresource of nodes; "" for proxy */
	void (*fn)(struct serve *s, struct http_req *r, struct str rest);
};

struct asking {
	struct serve *s;
	struct http_req *r;
	const struct route *route;
	struct client_call *call;
	struct str rest, user, key;
	struct str *groups;
	size_t n_groups;
	bool fine; /* the fine-grained subresource was asked about already */
};

/* ---- routes ---- */

static void
plain(struct http_req *r, int status, const char *text)
{
	http_reply(r, status, STR("text/plain; charset=utf-8"), str_c(text));
}

static void
do_healthz(struct serve *s, struct http_req *r, struct str rest)
{
	(void)s, (void)rest;
	plain(r, 200, "ok");
}

static void
do_pods(struct serve *s, struct http_req *r, struct str rest)
{
	struct buf b;
	size_t pos = 0;
	void *v = NULL;
	bool first = true;
	(void)rest;
	buf_init_arena(&b, r->arena);
	buf_cstr(&b, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[");
	while (map_next(&s->n->pods, &pos, NULL, &v)) {
		struct pod *p = v;
		struct doc *d = p->o
			? schema_from_struct(r->arena, SCHEMA_TYPE_OF(core_v1_pod), p->o)
			: NULL;
		if (!d)
			continue;
		buf_cstr(&b, first ? "" : ",");
		first = false;
		doc_write_json(&b, d);
	}
	buf_cstr(&b, "]}\n");
	http_reply(r, 200, STR("application/json"), buf_view(&b));
}

/* target: "ns/pod[/uid]/container" -> pod and container; answers 404 itself. */
static struct pod *
target_pod(struct serve *s, struct http_req *r, struct str rest, struct str *ret_ctr)
{
	struct str ns, name, tail, uid;
	if (!str_cut(rest, '/', &ns, &name) || !ns.n) {
		plain(r, 404, "404 page not found\n");
		return NULL;
	}
	str_cut(name, '/', &name, &tail);
	if (tail.n && str_rcut(tail, '/', &uid, &tail) && !str_is_set(tail))
		tail = STR("");
	struct pod *p = pod_find(s->n, ns, name);
	if (!p || !p->o) {
		struct str text = arena_fmt(r->arena, "pod does not exist\n");
		http_reply(r, 404, STR("text/plain; charset=utf-8"), text);
		return NULL;
	}
	*ret_ctr = tail;
	return p;
}

static struct ctr *
target_ctr(struct serve *s, struct http_req *r, struct str rest, struct pod **ret_pod)
{
	struct str name = STR("");
	struct pod *p = target_pod(s, r, rest, &name);
	struct ctr *c = p ? pod_ctr(p, name) : NULL;
	if (p && !c) {
		struct str text = arena_fmt(r->arena,
			"container " STR_FMT " is not valid for pod %s\n", STR_ARG(name), p->name);
		http_reply(r, 400, STR("text/plain; charset=utf-8"), text);
	}
	*ret_pod = p;
	return c;
}

static void
do_logs(struct serve *s, struct http_req *r, struct str rest)
{
	struct pod *p = NULL;
	struct ctr *c = target_ctr(s, r, rest, &p);
	if (c)
		serve_logs(s->n, r, p, c);
}

static void
run_in(struct serve *s, struct http_req *r, struct str rest, bool attach)
{
	struct pod *p = NULL;
	struct ctr *c = target_ctr(s, r, rest, &p);
	if (!c)
		return;
	if (!ctr_running(c)) {
		struct str text = arena_fmt(r->arena, "container not found (\"%s\")\n", c->name);
		http_reply(r, 404, STR("text/plain; charset=utf-8"), text);
		return;
	}
	serve_exec(s->n, r, str_c(c->id), attach);
}

static void
do_exec(struct serve *s, struct http_req *r, struct str rest)
{
	run_in(s, r, rest, false);
}

static void
do_attach(struct serve *s, struct http_req *r, struct str rest)
{
	run_in(s, r, rest, true);
}

static void
do_port_forward(struct serve *s, struct http_req *r, struct str rest)
{
	struct str unused;
	struct pod *p = target_pod(s, r, rest, &unused);
	if (p)
		serve_port_forward(s->n, r, p);
}

static const struct route routes[] = {
	{"/healthz", "healthz", do_healthz},
	{"/pods", "pods", do_pods},
	{"/containerLogs/", "", do_logs},
	{"/exec/", "", do_exec},
	{"/attach/", "", do_attach},
	{"/portForward/", "", do_port_forward},
};

/* ---- may he? ---- */

static void review(struct asking *x);

static void
decided(struct asking *x, bool allowed)
{
	struct http_req *r = x->r;
	if (http_aborted(r))
		http_drop(r);
	else if (allowed)
		x->route->fn(x->s, r, x->rest);
	else {
		struct str text = arena_fmt(r->arena,
			"Forbidden (user=" STR_FMT
			", verb=%s, resource=nodes, subresource(s)=[proxy])\n",
			STR_ARG(x->user), str_eq(r->method, STR("GET")) ? "get" : "create");
		http_reply(r, 403, STR("text/plain; charset=utf-8"), text);
	}
}

static void
verdict_keep(struct asking *x, bool allowed)
{
	struct serve *s = x->s;
	struct verdict *v = map_get(&s->verdicts, x->key);
	if (!v && map_len(&s->verdicts) >= VERDICTS_MAX)
		return;
	if (!v) {
		v = calloc(1, sizeof(*v));
		if (!v || map_put(&s->verdicts, x->key, v, NULL) < 0) {
			free(v);
			return;
		}
	}
	*v = (struct verdict){allowed, clock_mono_ns() + (allowed ? ALLOW_NS : DENY_NS)};
}

static void
on_review(void *arg, const struct client_result *res)
{
	struct asking *x = arg;
	struct doc *d = NULL;
	x->call = NULL;
	bool answered = res->http == 201 &&
		doc_parse_json(x->r->arena, res->body, NULL, &d, NULL) == 0;
	bool allowed = answered && doc_get_bool(doc_get(d, STR("status")), STR("allowed"), false);
	if (!answered) {
		log_warn("access review: %s", res->e.msg);
		plain(x->r, 500, "Authorization error\n");
		return;
	}
	if (!allowed && !x->fine && x->route->sub[0]) {
		x->fine = true; /* nodes/proxy allows all of it */
		review(x);
		return;
	}
	verdict_keep(x, allowed);
	decided(x, allowed);
}

static void
review(struct asking *x)
{
	struct buf b;
	struct node *n = x->s->n;
	bool get = str_eq(x->r->method, STR("GET"));
	buf_init_arena(&b, x->r->arena);
	buf_cstr(&b,
		"{\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":\"SubjectAccessReview\",\"spec\":{"
		"\"user\":");
	doc_json_string(&b, x->user);
	buf_cstr(&b, ",\"groups\":[");
	for (size_t i = 0; i < x->n_groups; i++) {
		buf_cstr(&b, i ? "," : "");
		doc_json_string(&b, x->groups[i]);
	}
	buf_fmt(&b,
		"],\"resourceAttributes\":{\"verb\":\"%s\",\"version\":\"v1\",\"resource\":\"nodes\","
		"\"subresource\":\"%s\",\"name\":\"" STR_FMT "\"}}}",
		get ? "get" : "create", x->route->sub[0] && !x->fine ? x->route->sub : "proxy",
		STR_ARG(n->name));
	struct client_req q = {.verb = CLIENT_CREATE,
		.group = STR("authorization.k8s.io"),
		.version = STR("v1"),
		.resource = STR("subjectaccessreviews"),
		.body = buf_view(&b)};
	if (b.failed || client_call_start(n->api, &q, on_review, x, &x->call) < 0)
		plain(x->r, 500, "Authorization error\n");
}

static void
authorize(struct asking *x)
{
	struct arena *a = x->r->arena;
	struct buf k;
	buf_init_arena(&k, a);
	buf_fmt(&k, STR_FMT "\n" STR_FMT "\n%s", STR_ARG(x->user), STR_ARG(x->r->method),
		x->route->sub);
	for (size_t i = 0; i < x->n_groups; i++)
		buf_fmt(&k, "\n" STR_FMT, STR_ARG(x->groups[i]));
	x->key = buf_view(&k);
	struct verdict *v = map_get(&x->s->verdicts, x->key);
	if (v && v->until_ns > clock_mono_ns())
		decided(x, v->allowed);
	else
		review(x);
}

/* ---- who? ---- */

static void
on_token_review(void *arg, const struct client_result *res)
{
	struct asking *x = arg;
	struct doc *d = NULL;
	x->call = NULL;
	struct str body = arena_str(x->r->arena, res->body);
	bool ok = res->http == 201 && doc_parse_json(x->r->arena, body, NULL, &d, NULL) == 0;
	struct doc *st = doc_get(d, STR("status")), *user = doc_get(st, STR("user"));
	if (!ok || !doc_get_bool(st, STR("authenticated"), false)) {
		plain(x->r, 401, "Unauthorized");
		return;
	}
	x->user = doc_get_str(user, STR("username"));
	struct doc *groups = doc_get(user, STR("groups"));
	x->groups = ARENA_ARRAY(x->r->arena, struct str, doc_len(groups));
	DOC_EACH (g, groups)
		if (x->groups)
			x->groups[x->n_groups++] = doc_as_str(g);
	authorize(x);
}

static void
authenticate(struct asking *x)
{
	struct http_req *r = x->r;
	const struct tls_peer *peer = r->peer;
	if (peer && peer->state == TLS_PEER_VALID) {
		x->user = arena_str(r->arena, peer->cn);
		x->groups = ARENA_ARRAY(r->arena, struct str, peer->n_orgs + 1);
		for (size_t i = 0; x->groups && i < peer->n_orgs; i++)
			x->groups[x->n_groups++] = arena_str(r->arena, peer->orgs[i]);
		if (x->groups)
			x->groups[x->n_groups++] = STR("system:authenticated");
		authorize(x);
		return;
	}
	struct str auth = http_headers_get(&r->headers, STR("Authorization"));
	if (!str_starts(auth, STR("Bearer ")) || !x->s->n->api) {
		plain(r, 401, "Unauthorized");
		return;
	}
	struct buf b;
	buf_init_arena(&b, r->arena);
	buf_cstr(&b,
		"{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenReview\",\"spec\":{\"token\":");
	doc_json_string(&b, str_trim(str_sub(auth, 7, SIZE_MAX)));
	buf_cstr(&b, "}}");
	struct client_req q = {.verb = CLIENT_CREATE,
		.group = STR("authentication.k8s.io"),
		.version = STR("v1"),
		.resource = STR("tokenreviews"),
		.body = buf_view(&b)};
	if (client_call_start(x->s->n->api, &q, on_token_review, x, &x->call) < 0)
		plain(r, 401, "Unauthorized");
}

static void
on_abort(struct http_req *r)
{
	struct asking *x = r->arg;
	if (x && x->call) {
		client_call_cancel(TAKE_PTR(x->call));
		http_drop(r);
	}
}

static void
on_request(void *arg, struct http_req *r)
{
	struct serve *s = arg;
	const struct route *route = NULL;
	struct str path;
	if (http_url_decode(r->arena, r->path, false, &path) < 0) {
		plain(r, 400, "bad path\n");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		struct str p = str_c(routes[i].prefix);
		bool folder = p.p[p.n - 1] == '/';
		bool same = folder ? str_starts(path, p)
				   : str_eq(path, p) || (str_starts(path, p) && path.n == p.n + 1);
		if (same)
			route = &routes[i];
	}
	struct asking *x = ARENA_NEW(r->arena, struct asking);
	if (!route || !x) {
		plain(r, 404, "404 page not found\n");
		return;
	}
	size_t n = strlen(route->prefix);
	*x = (struct asking){.s = s, .r = r, .route = route, .rest = str_sub(path, n, SIZE_MAX)};
	r->arg = x;
	http_on_abort(r, on_abort);
	authenticate(x);
}

int
serve_start(struct node *n, struct str cert_pem, struct str key_pem, struct err *e)
{
	struct tls_pair pair = {cert_pem, key_pem};
	struct tls_config cfg = {.server = true,
		.pairs = &pair,
		.n_pairs = 1,
		.ca_pem = n->cfg->cluster.ca,
		.client_auth = TLS_CLIENT_OPTIONAL};
	struct tls_ctx *tls = NULL;
	int rc = tls_ctx_new(&cfg, &tls, e);
	if (rc < 0)
		return rc;
	if (n->serve) {
		http_server_set_tls(n->serve->http, tls);
		tls_ctx_unref(n->serve->tls);
		n->serve->tls = tls;
		return 0;
	}
	struct serve *s = calloc(1, sizeof(*s));
	struct http_addr addr = {.ip = {.family = 6}, .port = NODE_PORT};
	if (!s) {
		tls_ctx_unref(tls);
		return -ENOMEM;
	}
	s->n = n;
	s->tls = tls;
	map_init(&s->verdicts);
	if (n->listener.fd < 0) {
		rc = http_listen(&addr, false, &n->listener.fd, NULL, e);
		if (rc == 0)
			rc = init_fd_put(
				runtime_init(n->rt), str_c(n->listener.name), n->listener.fd);
	}
	if (rc == 0) {
		struct http_server_config h = {.loop = n->loop,
			.listen_fd = n->listener.fd,
			.tls = tls,
			.on_request = on_request,
			.arg = s,
			.max_conns = 2000,
			.arena_bytes = 8 << 20};
		rc = http_server_new(&h, &s->http);
	}
	if (rc < 0) {
		tls_ctx_unref(tls);
		free(s);
		return rc;
	}
	n->serve = s;
	log_info("node API on port %d", NODE_PORT);
	return 0;
}
