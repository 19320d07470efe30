/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_service: Services and what stands behind them: Endpoints, EndpointSlices. What depends on the ranges
 * of the cluster is code in kinds/service.c.
 * Source: k8s.io/kubernetes pkg/apis/core/validation (validateService, ValidateServiceUpdate),
 * pkg/apis/discovery/validation. */
#include "orchestrator/schema/checks_int.h"

#include "base/ip.h"

/* ---- Services ---- */

static bool
is_headless(const struct doc *spec)
{
	return is(spec, "clusterIP", "None");
}

static bool
is_balanced(const struct doc *spec)
{
	return is(spec, "type", "LoadBalancer");
}

static void
check_service_ports(const struct schema_spot *s, const struct doc *spec)
{
	const struct doc *ports = get(spec, "ports");
	size_t n = doc_len(ports), i = 0;
	struct names by_name = names_new(s->errs->a, n), by_port = names_new(s->errs->a, n),
		     by_node = names_new(s->errs->a, n);

	if (n == 0 && !is(spec, "type", "ExternalName") && !is_headless(spec))
		REQUIRED(NULL, "ports");
	DOC_EACH (p, ports) {
		struct str name = text(p, "name"), protocol = text(p, "protocol");
		struct str port = arena_fmt(s->errs->a, STR_FMT "/%lld", STR_ARG(protocol),
			(long long)number(p, "port"));
		int64_t node = number(p, "nodePort");
		struct str key = arena_fmt(
			s->errs->a, STR_FMT "/%lld", STR_ARG(protocol), (long long)node);

		if (n > 1 && !name.n)
			REQUIRED(NULL, "ports[%zu].name", i);
		if (name.n && !names_add(&by_name, name, p))
			DUPLICATE(name, "ports[%zu].name", i);
		check_port_or_name(s, get(p, "targetPort"),
			arena_fmt(s->errs->a, "ports[%zu].targetPort", i).p);
		if (node && is(spec, "type", "ClusterIP"))
			FORBIDDEN("may not be used when `type` is 'ClusterIP'",
				"ports[%zu].nodePort", i);
		if (node && !names_add(&by_node, key, p))
			schema_error_add(s->errs, SCHEMA_CAUSE_DUPLICATE,
				AT("ports[%zu].nodePort", i), get(p, "nodePort"), STR(""));
		if (!names_add(&by_port, port, p))
			schema_error_add(
				s->errs, SCHEMA_CAUSE_DUPLICATE, AT("ports[%zu]", i), p, STR(""));
		i++;
	}
}

static void
check_families(const struct schema_spot *s, const struct doc *spec)
{
	static const char *const known[] = {"IPv4", "IPv6", NULL};
	const struct doc *families = get(spec, "ipFamilies");
	struct names seen = names_new(s->errs->a, doc_len(families));
	size_t i = 0;

	DOC_EACH (f, families) {
		if (!one_of(known, doc_as_str(f)))
			UNSUPPORTED(doc_as_str(f), known, "ipFamilies[%zu]", i);
		if (!names_add(&seen, doc_as_str(f), f))
			DUPLICATE(doc_as_str(f), "ipFamilies[%zu]", i);
		i++;
	}
}

