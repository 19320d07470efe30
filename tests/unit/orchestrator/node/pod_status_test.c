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
