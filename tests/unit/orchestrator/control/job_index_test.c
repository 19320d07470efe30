/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Sets of completion indexes as the status and policies write them. */
#include "orchestrator/control/job_index.c"

#include "tests/unit/test.h"

static struct str
again(struct arena *a, const char *text, int32_t below)
{
	return intervals_text(a, intervals_parse(a, str_c(text), below));
}

TEST(intervals_are_read_and_written)
{
	static const struct {
		const char *in;
		int32_t below;
		const char *out;
		int32_t total;
	} rows[] = {
		{"", 10, "", 0},
		{"0", 10, "0", 1},
		{"0,1", 10, "0,1", 2},
		{"0-2", 10, "0-2", 3},
		{"0,1,2,5", 10, "0-2,5", 4},
		{"1,3-5,7", 4, "1,3", 2},
		{"1,3-5,7", 3, "1", 1},
		{"x,2,4-y,6", 10, "2,6", 2},
		{"-1,2", 10, "2", 1},
		{"5,2", 10, "5", 1},
		{"3-1,8", 10, "8", 1},
		{"99999999999,1", 10, "1", 1},
		{"2147483647", INT32_MAX, "", 0},
	};
	struct arena *a = arena_new(0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK_STR(again(a, rows[i].in, rows[i].below), rows[i].out);
		CHECK_INT(intervals_total(intervals_parse(a, str_c(rows[i].in), rows[i].below)),
			rows[i].total);
	}
	arena_free(a);
}

TEST(intervals_merge_and_know_what_they_have)
{
	struct arena *a = arena_new(0);
	int32_t v[] = {9, 4, 4, 3};
	struct intervals x = intervals_parse(a, STR("0-1,6,8"), 100);
	struct intervals y = intervals_of(a, v, ARRAY_LEN(v));
	struct intervals z = intervals_merge(a, x, y);
	CHECK_STR(intervals_text(a, y), "3,4,9");
	CHECK_STR(intervals_text(a, z), "0,1,3,4,6,8,9");
	CHECK_STR(intervals_text(a, intervals_merge(a, z, intervals_parse(a, STR("2-7"), 100))),
		"0-9");
	for (int32_t i = -1; i < 12; i++) {
		bool has = intervals_have(x, i) || intervals_have(y, i);
		CHECK_INT(intervals_have(z, i), has);
	}
	CHECK_INT(intervals_common(z, x), intervals_total(x));
	CHECK_INT(intervals_common(x, y), 0);
	CHECK_INT(intervals_common(intervals_parse(a, STR("0-9"), 100),
			  intervals_parse(a, STR("1-3,7,9-20"), 100)),
		5);
	arena_free(a);
}