static void
check_cluster_ips(const struct schema_spot *s, const struct doc *spec)
{
	const struct doc *ips = get(spec, "clusterIPs"), *families = get(spec, "ipFamilies");
	struct str one = text(spec, "clusterIP"), first = doc_as_str(doc_index(ips, 0));
	unsigned have[2] = {0, 0};
	size_t i = 0;

	if (one.n && doc_is_empty(ips))
		REQUIRED(NULL, "clusterIPs");
	else if (one.n && !str_eq(one, first))
		INVALID_DOC(ips, "first value must match `clusterIP`", "clusterIPs");
	else if (!one.n && !doc_is_empty(ips))
		INVALID_DOC(ips, "must be empty when `clusterIP` is not specified", "clusterIPs");
	DOC_EACH (ip, ips) {
		struct str family = doc_as_str(doc_index(families, i));
		struct ip_addr a = {0};

		if (i == 0 && str_eq_c(doc_as_str(ip), "None")) {
			if (doc_len(ips) > 1)
				INVALID_DOC(ips, "'None' must be the first and only value",
					"clusterIPs");
			return;
		}
		FORMAT(FORMAT_IP, doc_as_str(ip), "clusterIPs[%zu]", i);
		if (ip_parse(doc_as_str(ip), &a) == 0) {
			have[a.family == 6]++;
			if (family.n && str_eq_c(family, a.family == 6 ? "IPv4" : "IPv6"))
				schema_error_fmt(s->errs, SCHEMA_CAUSE_INVALID,
					AT("clusterIPs[%zu]", i), ip,
					"expected an %s value as indicated by `ipFamilies[%zu]`",
					a.family == 6 ? "IPv4" : "IPv6", i);
		}
		if (++i > 2) {
			INVALID_DOC(ips, "may only hold up to 2 values", "clusterIPs");
			return;
		}
	}
	if (have[0] > 1 || have[1] > 1)
		INVALID_DOC(
			ips, "may specify no more than one IP for each IP family", "clusterIPs");
}

static void
check_external_name(const struct schema_spot *s, const struct doc *spec)
{
	static const char *const unset[] = {"clusterIPs", "ipFamilies", "ipFamilyPolicy", NULL};
	struct str name = text(spec, "externalName");

	for (const char *const *p = unset; *p; p++)
		if (!doc_is_empty(get(spec, *p)))
			FORBIDDEN("may not be set for ExternalName services", "%s", *p);
	if (str_ends(name, STR(".")))
		name.n--;
	if (name.n)
		FORMAT(FORMAT_DNS_SUBDOMAIN, name, "externalName");
	else
		REQUIRED(NULL, "externalName");
}

static void
check_balancer(const struct schema_spot *s, const struct doc *spec)
{
	static const char only[] = "may only be used when `type` is 'LoadBalancer'";
	const struct doc *ranges = get(spec, "loadBalancerSourceRanges");
	bool lb = is_balanced(spec);
	size_t i = 0;

	if (!doc_is_empty(ranges) && !lb)
		FORBIDDEN(only, "LoadBalancerSourceRanges");
	DOC_EACH (r, ranges)
		FORMAT(FORMAT_CIDR, str_trim(doc_as_str(r)), "LoadBalancerSourceRanges[%zu]", i++);
	if (get(spec, "allocateLoadBalancerNodePorts") && !lb)
		FORBIDDEN(only, "allocateLoadBalancerNodePorts");
	if (get(spec, "loadBalancerClass") && !lb)
		FORBIDDEN(only, "loadBalancerClass");
	if (lb && is_headless(spec))
		INVALID(STR("None"), "may not be set to 'None' for LoadBalancer services",
			"clusterIPs[0]");
	if (is(spec, "type", "NodePort") && is_headless(spec))
		INVALID(STR("None"), "may not be set to 'None' for NodePort services",
			"clusterIPs[0]");
}

static void
check_traffic(const struct schema_spot *s, const struct doc *spec)
{
	bool lb = is_balanced(spec), outside = lb || is(spec, "type", "NodePort");
	bool local = lb && is(spec, "externalTrafficPolicy", "Local");
	const struct doc *seconds = get(
		get(get(spec, "sessionAffinityConfig"), "clientIP"), "timeoutSeconds");

	outside = outside ||
		(!doc_is_empty(get(spec, "externalIPs")) && is(spec, "type", "ClusterIP"));
	if (text(spec, "externalTrafficPolicy").n && !outside)
		INVALID(text(spec, "externalTrafficPolicy"),
			"may only be set for externally-accessible services",
			"externalTrafficPolicy");
	if (number(spec, "healthCheckNodePort") && !local)
		INVALID_INT(number(spec, "healthCheckNodePort"),
			"may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is "
			"'Local'",
			"healthCheckNodePort");
	if (seconds && is(spec, "sessionAffinity", "ClientIP") &&
		(doc_as_int(seconds, 0) <= 0 || doc_as_int(seconds, 0) > 86400))
		INVALID_DOC(seconds, "must be greater than 0 and less than 86400",
			"sessionAffinityConfig.clientIP.timeoutSeconds");
	if (is(spec, "sessionAffinity", "None") && get(spec, "sessionAffinityConfig"))
		FORBIDDEN("must not be set when session affinity is None", "sessionAffinityConfig");
}

