/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * access: who asks the node API (a certificate of the cluster's authority, or a token that TokenReview knows),
 * and whether he may (SubjectAccessReview of nodes and one of their subresources). Verdicts are kept: 5
 * minutes when allowed, 30 seconds when not. No group is special here: the API server decides.
 * Source: kubelet authentication/authorization; KEP-2862 (the fine subresource first, then proxy). */
#include "orchestrator/streaming/streaming_int.h"

#include <stdlib.h>

#define ALLOW_NS (300 * NS_PER_SEC)
#define DENY_NS (30 * NS_PER_SEC)
#define VERDICTS_MAX 4096

struct verdict {
	int64_t until_ns;
	bool allowed;
};

struct asking {
	struct streaming *s;
	struct http_req *r;
	const char *const *subs;
	size_t n_subs, at;
	void (*granted)(struct http_req *r, void *arg);
	void *arg;
	struct client_call *call;
	struct str user, key;
	struct str *groups;
	size_t n_groups;
};

static void review(struct asking *x);

/* ---- verdicts ---- */

static void
verdicts_sweep(struct map *m, int64_t now)
{
	size_t pos = 0;
	struct str key;
	void *v = NULL;
	while (map_next(m, &pos, &key, &v)) {
		if (((struct verdict *)v)->until_ns > now)
			continue;
		map_del(m, key);
		free(v);
	}
}

static void
verdict_keep(struct asking *x, bool allowed)
{
	struct map *m = &x->s->verdicts;
	int64_t now = clock_mono_ns();
	struct verdict *v = map_get(m, x->key);
	if (!v && map_len(m) >= VERDICTS_MAX)
		verdicts_sweep(m, now);
	if (!v && map_len(m) < VERDICTS_MAX) {
		v = calloc(1, sizeof(*v));
		if (v && map_put(m, x->key, v, NULL) < 0) {
			free(v);
			v = NULL;
		}
	}
	if (v)
		*v = (struct verdict){now + (allowed ? ALLOW_NS : DENY_NS), allowed};
}

void
access_release(struct streaming *s)
{
	verdicts_sweep(&s->verdicts, INT64_MAX);
	map_release(&s->verdicts);
}

/* ---- may he? ---- */

static bool
is_get(const struct http_req *r)
{
	return str_eq(r->method, STR("GET")) || str_eq(r->method, STR("HEAD"));
}

static const char *
verb_of(const struct http_req *r)
{
	static const char *const verbs[][2] = {
		{"POST", "create"}, {"PUT", "update"}, {"PATCH", "patch"}, {"DELETE", "delete"}};
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (str_eq_c(r->method, verbs[i][0]))
			return verbs[i][1];
	return is_get(r) ? "get" : "";
}

static void
decide(struct asking *x, bool allowed)
{
	struct buf b;
	if (allowed) {
		x->r->arg = NULL;
		http_on_abort(x->r, NULL);
		x->granted(x->r, x->arg);
		return;
	}
	buf_init_arena(&b, x->r->arena);
	buf_fmt(&b, "Forbidden (user=" STR_FMT ", verb=%s, resource=nodes, subresource(s)=[",
		STR_ARG(x->user), verb_of(x->r));
	for (size_t i = 0; i < x->n_subs; i++)
		buf_fmt(&b, "%s%s", i ? " " : "", x->subs[i]);
	buf_cstr(&b, "])\n");
	reply_text(x->r, 403, buf_view(&b));
}

static void
on_review(void *arg, const struct client_result *res)
{
	struct asking *x = arg;
	struct doc *d = NULL;
	x->call = NULL;
	bool answered = res->http == 201 &&
		doc_parse_json(x->r->arena, res->body, NULL, &d, NULL) == 0;
	if (!answered) {
		reply_text(x->r, 500, STR("Authorization error\n"));
		return;
	}
	bool allowed = doc_get_bool(doc_get(d, STR("status")), STR("allowed"), false);
	if (!allowed && ++x->at < x->n_subs) {
		review(x);
		return;
	}
	verdict_keep(x, allowed);
	decide(x, allowed);
}

static void
strings(struct buf *b, const struct str *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_cstr(b, i ? "," : "");
		doc_json_string(b, v[i]);
	}
}

