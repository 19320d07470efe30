/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_apps: workloads and their autoscalers.
 * Source: k8s.io/kubernetes pkg/apis/apps/validation, pkg/apis/autoscaling/validation. */
#include "orchestrator/schema/checks_int.h"

/* ---- selectors and templates ---- */

/* check_selected: the selector is not empty, and selects the template. */
static void
check_selected(const struct schema_spot *s, const struct doc *spec, const char *empty)
{
	const struct doc *sel = get(spec, "selector");
	const struct doc *labels = get(get(get(spec, "template"), "metadata"), "labels");
	struct selector parsed;

	if (sel && sel->type != DOC_MAP)
		sel = NULL; /* as if it were absent: selects nothing */
	if (sel && doc_is_empty(get(sel, "matchLabels")) &&
		doc_is_empty(get(sel, "matchExpressions")))
		INVALID_DOC(sel, empty, "selector");
	else if (selector_from_doc(s->errs->a, sel, &parsed) == 0 &&
		!selector_match_doc(&parsed, labels))
		INVALID_DOC(labels ? labels : doc_null(s->errs->a),
			"`selector` does not match template `labels`", "template.metadata.labels");
}

/* ---- Deployments, ReplicaSets ---- */

static const char *const deployment_types[] = {"Recreate", "RollingUpdate", NULL};

CHECK(apps_v1_deployment_spec)
{
	const struct doc *deadline = get(d, "progressDeadlineSeconds");
	const struct doc *strategy = get(d, "strategy"), *ru = get(strategy, "rollingUpdate");

	(void)old;
	check_selected(s, d, "empty selector is invalid for deployment");
	check_pod_template(s, d, "ReplicaSet");
	if (deadline && doc_as_int(deadline, 0) < 0)
		INVALID_DOC(deadline, format_text_not_negative, "progressDeadlineSeconds");
	if (deadline && doc_as_int(deadline, 0) <= number(d, "minReadySeconds"))
		INVALID_DOC(deadline, "must be greater than minReadySeconds",
			"progressDeadlineSeconds");
	if (!one_of(deployment_types, text(strategy, "type")))
		UNSUPPORTED_DOC(strategy, deployment_types, "strategy");
	if (is(strategy, "type", "Recreate") && ru)
		FORBIDDEN("may not be specified when strategy `type` is 'Recreate'",
			"strategy.rollingUpdate");
	if (!is(strategy, "type", "RollingUpdate"))
		return;
	check_share(s, ru, "maxUnavailable", "strategy.rollingUpdate.maxUnavailable", 100);
	check_share(s, ru, "maxSurge", "strategy.rollingUpdate.maxSurge", 0);
	if (ru && share_is_zero(get(ru, "maxUnavailable")) && share_is_zero(get(ru, "maxSurge")))
		INVALID_DOC(get(ru, "maxUnavailable"), "may not be 0 when `maxSurge` is 0",
			"strategy.rollingUpdate.maxUnavailable");
}

static const char text_ready[] = "cannot be greater than readyReplicas";

CHECK(apps_v1_deployment_status)
{
	static const char *const all[] = {"replicas", "updatedReplicas", "readyReplicas",
		"availableReplicas", "unavailableReplicas", "terminatingReplicas",
		"observedGeneration", "collisionCount", NULL};
	static const char *const within[] = {
		"updatedReplicas", "readyReplicas", "availableReplicas", NULL};

	check_counters(s, d, old, all, within, text_ready);
}

CHECK(apps_v1_replica_set_spec)
{
	(void)old;
	check_selected(s, d, "empty selector is invalid for deployment");
	check_pod_template(s, d, "ReplicaSet");
}

static const char *const set_counters[] = {"replicas", "fullyLabeledReplicas", "readyReplicas",
	"availableReplicas", "terminatingReplicas", "observedGeneration", NULL};
static const char *const set_within[] = {
	"fullyLabeledReplicas", "readyReplicas", "availableReplicas", NULL};

CHECK(apps_v1_replica_set_status)
{
	check_counters(s, d, old, set_counters, set_within, text_ready);
}

CHECK(core_v1_replication_controller_status)
{
	check_counters(s, d, old, set_counters, set_within, text_ready);
}

CHECK(core_v1_replication_controller_spec)
{
	const struct doc *sel = get(d, "selector"), *template = get(d, "template");
	const struct doc *labels = get(get(template, "metadata"), "labels");
	struct names have = keys_of(s->errs->a, labels);

	(void)old;
	if (doc_is_empty(sel))
		REQUIRED(NULL, "selector");
	DOC_EACH (m, template ? sel : NULL)
		if (!doc_equal(names_find(&have, m->key), m)) {
			INVALID_DOC(labels ? labels : doc_map(s->errs->a),
				"`selector` does not match template `labels`",
				"template.metadata.labels");
			break;
		}
	check_pod_template(s, d, "ReplicationController");
}

