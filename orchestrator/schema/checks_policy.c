/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_policy: admission policies and their bindings. Each is checked as a whole, from its root: causes stand in
 * upstream's order. Texts of expressions are for who knows their language (schema_errors.expression).
 * Source: k8s.io/kubernetes pkg/apis/admissionregistration/validation. */
#include "orchestrator/schema/checks_int.h"

#define AUDITS_MAX 20
#define AUDIT_SOURCE_MAX (5 * 1024)

static const char *const failure_policies[] = {"Fail", "Ignore", NULL};
static const char *const match_policies[] = {"Equivalent", "Exact", NULL};
static const char *const reinvocation_policies[] = {"IfNeeded", "Never", NULL};
static const char *const reasons[] = {"Forbidden", "Invalid", "RequestEntityTooLarge", NULL};
static const char *const patch_types[] = {"ApplyConfiguration", "JSONPatch", NULL};
static const char *const changing_operations[] = {"*", "CONNECT", "CREATE", "UPDATE", NULL};
static const char *const actions[] = {"Audit", "Deny", "Warn", NULL};
static const char *const not_found_actions[] = {"Deny", "Allow", NULL};
static const char *const reserved[] = {"true", "false", "null", "in", "as", "break", "const",
	"continue", "else", "for", "function", "if", "import", "let", "loop", "package",
	"namespace", "return", "var", "void", "while", NULL};

static bool
there(const struct doc *d, const char *name)
{
	const struct doc *v = get(d, name);

	return v && v->type != DOC_NULL;
}

static void
check_names(const struct schema_spot *s, enum schema_format f, struct str v, const char *at)
{
	const char *why[FORMAT_FAULTS_MAX];
	size_t n = format_faults(s->errs->a, f, v, why);

	for (size_t i = 0; i < n; i++)
		INVALID(v, why[i], "%s", at);
}

/* ---- what is matched ------------------------------------------------------------------------------- */

static void
check_selector(const struct schema_spot *s, const struct doc *d, const char *at)
{
	struct schema_spot below = {.errs = s->errs, .base = AT("%s", at)};

	if (!d || d->type != DOC_MAP)
		REQUIRED(NULL, "%s", at);
	else
		schema_check_meta_v1_label_selector(&below, d, NULL);
}

static void
check_named_rules(const struct schema_spot *s, const struct doc *list, const char *at)
{
	struct arena *a = s->errs->a;
	size_t i = 0;

	DOC_EACH (rule, list) {
		const char *here = arena_fmt(a, "%s[%zu]", at, i++).p;
		const struct doc *names = get(rule, "resourceNames");
		struct names seen = names_new(a, doc_len(names));
		size_t k = 0;
		DOC_EACH (x, names) {
			const char *name_at = arena_fmt(a, "%s.resourceNames[%zu]", here, k++).p;
			check_names(s, FORMAT_PATH_SEGMENT, doc_as_str(x), name_at);
			if (!names_add(&seen, doc_as_str(x), x))
				DUPLICATE(doc_as_str(x), "%s", name_at);
		}
		check_admission_rule(s, rule, here);
	}
}

static void
check_matching(const struct schema_spot *s, const struct doc *m, const char *at)
{
	struct arena *a = s->errs->a;

	if (!there(m, "matchPolicy"))
		REQUIRED(NULL, "%s.matchPolicy", at);
	else if (!one_of(match_policies, text(m, "matchPolicy")))
		UNSUPPORTED(text(m, "matchPolicy"), match_policies, "%s.matchPolicy", at);
	check_selector(s, get(m, "namespaceSelector"), arena_fmt(a, "%s.namespaceSelector", at).p);
	check_selector(s, get(m, "objectSelector"), arena_fmt(a, "%s.objectSelector", at).p);
	check_named_rules(s, get(m, "resourceRules"), arena_fmt(a, "%s.resourceRules", at).p);
	check_named_rules(
		s, get(m, "excludeResourceRules"), arena_fmt(a, "%s.excludeResourceRules", at).p);
}

/* Nothing is there to be changed by a policy when an object is deleted. */
static void
check_changing(const struct schema_spot *s, const struct doc *m, const char *at)
{
	DOC_EACH (rule, get(m, "resourceRules"))
		DOC_EACH (op, get(rule, "operations"))
			if (!one_of(changing_operations, doc_as_str(op)))
				UNSUPPORTED(doc_as_str(op), changing_operations,
					"%s.resourceRules.operations", at);
}

