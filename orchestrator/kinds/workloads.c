/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * workloads: Deployments, ReplicaSets and their like: selectors against templates, strategies.
 * Sources: kube-apiserver pkg/apis/apps/validation. */
#include "orchestrator/kinds/kinds_int.h"

static void
update_workload(struct request *r, const struct doc *obj, const struct doc *old)
{
	(void)old; /* selectors are immutable by the schema */
	check_workload(r, obj);
}

static void
check_share(struct request *r, const struct doc *v, struct str path)
{
	if (v && v->type == DOC_INT && v->i < 0)
		schema_err_invalid_int(&r->causes, path, v->i, format_text_not_negative);
	if (v && v->type == DOC_STR && !percent_ok(v->s))
		schema_err_invalid(&r->causes, path, v->s,
			"a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%', or "
			"'93%', regex used for validation is '[0-9]+%')");
}

static bool
is_zero(const struct doc *v)
{
	return (v && v->type == DOC_INT && v->i == 0) || str_eq_c(doc_as_str(v), "0%");
}

static void
check_strategy(struct request *r, const struct doc *spec)
{
	const struct doc *s = doc_get(spec, S("strategy")), *ru = doc_get(s, S("rollingUpdate"));
	const struct doc *surge = doc_get(ru, S("maxSurge")),
			 *gone = doc_get(ru, S("maxUnavailable"));
	if (str_eq_c(doc_get_str(s, S("type")), "Recreate") && ru)
		schema_err_forbidden(&r->causes, S("spec.strategy.rollingUpdate"),
			"may not be specified when strategy `type` is 'Recreate'");
	check_share(r, gone, S("spec.strategy.rollingUpdate.maxUnavailable"));
	check_share(r, surge, S("spec.strategy.rollingUpdate.maxSurge"));
	if (ru && is_zero(surge) && is_zero(gone))
		schema_error_add(&r->causes, SCHEMA_CAUSE_INVALID,
			S("spec.strategy.rollingUpdate.maxUnavailable"), gone,
			S("may not be 0 when `maxSurge` is 0"));
	const struct doc *deadline = doc_get(spec, S("progressDeadlineSeconds"));
	if (deadline && doc_as_int(deadline, 0) <= doc_get_int(spec, S("minReadySeconds"), 0))
		schema_err_invalid_int(&r->causes, S("spec.progressDeadlineSeconds"),
			doc_as_int(deadline, 0), "must be greater than minReadySeconds");
}

static void
deployment_create(struct request *r, const struct doc *obj)
{
	check_workload(r, obj);
	check_strategy(r, doc_get(obj, S("spec")));
}

static void
deployment_update(struct request *r, const struct doc *obj, const struct doc *old)
{
	(void)old;
	deployment_create(r, obj);
}

const struct kind_ops deployment_ops = {.group = "apps",
	.resource = "deployments",
	.validate_create = deployment_create,
	.validate_update = deployment_update};
const struct kind_ops replicaset_ops = {.group = "apps",
	.resource = "replicasets",
	.validate_create = check_workload,
	.validate_update = update_workload};
const struct kind_ops daemonset_ops = {.group = "apps",
	.resource = "daemonsets",
	.validate_create = check_workload,
	.validate_update = update_workload};
const struct kind_ops statefulset_ops = {.group = "apps",
	.resource = "statefulsets",
	.validate_create = check_workload,
	.validate_update = update_workload};
