/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Answers from the zone: no allocation, one look-up, names compressed where it costs nothing (the owner is
 * the question's own name or the target just written; the zone's name is found in the question).
 * Source: RFC 1034 4.3.2 (algorithm), RFC 2308 (SOA in negative answers), RFC 2181, RFC 8482 (ANY),
 * RFC 6891. */
#include "netstack/dns/zone_int.h"

enum { CNAMES_MAX = 8, EXTRA_MAX = 64 };

/* One answer in the making. */
struct ans {
	struct dns_zone *z;
	const struct dquery *q;
	struct dout o;
	size_t limit;        /* of the whole message, OPT included */
	uint16_t domain_off; /* where the zone's name stands in the message, 0 = nowhere yet */
	size_t data_at;      /* data of the record written last */
	uint16_t an, ns, ar;
	bool truncated;
};

/* A name in full, or up to the zone's name if that stands somewhere already. */
static void
put_name(struct ans *a, const uint8_t *name, size_t n)
{
	const struct dname *dom = &a->z->domain;
	size_t at = 0;

	while (n - at > dom->n)
		at += 1u + name[at];
	if (n - at != dom->n || memcmp(name + at, dom->b, dom->n) != 0) {
		dout_bytes(&a->o, name, n);
		return;
	}
	dout_bytes(&a->o, name, at);
	if (a->domain_off != 0) {
		dout_u16(&a->o, (uint16_t)(0xc000 | a->domain_off));
		return;
	}
	if (a->o.n < 0x4000)
		a->domain_off = (uint16_t)a->o.n;
	dout_bytes(&a->o, dom->b, dom->n);
}

/* Owner (an offset), type, class, TTL and room for the length: returns where that is. */
static size_t
rr_head(struct ans *a, uint16_t owner, uint16_t type, uint32_t ttl)
{
	uint8_t head[12] = {(uint8_t)(0xc0 | owner >> 8), (uint8_t)owner, (uint8_t)(type >> 8),
		(uint8_t)type, 0, 1, (uint8_t)(ttl >> 24), (uint8_t)(ttl >> 16),
		(uint8_t)(ttl >> 8), (uint8_t)ttl, 0, 0};

	dout_bytes(&a->o, head, sizeof(head));
	return a->o.n - 2;
}

static void
rr_tail(struct ans *a, size_t len_at)
{
	if (!a->o.full)
		dout_patch16(&a->o, len_at, (uint16_t)(a->o.n - len_at - 2));
}

/* One record; false when it did not fit (and nothing of it is left). */
static bool
put_rr(struct ans *a, uint16_t owner, const struct zrr *r)
{
	size_t start = a->o.n, len_at = rr_head(a, owner, r->type, a->z->ttl);
	uint16_t domain_off = a->domain_off;
	const uint8_t *data = zrr_data(r);

	a->data_at = a->o.n;
	if (r->type == T_CNAME || r->type == T_PTR || r->type == T_NS)
		put_name(a, data, r->n);
	else
		dout_bytes(&a->o, data, r->n); /* SRV targets are never compressed: RFC 2782 */
	rr_tail(a, len_at);
	if (!a->o.full)
		return true;
	a->o.n = start;
	a->o.full = false;
	a->domain_off = domain_off;
	return false;
}

static void
put_soa(struct ans *a, uint16_t owner)
{
	static const uint8_t ns[] = "\2ns\3dns", mail[] = "\12hostmaster";
	struct dns_zone *z = a->z;
	size_t start = a->o.n, len_at = 0;

	len_at = rr_head(a, owner, T_SOA, z->ttl);
	dout_bytes(&a->o, ns, sizeof(ns) - 1);
	put_name(a, z->domain.b, z->domain.n);
	dout_bytes(&a->o, mail, sizeof(mail) - 1);
	put_name(a, z->domain.b, z->domain.n);
	dout_u32(&a->o, z->serial);
	dout_u32(&a->o, 7200);
	dout_u32(&a->o, 1800);
	dout_u32(&a->o, 86400);
	dout_u32(&a->o, z->ttl);
	rr_tail(a, len_at);
	if (a->o.full) {
		a->o.n = start;
		a->o.full = false;
		return;
	}
	a->ns++;
}

/* The records of a type, beginning with another one each time. offs (may be NULL) gets the places of
 * their data, n_offs how many. */
