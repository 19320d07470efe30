/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_pod: specs of pods and of templates of pods: what containers, volumes and the pod say of each other.
 * Source: k8s.io/kubernetes pkg/apis/core/validation (ValidatePodSpec and what it calls). */
#include "orchestrator/schema/checks_int.h"

/* ---- containers ---- */

static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};

/* check_host_ports: of all containers that run at a time. */
static void
check_host_ports(const struct schema_spot *s, const struct doc *spec)
{
	const struct doc *containers = get(spec, "containers");
	bool host = flag(spec, "hostNetwork");
	size_t n = 0, i = 0;
	struct names seen;

	DOC_EACH (c, containers)
		n += doc_len(get(c, "ports"));
	seen = names_new(s->errs->a, n);
	DOC_EACH (c, containers) {
		size_t k = 0;

		DOC_EACH (p, get(c, "ports")) {
			int64_t port = number(p, "hostPort");
			struct str key = port ? arena_fmt(s->errs->a, STR_FMT "/" STR_FMT "/%lld",
							STR_ARG(text(p, "protocol")),
							STR_ARG(text(p, "hostIP")), (long long)port)
					      : STR_NONE;

			if (port && !names_add(&seen, key, p))
				DUPLICATE(key, "containers[%zu].ports[%zu].hostPort", i, k);
			if (host && port && port != number(p, "containerPort"))
				INVALID_INT(port,
					"must match `containerPort` when `hostNetwork` is true",
					"containers[%zu].ports[%zu].hostPort", i, k);
			k++;
		}
		i++;
	}
}

/* What a container that is put into a running pod may not have. */
static const char *const not_ephemeral[] = {"ports", "resources", "livenessProbe", "readinessProbe",
	"startupProbe", "lifecycle", "resizePolicy", "restartPolicy", "restartPolicyRules", NULL};

static void
check_ephemeral(const struct schema_spot *s, const struct doc *c, const struct names *others)
{
	struct str target = text(c, "targetContainerName");

	for (const char *const *p = not_ephemeral; *p; p++) {
		if (doc_is_zero(get(c, *p)))
			continue;
		if (str_ends(str_c(*p), STR("Probe")) || strcmp(*p, "lifecycle") == 0)
			schema_errors_drop(s->errs, AT("%s", *p)); /* it does not matter then */
		FORBIDDEN("cannot be set for an Ephemeral Container", "%s", *p);
	}
	if (target.n && names_find(others, target) == NULL)
		NOT_FOUND(target, "targetContainerName");
}

static void
check_containers(const struct schema_spot *s, const struct doc *spec)
{
	struct arena *a = s->errs->a;
	struct names seen = names_new(a,
		doc_len(get(spec, lists[0])) + doc_len(get(spec, lists[1])) +
			doc_len(get(spec, lists[2])));
	struct in_pod in = {.spec = spec,
		.volumes = names_of(a, get(spec, "volumes"), "name"),
		.claims = names_of(a, get(spec, "resourceClaims"), "name")};

	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		struct step list = {s->at, STEP_NAME, str_c(lists[l]), 0, NULL};
		size_t i = 0;

		in.init = l == 1;
		in.ephemeral = l == 2;
		DOC_EACH (c, get(spec, lists[l])) {
			struct step item = {&list, STEP_INDEX, STR_NONE, i++, NULL};
			struct schema_spot here = {s->errs, s->base, &item};

			check_container(&here, c, &in);
			if (in.ephemeral)
				check_ephemeral(&here, c, &seen);
			if (text(c, "name").n && !names_add(&seen, text(c, "name"), c))
				schema_err_duplicate(
					s->errs, spot_at(&here, "name"), text(c, "name"));
		}
	}
	check_host_ports(s, spec);
}