static void
check_constraints(const struct schema_spot *s, const struct doc *spec, bool changing)
{
	const struct doc *m = get(spec, "matchConstraints");

	if (!m || m->type != DOC_MAP) {
		REQUIRED(NULL, "spec.matchConstraints");
		return;
	}
	check_matching(s, m, "spec.matchConstraints");
	if (doc_len(get(m, "resourceRules")) == 0)
		REQUIRED(NULL, "spec.matchConstraints.resourceRules");
	if (changing)
		check_changing(s, m, "spec.matchConstraints");
}

/* ---- parameters ------------------------------------------------------------------------------------ */

static struct str
joined(struct arena *a, enum schema_format f, struct str v)
{
	const char *why[FORMAT_FAULTS_MAX];
	size_t n = format_faults(a, f, v, why);
	struct buf b;

	buf_init_arena(&b, a);
	for (size_t i = 0; i < n; i++)
		buf_fmt(&b, "%s%s", i ? "," : "", why[i]);
	return buf_view(&b);
}

static void
check_faults(const struct schema_spot *s, enum schema_format f, struct str v, struct str shown,
	const char *before, const char *at)
{
	struct str why = joined(s->errs->a, f, v);

	if (why.n)
		INVALID(shown, arena_fmt(s->errs->a, "%s" STR_FMT, before, STR_ARG(why)).p, "%s",
			at);
}

static void
check_api_version(const struct schema_spot *s, struct str v)
{
	static const char at[] = "spec.paramKind.apiVersion";
	struct str group = STR(""), version = v, rest;

	if (v.n == 0) {
		REQUIRED(NULL, "%s", at);
		return;
	}
	if (str_eq_c(v, "/"))
		version = STR("");
	else if (str_cut(v, '/', &group, &version) && str_cut(version, '/', &rest, &rest)) {
		INVALID(v,
			arena_fmt(
				s->errs->a, "unexpected GroupVersion string: " STR_FMT, STR_ARG(v))
				.p,
			"%s", at);
		return;
	} else if (str_find_char(v, '/') < 0) {
		group = STR("");
		version = v;
	}
	if (group.n)
		check_faults(s, FORMAT_DNS_SUBDOMAIN, group, group, "", at);
	if (version.n == 0)
		INVALID(v, "version must be specified", "%s", at);
	else
		check_faults(s, FORMAT_DNS1035_LABEL, version, version, "", at);
}

static void
check_param_kind(const struct schema_spot *s, const struct doc *k)
{
	struct str kind = text(k, "kind");

	check_api_version(s, text(k, "apiVersion"));
	if (kind.n == 0)
		REQUIRED(NULL, "spec.paramKind.kind");
	else
		check_faults(s, FORMAT_DNS1035_LABEL, lower_text(s->errs->a, kind), kind,
			"may have mixed case, but should otherwise match: ", "spec.paramKind.kind");
}

static void
check_param_ref(const struct schema_spot *s, const struct doc *ref)
{
	static const char both[] = "name and selector are mutually exclusive";
	struct str name = text(ref, "name"), action = text(ref, "parameterNotFoundAction");
	const struct doc *selector = there(ref, "selector") ? get(ref, "selector") : NULL;

	if (name.n)
		check_names(s, FORMAT_PATH_SEGMENT, name, "spec.paramRef.name");
	if (name.n && selector)
		FORBIDDEN(both, "spec.paramRef.name");
	if (selector)
		check_selector(s, selector, "spec.paramRef.selector");
	if (name.n && selector)
		FORBIDDEN(both, "spec.paramRef.selector");
	if (name.n == 0 && !selector)
		REQUIRED("one of name or selector must be specified", "spec.paramRef");
	if (action.n == 0)
		REQUIRED(NULL, "spec.paramRef.parameterNotFoundAction");
	else if (!one_of(not_found_actions, action))
		UNSUPPORTED(action, not_found_actions, "spec.paramRef.parameterNotFoundAction");
}

/* ---- expressions ----------------------------------------------------------------------------------- */

void
check_expression(const struct schema_spot *s, struct schema_scope *scope,
	const struct schema_expression *x, const char *at)
{
	if (s->errs->expression)
		s->errs->expression(s->errs, AT("%s", at), scope, x);
}