static void
check_service_update(const struct schema_spot *s, const struct doc *spec, const struct doc *was)
{
	bool lb = is_balanced(spec) && is_balanced(was);
	bool local = is(spec, "externalTrafficPolicy", "Local") &&
		is(was, "externalTrafficPolicy", "Local");
	bool named = !is(spec, "type", "ExternalName") && !is(was, "type", "ExternalName");
	const struct doc *first = doc_index(get(spec, "clusterIPs"), 0);
	const struct doc *first_was = doc_index(get(was, "clusterIPs"), 0);
	const struct doc *family = doc_index(get(spec, "ipFamilies"), 0);
	const struct doc *family_was = doc_index(get(was, "ipFamilies"), 0);

	if (named && first_was && !doc_equal(first, first_was))
		INVALID_DOC(get(spec, "clusterIPs"), "may not change once set", "clusterIPs[0]");
	if (named && family_was && family && !doc_equal(family, family_was))
		INVALID_DOC(get(spec, "ipFamilies"), "may not change once set", "ipFamilies[0]");
	if (lb && differs(get(spec, "loadBalancerClass"), get(was, "loadBalancerClass")))
		INVALID_DOC(get(spec, "loadBalancerClass"), "may not change once set",
			"loadBalancerClass");
	if (lb && local &&
		number(spec, "healthCheckNodePort") != number(was, "healthCheckNodePort"))
		FORBIDDEN("field is immutable", "healthCheckNodePort");
}

CHECK(core_v1_service_spec)
{
	size_t i = 0;

	check_service_ports(s, d);
	if (is(d, "type", "ExternalName")) {
		check_external_name(s, d);
	} else {
		check_families(s, d);
		check_cluster_ips(s, d);
	}
	check_pairs(s, get(d, "selector"), "selector");
	check_balancer(s, d);
	check_traffic(s, d);
	DOC_EACH (ip, get(d, "externalIPs"))
		check_endpoint_ip(
			s, doc_as_str(ip), arena_fmt(s->errs->a, "externalIPs[%zu]", i++).p);
	if (old)
		check_service_update(s, d, old);
}

#define TOPOLOGY_MODE "service.kubernetes.io/topology-mode"
#define TOPOLOGY_HINTS "service.kubernetes.io/topology-aware-hints"

CHECK(core_v1_service)
{
	const struct doc *notes = get(get(d, "metadata"), "annotations");
	const struct doc *mode = get(notes, TOPOLOGY_MODE), *hints = get(notes, TOPOLOGY_HINTS);
	const struct doc *ingress = get(get(get(d, "status"), "loadBalancer"), "ingress");

	(void)old;
	if (mode && hints && !doc_equal(mode, hints))
		INVALID(doc_as_str(mode),
			"must match annotations[" TOPOLOGY_HINTS "] when both are specified",
			"metadata.annotations[" TOPOLOGY_MODE "]");
	if (!doc_is_empty(ingress) && !is_balanced(get(d, "spec")))
		FORBIDDEN("may only be used when `spec.type` is 'LoadBalancer'",
			"status.loadBalancer.ingress");
}

