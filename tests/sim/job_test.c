/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Jobs on virtual time, with pods that end as their annotations say: every way a Job ends, each pod counted once
 * and let go, and the waits between pods that fail. */
#include "orchestrator/control/control.h"

extern const struct controller job_controller, ttl_after_finished_controller, gc_controller,
	node_ipam_controller, node_lifecycle_controller;
static const struct controller *const table[] = {&job_controller, &ttl_after_finished_controller,
	&gc_controller, &node_ipam_controller, &node_lifecycle_controller, NULL};

#include "tests/sim/play.h"

/* A Job whose pods end with `code` after `seconds`. */
#define JOB(spec, code, seconds)                                                                   \
	CLIENT_CREATE, "jobs", "default", "",                                                      \
		"{\"metadata\":{\"name\":\"j\"},\"spec\":{" spec ",\"template\":{\"metadata\":{"   \
		"\"annotations\":{\"hollow.keelson.dev/exit-code\":\"" code                        \
		"\",\"hollow.keelson.dev/run-seconds\":\"" seconds                                 \
		"\"}},\"spec\":{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"c\","      \
		"\"image\":\"i\"}]}}}}"
#define LOOK(resource, name) CLIENT_GET, resource, "default", name, NULL
#define PATCH(body) CLIENT_PATCH_MERGE, "jobs", "default", "j", body
#define DONE "\"uncountedTerminatedPods\":{}|\"ready\":0"
#define FREE "!\"finalizers\""

TEST(a_job_completes_and_its_pods_are_counted_once)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{JOB("\"completions\":5,\"parallelism\":2", "0", "10"), -1, 201, NULL, 5},
		{LOOK("jobs", "j"), -1, 200,
			"\"active\":2|\"startTime\"|\"ready\":2|!\"succeeded\"", 0},
		{LOOK("pods", ""), -1, 200,
			"2*\"batch.kubernetes.io/job-tracking\"|2*\"batch.kubernetes.io/job-name\":\"j\"",
			60},
		{LOOK("jobs", "j"), -1, 200,
			DONE
			"|\"succeeded\":5|!\"failed\"|!\"active\"|\"completionTime\"|"
			"\"type\":\"SuccessCriteriaMet\",\"status\":\"True\"|"
			"\"type\":\"Complete\",\"status\":\"True\"|\"reason\":\"CompletionsReached\"",
			0},
		{LOOK("pods", ""), -1, 200, "5*\"phase\":\"Succeeded\"|" FREE, 0},
		{LOOK("events", ""), -1, 200, "\"reason\":\"Completed\"|Job completed", 0}};
	PLAY(2, acts);
}

TEST(an_indexed_job_has_one_pod_for_each_index)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{JOB("\"completions\":3,\"parallelism\":3,\"completionMode\":\"Indexed\"", "0",
			 "10"),
			-1, 201, NULL, 5},
		{LOOK("pods", ""), -1, 200,
			"\"hostname\":\"j-0\"|\"hostname\":\"j-1\"|\"hostname\":\"j-2\"|"
			"\"generateName\":\"j-2-\"|3*\"name\":\"JOB_COMPLETION_INDEX\"|"
			"2*\"batch.kubernetes.io/job-completion-index\":\"1\"",
			30},
		{LOOK("jobs", "j"), -1, 200,
			DONE "|\"succeeded\":3|\"completedIndexes\":\"0-2\"|\"type\":\"Complete\"",
			0},
		{LOOK("pods", ""), -1, 200, "3*\"phase\":\"Succeeded\"|" FREE, 0}};
	PLAY(2, acts);
}

/* 10 s, then 20 s, then 40 s between the pods that fail. */
TEST(pods_that_fail_come_slower_until_the_limit)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{JOB("\"backoffLimit\":3", "1", "0"), -1, 201, NULL, 8},
		{LOOK("pods", ""), -1, 200, "1*\"generateName\"", 7},
		{LOOK("pods", ""), -1, 200, "2*\"generateName\"", 12},
		{LOOK("pods", ""), -1, 200, "2*\"generateName\"", 8},
		{LOOK("pods", ""), -1, 200, "3*\"generateName\"", 30},
		{LOOK("jobs", "j"), -1, 200, "\"failed\":3|!\"conditions\"", 30},
		{LOOK("jobs", "j"), -1, 200,
			DONE "|\"failed\":4|\"type\":\"FailureTarget\"|\"type\":\"Failed\"|"
			     "\"reason\":\"BackoffLimitExceeded\"|!\"completionTime\"",
			0},
		{LOOK("pods", ""), -1, 200, "4*\"phase\":\"Failed\"|" FREE, 0}};
	PLAY(2, acts);
}

