/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_volume: volumes of pods, claims, volumes of the cluster.
 * Source: k8s.io/kubernetes pkg/apis/core/validation (ValidateVolumes, ValidatePersistentVolumeClaimSpec,
 * ValidatePersistentVolumeSpec). */
#include "orchestrator/schema/checks_int.h"

#include <stdlib.h>

static const char text_mode[] = "must be a number between 0 and 0777 (octal), both inclusive";

static void
check_mode(const struct schema_spot *s, const struct doc *d, const char *member)
{
	const struct doc *mode = get(d, member);

	if (mode && (doc_as_int(mode, 0) < 0 || doc_as_int(mode, 0) > 0777))
		INVALID_DOC(mode, text_mode, "%s", member);
}

/* ---- sources of volumes of pods ---- */

/* In the order in which the API has them: the first one counts. */
static const char *const pod_sources[] = {"emptyDir", "hostPath", "gitRepo", "gcePersistentDisk",
	"awsElasticBlockStore", "secret", "nfs", "iscsi", "glusterfs", "flocker",
	"persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc",
	"flexVolume", "configMap", "azureFile", "vsphereVolume", "photonPersistentDisk",
	"portworxVolume", "azureDisk", "storageos", "projected", "scaleIO", "csi", "ephemeral",
	"image", NULL};
static const char *const cluster_sources[] = {"hostPath", "gcePersistentDisk",
	"awsElasticBlockStore", "glusterfs", "flocker", "nfs", "rbd", "quobyte", "cephfs", "iscsi",
	"cinder", "fc", "flexVolume", "azureFile", "vsphereVolume", "photonPersistentDisk",
	"portworxVolume", "azureDisk", "scaleIO", "local", "storageos", "csi", NULL};

/* check_one_source: the first one counts, and is returned; of others nothing is said but that they are too many. */
static const char *
check_one_source(const struct schema_spot *s, const struct doc *d, const char *const *sources)
{
	bool cluster = sources == cluster_sources;
	const char *first = NULL;

	for (; *sources; sources++) {
		bool flex = cluster && str_eq_c(str_c(*sources), "flexVolume");

		if (get(d, *sources) == NULL)
			continue;
		if (!first) {
			first = *sources;
		} else if (!flex) { /* which is looked at in any case */
			bool ceph = cluster && str_eq_c(str_c(*sources), "cephfs");

			schema_errors_drop(s->errs, AT("%s", *sources));
			FORBIDDEN("may not specify more than 1 volume type", "%s",
				ceph ? "cephFS" : *sources);
		}
	}
	if (!first)
		REQUIRED("must specify a volume type", "%s", "");
	return first;
}

static void
check_file(const struct schema_spot *s, const struct doc *f, const char *at)
{
	const struct doc *field = get(f, "fieldRef"), *resource = get(f, "resourceFieldRef");
	const struct doc *mode = get(f, "mode");
	struct str path = text(f, "path");
	const char *below = arena_fmt(s->errs->a, "%s.path", at).p;

	if (path.n == 0)
		REQUIRED(NULL, "%s", below);
	check_local_path(s, path, below);
	if (field)
		check_field_ref(s, field, arena_fmt(s->errs->a, "%s.fieldRef", at).p, true);
	else if (resource)
		check_resource_ref(
			s, resource, arena_fmt(s->errs->a, "%s.resourceFieldRef", at).p, true);
	else
		REQUIRED("one of fieldRef and resourceFieldRef is required", "%s", at);
	if (field && resource)
		INVALID(STR("resource"),
			"fieldRef and resourceFieldRef can not be specified simultaneously", "%s",
			at);
	if (mode && (doc_as_int(mode, 0) < 0 || doc_as_int(mode, 0) > 0777))
		INVALID_DOC(mode, text_mode, "%s.mode", at);
}

CHECK(core_v1_key_to_path)
{
	(void)old;
	check_local_path(s, text(d, "path"), "path");
	check_mode(s, d, "mode");
}

static const char *const certificate_paths[] = {
	"credentialBundlePath", "keyPath", "certificateChainPath", NULL};

