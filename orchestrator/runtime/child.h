/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * child: what runs between clone3 and execve. The parent is a process with threads, so the child calls
 * the kernel only: no malloc, no stdio, no locks, no wrappers that talk to threads (setuid). All that it
 * needs was prepared by launch.c and stands in struct child; descriptors are open already.
 *
 * Talk with the parent over one seqpacket socket:
 *   child -> parent  struct child_report READY (with the terminal's descriptor when there is one)
 *   parent -> child  one byte: go; end of file: the parent has died, nothing may run (CHILD_NOT_STARTED)
 *   child -> parent  end of file by execve (close-on-exec): it runs; or a FAILED report, then exit */
#ifndef RUNTIME_CHILD_H
#define RUNTIME_CHILD_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "orchestrator/runtime/devices.h"

#define CHILD_NOT_STARTED 199 /* exit code while the parent still says STARTING */
#define CHILD_WHAT 64
#define CHILD_PATH 256

enum child_report_kind { CHILD_READY = 1, CHILD_FAILED };

struct child_report {
	int32_t kind;
	int32_t error;     /* errno */
	int32_t exit_code; /* a shell's: 126, 127, else 128 */
	char what[CHILD_WHAT];
	char path[CHILD_PATH];
};

struct child_mount {
	int fd;             /* detached mount */
	const char *target; /* absolute, in the container */
	bool dir;
};

struct child {
	/* 1: where */
	int sock;
	int ns[4]; /* net, ipc, uts (pod) descriptors, -1 = keep; [3] unused for starts */
	int join;  /* exec: pidfd of the container's first process; -1 = a start */
	bool wait_go;
	/* 2: the file system (starts only) */
	int root;          /* detached overlay */
	const char *stage; /* an empty folder of the host, to mount it on */
	int shm;           /* detached mount or -1 */
	const struct child_mount *mounts;
	size_t n_mounts;
	const struct device_node *nodes;
	size_t n_nodes;
	const char *const *masked, *const *readonly;
	size_t n_masked, n_readonly;
	bool privileged, read_only_root;
	/* 3: the process */
	int stdio[3]; /* -1 = /dev/null (opened by the child) */
	bool tty;
	uint16_t cols, rows;
	const char *oom_score_adj; /* text, NULL = keep */
	const struct runtime_rlimit *rlimits;
	size_t n_rlimits;
	uint32_t uid, gid;
	const gid_t *groups;
	size_t n_groups;
	uint64_t caps;
	bool no_new_privs;
	struct sock_fprog seccomp; /* len 0 = none */
	const char *cwd;
	char *const *argv, *const *envp;
	const char *path; /* of $PATH */
	uint64_t last_cap;
};

/* child_main: never returns. */
_Noreturn void child_main(const struct child *c);
/* child_pod_init_main: PID 1 of a shared process namespace: empty root, then execveat(exe). */
struct child_init {
	int ns[4];
	int exe; /* this program */
	const char *stage;
	char *const *argv;
	uint64_t last_cap;
};
_Noreturn void child_pod_init_main(const struct child_init *c);

#endif
