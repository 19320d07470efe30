/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Netlink messages as bytes: the batch that encoders append to, and the decoders every answer goes
 * through. No descriptors here. Invariant of the batch: each message starts aligned to 4 and its
 * header's length is right once nl_msg_end has run. Must not trust a length from the kernel: all
 * decoding is over slices. Source: linux/netlink.h (struct nlmsghdr, struct nlattr). */
#include "netstack/netlink/netlink.h"

#include <errno.h>
#include <linux/netlink.h>

void
nl_batch_init(struct nl_batch *b)
{
	memset(b, 0, sizeof(*b));
	buf_init(&b->out);
}

void
nl_batch_init_arena(struct nl_batch *b, struct arena *a)
{
	memset(b, 0, sizeof(*b));
	buf_init_arena(&b->out, a);
}

void
nl_batch_release(struct nl_batch *b)
{
	buf_release(&b->out);
}

void
nl_batch_clear(struct nl_batch *b)
{
	struct buf out = b->out;

	buf_clear(&out);
	memset(b, 0, sizeof(*b));
	b->out = out;
}

void
cleanup_nl_batch(struct nl_batch *b)
{
	nl_batch_release(b);
}

/* Overwrites n bytes already written at `at`. */
static void
patch(struct nl_batch *b, size_t at, const void *p, size_t n)
{
	if (!b->out.failed)
		memcpy(b->out.data + at, p, n);
}

static void
pad4(struct nl_batch *b)
{
	static const char zero[4];

	buf_add(&b->out, zero, -b->out.len & 3);
}

void
nl_msg_begin(struct nl_batch *b, uint16_t type, uint16_t flags)
{
	struct nlmsghdr h = {.nlmsg_type = type, .nlmsg_flags = flags | NLM_F_REQUEST};

	b->msg_at = b->out.len;
	b->n++;
	buf_add(&b->out, &h, sizeof(h));
}

void
nl_put(struct nl_batch *b, const void *p, size_t n)
{
	buf_add(&b->out, p, n);
	pad4(b);
}

void
nl_msg_end(struct nl_batch *b)
{
	uint32_t len = (uint32_t)(b->out.len - b->msg_at);

	patch(b, b->msg_at + offsetof(struct nlmsghdr, nlmsg_len), &len, sizeof(len));
}

void
nl_allow_error(struct nl_batch *b, int code)
{
	if (b->n_allow == NL_ALLOW_MAX || b->n == 0) {
		b->out.failed = true;
		return;
	}
	b->allow[b->n_allow++] = (struct nl_allow){b->n - 1, code};
}

void
nl_attr(struct nl_batch *b, uint16_t type, const void *p, size_t n)
{
	struct nlattr a = {.nla_len = (uint16_t)(sizeof(a) + n), .nla_type = type};

	if (n > UINT16_MAX - sizeof(a)) {
		b->out.failed = true;
		return;
	}
	buf_add(&b->out, &a, sizeof(a));
	buf_add(&b->out, p, n);
	pad4(b);
}

void
nl_attr_u8(struct nl_batch *b, uint16_t type, uint8_t v)
{
	nl_attr(b, type, &v, sizeof(v));
}

void
nl_attr_u16(struct nl_batch *b, uint16_t type, uint16_t v)
{
	nl_attr(b, type, &v, sizeof(v));
}

void
nl_attr_u32(struct nl_batch *b, uint16_t type, uint32_t v)
{
	nl_attr(b, type, &v, sizeof(v));
}