static void
check_certificate(const struct schema_spot *s, const struct doc *c, const char *at)
{
	const struct doc *max = get(c, "maxExpirationSeconds");
	int64_t longest = signer_longest_s(text(c, "signerName"));

	check_signer(s, text(c, "signerName"), arena_fmt(s->errs->a, "%s.signerName", at).p);
	check_user_annotations(
		s, get(c, "userAnnotations"), arena_fmt(s->errs->a, "%s.userAnnotations", at).p);
	if (max && doc_as_int(max, 0) < 3600)
		INVALID_DOC(max, "if provided, maxExpirationSeconds must be >= 3600",
			"%s.maxExpirationSeconds", at);
	if (max && doc_as_int(max, 0) > longest)
		INVALID_DOC(max,
			arena_fmt(s->errs->a, "if provided, maxExpirationSeconds must be <= %lld",
				(long long)longest)
				.p,
			"%s.maxExpirationSeconds", at);
	for (const char *const *p = certificate_paths; *p; p++)
		check_local_path(s, text(c, *p), arena_fmt(s->errs->a, "%s.%s", at, *p).p);
	if (count_members(c, certificate_paths) == 0)
		REQUIRED("specify at least one of credentialBundlePath, keyPath, and "
			 "certificateChainPath",
			"%s", at);
}

/* taken: a path that a source of one volume writes; each may stand once. */
static void
take_path(const struct schema_spot *s, struct names *seen, struct str path, struct str who,
	const struct doc *d)
{
	if (path.n && !names_add(seen, path, d))
		INVALID(who.n ? who : path, "conflicting duplicate paths", "projected");
}

static size_t
count_paths(const struct doc *sources)
{
	size_t n = 0;

	DOC_EACH (p, sources)
		n += doc_len(get(get(p, "secret"), "items")) +
			doc_len(get(get(p, "configMap"), "items")) +
			doc_len(get(get(p, "downwardAPI"), "items")) + 4;
	return n;
}

static void
check_projected(const struct schema_spot *s, const struct doc *projected)
{
	static const char *const kinds[] = {"secret", "configMap", "downwardAPI",
		"serviceAccountToken", "clusterTrustBundle", "podCertificate", NULL};
	static const char *const named[] = {"secret", "configMap", NULL};
	struct names seen = names_new(s->errs->a, count_paths(get(projected, "sources")));
	size_t i = 0;

	DOC_EACH (p, get(projected, "sources")) {
		const char *at = arena_fmt(s->errs->a, "projected.sources[%zu]", i).p;
		const struct doc *token = get(p, "serviceAccountToken");
		const struct doc *bundle = get(p, "clusterTrustBundle"),
				 *certificate = get(p, "podCertificate");
		int64_t seconds = number(token, "expirationSeconds");

		for (const char *const *k = named; *k; k++) {
			struct str name = text(get(p, *k), "name");

			if (get(p, *k) && !name.n)
				REQUIRED(NULL, "%s.%s.name", at, *k);
			DOC_EACH (item, get(get(p, *k), "items"))
				take_path(s, &seen, text(item, "path"), name, item);
		}
		DOC_EACH (f, get(get(p, "downwardAPI"), "items")) {
			check_file(s, f, arena_fmt(s->errs->a, "%s.downwardAPI", at).p);
			take_path(s, &seen, text(f, "path"), STR_NONE, f);
		}
		if (get(token, "expirationSeconds") && seconds < 600)
			INVALID_INT(seconds, "may not specify a duration less than 10 minutes",
				"%s.serviceAccountToken.expirationSeconds", at);
		if (seconds > 1LL << 32)
			INVALID_INT(seconds, "may not specify a duration larger than 2^32 seconds",
				"%s.serviceAccountToken.expirationSeconds", at);
		if (token && !text(token, "path").n)
			REQUIRED(NULL, "projected.path");
		else if (token)
			check_local_path(s, text(token, "path"), "projected.path");
		if (bundle) {
			check_trust_bundle(
				s, bundle, arena_fmt(s->errs->a, "%s.clusterTrustBundle", at).p);
			take_path(s, &seen, text(bundle, "path"), STR_NONE, bundle);
		}
		if (certificate)
			check_certificate(
				s, certificate, arena_fmt(s->errs->a, "%s.podCertificate", at).p);
		for (const char *const *k = certificate_paths; *k; k++)
			take_path(s, &seen, text(certificate, *k), STR_NONE, certificate);
		if (count_members(p, kinds) > 1)
			FORBIDDEN("may not specify more than 1 volume type per source", "%s", at);
		i++;
	}
}

