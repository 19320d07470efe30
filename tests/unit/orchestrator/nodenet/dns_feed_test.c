/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Services as the name server's zone has them: descriptions, and the feed from the API with real answers. */
#include "orchestrator/nodenet/dns_feed.c"

#include "tests/unit/netstack/dns/text.h"
#include "tests/unit/orchestrator/nodenet/fake.h"

static struct fake api;
static struct loop *loop;
static struct dns_zone *zone;
static struct dns_feed *feed;
static unsigned synced, changes;

#define META(name, rv)                                                                             \
	"\"metadata\":{\"name\":\"" name "\",\"namespace\":\"shop\",\"uid\":\"" name               \
	"\",\"resourceVersion\":\"" rv "\""
#define SLICE_OF(name, service, rv, rest)                                                                         \
	"{" META(name,                                                                                            \
		rv) ",\"labels\":{\"kubernetes.io/service-name\":\"" service "\"}},"                              \
		    "\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"sql\",\"protocol\":\"TCP\",\"port\":5432}]," \
		    "\"endpoints\":[" rest "]}"
#define DB0 "{\"addresses\":[\"10.244.1.2\"],\"hostname\":\"db-0\",\"conditions\":{\"ready\":true}}"
#define DB1                                                                                        \
	"{\"addresses\":[\"10.244.2.2\"],\"hostname\":\"db-1\",\"conditions\":{\"ready\":false}}"

static const char services[] = "{" META("web",
	"2") "},\"spec\":{\"clusterIP\":\"10.96.0.7\",\"clusterIPs\":["
	     "\"10.96.0.7\",\"fdff::7\"],\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":80}]}},"
	     "{" META("db",
		     "3") "},\"spec\":{\"clusterIP\":\"None\",\"ports\":[{\"name\":\"sql\","
			  "\"protocol\":\"TCP\",\"port\":5432}]}},"
			  "{" META("out",
				  "4") "},\"spec\":{\"type\":\"ExternalName\",\"externalName\":"
				       "\"www.example.org\"}},"
				       "{" META("bad",
					       "5") "},\"spec\":{\"type\":\"ExternalName\",\"externalName\":\"192.0.2.1\"}}";

static void
on_feed_synced(void *arg)
{
	(void)arg;
	synced++;
}

static void
on_feed_change(void *arg)
{
	(void)arg;
	CHECK_INT(synced, 1);
	changes++;
}

static void
zone_make(void)
{
	struct dns_zone_config zc = {.domain = "cluster.local"};
	CHECK_INT(dns_zone_new(&zc, &zone), 0);
}

/* feed_up: for the zone there is, or a new one. */
static void
feed_up(void)
{
	loop = loop_new(NULL, "test");
	fake_init(&api, loop);
	fake_set(&api, 0, "services", services);
	fake_set(&api, 1, "endpointslices", SLICE_OF("db-1", "db", "6", DB0 "," DB1));
	synced = changes = 0;
	if (!zone)
		zone_make();
	struct dns_feed_config c = {&api.c, zone, on_feed_synced, on_feed_change, NULL};
	CHECK_INT(dns_feed_new(&c, &feed), 0);
	TURNS_UNTIL(loop, synced == 1 && api.at[0].watched && api.at[1].watched);
}

static void
feed_down(void)
{
	dns_feed_free(feed);
	dns_zone_free(zone);
	zone = NULL;
	loop_free(loop);
}

/* ask: the answer as text, 1: ours, 3: a CNAME that leads out. */
static const char *
ask(const char *name, uint16_t type)
{
	static uint8_t out[65535];
	uint8_t q[512];
	size_t n = query_of(q, name, type, 0), got = 0;
	int code = dns_zone_answer(
		zone, str_from((char *)q, n), false, true, out, sizeof(out), &got);
	CHECK(code == 1 || code == 3);
	return answer_text(out, got, false);
}

static bool
says(const char *name, uint16_t type, const char *what)
{
	return strstr(ask(name, type), what) != NULL;
}

enum { A = 1, CNAME = 5, PTR = 12, AAAA = 28, SRV = 33 };

TEST(the_zone_has_what_the_api_had)
{
	feed_up();
	CHECK(says("web.shop.svc.cluster.local", A, "10.96.0.7"));
	CHECK(says("web.shop.svc.cluster.local", AAAA, "fdff::7"));
	CHECK(says("_http._tcp.web.shop.svc.cluster.local", SRV, "web.shop.svc.cluster.local"));
	CHECK(says("7.0.96.10.in-addr.arpa", PTR, "web.shop.svc.cluster.local"));
	CHECK(says("db.shop.svc.cluster.local", A, "10.244.1.2"));
	CHECK(!says("db.shop.svc.cluster.local", A, "10.244.2.2"));
	CHECK(says("db-0.db.shop.svc.cluster.local", A, "10.244.1.2"));
	CHECK(says("_sql._tcp.db.shop.svc.cluster.local", SRV, "5432 db-0.db.shop"));
	CHECK(says("out.shop.svc.cluster.local", A, "www.example.org"));
	CHECK(!says("bad.shop.svc.cluster.local", A, "192.0.2.1"));
	feed_down();
}

