/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * dns, inside: names and messages as its files share them. name.c and msg.c are total functions over
 * bytes; zone.c holds the data, answer.c reads it; cache.c, forward.c, server.c are the server. */
#ifndef NETSTACK_DNS_DNS_INT_H
#define NETSTACK_DNS_DNS_INT_H

#include "base/hash.h"
#include "netstack/dns/dns.h"

enum {
	DNS_HEADER = 12,
	DNS_NAME_MAX = 255,
	DNS_LABEL_MAX = 63,
	DNS_UDP_PLAIN = 512,
	DNS_UDP_MAX = 1232, /* fits every path without fragments */
	DNS_MSG_MAX = 65535,
	DNS_RRS_MAX = 4096, /* records of a message that are looked at */
	DNS_OPT_LEN = 11,

	DNS_QR = 0x8000,
	DNS_AA = 0x0400,
	DNS_TC = 0x0200,
	DNS_RD = 0x0100,
	DNS_RA = 0x0080,
	DNS_CD = 0x0010,
	DNS_OPCODE = 0x7800,
};

enum dns_type {
	T_A = 1,
	T_NS = 2,
	T_CNAME = 5,
	T_SOA = 6,
	T_PTR = 12,
	T_MX = 15,
	T_TXT = 16,
	T_AAAA = 28,
	T_SRV = 33,
	T_OPT = 41,
	T_TSIG = 250,
	T_IXFR = 251,
	T_AXFR = 252,
	T_ANY = 255,
};

enum dns_rcode {
	RC_OK = 0,
	RC_FORMERR = 1,
	RC_SERVFAIL = 2,
	RC_NXDOMAIN = 3,
	RC_NOTIMP = 4,
	RC_REFUSED = 5,
	RC_BADVERS = 16,
};

/* ---- names ---- */

/* A name in wire form: labels with their lengths, the root's zero last; lower case. n counts all. */
struct dname {
	uint8_t n;
	uint8_t b[DNS_NAME_MAX];
};

/* dname_from_text: "a.b" or "a.b."; "" and "." are the root. -EINVAL: empty or long label, too long. */
int dname_from_text(struct str text, struct dname *ret);
/* dname_prepend: label.name. -EINVAL: label empty, longer than 63, with a dot; too long in all. */
int dname_prepend(struct dname *d, struct str label);
/* dname_is_under: d is `top` or below it. Cost: labels. */
bool dname_is_under(const struct dname *d, const struct dname *top);
bool dname_eq(const struct dname *a, const struct dname *b);
/* dname_parent: without the first label; the root's parent is the root. */
void dname_parent(const struct dname *d, struct dname *ret);
/* dname_label: the first label, lower case. */
struct str dname_label(const struct dname *d);
static inline struct str
dname_str(const struct dname *d)
{
	return str_from((const char *)d->b, d->n);
}
/* dname_parse: the name at *at of a message, following compression pointers, each strictly backwards. On
 * success *at is behind it. -EBADMSG. */
int dname_parse(struct str msg, size_t *at, struct dname *ret);
/* dname_of_ip: the reverse name. dname_to_ip: back; false = not a whole reverse name. */
void dname_of_ip(const struct ip_addr *a, struct dname *ret);
bool dname_to_ip(const struct dname *d, struct ip_addr *ret);

/* ---- messages ---- */

struct dquery {
	uint16_t id, flags, type, class;
	struct dname name;
	size_t question_end; /* offset behind the question */
	bool edns, dnssec_ok;
	uint8_t edns_version;
	uint16_t udp_size; /* what the client takes over UDP: 512 .. 1232 */
};
/* dquery_parse: 0; -EBADMSG: no answer may be sent (too short, or a response); an rcode > 0 to answer
 * with (ret->id, flags, question_end are set; question_end = 12 when there is no usable question). */
int dquery_parse(struct str msg, struct dquery *ret);

/* One record of a message; rdata is [at, at + n) of it. */
struct drr {
	struct dname name;
	uint16_t type, class;
	uint32_t ttl;
	size_t at, n;
};
/* drr_parse: the record at *at. -EBADMSG. */
int drr_parse(struct str msg, size_t *at, struct drr *ret);