static bool
is_identifier(struct str v)
{
	for (size_t i = 0; i < v.n; i++) {
		char c = v.p[i];
		bool letter = c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!letter && !(i && c >= '0' && c <= '9'))
			return false;
	}
	return v.n && !one_of(reserved, v);
}

static void
check_variables(const struct schema_spot *s, const struct doc *list, struct schema_scope *scope)
{
	size_t i = 0;

	DOC_EACH (v, list) {
		const char *at = arena_fmt(s->errs->a, "spec.variables[%zu]", i++).p;
		struct str name = text(v, "name"), source = text(v, "expression");
		if (str_trim(name).n == 0)
			REQUIRED("name is not specified", "%s.name", at);
		else if (!is_identifier(name))
			INVALID(name, "must be a valid CEL identifier", "%s.name", at);
		if (str_trim(source).n == 0)
			REQUIRED("expression is not specified", "%s.expression", at);
		else
			check_expression(s, scope,
				&(struct schema_expression){
					SCHEMA_EXPR_VARIABLE, name, source, source},
				arena_fmt(s->errs->a, "%s.expression", at).p);
	}
}

static void
check_message(const struct schema_spot *s, const struct doc *v, struct schema_scope *scope,
	const char *at)
{
	struct str by = text(v, "messageExpression"), message = text(v, "message");
	struct str plain = str_trim(message);

	if (by.n && str_trim(by).n == 0)
		INVALID(by, "must be non-empty if specified", "%s.messageExpression", at);
	else if (by.n)
		check_expression(s, scope,
			&(struct schema_expression){SCHEMA_EXPR_MESSAGE, STR(""), by, by},
			arena_fmt(s->errs->a, "%s.messageExpression", at).p);
	if (message.n && plain.n == 0)
		INVALID(message, "must be non-empty if specified", "%s.message", at);
	else if (str_find_char(plain, '\n') >= 0 || str_find_char(plain, '\r') >= 0)
		INVALID(message, "must not contain line breaks", "%s.message", at);
}

static void
check_validations(const struct schema_spot *s, const struct doc *list, struct schema_scope *scope)
{
	size_t i = 0;

	DOC_EACH (v, list) {
		const char *at = arena_fmt(s->errs->a, "spec.validations[%zu]", i++).p;
		struct str source = text(v, "expression");
		if (str_trim(source).n == 0)
			REQUIRED("expression is not specified", "%s.expression", at);
		else
			check_expression(s, scope,
				&(struct schema_expression){
					SCHEMA_EXPR_VALIDATION, STR(""), source, source},
				arena_fmt(s->errs->a, "%s.expression", at).p);
		check_message(s, v, scope, at);
		if (there(v, "reason") && !one_of(reasons, text(v, "reason")))
			UNSUPPORTED(text(v, "reason"), reasons, "%s.reason", at);
	}
}

/* As upstream's own form of the list is written. */
static struct doc *
audits_shown(struct arena *a, const struct doc *list)
{
	struct doc *out = doc_list(a);

	DOC_EACH (x, list) {
		struct doc *d = out ? doc_map(a) : NULL;
		if (!d)
			return out;
		doc_set_str(a, d, STR("Key"), text(x, "key"));
		doc_set_str(a, d, STR("ValueExpression"), text(x, "valueExpression"));
		doc_append(out, d);
	}
	return out;
}

static void
check_audit(const struct schema_spot *s, const struct doc *x, struct str name,
	struct schema_scope *scope, const char *at)
{
	struct str key = text(x, "key"), source = text(x, "valueExpression");
	struct str plain = str_trim(source);

	if (name.n)
		check_names(s, FORMAT_QUALIFIED_NAME,
			arena_fmt(s->errs->a, STR_FMT "/" STR_FMT, STR_ARG(name), STR_ARG(key)),
			arena_fmt(s->errs->a, "%s.key", at).p);
	else
		INVALID(key, "requires metadata.name be non-empty", "%s.key", at);
	if (plain.n == 0)
		REQUIRED("valueExpression is not specified", "%s.valueExpression", at);
	else if (plain.n > AUDIT_SOURCE_MAX)
		REQUIRED(arena_fmt(
				 s->errs->a, "must not exceed %d bytes in length", AUDIT_SOURCE_MAX)
				 .p,
			"%s.valueExpression", at);
	else
		check_expression(s, scope,
			&(struct schema_expression){SCHEMA_EXPR_AUDIT, STR(""), plain, source},
			arena_fmt(s->errs->a, "%s.valueExpression", at).p);
}

