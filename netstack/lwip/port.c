/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lwIP's floor: see port.h. */
#include "netstack/lwip/port.h"

#include "base/rand.h"

#include <lwip/etharp.h>
#include <lwip/ethip6.h>
#include <lwip/init.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>
#include <netif/ethernet.h>

static void (*time_fn)(void *arg, uint32_t sec, uint32_t us);
static void *time_arg;

u32_t
sys_now(void)
{
	return (u32_t)(clock_mono_ns() / NS_PER_MS);
}

uint32_t
lwip_port_rand(void)
{
	return (uint32_t)rand_u64();
}

_Noreturn void
lwip_port_assert(const char *what, const char *file, int line)
{
	bug_abort(what, file, line);
}

void
lwip_port_set_time(unsigned sec, unsigned us)
{
	if (time_fn)
		time_fn(time_arg, sec, us);
}

void
lwip_port_on_time(void (*fn)(void *arg, uint32_t sec, uint32_t us), void *arg)
{
	time_fn = fn;
	time_arg = arg;
}

static void
timer_arm(struct lwip_port *p)
{
	u32_t ms = sys_timeouts_sleeptime();
	if (ms == SYS_TIMEOUTS_SLEEPTIME_INFINITE)
		loop_timer_cancel(&p->timer);
	else
		loop_timer_after(p->loop, &p->timer, (int64_t)ms * NS_PER_MS);
}

static void
on_timer(struct loop_timer *t)
{
	struct lwip_port *p = t->arg;
	sys_check_timeouts();
	timer_arm(p);
}

void
lwip_port_kick(struct lwip_port *p)
{
	timer_arm(p);
}

static err_t
link_output(struct netif *nif, struct pbuf *pb)
{
	struct lwip_port *p = nif->state;
	uint8_t frame[LWIP_PORT_FRAME_MAX];
	if (pb->tot_len > sizeof(frame))
		return ERR_BUF;
	u16_t n = pbuf_copy_partial(pb, frame, pb->tot_len, 0);
	p->out(p->arg, frame, n);
	return ERR_OK;
}

static err_t
netif_setup(struct netif *nif)
{
	struct lwip_port *p = nif->state;
	nif->name[0] = 'e';
	nif->name[1] = 'n';
	nif->output = etharp_output;
	nif->output_ip6 = ethip6_output;
	nif->linkoutput = link_output;
	nif->mtu = 1500;
	nif->hwaddr_len = 6;
	memcpy(nif->hwaddr, p->mac, 6);
	nif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET |
		NETIF_FLAG_LINK_UP | NETIF_FLAG_MLD6;
	return ERR_OK;
}

int
lwip_port_init(struct lwip_port *p, struct loop *l, const uint8_t mac[6],
	void (*out)(void *arg, uint8_t *frame, size_t n), void *arg)
{
	*p = (struct lwip_port){.loop = l, .out = out, .arg = arg};
	memcpy(p->mac, mac, 6);
	p->timer.fn = on_timer;
	p->timer.arg = p;
	lwip_init();
	if (!netif_add(&p->netif, NULL, NULL, NULL, p, netif_setup, ethernet_input))
		return -ENOMEM;
	netif_set_default(&p->netif);
	netif_set_up(&p->netif);
	timer_arm(p);
	return 0;
}

void
lwip_port_input(struct lwip_port *p, const uint8_t *frame, size_t n)
{
	if (n < 14 || n > LWIP_PORT_FRAME_MAX)
		return;
	struct pbuf *pb = pbuf_alloc(PBUF_RAW, (u16_t)n, PBUF_RAM);
	if (!pb)
		return;
	pbuf_take(pb, frame, (u16_t)n);
	if (p->netif.input(pb, &p->netif) != ERR_OK)
		pbuf_free(pb);
	timer_arm(p);
}

void
lwip_port_release(struct lwip_port *p)
{
	loop_timer_cancel(&p->timer);
	netif_remove(&p->netif);
}
