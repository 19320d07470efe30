/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * paths: the stage for everything that is no resource: health, version, metrics, the index, and the
 * keys that service account tokens can be checked with; discovery and OpenAPI are in docs.c.
 *
 * Source: Kubernetes health endpoints (?verbose, ?exclude); Prometheus text format 0.0.4; KEP-1393
 * (service account issuer discovery). */
#include "orchestrator/api/api_int.h"

#include "netstack/tls/x509.h"

#include <inttypes.h>

/* ---- health ---------------------------------------------------------------------------------------- */

static bool
check_ping(struct api_server *s)
{
	(void)s;
	return true;
}

static bool
check_store(struct api_server *s)
{
	return store_rev(s->store) > 0;
}

static bool
check_bootstrap(struct api_server *s)
{
	return atomic_load(&s->ready);
}

static bool
check_shutdown(struct api_server *s)
{
	return !atomic_load(&s->stopping);
}

static const struct {
	const char *name;
	bool (*good)(struct api_server *s);
	bool live, ready;
} checks[] = {
	{"ping", check_ping, true, true},
	{"log", check_ping, true, true},
	{"etcd", check_store, true, true},
	{"poststarthook/rbac/bootstrap-roles", check_bootstrap, true, true},
	{"poststarthook/scheduling/bootstrap-system-priority-classes", check_bootstrap, true, true},
	{"shutdown", check_shutdown, false, true},
};

static bool
excluded(struct request *r, const char *name)
{
	struct str rest = r->raw_query, k, v;
	while (rest.n && http_query_next(r->a, &rest, &k, &v) > 0)
		if (str_eq(k, STR("exclude")) && str_eq_c(v, name))
			return true;
	return false;
}

static enum step
health(struct request *r, struct str what, bool live_only, struct str one)
{
	struct buf b;
	buf_init_arena(&b, r->a);
	bool good = true, found = false;
	struct str verbose = http_query_get(r->a, r->raw_query, STR("verbose"));
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		if (live_only ? !checks[i].live : !checks[i].ready)
			continue;
		if (one.n && !str_eq_c(one, checks[i].name))
			continue;
		found = true;
		if (excluded(r, checks[i].name)) {
			buf_fmt(&b, "[+]%s excluded: ok\n", checks[i].name);
			continue;
		}
		bool ok = checks[i].good(r->server);
		good = good && ok;
		buf_fmt(&b, ok ? "[+]%s ok\n" : "[-]%s failed: reason withheld\n", checks[i].name);
	}
	if (one.n && !found)
		return request_not_found_path(r);
	buf_fmt(&b, STR_FMT " check %s\n", STR_ARG(what), good ? "passed" : "failed");
	r->sink->ops->header(r, STR("X-Content-Type-Options"), STR("nosniff"));
	struct str body = good && !str_is_set(verbose) ? STR("ok") : buf_view(&b);
	return request_reply_bytes(r, good ? 200 : 500, STR("text/plain; charset=utf-8"), body);
}

static enum step
serve_healthz(struct request *r, struct str rest)
{
	return health(r, STR("healthz"), true, rest);
}

static enum step
serve_livez(struct request *r, struct str rest)
{
	return health(r, STR("livez"), true, rest);
}

static enum step
serve_readyz(struct request *r, struct str rest)
{
	return health(r, STR("readyz"), false, rest);
}

/* ---- version, metrics, index ----------------------------------------------------------------------- */

static enum step
serve_version(struct request *r, struct str rest)
{
	(void)rest;
	return request_reply_bytes(r, 200, STR("application/json"),
		STR("{\n  \"major\": \"1\",\n  \"minor\": \"37\",\n  \"emulationMajor\": \"1\",\n"
		    "  \"emulationMinor\": \"37\",\n  \"minCompatibilityMajor\": \"1\",\n"
		    "  \"minCompatibilityMinor\": \"36\",\n  \"gitVersion\": \"v1.37.2+keelson\",\n"
		    "  \"gitCommit\": \"\",\n  \"gitTreeState\": \"clean\",\n  \"buildDate\": "
		    "\"1970-01-01T00:00:00Z\",\n  \"goVersion\": \"\",\n  \"compiler\": \"gcc\",\n"
		    "  \"platform\": \"linux/amd64\"\n}"));
}

