/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * What a pretending node says next of a pod, and in which words. */
#include "orchestrator/hollow/pod.c"

#include "orchestrator/schema/schema.h"
#include "tests/unit/test.h"

#define NOW (1700000000 * NS_PER_SEC)

/* What the file needs of the nodes. */
void
hollow_call_start(struct hollow *h, struct queue *q, struct str key, const struct client_req *req)
{
	(void)h, (void)q, (void)key, (void)req;
}

static struct str_pair exit_0[] = {{STR_INIT(ANNOTATION "exit-code"), STR_INIT("0")}};
static struct str_pair exit_3_after_5[] = {{STR_INIT(ANNOTATION "exit-code"), STR_INIT("3")},
	{STR_INIT(ANNOTATION "run-seconds"), STR_INIT("5")}};
static struct str_pair exit_no_number[] = {{STR_INIT(ANNOTATION "exit-code"), STR_INIT("one")}};
static struct pretended_pod_status_conditions ready[] = {
	{.type = STR_INIT("Ready"), .status = STR_INIT("True")}};
static struct pretended_pod_status_conditions unready[] = {
	{.type = STR_INIT("Ready"), .status = STR_INIT("False")}};

TEST(what_is_said_next_follows_from_what_was_said)
{
	static const struct {
		const char *what, *phase, *policy;
		int64_t started_s; /* before now; -1: not */
		struct pretended_pod_status_conditions *conditions;
		struct str_pair *annotations;
		size_t n_annotations;
		int64_t generation;
		int64_t grace_s; /* of a deletion just asked for; -1: it is over; 0: none */
		enum hollow_stage next;
		int64_t wait_s;
	} rows[] = {
		{"new", "Pending", "Always", -1, NULL, NULL, 0, 1, 0, HOLLOW_CREATING, 0},
		{"known", "Pending", "Always", 0, NULL, NULL, 0, 1, 0, HOLLOW_RUNNING, 0},
		{"runs", "Running", "Always", 1, ready, NULL, 0, 1, 0, HOLLOW_NOTHING, 0},
		{"others said it is not ready", "Running", "Always", 1, unready, NULL, 0, 1, 0,
			HOLLOW_RUNNING, 0},
		{"changed", "Running", "Always", 1, ready, NULL, 0, 2, false, HOLLOW_RUNNING, 0},
		{"to be deleted", "Running", "Always", 1, ready, NULL, 0, 1, 30, HOLLOW_NOTHING, 2},
		{"to be deleted soon", "Running", "Always", 1, ready, NULL, 0, 1, 1, HOLLOW_NOTHING,
			1},
		{"its grace is over", "Running", "Always", 1, ready, NULL, 0, 1, -1, HOLLOW_ENDED,
			0},
		{"deleted before it was known", "Pending", "Always", -1, NULL, NULL, 0, 1, 30,
			HOLLOW_GONE, 0},
		{"ended, to be deleted", "Succeeded", "Always", 1, NULL, NULL, 0, 1, 30,
			HOLLOW_GONE, 0},
		{"ended", "Failed", "Never", 1, NULL, exit_0, 1, 1, 0, HOLLOW_NOTHING, 0},
		{"ends at once", "Running", "Never", 1, ready, exit_0, 1, 1, 0, HOLLOW_ENDED, 0},
		{"ends later", "Running", "Never", 2, ready, exit_3_after_5, 2, 1, 0,
			HOLLOW_NOTHING, 3},
		{"is over the time", "Running", "Never", 9, ready, exit_3_after_5, 2, 1, 0,
			HOLLOW_ENDED, 0},
		{"failed: again", "Running", "OnFailure", 9, ready, exit_3_after_5, 2, 1, 0,
			HOLLOW_NOTHING, 0},
		{"good: not again", "Running", "OnFailure", 9, ready, exit_0, 1, 1, 0, HOLLOW_ENDED,
			0},
		{"always again", "Running", "Always", 9, ready, exit_0, 1, 1, 0, HOLLOW_NOTHING, 0},
		{"no number", "Running", "Never", 9, ready, exit_no_number, 1, 1, 0, HOLLOW_NOTHING,
			0},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pretended_pod p = {.metadata = {.annotations = rows[i].annotations,
						  .n_annotations = rows[i].n_annotations,
						  .generation = rows[i].generation,
						  .deletion_timestamp = rows[i].grace_s
							  ? NOW + rows[i].grace_s * NS_PER_SEC
							  : 0,
						  .deletion_grace_period_seconds = rows[i].grace_s},
			.spec = {.restart_policy = str_c(rows[i].policy)},
			.status = {.phase = str_c(rows[i].phase),
				.observed_generation = 1,
				.start_time = rows[i].started_s < 0
					? 0
					: NOW - rows[i].started_s * NS_PER_SEC,
				.conditions = rows[i].conditions,
				.n_conditions = rows[i].conditions ? 1 : 0}};
		int64_t wait_ns = -1;
		printf("     %s\n", rows[i].what);
		CHECK_INT(hollow_pod_next(&p, NOW, &wait_ns), rows[i].next);
		CHECK_INT(wait_ns, rows[i].wait_s * NS_PER_SEC);
	}
}

static struct str
at(const struct doc *d, const char *path)
{
	return doc_as_str(doc_at(d, path));
}

/* status: the patch as a document, which lives until the next. */
static const struct doc *
status(const struct pretended_pod *p, enum hollow_stage stage)
{
	static struct arena *a;
	static struct buf b = BUF_INIT;
	struct ip_addr host = ip_v4(0xc6120001), ips[2] = {ip_v4(0x0af40005), {0}};
	struct doc *d = NULL;
	arena_free(a);
	a = arena_new(0);
	buf_clear(&b);
	hollow_pod_status(&b, p, stage, &host, ips, NOW);
	return doc_parse_json(a, buf_view(&b), NULL, &d, NULL) == 0 ? d : NULL;
}

