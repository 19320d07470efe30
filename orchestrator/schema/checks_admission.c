/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_admission: configurations of admission webhooks, and what admission policies have in common with them.
 * Source: k8s.io/kubernetes pkg/apis/admissionregistration/validation; k8s.io/apiserver pkg/util/webhook. */
#include "orchestrator/schema/checks_int.h"

#define CONDITIONS_MAX 64

static const char *const failure_policies[] = {"Fail", "Ignore", NULL};
static const char *const match_policies[] = {"Equivalent", "Exact", NULL};
static const char *const reinvocation_policies[] = {"IfNeeded", "Never", NULL};
static const char *const side_effects[] = {"None", "NoneOnDryRun", "Some", "Unknown", NULL};
static const char *const no_side_effects[] = {"None", "NoneOnDryRun", NULL};
static const char *const operations[] = {"*", "CONNECT", "CREATE", "DELETE", "UPDATE", NULL};
static const char *const scopes[] = {"*", "Cluster", "Namespaced", NULL};
static const char *const review_versions[] = {"v1", "v1beta1", NULL};

/* What an update may keep though a create may not have it: the old object had it already. */
struct leniency {
	bool side_effects, versions, names;
	bool conditions; /* they are the same everywhere */
};

static bool
there(const struct doc *d, const char *name)
{
	const struct doc *v = get(d, name);

	return v && v->type != DOC_NULL;
}

/* ---- rules ----------------------------------------------------------------------------------------- */

/* check_texts: a list of names: some, none of them empty, "*" alone. */
static void
check_texts(const struct schema_spot *s, const struct doc *list, const char *at, bool may_be_empty,
	const char *what)
{
	size_t i = 0;

	if (doc_len(list) == 0)
		REQUIRED(NULL, "%s", at);
	if (doc_len(list) > 1 && has_text(list, STR("*")))
		INVALID_DOC(list,
			arena_fmt(s->errs->a, "if '*' is present, must not specify other %s", what)
				.p,
			"%s", at);
	DOC_EACH (x, list) {
		if (!may_be_empty && doc_as_str(x).n == 0)
			REQUIRED(NULL, "%s[%zu]", at, i);
		i++;
	}
}

/* covered: an item before this one already means it: "res/" "*" or "*" "/sub". */
static bool
covered(const struct doc *list, const struct doc *upto, struct str res, struct str sub)
{
	for (const struct doc *x = list->first; x != upto; x = x->next) {
		struct str r, t;
		if (str_cut(doc_as_str(x), '/', &r, &t) && str_eq(r, res) && str_eq(t, sub))
			return true;
	}
	return false;
}

static void
check_resources(const struct schema_spot *s, const struct doc *list, const char *at)
{
	bool star = false, plain = false;
	size_t i = 0;

	if (doc_len(list) == 0)
		REQUIRED(NULL, "%s", at);
	DOC_EACH (x, list) {
		struct str v = doc_as_str(x), res, sub;
		const size_t n = i++;
		if (v.n == 0) {
			REQUIRED(NULL, "%s[%zu]", at, n);
			continue;
		}
		star = star || str_eq_c(v, "*");
		if (!str_cut(v, '/', &res, &sub)) {
			plain = !str_eq_c(v, "*"); /* of the last one, as upstream has it */
			continue;
		}
		if (covered(list, x, res, STR("*")))
			INVALID(v,
				arena_fmt(s->errs->a,
					"if '" STR_FMT "/*' is present, must not specify " STR_FMT,
					STR_ARG(res), STR_ARG(v))
					.p,
				"%s[%zu]", at, n);
		if (covered(list, x, STR("*"), sub))
			INVALID(v,
				arena_fmt(s->errs->a,
					"if '*/" STR_FMT "' is present, must not specify " STR_FMT,
					STR_ARG(sub), STR_ARG(v))
					.p,
				"%s[%zu]", at, n);
	}
	if (doc_len(list) > 1 && has_text(list, STR("*/*")))
		INVALID_DOC(
			list, "if '*/*' is present, must not specify other resources", "%s", at);
	if (star && plain)
		INVALID_DOC(list,
			"if '*' is present, must not specify other resources without subresources",
			"%s", at);
}

