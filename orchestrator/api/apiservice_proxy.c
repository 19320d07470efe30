/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * apiservice_proxy: a request that another server answers: what its path says (by its form alone: the resources are the
 * other server's), where it goes, and who is said to ask. Moving the bytes is proxy.c's.
 *
 * Invariants: what the authorizers saw is what is sent: the path goes on as it was decoded here, encoded anew. No
 * credential of the client goes on, and no header in which it claims to be somebody.
 * Source: k8s.io/kube-aggregator pkg/apiserver (handler_proxy), k8s.io/apiserver endpoints/request (RequestInfo),
 * k8s.io/client-go transport (SetAuthProxyHeaders). */
#include "orchestrator/api/apiservice.h"
#include "orchestrator/api/proxy_int.h"

#define REQUEST_NS (60 * NS_PER_SEC)  /* of one that is no stream */
#define DISCOVERY_NS (5 * NS_PER_SEC) /* every client asks, and waits for all */

/* ---- the path -------------------------------------------------------------------------------------- */

static const struct {
	const char *method, *one, *many;
} methods[] = {
	{"GET", "get", "list"},
	{"HEAD", "get", "list"},
	{"POST", "create", "create"},
	{"PUT", "update", "update"},
	{"PATCH", "patch", "patch"},
	{"DELETE", "delete", "deletecollection"},
};
static const char *const lasting[] = {"attach", "exec", "proxy", "log", "portforward"};

static struct str
verb_of(struct str method, bool named)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (str_eq_c(method, methods[i].method))
			return str_c(named ? methods[i].one : methods[i].many);
	return STR("");
}

static bool
query_is_true(struct request *r, struct str key)
{
	struct str v = http_query_get(r->a, r->raw_query, key);
	return str_is_set(v) && !str_eq(v, STR("false")) && !str_eq(v, STR("0"));
}

/* selected_name: of a fieldSelector that picks one name. */
static struct str
selected_name(struct request *r)
{
	struct str rest = http_query_get(r->a, r->raw_query, STR("fieldSelector")), term, k, v;
	while (rest.n && str_next(&rest, ',', &term)) {
		if (!str_cut(term, '=', &k, &v) || !str_eq(k, STR("metadata.name")))
			continue;
		return str_starts(v, STR("=")) ? str_sub(v, 1, SIZE_MAX) : v;
	}
	return STR("");
}

/* resource_parse: [watch|proxy/] [namespaces/NS/] resource [name [subresource ...]]. */
static void
resource_parse(struct request *r, struct foreign *f, const struct str *parts, size_t n)
{
	bool old_watch = n > 1 && str_eq(parts[0], STR("watch"));
	bool old_proxy = n > 1 && str_eq(parts[0], STR("proxy"));
	if (old_watch || old_proxy) {
		parts++;
		n--;
	}
	if (n > 1 && str_eq(parts[0], STR("namespaces"))) {
		f->ns = parts[1];
		if (n > 2 && !str_eq(parts[2], STR("status")) &&
			!str_eq(parts[2], STR("finalize"))) {
			parts += 2;
			n -= 2;
		}
	}
	f->is_resource = n > 0;
	f->resource = n > 0 ? parts[0] : STR("");
	f->name = n > 1 ? parts[1] : STR("");
	f->subresource = n > 2 && !old_watch && !old_proxy ? parts[2] : STR("");
	f->verb = old_proxy ? STR("proxy") : verb_of(r->method, f->name.n != 0);
	if (old_watch || (str_eq_c(f->verb, "list") && query_is_true(r, STR("watch"))))
		f->verb = STR("watch");
	if (!f->name.n)
		f->name = selected_name(r);
	f->lasts = str_eq_c(f->verb, "watch") || str_eq_c(f->verb, "proxy");
	for (size_t i = 0; i < ARRAY_LEN(lasting); i++)
		f->lasts = f->lasts || str_eq_c(f->subresource, lasting[i]);
}

void
foreign_route(struct request *r, const struct str *parts, size_t n)
{
	bool core = n >= 2 && str_eq(parts[0], STR("api"));
	bool document = n == 5 && str_eq(parts[0], STR("openapi")) && str_eq(parts[1], STR("v3")) &&
		str_eq(parts[2], STR("apis"));
	size_t at = document ? 3 : core ? 0 : 1; /* of the group */
	if (!document && !core && (n < 3 || !str_eq(parts[0], STR("apis"))))
		return;
	struct str group = core ? STR("") : parts[at], version = parts[at + 1];
	struct apiservice *x = apiservice_find(r->worker, group, version);
	struct foreign *f = x ? ARENA_NEW(r->a, struct foreign) : NULL;
	if (!f || arena_on_clear(r->a, apiservice_unref, x) < 0)
		return;
	x->refs++;
	*f = (struct foreign){.to = x,
		.group = group,
		.version = version,
		.document = document,
		.discovery = n == at + 2,
		.verb = STR(""),
		.resource = STR(""),
		.subresource = STR(""),
		.ns = STR(""),
		.name = STR("")};
	if (!f->discovery)
		resource_parse(r, f, parts + at + 2, n - at - 2);
	r->foreign = f;
}

struct authz_attrs
foreign_attrs(struct request *r)
{
	const struct foreign *f = r->foreign;
	return (struct authz_attrs){.user = &r->user,
		.is_resource = true,
		.verb = f->verb,
		.group = f->group,
		.version = f->version,
		.resource = f->resource,
		.subresource = f->subresource,
		.ns = f->ns,
		.name = f->name,
		.field_selector = http_query_get(r->a, r->raw_query, STR("fieldSelector")),
		.label_selector = http_query_get(r->a, r->raw_query, STR("labelSelector"))};
}

/* ---- headers --------------------------------------------------------------------------------------- */

