/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 *  arena_test: blocks, caps, growth, hooks. */
#include "tests/unit/test.h"

#include "base/arena.c"

TEST(blocks_are_zeroed_aligned_and_apart)
{
	struct arena *a = arena_new(0);
	for (int round = 0; round < 3; round++) {
		unsigned char *before = NULL;
		size_t before_n = 0;
		for (size_t n = 0; n < 3000; n += 7) {
			unsigned char *p = arena_alloc(a, n);
			CHECK(p != NULL);
			CHECK_INT((uintptr_t)p % 16, 0);
			for (size_t i = 0; i < n; i++)
				CHECK(p[i] == 0);
			memset(p, 0xee, n);
			for (size_t i = 0; i < before_n; i++)
				CHECK(before[i] == 0xee);
			before = p;
			before_n = n;
		}
		arena_clear(a);
		CHECK_INT(arena_used(a), 0);
	}
	arena_free(a);
	arena_free(NULL);
}

TEST(large_blocks_do_not_waste_the_current_chunk)
{
	struct arena *a = arena_new(0);
	char *small = arena_alloc(a, 16);
	char *large = arena_alloc(a, (size_t)1 << 20);
	char *next = arena_alloc(a, 16);
	CHECK(small && large && next);
	large[((size_t)1 << 20) - 1] = 1;
	CHECK_INT(arena_used(a), ((size_t)1 << 20) + 32);
	arena_free(a);
}

/* What is kept long is made twice: to be measured, and in an arena of that size. */
TEST(an_arena_that_fits_takes_one_block)
{
	struct arena *measured = arena_new(0), *a = NULL;
	for (size_t n = 1; n < 300; n += 13) {
		arena_clear(measured);
		arena_str(measured, str_from("................................", n % 32));
		arena_alloc(measured, n);
		arena_str(measured, STR("x"));
		a = arena_new_fit(arena_used(measured));
		CHECK(arena_str(a, str_from("................................", n % 32)).p);
		CHECK(arena_alloc(a, n) && arena_str(a, STR("x")).p);
#if !BLOCK_PER_MALLOC
		CHECK(a->chunks == NULL);
#endif
		CHECK(arena_alloc(a, 5000) != NULL);
		arena_free(a);
	}
	arena_free(measured);
}

TEST(cap_is_sticky_until_cleared)
{
	struct arena *a = arena_new(1000);
	CHECK(arena_alloc(a, 600) != NULL);
	CHECK(arena_alloc(a, 600) == NULL);
	CHECK(arena_failed(a));
	CHECK(arena_alloc(a, 1) == NULL);
	CHECK(!str_is_set(arena_str(a, STR("x"))));
	CHECK(!str_is_set(arena_fmt(a, "%d", 1)));
	CHECK(arena_cstr(a, STR("x")) == NULL);
	arena_clear(a);
	CHECK(!arena_failed(a));
	CHECK(arena_alloc(a, 1000) != NULL);
	CHECK(arena_array(a, SIZE_MAX / 2, 3) == NULL);
	CHECK(arena_failed(a));
	arena_free(a);
}

TEST(grow_keeps_content)
{
	struct arena *a = arena_new(0);
	char *p = arena_alloc(a, 10);
	memcpy(p, "0123456789", 10);
	size_t n = 10;
	for (int i = 0; i < 18; i++) {
		p = arena_grow(a, p, n, n * 2);
		CHECK(p != NULL);
		n *= 2;
		CHECK(memcmp(p, "0123456789", 10) == 0);
		if (i % 3 == 0)
			CHECK(arena_alloc(a, 1) != NULL);
	}
	CHECK(arena_grow(a, NULL, 0, 5) != NULL);
	arena_free(a);
}

TEST(push_grows_by_doubling)
{
	struct arena *a = arena_new(0);
	struct {
		int x, y;
	} *items = NULL;
	size_t n = 0;
	for (int i = 0; i < 1000; i++) {
		typeof(items) it = ARENA_PUSH(a, items, n);
		CHECK(it && it->x == 0 && it->y == 0);
		it->x = it->y = i;
	}
	CHECK_INT(n, 1000);
	for (int i = 0; i < 1000; i++)
		CHECK_INT(items[i].x, i);
	arena_free(a);
}

TEST(text_helpers)
{
	struct arena *a = arena_new(0);
	struct str parts[] = {STR("a"), STR_NONE, STR("bc")};
	struct str s = arena_cat(a, parts, 3);
	CHECK_STR(s, "abc");
	CHECK_STR(s.p, "abc");
	CHECK_STR(arena_fmt(a, "%s-%d", "x", 5), "x-5");
	s = arena_fmt(a, "%0500d", 7);
	CHECK_INT(s.n, 500);
	CHECK_INT(s.p[499], '7');
	CHECK_STR(arena_cstr(a, STR_NONE), "");
	CHECK(!str_is_set(arena_str(a, STR_NONE)));
	CHECK(str_is_set(arena_str(a, STR(""))));
	arena_free(a);
}

static char order[8];
static char digits[] = "0123";

static void
note(void *arg)
{
	strncat(order, arg, 1);
}

TEST(hooks_run_last_first)
{
	struct arena *a = arena_new(0);
	CHECK_INT(arena_on_clear(a, note, &digits[1]), 0);
	CHECK_INT(arena_on_clear(a, note, &digits[2]), 0);
	arena_clear(a);
	CHECK_STR(order, "21");
	CHECK_INT(arena_on_clear(a, note, &digits[3]), 0);
	arena_free(a);
	CHECK_STR(order, "213");
}
