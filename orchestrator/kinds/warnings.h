/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * warnings: what kinds with pods in them tell a client (request_warn). Private to the folder. The functions that are
 * of kind_ops.warn have its signature: old is NULL on create. */
#ifndef ORCHESTRATOR_KINDS_WARNINGS_H
#define ORCHESTRATOR_KINDS_WARNINGS_H

#include "orchestrator/kinds/kinds_int.h"

/* warn_pod: of a pod, or of a template whose path (with a dot at its end) is `at`. */
void warn_pod(struct request *r, const char *at, const struct doc *meta, const struct doc *spec);
/* warn_name: a name that is no DNS label; used_in says for what it is used. */
void warn_name(struct request *r, const struct doc *obj, const char *used_in);

void warn_workload(struct request *r, const struct doc *obj, const struct doc *old);
void warn_daemonset(struct request *r, const struct doc *obj, const struct doc *old);
void warn_job(struct request *r, const struct doc *obj, const struct doc *old);
void warn_service(struct request *r, const struct doc *obj, const struct doc *old);
void warn_endpointslice(struct request *r, const struct doc *obj, const struct doc *old);

#endif
