/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * rbac: the RBAC authorizer: roles and bindings as compact rows, kept by each worker for itself.
 *
 * Bindings of one namespace (and the cluster's) are a list of their own; a decision walks the lists of
 * the cluster and of the request's namespace, and of each binding that names the user the rules of its
 * role. Deny is not known: rules only allow.
 * Source: Kubernetes RBAC (rules, subjects, aggregation); k8s.io/kubernetes pkg/registry/rbac/validation. */
#include "orchestrator/api/api_int.h"

#include <stdlib.h>

struct subject {
	enum { SUBJECT_USER, SUBJECT_GROUP, SUBJECT_ACCOUNT } kind;
	struct str ns, name;
};
struct role {
	struct arena *a;
	struct rbac_rule *rules;
	size_t n_rules;
};
struct binding {
	struct arena *a;
	struct str key; /* "ns/name" */
	struct subject *subjects;
	size_t n_subjects;
	bool cluster_role;
	struct str role;
};
/* The bindings of one namespace; "" = the cluster's. */
struct binding_list {
	struct map by_name; /* name -> struct binding */
};
struct role_kind {
	struct rbac_cache *rc;
	struct cache *cache;
	bool bindings;
	struct map map; /* roles: "ns/name" -> role; bindings: ns -> binding_list */
};
enum { ROLES, CLUSTER_ROLES, BINDINGS, CLUSTER_BINDINGS, N_KINDS };
struct rbac_cache {
	struct role_kind kinds[N_KINDS];
};

/* ---- rules ----------------------------------------------------------------------------------------- */

static void
strings(struct arena *a, const struct doc *list, struct str **ret, size_t *ret_n)
{
	*ret = doc_len(list) ? ARENA_ARRAY(a, struct str, doc_len(list)) : NULL;
	DOC_EACH (x, list)
		if (*ret)
			(*ret)[(*ret_n)++] = arena_str(a, doc_as_str(x));
}

void
rbac_rule_parse(struct arena *a, const struct doc *d, struct rbac_rule *ret)
{
	*ret = (struct rbac_rule){0};
	strings(a, doc_get(d, STR("verbs")), &ret->verbs, &ret->n_verbs);
	strings(a, doc_get(d, STR("apiGroups")), &ret->groups, &ret->n_groups);
	strings(a, doc_get(d, STR("resources")), &ret->resources, &ret->n_resources);
	strings(a, doc_get(d, STR("resourceNames")), &ret->names, &ret->n_names);
	strings(a, doc_get(d, STR("nonResourceURLs")), &ret->urls, &ret->n_urls);
}

static bool
has(const struct str *list, size_t n, struct str s, bool star)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(list[i], s) || (star && str_eq(list[i], STR("*"))))
			return true;
	return false;
}

/* A rule names "pods", "pods/log", all resources, or one subresource of all. */
static bool
resource_matches(const struct rbac_rule *rule, struct str resource, struct str sub)
{
	for (size_t i = 0; i < rule->n_resources; i++) {
		struct str x = rule->resources[i], head, tail;
		if (str_eq(x, STR("*")))
			return true;
		bool cut = str_cut(x, '/', &head, &tail);
		if (sub.n == 0 ? (!cut && str_eq(x, resource))
			       : (cut && str_eq(tail, sub) &&
					 (str_eq(head, resource) || str_eq(head, STR("*")))))
			return true;
	}
	return false;
}

static bool
url_matches(const struct rbac_rule *rule, struct str path)
{
	for (size_t i = 0; i < rule->n_urls; i++) {
		struct str u = rule->urls[i];
		if (str_eq(u, STR("*")) || str_eq(u, path))
			return true;
		if (u.n && u.p[u.n - 1] == '*' && str_starts(path, str_sub(u, 0, u.n - 1)))
			return true;
	}
	return false;
}

