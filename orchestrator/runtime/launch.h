/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * launch: the parent's half of starting a process: overlay, volumes, devices, filter and strings are
 * made ready by a helper thread, then clone3 with CLONE_PARENT | CLONE_PIDFD | CLONE_INTO_CGROUP. The
 * loop then speaks with the child (child.h) over `sock`. One struct launch for containers and execs.
 * Source: clone3(2), overlayfs.rst, fsopen(2), open_tree(2). */
#ifndef RUNTIME_LAUNCH_H
#define RUNTIME_LAUNCH_H

#include "orchestrator/runtime/cgroup.h"
#include "orchestrator/runtime/child.h"
#include "orchestrator/runtime/state.h"

enum { NS_NET, NS_IPC, NS_UTS, NS_PID, NS__COUNT };

/* What does not change from one launch to the next; borrowed. */
struct launch_env {
	const struct cgroups *cgroups;
	int containers;        /* folder <data_dir>/containers */
	const char *data_path; /* <data_dir> */
	const char *layers;    /* "<data_dir>/images/layers" */
	const char *stage;     /* empty folder */
	const char *seccomp_dir;
	int host_ns[NS__COUNT];
};

struct launch {
	struct arena *a;
	const struct launch_env *env;
	const struct container_rec *rec; /* borrowed, unchanged meanwhile */
	/* in */
	int ns[NS__COUNT]; /* of the sandbox, owned; -1 = the host's */
	bool new_pid_ns;
	const char *shm;                       /* path, NULL = the host's */
	const struct str *const *image_layers; /* per mount: chain ids topmost first, or NULL */
	const size_t *n_image_layers;
	/* in, execs only */
	bool exec;
	int join; /* pidfd of the container, owned */
	const struct str *argv;
	size_t n_argv;
	bool tty, want[3]; /* which of stdin, stdout, stderr are pipes */
	uint16_t cols, rows;
	/* out, owned */
	struct child child;
	int pid, pidfd, sock;
	int stdio[3]; /* our ends: write, read, read */
	int *fds;     /* to close after the clone */
	size_t n_fds;
	struct err err;
};

/* launch_new: all descriptors -1. NULL = no memory. launch_free closes what is left. */
struct launch *launch_new(const struct launch_env *env, const struct container_rec *rec);
void launch_free(struct launch *l);
/* launch_run: in a helper thread; the result is in l->err and the out fields. */
void launch_run(struct launch *l);
/* launch_report: the words for a child's report: `exec: "foo": executable file not found in $PATH`. */
int launch_report(const struct child_report *r, struct err *e);
/* launch_pod_init: PID 1 of a shared process namespace, in cgroup `path`; argv static. Out: pid, pidfd. */
int launch_pod_init(const struct launch_env *env, const int ns[NS__COUNT], const char *cgroup,
	const char *const *argv, int *ret_pid, int *ret_pidfd, struct err *e);
/* launch_overlay: detached read-only (upper NULL) or writable mount of layers; -errno (e). */
int launch_overlay(const struct launch_env *env, struct arena *a, const struct str *layers,
	size_t n, const char *upper, const char *work, struct err *e);

#endif
