/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * replay: asks a server all requests of a corpus, one after the other, and keeps its normalised answers.
 * Over TLS, with the administrator's certificate. A watch ends when it brought as many events as the corpus
 * says, or after WATCH_NS. A connection that fails is an answer too (status 0). A server goes on with what it serves
 * by itself (definitions, API services) after it answered: the next request waits until it has, SETTLE_NS at most. */
#include "base/clock.h"
#include "netstack/http/http.h"
#include "tests/oracle/oracle.h"

#define BODY_MAX ((size_t)64 << 20)
#define CALL_NS (30 * NS_PER_SEC)
#define WATCH_NS (2 * NS_PER_SEC)
#define SETTLE_NS NS_PER_SEC
#define MAX_HEADERS 16
#define MAX_VARS 32

struct var {
	struct str name, value;
};
struct replay {
	struct arena *a;       /* what is kept */
	struct arena *scratch; /* of one step */
	struct loop *loop;
	struct http_client *http;
	struct tls_ctx *tls;
	struct str url;
	struct normal normal;
	struct var vars[MAX_VARS];
	size_t n_vars;
	struct oracle_step *step;
	bool done;
	struct str settling; /* path of the object that the server goes on with; scratch */
	bool settled;
	/* watch */
	struct http_call *call;
	struct loop_timer timer;
	struct buf in;
	uint32_t seen;
};

static void
keep(struct replay *r, const struct str **list, size_t *n, struct str s)
{
	struct str *all = NULL;
	memcpy(&all, list, sizeof(all));
	struct str *at = ARENA_PUSH(r->a, all, *n);
	*list = all;
	if (at)
		*at = arena_str(r->a, s);
}

/* ---- variables ------------------------------------------------------------------------------------- */

static struct str
var_value(const struct replay *r, struct str name)
{
	for (size_t i = r->n_vars; i > 0; i--)
		if (str_eq(r->vars[i - 1].name, name))
			return r->vars[i - 1].value;
	return STR("none");
}

static struct str
fill_in(struct replay *r, struct str s)
{
	if (str_find(s, STR("${")) < 0)
		return s;
	struct buf b;
	buf_init_arena(&b, r->scratch);
	while (s.n) {
		ptrdiff_t at = str_find(s, STR("${"));
		ptrdiff_t end = at < 0 ? -1 : str_find_char(str_sub(s, (size_t)at, SIZE_MAX), '}');
		if (end < 0)
			break;
		buf_str(&b, str_sub(s, 0, (size_t)at));
		buf_str(&b, var_value(r, str_sub(s, (size_t)at + 2, (size_t)(at + end))));
		s = str_sub(s, (size_t)(at + end) + 1, SIZE_MAX);
	}
	buf_str(&b, s);
	return buf_view(&b);
}

static void
vars_capture(struct replay *r, struct str body)
{
	struct doc *d = NULL;
	if (r->step->n_captures == 0 || doc_parse_json(r->scratch, body, NULL, &d, NULL) < 0)
		return;
	for (size_t i = 0; i < r->step->n_captures && r->n_vars < MAX_VARS; i++) {
		struct str name, path;
		str_cut(r->step->captures[i], ' ', &name, &path);
		char *at = arena_cstr(r->scratch, path);
		struct str v = at ? doc_as_str(doc_at(d, at)) : STR_NONE;
		if (v.n)
			r->vars[r->n_vars++] = (struct var){name, arena_str(r->a, v)};
	}
}

/* ---- answers --------------------------------------------------------------------------------------- */

static void
answer_head(struct replay *r, const struct http_response *resp)
{
	struct oracle_step *s = r->step;
	s->status = resp->status;
	for (size_t i = 0; i < resp->headers.n; i++) {
		struct str v;
		const struct http_header *h = &resp->headers.v[i];
		if (normal_header(r->scratch, h->name, h->value, &v))
			keep(r, &s->answer_headers, &s->n_answer_headers,
				arena_fmt(r->scratch, STR_FMT ": " STR_FMT, STR_ARG(h->name),
					STR_ARG(v)));
	}
}

static void
answer_data(struct replay *r, struct str body)
{
	vars_capture(r, body);
	struct str text = oracle_escape(r->scratch, normal_body(r->scratch, &r->normal, body));
	if (text.n)
		keep(r, &r->step->data, &r->step->n_data, text);
}

static void
answer_failed(struct replay *r, const struct err *e)
{
	if (r->step->status > 0) {
		keep(r, &r->step->data, &r->step->n_data, STR("<cut short>"));
		return;
	}
	r->step->status = 0;
	keep(r, &r->step->data, &r->step->n_data, str_c(e->msg));
}

