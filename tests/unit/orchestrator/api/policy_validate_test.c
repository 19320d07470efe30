/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * ValidatingAdmissionPolicies through the whole pipeline. */
#include "orchestrator/api/policy_validate.c"

#include "tests/unit/orchestrator/api/policy_fixture.h"

#define BIG "object.data.size == 'big'"

TEST(a_policy_refuses_what_its_rule_does_not_hold_for)
{
	struct fixture f;
	fx_open_with(&f, 1, &kinds_tables);
	CHECK_INT(policy_bound(&f, ON_CM "," RULE(BIG)), 201);
	CHECK_INT(config_map(&f, "a", "`size`:`big`"), 201);
	CHECK_INT(config_map(&f, "c", "`size`:`small`"), 422);
	CHECK(says(&f,
		"\"message\":\"configmaps \\\"c\\\" is forbidden: ValidatingAdmissionPolicy 'p' with "
		"binding 'b' denied request: failed expression: object.data.size == 'big'\","
		"\"reason\":\"Invalid\""));
	CHECK(says(&f, "\"causes\":[{\"message\":\"ValidatingAdmissionPolicy 'p' with binding"));
	fx_close(&f);
}

/* The next request after the write was answered is the first one. */
TEST(a_policy_holds_as_long_as_it_is_bound)
{
	struct fixture f;
	fx_open_with(&f, 2, &kinds_tables);
	CHECK_INT(policy(&f, ON_CM "," RULE("false")), 201);
	CHECK_INT(config_map(&f, "a", ""), 201);
	CHECK_INT(bind(&f), 201);
	CHECK_INT(config_map(&f, "b", ""), 422);
	CHECK_INT(forget(&f, "validatingadmissionpolicybindings", "b"), 200);
	CHECK_INT(config_map(&f, "b", ""), 201);
	CHECK_INT(bind(&f), 201);
	CHECK_INT(forget(&f, "validatingadmissionpolicies", "p"), 200);
	CHECK_INT(config_map(&f, "c", ""), 201);
	fx_close(&f);
}

TEST(a_refusal_has_the_policys_words_and_reason)
{
	static const struct {
		const char *more, *text, *reason;
		int http;
	} rows[] = {
		{"`message`:` too small `", "denied request: too small\"", "Invalid", 422},
		{"`message`:`m`,`messageExpression`:`'size ' + object.data.size`",
			"denied request: size small\"", "Invalid", 422},
		{"`message`:`m`,`messageExpression`:`'size ' + object.data.none`",
			"denied request: m\"", "Invalid", 422},
		{"`message`:`m`,`messageExpression`:`'two\\\\nlines'`", "denied request: m\"",
			"Invalid", 422},
		{"`messageExpression`:`' '`", "denied request: failed expression: " BIG, "Invalid",
			422},
		{"`reason`:`Forbidden`", "failed expression", "Forbidden", 403},
		{"`reason`:`RequestEntityTooLarge`", "failed expression", "RequestEntityTooLarge",
			413},
	};
	struct fixture f;
	char spec[512], reason[64];
	fx_open_with(&f, 3, &kinds_tables);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(spec, sizeof(spec), ON_CM ",`validations`:[{`expression`:`" BIG "`,%s}]",
			rows[i].more);
		snprintf(reason, sizeof(reason), "\"reason\":\"%s\"", rows[i].reason);
		CHECK_INT(policy_bound(&f, spec), 201);
		CHECK_INT(config_map(&f, "c", "`size`:`small`"), rows[i].http);
		CHECK(says(&f, rows[i].text));
		CHECK(says(&f, reason));
		forget_policy(&f);
	}
	fx_close(&f);
}

