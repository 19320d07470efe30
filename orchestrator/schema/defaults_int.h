/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * defaults_int: the default hooks, one for each type marked `hook` in the kind files (tables.c refers to
 * them). Contract of all: see schema_object.h. */
#ifndef ORCHESTRATOR_SCHEMA_DEFAULTS_INT_H
#define ORCHESTRATOR_SCHEMA_DEFAULTS_INT_H

#include "orchestrator/schema/schema_int.h"

void schema_hook_apiextensions_v1_custom_resource_definition(struct arena *a, struct doc *d);
void schema_hook_apps_v1_daemon_set_update_strategy(struct arena *a, struct doc *d);
void schema_hook_apps_v1_deployment_strategy(struct arena *a, struct doc *d);
void schema_hook_apps_v1_stateful_set_update_strategy(struct arena *a, struct doc *d);
void schema_hook_autoscaling_v2_horizontal_pod_autoscaler(struct arena *a, struct doc *d);
void schema_hook_batch_v1_job(struct arena *a, struct doc *d);
void schema_hook_core_v1_container(struct arena *a, struct doc *d);
void schema_hook_core_v1_ephemeral_container(struct arena *a, struct doc *d);
void schema_hook_core_v1_image_volume_source(struct arena *a, struct doc *d);
void schema_hook_core_v1_limit_range_item(struct arena *a, struct doc *d);
void schema_hook_core_v1_namespace(struct arena *a, struct doc *d);
void schema_hook_core_v1_node_status(struct arena *a, struct doc *d);
void schema_hook_core_v1_pod(struct arena *a, struct doc *d);
void schema_hook_core_v1_pod_spec(struct arena *a, struct doc *d);
void schema_hook_core_v1_pod_status(struct arena *a, struct doc *d);
void schema_hook_core_v1_replication_controller(struct arena *a, struct doc *d);
void schema_hook_core_v1_service(struct arena *a, struct doc *d);
void schema_hook_core_v1_service_port(struct arena *a, struct doc *d);
void schema_hook_core_v1_service_spec(struct arena *a, struct doc *d);
void schema_hook_core_v1_volume(struct arena *a, struct doc *d);
void schema_hook_networking_v1_network_policy_spec(struct arena *a, struct doc *d);
void schema_hook_rbac_v1_subject(struct arena *a, struct doc *d);
void schema_hook_resource_v1_device_sub_request(struct arena *a, struct doc *d);
void schema_hook_resource_v1_device_taint(struct arena *a, struct doc *d);
void schema_hook_resource_v1_exact_device_request(struct arena *a, struct doc *d);

#endif