/* ---- what the server goes on with ------------------------------------------------------------------ */

static struct doc *
condition_of(const struct doc *obj, const char *type)
{
	DOC_EACH (c, doc_at(obj, "status.conditions"))
		if (str_eq_c(doc_get_str(c, STR("type")), type))
			return c;
	return NULL;
}

/* Its controllers have nothing more to do with this object. One that goes stays while others' finalizers hold it. */
static bool
is_settled(const struct doc *obj)
{
	const struct doc *finalizers = doc_at(obj, "metadata.finalizers");
	const struct doc *names = condition_of(obj, "NamesAccepted");
	const struct doc *served = condition_of(obj, "Established");
	if (doc_at(obj, "metadata.deletionTimestamp"))
		return doc_len(finalizers) > 1 ||
			!str_starts(doc_as_str(doc_index(finalizers, 0)),
				STR("customresourcecleanup."));
	if (!doc_at(obj, "spec.names"))
		return condition_of(obj, "Available") != NULL;
	if (!names || !served || str_eq_c(doc_get_str(served, STR("reason")), "Installing"))
		return false;
	return !str_eq_c(doc_get_str(names, STR("status")), "True") ||
		doc_equal(doc_at(obj, "spec.names"), doc_at(obj, "status.acceptedNames"));
}

static bool
are_settled(const struct doc *answer)
{
	bool all = true;
	DOC_EACH (obj, doc_get(answer, STR("items")))
		all &= is_settled(obj);
	return doc_get(answer, STR("items")) ? all : is_settled(answer);
}

/* The path of what this answer changed, if it is one of those or a list of them; none otherwise. */
static struct str
settling_path(struct replay *r, int status, struct str body)
{
	static const struct {
		const char *kind, *path;
	} rows[] = {
		{"CustomResourceDefinition",
			"/apis/apiextensions.k8s.io/v1/customresourcedefinitions"},
		{"APIService", "/apis/apiregistration.k8s.io/v1/apiservices"},
	};
	struct doc *d = NULL;
	if (str_eq_c(r->step->method, "GET") || (status != 200 && status != 201) ||
		doc_parse_json(r->scratch, body, NULL, &d, NULL) < 0)
		return STR_NONE;
	struct str name = doc_as_str(doc_at(d, "metadata.name"));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (str_starts(doc_get_str(d, STR("kind")), str_c(rows[i].kind)))
			return arena_fmt(r->scratch, "%s%s" STR_FMT, rows[i].path,
				name.n ? "/" : "", STR_ARG(name));
	return STR_NONE;
}

static void
on_settling(void *arg, const struct err *e, const struct http_response *resp, struct str body)
{
	struct replay *r = arg;
	struct doc *d = NULL;
	r->done = true;
	r->settled = e->code || resp->status != 200 ||
		doc_parse_json(r->scratch, body, NULL, &d, NULL) < 0 || are_settled(d);
}

static void
settle(struct replay *r)
{
	int64_t until = clock_mono_ns() + SETTLE_NS;
	struct http_call_spec spec = {.method = STR("GET"),
		.url = arena_fmt(
			r->scratch, STR_FMT STR_FMT, STR_ARG(r->url), STR_ARG(r->settling)),
		.tls = r->tls,
		.total_ns = CALL_NS};
	for (r->settled = false; !r->settled && clock_mono_ns() < until;) {
		struct http_fetch *f = NULL;
		struct err e = {0};
		r->done = false;
		if (http_fetch(r->http, &spec, BODY_MAX, on_settling, r, &f, &e) < 0)
			return;
		while (!r->done)
			loop_turn(r->loop, -1);
	}
}

/* ---- answers, collected ---------------------------------------------------------------------------- */

static void
on_fetched(void *arg, const struct err *e, const struct http_response *resp, struct str body)
{
	struct replay *r = arg;
	r->done = true;
	if (e->code) {
		answer_failed(r, e);
		return;
	}
	answer_head(r, resp);
	answer_data(r, body);
	r->settling = settling_path(r, resp->status, body);
}

/* ---- watches --------------------------------------------------------------------------------------- */

static void
watch_over(struct replay *r)
{
	loop_timer_cancel(&r->timer);
	r->done = true;
}

static void
on_watch_head(void *arg, const struct http_response *resp)
{
	answer_head(arg, resp);
}

static void
on_watch_data(void *arg, struct str bytes)
{
	struct replay *r = arg;
	buf_str(&r->in, bytes);
	for (;;) {
		ptrdiff_t at = str_find_char(buf_view(&r->in), '\n');
		if (at < 0 || r->seen == r->step->events)
			return;
		answer_data(r, str_sub(buf_view(&r->in), 0, (size_t)at));
		buf_consume(&r->in, (size_t)at + 1);
		if (++r->seen == r->step->events) {
			http_call_cancel(r->call);
			watch_over(r);
		}
	}
}