/* check_file_keys: variables that are read of a file name an emptyDir of the pod. */
static void
check_file_keys(const struct schema_spot *s, const struct doc *spec)
{
	struct names volumes = names_of(s->errs->a, get(spec, "volumes"), "name");

	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		size_t i = 0;

		DOC_EACH (c, get(spec, lists[l])) {
			size_t k = 0;

			DOC_EACH (v, get(c, "env")) {
				const struct doc *ref = get(get(v, "valueFrom"), "fileKeyRef");
				struct str name = text(ref, "volumeName");
				const struct doc *volume = names_find(&volumes, name);

				if (ref && !volume)
					NOT_FOUND(name,
						"%s[%zu].env[%zu].valueFrom.fileKeyRef.volumeName",
						lists[l], i, k);
				else if (ref && !get(volume, "emptyDir"))
					INVALID(name, "referenced volume must be of type emptyDir",
						"%s[%zu].env[%zu].valueFrom.fileKeyRef.volumeName",
						lists[l], i, k);
				k++;
			}
			i++;
		}
	}
}

/* ---- resources of the pod as a whole ---- */

#define RESOURCES_MAX 64 /* more than there are names for: the names are faults already */

static void
check_pod_resources(const struct schema_spot *s, const struct doc *spec)
{
	const struct doc *res = get(spec, "resources"), *requests = get(res, "requests");
	size_t i = 0;

	if (res == NULL)
		return;
	if (is(get(spec, "os"), "name", "windows")) {
		FORBIDDEN("may not be set for a windows pod", "resources");
		return;
	}
	if (get(res, "claims"))
		FORBIDDEN("claims may not be set for Resources at pod-level", "resources.claims");
	check_requirements(s, res, "resources", NULL);
	if (doc_len(requests) > RESOURCES_MAX)
		return;
	DOC_EACH (q, requests) {
		struct quantity have = {0}, sum = {0}, one = {0};
		char buf[64];

		DOC_EACH (c, get(spec, "containers"))
			if (quantity_parse(
				    doc_get_str(get(get(c, "resources"), "requests"), q->key),
				    &one) == 0)
				quantity_add(&sum, &one);
		if (quantity_parse(doc_as_str(q), &have) == 0 && quantity_cmp(&sum, &have) > 0)
			schema_error_fmt(s->errs, SCHEMA_CAUSE_INVALID,
				AT("resources.requests[" STR_FMT "]", STR_ARG(q->key)), q,
				"must be greater than or equal to aggregate container requests of %.*s",
				(int)quantity_write(&sum, buf), buf);
	}
	DOC_EACH (c, get(spec, "containers")) {
		DOC_EACH (q, get(get(c, "resources"), "limits")) {
			struct str most = doc_get_str(get(res, "limits"), q->key);
			struct quantity x = {0}, y = {0};

			if (most.n && quantity_parse(doc_as_str(q), &x) == 0 &&
				quantity_parse(most, &y) == 0 && quantity_cmp(&x, &y) > 0)
				schema_error_fmt(s->errs, SCHEMA_CAUSE_INVALID,
					AT("resources.containers[%zu][" STR_FMT "].limits", i,
						STR_ARG(q->key)),
					q, "must be less than or equal to pod limits of " STR_FMT,
					STR_ARG(most));
		}
		i++;
	}
}

/* ---- names ---- */

static const char text_underscore[] =
	"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', "
	"and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation "
	"is '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";

/* search_ok: a domain to search in: labels that may hold underscores, and begin with one. */
static bool
search_ok(struct arena *a, struct str s)
{
	char *p = arena_cstr(a, s);

	for (size_t i = 0; p && i + 1 < s.n; i++)
		if (p[i] == '_' && p[i + 1] != '.')
			p[i] = i == 0 || p[i - 1] == '.' ? 'x' : '-';
	return p && format_check(a, FORMAT_DNS_SUBDOMAIN, str_from(p, s.n)) == NULL;
}

