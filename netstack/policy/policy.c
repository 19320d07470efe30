/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * policy: what is wanted as a sorted list of elements, and the difference to what the kernel has. See policy.h.
 *
 * A group's number is a hash of its content, so that it is the same in every process and pods with the same
 * permissions share its elements. Invariant: while `live`, `have` is what the kernel has; a refused batch ends that,
 * and the next one sends everything. */
#include "netstack/policy/policy.h"

#include "base/clock.h"
#include "base/hash.h"
#include "netstack/policy/policy_int.h"

#include <errno.h>
#include <stdlib.h>

#include <linux/netlink.h>

enum { RETRY_FIRST_MS = 100, RETRY_MAX_MS = 30000 };

struct policy {
	struct loop *loop;
	struct nl_sock sock;
	char table[32];
	uint64_t layout; /* fingerprint of the fixed part, kept with the table */
	bool found;      /* the table is there as this program makes it */
	bool live, set;  /* live: the kernel has `have`; set: policy_set has been called */
	struct elements have, want;
	bool changed; /* want differs from have */
	struct loop_work work;
	struct loop_timer retry;
	int64_t retry_ns;
	void (*on_error)(void *arg, const struct err *e);
	void *arg;
	struct policy_stats stats;
};

/* ---- what is wanted, as elements ---- */

struct making {
	struct arena *a;
	struct element *v; /* arena */
	size_t n;
	uint32_t *numbers; /* of the groups */
};

static int
element_cmp(const void *x, const void *y)
{
	return memcmp(x, y, sizeof(struct element));
}

static struct element *
element_new(struct making *m, int family, enum set_form form, enum policy_direction d)
{
	struct element *e = ARENA_PUSH(m->a, m->v, m->n);
	if (e)
		e->set = policy_set_index(family == 6, form, d);
	return e;
}

/* key_of: number, address, protocol, port as they lie in registers. */
static void
key_of(uint8_t *out, uint32_t number, const struct ip_addr *addr, uint8_t proto, uint16_t port)
{
	size_t len = ip_size(addr);
	memcpy(out, &number, sizeof(number));
	memcpy(out + 4, addr->b, len);
	out[4 + len] = proto;
	out[8 + len] = (uint8_t)(port >> 8);
	out[9 + len] = (uint8_t)port;
}

/* number_of: of what the cuts say; never 0. */
static uint32_t
number_of(const struct cut *const *cuts, const size_t *n)
{
	uint64_t h = 1;
	for (size_t f = 0; f < 2; f++) {
		uint64_t one = hash_fnv64a(
			str_from((const char *)cuts[f], n[f] * sizeof(*cuts[f])));
		h = h * 0x100000001b3u + one;
	}
	uint32_t number = (uint32_t)(h ^ h >> 32);
	return number ? number : 1;
}

/* number_free: another group has not got it; its content is compared by the elements that are there. */
static bool
number_taken(const struct making *m, size_t group, uint32_t number)
{
	for (size_t i = 0; i < group; i++)
		if (m->numbers[i] == number)
			return true;
	return false;
}

static int
allow_put(struct making *m, enum policy_direction d, uint32_t number, const struct cut *c)
{
	struct element *e = element_new(m, c->from.family, SET_ALLOW, d);
	if (!e)
		return -ENOMEM;
	key_of(e->from, number, &c->from, c->proto_from, c->port_from);
	key_of(e->to, number, &c->to, c->proto_to, c->port_to);
	return 0;
}

struct group_cuts {
	struct cut *v[2];
	size_t n[2];
};

static bool
cuts_eq(const struct group_cuts *x, const struct group_cuts *y)
{
	for (size_t f = 0; f < 2; f++)
		if (x->n[f] != y->n[f] ||
			(x->n[f] && memcmp(x->v[f], y->v[f], x->n[f] * sizeof(*x->v[f])) != 0))
			return false;
	return true;
}

/* groups_number: equal content has the same number, other content another one. */
static int
groups_number(struct making *m, const struct policy_state *s, struct group_cuts *cuts)
{
	for (size_t i = 0; i < s->n_groups; i++) {
		int rc = policy_cut(m->a, &s->groups[i], 4, &cuts[i].v[0], &cuts[i].n[0]);
		if (rc == 0)
			rc = policy_cut(m->a, &s->groups[i], 6, &cuts[i].v[1], &cuts[i].n[1]);
		if (rc < 0)
			return rc;
		uint32_t number = number_of((const struct cut *const *)cuts[i].v, cuts[i].n);
		size_t same = 0;
		while (same < i && !(m->numbers[same] == number && cuts_eq(&cuts[same], &cuts[i])))
			same++;
		while (same == i && number_taken(m, i, number))
			number = number + 1 ? number + 1 : 1;
		m->numbers[i] = number;
	}
	return 0;
}

