/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * core: the smaller kinds of the core group: namespaces, nodes, ConfigMaps, Secrets, service accounts, claims
 * and volumes, events. Sources: kube-apiserver pkg/registry/core, pkg/apis/core/validation. */
#include "orchestrator/kinds/kinds_int.h"

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

/* ---- Node ---- */

static void
node_validate_update(struct request *r, const struct doc *obj, const struct doc *old)
{
	const struct doc *now = doc_get(obj, S("spec")), *was = doc_get(old, S("spec"));
	const struct doc *cidrs = doc_get(was, S("podCIDRs"));
	if (!doc_is_empty(cidrs) && !doc_equal(doc_get(now, S("podCIDRs")), cidrs))
		schema_err_forbidden(&r->causes, S("spec.podCIDRs"),
			"node updates may not change podCIDR except from \"\" to valid");
	struct str id = doc_get_str(was, S("providerID"));
	if (id.n && !str_eq(doc_get_str(now, S("providerID")), id))
		schema_err_forbidden(&r->causes, S("spec.providerID"),
			"node updates may not change providerID except from \"\" to valid");
}

static void
check_taints(struct request *r, const struct doc *obj)
{
	struct schema_errors *errs = &r->causes;
	size_t i = 0;
	const struct doc *taints = doc_get(doc_get(obj, S("spec")), S("taints"));
	DOC_EACH (t, taints) {
		struct str at = schema_path(errs, "spec.taints[%zu]", i);
		schema_err_format(errs, schema_path_child(errs, at, S("key")),
			FORMAT_QUALIFIED_NAME, doc_get_str(t, S("key")));
		if (doc_get_str(t, S("value")).n)
			schema_err_format(errs, schema_path_child(errs, at, S("value")),
				FORMAT_LABEL_VALUE, doc_get_str(t, S("value")));
		size_t k = 0;
		DOC_EACH (u, taints) {
			if (k++ >= i)
				break;
			if (str_eq(doc_get_str(t, S("key")), doc_get_str(u, S("key"))) &&
				str_eq(doc_get_str(t, S("effect")), doc_get_str(u, S("effect"))))
				schema_error_add(errs, SCHEMA_CAUSE_DUPLICATE, at, t,
					S("taints must be unique by key and effect pair"));
		}
		i++;
	}
}

static void
node_update(struct request *r, const struct doc *obj, const struct doc *old)
{
	check_taints(r, obj);
	node_validate_update(r, obj, old);
}

const struct kind_ops node_ops = {.group = "",
	.resource = "nodes",
	.validate_create = check_taints,
	.validate_update = node_update};

/* ---- ConfigMap, Secret ---- */

#define DATA_MAX (1 << 20)

static size_t
check_keys(struct request *r, const struct doc *data, struct str path)
{
	size_t total = 0;
	DOC_EACH (d, data) {
		schema_err_format(&r->causes, schema_path_key(&r->causes, path, d->key),
			FORMAT_CONFIG_KEY, d->key);
		total += doc_as_str(d).n;
	}
	return total;
}

static void
configmap_validate(struct request *r, const struct doc *obj)
{
	const struct doc *data = doc_get(obj, S("data")), *binary = doc_get(obj, S("binaryData"));
	size_t total = check_keys(r, data, S("data")) + check_keys(r, binary, S("binaryData"));
	DOC_EACH (d, data)
		if (doc_get(binary, d->key))
			schema_err_invalid(&r->causes,
				schema_path_key(&r->causes, S("data"), d->key), d->key,
				"duplicate of key present in binaryData");
	if (total > DATA_MAX)
		schema_err_too_long(&r->causes, S(""), DATA_MAX);
}

static void
check_immutable_data(struct request *r, const struct doc *obj, const struct doc *old,
	const char *const *fields, size_t n)
{
	if (!doc_get_bool(old, S("immutable"), false))
		return;
	if (!doc_get_bool(obj, S("immutable"), false))
		schema_err_forbidden(
			&r->causes, S("immutable"), "field is immutable when `immutable` is set");
	for (size_t i = 0; i < n; i++)
		if (!doc_equal(doc_get(obj, str_c(fields[i])), doc_get(old, str_c(fields[i]))))
			schema_err_forbidden(&r->causes, str_c(fields[i]),
				"field is immutable when `immutable` is set");
}

