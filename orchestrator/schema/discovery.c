/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * discovery: which groups, versions and resources there are, in the old form (a document a group and
 * version) and the aggregated one. Only kinds that are served appear; a subresource whose kind has another
 * group or version says so.
 * Source: meta/v1 APIGroupList, APIResourceList; apidiscovery.k8s.io/v2. */
#include "orchestrator/schema/json_out.h"
#include "orchestrator/schema/publish_int.h"

#include <stdio.h>

static const struct {
	uint32_t bit;
	const char *name;
} verbs[] = {
	{SCHEMA_CREATE, "create"},
	{SCHEMA_DELETE, "delete"},
	{SCHEMA_DELETECOLLECTION, "deletecollection"},
	{SCHEMA_GET, "get"},
	{SCHEMA_LIST_VERB, "list"},
	{SCHEMA_PATCH, "patch"},
	{SCHEMA_UPDATE, "update"},
	{SCHEMA_WATCH, "watch"},
};

static void
put_verbs(struct json_out *j, uint32_t bits)
{
	json_list(j, "verbs");
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (bits & verbs[i].bit)
			json_str(j, NULL, verbs[i].name);
	json_end_list(j);
}

static void
put_names(struct json_out *j, const char *key, const char *const *names)
{
	if (names == NULL || *names == NULL)
		return;
	json_list(j, key);
	for (; *names; names++)
		json_str(j, NULL, *names);
	json_end_list(j);
}

static bool
in_version(const struct schema_kind *k, const struct schema_group_version *g)
{
	return (k->flags & SCHEMA_KIND_SERVED) && strcmp(k->group, g->group) == 0 &&
		strcmp(k->version, g->version) == 0;
}

bool
schema_version_served(const struct schema *s, const struct schema_group_version *g)
{
	for (size_t i = 0; i < s->n_kinds; i++)
		if (in_version(s->kinds[i], g))
			return true;
	return false;
}

/* first_of_group: g is the preferred served version of its group. */
static bool
first_of_group(const struct schema *s, const struct schema_group_version *g)
{
	for (const struct schema_group_version *x = s->groups; x < g; x++)
		if (strcmp(x->group, g->group) == 0 && schema_version_served(s, x))
			return false;
	return schema_version_served(s, g);
}

/* ---- aggregated ---- */

static void
put_kind(struct json_out *j, const char *group, const char *version, const char *kind)
{
	json_object(j, "responseKind");
	json_str(j, "group", group);
	json_str(j, "version", version);
	json_str(j, "kind", kind);
	json_end_object(j);
}

static void
put_resource(struct json_out *j, const struct schema_kind *k)
{
	json_object(j, NULL);
	json_str(j, "resource", k->plural);
	put_kind(j, k->group, k->version, k->kind);
	json_str(j, "scope", k->namespaced ? "Namespaced" : "Cluster");
	json_str(j, "singularResource", k->singular);
	put_verbs(j, k->verbs);
	put_names(j, "shortNames", k->short_names);
	put_names(j, "categories", k->categories);
	if (k->n_subs) {
		json_list(j, "subresources");
		for (size_t i = 0; i < k->n_subs; i++) {
			json_object(j, NULL);
			json_str(j, "subresource", k->subs[i].name);
			put_kind(j, k->subs[i].group, k->subs[i].version, k->subs[i].kind);
			put_verbs(j, k->subs[i].verbs);
			json_end_object(j);
		}
		json_end_list(j);
	}
	json_end_object(j);
}

static void
put_group(struct json_out *j, const struct schema *s, const char *group)
{
	json_object(j, NULL);
	json_object(j, "metadata");
	if (group[0])
		json_str(j, "name", group);
	json_end_object(j);
	json_list(j, "versions");
	for (size_t g = 0; g < s->n_groups; g++) {
		if (strcmp(s->groups[g].group, group) != 0 ||
			!schema_version_served(s, &s->groups[g]))
			continue;
		json_object(j, NULL);
		json_str(j, "version", s->groups[g].version);
		json_list(j, "resources");
		for (size_t i = 0; i < s->n_kinds; i++)
			if (in_version(s->kinds[i], &s->groups[g]))
				put_resource(j, s->kinds[i]);
		json_end_list(j);
		json_str(j, "freshness", "Current");
		json_end_object(j);
	}
	json_end_list(j);
	json_end_object(j);
}

void
schema_discovery_aggregated(const struct schema *s, bool core, const char *version, struct buf *out)
{
	struct json_out j = {.b = out};

	json_object(&j, NULL);
	json_str(&j, "kind", "APIGroupDiscoveryList");
	json_str(&j, "apiVersion",
		strcmp(version, "v2") == 0 ? "apidiscovery.k8s.io/v2"
					   : "apidiscovery.k8s.io/v2beta1");
	json_raw(&j, "metadata", "{}");
	json_list(&j, "items");
	for (size_t g = 0; g < s->n_groups; g++)
		if (first_of_group(s, &s->groups[g]) && (s->groups[g].group[0] == 0) == core)
			put_group(&j, s, s->groups[g].group);
	json_end_list(&j);
	json_end_object(&j);
}

/* ---- legacy ---- */

