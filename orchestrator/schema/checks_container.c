/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_container: containers of pods: ports, environment, mounts, probes, resources, rights.
 * Source: k8s.io/kubernetes pkg/apis/core/validation (validateContainerCommon and what it calls). */
#include "orchestrator/schema/checks_int.h"

/* ---- ports ---- */

static void
check_ports(const struct schema_spot *s, const struct doc *c)
{
	const struct doc *ports = get(c, "ports");
	struct names seen = names_new(s->errs->a, doc_len(ports));
	size_t i = 0;

	DOC_EACH (p, ports) {
		struct str name = text(p, "name");
		int64_t port = number(p, "containerPort"), host = number(p, "hostPort");

		if (name.n)
			FORMAT(FORMAT_PORT_NAME, name, "ports[%zu].name", i);
		if (name.n && !names_add(&seen, name, p))
			DUPLICATE(name, "ports[%zu].name", i);
		if (port == 0)
			REQUIRED(NULL, "ports[%zu].containerPort", i);
		else if (!is_port(port))
			INVALID_INT(port, format_text_port, "ports[%zu].containerPort", i);
		if (host && !is_port(host))
			INVALID_INT(host, format_text_port, "ports[%zu].hostPort", i);
		i++;
	}
}

/* ---- environment ---- */

static const char *const env_fields[] = {"metadata.name", "metadata.namespace", "metadata.uid",
	"spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs",
	"status.podIP", "status.podIPs", NULL};
/* What a field path may be called in other places than these two. */
static const char *const other_fields[] = {
	"spec.restartPolicy", "spec.schedulerName", "status.phase", NULL};
static const char *const volume_fields[] = {"metadata.annotations", "metadata.labels",
	"metadata.name", "metadata.namespace", "metadata.uid", NULL};
static const char *const resource_fields[] = {"limits.cpu", "limits.ephemeral-storage",
	"limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory", NULL};
static const char *const divisors_cpu[] = {"1m", "1", NULL};
static const char *const divisors[] = {
	"1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei", NULL};

void
check_field_ref(const struct schema_spot *s, const struct doc *ref, const char *at, bool volume)
{
	const char *const *known = volume ? volume_fields : env_fields;
	struct str path = text(ref, "fieldPath"), head = STR_NONE, key = STR_NONE;

	if (path.n == 0) {
		REQUIRED(NULL, "%s.fieldPath", at);
		return;
	}
	if (str_cut(path, '[', &head, &key) && str_ends(key, STR("']")) && key.p[0] == '\'') {
		key = str_sub(key, 1, key.n - 2);
		if (str_eq_c(head, "metadata.annotations"))
			FORMAT(FORMAT_QUALIFIED_NAME, lower_text(s->errs->a, key), "%s", at);
		else if (str_eq_c(head, "metadata.labels"))
			FORMAT(FORMAT_QUALIFIED_NAME, key, "%s", at);
		else
			INVALID(head, "does not support subscript", "%s", at);
	} else if (!one_of(env_fields, path) && !one_of(volume_fields, path) &&
		!one_of(other_fields, path)) {
		INVALID(path,
			arena_fmt(s->errs->a,
				"error converting fieldPath: field label not supported: " STR_FMT,
				STR_ARG(path))
				.p,
			"%s.fieldPath", at);
	} else if (!one_of(known, path)) {
		UNSUPPORTED(path, known, "%s.fieldPath", at);
	}
}

void
check_resource_ref(const struct schema_spot *s, const struct doc *ref, const char *at, bool volume)
{
	struct str resource = text(ref, "resource"), divisor = text(ref, "divisor");
	bool pages = str_starts(resource, STR("limits.hugepages-")) ||
		str_starts(resource, STR("requests.hugepages-"));
	const char *const *ok = str_ends(resource, STR(".cpu")) ? divisors_cpu : divisors;

	if (volume && !text(ref, "containerName").n)
		REQUIRED(NULL, "%s.containerName", at);
	else if (resource.n == 0)
		REQUIRED(NULL, "%s.resource", at);
	else if (!pages && !one_of(resource_fields, resource))
		UNSUPPORTED(resource, resource_fields, "%s.resource", at);
	if (divisor.n && !str_eq_c(divisor, "0") && !one_of(ok, divisor))
		schema_error_fmt(s->errs, SCHEMA_CAUSE_INVALID, AT("%s.divisor", at),
			get(ref, "resource"), "only divisor's values %s are supported with the %s",
			ok == divisors_cpu
				? "1m and 1"
				: "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei",
			ok == divisors_cpu ? "cpu resource" : "memory resource");
}

