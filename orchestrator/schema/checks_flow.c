/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_flow: FlowSchemas and PriorityLevelConfigurations: who waits in which queue. A member that belongs to another
 * kind or type than the one at hand is forbidden; the two pairs every server has stay as they are.
 * Source: k8s.io/kubernetes pkg/apis/flowcontrol/validation and internalbootstrap (behaviour, texts). */
#include "orchestrator/schema/checks_int.h"

#include <math.h>

#define PRECEDENCE_MAX 10000
#define QUEUES_MAX 10000000
#define HASH_BITS_MAX 60

static const char text_percent_range[] = "must be between 0 and 100, inclusive";
static const char text_non_negative[] = "must be a non-negative integer";
static const char text_positive[] = "must be positive";

/* ---- the objects that stay as they are ---- */

static const struct {
	const char *name, *schema, *level;
} fixed[] = {
	{"exempt",
		"{\"priorityLevelConfiguration\":{\"name\":\"exempt\"},\"matchingPrecedence\":1,"
		"\"rules\":[{\"subjects\":[{\"kind\":\"Group\",\"group\":{\"name\":\"system:masters\"}}],"
		"\"resourceRules\":[{\"verbs\":[\"*\"],\"apiGroups\":[\"*\"],\"resources\":[\"*\"],"
		"\"clusterScope\":true,\"namespaces\":[\"*\"]}],"
		"\"nonResourceRules\":[{\"verbs\":[\"*\"],\"nonResourceURLs\":[\"*\"]}]}]}",
		"{\"type\":\"Exempt\"}"},
	{"catch-all",
		"{\"priorityLevelConfiguration\":{\"name\":\"catch-all\"},\"matchingPrecedence\":10000,"
		"\"distinguisherMethod\":{\"type\":\"ByUser\"},\"rules\":[{\"subjects\":["
		"{\"kind\":\"Group\",\"group\":{\"name\":\"system:unauthenticated\"}},"
		"{\"kind\":\"Group\",\"group\":{\"name\":\"system:authenticated\"}}],"
		"\"resourceRules\":[{\"verbs\":[\"*\"],\"apiGroups\":[\"*\"],\"resources\":[\"*\"],"
		"\"clusterScope\":true,\"namespaces\":[\"*\"]}],"
		"\"nonResourceRules\":[{\"verbs\":[\"*\"],\"nonResourceURLs\":[\"*\"]}]}]}",
		"{\"type\":\"Limited\",\"limited\":{\"nominalConcurrencyShares\":5,"
		"\"limitResponse\":{\"type\":\"Reject\"},\"lendablePercent\":0}}"},
};

/* check_fixed: spec, without its member `but` (NULL: as it is), is what the object of this name has. */
static void
check_fixed(const struct schema_spot *s, struct str name, const struct doc *spec, bool level,
	const char *but)
{
	struct arena *a = s->errs->a;

	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		struct doc *want = NULL, *have = spec ? doc_copy(a, spec) : NULL;
		struct str json = str_c(level ? fixed[i].level : fixed[i].schema);

		if (!str_eq_c(name, fixed[i].name) ||
			doc_parse_json(a, json, NULL, &want, NULL) < 0)
			continue;
		if (but && have && get(have, but))
			doc_set(have, str_c(but), NULL);
		if (!have || !doc_equal(have, want))
			INVALID_DOC(spec,
				arena_fmt(a, "spec of '%s'%s must equal the fixed value",
					fixed[i].name, but ? " except the 'spec.exempt' field" : "")
					.p,
				"spec");
	}
}

/* ---- FlowSchema ---- */

static void
check_verbs(const struct schema_spot *s, const struct doc *list, const char *at)
{
	static const char *const verbs[] = {"create", "delete", "deletecollection", "get", "list",
		"patch", "proxy", "update", "watch", NULL};

	if (doc_len(list) == 0) {
		REQUIRED("verbs must contain at least one value", "%s", at);
		return;
	}
	if (has_text(list, STR("*"))) {
		if (doc_len(list) > 1)
			INVALID_DOC(
				list, "if '*' is present, must not specify other verbs", "%s", at);
		return;
	}
	DOC_EACH (v, list)
		if (!one_of(verbs, doc_as_str(v))) {
			UNSUPPORTED_DOC(list, verbs, "%s", at);
			return;
		}
}