CHECK(core_v1_volume)
{
	static const char *const modes[] = {
		"secret", "configMap", "downwardAPI", "projected", NULL};
	const struct doc *host = get(d, "hostPath"), *csi = get(d, "csi");
	const struct doc *secret = get(csi, "nodePublishSecretRef");
	struct quantity q = {0};
	struct str size = text(get(d, "emptyDir"), "sizeLimit");

	(void)old;
	check_no_dots(s, text(host, "path"), "hostPath.path");
	check_relative(s, text(get(d, "gitRepo"), "directory"), "gitRepo.directory");
	if (size.n && quantity_parse(size, &q) == 0 && q.nano < 0)
		FORBIDDEN(
			"SizeLimit field must be a valid resource quantity", "emptyDir.sizeLimit");
	if (text(csi, "driver").n)
		FORMAT(FORMAT_DNS_SUBDOMAIN, lower_text(s->errs->a, text(csi, "driver")),
			"csi.driver");
	if (secret && !text(secret, "name").n)
		REQUIRED(NULL, "csi.nodePublishSecretRef.name");
	else if (secret)
		FORMAT(FORMAT_DNS_SUBDOMAIN, text(secret, "name"), "csi.name");
	if (get(d, "configMap") && !text(get(d, "configMap"), "name").n)
		REQUIRED(NULL, "configMap.name");
	for (const char *const *m = modes; *m; m++) {
		const struct doc *mode = get(get(d, *m), "defaultMode");

		if (mode && (doc_as_int(mode, 0) < 0 || doc_as_int(mode, 0) > 0777))
			INVALID_DOC(mode, text_mode, "%s.defaultMode", *m);
	}
	DOC_EACH (f, get(get(d, "downwardAPI"), "items"))
		check_file(s, f, "downwardAPI");
	check_projected(s, get(d, "projected"));
	check_one_source(s, d, pod_sources);
	if (!text(d, "name").n)
		REQUIRED(NULL, "name");
	else
		FORMAT(FORMAT_DNS_LABEL, text(d, "name"), "name");
}

/* ---- claims ---- */

static const char *const access_modes[] = {
	"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", NULL};

static void
check_access(const struct schema_spot *s, const struct doc *spec, const char *why)
{
	const struct doc *modes = get(spec, "accessModes");
	bool alone = has_text(modes, STR("ReadWriteOncePod")), others = false;

	if (doc_is_empty(modes))
		REQUIRED(why, "accessModes");
	DOC_EACH (m, modes) {
		if (!one_of(access_modes, doc_as_str(m)))
			UNSUPPORTED(doc_as_str(m), access_modes, "accessModes");
		else
			others |= !str_eq_c(doc_as_str(m), "ReadWriteOncePod");
	}
	if (alone && others)
		FORBIDDEN("may not use ReadWriteOncePod with other access modes", "accessModes");
}

static void
check_source_ref(const struct schema_spot *s, const struct doc *spec, const char *member)
{
	const struct doc *ref = get(spec, member);
	struct str group = text(ref, "apiGroup");

	if (ref == NULL)
		return;
	if (!text(ref, "name").n)
		REQUIRED(NULL, "%s.name", member);
	if (!text(ref, "kind").n)
		REQUIRED(NULL, "%s.kind", member);
	if (!group.n && !is(ref, "kind", "PersistentVolumeClaim"))
		INVALID(text(ref, "kind"),
			"must be 'PersistentVolumeClaim' when referencing the default apiGroup",
			"%s", member);
	if (group.n)
		FORMAT(FORMAT_DNS_SUBDOMAIN, group, "%s.apiGroup", member);
}

