/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * proxy: requests that are answered by somebody else: logs, exec, attach and port-forward by the node API,
 * proxy subresources by nodes, pods and services, groups of APIServices by aggregated servers.
 *
 * Plain replies are streamed through. An upgrade is opened towards the target with the client's own
 * hand-shake headers; when the target says 101 so do we, and from then on bytes are moved both ways as
 * they come: WebSocket and SPDY frames are the node's business.
 * Invariants: each side's reading stops while the other's queue is full; when one side ends, what is
 * queued for the other is still sent. Credentials of the client never reach the target.
 * Source: RFC 9110 section 7.6; Kubernetes streaming (KEP-4006). */
#include "orchestrator/api/apiservice.h"
#include "orchestrator/api/proxy_html.h"
#include "orchestrator/api/proxy_int.h"

#define HEAD_NS (30 * NS_PER_SEC)
#define ERROR_MAX 65536

struct proxied {
	struct stream stream;
	struct request *r;
	struct http_req *h; /* NULL once upgraded */
	struct http_call *call;
	struct http_tunnel *client, *target;
	struct buf error; /* heap; body of a refusal */
	int status;
	bool text, begun, over, body_done, upgraded;
	bool foreign, redirects;
	bool client_ended, target_ended; /* it sends no more */
	bool links, page;                /* links lead through the proxy; a page is under way */
	struct proxy_html html;
	struct buf made; /* heap; of a page */
};

static void
proxied_release(void *arg)
{
	struct proxied *p = arg;
	buf_release(&p->error);
	buf_release(&p->made);
	proxy_html_release(&p->html);
}

/* ---- plain replies --------------------------------------------------------------------------------- */

/* Headers that belong to one connection, or to us. */
static const struct str hop_headers[] = {STR_INIT("Connection"), STR_INIT("Keep-Alive"),
	STR_INIT("Proxy-Authenticate"), STR_INIT("Proxy-Authorization"), STR_INIT("Te"),
	STR_INIT("Trailer"), STR_INIT("Transfer-Encoding"), STR_INIT("Upgrade"),
	STR_INIT("Content-Length"), STR_INIT("Content-Type"), STR_INIT("Date"), STR_INIT("Host"),
	STR_INIT("Authorization"), STR_INIT("Cookie"), STR_INIT("Audit-Id"), STR_INIT("Expect"),
	STR_INIT("Sec-WebSocket-Accept")};

static bool
is_hop(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(hop_headers); i++)
		if (str_eq_nocase(name, hop_headers[i]))
			return true;
	return str_eq_nocase(str_sub(name, 0, 12), STR("Impersonate-"));
}

/* Headers by which a client would say who it is, or what was asked before it. */
static bool
is_claim(struct str name)
{
	return str_eq_nocase(str_sub(name, 0, 9), STR("X-Remote-")) ||
		str_eq_nocase(str_sub(name, 0, 12), STR("X-Forwarded-"));
}

static void
proxied_over(struct proxied *p, int http)
{
	if (p->over)
		return;
	p->over = true;
	stream_del(&p->stream);
	p->r->on_gone = NULL;
	if (p->call)
		http_call_cancel(p->call);
	p->call = NULL;
	request_over(p->r, http);
}

/* ---- links of pages -------------------------------------------------------------------------------- */

/* links_begin: what is asked through a proxy subresource, whose path is ".../proxy/REST". */
static void
links_begin(struct proxied *p, const struct proxy_target *t)
{
	struct request *r = p->r;
	struct str rest = r->path, part, url = t->url, host = STR_NONE;
	size_t parts = r->res->kind->namespaced
		? 8
		: 6; /* the first is what stands before the first / */
	for (size_t i = 0; i < parts; i++)
		if (!str_next(&rest, '/', &part))
			return;
	size_t left = str_is_set(rest) ? rest.n + 1 : 0;
	ptrdiff_t scheme = str_find(url, STR("://"));
	str_cut(str_sub(url, scheme < 0 ? 0 : (size_t)scheme + 3, SIZE_MAX), '/', &host, &rest);
	p->links = true;
	p->html = (struct proxy_html){.prefix = str_sub(r->path, 0, r->path.n - left),
		.host = arena_str(r->a, p->h->host),
		.backend = arena_str(r->a, host)};
}

