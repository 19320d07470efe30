/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * custom_kinds: see custom_kinds.h. */
#include "orchestrator/control/custom_kinds.h"

#include "kinds/projections_v1.h"

#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>

struct one {
	struct schema_kind kind;
	struct arena *a; /* its texts */
	bool there;
};
struct custom_kinds {
	struct informer *definitions;
	void (*on_kind)(void *arg, const struct schema_kind *k, bool there);
	void *arg;
	struct one **list;
	size_t n;
	struct map by_name; /* of the definition -> struct one that is there */
};

static const struct custom_definition *
definition(const struct informer_obj *o)
{
	return o->obj;
}

static bool
is_served(const struct custom_definition *d)
{
	for (size_t i = 0; i < d->status.n_conditions; i++)
		if (str_eq_c(d->status.conditions[i].type, "Established"))
			return str_eq_c(d->status.conditions[i].status, "True");
	return false;
}

static struct str
stored_version(const struct custom_definition *d)
{
	for (size_t i = 0; i < d->spec.n_versions; i++)
		if (d->spec.versions[i].storage)
			return d->spec.versions[i].name;
	return STR("");
}

static bool
is_same(const struct schema_kind *k, const struct custom_definition *d)
{
	return str_eq_c(d->spec.group, k->group) && str_eq_c(stored_version(d), k->version) &&
		str_eq_c(d->spec.names.kind, k->kind) &&
		str_eq_c(d->spec.names.plural, k->plural) &&
		str_eq_c(d->spec.scope, k->namespaced ? "Namespaced" : "Cluster");
}

static struct one *
one_of(struct custom_kinds *k, const struct custom_definition *d)
{
	for (size_t i = 0; i < k->n; i++)
		if (is_same(&k->list[i]->kind, d))
			return k->list[i];
	struct arena *a = arena_new(0);
	struct one *x = a ? ARENA_NEW(a, struct one) : NULL;
	struct one **more = x ? realloc(k->list, (k->n + 1) * sizeof(*more)) : NULL;
	if (!more) {
		arena_free(a);
		return NULL;
	}
	k->list = more;
	x->a = a;
	x->kind = (struct schema_kind){.group = arena_cstr(a, d->spec.group),
		.version = arena_cstr(a, stored_version(d)),
		.kind = arena_cstr(a, d->spec.names.kind),
		.plural = arena_cstr(a, d->spec.names.plural),
		.flags = SCHEMA_KIND_SERVED | SCHEMA_KIND_STORED,
		.verbs = SCHEMA_GET | SCHEMA_LIST_VERB | SCHEMA_WATCH | SCHEMA_CREATE |
			SCHEMA_UPDATE | SCHEMA_PATCH | SCHEMA_DELETE | SCHEMA_DELETECOLLECTION,
		.namespaced = str_eq_c(d->spec.scope, "Namespaced"),
		.custom = true};
	if (arena_failed(a)) {
		arena_free(a);
		return NULL;
	}
	k->list[k->n++] = x;
	return x;
}

static void
one_set(struct custom_kinds *k, struct one *x, bool there)
{
	if (!x || x->there == there)
		return;
	x->there = there;
	if (k->on_kind)
		k->on_kind(k->arg, &x->kind, there);
}

static void
on_definition(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct custom_kinds *k = arg;
	const struct informer_obj *o = new_ ? new_ : old;
	struct one *was = map_get(&k->by_name, o->name);
	struct one *now = new_ && is_served(definition(new_)) ? one_of(k, definition(new_)) : NULL;
	if (was == now)
		return;
	map_del(&k->by_name, o->name);
	one_set(k, was, false);
	if (now && map_put(&k->by_name, o->name, now, NULL) == 0)
		one_set(k, now, true);
}

int
custom_kinds_new(struct client *c,
	void (*on_kind)(void *arg, const struct schema_kind *k, bool there), void *arg,
	struct custom_kinds **ret)
{
	struct custom_kinds *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->on_kind = on_kind;
	k->arg = arg;
	map_init(&k->by_name);
	struct informer_spec spec = {.group = STR("apiextensions.k8s.io"),
		.version = STR("v1"),
		.resource = STR("customresourcedefinitions"),
		.type = SCHEMA_TYPE_OF(custom_definition),
		.on_change = on_definition,
		.arg = k};
	int rc = informer_new(c, &spec, &k->definitions);
	if (rc < 0) {
		custom_kinds_free(k);
		return rc;
	}
	*ret = k;
	return 0;
}

void
custom_kinds_free(struct custom_kinds *k)
{
	if (!k)
		return;
	informer_free(k->definitions);
	for (size_t i = 0; i < k->n; i++)
		arena_free(k->list[i]->a);
	free(k->list);
	map_release(&k->by_name);
	free(k);
}

bool
custom_kinds_synced(const struct custom_kinds *k)
{
	return informer_synced(k->definitions);
}

const struct schema_kind *
custom_kinds_next(const struct custom_kinds *k, size_t *pos)
{
	while (k && *pos < k->n) {
		const struct one *x = k->list[(*pos)++];
		if (x->there)
			return &x->kind;
	}
	return NULL;
}
