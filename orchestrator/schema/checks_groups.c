/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_groups: kinds of networking, policy, rbac, scheduling and events.
 * Source: k8s.io/kubernetes pkg/apis/{networking,policy,rbac,scheduling,core}/validation. */
#include "orchestrator/schema/checks_int.h"

#include "base/ip.h"

/* ---- Ingress ---- */

static void
check_backend(const struct schema_spot *s, const struct doc *b, const char *at)
{
	const struct doc *resource = get(b, "resource"), *service = get(b, "service");
	const struct doc *port = get(service, "port");
	struct str name = text(port, "name");
	int64_t n = number(port, "number");

	if (b == NULL)
		return;
	if (resource && service) {
		INVALID(STR(""), "cannot set both resource and service backends", "%s", at);
		return;
	}
	if (resource) {
		static const char *const named[] = {"kind", "name", NULL};

		for (const char *const *m = named; *m; m++) {
			if (text(resource, *m).n)
				FORMAT(FORMAT_PATH_SEGMENT, text(resource, *m), "%s.resource.%s",
					at, *m);
			else
				REQUIRED(NULL, "%s.resource.%s", at, *m);
		}
		return;
	}
	if (service == NULL) {
		INVALID(STR(""), "resource or service backend is required", "%s", at);
		return;
	}
	if (!text(service, "name").n)
		REQUIRED(NULL, "%s.service.name", at);
	else
		FORMAT(FORMAT_DNS_LABEL, text(service, "name"), "%s.service.name", at);
	if (name.n && n)
		INVALID(STR(""), "cannot set both port name & port number", "%s", at);
	else if (name.n)
		FORMAT(FORMAT_PORT_NAME, name, "%s.service.port.name", at);
	else if (n && !is_port(n))
		INVALID_INT(n, format_text_port, "%s.service.port.number", at);
	else if (n == 0)
		REQUIRED("port name or number is required", "%s", at);
}

static const char text_wildcard[] =
	"a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must "
	"consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. "
	"'*.example.com', regex used for validation is "
	"'\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/* check_host: a DNS name, or one behind "*.". */
static void
check_host(const struct schema_spot *s, struct str host, const char *at)
{
	struct ip_addr ip = {0};

	if (ip_parse(host, &ip) == 0)
		INVALID(host, "must be a DNS name, not an IP address", "%s", at);
	else if (!str_starts(host, STR("*")))
		FORMAT(FORMAT_DNS_SUBDOMAIN, host, "%s", at);
	else if (host.n > 253 || !str_starts(host, STR("*.")) ||
		format_check(s->errs->a, FORMAT_DNS_SUBDOMAIN, str_sub(host, 2, SIZE_MAX)))
		INVALID(host, text_wildcard, "%s", at);
}

/* What a path may not have in it, and not at its end. */
static const char *const bad_inside[] = {"//", "/./", "/../", "%2f", "%2F", NULL};
static const char *const bad_ends[] = {"/..", "/.", NULL};

CHECK(networking_v1_http_ingress_path)
{
	struct str path = text(d, "path");
	bool exact = is(d, "pathType", "Exact") || is(d, "pathType", "Prefix");

	(void)old;
	if (!text(d, "pathType").n)
		REQUIRED("pathType must be specified", "pathType");
	if ((exact || path.n) && (path.n == 0 || path.p[0] != '/'))
		INVALID(path, "must be an absolute path", "path");
	for (const char *const *b = bad_inside; *b && exact; b++)
		if (str_find(path, str_c(*b)) >= 0)
			INVALID(path, arena_fmt(s->errs->a, "must not contain '%s'", *b).p, "path");
	for (const char *const *b = bad_ends; *b && exact; b++)
		if (str_ends(path, str_c(*b)))
			INVALID(path, arena_fmt(s->errs->a, "cannot end with '%s'", *b).p, "path");
	check_backend(s, get(d, "backend"), "backend");
}

#define INGRESS_CLASS "kubernetes.io/ingress.class"

CHECK(networking_v1_ingress)
{
	const struct doc *spec = get(d, "spec");
	const struct doc *class = get(get(get(d, "metadata"), "annotations"), INGRESS_CLASS);
	struct str name = text(spec, "ingressClassName");

	if (old == NULL && class && name.n && !str_eq(name, doc_as_str(class)))
		INVALID(doc_as_str(class), "must match `ingressClassName` when both are specified",
			"annotations." INGRESS_CLASS);
}