void
nl_attr_be16(struct nl_batch *b, uint16_t type, uint16_t v)
{
	uint8_t be[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	nl_attr(b, type, be, sizeof(be));
}

void
nl_attr_be32(struct nl_batch *b, uint16_t type, uint32_t v)
{
	uint8_t be[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

	nl_attr(b, type, be, sizeof(be));
}

void
nl_attr_be64(struct nl_batch *b, uint16_t type, uint64_t v)
{
	uint8_t be[8];

	for (unsigned i = 0; i < 8; i++)
		be[i] = (uint8_t)(v >> (56 - 8 * i));
	nl_attr(b, type, be, sizeof(be));
}

void
nl_attr_cstr(struct nl_batch *b, uint16_t type, const char *z)
{
	nl_attr(b, type, z, strlen(z) + 1);
}

size_t
nl_nest_begin(struct nl_batch *b, uint16_t type)
{
	struct nlattr a = {.nla_type = type};
	size_t at = b->out.len;

	buf_add(&b->out, &a, sizeof(a));
	return at;
}

void
nl_nest_end(struct nl_batch *b, size_t at)
{
	size_t len = b->out.len - at;
	uint16_t len16 = (uint16_t)len;

	if (len > UINT16_MAX)
		b->out.failed = true;
	patch(b, at + offsetof(struct nlattr, nla_len), &len16, sizeof(len16));
}

int
nl_batch_seal(struct nl_batch *b)
{
	/* a transaction's last border message is not acknowledged by older kernels: the one before is */
	uint32_t ack = b->transaction ? b->n - 1 : b->n;
	size_t at = 0;

	if (b->out.failed)
		return -ENOMEM;
	for (uint32_t seq = 1; at < b->out.len; seq++) {
		struct nlmsghdr h;

		memcpy(&h, b->out.data + at, sizeof(h));
		h.nlmsg_seq = seq;
		if (seq == ack)
			h.nlmsg_flags |= NLM_F_ACK;
		memcpy(b->out.data + at, &h, sizeof(h));
		at += NLMSG_ALIGN(h.nlmsg_len);
	}
	return 0;
}

/* ---- decoding ---- */

bool
nl_msg_next(struct str *rest, struct nl_msg *ret)
{
	struct nlmsghdr h;

	if (rest->n < sizeof(h)) {
		*rest = STR_NONE;
		return false;
	}
	memcpy(&h, rest->p, sizeof(h));
	if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > rest->n) {
		*rest = STR_NONE;
		return false;
	}
	*ret = (struct nl_msg){
		.type = h.nlmsg_type,
		.flags = h.nlmsg_flags,
		.seq = h.nlmsg_seq,
		.pid = h.nlmsg_pid,
		.payload = str_sub(*rest, sizeof(h), h.nlmsg_len),
	};
	*rest = str_sub(*rest, NLMSG_ALIGN((size_t)h.nlmsg_len), SIZE_MAX);
	return true;
}

bool
nl_attr_next(struct str *rest, uint16_t *ret_type, struct str *ret_payload)
{
	struct nlattr a;

	if (rest->n < sizeof(a)) {
		*rest = STR_NONE;
		return false;
	}
	memcpy(&a, rest->p, sizeof(a));
	if (a.nla_len < sizeof(a) || a.nla_len > rest->n) {
		*rest = STR_NONE;
		return false;
	}
	*ret_type = a.nla_type & NLA_TYPE_MASK;
	*ret_payload = str_sub(*rest, sizeof(a), a.nla_len);
	*rest = str_sub(*rest, NLA_ALIGN((size_t)a.nla_len), SIZE_MAX);
	return true;
}

void
nl_attrs(struct str attrs, struct str *table, size_t n_table)
{
	struct str payload = STR_NONE;
	uint16_t type = 0;

	for (size_t i = 0; i < n_table; i++)
		table[i] = STR_NONE;
	while (nl_attr_next(&attrs, &type, &payload))
		if (type < n_table)
			table[type] = payload;
}

uint8_t
nl_get_u8(struct str a)
{
	return a.n == 1 ? (uint8_t)a.p[0] : 0;
}

uint16_t
nl_get_u16(struct str a)
{
	uint16_t v = 0;

	if (a.n == sizeof(v))
		memcpy(&v, a.p, sizeof(v));
	return v;
}

uint32_t
nl_get_u32(struct str a)
{
	uint32_t v = 0;

	if (a.n == sizeof(v))
		memcpy(&v, a.p, sizeof(v));
	return v;
}

uint32_t
nl_get_be32(struct str a)
{
	struct reader r = reader_of(a);

	return a.n == 4 ? reader_be32(&r) : 0;
}

uint16_t
nl_get_be16(struct str a)
{
	struct reader r = reader_of(a);

	return a.n == 2 ? reader_be16(&r) : 0;
}

struct str
nl_get_cstr(struct str a)
{
	ptrdiff_t end = str_find_char(a, '\0');

	return end < 0 ? a : str_sub(a, 0, (size_t)end);
}