static void
review(struct asking *x)
{
	struct buf b;
	buf_init_arena(&b, x->r->arena);
	buf_cstr(&b, "{\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":\"SubjectAccessReview\","
		     "\"spec\":{\"user\":");
	doc_json_string(&b, x->user);
	buf_cstr(&b, ",\"groups\":[");
	strings(&b, x->groups, x->n_groups);
	buf_fmt(&b,
		"],\"resourceAttributes\":{\"verb\":\"%s\",\"version\":\"v1\",\"resource\":\"nodes\","
		"\"subresource\":\"%s\",\"name\":",
		verb_of(x->r), x->subs[x->at]);
	doc_json_string(&b, x->s->cfg.node_name);
	buf_cstr(&b, "}}}");
	struct client_req q = {.verb = CLIENT_CREATE,
		.group = STR("authorization.k8s.io"),
		.version = STR("v1"),
		.resource = STR("subjectaccessreviews"),
		.body = buf_view(&b)};
	if (b.failed || client_call_start(x->s->cfg.client, &q, on_review, x, &x->call) < 0)
		reply_text(x->r, 500, STR("Authorization error\n"));
}

/* The key is the request as JSON strings, so that no name can look like another's. */
static void
authorize(struct asking *x)
{
	struct buf k;
	buf_init_arena(&k, x->r->arena);
	buf_fmt(&k, "%s %s ", verb_of(x->r), x->subs[0]);
	strings(&k, &x->user, 1);
	buf_char(&k, ' ');
	strings(&k, x->groups, x->n_groups);
	if (k.failed) {
		reply_text(x->r, 500, STR("Authorization error\n"));
		return;
	}
	x->key = buf_view(&k);
	const struct verdict *v = map_get(&x->s->verdicts, x->key);
	if (v && v->until_ns > clock_mono_ns())
		decide(x, v->allowed);
	else
		review(x);
}

/* ---- who? ---- */

static void
unauthorized(struct http_req *r)
{
	reply_text(r, 401, STR("Unauthorized"));
}

static void
on_token(void *arg, const struct client_result *res)
{
	struct asking *x = arg;
	struct arena *a = x->r->arena;
	struct doc *d = NULL;
	x->call = NULL;
	bool ok = res->http == 201 && doc_parse_json(a, arena_str(a, res->body), NULL, &d, NULL) == 0;
	const struct doc *st = doc_get(d, STR("status")), *user = doc_get(st, STR("user"));
	const struct doc *groups = doc_get(user, STR("groups"));
	x->groups = ARENA_ARRAY(a, struct str, doc_len(groups));
	if (!ok || !doc_get_bool(st, STR("authenticated"), false) || !x->groups) {
		unauthorized(x->r);
		return;
	}
	x->user = doc_get_str(user, STR("username"));
	DOC_EACH(g, groups)
		x->groups[x->n_groups++] = doc_as_str(g);
	authorize(x);
}

static void
ask_token(struct asking *x, struct str token)
{
	struct buf b;
	buf_init_arena(&b, x->r->arena);
	buf_cstr(&b, "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenReview\","
		     "\"spec\":{\"token\":");
	doc_json_string(&b, token);
	buf_cstr(&b, "}}");
	struct client_req q = {.verb = CLIENT_CREATE,
		.group = STR("authentication.k8s.io"),
		.version = STR("v1"),
		.resource = STR("tokenreviews"),
		.body = buf_view(&b)};
	if (b.failed || client_call_start(x->s->cfg.client, &q, on_token, x, &x->call) < 0)
		unauthorized(x->r);
}

static void
on_abort(struct http_req *r)
{
	struct asking *x = r->arg;
	if (x->call)
		client_call_cancel(TAKE_PTR(x->call));
	http_drop(r);
}

void
access_check(struct streaming *s, struct http_req *r, const char *const *subs, size_t n_subs,
	void (*granted)(struct http_req *r, void *arg), void *arg)
{
	struct asking *x = ARENA_NEW(r->arena, struct asking);
	const struct tls_peer *peer = r->peer;
	struct str auth = http_headers_get(&r->headers, STR("Authorization"));
	if (!x) {
		reply_text(r, 500, STR("no memory\n"));
		return;
	}
	*x = (struct asking){
		.s = s, .r = r, .subs = subs, .n_subs = n_subs, .granted = granted, .arg = arg};
	r->arg = x;
	http_on_abort(r, on_abort);
	if (peer && peer->state == TLS_PEER_VALID) {
		x->user = peer->cn;
		x->groups = ARENA_ARRAY(r->arena, struct str, peer->n_orgs + 1);
		for (size_t i = 0; x->groups && i < peer->n_orgs; i++)
			x->groups[x->n_groups++] = peer->orgs[i];
		if (x->groups)
			x->groups[x->n_groups++] = STR("system:authenticated");
		authorize(x);
	} else if (str_eq_nocase(str_sub(auth, 0, 7), STR("Bearer "))) {
		ask_token(x, str_trim(str_sub(auth, 7, SIZE_MAX)));
	} else {
		unauthorized(r);
	}
}
