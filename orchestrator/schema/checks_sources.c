/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_sources: what volumes are made of, where a flag of a field cannot say it: kinds of storage of pods and of
 * the cluster.
 * Source: k8s.io/kubernetes pkg/apis/core/validation (validate*VolumeSource). */
#include "orchestrator/schema/checks_int.h"

#include "base/regex.h"

static const char lun_text[] = "must be between 0 and 255, inclusive";

static bool
matches(struct arena *a, const char *pattern, struct str s)
{
	const struct regex *re = NULL;
	struct err e = {0};
	return regex_compile(a, str_c(pattern), &re, &e) == 0 && regex_match(re, s) == 1;
}

/* ---- iSCSI ---- */

static const struct {
	const char *prefix, *pattern;
} iscsi_names[] = {
	{"iqn", "iqn\\.\\d{4}-\\d{2}\\.([[:alnum:]-.]+)(:[^,;*&$|\\s]+)$"},
	{"eui", "^eui.[[:alnum:]]{16}$"},
	{"naa", "^naa.[[:alnum:]]{32}$"},
};

static void
check_iscsi_name(const struct schema_spot *s, struct str name, const char *at, const char *unknown)
{
	for (size_t i = 0; i < ARRAY_LEN(iscsi_names); i++) {
		if (!str_starts(name, str_c(iscsi_names[i].prefix)))
			continue;
		if (!matches(s->errs->a, iscsi_names[i].pattern, name))
			INVALID(name, "must be valid format", "%s", at);
		return;
	}
	INVALID(name, unknown, "%s", at);
}

static void
check_iscsi(const struct schema_spot *s, const struct doc *d, const char *unknown)
{
	const struct doc *initiator = get(d, "initiatorName"), *secret = get(d, "secretRef");
	int64_t lun = number(d, "lun");

	if (text(d, "iqn").n)
		check_iscsi_name(s, text(d, "iqn"), "iqn", unknown);
	if (lun < 0 || lun > 255)
		INVALID_INT(lun, lun_text, "lun");
	if ((flag(d, "chapAuthDiscovery") || flag(d, "chapAuthSession")) && !secret)
		REQUIRED(NULL, "secretRef");
	if (initiator)
		check_iscsi_name(s, doc_as_str(initiator), "initiatorname", unknown);
}

CHECK(core_v1_iscsi_volume_source)
{
	(void)old;
	check_iscsi(s, d, "must be valid format starting with iqn, eui, or naa");
}

CHECK(core_v1_iscsi_persistent_volume_source)
{
	(void)old;
	if (get(d, "secretRef") && !text(get(d, "secretRef"), "name").n)
		REQUIRED(NULL, "secretRef.name");
	check_iscsi(s, d, "must be valid format");
}

/* ---- disks ---- */

CHECK(core_v1_fc_volume_source)
{
	const struct doc *names = get(d, "targetWWNs"), *lun = get(d, "lun");

	(void)old;
	if (!doc_len(names) && !doc_len(get(d, "wwids")))
		REQUIRED("must specify either targetWWNs or wwids, but not both", "targetWWNs");
	if (doc_len(names) && doc_len(get(d, "wwids")))
		INVALID_DOC(names, "targetWWNs and wwids can not be specified simultaneously",
			"targetWWNs");
	if (doc_len(names) && !lun)
		REQUIRED("lun is required if targetWWNs is specified", "lun");
	else if (doc_len(names) && (doc_as_int(lun, 0) < 0 || doc_as_int(lun, 0) > 255))
		INVALID_DOC(lun, lun_text, "lun");
}

static void
check_partition(const struct schema_spot *s, const struct doc *d)
{
	int64_t n = number(d, "partition");

	if (n < 0 || n > 255)
		INVALID_INT(n, "must be between 1 and 255, inclusive", "partition");
}

CHECK(core_v1_gce_persistent_disk_volume_source)
{
	(void)old;
	check_partition(s, d);
}

CHECK(core_v1_aws_elastic_block_store_volume_source)
{
	(void)old;
	check_partition(s, d);
}

CHECK(core_v1_azure_disk_volume_source)
{
	static const char *const managed[] = {
		"/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/"
		"microsoft.compute/disks/{disk-id}",
		NULL};
	static const char *const blob[] = {
		"https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd",
		NULL};
	const struct doc *kind = get(d, "kind");
	struct str uri = text(d, "diskURI");
	bool is_managed = is(d, "kind", "Managed");

	(void)old;
	if (kind && is_managed && !str_starts(uri, STR("/subscriptions/")))
		UNSUPPORTED(uri, managed, "diskURI");
	if (kind && !is_managed && !str_starts(uri, STR("https://")))
		UNSUPPORTED(uri, blob, "diskURI");
}

/* ---- file systems of a network ---- */