/* ---- DaemonSets ---- */

CHECK(apps_v1_daemon_set_spec)
{
	static const char *const types[] = {"RollingUpdate", "OnDelete", NULL};
	const struct doc *ru = get(get(d, "updateStrategy"), "rollingUpdate");
	const struct doc *gone = get(ru, "maxUnavailable"), *surge = get(ru, "maxSurge");

	check_selected(s, d, "empty selector is invalid for daemonset");
	check_pod_template(s, d, "DaemonSet");
	(void)old;
	if (!one_of(types, text(get(d, "updateStrategy"), "type")))
		UNSUPPORTED_DOC(get(d, "updateStrategy"), types, "updateStrategy");
	if (!is(get(d, "updateStrategy"), "type", "RollingUpdate") || ru == NULL)
		return;
	check_share(s, ru, "maxUnavailable", "updateStrategy.rollingUpdate.maxUnavailable", 100);
	check_share(s, ru, "maxSurge", "updateStrategy.rollingUpdate.maxSurge", 100);
	if (share_is_zero(gone) && share_is_zero(surge))
		REQUIRED("cannot be 0 when maxSurge is 0",
			"updateStrategy.rollingUpdate.maxUnavailable");
	else if (!share_is_zero(gone) && !share_is_zero(surge))
		INVALID_DOC(surge, "may not be set when maxUnavailable is non-zero",
			"updateStrategy.rollingUpdate.maxSurge");
}

CHECK(apps_v1_daemon_set_status)
{
	static const char *const all[] = {"currentNumberScheduled", "numberMisscheduled",
		"desiredNumberScheduled", "numberReady", "observedGeneration",
		"updatedNumberScheduled", "numberAvailable", "numberUnavailable", "collisionCount",
		NULL};
	static const char *const none[] = {NULL};

	check_counters(s, d, old, all, none, NULL);
}

/* ---- StatefulSets ---- */

/* forgive_names: what was said of members of the template that the controller sets itself: the pod's names, and the
 * volumes that are made of claim templates. */
static void
forgive_names(const struct schema_spot *s, const struct doc *d)
{
	static const char *const lists[] = {"containers", "initContainers"};
	static const char *const uses[] = {"volumeMounts", "volumeDevices"};
	const struct doc *pod = get(get(d, "template"), "spec");
	struct names claims = names_new(s->errs->a, doc_len(get(d, "volumeClaimTemplates")));

	schema_errors_drop(s->errs, AT("template.spec.hostname"));
	schema_errors_drop(s->errs, AT("template.spec.subdomain"));
	DOC_EACH (c, get(d, "volumeClaimTemplates"))
		names_add(&claims, text(get(c, "metadata"), "name"), c);
	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		size_t i = 0;

		DOC_EACH (c, get(pod, lists[l])) {
			for (size_t u = 0; u < ARRAY_LEN(uses); u++) {
				size_t k = 0;

				DOC_EACH (m, get(c, uses[u])) {
					if (names_find(&claims, text(m, "name")))
						schema_errors_drop(s->errs,
							AT("template.spec.%s[%zu].%s[%zu].name",
								lists[l], i, uses[u], k));
					k++;
				}
			}
			i++;
		}
	}
}

/* check_claim_names: each claim template becomes a volume of its name. */
static void
check_claim_names(const struct schema_spot *s, const struct doc *d)
{
	size_t i = 0;

	DOC_EACH (c, get(d, "volumeClaimTemplates")) {
		struct str name = text(get(c, "metadata"), "name");

		if (!name.n) {
			REQUIRED(NULL, "template.spec.volumes[%zu].persistentVolumeClaim.claimName",
				i);
			REQUIRED(NULL, "template.spec.volumes[%zu].name", i);
		} else {
			FORMAT(FORMAT_DNS_LABEL, name, "template.spec.volumes[%zu].name", i);
		}
		i++;
	}
}

