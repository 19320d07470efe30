/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_int: what the files checks_*.c share. A check says of one object of one type what no single field can
 * say: schema_check_<struct>, for each type marked `check` in the kind files (tables.c refers to them). It is
 * called wherever an object of the type stands, after the rules of its fields and its members' own checks.
 *
 * Invariants: adds causes only; the document is conformed and defaulted. Paths are rendered for faults only.
 * Must not: look at other objects of the store (that is code in kinds/). */
#ifndef ORCHESTRATOR_SCHEMA_CHECKS_INT_H
#define ORCHESTRATOR_SCHEMA_CHECKS_INT_H

#include "orchestrator/schema/schema_int.h"

/* Where the object stands. */
struct schema_spot {
	struct schema_errors *errs;
	struct str base; /* path in front of the chain */
	const struct step *at;
};

/* spot_at: path of the object, or of "x[%zu].y" below it; "" = the object itself. arena. */
struct str spot_at(const struct schema_spot *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The words checks are written in: causes at places below the object at hand. */
#define AT(...) spot_at(s, __VA_ARGS__)
#define REQUIRED(why, ...) schema_err_required(s->errs, AT(__VA_ARGS__), why)
#define FORBIDDEN(why, ...) schema_err_forbidden(s->errs, AT(__VA_ARGS__), why)
#define INVALID(v, why, ...) schema_err_invalid(s->errs, AT(__VA_ARGS__), v, why)
#define INVALID_INT(v, why, ...) schema_err_invalid_int(s->errs, AT(__VA_ARGS__), v, why)
#define INVALID_DOC(v, why, ...)                                                                   \
	schema_error_add(s->errs, SCHEMA_CAUSE_INVALID, AT(__VA_ARGS__), v, str_c(why))
#define DUPLICATE(v, ...) schema_err_duplicate(s->errs, AT(__VA_ARGS__), v)
#define NOT_FOUND(v, ...) schema_err_not_found(s->errs, AT(__VA_ARGS__), v)
#define UNSUPPORTED(v, set, ...) schema_err_unsupported(s->errs, AT(__VA_ARGS__), v, set)
#define UNSUPPORTED_DOC(v, set, ...) schema_err_unsupported_doc(s->errs, AT(__VA_ARGS__), v, set)
/* FORMAT: nothing is rendered while the value is good. */
#define FORMAT(f, v, ...)                                                                          \
	do {                                                                                       \
		if (format_check(s->errs->a, f, v))                                                \
			schema_err_format(s->errs, AT(__VA_ARGS__), f, v);                         \
	} while (0)

static inline const struct doc *
get(const struct doc *d, const char *name)
{
	return doc_get(d, str_c(name));
}
static inline struct str
text(const struct doc *d, const char *name)
{
	return doc_get_str(d, str_c(name));
}
static inline int64_t
number(const struct doc *d, const char *name)
{
	return doc_get_int(d, str_c(name), 0);
}
static inline bool
flag(const struct doc *d, const char *name)
{
	return doc_get_bool(d, str_c(name), false);
}
static inline bool
is(const struct doc *d, const char *name, const char *value)
{
	return str_eq_c(doc_get_str(d, str_c(name)), value);
}

/* has_text: a list of strings holds s. one_of: s is in a NULL-terminated set. is_port: 1..65535. */
bool has_text(const struct doc *list, struct str s);
bool one_of(const char *const *set, struct str s);
static inline bool
is_port(int64_t n)
{
	return n >= 1 && n <= 65535;
}
/* differs: what is not there and what is empty are the same. */
bool differs(const struct doc *x, const struct doc *y);
/* count_members: how many of the named members d has. */
size_t count_members(const struct doc *d, const char *const *names);
/* lower_text: ASCII, arena. */
struct str lower_text(struct arena *a, struct str s);

/* names: documents by a text of theirs, so that long lists cost no more than their length. */
struct names_slot {
	struct str key;
	const struct doc *doc;
};
struct names {
	struct names_slot *slots; /* NULL: the arena failed, or nothing is to come: finds nothing */
	size_t mask;
};
/* names_new: room for max keys. names_of: a list's items by the member `member`. keys_of: a map's members. */
struct names names_new(struct arena *a, size_t max);
struct names keys_of(struct arena *a, const struct doc *map);
struct names names_of(struct arena *a, const struct doc *list, const char *member);
/* names_add: false when the key was there already (which stays). names_find: NULL = not there. */
bool names_add(struct names *n, struct str key, const struct doc *d);
const struct doc *names_find(const struct names *n, struct str key);

/* Checks of one value, used by several types; the place is the member `name` of the object at hand. */
void check_not_negative(const struct schema_spot *s, const struct doc *d, const char *const *names);
void check_immutable_member(
	const struct schema_spot *s, const struct doc *d, const struct doc *old, const char *name);
/* check_share: a number >= 0 or a percentage, of which at most `most` % count (0: any). */
void check_share(const struct schema_spot *s, const struct doc *d, const char *name, const char *at,
	int most);
/* share_is_zero: 0 or "0%". */
bool share_is_zero(const struct doc *v);
/* check_port_or_name: an IntOrString that is a port. */
void check_port_or_name(const struct schema_spot *s, const struct doc *v, const char *at);
/* check_no_dots: "..", as a part of a path. check_local_path: relative as well, and not "..x". */
void check_no_dots(const struct schema_spot *s, struct str path, const char *at);
void check_relative(const struct schema_spot *s, struct str path, const char *at);
void check_local_path(const struct schema_spot *s, struct str path, const char *at);
/* check_pairs: keys and values of labels, at the member `at`. */
void check_pairs(const struct schema_spot *s, const struct doc *map, const char *at);
/* check_endpoint_ip: an address that can be reached: not loopback, link-local, multicast, 0. */
void check_endpoint_ip(const struct schema_spot *s, struct str ip, const char *at);
/* check_driver: name of a CSI driver. */
void check_driver(const struct schema_spot *s, struct str name, const char *at);
/* check_resource: name and amount of one entry of a resource list at "at[name]". */
enum resource_use { USE_CONTAINER, USE_QUOTA, USE_ANY };
void check_resource(
	const struct schema_spot *s, const struct doc *q, const char *at, enum resource_use use);
bool resource_is_native(struct str name); /* of Kubernetes itself: no prefix, or kubernetes.io/ */
bool resource_is_integer(struct str name);
bool resource_is_overcommitted(struct str name);
/* check_signer: "example.com/signer-name". signer_longest_s: how long its certificates for pods may live. */
void check_signer(const struct schema_spot *s, struct str name, const char *at);
bool signer_is_ours(struct str name); /* of kubernetes.io */
int64_t signer_longest_s(struct str name);
/* check_host_process: a pod spec whose containers are processes of a Windows host, all or none. */
void check_host_process(const struct schema_spot *s, const struct doc *spec);
/* check_user_annotations: what a pod tells the signer of its certificate. check_trust_bundle: a volume's source. */
void check_user_annotations(const struct schema_spot *s, const struct doc *map, const char *at);
void check_trust_bundle(const struct schema_spot *s, const struct doc *b, const char *at);
/* check_lb_ingress: ip and host name of an address of a load balancer. */
void check_lb_ingress(const struct schema_spot *s, const struct doc *d);
/* check_counters: numbers of a status: >= 0, those of `within` at most `replicas`, available <= ready
 * (above_ready says that they are not; NULL: there is no such rule). */
void check_counters(const struct schema_spot *s, const struct doc *d, const struct doc *old,
	const char *const *all, const char *const *within, const char *above_ready);
/* check_conditions: the `conditions` of an object: each as metav1.Condition is, types once. */
void check_conditions(const struct schema_spot *s, const struct doc *d);
/* check_pod_template: labels match the selector, restartPolicy Always, no deadline. */
void check_pod_template(const struct schema_spot *s, const struct doc *spec, const char *kind);

#define CHECK(name)                                                                                \
	void schema_check_##name(                                                                  \
		const struct schema_spot *s, const struct doc *d, const struct doc *old)

