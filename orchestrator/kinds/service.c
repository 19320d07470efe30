/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * service: Services: families, addresses and node ports. An address is taken by a hidden object in the
 * same transaction ("/ipallocations" by address, "/nodeports" by protocol and port), on condition that it
 * does not exist: two Services can never hold one address, and nothing has to be repaired.
 * Sources: kube-apiserver pkg/registry/core/service (alloc, storage), pkg/apis/core/validation; KEP-563 (dual
 * stack), KEP-3070 (static ranges are left to those who ask). */
#include "orchestrator/kinds/kinds_int.h"
#include "orchestrator/kinds/warnings.h"

#include "base/ip.h"
#include "base/rand.h"

#define NODE_PORT_MIN 30000
#define NODE_PORT_MAX 32767
#define TRIES 64
#define ADDRESSES S("/ipallocations")
#define NODE_PORTS S("/nodeports")

static struct str
type_of(const struct doc *spec)
{
	return doc_get_str(spec, S("type"));
}

static bool
has_addresses(const struct doc *spec)
{
	return !str_eq_c(type_of(spec), "ExternalName");
}

static bool
has_node_ports(const struct doc *spec)
{
	if (str_eq_c(type_of(spec), "LoadBalancer"))
		return doc_get_bool(spec, S("allocateLoadBalancerNodePorts"), true);
	return str_eq_c(type_of(spec), "NodePort");
}

/* has_health_port: balancers ask each node whether it has pods of the Service, at a port of its own. */
static bool
has_health_port(const struct doc *spec)
{
	return str_eq_c(type_of(spec), "LoadBalancer") &&
		str_eq_c(doc_get_str(spec, S("externalTrafficPolicy")), "Local");
}

static int64_t
health_port(const struct doc *spec)
{
	return doc_get_int(spec, S("healthCheckNodePort"), 0);
}

static bool
is_headless(const struct doc *spec)
{
	return str_eq_c(doc_get_str(spec, S("clusterIP")), "None");
}

/* lost: a member that a Service with addresses had is sent back by one that has none any more. */
static bool
lost(const struct doc *spec, const struct doc *old_spec, struct str member)
{
	return old_spec && has_addresses(old_spec) &&
		doc_equal(doc_get(spec, member), doc_get(old_spec, member));
}

/* ---- families ---- */

static struct str
family_name(int f)
{
	return f ? S("IPv6") : S("IPv4");
}

/* set_families: ipFamilyPolicy and ipFamilies as the cluster's ranges allow. */
static void
set_families(struct request *r, struct doc *spec, const struct doc *old_spec)
{
	const struct api_ranges *k = request_ranges(r);
	struct doc *list = doc_get(spec, S("ipFamilies"));
	struct str policy = doc_get_str(spec, S("ipFamilyPolicy"));
	bool have[2] = {ip_is_set(&k->service[0].addr), ip_is_set(&k->service[1].addr)};
	int first = have[0] ? 0 : 1;
	if (!has_addresses(spec)) {
		if (lost(spec, old_spec, S("ipFamilies")))
			doc_set(spec, S("ipFamilies"), NULL);
		if (lost(spec, old_spec, S("ipFamilyPolicy")))
			doc_set(spec, S("ipFamilyPolicy"), NULL);
		return;
	}
	if (doc_is_empty(list) && !doc_is_empty(doc_get(old_spec, S("ipFamilies")))) {
		list = doc_copy(r->a, doc_get(old_spec, S("ipFamilies")));
		doc_set(spec, S("ipFamilies"), list);
	}
	bool two = doc_len(list) > 1 || doc_len(doc_get(spec, S("clusterIPs"))) > 1;
	if (!policy.n) {
		/* A headless Service without selector spans what the cluster has. */
		bool any = is_headless(spec) && doc_is_empty(doc_get(spec, S("selector")));
		policy = two  ? S("RequireDualStack")
			: any ? S("RequireDualStack")
			      : S("SingleStack");
		doc_set_str(r->a, spec, S("ipFamilyPolicy"), policy);
	}
	if (doc_is_empty(list)) {
		list = doc_list(r->a);
		struct ip_addr ip;
		struct str asked = doc_get_str(spec, S("clusterIP"));
		if (asked.n && ip_parse(asked, &ip) == 0)
			first = ip.family == 6;
		if (list)
			doc_append(list, doc_str(r->a, family_name(first)));
		doc_set(spec, S("ipFamilies"), list);
	}
	bool single = str_eq_c(policy, "SingleStack");
	if (!single && doc_len(list) == 1 && have[0] && have[1]) {
		int other = str_eq_c(doc_as_str(doc_index(list, 0)), "IPv4");
		doc_append(list, doc_str(r->a, family_name(other)));
	}
	if (single && doc_len(list) > 1 && old_spec)
		doc_remove(list, doc_index(list, 1));
}

