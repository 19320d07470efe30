/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * rules_test: the kubelet's decisions: service class, limits, back-off, probes, variables, the files of a pod,
 * phases. */
#include "orchestrator/node/rules.c"
#include "tests/unit/test.h"

static struct str_pair both[] = {
	{STR_INIT("cpu"), STR_INIT("500m")}, {STR_INIT("memory"), STR_INIT("64Mi")}};

TEST(qos_is_guaranteed_only_when_all_limits_are_the_requests)
{
	struct core_v1_container c[2] = {0};
	struct core_v1_pod_spec s = {.containers = c, .n_containers = 2};
	CHECK_STR(qos_name(pod_qos(&s)), "BestEffort");
	c[0].resources = (struct core_v1_resource_requirements){.limits = both, .n_limits = 2};
	CHECK_STR(qos_name(pod_qos(&s)), "Burstable");
	c[1].resources = c[0].resources;
	CHECK_STR(qos_name(pod_qos(&s)), "Guaranteed");
	c[1].resources.requests = both;
	c[1].resources.n_requests = 1;
	CHECK_STR(qos_name(pod_qos(&s)), "Guaranteed");
	c[1].resources.n_limits = 1;
	CHECK_STR(qos_name(pod_qos(&s)), "Burstable");
}

TEST(limits_become_cgroup_values)
{
	struct core_v1_container c = {.resources = {.limits = both, .n_limits = 2}};
	struct core_v1_pod_spec s = {.containers = &c, .n_containers = 1};
	struct runtime_limits l = container_limits(&c);
	CHECK_INT(l.cpu_shares, 512);
	CHECK_INT(l.cpu_quota_us, 50000);
	CHECK_INT(l.memory_bytes, 64 << 20);
	l = pod_limits(&s);
	CHECK_INT(l.memory_bytes, 64 << 20);
	CHECK_INT(l.cpu_quota_us, 50000);
	CHECK_INT(l.cpu_shares, 512);
	c.resources.n_limits = 1;
	CHECK_INT(pod_limits(&s).memory_bytes, 0);
}

TEST(oom_scores_follow_the_class)
{
	struct core_v1_container c = {.resources = {.requests = both, .n_requests = 2}};
	struct core_v1_pod_spec s = {.containers = &c, .n_containers = 1};
	CHECK_INT(oom_score(&s, &c, 640LL << 20), 900);
	c.resources.n_requests = 0;
	CHECK_INT(oom_score(&s, &c, 640LL << 20), 1000);
}

TEST(a_memory_volume_is_no_larger_than_what_the_pod_may_have)
{
	struct core_v1_container c = {0};
	struct core_v1_pod_spec s = {.containers = &c, .n_containers = 1};
	CHECK_INT(memory_volume_bytes(&s, 0, 1 << 30), 1 << 30);
	CHECK_INT(memory_volume_bytes(&s, 1 << 20, 1 << 30), 1 << 20);
	c.resources = (struct core_v1_resource_requirements){.limits = both, .n_limits = 2};
	CHECK_INT(memory_volume_bytes(&s, 0, 1 << 30), 64 << 20);
	CHECK_INT(memory_volume_bytes(&s, 128 << 20, 1 << 30), 64 << 20);
}

TEST(only_a_volume_on_the_disk_has_a_limit_to_look_at)
{
	struct core_v1_empty_dir_volume_source e = {.size_limit = STR("1Mi")};
	struct core_v1_volume v = {.empty_dir = &e};
	CHECK_INT(empty_dir_limit(&v), 1 << 20);
	e.medium = STR("Memory");
	CHECK_INT(empty_dir_limit(&v), 0);
	v.empty_dir = NULL;
	CHECK_INT(empty_dir_limit(&v), 0);
}

TEST(files_belong_to_the_user_only_when_there_is_one)
{
	struct core_v1_security_context as[2] = {{.has_run_as_user = true, .run_as_user = 1000},
		{.has_run_as_user = true, .run_as_user = 2}};
	struct core_v1_pod_security_context all = {.has_run_as_user = true, .run_as_user = 1000};
	struct core_v1_container c[2] = {[0] = {.security_context = &as[0]}};
	struct core_v1_pod_spec s = {.containers = c, .n_containers = 2};
	CHECK_INT(pod_fs_user(&s), -1);
	s.security_context = &all;
	CHECK_INT(pod_fs_user(&s), 1000);
	c[1].security_context = &as[1];
	CHECK_INT(pod_fs_user(&s), -1);
}

