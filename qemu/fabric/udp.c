/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * udp: datagrams of machines to the outside: one connected host socket per flow, forgotten after a
 * minute of silence. Queries to the gateway's port 53 go to the host's resolver, but for names that
 * were set with `host NAME ADDR`, which are answered here. */
#include "qemu/fabric/fabric.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FLOWS_MAX 1024
#define FLOW_IDLE_NS (60 * NS_PER_SEC)

struct flow_key {
	uint8_t src[16], dst[16];
	uint16_t sport, dport;
	bool v6;
};

struct flow {
	struct flow_key key;
	uint8_t mac[6];
	struct loop_fd w;
	struct loop_timer idle;
	struct udp_flows *u;
};

struct udp_flows {
	struct fabric *f;
	struct map flows;
};

static void
flow_free(void *p)
{
	free(p);
}

static void
flow_end(struct flow *fl)
{
	struct udp_flows *u = fl->u;
	loop_timer_cancel(&fl->idle);
	loop_fd_del(&fl->w);
	close(fl->w.fd);
	map_del(&u->flows, str_from((char *)&fl->key, sizeof(fl->key)));
	loop_free_later(u->f->loop, flow_free, fl);
}

static void
on_idle(struct loop_timer *t)
{
	flow_end(t->arg);
}

static void
flow_answer(struct flow *fl, struct str payload)
{
	uint8_t out[2048];
	size_t n = packet_udp(out, sizeof(out), fl->mac, fl->key.v6, fl->key.dst, fl->key.dport,
		fl->key.src, fl->key.sport, payload);
	if (n)
		switch_frame(fl->u->f, FABRIC_GATEWAY, out, n);
}

static void
on_datagram(struct loop_fd *w, uint32_t revents)
{
	struct flow *fl = w->arg;
	(void)revents;
	char data[1472];
	for (int i = 0; i < 64; i++) {
		ssize_t n = recv(w->fd, data, sizeof(data), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			flow_end(fl);
			return;
		}
		loop_timer_after(fl->u->f->loop, &fl->idle, FLOW_IDLE_NS);
		flow_answer(fl, str_from(data, (size_t)n));
	}
}

/* resolver: the host's first IPv4 name server, loopback when there is none. */
static uint32_t
resolver(void)
{
	FILE *fp = fopen("/etc/resolv.conf", "re");
	char line[256];
	in_addr_t found = htonl(INADDR_LOOPBACK);
	while (fp && fgets(line, sizeof(line), fp)) {
		struct str s = str_trim(str_c(line)), word, rest;
		if (!str_cut(s, ' ', &word, &rest) || !str_eq_c(word, "nameserver"))
			continue;
		char addr[64];
		struct in_addr in;
		str_copy_c(str_trim(rest), addr, sizeof(addr));
		if (inet_pton(AF_INET, addr, &in) == 1) {
			found = in.s_addr;
			break;
		}
	}
	if (fp)
		fclose(fp);
	return found;
}

static int
flow_socket(const struct flow_key *k)
{
	static const uint8_t dns_port = 53;
	bool gw = k->v6 ? !memcmp(k->dst, fabric_gw_v6, 16) : !memcmp(k->dst, fabric_gw_v4, 4);
	struct sockaddr_in sa4 = {.sin_family = AF_INET, .sin_port = htons(k->dport)};
	struct sockaddr_in6 sa6 = {.sin6_family = AF_INET6, .sin6_port = htons(k->dport)};
	const struct sockaddr *sa = (const struct sockaddr *)&sa4;
	socklen_t len = sizeof(sa4);
	if (gw) {
		sa4.sin_addr.s_addr = k->dport == dns_port ? resolver() : htonl(INADDR_LOOPBACK);
	} else if (k->v6) {
		memcpy(&sa6.sin6_addr, k->dst, 16);
		sa = (const struct sockaddr *)&sa6;
		len = sizeof(sa6);
	} else {
		memcpy(&sa4.sin_addr, k->dst, 4);
	}
	int fd = socket(sa->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, sa, len) < 0) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

