/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Which time of a schedule is due, zones whose names say their offset, and texts of times. */
#include "orchestrator/control/cronjob_time.c"

#include "tests/unit/test.h"

static int64_t
at(const char *text)
{
	int64_t s = -1, ns;
	rfc3339_parse_sec(str_c(text), &s, &ns);
	return s;
}

TEST(the_newest_missed_time_is_due)
{
	static const struct {
		const char *schedule, *last, *now, *due, *next;
		int64_t deadline_s; /* -1: none */
		bool many;
	} rows[] = {
		{"0 * * * *", "2026-03-01T08:00:00Z", "2026-03-01T08:59:59Z", "",
			"2026-03-01T09:00:00Z", -1, false},
		{"0 * * * *", "2026-03-01T08:00:00Z", "2026-03-01T09:00:00Z",
			"2026-03-01T09:00:00Z", "2026-03-01T10:00:00Z", -1, false},
		{"0 * * * *", "2026-03-01T08:00:00Z", "2026-03-01T12:30:00Z",
			"2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z", -1, false},
		{"* * * * *", "2026-03-01T08:00:00Z", "2026-03-01T12:30:10Z",
			"2026-03-01T12:30:00Z", "2026-03-01T12:31:00Z", -1, true},
		{"0 * * * *", "2026-03-01T08:00:00Z", "2026-03-01T12:30:00Z", "",
			"2026-03-01T13:00:00Z", 60, false},
		{"0 * * * *", "2026-03-01T08:00:00Z", "2026-03-01T12:00:30Z",
			"2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z", 60, false},
		/* distances that vary */
		{"30 6-16/4 * * 1-5", "2026-11-25T06:30:00Z", "2026-11-30T09:10:00Z",
			"2026-11-30T06:30:00Z", "2026-11-30T10:30:00Z", -1, false},
		{"59 23 31 2 *", "2026-03-01T08:00:00Z", "2026-11-30T09:10:00Z", "", "", -1, false},
	};
	struct arena *a = arena_new(0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct batch_v1_cron_job cj = {0};
		struct cron c;
		cj.status.last_schedule_time = at(rows[i].last) * NS_PER_SEC;
		cj.spec.has_starting_deadline_seconds = rows[i].deadline_s >= 0;
		cj.spec.starting_deadline_seconds = rows[i].deadline_s;
		CHECK(cron_parse(a, str_c(rows[i].schedule), &c) == NULL);
		struct cron_due d = cron_due(&c, &cj, 0, at(rows[i].now) * NS_PER_SEC);
		CHECK_INT(d.due_s, rows[i].due[0] ? at(rows[i].due) : 0);
		if (rows[i].next[0])
			CHECK_INT(d.next_ns, at(rows[i].next) * NS_PER_SEC + LATE_NS);
		CHECK_INT(d.many, rows[i].many);
		CHECK_INT(d.never, !rows[i].next[0]);
	}
	arena_free(a);
}

TEST(zones_whose_names_say_it)
{
	static const struct {
		const char *name;
		int64_t s; /* -1: not known */
	} rows[] = {{"", 0}, {"UTC", 0}, {"Etc/UTC", 0}, {"Etc/GMT", 0}, {"Zulu", 0},
		{"Etc/GMT+5", -18000}, {"Etc/GMT-14", 50400}, {"Etc/GMT+0", 0},
		{"Etc/GMT+12", -43200}, {"Etc/GMT+13", -1}, {"Etc/GMT-15", -1}, {"Etc/GMT+05", -1},
		{"Etc/GMT+", -1}, {"GMT+5", -1}, {"Etc/", -1}, {"Europe/Zurich", -1}, {"utc", -1}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t s = -1;
		int rc = cron_zone(str_c(rows[i].name), &s);
		CHECK_INT(rc, rows[i].s == -1 ? -ENOENT : 0);
		if (rc == 0)
			CHECK_INT(s, rows[i].s);
	}
}

TEST(times_as_they_are_written)
{
	struct arena *a = arena_new(0);
	int64_t s = at("2026-11-30T08:05:09Z");
	CHECK_STR(cron_zone_time(a, s, 0), "2026-11-30T08:05:09Z");
	CHECK_STR(cron_zone_time(a, s, -18000), "2026-11-30T03:05:09-05:00");
	CHECK_STR(cron_zone_time(a, s, 50400), "2026-11-30T22:05:09+14:00");
	CHECK_STR(cron_http_date(a, s), "Mon, 30 Nov 2026 08:05:09 UTC");
	arena_free(a);
}
