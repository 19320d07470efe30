/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * docs: discovery and OpenAPI documents: made from the schema when first asked for, kept with their
 * hash, served with ETag, 304 and what each client's Accept names.
 *
 * Invariant: a document never changes once made; the first worker that makes one publishes it, another
 * that made it too drops its copy. No lock.
 * Source: Kubernetes API discovery (KEP-3352), OpenAPI v3 (KEP-2896); RFC 9110 section 13. */
#include "orchestrator/api/api_int.h"

#include <stdio.h>
#include <stdlib.h>

enum doc_kind {
	DOC_API_LEGACY,
	DOC_APIS_LEGACY,
	DOC_API_V2,
	DOC_APIS_V2,
	DOC_API_V2BETA1,
	DOC_APIS_V2BETA1,
	DOC_GROUP,
	DOC_RESOURCES,
	DOC_V3_INDEX,
	DOC_V3,
	DOC_V2_PROTO,
	DOC_V2_JSON,
};

struct doc_bytes {
	char etag[129]; /* upper-case SHA-512 */
	struct buf body;
};
struct doc_row {
	enum doc_kind kind;
	struct str path; /* of the URL */
	struct str a, b; /* group, version; or the name of an OpenAPI document */
	_Atomic(struct doc_bytes *) made;
};
struct api_docs {
	struct api_server *s;
	struct doc_row *rows;
	size_t n;
};

/* ---- making ---------------------------------------------------------------------------------------- */

static const struct doc_bytes *doc_get_made(struct api_docs *d, struct doc_row *row);

static struct str
v3_hash(void *arg, struct str path)
{
	struct api_docs *d = arg;
	for (size_t i = 0; i < d->n; i++) {
		if (d->rows[i].kind != DOC_V3 || !str_eq(d->rows[i].a, path))
			continue;
		const struct doc_bytes *b = doc_get_made(d, &d->rows[i]);
		return b ? str_c(b->etag) : STR("");
	}
	return STR("");
}

static void
doc_make(struct api_docs *d, const struct doc_row *row, struct buf *out)
{
	const struct schema *s = d->s->schema;
	char host[HTTP_ADDR_TEXT] = "";
	http_addr_format(&d->s->bound, host);
	switch (row->kind) {
	case DOC_API_LEGACY:
		schema_discovery_versions(s, str_c(host), out);
		break;
	case DOC_APIS_LEGACY:
		schema_discovery_groups(s, out);
		break;
	case DOC_API_V2:
	case DOC_API_V2BETA1:
		schema_discovery_aggregated(
			s, true, row->kind == DOC_API_V2 ? "v2" : "v2beta1", out);
		break;
	case DOC_APIS_V2:
	case DOC_APIS_V2BETA1:
		schema_discovery_aggregated(
			s, false, row->kind == DOC_APIS_V2 ? "v2" : "v2beta1", out);
		break;
	case DOC_GROUP:
		schema_discovery_group(s, row->a, out);
		break;
	case DOC_RESOURCES:
		schema_discovery_resources(s, row->a, row->b, out);
		break;
	case DOC_V3_INDEX:
		schema_openapi_v3_index(s, v3_hash, d, out);
		break;
	case DOC_V3:
		schema_openapi_v3(s, row->a, out);
		break;
	case DOC_V2_PROTO:
		schema_openapi_v2_proto(s, out);
		break;
	case DOC_V2_JSON:
		schema_openapi_v2_json(s, out);
		break;
	}
}

static void
bytes_free(struct doc_bytes *b)
{
	if (b)
		buf_release(&b->body);
	free(b);
}

static const struct doc_bytes *
doc_get_made(struct api_docs *d, struct doc_row *row)
{
	struct doc_bytes *b = atomic_load(&row->made), *none = NULL;
	if (b)
		return b;
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	doc_make(d, row, &b->body);
	if (b->body.failed) {
		bytes_free(b);
		return NULL;
	}
	uint8_t sum[64];
	sha512_of(buf_view(&b->body), sum);
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(b->etag + 2 * i, 3, "%02X", sum[i]);
	if (!atomic_compare_exchange_strong(&row->made, &none, b)) {
		bytes_free(b);
		return none;
	}
	return b;
}

