/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The zone, question by question, against the Kubernetes DNS specification 1.1.0. */
#include "netstack/dns/answer.c"

#include "base/rand.h"
#include "tests/unit/netstack/dns/text.h"

static struct dns_zone *z;

static struct ip_addr
ip_of(const char *text)
{
	struct ip_addr a = {0};

	CHECK_INT(ip_parse(str_c(text), &a), 0);
	return a;
}

static void
zone_up(void)
{
	struct ip_addr server = ip_of("10.96.0.10"),
		       web[2] = {ip_of("10.96.0.7"), ip_of("fdff::7")};
	struct dns_port ports[] = {{STR("http"), IPPROTO_TCP, 80}, {STR("dns"), IPPROTO_UDP, 53},
		{STR(""), IPPROTO_TCP, 99}};
	struct dns_endpoint eps[] = {
		{.addr = ip_of("10.244.1.2"), .hostname = STR("db-0")},
		{.addr = ip_of("fd00:1::2"), .hostname = STR("db-0")},
		{.addr = ip_of("10.244.2.3")},
	};
	struct dns_zone_config c = {.domain = "cluster.local",
		.server_addrs = &server,
		.n_server_addrs = 1,
		.pod_names = true};
	struct dns_service s = {.ns = STR("shop"),
		.name = STR("web"),
		.cluster_ips = web,
		.n_cluster_ips = 2,
		.ports = ports,
		.n_ports = 3};
	struct ip_prefix range = {ip_of("10.96.0.0"), 16};

	dns_zone_free(z);
	CHECK_INT(dns_zone_new(&c, &z), 0);
	CHECK_INT(dns_zone_service_set(z, &s), 0);
	s = (struct dns_service){.ns = STR("shop"),
		.name = STR("db"),
		.headless = true,
		.ports = ports,
		.n_ports = 1,
		.endpoints = eps,
		.n_endpoints = 3};
	CHECK_INT(dns_zone_service_set(z, &s), 0);
	s = (struct dns_service){
		.ns = STR("shop"), .name = STR("out"), .external_name = STR("www.example.org")};
	CHECK_INT(dns_zone_service_set(z, &s), 0);
	s = (struct dns_service){.ns = STR("shop"),
		.name = STR("alias"),
		.external_name = STR("web.shop.svc.cluster.local")};
	CHECK_INT(dns_zone_service_set(z, &s), 0);
	s = (struct dns_service){.ns = STR("empty"), .name = STR("none"), .headless = true};
	CHECK_INT(dns_zone_service_set(z, &s), 0);
	CHECK_INT(dns_zone_reverse(z, &range), 0);
}

static uint8_t out[DNS_MSG_MAX];

static const char *
ask_as(const char *name, uint16_t type, uint16_t edns, bool tcp, int want)
{
	uint8_t q[512];
	size_t n = query_of(q, name, type, edns), got = 0;
	int code = dns_zone_answer(z, str_from((char *)q, n), tcp, true, out, sizeof(out), &got);

	if (code != want)
		TEST_FAIL_("%s: %d, not %d", name, code, want);
	if (code == 0 || code == 2)
		return "";
	CHECK_INT(dns_u16(str_from((char *)out, got), 0), 0x1234);
	return answer_text(out, got, false);
}

static const char *
ask(const char *name, uint16_t type)
{
	return ask_as(name, type, 0, false, 1);
}

#define SOA "ns cluster.local. SOA ns.dns.cluster.local.\n"

TEST(a_service_has_addresses_ports_and_reverse_names)
{
	zone_up();
	CHECK_STR(ask("web.shop.svc.cluster.local", T_A),
		"NOERROR aa ra\nan web.shop.svc.cluster.local. A 10.96.0.7\n");
	CHECK_STR(ask("WEB.Shop.svc.CLUSTER.local.", T_AAAA),
		"NOERROR aa ra\nan web.shop.svc.cluster.local. AAAA fdff::7\n");
	CHECK_STR(ask("_http._tcp.web.shop.svc.cluster.local", T_SRV),
		"NOERROR aa ra\n"
		"an _http._tcp.web.shop.svc.cluster.local. SRV 0 100 80 web.shop.svc.cluster.local.\n"
		"ar web.shop.svc.cluster.local. A 10.96.0.7\n"
		"ar web.shop.svc.cluster.local. AAAA fdff::7\n");
	CHECK_STR(ask("_dns._udp.web.shop.svc.cluster.local", T_SRV) + 14,
		"an _dns._udp.web.shop.svc.cluster.local. SRV 0 100 53 web.shop.svc.cluster.local.\n"
		"ar web.shop.svc.cluster.local. A 10.96.0.7\nar web.shop.svc.cluster.local. AAAA fdff::7\n");
	CHECK_STR(ask("7.0.96.10.in-addr.arpa", T_PTR),
		"NOERROR aa ra\nan 7.0.96.10.in-addr.arpa. PTR web.shop.svc.cluster.local.\n");
	CHECK_STR(ask("7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.f.f.d.f.ip6.arpa",
			  T_PTR) +
			14,
		"an 7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.f.f.d.f.ip6.arpa. PTR web.shop.svc.cluster.local.\n");
}

