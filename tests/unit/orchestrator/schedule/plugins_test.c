/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Rows of the scheduler's table. */
#include "orchestrator/schedule/plugins.c"

#include "tests/unit/test.h"

TEST(the_host_port_of_a_sidecar_is_taken)
{
	struct core_v1_container_port a = {.host_port = 80, .protocol = STR("TCP")}, b = a, c = a;
	struct core_v1_container main_ = {.ports = &a, .n_ports = 1},
				 init = {.ports = &b, .n_ports = 1};
	struct core_v1_pod x = {.spec = {.containers = &main_, .n_containers = 1}};
	struct core_v1_pod y = {.spec = {.init_containers = &init, .n_init_containers = 1}};
	CHECK(wants_host_port(&x) && !wants_host_port(&y));
	CHECK(!host_ports_clash(&x.spec, &y.spec)); /* ended before the pod serves */
	init.restart_policy = STR("Always");
	CHECK(wants_host_port(&y));
	CHECK(host_ports_clash(&x.spec, &y.spec) && host_ports_clash(&y.spec, &x.spec));
	b.protocol = STR("UDP");
	CHECK(!host_ports_clash(&x.spec, &y.spec));
	b = c;
	a.host_ip = STR("10.0.0.1");
	CHECK(host_ports_clash(&x.spec, &y.spec));
	b.host_ip = STR("10.0.0.2");
	CHECK(!host_ports_clash(&x.spec, &y.spec));
}
