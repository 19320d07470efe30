/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cut: overlapping permissions become parts that do not overlap.
 *
 * The addresses are walked once, from one place where a rule begins or ends to the next: between two such places the
 * same rules hold, and what they permit together is a short list of protocols and ports. Neighbours with
 * the same list are one. */
#include "netstack/policy/policy_int.h"

#include <errno.h>
#include <stdlib.h>

struct ports {
	uint8_t proto_from, proto_to;
	uint16_t from, to;
};
struct walk {
	struct arena *a;
	const struct policy_rule **rules; /* of the family, by where they begin */
	size_t n_rules, next;
	const struct policy_rule **active;
	size_t n_active;
	struct ports *now, *before; /* permitted in this stretch, and in the one before */
	size_t n_now, n_before;
	struct cut *cuts;
	size_t n_cuts, last; /* last: where the cuts of the stretch before begin */
};

static int
addr_cmp(const struct ip_addr *x, const struct ip_addr *y)
{
	return memcmp(x->b, y->b, sizeof(x->b));
}

static int
by_begin(const void *x, const void *y)
{
	const struct policy_rule *const *a = x, *const *b = y;
	return addr_cmp(&(*a)->from, &(*b)->from);
}

static int
by_addr(const void *x, const void *y)
{
	return addr_cmp(x, y);
}

static int
by_port(const void *x, const void *y)
{
	const struct ports *a = x, *b = y;
	return a->proto_from != b->proto_from ? a->proto_from - b->proto_from : a->from - b->from;
}

static bool
is_last(const struct ip_addr *a)
{
	static const uint8_t ones[16] = {
		255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
	return memcmp(a->b, ones, ip_size(a)) == 0;
}

static bool
counts(const struct policy_rule *r, int family)
{
	return r->from.family == family && r->to.family == family &&
		addr_cmp(&r->from, &r->to) <= 0 && (!r->proto || r->port_from <= r->port_to);
}

/* borders: each address at which something begins, or has just ended; sorted, none twice. */
static size_t
borders(const struct walk *w, struct ip_addr *ret)
{
	size_t n = 0, kept = 0;
	for (size_t i = 0; i < w->n_rules; i++) {
		ret[n++] = w->rules[i]->from;
		if (!is_last(&w->rules[i]->to))
			ret[n++] = ip_add(&w->rules[i]->to, 1);
	}
	qsort(ret, n, sizeof(*ret), by_addr);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || addr_cmp(&ret[i], &ret[kept - 1]) != 0)
			ret[kept++] = ret[i];
	return kept;
}

static void
activate(struct walk *w, const struct ip_addr *at)
{
	size_t kept = 0;
	for (size_t i = 0; i < w->n_active; i++)
		if (addr_cmp(&w->active[i]->to, at) >= 0)
			w->active[kept++] = w->active[i];
	for (; w->next < w->n_rules && addr_cmp(&w->rules[w->next]->from, at) <= 0; w->next++)
		w->active[kept++] = w->rules[w->next];
	w->n_active = kept;
}

/* permitted: what the active rules permit together, sorted, without overlap. */
static void
permitted(struct walk *w)
{
	struct ports *v = w->now;
	size_t n = 0, kept = 0;
	for (size_t i = 0; i < w->n_active; i++) {
		const struct policy_rule *r = w->active[i];
		if (!r->proto) {
			v[0] = (struct ports){0, UINT8_MAX, 0, UINT16_MAX};
			w->n_now = 1;
			return;
		}
		v[n++] = (struct ports){r->proto, r->proto, r->port_from, r->port_to};
	}
	qsort(v, n, sizeof(*v), by_port);
	for (size_t i = 0; i < n; i++) {
		struct ports *last = kept ? &v[kept - 1] : NULL;
		if (!last || last->proto_from != v[i].proto_from || v[i].from > last->to + 1)
			v[kept++] = v[i];
		else if (v[i].to > last->to)
			last->to = v[i].to;
	}
	w->n_now = kept;
}

static bool
as_before(const struct walk *w, const struct ip_addr *at)
{
	if (w->n_now != w->n_before || !w->n_now || w->n_cuts == w->last ||
		is_last(&w->cuts[w->last].to))
		return false;
	struct ip_addr next = ip_add(&w->cuts[w->last].to, 1);
	return addr_cmp(&next, at) == 0 &&
		memcmp(w->now, w->before, w->n_now * sizeof(*w->now)) == 0;
}

/* stretch: from `at` to `end` the active rules hold. */
static int
stretch(struct walk *w, const struct ip_addr *at, const struct ip_addr *end)
{
	permitted(w);
	if (as_before(w, at)) {
		for (size_t i = w->last; i < w->n_cuts; i++)
			w->cuts[i].to = *end;
		return 0;
	}
	w->last = w->n_cuts;
	for (size_t i = 0; i < w->n_now; i++) {
		const struct ports *p = &w->now[i];
		struct cut *c = ARENA_PUSH(w->a, w->cuts, w->n_cuts);
		if (!c)
			return -ENOMEM;
		*c = (struct cut){*at, *end, p->proto_from, p->proto_to, p->from, p->to};
	}
	struct ports *spare = w->before;
	w->before = w->now;
	w->n_before = w->n_now;
	w->now = spare;
	return 0;
}

int
policy_cut(
	struct arena *a, const struct policy_group *g, int family, struct cut **ret, size_t *ret_n)
{
	struct walk w = {.a = a,
		.rules = ARENA_ARRAY(a, const struct policy_rule *, g->n + 1),
		.active = ARENA_ARRAY(a, const struct policy_rule *, g->n + 1),
		.now = ARENA_ARRAY(a, struct ports, g->n + 1),
		.before = ARENA_ARRAY(a, struct ports, g->n + 1)};
	struct ip_addr *at = ARENA_ARRAY(a, struct ip_addr, 2 * g->n + 1);
	if (arena_failed(a))
		return -ENOMEM;
	for (size_t i = 0; i < g->n; i++)
		if (counts(&g->rules[i], family))
			w.rules[w.n_rules++] = &g->rules[i];
	qsort(w.rules, w.n_rules, sizeof(*w.rules), by_begin);
	size_t n = borders(&w, at);
	for (size_t i = 0; i < n; i++) {
		struct ip_addr end = {.family = (uint8_t)family};
		if (i + 1 < n)
			end = ip_before(&at[i + 1]);
		else
			memset(end.b, 0xff, ip_size(&end));
		activate(&w, &at[i]);
		int rc = stretch(&w, &at[i], &end);
		if (rc < 0)
			return rc;
	}
	*ret = w.cuts;
	*ret_n = w.n_cuts;
	return 0;
}
