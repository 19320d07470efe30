/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Expressions of policies when they are written, and against the types they are about. */
#include "orchestrator/api/policy_types.c"

#include "orchestrator/api/policy_control.h"
#include "tests/unit/orchestrator/api/policy_fixture.h"

TEST(expressions_that_are_wrong_are_refused)
{
	static const struct {
		const char *spec, *text;
	} rows[] = {
		{RULE("object.x +"),
			"spec.validations[0].expression: Invalid value: \\\"object.x +\\\": compilation "
			"failed: ERROR: <input>:1:11: Syntax error: mismatched input '<EOF>' expecting"},
		{RULE("1"),
			"spec.validations[0].expression: Invalid value: \\\"1\\\": must evaluate to bool "
			"but got int"},
		{RULE("object.x"), "must evaluate to bool but got dyn"},
		{RULE("nobody == 1"),
			"compilation failed: ERROR: <input>:1:1: undeclared reference to 'nobody' (in "
			"container '')\\n | nobody == 1\\n | ^"},
		{RULE("params == null"), "undeclared reference to 'params'"},
		{RULE("variables.x == 1"), "undeclared reference to 'variables'"},
		{"`variables`:[{`name`:`x`,`expression`:`1`}]," RULE("variables.y == 1"),
			"undefined field 'y'"},
		{"`variables`:[{`name`:`x`,`expression`:`1`}]," RULE("variables.x == 'a'"),
			"found no matching overload for '_==_' applied to '(int, string)'"},
		{"`variables`:[{`name`:`in`,`expression`:`1`}]," RULE("true"),
			"spec.variables[0].name: Invalid value: \\\"in\\\": must be a valid CEL "
			"identifier"},
		{"`validations`:[{`expression`:`true`,`messageExpression`:`1`}]",
			"spec.validations[0].messageExpression: Invalid value: \\\"1\\\": must evaluate "
			"to string but got int"},
		{"`validations`:[{`expression`:`true`,`messageExpression`:`string("
		 "authorizer.requestResource.check('get').allowed())`}]",
			"undeclared reference to 'authorizer'"},
		{"`auditAnnotations`:[{`key`:`k`,`valueExpression`:`1`}]",
			"spec.auditAnnotations[0].valueExpression: Invalid value: \\\"1\\\": must "
			"evaluate to one of [string null_type] but got int"},
		{"`matchConditions`:[{`name`:`c`,`expression`:`2`}]," RULE("true"),
			"spec.matchConditions[0].expression: Invalid value: \\\"2\\\": must evaluate to "
			"bool but got int"},
	};
	struct fixture f;
	char spec[1024];
	fx_open_with(&f, 1, &kinds_tables);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(spec, sizeof(spec), ON_CM ",%s", rows[i].spec);
		CHECK_INT(policy(&f, spec), 422);
		CHECK(says(&f, rows[i].text));
	}
	fx_close(&f);
}

TEST(changes_must_be_of_their_type)
{
	static const struct {
		const char *mutation, *text;
	} rows[] = {
		{"{`patchType`:`ApplyConfiguration`,`applyConfiguration`:{`expression`:`{'a': 'b'}`}}",
			"spec.mutations[0].applyConfiguration.expression: Invalid value: \\\"{'a': "
			"'b'}\\\": must evaluate to Object but got map(string, string)"},
		{"{`patchType`:`JSONPatch`,`jsonPatch`:{`expression`:`['a']`}}",
			"must evaluate to list(JSONPatch) but got list(string)"},
		{"{`patchType`:`JSONPatch`,`applyConfiguration`:{`expression`:`Object{}`}}",
			"spec.mutations[0].jsonPatch: Required value: must be specified when patchType is "
			"JSONPatch"},
		{"{`patchType`:`JSONPatch`,`applyConfiguration`:{`expression`:`Object{}`}}",
			"spec.mutations[0].applyConfiguration: Invalid value: "
			"\\\"{applyConfiguration}\\\": must not be specified when patchType is "
			"JSONPatch"},
	};
	struct fixture f;
	char spec[1024];
	fx_open_with(&f, 2, &kinds_tables);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(spec, sizeof(spec), ON_CM ",`reinvocationPolicy`:`Never`,`mutations`:[%s]",
			rows[i].mutation);
		CHECK_INT(make(&f, "mutatingadmissionpolicies", "p", spec), 422);
		CHECK(says(&f, rows[i].text));
	}
	fx_close(&f);
}

/* ---- types ----------------------------------------------------------------------------------------- */

/* observed: the policy p is read until its generation was looked at. */
static bool
observed(struct fixture *f, const char *generation)
{
	char text[64];
	snprintf(text, sizeof(text), "\"observedGeneration\":%s", generation);
	for (int i = 0; i < 50; i++) {
		call(f, f->admin,
			&(struct client_req){ADMISSION, .verb = CLIENT_GET,
				.resource = STR("validatingadmissionpolicies"), .name = STR("p")});
		if (strstr(f->body.data, text))
			return true;
		world_run(f->w, clock_mono_ns() + 100 * NS_PER_MS, NULL, NULL);
	}
	return says(f, text);
}

#define ON_DEPLOYMENTS                                                                             \
	"`matchConstraints`:{`resourceRules`:[{`apiGroups`:[`apps`],`apiVersions`:[`v1`],"         \
	"`resources`:[`deployments`],`operations`:[`CREATE`]}]},"

TEST(a_status_says_what_does_not_fit_the_types)
{
	struct fixture f;
	struct policy_control *k = NULL;
	fx_open_with(&f, 3, &kinds_tables);
	CHECK_INT(policy_control_new(f.s, f.admin, f.loop, &k), 0);
	CHECK_INT(
		policy(&f,
			ON_DEPLOYMENTS
			"`validations`:[{`expression`:`object.spec.replicas > '1'`,"
			"`messageExpression`:`'wants replicas > 1, got ' + object.spec.replicas`}]"),
		201);
	CHECK(observed(&f, "1"));
	CHECK(says(&f, "\"fieldRef\":\"spec.validations[0].expression\""));
	CHECK(says(&f, "\"warning\":\"apps/v1, Kind=Deployment: ERROR: "));
	CHECK(says(&f, "found no matching overload for '_>_' applied to '(int, string)'"));
	CHECK(says(&f, "\"fieldRef\":\"spec.validations[0].messageExpression\""));
	CHECK(says(&f, "applied to '(string, int)'"));
	CHECK_INT(
		call(&f, f.admin,
			&(struct client_req){ADMISSION, .verb = CLIENT_PATCH_MERGE,
				.resource = STR("validatingadmissionpolicies"), .name = STR("p"),
				.body = json(
					"{`spec`:{`validations`:[{`expression`:`object.spec.replicas "
					"> 1`}]}}")}),
		200);
	CHECK(observed(&f, "2"));
	CHECK(says(&f, "\"typeChecking\":{}"));
	policy_control_free(k);
	fx_close(&f);
}
