/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * http1: parsing of HTTP/1.1 heads and bodies; contracts and reasons in http1.h.
 * Invariants: no state but the caller's; every byte is looked at a bounded number of times.
 * Must not: accept what RFC 9112 calls invalid and a proxy before us may have read otherwise. */
#include "netstack/http/http1.h"

#include <errno.h>

#define EXTRA_MAX (64 * 1024) /* of chunk extensions and trailers in one body */

enum { C_TOKEN = 1, C_VALUE = 2, C_TARGET = 4 };

static uint8_t
char_class(uint8_t c)
{
	uint8_t k = 0;

	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		(c && strchr("!#$%&'*+-.^_`|~", c)))
		k |= C_TOKEN;
	if (c == '\t' || (c >= ' ' && c != 0x7f))
		k |= C_VALUE;
	if (c > ' ' && c < 0x7f && c != '#')
		k |= C_TARGET;
	return k;
}

static bool
all_of(struct str s, uint8_t class)
{
	for (size_t i = 0; i < s.n; i++)
		if (!(char_class((uint8_t)s.p[i]) & class))
			return false;
	return true;
}

bool
http1_value_ok(struct str s)
{
	return all_of(s, C_VALUE);
}

bool
http1_token_ok(struct str s)
{
	return s.n > 0 && all_of(s, C_TOKEN);
}

ptrdiff_t
http1_head_end(struct str bytes, size_t *scanned)
{
	size_t from = *scanned, start = 0;

	/* At most two blank lines stand before a request (RFC 9112 2.2: one should be forgiven). */
	while (start < 4 && start + 2 <= bytes.n && memcmp(bytes.p + start, "\r\n", 2) == 0)
		start += 2;
	if (from < start)
		from = start;
	size_t limit = bytes.n < HTTP_HEAD_BYTES_MAX ? bytes.n : HTTP_HEAD_BYTES_MAX;
	if (from > limit)
		from = limit;
	for (size_t i = from; i + 4 <= limit;) {
		const char *cr = memchr(bytes.p + i, '\r', limit - 3 - i);
		if (!cr)
			break;
		i = (size_t)(cr - bytes.p);
		if (memcmp(cr, "\r\n\r\n", 4) == 0)
			return (ptrdiff_t)i + 4;
		i++;
	}
	/* Bare line feeds never become a head: handed on as they are, to be refused at once. */
	const char *bare = memmem(bytes.p + from, limit - from, "\n\n", 2);
	if (bare)
		return bare - bytes.p + 2;
	if (bytes.n >= HTTP_HEAD_BYTES_MAX)
		return -E2BIG;
	if (bytes.n > HTTP_LINE_BYTES_MAX &&
		!memchr(bytes.p + start, '\n', HTTP_LINE_BYTES_MAX - start))
		return -ENAMETOOLONG;
	*scanned = bytes.n > 3 ? bytes.n - 3 : 0;
	return 0;
}

/* line_next: the next line without its CRLF. False: none, or a lone CR or LF in it (*bad). */
static bool
line_next(struct str *rest, struct str *ret, bool *bad)
{
	ptrdiff_t lf = str_find_char(*rest, '\n');

	if (lf < 0)
		return false;
	if (lf == 0 || rest->p[lf - 1] != '\r' || memchr(rest->p, '\r', (size_t)lf - 1)) {
		*bad = true;
		return false;
	}
	*ret = str_sub(*rest, 0, (size_t)lf - 1);
	*rest = str_sub(*rest, (size_t)lf + 1, SIZE_MAX);
	return true;
}

/* headers_parse: all header lines up to the blank one. 0, -EINVAL, -E2BIG (count), -ENOMEM. */
static int
headers_parse(struct arena *a, struct str rest, struct http_headers *ret)
{
	struct http_header *v = NULL;
	size_t n = 0;
	bool bad = false;
	struct str line = STR_NONE;

	while (line_next(&rest, &line, &bad)) {
		struct str name = STR_NONE, value = STR_NONE;
		if (line.n == 0) {
			*ret = (struct http_headers){v, n};
			return rest.n == 0 ? 0 : -EINVAL;
		}
		if (!str_cut(line, ':', &name, &value) || !http1_token_ok(name))
			return -EINVAL;
		value = str_trim(value);
		if (!http1_value_ok(value))
			return -EINVAL;
		if (n == HTTP_HEADERS_MAX)
			return -E2BIG;
		struct http_header *h = ARENA_PUSH(a, v, n);
		if (!h)
			return -ENOMEM;
		h->name = name;
		h->value = str_is_set(value) ? value : STR("");
	}
	return -EINVAL;
}

/* length_parse: every Content-Length must say the same. 1 = there is one, 0 = none, -EINVAL. */
static int
length_parse(const struct http_headers *h, int64_t *ret)
{
	size_t pos = 0;
	struct str value = STR_NONE;
	bool found = false;

	while (http_headers_next(h, STR("Content-Length"), &pos, &value)) {
		uint64_t v = 0;
		if (value.n == 0 || value.n > 18)
			return -EINVAL;
		for (size_t i = 0; i < value.n; i++) {
			if (value.p[i] < '0' || value.p[i] > '9')
				return -EINVAL;
			v = v * 10 + (uint64_t)(value.p[i] - '0');
		}
		if (found && (int64_t)v != *ret)
			return -EINVAL;
		*ret = (int64_t)v;
		found = true;
	}
	return found;
}

