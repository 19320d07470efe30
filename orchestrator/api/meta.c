/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * meta: the stages that keep what every object has in common: metadata the server owns (meta), the state
 * of the namespace (namespace), what a status or other subresource write may change, generation
 * (strategy), and the rules (validate).
 *
 * Invariant: behind `meta` r->obj is the whole object as it would be stored, without resourceVersion,
 * with uid, creationTimestamp and deletion marks of the stored one (or new ones).
 * Source: k8s.io/apiserver registry/rest (FillObjectMetaSystemFields, BeforeCreate, BeforeUpdate,
 * ValidateObjectMetaUpdate). */
#include "orchestrator/api/api_int.h"
#include "orchestrator/api/hook_int.h"

#include "base/rand.h"

#define GENERATE_BASE_MAX 58

static void
set_time(struct request *r, struct doc *meta, struct str key, int64_t wall_ns)
{
	char buf[40];
	size_t n = rfc3339_format(wall_ns, 0, buf);
	doc_set_str(r->a, meta, key, arena_str(r->a, str_from(buf, n)));
}

static void
copy_member(struct request *r, struct doc *to, const struct doc *from, struct str key)
{
	const struct doc *v = doc_get(from, key);
	doc_set(to, key, v && v->type != DOC_NULL ? doc_copy(r->a, v) : NULL);
}

static const struct str dropped[] = {STR_INIT("selfLink"), STR_INIT("managedFields"),
	STR_INIT("resourceVersion"), STR_INIT("uid"), STR_INIT("creationTimestamp")};
static const struct str kept[] = {
	STR_INIT("uid"), STR_INIT("creationTimestamp"), STR_INIT("generation")};
static const struct str deletion[] = {
	STR_INIT("deletionTimestamp"), STR_INIT("deletionGracePeriodSeconds")};

/* ---- names ----------------------------------------------------------------------------------------- */

static enum step
check_names(struct request *r, struct doc *meta)
{
	struct str ns = doc_get_str(meta, STR("namespace"));
	struct str name = doc_get_str(meta, STR("name"));
	if (!r->res->kind->namespaced) {
		doc_set(meta, STR("namespace"), NULL);
	} else if (ns.n && !str_eq(ns, r->ns) && r->verb == VERB_UPDATE) {
		return request_fail(r, R_BAD_REQUEST,
			"the namespace of the object (" STR_FMT
			") does not match the namespace on the request (" STR_FMT ")",
			STR_ARG(ns), STR_ARG(r->ns));
	} else if (ns.n && !str_eq(ns, r->ns)) {
		return request_fail(r, R_BAD_REQUEST,
			"the namespace of the provided object does not match the namespace sent on the "
			"request");
	} else {
		doc_set_str(r->a, meta, STR("namespace"), r->ns);
	}
	if (r->verb == VERB_CREATE)
		return STEP_NEXT;
	if (name.n && !str_eq(name, r->name))
		return request_fail(r, R_BAD_REQUEST,
			"the name of the object (" STR_FMT ") does not match the name on the URL "
			"(" STR_FMT ")",
			STR_ARG(name), STR_ARG(r->name));
	doc_set_str(r->a, meta, STR("name"), r->name);
	return STEP_NEXT;
}

static void
generate_name(struct request *r, struct doc *meta)
{
	struct str base = doc_get_str(meta, STR("generateName"));
	if (doc_get_str(meta, STR("name")).n || base.n == 0)
		return;
	char suffix[8];
	rand_suffix(suffix, 5);
	base = str_sub(base, 0, GENERATE_BASE_MAX);
	doc_set_str(r->a, meta, STR("name"), arena_fmt(r->a, STR_FMT "%s", STR_ARG(base), suffix));
}

/* ---- create ---------------------------------------------------------------------------------------- */

