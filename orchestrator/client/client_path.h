/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * client_path: a call as method, path with query, and content type: shared by the https transport and by
 * tests. Source: Kubernetes API concepts (resource URIs, list and watch parameters). */
#ifndef ORCHESTRATOR_CLIENT_PATH_H
#define ORCHESTRATOR_CLIENT_PATH_H

#include "orchestrator/client/client.h"

/* client_path_method: "GET", "POST", ... static. client_path_content_type: of the body, static. */
const char *client_path_method(enum client_verb v);
const char *client_path_content_type(enum client_verb v);
/* client_path_put: appends "/api/v1/namespaces/x/pods/y/status?fieldManager=..". */
void client_path_put(struct buf *b, const struct client_req *req);

#endif
