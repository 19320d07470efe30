/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * deployment: what the files of the Deployment controller share: deployment.c (which ReplicaSets, revisions,
 * sync), deployment_rollout.c (how far to scale which), deployment_status.c.
 * Source: kube-controller-manager pkg/controller/deployment. */
#ifndef ORCHESTRATOR_CONTROL_DEPLOYMENT_H
#define ORCHESTRATOR_CONTROL_DEPLOYMENT_H

#include "orchestrator/control/control.h"

#include "kinds/apps_v1.h"
#include "kinds/core_v1.h"

#define REVISION STR("deployment.kubernetes.io/revision")
#define DESIRED STR("deployment.kubernetes.io/desired-replicas")
#define MAX_REPLICAS STR("deployment.kubernetes.io/max-replicas")
#define TEMPLATE_HASH STR("pod-template-hash")

struct deployment_controller {
	struct control *ctl;
	struct client *c;
	struct queue *q;
	struct informer *deployments, *sets, *pods;
};

/* One ReplicaSet of the deployment, with the scale this sync wants. */
struct rollout_set {
	const struct informer_obj *o;
	const struct apps_v1_replica_set *rs;
	int32_t want;
};

/* One sync of one deployment. */
struct rollout {
	struct deployment_controller *dc;
	struct arena *a;
	struct control_batch *b;
	const struct informer_obj *o;
	const struct apps_v1_deployment *d;
	struct rollout_set *olds; /* oldest first */
	size_t n_olds;
	struct rollout_set *now; /* the one with today's template; NULL = none yet */
	int64_t check_in_ns;     /* progress deadline */
};

/* rollout_plan: fills `want` of every set (paused and plain scaling included). Pure. */
void rollout_plan(struct rollout *x);
/* rollout_bounds: maxSurge and maxUnavailable as numbers. */
void rollout_bounds(
	const struct apps_v1_deployment *d, int32_t *ret_surge, int32_t *ret_unavailable);
bool rollout_complete(const struct rollout *x);
/* rollout_status: writes the status when it differs. set_error: "" or why the new set was refused. */
void rollout_status(struct rollout *x, struct str set_error);

#endif