static enum step
meta_create(struct request *r, struct doc *meta)
{
	struct str rv = doc_get_str(meta, STR("resourceVersion"));
	if (rv.n && !str_eq(rv, STR("0")) && !r->opt.dry_run) {
		if (r->verb == VERB_UPDATE) /* a PUT with a version wants the object to be there */
			return request_fail_not_found(r, NULL, r->name);
		return request_fail(r, R_BAD_REQUEST,
			"resourceVersion should not be set on objects to be created");
	}
	if (str_to_u64(rv, &r->old_rev) < 0)
		r->old_rev = 0; /* a dry run's answer has it */
	enum step st = check_names(r, meta);
	if (st != STEP_NEXT)
		return st;
	for (size_t i = 0; i < ARRAY_LEN(deletion); i++)
		doc_set(meta, deletion[i], NULL);
	struct doc *managed = managed_track(r, r->obj);
	for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
		doc_set(meta, dropped[i], NULL);
	doc_set(meta, STR("managedFields"), managed);
	generate_name(r, meta);
	struct str name = doc_get_str(meta, STR("name"));
	if (r->name.n == 0)
		r->name = name;
	if (r->res == r->server->namespaces)
		r->ns = name;
	char uid[37];
	rand_uuid(uid);
	doc_set_str(r->a, meta, STR("uid"), arena_str(r->a, str_c(uid)));
	set_time(r, meta, STR("creationTimestamp"), r->wall_ns);
	if (r->res->kind->flags & SCHEMA_KIND_GENERATION)
		doc_set_int(r->a, meta, STR("generation"), 1);
	if (r->res->kind->flags & SCHEMA_KIND_STATUS_RESET)
		doc_set(r->obj, STR("status"), NULL);
	return STEP_NEXT;
}

/* ---- update ---------------------------------------------------------------------------------------- */

/* Which part of the object a subresource writes. */
static const struct {
	const char *sub;
	struct str outer, inner; /* member, or member of a member */
	bool meta;               /* metadata too, but for its owners */
} sub_parts[] = {
	{"status", STR_INIT("status"), STR_INIT(""), true},
	{"finalize", STR_INIT("spec"), STR_INIT("finalizers"), true},
	{"approval", STR_INIT("status"), STR_INIT("conditions"), true},
	{"ephemeralcontainers", STR_INIT("spec"), STR_INIT("ephemeralContainers"), false},
};

/* resize changes resources and resizePolicy of containers that exist. */
static void
compose_resize(struct request *r, struct doc *whole, const struct doc *sent)
{
	static const struct str lists[] = {STR_INIT("containers"), STR_INIT("initContainers")};
	static const struct str members[] = {STR_INIT("resources"), STR_INIT("resizePolicy")};
	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		DOC_EACH (c, doc_get(doc_get(whole, STR("spec")), lists[l])) {
			DOC_EACH (n, doc_get(doc_get(sent, STR("spec")), lists[l])) {
				if (!str_eq(doc_get_str(c, STR("name")),
					    doc_get_str(n, STR("name"))))
					continue;
				for (size_t m = 0; m < ARRAY_LEN(members); m++)
					copy_member(r, c, n, members[m]);
			}
		}
	}
}

/* The whole object as a subresource's body would leave it. */
static void
compose(struct request *r)
{
	const struct doc *sent = r->obj;
	struct doc *whole = doc_copy(r->a, r->old);
	if (!whole)
		return;
	if (str_eq(r->sub->name, STR("scale"))) {
		scale_apply(r, whole, sent);
	} else if (str_eq(r->sub->name, STR("resize"))) {
		compose_resize(r, whole, sent);
	}
	for (size_t i = 0; i < ARRAY_LEN(sub_parts); i++) {
		if (!str_eq_c(r->sub->name, sub_parts[i].sub))
			continue;
		bool takes = sub_parts[i].meta && !(r->res->kind->flags & SCHEMA_KIND_STATUS_ALONE);
		struct doc *meta = takes ? doc_copy(r->a, meta_of(sent)) : NULL;
		if (meta) {
			copy_member(r, meta, meta_of(r->old), STR("ownerReferences"));
			doc_set(whole, STR("metadata"), meta);
		}
		if (sub_parts[i].inner.n == 0) {
			copy_member(r, whole, sent, sub_parts[i].outer);
			continue;
		}
		struct doc *outer = doc_ensure_map(r->a, whole, sub_parts[i].outer);
		if (outer)
			copy_member(
				r, outer, doc_get(sent, sub_parts[i].outer), sub_parts[i].inner);
	}
	r->obj = whole;
}

/* registry_key: where upstream keeps the object, which its errors tell. */
static struct str
registry_key(struct request *r)
{
	static const struct {
		const char *plural, *path;
	} odd[] = {{"endpoints", "services/endpoints"}, {"ingresses", "ingress"},
		{"nodes", "minions"}, {"replicationcontrollers", "controllers"},
		{"services", "services/specs"},
		{"customresourcedefinitions", "apiextensions.k8s.io/customresourcedefinitions"},
		{"apiservices", "apiregistration.k8s.io/apiservices"}};
	struct str path = r->res->plural;
	for (size_t i = 0; !r->res->custom && i < ARRAY_LEN(odd); i++)
		if (str_eq_c(path, odd[i].plural))
			path = str_c(odd[i].path);
	if (r->res->custom)
		path = arena_fmt(r->a, STR_FMT "/" STR_FMT, STR_ARG(r->res->group), STR_ARG(path));
	return arena_fmt(r->a, "/registry/" STR_FMT "/" STR_FMT "%s" STR_FMT, STR_ARG(path),
		STR_ARG(r->ns), r->ns.n ? "/" : "", STR_ARG(r->name));
}

