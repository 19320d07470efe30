/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * proxy_target: where a streamed request goes: the node API that runs a pod, a node, a pod's own address, a
 * ready endpoint of a service.
 *
 * Invariant: node APIs are reached by https with the API server's client certificate, and their
 * serving certificate is checked against the cluster CA for the address that was dialled. Nothing else gets that
 * certificate. Pods and services are reached at addresses of pods only, never at the machine's own; the services of
 * APIServices, which only administrators make, at any endpoint they have.
 * Source: Kubernetes API (connect subresources); kubelet server endpoints; KEP-4006. */
#include "base/ip.h"
#include "base/rand.h"
#include "orchestrator/api/apiservice.h"
#include "orchestrator/api/proxy_int.h"

#define KUBELET_PORT 10250

static enum step
bad(struct request *r, const char *before, struct str name, const char *after)
{
	return request_fail(r, R_BAD_REQUEST, "%s" STR_FMT "%s", before, STR_ARG(name), after);
}

/* "10.0.0.1:80" or "[::1]:80" */
static struct str
host_port(struct request *r, struct str host, int64_t port)
{
	bool v6 = str_find_char(host, ':') >= 0;
	return arena_fmt(r->a, v6 ? "[" STR_FMT "]:%d" : STR_FMT ":%d", STR_ARG(host), (int)port);
}

static enum step
node_address(struct request *r, struct str name, int64_t *ret_port, struct str *ret_host)
{
	static const struct str order[] = {STR_INIT("InternalIP"), STR_INIT("ExternalIP")};
	struct doc *node = NULL;
	if (request_read(r, STR(""), STR("nodes"), STR(""), name, &node) < 0)
		return request_fail_not_found(r, r->server->nodes, name);
	const struct doc *st = doc_get(node, STR("status"));
	*ret_port = doc_get_int(
		doc_get(doc_get(st, STR("daemonEndpoints")), STR("kubeletEndpoint")), STR("Port"),
		KUBELET_PORT);
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		DOC_EACH (x, doc_get(st, STR("addresses"))) {
			if (!str_eq(doc_get_str(x, STR("type")), order[i]))
				continue;
			*ret_host = doc_get_str(x, STR("address"));
			return STEP_NEXT;
		}
	}
	return request_fail(r, R_INTERNAL_ERROR,
		"Internal error occurred: no preferred addresses found for node \"" STR_FMT "\"",
		STR_ARG(name));
}

/* ---- containers ------------------------------------------------------------------------------------ */

static const struct str container_lists[] = {
	STR_INIT("initContainers"), STR_INIT("containers"), STR_INIT("ephemeralContainers")};

static bool
has_container(const struct doc *pod, struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(container_lists); i++)
		DOC_EACH (c, doc_get(doc_get(pod, STR("spec")), container_lists[i]))
			if (str_eq(doc_get_str(c, STR("name")), name))
				return true;
	return false;
}

static enum step
container_of(struct request *r, const struct doc *pod, struct str *ret)
{
	struct str name = http_query_get(r->a, r->raw_query, STR("container"));
	const struct doc *list = doc_get(doc_get(pod, STR("spec")), STR("containers"));
	if (name.n) {
		if (!has_container(pod, name))
			return request_fail(r, R_BAD_REQUEST,
				"container " STR_FMT " is not valid for pod " STR_FMT,
				STR_ARG(name), STR_ARG(r->name));
		*ret = name;
		return STEP_NEXT;
	}
	name = doc_get_str(doc_get(meta_of(pod), STR("annotations")),
		STR("kubectl.kubernetes.io/default-container"));
	if (name.n && has_container(pod, name)) {
		*ret = name;
		return STEP_NEXT;
	}
	if (doc_len(list) == 1) {
		*ret = doc_get_str(doc_index(list, 0), STR("name"));
		return STEP_NEXT;
	}
	struct buf names;
	buf_init_arena(&names, r->a);
	DOC_EACH (c, list) {
		buf_cstr(&names, names.len ? " " : "");
		buf_str(&names, doc_get_str(c, STR("name")));
	}
	return request_fail(r, R_BAD_REQUEST,
		"a container name must be specified for pod " STR_FMT ", choose one of: [" STR_FMT
		"]",
		STR_ARG(r->name), STR_ARG(buf_view(&names)));
}

