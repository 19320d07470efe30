/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Answers of upstream resolvers, kept for a short while. An answer is read once (every record, every
 * name) and written anew as a message of our own; serving it is a copy with id, question and TTLs
 * patched. Bounded in entries and in bytes an entry.
 * Source: RFC 1035 7.4, RFC 2308 5 (negative answers: the SOA's minimum), RFC 2181 8. */
#include <errno.h>
#include <stdlib.h>

#include "netstack/dns/dns_int.h"

enum { CACHED_BYTES_MAX = 4096 };

struct entry {
	uint8_t key[2 + DNS_NAME_MAX];
	size_t key_len;
	struct dcached *answer;
	struct entry *older, *newer;
};

struct dcache {
	struct map map;
	struct entry *oldest, *newest;
	size_t n, max;
};

/* ---- one answer ---- */

struct copy {
	struct str msg;
	struct dout o;
	uint16_t ttls[DNS_RRS_MAX];
	uint16_t n_ttls;
	uint32_t min_ttl; /* of the answer section */
	int64_t negative; /* from the SOA, -1 = none */
	uint16_t counts[3];
};

static int
copy_section(struct copy *c, size_t *at, unsigned section, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct drr rr;
		uint32_t ttl = 0;

		if (drr_parse(c->msg, at, &rr) < 0)
			return -EBADMSG;
		if (rr.type == T_OPT || rr.type == T_TSIG)
			continue;
		if (c->n_ttls == DNS_RRS_MAX)
			return -EBADMSG;
		ttl = rr.ttl > INT32_MAX ? 0 : rr.ttl; /* RFC 2181 8 */
		if (section == 0 && ttl < c->min_ttl)
			c->min_ttl = ttl;
		if (section == 1 && rr.type == T_SOA && rr.n >= 4) {
			size_t end = rr.at + rr.n - 4;
			uint32_t minimum = (uint32_t)dns_u16(c->msg, end) << 16 |
				dns_u16(c->msg, end + 2);

			c->negative = ttl < minimum ? ttl : minimum;
		}
		if (dout_rr(&c->o, c->msg, &rr, ttl) < 0 || c->o.full)
			return -EBADMSG;
		c->ttls[c->n_ttls++] = (uint16_t)c->o.ttl_at;
		c->counts[section]++;
	}
	return 0;
}

/* How long it may be kept: the smallest TTL of an answer, the SOA's word for its absence. */
static void
set_lifetime(
	struct dcached *d, const struct copy *c, unsigned rcode, int64_t now_ns, uint32_t max_ttl_s)
{
	int64_t ttl = 0;

	if (rcode == RC_OK && c->counts[0] > 0)
		ttl = c->min_ttl;
	else if ((rcode == RC_OK || rcode == RC_NXDOMAIN) && c->negative > 0)
		ttl = c->negative;
	if (ttl > max_ttl_s)
		ttl = max_ttl_s;
	d->made_ns = now_ns;
	d->until_ns = now_ns + ttl * NS_PER_SEC;
	d->cacheable = ttl > 0 && d->n <= CACHED_BYTES_MAX;
}

static int
copy_message(struct copy *c, const struct dname *name, uint16_t type)
{
	size_t at = DNS_HEADER;
	struct dname question;
	int code = dname_parse(c->msg, &at, &question);

	if (code < 0 || !dname_eq(&question, name) || at + 4 > c->msg.n)
		return -EBADMSG;
	at += 4;
	dout_u16(&c->o, 0);
	dout_u16(&c->o, (uint16_t)(DNS_QR | (dns_u16(c->msg, 2) & 15)));
	dout_u16(&c->o, 1);
	dout_u32(&c->o, 0);
	dout_u16(&c->o, 0);
	dout_name(&c->o, name, false);
	dout_u16(&c->o, type);
	dout_u16(&c->o, 1);
	for (unsigned s = 0; s < 3 && code == 0; s++)
		code = copy_section(c, &at, s, dns_u16(c->msg, 6 + 2 * s));
	for (unsigned s = 0; s < 3; s++)
		dout_patch16(&c->o, 6 + 2 * s, c->counts[s]);
	return c->o.full ? -EBADMSG : code;
}

