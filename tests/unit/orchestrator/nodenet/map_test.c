/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Services, slices and nodes as descriptions for proxy and podnet. */
#include "orchestrator/nodenet/map.c"

#include "tests/unit/orchestrator/nodenet/fake.h"

static struct arena *a;
static struct map_port *ports;
static size_t n_ports;

static void
map_it(const char *service, const char *const *slices, size_t n, const struct map_place *at)
{
	const struct discovery_v1_endpoint_slice *v[4];
	arena_free(a);
	a = arena_new(0);
	for (size_t i = 0; i < n; i++)
		v[i] = slice_of(a, slices[i]);
	struct map_input in = {STR("shop"), STR("web"), service_of(a, service), v, n};
	ports = NULL;
	n_ports = 99;
	CHECK_INT(map_service(a, &in, at, &ports, &n_ports), 0);
}

static const char *
ip_text(const struct ip_addr *ip)
{
	static char text[IP_TEXT_MAX];
	ip_format(ip, text);
	return text;
}

static const struct map_place n1 = {.node = STR_INIT("n1"), .zone = STR_INIT("a")};

#define WEB                                                                                        \
	"{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\"},\"spec\":{\"type\":"              \
	"\"LoadBalancer\",\"clusterIP\":\"10.96.0.7\",\"clusterIPs\":[\"10.96.0.7\",\"fdff::7\"]," \
	"\"externalIPs\":[\"192.0.2.1\"],\"loadBalancerSourceRanges\":[\"198.51.100.0/24\"],"      \
	"\"externalTrafficPolicy\":\"Local\",\"internalTrafficPolicy\":\"Local\","                 \
	"\"sessionAffinity\":\"ClientIP\",\"sessionAffinityConfig\":{\"clientIP\":{"               \
	"\"timeoutSeconds\":60}},\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":80,"  \
	"\"nodePort\":30080},{\"name\":\"dns\",\"protocol\":\"UDP\",\"port\":53}]},\"status\":{"   \
	"\"loadBalancer\":{\"ingress\":[{\"ip\":\"203.0.113.1\",\"ipMode\":\"VIP\"},{\"ip\":"      \
	"\"203.0.113.2\",\"ipMode\":\"Proxy\"},{\"hostname\":\"x.example.org\"}]}}}"

static const char slice4[] =
	"{\"metadata\":{\"name\":\"web-1\",\"namespace\":\"shop\",\"labels\":{"
	"\"kubernetes.io/service-name\":\"web\"}},\"addressType\":\"IPv4\",\"ports\":[{\"name\":"
	"\"http\",\"protocol\":\"TCP\",\"port\":8080}],\"endpoints\":["
	"{\"addresses\":[\"10.244.1.2\"],\"conditions\":{},\"nodeName\":\"n1\"},"
	"{\"addresses\":[\"10.244.2.2\"],\"conditions\":{\"ready\":false,\"serving\":true,"
	"\"terminating\":true},\"nodeName\":\"n2\"},"
	"{\"addresses\":[\"10.244.2.3\"],\"conditions\":{\"ready\":false},\"nodeName\":\"n2\"},"
	"{\"addresses\":[\"not-an-address\"],\"conditions\":{\"ready\":true}}]}";

static const char slice6[] =
	"{\"metadata\":{\"name\":\"web-2\",\"namespace\":\"shop\"},\"addressType\":\"IPv6\","
	"\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":8081}],\"endpoints\":["
	"{\"addresses\":[\"fd00:1::2\"],\"conditions\":{\"ready\":true},\"nodeName\":\"n1\"}]}";