bool
rbac_rule_allows(const struct rbac_rule *rule, const struct authz_attrs *at)
{
	if (!has(rule->verbs, rule->n_verbs, at->verb, true))
		return false;
	if (!at->is_resource)
		return url_matches(rule, at->path);
	if (!has(rule->groups, rule->n_groups, at->group, true) ||
		!resource_matches(rule, at->resource, at->subresource))
		return false;
	return rule->n_names == 0 ||
		(at->name.n && has(rule->names, rule->n_names, at->name, false));
}

/* ---- keeping --------------------------------------------------------------------------------------- */

static void
role_free(struct role *role)
{
	if (role)
		arena_free(role->a);
}

static void
binding_free(struct binding *b)
{
	if (b)
		arena_free(b->a);
}

static struct str
role_key(struct store_key key, char buf[512])
{
	if (key.ns.n + key.name.n + 1 > 512)
		return STR_NONE;
	if (key.ns.n)
		memcpy(buf, key.ns.p, key.ns.n);
	buf[key.ns.n] = '/';
	if (key.name.n)
		memcpy(buf + key.ns.n + 1, key.name.p, key.name.n);
	return str_from(buf, key.ns.n + key.name.n + 1);
}

static struct role *
role_make(struct arena *a, const struct doc *d)
{
	const struct doc *rules = doc_get(d, STR("rules"));
	struct role *role = ARENA_NEW(a, struct role);
	if (!role)
		return NULL;
	role->a = a;
	role->rules = doc_len(rules) ? ARENA_ARRAY(a, struct rbac_rule, doc_len(rules)) : NULL;
	DOC_EACH (x, rules)
		if (role->rules)
			rbac_rule_parse(a, x, &role->rules[role->n_rules++]);
	return role;
}

static struct binding *
binding_make(struct arena *a, struct store_key key, const struct doc *d)
{
	static const struct str kinds[] = {
		STR_INIT("User"), STR_INIT("Group"), STR_INIT("ServiceAccount")};
	const struct doc *ref = doc_get(d, STR("roleRef")), *subjects = doc_get(d, STR("subjects"));
	struct binding *b = ARENA_NEW(a, struct binding);
	if (!b)
		return NULL;
	b->a = a;
	b->cluster_role = str_eq(doc_get_str(ref, STR("kind")), STR("ClusterRole"));
	b->role = arena_str(a, doc_get_str(ref, STR("name")));
	b->key = arena_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(key.ns), STR_ARG(key.name));
	b->subjects = doc_len(subjects) ? ARENA_ARRAY(a, struct subject, doc_len(subjects)) : NULL;
	DOC_EACH (x, subjects) {
		for (size_t i = 0; b->subjects && i < ARRAY_LEN(kinds); i++) {
			if (!str_eq(doc_get_str(x, STR("kind")), kinds[i]))
				continue;
			struct subject *s = &b->subjects[b->n_subjects++];
			struct str ns = doc_get_str(x, STR("namespace"));
			s->kind = (int)i;
			s->name = arena_str(a, doc_get_str(x, STR("name")));
			s->ns = arena_str(a, ns.n ? ns : key.ns);
		}
	}
	return b;
}

static struct binding_list *
list_ensure(struct role_kind *k, struct str ns)
{
	struct binding_list *list = map_get(&k->map, ns);
	if (!list && (list = calloc(1, sizeof(*list))) != NULL) {
		map_init(&list->by_name);
		if (map_put(&k->map, ns, list, NULL) < 0) {
			free(list);
			list = NULL;
		}
	}
	return list;
}

/* row_make: from a tree, in a. NULL = the arena failed. */
static void *
row_make(struct role_kind *k, struct arena *a, struct store_key key, const struct doc *d)
{
	void *row = k->bindings ? (void *)binding_make(a, key, d) : (void *)role_make(a, d);
	return arena_failed(a) ? NULL : row;
}

static void
row_keep(struct role_kind *k, struct store_key key, struct arena *a, void *row)
{
	char buf[512];
	void *old = NULL;
	struct binding_list *list = k->bindings ? list_ensure(k, key.ns) : NULL;
	struct str name = k->bindings ? key.name : role_key(key, buf);
	struct map *to = !k->bindings ? &k->map : list ? &list->by_name : NULL;
	if (!row || !to || !str_is_set(name) || map_put(to, name, row, &old) < 0) {
		arena_free(a);
		return;
	}
	if (k->bindings)
		binding_free(old);
	else
		role_free(old);
}

