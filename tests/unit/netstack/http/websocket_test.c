/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * websocket_test: frames good and bad at every cut, the hand-shake over sockets, Kubernetes' channels. */
#include "netstack/http/websocket.c"

#include "netstack/http/http.h"
#include "tests/unit/test.h"

/* ---- the machine in memory ---- */

struct end {
	struct ws *w;
	struct buf out, got, reason;
	int messages, last_op, closes, code, pongs;
	bool free_in_message, pause_in_message;
};

static size_t
end_send(void *arg, struct str bytes)
{
	struct end *e = arg;

	buf_str(&e->out, bytes);
	return e->out.len;
}

static void
end_message(void *arg, int opcode, struct str bytes)
{
	struct end *e = arg;

	e->messages++;
	e->last_op = opcode;
	buf_str(&e->got, bytes);
	if (e->free_in_message) {
		ws_free(e->w);
		e->w = NULL;
	}
	if (e->pause_in_message)
		ws_pause(e->w, true);
}

static void
end_closed(void *arg, int code, struct str reason)
{
	struct end *e = arg;

	e->closes++;
	e->code = code;
	buf_clear(&e->reason);
	buf_str(&e->reason, reason);
}

static void
end_pong(void *arg, struct str payload)
{
	(void)payload;
	((struct end *)arg)->pongs++;
}

static const struct ws_fns end_fns = {end_message, end_closed, NULL, end_pong};

static void
end_init(struct end *e, bool client, size_t max)
{
	*e = (struct end){0};
	CHECK_INT(ws_new(client, max, &end_fns, e, end_send, e, &e->w), 0);
}

static void
end_free(struct end *e)
{
	ws_free(e->w);
	buf_release(&e->out);
	buf_release(&e->got);
	buf_release(&e->reason);
}

/* pass: what `from` sent goes to `to`, step bytes at a time. */
static void
pass(struct end *from, struct end *to, size_t step)
{
	struct buf bytes = from->out;

	from->out = (struct buf)BUF_INIT;
	for (size_t at = 0; at < bytes.len && to->w; at += step)
		ws_feed(to->w, str_sub(buf_view(&bytes), at, at + step));
	buf_release(&bytes);
}

TEST(messages_of_every_length_both_ways)
{
	static char big[70000];
	const size_t lens[] = {0, 1, 125, 126, 127, 65535, 65536, 70000};
	const size_t steps[] = {1, 3, 1000, 1 << 20};

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7);
	for (size_t s = 0; s < ARRAY_LEN(steps); s++) {
		struct end a, b;
		end_init(&a, true, 1 << 20);
		end_init(&b, false, 1 << 20);
		for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
			struct str text = str_from(big, lens[i]);
			ws_message2(
				a.w, WS_BINARY, str_sub(text, 0, 1), str_sub(text, 1, SIZE_MAX));
			pass(&a, &b, steps[s]);
			CHECK(str_eq(buf_view(&b.got), text));
			ws_message(b.w, WS_BINARY, text);
			pass(&b, &a, steps[s]);
			CHECK(str_eq(buf_view(&a.got), text));
			buf_clear(&a.got);
			buf_clear(&b.got);
		}
		CHECK_INT(a.messages, (int)ARRAY_LEN(lens));
		ws_ping(a.w, STR("p"));
		pass(&a, &b, steps[s]);
		pass(&b, &a, steps[s]);
		CHECK_INT(a.pongs, 1);
		ws_close(a.w, WS_NORMAL, STR("bye"));
		pass(&a, &b, steps[s]);
		CHECK_INT(b.closes, 1);
		CHECK_INT(b.code, 1000);
		CHECK_STR(buf_view(&b.reason), "bye");
		CHECK_INT(a.closes, 0);
		pass(&b, &a, steps[s]);
		CHECK_INT(a.closes, 1);
		CHECK_INT(ws_feed(a.w, STR("x")), -EPROTO);
		end_free(&a);
		end_free(&b);
	}
}

