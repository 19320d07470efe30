/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * client_https: the transport of client.h over the real protocol: HTTP/1.1 on TLS, JSON bodies, watches as
 * lines of a chunked reply. A watch line is parsed only as far as its type and the bounds of its object.
 * Calls wait for one of CALLS_MAX connections: with one each, a hundred pods that start at once were hundreds of
 * handshakes side by side, and no call ended before nearly all did.
 * Sources: Kubernetes API concepts (watch events), metav1.Status. */
#include "orchestrator/client/client_path.h"

#include "netstack/http/http.h"

#include <stdlib.h>

#define REPLY_MAX ((size_t)64 << 20)
#define EVENT_MAX ((size_t)8 << 20)
#define CALL_NS (60 * NS_PER_SEC)
#define CALLS_MAX 8                      /* under way: as many as there are connections kept */
#define LATE_MAX 1000                    /* that wait */
#define LATE_FLYING_MAX 2                /* of CALLS_MAX */
#define WATCH_STALL_NS (90 * NS_PER_SEC) /* bookmarks come every minute */

enum calls { CALLS_FLYING, CALLS_WAITING, CALLS_LATE, CALLS__COUNT };

struct https_client {
	struct client base;
	struct http_client *http;
	struct tls_ctx *tls;
	struct arena *a; /* server, names */
	char *ca_pem;
	size_t ca_len;
	struct str server, user_agent, impersonate;
	char *token;
	size_t token_len;
	struct call_queue {
		struct https_call *first, **end;
		size_t n;
	} calls[CALLS__COUNT];
	size_t late_flying;
	struct loop_work next; /* a connection is free, and calls wait */
	struct https_watch *watches;
};

struct https_call {
	struct client_call base;
	struct https_call *next, **prev;
	enum calls at;
	struct http_fetch *fetch; /* CALLS_FLYING */
	enum client_verb verb;
	bool late;
	struct buf url, body; /* of one that waits */
	client_done_fn *done;
	void *arg;
};

struct https_watch {
	struct client_watch base;
	struct https_watch *next, **prev;
	struct http_call *call;
	struct client_watch_fns fns;
	void *arg;
	struct buf in;
	struct buf error_body;
	int status;
	bool stopped;
};

#define LIST_ADD(head, x)                                                                          \
	do {                                                                                       \
		(x)->next = (head);                                                                \
		(x)->prev = &(head);                                                               \
		if ((x)->next)                                                                     \
			(x)->next->prev = &(x)->next;                                              \
		(head) = (x);                                                                      \
	} while (0)
#define LIST_DEL(x)                                                                                \
	do {                                                                                       \
		*(x)->prev = (x)->next;                                                            \
		if ((x)->next)                                                                     \
			(x)->next->prev = (x)->prev;                                               \
	} while (0)

static struct https_client *
of(struct client *c)
{
	return CONTAINER_OF(c, struct https_client, base);
}

/* result_fill: HTTP status and body -> client_result; failures take reason and message of the Status. */
static void
result_fill(struct client_result *r, int status, struct str retry_after, struct str body)
{
	uint64_t after;
	r->http = status;
	r->body = body;
	if (str_to_u64(retry_after, &after) == 0 && after < 3600)
		r->retry_after_s = (int)after;
	if (status >= 200 && status < 300)
		return;
	struct arena *a = arena_new(1 << 20);
	struct doc *d = NULL;
	if (a && doc_parse_json(a, body, NULL, &d, NULL) == 0 &&
		str_eq_c(doc_get_str(d, STR("kind")), "Status")) {
		enum reason why = reason_from_name(doc_get_str(d, STR("reason")));
		err_set(&r->e, -EREMOTEIO, why == R_UNKNOWN ? reason_from_http(status) : why,
			STR_FMT, STR_ARG(doc_get_str(d, STR("message"))));
	} else {
		err_set(&r->e, -EREMOTEIO, reason_from_http(status), "the server answered %d %s",
			status, http_status_text(status));
	}
	arena_free(a);
}

static void
url_put(struct https_client *c, const struct client_req *req, struct buf *url)
{
	buf_str(url, c->server);
	client_path_put(url, req);
}

/* spec_fill: what all requests have; headers go into h (>= 4). */
static void
spec_fill(struct https_client *c, enum client_verb verb, struct str url, struct str body,
	struct http_header *h, struct http_call_spec *spec)
{
	size_t n = 0;
	h[n++] = (struct http_header){STR("Accept"), STR("application/json")};
	h[n++] = (struct http_header){STR("User-Agent"), c->user_agent};
	if (body.n)
		h[n++] = (struct http_header){
			STR("Content-Type"), str_c(client_path_content_type(verb))};
	if (c->impersonate.n)
		h[n++] = (struct http_header){STR("Impersonate-User"), c->impersonate};
	*spec = (struct http_call_spec){.method = str_c(client_path_method(verb)),
		.url = url,
		.tls = c->tls,
		.headers = h,
		.n_headers = n,
		.bearer = str_from(c->token, c->token_len),
		.body = body};
}

