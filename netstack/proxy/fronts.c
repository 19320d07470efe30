/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Front ends: which (address, protocol, port) leads to which set of endpoints, seen from inside and from
 * outside the cluster. One owner each: a second claimant waits until the first lets go. Also the
 * pairs (endpoint, same endpoint) that need a changed source because a pod reached itself.
 * Contracts in proxy_int.h. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "netstack/proxy/proxy_int.h"

/* ---- elements ---- */

/* The key as laid out in registers; returns its length. */
static size_t
key_bytes(const struct front_key *k, uint8_t out[24])
{
	size_t n = ip_size(&k->addr);

	memset(out, 0, 24);
	memcpy(out, k->addr.b, n);
	out[n] = k->proto;
	out[n + 4] = (uint8_t)(k->port >> 8);
	out[n + 5] = (uint8_t)k->port;
	return n + 8;
}

static void
firewall_emit(const struct proxy *p, struct nl_batch *b, const struct front *f, bool add)
{
	const struct family *fam = family_of(f->key.addr.family);
	const struct proxy_service *s = &f->owner->want;
	uint8_t from[40], to[40];
	size_t n = key_bytes(&f->key, from), len = ip_size(&f->key.addr);

	memcpy(to, from, n);
	(add ? nft_elems_add_begin : nft_elems_del_begin)(b, p->table, fam->firewall);
	for (size_t i = 0; i < s->n_lb_source_ranges; i++) {
		struct ip_prefix r = ip_prefix_masked(&s->lb_source_ranges[i]);
		struct ip_addr last = ip_prefix_last(&r);

		if (r.addr.family != f->key.addr.family)
			continue;
		memcpy(from + n, r.addr.b, len);
		memcpy(to + n, last.b, len);
		nft_elem_concat_range(b, from, to, n + len);
	}
	nft_elems_end(b);
}

void
front_emit(const struct proxy *p, struct nl_batch *b, const struct front *f, bool add)
{
	const struct family *fam = family_of(f->key.addr.family);
	uint8_t key[24];
	size_t n = key_bytes(&f->key, key);

	for (int side = INSIDE; side <= OUTSIDE; side++) {
		uint32_t data[2] = {f->sid[side], f->flags};

		(add ? nft_elems_add_begin : nft_elems_del_begin)(b, p->table, fam->side[side]);
		nft_elem(b, key, n, add ? data : NULL, sizeof(data));
		nft_elems_end(b);
	}
	if (f->flags & FRONT_FIREWALL)
		firewall_emit(p, b, f, add);
}

void
hairpin_emit(const struct proxy *p, struct nl_batch *b, const struct ip_addr *a, bool add)
{
	const struct family *fam = family_of(a->family);
	uint8_t key[32];
	size_t n = ip_size(a);

	memcpy(key, a->b, n);
	memcpy(key + n, a->b, n);
	(add ? nft_elems_add_begin : nft_elems_del_begin)(b, p->table, fam->hairpin);
	nft_elem(b, key, 2 * n, NULL, 0);
	nft_elems_end(b);
}

/* ---- claims ---- */

static struct str
key_str(const struct front_key *k)
{
	return str_from((const char *)k, sizeof(*k));
}

static void
front_remove(struct proxy *p, struct front *f)
{
	struct nl_batch *b = proxy_batch(p);

	if (b != NULL)
		front_emit(p, b, f, false);
	if (f->key.proto == IPPROTO_UDP) {
		map_put(&p->udp_removed, key_str(&f->key), p, NULL);
		proxy_udp_changed(p, f->key.addr.family);
	}
	map_del(&p->fronts, key_str(&f->key));
	p->stats.frontends--;
	free(f);
}

/* One front end of service s: taken, changed, or refused because another service has it. */
static int
front_claim(struct proxy *p, struct svc *s, const struct front *want)
{
	struct front *f = map_get(&p->fronts, key_str(&want->key));
	struct nl_batch *b = proxy_batch(p);

	if (f != NULL && f->owner != s) {
		s->conflict = true;
		return 0;
	}
	if (f != NULL && f->wanted)
		return 0; /* listed twice */
	if (f != NULL && f->sid[INSIDE] == want->sid[INSIDE] &&
		f->sid[OUTSIDE] == want->sid[OUTSIDE] && f->flags == want->flags) {
		f->wanted = true;
		return 0;
	}
	if (f == NULL) {
		f = calloc(1, sizeof(*f));
		if (f == NULL || map_put(&p->fronts, key_str(&want->key), f, NULL) < 0) {
			free(f);
			return -ENOMEM;
		}
		*f = (struct front){.next = s->fronts};
		s->fronts = f;
		p->stats.frontends++;
		if (want->key.proto == IPPROTO_UDP)
			proxy_udp_changed(p, want->key.addr.family);
	} else if (b != NULL) {
		front_emit(p, b, f, false);
	}
	f->key = want->key;
	f->owner = s;
	memcpy(f->sid, want->sid, sizeof(f->sid));
	f->flags = want->flags;
	f->wanted = true;
	if (b != NULL)
		front_emit(p, b, f, true);
	return 0;
}