static void
check_key_ref(const struct schema_spot *s, const struct doc *ref, const char *at)
{
	struct str key = text(ref, "key"), name = text(ref, "name");

	FORMAT(FORMAT_DNS_SUBDOMAIN, name, "%s.name", at);
	if (key.n)
		FORMAT(FORMAT_CONFIG_KEY, key, "%s.key", at);
	else
		REQUIRED(NULL, "%s.key", at);
}

static void
check_file_key(const struct schema_spot *s, const struct doc *ref, const char *at)
{
	struct str key = text(ref, "key"), volume = text(ref, "volumeName"),
		   path = text(ref, "path");

	if (key.n)
		FORMAT(FORMAT_ENV_NAME, key, "%s.key", at);
	else
		REQUIRED(NULL, "%s.key", at);
	if (volume.n)
		FORMAT(FORMAT_DNS_LABEL, volume, "%s.volumeName", at);
	else
		REQUIRED(NULL, "%s.volumeName", at);
	if (path.n)
		check_no_dots(s, path, arena_fmt(s->errs->a, "%s.path", at).p);
	else
		REQUIRED(NULL, "%s.path", at);
}

/* A variable: schema_check_core_v1_env_var. */
CHECK(core_v1_env_var)
{
	static const char *const sources[] = {"fieldRef", "resourceFieldRef", "configMapKeyRef",
		"secretKeyRef", "fileKeyRef", NULL};
	const struct doc *from = get(d, "valueFrom"), *empty = doc_str(s->errs->a, STR(""));
	size_t n = count_members(from, sources);

	(void)old;
	if (text(d, "name").n)
		FORMAT(FORMAT_ENV_NAME, text(d, "name"), "name");
	if (from == NULL)
		return;
	if (get(from, "fieldRef"))
		check_field_ref(s, get(from, "fieldRef"), "valueFrom.fieldRef", false);
	if (get(from, "resourceFieldRef"))
		check_resource_ref(
			s, get(from, "resourceFieldRef"), "valueFrom.resourceFieldRef", false);
	if (get(from, "configMapKeyRef"))
		check_key_ref(s, get(from, "configMapKeyRef"), "valueFrom.configMapKeyRef");
	if (get(from, "secretKeyRef"))
		check_key_ref(s, get(from, "secretKeyRef"), "valueFrom.secretKeyRef");
	if (get(from, "fileKeyRef"))
		check_file_key(s, get(from, "fileKeyRef"), "valueFrom.fileKeyRef");
	if (n == 0)
		INVALID_DOC(empty,
			"must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, "
			"`secretKeyRef` or `fileKeyRef`",
			"valueFrom");
	else if (text(d, "value").n)
		INVALID_DOC(empty, "may not be specified when `value` is not empty", "valueFrom");
	else if (n > 1)
		INVALID_DOC(
			empty, "may not have more than one field specified at a time", "valueFrom");
}

static void
check_env_from(const struct schema_spot *s, const struct doc *c)
{
	static const char *const sources[] = {"configMapRef", "secretRef", NULL};
	const struct doc *empty = doc_str(s->errs->a, STR(""));
	size_t i = 0;

	DOC_EACH (e, get(c, "envFrom")) {
		size_t n = count_members(e, sources);

		if (text(e, "prefix").n)
			FORMAT(FORMAT_ENV_NAME, text(e, "prefix"), "envFrom[%zu].prefix", i);
		for (const char *const *from = sources; *from; from++) {
			const struct doc *ref = get(e, *from);

			if (ref && !text(ref, "name").n)
				REQUIRED(NULL, "envFrom[%zu].%s.name", i, *from);
			else if (ref)
				FORMAT(FORMAT_DNS_SUBDOMAIN, text(ref, "name"),
					"envFrom[%zu].%s.name", i, *from);
		}
		if (n == 0)
			INVALID_DOC(empty, "must specify one of: `configMapRef` or `secretRef`",
				"envFrom");
		else if (n > 1)
			INVALID_DOC(empty, "may not have more than one field specified at a time",
				"envFrom");
		i++;
	}
}