TEST(what_cannot_be_evaluated_goes_by_failure_policy)
{
	struct fixture f;
	fx_open_with(&f, 4, &kinds_tables);
	CHECK_INT(policy_bound(&f, ON_CM "," RULE("object.data.none == 'x'")), 201);
	CHECK_INT(config_map(&f, "a", "`size`:`big`"), 422);
	CHECK(says(&f,
		"denied request: expression 'object.data.none == 'x'' resulted in error: no such key: "
		"none"));
	forget_policy(&f);
	CHECK_INT(policy_bound(
			  &f, ON_CM ",`failurePolicy`:`Ignore`," RULE("object.data.none == 'x'")),
		201);
	CHECK_INT(config_map(&f, "a", "`size`:`big`"), 201);
	fx_close(&f);
}

TEST(expressions_see_the_request)
{
	static const char *const good[] = {
		"request.operation == 'CREATE' && request.name == object.metadata.name",
		"request.userInfo.username == 'admin' && 'system:masters' in request.userInfo.groups",
		"request.resource.resource == 'configmaps' && request.kind.kind == 'ConfigMap'",
		"request.namespace == 'default' && !request.dryRun",
		"oldObject == null",
		"namespaceObject.metadata.name == 'default'",
		"namespaceObject.status.phase == 'Active'",
		"object.kind == 'ConfigMap' && object.apiVersion == 'v1'",
		"has(object.metadata.uid) && !has(object.metadata.labels)",
	};
	struct fixture f;
	char spec[512], name[16];
	fx_open_with(&f, 5, &kinds_tables);
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		snprintf(spec, sizeof(spec), ON_CM "," RULE("%s"), good[i]);
		snprintf(name, sizeof(name), "c%zu", i);
		CHECK_INT(policy_bound(&f, spec), 201);
		if (config_map(&f, name, "`k`:`v`") != 201)
			CHECK(says(&f, good[i]) && false);
		forget_policy(&f);
	}
	fx_close(&f);
}

TEST(an_update_and_a_deletion_have_an_old_object)
{
	struct fixture f;
	fx_open_with(&f, 6, &kinds_tables);
	CHECK_INT(config_map(&f, "c", "`k`:`v`"), 201);
	CHECK_INT(
		policy_bound(&f,
			"`matchConstraints`:{`resourceRules`:[" CM_RULE("`UPDATE`,`DELETE`") "]}," RULE(
				"request.operation == 'UPDATE' ? object.data.k == oldObject.data.k : "
				"object == null && oldObject.data.k == 'x'")),
		201);
	struct client_req q = {CM, .verb = CLIENT_PATCH_MERGE, .name = STR("c"),
		.body = STR("{\"data\":{\"k\":\"w\"}}")};
	CHECK_INT(call(&f, f.admin, &q), 422);
	q.body = STR("{\"data\":{\"l\":\"w\"}}");
	CHECK_INT(call(&f, f.admin, &q), 200);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CM, .verb = CLIENT_DELETE, .name = STR("c")}),
		422);
	fx_close(&f);
}

TEST(variables_are_made_of_those_before_them)
{
	struct fixture f;
	fx_open_with(&f, 7, &kinds_tables);
	CHECK_INT(policy_bound(&f,
			  ON_CM ",`variables`:[{`name`:`n`,`expression`:`size(object.data)`},"
				"{`name`:`odd`,`expression`:`variables.n % 2 == 1`},"
				"{`name`:`bad`,`expression`:`object.data.none`}]," RULE(
					"variables.odd || variables.bad == 'x'")),
		201);
	CHECK_INT(config_map(&f, "a", "`k`:`v`"), 201);
	CHECK_INT(config_map(&f, "b", "`k`:`v`,`l`:`w`"), 422);
	CHECK(says(&f, "composited variable \\\"bad\\\" fails to evaluate: no such key: none"));
	fx_close(&f);
}

