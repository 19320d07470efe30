/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hook_call: one question to one webhook: an AdmissionReview posted over TLS, and its answer.
 *
 * A webhook behind a Service is reached at a ready endpoint of it that is a pod, its certificate checked for
 * <service>.<namespace>.svc. Connections are kept. A kept one that its server closes before it answers is replaced once;
 * no redirect is followed.
 * Invariants: nothing blocks; the call ends with the webhook's timeout, the request's own, or the request.
 * Source: k8s.io/apiserver pkg/util/webhook (client); k8s.io/apimachinery api/errors (texts of bare answers). */
#include "orchestrator/api/hook_int.h"
#include "orchestrator/api/proxy_int.h"

#include "base/rand.h"

#define REQUEST_NS (34 * NS_PER_SEC) /* what any write has for its webhooks together */
#define SAID_MAX 256                 /* of an answer that is no review */

int64_t
hook_deadline_ns(struct request *r)
{
	struct str text = http_query_get(r->a, r->raw_query, STR("timeout"));
	int64_t asked = 0, ns = REQUEST_NS;
	if (text.n && duration_parse(text, &asked) == 0 && asked > 0 && asked < ns)
		ns = asked;
	return r->start_ns + ns;
}

static void
failed(struct hook_call *c, struct str why)
{
	c->result = HOOK_FAILED;
	c->why = why;
	c->over = true;
}

static void
transport_failed(struct hook_call *c, const char *why)
{
	failed(c,
		arena_fmt(c->r->a, "failed to call webhook: Post \"" STR_FMT "\": %s",
			STR_ARG(c->url), why));
}

/* ---- the answer ------------------------------------------------------------------------------------ */

/* Answers that are no review; others of 500 and above carry what they say. */
static const struct {
	int http;
	const char *text;
} bare_answers[] = {
	{400, "the server rejected our request for an unknown reason"},
	{401, "the server has asked for the client to provide credentials"},
	{404, "the server could not find the requested resource"},
	{405, "the server does not allow this method on the requested resource"},
	{409, "the server reported a conflict"},
	{422, "the server rejected our request due to an error in our request"},
	{429, "the server has received too many requests and has asked us to try again later"},
	{503, "the server is currently unable to handle the request"},
	{504,
		"the server was unable to return a response in the time allotted, but may still be "
		"processing the request"},
};

static struct str
bare_text(struct arena *a, int http, struct str body)
{
	for (size_t i = 0; i < ARRAY_LEN(bare_answers); i++)
		if (bare_answers[i].http == http)
			return str_c(bare_answers[i].text);
	struct str said = str_sub(str_trim(body), 0, SAID_MAX);
	if (!str_is_utf8(said))
		said = STR("unknown");
	if (http >= 500)
		return arena_fmt(a,
			"an error on the server (\"" STR_FMT
			"\") has prevented the request from succeeding",
			STR_ARG(said.n ? said : STR("unknown")));
	return arena_fmt(a,
		"the server responded with the status code %d but did not return more information",
		http);
}

static void
answered(struct hook_call *c, const struct http_response *resp, struct str body)
{
	struct err e = {0};
	struct str own = arena_str(c->r->a, body);
	c->over = true;
	if (resp->status < 200 || resp->status > 299) {
		failed(c,
			arena_fmt(c->r->a, "failed to call webhook: " STR_FMT,
				STR_ARG(bare_text(c->r->a, resp->status, own))));
		return;
	}
	int rc = hook_answer_parse(c->r->a, own, c->uid, c->h->review, c->mutating, &c->answer, &e);
	c->result = HOOK_ANSWERED;
	if (rc < 0)
		failed(c, arena_str(c->r->a, str_c(e.msg)));
}

/* ---- the question ---------------------------------------------------------------------------------- */

static int post(struct hook_call *c, struct err *e);