void
check_admission_rule(const struct schema_spot *s, const struct doc *rule, const char *at)
{
	struct arena *a = s->errs->a;
	size_t i = 0;

	check_texts(s, get(rule, "operations"), arena_fmt(a, "%s.operations", at).p, true,
		"operations");
	DOC_EACH (op, get(rule, "operations")) {
		if (!one_of(operations, doc_as_str(op)))
			UNSUPPORTED(doc_as_str(op), operations, "%s.operations[%zu]", at, i);
		i++;
	}
	check_texts(
		s, get(rule, "apiGroups"), arena_fmt(a, "%s.apiGroups", at).p, true, "API groups");
	check_texts(s, get(rule, "apiVersions"), arena_fmt(a, "%s.apiVersions", at).p, false,
		"API versions");
	check_resources(s, get(rule, "resources"), arena_fmt(a, "%s.resources", at).p);
	if (there(rule, "scope") && !one_of(scopes, text(rule, "scope")))
		UNSUPPORTED(text(rule, "scope"), scopes, "%s.scope", at);
}

/* ---- where it is ----------------------------------------------------------------------------------- */

#define URL_FORM "; desired format: https://host[/path]"

/* url_fault: what Go's parser has against it; NULL = nothing. */
static const char *
url_fault(struct str url, struct str host)
{
	for (size_t i = 0; i < url.n; i++)
		if ((unsigned char)url.p[i] < 0x20 || url.p[i] == 0x7f)
			return "net/url: invalid control character in URL";
	if (url.n && url.p[0] == ':')
		return "missing protocol scheme";
	return str_find_char(host, ' ') >= 0 ? "invalid character \" \" in host name" : NULL;
}

static void
check_url(const struct schema_spot *s, struct str url, const char *at)
{
	struct str scheme = STR(""), host = STR(""), rest = url, before, query, fragment;
	struct arena *a = s->errs->a;

	str_cut(rest, '#', &rest, &fragment);
	str_cut(rest, '?', &rest, &query);
	ptrdiff_t colon = str_find(rest, STR("://"));
	if (colon >= 0) {
		scheme = lower_text(a, str_sub(rest, 0, (size_t)colon));
		str_cut(str_sub(rest, (size_t)colon + 3, SIZE_MAX), '/', &host, &before);
	}
	const char *fault = url_fault(url, host);
	if (fault) {
		REQUIRED(arena_fmt(a, "url must be a valid URL: parse \"" STR_FMT "\": %s" URL_FORM,
				 STR_ARG(url), fault)
				 .p,
			"%s", at);
		return;
	}
	if (!str_eq_c(scheme, "https"))
		INVALID(scheme, "'https' is the only allowed URL scheme" URL_FORM, "%s", at);
	if (host.n == 0)
		INVALID(host, "host must be specified" URL_FORM, "%s", at);
	if (str_rcut(host, '@', &before, &host))
		INVALID(before, "user information is not permitted in the URL", "%s", at);
	if (fragment.n)
		INVALID(fragment, "fragments are not permitted in the URL", "%s", at);
	if (query.n)
		INVALID(query, "query parameters are not permitted in the URL", "%s", at);
}

/* check_path: segments that are names. */
static void
check_path(const struct schema_spot *s, struct str path, const char *at)
{
	struct arena *a = s->errs->a;
	struct str rest = str_sub(path, 1, SIZE_MAX), part;
	const char *why[FORMAT_FAULTS_MAX];

	if (path.n == 0 || str_eq_c(path, "/"))
		return;
	if (str_eq_c(path, "//")) {
		INVALID(path, "segment[0] may not be empty", "%s", at);
		return;
	}
	if (path.p[0] != '/')
		INVALID(path, "must start with a '/'", "%s", at);
	if (str_ends(rest, STR("/")))
		rest.n--;
	for (size_t i = 0; str_next(&rest, '/', &part); i++) {
		size_t n = part.n ? format_faults(a, FORMAT_DNS_SUBDOMAIN, part, why) : 0;
		if (part.n == 0)
			INVALID(path, arena_fmt(a, "segment[%zu] may not be empty", i).p, "%s", at);
		for (size_t k = 0; k < n; k++)
			INVALID(path, arena_fmt(a, "segment[%zu]: %s", i, why[k]).p, "%s", at);
	}
}

