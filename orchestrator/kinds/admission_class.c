/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * admission_class: RuntimeClass: a pod that names one gets what it costs and where it runs, and is refused when there
 * is none of that name, or it says something else. Source: plugin/pkg/admission/runtimeclass;
 * pkg/util/tolerations (MergeTolerations). */
#include "orchestrator/kinds/kinds_int.h"

#include "orchestrator/schema/resource_list.h"

/* class_of: of the pod; NULL: it names none. */
static enum step
class_of(struct request *r, struct doc **ret)
{
	struct str name = doc_get_str(doc_get(r->obj, S("spec")), S("runtimeClassName"));
	*ret = NULL;
	if (!str_is_set(name) ||
		request_read(r, S("node.k8s.io"), S("runtimeclasses"), S(""), name, ret) == 0)
		return STEP_NEXT;
	return request_fail_forbidden(
		r, "pod rejected: RuntimeClass \"" STR_FMT "\" not found", STR_ARG(name));
}

static bool
same_amounts(struct request *r, const struct doc *x, const struct doc *y)
{
	struct resource_list lx = {.a = r->a}, ly = {.a = r->a};
	resource_list_add_doc(&lx, x);
	resource_list_add_doc(&ly, y);
	return resource_list_equal(&lx, &ly);
}

static enum step
other_overhead(struct request *r)
{
	return request_fail_forbidden(
		r, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
}

/* ---- tolerations ---- */

/* tolerates_all: whatever t tolerates, wide does too. */
static bool
tolerates_all(const struct doc *wide, const struct doc *t)
{
	struct str key = doc_get_str(wide, S("key")), effect = doc_get_str(wide, S("effect"));
	struct str op = doc_get_str(wide, S("operator"));
	const struct doc *limit = doc_get(wide, S("tolerationSeconds"));
	const struct doc *own = doc_get(t, S("tolerationSeconds"));
	bool exists = str_eq_c(op, "Exists");
	if (doc_equal(wide, t))
		return true;
	if (!str_eq(doc_get_str(t, S("key")), key) && (key.n || !exists))
		return false;
	if (effect.n && !str_eq(doc_get_str(t, S("effect")), effect))
		return false;
	if (str_eq_c(effect, "NoExecute") && limit &&
		(!own || doc_as_int(own, 0) > doc_as_int(limit, 0)))
		return false;
	if (exists)
		return true;
	return (!op.n || str_eq_c(op, "Equal")) &&
		str_eq_c(doc_get_str(t, S("operator")), "Equal") &&
		str_eq(doc_get_str(t, S("value")), doc_get_str(wide, S("value")));
}

/* add_tolerations: of two of which one says all that the other does, that one stays. */
static void
add_tolerations(struct request *r, struct doc *spec, const struct doc *more)
{
	struct doc *all = doc_copy(r->a, doc_get(spec, S("tolerations")));
	struct doc *merged = doc_list(r->a);
	if (!all)
		all = doc_list(r->a);
	DOC_EACH (t, all ? more : NULL)
		doc_append(all, doc_copy(r->a, t));
	DOC_EACH (t, merged ? all : NULL) {
		bool covered = false;
		DOC_EACH (m, merged)
			covered = covered || tolerates_all(m, t);
		for (const struct doc *m = t->next; m; m = m->next)
			covered = covered || (!doc_equal(m, t) && tolerates_all(m, t));
		if (!covered)
			doc_append(merged, doc_copy(r->a, t));
	}
	doc_set(spec, S("tolerations"), doc_is_empty(merged) ? NULL : merged);
}

/* ---- the plugin ---- */

static enum step
set_scheduling(struct request *r, struct doc *spec, const struct doc *scheduling)
{
	const struct doc *own = doc_get(spec, S("nodeSelector"));
	const struct doc *wanted = doc_get(scheduling, S("nodeSelector"));
	DOC_EACH (w, wanted) {
		const struct doc *have = doc_get(own, w->key);
		if (have && !doc_equal(have, w))
			return request_fail_forbidden(r,
				"conflict: runtimeClass.scheduling.nodeSelector[" STR_FMT
				"] = " STR_FMT "; pod.spec.nodeSelector[" STR_FMT "] = " STR_FMT,
				STR_ARG(w->key), STR_ARG(doc_as_str(w)), STR_ARG(w->key),
				STR_ARG(doc_as_str(have)));
	}
	struct doc *to = doc_is_empty(wanted) ? NULL
					      : doc_ensure_map(r->a, spec, S("nodeSelector"));
	DOC_EACH (w, to ? wanted : NULL)
		doc_set_str(r->a, to, w->key, doc_as_str(w));
	add_tolerations(r, spec, doc_get(scheduling, S("tolerations")));
	return STEP_NEXT;
}

enum step
admit_runtime_class(struct request *r)
{
	struct doc *class, *spec = doc_get(r->obj, S("spec"));
	enum step st = class_of(r, &class);
	const struct doc *overhead = doc_get(class, S("overhead"));
	const struct doc *fixed = doc_get(overhead, S("podFixed"));
	if (st != STEP_NEXT || !spec || !class)
		return st;
	if (overhead && doc_len(doc_get(spec, S("overhead"))) &&
		!same_amounts(r, fixed, doc_get(spec, S("overhead"))))
		return other_overhead(r);
	if (overhead)
		doc_set(spec, S("overhead"), fixed ? doc_copy(r->a, fixed) : NULL);
	const struct doc *scheduling = doc_get(class, S("scheduling"));
	return scheduling ? set_scheduling(r, spec, scheduling) : STEP_NEXT;
}

enum step
admit_runtime_class_overhead(struct request *r)
{
	struct doc *class;
	enum step st = class_of(r, &class);
	const struct doc *own = doc_get(doc_get(r->obj, S("spec")), S("overhead"));
	const struct doc *overhead = doc_get(class, S("overhead"));
	if (st != STEP_NEXT)
		return st;
	if (overhead && !same_amounts(r, doc_get(overhead, S("podFixed")), own))
		return other_overhead(r);
	if (!overhead && own)
		return request_fail_forbidden(r,
			"pod rejected: Pod Overhead set without corresponding RuntimeClass defined "
			"Overhead");
	return STEP_NEXT;
}
