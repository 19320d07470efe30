/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * control_table: every controller there is, one row each. */
#include "orchestrator/control/control.h"

extern const struct controller deployment_controller;
extern const struct controller replicaset_controller;
extern const struct controller replication_controller;
extern const struct controller daemonset_controller;
extern const struct controller statefulset_controller;
extern const struct controller job_controller;
extern const struct controller cronjob_controller;
extern const struct controller ttl_after_finished_controller;
extern const struct controller endpointslice_controller;
extern const struct controller endpoints_controller;
extern const struct controller namespace_controller;
extern const struct controller gc_controller;
extern const struct controller certificates_controller;
extern const struct controller pod_certificate_cleaner_controller;
extern const struct controller trust_bundle_publisher_controller;
extern const struct controller volume_binder_controller;
extern const struct controller ephemeral_volume_controller;
extern const struct controller claim_protection_controller;
extern const struct controller volume_protection_controller;
extern const struct controller node_lifecycle_controller;
extern const struct controller taint_eviction_controller;
extern const struct controller node_ipam_controller;
extern const struct controller serviceaccount_controller;
extern const struct controller rootca_controller;
extern const struct controller resourcequota_controller;
extern const struct controller disruption_controller;
extern const struct controller hpa_controller;
extern const struct controller endpointslicemirroring_controller;

const struct controller *const controllers[] = {
	&deployment_controller,
	&replicaset_controller,
	&replication_controller,
	&daemonset_controller,
	&statefulset_controller,
	&job_controller,
	&cronjob_controller,
	&ttl_after_finished_controller,
	&endpointslice_controller,
	&endpoints_controller,
	&namespace_controller,
	&gc_controller,
	&certificates_controller,
	&pod_certificate_cleaner_controller,
	&trust_bundle_publisher_controller,
	&volume_binder_controller,
	&ephemeral_volume_controller,
	&claim_protection_controller,
	&volume_protection_controller,
	&node_lifecycle_controller,
	&taint_eviction_controller,
	&node_ipam_controller,
	&serviceaccount_controller,
	&rootca_controller,
	&resourcequota_controller,
	&disruption_controller,
	&hpa_controller,
	&endpointslicemirroring_controller,
	NULL,
};