TEST(conditions_decide_whether_a_policy_is_asked)
{
	static const char spec[] = ON_CM
		",`failurePolicy`:`%s`,`matchConditions`:[{`name`:`c`,`expression`:`object.data.ask "
		"== 'yes'`}]," RULE("false");
	struct fixture f;
	char text[512];
	fx_open_with(&f, 8, &kinds_tables);
	snprintf(text, sizeof(text), spec, "Fail");
	CHECK_INT(policy_bound(&f, text), 201);
	CHECK_INT(config_map(&f, "a", "`ask`:`no`"), 201);
	CHECK_INT(config_map(&f, "b", "`ask`:`yes`"), 422);
	CHECK(says(&f, "denied request: failed expression: false"));
	CHECK_INT(config_map(&f, "b", "`k`:`v`"), 422);
	CHECK(says(&f, "resulted in error: no such key: ask"));
	forget_policy(&f);
	snprintf(text, sizeof(text), spec, "Ignore");
	CHECK_INT(policy_bound(&f, text), 201);
	CHECK_INT(config_map(&f, "b", "`k`:`v`"), 201);
	CHECK_INT(config_map(&f, "c", "`ask`:`yes`"), 422);
	fx_close(&f);
}

TEST(rules_and_selectors_say_what_a_policy_is_about)
{
	static const struct {
		const char *match, *binding;
		int http;
	} rows[] = {
		{"`resourceRules`:[" CM_RULE("`CREATE`") "]", "", 422},
		{"`resourceRules`:[" CM_RULE("`UPDATE`") "]", "", 201},
		{"`resourceRules`:[" CM_RULE("`*`") "],`excludeResourceRules`:[" CM_RULE(
			 "`CREATE`") "]",
			"", 201},
		{"`resourceRules`:[" CM_RULE("`*`") "],`objectSelector`:{`matchLabels`:{`a`:`b`}}",
			"", 422},
		{"`resourceRules`:[" CM_RULE("`*`") "],`objectSelector`:{`matchLabels`:{`a`:`c`}}",
			"", 201},
		{"`resourceRules`:[" CM_RULE("`*`") "],`namespaceSelector`:{`matchLabels`:{"
						    "`kubernetes.io/metadata.name`:`default`}}",
			"", 422},
		{"`resourceRules`:[" CM_RULE("`*`") "],`namespaceSelector`:{`matchLabels`:{"
						    "`kubernetes.io/metadata.name`:`other`}}",
			"", 201},
		{"`resourceRules`:[" CM_RULE("`*`") "]",
			",`matchResources`:{`objectSelector`:{`matchLabels`:{`a`:`b`}}}", 422},
		{"`resourceRules`:[" CM_RULE("`*`") "]",
			",`matchResources`:{`objectSelector`:{`matchLabels`:{`a`:`c`}}}", 201},
		{"`resourceRules`:[" CM_RULE("`*`") "]",
			",`matchResources`:{`resourceRules`:[" CM_RULE("`UPDATE`") "]}", 201},
		{"`resourceRules`:[{`resourceNames`:[`x`],`apiGroups`:[``],`apiVersions`:[`*`],"
		 "`resources`:[`*`],`operations`:[`*`]}]",
			"", 201},
	};
	struct fixture f;
	char spec[1024], name[16];
	fx_open_with(&f, 9, &kinds_tables);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(spec, sizeof(spec), "`matchConstraints`:{%s}," RULE("false"),
			rows[i].match);
		snprintf(name, sizeof(name), "c%zu", i);
		CHECK_INT(policy(&f, spec), 201);
		CHECK_INT(bind_more(&f, rows[i].binding), 201);
		int http = config_map_as(&f, f.admin, name, ",`labels`:{`a`:`b`}", "");
		if (http != rows[i].http)
			printf("     row %zu\n", i);
		CHECK_INT(http, rows[i].http);
		forget_policy(&f);
	}
	fx_close(&f);
}

