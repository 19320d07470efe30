/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Netlink messages: layout of the batch byte for byte, and decoders over cut and wrong bytes. */
#include "netstack/netlink/message.c"

#include "base/rand.h"
#include "tests/unit/test.h"

static const char *
hex_of(const struct nl_batch *b)
{
	static char out[2048];

	for (size_t i = 0; i < b->out.len; i++)
		snprintf(out + 2 * i, 3, "%02x", (uint8_t)b->out.data[i]);
	return out;
}

TEST(a_batch_is_laid_out_as_the_kernel_reads_it)
{
	_cleanup_nl_batch_ struct nl_batch b;
	size_t nest = 0;

	nl_batch_init(&b);
	nl_msg_begin(&b, 0x1234, NLM_F_CREATE);
	nl_put(&b, "\1\2\3", 3);
	nl_attr_u8(&b, 5, 0xaa);
	nest = nl_nest_begin(&b, 6 | NLA_F_NESTED);
	nl_attr_be16(&b, 1, 0x1122);
	nl_attr_be32(&b, 2, 0x11223344);
	nl_attr_cstr(&b, 3, "ab");
	nl_nest_end(&b, nest);
	nl_msg_end(&b);
	nl_msg_begin(&b, 0x10, 0);
	nl_msg_end(&b);
	CHECK_INT(nl_batch_seal(&b), 0);
	CHECK_STR(hex_of(&b),
		"3800000034120104010000000000000001020300"
		"05000500aa000000"
		"1c000680"
		"0600010011220000"
		"0800020011223344"
		"0700030061620000"
		"10000000100005000200000000000000");
}

TEST(the_acknowledgement_is_asked_before_the_border_of_a_transaction)
{
	_cleanup_nl_batch_ struct nl_batch b;
	struct str rest = STR_NONE;
	struct nl_msg m;
	uint16_t flags[3] = {0};

	nl_batch_init(&b);
	b.transaction = true;
	for (unsigned i = 0; i < 3; i++) {
		nl_msg_begin(&b, 0x10, 0);
		nl_msg_end(&b);
	}
	CHECK_INT(nl_batch_seal(&b), 0);
	rest = buf_view(&b.out);
	for (unsigned i = 0; nl_msg_next(&rest, &m); i++)
		flags[i] = m.flags;
	CHECK_INT(flags[0], NLM_F_REQUEST);
	CHECK_INT(flags[1], NLM_F_REQUEST | NLM_F_ACK);
	CHECK_INT(flags[2], NLM_F_REQUEST);
}

TEST(an_attribute_over_64_kb_fails_the_batch)
{
	_cleanup_nl_batch_ struct nl_batch b;
	static const char big[70000];
	size_t nest = 0;

	nl_batch_init(&b);
	nl_msg_begin(&b, 0x10, 0);
	nl_attr(&b, 1, big, sizeof(big));
	CHECK(b.out.failed);
	CHECK_INT(nl_batch_seal(&b), -ENOMEM);
	nl_batch_clear(&b);
	CHECK(!b.out.failed);
	nl_msg_begin(&b, 0x10, 0);
	nest = nl_nest_begin(&b, 1);
	nl_attr(&b, 1, big, 40000);
	nl_attr(&b, 1, big, 40000);
	nl_nest_end(&b, nest);
	nl_msg_end(&b);
	CHECK_INT(nl_batch_seal(&b), -ENOMEM);
}

TEST(messages_and_attributes_are_read_back)
{
	_cleanup_nl_batch_ struct nl_batch b;
	struct str rest = STR_NONE, table[8];
	struct nl_msg m;

	nl_batch_init(&b);
	nl_msg_begin(&b, 77, 0);
	nl_attr_u32(&b, 1, 0x01020304);
	nl_attr_be32(&b, 2, 0x01020304);
	nl_attr_u16(&b, 3, 0x0102);
	nl_attr_cstr(&b, 4, "name");
	nl_attr_u32(&b, 99, 1);
	nl_attr_u8(&b, 1 | NLA_F_NESTED, 9);
	nl_msg_end(&b);
	CHECK_INT(nl_batch_seal(&b), 0);
	rest = buf_view(&b.out);
	CHECK(nl_msg_next(&rest, &m));
	CHECK_INT(m.type, 77);
	CHECK_INT(m.seq, 1);
	nl_attrs(m.payload, table, ARRAY_LEN(table));
	CHECK_INT(nl_get_u8(table[1]), 9);  /* the last of equal ones */
	CHECK_INT(nl_get_u32(table[1]), 0); /* another size */
	CHECK_INT(nl_get_be32(table[2]), 0x01020304);
	CHECK_INT(nl_get_u16(table[3]), 0x0102);
	CHECK_STR(nl_get_cstr(table[4]), "name");
	CHECK(!str_is_set(table[5]));
	CHECK(!nl_msg_next(&rest, &m));
}

/* Walks everything a decoder can reach; the result is only that it ends within the bytes. */
static size_t
walk(struct str bytes, unsigned depth)
{
	struct str payload = STR_NONE, table[16];
	struct nl_msg m;
	uint16_t type = 0;
	size_t n = 0;

	if (depth == 0) {
		while (nl_msg_next(&bytes, &m))
			n += 1 + walk(m.payload, 1);
		return n;
	}
	nl_attrs(bytes, table, ARRAY_LEN(table));
	while (depth < 6 && nl_attr_next(&bytes, &type, &payload))
		n += 1 + walk(payload, depth + 1);
	return n;
}

TEST(cut_and_random_bytes_end_the_reading)
{
	_cleanup_nl_batch_ struct nl_batch b;
	char noise[256];
	size_t full = 0;

	nl_batch_init(&b);
	nl_msg_begin(&b, 77, 0);
	for (unsigned i = 0; i < 5; i++) {
		size_t nest = nl_nest_begin(&b, (uint16_t)i);

		nl_attr_cstr(&b, 4, "name");
		nl_nest_end(&b, nest);
	}
	nl_msg_end(&b);
	full = walk(buf_view(&b.out), 0);
	CHECK_INT(full, 11);
	for (size_t n = 0; n < b.out.len; n++)
		CHECK(walk(str_from(b.out.data, n), 0) <= full);
	rand_set_seed(7);
	for (unsigned round = 0; round < 20000; round++) {
		memcpy(noise, b.out.data, b.out.len);
		for (unsigned i = 0; i < 4; i++)
			noise[rand_below(b.out.len)] = (char)rand_u64();
		CHECK(walk(str_from(noise, b.out.len), 0) < 200);
	}
}
