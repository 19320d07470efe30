/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Sending: the changes of one loop turn as one transaction; everything at once at the start, after which
 * the kernel's state is what memory says whatever was there before; connections of UDP services that
 * still lead to endpoints that are gone. Invariant: while `live`, memory and kernel agree up to the
 * open batch; a refused batch ends that, and the next sync makes it true again.
 * Source: nf_tables transactions (kernel net/netfilter/nf_tables_api.c); kube-proxy's conntrack rules:
 * UDP only, entries of a service address that lead to no present endpoint. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "netstack/proxy/proxy_int.h"

enum { RETRY_FIRST_MS = 100, RETRY_MAX_MS = 30000 };

struct nl_batch *
proxy_batch(struct proxy *p)
{
	if (!p->live)
		return NULL;
	if (p->batch.n == 0) {
		nft_begin(&p->batch);
		if (p->loop != NULL)
			loop_defer(p->loop, &p->work);
	}
	return &p->batch;
}

void
proxy_udp_changed(struct proxy *p, int family)
{
	p->udp_dirty[family_index(family)] = true;
}

/* ---- stale connections ---- */

static bool
leads_to(const struct svc *s, const struct ct_tuple *reply)
{
	const struct ep want = {reply->src, reply->sport};
	const struct epset *sets = s->sets[family_index(reply->src.family)];

	for (unsigned kind = 0; kind < 2; kind++)
		if (sets[kind].n > 0 &&
			bsearch(&want, sets[kind].eps, sets[kind].n, sizeof(want), ep_cmp) != NULL)
			return true;
	return false;
}

static bool
is_stale(void *arg, const struct ct_entry *e)
{
	const struct proxy *p = arg;
	struct front_key k = {e->orig.dst, e->orig.proto, e->orig.dport};
	struct str key = str_from((const char *)&k, sizeof(k));
	const struct front *f = map_get(&p->fronts, key);

	if (f == NULL)
		return (e->status & (1u << 5)) && map_get(&p->udp_removed, key) != NULL;
	return !leads_to(f->owner, &e->reply);
}

static void
forget_stale(struct proxy *p)
{
	for (unsigned f = 0; f < 2; f++) {
		struct err e = {0};
		size_t n = 0;

		if (!p->udp_dirty[f])
			continue;
		p->udp_dirty[f] = false;
		if (ct_flush(&p->sock, families[f].family, IPPROTO_UDP, is_stale, p, &n, &e) < 0) {
			p->stats.errors++;
			if (p->on_error != NULL)
				p->on_error(p->arg, &e);
		}
		p->stats.ct_flushed += n;
	}
	map_release(&p->udp_removed);
	map_init(&p->udp_removed);
}

/* ---- everything at once ---- */

/* The whole wanted state. anew: the table and its rules too; else only its data, by far the cheaper. */
static void
build_all(struct proxy *p, struct nl_batch *b, bool anew)
{
	struct str key = STR_NONE;
	void *value = NULL;
	size_t pos = 0;

	nl_batch_clear(b);
	nft_begin(b);
	if (anew) {
		nft_table_add(b, p->table, 0);
		nft_table_del(b, p->table);
		nft_table_add(b, p->table, p->layout);
		chains_build(p, b);
	} else {
		chains_flush_data(p, b);
	}
	for (size_t i = 0; i < p->n_times; i++)
		chains_time_add(p, b, p->times[i]);
	chains_ranges(p, b);
	while (map_next(&p->services, &pos, &key, &value))
		svc_emit_all(p, b, value);
	for (pos = 0; map_next(&p->fronts, &pos, &key, &value);)
		front_emit(p, b, value, true);
	for (pos = 0; map_next(&p->hairpins, &pos, &key, &value);) {
		struct ip_addr a;

		memcpy(&a, key.p, sizeof(a));
		hairpin_emit(p, b, &a, true);
	}
	nft_end(b);
}

int
proxy_sync(struct proxy *p, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	int code = -ENOENT;

	nl_batch_init(&b);
	if (p->found && !p->damaged) {
		build_all(p, &b, false);
		code = nl_commit(&p->sock, &b, NULL, e);
		p->stats.batches++;
	}
	if (code < 0) {
		build_all(p, &b, true);
		code = nl_commit(&p->sock, &b, NULL, e);
		p->stats.batches++;
	}
	nl_batch_clear(&p->batch);
	p->stats.syncs++;
	p->synced = true;
	p->live = p->found = code == 0;
	if (code < 0) {
		p->stats.errors++;
		return err_wrap(e, "service rules"), code;
	}
	p->damaged = false;
	p->retry_ns = 0;
	p->udp_dirty[0] = p->udp_dirty[1] = true;
	forget_stale(p);
	return 0;
}

static void
retry_later(struct proxy *p)
{
	if (p->loop == NULL)
		return;
	p->retry_ns = p->retry_ns == 0 ? RETRY_FIRST_MS * NS_PER_MS : p->retry_ns * 2;
	if (p->retry_ns > RETRY_MAX_MS * NS_PER_MS)
		p->retry_ns = RETRY_MAX_MS * NS_PER_MS;
	loop_timer_after(p->loop, &p->retry, p->retry_ns);
}

int
proxy_flush(struct proxy *p, struct err *e)
{
	int code = 0;

	if (!p->synced)
		return 0;
	if (!p->live)
		return proxy_sync(p, e);
	if (p->batch.n > 1) { /* more than its beginning */
		nft_end(&p->batch);
		code = nl_commit(&p->sock, &p->batch, NULL, e);
		p->stats.batches++;
	}
	nl_batch_clear(&p->batch);
	if (code < 0) {
		p->live = false;
		p->damaged = true;
		p->stats.errors++;
		retry_later(p);
		return err_wrap(e, "service rules"), code;
	}
	forget_stale(p);
	return 0;
}

static void
report(struct proxy *p, int code, const struct err *e)
{
	if (code < 0 && p->on_error != NULL)
		p->on_error(p->arg, e);
}

static void
on_work(struct loop_work *w)
{
	struct proxy *p = w->arg;
	struct err e = {0};

	report(p, proxy_flush(p, &e), &e);
}

static void
on_retry(struct loop_timer *t)
{
	struct proxy *p = t->arg;
	struct err e = {0};
	int code = p->live ? 0 : proxy_sync(p, &e);

	report(p, code, &e);
	if (code < 0)
		retry_later(p);
}

int
proxy_sync_init(struct proxy *p, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	uint64_t layout = 0;
	int code = 0;

	nl_batch_init(&b);
	chains_build(p, &b);
	if (b.out.failed)
		return err_set(e, -ENOMEM, R_UNKNOWN, "no memory for service rules");
	p->layout = hash_fnv64a(buf_view(&b.out)) | 1;
	code = nft_table_tag(&p->sock, p->table, &layout, e);
	p->found = code == 0 && layout == p->layout;
	return code == -ENOENT ? 0 : code;
}

void
proxy_init(struct proxy *p)
{
	p->work = (struct loop_work){.fn = on_work, .arg = p};
	p->retry = (struct loop_timer){.fn = on_retry, .arg = p};
	nl_batch_init(&p->batch);
}
