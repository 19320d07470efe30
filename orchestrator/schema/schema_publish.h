/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * schema_publish: discovery and OpenAPI documents, made from the tables on demand; the API caches the
 * bytes with their hash. Part of schema.h. All append JSON (or protobuf) to out; failures are in out.
 *
 * Source: Kubernetes API discovery (apidiscovery.k8s.io/v2), meta/v1 APIResourceList, OpenAPI 3.0,
 * gnostic openapi.v2 (protobuf numbers). */
#ifndef ORCHESTRATOR_SCHEMA_PUBLISH_H
#define ORCHESTRATOR_SCHEMA_PUBLISH_H

#include "orchestrator/schema/schema.h"

/* schema_discovery_aggregated: APIGroupDiscoveryList for /api (core = true) or /apis. version: "v2" or
 * "v2beta1". */
void schema_discovery_aggregated(
	const struct schema *s, bool core, const char *version, struct buf *out);
/* schema_version_served: some kind of this group and version is served. */
bool schema_version_served(const struct schema *s, const struct schema_group_version *g);
/* schema_discovery_versions: /api -> APIVersions. server: "host:port" for serverAddressByClientCIDRs. */
void schema_discovery_versions(const struct schema *s, struct str server, struct buf *out);
/* schema_discovery_groups: /apis -> APIGroupList. */
void schema_discovery_groups(const struct schema *s, struct buf *out);
/* schema_discovery_group: /apis/G -> APIGroup. 0 or -ENOENT. */
int schema_discovery_group(const struct schema *s, struct str group, struct buf *out);
/* schema_discovery_resources: /api/v1, /apis/G/V -> APIResourceList. 0 or -ENOENT. */
int schema_discovery_resources(
	const struct schema *s, struct str group, struct str version, struct buf *out);

/* schema_openapi_v3_index: /openapi/v3. hash(arg, path) gives the hash of one document ("api/v1"). */
void schema_openapi_v3_index(const struct schema *s, struct str (*hash)(void *arg, struct str path),
	void *arg, struct buf *out);
/* schema_openapi_v3_path / _next: the documents: "api/v1", "apis/apps/v1"...; NULL at the end. arena. */
struct str schema_openapi_v3_path(struct arena *a, const struct schema *s, size_t i);
/* schema_openapi_v3: one document, whole: paths and components. path as above. 0 or -ENOENT, -ENOMEM. */
int schema_openapi_v3(const struct schema *s, struct str path, struct buf *out);
/* schema_openapi_v2_proto: the "paths only" Document in protobuf. schema_openapi_v2_json: the same as JSON. */
void schema_openapi_v2_proto(const struct schema *s, struct buf *out);
void schema_openapi_v2_json(const struct schema *s, struct buf *out);
/* schema_openapi_name: "io.k8s.api.apps.v1.Deployment". arena. */
struct str schema_openapi_name(struct arena *a, const struct schema_type *t);

#endif