CHECK(networking_v1_ingress_spec)
{
	size_t i = 0;

	(void)old;
	if (doc_is_empty(get(d, "rules")) && get(d, "defaultBackend") == NULL)
		INVALID_DOC(NULL, "either `defaultBackend` or `rules` must be specified", "%s", "");
	check_backend(s, get(d, "defaultBackend"), "defaultBackend");
	DOC_EACH (r, get(d, "rules")) {
		if (text(r, "host").n)
			check_host(
				s, text(r, "host"), arena_fmt(s->errs->a, "rules[%zu].host", i).p);
		i++;
	}
	i = 0;
	DOC_EACH (t, get(d, "tls")) {
		size_t k = 0;

		DOC_EACH (h, get(t, "hosts"))
			check_host(s, doc_as_str(h),
				arena_fmt(s->errs->a, "tls[%zu].hosts[%zu]", i, k++).p);
		if (text(t, "secretName").n)
			FORMAT(FORMAT_DNS_SUBDOMAIN, text(t, "secretName"), "tls[%zu].secretName",
				i);
		i++;
	}
}

/* The spec may be missing as a whole. */
CHECK(networking_v1_ingress_class)
{
	(void)old;
	if (!text(get(d, "spec"), "controller").n)
		REQUIRED(NULL, "spec.controller");
}

CHECK(networking_v1_ingress_class_spec)
{
	struct str name = text(d, "controller"), domain = STR_NONE, path = STR_NONE;

	if (name.n && (!str_cut(name, '/', &domain, &path) || path.n == 0))
		INVALID(name, "must be a domain-prefixed path (such as \"acme.io/foo\")",
			"controller");
	else if (name.n)
		FORMAT(FORMAT_DNS_SUBDOMAIN, domain, "controller");
	check_immutable_member(s, d, old, "controller");
}

CHECK(networking_v1_ingress_class_parameters_reference)
{
	(void)old;
	if (is(d, "scope", "Namespace") && !text(d, "namespace").n)
		REQUIRED("`parameters.scope` is set to 'Namespace'", "namespace");
	else if (is(d, "scope", "Cluster") && get(d, "namespace"))
		FORBIDDEN("`parameters.scope` is set to 'Cluster'", "namespace");
}

/* ---- NetworkPolicy ---- */

CHECK(networking_v1_network_policy_port)
{
	static const char *const protocols[] = {"TCP", "UDP", "SCTP", NULL};
	const struct doc *port = get(d, "port"), *end = get(d, "endPort");

	(void)old;
	if (get(d, "protocol") && !one_of(protocols, text(d, "protocol")))
		UNSUPPORTED(text(d, "protocol"), protocols, "protocol");
	check_port_or_name(s, port, "port");
	if (end == NULL)
		return;
	if (port == NULL)
		INVALID_DOC(end, "may not be specified when `port` is not specified", "endPort");
	else if (port->type == DOC_STR)
		INVALID_DOC(end, "may not be specified when `port` is non-numeric", "endPort");
	else if (doc_as_int(end, 0) < port->i)
		INVALID_DOC(end, "must be greater than or equal to `port`", "endPort");
	if (!is_port(doc_as_int(end, 0)))
		INVALID_DOC(end, format_text_port, "endPort");
}

CHECK(networking_v1_network_policy_peer)
{
	static const char *const selectors[] = {"podSelector", "namespaceSelector", NULL};
	size_t n = count_members(d, selectors);

	(void)old;
	if (n + (get(d, "ipBlock") != NULL) == 0)
		REQUIRED("must specify a peer", "%s", "");
	else if (n && get(d, "ipBlock"))
		FORBIDDEN("may not specify both ipBlock and another peer", "%s", "");
}

CHECK(networking_v1_ip_block)
{
	struct ip_prefix block = {0}, inner = {0};
	struct str cidr = text(d, "cidr");
	bool parsed = ip_prefix_parse(cidr, &block) == 0;
	size_t i = 0;

	(void)old;
	if (cidr.n)
		FORMAT(FORMAT_CIDR, cidr, "cidr");
	DOC_EACH (e, parsed ? get(d, "except") : NULL) {
		FORMAT(FORMAT_CIDR, doc_as_str(e), "except[%zu]", i);
		if (ip_prefix_parse(doc_as_str(e), &inner) == 0 &&
			(!ip_prefix_contains(&block, &inner.addr) || inner.len <= block.len))
			INVALID(doc_as_str(e),
				arena_fmt(s->errs->a, "must be a strict subset of `cidr`").p,
				"except[%zu]", i);
		i++;
	}
}

