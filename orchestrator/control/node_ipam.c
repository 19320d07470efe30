/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * node_ipam: gives every node its pod ranges: the n-th /24 and the n-th /64 of the cluster's, the same n
 * for both families. What is taken is read from the nodes themselves.
 * Source: kube-controller-manager pkg/controller/nodeipam (range allocator). */
#include "orchestrator/control/control.h"

#include "base/ip.h"
#include "orchestrator/api/api.h"

#include "kinds/core_v1.h"

#include <stdlib.h>

#define NODES_MAX 65536

struct ipam {
	struct control *ctl;
	struct client *c;
	struct queue *q;
	struct informer *nodes;
	struct ip_prefix range[2]; /* v4, v6; family 0 = not used */
	struct map given;          /* node -> index + 1, also those not yet seen in the cache */
};

static const uint8_t node_bits[2] = {24, 64};

/* slot_bits: how many bits number the nodes. */
static unsigned
slot_bits(const struct ipam *m, int f)
{
	unsigned n = node_bits[f] > m->range[f].len ? (unsigned)(node_bits[f] - m->range[f].len)
						    : 0;
	return n > 16 ? 16 : n;
}

static struct ip_prefix
slot_prefix(const struct ipam *m, int f, uint32_t n)
{
	struct ip_prefix p = ip_prefix_masked(&m->range[f]);
	unsigned first = node_bits[f] - slot_bits(m, f);
	for (unsigned i = 0; i < slot_bits(m, f); i++)
		if (n >> (slot_bits(m, f) - 1 - i) & 1)
			p.addr.b[(first + i) / 8] |= (uint8_t)(0x80 >> ((first + i) % 8));
	p.len = node_bits[f];
	return p;
}

/* slot_of: the index of a range that was given, or -1. */
static int64_t
slot_of(const struct ipam *m, struct str text)
{
	struct ip_prefix p;
	if (ip_prefix_parse(text, &p) < 0)
		return -1;
	int f = p.addr.family == 6;
	if (!ip_is_set(&m->range[f].addr) || !ip_prefix_contains(&m->range[f], &p.addr))
		return -1;
	unsigned first = node_bits[f] - slot_bits(m, f);
	uint32_t n = 0;
	for (unsigned i = 0; i < slot_bits(m, f); i++)
		n = n << 1 | (uint32_t)(p.addr.b[(first + i) / 8] >> (7 - (first + i) % 8) & 1);
	return n;
}

static int64_t
free_slot(struct ipam *m)
{
	size_t bytes = NODES_MAX / 8;
	uint8_t *taken = calloc(1, bytes);
	const struct informer_obj *o;
	struct str key;
	void *v;
	if (!taken)
		return -1;
	for (size_t pos = 0; (o = informer_next(m->nodes, &pos));) {
		const struct core_v1_node *n = o->obj;
		int64_t s = n->spec.n_pod_cidrs ? slot_of(m, n->spec.pod_cidrs[0]) : -1;
		if (s >= 0)
			taken[s / 8] |= (uint8_t)(1 << s % 8);
	}
	for (size_t pos = 0; map_next(&m->given, &pos, &key, &v);) {
		size_t s = (size_t)(uintptr_t)v - 1;
		taken[s / 8] |= (uint8_t)(1 << s % 8);
	}
	unsigned bits = 16;
	for (int f = 0; f < 2; f++)
		if (ip_is_set(&m->range[f].addr) && slot_bits(m, f) < bits)
			bits = slot_bits(m, f);
	int64_t found = -1;
	for (int64_t s = 0; found < 0 && s < (int64_t)1 << bits; s++)
		if (!(taken[s / 8] >> (s % 8) & 1))
			found = s;
	free(taken);
	return found;
}

static void
on_key(void *arg, struct str name)
{
	struct ipam *m = arg;
	const struct informer_obj *o = informer_get(m->nodes, name);
	const struct core_v1_node *n = o ? o->obj : NULL;
	if (!n || n->spec.n_pod_cidrs) {
		map_del(&m->given, name);
		queue_done(m->q, name, false);
		return;
	}
	void *had = map_get(&m->given, name);
	int64_t slot = had ? (int64_t)(uintptr_t)had - 1 : free_slot(m);
	struct event_ref ref = control_ref(CONTROL_NODES, o);
	if (slot < 0) {
		client_event(m->c, &ref, "Warning", "CIDRNotAvailable", STR("cidrAllocator"),
			STR(""), "Node " STR_FMT " status is now: CIDRNotAvailable", STR_ARG(name));
		queue_done(m->q, name, true);
		return;
	}
	struct control_batch *b = batch_new(m->q, name);
	if (!b)
		return;
	_cleanup_buf_ struct buf list = BUF_INIT, body = BUF_INIT;
	char text[IP_TEXT_MAX], first[IP_TEXT_MAX] = "";
	for (int f = 0; f < 2; f++) {
		if (!ip_is_set(&m->range[f].addr))
			continue;
		struct ip_prefix p = slot_prefix(m, f, (uint32_t)slot);
		ip_prefix_format(&p, text);
		if (!first[0])
			memcpy(first, text, sizeof(first));
		buf_fmt(&list, "%s\"%s\"", list.len ? "," : "", text);
	}
	buf_fmt(&body, "{\"spec\":{\"podCIDR\":\"%s\",\"podCIDRs\":[" STR_FMT "]}}", first,
		STR_ARG(buf_view(&list)));
	struct control_path path = {.resource = CONTROL_NODES, .name = o->name};
	map_put(&m->given, name, (void *)(uintptr_t)(slot + 1), NULL);
	if (!list.failed && !body.failed && list.len)
		batch_write_text(b, m->c, CLIENT_PATCH_STRATEGIC, &path, buf_view(&body));
	batch_close(b);
}

static void
on_node(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct ipam *m = arg;
	if (control_ready(m->ctl))
		queue_add(m->q, (new_ ? new_ : old)->name);
}

static void
ipam_ready(void *self)
{
	struct ipam *m = self;
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_next(m->nodes, &pos));)
		queue_add(m->q, o->name);
}

static void
ipam_stop(void *self)
{
	struct ipam *m = self;
	queue_free(m->q);
	map_release(&m->given);
	free(m);
}

static int
ipam_start(struct control *ctl, struct client *c, void **ret)
{
	const struct server_context *ctx = control_context(ctl);
	struct ipam *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->ctl = ctl;
	m->c = c;
	map_init(&m->given);
	if (ctx && ctx->pod_cidr4.n && ip_prefix_parse(ctx->pod_cidr4, &m->range[0]) < 0)
		m->range[0] = (struct ip_prefix){0};
	if (ctx && ctx->pod_cidr6.n && ip_prefix_parse(ctx->pod_cidr6, &m->range[1]) < 0)
		m->range[1] = (struct ip_prefix){0};
	m->q = queue_new(control_loop(ctl), "ipam", 1, on_key, m);
	m->nodes = control_informer(ctl, CONTROL_NODES);
	*ret = m;
	if (!m->q || !m->nodes || informer_add_handler(m->nodes, on_node, NULL, m) < 0)
		return -ENOMEM;
	return 0;
}

/* Shares the node controller's service account, as upstream's allocator does. */
const struct controller node_ipam_controller = {
	"node-controller", ipam_start, ipam_ready, ipam_stop};
