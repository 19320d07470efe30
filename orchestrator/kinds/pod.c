/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pod: Pods: what is set when one is made, what may change afterwards, how long a deletion waits, and the
 * rules a table cannot say. check_pod_spec serves the templates of every workload too.
 * Sources: kube-apiserver pkg/registry/core/pod (strategy), pkg/apis/core/validation (ValidatePodSpec,
 * ValidatePodUpdate), pkg/apis/core/v1/helper/qos. */
#include "orchestrator/kinds/kinds_int.h"

/* ---- quality of service ---- */

static int64_t
amount(const struct doc *list, const char *name)
{
	struct str v = doc_get_str(list, str_c(name));
	return v.n ? quantity_milli_of(v, 0) : 0;
}

/* qos_of: Guaranteed: every container limits cpu and memory and asks for just that; BestEffort: nothing
 * is asked for or limited. */
static struct str
qos_of(const struct doc *spec)
{
	static const char *const lists[] = {"containers", "initContainers"};
	static const char *const names[] = {"cpu", "memory"};
	bool any = false, all = true;
	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		DOC_EACH (c, doc_get(spec, str_c(lists[l]))) {
			const struct doc *res = doc_get(c, S("resources"));
			const struct doc *req = doc_get(res, S("requests")),
					 *lim = doc_get(res, S("limits"));
			for (size_t i = 0; i < ARRAY_LEN(names); i++) {
				int64_t q = amount(req, names[i]), m = amount(lim, names[i]);
				any = any || q || m;
				all = all && m && (q == m || !q);
			}
		}
	}
	return !any ? S("BestEffort") : all ? S("Guaranteed") : S("Burstable");
}

/* ---- create, update ---- */

static void
prepare_create(struct request *r, struct doc *obj)
{
	struct doc *st = doc_map(r->a), *spec = doc_get(obj, S("spec"));
	if (!st)
		return;
	doc_set_str(r->a, st, S("phase"), S("Pending"));
	doc_set_str(r->a, st, S("qosClass"), qos_of(spec));
	if (doc_len(doc_get(spec, S("schedulingGates")))) {
		struct doc *list = doc_ensure_list(r->a, st, S("conditions")), *c = doc_map(r->a);
		if (list && c) {
			doc_set_str(r->a, c, S("type"), S("PodScheduled"));
			doc_set_str(r->a, c, S("status"), S("False"));
			doc_set_str(r->a, c, S("reason"), S("SchedulingGated"));
			doc_set_str(r->a, c, S("message"),
				S("Scheduling is blocked due to non-empty scheduling gates"));
			doc_append(list, c);
		}
	}
	doc_set(obj, S("status"), st);
}

static void
prepare_update(struct request *r, struct doc *obj, const struct doc *old)
{
	keep_member(r->a, obj, old, S("status"));
}

static void
prepare_status(struct request *r, struct doc *obj, const struct doc *old)
{
	struct doc *st = doc_ensure_map(r->a, obj, S("status"));
	if (st && !doc_get(st, S("qosClass")))
		keep_member(r->a, st, doc_get(old, S("status")), S("qosClass"));
	/* A node says where the pod runs; nobody takes that back. */
	if (st && !doc_get(st, S("nominatedNodeName")))
		keep_member(r->a, st, doc_get(old, S("status")), S("nominatedNodeName"));
}

/* ---- validation ---- */

static bool
has_volume(const struct doc *spec, struct str name)
{
	DOC_EACH (v, doc_get(spec, S("volumes")))
		if (str_eq(doc_get_str(v, S("name")), name))
			return true;
	return false;
}

static void
check_mounts(struct request *r, const struct doc *spec, const struct doc *c, struct str path)
{
	struct schema_errors *errs = &r->causes;
	size_t i = 0;
	const struct doc *mounts = doc_get(c, S("volumeMounts"));
	DOC_EACH (m, mounts) {
		struct str at = schema_path(errs, STR_FMT ".volumeMounts[%zu]", STR_ARG(path), i);
		struct str name = doc_get_str(m, S("name")), where = doc_get_str(m, S("mountPath"));
		if (name.n && !has_volume(spec, name))
			schema_err_not_found(errs, schema_path_child(errs, at, S("name")), name);
		size_t k = 0;
		DOC_EACH (o, mounts) {
			if (k++ >= i)
				break;
			if (where.n && str_eq(where, doc_get_str(o, S("mountPath"))))
				schema_err_invalid(errs,
					schema_path_child(errs, at, S("mountPath")), where,
					"must be unique");
		}
		struct str sub = doc_get_str(m, S("subPath"));
		if (sub.n && (sub.p[0] == '/'))
			schema_err_invalid(errs, schema_path_child(errs, at, S("subPath")), sub,
				"must be a relative path");
		else if (sub.n && (str_find(sub, S("..")) == 0 || str_find(sub, S("/..")) >= 0))
			schema_err_invalid(errs, schema_path_child(errs, at, S("subPath")), sub,
				"must not contain '..'");
		if (sub.n && doc_get_str(m, S("subPathExpr")).n)
			schema_err_invalid(errs, schema_path_child(errs, at, S("subPathExpr")),
				doc_get_str(m, S("subPathExpr")),
				"subPathExpr and subPath are mutually exclusive");
		i++;
	}
}

