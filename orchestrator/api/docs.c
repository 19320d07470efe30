/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * docs: discovery and OpenAPI documents: made from the schema when first asked for, kept with their
 * hash, served with ETag, 304 and what each client's Accept names.
 *
 * There is a set of documents for the built-in kinds, and one for those, the custom resources there are and what
 * aggregated servers say of themselves: made anew when these change, counted by reference (the server's, and of each
 * request that is answered from it).
 * Invariant: a document never changes once made; the first worker that makes one publishes it, another
 * that made it too drops its copy. No lock but where the set is exchanged.
 * Source: Kubernetes API discovery (KEP-3352), OpenAPI v3 (KEP-2896); RFC 9110 section 13. */
#include "orchestrator/api/apiservice.h"
#include "orchestrator/api/custom.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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
	char etag[129];    /* upper-case SHA-512 */
	char modified[32]; /* when it was made, as HTTP writes dates */
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
	const struct schema *schema;
	struct arena *a;         /* NULL: the server's */
	struct custom **customs; /* what it was made for; references */
	size_t n_customs;
	struct foreign_docs *foreign; /* a reference; NULL = none */
	size_t refs;                  /* under docs_lock */
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
local_make(struct api_docs *d, const struct doc_row *row, struct buf *out)
{
	const struct schema *s = d->schema;
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

/* The forms in which groups of other servers stand. */
static const struct {
	enum doc_kind kind;
	enum foreign_form form;
} foreign_forms[] = {
	{DOC_APIS_LEGACY, FOREIGN_GROUPS},
	{DOC_APIS_V2, FOREIGN_AGGREGATED},
	{DOC_APIS_V2BETA1, FOREIGN_AGGREGATED},
	{DOC_GROUP, FOREIGN_GROUP},
	{DOC_V3_INDEX, FOREIGN_OPENAPI},
};

static void
doc_make(struct api_docs *d, const struct doc_row *row, struct buf *out)
{
	struct buf local = BUF_INIT;
	for (size_t i = 0; d->foreign && i < ARRAY_LEN(foreign_forms); i++) {
		if (foreign_forms[i].kind != row->kind)
			continue;
		local_make(d, row, &local);
		if (local.failed ||
			foreign_merge(d->foreign, foreign_forms[i].form, row->a, buf_view(&local),
				out) < 0)
			out->failed = true;
		buf_release(&local);
		return;
	}
	local_make(d, row, out);
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
	time_t now = (time_t)(clock_wall_ns() / NS_PER_SEC);
	struct tm at;
	if (gmtime_r(&now, &at))
		strftime(b->modified, sizeof(b->modified), "%a, %d %b %Y %H:%M:%S GMT", &at);
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

static int
docs_fill(struct api_docs *d, struct arena *a)
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
	const struct schema *sc = d->schema;
	const struct foreign_docs *f = d->foreign;
	size_t max = ARRAY_LEN(fixed) + sc->n_groups * 2 + sc->n_groups * 2 + (f ? f->n : 0) + 16;
	if (!(d->rows = ARENA_ARRAY(a, struct doc_row, max)))
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		row_add(d, fixed[i].kind, str_c(fixed[i].path), STR(""), STR(""));
	for (size_t i = 0; i < sc->n_groups; i++) {
		const char *g = sc->groups[i].group, *v = sc->groups[i].version;
		bool again = false;
		if (!schema_version_served(sc, &sc->groups[i]))
			continue;
		for (size_t k = 0; k < i; k++)
			again = again || strcmp(sc->groups[k].group, g) == 0;
		if (g[0] && !again)
			row_add(d, DOC_GROUP, arena_fmt(a, "/apis/%s", g), str_c(g), STR(""));
		row_add(d, DOC_RESOURCES,
			g[0] ? arena_fmt(a, "/apis/%s/%s", g, v) : arena_fmt(a, "/api/%s", v),
			str_c(g), str_c(v));
	}
	for (size_t i = 0; f && i < f->n; i++) {
		struct str path = arena_fmt(a, "/apis/" STR_FMT, STR_ARG(f->v[i].group));
		bool there = !f->v[i].group.n || !foreign_first(f, i);
		for (size_t k = 0; k < d->n; k++)
			there = there || str_eq(d->rows[k].path, path);
		if (!there)
			row_add(d, DOC_GROUP, path, f->v[i].group, STR(""));
	}
	for (size_t i = 0; d->n < max; i++) {
		struct str name = schema_openapi_v3_path(a, sc, i);
		if (!str_is_set(name))
			break;
		row_add(d, DOC_V3, arena_fmt(a, "/openapi/v3/" STR_FMT, STR_ARG(name)), name,
			STR(""));
	}
	return arena_failed(a) ? -ENOMEM : 0;
}

int
api_docs_new(struct api_server *s)
{
	struct api_docs *d = ARENA_NEW(s->a, struct api_docs);
	if (!d)
		return -ENOMEM;
	*d = (struct api_docs){.s = s, .schema = s->schema, .refs = 1};
	s->docs = d;
	return docs_fill(d, s->a);
}

void
api_docs_free(struct api_docs *d)
{
	for (size_t i = 0; d && i < d->n; i++)
		bytes_free(atomic_load(&d->rows[i].made));
	if (!d || !d->a)
		return;
	custom_list_free(d->customs, d->n_customs);
	foreign_docs_unref(d->foreign);
	arena_free(d->a);
}

/* ---- with custom resources ------------------------------------------------------------------------- */

static atomic_flag docs_lock = ATOMIC_FLAG_INIT;

static void
lock(void)
{
	while (atomic_flag_test_and_set_explicit(&docs_lock, memory_order_acquire))
		;
}

static void
unlock(void)
{
	atomic_flag_clear_explicit(&docs_lock, memory_order_release);
}

void
api_docs_unref(void *p)
{
	struct api_docs *d = p;
	if (!d)
		return;
	lock();
	bool last = --d->refs == 0;
	unlock();
	if (last)
		api_docs_free(d);
}

/* In the order of /apis: by group, then the version that is preferred. */
static int
by_preference(const void *x, const void *y)
{
	const struct schema_kind *const *a = x, *const *b = y;
	int c = strcmp((*a)->group, (*b)->group);
	if (c == 0)
		c = schema_version_compare(str_c((*a)->version), str_c((*b)->version));
	return c ? c : strcmp((*a)->kind, (*b)->kind);
}

void
docs_foreign_set(struct api_server *s, struct foreign_docs *f)
{
	lock();
	struct foreign_docs *old = s->foreign_docs;
	s->foreign_docs = f;
	unlock();
	foreign_docs_unref(old);
}

/* foreign_get: those of now, with a reference. */
static struct foreign_docs *
foreign_get(struct api_server *s)
{
	lock();
	struct foreign_docs *f = s->foreign_docs;
	if (f)
		atomic_fetch_add(&f->refs, 1);
	unlock();
	return f;
}

/* Takes the list and the reference. NULL = no memory. */
static struct api_docs *
docs_make(struct api_server *s, struct custom **customs, size_t n, struct foreign_docs *foreign)
{
	struct arena *a = arena_new(0);
	struct api_docs *d = a ? ARENA_NEW(a, struct api_docs) : NULL;
	const struct schema_kind **kinds = NULL;
	size_t n_kinds = 0;
	for (size_t i = 0; d && i < n; i++)
		for (size_t k = 0; k < customs[i]->n_rows; k++) {
			const struct schema_kind **slot = ARENA_PUSH(a, kinds, n_kinds);
			if (slot)
				*slot = customs[i]->rows[k].kind;
		}
	if (n_kinds)
		qsort(kinds, n_kinds, sizeof(*kinds), by_preference);
	if (d) {
		*d = (struct api_docs){.s = s, .a = a, .refs = 1, .foreign = foreign};
		d->schema = schema_extend(a, s->schema, kinds, n_kinds);
	}
	if (!d || !d->schema || docs_fill(d, a) < 0) {
		custom_list_free(customs, n);
		foreign_docs_unref(foreign);
		arena_free(a);
		return NULL;
	}
	d->customs = customs;
	d->n_customs = n;
	return d;
}

/* The set for what worker and request see now, kept as long as the request. NULL = no memory. */
static struct api_docs *
docs_now(struct request *r)
{
	struct api_server *s = r->server;
	struct custom **list = NULL;
	size_t n = 0;
	struct foreign_docs *foreign = foreign_get(s);
	if (custom_list(r->worker, &list, &n) < 0 || (n == 0 && !foreign)) {
		custom_list_free(list, n);
		foreign_docs_unref(foreign);
		return s->docs;
	}
	lock();
	struct api_docs *d = s->custom_docs, *old = NULL;
	if (d && d->foreign == foreign && d->n_customs == n &&
		memcmp(d->customs, list, n * sizeof(*list)) == 0)
		d->refs++;
	else
		d = NULL;
	unlock();
	if (d) {
		custom_list_free(list, n);
		foreign_docs_unref(foreign);
	} else {
		d = docs_make(s, list, n, foreign);
		if (!d)
			return NULL;
		lock();
		old = s->custom_docs;
		s->custom_docs = d;
		d->refs++;
		unlock();
		api_docs_unref(old);
	}
	if (arena_on_clear(r->a, api_docs_unref, d) < 0) {
		api_docs_unref(d);
		return NULL;
	}
	return d;
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
row_choose(struct request *r, struct api_docs *d, struct doc_row **row, const char **type)
{
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
row_reply(struct request *r, struct api_docs *d, struct doc_row *row, const char *type)
{
	const struct doc_bytes *b = doc_get_made(d, row);
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
	if (row->kind == DOC_V3)
		ops->header(r, STR("Last-Modified"), str_c(b->modified));
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
	struct api_docs *d = docs_now(r);
	struct str path = r->path;
	if (!d)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	if (path.n > 1 && path.p[path.n - 1] == '/')
		path = str_sub(path, 0, path.n - 1);
	for (size_t i = 0; i < d->n; i++) {
		struct doc_row *row = &d->rows[i];
		const char *type = NULL;
		if (!str_eq(row->path, path))
			continue;
		*ret_known = true;
		if (!row_choose(r, d, &row, &type))
			return request_fail(r, R_NOT_ACCEPTABLE,
				"only the following media types are accepted: application/json, "
				"application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
		return row_reply(r, d, row, type);
	}
	return STEP_NEXT;
}