/* ---- pods: checks_pod.c walks the containers, checks_container.c looks into one ---- */

/* A container in its pod. */
struct in_pod {
	const struct doc *spec;
	struct names volumes, claims; /* of the pod, by name */
	bool init, ephemeral;
};
void check_container(const struct schema_spot *s, const struct doc *c, const struct in_pod *in);
/* check_requirements: a ResourceRequirements at `at`; claims: those of the pod, NULL = it is the pod's own. */
void check_requirements(const struct schema_spot *s, const struct doc *res, const char *at,
	const struct names *claims);
/* check_field_ref, check_resource_ref: what a variable or a file says of its own pod. */
void check_field_ref(
	const struct schema_spot *s, const struct doc *ref, const char *at, bool volume);
void check_resource_ref(
	const struct schema_spot *s, const struct doc *ref, const char *at, bool volume);

/* ---- admission: checks_admission.c, checks_policy.c ---- */

/* check_admission_rule: a RuleWithOperations at `at`. check_match_conditions: a list of conditions; params: their
 * expressions may speak of them. */
void check_admission_rule(const struct schema_spot *s, const struct doc *rule, const char *at);
void check_match_conditions(
	const struct schema_spot *s, const struct doc *list, bool params, const char *at);
/* check_expression: asks who knows the language, if there is one. */
void check_expression(const struct schema_spot *s, struct schema_scope *scope,
	const struct schema_expression *x, const char *at);

