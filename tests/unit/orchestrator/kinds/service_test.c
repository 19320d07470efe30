/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Ports and addresses of Services, as the server gives them and takes them back. */
#include "orchestrator/kinds/service.c"

#include "orchestrator/api/api_int.h"
#include "tests/unit/orchestrator/api/fixture.h"

TEST(a_balancer_that_keeps_clients_addresses_gets_a_health_port)
{
	static const char body[] =
		"{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"type\":\"%s\",\"ports\":[{"
		"\"port\":80}]%s%s}}";
	static const char local[] = ",\"externalTrafficPolicy\":\"Local\"";
	static const struct {
		const char *name, *type, *local, *port;
		int verb, http;
		const char *says, *not ;
	} rows[] = {
		{"a", "LoadBalancer", local, "", CLIENT_CREATE, 201, "\"healthCheckNodePort\":3",
			NULL},
		{"b", "LoadBalancer", local, ",\"healthCheckNodePort\":31234", CLIENT_CREATE, 201,
			"\"healthCheckNodePort\":31234", NULL},
		{"c", "LoadBalancer", local, ",\"healthCheckNodePort\":31234", CLIENT_CREATE, 500,
			"failed to allocate requested HealthCheck NodePort 31234: provided port is already "
			"allocated",
			NULL},
		{"b", "LoadBalancer", local, "", CLIENT_UPDATE, 200,
			"\"healthCheckNodePort\":31234", NULL},
		{"b", "ClusterIP", "", "", CLIENT_UPDATE, 200, "", "healthCheckNodePort"},
		{"c", "LoadBalancer", local, ",\"healthCheckNodePort\":31234", CLIENT_CREATE, 201,
			"\"healthCheckNodePort\":31234", NULL},
	};
	struct fixture f;
	fx_open_with(&f, 3, &kinds_tables);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[512];
		snprintf(text, sizeof(text), body, rows[i].name, rows[i].type, rows[i].local,
			rows[i].port);
		CHECK_INT(write_as(&f, f.admin, rows[i].verb, "services", "default",
				  rows[i].verb == CLIENT_UPDATE ? rows[i].name : "", "", text),
			rows[i].http);
		CHECK(says(&f, rows[i].says));
		CHECK(!rows[i].not || !says(&f, rows[i].not ));
	}
	fx_close(&f);
}

static int
net(struct fixture *f, enum client_verb verb, const char *resource, const char *name,
	const char *body)
{
	return call(f, f->admin,
		&(struct client_req){.group = STR("networking.k8s.io"),
			.version = STR("v1"),
			.verb = verb,
			.resource = str_c(resource),
			.name = str_c(name),
			.body = str_c(body)});
}

TEST(an_address_of_a_service_is_an_object_as_long_as_it_is_taken)
{
	static const char body[] =
		"{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"clusterIP\":\"10.96.0.77\",\"ports\":[{"
		"\"port\":80}]}}";
	struct fixture f;
	char text[300];
	fx_open_with(&f, 4, &kinds_tables);
	snprintf(text, sizeof(text), body, "a");
	CHECK_INT(write_as(&f, f.admin, CLIENT_CREATE, "services", "default", "", "", text), 201);
	CHECK_INT(net(&f, CLIENT_GET, "ipaddresses", "10.96.0.77", ""), 200);
	CHECK(says(&f,
		"\"ipaddress.kubernetes.io/ip-family\":\"IPv4\",\"ipaddress.kubernetes.io/"
		"managed-by\":\"ipallocator.k8s.io\""));
	CHECK(says(&f,
		"\"parentRef\":{\"resource\":\"services\",\"namespace\":\"default\",\"name\":"
		"\"a\"}"));
	snprintf(text, sizeof(text), body, "b");
	CHECK_INT(write_as(&f, f.admin, CLIENT_CREATE, "services", "default", "", "", text), 422);
	CHECK(says(&f, "provided IP is already allocated"));
	CHECK_INT(write_as(&f, f.admin, CLIENT_DELETE, "services", "default", "a", "", ""), 200);
	CHECK_INT(net(&f, CLIENT_GET, "ipaddresses", "10.96.0.77", ""), 404);
	/* One that somebody else has taken by such an object is not given to a Service. */
	CHECK_INT(net(&f, CLIENT_CREATE, "ipaddresses", "",
			  "{\"metadata\":{\"name\":\"10.96.0.77\"},\"spec\":{\"parentRef\":{"
			  "\"resource\":\"x\",\"name\":\"y\"}}}"),
		201);
	CHECK_INT(write_as(&f, f.admin, CLIENT_CREATE, "services", "default", "", "", text), 422);
	CHECK(says(&f, "provided IP is already allocated"));
	fx_close(&f);
}

TEST(the_range_of_services_is_an_object_that_is_ready)
{
	struct fixture f;
	fx_open_with(&f, 5, &kinds_tables);
	CHECK_INT(net(&f, CLIENT_GET, "servicecidrs", "kubernetes", ""), 200);
	CHECK(says(&f, "\"spec\":{\"cidrs\":[\"10.96.0.0/16\"]}"));
	CHECK(says(&f, "\"type\":\"Ready\",\"status\":\"True\""));
	CHECK_INT(net(&f, CLIENT_GET, "ipaddresses", "10.96.0.1", ""), 200);
	CHECK(says(&f, "\"name\":\"kubernetes\"}"));
	fx_close(&f);
}