static bool
is_page(const struct http_headers *h)
{
	struct str type = STR_NONE, rest = STR_NONE;
	str_cut(http_headers_get(h, STR("Content-Type")), ';', &type, &rest);
	return str_eq_nocase(str_trim(type), STR("text/html")) &&
		!str_is_set(http_headers_get(h, STR("Content-Encoding")));
}

/* header_put: one of the answer; a new place of what is asked is one behind the proxy. */
static void
header_put(struct proxied *p, struct str name, struct str value)
{
	if (p->links && str_eq_nocase(name, STR("Location"))) {
		struct buf b;
		buf_init_arena(&b, p->r->a);
		proxy_html_link(&p->html, value, &b);
		value = buf_view(&b);
	}
	http_set_header(p->h, name, value);
}

static void
on_head(void *arg, const struct http_response *resp)
{
	struct proxied *p = arg;
	p->status = resp->status;
	if (resp->status == 101 || (p->text && (resp->status < 200 || resp->status > 299)))
		return;
	if (p->foreign && !p->redirects && resp->status >= 300 && resp->status <= 399 &&
		str_is_set(http_headers_get(&resp->headers, STR("Location")))) {
		proxied_over(p, 502);
		p->r->sink->ops->reply(p->r, 502, STR("text/plain; charset=utf-8"),
			STR("the backend attempted to redirect this request, which is not "
			    "permitted"));
		return;
	}
	for (size_t i = 0; i < resp->headers.n; i++)
		if (!is_hop(resp->headers.v[i].name) &&
			!(p->foreign && !p->redirects &&
				str_eq_nocase(resp->headers.v[i].name, STR("Cache-Control"))))
			header_put(p, resp->headers.v[i].name, resp->headers.v[i].value);
	p->page = p->links && is_page(&resp->headers) &&
		!str_is_set(http_headers_get(&resp->headers, STR("Location")));
	struct str type = http_headers_get(&resp->headers, STR("Content-Type"));
	p->begun = true;
	p->r->sink->ops->begin(p->r, resp->status,
		p->text                    ? STR("text/plain")
			: str_is_set(type) ? type
					   : STR("application/octet-stream"));
}

static void
on_drained(struct request *r)
{
	struct proxied *p = r->stage_state;
	if (!p->over && p->call)
		http_call_pause(p->call, false);
}

static void
on_data(void *arg, struct str bytes)
{
	struct proxied *p = arg;
	if (!p->begun) {
		if (p->error.len + bytes.n <= ERROR_MAX)
			buf_str(&p->error, bytes);
		return;
	}
	if (p->page) {
		buf_clear(&p->made);
		proxy_html_data(&p->html, bytes, &p->made);
		bytes = buf_view(&p->made);
	}
	if (p->r->sink->ops->write(p->r, bytes) > HTTP_QUEUE_HIGH) {
		http_call_pause(p->call, true);
		p->r->sink->ops->on_drain(p->r, on_drained);
	}
}

static void
refuse(struct proxied *p, const struct err *e)
{
	struct request *r = p->r;
	if (p->foreign) {
		foreign_refuse(r, e);
		return;
	}
	if (p->links && e->code) {
		request_fail(r, R_SERVICE_UNAVAILABLE, "error trying to reach service: %s", e->msg);
		return;
	}
	enum reason reason = e->code ? R_INTERNAL_ERROR : reason_from_http(p->status);
	int http = e->code ? 500 : p->status;
	struct str msg = e->code
		? arena_fmt(r->a, "Internal error occurred: error dialing backend: %s", e->msg)
		: arena_str(r->a, str_trim(buf_view(&p->error)));
	request_fail_status(r,
		&(struct status_spec){
			.http = http, .reason = reason, .message = msg, .no_details = true});
}

static void
on_end(void *arg, const struct err *e)
{
	struct proxied *p = arg;
	p->call = NULL;
	if (p->over)
		return;
	bool begun = p->begun;
	struct request *r = p->r;
	if (!begun) {
		stream_del(&p->stream);
		p->over = true;
		r->on_gone = NULL;
		refuse(p, e);
		return;
	}
	if (p->page) {
		buf_clear(&p->made);
		proxy_html_end(&p->html, &p->made);
		if (p->made.len)
			r->sink->ops->write(r, buf_view(&p->made));
	}
	bool cut = e->code || p->made.failed;
	proxied_over(p, p->status);
	if (cut)
		r->gone = true; /* cut short: the client must see that */
	r->sink->ops->end(r);
}