static enum step
preconditions(struct request *r, const struct doc *meta)
{
	const struct doc *old = meta_of(r->old);
	struct str rv = doc_get_str(meta, STR("resourceVersion"));
	struct str old_rv = doc_get_str(old, STR("resourceVersion"));
	struct str uid = doc_get_str(meta, STR("uid")), old_uid = doc_get_str(old, STR("uid"));
	if (uid.n && !str_eq(uid, old_uid) && r->verb == VERB_PATCH) {
		schema_err_invalid(&r->causes, STR("metadata.uid"), uid, format_text_immutable);
		return request_fail_invalid(r);
	}
	if (uid.n && !str_eq(uid, old_uid))
		return request_fail_conflict(r, r->name,
			arena_cstr(r->a,
				arena_fmt(r->a,
					"StorageError: invalid object, Code: 4, Key: " STR_FMT
					", ResourceVersion: 0, AdditionalErrorMsg: "
					"Precondition failed: UID in precondition: " STR_FMT
					", UID in object meta: " STR_FMT,
					STR_ARG(registry_key(r)), STR_ARG(uid), STR_ARG(old_uid))));
	bool given = rv.n && !str_eq(rv, STR("0"));
	if (!given && (r->res->kind->flags & SCHEMA_KIND_NO_UNCONDITIONAL) &&
		r->verb == VERB_UPDATE && (!r->sub || str_eq(r->sub->name, STR("status")))) {
		schema_err_invalid_int(&r->causes, STR("metadata.resourceVersion"), 0,
			"must be specified for an update");
		return request_fail_status(r,
			&(struct status_spec){.http = 422,
				.reason = R_INVALID,
				.name = r->name,
				.group = r->res->group,
				.kind = r->res->plural,
				.errors = &r->causes,
				.message = arena_fmt(r->a,
					STR_FMT " \"" STR_FMT "\" is invalid: " STR_FMT,
					STR_ARG(r->res->group_plural), STR_ARG(r->name),
					STR_ARG(schema_errors_message(&r->causes)))});
	}
	uint64_t number = 0;
	if (given && str_to_u64(rv, &number) < 0)
		return request_fail_status(r,
			&(struct status_spec){.http = 500,
				.no_details = true,
				.message = arena_fmt(r->a,
					"strconv.ParseUint: parsing \"" STR_FMT
					"\": invalid syntax",
					STR_ARG(rv))});
	if (given && !str_eq(rv, old_rv))
		return request_fail_conflict(r, r->name,
			"the object has been modified; please apply your changes to the latest version "
			"and try again");
	return STEP_NEXT;
}

static enum step
meta_update(struct request *r, struct doc *meta)
{
	const struct doc *old = meta_of(r->old);
	enum step st = check_names(r, meta);
	if (st == STEP_NEXT)
		st = preconditions(r, meta);
	if (st != STEP_NEXT)
		return st;
	struct doc *managed = managed_track(r, r->obj);
	if (r->sub)
		compose(r);
	meta = doc_ensure_map(r->a, r->obj, STR("metadata"));
	if (!meta)
		return request_fail(r, R_BAD_REQUEST, "metadata is not an object");
	doc_set_str(r->a, meta, STR("name"), r->name);
	if (r->res->kind->namespaced)
		doc_set_str(r->a, meta, STR("namespace"), r->ns);
	for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
		doc_set(meta, dropped[i], NULL);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		copy_member(r, meta, old, kept[i]);
	/* A deletion cannot be taken back; one that is made up here is refused by the rules. */
	for (size_t i = 0; i < ARRAY_LEN(deletion); i++)
		if (doc_get(old, deletion[i]) && (i == 0 || !doc_get(meta, deletion[i])))
			copy_member(r, meta, old, deletion[i]);
	if (doc_get_str(meta, STR("generateName")).n == 0)
		copy_member(r, meta, old, STR("generateName"));
	doc_set(meta, STR("managedFields"), managed);
	if (!r->sub && is_status_kind(r->res))
		copy_member(r, r->obj, r->old, STR("status"));
	return STEP_NEXT;
}