/* used_put: the permissions of groups that have members in that direction, each number once. */
static int
used_put(struct making *m, const struct policy_state *s, const struct group_cuts *cuts,
	enum policy_direction d, const bool *used)
{
	for (size_t i = 0; i < s->n_groups; i++) {
		bool done = !used[i];
		for (size_t k = 0; !done && k < i; k++)
			done = used[k] && m->numbers[k] == m->numbers[i];
		for (size_t f = 0; !done && f < 2; f++)
			for (size_t k = 0; k < cuts[i].n[f]; k++)
				if (allow_put(m, d, m->numbers[i], &cuts[i].v[f][k]) < 0)
					return -ENOMEM;
	}
	return 0;
}

static int
member_put(struct making *m, const struct policy_member *p)
{
	size_t len = ip_size(&p->addr);
	struct element *e = element_new(m, p->addr.family, SET_PODS, p->direction);
	if (!e)
		return -ENOMEM;
	memcpy(e->from, p->addr.b, len);
	memcpy(e->to, &m->numbers[p->group], sizeof(uint32_t));
	struct element *self = element_new(m, p->addr.family, SET_SELF, p->direction);
	if (!self)
		return -ENOMEM;
	memcpy(self->from, p->addr.b, len);
	memcpy(self->from + len, p->addr.b, len);
	return 0;
}

static int
elements_make(struct making *m, const struct policy_state *s)
{
	struct group_cuts *cuts = ARENA_ARRAY(m->a, struct group_cuts, s->n_groups + 1);
	bool *used[POLICY__DIRECTIONS];
	for (size_t d = 0; d < POLICY__DIRECTIONS; d++)
		used[d] = ARENA_ARRAY(m->a, bool, s->n_groups + 1);
	m->numbers = ARENA_ARRAY(m->a, uint32_t, s->n_groups + 1);
	int rc = arena_failed(m->a) ? -ENOMEM : groups_number(m, s, cuts);
	for (size_t i = 0; rc == 0 && i < s->n_members; i++) {
		used[s->members[i].direction][s->members[i].group] = true;
		rc = member_put(m, &s->members[i]);
	}
	for (int d = 0; rc == 0 && d < POLICY__DIRECTIONS; d++)
		rc = used_put(m, s, cuts, d, used[d]);
	return rc;
}

static int
elements_take(const struct making *m, struct elements *ret)
{
	struct element *v = calloc(m->n + 1, sizeof(*v));
	size_t n = 0;
	if (!v)
		return -ENOMEM;
	if (m->n)
		qsort(m->v, m->n, sizeof(*m->v), element_cmp);
	for (size_t i = 0; i < m->n; i++)
		if (i == 0 || element_cmp(&m->v[i], &v[n - 1]) != 0)
			v[n++] = m->v[i];
	*ret = (struct elements){v, n};
	return 0;
}

static bool
elements_eq(const struct elements *x, const struct elements *y)
{
	return x->n == y->n && (!x->n || memcmp(x->v, y->v, x->n * sizeof(*x->v)) == 0);
}

int
policy_set(struct policy *p, const struct policy_state *s)
{
	struct making m = {.a = arena_new((size_t)1 << 30)};
	struct elements want = {0};
	int rc = m.a ? elements_make(&m, s) : -ENOMEM;
	if (rc == 0)
		rc = elements_take(&m, &want);
	arena_free(m.a);
	if (rc < 0)
		return rc;
	free(p->want.v);
	p->want = want;
	p->stats.elements = want.n;
	p->changed = !p->set || !elements_eq(&p->want, &p->have);
	p->set = true;
	if (p->changed && p->loop)
		loop_defer(p->loop, &p->work);
	return 0;
}

/* ---- sending ---- */

/* difference: elements of x that y has not. heap; NULL = no memory. */
static struct element *
difference(const struct elements *x, const struct elements *y, size_t *ret_n)
{
	struct element *v = calloc(x->n + 1, sizeof(*v));
	size_t n = 0, k = 0;
	for (size_t i = 0; v && i < x->n; i++) {
		while (k < y->n && element_cmp(&y->v[k], &x->v[i]) < 0)
			k++;
		if (k == y->n || element_cmp(&y->v[k], &x->v[i]) != 0)
			v[n++] = x->v[i];
	}
	*ret_n = n;
	return v;
}

