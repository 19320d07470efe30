/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * launch_int: what launch.c and launch_mounts.c share. */
#ifndef RUNTIME_LAUNCH_INT_H
#define RUNTIME_LAUNCH_INT_H

#include "orchestrator/runtime/launch.h"

/* launch_keep: closes fd after the clone; passes it (or -1) on. */
int launch_keep(struct launch *l, int fd);
/* launch_mounts: root, shm and all volumes as detached mounts. 0 or l->err.code. */
int launch_mounts(struct launch *l);

#endif