static void
check_audits(const struct schema_spot *s, const struct doc *list, struct str name,
	struct schema_scope *scope)
{
	struct names seen = names_new(s->errs->a, doc_len(list));
	size_t i = 0;

	if (doc_len(list) > AUDITS_MAX)
		INVALID_DOC(audits_shown(s->errs->a, list),
			arena_fmt(s->errs->a, "must not have more than %d auditAnnotations",
				AUDITS_MAX)
				.p,
			"spec.auditAnnotations");
	DOC_EACH (x, list) {
		const char *at = arena_fmt(s->errs->a, "spec.auditAnnotations[%zu]", i++).p;
		check_audit(s, x, name, scope, at);
		if (!names_add(&seen, text(x, "key"), x))
			DUPLICATE(text(x, "key"), "%s.key", at);
	}
}

/* ---- changes --------------------------------------------------------------------------------------- */

static const struct {
	const char *type, *member, *other;
	enum schema_expression_use use;
} patches[] = {
	{"JSONPatch", "jsonPatch", "applyConfiguration", SCHEMA_EXPR_JSON_PATCH},
	{"ApplyConfiguration", "applyConfiguration", "jsonPatch", SCHEMA_EXPR_APPLY},
};

static void
check_mutation(const struct schema_spot *s, const struct doc *m, struct schema_scope *scope,
	const char *at)
{
	struct str type = text(m, "patchType");
	struct arena *a = s->errs->a;

	if (type.n == 0)
		REQUIRED(NULL, "%s.patchType", at);
	else if (!one_of(patch_types, type))
		UNSUPPORTED(type, patch_types, "%s.patchType", at);
	for (size_t i = 0; i < ARRAY_LEN(patches); i++) {
		const char *own = patches[i].member, *other = patches[i].other;
		struct str source = str_trim(text(get(m, own), "expression"));
		if (!str_eq_c(type, patches[i].type))
			continue;
		if (!there(m, own))
			REQUIRED(arena_fmt(a, "must be specified when patchType is %s",
					 patches[i].type)
					 .p,
				"%s.%s", at, own);
		else if (source.n == 0)
			REQUIRED(NULL, "%s.%s.expression", at, own);
		else
			check_expression(s, scope,
				&(struct schema_expression){
					patches[i].use, STR(""), source, source},
				arena_fmt(a, "%s.%s.expression", at, own).p);
		if (there(m, other))
			INVALID(arena_fmt(a, "{%s}", other),
				arena_fmt(a, "must not be specified when patchType is %s",
					patches[i].type)
					.p,
				"%s.%s", at, other);
	}
}

static void
check_mutations(const struct schema_spot *s, const struct doc *list, struct schema_scope *scope)
{
	size_t i = 0;

	if (doc_len(list) == 0)
		REQUIRED("mutations must contain at least one item", "spec.mutations");
	DOC_EACH (m, list)
		check_mutation(s, m, scope, arena_fmt(s->errs->a, "spec.mutations[%zu]", i++).p);
}

/* ---- policies -------------------------------------------------------------------------------------- */

/* check_policy: what both kinds have before their own lists. */
static void
check_policy(const struct schema_spot *s, const struct doc *spec, const struct doc *before,
	bool changing, struct schema_scope *scope)
{
	const struct doc *kind = there(spec, "paramKind") ? get(spec, "paramKind") : NULL;
	bool same = before && !differs(get(spec, "paramKind"), get(before, "paramKind")) &&
		!differs(get(spec, "matchConditions"), get(before, "matchConditions"));

	*scope = (struct schema_scope){.params = kind != NULL,
		.variables = changing || doc_len(get(spec, "variables")) > 0};
	if (!there(spec, "failurePolicy"))
		REQUIRED(NULL, "spec.failurePolicy");
	else if (!one_of(failure_policies, text(spec, "failurePolicy")))
		UNSUPPORTED(text(spec, "failurePolicy"), failure_policies, "spec.failurePolicy");
	if (kind)
		check_param_kind(s, kind);
	check_constraints(s, spec, changing);
	if (!same)
		check_match_conditions(
			s, get(spec, "matchConditions"), kind != NULL, "spec.matchConditions");
	check_variables(s, get(spec, "variables"), scope);
}

