/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * publish_int: what discovery and the OpenAPI writers share. */
#ifndef ORCHESTRATOR_SCHEMA_PUBLISH_INT_H
#define ORCHESTRATOR_SCHEMA_PUBLISH_INT_H

#include "orchestrator/schema/json_out.h"
#include "orchestrator/schema/schema_int.h"

/* What an OpenAPI document says about one operation on one path. */
enum openapi_op {
	OPENAPI_GET,
	OPENAPI_POST,
	OPENAPI_PUT,
	OPENAPI_PATCH,
	OPENAPI_DELETE,
	OPENAPI_OP__COUNT
};

/* openapi_paths: the paths of one group and version. */
void openapi_paths(struct json_out *j, struct arena *a, const struct schema *s,
	const struct schema_group_version *g);
/* openapi_ref: {"$ref": "#/components/schemas/NAME"} members into the open object. */
void openapi_ref(struct json_out *j, struct arena *a, const struct schema_type *t);
/* openapi_gvk: x-kubernetes-group-version-kind as an object. */
void openapi_gvk(struct json_out *j, const char *group, const char *version, const char *kind);
/* openapi_v2_definitions: of the custom kinds that are served; nothing when there are none. */
void openapi_v2_definitions(const struct schema *s, struct buf *out);
void openapi_v2_json_definitions(const struct schema *s, struct json_out *j);
/* openapi_list_type: the list type of a kind, or NULL. */
const struct schema_type *openapi_list_type(const struct schema *s, const struct schema_kind *k);

#endif