struct dcached *
dcached_make(
	struct str msg, const struct dname *name, uint16_t type, int64_t now_ns, uint32_t max_ttl_s)
{
	_cleanup_free_ uint8_t *space = malloc(DNS_MSG_MAX);
	_cleanup_free_ struct copy *c = calloc(1, sizeof(*c));
	struct dcached *d = NULL;

	if (space == NULL || c == NULL || msg.n < DNS_HEADER)
		return NULL;
	c->msg = msg;
	c->o = (struct dout){.p = space, .max = DNS_MSG_MAX};
	c->min_ttl = UINT32_MAX;
	c->negative = -1;
	if (copy_message(c, name, type) < 0)
		return NULL;
	/* one block: the struct, the TTLs' places, the message */
	d = malloc(sizeof(*d) + c->n_ttls * sizeof(uint16_t) + c->o.n);
	if (d == NULL)
		return NULL;
	d->n = (uint16_t)c->o.n;
	d->n_ttls = c->n_ttls;
	d->ttls = (uint16_t *)(d + 1);
	d->msg = (uint8_t *)(d->ttls + c->n_ttls);
	memcpy(d->ttls, c->ttls, c->n_ttls * sizeof(uint16_t));
	memcpy(d->msg, space, c->o.n);
	set_lifetime(d, c, d->msg[3] & 15, now_ns, max_ttl_s);
	return d;
}

void
dcached_free(struct dcached *c)
{
	free(c);
}

static uint32_t
aged(uint32_t ttl, const struct dcached *c, int64_t now_ns)
{
	int64_t age = (now_ns - c->made_ns) / NS_PER_SEC;

	return age >= ttl ? 0 : ttl - (uint32_t)age;
}

static void
patch_ttls(const struct dcached *c, int64_t now_ns, uint8_t *out)
{
	for (uint16_t i = 0; i < c->n_ttls; i++) {
		uint8_t *p = out + c->ttls[i];
		uint32_t ttl = aged(
			(uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3], c,
			now_ns);

		p[0] = (uint8_t)(ttl >> 24);
		p[1] = (uint8_t)(ttl >> 16);
		p[2] = (uint8_t)(ttl >> 8);
		p[3] = (uint8_t)ttl;
	}
}

size_t
dcached_write(const struct dcached *c, struct str query, const struct dquery *q, int64_t now_ns,
	size_t limit, uint8_t *out, size_t out_size)
{
	size_t opt = q->edns ? DNS_OPT_LEN : 0, room = limit < out_size ? limit : out_size;
	uint16_t flags = (uint16_t)(DNS_QR | DNS_RA | (q->flags & (DNS_RD | DNS_CD)) |
		(c->msg[3] & 15));
	struct dout o = {.p = out, .max = out_size};

	if (c->n + opt > room)
		return dns_error(query, q, c->msg[3] & 15, DNS_RA | DNS_TC, out, room);
	dout_bytes(&o, c->msg, c->n);
	patch_ttls(c, now_ns, out);
	dout_patch16(&o, 0, q->id);
	dout_patch16(&o, 2, flags);
	/* the client's own spelling of the name */
	memcpy(out + DNS_HEADER, query.p + DNS_HEADER, q->question_end - DNS_HEADER);
	if (q->edns) {
		dout_opt(&o, q->dnssec_ok, c->msg[3] & 15);
		dout_patch16(
			&o, 10, (uint16_t)(dns_u16(str_from((const char *)c->msg, c->n), 10) + 1));
	}
	return o.full ? 0 : o.n;
}

/* Copies n records, with TTLs aged where `age` is given. */
static int
append_section(struct dout *o, struct str msg, size_t *at, unsigned n, const struct dcached *age,
	int64_t now_ns, bool keep, uint16_t *count)
{
	for (unsigned i = 0; i < n; i++) {
		struct drr rr;

		if (drr_parse(msg, at, &rr) < 0)
			return -EBADMSG;
		if (!keep)
			continue;
		if (dout_rr(o, msg, &rr, age != NULL ? aged(rr.ttl, age, now_ns) : rr.ttl) < 0)
			return -EBADMSG;
		(*count)++;
	}
	return 0;
}