/* ---- the table ------------------------------------------------------------------------------------- */

static void
row_add(struct api_docs *d, enum doc_kind kind, struct str path, struct str x, struct str y)
{
	struct doc_row *row = &d->rows[d->n++];
	row->kind = kind;
	row->path = path;
	row->a = x;
	row->b = y;
}

int
api_docs_new(struct api_server *s)
{
	static const struct {
		enum doc_kind kind;
		const char *path;
	} fixed[] = {
		{DOC_API_LEGACY, "/api"},
		{DOC_APIS_LEGACY, "/apis"},
		{DOC_API_V2, "/api"},
		{DOC_APIS_V2, "/apis"},
		{DOC_API_V2BETA1, "/api"},
		{DOC_APIS_V2BETA1, "/apis"},
		{DOC_V3_INDEX, "/openapi/v3"},
		{DOC_V2_PROTO, "/openapi/v2"},
		{DOC_V2_JSON, "/openapi/v2"},
	};
	const struct schema *sc = s->schema;
	struct api_docs *d = ARENA_NEW(s->a, struct api_docs);
	size_t max = ARRAY_LEN(fixed) + sc->n_groups * 2 + sc->n_groups * 2 + 16;
	if (!d || !(d->rows = ARENA_ARRAY(s->a, struct doc_row, max)))
		return -ENOMEM;
	d->s = s;
	s->docs = d;
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		row_add(d, fixed[i].kind, str_c(fixed[i].path), STR(""), STR(""));
	for (size_t i = 0; i < sc->n_groups; i++) {
		const char *g = sc->groups[i].group, *v = sc->groups[i].version;
		if (!schema_version_served(sc, &sc->groups[i]))
			continue;
		if (g[0])
			row_add(d, DOC_GROUP, arena_fmt(s->a, "/apis/%s", g), str_c(g), STR(""));
		row_add(d, DOC_RESOURCES,
			g[0] ? arena_fmt(s->a, "/apis/%s/%s", g, v) : arena_fmt(s->a, "/api/%s", v),
			str_c(g), str_c(v));
	}
	for (size_t i = 0; d->n < max; i++) {
		struct str name = schema_openapi_v3_path(s->a, sc, i);
		if (!str_is_set(name))
			break;
		row_add(d, DOC_V3, arena_fmt(s->a, "/openapi/v3/" STR_FMT, STR_ARG(name)), name,
			STR(""));
	}
	return arena_failed(s->a) ? -ENOMEM : 0;
}

void
api_docs_free(struct api_docs *d)
{
	for (size_t i = 0; d && i < d->n; i++)
		bytes_free(atomic_load(&d->rows[i].made));
}

/* ---- serving --------------------------------------------------------------------------------------- */

/* Which of the forms of one path a clause of Accept asks for; false = none. */
static bool
clause_kind(const struct http_media *m, enum doc_kind legacy, enum doc_kind *ret, const char **type)
{
	static const struct {
		enum doc_kind legacy, kind;
		const char *version, *type;
	} aggregated[] = {
		{DOC_API_LEGACY, DOC_API_V2, "v2",
			"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"},
		{DOC_API_LEGACY, DOC_API_V2BETA1, "v2beta1",
			"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"},
		{DOC_APIS_LEGACY, DOC_APIS_V2, "v2",
			"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"},
		{DOC_APIS_LEGACY, DOC_APIS_V2BETA1, "v2beta1",
			"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"},
	};
	if (!http_media_matches(m, STR("application/json")))
		return false;
	struct str as = http_media_param(m, STR("as"));
	if (!str_is_set(as)) {
		*ret = legacy;
		*type = "application/json";
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(aggregated); i++) {
		if (aggregated[i].legacy != legacy || !str_eq(as, STR("APIGroupDiscoveryList")) ||
			!str_eq(http_media_param(m, STR("g")), STR("apidiscovery.k8s.io")) ||
			!str_eq_c(http_media_param(m, STR("v")), aggregated[i].version))
			continue;
		*ret = aggregated[i].kind;
		*type = aggregated[i].type;
		return true;
	}
	return false;
}

