/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hook_post: a question posted to a webhook over TLS, of admission or of conversion, and its answer.
 *
 * A webhook behind a Service is reached at a ready endpoint of it that is a pod, its certificate checked for
 * <service>.<namespace>.svc. Connections are kept. A kept one that its server closes before it answers is replaced once;
 * no redirect is followed.
 * Invariants: nothing blocks; the call ends at its deadline.
 * Source: k8s.io/apiserver pkg/util/webhook (client); k8s.io/apimachinery api/errors (texts of bare answers). */
#include "orchestrator/api/hook_int.h"
#include "orchestrator/api/proxy_int.h"

#define SAID_MAX 256 /* of an answer that is no review */

struct hook_target
hook_target_of(struct arena *a, const struct doc *c)
{
	const struct doc *service = doc_get(c, STR("service"));
	struct hook_target t = {.url = doc_get_str(c, STR("url")),
		.service_ns = doc_get_str(service, STR("namespace")),
		.service = doc_get_str(service, STR("name")),
		.path = doc_get_str(service, STR("path")),
		.port = doc_get_int(service, STR("port"), 443)};
	struct buf pem;
	buf_init_arena(&pem, a);
	if (base64_decode(&pem, doc_get_str(c, STR("caBundle"))) == 0)
		t.ca_pem = buf_view(&pem);
	return t;
}

int
hook_target_tls(const struct hook_target *t, struct tls_ctx **ret, struct err *e)
{
	if (t->ca_pem.n == 0)
		return err_set(e, -EINVAL, R_UNKNOWN,
			"tls: failed to verify certificate: clientConfig has no caBundle, and there are "
			"no roots of the system");
	return tls_ctx_new(&(struct tls_config){.ca_pem = t->ca_pem}, ret, e);
}

struct str
hook_target_url(struct arena *a, const struct hook_target *t, int64_t ns)
{
	char text[40] = "";
	if (ns > 0)
		duration_format((ns + NS_PER_SEC - 1) / NS_PER_SEC * NS_PER_SEC, text);
	if (t->url.n)
		return arena_fmt(a, STR_FMT "?timeout=%s", STR_ARG(t->url), text);
	return arena_fmt(a, "https://" STR_FMT "." STR_FMT ".svc:%d%s" STR_FMT "?timeout=%s",
		STR_ARG(t->service), STR_ARG(t->service_ns), (int)t->port,
		str_starts(t->path, STR("/")) ? "" : "/", STR_ARG(t->path), text);
}

static void
transport_failed(struct hook_post *p, const char *why)
{
	p->why = arena_fmt(p->r->a, "Post \"" STR_FMT "\": %s", STR_ARG(p->url), why);
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
answered(struct hook_post *p, const struct http_response *resp, struct str body)
{
	p->answer = arena_str(p->r->a, body);
	if (resp->status < 200 || resp->status > 299)
		p->why = bare_text(p->r->a, resp->status, p->answer);
}

/* ---- the question ---------------------------------------------------------------------------------- */

static int post(struct hook_post *p, struct err *e);

static void
on_done(void *arg, const struct err *e, const struct http_response *resp, struct str body)
{
	struct hook_post *p = arg;
	struct err again = {0};
	p->fetch = NULL;
	if (e->code == -ECONNRESET && resp->status == 0 && !p->again) {
		p->again = true;
		if (post(p, &again) == 0)
			return;
	}
	if (e->code == 0)
		answered(p, resp, body);
	else
		transport_failed(p, e->code == -ETIMEDOUT ? "context deadline exceeded" : e->msg);
	p->done(p);
}

static int
post(struct hook_post *p, struct err *e)
{
	struct request *r = p->r;
	const struct hook_target *t = p->to;
	struct http_client *client = hooks_client(r);
	struct http_header headers[] = {{STR("Content-Type"), STR("application/json")},
		{STR("Accept"), STR("application/json, */*")},
		{STR("User-Agent"), str_c(p->agent)}};
	struct http_call_spec spec = {.method = STR("POST"),
		.url = p->url,
		.headers = headers,
		.n_headers = ARRAY_LEN(headers),
		.body = p->body,
		.tls = p->tls,
		.fresh = p->again};
	struct http_addr addr = {0};
	int rc = 0;
	spec.total_ns = p->end_ns - loop_now_ns(r->loop);
	if (!client || !str_is_set(p->body))
		return err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	if (spec.total_ns <= 0)
		return err_set(e, -ETIMEDOUT, R_UNKNOWN, "context deadline exceeded");
	if (!t->url.n) {
		spec.verify_name = arena_fmt(r->a, STR_FMT "." STR_FMT ".svc", STR_ARG(t->service),
			STR_ARG(t->service_ns));
		spec.addr = &addr;
		rc = target_endpoint(r, t->service_ns, t->service, t->port, &addr, e);
	}
	return rc < 0 ? rc : http_fetch(client, &spec, API_BODY_MAX, on_done, p, &p->fetch, e);
}

int
hook_post_start(struct hook_post *p)
{
	struct err e = {0};
	p->why = STR_NONE;
	int rc = post(p, &e);
	if (rc < 0)
		transport_failed(p, e.msg);
	return rc;
}

void
hook_post_cancel(struct hook_post *p)
{
	if (p->fetch)
		http_fetch_cancel(p->fetch);
	p->fetch = NULL;
}