CHECK(admissionregistration_v1_mutating_admission_policy);
CHECK(admissionregistration_v1_mutating_admission_policy_binding);
CHECK(admissionregistration_v1_mutating_webhook_configuration);
CHECK(admissionregistration_v1_validating_admission_policy);
CHECK(admissionregistration_v1_validating_admission_policy_binding);
CHECK(admissionregistration_v1_validating_webhook_configuration);
CHECK(apiregistration_v1_api_service);
CHECK(apiextensions_v1_custom_resource_definition);
CHECK(apps_v1_controller_revision);
CHECK(apps_v1_daemon_set_spec);
CHECK(apps_v1_daemon_set_status);
CHECK(apps_v1_deployment_spec);
CHECK(apps_v1_deployment_status);
CHECK(apps_v1_replica_set_spec);
CHECK(apps_v1_replica_set_status);
CHECK(apps_v1_stateful_set_persistent_volume_claim_retention_policy);
CHECK(apps_v1_stateful_set_spec);
CHECK(apps_v1_stateful_set_status);
CHECK(autoscaling_v2_cross_version_object_reference);
CHECK(autoscaling_v2_horizontal_pod_autoscaler_spec);
CHECK(autoscaling_v2_horizontal_pod_autoscaler_status);
CHECK(autoscaling_v2_hpa_scaling_rules);
CHECK(autoscaling_v2_metric_spec);
CHECK(batch_v1_cron_job);
CHECK(batch_v1_cron_job_spec);
CHECK(batch_v1_job);
CHECK(batch_v1_job_spec);
CHECK(batch_v1_job_status);
CHECK(batch_v1_job_template_spec);
CHECK(certificates_v1_certificate_signing_request_condition);
CHECK(certificates_v1_certificate_signing_request_spec);
CHECK(certificates_v1_cluster_trust_bundle);
CHECK(certificates_v1_cluster_trust_bundle_spec);
CHECK(certificates_v1_pod_certificate_request_spec);
CHECK(certificates_v1_pod_certificate_request_status);
CHECK(coordination_v1_lease_spec);
CHECK(core_v1_app_armor_profile);
CHECK(core_v1_aws_elastic_block_store_volume_source);
CHECK(core_v1_azure_disk_volume_source);
CHECK(core_v1_azure_file_persistent_volume_source);
CHECK(core_v1_cinder_persistent_volume_source);
CHECK(core_v1_cinder_volume_source);
CHECK(core_v1_config_map);
CHECK(core_v1_endpoint_address);
CHECK(core_v1_endpoint_subset);
CHECK(core_v1_env_var);
CHECK(core_v1_event);
CHECK(core_v1_fc_volume_source);
CHECK(core_v1_flex_persistent_volume_source);
CHECK(core_v1_flex_volume_source);
CHECK(core_v1_flocker_volume_source);
CHECK(core_v1_gce_persistent_disk_volume_source);
CHECK(core_v1_glusterfs_persistent_volume_source);
CHECK(core_v1_host_alias);
CHECK(core_v1_iscsi_persistent_volume_source);
CHECK(core_v1_iscsi_volume_source);
CHECK(core_v1_key_to_path);
CHECK(core_v1_limit_range_item);
CHECK(core_v1_limit_range_spec);
CHECK(core_v1_load_balancer_ingress);
CHECK(core_v1_namespace);
CHECK(core_v1_nfs_volume_source);
CHECK(core_v1_node);
CHECK(core_v1_node_selector);
CHECK(core_v1_node_selector_term);
CHECK(core_v1_persistent_volume);
CHECK(core_v1_persistent_volume_claim);
CHECK(core_v1_persistent_volume_claim_spec);
CHECK(core_v1_persistent_volume_claim_status);
CHECK(core_v1_persistent_volume_spec);
CHECK(core_v1_pod);
CHECK(core_v1_pod_affinity_term);
CHECK(core_v1_pod_readiness_gate);
CHECK(core_v1_pod_spec);
CHECK(core_v1_pod_template_spec);
CHECK(core_v1_preferred_scheduling_term);
CHECK(core_v1_probe);
CHECK(core_v1_quobyte_volume_source);
CHECK(core_v1_replication_controller_spec);
CHECK(core_v1_replication_controller_status);
CHECK(core_v1_resource_quota_spec);
CHECK(core_v1_resource_quota_status);
CHECK(core_v1_seccomp_profile);
CHECK(core_v1_secret);
CHECK(core_v1_service);
CHECK(core_v1_service_spec);
CHECK(core_v1_storage_os_persistent_volume_source);
CHECK(core_v1_storage_os_volume_source);
CHECK(core_v1_toleration);
CHECK(core_v1_topology_selector_term);
CHECK(core_v1_topology_spread_constraint);
CHECK(core_v1_volume);
CHECK(core_v1_weighted_pod_affinity_term);
CHECK(core_v1_windows_security_context_options);
CHECK(discovery_v1_endpoint_hints);
CHECK(discovery_v1_endpoint_slice);
CHECK(events_v1_event);
CHECK(flowcontrol_v1_flow_schema);
CHECK(flowcontrol_v1_priority_level_configuration);
CHECK(meta_v1_label_selector);
CHECK(networking_v1_http_ingress_path);
CHECK(networking_v1_ingress);
CHECK(networking_v1_ingress_class);
CHECK(networking_v1_ingress_class_parameters_reference);
CHECK(networking_v1_ingress_class_spec);
CHECK(networking_v1_ingress_load_balancer_ingress);
CHECK(networking_v1_ingress_spec);
CHECK(networking_v1_ip_address);
CHECK(networking_v1_ip_block);
CHECK(networking_v1_network_policy_peer);
CHECK(networking_v1_network_policy_port);
CHECK(networking_v1_network_policy_spec);
CHECK(networking_v1_service_cidr_spec);
CHECK(node_v1_runtime_class);
CHECK(policy_v1_pod_disruption_budget_spec);
CHECK(policy_v1_pod_disruption_budget_status);
CHECK(rbac_v1_aggregation_rule);
CHECK(rbac_v1_cluster_role_binding);
CHECK(rbac_v1_policy_rule);
CHECK(rbac_v1_role);
CHECK(rbac_v1_role_binding);
CHECK(resource_v1_device_claim);
CHECK(resource_v1_device_class_configuration);
CHECK(resource_v1_device_class_spec);
CHECK(resource_v1_device_request);
CHECK(resource_v1_device_selector);
CHECK(resource_v1_device_sub_request);
CHECK(resource_v1_device_taint);
CHECK(resource_v1_device_taint_selector);
CHECK(resource_v1_device_toleration);
CHECK(resource_v1_resource_claim);
CHECK(resource_v1_resource_slice_spec);
CHECK(scheduling_v1_priority_class);
CHECK(storage_v1_csi_driver_spec);
CHECK(storage_v1_csi_node_spec);
CHECK(storage_v1_csi_storage_capacity);
CHECK(storage_v1_storage_class);
CHECK(storage_v1_volume_attachment_spec);
CHECK(storage_v1_volume_attributes_class);
CHECK(storagemigration_v1_storage_version_migration);

#endif
