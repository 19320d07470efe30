/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * http_sink_test: an answer of bytes over a real WebSocket. */
#include "orchestrator/api/http_sink.c"

#include "tests/unit/test.h"

static struct loop *loop;
static struct http_request asked;
static const struct api_subresource log_sub = {.name = STR_INIT("log")};

static void
on_request(void *arg, struct http_req *h)
{
	struct request *r = &asked.r;
	(void)arg;
	asked = (struct http_request){.sink = {.ops = &http_sink_ops, .http = h}};
	r->loop = loop;
	r->a = h->arena;
	r->sub = &log_sub;
	r->sink = &asked.sink;
	h->arg = &asked;
	r->sink->ops->begin(r, 200, STR("text/plain"));
	r->sink->ops->write(r, STR("one\n"));
	r->sink->ops->write(r, STR("two\n"));
	r->sink->ops->end(r);
}

/* ---- the client ---- */

static struct ws *client_ws;
static struct buf got; /* "<opcode>:<message>;" */
static char key[25];
static int status, closed;

static void
on_message(void *arg, int opcode, struct str bytes)
{
	(void)arg;
	buf_fmt(&got, "%d:" STR_FMT ";", opcode, STR_ARG(bytes));
}

static void
on_closed(void *arg, int code, struct str reason)
{
	(void)arg, (void)reason;
	closed = code;
}

static void
on_head(void *arg, const struct http_response *resp)
{
	(void)arg;
	status = resp->status;
}

static void
on_call_end(void *arg, const struct err *e)
{
	(void)arg, (void)e;
	closed = -1;
}

static void
on_upgraded(void *arg, const struct http_response *resp, struct http_tunnel *t)
{
	static const struct ws_fns fns = {.message = on_message, .closed = on_closed};
	(void)arg;
	ws_client_accept(resp, t, key, 1 << 20, &fns, NULL, NULL, &client_ws);
}

TEST(a_log_cannot_be_read_over_a_websocket)
{
	static const struct http_call_fns fns = {
		.head = on_head, .end = on_call_end, .upgraded = on_upgraded};
	static const struct {
		const char *protocol, *got;
		int status;
	} rows[] = {
		{"binary.k8s.io", "2:;2:one\n;2:two\n;", 101},
		{"base64.binary.k8s.io", "1:;1:b25lCg==;1:dHdvCg==;", 101},
		{"", "2:;2:one\n;2:two\n;", 101},
		{"v4.channel.k8s.io", "", 403},
	};
	struct http_server_config cfg = {.on_request = on_request};
	struct http_client_config cc = {0};
	struct http_addr any = {.ip = ip_v4(0x7f000001)}, at = {0};
	struct http_server *server = NULL;
	struct http_client *client = NULL;
	struct err e = {0};
	char url[64];

	loop = cfg.loop = cc.loop = loop_new(NULL, "test");
	CHECK_INT(http_listen(&any, false, &cfg.listen_fd, &at, &e), 0);
	CHECK_INT(http_server_new(&cfg, &server), 0);
	CHECK_INT(http_client_new(&cc, &client), 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", at.port);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *a = arena_new(0);
		struct http_header h[3];
		struct http_call_spec s = {.method = STR_INIT("GET"),
			.url = str_c(url),
			.headers = h,
			.n_headers = ws_client_headers(a, str_c(rows[i].protocol), h, key),
			.upgrade = STR_INIT("websocket")};
		int64_t until_ns = clock_mono_ns() + 10 * NS_PER_SEC;
		buf_clear(&got);
		closed = status = 0;
		client_ws = NULL;
		CHECK_INT(http_call_start(client, &s, &fns, NULL, NULL, &e), 0);
		while (!closed && clock_mono_ns() < until_ns)
			loop_turn(loop, NS_PER_MS);
		CHECK_INT(status, rows[i].status);
		CHECK_INT(closed, status == 101 ? WS_NORMAL : -1);
		CHECK_STR(buf_view(&got), rows[i].got);
		ws_free(client_ws);
		arena_free(a);
	}
	buf_release(&got);
	http_client_free(client);
	http_server_free(server);
	for (int k = 0; k < 3; k++)
		loop_turn(loop, 0);
	loop_free(loop);
}
