/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * apiserver: an aggregated API server for tests with real clients: group toys.example.com, version v1, one resource, one
 * toy, which says who asked. `apiserver ADDRESS SERVICE.NAMESPACE FRONT-PROXY-CA [old]`: HTTPS on a free port of the
 * address, with a certificate of its own for the service; who has no certificate of the front proxies' CA gets 401.
 * old: it does not know the aggregated form of discovery.
 * Prints "apiserver PORT CA", CA as spec.caBundle wants it; serves until it is killed. */
#include "base/disk.h"
#include "tests/unit/netstack/tls/pki.h"

#include "base/hash.h"
#include "netstack/http/http.h"

#include <stdio.h>
#include <string.h>

#define GROUP "/apis/toys.example.com/v1"
#define TOYS GROUP "/namespaces/default/toys"
#define VERBS "\"verbs\":[\"create\",\"delete\",\"deletecollection\",\"get\",\"list\",\"watch\"]"

static bool old;

static const char aggregated[] =
	"{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/v2\",\"metadata\":{},"
	"\"items\":[{\"metadata\":{\"name\":\"toys.example.com\"},\"versions\":[{\"version\":\"v1\","
	"\"resources\":[{\"resource\":\"toys\",\"responseKind\":{\"group\":\"toys.example.com\","
	"\"version\":\"v1\",\"kind\":\"Toy\"},\"scope\":\"Namespaced\",\"singularResource\":\"toy\"," VERBS
	",\"shortNames\":[\"ty\"]}],\"freshness\":\"Current\"}]}]}";
static const char legacy[] =
	"{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"toys.example.com/v1\","
	"\"resources\":[{\"name\":\"toys\",\"singularName\":\"toy\",\"namespaced\":true,\"kind\":\"Toy\"," VERBS
	",\"shortNames\":[\"ty\"]}]}";
static const char index_v3[] = "{\"paths\":{\"apis/toys.example.com/v1\":{\"serverRelativeURL\":"
			       "\"/openapi/v3/apis/toys.example.com/v1?hash=AB12\"}}}";
/* What an autoscaler reads: one metric, which is 7. */
#define METRICS "/apis/external.metrics.k8s.io/v1beta1"
static const char metrics[] =
	"{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"external.metrics.k8s.io/v1beta1\","
	"\"resources\":[{\"name\":\"load\",\"singularName\":\"\",\"namespaced\":true,\"kind\":"
	"\"ExternalMetricValueList\",\"verbs\":[\"get\"]}]}";
static const char load[] =
	"{\"kind\":\"ExternalMetricValueList\",\"apiVersion\":\"external.metrics.k8s.io/v1beta1\",\"metadata\":{},"
	"\"items\":[{\"metricName\":\"load\",\"metricLabels\":{},\"timestamp\":\"2026-01-01T00:00:00Z\","
	"\"value\":\"7\"}]}";
#define GVK "{\"group\":\"toys.example.com\",\"kind\":\"Toy\",\"version\":\"v1\"}"
static const char openapi[] =
	"{\"openapi\":\"3.0.0\",\"info\":{\"title\":\"toys\",\"version\":\"1\"},\"paths\":{\"" GROUP
	"/namespaces/{namespace}/toys/{name}\":{\"get\":{\"x-kubernetes-action\":\"get\","
	"\"x-kubernetes-group-version-kind\":" GVK "}}},\"components\":{\"schemas\":{"
	"\"com.example.toys.v1.Toy\":{\"description\":\"something to play with\",\"type\":\"object\","
	"\"x-kubernetes-group-version-kind\":[" GVK "]}}}}";

static struct str
toy(struct http_req *r)
{
	struct str user = http_headers_get(&r->headers, STR("X-Remote-User"));
	struct str group = http_headers_get(&r->headers, STR("X-Remote-Group"));
	return arena_fmt(r->arena,
		"{\"kind\":\"Toy\",\"apiVersion\":\"toys.example.com/v1\",\"metadata\":{\"name\":\"ball\","
		"\"namespace\":\"default\",\"resourceVersion\":\"7\",\"annotations\":{\"user\":\"" STR_FMT
		"\",\"group\":\"" STR_FMT "\",\"path\":\"" STR_FMT "\"}}}",
		STR_ARG(user), STR_ARG(group), STR_ARG(r->path));
}

static void
json(struct http_req *r, int status, struct str body)
{
	http_reply(r, status, STR("application/json"), body);
}

