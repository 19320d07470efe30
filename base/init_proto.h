/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * init_proto: what a role may ask of PID 1 (or of the subreaper in its place on an ordinary Linux):
 * keep descriptors over its own death, tell the exit status of containers (which are children of
 * PID 1, cloned with CLONE_PARENT), and power. fd 3 of every role is a SOCK_SEQPACKET socket to PID 1;
 * one message = one struct init_msg + name bytes, descriptors as SCM_RIGHTS. Both ends check lengths;
 * PID 1 parses nothing else. Source: architecture.md section 3. */
#ifndef BASE_INIT_PROTO_H
#define BASE_INIT_PROTO_H

#include "base/err.h"
#include "base/loop.h"

#define INIT_FD 3
#define INIT_NAME_MAX 200

enum init_op {
	INIT_FD_PUT = 1, /* role -> init: keep this descriptor under `name` (replaces) */
	INIT_FD_DEL,     /* role -> init: forget it; name ending in '*' = all with that prefix */
	INIT_FD_LIST, /* role -> init: send INIT_FD_ITEM of this role, those whose name begins with
			  * `name` (empty: all), then INIT_FD_END */
	INIT_FD_ITEM, /* init -> role: name + descriptor */
	INIT_FD_END,  /* init -> role */
	INIT_EXIT_QUERY, /* role -> init: pid -> INIT_EXIT when it has ended; nothing if it lives */
	INIT_EXIT, /* init -> role: pid, status (as of waitid), start/end; also sent unasked */
	INIT_EXIT_FORGET, /* role -> init: record of pid may go */
	INIT_READY,       /* role -> init: serving now */
	INIT_POWER,       /* role -> init: value = 0 reboot, 1 power off */
	INIT__COUNT
};

struct init_msg {
	uint32_t op;
	int32_t pid;
	int32_t status; /* wait status: WIFEXITED etc. apply */
	uint32_t value;
	int64_t at_ns; /* wall time of the exit */
	uint32_t name_len;
	uint32_t pad;
};

/* The role's end. */
struct init_client;
/* init_client_new: fd = INIT_FD or a test's socket. on_exit is called for every INIT_EXIT.
 * Returns owned. Errors: -ENOTSOCK when there is no PID 1 to speak to (tests), -ENOMEM. */
int init_client_new(struct loop *l, int fd,
	void (*on_exit)(void *arg, int pid, int status, int64_t at_ns), void *arg,
	struct init_client **ret);
void init_client_free(struct init_client *c);
/* init_fd_put: PID 1 keeps a duplicate of fd. init_fd_del forgets. 0 or -errno of send. */
int init_fd_put(struct init_client *c, struct str name, int fd);
int init_fd_del(struct init_client *c, struct str name);
/* init_fd_list: fn(arg, name, fd) for each kept descriptor whose name begins with prefix (fd is owned by
 * fn); synchronous at role start only (waits for PID 1's answer, at most timeout_ms).
 * 0, -ETIMEDOUT, -errno. */
int init_fd_list(struct init_client *c, struct str prefix, int timeout_ms,
	void (*fn)(void *arg, struct str name, int fd), void *arg);

/* Listening sockets stay open over the death of the role that serves on them: who connects, or asks, meanwhile
 * waits in the kernel for the next process instead of being refused. The first process opens a socket
 * and gives it to PID 1 by init_fd_put; each later one has it from init_sockets. PID 1 lets go of what is
 * called so when the role dies again and again (supervise.h), be it a socket or something else that a role
 * wants back only as long as it does it good. */
#define INIT_LISTEN "listen/"
struct init_socket {
	char name[96]; /* INIT_LISTEN and what it is */
	int fd;
};
/* init_sockets: fd of each row: what is kept under its name (owned by the caller), or -1. Kept ones that are in no
 * row are given back. As init_fd_list; on error no row has a descriptor. */
int init_sockets(struct init_client *c, struct init_socket *s, size_t n);

int init_exit_query(struct init_client *c, int pid);
int init_exit_forget(struct init_client *c, int pid);
int init_ready(struct init_client *c);
int init_power(struct init_client *c, bool off);

#endif