static void
check_type_checking(const struct schema_spot *s, const struct doc *status)
{
	size_t i = 0;

	DOC_EACH (w, get(get(status, "typeChecking"), "expressionWarnings")) {
		const char *at =
			arena_fmt(s->errs->a, "status.typeChecking.expressionWarnings[%zu]", i++).p;
		if (text(w, "warning").n == 0)
			REQUIRED(NULL, "%s.warning", at);
		if (str_trim(text(w, "fieldRef")).n == 0)
			REQUIRED(NULL, "%s.fieldRef", at);
	}
}

/* A spec that stays was looked at when it came. */
static bool
stays(const struct doc *d, const struct doc *old)
{
	return old && doc_equal(get(d, "spec"), get(old, "spec"));
}

CHECK(admissionregistration_v1_validating_admission_policy)
{
	static const char one[] = "validations or auditAnnotations must contain at least one item";
	const struct doc *spec = get(d, "spec");
	struct schema_scope scope;

	if (old)
		check_type_checking(s, get(d, "status"));
	if (stays(d, old))
		return;
	check_policy(s, spec, old ? get(old, "spec") : NULL, false, &scope);
	if (doc_len(get(spec, "validations")) == 0 && doc_len(get(spec, "auditAnnotations")) == 0) {
		REQUIRED(one, "spec.validations");
		REQUIRED(one, "spec.auditAnnotations");
		return;
	}
	check_validations(s, get(spec, "validations"), &scope);
	check_audits(s, get(spec, "auditAnnotations"), text(get(d, "metadata"), "name"), &scope);
}

CHECK(admissionregistration_v1_mutating_admission_policy)
{
	const struct doc *spec = get(d, "spec");
	struct str again = text(spec, "reinvocationPolicy");
	struct schema_scope scope;

	if (stays(d, old))
		return;
	check_policy(s, spec, old ? get(old, "spec") : NULL, true, &scope);
	check_mutations(s, get(spec, "mutations"), &scope);
	if (again.n == 0)
		REQUIRED(NULL, "spec.reinvocationPolicy");
	else if (!one_of(reinvocation_policies, again))
		UNSUPPORTED(again, reinvocation_policies, "spec.reinvocationPolicy");
}

/* ---- bindings -------------------------------------------------------------------------------------- */

static void
check_binding(const struct schema_spot *s, const struct doc *spec)
{
	struct str policy = text(spec, "policyName");

	if (policy.n)
		check_names(s, FORMAT_DNS_SUBDOMAIN, policy, "spec.policyName");
	if (there(spec, "paramRef"))
		check_param_ref(s, get(spec, "paramRef"));
	if (there(spec, "matchResources"))
		check_matching(s, get(spec, "matchResources"), "spec.matchResources");
}

CHECK(admissionregistration_v1_validating_admission_policy_binding)
{
	const struct doc *list = get(get(d, "spec"), "validationActions");
	struct names seen = names_new(s->errs->a, doc_len(list));
	size_t i = 0;

	(void)old;
	check_binding(s, get(d, "spec"));
	DOC_EACH (x, list) {
		if (!one_of(actions, doc_as_str(x)))
			UNSUPPORTED(doc_as_str(x), actions, "spec.validationActions[%zu]", i);
		if (!names_add(&seen, doc_as_str(x), x))
			DUPLICATE(doc_as_str(x), "spec.validationActions[%zu]", i);
		i++;
	}
	if (has_text(list, STR("Deny")) && has_text(list, STR("Warn")))
		INVALID_DOC(list,
			"must not contain both Deny and Warn (repeating the same validation "
			"failure information in the API response and headers serves no purpose)",
			"spec.validationActions");
	/* what upstream checks by declaration comes last */
	if (text(get(d, "spec"), "policyName").n == 0)
		REQUIRED(NULL, "spec.policyName");
	if (i == 0)
		REQUIRED(NULL, "spec.validationActions");
}

CHECK(admissionregistration_v1_mutating_admission_policy_binding)
{
	const struct doc *m = get(get(d, "spec"), "matchResources");

	(void)old;
	if (text(get(d, "spec"), "policyName").n == 0)
		REQUIRED(NULL, "spec.policyName");
	check_binding(s, get(d, "spec"));
	check_changing(s, m, "spec.matchResources");
}