static void
on_body(struct http_req *r, int error, struct str body)
{
	if (error)
		http_drop(r);
	else
		json(r, 201,
			arena_fmt(r->arena,
				"{\"kind\":\"Toy\",\"apiVersion\":\"toys.example.com/v1\",\"metadata\":{"
				"\"name\":\"made\",\"namespace\":\"default\",\"annotations\":{\"bytes\":"
				"\"%zu\"}}}",
				body.n));
}

static void
on_gone(struct http_req *r)
{
	http_drop(r);
}

static void
watch(struct http_req *r)
{
	http_on_abort(r, on_gone);
	http_begin(r, 200, STR("application/json"), -1);
	http_write(r,
		arena_fmt(r->arena, "{\"type\":\"ADDED\",\"object\":" STR_FMT "}\n",
			STR_ARG(toy(r))));
}

static void
resources(struct http_req *r)
{
	bool one = str_eq(r->path, STR(TOYS "/ball"));
	struct str w = http_query_get(r->arena, r->query, STR("watch"));
	if (str_eq(r->method, STR("POST"))) {
		http_collect(r, 64 << 20, on_body);
	} else if (str_eq(r->path, STR(TOYS "/away"))) {
		http_set_header(r, STR("Location"), STR("https://example.com/"));
		http_reply(r, 302, STR(""), STR(""));
	} else if (str_is_set(w)) {
		watch(r);
	} else if (one) {
		json(r, 200, toy(r));
	} else {
		json(r, 200,
			arena_fmt(r->arena,
				"{\"kind\":\"ToyList\",\"apiVersion\":\"toys.example.com/v1\",\"metadata\":{"
				"\"resourceVersion\":\"7\"},\"items\":[" STR_FMT "]}",
				STR_ARG(toy(r))));
	}
}

static void
on_request(void *arg, struct http_req *r)
{
	static const struct {
		const char *path, *body;
	} documents[] = {{GROUP, legacy}, {"/openapi/v3", index_v3}, {"/openapi/v3" GROUP, openapi},
		{METRICS, metrics}, {METRICS "/namespaces/t/load", load}};
	(void)arg;
	if (!r->peer || r->peer->state != TLS_PEER_VALID ||
		!str_eq(r->peer->cn, STR("front-proxy-client"))) {
		json(r, 401, STR("{\"kind\":\"Status\",\"status\":\"Failure\",\"code\":401}"));
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(documents); i++)
		if (str_eq_c(r->path, documents[i].path)) {
			json(r, 200, str_c(documents[i].body));
			return;
		}
	if (str_eq(r->path, STR("/apis")) && !old)
		http_reply(r, 200,
			STR("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"),
			str_c(aggregated));
	else if (str_starts(r->path, STR(GROUP "/")))
		resources(r);
	else
		json(r, 404, STR("{\"kind\":\"Status\",\"status\":\"Failure\",\"code\":404}"));
}

int
main(int argc, char **argv)
{
	struct buf proxies = BUF_INIT, ca64 = BUF_INIT;
	struct http_addr addr = {0}, bound = {0};
	struct http_server *server = NULL;
	struct err e = {0};
	char name[256] = "";
	if (argc < 4 || ip_parse(str_c(argv[1]), &addr.ip) < 0 ||
		disk_read_file(argv[3], 1 << 20, &proxies) < 0) {
		fprintf(stderr, "apiserver ADDRESS SERVICE.NAMESPACE FRONT-PROXY-CA [old]\n");
		return 2;
	}
	old = argc > 4;
	snprintf(name, sizeof(name), "%s.svc", argv[2]);
	struct pki_party ca = pki_make(&(struct pki_want){.cn = "toys", .ca = true}, NULL);
	struct pki_party key = pki_make(
		&(struct pki_want){.cn = "toys", .dns = {name}, .eku = X509_EKU_SERVER}, &ca);
	struct tls_pair pair = pki_pair(&key);
	struct http_server_config hc = {
		.loop = loop_new(NULL, "apiserver"), .on_request = on_request};
	if (!hc.loop || !key.x ||
		tls_ctx_new(&(struct tls_config){.server = true,
				    .pairs = &pair,
				    .n_pairs = 1,
				    .ca_pem = buf_view(&proxies),
				    .client_auth = TLS_CLIENT_OPTIONAL},
			&hc.tls, &e) < 0 ||
		http_listen(&addr, false, &hc.listen_fd, &bound, &e) < 0 ||
		http_server_new(&hc, &server) < 0) {
		fprintf(stderr, "apiserver: %s\n", e.msg);
		return 1;
	}
	base64_encode(&ca64, buf_view(&ca.cert));
	printf("apiserver %u " STR_FMT "\n", bound.port, STR_ARG(buf_view(&ca64)));
	fflush(stdout);
	while (loop_turn(hc.loop, -1) >= 0)
		;
	return 0;
}