/* ---- mounts ---- */

static void
check_propagation(const struct schema_spot *s, const struct doc *c, const struct doc *m)
{
	static const char *const modes[] = {"Bidirectional", "HostToContainer", "None", NULL};
	static const char *const recursive[] = {"Disabled", "Enabled", "IfPossible", NULL};
	struct str mode = text(m, "mountPropagation"), deep = text(m, "recursiveReadOnly");

	if (mode.n && !one_of(modes, mode))
		UNSUPPORTED(mode, modes, "volumeMounts.mountPropagation");
	else if (str_eq_c(mode, "Bidirectional") && !flag(get(c, "securityContext"), "privileged"))
		FORBIDDEN(
			"Bidirectional mount propagation is available only to privileged containers",
			"volumeMounts.mountPropagation");
	if (get(m, "recursiveReadOnly") == NULL || str_eq_c(deep, "Disabled"))
		return;
	if (!one_of(recursive, deep)) {
		UNSUPPORTED(deep, recursive, "volumeMounts.recursiveReadOnly");
		return;
	}
	if (!flag(m, "readOnly"))
		FORBIDDEN("may only be specified when readOnly is true",
			"volumeMounts.recursiveReadOnly");
	if (mode.n && !str_eq_c(mode, "None"))
		FORBIDDEN("may only be specified when mountPropagation is None or not specified",
			"volumeMounts.recursiveReadOnly");
}

static void
check_mounts(const struct schema_spot *s, const struct doc *c, const struct in_pod *in)
{
	const struct doc *mounts = get(c, "volumeMounts");
	struct names devices = names_of(s->errs->a, get(c, "volumeDevices"), "name");
	struct names seen = names_new(s->errs->a, doc_len(mounts));
	size_t i = 0;

	DOC_EACH (m, mounts) {
		struct str name = text(m, "name"), path = text(m, "mountPath");
		struct str sub = text(m, "subPath"), expr = text(m, "subPathExpr");

		if (name.n == 0)
			REQUIRED(NULL, "volumeMounts[%zu].name", i);
		if (names_find(&in->volumes, name) == NULL)
			NOT_FOUND(name, "volumeMounts[%zu].name", i);
		if (path.n == 0)
			REQUIRED(NULL, "volumeMounts[%zu].mountPath", i);
		if (!names_add(&seen, path, m))
			INVALID(path, "must be unique", "volumeMounts[%zu].mountPath", i);
		if (names_find(&devices, name))
			INVALID(name, "must not already exist in volumeDevices",
				"volumeMounts[%zu].name", i);
		check_relative(s, sub, "volumeMounts.subPath");
		if (expr.n && sub.n)
			INVALID(expr, "subPathExpr and subPath are mutually exclusive",
				"volumeMounts[%zu].subPathExpr", i);
		check_relative(s, expr, "volumeMounts.subPathExpr");
		if (in->ephemeral && sub.n)
			FORBIDDEN("cannot be set for an Ephemeral Container",
				"volumeMounts[%zu].subPath", i);
		if (in->ephemeral && expr.n)
			FORBIDDEN("cannot be set for an Ephemeral Container",
				"volumeMounts[%zu].subPathExpr", i);
		check_propagation(s, c, m);
		i++;
	}
}

static bool
has_dots(struct str path)
{
	struct str part = STR_NONE;

	while (str_next(&path, '/', &part))
		if (str_eq_c(part, ".."))
			return true;
	return false;
}

