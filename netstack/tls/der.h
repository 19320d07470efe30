/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * der: reading and writing of ASN.1 DER. Private to this folder.
 *
 * Invariants: readers are total over slices: definite, minimal lengths only, tags of one byte; nothing
 * is ever read past the enclosing element. Writers append to a buf and wrap what they wrote.
 * Source: X.690. */
#ifndef NETSTACK_TLS_DER_H
#define NETSTACK_TLS_DER_H

#include "base/buf.h"

enum {
	DER_BOOL = 0x01,
	DER_INT = 0x02,
	DER_BITS = 0x03,
	DER_OCTETS = 0x04,
	DER_NULL = 0x05,
	DER_OID = 0x06,
	DER_UTF8 = 0x0c,
	DER_PRINTABLE = 0x13,
	DER_T61 = 0x14,
	DER_IA5 = 0x16,
	DER_UTC_TIME = 0x17,
	DER_GENERAL_TIME = 0x18,
	DER_SEQ = 0x30,
	DER_SET = 0x31,
};

/* der_next: the next element of *in: tag, content, and all of it (may be NULL). False: none, or broken
 * (*in is as it was: a caller that wants a clean end asks for in->n == 0). */
bool der_next(struct str *in, uint8_t *ret_tag, struct str *ret_body, struct str *ret_whole);
/* der_take: the next element must have this tag. */
bool der_take(struct str *in, uint8_t tag, struct str *ret_body);
/* der_peek: the tag of the next element, -1 at the end. */
int der_peek(struct str in);
/* der_uint: a non-negative INTEGER without its leading zero (at least one byte). */
bool der_uint(struct str *in, struct str *ret);
/* der_bits: a BIT STRING of whole bytes. */
bool der_bits(struct str *in, struct str *ret);
/* der_time: UTCTime or GeneralizedTime in the form RFC 5280 asks for -> seconds since the epoch. */
bool der_time(struct str *in, int64_t *ret_s);

/* der_wrap: what b holds from `from` on becomes the content of one element. */
void der_wrap(struct buf *b, size_t from, uint8_t tag);
void der_put(struct buf *b, uint8_t tag, struct str body);
void der_put_uint(struct buf *b, struct str big_endian);
void der_put_time(struct buf *b, int64_t s);

#endif
