/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 *  clock_test: times and durations as text, both ways. */
#include "tests/unit/test.h"

#include "base/clock.c"

TEST(rfc3339_both_ways)
{
	static const struct {
		const char *text;
		int64_t ns;
		int digits;
	} rows[] = {
		{"1970-01-01T00:00:00Z", 0, 0},
		{"2026-11-23T23:09:03Z", 1795475343 * NS_PER_SEC, 0},
		{"1969-12-31T23:59:59.5Z", -500000000, 1},
		{"2000-02-29T12:00:00.000001Z", 951825600000001000, 6},
		{"2100-03-01T00:00:00.123456789Z", 4107542400123456789, 9},
		{"1900-01-01T00:00:00Z", -2208988800 * NS_PER_SEC, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[36];
		int64_t ns = 1;
		CHECK_INT(rfc3339_format(rows[i].ns, rows[i].digits, out), strlen(rows[i].text));
		CHECK_STR(out, rows[i].text);
		CHECK_INT(rfc3339_parse(str_c(out), &ns), 0);
		CHECK_INT(ns, rows[i].ns);
	}
}

TEST(rfc3339_offsets_and_refusals)
{
	int64_t ns = 1;
	CHECK_INT(rfc3339_parse(STR("1970-01-01T01:30:00.25+01:30"), &ns), 0);
	CHECK_INT(ns, 250 * NS_PER_MS);
	CHECK_INT(rfc3339_parse(STR("1969-12-31T23:00:00-01:00"), &ns), 0);
	CHECK_INT(ns, 0);
	CHECK_INT(rfc3339_parse(STR("1970-01-01T00:00:00.1234567899Z"), &ns), 0);
	CHECK_INT(ns, 123456789);
	static const char *const bad[] = {"", "1970-01-01", "1970-01-01 00:00:00Z",
		"1970-13-01T00:00:00Z", "1970-02-29T00:00:00Z", "1970-01-01T24:00:00Z",
		"1970-01-01T00:60:00Z", "1970-01-01T00:00:60Z", "1970-01-01T00:00:00",
		"1970-01-01T00:00:00.Z", "1970-01-01T00:00:00Zx", "1970-01-01T00:00:00+1:00",
		"197a-01-01T00:00:00Z", "1970-00-01T00:00:00Z"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_INT(rfc3339_parse(str_c(bad[i]), &ns), -EINVAL);
	CHECK_INT(ns, 123456789);
}

/* Leases of the conformance suite are of the year 1. */
TEST(rfc3339_of_years_that_nanoseconds_do_not_reach)
{
	static const struct {
		const char *text;
		int64_t sec, ns, nearest;
	} rows[] = {{"0001-01-01T00:00:02.000005Z", -62135596798, 5000, INT64_MIN},
		{"9999-12-31T23:59:59.000000Z", 253402300799, 0, INT64_MAX}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t sec = 0, ns = 0, all = 0;
		char out[36];
		CHECK_INT(rfc3339_parse_sec(str_c(rows[i].text), &sec, &ns), 0);
		CHECK_INT(sec, rows[i].sec);
		CHECK_INT(ns, rows[i].ns);
		CHECK_INT(rfc3339_parse(str_c(rows[i].text), &all), 0);
		CHECK_INT(all, rows[i].nearest);
		CHECK_INT(rfc3339_format_sec(sec, ns, 6, out), strlen(rows[i].text));
		CHECK_STR(out, rows[i].text);
	}
}

TEST(every_day_of_four_centuries)
{
	char out[36], before[36] = "";
	for (int64_t day = -80000; day < 100000; day += 1) {
		int64_t ns = day * 86400 * NS_PER_SEC, back = 1;
		rfc3339_format(ns, 0, out);
		CHECK(strcmp(before, out) < 0);
		CHECK_INT(rfc3339_parse(str_c(out), &back), 0);
		CHECK_INT(back, ns);
		memcpy(before, out, sizeof(out));
	}
}

TEST(durations_as_go_has_them)
{
	static const struct {
		const char *in;
		int64_t ns;
		const char *out;
	} rows[] = {
		{"0", 0, "0s"},
		{"1h15m30.5s", 4530500 * NS_PER_MS, "1h15m30.5s"},
		{"100ms", 100 * NS_PER_MS, "100ms"},
		{"1.5us", 1500, "1.5\xc2\xb5s"},
		{"90s", 90 * NS_PER_SEC, "1m30s"},
		{"-1.5h", -5400 * NS_PER_SEC, "-1h30m0s"},
		{"+5s", 5 * NS_PER_SEC, "5s"},
		{"1ns", 1, "1ns"},
		{".5s", 500 * NS_PER_MS, "500ms"},
		{"1.s", NS_PER_SEC, "1s"},
		{"3\xce\xbcs", 3000, "3\xc2\xb5s"},
		{"-9223372036854775808ns", INT64_MIN, "-2562047h47m16.854775808s"},
		{"9223372036854775807ns", INT64_MAX, "2562047h47m16.854775807s"},
		{"1h0m1s", 3601 * NS_PER_SEC, "1h0m1s"},
		{"0.3333333333333333333h", 1200 * NS_PER_SEC, "20m0s"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[40];
		int64_t ns = 1;
		CHECK_INT(duration_parse(str_c(rows[i].in), &ns), 0);
		CHECK_INT(ns, rows[i].ns);
		CHECK_INT(duration_format(ns, out), strlen(rows[i].out));
		CHECK_STR(out, rows[i].out);
	}
	static const char *const bad[] = {"", "3", "-", "s", ".", "-.", ".s", "+.s", "1d", "1x",
		"1h2", "9223372036854775808ns", "3000000h", "1 s", "99999999999999999999s",
		"\x85\x85"};
	int64_t ns = 1;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_INT(duration_parse(str_c(bad[i]), &ns), -EINVAL);
	CHECK_INT(ns, 1);
}

TEST(clocks_move)
{
	int64_t a = clock_mono_ns();
	CHECK(clock_mono_ns() >= a);
	CHECK(clock_wall_ns() > 1700000000 * NS_PER_SEC);
}