CHECK(networking_v1_network_policy_spec)
{
	const struct doc *types = get(d, "policyTypes");

	(void)old;
	if (doc_len(types) > 2)
		INVALID_DOC(types, "may not specify more than two policyTypes", "policyTypes");
}

/* ---- addresses of Services ---- */

CHECK(networking_v1_ip_address)
{
	struct str name = text(get(d, "metadata"), "name");

	if (old == NULL && name.n)
		FORMAT(FORMAT_IP, name, "metadata.name");
}

CHECK(networking_v1_service_cidr_spec)
{
	const struct doc *cidrs = get(d, "cidrs"), *before = get(old, "cidrs");
	unsigned have[2] = {0, 0};
	size_t i = 0;

	if (doc_is_empty(cidrs)) {
		REQUIRED("at least one CIDR required", "cidrs");
		return;
	}
	DOC_EACH (c, cidrs) {
		struct ip_prefix p = {0};

		FORMAT(FORMAT_CIDR, doc_as_str(c), "cidrs[%zu]", i);
		if (ip_prefix_parse(doc_as_str(c), &p) == 0)
			have[p.addr.family == 6]++;
		if (before && i < doc_len(before) && !doc_equal(c, doc_index(before, i)))
			INVALID_DOC(c, format_text_immutable, "cidrs[%zu]", i);
		if (++i > 2)
			break;
	}
	if (doc_len(cidrs) > 2)
		INVALID_DOC(cidrs, "may only hold up to 2 values", "cidrs");
	else if (have[0] > 1 || have[1] > 1)
		INVALID_DOC(cidrs,
			"may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and "
			"2001:db8::/64",
			"cidrs");
}

/* ---- policy ---- */

CHECK(policy_v1_pod_disruption_budget_spec)
{
	(void)old;
	if (get(d, "minAvailable") && get(d, "maxUnavailable"))
		INVALID_DOC(d, "minAvailable and maxUnavailable cannot be both set", "%s", "");
	check_share(s, d, "minAvailable", "minAvailable", 100);
	check_share(s, d, "maxUnavailable", "maxUnavailable", 100);
}

CHECK(policy_v1_pod_disruption_budget_status)
{
	static const char *const counters[] = {
		"disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods", NULL};

	(void)old;
	check_not_negative(s, d, counters);
	check_conditions(s, d);
}

/* ---- rights ---- */

CHECK(rbac_v1_policy_rule)
{
	static const char *const of_resources[] = {"apiGroups", "resources", "resourceNames", NULL};
	const struct doc *urls = get(d, "nonResourceURLs");

	(void)old;
	if (!doc_is_empty(urls)) {
		for (const char *const *m = of_resources; *m; m++)
			if (!doc_is_empty(get(d, *m))) {
				INVALID_DOC(urls,
					"rules cannot apply to both regular resources and non-resource "
					"URLs",
					"nonResourceURLs");
				return;
			}
		return;
	}
	if (doc_is_empty(get(d, "apiGroups")))
		REQUIRED("resource rules must supply at least one api group", "apiGroups");
	if (doc_is_empty(get(d, "resources")))
		REQUIRED("resource rules must supply at least one resource", "resources");
}

CHECK(rbac_v1_role)
{
	size_t i = 0;

	(void)old;
	DOC_EACH (r, get(d, "rules")) {
		if (!doc_is_empty(get(r, "nonResourceURLs")))
			INVALID_DOC(get(r, "nonResourceURLs"),
				"namespaced rules cannot apply to non-resource URLs",
				"rules[%zu].nonResourceURLs", i);
		i++;
	}
}

CHECK(rbac_v1_aggregation_rule)
{
	(void)old;
	if (doc_is_empty(get(d, "clusterRoleSelectors")))
		REQUIRED("at least one clusterRoleSelector required if aggregationRule is non-nil",
			"clusterRoleSelectors");
}

#define RBAC "rbac.authorization.k8s.io"

