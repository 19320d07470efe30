/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * MutatingAdmissionPolicies through the whole pipeline. */
#include "orchestrator/api/policy_mutate.c"

#include "tests/unit/orchestrator/api/policy_fixture.h"

#define APPLY(expression)                                                                          \
	"{`patchType`:`ApplyConfiguration`,`applyConfiguration`:{`expression`:`" expression "`}}"
#define PATCH(expression) "{`patchType`:`JSONPatch`,`jsonPatch`:{`expression`:`" expression "`}}"
#define NEVER "`reinvocationPolicy`:`Never`"

static int
changing(struct fixture *f, const char *name, const char *spec)
{
	char binding[128];
	int http = make(f, "mutatingadmissionpolicies", name, spec);
	snprintf(binding, sizeof(binding), "`policyName`:`%s`", name);
	return http == 201 ? make(f, "mutatingadmissionpolicybindings", name, binding) : http;
}

static void
forget_changing(struct fixture *f, const char *name)
{
	CHECK_INT(forget(f, "mutatingadmissionpolicies", name), 200);
	CHECK_INT(forget(f, "mutatingadmissionpolicybindings", name), 200);
}

TEST(a_configuration_is_merged_into_the_object)
{
	struct fixture f;
	fx_open_with(&f, 1, &kinds_tables);
	CHECK_INT(
		changing(&f, "p",
			ON_CM "," NEVER ",`mutations`:[" APPLY(
				"Object{metadata: Object.metadata{labels: {'by': 'policy'}}, data: "
				"{'more': object.data.k + '!'}}") "]"),
		201);
	CHECK_INT(config_map(&f, "c", "`k`:`v`"), 201);
	CHECK(says(&f, "\"labels\":{\"by\":\"policy\"}"));
	CHECK(says(&f, "\"data\":{\"k\":\"v\",\"more\":\"v!\"}"));
	fx_close(&f);
}

TEST(a_deployment_gets_its_replicas)
{
	struct fixture f;
	fx_open_with(&f, 2, &kinds_tables);
	CHECK_INT(
		changing(&f, "p",
			"`matchConstraints`:{`resourceRules`:[{`apiGroups`:[`apps`],`apiVersions`:[`v1`]"
			",`resources`:[`deployments`],`operations`:[`CREATE`]}]}," NEVER
			",`mutations`:[" APPLY("Object{spec: Object.spec{replicas: 1337}}") "]"),
		201);
	CHECK_INT(
		call(&f, f.admin,
			&(struct client_req){.group = STR("apps"),
				.version = STR("v1"),
				.resource = STR("deployments"),
				.ns = STR("default"),
				.verb = CLIENT_CREATE,
				.body = json(
					"{`metadata`:{`name`:`d`},`spec`:{`replicas`:1,`selector`:{"
					"`matchLabels`:{`a`:`b`}},`template`:{`metadata`:{`labels`:{"
					"`a`:`b`}},`spec`:{`containers`:[{`name`:`c`,`image`:`i`}]"
					"}}}}")}),
		201);
	CHECK(says(&f, "\"replicas\":1337"));
	CHECK(says(&f, "\"containers\":[{\"name\":\"c\",\"image\":\"i\""));
	fx_close(&f);
}

TEST(a_json_patch_is_applied)
{
	struct fixture f;
	fx_open_with(&f, 3, &kinds_tables);
	CHECK_INT(
		changing(&f, "p",
			ON_CM "," NEVER ",`mutations`:[" PATCH(
				"[JSONPatch{op: 'test', path: '/data/k', value: 'v'}, JSONPatch{op: "
				"'add', path: '/metadata/labels', value: {}}, JSONPatch{op: 'add', path: "
				"'/metadata/labels/' + jsonpatch.escapeKey('example.com/by'), value: "
				"'policy'}]") "]"),
		201);
	CHECK_INT(config_map(&f, "a", "`k`:`v`"), 201);
	CHECK(says(&f, "\"labels\":{\"example.com/by\":\"policy\"}"));
	CHECK_INT(config_map(&f, "b", "`k`:`w`"), 201); /* a test that fails: nothing happens */
	CHECK(!strstr(f.body.data, "example.com/by"));
	fx_close(&f);
}

