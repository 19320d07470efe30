/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 *  rand_test: shape of what is drawn, and that a seed repeats it. */
#include "tests/unit/test.h"

#include "base/rand.c"

TEST(shapes)
{
	char uuid[37], other[37], suffix[6];
	rand_uuid(uuid);
	rand_uuid(other);
	CHECK_INT(strlen(uuid), 36);
	CHECK(uuid[8] == '-' && uuid[13] == '-' && uuid[18] == '-' && uuid[23] == '-');
	CHECK(uuid[14] == '4' && strchr("89ab", uuid[19]));
	CHECK(strcmp(uuid, other) != 0);
	rand_suffix(suffix, 5);
	CHECK_INT(strspn(suffix, "bcdfghjklmnpqrstvwxz2456789"), 5);
	bool seen[10] = {0};
	for (int i = 0; i < 1000; i++)
		seen[rand_below(10)] = true;
	for (int i = 0; i < 10; i++)
		CHECK(seen[i]);
	CHECK_INT(rand_below(1), 0);
}

TEST(seed_repeats)
{
	uint64_t first[4], again[4];
	rand_set_seed(5);
	for (int i = 0; i < 4; i++)
		first[i] = rand_u64();
	rand_set_seed(5);
	rand_bytes(again, sizeof(again));
	CHECK(memcmp(first, again, sizeof(first)) == 0);
	rand_set_seed(6);
	CHECK(rand_u64() != first[0]);
	CHECK(rand_is_seeded());
}