/* ---- queries --------------------------------------------------------------------------------------- */

/* How the API's options are called by the node API: flags become "1". */
static const struct {
	const char *api, *node;
	bool flag;
} stream_options[] = {
	{"stdin", "input", true},
	{"stdout", "output", true},
	{"stderr", "error", true},
	{"tty", "tty", true},
	{"command", "command", false},
	{"ports", "port", false},
};

static bool
is_true(struct str v)
{
	return str_eq(v, STR("true")) || str_eq(v, STR("1"));
}

static struct str
stream_query(struct request *r)
{
	struct buf b;
	buf_init_arena(&b, r->a);
	struct str rest = r->raw_query, k, v;
	int rc;
	while (rest.n && (rc = http_query_next(r->a, &rest, &k, &v)) != 0) {
		for (size_t i = 0; rc > 0 && i < ARRAY_LEN(stream_options); i++) {
			if (!str_eq_c(k, stream_options[i].api))
				continue;
			if (stream_options[i].flag && !is_true(v))
				continue;
			buf_fmt(&b, "%s%s=", b.len ? "&" : "?", stream_options[i].node);
			http_url_encode(&b, stream_options[i].flag ? STR("1") : v, false);
		}
	}
	return buf_view(&b);
}

static struct str
log_query(struct request *r)
{
	struct buf b;
	buf_init_arena(&b, r->a);
	struct str rest = r->raw_query, k, v;
	int rc;
	while (rest.n && (rc = http_query_next(r->a, &rest, &k, &v)) != 0) {
		if (rc < 0 || str_eq(k, STR("container")) || str_eq(k, STR("pretty")) ||
			str_eq(k, STR("insecureSkipTLSVerifyBackend")))
			continue;
		buf_char(&b, b.len ? '&' : '?');
		http_url_encode(&b, k, false);
		buf_char(&b, '=');
		http_url_encode(&b, v, false);
	}
	return buf_view(&b);
}

/* ---- targets --------------------------------------------------------------------------------------- */

static const struct {
	const char *sub, *path;
	bool container;
} pod_streams[] = {
	{"log", "containerLogs", true},
	{"exec", "exec", true},
	{"attach", "attach", true},
	{"portforward", "portForward", false},
};

enum step
target_pod_stream(struct request *r, struct proxy_target *ret)
{
	struct doc *pod = NULL;
	struct str container = STR(""), host = STR("");
	int64_t port = KUBELET_PORT;
	if (object_read(r, r->server->pods, r->ns, r->name, &pod, NULL) < 0)
		return request_fail_not_found(r, NULL, r->name);
	enum step st = STEP_NEXT;
	for (size_t i = 0; i < ARRAY_LEN(pod_streams); i++) {
		if (!str_eq_c(r->sub->name, pod_streams[i].sub))
			continue;
		if (pod_streams[i].container)
			st = container_of(r, pod, &container);
		struct str node = doc_get_str(doc_get(pod, STR("spec")), STR("nodeName"));
		if (st == STEP_NEXT && node.n == 0)
			st = bad(r, "pod ", r->name, " does not have a host assigned");
		if (st == STEP_NEXT)
			st = node_address(r, node, &port, &host);
		if (st != STEP_NEXT)
			return st;
		bool log = i == 0;
		struct str query = log ? log_query(r) : stream_query(r);
		struct str at = host_port(r, host, port);
		ret->url = arena_fmt(r->a,
			"https://" STR_FMT "/%s/" STR_FMT "/" STR_FMT "%s" STR_FMT STR_FMT,
			STR_ARG(at), pod_streams[i].path, STR_ARG(r->ns), STR_ARG(r->name),
			pod_streams[i].container ? "/" : "", STR_ARG(container), STR_ARG(query));
		ret->node = true;
		ret->text = log;
	}
	return STEP_NEXT;
}

/* "scheme:name:port" with both ends optional. */
static void
split_name(struct str s, struct str *scheme, struct str *name, struct str *port)
{
	struct str a, b, c;
	*scheme = *port = STR("");
	*name = s;
	if (!str_cut(s, ':', &a, &b))
		return;
	if (str_cut(b, ':', &b, &c)) {
		*scheme = a;
		*name = b;
		*port = c;
		return;
	}
	*name = a;
	*port = b;
}

