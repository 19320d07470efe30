/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * request_fuzz: any bytes as an HTTP request to the API server: the whole pipeline from the path to the
 * reply (routes, options, continue tokens, selectors, bearer tokens, Accept, impersonation, bodies, patches,
 * admission, validation), over one store. The first byte chooses who asks. Nothing is written:
 * every commit is a dry run, so an input repeats. Holds: one whole answer for each request; a watch ends when
 * its client goes. What this process proxies elsewhere (exec, log, port-forward) is left out. */
#include "orchestrator/api/api_int.h"

/* The body is here already, and there is no node to proxy to. */
#define stage_body fuzz_body
#define stage_serve fuzz_serve
#define stage_commit fuzz_commit
enum step stage_body(struct request *r);
enum step stage_serve(struct request *r);
enum step stage_commit(struct request *r);
#include "orchestrator/api/pipeline.c"
#undef stage_body
#undef stage_serve
#undef stage_commit
enum step stage_serve(struct request *r);
enum step stage_commit(struct request *r);

#include "base/log.h"
#include "netstack/http/http1.h"
#include "orchestrator/kinds/kinds.h"
#include "tests/unit/netstack/tls/pki.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool dry;

enum step
fuzz_body(struct request *r)
{
	(void)r;
	return STEP_NEXT;
}

enum step
fuzz_serve(struct request *r)
{
	if (r->sub && r->sub->connect)
		return request_fail(r, R_METHOD_NOT_ALLOWED, "no node");
	return stage_serve(r);
}

enum step
fuzz_commit(struct request *r)
{
	r->opt.dry_run = r->opt.dry_run || dry;
	return stage_commit(r);
}

/* ---- the server ---- */

static struct {
	struct world *w;
	struct loop *loop;
	struct store *store;
	struct api_server *s;
	bool ready;
	size_t answers;
} g;

static void
on_ready(void *arg)
{
	(void)arg;
	g.ready = true;
}

static bool
is_ready(void *arg)
{
	(void)arg;
	return g.ready;
}

static void
on_made(void *arg, const struct client_result *r)
{
	(void)arg;
	BUG_ON(r->http != 201);
	g.answers++;
}

static bool
is_made(void *arg)
{
	return g.answers == *(size_t *)arg;
}

/* A few objects that requests meet. */
static void
objects_make(void)
{
	static const struct {
		const char *resource, *body;
	} rows[] = {
		{"configmaps",
			"{\"metadata\":{\"name\":\"a\",\"labels\":{\"app\":\"web\"}},\"data\":{\"k\":\"v\"}}"},
		{"configmaps", "{\"metadata\":{\"name\":\"b\",\"finalizers\":[\"x.y/z\"]}}"},
		{"secrets", "{\"metadata\":{\"name\":\"s\"},\"stringData\":{\"k\":\"v\"}}"},
		{"services",
			"{\"metadata\":{\"name\":\"web\"},\"spec\":{\"selector\":{\"app\":\"web\"},"
			"\"ports\":[{\"port\":80}]}}"},
		{"serviceaccounts", "{\"metadata\":{\"name\":\"default\"}}"},
		{"pods",
			"{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\","
			"\"image\":\"i\",\"resources\":{\"requests\":{\"cpu\":\"10m\"}}}]}}"},
	};
	struct str masters = STR("system:masters");
	struct api_identity id = {.user = STR("admin"), .groups = &masters, .n_groups = 1};
	struct client *c = NULL;
	BUG_ON(api_client_new(g.s, g.loop, &id, &c) < 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct client_req q = {.verb = CLIENT_CREATE,
			.group = STR(""),
			.version = STR("v1"),
			.resource = str_c(rows[i].resource),
			.ns = STR("default"),
			.body = str_c(rows[i].body)};
		size_t want = i + 1;
		BUG_ON(client_call_start(c, &q, on_made, NULL, NULL) < 0);
		BUG_ON(world_run(g.w, INT64_MAX, is_made, &want) < 0);
	}
	client_free(c);
}

static void
setup(void)
{
	static char dir[256];
	static struct pki_party ca, own;
	struct err e = {0};
	const char *tmp = getenv("TMPDIR");
	log_setup("fuzz", LOG_ERROR);
	snprintf(dir, sizeof(dir), "%s/request_fuzz.XXXXXX", tmp ? tmp : "/tmp");
	BUG_ON(!mkdtemp(dir));
	g.w = world_new(1, 1700000000 * NS_PER_SEC);
	g.loop = loop_new(g.w, "fuzz");
	ca = pki_make(&(struct pki_want){.cn = "ca", .ca = true}, NULL);
	own = pki_make(&(struct pki_want){.cn = "s", .dns = {"a.test"}}, &ca);
	struct api_pki pki = {.ca_cert = buf_view(&ca.cert),
		.ca_key = buf_view(&ca.key_pem),
		.server_cert = buf_view(&own.cert),
		.server_key = buf_view(&own.key_pem),
		.kubelet_client_cert = buf_view(&own.cert),
		.kubelet_client_key = buf_view(&own.key_pem),
		.sa_key = buf_view(&own.key_pem)};
	struct store_config sc = {.dir = dir, .world = g.w, .no_sync = true};
	struct api_config ac = {.world = g.w,
		.pki = &pki,
		.service_cidr4 = STR("10.96.0.0/16"),
		.service_cidr6 = STR("fd00:10:96::/112"),
		.bootstrap_token = STR("abcdef.0123456789abcdef"),
		.kinds = &kinds_tables};
	BUG_ON(store_open(&sc, &g.store, &e) < 0);
	ac.store = g.store;
	BUG_ON(api_server_new(&ac, &g.s, &e) < 0);
	BUG_ON(api_server_start(g.s, g.loop, on_ready, NULL) < 0);
	BUG_ON(world_run(g.w, INT64_MAX, is_ready, NULL) < 0);
	objects_make();
	dry = true;
}

