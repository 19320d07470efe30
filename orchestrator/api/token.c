/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * token: bearer tokens: service account tokens (JWT, ES256, bound to a pod, node or secret that must
 * still be there) and bootstrap tokens (Secrets in kube-system).
 *
 * A good signature is remembered by the hash of the token until it expires, so that a client's many
 * requests cost one check; what the token is bound to is looked up every time.
 * Invariants: parsing is total; a token is nothing before its signature is good; texts never hold
 * parts of a token.
 * Source: RFC 7515, RFC 7519; KEP-1205 (bound tokens), KEP-4193 (node claims); bootstrap tokens
 * (KEP-130: Secrets of type bootstrap.kubernetes.io/token). */
#include "orchestrator/api/api_int.h"

#include "netstack/tls/x509.h"

#include <stdlib.h>

#define TOKEN_MAX 16384
#define CACHE_MAX 4096

struct token_cache {
	struct map good; /* sha256 -> (void *)1 */
};

void
token_cache_free(struct token_cache *t)
{
	if (!t)
		return;
	map_release(&t->good);
	free(t);
}

static bool
cache_has(struct api_worker *w, struct str hash)
{
	return w->tokens && map_get(&w->tokens->good, hash);
}

static void
cache_put(struct api_worker *w, struct str hash)
{
	static char yes;
	if (!w->tokens && (w->tokens = calloc(1, sizeof(*w->tokens))) != NULL)
		map_init(&w->tokens->good);
	if (!w->tokens)
		return;
	if (map_len(&w->tokens->good) >= CACHE_MAX) {
		map_release(&w->tokens->good);
		map_init(&w->tokens->good);
	}
	map_put(&w->tokens->good, hash, &yes, NULL);
}

/* ---- signing --------------------------------------------------------------------------------------- */

struct str
token_sign(struct api_server *s, struct arena *a, struct str claims)
{
	struct buf out, sig;
	buf_init_arena(&out, a);
	buf_init_arena(&sig, a);
	if (!s->sa_key)
		return STR_NONE;
	struct str head = arena_fmt(a, "{\"alg\":\"%s\",\"kid\":\"" STR_FMT "\"}",
		tls_pub_jws_alg(tls_key_pub(s->sa_key)), STR_ARG(s->sa_kid));
	base64url_encode(&out, head);
	buf_char(&out, '.');
	base64url_encode(&out, claims);
	if (out.failed || tls_jws_sign(s->sa_key, buf_view(&out), &sig) < 0)
		return STR_NONE;
	buf_char(&out, '.');
	base64url_encode(&out, buf_view(&sig));
	return out.failed ? STR_NONE : buf_view(&out);
}

/* ---- service account tokens ------------------------------------------------------------------------ */

static bool
signature_good(struct request *r, struct str token, struct str signed_part, struct str head64,
	struct str sig64)
{
	struct api_server *s = r->server;
	uint8_t sum[32];
	sha256_of(token, sum);
	struct str hash = str_from((const char *)sum, sizeof(sum));
	if (cache_has(r->worker, hash))
		return true;
	struct buf head, sig;
	buf_init_arena(&head, r->a);
	buf_init_arena(&sig, r->a);
	struct doc *h = NULL;
	if (!s->sa_key || base64url_decode(&head, head64) < 0 ||
		base64url_decode(&sig, sig64) < 0 ||
		doc_parse_json(r->a, buf_view(&head), NULL, &h, NULL) < 0)
		return false;
	struct str kid = doc_get_str(h, STR("kid"));
	if (kid.n && !str_eq(kid, s->sa_kid))
		return false;
	if (tls_jws_verify(tls_key_pub(s->sa_key), doc_get_str(h, STR("alg")), signed_part,
		    buf_view(&sig)) < 0)
		return false;
	cache_put(r->worker, hash);
	return true;
}

static bool
audience_good(const struct doc *claims, const struct str *audiences, size_t n)
{
	const struct doc *aud = doc_get(claims, STR("aud"));
	for (size_t i = 0; i < n; i++)
		if (str_eq(doc_as_str(aud), audiences[i]) || doc_list_has(aud, audiences[i]))
			return true;
	return false;
}