static void
on_done(void *arg, const struct err *e, const struct http_response *resp, struct str body)
{
	struct hook_call *c = arg;
	struct err again = {0};
	c->fetch = NULL;
	if (e->code == -ECONNRESET && resp->status == 0 && !c->again) {
		c->again = true;
		if (post(c, &again) == 0)
			return;
	}
	if (e->code == 0)
		answered(c, resp, body);
	else
		transport_failed(c, e->code == -ETIMEDOUT ? "context deadline exceeded" : e->msg);
	c->done(c);
}

static int
post(struct hook_call *c, struct err *e)
{
	struct request *r = c->r;
	struct hook *h = c->h;
	struct http_client *client = hooks_client(r);
	struct http_header headers[] = {{STR("Content-Type"), STR("application/json")},
		{STR("Accept"), STR("application/json, */*")},
		{STR("User-Agent"), STR("kube-apiserver-admission")}};
	struct http_call_spec spec = {.method = STR("POST"),
		.url = c->url,
		.headers = headers,
		.n_headers = ARRAY_LEN(headers),
		.body = c->body,
		.fresh = c->again};
	struct http_addr addr = {0};
	int64_t left = hook_deadline_ns(r) - loop_now_ns(r->loop);
	spec.total_ns = h->timeout_ns && h->timeout_ns < left ? h->timeout_ns : left;
	if (!client)
		return err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	if (spec.total_ns <= 0)
		return err_set(e, -ETIMEDOUT, R_UNKNOWN, "context deadline exceeded");
	int rc = hook_tls(h, &spec.tls, e);
	if (rc == 0 && !h->url.n) {
		spec.verify_name = arena_fmt(r->a, STR_FMT "." STR_FMT ".svc", STR_ARG(h->service),
			STR_ARG(h->service_ns));
		spec.addr = &addr;
		rc = target_endpoint(r, h->service_ns, h->service, h->port, &addr, e);
	}
	return rc < 0 ? rc : http_fetch(client, &spec, API_BODY_MAX, on_done, c, &c->fetch, e);
}

/* The time that is left for the answer, in whole seconds, is told in the query. */
static struct str
url_of(struct request *r, const struct hook *h)
{
	char text[40] = "";
	int64_t left = hook_deadline_ns(r) - loop_now_ns(r->loop);
	if (h->timeout_ns && h->timeout_ns < left)
		left = h->timeout_ns;
	if (left > 0)
		duration_format((left + NS_PER_SEC - 1) / NS_PER_SEC * NS_PER_SEC, text);
	if (h->url.n)
		return arena_fmt(r->a, STR_FMT "?timeout=%s", STR_ARG(h->url), text);
	return arena_fmt(r->a, "https://" STR_FMT "." STR_FMT ".svc:%d%s" STR_FMT "?timeout=%s",
		STR_ARG(h->service), STR_ARG(h->service_ns), (int)h->port,
		str_starts(h->path, STR("/")) ? "" : "/", STR_ARG(h->path), text);
}

void
hook_call_start(struct hook_call *c, const struct hook_view *v)
{
	struct request *r = c->r;
	char uid[37];
	struct err e = {0};
	if (r->opt.dry_run && !c->h->no_side_effects) {
		c->result = HOOK_NO_DRYRUN;
		c->over = true;
		return;
	}
	if (!c->h->review) {
		failed(c,
			STR("could not create admission objects: webhook does not accept known "
			    "AdmissionReview versions (v1, v1beta1)"));
		return;
	}
	rand_uuid(uid);
	c->uid = arena_str(r->a, str_c(uid));
	c->url = url_of(r, c->h);
	c->body = hook_review_write(r, c->h, v, c->uid);
	int rc = str_is_set(c->body) ? post(c, &e)
				     : err_set(&e, -ENOMEM, R_UNKNOWN, "out of memory");
	if (rc < 0)
		transport_failed(c, e.msg);
}

void
hook_call_cancel(struct hook_call *c)
{
	if (c->fetch)
		http_fetch_cancel(c->fetch);
	c->fetch = NULL;
	c->over = true;
}