static void
on_gone(struct request *r)
{
	struct proxied *p = r->stage_state;
	if (p->over)
		return;
	proxied_over(p, 499);
	r->gone = true;
	r->sink->ops->end(r); /* the client sees a cut connection */
}

static void
tunnels_close(struct proxied *p)
{
	if (p->client)
		http_tunnel_close(p->client);
	if (p->target)
		http_tunnel_close(p->target);
	p->client = p->target = NULL;
	if (!p->over) {
		p->over = true;
		stream_del(&p->stream);
		http_request_upgraded(p->r, 101);
	}
}

static void
on_stop(struct stream *st)
{
	struct proxied *p = CONTAINER_OF(st, struct proxied, stream);
	if (p->upgraded)
		tunnels_close(p);
	else
		on_gone(p->r);
}

/* ---- tunnels --------------------------------------------------------------------------------------- */

static void
move(struct http_tunnel *from, struct http_tunnel *to, struct str bytes)
{
	if (to && http_tunnel_write(to, bytes) > HTTP_QUEUE_HIGH)
		http_tunnel_pause(from, true);
}

static void
client_data(void *arg, struct str bytes)
{
	struct proxied *p = arg;
	move(p->client, p->target, bytes);
}

static void
target_data(void *arg, struct str bytes)
{
	struct proxied *p = arg;
	move(p->target, p->client, bytes);
}

/* one_ended: the other side is told, and may still send; when both have ended all is over. */
static void
one_ended(struct proxied *p, struct http_tunnel *other)
{
	if (p->client_ended && p->target_ended)
		tunnels_close(p);
	else if (other)
		http_tunnel_shutdown(other);
}

static void
client_eof(void *arg)
{
	struct proxied *p = arg;
	p->client_ended = true;
	one_ended(p, p->target);
}

static void
target_eof(void *arg)
{
	struct proxied *p = arg;
	p->target_ended = true;
	one_ended(p, p->client);
}

static void
client_drain(void *arg)
{
	struct proxied *p = arg;
	if (p->target)
		http_tunnel_pause(p->target, false);
}

static void
target_drain(void *arg)
{
	struct proxied *p = arg;
	if (p->client)
		http_tunnel_pause(p->client, false);
}

static void
client_closed(void *arg, int error)
{
	(void)error;
	struct proxied *p = arg;
	p->client = NULL;
	tunnels_close(p);
}

static void
target_closed(void *arg, int error)
{
	(void)error;
	struct proxied *p = arg;
	p->target = NULL;
	tunnels_close(p);
}

static const struct http_tunnel_fns client_fns = {
	client_data, client_eof, client_drain, client_closed};
static const struct http_tunnel_fns target_fns = {
	target_data, target_eof, target_drain, target_closed};

/* Headers of the target's 101 that are part of the hand-shake. */
static const struct str answer_headers[] = {STR_INIT("Sec-WebSocket-Accept"),
	STR_INIT("Sec-WebSocket-Protocol"), STR_INIT("X-Stream-Protocol-Version")};

static void
on_upgraded(void *arg, const struct http_response *resp, struct http_tunnel *t)
{
	struct proxied *p = arg;
	p->call = NULL;
	p->target = t;
	for (size_t i = 0; i < ARRAY_LEN(answer_headers); i++) {
		size_t pos = 0;
		struct str v;
		while (http_headers_next(&resp->headers, answer_headers[i], &pos, &v))
			http_set_header(p->h, answer_headers[i], v);
	}
	struct str protocol = http_headers_get(&p->h->headers, STR("Upgrade"));
	p->r->on_gone = NULL;
	int rc = http_upgrade(p->h, protocol, &p->client);
	if (rc == -EBUSY)
		http_drop(p->h);
	p->h = NULL;
	p->upgraded = true;
	if (rc < 0) {
		p->client = NULL;
		tunnels_close(p);
		return;
	}
	http_tunnel_start(p->client, &client_fns, p);
	http_tunnel_start(p->target, &target_fns, p);
}

/* ---- request bodies -------------------------------------------------------------------------------- */

static struct proxied *
of_http(struct http_req *h)
{
	return http_request_of(h)->stage_state;
}

static void
body_data(struct http_req *h, struct str bytes)
{
	struct proxied *p = of_http(h);
	if (p->call && http_call_write(p->call, bytes) > HTTP_QUEUE_HIGH)
		http_pause_body(h, true);
}

