/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * workload_int: what the two files of the frame share: what is remembered of an owner. */
#ifndef ORCHESTRATOR_CONTROL_WORKLOAD_INT_H
#define ORCHESTRATOR_CONTROL_WORKLOAD_INT_H

#include "orchestrator/control/workload.h"

#include "base/hash.h"

#define BURST 500
#define EXPECT_NS (300 * NS_PER_SEC)

struct workload_state {
	struct map names;   /* pods made or deleted, and not yet seen so */
	unsigned calls;     /* creations and deletions under way */
	unsigned batch;     /* how many to make next */
	bool refused;       /* of the last that were made together, one was */
	bool refused_now;   /* of those under way */
	int64_t since_ns;   /* the last time something was begun */
	int64_t delay_ns;   /* between two tries of what is refused */
	int64_t not_before; /* the next try */
	char error[256];
	void *memory; /* the kind's */
};

/* Values of `names`. */
extern char workload_made[], workload_gone[];

/* workload_state: made on first use; NULL = no memory. */
struct workload_state *workload_state(struct workload *w, struct str uid);

#endif
