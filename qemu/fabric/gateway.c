/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * gateway: port 0 of the switch. lwIP ends the machines' TCP connections whatever their destination:
 * each flow is rewritten to a listener of its own on the gateway's address (and back on the way out),
 * so lwIP sees ordinary connections. The first SYN is kept until the host's own connection stands, so a
 * refused connection is refused to the machine too. In the other direction the host's loopback ports are
 * forwarded to machines by connections that lwIP opens. */
#include "qemu/fabric/fabric.h"

#include <arpa/inet.h>
#include <lwip/tcp.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FLOWS_MAX 4096
#define PORT_IN_FIRST 32768  /* gateway ports that stand for a machine's flow */
#define PORT_OUT_FIRST 10000 /* gateway ports of connections to machines */
#define PORT_OUT_COUNT 20000
#define RELAY_BUF (256u << 10)

const uint8_t fabric_gw_mac[6] = {0x52, 0x54, 0, 0x77, 0, 1};
const uint8_t fabric_gw_v4[4] = {10, 77, 0, 1};
const uint8_t fabric_gw_v6[16] = {0xfd, 0x77, [15] = 1};

struct flow_key {
	uint8_t src[16], dst[16];
	uint16_t sport, dport;
	bool v6;
};

/* A relayed connection: host socket on one side, lwIP on the other. */
struct relay {
	struct gateway *g;
	struct relay *next, **prev;
	struct loop_fd w;    /* host side */
	struct tcp_pcb *pcb; /* machine side; NULL before accept / after its end */
	struct tcp_pcb *listener;
	struct flow_key key; /* flows from machines only */
	uint16_t port;       /* gateway port of this flow */
	bool inbound;        /* from a machine */
	bool host_up, host_eof, host_shut, pcb_eof, pcb_shut, dead;
	struct buf to_host, to_pcb;
	uint8_t *syn; /* kept until the host side stands */
	size_t syn_len;
};

struct forward {
	struct gateway *g;
	struct loop_fd w;
	ip_addr_t addr;
	uint16_t port, host_port;
	struct forward *next;
};

struct gateway {
	struct fabric *f;
	struct lwip_port lwip;
	struct udp_flows *udp;
	struct map flows; /* flow_key -> relay */
	struct relay *by_port[65536 - PORT_IN_FIRST];
	bool out_ports[PORT_OUT_COUNT];
	uint16_t next_in, next_out;
	struct relay *relays;
	size_t n_relays;
	struct forward *forwards;
	struct loop_timer ra;
};

static void relay_pump(struct relay *r);

static struct str
key_str(const struct flow_key *k)
{
	return str_from((const char *)k, sizeof(*k));
}

/* ---- life of a relay ---- */

static struct relay *
relay_new(struct gateway *g)
{
	if (g->n_relays >= FLOWS_MAX)
		return NULL;
	struct relay *r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->g = g;
	r->w.fd = -1;
	r->next = g->relays;
	r->prev = &g->relays;
	if (r->next)
		r->next->prev = &r->next;
	g->relays = r;
	g->n_relays++;
	return r;
}

static void
relay_free(void *p)
{
	struct relay *r = p;
	buf_release(&r->to_host);
	buf_release(&r->to_pcb);
	free(r->syn);
	free(r);
}

/* relay_end: both sides go; a machine side that still stands is reset when `abort` is asked for. */
static void
relay_end(struct relay *r, bool abort)
{
	struct gateway *g = r->g;
	if (r->dead)
		return;
	r->dead = true;
	if (r->w.fd >= 0) {
		loop_fd_del(&r->w);
		close(r->w.fd);
		r->w.fd = -1;
	}
	if (r->listener)
		tcp_close(r->listener);
	if (r->pcb) {
		tcp_arg(r->pcb, NULL);
		tcp_recv(r->pcb, NULL);
		tcp_sent(r->pcb, NULL);
		tcp_err(r->pcb, NULL);
		if (abort || tcp_close(r->pcb) != ERR_OK)
			tcp_abort(r->pcb);
	}
	r->pcb = r->listener = NULL;
	if (r->inbound) {
		map_del(&g->flows, key_str(&r->key));
		g->by_port[r->port - PORT_IN_FIRST] = NULL;
	} else if (r->port) {
		g->out_ports[r->port - PORT_OUT_FIRST] = false;
	}
	*r->prev = r->next;
	if (r->next)
		r->next->prev = r->prev;
	g->n_relays--;
	loop_free_later(g->f->loop, relay_free, r);
}

