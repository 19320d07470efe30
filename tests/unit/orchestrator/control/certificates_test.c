/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Which requests for certificates are approved by themselves. */
#include "orchestrator/control/certificates.c"

#include "tests/unit/orchestrator/nodenet/fake.h"

static struct fake api;
static struct certificates k;
static struct arena *a;

#define NODE_WITH(name, addresses)                                                                 \
	"{\"metadata\":{\"name\":\"" name "\",\"uid\":\"" name "\",\"resourceVersion\":\"4\"},"    \
	"\"status\":{\"addresses\":[" addresses "{\"type\":\"Hostname\",\"address\":\"" name       \
	"\"}]}}"
#define INTERNAL(ip) "{\"type\":\"InternalIP\",\"address\":\"" ip "\"},"

static void
world_up(void)
{
	static struct server_context ctx = {.service_cidr4 = STR_INIT("10.96.0.0/16"),
		.service_cidr6 = STR_INIT("fd00:10:96::/112")};
	struct informer_spec spec = {.version = STR("v1"),
		.resource = STR("nodes"),
		.type = SCHEMA_TYPE_OF(core_v1_node)};
	struct loop *l = loop_new(NULL, "test");
	a = arena_new(0);
	k = (struct certificates){.ctx = &ctx};
	fake_init(&api, l);
	fake_set(&api, 0, "nodes",
		NODE_WITH("n1",
			INTERNAL("10.77.0.11") INTERNAL("fd77::11") INTERNAL("10.96.0.1") INTERNAL(
				"fd00:10:96::1")) "," NODE_WITH("n2", INTERNAL("10.77.0.12")));
	CHECK_INT(informer_new(&api.c, &spec, &k.nodes), 0);
	TURNS_UNTIL(l, api.at[0].watched);
}

static void
world_down(void)
{
	informer_free(k.nodes);
	loop_free(api.c.loop);
	arena_free(a);
}

/* asks: would node n1 get a serving certificate for these addresses and this name ("" = none)? */
static bool
asks(const char *ip1, const char *ip2, const char *name)
{
	static struct str usages[] = {STR_INIT("digital signature"), STR_INIT("server auth")};
	struct str org = STR("system:nodes"), dns = str_c(name);
	struct x509_spec spec = {.cn = STR("system:node:n1"), .orgs = &org, .n_orgs = 1};
	struct ip_addr ips[2];
	struct x509_csr csr;
	struct tls_key *key = NULL;
	_cleanup_buf_ struct buf pem = BUF_INIT;
	CHECK_INT(ip_parse(str_c(ip1), &ips[0]), 0);
	CHECK_INT(ip_parse(str_c(ip2), &ips[1]), 0);
	spec.ips = ips;
	spec.n_ips = 2;
	spec.dns = &dns;
	spec.n_dns = dns.n > 0;
	CHECK_INT(tls_key_generate(&key), 0);
	CHECK_INT(x509_csr_write(key, &spec, &pem), 0);
	tls_key_free(key);
	CHECK_INT(x509_csr_parse(a, buf_view(&pem), &csr, NULL), 0);
	struct certificates_v1_certificate_signing_request r = {
		.spec = {.username = STR("system:node:n1"),
			.groups = &org,
			.n_groups = 1,
			.usages = usages,
			.n_usages = 2}};
	return serving_request(&k, &r, &csr);
}

TEST(a_node_serves_under_its_own_name_and_addresses_of_both_families)
{
	world_up();
	CHECK(asks("10.77.0.11", "fd77::11", "n1"));
	CHECK(asks("10.77.0.11", "fd77::11", ""));
	CHECK(!asks("10.77.0.11", "fd77::12", "n1"));
	CHECK(!asks("10.77.0.12", "fd77::11", "n1")); /* another node's */
	CHECK(!asks("10.77.0.11", "fd77::11", "n2"));
	CHECK(!asks("10.77.0.11", "fd77::11", "kubernetes.default.svc"));
	world_down();
}

TEST(a_node_that_says_it_has_a_service_address_gets_no_certificate_for_it)
{
	world_up();
	CHECK(!asks("10.77.0.11", "10.96.0.1", "n1"));
	CHECK(!asks("10.77.0.11", "fd00:10:96::1", "n1"));
	world_down();
}
