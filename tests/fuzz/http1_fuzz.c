/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * http1_fuzz: any bytes as a stream of HTTP/1.1 requests or responses, cut anywhere: the first byte
 * chooses the direction, the second the cut. Also URLs, query strings, media types of what was parsed.
 * Holds: whole and in pieces give the same result. */
#include "netstack/http/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* body_len: bytes of the body behind a head, fed `step` at a time; -1 malformed. */
static int64_t
body_len(struct http1_body b, struct str in, size_t step)
{
	int64_t n = 0;

	while (in.n > 0 && !b.done) {
		struct str part = str_sub(in, 0, step), piece = STR_NONE;
		size_t before = part.n;
		int r = 0;
		while ((r = http1_body_next(&b, &part, &piece)) == 1)
			n += (int64_t)piece.n;
		if (r < 0)
			return -1;
		in = str_sub(in, before - part.n, SIZE_MAX);
	}
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from((const char *)data, size);
	struct http1_head h = {0};
	struct arena *a = arena_new(8 << 20);
	size_t scanned = 0;

	if (size < 3) {
		arena_free(a);
		return 0;
	}
	bool response = data[0] & 1, to_head = data[0] & 2;
	size_t step = data[1] % 16 + 1;
	in = str_sub(in, 2, SIZE_MAX);
	/* The end of the head is the same however the bytes came. */
	ptrdiff_t end = 0;
	for (size_t n = 0; n < in.n && end == 0; n += step)
		end = http1_head_end(str_sub(in, 0, n + step), &scanned);
	if (end > 0) {
		struct str text = str_sub(in, 0, (size_t)end),
			   rest = str_sub(in, (size_t)end, SIZE_MAX);
		int r = response ? http1_response_parse(a, text, to_head, &h)
				 : http1_request_parse(a, text, &h);
		if (r == 0) {
			BUG_ON(h.headers.n > HTTP_HEADERS_MAX);
			struct http1_body b = http1_body_of(&h);
			BUG_ON(body_len(b, rest, step) != body_len(b, rest, SIZE_MAX));
		}
	}
	struct http_url u;
	struct str plain = STR_NONE;
	http_url_parse(in, &u);
	if (http_url_decode(a, in, data[0] & 4, &plain) == 0)
		BUG_ON(plain.n > in.n);
	struct str query = in, k = STR_NONE, v = STR_NONE;
	for (int i = 0; i < 1000 && http_query_next(a, &query, &k, &v) != 0; i++)
		;
	const struct http_header accept = {STR_INIT("Accept"), in};
	struct http_headers hs = {&accept, 1};
	struct http_media *m = NULL;
	size_t n = 0;
	if (http_accept_parse(a, &hs, &m, &n) == 0)
		for (size_t i = 1; i < n; i++)
			BUG_ON(m[i].q > m[i - 1].q);
	struct http_addr addr;
	http_addr_parse(in, &addr);
	arena_free(a);
	return 0;
}