/* normalise_ips: clusterIP and clusterIPs[0] are the same thing written twice. */
static void
normalise_ips(struct request *r, struct doc *spec, const struct doc *old_spec)
{
	struct doc *ips = doc_get(spec, S("clusterIPs"));
	struct str one = doc_get_str(spec, S("clusterIP"));
	if (!has_addresses(spec)) {
		if (lost(spec, old_spec, S("clusterIPs")) || lost(spec, old_spec, S("clusterIP"))) {
			doc_set(spec, S("clusterIP"), NULL);
			doc_set(spec, S("clusterIPs"), NULL);
		}
		return;
	}
	if (old_spec && has_addresses(old_spec)) {
		struct str was = doc_get_str(old_spec, S("clusterIP"));
		if (!one.n && doc_is_empty(ips)) {
			one = was;
			doc_set_str(r->a, spec, S("clusterIP"), was);
			doc_set(spec, S("clusterIPs"),
				doc_copy(r->a, doc_get(old_spec, S("clusterIPs"))));
			ips = doc_get(spec, S("clusterIPs"));
		}
	}
	if (one.n && doc_is_empty(ips)) {
		ips = doc_list(r->a);
		if (ips)
			doc_append(ips, doc_str(r->a, one));
		doc_set(spec, S("clusterIPs"), ips);
	} else if (!one.n && !doc_is_empty(ips)) {
		doc_set_str(r->a, spec, S("clusterIP"), doc_as_str(doc_index(ips, 0)));
	}
}

static void
drop_node_ports(struct doc *spec)
{
	DOC_EACH (p, doc_get(spec, S("ports")))
		doc_set(p, S("nodePort"), NULL);
}

/* keep_node_ports: ports that had one and say nothing keep it. */
static void
keep_node_ports(struct request *r, struct doc *spec, const struct doc *old_spec)
{
	DOC_EACH (p, doc_get(spec, S("ports"))) {
		if (doc_get_int(p, S("nodePort"), 0))
			continue;
		DOC_EACH (q, doc_get(old_spec, S("ports"))) {
			if (doc_get_int(p, S("port"), -1) == doc_get_int(q, S("port"), -2) &&
				str_eq(doc_get_str(p, S("protocol")),
					doc_get_str(q, S("protocol"))) &&
				doc_get_int(q, S("nodePort"), 0))
				doc_set_int(
					r->a, p, S("nodePort"), doc_get_int(q, S("nodePort"), 0));
		}
	}
}

static void
prepare(struct request *r, struct doc *obj, const struct doc *old)
{
	struct doc *spec = doc_ensure_map(r->a, obj, S("spec"));
	const struct doc *old_spec = doc_get(old, S("spec"));
	if (!spec)
		return;
	normalise_ips(r, spec, old_spec);
	set_families(r, spec, old_spec);
	if (has_addresses(spec) && !doc_get(spec, S("internalTrafficPolicy")))
		doc_set_str(r->a, spec, S("internalTrafficPolicy"), S("Cluster"));
	bool external = str_eq_c(type_of(spec), "NodePort") ||
		str_eq_c(type_of(spec), "LoadBalancer");
	if (external && !doc_get(spec, S("externalTrafficPolicy")))
		doc_set_str(r->a, spec, S("externalTrafficPolicy"), S("Cluster"));
	if (!external && old)
		doc_set(spec, S("externalTrafficPolicy"), NULL);
	if (old && external && has_node_ports(old_spec))
		keep_node_ports(r, spec, old_spec);
	if (old && !external && has_node_ports(old_spec))
		drop_node_ports(spec);
	if (old && has_health_port(old_spec) && has_health_port(spec) && !health_port(spec))
		doc_set_int(r->a, spec, S("healthCheckNodePort"), health_port(old_spec));
	if (old && has_health_port(old_spec) && !has_health_port(spec) &&
		health_port(spec) == health_port(old_spec))
		doc_set(spec, S("healthCheckNodePort"), NULL);
}