void
schema_discovery_versions(const struct schema *s, struct str server, struct buf *out)
{
	struct json_out j = {.b = out};

	json_object(&j, NULL);
	json_str(&j, "kind", "APIVersions");
	json_list(&j, "versions");
	for (size_t g = 0; g < s->n_groups; g++)
		if (s->groups[g].group[0] == 0 && schema_version_served(s, &s->groups[g]))
			json_str(&j, NULL, s->groups[g].version);
	json_end_list(&j);
	json_list(&j, "serverAddressByClientCIDRs");
	json_object(&j, NULL);
	json_str(&j, "clientCIDR", "0.0.0.0/0");
	json_text(&j, "serverAddress", server);
	json_end_object(&j);
	json_end_list(&j);
	json_end_object(&j);
}

static void
group_version(struct json_out *j, const char *key, const struct schema_group_version *g)
{
	char text[320];

	snprintf(text, sizeof(text), "%s/%s", g->group, g->version);
	json_object(j, key);
	json_str(j, "groupVersion", text);
	json_str(j, "version", g->version);
	json_end_object(j);
}

/* group_body: name, versions, preferredVersion. first is the preferred version's row. */
static void
group_body(struct json_out *j, const struct schema *s, const struct schema_group_version *first)
{
	json_str(j, "name", first->group);
	json_list(j, "versions");
	for (size_t g = 0; g < s->n_groups; g++)
		if (strcmp(s->groups[g].group, first->group) == 0 &&
			schema_version_served(s, &s->groups[g]))
			group_version(j, NULL, &s->groups[g]);
	json_end_list(j);
	group_version(j, "preferredVersion", first);
}

void
schema_discovery_groups(const struct schema *s, struct buf *out)
{
	struct json_out j = {.b = out};

	json_object(&j, NULL);
	json_str(&j, "kind", "APIGroupList");
	json_str(&j, "apiVersion", "v1");
	json_list(&j, "groups");
	for (size_t g = 0; g < s->n_groups; g++) {
		if (s->groups[g].group[0] == 0 || !first_of_group(s, &s->groups[g]))
			continue;
		json_object(&j, NULL);
		group_body(&j, s, &s->groups[g]);
		json_end_object(&j);
	}
	json_end_list(&j);
	json_end_object(&j);
}

int
schema_discovery_group(const struct schema *s, struct str group, struct buf *out)
{
	struct json_out j = {.b = out};

	for (size_t g = 0; g < s->n_groups; g++) {
		if (group.n == 0 || !str_eq_c(group, s->groups[g].group) ||
			!first_of_group(s, &s->groups[g]))
			continue;
		json_object(&j, NULL);
		json_str(&j, "kind", "APIGroup");
		json_str(&j, "apiVersion", "v1");
		group_body(&j, s, &s->groups[g]);
		json_end_object(&j);
		return 0;
	}
	return -ENOENT;
}

static void
put_legacy_sub(struct json_out *j, const struct schema_kind *k, const struct schema_subresource *u)
{
	char name[320];

	snprintf(name, sizeof(name), "%s/%s", k->plural, u->name);
	json_object(j, NULL);
	json_str(j, "name", name);
	json_str(j, "singularName", "");
	json_bool(j, "namespaced", k->namespaced);
	if (strcmp(u->group, k->group) != 0 || strcmp(u->version, k->version) != 0) {
		if (u->group[0])
			json_str(j, "group", u->group);
		json_str(j, "version", u->version);
	}
	json_str(j, "kind", u->kind);
	put_verbs(j, u->verbs);
	json_end_object(j);
}

static void
put_legacy(struct json_out *j, const struct schema_kind *k)
{
	json_object(j, NULL);
	json_str(j, "name", k->plural);
	json_str(j, "singularName", k->singular);
	json_bool(j, "namespaced", k->namespaced);
	json_str(j, "kind", k->kind);
	put_verbs(j, k->verbs);
	put_names(j, "shortNames", k->short_names);
	put_names(j, "categories", k->categories);
	if (k->storage_hash && k->storage_hash[0])
		json_str(j, "storageVersionHash", k->storage_hash);
	json_end_object(j);
	for (size_t i = 0; i < k->n_subs; i++)
		put_legacy_sub(j, k, &k->subs[i]);
}

int
schema_discovery_resources(
	const struct schema *s, struct str group, struct str version, struct buf *out)
{
	struct json_out j = {.b = out};
	const struct schema_group_version *g = NULL;
	char text[320];

	for (size_t i = 0; i < s->n_groups; i++)
		if (str_eq_c(group, s->groups[i].group) && str_eq_c(version, s->groups[i].version))
			g = &s->groups[i];
	if (g == NULL || !schema_version_served(s, g))
		return -ENOENT;
	snprintf(text, sizeof(text), "%s%s%s", g->group, g->group[0] ? "/" : "", g->version);
	json_object(&j, NULL);
	json_str(&j, "kind", "APIResourceList");
	if (g->group[0])
		json_str(&j, "apiVersion", "v1");
	json_str(&j, "groupVersion", text);
	json_list(&j, "resources");
	for (size_t i = 0; i < s->n_kinds; i++)
		if (in_version(s->kinds[i], g))
			put_legacy(&j, s->kinds[i]);
	json_end_list(&j);
	json_end_object(&j);
	return 0;
}
