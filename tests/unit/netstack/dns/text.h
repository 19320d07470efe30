/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * text.h: DNS messages for tests: queries made from text, answers written as lines: "rcode flags", then a
 * line a record: section name ttl type data. */
#ifndef TEST_DNS_TEXT_H
#define TEST_DNS_TEXT_H

#include <netinet/in.h>

#include "netstack/dns/dns_int.h"
#include "tests/unit/test.h"

/* A query for name and type; edns 0 = none. Returns its length. */
static inline size_t
query_of(uint8_t *out, const char *name, uint16_t type, uint16_t edns)
{
	struct dout o = {.p = out, .max = 512};
	struct dname d = {0};

	CHECK_INT(dname_from_text(str_c(name), &d), 0);
	dout_u16(&o, 0x1234);
	dout_u16(&o, DNS_RD);
	dout_u16(&o, 1);
	dout_u32(&o, 0);
	dout_u16(&o, edns != 0);
	dout_bytes(&o, d.b, d.n);
	dout_u16(&o, type);
	dout_u16(&o, 1);
	if (edns != 0) {
		size_t at = o.n;

		dout_opt(&o, false, 0);
		dout_patch16(&o, at + 3, edns);
	}
	return o.n;
}

static inline void
name_text(struct buf *b, const struct dname *d)
{
	if (d->n == 1)
		buf_char(b, '.');
	for (size_t at = 0; d->b[at] != 0; at += 1u + d->b[at]) {
		buf_add(b, d->b + at + 1, d->b[at]);
		buf_char(b, '.');
	}
}

static inline void
rr_text(struct buf *b, struct str msg, const struct drr *rr)
{
	size_t at = rr->at;
	struct dname d;
	char text[IP_TEXT_MAX];
	struct ip_addr ip = ip_from_bytes(msg.p + rr->at, rr->n);

	switch (rr->type) {
	case T_A:
	case T_AAAA:
		ip_format(&ip, text);
		buf_fmt(b, "%s %s", rr->type == T_A ? "A" : "AAAA", text);
		break;
	case T_SRV:
		buf_fmt(b, "SRV %u %u %u ", dns_u16(msg, at), dns_u16(msg, at + 2),
			dns_u16(msg, at + 4));
		at += 6;
		CHECK_INT(dname_parse(msg, &at, &d), 0);
		name_text(b, &d);
		break;
	case T_TXT:
		buf_fmt(b, "TXT " STR_FMT, STR_ARG(str_sub(msg, at + 1, at + rr->n)));
		break;
	case T_OPT:
		buf_fmt(b, "OPT %u", rr->class);
		break;
	case T_CNAME:
	case T_PTR:
	case T_NS:
	case T_SOA:
		buf_cstr(b,
			rr->type == T_CNAME         ? "CNAME "
				: rr->type == T_PTR ? "PTR "
				: rr->type == T_NS  ? "NS "
						    : "SOA ");
		CHECK_INT(dname_parse(msg, &at, &d), 0);
		name_text(b, &d);
		break;
	default:
		buf_fmt(b, "TYPE%u", rr->type);
	}
}

/* The whole answer as text, in a static buffer. TTLs only where show_ttl. */
static inline const char *
answer_text(const uint8_t *p, size_t n, bool show_ttl)
{
	static const char *const rcodes[16] = {
		"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
	static struct buf b;
	struct str msg = str_from((const char *)p, n);
	uint16_t flags = dns_u16(msg, 2);
	size_t at = DNS_HEADER;

	buf_clear(&b);
	buf_fmt(&b, "%s%s%s%s\n", rcodes[flags & 15], flags & DNS_AA ? " aa" : "",
		flags & DNS_TC ? " tc" : "", flags & DNS_RA ? " ra" : "");
	CHECK(flags & DNS_QR);
	for (unsigned i = 0; i < dns_u16(msg, 4); i++) {
		struct dname d;

		CHECK_INT(dname_parse(msg, &at, &d), 0);
		at += 4;
	}
	for (unsigned s = 0; s < 3; s++)
		for (unsigned i = 0; i < dns_u16(msg, 6 + 2 * s); i++) {
			struct drr rr;

			CHECK_INT(drr_parse(msg, &at, &rr), 0);
			buf_fmt(&b, "%s ", s == 0 ? "an" : s == 1 ? "ns" : "ar");
			name_text(&b, &rr.name);
			buf_char(&b, ' ');
			if (show_ttl && rr.type != T_OPT)
				buf_fmt(&b, "%u ", rr.ttl);
			rr_text(&b, msg, &rr);
			buf_char(&b, '\n');
		}
	CHECK_INT(at, n); /* nothing behind the last record */
	buf_char(&b, '\0');
	return b.data;
}

#endif
