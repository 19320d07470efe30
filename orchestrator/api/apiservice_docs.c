/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * apiservice_docs: what aggregated servers say of themselves, taken apart (only members that are known, only where they
 * have the right type), and put into the documents of this server: groups by priority, then name; versions by priority,
 * then as versions are compared.
 *
 * Both forms of discovery are lists of groups with a list `versions` of maps with a `version`; that is all the order
 * needs.
 * Source: k8s.io/kube-aggregator pkg/apiserver (handler_apis), k8s.io/apiserver endpoints/discovery/aggregated. */
#include "orchestrator/api/apiservice.h"

#include <stdlib.h>

#define OWN_PRIORITY 20001 /* of the group of APIServices: it is the first */

/* ---- what they say --------------------------------------------------------------------------------- */

static void
take_text(struct arena *a, struct doc *to, const struct doc *from, const char *name)
{
	const struct doc *v = doc_get(from, str_c(name));
	if (v && v->type == DOC_STR && !v->raw)
		doc_set_str(a, to, str_c(name), doc_as_str(v));
}

static void
take_texts(struct arena *a, struct doc *to, const struct doc *from, const char *name)
{
	struct doc *list = NULL;
	DOC_EACH (v, doc_get(from, str_c(name))) {
		if (!list && !(list = doc_list(a)))
			return;
		if (v->type == DOC_STR)
			doc_append(list, doc_str(a, doc_as_str(v)));
	}
	if (list)
		doc_set(to, str_c(name), list);
}

/* kind_of: a GroupVersionKind; what is not said is of the group and version itself. */
static struct doc *
kind_of(struct arena *a, const struct doc *from, struct str group, struct str version)
{
	struct doc *d = doc_map(a);
	struct str g = doc_get_str(from, STR("group")), v = doc_get_str(from, STR("version"));
	if (!d)
		return NULL;
	doc_set_str(a, d, STR("group"), v.n || g.n ? g : group);
	doc_set_str(a, d, STR("version"), v.n ? v : version);
	doc_set_str(a, d, STR("kind"), doc_get_str(from, STR("kind")));
	return d;
}

static void
take_kind(struct arena *a, struct doc *to, const struct doc *from)
{
	struct doc *d = doc_map(a);
	static const char *const members[] = {"group", "version", "kind"};
	for (size_t i = 0; d && i < ARRAY_LEN(members); i++)
		doc_set_str(a, d, str_c(members[i]), doc_get_str(from, str_c(members[i])));
	if (d)
		doc_set(to, STR("responseKind"), d);
}

static struct doc *
aggregated_resource(struct arena *a, const struct doc *from)
{
	struct doc *d = doc_map(a), *subs = NULL, *one;
	if (!d || !doc_get_str(from, STR("resource")).n)
		return NULL;
	take_text(a, d, from, "resource");
	take_kind(a, d, doc_get(from, STR("responseKind")));
	take_text(a, d, from, "scope");
	take_text(a, d, from, "singularResource");
	take_texts(a, d, from, "verbs");
	take_texts(a, d, from, "shortNames");
	take_texts(a, d, from, "categories");
	DOC_EACH (s, doc_get(from, STR("subresources"))) {
		if (!doc_get_str(s, STR("subresource")).n || !(one = doc_map(a)))
			continue;
		take_text(a, one, s, "subresource");
		take_kind(a, one, doc_get(s, STR("responseKind")));
		take_texts(a, one, s, "verbs");
		if (!subs && !(subs = doc_list(a)))
			return NULL;
		doc_append(subs, one);
	}
	if (subs)
		doc_set(d, STR("subresources"), subs);
	return d;
}

static struct doc *
resource_find(struct doc *list, struct str name)
{
	DOC_EACH (x, list)
		if (str_eq(doc_get_str(x, STR("resource")), name))
			return x;
	return NULL;
}

