/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Endpoints that somebody wrote, and the EndpointSlices that are made of them, on virtual time. */
#include "orchestrator/control/control.h"

extern const struct controller endpointslicemirroring_controller;
static const struct controller *const table[] = {&endpointslicemirroring_controller, NULL};

#include "tests/sim/play.h"

#define SERVICE(spec)                                                                              \
	{                                                                                          \
		CLIENT_CREATE, "services", "default", "",                                          \
			"{\"metadata\":{\"name\":\"s\"},\"spec\":{\"ports\":[{\"port\":80}]" spec  \
			"}}",                                                                      \
			-1, 201, NULL, 0                                                           \
	}
#define ENDPOINTS(meta, subsets)                                                                   \
	CLIENT_CREATE, "endpoints", "default", "",                                                 \
		"{\"metadata\":{\"name\":\"s\"" meta "},\"subsets\":[" subsets "]}", -1, 201, NULL
#define CHANGE(subsets)                                                                            \
	CLIENT_PATCH_MERGE, "endpoints", "default", "s", "{\"subsets\":[" subsets "]}", -1, 200,   \
		NULL
#define LIST CLIENT_LIST, "endpointslices", "default", "", NULL, -1, 200
#define IPS(a) "{\"addresses\":[{\"ip\":\"" a "\"}],\"ports\":[{\"port\":80}]}"

TEST(custom_endpoints_are_mirrored_through_create_update_and_delete)
{
	static const struct act acts[] = {SERVICE(""),
		{ENDPOINTS(",\"labels\":{\"x\":\"y\"},\"annotations\":{\"n\":\"m\"}",
			 IPS("10.1.2.3")),
			2},
		{LIST,
			"\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":[\"10.1.2.3\"],"
			"\"conditions\":{\"ready\":true}}],\"ports\":[{\"name\":\"\",\"protocol\":"
			"\"TCP\",\"port\":80}]",
			0},
		{LIST,
			"\"labels\":{\"endpointslice.kubernetes.io/managed-by\":"
			"\"endpointslicemirroring-controller.k8s.io\",\"kubernetes.io/"
			"service-name\":\"s\",\"x\":\"y\"},\"annotations\":{\"n\":\"m\"}",
			0},
		{CHANGE(IPS("10.2.3.4")), 2}, {LIST, "[\"10.2.3.4\"]", 0}, {LIST, "!10.1.2.3", 0},
		{LIST, "\"generation\":2", 0},
		{CLIENT_DELETE, "endpoints", "default", "s", NULL, -1, 200, NULL, 2},
		{LIST, "\"items\":[]", 0}};
	PLAY(0, acts);
}

TEST(ports_with_the_same_addresses_are_of_one_slice)
{
	static const struct act acts[] = {SERVICE(""),
		{ENDPOINTS("",
			 "{\"addresses\":[{\"ip\":\"10.0.0.1\"},{\"ip\":\"fd00::1\"}],\"ports\":[{"
			 "\"name\":\"a\",\"port\":80}]},{\"notReadyAddresses\":[{\"ip\":\"fd00::1\"}],"
			 "\"addresses\":[{\"ip\":\"10.0.0.1\"}],\"ports\":[{\"name\":\"b\",\"port\":81}]}"),
			2},
		/* of b one address is not ready: it is a set of its own */
		{LIST, "\"ports\":[{\"name\":\"b\",\"protocol\":\"TCP\",\"port\":81}]", 0},
		{CHANGE("{\"addresses\":[{\"ip\":\"10.0.0.1\"},{\"ip\":\"fd00::1\"}],\"ports\":[{"
			"\"name\":\"a\",\"port\":80}]},{\"addresses\":[{\"ip\":\"fd00::1\"},{\"ip\":"
			"\"10.0.0.1\"}],\"ports\":[{\"name\":\"b\",\"port\":81}]}"),
			2},
		{LIST,
			"\"addressType\":\"IPv6\",\"endpoints\":[{\"addresses\":[\"fd00::1\"],"
			"\"conditions\":{\"ready\":true}}],\"ports\":[{\"name\":\"a\",\"protocol\":"
			"\"TCP\",\"port\":80},{\"name\":\"b\",\"protocol\":\"TCP\",\"port\":81}]",
			0},
		{LIST, "!\"ports\":[{\"name\":\"b\"", 0}};
	PLAY(0, acts);
}

TEST(what_is_not_to_be_mirrored_is_not)
{
	static const struct act acts[] = {SERVICE(""),
		{ENDPOINTS(",\"labels\":{\"endpointslice.kubernetes.io/skip-mirror\":\"true\"}",
			 IPS("10.1.2.3")),
			2},
		{LIST, "\"items\":[]", 0},
		{CLIENT_PATCH_MERGE, "endpoints", "default", "s",
			"{\"metadata\":{\"labels\":null}}", -1, 200, NULL, 2},
		{LIST, "[\"10.1.2.3\"]", 0},
		/* the Service selects pods from now on: its slices are another controller's */
		{CLIENT_PATCH_MERGE, "services", "default", "s",
			"{\"spec\":{\"selector\":{\"a\":\"b\"}}}", -1, 200, NULL, 2},
		{LIST, "\"items\":[]", 0}};
	PLAY(0, acts);
}