CHECK(core_v1_persistent_volume_claim_spec)
{
	const struct doc *from = get(d, "dataSource"), *ref = get(d, "dataSourceRef");
	const struct doc *size = get(get(get(d, "resources"), "requests"), "storage");
	struct quantity q = {0};

	(void)old;
	check_access(s, d, "at least 1 access mode is required");
	if (size == NULL)
		REQUIRED(NULL, "resources[storage]");
	else if (quantity_parse(doc_as_str(size), &q) == 0 && q.nano <= 0)
		INVALID_DOC(size, "must be greater than zero", "resources[storage]");
	if (text(d, "storageClassName").n)
		FORMAT(FORMAT_DNS_SUBDOMAIN, text(d, "storageClassName"), "storageClassName");
	if (text(d, "volumeAttributesClassName").n)
		FORMAT(FORMAT_DNS_SUBDOMAIN, text(d, "volumeAttributesClassName"),
			"volumeAttributesClassName");
	check_source_ref(s, d, "dataSource");
	check_source_ref(s, d, "dataSourceRef");
	if (from && ref && !text(ref, "namespace").n &&
		!(str_eq(text(from, "kind"), text(ref, "kind")) &&
			str_eq(text(from, "name"), text(ref, "name")) &&
			str_eq(text(from, "apiGroup"), text(ref, "apiGroup"))))
		INVALID_DOC(doc_map(s->errs->a), "must match dataSourceRef", "%s", "");
}

/* check_claimed: what a claim may be given: storage, and what others define. */
static void
check_claimed(const struct schema_spot *s, struct str name, const char *at)
{
	static const char *const known[] = {"storage", NULL};

	if (format_check(s->errs->a, FORMAT_QUALIFIED_NAME, name))
		FORMAT(FORMAT_QUALIFIED_NAME, name, "%s", at);
	else if (resource_is_native(name) && !one_of(known, name))
		UNSUPPORTED(name, known, "%s", at);
}

CHECK(core_v1_persistent_volume_claim_status)
{
	(void)old;
	DOC_EACH (c, get(d, "capacity")) {
		struct quantity q = {0};

		if (quantity_parse(doc_as_str(c), &q) == 0 && q.nano < 0)
			INVALID_INT(quantity_value(&q), "must be a valid resource quantity",
				"capacity[" STR_FMT "]", STR_ARG(c->key));
	}
}

/* Of claims, not of templates, which stand in another object: what those say of a status is nobody's concern. */
CHECK(core_v1_persistent_volume_claim)
{
	static const char *const resizing[] = {"ControllerResizeInProgress",
		"ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible",
		"NodeResizePending", NULL};
	const struct doc *now = get(d, "status");

	(void)old;
	if (AT("%s", "").n)
		return;
	DOC_EACH (q, get(now, "allocatedResources"))
		check_claimed(s, q->key, "status.allocatedResources");
	DOC_EACH (st, get(now, "allocatedResourceStatuses")) {
		check_claimed(s, st->key, "status.allocatedResourceStatuses");
		if (!one_of(resizing, doc_as_str(st)))
			UNSUPPORTED(doc_as_str(st), resizing, "status.allocatedResourceStatuses");
	}
}

/* ---- volumes of the cluster ---- */

static bool
is_root(struct str path)
{
	struct str part = STR_NONE;

	if (!str_starts(path, STR("/")))
		return false;
	while (str_next(&path, '/', &part))
		if (part.n && !str_eq_c(part, "."))
			return false;
	return true;
}

static int
cmp_key(const void *x, const void *y)
{
	return str_cmp((*(const struct doc *const *)x)->key, (*(const struct doc *const *)y)->key);
}

/* by_key: the members in the order of their names, as maps are shown. */
static struct doc *
by_key(struct arena *a, const struct doc *map)
{
	const struct doc **list = NULL;
	struct doc *sorted = doc_map(a);
	size_t n = 0;

	DOC_EACH (m, map)
		*ARENA_PUSH(a, list, n) = m;
	if (n)
		qsort(list, n, sizeof(*list), cmp_key);
	for (size_t i = 0; sorted && i < n; i++)
		doc_set(sorted, list[i]->key, doc_copy(a, list[i]));
	return sorted;
}

static void
check_csi_secrets(const struct schema_spot *s, const struct doc *csi)
{
	static const char *const refs[] = {"controllerPublishSecretRef",
		"controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef", NULL};

	for (const char *const *r = refs; *r; r++) {
		struct str name = text(get(csi, *r), "name"), ns = text(get(csi, *r), "namespace");

		if (!get(csi, *r))
			continue;
		if (name.n)
			FORMAT(FORMAT_DNS_SUBDOMAIN, name, "csi.%s.name", *r);
		else
			REQUIRED(NULL, "csi.%s.name", *r);
		if (ns.n)
			FORMAT(FORMAT_DNS_LABEL, ns, "csi.%s.namespace", *r);
		else
			REQUIRED(NULL, "csi.%s.namespace", *r);
	}
}

