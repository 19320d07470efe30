/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The node's pods: which numbers are taken, by whom, and what the kernel says about it. Invariant: a
 * number is free only when no pod holds it and its veth is gone; the kernel tells of deleted links.
 * The veth itself is made in pod.c, other nodes are in nodes.c, rules in rules.c, sysctls in sysctl.c.
 * Contracts in podnet.h. */
#include "netstack/podnet/podnet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "netstack/podnet/podnet_int.h"

uint32_t
podnet_number(const char *name)
{
	struct str s = str_c(name);
	uint64_t n = 0;

	if (!str_starts(s, STR(PODNET_PREFIX)))
		return 0;
	s = str_sub(s, sizeof(PODNET_PREFIX) - 1, SIZE_MAX);
	if (s.n == 0 || s.p[0] == '0' || str_to_u64(s, &n) < 0 || n < PODNET_FIRST ||
		n >= PODNET_PODS_MAX)
		return 0;
	return (uint32_t)n;
}

static int
recover_link(void *arg, const struct rt_link *l)
{
	struct podnet *pn = arg;
	uint32_t i = podnet_number(l->name);

	if (i == 0)
		return 0;
	pn->slots[i].linked = true;
	pn->slots[i].held = l->alias.n > 0 && l->alias.n < PODNET_KEY_MAX;
	if (pn->slots[i].held)
		str_copy_c(l->alias, pn->slots[i].key, PODNET_KEY_MAX);
	if (i > pn->last)
		pn->last = i;
	return 0;
}

static int
recover_route(void *arg, const struct rt_route *r)
{
	struct podnet *pn = arg;
	int i = r->index - PODNET_INDEX_BASE;

	if (i < PODNET_FIRST || i >= PODNET_PODS_MAX || r->dst.len != 8 * ip_size(&r->dst.addr))
		return 0;
	if (r->dst.addr.family == 4)
		pn->slots[i].v4 = r->dst.addr;
	else
		pn->slots[i].v6 = r->dst.addr;
	return 0;
}

/* Reads links and addresses; a dump that changed under way is read again. */
static int
recover(struct podnet *pn, struct err *e)
{
	int code = 0;

	for (int tries = 0; tries < 5; tries++) {
		memset(pn->slots, 0, PODNET_PODS_MAX * sizeof(*pn->slots));
		code = rt_link_list(&pn->sock, recover_link, pn, e);
		if (code == 0)
			code = rt_route_list(&pn->sock, 0, PODNET_PROTO, recover_route, pn, e);
		if (code != -EINTR)
			return code;
	}
	return code;
}

static void
link_gone(struct podnet *pn, uint32_t i)
{
	struct podnet_slot *s = &pn->slots[i];
	bool surprise = s->held && s->linked;

	s->linked = false;
	if (surprise && pn->on_gone != NULL)
		pn->on_gone(pn->arg, s->key);
}

static void
on_link_msg(void *arg, const struct nl_msg *m)
{
	struct podnet *pn = arg;
	struct rt_link l = {0};
	uint32_t i = 0;

	if (m->type == RTM_DELLINK && rt_link_parse(m, &l) == 0 &&
		(i = podnet_number(l.name)) != 0 && l.index == PODNET_INDEX_BASE + (int)i)
		link_gone(pn, i);
}

static int
note_linked(void *arg, const struct rt_link *l)
{
	bool *linked = arg;
	uint32_t i = podnet_number(l->name);

	if (i != 0)
		linked[i] = true;
	return 0;
}

/* Notifications were lost: compare with what is there. */
static void
on_link_lost(void *arg)
{
	_cleanup_free_ bool *linked = calloc(PODNET_PODS_MAX, sizeof(bool));
	struct podnet *pn = arg;
	int code = linked == NULL ? -ENOMEM : 0;

	for (int tries = 0; tries < 5 && code == 0; tries++) {
		memset(linked, 0, PODNET_PODS_MAX * sizeof(bool));
		code = rt_link_list(&pn->sock, note_linked, linked, NULL);
		if (code == -EINTR)
			code = 0;
		else
			break;
	}
	for (uint32_t i = PODNET_FIRST; i < PODNET_PODS_MAX && code == 0; i++)
		if (pn->slots[i].linked && !linked[i])
			link_gone(pn, i);
}