TEST(a_token_is_renewed_at_four_fifths_of_its_life_or_after_a_day)
{
	CHECK_INT(token_renew_at(100, 100 + 600 * NS_PER_SEC), 100 + 480 * NS_PER_SEC);
	CHECK_INT(token_renew_at(0, 30 * 24 * 3600 * NS_PER_SEC), 24 * 3600 * NS_PER_SEC);
}

/* The downward API's file of labels kept the old value when no label came or went. */
TEST(a_label_that_changes_its_value_is_a_change)
{
	struct str_pair a[] = {{STR("app"), STR("web")}}, b[] = {{STR("app"), STR("db")}};
	CHECK(pairs_same(a, 1, a, 1));
	CHECK(!pairs_same(a, 1, b, 1));
	CHECK(!pairs_same(a, 1, a, 0));
	CHECK(pairs_same(NULL, 0, NULL, 0));
}

TEST(backoff_doubles_to_five_minutes_and_is_forgotten)
{
	struct backoff b = {0};
	int64_t now = 1000 * NS_PER_SEC;
	int64_t want[] = {10, 20, 40, 80, 160, 300, 300};
	CHECK_INT(backoff_left(&b, now), 0);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		backoff_fail(&b, now);
		CHECK_INT(backoff_left(&b, now), want[i] * NS_PER_SEC);
		now = b.until_ns;
		CHECK_INT(backoff_left(&b, now), 0);
	}
	backoff_fail(&b, now + 601 * NS_PER_SEC);
	CHECK_INT(b.delay_ns, 10 * NS_PER_SEC);
}

TEST(probe_changes_only_at_thresholds)
{
	struct probe_count p;
	probe_count_init(&p, PROBE_READINESS);
	CHECK(!p.value);
	CHECK_INT(probe_count_add(&p, true, 2, 3), PROBE_SAME);
	CHECK_INT(probe_count_add(&p, true, 2, 3), PROBE_UP);
	CHECK_INT(probe_count_add(&p, true, 2, 3), PROBE_SAME);
	CHECK_INT(probe_count_add(&p, false, 2, 3), PROBE_SAME);
	CHECK_INT(probe_count_add(&p, true, 2, 3), PROBE_SAME);
	CHECK(p.value);
	CHECK_INT(probe_count_add(&p, false, 2, 3), PROBE_SAME);
	CHECK_INT(probe_count_add(&p, false, 2, 3), PROBE_SAME);
	CHECK_INT(probe_count_add(&p, false, 2, 3), PROBE_DOWN);
	CHECK(!p.value);
	probe_count_init(&p, PROBE_LIVENESS);
	CHECK(p.value);
	CHECK_INT(probe_count_add(&p, false, 1, 1), PROBE_DOWN);
}

static struct str
look(void *arg, struct str name)
{
	(void)arg;
	return str_eq(name, STR("A")) ? STR("one") : STR_NONE;
}

TEST(variables_are_expanded_once)
{
	struct arena *a = arena_new(0);
	static const struct {
		struct str in, out;
	} rows[] = {
		{STR_INIT("plain"), STR_INIT("plain")},
		{STR_INIT("$(A)"), STR_INIT("one")},
		{STR_INIT("x$(A)y$(A)"), STR_INIT("xoneyone")},
		{STR_INIT("$(B)"), STR_INIT("$(B)")},
		{STR_INIT("$$(A)"), STR_INIT("$(A)")},
		{STR_INIT("$$$(A)"), STR_INIT("$one")},
		{STR_INIT("$A $(A"), STR_INIT("$A $(A")},
		{STR_INIT("$"), STR_INIT("$")},
		{STR_INIT("$()"), STR_INIT("$()")},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_STR(var_expand(a, rows[i].in, look, NULL), rows[i].out);
	CHECK_STR(service_env_name(a, STR("my-svc.x")), "MY_SVC_X");
	arena_free(a);
}

TEST(hosts_has_the_pod_and_its_aliases)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct str names[] = {STR("foo.local"), STR("bar.local")};
	struct core_v1_host_alias alias = {STR("10.1.2.3"), names, 2};
	struct core_v1_pod_spec s = {.host_aliases = &alias, .n_host_aliases = 1};
	struct ip_addr ip;
	CHECK_INT(ip_parse(STR("10.244.0.5"), &ip), 0);
	hosts_write(&b, &s, STR("web-0"), STR("web-0.web.default.svc.cluster.local"), &ip, 1);
	CHECK(str_find(buf_view(&b),
		      STR("10.244.0.5\tweb-0.web.default.svc.cluster.local\tweb-0\n")) > 0);
	CHECK(str_find(buf_view(&b), STR("10.1.2.3\tfoo.local\tbar.local\n")) > 0);
}