/* Is the object a claim names still there, with the same uid? */
static bool
bound_there(struct request *r, const struct doc *k, const char *claim, const char *resource,
	struct str ns)
{
	const struct doc *ref = doc_get(k, str_c(claim));
	if (!ref)
		return true;
	struct doc *obj = NULL;
	if (request_read(r, STR(""), str_c(resource), ns, doc_get_str(ref, STR("name")), &obj) < 0)
		return false;
	const struct doc *meta = meta_of(obj);
	struct str gone = doc_get_str(meta, STR("deletionTimestamp"));
	int64_t at = 0;
	/* a minute after its object's end (pods: after their grace) a token ends too */
	if (gone.n && rfc3339_parse(gone, &at) == 0 && at + 60 * NS_PER_SEC < r->wall_ns)
		return false;
	return str_eq(doc_get_str(meta, STR("uid")), doc_get_str(ref, STR("uid")));
}

static void
extra_add(struct request *r, struct user *u, const char *key, struct str value)
{
	if (value.n == 0)
		return;
	struct user_extra *x = ARENA_PUSH(
		r->a, *(struct user_extra **)(void *)&u->extra, u->n_extra);
	struct str *v = ARENA_NEW(r->a, struct str);
	if (!x || !v)
		return;
	*v = value;
	*x = (struct user_extra){str_c(key), v, 1};
}

static int
account_user(struct request *r, const struct doc *claims, struct user *ret, struct str *ret_why)
{
	const struct doc *k = doc_get(claims, STR("kubernetes.io"));
	const struct doc *sa = doc_get(k, STR("serviceaccount"));
	struct str ns = doc_get_str(k, STR("namespace")), name = doc_get_str(sa, STR("name"));
	struct str sub = arena_fmt(
		r->a, "system:serviceaccount:" STR_FMT ":" STR_FMT, STR_ARG(ns), STR_ARG(name));
	*ret_why = STR("service account token has been invalidated");
	if (ns.n == 0 || name.n == 0 || !str_eq(doc_get_str(claims, STR("sub")), sub) ||
		!bound_there(r, k, "serviceaccount", "serviceaccounts", ns) ||
		!bound_there(r, k, "pod", "pods", ns) ||
		!bound_there(r, k, "secret", "secrets", ns))
		return -EACCES;
	/* a token of a pod says its node for information; one bound to a node alone ends with it */
	if (!doc_get(k, STR("pod")) && !bound_there(r, k, "node", "nodes", STR("")))
		return -EACCES;
	struct str *groups = ARENA_ARRAY(r->a, struct str, 3);
	if (!groups)
		return -EACCES;
	groups[0] = STR("system:serviceaccounts");
	groups[1] = arena_fmt(r->a, "system:serviceaccounts:" STR_FMT, STR_ARG(ns));
	groups[2] = STR("system:authenticated");
	*ret = (struct user){
		.name = sub, .uid = doc_get_str(sa, STR("uid")), .groups = groups, .n_groups = 3};
	const struct doc *pod = doc_get(k, STR("pod")), *node = doc_get(k, STR("node"));
	struct str jti = doc_get_str(claims, STR("jti"));
	if (jti.n)
		extra_add(r, ret, "authentication.kubernetes.io/credential-id",
			arena_fmt(r->a, "JTI=" STR_FMT, STR_ARG(jti)));
	extra_add(r, ret, "authentication.kubernetes.io/node-name", doc_get_str(node, STR("name")));
	extra_add(r, ret, "authentication.kubernetes.io/node-uid", doc_get_str(node, STR("uid")));
	extra_add(r, ret, "authentication.kubernetes.io/pod-name", doc_get_str(pod, STR("name")));
	extra_add(r, ret, "authentication.kubernetes.io/pod-uid", doc_get_str(pod, STR("uid")));
	return 0;
}