static int
open_sockets(struct podnet *pn, struct loop *l, struct err *e)
{
	static const int groups[] = {RTNLGRP_LINK};
	int code = nl_open(&pn->sock, NETLINK_ROUTE);

	if (code < 0)
		return err_errno(e, code, "opening a route socket");
	pn->home_ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (pn->home_ns < 0)
		return err_errno(e, -errno, "opening the network namespace");
	if (l == NULL)
		return 0;
	pn->links.on_msg = on_link_msg;
	pn->links.on_lost = on_link_lost;
	pn->links.arg = pn;
	code = nl_monitor_start(&pn->links, l, NETLINK_ROUTE, groups, ARRAY_LEN(groups));
	return code < 0 ? err_errno(e, code, "watching links") : 0;
}

int
podnet_open(struct loop *l, void (*on_gone)(void *arg, const char *key), void *arg,
	struct podnet **ret, struct err *e)
{
	struct podnet *pn = calloc(1, sizeof(*pn));
	int code = 0;

	if (pn == NULL || (pn->slots = calloc(PODNET_PODS_MAX, sizeof(*pn->slots))) == NULL) {
		free(pn);
		return err_set(e, -ENOMEM, R_UNKNOWN, "no memory for the pod network");
	}
	pn->loop = l;
	pn->on_gone = on_gone;
	pn->arg = arg;
	pn->home_ns = pn->sock.fd = pn->links.sock.fd = -1;
	pn->last = PODNET_FIRST - 1;
	map_init(&pn->nodes);
	/* the watch first: nothing that goes between the two is missed */
	code = open_sockets(pn, l, e);
	if (code == 0)
		code = recover(pn, e);
	if (code < 0) {
		podnet_close(pn);
		return code;
	}
	*ret = pn;
	return 0;
}

void
podnet_close(struct podnet *pn)
{
	struct str key = STR_NONE;
	void *value = NULL;
	size_t pos = 0;

	if (pn == NULL)
		return;
	nl_monitor_stop(&pn->links);
	if (pn->sock.fd >= 0)
		nl_close(&pn->sock);
	cleanup_fd(&pn->home_ns);
	while (map_next(&pn->nodes, &pos, &key, &value))
		free(value);
	map_release(&pn->nodes);
	free(pn->keep);
	free(pn->slots);
	free(pn);
}

static int
check_range(const struct ip_prefix *p, int family, struct err *e)
{
	char text[IP_TEXT_MAX];

	if (p->addr.family == 0)
		return 0;
	ip_prefix_format(p, text);
	if (p->addr.family != family || p->len > 8 * ip_size(&p->addr) - 2)
		return err_set(e, -EINVAL, R_UNKNOWN,
			"pod range '%s' is too small or of the other family", text);
	return 0;
}

static int
copy_config(struct podnet *pn, const struct podnet_config *c, struct err *e)
{
	struct ip_prefix *keep = calloc(c->n_cluster_cidrs + 1, sizeof(*keep));
	struct rt_link up = {0};
	int code = 0;

	if (keep == NULL)
		return err_set(e, -ENOMEM, R_UNKNOWN, "no memory for the pod network");
	if (c->uplink != NULL)
		code = rt_link_get(&pn->sock, c->uplink, &up, e);
	if (code < 0) {
		free(keep);
		return err_wrap(e, "uplink of the pod network"), code;
	}
	if (c->n_cluster_cidrs > 0)
		memcpy(keep, c->cluster_cidrs, c->n_cluster_cidrs * sizeof(*keep));
	free(pn->keep);
	pn->keep = keep;
	pn->n_keep = c->n_cluster_cidrs;
	pn->cidr4 = ip_prefix_masked(&c->pod_cidr4);
	pn->cidr6 = ip_prefix_masked(&c->pod_cidr6);
	str_copy_c(str_c(up.name), pn->uplink, sizeof(pn->uplink));
	pn->uplink_index = up.index;
	pn->mtu = c->mtu != 0 ? c->mtu : up.mtu;
	pn->no_masquerade = c->no_masquerade;
	return 0;
}

int
podnet_configure(struct podnet *pn, const struct podnet_config *c, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	int code = check_range(&c->pod_cidr4, 4, e);

	if (code == 0)
		code = check_range(&c->pod_cidr6, 6, e);
	if (code == 0)
		code = copy_config(pn, c, e);
	if (code == 0)
		code = podnet_sysctls(NULL, c->uplink, e);
	if (code < 0)
		return code;
	nl_batch_init(&b);
	podnet_own_routes(pn, &b);
	code = nl_commit(&pn->sock, &b, NULL, e);
	if (code < 0)
		return err_wrap(e, "routes of the pod ranges"), code;
	code = podnet_rules_apply(pn, e);
	if (code < 0)
		return code;
	pn->configured = ip_is_set(&pn->cidr4.addr) || ip_is_set(&pn->cidr6.addr);
	return 0;
}