/* check_names: a list of `what` that is not empty; "*" stands alone. */
static void
check_names(const struct schema_spot *s, const struct doc *list, const char *one, const char *many,
	const char *at)
{
	struct arena *a = s->errs->a;

	if (doc_len(list) == 0)
		REQUIRED(arena_fmt(a, "resource rules must supply at least one %s", one).p, "%s",
			at);
	else if (doc_len(list) > 1 && has_text(list, STR("*")))
		INVALID_DOC(list,
			arena_fmt(a, "if '*' is present, must not specify other %s", many).p, "%s",
			at);
}

static void
check_namespaces(const struct schema_spot *s, const struct doc *rule, const char *at)
{
	const struct doc *list = get(rule, "namespaces");
	struct arena *a = s->errs->a;
	size_t i = 0;

	if (doc_len(list) == 0 && !flag(rule, "clusterScope"))
		REQUIRED(
			"resource rules that are not cluster scoped must supply at least one namespace",
			"%s", at);
	if (has_text(list, STR("*"))) {
		if (doc_len(list) > 1)
			INVALID_DOC(list, "if '*' is present, must not specify other namespaces",
				"%s", at);
		return;
	}
	DOC_EACH (v, list) {
		const char *why = format_check(a, FORMAT_DNS_LABEL, doc_as_str(v));

		if (why)
			INVALID(doc_as_str(v),
				arena_fmt(a,
					"each member of this list must be '*' or a DNS-1123 label; %s",
					why)
					.p,
				"%s[%zu]", at, i);
		i++;
	}
}

/* path_fault: what is wrong with a path of no resource; NULL = nothing. */
static const char *
path_fault(struct str p)
{
	ptrdiff_t star = str_find_char(p, '*');

	if (!p.n)
		return "must not be empty";
	if (p.p[0] != '/')
		return "must start with slash";
	if (str_find_char(p, ' ') >= 0)
		return "must not contain white-space";
	if (str_find(p, STR("//")) >= 0)
		return "must not contain double slash";
	if (star >= 0 && ((size_t)star != p.n - 1 || p.p[p.n - 2] != '/'))
		return "wildcard can only do suffix matching";
	return NULL;
}

static void
check_paths(const struct schema_spot *s, const struct doc *list, const char *at)
{
	size_t i = 0;

	if (doc_len(list) == 0) {
		REQUIRED("nonResourceURLs must contain at least one value", "%s", at);
		return;
	}
	if (has_text(list, STR("*"))) {
		if (doc_len(list) > 1)
			INVALID_DOC(list,
				"if '*' is present, must not specify other non-resource URLs", "%s",
				at);
		return;
	}
	DOC_EACH (v, list) {
		const char *why = path_fault(doc_as_str(v));

		if (why)
			INVALID(doc_as_str(v), why, "%s[%zu]", at, i);
		i++;
	}
}

static const struct {
	const char *kind, *member;
} subjects[] = {{"ServiceAccount", "serviceAccount"}, {"User", "user"}, {"Group", "group"}};

static void
check_account(const struct schema_spot *s, const struct doc *account, const char *at)
{
	struct str name = text(account, "name"), ns = text(account, "namespace");

	if (name.n && !str_eq_c(name, "*"))
		FORMAT(FORMAT_DNS_SUBDOMAIN, name, "%s.name", at);
	if (ns.n)
		FORMAT(FORMAT_DNS_LABEL, ns, "%s.namespace", at);
	else
		REQUIRED("must specify namespace for service account", "%s.namespace", at);
}

static void
check_subject(const struct schema_spot *s, const struct doc *subject, const char *at)
{
	static const char *const kinds[] = {"Group", "ServiceAccount", "User", NULL};
	struct arena *a = s->errs->a;

	if (!one_of(kinds, text(subject, "kind"))) {
		UNSUPPORTED(text(subject, "kind"), kinds, "%s.kind", at);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
		const char *kind = subjects[i].kind, *member = subjects[i].member;
		const char *here = arena_fmt(a, "%s.%s", at, member).p;
		const struct doc *x = get(subject, member);

		if (!is(subject, "kind", kind))
			continue;
		if (!x)
			REQUIRED(arena_fmt(a, "%s is required when subject kind is '%s'", member,
					 kind)
					 .p,
				"%s", here);
		else if (!text(x, "name").n)
			REQUIRED(NULL, "%s.name", here);
		if (x && str_eq_c(str_c(kind), "ServiceAccount"))
			check_account(s, x, here);
	}
	for (size_t i = 0; i < ARRAY_LEN(subjects); i++)
		if (!is(subject, "kind", subjects[i].kind) && get(subject, subjects[i].member))
			FORBIDDEN(arena_fmt(a, "%s is forbidden when subject kind is not '%s'",
					  subjects[i].member, subjects[i].kind)
					  .p,
				"%s.%s", at, subjects[i].member);
}