static void
legacy_add(struct arena *a, struct doc *list, const struct doc *from, struct str group,
	struct str version, bool subs)
{
	struct str name = doc_get_str(from, STR("name")), of, sub;
	bool is_sub = str_cut(name, '/', &of, &sub);
	struct doc *d = doc_map(a), *parent;
	if (!d || !name.n || is_sub != subs)
		return;
	if (!is_sub) {
		doc_set_str(a, d, STR("resource"), name);
		doc_set(d, STR("responseKind"), kind_of(a, from, group, version));
		doc_set_str(a, d, STR("scope"),
			doc_get_bool(from, STR("namespaced"), false) ? STR("Namespaced")
								     : STR("Cluster"));
		doc_set_str(a, d, STR("singularResource"), doc_get_str(from, STR("singularName")));
		take_texts(a, d, from, "verbs");
		take_texts(a, d, from, "shortNames");
		take_texts(a, d, from, "categories");
		doc_append(list, d);
		return;
	}
	if (!(parent = resource_find(list, of)))
		return;
	doc_set_str(a, d, STR("subresource"), sub);
	doc_set(d, STR("responseKind"), kind_of(a, from, group, version));
	take_texts(a, d, from, "verbs");
	struct doc *all = doc_get(parent, STR("subresources"));
	if (!all && (all = doc_list(a)) != NULL)
		doc_set(parent, STR("subresources"), all);
	if (all)
		doc_append(all, d);
}

struct doc *
apiservice_resources(
	struct arena *a, const struct doc *d, bool aggregated, struct str group, struct str version)
{
	struct doc *list = doc_list(a), *x;
	const struct doc *from = NULL;
	if (!list)
		return NULL;
	if (!aggregated) {
		if (!str_eq_c(doc_get_str(d, STR("kind")), "APIResourceList"))
			return NULL;
		DOC_EACH (r, doc_get(d, STR("resources")))
			legacy_add(a, list, r, group, version, false);
		DOC_EACH (r, doc_get(d, STR("resources")))
			legacy_add(a, list, r, group, version, true);
		return list;
	}
	DOC_EACH (g, doc_get(d, STR("items")))
		DOC_EACH (v, doc_get(g, STR("versions")))
			if (str_eq(doc_get_str(doc_get(g, STR("metadata")), STR("name")), group) &&
				str_eq(doc_get_str(v, STR("version")), version))
				from = v;
	DOC_EACH (r, doc_get(from, STR("resources")))
		if ((x = aggregated_resource(a, r)) != NULL)
			doc_append(list, x);
	return from ? list : NULL;
}

struct str
apiservice_openapi_hash(struct arena *a, const struct doc *d, struct str group, struct str version)
{
	struct str path = arena_fmt(
		a, "apis/" STR_FMT "/" STR_FMT, STR_ARG(group), STR_ARG(version));
	struct str url = doc_get_str(
		doc_get(doc_get(d, STR("paths")), path), STR("serverRelativeURL"));
	struct str want = arena_fmt(a, "/openapi/v3/" STR_FMT "?hash=", STR_ARG(path));
	struct str hash = str_starts(url, want) ? str_sub(url, want.n, SIZE_MAX) : STR("");
	for (size_t i = 0; i < hash.n; i++) {
		char c = hash.p[i];
		bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			(c >= 'A' && c <= 'Z');
		if (!plain || hash.n > 128)
			return STR("");
	}
	return hash;
}

/* ---- the order ------------------------------------------------------------------------------------- */

static const struct foreign_doc *
find(const struct foreign_docs *f, struct str group, struct str version)
{
	for (size_t i = 0; i < f->n; i++)
		if (str_eq(f->v[i].group, group) && str_eq(f->v[i].version, version))
			return &f->v[i];
	return NULL;
}

static void
priority_of(const struct foreign_docs *f, struct str group, struct str version, int *ret_group,
	int *ret_version)
{
	const struct foreign_doc *d = find(f, group, version);
	if (d) {
		*ret_group = d->of_group;
		*ret_version = d->of_version;
	} else if (str_eq_c(group, APISERVICE_GROUP)) {
		*ret_group = OWN_PRIORITY;
		*ret_version = 0;
	} else if (!apiservice_priority(group, version, ret_group, ret_version)) {
		*ret_group = APISERVICE_CUSTOM_GROUP;
		*ret_version = APISERVICE_CUSTOM_VERSION;
	}
}

