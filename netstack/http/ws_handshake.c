/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * ws_handshake: the HTTP side of WebSocket's beginning, both ends; contract in websocket.h.
 * Place in the flow: exec, attach, port-forward handlers, watches by WebSocket; the client towards nodes.
 * Invariants: no extension is ever accepted. Source: RFC 6455 section 4. */
#include "netstack/http/ws_int.h"

#include "base/hash.h"
#include "base/rand.h"

#include <bearssl_hash.h>
#include <errno.h>

static struct str
accept_key(struct arena *a, struct str key)
{
	br_sha1_context h;
	uint8_t sum[20];
	struct buf b = BUF_INIT;

	br_sha1_init(&h);
	br_sha1_update(&h, key.p, key.n);
	br_sha1_update(&h, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
	br_sha1_out(&h, sum);
	buf_init_arena(&b, a);
	base64_encode(&b, str_from((char *)sum, sizeof(sum)));
	return b.failed ? STR_NONE : buf_view(&b);
}

bool
ws_is_upgrade(const struct http_req *r)
{
	return http_headers_has_token(&r->headers, STR("Connection"), STR("upgrade")) &&
		http_headers_has_token(&r->headers, STR("Upgrade"), STR("websocket"));
}

static bool
handshake_ok(const struct http_req *r)
{
	struct str key = http_headers_get(&r->headers, STR("Sec-WebSocket-Key"));
	_cleanup_buf_ struct buf raw = BUF_INIT;

	return ws_is_upgrade(r) && str_eq(r->method, STR("GET")) &&
		str_eq(http_headers_get(&r->headers, STR("Sec-WebSocket-Version")), STR("13")) &&
		key.n == 24 && base64_decode(&raw, key) == 0 && raw.len == 16;
}

/* protocol_choose: the first of the client's that is ours. 0, or -EPROTONOSUPPORT. */
static int
protocol_choose(const struct http_req *r, const struct str *ours, size_t n, struct str *ret)
{
	size_t pos = 0;
	struct str list = STR_NONE, item = STR_NONE;
	bool offered = false;

	*ret = STR_NONE;
	while (http_headers_next(&r->headers, STR("Sec-WebSocket-Protocol"), &pos, &list)) {
		while (http_token_next(&list, &item)) {
			offered = true;
			for (size_t i = 0; i < n; i++) {
				if (str_eq(ours[i], item)) {
					*ret = ours[i];
					return 0;
				}
			}
		}
	}
	return offered && n > 0 ? -EPROTONOSUPPORT : 0;
}

int
ws_accept(struct http_req *r, const struct str *protocols, size_t n_protocols, size_t max_message,
	const struct ws_fns *fns, void *arg, struct str *ret_protocol, struct ws **ret)
{
	struct str protocol = STR_NONE;
	struct http_tunnel *t = NULL;

	if (!handshake_ok(r))
		return -EINVAL;
	int result = protocol_choose(r, protocols, n_protocols, &protocol);
	if (result < 0)
		return result;
	http_set_header(r, STR("Sec-WebSocket-Accept"),
		accept_key(r->arena, http_headers_get(&r->headers, STR("Sec-WebSocket-Key"))));
	if (str_is_set(protocol))
		http_set_header(r, STR("Sec-WebSocket-Protocol"), protocol);
	result = http_upgrade(r, STR("websocket"), &t);
	if (result == -EBUSY)
		return -EINVAL;
	if (result == 0)
		result = ws_new_on(t, false, max_message, fns, arg, ret);
	if (result == 0 && ret_protocol)
		*ret_protocol = protocol;
	return result;
}

size_t
ws_client_headers(struct arena *a, struct str protocols, struct http_header h[3], char key[25])
{
	uint8_t raw[16];
	struct buf b = BUF_INIT;
	size_t n = 0;

	rand_bytes(raw, sizeof(raw));
	buf_init_arena(&b, a);
	base64_encode(&b, str_from((char *)raw, sizeof(raw)));
	str_copy_c(buf_view(&b), key, 25);
	h[n++] = (struct http_header){STR("Sec-WebSocket-Key"), buf_view(&b)};
	h[n++] = (struct http_header){STR("Sec-WebSocket-Version"), STR("13")};
	if (protocols.n > 0)
		h[n++] = (struct http_header){STR("Sec-WebSocket-Protocol"), protocols};
	return n;
}

int
ws_client_accept(const struct http_response *resp, struct http_tunnel *t, const char key[25],
	size_t max_message, const struct ws_fns *fns, void *arg, struct str *ret_protocol,
	struct ws **ret)
{
	struct arena *a = arena_new(0);
	struct str want = a ? accept_key(a, str_c(key)) : STR_NONE;
	bool ok = str_is_set(want) && resp->status == 101 &&
		http_headers_has_token(&resp->headers, STR("Upgrade"), STR("websocket")) &&
		!str_is_set(http_headers_get(&resp->headers, STR("Sec-WebSocket-Extensions"))) &&
		str_eq(http_headers_get(&resp->headers, STR("Sec-WebSocket-Accept")), want);

	arena_free(a);
	if (!ok) {
		http_tunnel_close(t);
		return -EPROTO;
	}
	int r = ws_new_on(t, true, max_message, fns, arg, ret);
	if (r == 0 && ret_protocol)
		*ret_protocol = http_headers_get(&resp->headers, STR("Sec-WebSocket-Protocol"));
	return r;
}
