/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * webhooks: configurations of admission webhooks: names that are not to be had, and warnings of rules that do nothing.
 * The rest is in the schema; api/hook_*.c obeys them.
 * Source: k8s.io/kubernetes pkg/registry/admissionregistration, pkg/apis/admissionregistration/validation. */
#include "orchestrator/kinds/kinds_int.h"

/* Reviews, which no webhook is asked about. */
static const struct {
	struct str group, resource;
} reviews[] = {
	{STR_INIT("authentication.k8s.io"), STR_INIT("selfsubjectreviews")},
	{STR_INIT("authentication.k8s.io"), STR_INIT("tokenreviews")},
	{STR_INIT("authorization.k8s.io"), STR_INIT("localsubjectaccessreviews")},
	{STR_INIT("authorization.k8s.io"), STR_INIT("selfsubjectaccessreviews")},
	{STR_INIT("authorization.k8s.io"), STR_INIT("selfsubjectrulesreviews")},
	{STR_INIT("authorization.k8s.io"), STR_INIT("subjectaccessreviews")},
};

static void
webhooks_create(struct request *r, const struct doc *obj)
{
	check_static_name(r, obj);
}

static void
warn_rule(struct request *r, const struct doc *rule, size_t hook, size_t n)
{
	const struct doc *groups = doc_get(rule, S("apiGroups"));
	const struct doc *resources = doc_get(rule, S("resources"));
	if (list_has(groups, S("*")) || list_has(resources, S("*")))
		return;
	for (size_t i = 0; i < ARRAY_LEN(reviews); i++)
		if (list_has(groups, reviews[i].group) && list_has(resources, reviews[i].resource))
			request_warn(r,
				"webhooks[%zu].rules[%zu]: " STR_FMT "." STR_FMT
				" is excluded from admission webhooks; this rule will have no effect",
				hook, n, STR_ARG(reviews[i].resource), STR_ARG(reviews[i].group));
}

static void
webhooks_warn(struct request *r, const struct doc *obj, const struct doc *old)
{
	size_t i = 0, n = 0;
	if (old)
		warn_static_name(r, obj);
	DOC_EACH (w, doc_get(obj, S("webhooks"))) {
		n = 0;
		DOC_EACH (rule, doc_get(w, S("rules")))
			warn_rule(r, rule, i, n++);
		i++;
	}
}

const struct kind_ops mutating_webhooks_ops = {
	.group = "admissionregistration.k8s.io",
	.resource = "mutatingwebhookconfigurations",
	.validate_create = webhooks_create,
	.warn = webhooks_warn,
};
const struct kind_ops validating_webhooks_ops = {
	.group = "admissionregistration.k8s.io",
	.resource = "validatingwebhookconfigurations",
	.validate_create = webhooks_create,
	.warn = webhooks_warn,
};
