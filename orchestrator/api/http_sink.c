/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * http_sink: where HTTP requests enter the pipeline and where their answers go: whole replies, streams,
 * watches as lines or as WebSocket messages, logs as WebSocket messages; and the body stage, which reads a body after the request
 * was authorized, never before.
 *
 * Invariant: what outlives an upgrade has an arena of its own, since the request of the connection ends
 * with its 101.
 * Source: Kubernetes API concepts (watch streams); k8s.io/streaming wsstream (binary.k8s.io); RFC 6455. */
#include "orchestrator/api/api_int.h"

#include "base/hash.h"

struct http_request {
	struct request r;
	struct reply_sink sink;
	struct ws *ws; /* a watch or a log over WebSocket */
	bool own_arena, ws_over, base64;
	void (*drain)(struct request *r);
};

static struct http_request *
of(struct request *r)
{
	return CONTAINER_OF(r, struct http_request, r);
}

struct request *
http_request_of(struct http_req *h)
{
	struct http_request *hr = h->arg;
	return &hr->r;
}

static void
arena_later(void *p)
{
	arena_free(p);
}

static void
request_end(struct request *r)
{
	if (of(r)->own_arena)
		loop_free_later(r->loop, arena_later, r->a);
}

/* ---- replies --------------------------------------------------------------------------------------- */

static void
sink_header(struct request *r, struct str name, struct str value)
{
	http_set_header(r->sink->http, name, value);
}

static void
sink_reply(struct request *r, int http, struct str type, struct str body)
{
	http_reply(r->sink->http, http, type, body);
	request_end(r);
}

static void
ws_got(void *arg, int opcode, struct str bytes)
{
	(void)arg;
	(void)opcode;
	(void)bytes; /* who watches or reads has nothing to say */
}

static void
ws_gone(void *arg, int code, struct str reason)
{
	(void)code;
	(void)reason;
	struct request *r = arg;
	of(r)->ws_over = true;
	request_client_gone(r);
}

static void
ws_drained(void *arg)
{
	struct request *r = arg;
	void (*fn)(struct request * r) = of(r)->drain;
	of(r)->drain = NULL;
	if (fn)
		fn(r);
}

static const struct ws_fns watch_ws_fns = {
	.message = ws_got, .closed = ws_gone, .drain = ws_drained};

static void
ws_refused(void *arg)
{
	struct request *r = arg;
	request_client_gone(r);
}

/* How bytes are sent that are no events. */
static const struct str byte_protocols[] = {
	STR_INIT("binary.k8s.io"), STR_INIT("base64.binary.k8s.io")};

static size_t
ws_bytes(struct request *r, struct str bytes)
{
	struct http_request *hr = of(r);
	if (!hr->ws)
		return 0;
	if (!hr->base64)
		return ws_message(hr->ws, WS_BINARY, bytes);
	_cleanup_buf_ struct buf b = BUF_INIT;
	base64_encode(&b, bytes);
	return ws_message(hr->ws, WS_TEXT, buf_view(&b));
}

/* sink_begin: a WebSocket takes an answer that succeeds; one that streams bytes begins with an empty message. */
static void
sink_begin(struct request *r, int http, struct str type)
{
	struct http_req *h = r->sink->http;
	bool log = r->sub && str_eq(r->sub->name, STR("log"));
	if ((r->verb == VERB_WATCH || log) && ws_is_upgrade(h)) {
		struct str protocol = STR_NONE;
		int rc = ws_accept(h, byte_protocols, log ? ARRAY_LEN(byte_protocols) : 0, 65536,
			&watch_ws_fns, r, &protocol, &of(r)->ws);
		if (rc == -EINVAL || rc == -EPROTONOSUPPORT)
			http_reply(h, rc == -EINVAL ? 400 : 403, STR("text/plain"),
				STR("bad WebSocket handshake\n"));
		if (rc < 0) {
			of(r)->ws_over = true;
			of(r)->ws = NULL;
			loop_post(r->loop, ws_refused, r);
		} else if (log) {
			of(r)->base64 = str_eq(protocol, byte_protocols[1]);
			ws_bytes(r, STR(""));
		}
		return;
	}
	http_begin(h, http, type, -1);
}

static bool
is_ws(struct request *r)
{
	return of(r)->ws || of(r)->ws_over;
}

static size_t
sink_write(struct request *r, struct str bytes)
{
	return is_ws(r) ? ws_bytes(r, bytes) : http_write(r->sink->http, bytes);
}

static size_t
sink_queued(struct request *r)
{
	return is_ws(r) ? 0 : http_queued(r->sink->http);
}

static void
http_drained(struct http_req *h)
{
	struct http_request *hr = h->arg;
	void (*fn)(struct request * r) = hr->drain;
	hr->drain = NULL;
	if (fn)
		fn(&hr->r);
}

