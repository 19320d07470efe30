/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * spdy_fuzz: any bytes as SPDY/3.1 frames, cut anywhere, at a server that accepts, writes, resets and
 * ends streams as the bytes happen to say. Holds: every stream that opened is gone once, closed is told
 * once; whole and in pieces give the same. */
#include "base/hash.h"
#include "netstack/http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct seen {
	int open, closes, error;
	uint64_t streams, bytes, hash;
} seen;

/* What is no data comes in one order; data may come in more pieces. */
static void
event(struct spdy_stream *s, int what)
{
	seen.hash = seen.hash * 31 + spdy_stream_id(s) * 7u + (uint64_t)what + seen.bytes;
}

static void
on_open(void *arg, struct spdy_stream *s, const struct http_headers *h, bool fin)
{
	(void)arg;
	BUG_ON(h->n > HTTP_HEADERS_MAX);
	seen.open++;
	seen.streams++;
	event(s, fin);
	for (size_t i = 0; i < h->n; i++)
		seen.hash = seen.hash * 31 + hash_fnv64a(h->v[i].name) + hash_fnv64a(h->v[i].value);
	spdy_accept(s);
	if (spdy_stream_id(s) % 8 == 3) {
		seen.open--;
		spdy_reset(s, 5);
	}
}

static void
on_data(void *arg, struct spdy_stream *s, struct str bytes, bool fin)
{
	(void)arg;
	for (size_t i = 0; i < bytes.n; i++)
		seen.bytes = seen.bytes * 31 + (uint8_t)bytes.p[i] + spdy_stream_id(s);
	if (fin)
		event(s, 2);
	spdy_write(s, bytes, fin);
}

static void
on_gone(void *arg, struct spdy_stream *s, int status)
{
	(void)arg;
	event(s, 4 + status);
	seen.open--;
}

static void
on_closed(void *arg, int error)
{
	(void)arg;
	seen.closes++;
	seen.error = error;
}

static size_t
on_send(void *arg, struct str bytes)
{
	(void)arg;
	return bytes.n;
}

static const struct spdy_fns fns = {
	.open = on_open, .data = on_data, .gone = on_gone, .closed = on_closed};

static struct seen
run(struct str in, size_t step)
{
	struct spdy *s = NULL;

	BUG_ON(spdy_new(false, &fns, NULL, on_send, NULL, &s) < 0);
	seen = (struct seen){0};
	for (size_t at = 0; at < in.n; at += step)
		spdy_feed(s, str_sub(in, at, at + step));
	spdy_feed_eof(s);
	BUG_ON(seen.closes != 1 || seen.open != 0);
	spdy_free(s);
	return seen;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct str in = str_from((const char *)data + 1, size - 1);
	struct seen whole = run(in, in.n), parts = run(in, data[0] + 1u);
	BUG_ON(whole.streams != parts.streams || whole.bytes != parts.bytes ||
		whole.hash != parts.hash || whole.error != parts.error);
	return 0;
}