static void
prepare_create(struct request *r, struct doc *obj)
{
	prepare(r, obj, NULL);
}

static void
prepare_update(struct request *r, struct doc *obj, const struct doc *old)
{
	prepare(r, obj, old);
}

/* ---- validation ---- */

/* The rest is checked by the schema (checks_service.c). */
static void
validate_create(struct request *r, const struct doc *obj)
{
	struct schema_errors *errs = &r->causes;
	const struct doc *spec = doc_get(obj, S("spec"));
	const struct api_ranges *k = request_ranges(r);
	bool both = ip_is_set(&k->service[0].addr) && ip_is_set(&k->service[1].addr);
	size_t i = 0;
	const struct doc *ips = doc_get(spec, S("clusterIPs"));
	DOC_EACH (ip, ips) {
		struct ip_addr a;
		struct str at = schema_path(errs, "spec.clusterIPs[%zu]", i++);
		char text[IP_TEXT_MAX];
		if (is_headless(spec) || ip_parse(doc_as_str(ip), &a) < 0 || i > 2)
			continue;
		const struct ip_prefix *range = &k->service[a.family == 6];
		ip_prefix_format(range, text);
		if (!ip_is_set(&range->addr) || !ip_prefix_contains(range, &a))
			schema_error_fmt(errs, SCHEMA_CAUSE_INVALID, at, ip,
				"failed to allocate IP " STR_FMT ": the provided IP (" STR_FMT
				") is not in the valid range. The range of "
				"valid IPs is %s",
				STR_ARG(doc_as_str(ip)), STR_ARG(doc_as_str(ip)), text);
	}
	if (str_eq_c(doc_get_str(spec, S("ipFamilyPolicy")), "RequireDualStack") && !both &&
		!(is_headless(spec) && doc_is_empty(doc_get(spec, S("selector")))))
		schema_err_invalid(errs, S("spec.ipFamilyPolicy"), S("RequireDualStack"),
			"this cluster is not configured for dual-stack services");
}

static void
validate_update(struct request *r, const struct doc *obj, const struct doc *old)
{
	(void)old;
	validate_create(r, obj);
}

/* ---- allocation ---- */

static struct commit_part *
part(struct request *r, struct str resource, struct str name, bool take)
{
	struct commit_part *p = request_part(r);
	if (!p)
		return NULL;
	p->resource = resource;
	p->name = name;
	p->put = take;
	p->del = !take;
	p->has_cond = take;
	p->cond = STORE_ABSENT;
	return p;
}

static enum step
address_taken(struct request *r, const struct commit_part *p)
{
	schema_error_fmt(&r->causes, SCHEMA_CAUSE_INVALID, S("spec.clusterIPs"),
		doc_str(r->a, p->name),
		"failed to allocate IP " STR_FMT ": provided IP is already allocated",
		STR_ARG(p->name));
	return request_fail_invalid(r);
}

/* part_shown: the same as an IPAddress, which says whose it is. */
static struct commit_part *
part_shown(struct request *r, const struct doc *service, struct str ip, bool take)
{
	struct commit_part *p = part(r, S("ipaddresses"), ip, take);
	char uid[37], now[40];
	if (!p)
		return NULL;
	p->group = S("networking.k8s.io");
	if (!take)
		return p;
	rand_uuid(uid);
	rfc3339_format(r->wall_ns, 0, now);
	struct str text = arena_fmt(r->a,
		"{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"IPAddress\",\"metadata\":{\"name\":"
		"\"" STR_FMT "\",\"uid\":\"%s\",\"creationTimestamp\":\"%s\",\"labels\":{"
		"\"ipaddress.kubernetes.io/ip-family\":\"%s\",\"ipaddress.kubernetes.io/managed-by\":"
		"\"ipallocator.k8s.io\"}},\"spec\":{\"parentRef\":{\"resource\":\"services\","
		"\"namespace\":\"" STR_FMT "\",\"name\":\"" STR_FMT "\"}}}",
		STR_ARG(ip), uid, now, str_find_char(ip, ':') < 0 ? "IPv4" : "IPv6", STR_ARG(r->ns),
		STR_ARG(meta_str(service, "name")));
	return doc_parse_json(r->a, text, NULL, &p->obj, NULL) == 0 ? p : NULL;
}

