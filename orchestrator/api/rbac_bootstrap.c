/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * rbac_bootstrap: the rows of rbac_defaults as objects, and what is missing in one that exists: rules and
 * subjects are only ever added, and only where the autoupdate annotation says so.
 *
 * Source: Kubernetes RBAC (auto-reconciliation). */
#include "orchestrator/api/api_int.h"
#include "orchestrator/api/rbac_defaults.h"

static const char autoupdate[] = "rbac.authorization.kubernetes.io/autoupdate";

static struct doc *
words(struct arena *a, const char *list, char sep)
{
	struct doc *d = doc_list(a);
	struct str rest = str_c(list), w;
	while (d && str_next(&rest, sep, &w))
		doc_append(d, doc_str(a, w));
	return d;
}

static struct doc *
object_new(struct arena *a, const char *kind, const struct rbac_row *row)
{
	struct doc *d = doc_map(a), *meta = doc_map(a), *labels = doc_map(a), *notes = doc_map(a);
	if (!d || !meta || !labels || !notes)
		return NULL;
	doc_set_str(a, d, STR("apiVersion"), STR("rbac.authorization.k8s.io/v1"));
	doc_set_str(a, d, STR("kind"), str_c(kind));
	doc_set_str(a, meta, STR("name"), str_c(row->b));
	if (row->a[0])
		doc_set_str(a, meta, STR("namespace"), str_c(row->a));
	doc_set_str(a, labels, STR("kubernetes.io/bootstrapping"), STR("rbac-defaults"));
	doc_set_str(a, notes, str_c(autoupdate), STR("true"));
	doc_set(meta, STR("annotations"), notes);
	doc_set(meta, STR("labels"), labels);
	doc_set(d, STR("metadata"), meta);
	return d;
}

static struct doc *
rule_doc(struct arena *a, const struct rbac_row *row)
{
	struct doc *d = doc_map(a);
	if (!d)
		return NULL;
	if (row->kind == RBAC_URLS) {
		doc_set(d, STR("verbs"), words(a, row->b, ','));
		doc_set(d, STR("nonResourceURLs"), words(a, row->a, ','));
		return d;
	}
	doc_set(d, STR("verbs"), words(a, row->d, ','));
	doc_set(d, STR("apiGroups"), words(a, row->a, ','));
	doc_set(d, STR("resources"), words(a, row->b, ','));
	if (row->c[0])
		doc_set(d, STR("resourceNames"), words(a, row->c, ','));
	return d;
}

static struct str
aggregate_label(struct arena *a, const char *to)
{
	return arena_fmt(a, "rbac.authorization.k8s.io/aggregate-to-%s", to);
}

/* aggregationRule: {clusterRoleSelectors: [{matchLabels: {aggregate-to-x: "true"}}]} */
static void
aggregation_set(struct arena *a, struct doc *role, const char *what)
{
	struct doc *rule = doc_map(a), *list = doc_list(a), *sel = doc_map(a), *labels = doc_map(a);
	if (!rule || !list || !sel || !labels)
		return;
	doc_set_str(a, labels, aggregate_label(a, what), STR("true"));
	doc_set(sel, STR("matchLabels"), labels);
	doc_append(list, sel);
	doc_set(rule, STR("clusterRoleSelectors"), list);
	doc_set(role, STR("aggregationRule"), rule);
}

static struct doc *
role_doc(struct arena *a, size_t at)
{
	const struct rbac_row *row = &rbac_defaults[at];
	struct doc *d = object_new(a, row->a[0] ? "Role" : "ClusterRole", row);
	struct doc *rules = doc_list(a);
	if (!d || !rules)
		return NULL;
	if (row->c[0])
		doc_set_str(a, doc_get(meta_of(d), STR("labels")), aggregate_label(a, row->c),
			STR("true"));
	if (row->d[0])
		aggregation_set(a, d, row->d);
	for (size_t i = at + 1; i < rbac_defaults_n; i++) {
		if (rbac_defaults[i].kind != RBAC_RULE && rbac_defaults[i].kind != RBAC_URLS)
			break;
		struct doc *rule = rule_doc(a, &rbac_defaults[i]);
		if (rule)
			doc_append(rules, rule);
	}
	doc_set(d, STR("rules"), rules);
	return d;
}