static void
check_resources(struct request *r, const struct doc *c, struct str path)
{
	struct schema_errors *errs = &r->causes;
	const struct doc *res = doc_get(c, S("resources")), *lim = doc_get(res, S("limits"));
	DOC_EACH (q, doc_get(res, S("requests"))) {
		struct quantity x, y;
		struct str at = schema_path_key(
			errs, schema_path_child(errs, path, S("resources.requests")), q->key);
		if (quantity_parse(doc_as_str(q), &x) < 0)
			continue;
		if (x.nano < 0)
			schema_err_invalid(errs, at, doc_as_str(q), format_text_not_negative);
		struct str limit = doc_get_str(lim, q->key);
		if (limit.n && quantity_parse(limit, &y) == 0 && quantity_cmp(&x, &y) > 0)
			schema_error_fmt(errs, SCHEMA_CAUSE_INVALID, at, q,
				"must be less than or equal to " STR_FMT " limit of " STR_FMT,
				STR_ARG(q->key), STR_ARG(limit));
	}
	DOC_EACH (q, lim) {
		struct quantity x;
		if (quantity_parse(doc_as_str(q), &x) == 0 && x.nano < 0)
			schema_err_invalid(errs,
				schema_path_key(errs,
					schema_path_child(errs, path, S("resources.limits")),
					q->key),
				doc_as_str(q), format_text_not_negative);
	}
}

static const char *const handlers[] = {"exec", "httpGet", "tcpSocket", "grpc", "sleep"};

static void
check_handler(struct request *r, const struct doc *h, struct str path)
{
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(handlers); i++)
		n += doc_get(h, str_c(handlers[i])) != NULL;
	if (n == 0)
		schema_err_required(&r->causes, path, "must specify a handler type");
	if (n > 1)
		schema_err_forbidden(&r->causes, path, "may not specify more than 1 handler type");
}

static void
check_probes(struct request *r, const struct doc *c, struct str path, bool init)
{
	static const char *const probes[] = {"livenessProbe", "readinessProbe", "startupProbe"};
	struct schema_errors *errs = &r->causes;
	bool sidecar = str_eq_c(doc_get_str(c, S("restartPolicy")), "Always");
	for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
		const struct doc *p = doc_get(c, str_c(probes[i]));
		struct str at = schema_path_child(errs, path, str_c(probes[i]));
		if (!p)
			continue;
		if (init && !sidecar) {
			schema_err_forbidden(errs, at,
				"may not be set for init containers without restartPolicy=Always");
			continue;
		}
		check_handler(r, p, at);
		if (i != 1 && doc_get_int(p, S("successThreshold"), 1) != 1)
			schema_err_invalid_int(errs,
				schema_path_child(errs, at, S("successThreshold")),
				doc_get_int(p, S("successThreshold"), 1), "must be 1");
	}
	const struct doc *life = doc_get(c, S("lifecycle"));
	static const char *const hooks[] = {"postStart", "preStop"};
	for (size_t i = 0; i < ARRAY_LEN(hooks); i++)
		if (doc_get(life, str_c(hooks[i])))
			check_handler(r, doc_get(life, str_c(hooks[i])),
				schema_path(
					errs, STR_FMT ".lifecycle.%s", STR_ARG(path), hooks[i]));
}