TEST(a_suspended_job_has_no_pods_and_its_clock_stands)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{JOB("\"suspend\":true,\"parallelism\":2,\"completions\":2,"
		     "\"activeDeadlineSeconds\":30",
			 "0", "20"),
			-1, 201, NULL, 60},
		{LOOK("jobs", "j"), -1, 200,
			"\"type\":\"Suspended\",\"status\":\"True\"|!\"startTime\"|!\"active\"", 0},
		{LOOK("pods", ""), -1, 200, "!\"generateName\"", 0},
		{PATCH("{\"spec\":{\"suspend\":false}}"), -1, 200, NULL, 5},
		{LOOK("jobs", "j"), -1, 200,
			"\"type\":\"Suspended\",\"status\":\"False\"|\"reason\":\"JobResumed\"|"
			"\"startTime\"|\"active\":2",
			0},
		{PATCH("{\"spec\":{\"suspend\":true}}"), -1, 200, NULL, 45},
		{LOOK("jobs", "j"), -1, 200,
			"\"status\":\"True\"|!\"startTime\"|!\"active\"|!\"failed\"", 0},
		{LOOK("pods", ""), -1, 200, "!\"generateName\"", 0},
		{PATCH("{\"spec\":{\"suspend\":false}}"), -1, 200, NULL, 40},
		{LOOK("jobs", "j"), -1, 200,
			DONE "|\"succeeded\":2|\"type\":\"Complete\"|!\"failed\"", 0},
		{LOOK("events", ""), -1, 200, "Job suspended|Job resumed", 0}};
	PLAY(2, acts);
}

TEST(a_deadline_ends_a_job_that_runs)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{JOB("\"parallelism\":2,\"activeDeadlineSeconds\":20", "0", "1000"), -1, 201, NULL,
			10},
		{LOOK("jobs", "j"), -1, 200, "\"active\":2|!\"conditions\"", 60},
		{LOOK("jobs", "j"), -1, 200,
			DONE "|\"failed\":2|\"reason\":\"DeadlineExceeded\"|\"type\":\"Failed\"|"
			     "!\"active\"",
			0},
		{LOOK("pods", ""), -1, 200, "!\"generateName\"", 0}};
	PLAY(2, acts);
}

TEST(each_index_fails_for_itself)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{JOB("\"completions\":2,\"parallelism\":2,\"completionMode\":\"Indexed\","
		     "\"backoffLimitPerIndex\":1",
			 "1", "0"),
			-1, 201, NULL, 5},
		{LOOK("pods", ""), -1, 200,
			"2*\"batch.kubernetes.io/job-index-failure-count\":\"0\"", 0},
		{LOOK("jobs", "j"), -1, 200, "\"failedIndexes\":\"\"|!\"conditions\"", 60},
		{LOOK("pods", ""), -1, 200,
			"4*\"phase\":\"Failed\"|2*\"batch.kubernetes.io/job-index-failure-count\":\"1\"|" FREE,
			0},
		{LOOK("jobs", "j"), -1, 200,
			DONE "|\"failed\":4|\"failedIndexes\":\"0,1\"|\"reason\":\"FailedIndexes\"",
			0}};
	PLAY(2, acts);
}

TEST(too_many_failed_indexes_end_the_job)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{JOB("\"completions\":5,\"parallelism\":1,\"completionMode\":\"Indexed\","
		     "\"backoffLimitPerIndex\":0,\"maxFailedIndexes\":1",
			 "1", "0"),
			-1, 201, NULL, 60},
		{LOOK("jobs", "j"), -1, 200,
			DONE
			"|\"failed\":2|\"failedIndexes\":\"0,1\"|\"reason\":\"MaxFailedIndexesExceeded\"",
			0},
		{LOOK("pods", ""), -1, 200, "2*\"phase\":\"Failed\"|" FREE, 0}};
	PLAY(2, acts);
}

#define POLICY(action, code)                                                                       \
	"\"backoffLimit\":1,\"podFailurePolicy\":{\"rules\":[{\"action\":\"" action                \
	"\",\"onExitCodes\":{\"operator\":\"In\",\"values\":[" code "]}}]}"

