/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * kinds_int: shared within orchestrator/kinds. */
#ifndef ORCHESTRATOR_KINDS_INT_H
#define ORCHESTRATOR_KINDS_INT_H

#include "orchestrator/kinds/kinds.h"
#include "orchestrator/schema/schema.h"

/* One row a kind, each in its file. */
extern const struct kind_ops pod_ops, service_ops, namespace_ops, secret_ops, claim_ops, volume_ops,
	endpointslice_ops, daemonset_ops, deployment_ops, job_ops, csr_ops, crd_ops, hpa_ops,
	pod_certificate_ops, trust_bundle_ops, mutating_webhooks_ops, validating_webhooks_ops,
	mutating_policies_ops, mutating_policy_bindings_ops, validating_policies_ops,
	validating_policy_bindings_ops, apiservice_ops, statefulset_ops, replicaset_ops,
	replicationcontroller_ops, podtemplate_ops, cronjob_ops, csidriver_ops;

/* Admission plugins, each family in its file. */
enum step admit_namespace_lifecycle(struct request *r);
enum step admit_service_account(struct request *r);
enum step admit_priority(struct request *r);
enum step admit_priority_class(struct request *r);
enum step admit_default_tolerations(struct request *r);
enum step admit_runtime_class(struct request *r);
enum step admit_runtime_class_overhead(struct request *r);
enum step admit_limit_defaults(struct request *r);
enum step admit_limits(struct request *r);
enum step admit_quota(struct request *r);
enum step admit_default_storage_class(struct request *r);
enum step admit_storage_protection(struct request *r);
enum step admit_taint_node(struct request *r);
enum step admit_node_restriction(struct request *r);
enum step admit_certificate_approval(struct request *r);
enum step admit_certificate_signing(struct request *r);
enum step admit_certificate_subject(struct request *r);
enum step admit_bundle_attest(struct request *r);

/* may_signer: may the request's user `verb` for this signer, or for all of its domain? */
bool may_signer(struct request *r, const char *verb, struct str signer);

/* ---- helpers over documents ---- */
#define S(lit) STR(lit)
static inline struct doc *
meta_of(const struct doc *obj)
{
	return doc_get(obj, S("metadata"));
}
static inline struct str
meta_str(const struct doc *obj, const char *name)
{
	return doc_get_str(meta_of(obj), str_c(name));
}
static inline bool
is_deleting(const struct doc *obj)
{
	return doc_get_str(meta_of(obj), S("deletionTimestamp")).n > 0;
}
/* list_has: a list of strings holds s. list_add: appends it when it does not. */
bool list_has(const struct doc *list, struct str s);
void list_add(struct arena *a, struct doc *list, struct str s);
/* keep: obj's member becomes what old has (removed when old has none). */
void keep_member(struct arena *a, struct doc *obj, const struct doc *old, struct str name);
/* check_static_name: names that are kept for configurations of admission from files. warn_static_name: of one that
 * is there. */
void check_static_name(struct request *r, const struct doc *obj);
void warn_static_name(struct request *r, const struct doc *obj);
/* immutable: adds "field is immutable" when a member differs. */
void check_immutable(
	struct request *r, struct str field, const struct doc *now, const struct doc *old);

#endif
