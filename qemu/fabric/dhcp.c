/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * dhcp: the gateway's DHCP server: every machine's address is known beforehand by its MAC, so it keeps
 * no state: DISCOVER gets an OFFER, REQUEST an ACK, of that one address. A total function from a datagram
 * to an answer. And ra: IPv6 router advertisements with the /64 for autoconfiguration.
 * Sources: RFC 2131, 2132, 4861 section 4.2, 8106. */
#include "qemu/fabric/fabric.h"

#define LEASE_SECONDS 86400

static const uint8_t cookie[4] = {99, 130, 83, 99};

static const struct fabric_lease *
lease_of(const struct fabric *f, const uint8_t *mac)
{
	for (unsigned i = 0; i < f->n_leases; i++)
		if (!memcmp(f->leases[i].mac, mac, 6))
			return &f->leases[i];
	return NULL;
}

/* option_find: value of an option in a BOOTP message, STR_NONE when absent or malformed. */
static struct str
option_find(struct str options, uint8_t code)
{
	struct reader r = reader_of(options);
	while (r.n) {
		uint8_t c = reader_u8(&r);
		if (c == 0)
			continue;
		if (c == 255)
			break;
		struct str v = reader_bytes(&r, reader_u8(&r));
		if (r.bad)
			break;
		if (c == code)
			return v;
	}
	return STR_NONE;
}

static void
option_put(struct buf *b, uint8_t code, const void *p, uint8_t n)
{
	buf_char(b, (char)code);
	buf_char(b, (char)n);
	buf_add(b, p, n);
}

static void
option_u32(struct buf *b, uint8_t code, uint32_t v)
{
	uint8_t p[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
	option_put(b, code, p, 4);
}

void
dhcp_packet(struct fabric *f, struct packet *p)
{
	struct str msg = str_from((char *)p->l4 + 8, p->l4_len - 8);
	if (p->v6 || msg.n < 240 || msg.p[0] != 1 || memcmp(msg.p + 236, cookie, 4))
		return;
	const struct fabric_lease *l = lease_of(f, (const uint8_t *)msg.p + 28);
	struct str type = option_find(str_sub(msg, 240, SIZE_MAX), 53);
	if (!l || type.n != 1)
		return;
	uint8_t answer;
	if (type.p[0] == 1)
		answer = 2; /* DISCOVER -> OFFER */
	else if (type.p[0] == 3)
		answer = 5; /* REQUEST -> ACK */
	else
		return;
	_cleanup_buf_ struct buf b = BUF_INIT;
	uint8_t head[240] = {2, 1, 6, 0};
	memcpy(head + 4, msg.p + 4, 4);   /* xid */
	memcpy(head + 10, msg.p + 10, 2); /* flags */
	memcpy(head + 16, l->v4, 4);
	memcpy(head + 20, fabric_gw_v4, 4);
	memcpy(head + 28, msg.p + 28, 16);
	memcpy(head + 236, cookie, 4);
	buf_add(&b, head, sizeof(head));
	option_put(&b, 53, &answer, 1);
	option_put(&b, 54, fabric_gw_v4, 4);
	option_u32(&b, 51, LEASE_SECONDS);
	option_u32(&b, 1, 0xffffff00);
	option_put(&b, 3, fabric_gw_v4, 4);
	option_put(&b, 6, fabric_gw_v4, 4);
	option_put(&b, 12, l->name, (uint8_t)strlen(l->name));
	buf_char(&b, (char)255);
	if (b.failed)
		return;
	uint8_t out[700];
	static const uint8_t all[4] = {255, 255, 255, 255};
	size_t n = packet_udp(out, sizeof(out), (const uint8_t *)msg.p + 28, false, fabric_gw_v4,
		67, all, 68, buf_view(&b));
	if (n)
		switch_frame(f, FABRIC_GATEWAY, out, n);
}

void
ra_send(struct fabric *f)
{
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	static const uint8_t all_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
	static const uint8_t link_local[16] = {
		0xfe, 0x80, [8] = 0x50, 0x54, 0, 0xff, 0xfe, 0x77, 0, 1};
	uint8_t m[16 + 8 + 32] = {134};
	m[4] = 64;   /* hop limit */
	m[6] = 0x07; /* router lifetime: 1,800 s */
	m[7] = 0x08;
	m[16] = 1; /* source link-layer address */
	m[17] = 1;
	memcpy(m + 18, fabric_gw_mac, 6);
	m[24] = 3; /* prefix information */
	m[25] = 4;
	m[26] = 64;
	m[27] = 0xc0; /* on-link, autonomous */
	memset(m + 28, 0xff, 8);
	memcpy(m + 40, fabric_gw_v6, 8);
	uint8_t out[200];
	size_t n = packet_icmp6(
		out, sizeof(out), all_mac, link_local, all_nodes, str_from((char *)m, sizeof(m)));
	if (n)
		switch_frame(f, FABRIC_GATEWAY, out, n);
}
