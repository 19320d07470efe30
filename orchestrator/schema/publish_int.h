/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * publish_int: what discovery and the OpenAPI writers share. */
#ifndef ORCHESTRATOR_SCHEMA_PUBLISH_INT_H
#define ORCHESTRATOR_SCHEMA_PUBLISH_INT_H

#include "orchestrator/schema/json_out.h"
#include "orchestrator/schema/schema_int.h"

/* openapi_paths: the paths of one group and version. */
void openapi_paths(struct json_out *j, struct arena *a, const struct schema *s,
	const struct schema_group_version *g);
/* openapi_is_stream: what it is asked with are query parameters, and what it answers is no document. */
bool openapi_is_stream(const struct schema_subresource *u);
/* openapi_root_path: the path of one of the documents above them, "api", "apis" or "apis/G"; gives the name of the
 * meta type it answers. */
const char *openapi_root_path(
	struct json_out *j, struct arena *a, const struct schema *s, struct str path);
/* openapi_ref: {"$ref": "#/components/schemas/NAME"} members into the open object. */
void openapi_ref(struct json_out *j, struct arena *a, const struct schema_type *t);
/* openapi_gvk: x-kubernetes-group-version-kind as an object. */
void openapi_gvk(struct json_out *j, const char *group, const char *version, const char *kind);
/* openapi_gvks: x-kubernetes-group-version-kind of a type that is the body of a request; g: the version whose document it
 * is in, NULL = all. */
void openapi_gvks(struct json_out *j, const struct schema *s, const struct schema_group_version *g,
	const struct schema_type *t);
/* openapi_custom: the schema of a custom resource; openapi_custom_list: of a list of them. */
void openapi_custom(struct json_out *j, struct arena *a, const struct schema *s,
	const struct schema_group_version *g, const struct schema_type *t);
void openapi_custom_list(
	struct json_out *j, struct arena *a, const struct schema *s, const struct schema_kind *k);
/* openapi_each: the version 3 schema of every type of the built-in kinds, once each; a is cleared behind fn. 0, -ENOMEM. */
int openapi_each(const struct schema *s,
	void (*fn)(void *arg, struct arena *a, struct str name, struct doc *d), void *arg);
/* openapi_v2_custom: the definition of a custom resource; openapi_v2_custom_list: of a list of them. arena; NULL = it
 * failed. openapi_v2_gvk: what kind it is of. */
struct doc *openapi_v2_custom(struct arena *a, const struct schema_kind *k);
struct doc *openapi_v2_custom_list(struct arena *a, const struct schema_kind *k);
void openapi_v2_gvk(
	struct arena *a, struct doc *d, const char *group, const char *version, const char *kind);
/* openapi_v2_definitions: of all kinds that are served. */
void openapi_v2_definitions(const struct schema *s, struct buf *out);
void openapi_v2_json_definitions(const struct schema *s, struct json_out *j);
/* openapi_list_name: what the list of a kind is called. arena. */
struct str openapi_list_name(struct arena *a, const struct schema *s, const struct schema_kind *k);
/* openapi_list_type: the list type of a kind, or NULL. */
const struct schema_type *openapi_list_type(const struct schema *s, const struct schema_kind *k);

#endif
