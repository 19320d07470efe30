/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * fabric: the network of a test cluster in one unprivileged process: a learning switch with one port a
 * machine (QEMU's `-netdev stream` over a unix socket) and a gateway port behind which lwIP and the
 * host's own sockets stand. It can cut, drop and delay between chosen ports.
 *
 *   machine A ──unix──┐                       ┌─ DHCP server, router advertisements
 *   machine B ──unix──┤ switch ── gateway ────┼─ TCP: lwIP ends it, a host socket goes on (nat.c)
 *   machine C ──unix──┘                       └─ UDP: one host socket per flow (udp.c), DNS relay
 *
 * Addresses: 10.77.0.0/24 and fd77::/64, the gateway is .1 and ::1. What machines send to the
 * gateway's own address goes to the host's loopback; other destinations as they stand.
 * Everything runs on one loop; nothing here is trusted with more than the user's own sockets.
 * Sources: QEMU invocation (-netdev stream: 32-bit length before each frame), RFC 2131 (DHCP),
 * RFC 4861 (router advertisement), RFC 1624 (incremental checksums). */
#ifndef QEMU_FABRIC_FABRIC_H
#define QEMU_FABRIC_FABRIC_H

#include "base/buf.h"
#include "base/hash.h"
#include "base/loop.h"
#include "netstack/lwip/port.h"

#define FABRIC_PORTS_MAX 64
#define FABRIC_GATEWAY 0 /* port number of the gateway */
#define FABRIC_FRAME_MAX 65550
#define FABRIC_QUEUE_MAX (4u << 20) /* bytes waiting for a machine that does not read: then drops */

struct fabric;

/* One port of the switch. Port 0 is the gateway; the rest are machines. */
struct fabric_port {
	char name[64];
	int fd; /* -1 = not connected (or the gateway) */
	struct loop_fd w;
	struct loop_fd listener;
	struct buf in, out;
	struct fabric *f;
	unsigned index;
	uint64_t rx, tx, dropped;
};

/* What happens to frames from port a to port b. */
struct fabric_link {
	bool cut;
	uint8_t drop_percent;
	uint32_t delay_ms;
};

struct fabric_mac {
	uint8_t mac[6];
	uint8_t port;
	bool used;
};

/* A name that the DNS relay answers itself. */
struct fabric_host {
	char name[128];
	uint8_t v4[4];
};

/* A machine's fixed lease. */
struct fabric_lease {
	uint8_t mac[6];
	uint8_t v4[4];
	char name[64];
};

struct gateway; /* gateway.c */

struct fabric {
	struct loop *loop;
	char dir[512];
	struct fabric_port ports[FABRIC_PORTS_MAX];
	unsigned n_ports;
	struct fabric_link links[FABRIC_PORTS_MAX][FABRIC_PORTS_MAX];
	struct fabric_mac macs[256];
	struct fabric_lease leases[FABRIC_PORTS_MAX];
	unsigned n_leases;
	struct fabric_host hosts[64];
	unsigned n_hosts;
	struct gateway *gw;
	struct loop_fd control;
};

/* The one MAC and the addresses of the gateway. */
extern const uint8_t fabric_gw_mac[6];
extern const uint8_t fabric_gw_v4[4];
extern const uint8_t fabric_gw_v6[16];

/* ---- switch.c ---- */
/* switch_port_add: a port whose machine connects to the unix socket <dir>/<name>.sock. Returns the port
 * number or -errno. */
int switch_port_add(struct fabric *f, const char *name);
/* switch_port_find: number of a named port ("gateway" = 0) or -ENOENT. */
int switch_port_find(const struct fabric *f, struct str name);
/* switch_frame: a frame has come in from port `from`; learns, forwards, floods. Borrows the frame. */
void switch_frame(struct fabric *f, unsigned from, const uint8_t *frame, size_t n);
void switch_release(struct fabric *f);

/* ---- gateway.c: port 0 ---- */
int gateway_new(struct fabric *f);
void gateway_free(struct fabric *f);
/* gateway_frame: a frame for the gateway. Borrows. */
void gateway_frame(struct fabric *f, const uint8_t *frame, size_t n);
/* gateway_forward: listen on the host's loopback at port `host_port` (0 = any free one) and carry each
 * connection to addr:port as seen from the gateway. Returns the port listened on or -errno. */
int gateway_forward(struct fabric *f, uint16_t host_port, struct str addr, uint16_t port);
/* gateway_status: one line per forward and counters, appended to b. */
void gateway_status(struct fabric *f, struct buf *b);

/* ---- packet.c: views of a frame, checksums ---- */
struct packet {
	uint8_t *frame;
	size_t n;
	uint16_t ether_type;
	bool v6;
	uint8_t proto;      /* IPPROTO_*; 0 = none found */
	uint8_t *src, *dst; /* in the frame: 4 or 16 bytes */
	uint8_t *l4;        /* transport header */
	size_t l4_len;      /* to the end of the IP packet */
};
/* packet_parse: total; false when it is not a whole unfragmented IPv4/IPv6 packet. */
bool packet_parse(uint8_t *frame, size_t n, struct packet *ret);
/* packet_rewrite: puts other addresses/ports in place (NULL / 0 = keep), mending the checksums. */
void packet_rewrite(
	struct packet *p, const uint8_t *src, uint16_t sport, const uint8_t *dst, uint16_t dport);
/* packet_udp: builds a whole frame with a UDP datagram. Returns its length, 0 when it does not fit. */
size_t packet_udp(uint8_t *out, size_t cap, const uint8_t dst_mac[6], bool v6, const uint8_t *src,
	uint16_t sport, const uint8_t *dst, uint16_t dport, struct str payload);
/* packet_tcp_rst: a reset in answer to the segment in p. Returns its length. */
size_t packet_tcp_rst(uint8_t *out, size_t cap, const struct packet *p);
/* packet_icmp6: builds an ICMPv6 message frame (checksum filled in). */
size_t packet_icmp6(uint8_t *out, size_t cap, const uint8_t dst_mac[6], const uint8_t src[16],
	const uint8_t dst[16], struct str message);

/* ---- udp.c, dhcp.c, ra.c ---- */
struct udp_flows;
struct udp_flows *udp_flows_new(struct fabric *f);
void udp_flows_free(struct udp_flows *u);
void udp_flows_packet(struct udp_flows *u, struct packet *p);
/* dhcp_packet: a datagram to port 67; answers with a frame to the switch. */
void dhcp_packet(struct fabric *f, struct packet *p);
/* ra_send: one router advertisement to all nodes (on solicitation and every 60 s). */
void ra_send(struct fabric *f);

/* ---- control.c ---- */
/* control_open: commands on the unix socket <dir>/fabric.ctl, one line each, answered by lines and a
 * last line "ok" or "error: ...": cut A B | heal A B | drop A B PERCENT | delay A B MS |
 * forward HOSTPORT ADDR PORT | host NAME ADDR | status | stop. */
int control_open(struct fabric *f);
/* control_run: one command; appends the answer. Total over any line. */
void control_run(struct fabric *f, struct str line, struct buf *out);

/* fabric_main: `keelctl fabric --dir D --machine NAME=MAC=ADDR ... [--host NAME=ADDR] [--forward
 * PORT=ADDR:PORT]`; writes one line "ready" to standard output; runs until stopped. */
int fabric_main(int argc, char **argv);

#endif