static void
check_client(const struct schema_spot *s, const struct doc *c, const char *at)
{
	const struct doc *service = get(c, "service"), *url = get(c, "url");
	struct arena *a = s->errs->a;

	if (!service == !url) {
		REQUIRED("exactly one of url or service is required", "%s", at);
		return;
	}
	if (url) {
		check_url(s, doc_as_str(url), arena_fmt(a, "%s.url", at).p);
		return;
	}
	/* Each is told under the other's name, as upstream does. */
	if (text(service, "namespace").n == 0)
		REQUIRED(NULL, "%s.service.name", at);
	if (text(service, "name").n == 0)
		REQUIRED(NULL, "%s.service.namespace", at);
	if (!is_port(number(service, "port")))
		INVALID_INT(number(service, "port"),
			arena_fmt(a, "port is not valid: %s", format_text_port).p,
			"%s.service.port", at);
	check_path(s, text(service, "path"), arena_fmt(a, "%s.service.path", at).p);
}

/* ---- one webhook ----------------------------------------------------------------------------------- */

void
check_match_conditions(
	const struct schema_spot *s, const struct doc *list, bool params, const char *at)
{
	struct schema_scope scope = {.params = params};
	struct names seen = names_new(s->errs->a, doc_len(list));
	size_t i = 0;

	if (doc_len(list) > CONDITIONS_MAX)
		schema_err_too_many(s->errs, AT("%s", at), doc_len(list), CONDITIONS_MAX);
	DOC_EACH (c, list) {
		struct str name = text(c, "name");
		const size_t n = i++;
		struct str source = str_trim(text(c, "expression"));
		if (source.n == 0)
			REQUIRED(NULL, "%s[%zu].expression", at, n);
		else
			check_expression(s, &scope,
				&(struct schema_expression){
					SCHEMA_EXPR_CONDITION, STR(""), source, source},
				arena_fmt(s->errs->a, "%s[%zu].expression", at, n).p);
		if (name.n == 0) {
			REQUIRED(NULL, "%s[%zu].name", at, n);
			continue;
		}
		FORMAT(FORMAT_QUALIFIED_NAME, name, "%s[%zu].name", at, n);
		if (!names_add(&seen, name, c))
			DUPLICATE(name, "%s[%zu].name", at, n);
	}
}

static void
check_versions(
	const struct schema_spot *s, const struct doc *list, const char *at, bool any_will_do)
{
	const char *why[FORMAT_FAULTS_MAX];
	bool known = any_will_do;
	size_t i = 0;

	if (doc_len(list) == 0) {
		REQUIRED("must specify one of v1, v1beta1", "%s", at);
		return;
	}
	struct names seen = names_new(s->errs->a, doc_len(list));
	DOC_EACH (v, list) {
		const size_t n = i++;
		if (!names_add(&seen, doc_as_str(v), v)) {
			INVALID(doc_as_str(v), "duplicate version", "%s[%zu]", at, n);
			continue;
		}
		size_t faults = format_faults(s->errs->a, FORMAT_DNS1035_LABEL, doc_as_str(v), why);
		for (size_t k = 0; k < faults; k++)
			INVALID(doc_as_str(v), why[k], "%s[%zu]", at, n);
		known = known || one_of(review_versions, doc_as_str(v));
	}
	if (!known)
		INVALID_DOC(list, "must include at least one of v1, v1beta1", "%s", at);
}

/* check_set: a member that may be absent is one of the set. */
static void
check_set(const struct schema_spot *s, const struct doc *w, const char *name,
	const char *const *set, const char *at)
{
	if (there(w, name) && !one_of(set, text(w, name)))
		UNSUPPORTED(text(w, name), set, "%s.%s", at, name);
}

