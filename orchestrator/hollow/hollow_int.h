/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hollow_int: what the files of this folder share. */
#ifndef ORCHESTRATOR_HOLLOW_INT_H
#define ORCHESTRATOR_HOLLOW_INT_H

#include "base/hash.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/queue.h"
#include "orchestrator/client/client.h"
#include "orchestrator/hollow/hollow.h"
#include "orchestrator/schema/schema.h"

#include "kinds/projections_v1.h"

#include <stdio.h>
#include <stdlib.h>

#define HOLLOW_SLOTS 256 /* addresses of a node's range that are used: those of its last byte */

struct hollow_node {
	struct hollow *h;
	struct str name; /* of the map */
	struct ip_addr ip;
	struct ip_prefix ranges[2]; /* of its pods; family 0: none */
	struct loop_timer beat;
	int64_t told_ns; /* when its conditions were last written; 0 = never */
	unsigned next_slot;
	uint8_t used[HOLLOW_SLOTS / 8];
	bool ready;
};

struct hollow {
	struct loop *loop;
	struct client *c;
	struct hollow_config cfg;
	struct hollow_node *nodes;
	struct map by_name; /* -> struct hollow_node */
	struct map slots;   /* uid of a pod -> its slot, as a pointer */
	struct queue *node_q, *lease_q, *pod_q;
	struct informer *node_cache, *pod_cache;
	struct hollow_call *calls; /* under way */
	size_t n_ready;
};

/* hollow_call_start: one call for one key of a queue: the key is done when it is answered. */
void hollow_call_start(
	struct hollow *h, struct queue *q, struct str key, const struct client_req *req);

/* ---- pod.c ---- */
enum hollow_stage {
	HOLLOW_NOTHING,  /* all is said */
	HOLLOW_CREATING, /* the pod is known here */
	HOLLOW_RUNNING,  /* all containers run and are ready */
	HOLLOW_ENDED,    /* all have ended */
	HOLLOW_GONE,     /* it is taken out of the API */
};
/* hollow_pod_next: what is to be said next of a pod at wall time now_ns. *ret_wait_ns: when to look again
 * (0 = when it changes). */
enum hollow_stage hollow_pod_next(
	const struct pretended_pod *p, int64_t now_ns, int64_t *ret_wait_ns);
/* hollow_pod_status: the patch that says it; ips: the pod's addresses. */
void hollow_pod_status(struct buf *b, const struct pretended_pod *p, enum hollow_stage stage,
	const struct ip_addr *host, const struct ip_addr ips[2], int64_t now_ns);
void hollow_on_pod(void *arg, const struct informer_obj *old, const struct informer_obj *new_);
void hollow_pod_sync(void *arg, struct str key);

#endif
