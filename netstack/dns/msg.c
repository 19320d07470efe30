/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * DNS messages: queries and records read from bytes, answers written into a fixed buffer. Total and bounded: a
 * query has at most a handful of records, an answer at most DNS_RRS_MAX, names end (name.c).
 * Source: RFC 1035 4, RFC 6891 (OPT), RFC 3597 (unknown types are opaque; only the types of RFC 1035
 * have compressed names in their data). */
#include <errno.h>

#include "netstack/dns/dns_int.h"

enum { QUERY_RRS_MAX = 16 };

int
drr_parse(struct str msg, size_t *at, struct drr *ret)
{
	struct drr rr = {0};
	size_t pos = *at;
	int code = dname_parse(msg, &pos, &rr.name);

	if (code < 0 || pos + 10 > msg.n)
		return -EBADMSG;
	rr.type = dns_u16(msg, pos);
	rr.class = dns_u16(msg, pos + 2);
	rr.ttl = (uint32_t)dns_u16(msg, pos + 4) << 16 | dns_u16(msg, pos + 6);
	rr.n = dns_u16(msg, pos + 8);
	rr.at = pos + 10;
	if (rr.at + rr.n > msg.n)
		return -EBADMSG;
	*at = rr.at + rr.n;
	*ret = rr;
	return 0;
}

/* Looks for the OPT record among what follows the question. */
static int
query_records(struct str msg, struct dquery *q)
{
	unsigned n = (unsigned)dns_u16(msg, 6) + dns_u16(msg, 8) + dns_u16(msg, 10);
	size_t at = q->question_end;

	if (n > QUERY_RRS_MAX)
		return RC_FORMERR;
	for (unsigned i = 0; i < n; i++) {
		struct drr rr;

		if (drr_parse(msg, &at, &rr) < 0)
			return RC_FORMERR;
		if (rr.type != T_OPT)
			continue;
		if (q->edns || rr.name.n != 1)
			return RC_FORMERR;
		q->edns = true;
		q->edns_version = (uint8_t)(rr.ttl >> 16);
		q->dnssec_ok = (rr.ttl & 0x8000) != 0;
		if (rr.class > DNS_UDP_PLAIN)
			q->udp_size = rr.class < DNS_UDP_MAX ? rr.class : DNS_UDP_MAX;
	}
	return q->edns && q->edns_version != 0 ? RC_BADVERS : 0;
}

int
dquery_parse(struct str msg, struct dquery *ret)
{
	size_t at = DNS_HEADER;

	ret->udp_size = DNS_UDP_PLAIN;
	ret->edns = ret->dnssec_ok = false;
	ret->edns_version = 0;
	ret->question_end = DNS_HEADER;
	if (msg.n < DNS_HEADER)
		return -EBADMSG;
	ret->id = dns_u16(msg, 0);
	ret->flags = dns_u16(msg, 2);
	if (ret->flags & DNS_QR)
		return -EBADMSG;
	if (ret->flags & DNS_OPCODE)
		return RC_NOTIMP;
	if (dns_u16(msg, 4) != 1 || dname_parse(msg, &at, &ret->name) < 0 || at + 4 > msg.n ||
		at != DNS_HEADER + (size_t)ret->name.n) /* a pointer in the question: to what? */
		return RC_FORMERR;
	ret->type = dns_u16(msg, at);
	ret->class = dns_u16(msg, at + 2);
	ret->question_end = at + 4;
	return query_records(msg, ret);
}

/* ---- writing ---- */

void
dout_bytes(struct dout *o, const void *p, size_t n)
{
	if (o->full || n > o->max - o->n) {
		o->full = true;
		return;
	}
	memcpy(o->p + o->n, p, n);
	o->n += n;
}

void
dout_u16(struct dout *o, uint16_t v)
{
	dout_bytes(o, (uint8_t[2]){(uint8_t)(v >> 8), (uint8_t)v}, 2);
}

void
dout_u32(struct dout *o, uint32_t v)
{
	dout_u16(o, (uint16_t)(v >> 16));
	dout_u16(o, (uint16_t)v);
}

void
dout_patch16(struct dout *o, size_t at, uint16_t v)
{
	if (at + 2 > o->n)
		return;
	o->p[at] = (uint8_t)(v >> 8);
	o->p[at + 1] = (uint8_t)v;
}