/* ---- machine side (lwIP callbacks) ---- */

static err_t
on_pcb_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *pb, err_t err)
{
	struct relay *r = arg;
	(void)pcb;
	if (!r) {
		if (pb)
			pbuf_free(pb);
		return ERR_OK;
	}
	if (err != ERR_OK || !pb) {
		r->pcb_eof = true;
		relay_pump(r);
		return r->dead ? ERR_ABRT : ERR_OK;
	}
	char *at = buf_reserve(&r->to_host, pb->tot_len);
	if (!at)
		return ERR_MEM;
	pbuf_copy_partial(pb, at, pb->tot_len, 0);
	buf_commit(&r->to_host, pb->tot_len);
	pbuf_free(pb);
	relay_pump(r);
	return r->dead ? ERR_ABRT : ERR_OK;
}

static err_t
on_pcb_sent(void *arg, struct tcp_pcb *pcb, u16_t n)
{
	struct relay *r = arg;
	(void)pcb;
	(void)n;
	if (!r)
		return ERR_OK;
	relay_pump(r);
	return r->dead ? ERR_ABRT : ERR_OK;
}

static void
on_pcb_err(void *arg, err_t err)
{
	struct relay *r = arg;
	(void)err;
	if (!r)
		return;
	r->pcb = NULL; /* lwIP has freed it */
	relay_end(r, true);
}

/* PROBE_MS: how soon a machine that lost its power and is up again refuses what it knows nothing of, so that
 * the host's side hears of it. A cut link may last as long as so many probes. */
enum { PROBE_MS = 5000, PROBES = 120 };

static void
pcb_attach(struct relay *r, struct tcp_pcb *pcb)
{
	r->pcb = pcb;
	tcp_arg(pcb, r);
	tcp_recv(pcb, on_pcb_recv);
	tcp_sent(pcb, on_pcb_sent);
	tcp_err(pcb, on_pcb_err);
	tcp_nagle_disable(pcb);
	ip_set_option(pcb, SOF_KEEPALIVE);
	pcb->keep_idle = pcb->keep_intvl = PROBE_MS;
	pcb->keep_cnt = PROBES;
}

static err_t
on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct relay *r = arg;
	if (err != ERR_OK || !r || r->pcb)
		return ERR_VAL;
	pcb_attach(r, pcb);
	tcp_close(r->listener);
	r->listener = NULL;
	relay_pump(r);
	return r->dead ? ERR_ABRT : ERR_OK;
}

static err_t
on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct relay *r = arg;
	(void)pcb;
	(void)err;
	relay_pump(r);
	return r->dead ? ERR_ABRT : ERR_OK;
}

/* ---- moving bytes ---- */

