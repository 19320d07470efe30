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