static void
check_dns(const struct schema_spot *s, const struct doc *spec)
{
	const struct doc *dns = get(spec, "dnsConfig");
	const struct doc *servers = get(dns, "nameservers"), *searches = get(dns, "searches");
	size_t i = 0, chars = 0;

	if (is(spec, "dnsPolicy", "None") && dns == NULL)
		REQUIRED("must provide `dnsConfig` when `dnsPolicy` is None", "dnsConfig");
	else if (is(spec, "dnsPolicy", "None") && doc_is_empty(servers))
		REQUIRED("must provide at least one DNS nameserver when `dnsPolicy` is None",
			"dnsConfig.nameservers");
	if (doc_len(servers) > 3)
		INVALID_DOC(
			servers, "must not have more than 3 nameservers", "dnsConfig.nameservers");
	DOC_EACH (n, servers)
		FORMAT(FORMAT_IP, doc_as_str(n), "dnsConfig.nameservers[%zu]", i++);
	i = 0;
	DOC_EACH (n, searches) {
		struct str name = doc_as_str(n);

		chars += name.n + (i > 0);
		if (str_ends(name, STR(".")))
			name.n--;
		if (!str_eq_c(doc_as_str(n), ".") && !search_ok(s->errs->a, name))
			INVALID(name, text_underscore, "dnsConfig.searches[%zu]", i);
		i++;
	}
	if (i > 32)
		INVALID_DOC(
			searches, "must not have more than 32 search paths", "dnsConfig.searches");
	if (chars > 2048)
		INVALID_DOC(searches,
			"must not have more than 2048 characters (including spaces) in the search list",
			"dnsConfig.searches");
	i = 0;
	DOC_EACH (o, get(dns, "options")) {
		if (!text(o, "name").n)
			REQUIRED("must not be empty", "dnsConfig.options[%zu]", i);
		i++;
	}
}

static void
check_host(const struct schema_spot *s, const struct doc *spec)
{
	bool own_users = !doc_get_bool(spec, STR("hostUsers"), true);

	if (own_users && flag(spec, "hostNetwork"))
		FORBIDDEN("when `hostUsers` is false", "hostNetwork");
	if (own_users && flag(spec, "hostPID"))
		FORBIDDEN("when `hostUsers` is false", "HostPID");
	if (own_users && flag(spec, "hostIPC"))
		FORBIDDEN("when `hostUsers` is false", "HostIPC");
	if (flag(spec, "shareProcessNamespace") && flag(spec, "hostPID"))
		INVALID_DOC(get(spec, "shareProcessNamespace"),
			"ShareProcessNamespace and HostPID cannot both be enabled",
			"shareProcessNamespace");
	if (get(spec, "hostnameOverride") == NULL)
		return;
	if (flag(spec, "setHostnameAsFQDN"))
		FORBIDDEN(
			"may not be specified when setHostnameAsFQDN is true", "hostnameOverride");
	if (flag(spec, "hostNetwork"))
		FORBIDDEN("may not be specified when hostNetwork is true", "hostnameOverride");
}

/* ---- kernel settings ---- */

/* Prefixes and names of settings that have a namespace of their own. */
static const char *const sysctl_net[] = {"net.", NULL};
static const char *const sysctl_ipc[] = {
	"kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.", NULL};

static bool
starts_with_any(struct str s, const char *const *prefixes)
{
	for (; *prefixes; prefixes++)
		if (str_starts(s, str_c(*prefixes)))
			return true;
	return false;
}

/* sysctl_ok: lower case parts between '.' or '/', each of [a-z0-9] with '-' and '_' inside. */
static bool
sysctl_ok(struct str s)
{
	bool edge = true;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool sep = c == '.' || c == '/', inner = c == '-' || c == '_';

		if (!sep && !inner && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
			return false;
		if ((sep && (edge || s.p[i - 1] == '-' || s.p[i - 1] == '_')) || (inner && edge))
			return false;
		edge = sep;
	}
	return s.n > 0 && s.n <= 253 && !edge && s.p[s.n - 1] != '-' && s.p[s.n - 1] != '_';
}

static void
check_sysctls(const struct schema_spot *s, const struct doc *spec)
{
	const struct doc *list = get(get(spec, "securityContext"), "sysctls");
	struct names seen = names_new(s->errs->a, doc_len(list));
	size_t i = 0;

	DOC_EACH (x, list) {
		struct str name = text(x, "name");

		if (name.n && !sysctl_ok(name))
			INVALID(name,
				"must have at most 253 characters and match regex "
				"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
				"securityContext.sysctls[%zu].name", i);
		else if (name.n && !names_add(&seen, name, x))
			DUPLICATE(name, "securityContext.sysctls[%zu].name", i);
		if (flag(spec, "hostNetwork") && starts_with_any(name, sysctl_net))
			INVALID(name, "may not be specified when 'hostNetwork' is true",
				"securityContext.sysctls[%zu].name", i);
		if (flag(spec, "hostIPC") && starts_with_any(name, sysctl_ipc))
			INVALID(name, "may not be specified when 'hostIPC' is true",
				"securityContext.sysctls[%zu].name", i);
		i++;
	}
	if (is(get(spec, "os"), "name", "linux") &&
		get(get(spec, "securityContext"), "windowsOptions"))
		FORBIDDEN("windows options cannot be set for a linux pod",
			"securityContext.windowsOptions");
}