static void
on_watch_end(void *arg, const struct err *e)
{
	struct replay *r = arg;
	if (e->code)
		answer_failed(r, e);
	else if (r->in.len)
		answer_data(r, buf_view(&r->in));
	watch_over(r);
}

static void
on_watch_time(struct loop_timer *t)
{
	struct replay *r = t->arg;
	http_call_cancel(r->call);
	keep(r, &r->step->data, &r->step->n_data, STR("<no more events>"));
	watch_over(r);
}

/* ---- steps ----------------------------------------------------------------------------------------- */

static int
step_start(struct replay *r, struct err *e)
{
	static const struct http_call_fns watch_fns = {
		.head = on_watch_head, .data = on_watch_data, .end = on_watch_end};
	struct oracle_step *s = r->step;
	struct doc *sent = NULL;
	r->normal.generate = STR_NONE;
	if (str_find(s->body, STR("\"generateName\"")) >= 0 &&
		doc_parse_json(
			r->scratch, oracle_unescape(r->scratch, s->body), NULL, &sent, NULL) == 0)
		r->normal.generate = doc_as_str(doc_at(sent, "metadata.generateName"));
	struct http_header h[MAX_HEADERS];
	size_t n = 0;
	for (size_t i = 0; i < s->n_headers && n < MAX_HEADERS; i++) {
		str_cut(fill_in(r, s->headers[i]), ':', &h[n].name, &h[n].value);
		h[n].value = str_trim(h[n].value);
		n++;
	}
	struct http_call_spec spec = {.method = s->method,
		.url = arena_fmt(r->scratch, STR_FMT STR_FMT, STR_ARG(r->url),
			STR_ARG(fill_in(r, s->target))),
		.tls = r->tls,
		.headers = h,
		.n_headers = n,
		.body = fill_in(r, oracle_unescape(r->scratch, s->body)),
		.total_ns = CALL_NS};
	if (s->events == 0) {
		struct http_fetch *f = NULL;
		return http_fetch(r->http, &spec, BODY_MAX, on_fetched, r, &f, e);
	}
	r->seen = 0;
	buf_clear(&r->in);
	loop_timer_after(r->loop, &r->timer, WATCH_NS);
	return http_call_start(r->http, &spec, &watch_fns, r, &r->call, e);
}

static void
step_run(struct replay *r, struct oracle_step *s)
{
	struct err e = {0};
	r->step = s;
	r->done = false;
	r->settling = STR_NONE;
	s->n_answer_headers = s->n_data = 0;
	s->answer_headers = s->data = NULL;
	s->status = -1;
	if (step_start(r, &e) < 0) {
		loop_timer_cancel(&r->timer);
		answer_failed(r, &e);
		r->done = true;
	}
	while (!r->done)
		loop_turn(r->loop, -1);
	if (str_is_set(r->settling))
		settle(r);
	arena_clear(r->scratch);
}

int
oracle_replay(
	struct arena *a, struct oracle_corpus *c, const struct replay_target *to, struct err *e)
{
	const struct tls_pair pair = {to->cert_pem, to->key_pem};
	const struct tls_config tls = {.pairs = &pair, .n_pairs = 1, .ca_pem = to->ca_pem};
	struct replay r = {
		.a = a, .url = to->url, .normal.authority = str_sub(to->url, 8, SIZE_MAX)};
	r.loop = loop_new(NULL, "oracle");
	r.scratch = arena_new((size_t)2 << 30);
	r.timer = (struct loop_timer){.fn = on_watch_time, .arg = &r};
	const struct http_client_config cfg = {.loop = r.loop};
	int rc = r.loop && r.scratch ? http_client_new(&cfg, &r.http) : -ENOMEM;
	if (rc == 0)
		rc = tls_ctx_new(&tls, &r.tls, e);
	for (size_t i = 0; rc == 0 && i < c->n_cases; i++) {
		r.n_vars = 0;
		for (size_t k = 0; k < c->cases[i].n_steps; k++)
			step_run(&r, &c->cases[i].steps[k]);
		if (arena_failed(a))
			rc = err_set(e, -ENOMEM, R_UNKNOWN,
				"the answers pass what memory is given them");
	}
	if (r.http)
		http_client_free(r.http);
	tls_ctx_unref(r.tls);
	buf_release(&r.in);
	loop_turn(r.loop, 0);
	loop_free(r.loop);
	arena_free(r.scratch);
	return rc;
}
