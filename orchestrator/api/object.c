/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * object: stored values as trees and back to readers: what stages, kinds and admission plugins use to look
 * at other objects, and the few facts about users.
 *
 * Invariants: a tree made here has kind and apiVersion and lives in the caller's arena; mapped bytes of
 * the store never leave the call that borrowed them. */
#include "orchestrator/api/convert.h"
#include "orchestrator/fields/fields.h"

struct doc *
meta_of(const struct doc *obj)
{
	return doc_get(obj, STR("metadata"));
}

bool
doc_list_has(const struct doc *list, struct str s)
{
	DOC_EACH (x, list)
		if (str_eq(doc_as_str(x), s))
			return true;
	return false;
}

/* ---- forms that share objects -------------------------------------------------------------------- */

/* core/v1 Event as stored, events.k8s.io/v1 Event as served. Source: conversion of events.k8s.io. */
static const struct {
	struct str stored, served;
} event_names[] = {
	{STR_INIT("involvedObject"), STR_INIT("regarding")},
	{STR_INIT("message"), STR_INIT("note")},
	{STR_INIT("source"), STR_INIT("deprecatedSource")},
	{STR_INIT("firstTimestamp"), STR_INIT("deprecatedFirstTimestamp")},
	{STR_INIT("lastTimestamp"), STR_INIT("deprecatedLastTimestamp")},
	{STR_INIT("count"), STR_INIT("deprecatedCount")},
	{STR_INIT("reportingComponent"), STR_INIT("reportingController")},
};

void
custom_convert(struct arena *a, const struct api_resource *to, struct doc *d)
{
	const struct structural *n = to->kind->type->structural;
	structural_drop_nulls(n, d);
	structural_prune(a, n, d, true, NULL);
	schema_set_gvk(a, d, to->kind);
}

void
object_convert(struct arena *a, const struct api_resource *res, struct doc *d, bool to_stored)
{
	if (!res->shares)
		return;
	if (res->custom) {
		custom_convert(a, to_stored ? res->stored : res, d);
		return;
	}
	if (res->ops->between)
		res->ops->between(a, d, to_stored);
	DOC_EACH (m, res->ops->between ? NULL : d) {
		for (size_t i = 0; i < ARRAY_LEN(event_names); i++) {
			struct str from = to_stored ? event_names[i].served : event_names[i].stored;
			if (str_eq(m->key, from)) {
				m->key = to_stored ? event_names[i].stored : event_names[i].served;
				break;
			}
		}
	}
	schema_set_gvk(a, d, to_stored ? res->stored->kind : res->kind);
	/* What another version adds stands in its place, zero values too; a failure is the arena's. */
	if (res->ops->between && !to_stored)
		schema_order(a, res->kind->type, d);
}

struct doc *
object_parse(struct arena *a, const struct api_resource *res, struct str body)
{
	struct doc *d = NULL;
	struct str managed = STR_NONE;
	bool cut = managed_cut(a, body, &managed, &body);
	if (doc_parse_json(a, body, NULL, &d, NULL) < 0 || d->type != DOC_MAP)
		return NULL;
	struct doc *meta = cut ? doc_ensure_map(a, d, STR("metadata")) : NULL;
	if (meta)
		doc_set(meta, STR("managedFields"), doc_raw(a, arena_str(a, managed)));
	schema_set_gvk(a, d, res->kind);
	object_convert(a, res, d, false);
	return arena_failed(a) ? NULL : d;
}

struct str
value_body(struct arena *a, const struct api_resource *res, const struct store_value *v)
{
	const struct api_resource *st = res->stored;
	if (v->schema_id == st->schema_id && v->flags == 0)
		return v->body;
	if (v->flags & STORE_ENCRYPTED)
		return STR_NONE;
	const struct api_resource *from = convert_written(res, v->attrs);
	struct doc *d = NULL;
	struct buf out;
	uint32_t at = 0;
	buf_init_arena(&out, a);
	if (!from)
		from = st;
	if (schema_decode(a, from->kind->type, v->body, SCHEMA_JSON, &d, NULL, NULL) < 0 ||
		schema_default(a, from->kind->type, d) < 0)
		return STR_NONE;
	if (from != st)
		custom_convert(a, st, d);
	struct str rev = doc_get_str(meta_of(d), STR("resourceVersion"));
	if (schema_write(a, st->kind->type, d, true, &out, &at) < 0 || out.failed)
		return STR_NONE;
	struct str body = buf_view(&out);
	return arena_cat(
		a, (struct str[]){str_sub(body, 0, at), rev, str_sub(body, at, SIZE_MAX)}, 3);
}

/* ---- reading --------------------------------------------------------------------------------------- */

struct store_key
request_key(const struct request *r)
{
	return (struct store_key){.res = r->res->store_res,
		.ns = r->res->kind->namespaced ? r->ns : STR(""),
		.name = r->name};
}