/* An object is known in other versions: the policy sees the one it names. */
TEST(a_policy_sees_the_version_it_names)
{
	struct fixture f;
	fx_open_with(&f, 10, &kinds_tables);
	CHECK_INT(
		policy_bound(&f,
			"`matchConstraints`:{`resourceRules`:[{`apiGroups`:[`events.k8s.io`],"
			"`apiVersions`:[`v1`],`resources`:[`events`],`operations`:[`CREATE`]}]}," RULE(
				"object.apiVersion == 'events.k8s.io/v1' && object.note == 'good'")),
		201);
	struct client_req q = {CORE, .resource = STR("events"), .ns = STR("default"),
		.verb = CLIENT_CREATE,
		.body = STR("{\"metadata\":{\"name\":\"e\"},\"involvedObject\":{\"namespace\":"
			    "\"default\"},\"message\":\"bad\"}")};
	CHECK_INT(call(&f, f.admin, &q), 422);
	q.body = STR(
		"{\"metadata\":{\"name\":\"e\"},\"involvedObject\":{\"namespace\":\"default\"},"
		"\"message\":\"good\"}");
	CHECK_INT(call(&f, f.admin, &q), 201);
	fx_close(&f);
}

#define PARAMS                                                                                     \
	ON_CM ",`paramKind`:{`apiVersion`:`v1`,`kind`:`ConfigMap`}," RULE(                         \
		"params == null || object.metadata.name == 'limits' || "                           \
		"int(object.data.size) <= int(params.data.max)")

TEST(params_are_the_objects_the_binding_names)
{
	struct fixture f;
	fx_open_with(&f, 11, &kinds_tables);
	CHECK_INT(config_map(&f, "limits", "`max`:`3`"), 201);
	CHECK_INT(policy(&f, PARAMS), 201);
	CHECK_INT(bind_more(&f, ",`paramRef`:{`name`:`limits`,`parameterNotFoundAction`:`Deny`}"),
		201);
	CHECK_INT(config_map(&f, "a", "`size`:`3`"), 201);
	CHECK_INT(config_map(&f, "b", "`size`:`4`"), 422);
	forget_policy(&f);
	CHECK_INT(policy(&f, PARAMS), 201);
	CHECK_INT(
		bind_more(&f, ",`paramRef`:{`name`:`none`,`parameterNotFoundAction`:`Deny`}"), 201);
	CHECK_INT(config_map(&f, "b", "`size`:`4`"), 422);
	CHECK(says(&f,
		"denied request: failed to configure binding: no params found for policy binding with "
		"`Deny` parameterNotFoundAction"));
	forget_policy(&f);
	CHECK_INT(policy(&f, PARAMS), 201);
	CHECK_INT(bind_more(&f, ",`paramRef`:{`name`:`none`,`parameterNotFoundAction`:`Allow`}"),
		201);
	CHECK_INT(config_map(&f, "b", "`size`:`4`"), 201);
	forget_policy(&f);
	CHECK_INT(policy(&f, PARAMS), 201); /* a binding without paramRef: null */
	CHECK_INT(bind(&f), 201);
	CHECK_INT(config_map(&f, "d", "`size`:`4`"), 201);
	fx_close(&f);
}

TEST(params_by_selector_are_all_asked)
{
	struct fixture f;
	fx_open_with(&f, 12, &kinds_tables);
	CHECK_INT(config_map_as(&f, f.admin, "x", ",`labels`:{`limit`:`yes`}", "`max`:`9`"), 201);
	CHECK_INT(config_map_as(&f, f.admin, "y", ",`labels`:{`limit`:`yes`}", "`max`:`3`"), 201);
	CHECK_INT(policy(&f, PARAMS), 201);
	CHECK_INT(bind_more(&f,
			  ",`paramRef`:{`selector`:{`matchLabels`:{`limit`:`yes`}},"
			  "`parameterNotFoundAction`:`Deny`}"),
		201);
	CHECK_INT(config_map(&f, "a", "`size`:`3`"), 201);
	CHECK_INT(config_map(&f, "b", "`size`:`4`"), 422);
	fx_close(&f);
}