static bool
host_write(struct relay *r)
{
	size_t done = 0;
	while (done < r->to_host.len) {
		ssize_t n = send(r->w.fd, r->to_host.data + done, r->to_host.len - done,
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return false;
		done += (size_t)n;
	}
	buf_consume(&r->to_host, done);
	for (size_t left = done; left && r->pcb;) {
		u16_t n = (u16_t)(left > 65535 ? 65535 : left);
		tcp_recved(r->pcb, n);
		left -= n;
	}
	if (r->pcb_eof && !r->to_host.len && !r->host_shut) {
		shutdown(r->w.fd, SHUT_WR);
		r->host_shut = true;
	}
	return true;
}

static bool
host_read(struct relay *r)
{
	while (!r->host_eof && r->to_pcb.len < RELAY_BUF) {
		char *at = buf_reserve(&r->to_pcb, 32768);
		ssize_t n = at ? recv(r->w.fd, at, 32768, MSG_DONTWAIT) : -1;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return false;
		if (n == 0)
			r->host_eof = true;
		buf_commit(&r->to_pcb, (size_t)n);
	}
	return true;
}

static bool
pcb_write(struct relay *r)
{
	size_t done = 0;
	if (r->pcb->state < ESTABLISHED)
		return true;
	while (done < r->to_pcb.len) {
		size_t n = r->to_pcb.len - done, room = tcp_sndbuf(r->pcb);
		if (n > room)
			n = room;
		if (n > 32768)
			n = 32768;
		if (n == 0)
			break;
		err_t rc = tcp_write(r->pcb, r->to_pcb.data + done, (u16_t)n, TCP_WRITE_FLAG_COPY);
		if (rc == ERR_MEM)
			break;
		if (rc != ERR_OK)
			return false;
		done += n;
	}
	buf_consume(&r->to_pcb, done);
	if (r->host_eof && !r->to_pcb.len && !r->pcb_shut) {
		if (tcp_shutdown(r->pcb, 0, 1) != ERR_OK)
			return true; /* no memory now: again on the next event */
		r->pcb_shut = true;
	}
	tcp_output(r->pcb);
	return true;
}

static void
relay_pump(struct relay *r)
{
	if (r->dead || !r->host_up)
		return;
	if (!host_read(r) || !host_write(r) || (r->pcb && !pcb_write(r))) {
		relay_end(r, true);
		return;
	}
	if (r->host_shut && r->pcb_shut) {
		relay_end(r, false);
		return;
	}
	uint32_t want = (r->to_host.len ? EPOLLOUT : 0u) |
		(!r->host_eof && r->to_pcb.len < RELAY_BUF ? EPOLLIN : 0u);
	if (want != r->w.events)
		loop_fd_mod(&r->w, want);
	lwip_port_kick(&r->g->lwip);
}

/* syn_release: the host side stands or not: the machine's first segment is let in or refused. */
static void
syn_release(struct relay *r, bool ok)
{
	struct packet p;
	struct gateway *g = r->g;
	if (!packet_parse(r->syn, r->syn_len, &p)) {
		relay_end(r, true);
		return;
	}
	if (!ok) {
		uint8_t out[128];
		size_t n = packet_tcp_rst(out, sizeof(out), &p);
		relay_end(r, true);
		if (n)
			switch_frame(g->f, FABRIC_GATEWAY, out, n);
		return;
	}
	packet_rewrite(&p, NULL, 0, p.v6 ? fabric_gw_v6 : fabric_gw_v4, r->port);
	lwip_port_input(&g->lwip, r->syn, r->syn_len);
	if (r->dead)
		return;
	free(r->syn);
	r->syn = NULL;
}

static void
on_host(struct loop_fd *w, uint32_t revents)
{
	struct relay *r = w->arg;
	if (!r->host_up) {
		int error = 0;
		socklen_t len = sizeof(error);
		getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		r->host_up = error == 0;
		syn_release(r, r->host_up);
		if (r->dead)
			return;
	}
	if ((revents & (EPOLLHUP | EPOLLERR)) && !(revents & EPOLLIN) && r->host_eof) {
		relay_end(r, true);
		return;
	}
	relay_pump(r);
}

static int
host_watch(struct relay *r, int fd, uint32_t events)
{
	int one = 1;
	setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one));
	r->w = (struct loop_fd){
		.fd = fd, .events = events, .prio = LOOP_PRIO_IO, .fn = on_host, .arg = r};
	return loop_fd_add(r->g->f->loop, &r->w);
}

/* ---- flows from machines ---- */

