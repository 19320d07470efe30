/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * authenticate: the stage that finds out who asks: a front proxy's word (X-Remote-User, by a certificate of the front
 * proxies' CA), client certificate (CN and O), bearer token, or nobody (system:anonymous); and the audit stage, which
 * gives the request its id.
 *
 * Invariants: credentials that were presented and are not good are a 401, never anonymous; every
 * authenticated user is in system:authenticated. A front proxy's certificate is nobody's own: without a name in the
 * headers it says nothing.
 * Source: Kubernetes authentication (authenticating proxy); RFC 6750 (Bearer). */
#include "orchestrator/api/api_int.h"

static enum step
unauthorized(struct request *r)
{
	return request_fail_status(r,
		&(struct status_spec){.http = 401,
			.reason = R_UNAUTHORIZED,
			.message = STR("Unauthorized"),
			.no_details = true});
}

/* Which certificate it was, for audit and reviews. */
static enum step
credential_id(struct request *r, const struct tls_peer *peer)
{
	struct user_extra *extra = ARENA_NEW(r->a, struct user_extra);
	struct str *value = ARENA_NEW(r->a, struct str);
	struct buf b;
	buf_init_arena(&b, r->a);
	buf_cstr(&b, "X509SHA256=");
	for (size_t i = 0; i < sizeof(peer->sha256); i++)
		buf_fmt(&b, "%02x", peer->sha256[i]);
	if (!extra || !value || b.failed)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	*value = buf_view(&b);
	*extra = (struct user_extra){STR("authentication.kubernetes.io/credential-id"), value, 1};
	r->user.extra = extra;
	r->user.n_extra = 1;
	return STEP_NEXT;
}

static enum step
by_certificate(struct request *r, const struct tls_peer *peer)
{
	if (peer->cn.n == 0)
		return unauthorized(r);
	struct str *groups = ARENA_ARRAY(r->a, struct str, peer->n_orgs + 1);
	if (!groups)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	for (size_t i = 0; i < peer->n_orgs; i++)
		groups[i] = arena_str(r->a, peer->orgs[i]);
	groups[peer->n_orgs] = STR("system:authenticated");
	r->user = (struct user){
		.name = arena_str(r->a, peer->cn), .groups = groups, .n_groups = peer->n_orgs + 1};
	return credential_id(r, peer);
}

#define REMOTE_EXTRA "X-Remote-Extra-"

/* by_front_proxy: who a front proxy says it is; false: it is none that may, or names nobody. */
static bool
by_front_proxy(struct request *r, const struct tls_peer *peer)
{
	const struct http_headers *h = &r->sink->http->headers;
	struct str prefix = STR(REMOTE_EXTRA), *groups = NULL, *g;
	struct user_extra *extra = NULL;
	struct user u = {.name = arena_str(r->a, http_headers_get(h, STR("X-Remote-User"))),
		.uid = arena_str(r->a, http_headers_get(h, STR("X-Remote-Uid")))};
	bool add = !str_eq_c(u.name, "system:anonymous");
	if (!str_eq_c(peer->cn, FRONT_PROXY_NAME) || u.name.n == 0)
		return false;
	if (!str_is_set(u.uid))
		u.uid = STR("");
	for (size_t i = 0; i < h->n; i++) {
		struct str name = h->v[i].name, value = h->v[i].value;
		if (str_eq_nocase(name, STR("X-Remote-Group")) && value.n &&
			(g = ARENA_PUSH(r->a, groups, u.n_groups)) != NULL)
			*g = arena_str(r->a, value);
		if (name.n > prefix.n && str_eq_nocase(str_sub(name, 0, prefix.n), prefix))
			user_extra_add(r->a, &extra, &u.n_extra, str_sub(name, prefix.n, SIZE_MAX),
				arena_str(r->a, value));
	}
	for (size_t i = 0; i < u.n_groups; i++)
		add = add && !str_eq_c(groups[i], "system:authenticated") &&
			!str_eq_c(groups[i], "system:unauthenticated");
	if (add && (g = ARENA_PUSH(r->a, groups, u.n_groups)) != NULL)
		*g = STR("system:authenticated");
	u.groups = groups;
	u.extra = extra;
	r->user = u;
	return true;
}

/* Browsers cannot set Authorization on a WebSocket: the token travels as a subprotocol. */
static struct str
protocol_token(struct request *r)
{
	struct str prefix = STR("base64url.bearer.authorization.k8s.io."), v, item;
	size_t pos = 0;
	while (http_headers_next(
		&r->sink->http->headers, STR("Sec-WebSocket-Protocol"), &pos, &v)) {
		while (http_token_next(&v, &item)) {
			if (!str_starts(item, prefix))
				continue;
			struct buf b;
			buf_init_arena(&b, r->a);
			if (base64url_decode(&b, str_sub(item, prefix.n, SIZE_MAX)) == 0)
				return buf_view(&b);
		}
	}
	return STR_NONE;
}

static struct str
bearer_token(struct request *r)
{
	struct str auth = http_headers_get(&r->sink->http->headers, STR("Authorization"));
	struct str scheme, rest;
	if (!str_is_set(auth))
		return protocol_token(r);
	if (str_cut(str_trim(auth), ' ', &scheme, &rest) && str_eq_nocase(scheme, STR("Bearer")))
		return str_trim(rest);
	return STR_NONE;
}

enum step
stage_authenticate(struct request *r)
{
	const struct http_req *h = r->sink->http;
	if (!h)
		return STEP_NEXT; /* a direct client brought its identity */
	bool proxy = h->peer && h->peer->state == TLS_PEER_VALID && h->peer->proxy;
	if (proxy && by_front_proxy(r, h->peer))
		return STEP_NEXT;
	if (h->peer && h->peer->state == TLS_PEER_VALID && !proxy)
		return by_certificate(r, h->peer);
	if (h->peer && h->peer->state == TLS_PEER_INVALID)
		return unauthorized(r);
	struct str token = bearer_token(r);
	if (str_is_set(token) && token.n) {
		if (token_check(r, token, NULL, 0, &r->user, NULL) < 0)
			return unauthorized(r);
		return STEP_NEXT;
	}
	if (r->server->cfg.anonymous_off || proxy)
		return unauthorized(r);
	static const struct str groups[] = {STR_INIT("system:unauthenticated")};
	r->user = (struct user){.name = STR("system:anonymous"), .groups = groups, .n_groups = 1};
	return STEP_NEXT;
}

/* The audit id stands in every answer. The policy and its log attach here. */
enum step
stage_audit(struct request *r)
{
	struct str id = STR_NONE;
	if (r->sink->http)
		id = http_headers_get(&r->sink->http->headers, STR("Audit-ID"));
	if (id.n > 0 && id.n < sizeof(r->audit_id))
		str_copy_c(id, r->audit_id, sizeof(r->audit_id));
	r->sink->ops->header(r, STR("Audit-Id"), str_c(r->audit_id));
	/* an OpenAPI document asked for by its hash says for itself that it keeps */
	bool keeps = str_starts(r->path, STR("/openapi/v3/")) &&
		str_is_set(http_query_get(r->a, r->raw_query, STR("hash")));
	if (!keeps)
		r->sink->ops->header(r, STR("Cache-Control"), STR("no-cache, private"));
	return STEP_NEXT;
}