TEST(a_pod_in_the_nodes_network_takes_the_nodes_hosts_for_its_own)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct str name = STR("far");
	struct core_v1_host_alias alias = {STR("10.1.2.3"), &name, 1};
	struct core_v1_pod_spec s = {.host_aliases = &alias, .n_host_aliases = 1};
	hosts_write_node(&b, &s, STR("127.0.0.1\tlocalhost\n"));
	CHECK_STR(buf_view(&b),
		"# Kubernetes-managed hosts file (host network).\n127.0.0.1\tlocalhost\n"
		"\n# Entries added by HostAliases.\n10.1.2.3\tfar\n");
}

TEST(a_sub_path_that_expands_to_outside_of_its_volume_is_no_error_of_the_container)
{
	const struct {
		const char *path, *message;
	} rows[] = {
		{"", ""},
		{"a/b..c/..d", ""},
		{"/tmp", "error SubPath `/tmp` must not be an absolute path"},
		{"..", "unable to provision SubPath `..`: must not contain '..'"},
		{"a/../b", "unable to provision SubPath `a/../b`: must not contain '..'"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = {0};
		CHECK_INT(
			sub_path_check(str_c(rows[i].path), &e), rows[i].message[0] ? -EINVAL : 0);
		CHECK_STR(str_c(e.msg), rows[i].message);
	}
}

TEST(resolv_conf_by_policy)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct core_v1_pod_spec s = {.dns_policy = STR("ClusterFirst")};
	struct str host = STR("search lan\nnameserver 9.9.9.9\noptions rotate\n");
	struct ip_addr dns;
	CHECK_INT(ip_parse(STR("10.96.0.10"), &dns), 0);
	resolv_write(&b, &s, STR("ns1"), STR("cluster.local"), &dns, 1, host);
	CHECK_STR(buf_view(&b),
		"search ns1.svc.cluster.local svc.cluster.local cluster.local lan\n"
		"nameserver 10.96.0.10\noptions ndots:5\n");
	buf_clear(&b);
	s.host_network = true;
	resolv_write(&b, &s, STR("ns1"), STR("cluster.local"), &dns, 1, host);
	CHECK_STR(buf_view(&b), "search lan\nnameserver 9.9.9.9\noptions rotate\n");
	buf_clear(&b);
	struct str servers[] = {STR("1.1.1.1")}, searches[] = {STR("x.y")};
	struct core_v1_pod_dns_config_option opt = {STR("ndots"), STR("2")};
	struct core_v1_pod_dns_config c = {servers, 1, searches, 1, &opt, 1};
	s.dns_policy = STR("None");
	s.dns_config = &c;
	resolv_write(&b, &s, STR("ns1"), STR("cluster.local"), &dns, 1, host);
	CHECK_STR(buf_view(&b), "search x.y\nnameserver 1.1.1.1\noptions ndots:2\n");
}

