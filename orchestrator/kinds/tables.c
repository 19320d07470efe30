/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * tables: every kind that has code, and the admission plugins in the order of kube-apiserver's. */
#include "orchestrator/kinds/kinds_int.h"

static const struct kind_ops *const kinds[] = {
	&pod_ops,
	&service_ops,
	&namespace_ops,
	&secret_ops,
	&claim_ops,
	&volume_ops,
	&endpointslice_ops,
	&deployment_ops,
	&daemonset_ops,
	&job_ops,
	&statefulset_ops,
	&replicaset_ops,
	&replicationcontroller_ops,
	&podtemplate_ops,
	&cronjob_ops,
	&csidriver_ops,
	&csr_ops,
	&pod_certificate_ops,
	&trust_bundle_ops,
	&mutating_webhooks_ops,
	&validating_webhooks_ops,
	&mutating_policies_ops,
	&mutating_policy_bindings_ops,
	&validating_policies_ops,
	&validating_policy_bindings_ops,
	&crd_ops,
	&hpa_ops,
	&apiservice_ops,
};

#define CREATE_UPDATE (ADMIT_CREATE | ADMIT_UPDATE)
#define ALL_OPS (ADMIT_CREATE | ADMIT_UPDATE | ADMIT_DELETE)
#define EVERY_OP (ALL_OPS | ADMIT_CONNECT)
#define CSR "certificates.k8s.io", "certificatesigningrequests"

static const struct admission_plugin mutating[] = {
	{"NamespaceLifecycle", ALL_OPS, NULL, NULL, "*", admit_namespace_lifecycle},
	{"LimitRanger", ADMIT_CREATE, "", "pods", NULL, admit_limit_defaults},
	{"LimitRanger", ADMIT_UPDATE, "", "pods", "resize", admit_limit_defaults},
	{"ServiceAccount", ADMIT_CREATE, "", "pods", NULL, admit_service_account},
	{"NodeRestriction", ALL_OPS, NULL, NULL, "*", admit_node_restriction},
	{"TaintNodesByCondition", ADMIT_CREATE, "", "nodes", NULL, admit_taint_node},
	{"Priority", CREATE_UPDATE, "", "pods", NULL, admit_priority},
	{"DefaultTolerationSeconds", CREATE_UPDATE, "", "pods", NULL, admit_default_tolerations},
	{"DefaultStorageClass", ADMIT_CREATE, "", "persistentvolumeclaims", NULL,
		admit_default_storage_class},
	{"StorageObjectInUseProtection", ADMIT_CREATE, "", "persistentvolumeclaims", NULL,
		admit_storage_protection},
	{"StorageObjectInUseProtection", ADMIT_CREATE, "", "persistentvolumes", NULL,
		admit_storage_protection},
	{"RuntimeClass", ADMIT_CREATE, "", "pods", NULL, admit_runtime_class},
	{"MutatingAdmissionPolicy", CREATE_UPDATE | ADMIT_CONNECT, NULL, NULL, "*",
		admit_mutating_policies},
	{"MutatingAdmissionWebhook", EVERY_OP, NULL, NULL, "*", admit_mutating_webhooks},
};

static const struct admission_plugin validating[] = {
	{"LimitRanger", ADMIT_CREATE, "", "pods", NULL, admit_limits},
	{"LimitRanger", ADMIT_UPDATE, "", "pods", "resize", admit_limits},
	{"LimitRanger", CREATE_UPDATE, "", "persistentvolumeclaims", NULL, admit_limits},
	{"Priority", CREATE_UPDATE, "scheduling.k8s.io", "priorityclasses", NULL,
		admit_priority_class},
	{"RuntimeClass", ADMIT_CREATE, "", "pods", NULL, admit_runtime_class_overhead},
	{"CertificateApproval", ADMIT_UPDATE, CSR, "approval", admit_certificate_approval},
	{"CertificateSigning", ADMIT_UPDATE, CSR, "status", admit_certificate_signing},
	{"ClusterTrustBundleAttest", CREATE_UPDATE, "certificates.k8s.io", "clustertrustbundles",
		NULL, admit_bundle_attest},
	{"CertificateSubjectRestriction", ADMIT_CREATE, CSR, NULL, admit_certificate_subject},
	{"ValidatingAdmissionPolicy", EVERY_OP, NULL, NULL, "*", admit_validating_policies},
	{"ValidatingAdmissionWebhook", EVERY_OP, NULL, NULL, "*", admit_validating_webhooks},
	/* Last: who is charged is let in. */
	{"ResourceQuota", CREATE_UPDATE, NULL, NULL, "*", admit_quota},
};

const struct kind_tables kinds_tables = {
	.kinds = kinds,
	.n_kinds = ARRAY_LEN(kinds),
	.mutating = mutating,
	.n_mutating = ARRAY_LEN(mutating),
	.validating = validating,
	.n_validating = ARRAY_LEN(validating),
};
