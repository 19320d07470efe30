/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 *  buf_test: appending, limits, both owners. */
#include "tests/unit/test.h"

#include "base/buf.c"

static void
fill(struct buf *b)
{
	buf_cstr(b, "x");
	buf_i64(b, INT64_MIN);
	buf_char(b, ' ');
	buf_u64(b, UINT64_MAX);
	buf_fmt(b, " %s %0300d", "f", 1);
	buf_be16(b, 0x0102);
	buf_be32(b, 0x03040506);
	buf_be64(b, 0x0708090a0b0c0d0eULL);
	buf_le16(b, 0x0102);
	buf_le32(b, 0x03040506);
	buf_varint(b, 300);
	buf_varint(b, UINT64_MAX);
}

TEST(heap_and_arena_hold_the_same)
{
	struct arena *a = arena_new(0);
	struct buf x = BUF_INIT, y;
	buf_init_arena(&y, a);
	for (int i = 0; i < 100; i++) {
		fill(&x);
		fill(&y);
	}
	CHECK(!x.failed && !y.failed);
	CHECK_STR(buf_view(&x), buf_view(&y));
	CHECK(str_starts(buf_view(&x), STR("x-9223372036854775808 18446744073709551615 f 000")));
	CHECK(str_ends(buf_view(&x),
		STR("\x02\x01\x06\x05\x04\x03\xac\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")));
	buf_release(&x);
	CHECK_STR(buf_view(&x), "");
	arena_free(a);
}

TEST(max_is_a_sticky_failure)
{
	struct buf b = {.max = 4};
	buf_cstr(&b, "abcd");
	CHECK(!b.failed);
	buf_char(&b, 'e');
	CHECK(b.failed);
	CHECK(buf_reserve(&b, 1) == NULL);
	buf_clear(&b);
	buf_cstr(&b, "ab");
	CHECK_STR(buf_view(&b), "ab");
	CHECK(buf_reserve(&b, SIZE_MAX) == NULL);
	buf_release(&b);
}

TEST(arena_failure_reaches_the_buffer)
{
	struct arena *a = arena_new(1000);
	struct buf b;
	buf_init_arena(&b, a);
	for (int i = 0; i < 2000; i++)
		buf_char(&b, 'x');
	CHECK(b.failed && arena_failed(a));
	arena_free(a);
}

TEST(consume_drops_the_front)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	buf_cstr(&b, "abcdef");
	buf_consume(&b, 2);
	CHECK_STR(buf_view(&b), "cdef");
	buf_consume(&b, 4);
	CHECK_INT(b.len, 0);
	buf_consume(&b, 0);
	char *p = buf_reserve(&b, 3);
	CHECK(p != NULL);
	memcpy(p, "xyz", 3);
	buf_commit(&b, 3);
	buf_add(&b, NULL, 0);
	buf_str(&b, STR_NONE);
	CHECK_STR(buf_view(&b), "xyz");
}