TEST(a_probe_that_cannot_connect_says_so_as_users_know_it)
{
	struct ip_addr v4, v6;
	CHECK_INT(ip_parse(STR("10.244.1.4"), &v4), 0);
	CHECK_INT(ip_parse(STR("fd00::4"), &v6), 0);
	const struct {
		const char *url;
		const struct ip_addr *ip;
		int code;
		const char *want;
	} rows[] = {
		{"http://10.244.1.4:80/", &v4, -ECONNREFUSED,
			"Get \"http://10.244.1.4:80/\": dial tcp 10.244.1.4:80: connect: connection refused"},
		{"http://10.244.1.4:80/", &v4, -ETIMEDOUT,
			"Get \"http://10.244.1.4:80/\": context deadline exceeded (Client.Timeout exceeded "
			"while awaiting headers)"},
		{"http://10.244.1.4:80/", &v4, -EPROTO, "Get \"http://10.244.1.4:80/\": malformed"},
		{NULL, &v4, -ETIMEDOUT, "dial tcp 10.244.1.4:80: i/o timeout"},
		{NULL, &v6, -ECONNREFUSED, "dial tcp [fd00::4]:80: connect: connection refused"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = {.code = rows[i].code, .msg = "malformed"};
		char out[300];
		probe_text(out, sizeof(out), rows[i].url, rows[i].ip, 80, &e);
		CHECK_STR(out, rows[i].want);
	}
}

TEST(phases)
{
	static const struct {
		const char *policy, *want;
		bool terminating;
		struct phase_in v[2];
	} rows[] = {
		{"Always", "Pending", false, {{0}, {0}}},
		{"Always", "Running", false, {{.running = true}, {.running = true}}},
		/* it was said to run while a container had never been started: its logs were asked for and not there */
		{"Always", "Pending", false, {{.running = true}, {0}}},
		{"Always", "Running", false, {{.running = true}, {.created = true}}},
		{"Never", "Pending", false, {{.exited = true}, {0}}},
		{"Always", "Pending", true, {{0}, {0}}},
		{"Always", "Running", false, {{.exited = true, .exit_code = 1}, {.running = true}}},
		{"Never", "Running", false, {{.exited = true, .exit_code = 1}, {.running = true}}},
		{"Never", "Failed", false, {{.exited = true, .exit_code = 1}, {.exited = true}}},
		{"Never", "Succeeded", false, {{.exited = true}, {.exited = true}}},
		{"OnFailure", "Running", false,
			{{.exited = true, .exit_code = 1}, {.exited = true}}},
		{"OnFailure", "Succeeded", false, {{.exited = true}, {.exited = true}}},
		{"OnFailure", "Running", false,
			{{.exited = true, .again = true}, {.exited = true}}},
		{"OnFailure", "Succeeded", true,
			{{.exited = true, .again = true}, {.exited = true}}},
		{"Always", "Running", false, {{.exited = true}, {.exited = true}}},
		{"Always", "Succeeded", true, {{.exited = true}, {.exited = true}}},
		{"Always", "Failed", true, {{.exited = true, .exit_code = 137}, {.exited = true}}},
		{"Never", "Failed", false, {{.init = true, .exited = true, .exit_code = 2}, {0}}},
		{"Always", "Pending", false, {{.init = true, .exited = true, .exit_code = 2}, {0}}},
		{"Always", "Pending", false, {{.init = true, .running = true}, {0}}},
		{"Always", "Running", false, {{.init = true, .exited = true}, {.running = true}}},
		{"Never", "Succeeded", false,
			{{.init = true, .restarts = true, .running = true}, {.exited = true}}},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_STR(pod_phase(rows[i].v, 2, str_c(rows[i].policy), rows[i].terminating),
			rows[i].want);
}

TEST(a_condition_that_others_changed_is_lost)
{
	struct core_v1_pod_condition c[] = {{.type = STR("Initialized"), .status = STR("True")},
		{.type = STR("Ready"), .status = STR("False")}};
	struct core_v1_pod_status s = {.conditions = c, .n_conditions = ARRAY_LEN(c)};
	CHECK(condition_lost(&s, STR("Ready"), true));
	CHECK(!condition_lost(&s, STR("Ready"), false));
	CHECK(!condition_lost(&s, STR("Initialized"), true));
	CHECK(condition_lost(&s, STR("ContainersReady"), true));
}

TEST(restarts_by_policy)
{
	CHECK(restart_wanted(STR("Always"), false, false, 0));
	CHECK(!restart_wanted(STR("Always"), false, true, 0));
	CHECK(restart_wanted(STR("Always"), false, true, 1));
	CHECK(!restart_wanted(STR("OnFailure"), false, false, 0));
	CHECK(restart_wanted(STR("OnFailure"), false, false, 1));
	CHECK(!restart_wanted(STR("Never"), false, false, 1));
	CHECK(restart_wanted(STR("Never"), true, true, 0));
	CHECK(kill_restarts(STR("OnFailure"), false));
	CHECK(!kill_restarts(STR("Never"), false));
	CHECK(kill_restarts(STR("Never"), true));
}