static int
host_connect(const struct flow_key *k)
{
	bool gw = k->v6 ? !memcmp(k->dst, fabric_gw_v6, 16) : !memcmp(k->dst, fabric_gw_v4, 4);
	struct sockaddr_in sa4 = {.sin_family = AF_INET, .sin_port = htons(k->dport)};
	struct sockaddr_in6 sa6 = {.sin6_family = AF_INET6, .sin6_port = htons(k->dport)};
	const struct sockaddr *sa = (const struct sockaddr *)&sa4;
	socklen_t len = sizeof(sa4);
	if (gw) {
		sa4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	} else if (k->v6) {
		memcpy(&sa6.sin6_addr, k->dst, 16);
		sa = (const struct sockaddr *)&sa6;
		len = sizeof(sa6);
	} else {
		memcpy(&sa4.sin_addr, k->dst, 4);
	}
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, sa, len) < 0 && errno != EINPROGRESS) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

static uint16_t
port_in_alloc(struct gateway *g)
{
	for (unsigned i = 0; i < ARRAY_LEN(g->by_port); i++) {
		unsigned slot = (g->next_in + i) % ARRAY_LEN(g->by_port);
		if (g->by_port[slot])
			continue;
		g->next_in = (uint16_t)(slot + 1);
		return (uint16_t)(PORT_IN_FIRST + slot);
	}
	return 0;
}

static bool
flow_listen(struct relay *r)
{
	struct tcp_pcb *pcb = tcp_new_ip_type(r->key.v6 ? IPADDR_TYPE_V6 : IPADDR_TYPE_V4);
	if (!pcb)
		return false;
	if (tcp_bind(pcb, r->key.v6 ? IP6_ADDR_ANY : IP4_ADDR_ANY, r->port) != ERR_OK) {
		tcp_close(pcb);
		return false;
	}
	struct tcp_pcb *listener = tcp_listen_with_backlog(pcb, 1);
	if (!listener) {
		tcp_close(pcb);
		return false;
	}
	r->listener = listener;
	tcp_arg(listener, r);
	tcp_accept(listener, on_accept);
	return true;
}

static struct relay *
flow_new(struct gateway *g, const struct flow_key *k, const struct packet *p)
{
	struct relay *r = relay_new(g);
	if (!r)
		return NULL;
	r->key = *k;
	r->inbound = true;
	r->port = port_in_alloc(g);
	if (r->port)
		g->by_port[r->port - PORT_IN_FIRST] = r;
	else
		r->port = PORT_IN_FIRST;
	r->syn = malloc(p->n);
	int fd = host_connect(k);
	if (!r->syn || map_put(&g->flows, key_str(&r->key), r, NULL) < 0 || !flow_listen(r)) {
		if (fd >= 0)
			close(fd);
		relay_end(r, true);
		return NULL;
	}
	memcpy(r->syn, p->frame, p->n);
	r->syn_len = p->n;
	if (fd < 0 || host_watch(r, fd, EPOLLOUT) < 0)
		syn_release(r, false);
	return r;
}

static void
tcp_packet(struct gateway *g, struct packet *p)
{
	struct flow_key k;
	memset(&k, 0, sizeof(k));
	size_t alen = p->v6 ? 16 : 4;
	memcpy(k.src, p->src, alen);
	memcpy(k.dst, p->dst, alen);
	k.sport = (uint16_t)(p->l4[0] << 8 | p->l4[1]);
	k.dport = (uint16_t)(p->l4[2] << 8 | p->l4[3]);
	k.v6 = p->v6;
	bool own = !memcmp(p->dst, p->v6 ? fabric_gw_v6 : fabric_gw_v4, alen);
	if (own && k.dport >= PORT_OUT_FIRST && k.dport < PORT_OUT_FIRST + PORT_OUT_COUNT &&
		g->out_ports[k.dport - PORT_OUT_FIRST]) {
		lwip_port_input(&g->lwip, p->frame, p->n);
		return;
	}
	struct relay *r = map_get(&g->flows, key_str(&k));
	bool syn = (p->l4[13] & 0x12) == 0x02;
	if (r && syn && r->pcb && r->pcb->state != SYN_RCVD) {
		relay_end(r, true); /* the machine began anew with the same ports */
		r = NULL;
	}
	if (!r && syn) {
		flow_new(g, &k, p);
		return;
	}
	if (!r) {
		uint8_t out[128];
		size_t n = p->l4[13] & 0x04 ? 0 : packet_tcp_rst(out, sizeof(out), p);
		if (n)
			switch_frame(g->f, FABRIC_GATEWAY, out, n);
		return;
	}
	if (r->syn)
		return; /* a repeated SYN: the first one is still waiting for the host */
	packet_rewrite(p, NULL, 0, p->v6 ? fabric_gw_v6 : fabric_gw_v4, r->port);
	lwip_port_input(&g->lwip, p->frame, p->n);
}

