/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * core: the smaller kinds of the core group: namespaces, nodes, ConfigMaps, Secrets, service accounts, claims
 * and volumes, events. Sources: kube-apiserver pkg/registry/core, pkg/apis/core/validation. */
#include "orchestrator/kinds/kinds_int.h"
#include "orchestrator/kinds/warnings.h"

#include "base/hash.h"

/* ---- Namespace ---- */

static void
namespace_create(struct request *r, struct doc *obj)
{
	struct doc *spec = doc_ensure_map(r->a, obj, S("spec")), *st = doc_map(r->a);
	list_add(r->a, spec ? doc_ensure_list(r->a, spec, S("finalizers")) : NULL, S("kubernetes"));
	struct doc *labels = doc_ensure_map(
		r->a, doc_ensure_map(r->a, obj, S("metadata")), S("labels"));
	if (labels)
		doc_set_str(r->a, labels, S("kubernetes.io/metadata.name"), meta_str(obj, "name"));
	if (st)
		doc_set_str(r->a, st, S("phase"), S("Active"));
	doc_set(obj, S("status"), st);
}

static void
namespace_update(struct request *r, struct doc *obj, const struct doc *old)
{
	if (!str_eq_c(request_subresource(r), "finalize"))
		keep_member(r->a, obj, old, S("spec"));
	struct doc *labels = doc_ensure_map(
		r->a, doc_ensure_map(r->a, obj, S("metadata")), S("labels"));
	if (labels)
		doc_set_str(r->a, labels, S("kubernetes.io/metadata.name"), meta_str(obj, "name"));
}

/* A namespace that is deleted stays, Terminating, until its own finalizers are gone. */
static enum step
namespace_before_commit(struct request *r, struct doc *obj, const struct doc *old)
{
	(void)old;
	struct doc *st = obj && is_deleting(obj) ? doc_ensure_map(r->a, obj, S("status")) : NULL;
	if (st)
		doc_set_str(r->a, st, S("phase"), S("Terminating"));
	return STEP_NEXT;
}

const struct kind_ops namespace_ops = {.group = "",
	.resource = "namespaces",
	.prepare_create = namespace_create,
	.prepare_update = namespace_update,
	.before_commit = namespace_before_commit};

/* ---- Secret ---- */

static void
secret_convert(struct request *r, struct doc *obj)
{
	const struct doc *text = doc_get(obj, S("stringData"));
	struct doc *data = text ? doc_ensure_map(r->a, obj, S("data")) : NULL;
	DOC_EACH (t, data ? text : NULL) {
		struct buf b;
		buf_init_arena(&b, r->a);
		base64_encode(&b, doc_as_str(t));
		doc_set_str(r->a, data, t->key, buf_view(&b));
	}
	doc_set(obj, S("stringData"), NULL);
}

static void
secret_prepare_update(struct request *r, struct doc *obj, const struct doc *old)
{
	if (!doc_get_str(obj, S("type")).n)
		keep_member(r->a, obj, old, S("type"));
}

const struct kind_ops secret_ops = {.group = "",
	.resource = "secrets",
	.convert = secret_convert,
	.prepare_update = secret_prepare_update};

/* ---- EndpointSlice ---- */

/* Topology of addresses left the API with its first stable version. */
static void
slice_create(struct request *r, struct doc *obj)
{
	(void)r;
	DOC_EACH (e, doc_get(obj, S("endpoints")))
		doc_set(e, S("deprecatedTopology"), NULL);
}

static void
slice_update(struct request *r, struct doc *obj, const struct doc *old)
{
	(void)old;
	slice_create(r, obj);
}

const struct kind_ops endpointslice_ops = {.group = "discovery.k8s.io",
	.resource = "endpointslices",
	.prepare_create = slice_create,
	.prepare_update = slice_update,
	.warn = warn_endpointslice};

/* ---- claims and volumes ---- */

/* source_known: what dataSource may name: another claim, a snapshot. Anything else needs dataSourceRef. */
static bool
source_known(const struct doc *from)
{
	struct str group = doc_get_str(from, S("apiGroup")), kind = doc_get_str(from, S("kind"));
	if (!doc_get_str(from, S("name")).n)
		return false;
	return (!group.n && str_eq_c(kind, "PersistentVolumeClaim")) ||
		(str_eq_c(group, "snapshot.storage.k8s.io") && str_eq_c(kind, "VolumeSnapshot"));
}

/* sync_sources: dataSource and dataSourceRef are one wish in two forms. */
static void
sync_sources(struct request *r, struct doc *spec)
{
	static const char *const members[] = {"apiGroup", "kind", "name"};
	const struct doc *from = doc_get(spec, S("dataSource"));
	if (from && !source_known(from)) {
		doc_set(spec, S("dataSource"), NULL);
		from = NULL;
	}
	const struct doc *ref = doc_get(spec, S("dataSourceRef"));
	if ((from != NULL) == (ref != NULL) || doc_get_str(ref, S("namespace")).n)
		return;
	struct doc *d = doc_map(r->a);
	for (size_t i = 0; d && i < ARRAY_LEN(members); i++)
		keep_member(r->a, d, from ? from : ref, str_c(members[i]));
	doc_set(spec, from ? S("dataSourceRef") : S("dataSource"), d);
}

