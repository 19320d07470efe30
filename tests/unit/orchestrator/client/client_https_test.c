/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * client_https_test: how many calls are under way, and in which order the others go; against a server that answers
 * when it is told to. */
#include "orchestrator/client/client_https.c"

#include "tests/unit/test.h"

#define MANY 40

static struct loop *loop;
static struct http_server *server;
static struct client *client;
static struct http_req *held[MANY];
static size_t n_held, n_asked, n_answered;
static char asked[MANY];    /* in the order in which they came */
static char answered[MANY]; /* likewise */

static void
on_request(void *arg, struct http_req *r)
{
	(void)arg;
	asked[n_asked++] = r->path.p[r->path.n - 1];
	held[n_held++] = r;
	http_on_abort(r, http_drop);
}

static void
setup(void)
{
	struct http_server_config cfg = {.on_request = on_request};
	struct http_addr any = {.ip = ip_v4(0x7f000001)}, bound;
	struct err e = {0};
	char url[64];
	loop = cfg.loop = loop_new(NULL, "test");
	n_held = n_asked = n_answered = 0;
	memset(asked, 0, sizeof(asked));
	memset(answered, 0, sizeof(answered));
	CHECK_INT(http_listen(&any, false, &cfg.listen_fd, &bound, &e), 0);
	CHECK_INT(http_server_new(&cfg, &server), 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", bound.port);
	struct client_https_config c = {.server = str_c(url)};
	CHECK_INT(client_https_new(loop, &c, &client, &e), 0);
}

static void
teardown(void)
{
	client_free(client);
	for (int i = 0; i < 3; i++)
		loop_turn(loop, NS_PER_MS);
	http_server_free(server);
	loop_turn(loop, 0);
	loop_free(loop);
}

/* settle: until nothing more comes. */
static void
settle(size_t want)
{
	int64_t until_ns = clock_mono_ns() + 10 * NS_PER_SEC;
	while (n_asked < want && clock_mono_ns() < until_ns)
		loop_turn(loop, NS_PER_MS);
	for (int i = 0; i < 5; i++)
		loop_turn(loop, NS_PER_MS);
	CHECK_INT(n_asked, want);
}

/* answer: those that are held, and what comes for it. */
static void
answer(size_t want)
{
	size_t n = n_held;
	n_held = 0;
	for (size_t i = 0; i < n; i++)
		http_reply(held[i], 200, STR("application/json"), STR("{}"));
	settle(want);
}

static void
on_done(void *arg, const struct client_result *r)
{
	CHECK_INT(r->http, 200);
	answered[n_answered++] = *(const char *)arg;
}

static struct client_call *
ask(const char *name, bool late)
{
	struct client_call *call = NULL;
	struct client_req q = {.verb = CLIENT_CREATE,
		.version = STR("v1"),
		.resource = STR("pods"),
		.ns = STR("ns"),
		.name = str_c(name),
		.subresource = str_c(name),
		.body = STR("{}"),
		.late = late};
	CHECK_INT(client_call_start(client, &q, on_done, (void *)(uintptr_t)name, &call), 0);
	return call;
}

/* With a connection for each, all pods of a full machine were told of together, after its last handshake. */
TEST(a_hundred_calls_at_once_are_no_hundred_connections)
{
	setup();
	for (int i = 0; i < 24; i++)
		ask(i < 8 ? "a" : i < 16 ? "b" : "c", false);
	settle(CALLS_MAX);
	CHECK_STR(asked, "aaaaaaaa");
	answer(16);
	CHECK_STR(answered, "aaaaaaaa");
	CHECK_STR(asked + 8, "bbbbbbbb");
	answer(24);
	answer(24);
	CHECK_INT(n_answered, 24);
	teardown();
}

TEST(events_wait_for_what_others_wait_for)
{
	setup();
	for (int i = 0; i < 6; i++)
		ask("e", true);
	ask("a", false);
	settle(LATE_FLYING_MAX + 1);
	CHECK_STR(asked, "eea");
	for (int i = 0; i < 8; i++)
		ask("b", false);
	settle(CALLS_MAX);
	CHECK_STR(asked + 3, "bbbbb");
	answer(CALLS_MAX + 3 + 2);
	CHECK_STR(asked + 8, "bbbee");
	answer(CALLS_MAX + 3 + 4);
	answer(CALLS_MAX + 3 + 4);
	CHECK_INT(n_answered, 15);
	teardown();
}

TEST(too_many_events_are_refused_and_one_that_waits_can_be_taken_back)
{
	setup();
	for (int i = 0; i < CALLS_MAX; i++)
		ask("a", false);
	struct client_call *b = ask("b", false), *c = ask("c", false);
	(void)c;
	for (int i = 0; i < LATE_MAX; i++)
		ask("e", true);
	struct client_req q = {.verb = CLIENT_CREATE,
		.version = STR("v1"),
		.resource = STR("events"),
		.ns = STR("ns"),
		.late = true};
	CHECK_INT(client_call_start(client, &q, on_done, NULL, NULL), -EAGAIN);
	settle(CALLS_MAX);
	client_call_cancel(b);
	answer(CALLS_MAX + 1 + LATE_FLYING_MAX);
	CHECK_STR(asked + CALLS_MAX, "cee");
	teardown(); /* with a thousand that wait */
}