/* ---- one request ---- */

struct fuzzed {
	struct request r;
	struct reply_sink sink;
	struct http_req http;
	struct tls_peer peer;
	size_t written;
	int begun, over;
};

static struct fuzzed *
of(struct request *r)
{
	return CONTAINER_OF(r, struct fuzzed, r);
}

static void
on_reply(struct request *r, int http, struct str type, struct str body)
{
	BUG_ON(of(r)->begun || of(r)->over || http < 200 || http > 599);
	(void)type;
	of(r)->written += body.n;
	of(r)->over++;
}

static void
on_begin(struct request *r, int http, struct str type)
{
	(void)type;
	BUG_ON(of(r)->begun || of(r)->over || http < 200 || http > 599);
	of(r)->begun++;
}

static size_t
on_write(struct request *r, struct str bytes)
{
	BUG_ON(!of(r)->begun || of(r)->over);
	of(r)->written += bytes.n;
	return 0;
}

static size_t
on_queued(struct request *r)
{
	(void)r;
	return 0;
}

static void
on_drain(struct request *r, void (*fn)(struct request *r))
{
	(void)r, (void)fn;
}

static void
on_end(struct request *r)
{
	BUG_ON(!of(r)->begun || of(r)->over);
	of(r)->over++;
}

static void
on_header(struct request *r, struct str name, struct str value)
{
	(void)value;
	BUG_ON(of(r)->begun || of(r)->over || name.n == 0);
}

static size_t
on_event(struct request *r, const char *type, struct str object)
{
	BUG_ON(!type[0] || object.n == 0);
	return on_write(r, object);
}

static const struct reply_sink_ops ops = {
	.reply = on_reply,
	.begin = on_begin,
	.write = on_write,
	.queued = on_queued,
	.on_drain = on_drain,
	.end = on_end,
	.header = on_header,
	.event = on_event,
};

static bool
is_over(void *arg)
{
	struct fuzzed *f = arg;
	/* a watch goes on until its client goes */
	return f->over || (f->begun && f->r.on_gone);
}

static void
ask(struct fuzzed *f, struct arena *a, const struct http1_head *h, struct str body)
{
	struct request *r = &f->r;
	f->sink = (struct reply_sink){.ops = &ops, .http = &f->http};
	f->http.headers = h->headers;
	f->http.arena = a;
	request_init(r, api_worker_for(g.s, g.loop), a, &f->sink);
	struct str path, query;
	str_cut(h->target, '?', &path, &query);
	r->method = h->method;
	r->raw_query = str_is_set(query) ? query : STR("");
	r->user_agent = STR("fuzz");
	r->remote_ip = STR("10.0.0.9");
	r->body = body;
	r->body_media = media_of(http_headers_get(&h->headers, STR("Content-Type")));
	if (http_url_decode(a, path, false, &r->path) < 0 || str_find_char(r->path, '\0') >= 0)
		return;
	request_start(r, STAGE_ROUTE);
	world_run(g.w, INT64_MAX, is_over, f);
	world_run(g.w, clock_mono_ns() + 1, NULL, NULL);
	if (!f->over)
		request_client_gone(r);
	world_run(g.w, INT64_MAX, is_over, f);
	BUG_ON(f->over != 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct {
		struct str cn, org;
	} users[] = {
		{STR_INIT("admin"), STR_INIT("system:masters")},
		{STR_INIT("system:node:n"), STR_INIT("system:nodes")},
		{STR_INIT("ann"), STR_INIT("dev")},
	};
	if (!g.w)
		setup();
	rand_set_seed(7);
	struct str in = str_from((const char *)data, size);
	size_t scanned = 0;
	struct http1_head h = {0};
	struct arena *a = arena_new(64 << 20);
	struct str text = str_sub(in, 1, SIZE_MAX);
	ptrdiff_t end = http1_head_end(text, &scanned);
	if (end > 0 && http1_request_parse(a, str_sub(text, 0, (size_t)end), &h) == 0) {
		struct fuzzed *f = ARENA_NEW(a, struct fuzzed);
		size_t who = data[0] % (ARRAY_LEN(users) + 1);
		if (who < ARRAY_LEN(users)) {
			f->peer = (struct tls_peer){.state = TLS_PEER_VALID,
				.cn = users[who].cn,
				.orgs = &users[who].org,
				.n_orgs = 1};
			f->http.peer = &f->peer;
		}
		ask(f, a, &h, str_sub(text, (size_t)end, SIZE_MAX));
		/* what a turn defers lets go of the request */
		world_run(g.w, clock_mono_ns() + 1, NULL, NULL);
	}
	arena_free(a);
	return 0;
}