static void
check_devices(const struct schema_spot *s, const struct doc *c, const struct in_pod *in)
{
	const struct doc *devices = get(c, "volumeDevices");
	struct names mounts = names_of(s->errs->a, get(c, "volumeMounts"), "name");
	struct names by_name = names_new(s->errs->a, doc_len(devices));
	struct names by_path = names_new(s->errs->a, doc_len(devices));
	size_t i = 0;

	DOC_EACH (v, devices) {
		struct str name = text(v, "name"), path = text(v, "devicePath");
		const struct doc *volume = names_find(&in->volumes, name);

		if (name.n == 0)
			REQUIRED(NULL, "volumeDevices[%zu].name", i);
		if (name.n && !names_add(&by_name, name, v))
			INVALID(name, "must be unique", "volumeDevices[%zu].name", i);
		if (volume == NULL)
			NOT_FOUND(name, "volumeDevices[%zu].name", i);
		else if (!get(volume, "persistentVolumeClaim") && !get(volume, "ephemeral"))
			INVALID(name,
				"can only use volume source type of PersistentVolumeClaim or Ephemeral "
				"for block mode",
				"volumeDevices[%zu].name", i);
		if (path.n == 0)
			REQUIRED(NULL, "volumeDevices[%zu].devicePath", i);
		if (path.n && !names_add(&by_path, path, v))
			INVALID(path, "must be unique", "volumeDevices[%zu].devicePath", i);
		if (has_dots(path))
			INVALID(path, "can not contain backsteps ('..')",
				"volumeDevices[%zu].devicePath", i);
		if (names_find(&mounts, name))
			INVALID(name, "must not already exist in volumeMounts",
				"volumeDevices[%zu].name", i);
		i++;
	}
}

/* ---- handlers, probes ---- */

static const char *const handlers[] = {"exec", "httpGet", "tcpSocket", "grpc", "sleep", NULL};

static void
check_handler(const struct schema_spot *s, const struct doc *h, const char *at)
{
	const char *dot = at[0] ? "." : "";
	const struct doc *http = get(h, "httpGet");
	size_t n = 0, i = 0;

	for (const char *const *p = handlers; *p; p++) {
		if (get(h, *p) == NULL)
			continue;
		if (n++)
			FORBIDDEN(
				"may not specify more than 1 handler type", "%s%s%s", at, dot, *p);
	}
	if (n == 0)
		REQUIRED("must specify a handler type", "%s", at);
	if (get(h, "exec") && doc_is_empty(get(get(h, "exec"), "command")))
		REQUIRED(NULL, "%s%sexec.command", at, dot);
	check_port_or_name(
		s, get(http, "port"), arena_fmt(s->errs->a, "%s%shttpGet.port", at, dot).p);
	check_port_or_name(s, get(get(h, "tcpSocket"), "port"),
		arena_fmt(s->errs->a, "%s%stcpSocket.port", at, dot).p);
	if (get(h, "grpc") && !is_port(number(get(h, "grpc"), "port")))
		INVALID_INT(
			number(get(h, "grpc"), "port"), format_text_port, "%s%sgrpc.port", at, dot);
	DOC_EACH (x, get(http, "httpHeaders")) {
		struct str name = text(x, "name");
		bool ok = name.n > 0;

		for (size_t k = 0; k < name.n; k++)
			ok &= name.p[k] == '-' || (name.p[k] >= '0' && name.p[k] <= '9') ||
				((name.p[k] | 32) >= 'a' && (name.p[k] | 32) <= 'z');
		if (!ok)
			INVALID(name,
				"a valid HTTP header must consist of alphanumeric characters or '-' "
				"(e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
				"%s%shttpGet.httpHeaders", at, dot);
		i++;
	}
}

CHECK(core_v1_probe)
{
	static const char *const numbers[] = {"initialDelaySeconds", "timeoutSeconds",
		"periodSeconds", "successThreshold", "failureThreshold", NULL};
	const struct doc *grace = get(d, "terminationGracePeriodSeconds");

	(void)old;
	check_handler(s, d, "");
	check_not_negative(s, d, numbers);
	if (grace && doc_as_int(grace, 1) <= 0)
		INVALID_INT(doc_as_int(grace, 0), "must be greater than 0",
			"terminationGracePeriodSeconds");
}

