/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Nodes against selectors, taints against tolerations, what pods ask for. */
#include "orchestrator/schedule/match.c"

#include "orchestrator/schedule/amounts.c"

#include "tests/unit/test.h"

static struct str_pair labels[] = {
	{STR_INIT("zone"), STR_INIT("a")}, {STR_INIT("cores"), STR_INIT("8")}};
static struct core_v1_node node = {
	.metadata = {.name = STR_INIT("n1"), .labels = labels, .n_labels = 2}};

static bool
term(const char *key, const char *op, const char *value)
{
	struct str v = str_c(value);
	struct core_v1_node_selector_requirement r = {
		.key = str_c(key), .operator= str_c(op), .values = &v, .n_values = value ? 1 : 0};
	struct core_v1_node_selector_term t = {.match_expressions = &r, .n_match_expressions = 1};
	return match_node_term(&t, &node);
}

TEST(operators_of_node_selectors)
{
	static const struct {
		const char *key, *op, *value;
		bool want;
	} rows[] = {
		{"zone", "In", "a", true},
		{"zone", "In", "b", false},
		{"none", "In", "a", false},
		{"zone", "NotIn", "b", true},
		{"none", "NotIn", "a", true},
		{"zone", "NotIn", "a", false},
		{"zone", "Exists", NULL, true},
		{"none", "Exists", NULL, false},
		{"none", "DoesNotExist", NULL, true},
		{"cores", "Gt", "4", true},
		{"cores", "Gt", "8", false},
		{"cores", "Lt", "9", true},
		{"zone", "Gt", "1", false},
		{"zone", "Between", "a", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_INT(term(rows[i].key, rows[i].op, rows[i].value), rows[i].want);
	CHECK(!match_node_term(&(struct core_v1_node_selector_term){0}, &node));
}

TEST(tolerations)
{
	const struct core_v1_taint t = {
		.key = STR("k"), .value = STR("v"), .effect = STR("NoExecute")};
	static const struct {
		struct core_v1_toleration t;
		bool want;
	} rows[] = {
		{{.key = STR_INIT("k"), .operator= STR_INIT("Exists")}, true},
		{{.key = STR_INIT("k"), .operator= STR_INIT("Equal"), .value = STR_INIT("v")},
			true},
		{{.key = STR_INIT("k"), .value = STR_INIT("w")}, false},
		{{.operator= STR_INIT("Exists")}, true},
		{{.value = STR_INIT("v")}, false},
		{{.key = STR_INIT("k"),
			 .operator= STR_INIT("Exists"),
			 .effect = STR_INIT("NoSchedule")},
			false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_INT(tolerates(&rows[i].t, 1, &t), rows[i].want);
}

TEST(a_pod_asks_for_the_most_it_needs_at_any_time)
{
	struct str_pair one[] = {{STR("cpu"), STR("100m")}, {STR("memory"), STR("64Mi")}};
	struct str_pair big[] = {{STR("cpu"), STR("1")}, {STR("x.example/gpu"), STR("2")}};
	struct core_v1_container main_[2] = {
		{.resources = {.requests = one, .n_requests = 2}}, {.name = STR("nothing asked")}};
	struct core_v1_container init[1] = {{.resources = {.requests = big, .n_requests = 2}}};
	struct core_v1_pod pod = {.spec = {.containers = main_,
					  .n_containers = 2,
					  .init_containers = init,
					  .n_init_containers = 1}};
	struct amounts ask, nonzero;
	amounts_of_pod(&pod, &ask, &nonzero);
	CHECK_INT(ask.cpu_mcpu, 1000);
	CHECK_INT(ask.mem_bytes, 64 << 20);
	CHECK_INT(ask.pods, 1);
	CHECK_INT(amounts_scalar(&ask, hash_fnv64a(STR("x.example/gpu"))), 2);
	CHECK_INT(nonzero.mem_bytes, (64 + 200) << 20);
	init[0].restart_policy = STR("Always"); /* a sidecar runs beside the rest */
	amounts_of_pod(&pod, &ask, &nonzero);
	CHECK_INT(ask.cpu_mcpu, 1100);
}