static bool
v2_kind(const struct http_media *m, enum doc_kind *ret, const char **type)
{
	static const char proto[] = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
	if (str_eq_nocase(
		    m->type, STR("application/com.github.proto-openapi.spec.v2@v1.0+protobuf")) ||
		str_eq_nocase(m->type, str_c(proto))) {
		*ret = DOC_V2_PROTO;
		*type = proto;
		return true;
	}
	if (!http_media_matches(m, STR("application/json")))
		return false;
	*ret = DOC_V2_JSON;
	*type = "application/json";
	return true;
}

static bool
row_choose(struct request *r, struct doc_row **row, const char **type)
{
	struct api_docs *d = r->server->docs;
	enum doc_kind first = (*row)->kind, kind = first;
	bool discovery = first == DOC_API_LEGACY || first == DOC_APIS_LEGACY;
	struct http_media *m = NULL;
	size_t n = 0;
	*type = "application/json";
	if (!discovery && first != DOC_V2_PROTO)
		return true;
	bool ok = false;
	if (!r->sink->http || http_accept_parse(r->a, &r->sink->http->headers, &m, &n) < 0)
		return true;
	for (size_t i = 0; i < n && !ok; i++)
		ok = discovery ? clause_kind(&m[i], first, &kind, type)
			       : v2_kind(&m[i], &kind, type);
	for (size_t i = 0; ok && i < d->n; i++)
		if (d->rows[i].kind == kind)
			*row = &d->rows[i];
	if (!ok && discovery) { /* a form nobody knows: the old one is better than a 406 */
		*type = "application/json";
		ok = true;
	}
	return ok;
}

static enum step
row_reply(struct request *r, struct doc_row *row, const char *type)
{
	const struct doc_bytes *b = doc_get_made(r->server->docs, row);
	if (!b)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	struct str etag = arena_fmt(r->a, "\"%s\"", b->etag);
	struct str hash = http_query_get(r->a, r->raw_query, STR("hash"));
	const struct reply_sink_ops *ops = r->sink->ops;
	if (row->kind == DOC_V3 && hash.n && !str_eq_c(hash, b->etag)) {
		ops->header(r, STR("Location"),
			arena_fmt(r->a, STR_FMT "?hash=%s", STR_ARG(row->path), b->etag));
		return request_reply_bytes(r, 301, STR("text/plain"), STR("moved\n"));
	}
	if (row->kind >= DOC_API_V2 && row->kind != DOC_GROUP && row->kind != DOC_RESOURCES) {
		ops->header(r, STR("ETag"), etag);
		ops->header(r, STR("Vary"), STR("Accept"));
	}
	if (row->kind == DOC_V3 && hash.n)
		ops->header(r, STR("Cache-Control"), STR("public, immutable"));
	struct str match = r->sink->http
		? http_headers_get(&r->sink->http->headers, STR("If-None-Match"))
		: STR_NONE;
	if (str_is_set(match) && (str_eq(match, etag) || str_eq_c(match, b->etag)))
		return request_reply_bytes(r, 304, STR(""), STR(""));
	return request_reply_bytes(r, 200, str_c(type), buf_view(&b->body));
}

enum step
docs_serve(struct request *r, bool *ret_known)
{
	struct api_docs *d = r->server->docs;
	struct str path = r->path;
	if (path.n > 1 && path.p[path.n - 1] == '/')
		path = str_sub(path, 0, path.n - 1);
	for (size_t i = 0; i < d->n; i++) {
		struct doc_row *row = &d->rows[i];
		const char *type = NULL;
		if (!str_eq(row->path, path))
			continue;
		*ret_known = true;
		if (!row_choose(r, &row, &type))
			return request_fail(r, R_NOT_ACCEPTABLE,
				"only the following media types are accepted: application/json, "
				"application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
		return row_reply(r, row, type);
	}
	return STEP_NEXT;
}