TEST(a_service_with_everything)
{
	const char *slices[] = {slice4, slice6};
	map_it(WEB, slices, 2, &n1);
	CHECK_INT(n_ports, 2);
	const struct proxy_service *s = &ports[0].s;
	CHECK_STR(ports[0].name, "shop/web:http");
	CHECK_INT(s->proto, IPPROTO_TCP);
	CHECK_INT(s->port, 80);
	CHECK_INT(s->node_port, 30080);
	CHECK_INT(s->n_cluster_ips, 2);
	CHECK_STR(ip_text(&s->cluster_ips[1]), "fdff::7");
	CHECK_INT(s->n_external_ips, 1);
	CHECK_INT(s->n_lb_ips, 1);
	CHECK_STR(ip_text(&s->lb_ips[0]), "203.0.113.1");
	CHECK_INT(s->n_lb_source_ranges, 1);
	CHECK_INT(s->lb_source_ranges[0].len, 24);
	CHECK(s->external_local && s->internal_local);
	CHECK_INT(s->affinity_s, 60);
	CHECK_INT(s->n_endpoints, 4);
	CHECK_INT(s->endpoints[0].flags, PROXY_EP_LOCAL | PROXY_EP_READY | PROXY_EP_SERVING);
	CHECK_INT(s->endpoints[0].port, 8080);
	CHECK_INT(s->endpoints[1].flags, PROXY_EP_SERVING | PROXY_EP_TERMINATING);
	CHECK_INT(s->endpoints[2].flags, 0);
	CHECK_INT(s->endpoints[3].port, 8081);
	CHECK_INT(s->endpoints[3].addr.family, 6);
	/* the second port has no endpoints under its name */
	CHECK_STR(ports[1].name, "shop/web:dns");
	CHECK_INT(ports[1].s.proto, IPPROTO_UDP);
	CHECK_INT(ports[1].s.node_port, 0);
	CHECK_INT(ports[1].s.n_endpoints, 0);
	arena_free(TAKE_PTR(a));
}

TEST(services_that_are_not_the_proxys)
{
	static const char *const none[] = {
		"{\"spec\":{\"clusterIP\":\"None\",\"ports\":[{\"port\":80}]}}",
		"{\"spec\":{\"type\":\"ExternalName\",\"externalName\":\"x.org\",\"ports\":[{"
		"\"port\":80}]}}",
		"{\"spec\":{\"ports\":[{\"port\":80}]}}",
		"{\"metadata\":{\"labels\":{\"service.kubernetes.io/service-proxy-name\":\"x\"}},"
		"\"spec\":{\"clusterIP\":\"10.96.0.7\",\"ports\":[{\"port\":80}]}}",
		"{\"spec\":{\"clusterIP\":\"10.96.0.10\",\"ports\":[{\"port\":53}]}}",
	};
	struct ip_addr dns;
	struct map_place at = {.node = STR("n1"), .own = &dns, .n_own = 1};
	CHECK_INT(ip_parse(STR("10.96.0.10"), &dns), 0);
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		map_it(none[i], NULL, 0, &at);
		CHECK_INT(n_ports, 0);
	}
	arena_free(TAKE_PTR(a));
}

TEST(affinity_without_a_time_and_addresses_of_other_types)
{
	map_it("{\"spec\":{\"type\":\"ClusterIP\",\"clusterIP\":\"10.96.0.7\",\"sessionAffinity\":"
	       "\"ClientIP\",\"ports\":[{\"port\":80}]},\"status\":{\"loadBalancer\":{\"ingress\":[{"
	       "\"ip\":\"203.0.113.1\"}]}}}",
		NULL, 0, &n1);
	CHECK_INT(n_ports, 1);
	CHECK_STR(ports[0].name, "shop/web:");
	CHECK_INT(ports[0].s.affinity_s, PROXY_AFFINITY_DEFAULT_S);
	CHECK_INT(ports[0].s.n_cluster_ips, 1);
	CHECK_INT(ports[0].s.n_lb_ips, 0); /* left over of another type */
	CHECK(!ports[0].s.external_local && !ports[0].s.internal_local);
	arena_free(TAKE_PTR(a));
}

TEST(source_ranges_that_cannot_be_read_let_nobody_in)
{
	map_it("{\"spec\":{\"type\":\"LoadBalancer\",\"clusterIP\":\"10.96.0.7\","
	       "\"loadBalancerSourceRanges\":[\"everybody\"],\"ports\":[{\"port\":80}]},\"status\":{"
	       "\"loadBalancer\":{\"ingress\":[{\"ip\":\"203.0.113.1\"}]}}}",
		NULL, 0, &n1);
	CHECK_INT(n_ports, 1);
	CHECK_INT(ports[0].s.n_lb_ips, 0);
	arena_free(TAKE_PTR(a));
}