/* ---- calls ---- */

static void
call_enter(struct https_call *call, enum calls at)
{
	struct call_queue *q = &of(call->base.c)->calls[at];
	call->at = at;
	call->next = NULL;
	call->prev = q->end;
	*q->end = call;
	q->end = &call->next;
	q->n++;
	of(call->base.c)->late_flying += at == CALLS_FLYING && call->late;
}

/* may_go: is there a connection for one of this sort, and none of its sort before it? */
static bool
may_go(const struct https_client *c, bool late)
{
	return c->calls[CALLS_FLYING].n < CALLS_MAX && !c->calls[CALLS_WAITING].first &&
		(!late || (!c->calls[CALLS_LATE].first && c->late_flying < LATE_FLYING_MAX));
}

/* next_waiting: the one whose turn it is; NULL: none, or no connection. */
static struct https_call *
next_waiting(const struct https_client *c)
{
	if (c->calls[CALLS_FLYING].n >= CALLS_MAX)
		return NULL;
	if (c->calls[CALLS_WAITING].first)
		return c->calls[CALLS_WAITING].first;
	return c->late_flying < LATE_FLYING_MAX ? c->calls[CALLS_LATE].first : NULL;
}

static void
call_leave(struct https_call *call)
{
	struct https_client *c = of(call->base.c);
	struct call_queue *q = &c->calls[call->at];
	*call->prev = call->next;
	*(call->next ? &call->next->prev : &q->end) = call->prev;
	q->n--;
	c->late_flying -= call->at == CALLS_FLYING && call->late;
	if (next_waiting(c))
		loop_defer(c->base.loop, &c->next);
}

static void
call_free(struct https_call *call)
{
	buf_release(&call->url);
	buf_release(&call->body);
	free(call);
}

static void
on_fetched(void *arg, const struct err *e, const struct http_response *resp, struct str body)
{
	struct https_call *call = arg;
	struct client_result r = {0};
	if (e->code)
		r.e = *e;
	else
		result_fill(&r, resp->status, http_headers_get(&resp->headers, STR("Retry-After")),
			body);
	call_leave(call);
	call->done(call->arg, &r);
	free(call);
}

/* call_send: on a connection that is free. */
static int
call_send(struct https_call *call, struct str url, struct str body)
{
	struct https_client *c = of(call->base.c);
	struct http_header headers[4];
	struct http_call_spec spec;
	spec_fill(c, call->verb, url, body, headers, &spec);
	spec.total_ns = CALL_NS;
	int rc = http_fetch(c->http, &spec, REPLY_MAX, on_fetched, call, &call->fetch, NULL);
	if (rc == 0)
		call_enter(call, CALLS_FLYING);
	return rc;
}

static int
call_wait(struct https_call *call, struct str url, struct str body)
{
	if (call->late && of(call->base.c)->calls[CALLS_LATE].n >= LATE_MAX)
		return -EAGAIN;
	buf_str(&call->url, url);
	buf_str(&call->body, body);
	if (call->url.failed || call->body.failed)
		return -ENOMEM;
	call_enter(call, call->late ? CALLS_LATE : CALLS_WAITING);
	return 0;
}

static void
on_next(struct loop_work *w)
{
	struct https_client *c = w->arg;
	struct https_call *call = next_waiting(c);
	if (!call)
		return;
	call_leave(call);
	int rc = call_send(call, buf_view(&call->url), buf_view(&call->body));
	buf_release(&call->url);
	buf_release(&call->body);
	if (next_waiting(c))
		loop_defer(c->base.loop, &c->next);
	if (rc == 0)
		return;
	struct client_result r = {0};
	err_errno(&r.e, rc, "sending a request");
	call->done(call->arg, &r);
	free(call);
}

static int
https_call(struct client *base, const struct client_req *req, client_done_fn *done, void *arg,
	struct client_call **ret_call)
{
	struct https_client *c = of(base);
	_cleanup_buf_ struct buf url = BUF_INIT;
	struct https_call *call = calloc(1, sizeof(*call));
	if (!call)
		return -ENOMEM;
	call->base.c = base;
	call->verb = req->verb;
	call->late = req->late;
	call->done = done;
	call->arg = arg;
	url_put(c, req, &url);
	bool go = may_go(c, req->late);
	int rc = url.failed ? -ENOMEM
		: go        ? call_send(call, buf_view(&url), req->body)
			    : call_wait(call, buf_view(&url), req->body);
	if (rc < 0) {
		call_free(call);
		return rc;
	}
	if (ret_call)
		*ret_call = &call->base;
	return 0;
}