static struct str
tail_url(struct request *r, bool tls, struct str at)
{
	struct buf path;
	buf_init_arena(&path, r->a);
	http_url_encode(&path, r->subpath.n ? r->subpath : STR("/"), true);
	return arena_fmt(r->a, "http%s://" STR_FMT STR_FMT "%s" STR_FMT, tls ? "s" : "",
		STR_ARG(at), STR_ARG(buf_view(&path)), r->raw_query.n ? "?" : "",
		STR_ARG(r->raw_query));
}

static enum step
target_node(struct request *r, struct str scheme, struct str name, struct str port,
	struct proxy_target *ret)
{
	struct str host = STR("");
	int64_t own = KUBELET_PORT, n = 0;
	enum step st = node_address(r, name, &own, &host);
	if (st != STEP_NEXT)
		return st;
	n = own;
	if (port.n && str_to_i64(port, &n) < 0)
		return bad(r, "invalid node proxy port '", port, "'");
	ret->node = n == own;
	ret->url = tail_url(r, ret->node || str_eq(scheme, STR("https")), host_port(r, host, n));
	return STEP_NEXT;
}

static bool
may_dial(struct str address)
{
	struct ip_addr a;
	return ip_parse(address, &a) == 0 && ip_is_global_unicast(&a);
}

static enum step
target_pod(struct request *r, struct str scheme, struct str name, struct str port,
	struct proxy_target *ret)
{
	struct doc *pod = NULL;
	if (object_read(r, r->server->pods, r->ns, name, &pod, NULL) < 0)
		return request_fail_not_found(r, NULL, name);
	struct str host = doc_get_str(doc_get(pod, STR("status")), STR("podIP"));
	int64_t n = 0;
	if (!may_dial(host))
		return request_fail(r, R_BAD_REQUEST, "address not allowed");
	n = str_eq(scheme, STR("https")) ? 443 : 80;
	DOC_EACH (c, doc_get(doc_get(pod, STR("spec")), STR("containers"))) {
		const struct doc *p = doc_index(doc_get(c, STR("ports")), 0);
		if (!p)
			continue;
		n = doc_get_int(p, STR("containerPort"), n);
		break;
	}
	if (port.n && str_to_i64(port, &n) < 0)
		return bad(r, "invalid pod proxy port '", port, "'");
	ret->url = tail_url(r, str_eq(scheme, STR("https")), host_port(r, host, n));
	return STEP_NEXT;
}

struct endpoints {
	struct request *r;
	struct str ns, service, port_name;
	struct str chosen;
	uint64_t seen;
	bool any; /* endpoints need not be pods */
};

/* of_pod: an endpoint is the address of a pod of this namespace, and the pod says the same. */
static bool
of_pod(struct request *r, struct str ns, const struct doc *endpoint, struct str ip)
{
	const struct doc *ref = doc_get(endpoint, STR("targetRef"));
	struct doc *pod = NULL;
	if (!str_eq(doc_get_str(ref, STR("namespace")), ns) ||
		object_read(r, r->server->pods, ns, doc_get_str(ref, STR("name")), &pod, NULL) < 0)
		return false;
	DOC_EACH (x, doc_get(doc_get(pod, STR("status")), STR("podIPs")))
		if (str_eq(doc_get_str(x, STR("ip")), ip))
			return may_dial(ip);
	return false;
}

/* Reservoir of one: every ready endpoint is as likely as the others. */
static bool
slice_look(void *arg, struct doc *slice)
{
	struct endpoints *e = arg;
	struct str of = doc_get_str(
		doc_get(meta_of(slice), STR("labels")), STR("kubernetes.io/service-name"));
	int64_t port = 0;
	if (!str_eq(of, e->service))
		return true;
	DOC_EACH (p, doc_get(slice, STR("ports")))
		if (str_eq(doc_get_str(p, STR("name")), e->port_name))
			port = doc_get_int(p, STR("port"), 0);
	DOC_EACH (x, doc_get(slice, STR("endpoints"))) {
		struct str ip = doc_as_str(doc_index(doc_get(x, STR("addresses")), 0));
		if (!port || !ip.n ||
			!doc_get_bool(doc_get(x, STR("conditions")), STR("ready"), true) ||
			!(e->any ? may_dial(ip) : of_pod(e->r, e->ns, x, ip)))
			continue;
		if (rand_below(++e->seen) == 0)
			e->chosen = host_port(e->r, ip, port);
	}
	return true;
}