static void
claim_create(struct request *r, struct doc *obj)
{
	struct doc *st = doc_map(r->a), *spec = doc_get(obj, S("spec"));
	if (spec)
		sync_sources(r, spec);
	if (st)
		doc_set_str(r->a, st, S("phase"), S("Pending"));
	doc_set(obj, S("status"), st);
}

static struct str
size_of(const struct doc *spec)
{
	return doc_get_str(doc_get(doc_get(spec, S("resources")), S("requests")), S("storage"));
}

/* mask: a copy of the spec with the old values of what may change: the binder sets volumeName once, a class
 * may be filled in, a bound claim may grow and change its attributes. */
static struct doc *
claim_mask(struct request *r, const struct doc *obj, const struct doc *was)
{
	struct doc *now = doc_copy(r->a, doc_get(obj, S("spec")));
	struct str phase = doc_get_str(doc_get(obj, S("status")), S("phase"));
	struct doc *requests = doc_get(doc_get(now, S("resources")), S("requests"));
	if (now && !doc_get_str(was, S("volumeName")).n)
		keep_member(r->a, now, was, S("volumeName"));
	if (now && !doc_get(was, S("storageClassName")))
		keep_member(r->a, now, was, S("storageClassName"));
	if (!now || !str_eq_c(phase, "Bound"))
		return now;
	keep_member(r->a, now, was, S("volumeAttributesClassName"));
	if (requests)
		doc_set_str(r->a, requests, S("storage"), size_of(was));
	return now;
}

static void
claim_check_class(struct request *r, const struct doc *obj, const struct doc *old)
{
	const struct doc *now = doc_get(doc_get(obj, S("spec")), S("volumeAttributesClassName"));
	const struct doc *was = doc_get(doc_get(old, S("spec")), S("volumeAttributesClassName"));
	if (doc_equal(now, was) ||
		!doc_get(doc_get(old, S("status")), S("currentVolumeAttributesClassName")))
		return;
	if (!now || !doc_as_str(now).n)
		schema_error_fmt(&r->causes, SCHEMA_CAUSE_FORBIDDEN,
			S("spec.volumeAttributesClassName"), NULL,
			"update to %s is forbidden when status.currentVolumeAttributesClassName is "
			"not nil",
			now ? "empty string" : "nil");
}

static void
claim_update(struct request *r, const struct doc *obj, const struct doc *old)
{
	const struct doc *was = doc_get(old, S("spec"));
	struct str capacity = doc_get_str(
		doc_get(doc_get(old, S("status")), S("capacity")), S("storage"));
	struct quantity now = {0}, before = {0}, have = {0};
	quantity_parse(capacity, &have);
	if (!doc_equal(claim_mask(r, obj, was), was))
		schema_err_forbidden(&r->causes, S("spec"),
			"spec is immutable after creation except resources.requests and "
			"volumeAttributesClassName for bound claims\n");
	if (quantity_parse(size_of(doc_get(obj, S("spec"))), &now) == 0 &&
		quantity_parse(size_of(was), &before) == 0 && quantity_cmp(&now, &before) < 0 &&
		quantity_cmp(&now, &have) <= 0)
		schema_err_forbidden(&r->causes, S("spec.resources.requests.storage"),
			"field can not be less than status.capacity");
	claim_check_class(r, obj, old);
}

const struct kind_ops claim_ops = {.group = "",
	.resource = "persistentvolumeclaims",
	.prepare_create = claim_create,
	.validate_update = claim_update};

static void
phase_time(struct request *r, struct doc *status)
{
	char text[40];
	size_t n = rfc3339_format(r->wall_ns, 0, text);
	doc_set_str(r->a, status, S("lastPhaseTransitionTime"), arena_str(r->a, str_from(text, n)));
}

static void
volume_create(struct request *r, struct doc *obj)
{
	struct doc *st = doc_map(r->a);
	if (st) {
		doc_set_str(r->a, st, S("phase"), S("Pending"));
		phase_time(r, st);
	}
	doc_set(obj, S("status"), st);
}

/* A phase that changes says when. */
static void
volume_status(struct request *r, struct doc *obj, const struct doc *old)
{
	struct doc *st = doc_get(obj, S("status"));
	const struct doc *was = doc_get(old, S("status"));
	if (!st || doc_get_str(st, S("lastPhaseTransitionTime")).n)
		return;
	if (str_eq(doc_get_str(st, S("phase")), doc_get_str(was, S("phase"))))
		keep_member(r->a, st, was, S("lastPhaseTransitionTime"));
	else
		phase_time(r, st);
}

const struct kind_ops volume_ops = {.group = "",
	.resource = "persistentvolumes",
	.prepare_create = volume_create,
	.prepare_status = volume_status};