CHECK(core_v1_load_balancer_ingress)
{
	(void)old;
	check_lb_ingress(s, d);
	if (text(d, "ip").n && get(d, "ipMode") == NULL)
		REQUIRED("must be specified when `ip` is set", "ipMode");
	else if (!text(d, "ip").n && get(d, "ipMode"))
		FORBIDDEN("may not be specified when `ip` is not set", "ipMode");
}

CHECK(networking_v1_ingress_load_balancer_ingress)
{
	(void)old;
	check_lb_ingress(s, d);
}

/* ---- endpoints ---- */

CHECK(core_v1_endpoint_subset)
{
	const struct doc *ports = get(d, "ports");
	size_t i = 0;

	(void)old;
	if (doc_is_empty(get(d, "addresses")) && doc_is_empty(get(d, "notReadyAddresses")))
		REQUIRED("must specify `addresses` or `notReadyAddresses`", "%s", "");
	DOC_EACH (p, ports) {
		if (doc_len(ports) > 1 && !text(p, "name").n)
			REQUIRED(NULL, "ports[%zu].name", i);
		i++;
	}
}

CHECK(core_v1_endpoint_address)
{
	(void)old;
	check_endpoint_ip(s, text(d, "ip"), "ip");
}

static void
check_slice_address(
	const struct schema_spot *s, struct str type, const struct doc *v, size_t i, size_t k)
{
	const char *at = arena_fmt(s->errs->a, "endpoints[%zu].addresses[%zu]", i, k).p;
	struct ip_addr a = {0};
	struct str ip = doc_as_str(v);
	bool parsed = ip_parse(ip, &a) == 0;

	if (str_eq_c(type, "FQDN")) {
		struct str name = str_ends(ip, STR(".")) ? str_sub(ip, 0, ip.n - 1) : ip;

		if (format_check(s->errs->a, FORMAT_DNS_SUBDOMAIN, name))
			schema_err_format(s->errs, AT("%s", at), FORMAT_DNS_SUBDOMAIN, name);
		else if (str_find_char(name, '.') < 0)
			INVALID(name,
				"should be a domain with at least two segments separated by dots",
				"%s", at);
		return;
	}
	if (parsed && str_eq_c(type, a.family == 6 ? "IPv4" : "IPv6"))
		INVALID(ip,
			str_eq_c(type, "IPv4") ? "must be an IPv4 address"
					       : "must be an IPv6 address",
			"endpoints[%zu].addresses", i);
	else
		check_endpoint_ip(s, ip, at);
}

CHECK(discovery_v1_endpoint_slice)
{
	const struct doc *ports = get(d, "ports");
	struct names seen = names_new(s->errs->a, doc_len(ports));
	size_t i = 0;

	(void)old;
	DOC_EACH (e, get(d, "endpoints")) {
		size_t k = 0;

		DOC_EACH (a, get(e, "addresses"))
			check_slice_address(s, text(d, "addressType"), a, i, k++);
		i++;
	}
	i = 0;
	DOC_EACH (p, ports) {
		if (text(p, "name").n)
			FORMAT(FORMAT_DNS_LABEL, text(p, "name"), "ports[%zu].name", i);
		if (!names_add(&seen, text(p, "name"), p))
			DUPLICATE(text(p, "name"), "ports[%zu].name", i);
		i++;
	}
}

static void
check_hints(const struct schema_spot *s, const struct doc *list, enum schema_format format,
	const char *at)
{
	struct names seen = names_new(s->errs->a, doc_len(list));
	size_t i = 0;

	DOC_EACH (h, list) {
		if (!names_add(&seen, text(h, "name"), h))
			DUPLICATE(text(h, "name"), "%s[%zu].name", at, i);
		FORMAT(format, text(h, "name"), "%s[%zu].name", at, i);
		i++;
	}
}

CHECK(discovery_v1_endpoint_hints)
{
	(void)old;
	check_hints(s, get(d, "forZones"), FORMAT_LABEL_VALUE, "forZones");
	check_hints(s, get(d, "forNodes"), FORMAT_DNS_SUBDOMAIN, "forNodes");
}
