/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Who is sent away, and from where: each rule decides where those before it do not. */
#include "orchestrator/schedule/preempt.c"

#include "tests/unit/test.h"

#define POD(p, at)                                                                                 \
	{                                                                                          \
		.spec = {.priority = (p)}, .status = {.start_time = (at) }                         \
	}

TEST(the_node_whose_victims_matter_least_is_chosen)
{
	static struct core_v1_pod objects[] = {POD(5, 10), POD(5, 20), POD(1, 10), POD(-3, 10)};
	static struct informer_obj refs[ARRAY_LEN(objects)];
	static struct sched_pod pods[ARRAY_LEN(objects)];
	enum { OLD, YOUNG, LOW, NEGATIVE };
	static struct sched_pod *old[] = {&pods[OLD]}, *young[] = {&pods[YOUNG]},
				*low[] = {&pods[LOW]}, *two[] = {&pods[LOW], &pods[NEGATIVE]},
				*minus[] = {&pods[NEGATIVE]},
				*minus_two[] = {&pods[NEGATIVE], &pods[NEGATIVE]};
	for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
		refs[i].obj = &objects[i];
		pods[i].obj = &refs[i];
	}
	const struct {
		struct preemption better, worse;
	} rows[] = {
		/* violations before everything */
		{{.victims = old, .n_victims = 1},
			{.victims = low, .n_victims = 1, .violating = 1}},
		{{.victims = low, .n_victims = 1}, {.victims = old, .n_victims = 1}},
		/* the same highest: fewer victims count for less, negative ones too */
		{{.victims = low, .n_victims = 1}, {.victims = two, .n_victims = 2}},
		{{.victims = minus, .n_victims = 1}, {.victims = minus_two, .n_victims = 2}},
		{{.victims = young, .n_victims = 1}, {.victims = old, .n_victims = 1}},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct preemption both[] = {rows[i].better, rows[i].worse},
				  turned[] = {rows[i].worse, rows[i].better};
		CHECK(choose(both, 2) == &both[0]);
		CHECK(choose(turned, 2) == &turned[1]);
	}
	CHECK(choose(NULL, 0) == NULL);
}

TEST(a_budget_is_spent_by_the_victims_of_one_node)
{
	struct str_pair label = {STR("a"), STR("b")};
	struct selector_req req = {
		.key = label.key, .op = SELECT_IN, .values = &label.value, .n_values = 1};
	struct core_v1_pod pod = {.metadata = {.namespace = STR("ns"),
					  .name = STR("p"),
					  .labels = &label,
					  .n_labels = 1}},
			   other = pod, gone = pod;
	struct policy_v1_pod_disruption_budget b = {.metadata = {.namespace = STR("ns")}};
	struct budget one = {.b = &b, .sel = {&req, 1, false}, .left = 1};
	struct budgets all = {&one, 1};
	other.metadata.namespace = STR("other");
	CHECK(!violates(&all, &other));
	CHECK(!violates(&all, &pod));
	CHECK(violates(&all, &pod));
	typeof(*b.status.disrupted_pods) going = {.key = STR("gone")};
	gone.metadata.name = STR("gone");
	b.status.disrupted_pods = &going;
	b.status.n_disrupted_pods = 1;
	CHECK(!violates(&all, &gone)); /* it was counted when it was let go */
}

TEST(a_victim_that_goes_for_another_is_waited_for)
{
	struct core_v1_pod_condition c = {.type = STR("DisruptionTarget"),
		.status = STR("True"),
		.reason = STR("PreemptionByScheduler")};
	struct core_v1_pod p = {.status = {.conditions = &c, .n_conditions = 1}};
	CHECK(!goes_for_another(&p));
	p.metadata.deletion_timestamp = 1;
	CHECK(goes_for_another(&p));
	c.reason = STR("EvictionByEvictionAPI");
	CHECK(!goes_for_another(&p));
}
