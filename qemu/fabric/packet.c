/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * packet: views of Ethernet frames with IPv4/IPv6 inside, and the checksum arithmetic to change or make
 * them. Total over any bytes. Sources: RFC 791, 8200, 768, 9293, 1624. */
#include "qemu/fabric/fabric.h"

#include <netinet/in.h>

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void
put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static bool
parse_v4(struct packet *k)
{
	uint8_t *ip = k->frame + 14;
	size_t n = k->n - 14;
	if (n < 20 || ip[0] >> 4 != 4)
		return false;
	size_t head = (size_t)(ip[0] & 15) * 4, total = get16(ip + 2);
	if (head < 20 || total < head || total > n || (get16(ip + 6) & 0x3fff))
		return false;
	k->proto = ip[9];
	k->src = ip + 12;
	k->dst = ip + 16;
	k->l4 = ip + head;
	k->l4_len = total - head;
	return true;
}

static bool
parse_v6(struct packet *k)
{
	uint8_t *ip = k->frame + 14;
	size_t n = k->n - 14;
	if (n < 40 || ip[0] >> 4 != 6)
		return false;
	size_t payload = get16(ip + 4);
	if (payload > n - 40)
		return false;
	k->v6 = true;
	k->proto = ip[6];
	k->src = ip + 8;
	k->dst = ip + 24;
	k->l4 = ip + 40;
	k->l4_len = payload;
	return true;
}

bool
packet_parse(uint8_t *frame, size_t n, struct packet *ret)
{
	struct packet k = {.frame = frame, .n = n};
	if (n < 14)
		return false;
	k.ether_type = get16(frame + 12);
	bool ok = k.ether_type == 0x0800 ? parse_v4(&k) : k.ether_type == 0x86dd && parse_v6(&k);
	if (!ok)
		return false;
	if ((k.proto == IPPROTO_TCP && (k.l4_len < 20 || (size_t)(k.l4[12] >> 4) * 4 < 20)) ||
		(k.proto == IPPROTO_UDP && k.l4_len < 8))
		return false;
	*ret = k;
	return true;
}

static uint32_t
sum_words(uint32_t sum, const uint8_t *p, size_t n)
{
	for (; n > 1; n -= 2, p += 2)
		sum += get16(p);
	if (n)
		sum += (uint32_t)p[0] << 8;
	return sum;
}

static uint16_t
sum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint16_t
l4_checksum(
	bool v6, const uint8_t *src, const uint8_t *dst, uint8_t proto, const uint8_t *l4, size_t n)
{
	size_t alen = v6 ? 16 : 4;
	uint32_t sum = sum_words(0, src, alen);
	sum = sum_words(sum, dst, alen);
	sum += proto + (uint32_t)n;
	return sum_fold(sum_words(sum, l4, n));
}

/* checksum_swap: RFC 1624 equation 3, for `n` changed bytes (even). */
static void
checksum_swap(uint8_t *sum_at, const uint8_t *old, const uint8_t *new_, size_t n)
{
	uint32_t sum = (uint16_t)~get16(sum_at);
	for (size_t i = 0; i < n; i += 2)
		sum += (uint16_t)~get16(old + i) + (uint32_t)get16(new_ + i);
	put16(sum_at, sum_fold(sum));
}

static void
field_swap(struct packet *p, uint8_t *at, const uint8_t *new_, size_t n, bool in_ip)
{
	uint8_t *l4sum = p->proto == IPPROTO_TCP ? p->l4 + 16 : p->l4 + 6;
	if (in_ip && !p->v6)
		checksum_swap(p->frame + 24, at, new_, n);
	if (p->proto == IPPROTO_TCP || get16(l4sum))
		checksum_swap(l4sum, at, new_, n);
	memcpy(at, new_, n);
}

void
packet_rewrite(
	struct packet *p, const uint8_t *src, uint16_t sport, const uint8_t *dst, uint16_t dport)
{
	size_t alen = p->v6 ? 16 : 4;
	uint8_t port[2];
	if (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP)
		return;
	if (src)
		field_swap(p, p->src, src, alen, true);
	if (dst)
		field_swap(p, p->dst, dst, alen, true);
	if (sport) {
		put16(port, sport);
		field_swap(p, p->l4, port, 2, false);
	}
	if (dport) {
		put16(port, dport);
		field_swap(p, p->l4 + 2, port, 2, false);
	}
}

