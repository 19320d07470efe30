/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * When images go, and which. */
#include "orchestrator/node/image_gc.c"

#include "tests/unit/test.h"

#define GB ((uint64_t)1000 * 1000 * 1000)
#define S NS_PER_SEC

TEST(nothing_goes_below_the_high_threshold)
{
	struct runtime_fs_usage fs = {.capacity_bytes = 100 * GB, .available_bytes = 16 * GB};
	CHECK_INT(bytes_to_free(&fs), 0);
	fs.available_bytes = 15 * GB;
	CHECK_INT(bytes_to_free(&fs), 5 * GB);
	fs.available_bytes = 0;
	CHECK_INT(bytes_to_free(&fs), 20 * GB);
}

TEST(those_unused_longest_go_until_there_is_room)
{
	struct runtime_image v[] = {
		{.id = STR("new"), .pulled_ns = 900 * S, .size_bytes = 1},
		{.id = STR("running"), .pulled_ns = 1 * S, .in_use = true, .size_bytes = 1},
		{.id = STR("used-late"), .pulled_ns = 1 * S, .used_ns = 800 * S, .size_bytes = 1},
		{.id = STR("old"), .pulled_ns = 100 * S, .size_bytes = 1},
		{.id = STR("pinned"), .pulled_ns = 1 * S, .pinned = true, .size_bytes = 1},
		{.id = STR("used-early"), .pulled_ns = 1 * S, .used_ns = 200 * S, .size_bytes = 1},
	};
	uint64_t bytes = 0;
	CHECK_INT(choose(v, ARRAY_LEN(v), 2, 1000 * S, &bytes), 2);
	CHECK_STR(v[0].id, "old");
	CHECK_STR(v[1].id, "used-early");
	CHECK_INT(bytes, 2);
	/* more is wanted than may go: the one of 100 s ago stays */
	CHECK_INT(choose(v, 3, 9, 1000 * S, &bytes), 3);
	struct runtime_image young = {.id = STR("young"), .pulled_ns = 900 * S, .size_bytes = 1};
	CHECK_INT(choose(&young, 1, 9, 1000 * S, &bytes), 0);
	CHECK_INT(bytes, 0);
}
