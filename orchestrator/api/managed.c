/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * managed: metadata.managedFields of a write: who writes, which fields such a write cannot set, and what the
 * library makes of it. Called by the stage `meta`, before the server puts its own into the object.
 *
 * What a client sends as managedFields counts where it can be read ([] or [{}] forgets everything), else what is
 * stored; writes of subresources never count. An object that is not tracked stays so until it is applied.
 * A Scale is another object than the one it is of: its owners are those of the replicas, under its own version.
 * Source: k8s.io/apiserver endpoints/handlers (managerOrUserAgent), util/managedfields (FieldManager,
 * ScaleHandler), GetResetFields of the strategies. */
#include "orchestrator/api/custom.h"
#include "orchestrator/api/managed_int.h"

#define SUBRESOURCE_MAX 256
#define RESETS_MAX 3

/* ---- what a write cannot set ----------------------------------------------------------------------- */

/* What differs from the rule: the object's own writes leave status, those of status leave spec (and metadata
 * where the kind says so). sub "": the object itself. */
static const struct {
	const char *group, *resource, *sub;
	const char *reset[RESETS_MAX];
} rows[] = {
	{"apps", "deployments", "status", {"spec", "metadata.labels"}},
	{"", "pods", "status", {"spec", "metadata.deletionTimestamp", "metadata.ownerReferences"}},
	{"", "namespaces", "finalize", {"status"}},
	{"certificates.k8s.io", "certificatesigningrequests", "", {"spec", "status"}},
	{"certificates.k8s.io", "certificatesigningrequests", "status",
		{"spec", "status.conditions"}},
	{"certificates.k8s.io", "certificatesigningrequests", "approval",
		{"spec", "status.certificate"}},
	{"admissionregistration.k8s.io", "validatingadmissionpolicies", "status",
		{"spec", "metadata"}},
	{"apiregistration.k8s.io", "apiservices", "status", {"spec", "metadata"}},
};

#define NAME(s) .at = {.kind = FIELD_NAME, .name = STR_INIT(s)}, .member = true
static const struct fields status_node = {NAME("status")};
static const struct fields spec_node = {NAME("spec")};
static const struct fields meta_nodes[] = {
	{NAME("metadata"), .next = &meta_nodes[1]}, {NAME("spec")}};
static const struct fields just_status = {.first = &status_node};
static const struct fields just_spec = {.first = &spec_node};
static const struct fields meta_and_spec = {.first = meta_nodes};

static void
resets(const struct request *r, struct managed_op *op)
{
	struct str sub = r->sub ? r->sub->name : STR("");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!str_eq_c(sub, rows[i].sub) || !str_eq_c(r->res->plural, rows[i].resource) ||
			!str_eq_c(r->res->group, rows[i].group))
			continue;
		for (size_t k = 0; k < RESETS_MAX && rows[i].reset[k]; k++)
			op->reset = fields_union(
				op->a, op->reset, fields_path(op->a, rows[i].reset[k]));
		return;
	}
	if (!r->sub && is_status_kind(r->res))
		op->reset = &just_status;
	if (str_eq(sub, STR("status")))
		op->reset = r->res->kind->flags & SCHEMA_KIND_STATUS_ALONE ? &meta_and_spec
									   : &just_spec;
}

/* ---- who ------------------------------------------------------------------------------------------- */

/* What stands before the first slash of a user agent, without what cannot be printed. */
static struct str
agent_name(struct request *r)
{
	struct str name = r->user_agent, rest;
	struct buf b;
	str_cut(r->user_agent, '/', &name, &rest);
	size_t plain = 0;
	while (plain < name.n && name.p[plain] >= 0x20 && name.p[plain] < 0x7f)
		plain++;
	if (plain == name.n && plain <= MANAGER_MAX)
		return name;
	buf_init_arena(&b, r->a);
	for (size_t i = 0; i < name.n;) {
		size_t n = 1;
		while (i + n < name.n && ((unsigned char)name.p[i + n] & 0xc0) == 0x80)
			n++;
		struct str one = str_sub(name, i, i + n);
		i += n;
		if ((unsigned char)one.p[0] < 0x20 || one.p[0] == 0x7f || !str_is_utf8(one))
			continue;
		if (b.len + one.n > MANAGER_MAX)
			break;
		buf_str(&b, one);
	}
	return buf_view(&b);
}

/* The row of another version of the definition. */
static const struct api_resource *
custom_version(const struct api_resource *res, struct str api_version)
{
	struct str group, version;
	schema_api_version_split(api_version, &group, &version);
	for (size_t i = 0; i < res->custom->n_rows; i++)
		if (str_eq(res->group, group) && str_eq(res->custom->rows[i].version, version))
			return &res->custom->rows[i];
	return NULL;
}

/* What another version of the definition knows of an object. Of versions that a webhook converts too: what cannot be
 * told without asking it is taken as it stands. */
