/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * spdy_headers: SPDY/3.1 header blocks; contract in spdy_headers.h.
 * Place in the flow: spdy.c, for SYN_STREAM, SYN_REPLY and HEADERS frames.
 * Invariants: what comes out of a packed block is bounded before it is looked at; names are lower-case
 * on the wire. Source: SPDY Protocol draft 3, section 2.6.10 (blocks and the dictionary). */
#include "netstack/http/spdy_headers.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

/* The dictionary as the draft prints it: words with their lengths, then common texts. */
static const char dictionary[] =
	"\0\0\0\7"
	"options"
	"\0\0\0\4"
	"head"
	"\0\0\0\4"
	"post"
	"\0\0\0\3"
	"put"
	"\0\0\0\6"
	"delete"
	"\0\0\0\5"
	"trace"
	"\0\0\0\6"
	"accept"
	"\0\0\0\16"
	"accept-charset"
	"\0\0\0\17"
	"accept-encoding"
	"\0\0\0\17"
	"accept-language"
	"\0\0\0\15"
	"accept-ranges"
	"\0\0\0\3"
	"age"
	"\0\0\0\5"
	"allow"
	"\0\0\0\15"
	"authorization"
	"\0\0\0\15"
	"cache-control"
	"\0\0\0\12"
	"connection"
	"\0\0\0\14"
	"content-base"
	"\0\0\0\20"
	"content-encoding"
	"\0\0\0\20"
	"content-language"
	"\0\0\0\16"
	"content-length"
	"\0\0\0\20"
	"content-location"
	"\0\0\0\13"
	"content-md5"
	"\0\0\0\15"
	"content-range"
	"\0\0\0\14"
	"content-type"
	"\0\0\0\4"
	"date"
	"\0\0\0\4"
	"etag"
	"\0\0\0\6"
	"expect"
	"\0\0\0\7"
	"expires"
	"\0\0\0\4"
	"from"
	"\0\0\0\4"
	"host"
	"\0\0\0\10"
	"if-match"
	"\0\0\0\21"
	"if-modified-since"
	"\0\0\0\15"
	"if-none-match"
	"\0\0\0\10"
	"if-range"
	"\0\0\0\23"
	"if-unmodified-since"
	"\0\0\0\15"
	"last-modified"
	"\0\0\0\10"
	"location"
	"\0\0\0\14"
	"max-forwards"
	"\0\0\0\6"
	"pragma"
	"\0\0\0\22"
	"proxy-authenticate"
	"\0\0\0\23"
	"proxy-authorization"
	"\0\0\0\5"
	"range"
	"\0\0\0\7"
	"referer"
	"\0\0\0\13"
	"retry-after"
	"\0\0\0\6"
	"server"
	"\0\0\0\2"
	"te"
	"\0\0\0\7"
	"trailer"
	"\0\0\0\21"
	"transfer-encoding"
	"\0\0\0\7"
	"upgrade"
	"\0\0\0\12"
	"user-agent"
	"\0\0\0\4"
	"vary"
	"\0\0\0\3"
	"via"
	"\0\0\0\7"
	"warning"
	"\0\0\0\20"
	"www-authenticate"
	"\0\0\0\6"
	"method"
	"\0\0\0\3"
	"get"
	"\0\0\0\6"
	"status"
	"\0\0\0\6"
	"200 OK"
	"\0\0\0\7"
	"version"
	"\0\0\0\10"
	"HTTP/1.1"
	"\0\0\0\3"
	"url"
	"\0\0\0\6"
	"public"
	"\0\0\0\12"
	"set-cookie"
	"\0\0\0\12"
	"keep-alive"
	"\0\0\0\6"
	"origin"
	"10010120120220520630030230330430530630740240540640740840941041141241341441541641"
	"7502504505203 Non-Authoritative Information204 No Content301 Moved Permanently40"
	"0 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error"
	"501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept O"
	"ct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,imag"
	"e/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/"
	"javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1"
	",utf-,*,enq=0.";

struct spdy_packer {
	z_stream out, in;
};

int
spdy_packer_new(struct spdy_packer **ret)
{
	struct spdy_packer *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	/* A small window: blocks are small, and a connection keeps this memory. */
	bool out = deflateInit2(&p->out, 1, Z_DEFLATED, 11, 4, Z_DEFAULT_STRATEGY) == Z_OK;
	bool in = inflateInit(&p->in) == Z_OK;
	if (!out || !in ||
		deflateSetDictionary(&p->out, (const Bytef *)dictionary, sizeof(dictionary) - 1) !=
			Z_OK) {
		spdy_packer_free(p);
		return -ENOMEM;
	}
	*ret = p;
	return 0;
}

void
spdy_packer_free(struct spdy_packer *p)
{
	if (!p)
		return;
	deflateEnd(&p->out);
	inflateEnd(&p->in);
	free(p);
}

