/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * crd_control: what keeps CustomResourceDefinitions, beside the server and through its API like any controller.
 * Private to the folder.
 *
 *   crd_status.c   what a status should be
 *   crd_control.c  watches the definitions, writes statuses, empties and lets go what is deleted */
#ifndef ORCHESTRATOR_API_CRD_CONTROL_H
#define ORCHESTRATOR_API_CRD_CONTROL_H

#include "base/hash.h"
#include "orchestrator/client/watch_list.h"

#define CRD_CLEANUP "customresourcecleanup.apiextensions.k8s.io"

/* crd_control_new: runs on loop l with client c (borrowed). Returns owned. */
struct crd_control;
int crd_control_new(struct client *c, struct loop *l, struct crd_control **ret);
void crd_control_free(struct crd_control *k);

struct doc *crd_condition(const struct doc *crd, const char *type); /* NULL = none */
bool crd_condition_is(const struct doc *crd, const char *type, const char *status);
/* crd_status_set: brings crd's status up to date; all: the definitions there are: name -> struct kept_doc. */
void crd_status_set(struct arena *a, const struct map *all, struct doc *crd, int64_t wall_ns);

#endif
