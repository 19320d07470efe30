/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * One service port: which endpoints count for which policy, how they lie over slots, and the elements
 * that differ from before. All of it from the description alone; the kernel is never asked.
 * Source: KEP-1669 (terminating endpoints take over when none is ready), KEP-2086, KEP-2433. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "netstack/proxy/proxy_int.h"

/* ---- numbers of sets ---- */

/* Made from the name, so that a later process finds the same number and affinities keep their meaning. */
static uint32_t
sid_take(struct proxy *p, struct svc *s, unsigned family, unsigned kind)
{
	uint32_t sid = hash_fnv32a(str_c(s->key)) * 4 + family * 2 + kind;

	for (;; sid += 4) {
		struct str key = str_from((const char *)&sid, sizeof(sid));

		if (sid == 0 || map_get(&p->sids, key) != NULL)
			continue;
		return map_put(&p->sids, key, s, NULL) < 0 ? 0 : sid;
	}
}

static void
sid_put(struct proxy *p, uint32_t sid)
{
	map_del(&p->sids, str_from((const char *)&sid, sizeof(sid)));
}

/* ---- elements of a set of endpoints ---- */

static size_t
ep_bytes(const struct ep *e, uint8_t out[20])
{
	size_t n = ip_size(&e->addr);

	memset(out, 0, 20);
	memcpy(out, e->addr.b, n);
	out[n] = (uint8_t)(e->port >> 8);
	out[n + 1] = (uint8_t)e->port;
	return n + 4;
}

static const struct ep *
slot_ep(const struct epset *s, uint32_t i)
{
	return i < s->n_slots ? &s->eps[s->slots[i]] : NULL;
}

/* Slots that `a` has and `b` has not, or not so. */
static void
emit_slots(const struct proxy *p, struct nl_batch *b, const struct family *f,
	const struct epset *set, const struct epset *other, bool add)
{
	(add ? nft_elems_add_begin : nft_elems_del_begin)(b, p->table, f->ep);
	for (uint32_t i = 0; i < set->n_slots; i++) {
		const struct ep *mine = slot_ep(set, i), *theirs = slot_ep(other, i);
		uint32_t key[2] = {set->sid, i};
		uint8_t data[20];
		size_t n = 0;

		if (theirs != NULL && ep_cmp(mine, theirs) == 0)
			continue;
		n = ep_bytes(mine, data);
		nft_elem(b, key, sizeof(key), add ? data : NULL, n);
	}
	nft_elems_end(b);
}

/* Endpoints of `set` missing in `other`, in the set of those that may be returned to. */
static void
emit_alive(const struct proxy *p, struct nl_batch *b, const struct family *f,
	const struct epset *set, const struct epset *other, bool add)
{
	uint32_t j = 0, n_other = other->affinity_s != 0 ? other->n : 0;

	if (set->affinity_s == 0)
		return;
	(add ? nft_elems_add_begin : nft_elems_del_begin)(b, p->table, f->alive);
	for (uint32_t i = 0; i < set->n; i++) {
		uint8_t key[24];
		int c = 1;

		while (j < n_other && (c = ep_cmp(&other->eps[j], &set->eps[i])) < 0)
			j++;
		if (j < n_other && c == 0)
			continue;
		memcpy(key, &set->sid, 4);
		nft_elem(b, key, 4 + ep_bytes(&set->eps[i], key + 4), NULL, 0);
	}
	nft_elems_end(b);
}

static void
emit_number(const struct proxy *p, struct nl_batch *b, const char *map, uint32_t key, uint32_t old,
	uint32_t now)
{
	if (old == now)
		return;
	if (old != 0) {
		nft_elems_del_begin(b, p->table, map);
		nft_elem(b, &key, sizeof(key), NULL, 0);
		nft_elems_end(b);
	}
	if (now != 0) {
		nft_elems_add_begin(b, p->table, map);
		nft_elem(b, &key, sizeof(key), &now, sizeof(now));
		nft_elems_end(b);
	}
}

