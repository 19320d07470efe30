/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * CronJobs on virtual time, which begins at 2023-11-14 22:13:20: a Job for each due time and no second one, what
 * happens when the last still runs, and how many are kept. */
#include "orchestrator/control/control.h"

extern const struct controller cronjob_controller, job_controller, gc_controller,
	node_ipam_controller, node_lifecycle_controller;
static const struct controller *const table[] = {&cronjob_controller, &job_controller,
	&gc_controller, &node_ipam_controller, &node_lifecycle_controller, NULL};

#include "tests/sim/play.h"

#define CRON(spec, code, seconds)                                                                  \
	CLIENT_CREATE, "cronjobs", "default", "",                                                  \
		"{\"metadata\":{\"name\":\"c\"},\"spec\":{" spec                                   \
		",\"jobTemplate\":{\"metadata\":{\"labels\":{\"l\":\"v\"}},\"spec\":{"             \
		"\"backoffLimit\":0,\"template\":{\"metadata\":{\"annotations\":{"                 \
		"\"hollow.keelson.dev/exit-code\":\"" code                                         \
		"\",\"hollow.keelson.dev/run-seconds\":\"" seconds                                 \
		"\"}},\"spec\":{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"c\","      \
		"\"image\":\"i\"}]}}}}}}"
#define LOOK(resource, name) CLIENT_GET, resource, "default", name, NULL
#define JOBS(n) n "*\"controller\":true"

/* The account takes 30 s: the CronJob is made at 22:13:51, the first minute is nine seconds away. */
TEST(a_job_comes_each_minute_and_old_ones_go)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{CRON("\"schedule\":\"* * * * *\",\"successfulJobsHistoryLimit\":2", "0", "5"), -1,
			201, NULL, 5},
		{LOOK("jobs", ""), -1, 200, JOBS("0"), 6},
		{LOOK("jobs", ""), -1, 200,
			JOBS("1") "|\"name\":\"c-28333334\"|\"l\":\"v\"|\"kind\":\"CronJob\"|"
				  "\"batch.kubernetes.io/cronjob-scheduled-timestamp\":"
				  "\"2023-11-14T22:14:00Z\"",
			0},
		{LOOK("cronjobs", "c"), -1, 200,
			"\"active\":[{\"kind\":\"Job\"|\"name\":\"c-28333334\"|"
			"\"lastScheduleTime\":\"2023-11-14T22:14:00Z\"|!\"lastSuccessfulTime\"",
			20},
		{LOOK("cronjobs", "c"), -1, 200,
			"!\"active\"|\"lastSuccessfulTime\":\"2023-11-14T22:14:05Z\"", 140},
		{LOOK("jobs", ""), -1, 200,
			JOBS("2") "|\"name\":\"c-28333335\"|\"name\":\"c-28333336\"", 0},
		{LOOK("pods", ""), -1, 200, "2*\"generateName\"", 0},
		{LOOK("events", ""), -1, 200,
			"Created job c-28333334|Saw completed job: c-28333334, condition: Complete|"
			"Deleted job c-28333334|!UnexpectedJob|!MissingJob|!FailedCreate",
			0}};
	PLAY(1, acts);
}

TEST(jobs_run_beside_each_other)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{CRON("\"schedule\":\"* * * * *\"", "0", "1000"), -1, 201, NULL, 130},
		{LOOK("jobs", ""), -1, 200, JOBS("3") "|!deletionTimestamp", 0},
		{LOOK("cronjobs", "c"), -1, 200, "3*\"kind\":\"Job\"", 0}};
	PLAY(1, acts);
}

TEST(the_next_job_waits_for_the_last)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{CRON("\"schedule\":\"* * * * *\",\"concurrencyPolicy\":\"Forbid\"", "0", "90"), -1,
			201, NULL, 90},
		{LOOK("jobs", ""), -1, 200, JOBS("1"), 30},
		{LOOK("cronjobs", "c"), -1, 200,
			"1*\"kind\":\"Job\"|\"lastScheduleTime\":\"2023-11-14T22:15:00Z\"", 0},
		{LOOK("events", ""), -1, 200, "JobAlreadyActive", 0}};
	PLAY(1, acts);
}

TEST(the_next_job_replaces_the_last)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{CRON("\"schedule\":\"* * * * *\",\"concurrencyPolicy\":\"Replace\"", "0", "1000"),
			-1, 201, NULL, 20},
		{LOOK("jobs", ""), -1, 200, JOBS("1") "|\"name\":\"c-28333334\"", 60},
		{LOOK("jobs", ""), -1, 200, JOBS("1") "|\"name\":\"c-28333335\"", 0},
		{LOOK("cronjobs", "c"), -1, 200, "1*\"kind\":\"Job\"|\"name\":\"c-28333335\"", 0},
		{LOOK("events", ""), -1, 200, "!MissingJob|!UnexpectedJob", 0}};
	PLAY(1, acts);
}

TEST(a_suspended_schedule_starts_nothing_and_then_what_was_due)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{CRON("\"schedule\":\"* * * * *\",\"suspend\":true", "0", "5"), -1, 201, NULL, 200},
		{LOOK("jobs", ""), -1, 200, JOBS("0"), 0},
		{CLIENT_PATCH_MERGE, "cronjobs", "default", "c", "{\"spec\":{\"suspend\":false}}",
			-1, 200, NULL, 2},
		{LOOK("jobs", ""), -1, 200, JOBS("1"), 0}};
	PLAY(1, acts);
}

TEST(what_is_too_late_is_not_started)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{CRON("\"schedule\":\"14 * * * *\",\"startingDeadlineSeconds\":20,\"suspend\":true",
			 "0", "5"),
			-1, 201, NULL, 60},
		{CLIENT_PATCH_MERGE, "cronjobs", "default", "c", "{\"spec\":{\"suspend\":false}}",
			-1, 200, NULL, 10},
		{LOOK("jobs", ""), -1, 200, JOBS("0"), 0}};
	PLAY(1, acts);
}

TEST(a_zone_that_is_not_known_starts_nothing)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{CRON("\"schedule\":\"* * * * *\",\"timeZone\":\"Europe/Zurich\"", "0", "5"), -1,
			201, NULL, 90},
		{LOOK("jobs", ""), -1, 200, JOBS("0"), 0},
		{LOOK("events", ""), -1, 200, "UnknownTimeZone|unknown time zone Europe/Zurich", 0},
		{CLIENT_PATCH_MERGE, "cronjobs", "default", "c",
			"{\"spec\":{\"timeZone\":\"Etc/GMT+5\",\"schedule\":\"* 17 * * *\"}}", -1,
			200, NULL, 60},
		{LOOK("jobs", ""), -1, 200,
			"\"batch.kubernetes.io/cronjob-scheduled-timestamp\":\"2023-11-14T17:1|"
			":00-05:00\"",
			0}};
	PLAY(1, acts);
}

/* It was listed as running for ever. */
TEST(a_job_that_somebody_deleted_runs_no_more)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{CRON("\"schedule\":\"14 * * * *\",\"concurrencyPolicy\":\"Forbid\"", "0", "1000"),
			-1, 201, NULL, 20},
		{LOOK("cronjobs", "c"), -1, 200, "1*\"kind\":\"Job\"", 0},
		{CLIENT_DELETE, "jobs", "default", "c-28333334", NULL, -1, 200, NULL, 5},
		{LOOK("cronjobs", "c"), -1, 200, "!\"active\"", 0},
		{LOOK("events", ""), -1, 200, "Active job went missing: c-28333334", 0}};
	PLAY(1, acts);
}