static void
metric(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_fmt(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static enum step
serve_metrics(struct request *r, struct str rest)
{
	(void)rest;
	struct api_server *s = r->server;
	struct store_stats st;
	struct buf b;
	buf_init_arena(&b, r->a);
	store_stats(s->store, &st);
	metric(&b, "apiserver_request_total", "counter", "Requests answered, by class of status.");
	for (unsigned c = 1; c < ARRAY_LEN(s->requests); c++)
		buf_fmt(&b, "apiserver_request_total{code=\"%uxx\"} %" PRIu64 "\n", c,
			atomic_load(&s->requests[c]));
	metric(&b, "apiserver_request_verbs_total", "counter", "Requests answered, by verb.");
	for (int v = VERB_GET; v < VERB__COUNT; v++)
		buf_fmt(&b, "apiserver_request_verbs_total{verb=\"%s\"} %" PRIu64 "\n",
			verb_name((enum verb)v), atomic_load(&s->verbs[v]));
	static const char *const kinds[] = {"readOnly", "mutating"};
	metric(&b, "apiserver_current_inflight_requests", "gauge", "Requests that hold a seat.");
	for (size_t i = 0; i < 2; i++)
		buf_fmt(&b,
			"apiserver_current_inflight_requests{request_kind=\"%s\"} %" PRIu64 "\n",
			kinds[i], atomic_load(&s->inflight[i]));
	const struct {
		const char *name, *type, *help;
		uint64_t value;
	} rows[] = {
		{"apiserver_longrunning_requests", "gauge", "Open watches.",
			atomic_load(&s->watchers)},
		{"apiserver_flowcontrol_rejected_requests_total", "counter",
			"Requests answered 429 by flow control.", atomic_load(&s->rejected)},
		{"keelson_store_revision", "gauge", "Revision of the last transaction.",
			store_rev(s->store)},
		{"keelson_store_commits_total", "counter", "Transactions committed.", st.commits},
		{"keelson_store_groups_total", "counter", "Group commits (fsyncs).", st.groups},
		{"keelson_store_objects", "gauge", "Objects stored.", st.objects},
		{"keelson_store_bytes", "gauge", "Bytes of the object store.", st.bytes},
		{"keelson_store_watchers", "gauge", "Watchers of the hub.", st.watchers},
		{"keelson_store_events_total", "counter", "Events published.", st.events},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		metric(&b, rows[i].name, rows[i].type, rows[i].help);
		buf_fmt(&b, "%s %" PRIu64 "\n", rows[i].name, rows[i].value);
	}
	return request_reply_bytes(
		r, 200, STR("text/plain; version=0.0.4; charset=utf-8"), buf_view(&b));
}

static enum step
serve_jwks(struct request *r, struct str rest)
{
	(void)rest;
	struct buf b;
	buf_init_arena(&b, r->a);
	buf_cstr(&b, "{\"keys\":[");
	if (r->server->sa_key)
		tls_pub_write_jwk(tls_key_pub(r->server->sa_key), &b);
	buf_cstr(&b, "]}");
	return request_reply_bytes(r, 200, STR("application/jwk-set+json"), buf_view(&b));
}

static enum step
serve_issuer(struct request *r, struct str rest)
{
	(void)rest;
	struct str iss = r->server->sa_issuer;
	struct str body = arena_fmt(r->a,
		"{\"issuer\":\"" STR_FMT "\",\"jwks_uri\":\"" STR_FMT
		"/openid/v1/jwks\",\"response_types_supported\":[\"id_token\"],"
		"\"subject_types_supported\":[\"public\"],\"id_token_signing_alg_values_supported\":"
		"[\"ES256\"]}",
		STR_ARG(iss), STR_ARG(iss));
	return request_reply_bytes(r, 200, STR("application/json"), body);
}

static enum step serve_index(struct request *r, struct str rest);

static const struct path_row {
	const char *path;
	bool deeper; /* "/livez/ping" too */
	enum step (*serve)(struct request *r, struct str rest);
} rows[] = {
	{"/", false, serve_index},
	{"/healthz", true, serve_healthz},
	{"/livez", true, serve_livez},
	{"/readyz", true, serve_readyz},
	{"/version", false, serve_version},
	{"/metrics", false, serve_metrics},
	{"/openid/v1/jwks", false, serve_jwks},
	{"/.well-known/openid-configuration", false, serve_issuer},
};

static enum step
serve_index(struct request *r, struct str rest)
{
	(void)rest;
	struct buf b;
	buf_init_arena(&b, r->a);
	buf_cstr(&b, "{\"paths\":[\"/api\",\"/api/v1\",\"/apis\"");
	for (size_t i = 1; i < r->server->schema->n_groups; i++)
		buf_fmt(&b, ",\"/apis/%s/%s\"", r->server->schema->groups[i].group,
			r->server->schema->groups[i].version);
	for (size_t i = 1; i < ARRAY_LEN(rows); i++)
		buf_fmt(&b, ",\"%s\"", rows[i].path);
	buf_cstr(&b, ",\"/openapi/v2\",\"/openapi/v3\"]}");
	return request_reply_bytes(r, 200, STR("application/json"), buf_view(&b));
}

enum step
stage_paths(struct request *r)
{
	struct str path = r->path;
	if (r->wrong_method)
		return request_fail_method(r);
	if (path.n > 1 && path.p[path.n - 1] == '/')
		path = str_sub(path, 0, path.n - 1);
	bool get = str_eq(r->method, STR("GET")) || str_eq(r->method, STR("HEAD"));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str own = str_c(rows[i].path);
		bool below = rows[i].deeper && path.n > own.n + 1 && str_starts(path, own) &&
			path.p[own.n] == '/';
		if (!str_eq(path, own) && !below)
			continue;
		if (!get)
			return request_fail_method(r);
		return rows[i].serve(r, below ? str_sub(path, own.n + 1, SIZE_MAX) : STR(""));
	}
	bool known = false;
	enum step st = get ? docs_serve(r, &known) : STEP_NEXT;
	return known ? st : request_not_found_path(r);
}
