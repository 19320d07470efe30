/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * websocket_fuzz: any bytes as WebSocket frames, at a server or a client, cut anywhere; every message
 * also as a channel message. Holds: no message above the limit; closed is told once; whole and in pieces give
 * the same. */
#include "base/hash.h"
#include "netstack/http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_MESSAGE 5000

static struct seen {
	int closes, code;
	uint64_t messages, hash;
} seen;

static void
on_message(void *arg, int opcode, struct str bytes)
{
	struct arena *a = arg;
	int channel = 0;
	bool closed = false;
	struct str payload = STR_NONE;
	uint16_t w = 0, h = 0;

	BUG_ON(bytes.n > MAX_MESSAGE || seen.closes > 0);
	seen.messages++;
	seen.hash = seen.hash * 31 + hash_fnv64a(bytes) + (uint64_t)opcode;
	for (int p = 0; p < K8S_PROTOCOLS; p++)
		k8s_channel_parse(
			(enum k8s_protocol)p, a, opcode, bytes, &channel, &closed, &payload);
	k8s_resize_parse(bytes, &w, &h);
}

static void
on_closed(void *arg, int code, struct str reason)
{
	(void)arg;
	BUG_ON(!str_is_utf8(reason));
	seen.closes++;
	seen.code = code;
}

static size_t
on_send(void *arg, struct str bytes)
{
	(void)arg;
	return bytes.n;
}

static const struct ws_fns fns = {.message = on_message, .closed = on_closed};

static struct seen
run(bool client, struct str in, size_t step)
{
	struct ws *w = NULL;
	struct arena *a = arena_new(8 << 20);

	seen = (struct seen){0};
	BUG_ON(ws_new(client, MAX_MESSAGE, &fns, a, on_send, NULL, &w) < 0);
	for (size_t at = 0; at < in.n; at += step)
		ws_feed(w, str_sub(in, at, at + step));
	ws_feed_eof(w);
	BUG_ON(seen.closes != 1);
	ws_free(w);
	arena_free(a);
	return seen;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3)
		return 0;
	struct str in = str_from((const char *)data + 2, size - 2);
	struct seen whole = run(data[0] & 1, in, in.n);
	struct seen parts = run(data[0] & 1, in, data[1] + 1u);
	BUG_ON(whole.messages != parts.messages || whole.hash != parts.hash ||
		whole.code != parts.code);
	return 0;
}