static void
configmap_update(struct request *r, const struct doc *obj, const struct doc *old)
{
	static const char *const fields[] = {"data", "binaryData"};
	configmap_validate(r, obj);
	check_immutable_data(r, obj, old, fields, ARRAY_LEN(fields));
}

const struct kind_ops configmap_ops = {.group = "",
	.resource = "configmaps",
	.validate_create = configmap_validate,
	.validate_update = configmap_update};

static const struct secret_type {
	const char *type;
	const char *keys[3];
	bool any; /* one of the keys is enough */
} secret_types[] = {
	{"kubernetes.io/dockercfg", {".dockercfg"}, false},
	{"kubernetes.io/dockerconfigjson", {".dockerconfigjson"}, false},
	{"kubernetes.io/basic-auth", {"username", "password"}, true},
	{"kubernetes.io/ssh-auth", {"ssh-privatekey"}, false},
	{"kubernetes.io/tls", {"tls.crt", "tls.key"}, false},
};

static void
secret_prepare(struct request *r, struct doc *obj)
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
	secret_prepare(r, obj);
	if (!doc_get_str(obj, S("type")).n)
		keep_member(r->a, obj, old, S("type"));
}

static void
secret_validate(struct request *r, const struct doc *obj)
{
	struct schema_errors *errs = &r->causes;
	const struct doc *data = doc_get(obj, S("data"));
	struct str type = doc_get_str(obj, S("type"));
	if (check_keys(r, data, S("data")) / 4 * 3 > DATA_MAX)
		schema_err_too_long(errs, S("data"), DATA_MAX);
	if (str_eq_c(type, "kubernetes.io/service-account-token") &&
		!doc_get_str(doc_get(meta_of(obj), S("annotations")),
			S("kubernetes.io/service-account.name"))
			 .n)
		schema_err_required(
			errs, S("metadata.annotations[kubernetes.io/service-account.name]"), NULL);
	for (size_t i = 0; i < ARRAY_LEN(secret_types); i++) {
		const struct secret_type *t = &secret_types[i];
		bool some = false;
		if (!str_eq_c(type, t->type))
			continue;
		for (size_t k = 0; k < ARRAY_LEN(t->keys) && t->keys[k]; k++)
			some = some || doc_get(data, str_c(t->keys[k]));
		for (size_t k = 0; k < ARRAY_LEN(t->keys) && t->keys[k]; k++)
			if (!doc_get(data, str_c(t->keys[k])) && !(t->any && some))
				schema_err_required(errs,
					schema_path_key(errs, S("data"), str_c(t->keys[k])), NULL);
	}
}

static void
secret_update(struct request *r, const struct doc *obj, const struct doc *old)
{
	static const char *const fields[] = {"data"};
	secret_validate(r, obj);
	if (!str_eq(doc_get_str(obj, S("type")), doc_get_str(old, S("type"))))
		schema_err_invalid(
			&r->causes, S("type"), doc_get_str(obj, S("type")), format_text_immutable);
	check_immutable_data(r, obj, old, fields, ARRAY_LEN(fields));
}

const struct kind_ops secret_ops = {.group = "",
	.resource = "secrets",
	.prepare_create = secret_prepare,
	.prepare_update = secret_prepare_update,
	.validate_create = secret_validate,
	.validate_update = secret_update};

/* ---- claims and volumes ---- */

static void
claim_create(struct request *r, struct doc *obj)
{
	struct doc *st = doc_map(r->a);
	if (st)
		doc_set_str(r->a, st, S("phase"), S("Pending"));
	doc_set(obj, S("status"), st);
}