TEST(a_policy_of_params_nobody_knows_refuses)
{
	struct fixture f;
	fx_open_with(&f, 13, &kinds_tables);
	CHECK_INT(
		policy(&f,
			ON_CM ",`paramKind`:{`apiVersion`:`x.example.com/v1`,`kind`:`Limit`}," RULE(
				"true")),
		201);
	CHECK_INT(bind_more(&f, ",`paramRef`:{`name`:`l`,`parameterNotFoundAction`:`Allow`}"), 201);
	CHECK_INT(config_map(&f, "a", ""), 422);
	CHECK(says(&f,
		"ValidatingAdmissionPolicy 'p' denied request: failed to configure policy: failed to "
		"find resource referenced by paramKind: 'x.example.com/v1, Kind=Limit'"));
	fx_close(&f);
}

TEST(expressions_ask_the_authorizer)
{
	struct fixture f;
	fx_open_with(&f, 14, &kinds_tables);
	struct client *user = client_as(&f, "jane", "");
	CHECK_INT(
		call(&f, f.admin,
			&(struct client_req){.group = STR("rbac.authorization.k8s.io"),
				.version = STR("v1"),
				.resource = STR("roles"),
				.ns = STR("default"),
				.verb = CLIENT_CREATE,
				.body = json("{`metadata`:{`name`:`r`},`rules`:[{`apiGroups`:[``],"
					     "`resources`:[`configmaps`],`verbs`:[`create`]}]}")}),
		201);
	CHECK_INT(
		call(&f, f.admin,
			&(struct client_req){.group = STR("rbac.authorization.k8s.io"),
				.version = STR("v1"),
				.resource = STR("rolebindings"),
				.ns = STR("default"),
				.verb = CLIENT_CREATE,
				.body = json("{`metadata`:{`name`:`r`},`roleRef`:{`apiGroup`:`"
					     "rbac.authorization.k8s.io`,`kind`:`Role`,`name`:`r`},"
					     "`subjects`:[{`kind`:`User`,`apiGroup`:`"
					     "rbac.authorization.k8s.io`,`name`:`jane`}]}")}),
		201);
	CHECK_INT(policy_bound(&f,
			  ON_CM
			  "," RULE("authorizer.requestResource.check('create').allowed() && "
				   "authorizer.group('').resource('secrets').namespace('default')"
				   ".check('get').allowed()")),
		201);
	CHECK_INT(config_map(&f, "a", ""), 201);
	CHECK_INT(config_map_as(&f, user, "b", "", ""), 422);
	forget_policy(&f);
	CHECK_INT(policy_bound(&f,
			  ON_CM "," RULE("authorizer.requestResource.check('create').allowed() && "
					 "!authorizer.requestResource.check('delete').allowed()")),
		201);
	CHECK_INT(config_map_as(&f, user, "b", "", ""), 201);
	client_free(user);
	fx_close(&f);
}

TEST(policies_are_not_about_policies)
{
	struct fixture f;
	fx_open_with(&f, 15, &kinds_tables);
	CHECK_INT(
		policy_bound(&f,
			"`matchConstraints`:{`resourceRules`:[{`apiGroups`:[`*`],`apiVersions`:[`*`"
			"],`resources`:[`*`],`operations`:[`*`]}]}," RULE("false")),
		201);
	CHECK_INT(config_map(&f, "a", ""), 422);
	forget_policy(&f);
	CHECK_INT(config_map(&f, "a", ""), 201);
	fx_close(&f);
}

TEST(an_annotation_that_cannot_be_made_refuses)
{
	struct fixture f;
	fx_open_with(&f, 16, &kinds_tables);
	CHECK_INT(
		policy_bound(&f,
			ON_CM ",`auditAnnotations`:[{`key`:`k`,`valueExpression`:`has(object.data) "
			      "? string(object.data.note) : 'none'`}]"),
		201);
	CHECK_INT(config_map(&f, "a", "`note`:`x`"), 201);
	CHECK_INT(config_map(&f, "b", "`k`:`x`"), 422);
	CHECK(says(&f, "resulted in error: no such key: note"));
	fx_close(&f);
}