static bool
other_version(struct request *r, struct arena *a, struct str api_version, const struct doc *from,
	const struct doc *to, struct managed_view *ret)
{
	const struct api_resource *res = custom_version(r->res, api_version);
	struct doc *both[2] = {doc_lend(a, from), doc_lend(a, to)};
	if (!res || !both[0] || !both[1])
		return false;
	for (size_t i = 0; i < 2; i++) {
		custom_convert(a, res, both[i]);
		if (schema_order(a, res->kind->type, both[i]) < 0)
			return false;
	}
	*ret = (struct managed_view){res->kind->type, both[0], both[1]};
	return true;
}

/* Objects of several groups or versions: the same one as another names it. */
static bool
other_view(void *arg, struct arena *a, struct str api_version, const struct doc *from,
	const struct doc *to, struct managed_view *ret)
{
	struct request *r = arg;
	struct str group, version;
	struct doc *both[2] = {doc_lend(a, from), doc_lend(a, to)};
	if (r->res->custom)
		return other_version(r, a, api_version, from, to, ret);
	schema_api_version_split(api_version, &group, &version);
	const struct api_resource *res = api_resource_find(
		r->server, group, version, r->res->plural);
	if (!res || res->stored != r->res->stored || !both[0] || !both[1])
		return false;
	for (size_t i = 0; i < 2; i++) {
		object_convert(a, r->res, both[i], true);
		object_convert(a, res, both[i], false);
		if (schema_order(a, res->kind->type, both[i]) < 0)
			return false;
	}
	*ret = (struct managed_view){res->kind->type, both[0], both[1]};
	return true;
}

bool
request_is_scale(const struct request *r)
{
	return r->sub && str_eq(r->sub->name, STR("scale"));
}

struct managed_op
managed_op_of(struct request *r, struct arena *a, struct str manager)
{
	char now[40];
	const struct schema_kind *k = r->res->kind;
	struct managed_op op = {.a = a,
		.type = request_is_scale(r) ? r->sub->schema->type : k->type,
		.manager = manager,
		.api_version = request_is_scale(r) ? STR("autoscaling/v1")
						   : schema_api_version(r->a, k->group, k->version),
		.subresource = r->sub ? r->sub->name : STR_NONE,
		.view = other_view,
		.arg = r};
	op.now = arena_str(a, str_from(now, rfc3339_format(r->wall_ns, 0, now)));
	resets(r, &op);
	return op;
}

struct str
managed_manager(struct request *r)
{
	return r->opt.field_manager.n ? r->opt.field_manager : agent_name(r);
}

/* ---- scales ---------------------------------------------------------------------------------------- */

static const struct fields *
replicas(struct arena *a)
{
	return fields_path(a, "spec.replicas");
}

int
managed_to_scale(struct arena *a, const struct doc *list, struct managed *ret)
{
	const struct fields *path = replicas(a);
	struct managed all = {0}, out = {0};
	int rc = managed_read(a, list, &all, NULL);
	for (size_t i = 0; rc == 0 && i < all.n; i++) {
		if (!fields_meet(a, all.v[i].set, path))
			continue;
		struct managed_entry *e = ARENA_PUSH(a, out.v, out.n);
		if (!e)
			return -ENOMEM;
		*e = all.v[i];
		e->set = path;
		e->text = STR_NONE;
		e->api_version = STR("autoscaling/v1");
	}
	if (rc == 0)
		*ret = out;
	return rc;
}

static size_t
owner_in(const struct managed *m, const struct managed_entry *like)
{
	size_t i = 0;
	while (i < m->n &&
		!(m->v[i].applied == like->applied && str_eq(m->v[i].manager, like->manager) &&
			str_eq(m->v[i].subresource, like->subresource)))
		i++;
	return i;
}

int
managed_from_scale(struct request *r, struct arena *a, const struct doc *list,
	const struct managed *scale, struct managed *ret)
{
	const struct fields *path = replicas(a);
	struct managed all = {0}, out = {0};
	int rc = managed_read(a, list, &all, NULL);
	for (size_t i = 0; rc == 0 && i < all.n; i++) {
		struct managed_entry e = all.v[i];
		if (fields_meet(a, e.set, path) && owner_in(scale, &e) == scale->n) {
			e.set = fields_minus(a, e.set, path);
			e.text = STR_NONE;
		}
		struct managed_entry *to = e.set ? ARENA_PUSH(a, out.v, out.n) : NULL;
		if (to)
			*to = e;
	}
	for (size_t i = 0; rc == 0 && i < scale->n; i++) {
		struct managed_entry e = scale->v[i];
		if (owner_in(&all, &e) < all.n || !fields_meet(a, e.set, path))
			continue;
		struct managed_entry *to = ARENA_PUSH(a, out.v, out.n);
		if (!to)
			return -ENOMEM;
		e.api_version = schema_api_version(a, r->res->kind->group, r->res->kind->version);
		e.set = path;
		e.text = STR_NONE;
		*to = e;
	}
	if (rc == 0)
		*ret = out;
	return rc;
}

/* ---- tracking -------------------------------------------------------------------------------------- */

struct doc *
object_empty(struct request *r)
{
	struct doc *d = doc_map(r->a);
	if (!d)
		return NULL;
	schema_set_gvk(r->a, d, r->res->kind);
	return schema_order(r->a, r->res->kind->type, d) < 0 ? NULL : d;
}

