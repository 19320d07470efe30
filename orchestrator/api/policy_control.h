/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * policy_control: what keeps the status of ValidatingAdmissionPolicies. Private to the folder. */
#ifndef ORCHESTRATOR_API_POLICY_CONTROL_H
#define ORCHESTRATOR_API_POLICY_CONTROL_H

#include "orchestrator/client/client.h"

/* policy_control_new: runs on loop l, which is of a worker of s, with client c (borrowed). Returns owned. -ENOMEM. */
struct api_server;
struct policy_control;
int policy_control_new(
	struct api_server *s, struct client *c, struct loop *l, struct policy_control **ret);
void policy_control_free(struct policy_control *k);

#endif
