/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Kernel settings of a node that routes for its pods, and the dummy link of service addresses. A table of
 * rows; must run before the first veth is made (new links copy the defaults).
 * Source: kernel Documentation/networking/{ip-sysctl,nf_conntrack-sysctl}.rst. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "netstack/podnet/podnet_int.h"

/* "*" is the uplink. soft: a refusal is no failure (another namespace owns it, or it is a limit). */
static const struct {
	const char *name, *value;
	bool soft;
} settings[] = {
	{"net/ipv4/ip_forward", "1", false},
	{"net/ipv6/conf/all/forwarding", "1", false},
	/* a router ignores advertisements unless told otherwise */
	{"net/ipv6/conf/*/accept_ra", "2", false},
	/* new links, that is, pods: only the pod's own address comes in; no advertisements, no
	 * link-local address of their own (cannot be said in the message that makes a veth) */
	{"net/ipv4/conf/all/rp_filter", "0", false},
	{"net/ipv4/conf/default/rp_filter", "1", false},
	{"net/ipv6/conf/default/accept_ra", "0", false},
	{"net/ipv6/conf/default/addr_gen_mode", "1", false},
	/* host ports on 127.0.0.1 lead to pods; the service rules keep others away from 127/8 */
	{"net/ipv4/conf/all/route_localnet", "1", false},
	{"net/ipv4/conf/all/send_redirects", "0", false},
	{"net/ipv4/conf/default/send_redirects", "0", false},
	{"net/netfilter/nf_conntrack_max", "262144", true},
	{"net/netfilter/nf_conntrack_tcp_timeout_established", "86400", true},
	{"net/netfilter/nf_conntrack_tcp_timeout_close_wait", "3600", true},
};

static int
write_setting(const char *root, const char *name, const char *uplink, const char *value)
{
	char path[256];
	struct str head = STR_NONE, tail = STR_NONE;
	_cleanup_fd_ int fd = -1;

	if (str_cut(str_c(name), '*', &head, &tail)) {
		if (uplink == NULL)
			return 0;
		snprintf(path, sizeof(path), "%s/" STR_FMT "%s" STR_FMT, root, STR_ARG(head),
			uplink, STR_ARG(tail));
	} else {
		snprintf(path, sizeof(path), "%s/%s", root, name);
	}
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

int
podnet_sysctls(const char *root, const char *uplink, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		int code = write_setting(root != NULL ? root : "/proc/sys", settings[i].name,
			uplink, settings[i].value);

		if (code < 0 && !settings[i].soft)
			return err_errno(
				e, code, "setting '%s' to %s", settings[i].name, settings[i].value);
	}
	return 0;
}

/* ---- service addresses ---- */

struct surplus {
	const struct ip_addr *want;
	size_t n;
	struct nl_batch *b;
};

static int
drop_surplus(void *arg, const struct rt_addr *a)
{
	struct surplus *s = arg;

	for (size_t i = 0; i < s->n; i++)
		if (ip_eq(&s->want[i], &a->prefix.addr))
			return 0;
	rt_addr_del(s->b, a);
	return 0;
}

int
podnet_service_address(const char *link, const struct ip_addr *addrs, size_t n, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	_cleanup_nl_sock_ struct nl_sock sock = {.fd = -1};
	struct surplus sur = {addrs, n, &b};
	struct rt_link l = {0};
	int code = nl_open(&sock, NETLINK_ROUTE);

	if (code < 0)
		return err_errno(e, code, "opening a route socket");
	nl_batch_init(&b);
	rt_dummy_add(&b, link);
	nl_allow_error(&b, -EEXIST);
	code = nl_commit(&sock, &b, NULL, e);
	if (code == 0)
		code = rt_link_get(&sock, link, &l, e);
	if (code < 0)
		return err_wrap(e, "link '%s' of service addresses", link), code;
	nl_batch_clear(&b);
	code = rt_addr_list(&sock, l.index, drop_surplus, &sur, e);
	if (code < 0)
		return code;
	for (size_t i = 0; i < n; i++)
		rt_addr_add(&b,
			&(struct rt_addr){
				.index = l.index,
				.prefix = ip_host_prefix(&addrs[i]),
				.scope = addrs[i].family == 4 ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE,
				/* IPv6 has no such scope; masquerade would take it for the node's */
				.deprecated = addrs[i].family == 6,
			});
	rt_link_set(&b, &(struct rt_link_set){.index = l.index, .up = 1});
	code = nl_commit(&sock, &b, NULL, e);
	if (code < 0)
		return err_wrap(e, "addresses of link '%s'", link), code;
	return 0;
}
