/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Figures of the name server: CPU time of an answer from a zone of 10,000 services, without sockets. */
#include <netinet/in.h>
#include <stdio.h>
#include <time.h>

#include "netstack/dns/dns_int.h"

enum { SERVICES = 10000, ROUNDS = 2000000 };

static int64_t
cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static size_t
query(uint8_t *out, const char *name, uint16_t type)
{
	struct dout o = {.p = out, .max = 512};
	struct dname d = {0};

	dname_from_text(str_c(name), &d);
	dout_u16(&o, 1);
	dout_u16(&o, DNS_RD);
	dout_u16(&o, 1);
	dout_u32(&o, 0);
	dout_u16(&o, 1);
	dout_bytes(&o, d.b, d.n);
	dout_u16(&o, type);
	dout_u16(&o, 1);
	dout_opt(&o, false, 0);
	return o.n;
}

static void
run(struct dns_zone *z, const char *what, const char *name, uint16_t type)
{
	static uint8_t out[DNS_MSG_MAX];
	uint8_t q[512];
	size_t n = query(q, name, type), got = 0;
	int64_t start = cpu_ns();

	for (unsigned i = 0; i < ROUNDS; i++)
		dns_zone_answer(z, str_from((char *)q, n), false, true, out, sizeof(out), &got);
	printf("%-28s %6.0f ns an answer, %zu bytes\n", what, (double)(cpu_ns() - start) / ROUNDS,
		got);
}

int
main(void)
{
	struct dns_zone_config c = {.domain = "cluster.local"};
	struct dns_port port = {STR("http"), IPPROTO_TCP, 80};
	struct dns_zone *z = NULL;
	int64_t start = 0;

	if (dns_zone_new(&c, &z) < 0)
		return 1;
	start = cpu_ns();
	for (uint32_t i = 0; i < SERVICES; i++) {
		struct ip_addr ip = ip_v4(0x0a600000 + i);
		char name[32];
		struct dns_service s = {.ns = STR("shop"),
			.cluster_ips = &ip,
			.n_cluster_ips = 1,
			.ports = &port,
			.n_ports = 1};

		snprintf(name, sizeof(name), "web-%u", i);
		s.name = str_c(name);
		if (dns_zone_service_set(z, &s) < 0)
			return 1;
	}
	printf("%-28s %6.1f us a service\n", "filling the zone",
		(double)(cpu_ns() - start) / SERVICES / 1e3);
	run(z, "A", "web-77.shop.svc.cluster.local", T_A);
	run(z, "AAAA, none", "web-77.shop.svc.cluster.local", T_AAAA);
	run(z, "NXDOMAIN", "www.example.org.shop.svc.cluster.local", T_A);
	run(z, "SRV", "_http._tcp.web-77.shop.svc.cluster.local", T_SRV);
	run(z, "PTR", "77.0.96.10.in-addr.arpa", T_PTR);
	dns_zone_free(z);
	return 0;
}
