/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * port: what lwIP needs from us (time, randomness, assertions) and one netif over frames that the
 * caller moves. lwIP runs without an operating system layer, on one loop: PID 1 uses it for its first
 * lease, qemu/fabric for the gateway of test networks. Source: lwIP 2.2 doc/NO_SYS_SampleCode.c. */
#ifndef NETSTACK_LWIP_PORT_H
#define NETSTACK_LWIP_PORT_H

#include "base/loop.h"

#include <lwip/netif.h>

#define LWIP_PORT_FRAME_MAX 1518

struct lwip_port {
	struct netif netif;
	struct loop *loop;
	struct loop_timer timer;
	/* out: a whole Ethernet frame to send; the bytes may be changed, and are gone on return. */
	void (*out)(void *arg, uint8_t *frame, size_t n);
	void *arg;
	uint8_t mac[6];
};

/* lwip_port_init: adds an Ethernet netif named like "en0" with this MAC, up, without addresses (set
 * them with netif_set_addr / netif_create_ip6_linklocal_address), and drives lwIP's timers from the
 * loop. One per process. 0 or -ENOMEM. */
int lwip_port_init(struct lwip_port *p, struct loop *l, const uint8_t mac[6],
	void (*out)(void *arg, uint8_t *frame, size_t n), void *arg);
/* lwip_port_input: a received frame (borrowed). Frames over LWIP_PORT_FRAME_MAX are dropped. */
void lwip_port_input(struct lwip_port *p, const uint8_t *frame, size_t n);
/* lwip_port_kick: after calls into lwIP from outside its callbacks: re-arms the timer. */
void lwip_port_kick(struct lwip_port *p);
void lwip_port_release(struct lwip_port *p);
/* lwip_port_on_time: who is told what SNTP found (Unix seconds, microseconds); default: nobody. */
void lwip_port_on_time(void (*fn)(void *arg, uint32_t sec, uint32_t us), void *arg);

#endif
