/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * commands: entry points of the one program whose work is done on floor 3. */
#ifndef INIT_COMMANDS_H
#define INIT_COMMANDS_H

#include "base/err.h"
#include "orchestrator/machine/machine.h"

/* argv[0] is the command's own name. They return the exit status. */
int cmd_server(int argc, char **argv);
int cmd_hollow(int argc, char **argv);
int cmd_pod_init(int argc, char **argv);

/* control_prepare: /data/control with the authority of the configuration, owned by the role's user; as
 * root, before the fence. control_fence: the role's own fence (init/sandbox.h): only that folder, only
 * the API's port, no processes. 0 or -errno; after a failed fence the process must end. */
int control_prepare(const struct machine_config *c, struct err *e);
int control_fence(struct err *e);
/* dns_fence: the fence of the name server, after dns_role_prepare: it only reads, and opens connections. */
int dns_fence(struct err *e);

#endif