enum step
stage_meta(struct request *r)
{
	struct doc *meta = doc_ensure_map(r->a, r->obj, STR("metadata"));
	if (!meta)
		return arena_failed(r->a)
			? request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory")
			: request_fail(r, R_BAD_REQUEST, "metadata is not an object");
	if (r->res->ops->convert && !(r->sub && str_eq(r->sub->name, STR("scale"))))
		r->res->ops->convert(r, r->obj);
	return r->created ? meta_create(r, meta) : meta_update(r, meta);
}

/* again_names: what admission made of the name. A create may still be given another one. */
static enum step
again_names(struct request *r, struct doc *meta, const struct doc *was)
{
	struct str name = doc_get_str(meta, STR("name")), ns = doc_get_str(meta, STR("namespace"));
	bool moved = !str_eq(ns, doc_get_str(was, STR("namespace")));
	if (r->verb == VERB_CREATE && moved)
		return request_fail(r, R_BAD_REQUEST,
			"the namespace of the provided object does not match the namespace sent on the "
			"request");
	if (r->verb == VERB_CREATE && name.n == 0)
		copy_member(r, meta, was, STR("name"));
	else if (r->verb == VERB_CREATE)
		r->name = name;
	if (r->verb == VERB_CREATE) {
		r->ns = r->res == r->server->namespaces ? r->name : r->ns;
		return STEP_NEXT;
	}
	if (!str_eq(name, doc_get_str(was, STR("name"))))
		schema_err_invalid(&r->causes, STR("metadata.name"), name, format_text_immutable);
	if (moved)
		schema_err_invalid(
			&r->causes, STR("metadata.namespace"), ns, format_text_immutable);
	return r->causes.n ? request_fail_invalid(r) : STEP_NEXT;
}

enum step
meta_again(struct request *r, const struct doc *before)
{
	const struct doc *was = meta_of(before);
	if (r->sub && !r->created)
		compose(r);
	struct doc *meta = doc_ensure_map(r->a, r->obj, STR("metadata"));
	if (!meta)
		return request_fail(r, R_BAD_REQUEST, "metadata is not an object");
	for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
		copy_member(r, meta, was, dropped[i]);
	for (size_t i = 0; i < ARRAY_LEN(deletion); i++)
		copy_member(r, meta, was, deletion[i]);
	copy_member(r, meta, was, STR("generation"));
	if (r->created && (r->res->kind->flags & SCHEMA_KIND_STATUS_RESET))
		doc_set(r->obj, STR("status"), NULL);
	else if (!r->created && !r->sub && is_status_kind(r->res))
		copy_member(r, r->obj, before, STR("status"));
	return again_names(r, meta, was);
}

/* ---- namespace ------------------------------------------------------------------------------------- */

enum step
stage_namespace(struct request *r)
{
	if (!r->created || !r->res->kind->namespaced || !r->server->namespaces)
		return STEP_NEXT;
	struct doc *ns = NULL;
	uint64_t rev = 0;
	int rc = object_read(r, r->server->namespaces, STR(""), r->ns, &ns, &rev);
	if (rc == -ENOENT)
		return request_fail_not_found(r, r->server->namespaces, r->ns);
	if (rc < 0)
		return request_fail_err(
			r, &(struct err){.code = rc, .msg = "reading the store failed"});
	if (str_eq(doc_get_str(doc_get(ns, STR("status")), STR("phase")), STR("Terminating")) ||
		doc_get_str(meta_of(ns), STR("deletionTimestamp")).n) {
		struct doc *causes = doc_list(r->a), *c = doc_map(r->a);
		struct str name = doc_get_str(meta_of(r->obj), STR("name"));
		struct str why = arena_fmt(
			r->a, "namespace " STR_FMT " is being terminated", STR_ARG(r->ns));
		if (causes && c) {
			doc_set_str(r->a, c, STR("reason"), STR("NamespaceTerminating"));
			doc_set_str(r->a, c, STR("message"), why);
			doc_set_str(r->a, c, STR("field"), STR("metadata.namespace"));
			doc_append(causes, c);
		}
		return request_fail_status(r,
			&(struct status_spec){.http = 403,
				.reason = R_FORBIDDEN,
				.name = name,
				.group = r->res->group,
				.kind = r->res->plural,
				.causes = causes,
				.message = arena_fmt(r->a,
					STR_FMT " \"" STR_FMT
						"\" is forbidden: unable to create new content in "
						"namespace " STR_FMT
						" because it is being terminated",
					STR_ARG(r->res->group_plural), STR_ARG(name),
					STR_ARG(r->ns))});
	}
	struct commit_part *p = request_part(r);
	if (p)
		*p = (struct commit_part){.group = STR(""),
			.resource = STR("namespaces"),
			.ns = STR(""),
			.name = r->ns,
			.has_cond = true,
			.cond = STORE_REV_IS,
			.rev = rev};
	return STEP_NEXT;
}