/* ---- places ---- */

static size_t
index_of(const struct doc *list, const struct doc *item)
{
	size_t i = 0;

	DOC_EACH (x, list) {
		if (x == item)
			break;
		i++;
	}
	return i;
}

/* check_label_keys: keys whose values come from the pod's own labels. */
static void
check_label_keys(const struct schema_spot *s, const struct doc *d, const char *member)
{
	const struct doc *keys = get(d, member);
	size_t i = 0;

	if (doc_len(keys) && get(d, "labelSelector") == NULL) {
		FORBIDDEN("must not be specified when labelSelector is not set", "%s", member);
		return;
	}
	DOC_EACH (k, keys)
		FORMAT(FORMAT_QUALIFIED_NAME, doc_as_str(k), "%s[%zu]", member, i++);
}

/* check_merged_keys: a key that was laid into the selector as an expression stands there once. */
static void
check_merged_keys(const struct schema_spot *s, const struct doc *d)
{
	const struct doc *keys = get(d, "matchLabelKeys"), *sel = get(d, "labelSelector");
	const struct doc *labels = get(sel, "matchLabels"), *exprs = get(sel, "matchExpressions");
	struct names wanted = names_new(s->errs->a, doc_len(keys));
	struct names seen = names_new(s->errs->a, doc_len(labels) + doc_len(exprs));

	DOC_EACH (k, keys)
		names_add(&wanted, doc_as_str(k), k);
	DOC_EACH (l, labels)
		names_add(&seen, l->key, l);
	DOC_EACH (e, exprs) {
		const struct doc *k = names_find(&wanted, text(e, "key"));

		if (!names_add(&seen, text(e, "key"), e) && k)
			INVALID(text(e, "key"), "exists in both matchLabelKeys and labelSelector",
				"[%zu]", index_of(keys, k));
	}
}

CHECK(core_v1_pod_affinity_term)
{
	const struct doc *others = get(d, "mismatchLabelKeys");
	struct names taken = names_new(s->errs->a, doc_len(others));
	size_t i = 0;

	(void)old;
	DOC_EACH (n, get(d, "namespaces"))
		FORMAT(FORMAT_DNS_LABEL, doc_as_str(n), "namespace");
	if (!text(d, "topologyKey").n)
		REQUIRED("can not be empty", "topologyKey");
	FORMAT(FORMAT_QUALIFIED_NAME, text(d, "topologyKey"), "topologyKey");
	check_label_keys(s, d, "matchLabelKeys");
	check_label_keys(s, d, "mismatchLabelKeys");
	check_merged_keys(s, d);
	DOC_EACH (k, others)
		names_add(&taken, doc_as_str(k), k);
	DOC_EACH (k, get(d, "matchLabelKeys")) {
		if (names_find(&taken, doc_as_str(k)))
			INVALID(doc_as_str(k),
				"exists in both matchLabelKeys and mismatchLabelKeys",
				"matchLabelKeys[%zu]", i);
		i++;
	}
}

static void
check_weight(const struct schema_spot *s, const struct doc *d)
{
	int64_t n = number(d, "weight");

	if (n < 1 || n > 100)
		INVALID_INT(n, "must be in the range 1-100", "weight");
}

CHECK(core_v1_preferred_scheduling_term)
{
	(void)old;
	check_weight(s, d);
}

CHECK(core_v1_weighted_pod_affinity_term)
{
	(void)old;
	check_weight(s, d);
}

