/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * workloads: what writes of Deployments and DaemonSets set and keep beside; Jobs: the labels and the selector the server makes, what of a template may change. Their other rules,
 * and those of Deployments and the like, are checks of the schema (checks_apps.c, checks_batch.c).
 * Source: kube-apiserver pkg/registry/batch/job (strategy), pkg/apis/batch/validation. */
#include "orchestrator/kinds/kinds_int.h"
#include "orchestrator/kinds/warnings.h"

#define UID_LABEL "batch.kubernetes.io/controller-uid"

/* Labels of the pods of a Job; older names beside the newer. */
static const struct {
	const char *key;
	bool uid;
} job_labels[] = {{"job-name", false}, {"batch.kubernetes.io/job-name", false},
	{"controller-uid", true}, {UID_LABEL, true}};

static void
job_create(struct request *r, struct doc *obj)
{
	struct doc *spec = doc_ensure_map(r->a, obj, S("spec"));
	struct doc *tmpl = spec ? doc_ensure_map(r->a, spec, S("template")) : NULL;
	struct doc *meta = tmpl ? doc_ensure_map(r->a, tmpl, S("metadata")) : NULL;
	struct doc *labels = meta ? doc_ensure_map(r->a, meta, S("labels")) : NULL;
	struct str uid = meta_str(obj, "uid"), name = meta_str(obj, "name");
	if (!labels || doc_get_bool(spec, S("manualSelector"), false))
		return;
	for (size_t i = 0; i < ARRAY_LEN(job_labels); i++)
		if (!doc_get(labels, str_c(job_labels[i].key)))
			doc_set_str(r->a, labels, str_c(job_labels[i].key),
				job_labels[i].uid ? uid : name);
	struct doc *sel = doc_ensure_map(r->a, spec, S("selector"));
	struct doc *match = sel ? doc_ensure_map(r->a, sel, S("matchLabels")) : NULL;
	if (match && !doc_get(match, S(UID_LABEL)))
		doc_set_str(r->a, match, S(UID_LABEL), uid);
}

/* What a Job that is suspended may change: where its pods go; before it has ever started. */
static const char *const placing[] = {"nodeSelector", "tolerations", "schedulingGates", "affinity"};
static const char *const lists[] = {"containers", "initContainers"};

static void
job_update(struct request *r, const struct doc *obj, const struct doc *old)
{
	const struct doc *was = doc_get(doc_get(old, S("spec")), S("template"));
	const struct doc *now = doc_get(doc_get(obj, S("spec")), S("template"));
	struct doc *masked = doc_copy(r->a, now);
	struct doc *spec = doc_get(masked, S("spec"));
	const struct doc *spec_was = doc_get(was, S("spec"));
	bool suspended = doc_get_bool(doc_get(old, S("spec")), S("suspend"), false);
	if (spec && suspended && !doc_get(doc_get(old, S("status")), S("startTime"))) {
		for (size_t i = 0; i < ARRAY_LEN(placing); i++)
			keep_member(r->a, spec, spec_was, str_c(placing[i]));
		keep_member(r->a, masked, was, S("metadata"));
	}
	for (size_t l = 0; spec && suspended && l < ARRAY_LEN(lists); l++) {
		const struct doc *o = doc_index(doc_get(spec_was, str_c(lists[l])), 0);
		DOC_EACH (c, doc_get(spec, str_c(lists[l]))) {
			if (o)
				keep_member(r->a, c, o, S("resources"));
			o = o ? o->next : NULL;
		}
	}
	if (doc_equal(masked, was))
		return;
	if (suspended && spec && !doc_equal(spec, spec_was))
		schema_error_add(&r->causes, SCHEMA_CAUSE_INVALID, S("spec.template.spec"),
			doc_get(now, S("spec")), str_c(format_text_immutable));
	else
		schema_error_add(&r->causes, SCHEMA_CAUSE_INVALID, S("spec.template"), now,
			str_c(format_text_immutable));
}

/* The generation of the template stands in an annotation, which only the server writes. */
#define TEMPLATE_GENERATION S("deprecated.daemonset.template.generation")

static void
template_generation(struct request *r, struct doc *obj, int64_t n)
{
	struct doc *meta = doc_ensure_map(r->a, obj, S("metadata"));
	struct doc *notes = meta ? doc_ensure_map(r->a, meta, S("annotations")) : NULL;
	if (notes)
		doc_set_str(
			r->a, notes, TEMPLATE_GENERATION, arena_fmt(r->a, "%lld", (long long)n));
}

/* Who leaves it out says 0. */
static void
daemonset_convert(struct request *r, struct doc *obj)
{
	if (!doc_get(doc_at(obj, "metadata.annotations"), TEMPLATE_GENERATION))
		template_generation(r, obj, 0);
}

static int64_t
generation_of(const struct doc *old)
{
	int64_t n = 1;
	if (str_to_i64(doc_get_str(doc_at(old, "metadata.annotations"), TEMPLATE_GENERATION), &n) <
		0)
		n = 1;
	return n;
}

static void
daemonset_create(struct request *r, struct doc *obj)
{
	template_generation(r, obj, 1);
}

static void
daemonset_prepare_update(struct request *r, struct doc *obj, const struct doc *old)
{
	int64_t n = generation_of(old);
	if (!doc_equal(doc_at(obj, "spec.template"), doc_at(old, "spec.template")))
		n++;
	template_generation(r, obj, n);
}

static void
daemonset_status(struct request *r, struct doc *obj, const struct doc *old)
{
	template_generation(r, obj, generation_of(old));
}

const struct kind_ops daemonset_ops = {.group = "apps",
	.resource = "daemonsets",
	.convert = daemonset_convert,
	.prepare_create = daemonset_create,
	.prepare_update = daemonset_prepare_update,
	.prepare_status = daemonset_status,
	.warn = warn_daemonset};

/* A write of status leaves the labels alone. */
static void
deployment_status(struct request *r, struct doc *obj, const struct doc *old)
{
	struct doc *meta = doc_ensure_map(r->a, obj, S("metadata"));
	if (meta)
		keep_member(r->a, meta, doc_get(old, S("metadata")), S("labels"));
}

const struct kind_ops deployment_ops = {.group = "apps",
	.resource = "deployments",
	.prepare_status = deployment_status,
	.warn = warn_workload};

const struct kind_ops job_ops = {.group = "batch",
	.resource = "jobs",
	.default_again = true,
	.prepare_create = job_create,
	.validate_update = job_update,
	.warn = warn_job};