static enum step
port_taken(struct request *r, const struct commit_part *p)
{
	schema_error_fmt(&r->causes, SCHEMA_CAUSE_INVALID, S("spec.ports[0].nodePort"),
		doc_str(r->a, p->name), "provided port is already allocated");
	return request_fail_invalid(r);
}

static enum step
health_port_taken(struct request *r, const struct commit_part *p)
{
	return request_fail(r, R_INTERNAL_ERROR,
		"failed to allocate requested HealthCheck NodePort " STR_FMT
		": provided port is already allocated",
		STR_ARG(str_sub(p->name, 4, SIZE_MAX)));
}

/* random_address: a host of the range; the low part, 16 at least, is left to those who name an address. */
static struct str
random_address(struct request *r, const struct ip_prefix *range)
{
	struct ip_addr a = ip_prefix_masked(range).addr;
	unsigned bits = (unsigned)(ip_size(&a) * 8 - range->len);
	uint64_t hosts = bits >= 32 ? UINT32_MAX : ((uint64_t)1 << bits) - 2;
	uint64_t low = hosts / 16 < 16 ? 16 : hosts / 16 > 256 ? 256 : hosts / 16;
	if (hosts <= low + 1)
		low = 0;
	uint64_t n = low + 1 + rand_below(hosts - low);
	for (size_t i = ip_size(&a); n && i-- > 0; n >>= 8) {
		n += a.b[i];
		a.b[i] = (uint8_t)n;
	}
	char text[IP_TEXT_MAX];
	size_t len = ip_format(&a, text);
	return arena_str(r->a, str_from(text, len));
}

static bool
is_free(struct request *r, struct str resource, struct str name)
{
	struct doc *d = NULL;
	return request_read(r, S(""), resource, S(""), name, &d) == -ENOENT;
}

static enum step
take_addresses(
	struct request *r, const struct doc *service, struct doc *spec, const struct doc *old_spec)
{
	const struct api_ranges *k = request_ranges(r);
	struct doc *ips = doc_ensure_list(r->a, spec, S("clusterIPs"));
	size_t i = 0;
	if (!ips)
		return STEP_NEXT;
	/* What the client named, or what was there before. */
	DOC_EACH (ip, ips) {
		if (list_has(doc_get(old_spec, S("clusterIPs")), doc_as_str(ip)))
			continue;
		struct commit_part *p = part(r, ADDRESSES, doc_as_str(ip), true);
		if (p)
			p->conflict = address_taken;
		if ((p = part_shown(r, service, doc_as_str(ip), true)) != NULL)
			p->conflict = address_taken;
	}
	DOC_EACH (f, doc_get(spec, S("ipFamilies"))) {
		if (i++ < doc_len(ips))
			continue;
		const struct ip_prefix *range = &k->service[str_eq_c(doc_as_str(f), "IPv6")];
		struct str ip = STR_NONE;
		for (int t = 0; t < TRIES && !ip.n; t++) {
			ip = random_address(r, range);
			if (!is_free(r, ADDRESSES, ip))
				ip = STR_NONE;
		}
		if (!ip.n)
			return request_fail(r, R_INTERNAL_ERROR,
				"failed to allocate a serviceIP: range is full");
		doc_append(ips, doc_str(r->a, ip));
		/* a race for it: the whole write starts again */
		part(r, ADDRESSES, ip, true);
		part_shown(r, service, ip, true);
	}
	doc_set_str(r->a, spec, S("clusterIP"), doc_as_str(doc_index(ips, 0)));
	return STEP_NEXT;
}

static struct str
port_name(struct request *r, struct str protocol, int64_t number)
{
	return arena_fmt(r->a, STR_FMT "-%lld", STR_ARG(protocol), (long long)number);
}

/* free_port: one that nobody has; 0: none was found. */
static int64_t
free_port(struct request *r, struct str protocol)
{
	for (int t = 0; t < TRIES; t++) {
		int64_t n = NODE_PORT_MIN + (int64_t)rand_below(NODE_PORT_MAX - NODE_PORT_MIN + 1);
		if (is_free(r, NODE_PORTS, port_name(r, protocol, n)))
			return n;
	}
	return 0;
}