static void
body_end(struct http_req *h, int error)
{
	struct proxied *p = of_http(h);
	if (error < 0)
		on_gone(p->r);
	else if (p->call)
		http_call_write_end(p->call);
}

static void
body_drain(void *arg)
{
	struct proxied *p = arg;
	if (p->h)
		http_pause_body(p->h, false);
}

static const struct http_call_fns call_fns = {.head = on_head,
	.data = on_data,
	.end = on_end,
	.upgraded = on_upgraded,
	.drain = body_drain};

/* ---- start ----------------------------------------------------------------------------------------- */

static struct http_client *
client_of(struct api_worker *w)
{
	if (!w->node_http &&
		http_client_new(&(struct http_client_config){.loop = w->loop}, &w->node_http) < 0)
		return NULL;
	return w->node_http;
}

void
node_proxy_free(struct api_worker *w)
{
	if (w->node_http)
		http_client_free(w->node_http);
	w->node_http = NULL;
}

/* What the target gets of the client's headers. The hand-shake's ones pass with an upgrade; a WebSocket bearer
 * token among the subprotocols does not. */
static size_t
headers_for(struct request *r, const struct proxy_target *t, bool upgrade, struct http_header **ret)
{
	const struct http_req *h = r->sink->http;
	struct http_header *out = NULL;
	size_t n = 0;
	for (size_t i = 0; i < h->headers.n; i++) {
		struct str name = h->headers.v[i].name, value = h->headers.v[i].value;
		bool type = str_eq_nocase(name, STR("Content-Type"));
		if ((is_hop(name) && !type) || (r->foreign && is_claim(name)))
			continue;
		if (!upgrade && str_eq_nocase(str_sub(name, 0, 14), STR("Sec-WebSocket-")))
			continue;
		if (str_eq_nocase(name, STR("Sec-WebSocket-Protocol")) &&
			str_find(value, STR("base64url.bearer.")) >= 0) {
			struct buf b;
			buf_init_arena(&b, r->a);
			struct str item;
			while (http_token_next(&value, &item))
				if (!str_starts(item, STR("base64url.bearer."))) {
					buf_cstr(&b, b.len ? ", " : "");
					buf_str(&b, item);
				}
			value = buf_view(&b);
		}
		struct http_header *slot = ARENA_PUSH(r->a, out, n);
		if (slot)
			*slot = (struct http_header){name, value};
	}
	for (size_t i = 0; i < t->n_headers; i++) {
		struct http_header *slot = ARENA_PUSH(r->a, out, n);
		if (slot)
			*slot = t->headers[i];
	}
	*ret = out;
	return n;
}

enum step
proxy_start(struct request *r, const struct proxy_target *t)
{
	struct http_req *h = r->sink->http;
	struct http_client *c = client_of(r->worker);
	struct proxied *p = ARENA_NEW(r->a, struct proxied);
	struct err e = {0};
	if (!p || !c || arena_on_clear(r->a, proxied_release, p) < 0)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	*p = (struct proxied){
		.r = r, .h = h, .text = t->text, .foreign = t->foreign, .redirects = t->redirects};
	if (t->links)
		links_begin(p, t);
	struct http_header *headers = NULL;
	struct http_call_spec spec = {.method = h->method,
		.url = t->url,
		.tls = t->foreign ? t->tls
			: t->node ? r->server->kubelet_tls
				  : r->server->pod_tls,
		.addr = t->foreign ? &t->addr : NULL,
		.head_ns = t->foreign ? t->head_ns : HEAD_NS,
		.stall_ns = t->stall_ns,
		.body_bytes = -1};
	/* A log is a plain reply of the node, also where the client gets it over a WebSocket. */
	struct str upgrade = t->text ? STR_NONE : http_headers_get(&h->headers, STR("Upgrade"));
	spec.upgrade = str_is_set(upgrade) ? upgrade : STR("");
	spec.n_headers = headers_for(r, t, spec.upgrade.n != 0, &headers);
	spec.headers = headers;
	spec.fresh = spec.upgrade.n != 0;
	spec.stream_body = h->has_body && spec.upgrade.n == 0;
	if (spec.stream_body)
		spec.body_bytes = h->body_bytes;
	int rc = http_call_start(c, &spec, &call_fns, p, &p->call, &e);
	if (rc < 0 && t->foreign)
		return foreign_refuse(r, &e);
	if (rc < 0 && p->links)
		return request_fail(
			r, R_SERVICE_UNAVAILABLE, "error trying to reach service: %s", e.msg);
	if (rc < 0)
		return request_fail(r, R_INTERNAL_ERROR,
			"Internal error occurred: error dialing backend: %s", e.msg);
	r->stage_state = p;
	r->on_gone = on_gone;
	stream_add(&p->stream, r, on_stop);
	if (spec.stream_body) {
		static const struct http_body_fns body_fns = {body_data, body_end};
		http_stream_body(h, &body_fns);
	}
	return STEP_REPLY;
}