void
gateway_frame(struct fabric *f, const uint8_t *frame, size_t n)
{
	struct gateway *g = f->gw;
	uint8_t copy[LWIP_PORT_FRAME_MAX];
	struct packet p;
	if (n > sizeof(copy) || (!(frame[0] & 1) && memcmp(frame, fabric_gw_mac, 6)))
		return;
	memcpy(copy, frame, n);
	bool unicast = !(frame[0] & 1);
	if (packet_parse(copy, n, &p)) {
		if (p.proto == IPPROTO_UDP) {
			uint16_t dport = (uint16_t)(p.l4[2] << 8 | p.l4[3]);
			if (!p.v6 && dport == 67)
				dhcp_packet(f, &p);
			else if (unicast)
				udp_flows_packet(g->udp, &p);
			return;
		}
		if (p.proto == IPPROTO_TCP) {
			if (unicast)
				tcp_packet(g, &p);
			return;
		}
		if (p.proto == IPPROTO_ICMPV6 && p.l4_len >= 8 && p.l4[0] == 133) {
			ra_send(f);
			return;
		}
	}
	lwip_port_input(&g->lwip, copy, n);
}

/* on_lwip_out: lwIP's frames; those of a machine's flow get their true source back. */
static void
on_lwip_out(void *arg, uint8_t *frame, size_t n)
{
	struct gateway *g = arg;
	struct packet p;
	if (packet_parse(frame, n, &p) && p.proto == IPPROTO_TCP) {
		uint16_t sport = (uint16_t)(p.l4[0] << 8 | p.l4[1]);
		struct relay *r = sport >= PORT_IN_FIRST ? g->by_port[sport - PORT_IN_FIRST] : NULL;
		if (r)
			packet_rewrite(&p, r->key.dst, r->key.dport, NULL, 0);
	}
	switch_frame(g->f, FABRIC_GATEWAY, frame, n);
}

/* ---- forwards from the host ---- */

static uint16_t
port_out_alloc(struct gateway *g)
{
	for (unsigned i = 0; i < PORT_OUT_COUNT; i++) {
		unsigned slot = (g->next_out + i) % PORT_OUT_COUNT;
		if (g->out_ports[slot])
			continue;
		g->out_ports[slot] = true;
		g->next_out = (uint16_t)(slot + 1);
		return (uint16_t)(PORT_OUT_FIRST + slot);
	}
	return 0;
}

static void
on_forward(struct loop_fd *w, uint32_t revents)
{
	struct forward *fw = w->arg;
	struct gateway *g = fw->g;
	(void)revents;
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	struct relay *r = relay_new(g);
	struct tcp_pcb *pcb = r ? tcp_new_ip_type(IP_GET_TYPE(&fw->addr)) : NULL;
	if (!pcb || host_watch(r, fd, EPOLLIN) < 0) {
		close(fd);
		if (pcb)
			tcp_abort(pcb);
		if (r)
			relay_end(r, true);
		return;
	}
	r->host_up = true;
	r->port = port_out_alloc(g);
	pcb_attach(r, pcb);
	if (!r->port || tcp_bind(pcb, IP_ANY_TYPE, r->port) != ERR_OK ||
		tcp_connect(pcb, &fw->addr, fw->port, on_connected) != ERR_OK)
		relay_end(r, true);
	lwip_port_kick(&g->lwip);
}