/* What a client may see from a server: unmasked frames, so they can be written down. */
TEST(frames_good_and_bad)
{
	static const struct {
		struct str bytes;
		const char *got;
		int messages, close;
	} rows[] = {
		{STR_INIT("\x81\x02hi"), "hi", 1, 0},
		{STR_INIT("\x01\x01"
			  "a\x80\x01"
			  "b"),
			"ab", 1, 0},
		{STR_INIT("\x01\x01"
			  "a\x89\x01p\x00\x01"
			  "b\x80\x00"),
			"ab", 1, 0},
		{STR_INIT("\x88\x00"), "", 0, 1005},
		{STR_INIT("\x88\x02\x03\xe8"), "", 0, 1000},
		{STR_INIT("\x88\x05\x03\xe9"
			  "bye"),
			"", 0, 1001},
		{STR_INIT("\x88\x01\x03"), "", 0, 1002},
		{STR_INIT("\x88\x02\x03\xed"), "", 0, 1002},
		{STR_INIT("\x88\x03\x03\xe8\xff"), "", 0, 1007},
		{STR_INIT("\x81\x02\xff\xff"), "", 0, 1007},
		{STR_INIT("\x82\x02\xff\xff"), "\xff\xff", 1, 0},
		{STR_INIT("\x80\x01"
			  "a"),
			"", 0, 1002}, /* nothing to continue */
		{STR_INIT("\x01\x01"
			  "a\x81\x01"
			  "b"),
			"", 0, 1002}, /* a new one within */
		{STR_INIT("\x83\x00"), "", 0, 1002},
		{STR_INIT("\x8b\x00"), "", 0, 1002},
		{STR_INIT("\xc1\x00"), "", 0, 1002},         /* reserved bit */
		{STR_INIT("\x09\x00"), "", 0, 1002},         /* fragmented ping */
		{STR_INIT("\x89\x7e\x00\x7e"), "", 0, 1002}, /* long ping */
		{STR_INIT("\x81\x82"
			  "abcdhi"),
			"", 0, 1002},                             /* masked by a server */
		{STR_INIT("\x82\x7e\x00\x05hello"), "", 0, 1002}, /* length not the shortest */
		{STR_INIT("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff"), "", 0, 1002},
		{STR_INIT("\x82\x7f\x80\x00\x00\x00\x00\x00\xff\xff"), "", 0, 1002},
		{STR_INIT("\x82\x7e\x03\xe9"), "", 0, 1009}, /* 1001 bytes */
		{STR_INIT("\x81\x02h"), "", 0, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t step = 1; step < 20; step += 6) {
			struct end e;
			end_init(&e, true, 1000);
			for (size_t at = 0; at < rows[i].bytes.n; at += step)
				ws_feed(e.w, str_sub(rows[i].bytes, at, at + step));
			CHECK_INT(e.messages, rows[i].messages);
			CHECK_STR(buf_view(&e.got), rows[i].got);
			CHECK_INT(e.closes, rows[i].close != 0);
			CHECK_INT(e.code, rows[i].close);
			end_free(&e);
		}
	}
}

TEST(joined_messages_are_bounded)
{
	struct end e;
	int r = 0;

	end_init(&e, true, 1000);
	CHECK_INT(ws_feed(e.w,
			  STR("\x02\x01"
			      "a")),
		0);
	for (int i = 0; i < 2000 && r == 0; i++)
		r = ws_feed(e.w,
			STR("\x00\x01"
			    "a"));
	CHECK_INT(r, -EPROTO);
	CHECK_INT(e.code, WS_TOO_BIG);
	CHECK(e.w->message.cap <= 2048);
	end_free(&e);
}

TEST(machine_freed_in_its_own_callback)
{
	struct end e;

	end_init(&e, true, 1000);
	e.free_in_message = true;
	ws_feed(e.w,
		STR("\x81\x01"
		    "a\x81\x01"
		    "b"));
	CHECK_INT(e.messages, 1);
	CHECK_INT(e.closes, 0);
	end_free(&e);
	end_init(&e, true, 1000);
	ws_feed_eof(e.w);
	CHECK_INT(e.code, 1006);
	end_free(&e);
}

/* ---- over sockets ---- */

static struct loop *loop;
static struct end server_end, client_end;
static struct str protocol;
static int accept_result;

static void
on_request(void *arg, struct http_req *r)
{
	(void)arg;
	server_end = (struct end){0};
	accept_result = ws_accept(
		r, k8s_protocols, 2, 1 << 20, &end_fns, &server_end, &protocol, &server_end.w);
	if (accept_result == -EINVAL)
		http_reply(r, 400, STR("text/plain"), STR("bad handshake"));
	else if (accept_result == -EPROTONOSUPPORT)
		http_reply(r, 403, STR("text/plain"), STR("no protocol"));
}