CHECK(core_v1_nfs_volume_source)
{
	struct str path = text(d, "path");

	(void)old;
	if (!str_starts(path, STR("/")))
		INVALID(path, "must be an absolute path", "path");
}

/* has_port: "host:port", as Go's net.SplitHostPort takes it. */
static bool
has_port(struct str s)
{
	struct str host = STR_NONE, port = STR_NONE;

	if (!str_rcut(s, ':', &host, &port))
		return false;
	if (str_starts(host, STR("[")))
		return host.p[host.n - 1] == ']';
	return str_find_char(host, ':') < 0 && str_find_char(host, '[') < 0 &&
		str_find_char(host, ']') < 0;
}

CHECK(core_v1_quobyte_volume_source)
{
	static const char pairs[] =
		"must be a host:port pair or multiple pairs separated by commas";
	struct str registry = text(d, "registry"), rest = registry, one = STR_NONE;

	(void)old;
	if (!registry.n)
		REQUIRED(pairs, "registry");
	else if (text(d, "tenant").n >= 65)
		REQUIRED("must be a UUID and may not exceed a length of 64 characters", "tenant");
	else
		while (str_next(&rest, ',', &one))
			if (!has_port(one))
				INVALID(registry, pairs, "registry");
	if (!text(d, "volume").n)
		REQUIRED(NULL, "volume");
}

CHECK(core_v1_glusterfs_persistent_volume_source)
{
	const struct doc *ns = get(d, "endpointsNamespace");

	(void)old;
	if (ns && !doc_as_str(ns).n)
		INVALID_DOC(ns,
			"if the endpointnamespace is set, it must be a valid namespace name",
			"endpointsNamespace");
	else if (ns)
		FORMAT(FORMAT_DNS_LABEL, doc_as_str(ns), "endpointsNamespace");
}

CHECK(core_v1_azure_file_persistent_volume_source)
{
	const struct doc *ns = get(d, "secretNamespace");

	(void)old;
	if (ns && ns->type == DOC_STR && !doc_as_str(ns).n)
		REQUIRED(NULL, "secretNamespace");
}

CHECK(core_v1_flocker_volume_source)
{
	struct str name = text(d, "datasetName");
	bool uuid = text(d, "datasetUUID").n != 0;

	(void)old;
	if (!name.n && !uuid)
		REQUIRED("one of datasetName and datasetUUID is required", "%s", "");
	if (name.n && uuid)
		INVALID(STR("resource"),
			"datasetName and datasetUUID can not be specified simultaneously", "%s",
			"");
	if (str_find_char(name, '/') >= 0)
		INVALID(name, "must not contain '/'", "datasetName");
}

/* check_secret: the name, and where the secret may stand in any namespace that one too. */
static void
check_secret(const struct schema_spot *s, const struct doc *d, bool anywhere)
{
	const struct doc *secret = get(d, "secretRef");

	if (secret && !text(secret, "name").n)
		REQUIRED(NULL, "secretRef.name");
	if (secret && anywhere && !text(secret, "namespace").n)
		REQUIRED(NULL, "secretRef.namespace");
}

CHECK(core_v1_cinder_volume_source)
{
	(void)old;
	check_secret(s, d, false);
}

CHECK(core_v1_cinder_persistent_volume_source)
{
	(void)old;
	check_secret(s, d, true);
}

static void
check_storageos(const struct schema_spot *s, const struct doc *d, bool anywhere)
{
	if (!text(d, "volumeName").n)
		REQUIRED(NULL, "volumeName");
	else
		FORMAT(FORMAT_DNS_LABEL, text(d, "volumeName"), "volumeName");
	if (text(d, "volumeNamespace").n)
		FORMAT(FORMAT_DNS_LABEL, text(d, "volumeNamespace"), "volumeNamespace");
	check_secret(s, d, anywhere);
}

CHECK(core_v1_storage_os_volume_source)
{
	(void)old;
	check_storageos(s, d, false);
}

CHECK(core_v1_storage_os_persistent_volume_source)
{
	(void)old;
	check_storageos(s, d, true);
}

/* ---- drivers of others ---- */

static void
check_flex(const struct schema_spot *s, const struct doc *d)
{
	DOC_EACH (option, get(d, "options")) {
		struct str space = option->key, rest = STR_NONE;

		str_cut(option->key, '/', &space, &rest);
		space = lower_text(s->errs->a, arena_fmt(s->errs->a, "." STR_FMT, STR_ARG(space)));
		if (str_ends(space, STR(".kubernetes.io")) || str_ends(space, STR(".k8s.io")))
			INVALID(option->key, "kubernetes.io and k8s.io namespaces are reserved",
				"options[" STR_FMT "]", STR_ARG(option->key));
	}
}

CHECK(core_v1_flex_volume_source)
{
	(void)old;
	check_flex(s, d);
}

CHECK(core_v1_flex_persistent_volume_source)
{
	(void)old;
	check_flex(s, d);
}