/* The front ends a list of addresses gives. external: policy and flags of spec.external*. */
static int
claim_list(struct proxy *p, struct svc *s, const struct ip_addr *addrs, size_t n, uint16_t port,
	bool external, uint32_t flags)
{
	bool local = external ? s->want.external_local : s->want.internal_local;

	for (size_t i = 0; i < n; i++) {
		const struct epset *sets = s->sets[family_index(addrs[i].family)];
		struct front f = {0};
		int code = 0;

		/* a service has the families of its cluster addresses */
		if (!ip_is_set(&addrs[i]) || sets[SET_CLUSTER].sid == 0)
			continue;
		f.key = (struct front_key){addrs[i], s->want.proto, port};
		/* from inside, external addresses are a short cut to all endpoints */
		f.sid[INSIDE] = sets[local && !external ? SET_LOCAL : SET_CLUSTER].sid;
		f.sid[OUTSIDE] = sets[local ? SET_LOCAL : SET_CLUSTER].sid;
		f.flags = flags;
		if (external && !s->is_hostport)
			f.flags |= local ? FRONT_KEEP : FRONT_MASQ;
		code = front_claim(p, s, &f);
		if (code < 0)
			return code;
	}
	return 0;
}

static int
claim_hostport(struct proxy *p, struct svc *s)
{
	static const struct ip_addr loopback = {4, {127, 0, 0, 1}};
	int code = 0;

	if (ip_is_set(&s->host_ip) && !ip_is_unspecified(&s->host_ip))
		return claim_list(p, s, &s->host_ip, 1, s->want.port, true, FRONT_KEEP);
	for (size_t i = 0; i < p->n_nodes && code == 0; i++)
		if (!ip_is_set(&s->host_ip) || s->host_ip.family == p->nodes[i].family)
			code = claim_list(p, s, &p->nodes[i], 1, s->want.port, true, FRONT_KEEP);
	if (code == 0 && s->host_ip.family != 6)
		code = claim_list(p, s, &loopback, 1, s->want.port, true, FRONT_KEEP);
	return code;
}

static int
claim_all(struct proxy *p, struct svc *s)
{
	const struct proxy_service *w = &s->want;
	int code = 0;

	if (s->is_hostport)
		return claim_hostport(p, s);
	code = claim_list(p, s, w->cluster_ips, w->n_cluster_ips, w->port, false, 0);
	if (code == 0)
		code = claim_list(p, s, w->external_ips, w->n_external_ips, w->port, true, 0);
	if (code == 0)
		code = claim_list(p, s, w->lb_ips, w->n_lb_ips, w->port, true,
			w->n_lb_source_ranges > 0 ? FRONT_FIREWALL : 0);
	if (code == 0 && w->node_port != 0)
		code = claim_list(p, s, p->nodes, p->n_nodes, w->node_port, true, 0);
	return code;
}

/* Front ends of s without the mark go; the marks are taken off the others. */
static void
sweep(struct proxy *p, struct svc *s)
{
	struct front **at = &s->fronts;

	while (*at != NULL) {
		struct front *f = *at;

		if (f->wanted) {
			f->wanted = false;
			at = &f->next;
			continue;
		}
		*at = f->next;
		front_remove(p, f);
	}
}

int
fronts_apply(struct proxy *p, struct svc *s)
{
	bool had_conflict = s->conflict;
	int code = 0;

	s->conflict = false;
	code = claim_all(p, s);
	p->n_conflicts += (size_t)s->conflict - (size_t)had_conflict;
	sweep(p, s);
	return code;
}

void
fronts_drop(struct proxy *p, struct svc *s)
{
	p->n_conflicts -= s->conflict;
	s->conflict = false;
	sweep(p, s);
}

void
fronts_reclaim(struct proxy *p)
{
	struct str name = STR_NONE;
	void *value = NULL;
	size_t pos = 0;

	if (p->n_conflicts == 0)
		return;
	while (map_next(&p->services, &pos, &name, &value)) {
		struct svc *s = value;

		if (s->conflict)
			fronts_apply(p, s);
	}
}

/* ---- hairpins ---- */

static int
hairpin_count(struct proxy *p, const struct ip_addr *a, int by)
{
	struct str key = str_from((const char *)a, sizeof(*a));
	uintptr_t n = (uintptr_t)map_get(&p->hairpins, key), now = n + (uintptr_t)by;
	struct nl_batch *b = NULL;

	if (now == 0)
		map_del(&p->hairpins, key);
	else if (map_put(&p->hairpins, key, (void *)now, NULL) < 0)
		return -ENOMEM;
	if ((n == 0) != (now == 0) && (b = proxy_batch(p)) != NULL)
		hairpin_emit(p, b, a, now != 0);
	return 0;
}

int
hairpins_apply(struct proxy *p, struct svc *s)
{
	const struct proxy_service *w = &s->want;
	struct ip_addr *now = calloc(w->n_endpoints + 1, sizeof(*now)), *old = s->hairpins;
	size_t n = 0, n_old = s->n_hairpins;
	int code = now == NULL ? -ENOMEM : 0;

	for (size_t i = 0; i < w->n_endpoints && code == 0; i++)
		if (w->endpoints[i].flags & PROXY_EP_LOCAL) {
			code = hairpin_count(p, &w->endpoints[i].addr, 1);
			if (code == 0)
				now[n++] = w->endpoints[i].addr;
		}
	for (size_t i = 0; i < n_old; i++)
		hairpin_count(p, &old[i], -1);
	free(old);
	s->hairpins = now;
	s->n_hairpins = n;
	return code;
}
