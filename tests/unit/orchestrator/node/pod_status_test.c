/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * What the API is told of a pod. */
#include "orchestrator/node/pod_status.c"

#include "tests/unit/test.h"

TEST(a_pod_has_the_nodes_addresses_of_both_families)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct core_v1_host_ip was_host = {.ip = STR("10.77.0.9")};
	struct core_v1_pod_ip was_pod[2] = {
		{.ip = STR("10.244.0.4")}, {.ip = STR("fd00:10:244::4")}};
	struct core_v1_pod o = {.status = {.host_ips = &was_host,
					.n_host_ips = 1,
					.pod_ips = was_pod,
					.n_pod_ips = 2}};
	struct node n = {.facts = {.ips = {{4, {10, 77, 0, 11}}, {6, {0xfd, 0x77, [15] = 0x11}}},
				 .n_ips = 2}};
	struct pod p = {.node = &n,
		.o = &o,
		.ips = {{4, {10, 244, 0, 5}}, {6, {0xfd, 0, 0, 0x10, 2, 0x44, [15] = 4}}},
		.n_ips = 2};
	put_ips(&b, &p);
	CHECK_STR(buf_view(&b),
		",\"hostIP\":\"10.77.0.11\",\"hostIPs\":[{\"ip\":\"10.77.0.11\"},{\"ip\":\"fd77::11\"},"
		"{\"$patch\":\"delete\",\"ip\":\"10.77.0.9\"}]"
		",\"podIP\":\"10.244.0.5\",\"podIPs\":[{\"ip\":\"10.244.0.5\"},"
		"{\"ip\":\"fd00:10:244::4\"},{\"$patch\":\"delete\",\"ip\":\"10.244.0.4\"}]");
}

TEST(an_image_of_several_digests_is_known_by_the_one_that_was_asked_for)
{
	static const struct str digests[] = {
		STR_INIT("r.test/a@sha256:11"), STR_INIT("r.test/a@sha256:22")};
	struct runtime_image img = {.repo_digests = digests, .n_repo_digests = 2};
	CHECK_STR(digest_of(&img, STR("r.test/a@sha256:22")), "r.test/a@sha256:22");
	CHECK_STR(digest_of(&img, STR("r.test/a@sha256:33")), "r.test/a@sha256:11");
	CHECK_STR(digest_of(&img, STR("r.test/a:1")), "r.test/a@sha256:11");
}

TEST(the_first_init_container_waits_for_another_reason_than_the_rest)
{
	struct pod p = {0};
	static struct ctr with[3];
	for (size_t i = 0; i < ARRAY_LEN(with); i++)
		with[i] = (struct ctr){.pod = &p, .kind = i < 2 ? CTR_INIT : CTR_MAIN};
	p.ctrs = with;
	p.n_ctrs = ARRAY_LEN(with);
	for (size_t i = 0; i < ARRAY_LEN(with); i++)
		CHECK_STR(str_c(ctr_waiting_reason(&with[i])), "PodInitializing");
	snprintf(with[0].reason, sizeof(with[0].reason), "ErrImagePull");
	CHECK_STR(str_c(ctr_waiting_reason(&with[0])), "ErrImagePull");
	p.ctrs = &with[2];
	CHECK_STR(str_c(ctr_waiting_reason(&with[2])), "ContainerCreating");
}

/* ---- what others write over it ---- */

static struct core_v1_pod_condition conds[COND__COUNT];
static struct core_v1_pod object = {.status = {.conditions = conds, .n_conditions = COND__COUNT}};
static struct informer_obj seen = {.obj = &object};

/* told: a pod that has said that it is Ready; the answer is still under way. */
static struct pod
told(struct node *n)
{
	struct pod p = {.node = n, .o = &object, .ref = &seen, .ops = 1, .patching = true};
	for (size_t i = 0; i < COND__COUNT; i++) {
		conds[i] = (struct core_v1_pod_condition){
			.type = str_c(cond_types[i]), .status = STR("True")};
		p.conds[i].is = true;
	}
	buf_cstr(&p.sent, "what was sent");
	return p;
}

static void
answered(struct pod *p, const char *rv)
{
	char body[100];
	int n = snprintf(body, sizeof(body), "{\"metadata\":{\"resourceVersion\":\"%s\"}}", rv);
	struct client_result r = {.http = 200, .body = str_from(body, (size_t)n)};
	on_patched(p, &r);
	loop_defer_cancel(&p->work);
}

TEST(a_word_of_others_that_comes_before_the_answer_is_not_overlooked)
{
	struct node n = {.loop = loop_new(NULL, "test")};
	struct pod p = told(&n);
	/* 7: the node controller's; 6 was ours. Seen while 6 is not answered yet. */
	conds[COND_READY].status = STR("False");
	seen.rv = 7;
	pod_status_seen(&p);
	CHECK(p.sent.len);
	answered(&p, "6");
	CHECK_INT(p.sent.len, 0);
	buf_release(&p.sent);
	loop_free(n.loop);
}

TEST(an_object_older_than_the_last_word_changes_nothing)
{
	struct node n = {.loop = loop_new(NULL, "test")};
	struct pod p = told(&n);
	conds[COND_READY].status = STR("False");
	seen.rv = 5;
	answered(&p, "6");
	pod_status_seen(&p);
	CHECK(p.sent.len);
	buf_release(&p.sent);
	loop_free(n.loop);
}

/* failed: the answer to what was told is this status. */
static void
failed(struct pod *p, int http)
{
	struct client_result r = {.http = http, .e = {.code = -EIO, .msg = "no"}};
	on_patched(p, &r);
	loop_defer_cancel(&p->work);
}

/* A status that the server refused was sent again at once, for ever, and its pod was never deleted. */
TEST(a_status_that_is_refused_holds_nobody_up)
{
	struct node n = {.loop = loop_new(NULL, "test"), .patching = 1};
	struct pod p = told(&n);
	failed(&p, 422);
	CHECK(pod_status_settled(&p));
	CHECK(!loop_timer_is_set(&p.patch_timer));
	buf_release(&p.sent);
	loop_free(n.loop);
}

TEST(a_status_that_failed_is_not_said_again_before_its_time)
{
	struct node n = {.loop = loop_new(NULL, "test"), .patching = 1};
	struct pod p = told(&n);
	failed(&p, 500);
	CHECK(loop_timer_is_set(&p.patch_timer));
	pod_status_update(&p); /* the node has no API here: asking it would end the test */
	CHECK(!p.patching);
	CHECK(!pod_status_settled(&p));
	loop_timer_cancel(&p.patch_timer);
	buf_release(&p.sent);
	loop_free(n.loop);
}

/* Its containers were gone already, and it was told that they had not begun yet. */
TEST(of_a_pod_that_is_removed_nothing_more_is_said)
{
	struct node n = {.loop = loop_new(NULL, "test")};
	struct pod p = told(&n);
	p.patching = false;
	p.removing = true;
	pod_status_update(&p);
	CHECK(pod_status_settled(&p));
	CHECK_STR(buf_view(&p.sent), "what was sent");
	buf_release(&p.sent);
	loop_free(n.loop);
}