static bool
had_port(const struct doc *spec, const struct doc *port)
{
	DOC_EACH (p, doc_get(spec, S("ports")))
		if (doc_get_int(p, S("nodePort"), 0) == doc_get_int(port, S("nodePort"), -1) &&
			str_eq(doc_get_str(p, S("protocol")), doc_get_str(port, S("protocol"))))
			return true;
	return false;
}

static enum step
take_ports(struct request *r, struct doc *spec, const struct doc *old_spec)
{
	DOC_EACH (p, doc_get(spec, S("ports"))) {
		int64_t n = doc_get_int(p, S("nodePort"), 0);
		bool named = n != 0;
		if (named && had_port(old_spec, p))
			continue;
		if (named && (n < NODE_PORT_MIN || n > NODE_PORT_MAX)) {
			schema_err_invalid_int(&r->causes, S("spec.ports[0].nodePort"), n,
				"provided port is not in the valid range. The range of valid ports is "
				"30000-32767");
			return request_fail_invalid(r);
		}
		struct str protocol = doc_get_str(p, S("protocol"));
		if (!named)
			n = free_port(r, protocol);
		if (!n)
			return request_fail(r, R_INTERNAL_ERROR,
				"failed to allocate a nodePort: range is full");
		doc_set_int(r->a, p, S("nodePort"), n);
		struct commit_part *k = part(r, NODE_PORTS, port_name(r, protocol, n), true);
		if (k && named)
			k->conflict = port_taken;
	}
	return STEP_NEXT;
}

static enum step
take_health_port(struct request *r, struct doc *spec, const struct doc *old_spec)
{
	int64_t n = health_port(spec);
	bool named = n != 0;
	if (named && n == health_port(old_spec))
		return STEP_NEXT;
	if (!named)
		n = free_port(r, S("TCP"));
	if (n < NODE_PORT_MIN || n > NODE_PORT_MAX)
		return request_fail(r, R_INTERNAL_ERROR,
			"failed to allocate requested HealthCheck NodePort %lld: %s", (long long)n,
			named ? "provided port is not in the valid range. The range of valid ports is "
				"30000-32767"
			      : "range is full");
	doc_set_int(r->a, spec, S("healthCheckNodePort"), n);
	struct commit_part *k = part(r, NODE_PORTS, port_name(r, S("TCP"), n), true);
	if (k && named)
		k->conflict = health_port_taken;
	return STEP_NEXT;
}

/* give_back: what old held and the new state does not. */
static void
give_back(struct request *r, const struct doc *spec, const struct doc *old_spec)
{
	if (!is_headless(old_spec))
		DOC_EACH (ip, doc_get(old_spec, S("clusterIPs")))
			if (!list_has(doc_get(spec, S("clusterIPs")), doc_as_str(ip))) {
				part(r, ADDRESSES, doc_as_str(ip), false);
				part_shown(r, NULL, doc_as_str(ip), false);
			}
	DOC_EACH (p, doc_get(old_spec, S("ports"))) {
		int64_t n = doc_get_int(p, S("nodePort"), 0);
		if (n && !had_port(spec, p))
			part(r, NODE_PORTS, port_name(r, doc_get_str(p, S("protocol")), n), false);
	}
	if (health_port(old_spec) && health_port(old_spec) != health_port(spec))
		part(r, NODE_PORTS, port_name(r, S("TCP"), health_port(old_spec)), false);
}

static enum step
before_commit(struct request *r, struct doc *obj, const struct doc *old)
{
	struct doc *spec = doc_get(obj, S("spec"));
	const struct doc *old_spec = doc_get(old, S("spec"));
	enum step s = STEP_NEXT;
	if (spec && has_addresses(spec) && !is_headless(spec))
		s = take_addresses(r, obj, spec, old_spec);
	if (s == STEP_NEXT && spec && has_node_ports(spec))
		s = take_ports(r, spec, old_spec);
	if (s == STEP_NEXT && spec && has_health_port(spec))
		s = take_health_port(r, spec, old_spec);
	if (s == STEP_NEXT && old)
		give_back(r, spec, old_spec);
	return s;
}

const struct kind_ops service_ops = {
	.group = "",
	.resource = "services",
	.prepare_create = prepare_create,
	.prepare_update = prepare_update,
	.validate_create = validate_create,
	.validate_update = validate_update,
	.before_commit = before_commit,
	.warn = warn_service,
};