static inline uint16_t
dns_u16(struct str msg, size_t at)
{
	return at + 2 <= msg.n ? (uint16_t)((uint8_t)msg.p[at] << 8 | (uint8_t)msg.p[at + 1]) : 0;
}

/* ---- writing ---- */

enum { DOUT_NAMES = 64 };

/* A message being written into a fixed buffer. Overflow is sticky; `mark`s cut back to a whole record. */
struct dout {
	uint8_t *p;
	size_t n, max;
	bool full;
	size_t ttl_at;              /* of the record dout_rr wrote last */
	uint16_t names[DOUT_NAMES]; /* offsets of labels that names may point to */
	unsigned n_names;
};
void dout_bytes(struct dout *o, const void *p, size_t n);
void dout_u16(struct dout *o, uint16_t v);
void dout_u32(struct dout *o, uint32_t v);
void dout_patch16(struct dout *o, size_t at, uint16_t v);
/* dout_name: compressed against names written before (RFC 1035 4.1.4). compress false: in full. */
void dout_name(struct dout *o, const struct dname *d, bool compress);
/* dout_rr: copies a record of `msg` with names in it written anew; ttl replaces its own. -EBADMSG. */
int dout_rr(struct dout *o, struct str msg, const struct drr *rr, uint32_t ttl);
/* dout_opt: the OPT record of an answer. */
void dout_opt(struct dout *o, bool dnssec_ok, unsigned extended_rcode);
/* dns_error: a bare answer with this rcode: header, the question where there is one, OPT. Returns its
 * length (0: no room). */
size_t dns_error(struct str msg, const struct dquery *q, unsigned rcode, uint16_t more_flags,
	uint8_t *out, size_t out_size);

/* ---- cache ---- */

struct dcache;
/* An answer of an upstream, as a message of its own: id 0, no OPT, names compressed. */
struct dcached {
	uint16_t n, n_ttls;
	bool cacheable;
	int64_t made_ns, until_ns;
	uint8_t *msg;
	uint16_t *ttls; /* offsets of the records' TTLs */
};
/* dcached_make: from an upstream's answer to (name, type). Returns owned; NULL: malformed or no memory. */
struct dcached *dcached_make(struct str msg, const struct dname *name, uint16_t type,
	int64_t now_ns, uint32_t max_ttl_s);
void dcached_free(struct dcached *c);
/* dcached_write: the answer for query q (bytes `query`) from c; TTLs less the time since. limit: largest
 * message; over it TC and no records. Returns the length, 0 when out is too small. */
size_t dcached_write(const struct dcached *c, struct str query, const struct dquery *q,
	int64_t now_ns, size_t limit, uint8_t *out, size_t out_size);
/* dcached_append: `begin` (an answer of the zone that ends in a CNAME) continued by c. */
size_t dcached_append(const struct dcached *c, struct str begin, const struct dquery *q,
	int64_t now_ns, size_t limit, uint8_t *out, size_t out_size);

struct dcache *dcache_new(size_t entries);
void dcache_free(struct dcache *c);
void dcache_clear(struct dcache *c);
/* dcache_get: borrowed until the next put; NULL = none or too old. */
const struct dcached *dcache_get(
	struct dcache *c, const struct dname *name, uint16_t type, int64_t now_ns);
/* dcache_put: takes the answer. */
void dcache_put(struct dcache *c, const struct dname *name, uint16_t type, struct dcached *a);

/* ---- forwarding ---- */

struct dforward;
/* done(arg, answer): answer borrowed for the call, NULL = no upstream answered. Called once, later. */
typedef void dforward_fn(void *arg, const struct dcached *answer);

struct dforwarder;
struct dforwarder *dforwarder_new(
	struct loop *l, const struct dns_server_config *c, struct dns_stats *stats);
void dforwarder_free(struct dforwarder *f);
int dforwarder_upstreams(struct dforwarder *f, const struct dns_upstream *u, size_t n);
bool dforwarder_can(const struct dforwarder *f);
/* dforward_ask: the cache first (then done is called at once), else upstream. -EBUSY: too many. */
int dforward_ask(struct dforwarder *f, const struct dname *name, uint16_t type, dforward_fn *done,
	void *arg);
/* dforward_forget: requests with this arg end without a call. */
void dforward_forget(struct dforwarder *f, void *arg);

#endif