static char key[25];
static int status, client_result;
static struct str client_protocol;

static void
got_head(void *arg, const struct http_response *resp)
{
	(void)arg;
	status = resp->status;
}

static void
got_end(void *arg, const struct err *e)
{
	(void)arg;
	client_result = e->code ? e->code : 1;
}

static void
got_upgraded(void *arg, const struct http_response *resp, struct http_tunnel *t)
{
	static char copy[64];
	(void)arg;
	client_end = (struct end){0};
	client_result = ws_client_accept(
		resp, t, key, 1 << 20, &end_fns, &client_end, &client_protocol, &client_end.w);
	str_copy_c(client_protocol, copy, sizeof(copy));
	client_protocol = str_c(copy);
}

static const struct http_call_fns fns = {
	.head = got_head, .end = got_end, .upgraded = got_upgraded};

#define UNTIL(cond)                                                                                \
	do {                                                                                       \
		int64_t limit_ = clock_mono_ns() + 10 * NS_PER_SEC;                                \
		while (!(cond) && clock_mono_ns() < limit_)                                        \
			loop_turn(loop, 2 * NS_PER_MS);                                            \
		CHECK(cond);                                                                       \
	} while (0)

static struct http_server *server;
static struct http_client *client;
static char url[64];

static void
sockets_up(void)
{
	struct http_server_config cfg = {.on_request = on_request};
	struct http_client_config cc = {0};
	struct http_addr any = {.ip = ip_v4(0x7f000001)}, at = {0};
	struct err e = {0};

	loop = cfg.loop = cc.loop = loop_new(NULL, "test");
	CHECK_INT(http_listen(&any, false, &cfg.listen_fd, &at, &e), 0);
	CHECK_INT(http_server_new(&cfg, &server), 0);
	CHECK_INT(http_client_new(&cc, &client), 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", at.port);
}

static void
sockets_down(void)
{
	http_client_free(client);
	http_server_free(server);
	for (int k = 0; k < 3; k++)
		loop_turn(loop, 0);
	loop_free(loop);
}

/* dial: a WebSocket request; status and client_result tell what came of it. */
static void
dial(const char *protocols)
{
	struct arena *a = arena_new(0);
	struct http_header h[3];
	struct err e = {0};
	struct http_call_spec s = {.method = STR_INIT("GET"),
		.url = str_c(url),
		.headers = h,
		.n_headers = ws_client_headers(a, str_c(protocols), h, key),
		.upgrade = STR_INIT("websocket")};
	client_result = -1;
	status = 0;
	CHECK_INT(http_call_start(client, &s, &fns, NULL, NULL, &e), 0);
	UNTIL(client_result != -1);
	arena_free(a);
}

TEST(handshake_subprotocols_and_back_pressure_over_sockets)
{
	struct err e = {0};
	static const struct {
		const char *protocols, *chosen;
		int status;
	} rows[] = {
		{"v5.channel.k8s.io", "v5.channel.k8s.io", 101},
		{"x.y, v4.channel.k8s.io, v5.channel.k8s.io", "v4.channel.k8s.io", 101},
		{"", "", 101},
		{"other", "", 403},
	};

	sockets_up();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		dial(rows[i].protocols);
		CHECK_INT(status, rows[i].status);
		if (status != 101)
			continue;
		CHECK_INT(client_result, 0);
		CHECK_STR(client_protocol, rows[i].chosen);
		CHECK_STR(str_is_set(protocol) ? protocol : STR(""), rows[i].chosen);
		/* While the reader pauses nothing comes, and the writer's queue grows. */
		static char block[100000];
		server_end.pause_in_message = true;
		size_t queued = 0;
		for (int k = 0; k < 200; k++)
			queued = ws_message(
				client_end.w, WS_BINARY, str_from(block, sizeof(block)));
		CHECK(queued > 1000000);
		UNTIL(server_end.messages == 1);
		for (int k = 0; k < 30; k++)
			loop_turn(loop, 0);
		CHECK_INT(server_end.messages, 1);
		server_end.pause_in_message = false;
		ws_pause(server_end.w, false);
		UNTIL(server_end.messages == 200);
		ws_close(server_end.w, WS_NORMAL, STR("done"));
		UNTIL(client_end.closes == 1 && server_end.closes == 1);
		CHECK_INT(client_end.code, 1000);
		CHECK_INT(server_end.code, 1000);
		end_free(&client_end);
		end_free(&server_end);
	}
	/* Not a WebSocket request at all. */
	struct http_call_spec s = {.method = STR_INIT("GET"), .url = str_c(url)};
	client_result = -1;
	CHECK_INT(http_call_start(client, &s, &fns, NULL, NULL, &e), 0);
	UNTIL(client_result != -1);
	CHECK_INT(status, 400);
	sockets_down();
}