bool
podnet_is_configured(const struct podnet *pn)
{
	return pn->configured;
}

/* ---- numbers ---- */

static uint32_t
find_key(const struct podnet *pn, const char *key)
{
	for (uint32_t i = PODNET_FIRST; i < PODNET_PODS_MAX; i++)
		if (pn->slots[i].held && strcmp(pn->slots[i].key, key) == 0)
			return i;
	return 0;
}

/* How many numbers a range has: the last address of an IPv4 range is not given out. */
static uint32_t
range_end(const struct ip_prefix *p)
{
	unsigned bits = (unsigned)(8 * ip_size(&p->addr)) - p->len;

	if (p->addr.family == 0 || bits >= 12)
		return PODNET_PODS_MAX;
	return (1u << bits) - (p->addr.family == 4 ? 1 : 0);
}

static uint32_t
find_free(const struct podnet *pn)
{
	uint32_t end4 = range_end(&pn->cidr4), end6 = range_end(&pn->cidr6);
	uint32_t end = end4 < end6 ? end4 : end6, n = end - PODNET_FIRST;

	for (uint32_t k = 1; k <= n; k++) {
		uint32_t i = PODNET_FIRST + (pn->last - PODNET_FIRST + k) % n;

		if (pn->last < PODNET_FIRST || pn->last >= end)
			i = PODNET_FIRST + k - 1;
		if (!pn->slots[i].held && !pn->slots[i].linked)
			return i;
	}
	return 0;
}

int
podnet_pod_reserve(struct podnet *pn, const char *key, struct podnet_pod *ret, struct err *e)
{
	struct podnet_slot *s = NULL;
	uint32_t i = 0;

	if (key[0] == '\0' || strlen(key) >= PODNET_KEY_MAX)
		return err_set(e, -EINVAL, R_UNKNOWN, "pod key '%.80s' is empty or too long", key);
	i = find_key(pn, key);
	if (i == 0 && !pn->configured)
		return err_set(e, -EAGAIN, R_UNKNOWN, "the node has no pod range yet");
	if (i == 0) {
		i = find_free(pn);
		if (i == 0)
			return err_set(
				e, -ENOSPC, R_UNKNOWN, "all addresses of the pod range are taken");
		s = &pn->slots[i];
		*s = (struct podnet_slot){.held = true};
		str_copy_c(str_c(key), s->key, sizeof(s->key));
		if (ip_is_set(&pn->cidr4.addr))
			s->v4 = ip_add(&pn->cidr4.addr, i);
		if (ip_is_set(&pn->cidr6.addr))
			s->v6 = ip_add(&pn->cidr6.addr, i);
		pn->last = i;
	}
	podnet_pod_fill(pn, i, ret);
	return 0;
}

int
podnet_pod_get(const struct podnet *pn, const char *key, struct podnet_pod *ret)
{
	uint32_t i = find_key(pn, key);

	if (i == 0)
		return -ENOENT;
	podnet_pod_fill(pn, i, ret);
	return 0;
}

int
podnet_pod_release(struct podnet *pn, const char *key, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	uint32_t i = find_key(pn, key);
	int code = 0;

	if (i == 0)
		return 0;
	nl_batch_init(&b);
	rt_link_del(&b, PODNET_INDEX_BASE + (int)i, NULL);
	nl_allow_error(&b, -ENODEV);
	code = nl_commit(&pn->sock, &b, NULL, e);
	if (code < 0)
		return err_wrap(e, "deleting link of pod '%s'", key), code;
	/* the kernel answers when the link is gone */
	pn->slots[i] = (struct podnet_slot){0};
	return 0;
}

void
podnet_pods(struct podnet *pn, void (*fn)(void *arg, const struct podnet_pod *pod), void *arg)
{
	struct podnet_pod pod;

	for (uint32_t i = PODNET_FIRST; i < PODNET_PODS_MAX; i++)
		if (pn->slots[i].held) {
			podnet_pod_fill(pn, i, &pod);
			fn(arg, &pod);
		}
}
