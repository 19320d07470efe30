/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * network: the role that brings up the machine's own interface and keeps its lease. Not in PID 1,
 * because it reads packets: lwIP's DHCP and SNTP clients speak over a packet socket on the
 * interface, and what they learn is put into the kernel by rtnetlink. IPv6 is the kernel's own
 * autoconfiguration.
 *
 *   link found -> up -> static: addresses, routes                 -> /run/resolv.conf -> ready, done
 *                    -> dhcp: lwIP <-> packet socket -> the lease -> /run/resolv.conf -> ready, renews
 *
 * Must not: run before the link is there (it waits for it), end while a lease must be renewed.
 * Source: rtnetlink(7), RFC 4861 (accept_ra). */
#include "init/lease.h"
#include "init/role.h"

#include "base/clock.h"
#include "base/disk.h"
#include "base/init_proto.h"
#include "base/log.h"
#include "netstack/netlink/netlink.h"
#include "netstack/netlink/rtnl.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct uplink {
	struct loop *loop;
	const struct machine_config *config;
	struct init_client *init;
	struct nl_sock nl;
	char name[RT_NAME_MAX];
	int index;
	uint8_t mac[RT_MAC_LEN];
	struct loop_fd links; /* notifications, until the link is there */
	struct ip_prefix leased;
	char hostname[64];
	bool ready, done;
};

static int
link_pick(void *arg, const struct rt_link *l)
{
	struct uplink *u = arg;
	bool named = u->config->network.interface.n > 0;
	if (named ? !str_eq_c(u->config->network.interface, l->name)
		  : l->type != ARPHRD_ETHER || l->kind[0] || !l->has_mac)
		return 0;
	if (u->index == 0 || l->index < u->index) {
		u->index = l->index;
		memcpy(u->name, l->name, sizeof(u->name));
		memcpy(u->mac, l->mac, sizeof(u->mac));
	}
	return 0;
}

/* ---- into the kernel ---- */

static void
route_add(struct nl_batch *b, const struct uplink *u, const struct ip_addr *gateway)
{
	struct rt_route r = {.gateway = *gateway, .index = u->index};
	r.dst.addr.family = gateway->family;
	rt_route_add(b, &r);
}

static int
resolv_write(const struct ip_addr *servers, size_t n)
{
	char text[IP_TEXT_MAX];
	_cleanup_buf_ struct buf b = BUF_INIT;
	for (size_t i = 0; i < n; i++) {
		ip_format(&servers[i], text);
		buf_fmt(&b, "nameserver %s\n", text);
	}
	return disk_write_file("/run/resolv.conf", buf_view(&b), 0644);
}

static void
ready(struct uplink *u)
{
	if (!u->ready && u->init)
		init_ready(u->init);
	u->ready = true;
}

static int
static_apply(struct uplink *u, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	const struct machine_config *c = u->config;
	nl_batch_init(&b);
	for (size_t i = 0; i < c->network.addresses.n; i++) {
		struct rt_addr a = {.index = u->index, .prefix = c->network.addresses.at[i]};
		rt_addr_add(&b, &a);
	}
	for (size_t i = 0; i < c->network.gateways.n; i++)
		route_add(&b, u, &c->network.gateways.at[i]);
	int rc = nl_commit(&u->nl, &b, NULL, e);
	if (rc < 0)
		return err_wrap(e, "static addresses");
	rc = resolv_write(c->network.nameservers.at, c->network.nameservers.n);
	return rc < 0 ? err_errno(e, rc, "writing /run/resolv.conf") : 0;
}

/* lease_apply: what lwIP has now goes into the kernel; the address of an earlier lease goes. */
static int
lease_apply(struct uplink *u, const struct lease *l, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	struct ip_prefix now = {ip_from_bytes(l->addr, 4), l->prefix_len};
	struct ip_addr gateway = ip_from_bytes(l->gateway, 4);
	static const uint8_t none[4];
	nl_batch_init(&b);
	if (ip_is_set(&u->leased.addr) && !ip_eq(&u->leased.addr, &now.addr)) {
		struct rt_addr old = {.index = u->index, .prefix = u->leased};
		rt_addr_del(&b, &old);
		nl_allow_error(&b, -EADDRNOTAVAIL);
	}
	struct rt_addr a = {.index = u->index, .prefix = now};
	rt_addr_add(&b, &a);
	if (memcmp(l->gateway, none, 4) != 0)
		route_add(&b, u, &gateway);
	int rc = nl_commit(&u->nl, &b, NULL, e);
	if (rc < 0)
		return rc;
	u->leased = now;
	const struct machine_config *c = u->config;
	struct ip_addr servers[LEASE_DNS_MAX];
	for (size_t i = 0; i < l->n_dns; i++)
		servers[i] = ip_from_bytes(l->dns[i], 4);
	rc = c->network.nameservers.n
		? resolv_write(c->network.nameservers.at, c->network.nameservers.n)
		: resolv_write(servers, l->n_dns);
	return rc < 0 ? err_errno(e, rc, "writing /run/resolv.conf") : 0;
}