CHECK(core_v1_node_selector)
{
	(void)old;
	if (doc_is_empty(get(d, "nodeSelectorTerms")))
		REQUIRED("must have at least one node selector term", "nodeSelectorTerms");
}

/* Operators of requirements, and how many values they take. */
static const struct {
	const char *op;
	enum { SOME, NO, ONE } values;
} node_operators[] = {{"In", SOME}, {"NotIn", SOME}, {"Exists", NO}, {"DoesNotExist", NO},
	{"Gt", ONE}, {"Lt", ONE}};

static void
selector_expression(const struct schema_spot *s, const struct doc *e, size_t i)
{
	struct str op = text(e, "operator");
	size_t n = doc_len(get(e, "values"));
	bool known = false;

	for (size_t k = 0; k < ARRAY_LEN(node_operators); k++) {
		if (!str_eq_c(op, node_operators[k].op))
			continue;
		known = true;
		if (node_operators[k].values == SOME && n == 0)
			REQUIRED("must be specified when `operator` is 'In' or 'NotIn'",
				"matchExpressions[%zu].values", i);
		else if (node_operators[k].values == NO && n > 0)
			FORBIDDEN(
				"may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
				"matchExpressions[%zu].values", i);
		else if (node_operators[k].values == ONE && n != 1)
			REQUIRED("must be specified single value when `operator` is 'Lt' or 'Gt'",
				"matchExpressions[%zu].values", i);
	}
	if (!known)
		INVALID(op, "not a valid selector operator", "matchExpressions[%zu].operator", i);
	FORMAT(FORMAT_QUALIFIED_NAME, text(e, "key"), "matchExpressions[%zu].key", i);
}

CHECK(core_v1_node_selector_term)
{
	size_t i = 0;

	(void)old;
	DOC_EACH (e, get(d, "matchExpressions"))
		selector_expression(s, e, i++);
	i = 0;
	DOC_EACH (e, get(d, "matchFields")) {
		if (!is(e, "operator", "In") && !is(e, "operator", "NotIn"))
			INVALID(text(e, "operator"), "not a valid selector operator",
				"matchFields[%zu].operator", i);
		else if (doc_len(get(e, "values")) != 1)
			REQUIRED(
				"must be only one value when `operator` is 'In' or 'NotIn' for node "
				"field selector",
				"matchFields[%zu].values", i);
		if (!is(e, "key", "metadata.name"))
			INVALID(text(e, "key"), "not a valid field selector key",
				"matchFields[%zu].key", i);
		i++;
	}
}

CHECK(core_v1_toleration)
{
	static const char *const operators[] = {"Equal", "Exists", NULL};
	static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};
	struct str key = text(d, "key"), op = text(d, "operator"), value = text(d, "value"),
		   effect = text(d, "effect");
	const char *why = format_check(s->errs->a, FORMAT_LABEL_VALUE, value);

	(void)old;
	if (key.n)
		FORMAT(FORMAT_QUALIFIED_NAME, key, "key");
	if (!key.n && !str_eq_c(op, "Exists"))
		INVALID(op,
			"operator must be Exists when `key` is empty, which means \"match all values and "
			"all keys\"",
			"operator");
	if (get(d, "tolerationSeconds") && !is(d, "effect", "NoExecute"))
		INVALID(text(d, "effect"),
			"effect must be 'NoExecute' when `tolerationSeconds` is set", "effect");
	if (str_eq_c(op, "Exists") && value.n)
		INVALID(value, "value must be empty when `operator` is 'Exists'", "operator");
	else if ((op.n == 0 || str_eq_c(op, "Equal")) && why)
		INVALID(value, why, "operator");
	else if (op.n && !one_of(operators, op))
		UNSUPPORTED(op, operators, "operator");
	if (effect.n && !one_of(effects, effect))
		UNSUPPORTED(effect, effects, "effect");
}

static void
check_spread(const struct schema_spot *s, const struct doc *spec)
{
	const struct doc *list = get(spec, "topologySpreadConstraints");
	struct names seen = names_new(s->errs->a, doc_len(list));

	DOC_EACH (c, list) {
		struct str pair = arena_fmt(s->errs->a, "{" STR_FMT ", " STR_FMT "}",
			STR_ARG(text(c, "topologyKey")), STR_ARG(text(c, "whenUnsatisfiable")));

		if (!names_add(&seen, pair, c))
			DUPLICATE(pair,
				"topologySpreadConstraints[%zu].{topologyKey, whenUnsatisfiable}",
				index_of(list, names_find(&seen, pair)));
	}
}