static void
https_cancel(struct client_call *base)
{
	struct https_call *call = CONTAINER_OF(base, struct https_call, base);
	if (call->fetch)
		http_fetch_cancel(call->fetch);
	call_leave(call);
	call_free(call);
}

/* ---- watches ---- */

static const char *const event_names[] = {
	[CLIENT_ADDED] = "ADDED",
	[CLIENT_MODIFIED] = "MODIFIED",
	[CLIENT_DELETED] = "DELETED",
	[CLIENT_BOOKMARK] = "BOOKMARK",
};

static void
watch_free(void *p)
{
	struct https_watch *w = p;
	buf_release(&w->in);
	buf_release(&w->error_body);
	free(w);
}

/* watch_release: the watch leaves its client; freed when no callback can hold it. */
static void
watch_release(struct https_watch *w)
{
	if (w->stopped)
		return;
	w->stopped = true;
	LIST_DEL(w);
	loop_free_later(w->base.c->loop, watch_free, w);
}

/* watch_line: one event `{"type":"ADDED","object":{...}}`. False = not one (the stream is broken). */
static bool
watch_line(struct https_watch *w, struct str line)
{
	static const struct str head = STR_INIT("{\"type\":\""), mid = STR_INIT("\",\"object\":");
	struct str type, rest;
	if (!str_starts(line, head))
		return false;
	str_cut(str_sub(line, head.n, SIZE_MAX), '"', &type, &rest);
	rest = str_sub(line, head.n + type.n, SIZE_MAX);
	if (!str_starts(rest, mid) || !str_ends(rest, STR("}")))
		return false;
	struct str object = str_sub(rest, mid.n, rest.n - 1);
	for (size_t i = 0; i < ARRAY_LEN(event_names); i++)
		if (str_eq_c(type, event_names[i])) {
			w->fns.event(w->arg, (enum client_event)i, object);
			return true;
		}
	if (!str_eq_c(type, "ERROR"))
		return false;
	struct arena *a = arena_new(1 << 20);
	struct doc *d = NULL;
	int code = 500;
	if (a && doc_parse_json(a, object, NULL, &d, NULL) == 0)
		code = (int)doc_get_int(d, STR("code"), 500);
	arena_free(a);
	buf_clear(&w->error_body);
	buf_str(&w->error_body, object);
	w->status = code;
	return true;
}

static void
on_watch_head(void *arg, const struct http_response *resp)
{
	struct https_watch *w = arg;
	w->status = resp->status;
}

/* watch_fail: the stream is not what a watch is: it ends here. */
static void
watch_fail(struct https_watch *w, int code, const char *why)
{
	struct client_result r = {.http = w->status};
	if (w->stopped)
		return;
	err_set(&r.e, code, R_UNKNOWN, "%s", why);
	http_call_cancel(w->call);
	watch_release(w);
	w->fns.end(w->arg, &r);
}

static void
on_watch_data(void *arg, struct str bytes)
{
	struct https_watch *w = arg;
	if (w->status != 200) {
		if (w->error_body.len < 1 << 16)
			buf_str(&w->error_body, bytes);
		return;
	}
	buf_str(&w->in, bytes);
	size_t at = 0;
	while (!w->stopped && w->status == 200) {
		struct str rest = str_sub(buf_view(&w->in), at, SIZE_MAX);
		ptrdiff_t nl = str_find_char(rest, '\n');
		if (nl < 0)
			break;
		at += (size_t)nl + 1;
		struct str line = str_trim(str_sub(rest, 0, (size_t)nl));
		if (line.n && !watch_line(w, line)) {
			watch_fail(w, -EPROTO, "a watch line that is no event");
			return;
		}
	}
	buf_consume(&w->in, at);
	if (w->in.failed || w->in.len > EVENT_MAX)
		watch_fail(w, -EFBIG, "a watch event that is too large");
}

static void
on_watch_end(void *arg, const struct err *e)
{
	struct https_watch *w = arg;
	struct client_result r = {0};
	if (w->stopped)
		return;
	if (w->status && w->status != 200)
		result_fill(&r, w->status, STR_NONE, buf_view(&w->error_body));
	else if (e->code)
		r.e = *e;
	if (!r.http)
		r.http = w->status;
	watch_release(w);
	w->fns.end(w->arg, &r);
}

