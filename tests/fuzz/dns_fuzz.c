/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: the name server without sockets, over arbitrary queries, and the reading of arbitrary upstream
 * answers. */
#include "netstack/dns/dns_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dns_zone *
zone(void)
{
	static struct dns_zone *z;
	struct ip_addr ip = ip_v4(0x0a600007);
	struct dns_port port = {STR("http"), 6, 80};
	struct dns_endpoint eps[] = {
		{.addr = ip_v4(0x0af40102), .hostname = STR("db-0")}, {.addr = ip_v4(0x0af40103)}};
	struct dns_zone_config c = {.domain = "cluster.local", .pod_names = true};
	struct dns_service web = {.ns = STR("a"),
		.name = STR("web"),
		.cluster_ips = &ip,
		.n_cluster_ips = 1,
		.ports = &port,
		.n_ports = 1};
	struct dns_service db = {.ns = STR("a"),
		.name = STR("db"),
		.headless = true,
		.ports = &port,
		.n_ports = 1,
		.endpoints = eps,
		.n_endpoints = 2};
	struct dns_service out = {.ns = STR("a"),
		.name = STR("out"),
		.external_name = STR("web.a.svc.cluster.local")};

	if (z == NULL) {
		BUG_ON(dns_zone_new(&c, &z) < 0);
		BUG_ON(dns_zone_service_set(z, &web) < 0 || dns_zone_service_set(z, &db) < 0 ||
			dns_zone_service_set(z, &out) < 0);
	}
	return z;
}

/* An answer of ours must be a whole message. */
static void
check(const uint8_t *p, size_t n)
{
	struct str msg = str_from((const char *)p, n);
	size_t at = DNS_HEADER;
	struct dname d;

	BUG_ON(n < DNS_HEADER || !(dns_u16(msg, 2) & DNS_QR));
	if (dns_u16(msg, 4) == 1) {
		BUG_ON(dname_parse(msg, &at, &d) < 0);
		at += 4;
	}
	for (unsigned i = dns_u16(msg, 6) + dns_u16(msg, 8) + dns_u16(msg, 10); i > 0; i--) {
		struct drr rr;

		BUG_ON(drr_parse(msg, &at, &rr) < 0);
	}
	BUG_ON(at != n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[DNS_MSG_MAX];
	struct str msg = str_from((const char *)data, size);
	struct dcached *c = NULL;
	size_t at = DNS_HEADER, n = 0;
	struct dquery q;
	struct dname name;
	int code = 0;

	for (unsigned tcp = 0; tcp < 2; tcp++) {
		code = dns_zone_answer(zone(), msg, tcp, true, out, tcp ? sizeof(out) : 1232, &n);
		if (code == 1 || code == 3)
			check(out, n);
	}
	/* the same bytes as an upstream's answer to their own question */
	if (dname_parse(msg, &at, &name) < 0)
		return 0;
	c = dcached_make(msg, &name, dns_u16(msg, at), 0, 30);
	if (c == NULL)
		return 0;
	q = (struct dquery){.name = name,
		.type = dns_u16(msg, at),
		.class = 1,
		.question_end = DNS_HEADER + name.n + 4u,
		.edns = true};
	if (at == DNS_HEADER + (size_t)name.n) {
		n = dcached_write(c, msg, &q, NS_PER_SEC, 1232, out, sizeof(out));
		if (n > 0)
			check(out, n);
	}
	dcached_free(c);
	return 0;
}
