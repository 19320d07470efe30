/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * A zone's services as bytes and back: the same answers, and nothing of bytes that are not whole. */
#include "netstack/dns/zone_save.c"

#include <netinet/in.h>

#include "tests/unit/netstack/dns/text.h"

static struct dns_zone *
zone_new(const char *domain)
{
	struct dns_zone_config c = {.domain = domain};
	struct dns_zone *z = NULL;

	CHECK_INT(dns_zone_new(&c, &z), 0);
	return z;
}

static struct dns_zone *
zone_full(void)
{
	struct dns_zone *z = zone_new("cluster.local");
	struct ip_addr web[2] = {ip_v4(0x0a600007), ip_v4(0x0a600008)};
	struct dns_port port = {STR("http"), IPPROTO_TCP, 80};
	struct dns_endpoint eps[2] = {
		{.addr = ip_v4(0x0af40102), .hostname = STR("db-0")}, {.addr = ip_v4(0x0af40203)}};
	struct dns_service all[] = {
		{.ns = STR("shop"),
			.name = STR("web"),
			.cluster_ips = web,
			.n_cluster_ips = 2,
			.ports = &port,
			.n_ports = 1},
		{.ns = STR("shop"),
			.name = STR("db"),
			.headless = true,
			.ports = &port,
			.n_ports = 1,
			.endpoints = eps,
			.n_endpoints = 2},
		{.ns = STR("shop"), .name = STR("out"), .external_name = STR("www.example.org")},
		{.ns = STR("other"), .name = STR("none"), .headless = true},
	};

	CHECK_INT(ip_parse(STR("fdff::7"), &web[1]), 0);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		CHECK_INT(dns_zone_service_set(z, &all[i]), 0);
	return z;
}

static const char *
ask(struct dns_zone *z, const char *name, uint16_t type)
{
	static uint8_t out[DNS_MSG_MAX];
	uint8_t q[512];
	size_t n = query_of(q, name, type, 0), got = 0;

	dns_zone_answer(z, str_from((char *)q, n), false, true, out, sizeof(out), &got);
	return answer_text(out, got, false);
}

static void
count_service(void *arg, struct str ns, struct str name)
{
	(void)ns, (void)name;
	++*(unsigned *)arg;
}

static unsigned
services(struct dns_zone *z)
{
	unsigned n = 0;

	dns_zone_services(z, count_service, &n);
	return n;
}

TEST(a_zone_that_was_read_answers_as_the_one_that_was_written)
{
	static const struct {
		const char *name;
		uint16_t type;
	} asked[] = {
		{"web.shop.svc.cluster.local", T_A},
		{"web.shop.svc.cluster.local", T_AAAA},
		{"web.shop.svc.cluster.local", T_MX},
		{"_http._tcp.web.shop.svc.cluster.local", T_SRV},
		{"7.0.96.10.in-addr.arpa", T_PTR},
		{"db.shop.svc.cluster.local", T_A},
		{"db-0.db.shop.svc.cluster.local", T_A},
		{"10-244-2-3.db.shop.svc.cluster.local", T_A},
		{"_http._tcp.db.shop.svc.cluster.local", T_SRV},
		{"2.1.244.10.in-addr.arpa", T_PTR},
		{"out.shop.svc.cluster.local", T_CNAME},
		{"none.other.svc.cluster.local", T_A},
		{"nope.shop.svc.cluster.local", T_A},
		{"cluster.local", T_NS},
	};
	_cleanup_buf_ struct buf b = BUF_INIT, again = BUF_INIT;
	struct dns_zone *z = zone_full(), *y = zone_new("cluster.local");

	dns_zone_save(z, &b);
	CHECK(!b.failed);
	CHECK_INT(dns_zone_load(y, buf_view(&b)), 0);
	CHECK_INT(services(y), 4);
	CHECK_INT(dns_zone_names(y), dns_zone_names(z));
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		char was[4096];

		str_copy_c(str_c(ask(z, asked[i].name, asked[i].type)), was, sizeof(was));
		CHECK_STR(ask(y, asked[i].name, asked[i].type), was);
	}
	/* and goes as it came */
	dns_zone_service_del(y, STR("shop"), STR("web"));
	CHECK(strstr(ask(y, "web.shop.svc.cluster.local", T_A), "NXDOMAIN") != NULL);
	dns_zone_service_del(z, STR("shop"), STR("web"));
	CHECK_INT(dns_zone_names(y), dns_zone_names(z));
	dns_zone_free(y);
	y = zone_new("cluster.local");
	CHECK_INT(dns_zone_load(y, buf_view(&b)), 0);
	dns_zone_save(y, &again);
	CHECK(!again.failed);
	CHECK_INT(again.len, b.len);
	dns_zone_free(y);
	dns_zone_free(z);
}

TEST(an_empty_zone_is_read_too)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct dns_zone *z = zone_new("cluster.local");

	dns_zone_save(z, &b);
	CHECK_INT(dns_zone_load(z, buf_view(&b)), 0);
	CHECK_INT(services(z), 0);
	dns_zone_free(z);
}

TEST(of_bytes_that_are_not_whole_nothing_is_taken)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct dns_zone *z = zone_full(), *y = zone_new("cluster.local"),
			*other = zone_new("cluster.example");

	dns_zone_save(z, &b);
	for (size_t n = 0; n < b.len; n++) {
		if (dns_zone_load(y, str_sub(buf_view(&b), 0, n)) != -EBADMSG)
			TEST_FAIL_("%zu of %zu bytes were taken", n, b.len);
		CHECK_INT(services(y), 0);
	}
	CHECK_INT(dns_zone_load(other, buf_view(&b)), -EBADMSG);
	buf_char(&b, 0);
	CHECK_INT(dns_zone_load(y, buf_view(&b)), -EBADMSG);
	CHECK_INT(services(y), 0);
	CHECK(strstr(ask(y, "web.shop.svc.cluster.local", T_A), "NXDOMAIN") != NULL);
	dns_zone_free(z);
	dns_zone_free(y);
	dns_zone_free(other);
}