static void
check_env(struct request *r, const struct doc *c, struct str path)
{
	struct schema_errors *errs = &r->causes;
	size_t i = 0;
	DOC_EACH (e, doc_get(c, S("env"))) {
		struct str at = schema_path(errs, STR_FMT ".env[%zu]", STR_ARG(path), i++);
		const struct doc *from = doc_get(e, S("valueFrom"));
		if (!from)
			continue;
		if (doc_get_str(e, S("value")).n)
			schema_error_add(errs, SCHEMA_CAUSE_INVALID,
				schema_path_child(errs, at, S("valueFrom")), doc_str(r->a, S("")),
				S("may not be specified when `value` is not empty"));
		if (doc_len(from) == 0)
			schema_error_add(errs, SCHEMA_CAUSE_INVALID,
				schema_path_child(errs, at, S("valueFrom")), doc_str(r->a, S("")),
				S("must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, "
				  "`secretKeyRef` or `fileKeyRef`"));
		else if (doc_len(from) > 1)
			schema_error_add(errs, SCHEMA_CAUSE_INVALID,
				schema_path_child(errs, at, S("valueFrom")), doc_str(r->a, S("")),
				S("may not have more than one field specified at a time"));
	}
}

static void
check_ports(struct request *r, const struct doc *spec, const struct doc *c, struct str path)
{
	struct schema_errors *errs = &r->causes;
	bool host = doc_get_bool(spec, S("hostNetwork"), false);
	size_t i = 0;
	DOC_EACH (p, doc_get(c, S("ports"))) {
		struct str at = schema_path(errs, STR_FMT ".ports[%zu]", STR_ARG(path), i);
		struct str name = doc_get_str(p, S("name"));
		int64_t port = doc_get_int(p, S("containerPort"), 0),
			hp = doc_get_int(p, S("hostPort"), 0);
		if (port == 0)
			schema_err_required(
				errs, schema_path_child(errs, at, S("containerPort")), NULL);
		else if (port < 1 || port > 65535)
			schema_err_invalid_int(errs,
				schema_path_child(errs, at, S("containerPort")), port,
				format_text_port);
		if (hp && (hp < 1 || hp > 65535))
			schema_err_invalid_int(errs, schema_path_child(errs, at, S("hostPort")), hp,
				format_text_port);
		if (host && hp && hp != port)
			schema_err_invalid_int(errs, schema_path_child(errs, at, S("hostPort")), hp,
				"must match `containerPort` when `hostNetwork` is true");
		if (name.n)
			schema_err_format(errs, schema_path_child(errs, at, S("name")),
				FORMAT_PORT_NAME, name);
		size_t k = 0;
		DOC_EACH (q, doc_get(c, S("ports"))) {
			if (k++ >= i)
				break;
			if (name.n && str_eq(name, doc_get_str(q, S("name"))))
				schema_err_duplicate(
					errs, schema_path_child(errs, at, S("name")), name);
		}
		i++;
	}
}

static void
check_container(
	struct request *r, const struct doc *spec, const struct doc *c, struct str path, bool init)
{
	struct schema_errors *errs = &r->causes;
	struct str image = doc_get_str(c, S("image"));
	if (!image.n)
		schema_err_required(errs, schema_path_child(errs, path, S("image")), NULL);
	else if (str_trim(image).n != image.n)
		schema_err_invalid(errs, schema_path_child(errs, path, S("image")), image,
			"must not have leading or trailing whitespace");
	check_ports(r, spec, c, path);
	check_env(r, c, path);
	check_mounts(r, spec, c, path);
	check_resources(r, c, path);
	check_probes(r, c, path, init);
	const struct doc *sc = doc_get(c, S("securityContext"));
	if (doc_get_bool(sc, S("privileged"), false) &&
		!doc_get_bool(sc, S("allowPrivilegeEscalation"), true))
		schema_error_add(errs, SCHEMA_CAUSE_INVALID,
			schema_path_child(errs, path, S("securityContext")), sc,
			S("cannot set `allowPrivilegeEscalation` to false and `privileged` to true"));
}

static void
check_names(struct request *r, const struct doc *spec, struct str path)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
	struct schema_errors *errs = &r->causes;
	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		size_t i = 0;
		DOC_EACH (c, doc_get(spec, str_c(lists[l]))) {
			struct str name = doc_get_str(c, S("name"));
			bool twice = false, before = true;
			for (size_t m = 0; m <= l && before; m++)
				DOC_EACH (o, doc_get(spec, str_c(lists[m]))) {
					if (o == c) {
						before = false;
						break;
					}
					twice = twice ||
						(name.n && str_eq(name, doc_get_str(o, S("name"))));
				}
			if (twice)
				schema_err_duplicate(errs,
					schema_path(errs, STR_FMT ".%s[%zu].name", STR_ARG(path),
						lists[l], i),
					name);
			i++;
		}
	}
}