static bool
put_type(struct ans *a, uint16_t owner, struct znode *n, uint16_t type, uint16_t *count,
	uint16_t *offs, unsigned *n_offs)
{
	bool any = false;
	uint32_t first = n->n > 0 ? n->turn++ % n->n : 0;

	for (uint32_t k = 0; k < n->n; k++) {
		const struct zrr *r = &n->rrs[(first + k) % n->n];

		if (r->type != type)
			continue;
		any = true;
		if (!put_rr(a, owner, r)) {
			a->truncated = true;
			return true;
		}
		(*count)++;
		if (offs != NULL && *n_offs < EXTRA_MAX && a->data_at < 0x3ff0)
			offs[(*n_offs)++] = (uint16_t)a->data_at;
	}
	return any;
}

/* Addresses of SRV targets; what does not fit is left out without a word (RFC 2181 9). */
static void
put_targets(struct ans *a, const uint16_t *offs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		size_t at = offs[i] + 6u;
		uint16_t owner = (uint16_t)at;
		struct dname target;
		struct znode *node = NULL;
		bool was = a->truncated;

		if (dname_parse(str_from((const char *)a->o.p, a->o.n), &at, &target) < 0)
			continue;
		node = map_get(&a->z->nodes, dname_str(&target));
		if (node == NULL)
			continue;
		put_type(a, owner, node, T_A, &a->ar, NULL, NULL);
		put_type(a, owner, node, T_AAAA, &a->ar, NULL, NULL);
		a->truncated = was;
	}
}

static const struct zrr *
find_cname(const struct znode *n)
{
	for (uint32_t i = 0; i < n->n; i++)
		if (n->rrs[i].type == T_CNAME)
			return &n->rrs[i];
	return NULL;
}

/* a-b-c-d.<namespace>.pod.<domain>: 1 = an address, 0 = a name that exists, -1 = none of these. */
static int
pod_name(const struct dns_zone *z, const struct dname *name, struct ip_addr *ret)
{
	struct dname ns, top;
	struct str label = dname_label(name);
	char text[IP_TEXT_MAX];
	int dashes = 0;

	if (!z->pod_names || !dname_is_under(name, &z->pod_domain))
		return -1;
	dname_parent(name, &ns);
	if (dname_eq(&ns, &z->pod_domain))
		return 0; /* a namespace */
	dname_parent(&ns, &top);
	if (!dname_eq(&top, &z->pod_domain) || label.n >= sizeof(text))
		return -1;
	for (size_t i = 0; i < label.n; i++)
		dashes += label.p[i] == '-';
	for (unsigned family = 0; family < 2; family++) {
		if (family == 0 && dashes != 3)
			continue;
		for (size_t i = 0; i < label.n; i++)
			text[i] = label.p[i] != '-' ? label.p[i] : family == 0 ? '.' : ':';
		if (ip_parse(str_from(text, label.n), ret) == 0)
			return 1;
	}
	return -1;
}

static unsigned
answer_pod(struct ans *a, const struct dname *name, uint16_t owner)
{
	struct ip_addr ip = {0};
	int kind = pod_name(a->z, name, &ip);
	struct zrr r = {.type = ip.family == 4 ? T_A : T_AAAA, .n = (uint16_t)ip_size(&ip)};

	if (kind < 0)
		return RC_NXDOMAIN;
	memcpy(r.data.in, ip.b, sizeof(ip.b));
	if (kind == 1 && a->q->type == r.type && put_rr(a, owner, &r))
		a->an++;
	return RC_OK;
}

/* The answer section for names of the zone. Returns the rcode; *ret_more: it ends in a CNAME that leads
 * elsewhere. */
static unsigned
answer_name(struct ans *a, bool *ret_more)
{
	uint16_t offs[EXTRA_MAX], owner = DNS_HEADER;
	struct dname name = a->q->name;
	unsigned n_offs = 0;

	for (unsigned hop = 0; hop < CNAMES_MAX; hop++) {
		struct znode *n = map_get(&a->z->nodes, dname_str(&name));
		const struct zrr *cname = n != NULL ? find_cname(n) : NULL;

		if (n == NULL)
			return answer_pod(a, &name, owner);
		if (cname == NULL || a->q->type == T_CNAME) {
			if (a->q->type == T_SOA && dname_eq(&name, &a->z->domain)) {
				put_soa(a, owner);
				a->an += a->ns; /* it is the answer, not its authority */
				a->ns = 0;
				return RC_OK;
			}
			put_type(a, owner, n, a->q->type, &a->an, offs, &n_offs);
			if (a->q->type == T_SRV && !a->truncated)
				put_targets(a, offs, n_offs);
			return RC_OK;
		}
		if (!put_rr(a, owner, cname)) {
			a->truncated = true;
			return RC_OK;
		}
		a->an++;
		/* the owner of what follows is the target just written */
		owner = (uint16_t)a->data_at;
		memcpy(name.b, zrr_data(cname), cname->n);
		name.n = (uint8_t)cname->n;
		if (!dname_is_under(&name, &a->z->domain)) {
			*ret_more = true;
			return RC_OK;
		}
	}
	return RC_SERVFAIL; /* a loop of ExternalNames */
}

