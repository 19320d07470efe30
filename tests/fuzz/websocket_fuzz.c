/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * websocket_fuzz: any bytes as WebSocket frames, at a server or a client, cut anywhere; every message
 * also as a channel message. Holds: no message above the limit; closed is told at most once. */
#include "netstack/http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_MESSAGE 5000

static int closes;

static void
on_message(void *arg, int opcode, struct str bytes)
{
	struct arena *a = arg;
	int channel = 0;
	bool closed = false;
	struct str payload = STR_NONE;
	uint16_t w = 0, h = 0;

	BUG_ON(bytes.n > MAX_MESSAGE || closes > 0);
	for (int p = 0; p < K8S_PROTOCOLS; p++)
		k8s_channel_parse(
			(enum k8s_protocol)p, a, opcode, bytes, &channel, &closed, &payload);
	k8s_resize_parse(bytes, &w, &h);
}

static void
on_closed(void *arg, int code, struct str reason)
{
	(void)arg, (void)code;
	BUG_ON(!str_is_utf8(reason));
	closes++;
}

static size_t
on_send(void *arg, struct str bytes)
{
	(void)arg;
	return bytes.n;
}

static const struct ws_fns fns = {.message = on_message, .closed = on_closed};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ws *w = NULL;
	struct arena *a = arena_new(8 << 20);

	if (size >= 2 && ws_new(data[0] & 1, MAX_MESSAGE, &fns, a, on_send, NULL, &w) == 0) {
		struct str in = str_from((const char *)data + 2, size - 2);
		size_t step = data[1] + 1u;
		closes = 0;
		for (size_t at = 0; at < in.n; at += step)
			ws_feed(w, str_sub(in, at, at + step));
		ws_feed_eof(w);
		BUG_ON(closes != 1);
		ws_free(w);
	}
	arena_free(a);
	return 0;
}