static void
claim_validate(struct request *r, const struct doc *obj)
{
	struct schema_errors *errs = &r->causes;
	const struct doc *spec = doc_get(obj, S("spec"));
	struct str size = doc_get_str(
		doc_get(doc_get(spec, S("resources")), S("requests")), S("storage"));
	struct quantity q;
	if (doc_is_empty(doc_get(spec, S("accessModes"))))
		schema_err_required(
			errs, S("spec.accessModes"), "at least 1 access mode is required");
	if (!size.n)
		schema_err_required(errs, S("spec.resources[storage]"), NULL);
	else if (quantity_parse(size, &q) == 0 && q.nano <= 0)
		schema_err_invalid(
			errs, S("spec.resources[storage]"), size, "must be greater than zero");
	if (doc_get(spec, S("selector")))
		check_label_selector(r, doc_get(spec, S("selector")), S("spec.selector"));
}

static void
claim_update(struct request *r, const struct doc *obj, const struct doc *old)
{
	const struct doc *was = doc_get(old, S("spec"));
	struct doc *now = doc_copy(r->a, doc_get(obj, S("spec")));
	claim_validate(r, obj);
	if (!now)
		return;
	/* The binder sets volumeName once; the size may grow; a class may be filled in. */
	if (!doc_get_str(was, S("volumeName")).n)
		keep_member(r->a, now, was, S("volumeName"));
	if (!doc_get(was, S("storageClassName")))
		keep_member(r->a, now, was, S("storageClassName"));
	keep_member(r->a, now, was, S("resources"));
	keep_member(r->a, now, was, S("volumeAttributesClassName"));
	if (!doc_equal(now, was))
		schema_err_forbidden(&r->causes, S("spec"),
			"spec is immutable after creation except resources.requests and "
			"volumeAttributesClassName for bound claims\n");
}

const struct kind_ops claim_ops = {.group = "",
	.resource = "persistentvolumeclaims",
	.prepare_create = claim_create,
	.validate_create = claim_validate,
	.validate_update = claim_update};

static void
volume_create(struct request *r, struct doc *obj)
{
	struct doc *st = doc_map(r->a);
	if (st)
		doc_set_str(r->a, st, S("phase"), S("Pending"));
	doc_set(obj, S("status"), st);
}

static const char *const volume_sources[] = {"gcePersistentDisk", "awsElasticBlockStore",
	"hostPath", "glusterfs", "nfs", "rbd", "iscsi", "cinder", "cephfs", "fc", "flocker",
	"flexVolume", "azureFile", "vsphereVolume", "quobyte", "azureDisk", "photonPersistentDisk",
	"portworxVolume", "scaleIO", "local", "storageos", "csi"};

static void
volume_validate(struct request *r, const struct doc *obj)
{
	struct schema_errors *errs = &r->causes;
	const struct doc *spec = doc_get(obj, S("spec"));
	size_t n = 0;
	if (doc_is_empty(doc_get(spec, S("accessModes"))))
		schema_err_required(errs, S("spec.accessModes"), NULL);
	if (!doc_get(doc_get(spec, S("capacity")), S("storage")))
		schema_err_required(errs, S("spec.capacity"), NULL);
	for (size_t i = 0; i < ARRAY_LEN(volume_sources); i++)
		n += doc_get(spec, str_c(volume_sources[i])) != NULL;
	if (n == 0)
		schema_err_required(errs, S("spec"), "must specify a volume type");
	if (n > 1)
		schema_err_forbidden(errs, S("spec"), "may not specify more than 1 volume type");
	if (doc_get(spec, S("local")) && !doc_get(doc_get(spec, S("nodeAffinity")), S("required")))
		schema_err_required(
			errs, S("spec.nodeAffinity"), "Local volume requires node affinity");
}

static void
volume_update(struct request *r, const struct doc *obj, const struct doc *old)
{
	volume_validate(r, obj);
	for (size_t i = 0; i < ARRAY_LEN(volume_sources); i++)
		if (!doc_equal(doc_get(doc_get(obj, S("spec")), str_c(volume_sources[i])),
			    doc_get(doc_get(old, S("spec")), str_c(volume_sources[i])))) {
			schema_err_forbidden(&r->causes, S("spec.persistentvolumesource"),
				"spec.persistentvolumesource is immutable after creation");
			return;
		}
}

const struct kind_ops volume_ops = {.group = "",
	.resource = "persistentvolumes",
	.prepare_create = volume_create,
	.validate_create = volume_validate,
	.validate_update = volume_update};