static void
on_lease(void *arg, const struct lease *l)
{
	struct uplink *u = arg;
	struct err e = {0};
	char text[IP_TEXT_MAX];
	if (lease_apply(u, l, &e) < 0) {
		log_error("%s: %s", u->name, e.msg);
		return;
	}
	ip_prefix_format(&u->leased, text);
	log_info("%s: %s by DHCP", u->name, text);
	ready(u);
}

/* ---- the link ---- */

static void
accept_ra(const struct uplink *u)
{
	char path[128];
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_ra", u->name);
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "2", 1) != 1)
		log_warn("%s: accept_ra: %s", u->name, strerror(errno));
}

static int
link_up(struct uplink *u, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	struct rt_link_set lo = {.name = "lo", .up = 1}, set = {.index = u->index, .up = 1};
	accept_ra(u);
	nl_batch_init(&b);
	rt_link_set(&b, &lo);
	rt_link_set(&b, &set);
	int rc = nl_commit(&u->nl, &b, NULL, e);
	if (rc < 0)
		return err_wrap(e, "bringing up '%s'", u->name);
	if (u->config->network.addresses.n > 0) {
		rc = static_apply(u, e);
		if (rc < 0)
			return rc;
	}
	if (u->config->network.dhcp)
		return lease_start(u->loop, u->index, u->mac, u->hostname, on_lease, u, e);
	ready(u);
	u->done = true;
	return 0;
}

static int
link_try(struct uplink *u, struct err *e)
{
	int rc = rt_link_list(&u->nl, link_pick, u, e);
	if (rc < 0)
		return err_wrap(e, "listing links");
	return u->index ? link_up(u, e) : -EAGAIN;
}

static void
on_links(struct loop_fd *w, uint32_t revents)
{
	struct uplink *u = w->arg;
	struct err e = {0};
	char drop[2048];
	(void)revents;
	while (recv(w->fd, drop, sizeof(drop), MSG_DONTWAIT) > 0)
		;
	int rc = link_try(u, &e);
	if (rc == -EAGAIN)
		return;
	loop_fd_del(w);
	close(w->fd);
	if (rc < 0)
		log_error("%s", e.msg);
	if (rc < 0 || u->done)
		loop_stop(u->loop, rc < 0);
}

/* No link yet: the kernel tells when one comes. The subscription stands before the second look. */
static int
link_await(struct uplink *u, struct err *e)
{
	struct sockaddr_nl at = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return err_errno(e, -errno, "watching links");
	u->links = (struct loop_fd){
		.fd = fd, .events = EPOLLIN, .prio = LOOP_PRIO_IO, .fn = on_links, .arg = u};
	int rc = loop_fd_add(u->loop, &u->links);
	if (rc < 0)
		return err_errno(e, rc, "watching links");
	log_info("waiting for a network interface");
	on_links(&u->links, 0);
	return 0;
}

int
role_network_main(const struct machine_config *c)
{
	static struct uplink u;
	struct err e = {0};
	u.config = c;
	str_copy_c(c->name, u.hostname, sizeof(u.hostname));
	u.loop = loop_new(NULL, "network");
	if (!u.loop)
		return 1;
	int rc = init_client_new(u.loop, INIT_FD, NULL, NULL, &u.init);
	if (rc < 0)
		err_errno(&e, rc, "speaking to PID 1");
	if (rc == 0)
		rc = nl_open(&u.nl, NETLINK_ROUTE);
	if (rc < 0 && e.code == 0)
		err_errno(&e, rc, "netlink");
	if (rc == 0)
		rc = link_try(&u, &e);
	if (rc == -EAGAIN)
		rc = link_await(&u, &e);
	if (rc < 0) {
		log_error("%s", e.msg);
		return 1;
	}
	return u.done ? 0 : loop_run(u.loop);
}
