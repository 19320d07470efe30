/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Frames: parsing is total, checksums hold after every change. */
#include "qemu/fabric/packet.c"

#include "tests/unit/test.h"

#include "base/rand.h"

const uint8_t fabric_gw_mac[6] = {0x52, 0x54, 0, 0x77, 0, 1};

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 9};
static const uint8_t a4[4] = {10, 77, 0, 1}, b4[4] = {10, 77, 0, 11}, c4[4] = {192, 0, 2, 200};

static bool
sums_hold(const struct packet *p)
{
	if (!p->v6 && sum_fold(sum_words(0, p->frame + 14, 20)) != 0)
		return false;
	return l4_checksum(p->v6, p->src, p->dst, p->proto, p->l4, p->l4_len) == 0;
}

TEST(a_datagram_is_what_was_put_in)
{
	uint8_t f[200];
	struct packet p;
	size_t n = packet_udp(f, sizeof(f), mac, false, a4, 53, b4, 4000, STR("hello"));
	CHECK(packet_parse(f, n, &p));
	CHECK_INT(p.proto, IPPROTO_UDP);
	CHECK(sums_hold(&p));
	CHECK_STR(str_from((char *)p.l4 + 8, p.l4_len - 8), "hello");
	CHECK_INT(packet_udp(f, 40, mac, false, a4, 53, b4, 4000, STR("hello")), 0);
}

TEST(rewriting_mends_the_checksums)
{
	uint8_t f[200];
	struct packet p;
	static const uint8_t a6[16] = {0xfd, 1}, b6[16] = {0xfd, 2},
			     c6[16] = {0x20, 1, 0xd, 0xb8, [15] = 9};
	size_t n = packet_udp(f, sizeof(f), mac, false, a4, 53, b4, 4000, STR("odd"));
	CHECK(packet_parse(f, n, &p));
	packet_rewrite(&p, c4, 1234, NULL, 0);
	CHECK(sums_hold(&p));
	packet_rewrite(&p, NULL, 0, a4, 65535);
	CHECK(sums_hold(&p));
	CHECK_INT(get16(p.l4), 1234);
	n = packet_udp(f, sizeof(f), mac, true, a6, 53, b6, 4000, STR("x"));
	CHECK(packet_parse(f, n, &p));
	packet_rewrite(&p, c6, 7, a6, 8);
	CHECK(sums_hold(&p));
}

TEST(any_bytes_are_parsed_or_refused)
{
	uint8_t f[200];
	struct packet p;
	rand_set_seed(3);
	for (int i = 0; i < 20000; i++) {
		size_t n = packet_udp(f, sizeof(f), mac, i & 1, (uint8_t[16]){10}, 1,
			(uint8_t[16]){11}, 2, STR("some payload"));
		for (int k = 0; k < 3; k++)
			f[rand_below(n)] = (uint8_t)rand_u64();
		n = rand_below(n + 1);
		if (packet_parse(f, n, &p)) {
			CHECK(p.l4 >= f && p.l4 + p.l4_len <= f + n);
			packet_rewrite(&p, NULL, 5, NULL, 6);
		}
	}
}