TEST(a_headless_service_is_its_endpoints)
{
	zone_up();
	CHECK_STR(ask("db.shop.svc.cluster.local", T_AAAA),
		"NOERROR aa ra\nan db.shop.svc.cluster.local. AAAA fd00:1::2\n");
	CHECK(strstr(ask("db.shop.svc.cluster.local", T_A), "A 10.244.1.2\n") != NULL);
	CHECK(strstr(ask("db.shop.svc.cluster.local", T_A), "A 10.244.2.3\n") != NULL);
	CHECK_STR(ask("db-0.db.shop.svc.cluster.local", T_A),
		"NOERROR aa ra\nan db-0.db.shop.svc.cluster.local. A 10.244.1.2\n");
	CHECK_STR(ask("db-0.db.shop.svc.cluster.local", T_AAAA),
		"NOERROR aa ra\nan db-0.db.shop.svc.cluster.local. AAAA fd00:1::2\n");
	CHECK_STR(ask("10-244-2-3.db.shop.svc.cluster.local", T_A),
		"NOERROR aa ra\nan 10-244-2-3.db.shop.svc.cluster.local. A 10.244.2.3\n");
	CHECK_STR(ask("2.1.244.10.in-addr.arpa", T_PTR),
		"NOERROR aa ra\nan 2.1.244.10.in-addr.arpa. PTR db-0.db.shop.svc.cluster.local.\n");
	const char *srv = ask("_http._tcp.db.shop.svc.cluster.local", T_SRV);
	CHECK(strstr(srv, "SRV 0 33 80 db-0.db.shop.svc.cluster.local.\n") != NULL);
	CHECK(strstr(srv, "SRV 0 33 80 10-244-2-3.db.shop.svc.cluster.local.\n") != NULL);
	CHECK(strstr(srv, "ar db-0.db.shop.svc.cluster.local. AAAA fd00:1::2\n") != NULL);
	/* one record for a host of two families */
	CHECK_INT(dns_u16(str_from((char *)out, sizeof(out)), 6), 2);
}

TEST(absent_names_and_absent_types_differ)
{
	zone_up();
	CHECK_STR(ask("nope.shop.svc.cluster.local", T_A), "NXDOMAIN aa ra\n" SOA);
	CHECK_STR(ask("web.shop.svc.cluster.local", T_MX), "NOERROR aa ra\n" SOA);
	CHECK_STR(
		ask("shop.svc.cluster.local", T_A), "NOERROR aa ra\n" SOA); /* names are below it */
	CHECK_STR(ask("_tcp.web.shop.svc.cluster.local", T_SRV), "NOERROR aa ra\n" SOA);
	CHECK_STR(ask("svc.cluster.local", T_A), "NOERROR aa ra\n" SOA);
	CHECK_STR(ask("nowhere.svc.cluster.local", T_A), "NXDOMAIN aa ra\n" SOA);
	CHECK_STR(ask("www.example.org.shop.svc.cluster.local", T_A), "NXDOMAIN aa ra\n" SOA);
	CHECK_STR(ask("7.0.96.10.in-addr.arpa", T_A), "NOERROR aa ra\n");
	/* reverse names of our ranges are ours to deny */
	CHECK_STR(ask("8.0.96.10.in-addr.arpa", T_PTR),
		"NXDOMAIN aa ra\nns in-addr.arpa. SOA ns.dns.cluster.local.\n");
	ask_as("8.0.97.10.in-addr.arpa", T_PTR, 0, false, 0);
	ask_as("www.example.org", T_A, 0, false, 0);
	ask_as("local", T_A, 0, false, 0);
	CHECK_STR(ask("none.empty.svc.cluster.local", T_A), "NXDOMAIN aa ra\n" SOA);
}