/* Made once to see how large it is, then to stay: every worker keeps all of them. */
static void
kind_put(void *arg, struct store_key key, struct str body)
{
	struct role_kind *k = arg;
	struct arena *scratch = arena_new(0);
	struct doc *d = NULL;
	if (scratch && doc_parse_json(scratch, body, NULL, &d, NULL) == 0) {
		size_t before = arena_used(scratch);
		row_make(k, scratch, key, d);
		struct arena *a = arena_new_fit(arena_used(scratch) - before);
		if (a)
			row_keep(k, key, a, row_make(k, a, key, d));
	}
	arena_free(scratch);
}

static void
kind_del(void *arg, struct store_key key)
{
	struct role_kind *k = arg;
	char buf[512];
	if (!k->bindings) {
		role_free(map_del(&k->map, role_key(key, buf)));
		return;
	}
	struct binding_list *list = map_get(&k->map, key.ns);
	if (list)
		binding_free(map_del(&list->by_name, key.name));
}

static void
kind_reset(void *arg)
{
	struct role_kind *k = arg;
	size_t pos = 0, at = 0;
	struct str key;
	void *v, *b;
	while (map_next(&k->map, &pos, &key, &v)) {
		if (!k->bindings) {
			role_free(v);
			continue;
		}
		struct binding_list *list = v;
		at = 0;
		while (map_next(&list->by_name, &at, &key, &b))
			binding_free(b);
		map_release(&list->by_name);
		free(list);
	}
	map_release(&k->map);
	map_init(&k->map);
}

static const struct cache_fns kind_fns = {kind_put, kind_del, kind_reset};

static struct rbac_cache *
rbac_of(struct api_worker *w)
{
	static const struct {
		struct str resource;
		bool bindings;
	} kinds[N_KINDS] = {
		[ROLES] = {STR_INIT("roles"), false},
		[CLUSTER_ROLES] = {STR_INIT("clusterroles"), false},
		[BINDINGS] = {STR_INIT("rolebindings"), true},
		[CLUSTER_BINDINGS] = {STR_INIT("clusterrolebindings"), true},
	};
	if (!w->rbac) {
		struct rbac_cache *rc = calloc(1, sizeof(*rc));
		if (!rc)
			return NULL;
		for (size_t i = 0; i < N_KINDS; i++) {
			struct role_kind *k = &rc->kinds[i];
			k->rc = rc;
			k->bindings = kinds[i].bindings;
			map_init(&k->map);
			k->cache = cache_new(w,
				api_resource_find(w->s, STR("rbac.authorization.k8s.io"), STR("v1"),
					kinds[i].resource),
				&kind_fns, k);
			if (!k->cache) {
				rbac_cache_free(rc);
				return NULL;
			}
		}
		w->rbac = rc;
	}
	for (size_t i = 0; i < N_KINDS; i++)
		if (cache_sync(w->rbac->kinds[i].cache) < 0)
			return NULL;
	return w->rbac;
}

void
rbac_cache_free(struct rbac_cache *rc)
{
	if (!rc)
		return;
	for (size_t i = 0; i < N_KINDS; i++) {
		cache_free(rc->kinds[i].cache);
		kind_reset(&rc->kinds[i]);
		map_release(&rc->kinds[i].map);
	}
	free(rc);
}

/* ---- asking ---------------------------------------------------------------------------------------- */

static bool
subject_is(const struct subject *s, const struct user *u)
{
	struct str ns, name;
	switch (s->kind) {
	case SUBJECT_USER:
		return str_eq(s->name, u->name);
	case SUBJECT_GROUP:
		return user_in_group(u, s->name);
	case SUBJECT_ACCOUNT:
		return user_service_account(u, &ns, &name) && str_eq(ns, s->ns) &&
			str_eq(name, s->name);
	}
	return false;
}

