/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * k8s_channel: Kubernetes' channels in WebSocket messages; contract in websocket.h.
 * Place in the flow: exec, attach and logs handlers of the node API and of the API server.
 * Source: remotecommand v1..v5 (the first byte is the channel; v5 adds 255 = a channel was closed);
 * base64.channel.k8s.io: text, the first character is the channel's digit. */
#include "netstack/http/websocket.h"

#include "base/doc.h"
#include "base/hash.h"

#include <errno.h>

const struct str k8s_protocols[K8S_PROTOCOLS] = {
	[K8S_V5] = STR_INIT("v5.channel.k8s.io"),
	[K8S_V4] = STR_INIT("v4.channel.k8s.io"),
	[K8S_V3] = STR_INIT("v3.channel.k8s.io"),
	[K8S_V2] = STR_INIT("v2.channel.k8s.io"),
	[K8S_V1] = STR_INIT("channel.k8s.io"),
	[K8S_BASE64] = STR_INIT("base64.channel.k8s.io"),
};

int
k8s_channel_parse(enum k8s_protocol p, struct arena *a, int opcode, struct str message,
	int *ret_channel, bool *ret_close, struct str *ret_payload)
{
	(void)opcode;
	*ret_close = false;
	if (message.n == 0)
		return -EINVAL;
	uint8_t first = (uint8_t)message.p[0];
	struct str rest = str_sub(message, 1, SIZE_MAX);
	if (p == K8S_BASE64) {
		struct buf b = BUF_INIT;
		buf_init_arena(&b, a);
		if (first < '0' || first > '9' || base64_decode(&b, rest) < 0 || b.failed)
			return -EINVAL;
		*ret_channel = first - '0';
		*ret_payload = buf_view(&b);
		return 0;
	}
	if (p == K8S_V5 && first == K8S_CLOSE) {
		if (rest.n != 1)
			return -EINVAL;
		*ret_channel = (uint8_t)rest.p[0];
		*ret_close = true;
		*ret_payload = STR("");
		return 0;
	}
	*ret_channel = first;
	*ret_payload = rest;
	return 0;
}

size_t
k8s_channel_send(struct ws *w, enum k8s_protocol p, int channel, struct str payload)
{
	char first = (char)(p == K8S_BASE64 ? '0' + channel : channel);

	if (p == K8S_BASE64) {
		_cleanup_buf_ struct buf b = BUF_INIT;
		base64_encode(&b, payload);
		return ws_message2(w, WS_TEXT, str_from(&first, 1), buf_view(&b));
	}
	return ws_message2(w, WS_BINARY, str_from(&first, 1), payload);
}

void
k8s_channel_close(struct ws *w, enum k8s_protocol p, int channel)
{
	const char bytes[2] = {(char)K8S_CLOSE, (char)channel};

	if (p == K8S_V5)
		ws_message(w, WS_BINARY, str_from(bytes, 2));
}

int
k8s_resize_parse(struct str payload, uint16_t *ret_width, uint16_t *ret_height)
{
	struct arena *a = arena_new(64 << 10);
	struct doc *d = NULL;
	int r = a ? doc_parse_json(a, payload, NULL, &d, NULL) : -ENOMEM;
	int64_t w = r == 0 ? doc_get_int(d, STR("Width"), -1) : -1;
	int64_t h = r == 0 ? doc_get_int(d, STR("Height"), -1) : -1;

	arena_free(a);
	if (w < 0 || w > UINT16_MAX || h < 0 || h > UINT16_MAX)
		return -EINVAL;
	*ret_width = (uint16_t)w;
	*ret_height = (uint16_t)h;
	return 0;
}