static int
jwt_check(struct request *r, struct str token, const struct str *audiences, size_t n,
	struct user *ret, struct str *ret_why)
{
	struct str head, rest, body, sig;
	*ret_why = STR("invalid bearer token");
	if (token.n > TOKEN_MAX || !str_cut(token, '.', &head, &rest) ||
		!str_cut(rest, '.', &body, &sig) || str_find_char(sig, '.') >= 0)
		return -EACCES;
	struct str signed_part = str_sub(token, 0, head.n + 1 + body.n);
	if (!signature_good(r, token, signed_part, head, sig))
		return -EACCES;
	struct buf json;
	buf_init_arena(&json, r->a);
	struct doc *claims = NULL;
	if (base64url_decode(&json, body) < 0 ||
		doc_parse_json(r->a, buf_view(&json), NULL, &claims, NULL) < 0)
		return -EACCES;
	int64_t now = r->wall_ns / NS_PER_SEC;
	if (!str_eq(doc_get_str(claims, STR("iss")), r->server->sa_issuer))
		return -EACCES;
	*ret_why = STR("service account token has expired");
	if (doc_get_int(claims, STR("exp"), 0) <= now)
		return -EACCES;
	*ret_why = STR("service account token is not valid yet");
	if (doc_get_int(claims, STR("nbf"), 0) > now + 60)
		return -EACCES;
	*ret_why = STR("token audiences are not valid here");
	struct str own = r->server->sa_issuer;
	if (!audience_good(claims, n ? audiences : &own, n ? n : 1))
		return -EACCES;
	return account_user(r, claims, ret, ret_why);
}

/* ---- bootstrap tokens ------------------------------------------------------------------------------ */

static bool
token_part(struct str s, size_t n)
{
	if (s.n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9')))
			return false;
	return true;
}

static struct str
secret_value(struct request *r, const struct doc *secret, const char *key)
{
	struct buf b;
	buf_init_arena(&b, r->a);
	struct str v = doc_get_str(doc_get(secret, STR("data")), str_c(key));
	return v.n && base64_decode(&b, v) == 0 ? buf_view(&b) : STR("");
}

static bool
same_secret(struct str x, struct str y)
{
	unsigned diff = x.n != y.n;
	for (size_t i = 0; i < x.n && i < y.n; i++)
		diff |= (unsigned char)x.p[i] ^ (unsigned char)y.p[i];
	return diff == 0;
}

static int
bootstrap_check(struct request *r, struct str id, struct str secret, struct user *ret)
{
	struct doc *s = NULL;
	struct str name = arena_fmt(r->a, "bootstrap-token-" STR_FMT, STR_ARG(id));
	int64_t until = 0;
	if (request_read(r, STR(""), STR("secrets"), STR("kube-system"), name, &s) < 0 ||
		!str_eq(doc_get_str(s, STR("type")), STR("bootstrap.kubernetes.io/token")) ||
		doc_get_str(meta_of(s), STR("deletionTimestamp")).n ||
		!str_eq(secret_value(r, s, "token-id"), id) ||
		!same_secret(secret_value(r, s, "token-secret"), secret) ||
		!str_eq(secret_value(r, s, "usage-bootstrap-authentication"), STR("true")))
		return -EACCES;
	struct str exp = secret_value(r, s, "expiration");
	if (exp.n && (rfc3339_parse(exp, &until) < 0 || until < r->wall_ns))
		return -EACCES;
	struct str *groups = NULL;
	size_t n = 0;
	struct str more = secret_value(r, s, "auth-extra-groups"), part;
	struct str first[] = {STR("system:bootstrappers"), STR("system:authenticated")};
	for (size_t i = 0; i < ARRAY_LEN(first); i++) {
		struct str *g = ARENA_PUSH(r->a, groups, n);
		if (g)
			*g = first[i];
	}
	while (more.n && n < 64 && str_next(&more, ',', &part)) {
		if (!str_starts(part, STR("system:bootstrappers:")))
			continue;
		struct str *g = ARENA_PUSH(r->a, groups, n);
		if (g)
			*g = part;
	}
	*ret = (struct user){.name = arena_fmt(r->a, "system:bootstrap:" STR_FMT, STR_ARG(id)),
		.groups = groups,
		.n_groups = n};
	return 0;
}

int
token_check(struct request *r, struct str token, const struct str *audiences, size_t n_audiences,
	struct user *ret, struct str *ret_why)
{
	struct str id, secret, why = STR("");
	int rc;
	if (str_cut(token, '.', &id, &secret) && token_part(id, 6) && token_part(secret, 16))
		rc = bootstrap_check(r, id, secret, ret);
	else
		rc = jwt_check(r, token, audiences, n_audiences, ret, &why);
	if (ret_why)
		*ret_why = why;
	return arena_failed(r->a) ? -EACCES : rc;
}
