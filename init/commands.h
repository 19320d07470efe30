/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * commands: entry points of the one program whose work is done on floor 3. */
#ifndef INIT_COMMANDS_H
#define INIT_COMMANDS_H

/* argv[0] is the command's own name. They return the exit status. */
int cmd_server(int argc, char **argv);
int cmd_pod_init(int argc, char **argv);

#endif