static void
check_rule(const struct schema_spot *s, const struct doc *rule, const char *at)
{
	struct arena *a = s->errs->a;
	size_t i = 0;

	if (doc_len(get(rule, "subjects")) == 0)
		REQUIRED("subjects must contain at least one value", "%s.subjects", at);
	DOC_EACH (x, get(rule, "subjects"))
		check_subject(s, x, arena_fmt(a, "%s.subjects[%zu]", at, i++).p);
	if (doc_len(get(rule, "resourceRules")) == 0 && doc_len(get(rule, "nonResourceRules")) == 0)
		REQUIRED("at least one of resourceRules and nonResourceRules has to be non-empty",
			"%s", at);
	i = 0;
	DOC_EACH (x, get(rule, "resourceRules")) {
		const char *here = arena_fmt(a, "%s.resourceRules[%zu]", at, i++).p;

		check_verbs(s, get(x, "verbs"), arena_fmt(a, "%s.verbs", here).p);
		check_names(s, get(x, "apiGroups"), "api group", "api groups",
			arena_fmt(a, "%s.apiGroups", here).p);
		check_names(s, get(x, "resources"), "resource", "resources",
			arena_fmt(a, "%s.resources", here).p);
		check_namespaces(s, x, arena_fmt(a, "%s.namespaces", here).p);
	}
	i = 0;
	DOC_EACH (x, get(rule, "nonResourceRules")) {
		const char *here = arena_fmt(a, "%s.nonResourceRules[%zu]", at, i++).p;

		check_verbs(s, get(x, "verbs"), arena_fmt(a, "%s.verbs", here).p);
		check_paths(
			s, get(x, "nonResourceURLs"), arena_fmt(a, "%s.nonResourceURLs", here).p);
	}
}

CHECK(flowcontrol_v1_flow_schema)
{
	static const char *const methods[] = {"ByNamespace", "ByUser", NULL};
	const struct doc *spec = get(d, "spec"), *method = get(spec, "distinguisherMethod");
	struct str name = text(get(d, "metadata"), "name");
	struct str level = text(get(spec, "priorityLevelConfiguration"), "name");
	int64_t n = doc_get_int(spec, STR("matchingPrecedence"), 1000);
	struct arena *a = s->errs->a;
	size_t i = 0;

	(void)old;
	if (n <= 0)
		INVALID_INT(n, "must be a positive value", "spec.matchingPrecedence");
	if (n > PRECEDENCE_MAX)
		INVALID_INT(n, arena_fmt(a, "must not be greater than %d", PRECEDENCE_MAX).p,
			"spec.matchingPrecedence");
	if (n == 1 && !str_eq_c(name, "exempt"))
		INVALID_INT(n, "only the schema named 'exempt' may have matchingPrecedence 1",
			"spec.matchingPrecedence");
	if (method && !one_of(methods, text(method, "type"))) {
		/* as upstream shows it: the whole method, by the name of its Go field */
		struct doc *shown = doc_map(a);

		if (shown)
			doc_set_str(a, shown, STR("Type"), text(method, "type"));
		UNSUPPORTED_DOC(shown, methods, "spec.distinguisherMethod.type");
	}
	if (level.n)
		FORMAT(FORMAT_DNS_SUBDOMAIN, level, "spec.priorityLevelConfiguration.name");
	else
		REQUIRED("must reference a priority level", "spec.priorityLevelConfiguration.name");
	DOC_EACH (x, get(spec, "rules"))
		check_rule(s, x, arena_fmt(a, "spec.rules[%zu]", i++).p);
	check_fixed(s, name, spec, false, NULL);
}

/* ---- PriorityLevelConfiguration ---- */

