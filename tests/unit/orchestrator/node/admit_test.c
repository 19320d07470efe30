/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * admit_test: pods that a node does not take. */
#include "orchestrator/node/admit.c"
#include "tests/unit/test.h"

static struct str_pair wants[] = {
	{STR_INIT("cpu"), STR_INIT("500m")}, {STR_INIT("memory"), STR_INIT("64Mi")}};
static const struct admit_room empty = {.cpu_milli = 1000, .memory_bytes = 100 << 20, .pods = 2};

TEST(sysctls_of_the_safe_list_only)
{
	static const struct {
		const char *name, *why;
		bool host_network, host_ipc;
	} rows[] = {
		{"net.ipv4.ip_unprivileged_port_start", NULL, false, false},
		{"kernel.shm_rmid_forced", NULL, true, false},
		{"kernel.msgmax", "forbidden sysctl: \"kernel.msgmax\" not allowlisted", false,
			false},
		{"kernel.shm_rmid_forced",
			"forbidden sysctl: \"kernel.shm_rmid_forced\" not allowed with host IPC enabled",
			false, true},
		{"net.ipv4.tcp_rmem",
			"forbidden sysctl: \"net.ipv4.tcp_rmem\" not allowed with host Network enabled",
			true, false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct core_v1_sysctl one = {str_c(rows[i].name), STR("1")};
		struct core_v1_pod_security_context sc = {.sysctls = &one, .n_sysctls = 1};
		struct core_v1_pod_spec s = {.security_context = &sc,
			.host_network = rows[i].host_network,
			.host_ipc = rows[i].host_ipc};
		struct admit_no no = {0};
		CHECK_INT(pod_admit(&s, &empty, &no), !rows[i].why);
		CHECK_STR(no.message, rows[i].why ? rows[i].why : "");
		CHECK_STR(no.reason, rows[i].why ? "SysctlForbidden" : "");
	}
}

TEST(a_pod_that_names_a_full_node_fails)
{
	struct core_v1_container c = {.resources = {.requests = wants, .n_requests = 2}};
	struct core_v1_pod_spec s = {.containers = &c, .n_containers = 1}, small = {0};
	struct admit_room room = empty;
	struct admit_no no = {0};
	CHECK(pod_admit(&s, &room, &no));
	admit_use(&room, &s);
	CHECK(!pod_admit(&s, &room, &no));
	CHECK_STR(no.reason, "OutOfmemory");
	CHECK_STR(no.message,
		"Node didn't have enough resource: memory, requested: 67108864, used: 67108864, "
		"capacity: 104857600");
	wants[1].value = STR("1Mi");
	CHECK(pod_admit(&s, &room, &no));
	wants[0].value = STR("600m");
	CHECK(!pod_admit(&s, &room, &no));
	CHECK_STR(no.reason, "OutOfcpu");
	CHECK(pod_admit(&small, &room, &no));
	admit_use(&room, &small);
	CHECK(!pod_admit(&small, &room, &no));
	CHECK_STR(no.reason, "OutOfpods");
}