static void
check_volumes(struct request *r, const struct doc *spec, struct str path)
{
	struct schema_errors *errs = &r->causes;
	size_t i = 0;
	DOC_EACH (v, doc_get(spec, S("volumes"))) {
		struct str at = schema_path(errs, STR_FMT ".volumes[%zu]", STR_ARG(path), i);
		struct str name = doc_get_str(v, S("name"));
		size_t sources = doc_len(v) - (doc_get(v, S("name")) != NULL);
		if (sources == 0)
			schema_err_required(errs, at, "must specify a volume type");
		if (sources > 1) {
			bool first = true;
			DOC_EACH (s, v) {
				if (str_eq_c(s->key, "name"))
					continue;
				if (!first)
					schema_err_forbidden(errs,
						schema_path_child(errs, at, s->key),
						"may not specify more than 1 volume type");
				first = false;
			}
		}
		size_t k = 0;
		DOC_EACH (o, doc_get(spec, S("volumes"))) {
			if (k++ >= i)
				break;
			if (name.n && str_eq(name, doc_get_str(o, S("name"))))
				schema_err_duplicate(
					errs, schema_path_child(errs, at, S("name")), name);
		}
		i++;
	}
}

static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};

static void
check_tolerations(struct request *r, const struct doc *spec, struct str path)
{
	struct schema_errors *errs = &r->causes;
	size_t i = 0;
	DOC_EACH (t, doc_get(spec, S("tolerations"))) {
		struct str at = schema_path(errs, STR_FMT ".tolerations[%zu]", STR_ARG(path), i++);
		struct str key = doc_get_str(t, S("key")), op = doc_get_str(t, S("operator"));
		struct str effect = doc_get_str(t, S("effect")), value = doc_get_str(t, S("value"));
		bool known = !effect.n;
		for (size_t k = 0; effects[k]; k++)
			known = known || str_eq_c(effect, effects[k]);
		if (key.n)
			schema_err_format(errs, schema_path_child(errs, at, S("key")),
				FORMAT_QUALIFIED_NAME, key);
		if (!key.n && !str_eq_c(op, "Exists"))
			schema_err_invalid(errs, schema_path_child(errs, at, S("operator")), op,
				"operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
		if (doc_get(t, S("tolerationSeconds")) && !str_eq_c(effect, "NoExecute"))
			schema_err_invalid(errs, schema_path_child(errs, at, S("effect")), effect,
				"effect must be 'NoExecute' when `tolerationSeconds` is set");
		if (str_eq_c(op, "Exists") && value.n)
			schema_err_invalid(errs, schema_path_child(errs, at, S("operator")), op,
				"value must be empty when `operator` is 'Exists'");
		if (!known)
			schema_err_unsupported(
				errs, schema_path_child(errs, at, S("effect")), effect, effects);
	}
}

void
check_pod_spec(struct request *r, const struct doc *spec, struct str path, bool in_template)
{
	struct schema_errors *errs = &r->causes;
	size_t i = 0;
	check_volumes(r, spec, path);
	DOC_EACH (c, doc_get(spec, S("initContainers")))
		check_container(r, spec, c,
			schema_path(errs, STR_FMT ".initContainers[%zu]", STR_ARG(path), i++),
			true);
	i = 0;
	DOC_EACH (c, doc_get(spec, S("containers")))
		check_container(r, spec, c,
			schema_path(errs, STR_FMT ".containers[%zu]", STR_ARG(path), i++), false);
	check_names(r, spec, path);
	check_tolerations(r, spec, path);
	i = 0;
	DOC_EACH (t, doc_get(spec, S("topologySpreadConstraints"))) {
		struct str at = schema_path(
			errs, STR_FMT ".topologySpreadConstraints[%zu]", STR_ARG(path), i++);
		if (doc_get(t, S("labelSelector")))
			check_label_selector(r, doc_get(t, S("labelSelector")),
				schema_path_child(errs, at, S("labelSelector")));
	}
	if (in_template && !str_eq_c(doc_get_str(spec, S("restartPolicy")), "Always") &&
		(str_eq_c(request_resource(r), "deployments") ||
			str_eq_c(request_resource(r), "replicasets") ||
			str_eq_c(request_resource(r), "daemonsets") ||
			str_eq_c(request_resource(r), "statefulsets"))) {
		static const char *const only[] = {"Always", NULL};
		schema_err_unsupported(errs, schema_path_child(errs, path, S("restartPolicy")),
			doc_get_str(spec, S("restartPolicy")), only);
	}
	if (doc_get_int(spec, S("terminationGracePeriodSeconds"), 0) < 0)
		schema_err_invalid_int(errs,
			schema_path_child(errs, path, S("terminationGracePeriodSeconds")),
			doc_get_int(spec, S("terminationGracePeriodSeconds"), 0),
			format_text_not_negative);
}

static void
validate_create(struct request *r, const struct doc *obj)
{
	check_pod_spec(r, doc_get(obj, S("spec")), S("spec"), false);
	if (doc_len(doc_get(doc_get(obj, S("spec")), S("ephemeralContainers"))) &&
		!str_eq_c(request_subresource(r), "ephemeralcontainers"))
		schema_err_forbidden(
			&r->causes, S("spec.ephemeralContainers"), "cannot be set on create");
}

/* same_but: may `now` become `old` by the changes that are allowed? Puts the old values of what may
 * change into a copy and compares. */
static struct doc *
mask(struct request *r, const struct doc *now, const struct doc *old)
{
	static const char *const lists[] = {"containers", "initContainers"};
	struct doc *d = doc_copy(r->a, now);
	for (size_t l = 0; d && l < ARRAY_LEN(lists); l++) {
		struct doc *c = NULL;
		size_t i = 0;
		DOC_EACH (x, doc_get(d, str_c(lists[l]))) {
			c = doc_index(doc_get(old, str_c(lists[l])), i++);
			if (c)
				keep_member(r->a, x, c, S("image"));
			if (c && str_eq_c(request_subresource(r), "resize")) {
				keep_member(r->a, x, c, S("resources"));
				keep_member(r->a, x, c, S("resizePolicy"));
			}
		}
	}
	keep_member(r->a, d, old, S("activeDeadlineSeconds"));
	keep_member(r->a, d, old, S("tolerations"));
	keep_member(r->a, d, old, S("terminationGracePeriodSeconds"));
	keep_member(r->a, d, old, S("schedulingGates"));
	if (doc_len(doc_get(old, S("schedulingGates")))) {
		keep_member(r->a, d, old, S("nodeSelector"));
		keep_member(r->a, d, old, S("affinity"));
	}
	if (str_eq_c(request_subresource(r), "ephemeralcontainers"))
		keep_member(r->a, d, old, S("ephemeralContainers"));
	return d;
}

static void
validate_update(struct request *r, const struct doc *obj, const struct doc *old)
{
	struct schema_errors *errs = &r->causes;
	const struct doc *spec = doc_get(obj, S("spec")), *was = doc_get(old, S("spec"));
	check_pod_spec(r, spec, S("spec"), false);
	size_t i = 0;
	DOC_EACH (t, doc_get(was, S("tolerations"))) {
		bool there = false;
		DOC_EACH (u, doc_get(spec, S("tolerations")))
			there = there || doc_equal(t, u);
		if (!there) {
			schema_err_forbidden(errs, S("spec.tolerations"),
				"existing toleration can not be modified except its tolerationSeconds");
			break;
		}
		i++;
	}
	DOC_EACH (g, doc_get(spec, S("schedulingGates"))) {
		bool there = false;
		DOC_EACH (h, doc_get(was, S("schedulingGates")))
			there = there || doc_equal(g, h);
		if (!there)
			schema_err_forbidden(
				errs, S("spec.schedulingGates"), "only deletion is allowed");
	}
	if (!doc_equal(mask(r, spec, was), was))
		schema_err_forbidden(errs, S("spec"),
			"pod updates may not change fields other than `spec.containers[*].image`,"
			"`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
			"additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be "
			"set to 1 if it was previously negative)\n");
}

/* ---- deletion ---- */

static enum step
before_delete(struct request *r, const struct doc *old, int64_t *grace_s)
{
	const struct doc *spec = doc_get(old, S("spec"));
	struct str phase = doc_get_str(doc_get(old, S("status")), S("phase"));
	(void)r;
	if (*grace_s < 0)
		*grace_s = doc_get_int(spec, S("terminationGracePeriodSeconds"), 30);
	/* Nobody has to end what was never placed, or is over. */
	if (!doc_get_str(spec, S("nodeName")).n || str_eq_c(phase, "Failed") ||
		str_eq_c(phase, "Succeeded"))
		*grace_s = 0;
	return STEP_NEXT;
}

const struct kind_ops pod_ops = {
	.group = "",
	.resource = "pods",
	.prepare_create = prepare_create,
	.prepare_update = prepare_update,
	.prepare_status = prepare_status,
	.validate_create = validate_create,
	.validate_update = validate_update,
	.before_delete = before_delete,
};
