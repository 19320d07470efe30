/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * apiservice_direct: a request of this very process that another server answers: there is no connection to move bytes
 * over, so the answer is collected and given as a whole. Controllers read metrics this way. */
#include "orchestrator/api/apiservice.h"
#include "orchestrator/api/hook_int.h"
#include "orchestrator/api/proxy_int.h"

#define ANSWER_MAX ((size_t)16 << 20)

struct asked {
	struct stream stream;
	struct request *r;
	struct http_fetch *fetch; /* NULL: over */
	struct err e;
	int http;
	struct str type, body;
};

static void
asked_over(struct asked *k)
{
	stream_del(&k->stream);
	k->r->on_gone = NULL;
	k->fetch = NULL;
	request_resume(k->r, true);
}

static void
on_done(void *arg, const struct err *e, const struct http_response *resp, struct str body)
{
	struct asked *k = arg;
	k->e = *e;
	if (e->code == 0) {
		k->http = resp->status;
		k->type = arena_str(k->r->a, http_headers_get(&resp->headers, STR("Content-Type")));
		k->body = arena_str(k->r->a, body);
	}
	asked_over(k);
}

static void
cancel(struct asked *k)
{
	http_fetch_cancel(k->fetch);
	err_set(&k->e, -ECANCELED, R_UNKNOWN, "context canceled");
	asked_over(k);
}

static void
on_gone(struct request *r)
{
	cancel(r->stage_state);
}

static void
on_stop(struct stream *st)
{
	cancel(CONTAINER_OF(st, struct asked, stream));
}

static enum step
asked_take(struct asked *k)
{
	struct request *r = k->r;
	if (k->e.code)
		return foreign_refuse(r, &k->e);
	if (arena_failed(r->a))
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	return request_reply_bytes(
		r, k->http, k->type.n ? k->type : STR("application/json"), k->body);
}

enum step
foreign_ask(struct request *r, const struct proxy_target *t)
{
	struct asked *k = r->stage_state;
	struct http_client *client = hooks_client(r);
	struct http_header *headers = NULL;
	struct err e = {0};
	if (k)
		return asked_take(k);
	if (!str_eq(r->method, STR("GET")) || r->foreign->lasts)
		return request_fail(
			r, R_BAD_REQUEST, "only what is read is asked of another server here");
	k = ARENA_NEW(r->a, struct asked);
	size_t n = foreign_identity(r->a, &r->user, &headers);
	struct http_header *accept = ARENA_PUSH(r->a, headers, n);
	if (!k || !client || !accept)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	*accept = (struct http_header){STR("Accept"), STR("application/json")};
	k->r = r;
	struct http_call_spec spec = {.method = r->method,
		.url = t->url,
		.headers = headers,
		.n_headers = n,
		.tls = t->tls,
		.addr = &t->addr,
		.head_ns = t->head_ns,
		.stall_ns = t->stall_ns};
	if (http_fetch(client, &spec, ANSWER_MAX, on_done, k, &k->fetch, &e) < 0)
		return foreign_refuse(r, &e);
	r->stage_state = k;
	r->on_gone = on_gone;
	stream_add(&k->stream, r, on_stop);
	return STEP_WAIT;
}
