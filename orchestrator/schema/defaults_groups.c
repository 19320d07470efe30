/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * defaults_groups: defaults of the named groups that depend on other members; see defaults_core.c.
 * Source: k8s.io/kubernetes pkg/apis/{apps,autoscaling,batch,networking,rbac,resource}/v1/defaults.go,
 * apiextensions-apiserver (behaviour). */
#include "base/clock.h"
#include "orchestrator/schema/defaults_int.h"

static struct doc *
json(struct arena *a, const char *text)
{
	struct doc *d = NULL;

	return doc_parse_json(a, str_c(text), NULL, &d, NULL) == 0 ? d : NULL;
}

static void
set_json_if_absent(struct arena *a, struct doc *d, struct str key, const char *text)
{
	struct doc *v = doc_get(d, key) ? NULL : json(a, text);

	if (v)
		doc_set(d, key, v);
}

/* rolling: members of rollingUpdate when the type is RollingUpdate. */
static void
rolling(struct arena *a, struct doc *d, const char *unavailable, const char *surge)
{
	struct doc *r = NULL;

	if (!str_eq_c(doc_get_str(d, STR("type")), "RollingUpdate"))
		return;
	r = doc_ensure_map(a, d, STR("rollingUpdate"));
	if (r == NULL)
		return;
	set_json_if_absent(a, r, STR("maxUnavailable"), unavailable);
	set_json_if_absent(a, r, STR("maxSurge"), surge);
}

void
schema_hook_apps_v1_deployment_strategy(struct arena *a, struct doc *d)
{
	rolling(a, d, "\"25%\"", "\"25%\"");
}

void
schema_hook_apps_v1_daemon_set_update_strategy(struct arena *a, struct doc *d)
{
	rolling(a, d, "1", "0");
}

void
schema_hook_apps_v1_stateful_set_update_strategy(struct arena *a, struct doc *d)
{
	struct doc *r = doc_get(d, STR("rollingUpdate"));

	if (doc_is_zero(doc_get(d, STR("type")))) {
		doc_set_str(a, d, STR("type"), STR("RollingUpdate"));
		r = doc_ensure_map(a, d, STR("rollingUpdate"));
	}
	if (r == NULL || r->type != DOC_MAP ||
		!str_eq_c(doc_get_str(d, STR("type")), "RollingUpdate"))
		return;
	set_json_if_absent(a, r, STR("partition"), "0");
	set_json_if_absent(a, r, STR("maxUnavailable"), "1");
}

void
schema_hook_autoscaling_v2_horizontal_pod_autoscaler(struct arena *a, struct doc *d)
{
	struct doc *spec = doc_get(d, STR("spec")), *behavior = doc_get(spec, STR("behavior"));
	struct doc *up = NULL, *down = NULL;

	if (spec == NULL)
		return;
	if (doc_is_zero(doc_get(spec, STR("metrics"))))
		doc_set(spec, STR("metrics"),
			json(a,
				"[{\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\",\"target\":"
				"{\"type\":\"Utilization\",\"averageUtilization\":80}}}]"));
	if (behavior == NULL)
		return;
	up = doc_ensure_map(a, behavior, STR("scaleUp"));
	down = doc_ensure_map(a, behavior, STR("scaleDown"));
	if (up == NULL || down == NULL)
		return;
	set_json_if_absent(a, up, STR("stabilizationWindowSeconds"), "0");
	set_json_if_absent(a, up, STR("selectPolicy"), "\"Max\"");
	set_json_if_absent(a, up, STR("policies"),
		"[{\"type\":\"Pods\",\"value\":4,\"periodSeconds\":15},"
		"{\"type\":\"Percent\",\"value\":100,\"periodSeconds\":15}]");
	set_json_if_absent(a, down, STR("selectPolicy"), "\"Max\"");
	set_json_if_absent(a, down, STR("policies"),
		"[{\"type\":\"Percent\",\"value\":100,\"periodSeconds\":15}]");
}