/* The elements that lead from old to now; either may be {0}. */
static void
emit_set(const struct proxy *p, struct nl_batch *b, const struct family *f, const struct epset *old,
	const struct epset *now)
{
	uint32_t sid = now->sid != 0 ? now->sid : old->sid;

	emit_slots(p, b, f, old, now, false);
	emit_slots(p, b, f, now, old, true);
	emit_alive(p, b, f, old, now, false);
	emit_alive(p, b, f, now, old, true);
	emit_number(p, b, "cnt", sid, old->class, now->class);
	emit_number(p, b, "time", sid, old->affinity_s, now->affinity_s);
}

/* ---- which endpoints ---- */

enum choice { ALL_NEAR, ALL_READY, ALL_SERVING, LOCAL_READY, LOCAL_SERVING };

static bool
counts(const struct proxy_endpoint *e, enum choice c)
{
	const uint32_t serving = PROXY_EP_SERVING | PROXY_EP_TERMINATING;

	switch (c) {
	case ALL_NEAR:
		return (e->flags & (PROXY_EP_READY | PROXY_EP_FAR)) == PROXY_EP_READY;
	case ALL_READY:
		return (e->flags & PROXY_EP_READY) != 0;
	case ALL_SERVING:
		return (e->flags & serving) == serving;
	case LOCAL_READY:
		return (e->flags & PROXY_EP_READY) && (e->flags & PROXY_EP_LOCAL);
	case LOCAL_SERVING:
		return (e->flags & serving) == serving && (e->flags & PROXY_EP_LOCAL);
	}
	return false;
}

static uint32_t
choose(const struct proxy_service *w, int family, enum choice from, enum choice to, struct ep *out)
{
	uint32_t n = 0, kept = 0;

	for (unsigned c = from; c <= to && n == 0; c++)
		for (size_t i = 0; i < w->n_endpoints && n < PROXY_ENDPOINTS_MAX; i++) {
			const struct proxy_endpoint *e = &w->endpoints[i];

			if (e->addr.family == family && counts(e, c))
				out[n++] = (struct ep){e->addr, e->port};
		}
	qsort(out, n, sizeof(*out), ep_cmp);
	for (uint32_t i = 0; i < n; i++)
		if (kept == 0 || ep_cmp(&out[kept - 1], &out[i]) != 0)
			out[kept++] = out[i];
	return kept;
}

static bool
has_family(const struct svc *s, int family)
{
	const struct proxy_service *w = &s->want;

	/* a host port has its pod's families */
	for (size_t i = 0; s->is_hostport && i < w->n_endpoints; i++)
		if (w->endpoints[i].addr.family == family)
			return true;
	for (size_t i = 0; i < w->n_cluster_ips; i++)
		if (w->cluster_ips[i].family == family)
			return true;
	return false;
}

static uint32_t
class_of(uint32_t n, bool anybody)
{
	if (n == 0)
		return anybody ? CLASS_DROP : CLASS_REJECT;
	return slots_count(n);
}