#define PLAIN "{\"spec\":{\"clusterIP\":\"10.96.0.7\",\"ports\":[{\"port\":80}]}}"
#define HINTED(ip, node, hints)                                                                    \
	"{\"addresses\":[\"" ip "\"],\"conditions\":{\"ready\":true},\"nodeName\":\"" node         \
	"\"" hints "}"
#define SLICE(endpoints)                                                                           \
	"{\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"\",\"protocol\":\"TCP\",\"port\":80}],"  \
	"\"endpoints\":[" endpoints "]}"
#define ZONE(z) ",\"hints\":{\"forZones\":[{\"name\":\"" z "\"}]}"
#define NODE(z, n)                                                                                 \
	",\"hints\":{\"forZones\":[{\"name\":\"" z "\"}],\"forNodes\":[{\"name\":\"" n "\"}]}"

static bool
is_far(size_t i)
{
	return ports[0].s.endpoints[i].flags & PROXY_EP_FAR;
}

TEST(hints_keep_traffic_near)
{
	static const char zones[] = SLICE(
		HINTED("10.0.0.1", "n1", ZONE("a")) "," HINTED("10.0.0.2", "n2", ZONE("b")));
	static const char half[] = SLICE(
		HINTED("10.0.0.1", "n1", ZONE("a")) "," HINTED("10.0.0.2", "n2", ""));
	static const char nodes[] = SLICE(HINTED("10.0.0.1", "n1", NODE("a", "n1")) "," HINTED(
		"10.0.0.2", "n2", NODE("a", "n2")));
	const struct map_place c = {.node = STR("n3"), .zone = STR("c")};
	const struct map_place elsewhere = {.node = STR("n3"), .zone = STR("a")};
	const char *one = zones;
	map_it(PLAIN, &one, 1, &n1);
	CHECK(!is_far(0) && is_far(1));
	map_it(PLAIN, &one, 1, &c); /* nobody is meant for this zone */
	CHECK(!is_far(0) && !is_far(1));
	one = half;
	map_it(PLAIN, &one, 1, &n1);
	CHECK(!is_far(0) && !is_far(1));
	one = nodes;
	map_it(PLAIN, &one, 1, &n1);
	CHECK(!is_far(0) && is_far(1));
	map_it(PLAIN, &one, 1, &elsewhere); /* no node hint for it: the zone decides */
	CHECK(!is_far(0) && !is_far(1));
	arena_free(TAKE_PTR(a));
}

TEST(nodes_have_addresses_and_ranges)
{
	struct podnet_node n;
	struct ip_addr ips[4];
	a = arena_new(0);
	const struct core_v1_node *node = object_of(a, SCHEMA_TYPE_OF(core_v1_node),
		"{\"metadata\":{\"name\":\"n2\",\"labels\":{\"topology.kubernetes.io/zone\":\"b\"}},"
		"\"spec\":{\"podCIDR\":\"10.244.2.0/24\",\"podCIDRs\":[\"10.244.2.0/24\","
		"\"fd00:2::/64\"]},\"status\":{\"addresses\":[{\"type\":\"Hostname\",\"address\":"
		"\"n2\"},{\"type\":\"ExternalIP\",\"address\":\"192.0.2.2\"},{\"type\":\"InternalIP\","
		"\"address\":\"10.77.0.12\"},{\"type\":\"InternalIP\",\"address\":\"fd77::12\"},{"
		"\"type\":\"InternalIP\",\"address\":\"10.99.0.1\"}]}}");
	map_node(node, &n);
	CHECK_STR(ip_text(&n.addr4), "10.77.0.12");
	CHECK_STR(ip_text(&n.addr6), "fd77::12");
	CHECK_INT(n.pod_cidr4.len, 24);
	CHECK_INT(n.pod_cidr6.len, 64);
	CHECK_INT(map_node_addrs(node, ips, 4), 4);
	CHECK_INT(map_node_addrs(node, ips, 2), 2);
	CHECK_STR(map_node_zone(node), "b");
	node = object_of(
		a, SCHEMA_TYPE_OF(core_v1_node), "{\"spec\":{\"podCIDR\":\"10.244.2.0/24\"}}");
	map_node(node, &n);
	CHECK_INT(n.pod_cidr4.len, 24);
	CHECK_INT(n.addr4.family, 0);
	CHECK_STR(map_node_zone(node), "");
	arena_free(TAKE_PTR(a));
}
