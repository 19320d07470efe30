/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lease: see lease.h.
 * Invariants: the socket's filter lets through DHCP and SNTP replies and ARP replies only, so that
 * lwIP, which believes to own the same address as the kernel, never answers what is the kernel's.
 * Sources: RFC 2131, RFC 4330, packet(7). */
#include "init/lease.h"

#include "base/clock.h"
#include "base/log.h"
#include "netstack/lwip/port.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <lwip/apps/sntp.h>
#include <lwip/dhcp.h>
#include <lwip/dns.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netpacket/packet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define CLOCK_STEP_NS (NS_PER_SEC / 2)

struct client {
	struct lwip_port port;
	struct loop_fd packets;
	struct lease told;
	char hostname[64];
	void (*on_lease)(void *arg, const struct lease *lease);
	void *arg;
};

static void
on_frame_out(void *arg, uint8_t *frame, size_t n)
{
	struct client *c = arg;
	if (send(c->packets.fd, frame, n, MSG_DONTWAIT) < 0 && errno != EAGAIN && errno != ENETDOWN)
		log_warn("sending to the DHCP server: %s", strerror(errno));
}

static void
lease_check(struct client *c)
{
	const struct netif *n = &c->port.netif;
	struct lease now = {0};
	if (!dhcp_supplied_address(n))
		return;
	memcpy(now.addr, &netif_ip4_addr(n)->addr, 4);
	memcpy(now.gateway, &netif_ip4_gw(n)->addr, 4);
	now.prefix_len = (uint8_t)__builtin_popcount(netif_ip4_netmask(n)->addr);
	for (u8_t i = 0; i < DNS_MAX_SERVERS && now.n_dns < LEASE_DNS_MAX; i++) {
		const ip_addr_t *s = dns_getserver(i);
		if (IP_IS_V4(s) && !ip_addr_isany(s))
			memcpy(now.dns[now.n_dns++], &ip_2_ip4(s)->addr, 4);
	}
	if (memcmp(&now, &c->told, sizeof(now)) == 0)
		return;
	c->told = now;
	c->on_lease(c->arg, &now);
}

static void
on_packets(struct loop_fd *w, uint32_t revents)
{
	struct client *c = w->arg;
	uint8_t frame[LWIP_PORT_FRAME_MAX];
	(void)revents;
	for (int i = 0; i < 64; i++) {
		ssize_t n = recv(w->fd, frame, sizeof(frame), MSG_DONTWAIT);
		if (n <= 0)
			break;
		lwip_port_input(&c->port, frame, (size_t)n);
	}
	lease_check(c);
}

/* The kernel's clock is stepped when it is far off; a machine without a good RTC starts in 1970. */
static void
on_time(void *arg, uint32_t sec, uint32_t us)
{
	struct timeval tv = {.tv_sec = sec, .tv_usec = us};
	int64_t off_ns = sec * NS_PER_SEC + us * NS_PER_US - clock_wall_ns();
	(void)arg;
	if (off_ns > -CLOCK_STEP_NS && off_ns < CLOCK_STEP_NS)
		return;
	if (settimeofday(&tv, NULL) < 0)
		log_warn("setting the clock: %s", strerror(errno));
	else
		log_info("clock set by %lld ms", (long long)(off_ns / NS_PER_MS));
}

static int
packets_open(struct client *c, struct loop *l, int ifindex)
{
	/* Offsets in an Ethernet frame; IPv4's header length by the usual MSH trick. */
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_ARP, 0, 3),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 20),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARPOP_REPLY, 10, 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IP, 0, 9),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 7),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 20),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 5, 0),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 14),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, 14),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 67, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 123, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = {ARRAY_LEN(code), code};
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = ifindex};
	/* Protocol 0: nothing is received before the filter stands. */
	_cleanup_fd_ int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ||
		bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	c->packets = (struct loop_fd){
		.fd = fd, .events = EPOLLIN, .prio = LOOP_PRIO_IO, .fn = on_packets, .arg = c};
	int rc = loop_fd_add(l, &c->packets);
	if (rc == 0)
		fd = -1;
	return rc;
}

int
lease_start(struct loop *l, int ifindex, const uint8_t mac[6], const char *hostname,
	void (*on_lease)(void *arg, const struct lease *lease), void *arg, struct err *e)
{
	static struct client c;
	c.on_lease = on_lease;
	c.arg = arg;
	int rc = packets_open(&c, l, ifindex);
	if (rc < 0)
		return err_errno(e, rc, "opening a packet socket");
	lwip_port_on_time(on_time, NULL);
	rc = lwip_port_init(&c.port, l, mac, on_frame_out, &c);
	if (rc < 0)
		return err_errno(e, rc, "starting lwIP");
	str_copy_c(str_c(hostname), c.hostname, sizeof(c.hostname));
	netif_set_hostname(&c.port.netif, c.hostname);
	sntp_setoperatingmode(SNTP_OPMODE_POLL);
	sntp_servermode_dhcp(1);
	sntp_init();
	if (dhcp_start(&c.port.netif) != ERR_OK)
		return err_set(e, -EIO, R_UNKNOWN, "starting DHCP");
	lwip_port_kick(&c.port);
	return 0;
}