static int
https_watch(struct client *base, const struct client_req *req, const struct client_watch_fns *fns,
	void *arg, struct client_watch **ret)
{
	static const struct http_call_fns call_fns = {
		.head = on_watch_head, .data = on_watch_data, .end = on_watch_end};
	struct https_client *c = of(base);
	_cleanup_buf_ struct buf url = BUF_INIT;
	struct http_header headers[4];
	struct http_call_spec spec;
	struct client_req watch_req = *req;
	struct https_watch *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	watch_req.verb = CLIENT_WATCH;
	w->base.c = base;
	w->fns = *fns;
	w->arg = arg;
	url_put(c, &watch_req, &url);
	spec_fill(c, CLIENT_WATCH, buf_view(&url), req->body, headers, &spec);
	spec.head_ns = CALL_NS;
	spec.stall_ns = req->allow_bookmarks ? WATCH_STALL_NS : 0;
	int rc = url.failed ? -ENOMEM
			    : http_call_start(c->http, &spec, &call_fns, w, &w->call, NULL);
	if (rc < 0) {
		free(w);
		return rc;
	}
	LIST_ADD(c->watches, w);
	*ret = &w->base;
	return 0;
}

static void
https_watch_stop(struct client_watch *base)
{
	struct https_watch *w = CONTAINER_OF(base, struct https_watch, base);
	if (w->stopped)
		return;
	http_call_cancel(w->call);
	watch_release(w);
}

/* ---- life ---- */

static void
https_free(struct client *base)
{
	struct https_client *c = of(base);
	for (size_t i = 0; i < CALLS__COUNT; i++)
		while (c->calls[i].first)
			https_cancel(&c->calls[i].first->base);
	loop_defer_cancel(&c->next);
	while (c->watches)
		https_watch_stop(&c->watches->base);
	http_client_free(c->http);
	tls_ctx_unref(c->tls);
	arena_free(c->a);
	free(c->ca_pem);
	free(c->token);
	free(c);
}

static const struct client_ops https_ops = {
	.call = https_call,
	.cancel = https_cancel,
	.watch = https_watch,
	.watch_stop = https_watch_stop,
	.free = https_free,
};

int
client_https_set_credentials(struct client *base, struct str cert_pem, struct str key_pem,
	struct str token, struct err *e)
{
	struct https_client *c = of(base);
	struct tls_pair pair = {cert_pem, key_pem};
	struct tls_config cfg = {.pairs = &pair,
		.n_pairs = cert_pem.n ? 1 : 0,
		.ca_pem = str_from(c->ca_pem, c->ca_len)};
	struct tls_ctx *tls = NULL;
	int rc = tls_ctx_new(&cfg, &tls, e);
	if (rc < 0)
		return rc;
	char *copy = malloc(token.n + 1);
	if (!copy) {
		tls_ctx_unref(tls);
		return err_errno(e, -ENOMEM, "credentials");
	}
	if (token.n)
		memcpy(copy, token.p, token.n);
	copy[token.n] = 0;
	free(c->token);
	c->token = copy;
	c->token_len = token.n;
	tls_ctx_unref(c->tls);
	c->tls = tls;
	http_client_close_idle(c->http);
	return 0;
}

int
client_https_new(
	struct loop *l, const struct client_https_config *cfg, struct client **ret, struct err *e)
{
	struct https_client *c = calloc(1, sizeof(*c));
	struct http_client_config http_cfg = {.loop = l, .max_idle_per_host = CALLS_MAX};
	if (!c)
		return err_errno(e, -ENOMEM, "client");
	c->base.ops = &https_ops;
	c->base.loop = l;
	for (size_t i = 0; i < CALLS__COUNT; i++)
		c->calls[i].end = &c->calls[i].first;
	c->next = (struct loop_work){.fn = on_next, .arg = c};
	c->a = arena_new(1 << 16);
	c->ca_pem = malloc(cfg->ca_pem.n + 1);
	if (!c->a || !c->ca_pem || http_client_new(&http_cfg, &c->http) < 0) {
		https_free(&c->base);
		return err_errno(e, -ENOMEM, "client");
	}
	if (cfg->ca_pem.n)
		memcpy(c->ca_pem, cfg->ca_pem.p, cfg->ca_pem.n);
	c->ca_pem[cfg->ca_pem.n] = 0;
	c->ca_len = cfg->ca_pem.n;
	struct str server = cfg->server;
	while (str_ends(server, STR("/")))
		server.n--;
	c->server = arena_str(c->a, server);
	c->user_agent = arena_str(c->a, cfg->user_agent.n ? cfg->user_agent : STR("keelson"));
	c->impersonate = arena_str(c->a, cfg->impersonate_user);
	int rc = client_https_set_credentials(&c->base, cfg->cert_pem, cfg->key_pem, cfg->token, e);
	if (rc < 0) {
		https_free(&c->base);
		return rc;
	}
	*ret = &c->base;
	return 0;
}