static void
check_queuing(const struct schema_spot *s, const struct doc *q, const char *at)
{
	int64_t queues = number(q, "queues"), hand = number(q, "handSize");
	struct arena *a = s->errs->a;

	if (number(q, "queueLengthLimit") <= 0)
		INVALID_INT(
			number(q, "queueLengthLimit"), text_positive, "%s.queueLengthLimit", at);
	if (queues <= 0)
		INVALID_INT(queues, text_positive, "%s.queues", at);
	else if (queues > QUEUES_MAX)
		INVALID_INT(queues, arena_fmt(a, "must not be greater than %d", QUEUES_MAX).p,
			"%s.queues", at);
	if (hand <= 0)
		INVALID_INT(hand, text_positive, "%s.handSize", at);
	else if (hand > queues)
		INVALID_INT(hand,
			arena_fmt(a, "should not be greater than queues (%lld)", (long long)queues)
				.p,
			"%s.handSize", at);
	else if (ceil(log2((double)queues) * (double)hand) > HASH_BITS_MAX)
		INVALID_INT(hand,
			arena_fmt(a,
				"required entropy bits of deckSize %lld and handSize %lld should not be "
				"greater than %d",
				(long long)queues, (long long)hand, HASH_BITS_MAX)
				.p,
			"%s.handSize", at);
}

static void
check_response(const struct schema_spot *s, const struct doc *r, const char *at)
{
	static const char *const types[] = {"Queue", "Reject", NULL};
	const struct doc *queuing = get(r, "queuing");

	if (is(r, "type", "Reject") && queuing)
		FORBIDDEN("must be nil if limited.limitResponse.type is not Limited", "%s.queuing",
			at);
	else if (is(r, "type", "Queue") && queuing)
		check_queuing(s, queuing, arena_fmt(s->errs->a, "%s.queuing", at).p);
	else if (is(r, "type", "Queue"))
		REQUIRED("must not be empty if limited.limitResponse.type is Limited", "%s.queuing",
			at);
	else if (text(r, "type").n && !is(r, "type", "Reject"))
		UNSUPPORTED(text(r, "type"), types, "%s.type", at);
}

static void
check_lendable(const struct schema_spot *s, const struct doc *d, const char *at)
{
	int64_t n = number(d, "lendablePercent");

	if (n < 0 || n > 100)
		INVALID_INT(n, text_percent_range, "%s.lendablePercent", at);
}

static void
check_shares(const struct schema_spot *s, const struct doc *d, const char *at)
{
	if (number(d, "nominalConcurrencyShares") < 0)
		INVALID_INT(number(d, "nominalConcurrencyShares"), text_non_negative,
			"%s.nominalConcurrencyShares", at);
}

static void
check_limited(const struct schema_spot *s, const struct doc *limited)
{
	check_shares(s, limited, "spec.limited");
	check_response(s, get(limited, "limitResponse"), "spec.limited.limitResponse");
	check_lendable(s, limited, "spec.limited");
	if (number(limited, "borrowingLimitPercent") < 0)
		INVALID_INT(number(limited, "borrowingLimitPercent"),
			"if specified, must be a non-negative integer",
			"spec.limited.borrowingLimitPercent");
}

CHECK(flowcontrol_v1_priority_level_configuration)
{
	static const char *const types[] = {"Exempt", "Limited", NULL};
	static const char old_way[] = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares";
	const struct doc *spec = get(d, "spec"), *meta = get(d, "metadata");
	const struct doc *limited = get(spec, "limited"), *exempt = get(spec, "exempt");
	struct str name = text(meta, "name"), type = text(spec, "type");

	(void)old;
	if (get(get(meta, "annotations"), old_way))
		FORBIDDEN(arena_fmt(s->errs->a, "annotation '%s' is forbidden", old_way).p,
			"metadata.annotations");
	if (str_eq_c(name, "exempt") != str_eq_c(type, "Exempt"))
		INVALID(type, "must be 'Exempt' if and only if `name` is 'exempt'", "spec.type");
	if (str_eq_c(type, "Exempt")) {
		if (limited)
			FORBIDDEN("must be nil if the type is not Limited", "spec.limited");
		check_shares(s, exempt, "spec.exempt");
		check_lendable(s, exempt, "spec.exempt");
	} else if (str_eq_c(type, "Limited")) {
		if (exempt)
			FORBIDDEN("must be nil if the type is Limited", "spec.exempt");
		if (limited)
			check_limited(s, limited);
		else
			REQUIRED("must not be empty when type is Limited", "spec.limited");
	} else if (type.n) {
		UNSUPPORTED(type, types, "spec.type");
	}
	check_fixed(s, name, spec, true, str_eq_c(name, "exempt") ? "exempt" : NULL);
}