/* own_name: answers a query for a name set here; false when it is none of ours. */
static bool
own_name(struct udp_flows *u, struct packet *p, const struct flow_key *k, struct str q)
{
	if (q.n < 17 || q.n > 400 || q.p[4] != 0 || q.p[5] != 1)
		return false;
	char name[256];
	size_t at = 12, n = 0;
	while (at < q.n && q.p[at]) {
		size_t l = (uint8_t)q.p[at];
		if (l > 63 || at + 1 + l >= q.n || n + l + 1 >= sizeof(name))
			return false;
		memcpy(name + n, q.p + at + 1, l);
		n += l;
		name[n++] = '.';
		at += 1 + l;
	}
	if (n == 0 || at + 5 > q.n)
		return false;
	struct str asked = str_from(name, n - 1);
	bool a = q.p[at + 1] == 0 && q.p[at + 2] == 1;
	const struct fabric_host *h = NULL;
	for (unsigned i = 0; i < u->f->n_hosts && !h; i++)
		if (str_eq_nocase(asked, str_c(u->f->hosts[i].name)))
			h = &u->f->hosts[i];
	if (!h)
		return false;
	uint8_t msg[512];
	size_t len = at + 5;
	memcpy(msg, q.p, len);
	msg[2] = (uint8_t)(0x84 | (msg[2] & 1));
	msg[3] = 0x80;
	memset(msg + 6, 0, 6);
	if (a) {
		static const uint8_t rr[12] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4};
		msg[7] = 1;
		memcpy(msg + len, rr, sizeof(rr));
		memcpy(msg + len + sizeof(rr), h->v4, 4);
		len += sizeof(rr) + 4;
	}
	uint8_t out[700];
	size_t total = packet_udp(out, sizeof(out), p->frame + 6, k->v6, k->dst, 53, k->src,
		k->sport, str_from((char *)msg, len));
	if (total)
		switch_frame(u->f, FABRIC_GATEWAY, out, total);
	return true;
}

static struct flow *
flow_new(struct udp_flows *u, const struct flow_key *k)
{
	if (map_len(&u->flows) >= FLOWS_MAX)
		return NULL;
	int fd = flow_socket(k);
	if (fd < 0)
		return NULL;
	struct flow *fl = calloc(1, sizeof(*fl));
	if (!fl) {
		close(fd);
		return NULL;
	}
	fl->key = *k;
	fl->u = u;
	fl->idle = (struct loop_timer){.fn = on_idle, .arg = fl};
	fl->w = (struct loop_fd){
		.fd = fd, .events = EPOLLIN, .prio = LOOP_PRIO_IO, .fn = on_datagram, .arg = fl};
	if (loop_fd_add(u->f->loop, &fl->w) < 0 ||
		map_put(&u->flows, str_from((char *)&fl->key, sizeof(fl->key)), fl, NULL) < 0) {
		flow_end(fl);
		return NULL;
	}
	return fl;
}

void
udp_flows_packet(struct udp_flows *u, struct packet *p)
{
	struct flow_key k;
	memset(&k, 0, sizeof(k));
	size_t alen = p->v6 ? 16 : 4;
	memcpy(k.src, p->src, alen);
	memcpy(k.dst, p->dst, alen);
	k.sport = (uint16_t)(p->l4[0] << 8 | p->l4[1]);
	k.dport = (uint16_t)(p->l4[2] << 8 | p->l4[3]);
	k.v6 = p->v6;
	struct str payload = str_from((char *)p->l4 + 8, p->l4_len - 8);
	if (k.dport == 53 && own_name(u, p, &k, payload))
		return;
	struct flow *fl = map_get(&u->flows, str_from((char *)&k, sizeof(k)));
	if (!fl)
		fl = flow_new(u, &k);
	if (!fl)
		return;
	memcpy(fl->mac, p->frame + 6, 6);
	loop_timer_after(u->f->loop, &fl->idle, FLOW_IDLE_NS);
	if (send(fl->w.fd, payload.p, payload.n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
		errno != EAGAIN)
		flow_end(fl);
}

struct udp_flows *
udp_flows_new(struct fabric *f)
{
	struct udp_flows *u = calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	u->f = f;
	map_init(&u->flows);
	return u;
}

void
udp_flows_free(struct udp_flows *u)
{
	struct str key;
	void *v;
	if (!u)
		return;
	for (size_t pos = 0; map_next(&u->flows, &pos, &key, &v);)
		flow_end(v);
	map_release(&u->flows);
	free(u);
}