/* An item of a list that is put in order. */
struct place {
	struct doc *item;
	struct str name;
	int priority;
	bool version; /* it is one: equal ones stand as versions are compared */
};

static int
by_priority(const void *x, const void *y)
{
	const struct place *a = x, *b = y;
	if (a->priority != b->priority)
		return a->priority > b->priority ? -1 : 1;
	return a->version ? schema_version_compare(a->name, b->name) : str_cmp(a->name, b->name);
}

static void
place_all(struct doc *list, struct place *p, size_t n)
{
	if (n)
		qsort(p, n, sizeof(*p), by_priority);
	for (size_t i = 0; i < n; i++) {
		doc_remove(list, p[i].item);
		p[i].item->next = NULL;
		doc_append(list, p[i].item);
	}
}

static struct str
name_of(const struct doc *group)
{
	const struct doc *meta = doc_get(group, STR("metadata"));
	return doc_get_str(meta ? meta : group, STR("name"));
}

static void
versions_order(const struct foreign_docs *f, struct arena *a, struct doc *group)
{
	struct doc *list = doc_get(group, STR("versions"));
	struct place *p = ARENA_ARRAY(a, struct place, doc_len(list));
	size_t n = 0;
	int of_group = 0;
	DOC_EACH (v, list) {
		if (!p)
			return;
		p[n] = (struct place){
			.item = v, .name = doc_get_str(v, STR("version")), .version = true};
		priority_of(f, name_of(group), p[n].name, &of_group, &p[n].priority);
		n++;
	}
	place_all(list, p, n);
}

static void
groups_order(const struct foreign_docs *f, struct arena *a, struct doc *list)
{
	struct place *p = ARENA_ARRAY(a, struct place, doc_len(list));
	size_t n = 0;
	DOC_EACH (g, list) {
		if (!p)
			return;
		p[n] = (struct place){.item = g, .name = name_of(g)};
		DOC_EACH (v, doc_get(g, STR("versions"))) {
			int of_group = 0, of_version = 0;
			priority_of(f, p[n].name, doc_get_str(v, STR("version")), &of_group,
				&of_version);
			if (of_group > p[n].priority)
				p[n].priority = of_group;
		}
		n++;
	}
	place_all(list, p, n);
}

/* ---- merging --------------------------------------------------------------------------------------- */

static struct doc *
version_new(struct arena *a, const struct foreign_doc *d, bool aggregated)
{
	struct doc *v = doc_map(a);
	if (!v)
		return NULL;
	if (!aggregated) {
		doc_set_str(a, v, STR("groupVersion"),
			arena_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(d->group), STR_ARG(d->version)));
		doc_set_str(a, v, STR("version"), d->version);
		return v;
	}
	doc_set_str(a, v, STR("version"), d->version);
	if (d->resources.n)
		doc_set(v, STR("resources"), doc_raw(a, d->resources));
	doc_set_str(a, v, STR("freshness"), d->stale ? STR("Stale") : STR("Current"));
	return v;
}

static struct doc *
group_new(struct arena *a, struct str name, bool aggregated)
{
	struct doc *g = doc_map(a), *meta = aggregated ? doc_map(a) : g, *list = doc_list(a);
	if (!g || !meta || !list)
		return NULL;
	doc_set_str(a, meta, STR("name"), name);
	if (aggregated)
		doc_set(g, STR("metadata"), meta);
	doc_set(g, STR("versions"), list);
	return g;
}

/* version_put: the group has it; where both serve it, the other server's counts. */
static void
version_put(struct arena *a, struct doc *group, const struct foreign_doc *d, bool aggregated)
{
	struct doc *list = doc_get(group, STR("versions")), *v = version_new(a, d, aggregated);
	DOC_EACH (x, list)
		if (str_eq(doc_get_str(x, STR("version")), d->version)) {
			if (d->local || !aggregated)
				return;
			doc_remove(list, x);
			break;
		}
	if (v)
		doc_append(list, v);
}