/* headers: Ethernet and IP headers for n bytes of transport; returns where these start, 0 = no room. */
static size_t
headers(uint8_t *out, size_t cap, const uint8_t dst_mac[6], bool v6, const uint8_t *src,
	const uint8_t *dst, uint8_t proto, size_t n, uint8_t hops)
{
	size_t head = 14 + (v6 ? 40u : 20u);
	if (n > 65000 || head + n > cap)
		return 0;
	memset(out, 0, head);
	memcpy(out, dst_mac, 6);
	memcpy(out + 6, fabric_gw_mac, 6);
	put16(out + 12, v6 ? 0x86dd : 0x0800);
	uint8_t *ip = out + 14;
	if (v6) {
		ip[0] = 0x60;
		put16(ip + 4, (uint16_t)n);
		ip[6] = proto;
		ip[7] = hops;
		memcpy(ip + 8, src, 16);
		memcpy(ip + 24, dst, 16);
	} else {
		ip[0] = 0x45;
		put16(ip + 2, (uint16_t)(20 + n));
		put16(ip + 6, 0x4000);
		ip[8] = hops;
		ip[9] = proto;
		memcpy(ip + 12, src, 4);
		memcpy(ip + 16, dst, 4);
		put16(ip + 10, sum_fold(sum_words(0, ip, 20)));
	}
	return head;
}

size_t
packet_udp(uint8_t *out, size_t cap, const uint8_t dst_mac[6], bool v6, const uint8_t *src,
	uint16_t sport, const uint8_t *dst, uint16_t dport, struct str payload)
{
	size_t n = 8 + payload.n;
	size_t at = headers(out, cap, dst_mac, v6, src, dst, IPPROTO_UDP, n, 64);
	if (!at)
		return 0;
	uint8_t *u = out + at;
	put16(u, sport);
	put16(u + 2, dport);
	put16(u + 4, (uint16_t)n);
	put16(u + 6, 0);
	memcpy(u + 8, payload.p, payload.n);
	uint16_t sum = l4_checksum(v6, src, dst, IPPROTO_UDP, u, n);
	put16(u + 6, sum ? sum : 0xffff);
	return at + n;
}

size_t
packet_tcp_rst(uint8_t *out, size_t cap, const struct packet *p)
{
	size_t at = headers(out, cap, p->frame + 6, p->v6, p->dst, p->src, IPPROTO_TCP, 20, 64);
	if (!at)
		return 0;
	uint8_t *t = out + at;
	memset(t, 0, 20);
	memcpy(t, p->l4 + 2, 2);
	memcpy(t + 2, p->l4, 2);
	uint32_t seq = (uint32_t)get16(p->l4 + 4) << 16 | get16(p->l4 + 6);
	size_t data = p->l4_len - (size_t)(p->l4[12] >> 4) * 4;
	uint32_t ack = seq + (uint32_t)data + ((p->l4[13] & 2) != 0);
	put16(t + 8, (uint16_t)(ack >> 16));
	put16(t + 10, (uint16_t)ack);
	t[12] = 5 << 4;
	t[13] = 0x14; /* RST, ACK */
	put16(t + 16, l4_checksum(p->v6, p->dst, p->src, IPPROTO_TCP, t, 20));
	return at + 20;
}

size_t
packet_icmp6(uint8_t *out, size_t cap, const uint8_t dst_mac[6], const uint8_t src[16],
	const uint8_t dst[16], struct str message)
{
	size_t at = headers(out, cap, dst_mac, true, src, dst, IPPROTO_ICMPV6, message.n, 255);
	if (!at || message.n < 4)
		return 0;
	memcpy(out + at, message.p, message.n);
	put16(out + at + 2, 0);
	put16(out + at + 2, l4_checksum(true, src, dst, IPPROTO_ICMPV6, out + at, message.n));
	return at + message.n;
}