static struct doc *
subject_doc(struct arena *a, struct str text)
{
	struct doc *d = doc_map(a);
	struct str kind, name, ns, rest;
	if (!d || !str_cut(text, ':', &kind, &name))
		return NULL;
	doc_set_str(a, d, STR("kind"), kind);
	if (str_eq(kind, STR("ServiceAccount")) && str_cut(name, '/', &ns, &rest)) {
		doc_set_str(a, d, STR("name"), rest);
		doc_set_str(a, d, STR("namespace"), ns);
		return d;
	}
	doc_set_str(a, d, STR("apiGroup"), STR("rbac.authorization.k8s.io"));
	doc_set_str(a, d, STR("name"), name);
	return d;
}

static struct doc *
binding_doc(struct arena *a, const struct rbac_row *row)
{
	struct doc *d = object_new(a, row->a[0] ? "RoleBinding" : "ClusterRoleBinding", row);
	struct doc *ref = doc_map(a), *subjects = doc_list(a);
	struct str kind, name, rest = str_c(row->d), one;
	if (!d || !ref || !subjects || !str_cut(str_c(row->c), ':', &kind, &name))
		return NULL;
	doc_set_str(a, ref, STR("apiGroup"), STR("rbac.authorization.k8s.io"));
	doc_set_str(a, ref, STR("kind"), kind);
	doc_set_str(a, ref, STR("name"), name);
	doc_set(d, STR("roleRef"), ref);
	while (rest.n && str_next(&rest, ';', &one)) {
		struct doc *s = subject_doc(a, one);
		if (s)
			doc_append(subjects, s);
	}
	doc_set(d, STR("subjects"), subjects);
	return d;
}

void
rbac_bootstrap_objects(struct arena *a,
	void (*fn)(void *arg, const char *resource, struct str ns, struct doc *obj), void *arg)
{
	for (size_t i = 0; i < rbac_defaults_n; i++) {
		const struct rbac_row *row = &rbac_defaults[i];
		struct doc *d = NULL;
		const char *resource = NULL;
		if (row->kind == RBAC_ROLE) {
			d = role_doc(a, i);
			resource = row->a[0] ? "roles" : "clusterroles";
		} else if (row->kind == RBAC_BINDING) {
			d = binding_doc(a, row);
			resource = row->a[0] ? "rolebindings" : "clusterrolebindings";
		}
		if (d)
			fn(arg, resource, str_c(row->a), d);
	}
}

/* Adds the items of want[key] that have no equal in have[key]; true when there were some. */
static bool
add_missing(struct arena *a, struct doc *have, const struct doc *want, struct str key)
{
	bool added = false;
	DOC_EACH (w, doc_get(want, key)) {
		bool there = false;
		DOC_EACH (h, doc_get(have, key))
			there = there || doc_equal(h, w);
		struct doc *list = there ? NULL : doc_ensure_list(a, have, key);
		if (!list)
			continue;
		doc_append(list, doc_copy(a, w));
		added = true;
	}
	return added;
}

bool
rbac_bootstrap_merge(struct arena *a, struct doc *have, const struct doc *want)
{
	struct str note = doc_get_str(
		doc_get(meta_of(have), STR("annotations")), str_c(autoupdate));
	if (!str_eq(note, STR("true")))
		return false;
	if (doc_get(want, STR("roleRef")))
		return doc_equal(doc_get(have, STR("roleRef")), doc_get(want, STR("roleRef"))) &&
			add_missing(a, have, want, STR("subjects"));
	if (doc_get(want, STR("aggregationRule"))) {
		const struct doc *rule = doc_get(want, STR("aggregationRule"));
		if (doc_get(have, STR("aggregationRule")))
			return false;
		doc_set(have, STR("aggregationRule"), doc_copy(a, rule));
		return true;
	}
	return add_missing(a, have, want, STR("rules"));
}