/* What is known of the owners before this write; *ret_none: nothing is, and nothing is to be. */
static struct managed
known_before(struct request *r, struct arena *a, const struct doc *sent, const struct doc *live,
	bool *ret_none)
{
	struct managed m = {0};
	bool counts = sent && !r->sub;
	struct buf b;
	*ret_none = false;
	if (counts && managed_is_reset(sent)) {
		*ret_none = !r->created;
		return m;
	}
	buf_init_arena(&b, a);
	if (counts)
		doc_write_json(&b, sent);
	bool same = counts && live && str_eq(buf_view(&b), live->s);
	if (counts && !same && managed_read(a, sent, &m, NULL) == 0 && m.n)
		return m;
	m = managed_of(live);
	*ret_none = !m.unread && !r->created;
	return m;
}

/* What a write is compared with. */
static const struct doc *
before(struct request *r)
{
	if (r->created)
		return object_empty(r);
	return request_is_scale(r) ? scale_of(r, r->old) : r->old;
}

/* Names that a client made up in the entries it sent. */
static void
check_names(struct request *r, const struct doc *list)
{
	struct managed m = {0};
	if (!list || managed_read(r->a, list, &m, NULL) < 0)
		return;
	for (size_t i = 0; i < m.n; i++) {
		struct str path = arena_fmt(r->a, "metadata.managedFields[%zu]", i);
		manager_check(
			r, arena_fmt(r->a, STR_FMT ".manager", STR_ARG(path)), m.v[i].manager);
		if (m.v[i].subresource.n > SUBRESOURCE_MAX)
			schema_err_too_long(&r->causes,
				arena_fmt(r->a, STR_FMT ".subresource", STR_ARG(path)),
				SUBRESOURCE_MAX);
	}
}

/* The worker's room for what ends with a call; made at first use. NULL: no memory. */
static struct arena *
worker_scratch(struct api_worker *w)
{
	if (!w->scratch)
		w->scratch = arena_new(64u << 20);
	else
		arena_clear(w->scratch);
	return w->scratch;
}

/* track: the entries as this write leaves them, in the worker's scratch. 0, -errno: it cannot be told. */
static int
track(struct request *r, const struct doc *obj, const struct doc *sent, const struct doc *live,
	struct doc **ret)
{
	struct arena *a = r->worker->scratch;
	struct managed_op op = managed_op_of(r, a, managed_manager(r));
	struct managed scale = {0};
	bool none = false;
	struct managed m = known_before(r, a, sent, live, &none);
	*ret = NULL;
	if (none)
		return 0;
	const struct doc *from = before(r);
	struct doc *to = doc_lend(a, obj); /* in canonical form; what was sent stays as it is */
	int rc = from && to ? schema_order(a, op.type, to) : -ENOMEM;
	if (rc == 0 && request_is_scale(r)) {
		rc = managed_to_scale(a, live, &scale);
		if (rc == 0)
			rc = managed_update(&op, &scale, from, to);
		if (rc == 0)
			rc = managed_from_scale(r, a, live, &scale, &m);
	} else if (rc == 0) {
		rc = managed_update(&op, &m, from, to);
	}
	if (rc == 0)
		*ret = managed_write(a, &m);
	return rc == 0 && arena_failed(a) ? -ENOMEM : rc;
}

/* More than that is not kept: nothing is known of the owners then. */
#define MANAGED_BYTES_MAX (1024u * 1024)

struct doc *
managed_track(struct request *r, struct doc *obj)
{
	struct doc *meta = meta_of(obj), *list = NULL;
	const struct doc *live = r->old ? doc_get(meta_of(r->old), STR("managedFields")) : NULL;
	struct doc *sent = doc_get(meta, STR("managedFields"));
	if (sent)
		doc_remove(meta, sent);
	if (request_is_apply(r))
		return r->managed;
	if (r->sub && r->sub->serve)
		return live ? doc_copy(r->a, live) : NULL;
	struct arena *scratch = worker_scratch(r->worker);
	int rc = scratch ? track(r, obj, sent, live, &list) : -ENOMEM;
	if (rc < 0) /* what cannot be tracked is written all the same */
		list = live ? doc_copy(r->a, live) : NULL;
	else if (list && list->s.n <= MANAGED_BYTES_MAX)
		list = doc_raw(r->a, arena_str(r->a, list->s));
	else
		list = NULL;
	if (scratch)
		arena_clear(scratch);
	if (rc == 0 && sent && !r->sub)
		check_names(r, list);
	return list;
}

void
managed_virtual(struct request *r)
{
	struct doc *meta = r->obj ? doc_ensure_map(r->a, r->obj, STR("metadata")) : NULL;
	if (!meta || r->sub || !schema_field_find(r->res->kind->type, STR("metadata")))
		return;
	r->created = true;
	struct doc *list = managed_track(r, r->obj);
	r->created = false;
	if (schema_order(r->a, r->res->kind->type, r->obj) == 0)
		doc_set(meta_of(r->obj), STR("managedFields"), list);
}