CHECK(core_v1_persistent_volume_spec)
{
	static const char *const only[] = {"storage", NULL};
	const struct doc *capacity = get(d, "capacity"), *csi = get(d, "csi");
	const struct doc *local = get(d, "local");
	const struct doc *class = get(d, "volumeAttributesClassName");
	const struct doc *affinity = get(d, "nodeAffinity");
	struct quantity q = {0};

	(void)old;
	if (s->at && str_eq_c(s->at->name, "inlineVolumeSpec"))
		return; /* of a VolumeAttachment: written by the attacher for a volume without object */
	check_access(s, d, NULL);
	if (doc_is_empty(capacity))
		REQUIRED(NULL, "capacity");
	else if (get(capacity, "storage") == NULL || doc_len(capacity) > 1)
		schema_error_fmt(s->errs, SCHEMA_CAUSE_NOT_SUPPORTED, AT("capacity"),
			by_key(s->errs->a, capacity), "supported values: \"%s\"", only[0]);
	DOC_EACH (c, capacity)
		if (quantity_parse(doc_as_str(c), &q) == 0 && q.nano <= 0)
			INVALID_DOC(c, "must be greater than zero", "capacity[" STR_FMT "]",
				STR_ARG(c->key));
	const char *first = check_one_source(s, d, cluster_sources);
	if (!first || !str_eq_c(str_c(first), "csi"))
		csi = NULL;
	if (!first || !str_eq_c(str_c(first), "local"))
		local = NULL;
	if (affinity && get(affinity, "required") == NULL)
		REQUIRED("must specify required node constraints", "nodeAffinity.required");
	if (csi) {
		check_driver(s, text(csi, "driver"), "csi.driver");
		if (!text(csi, "volumeHandle").n)
			REQUIRED(NULL, "csi.volumeHandle");
		check_csi_secrets(s, csi);
	}
	if (local && !text(local, "path").n)
		REQUIRED(NULL, "local.path");
	check_no_dots(s, text(local, "path"), "local.path");
	check_no_dots(s, text(get(d, "hostPath"), "path"), "hostPath.path");
	if (local && get(affinity, "required") == NULL)
		REQUIRED("Local volume requires node affinity", "nodeAffinity");
	if (is(d, "persistentVolumeReclaimPolicy", "Recycle") &&
		is_root(text(get(d, "hostPath"), "path")))
		FORBIDDEN("may not be 'recycle' for a hostPath mount of '/'",
			"persistentVolumeReclaimPolicy");
	if (text(d, "storageClassName").n)
		FORMAT(FORMAT_DNS_SUBDOMAIN, text(d, "storageClassName"), "storageClassName");
	if (class && !doc_as_str(class).n)
		REQUIRED("an empty string is disallowed", "volumeAttributesClassName");
	else if (class)
		FORMAT(FORMAT_DNS_SUBDOMAIN, doc_as_str(class), "volumeAttributesClassName");
	if (class && get(d, "csi") == NULL)
		REQUIRED("has to be specified when using volumeAttributesClassName", "csi");
}

CHECK(core_v1_persistent_volume)
{
	const struct doc *now = get(d, "spec"), *was = get(old, "spec");

	if (was == NULL)
		return;
	for (const char *const *p = cluster_sources; *p; p++)
		if (!doc_equal(get(now, *p), get(was, *p))) {
			FORBIDDEN("spec.persistentvolumesource is immutable after creation",
				"spec.persistentvolumesource");
			break;
		}
	if (differs(get(now, "volumeMode"), get(was, "volumeMode")))
		INVALID_DOC(get(now, "volumeMode"), format_text_immutable, "volumeMode");
	if (get(was, "nodeAffinity") &&
		!doc_equal(get(now, "nodeAffinity"), get(was, "nodeAffinity")))
		INVALID_DOC(get(now, "nodeAffinity"),
			"field is immutable, except for updating from beta label to GA",
			"nodeAffinity");
	if (get(was, "volumeAttributesClassName") && !get(now, "volumeAttributesClassName"))
		FORBIDDEN("update from non-nil value to nil is forbidden",
			"spec.volumeAttributesClassName");
}