/* Numbers in the query of a log, and the least they may be. */
static const struct {
	const char *name;
	int64_t least;
	const char *text;
} log_numbers[] = {{"tailLines", 0, "must be greater than or equal to 0"},
	{"limitBytes", 1, "must be greater than 0"}, {"sinceSeconds", 1, "must be greater than 0"}};

/* check_log: PodLogOptions, before anything is asked of the node. */
static enum step
check_log(struct request *r)
{
	struct str rest = r->raw_query, k, v;
	bool seconds = false, time = false;
	int64_t n = 0;
	int rc = 0;
	while (rest.n && (rc = http_query_next(r->a, &rest, &k, &v)) != 0) {
		if (rc < 0 || !v.n)
			continue;
		seconds = seconds || str_eq_c(k, "sinceSeconds");
		time = time || str_eq_c(k, "sinceTime");
		for (size_t i = 0; i < ARRAY_LEN(log_numbers); i++) {
			if (!str_eq_c(k, log_numbers[i].name))
				continue;
			if (str_to_i64(v, &n) < 0)
				return request_fail(r, R_BAD_REQUEST,
					"strconv.ParseInt: parsing \"" STR_FMT "\": invalid syntax",
					STR_ARG(v));
			if (n < log_numbers[i].least)
				schema_err_invalid_int(&r->causes, k, n, log_numbers[i].text);
		}
	}
	if (seconds && time)
		schema_err_forbidden(&r->causes, STR(""),
			"at most one of `sinceTime` or `sinceSeconds` may be specified");
	if (!r->causes.n)
		return STEP_NEXT;
	return request_fail_status(r,
		&(struct status_spec){.http = 422,
			.reason = R_INVALID,
			.name = r->name,
			.kind = STR("PodLogOptions"),
			.errors = &r->causes,
			.message = arena_fmt(r->a,
				"PodLogOptions \"" STR_FMT "\" is invalid: " STR_FMT,
				STR_ARG(r->name), STR_ARG(schema_errors_message(&r->causes)))});
}

enum step
serve_node_stream(struct request *r)
{
	struct proxy_target t = {0};
	if (!r->sink->http)
		return request_fail(r, R_BAD_REQUEST, "streams need a connection of their own");
	bool log = str_eq(r->sub->name, STR("log"));
	if (!log && !str_is_set(http_headers_get(&r->sink->http->headers, STR("Upgrade"))))
		return request_fail(r, R_BAD_REQUEST, "Upgrade request required");
	enum step st = log ? check_log(r) : STEP_NEXT;
	if (st == STEP_NEXT)
		st = target_pod_stream(r, &t);
	return st == STEP_NEXT ? proxy_start(r, &t) : st;
}

/* root_of: where the root of what is proxied stands: relative links of a page need the slash at its end.
 * STR_NONE: the request is not for a root without one. */
static struct str
root_of(struct request *r)
{
	bool reads = str_eq(r->method, STR("GET")) || str_eq(r->method, STR("HEAD"));
	if (r->subpath.n || !reads)
		return STR_NONE;
	return arena_fmt(r->a, STR_FMT "/%s" STR_FMT, STR_ARG(r->path), r->raw_query.n ? "?" : "",
		STR_ARG(r->raw_query));
}

enum step
serve_proxy(struct request *r)
{
	struct proxy_target t = {0};
	if (!r->sink->http)
		return request_fail(r, R_BAD_REQUEST, "streams need a connection of their own");
	enum step st = target_proxy(r, &t);
	if (st != STEP_NEXT)
		return st;
	struct str root = root_of(r);
	if (!str_is_set(root) ||
		str_is_set(http_headers_get(&r->sink->http->headers, STR("Upgrade"))))
		return proxy_start(r, &t);
	r->sink->ops->header(r, STR("Location"), root);
	return request_reply_bytes(r, 301, STR("text/plain"), STR("moved\n"));
}