static void
sink_on_drain(struct request *r, void (*fn)(struct request *r))
{
	of(r)->drain = fn;
	if (!is_ws(r))
		http_on_drain(r->sink->http, http_drained);
}

static void
sink_end(struct request *r)
{
	struct http_request *hr = of(r);
	if (hr->ws && !hr->ws_over)
		ws_close(hr->ws, WS_NORMAL, STR(""));
	if (hr->ws) {
		ws_free(hr->ws);
		hr->ws_over = true;
	}
	hr->ws = NULL;
	if (!is_ws(r) && r->gone)
		http_drop(r->sink->http);
	else if (!is_ws(r))
		http_end(r->sink->http);
	request_end(r);
}

static size_t
sink_event(struct request *r, const char *type, struct str object)
{
	const struct str parts[] = {
		STR("{\"type\":\""), str_c(type), STR("\",\"object\":"), object, STR("}\n")};
	if (!is_ws(r))
		return http_writev(r->sink->http, parts, ARRAY_LEN(parts));
	struct http_request *hr = of(r);
	_cleanup_buf_ struct buf b = BUF_INIT;
	for (size_t i = 0; i < ARRAY_LEN(parts) - 1; i++)
		buf_str(&b, parts[i]);
	buf_char(&b, '}'); /* a message needs no line end */
	return hr->ws && !hr->ws_over && !b.failed ? ws_message(hr->ws, WS_TEXT, buf_view(&b)) : 0;
}

const struct reply_sink_ops http_sink_ops = {
	.reply = sink_reply,
	.begin = sink_begin,
	.write = sink_write,
	.queued = sink_queued,
	.on_drain = sink_on_drain,
	.end = sink_end,
	.header = sink_header,
	.event = sink_event,
};

/* http_request_upgraded: the HTTP request has ended by an upgrade the stage did itself. */
void
http_request_upgraded(struct request *r, int http)
{
	request_over(r, http);
	request_end(r);
}

/* ---- requests -------------------------------------------------------------------------------------- */

static void
http_aborted_fn(struct http_req *h)
{
	struct http_request *hr = h->arg;
	request_client_gone(&hr->r);
}

static void
body_here(struct http_req *h, int error, struct str body)
{
	struct http_request *hr = h->arg;
	struct request *r = &hr->r;
	r->body = body;
	r->body_bad = error;
	r->stage_state = hr;
	request_resume(r, true);
}

enum step
stage_body(struct request *r)
{
	struct http_req *h = r->sink->http;
	if (!h || (r->sub && r->sub->connect) || r->verb == VERB_GET || r->verb == VERB_LIST ||
		r->verb == VERB_WATCH)
		return STEP_NEXT;
	if (r->stage_state && r->body_bad == -EFBIG)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE,
			"Request entity too large: limit is %d", API_BODY_MAX);
	if (r->stage_state && r->body_bad < 0)
		return request_fail(r, R_BAD_REQUEST, "the body of the request is malformed");
	if (r->stage_state)
		return STEP_NEXT;
	r->body_media = media_of(http_headers_get(&h->headers, STR("Content-Type")));
	http_collect(h, API_BODY_MAX, body_here);
	return STEP_WAIT;
}

static struct str
remote_text(struct arena *a, const struct http_req *h)
{
	char text[IP_TEXT_MAX];
	size_t n = ip_format(&h->remote.ip, text);
	return arena_str(a, str_from(text, n));
}

void
http_on_request(void *arg, struct http_req *h)
{
	struct api_worker *w = arg;
	bool upgrades = str_is_set(http_headers_get(&h->headers, STR("Upgrade")));
	struct arena *a = upgrades ? arena_new(0) : h->arena;
	struct http_request *hr = a ? ARENA_NEW(a, struct http_request) : NULL;
	if (!hr) {
		if (upgrades)
			arena_free(a);
		http_reply(h, 503, STR("text/plain"), STR("out of memory\n"));
		return;
	}
	h->arg = hr;
	hr->own_arena = upgrades;
	hr->sink = (struct reply_sink){.ops = &http_sink_ops, .http = h};
	struct request *r = &hr->r;
	request_init(r, w, a, &hr->sink);
	http_on_abort(h, http_aborted_fn);
	r->method = arena_str(a, h->method);
	r->raw_query = str_is_set(h->query) ? arena_str(a, h->query) : STR("");
	r->user_agent = arena_str(a, http_headers_get(&h->headers, STR("User-Agent")));
	r->remote_ip = remote_text(a, h);
	struct str raw = arena_str(a, h->path);
	if (http_url_decode(a, raw, false, &r->path) < 0 || str_find_char(r->path, '\0') >= 0) {
		r->path = STR("/");
		request_fail(r, R_BAD_REQUEST, "the path of the request is malformed");
		return;
	}
	request_start(r, STAGE_ROUTE);
}
