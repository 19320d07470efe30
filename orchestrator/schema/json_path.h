/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * json_path: see json_path.c. */
#ifndef ORCHESTRATOR_SCHEMA_JSON_PATH_H
#define ORCHESTRATOR_SCHEMA_JSON_PATH_H

#include "base/doc.h"

/* json_path_first: NULL = nothing there, or a path that is not understood. */
const struct doc *json_path_first(const struct doc *d, struct str path);

#endif