static void
check_lifecycle(const struct schema_spot *s, const struct doc *c, const struct in_pod *in)
{
	static const char *const hooks[] = {"postStart", "preStop", NULL};
	const struct doc *life = get(c, "lifecycle"), *os = get(in->spec, "os");
	int64_t grace = number(in->spec, "terminationGracePeriodSeconds");

	for (const char *const *h = hooks; *h; h++) {
		const struct doc *hook = get(life, *h), *sleep = get(hook, "sleep");
		int64_t n = number(sleep, "seconds");

		if (hook)
			check_handler(s, hook, arena_fmt(s->errs->a, "lifecycle.%s", *h).p);
		if (sleep && (n < 0 || n > grace))
			INVALID_INT(n,
				arena_fmt(s->errs->a,
					"must be non-negative and less than "
					"terminationGracePeriodSeconds (%lld)",
					(long long)grace)
					.p,
				"lifecycle.%s.sleep", *h);
	}
	if (get(life, "stopSignal") && os == NULL)
		FORBIDDEN("may not be set for containers with empty `spec.os.name`",
			"lifecycle.stopSignal");
}

static void
check_probes(const struct schema_spot *s, const struct doc *c, const struct in_pod *in)
{
	static const char *const living[] = {
		"lifecycle", "livenessProbe", "readinessProbe", "startupProbe", NULL};
	static const char *const once[] = {"livenessProbe", "startupProbe", NULL};

	if (in->init && !is(c, "restartPolicy", "Always")) {
		for (const char *const *p = living; *p; p++) {
			if (doc_is_empty(get(c, *p)) && p == living)
				continue; /* all it had is off */
			if (get(c, *p) == NULL)
				continue;
			schema_errors_drop(s->errs, AT("%s", *p)); /* it does not matter then */
			FORBIDDEN("may not be set for init containers without restartPolicy=Always",
				"%s", *p);
		}
		return;
	}
	check_lifecycle(s, c, in);
	for (const char *const *p = once; *p; p++) {
		int64_t n = doc_get_int(get(c, *p), STR("successThreshold"), 1);

		if (n != 1)
			INVALID_INT(n, "must be 1", "%s.successThreshold", *p);
	}
	if (get(get(c, "readinessProbe"), "terminationGracePeriodSeconds"))
		INVALID_DOC(get(get(c, "readinessProbe"), "terminationGracePeriodSeconds"),
			"must not be set for readinessProbes",
			"readinessProbe.terminationGracePeriodSeconds");
}

/* ---- resources ---- */

static void
check_claims(const struct schema_spot *s, const struct doc *list, const char *at,
	const struct names *claims)
{
	struct names whole = names_new(s->errs->a, doc_len(list));
	struct names parts = names_new(s->errs->a, doc_len(list));
	size_t i = 0;

	DOC_EACH (c, list) {
		struct str name = text(c, "name"), request = text(c, "request");
		struct str key = arena_fmt(
			s->errs->a, STR_FMT "/" STR_FMT, STR_ARG(name), STR_ARG(request));

		/* A claim as a whole excludes any part of it; the same part stands once. */
		if (name.n == 0)
			REQUIRED(NULL, "%s.claims[%zu]", at, i);
		else if (names_find(&whole, name) || !names_add(&parts, key, c) ||
			(!request.n && names_find(&parts, name)))
			DUPLICATE(request.n ? key : name, "%s.claims[%zu]", at, i);
		names_add(request.n ? &parts : &whole, name, c);
		if (name.n && names_find(claims, name) == NULL)
			schema_error_add(s->errs, SCHEMA_CAUSE_NOT_FOUND,
				AT("%s.claims[%zu]", at, i), get(c, "name"),
				claims->slots ? str_c("must be one of the names in "
						      "pod.spec.resourceClaims")
					      : str_c("must be one of the names in "
						      "pod.spec.resourceClaims which is empty"));
		i++;
	}
}