static void
check_binding(
	const struct schema_spot *s, const struct doc *d, const char *const *kinds, bool namespaced)
{
	static const char *const group[] = {RBAC, NULL};
	static const char *const none[] = {"", NULL};
	static const char *const subjects[] = {"ServiceAccount", "User", "Group", NULL};
	const struct doc *ref = get(d, "roleRef");
	size_t i = 0;

	if (!is(ref, "apiGroup", RBAC))
		UNSUPPORTED(text(ref, "apiGroup"), group, "roleRef.apiGroup");
	if (!one_of(kinds, text(ref, "kind")))
		UNSUPPORTED(text(ref, "kind"), kinds, "roleRef.kind");
	if (text(ref, "name").n)
		FORMAT(FORMAT_PATH_SEGMENT, text(ref, "name"), "roleRef.name");
	DOC_EACH (x, get(d, "subjects")) {
		struct str name = text(x, "name"), api = text(x, "apiGroup");
		bool account = is(x, "kind", "ServiceAccount");

		if (!one_of(subjects, text(x, "kind"))) {
			UNSUPPORTED(text(x, "kind"), subjects, "subjects[%zu].kind", i);
		} else if (account) {
			if (name.n)
				FORMAT(FORMAT_DNS_SUBDOMAIN, name, "subjects[%zu].name", i);
			if (api.n)
				UNSUPPORTED(api, none, "subjects[%zu].apiGroup", i);
		} else if (!str_eq_c(api, RBAC)) {
			UNSUPPORTED(api, group, "subjects[%zu].apiGroup", i);
		}
		if (account && !namespaced && !text(x, "namespace").n)
			REQUIRED(NULL, "subjects[%zu].namespace", i);
		i++;
	}
}

static const char *const cluster_role[] = {"ClusterRole", NULL};
static const char *const any_role[] = {"Role", "ClusterRole", NULL};

CHECK(rbac_v1_cluster_role_binding)
{
	(void)old;
	check_binding(s, d, cluster_role, false);
}

CHECK(rbac_v1_role_binding)
{
	(void)old;
	check_binding(s, d, any_role, true);
}

/* ---- nodes, scheduling, coordination ---- */

CHECK(node_v1_runtime_class)
{
	(void)old;
	DOC_EACH (q, get(get(d, "overhead"), "podFixed"))
		check_resource(s, q, "overhead.limits", USE_CONTAINER);
	check_pairs(s, get(get(d, "scheduling"), "nodeSelector"), "scheduling.nodeSelector");
}

static bool
has_true(const struct doc *d, const char *type)
{
	DOC_EACH (c, get(get(d, "status"), "conditions"))
		if (is(c, "type", type) && is(c, "status", "True"))
			return true;
	return false;
}

CHECK(storagemigration_v1_storage_version_migration)
{
	const struct doc *of = get(get(d, "spec"), "resource"), *st = get(d, "status");
	struct str group = text(of, "group"), resource = text(of, "resource");
	struct str version = text(st, "resourceVersion"),
		   was = text(get(old, "status"), "resourceVersion");
	bool good = has_true(d, "Succeeded"), bad = has_true(d, "Failed");

	if (resource.n)
		FORMAT(FORMAT_DNS1035_LABEL, resource, "spec.resource.resource");
	else
		REQUIRED("resource is required to be set", "spec.resource.resource");
	if (group.n)
		FORMAT(FORMAT_DNS_SUBDOMAIN, group, "spec.resource.group");
	if (old && differs(get(d, "spec"), get(old, "spec")))
		INVALID_DOC(get(d, "spec"), format_text_immutable, "spec");
	if (was.n && !str_eq(was, version))
		INVALID(version, format_text_immutable, "status.resourceVersion");
	if (good && bad)
		INVALID_DOC(get(st, "conditions"),
			"Both success and failed conditions cannot be true at the same time",
			"status.conditions");
	if (has_true(old, "Succeeded") && !good)
		INVALID_DOC(get(st, "conditions"),
			"Success condition cannot be set to false once it is true",
			"status.conditions");
	if (has_true(old, "Failed") && !bad)
		INVALID_DOC(get(st, "conditions"),
			"Failed condition cannot be set to false once it is true",
			"status.conditions");
}

static const struct {
	const char *name;
	int64_t value;
} system_classes[] = {
	{"system-node-critical", 2000001000}, {"system-cluster-critical", 2000000000}};

CHECK(scheduling_v1_priority_class)
{
	struct str name = text(get(d, "metadata"), "name");
	int64_t value = number(d, "value");
	bool known = false;

	for (size_t i = 0; i < ARRAY_LEN(system_classes); i++)
		known |= str_eq_c(name, system_classes[i].name) && value == system_classes[i].value;
	if (str_starts(name, STR("system-")) && !known)
		schema_error_fmt(s->errs, SCHEMA_CAUSE_FORBIDDEN, AT("metadata.name"), NULL,
			"priority class names with 'system-' prefix are reserved for system use only. "
			"error: " STR_FMT " is not a known system priority class",
			STR_ARG(name));
	if (!str_starts(name, STR("system-")) && value > 1000000000)
		FORBIDDEN(
			"maximum allowed value of a user defined priority is 1000000000", "value");
	if (old && value != number(old, "value"))
		FORBIDDEN("may not be changed in an update.", "value");
	check_immutable_member(s, d, old, "preemptionPolicy");
}

