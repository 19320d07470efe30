/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * der: ASN.1 DER; contracts in der.h.
 * Place in the flow: under x509_parse.c, x509_issue.c, key.c.
 * Must not: accept BER: two encodings of one thing have broken signature checks before. */
#include "netstack/tls/der.h"

#include <time.h>

bool
der_next(struct str *in, uint8_t *ret_tag, struct str *ret_body, struct str *ret_whole)
{
	struct reader r = reader_of(*in);
	uint8_t tag = reader_u8(&r), first = reader_u8(&r);
	size_t n = first;

	if (r.bad || (tag & 0x1f) == 0x1f)
		return false;
	if (first >= 0x80) {
		unsigned bytes = first & 0x7f;
		if (bytes == 0 || bytes > 3)
			return false;
		n = 0;
		for (unsigned i = 0; i < bytes; i++)
			n = n << 8 | reader_u8(&r);
		if (n < 0x80 || (bytes > 1 && n >> (8 * (bytes - 1)) == 0))
			return false;
	}
	struct str body = reader_bytes(&r, n);
	if (r.bad)
		return false;
	if (ret_whole)
		*ret_whole = str_sub(*in, 0, in->n - r.n);
	*in = str_sub(*in, in->n - r.n, SIZE_MAX);
	*ret_tag = tag;
	*ret_body = body;
	return true;
}

int
der_peek(struct str in)
{
	return in.n > 0 ? (uint8_t)in.p[0] : -1;
}

bool
der_take(struct str *in, uint8_t tag, struct str *ret_body)
{
	uint8_t got = 0;

	return der_peek(*in) == tag && der_next(in, &got, ret_body, NULL);
}

bool
der_uint(struct str *in, struct str *ret)
{
	struct str v = STR_NONE;

	if (!der_take(in, DER_INT, &v) || v.n == 0 || (v.p[0] & 0x80))
		return false;
	if (v.n > 1 && v.p[0] == 0) {
		if (!(v.p[1] & 0x80))
			return false;
		v = str_sub(v, 1, SIZE_MAX);
	}
	*ret = v;
	return true;
}

bool
der_bits(struct str *in, struct str *ret)
{
	struct str v = STR_NONE;

	if (!der_take(in, DER_BITS, &v) || v.n == 0 || v.p[0] != 0)
		return false;
	*ret = str_sub(v, 1, SIZE_MAX);
	return true;
}

bool
der_time(struct str *in, int64_t *ret_s)
{
	int tag = der_peek(*in), year = 0, v[5] = {0};
	struct str t = STR_NONE;
	uint8_t got = 0;
	size_t at = 0;

	if ((tag != DER_UTC_TIME && tag != DER_GENERAL_TIME) || !der_next(in, &got, &t, NULL))
		return false;
	size_t year_digits = tag == DER_UTC_TIME ? 2 : 4;
	if (t.n != year_digits + 11 || t.p[t.n - 1] != 'Z')
		return false;
	for (size_t i = 0; i + 1 < t.n; i++)
		if (t.p[i] < '0' || t.p[i] > '9')
			return false;
	for (; at < year_digits; at++)
		year = year * 10 + (t.p[at] - '0');
	if (tag == DER_UTC_TIME)
		year += year < 50 ? 2000 : 1900;
	for (size_t i = 0; i < 5; i++, at += 2)
		v[i] = (t.p[at] - '0') * 10 + (t.p[at + 1] - '0');
	if (v[0] < 1 || v[0] > 12 || v[1] < 1 || v[1] > 31 || v[2] > 23 || v[3] > 59 || v[4] > 59)
		return false;
	struct tm tm = {.tm_year = year - 1900,
		.tm_mon = v[0] - 1,
		.tm_mday = v[1],
		.tm_hour = v[2],
		.tm_min = v[3],
		.tm_sec = v[4]};
	*ret_s = (int64_t)timegm(&tm);
	return tm.tm_mday == v[1]; /* 31 February was moved on by timegm */
}

void
der_wrap(struct buf *b, size_t from, uint8_t tag)
{
	uint8_t head[5] = {tag};
	size_t len = b->len - from, n = 2;

	if (b->failed)
		return;
	if (len < 0x80) {
		head[1] = (uint8_t)len;
	} else if (len < 0x100) {
		head[1] = 0x81;
		head[2] = (uint8_t)len;
		n = 3;
	} else if (len < 0x10000) {
		head[1] = 0x82;
		head[2] = (uint8_t)(len >> 8);
		head[3] = (uint8_t)len;
		n = 4;
	} else {
		head[1] = 0x83;
		head[2] = (uint8_t)(len >> 16);
		head[3] = (uint8_t)(len >> 8);
		head[4] = (uint8_t)len;
		n = 5;
	}
	if (!buf_reserve(b, n))
		return;
	buf_commit(b, n);
	memmove(b->data + from + n, b->data + from, len);
	memcpy(b->data + from, head, n);
}

void
der_put(struct buf *b, uint8_t tag, struct str body)
{
	size_t from = b->len;

	buf_str(b, body);
	der_wrap(b, from, tag);
}

void
der_put_uint(struct buf *b, struct str v)
{
	size_t from = b->len;

	while (v.n > 1 && v.p[0] == 0)
		v = str_sub(v, 1, SIZE_MAX);
	if (v.n == 0 || (v.p[0] & 0x80))
		buf_char(b, 0);
	buf_str(b, v);
	der_wrap(b, from, DER_INT);
}

void
der_put_time(struct buf *b, int64_t s)
{
	time_t t = (time_t)s;
	struct tm tm = {0};
	char text[32] = "";

	gmtime_r(&t, &tm);
	bool utc = tm.tm_year + 1900 < 2050;
	size_t n = strftime(text, sizeof(text), "%Y%m%d%H%M%SZ", &tm);
	der_put(b, utc ? DER_UTC_TIME : DER_GENERAL_TIME,
		str_sub(str_from(text, n), utc ? 2 : 0, n));
}
