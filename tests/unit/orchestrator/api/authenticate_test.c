/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * authenticate_test: who is believed to be whom: certificates of the cluster's CA, front proxies' words, and what is
 * neither. */
#include "orchestrator/api/authenticate.c"

#include "tests/unit/test.h"

struct scene {
	struct api_server s;
	struct http_req h;
	struct http_header headers[8];
	struct tls_peer peer;
	struct reply_sink sink;
	struct request r;
	int http; /* of the answer; 0 = none */
};

static struct scene *now;

static void
on_reply(struct request *r, int http, struct str type, struct str body)
{
	(void)r, (void)type, (void)body;
	now->http = http;
}

static void
on_header(struct request *r, struct str name, struct str value)
{
	(void)r, (void)name, (void)value;
}

static const struct reply_sink_ops sink_ops = {.reply = on_reply, .header = on_header};

/* asks: a request with this certificate and headers; the answer's status, 0 = it goes on. */
static int
asks(struct scene *x, const char *cn, bool proxy, const struct http_header *headers, size_t n)
{
	struct arena *a = arena_new(0);
	*x = (struct scene){.peer = {.state = TLS_PEER_VALID, .cn = str_c(cn), .proxy = proxy}};
	now = x;
	for (size_t i = 0; i < n; i++)
		x->headers[i] = headers[i];
	x->h.peer = &x->peer;
	x->h.headers = (struct http_headers){.v = x->headers, .n = n};
	x->sink = (struct reply_sink){.ops = &sink_ops, .http = &x->h};
	x->r = (struct request){
		.a = a, .server = &x->s, .sink = &x->sink, .accept = &negotiated_json};
	enum step st = stage_authenticate(&x->r);
	CHECK_INT(st, x->http ? STEP_REPLY : STEP_NEXT);
	return x->http;
}

static bool
in(const struct scene *x, const char *group)
{
	for (size_t i = 0; i < x->r.user.n_groups; i++)
		if (str_eq_c(x->r.user.groups[i], group))
			return true;
	return false;
}

static const struct http_header alice[] = {{STR_INIT("X-Remote-User"), STR_INIT("alice")},
	{STR_INIT("x-remote-group"), STR_INIT("g1")}, {STR_INIT("X-Remote-Group"), STR_INIT("g2")},
	{STR_INIT("X-Remote-Uid"), STR_INIT("7")},
	{STR_INIT("X-Remote-Extra-Example.com%2fKey"), STR_INIT("v")}};

TEST(a_front_proxy_says_who_asks)
{
	struct scene x;
	CHECK_INT(asks(&x, "front-proxy-client", true, alice, ARRAY_LEN(alice)), 0);
	CHECK_STR(x.r.user.name, "alice");
	CHECK_STR(x.r.user.uid, "7");
	CHECK(in(&x, "g1") && in(&x, "g2") && in(&x, "system:authenticated"));
	CHECK_INT(x.r.user.n_extra, 1);
	CHECK_STR(x.r.user.extra[0].key, "example.com/key");
	CHECK_STR(x.r.user.extra[0].values[0], "v");
	arena_free(x.r.a);
}

TEST(nobody_else_says_who_asks)
{
	struct scene x;
	/* a certificate of the cluster's own CA is its holder's, whatever the headers say */
	CHECK_INT(asks(&x, "front-proxy-client", false, alice, ARRAY_LEN(alice)), 0);
	CHECK_STR(x.r.user.name, "front-proxy-client");
	CHECK(!in(&x, "g1"));
	arena_free(x.r.a);
	/* one of the proxies' CA with another name, and one that names nobody */
	CHECK_INT(asks(&x, "kubernetes-admin", true, alice, ARRAY_LEN(alice)), 401);
	arena_free(x.r.a);
	CHECK_INT(asks(&x, "front-proxy-client", true, alice + 1, ARRAY_LEN(alice) - 1), 401);
	arena_free(x.r.a);
}

TEST(an_anonymous_user_of_a_front_proxy_stays_anonymous)
{
	static const struct http_header nobody[] = {
		{STR_INIT("X-Remote-User"), STR_INIT("system:anonymous")},
		{STR_INIT("X-Remote-Group"), STR_INIT("system:unauthenticated")}};
	struct scene x;
	CHECK_INT(asks(&x, "front-proxy-client", true, nobody, ARRAY_LEN(nobody)), 0);
	CHECK_STR(x.r.user.name, "system:anonymous");
	CHECK(!in(&x, "system:authenticated"));
	arena_free(x.r.a);
}
