/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * addons: objects that every Keelson cluster has besides Kubernetes' own: the default storage class, the
 * Service of the cluster DNS, and what lets nodes join and speak. Made when missing, never changed
 * afterwards: they are the user's. */
#ifndef ORCHESTRATOR_CONTROL_ADDONS_H
#define ORCHESTRATOR_CONTROL_ADDONS_H

#include "orchestrator/client/client.h"

struct server_context;
struct addons;
/* addons_new: starts making them with client c (system:masters; borrowed), again and again until all
 * are there. ctx is borrowed. Returns owned. */
int addons_new(struct client *c, const struct server_context *ctx, struct addons **ret);
void addons_free(struct addons *x);

#endif