int
spdy_pack(struct spdy_packer *p, const struct http_header *h, size_t n, struct buf *out)
{
	_cleanup_buf_ struct buf plain = BUF_INIT;

	buf_be32(&plain, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		buf_be32(&plain, (uint32_t)h[i].name.n);
		for (size_t k = 0; k < h[i].name.n; k++) {
			char c = h[i].name.p[k];
			buf_char(&plain, c >= 'A' && c <= 'Z' ? (char)(c + 32) : c);
		}
		buf_be32(&plain, (uint32_t)h[i].value.n);
		buf_str(&plain, h[i].value);
	}
	if (plain.failed)
		return -ENOMEM;
	p->out.next_in = (Bytef *)plain.data;
	p->out.avail_in = (uInt)plain.len;
	do {
		char *room = buf_reserve(out, 1024);
		if (!room)
			return -ENOMEM;
		p->out.next_out = (Bytef *)room;
		p->out.avail_out = 1024;
		if (deflate(&p->out, Z_SYNC_FLUSH) == Z_STREAM_ERROR)
			return -ENOMEM;
		buf_commit(out, 1024 - p->out.avail_out);
	} while (p->out.avail_out == 0);
	return 0;
}

/* inflate_all: the packed bytes, unpacked behind b. */
static int
inflate_all(struct spdy_packer *p, struct str packed, struct buf *b)
{
	Bytef in[512];

	while (packed.n > 0 || p->in.avail_in > 0) {
		if (p->in.avail_in == 0) {
			struct str part = str_sub(packed, 0, sizeof(in));
			memcpy(in, part.p, part.n);
			packed = str_sub(packed, part.n, SIZE_MAX);
			p->in.next_in = in;
			p->in.avail_in = (uInt)part.n;
		}
		char *room = buf_reserve(b, 4096);
		if (!room)
			return b->len > HTTP_HEAD_BYTES_MAX - 4096 ? -EPROTO : -ENOMEM;
		p->in.next_out = (Bytef *)room;
		p->in.avail_out = 4096;
		int r = inflate(&p->in, Z_SYNC_FLUSH);
		if (r == Z_NEED_DICT)
			r = inflateSetDictionary(
				&p->in, (const Bytef *)dictionary, sizeof(dictionary) - 1);
		else
			buf_commit(b, 4096 - p->in.avail_out);
		if (r != Z_OK && r != Z_BUF_ERROR)
			return -EPROTO;
		if (r == Z_BUF_ERROR && p->in.avail_in > 0)
			return -EPROTO;
		if (b->len > HTTP_HEAD_BYTES_MAX)
			return -EPROTO;
	}
	/* What is still inside comes out with more room. */
	while (p->in.avail_out == 0) {
		char *room = buf_reserve(b, 4096);
		if (!room || b->len > HTTP_HEAD_BYTES_MAX)
			return -EPROTO;
		p->in.next_out = (Bytef *)room;
		p->in.avail_out = 4096;
		int r = inflate(&p->in, Z_SYNC_FLUSH);
		buf_commit(b, 4096 - p->in.avail_out);
		if (r == Z_BUF_ERROR)
			break;
		if (r != Z_OK)
			return -EPROTO;
	}
	return 0;
}

/* pairs_read: the unpacked block. */
static int
pairs_read(struct arena *a, struct str plain, struct http_headers *ret)
{
	struct reader r = reader_of(plain);
	struct http_header *v = NULL;
	size_t n = 0;
	uint32_t count = reader_be32(&r);

	if (r.bad || count > HTTP_HEADERS_MAX)
		return -EPROTO;
	for (uint32_t i = 0; i < count; i++) {
		struct str name = reader_bytes(&r, reader_be32(&r));
		struct str values = reader_bytes(&r, reader_be32(&r)), value = STR_NONE;
		if (r.bad || name.n == 0)
			return -EPROTO;
		while (str_next(&values, '\0', &value)) {
			struct http_header *h = n < HTTP_HEADERS_MAX ? ARENA_PUSH(a, v, n) : NULL;
			if (!h)
				return arena_failed(a) ? -ENOMEM : -EPROTO;
			h->name = name;
			h->value = value;
		}
	}
	*ret = (struct http_headers){v, n};
	return r.n == 0 ? 0 : -EPROTO;
}

int
spdy_unpack(struct spdy_packer *p, struct arena *a, struct str packed, struct http_headers *ret)
{
	struct buf b = BUF_INIT;

	buf_init_arena(&b, a);
	b.max = HTTP_HEAD_BYTES_MAX + 8192;
	int r = inflate_all(p, packed, &b);
	return r < 0 ? r : pairs_read(a, buf_view(&b), ret);
}