CHECK(apps_v1_stateful_set_spec)
{
	static const char *const policies[] = {"OrderedReady", "Parallel", NULL};
	const struct doc *strategy = get(d, "updateStrategy"), *ru = get(strategy, "rollingUpdate");
	const struct doc *gone = get(ru, "maxUnavailable");
	struct str policy = text(d, "podManagementPolicy");

	if (policy.n && !one_of(policies, policy))
		INVALID(policy, "must be 'OrderedReady' or 'Parallel'", "podManagementPolicy");
	if (is(strategy, "type", "OnDelete") && ru)
		INVALID_DOC(ru, "only allowed for updateStrategy 'RollingUpdate'",
			"updateStrategy.rollingUpdate");
	else if (!is(strategy, "type", "RollingUpdate") && !is(strategy, "type", "OnDelete"))
		INVALID_DOC(strategy, "must be 'RollingUpdate' or 'OnDelete'", "updateStrategy");
	if (number(ru, "partition") < 0)
		INVALID_INT(number(ru, "partition"), format_text_not_negative,
			"updateStrategy.rollingUpdate.partition");
	check_share(s, ru, "maxUnavailable", "updateStrategy.rollingUpdate.maxUnavailable", 100);
	if (gone && share_is_zero(gone))
		INVALID_DOC(gone, "cannot be 0", "updateStrategy.rollingUpdate.maxUnavailable");
	forgive_names(s, d);
	check_selected(s, d, "empty selector is invalid for statefulset");
	check_claim_names(s, d);
	check_pod_template(s, d, "StatefulSet");
	if (text(d, "serviceName").n && old == NULL)
		FORMAT(FORMAT_DNS_LABEL, text(d, "serviceName"), "serviceName");
}

CHECK(apps_v1_stateful_set_status)
{
	static const char *const all[] = {"replicas", "readyReplicas", "currentReplicas",
		"updatedReplicas", "availableReplicas", "observedGeneration", "collisionCount",
		NULL};
	static const char *const within[] = {
		"readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas", NULL};

	check_counters(s, d, old, all, within, "cannot be greater than status.readyReplicas");
}

CHECK(apps_v1_stateful_set_persistent_volume_claim_retention_policy)
{
	static const char *const policies[] = {"Retain", "Delete", NULL};
	static const char *const members[] = {"whenDeleted", "whenScaled", NULL};

	(void)old;
	for (const char *const *m = members; *m; m++)
		if (!one_of(policies, text(d, *m)))
			UNSUPPORTED(text(d, *m), policies, "%s", *m);
}

CHECK(apps_v1_controller_revision)
{
	const struct doc *data = get(d, "data");

	check_immutable_member(s, d, old, "data");
	if (data == NULL || data->type == DOC_NULL)
		REQUIRED("data is mandatory", "data");
	else if (data->type != DOC_MAP)
		REQUIRED("data must be a valid JSON object", "data");
}

/* ---- autoscalers ---- */

static const char *const metric_types[] = {
	"Object", "Pods", "Resource", "ContainerResource", "External", NULL};
static const char *const metric_words[] = {
	"ContainerResource", "External", "Object", "Pods", "Resource", NULL};
static const char *const metric_members[] = {
	"object", "pods", "resource", "containerResource", "external", NULL};

static void
check_target(const struct schema_spot *s, const struct doc *t, const char *at, bool resource)
{
	static const char *const types[] = {"Utilization", "Value", "AverageValue", NULL};
	static const char *const amounts[] = {"value", "averageValue", NULL};
	const struct doc *share = get(t, "averageUtilization");

	if (t == NULL)
		return;
	if (!text(t, "type").n)
		REQUIRED("must specify a metric target type", "%s.type", at);
	else if (!one_of(types, text(t, "type")))
		INVALID(text(t, "type"), "must be either Utilization, Value, or AverageValue",
			"%s.type", at);
	for (const char *const *a = amounts; *a; a++) {
		struct quantity q = {0};

		if (get(t, *a) && quantity_parse(text(t, *a), &q) == 0 && q.nano <= 0)
			INVALID_DOC(get(t, *a), "must be positive", "%s.%s", at, *a);
	}
	if (share && doc_as_int(share, 1) < 1)
		INVALID_DOC(share, "must be greater than 0", "%s.averageUtilization", at);
	if (resource && share == NULL && get(t, "averageValue") == NULL)
		REQUIRED("must set either a target raw value or a target utilization",
			"%s.averageUtilization", at);
	if (resource && share && get(t, "averageValue"))
		FORBIDDEN("may not set both a target raw value and a target utilization",
			"%s.averageValue", at);
}