TEST(the_words_of_each_stage)
{
	struct pretended_pod_spec_containers c[] = {{.name = STR("c"), .image = STR("one")}};
	struct pretended_pod_spec_init_containers first[] = {
		{.name = STR("i"), .image = STR("two")},
		{.name = STR("side"), .image = STR("three"), .restart_policy = STR("Always")}};
	struct pretended_pod p = {.metadata = {.uid = STR("u"), .generation = 4},
		.spec = {.containers = c,
			.n_containers = 1,
			.init_containers = first,
			.n_init_containers = 2,
			.restart_policy = STR("Never")}};
	const struct doc *d = status(&p, HOLLOW_CREATING);
	CHECK(d != NULL);
	CHECK_STR(at(d, "metadata.uid"), "u");
	CHECK_STR(at(d, "status.phase"), "Pending");
	CHECK_STR(at(d, "status.startTime"), "2023-11-14T22:13:20Z");
	CHECK_STR(at(d, "status.hostIP"), "198.18.0.1");
	CHECK(!doc_at(d, "status.podIP"));
	CHECK_STR(at(d, "status.containerStatuses[0].state.waiting.reason"), "PodInitializing");
	CHECK(!doc_at(d, "status.containerStatuses[0].containerID"));
	CHECK_STR(at(d, "status.conditions[2].type"), "Ready");
	CHECK_STR(at(d, "status.conditions[2].status"), "False");
	CHECK_STR(at(d, "status.conditions[2].reason"), "ContainersNotReady");

	p.status.start_time = NOW - NS_PER_SEC;
	d = status(&p, HOLLOW_RUNNING);
	CHECK(d != NULL);
	CHECK_STR(at(d, "status.phase"), "Running");
	CHECK_INT(doc_as_int(doc_at(d, "status.observedGeneration"), 0), 4);
	CHECK_STR(at(d, "status.podIPs[0].ip"), "10.244.0.5");
	CHECK_STR(at(d, "status.containerStatuses[0].state.running.startedAt"),
		"2023-11-14T22:13:19Z");
	CHECK(doc_as_bool(doc_at(d, "status.containerStatuses[0].ready"), false));
	CHECK_STR(at(d, "status.initContainerStatuses[0].state.terminated.reason"), "Completed");
	CHECK(doc_at(d, "status.initContainerStatuses[1].state.running") != NULL);
	CHECK_STR(at(d, "status.conditions[2].status"), "True");

	p.metadata.annotations = exit_3_after_5;
	p.metadata.n_annotations = 2;
	d = status(&p, HOLLOW_ENDED);
	CHECK(d != NULL);
	CHECK_STR(at(d, "status.phase"), "Failed");
	CHECK_INT(doc_as_int(doc_at(d, "status.containerStatuses[0].state.terminated.exitCode"), 0),
		3);
	CHECK(!doc_as_bool(doc_at(d, "status.containerStatuses[0].ready"), true));
	CHECK_STR(at(d, "status.conditions[2].reason"), "PodFailed");

	p.metadata.deletion_timestamp = NOW;
	d = status(&p, HOLLOW_ENDED);
	CHECK(d != NULL);
	CHECK_STR(at(d, "status.phase"), "Succeeded");
}

TEST(pods_of_a_node_have_addresses_of_their_own)
{
	struct hollow h = {0};
	struct hollow_node n = {.h = &h, .ip = ip_v4(0xc6120001)};
	map_init(&h.slots);
	struct ip_addr ips[2] = {{0}}, again[2] = {{0}};
	char uid[3][8] = {"a", "b", "host"};
	struct pretended_pod p = {.metadata = {.uid = str_c(uid[0])}};
	CHECK(!addresses(&n, &p, ips)); /* no range yet */
	CHECK_INT(ip_prefix_parse(STR("10.244.7.0/24"), &n.ranges[0]), 0);
	CHECK_INT(ip_prefix_parse(STR("fd00:7::/64"), &n.ranges[1]), 0);
	CHECK(addresses(&n, &p, ips));
	CHECK(addresses(&n, &p, again));
	CHECK(ip_eq(&ips[0], &again[0]) && ip_eq(&ips[1], &again[1]));
	CHECK_INT(ips[0].b[3], FIRST_SLOT);
	CHECK_INT(ips[1].b[15], FIRST_SLOT);
	p.metadata.uid = str_c(uid[1]);
	CHECK(addresses(&n, &p, again));
	CHECK(!ip_eq(&ips[0], &again[0]));
	p.metadata.uid = str_c(uid[2]);
	p.spec.host_network = true;
	CHECK(addresses(&n, &p, again));
	CHECK(ip_eq(&again[0], &n.ip));
	/* What was given back is given again; when all are given none is left. */
	p.spec.host_network = false;
	for (unsigned i = 0; i < HOLLOW_SLOTS; i++) {
		char name[16];
		snprintf(name, sizeof(name), "pod-%u", i);
		p.metadata.uid = str_c(name);
		bool got = addresses(&n, &p, again);
		CHECK_INT(got, i < HOLLOW_SLOTS - FIRST_SLOT - 1 - 2);
	}
	p.metadata.uid = str_c(uid[0]);
	slot_release(&n, &p);
	p.metadata.uid = STR("next");
	CHECK(addresses(&n, &p, again));
	CHECK(ip_eq(&ips[0], &again[0]));
	map_release(&h.slots);
}