static bool
names_user(const struct binding *b, const struct user *u)
{
	for (size_t i = 0; i < b->n_subjects; i++)
		if (subject_is(&b->subjects[i], u))
			return true;
	return false;
}

static const struct role *
role_of(const struct rbac_cache *rc, bool cluster, struct str ns, struct str name)
{
	char buf[512];
	struct str key = role_key((struct store_key){0, cluster ? STR("") : ns, name}, buf);
	return str_is_set(key) ? map_get(&rc->kinds[cluster ? CLUSTER_ROLES : ROLES].map, key)
			       : NULL;
}

/* Calls fn for each binding of a list that names u; fn true stops. */
static bool
each_binding(const struct rbac_cache *rc, bool cluster, struct str ns, const struct user *u,
	bool (*fn)(void *arg, const struct binding *b, const struct role *role), void *arg)
{
	const struct binding_list *list = map_get(
		&rc->kinds[cluster ? CLUSTER_BINDINGS : BINDINGS].map, cluster ? STR("") : ns);
	size_t pos = 0;
	struct str key;
	void *v;
	while (list && map_next(&list->by_name, &pos, &key, &v)) {
		const struct binding *b = v;
		if (!names_user(b, u))
			continue;
		const struct role *role = role_of(rc, b->cluster_role || cluster, ns, b->role);
		if (role && fn(arg, b, role))
			return true;
	}
	return false;
}

struct ask {
	const struct authz_attrs *at;
	const struct binding *by;
	const struct role *role;
};

static bool
ask_binding(void *arg, const struct binding *b, const struct role *role)
{
	struct ask *q = arg;
	for (size_t i = 0; i < role->n_rules; i++) {
		if (!rbac_rule_allows(&role->rules[i], q->at))
			continue;
		q->by = b;
		q->role = role;
		return true;
	}
	return false;
}

bool
rbac_allows(
	struct api_worker *w, struct arena *a, const struct authz_attrs *at, struct str *ret_why)
{
	const struct rbac_cache *rc = rbac_of(w);
	struct ask q = {.at = at};
	if (!rc)
		return false;
	bool cluster = each_binding(rc, true, STR(""), at->user, ask_binding, &q);
	if (!cluster &&
		!(at->is_resource && at->ns.n &&
			each_binding(rc, false, at->ns, at->user, ask_binding, &q)))
		return false;
	if (ret_why)
		*ret_why = arena_fmt(a, "RBAC: allowed by %s \"" STR_FMT "\" of %s \"" STR_FMT "\"",
			cluster ? "ClusterRoleBinding" : "RoleBinding",
			STR_ARG(cluster ? str_sub(q.by->key, 1, SIZE_MAX) : q.by->key),
			q.by->cluster_role || cluster ? "ClusterRole" : "Role",
			STR_ARG(q.by->role));
	return true;
}

struct each_rule {
	void (*fn)(void *arg, const struct rbac_rule *rule);
	void *arg;
};

static bool
each_rule_of(void *arg, const struct binding *b, const struct role *role)
{
	(void)b;
	struct each_rule *er = arg;
	for (size_t i = 0; i < role->n_rules; i++)
		er->fn(er->arg, &role->rules[i]);
	return false;
}

void
rbac_rules_for(struct api_worker *w, const struct user *u, struct str ns,
	void (*fn)(void *arg, const struct rbac_rule *rule), void *arg)
{
	const struct rbac_cache *rc = rbac_of(w);
	struct each_rule er = {fn, arg};
	if (!rc)
		return;
	each_binding(rc, true, STR(""), u, each_rule_of, &er);
	if (ns.n)
		each_binding(rc, false, ns, u, each_rule_of, &er);
}

int
rbac_role_rules(struct api_worker *w, bool cluster, struct str ns, struct str name,
	const struct rbac_rule **ret, size_t *ret_n)
{
	const struct rbac_cache *rc = rbac_of(w);
	const struct role *role = rc ? role_of(rc, cluster, ns, name) : NULL;
	if (!role)
		return -ENOENT;
	*ret = role->rules;
	*ret_n = role->n_rules;
	return 0;
}
