/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Who owns which fields, through the whole pipeline. */
#include "orchestrator/api/managed.c"

#include "tests/unit/orchestrator/api/fixture.h"

#define OWNED(fields) "\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{" fields "}"

TEST(fields_are_owned_by_who_changed_them)
{
	struct fixture f;
	fx_open(&f, 6);
	CHECK_INT(create_cm(&f, "\"name\":\"a\",\"labels\":{\"l\":\"1\"}"), 201);
	CHECK(says(&f, OWNED("\"f:metadata\":{\"f:labels\":{\".\":{},\"f:l\":{}}}")));
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CM, .verb = CLIENT_PATCH_MERGE, .name = STR("a"),
				  .field_manager = STR("two"),
				  .body = STR("{\"metadata\":{\"labels\":{\"l\":\"2\"}}}")}),
		200);
	CHECK(says(&f, OWNED("\"f:metadata\":{\"f:labels\":{}}")));
	CHECK(says(&f, "\"manager\":\"two\",\"operation\":\"Update\",\"apiVersion\":\"v1\""));
	CHECK(says(&f, OWNED("\"f:metadata\":{\"f:labels\":{\"f:l\":{}}}")));
	/* who writes what is there takes nothing over, at whatever time */
	world_run(f.w, clock_mono_ns() + NS_PER_SEC, NULL,
		NULL); /* what runs beside the server has ended */
	uint64_t rev = store_rev(f.store);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CM, .verb = CLIENT_PATCH_MERGE, .name = STR("a"),
				  .field_manager = STR("three"),
				  .body = STR("{\"metadata\":{\"labels\":{\"l\":\"2\"}}}")}),
		200);
	CHECK_INT(store_rev(f.store), rev);
	/* who wants it forgets all */
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CM, .verb = CLIENT_PATCH_MERGE, .name = STR("a"),
				  .body = STR("{\"metadata\":{\"managedFields\":[{}]}}")}),
		200);
	CHECK(!says(&f, "managedFields"));
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CM, .verb = CLIENT_PATCH_MERGE, .name = STR("a"),
				  .body = STR("{\"metadata\":{\"labels\":{\"l\":\"3\"}}}")}),
		200);
	CHECK(!says(&f, "managedFields"));
	fx_close(&f);
}

TEST(owners_of_an_event_are_told_in_the_version_they_wrote)
{
	struct fixture f;
	fx_open(&f, 7);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){.group = STR("events.k8s.io"),
				  .version = STR("v1"),
				  .verb = CLIENT_CREATE,
				  .ns = STR("default"),
				  .resource = STR("events"),
				  .field_manager = STR("one"),
				  .body = STR(
					  "{\"metadata\":{\"name\":\"e\"},\"eventTime\":"
					  "\"2026-01-01T00:00:00.000000Z\",\"reportingController\":"
					  "\"a.io/b\",\"reportingInstance\":\"c\",\"action\":\"d\","
					  "\"reason\":\"e\",\"type\":\"Normal\",\"note\":\"f\","
					  "\"regarding\":{\"namespace\":\"default\"}}")}),
		201);
	CHECK(says(&f, "\"f:note\":{}"));
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CORE, .verb = CLIENT_PATCH_MERGE,
				  .ns = STR("default"), .resource = STR("events"), .name = STR("e"),
				  .field_manager = STR("two"), .body = STR("{\"message\":\"g\"}")}),
		200);
	CHECK(says(&f,
		"\"manager\":\"one\",\"operation\":\"Update\",\"apiVersion\":\"events.k8s.io/v1\""));
	CHECK(says(&f, OWNED("\"f:message\":{}")));
	CHECK(!says(&f, "\"f:note\":{}"));
	CHECK(says(&f, "\"f:regarding\":{}"));
	fx_close(&f);
}