static void
begin(struct ans *a, struct str msg)
{
	const struct dquery *q = a->q;
	size_t tail = q->question_end - DNS_HEADER;

	a->o.n = DNS_HEADER;
	if (a->o.max < DNS_HEADER)
		a->o.full = true;
	dout_bytes(&a->o, msg.p + DNS_HEADER, tail);
	if (dname_is_under(&q->name, &a->z->domain))
		a->domain_off = (uint16_t)(DNS_HEADER + q->name.n - a->z->domain.n);
}

static size_t
finish(struct ans *a, unsigned rcode, bool can_forward)
{
	const struct dquery *q = a->q;
	uint8_t *h = a->o.p;
	uint16_t flags = (uint16_t)(DNS_QR | DNS_AA | (q->flags & (DNS_RD | DNS_CD)) | rcode);

	if (a->truncated)
		flags |= DNS_TC;
	if (can_forward)
		flags |= DNS_RA;
	a->o.max = a->limit;
	if (q->edns) {
		dout_opt(&a->o, q->dnssec_ok, rcode);
		a->ar++;
	}
	const uint16_t words[6] = {q->id, flags, 1, a->an, a->ns, a->ar};
	for (unsigned i = 0; i < 6; i++) {
		h[2 * i] = (uint8_t)(words[i] >> 8);
		h[2 * i + 1] = (uint8_t)words[i];
	}
	return a->o.n;
}

/* Is the name a reverse one inside a range of ours? The owner of its SOA is arpa's second level. */
static bool
is_own_reverse(const struct dns_zone *z, const struct dname *name, uint16_t *ret_off)
{
	struct ip_addr ip = {0};

	if (z->n_reverse == 0 || !dname_to_ip(name, &ip))
		return false;
	*ret_off = (uint16_t)(DNS_HEADER + name->n - (ip.family == 4 ? 14 : 10));
	for (size_t i = 0; i < z->n_reverse; i++)
		if (ip_prefix_contains(&z->reverse[i], &ip))
			return true;
	return false;
}

static int
refuse(struct str msg, const struct dquery *q, unsigned rcode, uint8_t *out, size_t out_size,
	size_t *ret_n)
{
	*ret_n = dns_error(msg, q, rcode, 0, out, out_size);
	return *ret_n > 0 ? 1 : 2;
}

int
dns_zone_answer(struct dns_zone *z, struct str msg, bool tcp, bool can_forward, uint8_t *out,
	size_t out_size, size_t *ret_n)
{
	struct dquery q;
	struct ans a = {.z = z, .q = &q, .o = {.p = out}};
	int code = dquery_parse(msg, &q);
	bool inside = false, more = false;
	unsigned rcode = RC_OK;
	uint16_t soa_owner = 0;

	if (code < 0)
		return 2;
	if (code > 0)
		return refuse(msg, &q, (unsigned)code, out, out_size, ret_n);
	if ((q.class != 1 && q.class != 255) || q.type == T_ANY || q.type == T_AXFR ||
		q.type == T_IXFR || q.type == T_OPT)
		return refuse(msg, &q, RC_REFUSED, out, out_size, ret_n);
	inside = dname_is_under(&q.name, &z->domain);
	if (!inside && map_get(&z->nodes, dname_str(&q.name)) == NULL &&
		!is_own_reverse(z, &q.name, &soa_owner))
		return can_forward ? 0 : refuse(msg, &q, RC_REFUSED, out, out_size, ret_n);
	a.limit = tcp ? DNS_MSG_MAX : q.udp_size;
	a.limit = a.limit < out_size ? a.limit : out_size;
	a.o.max = a.limit - (q.edns ? DNS_OPT_LEN : 0);
	begin(&a, msg);
	if (a.o.full)
		return refuse(msg, &q, RC_SERVFAIL, out, out_size, ret_n);
	if (inside)
		soa_owner = a.domain_off;
	rcode = answer_name(&a, &more);
	/* a name in full view of the root has no zone to blame: no SOA */
	if (a.an == 0 && !a.truncated && soa_owner != 0)
		put_soa(&a, soa_owner);
	*ret_n = finish(&a, rcode, can_forward);
	return more && can_forward ? 3 : 1;
}