void
schema_hook_batch_v1_job(struct arena *a, struct doc *d)
{
	struct doc *spec = doc_get(d, STR("spec")), *meta = doc_get(d, STR("metadata"));
	struct doc *labels = doc_get(
		doc_get(doc_get(spec, STR("template")), STR("metadata")), STR("labels"));

	if (spec == NULL)
		return;
	if (doc_get(spec, STR("parallelism")) == NULL)
		set_json_if_absent(a, spec, STR("completions"), "1");
	set_json_if_absent(a, spec, STR("parallelism"), "1");
	set_json_if_absent(a, spec, STR("backoffLimit"),
		doc_get(spec, STR("backoffLimitPerIndex")) ? "2147483647" : "6");
	set_json_if_absent(a, spec, STR("completionMode"), "\"NonIndexed\"");
	set_json_if_absent(a, spec, STR("suspend"), "false");
	set_json_if_absent(a, spec, STR("manualSelector"), "false");
	set_json_if_absent(a, spec, STR("podReplacementPolicy"),
		doc_get(spec, STR("podFailurePolicy")) ? "\"Failed\"" : "\"TerminatingOrFailed\"");
	if (meta && !doc_is_zero(labels) && doc_is_zero(doc_get(meta, STR("labels"))))
		doc_set(meta, STR("labels"), doc_copy(a, labels));
}

void
schema_hook_networking_v1_network_policy_spec(struct arena *a, struct doc *d)
{
	if (doc_is_zero(doc_get(d, STR("policyTypes"))))
		doc_set(d, STR("policyTypes"),
			json(a,
				doc_is_zero(doc_get(d, STR("egress")))
					? "[\"Ingress\"]"
					: "[\"Ingress\",\"Egress\"]"));
}

void
schema_hook_rbac_v1_subject(struct arena *a, struct doc *d)
{
	struct str kind = doc_get_str(d, STR("kind"));

	if (doc_is_zero(doc_get(d, STR("apiGroup"))) &&
		(str_eq_c(kind, "User") || str_eq_c(kind, "Group")))
		doc_set_str(a, d, STR("apiGroup"), STR("rbac.authorization.k8s.io"));
}

static void
exact_count(struct arena *a, struct doc *d)
{
	if (str_eq_c(doc_get_str(d, STR("allocationMode")), "ExactCount") &&
		doc_get_int(d, STR("count"), 0) == 0)
		doc_set_int(a, d, STR("count"), 1);
}

void
schema_hook_resource_v1_device_sub_request(struct arena *a, struct doc *d)
{
	exact_count(a, d);
}

void
schema_hook_resource_v1_exact_device_request(struct arena *a, struct doc *d)
{
	exact_count(a, d);
}

void
schema_hook_resource_v1_device_taint(struct arena *a, struct doc *d)
{
	char text[40];

	if (doc_get(d, STR("timeAdded")) == NULL)
		doc_set_str(a, d, STR("timeAdded"),
			arena_str(a, str_from(text, rfc3339_format(clock_wall_ns(), 0, text))));
}

void
schema_hook_apiextensions_v1_custom_resource_definition(struct arena *a, struct doc *d)
{
	struct doc *spec = doc_get(d, STR("spec")), *names = doc_get(spec, STR("names"));
	struct doc *status = NULL, *stored = NULL;
	struct str kind = doc_get_str(names, STR("kind"));

	if (kind.n && doc_is_zero(doc_get(names, STR("listKind"))))
		doc_set_str(a, names, STR("listKind"), arena_fmt(a, STR_FMT "List", STR_ARG(kind)));
	if (kind.n && doc_is_zero(doc_get(names, STR("singular")))) {
		char *lower = arena_cstr(a, kind);

		for (size_t i = 0; lower && i < kind.n; i++)
			if (lower[i] >= 'A' && lower[i] <= 'Z')
				lower[i] = (char)(lower[i] - 'A' + 'a');
		doc_set_str(a, names, STR("singular"), str_c(lower));
	}
	status = doc_ensure_map(a, d, STR("status"));
	if (status == NULL || !doc_is_zero(doc_get(status, STR("storedVersions"))))
		return;
	DOC_EACH (v, doc_get(spec, STR("versions"))) {
		if (!doc_get_bool(v, STR("storage"), false))
			continue;
		stored = doc_list(a);
		if (stored == NULL)
			return;
		doc_append(stored, doc_str(a, doc_get_str(v, STR("name"))));
		doc_set(status, STR("storedVersions"), stored);
		return;
	}
}