TEST(the_zone_follows)
{
	feed_up();
	/* the second gets ready */
	fake_event(&api, "endpointslices", CLIENT_MODIFIED,
		SLICE_OF("db-1", "db", "7",
			DB0 ",{\"addresses\":[\"10.244.2.2\"],\"hostname\":\"db-1\"}"));
	TURNS_UNTIL(loop, says("db-1.db.shop.svc.cluster.local", A, "10.244.2.2"));
	/* its slice goes: the name stays, without addresses */
	fake_event(&api, "endpointslices", CLIENT_DELETED, SLICE_OF("db-1", "db", "8", ""));
	TURNS_UNTIL(loop, !says("db.shop.svc.cluster.local", A, "10.244."));
	/* a Service that comes after its slice */
	fake_event(&api, "endpointslices", CLIENT_ADDED, SLICE_OF("late-1", "late", "9", DB0));
	loop_turn(loop, 0);
	fake_event(&api, "services", CLIENT_ADDED,
		"{" META("late", "10") "},\"spec\":{\"clusterIP\":\"None\"}}");
	TURNS_UNTIL(loop, says("db-0.late.shop.svc.cluster.local", A, "10.244.1.2"));
	/* one that goes, one that changes its address */
	fake_event(&api, "services", CLIENT_DELETED,
		"{" META("web", "11") "},\"spec\":{\"clusterIP\":\"10.96.0.7\"}}");
	fake_event(&api, "services", CLIENT_MODIFIED,
		"{" META("out", "12") "},\"spec\":{\"clusterIP\":\"10.96.0.9\"}}");
	TURNS_UNTIL(loop, says("out.shop.svc.cluster.local", A, "10.96.0.9"));
	CHECK(!says("web.shop.svc.cluster.local", A, "10.96.0.7"));
	CHECK(!says("out.shop.svc.cluster.local", A, "www.example.org"));
	CHECK_INT(synced, 1);
	feed_down();
}

TEST(each_change_of_names_is_told_and_others_are_not)
{
	feed_up();
	CHECK_INT(changes, 1);
	/* the endpoints of a Service with an address are in no record */
	fake_event(&api, "endpointslices", CLIENT_ADDED, SLICE_OF("web-1", "web", "6", DB0));
	fake_event(&api, "services", CLIENT_ADDED,
		"{" META("new", "7") "},\"spec\":{\"clusterIP\":\"10.96.0.11\"}}");
	TURNS_UNTIL(loop, says("new.shop.svc.cluster.local", A, "10.96.0.11"));
	loop_turn(loop, 0);
	CHECK_INT(changes, 2);
	feed_down();
}

TEST(names_that_were_there_before_and_are_not_in_the_api_go_at_the_first_sync)
{
	struct ip_addr ip = ip_v4(0x0a600063);
	struct dns_service gone = {
		.ns = STR("shop"), .name = STR("gone"), .cluster_ips = &ip, .n_cluster_ips = 1};
	struct dns_service web = gone;
	web.name = STR("web");
	zone_make();
	CHECK_INT(dns_zone_service_set(zone, &gone), 0);
	CHECK_INT(dns_zone_service_set(zone, &web), 0);
	feed_up();
	CHECK(!says("gone.shop.svc.cluster.local", A, "10.96.0.99"));
	CHECK(!says("web.shop.svc.cluster.local", A, "10.96.0.99"));
	CHECK(says("web.shop.svc.cluster.local", A, "10.96.0.7"));
	feed_down();
}

TEST(resolvers_of_a_file)
{
	struct dns_upstream up[2];
	struct ip_addr own;
	char text[IP_TEXT_MAX];
	static const char file[] = "# comment\nsearch example.org\nnameserver 10.96.0.10\n"
				   "nameserver\t192.0.2.53 \nnameserver fe80::1%eth0\nnameserver\n"
				   "nameservers 192.0.2.54\n  nameserver 2001:db8::53\r\n"
				   "nameserver 192.0.2.55";
	CHECK_INT(ip_parse(STR("10.96.0.10"), &own), 0);
	CHECK_INT(map_resolvers(str_c(file), &own, 1, up, 2), 2);
	ip_format(&up[0].addr, text);
	CHECK_STR(text, "192.0.2.53");
	ip_format(&up[1].addr, text);
	CHECK_STR(text, "2001:db8::53");
	CHECK_INT(map_resolvers(STR(""), NULL, 0, up, 2), 0);
	CHECK_INT(map_resolvers(STR("nameserver"), NULL, 0, up, 2), 0);
}
