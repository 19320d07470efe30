/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Schedules: what is wrong with them, and which time is the next. */
#include "orchestrator/schema/cron.c"

#include "tests/unit/test.h"

TEST(faults_of_schedules)
{
	static const char *const rows[][2] = {
		{"* * * * *", NULL},
		{"*/5 0-23 1,15 * 0", NULL},
		{"@every 1h30m", NULL},
		{"@daily", NULL},
		{" 1  2 3 4 5 ", NULL},
		{"* *", "expected exactly 5 fields, found 2: [* *]"},
		{"61 * * * *", "end of range (61) above maximum (59): 61"},
		{"* * 0 * *", "beginning of range (0) below minimum (1): 0"},
		{"5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"},
		{"*/0 * * * *", "step of range should be a positive number: */0"},
		{"1-2-3 * * * *", "too many hyphens: 1-2-3"},
		{"1/2/3 * * * *", "too many slashes: 1/2/3"},
		{"x * * * *",
			"failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"},
		{"* * * * 7", "end of range (7) above maximum (6): 7"},
		{"@sometimes", "unrecognized descriptor: @sometimes"},
		{"@every day", "failed to parse duration @every day: time: invalid duration"},
	};
	struct arena *a = arena_new(0);
	struct cron c;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_STR(cron_parse(a, str_c(rows[i][0]), &c), rows[i][1]);
	arena_free(a);
}

TEST(the_next_time_of_a_schedule)
{
	static const struct {
		const char *schedule, *after, *next; /* "": never */
	} rows[] = {
		{"* * * * *", "2024-02-28T23:59:59Z", "2024-02-29T00:00:00Z"},
		{"* * * * *", "2024-02-29T00:00:00Z", "2024-02-29T00:01:00Z"},
		{"*/15 * * * *", "2012-07-09T14:45:00Z", "2012-07-09T15:00:00Z"},
		{"*/15 * * * *", "2012-07-09T14:59:59Z", "2012-07-09T15:00:00Z"},
		{"20-35/15 * * * *", "2012-07-09T23:35:51Z", "2012-07-10T00:20:00Z"},
		{"5/20 * * * *", "2012-07-09T23:26:00Z", "2012-07-09T23:45:00Z"},
		{"0 6,18 * * *", "2026-12-31T18:00:00Z", "2027-01-01T06:00:00Z"},
		{"0 0 29 feb ?", "2026-12-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"0 0 29 2 *", "2096-03-01T00:00:00Z", ""},
		{"59 23 31 2 *", "2026-01-01T00:00:00Z", ""},
		{"30 8 * * mon-fri", "2026-11-27T08:30:00Z", "2026-11-30T08:30:00Z"},
		{"30 8 * * SUN", "2026-11-27T08:30:00Z", "2026-11-29T08:30:00Z"},
		/* either day is enough, */
		{"0 0 1,15 * sun", "2012-07-08T00:00:00Z", "2012-07-15T00:00:00Z"},
		{"0 0 13 * fri", "2026-11-01T00:00:00Z", "2026-11-06T00:00:00Z"},
		/* unless one is "*" */
		{"0 0 * * fri", "2026-11-01T00:00:00Z", "2026-11-06T00:00:00Z"},
		{"0 0 13 * *", "2026-11-01T00:00:00Z", "2026-11-13T00:00:00Z"},
		{"0 0 */10 * sun", "2012-07-01T00:00:00Z", "2012-07-08T00:00:00Z"},
		{"0 0 1 */6 *", "2026-02-03T00:00:00Z", "2026-07-01T00:00:00Z"},
		{"@hourly", "2026-11-27T08:30:00Z", "2026-11-27T09:00:00Z"},
		{"@daily", "2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z"},
		{"@midnight", "2026-11-27T23:59:59Z", "2026-11-28T00:00:00Z"},
		{"@weekly", "2026-11-27T08:30:00Z", "2026-11-29T00:00:00Z"},
		{"@monthly", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"},
		{"@yearly", "2026-11-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"@annually", "2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"},
		{"@every 1h30m", "2026-11-01T00:10:05Z", "2026-11-01T01:40:05Z"},
		{"@every 1500ms", "2026-11-01T00:10:05Z", "2026-11-01T00:10:06Z"},
		{"@every 1ms", "2026-11-01T00:10:05Z", "2026-11-01T00:10:06Z"},
		{",,, * * * *", "2026-11-01T00:10:05Z", ""},
	};
	struct arena *a = arena_new(0);
	struct cron c;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t after = 0, next, ns;
		char text[40] = "";

		CHECK(cron_parse(a, str_c(rows[i].schedule), &c) == NULL);
		CHECK_INT(rfc3339_parse_sec(str_c(rows[i].after), &after, &ns), 0);
		next = cron_next(&c, after);
		if (next)
			rfc3339_format_sec(next, 0, 0, text);
		CHECK_STR(text, rows[i].next);
	}
	arena_free(a);
}
