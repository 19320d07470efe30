/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * replay_test: when a server has gone on with what it serves by itself, so that the answer behind it is no race. */
#include "tests/oracle/replay.c"
#include "tests/unit/test.h"

#define NAMES "{\"plural\":\"widgets\",\"kind\":\"Widget\"}"
#define ACCEPTED "{\"type\":\"NamesAccepted\",\"status\":\"True\"}"
#define REFUSED "{\"type\":\"NamesAccepted\",\"status\":\"False\"}"
#define SERVED(reason) "{\"type\":\"Established\",\"reason\":\"" reason "\"}"
#define DEFINITION(status) "{\"spec\":{\"names\":" NAMES "},\"status\":{" status "}}"

static bool
settled(const char *body)
{
	struct arena *a = arena_new(0);
	struct doc *d = NULL;
	bool yes = doc_parse_json(a, str_c(body), NULL, &d, NULL) == 0 && are_settled(d);
	arena_free(a);
	return yes;
}

TEST(a_definition_is_awaited_until_its_names_are_served)
{
	CHECK(!settled(DEFINITION("")));
	CHECK(!settled(DEFINITION("\"conditions\":[" ACCEPTED "]")));
	CHECK(!settled(DEFINITION("\"acceptedNames\":" NAMES ",\"conditions\":[" ACCEPTED
				  "," SERVED("Installing") "]")));
	CHECK(settled(DEFINITION("\"acceptedNames\":" NAMES ",\"conditions\":[" ACCEPTED
				 "," SERVED("InitialNamesAccepted") "]")));
	CHECK(settled(DEFINITION("\"conditions\":[" REFUSED "," SERVED("NotAccepted") "]")));
}

TEST(a_status_that_somebody_wrote_is_awaited_until_the_server_put_it_right)
{
	CHECK(!settled(DEFINITION(
		"\"acceptedNames\":{\"plural\":\"\",\"kind\":\"\"},\"conditions\":[" ACCEPTED
		"," SERVED("InitialNamesAccepted") "]")));
}

TEST(an_api_service_is_awaited_until_it_is_said_whether_it_can_be_had)
{
	CHECK(!settled("{\"spec\":{\"group\":\"g\"},\"status\":{}}"));
	CHECK(settled(
		"{\"spec\":{\"group\":\"g\"},\"status\":{\"conditions\":[{\"type\":\"Available\"}]}}"));
}

TEST(what_goes_is_awaited_but_not_for_finalizers_of_others)
{
	CHECK(!settled("{\"metadata\":{\"deletionTimestamp\":\"t\",\"finalizers\":["
		       "\"customresourcecleanup.apiextensions.k8s.io\"]}}"));
	CHECK(settled("{\"metadata\":{\"deletionTimestamp\":\"t\",\"finalizers\":[\"a/b\"]}}"));
	CHECK(settled("{\"metadata\":{\"deletionTimestamp\":\"t\",\"finalizers\":["
		      "\"customresourcecleanup.apiextensions.k8s.io\",\"a/b\"]}}"));
}

TEST(a_list_is_awaited_until_the_last_of_it_is_done)
{
	CHECK(settled("{\"items\":[]}"));
	CHECK(!settled("{\"items\":[{\"metadata\":{\"deletionTimestamp\":\"t\",\"finalizers\":["
		       "\"customresourcecleanup.apiextensions.k8s.io\"]}}]}"));
}

TEST(only_writes_of_what_the_server_goes_on_with_are_awaited)
{
	struct oracle_step step = {.method = STR("PATCH")};
	struct replay r = {.scratch = arena_new(0), .step = &step};
	struct str crd = STR(
		"{\"kind\":\"CustomResourceDefinition\",\"metadata\":{\"name\":\"a.b\"}}");
	CHECK_STR(settling_path(&r, 200, crd),
		STR("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/a.b"));
	CHECK_STR(settling_path(&r, 200, STR("{\"kind\":\"APIServiceList\",\"items\":[]}")),
		STR("/apis/apiregistration.k8s.io/v1/apiservices"));
	CHECK(!str_is_set(settling_path(&r, 409, crd)));
	CHECK(!str_is_set(settling_path(&r, 200, STR("{\"kind\":\"Pod\"}"))));
	step.method = STR("GET");
	CHECK(!str_is_set(settling_path(&r, 200, crd)));
	arena_free(r.scratch);
}
