/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * escalate: the stage that keeps RBAC objects from granting what their writer does not have: rules of
 * roles need to be covered by the writer's own (or the verb `escalate`), roles that bindings name too (or the
 * verb `bind`).
 *
 * Source: Kubernetes RBAC (privilege escalation prevention); pkg/registry/rbac/{role,rolebinding}
 * policybased storage. */
#include "orchestrator/api/api_int.h"

struct own_rules {
	struct arena *a;
	const struct rbac_rule **rules;
	size_t n;
};

static void
collect(void *arg, const struct rbac_rule *rule)
{
	struct own_rules *own = arg;
	const struct rbac_rule **slot = ARENA_PUSH(own->a, own->rules, own->n);
	if (slot)
		*slot = rule;
}

static bool
any_allows(const struct own_rules *own, const struct authz_attrs *at)
{
	for (size_t i = 0; i < own->n; i++)
		if (rbac_rule_allows(own->rules[i], at))
			return true;
	return false;
}

static bool
urls_covered(const struct own_rules *own, const struct rbac_rule *want, struct str verb)
{
	for (size_t i = 0; i < want->n_urls; i++)
		if (!any_allows(own, &(struct authz_attrs){.verb = verb, .path = want->urls[i]}))
			return false;
	return true;
}

/* "x/y" is resource and subresource; "*" only matches a "*" of the owner. */
static bool
resources_covered(const struct own_rules *own, const struct rbac_rule *want, struct str verb)
{
	static const struct str none = STR_INIT("");
	for (size_t g = 0; g < want->n_groups; g++) {
		for (size_t i = 0; i < want->n_resources; i++) {
			struct authz_attrs at = {.verb = verb,
				.is_resource = true,
				.group = want->groups[g],
				.resource = want->resources[i],
				.subresource = none,
				.name = none};
			struct str head, tail;
			if (str_cut(at.resource, '/', &head, &tail)) {
				at.resource = head;
				at.subresource = tail;
			}
			bool ok = want->n_names != 0 || any_allows(own, &at);
			for (size_t n = 0; ok && n < want->n_names; n++) {
				at.name = want->names[n];
				ok = any_allows(own, &at);
			}
			if (!ok)
				return false;
		}
	}
	return true;
}

static bool
rule_covered(const struct own_rules *own, const struct rbac_rule *want)
{
	for (size_t v = 0; v < want->n_verbs; v++)
		if (!resources_covered(own, want, want->verbs[v]) ||
			!urls_covered(own, want, want->verbs[v]))
			return false;
	return true;
}

static void
list_text(struct buf *b, bool *first, const char *name, const struct str *list, size_t n)
{
	if (n == 0)
		return;
	buf_fmt(b, "%s%s:[", *first ? "" : ", ", name);
	for (size_t i = 0; i < n; i++) {
		buf_cstr(b, i ? ", " : "");
		doc_json_string(b, list[i]);
	}
	buf_char(b, ']');
	*first = false;
}

static void
rule_text(struct buf *b, const struct rbac_rule *rule)
{
	bool first = true;
	buf_cstr(b, "\n{");
	list_text(b, &first, "APIGroups", rule->groups, rule->n_groups);
	list_text(b, &first, "Resources", rule->resources, rule->n_resources);
	list_text(b, &first, "ResourceNames", rule->names, rule->n_names);
	list_text(b, &first, "NonResourceURLs", rule->urls, rule->n_urls);
	list_text(b, &first, "Verbs", rule->verbs, rule->n_verbs);
	buf_char(b, '}');
}

static enum step
check_rules(struct request *r, struct str ns, const struct rbac_rule *rules, size_t n)
{
	struct own_rules own = {.a = r->a};
	rbac_rules_for(r->worker, &r->user, ns, collect, &own);
	struct buf missing;
	buf_init_arena(&missing, r->a);
	for (size_t i = 0; i < n; i++)
		if (!rule_covered(&own, &rules[i]))
			rule_text(&missing, &rules[i]);
	if (missing.len == 0 && !missing.failed)
		return STEP_NEXT;
	struct buf groups;
	buf_init_arena(&groups, r->a);
	bool first = true;
	list_text(&groups, &first, "groups=", r->user.groups, r->user.n_groups);
	return request_fail_forbidden(r,
		"user \"" STR_FMT "\" (groups=[" STR_FMT
		"]) is attempting to grant RBAC permissions not currently held:" STR_FMT,
		STR_ARG(r->user.name),
		STR_ARG(str_sub(buf_view(&groups), 9, groups.len > 1 ? groups.len - 1 : 0)),
		STR_ARG(buf_view(&missing)));
}

