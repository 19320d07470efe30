/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Routes to the pods of other nodes: over the node's own address on the link all share. Our routes carry a protocol
 * number of their own, so that a later process finds those that nobody claims any more.
 * Contracts in podnet.h. */
#include <errno.h>
#include <stdlib.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "netstack/podnet/podnet_int.h"

void
podnet_own_routes(const struct podnet *pn, struct nl_batch *b)
{
	const struct ip_prefix *own[] = {&pn->cidr4, &pn->cidr6};

	/* an address without a pod is unreachable: it must not wander off to the default route */
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (ip_is_set(&own[i]->addr))
			rt_route_add(b,
				&(struct rt_route){.dst = *own[i],
					.type = RTN_UNREACHABLE,
					.protocol = PODNET_PROTO});
}

static bool
node_route(const struct podnet *pn, const struct podnet_node *n, int family, struct rt_route *ret)
{
	struct rt_route r = {
		.dst = family == 4 ? n->pod_cidr4 : n->pod_cidr6,
		.gateway = family == 4 ? n->addr4 : n->addr6,
		.index = pn->uplink_index,
		.onlink = pn->uplink_index != 0,
		.protocol = PODNET_PROTO,
	};

	if (r.dst.addr.family != family || r.gateway.family != family)
		return false;
	r.dst = ip_prefix_masked(&r.dst);
	*ret = r;
	return true;
}

/* Appends what leads from `old` to `want`; either may be NULL. */
static void
node_change(const struct podnet *pn, struct nl_batch *b, const struct podnet_node *old,
	const struct podnet_node *want)
{
	for (int family = 4; family <= 6; family += 2) {
		struct rt_route was = {0}, is = {0};
		bool had = old != NULL && node_route(pn, old, family, &was);
		bool has = want != NULL && node_route(pn, want, family, &is);

		if (had &&
			!(has && ip_eq(&was.dst.addr, &is.dst.addr) && was.dst.len == is.dst.len)) {
			rt_route_del(b, &was);
			nl_allow_error(b, -ESRCH);
		}
		if (has)
			rt_route_add(b, &is);
	}
}

static bool
prefix_eq(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->len == b->len && ip_eq(&a->addr, &b->addr);
}

static bool
node_eq(const struct podnet_node *a, const struct podnet_node *b)
{
	return ip_eq(&a->addr4, &b->addr4) && ip_eq(&a->addr6, &b->addr6) &&
		prefix_eq(&a->pod_cidr4, &b->pod_cidr4) && prefix_eq(&a->pod_cidr6, &b->pod_cidr6);
}

int
podnet_node_set(struct podnet *pn, const char *name, const struct podnet_node *n, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	struct podnet_peer *peer = map_get(&pn->nodes, str_c(name));
	int code = 0;

	if (peer != NULL && peer->seen_by_kernel && node_eq(&peer->want, n))
		return 0;
	if (peer == NULL) {
		peer = calloc(1, sizeof(*peer));
		if (peer == NULL || map_put(&pn->nodes, str_c(name), peer, NULL) < 0) {
			free(peer);
			return err_set(e, -ENOMEM, R_UNKNOWN, "no memory for node '%s'", name);
		}
	}
	nl_batch_init(&b);
	node_change(pn, &b, peer->seen_by_kernel ? &peer->want : NULL, n);
	code = nl_commit(&pn->sock, &b, NULL, e);
	if (code < 0)
		return err_wrap(e, "routes to the pods of node '%s'", name), code;
	peer->want = *n;
	peer->seen_by_kernel = true;
	return podnet_rules_apply(pn, e);
}

int
podnet_node_del(struct podnet *pn, const char *name, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	struct podnet_peer *peer = map_get(&pn->nodes, str_c(name));
	int code = 0;

	if (peer == NULL)
		return 0;
	nl_batch_init(&b);
	if (peer->seen_by_kernel)
		node_change(pn, &b, &peer->want, NULL);
	code = nl_commit(&pn->sock, &b, NULL, e);
	if (code < 0)
		return err_wrap(e, "routes to the pods of node '%s'", name), code;
	free(map_del(&pn->nodes, str_c(name)));
	return podnet_rules_apply(pn, e);
}

struct claim {
	struct podnet *pn;
	struct buf stale; /* struct rt_route, one behind the other */
};

static bool
is_claimed(const struct podnet *pn, const struct rt_route *r)
{
	struct str name = STR_NONE;
	void *value = NULL;
	size_t pos = 0;

	if (r->type == RTN_UNREACHABLE)
		return prefix_eq(&r->dst, &pn->cidr4) || prefix_eq(&r->dst, &pn->cidr6);
	if (r->index > PODNET_INDEX_BASE)
		return true; /* a pod's own: goes with its link */
	while (map_next(&pn->nodes, &pos, &name, &value)) {
		struct podnet_peer *peer = value;
		struct rt_route want = {0};

		if (node_route(pn, &peer->want, r->dst.addr.family, &want) &&
			prefix_eq(&want.dst, &r->dst))
			return true;
	}
	return false;
}

static int
note_stale(void *arg, const struct rt_route *r)
{
	struct claim *c = arg;

	if (!is_claimed(c->pn, r))
		buf_add(&c->stale, r, sizeof(*r));
	return 0;
}

int
podnet_nodes_synced(struct podnet *pn, struct err *e)
{
	struct claim c = {.pn = pn};
	int code = -EINTR;

	buf_init(&c.stale);
	for (int tries = 0; tries < 5 && code == -EINTR; tries++) {
		buf_clear(&c.stale);
		code = rt_route_list(&pn->sock, 0, PODNET_PROTO, note_stale, &c, e);
	}
	for (size_t at = 0; code == 0 && at < c.stale.len; at += sizeof(struct rt_route)) {
		_cleanup_nl_batch_ struct nl_batch b;
		struct rt_route r;

		memcpy(&r, c.stale.data + at, sizeof(r));
		nl_batch_init(&b);
		rt_route_del(&b, &r);
		nl_allow_error(&b, -ESRCH);
		code = nl_commit(&pn->sock, &b, NULL, e);
	}
	buf_release(&c.stale);
	return code;
}
