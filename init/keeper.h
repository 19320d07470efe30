/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * keeper: what PID 1 keeps for its roles over their deaths: descriptors by name, and how each reaped
 * child ended. The far end of base/init_proto.h: one SOCK_SEQPACKET connection a role.
 * Invariants: fixed tables, nothing allocated; never waits for a role (what does not fit into its
 * socket stays pending until it is writable); every length and value of a message is checked.
 * Must not: know what the descriptors or the children are. */
#ifndef INIT_KEEPER_H
#define INIT_KEEPER_H

#include "base/init_proto.h"

enum { KEEPER_ROLES = 8, KEEPER_FDS = 8192, KEEPER_EXITS = 4096 };

struct keeper_fd {
	int fd; /* -1 = free */
	uint32_t hash;
	uint8_t role, name_len;
	char name[INIT_NAME_MAX];
};

struct keeper_exit {
	int pid; /* 0 = free */
	int status;
	int64_t at_ns;
	bool told; /* to the role that wants exits */
};

struct keeper_role {
	int fd;           /* our end; -1 = not connected */
	bool wants_exits; /* every INIT_EXIT is sent to it */
	uint32_t may;     /* bit of each enum init_op it may send */
	size_t list_at;   /* next table entry of an INIT_FD_LIST under way; SIZE_MAX = none */
	uint8_t list_len; /* of the prefix it asks for */
	char list[INIT_NAME_MAX];
};

struct keeper {
	struct keeper_role roles[KEEPER_ROLES];
	struct keeper_fd fds[KEEPER_FDS];
	struct keeper_exit exits[KEEPER_EXITS];
	size_t n_fds, exit_next;
	/* A role serves; a role wants the machine off (value as in init_proto.h). */
	void (*on_ready)(void *arg, unsigned role);
	void (*on_power)(void *arg, unsigned role, uint32_t value);
	void *arg;
};

void keeper_init(struct keeper *k);
/* keeper_release: closes all that is kept. */
void keeper_release(struct keeper *k);
/* keeper_connect: the role has a new process with this connection (non-blocking; borrowed until
 * keeper_disconnect). What was kept for an earlier process of the role is there for it. */
void keeper_connect(struct keeper *k, unsigned role, int fd, bool wants_exits, uint32_t may);
void keeper_disconnect(struct keeper *k, unsigned role);
/* keeper_receive: takes one message. 1 = one was handled, 0 = none there, -EPIPE the role is gone,
 * -EPROTO it broke the protocol, -EPERM it may not ask this (both: end it), -ENFILE the table is full (the
 * descriptor was dropped). */
int keeper_receive(struct keeper *k, unsigned role);
/* keeper_exited: records the end of a reaped child. The oldest record goes when the table is full. */
void keeper_exited(struct keeper *k, int pid, int status, int64_t at_ns);
/* keeper_forget: closes what is kept for the role under this name; one that ends in '*': under all that begin so. */
void keeper_forget(struct keeper *k, unsigned role, struct str name);
/* keeper_flush: sends what is pending to the role. True: more is left, call again when writable. */
bool keeper_flush(struct keeper *k, unsigned role);

#endif