TEST(external_names_are_aliases)
{
	zone_up();
	CHECK_STR(ask("alias.shop.svc.cluster.local", T_A),
		"NOERROR aa ra\nan alias.shop.svc.cluster.local. CNAME web.shop.svc.cluster.local.\n"
		"an web.shop.svc.cluster.local. A 10.96.0.7\n");
	CHECK_STR(ask("out.shop.svc.cluster.local", T_CNAME),
		"NOERROR aa ra\nan out.shop.svc.cluster.local. CNAME www.example.org.\n");
	CHECK_STR(ask_as("out.shop.svc.cluster.local", T_A, 0, false, 3),
		"NOERROR aa ra\nan out.shop.svc.cluster.local. CNAME www.example.org.\n");
	/* a ring of them ends */
	struct dns_service s = {.ns = STR("shop"),
		.name = STR("alias"),
		.external_name = STR("alias.shop.svc.cluster.local")};
	CHECK_INT(dns_zone_service_set(z, &s), 0);
	CHECK(strncmp(ask("alias.shop.svc.cluster.local", T_A), "SERVFAIL", 8) == 0);
}

TEST(the_zones_own_names)
{
	zone_up();
	CHECK_STR(ask("dns-version.cluster.local", T_TXT),
		"NOERROR aa ra\nan dns-version.cluster.local. TXT 1.1.0\n");
	CHECK_STR(ask("cluster.local", T_SOA),
		"NOERROR aa ra\nan cluster.local. SOA ns.dns.cluster.local.\n");
	CHECK_STR(ask("cluster.local", T_NS),
		"NOERROR aa ra\nan cluster.local. NS ns.dns.cluster.local.\n");
	CHECK_STR(ask("ns.dns.cluster.local", T_A),
		"NOERROR aa ra\nan ns.dns.cluster.local. A 10.96.0.10\n");
}

TEST(pod_names_carry_their_address)
{
	zone_up();
	CHECK_STR(ask("10-244-1-2.shop.pod.cluster.local", T_A),
		"NOERROR aa ra\nan 10-244-1-2.shop.pod.cluster.local. A 10.244.1.2\n");
	CHECK_STR(ask("fd00-1--2.shop.pod.cluster.local", T_AAAA),
		"NOERROR aa ra\nan fd00-1--2.shop.pod.cluster.local. AAAA fd00:1::2\n");
	CHECK_STR(ask("10-244-1-2.shop.pod.cluster.local", T_AAAA), "NOERROR aa ra\n" SOA);
	CHECK_STR(ask("10-244-1-999.shop.pod.cluster.local", T_A), "NXDOMAIN aa ra\n" SOA);
	CHECK_STR(ask("shop.pod.cluster.local", T_A), "NOERROR aa ra\n" SOA);
	CHECK_STR(ask("a.10-244-1-2.shop.pod.cluster.local", T_A), "NXDOMAIN aa ra\n" SOA);
}

TEST(refused_and_malformed)
{
	uint8_t q[512];
	size_t n = query_of(q, "a.cluster.local", T_A, 1232), got = 0;

	zone_up();
	CHECK_STR(ask("web.shop.svc.cluster.local", T_ANY), "REFUSED\n");
	CHECK_STR(ask("www.example.org", T_ANY), "REFUSED\n");
	CHECK_STR(ask("cluster.local", T_AXFR), "REFUSED\n");
	q[n - DNS_OPT_LEN - 1] = 3; /* class CHAOS */
	CHECK_INT(
		dns_zone_answer(z, str_from((char *)q, n), false, true, out, sizeof(out), &got), 1);
	CHECK_STR(answer_text(out, got, false), "REFUSED\nar . OPT 1232\n");
	CHECK_INT(
		dns_zone_answer(z, str_from((char *)q, 5), false, true, out, sizeof(out), &got), 2);
	CHECK_INT(dns_zone_answer(z, str_from((char *)q, 20), false, true, out, sizeof(out), &got),
		1);
	CHECK_STR(answer_text(out, got, false), "FORMERR\n");
	/* without upstreams */
	n = query_of(q, "www.example.org", T_A, 0);
	CHECK_INT(dns_zone_answer(z, str_from((char *)q, n), false, false, out, sizeof(out), &got),
		1);
	CHECK_STR(answer_text(out, got, false), "REFUSED\n");
}