void
check_requirements(const struct schema_spot *s, const struct doc *res, const char *at,
	const struct names *claims)
{
	const struct doc *limits = get(res, "limits"), *requests = get(res, "requests");
	const char *lim = arena_fmt(s->errs->a, "%s.limits", at).p;
	const char *req = arena_fmt(s->errs->a, "%s.requests", at).p;
	struct names limit_of = keys_of(s->errs->a, limits);
	bool pages = false, basic = false;

	DOC_EACH (q, limits) {
		check_resource(s, q, lim, USE_CONTAINER);
		pages |= str_starts(q->key, STR("hugepages-"));
		basic |= str_eq_c(q->key, "cpu") || str_eq_c(q->key, "memory");
	}
	DOC_EACH (q, requests) {
		const struct doc *limit = names_find(&limit_of, q->key);
		struct quantity x = {0}, y = {0};
		int c = 0;

		check_resource(s, q, req, USE_CONTAINER);
		pages |= str_starts(q->key, STR("hugepages-"));
		basic |= str_eq_c(q->key, "cpu") || str_eq_c(q->key, "memory");
		if (limit == NULL && !resource_is_overcommitted(q->key))
			REQUIRED("Limit must be set for non overcommitable resources", "%s", lim);
		if (limit == NULL || quantity_parse(doc_as_str(q), &x) != 0 ||
			quantity_parse(doc_as_str(limit), &y) != 0)
			continue;
		c = quantity_cmp(&x, &y);
		if (c != 0 && !resource_is_overcommitted(q->key))
			schema_error_fmt(s->errs, SCHEMA_CAUSE_INVALID, AT("%s", req), q,
				"must be equal to " STR_FMT " limit of " STR_FMT, STR_ARG(q->key),
				STR_ARG(doc_as_str(limit)));
		else if (c > 0)
			schema_error_fmt(s->errs, SCHEMA_CAUSE_INVALID, AT("%s", req), q,
				"must be less than or equal to " STR_FMT " limit of " STR_FMT,
				STR_ARG(q->key), STR_ARG(doc_as_str(limit)));
	}
	if (pages && !basic)
		FORBIDDEN("HugePages require cpu or memory", "%s", at);
	if (claims)
		check_claims(s, get(res, "claims"), at, claims);
}

static void
check_resize(const struct schema_spot *s, const struct doc *c, const struct in_pod *in)
{
	static const char *const resources[] = {"cpu", "memory", NULL};
	static const char *const policies[] = {"NotRequired", "RestartContainer", NULL};
	const struct doc *list = get(c, "resizePolicy");
	struct names seen = names_new(s->errs->a, doc_len(list));
	bool sidecar = is(c, "restartPolicy", "Always");
	size_t i = 0;

	DOC_EACH (p, list) {
		struct str name = text(p, "resourceName"), policy = text(p, "restartPolicy");

		if (!names_add(&seen, name, p))
			DUPLICATE(name, "resizePolicy[%zu]", i);
		if (name.n == 0 || policy.n == 0)
			REQUIRED(NULL, "resizePolicy");
		if (name.n && !one_of(resources, name))
			UNSUPPORTED(name, resources, "resizePolicy");
		if (policy.n && !one_of(policies, policy))
			UNSUPPORTED(policy, policies, "resizePolicy");
		if (is(in->spec, "restartPolicy", "Never") && !str_eq_c(policy, "NotRequired"))
			INVALID(policy, "must be 'NotRequired' when pod `restartPolicy` is 'Never'",
				"resizePolicy");
		if (in->init && !sidecar && str_eq_c(policy, "RestartContainer"))
			INVALID(policy,
				"must not be set to 'RestartContainer' for non-sidecar initContainers",
				"resizePolicy[%zu].restartPolicy", i);
		i++;
	}
}

