/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * spdy_fuzz: any bytes as SPDY/3.1 frames, cut anywhere, at a server that accepts, writes, resets and
 * ends streams as the bytes happen to say. Holds: every stream that opened is gone once, closed is told
 * once. */
#include "netstack/http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int open_streams, closes;

static void
on_open(void *arg, struct spdy_stream *s, const struct http_headers *h, bool fin)
{
	(void)arg, (void)fin;
	BUG_ON(h->n > HTTP_HEADERS_MAX);
	open_streams++;
	spdy_accept(s);
	if (spdy_stream_id(s) % 8 == 3) {
		open_streams--;
		spdy_reset(s, 5);
	}
}

static void
on_data(void *arg, struct spdy_stream *s, struct str bytes, bool fin)
{
	(void)arg;
	spdy_write(s, bytes, fin);
}

static void
on_gone(void *arg, struct spdy_stream *s, int status)
{
	(void)arg, (void)s, (void)status;
	open_streams--;
}

static void
on_closed(void *arg, int error)
{
	(void)arg, (void)error;
	closes++;
}

static size_t
on_send(void *arg, struct str bytes)
{
	(void)arg;
	return bytes.n;
}

static const struct spdy_fns fns = {
	.open = on_open, .data = on_data, .gone = on_gone, .closed = on_closed};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spdy *s = NULL;

	if (size < 1 || spdy_new(false, &fns, NULL, on_send, NULL, &s) < 0)
		return 0;
	struct str in = str_from((const char *)data + 1, size - 1);
	size_t step = data[0] + 1u;
	open_streams = closes = 0;
	for (size_t at = 0; at < in.n; at += step)
		spdy_feed(s, str_sub(in, at, at + step));
	spdy_feed_eof(s);
	BUG_ON(closes != 1 || open_streams != 0);
	spdy_free(s);
	return 0;
}