/* framing_parse: how the body is delimited. 0, -EINVAL, -ENOSYS (a transfer coding we do not know). */
static int
framing_parse(struct http1_head *h)
{
	size_t pos = 0;
	struct str te = STR_NONE, more = STR_NONE;
	int64_t length = 0;
	int has_length = length_parse(&h->headers, &length);

	if (has_length < 0)
		return -EINVAL;
	if (http_headers_next(&h->headers, STR("Transfer-Encoding"), &pos, &te)) {
		if (has_length || h->minor == 0 ||
			http_headers_next(&h->headers, STR("Transfer-Encoding"), &pos, &more))
			return -EINVAL;
		if (!str_eq_nocase(te, STR("chunked")))
			return -ENOSYS;
		h->mode = HTTP1_CHUNKED;
	} else if (has_length) {
		h->mode = length > 0 ? HTTP1_LENGTH : HTTP1_NONE;
		h->length = length;
	}
	return 0;
}

static void
connection_parse(struct http1_head *h)
{
	if (h->minor >= 1)
		h->keep_alive = !http_headers_has_token(
			&h->headers, STR("Connection"), STR("close"));
	else
		h->keep_alive = http_headers_has_token(
			&h->headers, STR("Connection"), STR("keep-alive"));
}

/* version_parse: "HTTP/1.0" or "HTTP/1.1". 0, -EINVAL malformed, -EPROTONOSUPPORT another version. */
static int
version_parse(struct str s, int *ret_minor)
{
	if (s.n != 8 || !str_starts(s, STR("HTTP/")) || s.p[6] != '.' || s.p[5] < '0' ||
		s.p[5] > '9' || s.p[7] < '0' || s.p[7] > '9')
		return -EINVAL;
	if (s.p[5] != '1' || s.p[7] > '1')
		return -EPROTONOSUPPORT;
	*ret_minor = s.p[7] - '0';
	return 0;
}

/* host_check: exactly one Host for HTTP/1.1, of sane characters. */
static bool
host_check(const struct http1_head *h)
{
	size_t pos = 0;
	struct str host = STR_NONE, more = STR_NONE;

	if (!http_headers_next(&h->headers, STR("Host"), &pos, &host))
		return h->minor == 0;
	if (http_headers_next(&h->headers, STR("Host"), &pos, &more))
		return false;
	for (size_t i = 0; i < host.n; i++)
		if ((uint8_t)host.p[i] <= ' ' || (uint8_t)host.p[i] >= 0x7f ||
			strchr("/@?#,\"<>\\^`{|}", host.p[i]))
			return false;
	return true;
}

static bool
target_check(struct str method, struct str target)
{
	if (target.n == 0 || !all_of(target, C_TARGET))
		return false;
	if (target.p[0] == '/')
		return true;
	if (str_eq(target, STR("*")))
		return str_eq(method, STR("OPTIONS"));
	if (str_eq(method, STR("CONNECT")))
		return true;
	struct http_url u;
	return http_url_parse(target, &u) == 0;
}

int
http1_request_parse(struct arena *a, struct str text, struct http1_head *ret)
{
	struct http1_head h = {0};
	struct str rest = text, line = STR_NONE, after = STR_NONE, version = STR_NONE;
	bool bad = false;

	for (int blank = 0; blank < 2 && str_starts(rest, STR("\r\n")); blank++)
		rest = str_sub(rest, 2, SIZE_MAX);
	if (!line_next(&rest, &line, &bad) || !str_cut(line, ' ', &h.method, &after) ||
		!str_cut(after, ' ', &h.target, &version))
		return -400;
	if (line.n > HTTP_LINE_BYTES_MAX)
		return -414;
	if (!http1_token_ok(h.method) || !target_check(h.method, h.target))
		return -400;
	int r = version_parse(version, &h.minor);
	if (r < 0)
		return r == -EINVAL ? -400 : -505;
	r = headers_parse(a, rest, &h.headers);
	if (r < 0)
		return r == -E2BIG ? -431 : r == -ENOMEM ? -503 : -400;
	if (!host_check(&h))
		return -400;
	r = framing_parse(&h);
	if (r < 0)
		return r == -ENOSYS ? -501 : -400;
	struct str expect = http_headers_get(&h.headers, STR("Expect"));
	if (str_is_set(expect)) {
		if (!str_eq_nocase(expect, STR("100-continue")))
			return -417;
		h.expect_continue = h.minor >= 1 && h.mode != HTTP1_NONE;
	}
	connection_parse(&h);
	*ret = h;
	return 0;
}