/* A name of three labels or more. */
static void
check_name(const struct schema_spot *s, struct str name, const char *at)
{
	const char *why = name.n ? format_check(s->errs->a, FORMAT_DNS_SUBDOMAIN, name) : NULL;
	struct str rest = name, part;
	size_t labels = 0;

	while (str_next(&rest, '.', &part))
		labels++;
	if (name.n == 0)
		REQUIRED(NULL, "%s.name", at);
	else if (why)
		INVALID(name, why, "%s.name", at);
	else if (labels < 3)
		INVALID(name, "should be a domain with at least three segments separated by dots",
			"%s.name", at);
}

static void
check_webhook(const struct schema_spot *s, const struct doc *w, const char *at,
	const struct leniency *may)
{
	const char *const *effects = may->side_effects ? side_effects : no_side_effects;
	struct arena *a = s->errs->a;
	size_t i = 0;

	check_name(s, text(w, "name"), at);
	DOC_EACH (rule, get(w, "rules"))
		check_admission_rule(s, rule, arena_fmt(a, "%s.rules[%zu]", at, i++).p);
	check_set(s, w, "failurePolicy", failure_policies, at);
	check_set(s, w, "matchPolicy", match_policies, at);
	if (!there(w, "sideEffects"))
		REQUIRED(may->side_effects ? "must specify one of None, NoneOnDryRun, Some, Unknown"
					   : "must specify one of None, NoneOnDryRun",
			"%s.sideEffects", at);
	check_set(s, w, "sideEffects", effects, at);
	if (there(w, "timeoutSeconds") &&
		(number(w, "timeoutSeconds") < 1 || number(w, "timeoutSeconds") > 30))
		INVALID_INT(number(w, "timeoutSeconds"),
			"the timeout value must be between 1 and 30 seconds", "%s.timeoutSeconds",
			at);
	check_set(s, w, "reinvocationPolicy", reinvocation_policies, at);
	check_client(s, get(w, "clientConfig"), arena_fmt(a, "%s.clientConfig", at).p);
	if (!may->conditions)
		check_match_conditions(s, get(w, "matchConditions"), false,
			arena_fmt(a, "%s.matchConditions", at).p);
	check_versions(s, get(w, "admissionReviewVersions"),
		arena_fmt(a, "%s.admissionReviewVersions", at).p, may->versions);
}

static bool
same_conditions(const struct doc *list, const struct doc *old)
{
	const struct doc *y = old ? old->first : NULL;

	if (!old || doc_len(list) != doc_len(old))
		return false;
	DOC_EACH (x, list) {
		if (differs(get(x, "matchConditions"), get(y, "matchConditions")))
			return false;
		y = y->next;
	}
	return true;
}

/* had: what the stored webhooks already do wrong. */
static struct leniency
had(struct arena *a, const struct doc *old)
{
	const struct doc *list = get(old, "webhooks");
	struct names seen = names_new(a, doc_len(list));
	struct leniency l = {0};

	DOC_EACH (w, list) {
		bool known = doc_len(get(w, "admissionReviewVersions")) == 0;
		DOC_EACH (v, get(w, "admissionReviewVersions"))
			known = known || one_of(review_versions, doc_as_str(v));
		l.versions = l.versions || !known;
		l.side_effects = l.side_effects || !one_of(no_side_effects, text(w, "sideEffects"));
		l.names = l.names || !names_add(&seen, text(w, "name"), w);
	}
	return l;
}

static void
check_configuration(const struct schema_spot *s, const struct doc *d, const struct doc *old)
{
	const struct doc *list = get(d, "webhooks");
	struct names seen = names_new(s->errs->a, doc_len(list));
	struct leniency may = had(s->errs->a, old);
	size_t i = 0;

	may.conditions = same_conditions(list, get(old, "webhooks"));

	DOC_EACH (w, list) {
		struct str name = text(w, "name");
		check_webhook(s, w, arena_fmt(s->errs->a, "webhooks[%zu]", i).p, &may);
		if (name.n && !may.names && !names_add(&seen, name, w))
			DUPLICATE(name, "webhooks[%zu].name", i);
		i++;
	}
}

CHECK(admissionregistration_v1_mutating_webhook_configuration)
{
	check_configuration(s, d, old);
}

CHECK(admissionregistration_v1_validating_webhook_configuration)
{
	check_configuration(s, d, old);
}
