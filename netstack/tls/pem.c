/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pem: text armour around DER; contracts in x509.h.
 * Invariants: a total function; headers inside a block (encrypted keys) make it a broken one.
 * Source: RFC 7468. */
#include "netstack/tls/x509.h"

#include "base/hash.h"

#define BEGIN STR("-----BEGIN ")
#define END STR("-----END ")
#define DASHES STR("-----")

bool
pem_next(struct str *rest, struct str *ret_label, struct buf *b)
{
	for (;;) {
		ptrdiff_t at = str_find(*rest, BEGIN);
		if (at < 0)
			return false;
		struct str s = str_sub(*rest, (size_t)at + BEGIN.n, SIZE_MAX);
		*rest = s;
		ptrdiff_t label_end = str_find(s, DASHES);
		if (label_end < 0)
			return false;
		struct str label = str_sub(s, 0, (size_t)label_end);
		struct str body = str_sub(s, (size_t)label_end + DASHES.n, SIZE_MAX);
		ptrdiff_t end = str_find(body, END);
		if (end < 0 || str_find_char(label, '\n') >= 0)
			continue;
		struct str tail = str_sub(body, (size_t)end + END.n, SIZE_MAX);
		if (!str_starts(tail, label) ||
			!str_starts(str_sub(tail, label.n, SIZE_MAX), DASHES))
			continue;
		size_t mark = b->len;
		if (base64_decode(b, str_trim(str_sub(body, 0, (size_t)end))) < 0) {
			b->len = mark;
			continue;
		}
		*rest = str_sub(tail, label.n + DASHES.n, SIZE_MAX);
		*ret_label = label;
		return true;
	}
}

void
pem_write(struct str label, struct str der, struct buf *b)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	/* Keys pass here: what is written does not move, and is wiped. */
	buf_reserve(&text, der.n / 3 * 4 + 8);
	base64_encode(&text, der);
	if (text.failed)
		b->failed = true;
	buf_fmt(b, "-----BEGIN " STR_FMT "-----\n", STR_ARG(label));
	for (size_t at = 0; at < text.len; at += 64) {
		buf_str(b, str_sub(buf_view(&text), at, at + 64));
		buf_char(b, '\n');
	}
	buf_fmt(b, "-----END " STR_FMT "-----\n", STR_ARG(label));
	if (text.cap > 0)
		explicit_bzero(text.data, text.cap);
}
