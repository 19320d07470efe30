/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * supervise: the life of the roles: start, restart with back-off, reap, stop. As PID 1 of a machine, or
 * as the child subreaper of `keelson node` on an ordinary Linux.
 *
 *   SIGCHLD -> reap every child -> a role: restart it; another: an exit record, told to the node role
 *   fd 3 of a role -> keeper
 *   SIGTERM, SIGINT, power button, INIT_POWER -> stop: roles, then all processes, then power
 *
 * Invariants: one loop, nothing allocated after supervise_init; a role is started
 * again at once, ten times in ten seconds; beyond that it waits 100 ms, doubling up to 5 s. Its listening sockets
 * stay open meanwhile (base/init_proto.h), but not over a wait of more than a second: then, and at the
 * end, who connects is refused.
 * Must not: parse anything from outside, wait for a role. */
#ifndef INIT_SUPERVISE_H
#define INIT_SUPERVISE_H

#include "init/keeper.h"
#include "init/role.h"

#include "base/loop.h"

enum stop_kind { STOP_NONE = -1, STOP_REBOOT, STOP_POWEROFF, STOP_EXIT };

struct supervisor;

struct role_state {
	struct supervisor *sv;
	const struct role *role;
	int pid; /* 0 = not running */
	bool wanted, ready, done;
	int64_t started_ns;
	int64_t delay_ns; /* of the next restart */
	int64_t burst_ns; /* since when `burst` counts */
	unsigned restarts, burst;
	int cgroup_fd; /* its folder in the cgroup tree; -1 = none */
	struct loop_fd conn;
	struct loop_timer again;
};

enum stop_phase { STOP_NOT, STOP_ROLES, STOP_TERM, STOP_KILL };

struct supervisor {
	struct loop *loop;
	struct keeper *keeper;
	struct role_state roles[ROLE__COUNT];
	struct loop_fd signals;
	struct loop_timer stop_timer;
	enum stop_kind stop;
	enum stop_phase phase;
	bool pid1;     /* all processes of the machine are ours to end */
	int64_t up_ns; /* when the last wanted role was ready the first time; 0 = not yet */
};

/* supervise_init: blocks the signals it handles and makes cgroups for the wanted roles below
 * cgroup_root (NULL: none). k is kept. 0 or -errno. */
int supervise_init(struct supervisor *sv, struct loop *l, struct keeper *k, bool pid1,
	const struct machine_config *c, const char *cgroup_root, struct err *e);
/* supervise_start: starts what may start now: a role that gates the others first. */
void supervise_start(struct supervisor *sv);
/* supervise_stop: begins the orderly end; the loop stops when it is done, with sv->stop as its code. */
void supervise_stop(struct supervisor *sv, enum stop_kind kind, const char *why);

#endif