/* Does the name written at `off` equal the rest of d from `from`? */
static bool
suffix_at(const struct dout *o, size_t off, const struct dname *d, size_t from)
{
	struct dname there;

	if (dname_parse(str_from((const char *)o->p, o->n), &off, &there) < 0)
		return false;
	return there.n == d->n - from && memcmp(there.b, d->b + from, there.n) == 0;
}

void
dout_name(struct dout *o, const struct dname *d, bool compress)
{
	for (size_t at = 0; at < d->n && d->b[at] != 0; at += 1u + d->b[at]) {
		for (unsigned i = 0; compress && i < o->n_names; i++)
			if (suffix_at(o, o->names[i], d, at)) {
				dout_u16(o, (uint16_t)(0xc000 | o->names[i]));
				return;
			}
		if (o->n_names < DOUT_NAMES && o->n < 0x4000)
			o->names[o->n_names++] = (uint16_t)o->n;
		dout_bytes(o, d->b + at, 1u + d->b[at]);
		if (o->full)
			return;
	}
	dout_bytes(o, "", 1);
}

/* Types with names in their data: bytes before, names, bytes behind (or all the rest), and whether
 * the names may be written compressed. */
static const struct {
	uint16_t type;
	uint8_t before, names;
	bool compress;
} layouts[] = {
	{T_NS, 0, 1, true},
	{T_CNAME, 0, 1, true},
	{T_SOA, 0, 2, true},
	{T_PTR, 0, 1, true},
	{T_MX, 2, 1, true},
	{17 /* RP */, 0, 2, false},
	{18 /* AFSDB */, 2, 1, false},
	{21 /* RT */, 2, 1, false},
	{26 /* PX */, 2, 2, false},
	{T_SRV, 6, 1, false},
	{36 /* KX */, 2, 1, false},
	{39 /* DNAME */, 0, 1, false},
};

static int
rdata_copy(struct dout *o, struct str msg, const struct drr *rr)
{
	size_t at = rr->at, end = rr->at + rr->n, k = 0;

	while (k < ARRAY_LEN(layouts) && layouts[k].type != rr->type)
		k++;
	if (k < ARRAY_LEN(layouts)) {
		if (layouts[k].before > rr->n)
			return -EBADMSG;
		dout_bytes(o, msg.p + at, layouts[k].before);
		at += layouts[k].before;
		for (unsigned i = 0; i < layouts[k].names; i++) {
			struct dname d;

			if (dname_parse(msg, &at, &d) < 0 || at > end)
				return -EBADMSG;
			dout_name(o, &d, layouts[k].compress);
		}
	}
	dout_bytes(o, msg.p + at, end - at);
	return 0;
}

int
dout_rr(struct dout *o, struct str msg, const struct drr *rr, uint32_t ttl)
{
	size_t len_at = 0;
	int code = 0;

	dout_name(o, &rr->name, true);
	dout_u16(o, rr->type);
	dout_u16(o, rr->class);
	o->ttl_at = o->n;
	dout_u32(o, ttl);
	len_at = o->n;
	dout_u16(o, 0);
	code = rdata_copy(o, msg, rr);
	if (!o->full)
		dout_patch16(o, len_at, (uint16_t)(o->n - len_at - 2));
	return code;
}

void
dout_opt(struct dout *o, bool dnssec_ok, unsigned extended_rcode)
{
	dout_bytes(o, "", 1);
	dout_u16(o, T_OPT);
	dout_u16(o, DNS_UDP_MAX);
	dout_u16(o, (uint16_t)(extended_rcode >> 4 << 8));
	dout_u16(o, dnssec_ok ? 0x8000 : 0);
	dout_u16(o, 0);
}

size_t
dns_error(struct str msg, const struct dquery *q, unsigned rcode, uint16_t more_flags, uint8_t *out,
	size_t out_size)
{
	struct dout o = {.p = out, .max = out_size};
	bool question = q->question_end > DNS_HEADER;

	dout_u16(&o, q->id);
	dout_u16(&o,
		(uint16_t)(DNS_QR | (q->flags & (DNS_OPCODE | DNS_RD | DNS_CD)) | more_flags |
			(rcode & 15)));
	dout_u16(&o, question);
	dout_u32(&o, 0);
	dout_u16(&o, q->edns);
	if (question)
		dout_bytes(&o, msg.p + DNS_HEADER, q->question_end - DNS_HEADER);
	if (q->edns)
		dout_opt(&o, q->dnssec_ok, rcode);
	return o.full ? 0 : o.n;
}
