/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * schedule: front door of the scheduler: gives every pod without a node one, on a task of its own, as a
 * client of the API like any other.
 *
 *   informers -> cache (nodes with what their pods ask for) -> queue -> filter -> score -> assume -> bind
 *
 * One pod at a time, in the order of priority and age; binding runs beside the next pods' turns. A pod that
 * fits nowhere waits until something changes that could help it (a table says what), at most 5 min.
 * Sources: kube-scheduler's framework (KEP-624), its default plugins, SchedulingGates (KEP-3521),
 * volume binding (KEP-490 and delayed binding). */
#ifndef ORCHESTRATOR_SCHEDULE_SCHEDULE_H
#define ORCHESTRATOR_SCHEDULE_SCHEDULE_H

#include "orchestrator/client/client.h"

struct scheduler;
struct scheduler_config {
	struct client *client; /* borrowed; user system:kube-scheduler */
	struct str name;       /* "" = "default-scheduler": pods of this schedulerName are ours */
};
/* scheduler_new: starts its informers on the client's loop. Returns owned. -ENOMEM. */
int scheduler_new(const struct scheduler_config *cfg, struct scheduler **ret);
void scheduler_free(struct scheduler *s);
struct scheduler_stats {
	uint64_t bound, failed_attempts, bind_errors;
	size_t waiting;
};
void scheduler_stats(const struct scheduler *s, struct scheduler_stats *ret);

/* The row of orchestrator/api's server_parts[]: the scheduler on a task of its own. */
struct server_part;
extern const struct server_part schedule_part;

#endif
