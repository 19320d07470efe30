/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * daemonset: what the files of the DaemonSet controller share: daemonset.c (nodes and their pods, status),
 * daemonset_pods.c (which pods are made and which go, updates).
 * Source: kube-controller-manager pkg/controller/daemon; KEP-1591 (surge). */
#ifndef ORCHESTRATOR_CONTROL_DAEMONSET_H
#define ORCHESTRATOR_CONTROL_DAEMONSET_H

#include "orchestrator/control/history.h"

#include "kinds/apps_v1.h"
#include "kinds/core_v1.h"

#define GENERATION_LABEL STR("pod-template-generation")

/* Informers beside those of the frame: workload.more. */
struct daemon_controller {
	struct informer *nodes, *revisions;
};

/* What is remembered of a DaemonSet: when a failed pod of a node may be deleted again. Lost with a restart. */
struct daemon_memory {
	struct map waits; /* node -> struct daemon_wait */
};
struct daemon_wait {
	int64_t generation, delay_ns, since_ns;
};

/* A node, and the pods that are on it or meant for it; placed ones first, then by age. */
struct daemon_node {
	struct str name;
	const struct core_v1_node *node; /* NULL: it is not there */
	bool runs;                       /* a pod should be made here */
	bool may_stay;                   /* one that is here may stay */
	const struct informer_obj **pods;
	size_t n_pods;
};

/* One sync. */
struct daemon_sync {
	struct workload_sync *s;
	struct arena *a;
	const struct apps_v1_daemon_set *ds;
	struct daemon_memory *m;
	struct daemon_node *nodes;
	size_t n_nodes;
	struct core_v1_toleration *tolerations; /* of its pods */
	size_t n_tolerations;
	struct str hash;       /* of today's template; "" = not yet known */
	struct str generation; /* of the template, as pods of long ago carry it */
	/* what is to be done */
	const struct informer_obj **go;
	size_t n_go;
	struct doc **make;
	size_t n_make;
};

bool daemon_pod_is_now(const struct daemon_sync *x, const struct core_v1_pod *p);
/* daemon_available: and wakes the DaemonSet when a ready pod will be. */
bool daemon_available(const struct daemon_sync *x, const struct core_v1_pod *p);

/* daemon_pods: makes and deletes what is missing and what is too much; when there is nothing of that, goes on with an
 * update. */
void daemon_pods(struct daemon_sync *x);

#endif
