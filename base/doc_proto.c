/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * doc_proto.c: protobuf's wire format, one field at a time; see doc.h. Invariant: a reader that met a
 * malformed field stays bad. Must not: know any message. Source: protobuf encoding guide. */
#include "base/doc.h"

#include <errno.h>

#define FIELD_MAX 536870911U /* 2^29 - 1 */

static int
malformed(struct reader *r)
{
	r->bad = true;
	r->n = 0;
	return -EINVAL;
}

int
proto_next(struct reader *r, struct proto_field *ret)
{
	if (r->bad)
		return -EINVAL;
	if (r->n == 0)
		return 0;
	uint64_t tag = reader_varint(r);
	if (r->bad || tag >> 3 == 0 || tag >> 3 > FIELD_MAX)
		return malformed(r);
	struct proto_field f = {.number = (uint32_t)(tag >> 3)};
	switch (tag & 7) {
	case PROTO_VARINT:
		f.wire = PROTO_VARINT;
		f.value = reader_varint(r);
		break;
	case PROTO_I64:
		f.wire = PROTO_I64;
		f.value = reader_le64(r);
		break;
	case PROTO_I32:
		f.wire = PROTO_I32;
		f.value = reader_le32(r);
		break;
	case PROTO_LEN: {
		f.wire = PROTO_LEN;
		uint64_t n = reader_varint(r);
		if (r->bad || n > r->n)
			return malformed(r);
		f.bytes = reader_bytes(r, (size_t)n);
		break;
	}
	default:
		return malformed(r);
	}
	if (r->bad)
		return -EINVAL;
	*ret = f;
	return 1;
}

static void
put_tag(struct buf *b, uint32_t number, enum proto_wire wire)
{
	buf_varint(b, (uint64_t)number << 3 | wire);
}

void
proto_put_varint(struct buf *b, uint32_t number, uint64_t v)
{
	put_tag(b, number, PROTO_VARINT);
	buf_varint(b, v);
}

void
proto_put_bytes(struct buf *b, uint32_t number, struct str s)
{
	put_tag(b, number, PROTO_LEN);
	buf_varint(b, s.n);
	buf_str(b, s);
}

void
proto_put_double(struct buf *b, uint32_t number, double v)
{
	uint64_t bits = 0;
	memcpy(&bits, &v, sizeof(bits));
	put_tag(b, number, PROTO_I64);
	buf_le32(b, (uint32_t)bits);
	buf_le32(b, (uint32_t)(bits >> 32));
}