static void
check_restart(const struct schema_spot *s, const struct doc *c, const struct in_pod *in)
{
	static const char *const actions[] = {"Restart", "RestartAllContainers", NULL};
	static const char *const operators[] = {"In", "NotIn", NULL};
	const struct doc *rules = get(c, "restartPolicyRules");
	size_t i = 0;

	if (doc_is_empty(rules) || in->ephemeral)
		return;
	if (get(c, "restartPolicy") == NULL) {
		REQUIRED("must specify restartPolicy when restart rules are used", "restartPolicy");
		if (in->init)
			return;
	}
	if (doc_len(rules) > 20)
		schema_err_too_many(s->errs, AT("restartPolicyRules"), doc_len(rules), 20);
	DOC_EACH (r, rules) {
		const struct doc *codes = get(r, "exitCodes");

		if (!one_of(actions, text(r, "action")))
			UNSUPPORTED(
				text(r, "action"), actions, "restartPolicyRules[%zu].action", i);
		if (codes == NULL)
			REQUIRED("must be specified", "restartPolicyRules[%zu].exitCodes", i);
		else if (!one_of(operators, text(codes, "operator")))
			UNSUPPORTED(text(codes, "operator"), operators,
				"restartPolicyRules[%zu].exitCodes.operator", i);
		if (doc_len(get(codes, "values")) > 255)
			schema_err_too_many(s->errs,
				AT("restartPolicyRules[%zu].exitCodes.values", i),
				doc_len(get(codes, "values")), 255);
		i++;
	}
}

static void
check_rights(const struct schema_spot *s, const struct doc *c, const struct in_pod *in)
{
	const struct doc *sc = get(c, "securityContext");

	if (is(sc, "procMount", "Unmasked") && doc_get_bool(in->spec, STR("hostUsers"), true))
		INVALID(STR("Unmasked"), "`hostUsers` must be false to use `Unmasked`",
			"securityContext.procMount");
	if (sc == NULL || doc_get_bool(sc, STR("allowPrivilegeEscalation"), true))
		return;
	if (flag(sc, "privileged"))
		INVALID_DOC(sc,
			"cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
			"securityContext");
	if (has_text(get(get(sc, "capabilities"), "add"), STR("CAP_SYS_ADMIN")))
		INVALID_DOC(sc,
			"cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` "
			"CAP_SYS_ADMIN",
			"securityContext");
}

void
check_container(const struct schema_spot *s, const struct doc *c, const struct in_pod *in)
{
	check_ports(s, c);
	check_env_from(s, c);
	check_mounts(s, c, in);
	check_devices(s, c, in);
	check_requirements(s, get(c, "resources"), "resources", &in->claims);
	check_resize(s, c, in);
	check_restart(s, c, in);
	check_probes(s, c, in);
	check_rights(s, c, in);
}

/* ---- profiles ---- */

CHECK(core_v1_seccomp_profile)
{
	const struct doc *path = get(d, "localhostProfile");

	(void)old;
	if (!text(d, "type").n)
		REQUIRED("type is required when seccompProfile is set", "type");
	if (!is(d, "type", "Localhost") && path)
		INVALID_DOC(
			d, "can only be set when seccomp type is Localhost", "localhostProfile");
	else if (is(d, "type", "Localhost") && path == NULL)
		REQUIRED("must be set when seccomp type is Localhost", "localhostProfile");
	else if (path)
		check_relative(s, doc_as_str(path), "localhostProfile");
}

CHECK(core_v1_app_armor_profile)
{
	const struct doc *path = get(d, "localhostProfile");
	struct str name = doc_as_str(path);

	(void)old;
	if (!text(d, "type").n)
		REQUIRED("type is required when appArmorProfile is set", "type");
	if (!is(d, "type", "Localhost")) {
		if (path && (is(d, "type", "RuntimeDefault") || is(d, "type", "Unconfined")))
			INVALID_DOC(path, "can only be set when AppArmor type is Localhost",
				"localhostProfile");
		return;
	}
	if (str_trim(name).n != name.n)
		INVALID(name, "must not be padded with whitespace", "localhostProfile");
	else if (name.n == 0)
		REQUIRED("must be set when AppArmor type is Localhost", "localhostProfile");
}
