/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * fabric_fuzz: any bytes as a frame that a machine of a test cluster sends: taken apart, rewritten with other
 * addresses and ports, answered with a reset, served by the DHCP server. Holds: all of a packet's parts
 * lie in the frame, and what is built of them is a packet again. */
#include "qemu/fabric/fabric.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
inside(const uint8_t *p, size_t n, const struct packet *of)
{
	BUG_ON(p < of->frame || p + n > of->frame + of->n);
}

static void
parts(const struct packet *p)
{
	inside(p->src, p->v6 ? 16 : 4, p);
	inside(p->dst, p->v6 ? 16 : 4, p);
	inside(p->l4, p->l4_len, p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fabric f = {.n_ports = 1, .n_leases = 1};
	static const uint8_t from[16] = {10, 77, 0, 9}, to[16] = {10, 77, 0, 1};
	static uint8_t out[FABRIC_FRAME_MAX];
	struct packet p = {0}, built = {0};

	if (size > FABRIC_FRAME_MAX)
		return 0;
	uint8_t *frame = malloc(size + 1);
	memcpy(frame, data, size);
	memcpy(f.leases[0].mac, "\x52\x54\x00\x00\x00\x01", 6);
	memcpy(f.leases[0].name, "node-1", 7);
	if (packet_parse(frame, size, &p)) {
		parts(&p);
		bool udp = p.proto == 17 && p.l4_len >= 8;
		if (p.proto == 6 && p.l4_len >= 20) {
			size_t n = packet_tcp_rst(out, sizeof(out), &p);
			BUG_ON(n > sizeof(out) || (n && !packet_parse(out, n, &built)));
		}
		if (udp)
			dhcp_packet(&f, &p);
		if (udp || (p.proto == 6 && p.l4_len >= 20)) {
			packet_rewrite(&p, from, 4000, to, 443);
			BUG_ON(!packet_parse(frame, size, &built));
			BUG_ON(built.l4 != p.l4 || built.l4_len != p.l4_len ||
				memcmp(built.dst, to, p.v6 ? 16 : 4) != 0);
		}
	}
	free(frame);
	return 0;
}