TEST(what_does_not_fit_is_cut_at_a_record)
{
	static struct dns_endpoint eps[200];
	struct dns_service s = {.ns = STR("shop"),
		.name = STR("many"),
		.headless = true,
		.endpoints = eps,
		.n_endpoints = 200};

	zone_up();
	for (uint32_t i = 0; i < 200; i++)
		eps[i] = (struct dns_endpoint){.addr = ip_v4(0x0af40000 + i)};
	CHECK_INT(dns_zone_service_set(z, &s), 0);
	CHECK(strncmp(ask("many.shop.svc.cluster.local", T_A), "NOERROR aa tc ra\n", 17) == 0);
	CHECK_INT(dns_u16(str_from((char *)out, 512), 6), (512 - 12 - 33) / 16);
	CHECK(strncmp(ask_as("many.shop.svc.cluster.local", T_A, 4096, false, 1),
		      "NOERROR aa tc ra\n", 17) == 0);
	CHECK(strstr(ask_as("many.shop.svc.cluster.local", T_A, 4096, false, 1), "ar . OPT 1232") !=
		NULL);
	CHECK(strncmp(ask_as("many.shop.svc.cluster.local", T_A, 0, true, 1), "NOERROR aa ra\n",
		      14) == 0);
	CHECK_INT(dns_u16(str_from((char *)out, 512), 6), 200);
}

TEST(answers_take_turns)
{
	char first[256] = "";
	unsigned changes = 0;

	zone_up();
	for (unsigned i = 0; i < 8; i++) {
		const char *text = ask("db.shop.svc.cluster.local", T_A);

		changes += i > 0 && strcmp(text, first) != 0;
		snprintf(first, sizeof(first), "%s", text);
	}
	CHECK(changes >= 3);
}

TEST(a_service_that_goes_leaves_nothing)
{
	size_t before = 0;
	struct ip_addr ip = ip_of("10.96.0.99");
	struct dns_port port = {STR("x"), IPPROTO_TCP, 1};
	struct dns_service s = {.ns = STR("other"),
		.name = STR("svc"),
		.cluster_ips = &ip,
		.n_cluster_ips = 1,
		.ports = &port,
		.n_ports = 1};

	zone_up();
	before = dns_zone_names(z);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_INT(dns_zone_service_set(z, &s), 0);
		CHECK_INT(dns_zone_service_set(z, &s), 0);
		CHECK_INT(dns_zone_names(z), before + 5); /* other, svc, _tcp, _x, the reverse */
		dns_zone_service_del(z, s.ns, s.name);
		CHECK_INT(dns_zone_names(z), before);
	}
	dns_zone_service_del(z, STR("shop"), STR("web"));
	dns_zone_service_del(z, STR("shop"), STR("db"));
	dns_zone_service_del(z, STR("shop"), STR("out"));
	dns_zone_service_del(z, STR("shop"), STR("alias"));
	dns_zone_service_del(z, STR("empty"), STR("none"));
	CHECK_STR(ask("shop.svc.cluster.local", T_A), "NXDOMAIN aa ra\n" SOA);
	dns_zone_free(z);
	z = NULL;
}

TEST(names_that_are_none_are_refused)
{
	struct dns_port port = {STR("a.b"), IPPROTO_TCP, 1};
	struct dns_service s = {.ns = STR("ns"), .name = STR("a.b")};

	zone_up();
	CHECK_INT(dns_zone_service_set(z, &s), -EINVAL);
	s.name = STR("ok");
	s.ports = &port;
	s.n_ports = 1;
	CHECK_INT(dns_zone_service_set(z, &s), -EINVAL);
	s.n_ports = 0;
	s.external_name = STR("a..b");
	CHECK_INT(dns_zone_service_set(z, &s), -EINVAL);
	dns_zone_free(z);
	z = NULL;
}

TEST(any_bytes_get_an_end)
{
	static const char *const names[] = {"db.shop.svc.cluster.local",
		"_http._tcp.db.shop.svc.cluster.local", "2.1.244.10.in-addr.arpa",
		"alias.shop.svc.cluster.local", "10-244-1-2.shop.pod.cluster.local"};

	zone_up();
	rand_set_seed(9);
	for (unsigned round = 0; round < 30000; round++) {
		uint8_t q[512];
		size_t n = query_of(q, names[round % ARRAY_LEN(names)], round % 2 ? T_A : T_SRV,
			round % 3 ? 1232 : 0);
		size_t got = 0, size = 512 + rand_below(1000);
		int code = 0;

		for (unsigned i = 0; i < round % 4; i++)
			q[rand_below(n)] = (uint8_t)rand_u64();
		code = dns_zone_answer(z, str_from((char *)q, n - rand_below(2) * rand_below(n)),
			round % 5 == 0, true, out, size, &got);
		CHECK(code >= 0 && code <= 3);
		if (code == 1 || code == 3) {
			CHECK(got <= size);
			answer_text(out, got, false);
		}
	}
	dns_zone_free(z);
	z = NULL;
}
