/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * grpc: one health check by gRPC; contract and sources in grpc.h. */
#include "orchestrator/node/grpc.h"

#include <errno.h>

#define HEAD 9
#define FRAME_MAX 16384
#define SERVICE_MAX 8192
#define MESSAGE_MAX 4096
#define STREAM 1

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6 };
enum { FLAG_ACK = 1, FLAG_END_STREAM = 1, FLAG_END_HEADERS = 4, FLAG_PADDED = 8 };

static void
frame(struct buf *b, uint8_t type, uint8_t flags, uint32_t stream, struct str payload)
{
	buf_char(b, (char)(payload.n >> 16));
	buf_be16(b, (uint16_t)payload.n);
	buf_char(b, (char)type);
	buf_char(b, (char)flags);
	buf_be32(b, stream);
	buf_str(b, payload);
}

/* Fields of the request, as literals that enter no table. index: of the name in HPACK's static table. */
static void
field(struct buf *b, uint8_t index, struct str name, struct str value)
{
	if (index >= 15) {
		buf_char(b, 15);
		buf_char(b, (char)(index - 15));
	} else {
		buf_char(b, (char)index);
	}
	if (!index) {
		buf_char(b, (char)name.n);
		buf_str(b, name);
	}
	buf_char(b, (char)value.n);
	buf_str(b, value);
}

int
grpc_check_begin(struct grpc_check *g, struct str authority, struct str service)
{
	_cleanup_buf_ struct buf head = BUF_INIT, body = BUF_INIT, data = BUF_INIT;
	if (service.n > SERVICE_MAX || authority.n > 126)
		return -EMSGSIZE;
	g->in.max = HEAD + FRAME_MAX;
	g->message.max = MESSAGE_MAX;
	buf_char(&head, (char)0x83); /* :method POST */
	buf_char(&head, (char)0x86); /* :scheme http */
	field(&head, 4, STR(":path"), STR("/grpc.health.v1.Health/Check"));
	field(&head, 1, STR(":authority"), authority);
	field(&head, 31, STR("content-type"), STR("application/grpc"));
	field(&head, 58, STR("user-agent"), STR("kube-probe/1.37"));
	field(&head, 0, STR("te"), STR("trailers"));
	if (service.n) {
		buf_char(&body, 1 << 3 | 2);
		buf_varint(&body, service.n);
		buf_str(&body, service);
	}
	buf_char(&data, 0); /* not compressed */
	buf_be32(&data, (uint32_t)body.len);
	buf_str(&data, buf_view(&body));
	buf_cstr(&g->out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	frame(&g->out, SETTINGS, 0, 0, STR(""));
	frame(&g->out, HEADERS, FLAG_END_HEADERS, STREAM, buf_view(&head));
	frame(&g->out, DATA, FLAG_END_STREAM, STREAM, buf_view(&data));
	return g->out.failed || head.failed || data.failed ? -ENOMEM : 0;
}

/* on_frame: as grpc_check_feed. */
static int
on_frame(struct grpc_check *g, uint8_t type, uint8_t flags, uint32_t stream, struct str payload)
{
	if (type == SETTINGS && !(flags & FLAG_ACK))
		frame(&g->out, SETTINGS, FLAG_ACK, 0, STR(""));
	if (type == PING && !(flags & FLAG_ACK))
		frame(&g->out, PING, FLAG_ACK, 0, payload);
	if (stream != STREAM)
		return 0;
	if (type == RST_STREAM)
		return -EPROTO;
	if (type == DATA && (flags & FLAG_PADDED)) {
		size_t pad = payload.n ? (uint8_t)payload.p[0] : 0;
		if (payload.n < pad + 1)
			return -EPROTO;
		payload = str_sub(payload, 1, payload.n - pad);
	}
	if (type == DATA)
		buf_str(&g->message, payload);
	if (g->message.failed)
		return -EPROTO;
	return (type == DATA || type == HEADERS) && (flags & FLAG_END_STREAM) ? 1 : 0;
}

/* frame_size: of the frame that begins in g->in, as far as is known: its head says how much belongs to it. */
static size_t
frame_size(const struct grpc_check *g)
{
	const uint8_t *h = (const uint8_t *)g->in.data;
	if (g->in.len < HEAD)
		return HEAD;
	return HEAD + ((size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2]);
}

int
grpc_check_feed(struct grpc_check *g, struct str bytes)
{
	int rc = 0;
	while (rc == 0 && bytes.n) {
		size_t left = frame_size(g) - g->in.len;
		size_t n = left < bytes.n ? left : bytes.n;
		buf_str(&g->in, str_sub(bytes, 0, n));
		bytes = str_sub(bytes, n, SIZE_MAX);
		if (g->in.failed || frame_size(g) > HEAD + FRAME_MAX)
			return -EPROTO;
		if (g->in.len < HEAD || g->in.len < frame_size(g))
			continue;
		struct reader r = reader_of(str_sub(buf_view(&g->in), 3, HEAD));
		uint8_t type = reader_u8(&r), flags = reader_u8(&r);
		uint32_t stream = reader_be32(&r) & 0x7fffffff;
		rc = on_frame(g, type, flags, stream, str_sub(buf_view(&g->in), HEAD, SIZE_MAX));
		buf_clear(&g->in);
	}
	return rc;
}

const char *
grpc_check_status(const struct grpc_check *g)
{
	static const char *const names[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
	struct reader r = reader_of(buf_view(&g->message));
	uint8_t compressed = reader_u8(&r);
	uint32_t size = reader_be32(&r);
	if (r.bad || compressed || size != r.n)
		return NULL;
	if (!r.n)
		return names[0];
	/* HealthCheckResponse{status = 1}: one small number. */
	bool status = reader_u8(&r) == 1 << 3;
	uint64_t value = reader_varint(&r);
	return status && !r.bad && !r.n && value < ARRAY_LEN(names) ? names[value] : NULL;
}

void
grpc_check_release(struct grpc_check *g)
{
	buf_release(&g->out);
	buf_release(&g->in);
	buf_release(&g->message);
}