static int
build_difference(struct policy *p, struct nl_batch *b)
{
	size_t n_gone = 0, n_new = 0;
	struct element *gone = difference(&p->have, &p->want, &n_gone);
	struct element *fresh = difference(&p->want, &p->have, &n_new);
	int rc = gone && fresh ? 0 : -ENOMEM;
	if (rc == 0) {
		policy_elements_send(p->table, b, gone, n_gone, false);
		policy_elements_send(p->table, b, fresh, n_new, true);
		p->stats.removed += n_gone;
		p->stats.added += n_new;
	}
	free(gone);
	free(fresh);
	return rc;
}

static int
build_all(struct policy *p, struct nl_batch *b)
{
	if (p->found) {
		policy_elements_flush(p->table, b);
	} else {
		nft_table_add(b, p->table, 0);
		nft_table_del(b, p->table);
		nft_table_add(b, p->table, p->layout);
		policy_rules_build(p->table, b);
	}
	policy_elements_send(p->table, b, p->want.v, p->want.n, true);
	p->stats.added += p->want.n;
	return 0;
}

static int
have_want(struct policy *p)
{
	struct element *v = calloc(p->want.n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	if (p->want.n)
		memcpy(v, p->want.v, p->want.n * sizeof(*v));
	free(p->have.v);
	p->have = (struct elements){v, p->want.n};
	return 0;
}

static void
retry_later(struct policy *p)
{
	p->retry_ns = p->retry_ns ? p->retry_ns * 2 : RETRY_FIRST_MS * NS_PER_MS;
	if (p->retry_ns > RETRY_MAX_MS * NS_PER_MS)
		p->retry_ns = RETRY_MAX_MS * NS_PER_MS;
	if (p->loop)
		loop_timer_after(p->loop, &p->retry, p->retry_ns);
}

int
policy_flush(struct policy *p, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	if (p->loop)
		loop_defer_cancel(&p->work);
	if (!p->changed)
		return 0;
	nl_batch_init(&b);
	nft_begin(&b);
	int rc = p->live ? build_difference(p, &b) : build_all(p, &b);
	nft_end(&b);
	if (rc == 0) {
		rc = nl_commit(&p->sock, &b, NULL, e);
		p->stats.batches++;
	}
	p->live = rc == 0 && have_want(p) == 0;
	p->found = rc == 0;
	p->changed = !p->live;
	if (rc < 0) {
		p->stats.errors++;
		retry_later(p);
		return err_wrap(e, "network policies"), rc;
	}
	p->retry_ns = 0;
	return 0;
}

static void
flush(struct policy *p)
{
	struct err e = {0};
	if (policy_flush(p, &e) < 0 && p->on_error)
		p->on_error(p->arg, &e);
}

static void
on_work(struct loop_work *w)
{
	flush(w->arg);
}

static void
on_retry(struct loop_timer *t)
{
	flush(t->arg);
}

/* ---- life ---- */

bool
policy_found_state(const struct policy *p)
{
	return p->found;
}

static int
look(struct policy *p, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	uint64_t layout = 0;
	nl_batch_init(&b);
	policy_rules_build(p->table, &b);
	if (b.out.failed)
		return err_errno(e, -ENOMEM, "network policies");
	p->layout = hash_fnv64a(buf_view(&b.out)) | 1;
	int rc = nft_table_tag(&p->sock, p->table, &layout, e);
	p->found = rc == 0 && layout == p->layout;
	return rc == -ENOENT ? 0 : rc;
}

int
policy_open(struct loop *l, const char *table, void (*on_error)(void *arg, const struct err *e),
	void *arg, struct policy **ret, struct err *e)
{
	struct policy *p = calloc(1, sizeof(*p));
	if (!p)
		return err_errno(e, -ENOMEM, "network policies");
	p->loop = l;
	p->on_error = on_error;
	p->arg = arg;
	p->sock.fd = -1;
	p->work = (struct loop_work){.fn = on_work, .arg = p};
	p->retry = (struct loop_timer){.fn = on_retry, .arg = p};
	int rc = str_copy_c(str_c(table ? table : "keelson-policies"), p->table, sizeof(p->table))
		? 0
		: err_errno(e, -EINVAL, "name of the table");
	if (rc == 0 && (rc = nl_open(&p->sock, NETLINK_NETFILTER)) < 0)
		err_errno(e, rc, "opening a netfilter socket");
	if (rc == 0)
		rc = look(p, e);
	if (rc < 0) {
		policy_close(p);
		return rc;
	}
	*ret = p;
	return 0;
}

void
policy_close(struct policy *p)
{
	if (!p)
		return;
	if (p->loop) {
		loop_defer_cancel(&p->work);
		loop_timer_cancel(&p->retry);
	}
	if (p->sock.fd >= 0)
		nl_close(&p->sock);
	free(p->have.v);
	free(p->want.v);
	free(p);
}

void
policy_stats_get(const struct policy *p, struct policy_stats *ret)
{
	*ret = p->stats;
}