static const char text_positive[] = "must be greater than zero";

CHECK(core_v1_topology_spread_constraint)
{
	static const char *const whens[] = {"DoNotSchedule", "ScheduleAnyway", NULL};
	const struct doc *domains = get(d, "minDomains");

	(void)old;
	if (number(d, "maxSkew") <= 0)
		INVALID_INT(number(d, "maxSkew"), text_positive, "maxSkew");
	if (!text(d, "topologyKey").n)
		REQUIRED("can not be empty", "topologyKey");
	if (!text(d, "whenUnsatisfiable").n)
		UNSUPPORTED(STR(""), whens, "whenUnsatisfiable");
	if (domains && doc_as_int(domains, 1) <= 0)
		INVALID_DOC(domains, text_positive, "minDomains");
	if (domains && is(d, "whenUnsatisfiable", "ScheduleAnyway"))
		INVALID_DOC(domains,
			"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
			"minDomains");
	check_label_keys(s, d, "matchLabelKeys");
	check_merged_keys(s, d);
}

/* ---- the whole ---- */

CHECK(core_v1_pod_spec)
{
	static const char *const systems[] = {"linux", "windows", NULL};
	struct names seen = names_new(s->errs->a, doc_len(get(d, "schedulingGates")));
	struct names claims = names_new(s->errs->a, doc_len(get(d, "resourceClaims")));
	struct names volumes = names_new(s->errs->a, doc_len(get(d, "volumes")));
	size_t i = 0;

	(void)old;
	DOC_EACH (v, get(d, "volumes")) {
		if (text(v, "name").n && !names_add(&volumes, text(v, "name"), v))
			DUPLICATE(text(v, "name"), "volumes[%zu].name", i);
		i++;
	}
	i = 0;
	check_containers(s, d);
	check_pod_resources(s, d);
	check_dns(s, d);
	check_host_process(s, d);
	check_host(s, d);
	check_sysctls(s, d);
	if (text(get(d, "os"), "name").n && !one_of(systems, text(get(d, "os"), "name")))
		UNSUPPORTED(text(get(d, "os"), "name"), systems, "os");
	check_spread(s, d);
	check_pairs(s, get(d, "nodeSelector"), "nodeSelector");
	DOC_EACH (q, get(d, "overhead"))
		check_resource(s, q, "overhead.limits", USE_CONTAINER);
	DOC_EACH (g, get(d, "schedulingGates")) {
		struct str name = text(g, "name");

		FORMAT(FORMAT_QUALIFIED_NAME, name, "schedulingGates[%zu]", i);
		if (!names_add(&seen, name, g))
			DUPLICATE(name, "schedulingGates[%zu]", i);
		i++;
	}
	i = 0;
	DOC_EACH (c, get(d, "resourceClaims")) {
		struct str name = text(c, "name");
		bool one = get(c, "resourceClaimName"), other = get(c, "resourceClaimTemplateName");

		if (name.n && !names_add(&claims, name, c))
			DUPLICATE(name, "resourceClaims[%zu].name", i);
		if (one && other)
			INVALID_DOC(c,
				"at most one of `resourceClaimName` or `resourceClaimTemplateName` may "
				"be specified",
				"resourceClaims[%zu]", i);
		else if (!one && !other)
			INVALID_DOC(c,
				"must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
				"resourceClaims[%zu]", i);
		i++;
	}
	check_file_keys(s, d);
}

CHECK(core_v1_host_alias)
{
	(void)old;
	if (!text(d, "ip").n) /* the field's format takes none for good */
		schema_err_format(s->errs, AT("ip"), FORMAT_IP, STR(""));
}

CHECK(core_v1_pod_readiness_gate)
{
	(void)old;
	FORMAT(FORMAT_QUALIFIED_NAME, text(d, "conditionType"), "conditionType");
}
