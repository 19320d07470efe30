/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * helpers: small things over documents that several kinds need. */
#include "orchestrator/kinds/kinds_int.h"

bool
list_has(const struct doc *list, struct str s)
{
	DOC_EACH (item, list)
		if (str_eq(doc_as_str(item), s))
			return true;
	return false;
}

void
list_add(struct arena *a, struct doc *list, struct str s)
{
	if (list && !list_has(list, s))
		doc_append(list, doc_str(a, s));
}

void
keep_member(struct arena *a, struct doc *obj, const struct doc *old, struct str name)
{
	const struct doc *was = doc_get(old, name);
	doc_set(obj, name, was ? doc_copy(a, was) : NULL);
}

void
check_immutable(struct request *r, struct str field, const struct doc *now, const struct doc *old)
{
	if (!doc_equal(now, old) && !(doc_is_empty(now) && doc_is_empty(old)))
		schema_error_add(
			&r->causes, SCHEMA_CAUSE_INVALID, field, now, str_c(format_text_immutable));
}

static const struct op_row {
	const char *name;
	bool values;
} ops[] = {{"In", true}, {"NotIn", true}, {"Exists", false}, {"DoesNotExist", false}};

void
check_label_selector(struct request *r, const struct doc *sel, struct str path)
{
	struct schema_errors *errs = &r->causes;
	size_t i = 0;
	DOC_EACH (l, doc_get(sel, S("matchLabels"))) {
		struct str at = schema_path_child(errs, path, S("matchLabels"));
		schema_err_format(errs, at, FORMAT_QUALIFIED_NAME, l->key);
		schema_err_format(errs, at, FORMAT_LABEL_VALUE, doc_as_str(l));
	}
	DOC_EACH (e, doc_get(sel, S("matchExpressions"))) {
		struct str at = schema_path(
			errs, STR_FMT ".matchExpressions[%zu]", STR_ARG(path), i++);
		struct str op = doc_get_str(e, S("operator"));
		const struct op_row *row = NULL;
		size_t n = doc_len(doc_get(e, S("values")));
		for (size_t k = 0; k < ARRAY_LEN(ops); k++)
			if (str_eq_c(op, ops[k].name))
				row = &ops[k];
		if (!row)
			schema_err_invalid(errs, schema_path_child(errs, at, S("operator")), op,
				"not a valid selector operator");
		else if (row->values && n == 0)
			schema_err_required(errs, schema_path_child(errs, at, S("values")),
				"must be specified when `operator` is 'In' or 'NotIn'");
		else if (!row->values && n > 0)
			schema_err_forbidden(errs, schema_path_child(errs, at, S("values")),
				"may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
		schema_err_format(errs, schema_path_child(errs, at, S("key")),
			FORMAT_QUALIFIED_NAME, doc_get_str(e, S("key")));
	}
}

void
check_workload(struct request *r, const struct doc *obj)
{
	const struct doc *spec = doc_get(obj, S("spec")), *sel = doc_get(spec, S("selector"));
	const struct doc *tmpl = doc_get(spec, S("template"));
	const struct doc *labels = doc_get(meta_of(tmpl), S("labels"));
	struct selector s;
	if (sel)
		check_label_selector(r, sel, S("spec.selector"));
	if (sel && doc_is_empty(doc_get(sel, S("matchLabels"))) &&
		doc_is_empty(doc_get(sel, S("matchExpressions"))))
		schema_error_add(&r->causes, SCHEMA_CAUSE_INVALID, S("spec.selector"), sel,
			S("empty selector is invalid for deployment"));
	else if (sel && selector_from_doc(r->a, sel, &s) == 0 && !selector_match_doc(&s, labels))
		schema_error_add(&r->causes, SCHEMA_CAUSE_INVALID,
			S("spec.template.metadata.labels"), labels,
			S("`selector` does not match template `labels`"));
	if (tmpl)
		check_pod_spec(r, doc_get(tmpl, S("spec")), S("spec.template.spec"), true);
}

struct str
quantity_of_doc(const struct doc *d)
{
	return doc_as_str(d);
}