static void
preferred_set(struct arena *a, struct doc *group)
{
	const struct doc *first = doc_index(doc_get(group, STR("versions")), 0);
	struct doc *copy = first ? doc_copy(a, first) : NULL;
	if (copy)
		doc_set(group, STR("preferredVersion"), copy);
}

static void
groups_merge(const struct foreign_docs *f, struct arena *a, struct doc *list, bool aggregated)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct foreign_doc *d = &f->v[i];
		struct doc *group = NULL;
		if (!d->group.n || (d->local && aggregated))
			continue;
		DOC_EACH (g, list)
			if (str_eq(name_of(g), d->group))
				group = g;
		if (!group && (group = group_new(a, d->group, aggregated)) != NULL)
			doc_append(list, group);
		if (!group)
			return;
		version_put(a, group, d, aggregated);
		versions_order(f, a, group);
		if (!aggregated)
			preferred_set(a, group);
	}
	groups_order(f, a, list);
}

static int
group_merge(const struct foreign_docs *f, struct arena *a, struct str name, struct doc **d)
{
	bool any = *d != NULL;
	if (!*d) {
		*d = doc_map(a);
		if (!*d)
			return -ENOMEM;
		doc_set_str(a, *d, STR("kind"), STR("APIGroup"));
		doc_set_str(a, *d, STR("apiVersion"), STR("v1"));
		doc_set_str(a, *d, STR("name"), name);
		doc_set(*d, STR("versions"), doc_list(a));
	}
	for (size_t i = 0; i < f->n; i++)
		if (name.n && str_eq(f->v[i].group, name)) {
			version_put(a, *d, &f->v[i], false);
			any = true;
		}
	versions_order(f, a, *d);
	preferred_set(a, *d);
	return any ? 0 : -ENOENT;
}

static void
openapi_merge(const struct foreign_docs *f, struct arena *a, struct doc *d)
{
	struct doc *paths = doc_ensure_map(a, d, STR("paths")), *one;
	for (size_t i = 0; paths && i < f->n; i++) {
		const struct foreign_doc *x = &f->v[i];
		if (x->local || !x->group.n)
			continue;
		struct str path = arena_fmt(
			a, "apis/" STR_FMT "/" STR_FMT, STR_ARG(x->group), STR_ARG(x->version));
		doc_set(paths, path, NULL);
		if (!x->hash.n || !(one = doc_map(a)))
			continue;
		doc_set_str(a, one, STR("serverRelativeURL"),
			arena_fmt(a, "/openapi/v3/" STR_FMT "?hash=" STR_FMT, STR_ARG(path),
				STR_ARG(x->hash)));
		doc_set(paths, path, one);
	}
}

int
foreign_merge(const struct foreign_docs *f, enum foreign_form form, struct str group,
	struct str local, struct buf *out)
{
	struct arena *a = arena_new(0);
	struct doc *d = NULL;
	int rc = a ? 0 : -ENOMEM;
	if (rc == 0 && local.n)
		rc = doc_parse_json(a, local, NULL, &d, NULL);
	if (rc == 0 && form == FOREIGN_GROUPS)
		groups_merge(f, a, doc_get(d, STR("groups")), false);
	else if (rc == 0 && form == FOREIGN_AGGREGATED)
		groups_merge(f, a, doc_get(d, STR("items")), true);
	else if (rc == 0 && form == FOREIGN_GROUP)
		rc = group_merge(f, a, group, &d);
	else if (rc == 0)
		openapi_merge(f, a, d);
	if (rc == 0 && arena_failed(a))
		rc = -ENOMEM;
	if (rc == 0)
		doc_write_json(out, d);
	arena_free(a);
	return rc;
}

bool
foreign_first(const struct foreign_docs *f, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (str_eq(f->v[k].group, f->v[i].group))
			return false;
	return true;
}

void
foreign_docs_unref(struct foreign_docs *f)
{
	if (f && atomic_fetch_sub(&f->refs, 1) == 1)
		arena_free(f->a);
}
