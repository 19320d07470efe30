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

TEST(a_pod_that_names_a_node_it_does_not_match_fails)
{
	struct core_v1_container_port port = {.host_port = 80, .protocol = STR("TCP")};
	struct core_v1_container c = {.ports = &port, .n_ports = 1};
	struct core_v1_pod_spec s = {.containers = &c, .n_containers = 1};
	struct core_v1_taint taints[] = {{.key = STR("k"), .effect = STR("NoSchedule")},
		{.key = STR("k"), .effect = STR("NoExecute")}};
	struct core_v1_toleration all = {.operator= STR("Exists")};
	struct str_pair label = {STR_INIT("disk"), STR_INIT("ssd")}, wanted = label;
	struct core_v1_node n = {.metadata = {.labels = &label, .n_labels = 1},
		.spec = {.taints = taints, .n_taints = 1}};
	struct admit_room room = empty;
	struct admit_no no = {0};
	CHECK(pod_admit(&s, &room, &no));
	room.port_taken = true;
	CHECK(!pod_admit(&s, &room, &no));
	CHECK_STR(no.reason, "NodePorts");
	CHECK_STR(no.message,
		"Predicate NodePorts failed: node(s) didn't have free ports for the requested pod "
		"ports");
	room.port_taken = false;
	room.node = &n;
	CHECK(pod_admit(&s, &room, &no));
	s.node_selector = &wanted;
	s.n_node_selector = 1;
	CHECK(pod_admit(&s, &room, &no));
	wanted.value = STR("none");
	CHECK(!pod_admit(&s, &room, &no));
	CHECK_STR(no.reason, "NodeAffinity");
	CHECK_STR(no.message,
		"Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector");
	s.n_node_selector = 0;
	n.spec.n_taints = 2;
	CHECK(!pod_admit(&s, &room, &no));
	CHECK_STR(no.reason, "TaintToleration");
	CHECK_STR(no.message,
		"Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate");
	s.tolerations = &all;
	s.n_tolerations = 1;
	CHECK(pod_admit(&s, &room, &no));
}

TEST(a_pod_that_wants_more_disk_than_is_left_fails)
{
	struct str_pair disk = {STR_INIT("ephemeral-storage"), STR_INIT("2Ki")};
	struct core_v1_container c = {.resources = {.requests = &disk, .n_requests = 1}};
	struct core_v1_pod_spec s = {.containers = &c, .n_containers = 1};
	struct admit_room room = empty;
	struct admit_no no = {0};
	room.disk_bytes = 3000;
	CHECK(pod_admit(&s, &room, &no));
	admit_use(&room, &s);
	CHECK(!pod_admit(&s, &room, &no));
	CHECK_STR(no.reason, "OutOfephemeral-storage");
	CHECK_STR(no.message,
		"Node didn't have enough resource: ephemeral-storage, requested: 2048, used: 2048, "
		"capacity: 3000");
}