TEST(a_change_that_cannot_be_made_refuses_or_is_passed_over)
{
	static const struct {
		const char *mutation, *text;
	} rows[] = {
		{APPLY("Object{spec: Object.wrong{a: 1}}"),
			"type mismatch: unexpected type name \\\"Object.wrong\\\", expected "
			"\\\"Object.spec\\\", which matches field name path from root Object type"},
		{APPLY("Object{nothing: 'x'}"),
			"error applying patch: failed to convert patch object to typed object: "},
		{PATCH("[JSONPatch{op: 'remove', path: '/data/none'}]"), "JSON Patch: "},
		{PATCH("[JSONPatch{op: 'add', path: '/data/k', value: object.data.none}]"),
			"resulted in error: no such key: none"},
	};
	struct fixture f;
	char spec[1024];
	fx_open_with(&f, 4, &kinds_tables);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(spec, sizeof(spec), ON_CM "," NEVER ",`mutations`:[%s]", rows[i].mutation);
		CHECK_INT(changing(&f, "p", spec), 201);
		CHECK_INT(config_map(&f, "c", "`k`:`v`"), 403);
		CHECK(says(&f, "\"message\":\"policy 'p' with binding 'p' denied request: "));
		CHECK(says(&f, rows[i].text));
		CHECK(says(&f, "\"reason\":\"Invalid\""));
		forget_changing(&f, "p");
		snprintf(spec, sizeof(spec),
			ON_CM ",`failurePolicy`:`Ignore`," NEVER ",`mutations`:[%s]",
			rows[i].mutation);
		CHECK_INT(changing(&f, "p", spec), 201);
		CHECK_INT(config_map(&f, "c", "`k`:`v`"), 201);
		CHECK_INT(
			call(&f, f.admin,
				&(struct client_req){CM, .verb = CLIENT_DELETE, .name = STR("c")}),
			200);
		forget_changing(&f, "p");
	}
	fx_close(&f);
}

TEST(an_atomic_list_is_not_part_of_a_configuration)
{
	struct fixture f;
	fx_open_with(&f, 5, &kinds_tables);
	CHECK_INT(
		changing(&f, "p",
			"`matchConstraints`:{`resourceRules`:[{`apiGroups`:[``],`apiVersions`:[`v1`],"
			"`resources`:[`services`],`operations`:[`CREATE`]}]}," NEVER
			",`mutations`:[" APPLY(
				"Object{spec: Object.spec{externalIPs: ['10.0.0.1']}}") "]"),
		201);
	CHECK_INT(
		call(&f, f.admin,
			&(struct client_req){CORE, .resource = STR("services"),
				.ns = STR("default"), .verb = CLIENT_CREATE,
				.body = json(
					"{`metadata`:{`name`:`s`},`spec`:{`ports`:[{`port`:80}]}}")}),
		403);
	CHECK(says(&f,
		"invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: "
		".spec.externalIPs"));
	fx_close(&f);
}

TEST(policies_see_what_those_before_them_made_and_again_if_they_want)
{
	struct fixture f;
	fx_open_with(&f, 6, &kinds_tables);
	CHECK_INT(
		changing(&f, "a",
			ON_CM ",`reinvocationPolicy`:`IfNeeded`,`mutations`:[" APPLY(
				"Object{data: {'a': has(object.data.b) ? 'saw b' : 'first'}}") "]"),
		201);
	CHECK_INT(changing(&f, "b",
			  ON_CM "," NEVER ",`mutations`:[" APPLY(
				  "Object{data: {'b': 'after ' + object.data.a}}") "]"),
		201);
	CHECK_INT(config_map(&f, "c", "`k`:`v`"), 201);
	CHECK(says(&f, "\"data\":{\"a\":\"saw b\",\"b\":\"after first\",\"k\":\"v\"}"));
	fx_close(&f);
}

TEST(conditions_and_params_are_those_of_other_policies)
{
	struct fixture f;
	fx_open_with(&f, 7, &kinds_tables);
	CHECK_INT(config_map(&f, "values", "`by`:`params`"), 201);
	CHECK_INT(make(&f, "mutatingadmissionpolicies", "p",
			  ON_CM
			  "," NEVER ",`paramKind`:{`apiVersion`:`v1`,`kind`:`ConfigMap`},"
			  "`matchConditions`:[{`name`:`c`,`expression`:`object.metadata.name != "
			  "'skip-me'`}],`mutations`:[" APPLY(
				  "Object{data: {'by': params.data.by}}") "]"),
		201);
	CHECK_INT(
		make(&f, "mutatingadmissionpolicybindings", "b",
			"`policyName`:`p`,`paramRef`:{`name`:`values`,`parameterNotFoundAction`:`Deny`}"),
		201);
	CHECK_INT(config_map(&f, "c", "`k`:`v`"), 201);
	CHECK(says(&f, "\"by\":\"params\""));
	CHECK_INT(config_map(&f, "skip-me", "`k`:`v`"), 201);
	CHECK(!strstr(f.body.data, "\"by\""));
	fx_close(&f);
}

/* What the server owns stays the server's. */
TEST(a_name_cannot_be_changed)
{
	struct fixture f;
	fx_open_with(&f, 8, &kinds_tables);
	CHECK_INT(
		changing(&f, "p",
			ON_CM "," NEVER ",`mutations`:[" APPLY(
				"Object{metadata: Object.metadata{uid: 'mine', resourceVersion: '7'}}") "]"),
		201);
	CHECK_INT(config_map(&f, "c", "`k`:`v`"), 201);
	CHECK(!strstr(f.body.data, "\"uid\":\"mine\""));
	fx_close(&f);
}