CHECK(coordination_v1_lease_spec)
{
	const struct doc *seconds = get(d, "leaseDurationSeconds");

	(void)old;
	if (seconds && doc_as_int(seconds, 1) <= 0)
		INVALID_DOC(seconds, "must be greater than 0", "leaseDurationSeconds");
}

/* ---- events ---- */

/* Their names in the two forms of Events; errors name the older. */
static const char *const event_words[][2] = {{"reportingComponent", "reportingController"},
	{"reportingInstance", "reportingInstance"}, {"action", "action"}, {"reason", "reason"}};

/* check_event_words: of Events that say when exactly they happened. */
static void
check_event_words(const struct schema_spot *s, const struct doc *d)
{
	for (size_t i = 0; i < ARRAY_LEN(event_words); i++) {
		struct str v = text(d, event_words[i][0]);

		if (v.n == 0)
			v = text(d, event_words[i][1]);
		if (v.n == 0)
			REQUIRED(NULL, "%s", event_words[i][0]);
		if (i == 0)
			FORMAT(FORMAT_QUALIFIED_NAME, v, "%s", event_words[i][0]);
		else if (v.n > 128)
			INVALID(STR(""), "can have at most 128 characters", "%s",
				event_words[i][0]);
	}
}

/* check_about: an Event stands where its object does; a newer one, that says when exactly, need not. */
static void
check_about(const struct schema_spot *s, const struct doc *d, const struct doc *about)
{
	struct str ns = text(about, "namespace"), own = text(get(d, "metadata"), "namespace");

	if (ns.n == 0 && !str_eq_c(own, "default") && !str_eq_c(own, "kube-system"))
		INVALID(ns, "does not match event.namespace", "involvedObject.namespace");
	else if (ns.n && !str_eq(ns, own) && !text(d, "eventTime").n)
		INVALID(ns, "does not match event.namespace", "involvedObject.namespace");
}

CHECK(core_v1_event)
{
	check_about(s, d, get(d, "involvedObject"));
	if (old || !text(d, "eventTime").n)
		return;
	check_event_words(s, d);
	if (text(d, "message").n > 1024)
		INVALID(STR(""), "can have at most 1024 characters", "message");
}

CHECK(events_v1_event)
{
	static const char *const outdated[] = {"deprecatedFirstTimestamp",
		"deprecatedLastTimestamp", "deprecatedCount", "deprecatedSource", NULL};
	static const char *const shown[] = {"firstTimestamp", "lastTimestamp", "count", "source"};
	static const char *const types[] = {"Normal", "Warning", NULL};
	static const struct {
		const char *member, *shown;
	} fixed[] = {{"regarding", "involvedObject"}, {"reason", "reason"}, {"note", "message"},
		{"deprecatedSource", "source"}, {"deprecatedFirstTimestamp", "firstTimestamp"},
		{"deprecatedLastTimestamp", "lastTimestamp"}, {"deprecatedCount", "count"},
		{"type", "type"}, {"eventTime", "eventTime"}, {"action", "action"},
		{"related", "related"}, {"reportingController", "reportingController"},
		{"reportingInstance", "reportingInstance"}};

	check_about(s, d, get(d, "regarding"));
	for (size_t i = 0; old && i < ARRAY_LEN(fixed); i++)
		if (differs(get(d, fixed[i].member), get(old, fixed[i].member)))
			INVALID_DOC(get(d, fixed[i].member) ? get(d, fixed[i].member)
							    : doc_null(s->errs->a),
				format_text_immutable, "%s", fixed[i].shown);
	if (get(d, "series") && number(get(d, "series"), "count") < 2)
		INVALID(STR(""), "should be at least 2", "series.count");
	if (old)
		return;
	if (!text(d, "eventTime").n)
		REQUIRED(NULL, "eventTime");
	if (!one_of(types, text(d, "type")))
		schema_error_fmt(s->errs, SCHEMA_CAUSE_INVALID, AT("type"),
			doc_str(s->errs->a, STR("")), "has invalid value: " STR_FMT,
			STR_ARG(text(d, "type")));
	for (size_t i = 0; outdated[i]; i++) {
		if (!doc_is_zero(get(d, outdated[i])))
			INVALID(STR(""), "needs to be unset", "%s", shown[i]);
	}
	check_event_words(s, d);
	if (text(d, "note").n > 1024)
		INVALID(STR(""), "can have at most 1024 characters", "message");
}
