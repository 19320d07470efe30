/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * role: the roles of the one program, as data. PID 1 (or the subreaper in its place) starts each row
 * that the machine wants as `/proc/self/exe <name>` with fd 3 to itself; the new process finds its row
 * by that name and runs it. Must not: hold state. */
#ifndef INIT_ROLE_H
#define INIT_ROLE_H

#include "init/sandbox.h"
#include "orchestrator/machine/machine.h"

enum role_id { ROLE_NETWORK, ROLE_CONTROL, ROLE_NODE, ROLE_DNS, ROLE__COUNT };

enum role_restart {
	ROLE_ALWAYS,
	ROLE_ON_FAILURE, /* an exit with status 0 means: done */
};

struct role {
	const char *name;
	const char *does; /* one line for --help */
	int (*main)(const struct machine_config *c);
	bool (*wanted)(const struct machine_config *c);
	enum role_restart restart;
	bool gates;                /* others start only when it is ready */
	bool wants_exits;          /* told how every child of PID 1 ended */
	uint32_t may;              /* bits of enum init_op */
	uint64_t caps;             /* the bounding set it starts with */
	uint64_t memory_max_bytes; /* memory.max of its cgroup; 0 = none */
	int oom_score_adj;
};

extern const struct role roles[ROLE__COUNT];

/* role_find: row by name, or NULL. */
const struct role *role_find(const char *name);

/* ---- mains (floor 3 does the work; these hand it the machine's configuration and a fence) ---- */
int role_network_main(const struct machine_config *c);
int role_control_main(const struct machine_config *c);
int role_node_main(const struct machine_config *c);
int role_dns_main(const struct machine_config *c);

#endif