TEST(a_failure_policy_ends_the_job_at_once)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{JOB(POLICY("FailJob", "42"), "42", "0"), -1, 201, NULL, 30},
		{LOOK("jobs", "j"), -1, 200,
			DONE
			"|\"failed\":1|\"reason\":\"PodFailurePolicy\"|\"type\":\"Failed\"|"
			"Container c for pod default/j-|failed with exit code 42 matching FailJob rule "
			"at index 0",
			0},
		{LOOK("pods", ""), -1, 200, "1*\"phase\":\"Failed\"|" FREE, 0}};
	PLAY(2, acts);
}

TEST(a_failure_that_is_ignored_does_not_count)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{JOB(POLICY("Ignore", "42"), "42", "0"), -1, 201, NULL, 120},
		{LOOK("jobs", "j"), -1, 200, "!\"failed\"|!\"conditions\"", 0},
		{LOOK("pods", ""), -1, 200, "4*\"phase\":\"Failed\"", 0}};
	PLAY(2, acts);
}

TEST(a_success_policy_ends_the_job_early)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{JOB("\"completions\":4,\"parallelism\":1,\"completionMode\":\"Indexed\","
		     "\"successPolicy\":{\"rules\":[{\"succeededIndexes\":\"1-3\",\"succeededCount\":1}]}",
			 "0", "5"),
			-1, 201, NULL, 60},
		{LOOK("jobs", "j"), -1, 200,
			DONE
			"|\"succeeded\":2|\"completedIndexes\":\"0,1\"|\"reason\":\"SuccessPolicy\"|"
			"Matched rules at index 0|\"type\":\"Complete\"|!\"failed\"",
			0},
		{LOOK("pods", ""), -1, 200, FREE, 0}};
	PLAY(2, acts);
}

TEST(fewer_pods_are_wanted)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{JOB("\"parallelism\":3,\"completions\":6", "0", "30"), -1, 201, NULL, 5},
		{PATCH("{\"spec\":{\"parallelism\":1}}"), -1, 200, NULL, 10},
		{LOOK("jobs", "j"), -1, 200, "\"active\":1|!\"failed\"", 0},
		{LOOK("pods", ""), -1, 200, "1*\"generateName\"", 0}};
	PLAY(2, acts);
}

TEST(a_job_that_has_ended_goes_with_its_pods_when_its_time_is_over)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{JOB("\"ttlSecondsAfterFinished\":20", "0", "5"), -1, 201, NULL, 20},
		{LOOK("jobs", "j"), -1, 200, "\"type\":\"Complete\"", 20},
		{LOOK("jobs", "j"), -1, 404, NULL, 0},
		{LOOK("pods", ""), -1, 200, "!generateName", 0}};
	PLAY(1, acts);
}

TEST(the_job_of_another_controller_is_left_alone)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{JOB("\"managedBy\":\"example.com/other\"", "0", "5"), -1, 201, NULL, 20},
		{LOOK("jobs", "j"), -1, 200, "\"status\":{}", 0},
		{LOOK("pods", ""), -1, 200, "!generateName", 0}};
	PLAY(1, acts);
}

/* The finalizer held them for ever. */
TEST(the_pods_of_a_job_that_is_gone_are_free)
{
	static const struct act acts[] = {PLAY_ACCOUNT,
		{JOB("\"parallelism\":2", "0", "1000"), -1, 201, NULL, 10},
		{CLIENT_DELETE, "jobs", "default", "j", "{\"propagationPolicy\":\"Orphan\"}", -1,
			200, NULL, 30},
		{LOOK("pods", ""), -1, 200, "2*\"phase\":\"Running\"|" FREE, 0},
		{JOB("\"parallelism\":2", "0", "1000"), -1, 201, NULL, 10},
		{CLIENT_DELETE, "jobs", "default", "j", "{\"propagationPolicy\":\"Background\"}",
			-1, 200, NULL, 60},
		{LOOK("pods", ""), -1, 200, "2*\"phase\":\"Running\"|" FREE, 0},
		{JOB("\"parallelism\":2", "0", "1000"), -1, 201, NULL, 10},
		{CLIENT_DELETE, "jobs", "default", "j", "{\"propagationPolicy\":\"Foreground\"}",
			-1, 200, NULL, 60},
		{LOOK("jobs", "j"), -1, 404, NULL, 0},
		{LOOK("pods", ""), -1, 200, "2*\"phase\":\"Running\"|" FREE, 0}};
	PLAY(2, acts);
}