int
http1_response_parse(struct arena *a, struct str text, bool to_head, struct http1_head *ret)
{
	struct http1_head h = {0};
	struct str rest = text, line = STR_NONE, version = STR_NONE, after = STR_NONE;
	bool bad = false;

	if (!line_next(&rest, &line, &bad) || !str_cut(line, ' ', &version, &after) ||
		version_parse(version, &h.minor) < 0)
		return -EPROTO;
	struct str code = str_sub(after, 0, 3);
	h.reason = str_sub(after, 4, SIZE_MAX);
	if (code.n != 3 || (after.n > 3 && after.p[3] != ' ') || !http1_value_ok(h.reason))
		return -EPROTO;
	for (size_t i = 0; i < 3; i++) {
		if (code.p[i] < '0' || code.p[i] > '9')
			return -EPROTO;
		h.status = h.status * 10 + (code.p[i] - '0');
	}
	if (h.status < 100 || h.status > 599)
		return -EPROTO;
	int r = headers_parse(a, rest, &h.headers);
	if (r < 0)
		return r == -ENOMEM ? -ENOMEM : -EPROTO;
	r = framing_parse(&h);
	if (r < 0)
		return -EPROTO;
	bool has_length = str_is_set(http_headers_get(&h.headers, STR("Content-Length")));
	connection_parse(&h);
	if (to_head || h.status < 200 || h.status == 204 || h.status == 304) {
		h.mode = HTTP1_NONE;
	} else if (h.mode == HTTP1_NONE && !has_length) {
		h.mode = HTTP1_TO_EOF;
		h.keep_alive = false;
	}
	*ret = h;
	return 0;
}

struct http1_body
http1_body_of(const struct http1_head *h)
{
	struct http1_body b = {.mode = h->mode};

	if (h->mode == HTTP1_LENGTH)
		b.left = (uint64_t)h->length;
	b.done = h->mode == HTTP1_NONE;
	return b;
}

enum chunk_state {
	CHUNK_SIZE, /* hex digits */
	CHUNK_EXT,  /* extension, ignored up to the CR */
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_TRAILER, /* a line of the trailer section, ignored */
	CHUNK_TRAILER_LF,
};

/* size_byte: one byte of a chunk's size line. */
static int
size_byte(struct http1_body *b, uint8_t c)
{
	int v = hex_digit(c);

	if (v >= 0) {
		if (++b->digits > 15)
			return -EPROTO;
		b->left = b->left * 16 + (uint64_t)v;
		return 0;
	}
	if (b->digits == 0)
		return -EPROTO;
	if (c == '\r')
		b->state = CHUNK_SIZE_LF;
	else if (c == ';' || c == ' ' || c == '\t')
		b->state = CHUNK_EXT;
	else
		return -EPROTO;
	return 0;
}

/* chunk_byte: one byte outside chunk data. 0, -EPROTO. */
static int
chunk_byte(struct http1_body *b, uint8_t c)
{
	switch ((enum chunk_state)b->state) {
	case CHUNK_SIZE:
		return size_byte(b, c);
	case CHUNK_EXT:
		if (c == '\r')
			b->state = CHUNK_SIZE_LF;
		else if (!(char_class(c) & C_VALUE) || ++b->extra > EXTRA_MAX)
			return -EPROTO;
		return 0;
	case CHUNK_SIZE_LF:
		if (c != '\n')
			return -EPROTO;
		b->state = b->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
		b->line = 0;
		return 0;
	case CHUNK_DATA_CR:
		if (c != '\r')
			return -EPROTO;
		b->state = CHUNK_DATA_LF;
		return 0;
	case CHUNK_DATA_LF:
		if (c != '\n')
			return -EPROTO;
		b->state = CHUNK_SIZE;
		b->digits = 0;
		return 0;
	case CHUNK_TRAILER:
		if (c == '\r')
			b->state = CHUNK_TRAILER_LF;
		else if (!(char_class(c) & C_VALUE) || ++b->extra > EXTRA_MAX)
			return -EPROTO;
		else
			b->line++;
		return 0;
	case CHUNK_TRAILER_LF:
		if (c != '\n')
			return -EPROTO;
		b->done = b->line == 0;
		b->line = 0;
		b->state = CHUNK_TRAILER;
		return 0;
	case CHUNK_DATA:
		break;
	}
	return -EPROTO;
}

int
http1_body_next(struct http1_body *b, struct str *in, struct str *ret)
{
	while (!b->done && in->n > 0) {
		if (b->mode == HTTP1_CHUNKED && b->state != CHUNK_DATA) {
			if (chunk_byte(b, (uint8_t)in->p[0]) < 0)
				return -EPROTO;
			*in = str_sub(*in, 1, SIZE_MAX);
			continue;
		}
		size_t n = in->n;
		if (b->mode != HTTP1_TO_EOF && n > b->left)
			n = (size_t)b->left;
		*ret = str_sub(*in, 0, n);
		*in = str_sub(*in, n, SIZE_MAX);
		if (b->mode != HTTP1_TO_EOF)
			b->left -= n;
		if (b->mode == HTTP1_LENGTH)
			b->done = b->left == 0;
		else if (b->mode == HTTP1_CHUNKED && b->left == 0)
			b->state = CHUNK_DATA_CR;
		return 1;
	}
	return 0;
}
