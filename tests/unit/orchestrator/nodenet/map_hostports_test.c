/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Which ports of the node lead to a pod. */
#include "orchestrator/nodenet/map_hostports.c"

#include "tests/unit/test.h"

static struct ip_addr ips[2] = {{4, {10, 244, 0, 5}}, {6, {0xfd, [15] = 5}}};

static const char *
text_of(const struct proxy_hostport *h)
{
	static char text[4 * IP_TEXT_MAX];
	char host[IP_TEXT_MAX] = "-", v4[IP_TEXT_MAX] = "-", v6[IP_TEXT_MAX] = "-";
	if (ip_is_set(&h->host_ip))
		ip_format(&h->host_ip, host);
	if (ip_is_set(&h->pod4))
		ip_format(&h->pod4, v4);
	if (ip_is_set(&h->pod6))
		ip_format(&h->pod6, v6);
	snprintf(text, sizeof(text), "%u %s:%u > %s %s :%u", h->proto, host, h->host_port, v4, v6,
		h->pod_port);
	return text;
}

TEST(host_ports_of_containers_and_sidecars)
{
	struct core_v1_container_port web[] = {
		{.container_port = 80, .host_port = 8080, .protocol = STR("TCP")},
		{.container_port = 81, .protocol = STR("TCP")},
		{.container_port = 53,
			.host_port = 53,
			.protocol = STR("UDP"),
			.host_ip = STR("0.0.0.0")},
		{.container_port = 7,
			.host_port = 7,
			.protocol = STR("SCTP"),
			.host_ip = STR("fd77::11")},
		{.container_port = 8, .host_port = 70000},
		{.container_port = 9, .host_port = 9, .host_ip = STR("x")},
	};
	struct core_v1_container_port side = {
		.container_port = 90, .host_port = 91, .host_ip = STR("::")};
	struct core_v1_container main = {.ports = web, .n_ports = ARRAY_LEN(web)};
	struct core_v1_container inits[2] = {
		{.ports = web, .n_ports = 1}, /* not there when the pod serves */
		{.ports = &side, .n_ports = 1, .restart_policy = STR("Always")},
	};
	struct core_v1_pod_spec s = {.containers = &main,
		.n_containers = 1,
		.init_containers = inits,
		.n_init_containers = 2};
	struct arena *a = arena_new(0);
	struct proxy_hostport *out = NULL;
	size_t n = 0;
	CHECK_INT(map_hostports(a, &s, ips, 2, &out, &n), 0);
	CHECK_INT(n, 4);
	CHECK_STR(text_of(&out[0]), "6 :::91 > - fd00::5 :90");
	CHECK_STR(text_of(&out[1]), "6 -:8080 > 10.244.0.5 fd00::5 :80");
	CHECK_STR(text_of(&out[2]), "17 0.0.0.0:53 > 10.244.0.5 - :53");
	CHECK_STR(text_of(&out[3]), "132 fd77::11:7 > - fd00::5 :7");
	s.host_network = true; /* it binds them itself */
	CHECK_INT(map_hostports(a, &s, ips, 2, &out, &n), 0);
	CHECK_INT(n, 0);
	arena_free(a);
}