TEST(a_slow_reader_loses_what_was_sent_before_the_close)
{
	static char block[100000];

	sockets_up();
	dial("v5.channel.k8s.io");
	CHECK_INT(status, 101);
	ws_pause(client_end.w, true);
	for (int k = 0; k < 200; k++)
		ws_message(server_end.w, WS_BINARY, str_from(block, sizeof(block)));
	ws_close(server_end.w, WS_NORMAL, STR("done"));
	closing_over(&server_end.w->closing); /* its time is over */
	CHECK_INT(server_end.closes, 0);
	ws_pause(client_end.w, false);
	UNTIL(client_end.closes == 1 && server_end.closes == 1);
	CHECK_INT(client_end.messages, 200);
	CHECK_INT(client_end.code, 1000);
	end_free(&client_end);
	end_free(&server_end);
	sockets_down();
}

/* ---- channels ---- */

TEST(channels)
{
	struct arena *a = arena_new(0);
	struct end e;
	int channel = -1;
	bool closed = false;
	struct str payload = STR_NONE;
	uint16_t w = 0, h = 0;

	CHECK_INT(
		k8s_channel_parse(K8S_V4, a, WS_BINARY, STR("\x00hi"), &channel, &closed, &payload),
		0);
	CHECK_INT(channel, K8S_STDIN);
	CHECK_STR(payload, "hi");
	CHECK_INT(k8s_channel_parse(
			  K8S_V5, a, WS_BINARY, STR("\xff\x00"), &channel, &closed, &payload),
		0);
	CHECK_INT(channel, K8S_STDIN);
	CHECK(closed);
	CHECK_INT(k8s_channel_parse(K8S_V5, a, WS_BINARY, STR("\xff"), &channel, &closed, &payload),
		-EINVAL);
	CHECK_INT(k8s_channel_parse(
			  K8S_V4, a, WS_BINARY, STR("\xff\x00"), &channel, &closed, &payload),
		0);
	CHECK_INT(channel, 255);
	CHECK(!closed);
	CHECK_INT(k8s_channel_parse(K8S_V5, a, WS_BINARY, STR(""), &channel, &closed, &payload),
		-EINVAL);
	CHECK_INT(k8s_channel_parse(
			  K8S_BASE64, a, WS_TEXT, STR("1aGk="), &channel, &closed, &payload),
		0);
	CHECK_INT(channel, 1);
	CHECK_STR(payload, "hi");
	CHECK_INT(k8s_channel_parse(K8S_BASE64, a, WS_TEXT, STR("1!"), &channel, &closed, &payload),
		-EINVAL);
	CHECK_INT(k8s_resize_parse(STR("{\"Width\":120,\"Height\":40}\n"), &w, &h), 0);
	CHECK_INT(w, 120);
	CHECK_INT(h, 40);
	CHECK_INT(k8s_resize_parse(STR("{\"Width\":70000,\"Height\":40}"), &w, &h), -EINVAL);
	CHECK_INT(k8s_resize_parse(STR("[]"), &w, &h), -EINVAL);
	CHECK_INT(k8s_resize_parse(STR(""), &w, &h), -EINVAL);
	end_init(&e, false, 100);
	k8s_channel_send(e.w, K8S_V5, K8S_STDOUT, STR("out"));
	k8s_channel_close(e.w, K8S_V5, K8S_STDERR);
	k8s_channel_close(e.w, K8S_V4, K8S_STDERR);
	k8s_channel_send(e.w, K8S_BASE64, K8S_STDOUT, STR("hi"));
	CHECK_STR(buf_view(&e.out),
		STR("\x82\x04\x01out\x82\x02\xff\x02\x81\x05"
		    "1aGk="));
	end_free(&e);
	arena_free(a);
}