size_t
dcached_append(const struct dcached *c, struct str begin, const struct dquery *q, int64_t now_ns,
	size_t limit, uint8_t *out, size_t out_size)
{
	struct str rest = str_from((const char *)c->msg, c->n);
	size_t room = limit < out_size ? limit : out_size, at = q->question_end, at2 = DNS_HEADER;
	struct dout o = {.p = out, .max = room - (q->edns ? DNS_OPT_LEN : 0)};
	uint16_t an = 0, ns = 0;
	struct dname skipped;
	uint16_t rcode = c->msg[3] & 15;
	bool negative = dns_u16(rest, 6) == 0;

	dout_bytes(&o, begin.p, DNS_HEADER);
	dout_name(&o, &q->name, false);
	if (!o.full) /* the client's own spelling */
		memcpy(out + DNS_HEADER, begin.p + DNS_HEADER, q->name.n);
	dout_u16(&o, q->type);
	dout_u16(&o, q->class);
	if (append_section(&o, begin, &at, dns_u16(begin, 6), NULL, now_ns, true, &an) < 0 ||
		dname_parse(rest, &at2, &skipped) < 0)
		return 0;
	at2 += 4;
	if (append_section(&o, rest, &at2, dns_u16(rest, 6), c, now_ns, true, &an) < 0 ||
		append_section(&o, rest, &at2, dns_u16(rest, 8), c, now_ns, negative, &ns) < 0)
		return 0;
	if (o.full)
		return dns_error(begin, q, rcode, DNS_RA | DNS_TC, out, room);
	dout_patch16(&o, 2, (uint16_t)(DNS_QR | DNS_RA | (q->flags & (DNS_RD | DNS_CD)) | rcode));
	dout_patch16(&o, 6, an);
	dout_patch16(&o, 8, ns);
	dout_patch16(&o, 10, q->edns);
	o.max = room;
	if (q->edns)
		dout_opt(&o, q->dnssec_ok, rcode);
	return o.full ? 0 : o.n;
}

/* ---- the cache ---- */

struct dcache *
dcache_new(size_t entries)
{
	struct dcache *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	map_init(&c->map);
	c->max = entries;
	return c;
}

static void
unlink_entry(struct dcache *c, struct entry *e)
{
	*(e->older != NULL ? &e->older->newer : &c->oldest) = e->newer;
	*(e->newer != NULL ? &e->newer->older : &c->newest) = e->older;
}

static void
drop(struct dcache *c, struct entry *e)
{
	unlink_entry(c, e);
	map_del(&c->map, str_from((const char *)e->key, e->key_len));
	c->n--;
	dcached_free(e->answer);
	free(e);
}

void
dcache_clear(struct dcache *c)
{
	while (c->oldest != NULL)
		drop(c, c->oldest);
}

void
dcache_free(struct dcache *c)
{
	if (c == NULL)
		return;
	dcache_clear(c);
	map_release(&c->map);
	free(c);
}

static struct str
key_of(uint8_t key[2 + DNS_NAME_MAX], const struct dname *name, uint16_t type)
{
	key[0] = (uint8_t)(type >> 8);
	key[1] = (uint8_t)type;
	memcpy(key + 2, name->b, name->n);
	return str_from((const char *)key, 2u + name->n);
}

const struct dcached *
dcache_get(struct dcache *c, const struct dname *name, uint16_t type, int64_t now_ns)
{
	uint8_t key[2 + DNS_NAME_MAX];
	struct entry *e = map_get(&c->map, key_of(key, name, type));

	if (e == NULL)
		return NULL;
	if (now_ns >= e->answer->until_ns) {
		drop(c, e);
		return NULL;
	}
	return e->answer;
}

void
dcache_put(struct dcache *c, const struct dname *name, uint16_t type, struct dcached *a)
{
	uint8_t key[2 + DNS_NAME_MAX];
	struct str k = key_of(key, name, type);
	struct entry *e = map_get(&c->map, k);

	if (e != NULL)
		drop(c, e);
	while (c->n >= c->max && c->oldest != NULL)
		drop(c, c->oldest);
	e = calloc(1, sizeof(*e));
	if (e == NULL || map_put(&c->map, k, e, NULL) < 0) {
		free(e);
		dcached_free(a);
		return;
	}
	memcpy(e->key, key, k.n);
	e->key_len = k.n;
	e->answer = a;
	e->older = c->newest;
	*(c->newest != NULL ? &c->newest->newer : &c->oldest) = e;
	c->newest = e;
	c->n++;
}
