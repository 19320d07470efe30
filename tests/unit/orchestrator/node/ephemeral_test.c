/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/node/pod_status.c"

#include "tests/unit/test.h"

TEST(a_container_that_is_added_to_a_running_pod_is_not_told_of)
{
	static struct core_v1_ephemeral_container list[] = {
		{.name = STR_INIT("one"), .image = STR_INIT("r.test/a:1")},
		{.name = STR_INIT("two"), .image = STR_INIT("r.test/b:1"), .tty = true},
	};
	static struct ctr main_ctr;
	struct core_v1_pod o = {
		.spec = {.ephemeral_containers = list, .n_ephemeral_containers = 1}};
	struct pod p = {.o = &o, .ctrs = &main_ctr, .n_ctrs = 1};
	main_ctr = (struct ctr){.pod = &p, .kind = CTR_MAIN, .name = (char[]){"main"}};
	ephemerals_take(&p);
	const struct ctr *first = p.ephemerals;
	o.spec.n_ephemeral_containers = 2;
	ephemerals_take(&p);
	ephemerals_take(&p);
	CHECK(p.ephemerals == first); /* others may hold it */
	CHECK(pod_ctr(&p, STR("two")) == first->next && !first->next->next);
	CHECK(ctr_spec(first->next)->tty);
	_cleanup_buf_ struct buf b = BUF_INIT;
	put_ephemerals(&b, &p);
	CHECK_STR(buf_view(&b),
		",\"ephemeralContainerStatuses\":[{\"name\":\"one\",\"state\":{\"waiting\":{"
		"\"reason\":\"ContainerCreating\"}},\"lastState\":{},\"ready\":false,"
		"\"restartCount\":0,\"image\":\"r.test/a:1\",\"imageID\":\"\"},"
		"{\"name\":\"two\",\"state\":{\"waiting\":{\"reason\":\"ContainerCreating\"}},"
		"\"lastState\":{},\"ready\":false,\"restartCount\":0,\"image\":\"r.test/b:1\","
		"\"imageID\":\"\"}]");
	CHECK_STR(str_c(phase_now(&p)), "Pending"); /* by its own containers alone */
	struct str id = STR("");
	struct err e = {0};
	CHECK_INT(ephemeral_target(&main_ctr, &id, &e), 0);
	CHECK_INT(ephemeral_target(first, &id, &e), 0);
	list[0].target_container_name = STR("main");
	CHECK_INT(ephemeral_target(first, &id, &e), -ENOENT); /* it does not run yet */
	CHECK_STR(str_c(e.msg), "unable to find target container main");
	CHECK_INT(id.n, 0);
	ephemerals_free(&p);
	CHECK(!p.ephemerals);
}