/* ---- strategy -------------------------------------------------------------------------------------- */

/* Do two objects differ in anything but kind, apiVersion, metadata and a status that has a subresource of its own? */
static bool
spec_changed(const struct api_resource *res, const struct doc *x, const struct doc *y)
{
	static const struct str aside[] = {
		STR_INIT("kind"), STR_INIT("apiVersion"), STR_INIT("metadata"), STR_INIT("status")};
	size_t n = ARRAY_LEN(aside) - (res->custom && !is_status_kind(res));
	for (int side = 0; side < 2; side++) {
		DOC_EACH (m, side ? y : x) {
			bool skip = false;
			for (size_t i = 0; i < n; i++)
				skip = skip || str_eq(m->key, aside[i]);
			const struct doc *o = doc_get(side ? x : y, m->key);
			if (!skip && !doc_equal(m, o) && !(doc_is_empty(m) && doc_is_empty(o)))
				return true;
		}
	}
	return false;
}

/* The object as it will be stored: what follows compares it with what is. */
static enum step
canonical(struct request *r)
{
	if (schema_order(r->a, r->res->kind->type, r->obj) < 0)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	return STEP_NEXT;
}

/* judged: of a version that another stands for, that other's form: rules and comparisons are about it. */
static const struct doc *
judged(struct request *r, const struct doc *d)
{
	if (!d || !r->res->shares || !r->res->ops->between)
		return d;
	struct doc *x = doc_copy(r->a, d);
	if (x)
		object_convert(r->a, r->res, x, true);
	return x && schema_order(r->a, r->res->stored->kind->type, x) == 0 ? x : d;
}

static void
prepare(struct request *r)
{
	const struct kind_ops *ops = r->res->ops;
	if (r->created) {
		if (ops->prepare_create)
			ops->prepare_create(r, r->obj);
		return;
	}
	bool status = r->sub &&
		(str_eq(r->sub->name, STR("status")) || str_eq(r->sub->name, STR("approval")));
	if (status) {
		if (ops->prepare_status)
			ops->prepare_status(r, r->obj, r->old);
		return;
	}
	if (ops->prepare_update)
		ops->prepare_update(r, r->obj, r->old);
	int64_t gen = doc_get_int(meta_of(r->old), STR("generation"), 0);
	if ((r->res->kind->flags & SCHEMA_KIND_GENERATION_RAISED) &&
		spec_changed(r->res, judged(r, r->obj), judged(r, r->old)))
		doc_set_int(r->a, doc_ensure_map(r->a, r->obj, STR("metadata")), STR("generation"),
			gen + 1);
}

enum step
stage_strategy(struct request *r)
{
	if (canonical(r) == STEP_REPLY)
		return STEP_REPLY;
	prepare(r);
	if (r->res->ops->default_again && schema_default(r->a, r->res->kind->type, r->obj) < 0)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	return STEP_NEXT;
}

/* ---- validate -------------------------------------------------------------------------------------- */

enum step
stage_validate(struct request *r)
{
	const struct kind_ops *ops = r->res->ops;
	bool status = r->sub &&
		(str_eq(r->sub->name, STR("status")) || str_eq(r->sub->name, STR("approval")));
	bool other = r->res->shares && ops->between;
	schema_validate(other ? r->res->stored->kind : r->res->kind, judged(r, r->obj),
		judged(r, r->old), &r->causes);
	if (r->created) {
		struct str name = doc_get_str(meta_of(r->obj), STR("name"));
		const char *bad = ops->name_ok && name.n ? ops->name_ok(name) : NULL;
		if (bad)
			schema_err_invalid(&r->causes, STR("metadata.name"), name, bad);
		if (ops->validate_create)
			ops->validate_create(r, r->obj);
	} else {
		if (status && ops->validate_status)
			ops->validate_status(r, r->obj, r->old);
		else if (!status && ops->validate_update)
			ops->validate_update(r, r->obj, r->old);
	}
	if (r->causes.n)
		return request_fail_invalid(r);
	if (ops->warn && !r->sub)
		ops->warn(r, r->obj, r->old);
	return STEP_NEXT;
}