static int
time_ensure(struct proxy *p, uint32_t seconds)
{
	struct nl_batch *b = NULL;
	uint32_t *more = NULL;

	for (size_t i = 0; i < p->n_times; i++)
		if (p->times[i] == seconds)
			return 0;
	more = realloc(p->times, (p->n_times + 1) * sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	p->times = more;
	p->times[p->n_times++] = seconds;
	b = proxy_batch(p);
	if (b != NULL)
		chains_time_add(p, b, seconds);
	return 0;
}

/* Builds the set anew from `eps` (taken), with the slots of the old one where they fit. */
static int
set_make(const struct epset *old, struct ep *eps, uint32_t n, struct epset *ret)
{
	struct epset now = {.eps = eps, .n = n, .n_slots = slots_count(n)};
	int code = 0;

	now.slots = calloc(now.n_slots + 1, sizeof(*now.slots));
	code = now.slots == NULL ? -ENOMEM : slots_assign(old, eps, n, now.slots);
	if (code < 0) {
		epset_release(&now);
		return code;
	}
	*ret = now;
	return 0;
}

static int
set_apply(struct proxy *p, struct svc *s, unsigned f, unsigned kind, bool exists, bool anybody)
{
	struct epset *set = &s->sets[f][kind], now = {0};
	struct ep *eps = NULL;
	struct nl_batch *b = NULL;
	uint32_t n = 0;
	int code = 0;

	if (exists) {
		eps = calloc(s->want.n_endpoints + 1, sizeof(*eps));
		if (eps == NULL)
			return -ENOMEM;
		n = choose(&s->want, families[f].family, kind == SET_LOCAL ? LOCAL_READY : ALL_NEAR,
			kind == SET_LOCAL ? LOCAL_SERVING : ALL_SERVING, eps);
		code = set_make(set, eps, n, &now);
		if (code < 0)
			return code;
		now.sid = set->sid != 0 ? set->sid : sid_take(p, s, f, kind);
		now.affinity_s = s->want.affinity_s;
		now.class = class_of(n, anybody || n > 0);
		if (now.sid == 0) {
			epset_release(&now);
			return -ENOMEM;
		}
	} else if (set->sid != 0) {
		sid_put(p, set->sid);
	}
	if (set->sid == 0 && now.sid == 0)
		return 0;
	b = proxy_batch(p);
	if (b != NULL)
		emit_set(p, b, &families[f], set, &now);
	if (s->want.proto == IPPROTO_UDP &&
		(now.n != set->n || memcmp(now.eps, set->eps, now.n * sizeof(*now.eps)) != 0))
		proxy_udp_changed(p, families[f].family);
	p->stats.endpoints += now.n - (size_t)set->n;
	epset_release(set);
	*set = now;
	return 0;
}

int
svc_apply(struct proxy *p, struct svc *s)
{
	bool local = s->want.external_local || s->want.internal_local;
	int code = 0;

	if (s->want.affinity_s != 0)
		code = time_ensure(p, s->want.affinity_s);
	for (unsigned f = 0; f < 2 && code == 0; f++) {
		bool exists = has_family(s, families[f].family), anybody = false;

		code = set_apply(p, s, f, SET_CLUSTER, exists, false);
		anybody = s->sets[f][SET_CLUSTER].n > 0;
		if (code == 0)
			code = set_apply(p, s, f, SET_LOCAL, exists && local, anybody);
	}
	if (code == 0)
		code = fronts_apply(p, s);
	if (code == 0)
		code = hairpins_apply(p, s);
	return code;
}

void
svc_emit_all(struct proxy *p, struct nl_batch *b, struct svc *s)
{
	static const struct epset none;

	for (unsigned f = 0; f < 2; f++)
		for (unsigned kind = 0; kind < 2; kind++)
			if (s->sets[f][kind].sid != 0)
				emit_set(p, b, &families[f], &none, &s->sets[f][kind]);
}

void
svc_free(struct proxy *p, struct svc *s)
{
	static const struct epset none;
	struct nl_batch *b = NULL;

	s->want.n_endpoints = 0;
	fronts_drop(p, s);
	hairpins_apply(p, s);
	for (unsigned f = 0; f < 2; f++)
		for (unsigned kind = 0; kind < 2; kind++) {
			struct epset *set = &s->sets[f][kind];

			if (set->sid == 0)
				continue;
			b = proxy_batch(p);
			if (b != NULL)
				emit_set(p, b, &families[f], set, &none);
			if (s->want.proto == IPPROTO_UDP)
				proxy_udp_changed(p, families[f].family);
			sid_put(p, set->sid);
			p->stats.endpoints -= set->n;
			epset_release(set);
		}
	free(s->hairpins);
	free(s->block);
	free(s->key);
	free(s);
}
