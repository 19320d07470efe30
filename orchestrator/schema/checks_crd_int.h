/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_crd_int: the two halves of what a CustomResourceDefinition must be: the definition (checks_crd.c) and
 * the schemas in it (checks_crd_schema.c). */
#ifndef ORCHESTRATOR_SCHEMA_CHECKS_CRD_INT_H
#define ORCHESTRATOR_SCHEMA_CHECKS_CRD_INT_H

#include "orchestrator/schema/checks_int.h"

/* crd_check_schema: a JSONSchemaProps at path. with_status: the version has a status subresource. */
void crd_check_schema(
	const struct doc *schema, bool with_status, struct str path, struct schema_errors *errs);

#endif