CHECK(autoscaling_v2_metric_spec)
{
	struct str type = text(d, "type");

	(void)old;
	if (!type.n) {
		REQUIRED("must specify a metric source type", "type");
		UNSUPPORTED(type, metric_words, "type");
	}
	for (size_t i = 0; metric_members[i]; i++) {
		const struct doc *m = get(d, metric_members[i]), *metric = get(m, "metric");
		bool wanted = str_eq_c(type, metric_types[i]), resource = i == 2 || i == 3;
		const char *at = metric_members[i];

		if (wanted && m == NULL)
			REQUIRED("must populate information for the given metric source", "%s", at);
		else if (!wanted && m && one_of(metric_types, type))
			FORBIDDEN("must populate the given metric source only", "%s", at);
		if (m == NULL || !wanted)
			continue;
		if (!resource && !text(metric, "name").n)
			REQUIRED("must specify a metric name", "%s.metric.name", at);
		else if (!resource)
			FORMAT(FORMAT_PATH_SEGMENT, text(metric, "name"), "%s.metric.name", at);
		if (resource && !text(m, "name").n)
			REQUIRED("must specify a resource name", "%s.name", at);
		check_target(
			s, get(m, "target"), arena_fmt(s->errs->a, "%s.target", at).p, resource);
	}
}

CHECK(autoscaling_v2_hpa_scaling_rules)
{
	static const char *const selects[] = {"Disabled", "Max", "Min", NULL};
	static const char *const types[] = {"Percent", "Pods", NULL};
	const struct doc *window = get(d, "stabilizationWindowSeconds");
	struct quantity q = {0};
	size_t i = 0;

	(void)old;
	if (number(d, "stabilizationWindowSeconds") < 0)
		INVALID_DOC(window, "must be greater than or equal to zero",
			"stabilizationWindowSeconds");
	if (number(d, "stabilizationWindowSeconds") > 3600)
		INVALID_DOC(
			window, "must be less than or equal to 3600", "stabilizationWindowSeconds");
	if (get(d, "selectPolicy") && !one_of(selects, text(d, "selectPolicy")))
		UNSUPPORTED(text(d, "selectPolicy"), selects, "selectPolicy");
	if (get(d, "tolerance") && quantity_parse(text(d, "tolerance"), &q) == 0 && q.nano < 0)
		INVALID_DOC(get(d, "tolerance"), "must be greater than or equal to 0", "tolerance");
	if (doc_is_empty(get(d, "policies")))
		REQUIRED("must specify at least one Policy", "policies");
	DOC_EACH (p, get(d, "policies")) {
		int64_t period = number(p, "periodSeconds");

		if (!one_of(types, text(p, "type")))
			UNSUPPORTED(text(p, "type"), types, "policies[%zu].type", i);
		if (number(p, "value") <= 0)
			INVALID_INT(number(p, "value"), "must be greater than zero",
				"policies[%zu].value", i);
		if (period <= 0)
			INVALID_INT(period, "must be greater than zero",
				"policies[%zu].periodSeconds", i);
		if (period > 1800)
			INVALID_INT(period, "must be less than or equal to 1800",
				"policies[%zu].periodSeconds", i);
		i++;
	}
}

CHECK(autoscaling_v2_cross_version_object_reference)
{
	static const char *const names[] = {"kind", "name", NULL};
	struct str version = text(d, "apiVersion");

	(void)old;
	for (const char *const *n = names; *n; n++) {
		if (text(d, *n).n)
			FORMAT(FORMAT_PATH_SEGMENT, text(d, *n), "%s", *n);
		else
			REQUIRED(NULL, "%s", *n);
	}
	if (str_find_char(version, '/') < 0 && !str_eq_c(version, "v1"))
		INVALID(version, "apiVersion must specify API group", "apiVersion");
	else if (str_find_char(version, '/') != str_rfind_char(version, '/'))
		schema_error_fmt(s->errs, SCHEMA_CAUSE_INVALID, AT("apiVersion"),
			get(d, "apiVersion"), "unexpected GroupVersion string: " STR_FMT,
			STR_ARG(version));
}

CHECK(autoscaling_v2_horizontal_pod_autoscaler_spec)
{
	const struct doc *min = get(d, "minReplicas");
	int64_t low = doc_as_int(min, 1), high = number(d, "maxReplicas");
	bool zero_ok = false;

	(void)old;
	DOC_EACH (m, get(d, "metrics"))
		zero_ok |= is(m, "type", "Object") || is(m, "type", "External");
	if (low < 0)
		INVALID_DOC(min, "must be greater than or equal to 0", "minReplicas");
	if (high < low)
		INVALID_INT(high, "must be greater than or equal to `minReplicas`", "maxReplicas");
	if (low == 0 && !zero_ok)
		FORBIDDEN(
			"must specify at least one Object or External metric to support scaling to "
			"zero replicas",
			"metrics");
}

CHECK(autoscaling_v2_horizontal_pod_autoscaler_status)
{
	static const char *const counters[] = {"currentReplicas", "desiredReplicas", NULL};

	(void)old;
	check_not_negative(s, d, counters);
}