/* endpoint_of: "address:port" of a ready endpoint of a service's port; "" = there is none. */
static struct str
endpoint_of(struct request *r, struct str ns, struct str name, struct str port_name, bool any)
{
	struct endpoints e = {
		.r = r, .ns = ns, .service = name, .port_name = port_name, .any = any};
	request_each(r, STR("discovery.k8s.io"), STR("endpointslices"), ns, slice_look, &e);
	return e.chosen;
}

static int
endpoint_find(struct request *r, struct str ns, struct str name, int64_t port, bool any,
	struct http_addr *ret, struct err *e)
{
	struct doc *svc = NULL;
	const struct doc *use = NULL;
	if (request_read(r, STR(""), STR("services"), ns, name, &svc) < 0)
		return err_set(e, -ENOENT, R_NOT_FOUND, "service \"" STR_FMT "\" not found",
			STR_ARG(name));
	DOC_EACH (p, doc_get(doc_get(svc, STR("spec")), STR("ports")))
		if (doc_get_int(p, STR("port"), 0) == port)
			use = p;
	if (!use)
		return err_set(e, -ENOENT, R_SERVICE_UNAVAILABLE,
			"no service port %d found for service \"" STR_FMT "\"", (int)port,
			STR_ARG(name));
	struct str at = endpoint_of(r, ns, name, doc_get_str(use, STR("name")), any);
	if (at.n == 0 || http_addr_parse(at, ret) < 0)
		return err_set(e, -ENOENT, R_SERVICE_UNAVAILABLE,
			"no endpoints available for service \"" STR_FMT "\"", STR_ARG(name));
	return 0;
}

int
target_endpoint(struct request *r, struct str ns, struct str name, int64_t port,
	struct http_addr *ret, struct err *e)
{
	return endpoint_find(r, ns, name, port, false, ret, e);
}

int
target_apiservice(
	struct request *r, const struct apiservice *x, struct http_addr *ret, struct err *e)
{
	return endpoint_find(r, x->service_ns, x->service, x->port, true, ret, e);
}

static enum step
target_service(struct request *r, struct str scheme, struct str name, struct str port,
	struct proxy_target *ret)
{
	struct doc *svc = NULL;
	if (object_read(r, r->res, r->ns, name, &svc, NULL) < 0)
		return request_fail_not_found(r, NULL, name);
	const struct doc *ports = doc_get(doc_get(svc, STR("spec")), STR("ports"));
	const struct doc *use = port.n == 0 && doc_len(ports) == 1 ? doc_index(ports, 0) : NULL;
	int64_t n = 0;
	str_to_i64(port, &n);
	DOC_EACH (p, ports)
		if (port.n &&
			(str_eq(doc_get_str(p, STR("name")), port) ||
				(n && doc_get_int(p, STR("port"), 0) == n)))
			use = p;
	if (!use)
		return request_fail_retry(r, R_SERVICE_UNAVAILABLE, 1,
			"no service port \"" STR_FMT "\" found for service \"" STR_FMT "\"",
			STR_ARG(port), STR_ARG(name));
	struct str chosen = endpoint_of(r, r->ns, name, doc_get_str(use, STR("name")), false);
	if (chosen.n == 0)
		return request_fail_retry(r, R_SERVICE_UNAVAILABLE, 1,
			"no endpoints available for service \"" STR_FMT "\"", STR_ARG(r->name));
	ret->url = tail_url(r, str_eq(scheme, STR("https")), chosen);
	return STEP_NEXT;
}

enum step
target_proxy(struct request *r, struct proxy_target *ret)
{
	static const struct {
		const char *plural;
		enum step (*find)(struct request *r, struct str scheme, struct str name,
			struct str port, struct proxy_target *ret);
	} kinds[] = {
		{"nodes", target_node},
		{"pods", target_pod},
		{"services", target_service},
	};
	struct str scheme, name, port;
	split_name(r->name, &scheme, &name, &port);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (str_eq_c(r->res->plural, kinds[i].plural)) {
			enum step st = kinds[i].find(r, scheme, name, port, ret);
			ret->links = true;
			return st;
		}
	return request_not_found_path(r);
}
