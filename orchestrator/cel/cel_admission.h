/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cel_admission: what only expressions of admission have: the authorizer's variables as values, and the objects that
 * changes are written in. Part of cel.h.
 *
 * Source: k8s.io/apiserver pkg/cel/library (authz, jsonpatch), pkg/cel/mutation; KEP-3962. */
#ifndef ORCHESTRATOR_CEL_ADMISSION_H
#define ORCHESTRATOR_CEL_ADMISSION_H

#include "orchestrator/cel/cel.h"

/* cel_of_authorizer: the value of `authorizer`: asks cel_world.authorize. */
struct cel_value cel_of_authorizer(void);
/* cel_type_resource_check: of `authorizer.requestResource`; static. cel_of_resource_check: its value: q's group, resource,
 * subresource, namespace and name (borrowed) are what is asked about. arena; not to be used when that failed. */
const struct cel_type *cel_type_resource_check(void);
struct cel_value cel_of_resource_check(struct arena *a, const struct cel_authz *q);

/* cel_env_new_patches: as cel_env_new, and Object{}, Object.spec{} and so on (members of any name), JSONPatch{op, path,
 * from, value}, jsonpatch.escapeKey(). */
const struct cel_env *cel_env_new_patches(
	struct arena *a, const struct cel_variable *vars, size_t n);
/* cel_check_patch: are the objects in a value (Object{}, or a list of JSONPatch{}) of the types that their places want:
 * Object.spec at spec? 0; -EINVAL e: upstream's text. */
int cel_check_patch(struct arena *a, const struct cel_value *v, struct err *e);

#endif
