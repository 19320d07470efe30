/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cel_admission: the objects that changes to others are written in: Object{spec: Object.spec{...}} with members of any
 * name, JSONPatch{op, path, from, value}. Part of cel.h.
 *
 * Source: k8s.io/apiserver pkg/cel/mutation, pkg/cel/library/jsonpatch.go; KEP-3962. */
#ifndef ORCHESTRATOR_CEL_ADMISSION_H
#define ORCHESTRATOR_CEL_ADMISSION_H

#include "orchestrator/cel/cel.h"

/* cel_env_patches: as cel_env_new, and those objects, and jsonpatch.escapeKey(). */
const struct cel_env *cel_env_patches(struct arena *a, const struct cel_variable *vars, size_t n);
/* cel_check_patch: are the objects in a value (Object{}, or a list of JSONPatch{}) of the types that their places want:
 * Object.spec at spec? 0; -EINVAL e: upstream's text; -ENOMEM. */
int cel_check_patch(struct arena *a, const struct cel_value *v, struct err *e);

#endif
