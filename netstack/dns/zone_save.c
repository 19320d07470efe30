/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The services of a zone as bytes and back, for the next process of the name server. Read as carefully as anything
 * from outside: the process that wrote them may have been killed for a reason.
 *
 *   "KDZ1"  domain: length byte, wire name
 *   1       ns length: 2 bytes; key "namespace/name": 2 bytes, text; records: 4 bytes; and for each of them
 *             type: 2 bytes; owner: length byte, wire name; data: 2 bytes, as in a message, names in full
 *   0       the end
 *
 * Numbers are big-endian. Source: RFC 1035 3.1 (names), 3.2 (records); RFC 2782 (SRV). */
#include <errno.h>

#include "netstack/dns/zone_int.h"

static const char magic[4] = "KDZ1";

/* ---- writing ---- */

static void
put_dname(struct buf *b, const struct dname *d)
{
	buf_char(b, (char)d->n);
	buf_add(b, d->b, d->n);
}

static uint32_t
count(const struct zsvc *s)
{
	uint32_t n = 0;

	for (size_t i = 0; i < s->n_nodes; i++)
		for (uint32_t k = 0; k < s->nodes[i]->n; k++)
			n += s->nodes[i]->rrs[k].owner == s;
	return n;
}

static void
put_service(struct buf *b, const struct zsvc *s)
{
	struct str key = str_c(s->key);

	buf_char(b, 1);
	buf_be16(b, (uint16_t)s->ns_len);
	buf_be16(b, (uint16_t)key.n);
	buf_str(b, key);
	buf_be32(b, count(s));
	for (size_t i = 0; i < s->n_nodes; i++) {
		const struct znode *n = s->nodes[i];

		for (uint32_t k = 0; k < n->n; k++) {
			const struct zrr *r = &n->rrs[k];

			if (r->owner != s)
				continue;
			buf_be16(b, r->type);
			put_dname(b, &n->name);
			buf_be16(b, r->n);
			buf_add(b, zrr_data(r), r->n);
		}
	}
}

void
dns_zone_save(const struct dns_zone *z, struct buf *b)
{
	struct str key = STR_NONE;
	void *value = NULL;
	size_t pos = 0;

	buf_add(b, magic, sizeof(magic));
	put_dname(b, &z->domain);
	while (map_next(&z->services, &pos, &key, &value))
		put_service(b, value);
	buf_char(b, 0);
}

/* ---- reading ---- */

/* A name in full: labels to the root, exactly these bytes. */
static bool
is_name(struct str bytes, struct dname *ret)
{
	size_t at = 0;

	return bytes.n <= DNS_NAME_MAX && dname_parse(bytes, &at, ret) == 0 && at == bytes.n &&
		ret->n == bytes.n;
}

static bool
is_data(uint16_t type, struct str data)
{
	struct dname d;

	switch (type) {
	case T_A:
		return data.n == 4;
	case T_AAAA:
		return data.n == 16;
	case T_CNAME:
	case T_PTR:
		return is_name(data, &d);
	case T_SRV:
		return data.n > 6 && is_name(str_sub(data, 6, SIZE_MAX), &d);
	default:
		return false;
	}
}

static int
take_record(struct dns_zone *z, struct zsvc *s, struct reader *r)
{
	uint16_t type = reader_be16(r);
	struct str owner = reader_bytes(r, reader_u8(r));
	struct str data = reader_bytes(r, reader_be16(r));
	struct ip_addr ip;
	struct dname name;

	if (r->bad || !is_name(owner, &name) || !is_data(type, data) ||
		!(dname_is_under(&name, &z->domain) || dname_to_ip(&name, &ip)))
		return -EBADMSG;
	return zone_rr_add(z, s, &name, type, data.p, data.n);
}

static int
take_service(struct dns_zone *z, struct reader *r)
{
	size_t ns_len = reader_be16(r);
	struct str key = reader_bytes(r, reader_be16(r));
	uint32_t n = reader_be32(r);
	struct str name = str_sub(key, ns_len + 1, SIZE_MAX);
	struct zsvc *s = NULL;
	int code = 0;

	if (r->bad || ns_len == 0 || name.n == 0 || key.p[ns_len] != '/' ||
		map_get(&z->services, key) != NULL || memchr(key.p, 0, key.n) != NULL)
		return -EBADMSG;
	s = zone_svc_ensure(z, str_sub(key, 0, ns_len), name);
	if (s == NULL)
		return -ENOMEM;
	for (; n > 0 && code == 0; n--)
		code = take_record(z, s, r);
	return code;
}

static void
drop(void *arg, struct str ns, struct str name)
{
	dns_zone_service_del(arg, ns, name);
}

int
dns_zone_load(struct dns_zone *z, struct str saved)
{
	struct reader r = reader_of(saved);
	struct str head = reader_bytes(&r, sizeof(magic));
	struct str domain = reader_bytes(&r, reader_u8(&r));
	int code = 0;

	if (r.bad || memcmp(head.p, magic, sizeof(magic)) != 0 ||
		!str_eq(domain, dname_str(&z->domain)))
		return -EBADMSG;
	while (code == 0 && reader_u8(&r) == 1)
		code = take_service(z, &r);
	if (code == 0 && (r.bad || r.n > 0))
		code = -EBADMSG;
	z->serial++;
	if (code < 0)
		dns_zone_services(z, drop, z);
	return code;
}