static bool
has_verb(struct request *r, const char *verb, const char *resource, struct str ns, struct str name)
{
	return request_may(r,
		&(struct authz_attrs){.verb = str_c(verb),
			.is_resource = true,
			.group = STR("rbac.authorization.k8s.io"),
			.version = STR("v1"),
			.resource = str_c(resource),
			.subresource = STR(""),
			.ns = ns,
			.name = name},
		NULL);
}

static enum step
check_role(struct request *r, bool cluster)
{
	const struct doc *rules = doc_get(r->obj, STR("rules"));
	const struct doc *agg = doc_get(r->obj, STR("aggregationRule"));
	if (r->old && doc_equal(rules, doc_get(r->old, STR("rules"))) &&
		doc_equal(agg, doc_get(r->old, STR("aggregationRule"))))
		return STEP_NEXT;
	struct str name = doc_get_str(meta_of(r->obj), STR("name"));
	struct str ns = cluster ? STR("") : r->ns;
	if (has_verb(r, "escalate", cluster ? "clusterroles" : "roles", ns, name))
		return STEP_NEXT;
	struct rbac_rule *list = NULL;
	size_t n = 0;
	DOC_EACH (x, rules) {
		struct rbac_rule *slot = ARENA_PUSH(r->a, list, n);
		if (slot)
			rbac_rule_parse(r->a, x, slot);
	}
	if (cluster && agg && agg->type == DOC_MAP) {
		static struct str star[] = {STR_INIT("*")};
		struct rbac_rule *slot = ARENA_PUSH(r->a, list, n);
		if (slot)
			*slot = (struct rbac_rule){.verbs = star,
				.n_verbs = 1,
				.groups = star,
				.n_groups = 1,
				.resources = star,
				.n_resources = 1};
		slot = ARENA_PUSH(r->a, list, n);
		if (slot)
			*slot = (struct rbac_rule){
				.verbs = star, .n_verbs = 1, .urls = star, .n_urls = 1};
	}
	return check_rules(r, ns, list, n);
}

static enum step
check_binding(struct request *r, bool cluster)
{
	const struct doc *ref = doc_get(r->obj, STR("roleRef"));
	if (r->old && doc_equal(ref, doc_get(r->old, STR("roleRef"))) &&
		doc_equal(doc_get(r->obj, STR("subjects")), doc_get(r->old, STR("subjects"))))
		return STEP_NEXT;
	bool of_cluster = cluster || str_eq(doc_get_str(ref, STR("kind")), STR("ClusterRole"));
	struct str name = doc_get_str(ref, STR("name")), ns = cluster ? STR("") : r->ns;
	if (has_verb(r, "bind", of_cluster ? "clusterroles" : "roles", ns, name))
		return STEP_NEXT;
	const struct rbac_rule *rules = NULL;
	size_t n = 0;
	if (rbac_role_rules(r->worker, of_cluster, ns, name, &rules, &n) < 0)
		return request_fail_status(r,
			&(struct status_spec){.http = 404,
				.reason = R_NOT_FOUND,
				.name = name,
				.group = STR("rbac.authorization.k8s.io"),
				.kind = of_cluster ? STR("clusterroles") : STR("roles"),
				.message = arena_fmt(r->a,
					"%s.rbac.authorization.k8s.io \"" STR_FMT "\" not found",
					of_cluster ? "clusterroles" : "roles", STR_ARG(name))});
	return check_rules(r, ns, rules, n);
}

static const struct {
	struct str plural;
	enum step (*check)(struct request *r, bool cluster);
	bool cluster;
} checks[] = {
	{STR_INIT("roles"), check_role, false},
	{STR_INIT("clusterroles"), check_role, true},
	{STR_INIT("rolebindings"), check_binding, false},
	{STR_INIT("clusterrolebindings"), check_binding, true},
};

enum step
stage_escalation(struct request *r)
{
	if (r->sub || !str_eq(r->res->group, STR("rbac.authorization.k8s.io")) ||
		user_in_group(&r->user, STR("system:masters")))
		return STEP_NEXT;
	for (size_t i = 0; i < ARRAY_LEN(checks); i++)
		if (str_eq(r->res->plural, checks[i].plural))
			return checks[i].check(r, checks[i].cluster);
	return STEP_NEXT;
}
