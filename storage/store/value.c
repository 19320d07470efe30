/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * value.c: the envelope of a stored value, and attributes. Little endian:
 *   u8 format (1), u8 0, u16 flags, u16 schema id, u16 0, u64 revision, i64 expires, u32 rv_offset,
 *   u32 size of attrs, attrs, body (the rest)
 * The body holds the decimal digits of the revision at rv_offset, put there by the writer: only it
 * knows the revision. Invariant: value_unpack accepts nothing whose digits lie outside of the body. */
#include "storage/store/store_int.h"

#include <errno.h>

#define FORMAT 1

bool
store_attr_next(struct str *rest, char *ret_kind, struct str *ret_key, struct str *ret_value)
{
	if (rest->n == 0)
		return false;
	struct reader r = reader_of(*rest);
	char kind = (char)reader_u8(&r);
	size_t klen = reader_le16(&r), vlen = reader_le16(&r);
	struct str key = reader_bytes(&r, klen), value = reader_bytes(&r, vlen);
	if (r.bad)
		return false;
	*ret_kind = kind;
	*ret_key = key;
	*ret_value = value;
	*rest = str_from((const char *)r.p, r.n);
	return true;
}

void
store_attr_put(struct buf *b, char kind, struct str key, struct str value)
{
	if (key.n > UINT16_MAX || value.n > UINT16_MAX) {
		b->failed = true;
		return;
	}
	buf_char(b, kind);
	buf_le16(b, (uint16_t)key.n);
	buf_le16(b, (uint16_t)value.n);
	buf_str(b, key);
	buf_str(b, value);
}

static unsigned
digits_of(uint64_t v)
{
	unsigned n = 1;
	for (; v >= 10; v /= 10)
		n++;
	return n;
}

static uint8_t *
put_le(uint8_t *p, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		*p++ = (uint8_t)(v >> (8 * i));
	return p;
}

static uint8_t *
put_str(uint8_t *p, struct str s)
{
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p + s.n;
}

static uint8_t *
put_digits(uint8_t *p, uint64_t v)
{
	unsigned n = digits_of(v);
	for (unsigned i = n; i > 0; i--, v /= 10)
		p[i - 1] = (uint8_t)('0' + v % 10);
	return p + n;
}

int
value_parts_of_op(const struct store_op *op, struct value_parts *ret)
{
	if (op->body.n > STORE_BODY_MAX || op->attrs.n > STORE_BODY_MAX)
		return -E2BIG;
	if (op->rv_offset > op->body.n)
		return -ERANGE;
	*ret = (struct value_parts){
		.head = str_sub(op->body, 0, op->rv_offset),
		.tail = str_sub(op->body, op->rv_offset, SIZE_MAX),
		.attrs = op->attrs,
		.splice = op->rv_offset > 0,
		.schema_id = op->schema_id,
		.flags = op->flags,
		.expires_ns = op->expires_ns,
	};
	return 0;
}

void
value_parts_of_old(const struct store_value *v, struct value_parts *ret)
{
	size_t at = v->rv_offset, digits = at > 0 ? digits_of(v->rev) : 0;
	*ret = (struct value_parts){
		.head = str_sub(v->body, 0, at),
		.tail = str_sub(v->body, at + digits, SIZE_MAX),
		.attrs = v->attrs,
		.splice = at > 0,
		.schema_id = v->schema_id,
		.flags = v->flags,
		.expires_ns = v->expires_ns,
	};
}

size_t
value_size(const struct value_parts *p, uint64_t rev)
{
	return VALUE_HEAD + p->attrs.n + p->head.n + (p->splice ? digits_of(rev) : 0) + p->tail.n;
}

void
value_pack(const struct value_parts *p, uint64_t rev, uint8_t *out)
{
	out = put_le(out, FORMAT, 2);
	out = put_le(out, p->flags, 2);
	out = put_le(out, p->schema_id, 4);
	out = put_le(out, rev, 8);
	out = put_le(out, (uint64_t)p->expires_ns, 8);
	out = put_le(out, p->splice ? p->head.n : 0, 4);
	out = put_le(out, p->attrs.n, 4);
	out = put_str(out, p->attrs);
	out = put_str(out, p->head);
	if (p->splice)
		out = put_digits(out, rev);
	put_str(out, p->tail);
}

int
value_unpack(struct str env, struct store_value *ret)
{
	struct reader r = reader_of(env);
	struct store_value v = {0};
	unsigned format = reader_le16(&r);
	v.flags = reader_le16(&r);
	v.schema_id = reader_le16(&r);
	reader_le16(&r);
	v.rev = reader_le64(&r);
	v.expires_ns = (int64_t)reader_le64(&r);
	v.rv_offset = reader_le32(&r);
	v.attrs = reader_bytes(&r, reader_le32(&r));
	v.body = str_from((const char *)r.p, r.n);
	if (r.bad || format != FORMAT || v.rev > REV_MAX)
		return -EIO;
	if (v.rv_offset > 0 && (uint64_t)v.rv_offset + digits_of(v.rev) > v.body.n)
		return -EIO;
	*ret = v;
	return 0;
}