int
gateway_forward(struct fabric *f, uint16_t host_port, struct str addr, uint16_t port)
{
	struct gateway *g = f->gw;
	char text[64];
	ip_addr_t ip;
	if (!str_copy_c(addr, text, sizeof(text)) || !ipaddr_aton(text, &ip))
		return -EINVAL;
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(host_port)};
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	socklen_t len = sizeof(sa);
	_cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 256) < 0 ||
		getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	struct forward *fw = calloc(1, sizeof(*fw));
	if (!fw)
		return -ENOMEM;
	*fw = (struct forward){.g = g, .addr = ip, .port = port, .host_port = ntohs(sa.sin_port)};
	fw->w = (struct loop_fd){
		.fd = fd, .events = EPOLLIN, .prio = LOOP_PRIO_ACCEPT, .fn = on_forward, .arg = fw};
	int rc = loop_fd_add(f->loop, &fw->w);
	if (rc < 0) {
		free(fw);
		return rc;
	}
	(void)TAKE_FD(fd);
	fw->next = g->forwards;
	g->forwards = fw;
	return fw->host_port;
}

void
gateway_status(struct fabric *f, struct buf *b)
{
	for (const struct forward *fw = f->gw->forwards; fw; fw = fw->next)
		buf_fmt(b, "forward 127.0.0.1:%u %s %u\n", fw->host_port, ipaddr_ntoa(&fw->addr),
			fw->port);
	buf_fmt(b, "connections %zu\n", f->gw->n_relays);
}

static void
on_ra(struct loop_timer *t)
{
	struct gateway *g = t->arg;
	ra_send(g->f);
	loop_timer_after(g->f->loop, t, 60 * NS_PER_SEC);
}

int
gateway_new(struct fabric *f)
{
	struct gateway *g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->f = f;
	f->gw = g;
	map_init(&g->flows);
	g->udp = udp_flows_new(f);
	int rc = g->udp ? lwip_port_init(&g->lwip, f->loop, fabric_gw_mac, on_lwip_out, g)
			: -ENOMEM;
	if (rc < 0)
		return rc;
	ip4_addr_t ip, mask, none = {0};
	IP4_ADDR(&ip, 10, 77, 0, 1);
	IP4_ADDR(&mask, 255, 255, 255, 0);
	netif_set_addr(&g->lwip.netif, &ip, &mask, &none);
	netif_create_ip6_linklocal_address(&g->lwip.netif, 1);
	ip6_addr_t v6;
	memcpy(v6.addr, fabric_gw_v6, 16);
	ip6_addr_clear_zone(&v6);
	netif_ip6_addr_set(&g->lwip.netif, 1, &v6);
	netif_ip6_addr_set_state(&g->lwip.netif, 0, IP6_ADDR_PREFERRED);
	netif_ip6_addr_set_state(&g->lwip.netif, 1, IP6_ADDR_PREFERRED);
	g->ra = (struct loop_timer){.fn = on_ra, .arg = g};
	loop_timer_after(f->loop, &g->ra, NS_PER_SEC);
	return 0;
}

void
gateway_free(struct fabric *f)
{
	struct gateway *g = f->gw;
	if (!g)
		return;
	loop_timer_cancel(&g->ra);
	while (g->relays)
		relay_end(g->relays, true);
	while (g->forwards) {
		struct forward *fw = g->forwards;
		g->forwards = fw->next;
		loop_fd_del(&fw->w);
		close(fw->w.fd);
		free(fw);
	}
	udp_flows_free(g->udp);
	lwip_port_release(&g->lwip);
	map_release(&g->flows);
	free(g);
	f->gw = NULL;
}