/* escaped: a key as the name of a header: what may not stand in one, and "%", by its number. */
static struct str
escaped(struct arena *a, struct str key)
{
	static const char legal[] = "!#$&'*+-.^_`|~";
	struct buf b;
	buf_init_arena(&b, a);
	for (size_t i = 0; i < key.n; i++) {
		char c = key.p[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || (c && strchr(legal, c));
		if (plain)
			buf_char(&b, c);
		else
			buf_fmt(&b, "%%%02X", (unsigned char)c);
	}
	return buf_view(&b);
}

static void
push(struct arena *a, struct http_header **v, size_t *n, struct str name, struct str value)
{
	struct http_header *slot = ARENA_PUSH(a, *v, *n);
	if (slot)
		*slot = (struct http_header){name, value};
}

size_t
foreign_identity(struct arena *a, const struct user *u, struct http_header **ret)
{
	struct http_header *v = NULL;
	size_t n = 0;
	push(a, &v, &n, STR("X-Remote-User"), u->name);
	if (u->uid.n)
		push(a, &v, &n, STR("X-Remote-Uid"), u->uid);
	for (size_t i = 0; i < u->n_groups; i++)
		push(a, &v, &n, STR("X-Remote-Group"), u->groups[i]);
	for (size_t i = 0; i < u->n_extra; i++)
		for (size_t k = 0; k < u->extra[i].n_values; k++)
			push(a, &v, &n,
				arena_fmt(a, "X-Remote-Extra-" STR_FMT,
					STR_ARG(escaped(a, u->extra[i].key))),
				u->extra[i].values[k]);
	*ret = v;
	return n;
}

static void
headers_make(struct request *r, struct proxy_target *t)
{
	const struct http_req *h = r->sink->http;
	struct str before = http_headers_get(&h->headers, STR("X-Forwarded-For"));
	struct http_header *v = NULL;
	size_t n = foreign_identity(r->a, &r->user, &v);
	push(r->a, &v, &n, STR("Audit-ID"), str_c(r->audit_id));
	push(r->a, &v, &n, STR("X-Forwarded-For"),
		before.n ? arena_fmt(r->a, STR_FMT ", " STR_FMT, STR_ARG(before),
				   STR_ARG(r->remote_ip))
			 : r->remote_ip);
	push(r->a, &v, &n, STR("X-Forwarded-Host"), h->host.n ? h->host : STR("localhost"));
	push(r->a, &v, &n, STR("X-Forwarded-Proto"), STR("https"));
	push(r->a, &v, &n, STR("X-Forwarded-Uri"), h->path);
	t->headers = v;
	t->n_headers = n;
}

/* ---- serving --------------------------------------------------------------------------------------- */

/* plain: an answer of text, as Go's http.Error gives it. */
static enum step
plain(struct request *r, int http, struct str text)
{
	r->sink->ops->header(r, STR("X-Content-Type-Options"), STR("nosniff"));
	return request_reply_bytes(r, http, STR("text/plain; charset=utf-8"),
		arena_fmt(r->a, STR_FMT "\n", STR_ARG(text)));
}

enum step
foreign_refuse(struct request *r, const struct err *e)
{
	const struct foreign *f = r->foreign;
	if (e->code == -ETIMEDOUT && !f->discovery &&
		loop_now_ns(r->loop) - r->start_ns >= foreign_limit_ns(r))
		return request_fail_status(r,
			&(struct status_spec){.http = 504,
				.reason = R_TIMEOUT,
				.message = STR("Timeout: request did not complete within the "
					       "allotted timeout")});
	return plain(r, 503, arena_fmt(r->a, "error trying to reach service: %s", e->msg));
}

/* foreign_limit_ns: until the head of the answer; `timeout` of the query may say less. */
int64_t
foreign_limit_ns(struct request *r)
{
	struct str text = http_query_get(r->a, r->raw_query, STR("timeout"));
	int64_t asked = 0;
	if (r->foreign->discovery)
		return DISCOVERY_NS;
	if (!r->foreign->lasts && text.n && duration_parse(text, &asked) == 0 && asked > 0 &&
		asked < REQUEST_NS)
		return asked;
	return REQUEST_NS;
}

static struct str
url_of(struct request *r)
{
	const struct apiservice *x = r->foreign->to;
	struct buf path;
	buf_init_arena(&path, r->a);
	http_url_encode(&path, r->path, true);
	return arena_fmt(r->a, "https://" STR_FMT "." STR_FMT ".svc:%d" STR_FMT "%s" STR_FMT,
		STR_ARG(x->service), STR_ARG(x->service_ns), (int)x->port, STR_ARG(buf_view(&path)),
		r->raw_query.n ? "?" : "", STR_ARG(r->raw_query));
}

enum step
stage_foreign(struct request *r)
{
	struct foreign *f = r->foreign;
	struct proxy_target t = {.foreign = true};
	struct err e = {0};
	if (!f)
		return STEP_NEXT;
	if (r->stage_state)
		return foreign_ask(r, NULL);
	if (!f->to->available)
		return plain(r, 503, STR("service unavailable"));
	if (apiservice_tls(r->server, f->to, &t.tls, &e) < 0)
		return plain(r, 500, arena_str(r->a, str_c(e.msg)));
	if (target_apiservice(r, f->to, &t.addr, &e) < 0)
		return plain(r, 503, STR("service unavailable"));
	t.url = url_of(r);
	t.redirects = f->document;
	t.head_ns = foreign_limit_ns(r);
	t.stall_ns = f->lasts ? 0 : REQUEST_NS;
	if (!r->sink->http)
		return foreign_ask(r, &t);
	headers_make(r, &t);
	if (arena_failed(r->a))
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	return proxy_start(r, &t);
}