int
object_read(struct request *r, const struct api_resource *res, struct str ns, struct str name,
	struct doc **ret, uint64_t *ret_rev)
{
	if (!res || res->store_res == API_NO_STORE)
		return -ENOENT;
	struct store_value v;
	struct store_key key = {res->store_res, res->kind->namespaced ? ns : STR(""), name};
	int rc = store_get(r->server->store, key, r->a, &v);
	if (rc < 0)
		return rc;
	if (v.expires_ns && v.expires_ns <= r->wall_ns)
		return -ENOENT;
	struct str body = value_body(r->a, res, &v);
	struct doc *d = str_is_set(body) ? object_parse(r->a, res, body) : NULL;
	if (!d)
		return -EIO;
	*ret = d;
	if (ret_rev)
		*ret_rev = v.rev;
	return 0;
}

int
request_read(struct request *r, struct str group, struct str resource, struct str ns,
	struct str name, struct doc **ret)
{
	return object_read(
		r, request_resource_find(r, group, STR(""), resource), ns, name, ret, NULL);
}

struct each_state {
	struct request *r;
	const struct api_resource *res;
	struct doc **docs;
	size_t n;
};

static bool
each_copy(void *arg, struct store_key key, const struct store_value *v)
{
	(void)key;
	struct each_state *st = arg;
	struct arena *a = st->r->a;
	if (v->expires_ns && v->expires_ns <= st->r->wall_ns)
		return true;
	struct store_value own = *v;
	own.body = arena_str(a, v->body);
	struct str body = value_body(a, st->res, &own);
	struct doc *d = str_is_set(body) ? object_parse(a, st->res, body) : NULL;
	if (!d)
		return !arena_failed(a);
	struct doc **slot = ARENA_PUSH(a, st->docs, st->n);
	if (slot)
		*slot = d;
	return slot != NULL;
}

int
resource_each(struct request *r, const struct api_resource *res, struct str ns,
	bool (*fn)(void *arg, struct doc *obj), void *arg)
{
	if (!res || res->store_res == API_NO_STORE)
		return -ENOENT;
	struct store_range range = {.res = res->store_res, .ns = ns};
	struct each_state st = {.r = r, .res = res};
	uint64_t rev = 0;
	struct str next = STR_NONE;
	int rc = store_list(r->server->store, &range, r->a, each_copy, &st, &rev, &next);
	if (rc < 0)
		return rc;
	if (arena_failed(r->a))
		return -ENOMEM;
	for (size_t i = 0; i < st.n; i++)
		if (!fn(arg, st.docs[i]))
			break;
	return 0;
}

int
request_each(struct request *r, struct str group, struct str resource, struct str ns,
	bool (*fn)(void *arg, struct doc *obj), void *arg)
{
	return resource_each(r, request_resource_find(r, group, STR(""), resource), ns, fn, arg);
}

size_t
request_count(struct request *r, struct str group, struct str resource, struct str ns)
{
	const struct api_resource *res = request_resource_find(r, group, STR(""), resource);
	if (!res || res->store_res == API_NO_STORE)
		return 0;
	return store_count(r->server->store, res->store_res, ns);
}

struct commit_part *
request_part(struct request *r)
{
	return ARENA_PUSH(r->a, r->parts, r->n_parts);
}

/* ---- facts about the request ----------------------------------------------------------------------- */

struct str
request_group(const struct request *r)
{
	return r->res ? r->res->group : STR_NONE;
}

struct str
request_resource(const struct request *r)
{
	return r->res ? r->res->plural : STR_NONE;
}

struct str
request_subresource(const struct request *r)
{
	if (!r->res)
		return STR_NONE;
	return r->sub ? r->sub->name : STR("");
}

const struct api_ranges *
request_ranges(struct request *r)
{
	return &r->server->ranges;
}

/* ---- users ----------------------------------------------------------------------------------------- */

bool
user_in_group(const struct user *u, struct str group)
{
	for (size_t i = 0; i < u->n_groups; i++)
		if (str_eq(u->groups[i], group))
			return true;
	return false;
}

struct str
user_node(const struct user *u)
{
	struct str prefix = STR("system:node:");
	if (!str_starts(u->name, prefix) || !user_in_group(u, STR("system:nodes")))
		return STR_NONE;
	return str_sub(u->name, prefix.n, SIZE_MAX);
}

bool
user_service_account(const struct user *u, struct str *ret_ns, struct str *ret_name)
{
	struct str prefix = STR("system:serviceaccount:"), ns, name;
	if (!str_starts(u->name, prefix))
		return false;
	if (!str_cut(str_sub(u->name, prefix.n, SIZE_MAX), ':', &ns, &name) || ns.n == 0 ||
		name.n == 0 || str_find_char(name, ':') >= 0)
		return false;
	*ret_ns = ns;
	*ret_name = name;
	return true;
}
